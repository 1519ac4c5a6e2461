import pickle

import numpy as np
import pytest
from PIL import Image

import blurgen
from blurgen.errors import InputError, SourceError
from blurgen.sources import open_source
from blurgen.verification import verify


def some(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def two_folders(root, count=5, shape=(20, 30, 3)):
    """A pair of folders, and what they hold."""
    pairs = []
    for n in range(count):
        sharp, blurred = some(*shape, seed=2 * n), some(*shape, seed=2 * n + 1)
        save(root / "a" / f"{n}.png", sharp)
        save(root / "b" / f"{n}.png", blurred)
        pairs.append((sharp, blurred))
    return f"pairs:{root / 'a'},{root / 'b'}", pairs


def test_two_folders(tmp_path):
    name, pairs = two_folders(tmp_path, 12)
    source = open_source(name)
    assert (source.length, source.shape, source.has_blurred) == (12, (20, 30, 3), True)
    for start, stop in ((0, 12), (3, 4), (5, 5)):
        sharp, blurred = source.read_pairs(start, stop)
        assert len(sharp) == len(blurred) == stop - start
        for i in range(stop - start):
            np.testing.assert_array_equal(sharp[i], pairs[start + i][0])
            np.testing.assert_array_equal(blurred[i], pairs[start + i][1])
        np.testing.assert_array_equal(source.read(start, stop), sharp)
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again.read_pairs(0, 12)[1], source.read_pairs(0, 12)[1])


def test_patches(tmp_path):
    name, pairs = two_folders(tmp_path, 3)
    source = open_source(name, patch=(8, 10), stride=(6, 10))
    assert (source.length, source.shape) == (3 * 3 * 3, (8, 10, 3))
    sharp, blurred = source.read_pairs(0, 27)
    for i in range(27):
        item, place = divmod(i, 9)
        top, left = place // 3 * 6, place % 3 * 10
        np.testing.assert_array_equal(sharp[i], pairs[item][0][top : top + 8, left : left + 10])
        np.testing.assert_array_equal(blurred[i], pairs[item][1][top : top + 8, left : left + 10])


def test_resized(tmp_path):
    name, pairs = two_folders(tmp_path, 2)
    pairs.append((some(41, 33, 3, seed=9), some(41, 33, 3, seed=10)))  # of another size
    for folder, image in zip("ab", pairs[2], strict=True):
        save(tmp_path / folder / "2.png", image)
    source = open_source(name, resize="12x16")
    assert (source.length, source.shape, source.options["resize"]) == (3, (12, 16, 3), [12, 16])
    for made, wanted in zip(zip(*source.read_pairs(0, 3), strict=True), pairs, strict=True):
        for one, other in zip(made, wanted, strict=True):
            small = Image.fromarray(other).resize((16, 12), Image.Resampling.BICUBIC)
            np.testing.assert_array_equal(one, np.asarray(small))
    assert source.sha256 != open_source(name, resize=16).sha256


LAYOUTS = {
    "gopro": ("train/GOPR1/sharp/{n}.png", "train/GOPR1/blur/{n}.png", None),
    "gopro gamma": ("test/GOPR1/sharp/{n}.png", "test/GOPR1/blur_gamma/{n}.png", None),
    "realblur": ("scene001/gt/gt_{n}.png", "scene001/blur/blur_{n}.png", None),
    "reds": ("train/train_sharp/000/{n}.png", "train/train_blur/000/{n}.png", None),
    "rsblur": ("x/0001/gt/{n}.png", "x/0001/real_blur/{n}.png", None),
    "input and target": ("input_of_all/target/{n}.png", "input_of_all/input/{n}.jpg", None),
    "capitals": ("GT/{n}.png", "Blur/{n}.png", None),
}


@pytest.mark.parametrize(("sharp", "blurred", "kind"), LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_are_found(tmp_path, sharp, blurred, kind):
    for n in (1, 2, 10):
        save(tmp_path / sharp.format(n=n), np.full((6, 8, 3), n, np.uint8))
        save(tmp_path / blurred.format(n=n), np.full((6, 8, 3), 100 + n, np.uint8))
    source = open_source(f"pairs:{tmp_path}")
    first, second = source.read_pairs(0, 3)
    assert first[:, 0, 0, 0].tolist() == [1, 2, 10]
    assert abs(second[:, 0, 0, 0].astype(int) - [101, 102, 110]).max() <= 1  # one layout is JPEG


def test_of_several_kinds_of_blur_one_is_chosen(tmp_path):
    for kind, value in (("sharp", 1), ("blur", 2), ("blur_gamma", 3)):
        save(tmp_path / "GOPR1" / kind / "1.png", np.full((6, 8, 3), value, np.uint8))
    for kind, value in (("blur", 2), ("blur_gamma", 3)):
        source = open_source(f"pairs:{tmp_path}", blurred=kind)
        assert source.read_pairs(0, 1)[1][0, 0, 0, 0] == value
        assert source.options["blurred"] == kind
    with pytest.raises(SourceError, match="holds blur and blur_gamma: say which is meant by blurred"):
        open_source(f"pairs:{tmp_path}")
    with pytest.raises(InputError, match="holds no 'input', only blur and blur_gamma"):
        open_source(f"pairs:{tmp_path}", blurred="input")


def test_commas_in_names(tmp_path):
    name, pairs = two_folders(tmp_path / "x,y", 2)
    np.testing.assert_array_equal(open_source(name).read(0, 2), np.stack([pair[0] for pair in pairs]))


def test_gray_pairs_are_gray_if_both_images_are(tmp_path):
    name, _ = two_folders(tmp_path, 2, (9, 9))
    assert open_source(name).shape == (9, 9, 1)
    save(tmp_path / "b" / "1.png", some(9, 9, 3))
    assert open_source(name).shape == (9, 9, 3)
    assert open_source(name, mode="gray").shape == (9, 9, 1)


def test_the_hash_is_of_both_images(tmp_path):
    name, _ = two_folders(tmp_path)
    before = open_source(name).sha256
    assert open_source(name).sha256 == before
    save(tmp_path / "b" / "3.png", some(20, 30, 3, seed=99))
    assert open_source(name).sha256 != before


def test_pairs_go_through_make(tmp_path):
    name, pairs = two_folders(tmp_path)
    made = blurgen.open_pairs(blurgen.make(name, tmp_path / "plain.h5"))
    assert made.recipe.name == "untouched"
    np.testing.assert_array_equal(made.sharp, np.stack([sharp for sharp, _ in pairs]))
    np.testing.assert_array_equal(made.blurred, np.stack([blurred for _, blurred in pairs]))
    noise = blurgen.Recipe.from_dict({"name": "n", "stages": [{"gaussian_noise": {"sigma": 9}}]})
    noisy = blurgen.open_pairs(blurgen.make(name, tmp_path / "noisy.h5", noise, seed=3, copies=2))
    np.testing.assert_array_equal(noisy.sharp[::2], made.sharp)
    np.testing.assert_array_equal(noisy.sharp[1::2], made.sharp)
    expected = blurgen.degrade(
        np.repeat(made.sharp, 2, axis=0), noise, seed=3, blurred=np.repeat(made.blurred, 2, axis=0)
    )
    np.testing.assert_array_equal(noisy.blurred, expected.blurred)
    assert verify(tmp_path / "noisy.h5", sample=None).ok


def test_stages_that_change_the_sharp_image_change_both(tmp_path):
    name, pairs = two_folders(tmp_path, 2, (12, 12, 3))
    turn = blurgen.Recipe.from_dict({"name": "t", "stages": [{"turn": {"quarters": 1}}]})
    made = blurgen.open_pairs(blurgen.make(name, tmp_path / "t.h5", turn))
    np.testing.assert_array_equal(made.sharp[1], np.rot90(pairs[1][0]))
    np.testing.assert_array_equal(made.blurred[1], np.rot90(pairs[1][1]))


def test_nobody_knows_the_psfs(tmp_path):
    name, _ = two_folders(tmp_path)
    with pytest.raises(InputError, match="holds blurred images whose PSFs nobody knows"):
        blurgen.make(name, tmp_path / "p.h5", psf=True)


def test_unequal_names(tmp_path):
    name, _ = two_folders(tmp_path)
    (tmp_path / "b" / "3.png").rename(tmp_path / "b" / "other.png")
    with pytest.raises(SourceError, match=r"a/3\.png has no partner, nor has 1 other"):
        open_source(name)
    source = open_source(name, skip_bad=True)
    assert source.length == 4
    assert sorted(path.rpartition("/")[2] for path, _ in source.skipped) == ["3.png", "other.png"]
    (tmp_path / "b" / "other.png").rename(tmp_path / "b" / "3.png")
    save(tmp_path / "b" / "3.jpg", some(20, 30, 3))
    with pytest.raises(SourceError, match="differ in nothing but the extension"):
        open_source(name)


def test_unequal_sizes(tmp_path):
    name, _ = two_folders(tmp_path)
    save(tmp_path / "b" / "2.png", some(20, 31, 3))
    with pytest.raises(SourceError, match=r"b/2\.png: 20×31 pixels, its sharp image .*a/2\.png has 20×30"):
        open_source(name)
    assert open_source(name, skip_bad=True).length == 4
    save(tmp_path / "a" / "2.png", some(20, 31, 3))
    with pytest.raises(SourceError, match=r"pairs differ in size: .* give patch"):
        open_source(name)
    assert open_source(name, patch=20).length == 5


def test_damaged_and_changed_files(tmp_path):
    name, _ = two_folders(tmp_path)
    source = open_source(name)
    (tmp_path / "a" / "1.png").write_bytes(b"no image")
    with pytest.raises(SourceError, match=r"a/1\.png has changed since it was opened"):
        source.read_pairs(0, 5)
    with pytest.raises(SourceError, match=r"a/1\.png: no PNG"):
        open_source(name)
    assert open_source(name, skip_bad=True).length == 4


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mode": "cmyk"}, InputError, "mode 'cmyk'"),
        ({"stride": 5}, InputError, "stride is given without patch"),
        ({"patch": "x"}, InputError, "patch 'x'"),
        ({"patch": 8, "resize": 8}, InputError, "patch and resize are both given"),
        ({"patch": 500}, SourceError, "smaller than the patch of 500×500"),
        ({"blurred": "blur"}, InputError, "is for layouts"),
        ({"window": 5}, InputError, "no option 'window'"),
    ],
)
def test_options(tmp_path, options, error, message):
    name, _ = two_folders(tmp_path)
    with pytest.raises(error, match=message):
        open_source(name, **options)


def test_folders_that_hold_no_pairs(tmp_path):
    save(tmp_path / "a" / "1.png", some(5, 5))
    save(tmp_path / "b" / "2.png", some(5, 5))
    with pytest.raises(SourceError, match="no image has a partner"):
        open_source(f"pairs:{tmp_path / 'a'},{tmp_path / 'b'}")
    with pytest.raises(SourceError, match="has no folder of sharp images"):
        open_source(f"pairs:{tmp_path}")
    with pytest.raises(SourceError, match=r"c is no folder"):
        open_source(f"pairs:{tmp_path / 'a'},{tmp_path / 'c'}")
    with pytest.raises(SourceError, match=r"is no folder; allowed are"):
        open_source(f"pairs:{tmp_path / 'c'}")
