"""Which columns of a table may have each role, and what told it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from escala.arrays import Floats
from escala.sources import roles

#: The first rows of columns, as they are written.
Sample: TypeAlias = dict[str, list[Any]]


@dataclass(frozen=True, eq=False)
class Choice:
    """The columns that may have each role.

    Parameters
    ----------
    columns : dict of str to list of str
        By role; where there are several, nothing tells which it is.
    notes : dict of str to str
        What was told by more than a name, by role.
    hidden : dict of str to str
        Columns that hold sides though their names do not say it, or other words too; what they hold.
    doubts : dict of str to str
        Why a role is not believed though one column has its name.
    """

    columns: dict[str, list[str]]
    notes: dict[str, str] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)


def first_tier(role: str, names: Sequence[str]) -> list[str]:
    """Keep the names that go before others: ``order_id`` before ``client_order_id``."""
    tiers = {name: roles.tier(role, name) for name in names}
    best = min(place for place in tiers.values() if place is not None)
    return [name for name in names if tiers[name] == best]


def numbers(values: Iterable[Any], number: Callable[[str], float]) -> Floats | None:
    """Give values as numbers, NaN where there is nothing; None for text, dates, yes and no.

    Parameters
    ----------
    values : iterable
        As they are written.
    number : callable
        Reads text; a ValueError means that it is no number.
    """
    result = []
    for value in values:
        if value is None or (isinstance(value, str) and not value.strip()):
            result.append(np.nan)
        elif isinstance(value, str):
            try:
                result.append(number(value))
            except ValueError:
                return None
        elif isinstance(value, int | float) and not isinstance(value, bool):
            result.append(float(value))
        else:
            return None
    column = np.array(result, dtype=np.float64)
    return column if np.isfinite(column).any() else None
