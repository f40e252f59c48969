"""Tables from outside, a file or a frame, as named columns of numbers, times and text."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.errors import RecordError, RecordFileError
from escala.files import csv as csv_file
from escala.files import frames
from escala.files import table as table_file
from escala.files import times as times_file
from escala.sources import book_json, roles, symbols, times, values, wide
from escala.sources.columns import LEVEL, Columns, Table
from escala.sources.conventions import Conventions
from escala.text.visible import hidden

#: Roles of columns of a table that has not one row a snapshot.
_OF_ROWS: Final = ("capital", "efficiency", "price", "amount_in")
#: Roles whose numbers have to be written out; fees may be percents.
_OF_NUMBERS: Final = frozenset(
    ("capital", "efficiency", "weight", "price", "quantity", "value", "amount_in", "amount_out", "pnl", "returns")
)
_NO_HEADER: Final = "header=['time', 'price', …] names its columns, header=False numbers them from 1"


def table(source: Any, said: Conventions | None = None) -> Table:
    """Look at a table: a path (CSV, JSON of order books or Parquet), a frame, an Arrow table, columns, or books.

    Raises
    ------
    RecordError
        If it is none of these.
    RecordFileError
        If it is a file of another kind, empty, or not what its name says.
    MissingExtraError
        If a Parquet file is given and pyarrow is not installed.
    OSError
        If there is no such file.
    """
    if isinstance(source, Table):
        return source
    conventions = said or Conventions()
    return _with_levels(replace(_table(source, conventions), said=conventions))


def _table(source: Any, said: Conventions) -> Table:
    if isinstance(source, str | os.PathLike):
        return _file(Path(source), said)
    if book_json.is_book(source):
        return _of_columns("mapping" if isinstance(source, Mapping) else "list", source, None, RecordError)
    if isinstance(source, Mapping):
        return Table("mapping", [str(name) for name in source], source.__getitem__, None)
    source = frames.in_memory(source, RecordError)
    names = getattr(source, "column_names", getattr(source, "columns", None))
    if names is None or not hasattr(source, "__getitem__"):
        kind = type(source).__name__
        raise RecordError(f"a source is a path, a data frame or a mapping of columns, not {kind}")
    return Table("frame", [str(name) for name in names], source.__getitem__, None)


def _of_columns(name: str, books: Any, path: Path | None, error: type[RecordError]) -> Table:
    """Give the levels of books as a table."""
    columns = book_json.columns(name, books, error)
    return Table(name, list(columns), columns.__getitem__, path)


def _file(path: Path, said: Conventions) -> Table:
    if csv_file.is_csv(path):
        return _csv(path, said)
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _parquet(path)
    if book_json.is_json(path):
        return _of_columns(str(path), book_json.read(path, RecordFileError), path, RecordFileError)
    path.stat()  # where nothing is, that is what is wrong
    raise RecordFileError(f"{path}: a source is a file called .csv, .csv.gz or .parquet, or .json of order books")


def _csv(path: Path, said: Conventions) -> Table:
    try:
        layout = csv_file.layout(path, RecordFileError, said.dialect, _is_known, _NO_HEADER)
    except RecordFileError as fault:
        if said.dialect.header is not None or fault.arguments != ("header",):
            raise
        dialect = replace(said.dialect, header=False)
        layout = csv_file.layout(path, RecordFileError, dialect)
        if not wide.is_lobster(path.name, layout.rows[0]):
            raise
        said = replace(said, lobster=True)
    if not said.lobster:
        return Table(str(path), layout.names, None, path, layout, notes=layout.notes)
    if len(layout.names) % 4:
        message = f"{path}: LOBSTER's order books have four columns a level, not {len(layout.names)} columns"
        raise RecordFileError(message, arguments=("header",))
    names, levels = wide.lobster(len(layout.names))
    note = "read as LOBSTER writes order books: prices are ten-thousandths"
    return Table(str(path), names, None, path, replace(layout, names=names), levels, notes=(*layout.notes, note))


def _is_known(name: str) -> bool:
    return any(roles.tier(role, name) is not None for role in roles.TIERS) or wide.is_level(name)


def _with_levels(given: Table) -> Table:
    """Find the levels of a table that has columns for each, and no others that order books and executions have."""
    has_rows = any(roles.tier(role, name) is not None for role in _OF_ROWS for name in given.names)
    if given.levels is not None or has_rows:
        return given
    found = wide.levels(given.names)
    if isinstance(found, str):
        raise given.error(f"{given.name}: {found}")
    return given if found is None else replace(given, levels=found)


def _parquet(path: Path) -> Table:
    pyarrow, parquet = table_file.pyarrow("give a .csv file")
    path.open("rb").close()  # where no file is, the system's own words tell
    faults = (pyarrow.ArrowException, OSError, UnicodeDecodeError)

    def read(part: Callable[[], Any]) -> Any:
        try:
            return part()
        except faults as reason:
            raise RecordFileError(f"{path}: not a whole Parquet file: {reason}") from None

    file = read(lambda: parquet.ParquetFile(path))
    names = read(lambda: list(file.schema_arrow.names))

    def first(name: str, rows: int) -> Any:
        return read(lambda: pyarrow.Table.from_batches([next(file.iter_batches(rows, columns=[name]))])[name])

    return Table(str(path), names, lambda name: read(lambda: file.read([name])[name]), path, head=first)


def head(given: Table, rows: int) -> dict[str, list[Any]]:
    """Give the first rows of all columns that have some, as they are written; of no use for more than a look."""
    if given.layout is not None:
        first = [row for row in given.layout.rows[:rows] if len(row) >= len(given.names)]
        return {name: [row[place] for row in first] for place, name in enumerate(given.names)}
    result = {}
    for name in dict.fromkeys(given.names):
        try:
            result[name] = values.first(given, name, rows)
        except (RecordError, TypeError, ValueError, KeyError, StopIteration):  # what it is is told when it is needed
            continue
    return result


def listing(given: Table) -> str:
    """Say which columns a table has."""
    return f"found were {', '.join(given.names)}" if given.names else "there are no columns"


def missing(given: Table, wanted: str) -> RecordError:
    """Give the error of a table without the columns that are needed; lists those that were found."""
    hint = "; columns of other names can be named"
    if len(given.names) == 1 and given.layout is not None and any(mark in given.names[0] for mark in ",;\t|: "):
        hint = "; delimiter says what separates columns"
    return given.error(f"{given.name}: {wanted}; {listing(given)}{hint}")


def load(given: Table, found: Mapping[str, list[str]], wanted: Iterable[str], time_unit: str = "auto") -> Columns:
    """Read the columns of some roles, as far as they are there.

    Raises
    ------
    RecordError
        If two columns may have one of the roles, lengths differ, or a value is not what it has to be.
    """
    times.check_unit(time_unit)
    chosen: dict[str, str] = {}
    for role in wanted:
        if role in found and (given.levels is None or role not in LEVEL):
            chosen[role] = _only(given, role, found[role])
    for role in _OF_NUMBERS & chosen.keys():
        _refuse_factor(given, chosen[role])
    columns = read = values.read(given, chosen)
    if "time" in columns:
        name = columns.names["time"]
        said = times_file.zone(name)
        ahead = said if isinstance(said, float) and columns.zoneless else 0.0

        def refuse(bad: npt.NDArray[np.bool_], requirement: str) -> None:
            read.refuse("time", bad, requirement)

        found_times = (columns["time"], columns.dated, ahead, time_unit, given.said.earliest, refuse)
        seconds, unit, zoneless = times.seconds(*found_times)
        columns = replace(columns, values={**columns.values, "time": seconds})
        told = []
        if time_unit == "auto" and unit != "s" and seconds.size:
            told.append(f"{name}: numbers were read as {unit} since 1970")
        if seconds.size and columns.zoneless and (columns.dated or zoneless):
            told += _zone_told(given, name, said)
        columns = replace(columns, notes=(*columns.notes, *told))
    columns = _with_clean_symbols(columns) if "symbol" in columns else columns
    for role in columns.units:
        _refuse_units(columns, role)
    return columns


def _refuse_units(columns: Columns, role: str) -> None:
    """Refuse numbers of one symbol that are in several units: no sum and no price of them means anything."""
    cells = values.texts(columns.table, columns.names[role])
    number = values.number_of(columns.table, [cells])
    symbols = columns["symbol"].tolist() if "symbol" in columns else [None] * len(cells)
    first: dict[Any, str] = {}
    units = [number.unit(cell) for cell in cells]
    other = [
        unit is not None and first.setdefault(symbol, unit) != unit for symbol, unit in zip(symbols, units, strict=True)
    ]
    if any(other):
        place = other.index(True)
        of = "" if symbols[place] is None else f" of {symbols[place]!r}"
        shown = np.empty(len(cells), dtype=object)
        shown[:] = cells
        both = f"{first[symbols[place]]} and {units[place]}"
        replace(columns, values={**columns.values, role: shown}).refuse(
            role,
            np.array(other),
            f"{of.strip()} must be in one unit, not in {both}: split them, or convert one".strip(),
        )


def _refuse_factor(given: Table, name: str) -> None:
    """Refuse a column whose name says that its numbers are thousands, cents or percents of what they seem."""
    factor = roles.factor(name)
    if factor is not None:
        ways = "write the numbers out, and the name without it"
        message = f"column {name!r} says {factor!r}, which is no unit but a factor or a share: {ways}"
        raise given.error(f"{given.name}: {message}", arguments=(name,))


def _zone_told(given: Table, name: str, said: float | str | None) -> list[str]:
    """Say in which zone times are that name none, by the name of their column; refuse one that does not tell it."""
    if isinstance(said, str):
        message = (
            f"zone {said} of {name!r} is not known: write UTC or an offset such as UTC+01:00 there, or at each time"
        )
        raise given.error(f"{given.name}: {message}", arguments=(name,))
    if said is None:
        return [f"{name}: times that name no zone were taken as UTC"]
    hours, minutes = divmod(round(abs(said) / 60.0), 60)
    offset = f"UTC{'+' if said > 0.0 else '-'}{hours:02}:{minutes:02}"
    return [f"{name}: times that name no zone were taken as {offset}, as its name says"] if said else []


def _with_clean_symbols(columns: Columns) -> Columns:
    """Strip symbols of what cannot be seen, and refuse two writings of one."""
    try:
        texts, codes = columns.coded("symbol")
    except RecordError:  # what makes records says it, in the order of its checks
        return columns
    clean = [symbols.stripped(text) for text in texts]
    columns.refuse(
        "symbol", np.array([not text for text in clean], dtype=bool)[codes], "must be text that is not empty"
    )
    bad = np.array([hidden(text) is not None for text in clean], dtype=bool)[codes]
    columns.refuse("symbol", bad, "must be text without control characters and marks of direction")
    twice = None if columns.table.said.keep_similar else symbols.similar(clean)
    if twice is not None:
        name, message = columns.names["symbol"], "differ only in case or separators: keep_similar says they are two"
        both = " and ".join(map(repr, twice))
        raise columns.table.error(f"{columns.table.name}: {name} {both} {message}", arguments=(name,))
    notes = symbols.notes(texts)
    if not notes:
        return columns
    of_text = np.empty(len(clean), dtype=object)
    of_text[:] = clean
    return replace(
        columns, values={**columns.values, "symbol": of_text[codes]}, notes=(*columns.notes, *notes), _coded={}
    )


def _only(given: Table, role: str, names: list[str]) -> str:
    if len(names) > 1 or given.names.count(names[0]) > 1:
        both = " and ".join(repr(name) for name in dict.fromkeys(names))
        twice = " twice" if len(set(names)) == 1 else ""
        way = f"columns={{{role!r}: {names[0]!r}}}, or --column.{role}"
        hint = "" if twice else f"; name the one that is {role}: {way}"
        raise given.error(f"{given.name}: {role} may be {both}{twice}{hint}", arguments=tuple(names))
    return names[0]


def sorted_within(groups: npt.NDArray[np.int64], key: Floats | None) -> npt.NDArray[np.int64]:
    """Order rows by group and then by a key; in no order that one may count on where both are equal."""
    small = groups.astype(np.int16) if groups.max(initial=0) < 2**15 else groups  # NumPy sorts those by radix
    if key is None:
        return np.argsort(small, kind="stable")
    order = np.argsort(key)
    return order[np.argsort(small[order], kind="stable")]
