"""
A kernel of one's own
=====================

A PSF that was measured, drawn by hand or made by another program: any two-dimensional array will do.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import blurgen

# a camera that was set down: it falls, bounces, and comes to rest
time = np.linspace(0, 1, 400)
x, y = 12 * time, 9 * np.abs(np.cos(9 * time)) * (1 - time)
psf, *_ = np.histogram2d(y, x, bins=(19, 25), range=((-5, 14), (-6, 19)))
plt.figure(figsize=(3, 2.4))
plt.imshow(psf, cmap="gray")
plt.axis("off")

# %%
# Ready for use
# -------------
# From a file it comes with sum 1, and centred: its centroid lies on the middle pixel.

folder = Path(tempfile.mkdtemp())
np.save(folder / "bounce.npy", psf)
ready = blurgen.psf.load_psfs(folder / "bounce.npy")
print(ready.shape, ready.sum())

# %%
# On images
# ---------

images = blurgen.open_source("plates", seed=5).read(0, 2)
blurred = blurgen.convolve(images, ready[0].astype(np.float32))
plt.figure(figsize=(9, 3))
plt.imshow(np.vstack([np.hstack(list(images)), np.hstack(list(blurred))]))
plt.axis("off")

# %%
# In a recipe
# -----------
# The recipe remembers the file's hash, and refuses another file of that name.

stages = [{"given": {"file": str(folder / "bounce.npy")}}, {"gaussian_noise": {"sigma": {"uniform": [0, 8]}}}]
recipe = blurgen.Recipe.from_dict({"name": "bounce", "stages": stages})
pairs = blurgen.degrade(images, recipe, seed=1)
print(pairs.params["1.gaussian_noise.sigma"])
