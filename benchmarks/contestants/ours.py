"""blurgen itself."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

import blurgen
from benchmarks.timing import Contestant, Way
from benchmarks.work import Work


def convolve(work: Work, threads: int, psf: NDArray[Any] | None = None) -> Contestant:
    """``blurgen.convolve`` of all images at once; `psf`, where given, is one for all."""
    psfs = work.psfs if psf is None else psf

    def run() -> NDArray[Any]:
        return blurgen.convolve(work.images, psfs, threads=threads)

    return Contestant("**blurgen.convolve**", len(work), (Way("one call", run),))
