import math

import mpmath
import numpy as np
import pytest
import scipy.ndimage
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import normals_of as made_normals
from strategies import texture

from blurgen import Recipe, degrade
from blurgen.draws import Draws
from blurgen.errors import InputError, RecipeError
from blurgen.loops import noise as loops
from blurgen.loops import poisson, smooth
from blurgen.loops.philox import draw_block, unit
from blurgen.stages.base import KINDS

U = np.uint64
PIXELS, COUNTS = 1 << 30, 3 << 30
SEED = 2**50 + 11

BODIES = {
    "gaussian": ("gaussian_noise", {"sigma": {"uniform": [1, 60]}}),
    "gaussian gray": ("gaussian_noise", {"sigma": {"uniform": [1, 60]}, "channels": "gray"}),
    "gaussian correlated": ("gaussian_noise", {"sigma": {"uniform": [1, 60]}, "channels": "correlated"}),
    "speckle": ("speckle_noise", {"sigma": {"uniform": [0.1, 0.6]}}),
    "speckle gray": ("speckle_noise", {"sigma": 0.3, "channels": "gray"}),
    "speckle correlated": ("speckle_noise", {"sigma": 0.3, "channels": "correlated"}),
    "shot": ("shot_noise", {"peak": {"log_uniform": [2, 500]}, "scale": {"uniform": [0.5, 2]}}),
    "shot gray": ("shot_noise", {"peak": {"log_uniform": [2, 500]}, "channels": "gray"}),
    "poisson gaussian": (
        "poisson_gaussian_noise",
        {"gain": {"log_uniform": [0.01, 30]}, "read_noise": 2, "full_well": {"choice": [0, 40]}},
    ),
    "impulse": ("impulse_noise", {"amount": {"uniform": [0, 0.5]}, "salt": {"uniform": [0, 1]}}),
    "impulse gray": ("impulse_noise", {"amount": 0.2, "channels": "gray"}),
    "quantisation": ("quantisation", {"bits": {"integers": [1, 9]}}),
    "banding": ("banding_noise", {"row_sigma": {"uniform": [0, 9]}, "column_sigma": {"uniform": [0, 9]}}),
    "smooth": ("correlated_noise", {"sigma": {"uniform": [1, 60]}, "radius": {"uniform": [0, 2.5]}}),
    "smooth gray": ("correlated_noise", {"sigma": 20, "radius": {"choice": [0, 1]}, "channels": "gray"}),
}
# those whose noise depends on where a pixel stands in reading order, not on the image's height
BY_PLACE = [name for name in BODIES if not name.startswith(("smooth", "shot gray"))]


def applied(body, images, seed=SEED, start=0):
    """The images after a stage, and its columns."""
    kind, fields = body
    stage = KINDS[kind].from_body(fields)
    draws = Draws(seed, np.arange(start, start + len(images), dtype=np.int64)).stage(0)
    params = stage.sample(draws)
    before = images.copy()
    out = stage.apply(images, params, draws)
    np.testing.assert_array_equal(images, before)
    assert out.dtype == images.dtype
    assert out.shape == images.shape
    return out, params


def words_of(count, index=0, first=0, step=1, stream=PIXELS + 1):
    """The words of blocks first, first + step, …, one by one."""
    blocks = [draw_block(U(SEED), U(index), U(stream), U(first + step * n)) for n in range(-(-count // 4))]
    return np.array(blocks, np.uint32).ravel()[:count]


def normals_of(count, index=0, first=0):
    """The pixels' normal numbers, by SciPy."""
    return scipy.special.ndtri((words_of(count, index, first) + 0.5) / 2**32)


def many_normals(count, index=0):
    out = np.empty(count, np.float32)
    words = np.empty(4 * -(-count // 4), np.uint32)
    loops.fill_normals(U(SEED), U(index), U(PIXELS), U(0), words, out)
    return out


def rounded(values):
    return np.floor(np.clip(values, 0, 255) + 0.5)


# ---- words and normal numbers


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**31),
    st.sampled_from([1, 16]),
    st.integers(0, 21),
)
def test_words_are_philoxes(seed, index, stream, first, step, blocks):
    got = np.empty(4 * blocks, np.uint32)
    loops.fill_words(U(seed), U(index), U(stream), U(first), U(step), got)
    expected = [draw_block(U(seed), U(index), U(stream), U(first + step * n)) for n in range(blocks)]
    np.testing.assert_array_equal(got, np.array(expected, np.uint64).ravel())


def test_normal_numbers_over_the_whole_range():
    tail = np.arange(2000)
    spaced = np.unique(np.geomspace(1, 2**31 - 1, 8000).astype(np.int64))
    middle = 2**31 - 1 - np.arange(2000)
    below = np.concatenate([tail, spaced, middle, np.random.default_rng(1).integers(0, 2**31, 20_000)])
    got = made_normals(below)
    exact = scipy.special.ndtri((below + 0.5) / 2**32)
    assert abs(got - exact).max() < 3e-6
    assert abs((got - exact)[abs(exact) < 1]).max() < 4e-7
    near = (abs(exact) < 0.01) & (exact != 0)
    assert abs(got / exact - 1)[near].max() < 1e-6
    opposite = made_normals(2**32 - 1 - np.asarray(below))
    np.testing.assert_array_equal(opposite, -got.astype(np.float32))
    order = np.argsort(below)
    assert (np.diff(got[order]) >= -1e-6).all()


def test_normal_numbers_by_many_digits():
    for word in (0, 1, 77, 2**20 + 1, 2**31 - 1, 2**31, 2**32 - 1):
        with mpmath.workdps(30):
            exact = mpmath.sqrt(2) * mpmath.erfinv(2 * (mpmath.mpf(word) + 0.5) / 2**32 - 1)
        assert abs(made_normals([word])[0] - float(exact)) < 3e-6


def test_normal_numbers_are_normal():
    values = many_normals(1 << 20)
    assert scipy.stats.kstest(values, "norm").pvalue > 1e-3
    assert abs(values.mean()) < 4 / 2**10
    assert abs(values.var() - 1) < 4 * math.sqrt(2) / 2**10
    assert abs(scipy.stats.skew(values)) < 4 * math.sqrt(6) / 2**10
    assert abs(scipy.stats.kurtosis(values)) < 4 * math.sqrt(24) / 2**10


def test_tails_of_normal_numbers():
    beyond = np.zeros((3, 2))
    total = 0
    for index in range(16):
        values = many_normals(1 << 21, index)
        total += values.size
        beyond += [[(values < -limit).sum(), (values > limit).sum()] for limit in (3, 4, 5)]
    for counts, limit in zip(beyond, (3, 4, 5), strict=True):
        expected = total * scipy.stats.norm.sf(limit)
        assert abs(counts - expected).max() < 4 * math.sqrt(expected)


# ---- every stage


@pytest.mark.parametrize(
    ("name", "channels"), [(name, c) for name in BODIES for c in (1, 3) if c == 3 or "correlated" not in name]
)
def test_floats_are_bytes_before_rounding(name, channels):
    body = BODIES[name]
    images = texture(4, 13, 17, channels)
    of_bytes, params = applied(body, images)
    of_floats, same = applied(body, images.astype(np.float32))
    for column in params:
        np.testing.assert_array_equal(params[column], same[column])
    if name == "shot gray" and channels == 3:  # bytes' luma is rounded
        return
    assert abs(of_bytes - np.clip(of_floats.astype(np.float64), 0, 255)).max() <= 0.5001
    assert (of_bytes != images).any()


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(BODIES)),
    st.sampled_from([np.uint8, np.float32]),
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(0, 2**40),
)
def test_rows_do_not_depend_on_the_batch(name, dtype, height, width, start):
    images = texture(4, height, width, 3).astype(dtype)
    whole, _ = applied(BODIES[name], images, start=start)
    for n in range(4):
        alone, _ = applied(BODIES[name], images[n : n + 1], start=start + n)
        np.testing.assert_array_equal(alone[0], whole[n])
    turned, _ = applied(BODIES[name], images.transpose(0, 2, 1, 3), start=start)
    contiguous, _ = applied(BODIES[name], np.ascontiguousarray(images.transpose(0, 2, 1, 3)), start=start)
    np.testing.assert_array_equal(turned, contiguous)


@pytest.mark.parametrize("name", BY_PLACE)
def test_noise_of_a_pixel_is_its_own(name):
    """Several chunks long, and cut off anywhere, the images have the same noise."""
    images = texture(2, 70, 71, 3)
    whole, _ = applied(BODIES[name], images)
    for height in (1, 2, 43, 44):
        part, _ = applied(BODIES[name], images[:, :height])
        np.testing.assert_array_equal(part, whole[:, :height])
    other = images.copy()
    other[:, 33, 5:] = 255 - other[:, 33, 5:]
    changed, _ = applied(BODIES[name], other)
    untouched = np.ones((70, 71), bool)
    untouched[33, 5:] = False
    np.testing.assert_array_equal(changed[:, untouched], whole[:, untouched])


@pytest.mark.parametrize("name", [name for name in BODIES if "gray" in name])
def test_gray_noise_is_that_of_a_gray_image(name):
    gray = texture(3, 20, 70)
    colour = np.repeat(gray, 3, axis=3)
    of_gray, _ = applied(BODIES[name], gray)
    of_colour, _ = applied(BODIES[name], colour)
    np.testing.assert_array_equal(of_colour, np.repeat(of_gray, 3, axis=3))


@pytest.mark.parametrize("name", BODIES)
def test_recipes_with_noise(name):
    kind, fields = BODIES[name]
    recipe = Recipe.from_dict({"name": "n", "stages": [{kind: fields}]})
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    images = texture(9, 24, 30, 3)
    one = degrade(images, recipe, seed=4, threads=1)
    two = degrade(images, recipe, seed=4, threads=2)
    np.testing.assert_array_equal(one.blurred, two.blurred)
    np.testing.assert_array_equal(one.sharp, images)
    assert (degrade(images, recipe, seed=5).blurred != one.blurred).any()


NO_NOISE = [
    ("gaussian_noise", {"sigma": 0}),
    ("speckle_noise", {"sigma": 0}),
    ("impulse_noise", {"amount": 0}),
    ("banding_noise", None),
    ("correlated_noise", {"sigma": 0, "radius": 3}),
    ("shot_noise", {"peak": 10, "scale": 0}),
    ("quantisation", {"bits": 8}),
    ("quantisation", {"bits": 11}),
]


@pytest.mark.parametrize("body", NO_NOISE, ids=str)
def test_none(body):
    images = texture(2, 9, 11, 3)
    np.testing.assert_array_equal(applied(body, images)[0], images)
    if body[0] != "quantisation":
        floats = images.astype(np.float32) + np.float32(0.25)
        np.testing.assert_array_equal(applied(body, floats)[0], floats)


@pytest.mark.parametrize("name", ["gaussian", "speckle", "shot", "poisson gaussian", "banding", "smooth"])
def test_floats_are_not_clipped(name):
    floats = np.full((3, 40, 40, 3), 255, np.float32)
    floats[:, :20] = 1000
    out, _ = applied(BODIES[name], floats)
    assert out.max() > 1000
    if name in ("gaussian", "banding", "smooth"):
        assert applied(BODIES[name], np.zeros_like(floats))[0].min() < 0


REFUSED = [
    ({"gaussian_noise": {"sigma": 256}}, "0 … 255"),
    ({"gaussian_noise": {"sigma": 3, "channels": "grey"}}, "'independent', 'gray' or 'correlated'"),
    ({"speckle_noise": {"sigma": -1}}, "0 … 10"),
    ({"shot_noise": {"peak": 0}}, "0.1 … 1e\\+07"),
    ({"shot_noise": {"peak": 9, "channels": "correlated"}}, "'independent' or 'gray'"),
    ({"poisson_gaussian_noise": {"gain": 0}}, "0.0001 … 255"),
    ({"poisson_gaussian_noise": {"read_noise": 1}}, "gain: field required"),
    ({"impulse_noise": {"amount": 1.5}}, "0 … 1"),
    ({"quantisation": {"bits": {"uniform": [2, 8]}}}, "only whole numbers"),
    ({"quantisation": {"bits": 17}}, "1 … 16"),
    ({"banding_noise": {"rows": 1}}, "there is no field 'rows'"),
    ({"correlated_noise": {"sigma": 1, "radius": 51}}, "0 … 50"),
]


@pytest.mark.parametrize(("stage", "message"), REFUSED, ids=str)
def test_recipes_refused(stage, message):
    (kind,) = stage
    with pytest.raises(RecipeError, match=rf"stage 0 \({kind}\): .*{message}"):
        Recipe.from_dict({"name": "n", "stages": [stage]})


def test_images_refused():
    correlated = KINDS["speckle_noise"].from_body({"sigma": 1, "channels": "correlated"})
    assert correlated.output_shape((5, 6, 3)) == (5, 6, 3)
    with pytest.raises(
        InputError, match=r"^stage 'speckle_noise' needs RGB images for channels 'correlated'"
    ):
        correlated.output_shape((5, 6, 1))
    shot = KINDS["shot_noise"].from_body({"peak": 1})
    assert shot.output_shape((2**14, 2**14, 1)) == (2**14, 2**14, 1)
    with pytest.raises(InputError, match=r"^stage 'shot_noise' needs images of at most 268435456 values"):
        shot.output_shape((2**14, 2**14, 3))


# ---- gaussian and speckle noise


@pytest.mark.parametrize("kind", ["gaussian_noise", "speckle_noise"])
@pytest.mark.parametrize("channels", ["independent", "gray", "correlated"])
def test_normal_noise_by_its_formula(kind, channels):
    images = texture(2, 30, 40, 3).astype(np.float32)
    out, params = applied((kind, {"sigma": 0.5, "channels": channels}), images, start=7)
    for n, (image, made) in enumerate(zip(images.astype(np.float64), out, strict=True)):
        if channels == "gray":
            noise = normals_of(1200, 7 + n).reshape(30, 40, 1)
        else:
            noise = normals_of(3600, 7 + n).reshape(30, 40, 3)
        if channels == "correlated":
            lower = np.linalg.cholesky(covariance_of(params, n))
            noise = noise @ lower.T
        expected = image + 0.5 * noise * (image if kind == "speckle_noise" else 1)
        np.testing.assert_allclose(made, expected, rtol=0, atol=1e-3 if kind == "speckle_noise" else 4e-5)


def covariance_of(params, n):
    value = {pair: params[f"covariance_{pair}"][n] for pair in ("rr", "rg", "rb", "gg", "gb", "bb")}
    return np.array([[value["".join(sorted(a + b, key="rgb".index))] for b in "rgb"] for a in "rgb"])


def test_covariances_are_bsrgans():
    stage = KINDS["gaussian_noise"].from_body({"sigma": 5, "channels": "correlated"})
    draws = Draws(SEED, np.arange(300)).stage(2)
    params = stage.sample(draws)
    assert list(params) == ["sigma", *(f"covariance_{pair}" for pair in ("rr", "rg", "rb", "gg", "gb", "bb"))]
    uniform = np.array([draws.uniform(16 + n) for n in range(12)])
    for n in range(300):
        u, _, _ = np.linalg.svd(uniform[3:, n].reshape(3, 3))
        expected = abs(u.T @ np.diag(uniform[:3, n]) @ u)
        np.testing.assert_allclose(covariance_of(params, n), expected, rtol=0, atol=1e-9)
        assert np.linalg.eigvalsh(covariance_of(params, n)).min() > -1e-12


def test_correlated_channels_have_their_covariance():
    images = np.full((2, 300, 300, 3), 500, np.float32)
    out, params = applied(("gaussian_noise", {"sigma": 10, "channels": "correlated"}), images)
    for n in range(2):
        got = np.cov(out[n].reshape(-1, 3).T.astype(np.float64))
        np.testing.assert_allclose(got, 100 * covariance_of(params, n), atol=4 * 100 * math.sqrt(2 / 90_000))


def test_channels_are_independent_or_the_same():
    images = np.full((1, 300, 300, 3), 128, np.float32)
    independent, _ = applied(("gaussian_noise", {"sigma": 10}), images)
    got = np.corrcoef(independent.reshape(-1, 3).T)
    assert abs(got - np.eye(3)).max() < 4 / 300
    gray, _ = applied(("gaussian_noise", {"sigma": 10, "channels": "gray"}), images)
    np.testing.assert_array_equal(gray, np.repeat(gray[..., :1], 3, axis=3))


@pytest.mark.parametrize(
    ("body", "scale"),
    [
        (("gaussian_noise", {"sigma": 12.5}), 12.5),
        (("gaussian_noise", {"sigma": 12.5, "channels": "gray"}), 12.5),
        (("speckle_noise", {"sigma": 0.25}), 50),
        (("correlated_noise", {"sigma": 7, "radius": 0}), 7),
    ],
    ids=str,
)
def test_noise_is_normal(body, scale):
    out, _ = applied(body, np.full((4, 100, 100, 1), 200, np.float32))
    assert scipy.stats.kstest(out.ravel(), "norm", args=(200, scale)).pvalue > 1e-3


# ---- Poisson


RATES = [0.01, 0.3, 1, 4, 9.99, 10, 10.01, 17, 33, 100, 1000, 10_000]


def counts_of(rate, count, index=0):
    out = np.empty(count, np.float32)
    known = np.empty((3, count))
    poisson.prepare(np.full(count, rate), 1.0, known)
    words = np.empty(4 * count, np.uint32)
    poisson.fill_counts(known, words, U(SEED), U(index), U(COUNTS), 0, out)
    return out.astype(np.int64)


@pytest.mark.parametrize("rate", RATES)
def test_counts_are_poisson(rate):
    count = 1 << 20
    got = counts_of(rate, count)
    law = scipy.stats.poisson(rate)
    low, high = int(law.ppf(1e-4)), int(law.ppf(1 - 1e-4))
    expected = np.concatenate([[law.cdf(low - 1)], law.pmf(np.arange(low, high + 1)), [law.sf(high)]]) * count
    observed = np.bincount(np.clip(got, low - 1, high + 1) - (low - 1), minlength=high - low + 3)
    while expected.size > 2 and expected[0] < 8:
        expected[1] += expected[0]
        observed[1] += observed[0]
        expected, observed = expected[1:], observed[1:]
    while expected.size > 2 and expected[-1] < 8:
        expected[-2] += expected[-1]
        observed[-2] += observed[-1]
        expected, observed = expected[:-1], observed[:-1]
    statistic = ((observed - expected) ** 2 / expected).sum()
    assert scipy.stats.chi2.sf(statistic, expected.size - 1) > 1e-3
    assert abs(got.mean() - rate) < 4 * math.sqrt(rate / count)
    assert abs(got.var() - rate) < 4 * math.sqrt((rate + 2 * rate * rate) / count)


@pytest.mark.parametrize("rate", [1e5, 1e6, 3e7])
def test_counts_of_much_light(rate):
    got = np.concatenate([counts_of(rate, 1 << 17, index) for index in range(2)])
    # float32 holds whole numbers to 2²⁴, and these are few of its steps wide
    assert scipy.stats.kstest((got - rate) / math.sqrt(rate), "norm").statistic < 0.004
    assert abs(got.mean() / rate - 1) < 4 / math.sqrt(rate * got.size)
    assert got.var() / rate == pytest.approx(1, abs=4 * math.sqrt(2 / got.size))


def plain_count(rate, blocks):
    """A Poisson number by the published algorithms, from the blocks of a pixel's attempts."""
    if rate < 10:
        u = unit(*blocks[0][:2])
        k, share, total = 0, math.exp(-rate), math.exp(-rate)
        while u >= total:
            k += 1
            share *= rate / k
            total += share
        return k
    slam, loglam = math.sqrt(rate), math.log(rate)
    b = 0.931 + 2.53 * slam
    a = -0.059 + 0.02483 * b
    inverse_alpha, vr = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2)
    for block in blocks:
        u = unit(*block[:2]) - 0.5 + 2.0**-54
        v = unit(*block[2:])
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + rate + 0.43)
        if us >= 0.07 and v <= vr:
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        left = math.log(v + 2.0**-54) + math.log(inverse_alpha) - math.log(a / us**2 + b)
        if left <= -rate + k * loglam - math.lgamma(k + 1):
            return k
    raise AssertionError


@pytest.mark.parametrize("rate", [*RATES, 12.3, 1e5])
def test_counts_by_the_published_algorithms(rate):
    blocks = [
        [draw_block(U(SEED), U(3), U(COUNTS), U(16 * p + attempt)) for attempt in range(16)]
        for p in range(300)
    ]
    expected = [plain_count(rate, of_pixel) for of_pixel in blocks]
    np.testing.assert_array_equal(counts_of(rate, 300, 3), expected)


def test_no_light_and_less():
    images = np.array([0.0, -50.0], np.float32).reshape(2, 1, 1, 1)
    out, _ = applied(("poisson_gaussian_noise", {"gain": 1}), images)
    assert out[0] == 0
    assert out[1] == 0
    assert applied(("shot_noise", {"peak": 5}), images)[0].max() == 0


def test_poisson_gaussian_noise_by_its_formula():
    images = texture(3, 20, 21, 3)
    body = ("poisson_gaussian_noise", {"gain": 0.7, "read_noise": 3.5, "full_well": 200})
    for kind in (np.uint8, np.float32):
        out, _ = applied(body, images.astype(kind), start=2)
        for n in range(3):
            blocks = words_of(4 * 16 * 1260, 2 + n, stream=COUNTS + 1).reshape(1260, 16, 4).astype(np.uint64)
            counts = [
                plain_count(x / 0.7, list(of_pixel))
                for x, of_pixel in zip(images[n].ravel().tolist(), blocks, strict=True)
            ]
            expected = 0.7 * (np.minimum(counts, 200) + 3.5 * normals_of(1260, 2 + n))
            if kind is np.uint8:
                assert abs(out[n].ravel() - np.clip(expected, 0, 255)).max() <= 0.5001
            else:
                np.testing.assert_allclose(out[n].ravel(), expected, rtol=0, atol=1e-4)


def test_poisson_gaussian_moments_and_full_well():
    images = np.full((1, 400, 400, 1), 100, np.float32)
    out, _ = applied(("poisson_gaussian_noise", {"gain": 0.5, "read_noise": 4}), images)
    assert out.mean() == pytest.approx(100, abs=4 * math.sqrt(54) / 400)
    assert out.var(dtype=np.float64) == pytest.approx(0.5 * 100 + (0.5 * 4) ** 2, rel=4 * math.sqrt(2) / 400)
    full, _ = applied(("poisson_gaussian_noise", {"gain": 0.5, "full_well": 180}), images)
    assert full.max() == 90
    assert (full == 90).mean() == pytest.approx(scipy.stats.poisson.sf(179, 200), abs=4 * 0.5 / 400)


def test_shot_noise_is_imagenet_cs_and_real_esrgans():
    images = np.full((1, 300, 300, 3), 64, np.float32)
    out, _ = applied(("shot_noise", {"peak": 60}), images)
    levels = out.astype(np.float64) * 60 / 255
    assert abs(levels - np.round(levels)).max() < 1e-4
    assert levels.mean() == pytest.approx(64 / 255 * 60, abs=4 * math.sqrt(15 / levels.size))
    assert levels.var() == pytest.approx(64 / 255 * 60, rel=0.02)
    scaled, _ = applied(("shot_noise", {"peak": 60, "scale": 2.5}), images)
    np.testing.assert_allclose(scaled - 64, 2.5 * (out.astype(np.float64) - 64), atol=1e-3)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_gray_shot_noise_is_that_of_the_luma(kind):
    images = texture(2, 20, 30, 3).astype(kind)
    out, _ = applied(("shot_noise", {"peak": 256, "scale": 0.1, "channels": "gray"}), images)
    r, g, b = np.moveaxis(images.astype(np.float64), 3, 0)
    luma = (0.299 * r + 0.587 * g + 0.114 * b)[..., None]
    if kind is np.uint8:
        luma = np.floor(luma + 0.5)
    of_luma, _ = applied(("shot_noise", {"peak": 256, "scale": 1}), luma.astype(np.float32))
    expected = images + 0.1 * (of_luma.astype(np.float64) - luma)
    if kind is np.uint8:
        assert abs(out - np.clip(expected, 0, 255)).max() <= 0.5001
    else:
        # a rate that rounding moves may give another count
        assert (abs(out - expected) < 1e-3).mean() > 0.999


# ---- impulses, levels, bands


def test_impulses_by_their_formula():
    images = texture(2, 30, 40, 3)
    out, _ = applied(("impulse_noise", {"amount": 0.3, "salt": 0.25}), images)
    for n in range(2):
        u = words_of(3600, n).reshape(30, 40, 3) / 2**32
        expected = np.where(u < 0.3, np.where(u < 0.3 * 0.25, 255, 0), images[n])
        np.testing.assert_array_equal(out[n], expected)


@pytest.mark.parametrize(("amount", "salt"), [(0.03, 0.5), (0.27, 0.5), (0.5, 0.9), (1, 0.3), (1, 1)])
def test_shares_of_impulses(amount, salt):
    out, _ = applied(
        ("impulse_noise", {"amount": amount, "salt": salt}), np.full((1, 300, 300, 3), 9, np.uint8)
    )
    for value, share in ((255, amount * salt), (0, amount * (1 - salt)), (9, 1 - amount)):
        count = (out == value).sum()
        assert abs(count - share * out.size) <= 4 * math.sqrt(share * (1 - share) * out.size)


@pytest.mark.parametrize("bits", range(1, 17))
def test_quantisation(bits):
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    out, _ = applied(("quantisation", {"bits": bits}), levels)
    steps = 2**bits - 1
    for x, got in zip(range(256), out.ravel().tolist(), strict=True):
        nearest = int(mpmath.floor(mpmath.mpf(x * steps) / 255 + mpmath.mpf(1) / 2))
        assert got == int(mpmath.floor(mpmath.mpf(nearest * 255) / steps + mpmath.mpf(1) / 2))
    assert np.unique(out).size == min(256, steps + 1)
    floats = np.linspace(-40, 400, 2001, dtype=np.float32).reshape(1, 1, -1, 1)
    made = applied(("quantisation", {"bits": bits}), floats)[0].astype(np.float64)
    assert abs(made - np.clip(floats, 0, 255)).max() <= 127.5 / steps + 1e-4
    assert abs(made * steps / 255 - np.round(made * steps / 255)).max() < 1e-2
    assert made.min() == 0
    assert made.max() == 255


def test_bands_by_their_formula():
    images = texture(2, 30, 50, 3).astype(np.float32)
    out, _ = applied(("banding_noise", {"row_sigma": 3, "column_sigma": 0.5}), images)
    for n in range(2):
        noise = 3 * normals_of(30, n)[:, None, None] + 0.5 * normals_of(50, n, 2**31)[:, None]
        np.testing.assert_allclose(out[n], images[n] + noise, rtol=0, atol=1e-4)


def test_bands_are_normal():
    out, _ = applied(("banding_noise", {"row_sigma": 5}), np.zeros((40, 100, 2, 1), np.float32))
    np.testing.assert_array_equal(out[:, :, 0], out[:, :, 1])
    assert scipy.stats.kstest(out[:, :, 0].ravel(), "norm", args=(0, 5)).pvalue > 1e-3
    out, _ = applied(("banding_noise", {"column_sigma": 5}), np.zeros((40, 2, 100, 1), np.float32))
    np.testing.assert_array_equal(out[:, 0], out[:, 1])
    assert scipy.stats.kstest(out[:, 0].ravel(), "norm", args=(0, 5)).pvalue > 1e-3


# ---- correlated noise


@pytest.mark.parametrize("channels", ["independent", "gray"])
@pytest.mark.parametrize("radius", [0, 0.3, 1, 2.2])
def test_smooth_noise_by_its_formula(radius, channels):
    images = texture(1, 9, 14, 3).astype(np.float32)
    body = ("correlated_noise", {"sigma": 8, "radius": radius, "channels": channels})
    out, _ = applied(body, images, start=5)
    reach = math.ceil(4 * radius)
    t = np.arange(-reach, reach + 1)
    weights = np.exp(-(t**2) / (2 * radius**2)) if radius else np.ones(1)
    weights /= math.sqrt((weights**2).sum())
    own = 3 if channels == "independent" else 1
    shape = (9 + 2 * reach, 14 + 2 * reach, own)
    white = normals_of(math.prod(shape), 5).reshape(shape)
    for axis in (0, 1):
        white = scipy.ndimage.correlate1d(white, weights, axis)
    noise = white[reach : reach + 9, reach : reach + 14]
    np.testing.assert_allclose(out[0], images[0] + 8 * noise, rtol=0, atol=2e-4)


@pytest.mark.parametrize("radius", [0.05, 0.5, 1, 3, 50])
def test_weights_of_smooth_noise(radius):
    weights = smooth.weights_of(radius).astype(np.float64)
    assert weights.size == 2 * math.ceil(4 * radius) + 1
    assert (weights**2).sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(weights, weights[::-1])


@pytest.mark.parametrize("radius", [0.7, 1.5, 3])
def test_smooth_noise_has_its_autocorrelation_everywhere(radius):
    body = ("correlated_noise", {"sigma": 10, "radius": radius})
    out, _ = applied(body, np.zeros((400, 24, 24, 1), np.float32))
    noise = out[..., 0].astype(np.float64)
    within = 4 * math.sqrt(2 * math.pi) * radius / math.sqrt(noise.size)
    for distance in (1, 2, 4):
        expected = math.exp(-(distance**2) / (4 * radius**2))
        for axis in (1, 2):
            a, b = np.arange(24 - distance), np.arange(distance, 24)
            got = (noise.take(a, axis) * noise.take(b, axis)).mean() / 100
            assert abs(got - expected) < 2 * within + 0.002
    # as strong at the border as inside, in every channel
    assert noise[:, 0].var() == pytest.approx(100, rel=0.12)
    assert noise[:, :, -1].var() == pytest.approx(100, rel=0.12)
    assert noise[:, 12, 12].var() == pytest.approx(100, rel=4 * math.sqrt(2 / 400))
    assert noise.var() == pytest.approx(100, rel=2 * within)
    assert scipy.stats.kstest(noise[:, 12, 12], "norm", args=(0, 10)).pvalue > 1e-3
