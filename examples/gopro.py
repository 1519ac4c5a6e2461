"""Photographs that moving things and hands blurred: after a project that trained two networks on GoPro.

GoPro (Nah et al. 2017) holds pairs of 1280×720: `train` and `test`, each of folders with `sharp` and `blur`.
`resnet-encdec` (a ResNet-50 encoder, a U-Net-like decoder) learns by Adam for 350 epochs; `transform-net`
(Johnson et al. 2016) does so, too, and goes on with plain gradient descent for 200 epochs more. Both are
judged on `test` after every epoch, and the best weights are kept: by PSNR, where the project went by loss.
`--encoder-weights FILE` lets the encoder begin with what it learnt from ImageNet, the state dict of
torchvision's `resnet50`; without, it begins anew.

Whole frames are squeezed to 256×256, as the project did; it does not say by which filter, here it is bicubic.
Its PSNRs are 24.98 dB and, after both phases of the second network, 26.26 dB. It does not say its batch size,
either; 16 is ours.

It is work for a GPU: two processor cores need an hour or more for each epoch. The same by commands:

    blurgen make --dataset pairs:GoPro/train --blurred blur --resize 256 --out train.h5
    blurgen make --dataset pairs:GoPro/test --blurred blur --resize 256 --out test.h5
    python -m trainers.fit train.h5 --val test.h5 --preset gopro-resnet --run resnet
    python -m trainers.fit train.h5 --val test.h5 --preset gopro-transform --run transform
    python -m trainers.fit train.h5 --val test.h5 --preset gopro-transform-2 --weights transform --run second
    python -m trainers.evaluate second test.h5
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import running

import blurgen
from trainers.evaluate import evaluate
from trainers.presets import PRESETS

# network → the presets of its trainings; each begins with the weights of the one before
_PRESETS = {"resnet": ("gopro-resnet",), "transform": ("gopro-transform", "gopro-transform-2")}


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = running.parser("gopro", "Restore GoPro's photographs.")
    options.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER", help="GoPro's, with train and test in it"
    )
    options.add_argument("--blurred", default="blur", help="blur (default) or blur_gamma")
    options.add_argument("--size", type=int, default=256, help="side of the frames (default: %(default)s)")
    options.add_argument("--count", type=int, help="how many of each file (default: all)")
    options.add_argument("--only", choices=tuple(_PRESETS), help="one of the two networks")
    epochs = ", ".join(f"{PRESETS[name]['epochs']}" for names in _PRESETS.values() for name in names)
    options.add_argument("--epochs", type=int, help=f"of each training (default: {epochs})")
    options.add_argument("--encoder-weights", type=Path, metavar="FILE", help="of torchvision's resnet50")
    return options


def work(given: argparse.Namespace) -> None:
    """Pairs to train with and to judge by, the networks, their scores."""
    train, test = (given.out / f"{split}.h5" for split in ("train", "test"))
    for pairs in (train, test):
        if not pairs.exists():
            source = f"pairs:{given.data / pairs.stem}"
            blurgen.make(source, pairs, count=given.count, blurred=given.blurred, resize=given.size)
    for network in [given.only] if given.only else _PRESETS:
        run = None
        for preset in _PRESETS[network]:
            run = running.fitted(
                given.out / preset,
                train,
                val=test,
                preset=preset,
                epochs=given.epochs or PRESETS[preset]["epochs"],
                weights=run,
                encoder_weights=given.encoder_weights if network == "resnet" else None,
            )
            evaluate(run, [test], quiet=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the example."""
    return running.run(work, parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
