"""
Averaged frames, as GoPro has them
==================================

The GoPro data set averages consecutive frames of a fast camera: their mean is the blurred image, the middle
one the sharp image. Here the film is drawn, a camera that wanders over a scene; ``video:clip.mp4`` takes a
real one.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import blurgen

scene = blurgen.open_source("shapes", size=256, seed=6).read(0, 1)[0]
path = 20 + np.cumsum(np.stack([1 + np.sin(np.arange(60) / 9), 0.6 + np.cos(np.arange(60) / 7)], 1), axis=0)
folder = Path(tempfile.mkdtemp())
for number, (x, y) in enumerate(path.round().astype(int)):
    Image.fromarray(scene[y : y + 96, x : x + 128]).save(folder / f"{number:03}.png")

# %%
# Windows of seven to thirteen frames
# -----------------------------------
# Frames are averaged as light: bytes go through the camera's curve first, and back after.

source = blurgen.open_source(f"frames:{folder}", window="7-13", curve="gamma")
print(source.length, "windows of", source.shape)
pairs = blurgen.open_pairs(blurgen.make(source, folder / "pairs.h5", "gopro"))
plt.figure(figsize=(9, 4))
plt.imshow(np.vstack([np.hstack(list(half[:4])) for half in (pairs.sharp, pairs.blurred)]))
plt.axis("off")
