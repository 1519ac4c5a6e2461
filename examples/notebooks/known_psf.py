"""
Restoring with a known PSF
==========================

Who knows the PSF need not train: Wiener's filter and Richardson–Lucy undo what can be undone. They are what a network
is measured against, and they show how much a PSF that is a little wrong costs.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import richardson_lucy, wiener

import blurgen

sharp = blurgen.open_source("plates", seed=3).read(0, 1)[..., 1] / np.float32(255)
psf = blurgen.psf.camera_shake(length=25, exposure=1, seed=1, index=3).astype(np.float32)
blurred = blurgen.convolve(sharp, psf)[0]
noisy = (blurred + np.random.default_rng(0).normal(0, 0.005, blurred.shape)).astype(np.float32)

# %%
# With the PSF, and with the same upside down
# -------------------------------------------
# The second is what one gets from a library that correlates where it should convolve.

restored = {
    "blurred": noisy,
    "Wiener": wiener(noisy, psf, 0.003),
    "Richardson–Lucy, 40 steps": richardson_lucy(noisy, psf, 40),
    "Wiener, PSF upside down": wiener(noisy, psf[::-1, ::-1], 0.003),
}
figure, panels = plt.subplots(2, 2, figsize=(9, 3.8), layout="constrained")
for panel, (name, image) in zip(panels.flat, restored.items(), strict=True):
    score = peak_signal_noise_ratio(sharp[0], np.clip(image, 0, 1), data_range=1)
    panel.imshow(image, cmap="gray", vmin=0, vmax=1)
    panel.set_title(f"{name}: {score:.1f} dB")
    panel.set_axis_off()

# %%
# How wrong may a PSF be?
# -----------------------

angles = np.arange(-20, 21, 4)
motion = blurgen.psf.motion(15, 30).astype(np.float32)
moved = blurgen.convolve(sharp, motion)[0]
moved += np.random.default_rng(1).normal(0, 0.005, moved.shape).astype(np.float32)
scores = [
    peak_signal_noise_ratio(
        sharp[0], np.clip(wiener(moved, blurgen.psf.motion(15, 30 + angle), 0.003), 0, 1), data_range=1
    )
    for angle in angles
]
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(angles, scores, "o-", color="#2c5f86", label="Wiener")
axes.axhline(
    peak_signal_noise_ratio(sharp[0], moved, data_range=1), color="0.5", linestyle="--", label="doing nothing"
)
axes.set_xlabel("error of the angle, degrees")
axes.set_ylabel("PSNR, dB")
axes.legend()
axes.grid(alpha=0.3)
