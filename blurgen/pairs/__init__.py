"""The pair file: an HDF5 file of pairs that knows how it was made."""

from blurgen.pairs.format import Header
from blurgen.pairs.partial import kept, partial_path
from blurgen.pairs.reader import Pair, PairFile, open_pairs
from blurgen.pairs.writer import PairWriter

__all__ = ["Header", "Pair", "PairFile", "PairWriter", "kept", "open_pairs", "partial_path"]
