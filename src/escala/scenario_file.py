"""Files of lending scenarios: columns are arguments of ``simulate`` or strategy fields, one row a scenario."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from escala import table_file
from escala.errors import ScenarioError, ScenarioFileError, did_you_mean
from escala.lending import ARGUMENT_NAMES, STRATEGY_FIELDS, LendingResult, LendingStrategy, StopReason, simulate

Floats = npt.NDArray[np.float64]
_WANTED = "columns are supply, borrow, target, wallet and strategy fields, in a header line, separated by commas"


def read(path: Path) -> dict[str, Floats]:
    """Read the columns of a CSV file of scenarios.

    Raises
    ------
    ScenarioFileError
        If a column is unknown, missing or given twice, a row has another number of values, or a value is no number;
        names the row as the file counts it, the header being row 1.
    """
    known = (*ARGUMENT_NAMES, *STRATEGY_FIELDS)
    try:
        return _read(path, known)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ScenarioFileError(f"{path}: not a CSV file in UTF-8: {error}") from None


def _read(path: Path, known: tuple[str, ...]) -> dict[str, Floats]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        first = next((row for row in reader if row), None)
        if first is None:
            raise ScenarioFileError(f"{path}: the file is empty")
        header = [name.strip().replace("-", "_") for name in first]
        _check_header(path, header, known)
        columns: list[list[float]] = [[] for _ in header]
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise ScenarioFileError(f"{path} row {reader.line_num}: {len(row)} values for {len(header)} columns")
            for name, column, text in zip(header, columns, row, strict=True):
                try:
                    column.append(float(text))
                except ValueError:
                    message = f"{path} row {reader.line_num}: {name} must be a number, not {text!r}"
                    raise ScenarioFileError(message, arguments=(name,)) from None
    return {name: np.array(column, dtype=np.float64) for name, column in zip(header, columns, strict=True)}


def _check_header(path: Path, header: list[str], known: tuple[str, ...]) -> None:
    for name in header:
        if name not in known:
            hint = did_you_mean(name, known) or "; " + _WANTED
            raise ScenarioFileError(f"{path}: unknown column {name!r}{hint}", arguments=(name,))
        if header.count(name) > 1:
            raise ScenarioFileError(f"{path}: column {name} is given twice", arguments=(name,))
    missing = [name for name in ARGUMENT_NAMES if name not in header]
    if missing:
        raise ScenarioFileError(f"{path}: missing column{'s' if len(missing) > 1 else ''} {', '.join(missing)}")


def run(
    path: Path, *, threads: int | None = None, progress: Callable[[int], object] | None = None
) -> tuple[dict[str, Floats], LendingResult]:
    """Read a file of scenarios and simulate them all; returns its columns and what became of them.

    Raises
    ------
    ScenarioFileError
        As :func:`read`, and for values that a scenario may not have, with their rows.
    """
    columns = read(path)
    try:
        strategy = LendingStrategy(**{name: columns[name] for name in columns if name in STRATEGY_FIELDS})
        arguments = {name: columns[name] for name in ARGUMENT_NAMES}
        return columns, simulate(**arguments, strategy=strategy, threads=threads, progress=progress)
    except ScenarioError as error:
        if not error.indexes or not error.indexes[0]:
            raise
        raise _by_row(path, columns, error) from None


def _by_row(path: Path, columns: dict[str, Floats], error: ScenarioError) -> ScenarioFileError:
    shown = []
    for (index,) in error.indexes:
        values = (f"{name} = {float(columns[name][index])!r}" for name in error.arguments if name in columns)
        shown.append(f"row {_row_number(path, index)}: {' and '.join(values)}")
    return ScenarioFileError(f"{path}: {error.requirement}, but {'; '.join(shown)}", arguments=error.arguments)


def _row_number(path: Path, index: int) -> int:
    """Line of the file on which scenario `index` ends: empty lines and line breaks inside quotes count too."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        lines = [reader.line_num for row in reader if row]
    return lines[1 + index]  # the header is the first


def write(path: Path, columns: dict[str, Floats], result: LendingResult) -> None:
    """Write inputs and results, one row a scenario, as CSV or, by the name's ending, Parquet."""
    table: dict[str, Any] = {**columns, **result.to_dict()}
    table["stop"] = np.array([reason.name.lower() for reason in StopReason])[np.asarray(result.stop)]
    table_file.write(path, table)


def check_output(path: Path, source: Path) -> None:
    """Refuse, before anything is computed, a file that :func:`write` could not write, or that holds the scenarios."""
    if path.exists() and source.exists() and path.samefile(source):
        raise ScenarioFileError(f"{path}: results would replace the scenarios themselves")
    table_file.check(path, "results", ScenarioFileError)
