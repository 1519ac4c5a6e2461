"""The PSFs of pairs, and the room about them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import blurgen
from blurgen.known_psfs import known_psfs
from blurgen.psf.composition import trimmed

NOISY = "name: noisy\nstages: [motion: {length: 5, angle: {uniform: [0, 180]}}, gaussian_noise: {sigma: 3}]"


def opened(out, **make):
    return blurgen.open_pairs(blurgen.make("digits", out, **make))


def test_psfs_of_a_part_are_those_of_the_whole(tmp_path):
    """Steps of a shake are drawn by the index in the whole, and are not stored."""
    make = {"recipe": "camera-shake", "count": 200, "seed": 3}
    whole = opened(tmp_path / "whole.h5", **make, psf=True)
    part = opened(tmp_path / "part.h5", **make, shard=(2, 2), part=True)
    assert 0 < part.header.first < 200
    rows = np.array([0, 3, part.header.count - 1])
    np.testing.assert_array_equal(known_psfs(part, rows)[0], whole.psf[part.header.first + rows])


def test_psfs_from_the_file_and_from_the_recipe_are_the_same(tmp_path):
    recipe = blurgen.Recipe.from_yaml(NOISY)
    stored, bare = (opened(tmp_path / f"{psf}.h5", recipe=recipe, count=12, psf=psf) for psf in (True, False))
    assert (stored.psf is None, bare.psf is None) == (False, True)
    rows = np.array([2, 5, 11])
    found, reason = known_psfs(bare, rows)
    np.testing.assert_array_equal(known_psfs(stored, rows)[0], found)
    assert reason == ""


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        ("[gaussian_noise: {sigma: 5}]", "recipe 'none' has no blur of a known PSF"),
        ("[motion: {length: 5, angle: 0}, turn: {quarters: 1}]", "turn"),
    ],
)
def test_where_there_is_none_the_reason_is_told(tmp_path, stages, reason):
    recipe = blurgen.Recipe.from_yaml(f"name: none\nstages: {stages}")
    psfs, said = known_psfs(opened(tmp_path / "a.h5", recipe=recipe, count=2), np.array([1]))
    assert psfs is None
    assert reason in said


@given(
    st.integers(0, 4),
    st.integers(1, 3),
    st.sampled_from([0.0, 1e-3, 0.5]),
    st.integers(0, 2),
    st.integers(0, 3),
    st.integers(0, 2**32 - 1),
)
def test_trimmed_is_the_least_that_holds_all(reach, count, above, border, least, seed):
    random = np.random.default_rng(seed)
    side = 2 * reach + 1
    psfs = random.normal(size=(count, side, side)) * (random.random((count, side, side)) < 0.1)
    farthest = 0
    for psf in psfs:
        for (y, x), weight in np.ndenumerate(psf):
            if abs(weight) > above * max(abs(psf.max()), abs(psf.min())):
                farthest = max(farthest, abs(y - reach), abs(x - reach))
    wanted = min(reach, max(farthest + border, least))
    found = trimmed(psfs, above=above, border=border, least=least)
    assert found.shape == (count, 2 * wanted + 1, 2 * wanted + 1)
    np.testing.assert_array_equal(found[:, wanted, wanted], psfs[:, reach, reach])
    assert np.shares_memory(found, psfs)
