import inspect
import itertools
import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from strategies import BORDERS, texture

import blurgen
from blurgen import convolution, convolve, psf
from blurgen.errors import InputError
from blurgen.loops import convolve as loops

PAD_MODES = {"replicate": "edge", "reflect": "symmetric", "mirror": "reflect", "wrap": "wrap"}
ENGINES = {"taps": loops.TAPS, "separable": loops.SEPARABLE, "box": loops.BOX, "fourier": loops.FFT}


def slow_convolve(image, kernel, border, outside=0.0):
    """One image (H, W, C) in float64: pad, then scipy.signal.convolve2d."""
    rows, columns = kernel.shape
    pads = (
        (rows - 1 - rows // 2, rows // 2),
        (columns - 1 - columns // 2, columns // 2),
        (0, 0),
    )
    if border == "constant":
        padded = np.pad(image.astype(np.float64), pads, constant_values=outside)
    else:
        padded = np.pad(image.astype(np.float64), pads, PAD_MODES[border])
    planes = [scipy.signal.convolve2d(plane, kernel, "valid") for plane in np.moveaxis(padded, 2, 0)]
    return np.stack(planes, axis=2)


def assert_exact(got, image, kernel, border, outside=0.0):
    """Float results to 1e-5 of full scale; bytes rounded half up, but for what lies within 1e-3 of a tie."""
    exact = slow_convolve(image, kernel, border, outside)
    assert got.dtype == image.dtype
    if got.dtype == np.float32:
        np.testing.assert_allclose(got, exact, rtol=0, atol=1e-5)
        return
    clipped = np.clip(exact, 0, 255)
    rounded = np.floor(clipped + 0.5)
    wrong = got != rounded
    assert abs(got.astype(int) - rounded)[wrong].max(initial=0) <= 1
    from_tie = abs(clipped + 0.5 - np.round(clipped + 0.5))
    assert from_tie[wrong].max(initial=0) < 1e-3


def price_of_fourier(monkeypatch, taps):
    """Let the Fourier engine cost as much as so many taps, whatever the image's size."""
    monkeypatch.setattr(convolution, "_FFT_COST", math.inf)
    monkeypatch.setattr(convolution, "_MOST_TAPS", taps)


def choose(engine, monkeypatch):
    """Let the PSFs of ``PSFS[engine]`` take that engine."""
    price_of_fourier(monkeypatch, 0 if engine == "fourier" else 500)


def engines_of(kernels, monkeypatch, size=2):
    """Which engine `convolve` chooses for each PSF."""
    names = list(inspect.signature(getattr(loops.classify, "py_func", loops.classify)).parameters)
    chosen = []

    def spy(*arguments):
        real(*arguments)
        chosen.extend(dict(zip(names, arguments, strict=True))["engines"].tolist())

    real = loops.classify
    with monkeypatch.context() as patch:
        patch.setattr(loops, "classify", spy)
        convolve(np.zeros((len(kernels), size, size), np.uint8), np.stack(kernels))
    return chosen


def normalised(weights):
    return weights / weights.sum()


def random_psf(rows, columns, seed=1, empty=0.0):
    random = np.random.default_rng([rows, columns, seed])
    weights = random.random((rows, columns)) * (random.random((rows, columns)) >= empty)
    weights[rows // 2, columns // 2] += 0.1
    return normalised(weights)


def framed(kernel, top, bottom, left, right):
    return np.pad(kernel, ((top, bottom), (left, right)))


def outer(rows, columns, seed=2):
    random = np.random.default_rng([rows, columns, seed])
    return normalised(np.outer(random.random(rows) + 0.01, random.random(columns) + 0.01))


# engine → PSFs that take it
PSFS = {
    "taps": {
        "one pixel": np.ones((1, 1)),
        "off centre": framed(np.ones((1, 1)), 4, 0, 0, 2),
        "motion": psf.motion(9.3, 37),
        "dense": random_psf(5, 7),
        "even": random_psf(4, 6),
        "row": random_psf(1, 9),
        "column": random_psf(12, 1),
        "small box": psf.box(4),
        "wide and sparse": random_psf(41, 85, empty=0.97),
    },
    "box": {
        "odd": psf.box((7, 5)),
        "even": psf.box((6, 4)),
        "row": psf.box((1, 30)),
        "column": psf.box((33, 1)),
        "off centre": framed(psf.box((5, 6)), 9, 0, 0, 3),
        "beside the centre": framed(psf.box((3, 7)), 0, 12, 20, 0),
        "large": psf.box((60, 81)),
    },
    "separable": {
        "gaussian": psf.gaussian(13, 2.1),
        "random": outer(11, 17),
        "even": outer(10, 12),
        "off centre": framed(outer(9, 9), 5, 0, 1, 13),
        "high": outer(60, 8),
        "wide": outer(7, 90),
    },
    "fourier": {
        "dense": random_psf(21, 19),
        "even": random_psf(20, 24),
        "disk": psf.disk(11.3),
        "high": random_psf(90, 7),
        "large": random_psf(60, 70),
        "off centre": framed(random_psf(20, 20), 11, 0, 0, 6),
    },
}
CASES = [(engine, name) for engine, kinds in PSFS.items() for name in kinds]
SHAPES = [
    (1, 1, 1),
    (1, 40, 1),
    (40, 1, 3),
    (2, 3, 3),
    (17, 5, 3),
    (9, 15, 1),
    (16, 16, 1),
    (33, 47, 1),
    (24, 21, 3),
]


@pytest.mark.parametrize("engine", PSFS)
def test_each_engine_is_tested(engine, monkeypatch):
    choose(engine, monkeypatch)
    for kernel in PSFS[engine].values():
        assert engines_of([kernel], monkeypatch) == [ENGINES[engine]]


def test_large_dense_psfs_go_through_fourier_transforms(monkeypatch):
    kernels = [psf.disk(11.3), psf.embedded(random_psf(21, 21), 23), psf.embedded(psf.gaussian(21, 4), 23)]
    assert engines_of(kernels, monkeypatch, 300) == [loops.FFT, loops.FFT, loops.SEPARABLE]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(("engine", "name"), CASES)
def test_equals_scipy_signal(engine, name, dtype, monkeypatch):
    choose(engine, monkeypatch)
    kernel = PSFS[engine][name]
    for number, (border, shape) in enumerate(itertools.product(BORDERS, SHAPES)):
        images = as_dtype(texture(1, *shape), dtype)
        outside = (0, 85)[number % 2] if dtype == np.uint8 else (0.0, 0.3)[number % 2]
        (got,) = convolve(images, kernel, border, outside=outside)
        assert_exact(got, images[0], kernel, border, outside)


def as_dtype(images, dtype):
    return images if dtype == np.uint8 else (images / np.float32(255)).astype(np.float32)


PSF_KINDS = st.sampled_from(["dense", "sparse", "box", "outer", "motion", "disk", "point"])


@st.composite
def drawn_psfs(draw, limit):
    kind = draw(PSF_KINDS)
    rows, columns = draw(st.integers(1, limit)), draw(st.integers(1, limit))
    seed = draw(st.integers(0, 1000))
    if kind == "dense":
        kernel = random_psf(rows, columns, seed)
    elif kind == "sparse":
        kernel = random_psf(rows, columns, seed, empty=0.95)
    elif kind == "box":
        kernel = psf.box((rows, columns))
    elif kind == "outer":
        kernel = outer(rows, columns, seed)
    elif kind == "motion":
        kernel = psf.motion(draw(st.floats(1, limit)), draw(st.floats(0, 180)))
    elif kind == "disk":
        kernel = psf.disk(draw(st.floats(0, limit / 2)))
    else:
        kernel = np.zeros((rows, columns))
        kernel[seed % rows, seed // 7 % columns] = 1
    margins = draw(st.tuples(*[st.integers(0, 3)] * 4))
    return framed(kernel, *margins) if draw(st.booleans()) else kernel


@given(
    drawn_psfs(40),
    st.tuples(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3])),
    st.sampled_from(BORDERS),
    st.sampled_from([np.uint8, np.float32]),
    st.sampled_from([0, 500]),
)
def test_equals_scipy_signal_for_any_size(kernel, shape, border, dtype, price):
    images = as_dtype(texture(1, *shape), dtype)
    with pytest.MonkeyPatch.context() as monkeypatch:
        price_of_fourier(monkeypatch, price)
        (got,) = convolve(images, kernel, border)
    assert_exact(got, images[0], kernel, border)


@pytest.mark.fuzz
@given(
    drawn_psfs(120),
    st.tuples(st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 3])),
    st.sampled_from(BORDERS),
    st.sampled_from([np.uint8, np.float32]),
)
def test_equals_scipy_signal_for_large_sizes(kernel, shape, border, dtype):
    images = as_dtype(texture(1, *shape), dtype)
    (got,) = convolve(images, kernel, border)
    assert_exact(got, images[0], kernel, border)


@pytest.mark.parametrize("engine", PSFS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_tall_and_wide_images_are_cut_into_strips(engine, dtype, monkeypatch):
    choose(engine, monkeypatch)
    for shape, border in [((700, 300, 1), "mirror"), ((40, 1500, 3), "wrap"), ((37, 6001, 1), "replicate")]:
        images = as_dtype(texture(1, *shape), dtype)
        for name in ("even", "off centre"):
            kernel = PSFS[engine][name]
            (got,) = convolve(images, kernel, border)
            # compare rows at the ends and where strips may meet, by a narrow excerpt of columns
            fast = scipy_wide(images[0], kernel, border)
            if dtype == np.float32:
                np.testing.assert_allclose(got, fast, atol=1e-5)
            else:
                off = abs(got - np.clip(fast, 0, 255))
                assert off.max() < 0.501


def scipy_wide(image, kernel, border):
    rows, columns = kernel.shape
    pads = ((rows - 1 - rows // 2, rows // 2), (columns - 1 - columns // 2, columns // 2), (0, 0))
    padded = np.pad(image.astype(np.float64), pads, PAD_MODES[border])
    return scipy.signal.fftconvolve(padded, kernel[..., None], "valid", axes=(0, 1))


@pytest.mark.parametrize(("engine", "name"), [c for c in CASES if max(PSFS[c[0]][c[1]].shape) < 42])
def test_equals_scipy_ndimage(engine, name, monkeypatch):
    choose(engine, monkeypatch)
    kernel = PSFS[engine][name]
    images = as_dtype(texture(1, 60, 53), np.float32)
    modes = {"replicate": "nearest", "nearest": "nearest", "reflect": "reflect", "mirror": "mirror"}
    for border, mode in {**modes, "wrap": "wrap", "constant": "constant"}.items():
        expected = scipy.ndimage.convolve(images[0, ..., 0].astype(np.float64), kernel, mode=mode, cval=0.25)
        got = convolve(images, kernel, border, outside=0.25)
        np.testing.assert_allclose(got[0, ..., 0], expected, atol=1e-5, err_msg=border)


def test_one_bright_point_becomes_the_psf(monkeypatch):
    for engine, kinds in PSFS.items():
        choose(engine, monkeypatch)
        for kernel in kinds.values():
            size = 2 * max(kernel.shape) + 1
            images = np.zeros((1, size, size), np.float32)
            images[0, size // 2, size // 2] = 1
            (got,) = convolve(images, kernel, "constant")
            top, left = size // 2 - kernel.shape[0] // 2, size // 2 - kernel.shape[1] // 2
            expected = np.zeros((size, size))
            expected[top : top + kernel.shape[0], left : left + kernel.shape[1]] = kernel
            np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize(("engine", "name"), CASES)
def test_constants_are_preserved(engine, name, monkeypatch):
    choose(engine, monkeypatch)
    kernel = PSFS[engine][name]
    for border in BORDERS:
        for value in (0, 1, 77, 254, 255):
            images = np.full((1, 19, 23), value, np.uint8)
            np.testing.assert_array_equal(convolve(images, kernel, border, outside=value), images)
        images = np.full((1, 19, 23, 3), 0.7, np.float32)
        np.testing.assert_allclose(convolve(images, kernel, border, outside=0.7), images, atol=1e-6)


@pytest.mark.parametrize("engine", PSFS)
def test_linear(engine, monkeypatch):
    choose(engine, monkeypatch)
    first, second = as_dtype(texture(2, 30, 31, 3), np.float32)[:, None]
    for kernel in PSFS[engine].values():
        for border in BORDERS:
            together = convolve(0.5 * first - 2 * second, kernel, border)
            apart = 0.5 * convolve(first, kernel, border) - 2 * convolve(second, kernel, border)
            np.testing.assert_allclose(together, apart, atol=2e-5)


@pytest.mark.parametrize("engine", PSFS)
def test_moves_with_the_image(engine, monkeypatch):
    choose(engine, monkeypatch)
    images = texture(1, 50, 44)
    for kernel in PSFS[engine].values():
        moved = convolve(np.roll(images, (3, -5), (1, 2)), kernel, "wrap")
        expected = np.roll(convolve(images, kernel, "wrap"), (3, -5), (1, 2))
        if engine == "fourier":
            assert abs(moved.astype(int) - expected).max() <= 1
        else:
            np.testing.assert_array_equal(moved, expected)


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.sampled_from([1, 3]), st.sampled_from(BORDERS))
def test_a_point_changes_nothing(size, channels, border):
    images = texture(2, *size, channels)
    for kernel in (np.ones((1, 1)), psf.embedded(np.ones((1, 1)), 5), np.eye(1)[None].repeat(2, 0)):
        for dtype in (np.uint8, np.float32):
            typed = images.astype(dtype)
            np.testing.assert_array_equal(convolve(typed, kernel, border), typed)


def mixed_batch():
    kernels = [psf.motion(7, 30), psf.gaussian(25, 3.0), psf.box(9), psf.disk(12.4), psf.box(25), psf.disk(2)]
    return np.stack([psf.embedded(kernel, 25) for kernel in kernels])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("border", BORDERS)
def test_a_batch_equals_its_singles_whatever_the_threads(dtype, border, monkeypatch):
    kernels = mixed_batch()
    price_of_fourier(monkeypatch, 100)
    assert set(engines_of(kernels, monkeypatch)) == set(ENGINES.values())
    for shape in [(21, 13, 1), (30, 41, 3), (200, 30, 1)]:
        images = as_dtype(texture(6, *shape), dtype)
        singles = np.concatenate(
            [convolve(images[n : n + 1], kernels[n], border, outside=9) for n in range(6)]
        )
        for threads in (1, 2, 3, 16, None):
            batch = convolve(images, kernels, border, outside=9, threads=threads)
            np.testing.assert_array_equal(batch, singles)
        order = [3, 1, 5, 0, 4, 2]
        np.testing.assert_array_equal(
            convolve(images[order], kernels[order], border, outside=9), singles[order]
        )
    for kernel in kernels:
        one_for_all = convolve(images, kernel, border, threads=2)
        singles = [convolve(images[n : n + 1], kernel, border)[0] for n in range(6)]
        np.testing.assert_array_equal(one_for_all, np.stack(singles))


def test_shapes_and_layouts():
    images = texture(3, 20, 18, 3)
    kernel = psf.motion(5, 20)
    expected = convolve(images, kernel)
    assert expected.shape == images.shape
    for n in range(3):
        got = convolve(np.ascontiguousarray(images[..., n]), kernel)
        assert got.shape == (3, 20, 18)
        np.testing.assert_array_equal(got, expected[..., n])
        np.testing.assert_array_equal(convolve(images[..., n], kernel), got)
    np.testing.assert_array_equal(convolve(np.asfortranarray(images), kernel), expected)
    double = images.repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(convolve(double[:, ::2, ::2], kernel), expected)
    turned = convolve(images[:, ::-1, ::-1], kernel[::-1, ::-1])
    np.testing.assert_array_equal(turned[:, ::-1, ::-1], expected)
    for other in (kernel.astype(np.float32), kernel[None], np.asfortranarray(kernel), kernel.tolist()):
        np.testing.assert_array_equal(convolve(images, other), expected)
    np.testing.assert_array_equal(convolve(images, np.ones((1, 1), int)), images)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_inputs_are_left_alone(dtype):
    images = as_dtype(texture(6, 20, 18), dtype)
    kernels = mixed_batch()
    images.setflags(write=False)
    kernels.setflags(write=False)
    copies = images.copy(), kernels.copy()
    got = convolve(images, kernels)
    assert not np.shares_memory(got, images)
    assert got.flags.writeable
    np.testing.assert_array_equal(images, copies[0])
    np.testing.assert_array_equal(kernels, copies[1])
    np.testing.assert_array_equal(convolve(copies[0], copies[1]), got)


@pytest.mark.parametrize("engine", PSFS)
def test_light_from_outside(engine, monkeypatch):
    choose(engine, monkeypatch)
    images = np.zeros((1, 11, 9), np.float32)
    for name, kernel in PSFS[engine].items():
        got = convolve(images, kernel, "constant", outside=1.0)[0]
        expected = 1 - slow_convolve(np.ones((11, 9, 1)), kernel, "constant")[..., 0]
        np.testing.assert_allclose(got, expected, atol=1e-5, err_msg=name)
        got = convolve(images.astype(np.uint8), kernel, "constant", outside=200)[0]
        np.testing.assert_allclose(got, 200 * expected, atol=0.501, err_msg=name)


def test_bytes_are_rounded_half_up():
    images = np.array([[[0, 1, 2, 3, 4, 254, 255]]], np.uint8)
    np.testing.assert_array_equal(convolve(images, psf.box((1, 2)))[0, 0], [1, 2, 3, 4, 129, 255, 255])


BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


@pytest.mark.parametrize(
    ("engine", "kernel"),
    [
        ("taps", psf.box(4)),
        ("taps", np.array([[1, 0, 2], [3, 5, 4], [0, 1, 0]]) / 16),
        ("box", psf.box(8)),
        ("box", psf.box((4, 32))),
        ("separable", BINOMIAL),
    ],
    ids=str,
)
def test_ties_of_bytes_are_rounded_up(engine, kernel, monkeypatch):
    # weights without rounding: every result is known exactly
    assert engines_of([kernel], monkeypatch) == [ENGINES[engine]]
    images = texture(1, 90, 80)
    exact = slow_convolve(images[0], kernel, "reflect")
    assert (exact % 1 == 0.5).any()
    np.testing.assert_array_equal(convolve(images, kernel, "reflect")[0], np.floor(exact + 0.5))


def test_floats_of_any_scale(monkeypatch):
    images = as_dtype(texture(1, 30, 40), np.float32)
    for engine, kinds in PSFS.items():
        choose(engine, monkeypatch)
        for name, kernel in kinds.items():
            expected = convolve(images, kernel)
            for scale in (2.0**100, 2.0**-80, -(2.0**10)):
                got = convolve(images * np.float32(scale), kernel) / np.float32(scale)
                np.testing.assert_allclose(got, expected, atol=1e-5, err_msg=f"{engine} {name}")


@pytest.mark.parametrize(
    "kernel",
    [
        psf.box(4095),
        psf.disk(1000),
        framed(np.ones((1, 1)), 0, 0, 15_000, 15_000),
        np.full((1, 30_001), 1 / 30_001),
        np.full((25_001, 1), 1 / 25_001),
    ],
    ids=lambda kernel: f"{kernel.shape[0]} x {kernel.shape[1]}",
)
def test_psfs_may_be_huge(kernel):
    images = np.full((1, 3, 4), 9, np.uint8)
    np.testing.assert_array_equal(convolve(images, kernel), images)


@pytest.mark.parametrize("size", [9, 55, 115])
def test_a_faint_veil_is_not_lost(size):
    # a bright core in a veil so faint that the PSF seems an outer product
    kernel = np.full((size, size), 3.9e-7)
    kernel[size // 2, size // 2] = 1
    kernel /= kernel.sum()
    images = np.full((1, 130, 130), 1, np.float32)
    images[0, 65, 65] = 0
    (got,) = convolve(images, kernel)
    assert got[65, 65] == pytest.approx(1 - kernel[size // 2, size // 2], abs=1e-4)


@pytest.mark.parametrize("engine", PSFS)
def test_contrast_of_a_million(engine, monkeypatch):
    choose(engine, monkeypatch)
    # after a bright stripe, running sums must not keep a trace of it
    images = np.full((1, 400, 20), 1e-3, np.float32)
    images[:, :40] = 1e3
    for name, kernel in PSFS[engine].items():
        got = convolve(images, kernel)
        exact = slow_convolve(images[0, ..., None], kernel, "replicate")[..., 0]
        np.testing.assert_allclose(got[0], exact, atol=1e-4 * 1e3 / 10, err_msg=name)


IMAGES = np.zeros((2, 8, 9), np.uint8)
POINT = np.ones((1, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1]], POINT), "images are a list; a NumPy array is needed"),
        ((IMAGES.astype(np.uint16), POINT), "images are uint16; uint8 or float32 is needed"),
        ((IMAGES.astype(np.float64), POINT), "images are float64; uint8 or float32 is needed"),
        ((IMAGES.astype(bool), POINT), "images are bool; uint8 or float32 is needed"),
        (
            (IMAGES[0], POINT),
            "images have the shape (8, 9); (B, H, W), or (B, H, W, C) with C 1 or 3, is needed",
        ),
        (
            (IMAGES[..., None, None], POINT),
            "images have the shape (2, 8, 9, 1, 1); (B, H, W), or (B, H, W, C) with C 1 or 3, is needed",
        ),
        (
            (np.zeros((2, 8, 9, 4), np.uint8), POINT),
            "images have the shape (2, 8, 9, 4); (B, H, W), or (B, H, W, C) with C 1 or 3, is needed",
        ),
        ((IMAGES[:, :0], POINT), "images have the shape (2, 0, 9): there are no pixels"),
        ((IMAGES[:0], POINT), "images have the shape (0, 8, 9): there are no pixels"),
        (
            (IMAGES.astype(np.float32) + np.float32([[[0]], [[np.nan]]]), POINT),
            "image 1 holds NaN or infinite values",
        ),
        (
            (IMAGES.astype(np.float32) - np.float32([[[np.inf]], [[0]]]), POINT),
            "image 0 holds NaN or infinite values",
        ),
        (
            (IMAGES, np.ones(1)),
            "PSFs are float64 of shape (1,); numbers of shape (h, w) or (B, h, w) are needed",
        ),
        (
            (IMAGES, np.ones((1, 1, 1, 1))),
            "PSFs are float64 of shape (1, 1, 1, 1); numbers of shape (h, w) or (B, h, w) are needed",
        ),
        (
            (IMAGES, np.ones((0, 3))),
            "PSFs are float64 of shape (0, 3); numbers of shape (h, w) or (B, h, w) are needed",
        ),
        (
            (IMAGES, POINT * 1j),
            "PSFs are complex128 of shape (1, 1); numbers of shape (h, w) or (B, h, w) are needed",
        ),
        (
            (IMAGES, [["1"]]),
            "PSFs are <U1 of shape (1, 1); numbers of shape (h, w) or (B, h, w) are needed",
        ),
        (
            (IMAGES, np.ones((3, 1, 1))),
            "there are 3 PSFs for 2 images; one, or one for each, is needed",
        ),
        ((IMAGES, np.array([[[1.0]], [[np.nan]]])), "PSF 1 holds NaN or infinite values"),
        ((IMAGES, np.array([[np.inf]])), "PSF 0 holds NaN or infinite values"),
        ((IMAGES, np.array([[[1.0, 0]], [[1.5, -0.5]]])), "PSF 1 holds negative values"),
        ((IMAGES, np.array([[-1.0, 2]])), "PSF 0 holds negative values"),
        ((IMAGES, np.full((3, 3), 1.0)), "PSF 0 sums to 9; a PSF sums to 1 (divide it by its sum)"),
        ((IMAGES, POINT * 0.99), "PSF 0 sums to 0.99; a PSF sums to 1 (divide it by its sum)"),
        ((IMAGES, np.zeros((2, 3, 3))), "PSF 0 sums to 0; a PSF sums to 1 (divide it by its sum)"),
        (
            (IMAGES, POINT, "symmetric"),
            "border 'symmetric': allowed are replicate, reflect, mirror, wrap, constant and nearest",
        ),
        (
            (IMAGES, POINT, None),
            "border None: allowed are replicate, reflect, mirror, wrap, constant and nearest",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses(arguments, message):
    with pytest.raises(InputError) as caught:
        convolve(*arguments)
    assert str(caught.value) == message


def test_refuses_threads():
    with pytest.raises(InputError, match=r"^threads 0: a whole number from 1 to 4096 is needed$"):
        convolve(IMAGES, POINT, threads=0)


@pytest.mark.parametrize("outside", [math.nan, math.inf, -1, 256, 0.5, "black", None])
def test_refuses_outside_of_bytes(outside):
    with pytest.raises(InputError) as caught:
        convolve(IMAGES, psf.box(3), "constant", outside=outside)
    assert str(caught.value) == f"outside {outside!r}: a whole number from 0 to 255 is needed"


@pytest.mark.parametrize("outside", [math.nan, math.inf, "black", None])
def test_refuses_outside_of_floats(outside):
    with pytest.raises(InputError) as caught:
        convolve(IMAGES.astype(np.float32), psf.box(3), "constant", outside=outside)
    assert str(caught.value) == f"outside {outside!r}: a finite number is needed"


def test_accepts_sums_to_1_part_in_1000():
    for factor in (0.9995, 1.0005):
        assert convolve(IMAGES + np.uint8(100), psf.box(3) * factor).min() == 100


@pytest.mark.parametrize("border", BORDERS)
def test_border_maps(border):
    for size in (1, 2, 3, 7):
        reach = 3 * size + 2
        at = convolution.border_map(size, reach, border)
        if border == "constant":
            expected = np.pad(np.arange(size), reach, constant_values=-1)
        else:
            expected = np.pad(np.arange(size), reach, PAD_MODES[border])
        np.testing.assert_array_equal(at, expected)


def test_the_public_name():
    assert blurgen.convolve is convolve
