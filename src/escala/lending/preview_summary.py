"""What a preview says in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import tables
from escala.text.numerals import amount, counted, ratio

#: What people read of an action that was refused or done.
WORDS: Final = {row.value: row.doc for row in tables.REFUSALS}
_COLUMNS: Final = (
    ("collateral", "collateral", amount),
    ("debt", "debt", amount),
    ("health", "health_factor", ratio),
    ("LTV", "ltv", ratio),
    ("fall to 1", "fall", "{:.2%}".format),
    ("may borrow", "borrow_room", amount),
    ("may withdraw", "withdraw_room", amount),
)


def of_one(steps: Sequence[str], columns: Mapping[str, npt.NDArray[Any]], assets: Sequence[str]) -> str:
    """Draw the states of one position as a table."""
    prices = [(f"price of {name} at 1", f"liquidation_price_{name}", amount) for name in assets]
    prices = prices or [("price at 1", "liquidation_price", amount)]
    table = [["", *steps]]
    for heading, name, write in (*_COLUMNS[:5], *prices, *_COLUMNS[5:]):
        table.append([heading, *(write(value) if math.isfinite(value) else "–" for value in columns[name].tolist())])
    words = ["", *(WORDS[int(code)] if code else "" for code in columns["refused"])]
    widths = [max(map(len, column)) for column in table]
    lines = []
    for row, remark in enumerate(words):
        cells = [f"{column[row]:{'<' if k == 0 else '>'}{widths[k]}}" for k, column in enumerate(table)]
        lines.append("  ".join([*cells, remark]).rstrip())
    return "\n".join(lines)


def of_many(steps: Sequence[str], columns: Mapping[str, npt.NDArray[Any]]) -> str:
    """Count, for each action, the positions that are refused and those that can be liquidated after it."""
    size = columns["debt"][0].size
    lines = [f"{counted(size, 'position')}, {counted(len(steps) - 1, 'action')}"]
    for place, step in enumerate(steps):
        refused = int(np.count_nonzero(columns["refused"][place]))
        below = int(np.count_nonzero(columns["health_factor"][place] < 1.0))
        lines.append(f"  {step:<30}refused {refused:>10,}   health below 1 {below:>10,}")
    return "\n".join(lines)
