"""A recipe among albumentations' transforms: written down with each image, and replayed byte for byte.

albumentations looks for its newest version on the network when it is imported, unless
NO_ALBUMENTATIONS_UPDATE=1 is set.
"""

from __future__ import annotations

import json

import albumentations as album
import numpy as np

import blurgen
from blurgen.albumentations import Degrade


def main() -> None:
    """Blur images now and then, keep what was done as JSON, and do it again."""
    images = blurgen.open_source("shapes", seed=1, size=64).read(0, 4)
    chain = album.ReplayCompose([album.HorizontalFlip(p=0.5), Degrade("realistic", p=0.8)])
    chain.set_random_seed(5)
    for number, image in enumerate(images):
        result = chain(image=image)
        kept = json.dumps(result["replay"])
        replayed = album.ReplayCompose.replay(json.loads(kept), image=image)
        same = "the same" if np.array_equal(replayed["image"], result["image"]) else "other"
        blur = json.loads(kept)["transforms"][1]
        how = f"seed {blur['params']['seed']}" if blur["applied"] else "not blurred"
        print(f"image {number}: {how}; replayed: {same}")

    # the seed and index of a call are those of blurgen.degrade
    blur = Degrade("realistic", p=1)
    made = blur(image=images[0])["image"]
    wanted = blurgen.degrade(images[:1], "realistic", blur.params["seed"], blur.params["index"]).blurred[0]
    print(f"blurgen.degrade: {'the same' if np.array_equal(made, wanted) else 'other'}")

    again = album.from_dict(json.loads(json.dumps(chain.to_dict())))
    print(f"written and read: {again.transforms[1]}")


if __name__ == "__main__":
    main()
