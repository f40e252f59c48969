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
from escala.sources import fees as fees_of
from escala.sources import fills as fills_of
from escala.sources import sides as sides_of
from escala.sources import tables, trades
from escala.sources.candidates import candidates
from escala.sources.choice import Choice
from escala.sources.columns import Columns
from escala.sources.conventions import Conventions
from escala.sources.medians import range_medians
from escala.sources.results import EfficiencyRecords, names
from escala.sources.trades import AMOUNT, ROLES, How, Places, Side, Trades
from escala.tables import Interval
from escala.text.numerals import counted

Fills: TypeAlias = Literal["join", "apart"]

_SHARE: Final = Interval(0.0, 1.0, low_open=True)
_COUNT: Final = Interval(1, 2.0**31 - 1, integer=True)
_WINDOW: Final = Interval(0.0, math.inf, low_open=True, high_open=True)
_TOO_MANY: Final = 1 / 3  # of the large sizes better than the reference: sales only would hardly be
_ROUNDING: Final = 1e-9


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
    sides: Mapping[str, str] | None = None,
    fees: fees_of.Fees | None = None,
    fee_unit: fees_of.Unit | None = None,
    fills: Fills = "join",
    small: float = 0.1,
    least: int = 5,
    window: float | None = None,
    unit_value: float | Mapping[str, float] = 1.0,
    time_unit: str = "auto",
    source: str | None = None,
    **how: Any,
) -> EfficiencyRecords:
    """Make efficiency records of executions or quotes.

    Parameters
    ----------
    table : path, data frame, Arrow table or mapping of columns
        Executions: `symbol`, `price`, `quantity` (of what is traded) and, if there, `side` (buy or sell), `time`,
        `order`, `fee` and `fee_currency`; a `value` (price × quantity) says whichever of the two is not there. Rows
        whose `status` says that nothing was done are left out and counted.
        Swap quotes: `symbol`, `amount_in`, `amount_out` and, if there, `time`; what is given is sold. Each direction
        needs a symbol of its own; where `side`, `token_in` or `token_out` of one symbol differ, they are refused.
    columns : mapping of str to str, optional
        Which column is which, where names say it not: ``{"price": "fill_px"}``.
    symbol : str, optional
        The symbol of all rows, for tables without such a column.
    side : {"buy", "sell"}, optional
        The side of all executions, for tables without such a column; "sell" if nobody says, which a note tells.
    sides : mapping of str to str, optional
        What words in the column of sides mean, where it is not known: ``{"C": "buy", "V": "sell"}``; rows of a word
        that is "unknown" are left out and counted.
    fees : {"include", "ignore"}, optional
        Whether fees lower efficiency; by default if it is known what they are in, and a note says which. They are
        known by a column of their currency, by their name, by what is written beside them, or by a total with them.
    fee_unit : {"quote", "base", "percent"}, optional
        What fees are in, where nothing tells it.
    fills : {"join", "apart"}
        Whether fills of one `order` are one execution at their volume-weighted price; without such a column, fills of
        one symbol and side at the same time. A note says how many.
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
    time_unit : {"auto", "s", "ms", "us", "ns", "excel"}
        What numbers in `time` count, as in :func:`escala.sources.read`.
    source : str, optional
        Where the records are from; by default the path.
    **how
        How the table is written: `delimiter`, `decimal`, `thousands`, `header`, `earliest`, `keep_similar` of
        :func:`escala.sources.read`.

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

    all capital times `unit_value`. A fee f in quote currency makes the price of a sale p − f/q and that of a purchase
    p + f/q; in base currency a sale gives q + f for q, and a purchase gets q − f. This is value received over value
    given, valued at r, as for an order book, but for the mid price: small sizes pay half the spread too, so r holds it
    and only what size adds to it is measured, and fees.

    What this assumes, and how it errs. (1) Small sizes have no impact of their own; where they have, efficiency comes
    out too high. (2) The price moves only by size: without `window`, drift and noise of the market enter every record.
    (3) Efficiency above 1 is clipped and counted; with noise of relative size σ around 1 that lowers the mean of small
    sizes by about 0.4·σ. (4) Small sizes are part of their own reference, so theirs are close to 1 by construction.
    (5) Executions that somebody chose to make are not a random sample: large sizes are traded when the market takes
    them, which makes impact look smaller than it is. (6) Fills that belong to one order and are not joined look like
    many small sizes without impact.

    Examples
    --------
    >>> quotes = {"symbol": ["A/B"] * 4, "amount_in": [1, 2, 100, 1000], "amount_out": [2, 4, 198, 1900]}
    >>> made = records(quotes, least=2, small=0.5)
    >>> made.efficiency
    array([1.  , 1.  , 0.99, 0.95])
    >>> made
    <EfficiencyRecords: 4 records of 1 symbol>
    """
    given = tables.table(table, Conventions.of(**how))
    said = How(side, sides_of.meanings(sides), fees, fee_unit, fills)
    choice = candidates(given, columns, said.sides)
    read = tables.load(given, trades.wanted(choice.columns, fees), ROLES, time_unit)
    reference = Reference(small, least, window)
    return from_columns(read, choice, reference, said, symbol=symbol, unit_value=unit_value, source=source)


def from_columns(
    columns: Columns,
    choice: Choice,
    reference: Reference,
    how: How,
    *,
    symbol: str | None,
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
    done = trades.read(columns, choice, how, symbol)
    done = fills_of.join(done, columns) if how.fills == "join" else done
    value = _unit_values(unit_value, done.symbols)
    prices, is_small = _references(done, reference)
    if done.assumed:
        _check_sales(columns, done, prices, is_small)
    kept = np.isfinite(prices)
    capital, efficiency = _outcome(done, prices)
    capital, efficiency = capital * value[done.codes], efficiency[kept]
    clipped = int(np.count_nonzero(efficiency > 1.0))
    _check_capital(columns, done, capital, kept)
    return EfficiencyRecords(
        symbol=names(done.symbols, done.codes[kept]),
        capital=capital[kept],
        efficiency=np.minimum(efficiency, 1.0),
        observed_at=None if done.time is None else done.time[kept],
        source=columns.table.name if source is None else source,
        kind="quotes",
        clipped=clipped,
        left_out=done.left_out + int(kept.size - np.count_nonzero(kept)),
        notes=(*done.notes, *_notes(kept, clipped, done, reference), *columns.notes),
        fingerprint=done.fingerprint[kept],
    )


def _outcome(done: Trades, prices: Floats) -> tuple[Floats, Floats]:
    """Give capital and efficiency of each, by the price that small sizes have."""
    price, size, buys = done.price, done.size, done.buys
    if done.fees is None:
        given = np.where(buys, price, prices)  # what a unit of quantity costs who gives it
        efficiency = np.where(buys, prices / price, price / prices)
        return np.where(done.swaps, size, size * given), efficiency
    quote, base = done.fees.quote, done.fees.base
    value = price * size
    capital = np.where(buys, value + quote, (size + base) * prices)
    received = np.where(buys, (size - base) * prices, value - quote)
    return capital, received / capital


def _check_sales(columns: Columns, done: Trades, prices: Floats, is_small: npt.NDArray[np.bool_]) -> None:
    """Refuse to take executions for sales where too many of the large ones got more than small ones do."""
    is_large = np.isfinite(prices) & ~is_small
    large = int(np.count_nonzero(is_large))
    better = int(np.count_nonzero(is_large & (done.price > prices * (1.0 + _ROUNDING))))
    if better > 1 and better >= _TOO_MANY * large:
        told = f"{better:,} of {large:,} large executions got a better price than small ones do"
        ways = "name a column of sides (columns={'side': …}, --column.side), or say side='sell' or 'buy' for all rows"
        message = (
            f"{columns.table.name}: there is no column of sides, and as sales {told}: some may be purchases; {ways}"
        )
        raise columns.table.error(message, arguments=("side",))


def _unit_values(unit_value: float | Mapping[str, float], symbols: list[str]) -> Floats:
    if not isinstance(unit_value, Mapping):
        return np.full(len(symbols), one_number("unit_value", unit_value, AMOUNT, RecordError))
    absent = [symbol for symbol in symbols if symbol not in unit_value]
    if absent:
        raise RecordError(f"unit_value has none for {absent[0]!r}", arguments=("unit_value",))
    chosen = (one_number(f"unit_value[{name!r}]", unit_value[name], AMOUNT, RecordError) for name in symbols)
    return np.array(list(chosen), dtype=np.float64)


def _references(done: Trades, reference: Reference) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Give the reference price of each row, NaN where there is none, and which rows are small."""
    groups = done.groups
    is_small = _small(groups, done.size, reference)
    order = tables.sorted_within(groups, done.time)
    places = order[is_small[order]]  # of small rows, by group and time
    ends = np.cumsum(np.bincount(groups[places], minlength=2 * len(done.symbols)))
    if reference.window is None or done.time is None:
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        return range_medians(done.price[places], starts, ends)[groups], is_small
    low, high = _windows(groups[order], done.time[order], is_small[order], reference.window)
    result = np.empty(groups.size)
    result[order] = range_medians(done.price[places], low, high)
    return result, is_small


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


def _check_capital(columns: Columns, done: Trades, capital: Floats, kept: npt.NDArray[np.bool_]) -> None:
    """Refuse capital that no record can have: each factor was allowed, their product may not be."""
    bad = np.zeros(len(columns), dtype=bool)
    bad[done.rows[kept & ~AMOUNT.contains(capital)]] = True
    role = "amount_in" if done.swaps else "quantity" if "quantity" in columns else "value"
    columns.refuse(role, bad, f"must give a capital {AMOUNT}")


def _notes(kept: npt.NDArray[np.bool_], clipped: int, done: Trades, reference: Reference) -> tuple[str, ...]:
    notes = []
    counts = np.bincount(done.groups, minlength=1)
    few = counts[(counts > 0) & (counts < reference.least)]
    if few.size:
        each = "symbol" if done.swaps else "symbol and side"
        notes.append(f"{counted(int(few.sum()), done.noun)} left out: fewer than {reference.least} of their {each}")
    alone = int(kept.size - np.count_nonzero(kept) - few.sum())
    if alone:
        notes.append(f"{counted(alone, done.noun)} left out: no small size within {reference.window:g} s of them")
    if clipped:
        many = counted(clipped, "efficiency", "efficiencies")
        notes.append(f"{many} above 1 clipped to 1: better than the reference")
    return tuple(notes)
