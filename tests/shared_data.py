"""Where tests find real data, which is not part of the project."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("BLURGEN_TEST_DATA") or Path(__file__).parents[2] / "shared")


def shared(*parts: str) -> Path:
    """A file or folder of the test data; the test is skipped where it is absent, and fails in CI."""
    path = ROOT.joinpath(*parts)
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is absent; name the test data by BLURGEN_TEST_DATA")
        pytest.skip(f"{path} is absent")
    return path
