"""The version, in a module of its own so that reading it imports nothing else of ours.

What is built or installed bears the version of git's tags, which the build writes into ``_built.py``.
"""

try:
    from blurgen._built import __version__ as _version
except ImportError:  # a clone that was neither built nor installed
    _version = "0.1.0.dev0"

__version__: str = _version
