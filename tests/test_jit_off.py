"""With NUMBA_DISABLE_JIT=1 the loops run as plain Python, with the same results."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from strategies import BORDERS, texture

from blurgen import convolution, convolve, degrade, psf
from blurgen.draws import Draws
from blurgen.gallery import stage_examples
from blurgen.loops import draws as draw_loops
from blurgen.loops.elementary import exp, log, sincos
from blurgen.recipe import Recipe
from blurgen.recipe import recipes as built_in

KERNELS = {
    "taps": psf.motion(4.3, 37),
    "dense": np.arange(1, 13).reshape(3, 4) / 78,
    "box": psf.box((5, 4)),
    "separable": psf.gaussian(15, 2.0),
    "fourier": psf.disk(10.6),
}


def results():
    """Small cases of everything that is compiled, by name."""
    found = {}
    draws = Draws(2**40 + 7, np.array([0, 5, 2**35])).stage(3)
    found["uniform"], found["normal"] = draws.uniform(2), draws.normal(2)
    found["beta"], found["tiny beta"] = draws.beta(2, 0.7, 3.0), draws.beta(2, 0.01, 0.02)
    found["below"] = draws.below(1, 77)
    points = np.linspace(0.01, 40, 23)
    found["elementary"] = np.array([[*sincos(x), log(x), exp(x), exp(-x)] for x in points])
    found["inverse normal"] = np.array([draw_loops.inverse_normal(p) for p in (1e-300, 1e-9, 0.3, 0.97)])

    found["motion"] = psf.motion(7.3, 123.4)
    found["motion batch"] = psf.motion_batch(np.array([3.0, 5.5]), np.array([20.0, 100.0]), 9)
    found["gaussian"] = psf.gaussian((5, 6), 1.3)
    found["gaussian batch"] = psf.gaussian_batch(np.array([5, 9]), np.array([0.8, 2.0]), 9)
    found["disk"] = psf.disk(3.3)
    found["disk batch"] = psf.disk_batch(np.array([0.2, 2.7]), 7)

    for shape in [(1, 6, 5, 3), (1, 3, 21, 1)]:
        for name, kernel in KERNELS.items():
            for border in BORDERS:
                images = texture(*shape)
                floats = (images / np.float32(255)).astype(np.float32)
                with pytest.MonkeyPatch.context() as patch:
                    # how many taps the Fourier engine costs at most
                    patch.setattr(convolution, "_MOST_TAPS", 0 if name == "fourier" else 500)
                    found[f"bytes {name} {border} {shape}"] = convolve(images, kernel, border, outside=40)
                    found[f"floats {name} {border} {shape}"] = convolve(floats, kernel, border, outside=0.5)

    examples = [Recipe.from_dict({"name": kind, "stages": s}) for kind, s in stage_examples().items()]
    for recipe in [*built_in().values(), *examples]:
        pairs = degrade(texture(2, 8, 8, 3), recipe, seed=3, start=1)
        found[f"{recipe.name} sharp"], found[f"{recipe.name} blurred"] = pairs.sharp, pairs.blurred
        found.update({f"{recipe.name} {name}": column for name, column in pairs.params.items()})
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "results.npz"
    tests = Path(__file__).parent
    script = f"import numpy, test_jit_off; numpy.savez({str(path)!r}, **test_jit_off.results())"
    environment = {
        **os.environ,
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)]),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(path) as archive:
        return dict(archive)


def test_plain_python_gives_the_same(plain):
    compiled = results()
    assert list(plain) == list(compiled)
    for name, expected in compiled.items():
        got = plain[name]
        assert got.dtype == expected.dtype, name
        if name.startswith("floats"):
            # a product and sum in float64, then rounded, is nearly but not always the fused operation
            np.testing.assert_allclose(got, expected, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(got, expected, err_msg=name)
