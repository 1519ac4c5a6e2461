"""The libraries, one module each: functions from a piece of work to a `Contestant`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Concatenate, ParamSpec

from benchmarks.timing import Contestant
from benchmarks.work import Work

P = ParamSpec("P")
Entry = Callable[Concatenate[Work, int, P], Contestant]


def needs(module: str, name: str) -> Callable[[Entry[P]], Entry[P]]:
    """Give a contestant without ways where `module` cannot be imported."""

    def wrap(enter: Entry[P]) -> Entry[P]:
        def entry(work: Work, threads: int, /, *args: P.args, **kwargs: P.kwargs) -> Contestant:
            try:
                import_module(module)
            except Exception as error:  # compiled libraries that do not fit raise whatever they please
                missing = getattr(error, "name", None) == module.partition(".")[0]
                why = "not installed" if missing else f"not usable: {error}"
                return Contestant(name, len(work), (), missing=why)
            return enter(work, threads, *args, **kwargs)

        return entry

    return wrap
