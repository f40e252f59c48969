"""Rows of CSV files, as the file counts them: the header is row 1, and errors name file and row."""

from __future__ import annotations

import contextlib
import csv
import gzip
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from escala.errors import InputError

#: Turns the text of one value into a number; a ValueError means that it is none.
Convert: TypeAlias = Callable[[str], float]
#: Numbered lines of a file, split into values.
Rows: TypeAlias = list[tuple[int, list[str]]]

_BLOCK = 2048  # rows converted together: few enough that the garbage collector has little to look through


def is_csv(path: Path) -> bool:
    """Tell by its name that a file is CSV, packed or not."""
    return path.name.lower().endswith((".csv", ".csv.gz"))


@contextlib.contextmanager
def opened(path: Path, error: type[InputError]) -> Iterator[TextIO]:
    """Open a file of text, packed with gzip if it is called so.

    Raises
    ------
    InputError
        The class given, if what is read within is no CSV in UTF-8.
    """
    try:
        with _open(path) as file:
            yield file
    except (UnicodeDecodeError, csv.Error) as reason:
        raise error(f"{path}: not a CSV file in UTF-8: {reason}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as reason:
        raise error(f"{path}: not a whole gzip file: {reason}") from None


def _open(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return cast(TextIO, gzip.open(path, "rt", newline="", encoding="utf-8-sig"))
    return path.open(newline="", encoding="utf-8-sig")


def _reader(file: TextIO) -> Any:
    # strict: a quote that is never closed would take the rest of the file for one value, and no row would be missed
    return csv.reader(file, strict=True)


def header(path: Path, error: type[InputError]) -> list[str]:
    """Read the names of the columns.

    Raises
    ------
    InputError
        The class given, if the file is empty or no CSV.
    """
    with opened(path, error) as file:
        return _header(path, _reader(file), error)


def _header(path: Path, reader: Iterator[list[str]], error: type[InputError]) -> list[str]:
    first = next((row for row in reader if row), None)
    if first is None:
        raise error(f"{path}: the file is empty")
    return [name.strip() for name in first]


def head(path: Path, rows: int, error: type[InputError]) -> dict[str, list[str]]:
    """Read the texts of the first rows, without those that have another number of values than the header.

    Raises
    ------
    InputError
        The class given, if the file is empty or no CSV.
    """
    with opened(path, error) as file:
        reader = _reader(file)
        names = _header(path, reader, error)
        first = [row for row in itertools.islice((row for row in reader if row), rows) if len(row) == len(names)]
    return {name: [row[place] for row in first] for place, name in enumerate(names)}


def columns(
    path: Path,
    plan: Callable[[list[str]], Mapping[int, tuple[str, Convert | None, str]]],
    error: type[InputError],
) -> dict[str, npt.NDArray[Any]]:
    """Read columns of a file.

    Parameters
    ----------
    path : Path
        The file.
    plan : callable
        Told the header, says which columns to keep: by place, the name in the result, how to convert its values (None:
        text, as objects of which equal ones are one) and what they have to be, in words.
    error : type of InputError
        What to raise.

    Raises
    ------
    InputError
        The class given, if a row has another number of values than the header, or a value is not what it has to be.
    """
    with opened(path, error) as file:
        reader = _reader(file)
        names = _header(path, reader, error)
        wanted = plan(names)
        seen: dict[str, str] = {}
        parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name, _, _ in wanted.values()}
        numbered = ((reader.line_num, row) for row in reader if row)
        while rows := list(itertools.islice(numbered, _BLOCK)):
            for name, values in _block(path, rows, len(names), wanted, seen, error).items():
                parts[name].append(values)
    empty = {name: np.empty(0, object if convert is None else np.float64) for name, convert, _ in wanted.values()}
    return {name: np.concatenate([empty[name], *values]) for name, values in parts.items()}


def _block(
    path: Path,
    rows: Rows,
    width: int,
    wanted: Mapping[int, tuple[str, Convert | None, str]],
    seen: dict[str, str],
    error: type[InputError],
) -> dict[str, npt.NDArray[Any]]:
    try:
        texts = list(zip(*(row for _, row in rows), strict=True))
        if len(texts) != width:
            raise ValueError
        result: dict[str, npt.NDArray[Any]] = {}
        for place, (name, convert, _) in wanted.items():
            if convert is None:
                result[name] = _objects([seen.setdefault(text, text) for text in texts[place]])
            else:
                result[name] = np.array(list(map(convert, texts[place])), dtype=np.float64)
        return result
    except ValueError:
        raise _first_fault(path, rows, width, wanted, error) from None


def _objects(texts: Sequence[str]) -> npt.NDArray[np.object_]:
    result = np.empty(len(texts), dtype=object)
    result[:] = texts
    return result


def _first_fault(
    path: Path,
    rows: Rows,
    width: int,
    wanted: Mapping[int, tuple[str, Convert | None, str]],
    error: type[InputError],
) -> InputError:
    """Find what is wrong in rows that could not be read, row by row."""
    for line, row in rows:
        if len(row) != width:
            return error(f"{path} row {line}: {len(row)} values for {width} columns")
        for place in sorted(wanted):
            name, convert, kind = wanted[place]
            try:
                if convert is not None:
                    convert(row[place])
            except ValueError:
                return error(f"{path} row {line}: {name} must be {kind}, not {row[place]!r}", arguments=(name,))
    raise AssertionError("rows that could not be read have no fault")


def by_row(
    path: Path, columns: Mapping[str, npt.NDArray[Any]], fault: InputError, error: type[InputError]
) -> InputError:
    """Say of values that are not allowed in which rows of the file they stand."""
    numbers = row_numbers(path, [index for (index,) in fault.indexes])
    shown = []
    for (index,), number in zip(fault.indexes, numbers, strict=True):
        values = (f"{name} = {_shown(columns[name][index])}" for name in fault.arguments if name in columns)
        shown.append(f"row {number}: {' and '.join(values)}")
    return error(f"{path}: {fault.requirement}, but {'; '.join(shown)}", arguments=fault.arguments)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else repr(float(value))


def row_numbers(path: Path, indexes: Sequence[int]) -> list[int]:
    """Lines of the file on which rows of values end: empty lines and line breaks inside quotes count too."""
    with _open(path) as file:
        reader = _reader(file)
        last = 1 + max(indexes)  # the header is the first
        lines = [reader.line_num for row in itertools.islice((row for row in reader if row), last + 1)]
    return [lines[1 + index] for index in indexes]
