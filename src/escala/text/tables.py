"""What the rows of :mod:`escala.tables` say, for whoever reads about them: help, pages, the C header."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

from escala.tables import Code, Field, Quantity

Documented = TypeVar("Documented")


def allowed(row: Quantity) -> str:
    """Say what a quantity may be: ``in [0, 1], at most ltv_ceiling``; nothing where it may be any number."""
    parts = [] if (row.values.low, row.values.high) == (-math.inf, math.inf) else [str(row.values)]
    if isinstance(row, Field) and row.at_most:
        parts.append(f"at most {row.at_most}")
    return ", ".join(parts)


def details(row: Quantity) -> str:
    """Say unit, range and default of what is given: ``amount, in [0, 1e+100], default 1e-06``."""
    default = "" if row.default is None else f"default {row.default:g}"
    return ", ".join(part for part in (row.unit, allowed(row), default) if part)


def documented(**rows: Iterable[Quantity]) -> Callable[[Documented], Documented]:
    """Put rows into the docstring of a class, where a line names them in braces: ``{fields}``.

    What is given is described with its range and its default, what comes out with its unit.
    """

    def wrap(made: Documented) -> Documented:
        for name, table in rows.items():
            entries = "\n".join(line for row in table for line in _entry(row))
            if made.__doc__:  # none with python -OO
                made.__doc__ = made.__doc__.replace(f"    {{{name}}}", entries)
        return made

    return wrap


def _entry(row: Quantity) -> list[str]:
    whole = " of int" if row.values.integer else ""
    if row.default is None:
        return [f"    {row.name} : array{whole}", f"        {row.doc}{f' ({row.unit})' if row.unit else ''}."]
    between = f"{row.unit}, {allowed(row)}".removeprefix(", ")
    return [f"    {row.name} : array_like{whole}, default {row.default:g}", f"        {row.doc} ({between})."]


def markdown(rows: Iterable[Quantity | Code]) -> str:
    """Write a table's rows as a table in Markdown: for quantities what they may be, for codes their numbers."""
    table = tuple(rows)
    quantities = [row for row in table if isinstance(row, Quantity)]
    codes = [row for row in table if isinstance(row, Code)]
    given = any(row.default is not None for row in quantities)
    if codes:
        cells = [["name", "code", "meaning"], *([f"`{row.name}`", str(row.value), row.doc] for row in codes)]
    elif given:
        cells = [["name", "default", "allowed", "unit", "meaning"]]
        cells += [
            [f"`{row.name}`", "" if row.default is None else f"{row.default:g}", allowed(row), row.unit, row.doc]
            for row in quantities
        ]
    else:
        cells = [["name", "unit", "meaning"], *([f"`{row.name}`", row.unit, row.doc] for row in quantities)]
    cells.insert(1, ["---"] * len(cells[0]))
    return "".join(_line(row) for row in cells)


def _line(cells: list[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |\n"
