"""One digest for each built-in recipe, however and wherever its file is made.

``python -m tests.soak.digests FOLDER SHARE`` makes the files in this process, and prints as JSON how often
each digest came out; the soak starts it twice, compiled for this processor and for one without AVX-512.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import numpy as np

import blurgen
from blurgen import maker
from blurgen.errors import InputError
from tests.soak.trials import Row

_PAIRS = 18
_THREADS = (1, 2, 7, 16)
_CHUNKS = (1, 17, 1024)  # pairs that a thread takes at a time
_SHARDS = 5
_PROCESSORS = {"this processor": {}, "AVX-512 off": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}}


def digests(folder: Path, share: float) -> Iterator[Row]:
    """A row for each recipe."""
    found: dict[str, Counter[str]] = {}
    for number, environment in enumerate(_PROCESSORS.values()):
        done = subprocess.run(
            [sys.executable, "-m", "tests.soak.digests", str(folder), str(share)],
            env={**os.environ, **environment, "NUMBA_CACHE_DIR": str(folder / f"compiled{number}")},
            stdout=subprocess.PIPE,
            check=True,
        )
        for name, counts in json.loads(done.stdout).items():
            found.setdefault(name, Counter()).update(counts)
    for name, counter in found.items():
        (digest, most), *others = counter.most_common()
        remark = f"`{digest[:16]}`" + "".join(f" but also `{other[:16]}`" for other, _ in others)
        yield Row(name, counter.total(), most, remark)


def _main(folder: Path, share: float) -> None:
    recipes = list(blurgen.recipes())
    chosen = recipes[:: max(1, round(1 / share))]
    json.dump({name: _digests_of(folder, name) for name in chosen}, sys.stdout)


def _digests_of(folder: Path, name: str) -> Counter[str]:
    """How often each digest came out, of all ways to make the file of a recipe."""
    source = _source(folder, blurgen.load_recipe(name))
    out = folder / "a.h5"
    found: Counter[str] = Counter()

    def note() -> None:
        found[hashlib.sha256(out.read_bytes()).hexdigest()] += 1
        out.unlink()

    for threads, chunk, shards, interrupted in itertools.product(
        _THREADS, _CHUNKS, (0, _SHARDS), (False, True)
    ):
        with mock.patch.object(maker, "chunk_rows", lambda _, rows=chunk: rows):
            for number in range(1, max(1, shards) + 1):
                options = {"threads": threads, "shard": (number, shards) if shards else None}
                if interrupted:
                    _interrupted(source, out, name, options)
                if not out.exists():
                    blurgen.make(source, out, name, **options)
            if shards:
                blurgen.finish(out)
        note()
    for interrupted in (False, True):
        if interrupted:
            _interrupted(source, out, name, {"threads": 1})
        blurgen.make(source, out, name, cluster="local:3")
        note()
    return found


def _interrupted(source: str, out: Path, name: str, options: dict[str, object]) -> None:
    """Begin a file, and leave off when something of it is done."""

    def stop(done: int, _: int) -> None:
        if done:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        blurgen.make(source, out, name, progress=stop, **options)  # type: ignore[arg-type]


def _source(folder: Path, recipe: blurgen.Recipe) -> str:
    """Images that the recipe takes, in colour if it can be, so large that each is a block of its own."""
    for shape in ((150, 150, 3), (256, 256, 1)):
        try:
            recipe.output_shape(shape)
        except InputError:
            continue
        path = folder / f"{shape[2]}.npy"
        if not path.exists():
            draw = np.random.default_rng(11)
            coarse = draw.integers(0, 256, (_PAIRS, shape[0] // 4 + 1, shape[1] // 4 + 1, shape[2]))
            fine = coarse.repeat(4, 1).repeat(4, 2)[:, : shape[0], : shape[1]]
            np.save(path, np.clip(fine + draw.integers(-9, 10, fine.shape), 0, 255).astype(np.uint8))
        return f"npy:{path}"
    raise AssertionError(f"recipe '{recipe.name}' takes neither gray nor colour images")


if __name__ == "__main__":
    _main(Path(sys.argv[1]), float(sys.argv[2]))
