"""``kill -9`` at random instants; what goes on from there must make the file of an undisturbed run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.soak.trials import Row, WrongError, counted, ended, same, start, succeed, wait_for

_MAKE = ("make", "--dataset", "shapes", "--size", 48, "--recipe", "realistic", "--count", 1000, "--seed", 5)
_AGAIN = 0.3  # the share of resumed runs that are killed, too
_SHARDS = 3


def kills(folder: Path, share: float) -> Iterator[Row]:
    """The rows of the table, 200 kills where the share is 1."""
    trials = _Kills(folder, share)
    yield trials.counted("`make`, one thread", 40, trials.one_thread)
    yield trials.counted("`make`, four threads", 40, trials.four_threads)
    yield trials.counted("`make`, compressed", 30, trials.compressed)
    yield trials.counted("one shard of three, then `finish`", 30, trials.shards)
    yield trials.counted("a part, then `merge`", 20, trials.parts)
    yield trials.counted("`verify --repair`", 10, trials.repair)
    yield trials.counted("a Dask worker of three", 30, trials.worker)


class _Reference(NamedTuple):
    """The bytes of an undisturbed run, and how long it wrote."""

    data: bytes
    seconds: float


class _Kills:
    def __init__(self, folder: Path, share: float) -> None:
        self.own = folder / "own"
        self.out = self.own / "a.h5"
        self.share = share
        self.draw = random.Random(1)
        self.plain = _reference(folder / "plain.h5")
        self.packed = _reference(folder / "packed.h5", "--compression", "gzip")

    def counted(self, what: str, number: int, trial: Callable[[], None]) -> Row:
        def one() -> None:
            self.own.mkdir()
            try:
                trial()
            finally:
                shutil.rmtree(self.own)

        expected = "the bytes of an undisturbed run, and nothing left beside them"
        return counted(f"kill -9 of {what}", expected, [one] * max(1, round(number * self.share)))

    def one_thread(self) -> None:
        self._killed_until_made(self.plain, "--threads", 1)

    def four_threads(self) -> None:
        self._killed_until_made(self.plain, "--threads", 4)

    def compressed(self) -> None:
        self._killed_until_made(self.packed, "--threads", 2, "--compression", "gzip")

    def shards(self) -> None:
        commands = [
            (*_MAKE, "--out", self.out, "--threads", 1, "--shard", f"{number}/{_SHARDS}")
            for number in range(1, _SHARDS + 1)
        ]
        running = [start(*command) for command in commands]
        wait_for(lambda: _begun(self.out), running[0])
        time.sleep(self.draw.uniform(0, self.plain.seconds))
        victim = self.draw.randrange(_SHARDS)
        running[victim].kill()
        for number, process in enumerate(running):
            code, said = ended(process)
            if code and number != victim:
                raise WrongError(f"another shard failed: {said.strip()}")
        succeed(*commands[victim])
        self._killed_until_there("finish", self.out)
        same(self.out, self.plain.data)

    def parts(self) -> None:
        names = [self.own / f"part{number}.h5" for number in range(1, _SHARDS + 1)]
        for number, name in enumerate(names, 1):
            command = (*_MAKE, "--threads", 2, "--shard", f"{number}/{_SHARDS}", "--part", "--out", name)
            if number == 1:
                self._kill_writing(name, self.plain.seconds / _SHARDS, *command)
            if not name.exists():
                succeed(*command)
        self._killed_until_there("merge", *names, "--out", self.out)
        same(self.out, self.plain.data)

    def repair(self) -> None:
        damaged = bytearray(self.plain.data)
        for _ in range(20):  # of the second half, which holds rows alone
            damaged[self.draw.randrange(len(damaged) // 2, len(damaged))] ^= 1 << self.draw.randrange(8)
        self.out.write_bytes(damaged)
        _kill_within(start("verify", "--repair", self.out), self.draw.uniform(0, 2.5))
        succeed("verify", "--repair", self.out)
        same(self.out, self.plain.data)

    def worker(self) -> None:
        process = start(*_MAKE, "--out", self.out, "--cluster", f"local:{_SHARDS}")
        wait_for(lambda: _begun(self.out), process)
        time.sleep(self.draw.uniform(0, self.plain.seconds / 2))
        workers = [child for child in _below(process.pid) if _is_worker(child)]
        if workers:
            os.kill(self.draw.choice(workers), signal.SIGKILL)
        code, said = ended(process)
        if code:
            raise WrongError(f"the command failed: {said.strip()}")
        same(self.out, self.plain.data)

    def _kill_writing(self, out: Path, seconds: float, *command: object) -> None:
        """Start a command, and kill it at some instant after its partial file is there."""
        process = start(*command)
        wait_for(lambda: _begun(out), process)
        _kill_within(process, self.draw.uniform(0, seconds))

    def _killed_until_made(self, reference: _Reference, *options: object) -> None:
        command = (*_MAKE, "--out", self.out, *options)
        self._kill_writing(self.out, reference.seconds, *command)
        while not self.out.exists() and self.draw.random() < _AGAIN:
            self._kill_writing(self.out, reference.seconds, *command)
        if not self.out.exists():
            succeed(*command)
        same(self.out, reference.data)

    def _killed_until_there(self, *command: object) -> None:
        _kill_within(start(*command), self.draw.uniform(0, 1.5))
        if not self.out.exists():
            succeed(*command)


def _reference(out: Path, *options: object) -> _Reference:
    for _ in range(2):  # the first run may compile
        process = start(*_MAKE, "--out", out, "--threads", 1, "--overwrite", *options)
        wait_for(lambda: _begun(out), process)
        begun = time.monotonic()
        code, said = ended(process)
        if code:
            raise WrongError(said.strip())
    return _Reference(out.read_bytes(), time.monotonic() - begun)


def _begun(out: Path) -> bool:
    return out.with_name(f"{out.name}.partial").exists()


def _kill_within(process: subprocess.Popen[str], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()


def _below(process: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
    except FileNotFoundError:  # it has just ended
        return []
    children = [int(word) for word in text.split()]
    return [*children, *(below for child in children for below in _below(child))]


def _is_worker(process: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
