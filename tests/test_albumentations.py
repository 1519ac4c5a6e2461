"""The recipe as a transform of albumentations: what blurgen.degrade makes, written down and replayed."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import recipes as random_recipes
from strategies import texture

import blurgen
from blurgen.errors import InputError, RecipeError

A = pytest.importorskip("albumentations")

from blurgen.albumentations import Degrade  # noqa: E402

IMAGE = texture(1, 24, 28, 3)[0]
COPIES = blurgen.Recipe.from_yaml(
    """
name: copies
copies: 3
stages:
  - brightness: {shift: {by_copy: [{copies: 1, value: 10}, {copies: 2, value: 20}]}}
  - maybe: {probability: 0.5, stages: [motion: {length: {uniform: [3, 9]}, angle: {uniform: [0, 180]}}]}
  - gaussian_noise: {sigma: 4}
"""
)


def plain(image, recipe, params):
    """What blurgen.degrade makes with the parameters of a call."""
    return blurgen.degrade(image[None], recipe, params["seed"], params["index"])


@settings(max_examples=15)
@given(random_recipes(turns=False), st.integers(0, 2**32 - 1), st.sampled_from([(21, 26, 3), (9, 14, 1)]))
def test_it_is_degrade(recipe, seed, shape):
    image = texture(1, *shape)[0]
    transform = Degrade(recipe, p=1)
    transform.set_random_seed(seed)
    made = transform(image=image)["image"]
    wanted = plain(image, recipe, transform.params)
    np.testing.assert_array_equal(made, wanted.blurred[0])
    drawn = transform.params["drawn"]
    assert drawn.keys() == wanted.params.keys()
    for name, column in wanted.params.items():
        np.testing.assert_equal(drawn[name], column[0])


def test_gray_images():
    flat = IMAGE[..., 0]
    chain = A.Compose([Degrade(COPIES, p=1)], seed=5)
    first = chain(image=flat)["image"]
    chain.set_random_seed(5)
    second = chain(image=flat[..., None])["image"]
    assert (first.shape, second.shape) == ((24, 28), (24, 28, 1))
    np.testing.assert_array_equal(first, second[..., 0])


def test_floats_are_bytes():
    transform = Degrade(COPIES, p=1)
    made = transform(image=IMAGE.astype(np.float32) / 255)["image"]
    assert made.dtype == np.float32
    wanted = plain(IMAGE, COPIES, transform.params).blurred[0]
    np.testing.assert_array_equal(made, wanted.astype(np.float32) / 255)


def test_each_replay_is_the_same_bytes():
    chain = A.ReplayCompose(
        [A.HorizontalFlip(p=0.5), Degrade(COPIES, p=0.7), A.RandomBrightnessContrast(p=0.5)]
    )
    chain.set_random_seed(3)
    made, blurred = set(), 0
    for _ in range(8):
        result = chain(image=IMAGE)
        told = json.loads(json.dumps(result["replay"]))  # as from a file
        blurred += told["transforms"][1]["applied"]
        np.testing.assert_array_equal(A.ReplayCompose.replay(told, image=IMAGE)["image"], result["image"])
        np.testing.assert_array_equal(
            A.ReplayCompose.replay(result["replay"], image=IMAGE)["image"], result["image"]
        )
        made.add(result["image"].tobytes())
    assert len(made) == 8
    assert 0 < blurred < 8


def test_a_replay_on_another_image():
    chain = A.ReplayCompose([Degrade(COPIES, p=1)])
    told = chain(image=IMAGE)["replay"]
    other = 255 - IMAGE
    wanted = plain(other, COPIES, told["transforms"][0]["params"]).blurred[0]
    np.testing.assert_array_equal(A.ReplayCompose.replay(told, image=other)["image"], wanted)


def test_seeds_repeat():
    first, second, third = (A.Compose([Degrade(COPIES)], seed=seed) for seed in (1, 1, 2))
    made = [[chain(image=IMAGE)["image"] for _ in range(6)] for chain in (first, second, third)]
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    assert any(np.array_equal(image, IMAGE) for image in made[0])  # p is a half


def test_every_copy_is_drawn():
    transform = Degrade(COPIES, p=1)
    transform.set_random_seed(0)
    seen = {
        (params["index"], params["drawn"]["0.brightness.shift"])
        for params in (transform.get_params() for _ in range(40))
    }
    assert seen == {(0, 10.0), (1, 20.0), (2, 20.0)}


def test_other_targets():
    transform = A.Compose([Degrade(COPIES, p=1)], additional_targets={"right": "image"}, seed=1)
    mask = np.ones((24, 28), np.uint8)
    result = transform(image=IMAGE, right=IMAGE, images=np.stack([IMAGE, IMAGE]), mask=mask)
    for one in (result["right"], *result["images"]):
        np.testing.assert_array_equal(one, result["image"])
    np.testing.assert_array_equal(result["mask"], mask)


@pytest.mark.parametrize("recipe", ["realistic", COPIES], ids=["built-in", "own"])
@pytest.mark.parametrize("data_format", ["json", "yaml"])
def test_it_is_written_and_read(recipe, data_format, tmp_path):
    chain = A.Compose([Degrade(recipe, p=0.8)], seed=4)
    A.save(chain, tmp_path / "chain", data_format=data_format)
    again = A.load(tmp_path / "chain", data_format=data_format)
    chain.set_random_seed(11)
    again.set_random_seed(11)
    assert again.transforms[0].recipe == chain.transforms[0].recipe
    assert A.from_dict(A.to_dict(chain)).to_dict() == chain.to_dict()
    for _ in range(4):
        np.testing.assert_array_equal(chain(image=IMAGE)["image"], again(image=IMAGE)["image"])
    assert repr(again.transforms[0]) == f"Degrade({chain.transforms[0].recipe.name!r}, p=0.8)"


def test_images_stay_as_they_are():
    image = IMAGE.copy()
    result = Degrade("untouched", p=1)(image=image)["image"]
    result[:] = 0
    np.testing.assert_array_equal(image, IMAGE)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (IMAGE.astype(np.float32), "the image holds values from .* to .*; 0 to 1 is needed"),
        (np.full((4, 4), np.nan, np.float32), "from nan to nan"),
        (IMAGE.astype(np.uint16), "images are uint16; uint8 is needed"),
        (np.zeros((4, 4, 2), np.uint8), r"shape \(1, 4, 4, 2\)"),
        (np.zeros((24, 28, 3), np.uint8), "stage 'turn' needs square images"),
    ],
)
def test_bad_images(image, message):
    with pytest.raises(InputError, match=message):
        Degrade("mnist-motion", p=1)(image=image)


def test_bad_recipes():
    with pytest.raises(RecipeError, match="there is no recipe 'mnits'"):
        Degrade("mnits")
    with pytest.raises(RecipeError, match="stage 0"):
        Degrade({"name": "wrong", "stages": [{"motion": {"length": 0}}]})
