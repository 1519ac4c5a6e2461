import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import recipe_dicts, recipes, texture

import blurgen
from blurgen import Recipe, degrade, load_recipe
from blurgen.draws import MAX_SEED
from blurgen.errors import InputError, RecipeError
from blurgen.recipe import recipes as built_in
from blurgen.stages.base import sample_all

NAMES = sorted(built_in())
COLOUR_ONLY = {"bsrgan", "rsblur"}


def assert_same(one, other):
    np.testing.assert_array_equal(one.sharp, other.sharp)
    np.testing.assert_array_equal(one.blurred, other.blurred)
    assert list(one.params) == list(other.params)
    for name, column in one.params.items():
        assert column.dtype == other.params[name].dtype
        np.testing.assert_array_equal(column, other.params[name], err_msg=name)


def joined(parts):
    return blurgen.Pairs(
        np.concatenate([part.sharp for part in parts]),
        np.concatenate([part.blurred for part in parts]),
        {name: np.concatenate([part.params[name] for part in parts]) for name in parts[0].params},
    )


def assert_batch_equals_singles(images, recipe, seed, start):
    whole = degrade(images, recipe, seed, start)
    singles = [degrade(images[n : n + 1], recipe, seed, start + n) for n in range(len(images))]
    assert_same(whole, joined(singles))
    cut = [degrade(images[a:b], recipe, seed, start + a) for a, b in ((0, 2), (2, 3), (3, len(images)))]
    assert_same(whole, joined(cut))
    for threads in (2, 5, None):
        assert_same(whole, degrade(images, recipe, seed, start, threads=threads))
    return whole


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(28, 28, 1), (40, 40, 3)])
def test_batch_equals_singles_for_built_in_recipes(name, shape):
    if name in COLOUR_ONLY and shape[2] == 1:
        with pytest.raises(InputError, match=f"recipe '{name}', stage 0: stage '.*' needs"):
            degrade(texture(1, *shape), name)
        return
    assert_batch_equals_singles(texture(7, *shape), name, 42, 10)


@given(recipes(), st.integers(0, MAX_SEED), st.integers(0, 2**63 - 100), st.sampled_from([1, 3]))
def test_batch_equals_singles(recipe, seed, start, channels):
    images = texture(6, 11, 11, channels)
    pairs = assert_batch_equals_singles(images, recipe, seed, start)
    np.testing.assert_array_equal(images, texture(6, 11, 11, channels))
    assert pairs.sharp.shape == pairs.blurred.shape == images.shape
    assert pairs.sharp.dtype == pairs.blurred.dtype == np.uint8
    assert len(pairs) == 6
    assert all(column.shape == (6,) for column in pairs.params.values())


@given(recipe_dicts(st.just("r")), st.integers(0, MAX_SEED))
def test_a_stage_at_the_end_changes_no_earlier_draw(fields, seed):
    longer = {**fields, "stages": [*fields["stages"], {"box": {"size": {"integers": [1, 9]}}}]}
    short, long = Recipe.from_dict(fields), Recipe.from_dict(longer)
    before = short.sample(short.draws(seed, np.arange(20)))
    after = long.sample(long.draws(seed, np.arange(20)))
    assert list(after) == [*before, f"{len(fields['stages'])}.box.size"]
    for name, column in before.items():
        np.testing.assert_array_equal(column, after[name])


def test_draws_do_not_depend_on_what_stands_before():
    motion = {"motion": {"length": {"uniform": [2, 9]}, "angle": {"uniform": [0, 360]}}}
    results = []
    for first in ({"box": {"size": 3}}, {"gaussian_noise": {"sigma": {"uniform": [1, 5]}}}, motion):
        recipe = Recipe.from_dict({"name": "r", "stages": [first, motion]})
        results.append(sample_all(recipe.stages, recipe.draws(1, np.arange(50)))["1.motion.length"])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_seed_and_start():
    images = texture(1, 28, 28).repeat(40, 0)
    first = degrade(images, "mnist-motion")
    assert_same(first, degrade(images, load_recipe("mnist-motion"), 0, 0))
    assert (
        first.params["1.motion.length"] != degrade(images, "mnist-motion", 1).params["1.motion.length"]
    ).all()
    later = degrade(images, "mnist-motion", start=12)
    np.testing.assert_array_equal(later.blurred[:28], first.blurred[12:])
    np.testing.assert_array_equal(later.sharp[:28], first.sharp[12:])
    far = degrade(images, "mnist-motion", start=2**40)
    assert (first.params["1.motion.length"] != far.params["1.motion.length"]).all()
    last = degrade(images[:1], "mnist-motion", MAX_SEED, 2**63 - 2)
    assert last.blurred.shape == (1, 28, 28, 1)


def test_three_or_four_axes():
    images = texture(4, 28, 28)
    assert_same(degrade(images, "mnist-motion"), degrade(images[..., 0], "mnist-motion"))


def test_layouts_and_read_only_images():
    images = texture(8, 30, 30, 3)
    expected = degrade(images, "anime-box", 5)
    images.setflags(write=False)
    for same in (images, np.asfortranarray(images), images.repeat(2, 0)[::2], images[..., ::-1][..., ::-1]):
        assert_same(degrade(same, "anime-box", 5), expected)
    np.testing.assert_array_equal(images, texture(8, 30, 30, 3))


@pytest.mark.parametrize("name", NAMES)
def test_images_are_left_alone(name):
    images = texture(6, 28, 28, 3)
    pairs = degrade(images, name)
    pairs.blurred[:] = 0
    np.testing.assert_array_equal(images, texture(6, 28, 28, 3))


def test_blurred_is_never_the_sharp_image_itself():
    # where nothing takes part, the two must still be free to change apart
    for stages in (
        [{"turn": {"quarters": 0}}],
        [{"maybe": {"probability": 0, "stages": [{"box": {"size": 3}}]}}],
    ):
        images = texture(3, 9, 9)
        pairs = degrade(images, Recipe.from_dict({"name": "r", "stages": stages}))
        pairs.blurred[:] = 0
        np.testing.assert_array_equal(pairs.sharp, texture(3, 9, 9))
        np.testing.assert_array_equal(images, texture(3, 9, 9))


# built-in recipes that do nothing but blur, centred
BLURS = ["anime-box", "anime-gaussian", "anime-motion", "fashion-gaussian", "gp-shake", "levi-shake"]


def test_light_is_preserved():
    images = np.zeros((20, 60, 60), np.uint8)
    images[:, 25:35, 25:35] = 200
    for name in BLURS:
        pairs = degrade(images, name)
        light = pairs.blurred.sum(axis=(1, 2, 3)) / pairs.sharp.sum(axis=(1, 2, 3), dtype=float)
        np.testing.assert_allclose(light, 1, atol=0.01)
        y, x = np.indices((60, 60))
        for one in pairs.blurred[..., 0].astype(float):
            assert (one * y).sum() / one.sum() == pytest.approx(29.5, abs=0.05)
            assert (one * x).sum() / one.sum() == pytest.approx(29.5, abs=0.05)


IMAGES = texture(2, 12, 14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((IMAGES.astype(np.float32), "anime-box"), "images are float32; uint8 is needed"),
        ((IMAGES.tolist(), "anime-box"), "images are a list; a NumPy array is needed"),
        (
            (IMAGES[0, ..., 0], "anime-box"),
            "images have the shape (12, 14); (B, H, W), or (B, H, W, C) with C 1 or 3, is needed",
        ),
        ((IMAGES[:0], "anime-box"), "images have the shape (0, 12, 14, 1): there are no pixels"),
        (
            (IMAGES, "mnist-motion"),
            "recipe 'mnist-motion', stage 0: stage 'turn' needs square images, these are 12×14",
        ),
        ((IMAGES, "anime-box", -1), "seed -1: a whole number from 0 to 18446744073709551615 is needed"),
        (
            (IMAGES, "anime-box", 2**64),
            "seed 18446744073709551616: a whole number from 0 to 18446744073709551615 is needed",
        ),
        ((IMAGES, "anime-box", 0, -1), "start -1: a whole number from 0 to 9223372036854775805 is needed"),
        (
            (IMAGES, "anime-box", 0, 2**63 - 1),
            "start 9223372036854775807: a whole number from 0 to 9223372036854775805 is needed",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses(arguments, message):
    with pytest.raises(InputError) as caught:
        degrade(*arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize("arguments", [(1.5, 0), (0, 1.5), ("1", 0), (0, "1"), (None, 0), (0, None)], ids=str)
def test_refuses_seeds_and_starts_that_are_not_whole(arguments):
    with pytest.raises(InputError):
        degrade(IMAGES, "anime-box", *arguments)


def test_numpy_numbers_are_seeds_too():
    expected = degrade(IMAGES, "anime-box", 5, 7)
    for kind in (np.int64, np.uint8, np.uint64):
        assert_same(degrade(IMAGES, "anime-box", kind(5), kind(7)), expected)


def test_refuses_threads_and_recipes():
    with pytest.raises(InputError, match=r"^threads 0: a whole number from 1 to 4096 is needed$"):
        degrade(IMAGES, "anime-box", threads=0)
    with pytest.raises(
        RecipeError,
        match=r"^there is no recipe 'anime-bx' \(did you mean 'anime-box'\?\); 'blurgen recipes' lists",
    ):
        degrade(IMAGES, "anime-bx")


def test_public_names():
    assert blurgen.degrade is degrade
    assert isinstance(degrade(IMAGES, "anime-box"), blurgen.Pairs)
