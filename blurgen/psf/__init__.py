"""Point spread functions: non-negative, of sum 1, drawn about a known centre.

Each family has a function that gives one PSF as float64, and one ending in ``_batch`` that renders many at
once as float32 (B, k, k), centred in a common odd size.
"""

from blurgen.psf.acceleration import accelerated_motion
from blurgen.psf.aperture import (
    imagenet_c_disk,
    imagenet_c_disk_batch,
    polygon,
    polygon_batch,
    soft_disk,
    soft_disk_batch,
)
from blurgen.psf.arc import arc_motion
from blurgen.psf.box import box
from blurgen.psf.camera_shake import camera_shake
from blurgen.psf.composition import composed, embedded
from blurgen.psf.diffraction import diffraction, diffraction_batch
from blurgen.psf.disk import disk, disk_batch
from blurgen.psf.file import load_psfs
from blurgen.psf.gaussian import gaussian, gaussian_batch, opencv_sigma
from blurgen.psf.gp_shake import gp_shake
from blurgen.psf.imagenet_motion import imagenet_c_motion
from blurgen.psf.levi_shake import levi_shake
from blurgen.psf.motion import motion, motion_batch, motion_size
from blurgen.psf.nonlinear import nonlinear_motion
from blurgen.psf.restoration import (
    anisotropic_gaussian,
    anisotropic_gaussian_batch,
    generalized_gaussian,
    generalized_gaussian_batch,
    plateau_gaussian,
    plateau_gaussian_batch,
    sinc,
    sinc_batch,
)
from blurgen.psf.thick_line import thick_line
from blurgen.psf.trajectory import trajectory

__all__ = [
    "accelerated_motion",
    "anisotropic_gaussian",
    "anisotropic_gaussian_batch",
    "arc_motion",
    "box",
    "camera_shake",
    "composed",
    "diffraction",
    "diffraction_batch",
    "disk",
    "disk_batch",
    "embedded",
    "gaussian",
    "gaussian_batch",
    "generalized_gaussian",
    "generalized_gaussian_batch",
    "gp_shake",
    "imagenet_c_disk",
    "imagenet_c_disk_batch",
    "imagenet_c_motion",
    "levi_shake",
    "load_psfs",
    "motion",
    "motion_batch",
    "motion_size",
    "nonlinear_motion",
    "opencv_sigma",
    "plateau_gaussian",
    "plateau_gaussian_batch",
    "polygon",
    "polygon_batch",
    "sinc",
    "sinc_batch",
    "soft_disk",
    "soft_disk_batch",
    "thick_line",
    "trajectory",
]
