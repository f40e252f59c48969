"""The tables of :mod:`escala.tables`, as Markdown: a row that is added there is documented here."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

from escala.tables import Code, Interval, Quantity

_ANYTHING = Interval(-math.inf, math.inf)


def markdown(module: ModuleType) -> str:
    """Give all tables of a module, each under a heading; those that only take up rows of others are left out."""
    shown: set[int] = set()
    parts = []
    for name, rows in vars(module).items():
        if name.startswith("_") or not _is_table(rows) or all(id(row) in shown for row in rows):
            continue
        shown.update(id(row) for row in rows)
        lines = _codes(rows) if isinstance(rows[0], Code) else _quantities(rows)
        parts.append("\n".join([f"## {name.replace('_', ' ').capitalize()}", "", *lines, ""]))
    return "\n".join(parts)


def _is_table(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and bool(value)
        and any(all(isinstance(row, kind) for row in value) for kind in (Code, Quantity))
    )


def _quantities(rows: tuple[Quantity, ...]) -> list[str]:
    lines = ["| name | | unit | values | default |", "|---|---|---|---|---|"]
    for row in rows:
        values = "" if row.values == _ANYTHING else str(row.values)
        default = "" if row.default is None else f"{row.default:g}"
        lines.append(f"| `{row.name}` | {_cell(row.doc)} | {row.unit} | {_cell(values)} | {default} |")
    return lines


def _codes(rows: tuple[Code, ...]) -> list[str]:
    return [
        "| name | code | |",
        "|---|---|---|",
        *(f"| `{row.name}` | {row.value} | {_cell(row.doc)} |" for row in rows),
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
