"""Links that lead to files of the repository, which lead to pages on the site.

The texts are read in the repository, too, where `../README.md` is right; on the site that is a page.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

# files and folders of the repository, and the pages that include them
PAGES = {
    "README.md": "project/overview.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "examples/README.md": "project/examples.md",
    "examples": "project/examples.md",
    "examples/notebooks": "generated/examples/index.rst",
}
# the gallery's first page is made by `blurgen gallery`, which knows nothing of tables of contents
_CONTENTS = """
```{toctree}
:hidden:
:titlesonly:
:glob:

recipe-*
stage-*
```
"""
_LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")


def setup(app: Sphinx) -> None:
    """Mend what Sphinx reads."""
    app.connect("source-read", _read)
    app.connect("include-read", _included)


def _read(app: Sphinx, page: str, content: list[str]) -> None:
    path = DOCS / f"{page}.md"
    content[0] = mended(content[0], path.parent, path.parent)
    if page == "gallery/README":
        content[0] += _CONTENTS


def _included(app: Sphinx, path: Path, name: str, content: list[str]) -> None:
    page = DOCS / app.env.docname  # MyST tells the last part of the name alone
    content[0] = mended(content[0], (DOCS / path).resolve().parent, page.parent)


def mended(text: str, home: Path, page: Path) -> str:
    """A Markdown text with its links as a page of the site needs them.

    Parameters
    ----------
    text : str
        Markdown.
    home : Path
        The folder that its links start from.
    page : Path
        The folder of the page that it stands on.
    """

    def link(found: re.Match[str]) -> str:
        target = (home / found[2]).resolve()
        if not target.exists():
            return found[0]
        name = target.relative_to(ROOT).as_posix() if target.is_relative_to(ROOT) else ""
        if name in PAGES:
            target = DOCS / PAGES[name]
        return found[1] + os.path.relpath(target, page) + found[3]

    return _LINK.sub(link, text)
