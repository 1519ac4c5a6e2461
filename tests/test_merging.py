"""Parts of a file, and what is made of them: the whole's bytes, or a file that points to them."""

import itertools
import os
import pickle
import re
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_blocks import COUNT, IMAGES, RECIPE, SOURCE, Failing, small_blocks

import blurgen
from blurgen.cli import main
from blurgen.errors import BlurgenError, FileError, InputError, SourceError
from blurgen.pairs.format import read_header, read_layout
from blurgen.pairs.joined import JoinedColumn
from blurgen.pairs.raw import write_rows
from blurgen.pairs.seal import SEAL_BYTES, seal
from blurgen.pairs.sums import sums_of_file
from blurgen.repairing import repair
from blurgen.verification import verify

DATASETS = ["sharp", "blurred", "source_index", "params/0.motion.length", "params/0.motion.angle"]


@pytest.fixture(scope="module", autouse=True)
def small():
    with small_blocks():
        yield


def make(out, shard=None, source=SOURCE, **arguments):
    return blurgen.make(
        source, out, RECIPE, **{"seed": 4, "threads": 1, "shard": shard, "part": bool(shard), **arguments}
    )


def make_parts(folder, of, **arguments):
    return [make(folder / f"{number}.h5", (number, of), **arguments) for number in range(1, of + 1)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return make(tmp_path_factory.mktemp("reference") / "a.h5").read_bytes()


@pytest.fixture(scope="module")
def kept_parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    make_parts(folder, 4)
    return folder


@pytest.fixture
def parts(tmp_path, kept_parts):
    return [Path(shutil.copy(path, tmp_path)) for path in sorted(kept_parts.iterdir())]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def one_sentence(error):
    text = str(error.value)
    return "\n" not in text and text


# Parts


def test_a_part_has_the_rows_of_the_whole(parts, tmp_path):
    whole = blurgen.open_pairs(make(tmp_path / "whole.h5"))
    edges = [0, 15, 30, 45, 62]
    for path, (start, stop) in zip(parts, itertools.pairwise(edges), strict=True):
        part = blurgen.open_pairs(path)
        assert (part.header.first, len(part), part.header.whole_count) == (start, stop - start, COUNT)
        for name in DATASETS:
            with h5py.File(path) as ours, h5py.File(whole.path) as all_rows:
                assert np.array_equal(ours[name][:], all_rows[name][start:stop])
        assert verify(path, sample=None, dataset=SOURCE).ok
        assert part.header.whole == whole.header


def test_a_part_is_gone_on_with(tmp_path, kept_parts):
    out = tmp_path / "2.h5"
    failing = Failing("some", {}, IMAGES)
    failing.reads = 1
    with pytest.raises(SourceError):
        make(out, (2, 4), failing)
    calls = []
    make(out, (2, 4), progress=lambda *call: calls.append(call))
    assert calls[0] == (3, 15)
    assert out.read_bytes() == (kept_parts / "2.h5").read_bytes()


def test_a_damaged_part_is_repaired(parts):
    right = parts[2].read_bytes()
    with h5py.File(parts[2], "r+") as file:
        file["blurred"][7] = 0
    found = verify(parts[2], dataset=SOURCE)
    assert found.damaged == {"blurred": [(6, 9)]}
    repair(parts[2], dataset=SOURCE)
    assert parts[2].read_bytes() == right


def test_a_part_needs_a_shard(tmp_path):
    with pytest.raises(InputError, match=r"a part is made of a shard: say which \(--shard 3/16\)"):
        make(tmp_path / "a.h5", part=True)
    with pytest.raises(
        InputError, match=r"shard 1/30 has no pairs: .* blocks of 3, of which this file has 21"
    ):
        make(tmp_path / "a.h5", (1, 30))
    assert names(tmp_path) == []


# Merging


@settings(max_examples=settings().max_examples // 4)
@given(data=st.data())
def test_any_split_order_and_interruption(reference, data):
    of = data.draw(st.integers(1, 9), "parts")
    order = data.draw(st.permutations(range(of)), "order")
    with tempfile.TemporaryDirectory() as folder:
        paths = make_parts(Path(folder), of)
        out = Path(folder) / "a.h5"
        left = data.draw(st.integers(0, 12), "chunks before the interruption")

        def interrupting(done, total):
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt

        given_parts = [paths[place] for place in order]
        try:
            blurgen.merge(given_parts, out, threads=1, progress=interrupting)
        except KeyboardInterrupt:
            assert not out.exists()
            calls = []
            blurgen.merge(given_parts, out, threads=2, progress=lambda *call: calls.append(call))
            assert calls[-1] == (COUNT, COUNT)
        assert out.read_bytes() == reference
        assert names(out.parent) == sorted(["a.h5", *(path.name for path in paths)])


@pytest.mark.parametrize("compression", ["gzip", "lzf", "zstd"])
def test_compressed_parts(tmp_path, compression):
    whole = make(tmp_path / "whole.h5", compression=compression, count=11)
    paths = make_parts(tmp_path, 4, compression=compression, count=11)  # the last is smaller than a block
    assert all(verify(path, dataset=SOURCE).ok for path in paths)
    out = blurgen.merge(paths, tmp_path / "a.h5", threads=1)
    assert out.read_bytes() == whole.read_bytes()
    pointing = blurgen.open_pairs(blurgen.merge(paths, tmp_path / "v.h5", virtual=True))
    assert np.array_equal(pointing.blurred, blurgen.open_pairs(whole).blurred[:])
    assert verify(pointing.path, dataset=SOURCE).ok


def test_make_goes_on_with_a_merge(parts, tmp_path, reference):
    def interrupting(done, total):
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        blurgen.merge(parts, tmp_path / "a.h5", threads=1, progress=interrupting)
    assert make(tmp_path / "a.h5").read_bytes() == reference


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ((0, 1, 3), "15 of 62 pairs are in none of the parts: rows 30–44"),
        ((2,), "47 of 62 pairs are in none of the parts: rows 0–29, 45–61"),
        ((0, 1, 2, 2, 3), "pair 30 is in two parts, '.*3.h5' and '.*3.h5'"),
        ((), "the parts of a file are needed"),
    ],
)
@pytest.mark.parametrize("virtual", [False, True])
def test_parts_cover_the_whole_once(parts, tmp_path, chosen, words, virtual):
    with pytest.raises((FileError, InputError), match=words) as error:
        blurgen.merge([parts[k] for k in chosen], tmp_path / "a.h5", virtual=virtual)
    assert one_sentence(error)
    assert names(tmp_path) == names(parts[0].parent)
    assert not (tmp_path / "a.h5").exists()


def test_a_part_in_another(parts, tmp_path):
    whole = make(tmp_path / "whole.h5")
    with pytest.raises(FileError, match=r"pair 15 is in two parts, '.*whole.h5' and '.*2.h5'"):
        blurgen.merge([whole, parts[1]], tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": 5}, "other seed"),
        ({"count": 60}, "other count"),
        ({"compression": "lzf"}, "other comp"),
    ],
)
def test_parts_of_other_wholes(parts, tmp_path, arguments, words):
    make(parts[3], (4, 4), overwrite=True, **arguments)
    with pytest.raises(FileError, match=f"4.h5' is no part of the same whole as '.*1.h5': {words}"):
        blurgen.merge(parts, tmp_path / "a.h5")


@pytest.mark.parametrize("dataset", ["sharp", "params/0.motion.angle", "crc32/blocks", "attribute"])
def test_damaged_parts(parts, tmp_path, dataset):
    with h5py.File(parts[1], "r+") as file:
        if dataset == "attribute":
            file.attrs.modify("blurgen_version", file.attrs["blurgen_version"])
            file.attrs["more"] = 1
        else:
            file[dataset][1] = file[dataset][4]
    with pytest.raises(
        FileError, match=r"2\.h5' was damaged since it was made: see 'blurgen verify --repair'"
    ):
        blurgen.merge(parts, tmp_path / "a.h5", threads=1)
    assert not (tmp_path / "a.h5").exists()


def test_what_exists_stays(parts, tmp_path, reference):
    out = tmp_path / "a.h5"
    out.write_text("mine")
    for virtual in (False, True):
        with pytest.raises(FileError, match=r"a\.h5' exists"):
            blurgen.merge(parts, out, virtual=virtual)
        with pytest.raises(FileError, match=r"1\.h5' is one of the parts: give another name"):
            blurgen.merge(parts, parts[0], virtual=virtual, overwrite=True)
    assert out.read_text() == "mine"
    assert blurgen.merge(parts, out, overwrite=True).read_bytes() == reference


# Files that point to parts


@pytest.fixture
def pointing(parts, tmp_path):
    return blurgen.merge(reversed(parts), tmp_path / "v.h5", virtual=True)


def test_pointing_files_read_as_the_whole(pointing, tmp_path, reference):
    pairs = blurgen.open_pairs(pointing)
    whole = blurgen.open_pairs(make(tmp_path / "whole.h5"))
    assert pairs.header == whole.header
    for name in ("sharp", "blurred", "source_index"):
        assert np.array_equal(getattr(pairs, name), getattr(whole, name))
    assert pairs.params.keys() == whole.params.keys()
    assert all(np.array_equal(pairs.params[name], whole.params[name]) for name in pairs.params)
    assert not pairs.source_index.flags.writeable
    for row in (0, 14, 15, -1, 61):
        assert np.array_equal(pairs[row].blurred, whole[row].blurred)
        assert pairs[row].params == whole[row].params
    assert np.array_equal(pickle.loads(pickle.dumps(pairs))[7:50].sharp, whole[7:50].sharp)
    assert blurgen.merge([pointing], tmp_path / "a.h5").read_bytes() == reference


def test_pointing_files_read_with_h5py(pointing, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in (pointing, *pointing.parent.glob("[1-4].h5")):
        path.rename(moved / path.name)
    with h5py.File(moved / "v.h5") as file, h5py.File(make(tmp_path / "whole.h5")) as whole:
        for name in (*DATASETS, "crc32/blocks"):
            assert np.array_equal(file[name][:], whole[name][:]), name
        own = {name: file.attrs[name] for name in file.attrs}
        assert own == {name: whole.attrs[name] for name in whole.attrs}


def test_pointing_files_have_the_same_bytes_each_time(pointing, parts, tmp_path):
    again = blurgen.merge(parts, tmp_path / "w.h5", virtual=True)
    assert again.read_bytes() == pointing.read_bytes()


def test_parts_below_with_strange_names(kept_parts, tmp_path):
    folder = tmp_path / "100 %b, größer"
    shutil.copytree(kept_parts, folder)
    paths = [path.rename(path.with_name(f"%%{path.name}")) for path in folder.iterdir()]
    out = blurgen.merge(paths, tmp_path / "v.h5", virtual=True)
    with h5py.File(out) as file:
        blurred = file["blurred"][:]
    assert blurred.any(axis=(1, 2, 3)).all()
    assert np.array_equal(blurgen.open_pairs(out).blurred, blurred)


def test_parts_whose_names_are_no_text(parts, tmp_path):
    strange = parts[0].rename(tmp_path / os.fsdecode(b"\xff.h5"))
    with pytest.raises(FileError, match="only to files whose names are UTF-8"):
        blurgen.merge([strange, *parts[1:]], tmp_path / "v.h5", virtual=True)
    assert not (tmp_path / "v.h5").exists()


def test_parts_elsewhere_are_not_pointed_to(kept_parts, tmp_path):
    with pytest.raises(FileError, match=r"1\.h5' is not in the folder of '.*v\.h5', nor below it"):
        blurgen.merge(kept_parts.iterdir(), tmp_path / "v.h5", virtual=True)
    (tmp_path / "link").symlink_to(kept_parts)
    with pytest.raises(FileError, match="is not in the folder"):
        blurgen.merge((tmp_path / "link").iterdir(), tmp_path / "v.h5", virtual=True)
    assert names(tmp_path) == ["link"]


def test_verifying_looks_at_the_parts(pointing, parts):
    assert verify(pointing, sample=None, dataset=SOURCE).ok
    with h5py.File(parts[2], "r+") as file:
        file["blurred"][7] = 0
    found = verify(pointing, dataset=SOURCE)
    assert found.damaged == {"blurred": [(36, 39)]}
    with pytest.raises(FileError, match=r"v\.h5' only points to its parts: repair those"):
        repair(pointing, dataset=SOURCE)
    repair(parts[2], dataset=SOURCE)
    assert verify(pointing, dataset=SOURCE).ok


def test_changed_bytes_of_a_pointing_file_are_found(pointing):
    # not any byte: HDF5 itself falls over some that say where its mappings lie
    right = pointing.read_bytes()
    with h5py.File(pointing) as file:
        places = [file[f"crc32/{name}"].id.get_offset() for name in ("file", "parts")]
    places += [at + k for at, size in zip(places[:2], (12, 48), strict=True) for k in range(1, size)]
    places += [right.index(text) for text in (b"1.h5", b"4.h5", b"0.motion.length", b"some", b"parts")]
    for at in places:
        pointing.write_bytes(right[:at] + bytes([right[at] ^ 4]) + right[at + 1 :])
        try:
            assert not verify(pointing, sample=0).ok, at
        except BlurgenError:  # a file that cannot even be opened
            continue
    pointing.write_bytes(right)
    assert verify(pointing, sample=0).ok


def test_missing_and_changed_parts(pointing, parts):
    kept = parts[1].read_bytes()
    parts[1].unlink()
    with pytest.raises(FileError, match=r"points to a part that cannot be opened: .*2\.h5.*no such file"):
        blurgen.open_pairs(pointing)
    make(parts[1], (2, 4), seed=5)
    with pytest.raises(FileError, match=r"points to '.*2\.h5', which is another file now"):
        blurgen.open_pairs(pointing)
    make(parts[1], (1, 4), overwrite=True)
    with pytest.raises(FileError, match=r"points to '.*2\.h5', which is another file now"):
        blurgen.open_pairs(pointing)
    parts[1].write_bytes(kept)
    assert len(blurgen.open_pairs(pointing)) == COUNT


def forged(pointing, change, sharp=None):
    """The pointing file with other mappings, and checksums that are right."""
    header = read_header(pointing)
    with h5py.File(pointing, "r+") as file:
        for name in DATASETS if sharp is None else sharp:
            shape, dtype = file[name].shape, file[name].dtype
            layout = h5py.VirtualLayout(shape, dtype)
            for source in file[name].virtual_sources():
                low, high = source.vspace.get_select_bounds()
                start, stop = change(low[0], high[0] + 1)
                rows = (stop - start, *shape[1:])
                other = change.names.get(source.file_name, source.file_name)
                layout[start:stop] = h5py.VirtualSource(other, name, rows, dtype)
            del file[name]
            file.create_virtual_dataset(name, layout)
    seal(pointing)
    layout = read_layout(pointing, header)
    with pointing.open("r+b") as file, h5py.File(pointing) as found:
        sums = sums_of_file(file.fileno(), header, layout, found["crc32/blocks"][:])
        write_rows(file.fileno(), layout.file_sums, 0, sums)
    seal(pointing)


class Same:
    """Leaves the ranges; gives the files other names."""

    def __init__(self, **others):
        self.names = {f"{number.removeprefix('of_')}.h5": name for number, name in others.items()}

    def __call__(self, start, stop):
        return start, stop


@pytest.mark.parametrize("name", ["../1.h5", "/etc/passwd", "down/../../1.h5", "link.h5"])
def test_hostile_names(pointing, tmp_path, kept_parts, name):
    (tmp_path / "link.h5").symlink_to(kept_parts / "1.h5")
    forged(pointing, Same(of_1=name))
    with pytest.raises(FileError, match=r"points to '.*', which is not in its folder"):
        blurgen.open_pairs(pointing)


@pytest.mark.parametrize("name", ["v.h5", "w.h5"])
def test_files_that_point_in_a_circle(pointing, parts, tmp_path, name):
    blurgen.merge(parts, tmp_path / "w.h5", virtual=True)
    forged(pointing, Same(of_1=name))
    with pytest.raises(FileError, match=rf"points to '.*{name}', which only points to others"):
        blurgen.open_pairs(pointing)


@pytest.mark.parametrize("name", ["2.h5", ".", "missing.h5", "notes.txt"])
def test_hostile_parts(pointing, tmp_path, name):
    (tmp_path / "notes.txt").write_text("no HDF5")
    forged(pointing, Same(of_1=name))
    with pytest.raises(FileError, match="points to") as error:
        blurgen.open_pairs(pointing)
    assert one_sentence(error)


def test_parts_that_leave_rows_out(pointing):
    class Shorter(Same):
        def __call__(self, start, stop):
            return start, stop - 1

    forged(pointing, Shorter())
    with pytest.raises(FileError, match="what it says of its parts is damaged"):
        blurgen.open_pairs(pointing)


def test_any_byte_of_a_pointing_file_that_changed_is_found_before_hdf5_reads_it(pointing):
    whole = pointing.read_bytes()
    places = [*range(0, SEAL_BYTES, 5), *range(SEAL_BYTES, len(whole), 41)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        pointing.write_bytes(damaged)
        with pytest.raises(FileError, match=r"v\.h5' was damaged since it was made: make it again"):
            blurgen.open_pairs(pointing)
    for size in (len(whole) - 1, SEAL_BYTES + 100, SEAL_BYTES):
        pointing.write_bytes(whole[:size])
        with pytest.raises(FileError, match="was damaged since it was made"):
            blurgen.open_pairs(pointing)
    pointing.write_bytes(whole)
    assert len(blurgen.open_pairs(pointing)) == COUNT


def test_without_a_seal_no_file_points_to_others(pointing):
    whole = pointing.read_bytes()
    pointing.write_bytes(bytes(SEAL_BYTES) + whole[SEAL_BYTES:])
    with pytest.raises(FileError, match="was damaged since it was made"):
        blurgen.open_pairs(pointing)
    pointing.write_bytes(whole[SEAL_BYTES:])
    with pytest.raises(FileError, match="'sharp' is put together from other files"):
        blurgen.open_pairs(pointing)


def test_other_files_with_a_user_block_are_told_from_damaged_ones(pointing, tmp_path):
    with h5py.File(tmp_path / "m.mat", "w", userblock_size=512) as file:
        file["x"] = np.eye(3)
    with pytest.raises(FileError, match=r"m\.mat' is an HDF5 file but no pair file of blurgen's"):
        blurgen.open_pairs(tmp_path / "m.mat")
    with h5py.File(tmp_path / "m.mat", "r+") as file:
        layout = h5py.VirtualLayout((3, 3), "f8")
        layout[...] = h5py.VirtualSource("other.mat", "x", (3, 3))
        file.create_virtual_dataset("sharp", layout)
    with pytest.raises(FileError, match=r"m\.mat' is refused: dataset 'sharp' is put together"):
        blurgen.open_pairs(tmp_path / "m.mat")


def test_a_pointing_file_cannot_be_pointed_to(pointing, tmp_path):
    with pytest.raises(FileError, match=r"v\.h5' only points to its own parts: give those"):
        blurgen.merge([pointing], tmp_path / "w.h5", virtual=True)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("virtual", "is put together from other files"),
        ("external", "keeps its bytes in other files"),
        ("link", "is a link that leads elsewhere"),
        ("chunked", "is stored in another way than blurgen's"),
    ],
)
@pytest.mark.parametrize("dataset", ["blurred", "params/0.motion.angle", "crc32/blocks", "crc32/file"])
def test_files_do_not_reach_others_secretly(tmp_path, way, message, dataset):
    path, other = make(tmp_path / "a.h5"), make(tmp_path / "b.h5")
    with h5py.File(path, "r+") as file:
        shape, dtype = file[dataset].shape, file[dataset].dtype
        del file[dataset]
        if way == "virtual":
            layout = h5py.VirtualLayout(shape, dtype)
            layout[...] = h5py.VirtualSource(other, dataset, shape, dtype)
            file.create_virtual_dataset(dataset, layout)
        elif way == "external":
            size = int(np.prod(shape)) * dtype.itemsize
            file.create_dataset(dataset, shape, dtype, external=[(str(other), 0, size)])
        elif way == "link":
            file[dataset] = h5py.ExternalLink(str(other), dataset)
        else:
            file.create_dataset(dataset, shape, dtype, chunks=True)
    with pytest.raises(FileError, match=f"'{dataset}' {message}"):
        blurgen.open_pairs(path)


@pytest.mark.parametrize("first", [1, 2])
def test_parts_begin_with_a_block(parts, first):
    with h5py.File(parts[1], "r+") as file:
        file.attrs.modify("first", file.attrs["first"] + first)
    with pytest.raises(FileError, match="the attribute 'first' is damaged"):
        blurgen.open_pairs(parts[1])


# Columns behind one another


@given(data=st.data())
def test_joined_columns_index_like_one_array(data):
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4), "sizes")
    whole = np.arange(sum(sizes) * 6).reshape(-1, 2, 3)
    joined = JoinedColumn(np.split(whole, np.cumsum(sizes)[:-1]))
    count = len(whole)
    rows = st.integers(-count, count - 1)
    slices = st.slices(count)
    more = st.one_of(st.integers(0, 1), st.slices(2))
    key = data.draw(
        st.one_of(
            rows,
            slices,
            st.just(Ellipsis),
            st.lists(rows),
            st.lists(rows).map(lambda found: np.array(found, np.int64)),
            st.lists(st.booleans(), min_size=count, max_size=count).map(np.array),
            st.tuples(rows, more),
            st.tuples(slices, more),
            st.tuples(slices, st.just(Ellipsis)),
            st.tuples(st.just(Ellipsis), more),
            st.tuples(st.lists(rows, min_size=2, max_size=2), st.just([0, 1])),
        ),
        "key",
    )
    assert np.array_equal(joined[key], whole[key])
    assert joined[key].dtype == whole.dtype
    assert joined.shape == whole.shape
    assert joined.dtype == whole.dtype
    assert np.array_equal(joined, whole)


@pytest.mark.parametrize("key", [7, -8, [0, 7], np.array([-8]), np.zeros(6, bool), [0.5]], ids=str)
def test_joined_columns_refuse_what_arrays_refuse(key):
    whole = np.zeros((7, 2))
    joined = JoinedColumn([whole[:3], whole[3:]])
    with pytest.raises((IndexError, ValueError)):
        whole[key]
    with pytest.raises((IndexError, ValueError)):
        joined[key]


# The command


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_all = ["make", "-d", "digits", "-n", "60", "--seed", "2", "--threads", "1"]
    for shard in ("1/2", "2/2"):
        assert main([*make_all, "--shard", shard, "--part", "-o", f"{shard[0]}.h5"]) == 0
    assert main([*make_all, "-o", "whole.h5", "-q"]) == 0
    capsys.readouterr()
    assert main(["merge", "2.h5", "1.h5", "-o", "a.h5"]) == 0
    assert capsys.readouterr().out.startswith("a.h5: 60 pairs of 2 parts, ")
    assert Path("a.h5").read_bytes() == Path("whole.h5").read_bytes()
    assert main(["merge", "2.h5", "1.h5", "-o", "v.h5", "--virtual"]) == 0
    assert main(["verify", "v.h5", "--all", "-q"]) == 0
    assert main(["info", "v.h5"]) == 0
    assert main(["show", "v.h5", "--out", "v.png"]) == 0
    capsys.readouterr()
    assert main(["merge", "1.h5", "-o", "b.h5"]) == 1
    assert capsys.readouterr().err.startswith("blurgen: 30 of 60 pairs are in none of the parts")


def test_an_interrupted_command(parts, tmp_path, capsys, monkeypatch):
    def interrupted(*_, progress, **__):
        merge(parts, tmp_path / "a.h5", threads=1, progress=stopping(progress))

    merge = blurgen.merge

    def stopping(progress):
        def call(done, total):
            progress(done, total)
            if done >= 30:
                raise KeyboardInterrupt

        return call

    monkeypatch.setattr("blurgen.merging.merge", interrupted)
    assert main(["merge", *map(str, parts), "-o", str(tmp_path / "a.h5")]) == 130
    assert re.search(r"interrupted: 3\d of 62 pairs are kept in", capsys.readouterr().err)
