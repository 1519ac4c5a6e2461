"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import html
import importlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import yaml
from PIL import Image

from blurgen._version import __version__
from blurgen.errors import InputError
from blurgen.provenance import built_in, origin, remake_command, remake_note
from blurgen.reporting import plots, summary
from blurgen.reporting.findings import Findings, Parameter
from blurgen.reporting.pictures import Picture, Sheet, picture, psf_picture, sheet
from blurgen.reporting.promises import AFRESH
from blurgen.reporting.sampling import drawn_rows

_TILES = 24
_PSFS = 24  # of the gallery
_DUPLICATES = 12  # pairs that are shown
_PLOTTED = 120  # parameters; of more the table alone is given
_MOST_BYTES = 9_500_000  # of the page
_IMAGE_BYTES = 6_000_000  # of the contact sheet, at most …
_LEAST_IMAGE_BYTES = 500_000  # … and if there is little room
_SMALL = 96  # pixels that a sharp image has at most where near-duplicates stand side by side


@dataclass(frozen=True)
class _Card:
    """A parameter with its plots, which are empty beyond `_PLOTTED`."""

    parameter: Parameter
    where: str
    name: str
    numbers: dict[str, str]
    distribution: str
    effect: str


def require() -> None:
    """See that what makes a page is there.

    Raises
    ------
    InputError
        If Jinja2 or matplotlib is not installed.
    """
    for package in ("jinja2", "matplotlib"):
        try:
            importlib.import_module(package)
        except ImportError:
            raise InputError(f"a page needs the package {package}: pip install 'blurgen[report]'") from None


def page(found: Findings) -> tuple[str, int]:
    """The page, and how many pairs it shows."""
    template = _template()
    pairs, header = found.pairs, found.pairs.header
    scores = {"PSNR / dB": found.psnr, "SSIM": found.ssim}
    cards = []
    for number, one in enumerate(one for one in found.parameters if one.varied):
        plotted = number < _PLOTTED
        drawn = plots.distribution(one, f"d{number}") if plotted else ""
        effect = plots.effect(one.name, one.groups, scores, f"e{number}") if plotted and one.groups else ""
        *stages, kind, name = one.name.split(".")
        where = " › ".join([*stages, kind])
        cards.append(_Card(one, where, name, summary.numbers_of(one), drawn, effect))
    content: dict[str, Any] = {
        "found": found,
        "header": header,
        "recipe": header.recipe,
        "version": __version__,
        "facts": summary.facts(found),
        "sampled": summary.sampled(found),
        "header_yaml": _header_yaml(found),
        "recipe_yaml": header.recipe.to_yaml().rstrip(),
        "recipe_link": _yaml_link(header.recipe.to_yaml()),
        "built_in": built_in(header),
        "cards": cards,
        "constant": {one.name: summary.constant(one) for one in found.parameters if not one.varied},
        "grey": plots.grey_levels(found.levels, "grey"),
        "psnr": plots.histogram(found.psnr, "PSNR of blurred against sharp / dB", "psnr"),
        "ssim": plots.histogram(found.ssim, "SSIM of blurred against sharp", "ssim"),
        "scores": summary.scores(found),
        "clipped": summary.clipped(found),
        "psf_numbers": summary.psf_numbers(found),
        "afresh": AFRESH,
        "duplicates": _duplicates(found),
        "duplicates_told": summary.duplicates(found),
        "origin": _marked(origin(header)),
        "command": remake_command(header, "recipe.yaml"),
        "note": _marked(remake_note(header)),
        **_psf_content(found),
    }
    rows = drawn_rows(len(pairs), _TILES, found.seed)
    empty = len(template.render(**content, sheet=Sheet([], None, True)).encode())
    room = max(_LEAST_IMAGE_BYTES, min(_IMAGE_BYTES, _MOST_BYTES - empty))
    varied = {one.name for one in found.parameters if one.varied}
    tiles = sheet(pairs, rows, varied, room)
    return template.render(**content, sheet=tiles), len(tiles.tiles)


def _psf_content(found: Findings) -> dict[str, Any]:
    if found.psfs is None:
        return {"psfs": [], "mean_psf": None, "centroids": "", "support": ""}
    told = found.psfs
    shown = drawn_rows(len(told.rows), _PSFS, found.seed)
    gallery = [
        psf_picture(
            told.psfs[i], f"#{told.rows[i]}", f"PSF of pair {told.rows[i]}, {told.support[i]} pixels wide"
        )
        for i in shown
    ]
    size = "×".join(map(str, told.mean.shape))
    return {
        "psfs": gallery,
        "mean_psf": psf_picture(
            told.mean, f"mean of {len(told.rows):,}", f"The mean of the PSFs, {size} pixels"
        ),
        "centroids": plots.centroids(told.centroids, "centroids"),
        "support": plots.histogram(told.support, "side of the support / pixels", "support", whole=True),
    }


def _duplicates(found: Findings) -> list[tuple[float, list[Picture]]]:
    """The most alike pairs of sharp images, small."""
    shown: list[tuple[float, list[Picture]]] = []
    for (one, two), r in zip(found.duplicates.rows, found.duplicates.correlation, strict=True):
        if len(shown) == _DUPLICATES:
            break
        shown.append((float(r), [_small(found, int(row)) for row in (one, two)]))
    return shown


def _small(found: Findings, row: int) -> Picture:
    image = np.asarray(found.pairs.sharp[row])
    whole = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    small = whole.reduce(-(-max(image.shape[:2]) // _SMALL))
    return picture(np.asarray(small), f"#{row}", f"Sharp image of pair {row}")


def _header_yaml(found: Findings) -> str:
    header = found.pairs.header
    fields: dict[str, Any] = {
        "file": found.pairs.path.name,
        "pairs": header.count,
        "shape": list(header.shape),
        "dataset": header.dataset,
        "dataset_options": header.dataset_options,
        "dataset_sha256": header.dataset_sha256,
        "recipe": header.recipe.name,
        "copies": header.recipe.copies,
        "seed": header.seed,
        "labels": header.has_labels,
        "psf_size": header.psf_size,
        "compression": header.compression or None,
        "blurgen_version": header.version,
    }
    text: str = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return text.rstrip()


def _yaml_link(text: str) -> str:
    data = base64.b64encode(text.encode("utf-8", "backslashreplace")).decode("ascii")
    return f"data:application/yaml;base64,{data}"


def _marked(text: str) -> Any:
    """Markdown's code spans as HTML; the rest is plain text."""
    from markupsafe import Markup

    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text)))


@cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html")


def _text(name: str) -> str:
    return (resources.files("blurgen.reporting") / "templates" / name).read_text(encoding="utf-8")
