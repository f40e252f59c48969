"""Batches of records as callers have them: data frames, columns by name, or one mapping a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from escala.errors import RecordError
from escala.files import frames
from escala.store import checks

_COLUMNS: Final = ("symbol", "capital", "efficiency", "weight", "observed_at", "source", "metrics")
_NEEDED: Final = _COLUMNS[:3]


def checked(batch: Any) -> checks.Batch:
    """Bring a batch to columns and check them.

    Raises
    ------
    RecordError
        Names the column, the first bad records and their values.
    """
    table = frames.columns(batch, RecordError)
    columns = _named(table if table or isinstance(batch, Mapping) else _transposed(batch))
    return checks.batch(
        columns["symbol"],
        columns["capital"],
        columns["efficiency"],
        weights=columns.get("weight"),
        observed_at=columns.get("observed_at"),
        sources=columns.get("source", "system"),
        metrics=columns.get("metrics"),
    )


def _transposed(batch: Any) -> dict[str, list[Any]]:
    """Make columns of one mapping a record."""
    rows: list[Any] = list(batch) if isinstance(batch, Iterable) and not isinstance(batch, str) else [None]
    if not all(isinstance(row, Mapping) for row in rows):
        raise RecordError("batch must be a data frame, columns by name, or one mapping a record")
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(_NEEDED)
    for place, row in enumerate(rows):
        for name in names:
            if name not in row and name != "metrics":
                raise RecordError(f"batch[{place}] has no {name!r}")
    return {name: [row.get(name) for row in rows] for name in names}


def _named(batch: Mapping[Any, Any]) -> dict[str, Any]:
    """Give columns by the names of now; `time` is another name of `observed_at`."""
    columns = {str(name): column for name, column in batch.items()}
    if "time" in columns and "observed_at" in columns:
        raise RecordError("batch has both columns 'time' and 'observed_at', which say the same")
    if "time" in columns:
        columns["observed_at"] = columns.pop("time")
    strangers = [name for name in columns if name not in _COLUMNS]
    absent = [name for name in _NEEDED if name not in columns]
    if absent or strangers:
        what = f"has no column {absent[0]!r}" if absent else f"has a column {strangers[0]!r} that is not known"
        raise RecordError(f"batch {what}; known are {', '.join(_COLUMNS)}")
    return columns
