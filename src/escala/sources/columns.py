"""A table from outside, and columns of it that were read: what is wrong in them is said by column and row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from escala.curves.records import coded
from escala.errors import InputError, RecordError, RecordFileError
from escala.files import csv as csv_file
from escala.files.dialect import Layout
from escala.sources import wide
from escala.sources.conventions import Conventions
from escala.tables import Interval

#: What the levels of a wide table are.
LEVEL: Final = ("side", "price", "quantity")
_SHOWN: Final = 3  # bad values that a message lists


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
    layout : Layout or None
        How a CSV file is written.
    levels : wide.Levels or None
        The levels of order books, if there are columns for each.
    said : Conventions
        What was said about it.
    notes : tuple of str
        How it was read, in words.
    head : callable or None
        Gives the first rows of a column by its name and their number, where that costs less than all of them.
    """

    name: str
    names: list[str]
    column: Callable[[str], Any] | None
    path: Path | None
    layout: Layout | None = None
    levels: wide.Levels | None = None
    said: Conventions = field(default_factory=Conventions)
    notes: tuple[str, ...] = ()
    head: Callable[[str, int], Any] | None = None

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
    notes : tuple of str
        What was found out, left out or changed when they were read, in words.
    dated : bool
        Whether numbers of times are seconds of dates, and not as they stand in the source.
    zoneless : bool
        Whether times may name no zone: False where all that were read do, or the type of their column has one.
    units : tuple of str
        Roles of columns whose numbers had several units.
    long : wide.Long or None
        Where in a wide table the values are from.
    """

    table: Table
    names: dict[str, str]
    values: dict[str, npt.NDArray[Any]]
    notes: tuple[str, ...] = ()
    dated: bool = False
    zoneless: bool = False
    units: tuple[str, ...] = ()
    long: wide.Long | None = None
    _coded: dict[str, tuple[list[str], npt.NDArray[np.int32]]] = field(default_factory=dict)

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
        used = {*self.names.values(), *(self.table.levels.names if self.long and self.table.levels else ())}
        return tuple(name for name in self.table.names if name and name not in used)

    def taken(self, kept: npt.NDArray[np.bool_]) -> Columns:
        """Give some of the rows. Messages do not name the rows of these."""
        values = {role: column[kept] for role, column in self.values.items()}
        return replace(self, values=values, long=None, _coded={})

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
        if self.long is not None:
            raise self._of_levels(role, requirement, self.long, places)
        if self.table.path is not None and self.table.column is None:
            fault = InputError("", arguments=(name,), indexes=first, requirement=required)
            raise csv_file.by_row(self.table.path, values, fault, RecordFileError, self.table.layout)
        shown = "; ".join(f"{name}[{place}] = {brief(values[name][place])}" for (place,) in first)
        more = f" and {places.size - len(first):,} more" if places.size > len(first) else ""
        message = f"{self.table.name}: {required}, but {shown}{more}"
        raise self.table.error(message, arguments=(name,), indexes=first, requirement=required)

    def _of_levels(self, role: str, requirement: str, long: wide.Long, places: npt.NDArray[np.int64]) -> RecordError:
        """Say which columns and rows of a wide table hold values that are not allowed."""
        found, table = cast(wide.Levels, self.table.levels), self.table
        first = places[:_SHOWN].tolist()
        rows = [int(long.rows[place]) for place in first]
        names = [self.names.get(role, role)] * len(first)
        if role in LEVEL:
            levels = [found.columns[long.levels[place]] for place in first]
            names = [level.quantity if role == "quantity" else level.price for level in levels]
        is_csv = table.path is not None and table.column is None
        lines = csv_file.row_numbers(cast(Path, table.path), rows, table.layout) if is_csv else rows
        shown = "; ".join(
            f"row {line}: {name} = {brief(self[role][place])}"
            if is_csv
            else f"{name}[{line}] = {brief(self[role][place])}"
            for line, name, place in zip(lines, names, first, strict=True)
        )
        more = f" and {places.size - len(first):,} more" if places.size > len(first) else ""
        return table.error(f"{table.name}: {role} {requirement}, but {shown}{more}", arguments=tuple(names))

    def coded(self, role: str) -> tuple[list[str], npt.NDArray[np.int32]]:
        """Give the different texts of a column, and for each row which of them it has.

        Raises
        ------
        RecordError
            Names the first that is no text, or an empty one, with its row.
        """
        try:
            if role not in self._coded:
                self._coded[role] = coded(self[role])
            return self._coded[role]
        except RecordError as error:
            bad = np.zeros(len(self), dtype=bool)
            bad[error.indexes[0][0]] = True
        self.refuse(role, bad, "must be text that is not empty")
        raise AssertionError("text that could not be coded is allowed")


def brief(value: Any) -> str:
    """Write a value as Python does, shortly."""
    shown = value.item() if isinstance(value, np.generic) else value
    text = repr(shown)
    return text if len(text) <= 60 else text[:57] + "..."
