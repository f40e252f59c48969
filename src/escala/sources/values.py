"""Columns of a table -> arrays: numbers and text, as far as they are asked for."""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.arrays import Floats, to_floats
from escala.errors import RecordError, RecordFileError
from escala.files import csv as csv_file
from escala.files.numbers import NotANumberError, Numbers, separators
from escala.sources import wide
from escala.sources.columns import LEVEL, Columns, Table, brief

_TEXTS: Final = ("symbol", "side", "fee_currency", "currency")
_AS_WRITTEN: Final = ("snapshot", "order", "fee", "in_quote", "trade_id")  # text, numbers, yes or no
#: What holds no amounts: all other roles may have units at their numbers.
_PLAIN: Final = ("efficiency", "weight")
_SAMPLE: Final = 1000  # texts of a frame that tell how its numbers are written


def read(given: Table, chosen: Mapping[str, str]) -> Columns:
    """Read columns, as they stand but for numbers: times are for others to understand.

    Parameters
    ----------
    given : Table
        The table.
    chosen : mapping of str to str
        The names of the columns, by role. The levels of a wide table come by themselves.

    Raises
    ------
    RecordError
        If lengths differ, or a value is not what it has to be.
    """
    kinds = {role: (name, _kind(role)) for role, name in chosen.items()}
    if given.levels is not None:
        return _long(given, given.levels, kinds)
    return _from_csv(given, kinds) if given.column is None else _from_frame(given, kinds)


def first(given: Table, name: str, rows: int) -> list[Any]:
    """Give the first rows of a column that is no file's of text."""
    column = given.head(name, rows) if given.head else cast(Callable[[str], Any], given.column)(name)
    found: list[Any] = _plain(getattr(column, "iloc", column)[:rows]).tolist()
    return found


def number_of(given: Table, samples: Iterable[list[str]], *, units: bool = True) -> Numbers:
    """Give what reads the numbers of some columns, from some of the texts of each."""
    said = given.said.dialect
    found = separators(samples, said.decimal, said.thousands) if given.layout is None else given.layout.separators
    return Numbers(found, units)


def _long(given: Table, levels: wide.Levels, chosen: Mapping[str, tuple[str, csv_file.Kind]]) -> Columns:
    """Read a wide table, and bring its levels below each other; its rows are snapshots."""
    kinds: dict[str, tuple[str, csv_file.Kind]] = {name: (name, "level") for name in levels.names}
    read = (_from_csv if given.column is None else _from_frame)(given, {**kinds, **chosen})
    found = wide.long(levels, {name: read.values[name] for name in levels.names})
    values = {role: read.values[role][found.rows] for role in chosen}
    values |= {"side": found.side, "price": found.price, "quantity": found.quantity}
    if "snapshot" not in chosen:
        values["snapshot"] = found.rows.astype(np.float64)
    names = {role: role for role in (*LEVEL, "snapshot")} | {role: name for role, (name, _) in chosen.items()}
    return Columns(given, names, values, read.notes, read.dated, found)


def _kind(role: str) -> csv_file.Kind:
    if role in _TEXTS or role in _AS_WRITTEN:
        return "text"
    if role == "time":
        return "time"
    return "number" if role in _PLAIN else "amount"


def _from_csv(given: Table, chosen: Mapping[str, tuple[str, csv_file.Kind]]) -> Columns:
    def plan(header: list[str]) -> dict[int, csv_file.Column]:
        return {header.index(name): csv_file.Column(name, kind) for name, kind in chosen.values()}

    read = csv_file.columns(cast(Path, given.path), plan, RecordFileError, layout=given.layout)
    values = {role: read.values[name] for role, (name, _) in chosen.items()}
    names = {role: name for role, (name, _) in chosen.items()}
    return Columns(given, names, values, (*given.notes, *read.notes), names.get("time") in read.dated)


def _from_frame(given: Table, chosen: Mapping[str, tuple[str, csv_file.Kind]]) -> Columns:
    fetch = cast(Callable[[str], Any], given.column)
    values: dict[str, npt.NDArray[Any]] = {}
    notes = list(given.notes)
    fetched = {name: fetch(name) for name, _ in chosen.values()}
    keyed.check_aligned(fetched, RecordError)
    for role, (name, kind) in chosen.items():
        found = fetched[name]
        if np.ma.is_masked(found):  # as an array it would be what lies under the mask
            raise given.error(f"{given.name}: {name} has masked elements", arguments=(name,))
        column = _plain(found)
        if role in _TEXTS:
            column = column.astype(object)
        elif kind in {"number", "amount", "level"}:
            column = _numbers(given, name, kind, column, notes)
        if column.ndim != 1:
            raise given.error(f"{given.name}: {name} must be one column, not of shape {column.shape}")
        values[role] = column
    sizes = {chosen[role][0]: column.size for role, column in values.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        raise given.error(f"{given.name}: columns are of different lengths: {shown}", arguments=tuple(sizes))
    return Columns(given, {role: name for role, (name, _) in chosen.items()}, values, tuple(notes))


def _numbers(given: Table, name: str, kind: csv_file.Kind, column: npt.NDArray[Any], notes: list[str]) -> Floats:
    """Give a column of numbers, or of text that writes them."""
    if column.ndim == 1 and column.dtype.kind in "OU":
        return _written(given, name, kind, column, notes)
    try:
        return to_floats(name, column, RecordError)
    except RecordError as error:
        raise given.error(f"{given.name}: {error}", arguments=(name,)) from None


def _written(given: Table, name: str, kind: csv_file.Kind, column: npt.NDArray[Any], notes: list[str]) -> Floats:
    said, cells = given.said.dialect, column.tolist()
    sample = [cell for cell in cells[:_SAMPLE] if isinstance(cell, str)]
    number = Numbers(separators([sample], said.decimal, said.thousands), kind != "number", kind == "level")
    result = np.empty(len(cells))
    for place, cell in enumerate(cells):
        try:
            result[place] = number(cell) if isinstance(cell, str) else _float(cell, kind)
        except (TypeError, ValueError, OverflowError) as reason:
            hint = f": {reason}" if isinstance(reason, NotANumberError) else ""
            message = f"{given.name}: {name} must be real numbers, but {name}[{place}] = {brief(cell)}{hint}"
            raise given.error(message, arguments=(name,), indexes=((place,),)) from None
    if number.taken:
        notes.append(f"{name}: {', '.join(number.taken)} taken off its numbers")
    return result


def _float(cell: Any, kind: str) -> float:
    """Give an element as a number; nothing is none but where a level may be missing."""
    if kind == "level" and cell is None:
        return float("nan")
    if isinstance(cell, bool) or not isinstance(cell, numbers.Real | decimal.Decimal):
        raise TypeError
    return float(cell)


def _plain(column: Any) -> npt.NDArray[Any]:
    """Give a column as an array; times with a zone in UTC. NumPy would make text of what stands beside text."""
    if isinstance(column, list | tuple) and any(isinstance(value, str) for value in column):
        objects = np.empty(len(column), dtype=object)
        objects[:] = column
        return objects
    if hasattr(column, "chunks") and hasattr(column, "cast"):  # of an Arrow table
        kind = column.type
        is_dictionary = hasattr(kind, "index_type")  # lists have a type of values too
        return np.asarray(column.cast(kind.value_type) if is_dictionary else column)
    if getattr(getattr(column, "dtype", None), "tz", None) is not None and hasattr(column, "dt"):
        return np.asarray(column.dt.tz_convert(None))
    return np.asarray(column)
