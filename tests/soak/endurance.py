"""Ten million pairs in a row in one process: memory, threads and open files must not grow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import blurgen
from blurgen.verification import verify
from tests.soak.trials import Row

_PAIRS = 10_000_000
_FILE = 100_000
_WARM = 5  # files before the first count: caches fill, the allocator finds its size
_GROWTH = 16  # MiB that the process may gain


def endurance(folder: Path, share: float) -> Iterator[Row]:
    """The rows of the table, made, read and verified file by file."""
    files = max(_WARM + 5, round(_PAIRS * share / _FILE))
    out = folder / "a.h5"
    for number in range(files):
        blurgen.make("digits", out, count=_FILE, seed=number, overwrite=True)
        if not verify(out, sample=100).ok:
            yield Row("10⁷ pairs in one process", files, number, f"file {number} is not what was made")
            return
        blurgen.open_pairs(out)[number]
        if number + 1 == _WARM:
            before = _held()
    after = _held()
    remark = "; ".join(
        f"{name} {old:,} → {new:,}"
        for name, old, new in zip(("MiB", "threads", "open files"), before, after, strict=True)
    )
    good = after[0] - before[0] <= _GROWTH and after[1:] == before[1:]
    yield Row(f"{files * _FILE:,} pairs in {files} files, one process", files, files if good else 0, remark)


def _held() -> tuple[int, int, int]:
    """MiB of memory, threads, open files of this process."""
    status = Path("/proc/self/status").read_text()
    kib = int(status.split("VmRSS:")[1].split()[0])
    return kib // 1024, threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
