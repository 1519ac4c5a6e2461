"""The command line: parse, call the library, print.

What is heavy to import (NumPy, Numba, HDF5, Pillow) is imported by the command that needs it, so that
``blurgen --help`` is quick.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer
import typer.main
from typer.core import TyperGroup

from blurgen._version import __version__
from blurgen.console import Progress, compilation_said, flush, say, shown_progress
from blurgen.errors import BlurgenError, FileError, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from blurgen.cluster import Cluster
    from blurgen.inline import Terminal
    from blurgen.pairs import PairFile
    from blurgen.pairs.shards import Shard
    from blurgen.recipe import Recipe

_BINS = 16
_BLOCKS = " ▁▂▃▄▅▆▇█"
_INTERRUPTED = 130


class _Commands(TyperGroup):
    """Says that a command was interrupted, in our words and with our exit code, not the parser's."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("blurgen: interrupted", sys.stderr)
            raise typer.Exit(_INTERRUPTED) from None


app = typer.Typer(
    name="blurgen",
    cls=_Commands,
    help="Sharp/blurred image pairs for training deblurring networks: fast, physically sensible, repeatable.",
    epilog="Example: blurgen make --dataset digits --count 10000 --out pairs.h5",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit code: 0; 1 for an error that was said in one sentence; 2 for wrong usage; 130 for Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        # an old terminal shall get a question mark for an unusual letter, not a traceback
        if "utf" not in (getattr(stream, "encoding", None) or "utf-8").lower():
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        typer.main.get_command(app)(args=sys.argv[1:] if argv is None else argv, prog_name="blurgen")
        code = 0
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else int(done.code is not None)
    except (BlurgenError, OSError) as error:
        say(f"blurgen: {' '.join(str(error).split())}", sys.stderr)  # HDF5 speaks in several lines
        code = 1
    except KeyboardInterrupt:
        code = _INTERRUPTED
    try:
        flush(sys.stdout)
    except FileError as error:
        if not code:
            say(f"blurgen: {error}", sys.stderr)
        code = code or 1
    return code


def _version(wanted: bool) -> None:
    if wanted:
        say(f"blurgen {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


_File = Annotated[Path, typer.Argument(help="A pair file.", show_default=False)]
_DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the files of published data sets; else the environment variable BLURGEN_DATA."
    ),
]
_Threads = Annotated[int | None, typer.Option(help="How many threads; by default one a usable processor.")]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
_Columns = Annotated[int | None, typer.Option(help="Tiles side by side; by default a landscape page.")]


@app.command(epilog="Example: blurgen make --dataset mnist --out pairs.h5 --count 10000 --seed 1")
def make(
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            "-d",
            help="Where images come from: mnist, fashion-mnist, kmnist, emnist-digits; drawn ones: digits, "
            "plates, text, shapes; folder:PATH, pairs:PATH, frames:PATH, video:PATH, idx:PATH, "
            "mat:PATH#VARIABLE, npy:PATH, npz:PATH#NAME or hdf5:PATH#DATASET.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to make.")],
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", "-r", help="A built-in recipe (see 'blurgen recipes'), or a YAML or JSON file."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", help="How many pairs; by default copies × images.")
    ] = None,
    copies: Annotated[
        int | None, typer.Option(help="How many pairs from one image; by default the recipe's.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", "-s", help="Fixes everything that is drawn.")] = 0,
    threads: _Threads = None,
    psf: Annotated[bool, typer.Option("--psf", help="Store the PSF of each pair, too.")] = False,
    compression: Annotated[
        str | None, typer.Option(help="Compress images and PSFs: gzip, lzf or zstd; not, by default.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Make only a share of the pairs, 3/16 the third of 16; see 'blurgen finish'."),
    ] = None,
    part: Annotated[
        bool, typer.Option("--part", help="Make the shard a file of its own; see 'blurgen merge'.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="A Dask cluster that makes the pairs: tcp://SCHEDULER:8786, whose workers see the folder of "
            "the file; or local:4, processes of this machine, of --threads each, by default 1."
        ),
    ] = None,
    overwrite: _Overwrite = False,
    data_dir: _DataDir = None,
    split: Annotated[
        str | None, typer.Option(help="Of published data sets and drawn images: train or test.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Of text and shapes: pixels a side.")] = None,
    patch: Annotated[
        str | None, typer.Option(help="Of folders, pairs, frames: cut into patches, 64 or 64x48.")
    ] = None,
    stride: Annotated[str | None, typer.Option(help="Of patches: from one to the next.")] = None,
    resize: Annotated[
        str | None, typer.Option(help="Of folders and pairs: resize images, 64 or 64x48.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="Of folders, pairs and shapes: gray or rgb.")] = None,
    blurred: Annotated[
        str | None, typer.Option(help="Of pairs: which of several kinds of blur, such as blur_gamma.")
    ] = None,
    window: Annotated[
        str | None, typer.Option(help="Of frames and videos: how many are averaged, 9 or 7-13.")
    ] = None,
    every: Annotated[
        int | None, typer.Option(help="Of frames and videos: from one window's middle to the next.")
    ] = None,
    curve: Annotated[
        str | None, typer.Option(help="Of frames and videos: gamma, srgb, identity, or a file.")
    ] = None,
    highlights: Annotated[
        float | None, typer.Option(help="Of frames and videos: light beyond white of saturated values.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out, and name, files that cannot be used.")
    ] = False,
    quiet: _Quiet = False,
) -> None:
    """Make a file of pairs. Interrupted, the same command goes on where it stopped."""
    from blurgen.maker import make as make_file
    from blurgen.pairs import open_pairs, partial_path
    from blurgen.sources import open_source

    given = {
        "split": split,
        "size": size,
        "patch": patch,
        "stride": stride,
        "resize": resize,
        "mode": mode,
        "blurred": blurred,
        "window": window,
        "every": every,
        "curve": curve,
        "highlights": highlights,
    }
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if skip_bad:
        options["skip_bad"] = True
    share = None if shard is None else _shard(shard)
    begun = time.perf_counter()
    workers = _cluster(cluster, threads)
    progress = shown_progress(quiet, beside=lambda: str(workers) if workers else "")
    try:
        with progress, compilation_said(progress.note, quiet), workers or contextlib.nullcontext():
            source = open_source(dataset, data_dir=data_dir, seed=seed, **options)
            for path, reason in getattr(source, "skipped", []):
                progress.note(f"skipped {path}: {reason}")
            make_file(
                source,
                out,
                recipe,
                count=count,
                copies=copies,
                seed=seed,
                threads=None if workers else threads,
                psf=psf,
                compression=compression,
                shard=share,
                part=part,
                cluster=workers,
                overwrite=overwrite,
                progress=progress,
                note=progress.note,
            )
    except KeyboardInterrupt:
        _say_kept(out, progress, None if part else share)
        raise typer.Exit(_INTERRUPTED) from None
    if quiet:
        return
    seconds = time.perf_counter() - begun
    made = progress.total - progress.first
    resumed = _resumed(progress)
    speed = f"{seconds:.1f} s{f', {made / progress.seconds:,.0f} pairs/s' if made else ''}"
    if share and not part:
        say(
            f"{partial_path(out)}: {progress.total:,} pairs of shard {share}{resumed}, {speed}; "
            f"when all shards are made: blurgen finish {out}"
        )
        return
    pairs = open_pairs(out)
    say(f"{out}: {len(pairs):,} pairs{resumed} of {_times(pairs.header.shape)}, {_megabytes(out)}, {speed}")


@app.command(epilog="Example: blurgen finish pairs.h5")
def finish(
    file: Annotated[Path, typer.Argument(help="The file that shards were made of.", show_default=False)],
    overwrite: _Overwrite = False,
    threads: _Threads = None,
    quiet: _Quiet = False,
) -> None:
    """Make a file of its shards, once all are made."""
    from blurgen.maker import finish as finish_file
    from blurgen.pairs import open_pairs

    note = shown_progress(quiet).note
    with compilation_said(note, quiet):
        finish_file(file, overwrite=overwrite, threads=threads, note=note)
    if not quiet:
        say(f"{file}: {len(open_pairs(file)):,} pairs, {_megabytes(file)}")


@app.command(epilog="Example: blurgen merge part-*.h5 --out pairs.h5")
def merge(
    parts: Annotated[
        list[Path], typer.Argument(help="All parts, as 'blurgen make --part' made them.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to make.")],
    virtual: Annotated[
        bool,
        typer.Option(
            "--virtual", help="Only point to the parts, which must lie in the file's folder or below it."
        ),
    ] = False,
    overwrite: _Overwrite = False,
    threads: _Threads = None,
    quiet: _Quiet = False,
) -> None:
    """Make a file of its parts. Interrupted, the same command goes on where it stopped."""
    from blurgen.merging import merge as merge_parts
    from blurgen.pairs import open_pairs

    progress = shown_progress(quiet)
    try:
        with progress:
            merge_parts(
                parts,
                out,
                virtual=virtual,
                overwrite=overwrite,
                threads=threads,
                progress=progress,
                note=progress.note,
            )
    except KeyboardInterrupt:
        _say_kept(out, progress)
        raise typer.Exit(_INTERRUPTED) from None
    if not quiet:
        of = f"of {_many(len(parts), 'part')}"
        say(f"{out}: {len(open_pairs(out)):,} pairs {of}{_resumed(progress)}, {_megabytes(out)}")


@app.command(epilog="Example: blurgen info pairs.h5 --json")
def info(
    file: _File,
    as_json: Annotated[bool, typer.Option("--json", help="Print it for machines.")] = False,
) -> None:
    """What a file says of itself, and how its drawn parameters are distributed."""
    from blurgen.pairs import open_pairs

    pairs = open_pairs(file)
    columns = dict(pairs.params)
    if pairs.label is not None:
        columns["label"] = pairs.label
    drawn = {name: _distribution(column) for name, column in columns.items()}
    attributes = pairs.header.attributes()
    if as_json:
        import json

        plain: dict[str, Any] = {
            **attributes,
            "recipe": pairs.recipe.to_dict(),
            "dataset_options": pairs.header.dataset_options,
            "shape": list(pairs.header.shape),
            "psf_size": pairs.header.psf_size,
            "file": str(file),
            "bytes": file.stat().st_size,
            "params": {name: _plain(found) for name, found in drawn.items()},
        }
        say(json.dumps(plain, indent=2, ensure_ascii=False))
        return
    say(_described(pairs, attributes))
    say(_rendered(_distribution_table(drawn, len(pairs))))


@app.command(epilog="Example: blurgen show pairs.h5 --out sheet.png --indices 1,5,9")
def show(
    file: _File,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The picture to write: NAME.png, .svg or .pdf.")
    ] = None,
    inline: Annotated[
        bool,
        typer.Option("--inline", help="Draw in the terminal: kitty, iTerm2, WezTerm …, or one with sixel."),
    ] = False,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many pairs.")] = 24,
    start: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    indices: Annotated[
        str | None, typer.Option(help="These pairs instead: numbers, separated by commas.")
    ] = None,
    columns: _Columns = None,
    scale: Annotated[
        int | None, typer.Option(help="Pixels of the picture for one of an image; by default it fits.")
    ] = None,
) -> None:
    """Draw a contact sheet: sharp, blurred, PSF, and what was drawn."""
    from blurgen.errors import InputError
    from blurgen.pairs import open_pairs
    from blurgen.sheet import contact_sheet
    from blurgen.style import form_of

    if out is None and not inline:
        raise typer.BadParameter("--out or --inline is needed")
    if out is not None:
        form_of(out)
    terminal = _terminal() if inline else None
    pairs = open_pairs(file)
    if indices is not None:
        rows: Sequence[int] = _numbers("--indices", indices, int)
    elif start >= len(pairs):
        raise InputError(f"start {start}: '{file}' holds the pairs 0 … {len(pairs) - 1}")
    else:
        rows = range(start, min(start + count, len(pairs)))
    page = contact_sheet(pairs, rows, columns=columns, scale=scale)
    if terminal is not None:
        terminal.draw(page.image(terminal.width))
    if out is not None:
        say(f"{out}: {_many(len(rows), 'pair')}, {_times(page.save(out))} pixels")


@app.command(epilog="Example: blurgen report pairs.h5 --out report.html")
def report(
    file: _File,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The page to write, NAME.html; NAME.md is a data set's card."),
    ],
    seed: Annotated[int, typer.Option("--seed", "-s", help="Draws which pairs of many are shown.")] = 0,
    quiet: _Quiet = False,
) -> None:
    """Write all that can be told of a file as one HTML page, or as a Hugging Face card."""
    from blurgen.reporting import report as write_report

    progress = shown_progress(quiet)
    with progress, compilation_said(progress.note, quiet):
        done = write_report(file, out, seed=seed, progress=progress)
    if not quiet:
        scored = done.findings.scored.size
        shown = f"{_many(done.shown, 'pair')} shown, " if done.shown else ""
        say(f"{out}: {shown}{scored:,} of {len(done.findings.pairs):,} scored, {_megabytes(out)}")


@app.command(epilog="Example: blurgen export pairs.h5 --to folder --out pairs")
def export(
    file: _File,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            "-t",
            help="folder (PNGs in target and input, for BasicSR, NAFNet, Restormer), lmdb (theirs too), "
            "webdataset (tar shards), npz (NumPy) or hf (Hugging Face).",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
    shard_mb: Annotated[
        int | None,
        typer.Option(min=1, help="Of webdataset, npz, hf: megabytes that no shard exceeds; 256 by default."),
    ] = None,
    threads: _Threads = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export that is there.")] = False,
    quiet: _Quiet = False,
) -> None:
    """Write pairs as other programs read them. Interrupted, the same command goes on where it stopped."""
    from blurgen.exporting import export as export_file
    from blurgen.exporting import kept, partial_path

    progress = shown_progress(quiet)
    try:
        with progress:
            export_file(
                file,
                out,
                to=to,
                shard_bytes=None if shard_mb is None else shard_mb * 10**6,
                threads=threads,
                overwrite=overwrite,
                progress=progress,
            )
    except KeyboardInterrupt:
        if not progress.total:
            raise
        _say_interrupted(kept(out), progress.total, "pairs", partial_path(out))
        raise typer.Exit(_INTERRUPTED) from None
    if not quiet:
        say(f"{out}: {_many(progress.total, 'pair')}{_resumed(progress)}, {progress.seconds:.1f} s")


@app.command(epilog="Example: blurgen verify pairs.h5 --all")
def verify(
    file: _File,
    sample: Annotated[
        int,
        typer.Option(
            min=0,
            help="How many pairs are made again, spread over the file, its first and last included; with 0 "
            "no source is needed.",
        ),
    ] = 1000,
    every: Annotated[bool, typer.Option("--all", help="Make every pair again.")] = False,
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="Where the same images lie now, if they have moved.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="First make again what the checksums say is damaged.")
    ] = False,
    data_dir: _DataDir = None,
    threads: _Threads = None,
    quiet: _Quiet = False,
) -> None:
    """Compare all checksums of a file; then make pairs again from its source, and compare every byte."""
    from blurgen.repairing import repair as repair_file
    from blurgen.verification import verify as verify_file

    if repair:
        with shown_progress(quiet) as progress, compilation_said(progress.note, quiet):
            done = repair_file(file, dataset=dataset, data_dir=data_dir, threads=threads, progress=progress)
        if not quiet:
            say(str(done))
    progress = shown_progress(quiet)
    with progress, compilation_said(progress.note, quiet):
        found = verify_file(
            file,
            sample=None if every else sample,
            dataset=dataset,
            data_dir=data_dir,
            threads=threads,
            progress=progress,
        )
    if not found.ok:
        say(f"blurgen: {found}", sys.stderr)
        raise typer.Exit(1)
    if not quiet:
        say(str(found))


@app.command(epilog="Example: blurgen gallery --out gallery realistic motion")
def gallery(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write the pages to.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Recipes and stages; by default all that are built in.", show_default=False),
    ] = None,
    figures: Annotated[str, typer.Option(help="The format of the histograms: png, svg or pdf.")] = "png",
    quiet: _Quiet = False,
) -> None:
    """Write pages that show recipes and stages on the same images, with what they draw."""
    from blurgen.gallery import write_gallery

    progress = shown_progress(quiet, "pages")
    with progress, compilation_said(progress.note, quiet):
        pages = write_gallery(out, names or (), progress, figures=figures)
    if not quiet:
        say(f"{out}: {_many(len(pages), 'page')}")


@app.command(epilog="Example: blurgen psf motion --length 3,5,9 --angle 0,30,60,90 --out grid.png")
def psf(
    kind: Annotated[
        str | None,
        typer.Argument(help="motion, gaussian, box or disk.", show_default=False),
    ] = None,
    length: Annotated[str | None, typer.Option(help="Of motion: pixels.")] = None,
    angle: Annotated[
        str | None, typer.Option(help="Of motion: degrees, anticlockwise; by default 0.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Of gaussian and box: pixels, 5 or 5x9.")] = None,
    sigma: Annotated[str | None, typer.Option(help="Of gaussian: pixels.")] = None,
    radius: Annotated[str | None, typer.Option(help="Of disk: pixels.")] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", "-r", help="Instead of a family: the PSFs that a recipe draws.")
    ] = None,
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, max=10_000, help="With --recipe: how many.")
    ] = 36,
    seed: Annotated[int, typer.Option("--seed", "-s", help="With --recipe: the seed.")] = 0,
    file: Annotated[
        Path | None, typer.Option(help="Instead of a family: the PSFs of a .npz, .npy, .mat or .png file.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The picture to write: NAME.png, .svg or .pdf; else numbers are printed."
        ),
    ] = None,
    columns: _Columns = None,
) -> None:
    """Draw or print PSFs: of a family (lists of parameters, 3,5,9, make a grid), a recipe or a file."""
    if sum(source is not None for source in (kind, recipe, file)) != 1:
        raise typer.BadParameter("one of a family, --recipe or --file is needed")
    options = {"length": length, "angle": angle, "size": size, "sigma": sigma, "radius": radius}
    given = {name: value for name, value in options.items() if value is not None}
    if kind is None and given:
        raise typer.BadParameter(f"--{next(iter(given))} goes with a family of PSFs only")
    if kind is not None:
        gallery = _family(kind, given)
    elif recipe is not None:
        gallery = _of_recipe(recipe, count, seed)
    else:
        assert file is not None
        gallery = _of_file(file)
    if out is None:
        blocks = [
            f"{'  '.join(caption)}\n{_table(psf)}"
            for psf, caption in zip(gallery.psfs, gallery.captions, strict=True)
        ]
        say("\n\n".join(blocks))
        return
    from blurgen.sheet import psf_grid

    page = psf_grid(gallery.psfs, gallery.captions, title=gallery.title, columns=columns or gallery.columns)
    say(f"{out}: {_many(len(gallery.psfs), 'PSF')}, {_times(page.save(out))} pixels")


@app.command(epilog="Example: blurgen recipes mnist-motion > my.yaml")
def recipes(
    name: Annotated[
        str | None, typer.Argument(help="A built-in recipe, or a file: print it as YAML.", show_default=False)
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of recipes.")] = False,
) -> None:
    """List the built-in recipes, or print one as YAML that is ready to edit."""
    if name is not None and schema:
        raise typer.BadParameter("a name and --schema exclude each other")
    from blurgen.recipe import Recipe, load_recipe
    from blurgen.recipe import recipes as built_in

    if schema:
        import json

        say(json.dumps(Recipe.json_schema(), indent=2, ensure_ascii=False))
    elif name is not None:
        say(load_recipe(name).to_yaml().rstrip("\n"))
    else:
        say(_rendered(_recipe_table(built_in().values())))


@app.command(epilog="Example: blurgen play realistic --images photos")
def play(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A built-in recipe, or a YAML or JSON file; by default one that suits the images.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="A folder of your own images; else drawn ones.")] = None,
    patch: Annotated[
        int | None,
        typer.Option(min=1, help="Of --images: cut into patches of this side; by default if they are large."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", "-s", min=0, help="The seed to begin with.")] = 0,
    host: Annotated[
        str, typer.Option(help="The address to listen on; the default is reached from this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")
    ] = 8080,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
) -> None:
    """Tune a recipe by eye, on a local page. Ctrl-C ends it."""
    from blurgen.play import play as serve_page

    serve_page(
        recipe,
        images=images,
        patch=patch,
        seed=seed,
        host=host,
        port=port,
        browser=browser,
        said=lambda address: say(f"blurgen play: {address} (Ctrl-C ends it)"),
    )


# ---- what commands print ----


def _terminal() -> Terminal:
    from blurgen.inline import this_terminal

    return this_terminal()


def _rendered(renderable: Any) -> str:
    """What Rich makes of it, as text for standard output."""
    from rich.console import Console

    console = Console(file=sys.stdout)
    with console.capture() as captured:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))


def _shard(text: str) -> Shard:
    from blurgen.errors import InputError
    from blurgen.pairs.shards import checked_shard

    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal()):
        raise InputError(f"--shard {text!r}: which one and of how many is needed, such as 3/16")
    return checked_shard((int(number), int(of)))


def _cluster(address: str | None, threads: int | None) -> Cluster | None:
    if address is None:
        return None
    from blurgen.cluster import Cluster

    return Cluster(address, threads)


def _say_kept(out: Path, progress: Progress, shard: Shard | None = None) -> None:
    """Say what an interrupted command leaves; if that is nothing, be interrupted."""
    from blurgen.pairs import kept, partial_path

    done, total = kept(out, shard) if progress.total else (0, 0)
    if not total:
        raise KeyboardInterrupt
    _say_interrupted(done, total, f"pairs of shard {shard}" if shard else "pairs", partial_path(out))


def _say_interrupted(done: int, total: int, what: str, place: Path) -> None:
    say(
        f"blurgen: interrupted: {done:,} of {total:,} {what} are kept in {place}; "
        "the same command goes on from there",
        sys.stderr,
    )


def _resumed(progress: Progress) -> str:
    return f" ({progress.first:,} were there already)" if progress.first else ""


def _times(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape))


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _megabytes(path: Path) -> str:
    size = path.stat().st_size / 1e6
    return f"{size:,.{1 if size >= 1 else 3}f} MB"


class _Distribution(NamedTuple):
    """Of a column: how many took part, and their range, mean and histogram."""

    part: int
    low: float
    high: float
    mean: float
    whole: bool
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def _distribution(column: NDArray[Any]) -> _Distribution:
    """NaN and, for whole numbers, −1 stand for samples that took no part."""
    import numpy as np

    whole = column.dtype.kind in "iu"
    values = column[column != -1] if whole else column[~np.isnan(column)]
    if not values.size:
        return _Distribution(0, 0, 0, 0, whole, np.empty(0), np.empty(0, np.int64))
    low, high = values.min().item(), values.max().item()
    if whole and high - low < _BINS:
        edges = np.arange(low, high + 2) - 0.5  # a bin for each number
    else:
        edges = np.linspace(low, high, _BINS + 1)
    counts = np.histogram(values, edges)[0] if high > low else np.array([values.size])
    return _Distribution(values.size, low, high, values.mean().item(), whole, edges, counts)


def _plain(found: _Distribution) -> dict[str, Any]:
    """A distribution for JSON, which knows no NaN."""
    if not found.part:
        return {"count": 0}
    return {
        "count": found.part,
        "min": found.low,
        "max": found.high,
        "mean": found.mean,
        "histogram": {"edges": found.edges.tolist(), "counts": found.counts.tolist()},
    }


def _described(pairs: PairFile, attributes: dict[str, Any]) -> str:
    shown = {name: value for name, value in attributes.items() if name != "recipe"}
    shown["shape"] = _times(pairs.header.shape)
    shown["labels"] = "yes" if pairs.header.has_labels else "no"
    shown["PSFs"] = _times((pairs.header.psf_size,) * 2) if pairs.header.psf_size else "no"
    shown["file size"] = _megabytes(pairs.path)
    lines = [f"{name:16}  {printable(str(value))}" for name, value in shown.items()]
    recipe = pairs.recipe.to_yaml().rstrip("\n").split("\n")
    return "\n".join([*lines, "recipe", *(f"  {line}" for line in recipe), ""])


def _distribution_table(drawn: dict[str, _Distribution], count: int) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("drawn", overflow="fold")
    for name in ("took part", "from", "to", "mean"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("how often", no_wrap=True)
    for name, found in drawn.items():
        part = "all" if found.part == count else f"{found.part:,}"
        if not found.part:
            table.add_row(name, "none", "", "", "", "")
            continue
        most = int(found.counts.max())
        # whatever occurs at all is seen
        blocks = "".join(_BLOCKS[-(-8 * int(n) // most)] for n in found.counts)
        low, high = (str(n) if found.whole else f"{n:#.5g}".rstrip(".") for n in (found.low, found.high))
        table.add_row(name, part, low, high, f"{found.mean:.4g}", blocks)
    return table


def _recipe_table(found: Iterable[Recipe]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("recipe", "copies", "stages", "source"):
        table.add_column(name, justify="right" if name == "copies" else "left", no_wrap=name == "recipe")
    for recipe in found:
        stages = " → ".join(stage.kind for stage in recipe.stages)
        table.add_row(recipe.name, str(recipe.copies), stages, recipe.source)
    return table


# ---- PSFs ----


class _Gallery(NamedTuple):
    psfs: list[NDArray[np.floating[Any]]]
    captions: list[list[str]]
    title: str
    columns: int | None = None


_REQUIRED: Final = None
_FAMILIES: Final[dict[str, dict[str, str | None]]] = {
    # each family's parameters in the order of its function, and their defaults
    "motion": {"length": _REQUIRED, "angle": "0"},
    "gaussian": {"size": _REQUIRED, "sigma": _REQUIRED},
    "box": {"size": _REQUIRED},
    "disk": {"radius": _REQUIRED},
}


def _family(kind: str, given: dict[str, str]) -> _Gallery:
    import blurgen.psf as families

    if kind not in _FAMILIES:
        raise typer.BadParameter(f"there is no family '{kind}'; there are {', '.join(_FAMILIES)}")
    taken = _FAMILIES[kind]
    for name in given:
        if name not in taken:
            raise typer.BadParameter(f"{kind} takes no --{name}; it takes --{' and --'.join(taken)}")
    lists: list[list[Any]] = []
    for name, default in taken.items():
        text = given.get(name, default)
        if text is None:
            raise typer.BadParameter(f"{kind} needs --{name}")
        lists.append(_numbers(f"--{name}", text, _size if name == "size" else float))
    render: Callable[..., NDArray[np.float64]] = getattr(families, kind)
    points = list(itertools.product(*lists))
    captions = [[_caption(name, value) for name, value in zip(taken, point, strict=True)] for point in points]
    grid = len(lists[-1]) if len(lists) == 2 and min(map(len, lists)) > 1 else None
    return _Gallery([render(*point) for point in points], captions, kind, grid)


def _of_recipe(name: str, count: int, seed: int) -> _Gallery:
    import numpy as np

    from blurgen.errors import InputError
    from blurgen.recipe import load_recipe
    from blurgen.sheet import short_params

    recipe = load_recipe(name)
    if recipe.psf_size == 1:
        raise InputError(f"recipe '{recipe.name}' has no PSF: none of its stages is a blur by one")
    draws = recipe.draws(seed, np.arange(count, dtype=np.int64))
    params = recipe.sample(draws)
    psfs = recipe.psfs(params, draws)
    captions = [[f"#{i}", *short_params(params, i)] for i in range(count)]
    return _Gallery(list(psfs), captions, f"{recipe.name}, seed {seed}")


def _of_file(path: Path) -> _Gallery:
    from blurgen.psf import load_psfs

    psfs = load_psfs(path)
    return _Gallery(list(psfs), [[f"#{i}"] for i in range(len(psfs))], path.name)


def _size(text: str) -> int | tuple[int, int]:
    rows, times, columns = text.partition("x")
    return (int(rows), int(columns)) if times else int(rows)


def _caption(name: str, value: float | tuple[int, int]) -> str:
    number = _times(value) if isinstance(value, tuple) else f"{value:g}"
    return f"{name} {number}{'°' if name == 'angle' else ''}"


def _numbers(option: str, text: str, kind: Callable[[str], Any]) -> list[Any]:
    """The numbers of a list with commas."""
    try:
        return [kind(part.strip()) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{option} {text!r}: numbers separated by commas are needed") from None


def _table(psf: NDArray[np.floating[Any]]) -> str:
    """The numbers of a PSF, a line a row; zeros as points, so that its form is seen."""
    rows = [[f"{value:.4f}" if value else "·" for value in row] for row in psf]
    return "\n".join(" ".join(f"{cell:>6}" for cell in row) for row in rows)
