"""Image files by Pillow, whose header is looked at before anything is decoded."""

from __future__ import annotations

import io
import threading
import warnings

from PIL import Image

from blurgen.untrusted.bounds import RefusedError

MOST_PIXELS = 178_956_970  # what Pillow allows, unless told otherwise
_FREE = 1 << 24
_PER_BYTE = 256  # a white page takes less, but so large a white page is no image to learn from
_SCANS = 16  # of a progressive JPEG; each is a pass over all pixels

_quiet = threading.Lock()


def open_image(content: bytes, formats: tuple[str, ...]) -> Image.Image:
    """Open an image file, not yet decoded.

    Parameters
    ----------
    content : bytes
        The file.
    formats : tuple of str
        As Pillow names them; no other is tried.

    Raises
    ------
    PIL.UnidentifiedImageError
        If it is of none of the formats.
    RefusedError
        If it has more than 178,956,970 pixels, or more than 16,777,216 and 256 for each of its bytes.
    Exception
        Whatever else Pillow's plugins let pass on damaged files.
    """
    try:
        # Pillow warns of half the pixels that it refuses; what is allowed is said here, once
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(content), formats=formats)
    except Image.DecompressionBombError:
        raise RefusedError(
            f"it has more than the {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels that Pillow allows"
        ) from None
    pixels = opened.width * opened.height
    if pixels > MOST_PIXELS:
        raise RefusedError(f"{opened.height}×{opened.width} pixels; {MOST_PIXELS} are the most")
    passes = -(-content.count(b"\xff\xda") // _SCANS) if opened.format in ("JPEG", "MPO") else 1
    if pixels * passes > _FREE + _PER_BYTE * len(content):
        raise RefusedError(
            f"{opened.height}×{opened.width} pixels are too many for a file of {len(content)} bytes"
        )
    return opened
