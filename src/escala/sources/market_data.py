"""One number a trade, of whatever says it: for all, by symbol, by day and symbol, or a column beside the trades."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.arrays import Floats
from escala.errors import RecordError, did_you_mean
from escala.sources import tables, times, values
from escala.sources.columns import Columns
from escala.sources.trades import Trades
from escala.tables import Interval


def per_trade(
    name: str,
    value: Any,
    interval: Interval,
    columns: Columns,
    trades: Trades,
) -> Floats:
    """Give a number for each trade.

    Parameters
    ----------
    name : str
        The argument.
    value
        A number, symbol → number, a frame of days and symbols (the last day no later than the trade counts), or the
        name of a column of the trades.
    interval : Interval
        What it may be.
    columns, trades
        The table, and the trades that were read from it.

    Raises
    ------
    RecordError
        Names the argument, the place and the value that is wrong.
    """
    if isinstance(value, str):
        return _beside(name, value, interval, columns)[trades.rows]
    if keyed.is_frame(value):
        return _by_day(name, value, interval, trades)
    return keyed.per_symbol(name, value, trades.symbols, interval, RecordError)[trades.codes]


def _beside(name: str, column: str, interval: Interval, columns: Columns) -> Floats:
    given = columns.table
    if column not in given.names:
        hint = did_you_mean(column, given.names, f"; {tables.listing(given)}")
        message = f"{name}: there is no column {column!r} beside the trades{hint}"
        raise given.error(message, arguments=(name,))
    read = values.read(given, {name: column})
    read.check(name, interval)
    return read[name]


def _by_day(name: str, frame: Any, interval: Interval, trades: Trades) -> Floats:
    time, codes = trades.time, trades.codes
    if time is None:
        raise RecordError(f"{name} by day needs trades with a column of times", arguments=(name,))

    def refuse(bad: npt.NDArray[np.bool_], requirement: str) -> None:
        if bad.any():
            raise RecordError(f"the index of {name} {requirement}", arguments=(name,))

    days, _, _ = times.seconds(np.asarray(frame.index), False, 0.0, "auto", None, refuse)
    refuse(np.diff(days, prepend=-np.inf) <= 0.0, "must rise")
    row = np.searchsorted(days, time, side="right") - 1
    if (row < 0).any():
        first = np.datetime64(round(float(time[row < 0][0])), "s")
        raise RecordError(f"{name} begins behind the trade of {first}", arguments=(name,))
    result = np.empty(codes.size)
    known = list(frame.columns)
    for code, symbol in enumerate(trades.symbols):
        if symbol not in known:
            raise RecordError(f"{name} has no column {symbol!r}{did_you_mean(symbol, known)}", arguments=(name,))
        own = codes == code
        result[own] = np.asarray(frame[symbol], dtype=np.float64)[row[own]]
        bad = np.flatnonzero(own)[~interval.contains(result[own])]
        if bad.size:
            day = np.datetime64(round(float(days[row[bad[0]]])), "s")
            message = f"{name} must be {interval}, but is {float(result[bad[0]])!r} for {symbol!r} on {day}"
            raise RecordError(message, arguments=(name,))
    return result
