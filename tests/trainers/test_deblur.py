"""Deblurring files: tiles, formats, what else stands in a file, folders, and messages."""

import struct
import warnings

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import io

from trainers import arrays
from trainers import deblur as module
from trainers.checkpoint import save_weights
from trainers.deblur import deblur, main
from trainers.errors import TrainerError
from trainers.models import Network, build
from trainers.pictures import read_picture, write_picture
from trainers.restorer import images_at_once
from trainers.tiling import restore_tiled

CPU = torch.device("cpu")


class Inverse(Network):
    """Black for white: a network whose result is known."""

    def __init__(self, channels=1, size=None, stride=1):
        super().__init__()
        self.channels, self.size, self.stride = channels, size, stride

    def forward(self, images):
        assert images.shape[1] == self.channels
        return 1 - images


@pytest.fixture
def inverse(monkeypatch):
    """Every run is that network, for gray images unless the test says otherwise."""
    networks = {"run": Inverse()}
    monkeypatch.setattr(module, "load_network", lambda run: (networks["run"].eval(), None))
    return networks


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("deblur") / "w.safetensors"
    torch.manual_seed(0)
    save_weights(path, build("cnn-7-5-3", 1, width=4), arguments='{"width": 4}')
    return path


def colours(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


# ---- tiles ----


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    overlap=st.integers(0, 14),
    more=st.integers(0, 20),
    stride=st.sampled_from([1, 4, 8]),
)
def test_tiles_of_a_pixelwise_network_make_up_the_whole(height, width, overlap, more, stride):
    image = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(height))
    network = Inverse(stride=stride)
    made = restore_tiled(network, image, tile=2 * overlap + stride + more, overlap=overlap, device=CPU)
    torch.testing.assert_close(made, 1 - image, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("name", "overlap"),  # a quarter of the overlap is as far as the network looks
    [("cnn-7-5-3", 24), ("srcnn-9-1-5", 24), ("srcnn-9-3-1-5", 28), ("autoencoder", 28)],
)
@pytest.mark.parametrize("size", [(150, 97), (64, 200)])
def test_tiled_is_whole_where_the_network_does_not_look_far(name, overlap, size):
    torch.manual_seed(4)
    network = build(name, 1).eval()
    image = torch.rand(1, 1, *size)
    with torch.no_grad():
        whole = network.restore(image)
        tiled = restore_tiled(network, image, tile=64, overlap=overlap, device=CPU)
    torch.testing.assert_close(tiled, whole, atol=2e-5, rtol=0)


def test_tiles_of_a_strided_network_begin_on_its_strides():
    begun = []

    class Phase(Inverse):
        def restore(self, images):
            begun.append((round(images[0, 0, 0, 0].item()), round(images[0, 1, 0, 0].item())))
            return images * 0

    rows, columns = torch.meshgrid(torch.arange(130.0), torch.arange(100.0), indexing="ij")
    restore_tiled(Phase(2, stride=8), torch.stack([rows, columns])[None], tile=55, overlap=10, device=CPU)
    assert len(begun) == 3 * 3
    assert all(y % 8 == 0 and x % 8 == 0 for y, x in begun)


def test_no_seam_between_tiles_that_disagree():
    class Darker(Inverse):
        calls = 0

        def restore(self, images):
            self.calls += 1
            return torch.full_like(images, 0.2 * (self.calls % 2) + 0.4)

    made = restore_tiled(Darker(), torch.zeros(1, 1, 40, 200), tile=80, overlap=32, device=CPU)
    steps = made.diff(dim=-1).abs()
    assert steps.max() <= 0.2 / 15  # it fades over half the overlap
    assert made.min() == pytest.approx(0.4)
    assert made.max() == pytest.approx(0.6)


def test_whole_images_where_tiles_are_not_wanted():
    seen = []

    class Seen(Inverse):
        def restore(self, images):
            seen.append(tuple(images.shape[-2:]))
            return super().restore(images)

    image = torch.rand(1, 1, 100, 130)
    for network, tile in ((Seen(), 0), (Seen(), 130), (Seen(size=(20, 30)), 50)):
        assert restore_tiled(network, image, tile=tile, overlap=8, device=CPU).shape == image.shape
    assert seen == [(100, 130)] * 3
    with pytest.raises(TrainerError, match=r"tile 30 is too small: an overlap of 16 needs 33 pixels"):
        restore_tiled(Seen(), image, tile=30, overlap=16, device=CPU)
    with pytest.raises(TrainerError, match=r"tile -1, overlap 16"):
        restore_tiled(Seen(), image, tile=-1, overlap=16, device=CPU)


# ---- formats ----


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "tga", "ppm", "pcx", "sgi"])
@pytest.mark.parametrize("gray", [False, True])
def test_lossless_formats_come_back_exactly(tmp_path, inverse, ending, gray):
    values = colours(23, 31, 1 if gray else 3)
    Image.fromarray(values[..., 0] if gray else values).save(tmp_path / f"a.{ending}")
    done = deblur("run", tmp_path / f"a.{ending}", tmp_path / f"b.{ending}")
    assert done.written == [tmp_path / f"b.{ending}"]
    with Image.open(tmp_path / f"b.{ending}") as made, Image.open(tmp_path / f"a.{ending}") as given:
        assert made.format == given.format
        assert made.mode == ("L" if gray else "RGB")
        np.testing.assert_array_equal(np.asarray(made), 255 - (values[..., 0] if gray else values))


@pytest.mark.parametrize("ending", ["jpg", "webp", "jp2"])
def test_formats_that_lose_come_back_nearly(tmp_path, inverse, ending):
    smooth = np.asarray(Image.fromarray(colours(4, 5)).resize((60, 48), Image.Resampling.BICUBIC))
    Image.fromarray(smooth).save(tmp_path / f"a.{ending}")
    deblur("run", tmp_path / f"a.{ending}", tmp_path / "out")
    with Image.open(tmp_path / "out" / f"a.{ending}") as made:
        assert np.abs(np.asarray(made.convert("RGB")).astype(int) - (255 - smooth.astype(int))).mean() < 4


def test_another_ending_asks_for_another_format(tmp_path, inverse):
    Image.fromarray(colours(9, 8)).save(tmp_path / "a.png")
    deblur("run", tmp_path / "a.png", tmp_path / "b.tiff")
    with Image.open(tmp_path / "b.tiff") as made:
        assert made.format == "TIFF"


def test_sixteen_bits_stay(tmp_path, inverse):
    values = np.random.default_rng(1).integers(0, 65536, (20, 30)).astype(np.uint16)
    for name in ("a.png", "a.tif", "a.pgm"):
        Image.fromarray(values).save(tmp_path / name)
        deblur("run", tmp_path / name, tmp_path / "out")
        made = read_picture(tmp_path / "out" / name)
        assert made.bits == 16
        np.testing.assert_allclose(made.pixels[..., 0] * 65535, 65535.0 - values, atol=0.01)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_kept(tmp_path, inverse, mode):
    values = colours(12, 17, len(mode))
    Image.fromarray(values, mode).save(tmp_path / "a.png")
    deblur("run", tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as made:
        assert made.mode == mode
        np.testing.assert_array_equal(np.asarray(made)[..., -1], values[..., -1])
        np.testing.assert_array_equal(np.asarray(made)[..., :-1], 255 - values[..., :-1])


def test_palettes_with_and_without_transparency(tmp_path, inverse):
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) % 3, "P")
    image.putpalette([10, 20, 30, 200, 100, 50, 7, 8, 9])
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "t.png", transparency=1)
    deblur("run", tmp_path, tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.png") as made:
        np.testing.assert_array_equal(np.asarray(made), 255 - np.asarray(image.convert("RGB")))
    with Image.open(tmp_path / "out" / "t.png") as made:
        assert made.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(made)[..., 3] == 0, np.asarray(image) == 1)


def test_cmyk_and_black_and_white_are_converted(tmp_path, inverse):
    Image.fromarray(colours(16, 16)).convert("CMYK").save(tmp_path / "c.jpg")
    Image.fromarray(colours(16, 16, 1)[..., 0]).convert("1").save(tmp_path / "b.png")
    done = deblur("run", tmp_path, tmp_path / "out")
    assert not done.skipped
    for path, mode in zip(done.written, ("L", "RGB"), strict=True):
        with Image.open(path) as made:
            assert made.mode == mode


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_orientation_is_applied_and_taken_out_of_the_exif(tmp_path, inverse, orientation, ending):
    values = np.zeros((32, 48, 3), np.uint8)
    values[:16, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a description"
    Image.fromarray(values).save(tmp_path / f"a.{ending}", exif=exif)
    deblur("run", tmp_path / f"a.{ending}", tmp_path / "out")
    upright = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}
    with Image.open(tmp_path / "out" / f"a.{ending}") as made:
        assert made.size == ((48, 32) if orientation < 5 else (32, 48))
        assert made.getexif().get(0x0112, 1) == 1
        if ending != "tif":
            assert made.getexif()[0x010E] == "a description"
        dark = np.asarray(made.convert("L")).astype(float)
        down, right = upright[orientation]
        corner = dark[-16:] if down else dark[:16]
        assert (corner[:, -16:] if right else corner[:, :16]).mean() < 20
        assert dark.mean() > 200


def test_profile_and_resolution_are_kept(tmp_path, inverse):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(colours(8, 8)).save(tmp_path / "a.png", icc_profile=profile, dpi=(300, 300))
    deblur("run", tmp_path / "a.png", tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as made:
        assert made.info["icc_profile"] == profile
        assert made.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_of_several_images_the_first_is_taken_and_it_is_said(tmp_path, inverse, capsys):
    first, second = (Image.fromarray(colours(8, 9, seed=seed)) for seed in (1, 2))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    deblur("run", tmp_path / "a.tif", tmp_path / "b.tif", quiet=False)
    assert "the first of its 2 images is taken" in capsys.readouterr().out
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.tif")), 255 - np.asarray(first))


# ---- channels and fixed sizes ----


def test_colour_networks_take_gray_images(tmp_path, inverse):
    inverse["run"] = Inverse(channels=3)
    values = colours(10, 11, 1)[..., 0]
    Image.fromarray(values).save(tmp_path / "a.png")
    deblur("run", tmp_path / "a.png", tmp_path / "b.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), 255 - values)


def test_a_network_of_fixed_size_is_resized_to_and_back(tmp_path, inverse):
    inverse["run"] = Inverse(size=(90, 270))
    smooth = Image.fromarray(colours(3, 4)).resize((400, 130), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "a.png")
    deblur("run", tmp_path / "a.png", tmp_path / "b.png", tile=64, overlap=8)
    made = np.asarray(Image.open(tmp_path / "b.png"))
    assert made.shape == (130, 400, 3)
    assert np.abs(made.astype(int) - (255 - np.asarray(smooth).astype(int))).mean() < 2


def test_a_real_network_gives_what_restore_gives(tmp_path, run):
    from trainers.checkpoint import load_network

    network, _ = load_network(run)
    values = colours(40, 50)
    Image.fromarray(values).save(tmp_path / "a.png")
    deblur(run, tmp_path / "a.png", tmp_path / "b.png", device="cpu")
    with torch.no_grad():
        expected = network.restore(torch.from_numpy(values).permute(2, 0, 1)[:, None].float() / 255)[:, 0]
    made = np.asarray(Image.open(tmp_path / "b.png")).astype(float)
    np.testing.assert_allclose(made, expected.permute(1, 2, 0).numpy() * 255, atol=0.51)


# ---- folders ----


def test_folders_keep_their_shape_and_bad_files_are_named(tmp_path, inverse, capsys):
    source = tmp_path / "in"
    for name in ("a.png", "deep/er/b10.JPG", "deep/er/b9.jpg", ".hidden.png", "deep/.h/x.png"):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(colours(8, 8)).save(path)
    (source / "broken.png").write_bytes((source / "a.png").read_bytes()[:60])
    (source / "text.jpg").write_text("no image")
    (source / "notes.txt").write_text("not looked at")
    done = deblur("run", source, source / "restored", quiet=False)
    assert [path.relative_to(source / "restored").as_posix() for path in done.written] == [
        "a.png",
        "deep/er/b9.jpg",
        "deep/er/b10.JPG",
    ]
    assert [path.name for path, _ in done.skipped] == ["broken.png", "text.jpg"]
    said = capsys.readouterr()
    assert f"skipped {source / 'text.jpg'}: no image of a known format" in said.err
    assert "3 of 5 images restored, 2 skipped" in said.out
    kept = {path.name for path in (source / "restored").rglob("*") if path.is_file()}
    assert kept == {"a.png", "b9.jpg", "b10.JPG"}
    # the folder that was written to is not read again
    assert len(deblur("run", source, source / "restored", overwrite=True).written) == 3


def test_formats_that_cannot_be_written_become_png(tmp_path, inverse, monkeypatch):
    Image.fromarray(colours(8, 8)).save(tmp_path / "a.ppm")
    monkeypatch.delitem(Image.SAVE, "PPM")
    done = deblur("run", tmp_path / "a.ppm", tmp_path / "out")
    assert [path.name for path in done.written] == ["a.ppm.png"]


# ---- arrays ----


def gray(count, height=28, width=28, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width), np.uint8)


def test_a_matlab_file_of_rows_of_784_becomes_what_the_network_makes_of_it(tmp_path, run, capsys):
    images = gray(30)
    rows = images.reshape(30, 784)
    io.savemat(tmp_path / "n.mat", {"test": rows, "labels": np.arange(30)[:, None]})
    assert main([str(run), f"mat:{tmp_path / 'n.mat'}#test", str(tmp_path / "r.npy"), "--device", "cpu"]) == 0
    assert f"30 images of 28×28×1 restored: {tmp_path / 'r.npy'}" in capsys.readouterr().out
    made = np.load(tmp_path / "r.npy")
    assert (made.shape, made.dtype) == ((30, 28, 28), np.uint8)
    network, _ = module.load_network(run)
    with torch.no_grad():
        expected = network.restore(torch.from_numpy(images)[:, None].float() / 255)[:, 0]
    np.testing.assert_array_equal(made, np.floor(expected.numpy() * np.float32(255) + np.float32(0.5)))
    # one by one, sums are taken in other orders: half levels may be rounded either way
    for number, image in enumerate(images):
        path = tmp_path / "in" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    done = deblur(run, tmp_path / "in", tmp_path / "out", device="cpu")
    one_by_one = np.stack([np.asarray(Image.open(path)) for path in done.written])
    assert np.abs(one_by_one.astype(int) - made).max() <= 1
    assert (one_by_one == made).mean() > 0.99
    # the same images as fractions of white
    io.savemat(tmp_path / "f.mat", {"test": rows / 255})
    assert (
        main([str(run), f"mat:{tmp_path / 'f.mat'}", str(tmp_path / "f.npy"), "--device", "cpu", "-q"]) == 0
    )
    assert capsys.readouterr().out == ""
    assert (tmp_path / "f.npy").read_bytes() == (tmp_path / "r.npy").read_bytes()


def _mat_in_colour(path, images):
    io.savemat(path, {"x": images.transpose(1, 2, 3, 0)})


def _mat_73(path, images):
    with h5py.File(path, "w", userblock_size=512) as file:
        file["x"] = images.transpose(0, 2, 1)  # H×W×N in MATLAB, which stores all axes in reverse


def _hdf5(path, images):
    with h5py.File(path, "w") as file:
        file.create_dataset("deep/x", data=images, chunks=True, compression="gzip")


def _idx(path, images):
    path.write_bytes(struct.pack(">4I", 0x0803, *images.shape) + images.tobytes())


@pytest.mark.parametrize(
    ("name", "write", "images"),
    [
        ("npy:a.npy", np.save, gray(7, 9, 12)),
        ("npy:a.npy", np.save, gray(5 * 8, 9, 3).reshape(5, 8, 9, 3)),
        ("npz:a.npz#x", lambda path, images: np.savez(path, x=images, y=images[:2]), gray(7, 9, 12)),
        ("mat:a.mat#x", _mat_in_colour, gray(5 * 8, 9, 3).reshape(5, 8, 9, 3)),
        ("mat:a.mat", _mat_73, gray(7, 9, 12)),
        ("hdf5:a.h5#deep/x", _hdf5, gray(7, 9, 12)),
        ("idx:a-idx3-ubyte", _idx, gray(7, 9, 12)),
    ],
    ids=["npy", "npy-colour", "npz", "mat-colour", "mat-7.3", "hdf5", "idx"],
)
def test_arrays_of_every_kind_come_back_exactly(tmp_path, monkeypatch, inverse, name, write, images):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name.partition(":")[2].partition("#")[0], images)
    done = deblur("run", name, "new/b.npy")
    assert [path.as_posix() for path in done.written] == ["new/b.npy"]
    assert not done.skipped
    made = np.load("new/b.npy")
    assert made.dtype == np.uint8
    assert made.flags.c_contiguous
    np.testing.assert_array_equal(made, 255 - images)


def test_images_of_an_array_and_as_files_are_the_same_bytes(tmp_path, inverse):
    images = gray(6, 21, 17)
    np.save(tmp_path / "a.npy", images)
    (tmp_path / "in").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "in" / f"{number}.png")
    deblur("run", f"npy:{tmp_path / 'a.npy'}", tmp_path / "b.npy")
    done = deblur("run", tmp_path / "in", tmp_path / "out")
    files = np.stack([np.asarray(Image.open(path)) for path in done.written])
    assert np.load(tmp_path / "b.npy").tobytes() == files.tobytes()


def test_colour_networks_take_arrays_of_gray_images(tmp_path, inverse):
    inverse["run"] = Inverse(channels=3)
    np.save(tmp_path / "a.npy", gray(4, 10, 11))
    deblur("run", f"npy:{tmp_path / 'a.npy'}", tmp_path / "b.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), 255 - gray(4, 10, 11))


def test_many_small_images_go_through_together_and_are_read_as_needed(tmp_path, inverse, monkeypatch):
    read, seen = [], []

    class Few:
        length, shape = 600, (28, 28, 1)

        def read(self, start, stop):
            read.append((start, stop))
            return gray(600)[start:stop, ..., None]

    class Seen(Inverse):
        def restore(self, images):
            seen.append(tuple(images.shape))
            return super().restore(images)

    monkeypatch.setattr(arrays, "open_source", lambda name: Few())
    inverse["run"] = Seen()
    deblur("run", "npy:a.npy", tmp_path / "b.npy")
    assert read == [(0, 256), (256, 512), (512, 600)]
    assert seen == [(256, 1, 28, 28), (256, 1, 28, 28), (88, 1, 28, 28)]
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), 255 - gray(600))


@pytest.mark.parametrize(
    ("size", "images", "together"),
    [(None, (28, 28), 256), (None, (256, 256), 4), (None, (2000, 1000), 1), ((90, 270), (28, 28), 10)],
)
def test_images_that_go_through_together_have_so_many_pixels_at_most(size, images, together):
    assert images_at_once(Inverse(size=size), *images) == together


def test_large_images_of_an_array_are_tiled(tmp_path, inverse):
    np.save(tmp_path / "a.npy", gray(3, 70, 50))
    deblur("run", f"npy:{tmp_path / 'a.npy'}", tmp_path / "b.npy", tile=40, overlap=8)
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), 255 - gray(3, 70, 50))


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_array_is_written_whole_or_not_at_all(tmp_path, inverse, error):
    class Stopped(Inverse):
        def restore(self, images):
            if len(images) < 256:
                raise error
            return super().restore(images)

    inverse["run"] = Stopped()
    np.save(tmp_path / "a.npy", gray(300))
    (tmp_path / "b.npy").write_text("the old one")
    with pytest.raises(error):
        deblur("run", f"npy:{tmp_path / 'a.npy'}", tmp_path / "b.npy", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npy"]
    assert (tmp_path / "b.npy").read_text() == "the old one"


def test_what_arrays_cannot_become_is_said(tmp_path, monkeypatch, run, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", gray(2))
    np.save("old.npy", gray(1))
    io.savemat("a.mat", {"test": gray(2).reshape(2, 784), "bad": np.zeros((2, 783))})
    io.savemat("n.mat", {"test": np.full((2, 784), np.nan)})
    io.savemat("h.mat", {"test": np.full((2, 784), 3.5)})
    Image.fromarray(gray(1)[0]).save("a.png")
    (tmp_path / "folder.npy").mkdir()
    before = (tmp_path / "a.npy").read_bytes()
    for arguments, message in {
        (
            "mat:a.mat",
            "x.png",
        ): "'x.png': images of 'mat:a.mat' become one array, a name that ends in .npy is",
        ("mat:a.mat", "folder"): "a name that ends in .npy is needed",
        ("mat:a.mat", "folder.npy"): "a name that ends in .npy is needed",
        ("mat:a.mat", "old.npy"): "'old.npy' exists: name another place, or replace it (--overwrite)",
        ("npy:a.npy", "a.npy", "--overwrite"): "'a.npy' would be replaced by its result",
        ("mat:a.mat#test", "a.npy/b.npy"): "'a.npy/b.npy' cannot be written",
        ("mat:a.mat#bad", "b.npy"): "mat:a.mat#bad is 2×783; allowed are N×k²",
        ("mat:a.mat#none", "b.npy"): "a.mat holds no 'none'; it holds bad (2×783), test (2×784)",
        ("mat:none.mat", "b.npy"): "none.mat cannot be read: No such file or directory",
        ("mat:n.mat", "b.npy"): "holds NaN or infinity, first in image 0",
        ("mat:h.mat", "b.npy"): "allowed are floats in [0, 1] and whole numbers in [0, 255]",
        ("npy:", "b.npy"): "'npy:' names no path",
        ("a.mat", "b.npy"): "'a.mat' is no image: name the array in it, 'mat:a.mat'",
        ("a.npy", "b.png"): "'a.npy' is no image: name the array in it, 'npy:a.npy'",
        ("a.png", "b.npy"): "'b.npy': only the images of an array become an array",
        (".", "b.npy"): "'b.npy': only the images of an array become an array",
    }.items():
        assert main([str(run), *arguments, "--device", "cpu"]) == 1
        said = capsys.readouterr()
        assert said.err.startswith("deblur: ")
        assert said.err.count("\n") == 1
        assert message in said.err, said.err
        assert not said.out
    assert (tmp_path / "a.npy").read_bytes() == before
    assert not (tmp_path / "b.npy").exists()
    assert main([str(run), "mat:a.mat#test", "old.npy", "--overwrite", "--device", "cpu", "-q"]) == 0
    assert np.load("old.npy").shape == (2, 28, 28)


# ---- bad input ----


def test_errors_are_one_sentence(tmp_path, run, capsys):
    Image.fromarray(colours(8, 8, 4), "RGBA").save(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.png").write_text("nothing")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.png").write_text("nothing")
    before = (tmp_path / "a.png").read_bytes()
    cases = {
        (run, "no.png", "b.png"): "'no.png' does not exist",
        ("nowhere", tmp_path / "a.png", "b.png"): "there is no run 'nowhere'",
        (run, tmp_path / "empty", tmp_path / "out"): "holds no image files",
        (run, tmp_path / "bad", tmp_path / "out"): "none of 1 images could be restored",
        (run, tmp_path / "a.png", tmp_path / "a.png"): "would be replaced by its result",
        (run, tmp_path / "a.png", tmp_path): "would be replaced by its result",
        (run, tmp_path, tmp_path, "--overwrite"): "would be replaced by its result",
        (run, tmp_path / "a.png", tmp_path / "x.png"): "x.png' exists: name another place, or replace them",
        (run, tmp_path / "bad", tmp_path / "x.png"): "is a file: a folder is needed",
        (run, tmp_path / "a.png", tmp_path / "b.jpg"): "JPEG cannot hold this image",
        (run, tmp_path / "a.png", "b.png", "--tile", "100"): "tile 100 is too small",
        (run, tmp_path / "a.png", "b.png", "--precision", "fp8"): "precision 'fp8'",
    }
    for arguments, message in cases.items():
        assert main([str(argument) for argument in arguments]) == 1
        said = capsys.readouterr()
        last = said.err.splitlines()[-1]
        assert last.startswith("deblur: ")
        assert message in last, last
        assert not said.out
    assert (tmp_path / "a.png").read_bytes() == before
    assert main([]) == 2


def test_the_command_writes_the_image(tmp_path, run, capsys):
    Image.fromarray(colours(8, 8)).save(tmp_path / "a.png")
    assert main([str(run), str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--device", "cpu"]) == 0
    assert "1 of 1 images restored" in capsys.readouterr().out
    assert main([str(run), str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--overwrite", "-q"]) == 0
    assert capsys.readouterr().out == ""


def test_files_that_would_become_the_same_are_told(tmp_path, inverse, monkeypatch):
    monkeypatch.delitem(Image.SAVE, "BMP")
    for name in ("a.bmp", "a.bmp.png"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"")
    with pytest.raises(TrainerError, match=r"in/a\.bmp' and '.*in/a\.bmp\.png' would both become"):
        deblur("run", tmp_path / "in", tmp_path / "out")


def test_what_pillow_warns_of_is_not_said(tmp_path, inverse, monkeypatch, capsys, recwarn):
    Image.fromarray(colours(30, 30)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        deblur("run", tmp_path / "large.png", tmp_path / "out.png")
    assert not recwarn
    assert (tmp_path / "out.png").is_file()


def test_too_little_memory_is_one_sentence(tmp_path, inverse, monkeypatch, capsys):
    def restore(*_: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    Image.fromarray(colours(4, 4)).save(tmp_path / "a.png")
    monkeypatch.setattr(Inverse, "forward", restore)
    assert main(["run", str(tmp_path / "a.png"), str(tmp_path / "b.png")]) == 1
    assert capsys.readouterr().err == "deblur: out of memory: fewer or smaller images at once may help\n"


def test_32_bits_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "f.tif")
    Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / "i.tif")
    for name in ("f.tif", "i.tif"):
        with pytest.raises(ValueError, match="32 bits a pixel; allowed are 8 and 16"):
            read_picture(tmp_path / name)


def test_a_picture_read_and_written_is_the_same(tmp_path):
    Image.fromarray(colours(9, 7)).save(tmp_path / "a.png")
    write_picture(read_picture(tmp_path / "a.png"), tmp_path / "b.png")
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "a.png")), np.asarray(Image.open(tmp_path / "b.png"))
    )
