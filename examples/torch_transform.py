"""A recipe as a transform in a dataset of one's own, beside other modules, with workers.

The blur is drawn anew in every pass. `torch.manual_seed` repeats a whole training, the blur included.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import blurgen
from blurgen.torch import Degrade

RECIPE = blurgen.Recipe.from_yaml(
    """
name: shaken
stages:
  - motion: {length: {uniform: [3, 9]}, angle: {uniform: [0, 180]}}
  - gaussian_noise: {sigma: {log_uniform: [1, 10]}}
"""
)


class ToFloat(nn.Module):  # type: ignore[misc]
    """Bytes as floats from 0 to 1."""

    def forward(self, images: Tensor) -> Tensor:
        """The floats."""
        return images.float() / 255


class Digits(Dataset):  # type: ignore[misc]
    """Drawn digits, blurred and sharp; any dataset of images can do the same."""

    def __init__(self) -> None:
        images = blurgen.open_source("digits", seed=1).read(0, 64)
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2)
        self.transform = nn.Sequential(ToFloat(), Degrade(RECIPE, seed=1))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        sharp = self.images[row]
        return self.transform(sharp), sharp.float() / 255


def passes(loader: DataLoader) -> list[Tensor]:
    """The blurred images of two passes."""
    torch.manual_seed(0)
    return [torch.cat([blurred for blurred, _ in loader]) for _ in range(2)]


def main() -> None:
    """Go through the digits twice, and do it again."""
    loader = DataLoader(Digits(), batch_size=16, num_workers=2)
    first, second = passes(loader)
    print(f"a pass: {tuple(first.shape)}, {first.dtype}")
    print(f"the second pass: {'the same' if torch.equal(first, second) else 'blurred anew'}")
    same = all(torch.equal(a, b) for a, b in zip((first, second), passes(loader), strict=True))
    print(f"both from the same seed: {'the same' if same else 'other'}")

    # which blur an image gets can be said, too: by an index, as blurgen.degrade has it
    image = Digits().images[:1]
    blurred = Degrade(RECIPE, seed=1)(image, index=42)
    params = blurgen.degrade(image.permute(0, 2, 3, 1).numpy(), RECIPE, seed=1, start=42).params
    print(f"sample 42: {tuple(blurred.shape)}, moved {params['0.motion.length'][0]:.2f} pixels")


if __name__ == "__main__":
    main()
