"""Noise, beside NumPy and OpenCV."""

from __future__ import annotations

import numpy as np

from benchmarks.contestants import noises
from benchmarks.groups import Options
from benchmarks.report import Table, race_columns
from benchmarks.timing import race
from benchmarks.work import Work, noise_images

_SIGMA = 20.0
_PEAKS = (10.0, 1000.0)


def noise(options: Options) -> Table:
    """Gaussian and Poisson noise on bytes."""
    table = Table("noise", "noise on bytes, small gray images and colour ones", race_columns("values"))
    cases = (
        ("28×28", noise_images(100 if options.quick else 4000, 28, 28)),
        ("256×256×3", noise_images(2 if options.quick else 16, 256, 256, 3)),
    )
    for name, images in cases:
        work = Work(images, np.ones((len(images), 1, 1), np.float32))
        for threads in options.threads:
            results = race(
                noises.stage(work, threads, "gaussian_noise", {"sigma": _SIGMA}),
                [
                    noises.numpy_normal(work, threads, _SIGMA),
                    noises.opencv_normal(work, threads, _SIGMA),
                ],
                rounds=options.rounds,
                sample_seconds=options.sample_seconds,
            )
            floors = {} if options.quick else {noises.NUMPY_NORMAL: 3.0}
            case = f"Gaussian, σ {_SIGMA:g}, {name}"
            table.add_race(case, threads, results, floor=None, named_floors=floors)
        for peak in _PEAKS:
            gain = 255.0 / peak
            for threads in options.threads:
                results = race(
                    noises.stage(work, threads, "poisson_gaussian_noise", {"gain": gain}),
                    [noises.numpy_poisson(work, threads, gain)],
                    rounds=options.rounds,
                    sample_seconds=options.sample_seconds,
                )
                case = f"Poisson, {peak:g} electrons at white, {name}"
                floors = {} if options.quick else {noises.NUMPY_POISSON: 1.0}
                table.add_race(case, threads, results, floor=None, named_floors=floors)
    table.notes.append("Everybody draws numbers of its own: results are not compared here, but in the tests.")
    return table
