"""What shows a stage: a body for each kind."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml


@cache
def example_bodies() -> dict[str, Any]:
    """For each kind of stage a body, as it stands in a recipe; `given`, which needs a file, has none."""
    text = (resources.files("blurgen") / "stages" / "examples.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found
