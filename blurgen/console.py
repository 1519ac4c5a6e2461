"""What commands say: lines, progress, and that loops are being compiled."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from blurgen.errors import FileError

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import Task

_LINE_SECONDS = 5.0  # between lines of progress where there is no terminal


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line. If nobody reads any more, the command goes on in silence: its exit code still counts."""
    stream = stream or sys.stdout
    flush(stream, f"{text}\n")


def flush(stream: TextIO, text: str = "") -> None:
    """Write `text` and all that waits in the stream's buffer."""
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:  # a name that is no text, or an output that has few letters
            stream.write(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding))
        stream.flush()
    except BrokenPipeError:
        _close(stream)
    except OSError as error:
        _close(stream)
        if stream is sys.stdout:
            raise FileError(f"the output cannot be written: {error.strerror}") from None


def _close(stream: TextIO) -> None:
    """Let what is still written to `stream` vanish, Python's own last flush included."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Progress:
    """Counts, and shows nothing; notes are still said.

    Parameters
    ----------
    unit : str
        What is counted.
    beside : callable, optional
        Gives what is shown beside.

    Attributes
    ----------
    total : int
        How many there are to do; 0 before anything began.
    first : int
        How many were done before.
    seconds : float
        Since the first was begun.
    """

    def __init__(self, unit: str, beside: Callable[[], str] = str) -> None:
        self.unit = unit
        self.beside = beside
        self.total = 0
        self.first = 0
        self._begun = self._last = 0.0

    @property
    def seconds(self) -> float:
        """Since the first count."""
        return max(self._last - self._begun, 1e-6)

    def __call__(self, done: int, total: int) -> None:
        """So many of so many are done."""
        self._last = time.perf_counter()
        if not self.total:
            self.total, self.first, self._begun = total, done, self._last
        self._show(done)

    def _show(self, done: int) -> None:
        pass

    def note(self, text: str) -> None:
        """Say something beside."""
        say(f"blurgen: {text}", sys.stderr)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Lines(Progress):
    """A line on standard error every few seconds, and one at the end."""

    _said = 0.0

    def _show(self, done: int) -> None:
        self._said = self._said or self._begun
        if self._last - self._said < _LINE_SECONDS and done < self.total:
            return
        self._said = self._last
        rate = (done - self.first) / self.seconds
        line = f"{done:,} of {self.total:,} {self.unit} ({100 * done // self.total} %)"
        if done > self.first:
            line += f", {rate:,.0f} {self.unit}/s"
            if done < self.total:
                line += f", {clock((self.total - done) / rate)} left"
        if beside := self.beside():
            line += f", {beside}"
        say(line, sys.stderr)


class Bar(Progress):
    """A bar on the terminal."""

    def __init__(self, unit: str, beside: Callable[[], str] = str) -> None:
        super().__init__(unit, beside)
        self._bar: RichProgress | None = None
        self._task: Any = None

    def _show(self, done: int) -> None:
        if self._bar is None:
            self._bar = live_bar(*_columns(self.unit, self.beside))
            self._bar.start()
            self._task = self._bar.add_task(self.unit, total=self.total, completed=done)
        self._bar.update(self._task, completed=done)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _columns(unit: str, beside: Callable[[], str]) -> tuple[Any, ...]:
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            rate = task.finished_speed or task.speed
            return Text(f"{rate:,.0f} {unit}/s" if rate else "")

    class Beside(ProgressColumn):
        def render(self, _: Task) -> Text:
            return Text(beside())

    return BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn(), Beside()


def live_bar(*columns: Any, transient: bool = True) -> RichProgress:
    """A bar on standard error that leaves the lines of others whole: prints, warnings, and what loggers say.

    They appear above it, at their full length. What does not go through Python's streams cannot be seen here.

    Parameters
    ----------
    *columns : ProgressColumn
        Rich's, of which it consists.
    transient : bool
        Whether it vanishes at the end.
    """
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.progress import Progress as RichProgress

    class Fitted:
        """What is cut to the terminal's width, though lines of others are not."""

        def __init__(self, content: RenderableType) -> None:
            self.content = content

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            cut = options.update(no_wrap=True, overflow="ellipsis")
            for line in console.render_lines(self.content, cut, pad=False)[:1]:
                yield from line

    class Whole(RichProgress):
        moved: tuple[tuple[logging.StreamHandler[Any], TextIO], ...] = ()

        def get_renderable(self) -> RenderableType:
            return Fitted(super().get_renderable())

        def start(self) -> None:
            out, err = sys.stdout, sys.stderr
            super().start()
            # loggers keep the streams that they found
            self.moved = tuple((handler, handler.stream) for handler in _handlers_on(out, err))
            for handler, stream in self.moved:
                handler.setStream(sys.stdout if stream is out else sys.stderr)

        def stop(self) -> None:
            for handler, stream in self.moved:
                handler.setStream(stream)
            self.moved = ()
            super().stop()

    return Whole(
        *columns,
        console=Console(stderr=True, soft_wrap=True),
        transient=transient,
        redirect_stdout=sys.stdout.isatty(),  # what goes into a file does not meet the bar
    )


def _handlers_on(*streams: TextIO) -> list[logging.StreamHandler[Any]]:
    known = [logging.root, *logging.root.manager.loggerDict.values()]
    return [
        handler
        for logger in known
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
        if isinstance(handler, logging.StreamHandler) and any(handler.stream is one for one in streams)
    ]


def on_terminal() -> bool:
    """Whether standard error is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def shown_progress(quiet: bool, unit: str = "pairs", beside: Callable[[], str] = str) -> Progress:
    """What shows progress here: nothing, a bar on a terminal, else lines."""
    if quiet:
        return Progress(unit, beside)
    return (Bar if on_terminal() else Lines)(unit, beside)


def clock(seconds: float) -> str:
    """A time as people read it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}:{minutes:02}:{rest:02} h"
        if hours
        else (f"{minutes}:{rest:02} min" if minutes else f"{rest} s")
    )


@contextlib.contextmanager
def compilation_said(note: Callable[[str], None], quiet: bool) -> Iterator[None]:
    """Say so, once, if Numba really compiles within: the first time this takes seconds."""
    if quiet:
        yield
        return
    from numba.core import event

    class Listener(event.Listener):  # type: ignore[misc]
        said = False

        def on_start(self, _: Any) -> None:
            if not self.said:
                self.said = True
                note("compiling the loops for this processor; kept for the next time")

        def on_end(self, _: Any) -> None:
            pass

    listener = Listener()
    event.register("numba:compile", listener)
    try:
        yield
    finally:
        event.unregister("numba:compile", listener)
