"""Columns of a table -> arrays: numbers and text, as far as they are asked for."""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.arrays import Floats, to_floats
from escala.errors import RecordError, RecordFileError
from escala.files import csv as csv_file
from escala.files.numbers import NotANumberError, Numbers, currency, separators
from escala.files.times import zone
from escala.sources import wide
from escala.sources.columns import LEVEL, Columns, Table, brief

_TEXTS: Final = ("symbol", "side", "fee_currency", "currency")
_AS_WRITTEN: Final = (
    "snapshot",
    "order",
    "fee",
    "in_quote",
    "trade_id",
    "token_in",
    "token_out",
    "is_snapshot",
    "status",
)  # text, numbers, yes or no
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
    """Give what reads the numbers of some columns, from some of the texts of each; doubts are for who needs them."""
    said = given.said.dialect
    found = separators(samples, said.decimal, said.thousands) if given.layout is None else given.layout.separators
    return Numbers(found if not units else replace(found, doubtful=""), units)


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
    return Columns(given, names, values, read.notes, read.dated, read.zoneless, long=found)


def _kind(role: str) -> csv_file.Kind:
    if role in _TEXTS or role in _AS_WRITTEN:
        return "text"
    if role == "time":
        return "time"
    return "number" if role in _PLAIN else "amount"


def _from_csv(given: Table, chosen: Mapping[str, tuple[str, csv_file.Kind]]) -> Columns:
    def plan(header: list[str]) -> dict[int, csv_file.Column]:
        return {header.index(name): csv_file.Column(name, kind, _ahead(name, kind)) for name, kind in chosen.values()}

    read = csv_file.columns(cast(Path, given.path), plan, RecordFileError, layout=given.layout)
    values = {role: read.values[name] for role, (name, _) in chosen.items()}
    names = {role: name for role, (name, _) in chosen.items()}
    time = names.get("time")
    zoneless = time in read.zoneless or time not in read.dated
    several = tuple(role for role, name in names.items() if name in read.units)
    return Columns(given, names, values, (*given.notes, *read.notes), time in read.dated, zoneless, several)


def _ahead(name: str, kind: csv_file.Kind) -> float:
    ahead = zone(name) if kind == "time" else None
    return ahead if isinstance(ahead, float) else 0.0  # a name that tells no offset is refused where it is needed


def _from_frame(given: Table, chosen: Mapping[str, tuple[str, csv_file.Kind]]) -> Columns:
    fetch = cast(Callable[[str], Any], given.column)
    values: dict[str, npt.NDArray[Any]] = {}
    notes, units = list(given.notes), set[str]()
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
            column = _numbers(given, name, kind, column, notes, units)
        if column.ndim != 1:
            raise given.error(f"{given.name}: {name} must be one column, not of shape {column.shape}")
        values[role] = column
    sizes = {chosen[role][0]: column.size for role, column in values.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        raise given.error(f"{given.name}: columns are of different lengths: {shown}", arguments=tuple(sizes))
    names = {role: name for role, (name, _) in chosen.items()}
    zoneless = "time" in names and not _has_zone(fetched[names["time"]])
    several = tuple(role for role, name in names.items() if name in units)
    return Columns(given, names, values, tuple(notes), zoneless=zoneless, units=several)


def texts(given: Table, name: str) -> list[str]:
    """Give a column as it is written, its numbers too."""
    if given.column is not None:
        return [str(cell) for cell in _plain(given.column(name)).tolist()]
    path, wanted = cast(Path, given.path), {given.names.index(name): csv_file.Column(name, "text")}
    read = csv_file.columns(path, lambda _: wanted, RecordFileError, layout=given.layout)
    return cast(list[str], read.values[name].tolist())


def _has_zone(column: Any) -> bool:
    """Tell that dates of a frame or an Arrow table have a zone; as arrays they are in UTC."""
    kind = getattr(column, "dtype", getattr(column, "type", None))
    return any(getattr(kind, name, None) is not None for name in ("tz", "time_zone"))


def _numbers(
    given: Table, name: str, kind: csv_file.Kind, column: npt.NDArray[Any], notes: list[str], units: set[str]
) -> Floats:
    """Give a column of numbers, or of text that writes them; takes note of it if they have several units."""
    if column.ndim == 1 and column.dtype.kind in "OU":
        return _written(given, name, kind, column, notes, units)
    try:
        return to_floats(name, column, RecordError)
    except RecordError as error:
        raise given.error(f"{given.name}: {error}", arguments=(name,)) from None


def _written(
    given: Table, name: str, kind: csv_file.Kind, column: npt.NDArray[Any], notes: list[str], units: set[str]
) -> Floats:
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
    if len(set(map(currency, number.taken))) > 1:
        units.add(name)
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
