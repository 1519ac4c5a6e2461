"""Point spread functions: non-negative, of sum 1, drawn about a known centre.

Each family has a function that gives one PSF as float64, and one ending in ``_batch`` that renders many at
once as float32 (B, k, k), centred in a common odd size.
"""

from blurgen.psf.box import box
from blurgen.psf.composition import composed, embedded
from blurgen.psf.disk import disk, disk_batch
from blurgen.psf.file import load_psfs
from blurgen.psf.gaussian import gaussian, gaussian_batch, opencv_sigma
from blurgen.psf.motion import motion, motion_batch, motion_size

__all__ = [
    "box",
    "composed",
    "disk",
    "disk_batch",
    "embedded",
    "gaussian",
    "gaussian_batch",
    "load_psfs",
    "motion",
    "motion_batch",
    "motion_size",
    "opencv_sigma",
]
