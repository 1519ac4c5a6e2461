"""What the trainers say when something is wrong."""

from __future__ import annotations

from blurgen.errors import BlurgenError


class TrainerError(BlurgenError):
    """One clear sentence about options, files or networks."""
