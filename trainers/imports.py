"""Code of one's own, run by name: a Python file or a module that registers networks."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from trainers.errors import TrainerError


def run_imports(named: Sequence[str] | None) -> None:
    """Import files and modules, each once in a process.

    Parameters
    ----------
    named : sequence of str or None
        Files such as ``nets/mine.py``, modules such as ``package.module``.

    Raises
    ------
    TrainerError
        If there is no such file or module, or it raises an error, whatever that is.
    """
    for each in named or ():
        try:
            if each.endswith(".py") or os.sep in each:
                _import_file(Path(each))
            else:
                importlib.import_module(each)
        except TrainerError as error:
            raise TrainerError(f"--import {each!r}: {error}{_place(error)}") from None
        except (Exception, SystemExit) as error:
            place = _place(error)
            if isinstance(error, ModuleNotFoundError) and not place:
                raise TrainerError(f"--import {each!r}: there is no such module") from None
            text = error.msg if isinstance(error, SyntaxError) else str(error)
            said = ": ".join(part for part in (type(error).__name__, text) if part)
            raise TrainerError(f"--import {each!r}: {said}{place}") from None


def _import_file(path: Path) -> None:
    if path.suffix != ".py" or not path.is_file():
        raise TrainerError("there is no such Python file")
    whole = path.resolve()
    # its own name might be another module's
    name = f"imported_{hashlib.sha256(os.fsencode(whole)).hexdigest()[:16]}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, whole)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _place(error: BaseException) -> str:
    """Where the imported code went wrong: its innermost line that is in no function."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "<module>"]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
