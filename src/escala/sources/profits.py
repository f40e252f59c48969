"""What a backtest earned, period by period or in all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.arrays import Floats, plain_number, to_floats
from escala.curves.records import FINITE
from escala.errors import RecordError
from escala.sources import roles, tables
from escala.sources.columns import Columns
from escala.sources.conventions import Conventions

#: What a column of either is called, beside the name of the argument.
_NAMES: Final = {
    "pnl": frozenset(map(roles.key, ("pnl", "profit", "p&l", "pl", "profit_and_loss", "net_pnl", "gross_pnl"))),
    "returns": frozenset(map(roles.key, ("returns", "return", "ret", "rets", "daily_return", "strategy"))),
}


@dataclass(frozen=True, eq=False)
class Profits:
    """What was earned before market impact, in money.

    Parameters
    ----------
    time : (T,) float64 or None
        When each period begins, in seconds since 1970, rising; None where only the total is known.
    money : (T,) float64
        What each earned, one number where only the total is known.
    notes : tuple of str
        How it was read.
    """

    time: Floats | None
    money: Floats
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """Money in all."""
        return float(self.money.sum())

    def periods_of(self, columns: Columns, time: Floats | None) -> npt.NDArray[np.int64]:
        """Tell in which period each trade lies: the last that begins no later.

        Raises
        ------
        RecordError
            If trades have no times, or lie before the first period or behind the last one.
        """
        if self.time is None:
            return np.zeros(len(columns), dtype=np.int64)
        if time is None:
            raise tables.missing(columns.table, "profits by period need trades with a column of times")
        longest = float(np.diff(self.time).max(initial=0.0))
        columns.refuse("time", time < self.time[0], f"must not lie before the first period, {_day(self.time[0])}")
        if self.time.size > 1:
            last = f"must not lie behind the last period, {_day(self.time[-1])}"
            columns.refuse("time", time > self.time[-1] + longest, last)
        return np.searchsorted(self.time, time, side="right").astype(np.int64) - 1


def _day(seconds: float) -> str:
    return str(np.datetime64(round(seconds), "s")).removesuffix("T00:00:00")


def read(pnl: Any, returns: Any, capital: float, time_unit: str) -> Profits:
    """Read profits from one of the two arguments.

    Parameters
    ----------
    pnl, returns
        A number, a Series indexed by time, a table with a column of times and one of profits, or a path of one; returns
        are shares of the backtest's capital.
    capital : float
        The backtest's.
    time_unit : str
        What numbers of times count.

    Raises
    ------
    RecordError
        Names the argument, the row and the value that is wrong.
    """
    if (pnl is None) == (returns is None):
        message = "a backtest needs pnl or returns, and one of them only"
        raise RecordError(message, arguments=("pnl", "returns"))
    name, value, factor = ("pnl", pnl, 1.0) if returns is None else ("returns", returns, capital)
    total = plain_number(value, FINITE)
    if total is not None:
        return Profits(None, np.array([total * factor]))
    columns = _columns(name, value, time_unit)
    columns.check(name, FINITE)
    order = np.argsort(columns["time"], kind="stable")
    time, money = columns["time"][order], columns[name][order] * factor
    if not time.size:
        raise RecordError(f"{name} must have periods, but there are none", arguments=(name,))
    twice = np.zeros(time.size, dtype=bool)
    twice[order[1:]] = np.diff(time) == 0.0
    columns.refuse("time", twice, f"of {name} must not come twice")
    return Profits(time, money, columns.notes)


def _columns(name: str, value: Any, time_unit: str) -> Columns:
    """Load a column of times and one of profits."""
    if keyed.is_series(value):
        value = {"time": value.index.to_series(), name: value.to_numpy()}
    if not (isinstance(value, str | os.PathLike | Mapping) or keyed.is_frame(value)):
        to_floats(name, value, RecordError)  # says what is wrong with what is not even numbers
        kinds = "a number, a Series indexed by time, or a table or path with a column of times"
        raise RecordError(f"{name} must be {kinds}", arguments=(name,))
    given = tables.table(_with_index(value), Conventions())
    times = [one for one in given.names if roles.tier("time", one) is not None]
    known = [one for one in given.names if roles.key(one) in _NAMES[name]]
    others = known or [one for one in given.names if one not in times]
    for wanted, found in (("time", times), (name, others)):
        if len(found) != 1:
            raise tables.missing(given, f"{name} needs one column of {'times' if wanted == 'time' else wanted}")
    return tables.load(given, {"time": times, name: others}, ("time", name), time_unit)


def _with_index(value: Any) -> Any:
    """Make a column of the dates that index a frame."""
    index = getattr(value, "index", None)
    if not keyed.is_frame(value) or index is None or getattr(index, "dtype", np.dtype(int)).kind != "M":
        return value
    return {"time": index.to_series(), **{str(column): value[column] for column in value.columns}}
