"""The stages: one degradation each, found by the name that a recipe calls them."""

from blurgen.stages import (
    blur,
    camera,
    combinators,
    filters,
    geometry,
    jpeg,
    light,
    noise,
    optics,
    paths,
    resizing,
    shake,
    tone,
    varying,
)
from blurgen.stages.base import KINDS, ImageStage, PsfStage, Stage

__all__ = [
    "KINDS",
    "ImageStage",
    "PsfStage",
    "Stage",
    "blur",
    "camera",
    "combinators",
    "filters",
    "geometry",
    "jpeg",
    "light",
    "noise",
    "optics",
    "paths",
    "resizing",
    "shake",
    "tone",
    "varying",
]
