import cmath
import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.stats
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import texture

from blurgen import Recipe, convolve, degrade, psf
from blurgen.draws import Draws
from blurgen.errors import InputError, RecipeError
from blurgen.loops import jerky, lanes, matern, paths, shake
from blurgen.loops.philox import draw_block, unit
from blurgen.psf.camera_shake import PUBLISHED
from blurgen.psf.levi_shake import levi_columns, stacked
from blurgen.psf.path import draws_of

SEEDS = st.integers(0, 2**64 - 1)
INDICES = st.integers(0, 2**48)
SHAKES = st.fixed_dictionaries(
    {
        "centripetal": st.floats(0, 5),
        "impulses": st.floats(0, 10),
        "gaussian": st.floats(0, 100),
        "anxiety": st.floats(0, 1),
        "angle": st.floats(-1e4, 1e4),
        "length": st.floats(0, 90),
    }
)


def recipe(*stages):
    return Recipe.from_dict({"name": "r", "stages": list(stages)})


def moments(kernel):
    rows, columns = np.indices(kernel.shape) - kernel.shape[-1] // 2
    wide = kernel.astype(np.float64)
    return wide.sum(), (wide * columns).sum(), (wide * rows).sum()


def assert_is_centred_psf(kernel, tolerance=1e-6):
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert (kernel >= 0).all()
    whole, x, y = moments(kernel)
    assert whole == pytest.approx(1, abs=tolerance)
    assert abs(x) < tolerance * kernel.shape[0]
    assert abs(y) < tolerance * kernel.shape[0]


def slow_psf(points, weights, size):
    """Bilinear weights of points about their centroid, whole arrays at a time."""
    weights = np.asarray(weights, float) / np.sum(weights)
    points = points - (weights[:, None] * points).sum(axis=0) + size // 2
    out = np.zeros((size + 1, size + 1))
    cell = np.floor(points).astype(int)
    part = points - cell
    for dx in (0, 1):
        for dy in (0, 1):
            share = (part[:, 0] if dx else 1 - part[:, 0]) * (part[:, 1] if dy else 1 - part[:, 1])
            np.add.at(out, (cell[:, 1] + dy, cell[:, 0] + dx), weights * share)
    return out[:size, :size]


def embedded(kernel, size):
    margin = (size - kernel.shape[0]) // 2
    return np.pad(kernel, margin)


# normal numbers


def words_of(seed, index, stream, block):
    return [
        int(w) for w in draw_block(np.uint64(seed), np.uint64(index), np.uint64(stream), np.uint64(block))
    ]


def exact_pair(a, b):
    radius = math.sqrt(-2 * math.log(((a >> 1) + 0.5) / 2**31))
    return radius * math.cos(2 * math.pi * b / 2**32), radius * math.sin(2 * math.pi * b / 2**32)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@example(0, 0)
@example(1, 2**31)
@example(2, 2**29)
@example(3, 2**29 - 1)
@example(2**31, 2**32 - 1)
@example(2**32 - 1, 2**30)
def test_a_normal_pair_by_its_formula(a, b):
    got, expected = lanes.normal_pair(np.uint64(a), np.uint64(b)), exact_pair(a, b)
    tolerance = 3e-6 if math.hypot(*expected) > 0.01 else 3e-4
    np.testing.assert_allclose(got, expected, atol=tolerance)


def normals(seed, index, blocks):
    words = np.empty((4, blocks, len(index)), np.uint32)
    out = np.empty(words.shape, np.float32)
    lanes.fill_normals(np.uint64(seed), np.asarray(index), np.uint64(1 << 30), 0, words, out)
    return words, out


def test_normal_numbers_come_from_the_blocks_of_their_sample():
    index = [0, 7, 2**33 + 1]
    words, numbers = normals(2**40 + 5, index, 3)
    for k, sample in enumerate(index):
        for block in range(3):
            expected = words_of(2**40 + 5, sample, 1 << 30, block)
            assert words[:, block, k].tolist() == expected
            pairs = [*exact_pair(*expected[:2]), *exact_pair(*expected[2:])]
            np.testing.assert_allclose(numbers[:, block, k], pairs, atol=3e-6)


def test_normal_numbers_are_normal():
    _, numbers = normals(1, np.arange(16), 4000)
    values = numbers.astype(np.float64)
    assert scipy.stats.kstest(values.ravel(), "norm").pvalue > 1e-3
    flat = values.reshape(4, -1)
    np.testing.assert_allclose(np.corrcoef(flat), np.eye(4), atol=4 / math.sqrt(flat.shape[1]))
    np.testing.assert_allclose(np.corrcoef(flat**2), np.eye(4), atol=5 / math.sqrt(flat.shape[1]))
    samples = values.transpose(2, 0, 1).reshape(16, -1)
    np.testing.assert_allclose(np.corrcoef(samples), np.eye(16), atol=5 / math.sqrt(samples.shape[1]))


# the trajectories of Boracchi and Foi


def slow_trajectory(steps, seed, index, centripetal, impulses, gaussian, anxiety, angle, length):
    """One step after another in complex numbers, the impulses by their gaps."""
    stream = draws_of(seed, index).pixel_stream
    probability = impulses * anxiety

    def gap(n):
        a, b, *_ = words_of(seed, index, stream, 2**31 + n)
        u = unit(np.uint64(a), np.uint64(b)) + 2.0**-54
        return math.floor(math.log(u) / math.log1p(-probability)) if probability < 1 else 0

    step = length / (steps - 1)
    v = cmath.rect(anxiety if anxiety > 0 else step, math.radians(angle))
    x = [0j]
    due, n = (gap(0), 0) if probability > 1e-12 else (math.inf, 0)
    for t in range(steps - 1):
        words = words_of(seed, index, stream, t // 2)
        noise = complex(*exact_pair(*(words[2:] if t % 2 else words[:2])))
        shake = 0
        if t == due:
            _, _, c, d = words_of(seed, index, stream, 2**31 + n)
            shake = 2 * v * cmath.exp(1j * (math.pi + unit(np.uint64(c), np.uint64(d)) - 0.5))
            n += 1
            due = t + 1 + gap(n)
        v += shake + anxiety * (gaussian * noise - centripetal * x[-1]) * step
        v *= step / abs(v)
        x.append(x[-1] + v)
    return np.array([[z.real, z.imag] for z in x])


@pytest.mark.parametrize(
    "parameters",
    [
        {"centripetal": 0.6, "impulses": 0.2, "gaussian": 9, "anxiety": 0.01, "angle": 77, "length": 60},
        {"centripetal": 0.1, "impulses": 2, "gaussian": 3, "anxiety": 0.05, "angle": 400, "length": 64},
        {"centripetal": 0, "impulses": 0, "gaussian": 0, "anxiety": 0, "angle": -30, "length": 5},
        {"centripetal": 1, "impulses": 1, "gaussian": 1, "anxiety": 1, "angle": 10, "length": 30},
        {"centripetal": 0.3, "impulses": 0.1, "gaussian": 5, "anxiety": 0.3, "angle": 200, "length": 9},
    ],
    ids=str,
)
@pytest.mark.parametrize("steps", [2, 3, 129, 400])
def test_trajectory_step_by_step(parameters, steps):
    got = psf.trajectory(steps=steps, seed=2**35 + 3, index=4, **parameters)
    expected = slow_trajectory(steps, 2**35 + 3, 4, **parameters)
    np.testing.assert_allclose(got, expected, atol=1e-4)


@given(SHAKES, SEEDS, INDICES, st.integers(2, 700))
def test_trajectories_are_as_long_as_they_should_be(parameters, seed, index, steps):
    path = psf.trajectory(steps=steps, seed=seed, index=index, **parameters)
    assert path.shape == (steps, 2)
    np.testing.assert_array_equal(path[0], 0)
    pieces = np.hypot(*np.diff(path, axis=0).T)
    np.testing.assert_allclose(pieces, parameters["length"] / (steps - 1), rtol=1e-9, atol=1e-12)


def test_impulses_turn_back():
    turns = []
    steps, probability = 2000, 0.05
    for index in range(20):
        path = psf.trajectory(
            index=index, anxiety=1, impulses=probability, gaussian=0, centripetal=0, angle=30, steps=steps
        )
        pieces = np.diff(path, axis=0) @ [1, 1j]
        assert pieces[0] == pytest.approx(abs(pieces[0]) * cmath.exp(1j * math.pi / 6), abs=1e-9) or index
        turn = np.angle(pieces[1:] / pieces[:-1])
        turns += list(turn[abs(turn) > 1e-6])
        assert (abs(turn)[abs(turn) > 1e-6] > 1).all()
    count, trials = len(turns), 20 * (steps - 2)
    assert scipy.stats.binomtest(count, trials, probability).pvalue > 1e-3
    # 1 + 2·e^{i(π + u)}, u uniform in ±½: solve for u
    u = np.linspace(-0.5, 0.5, 20001)
    shares = np.interp(np.mod(turns, 2 * math.pi), np.mod(np.angle(1 - 2 * np.exp(1j * u)), 2 * math.pi), u)
    assert scipy.stats.kstest(shares, scipy.stats.uniform(-0.5, 1).cdf).pvalue > 1e-3


def test_strong_pull_keeps_the_path_together():
    wide = psf.trajectory(anxiety=0.01, gaussian=2, centripetal=0, impulses=0, angle=0)
    close = psf.trajectory(anxiety=0.01, gaussian=2, centripetal=50, impulses=0, angle=0)
    assert np.ptp(close, axis=0).max() < 0.3 * np.ptp(wide, axis=0).max()


def test_published_laws():
    draws = Draws(5, np.arange(4000)).stage(0)
    (stage,) = recipe("camera_shake").stages
    columns = stage.sample(draws)
    assert list(columns) == list(PUBLISHED)
    for name, most in (("centripetal", 0.7), ("impulses", 0.2), ("gaussian", 10), ("angle", 360)):
        assert scipy.stats.kstest(columns[name] / most, "uniform").pvalue > 1e-3
    assert set(columns["anxiety"]) == {0.01, 0.009, 0.008, 0.007, 0.005, 0.003}
    assert set(columns["exposure"]) == {0.1, 0.5, 1}
    assert set(columns["length"]) == {60}
    assert stage.psf_size == 63
    assert stage.steps == 2000


@given(SHAKES, st.floats(0.001, 1), SEEDS, INDICES, st.integers(2, 300))
@example({"angle": 30, "length": 80, "anxiety": 0}, 0.5, 0, 0, 2)
@example({"angle": 30, "length": 80, "anxiety": 0}, 0.67, 0, 0, 3)
@example({"angle": 0, "length": 80, "anxiety": 0}, 1, 0, 0, 300)
def test_psf_is_the_exposure_of_the_first_part(parameters, exposure, seed, index, steps):
    got = psf.camera_shake(**parameters, exposure=exposure, steps=steps, seed=seed, index=index)
    assert_is_centred_psf(got, 1e-9)
    path = psf.trajectory(steps=steps, seed=seed, index=index, **parameters)
    weights = np.clip(exposure * steps - np.arange(steps), 0, 1)
    used = weights > 0
    np.testing.assert_allclose(got, slow_psf(path[used], weights[used], got.shape[0]), atol=1e-8)


@given(st.integers(0, 300), st.integers(0, 300))
def test_splat_is_exact_to_the_pixel(seed, count):
    rng = np.random.default_rng(seed)
    points = rng.integers(-8, 9, (count + 1, 2)) / 2.0 if seed % 2 else rng.uniform(-8, 8, (count + 1, 2))
    weights = rng.uniform(0.1, 1, count + 1)
    x, y = points.T.copy()
    mean_x, mean_y, weight = paths.centroid(x, y, weights)
    np.testing.assert_allclose([mean_x, mean_y], np.average(points, axis=0, weights=weights), atol=1e-12)
    assert weight == pytest.approx(weights.sum())
    out = np.zeros((35, 35))
    paths.splat(x, y, weights, mean_x, mean_y, 1.0, out)
    np.testing.assert_allclose(out / weight, slow_psf(points, weights, 35), atol=1e-12)


STAGES = {
    "camera_shake": {},
    "random_walk": {"size": {"uniform": [5, 21]}},
    "gp_shake": {"size": {"integers": [3, 31]}, "correlation": {"log_uniform": [0.05, 1]}},
    "levi_shake": {"size": {"integers": [5, 31]}, "intensity": {"uniform": [0, 1]}},
}


def stage_psfs(kind, body, seed, index):
    (stage,) = recipe({kind: body}).stages
    draws = Draws(seed, np.asarray(index)).stage(0)
    params = stage.sample(draws)
    return params, stage.psfs(params, draws)


@pytest.mark.parametrize("kind", STAGES)
@given(SEEDS, INDICES)
def test_stage_psfs_are_psfs(kind, seed, index):
    _, psfs = stage_psfs(kind, STAGES[kind], seed, [index, index + 1, index + 5])
    assert psfs.dtype == np.float32
    for kernel in psfs:
        assert_is_centred_psf(kernel)


@pytest.mark.parametrize("kind", STAGES)
def test_a_batch_is_its_singles(kind):
    index = np.array([*range(40), 2**34, 3])
    params, psfs = stage_psfs(kind, STAGES[kind], 9, index)
    assert len(np.unique(psfs[:-1], axis=0)) == 41
    np.testing.assert_array_equal(psfs[-1], psfs[3])
    for n in (0, 15, 16, 39, 40):
        own, alone = stage_psfs(kind, STAGES[kind], 9, index[n : n + 1])
        np.testing.assert_array_equal(alone[0], psfs[n])
        assert all(own[name][0] == params[name][n] for name in params)


def test_functions_give_what_a_recipe_has_first():
    params, psfs = stage_psfs("camera_shake", {}, 3, range(5))
    for n in range(5):
        np.testing.assert_array_equal(
            embedded(psf.camera_shake(exposure=params["exposure"][n], seed=3, index=n), 63).astype(
                np.float32
            ),
            embedded(psf.camera_shake(seed=3, index=n), 63).astype(np.float32),
        )
        np.testing.assert_allclose(embedded(psf.camera_shake(seed=3, index=n), 63), psfs[n], rtol=1e-6)
        given_all = {name: params[name][n] for name in params}
        np.testing.assert_array_equal(
            psf.camera_shake(**given_all, seed=3, index=n), psf.camera_shake(seed=3, index=n)
        )
    params, psfs = stage_psfs("gp_shake", {"size": 12, "deviation": 0.5}, 3, range(2))
    assert set(params["size"]) == {13}
    np.testing.assert_allclose(psf.gp_shake(12, deviation=0.5, seed=3, index=1), psfs[1], rtol=1e-6)
    params, psfs = stage_psfs("levi_shake", {"size": 24, "intensity": 0.4}, 3, range(2))
    assert set(params["size"]) == {25}
    np.testing.assert_allclose(psf.levi_shake(24, 0.4, seed=3, index=1), psfs[1], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("kind", STAGES)
def test_stages_blur(kind):
    images = texture(5, 40, 48, 3)
    chosen = recipe({kind: {**STAGES[kind], "border": "reflect"}})
    pairs = degrade(images, chosen, seed=7, start=100)
    np.testing.assert_array_equal(pairs.sharp, images)
    psfs = chosen.psfs(pairs.params, chosen.draws(7, np.arange(100, 105)))
    np.testing.assert_array_equal(pairs.blurred, convolve(images, psfs, "reflect"))
    assert Recipe.from_yaml(chosen.to_yaml()) == chosen
    assert len(set(map(bytes, psfs))) == 5


# walks


@given(st.floats(1, 40), SEEDS)
def test_a_walk_just_fits(size, seed):
    (stage,) = recipe({"random_walk": {"size": size}}).stages
    assert size <= stage.psf_size <= size + 2
    _, psfs = stage_psfs("random_walk", {"size": size}, seed, [0])
    rows, columns = np.nonzero(psfs[0] > 1e-7)
    reach = max(abs(rows - stage.psf_size // 2).max(), abs(columns - stage.psf_size // 2).max())
    assert reach <= math.ceil((size - 1) / 2)
    assert reach >= math.floor((size - 1) / 2)


def test_a_walk_is_a_scaled_trajectory():
    params, psfs = stage_psfs("random_walk", {"size": 15}, 2, range(3))
    for n in range(3):
        shape = {
            name: params[name][n] for name in ("centripetal", "impulses", "gaussian", "anxiety", "angle")
        }
        path = psf.trajectory(seed=2, index=n, length=60, **shape)
        path -= path.mean(axis=0)
        np.testing.assert_allclose(
            psfs[n], slow_psf(path * 7 / abs(path).max(), np.ones(2000), 15), atol=1e-6
        )


# Gaussian processes


def matern_covariance(lag, correlation):
    a = math.sqrt(5) * abs(lag) / correlation
    return (1 + a + a * a / 3) * np.exp(-a)


def law_of(u):
    numbers = np.empty(15)
    matern.matern_step(u, numbers)
    lower = np.zeros((3, 3))
    lower[np.tril_indices(3)] = numbers[9:]
    return numbers[:9].reshape(3, 3), lower


STATIONARY = np.array([[1, 0, -1 / 3], [0, 1 / 3, 0], [-1 / 3, 0, 1]])
DRIFT = np.array([[0, 1, 0], [0, 0, 1], [-1, -3, -3]], float)


@given(st.floats(1e-6, 60))
@example(1e-6)
@example(1.0)
def test_a_step_of_the_process(u):
    transition, lower = law_of(u)
    np.testing.assert_allclose(transition, scipy.linalg.expm(DRIFT * u), atol=1e-12)
    added = lower @ lower.T
    np.testing.assert_allclose(transition @ STATIONARY @ transition.T + added, STATIONARY, atol=1e-13)
    if u < 0.01:  # the leading terms, of which a difference of covariances would leave little
        leading = (
            16
            / 3
            * np.array(
                [[u**5 / 20, u**4 / 8, u**3 / 6], [u**4 / 8, u**3 / 3, u**2 / 2], [u**3 / 6, u**2 / 2, u]]
            )
        )
        np.testing.assert_allclose(added, leading, rtol=6 * u)


@given(st.floats(0.05, 3), st.integers(2, 60))
def test_steps_have_the_covariance_of_the_process(correlation, steps):
    times = np.linspace(0, 1, steps)
    dense = matern_covariance(times[:, None] - times, correlation)
    transition, _ = law_of(math.sqrt(5) / correlation / (steps - 1))
    state = STATIONARY
    for lag in range(steps):
        assert state[0, 0] == pytest.approx(dense[0, lag], abs=1e-12)
        state = transition @ state


def test_drawn_processes_have_the_covariance():
    count, steps, correlation = 6000, 9, 0.3
    x, y = np.empty((count, steps)), np.empty((count, steps))
    stream = np.uint64(1 << 30)
    matern.gaussian_process(np.uint64(5), np.arange(count), stream, np.full(count, correlation), x, y)
    times = np.linspace(0, 1, steps)
    dense = matern_covariance(times[:, None] - times, correlation)
    np.testing.assert_allclose(x.T @ x / count, dense, atol=5 * math.sqrt(2 / count))
    np.testing.assert_allclose(y.T @ y / count, dense, atol=5 * math.sqrt(2 / count))
    np.testing.assert_allclose(x.T @ y / count, 0, atol=5 / math.sqrt(count))
    assert scipy.stats.kstest(x[:, 4], "norm").pvalue > 1e-3


def test_a_process_is_smooth_over_tiles():
    path = psf.trajectory("gp", size=31, seed=4, steps=1000)
    second = np.diff(path, n=2, axis=0)
    # f'' has the standard deviation λ²
    scale = 0.25 * 15.5 * 5 / 0.09 / 999**2
    assert abs(second).max() < 6 * scale
    assert second.std() > 0.2 * scale


@given(SEEDS, st.floats(0.01, 100), st.integers(1, 25), st.integers(2, 200))
def test_gp_psf_is_its_path(seed, correlation, size, steps):
    got = psf.gp_shake(size, correlation=correlation, steps=steps, seed=seed)
    assert_is_centred_psf(got, 1e-9)
    path = psf.trajectory("gp", size=size, correlation=correlation, steps=steps, seed=seed)
    path -= path.mean(axis=0)
    reach = (got.shape[0] - 1) / 2
    path *= min(1, reach / abs(path).max())
    np.testing.assert_allclose(got, slow_psf(path, np.ones(steps), got.shape[0]), atol=1e-8)


def test_wide_processes_are_scaled_down():
    for seed in range(5):
        got = psf.gp_shake(15, deviation=5, seed=seed)
        assert got.sum() == pytest.approx(1)
        edges = np.concatenate([got[0], got[-1], got[:, 0], got[:, -1]])
        assert edges.sum() > 1e-6
    assert psf.gp_shake(5, deviation=0)[2, 2] == 1


# Borodenko's paths


def corners(seed, index, size, intensity):
    draws = draws_of(seed, index)
    columns = levi_columns(np.array([size]), np.array([intensity]), draws)
    row = stacked(np.array([intensity]), columns)[0]
    x, y = np.empty(jerky.MOST_CORNERS), np.empty(jerky.MOST_CORNERS)
    stream = np.uint64(draws.pixel_stream)
    count = jerky.jerky(np.uint64(seed), np.uint64(index), stream, row, float(size), x, y)
    return {name: column[0] for name, column in columns.items()}, x[:count] + 1j * y[:count]


def slow_corners(seed, index, size, intensity, law):
    """The program's loops, each number by inversion of its law."""
    diagonal = math.sqrt(2) * size
    stream = draws_of(seed, index).pixel_stream
    beta = scipy.stats.beta(1, 30)
    most = math.radians(law["bend"])
    longest = diagonal * (1.1 - intensity)
    place, travelled, headings, out = 0j, 0.0, [], []
    while travelled < law["length"]:
        a, b, c = [(w + 0.5) / 2**32 for w in words_of(seed, index, stream, len(out))[:3]]
        step = longest * beta.ppf(a * beta.cdf(min(1, law["length"] / longest)))
        if not headings:
            headings.append((2 * b - 1) * most)
        else:
            sign = np.sign(headings[-1]) * (-1 if c < law["flips"] else 1)
            triangular = scipy.stats.triang(intensity * most / (most + 0.1), scale=most + 0.1)
            headings.append(sign * triangular.ppf(b))
        travelled += step
        place += cmath.rect(step, headings[-1])
        out.append(place)
    return np.array(out) * cmath.exp(1j * math.radians(law["angle"]))


@pytest.mark.parametrize("intensity", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("index", range(4))
def test_corners_by_the_programs_loops(intensity, index):
    law, got = corners(11, index, 31, intensity)
    np.testing.assert_allclose(got, slow_corners(11, index, 31, intensity, law), atol=1e-8)


@given(SEEDS, st.integers(5, 101), st.floats(0, 1))
def test_paths_of_steps(seed, size, intensity):
    law, path = corners(seed, 0, size, intensity)
    steps = np.diff(path, prepend=0)
    assert 0 <= law["length"] <= 0.75 * math.sqrt(2) * size * (1 + intensity**2)
    assert 0 <= law["bend"] <= 180 * intensity
    assert abs(steps).sum() >= law["length"]
    assert abs(steps[:-1]).sum() <= law["length"]
    assert (abs(steps) <= max(law["length"], 1e-9) * (1 + 1e-12)).all()
    if intensity == 0:
        assert abs((path * path[0].conjugate()).imag).max() < 1e-9 * size**2


def test_laws_of_whole_paths():
    (stage,) = recipe({"levi_shake": {"size": 31, "intensity": 0.5}}).stages
    columns = stage.sample(Draws(1, np.arange(5000)).stage(0))
    assert list(columns) == ["size", "intensity", "length", "bend", "flips", "angle"]
    assert scipy.stats.kstest(columns["flips"], scipy.stats.beta(2, 20).cdf).pvalue > 1e-3
    assert scipy.stats.kstest(columns["bend"], scipy.stats.uniform(0, 90).cdf).pvalue > 1e-3
    assert scipy.stats.kstest(columns["angle"], scipy.stats.uniform(0, 180).cdf).pvalue > 1e-3
    diagonal = 31 * math.sqrt(2)
    trapezoid = scipy.stats.trapezoid(0.2, 0.8, 0, 0.75 * diagonal * 1.25)
    assert scipy.stats.kstest(columns["length"], trapezoid.cdf).pvalue > 1e-3


def test_levi_psf_is_its_softened_path():
    size = 61
    for index in range(3):
        got = psf.levi_shake(size, 0.6, seed=2, index=index)
        _, path = corners(2, index, size, 0.6)
        pieces = np.concatenate(
            [a + (b - a) * (np.arange(400) + 0.5) / 400 for a, b in itertools.pairwise(path)]
        )
        weights = np.repeat(abs(np.diff(path)), 400)
        points = np.stack([pieces.real, pieces.imag], axis=1)
        points -= np.average(points, axis=0, weights=weights)
        sigma = 0.01 * math.sqrt(2) * size
        reach = size // 2 - math.ceil(3 * sigma)
        points *= min(1, reach / abs(points).max())
        taps = np.exp(-0.5 * (np.arange(-3, 4) / sigma) ** 2)
        taps /= taps.sum()
        expected = scipy.ndimage.convolve(
            slow_psf(points, weights, size), np.multiply.outer(taps, taps), mode="constant"
        )
        np.testing.assert_allclose(got, expected, atol=3e-5)


def test_levi_trajectory_runs_evenly_through_its_corners():
    _, path = corners(6, 0, 31, 0.8)
    got = psf.trajectory("levi", size=31, intensity=0.8, seed=6, steps=5000) @ [1, 1j]
    assert got[0] == path[0]
    assert got[-1] == pytest.approx(path[-1])
    length = abs(np.diff(path)).sum()
    assert abs(np.diff(got)).max() <= length / 4999 * (1 + 1e-9)
    nearest = abs(path[:, None] - got).min(axis=1)
    assert nearest.max() <= length / 4999


# bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 2000}, "length 2000: a number from 0 to 1023 is needed"),
        ({"exposure": 0}, "exposure 0: a number from 0.001 to 1 is needed"),
        ({"anxiety": math.nan}, "anxiety nan: a number from 0 to 1 is needed"),
        ({"steps": 1}, "steps 1: a whole number from 2 to 20000 is needed"),
        ({"seed": -1}, "seed -1: a whole number from 0 to"),
        ({"index": -1}, "index -1: a whole number from 0 to"),
    ],
)
def test_camera_shake_refuses(arguments, message):
    with pytest.raises(InputError) as caught:
        psf.camera_shake(**arguments)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("foi", {}, "trajectory kind 'foi': one of boracchi-foi, gp, levi is needed"),
        ("gp", {"length": 3}, "trajectory 'gp' has no 'length'; it has size, correlation, deviation"),
        ("levi", {"size": 31}, "trajectory 'levi' needs 'intensity'"),
        ("levi", {"size": 31, "intensity": 2}, "intensity 2: a number from 0 to 1 is needed"),
        ("levi", {"size": 3, "intensity": 1}, "size 3: a whole number from 5 to 801 is needed"),
        ("gp", {"correlation": 0}, "correlation 0: a number from 0.01 to 100 is needed"),
    ],
)
def test_trajectory_refuses(kind, arguments, message):
    with pytest.raises(InputError) as caught:
        psf.trajectory(kind, **arguments)
    assert str(caught.value) == message


def test_trajectory_knows_what_was_meant():
    with pytest.raises(
        InputError, match=r"has no 'anxeity' \(did you mean 'anxiety'\?\); it has centripetal, "
    ):
        psf.trajectory(anxeity=0.1)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"camera_shake": {"exposure": 0}}, "exposure: 0: 0 is outside the allowed 0.001 … 1"),
        ({"camera_shake": {"steps": 1}}, "steps: 1: "),
        ({"random_walk": None}, "size: field required"),
        ({"gp_shake": {"size": 2.5}}, "only whole numbers are allowed"),
        (
            {"levi_shake": {"size": 31, "intensity": {"uniform": [0, 2]}}},
            "0 … 2 is outside the allowed 0 … 1",
        ),
    ],
)
def test_stages_refuse(stage, message):
    with pytest.raises(RecipeError) as caught:
        recipe(stage)
    assert message in str(caught.value)


def test_all_corners_of_the_longest_paths_fit():
    counts = [len(corners(seed, 0, 101, 1.0)[1]) for seed in range(30)]
    assert max(counts) < jerky.MOST_CORNERS / 4


def test_lanes_do_not_show():
    draws = Draws(3, np.arange(3)).stage(0)
    columns = {name: law.sample(draws, place) for place, (name, law) in enumerate(PUBLISHED.items())}
    names = ("centripetal", "impulses", "gaussian", "anxiety", "angle", "length")
    rows = np.stack([columns[name] for name in names])
    x, y = np.empty((3, 100)), np.empty((3, 100))
    stream = np.uint64(draws.pixel_stream)
    shake.hand_held(np.uint64(3), draws.index, stream, rows, x, y)
    one_x, one_y = np.empty((1, 100)), np.empty((1, 100))
    shake.hand_held(np.uint64(3), draws.index[1:2], stream, rows[:, 1:2], one_x, one_y)
    np.testing.assert_array_equal(one_x[0], x[1])
    np.testing.assert_array_equal(one_y[0], y[1])
