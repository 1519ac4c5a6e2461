import json

import h5py
import numpy as np
import pytest
from memory import peak_of

import blurgen
from blurgen.cli import main
from blurgen.errors import FileError
from blurgen.recipe import Recipe
from blurgen.sources.memory import LabelledMemorySource

BOX = Recipe.from_dict({"name": "b", "stages": [{"box": {"size": 3}}]})
SOURCE = LabelledMemorySource(
    "s", {}, np.arange(512, dtype=np.uint8).reshape(8, 8, 8, 1), np.arange(8, dtype=np.uint8)
)


@pytest.fixture(scope="module", params=[None, "gzip"])
def made(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "x.h5"
    return blurgen.make(SOURCE, path, BOX, psf=True, compression=request.param)


@pytest.fixture
def copy(made, tmp_path):
    (tmp_path / "x.h5").write_bytes(made.read_bytes())
    (tmp_path / "other.h5").write_bytes(made.read_bytes())
    return tmp_path / "x.h5"


def refused(path, message):
    def check():
        with pytest.raises(FileError, match=message) as caught:
            blurgen.open_pairs(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)

    assert peak_of(check) < 1 << 22


@pytest.mark.parametrize("name", ["sharp", "blurred", "label", "psf", "params"])
@pytest.mark.parametrize("link", [h5py.ExternalLink("other.h5", "/sharp"), h5py.SoftLink("/kept")])
def test_links_are_not_followed(copy, name, link):
    with h5py.File(copy, "r+") as file:
        file.move(name, "kept")
        file[name] = link
    refused(copy, rf"is refused: '{name}(/.*)?' is a link that leads elsewhere")


def test_bytes_in_other_files(copy):
    with h5py.File(copy, "r+") as file:
        del file["blurred"]
        file.create_dataset("blurred", (8, 8, 8, 1), "u1", external=[("other.h5", 0, 512)])
    refused(copy, "dataset 'blurred' keeps its bytes in other files")


def test_put_together_from_other_files(copy):
    with h5py.File(copy, "r+") as file:
        del file["blurred"]
        layout = h5py.VirtualLayout((8, 8, 8, 1), "u1")
        layout[:] = h5py.VirtualSource("other.h5", "sharp", (8, 8, 8, 1))
        file.create_virtual_dataset("blurred", layout)
    refused(copy, "dataset 'blurred' is put together from other files")


def test_shapes_that_the_file_cannot_hold(copy):
    with h5py.File(copy, "r+") as file:
        for name in ("sharp", "blurred"):
            del file[name]
            file.create_dataset(name, (1 << 40, 8, 8, 1), "u1", chunks=(1024, 8, 8, 1))
        file.attrs.modify("count", np.int64(1 << 40))
    refused(copy, "dataset 'sharp' would fill more than")


@pytest.mark.parametrize("name", ["sharp", "blurred", "psf"])
def test_filters_of_strangers(copy, name):
    with h5py.File(copy, "r+") as file:
        data = file[name][...]
        del file[name]
        file.create_dataset(name, data=data, chunks=True, shuffle=True, compression="gzip")
    refused(copy, f"dataset '/{name}' has filters that blurgen does not use")


def test_nothing_in_it(copy):
    with h5py.File(copy, "r+") as file:
        del file["sharp"]
        file["sharp"] = h5py.Empty("u1")
    refused(copy, "dataset 'sharp' holds nothing")


@pytest.mark.parametrize("count", [0, -1])
def test_no_pairs(copy, count):
    with h5py.File(copy, "r+") as file:
        file.attrs.modify("count", np.int64(count))
        for name in ("sharp", "blurred"):
            del file[name]
            file.create_dataset(name, (0, 8, 8, 1), "u1")
    refused(copy, "lacks the dataset 'sharp' of shape|the attribute 'count' is damaged")


@pytest.mark.parametrize("name", ["recipe", "dataset_options"])
@pytest.mark.parametrize(
    "text", ["[" * 30_000, '{"a":' * 9000, "[" * 70 + "]" * 70, '["\\\\", "]"' + ", [" * 64]
)
def test_deep_json(copy, name, text):
    with h5py.File(copy, "r+") as file:
        file.attrs[name] = np.bytes_(text)
    refused(copy, "an attribute is damaged: it nests more than 64 levels deep")


def test_chunks_that_cannot_be_unpacked(copy):
    with h5py.File(copy, "r+") as file:
        if not file["blurred"].chunks:
            return
        file["blurred"].id.write_direct_chunk((0, 0, 0, 0), b"nonsense")
    pairs = blurgen.open_pairs(copy)
    for key in (0, -1, slice(0, 2), slice(None, None, -1), np.array([3, 1])):
        with pytest.raises(FileError, match=r"'blurred' cannot be read: .*filter"):
            pairs[key]


def test_what_a_file_says_of_itself_does_nothing_to_a_terminal(copy, capsys):
    with h5py.File(copy, "r+") as file:
        file.attrs["dataset"] = np.bytes_(b"\x1b]0;own\x07\nseed 5")
    assert main(["info", str(copy)]) == 0
    assert r"dataset           \x1b]0;own\x07\nseed 5" in capsys.readouterr().out.split("\n")


@pytest.mark.parametrize("value", [np.zeros(4000), h5py.Empty("f4"), np.array([b"a", b"b"])])
def test_attributes_that_are_no_single_value(copy, value):
    with h5py.File(copy, "r+") as file:
        file.attrs["recipe_name"] = value
    refused(copy, "the attribute 'recipe_name' is damaged")


def test_other_attributes_are_not_even_read(copy):
    with h5py.File(copy, "r+") as file:
        file.attrs["more"] = np.zeros(7000)
        file.attrs["reference"] = file.ref
    assert len(blurgen.open_pairs(copy)) == 8


def test_a_recipe_that_names_a_device(copy):
    fields = {"name": "r", "stages": [{"given": {"file": "/dev/zero"}}]}
    with h5py.File(copy, "r+") as file:
        file.attrs["recipe"] = np.bytes_(json.dumps(fields))
    with pytest.raises(
        blurgen.errors.BlurgenError, match=r"'/dev/zero' cannot be read: it is no regular file"
    ):
        blurgen.open_pairs(copy)
