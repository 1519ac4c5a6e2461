"""From a pair file to what other programs read: part after part, resumed where it stopped."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from blurgen import threads as pool
from blurgen._version import __version__
from blurgen.checks import checked_whole
from blurgen.errors import FileError, InputError
from blurgen.exporting.base import Format
from blurgen.exporting.folder import Folder
from blurgen.exporting.huggingface import HuggingFace
from blurgen.exporting.lmdb import Lmdb
from blurgen.exporting.npz import Npz
from blurgen.exporting.target import FORMAT, Target
from blurgen.exporting.webdataset import WebDataset
from blurgen.pairs import Header, PairFile, open_pairs
from blurgen.pairs.format import reason

FORMATS: Mapping[str, type[Format]] = {
    "folder": Folder,
    "lmdb": Lmdb,
    "webdataset": WebDataset,
    "npz": Npz,
    "hf": HuggingFace,
}

_SHARD_BYTES = 256_000_000
_MOST_SHARD_BYTES = 10**12

Progress = Callable[[int, int], None]


def export(
    pairs: PairFile | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    to: str,
    shard_bytes: int | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write the pairs of a file as other programs read them.

    Beside the pairs stands what was drawn for each, and ``blurgen.json``: the header of the pair file with
    its recipe and seed. An interrupted export leaves ``OUT/.partial``; the same call goes on from there. The
    bytes depend on the pair file, on `to` and `shard_bytes`, and on the versions of the libraries that write
    them (Pillow for PNG, LMDB, PyArrow).

    Parameters
    ----------
    pairs : PairFile or path-like
        The pairs.
    out : path-like
        The folder to write to, made where it is missing.
    to : {"folder", "lmdb", "webdataset", "npz", "hf"}
        PNGs in the folders ``target`` and ``input``; two LMDB databases; tar shards; NumPy archives; a data
        set of Hugging Face's.
    shard_bytes : int, optional
        What no shard exceeds, 256 million by default: of ``webdataset``, ``npz`` and ``hf``. A shard holds
        one pair at least.
    threads : int, optional
        How many threads encode images; by default one for each usable processor.
    overwrite : bool
        Whether to replace an export that is there, and discard an unfinished one of other arguments. A folder
        that holds anything but an export is never replaced.
    progress : callable, optional
        Called with (pairs done, pairs in all) now and then.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    InputError
        If an argument is out of range, or a package that the format needs is not installed.
    FileError
        If the pair file cannot be read, or the export not be written, there or at all.

    Notes
    -----
    About 16 MiB of pairs, but at least eight, are in memory at a time, and what they are encoded to. ``npz``
    of a compressed pair file takes up to `shard_bytes`.
    """
    opened = pairs if isinstance(pairs, PairFile) else open_pairs(pairs)
    if to not in FORMATS:
        raise InputError(f"to {to!r}: {', '.join(FORMATS)} are allowed")
    kind = FORMATS[to]
    _check_installed(to, kind)
    if shard_bytes is not None and not kind.sharded:
        raise InputError(f"shard size {shard_bytes}: an export to {to} has no shards")
    most = checked_whole(
        "shard size", _SHARD_BYTES if shard_bytes is None else shard_bytes, 1, _MOST_SHARD_BYTES
    )
    laid_out = kind(opened, pool.checked(threads), most)
    about = _about(to, laid_out, most)
    count, path = len(opened), Path(out)
    try:
        with Target(path, about, count, overwrite=overwrite) as target:
            if progress:
                progress(target.done, count)
            if target.finished:
                return path
            for start in range(target.done, count, laid_out.rows):
                stop = min(start + laid_out.rows, count)
                for done in laid_out.write(target.folder, start, stop):
                    if progress:
                        progress(done, count)
                target.note(start, stop)
            laid_out.finish(target.folder)
            target.publish()
    except OSError as error:
        raise FileError(f"'{path}' cannot be written: {reason(error)}") from None
    return path


def _check_installed(to: str, kind: type[Format]) -> None:
    if kind.package is None:
        return
    try:
        importlib.import_module(kind.package)
    except ImportError:
        raise InputError(
            f"an export to {to} needs the package {kind.package}: pip install 'blurgen[{kind.extra}]'"
        ) from None


def _about(to: str, laid_out: Format, shard_bytes: int) -> dict[str, Any]:
    """What ``blurgen.json`` tells."""
    shards = {"shard_bytes": shard_bytes} if laid_out.sharded else {}
    return {
        "format": FORMAT,
        "format_version": 1,
        "exported_by": __version__,
        "to": to,
        **shards,
        "files": laid_out.files,
        "pairs": _told(laid_out.pairs.header),
    }


def _told(header: Header) -> dict[str, Any]:
    """The header of a pair file, JSON-able."""
    told = {name: value for name, value in header.attributes().items() if not name.startswith("format")}
    return {
        **told,
        "recipe": header.recipe.to_dict(),
        "dataset_options": header.dataset_options,
        "shape": list(header.shape),
        "has_labels": header.has_labels,
        "psf_size": header.psf_size,
        "compression": header.compression,
    }
