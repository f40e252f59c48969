"""Rows of CSV files, as the file counts them: its first line is row 1, and errors name file and row."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from escala.errors import InputError
from escala.files import arrow
from escala.files.dialect import SAMPLE, Dialect, Known, Layout, is_comment
from escala.files.dialect import layout as found_layout
from escala.files.numbers import NotANumberError, Numbers, currency, is_of_programs, plain
from escala.files.times import NotATimeError, Times
from escala.text.numerals import counted

#: What a column holds: numbers as Python writes them, numbers, such with a unit, such that may be missing, times, text.
Kind: TypeAlias = Literal["plain", "number", "amount", "level", "time", "text"]
#: Numbered lines of a file, split into values.
Rows: TypeAlias = list[tuple[int, list[str]]]

_BLOCK: Final = 2048  # rows converted together: few enough that the garbage collector has little to look through
_LINES: Final = 20  # lines that a sample has at least: some tables have thousands of columns
_LONGEST_SAMPLE: Final = 1 << 24
#: Characters of a line, and of a row with line breaks in its quotes, at most: a packed file may hold any number.
LONGEST_LINE: Final = 1 << 24
_LARGE: Final = 1_000_000  # bytes from which a file is worth loading a library that reads it faster


class Column(NamedTuple):
    """A column that is wanted.

    Parameters
    ----------
    name : str
        What it is called in the result and in messages.
    kind : {"plain", "number", "amount", "level", "time", "text"}
        What it holds. Text becomes objects of which equal ones are one.
    ahead : float
        Of times: how many seconds the clock of dates that name no zone is ahead of UTC.
    """

    name: str
    kind: Kind
    ahead: float = 0.0

    @property
    def wanted(self) -> str:
        """What its values have to be, in words."""
        return "a number or an ISO date" if self.kind == "time" else "a number"

    def reader(self, layout: Layout) -> Callable[[str], float] | None:
        """Make what turns its texts into numbers; None for text."""
        if self.kind == "text":
            return None
        if self.kind == "plain":
            return plain
        if self.kind == "time":
            return Times(Numbers(layout.separators), self.ahead)
        return Numbers(layout.separators, units=self.kind != "number", blank=self.kind == "level")


#: Told the names of the columns, says which are wanted, by place.
Plan: TypeAlias = Callable[[list[str]], Mapping[int, Column]]


@dataclass(frozen=True)
class Content:
    """Columns that were read.

    Parameters
    ----------
    values : dict of str to array
        float64, objects for text.
    dated : frozenset of str
        Columns of times that were dates and are seconds now; other times are numbers as they stand.
    zoneless : frozenset of str
        Those of them with dates that name no zone.
    units : frozenset of str
        Columns of whose numbers several units were taken off.
    notes : tuple of str
        What was left out or taken off, in words.
    """

    values: dict[str, npt.NDArray[Any]]
    dated: frozenset[str] = frozenset()
    zoneless: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def is_csv(path: Path) -> bool:
    """Tell by its name that a file is CSV, packed or not."""
    return path.name.lower().endswith((".csv", ".csv.gz"))


@contextlib.contextmanager
def opened(path: Path, error: type[InputError]) -> Iterator[BinaryIO]:
    """Open a file, packed with gzip if it is called so, such that it can be read twice.

    Raises
    ------
    InputError
        The class given, if what is read within is no CSV in the encoding that it begins with.
    """
    try:
        with _open(path) as file:
            yield file
    except LineTooLongError as reason:
        raise error(f"{path}{reason}") from None
    except (UnicodeError, csv.Error) as reason:
        raise error(f"{path}: not a CSV file in UTF-8 or UTF-16: {reason}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as reason:
        raise error(f"{path}: not a whole gzip file: {reason}") from None


def _open(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    file = path.open("rb")
    if file.seekable():
        return file
    with file:
        return io.BytesIO(file.read())


def layout(
    path: Path, error: type[InputError], said: Dialect | None = None, known: Known = lambda _: False, hint: str = ""
) -> Layout:
    """Find how a file is written, and the names of its columns.

    Parameters
    ----------
    path : Path
        The file.
    error : type of InputError
        What to raise.
    said : Dialect, optional
        What is known already.
    known : callable, optional
        Tells whether the name of a column is one that the reader knows.
    hint : str, optional
        What helps a file without a header, in words.

    Raises
    ------
    InputError
        The class given, if the file is empty, no CSV, or may be written in several ways.
    """
    with opened(path, error) as file:
        return _layout(path, file, error, said, known, hint)


def _layout(
    path: Path, file: BinaryIO, error: type[InputError], said: Dialect | None, known: Known, hint: str
) -> Layout:
    parts, lines, size = [file.read(SAMPLE)], 0, 0
    while (lines := lines + parts[-1].count(b"\n")) < _LINES and (size := size + len(parts[-1])) < _LONGEST_SAMPLE:
        if not (more := file.read(SAMPLE)):
            break
        parts.append(more)
    head = b"".join(parts)
    if len(head) >= _LONGEST_SAMPLE and b"\n" not in head and b"\r" not in head:
        raise LineTooLongError(1)
    is_whole = not file.read(1)
    file.seek(0)
    return found_layout(path, head, is_whole, (said or Dialect()).checked(error), known, error, hint)


def columns(
    path: Path,
    plan: Plan,
    error: type[InputError],
    *,
    layout: Layout | None = None,
    said: Dialect | None = None,
    known: Known = lambda _: False,
    hint: str = "",
) -> Content:
    """Read columns of a file.

    Parameters
    ----------
    path : Path
        The file.
    plan : callable
        Told the names, says which columns to keep, by place.
    error : type of InputError
        What to raise.
    layout : Layout, optional
        How the file is written; found out by default, with `said`, `known` and `hint` as in :func:`layout`.

    Raises
    ------
    InputError
        The class given, if a row has another number of values than the header, or a value is not what it has to be.
    """
    with opened(path, error) as file:
        written = _layout(path, file, error, said, known, hint) if layout is None else layout
        wanted = plan(written.names)
        quick = _quick(file, written, wanted)
        if quick is not None:
            return quick
        file.seek(0)
        return _Reading(path, written, wanted, error).content(file)


def _quick(file: BinaryIO, layout: Layout, wanted: Mapping[int, Column]) -> Content | None:
    """Read a large file of plain rows by a library, if it is installed; None for all others."""
    file.seek(_LARGE)
    if not file.read(1):
        return None
    file.seek(0)
    kinds = {place: column.kind for place, column in wanted.items()}
    found = None if any(column.ahead for column in wanted.values()) else arrow.columns(file, layout, kinds)
    if found is None:
        return None
    values, dated, zoneless = found
    return Content(
        {column.name: values[place] for place, column in wanted.items()},
        frozenset(wanted[place].name for place in dated),
        frozenset(wanted[place].name for place in zoneless),
    )


@dataclass
class _Reading:
    """Reads a file row by row."""

    path: Path
    layout: Layout
    wanted: Mapping[int, Column]
    error: type[InputError]
    readers: dict[int, Callable[[str], float] | None] = field(init=False)
    seen: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.readers = {place: column.reader(self.layout) for place, column in self.wanted.items()}

    def content(self, file: BinaryIO) -> Content:
        with _Numbered(file, self.layout) as numbered:
            return self._content(numbered)

    def _content(self, numbered: _Numbered) -> Content:
        rows_of = iter(numbered)
        parts: dict[int, list[npt.NDArray[Any]]] = {
            place: [np.empty(0, object if reader is None else np.float64)] for place, reader in self.readers.items()
        }
        while rows := list(itertools.islice(rows_of, _BLOCK)):
            for place, values in self._block(rows).items():
                parts[place].append(values)
        times = {place: reader for place, reader in self.readers.items() if isinstance(reader, Times)}
        for place, reader in times.items():
            self._refuse_mixture(place, reader)
        return Content(
            {self.wanted[place].name: np.concatenate(values) for place, values in parts.items()},
            frozenset(self.wanted[place].name for place, reader in times.items() if reader.dated),
            frozenset(self.wanted[place].name for place, reader in times.items() if reader.zoneless),
            frozenset(self.wanted[place].name for place in self.readers if self._has_units(place)),
            tuple(self._notes(numbered.comments)),
        )

    def _has_units(self, place: int) -> bool:
        reader = self.readers[place]
        return isinstance(reader, Numbers) and len(set(map(currency, reader.taken))) > 1

    def _block(self, rows: Rows) -> dict[int, npt.NDArray[Any]]:
        try:
            texts = list(zip(*(row for _, row in rows), strict=True))
        except ValueError:
            texts = []
        if len(texts) != len(self.layout.names):
            rows = [(line, self._even(line, row)) for line, row in rows]
            texts = list(zip(*(row for _, row in rows), strict=True))
        try:
            return self._converted(texts)
        except ValueError:
            raise self._first_fault(rows) from None

    def _converted(self, texts: Sequence[Sequence[str]]) -> dict[int, npt.NDArray[Any]]:
        result: dict[int, npt.NDArray[Any]] = {}
        for place, reader in self.readers.items():
            if reader is None:
                seen = self.seen
                result[place] = _objects([seen.setdefault(text, text) for text in texts[place]])
            else:
                result[place] = self._numbers(reader, texts[place])
        return result

    def _numbers(self, reader: Callable[[str], float], texts: Sequence[str]) -> npt.NDArray[np.float64]:
        if self.layout.separators.decimal == "." and "." not in self.layout.separators.doubtful:
            try:  # most are as Python writes them, and its own function is quicker than one of ours
                values = np.array(list(map(float, texts)), dtype=np.float64)
            except ValueError:
                values = None
            if values is not None and not is_of_programs("".join(texts)):
                if isinstance(reader, Times):
                    reader.skip_numbers(len(texts))
                return values
        return np.array(list(map(reader, texts)), dtype=np.float64)

    def _even(self, line: int, row: list[str]) -> list[str]:
        """Bring a row to the width of the header: commas at its end, or at that of the header, mean nothing."""
        width = len(self.layout.names)
        if len(row) > width and not any(value.strip() for value in row[width:]):
            return row[:width]
        if self.layout.width <= len(row) < width:
            return row + [""] * (width - len(row))
        if len(row) == width:
            return row
        raise self.error(f"{self.path} row {line}: {len(row)} values for {width} columns")

    def _first_fault(self, rows: Rows) -> InputError:
        """Find what is wrong in rows that could not be read, row by row."""
        for line, row in rows:
            for place in sorted(self.wanted):
                name, reader = self.wanted[place].name, self.readers[place]
                try:
                    if reader is not None:
                        reader(row[place])
                except ValueError as reason:
                    hint = f": {reason}" if isinstance(reason, NotANumberError | NotATimeError) else ""
                    wanted = self.wanted[place].wanted
                    message = f"{self.path} row {line}: {name} must be {wanted}, not {row[place]!r}{hint}"
                    return self.error(message, arguments=(name,))
        raise AssertionError("rows that could not be read have no fault")

    def _refuse_mixture(self, place: int, reader: Times) -> None:
        if not reader.mixed:
            return
        name = self.wanted[place].name
        number, date = row_numbers(self.path, [reader.first["number"], reader.first["date"]], self.layout)
        message = f"{self.path}: {name} must be numbers or dates, row {number} has a number and row {date} a date"
        raise self.error(message, arguments=(name,))

    def _notes(self, comments: int) -> Iterator[str]:
        if comments:
            yield f"{counted(comments, 'row')} that {'begin' if comments > 1 else 'begins'} with # left out"
        for place, reader in self.readers.items():
            if isinstance(reader, Numbers) and reader.taken:
                yield f"{self.wanted[place].name}: {', '.join(reader.taken)} taken off its numbers"


class LineTooLongError(Exception):
    """A line that no table has.

    Parameters
    ----------
    row : int or None
        Which, if that is known.
    """

    def __init__(self, row: int | None) -> None:
        where = "" if row is None else f" row {row}"
        super().__init__(f"{where}: a line of more than {LONGEST_LINE:,} characters, which is the most that is read")


def _bounded(text: io.TextIOWrapper) -> Iterator[str]:
    """Give the lines of a text; of one that is too long no more is read than it may have."""
    for number in itertools.count(1):
        line = text.readline(LONGEST_LINE + 1)
        if not line:
            return
        if len(line) > LONGEST_LINE:
            raise LineTooLongError(number)
        yield line


class _Numbered:
    """Rows of a file behind its header with their lines, without empty ones and comments, of which it keeps count."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self._layout = layout
        self._text = io.TextIOWrapper(file, layout.encoding, newline="")
        lines = itertools.islice(_bounded(self._text), layout.skipped, None)
        # strict: a quote that is never closed would take the rest of the file for one value, and no row would be missed
        self._reader = csv.reader(lines, delimiter=layout.delimiter, strict=True)
        self.comments = 0

    def __enter__(self) -> _Numbered:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.detach()  # the file is closed by who opened it

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        reader, skipped = self._reader, self._layout.skipped
        is_header = self._layout.has_header
        for row in reader:
            if row:
                if is_comment(row):
                    self.comments += 1
                elif is_header:
                    is_header = False
                else:
                    yield reader.line_num + skipped, row


def _objects(texts: Sequence[str]) -> npt.NDArray[np.object_]:
    result = np.empty(len(texts), dtype=object)
    result[:] = texts
    return result


def by_row(
    path: Path,
    columns: Mapping[str, npt.NDArray[Any]],
    fault: InputError,
    error: type[InputError],
    layout: Layout | None = None,
) -> InputError:
    """Say of values that are not allowed in which rows of the file they stand."""
    numbers = row_numbers(path, [index for (index,) in fault.indexes], layout)
    shown = []
    for (index,), number in zip(fault.indexes, numbers, strict=True):
        values = (f"{name} = {_shown(columns[name][index])}" for name in fault.arguments if name in columns)
        shown.append(f"row {number}: {' and '.join(values)}")
    return error(f"{path}: {fault.requirement}, but {'; '.join(shown)}", arguments=fault.arguments)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else repr(float(value))


def row_numbers(path: Path, indexes: Sequence[int], layout: Layout | None = None) -> list[int]:
    """Lines of the file on which rows of values end: empty lines and line breaks inside quotes count too."""
    with opened(path, InputError) as file:
        written = _layout(path, file, InputError, None, lambda _: False, "") if layout is None else layout
        with _Numbered(file, written) as numbered:
            lines = [line for line, _ in itertools.islice(numbered, 1 + max(indexes))]
    return [lines[index] for index in indexes]
