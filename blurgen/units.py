"""The units of what stages draw, for the axes of plots."""

from __future__ import annotations

from typing import Final

_UNITS: Final = {
    "°": "angle theta rotation bend astigmatism_angle coma_angle trefoil_angle",
    "px": "length radius size airy_radius sigma_x sigma_y edge alias_blur diameter sigma_space near far "
    "amplitude period height width top bottom left right softness gaussian.sigma imagenet_c_motion.sigma",
    "px²": "variance_x variance_y",
    "rad/px": "cutoff frequency",
    "grey levels": "row_sigma column_sigma sigma_color shift grey level gaussian_noise.sigma "
    "correlated_noise.sigma",
    "grey levels/electron": "poisson_gaussian_noise.gain",
    "electrons": "read_noise full_well",
    "photons": "peak",
    "waves": "defocus astigmatism coma trefoil spherical",
    "stops": "stops",
    "half widths": "deviation",
    "bit": "bits",
    "": "object_motion.size",  # a share
}
_UNIT_OF: Final = {name: unit for unit, names in _UNITS.items() for name in names.split()}


def unit_of(name: str) -> str:
    """The unit of a parameter; empty where it is a bare number.

    Parameters
    ----------
    name : str
        As pair files have it, ``1.motion.angle``.

    Examples
    --------
    >>> unit_of("1.motion.angle"), unit_of("0.gaussian.sigma"), unit_of("2.jpeg.quality")
    ('°', 'px', '')
    """
    stage = ".".join(name.split(".")[-2:])
    return _UNIT_OF.get(stage, _UNIT_OF.get(name.rpartition(".")[2], ""))


def with_unit(name: str, *, short: bool = False) -> str:
    """A parameter as an axis names it, ``1.motion.length / px``; or, in short, ``length / px``."""
    unit, shown = unit_of(name), name.rpartition(".")[2] if short else name
    return f"{shown} / {unit}" if unit else shown
