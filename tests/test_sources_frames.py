import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

import blurgen
from blurgen.errors import InputError, SourceError
from blurgen.sources import open_source
from blurgen.verification import verify

COUNT = 40


def moving(count=COUNT, height=24, width=32):
    """Frames of a square that moves over a gradient: uint8 (N, H, W, 3)."""
    frames = np.empty((count, height, width, 3), np.uint8)
    frames[:] = (np.arange(width) * 255 // width)[:, None]
    for n in range(count):
        frames[n, 5:15, n % width : n % width + 6] = (255, 80, n)
    return frames


def save_frames(root, frames, name="{:04d}.png"):
    root.mkdir(parents=True, exist_ok=True)
    for n, frame in enumerate(frames):
        Image.fromarray(frame).save(root / name.format(n))


def save_video(path, frames):
    """Lossless, so that frames are known."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), 30, frames.shape[2:0:-1])
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("frames")
    save_frames(root / "a", moving())
    save_frames(root / "b", moving(25)[:, ::-1])
    return root


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "moving.mkv"
    save_video(path, moving())
    return path


def mean_of(frames, curve, highlights=0.0):
    """The mean in linear light, by float64 formulas of its own."""
    x = frames / 255.0
    light = {
        "gamma": x**2.2,
        "srgb": np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4),
        "identity": x,
    }[curve]
    light = np.where(frames == 255, light * (1 + highlights), light).mean(axis=0).clip(0, 1)
    back = {
        "gamma": light ** (1 / 2.2),
        "srgb": np.where(light <= 0.04045 / 12.92, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055),
        "identity": light,
    }[curve]
    return back * 255


@pytest.mark.parametrize("curve", ["gamma", "srgb", "identity"])
@pytest.mark.parametrize("highlights", [0, 1.5])
def test_windows_of_a_folder(folder, curve, highlights):
    source = open_source(f"frames:{folder}", window=9, every=5, curve=curve, highlights=highlights)
    assert (source.has_blurred, source.has_labels, source.shape) == (True, True, (24, 32, 3))
    middles = [(moving(), m) for m in range(4, COUNT - 4, 5)]
    middles += [(moving(25)[:, ::-1], m) for m in range(4, 25 - 4, 5)]
    assert source.length == len(middles)
    sharp, blurred = source.read_pairs(0, source.length)
    for i, (frames, middle) in enumerate(middles):
        np.testing.assert_array_equal(sharp[i], frames[middle])
        expected = mean_of(frames[middle - 4 : middle + 5], curve, highlights)
        assert abs(blurred[i] - expected).max() < 0.501
    np.testing.assert_array_equal(source.labels(0, source.length), 9)


def test_lengths_of_windows_are_drawn(folder):
    source = open_source(f"frames:{folder}", every=1)
    labels = source.labels(0, source.length)
    assert set(labels) == {7, 9, 11, 13}
    assert source.length == (40 - 12) + (25 - 12)
    sharp, blurred = source.read_pairs(0, 20)
    for i in range(20):
        reach = labels[i] // 2
        np.testing.assert_array_equal(sharp[i], moving()[6 + i])
        assert abs(blurred[i] - mean_of(moving()[6 + i - reach : 7 + i + reach], "gamma")).max() < 0.501
    other = open_source(f"frames:{folder}", every=1, seed=5)
    assert (other.labels(0, 20) != labels[:20]).any()
    assert other.sha256 != source.sha256
    assert open_source(f"frames:{folder}").length == 3 + 1  # by default windows share no frame


def test_a_video_gives_what_its_frames_give(folder, video):
    of_video = open_source(f"video:{video}", window="5-7", every=3)
    of_folder = open_source(f"frames:{folder / 'a'}", window="5-7", every=3)
    for got, expected in zip(of_video.read_pairs(0, 12), of_folder.read_pairs(0, 12), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_any_order_and_any_thread_give_the_same(video):
    source = open_source(f"video:{video}", window=3, every=1)
    sharp, blurred = source.read_pairs(0, source.length)
    again = pickle.loads(pickle.dumps(source))

    def one(i):
        return again.read_pairs(i, i + 1)

    order = np.random.default_rng(0).permutation(source.length)
    with ThreadPoolExecutor(4) as pool:
        for i, (first, second) in zip(order, pool.map(one, order), strict=True):
            np.testing.assert_array_equal(first[0], sharp[i])
            np.testing.assert_array_equal(second[0], blurred[i])


def test_patches_of_windows(video):
    source = open_source(f"video:{video}", window=3, every=10, patch=(8, 16))
    whole = open_source(f"video:{video}", window=3, every=10)
    assert source.length == 6 * whole.length
    np.testing.assert_array_equal(source.read_pairs(7, 8)[1][0], whole.read_pairs(1, 2)[1][0, :8, 16:])


def test_frames_go_through_make(video, tmp_path):
    made = blurgen.open_pairs(blurgen.make(f"video:{video}", tmp_path / "v.h5", window=5))
    assert len(made) == COUNT // 5
    assert made.label.tolist() == [5] * len(made)
    assert verify(tmp_path / "v.h5", sample=None).ok


def test_a_video_that_ends_early(video, tmp_path):
    content = video.read_bytes()
    short = tmp_path / "short.avi"
    writer = cv2.VideoWriter(str(short), cv2.VideoWriter_fourcc(*"MJPG"), 30, (32, 24))
    for frame in moving():
        writer.write(frame)
    writer.release()
    content = short.read_bytes()
    short.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(SourceError, match=r"short\.avi ends early: its header says 40 frames, \d+ can be"):
        open_source(f"video:{short}", window=3)
    assert 3 < open_source(f"video:{short}", window=3, skip_bad=True).length < 13


def test_a_video_of_one_frame(tmp_path):
    path = tmp_path / "one.mkv"
    save_video(path, moving(1))
    with pytest.raises(SourceError, match=r"one\.mkv: it has 1 frame; windows of 7 to 13 need 13"):
        open_source(f"video:{path}")


def test_what_is_no_video(tmp_path, folder):
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(SourceError, match=r"text\.mp4 is no video that OpenCV can decode"):
        open_source(f"video:{path}")
    with pytest.raises(SourceError, match=r"gone\.mp4 does not exist"):
        open_source(f"video:{tmp_path / 'gone.mp4'}")
    with pytest.raises(SourceError, match="is no file"):
        open_source(f"video:{folder}")


def test_sequences_too_short(folder, tmp_path):
    with pytest.raises(SourceError, match=r"b: it has 25 frames; windows of 31 to 31 need 31"):
        open_source(f"frames:{folder}", window=31)
    source = open_source(f"frames:{folder}", window=31, skip_bad=True)
    assert source.length == 1
    assert [path.rpartition("/")[2] for path, _ in source.skipped] == ["b"]


def test_frames_of_unequal_size(tmp_path):
    save_frames(tmp_path, moving(5))
    save_frames(tmp_path, moving(1, 10, 10), "9.png")
    with pytest.raises(SourceError, match=r"9\.png is 10×10, the first frame 24×32"):
        open_source(f"frames:{tmp_path}", window=3)


def test_sequences_of_unequal_size_need_a_patch(tmp_path):
    save_frames(tmp_path / "a", moving(5))
    save_frames(tmp_path / "b", moving(5, 30, 30))
    with pytest.raises(SourceError, match="sequences differ in size; give patch"):
        open_source(f"frames:{tmp_path}", window=3)
    assert open_source(f"frames:{tmp_path}", window=3, patch=12).length == 2 * 2 + 2 * 2
    with pytest.raises(SourceError, match="smaller than the patch of 28×28"):
        open_source(f"frames:{tmp_path}", window=3, patch=28)


def test_files_that_change(tmp_path):
    save_frames(tmp_path, moving(5))
    source = open_source(f"frames:{tmp_path}", window=3)
    Image.fromarray(moving(1)[0]).save(tmp_path / "0002.png")
    with pytest.raises(SourceError, match=r"0002\.png has changed since it was opened"):
        source.read_pairs(0, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 4}, "window 4, allowed are odd numbers"),
        ({"window": "9-7"}, "window '9-7'"),
        ({"window": "many"}, "window 'many'"),
        ({"every": 0}, "every 0, a whole number"),
        ({"highlights": -1}, "highlights -1"),
        ({"curve": "log"}, "curve 'log'"),
        ({"mode": "gray"}, "no option 'mode'"),
    ],
)
def test_options(folder, options, message):
    with pytest.raises(InputError, match=message):
        open_source(f"frames:{folder}", **options)


def test_videos_need_opencv(video):
    script = (
        "import sys; sys.modules['cv2'] = None\n"
        "from blurgen.sources import open_source\n"
        f"try: open_source('video:{video}')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "SourceError" in done.stdout
    assert "pip install 'blurgen[video]'" in done.stdout
