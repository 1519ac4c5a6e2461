"""What the trainers say when something is wrong."""

from __future__ import annotations

from blurgen.errors import BlurgenError


class TrainerError(BlurgenError):
    """One clear sentence about options, files or networks."""


class FailedTrainingError(TrainerError):
    """A training that cannot go on with its options: its numbers became infinite, or memory ran out."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, NumPy or PyTorch says that there is too little memory, on any device."""
    if isinstance(error, RuntimeError):
        return any(words in str(error) for words in ("out of memory", "can't allocate memory"))
    return isinstance(error, MemoryError)
