"""How fast blurgen is beside other libraries: ``python -m benchmarks``."""
