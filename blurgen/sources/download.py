"""Fetching published files into a cache, whole and verified or not at all; the only user of the network."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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


def cache_dir() -> Path:
    """Give the folder that downloads are kept in: the user's cache folder, as pooch finds it."""
    import pooch

    return Path(pooch.os_cache("blurgen"))


def fetch(dataset: str, filename: str, sha256: str) -> Path:
    """Give a published file, downloading it unless the cache holds it.

    A download goes to ``FILENAME.part``, which a later call resumes, and gets its name once its hash is
    right; a cached file whose hash is wrong is fetched again. Processes that want the same file wait for
    each other.

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
    import pooch

    # pooch depends on requests and lets its exceptions pass.
    from requests import exceptions

    with part.open("ab") as out, _progress(Path(urlsplit(url).path).name, out.tell()) as bar:

        def restart_if_whole(response: Any, **_: Any) -> None:
            if response.status_code == 200:
                out.truncate(0)

        headers = {"Accept-Encoding": "identity"}
        if out.tell():
            headers["Range"] = f"bytes={out.tell()}-"
        get = pooch.HTTPDownloader(
            progressbar=bar, chunk_size=_CHUNK, headers=headers, hooks={"response": restart_if_whole}
        )
        try:
            get(url, out, None)
        except exceptions.HTTPError as error:
            status = getattr(error.response, "status_code", None)
            return _NOTHING_LEFT if status == 416 else f"HTTP status {status}"
        except exceptions.Timeout:
            return "no answer in time"
        except (exceptions.ChunkedEncodingError, exceptions.ConnectionError):
            return f"broke off after {out.tell()} bytes" if out.tell() else "no connection"
        except exceptions.RequestException as error:
            return str(error)
    return None


class _Bar:
    """What pooch asks of a progress bar, passed on to rich."""

    def __init__(self, progress: Any, label: str, present: int) -> None:
        self._progress, self._present = progress, present
        self._task = progress.add_task(label, total=None, completed=present)

    @property
    def total(self) -> int:
        return int(self._progress.tasks[0].total or 0) - self._present

    @total.setter
    def total(self, size: int) -> None:
        self._progress.update(self._task, total=size + self._present)

    def update(self, size: int) -> None:
        self._progress.advance(self._task, size)

    def reset(self) -> None:
        self._progress.update(self._task, completed=self._present)

    def close(self) -> None:
        """Do nothing: the context of the download ends the bar."""


@contextlib.contextmanager
def _progress(label: str, present: int) -> Iterator[_Bar | bool]:
    """Show a progress bar if standard error is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield False
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress, label, present)


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and _sha256(path) == sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
