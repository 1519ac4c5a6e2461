"""Small pair files, made once."""

from pathlib import Path

import pytest
import torch

import blurgen


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trainers")


@pytest.fixture(scope="session")
def digits(folder: Path) -> Path:
    """96 pairs of 28×28, six of each drawn digit."""
    return blurgen.make("digits", folder / "digits.h5", "mnist-motion", count=96, seed=3, threads=1)


@pytest.fixture(scope="session")
def colours(folder: Path) -> Path:
    """Pairs of 40×56 in colour, one of each image."""
    import numpy as np

    values = np.random.default_rng(5).integers(0, 256, (30, 10, 14, 3), dtype=np.uint8)
    images = values.repeat(4, axis=1).repeat(4, axis=2)
    np.save(folder / "colours.npy", images)
    source = f"npy:{folder / 'colours.npy'}"
    return blurgen.make(source, folder / "colours.h5", "fashion-gaussian", seed=3, threads=1)


@pytest.fixture(autouse=True)
def _one_thread():
    """Arithmetic on one thread: quicker for so little of it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
