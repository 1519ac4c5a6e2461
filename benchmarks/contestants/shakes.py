"""Camera-shake PSFs: blurgen's, the same law in NumPy, and deepinv's generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import installed
from benchmarks.timing import Contestant, Way, in_parts
from blurgen.draws import Draws
from blurgen.psf.camera_shake import PUBLISHED, camera_shake_batch, shake_size
from blurgen.psf.gp_shake import gp_shake_batch

STEPS = 2000
LENGTH = 60.0
SIZE = shake_size(LENGTH, 1.0, STEPS)
NUMPY = "NumPy, vectorised over the batch"
DEEPINV = "deepinv MotionBlurGenerator"

Stack = NDArray[np.float32]


def hand_held(count: int, threads: int, batch: int = 1000) -> Contestant:
    """``blurgen.psf.camera_shake_batch`` with its parameters drawn by the published law, wholly exposed."""
    return _shared("**blurgen camera_shake**", count, threads, _draw_hand_held, SIZE, [batch])


def _draw_hand_held(start: int, stop: int) -> Stack:
    draws = Draws(1, np.arange(start, stop)).stage(0)
    columns = {name: law.sample(draws, place) for place, (name, law) in enumerate(PUBLISHED.items())}
    columns["exposure"] = np.ones(stop - start)
    return camera_shake_batch(columns, draws, SIZE, STEPS)


def numpy_hand_held(count: int, threads: int, batches: Sequence[int]) -> Contestant:
    """The law of Boracchi and Foi, a loop over steps of whole batches, spread by ``numpy.bincount``."""
    return _shared(NUMPY, count, threads, _numpy_hand_held, SIZE, batches, checked=False)


def _numpy_hand_held(start: int, stop: int) -> Stack:
    rng = np.random.default_rng(start)
    count = stop - start
    centripetal, impulses = 0.7 * rng.random(count), 0.2 * rng.random(count)
    gaussian = 10.0 * rng.random(count)
    anxiety = rng.choice([0.01, 0.009, 0.008, 0.007, 0.005, 0.003], count)
    d = LENGTH / (STEPS - 1)
    v = anxiety * np.exp(2j * math.pi * rng.random(count))
    x = np.zeros((STEPS, count), np.complex128)
    noise = rng.standard_normal((STEPS - 1, count, 2)).view(np.complex128)[..., 0]
    struck = rng.random((STEPS - 1, count)) < impulses * anxiety
    random, pull = anxiety * gaussian * d, anxiety * centripetal * d
    for t in range(STEPS - 1):
        change = random * noise[t] - pull * x[t]
        if struck[t].any():
            who = np.flatnonzero(struck[t])
            change[who] += 2.0 * v[who] * np.exp(1j * (math.pi + rng.random(who.size) - 0.5))
        v = v + change
        v *= d / np.abs(v)
        x[t + 1] = x[t] + v
    x -= x.mean(axis=0) - (SIZE // 2) * (1 + 1j)
    left, top = x.real.astype(np.int64), x.imag.astype(np.int64)
    right, down = x.real - left, x.imag - top
    at = (np.arange(count) * SIZE + top) * SIZE + left
    room = count * SIZE * SIZE
    out = np.zeros(room)
    for step, share in (
        (0, (1.0 - right) * (1.0 - down)),
        (1, right * (1.0 - down)),
        (SIZE, (1.0 - right) * down),
        (SIZE + 1, right * down),
    ):
        out += np.bincount((at + step).ravel(), share.ravel(), room)
    return (out.reshape(count, SIZE, SIZE) / STEPS).astype(np.float32)


def gaussian_process(count: int, threads: int, size: int, batch: int = 1000) -> Contestant:
    """``blurgen.psf.gp_shake_batch`` with deepinv's numbers."""

    def draw(start: int, stop: int) -> Stack:
        some = stop - start
        draws = Draws(1, np.arange(start, stop)).stage(0)
        sizes = np.full(some, size)
        return gp_shake_batch(sizes, np.full(some, 0.3), np.full(some, 0.25), draws, size)

    return _shared("**blurgen gp_shake**", count, threads, draw, size, [batch])


def deepinv_generator(count: int, threads: int, size: int, batches: Sequence[int]) -> Contestant:
    """``deepinv.physics.generator.MotionBlurGenerator`` on the processor, torch with all the threads."""
    if not installed("deepinv"):
        return Contestant(DEEPINV, count, (), missing="not installed")
    generator = import_module("deepinv.physics.generator").MotionBlurGenerator(psf_size=(size, size))

    def way(batch: int) -> Way:
        def run() -> Stack:
            made = [
                generator.step(min(batch, count - n))["filter"][:, 0].numpy() for n in range(0, count, batch)
            ]
            return np.concatenate(made)

        return Way(f"batches of {batch}", run, threads)

    return Contestant(DEEPINV, count, tuple(way(batch) for batch in batches), checked=False)


def _shared(
    name: str,
    count: int,
    threads: int,
    draw: Callable[[int, int], Stack],
    size: int,
    batches: Sequence[int],
    *,
    checked: bool = True,
) -> Contestant:
    """A contestant that draws `count` PSFs in batches, shared among threads."""

    def way(batch: int) -> Way:
        def run() -> Stack:
            out = np.empty((count, size, size), np.float32)
            starts = range(0, count, batch)

            def part(first: int, last: int) -> None:
                for start in starts[first:last]:
                    stop = min(count, start + batch)
                    out[start:stop] = draw(start, stop)

            if threads == 1:
                part(0, len(starts))
            else:
                in_parts(part, len(starts), threads)
            return out

        return Way(f"batches of {batch}", run)

    return Contestant(name, count, tuple(way(batch) for batch in batches), checked=checked)
