"""The LZF compression that HDF5's filter of that name undoes (Marc Lehmann's format)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blurgen.loops.jit import exact

_HASH_BITS = 14
_FARTHEST = 1 << 13
_LONGEST = 264
_LITERALS = 32


@exact
def compress(source: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:
    """Compress into `out`, which has room for ``n + n // 32 + 4`` bytes; how many were written.

    A control byte below 32 announces that many literals and one more. Any other begins a copy of what came
    before: 3 bits for the length less 2 (7: one more byte adds to it), 13 bits for the distance less 1.
    """
    n = source.size
    seen = np.full(1 << _HASH_BITS, -1, np.int64)
    at, to, literals = 0, 1, 0  # out[to − literals − 1] is kept for the literals' control byte
    while at < n:
        copied = 0
        if at + 2 < n:
            three = (int(source[at]) << 16) | (int(source[at + 1]) << 8) | int(source[at + 2])
            slot = ((three * 2654435761) & 0xFFFFFFFF) >> (32 - _HASH_BITS)
            before, seen[slot] = seen[slot], at
            if before >= 0 and at - before <= _FARTHEST:
                most = min(_LONGEST, n - at)
                while copied < most and source[before + copied] == source[at + copied]:
                    copied += 1
        if copied < 3:
            out[to] = source[at]
            at, to, literals = at + 1, to + 1, literals + 1
            if literals == _LITERALS:
                out[to - _LITERALS - 1] = _LITERALS - 1
                to, literals = to + 1, 0
            continue
        if literals > 0:
            out[to - literals - 1] = literals - 1
        else:
            to -= 1
        distance, length = at - before - 1, copied - 2
        if length < 7:
            out[to] = (distance >> 8) | (length << 5)
        else:
            out[to] = (distance >> 8) | (7 << 5)
            to += 1
            out[to] = length - 7
        out[to + 1] = distance & 255
        at, to, literals = at + copied, to + 3, 0
    if literals > 0:
        out[to - literals - 1] = literals - 1
        return to
    return to - 1
