"""Image files: of sources, and of ``trainers.deblur``."""

import contextlib
import io
import random
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from blurgen.sources.images import decode
from trainers.pictures import read_picture

WORDS = (
    "\\x89PNG",
    "IHDR",
    "IDAT",
    "iCCP",
    "GIF89a",
    "RIFF",
    "WEBPVP8 ",
    "VP8X",
    "II*\\x00",
    "MM\\x00*",
    "BM",
    "\\xff\\xd8\\xff",
    "\\xff\\xda",
    "8BPS",
    "qoif",
    "P6 ",
)


def seeds() -> Iterator[bytes]:
    """A small image in each format and several modes."""
    noise = random.Random(1).randbytes(12 * 10 * 4)
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"):
        image = Image.frombytes(
            mode,
            (12, 10),
            noise[: 12 * 10 * {"RGB": 3, "RGBA": 4, "CMYK": 4, "I;16": 2}.get(mode, 1)]
            if mode != "1"
            else noise[:20],
        )
        for kind in (
            "PNG",
            "JPEG",
            "TIFF",
            "BMP",
            "WEBP",
            "GIF",
            "JPEG2000",
            "PCX",
            "PPM",
            "SGI",
            "TGA",
            "QOI",
            "AVIF",
        ):
            file = io.BytesIO()
            try:
                image.save(file, kind)
            except (OSError, ValueError, KeyError):
                continue
            yield file.getvalue()
    rgb = Image.frombytes("RGB", (12, 10), noise[:360])
    for kind, options in (
        ("JPEG", {"progressive": True}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "jpeg"}),
        ("GIF", {"save_all": True, "append_images": [rgb, rgb]}),
        ("PNG", {"save_all": True, "append_images": [rgb, rgb]}),
    ):
        file = io.BytesIO()
        rgb.save(file, kind, **options)
        yield file.getvalue()


def one(data: bytes, folder: Path) -> None:
    """Decode it both ways; both promise a ValueError where that fails."""
    path = folder / "x.png"
    path.write_bytes(data)
    with contextlib.suppress(ValueError):
        decode(data)
    with contextlib.suppress(ValueError):
        read_picture(path)
