"""The groups of measurements: each is a function from `Options` to a `Table`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes
    ----------
    quick : bool
        Small sizes, to see that all of it works; floors are not compared.
    threads : tuple of int
        How many threads everybody has, one race for each.
    rounds : int
        How many turns every contestant has.
    """

    quick: bool = False
    threads: tuple[int, ...] = (1, 2)
    rounds: int = 7

    @property
    def sample_seconds(self) -> float:
        """How long a turn lasts at least: short runs are repeated."""
        return 0.0 if self.quick else 0.05

    def floor(self, value: float) -> float | None:
        """A floor, where figures mean something."""
        return None if self.quick else value
