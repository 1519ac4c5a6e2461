"""Whole chains, from bytes to bytes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import blurgen
from benchmarks.contestants import chains, plates
from benchmarks.groups import Options
from benchmarks.report import Table, grouped, race_columns
from benchmarks.timing import race
from benchmarks.work import Work, motion_psfs
from benchmarks.work import digits as drawn_digits
from blurgen.stages.base import ImagePair

_SIGMA, _QUALITY = 8.0, 60


def chain(options: Options) -> Table:
    """Motion blur, Gaussian noise and JPEG."""
    table = Table(
        "chain",
        f"a motion PSF an image, Gaussian noise of σ {_SIGMA:g}, JPEG of quality {_QUALITY}, bytes to bytes",
        race_columns("images"),
    )
    count = 200 if options.quick else 4000
    small = Work(drawn_digits(count), motion_psfs(count, 4.0, 6.0))
    few, size = (2, 64) if options.quick else (16, 256)
    leaves = blurgen.open_source("shapes", size=size).read(0, few)
    large = Work(leaves, motion_psfs(few, 5.0, 31.0))
    for case, work, lengths, sizes, floors in (
        ("28×28 gray, length 4–6", small, [4, 6], (3, 7), (12.0, 60.0)),
        (f"{size}×{size}×3, length 5–31", large, [5, 31], (5, 31), (5.0, 5.0)),
    ):
        recipe = blurgen.Recipe.from_dict(
            {
                "name": "chain",
                "stages": [
                    {"motion": {"length": {"uniform": lengths}, "angle": {"uniform": [0, 360]}}},
                    {"gaussian_noise": {"sigma": _SIGMA}},
                    {"jpeg": {"quality": _QUALITY}},
                ],
            }
        )
        named = {chains.CV2: floors[0], chains.ALBUMENTATIONS: floors[1]}
        for threads in options.threads:
            others = [
                chains.opencv(work, threads, _SIGMA, _QUALITY),
                chains.albumentations(work, threads, sizes, _SIGMA, _QUALITY),
            ]
            results = race(
                chains.ours(work, threads, recipe),
                others,
                rounds=options.rounds,
                sample_seconds=options.sample_seconds,
            )
            wanted = {} if options.quick else named
            table.add_race(case, threads, results, floor=None, named_floors=wanted)
        table.notes.append(f"{case}: {_parts_of(recipe, work.images)}.")
    table.notes.append(
        "Each draws its own noise, so results are not compared; cv2 is given its PSFs ready, blurgen draws "
        "and renders them."
    )
    return table


def plate_chain(options: Options) -> Table:
    """The plates recipe on drawn plates."""
    count = 8 if options.quick else 96
    images = blurgen.open_source("plates").read(0, count)
    table = Table(
        "plates",
        f"the plates recipe on {grouped(count)} images of 270×90×3, bytes to bytes",
        race_columns("images"),
    )
    work = Work(images, np.ones((count, 1, 1), np.float32), by_size=False)
    recipe = blurgen.load_recipe("plates")
    for threads in options.threads:
        results = race(
            chains.ours(work, threads, recipe),
            [plates.opencv(work, threads)],
            rounds=options.rounds,
            sample_seconds=options.sample_seconds,
        )
        wanted = {} if options.quick else {plates.NAME: 2.0}
        table.add_race("270×90×3", threads, results, floor=None, named_floors=wanted)
    main = recipe.stages[0].orders[0]
    first = blurgen.Recipe(name="main", stages=tuple(main))
    table.notes.append(f"The main branch: {_parts_of(first, images)}. Nothing of it is OpenCV's.")
    table.notes.append("The loop runs the main branch, 88 % of the recipe, on every image.")
    return table


def _parts_of(recipe: blurgen.Recipe, images: Any) -> str:
    """What each stage takes on one thread, a few images at a time, as `degrade` hands them on."""
    batch = images if images.ndim == 4 else images[..., None]
    rows = max(1, (1 << 19) // batch[0].nbytes)
    seconds = {"drawing": 0.0, **{stage.kind: 0.0 for stage in recipe.stages}}
    for _ in range(2):  # the first round is for the compiler
        seconds = dict.fromkeys(seconds, 0.0)
        for start in range(0, len(batch), rows):
            part = batch[start : start + rows]
            draws = recipe.draws(0, np.arange(start, start + len(part)))
            begun = time.perf_counter()
            params = recipe.sample(draws)
            seconds["drawing"] += time.perf_counter() - begun
            pair = ImagePair(part, part)
            for place, stage in enumerate(recipe.stages):
                prefix = f"{place}.{stage.kind}."
                own = {name[len(prefix) :]: c for name, c in params.items() if name.startswith(prefix)}
                begun = time.perf_counter()
                pair = stage.apply_pair(pair, own, draws.stage(place))
                seconds[stage.kind] += time.perf_counter() - begun
    return ", ".join(f"{name} {1e6 * spent / len(batch):.3g} µs" for name, spent in seconds.items())
