"""The page: the recipe's form, its YAML, and the pictures that it makes."""

from __future__ import annotations

import asyncio
import html
from functools import partial
from typing import Any

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from blurgen.errors import BlurgenError
from blurgen.play.document import Document
from blurgen.play.form import Form
from blurgen.play.pictures import Choice
from blurgen.play.session import SIDES
from blurgen.play.studio import Studio
from blurgen.play.wall import Wall
from blurgen.play.widgets import TYPING, number_box, pick, quiet_button
from blurgen.recipe import recipes

_VIEWS = {"blurred": "blurred", "sharp": "sharp", "psf": "PSF"}
# the editor is there when its script has been loaded
_NAME_EDITOR = """
(function name() {
    const editor = document.querySelector(".editor .cm-content");
    editor ? editor.setAttribute("aria-label", "the recipe as YAML") : setTimeout(name, 200);
})()
"""


class Page:
    """One window.

    Parameters
    ----------
    studio : Studio
        What all windows show.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._session = studio.session
        self._quiet = False  # while values are shown that nobody entered here
        self._typed = 0

    def build(self) -> None:
        """Lay the page out."""
        with ui.element("header").classes("bar"):
            self._bar()
        with ui.element("div").classes("play") as self._main:
            with ui.element("section").classes("panel recipe").props('aria-label="stages"'):
                self._recipe_head()
                self._form = Form(self._studio)
            with ui.element("section").classes("panel text").props('aria-label="YAML"'):
                self._text()
            with ui.element("section").classes("panel pictures").props('aria-label="pictures"'):
                self._wall = Wall(self._studio)
                self._commands = ui.element("div").classes("commands")
        self._studio.edited.subscribe(self._edited)
        self._studio.drawn.subscribe(self._drawn)
        self._edited(None)
        self._drawn()
        if not self._studio.drawings:
            self._studio.redraw()

    # ---- the bar ----

    def _bar(self) -> None:
        ui.html("blurgen play", sanitize=False, tag="h1").classes("brand")
        names = {choice: _name(choice) for choice in self._session.choices}
        self._images = ui.select(names, value=self._session.choice, on_change=self._choose)
        self._images.props('dense outlined options-dense aria-label="images"').classes("images")
        self._seed = number_box("seed", self._seeded).props('prefix="seed" min=0 step=1').classes("seed")
        quiet_button("casino", "redraw with another seed", self._redraw, text="redraw")
        self._view = ui.toggle(_VIEWS, value=self._session.view, on_change=self._look)
        self._view.props("dense no-caps unelevated toggle-text-color=on-accent").classes("views")
        self._status = ui.label().classes("status").props('role="status"')
        ui.element("span").classes("space")
        self._compare = quiet_button("compare", "compare two recipes", self._comparing, text="compare")
        self._yaml = quiet_button("code", "show or hide the YAML", self._fold_text, text="YAML")

    def _choose(self, event: ValueChangeEventArguments[Any]) -> None:
        if not self._quiet:
            self._session.choice = event.value
            self._changed()

    def _seeded(self, number: float) -> None:
        if not self._quiet and number >= 0 and number == int(number) and int(number) != self._session.seed:
            self._session.seed = int(number)
            self._changed()

    def _redraw(self) -> None:
        self._session.other_seed()
        self._changed()

    def _look(self, event: ValueChangeEventArguments[Any]) -> None:
        if not self._quiet:
            self._session.view = event.value
            self._studio.drawn.emit()

    def _comparing(self) -> None:
        if "B" in self._session.tuned:
            self._session.end_comparing()
        else:
            self._session.compare()
            self._main.classes(add="no-text")
        self._changed()

    def _fold_text(self) -> None:
        self._main.classes(toggle="no-text")

    def _changed(self) -> None:
        """Show and draw what is no part of a document."""
        self._studio.edited.emit(None)
        self._studio.redraw()

    # ---- the recipe ----

    def _recipe_head(self) -> None:
        with ui.element("header"):
            self._title = ui.label().classes("title")
            ui.element("span").classes("space")
            self._side = ui.toggle(list(SIDES), on_change=self._edit).props(
                "dense no-caps unelevated toggle-text-color=on-accent"
            )
            quiet_button("menu_book", "begin with a built-in recipe", self._open, text="recipes")

    def _edit(self, event: ValueChangeEventArguments[Any]) -> None:
        if not self._quiet and event.value in self._session.tuned:
            self._session.active = event.value
            self._studio.edited.emit(None)
            self._studio.drawn.emit()

    def _open(self) -> None:
        def take(name: str) -> None:
            self._session.open(name)
            self._changed()

        told = {name: recipe.description.split("\n")[0] for name, recipe in recipes().items()}
        pick("Begin with a built-in recipe", told, take)

    def _text(self) -> None:
        with ui.element("header"):
            self._file = ui.input().props('dense outlined spellcheck=false aria-label="file"').classes("file")
            quiet_button(
                "save", "save the recipe in the folder where the page was started", self._save, text="save"
            )
            quiet_button(
                "content_copy",
                "copy the YAML",
                lambda: ui.clipboard.write(self._session.document.text),
                text="copy",
            )
        self._saved = ui.label().classes("saved").props('role="status"')
        self._unreadable = ui.label().classes("complaint").props('role="alert"')
        self._editor = ui.codemirror(language="YAML", line_wrapping=True, indent="  ", on_change=self._type)
        self._editor.classes("editor")
        ui.run_javascript(_NAME_EDITOR)

    async def _type(self) -> None:
        """What was typed counts after a pause."""
        if self._quiet:
            return
        self._typed += 1
        last = self._typed
        await asyncio.sleep(TYPING / 1000)
        if last == self._typed and self._editor.value != self._session.document.text:
            self._studio.write(Document(self._editor.value), self._editor)

    def _save(self) -> None:
        try:
            path = self._session.save(self._session.active, (self._file.value or "").strip())
        except BlurgenError as error:
            self._saved.text = str(error)
            self._saved.classes(add="complaint")
            return
        self._saved.classes(remove="complaint")
        self._studio.edited.emit(None)
        self._saved.text = f"saved in {path}"

    # ---- what changed ----

    def _edited(self, origin: object) -> None:
        """Show what the session says."""
        session, document = self._session, self._session.document
        self._quiet = True
        try:
            self._images.value = session.choice
            self._seed.value = session.seed
            self._view.value = session.view
            self._side.value = session.active
            self._side.set_visibility(len(session.tuned) > 1)
            self._compare.text = "end comparing" if len(session.tuned) > 1 else "compare"
            if document.name:
                self._title.text = document.name
            if origin is not self._editor:
                self._editor.value = document.text
            if origin is None:
                self._file.value = session.tuned[session.active].file
                self._saved.text = ""
        finally:
            self._quiet = False
        self._unreadable.text = "" if document.readable else document.problems[0].text
        self._unreadable.set_visibility(not document.readable)
        self._form.show()
        self._tell_commands()

    def _tell_commands(self) -> None:
        self._commands.clear()
        with self._commands:
            for side, tuned in self._session.tuned.items():
                command = self._session.command(side)
                with ui.element("div").classes("command"):
                    ui.html(_unbroken(command), sanitize=False, tag="code").classes("code")
                    quiet_button("content_copy", "copy the command", partial(ui.clipboard.write, command))
                if self._session.needs_saving(side):
                    ui.label(f"Save the recipe first: the command reads {tuned.file}.").classes("hint")

    def _drawn(self) -> None:
        """Show what was drawn."""
        busy = self._studio.busy
        self._status.text = f"{busy} …" if busy else ""
        self._main.classes(add="busy" if busy else "", remove="" if busy else "busy")
        self._form.complain()
        self._wall.show()


def _name(choice: Choice) -> str:
    """Images as people call them."""
    if choice.drawn:
        return f"drawn {choice.dataset}"
    return f"{choice.dataset.removeprefix('folder:')}{f', patches of {choice.patch}' if choice.patch else ''}"


def _unbroken(command: str) -> str:
    """A command line as HTML that breaks between words alone."""
    return " ".join(f"<span>{html.escape(word)}</span>" for word in command.split(" "))
