"""The stages: one degradation each, found by the name that a recipe calls them."""

from blurgen.stages import blur, combinators, geometry, noise
from blurgen.stages.base import KINDS, ImageStage, PsfStage, Stage

__all__ = ["KINDS", "ImageStage", "PsfStage", "Stage", "blur", "combinators", "geometry", "noise"]
