"""Fields that are numbers: checked as their rows of the tables say, and kept as they were checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from escala.arrays import Floats, check_interval, check_order, to_floats
from escala.errors import MarketError, did_you_mean
from escala.tables import Codes, Quantity, code_values


def check_fields(owner: Any, rows: Iterable[Quantity], optional: tuple[str, ...] = ()) -> None:
    """Check the fields of a frozen dataclass and put read-only arrays in the place of what is no single number.

    Raises
    ------
    MarketError
        If a value is no number, or out of range; names the field, the index and the value.
    """
    for row in rows:
        value = getattr(owner, row.name)
        if value is None and row.name in optional:
            continue
        array = to_floats(row.name, value, MarketError)
        check_interval(row.name, array, row.values, MarketError)
        kept: Any = array.item() if array.ndim == 0 else array.copy()
        if array.ndim:
            kept.flags.writeable = False
        object.__setattr__(owner, row.name, kept)


def floats(owner: Any, rows: Iterable[Quantity]) -> dict[str, Floats]:
    """Give the fields that have a value as float64 arrays of their own shapes."""
    given = {row.name: getattr(owner, row.name) for row in rows}
    return {name: to_floats(name, value, MarketError) for name, value in given.items() if value is not None}


def check_sorted(arrays: Mapping[str, Floats], low: str, high: str) -> None:
    """Check ``low <= high`` of two fields, where both have a value.

    Raises
    ------
    MarketError
        Naming both, the index and the values.
    """
    if low in arrays and high in arrays:
        check_order(low, arrays[low], high, arrays[high], MarketError)


def code_of(name: str, value: object, rows: Codes) -> int:
    """Give the number of a word.

    Raises
    ------
    MarketError
        If it is none of the words of a table.
    """
    known = code_values(rows)
    if not isinstance(value, str) or value not in known:
        message = f"{name} must be one of {', '.join(known)}, not {value!r}{did_you_mean(value, known)}"
        raise MarketError(message, arguments=(name,))
    return known[value]
