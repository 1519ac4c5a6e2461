"""Pages that show what recipes and stages do: examples on the same images, and what is drawn how often."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from blurgen.degradation import Pairs, degrade
from blurgen.errors import InputError
from blurgen.psf.composition import trimmed
from blurgen.recipe import Recipe, families, load_recipe
from blurgen.sheet import as_bytes
from blurgen.sources import open_source
from blurgen.stages import KINDS
from blurgen.stages.descriptions import description
from blurgen.stages.examples import example_bodies
from blurgen.style import BLUE, check_form, drawn, figure, look
from blurgen.units import with_unit

EXAMPLES = 8
_SIDE = 112  # of an example, in pixels
_DRAWN = 4000  # samples whose parameters the histograms count
_SEED = 1
_QUALITY = 80  # of JPEG: noise as PNG would be ten times as large
_GAP = 4
_PAPER = 255
_HISTOGRAMS = 5  # side by side
_BARS = 60  # of a histogram, one for each value, as long as there are no more
_COLOURS = 32  # of a picture of histograms

# what recipes are for; the others are for photographs
_OWN_IMAGES = {
    "mnist-motion": "digits",
    "mnist-motion-len5": "digits",
    "fashion-gaussian": "digits",
    "plates": "plates",
    "text-hradis2015": "text",
}


@dataclass(frozen=True)
class _Page:
    name: str
    title: str
    sections: list[_Section]


@dataclass(frozen=True)
class _Section:
    """A recipe with its heading, and the text above its picture."""

    heading: str
    text: str
    recipe: Recipe
    images: str


@cache
def stage_examples() -> dict[str, list[dict[str, Any]]]:
    """For each kind of stage the stages of a recipe, as they are written, that shows what the stage does.

    A stage that may stand in certain others alone stands in them. `given`, which needs a file, has none.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, body in example_bodies().items():
        stage = {kind: body}
        if KINDS[kind].only_floats:
            stage = {"linear": {"curve": "srgb", "stages": [stage]}}
        elif kind == "resize":
            stage = {"rescaled": {"stages": [stage]}}
        found[kind] = [stage]
    return found


def write_gallery(
    folder: Path,
    names: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    *,
    figures: str = "png",
) -> list[Path]:
    """Write pages in Markdown, each with its pictures.

    Parameters
    ----------
    folder : Path
        Where to; made if it is not there.
    names : sequence of str
        Recipes (built-in names, or files) and stages; by default every built-in recipe and every stage.
    progress : callable, optional
        Called with (pages done, pages in all).
    figures : {"png", "svg", "pdf"}
        The format of the histograms; examples are JPEG.

    Returns
    -------
    list of Path
        The pages.

    Raises
    ------
    BlurgenError
        If there is no such recipe, stage or format, or matplotlib is not installed.
    """
    check_form(figures)
    with look():  # an error now, not after half of the work
        pass
    pages = list(_pages_of(names)) if names else [*_recipe_pages(), *_stage_pages()]
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, page in enumerate(pages):
        written.append(_write(page, folder, figures))
        if progress:
            progress(number + 1, len(pages))
    if not names:
        written.append(_write_index(pages, folder))
    return written


def _pages_of(names: Sequence[str]) -> Iterator[_Page]:
    for name in names:
        if name in stage_examples():
            yield _stage_page(name)
        else:
            yield _recipe_page(name, [load_recipe(name)])


def _recipe_pages() -> Iterator[_Page]:
    """A page for each recipe; those that differ only in a number at the end share one."""
    for name, members in families().items():
        yield _recipe_page(name, members)


def _recipe_page(name: str, members: list[Recipe]) -> _Page:
    sections = []
    for recipe in members:
        text = f"{recipe.description}\n\nSource: {recipe.source}\n\n```yaml\n{recipe.to_yaml()}```\n"
        sections.append(_Section(recipe.name, text, recipe, _OWN_IMAGES.get(recipe.name, "scenes")))
    return _Page(f"recipe-{Path(name).stem}", f"Recipe `{Path(name).stem}`", sections)


def _stage_pages() -> Iterator[_Page]:
    for kind in sorted(stage_examples()):
        yield _stage_page(kind)


def _described(kind: str) -> str:
    """A stage's docstring in Markdown."""
    paragraphs, parameters = description(KINDS[kind])
    rows = [
        f"| `{name}` | {described.takes} | {described.text.replace('|', chr(92) + '|')} |"
        for name, described in parameters.items()
    ]
    table = ["\n".join(("| parameter | takes | |", "| --- | --- | --- |", *rows))] if rows else []
    return "\n\n".join((*paragraphs, *table)).replace("``", "`")


def _stage_page(kind: str) -> _Page:
    stages = stage_examples()[kind]
    recipe = Recipe.from_dict({"name": kind, "stages": stages})
    written = yaml.safe_dump({"stages": stages}, sort_keys=False, default_flow_style=None, width=100)
    text = f"{_described(kind)}\n\nThe example:\n\n```yaml\n{written}```\n"
    return _Page(f"stage-{kind}", f"Stage `{kind}`", [_Section("", text, recipe, "scenes")])


def _write(page: _Page, folder: Path, figures: str) -> Path:
    parts = [f"# {page.title}\n"]
    for section in page.sections:
        stem = f"recipe-{section.heading}" if section.heading else page.name
        _examples(section.recipe, section.images).save(folder / f"{stem}.jpg", quality=_QUALITY)
        if len(page.sections) > 1:
            parts.append(f"## {section.heading}\n")
        parts.append(f"{section.text}\n![Sharp images above degraded ones and PSFs]({stem}.jpg)\n")
        counted = _parameters(section.recipe, figures)
        if counted is not None:
            (folder / f"{stem}.{figures}").write_bytes(_smaller(counted) if figures == "png" else counted)
            parts.append(f"![How often each value of a parameter is drawn]({stem}.{figures})\n")
    path = folder / f"{page.name}.md"
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def _smaller(png: bytes) -> bytes:
    """A picture of few colours as a PNG of no more."""
    stored = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(_COLOURS).save(stored, "PNG", optimize=True)
    return stored.getvalue()


def _write_index(pages: Sequence[_Page], folder: Path) -> Path:
    lines = ["# Gallery\n", f"Made by `blurgen gallery --out {folder.name}`.\n", "## Recipes\n"]
    lines += [f"- [{page.title}]({page.name}.md)" for page in pages if page.name.startswith("recipe-")]
    lines += ["\n## Stages\n"]
    lines += [f"- [{page.title}]({page.name}.md)" for page in pages if page.name.startswith("stage-")]
    path = folder / "README.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@cache
def _images(kind: str) -> NDArray[np.uint8]:
    """Eight images, drawn: digits, plates, lines of text, or scenes of all kinds, which are in colour."""
    if kind != "scenes":
        return open_source(kind, seed=_SEED).read(0, EXAMPLES)
    leaves = open_source("shapes", seed=_SEED, size=_SIDE).read(0, 4)
    text = open_source("text", seed=_SEED, size=_SIDE).read(0, 2).repeat(3, axis=3)
    plates = open_source("plates", seed=_SEED).read(0, 2)
    wide = np.full((2, _SIDE, plates.shape[2], 3), 96, np.uint8)
    top = (_SIDE - plates.shape[1]) // 2
    wide[:, top : top + plates.shape[1]] = plates
    left = (plates.shape[2] - _SIDE) // 2
    return np.concatenate([leaves, text, wide[:, :, left : left + _SIDE]])


def _examples(recipe: Recipe, kind: str) -> Image.Image:
    """Sharp images over degraded ones over PSFs; above them the images as they were, where both changed."""
    images = _images(kind)
    pairs = degrade(images, recipe, seed=_SEED)
    rows = [_strip(pairs.sharp), _strip(pairs.blurred)]
    if recipe.changes_sharp:
        rows.insert(0, _strip(images))
    psfs = _psfs(recipe, pairs)
    if psfs is not None:
        rows.append(_strip(psfs, rows[0].shape[1] // EXAMPLES - _GAP))
    width = max(row.shape[1] for row in rows)
    return Image.fromarray(np.concatenate([_widened(row, width) for row in rows]))


def _parameters(recipe: Recipe, form: str) -> bytes | None:
    """A histogram of each parameter that varies, as a file of a format, or None if none does."""
    draws = recipe.draws(_SEED, np.arange(_DRAWN, dtype=np.int64))
    columns = {name: _there(column) for name, column in recipe.sample(draws).items()}
    columns = {name: column for name, column in columns.items() if np.unique(column).size > 1}
    return _histograms(columns, form) if columns else None


def _strip(images: NDArray[np.uint8], width: int = 0) -> NDArray[np.uint8]:
    """Images side by side, in colour, small ones enlarged, each at least so wide: uint8 (H, W, 3)."""
    scale = max(1, min(_SIDE, width or _SIDE) // images.shape[2])
    shown = images.repeat(scale, axis=1).repeat(scale, axis=2)
    beside = max(0, width - shown.shape[2])
    edges = ((0, 0), (0, 0), (beside // 2, beside - beside // 2), (0, 0))
    shown = np.pad(shown, edges, constant_values=_PAPER)
    shown = np.broadcast_to(shown, (*shown.shape[:3], 3))
    gaps = ((0, 0), (_GAP, 0), (_GAP, 0), (0, 0))
    return np.concatenate(list(np.pad(shown, gaps, constant_values=_PAPER)), axis=1)


def _widened(row: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    return np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=_PAPER)


def _psfs(recipe: Recipe, pairs: Pairs) -> NDArray[np.uint8] | None:
    """The PSFs as gray images, the largest weight of each white, or None where there are none."""
    if recipe.psf_size == 1:
        return None
    try:
        draws = recipe.draws(_SEED, np.arange(len(pairs), dtype=np.int64))
        psfs = recipe.psfs(pairs.params, draws)
    except InputError:
        return None
    shown = trimmed(psfs, above=1e-3, border=1, least=4)  # what can be seen of them
    return np.stack([as_bytes(np.maximum(psf, 0)) for psf in shown])[..., None]


def _there(column: NDArray[Any]) -> NDArray[Any]:
    """The values of the samples that the stage took part in."""
    return column[column >= 0] if column.dtype.kind == "i" else column[~np.isnan(column)]


@look({"axes.labelsize": 7, "axes.titlesize": 7, "xtick.labelsize": 6.5, "ytick.labelsize": 6.5})
def _histograms(columns: Mapping[str, NDArray[Any]], form: str) -> bytes:
    """A histogram of each column, as a file of a format."""
    from matplotlib.ticker import MaxNLocator

    rows = -(-len(columns) // _HISTOGRAMS)
    made = figure(10.0, 1.75 * rows)
    axes = made.subplots(rows, _HISTOGRAMS, squeeze=False).ravel()
    for place in axes[len(columns) :]:
        place.set_axis_off()
    for number, (place, (name, column)) in enumerate(zip(axes, columns.items(), strict=False)):
        values, counts = np.unique(column, return_counts=True)
        if values.size <= _BARS:
            gap = np.diff(values).min()
            place.bar(values, counts / column.size, width=0.8 * gap, color=BLUE)
        else:
            place.hist(column, bins=30, weights=np.full(column.size, 1 / column.size), color=BLUE)
        *where, kind, _ = name.split(".")
        share = "" if column.size == _DRAWN else f" ({100 * column.size / _DRAWN:.3g} %)"
        place.set_title(f"{'.'.join(where)}\n{kind}{share}")
        place.set_xlabel(with_unit(name, short=True))
        place.xaxis.set_major_locator(MaxNLocator(5, integer=column.dtype.kind == "i"))
        place.grid(visible=False, axis="x")
        place.yaxis.set_major_locator(MaxNLocator(3))
        place.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
        if number % _HISTOGRAMS == 0:
            place.set_ylabel("of the samples")
    return drawn(made, form, 100)
