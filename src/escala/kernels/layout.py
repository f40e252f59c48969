"""Names for the rows of packed arrays and workspaces, made from :mod:`escala.tables`: no position is a bare number.

Each set of rows is a namespace of integers, ``r.NAME``; to the compiler they are constants, as literals are.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any


def rows(*names: str, first: int = 0, lanes: int = 1) -> Any:
    """Name consecutive rows, of `lanes` elements each, from `first` on.

    Parameters
    ----------
    names : str
        In the order of the rows; their upper-case forms are the attributes.
    first, lanes : int
        Where the first row begins, and how many elements a row has.

    Returns
    -------
    module
        An integer for each name, and ``END``: where the rows end, which no row may be called.
    """
    made = ModuleType("rows")
    for place, name in enumerate(names):
        attribute = name.upper()
        if attribute == "END" or hasattr(made, attribute):
            raise ValueError(f"a row cannot be called {name!r}: there is one already")
        setattr(made, attribute, first + place * lanes)
    made.END = first + len(names) * lanes  # type: ignore[attr-defined]
    return made


def of(table: Iterable[Any], *, first: int = 0, lanes: int = 1) -> Any:
    """Name the rows that a table of :mod:`escala.tables` has."""
    return rows(*(row.name for row in table), first=first, lanes=lanes)
