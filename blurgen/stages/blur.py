"""Blurs by one PSF a sample."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from blurgen import psf
from blurgen.distributions import AnyDistribution, Between, Constant, parse
from blurgen.draws import Draws
from blurgen.errors import InputError
from blurgen.psf.disk import disk_size
from blurgen.psf.file import MOST_BYTES
from blurgen.stages.base import Columns, PsfStage
from blurgen.untrusted.bounds import RefusedError, read_named

_LONGEST = 1023.0


class Motion(PsfStage):
    """Uniform motion along a line: MATLAB's ``fspecial('motion', length, angle)``.

    Parameters
    ----------
    length : distribution
        Length of the motion in pixels, 1 … 1023.
    angle : distribution
        Degrees, anticlockwise from the x axis.
    border : str
        See `blurgen.convolve`.
    """

    kind = "motion"
    length: Annotated[AnyDistribution, Between(1, _LONGEST)]
    angle: Annotated[AnyDistribution, Between(-1e6, 1e6)]

    @property
    def psf_size(self) -> int:
        """The size for the greatest length."""
        return psf.motion_size(self.length.bounds[1])

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A motion PSF for each length and angle."""
        return psf.motion_batch(params["length"], params["angle"], self.psf_size)


class Gaussian(PsfStage):
    """Gaussian blur, by σ, by OpenCV's kernel size, or both.

    Parameters
    ----------
    sigma : distribution
        Standard deviation in pixels, 0 … 100; 0 (the default) takes OpenCV's σ for the size.
    size : distribution
        Kernel size, whole and odd, up to 801; 0 (the default) takes 2·⌈4σ⌉ + 1.
    border : str
        See `blurgen.convolve`.
    """

    kind = "gaussian"
    sigma: Annotated[AnyDistribution, Between(0, 100)] = Constant(constant=0.0)
    size: Annotated[AnyDistribution, Between(0, 801, whole=True)] = Constant(constant=0.0)

    @model_validator(mode="after")
    def _check(self) -> Gaussian:
        if self.sigma.bounds[0] <= 0 and self.size.bounds[0] <= 0:
            raise PydanticCustomError("gaussian", "a sigma above 0 or a size of at least 1 is needed")
        return self

    def sample(self, draws: Draws) -> dict[str, NDArray[Any]]:
        """Columns sigma and size; even sizes are rounded up to odd."""
        columns = super().sample(draws)
        columns["size"] = np.where(columns["size"] > 0, columns["size"] | 1, 0)
        return columns

    @property
    def psf_size(self) -> int:
        """The size for the greatest σ or size."""
        size = int(self.size.bounds[1])
        automatic = 2 * int(np.ceil(4.0 * self.sigma.bounds[1])) + 1 if self.size.bounds[0] <= 0 else 1
        return max(size | 1, automatic)

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A Gaussian for each σ and size."""
        automatic = 2 * np.ceil(4.0 * params["sigma"]).astype(np.int64) + 1
        sizes = np.where(params["size"] > 0, params["size"], automatic)
        return psf.gaussian_batch(sizes, params["sigma"], self.psf_size)


class Box(PsfStage):
    """Average over a square: ``cv2.blur``, MATLAB's ``fspecial('average', size)``.

    Parameters
    ----------
    size : distribution
        Side in pixels, whole, 1 … 801; of an even square, the centre is right of and below the middle.
    border : str
        See `blurgen.convolve`.
    """

    kind = "box"
    size: Annotated[AnyDistribution, Between(1, 801, whole=True)]

    @property
    def psf_size(self) -> int:
        """The greatest size, made odd."""
        return int(self.size.bounds[1]) | 1

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A box for each size."""
        out = np.empty((len(params["size"]), self.psf_size, self.psf_size), np.float32)
        for size in np.unique(params["size"]):
            out[params["size"] == size] = psf.embedded(psf.box(int(size)), self.psf_size)
        return out


class Disk(PsfStage):
    """Defocus by a lens with a round aperture: MATLAB's ``fspecial('disk', radius)``.

    Parameters
    ----------
    radius : distribution
        Radius in pixels, 0 … 400.
    border : str
        See `blurgen.convolve`.
    """

    kind = "disk"
    radius: Annotated[AnyDistribution, Between(0, 400)]

    @property
    def psf_size(self) -> int:
        """The size for the greatest radius."""
        return disk_size(self.radius.bounds[1])

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """A disc for each radius."""
        return psf.disk_batch(params["radius"], self.psf_size)


@lru_cache(maxsize=8)
def _loaded(path: str, sha256: str) -> NDArray[np.float32]:
    if _file_sha256(path) != sha256:
        raise InputError(f"PSF file '{path}' is not the one that the recipe was made with")
    return psf.load_psfs(path).astype(np.float32)


def _file_sha256(path: str) -> str:
    try:
        return hashlib.sha256(read_named(Path(path), MOST_BYTES)).hexdigest()
    except (OSError, RefusedError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"PSF file '{path}' cannot be read: {reason}") from None


class Given(PsfStage):
    """PSFs from a file, measured or made elsewhere; one is drawn for each sample.

    Parameters
    ----------
    file : str
        A ``.npz``, ``.npy``, ``.mat`` or ``.png`` file, found from the folder that one works in; see
        `blurgen.psf.load_psfs`.
    which : distribution
        The number of the PSF in the file, whole, from 0; by default each is equally likely.
    sha256 : str
        Hash of the file, filled in when it is read: a recipe that carries it refuses a file that changed.
    border : str
        See `blurgen.convolve`.
    """

    kind = "given"
    file: Annotated[str, Field(min_length=1, strict=True)]
    which: Annotated[AnyDistribution, Between(0, 1e6, whole=True)]
    sha256: str

    @model_validator(mode="before")
    @classmethod
    def _read(cls, body: Any) -> Any:
        if not isinstance(body, dict) or not isinstance(body.get("file"), str):
            return body
        if "sha256" in body and "which" in body:
            return body  # a recipe that was read before: the file is needed when it is used, not to read it
        try:
            digest = _file_sha256(body["file"])
            count = len(_loaded(body["file"], body.get("sha256", digest)))
        except InputError as error:
            raise PydanticCustomError("file", "{what}", {"what": str(error)}) from None
        which = parse(body.get("which", {"integers": [0, count - 1]}))
        if which.bounds[1] >= count:
            raise PydanticCustomError(
                "which",
                "which reaches {which}, the file holds PSFs 0 … {last}",
                {"which": f"{which.bounds[1]:g}", "last": count - 1},
            )
        return {**body, "sha256": digest, "which": which}

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The same shape; InputError where the file is missing, changed, or has too few PSFs."""
        last, most = len(self._stack) - 1, int(self.which.bounds[1])
        if most > last:
            raise InputError(f"stage 'given': which reaches {most}, '{self.file}' holds PSFs 0 … {last}")
        return shape

    @property
    def _stack(self) -> NDArray[np.float32]:
        return _loaded(self.file, self.sha256)

    @property
    def psf_size(self) -> int:
        """The common size of the file's PSFs."""
        return int(self._stack.shape[1])

    @classmethod
    def body_schema(cls) -> dict[str, Any]:
        """As of any stage, but only the file need be given."""
        return {**super().body_schema(), "required": ["file"]}

    def psfs(self, params: Columns, draws: Draws) -> NDArray[np.float32]:
        """The PSF of each number."""
        return self._stack[params["which"]]
