"""Pairs without end: those of a pair file, once each, however many processes make them."""

import hashlib
import multiprocessing
import pickle
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import texture

import blurgen
from blurgen.errors import InputError, RecipeError, SourceError
from blurgen.sources.memory import MemorySource

torch = pytest.importorskip("torch")

from torch import distributed  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from blurgen.torch import EndlessPairs, endless  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
METHODS = multiprocessing.get_all_start_methods()
RECIPE = blurgen.Recipe.from_yaml(
    """
name: endless
copies: 2
stages:
  - flip: {horizontal: {choice: [0, 1]}}
  - motion: {length: {uniform: [1, 7]}, angle: {uniform: [0, 180]}}
  - gaussian_noise: {sigma: 3}
"""
)
COUNT = 5  # images; ten pairs are a pass


def source(count=COUNT):
    return MemorySource("texture", {}, texture(count, 10, 12, 3))


def digests(batch):
    """A digest of each pair of a batch."""
    return [
        hashlib.sha256(blurred.numpy().tobytes() + sharp.numpy().tobytes()).hexdigest()
        for blurred, sharp in zip(*batch, strict=True)
    ]


def taken(pairs, batches):
    return [digests(batch) for batch in islice(pairs, batches)]


def flat(batches):
    return [one for batch in batches for one in batch]


@pytest.mark.parametrize("batch_size", [1, 4, 10, 23])
def test_the_first_pass_is_the_pair_file(tmp_path, batch_size):
    pairs = blurgen.open_pairs(blurgen.make(source(), tmp_path / "a.h5", RECIPE, seed=8, threads=1))
    batches = list(islice(EndlessPairs(source(), RECIPE, batch_size, seed=8), -(-10 // batch_size)))
    for mine, wanted in ((0, pairs.blurred), (1, pairs.sharp)):
        made = torch.cat([batch[mine] for batch in batches])[:10]
        assert made.dtype == torch.uint8
        assert made.is_contiguous()
        np.testing.assert_array_equal(np.moveaxis(made.numpy(), 1, -1), wanted)


def test_the_next_pass_is_blurred_anew():
    stream = islice(EndlessPairs(source(), RECIPE, 10, seed=8), 3)
    images = np.repeat(texture(COUNT, 10, 12, 3), 2, axis=0)
    for number, (blurred, sharp) in enumerate(stream):
        wanted = blurgen.degrade(images, RECIPE, 8, 10 * number)
        np.testing.assert_array_equal(np.moveaxis(blurred.numpy(), 1, -1), wanted.blurred)
        np.testing.assert_array_equal(np.moveaxis(sharp.numpy(), 1, -1), wanted.sharp)


def test_sources_by_name_and_without_end(tmp_path):
    path = blurgen.make("digits", tmp_path / "a.h5", "mnist-motion", count=20, seed=3, threads=1)
    blurred = torch.cat([batch[0] for batch in islice(EndlessPairs("digits", "mnist-motion", 8, seed=3), 3)])
    np.testing.assert_array_equal(blurred[:20, 0].numpy(), blurgen.open_pairs(path).blurred[..., 0])


class BlurredSource(MemorySource):
    """Pairs that exist already."""

    has_blurred = True

    def _read_pairs(self, start, stop):
        sharp = self._read(start, stop)
        return sharp, 255 - sharp


def test_pairs_that_exist_are_blurred_further():
    images = texture(3, 8, 8, 1)
    blurred, sharp = next(iter(EndlessPairs(BlurredSource("both", {}, images), "anime-motion", 6, seed=2)))
    again = np.concatenate([images, images])
    wanted = blurgen.degrade(again, "anime-motion", 2, blurred=255 - again)
    np.testing.assert_array_equal(np.moveaxis(blurred.numpy(), 1, -1), wanted.blurred)
    np.testing.assert_array_equal(np.moveaxis(sharp.numpy(), 1, -1), wanted.sharp)


@settings(max_examples=12)
@given(
    count=st.integers(1, 6),
    batch_size=st.integers(1, 9),
    seed=st.integers(0, 2**64 - 1),
    passes=st.integers(1, 3),
)
def test_every_pass_holds_every_pair_once(count, batch_size, seed, passes):
    pairs = 2 * count
    batches = -(-pairs * passes // batch_size)
    plain, mixed = (
        flat(taken(EndlessPairs(source(count), RECIPE, batch_size, seed=seed, shuffle=shuffle), batches))
        for shuffle in (False, True)
    )
    for number in range(passes):
        own = slice(number * pairs, (number + 1) * pairs)
        assert sorted(plain[own]) == sorted(mixed[own])
    assert len(set(plain)) == len(plain)


def test_orders_differ():
    def rows(seed, start):
        stream = EndlessPairs(source(12), "untouched", 12, seed=seed, shuffle=True, start=start)
        return tuple(flat(taken(stream, 1)))

    orders = {rows(seed, start) for seed in (0, 1) for start in (0, 1, 2)}
    assert len(orders) == 6
    assert len({frozenset(order) for order in orders}) == 1
    assert rows(0, 2) == tuple(flat(taken(EndlessPairs(source(12), "untouched", 12, shuffle=True), 3))[24:])


@settings(max_examples=12)
@given(
    world=st.integers(1, 4),
    workers=st.integers(0, 4),
    batch_size=st.integers(1, 4),
    start=st.integers(0, 5),
    shuffle=st.booleans(),
)
def test_processes_and_workers_make_every_batch_once(world, workers, batch_size, start, shuffle):
    each = 2  # batches of every worker
    most = world * (start + each * max(1, workers))
    whole = taken(EndlessPairs(source(), RECIPE, batch_size, seed=4, shuffle=shuffle), most)
    with pytest.MonkeyPatch.context() as patch:
        made = []
        for rank in range(world):
            own = EndlessPairs(
                source(),
                RECIPE,
                batch_size,
                seed=4,
                shuffle=shuffle,
                rank=rank,
                world_size=world,
                start=start,
            )
            parts = []
            for worker in range(max(1, workers)):
                info = SimpleNamespace(id=worker, num_workers=workers) if workers else None
                patch.setattr(endless, "get_worker_info", lambda info=info: info)
                parts.append(taken(own, each))
            # a DataLoader asks its workers in turns
            made.append([batch for turn in zip(*parts, strict=True) for batch in turn])
    together = [batch for step in zip(*made, strict=True) for batch in step]
    assert together == whole[world * start :]


@pytest.mark.parametrize("method", METHODS)
def test_any_number_of_workers_gives_the_same_batches(method):
    pairs = EndlessPairs(source(), RECIPE, 4, seed=6, shuffle=True)
    wanted = taken(pairs, 7)
    for workers in (1, 2) if method == "fork" else (1,):
        loader = DataLoader(pairs, batch_size=None, num_workers=workers, multiprocessing_context=method)
        assert taken(loader, 7) == wanted
    assert taken(DataLoader(pairs, batch_size=None), 7) == wanted


def member(rank, place, queue):
    distributed.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
    pairs = EndlessPairs(source(), RECIPE, 3, seed=9)
    loader = DataLoader(pairs, batch_size=None, num_workers=2, multiprocessing_context="fork")
    queue.put((rank, taken(pairs, 4), taken(loader, 4), pickle.dumps(pairs)))
    distributed.destroy_process_group()


@pytest.mark.skipif("fork" not in METHODS or not distributed.is_available(), reason="needs fork and Gloo")
def test_a_group_of_processes_is_found(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    members = [context.Process(target=member, args=(rank, tmp_path / "group", queue)) for rank in (0, 1)]
    for process in members:
        process.start()
    answers = [queue.get() for _ in members]
    for process in members:
        process.join(60)
        assert process.exitcode == 0
    whole = taken(EndlessPairs(source(), RECIPE, 3, seed=9), 8)
    for rank, alone, loaded, pickled in answers:
        assert alone == loaded == whole[rank::2]
        # one that is unpickled where there is no group, as in a spawned worker, stays in its place
        assert taken(pickle.loads(pickled), 4) == whole[rank::2]


def test_start_goes_on():
    pairs = EndlessPairs(source(), RECIPE, 3, seed=1)
    whole = taken(pairs, 6)
    pairs.start = 4
    assert taken(pairs, 2) == whole[4:]
    assert taken(pickle.loads(pickle.dumps(pairs)), 2) == whole[4:]
    assert repr(pairs) == "EndlessPairs('texture', 'endless', 3, seed=1)"


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"source": "digit"}, InputError, "no source 'digit'"),
        ({"source": "npy:nowhere.npy"}, SourceError, "nowhere"),
        ({"recipe": "mnits"}, RecipeError, "there is no recipe 'mnits'"),
        ({"recipe": "mnist-motion"}, InputError, "stage 'turn' needs square images"),
        ({"batch_size": 0}, InputError, "batch_size 0: a whole number from 1"),
        ({"seed": -1}, InputError, "seed -1"),
        ({"start": -1}, InputError, "start -1"),
        ({"rank": 0}, InputError, "rank and world_size belong together"),
        ({"rank": 2, "world_size": 2}, InputError, "rank 2: a whole number from 0 to 1"),
        ({"world_size": 2}, InputError, "rank and world_size belong together"),
        ({"source": "digits", "shuffle": True}, InputError, "source 'digits' never runs out: there are no"),
    ],
)
def test_bad_arguments(changed, error, message):
    with pytest.raises(error, match=message):
        EndlessPairs(**{"source": source(), "recipe": RECIPE, "batch_size": 2, **changed})
