"""How every loop is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def exact(function: F) -> F:
    """Compile with strict IEEE arithmetic: the same bits on every processor."""
    return cast(F, numba.njit(function, cache=True, nogil=True, error_model="numpy"))


def fused(function: F) -> F:
    """Compile allowing a multiply and an add to become one fused operation, and nothing else.

    The loops so compiled accumulate ``a += w·x`` element by element, so that there is one way only to
    fuse them, whatever the width of the processor's vectors.
    """
    return cast(F, numba.njit(function, cache=True, nogil=True, error_model="numpy", fastmath={"contract"}))
