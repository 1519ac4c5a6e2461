"""Exports are read back by the libraries they are meant for, or by a slow twin of what those do."""

import csv
import gc
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from strategies import texture

import blurgen
from blurgen.cli import main
from blurgen.errors import FileError, InputError
from blurgen.exporting import FORMATS, base, png, records, target
from blurgen.provenance import remake_command
from blurgen.recipe import Recipe
from blurgen.sources.memory import LabelledMemorySource

PACKAGE = Path(blurgen.__file__).parents[1]
ROWS = 4  # of a part
COUNT = 18
RECIPE = Recipe.from_yaml(
    """
name: some
copies: 3
stages:
  - maybe: {probability: 0.5, stages: [box: {size: {choice: [3, 5]}}]}
  - maybe: {probability: 0.5, stages: [gaussian_noise: {sigma: {uniform: [1, 9]}}]}
"""
)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch, tmp_path):
    monkeypatch.setattr(base, "_LEAST_ROWS", ROWS)
    monkeypatch.setattr(base, "_MOST_ROWS", ROWS)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def colour(tmp_path_factory):
    """Compressed, with labels, and stages that take no part."""
    source = LabelledMemorySource("texture", {}, texture(6, 11, 14, 3), np.arange(6, dtype=np.uint8))
    return blurgen.make(
        source, tmp_path_factory.mktemp("pairs") / "colour.h5", RECIPE, seed=5, compression="lzf"
    )


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    """Mapped, with PSFs."""
    return blurgen.make("digits", tmp_path_factory.mktemp("pairs") / "gray.h5", count=COUNT, seed=2, psf=True)


@pytest.fixture(params=["colour", "gray"])
def path(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=list(FORMATS))
def to(request):
    return request.param


def tree(folder):
    """Every file below, with its bytes."""
    files = (path for path in sorted(folder.rglob("*")) if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


SHARD = 7  # pairs; two blocks


def of_shards(path, to):
    """The options that give shards of seven pairs at most."""
    if not FORMATS[to].sharded:
        return {}
    format_ = FORMATS[to](blurgen.open_pairs(path), 1, 10**9)
    return {"shard_bytes": format_.frame_bytes() + SHARD * format_.pair_bytes()}


def drawn(pairs, index):
    """What was drawn for a pair; None where a stage took no part."""
    return {
        name: None if value == -1 or value != value else value  # noqa: PLR0124 – NaN alone is unlike itself
        for name, value in pairs[index].params.items()
    }


def numbers(pairs, index):
    label = {} if pairs.label is None else {"label": pairs.label[index]}
    return {"source_index": pairs.source_index[index], **label, **drawn(pairs, index)}


def assert_some_took_no_part(pairs):
    if pairs.recipe.name == "some":
        assert any(None in drawn(pairs, i).values() for i in range(len(pairs)))
        assert any(None not in drawn(pairs, i).values() for i in range(len(pairs)))


def as_rgb(image):
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


# ---- folder ----


def paired_as_basicsr(target_folder, input_folder, meta_info=None):
    """What BasicSR, NAFNet and Restormer do with two folders: same number, same names, no other files.

    With a list of images, its lines up to the first space are their names. Images are decoded by OpenCV to
    three channels.
    """
    if meta_info is None:
        names = [entry.name for entry in os.scandir(target_folder) if not entry.name.startswith(".")]
        others = [entry.name for entry in os.scandir(input_folder) if not entry.name.startswith(".")]
        assert len(names) == len(others)
        assert set(names) == set(others)
    else:
        names = [line.split(" ")[0] for line in meta_info.read_text().splitlines()]
    for name in sorted(names):
        found = [
            cv2.imdecode(np.frombuffer((folder / name).read_bytes(), np.uint8), cv2.IMREAD_COLOR)
            for folder in (target_folder, input_folder)
        ]
        yield name, *(cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in found)


@pytest.mark.parametrize("listed", [False, True])
def test_folders_as_basicsr_reads_them(path, listed):
    out = blurgen.export(path, "out", to="folder")
    pairs = blurgen.open_pairs(path)
    meta_info = out / "meta_info.txt" if listed else None
    found = list(paired_as_basicsr(out / "target", out / "input", meta_info))
    assert [name for name, _, _ in found] == [f"{i:06d}.png" for i in range(COUNT)]
    for i, (_, sharp, blurred) in enumerate(found):
        np.testing.assert_array_equal(sharp, as_rgb(pairs.sharp[i]))
        np.testing.assert_array_equal(blurred, as_rgb(pairs.blurred[i]))


def test_gray_pngs_are_gray(gray):
    out = blurgen.export(gray, "out", to="folder")
    with Image.open(out / "input" / "000003.png") as image:
        assert image.mode == "L"


@pytest.mark.parametrize("kind", ["folder", "lmdb"])
def test_params_csv(path, kind):
    out = blurgen.export(path, "out", to=kind)
    pairs = blurgen.open_pairs(path)
    with (out / "params.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert_some_took_no_part(pairs)
    assert len(lines) == COUNT
    for i, line in enumerate(lines):
        assert line.pop("name") == f"{i:06d}.png"
        assert {name: float(text) if text else None for name, text in line.items()} == numbers(pairs, i)


def test_folders_are_a_source_of_ours(colour):
    out = blurgen.export(colour, "out", to="folder")
    sharp, blurred = blurgen.open_source(f"pairs:{out}").read_pairs(0, COUNT)
    pairs = blurgen.open_pairs(colour)
    np.testing.assert_array_equal(sharp, pairs.sharp)
    np.testing.assert_array_equal(blurred, pairs.blurred)


# ---- lmdb ----


def test_databases_as_basicsr_reads_them(path):
    """Keys are the lines of meta_info.txt up to the first point, the same in both; values are images."""
    out = blurgen.export(path, "out", to="lmdb")
    pairs = blurgen.open_pairs(path)
    shape = ",".join(map(str, pairs.header.shape))
    for side, images in (("target", pairs.sharp), ("input", pairs.blurred)):
        place = out / f"{side}.lmdb"
        lines = (place / "meta_info.txt").read_text().splitlines()
        assert lines == [f"{i:06d}.png ({shape}) {png.LEVEL}" for i in range(COUNT)]
        with lmdb.open(str(place), readonly=True, lock=False, readahead=False) as database:
            for i, key in enumerate(sorted(line.split(".")[0] for line in lines)):
                with database.begin(write=False) as transaction:
                    value = transaction.get(key.encode("ascii"))
                    assert transaction.stat()["entries"] == COUNT
                image = cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_COLOR)
                np.testing.assert_array_equal(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), as_rgb(images[i]))


# ---- webdataset ----


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset closes none
def test_shards_as_webdataset_reads_them(path):
    import webdataset

    out = blurgen.export(path, "out", to="webdataset", **of_shards(path, "webdataset"))
    pairs = blurgen.open_pairs(path)
    shards = sorted(map(str, out.glob("*.tar")))
    assert len(shards) == 3
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))
    gc.collect()  # while that is known
    assert [sample["__key__"] for sample in samples] == [f"{i:06d}" for i in range(COUNT)]
    for i, sample in enumerate(samples):
        np.testing.assert_array_equal(np.asarray(sample["sharp.png"].convert("RGB")), as_rgb(pairs.sharp[i]))
        np.testing.assert_array_equal(
            np.asarray(sample["blurred.png"].convert("RGB")), as_rgb(pairs.blurred[i])
        )
        told = sample["json"]
        assert told.pop("index") == i
        assert {**told, **told.pop("params")} == {**numbers(pairs, i), "params": drawn(pairs, i)}
        if pairs.psf is None:
            assert "psf.npy" not in sample
        else:
            np.testing.assert_array_equal(sample["psf.npy"], pairs.psf[i])


def test_members_have_no_time_and_no_owner(gray):
    out = blurgen.export(gray, "out", to="webdataset")
    with tarfile.open(out / "pairs-000000.tar") as archive:
        for member in archive.getmembers():
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
            assert member.mode == 0o644


# ---- npz ----


def test_archives_as_numpy_reads_them(path):
    out = blurgen.export(path, "out", to="npz", **of_shards(path, "npz"))
    pairs = blurgen.open_pairs(path)
    shards = []
    for file in sorted(out.glob("*.npz")):
        with np.load(file, allow_pickle=False) as archive:
            shards.append(dict(archive))
    assert [len(shard["sharp"]) for shard in shards] == [7, 7, 4]
    columns = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
    expected = {"sharp": pairs.sharp, "blurred": pairs.blurred, "source_index": pairs.source_index}
    expected |= {f"params/{name}": column for name, column in pairs.params.items()}
    expected |= {
        name: column for name, column in (("label", pairs.label), ("psf", pairs.psf)) if column is not None
    }
    assert columns.keys() == expected.keys()
    for name, column in expected.items():
        assert columns[name].dtype == column.dtype
        np.testing.assert_array_equal(columns[name], np.asarray(column))


# ---- hf ----


@pytest.fixture
def load_dataset(monkeypatch, tmp_path_factory):
    """The library's own, without the network, with a cache of its own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    datasets.disable_progress_bars()
    cache = str(tmp_path_factory.mktemp("cache"))
    return lambda out, **options: datasets.load_dataset(str(out), cache_dir=cache, **options)


def test_data_sets_as_hugging_face_reads_them(path, load_dataset):
    out = blurgen.export(path, "out", to="hf", **of_shards(path, "hf"))
    pairs = blurgen.open_pairs(path)
    split = "train"
    assert len(list((out / "data").iterdir())) == 3
    found = load_dataset(out)
    assert list(found) == [split]
    assert len(found[split]) == COUNT
    for streamed, row, i in zip(
        load_dataset(out, split=split, streaming=True), found[split], range(COUNT), strict=True
    ):
        for name, images in (("sharp", pairs.sharp), ("blurred", pairs.blurred)):
            image = row.pop(name)
            assert image.mode == ("L" if images.shape[3] == 1 else "RGB")
            np.testing.assert_array_equal(np.asarray(image).reshape(images.shape[1:]), images[i])
            np.testing.assert_array_equal(np.asarray(streamed.pop(name)), np.asarray(image))
        assert row == streamed == numbers(pairs, i)


def test_columns_of_a_data_set_can_be_chosen(colour, load_dataset):
    out = blurgen.export(colour, "out", to="hf")
    name = "1.maybe.0.gaussian_noise.sigma"
    found = load_dataset(out, split="train", columns=["label", name])
    pairs = blurgen.open_pairs(colour)
    assert found[name] == [drawn(pairs, i)[name] for i in range(COUNT)]
    assert found.filter(lambda row: row["label"] == 2).num_rows == 3


def test_the_split_is_that_of_the_source():
    blurgen.make("digits", "test.h5", count=3, split="test")
    out = blurgen.export("test.h5", "out", to="hf")
    assert [path.name for path in (out / "data").iterdir()] == ["test-00000-of-00001.parquet"]
    assert card_header(out)["configs"][0]["data_files"][0]["split"] == "test"


def card_header(out):
    _, header, _ = (out / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(header)


@pytest.mark.parametrize(
    ("dataset", "licence", "told"),
    [
        ("mnist", "cc-by-sa-3.0", "the same licence holds"),
        ("fashion-mnist", "mit", "Zalando"),
        ("plates", None, "drawn by a program"),
        ("folder:photos", None, "not known"),
    ],
)
def test_the_card_tells_the_licence(gray, monkeypatch, dataset, licence, told):
    from dataclasses import replace

    pairs = blurgen.open_pairs(gray)
    pairs.header = replace(pairs.header, dataset=dataset)
    out = blurgen.export(pairs, "out", to="hf")
    header = card_header(out)
    assert header.get("license") == licence
    assert header["size_categories"] == ["n<1K"]
    text = (out / "README.md").read_text()
    assert told in text
    assert f"the seed {pairs.seed}" in " ".join(text.split())
    assert all(f"`{name}`" in text for name in pairs.params)
    assert Recipe.from_yaml(text.split("```yaml\n")[1].split("```")[0]) == pairs.recipe
    assert Recipe.from_yaml((out / "recipe.yaml").read_text()) == pairs.recipe


@pytest.mark.parametrize(
    "options",
    [
        "-d digits --count 4 --seed 7 --split test --psf --copies 2",
        "-d folder:photos -r anime-box --patch 9x8 --stride 4 --mode gray --skip-bad --compression gzip",
        "-d frames:frames -r untouched --window 3-5 --every 2 --curve srgb --highlights 0.5 --seed 3",
    ],
)
def test_the_command_on_the_card_makes_the_same_file(options):
    for folder, count in (("photos", 3), ("frames/a", 9)):
        Path(folder).mkdir(parents=True)
        for i, image in enumerate(texture(count, 18, 20, 3)):
            Image.fromarray(image).save(f"{folder}/{i}.png")
    assert main(["make", *options.split(), "--out", "first.h5", "-q"]) == 0
    pairs = blurgen.open_pairs("first.h5")
    Path("recipe.yaml").write_text(pairs.recipe.to_yaml())
    words = shlex.split(remake_command(pairs.header, "recipe.yaml"))
    assert words[-2:] == ["--out", "pairs.h5"]
    assert main([*words[1:], "-q"]) == 0
    assert Path("pairs.h5").read_bytes() == Path("first.h5").read_bytes()


# ---- all formats ----


def test_what_the_pairs_are_is_told(path, to):
    out = blurgen.export(path, "out", to=to)
    pairs = blurgen.open_pairs(path)
    about = json.loads((out / "blurgen.json").read_text())
    assert about["to"] == to
    assert sorted([*about["files"], "blurgen.json"]) == sorted(path.name for path in out.iterdir())
    told = about["pairs"]
    assert Recipe.from_dict(told["recipe"]) == pairs.recipe
    assert told["seed"] == pairs.seed
    assert told["count"] == COUNT
    assert told["dataset"] == pairs.header.dataset
    assert told["dataset_sha256"] == pairs.header.dataset_sha256
    assert told["dataset_options"] == pairs.header.dataset_options


def test_any_number_of_threads_writes_the_same_bytes(path, to):
    one = tree(blurgen.export(path, "one", to=to, threads=1, **of_shards(path, to)))
    assert tree(blurgen.export(path, "three", to=to, threads=3, **of_shards(path, to))) == one
    assert tree(blurgen.export(blurgen.open_pairs(path), "default", to=to, **of_shards(path, to))) == one


@pytest.mark.parametrize("to", ["webdataset", "npz", "hf"])
@pytest.mark.parametrize("limit", [1, 30_000, 75_000])
def test_no_shard_exceeds_its_limit(to, limit):
    assert FORMATS[to].sharded
    noise = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3), dtype=np.uint8)
    source = LabelledMemorySource("noise", {}, noise, np.arange(30, dtype=np.uint8))
    blurgen.make(source, "noise.h5", "imagenet-c-gaussian-noise-3")
    out = blurgen.export("noise.h5", "out", to=to, shard_bytes=limit)
    shards = [path for path in out.rglob("*") if path.suffix in (".tar", ".npz", ".parquet")]
    if limit == 1:
        assert len(shards) == 30
    else:
        assert max(path.stat().st_size for path in shards) <= limit or len(shards) == 30


@given(
    st.integers(1, 40),
    st.integers(1, 100),
    st.sampled_from([1, 3]),
    st.integers(0, 2**32 - 1),
)
def test_pngs_keep_their_bound_and_their_pixels(height, width, channels, seed):
    image = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    data = png.encode(image)
    assert len(data) <= png.most_bytes(image.shape)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))).reshape(image.shape), image)


def test_json_keeps_its_bound(path):
    pairs = blurgen.open_pairs(path)
    assert max(map(len, records.as_json(pairs, 0, COUNT))) <= records.most_json_bytes(pairs)


# ---- interrupted ----


class StopError(BaseException):
    """Something that ends everything at once."""


def stopped_at(calls, told=None):
    """Progress that is told so often and no more."""
    told = [] if told is None else told

    def progress(done, count):
        if len(told) == calls:
            raise StopError
        told.append(done)

    return progress


@pytest.mark.parametrize("calls", [0, 1, 2, 3])
def test_goes_on_where_it_stopped(path, to, calls):
    reference = tree(blurgen.export(path, "reference", to=to, **of_shards(path, to)))
    before, after = [0], []
    with pytest.raises(StopError):
        blurgen.export(path, "out", to=to, progress=stopped_at(calls + 1, before), **of_shards(path, to))
    assert [entry.name for entry in Path("out").iterdir()] == [".partial"]
    kept = target.kept(Path("out"))
    part = SHARD if FORMATS[to].sharded else ROWS
    assert kept == before[-1] // part * part  # what was told last was not noted yet
    blurgen.export(path, "out", to=to, progress=lambda *now: after.append(now), **of_shards(path, to))
    assert after[0] == (kept, COUNT)
    assert after[-1] == (COUNT, COUNT)
    assert tree(Path("out")) == reference


@pytest.mark.parametrize("step", range(12))
def test_a_crash_while_it_is_moved_into_place(gray, monkeypatch, step):
    """Whichever move is the last, the next call ends with the new export whole, and other files untouched."""
    reference = tree(blurgen.export(gray, "reference", to="lmdb"))
    old = blurgen.export(gray, "out", to="folder")
    (old / "notes.txt").write_text("mine")
    moves = iter(range(step))
    rename = Path.rename

    def fragile(self, to):
        if next(moves, None) is None:
            raise StopError
        return rename(self, to)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", fragile)
        try:
            blurgen.export(gray, "out", to="lmdb", overwrite=True)
            crashed = False
        except StopError:
            crashed = True
    assert crashed == (step < 11)
    if crashed:
        blurgen.export(gray, "out", to="lmdb", overwrite=True)
    assert tree(Path("out")) == {**reference, "notes.txt": b"mine"}


@pytest.mark.parametrize("left", ["ready", "replaced"])
def test_a_crash_while_what_is_left_is_removed(gray, monkeypatch, left):
    reference = tree(blurgen.export(gray, "out", to="npz"))
    Path("out/.partial", left).mkdir(parents=True)
    if left == "replaced":
        with pytest.raises(FileError, match="exists"):
            blurgen.export(gray, "out", to="npz")
    else:
        blurgen.export(gray, "out", to="npz")
    assert not Path("out/.partial").exists()
    assert tree(Path("out")) == reference


def test_an_export_that_is_ready_is_shown_before_another_begins(gray, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(target.Target, "_show", lambda self: None)
        blurgen.export(gray, "out", to="folder")
    assert [entry.name for entry in Path("out").iterdir()] == [".partial"]
    with pytest.raises(FileError, match="exists"):
        blurgen.export(gray, "out", to="npz")
    assert tree(Path("out")) == tree(blurgen.export(gray, "reference", to="folder"))


KILLED = """
import os, sys
import blurgen
from blurgen.exporting import base
base._LEAST_ROWS = base._MOST_ROWS = 4
calls = []
def progress(done, count):
    calls.append(done)
    if len(calls) == int(sys.argv[2]):
        os._exit(9)
blurgen.export(sys.argv[1], "out", to="lmdb", progress=progress)
"""


def process(code, *arguments, **options):
    found = os.pathsep.join(filter(None, [str(PACKAGE), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": found},
        text=True,
        **options,
    )


@pytest.mark.parametrize("calls", [2, 4])
def test_a_killed_process_leaves_databases_that_are_gone_on_with(colour, calls):
    """The part that was committed when the process ended is not noted, and not written twice."""
    done = process(KILLED, colour, calls)
    assert done.returncode == 9, done.stderr
    assert target.kept(Path("out")) == ROWS * (calls - 2)
    reference = tree(blurgen.export(colour, "reference", to="lmdb"))
    assert tree(blurgen.export(colour, "out", to="lmdb")) == reference


LIMITED = """
import resource, sys
from blurgen.cli import main
from blurgen.exporting import base
base._LEAST_ROWS = base._MOST_ROWS = 4
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
sys.exit(main(["export", sys.argv[1], "--to", sys.argv[2], "--out", "out", "--quiet"]))
"""


def test_a_disk_that_refuses_is_one_sentence(colour, to):
    limit = 400 if to == "folder" else 14_000
    done = process(LIMITED, colour, to, limit)
    assert done.returncode == 1
    assert done.stderr.startswith("blurgen: 'out")
    assert "cannot be written: " in done.stderr
    assert done.stderr.count("\n") == 1
    assert [entry.name for entry in Path("out").iterdir()] == [".partial"]
    assert tree(blurgen.export(colour, "out", to=to)) == tree(blurgen.export(colour, "other", to=to))


@pytest.mark.parametrize("kind", ["folder", "lmdb", "hf"])
def test_a_full_disk_is_one_sentence(gray, monkeypatch, kind):
    import errno

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(png, "of_each", full)
    with pytest.raises(FileError, match=r"^'out' cannot be written: No space left on device$"):
        blurgen.export(gray, "out", to=kind)


def test_databases_call_a_full_disk_by_its_name(gray, monkeypatch):
    class Full:
        f_bavail, f_frsize = 0, 4096

    def failing(*_, **__):
        raise lmdb.DiskError("mdb_txn_commit: Input/output error")

    monkeypatch.setattr(png, "encode_all", failing)
    with pytest.raises(FileError, match=r"^'out/.*lmdb' cannot be written: Input/output error$"):
        blurgen.export(gray, "out", to="lmdb")
    monkeypatch.setattr(os, "statvfs", lambda _: Full)
    with pytest.raises(FileError, match=r"^'out' cannot be written: No space left on device$"):
        blurgen.export(gray, "out", to="lmdb")


# ---- refusals ----


def test_an_export_is_replaced_only_when_told(gray, colour, to):
    blurgen.export(gray, "out", to="folder")
    before = tree(Path("out"))
    with pytest.raises(FileError, match=r"'out' exists; .*--overwrite"):
        blurgen.export(colour, "out", to=to)
    assert tree(Path("out")) == before
    blurgen.export(colour, "out", to=to, overwrite=True)
    assert tree(Path("out")) == tree(blurgen.export(colour, "reference", to=to))


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_export_is_never_replaced(gray, overwrite):
    Path("out").mkdir()
    Path("out/photo.png").write_bytes(b"dear to somebody")
    with pytest.raises(FileError, match="not empty"):
        blurgen.export(gray, "out", to="folder", overwrite=overwrite)
    assert tree(Path()) == {"out/photo.png": b"dear to somebody"}
    with pytest.raises(FileError, match="no folder that"):
        blurgen.export(gray, "out/photo.png", to="folder", overwrite=overwrite)


def test_files_of_others_in_an_export_are_not_replaced(gray):
    blurgen.export(gray, "out", to="folder")
    Path("out/pairs-000000.npz").write_bytes(b"mine")
    before = tree(Path())
    with pytest.raises(FileError, match=r"pairs-000000\.npz' would be replaced, and no export has made it"):
        blurgen.export(gray, "out", to="npz", overwrite=True)
    assert tree(Path()) == before


@pytest.mark.parametrize(
    "files", [["../outside"], ["/outside"], [".."], ["a/b"], [""], [3], "files", None, [".partial"]]
)
def test_an_export_cannot_name_files_elsewhere(gray, files):
    blurgen.export(gray, "out", to="npz")
    Path("outside").write_text("safe")
    about = json.loads(Path("out/blurgen.json").read_text())
    Path("out/blurgen.json").write_text(json.dumps({**about, "files": files}))
    with pytest.raises(FileError, match="damaged"):
        blurgen.export(gray, "out", to="folder", overwrite=True)
    assert Path("outside").read_text() == "safe"


def test_links_lead_nowhere(gray):
    """Neither a link to work in nor one in the place of a file is followed."""
    Path("elsewhere").mkdir()
    Path("elsewhere/photo.png").write_text("safe")
    Path("out").mkdir()
    Path("out/.partial").symlink_to(Path("elsewhere").absolute())
    with pytest.raises(FileError, match="no folder that"):
        blurgen.export(gray, "out", to="folder")
    Path("out/.partial").unlink()
    blurgen.export(gray, "out", to="folder")
    shutil.rmtree("out/input")
    Path("out/input").symlink_to(Path("elsewhere").absolute())
    blurgen.export(gray, "out", to="npz", overwrite=True)
    assert tree(Path("elsewhere")) == {"photo.png": b"safe"}


def test_an_empty_folder_is_welcome(gray):
    Path("out").mkdir()
    blurgen.export(gray, "out", to="npz")
    assert sorted(path.name for path in Path().iterdir()) == ["out"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"to": "folder"}, "to 'npz', now 'folder'"), ({"to": "npz", "shard_bytes": 10**6}, "shard_bytes")],
)
def test_other_arguments_do_not_go_on(gray, arguments, told):
    with pytest.raises(StopError):
        blurgen.export(gray, "out", to="npz", progress=stopped_at(1))
    before = tree(Path())
    with pytest.raises(FileError, match=f"begun with other arguments .*{told}"):
        blurgen.export(gray, "out", **arguments)
    assert tree(Path()) == before
    blurgen.export(gray, "out", **arguments, overwrite=True)
    assert tree(Path("out")) == tree(blurgen.export(gray, "reference", **arguments))


def test_another_pair_file_does_not_go_on(gray, colour):
    with pytest.raises(StopError):
        blurgen.export(gray, "out", to="npz", progress=stopped_at(1))
    with pytest.raises(FileError, match=r"other arguments .*recipe.*seed 2, now 5"):
        blurgen.export(colour, "out", to="npz")


def test_two_do_not_write_at_once(gray):
    def second(done, count):
        with pytest.raises(FileError, match="being written by another process"):
            blurgen.export(gray, "out", to="folder")

    blurgen.export(gray, "out", to="folder", progress=second)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"to": "zip"}, r"to 'zip': folder, lmdb, webdataset, npz, hf are allowed"),
        ({"to": "folder", "shard_bytes": 5}, "an export to folder has no shards"),
        ({"to": "npz", "shard_bytes": 0}, "shard size 0: a whole number from 1"),
        ({"to": "npz", "threads": 0}, "threads 0"),
    ],
)
def test_wrong_arguments(gray, arguments, message):
    with pytest.raises(InputError, match=message):
        blurgen.export(gray, "out", **arguments)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(("kind", "package"), [("lmdb", "lmdb"), ("hf", "pyarrow")])
def test_a_package_that_is_missing_is_named(gray, monkeypatch, kind, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"needs the package {package}: pip install 'blurgen\[{kind}\]'"):
        blurgen.export(gray, "out", to=kind)
    assert list(Path().iterdir()) == []


def test_there_must_be_a_folder_around(gray):
    with pytest.raises(FileError, match="there is no folder 'none'"):
        blurgen.export(gray, "none/out", to="npz")


def test_importing_it_needs_none_of_the_libraries():
    code = "import sys, blurgen; blurgen.export; print({'lmdb', 'pyarrow', 'datasets'} & {*sys.modules})"
    assert process(code).stdout == "set()\n"


# ---- the command ----


def test_the_command(gray, capsys):
    assert main(["export", str(gray), "--to", "webdataset", "--out", "out", "--shard-mb", "1"]) == 0
    said, shown = capsys.readouterr()
    assert said.startswith("out: 18 pairs, ")
    assert "18 of 18 pairs (100 %)" in shown
    assert tree(Path("out")) == tree(blurgen.export(gray, "same", to="webdataset", shard_bytes=10**6))
    assert main(["export", str(gray), "--to", "webdataset", "--out", "out"]) == 1
    assert capsys.readouterr().err.startswith("blurgen: 'out' exists; ")
    assert main(["export", str(gray), "-t", "npz", "-o", "out", "--overwrite", "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_command_interrupted(gray, capsys, monkeypatch):
    write = FORMATS["folder"].write

    def interrupted(self, folder, start, stop):
        if start >= 2 * ROWS:
            raise KeyboardInterrupt
        return write(self, folder, start, stop)

    with monkeypatch.context() as patched:
        patched.setattr(FORMATS["folder"], "write", interrupted)
        assert main(["export", str(gray), "--to", "folder", "--out", "out", "-q"]) == 130
    assert "8 of 18 pairs are kept in out/.partial; the same command" in capsys.readouterr().err
    assert main(["export", str(gray), "--to", "folder", "--out", "out"]) == 0
    assert "18 pairs (8 were there already)" in capsys.readouterr().out
