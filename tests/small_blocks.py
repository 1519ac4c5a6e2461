"""A source of 31 small images whose file of 62 pairs has 21 blocks, for what is made in shards and parts."""

from contextlib import contextmanager

import numpy as np
import pytest

from blurgen import maker
from blurgen.errors import SourceError
from blurgen.pairs import format as pair_format
from blurgen.recipe import Recipe
from blurgen.sources.memory import MemorySource

RECIPE = Recipe.from_yaml(
    "name: shards\ncopies: 2\nstages: [motion: {length: {uniform: [3, 5]}, angle: {uniform: [0, 180]}}]"
)
IMAGES = np.random.default_rng(3).integers(1, 256, (31, 10, 10, 1), dtype=np.uint8)
SOURCE = MemorySource("some", {}, IMAGES)
COUNT, BLOCK = 62, 3  # 21 blocks, the last of two rows


class Failing(MemorySource):
    """Gives up after a number of reads."""

    reads = 10**9

    def _read(self, start, stop):
        self.reads -= 1
        if self.reads < 0:
            raise SourceError("interrupted")
        return super()._read(start, stop)


@contextmanager
def small_blocks():
    """Blocks of three rows, two of which a thread takes at a time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pair_format, "_BLOCK_BYTES", BLOCK * 100)
        patched.setattr(maker, "_CHUNK_BYTES", BLOCK * 200)
        yield patched
