"""Fetching published files into a cache, whole and verified or not at all; the only user of the network."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from blurgen.console import live_bar, on_terminal
from blurgen.errors import SourceError

# Where the files of each data set are published, tried in this order.
MIRRORS: dict[str, tuple[str, ...]] = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    "kmnist": ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    "emnist-digits": ("https://biometrics.nist.gov/cs_links/EMNIST/",),
}

_CHUNK = 1 << 16
_TIMEOUT = 30.0  # seconds without a byte, after which a mirror is given up
_WINDOW = 60.0  # seconds in which at least `_CHUNK` bytes have to come
_MOST_BYTES = 1 << 30
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def cache_dir() -> Path:
    """Give the folder that downloads are kept in: the user's cache folder, where the system keeps such."""
    import platformdirs

    return platformdirs.user_cache_path("blurgen")


def fetch(dataset: str, filename: str, sha256: str) -> Path:
    """Give a published file, downloading it unless the cache holds it.

    A download goes to ``FILENAME.part``, which a later call resumes, and gets its name once its hash is
    right; a cached file whose hash is wrong is fetched again. A mirror that stops sending, crawls, sends too
    much or leads away from https is given up for the next. Processes that want the same file wait for each
    other.

    Parameters
    ----------
    dataset : str
        A key of `MIRRORS`.
    filename : str
        Appended to each mirror's address.
    sha256 : str
        Published hash of the file, hexadecimal.

    Returns
    -------
    Path
        The verified file.

    Raises
    ------
    SourceError
        If no mirror gives the file (what each of them did is named), or the cache cannot be written.
    """
    # Looked for without the lock first: a cache may be shared and read-only.
    target = cache_dir() / dataset / filename
    if _is_whole(target, sha256):
        return target
    with _cache_folder(dataset, filename) as folder:
        part = folder / f"{filename}.part"
        if _is_whole(target, sha256):
            return target
        failures = []
        for mirror in MIRRORS[dataset]:
            failure = _try_mirror(mirror + filename, part, sha256)
            if failure is None:
                part.replace(target)
                return target
            failures.append(f"{urlsplit(mirror).netloc}: {failure}")
    raise SourceError(f"{filename} cannot be downloaded ({'; '.join(failures)})")


def fetch_member(dataset: str, archive: str, sha256: str, members: tuple[str, ...], wanted: str) -> Path:
    """Give a file that is published inside a zip archive.

    All of `members` are unpacked at once and the archive, which may be large, is then removed.

    Parameters
    ----------
    dataset, archive, sha256
        The archive, as in `fetch`.
    members : tuple of str
        Names inside the archive; they are kept under the last part of their name.
    wanted : str
        The one of `members` to give.

    Returns
    -------
    Path
        The unpacked file.

    Raises
    ------
    SourceError
        As `fetch`, and if the archive lacks a member.
    """
    target = cache_dir() / dataset / Path(wanted).name
    if target.is_file():
        return target
    with _cache_folder(dataset, f"{archive}.members") as folder:
        if not target.is_file():
            path = fetch(dataset, archive, sha256)
            try:
                with zipfile.ZipFile(path) as opened:
                    for member in members:
                        part = folder / f"{Path(member).name}.part"
                        with opened.open(member) as packed, part.open("wb") as unpacked:
                            shutil.copyfileobj(packed, unpacked, _CHUNK)
                        part.replace(part.with_suffix(""))
            except (KeyError, zipfile.BadZipFile) as error:
                raise SourceError(f"{path} cannot be unpacked: {error}") from error
            path.unlink()
    return target


@contextlib.contextmanager
def _cache_folder(dataset: str, locked: str) -> Iterator[Path]:
    """Make the folder of a data set and hold a lock in it, so that no two processes write one file."""
    folder = cache_dir() / dataset
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{locked}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    except OSError as error:
        raise SourceError(f"the cache folder {folder} cannot be used: {error.strerror or error}") from error


def _try_mirror(url: str, part: Path, sha256: str) -> str | None:
    """Bring `part` to the published bytes; gives the reason where that fails."""
    resumed = part.is_file() and part.stat().st_size > 0
    if _is_whole(part, sha256):
        return None
    failure = _download(url, part)
    if failure is not None and failure != _NOTHING_LEFT:
        return failure
    found = _sha256(part)
    if found == sha256:
        return None
    part.unlink()
    if resumed:
        # What lay there may have come from another mirror, or be older than the file: start over, once.
        return _try_mirror(url, part, sha256)
    return f"other content than published (SHA-256 {found[:12]}…, published {sha256[:12]}…)"


_NOTHING_LEFT = "nothing left to send"


def _download(url: str, part: Path) -> str | None:
    """Append to `part` what it lacks; gives the reason where that fails."""
    import requests

    with part.open("ab") as out:
        headers = {"Accept-Encoding": "identity"}
        if out.tell():
            headers["Range"] = f"bytes={out.tell()}-"
        hooks = {"response": partial(_check_redirect, url)}
        try:
            with requests.get(url, headers=headers, hooks=hooks, timeout=_TIMEOUT, stream=True) as response:
                return _take(response, out, Path(urlsplit(url).path).name)
        except requests.exceptions.Timeout:
            return "no answer in time"
        except requests.exceptions.ConnectionError:
            return "no connection"
        except requests.exceptions.RequestException as error:
            return str(error)


def _take(response: Any, out: BinaryIO, label: str) -> str | None:
    """Write what a mirror sends; gives the reason where it ends early, or is given up."""
    from urllib3.exceptions import HTTPError

    if response.status_code == 416:
        return _NOTHING_LEFT
    if response.status_code not in (200, 206):
        return f"HTTP status {response.status_code}"
    if response.status_code == 200:
        out.truncate(0)
    length = response.headers.get("Content-Length", "")
    total = out.tell() + int(length) if length.isdecimal() else None
    began, before = time.monotonic(), out.tell()
    with _progress(label, out.tell(), total) as advance:
        try:
            while block := response.raw.read1(_CHUNK):
                out.write(block)
                advance(len(block))
                if out.tell() > _MOST_BYTES:
                    return f"sent more than {_MOST_BYTES} bytes"
                if time.monotonic() - began > _WINDOW:
                    if out.tell() - before < _CHUNK:
                        return f"too slow: {out.tell() - before} bytes in {_WINDOW:g} s"
                    began, before = time.monotonic(), out.tell()
        except HTTPError:
            return f"broke off after {out.tell()} bytes"
    return None


def _check_redirect(asked: str, response: Any, **_: Any) -> None:
    """See that a mirror leads to https; one on this very machine may lead to another there."""
    from requests.exceptions import InvalidURL

    if not response.is_redirect:
        return
    there = urlsplit(urljoin(response.url, response.headers["location"]))
    local = {urlsplit(asked).hostname, there.hostname} <= _LOOPBACK
    if there.scheme != "https" and not (there.scheme == "http" and local):
        raise InvalidURL(f"leads to {there.scheme}://{there.netloc}, not to https")


@contextlib.contextmanager
def _progress(label: str, present: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar if standard error is a terminal; gives what is to be told of new bytes."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn

    if not on_terminal():
        yield lambda size: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with live_bar(*columns, transient=False) as progress:
        task = progress.add_task(label, total=total, completed=present)
        yield lambda size: progress.advance(task, size)


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and _sha256(path) == sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
