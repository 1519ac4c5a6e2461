"""
Restoring with a known PSF
==========================

Who knows the PSF need not train: Wiener's filter and Richardson–Lucy undo what can be undone. They are what
a network is measured against, and they show how much a PSF that is a little wrong costs.
"""

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import richardson_lucy, wiener

import blurgen

inside = np.s_[15:-15, 15:-15]


def score(image: NDArray[np.floating], sharp: NDArray[np.floating]) -> float:
    """PSNR in dB, without the border."""
    return float(peak_signal_noise_ratio(sharp[inside], np.clip(image, 0, 1)[inside], data_range=1))


sharp = blurgen.open_source("plates", seed=3).read(0, 1)[..., 1] / np.float32(255)
psf = blurgen.psf.camera_shake(length=25, exposure=1, seed=1, index=3).astype(np.float32)
blurred = blurgen.convolve(sharp, psf)[0]
noisy = (blurred + np.random.default_rng(0).normal(0, 0.005, blurred.shape)).astype(np.float32)

# %%
# With the PSF, and with the same upside down
# -------------------------------------------
# The last is what one gets from a library that correlates where it should convolve. Near the border nobody
# can know what light came in from outside; scores are those of the inside.

restored = {
    "blurred": noisy,
    "Wiener": wiener(noisy, psf, 0.003),
    "Richardson–Lucy, 40 steps": richardson_lucy(noisy, psf, 40),
    "Wiener, PSF upside down": wiener(noisy, psf[::-1, ::-1], 0.003),
}
figure, panels = plt.subplots(2, 2, figsize=(9, 3.8), layout="constrained")
for panel, (name, image) in zip(panels.flat, restored.items(), strict=True):
    panel.imshow(image, cmap="gray", vmin=0, vmax=1)
    panel.set_title(f"{name}: {score(image, sharp[0]):.1f} dB")
    panel.set_axis_off()

# %%
# How wrong may a PSF be?
# -----------------------

angles = range(-20, 21, 4)
motion = blurgen.psf.motion(15, 30).astype(np.float32)
moved = blurgen.convolve(sharp, motion)[0]
moved += np.random.default_rng(1).normal(0, 0.005, moved.shape).astype(np.float32)
scores = [score(wiener(moved, blurgen.psf.motion(15, 30 + angle), 0.003), sharp[0]) for angle in angles]
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(angles, scores, "o-", color="#2c5f86", label="Wiener")
axes.axhline(score(moved, sharp[0]), color="0.5", linestyle="--", label="doing nothing")
axes.set_xlabel("error of the angle, degrees")
axes.set_ylabel("PSNR, dB")
axes.legend()
axes.grid(alpha=0.3)
