"""Tables from outside, a file or a frame, as named columns of numbers, times and text."""

from __future__ import annotations

import datetime
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.arrays import Floats, to_floats
from escala.curves.records import SECONDS, coded
from escala.errors import InputError, RecordError, RecordFileError, did_you_mean
from escala.files import csv as csv_file
from escala.files import frames
from escala.files import table as table_file
from escala.tables import Interval

_SHOWN: Final = 3  # bad values that a message lists
#: Seconds of the units that numbers may count time in, as how many make a second.
_UNITS: Final = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}

#: What a column may be, and the names by which it is known without being told.
ROLES: Final[dict[str, tuple[str, ...]]] = {
    "symbol": ("symbol", "pair", "market", "instrument", "ticker", "product_id"),
    "capital": ("capital", "capital_usd", "capital_usdt", "capital_eur", "notional", "notional_usd"),
    "efficiency": ("efficiency", "eta"),
    "weight": ("weight", "weights"),
    "time": ("observed_at", "time", "timestamp", "unix_time", "datetime", "date", "ts"),
    "side": ("side", "direction", "taker_side"),
    "price": ("price", "price_usd", "px"),
    "quantity": ("quantity", "qty", "size", "amount", "volume", "base_quantity"),
    "amount_in": ("amount_in", "in_amount", "amountin"),
    "amount_out": ("amount_out", "out_amount", "amountout"),
    "snapshot": ("snapshot", "snapshot_id", "book_id"),
    "trade_id": ("trade_id", "tradeid", "exec_id", "execid", "execution_id", "fill_id", "tid", "match_id", "txid"),
}
_TEXTS: Final = ("symbol", "side")
#: What only tells rows apart, of whatever type.
_AS_GIVEN: Final = ("snapshot", "trade_id")
#: Dates such as 20240102, which as seconds all lie in the summer of 1970.
_COMPACT_DATES: Final = Interval(19700101.0, 21001231.0, integer=True)
_TIME: Final = "must be unix seconds of the years 1 to 9999 (or as time_unit says) or an ISO date"


@dataclass(frozen=True, eq=False)
class Table:
    """A table that has not been read yet but for the names of its columns.

    Parameters
    ----------
    name : str
        What it is called in messages: the path, or what kind of thing it is.
    names : list of str
        Its columns.
    column : callable or None
        Gives a column by its name; None for CSV.
    path : Path or None
        The file, if it is one.
    """

    name: str
    names: list[str]
    column: Callable[[str], Any] | None
    path: Path | None

    @property
    def error(self) -> type[RecordError]:
        """What to raise about it."""
        return RecordError if self.path is None else RecordFileError


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of a table by role, read and of one length.

    Parameters
    ----------
    table : Table
        Where they are from.
    names : dict of str to str
        How the table calls the column of each role.
    values : dict of str to array
        float64 for numbers, seconds since 1970 for times, objects for text.
    """

    table: Table
    names: dict[str, str]
    values: dict[str, npt.NDArray[Any]]

    def __len__(self) -> int:
        return next((column.size for column in self.values.values()), 0)

    def __contains__(self, role: str) -> bool:
        return role in self.values

    def __getitem__(self, role: str) -> npt.NDArray[Any]:
        return self.values[role]

    def get(self, role: str) -> npt.NDArray[Any] | None:
        """Give a column, None if it is not there."""
        return self.values.get(role)

    @property
    def unused(self) -> tuple[str, ...]:
        """Columns of the table that nothing was read from."""
        return tuple(name for name in self.table.names if name not in self.names.values())

    def check(self, role: str, interval: Interval) -> None:
        """Refuse values outside an interval; NaN is always outside.

        Raises
        ------
        RecordError
            Names the first, with their rows.
        """
        if not interval.holds_all(self[role]):
            self.refuse(role, ~interval.contains(self[role]), f"must be {interval}")

    def refuse(self, role: str, bad: npt.NDArray[np.bool_], requirement: str) -> None:
        """Refuse marked values of a column, if there are any.

        Raises
        ------
        RecordError
            Names the first, with their rows.
        """
        places = np.flatnonzero(bad)
        if not places.size:
            return
        name = self.names[role]
        required = f"{name} {requirement}"
        first = tuple((int(place),) for place in places[:_SHOWN])
        values = {name: self[role]}
        if self.table.path is not None and self.table.column is None:
            fault = InputError("", arguments=(name,), indexes=first, requirement=required)
            raise csv_file.by_row(self.table.path, values, fault, RecordFileError)
        shown = "; ".join(f"{name}[{place}] = {_brief(values[name][place])}" for (place,) in first)
        more = f" and {places.size - len(first):,} more" if places.size > len(first) else ""
        message = f"{self.table.name}: {required}, but {shown}{more}"
        raise self.table.error(message, arguments=(name,), indexes=first, requirement=required)

    def coded(self, role: str) -> tuple[list[str], npt.NDArray[np.int32]]:
        """Give the different texts of a column, and for each row which of them it has.

        Raises
        ------
        RecordError
            Names the first that is no text, or an empty one, with its row.
        """
        try:
            return coded(self[role])
        except RecordError as error:
            bad = np.zeros(len(self), dtype=bool)
            bad[error.indexes[0][0]] = True
        self.refuse(role, bad, "must be text that is not empty")
        raise AssertionError("text that could not be coded is allowed")


def table(source: Any) -> Table:
    """Look at a table: a path (CSV, packed or not, or Parquet), a frame, an Arrow table or a mapping of columns.

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
    if isinstance(source, str | os.PathLike):
        return _file(Path(source))
    if isinstance(source, Mapping):
        return Table("mapping", [str(name) for name in source], source.__getitem__, None)
    source = frames.in_memory(source, RecordError)
    names = getattr(source, "column_names", getattr(source, "columns", None))
    if names is None or not hasattr(source, "__getitem__"):
        kind = type(source).__name__
        raise RecordError(f"a source is a path, a data frame or a mapping of columns, not {kind}")
    return Table("frame", [str(name) for name in names], source.__getitem__, None)


def _file(path: Path) -> Table:
    if csv_file.is_csv(path):
        return Table(str(path), csv_file.header(path, RecordFileError), None, path)
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _parquet(path)
    path.stat()  # where nothing is, that is what is wrong
    raise RecordFileError(f"{path}: a source is a file called .csv, .csv.gz or .parquet")


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
    return Table(str(path), names, lambda name: read(lambda: file.read([name])[name]), path)


def candidates(given: Table, columns: Mapping[str, str] | None) -> dict[str, list[str]]:
    """Find which columns may have which role: the one that was said, else all that are called like it.

    Raises
    ------
    RecordError
        If `columns` names a role or a column that there is not.
    """
    said = _said(given, columns)
    found = {role: [name] for role, name in said.items()}
    for role, known in ROLES.items():
        named = [name for name in given.names if name not in said.values() and _key(name) in known]
        if role not in found and named:
            found[role] = named[:1] if role == "trade_id" else named  # any id tells rows apart
    return found


def _key(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _said(given: Table, columns: Mapping[str, str] | None) -> dict[str, str]:
    said = {} if columns is None else {("time" if role == "observed_at" else role): columns[role] for role in columns}
    for role, name in said.items():
        if role not in ROLES:
            raise given.error(f"columns names what there is not, {role!r}; known are {', '.join(ROLES)}")
        if name not in given.names:
            hint = did_you_mean(name, given.names, f"; {_found(given)}")
            raise given.error(f"{given.name}: there is no column {name!r}{hint}")
    return said


def _found(given: Table) -> str:
    return f"found were {', '.join(given.names)}" if given.names else "there are no columns"


def missing(given: Table, wanted: str) -> RecordError:
    """Give the error of a table without the columns that are needed; lists those that were found."""
    hint = "; columns of other names can be named"
    if len(given.names) == 1 and any(mark in given.names[0] for mark in ";\t|"):
        hint = "; columns are separated by commas"
    return given.error(f"{given.name}: {wanted}; {_found(given)}{hint}")


def load(given: Table, found: Mapping[str, list[str]], roles: Iterable[str], time_unit: str = "s") -> Columns:
    """Read the columns of some roles, as far as they are there.

    Raises
    ------
    RecordError
        If two columns may have one of the roles, lengths differ, or a value is not what it has to be.
    """
    if time_unit not in _UNITS:
        raise RecordError(f"time_unit must be one of {', '.join(_UNITS)}, not {time_unit!r}", arguments=("time_unit",))
    chosen: dict[str, str] = {}
    for role in roles:
        if role in found:
            chosen[role] = _only(given, role, found[role])
    unit = _UNITS[time_unit]
    values = _from_csv(given, chosen, unit) if given.column is None else _from_frame(given, chosen)
    columns = Columns(given, chosen, values)
    if "time" in values:
        seconds = values["time"] if given.column is None else _seconds(values["time"], unit)
        columns.refuse("time", ~SECONDS.contains(seconds), _TIME)
        if unit == 1.0 and seconds.size and _COMPACT_DATES.contains(seconds).all():
            columns.refuse("time", np.ones(seconds.size, np.bool_), "must not be dates without dashes: 2024-01-02")
        values["time"] = seconds
    return columns


def _only(given: Table, role: str, names: list[str]) -> str:
    if len(names) > 1 or given.names.count(names[0]) > 1:
        both = " and ".join(repr(name) for name in dict.fromkeys(names))
        twice = " twice" if len(set(names)) == 1 else ""
        hint = "" if twice else f"; name the one that is {role}"
        raise given.error(f"{given.name}: {role} may be {both}{twice}{hint}", arguments=tuple(names))
    return names[0]


def _from_csv(given: Table, chosen: Mapping[str, str], unit: float) -> dict[str, npt.NDArray[Any]]:
    date = functools.partial(_dated, unit=unit)
    ways: dict[str, tuple[csv_file.Convert | None, str]] = {"time": (date, "a number or an ISO date")}
    ways |= dict.fromkeys((*_TEXTS, *_AS_GIVEN), (None, "text"))

    def plan(header: list[str]) -> dict[int, tuple[str, csv_file.Convert | None, str]]:
        return {header.index(name): (name, *ways.get(role, (float, "a number"))) for role, name in chosen.items()}

    columns = csv_file.columns(cast(Path, given.path), plan, RecordFileError)
    return {role: columns[name] for role, name in chosen.items()}


def _from_frame(given: Table, chosen: Mapping[str, str]) -> dict[str, npt.NDArray[Any]]:
    fetch = cast(Callable[[str], Any], given.column)
    values: dict[str, npt.NDArray[Any]] = {}
    fetched = {name: fetch(name) for name in chosen.values()}
    keyed.check_aligned(fetched, RecordError)
    for role, name in chosen.items():
        is_text = role in _TEXTS
        found = fetched[name]
        if np.ma.is_masked(found):  # as an array it would be what lies under the mask
            raise given.error(f"{given.name}: {name} has masked elements", arguments=(name,))
        column = _plain(found, as_given=is_text or role in {"time", *_AS_GIVEN})
        if is_text:
            column = column.astype(object)
        elif role not in {"time", *_AS_GIVEN}:
            column = _numbers(given, name, column)
        if column.ndim != 1:
            raise given.error(f"{given.name}: {name} must be one column, not of shape {column.shape}")
        values[role] = column
    sizes = {chosen[role]: column.size for role, column in values.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        raise given.error(f"{given.name}: columns are of different lengths: {shown}", arguments=tuple(sizes))
    return values


def _numbers(given: Table, name: str, column: npt.NDArray[Any]) -> Floats:
    try:
        return to_floats(name, column, RecordError)
    except RecordError as error:
        raise given.error(f"{given.name}: {error}", arguments=(name,)) from None


def _plain(column: Any, *, as_given: bool) -> npt.NDArray[Any]:
    """Give a column as an array; times with a zone in UTC. NumPy would make text of what stands beside text."""
    if as_given and isinstance(column, list | tuple) and any(isinstance(value, str) for value in column):
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


def _seconds(times: npt.NDArray[Any], unit: float) -> Floats:
    """Turn times into seconds since 1970, NaN for what is none; `unit` of numbers make a second."""
    if times.dtype.kind == "M":
        return np.where(np.isnat(times), np.nan, times.astype("datetime64[us]").astype(np.int64) / 1e6)
    if times.dtype.kind in "fiu":
        return times.astype(np.float64) / unit
    return np.array([_moment(time, unit) for time in times.tolist()], dtype=np.float64)


def _moment(value: Any, unit: float) -> float:
    """Give the seconds of one time, NaN if it is none."""
    try:
        if isinstance(value, str):
            return _dated(value, unit)
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            value = datetime.datetime(value.year, value.month, value.day)
        if isinstance(value, datetime.datetime):
            return (value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).timestamp()
        return float(value) / unit
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _dated(text: str, unit: float) -> float:
    try:
        return float(text) / unit
    except ValueError:
        return _moment(datetime.datetime.fromisoformat(text.strip()), unit)


def sorted_within(groups: npt.NDArray[np.int64], key: Floats | None) -> npt.NDArray[np.int64]:
    """Order rows by group and then by a key; in no order that one may count on where both are equal."""
    small = groups.astype(np.int16) if groups.max(initial=0) < 2**15 else groups  # NumPy sorts those by radix
    if key is None:
        return np.argsort(small, kind="stable")
    order = np.argsort(key)
    return order[np.argsort(small[order], kind="stable")]


def _brief(value: Any) -> str:
    shown = value.item() if isinstance(value, np.generic) else value
    text = repr(shown)
    return text if len(text) <= 60 else text[:57] + "..."
