"""What tells a row of a file from all others, whatever is made of it.

The efficiency of an execution is measured against others of its file, so it is another number once the file has grown.
The row is the same one. Stores keep these numbers: how they come about must never change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

#: Of the generator SplitMix64, whose last steps scatter any difference over all bits.
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


def of_rows(symbols: Sequence[str], codes: npt.NDArray[np.integer[Any]], columns: Sequence[Any]) -> Integers:
    """Give a number a row: equal where symbol and all columns are.

    Parameters
    ----------
    symbols, codes
        The different symbols, and which of them each row has.
    columns
        Arrays of numbers, one value a row; None for one that is not there.
    """
    known = np.array([_number(symbol) for symbol in symbols], dtype=np.int64)
    found = known[codes].view(np.uint64)
    for column in columns:
        values = np.zeros(found.size) if column is None else np.asarray(column, dtype=np.float64) + 0.0  # no −0
        found = _scattered(found ^ values.view(np.uint64))
    result: Integers = found.view(np.int64)
    return result


def of_ids(
    symbols: Sequence[str], codes: npt.NDArray[np.integer[Any]], ids: npt.NDArray[Any], others: Integers
) -> Integers:
    """Give a number a row by its symbol and the id that it has; where it has none, that of `others`."""
    found = others.copy()
    for place, (code, value) in enumerate(zip(codes.tolist(), ids.tolist(), strict=True)):
        if name := _written(value):
            found[place] = _number(f"{symbols[code]}\0{name}")
    return found


def _scattered(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mixed = bits + _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    result: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return result


def _written(value: Any) -> str:
    """Write an id as text; columns with gaps make floats of whole numbers."""
    if value is None or value != value:  # noqa: PLR0124 - NaN is the one that differs from itself
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
