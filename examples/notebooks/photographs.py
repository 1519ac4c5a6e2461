"""
Photographs
===========

A folder of photographs becomes patches, and patches become pairs. Here drawn shapes, saved as PNGs, stand
for the photographs: put your own folder in their place.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import blurgen

folder = Path(tempfile.mkdtemp())
for number, image in enumerate(blurgen.open_source("shapes", size=256, seed=4).read(0, 3)):
    Image.fromarray(image).save(folder / f"{number}.png")

# %%
# Patches
# -------

source = blurgen.open_source(f"folder:{folder}", patch=128, stride=64)
print(source.length, "patches of", source.shape)

# %%
# Pairs
# -----
# ``realistic`` blurs in linear light, by shake, motion or defocus, and adds a camera's noise and JPEG.

out = blurgen.make(source, folder / "pairs.h5", "realistic", copies=2, seed=1)
pairs = blurgen.open_pairs(out)
rows = range(0, len(pairs), 10)
plt.figure(figsize=(9, 3.6))
plt.imshow(np.vstack([np.hstack([half[row] for row in rows]) for half in (pairs.sharp, pairs.blurred)]))
plt.axis("off")

# %%
# How far each is from its sharp image
# ------------------------------------

errors = ((pairs.sharp[:].astype(float) - pairs.blurred[:]) ** 2).mean(axis=(1, 2, 3))
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.hist(10 * np.log10(255**2 / errors), bins=15, color="#2c5f86")
axes.set_xlabel("PSNR of blurred against sharp, dB")
axes.set_ylabel("pairs")
