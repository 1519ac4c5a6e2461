"""Convolution, beside every library that can do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

import blurgen
from benchmarks.contestants import albums, opencv, ours, pytorch, scientific
from benchmarks.groups import Options
from benchmarks.report import Table, digits, grouped, race_columns
from benchmarks.timing import Contestant, race
from benchmarks.work import Work, motion_psfs, noise_images, shake_psfs
from benchmarks.work import digits as drawn_digits

Entries = Callable[[Work, int], Sequence[Contestant]]

_FIRST = (
    "Not counted above: by how many seconds blurgen's first run in this process was longer than later ones "
    "(Numba compiles, or loads what it compiled before):"
)


def small(options: Options) -> Table:
    """28×28 gray, a motion PSF for each image."""
    count = 400 if options.quick else 8000
    images, psfs = drawn_digits(count), motion_psfs(count, 4.0, 6.0)
    table = Table(
        "small",
        f"{grouped(count)} images 28×28 gray, a motion PSF of length 4–6 for each, bytes to bytes",
        race_columns("images"),
    )
    sizes = (32, 128) if options.quick else (16, 64, 256, 1000, 4000)

    def entries(work: Work, threads: int) -> list[Contestant]:
        return [
            opencv.filter2d(work, threads),
            scientific.ndimage_convolve(work, threads),
            pytorch.conv2d(work, threads, sizes),
            pytorch.kornia_filter2d(work, threads, sizes),
            pytorch.deepinv_conv2d(work, threads, sizes),
            albums.motion_blur(work, threads, (3, 7)),
        ]

    named = {} if options.quick else {albums.NAME: 100.0}
    for case, by_size in (("as drawn", False), ("sorted by PSF size", True)):
        _convolve(table, options, case, Work(images, psfs, by_size=by_size), entries, 8.0, named)
    table.notes.append(
        "Sorted: images and PSFs were put beforehand, not timed, into the order of the PSFs' sizes. "
        "Libraries that need one size for a batch so get by with smaller ones."
    )
    table.notes.append(albums.NOTE.format(sizes="3 to 7"))
    return table


def colour(options: Options) -> Table:
    """256×256×3, a motion PSF for each image."""
    count, size = (4, 64) if options.quick else (48, 256)
    work = Work(noise_images(count, size, size, 3), motion_psfs(count, 5.0, 31.0))
    table = Table(
        "colour",
        f"{count} images {size}×{size}×3, a motion PSF of length 5–31 for each, sorted by it, bytes to bytes",
        race_columns("images"),
    )
    sizes = (1, 4) if options.quick else (1, 4, 16)

    def entries(work: Work, threads: int) -> list[Contestant]:
        return [
            opencv.filter2d(work, threads),
            scientific.ndimage_convolve(work, threads),
            scientific.scipy_fft(work, threads),
            pytorch.conv2d(work, threads, sizes),
            pytorch.torch_fft(work, threads, sizes),
            pytorch.kornia_filter2d(work, threads, sizes),
            pytorch.deepinv_conv2d(work, threads, sizes),
            albums.motion_blur(work, threads, (5, 31)),
        ]

    _convolve(table, options, f"{size}×{size}×3", work, entries, 10.0)
    table.notes.append(albums.NOTE.format(sizes="5 to 31"))
    return table


def shake(options: Options) -> Table:
    """Camera-shake PSFs on gray photographs."""
    psfs, origin = shake_psfs()
    shapes = [(128, 160)] if options.quick else [(512, 512), (720, 1280)]
    table = Table("shake", f"{origin}, an image for each, gray, bytes to bytes", race_columns("images"))
    taps = ", ".join(str(np.count_nonzero(psf)) for psf in psfs)
    table.notes.append(f"Taps: {taps}.")
    for height, width in shapes:
        work = Work(noise_images(len(psfs), height, width), psfs)
        _convolve(table, options, f"{width}×{height}", work, _large, 4.0)
    return table


def dense(options: Options) -> Table:
    """A large PSF without structure."""
    size, height, width = (31, 96, 128) if options.quick else (101, 720, 1280)
    table = Table(
        "dense",
        f"a random PSF of {size}×{size} taps on {width}×{height} gray, bytes to bytes",
        race_columns("images"),
    )
    for count, case in ((1, "one image"), (2, "two images, two PSFs")):
        psfs = np.random.default_rng(3).random((count, size, size), np.float32)
        psfs /= psfs.sum(axis=(1, 2), keepdims=True)
        work = Work(noise_images(count, height, width), psfs)
        _convolve(table, options, case, work, _large, 2.0)
    return table


def _large(work: Work, threads: int) -> list[Contestant]:
    sizes = (1, len(work))
    return [
        opencv.filter2d(work, threads),
        scientific.fftconvolve(work, threads),
        scientific.scipy_fft(work, threads),
        pytorch.conv2d(work, threads, sizes),
        pytorch.torch_fft(work, threads, sizes),
    ]


def smooth(options: Options) -> Table:
    """Gaussians and boxes, which every library has a special function for."""
    count, size = (2, 64) if options.quick else (8, 512)
    sigma, gaussian_size, box_size = 3.0, 25, 15
    table = Table(
        "smooth",
        f"one PSF for {count} images {size}×{size}×3: Gaussian of σ {sigma:g} in {gaussian_size}×"
        f"{gaussian_size}, box of {box_size}×{box_size}",
        race_columns("images"),
    )
    table.notes.append(
        "blurgen is given the PSF as an array and finds out that it is separable, or a box; bytes are for "
        "information. Floats may differ by 0.05 grey levels, the bytes of cv2.GaussianBlur by 2: it works "
        "with weights of 8 bits."
    )
    gaussian, box = blurgen.psf.gaussian(gaussian_size, sigma), blurgen.psf.box(box_size)
    sizes = (1, count)
    for kind, pixels in (("float32", np.float32), ("uint8", np.uint8)):
        images = noise_images(count, size, size, 3).astype(pixels)
        floor = 0.7 if pixels is np.float32 else None
        tolerance = 0.05 if pixels is np.float32 else 1.0
        for name, psf in (("Gaussian", gaussian), ("box", box)):
            weights = psf.astype(np.float32)
            work = Work(images, np.repeat(weights[None], count, axis=0))

            def entries(work: Work, threads: int, name: str = name) -> list[Contestant]:
                if name == "box":
                    return [
                        opencv.box_blur(work, threads, box_size),
                        scientific.uniform_filter(work, threads, box_size),
                        pytorch.kornia_box(work, threads, box_size, sizes),
                    ]
                return [
                    opencv.gaussian_blur(work, threads, gaussian_size, sigma),
                    scientific.gaussian_filter(work, threads, gaussian_size, sigma),
                    pytorch.kornia_gaussian(work, threads, gaussian_size, sigma, sizes),
                ]

            for threads in options.threads:
                results = race(
                    ours.convolve(work, threads, psf),
                    entries(work, threads),
                    rounds=options.rounds,
                    sample_seconds=options.sample_seconds,
                    tolerance=tolerance,
                )
                wanted = None if floor is None else options.floor(floor)
                table.add_race(f"{name}, {kind}", threads, results, floor=wanted)
    _note_first(table)
    return table


def _convolve(
    table: Table,
    options: Options,
    case: str,
    work: Work,
    entries: Entries,
    floor: float,
    named_floors: dict[str, float] | None = None,
) -> None:
    for threads in options.threads:
        results = race(
            ours.convolve(work, threads),
            entries(work, threads),
            rounds=options.rounds,
            sample_seconds=options.sample_seconds,
        )
        table.add_race(case, threads, results, floor=options.floor(floor), named_floors=named_floors)
    _note_first(table)


def _note_first(table: Table) -> None:
    """Say once how much longer blurgen's first run of each race took."""
    table.notes = [note for note in table.notes if not note.startswith(_FIRST)]
    extra = [
        f"{record['case']}, {record['threads']} threads: {digits(record['compile_seconds'])}"
        for record in table.records
        if record["library"].startswith("blurgen")
    ]
    table.notes.append(f"{_FIRST} {'; '.join(extra)}.")
