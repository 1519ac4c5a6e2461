"""Numba loops: they get clean arrays, never raise, release the GIL, and import nothing else of blurgen's.

Every loop is a plain Python function compiled where it stands, so that it also runs with
``NUMBA_DISABLE_JIT=1``.
"""
