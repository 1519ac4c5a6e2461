from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import blurgen
from trainers import order
from trainers.cuts import cut, cut_on_device, derived_seed, draw_cuts
from trainers.data import Feeder, Online
from trainers.distributed import World
from trainers.errors import TrainerError
from trainers.options import Options
from trainers.order import Plan
from trainers.rows import FileRows, SourceRows, open_data, split

CPU = torch.device("cpu")


def feeder(path, rows=None, **arguments):
    pairs = blurgen.open_pairs(path)
    index = np.arange(len(pairs)) if rows is None else rows
    arguments = {"batch_size": 16, "device": CPU, "threads": 2, **arguments}
    return Feeder(FileRows(pairs), index, **arguments)


def taken(batches):
    """Every pair of the batches, as bytes."""
    found = Counter()
    for blurred, sharp in batches:
        assert blurred.shape == sharp.shape
        assert blurred.dtype == sharp.dtype == torch.float32
        for one, other in zip(blurred, sharp, strict=True):
            found[(bytes_of(one), bytes_of(other))] += 1
    return found


def bytes_of(image):
    """What was read: bytes (H, W, C) from floats (C, H, W)."""
    return (image * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy().tobytes()


def held(path):
    pairs = blurgen.open_pairs(path)
    return Counter((b.tobytes(), s.tobytes()) for b, s in zip(pairs.blurred, pairs.sharp, strict=True))


def same(one, other):
    return all(torch.equal(a, b) for pair in zip(one, other, strict=True) for a, b in zip(*pair, strict=True))


# ---- a pass holds the file ----


def test_a_pass_gives_every_pair_once(digits):
    assert taken(feeder(digits)) == held(digits)
    assert taken(feeder(digits, batch_size=7, shuffle=False)) == held(digits)


def test_a_pass_in_order_is_the_file(digits):
    batches = list(feeder(digits, batch_size=7, shuffle=False))
    pairs = blurgen.open_pairs(digits)
    blurred = torch.cat([batch[0] for batch in batches])
    expected = torch.from_numpy(np.array(pairs.blurred)).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(blurred, expected, rtol=0, atol=0)
    assert [len(batch[0]) for batch in batches] == [7] * 13 + [5]


def test_passes_differ_and_are_repeatable(digits):
    first = list(feeder(digits, seed=1).batches(0, 12))
    assert same(first, list(feeder(digits, seed=1).batches(0, 12)))
    assert not same(first[:6], first[6:])
    assert taken(first[:6]) == taken(first[6:]) == held(digits)
    assert not same(first[:6], list(feeder(digits, seed=2)))


def test_any_batch_can_be_begun_with(digits):
    whole = list(feeder(digits, seed=1, augment=True, crop=20).batches(0, 15))
    for start in (1, 5, 6, 7, 13):
        assert same(whole[start:], list(feeder(digits, seed=1, augment=True, crop=20).batches(start, 15)))


def test_threads_change_nothing(digits):
    def batches(threads):
        return list(feeder(digits, augment=True, threads=threads).batches(0, 12))

    assert same(batches(1), batches(5))


def test_what_is_left_early_ends(digits):
    made = feeder(digits)
    batches = made.batches(0, 1000)
    next(batches)
    batches.close()
    made.close()


@given(st.integers(1, 200), st.integers(1, 9), st.integers(1, 5), st.booleans(), st.integers(0, 3))
def test_every_plan_takes_every_row_once(count, block, blocks, shuffle, number):
    plan = Plan(count, block, block * blocks, shuffle, seed=4)
    windows = plan.windows(number)
    used = np.concatenate([window.places[window.order] for window in windows])
    assert sorted(used) == list(range(count))
    assert all(len(window.places) <= max(count if plan.whole else 0, block * blocks) for window in windows)
    if not shuffle:
        assert used.tolist() == list(range(count))
    # what is read is runs of neighbours
    read = np.concatenate([window.places for window in windows])
    assert np.count_nonzero(np.diff(read) != 1) <= -(-count // block) - 1


@pytest.mark.parametrize("batch_size", [5, 16])
def test_files_larger_than_memory(digits, monkeypatch, batch_size):
    row = 2 * 28 * 28
    monkeypatch.setattr(order, "_WHOLE_BYTES", 40 * row)
    monkeypatch.setattr(order, "_WINDOW_BYTES", 12 * row)
    monkeypatch.setattr(order, "_BLOCK_BYTES", 3 * row)
    made = feeder(digits, batch_size=batch_size)
    assert made.place == "read in blocks, ahead of the step"
    batches = list(made.batches(0, 2 * made.per_pass))
    assert same(batches[4:], list(feeder(digits, batch_size=batch_size).batches(4, 2 * made.per_pass)))
    if batch_size == 16:
        assert taken(batches[: made.per_pass]) == held(digits)
        assert not same(batches[: made.per_pass], batches[made.per_pass :])
    assert taken(feeder(digits, batch_size=7, shuffle=False)) == held(digits)


def test_rows_without_neighbours(digits):
    rows = np.array([0, 1, 5, 40, 41, 95])
    found = taken(feeder(digits, rows, batch_size=3))
    pairs = blurgen.open_pairs(digits)
    assert found == Counter((pairs.blurred[i].tobytes(), pairs.sharp[i].tobytes()) for i in rows)


def test_compressed_files(digits, folder):
    path = blurgen.make(
        "digits", folder / "packed.h5", "mnist-motion", count=96, seed=3, threads=1, compression="gzip"
    )
    assert same(list(feeder(path)), list(feeder(digits)))


# ---- several processes ----


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("resident", [False, True])
def test_processes_share_each_batch(colours, size, resident):
    arguments = {"batch_size": 6, "augment": True, "crop": 32, "resident": resident}
    whole = list(feeder(colours, **arguments).batches(0, 7))
    shares = [
        list(feeder(colours, **arguments, world=World(rank, size)).batches(0, 7)) for rank in range(size)
    ]
    for number, batch in enumerate(whole):
        for rank in range(size):
            assert same([[part[rank::size] for part in batch]], [shares[rank][number]])


def test_processes_share_what_is_judged(digits):
    shares = [feeder(digits, batch_size=10, shuffle=False, world=World(rank, 2)) for rank in range(2)]
    assert taken(shares[0]) + taken(shares[1]) == held(digits)


def test_batches_that_cannot_be_shared(digits):
    with pytest.raises(TrainerError, match="batch size 16 cannot be shared equally by 3 processes"):
        feeder(digits, world=World(0, 3))
    with pytest.raises(TrainerError, match="1 pairs are too few for 2 processes"):
        feeder(digits, np.arange(1), world=World(0, 2))


# ---- images that the device keeps ----


@pytest.mark.parametrize("crop", [None, 24])
@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_kept_images_give_the_same_batches(colours, crop, augment, shuffle):
    arguments = {"batch_size": 8, "crop": crop, "augment": augment, "shuffle": shuffle}
    read = list(feeder(colours, **arguments).batches(0, 7))
    kept = feeder(colours, **arguments, resident=True)
    assert kept.place == "kept on cpu"
    assert same(read, list(kept.batches(0, 7)))


# ---- flips, turns, crops ----

WAYS = {
    0: lambda image: image,
    1: lambda image: image[::-1],
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image.swapaxes(0, 1),
    5: lambda image: image[::-1].swapaxes(0, 1),
    6: lambda image: image[:, ::-1].swapaxes(0, 1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
}


@given(st.integers(0, 1000), st.integers(3, 9), st.integers(3, 9), st.sampled_from([1, 3]), st.integers(1, 9))
def test_cuts_are_numpys(seed, height, width, channels, side):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (5, height, width, channels), dtype=np.uint8)
    side = min(side, height, width)
    rows = random.integers(0, 10**6, 8)
    cuts = draw_cuts(seed, 2, rows, (height, width), (side, side), augment=True)
    slots = random.integers(0, 5, 8)
    out = np.empty((8, side, side, channels), np.uint8)
    cut(images, slots, *cuts, out)
    for i in range(8):
        top, left = cuts.tops[i], cuts.lefts[i]
        expected = WAYS[int(cuts.codes[i])](images[slots[i], top : top + side, left : left + side])
        np.testing.assert_array_equal(out[i], expected)
    tensors = tuple(torch.from_numpy(part) for part in cuts)
    moved = cut_on_device(torch.from_numpy(images[slots]), tensors, (side, side))
    np.testing.assert_array_equal(moved.numpy(), out)


def test_draws_are_of_seed_pass_and_row_alone():
    rows = np.arange(5000)
    cuts = draw_cuts(3, 1, rows, (20, 30), (16, 16), augment=True)
    some = rows[::-7]
    for whole, part in zip(cuts, draw_cuts(3, 1, some, (20, 30), (16, 16), augment=True), strict=True):
        np.testing.assert_array_equal(whole[some], part)
    assert np.all(np.bincount(cuts.codes, minlength=8) > 500)
    assert (cuts.tops.min(), cuts.tops.max(), cuts.lefts.min(), cuts.lefts.max()) == (0, 4, 0, 14)
    for other in (
        draw_cuts(3, 2, rows, (20, 30), (16, 16), True),
        draw_cuts(4, 1, rows, (20, 30), (16, 16), True),
    ):
        assert np.mean(cuts.codes == other.codes) < 0.2


def test_images_that_are_not_square_are_flipped_only():
    cuts = draw_cuts(0, 0, np.arange(500), (20, 30), (20, 30), augment=True)
    assert set(cuts.codes) == {0, 1, 2, 3}
    cuts = draw_cuts(0, 0, np.arange(500), (20, 30), (20, 30), augment=False)
    assert not np.any([*cuts])


def test_both_images_of_a_pair_are_turned_alike(digits):
    known = held(digits)
    turned = 0
    for blurred, sharp in feeder(digits, augment=True):
        for pair in zip(blurred, sharp, strict=True):
            images = [np.frombuffer(bytes_of(image), np.uint8).reshape(28, 28, 1) for image in pair]
            # all ways back are tried, since the draw is not told
            backs = [tuple(way(image).tobytes() for image in images) for way in WAYS.values()]
            assert any(back in known for back in backs)
            turned += backs[0] not in known
    assert turned > 48


def test_crops_that_are_too_large(digits):
    with pytest.raises(TrainerError, match="crop 29: the images have 28×28 pixels only"):
        feeder(digits, crop=29)


def test_seeds_differ_by_purpose_and_number():
    seeds = {derived_seed(s, p, n) for s in range(4) for p in ("a", "b") for n in range(4)}
    assert len(seeds) == 32
    assert all(0 <= seed < 2**64 for seed in seeds)


# ---- split ----


@given(st.lists(st.integers(0, 20), min_size=2, max_size=60), st.floats(0.01, 0.99))
def test_no_image_stands_on_both_sides(images, fraction):
    source_index = np.array(images)
    if len(set(images)) < 2:
        with pytest.raises(TrainerError, match="one source image"):
            split(source_index, fraction)
        return
    train, held_out = split(source_index, fraction)
    assert sorted([*train, *held_out]) == list(range(len(images)))
    assert not set(source_index[train]) & set(source_index[held_out])
    assert source_index[train].max() < source_index[held_out].min()
    assert len(train)
    assert len(held_out)


def test_split_is_by_source_image(digits):
    source_index = np.asarray(blurgen.open_pairs(digits).source_index)
    train, held_out = split(source_index, 0.2)
    assert len(set(source_index[held_out])) == 3  # of 16
    assert len(held_out) == 18
    assert len(train) == 78


# ---- online ----


def test_blur_is_drawn_anew_in_every_pass(digits):
    pairs = blurgen.open_pairs(digits)
    made = Feeder(
        FileRows(pairs, sharp_only=True),
        np.arange(96),
        batch_size=96,
        device=CPU,
        seed=5,
        shuffle=False,
        online=Online(pairs.recipe),
        threads=1,
    )
    ((blurred, sharp),) = made
    expected = blurgen.degrade(np.array(pairs.sharp), pairs.recipe, derived_seed(5, "blur", 0))
    assert bytes_of(blurred[7]) == expected.blurred[7].tobytes()
    assert bytes_of(sharp[7]) == expected.sharp[7].tobytes()

    shuffled = Feeder(
        FileRows(pairs, sharp_only=True),
        np.arange(96),
        batch_size=32,
        device=CPU,
        seed=5,
        online=Online(pairs.recipe),
        threads=3,
    )
    first, second = taken(shuffled.batches(0, 3)), taken(shuffled.batches(3, 6))
    assert first == Counter(
        (b.tobytes(), s.tobytes()) for b, s in zip(expected.blurred, expected.sharp, strict=True)
    )
    expected = blurgen.degrade(np.array(pairs.sharp), pairs.recipe, derived_seed(5, "blur", 1))
    assert second == Counter(
        (b.tobytes(), s.tobytes()) for b, s in zip(expected.blurred, expected.sharp, strict=True)
    )


def test_sources_give_what_make_would(digits):
    source = blurgen.open_source("digits", seed=3)
    pairs = blurgen.open_pairs(digits)
    rows = SourceRows(source, copies=6)
    sharp, blurred = rows.read(np.arange(5, 20))
    assert blurred is None
    pairs_of = blurgen.degrade(source.read(0, 4).repeat(6, axis=0), pairs.recipe, 3)
    np.testing.assert_array_equal(pairs_of.sharp, pairs.sharp[:24])
    np.testing.assert_array_equal(sharp, source.read(0, 4).repeat(6, axis=0)[5:20])


# ---- what is opened ----


def test_open_data_of_a_file(digits):
    data = open_data(Options(pairs=str(digits)))
    assert data.shape == (28, 28, 1)
    assert (len(data.train.index), len(data.held_out.index)) == (78, 18)
    assert data.said["dataset"] == "digits"
    assert data.said["recipe_name"] == "mnist-motion"
    assert len(data.said["header_sha256"]) == 64


def test_open_data_with_other_pairs_to_judge_by(digits, colours, folder):
    other = blurgen.make("digits", folder / "val.h5", "mnist-motion", count=12, seed=9, threads=1)
    data = open_data(Options(pairs=str(digits), val=str(other)))
    assert (len(data.train.index), len(data.held_out.index)) == (96, 12)
    assert not data.notes
    data = open_data(Options(pairs=str(digits), val=str(digits)))
    assert "made from the same images" in data.notes[0]
    with pytest.raises(
        TrainerError, match=r"colours.h5' holds images of 3 channels, .*digits.h5' of 1 channel"
    ):
        open_data(Options(pairs=str(digits), val=str(colours)))


def test_open_data_online(digits):
    data = open_data(Options(pairs="digits", online="mnist-motion", count=10))
    assert (len(data.train.index), len(data.held_out.index)) == (48, 12)
    assert data.shape == (28, 28, 1)
    data = open_data(Options(pairs=str(digits), online="fashion-gaussian"))
    assert data.said["recipe_name"] == "fashion-gaussian"
    assert data.train.recipe is not None


def test_a_file_of_one_image(folder):
    path = blurgen.make("digits", folder / "one.h5", "mnist-motion", count=6, threads=1)
    with pytest.raises(TrainerError, match=r"all pairs come from one source image.*--val"):
        open_data(Options(pairs=str(path)))


def test_no_pairs(digits):
    with pytest.raises(TrainerError, match="there are no pairs"):
        feeder(digits, np.arange(0))


# ---- blur on the device ----


class FakeDegrader:
    """What `blurgen.torch.Degrader` promises, by the CPU's own arithmetic."""

    def __init__(self, recipe, seed=0):
        self.recipe, self.seed = recipe, seed

    def __call__(self, images, index):
        assert images.dtype == torch.uint8
        assert images.shape[1] in (1, 3)
        arrays = images.permute(0, 2, 3, 1).contiguous().numpy()
        singles = [
            blurgen.degrade(arrays[i : i + 1], self.recipe, self.seed, int(index[i]))
            for i in range(len(index))
        ]
        return tuple(
            torch.from_numpy(np.concatenate([getattr(pair, side) for pair in singles])).permute(0, 3, 1, 2)
            for side in ("sharp", "blurred")
        )


@pytest.mark.parametrize("resident", [False, True])
def test_blur_on_the_device_is_that_of_the_cpu(colours, monkeypatch, resident):
    import sys
    from types import SimpleNamespace

    monkeypatch.setitem(sys.modules, "blurgen.torch", SimpleNamespace(Degrader=FakeDegrader))
    pairs = blurgen.open_pairs(colours)

    def batches(on_device, **arguments):
        made = Feeder(
            FileRows(pairs, sharp_only=True),
            np.arange(30),
            batch_size=7,
            device=CPU,
            online=Online(blurgen.load_recipe("anime-motion"), on_device),
            augment=True,
            crop=32,
            threads=1,
            **arguments,
        )
        return list(made.batches(0, 9))

    assert same(batches(False), batches(True, resident=resident))


def test_pairs_that_exist_are_degraded_further(tmp_path):
    from PIL import Image

    random = np.random.default_rng(0)
    for side in ("sharp", "blur"):
        for number in range(4):
            (tmp_path / side).mkdir(exist_ok=True)
            pixels = random.integers(0, 256, (20, 20), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / side / f"{number}.png")
    pairs = f"pairs:{tmp_path / 'sharp'},{tmp_path / 'blur'}"
    data = open_data(Options(pairs=pairs, online="untouched"))
    assert data.has_blurred
    made = Feeder(
        data.train.rows,
        data.train.index,
        batch_size=3,
        device=CPU,
        shuffle=False,
        online=Online(data.train.recipe),
    )
    ((blurred, sharp),) = made
    source = blurgen.open_source(pairs)
    expected = source.read_pairs(0, 3)
    assert [bytes_of(one) for one in sharp] == [one.tobytes() for one in expected[0]]
    assert [bytes_of(one) for one in blurred] == [one.tobytes() for one in expected[1]]


@pytest.mark.parametrize("resident", [False, True])
def test_gray_is_the_mean_of_the_channels(colours, resident):
    arguments = {"shuffle": False, "resident": resident}
    for coloured, gray in zip(
        feeder(colours, **arguments), feeder(colours, gray=True, **arguments), strict=True
    ):
        for one, other in zip(coloured, gray, strict=True):
            torch.testing.assert_close(other, one.mean(1, keepdim=True))
    assert open_data(Options(pairs=str(colours), gray=True)).shape == (40, 56, 1)
