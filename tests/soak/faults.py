"""Disks that fill, limits, folders that go away, signals, clocks, rivals, sources that change."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.soak.trials import Row, WrongError, counted, ended, fail, same, start, succeed, wait_for

_COUNT = 3000
_IMAGES = (_COUNT, 32, 32)


def faults(folder: Path, share: float) -> Iterator[Row]:
    """The rows of the table."""
    images = folder / "images.npy"
    np.save(images, np.random.default_rng(2).integers(0, 256, _IMAGES, dtype=np.uint8))
    trial = _Trials(images, folder, share)
    yield trial.disk_full()
    yield trial.file_limit()
    yield trial.read_only()
    yield trial.folder_removed()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield trial.signalled(number)
    yield trial.clock_set_back()
    yield trial.two_at_once()
    yield trial.changed_source()


class _Trials:
    def __init__(self, images: Path, folder: Path, share: float) -> None:
        self.images = images
        self.folder = folder
        self.share = share
        self.make = ("make", "--dataset", f"npy:{images}", "--recipe", "realistic", "--threads", 2)
        reference = folder / "reference.h5"
        succeed(*self.make, "--out", reference)
        begun = time.monotonic()
        succeed(*self.make, "--out", reference, "--overwrite")
        self.seconds = time.monotonic() - begun
        self.reference = reference.read_bytes()
        self.draw = random.Random(7)

    def _counted(self, what: str, expected: str, number: int, trial: Callable[[Path, float], None]) -> Row:
        """Trials in folders of their own, each with a number from 0 to 1 that says when or how much."""
        number = max(2, round(number * self.share))

        def one(place: int) -> None:
            own = self.folder / f"{trial.__name__}{place}"
            own.mkdir()
            try:
                trial(own, place / (number - 1))
            finally:
                shutil.rmtree(own)

        return counted(what, expected, [lambda place=place: one(place) for place in range(number)])  # type: ignore[misc]

    def disk_full(self) -> Row:
        def full(own: Path, when: float) -> None:
            size = round(4096 + when * (len(self.reference) - 8192))
            with _mounted(own, size):
                fail(start(*self.make, "--out", own / "a.h5"), "space")
                if (own / "a.h5").exists():
                    raise WrongError("a file under the final name")
                _remount(own, f"size={4 * len(self.reference)}")
                succeed(*self.make, "--out", own / "a.h5")
                same(own / "a.h5", self.reference)

        if os.geteuid():
            return Row("disk full", 0, 0, "not tried: to mount a small disk takes root")
        return self._counted(
            "disk full, from the first page to the last", "one sentence; with room, the same bytes", 20, full
        )

    def file_limit(self) -> Row:
        def limited(own: Path, when: float) -> None:
            size = round(1 + when * (len(self.reference) - 2))

            def limit() -> None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

            fail(start(*self.make, "--out", own / "a.h5", preexec_fn=limit), "large")
            succeed(*self.make, "--out", own / "a.h5")
            same(own / "a.h5", self.reference)

        return self._counted("file-size limit", "one sentence; without it, the same bytes", 10, limited)

    def read_only(self) -> Row:
        def frozen(own: Path, when: float) -> None:
            with _mounted(own, 4 * len(self.reference)):
                if when > 0.5:  # a run that was killed left something
                    self._killed(own / "a.h5", self.draw.random())
                    if (own / "a.h5").exists():
                        return
                _remount(own, "ro")
                fail(start(*self.make, "--out", own / "a.h5"), "ead-only")
                _remount(own, "rw")
                succeed(*self.make, "--out", own / "a.h5")
                same(own / "a.h5", self.reference)

        if os.geteuid():
            return Row("read-only folder", 0, 0, "not tried: to mount one takes root")
        return self._counted("read-only folder, new or resumed", "one sentence, nothing lost", 6, frozen)

    def folder_removed(self) -> Row:
        def removed(own: Path, when: float) -> None:
            inner = own / "inner"
            inner.mkdir()
            process = self._disturbed(inner / "a.h5", when)
            made = (inner / "a.h5").exists()
            shutil.rmtree(inner, ignore_errors=True)
            if made or (inner / "a.h5").exists():  # so late that it had its name already
                ended(process)
            else:
                fail(process)
            inner.mkdir(exist_ok=True)
            succeed(*self.make, "--out", inner / "a.h5", "--overwrite")
            same(inner / "a.h5", self.reference)

        return self._counted(
            "the folder removed under it", "one sentence; the same bytes when run again", 10, removed
        )

    def signalled(self, number: signal.Signals) -> Row:
        def sent(own: Path, when: float) -> None:
            process = self._disturbed(own / "a.h5", when)
            process.send_signal(number)
            code, said = ended(process)
            if code not in {0, 128 + number, -number}:
                raise WrongError(f"exit status {code}: {said.strip()}")
            if not (own / "a.h5").exists():
                if not (own / "a.h5.partial").exists():
                    raise WrongError("nothing was kept")
                succeed(*self.make, "--out", own / "a.h5")
            same(own / "a.h5", self.reference)

        return self._counted(number.name, "what is done is kept, the same bytes when run again", 10, sent)

    def clock_set_back(self) -> Row:
        program = (
            "import itertools, sys, time\n"
            "past = itertools.count(2_000_000_000, -3600)\n"
            "time.time = lambda: float(next(past))\n"
            "time.time_ns = lambda: next(past) * 10**9\n"
            "from blurgen.cli import main\n"
            "sys.argv[0] = 'blurgen'\n"
            "main()\n"
        )

        def set_back(own: Path, when: float) -> None:
            self._killed(own / "a.h5", when)
            for path in own.iterdir():
                stamp = self.draw.choice([10**9, 4 * 10**9])  # 2001, 2096
                os.utime(path, (stamp, stamp))
            if not (own / "a.h5").exists():
                arguments = [*map(str, self.make), "--out", str(own / "a.h5")]
                again = subprocess.Popen(
                    [sys.executable, "-c", program, *arguments],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                code, said = ended(again)
                if code:
                    raise WrongError(said.strip())
            same(own / "a.h5", self.reference)

        return self._counted(
            "the clock runs backwards, files are from 2001 and 2096", "the same bytes", 6, set_back
        )

    def two_at_once(self) -> Row:
        def rival(own: Path, when: float) -> None:
            first = self._disturbed(own / "a.h5", when / 2)
            if first.poll() is None:
                second = start(*self.make, "--out", own / "a.h5")
                code, said = ended(second)
                if not code:
                    raise WrongError("both succeeded")
                if "is being made" not in said and "exists" not in said:
                    raise WrongError(f"the second says: {said.strip()}")
            code, said = ended(first)
            if code:
                raise WrongError(f"the first failed: {said.strip()}")
            same(own / "a.h5", self.reference)

        return self._counted("two runs on one file", "the second is refused, the first goes on", 8, rival)

    def changed_source(self) -> Row:
        def changed(own: Path, when: float) -> None:
            images = own / "images.npy"
            shutil.copyfile(self.images, images)
            make = (*self.make[:2], f"npy:{images}", *self.make[3:], "--out", own / "a.h5")
            process = start(*make)
            wait_for((own / "a.h5.partial").exists, process)
            process.kill()
            process.communicate()
            before = images.read_bytes()
            place = 128 + round(when * (len(before) - 129))
            images.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
            fail(start(*make), "dataset_sha256")
            images.write_bytes(before)
            succeed(*make)

        return self._counted(
            "a source that changes between start and resume",
            "refused; unchanged again, it goes on",
            8,
            changed,
        )

    def _disturbed(self, out: Path, when: float) -> subprocess.Popen[str]:
        """A run that has come to some instant after its partial file was there."""
        process = start(*self.make, "--out", out)
        wait_for(out.with_name("a.h5.partial").exists, process)
        time.sleep(when * self.seconds / 2)
        return process

    def _killed(self, out: Path, when: float) -> None:
        process = self._disturbed(out, when)
        process.kill()
        process.communicate()


@contextmanager
def _mounted(folder: Path, size: int) -> Iterator[None]:
    """A small disk of its own in a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "blurgen-soak", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)
