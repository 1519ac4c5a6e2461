"""A session at work: edits and drawing beside the server's loop, and word of them to every window."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from nicegui import Event, background_tasks, run

from blurgen.console import compilation_said
from blurgen.play.checks import Problem
from blurgen.play.document import Document
from blurgen.play.outline import Path
from blurgen.play.pictures import Pictures
from blurgen.play.session import Session

_KEPT = 8  # drawings that windows may still ask for


@dataclass(frozen=True)
class Drawing:
    """What was drawn of a side.

    Attributes
    ----------
    serial : int
        Different for every drawing.
    pictures : Pictures or None
        The pairs, or the last that could be drawn; None before there are any.
    problem : Problem or None
        What keeps the present recipe from being drawn.
    """

    serial: int
    pictures: Pictures | None
    problem: Problem | None


class Studio:
    """A session, shared by all windows.

    Attributes
    ----------
    session : Session
        The state.
    drawings : dict
        What was drawn last, by side.
    edited : Event
        A document changed; told who changed it (a window's own object, or None).
    drawn : Event
        Pictures changed, or drawing began or ended.
    busy : str
        What is being done, for people; empty at rest.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.drawings: dict[str, Drawing] = {}
        self.edited: Event[Any] = Event()
        self.drawn: Event[[]] = Event()
        self.busy = ""
        self._serial = 0
        self._wanted = False
        self._drawn_of: dict[str, object] = {}
        self._kept: dict[int, Pictures] = {}
        self._turned: dict[Path, Any] = {}
        self._turning = False

    @property
    def is_turning(self) -> bool:
        """Whether a slider has moved further than the document tells."""
        return bool(self._turned)

    def write(self, document: Document, origin: object = None) -> None:
        """Let the edited side be another document."""
        self.session.document = document
        self.edited.emit(origin)
        self.redraw()

    def turn(self, values: dict[Path, Any], origin: object) -> None:
        """Put numbers that a slider moves into the document; of those that come too fast the last counts."""
        self._turned.update(values)
        if not self._turning:
            self._turning = True
            background_tasks.create(self._turn(origin), name="turn")

    async def _turn(self, origin: object) -> None:
        try:
            while self._turned:
                values, self._turned = self._turned, {}
                before = self.session.document
                after = await run.io_bound(_put, before, values)
                if after is not None and self.session.document is before:
                    self.write(after, origin)
        finally:
            self._turning = False

    def redraw(self) -> None:
        """Draw what the session says now; what is being drawn is replaced as soon as it is done."""
        if self._wanted:
            return
        self._wanted = True
        if not self.busy:
            self.busy = "drawing"
            background_tasks.create(self._draw(), name="draw")

    async def _draw(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                self.drawn.emit()
                for side, tuned in list(self.session.tuned.items()):
                    of = tuned.document.text, self.session.seed, self.session.choice
                    if self._drawn_of.get(side) == of:
                        continue
                    made = await run.io_bound(self._made, side, asyncio.get_running_loop())
                    if made is not None and side in self.session.tuned:
                        self._drawn_of[side] = of
                        self._keep(side, made)
                        self.drawn.emit()
        finally:
            self.busy = ""
            self.drawn.emit()

    def _made(self, side: str, loop: asyncio.AbstractEventLoop) -> Pictures | Problem:
        def note(text: str) -> None:
            loop.call_soon_threadsafe(self._note, text)

        with compilation_said(note, quiet=False):
            return self.session.draw(side)

    def _note(self, text: str) -> None:
        self.busy = text
        self.drawn.emit()

    def _keep(self, side: str, made: Pictures | Problem) -> None:
        self._serial += 1
        if isinstance(made, Problem):
            last = self.drawings.get(side)
            serial, shown = (last.serial, last.pictures) if last else (self._serial, None)
            self.drawings[side] = Drawing(serial, shown, made)
            return
        self.drawings[side] = Drawing(self._serial, made, None)
        self._kept[self._serial] = made
        now = {drawing.serial for drawing in self.drawings.values()}
        for serial in [old for old in self._kept if old not in now][: max(0, len(self._kept) - _KEPT)]:
            del self._kept[serial]

    def picture(self, serial: int, what: str, number: int) -> bytes | None:
        """A picture of a drawing as PNG; None where there is none, or it is long gone."""
        made = self._kept.get(serial)
        if made is None or not 0 <= number < len(made) or (what == "psf" and not made.has_psf(number)):
            return None
        return made.png(what, number)


def _put(document: Document, values: dict[Path, Any]) -> Document:
    after = document.put(values)
    _ = after.recipe  # checked here, beside the server's loop
    return after
