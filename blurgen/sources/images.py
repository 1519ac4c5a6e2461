"""Decoding one image file."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from blurgen.untrusted.images import open_image

Mode = Literal["gray", "rgb"]

# Pillow's plugins, which look at the content and not at the name.
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
_GRAY = ("1", "L", "LA", "La")


def decode(content: bytes) -> Image.Image:
    """Decode an image file, upright, to 8 bits.

    Of a file of several images, the first is taken. Alpha is dropped; of 16 bits the upper 8 are kept;
    palettes and CMYK become RGB; EXIF orientation is applied.

    Parameters
    ----------
    content : bytes
        A PNG, JPEG, TIFF, BMP or WebP file.

    Returns
    -------
    Image
        Of mode L where the file is gray, else RGB.

    Raises
    ------
    ValueError
        If the file cannot be decoded, or has more pixels than `open_image` allows; the message is the cause.
    """
    try:
        with open_image(content, _FORMATS) as opened:
            opened.load()
            ImageOps.exif_transpose(opened, in_place=True)
            return _to_8_bits(opened)
    except UnidentifiedImageError as error:
        raise ValueError(f"no {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]} image") from error
    except Exception as error:
        # On damaged files, Pillow's plugins let nearly anything pass: OSError, SyntaxError, struct.error, …
        raise ValueError(str(error) or type(error).__name__) from error


def _to_8_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32 bits a pixel; allowed are 8 and 16")
    if image.mode in _GRAY:
        return image.convert("L")
    if image.mode in ("P", "PA"):
        # By way of RGBA, since Pillow cannot carry a palette's transparency into RGB.
        image = image.convert("RGBA")
    return image.convert("RGB")


def is_gray(image: Image.Image) -> bool:
    """Whether `decode` gave a gray image."""
    return image.mode == "L"
