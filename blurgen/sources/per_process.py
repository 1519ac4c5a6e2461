"""Values that every process must make for itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value made at first use, once in each process.

    File handles, locks and thread pools neither survive a fork nor pickle; held through this, they are
    simply made again.

    Parameters
    ----------
    make : callable
        Makes the value; has to pickle if the holder is to.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._held: tuple[int, T] | None = None
        self._lock = threading.Lock()

    def get(self) -> T:
        """Give this process's value."""
        held = self._held
        if held is None or held[0] != os.getpid():
            with self._lock:
                held = self._held
                if held is None or held[0] != os.getpid():
                    held = self._held = (os.getpid(), self._make())
        return held[1]

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_make"])  # type: ignore[misc]
