"""A cache of arrays that threads share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ArrayCache:
    """The arrays used last, up to a number of bytes; each is made once however many threads ask.

    Parameters
    ----------
    limit : int
        Bytes that are kept. The newest array is kept even if it alone is larger.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, Future[NDArray[Any]]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Give the array of `key`, calling `make` if nobody has; it is not to be written to."""
        with self._lock:
            entry = self._entries.get(key)
            is_mine = entry is None
            if entry is None:
                entry = self._entries[key] = Future()
            else:
                self._entries.move_to_end(key)
        if not is_mine:
            return entry.result()
        try:
            array = make()
        except BaseException as error:
            with self._lock:
                del self._entries[key]
            entry.set_exception(error)
            raise
        with self._lock:
            self._size += array.nbytes
            entry.set_result(array)
            self._shrink(key)
        return array

    def _shrink(self, newest: Hashable) -> None:
        for key in list(self._entries):
            if self._size <= self._limit:
                return
            entry = self._entries[key]
            if key != newest and entry.done():
                self._size -= entry.result().nbytes
                del self._entries[key]
