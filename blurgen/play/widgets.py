"""Small things that the form and the page share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

TYPING = 400  # ms without a key before what was typed counts


def quiet_button(icon: str, label: str, click: Callable[[], Any] | None, text: str = "") -> ui.button:
    """A button that does not shout: an icon that tells on demand what it does, or one with a word."""
    button = ui.button(text, icon=icon, on_click=click).props(f'flat dense no-caps aria-label="{label}"')
    return button.classes("quiet") if text else button.classes("quiet icon").tooltip(label)


def number_box(label: str, enter: Callable[[float], None]) -> ui.number:
    """A box for a number; `enter` gets what was typed."""

    def change(event: ValueChangeEventArguments[Any]) -> None:
        if event.value is not None:
            enter(event.value)

    box = ui.number(on_change=change).classes("number")
    return box.props(f'dense outlined debounce={TYPING} hide-bottom-space aria-label="{label}"')


def pick(title: str, entries: Mapping[str, str], take: Callable[[str], None]) -> None:
    """Let people choose from a list of names with a sentence each, which typing makes shorter."""
    with ui.dialog() as dialog, ui.element("div").classes("picker"):
        wanted = ui.input(placeholder=title).props("dense outlined autofocus clearable")
        listed = ui.element("div").classes("listed")

    def choose(name: str) -> None:
        dialog.close()
        take(name)

    def fill() -> None:
        words = (wanted.value or "").lower().replace("_", " ").split()
        listed.clear()
        with listed:
            for name, text in entries.items():
                told = f"{name} {text}".lower().replace("_", " ")
                if all(word in told for word in words):
                    with ui.element("button").on("click", lambda name=name: choose(name)):
                        ui.label(name).classes("kind")
                        ui.label(text).classes("doc")

    wanted.on_value_change(fill)
    dialog.on("hide", dialog.delete)
    fill()
    dialog.open()


def set_props(element: ui.element, **values: object) -> None:
    """Properties of an element, sent to the browser where they changed alone."""
    changed = {name: value for name, value in values.items() if element.props.get(name) != value}
    if changed:
        element.props.update(changed)
