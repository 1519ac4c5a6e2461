"""Licence plates made readable again: after the group project of Imperial College for Huawei's competition.

Plates are drawn, and blurred anew for every batch: seen from aside and afar, moving, pixelated, too bright
or too dark. The network `moussaka` begins with a layer-wise pre-training (1000 steps for the first layer, 100
for each other), then learns by Adam, whose rate sinks by the factor 0.98125 every 1000 steps. A folder of
photographs of plates, of any size, is restored with it in the end.

What the project does not say: how long it trained; 40,000 steps of 64 plates are ours. Its photographs of
plates are not public; drawn ones stand in for them, 10,000 unless `--count` says otherwise. Its code meant
dropout, and never switched it on; here it is on. It restored the mean of the colours; here each colour is
restored by itself.

It is work for a GPU: two processor cores need days. The same by commands:

    python -m trainers.fit plates --preset plates-moussaka --run run
    python -m trainers.deblur run photos restored
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import running

from trainers.console import say
from trainers.deblur import deblur
from trainers.options import Options
from trainers.presets import PRESETS

_PRESET = "plates-moussaka"
_STEPS = PRESETS[_PRESET]["steps"]
_FIRST, _OTHER = Options().pretrain_steps


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = running.parser("licence_plates", "Restore licence plates.")
    options.add_argument("--data", default="plates", help="sharp plates, of one size (default: drawn ones)")
    options.add_argument("--count", type=int, help="how many plates (default: 10000 drawn ones)")
    options.add_argument("--steps", type=int, default=_STEPS, help="of training (default: %(default)s)")
    options.add_argument(
        "--pretrain-steps",
        type=int,
        nargs=2,
        default=(_FIRST, _OTHER),
        metavar=("FIRST", "OTHER"),
        help=f"of pre-training: of the first layer, and of each other (default: {_FIRST} {_OTHER})",
    )
    options.add_argument("--photos", type=Path, metavar="FOLDER", help="blurred plates to restore")
    return options


def work(given: argparse.Namespace) -> None:
    """A network, and restored photographs."""
    run = running.fitted(
        given.out / "run",
        given.data,
        preset=_PRESET,
        count=given.count,
        steps=given.steps,
        pretrain_steps=tuple(given.pretrain_steps),
    )
    if given.photos:
        deblur(run, given.photos, given.out / "restored", overwrite=True, quiet=False)
    else:
        say("no photographs are restored: --photos FOLDER names some")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the example."""
    return running.run(work, parser(), argv)


if __name__ == "__main__":
    sys.exit(main())
