"""Executions and swap quotes -> efficiency records: what a size really got, against what small sizes get."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, one_number
from escala.errors import RecordError
from escala.sources import fingerprints, tables
from escala.sources.medians import range_medians
from escala.sources.results import EfficiencyRecords, names
from escala.sources.tables import Columns
from escala.tables import Interval
from escala.text.numerals import counted

Places: TypeAlias = npt.NDArray[np.int64]
Side: TypeAlias = Literal["buy", "sell"]

ROLES: Final = ("symbol", "side", "price", "quantity", "amount_in", "amount_out", "time", "trade_id")
WANTED: Final = "quotes need price and quantity, or amount_in and amount_out"
#: How sides are written, in lower case.
SIDES: Final = {"buy": True, "b": True, "bought": True, "sell": False, "s": False, "sold": False}

_AMOUNT: Final = Interval(1e-100, 1e100)
_SHARE: Final = Interval(0.0, 1.0, low_open=True)
_COUNT: Final = Interval(1, 2.0**31 - 1, integer=True)
_WINDOW: Final = Interval(0.0, math.inf, low_open=True, high_open=True)


@dataclass(frozen=True)
class Reference:
    """How the reference price is found.

    Parameters
    ----------
    small : float
        The share of a symbol's rows, smallest sizes first, that count as small.
    least : int
        They are at least so many; a symbol and side with fewer rows has no reference.
    window : float or None
        Seconds before and after a row within which small sizes count; None for all of them.
    """

    small: float = 0.1
    least: int = 5
    window: float | None = None

    def checked(self, columns: Columns) -> Reference:
        """Check the settings.

        Raises
        ------
        RecordError
            Names the one that is not allowed.
        """
        small = one_number("small", self.small, _SHARE, RecordError)
        least = int(one_number("least", self.least, _COUNT, RecordError))
        if self.window is None:
            return Reference(small, least)
        if "time" not in columns:
            raise tables.missing(columns.table, "a window needs a column of times")
        return Reference(small, least, one_number("window", self.window, _WINDOW, RecordError))


def records(
    table: Any,
    *,
    columns: Mapping[str, str] | None = None,
    symbol: str | None = None,
    side: Side | None = None,
    small: float = 0.1,
    least: int = 5,
    window: float | None = None,
    unit_value: float | Mapping[str, float] = 1.0,
    time_unit: str = "s",
    source: str | None = None,
) -> EfficiencyRecords:
    """Make efficiency records of executions or quotes.

    Parameters
    ----------
    table : path, data frame, Arrow table or mapping of columns
        Executions: `symbol`, `price`, `quantity` (of what is traded) and, if there, `side` (buy or sell) and `time`.
        Swap quotes: `symbol`, `amount_in`, `amount_out` and, if there, `time`; what is given is sold.
    columns : mapping of str to str, optional
        Which column is which, where names say it not: ``{"price": "fill_px"}``.
    symbol : str, optional
        The symbol of all rows, for tables without such a column.
    side : {"buy", "sell"}, optional
        The side of all executions, for tables without such a column; "sell" if nobody says, which a note tells.
    small : float
        Share of the rows of a symbol and side, smallest sizes first, whose prices make the reference.
    least : int
        They are at least so many; a symbol and side with fewer rows gives no records.
    window : float, optional
        Seconds: the reference of a row is that of the small sizes at most so long before or after it, so that a moving
        market does not look like impact. Rows without any are left out.
    unit_value : float or mapping of str to float
        Value of one unit of `amount_in`, or of the currency of `price`: capital is multiplied by it. A mapping has one
        for each symbol.
    time_unit : {"s", "ms", "us", "ns"}
        What numbers in `time` count since 1970. Dates may be ISO text too.
    source : str, optional
        Where the records are from; by default the path.

    Returns
    -------
    EfficiencyRecords
        In the order of the table.

    Raises
    ------
    RecordError
        If a column is missing or a value is not allowed; names column, row and value.

    Notes
    -----
    The reference r of a row is the median price of the small sizes of its symbol and side, price being amount_out /
    amount_in for swaps. A size is small if fewer than max(`least`, ⌈`small`·n⌉) of the n rows are smaller: sizes
    that tie are small together. With p the price of the row and q its quantity:

    ===========  =====================  ==============
    row          capital                efficiency
    ===========  =====================  ==============
    sell         q·r                    p / r
    buy          q·p                    r / p
    swap         amount_in              p / r
    ===========  =====================  ==============

    all capital times `unit_value`. This is value received over value given, valued at r, as for an order book, but
    for the mid price: small sizes pay half the spread too, so r holds it and only what size adds to it is measured.

    What this assumes, and how it errs. (1) Small sizes have no impact of their own; where they have, efficiency comes
    out too high. (2) The price moves only by size: without `window`, drift and noise of the market enter every record.
    (3) Efficiency above 1 is clipped and counted; with noise of relative size σ around 1 that lowers the mean of small
    sizes by about 0.4·σ. (4) Small sizes are part of their own reference, so theirs are close to 1 by construction.
    (5) Executions that somebody chose to make are not a random sample: large sizes are traded when the market takes
    them, which makes impact look smaller than it is.

    Examples
    --------
    >>> quotes = {"symbol": ["A/B"] * 4, "amount_in": [1, 2, 100, 1000], "amount_out": [2, 4, 198, 1900]}
    >>> made = records(quotes, least=2, small=0.5)
    >>> made.efficiency
    array([1.  , 1.  , 0.99, 0.95])
    >>> made
    <EfficiencyRecords: 4 records of 1 symbol>
    """
    given = tables.table(table)
    read = tables.load(given, tables.candidates(given, columns), ROLES, time_unit)
    reference = Reference(small, least, window)
    return from_columns(read, reference, symbol=symbol, side=side, unit_value=unit_value, source=source)


def from_columns(
    columns: Columns,
    reference: Reference,
    *,
    symbol: str | None,
    side: Side | None,
    unit_value: float | Mapping[str, float],
    source: str | None,
) -> EfficiencyRecords:
    """Make efficiency records of columns that were read.

    Raises
    ------
    RecordError
        As :func:`records`.
    """
    reference = reference.checked(columns)
    trades = _trades(columns, symbol, side)
    value = _unit_values(unit_value, trades.symbols)
    prices = _references(trades, reference)
    kept = np.isfinite(prices)
    given = np.where(trades.buys, trades.price, prices)  # what a unit of quantity costs who gives it
    capital = np.where(trades.swaps, trades.size, trades.size * given) * value[trades.codes]
    efficiency = np.where(trades.buys, prices / trades.price, trades.price / prices)[kept]
    clipped = int(np.count_nonzero(efficiency > 1.0))
    _check_capital(columns, trades, capital, kept)
    return EfficiencyRecords(
        symbol=names(trades.symbols, trades.codes[kept]),
        capital=capital[kept],
        efficiency=np.minimum(efficiency, 1.0),
        observed_at=columns["time"][kept] if "time" in columns else None,
        source=columns.table.name if source is None else source,
        kind="quotes",
        clipped=clipped,
        left_out=int(kept.size - np.count_nonzero(kept)),
        notes=(*trades.notes, *_notes(kept, clipped, trades, reference)),
        fingerprint=_fingerprints(columns, trades)[kept],
    )


def _fingerprints(columns: Columns, trades: _Trades) -> Places:
    """Tell rows by what they say, or by the ids that they have."""
    said = (trades.buys, np.full(len(columns), trades.swaps), trades.price, trades.size, trades.time)
    found = fingerprints.of_rows(trades.symbols, trades.codes, said)
    if "trade_id" in columns:
        return fingerprints.of_ids(trades.symbols, trades.codes, columns["trade_id"], found)
    return found


@dataclass(frozen=True, eq=False)
class _Trades:
    """Executions and swaps in one form."""

    symbols: list[str]
    codes: npt.NDArray[np.int32]
    buys: npt.NDArray[np.bool_]
    price: Floats
    size: Floats
    time: Floats | None
    swaps: bool
    notes: tuple[str, ...]

    @property
    def groups(self) -> Places:
        """One number a symbol and side."""
        return self.codes.astype(np.int64) * 2 + self.buys


def _trades(columns: Columns, symbol: str | None, side: Side | None) -> _Trades:
    is_swap = "amount_in" in columns and "amount_out" in columns
    is_execution = "price" in columns and "quantity" in columns
    if is_swap == is_execution:
        raise tables.missing(columns.table, WANTED + (", but not all of them" if is_swap else ""))
    size, other = ("amount_in", "amount_out") if is_swap else ("quantity", "price")
    columns.check(size, _AMOUNT)
    columns.check(other, _AMOUNT)
    symbols, codes = symbol_codes(columns, symbol)
    buys, notes = _sides(columns, side, is_swap)
    return _Trades(
        symbols=symbols,
        codes=codes,
        buys=buys,
        price=columns[other] / columns[size] if is_swap else columns[other],
        size=columns[size],
        time=columns.get("time"),
        swaps=is_swap,
        notes=notes,
    )


def symbol_codes(columns: Columns, symbol: str | None) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Give the different symbols, and for each row which of them it has.

    Raises
    ------
    RecordError
        If there is neither a column of symbols nor one for all, or both.
    """
    if "symbol" in columns:
        if symbol is not None:
            there = f"{columns.table.name} has a column {columns.names['symbol']!r} of symbols"
            raise RecordError(f"symbol {symbol!r} is for tables without symbols, but {there}", arguments=("symbol",))
        return columns.coded("symbol")
    if symbol is None:
        raise tables.missing(columns.table, "there is no column of symbols, and no symbol is given")
    if not isinstance(symbol, str) or not symbol:
        raise RecordError(f"symbol must be text that is not empty, not {symbol!r}", arguments=("symbol",))
    return [symbol], np.zeros(len(columns), dtype=np.int32)


def _sides(columns: Columns, side: Side | None, is_swap: bool) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """Tell which rows buy; what is given in a swap is sold."""
    if side not in {None, "buy", "sell"}:
        raise RecordError(f"side must be 'buy' or 'sell', not {side!r}", arguments=("side",))
    n = len(columns)
    if is_swap:
        if side is not None:
            raise RecordError("side is for executions: what is given in a swap is sold", arguments=("side",))
        return np.zeros(n, dtype=bool), ()
    if "side" in columns:
        if side is not None:
            there = f"{columns.table.name} has a column {columns.names['side']!r} of sides"
            raise RecordError(f"side {side!r} is for tables without sides, but {there}", arguments=("side",))
        return two_sides(columns, SIDES, "must be buy or sell"), ()
    assumed = () if side else ("there is no column of sides: every execution was taken for a sale",)
    return np.full(n, side == "buy"), assumed


def two_sides(columns: Columns, known: Mapping[str, bool], requirement: str) -> npt.NDArray[np.bool_]:
    """Tell for each row which of two sides it has, by how it is written.

    Raises
    ------
    RecordError
        Names the first that is written otherwise, with their rows.
    """
    texts, codes = columns.coded("side")
    meant = [known.get(text.strip().lower()) for text in texts]
    columns.refuse("side", np.array([side is None for side in meant], dtype=bool)[codes], requirement)
    return np.array([bool(side) for side in meant], dtype=bool)[codes]


def _unit_values(unit_value: float | Mapping[str, float], symbols: list[str]) -> Floats:
    if not isinstance(unit_value, Mapping):
        return np.full(len(symbols), one_number("unit_value", unit_value, _AMOUNT, RecordError))
    absent = [symbol for symbol in symbols if symbol not in unit_value]
    if absent:
        raise RecordError(f"unit_value has none for {absent[0]!r}", arguments=("unit_value",))
    chosen = (one_number(f"unit_value[{name!r}]", unit_value[name], _AMOUNT, RecordError) for name in symbols)
    return np.array(list(chosen), dtype=np.float64)


def _references(trades: _Trades, reference: Reference) -> Floats:
    """Give the reference price of each row, NaN where there is none."""
    groups = trades.groups
    is_small = _small(groups, trades.size, reference)
    order = tables.sorted_within(groups, trades.time)
    places = order[is_small[order]]  # of small rows, by group and time
    ends = np.cumsum(np.bincount(groups[places], minlength=2 * len(trades.symbols)))
    if reference.window is None or trades.time is None:
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        medians: Floats = range_medians(trades.price[places], starts, ends)[groups]
        return medians
    low, high = _windows(groups[order], trades.time[order], is_small[order], reference.window)
    result = np.empty(groups.size)
    result[order] = range_medians(trades.price[places], low, high)
    return result


def _small(groups: Places, size: Floats, reference: Reference) -> npt.NDArray[np.bool_]:
    """Mark the smallest sizes of each group, none where it has too few rows."""
    order = tables.sorted_within(groups, size)
    sorted_groups = groups[order]
    starts = np.flatnonzero(np.diff(sorted_groups, prepend=-1))
    counts = np.diff(starts, append=groups.size)
    wanted = np.minimum(counts, np.maximum(reference.least, np.ceil(reference.small * counts).astype(np.int64)))
    largest = np.where(counts < reference.least, -np.inf, size[order][starts + wanted - 1])
    result = np.empty(groups.size, dtype=bool)
    result[order] = size[order] <= np.repeat(largest, counts)
    return result


def _windows(groups: Places, time: Floats, is_small: npt.NDArray[np.bool_], window: float) -> tuple[Places, Places]:
    """Find for each row, all sorted by group and time, the range of small rows that lie in its window."""
    before = np.concatenate([[0], np.cumsum(is_small)])  # small rows before each row
    low, high = np.empty(groups.size, dtype=np.int64), np.empty(groups.size, dtype=np.int64)
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), groups.size], strict=True):
        times = time[start:stop]
        small_times = times[is_small[start:stop]]
        low[start:stop] = before[start] + np.searchsorted(small_times, times - window, side="left")
        high[start:stop] = before[start] + np.searchsorted(small_times, times + window, side="right")
    return low, high


def _check_capital(columns: Columns, trades: _Trades, capital: Floats, kept: npt.NDArray[np.bool_]) -> None:
    """Refuse capital that no record can have: each factor was allowed, their product may not be."""
    bad = kept & ~_AMOUNT.contains(capital)
    columns.refuse("amount_in" if trades.swaps else "quantity", bad, f"must give a capital {_AMOUNT}")


def _notes(kept: npt.NDArray[np.bool_], clipped: int, trades: _Trades, reference: Reference) -> tuple[str, ...]:
    notes = []
    counts = np.bincount(trades.groups, minlength=1)
    few = counts[(counts > 0) & (counts < reference.least)]
    if few.size:
        each = "symbol" if trades.swaps else "symbol and side"
        notes.append(f"{counted(int(few.sum()), 'row')} left out: fewer than {reference.least} of their {each}")
    alone = int(kept.size - np.count_nonzero(kept) - few.sum())
    if alone:
        notes.append(f"{counted(alone, 'row')} left out: no small size within {reference.window:g} s of them")
    if clipped:
        many = counted(clipped, "efficiency", "efficiencies")
        notes.append(f"{many} above 1 clipped to 1: better than the reference")
    return tuple(notes)
