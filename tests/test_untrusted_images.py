import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from memory import peak_of
from PIL import Image, ImageFile

from blurgen import psf
from blurgen.errors import InputError, SourceError
from blurgen.sources import open_source
from blurgen.sources.images import decode
from blurgen.untrusted.images import MOST_PIXELS
from trainers.pictures import read_picture


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def gif(width, height):
    lead = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return lead + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"


def tiff(width, height):
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
    ]
    tags += [(278, 4, height), (279, 4, 4)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 12) + bytes(4) + struct.pack("<H", len(tags)) + entries + bytes(4)


def webp(width, height):
    """Lossless, whose header holds 14 bits of each side."""
    bits = (width - 1) | (height - 1) << 14
    body = b"\x2f" + struct.pack("<I", bits) + bytes(9)
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBPVP8L" + struct.pack("<I", len(body)) + body


def bmp(width, height):
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


def jpeg(width, height, scans=1):
    """A progressive one of so many passes over all pixels."""
    file = io.BytesIO()
    Image.new("L", (16, 16)).save(file, "JPEG", progressive=True)
    raw = file.getvalue()
    place = raw.index(b"\xff\xc2") + 5
    raw = raw[:place] + struct.pack(">HH", height, width) + raw[place + 4 :]
    last = raw.rindex(b"\xff\xda")
    return raw[:last] + raw[last:-2] * scans + raw[-2:]


HEADERS = {"png": png, "gif": gif, "tif": tiff, "webp": webp, "bmp": bmp, "jpg": jpeg}


@pytest.fixture
def never_decoded(monkeypatch):
    """Decoding fails the test: what is refused is refused by its header."""

    def load(image):
        raise AssertionError("it was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)


@pytest.mark.parametrize("kind", HEADERS)
@pytest.mark.parametrize("side", [6_000, 10_000, 16_000, 60_000])
def test_bombs_are_refused_by_their_header(tmp_path, never_decoded, kind, side):
    if kind == "webp" and side > 16_383:
        side = 16_383
    content = HEADERS[kind](side, side)
    path = tmp_path / f"x.{kind}"
    path.write_bytes(content)
    assert len(content) < 1000

    def refused():
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow's own word on it would be a second one
            if kind != "gif":
                with pytest.raises(ValueError, match="pixels"):
                    decode(content)
                with pytest.raises(SourceError, match=rf"x\.{kind}: .*pixels"):
                    open_source(f"folder:{tmp_path}")
            with pytest.raises(
                ValueError, match=r"pixels are too many for a file of|more than the 178956970 pixels"
            ):
                read_picture(path)

    assert peak_of(refused) < 1 << 22


def test_large_images_of_enough_bytes_are_opened(never_decoded):
    content = png(13_000, 13_000)
    assert MOST_PIXELS == 2 * Image.MAX_IMAGE_PIXELS
    with pytest.raises(ValueError, match="it was decoded"):
        decode(content + bytes(13_000**2 // 256))
    with pytest.raises(ValueError, match="more than the 178956970 pixels"):
        decode(png(14_000, 14_000) + bytes(14_000**2))


def test_what_an_application_allows_pillow_is_not_more(monkeypatch, never_decoded):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ValueError, match="14000×14000 pixels; 178956970 are the most"):
        decode(png(14_000, 14_000) + bytes(14_000**2))


def test_a_white_page_is_no_bomb():
    file = io.BytesIO()
    Image.new("L", (5_000, 5_000), 255).save(file, "PNG")
    assert len(file.getvalue()) < 5_000**2 // 256
    assert decode(file.getvalue()).size == (5_000, 5_000)


def test_a_jpeg_of_many_passes(never_decoded):
    with pytest.raises(ValueError, match="it was decoded"):
        decode(jpeg(4_000, 4_000))
    with pytest.raises(ValueError, match="4000×4000 pixels are too many for a file of"):
        decode(jpeg(4_000, 4_000, scans=1000))


def test_formats_that_start_other_programs_are_not_tried(tmp_path):
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(ValueError, match="no image of a known format"):
        read_picture(tmp_path / "x.png")


def test_psfs_of_too_many_pixels(tmp_path, never_decoded):
    (tmp_path / "x.png").write_bytes(png(4_096, 4_096))
    with pytest.raises(InputError, match="4096×4096 pixels; 4095 a side are the most"):
        psf.load_psfs(tmp_path / "x.png")


def test_orientation_still_counts():
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    np.testing.assert_array_equal(np.asarray(decode(file.getvalue())), np.rot90(np.asarray(image), -1))


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n",
        "\n  #EXTM3U\n",
        "ffconcat version 1.0\nfile other.mp4\n",
        "<?xml version='1.0'?><MPD/>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\n",
    ],
)
def test_lists_of_videos_are_no_video(tmp_path, text):
    (tmp_path / "x.mp4").write_text(text)
    with pytest.raises(SourceError, match=r"x\.mp4 is a list of videos, allowed is a video"):
        open_source(f"video:{tmp_path}/x.mp4")
