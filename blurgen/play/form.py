"""The form of a recipe: a card for each stage, sliders for what it draws, complaints beside their fields."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from blurgen.errors import RecipeError
from blurgen.play import catalogue
from blurgen.play.catalogue import Control, Field
from blurgen.play.knobs import OFFERED, Knob, at, converted, kind_of, knobs, told, written
from blurgen.play.outline import Branch, Path, StageNode, shape
from blurgen.play.studio import Studio
from blurgen.play.widgets import TYPING, number_box, pick, quiet_button, set_props
from blurgen.recipe import read_yaml

_FEW_STAGES = 5  # recipes of no more are shown unfolded


class Form:
    """The cards of the recipe that is edited.

    Parameters
    ----------
    studio : Studio
        Where the recipe is, and changes go.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._holder = ui.element("div").classes("form")
        self._built: Any = None
        self._open: dict[tuple[str, Path], bool] = {}
        self._views: list[Callable[[], object]] = []
        self._complaints: dict[Path, ui.label] = {}
        self._quiet = False  # while values are shown that nobody entered here

    def show(self) -> None:
        """Show the recipe as it is now."""
        document = self._studio.session.document
        self._holder.classes(
            add="" if document.readable else "stale", remove="stale" if document.readable else ""
        )
        if document.readable:
            built = self._studio.session.active, shape(document.stages)
            if built != self._built:
                self._build()
                self._built = built
            self._quiet = True
            try:
                for view in self._views:
                    view()
            finally:
                self._quiet = False
        self.complain()

    def complain(self) -> None:
        """Show each complaint beside what it concerns, or beside what is around that."""
        texts: dict[Path, str] = {}
        problems = list(self._studio.session.document.problems)
        drawing = self._studio.drawings.get(self._studio.session.active)
        if not problems and drawing is not None and drawing.problem is not None:
            problems.append(drawing.problem)
        for problem in problems:
            path = problem.path
            while path and path not in self._complaints:
                path = path[:-1]
            texts.setdefault(path, problem.text)
        for path, label in self._complaints.items():
            label.text = texts.get(path, "")
            label.set_visibility(bool(label.text))

    # ---- cards ----

    def _build(self) -> None:
        document = self._studio.session.document
        self._views.clear()
        self._complaints.clear()
        self._holder.clear()
        with self._holder:
            self._complaint(())
            self._list(document.stages, ("stages",), ())

    def _complaint(self, path: Path) -> None:
        label = ui.label().classes("complaint").props('role="alert"')
        label.set_visibility(False)
        self._complaints[path] = label

    def _list(self, stages: Sequence[StageNode], path: Path, inside: tuple[str, ...]) -> None:
        for place, stage in enumerate(stages):
            self._card(stage, place > 0, place < len(stages) - 1)
        if catalogue.offered(inside):
            quiet_button("add", "add a stage", lambda: self._pick(path, len(stages), inside), text="stage")

    def _card(self, stage: StageNode, up: bool, down: bool) -> None:
        opened = self._is_open(stage)
        with ui.element("section").classes("stage").props(f'data-stage="{stage.kind}"'):
            with ui.element("header"):
                quiet_button(
                    "expand_more" if opened else "chevron_right",
                    f"fold {stage.kind}" if opened else f"unfold {stage.kind}",
                    lambda: self._fold(stage, not opened),
                )
                name = (
                    ui.label(stage.kind or "?")
                    .classes("kind")
                    .on("click", lambda: self._fold(stage, not opened))
                )
                if stage.known:
                    name.tooltip(catalogue.summary(stage.kind)).classes("help")
                caption = ui.label().classes("caption")
                if not opened:
                    self._views.append(lambda: caption.set_text(self._caption(stage.path)))
                if isinstance(stage.path[-1], int):
                    last = stage.path
                    if up:
                        quiet_button("arrow_upward", f"move {stage.kind} up", lambda: self._move(last, -1))
                    if down:
                        quiet_button("arrow_downward", f"move {stage.kind} down", lambda: self._move(last, 1))
                    quiet_button("close", f"remove {stage.kind}", lambda: self._remove(last))
            self._complaint(stage.path)
            if opened:
                self._body(stage)

    def _is_open(self, stage: StageNode) -> bool:
        every = sum(1 for top in self._studio.session.document.stages for _ in top.walk())
        return self._open.get(
            (self._studio.session.active, stage.path), every <= _FEW_STAGES or bool(stage.branches)
        )

    def _fold(self, stage: StageNode, opened: bool) -> None:
        self._open[self._studio.session.active, stage.path] = opened
        self._built = None
        self.show()

    def _caption(self, path: Path) -> str:
        """A folded card's values."""
        stage = _found(self._studio.session.document.stages, path)
        if stage is None or not stage.known:
            return ""
        known = catalogue.fields(stage.kind)
        return ", ".join(
            f"{name} {told(known[name], value)}"
            for name, value in stage.values.items()
            if name in known and known[name].control in (Control.DISTRIBUTION, Control.NUMBER)
        )

    def _body(self, stage: StageNode) -> None:
        known = catalogue.fields(stage.kind) if stage.known else {}
        shown = [field for name, field in known.items() if name in stage.values or field.required]
        for field in shown:
            self._field(stage, field)
        absent = [field for field in known.values() if field not in shown and field.default is not None]
        if absent:
            self._more(stage, absent)
        for branch in stage.branches:
            self._branch(stage, branch)
        if stage.kind == "one_of":
            place = len(stage.branches)
            option = {"weight": 1, "stages": [{"gaussian": catalogue.body("gaussian")}]}
            quiet_button(
                "add", "add an option", lambda: self._insert((*stage.body, place), option), text="option"
            )

    def _branch(self, stage: StageNode, branch: Branch) -> None:
        with ui.element("div").classes("branch"):
            if branch.option:
                with ui.element("header"):
                    ui.label(branch.title).classes("option")
                    self._weight((*branch.option, "weight"))
                    if len(stage.branches) > 1:
                        quiet_button("close", f"remove {branch.title}", lambda: self._remove(branch.option))
            self._complaint(branch.path)
            if branch.single:
                self._card(branch.stages[0], up=False, down=False)
            else:
                self._list(branch.stages, branch.path, (*stage.inside, stage.kind))

    def _weight(self, path: Path) -> None:
        box = number_box("weight", lambda number: self._put({path: number}))
        box.props('prefix="weight"').classes("weight")

        def view() -> None:
            value = self._studio.session.document.get(path)
            box.value = value if isinstance(value, int | float) else 1

        self._views.append(view)

    # ---- fields ----

    def _field(self, stage: StageNode, field: Field) -> None:
        path = (*stage.body, field.name)
        value = stage.values.get(field.name)
        with ui.element("div").classes("field").props(f'data-field="{field.name}"'):
            with ui.element("div").classes("name"):
                label = ui.label(field.name.replace("_", " "))
                if field.doc:
                    label.tooltip(field.doc).classes("help")
                if field.unit:
                    ui.label(field.unit).classes("unit")
                ui.element("span").classes("space")
                self._kind(path, field, value)
                if not field.required:
                    quiet_button("close", f"{field.name}: back to the default", lambda: self._remove(path))
            self._control(path, field, value)
            self._complaint(path)

    def _kind(self, path: Path, field: Field, value: Any) -> None:
        """What the value is drawn from."""
        if field.control is not Control.DISTRIBUTION:
            return
        kind = kind_of(value)
        offered = dict(OFFERED)
        if field.whole:
            offered = {name: offered[name] for name in ("constant", "integers", "choice")}
        if kind not in offered:
            offered[kind] = kind.replace("_", " ") or "?"

        def change(event: ValueChangeEventArguments[Any]) -> None:
            if not self._quiet and event.value in OFFERED:
                self._put({path: converted(self._studio.session.document.get(path), event.value, field)})

        box = ui.select(offered, value=kind, on_change=change).classes("distribution")
        box.props(f'dense borderless options-dense aria-label="{field.name}: drawn from"')

    def _control(self, path: Path, field: Field, value: Any) -> None:
        turned = knobs(field, value)
        if turned:
            for number in range(len(turned)):
                self._knob(path, field, number)
        elif field.control is Control.SWITCH:
            switch = ui.switch(on_change=lambda event: self._put({path: event.value})).props("dense")
            switch.props(f'aria-label="{field.name}"')
            self._views.append(lambda: switch.set_value(bool(self._now(path, field))))
        elif field.control is Control.CHOICE:
            box = ui.select(list(field.choices), on_change=lambda event: self._put({path: event.value}))
            box.props(f'dense outlined options-dense aria-label="{field.name}"').classes("choice")
            self._views.append(lambda: box.set_value(self._choice(path, field)))
        else:
            self._text(path, field)

    def _now(self, path: Path, field: Field) -> Any:
        value = self._studio.session.document.get(path)
        return field.default if value is None else value

    def _choice(self, path: Path, field: Field) -> Any:
        value = self._now(path, field)
        return value if value in field.choices else None

    def _text(self, path: Path, field: Field) -> None:
        """A value that has no sliders, as YAML on one line."""

        def change(event: ValueChangeEventArguments[Any]) -> None:
            if self._quiet:
                return
            try:
                value = read_yaml(event.value or "")
            except RecipeError:
                box.props(add="error")
                return
            box.props(remove="error")
            self._put({path: value})

        box = (
            ui.input(on_change=change)
            .classes("yaml")
            .props(f"dense outlined debounce={TYPING} spellcheck=false")
        )
        box.props(f'aria-label="{field.name}"')
        self._views.append(lambda: box.set_value(written(self._now(path, field))))

    def _knob(self, path: Path, field: Field, number: int) -> None:
        """A slider with a box for each of its numbers."""
        with ui.element("div").classes("knob"):
            made = self._turned(path, field)[number]
            if made.label:
                ui.label(made.label).classes("part")
            first = self._box(path, field, made, 0)
            low, high, step = made.slider
            two = len(made.places) == 2
            slider: Any = (ui.range if two else ui.slider)(
                min=low,
                max=high,
                step=step,
                on_change=lambda event: self._slid(path, field, number, event.value),
            )
            slider.props(f'dense aria-label="{field.name} {made.label}"')
            second = self._box(path, field, made, 1) if two else None

        def view() -> None:
            every = self._turned(path, field)
            if number >= len(every):
                return
            knob, value = every[number], self._now(path, field)
            for place, box in zip(knob.places, (first, second), strict=False):
                if box is not None:
                    box.value = at(value, place)
            if self._studio.is_turning:
                return  # the thumbs are further than the document
            least, most, step = knob.slider
            set_props(slider, min=least, max=most, step=step)
            places = [knob.to_slider(at(value, place)) for place in knob.places]
            if two:
                slider.value = {"min": places[0], "max": places[1]}
                # what Quasar tells screen readers of two thumbs is no number
                ends = [at(value, place) for place in knob.places]
                set_props(
                    slider, **{"aria-valuenow": places[0], "aria-valuetext": f"{ends[0]:g} to {ends[1]:g}"}
                )
            else:
                slider.value = places[0]

        self._views.append(view)

    def _turned(self, path: Path, field: Field) -> tuple[Knob, ...]:
        return knobs(field, self._now(path, field))

    def _box(self, path: Path, field: Field, knob: Knob, end: int) -> ui.number:
        place = knob.places[end]
        label = f"{field.name} {knob.label} {('from', 'to')[end] if len(knob.places) == 2 else ''}".strip()
        whole = field.whole or "integers" in place

        def enter(number: float) -> None:
            self._put({(*path, *place): int(number) if whole and number == int(number) else number})

        return number_box(label, enter).props(f"step={knob.step if not knob.log else 'any'}")

    def _slid(self, path: Path, field: Field, number: int, value: Any) -> None:
        every = self._turned(path, field)
        if self._quiet or number >= len(every):
            return
        knob = every[number]
        thumbs = [value["min"], value["max"]] if isinstance(value, dict) else [value]
        now = self._now(path, field)
        values: dict[Path, Any] = {}
        for place, thumb in zip(knob.places, thumbs, strict=True):
            before = at(now, place)
            # the thumb that was not moved keeps its number, which may lie between two places
            if not math.isclose(knob.to_slider(before), thumb, rel_tol=1e-9, abs_tol=1e-9):
                values[*path, *place] = knob.to_value(thumb)
        if values:
            self._studio.turn(values, self)

    def _more(self, stage: StageNode, absent: Sequence[Field]) -> None:
        """The fields that stand at their defaults."""
        with (
            quiet_button("tune", f"more of {stage.kind}", lambda: None, text="more"),
            ui.menu().classes("menu"),
        ):
            for field in absent:
                path = (*stage.body, field.name)
                item = ui.menu_item(on_click=lambda path=path, field=field: self._put({path: field.default}))
                with item, ui.element("div"):
                    ui.label(field.name.replace("_", " ")).classes("kind")
                    ui.label(field.doc).classes("doc")

    # ---- changes ----

    def _put(self, values: dict[Path, Any]) -> None:
        if self._quiet:
            return
        document = self._studio.session.document
        changed = {path: value for path, value in values.items() if document.get(path) != value}
        if changed:
            self._studio.write(document.put(changed), self)

    def _insert(self, path: Path, value: Any) -> None:
        self._studio.write(self._studio.session.document.insert(path, value), self)

    def _remove(self, path: Path) -> None:
        if isinstance(path[-1], int):
            self._open.clear()  # the stages below move up
        self._studio.write(self._studio.session.document.remove(path), self)

    def _move(self, path: Path, by: int) -> None:
        side, other = self._studio.session.active, (*path[:-1], int(path[-1]) + by)
        for old, opened in list(self._open.items()):
            for here, there in ((path, other), (other, path)):
                if old[0] == side and old[1][: len(here)] == here:
                    self._open[side, (*there, *old[1][len(here) :])] = opened
        self._studio.write(self._studio.session.document.move(path, by), self)

    def _pick(self, path: Path, place: int, inside: tuple[str, ...]) -> None:
        """Choose a stage from those that may stand there."""

        def take(kind: str) -> None:
            self._open[self._studio.session.active, (*path, place)] = True
            self._insert((*path, place), catalogue.item(kind, inside))

        pick("Find a stage", {kind: catalogue.summary(kind) for kind in catalogue.offered(inside)}, take)


def _found(stages: Sequence[StageNode], path: Path) -> StageNode | None:
    return next((inner for stage in stages for inner in stage.walk() if inner.path == path), None)
