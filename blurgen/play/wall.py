"""The pictures: sixteen tiles a recipe, and one pair large."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from blurgen.play.pictures import Pictures
from blurgen.play.studio import Drawing, Studio
from blurgen.play.widgets import set_props

_SMALL = 128  # pixels; images whose sides are no longer are shown with their pixels
_WIDE = 1.6  # width over height of images of which two stand in a row


class Wall:
    """The tiles of all sides.

    Parameters
    ----------
    studio : Studio
        Where drawings come from.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._holder = ui.element("div").classes("sides")
        self._built: Any = None
        self._names: dict[str, ui.label] = {}
        self._notes: dict[str, ui.label] = {}
        self._tiles: dict[str, list[ui.element]] = {}
        with ui.dialog() as self._dialog:
            self._large = ui.element("figure").classes("large")

    def show(self) -> None:
        """Show what was drawn last. Tiles stay and change their pictures alone, so that nothing flashes."""
        session, drawings = self._studio.session, self._studio.drawings
        built = tuple((side, _layout(drawings.get(side))) for side in session.tuned)
        if built != self._built:
            self._build()
            self._built = built
        for side, tuned in session.tuned.items():
            drawing = drawings.get(side)
            self._names[side].text = f"{side} · {tuned.document.name}"
            self._names[side].set_visibility(len(session.tuned) > 1)
            self._names[side].classes(
                add="chosen" if side == session.active else "",
                remove="" if side == session.active else "chosen",
            )
            made = drawing.pictures if drawing else None
            none = made is not None and session.view == "psf" and made.psfs is None
            self._notes[side].text = made.no_psfs if made is not None and none else ""
            self._notes[side].set_visibility(none)
            for number, tile in enumerate(self._tiles[side]):
                if drawing is not None and made is not None:
                    self._show_tile(tile, drawing.serial, made, number)

    def _show_tile(self, tile: ui.element, serial: int, made: Pictures, number: int) -> None:
        view = self._studio.session.view
        tile.set_visibility(view != "psf" or made.has_psf(number))
        if tile.visible:
            told = f"{view}, pair {made.rows[number]}: {', '.join(made.drawn(number))}"
            set_props(tile, src=_address(serial, view, number), alt=told)
            small = view == "psf" or max(made.sharp.shape[1:3]) <= _SMALL
            tile.classes(add="pixels" if small else "", remove="" if small else "pixels")

    def _build(self) -> None:
        self._holder.clear()
        self._names, self._notes, self._tiles = {}, {}, {}
        with self._holder:
            for side in self._studio.session.tuned:
                drawing = self._studio.drawings.get(side)
                with ui.element("div").classes("side").props(f'data-side="{side}"'):
                    self._names[side] = ui.label().classes("side-name")
                    self._notes[side] = ui.label().classes("hint")
                    made = drawing.pictures if drawing else None
                    columns = (
                        2 if made is not None and made.sharp.shape[2] > _WIDE * made.sharp.shape[1] else 4
                    )
                    height, width = (1, 1) if made is None else made.sharp.shape[1:3]
                    tiles = ui.element("div").classes(f"tiles columns-{columns}")
                    with tiles.style(f"--aspect: {width} / {height}"):
                        self._tiles[side] = [self._tile(side, number) for number in range(len(made or ()))]

    def _tile(self, side: str, number: int) -> ui.element:
        with ui.element("button").classes("tile").on("click", lambda: self._enlarge(side, number)):
            return ui.element("img")

    def _enlarge(self, side: str, number: int) -> None:
        """One pair: sharp, blurred, PSF, and what was drawn."""
        drawing = self._studio.drawings[side]
        made = drawing.pictures
        if made is None or number >= len(made):
            return
        small = "pixels" if max(made.sharp.shape[1:3]) <= _SMALL else ""
        self._large.clear()
        with self._large:
            with ui.element("div").classes("panes"):
                for what, title in (("sharp", "sharp"), ("blurred", "blurred"), ("psf", "PSF")):
                    if what == "psf" and not made.has_psf(number):
                        continue
                    with ui.element("div").classes(f"pane {what}"):
                        picture = ui.element("img").classes("pixels" if what == "psf" else small)
                        set_props(
                            picture,
                            src=_address(drawing.serial, what, number),
                            alt=f"{title}, pair {made.rows[number]}",
                        )
                        ui.label(title).classes("doc")
            with ui.element("figcaption"):
                ui.label(f"pair {made.rows[number]}").classes("kind")
                ui.label(" · ".join(made.drawn(number))).classes("drawn")
                if not made.has_psf(number):
                    ui.label(made.no_psfs or "No one PSF describes this blur.").classes("doc")
        self._dialog.open()


def _layout(drawing: Drawing | None) -> Any:
    """What the elements depend on."""
    made: Pictures | None = drawing.pictures if drawing else None
    return None if made is None else (len(made), made.sharp.shape[1:3])


def _address(serial: int, what: str, number: int) -> str:
    return f"/pictures/{serial}/{what}/{number}.png"
