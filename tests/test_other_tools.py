"""Programs that are not ours read pair files: h5dump of the HDF5 tools, and GNU Octave."""

import os
import re
import shutil
import subprocess

import numpy as np
import pytest

import blurgen
from blurgen.recipe import Recipe
from blurgen.sources.memory import LabelledMemorySource

RECIPE = Recipe.from_yaml(
    """
name: others
copies: 2
stages:
  - motion: {length: {uniform: [3, 5]}, angle: {uniform: [0, 180]}}
  - maybe: {probability: 0.5, stages: [box: {size: {choice: [3, 5]}}, gaussian: {sigma: {uniform: [1, 2]}}]}
"""
)
IMAGES = np.random.default_rng(6).integers(0, 256, (9, 10, 14, 3), dtype=np.uint8)
SEED = 2**64 - 3  # takes all of the attribute's bits


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    source = LabelledMemorySource("nine", {"patch": 10}, IMAGES, np.arange(9, dtype=np.uint8))
    out = tmp_path_factory.mktemp("tools") / "pairs.h5"
    return blurgen.open_pairs(blurgen.make(source, out, RECIPE, seed=SEED, psf=True))


def program(name, package):
    found = shutil.which(name)
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{name} is missing (Debian: {package})")
    return found


def output(*command, **options):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=120, check=False, **options
    )
    assert done.stdout, done.stderr
    return done.stdout


@pytest.fixture
def h5dump():
    return program("h5dump", "hdf5-tools")


@pytest.fixture
def octave(tmp_path, monkeypatch):
    """Run a script in Octave; what it prints."""
    path = program("octave-cli", "octave")
    monkeypatch.setenv("HOME", str(tmp_path))  # no history, no settings of the user's
    return lambda script: output(path, "--quiet", "--norc", "--eval", script, cwd=tmp_path)


def dumped(text):
    """The numbers of h5dump's DATA block."""
    block = re.search(r"DATA \{(.*?)\}", text, re.DOTALL)[1]
    values = [re.sub(r"\([\d,]*\):", "", line) for line in block.splitlines()]
    return [float(word) for line in values for word in line.replace(",", " ").split()]


def test_h5dump_header(h5dump, pairs):
    text = output(h5dump, "-H", pairs.path)
    groups = re.findall(r'GROUP "(.*?)"', text)
    assert groups == ["/", "crc32", "params"]
    sets = dict(re.findall(r'DATASET "(.*?)" \{\s*DATATYPE\s+(\S+)', text))
    shapes = dict(re.findall(r'DATASET "(.*?)" \{\s*DATATYPE\s+\S+\s*DATASPACE\s+SIMPLE \{ (\(.*?\))', text))
    floats = {"0.motion.length", "0.motion.angle", "1.maybe.1.gaussian.sigma"}
    assert sets.pop("psf") == "H5T_IEEE_F32LE"
    assert sets.pop("sharp") == sets.pop("blurred") == "H5T_STD_U8LE"
    assert sets.pop("source_index") == sets.pop("label") == "H5T_STD_I64LE"
    assert sets.pop("blocks") == sets.pop("file") == "H5T_STD_U32LE"
    assert sets == {n: "H5T_IEEE_F64LE" if n in floats else "H5T_STD_I64LE" for n in pairs.params}
    assert shapes["sharp"] == shapes["blurred"] == "( 18, 10, 14, 3 )"
    assert shapes["label"] == "( 18 )"


def test_h5dump_attributes(h5dump, pairs):
    def attribute(name):
        return re.search(r"\(0\): (.*)", output(h5dump, "-a", f"/{name}", pairs.path))[1]

    numbers = {"format_version": 1, "count": 18, "copies": 2, "seed": SEED}
    assert {name: int(attribute(name)) for name in numbers} == numbers
    texts = {
        "format": "blurgen-pairs",
        "recipe": RECIPE.to_json(),
        "recipe_name": "others",
        "dataset": "nine",
        "dataset_options": '{"patch": 10}',
        "dataset_sha256": pairs.header.dataset_sha256,
        "blurgen_version": blurgen.__version__,
    }
    assert {name: attribute(name) for name in texts} == {name: f'"{text}"' for name, text in texts.items()}


def test_h5dump_values(h5dump, pairs):
    part = output(h5dump, "-d", "/blurred", "-s", "3,2,4,0", "-c", "2,3,5,3", pairs.path)
    assert np.array_equal(dumped(part), pairs.blurred[3:5, 2:5, 4:9].ravel())
    for name, column in pairs.params.items():
        text = output(h5dump, "-m", "%.17g", "-d", f"/params/{name}", pairs.path)
        assert np.array_equal(dumped(text), column, equal_nan=column.dtype.kind == "f")
    assert dumped(output(h5dump, "-d", "/source_index", pairs.path)) == list(np.arange(18) // 2)


def test_h5dump_whole_dataset_in_binary(h5dump, pairs, tmp_path):
    output(h5dump, "-d", "/sharp", "-b", "LE", "-o", tmp_path / "sharp.bin", pairs.path)
    assert (tmp_path / "sharp.bin").read_bytes() == pairs.sharp.tobytes()


def test_octave_sizes(octave, pairs):
    script = f"""
s = load("{pairs.path}");
printf("%s ", fieldnames(s){{:}}); printf("\\n");
printf("%s ", fieldnames(s.params){{:}}); printf("\\n");
printf("%d ", size(s.blurred)); printf("%s\\n", class(s.blurred));
printf("%d ", size(s.psf)); printf("%s\\n", class(s.psf));
printf("%d ", s.source_index); printf("%s\\n", class(s.source_index));
"""
    fields, params, blurred, psf, index = octave(script).splitlines()
    assert set(fields.split()) == {"blurred", "crc32", "label", "params", "psf", "sharp", "source_index"}
    assert set(params.split()) == {"_" + name.replace(".", "_") for name in pairs.params}
    assert blurred == "3 14 10 18 uint8"  # in reverse
    assert psf.startswith(f"{pairs.psf.shape[2]} {pairs.psf.shape[1]} 18 ")
    assert index == " ".join(str(i // 2) for i in range(18)) + " int64"


def test_octave_values(octave, pairs):
    script = f"""
s = load("{pairs.path}");
x = permute(s.blurred(:, :, :, 6), [3 2 1]);
assert(size(x), [10 14 3]);
printf("%d ", x(:)); printf("\\n");
printf("%.17g ", s.params._0_motion_angle); printf("\\n");
printf("%.17g ", s.params._1_maybe_1_gaussian_sigma); printf("\\n");
printf("%d ", s.params._1_maybe_0_box_size); printf("\\n");
"""
    image, angle, sigma, size = (np.array(line.split(), float) for line in octave(script).splitlines())
    assert np.array_equal(image, pairs.blurred[5].ravel(order="F"))
    assert np.array_equal(angle, pairs.params["0.motion.angle"])
    assert np.array_equal(sigma, pairs.params["1.maybe.1.gaussian.sigma"], equal_nan=True)
    assert np.isnan(sigma).any()
    assert np.array_equal(size, pairs.params["1.maybe.0.box.size"])


def test_octave_one_dataset(octave, pairs):
    assert octave(f'v = load("{pairs.path}", "label"); printf("%d ", v.label)').split() == [
        str(i // 2) for i in range(18)
    ]
