"""Pairs that never run out: a network learns from images that are drawn and blurred while it does.

The pairs of a step are the same for any number of workers, so that a training can be repeated elsewhere, and
gone on with from any step.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import DataLoader

from blurgen.torch import EndlessPairs

STEPS = 60


def main() -> None:
    """Fit one convolution for a few steps."""
    torch.manual_seed(0)
    pairs = EndlessPairs("digits", "mnist-motion", batch_size=32, seed=1)
    loader = DataLoader(pairs, batch_size=None, num_workers=2)  # the pairs come in batches already
    network = nn.Conv2d(1, 1, 9, padding=4)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _, (blurred, sharp) in zip(range(STEPS), loader, strict=False):
        restored = network(blurred.float() / 255)
        loss = nn.functional.mse_loss(restored, sharp.float() / 255)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"{STEPS} steps: loss {losses[0]:.4f} to {losses[-1]:.4f}")

    pairs.start = 40  # goes on from the step that has this number
    expected = next(iter(pairs))[0]
    given = next(iter(DataLoader(pairs, batch_size=None, num_workers=1)))[0]
    print(f"step 40 by one worker, and by none: {'the same' if torch.equal(given, expected) else 'others'}")


if __name__ == "__main__":
    main()
