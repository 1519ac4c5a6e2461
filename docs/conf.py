"""How `make docs` builds these pages: Sphinx, Markdown by MyST, docstrings by numpydoc, furo's look."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would ask the network for its newest version

from building import commands, figures, links  # noqa: E402

from blurgen import __version__  # noqa: E402

project = "blurgen"
author = "The authors of blurgen"
project_copyright = f"{author}, MIT licence"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = [
    "building",
    "generated/examples/*.ipynb",
    "sg_execution_times.rst",
    "generated/**/sg_execution_times.rst",
]
templates_path = ["building/templates"]
nitpick_ignore = [  # named in docstrings, and on no page of this site
    ("py:obj", name)
    for name in (
        "ConfigDict",
        "blurgen.sources",
        "dask.distributed",
        "has_blurred",
        "recipe",
        "sizes",
        "threads",
        "torch.compile",
        "torch.export",
        "trainers.losses.LOSSES",
        "trainers.pictures.ENDINGS",
    )
]

myst_heading_anchors = 3

default_role = "autolink"
autosummary_generate = True
autodoc_typehints = "none"  # docstrings tell types, and shapes with them
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the template lists them
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples" / "notebooks"),
    "gallery_dirs": "generated/examples",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "capture_repr": (),
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_signature": False,
    "min_reported_time": 1e9,
    "reset_modules": (),
}

html_theme = "furo"
html_title = f"blurgen {__version__.partition('+')[0]}"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2c5f86", "color-brand-content": "#2c5f86"},
    "dark_css_variables": {"color-brand-primary": "#8fbfe0", "color-brand-content": "#8fbfe0"},
}


def setup(app: Sphinx) -> None:
    """Draws figures and writes the page of the commands first, and mends links as pages are read."""
    made = HERE / "generated"
    commands.write(made / "command-line.md")
    figures.write(made / "figures")
    links.setup(app)
