"""What the commands share: parsing, errors, progress, and a way to stop between two steps."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, TextIO

import typer
import typer.main
import yaml

from blurgen.console import clock, live_bar, on_terminal
from blurgen.errors import BlurgenError
from trainers.errors import TrainerError, is_out_of_memory
from trainers.imports import run_imports

INTERRUPTED = 130
_LINE_SECONDS = 10.0  # between lines of progress where there is no terminal


# an option of every command: what it names is imported before anything else happens
Imports = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="FILE|MODULE",
        help="Python that registers networks of one's own: mine.py or package.module; may be repeated.",
        callback=run_imports,
        is_eager=True,
    ),
]


class StopError(Exception):
    """Someone asked to stop; the message says what is kept."""


def command(name: str, summary: str = "") -> typer.Typer:
    """A Typer application of one command, `name`."""
    return typer.Typer(
        name=name,
        help=summary,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def run(app: typer.Typer, name: str, argv: list[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    app : Typer
        The command.
    name : str
        What errors begin with.
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
    parsed = typer.main.get_command(app)
    for step in ("make_context", "invoke"):  # imports happen while options are read
        setattr(parsed, step, _stoppable(getattr(parsed, step)))
    try:
        parsed(args=sys.argv[1:] if argv is None else argv, prog_name=name)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except StopError as stopped:
        say(f"{name}: {stopped}", sys.stderr)
        return INTERRUPTED
    except (BlurgenError, OSError) as error:
        say(f"{name}: {' '.join(str(error).split())}", sys.stderr)
        return 1
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        say(f"{name}: out of memory: fewer or smaller images at once may help", sys.stderr)
        return 1
    return 0


def _stoppable(act: Callable[..., Any]) -> Callable[..., Any]:
    def acted(*args: Any, **options: Any) -> Any:
        try:
            return act(*args, **options)
        except KeyboardInterrupt:  # before Typer makes its own of it
            raise StopError("interrupted") from None

    return acted


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line at once; a reader who went away is no error."""
    out = sys.stdout if stream is None else stream
    with contextlib.suppress(BrokenPipeError):
        out.write(f"{text}\n")
        out.flush()


def key_values(option: str, pairs: Sequence[str] | None) -> dict[str, Any]:
    """``["width=32", "encoder=1,1,28"]`` as ``{"width": 32, "encoder": [1, 1, 28]}``.

    Values are read as YAML; commas make lists.

    Raises
    ------
    TrainerError
        If one is no NAME=VALUE.
    """
    found: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise TrainerError(f"{option} {pair!r}: NAME=VALUE is needed")
        bare = text.strip().removeprefix("[").removesuffix("]").removeprefix("(").removesuffix(")")
        values = [_value(option, pair, part) for part in bare.split(",") if part.strip()]
        found[name.strip()] = values if "," in bare or bare != text.strip() else values[0] if values else ""
    return found


def _value(option: str, pair: str, text: str) -> Any:
    with contextlib.suppress(ValueError):
        return int(text)
    with contextlib.suppress(ValueError):
        return float(text)  # YAML 1.1 takes 1e-3 for text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise TrainerError(f"{option} {pair!r}: the value cannot be read") from None


class StopRequest:
    """Whether someone asked to stop; true after the first Ctrl-C or SIGTERM."""

    def __init__(self) -> None:
        self.asked = False


@contextlib.contextmanager
def stop_request(say_so: Callable[[str], None]) -> Iterator[StopRequest]:
    """Turn the first Ctrl-C (or SIGTERM) within into a request; a second one acts at once."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request  # signals are the main thread's
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def asked(number: int, _: Any) -> None:
        request.asked = True
        for known, handler in before.items():
            signal.signal(known, handler)
        say_so("stopping after this step; once more, and it stops at once")

    for number in before:
        signal.signal(number, asked)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Progress:
    """Counts steps: a bar on a terminal, a line every few seconds elsewhere, nothing where it is quiet."""

    def __init__(self, quiet: bool = False, unit: str = "steps") -> None:
        self._quiet = quiet
        self._unit = unit
        self._bar: Any = None
        self._task: Any = None
        self._terminal = not quiet and on_terminal()
        self._begun = self._said = 0.0
        self._first = 0

    def begin(self, what: str, total: int, done: int = 0) -> None:
        """Count anew, up to `total`."""
        self.end()
        self._what, self._total, self._first = what, total, done
        self._begun = self._said = time.monotonic()
        if self._terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

            self._bar = live_bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
            )
            self._bar.start()
            self._task = self._bar.add_task(what, total=total, completed=done, note="")

    def reached(self, done: int, note: str = "") -> None:
        """So many are done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
            return
        now = time.monotonic()
        if self._quiet or now - self._said < _LINE_SECONDS or done >= self._total:
            return
        self._said = now
        left = (now - self._begun) / max(1, done - self._first) * (self._total - done)
        parts = [f"{self._what}: {done:,} of {self._total:,} {self._unit}", note, f"{clock(left)} left"]
        say(", ".join(part for part in parts if part), sys.stderr)

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.stop()
            say(text)
            self._bar.start()
        else:
            say(text)

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
