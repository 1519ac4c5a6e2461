r"""Three blurs, three SRCNNs, nine curves: after the project that compared SRCNNs on anime faces.

Gray images of 256×256 are blurred by a Gaussian, by a box, and by motion; on each of the three files every
SRCNN (9-1-5, 9-3-1-5, 9-1-1-1-5) is trained for 20 epochs, with the learning rates 1e-4 and 1e-3. The table
and the curves of all 18 trainings are in the folder `comparison`.

What the project does not say: the sizes of its blurs, its second learning rate, its optimiser and batch size
(Adam and 16 pairs are ours), and the networks' widths (SRCNN's, 64 and 32). Its 1,000 faces are not offered
here: any folder of images does.

The 18 trainings take half a day on two processor cores. The same by commands:

    blurgen make -d folder:faces --mode gray --resize 256 -n 1000 -r anime-gaussian -o gaussian.h5
    blurgen make -d folder:faces --mode gray --resize 256 -n 1000 -r anime-box -o box.h5
    blurgen make -d folder:faces --mode gray --resize 256 -n 1000 -r anime-motion -o motion.h5
    python -m trainers.compare gaussian.h5 box.h5 motion.h5 --preset anime-srcnn --lr 1e-4,1e-3 \
        --models srcnn-9-1-5,srcnn-9-3-1-5,srcnn-9-1-1-1-5
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import running

import blurgen
from trainers.compare import compare
from trainers.presets import PRESETS

_PRESET = "anime-srcnn"
_RECIPES = ("anime-gaussian", "anime-box", "anime-motion")
_MODELS = ("srcnn-9-1-5", "srcnn-9-3-1-5", "srcnn-9-1-1-1-5")
_RATES = (1e-4, 1e-3)
_SIDE = 256


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = running.parser("anime_srcnn", "Compare three SRCNNs on three blurs.")
    options.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="images of any size")
    options.add_argument("--count", type=int, default=1000, help="how many (default: %(default)s)")
    epochs = PRESETS[_PRESET]["epochs"]
    options.add_argument("--epochs", type=int, default=epochs, help="of each training (default: %(default)s)")
    return options


def work(given: argparse.Namespace) -> None:
    """Three files of pairs, and the comparison."""
    files = [given.out / f"{recipe}.h5" for recipe in _RECIPES]
    for recipe, pairs in zip(_RECIPES, files, strict=True):
        if not pairs.exists():
            source = f"folder:{given.data}"
            blurgen.make(source, pairs, recipe, count=given.count, mode="gray", resize=_SIDE)
    compare(
        files,
        models=_MODELS,
        lr=_RATES,
        out=given.out / "comparison",
        preset=_PRESET,
        epochs=given.epochs,
        quiet=False,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the example."""
    return running.run(work, parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
