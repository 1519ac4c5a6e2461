import io
import json
import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from shared_data import shared

from blurgen.errors import InputError, SourceError
from blurgen.sources import open_source, patched
from blurgen.sources.cache import ArrayCache
from blurgen.sources.folder import natural_key


def some(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def whole(source):
    return source.read(0, source.length)


def opened(path, **options):
    return open_source(f"folder:{path}", **options)


# Real photographs, decoded by another library


@pytest.mark.parametrize("mode", ["gray", "rgb"])
def test_patches_of_photographs(mode):
    root = shared("datasets", "natural")
    source = opened(root, patch=64, stride=48, mode=mode)
    expected = []
    for path in [*sorted((root / "colour").iterdir()), *sorted((root / "gray").iterdir())]:
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        if mode == "gray":
            # ITU-R 601-2, as Pillow documents it.
            image = (image @ [19595, 38470, 7471] + 0x8000 >> 16)[..., None]
        expected += [
            image[top : top + 64, left : left + 64]
            for top in range(0, image.shape[0] - 63, 48)
            for left in range(0, image.shape[1] - 63, 48)
        ]
    assert source.length == len(expected)
    np.testing.assert_array_equal(whole(source), expected)


def test_mode_is_gray_where_every_image_is():
    assert opened(shared("datasets/natural/gray"), patch=64).shape == (64, 64, 1)
    assert opened(shared("datasets/natural/colour"), patch=64).shape == (64, 64, 3)
    assert opened(shared("datasets/natural"), patch=64).shape == (64, 64, 3)


def test_resize_photographs():
    path = shared("datasets/natural/gray")
    source = opened(path, resize="64x32")
    assert source.shape == (64, 32, 1)
    for index, file in enumerate(sorted(path.iterdir())):
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        # Another antialiasing filter, so only nearly the same.
        area = cv2.resize(image, (32, 64), interpolation=cv2.INTER_AREA).astype(float)
        found = source.read(index, index + 1)[0, ..., 0]
        assert np.abs(found - area).mean() < 5
        assert abs(found.mean() - area.mean()) < 0.6


# Which files, in which order


def test_files_are_found_below_and_in_natural_order(tmp_path):
    names = ["a1.PNG", "a2.jpg", "a10.Jpeg", "b/1.tif", "b/02.tiff", "b/10.bmp", "b10/1.webp"]
    for level, name in enumerate(names):
        save(tmp_path / name, np.full((8, 8), 20 * level, np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "._a1.png").write_bytes(b"hidden")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/x.png").write_bytes(b"hidden")
    os.mkfifo(tmp_path / "pipe.png")
    found = whole(opened(tmp_path, mode="gray")).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found, 20 * np.arange(7), atol=2)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 3000), st.sampled_from(["", "x", "/"])), unique=True
    )
)
def test_natural_order(triples):
    """Names made of a letter, a number and a rest sort as those triples do."""
    paths = [f"{letter}{number}{rest}.png" for letter, number, rest in triples]
    by_triple = sorted(
        triples, key=lambda each: (each[0], each[1], {"/": "", "": ".png", "x": "x.png"}[each[2]])
    )
    assert sorted(paths, key=natural_key) == [f"{a}{b}{c}.png" for a, b, c in by_triple]


@given(st.lists(st.text(st.characters(exclude_characters="/", codec="utf-8"), max_size=6)), st.randoms())
def test_natural_order_is_total(parts, random):
    paths = list({"/".join(parts[i:]) for i in range(len(parts))} | set(parts))
    expected = sorted(paths, key=natural_key)
    random.shuffle(paths)
    assert sorted(paths, key=natural_key) == expected
    assert len({natural_key(path) for path in paths}) == len(paths)


def test_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path / "photos/1.png", some(8, 8))
    assert opened("~/photos").length == 1


def test_links(tmp_path):
    save(tmp_path / "root/a/1.png", some(8, 8))
    save(tmp_path / "elsewhere/2.png", some(8, 8, seed=1))
    (tmp_path / "root/a/loop").symlink_to(tmp_path / "root")
    (tmp_path / "root/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "root/a")
    source = opened(tmp_path / "root")
    np.testing.assert_array_equal(whole(source)[..., 0], [some(8, 8), some(8, 8, seed=1)])


def test_dangling_link_is_named(tmp_path):
    save(tmp_path / "1.png", some(8, 8))
    (tmp_path / "2.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"2\.png: No such file"):
        opened(tmp_path)


# What becomes of a file


def test_pixels_as_another_library_sees_them(tmp_path):
    save(tmp_path / "1.png", some(20, 30, 3))
    save(tmp_path / "2.jpg", cv2.GaussianBlur(some(20, 30, 3), (9, 9), 3), quality=90)
    save(tmp_path / "3.bmp", some(20, 30, 3, seed=2))
    save(tmp_path / "4.tif", some(20, 30, 3, seed=3), compression="tiff_lzw")
    save(tmp_path / "5.webp", some(20, 30, 3, seed=4), lossless=True)
    save(tmp_path / "6.png", some(20, 30, seed=5))
    for path, found in zip(sorted(tmp_path.iterdir()), whole(opened(tmp_path)), strict=True):
        expected = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        tolerance = 2 if path.suffix == ".jpg" else 0
        np.testing.assert_allclose(found.astype(int), expected.astype(int), atol=tolerance)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    image = np.zeros((16, 32, 3), np.uint8)
    image[:8, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / "1.jpg", image, quality=95, exif=exif)
    # OpenCV, too, gives images upright.
    expected = cv2.cvtColor(cv2.imread(str(tmp_path / "1.jpg")), cv2.COLOR_BGR2RGB)
    source = opened(tmp_path)
    assert source.shape == ((16, 32, 3) if orientation < 5 else (32, 16, 3))
    np.testing.assert_allclose(whole(source)[0].astype(int), expected.astype(int), atol=2)
    # The corner that was white lies where the tag says (EXIF 2.32, table 6).
    corner = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[
        orientation
    ]
    height, width, _ = source.shape
    row, column = corner
    quarter = whole(source)[0][row * height // 2 :, column * width // 2 :][: height // 2, : width // 2]
    assert quarter.mean() > 230


def test_16_bits_keep_the_upper_8(tmp_path):
    image = np.random.default_rng(0).integers(0, 65536, (9, 7), np.uint16)
    cv2.imwrite(str(tmp_path / "1.png"), image)
    cv2.imwrite(str(tmp_path / "2.tif"), image)
    np.testing.assert_array_equal(whole(opened(tmp_path))[..., 0], [image >> 8] * 2)


def test_16_bit_colour_keeps_the_upper_8(tmp_path):
    image = np.random.default_rng(0).integers(0, 65536, (9, 7, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "1.png"), image)
    np.testing.assert_array_equal(whole(opened(tmp_path))[0], (image >> 8)[..., ::-1])


def test_alpha_is_dropped(tmp_path):
    save(tmp_path / "1.png", some(9, 7, 4))
    np.testing.assert_array_equal(whole(opened(tmp_path))[0], some(9, 7, 4)[..., :3])
    save(tmp_path / "1.png", some(9, 7, 2))
    np.testing.assert_array_equal(whole(opened(tmp_path))[0], some(9, 7, 2)[..., :1])


def test_palette_becomes_rgb(tmp_path):
    image = Image.fromarray(some(9, 7) % 3).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    expected = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]], np.uint8)[np.asarray(image)]
    image.save(tmp_path / "1.png")
    image.save(tmp_path / "2.png", transparency=b"\x00\x80\xff")
    np.testing.assert_array_equal(whole(opened(tmp_path)), [expected] * 2)


def test_one_bit_is_black_and_white(tmp_path):
    Image.fromarray(some(9, 7)).convert("1").save(tmp_path / "1.png")
    source = opened(tmp_path)
    assert source.shape == (9, 7, 1)
    assert set(np.unique(whole(source))) == {0, 255}


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (7, 9), (0, 255, 255, 0)).save(tmp_path / "1.tif")
    np.testing.assert_array_equal(whole(opened(tmp_path))[0, 0, 0], [255, 0, 0])


def test_first_of_several_images_in_a_file(tmp_path):
    first, second = Image.fromarray(some(9, 7)), Image.fromarray(some(9, 7, seed=1))
    first.save(tmp_path / "1.tif", save_all=True, append_images=[second])
    np.testing.assert_array_equal(whole(opened(tmp_path))[0, ..., 0], some(9, 7))


def test_resize_is_antialiased_bicubic(tmp_path):
    # Of low contrast, so that nothing is clipped between the two directions.
    image = some(24, 40) // 2 + 64
    save(tmp_path / "1.png", image)

    def weights(size, target):
        """MATLAB's imresize: Keys' cubic with a = -1/2, widened by the factor of reduction."""
        scale = max(1.0, size / target)
        x = np.abs(((np.arange(target) + 0.5) * size / target)[:, None] - (np.arange(size) + 0.5)) / scale
        inner = 1.5 * x**3 - 2.5 * x**2 + 1
        outer = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        kernel = np.where(x < 1, inner, np.where(x < 2, outer, 0))
        return kernel / kernel.sum(axis=1, keepdims=True)

    for target in [(8, 10), (48, 50), (12, 80)]:
        expected = weights(24, target[0]) @ image.astype(float) @ weights(40, target[1]).T
        found = whole(opened(tmp_path, resize=target))[0, ..., 0]
        # each direction is rounded; the weights of the second, signs left out, sum to 1.25 at most
        np.testing.assert_allclose(found, expected, atol=0.5 * 1.25 + 0.5)


# Patches


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_patches_tile(tmp_path_factory, data):
    """Patches are the windows at all multiples of the stride that fit, image by image."""
    root = tmp_path_factory.mktemp("folder")
    side = st.integers(5, 23)
    images = []
    for index in range(data.draw(st.integers(1, 4))):
        images.append(some(data.draw(side), data.draw(side), seed=index))
        save(root / f"{index}.png", images[-1])
    patch = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    stride = data.draw(st.none() | st.tuples(st.integers(1, 7), st.integers(1, 7)))
    source = opened(root, patch=patch, **({"stride": stride} if stride else {}))
    down, right = stride or patch
    windows = [
        np.lib.stride_tricks.sliding_window_view(image, patch)[::down, ::right].reshape(-1, *patch)
        for image in images
    ]
    expected = np.concatenate(windows)[..., None]
    assert source.length == len(expected)
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    np.testing.assert_array_equal(source.read(start, stop), expected[start:stop])


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))
@settings(deadline=None, max_examples=20)
def test_patches_put_together_again(tmp_path_factory, rows, columns, height, width):
    """With no stride given, nothing is shown twice and nothing is lost but the edge."""
    image = some(rows * height + height - 1, columns * width + width - 1)
    root = tmp_path_factory.mktemp("folder")
    save(root / "1.png", image)
    found = whole(opened(root, patch=(height, width))).reshape(rows, columns, height, width)
    np.testing.assert_array_equal(
        found.transpose(0, 2, 1, 3).reshape(rows * height, -1), image[: rows * height, : columns * width]
    )


def test_too_small_for_the_patch(tmp_path):
    save(tmp_path / "1.png", some(16, 16))
    save(tmp_path / "2.png", some(16, 15))
    with pytest.raises(SourceError, match=r"2\.png: 16×15 pixels, smaller than the patch of 16×16"):
        opened(tmp_path, patch=16)
    source = opened(tmp_path, patch=16, skip_bad=True)
    assert source.skipped == [("2.png", "16×15 pixels, smaller than the patch of 16×16")]
    np.testing.assert_array_equal(whole(source)[..., 0], [some(16, 16)])


def test_sizes_differ(tmp_path):
    save(tmp_path / "1.png", some(16, 16))
    save(tmp_path / "2.png", some(16, 15))
    with pytest.raises(
        SourceError, match=r"1\.png is 16×16, 2\.png is 16×15; give patch \(--patch\) or resize"
    ):
        opened(tmp_path)
    assert opened(tmp_path, resize=8).length == 2


# Damage


def broken(kind, array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


DAMAGE = {
    "half.png": broken("PNG", some(64, 64, 3))[:6000],
    "half.jpg": broken("JPEG", some(64, 64, 3))[:2000],
    "half.tif": broken("TIFF", some(64, 64, 3))[:6000],
    "half.bmp": broken("BMP", some(64, 64, 3))[:6000],
    "half.webp": broken("WEBP", some(64, 64, 3))[:2000],
    "empty.png": b"",
    "text.jpg": b"<html>not found</html>",
    "spoilt.png": broken("PNG", some(64, 64, 3)).replace(b"IDAT", b"XDAT"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_file_is_named(tmp_path, name):
    save(tmp_path / "good.png", some(64, 64, 3))
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / name).write_bytes(DAMAGE[name])
    with pytest.raises(SourceError, match=f"below/{name}: .+; mend or remove it, .* skip_bad"):
        opened(tmp_path)
    source = opened(tmp_path, skip_bad=True)
    assert [path for path, _ in source.skipped] == [f"below/{name}"]
    assert all(reason for _, reason in source.skipped)
    np.testing.assert_array_equal(whole(source)[0], some(64, 64, 3))
    assert source.options["skip_bad"] is True


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "TIFF", "BMP", "WEBP"]),
    at=st.floats(0, 1),
    noise=st.binary(min_size=1, max_size=8),
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_damage_gives_an_image_or_our_error(tmp_path_factory, kind, at, noise):
    root = tmp_path_factory.mktemp("folder")
    content = broken(kind, some(16, 16, 3))
    place = int(at * len(content))
    (root / f"1.{kind.lower()}").write_bytes(content[:place] + noise + content[place + len(noise) :])
    try:
        source = opened(root)
    except SourceError as error:
        message = str(error)
    else:
        assert whole(source).shape == (1, *source.shape)
        return
    assert f"1.{kind.lower()}" in message


def test_everything_skipped(tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "2.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"holds no usable image: all 2 are skipped, 1\.png: "):
        opened(tmp_path, skip_bad=True)


def test_decompression_bomb(tmp_path, monkeypatch):
    save(tmp_path / "1.png", some(40, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    with pytest.raises(SourceError, match=r"1\.png: it has more than the 1400 pixels that Pillow allows"):
        opened(tmp_path)


def test_32_bits_are_refused(tmp_path):
    Image.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "1.tif")
    with pytest.raises(SourceError, match=r"1\.tif: 32 bits a pixel; allowed are 8 and 16"):
        opened(tmp_path)


def test_folders_without_images(tmp_path):
    with pytest.raises(SourceError, match="nowhere does not exist"):
        opened(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"holds no PNG, .* or WebP image; it holds no files"):
        opened(tmp_path)
    for name in ("a.txt", "b.txt", "c.md", "LICENSE"):
        (tmp_path / name).touch()
    with pytest.raises(SourceError, match=r"holds no .* image; it holds 2 of \.txt, 1 of"):
        opened(tmp_path)
    with pytest.raises(SourceError, match=r"a\.txt is a file, allowed is a folder"):
        opened(tmp_path / "a.txt")


def test_changed_after_opening(tmp_path):
    save(tmp_path / "1.png", some(8, 8))
    source = opened(tmp_path)
    save(tmp_path / "1.png", some(9, 9))
    with pytest.raises(SourceError, match=r"1\.png has changed since"):
        whole(source)
    (tmp_path / "1.png").unlink()
    with pytest.raises(SourceError, match=r"1\.png cannot be read: No such file"):
        whole(source)


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "RGB"}, "mode 'RGB', allowed are 'gray' and 'rgb'"),
        ({"patch": 8, "resize": 8}, "patch and resize are both given, allowed is one of them"),
        ({"stride": 8}, "stride is given without patch"),
        ({"patch": 0}, "patch 0, allowed are a size such as"),
        ({"patch": (8, 8, 8)}, r"patch \(8, 8, 8\), allowed"),
        ({"patch": True}, "patch True, allowed"),
        ({"patch": 8, "stride": -1}, "stride -1, allowed"),
        ({"resize": "8*8"}, r"resize '8\*8', allowed"),
        ({"resize": 8.5}, "resize 8.5, allowed"),
        ({"skip_bad": "no"}, "skip_bad 'no', allowed are True and False"),
        ({"resize": ""}, "resize '', allowed"),
    ],
)
def test_options_are_checked(tmp_path, options, message):
    save(tmp_path / "1.png", some(16, 16))
    with pytest.raises(InputError, match=message):
        opened(tmp_path, **options)


@pytest.mark.parametrize(
    "options",
    [{}, {"mode": "rgb"}, {"patch": 8}, {"patch": "8x4", "stride": 2}, {"resize": "4x6"}, {"skip_bad": True}],
)
def test_options_open_the_same_source_again(tmp_path, options):
    save(tmp_path / "1.png", some(16, 16))
    source = opened(tmp_path, **options)
    again = open_source(source.name, **json.loads(json.dumps(source.options)))
    assert (again.sha256, again.options, again.shape) == (source.sha256, source.options, source.shape)
    np.testing.assert_array_equal(whole(again), whole(source))


def test_hash_follows_content_names_and_options(tmp_path):
    save(tmp_path / "a/1.png", some(16, 16))
    save(tmp_path / "b/1.png", some(16, 16))
    assert opened(tmp_path / "a").sha256 == opened(tmp_path / "b").sha256
    hashes = [opened(tmp_path / "a", **options).sha256 for options in ({}, {"patch": 8}, {"resize": 8})]
    save(tmp_path / "a/2.png", some(16, 16))
    hashes.append(opened(tmp_path / "a").sha256)
    save(tmp_path / "a/2.png", some(16, 16, seed=1))
    hashes.append(opened(tmp_path / "a").sha256)
    (tmp_path / "a/2.png").rename(tmp_path / "a/3.png")
    hashes.append(opened(tmp_path / "a").sha256)
    assert len(set(hashes)) == len(hashes)


# Threads, processes, the cache


@pytest.fixture
def photos(tmp_path):
    for index in range(5):
        save(tmp_path / f"{index}.png", some(30, 40, seed=index))
    return opened(tmp_path, patch=10)


def test_images_are_decoded_once(photos, monkeypatch):
    counted = []
    decode = photos._decode
    monkeypatch.setattr(photos, "_decode", lambda file: counted.append(file.path) or decode(file))
    for start in range(photos.length):
        photos.read(start, start + 1)
    whole(photos)
    assert counted == [f"{index}.png" for index in range(5)]


def test_reading_in_threads(photos):
    expected = whole(photos)
    photos = pickle.loads(pickle.dumps(photos))
    with ThreadPoolExecutor(8) as pool:
        ranges = [(i % 50, min(i % 50 + 17, 60)) for i in range(200)]
        for (start, stop), images in zip(ranges, pool.map(lambda r: photos.read(*r), ranges), strict=True):
            np.testing.assert_array_equal(images, expected[start:stop])


def in_child(source, queue):
    queue.put(whole(source))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_reading_in_processes(photos, method):
    expected = whole(photos)
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=in_child, args=(photos, queue))
    child.start()
    np.testing.assert_array_equal(queue.get(timeout=60), expected)
    child.join()


def test_cache_keeps_what_was_used_last():
    cache = ArrayCache(30)
    made = []

    def get(key, size=10):
        return cache.get(key, lambda: made.append(key) or np.zeros(size, np.uint8))

    for key in "abc":
        get(key)
    get("a")
    get("d")  # b was used least recently
    assert made == list("abcd")
    get("a")
    get("c")
    assert made == list("abcd")
    get("b")
    assert made == list("abcdb")
    assert len(get("big", 100)) == 100
    get("big")
    assert made == [*"abcdb", "big"]


def test_cache_makes_once_for_many_threads():
    cache = ArrayCache(100)
    made, gate = [], threading.Barrier(8)

    def make():
        made.append(1)
        return np.ones(3, np.uint8)

    def ask(_):
        gate.wait()
        return cache.get("x", make)

    with ThreadPoolExecutor(8) as pool:
        assert all(array.sum() == 3 for array in pool.map(ask, range(8)))
    assert len(made) == 1


def test_cache_tries_again_after_an_error():
    cache = ArrayCache(100)
    with pytest.raises(OSError, match="gone"):
        cache.get("x", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert cache.get("x", lambda: np.ones(3, np.uint8)).sum() == 3


def test_small_cache_gives_the_same(photos, monkeypatch):
    expected = whole(photos)
    monkeypatch.setattr(patched, "_CACHE", 1)
    np.testing.assert_array_equal(whole(pickle.loads(pickle.dumps(photos))), expected)
