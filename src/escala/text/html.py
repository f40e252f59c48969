"""Results as tables in a notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

from escala.text.visible import in_line

SHOWN: Final = 20  # rows


def table(columns: Mapping[str, Sequence[Any]] | Mapping[str, Any], caption: str, count: int | None = None) -> str:
    """Write columns of equal length as a table in HTML, its first rows; numbers in six digits.

    Parameters
    ----------
    columns : mapping of str to sequence
        One entry a row.
    caption : str
        What the table is of.
    count : int, optional
        Rows in all, if the columns are only the first of them.

    Returns
    -------
    str
        What is text in it is escaped: a symbol cannot be read as markup.
    """
    given = min(map(len, columns.values()), default=0)
    count = given if count is None else count
    shown = range(min(given, SHOWN))
    head = "".join(f"<th>{html.escape(in_line(name))}</th>" for name in columns)
    rows = ["<tr>" + "".join(_cell(column[place]) for column in columns.values()) + "</tr>" for place in shown]
    more = f"<p>… and {count - SHOWN:,} more</p>" if count > SHOWN else ""
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f"<table><caption>{html.escape(in_line(caption.strip('<>')))}</caption>{body}</table>{more}"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f"<td>{html.escape(in_line(value))}</td>"
    if isinstance(value, float):
        shown = "–" if value != value else f"{value:,.6g}"  # noqa: PLR0124 - NaN differs from itself
        return f'<td style="text-align: right">{shown}</td>'
    return f'<td style="text-align: right">{html.escape(str(value))}</td>'
