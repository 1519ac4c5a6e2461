"""
Printed pages
=============

Cut-outs of pages, drawn without end, and the blur of Hradiš et al. (2015): defocus, camera shake and noise,
with which their network learned to read what cameras had blurred.
"""

import matplotlib.pyplot as plt
import numpy as np

import blurgen

pages = blurgen.open_source("text", size=128, seed=2).read(0, 5)
pairs = blurgen.degrade(pages, "text-hradis2015", seed=3)
plt.figure(figsize=(9, 3.8))
plt.imshow(np.vstack([np.hstack(list(rows[..., 0])) for rows in (pairs.sharp, pairs.blurred)]), cmap="gray")
plt.axis("off")

# %%
# The PSFs that did it
# --------------------
# A recipe renders the PSF of a sample from what was drawn for it, without any image.

recipe = blurgen.load_recipe("text-hradis2015")
psfs = recipe.psfs(pairs.params, recipe.draws(3, np.arange(len(pages))))
plt.figure(figsize=(9, 2))
plt.imshow(np.hstack([psf / psf.max() for psf in psfs]), cmap="gray")
plt.axis("off")
print(psfs.shape, psfs.sum(axis=(1, 2)))

# %%
# Which were drawn
# ----------------

for name, column in pairs.params.items():
    print(f"{name:45}", np.round(column.astype(float), 2))
