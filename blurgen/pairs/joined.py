"""Datasets that lie in several files, one behind the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class JoinedColumn:
    """Columns of several files behind one another, indexed like one array; rows of several are copied.

    Parameters
    ----------
    columns : sequence of arrays
        Of equal dtype and shape of a row; at least one.

    Attributes
    ----------
    dtype, shape
        As of an array.
    """

    def __init__(self, columns: Sequence[Any]) -> None:
        self._columns = columns
        self._edges = np.cumsum([0, *(len(column) for column in columns)])
        self.dtype: np.dtype[Any] = columns[0].dtype
        self.shape: tuple[int, ...] = (int(self._edges[-1]), *columns[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple) and key and isinstance(key[0], int | np.integer | slice):
            first, *others = key
            rows = self[first]
            return rows[:, *others] if isinstance(first, slice) else rows[tuple(others)]
        if isinstance(key, tuple) or key is None or key is Ellipsis:
            return np.asarray(self)[key]
        if isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise IndexError(f"row {key} of {len(self)}")
            row = int(key) % len(self)
            place = int(np.searchsorted(self._edges, row, side="right")) - 1
            return self._columns[place][row - int(self._edges[place])]
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            return self._range(start, stop) if step == 1 else self._rows(np.arange(start, stop, step))
        rows = np.asarray(key) if np.size(key) else np.empty(np.shape(key), np.int64)
        if rows.dtype == bool:
            if rows.shape != self.shape[:1]:
                raise IndexError(f"a mask of {rows.shape} for {len(self)} rows")
            rows = np.flatnonzero(rows)
        return self._rows(rows)

    def _range(self, start: int, stop: int) -> NDArray[Any]:
        parts = [
            column[max(start - first, 0) : stop - first]
            for column, first, last in zip(self._columns, self._edges, self._edges[1:], strict=False)
            if start < last and first < stop
        ]
        if len(parts) == 1:
            return np.asarray(parts[0])
        return np.concatenate(parts) if parts else np.empty((0, *self.shape[1:]), self.dtype)

    def _rows(self, rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        if rows.size and not (-len(self) <= rows.min() and rows.max() < len(self)):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(self)}")
        rows = np.where(rows < 0, rows + len(self), rows)
        found = np.empty((*rows.shape, *self.shape[1:]), self.dtype)
        places = np.searchsorted(self._edges, rows, side="right") - 1
        for place in np.unique(places):
            here = places == place
            found[here] = self._columns[place][rows[here] - self._edges[place]]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self._range(0, len(self)), dtype, copy=copy)
