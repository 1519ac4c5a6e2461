"""Compressed pair files: the same content as plain ones, read back by h5py's own filters."""

from __future__ import annotations

import os
import pickle

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import blurgen
from blurgen import maker
from blurgen.pairs.compression import COMPRESSIONS, codec


def undone(name: str, data: np.ndarray, path) -> np.ndarray:
    """What h5py reads of a chunk that our codec compressed."""
    used = codec(name)
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "a",
            data.shape,
            "u1",
            chunks=data.shape,
            compression=used.filter_id,
            compression_opts=used.options,
        )
        dataset.id.write_direct_chunk((0,), used.compress(data))
    with h5py.File(path, "r") as file:
        return file["a"][:]


@pytest.mark.parametrize("name", COMPRESSIONS)
@pytest.mark.parametrize("size", [1, 2, 3, 31, 32, 33, 64, 1000, 8191, 8192, 8193, 70_000])
@pytest.mark.parametrize("levels", [1, 2, 256])
def test_chunks_are_undone_by_the_library(name, size, levels, tmp_path):
    data = np.random.default_rng(size + levels).integers(0, levels, size, np.uint8)
    assert np.array_equal(undone(name, data, tmp_path / "x.h5"), data)


@pytest.mark.parametrize("period", [1, 2, 3, 5, 100, 8192, 8193, 9000])
def test_lzf_copies_from_before(period, tmp_path):
    part = np.random.default_rng(period).integers(0, 256, period, np.uint8)
    data = np.tile(part, 20_000 // period + 2)
    assert np.array_equal(undone("lzf", data, tmp_path / "x.h5"), data)
    if period <= 8192:
        assert len(codec("lzf").compress(data)) < data.size // 2 + period


@given(arrays(np.uint8, st.integers(1, 400), elements=st.sampled_from([0, 0, 0, 1, 255])))
def test_lzf_of_any_bytes(tmp_path_factory, data):
    assert np.array_equal(undone("lzf", data, tmp_path_factory.getbasetemp() / "lzf.h5"), data)


@pytest.fixture
def plain(tmp_path):
    return blurgen.open_pairs(blurgen.make("digits", tmp_path / "plain.h5", count=500, seed=3, psf=True))


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_content_is_that_of_a_plain_file(name, plain, tmp_path):
    path = blurgen.make("digits", tmp_path / "c.h5", count=500, seed=3, psf=True, compression=name)
    pairs = blurgen.open_pairs(path)
    assert pairs.header.compression == name
    assert path.stat().st_size < plain.path.stat().st_size / 2
    for column in ("sharp", "blurred", "psf", "label", "source_index"):
        assert np.array_equal(getattr(pairs, column)[:], getattr(plain, column)[:]), column
    assert np.array_equal(np.asarray(pairs.sharp), plain.sharp)
    for key, column in plain.params.items():
        assert np.array_equal(pairs.params[key], column)
    for i in (0, 499, -1):
        assert np.array_equal(pairs[i].blurred, plain[i].blurred)
        assert pairs[i].params == plain[i].params
    rows = np.array([3, 499, 3, -2, 0])
    for part in (slice(80, 90), slice(10, None, 7), slice(20, 2, -3), rows):
        assert np.array_equal(pairs[part].sharp, plain[part].sharp)
    again = pickle.loads(pickle.dumps(pairs))
    assert np.array_equal(again.sharp[5], plain.sharp[5])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.h5", "plain.h5"]


@pytest.mark.parametrize("name", COMPRESSIONS)
@pytest.mark.parametrize("threads", [1, 3])
def test_same_bytes_whatever_threads_and_chunks(name, threads, tmp_path, monkeypatch):
    whole = blurgen.make("digits", tmp_path / "a.h5", count=1000, compression=name).read_bytes()
    monkeypatch.setattr(maker, "_CHUNK_BYTES", 100 * 2 * 784)
    path = blurgen.make("digits", tmp_path / "b.h5", count=1000, compression=name, threads=threads)
    assert path.read_bytes() == whole


def test_resumes_from_the_noted_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(maker, "_CHUNK_BYTES", 100 * 2 * 784)
    monkeypatch.setattr(maker, "_CHECKPOINT_SECONDS", 0.0)
    whole = blurgen.make("digits", tmp_path / "whole.h5", count=2000, compression="gzip").read_bytes()
    remake, calls = maker.remake, []

    def stumble(source, header, start, stop):
        calls.append(start)
        if len(calls) > 4:
            raise blurgen.SourceError("the lights went out")
        return remake(source, header, start, stop)

    monkeypatch.setattr(maker, "remake", stumble)
    with pytest.raises(blurgen.SourceError, match="lights"):
        blurgen.make("digits", tmp_path / "x.h5", count=2000, compression="gzip", threads=1)
    assert not (tmp_path / "x.h5").exists()
    before = set(calls[:4])
    calls.clear()
    monkeypatch.setattr(maker, "remake", lambda *given: (calls.append(given[2]), remake(*given))[1])
    # as if the machine had stopped in mid-write
    with (tmp_path / "x.h5.chunks").open("ab") as file:
        file.write(b"torn")
    blurgen.make("digits", tmp_path / "x.h5", count=2000, compression="gzip", threads=1)
    assert (tmp_path / "x.h5").read_bytes() == whole
    assert not before & set(calls)


def test_other_compression_is_another_file(tmp_path, monkeypatch):
    def stumble(*_):
        raise blurgen.SourceError("no")

    with monkeypatch.context() as patched:
        patched.setattr(maker, "remake", stumble)
        with pytest.raises(blurgen.SourceError):
            blurgen.make("digits", tmp_path / "x.h5", count=10, compression="lzf")
    with pytest.raises(blurgen.FileError, match="compression 'lzf', now ''"):
        blurgen.make("digits", tmp_path / "x.h5", count=10)


def test_unknown_compression():
    with pytest.raises(blurgen.InputError, match="compression 'bzip2': gzip, lzf, zstd are allowed"):
        blurgen.make("digits", os.devnull + ".h5", count=1, compression="bzip2")
