"""What holds for every stage, seen on the examples that the gallery shows."""

import json
import pickle

import numpy as np
import pytest
from strategies import texture

from blurgen import Recipe, degrade
from blurgen.errors import InputError
from blurgen.gallery import stage_examples
from blurgen.stages import KINDS

EXAMPLES = stage_examples()
COLOUR_ONLY = {"gaussian_noise", "sensor"}  # as the examples use them
# what changes nothing, or nothing that an image alone can show
GEOMETRY = {kind for kind, stage in KINDS.items() if stage.changes_sharp}


def example(kind):
    return Recipe.from_dict({"name": kind, "stages": EXAMPLES[kind]})


def test_every_stage_has_an_example():
    assert set(EXAMPLES) == set(KINDS) - {"given"}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_examples_round_trip(kind):
    chosen = example(kind)
    assert Recipe.from_yaml(chosen.to_yaml()) == chosen
    assert Recipe.from_dict(json.loads(chosen.to_json())) == chosen
    assert pickle.loads(pickle.dumps(chosen)) == chosen
    assert hash(Recipe.from_yaml(chosen.to_json())) == hash(chosen)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_batch_is_its_singles(kind):
    chosen = example(kind)
    images = texture(9, 40, 36, 3) if kind != "turn" else texture(9, 40, 40, 3)
    whole = degrade(images, chosen, seed=5, start=2**33)
    kept = images.copy()
    assert whole.blurred.shape[1:] == chosen.output_shape(images.shape[1:])
    for threads in (1, 2):
        for rows in (slice(0, 1), slice(3, 5), slice(8, 9), slice(0, 9)):
            part = degrade(images[rows], chosen, seed=5, start=2**33 + rows.start, threads=threads)
            np.testing.assert_array_equal(part.blurred, whole.blurred[rows])
            np.testing.assert_array_equal(part.sharp, whole.sharp[rows])
            for name, column in part.params.items():
                np.testing.assert_array_equal(column, whole.params[name][rows])
    np.testing.assert_array_equal(images, kept)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_only_what_says_so_changes_the_sharp_image(kind):
    images = texture(6, 40, 40, 3)
    pairs = degrade(images, example(kind), seed=1)
    if kind in GEOMETRY:
        np.testing.assert_array_equal(pairs.sharp, pairs.blurred)
        assert pairs.sharp.shape != images.shape or (pairs.sharp != images).any()
    else:
        np.testing.assert_array_equal(pairs.sharp, images)
        # bytes hold no light that could be clipped
        assert (pairs.blurred != images).any() == (kind != "saturate")


@pytest.mark.parametrize("kind", EXAMPLES)
def test_gray_images_are_taken_or_refused_in_a_sentence(kind):
    images = texture(3, 24, 24)
    if kind in COLOUR_ONLY:
        with pytest.raises(InputError, match=rf"stage 0.* stage '{kind}' needs .*(gray|24×24×1)"):
            degrade(images, example(kind))
    else:
        assert degrade(images, example(kind)).blurred.shape[3] == 1


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 3), (3, 50, 3)])
def test_tiny_and_narrow_images(kind, shape):
    images = texture(2, *shape)
    if (kind == "turn" and shape[0] != shape[1]) or (kind == "sensor" and min(shape[:2]) < 2):
        with pytest.raises(InputError, match=f"'{kind}' needs"):
            degrade(images, example(kind), seed=3)
    else:
        pairs = degrade(images, example(kind), seed=3)
        assert pairs.blurred.shape[1:] == example(kind).output_shape(shape)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_columns_are_numbers_of_their_kind(kind):
    chosen = example(kind)
    for draws in (chosen.draws(1, np.arange(50)), chosen.draws(1, np.empty(0, np.int64))):
        for name, column in chosen.sample(draws).items():
            assert column.shape == (len(draws),), name
            assert column.dtype in (np.float64, np.int64), name


@pytest.mark.parametrize(
    "kind", [kind for kind, stage in KINDS.items() if kind in EXAMPLES and stage.one_psf]
)
def test_psfs_hold_the_light_and_are_centred(kind):
    chosen = example(kind)
    draws = chosen.draws(7, np.arange(12))
    try:
        psfs = chosen.psfs(chosen.sample(draws), draws).astype(np.float64)
    except InputError:
        assert kind in ("rescaled", "resize")
        return
    assert psfs.shape == (12, chosen.psf_size, chosen.psf_size)
    np.testing.assert_allclose(psfs.sum(axis=(1, 2)), 1, atol=2e-5)
    if kind != "sinc":
        assert psfs.min() >= 0
    if kind in ("imagenet_c_motion", "box"):  # as their sources have it; even boxes have no middle
        return
    at = np.arange(chosen.psf_size) - chosen.psf_size // 2
    for psf in psfs:
        assert abs((psf.sum(axis=0) * at).sum()) <= 0.5
        assert abs((psf.sum(axis=1) * at).sum()) <= 0.5
