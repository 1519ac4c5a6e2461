"""Pair files as other programs read them: folders, LMDB, WebDataset, NumPy, Hugging Face."""

from blurgen.exporting.exporter import FORMATS, export
from blurgen.exporting.target import kept, partial_path

__all__ = ["FORMATS", "export", "kept", "partial_path"]
