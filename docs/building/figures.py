"""The figures of the explanations, drawn by the library that they explain."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

import blurgen
from blurgen.stages.noise import PoissonGaussianNoise
from blurgen.style import BASELINE, BLUE, GREY, INK, RULE, VERMILION, drawn, figure, look


def write(folder: Path) -> None:
    """Draw every figure as a PNG, and keep those files that would be the same."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        with look():
            content = drawn(draw(), "png", 130)
        path = folder / f"{name}.png"
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def _tiles(images: dict[str, Any], columns: int, side: float = 1.9, **shown: Any) -> Figure:
    """Images with a title each."""
    rows = -(-len(images) // columns)
    made = figure(columns * side, rows * (side + 0.25))
    panels = made.subplots(rows, columns, squeeze=False).flat
    for panel, (title, image) in zip(panels, images.items(), strict=True):
        panel.imshow(image, **shown)
        panel.set_title(title)
        panel.set_axis_off()
    return made


def _plate(columns: slice = slice(0, 90)) -> Any:
    """A part of a drawn licence plate, gray: uint8, (1, 90, 90)."""
    return blurgen.open_source("plates", seed=3).read(0, 1)[:, :, columns, 1]


def _shake() -> Any:
    psf = blurgen.psf.camera_shake(length=25, exposure=1, seed=1, index=3)
    return blurgen.psf.embedded(psf, 31)


def psfs() -> Figure:
    """Six families on one pixel scale."""
    families = {
        "motion, 15 px at 30°": blurgen.psf.motion(15, 30),
        "defocus, radius 7 px": blurgen.psf.disk(7),
        "six blades, radius 7 px": blurgen.psf.polygon(7, blades=6),
        "Gaussian, σ 3 px": blurgen.psf.gaussian(19, 3),
        "camera shake": _shake(),
        "diffraction and coma": blurgen.psf.diffraction(4, 31, coma=0.25),
    }
    return _tiles({title: blurgen.psf.embedded(psf, 31) for title, psf in families.items()}, 3)


def point() -> Figure:
    """What becomes of a point, of three, and of an image."""
    psf = _shake()
    dots = np.zeros((2, 65, 65), np.float32)
    dots[0, 32, 32] = 255
    dots[1, [20, 24, 46], [18, 45, 32]] = (255, 128, 190)
    images = [*dots, _plate()[0].astype(np.float32)]
    titles = ("a point", "points", "an image")
    tiles = dict(zip(titles, images, strict=True))
    blurred = [blurgen.convolve(image[None], psf, border="constant")[0] for image in images[:2]]
    blurred.append(blurgen.convolve(images[2][None], psf)[0])
    tiles |= {f"{title}, blurred": image for title, image in zip(titles, blurred, strict=True)}
    return _tiles(tiles, 3)


def correlation() -> Figure:
    """A PSF, what convolution makes of a point, and what correlation does."""
    psf = _shake()
    dot = np.zeros((1, 41, 41), np.float32)
    dot[0, 20, 20] = 255
    return _tiles(
        {
            "PSF": blurgen.psf.embedded(psf, 41),
            "a point, convolved": blurgen.convolve(dot, psf)[0],
            "a point, correlated": blurgen.convolve(dot, psf[::-1, ::-1])[0],
        },
        3,
    )


def borders() -> Figure:
    """One image with each border."""
    image = _plate()
    psf = blurgen.psf.motion(31, 20)
    names = ("replicate", "reflect", "wrap", "constant")
    return _tiles({name: blurgen.convolve(image, psf, border=name)[0] for name in names}, 4)  # type: ignore[arg-type]


def linear_light() -> Figure:
    """Lamps in the dark, blurred as bytes and as light."""
    image = np.full((1, 72, 96), 8, np.uint8)
    for y, x, radius in ((20, 22, 2), (34, 60, 3), (54, 34, 1)):
        rows, columns = np.ogrid[:72, :96]
        image[0, (rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = 255
    image[0, 60:] = 60
    motion = [{"motion": {"length": 21, "angle": 25}}]
    stages = {
        "bytes": motion,
        "linear light": [{"linear": {"stages": motion}}],
        "light beyond white": [
            {"linear": {"stages": [{"highlights": {"gain": 8}}, *motion, {"saturate": {}}]}}
        ],
    }
    tiles = {"sharp": image[0]}
    for title, chosen in stages.items():
        recipe = blurgen.Recipe.from_dict({"name": "lamps", "stages": chosen})
        tiles[title] = blurgen.degrade(image, recipe).blurred[0, :, :, 0]
    return _tiles(tiles, 4, vmin=0, vmax=255)


def curve() -> Figure:
    """How much light a byte stands for."""
    levels = np.arange(256) / 255
    light = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    made = figure(4.6, 3)
    axes = made.add_subplot()
    axes.plot(levels * 255, light * 100, color=BLUE)
    axes.plot([0, 255], [0, 100], **BASELINE)
    axes.set_xlabel("stored byte, 0 … 255")
    axes.set_ylabel("light / % of white")
    return made


def noise() -> Figure:
    """The variance of a camera's noise against the signal, measured and reckoned."""
    gain, read = 0.15, 4.0
    levels = np.linspace(10, 230, 23).astype(np.float32)
    flat = np.repeat(levels, 128 * 128).reshape(-1, 128, 128, 1)
    wanted = gain * levels + (gain * read) ** 2
    # the stage itself, on linear light: no curve and no bytes stand between
    stage = PoissonGaussianNoise.model_validate({"gain": gain, "read_noise": read})
    draws = blurgen.load_recipe("untouched").draws(1, np.arange(len(levels)))
    noisy = stage.apply(flat, stage.sample(draws), draws)
    made = figure(5, 3.2)
    axes = made.add_subplot()
    axes.plot(levels, wanted, color=BLUE, label="K·x + (K·σ)²")
    axes.plot(
        levels,
        noisy.var(axis=(1, 2, 3)),
        "o",
        color=VERMILION,
        markersize=4,
        label="measured on 128×128 pixels",
    )
    axes.axhline((gain * read) ** 2, **BASELINE, label="read noise alone")
    axes.set_xlabel("light / grey levels (255 is white)")
    axes.set_ylabel("variance / grey levels²")
    axes.set_ylim(0)
    axes.legend()
    return made


def draws() -> Figure:
    """Lengths of all samples together, and of each made by itself."""
    images = np.zeros((24, 16, 16), np.uint8)
    together = blurgen.degrade(images, "anime-motion", seed=1).params["0.motion.length"]
    alone = [
        float(blurgen.degrade(images[:1], "anime-motion", seed=1, start=row).params["0.motion.length"][0])
        for row in range(24)
    ]
    other = blurgen.degrade(images, "anime-motion", seed=2).params["0.motion.length"]
    made = figure(6.4, 2.8)
    axes = made.add_subplot()
    axes.plot(together, "o", color=BLUE, markersize=9, fillstyle="none", label="seed 1, all at once")
    axes.plot(alone, ".", color=VERMILION, label="seed 1, each by itself")
    axes.plot(other, "x", color=GREY, markersize=5, label="seed 2")
    axes.set_xlabel("number of the sample")
    axes.set_ylabel("length / px")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return made


def crash() -> Figure:
    """The partial file, its journal, and what a crash leaves."""
    made = figure(6.8, 2.4)
    axes = made.add_subplot()
    noted, written, total = 9, 11, 16
    for row in range(total):
        colour = BLUE if row < noted else VERMILION if row < written else "white"
        axes.add_patch(Rectangle((row + 2, 1), 0.92, 0.8, facecolor=colour, edgecolor=INK, linewidth=0.8))
    axes.add_patch(Rectangle((0, 1), 1.8, 0.8, facecolor=RULE, edgecolor=INK, linewidth=0.8))
    axes.text(0.9, 1.4, "header", ha="center", va="center", fontsize=8)
    for x, text in (
        (6.5, "synced, then noted"),
        (12, "written,\nnot noted"),
        (15.6, "empty,\nspace reserved"),
    ):
        axes.text(x, 2.0, text, ha="center", va="bottom", fontsize=8, color=INK)
    axes.text(0, 0.55, "pairs.h5.journal:  0 9", fontsize=9, family="monospace", color=BLUE)
    axes.annotate(
        "after a crash, the same command goes on here",
        (noted + 2, 0.98),
        (noted + 2.4, 0.3),
        fontsize=8,
        arrowprops={"arrowstyle": "->", "color": INK},
    )
    axes.set(xlim=(-0.2, total + 3), ylim=(0, 2.9))
    axes.set_axis_off()
    return made


def jpeg() -> Figure:
    """An image, its round trip here, and the difference to Pillow's."""
    image = _plate()
    ours = blurgen.jpeg(image, 10)[0]
    stored = io.BytesIO()
    Image.fromarray(image[0]).save(stored, "JPEG", quality=10)
    theirs = np.asarray(Image.open(stored))
    return _tiles(
        {
            "sharp": image[0],
            "blurgen.jpeg, quality 10": ours,
            "Pillow, quality 10": theirs,
            f"difference: at most {int(np.abs(ours.astype(int) - theirs).max())}": np.abs(
                ours.astype(int) - theirs
            ),
        },
        4,
        vmin=0,
        vmax=255,
    )


FIGURES: dict[str, Callable[[], Figure]] = {
    "psfs": psfs,
    "point": point,
    "correlation": correlation,
    "borders": borders,
    "linear-light": linear_light,
    "curve": curve,
    "noise": noise,
    "draws": draws,
    "crash": crash,
    "jpeg": jpeg,
}
