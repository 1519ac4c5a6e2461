"""Freed memory stays with the process, ready for the next array."""

from __future__ import annotations

from functools import cache

import numpy as np

_BYTES = 24 << 20


@cache
def keep_freed() -> None:
    """Have the C library keep freed memory instead of handing it back to the system at once.

    A chain of stages takes and frees arrays of some hundred kilobytes thousands of times a second. The GNU C
    library gives such memory back, and taking it again costs a page fault for every 4 KiB of it: a sixth of
    the time of small images. It stops doing so for arrays up to the size of the largest that was ever freed;
    so one is taken here, never touched, and freed. Other C libraries do not mind.
    """
    np.empty(_BYTES, np.uint8)
