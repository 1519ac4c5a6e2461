"""How every loop is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def exact(function: F) -> F:
    """Compile with strict IEEE arithmetic: the same bits on every processor."""
    return cast(F, numba.njit(function, cache=True, nogil=True, error_model="numpy"))


def any_order(function: F) -> F:
    """Compile a loop whose sums may be taken in any order: for checks, never for what is written."""
    return cast(F, numba.njit(function, cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"}))


def in_llvm(function: Callable[..., Any]) -> Any:
    """A function whose body is written in LLVM's own terms."""
    return intrinsic(function)
