"""Image files of any kind: read with all that stands in them, and written back alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from blurgen.untrusted.images import open_image
from trainers.errors import TrainerError
from trainers.files import written

ENDINGS: Final = (
    *(".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jp2", ".jpe", ".jpeg", ".jpg", ".jpx", ".pbm"),
    *(".pcx", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".sgi", ".tga", ".tif", ".tiff", ".webp"),
)
_GRAY_16 = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_QUALITY = 95  # of formats that lose


@dataclass(frozen=True)
class Picture:
    """An image file's content.

    Attributes
    ----------
    pixels : ndarray
        float32, shape (H, W, C) with C 1 or 3, black 0, white 1, upright.
    alpha : ndarray or None
        uint8, shape (H, W).
    bits : int
        8, or 16 where the file has one channel of as many.
    kind : str
        The format, as Pillow names it.
    said : dict
        What else the file says: its colour profile, EXIF (its orientation taken out), resolution.
    frames : int
        How many images the file holds; this is the first.
    """

    pixels: NDArray[np.float32]
    alpha: NDArray[np.uint8] | None
    bits: int
    kind: str
    said: dict[str, Any]
    frames: int

    def with_pixels(self, pixels: NDArray[np.float32]) -> Picture:
        """The same file with other pixels."""
        return Picture(pixels, self.alpha, self.bits, self.kind, self.said, self.frames)


def read_picture(path: Path) -> Picture:
    """Read an image file of one of the formats of `ENDINGS`, whatever its own ending.

    Palettes and CMYK become RGB, which has 8 bits a channel; gray images may have 16.

    Raises
    ------
    ValueError
        If it cannot be read, or has more pixels than `open_image` allows; the message is the cause.
    """
    try:
        with open_image(path.read_bytes(), _formats()) as opened:
            opened.load()
            return _picture(opened)
    except UnidentifiedImageError:
        raise ValueError("no image of a known format") from None
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    except Exception as error:
        # on damaged files, Pillow's plugins let nearly anything pass
        raise ValueError(str(error) or type(error).__name__) from None


@cache
def _formats() -> tuple[str, ...]:
    """Pillow's names of the formats; EPS, which would start another program, is none of them."""
    known = Image.registered_extensions()
    return tuple(sorted({known[ending] for ending in ENDINGS if ending in known}))


def _picture(opened: Image.Image) -> Picture:
    kind, frames = opened.format or "PNG", getattr(opened, "n_frames", 1)
    image = ImageOps.exif_transpose(opened)
    said = {name: image.info[name] for name in ("icc_profile", "dpi") if image.info.get(name)}
    exif = image.getexif()
    if exif:
        said["exif"] = exif.tobytes()
    if image.mode in _GRAY_16:
        levels = np.asarray(image)
        if levels.min(initial=0) < 0 or levels.max(initial=0) > 65535:
            raise ValueError("32 bits a pixel; allowed are 8 and 16")
        return Picture(_shares(65535)[levels][..., None], None, 16, kind, said, frames)
    if image.mode == "F":
        raise ValueError("32 bits a pixel; allowed are 8 and 16")
    gray = image.mode in ("1", "L", "LA", "La")
    if not gray and image.mode not in ("RGB", "RGBA", "RGBa", "P", "PA"):
        said.pop("icc_profile", None)  # it describes other colours than those of RGB
    has_alpha = image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info
    values: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    if has_alpha:
        values = np.asarray(image.convert("RGBA"))
        values, alpha = values[..., : 1 if gray else 3], values[..., 3]
    else:
        values = np.asarray(image.convert("L" if gray else "RGB"))
    pixels = _shares(255)[values.reshape(image.height, image.width, -1)]
    return Picture(pixels, alpha, 8, kind, said, frames)


def _shares(white: int) -> NDArray[np.float32]:
    """What share of white each level is: looked up, for a division would take eight bytes a value."""
    return (np.arange(white + 1) / white).astype(np.float32)


def to_levels(pixels: NDArray[np.float32], white: int = 255) -> NDArray[np.float32]:
    """Whole grey levels of pixels, of which 0 is black and 1 is `white`: half levels are rounded up."""
    levels: NDArray[np.float32] = np.floor(np.clip(pixels, 0, 1) * white + 0.5)
    return levels


def target_name(path: Path) -> str:
    """The name that a restored file gets: its own, or with ``.png`` where its format cannot be written."""
    kind = Image.registered_extensions().get(path.suffix.lower())
    return path.name if kind is None or kind in Image.SAVE else f"{path.name}.png"


def write_picture(picture: Picture, path: Path) -> Path:
    """Write an image file in the format of its name's ending, else in the one it was read from.

    Raises
    ------
    TrainerError
        If the format cannot hold the image, or the file cannot be written.
    """
    kind = Image.registered_extensions().get(path.suffix.lower(), picture.kind)
    image = _image(picture)
    options: dict[str, Any] = dict(picture.said)
    if kind in ("JPEG", "WEBP", "AVIF"):
        options["quality"] = _QUALITY
    if kind == "JPEG":
        options["subsampling"] = 0

    def write(partial: Path) -> None:
        try:
            image.save(partial, kind, **options)
        except (KeyError, ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise TrainerError(f"'{path}': {kind} cannot hold this image: {error}") from None

    return written(path, write)


def _image(picture: Picture) -> Image.Image:
    values = to_levels(picture.pixels, 65535 if picture.bits == 16 else 255)
    if picture.bits == 16:
        return Image.fromarray(values[..., 0].astype(np.uint16))
    colours = values.astype(np.uint8)
    gray = colours.shape[2] == 1
    if picture.alpha is None:
        return Image.fromarray(colours[..., 0] if gray else colours)
    both = np.concatenate([colours, picture.alpha[..., None]], axis=2)
    return Image.fromarray(both, "LA" if gray else "RGBA")
