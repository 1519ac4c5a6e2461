"""Shards: the parts of a file's rows that several processes or hosts make."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from blurgen.checks import checked_whole
from blurgen.errors import InputError

if TYPE_CHECKING:
    from blurgen.pairs.format import Header

_MOST = 1_000_000


class Shard(NamedTuple):
    """One of several nearly equal shares of the blocks of a file, in their order.

    Attributes
    ----------
    number : int
        Which one, counted from 1.
    of : int
        How many there are.
    """

    number: int
    of: int

    def rows(self, header: Header) -> tuple[int, int]:
        """Its rows (start, stop); none where there are more shards than blocks."""
        first, last = (header.blocks * share // self.of for share in (self.number - 1, self.number))
        return min(first * header.block_rows, header.count), min(last * header.block_rows, header.count)

    def __str__(self) -> str:
        """As it is given on the command line."""
        return f"{self.number}/{self.of}"


def checked_shard(shard: tuple[int, int]) -> Shard:
    """(number, of) as a shard.

    Raises
    ------
    InputError
        If these are no whole numbers from 1 on, or the first is more than the second.
    """
    try:
        number, of = shard
    except (TypeError, ValueError):
        raise InputError(f"shard {shard!r}: which one and of how many is needed, such as (3, 16)") from None
    of = checked_whole("number of shards", of, 1, _MOST)
    return Shard(checked_whole(f"shard of {of}", number, 1, of), of)
