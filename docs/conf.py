"""How Sphinx builds the site: Markdown pages, and the API from its numpydoc docstrings."""

import sys
from pathlib import Path
from typing import Any

import escala
from escala import tables

sys.path.insert(0, str(Path(__file__).parent))
import quantities

project = "escala"
copyright = "escala maintainers, MIT licence"  # noqa: A001 - Sphinx's name
version = release = escala.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
html_theme = "furo"
html_title = f"escala {version}"
html_copy_source = False

myst_heading_anchors = 3
autodoc_typehints = "none"  # types are in the docstrings' Parameters
autodoc_default_options = {"members": True, "undoc-members": False}
numpydoc_show_class_members = False  # autodoc lists them
numpydoc_class_members_toctree = False
default_role = "py:obj"
exclude_patterns = ["_build"]


def setup(app: Any) -> None:
    """Write the package's tables into the page that is about them."""
    app.connect("source-read", _fill)


def _fill(app: Any, page: str, source: list[str]) -> None:
    if page == "api/quantities":
        app.env.note_dependency(tables.__file__)
        source[0] = source[0].replace("<!-- tables of escala.tables -->", quantities.markdown(tables))
