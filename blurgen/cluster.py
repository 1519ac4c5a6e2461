"""Making the rows of one file on a Dask cluster whose workers see the file's folder.

The client lays the file out, writes a job file beside it (header and source) and gives out ranges of rows,
each to a worker of its choice. A worker reads the job file, writes its rows straight into their places, and
brings them to the disk; the client notes that in the journal. The ranges of a worker that is lost, or that
cannot be used, go to others. In the end the client compares all rows with their checksums.

A worker knows the job file by its hash: who does not see that very file is not in the same folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import logging
import os
import pickle
import platform
import re
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from blurgen import threads as pool
from blurgen._version import __version__
from blurgen.checks import checked_whole
from blurgen.errors import BlurgenError, ClusterError, FileError, InputError
from blurgen.files import sync
from blurgen.maker import Progress, chunk_rows, chunks_of, remake
from blurgen.pairs import Header, PairWriter, partial_path
from blurgen.pairs.blocks import checked_blocks, write_blocks
from blurgen.pairs.format import Layout, read_layout, reason
from blurgen.pairs.partial import job_path
from blurgen.sources.base import Source

_MOST_WORKERS = 1024
_TASK_CHUNKS = 16  # that a worker makes before it brings them to the disk
_TASKS_PER_THREAD = 2  # given out: one is made, one waits
_TICK_SECONDS = 0.2
_LOOK_SECONDS = 1.0  # between looks at which workers there are
_ATTEMPTS = 5  # at a range of rows
_ROUNDS = 3
# whose versions may change a byte; of those that a worker lacks, it says so itself
_LIBRARIES = (
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "h5py",
    "pillow",
    "opencv-python-headless",
    "matplotlib",
    "fonttools",
)

Rows = tuple[int, int]
Note = Callable[[str], None]


class Cluster:
    """A Dask cluster, used within a ``with`` block.

    Parameters
    ----------
    address : str
        Of a scheduler, ``tcp://host:8786``; or ``local:3``: three processes of this machine.
    threads : int, optional
        Of each local worker, by default 1. Other workers have theirs already.

    Attributes
    ----------
    address : str
        As given.
    workers : dict
        Address → threads of those that are used.

    Raises
    ------
    InputError
        If the address is none, or `dask.distributed` is not installed.
    """

    def __init__(self, address: str, threads: int | None = None) -> None:
        self.address = address
        self.workers: dict[str, int] = {}
        local = re.fullmatch(r"local:(\d+)", address)
        self._local = checked_whole("workers of local", int(local[1]), 1, _MOST_WORKERS) if local else 0
        if not local and not re.fullmatch(r"[a-z]+://.+", address):
            raise InputError(
                f"cluster {address!r}: a scheduler's address, such as tcp://host:8786, or a number of local "
                "workers, such as local:4, is needed"
            )
        if threads is not None and not local:
            raise InputError(f"threads {threads}: the workers of '{address}' have threads of their own")
        self._threads = 1 if threads is None else pool.checked(threads)
        try:
            importlib.import_module("distributed")
        except ImportError:
            raise InputError("a cluster needs the package dask: pip install 'blurgen[cluster]'") from None
        self._client: Any = None
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Start the workers, or connect to the scheduler.

        Raises
        ------
        ClusterError
            If none answers.
        """
        import distributed

        try:
            address: Any = self._started() if self._local else self.address
            self._client = distributed.Client(address, set_as_default=False)
        except (OSError, ValueError) as error:
            self._open.close()
            raise ClusterError(f"no scheduler answers at '{self.address}': {_line(error)}") from None
        except BaseException:
            self._open.close()
            raise
        self._open.callback(self._client.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _started(self) -> Any:
        import dask
        import distributed

        scratch = self._open.enter_context(
            tempfile.TemporaryDirectory(prefix="blurgen-", ignore_cleanup_errors=True)
        )
        self._open.enter_context(dask.config.set({"temporary-directory": scratch}))
        return self._open.enter_context(
            distributed.LocalCluster(
                n_workers=self._local,
                threads_per_worker=self._threads,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=None,
                local_directory=scratch,
                preload=["blurgen.interrupts"],
                silence_logs=logging.CRITICAL,
            )
        )

    def __str__(self) -> str:
        """The workers that are used, for people."""
        many = len(self.workers)
        return f"{many} worker{'s' * (many != 1)} of {self.address}"

    def make(
        self,
        writer: PairWriter,
        source: Source,
        *,
        progress: Progress | None = None,
        note: Note | None = None,
    ) -> None:
        """Have every missing row of a file written; what is done is noted every second or so.

        Parameters
        ----------
        writer : PairWriter
            Of a file without compression.
        source : Source
            What the pairs are made of.
        progress : callable, optional
            Called with (pairs done, pairs in all) now and then.
        note : callable, optional
            Called with a sentence where a worker is lost or cannot be used.

        Raises
        ------
        ClusterError
            If there is no worker that can be used, or the scheduler is lost.
        BlurgenError
            What went wrong on workers.
        """
        total = writer.stop - writer.start
        say = note or (lambda _: None)
        rows = chunk_rows(writer.header) * _TASK_CHUNKS
        with _job_file(writer.path, writer.header, source) as job:
            for _ in range(_ROUNDS):
                gaps = writer.missing()
                done = total - sum(stop - start for start, stop in gaps)
                if progress:
                    progress(done, total)
                if not gaps:
                    return
                given = _Given(self, self._client, job, chunks_of(gaps, rows), say)
                noted = time.monotonic()
                try:
                    for made in given.results():
                        for start, stop in made:
                            writer.written_elsewhere(start, stop)
                            done += stop - start
                        if progress:
                            progress(done, total)
                        if time.monotonic() - noted > _LOOK_SECONDS:
                            writer.checkpoint()
                            noted = time.monotonic()
                except OSError as error:  # which time-outs and closed connections are, too
                    raise ClusterError(
                        f"the scheduler of '{self.address}' was lost: {_line(error)}"
                    ) from None
                finally:
                    given.close()
                again = writer.recheck(pool.usable_cpus())
                if again:
                    say(
                        f"{again:,} rows of '{partial_path(writer.path)}' are not as they were written: "
                        "they are made again"
                    )
        raise FileError(f"'{writer.path}': what the workers write there does not last")


# ---- the client ----


class Job(NamedTuple):
    """What workers are told.

    Attributes
    ----------
    path : str
        The file to make, its final name.
    file : str
        The job file: header and source, pickled.
    sha256 : str
        Its hash.
    versions : dict
        Of the client's Python and libraries.
    """

    path: str
    file: str
    sha256: str
    versions: dict[str, str]


@contextlib.contextmanager
def _job_file(path: Path, header: Header, source: Source) -> Iterator[Job]:
    token = os.urandom(16)
    content = pickle.dumps((token, header, source))
    file = job_path(path.absolute(), token.hex())
    try:
        file.write_bytes(content)
        sync(file)
        sync(file.parent)
        yield Job(str(path.absolute()), str(file), hashlib.sha256(content).hexdigest(), versions())
    except OSError as error:
        raise FileError(f"'{file}' cannot be written: {reason(error)}") from None
    finally:
        file.unlink(missing_ok=True)


class _Given:
    """Ranges of rows, given out to workers."""

    def __init__(self, cluster: Cluster, client: Any, job: Job, ranges: Iterator[Rows], note: Note) -> None:
        self._cluster, self._client, self._job, self._note = cluster, client, job, note
        self._ranges = ranges
        self._write, self._forget = _sent_functions()
        self._again: deque[Rows] = deque()
        self._attempts: dict[Rows, int] = {}
        self._running: dict[Any, tuple[Rows, str]] = {}
        self._useless: dict[str, BlurgenError] = {}
        self._looked = -_LOOK_SECONDS
        self._waiting = False

    def results(self) -> Generator[list[Rows], None, None]:
        """The ranges that are made, in lists as they are done; a list may be empty."""
        while True:
            self._look()
            self._give_out()
            if not self._running and not self._again:
                following = next(self._ranges, None)
                if following is None:
                    return
                self._again.append(following)  # there was nobody to take it
            yield self._done()

    def close(self) -> None:
        """Take back what is not done, and have the workers forget the job."""
        with contextlib.suppress(Exception):  # the scheduler may be lost
            self._client.cancel(list(self._running))
            self._client.run(self._forget, self._job.sha256, on_error="ignore")

    def _look(self) -> None:
        """See which workers there are."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        there = {
            address: int(about["nthreads"])
            for address, about in self._client.scheduler_info(n_workers=-1)["workers"].items()
        }
        for address in [address for address in self._cluster.workers if address not in there]:
            del self._cluster.workers[address]
            self._note(f"worker {address} is lost: others make its pairs")
            for future in [future for future, (_, whose) in self._running.items() if whose == address]:
                self._give_back(future, ClusterError(f"worker {address} was lost"))
        self._cluster.workers.update(
            {address: threads for address, threads in there.items() if address not in self._useless}
        )
        waiting = not there
        if waiting and not self._waiting:
            self._note(f"'{self._cluster.address}' has no workers: waiting for some")
        self._waiting = waiting

    def _give_out(self) -> None:
        busy = Counter(address for _, address in self._running.values())
        for address, threads in self._cluster.workers.items():
            for _ in range(threads * _TASKS_PER_THREAD - busy[address]):
                rows = self._again.popleft() if self._again else next(self._ranges, None)
                if rows is None:
                    return
                task = (self._write, tuple(self._job), *rows)
                future = self._client.submit(*task, workers=[address], allow_other_workers=False, pure=False)
                self._running[future] = rows, address

    def _done(self) -> list[Rows]:
        import distributed
        from distributed.client import CancelledError

        if not self._running:
            time.sleep(_TICK_SECONDS)
            return []
        with self._client.as_current(), contextlib.suppress(TimeoutError, CancelledError):
            distributed.wait(list(self._running), timeout=_TICK_SECONDS, return_when="FIRST_COMPLETED")
        made = []
        for future in [future for future in self._running if future.done()]:
            if future.status == "finished":
                made.append(self._running.pop(future)[0])
            elif future.status == "error":
                self._failed(future, future.exception())
            else:
                self._give_back(future, ClusterError("a task was taken back by the scheduler"))
        return made

    def _failed(self, future: Any, error: BaseException) -> None:
        """Leave a worker out that cannot make its rows; if it is the last, that is an error."""
        _, address = self._running[future]
        said: BlurgenError
        if isinstance(error, BlurgenError):
            said = error
        elif isinstance(error, ImportError):
            said = UselessWorkerError(f"it cannot load what is needed: {_line(error)}")
        else:
            said = ClusterError(_line(error))
        if address in self._cluster.workers:
            del self._cluster.workers[address]
            self._useless[address] = said
            if not self._cluster.workers:
                raise _of_all(said, len(self._useless), self._cluster.address)
            self._note(f"worker {address} is left out: {said}")
        self._give_back(future, None if isinstance(said, UselessWorkerError) else said)

    def _give_back(self, future: Any, error: BlurgenError | None) -> None:
        """Put a range back, to be given to another worker; not too often where it is to blame."""
        rows, _ = self._running.pop(future)
        future.cancel()
        if error:
            self._attempts[rows] = self._attempts.get(rows, 0) + 1
            if self._attempts[rows] >= _ATTEMPTS:
                start, stop = rows
                raise ClusterError(f"pairs {start}–{stop - 1} failed {_ATTEMPTS} times, at last: {error}")
        self._again.append(rows)


def _sent_functions() -> tuple[Callable[[tuple[Any, ...], int, int], None], Callable[[str], None]]:
    """What workers run: functions inside of another travel as code, so that who lacks blurgen can say so."""

    def write(job: tuple[Any, ...], start: int, stop: int) -> None:
        from blurgen.cluster import Job, write_rows_of

        write_rows_of(Job(*job), start, stop)

    def forget(sha256: str) -> None:
        from blurgen.cluster import forget

        forget(sha256)

    return write, forget


def _of_all(error: BlurgenError, many: int, address: str) -> BlurgenError:
    if not isinstance(error, UselessWorkerError):
        return error
    return ClusterError(f"none of the {many} worker{'s' * (many != 1)} of '{address}' can be used: {error}")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


# ---- the workers ----


class UselessWorkerError(ClusterError):
    """A worker cannot make rows of this file, whichever they are."""


class _Work(NamedTuple):
    header: Header
    source: Source
    layout: Layout


_works: dict[str, _Work] = {}
_works_lock = threading.Lock()


def write_rows_of(job: Job, start: int, stop: int) -> None:
    """Make rows of a job, write them to their places, and bring them to the disk; run by workers.

    Raises
    ------
    UselessWorkerError
        If the job's folder is not to be seen, or versions differ.
    BlurgenError
        If the rows cannot be made or written.
    """
    work = _work_of(job)
    step = chunk_rows(work.header)
    partial = partial_path(Path(job.path))
    try:
        file = os.open(partial, os.O_RDWR)
        try:
            for first, last in chunks_of([(start, stop)], step):
                arrays = checked_blocks(
                    work.header, work.layout, first, remake(work.source, work.header, first, last)
                )
                write_blocks(file, work.header, work.layout, first, arrays)
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise FileError(f"'{partial}' cannot be written: {reason(error)}") from None


def _work_of(job: Job) -> _Work:
    with _works_lock:
        if job.sha256 not in _works:
            _check_versions(job)
            try:
                content = Path(job.file).read_bytes()
            except OSError as error:
                raise UselessWorkerError(
                    f"'{Path(job.path).parent}' is not the same folder there: '{job.file}': {reason(error)}"
                ) from None
            if hashlib.sha256(content).hexdigest() != job.sha256:
                raise UselessWorkerError(f"'{job.file}' is another file there")
            _, header, source = pickle.loads(content)
            _works[job.sha256] = _Work(header, source, read_layout(partial_path(Path(job.path)), header))
        return _works[job.sha256]


def forget(sha256: str) -> None:
    """Let go of a job's source; run by workers."""
    with _works_lock:
        _works.pop(sha256, None)


def versions() -> dict[str, str]:
    """The versions of what may change a byte."""
    found = {"python": ".".join(platform.python_version_tuple()[:2]), "blurgen": __version__}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _check_versions(job: Job) -> None:
    ours = versions()
    different = ", ".join(
        f"{name} {ours[name]} instead of {theirs}"
        for name, theirs in job.versions.items()
        if ours.get(name, theirs) != theirs
    )
    if different:
        raise UselessWorkerError(f"it has {different}")
