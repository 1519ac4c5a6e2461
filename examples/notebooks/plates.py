"""
Licence plates
==============

Plates are drawn, with their texts as labels; the recipe `plates` sees them from aside, moves, shrinks and
darkens them. The sharp plate goes through the change of view, too: what a network shall give back is the
plate as the camera saw it, but sharp.
"""

import matplotlib.pyplot as plt
import numpy as np

import blurgen
from blurgen.sources.plates import text_of

source = blurgen.open_source("plates", seed=1)
images = source.read(0, 8)
print(images.shape, [text_of(label) for label in source.labels(0, 8)])

# %%
# Sharp on the left, blurred on the right
# ---------------------------------------

pairs = blurgen.degrade(images, "plates", seed=1)
left, right = np.vstack(list(pairs.sharp[:6])), np.vstack(list(pairs.blurred[:6]))
plt.figure(figsize=(6, 6))
plt.imshow(np.hstack([left, right]))
plt.axis("off")

# %%
# What was drawn
# --------------
# Branches of the recipe that a plate did not take have no numbers: NaN, and −1 for whole ones.

lengths = {name: column for name, column in pairs.params.items() if name.endswith("thick_line.size")}
for name, column in lengths.items():
    print(name, column)

# %%
# A file of 100,000 of them is one line: ``blurgen make --dataset plates --count 100000 --out plates.h5``,
# and ``python -m trainers.fit plates --preset plates-moussaka`` trains with blur drawn anew for every
# batch.
