import hashlib
import itertools
import math

import cv2
import numpy as np
import pytest
import scipy.signal
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from strategies import BORDERS, normals_of, recipes, texture

from blurgen import Recipe, convolve, degrade, psf
from blurgen.errors import InputError, RecipeError
from blurgen.loops.philox import draw_block
from blurgen.stages import blur
from blurgen.stages.base import ImagePair
from blurgen.stages.combinators import kept_in_order, permutation

IMAGES = texture(6, 24, 24, 3)
BOX = {"box": {"size": 5}}
NOISE = {"gaussian_noise": {"sigma": 20}}
TURN = {"turn": {"quarters": {"integers": [0, 3]}}}
MOTION = {"motion": {"length": {"uniform": [3, 9]}, "angle": {"uniform": [0, 360]}}}


def recipe(*stages, copies=1):
    return Recipe.from_dict({"name": "r", "stages": list(stages), "copies": copies})


@pytest.mark.parametrize("border", BORDERS)
def test_motion(border):
    pairs = degrade(IMAGES, recipe({"motion": {**MOTION["motion"], "border": border}}), seed=3)
    lengths, angles = pairs.params["0.motion.length"], pairs.params["0.motion.angle"]
    for n in range(6):
        expected = convolve(IMAGES[n : n + 1], psf.motion(lengths[n], angles[n]), border)
        np.testing.assert_array_equal(pairs.blurred[n : n + 1], expected)
    np.testing.assert_array_equal(pairs.sharp, IMAGES)


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_gaussian_by_size_is_opencvs(size):
    pairs = degrade(IMAGES, recipe({"gaussian": {"size": size, "border": "mirror"}}))
    for blurred, image in zip(pairs.blurred, IMAGES, strict=True):
        np.testing.assert_array_equal(blurred, cv2.GaussianBlur(image, (size, size), 0))


def test_gaussian_by_sigma():
    stage = {"gaussian": {"sigma": {"uniform": [0.3, 3]}}}
    pairs = degrade(IMAGES, recipe(stage), seed=2)
    sigmas = pairs.params["0.gaussian.sigma"]
    assert (pairs.params["0.gaussian.size"] == 0).all()
    for n in range(6):
        kernel = psf.gaussian(2 * math.ceil(4 * sigmas[n]) + 1, sigmas[n])
        expected = convolve(IMAGES[n : n + 1].astype(np.float32), kernel)
        assert abs(pairs.blurred[n] - expected[0]).max() < 0.501


def test_gaussian_by_both_rounds_even_sizes_up():
    stage = {"gaussian": {"sigma": 1.5, "size": {"choice": [2, 3, 6]}}}
    pairs = degrade(IMAGES, recipe(stage), seed=1)
    sizes = pairs.params["0.gaussian.size"]
    assert set(sizes) == {3, 7}
    for n in range(6):
        expected = convolve(IMAGES[n : n + 1].astype(np.float32), psf.gaussian(int(sizes[n]), 1.5))
        assert abs(pairs.blurred[n] - expected[0]).max() < 0.501


@pytest.mark.parametrize("size", [3, 5, 9])
def test_box_is_opencvs_blur(size):
    pairs = degrade(IMAGES, recipe({"box": {"size": size, "border": "mirror"}}))
    for blurred, image in zip(pairs.blurred, IMAGES, strict=True):
        np.testing.assert_array_equal(blurred, cv2.blur(image, (size, size)))


def test_box_of_many_sizes():
    pairs = degrade(texture(30, 20, 20), recipe({"box": {"size": {"integers": [1, 8]}}}), seed=5)
    sizes = pairs.params["0.box.size"]
    assert set(sizes) == set(range(1, 9))
    for n, image in enumerate(texture(30, 20, 20)):
        expected = convolve(image[None].astype(np.float32), psf.box(int(sizes[n])))
        assert abs(pairs.blurred[n] - expected[0]).max() < 0.501


def test_disk():
    pairs = degrade(IMAGES, recipe({"disk": {"radius": {"uniform": [0, 6]}}}), seed=5)
    for n, radius in enumerate(pairs.params["0.disk.radius"]):
        expected = convolve(IMAGES[n : n + 1].astype(np.float32), psf.disk(radius))
        assert abs(pairs.blurred[n] - expected[0]).max() < 0.501


def test_turn_is_rot90_of_both():
    pairs = degrade(IMAGES, recipe(TURN), seed=8)
    quarters = pairs.params["0.turn.quarters"]
    assert len(set(quarters)) > 2
    for n in range(6):
        np.testing.assert_array_equal(pairs.sharp[n], np.rot90(IMAGES[n], quarters[n]))
        np.testing.assert_array_equal(pairs.blurred[n], pairs.sharp[n])


@pytest.fixture
def psf_file(tmp_path):
    kernels = [np.ones((3, 3)), np.eye(5), psf.motion(9, 20)]
    np.savez(tmp_path / "k.npz", **{f"k{n}": kernel for n, kernel in enumerate(kernels)})
    return tmp_path / "k.npz"


def test_given(psf_file):
    chosen = recipe({"given": {"file": str(psf_file), "border": "wrap"}})
    stack = psf.load_psfs(psf_file)
    images = texture(12, 20, 20)
    pairs = degrade(images, chosen, seed=4)
    which = pairs.params["0.given.which"]
    assert set(which) == {0, 1, 2}
    for n in range(12):
        np.testing.assert_array_equal(
            pairs.blurred[n : n + 1], convolve(images[n : n + 1], stack[which[n]], "wrap")
        )
    assert chosen.stages[0].sha256 == hashlib.sha256(psf_file.read_bytes()).hexdigest()
    assert Recipe.from_yaml(chosen.to_yaml()) == chosen
    one = recipe({"given": {"file": str(psf_file), "which": 2}})
    assert set(degrade(images, one).params["0.given.which"]) == {2}


def test_given_refuses(psf_file):
    with pytest.raises(RecipeError, match=r"which reaches 3, the file holds PSFs 0 … 2$"):
        recipe({"given": {"file": str(psf_file), "which": {"integers": [0, 3]}}})
    np.savez(psf_file, k=-np.ones((3, 3)))
    with pytest.raises(RecipeError, match=r"^recipe 'r', stage 0 \(given\): .*holds negative values$"):
        recipe({"given": {"file": str(psf_file)}})


def test_given_refuses_a_file_that_changed(psf_file):
    chosen = recipe({"given": {"file": str(psf_file)}})
    np.savez(psf_file, k=np.ones((3, 3)))
    blur._loaded.cache_clear()  # as in another process
    with pytest.raises((RecipeError, InputError), match=r"is not the one that the recipe was made with$"):
        degrade(IMAGES, Recipe.from_dict(chosen.to_dict()))
    psf_file.unlink()
    with pytest.raises((RecipeError, InputError), match=r"cannot be read: No such file or directory$"):
        degrade(IMAGES, Recipe.from_dict(chosen.to_dict()))


def test_given_refuses_numbers_beyond_the_file_in_a_recipe_read_before(psf_file):
    written = recipe({"given": {"file": str(psf_file)}}).to_dict()
    written["stages"][0]["given"]["which"] = 3
    with pytest.raises((RecipeError, InputError), match="which reaches 3"):
        degrade(IMAGES, Recipe.from_dict(written))


def noisy(sigma, level=128, count=30, seed=1, shape=(64, 64, 1)):
    images = np.full((count, *shape), level, np.uint8)
    return degrade(images, recipe({"gaussian_noise": {"sigma": sigma}}), seed).blurred


def test_noise_is_normal():
    values = noisy(20).ravel().astype(int) - 128
    law = scipy.stats.norm(0, 20)
    assert values.mean() == pytest.approx(0, abs=4 * 20 / math.sqrt(values.size))
    assert values.std() == pytest.approx(math.hypot(20, math.sqrt(1 / 12)), rel=0.005)
    assert abs(scipy.stats.skew(values)) < 0.03
    assert abs(scipy.stats.kurtosis(values)) < 0.05
    edges = np.arange(-60, 62, 4) - 0.5
    expected = np.diff(law.cdf(edges))
    counts = np.histogram(values, edges)[0]
    assert scipy.stats.chisquare(counts, expected / expected.sum() * counts.sum()).pvalue > 1e-3


def test_noise_has_no_pattern():
    noise = noisy(20, count=40).astype(float)[..., 0] - 128
    for shift, axis in [(1, 0), (1, 1), (1, 2), (4, 2), (8, 2), (2, 1)]:
        correlation = (noise * np.roll(noise, shift, axis)).mean() / noise.var()
        assert abs(correlation) < 4 / math.sqrt(noise.size)
    assert noise.mean(axis=0).std() == pytest.approx(20 / math.sqrt(40), rel=0.1)


def test_noise_by_its_formula():
    images = texture(3, 5, 7, 3)
    pairs = degrade(images, recipe(BOX, {"gaussian_noise": {"sigma": {"uniform": [1, 60]}}}), 77, 2**33)
    clean = degrade(images, recipe(BOX), 77, 2**33).blurred
    for n in range(3):
        sigma = np.float32(pairs.params["1.gaussian_noise.sigma"][n])
        stream = np.uint64(2**30 + 2)
        words = [
            word
            for block in range(27)
            for word in draw_block(np.uint64(77), np.uint64(2**33 + n), stream, np.uint64(block))
        ]
        noise = normals_of(words[:105])
        exact = clean[n].ravel() + sigma * noise
        assert abs(pairs.blurred[n].ravel() - np.clip(exact, 0, 255)).max() <= 0.5001


def test_noise_does_not_look_at_neighbours():
    images = texture(5, 16, 16)
    whole = degrade(images, recipe(NOISE), 3, 10).blurred
    for n in range(5):
        np.testing.assert_array_equal(
            degrade(images[n : n + 1], recipe(NOISE), 3, 10 + n).blurred[0], whole[n]
        )
    other = images.copy()
    other[:, 3:, 5:] = 99
    changed = degrade(other, recipe(NOISE), 3, 10).blurred
    np.testing.assert_array_equal(changed[:, :3], whole[:, :3])
    np.testing.assert_array_equal(changed[:, :, :5], whole[:, :, :5])
    # gray or one channel more, the noise of a place is its own
    small = degrade(images[:, :4], recipe(NOISE), 3, 10).blurred
    np.testing.assert_array_equal(small, whole[:, :4])


def test_no_noise_and_clipped_noise():
    np.testing.assert_array_equal(degrade(IMAGES, recipe({"gaussian_noise": {"sigma": 0}})).blurred, IMAGES)
    dark, bright = noisy(50, 0), noisy(50, 255)
    assert dark.min() == 0
    assert bright.max() == 255
    assert (dark == 0).mean() == pytest.approx(scipy.stats.norm.cdf(0.5 / 50), abs=0.01)
    assert (bright == 255).mean() == pytest.approx(scipy.stats.norm.cdf(0.5 / 50), abs=0.01)


def test_one_of_by_weight():
    options = [{"weight": w, "stages": [BOX]} for w in (1, 2, 5)] + [{"stages": [NOISE]}]
    chosen = recipe({"one_of": options})
    params = chosen.sample(chosen.draws(1, np.arange(9000)))
    counts = np.bincount(params["0.one_of.branch"], minlength=4)
    assert scipy.stats.chisquare(counts, 9000 * np.array([1, 2, 5, 1]) / 9).pvalue > 1e-3


def test_absent_parameters():
    options = [{"stages": [BOX]}, {"stages": [MOTION, {"disk": {"radius": 2}}]}]
    chosen = recipe({"one_of": options}, {"maybe": {"probability": 0.3, "stages": [NOISE, BOX]}})
    params = chosen.sample(chosen.draws(1, np.arange(2000)))
    assert set(params) == {
        "0.one_of.branch",
        "0.one_of.0.0.box.size",
        "0.one_of.1.0.motion.length",
        "0.one_of.1.0.motion.angle",
        "0.one_of.1.1.disk.radius",
        "1.maybe.applied",
        "1.maybe.0.gaussian_noise.sigma",
        "1.maybe.1.box.size",
    }
    branch, applied = params["0.one_of.branch"], params["1.maybe.applied"]
    np.testing.assert_array_equal(params["0.one_of.0.0.box.size"], np.where(branch == 0, 5, -1))
    np.testing.assert_array_equal(params["0.one_of.1.1.disk.radius"], np.where(branch == 1, 2.0, np.nan))
    np.testing.assert_array_equal(np.isnan(params["0.one_of.1.0.motion.length"]), branch == 0)
    np.testing.assert_array_equal(params["1.maybe.1.box.size"], np.where(applied == 1, 5, -1))
    np.testing.assert_array_equal(
        params["1.maybe.0.gaussian_noise.sigma"], np.where(applied == 1, 20, np.nan)
    )
    assert applied.mean() == pytest.approx(0.3, abs=0.04)
    for name, column in params.items():
        whole = name.endswith(("branch", "size", "applied"))
        assert column.dtype == (np.int64 if whole else np.float64), name


@pytest.mark.parametrize(("probability", "expected"), [(0, 0), (1, 1)])
def test_maybe_never_and_always(probability, expected):
    chosen = recipe({"maybe": {"probability": probability, "stages": [BOX]}})
    pairs = degrade(IMAGES, chosen)
    assert set(pairs.params["0.maybe.applied"]) == {expected}
    np.testing.assert_array_equal(pairs.blurred, degrade(IMAGES, recipe(BOX)).blurred if expected else IMAGES)


def test_every_order_is_equally_likely():
    chosen = recipe({"shuffled": [BOX, NOISE, {"disk": {"radius": 2}}, TURN]})
    order = chosen.sample(chosen.draws(2, np.arange(24_000)))["0.shuffled.order"]
    counts = np.bincount(order, minlength=24)
    assert len(counts) == 24
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_stages_kept_in_order_exchange_their_places():
    chosen = recipe({"shuffled": {"stages": [BOX, NOISE, TURN, MOTION], "in_order": [3, 0]}})
    orders = {tuple(kept_in_order(list(order), [3, 0])) for order in itertools.permutations(range(4))}
    assert orders == {order for order in itertools.permutations(range(4)) if order.index(3) < order.index(0)}
    assert Recipe.from_dict(chosen.to_dict()) == chosen
    assert chosen.to_dict()["stages"][0]["shuffled"]["in_order"] == [3, 0]
    images = texture(24, 12, 12)
    pairs = degrade(images, chosen, seed=6)
    for row in range(24):
        order = list(itertools.permutations(range(4)))[pairs.params["0.shuffled.order"][row]]
        plain = recipe({"shuffled": [BOX, NOISE, TURN, MOTION]})
        rank = list(itertools.permutations(range(4))).index(tuple(kept_in_order(list(order), [3, 0])))
        draws = plain.draws(6, np.array([row]))
        params = {**plain.sample(draws), "0.shuffled.order": np.array([rank])}
        one = images[row : row + 1]
        np.testing.assert_array_equal(
            plain.apply(ImagePair(one, one), params, draws).blurred[0], pairs.blurred[row]
        )


@pytest.mark.parametrize("in_order", [[0, 0], [2], [-1]])
def test_places_kept_in_order_are_those_of_stages(in_order):
    with pytest.raises(RecipeError, match="shuffled"):
        recipe({"shuffled": {"stages": [BOX, NOISE], "in_order": in_order}})


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_permutations_are_in_lexicographic_order(count):
    expected = [list(order) for order in itertools.permutations(range(count))]
    assert [permutation(rank, count) for rank in range(math.factorial(count))] == expected


def single_stage_results(images, stages, params, draws, prefix):
    """What `stages` make of one image, one after another, each from its own columns."""
    for place, (stage, name) in stages:
        own = {
            key.removeprefix(f"{prefix}{place}.{name}."): column
            for key, column in params.items()
            if key.startswith(f"{prefix}{place}.{name}.")
        }
        images = stage.apply(images, own, draws.stage(place))
    return images


def by_hand(images, chosen, params, draws):
    """The outer combinator of a recipe applied row by row."""
    (stage,) = chosen.stages
    out = []
    for n in range(len(images)):
        one, row = images[n : n + 1], {name: column[n : n + 1] for name, column in params.items()}
        own = draws.rows(np.array([n])).stage(0)
        prefix = f"0.{stage.kind}."
        if stage.kind == "one_of":
            number = int(row["0.one_of.branch"][0])
            inner, prefix, own = stage.options[number].stages, f"{prefix}{number}.", own.stage(number)
            order = range(len(inner))
        elif stage.kind == "maybe":
            inner = stage.stages
            order = range(len(inner)) if row["0.maybe.applied"][0] else []
        else:
            inner = stage.stages
            rank = int(row["0.shuffled.order"][0])
            order = list(itertools.permutations(range(len(inner))))[rank]
        steps = [(place, (inner[place], inner[place].kind)) for place in order]
        out.append(single_stage_results(one, steps, row, own, prefix))
    return np.concatenate(out)


@pytest.mark.parametrize(
    "stage",
    [
        {"one_of": [{"stages": [MOTION]}, {"stages": [NOISE, BOX]}, {"stages": [TURN, NOISE]}]},
        {"maybe": {"probability": 0.5, "stages": [NOISE, MOTION]}},
        {"shuffled": [NOISE, BOX, MOTION]},
    ],
    ids=("one_of", "maybe", "shuffled"),
)
def test_combinators_equal_their_stages_by_hand(stage):
    chosen = recipe(stage)
    images = texture(20, 12, 12)
    pairs = degrade(images, chosen, seed=6, start=100)
    draws = chosen.draws(6, np.arange(100, 120))
    np.testing.assert_array_equal(pairs.blurred, by_hand(images, chosen, pairs.params, draws))
    assert len(set(pairs.params[next(iter(pairs.params))])) > 1


def test_stages_of_a_combinator_have_streams_of_their_own():
    chosen = recipe(
        NOISE,
        {"maybe": {"probability": 1, "stages": [NOISE, NOISE]}},
        {"one_of": [{"stages": [NOISE]}]},
        {"shuffled": [NOISE, NOISE]},
    )
    images = np.full((1, 40, 40, 1), 128, np.uint8)
    draws = chosen.draws(1, np.arange(1))
    streams = [
        draws.stage(0),
        draws.stage(1).stage(0),
        draws.stage(1).stage(1),
        draws.stage(2).stage(0).stage(0),
        draws.stage(3).stage(0),
        draws.stage(3).stage(1),
    ]
    sigma = {"sigma": np.array([20.0])}
    noises = [chosen.stages[0].apply(images, sigma, own).astype(float) - 128 for own in streams]
    for one, other in itertools.combinations(noises, 2):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1


def test_only_a_turn_changes_the_sharp_image():
    blurs = [BOX, NOISE, MOTION, {"gaussian": {"sigma": 1}}, {"disk": {"radius": 2}}]
    stages = [*blurs, {"one_of": [{"stages": [b]} for b in blurs]}, {"shuffled": blurs}]
    for stage in stages:
        np.testing.assert_array_equal(degrade(IMAGES, recipe(stage, BOX)).sharp, IMAGES)
    for nested in (
        TURN,
        {"maybe": {"probability": 0.5, "stages": [TURN]}},
        {"one_of": [{"stages": [TURN]}, {"stages": [BOX]}]},
        {"shuffled": [BOX, TURN]},
        {"maybe": {"probability": 0.5, "stages": [{"shuffled": [TURN, NOISE]}]}},
    ):
        pairs = degrade(IMAGES, recipe(BOX, nested, NOISE), seed=4)
        (quarters,) = (column for name, column in pairs.params.items() if name.endswith("turn.quarters"))
        turned = np.maximum(quarters, 0)
        assert turned.any()
        expected = [np.rot90(image, q) for image, q in zip(IMAGES, turned, strict=True)]
        np.testing.assert_array_equal(pairs.sharp, expected)


def test_stages_do_not_change_their_input():
    for stage in (BOX, NOISE, MOTION, TURN, {"disk": {"radius": 0}}, {"gaussian_noise": {"sigma": 0}}):
        chosen = recipe(stage)
        images = IMAGES.copy()
        draws = chosen.draws(0, np.arange(6))
        out = chosen.apply(ImagePair(images, images), chosen.sample(draws), draws)
        out.blurred[:] = 7
        np.testing.assert_array_equal(images, IMAGES)


def float_psfs(chosen, params, draws):
    return chosen.psfs(params, draws).astype(np.float64)


def test_psfs_of_two_blurs_are_their_convolution():
    chosen = recipe(MOTION, {"disk": {"radius": {"uniform": [1, 3]}}})
    draws = chosen.draws(3, np.arange(5))
    params = chosen.sample(draws)
    got = float_psfs(chosen, params, draws)
    assert got.shape == (5, chosen.psf_size, chosen.psf_size)
    first = chosen.stages[0].psfs({k[9:]: v for k, v in params.items() if k.startswith("0.")}, draws.stage(0))
    second = chosen.stages[1].psfs({"radius": params["1.disk.radius"]}, draws.stage(1))
    for n in range(5):
        np.testing.assert_allclose(got[n], scipy.signal.convolve2d(first[n], second[n]), atol=1e-7)


@pytest.mark.parametrize(
    "stages",
    [
        [MOTION],
        [TURN, MOTION, {"disk": {"radius": 2}}],
        [
            {
                "one_of": [
                    {"stages": [MOTION, BOX]},
                    {"stages": [{"gaussian": {"sigma": 1}}]},
                    {"stages": [TURN]},
                ]
            }
        ],
        [{"maybe": {"probability": 0.5, "stages": [MOTION, {"box": {"size": {"choice": [2, 4]}}}]}}, BOX],
        [{"shuffled": [MOTION, {"disk": {"radius": 1.5}}]}],
    ],
    ids=str,
)
def test_the_psf_of_a_recipe_is_what_it_does(stages):
    chosen = recipe(*stages)
    count = 8
    images = np.zeros((count, 61, 61), np.uint8)
    images[:, 24:37, 24:37] = texture(count, 13, 13)[..., 0]
    pairs = degrade(images, chosen, seed=11)
    psfs = chosen.psfs(pairs.params, chosen.draws(11, np.arange(count)))
    assert psfs.shape == (count, chosen.psf_size, chosen.psf_size)
    np.testing.assert_allclose(psfs.sum(axis=(1, 2)), 1, atol=1e-5)
    expected = convolve(pairs.sharp.astype(np.float32), psfs)
    # bytes between the blurs are rounded
    assert abs(expected - pairs.blurred).max() < 0.501 + 0.5 * 2


@pytest.mark.parametrize(
    "stages",
    [
        [MOTION, TURN],
        [MOTION, {"maybe": {"probability": 0.5, "stages": [TURN]}}],
        [MOTION, {"one_of": [{"stages": [TURN]}]}],
        [{"shuffled": [MOTION, TURN]}],
        [{"maybe": {"probability": 0.5, "stages": [MOTION, TURN]}}],
    ],
    ids=str,
)
def test_no_psf_where_pixels_move_after_a_blur(stages):
    chosen = recipe(*stages)
    draws = chosen.draws(0, np.arange(4))
    with pytest.raises(InputError, match="there is no one PSF"):
        chosen.psfs(chosen.sample(draws), draws)


@given(recipes(turns=False), st.integers(0, 1000))
def test_psfs_of_random_recipes_are_psfs(chosen, seed):
    draws = chosen.draws(seed, np.arange(4))
    psfs = float_psfs(chosen, chosen.sample(draws), draws)
    assert psfs.shape == (4, chosen.psf_size, chosen.psf_size)
    assert chosen.psf_size % 2 == 1
    assert (psfs >= 0).all()
    np.testing.assert_allclose(psfs.sum(axis=(1, 2)), 1, atol=1e-4)


def test_options_may_change_the_shape_if_they_agree():
    pad = {"pad": {"top": 2, "right": 3, "border": "constant", "grey": 7}}
    fit = {"fit": {"height": 26, "width": 27}}
    chosen = recipe({"one_of": [{"stages": [pad]}, {"stages": [fit, NOISE]}]})
    assert chosen.output_shape((24, 24, 3)) == (26, 27, 3)
    pairs = degrade(IMAGES, chosen, seed=2)
    branch = pairs.params["0.one_of.branch"]
    assert set(branch) == {0, 1}
    for row in range(6):
        part = degrade(IMAGES[row : row + 1], chosen, seed=2, start=row)
        np.testing.assert_array_equal(part.sharp[0], pairs.sharp[row])
        np.testing.assert_array_equal(part.blurred[0], pairs.blurred[row])
    np.testing.assert_array_equal(
        pairs.sharp[branch == 0],
        np.pad(IMAGES[branch == 0], ((0, 0), (2, 0), (0, 3), (0, 0)), constant_values=7),
    )


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (
            {"one_of": [{"stages": [NOISE]}, {"stages": [{"pad": {"top": 1}}]}]},
            "option 0 makes 24×24×3, option 1 25×24×3",
        ),
        (
            {"maybe": {"probability": 1, "stages": [{"pad": {"top": 1}}]}},
            "'maybe' needs stages that keep .*'pad'",
        ),
        ({"shuffled": [NOISE, {"pad": {"top": 1}}]}, "'shuffled' needs stages that keep .*'pad'"),
    ],
    ids=("one_of", "maybe", "shuffled"),
)
def test_shapes_do_not_depend_on_draws(stage, message):
    with pytest.raises(InputError, match=message):
        degrade(IMAGES, recipe(stage))
