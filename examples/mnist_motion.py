"""Digits that motion blurred, restored by three convolutions: after the MNIST motion deblurring project.

It makes six pairs of each of MNIST's 60,000 images (three motion blurs of the image, three of a copy turned
by a quarter turn or more), trains the network of 7×7, 5×5 and 3×3 convolutions, and judges it on the images
that it never saw. Then it restores the motion-blurred images of n-MNIST (Basu et al.), of which no sharp ones
are at hand. The project kept them in a MATLAB file with a variable `test`, rows of 784 values; in the file
that https://csc.lsu.edu/~saikat/n-mnist offers it is called `test_x`.

What the project does not say: how many epochs it trained; the 100 of 250 steps are ours. Its kernels came
from a script that meant lengths of 4 to 6 pixels and drew 5 throughout: `--recipe mnist-motion-len5` is that.

The 360,000 pairs are made in seconds. The rest takes some three hours on two processor cores, most of them
for judging the 72,000 pairs that are held out, after every epoch. The same by commands:

    blurgen make --dataset mnist --out pairs.h5
    python -m trainers.fit pairs.h5 --preset mnist-deblurring --run run
    python -m trainers.evaluate run pairs.h5
    python -m trainers.deblur run mat:n-mnist.mat#test restored.npy
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import running

import blurgen
from trainers.console import say
from trainers.deblur import deblur
from trainers.evaluate import evaluate
from trainers.presets import PRESETS

_PRESET = "mnist-deblurring"
_STEPS = PRESETS[_PRESET]["epochs"] * PRESETS[_PRESET]["epoch_steps"]


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = running.parser("mnist_motion", "Restore digits that motion blurred.")
    options.add_argument("--data", default="mnist", help="sharp images (default: mnist); digits are drawn")
    options.add_argument("--count", type=int, help="how many pairs (default: six of every image)")
    options.add_argument(
        "--recipe", default="mnist-motion", help="how they are blurred (default: %(default)s)"
    )
    options.add_argument("--steps", type=int, default=_STEPS, help="of training (default: %(default)s)")
    options.add_argument("--nmnist", metavar="FILE#VARIABLE", help="a .mat file of blurred images to restore")
    return options


def work(given: argparse.Namespace) -> None:
    """Pairs, a network, its scores, restored images."""
    pairs = given.out / "pairs.h5"
    if not pairs.exists():
        blurgen.make(given.data, pairs, given.recipe, count=given.count)
    run = running.fitted(given.out / "run", pairs, preset=_PRESET, steps=given.steps)
    evaluate(run, [pairs], quiet=False)
    if given.nmnist:
        deblur(run, f"mat:{given.nmnist}", given.out / "restored.npy", overwrite=True, quiet=False)
    else:
        say("n-MNIST is left out: --nmnist FILE#VARIABLE names it, of https://csc.lsu.edu/~saikat/n-mnist")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the example."""
    return running.run(work, parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
