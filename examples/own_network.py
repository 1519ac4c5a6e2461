"""A network of one's own, that of `two_layers.py`: fitted, judged and used like those that come along.

Whoever imports the file that registers a network has it by name; the commands import what `--import` names.
Here it learns from drawn digits, and restores the blurred images of the pair file as one array. It takes a
minute.

The same by commands:

    blurgen make --dataset digits --count 6000 --out pairs.h5
    python -m trainers.fit pairs.h5 --import examples/two_layers.py --model two-layers --epochs 3 --run run
    python -m trainers.evaluate run pairs.h5 --import examples/two_layers.py
    python -m trainers.deblur run hdf5:pairs.h5#blurred restored.npy --import examples/two_layers.py
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import running
from two_layers import TwoLayers

import blurgen
from trainers.deblur import deblur
from trainers.evaluate import evaluate


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = running.parser("own_network", "Fit, judge and use a network of one's own.")
    options.add_argument("--count", type=int, default=6000, help="how many pairs (default: %(default)s)")
    options.add_argument("--epochs", type=int, default=3, help="of training (default: %(default)s)")
    return options


def work(given: argparse.Namespace) -> None:
    """Pairs, the network, its scores, restored images."""
    pairs = given.out / "pairs.h5"
    if not pairs.exists():
        blurgen.make("digits", pairs, count=given.count)
    run = running.fitted(given.out / "run", pairs, model=TwoLayers.kind, epochs=given.epochs)
    evaluate(run, [pairs], quiet=False)
    deblur(run, f"hdf5:{pairs}#blurred", given.out / "restored.npy", overwrite=True, quiet=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the example."""
    return running.run(work, parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
