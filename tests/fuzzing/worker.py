"""One process that fuzzes one target, or reads a single input again, for ``python -m tests.fuzzing``."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import pkgutil
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

SLOW_SECONDS = 2.0  # of processor time; the fuzzer's own counting makes it a few times more
MOST_MEMORY = 512 << 20
INSTRUMENTED = ["blurgen", "trainers", "yaml", "PIL", "h5py", "safetensors"]  # what is still to be imported
_LONGEST = 1 << 17
_HANGS_SECONDS = 120  # after which the process is ended, though it may only have waited for a processor


class Watched:
    """A target, each input timed and weighed.

    Parameters
    ----------
    one : callable
        Reads an input from a folder.
    folder : Path
        Which.
    finds : Path
        Where inputs are kept that are finds.
    """

    def __init__(self, one: Callable[[bytes, Path], None], folder: Path, finds: Path) -> None:
        self._one, self._folder, self._finds = one, folder, finds
        self.count, self.slowest, self._first = 0, 0.0, _peak()
        self._heaviest = self._first
        self.seen: dict[str, str] = {}

    @property
    def memory(self) -> int:
        """Bytes by which the process has grown at most."""
        return self._heaviest - self._first

    def __call__(self, data: bytes) -> None:
        from blurgen.errors import BlurgenError

        self.count += 1
        begun = time.process_time()
        try:
            self._one(data, self._folder)
        except BlurgenError as error:
            if "\n" in str(error) or not str(error):
                self._note(data, "message", f"{type(error).__name__}: {str(error)!r}")
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            self._note(
                data, "crash", f"{type(error).__name__} at {place.filename}:{place.lineno}: {error}"[:300]
            )
        seconds = time.process_time() - begun
        self.slowest = max(self.slowest, seconds)
        if seconds > SLOW_SECONDS:
            self._note(data, "slow", f"{seconds:.1f} s")
        peak = _peak()
        if peak - self._heaviest > MOST_MEMORY:
            self._note(data, "memory", f"{(peak - self._heaviest) >> 20} MiB")
        self._heaviest = max(self._heaviest, peak)

    def _note(self, data: bytes, kind: str, what: str) -> None:
        key = f"{kind} {what.partition(': ')[0] if kind == 'crash' else ''}"
        if key not in self.seen:
            path = self._finds / f"{kind}-{hashlib.sha256(data).hexdigest()[:12]}"
            path.write_bytes(data)
            self.seen[key] = f"{path}: {kind}: {what}"

    def report(self) -> dict[str, Any]:
        """What was found."""
        return {
            "count": self.count,
            "slowest": self.slowest,
            "memory": self.memory,
            "finds": list(self.seen.values()),
        }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _fuzz(name: str, runs: int, seconds: float, work: Path) -> None:
    import atheris

    from blurgen import loops

    for module in pkgutil.iter_modules(loops.__path__, f"{loops.__name__}."):
        importlib.import_module(module.name)  # Numba compiles what stands there, not what Atheris makes of it
    with tempfile.TemporaryDirectory(dir=work) as folder:
        with atheris.instrument_imports(include=INSTRUMENTED):
            target = importlib.import_module(f"{__package__}.{name}")
            os.chdir(folder)  # what an input names is looked for here
            for seed in target.seeds():  # what compiles or imports once is no one's fault
                _quietly(target.one, seed, Path(folder))
        finds, corpus, words = work / "finds", work / "corpus", work / "words"
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
        words.write_text("".join(f'"{word}"\n' for word in target.WORDS), encoding="utf-8")
        watched = Watched(target.one, Path(folder), finds)
        began = said = time.monotonic()

        def one(data: bytes) -> None:
            nonlocal said
            watched(data)
            now = time.monotonic()
            done = watched.count >= runs or now - began >= seconds
            if done or now - said > 1:
                said = now
                (work / "report.json").write_text(json.dumps(watched.report()), encoding="utf-8")
            if done:
                os._exit(0)  # libFuzzer would take an exception for a crash

        flags = {
            "dict": words,
            "max_len": _LONGEST,
            "len_control": 20,
            "rss_limit_mb": 0,
            "timeout": _HANGS_SECONDS,
            "artifact_prefix": f"{finds}/died-",
            "seed": 1 + len(list(finds.iterdir())),
            "verbosity": 0,
        }
        arguments = [f"-{flag}={value}" for flag, value in flags.items()]
        atheris.Setup([sys.argv[0], *arguments, str(corpus)], one)
        atheris.Fuzz()


def _quietly(one: Callable[[bytes, Path], None], data: bytes, folder: Path) -> None:
    try:
        one(data, folder)
    except Exception:
        return


def _replay(name: str, path: Path) -> None:
    """Read one input again, without counting branches, and say what comes of it."""
    resource.setrlimit(resource.RLIMIT_CPU, (_HANGS_SECONDS, _HANGS_SECONDS))
    target = importlib.import_module(f"{__package__}.{name}")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for seed in target.seeds():
            _quietly(target.one, seed, Path(folder))
        watched = Watched(target.one, Path(folder), Path(folder))
        watched(path.read_bytes())
        print(json.dumps(watched.report()))


def main() -> None:
    """Fuzz ``TARGET`` into ``--work``, or read ``--replay`` again."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--replay", type=Path)
    given = parser.parse_args()
    if given.replay:
        _replay(given.target, given.replay.absolute())
    else:
        _fuzz(given.target, given.runs, given.seconds, given.work)


if __name__ == "__main__":
    main()
