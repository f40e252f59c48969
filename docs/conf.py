"""How Sphinx builds the site: Markdown pages, and the API from its numpydoc docstrings."""

import escala

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
