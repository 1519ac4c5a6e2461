import hashlib
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from blurgen.errors import InputError, SourceError
from blurgen.loops import strokes
from blurgen.sources.digits import _TABLES, Digits

PINNED = "c2be42adb2aab2fc8260d45e31f07a3476b26378138284323ba337683db8c0af"


def digest(images):
    return hashlib.sha256(images.tobytes()).hexdigest()


def test_describes_itself():
    digits = Digits(7, "test")
    assert digits.name == "digits"
    assert digits.options == {"split": "test", "seed": 7}
    assert digits.shape == (28, 28, 1)
    assert digits.length is None
    assert digits.has_labels
    images, labels = digits.read(3, 9), digits.labels(3, 9)
    assert images.shape == (6, 28, 28, 1)
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    assert labels.shape == (6,)
    assert labels.dtype == np.int64
    assert digits.read(4, 4).shape == (0, 28, 28, 1)


def test_same_bytes_as_ever():
    assert digest(Digits().read(0, 1000)) == PINNED


def test_a_range_equals_its_singles():
    digits = Digits()
    start = 2**32 - 20  # across the boundary between the index's two words
    images, labels = digits.read(start, start + 40), digits.labels(start, start + 40)
    for i in range(40):
        assert np.array_equal(digits.read(start + i, start + i + 1)[0], images[i])
        assert digits.labels(start + i, start + i + 1)[0] == labels[i]


def test_overlapping_ranges_agree():
    digits = Digits()
    assert np.array_equal(digits.read(100, 300)[50:], digits.read(150, 300))
    assert np.array_equal(digits.labels(100, 300)[50:], digits.labels(150, 300))


def test_labels_are_uniform():
    counts = np.bincount(Digits().labels(0, 100_000), minlength=10)
    assert counts.size == 10
    chi_square = ((counts - 10_000) ** 2 / 10_000).sum()
    assert 2.09 < chi_square < 21.67  # 98 % of all seeds, at 9 degrees of freedom


def test_tables_are_what_the_loop_relies_on():
    variants, limits, begins, points, kinds = _TABLES
    assert len(variants) == 11
    assert begins[-1] == len(points) == len(kinds)
    assert np.diff(begins).max() <= strokes.MAX_POINTS
    for first, end in pairwise(variants):
        assert np.all(np.diff(limits[first:end], prepend=0.0) > 0.05)
        assert limits[end - 1] == 1.0
    for first, end in pairwise(begins):
        assert kinds[end - 1] == strokes.LAST
        assert np.ptp(points[first:end, 1]) > 0.9


def test_no_two_are_alike():
    seen = set()
    for seed, split in ((0, "train"), (0, "test"), (1, "train")):
        seen |= {image.tobytes() for image in Digits(seed, split).read(0, 10_000)}
    assert len(seen) == 30_000


def test_seeds_and_splits_differ():
    sources = [Digits(), Digits(1), Digits(2**64 - 1), Digits(2**32), Digits(split="test")]
    assert len({source.sha256 for source in sources}) == len(sources)
    assert len({source.labels(0, 100).tobytes() for source in sources}) == len(sources)
    assert Digits(1).sha256 == Digits(1, "train").sha256


def test_ink_is_white_and_stays_inside():
    images = Digits().read(0, 10_000)[..., 0]
    inner = images[:, 2:26, 2:26]
    assert images.sum(dtype=np.int64) == inner.sum(dtype=np.int64)
    assert images.max(axis=(1, 2)).min() >= 200
    shares = (images > 127).mean(axis=(1, 2))
    assert shares.min() > 0.02
    assert shares.max() < 0.4


def test_placed_as_in_mnist():
    images = Digits().read(0, 2000)[..., 0].astype(float)
    mass = images.sum(axis=(1, 2))
    for axis in (1, 2):
        centre = (images.sum(axis=3 - axis) * np.arange(28)).sum(axis=1) / mass
        assert abs(centre.mean() - 13.5) < 0.2
        assert np.abs(centre - 13.5).max() < 4
    rows, columns = (np.count_nonzero(images.max(axis=axis) > 127, axis=1) for axis in (2, 1))
    larger = np.maximum(rows, columns)
    assert larger.min() >= 16
    assert larger.max() <= 22
    assert 18 < rows.mean() < 21


def test_images_show_their_labels():
    train, test = Digits(), Digits(split="test")
    known = train.read(0, 5000).reshape(5000, -1).astype(float)
    labels = train.labels(0, 5000)
    templates = np.stack([known[labels == digit].mean(axis=0) for digit in range(10)])
    asked = test.read(0, 2000).reshape(2000, -1).astype(float)
    distances = ((asked[:, None] - templates) ** 2).sum(axis=2)
    right = distances.argmin(axis=1) == test.labels(0, 2000)
    assert right.mean() > 0.85


def test_plain_python_draws_the_same():
    code = (
        "import hashlib; from blurgen.sources.digits import Digits; d = Digits(5)\n"
        "print(hashlib.sha256(d.read(90, 120).tobytes() + d.labels(90, 120).tobytes()).hexdigest())"
    )
    plain = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    digits = Digits(5)
    compiled = hashlib.sha256(digits.read(90, 120).tobytes() + digits.labels(90, 120).tobytes())
    assert plain.stdout.strip() == compiled.hexdigest()


def test_pickles():
    digits = Digits(9, "test")
    again = pickle.loads(pickle.dumps(digits))
    assert again.sha256 == digits.sha256
    assert again.options == digits.options
    assert np.array_equal(again.read(5, 25), digits.read(5, 25))


def test_threads_draw_the_same():
    digits = Digits()
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda start: digits.read(start, start + 125), range(0, 1000, 125)))
    assert digest(np.concatenate(parts)) == PINNED


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "0"])
def test_refuses_a_seed(seed):
    with pytest.raises(InputError, match="seed"):
        Digits(seed)


def test_refuses_a_split():
    with pytest.raises(InputError, match="split 'val'"):
        Digits(split="val")


def test_refuses_a_range():
    with pytest.raises(SourceError, match="endless"):
        Digits().read(5, 3)
