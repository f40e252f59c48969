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

#: How it is written, in lower case, that there is no id.
NO_ID: Final = frozenset(("", "none", "null", "nan", "<na>", "-", "0"))
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


def with_ids(rows: Integers, ids: npt.NDArray[Any]) -> Integers:
    """Give a number a row by its own and the id of what it is part of; its own where there is none."""
    found = rows.copy()
    numbers: dict[str, int] = {}
    for place, value in enumerate(ids.tolist()):
        if name := _written(value):
            found[place] ^= numbers.setdefault(name, _number(name))
    result: Integers = np.where(found == rows, rows, _scattered(found.view(np.uint64)).view(np.int64))
    return result


def of_groups(rows: Integers, groups: npt.NDArray[np.integer[Any]]) -> Integers:
    """Give a number a group of rows, whatever their order; where it is one row, that of the row."""
    counts = np.bincount(groups)
    total = np.zeros(counts.size, dtype=np.uint64)
    np.add.at(total, groups, _scattered(rows.view(np.uint64)))
    found = _scattered(total ^ counts.astype(np.uint64)).view(np.int64)
    alone = counts[groups] == 1
    found[groups[alone]] = rows[alone]
    return found


def _scattered(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mixed = bits + _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    result: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return result


def _written(value: Any) -> str:
    """Write an id as text, none as nothing; columns with gaps make floats of whole numbers."""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    return "" if text.lower() in NO_ID else text


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
