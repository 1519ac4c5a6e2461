"""The bytes that every built-in recipe makes, pinned: to change one is a decision, and a new version."""

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from strategies import texture

from blurgen import convolve, degrade, psf
from blurgen.errors import InputError
from blurgen.gallery import stage_examples
from blurgen.recipe import Recipe
from blurgen.recipe import recipes as built_in
from blurgen.sources.digits import Digits

RECIPES = {
    "anime-box": "3a42ce624036217ebdc059f0e054a094064ddbaa7b7b6518418dc1e54d78b071",
    "anime-gaussian": "666b0543522d4483fe9e13e168e9f347fa807b68e478d8e5f695089dd2531e43",
    "anime-motion": "965ec839e6573e74a2f27b146089a5b1ed83f8af348e03bcffddeed0c2bf5881",
    "fashion-gaussian": "175f38d8928365ed3e781109c3819a9834d499044ae9e2d0d8fce6d4e0188e5d",
    "mnist-motion": "d842e17938cba2930682f3dc8ab6f9957c3ef9efdac3ef1742008589c830a187",
    "mnist-motion-len5": "95c9fff508dd2b7b41c24cabefddd2b6c189812f6c08b91d0155a617ca34dd77",
}
ALL_STAGES = "d34008b56659864e08147e251c33b28f09210dcf0efb0639cb6a71e6eb67a6a6"
CONVOLUTIONS = "17f485609fc436686fed0c5dade07c24b6dd31c51e8b74f407591402fc95d99e"


def takes(recipe, shape):
    """Whether a recipe takes such images."""
    try:
        recipe.output_shape(shape)
    except InputError:
        return False
    return True


def digest_of_pairs(recipe):
    """SHA-256 of what a recipe makes of drawn digits, and of gray and colour textures, where it takes them."""
    found = hashlib.sha256()
    for images, start in (
        (Digits().read(0, 24), 0),
        (texture(7, 40, 40), 100),
        (texture(3, 33, 33, 3), 2**40),
    ):
        if not takes(recipe, images.shape[1:]):
            continue
        pairs = degrade(images, recipe, seed=2024, start=start)
        found.update(pairs.sharp.tobytes())
        found.update(pairs.blurred.tobytes())
        for name, column in pairs.params.items():
            found.update(name.encode())
            found.update(column.dtype.str.encode())
            found.update(column.tobytes())
    return found.hexdigest()


def digest_of_all_stages():
    """SHA-256 of a recipe with every stage that no built-in recipe has."""
    blurs = [{"disk": {"radius": {"uniform": [0, 4]}}}, {"gaussian": {"sigma": {"log_uniform": [0.2, 3]}}}]
    noise = {"gaussian_noise": {"sigma": {"beta": [0.5, 2], "range": [0, 60]}}}
    motion = {"motion": {"length": {"normal": [6, 3], "clip": [1, 12]}, "angle": {"uniform": [0, 360]}}}
    stages = [
        {"one_of": [{"stages": blurs}, {"weight": 0.5, "stages": [motion]}]},
        {"maybe": {"probability": 0.5, "stages": [noise]}},
        {"shuffled": [motion, noise]},
    ]
    return digest_of_pairs(Recipe.from_dict({"name": "all", "stages": stages}))


def digest_of_convolutions():
    """SHA-256 of what each engine makes of bytes and of floats."""
    found = hashlib.sha256()
    kernels = [psf.motion(9.3, 37), psf.gaussian(15, 2.3), psf.box((7, 6)), psf.disk(5.2), psf.disk(13.7)]
    for shape in ((1, 30, 9, 1), (2, 57, 63, 3), (1, 300, 250, 1)):
        for kernel in kernels:
            images = texture(*shape)
            found.update(convolve(images, kernel, "reflect").tobytes())
            found.update(convolve((images / np.float32(255)).astype(np.float32), kernel).tobytes())
    return found.hexdigest()


def digests():
    """All digests, a line each."""
    return [*(digest_of_pairs(name) for name in RECIPES), digest_of_all_stages(), digest_of_convolutions()]


PINNED = [*RECIPES.values(), ALL_STAGES, CONVOLUTIONS]


def test_every_built_in_recipe_is_pinned():
    assert list(RECIPES) == sorted(built_in())


@pytest.mark.parametrize("name", RECIPES)
def test_built_in_recipes_make_the_same_bytes_as_ever(name):
    assert digest_of_pairs(name) == RECIPES[name]


def test_all_stages_make_the_same_bytes_as_ever():
    assert digest_of_all_stages() == ALL_STAGES


def test_convolutions_make_the_same_bytes_as_ever():
    assert digest_of_convolutions() == CONVOLUTIONS


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names processors of x86")
@pytest.mark.parametrize("processor", ["haswell", pytest.param("generic", marks=pytest.mark.fuzz)])
def test_other_processors_make_the_same_bytes(processor, tmp_path):
    tests = Path(__file__).parent
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": processor,
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)]),
    }
    script = "import test_digests; print(*test_digests.digests())"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == PINNED
