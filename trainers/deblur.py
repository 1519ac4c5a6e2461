"""Deblur images: ``python -m trainers.deblur RUN SRC DST``."""

from __future__ import annotations

import os
import sys
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer

from blurgen.sources.folder import natural_key
from blurgen.threads import usable_cpus
from trainers.arrays import ENDING as ARRAY_ENDING
from trainers.arrays import array_name, is_array, restore_array
from trainers.assembly import chosen_device
from trainers.checkpoint import load_network
from trainers.console import Imports, Progress, command, say
from trainers.console import run as run_command
from trainers.errors import TrainerError
from trainers.pictures import ENDINGS, Picture, read_picture, target_name, write_picture
from trainers.restorer import Restorer
from trainers.tiling import check_tiles

_TILE, _OVERLAP = 512, 64
_AHEAD = 4  # images that are read before, and written after, the one under way


class _Job(NamedTuple):
    source: Path
    target: Path


@dataclass
class Deblurred:
    """What became of the images.

    Attributes
    ----------
    written : list of Path
        The files that were written.
    skipped : list of (Path, str)
        Those that could not be read or written, and why.
    """

    written: list[Path] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)


def deblur(
    run: str | os.PathLike[str],
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    tile: int = _TILE,
    overlap: int = _OVERLAP,
    overwrite: bool = False,
    device: str = "auto",
    precision: str = "fp32",
    quiet: bool = True,
) -> Deblurred:
    """Restore an image file, all those of a folder and the folders below it, or the images of an array.

    Any size and any format of `trainers.pictures.ENDINGS`; names, folders, formats, 16 bits of gray, alpha,
    colour profile and EXIF are kept, images are turned upright. Of a file of several images the first is
    taken. The images of an array go through the network many at a time, and become one array of uint8.

    A network for gray images restores each channel of colour images by itself; one for colour images gives
    the mean of its channels for gray ones. A network of a fixed size gets the image resized, and its result
    is resized back.

    Parameters
    ----------
    run : path-like
        A run's folder, of which the best weights are taken, or a file of weights.
    source, target : path-like
        A file and the file to write, or a folder for it; or two folders; or an array as `blurgen.open_source`
        names it, ``mat:FILE#VARIABLE``, ``npy:FILE``, ``npz:FILE#NAME``, ``hdf5:FILE#DATASET`` or
        ``idx:FILE``, and the ``.npy`` file to write, of shape (N, H, W), or (N, H, W, 3) for colour images.
    tile, overlap : int
        Larger images go through the network in tiles of this side, which overlap by so much at least and fade
        into each other; ``tile=0`` takes all images whole.
    overwrite : bool
        Replace files that exist.
    device : str
        As PyTorch names it; ``auto`` takes a GPU where there is one.
    precision : {"fp32", "bf16"}
        The arithmetic of the network.
    quiet : bool
        Say nothing.

    Returns
    -------
    Deblurred
        What was written, and what was skipped.

    Raises
    ------
    TrainerError, BlurgenError
        With one sentence that says what is wrong; also where no image at all could be restored.
    """
    if precision not in ("fp32", "bf16"):
        raise TrainerError(f"precision {precision!r}: fp32 or bf16 is needed")
    place = chosen_device(device)
    network, _ = load_network(run)
    check_tiles(network, tile, overlap)
    network = network.to(place, memory_format=torch.channels_last)
    restore = Restorer(network, place, precision, tile, overlap)
    into = Path(target)
    with Progress(quiet, unit="images") as progress:
        if is_array(named := os.fspath(source)):
            return Deblurred([restore_array(named, into, restore, overwrite=overwrite, progress=progress)])
        done = _restore_files(_jobs(Path(source), into, overwrite), restore, progress, quiet)
        left = f", {len(done.skipped)} skipped" if done.skipped else ""
        progress.say(
            f"{len(done.written)} of {len(done.written) + len(done.skipped)} images restored{left}: {target}"
        )
    return done


def _restore_files(jobs: Sequence[_Job], restore: Restorer, progress: Progress, quiet: bool) -> Deblurred:
    done = Deblurred()
    # what Pillow finds odd about a file, such as its size, is no news to who named it
    with warnings.catch_warnings(), ThreadPoolExecutor(usable_cpus() + 1) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")
        progress.begin("deblurring", len(jobs))
        writing: deque[tuple[_Job, Future[Path]]] = deque()
        for number, (job, picture) in enumerate(_read_ahead(jobs, pool, done), 1):
            if picture is None:
                _tell_skipped(done, quiet)
            else:
                if picture.frames > 1 and not quiet:
                    progress.say(f"{job.source}: the first of its {picture.frames} images is taken")
                restored = picture.with_pixels(restore(picture.pixels[None])[0])
                writing.append((job, pool.submit(write_picture, restored, job.target)))
            while len(writing) > _AHEAD:
                _finish(*writing.popleft(), done, quiet)
            progress.reached(number, job.source.name)
        while writing:
            _finish(*writing.popleft(), done, quiet)
        progress.end()
    if not done.written:
        first, reason = done.skipped[0]
        raise TrainerError(f"none of {len(jobs)} images could be restored: '{first}': {reason}")
    return done


def _read_ahead(
    jobs: Sequence[_Job], pool: ThreadPoolExecutor, done: Deblurred
) -> Iterator[tuple[_Job, Picture | None]]:
    """The pictures in order; None for one that cannot be read, which is then listed."""
    coming: deque[tuple[_Job, Future[Picture]]] = deque()
    waiting = iter(jobs)
    while True:
        while len(coming) < _AHEAD and (job := next(waiting, None)) is not None:
            coming.append((job, pool.submit(read_picture, job.source)))
        if not coming:
            return
        job, future = coming.popleft()
        try:
            yield job, future.result()
        except ValueError as error:
            done.skipped.append((job.source, " ".join(str(error).split())))
            yield job, None


def _finish(job: _Job, future: Future[Path], done: Deblurred, quiet: bool) -> None:
    try:
        done.written.append(future.result())
    except TrainerError as error:
        done.skipped.append((job.source, str(error)))
        _tell_skipped(done, quiet)


def _tell_skipped(done: Deblurred, quiet: bool) -> None:
    path, reason = done.skipped[-1]
    if not quiet:
        say(f"deblur: skipped {path}: {reason}", sys.stderr)


# ---- which files ----


def _jobs(source: Path, target: Path, overwrite: bool) -> list[_Job]:
    if not source.exists():
        raise TrainerError(f"'{source}' does not exist")
    if source.is_file() and (meant := array_name(source)):
        raise TrainerError(f"'{source}' is no image: name the array in it, '{meant}'")
    if target.suffix == ARRAY_ENDING:
        raise TrainerError(
            f"'{target}': only the images of an array become an array, those of files stay files"
        )
    if source.is_dir():
        if target.exists() and not target.is_dir():
            raise TrainerError(f"'{source}' is a folder, '{target}' is a file: a folder is needed")
        found = _images_below(source, target)
        if not found:
            raise TrainerError(f"'{source}' holds no image files")
        jobs = [_Job(path, target / path.relative_to(source).with_name(target_name(path))) for path in found]
    else:
        into = target.is_dir() or not target.suffix
        jobs = [_Job(source, target / target_name(source) if into else target)]
    for job in jobs:
        if job.target.exists() and job.target.samefile(job.source):
            raise TrainerError(f"'{job.source}' would be replaced by its result: name another place")
    sources = {job.target: job.source for job in jobs}
    for job in jobs:
        if sources[job.target] != job.source:
            raise TrainerError(
                f"'{job.source}' and '{sources[job.target]}' would both become '{job.target}': rename one"
            )
    taken = [job.target for job in jobs if job.target.exists()]
    if taken and not overwrite:
        more = f" and {len(taken) - 1} more exist" if len(taken) > 1 else " exists"
        raise TrainerError(f"'{taken[0]}'{more}: name another place, or replace them (--overwrite)")
    return jobs


def _images_below(source: Path, target: Path) -> list[Path]:
    """Image files by their endings, but for hidden ones and those of the folder that is written to."""
    apart = target.resolve()
    found = []
    for folder, folders, files in os.walk(source):
        here = Path(folder)
        folders[:] = [
            each for each in folders if not each.startswith(".") and (here / each).resolve() != apart
        ]
        found += [
            here / file for file in files if not file.startswith(".") and file.lower().endswith(ENDINGS)
        ]
    return sorted(found, key=lambda path: natural_key(path.relative_to(source).as_posix()))


# ---- command ----

app = command("deblur", "Restore images with a network.")


@app.command(epilog="Example: python -m trainers.deblur runs/nafnet-pairs photos/ restored/")
def _command(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a file of weights.", show_default=False)],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC",
            help="An image, a folder, or an array as of blurgen make: mat:FILE#VARIABLE, npy:FILE, …",
            show_default=False,
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(metavar="DST", help="What to write; of an array, a .npy file.", show_default=False),
    ],
    tile: Annotated[
        int, typer.Option(help="Larger images are restored in tiles of this side; 0: whole.")
    ] = _TILE,
    overlap: Annotated[int, typer.Option(help="Of neighbouring tiles.")] = _OVERLAP,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1; by default a GPU if any.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    imports: Imports = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    deblur(
        run,
        source,
        target,
        tile=tile,
        overlap=overlap,
        overwrite=overwrite,
        device=device,
        precision=precision,
        quiet=quiet,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 for an error that was said, 2 for wrong usage."""
    return run_command(app, "deblur", argv)


if __name__ == "__main__":
    sys.exit(main())
