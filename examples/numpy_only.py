"""Blur arrays with nothing but NumPy at hand: no PyTorch is imported, no file is written.

Every parameter that was drawn comes back with the images, and each pair can be made again by itself from its
seed and its index.
"""

from __future__ import annotations

import numpy as np

import blurgen


def main() -> None:
    """Blur drawn digits, tell how, and make one of them again."""
    images = blurgen.open_source("digits", seed=1).read(0, 8)  # any uint8 (B, H, W) or (B, H, W, C)
    pairs = blurgen.degrade(images, "mnist-motion", seed=7)
    print(f"{len(pairs)} pairs of {pairs.blurred.shape[1:]}, {pairs.blurred.dtype}")
    for number in range(len(pairs)):
        length, angle = (pairs.params[f"1.motion.{name}"][number] for name in ("length", "angle"))
        print(f"pair {number}: moved {length:.2f} pixels at {angle:.0f}°")

    again = blurgen.degrade(images[5:6], "mnist-motion", seed=7, start=5)
    print(
        f"pair 5 made alone: {'the same' if np.array_equal(again.blurred[0], pairs.blurred[5]) else 'other'}"
    )

    kernel = blurgen.psf.motion(9, 30)  # a PSF by itself, and what it does
    blurred = blurgen.convolve(images, kernel)
    print(f"a motion of 9 pixels: PSF {kernel.shape}, sum {kernel.sum():.3f}, images {blurred.shape}")


if __name__ == "__main__":
    main()
