"""Checks of arguments that several modules make."""

from __future__ import annotations

import numpy as np

from blurgen.errors import InputError


def checked_whole(name: str, value: object, least: int, most: int) -> int:
    """`value` as an int.

    Raises
    ------
    InputError
        If it is no whole number from `least` to `most`.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise InputError(f"{name} {value!r}: a whole number from {least} to {most} is needed")
    return int(value)
