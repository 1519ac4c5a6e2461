"""JPEG there and back, beside libraries that encode and decode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.contestants import codecs
from benchmarks.groups import Options
from benchmarks.report import Table, race_columns
from benchmarks.timing import race

_QUALITY = 75


def jpeg(options: Options) -> Table:
    """Smooth images, which are the quickest to encode."""
    table = Table(
        "jpeg",
        f"smooth images stored as JPEG of quality {_QUALITY} and read again, bytes to the same bytes",
        race_columns("images"),
    )
    table.notes.append(
        "blurgen leaves out the entropy coding, whose time grows with the details; colours are 4:2:0."
    )
    cases = [
        ("28×28 gray", _smooth(4000, 28, 28), 12.0),
        ("256×256 gray", _smooth(48, 256, 256), 2.5),
        ("256×256×3", _smooth(32, 256, 256, 3), 1.6),
    ]
    for case, images, floor in cases:
        given = images[:4] if options.quick else images
        for threads in options.threads:
            results = race(
                codecs.ours(given, _QUALITY, threads),
                [codecs.opencv(given, _QUALITY, threads), codecs.pillow(given, _QUALITY, threads)],
                rounds=options.rounds,
                tolerance=0.0,
                sample_seconds=options.sample_seconds,
            )
            table.add_race(case, threads, results, floor=options.floor(floor))
    return table


def _smooth(count: int, *shape: int) -> NDArray[np.uint8]:
    """Slow waves, each image and colour with its own."""
    n, y, x, *colour = np.indices((count, *shape), np.float32, sparse=True)
    phase = 0.7 * n + (2.0 * colour[0] if colour else 0.0)
    waves = np.sin(x / 40.0 + phase) * np.cos(y / 50.0 - phase)
    made: NDArray[np.uint8] = (127.5 + 100.0 * waves).astype(np.uint8)
    return made
