"""Files of lending scenarios: columns are arguments of ``simulate`` or strategy fields, one row a scenario."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from escala.arrays import Floats
from escala.errors import ScenarioError, ScenarioFileError, did_you_mean
from escala.files import csv as csv_file
from escala.files import table as table_file
from escala.files.dialect import Dialect
from escala.lending.result import LendingResult, StopReason
from escala.lending.simulate import simulate
from escala.lending.strategy import ARGUMENT_NAMES, STRATEGY_FIELDS, LendingStrategy

_WANTED = f"columns are {', '.join(ARGUMENT_NAMES)} and strategy fields, in a header line, separated by commas"


def read(path: Path) -> dict[str, Floats]:
    """Read the columns of a CSV file of scenarios.

    Raises
    ------
    ScenarioFileError
        If a column is unknown, missing or given twice, a row has another number of values, or a value is no number;
        names the row as the file counts it, the header being row 1.
    """
    known = (*ARGUMENT_NAMES, *STRATEGY_FIELDS)

    def plan(given: list[str]) -> dict[int, csv_file.Column]:
        named = given[: max((place for place, name in enumerate(given, 1) if name), default=0)]
        names = [_field(name) for name in named]
        _check_header(path, names, known)
        return {place: csv_file.Column(name, "plain") for place, name in enumerate(names)}

    said = Dialect(delimiter=",", decimal=".")
    known_field = functools.partial(_is_known, known=known)
    return csv_file.columns(path, plan, ScenarioFileError, said=said, known=known_field, hint=_WANTED).values


def _is_known(name: str, known: tuple[str, ...]) -> bool:
    return _field(name) in known


def _field(name: str) -> str:
    return name.replace("-", "_")


def _check_header(path: Path, header: list[str], known: tuple[str, ...]) -> None:
    for name in header:
        if name not in known:
            hint = did_you_mean(name, known, f"; {_WANTED}")
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
        raise csv_file.by_row(path, columns, error, ScenarioFileError) from None


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
