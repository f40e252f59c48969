"""Trades and profits of a backtest -> what is left of them with more capital, as efficiency records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, known_word, one_number
from escala.curves.records import CAPITAL
from escala.errors import RecordError
from escala.sources import profits as profits_of
from escala.sources import sides as sides_of
from escala.sources import tables, trades
from escala.sources.candidates import candidates
from escala.sources.columns import Columns
from escala.sources.conventions import Conventions
from escala.sources.impact import CurveLaw, Law, Orders, added, check_curves
from escala.sources.impact import law as law_of
from escala.sources.market_data import per_trade
from escala.sources.profits import Profits
from escala.sources.results import EfficiencyRecords
from escala.sources.scaled import Capacity, ScaledBacktest, checked_multiples
from escala.sources.trades import How, Trades
from escala.tables import POSITIVE
from escala.text.numerals import counted

__all__ = ["Capacity", "ScaledBacktest", "records", "scale"]

_DAY: Final = 86_400.0
_YEAR: Final = 365.25 * _DAY
_POINTS: Final = 61  # multiples, where none are given
_SMALLEST: Final = 1e-3  # of them, as a share of the largest
_DOUBLINGS: Final = 60
_HALVINGS: Final = 60
_COUNTED: Final = ("day", "trade")


def records(
    trades: Any,
    *,
    capital: float,
    strategy: str = "strategy",
    blocks: int = 12,
    **how: Any,
) -> EfficiencyRecords:
    """Make efficiency records of a backtest: the share of its gross profit that is left at multiples of its capital.

    Parameters
    ----------
    trades, capital, **how
        As for :func:`scale`.
    strategy, blocks
        As for :meth:`ScaledBacktest.records`.

    Returns
    -------
    EfficiencyRecords
        With weights and, where profits are known by period, times.

    Raises
    ------
    RecordError
        As :func:`scale` and :meth:`ScaledBacktest.records`.

    Examples
    --------
    >>> days = ["2024-01-02", "2024-01-03"]
    >>> trades = {"time": days, "symbol": ["A", "A"], "quantity": [10, -10], "price": [100, 130]}
    >>> made = records(trades, capital=1000.0, pnl=300.0, daily_volume=1e4, volatility=0.02, multiples=[1, 4, 16])
    >>> made.efficiency.round(4)
    array([0.9952, 0.9903, 0.9806])
    """
    return scale(trades, capital=capital, **how).records(strategy=strategy, blocks=blocks)


def scale(
    trades: Any,
    *,
    capital: float,
    pnl: Any = None,
    returns: Any = None,
    daily_volume: Any = None,
    volatility: Any = None,
    impact: Any = "sqrt",
    coefficient: float | None = None,
    coefficient_sd: float | None = None,
    multiples: Any = None,
    orders: Literal["day", "trade"] = "day",
    symbol: str | None = None,
    columns: Mapping[str, str] | None = None,
    sides: Mapping[str, str] | None = None,
    time_unit: str = "auto",
    periods_per_year: float | None = None,
    source: str | None = None,
    **how: Any,
) -> ScaledBacktest:
    """Scale a backtest: trades and gross profit grow with capital, and what moving the market costs grows more.

    Parameters
    ----------
    trades : path, data frame, Arrow table or mapping of columns
        `symbol`, `quantity` (negative for sales, or with a column of sides), `price` and `time`, known by the names
        that :func:`escala.sources.read` knows. Positions begin at 0.
    capital : float
        What the backtest was run with.
    pnl, returns : number, Series, table or path
        What it earned before market impact and after fees: money, or shares of `capital` (not compounded). One of the
        two: in all, or by period, as a Series indexed by time or a table with a column of times and one of `pnl` or
        `returns`. A trade belongs to the last period that begins no later.
    daily_volume : float, symbol → float, frame or str
        Units that are traded in a day, in the unit of `quantity`: one number, one a symbol, a frame of days and
        symbols, or the name of a column of `trades`. Laws of impact need it.
    volatility : float, symbol → float, frame or str
        Standard deviation of a day's returns, as a fraction. "sqrt" and "linear" need it.
    impact : {"sqrt", "linear", "volume-share"} or CurveSet
        What an order costs as a share of its value: see the notes. Of curves the one of its symbol at its value.
    coefficient : float, optional
        Of the law; by default 1 for "sqrt" and 0.1 for "volume-share".
    coefficient_sd : float, optional
        Standard deviation of what is known of it, 0 if nobody says; intervals hold it.
    multiples : (m,), optional
        Of `capital`. By default 61 evenly spaced in their logarithm, up to the one at which nothing is left, and 1.
    orders : {"day", "trade"}
        What one order is: all trades of a symbol, side and day (UTC), or each trade alone. Many small trades of one
        order, taken alone, would look like less impact than it has.
    symbol : str, optional
        The symbol of all trades, for tables without such a column.
    columns, sides, time_unit
        As in :func:`escala.sources.read`.
    periods_per_year : float, optional
        For Sharpe ratios; by default as many as the times of the periods leave in a year of 365.25 days.
    source : str, optional
        Where it is from; by default the path.
    **how
        How the table is written, as in :func:`escala.sources.quotes.records`.

    Returns
    -------
    ScaledBacktest

    Raises
    ------
    RecordError
        If an argument, a column or a value is not allowed or missing, or the backtest has no gross profit; names it.

    Notes
    -----
    With quantity Q, value v = Q·p, a day's volume V and volatility σ, an order costs at the multiple m

    ==============  ==============================  ===============
    impact          cost                            so that it grows
    ==============  ==============================  ===============
    "sqrt"          m·v·Y·σ·√(m·Q/V)                as m^(3/2)
    "linear"        m·v·Y·σ·(m·Q/V)                 as m²
    "volume-share"  m·v·Y·(m·Q/V)²                  as m³
    curves          m·v·(1 − η(m·v))                as they fall
    ==============  ==============================  ===============

    Y is the `coefficient`. Under the square-root law with Y = 1 an order of a day's volume costs a day's volatility
    (Grinold and Kahn); where Y is that of the price at the end of an order, its mean cost is two thirds. "volume-share"
    is the quadratic rule of Zipline's slippage and of pyfolio's `apply_slippage_penalty`, where 0.1 is usual; that one
    counts what is bought and sold on a day together, and divides by a capital that grows with the returns.
    The net return of a period is r − cost/(m·capital): under the square-root law it falls linearly in √capital, and so
    does the Sharpe ratio where every period costs the same.

    What this assumes: the strategy trades the same at any size, later trades do not meet the impact of earlier ones,
    and volumes and volatilities are those of the backtest.

    References
    ----------
    Grinold and Kahn (2000), Active Portfolio Management, chapter 16. Tóth et al. (2011), Anomalous price impact and the
    critical nature of liquidity in financial markets. Kyle (1985), Continuous auctions and insider trading.
    """
    money = one_number("capital", capital, CAPITAL, RecordError)
    chosen = law_of(impact, coefficient, coefficient_sd)
    if not known_word(orders, _COUNTED):
        raise RecordError(f"orders must be 'day' or 'trade', not {orders!r}", arguments=("orders",))
    earned = profits_of.read(pnl, returns, money, time_unit)
    if earned.total <= 0.0:
        name = "pnl" if returns is None else "returns"
        message = f"{name} must come to a gross profit, not to {earned.total:g}: of a loss no share can be left"
        raise RecordError(message, arguments=(name,))
    read = _trades(trades, symbol, columns, sides, time_unit, how)
    market = _Market.of(read, chosen, daily_volume, volatility)
    period = earned.periods_of(read.columns, read.trades.time)
    joined = _joined(read.trades, orders)
    made = _orders(read.trades, market, period, joined)
    told = _notes(read.trades, made, orders)
    year = periods_per_year
    if year is not None:
        year = one_number("periods_per_year", year, POSITIVE, RecordError)
    result = ScaledBacktest(
        multiples=np.ones(1),
        notes=tuple(dict.fromkeys((*earned.notes, *read.columns.notes, *read.trades.notes, *told))),
        periods_per_year=_periods_per_year(earned) if year is None else year,
        source=read.columns.table.name if source is None else source,
        _capital=money,
        _orders=made,
        _law=chosen,
        _time=earned.time,
        _money=earned.money,
        _positions=_positions(read.trades),
        _volume=market.last(read.trades),
    )
    return _at(result, multiples)


@dataclass(frozen=True, eq=False)
class _Read:
    """Trades, and the columns that they are from."""

    columns: Columns
    trades: Trades


def _trades(
    table: Any,
    symbol: str | None,
    columns: Mapping[str, str] | None,
    sides: Mapping[str, str] | None,
    time_unit: str,
    how: dict[str, Any],
) -> _Read:
    """Read trades whose sides are known."""
    given = tables.table(table, Conventions.of(**how))
    said = How(sides=sides_of.meanings(sides), fees="ignore")
    choice = candidates(given, columns, said.sides)
    found = tables.load(given, trades.wanted(choice.columns, "ignore"), trades.ROLES, time_unit)
    made = trades.read(found, choice, said, symbol)
    if made.swaps:
        raise tables.missing(given, "trades of a backtest need symbol, quantity and price")
    if not made.codes.size:
        raise given.error(f"{given.name}: there are no trades")
    if made.assumed:
        raise tables.missing(given, "trades need a column of sides, or quantities that are negative for sales")
    return _Read(found, made)


@dataclass(frozen=True, eq=False)
class _Market:
    """A day's volume and volatility at each trade, as far as they are known."""

    volume: Floats | None
    volatility: Floats | None

    @classmethod
    def of(cls, read: _Read, law: Law, daily_volume: Any, volatility: Any) -> _Market:
        """Read them, and refuse a law that lacks one."""
        if isinstance(law, CurveLaw):
            check_curves(law, read.trades.symbols)
        else:
            needed = {"daily_volume": daily_volume, "volatility": volatility if law.by_volatility else 0.0}
            for name, value in needed.items():
                if value is None:
                    raise RecordError(f"this law of impact needs {name}", arguments=(name,))
        volume, spread = (
            None if value is None else per_trade(name, value, POSITIVE, read.columns, read.trades)
            for name, value in (("daily_volume", daily_volume), ("volatility", volatility))
        )
        return cls(volume, spread)

    def last(self, trades: Trades) -> Floats | None:
        """Give the volume of each symbol at its last trade."""
        if self.volume is None:
            return None
        result = np.empty(len(trades.symbols))
        order = _by_time(trades)
        result[trades.codes[order]] = self.volume[order]  # the last one stands
        return result


def _by_time(trades: Trades) -> npt.NDArray[np.int64]:
    """Order trades by time, those of one moment as the table has them."""
    return np.arange(trades.codes.size) if trades.time is None else np.argsort(trades.time, kind="stable")


def _positions(trades: Trades) -> Floats:
    """Find the largest position of each symbol, long or short, in units."""
    order = _by_time(trades)
    signed = np.where(trades.buys, trades.size, -trades.size)[order]
    codes = trades.codes[order]
    return np.array([np.abs(np.cumsum(signed[codes == code])).max(initial=0.0) for code in range(len(trades.symbols))])


def _joined(trades: Trades, orders: str) -> npt.NDArray[np.int64]:
    """Number the orders that trades are parts of, by first appearance."""
    if orders == "trade" or trades.time is None:
        return np.arange(trades.codes.size)
    keys = np.stack([trades.groups, np.floor_divide(trades.time, _DAY).astype(np.int64)])
    _, first, which = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    ranks = np.empty(first.size, dtype=np.int64)
    ranks[np.argsort(first)] = np.arange(first.size)
    return ranks[which.reshape(-1)]


def _orders(trades: Trades, market: _Market, period: npt.NDArray[np.int64], joined: npt.NDArray[np.int64]) -> Orders:
    """Add up the trades of each order; volume, volatility and period are those of its first trade."""
    first = np.unique(joined, return_index=True)[1]
    count = first.size
    value = added(trades.size * trades.price, joined, count)
    share = None if market.volume is None else added(trades.size, joined, count) / market.volume[first]
    volatility = None if market.volatility is None else market.volatility[first]
    return Orders(trades.symbols, trades.codes[first], value, share, volatility, period[first])


def _notes(trades: Trades, made: Orders, orders: str) -> tuple[str, ...]:
    told = []
    if trades.time is None and orders == "day":
        told.append("there are no times: each trade was taken for an order")
    elif made.value.size < trades.codes.size:
        told.append(f"{trades.codes.size:,} trades of one symbol, side and day are {counted(made.value.size, 'order')}")
    return tuple(told)


def _periods_per_year(earned: Profits) -> float:
    if earned.time is None or earned.time.size < 2:
        return math.nan
    return _YEAR * (earned.time.size - 1) / float(earned.time[-1] - earned.time[0])


def _at(made: ScaledBacktest, multiples: Any) -> ScaledBacktest:
    """Bring a backtest to the multiples that were asked for, or to those that show it whole."""
    scaled = made._with(_usual(made) if multiples is None else checked_multiples(multiples))
    law, largest = scaled._law, float(scaled.multiples[-1])
    beyond = law.beyond(scaled._orders, largest) if isinstance(law, CurveLaw) else 0
    if not beyond:
        return scaled
    told = f"at the largest multiple {counted(beyond, 'order')} {'are' if beyond > 1 else 'is'} beyond trust in curves"
    return scaled._with(scaled.multiples, (told,))


def _usual(made: ScaledBacktest) -> Floats:
    """Give multiples from a thousandth of the one at which nothing is left up to it."""
    end = _break_even(made)
    return np.unique(np.append(np.geomspace(_SMALLEST * end, end, _POINTS), 1.0))


def _break_even(made: ScaledBacktest) -> float:
    """Find the multiple at which costs take the whole profit, by doubling and halving; where none does, the last."""
    low = high = 1.0
    for _ in range(_DOUBLINGS):
        if made._with([high]).net[0] <= 0.0:
            break
        low, high = high, 2.0 * high
    else:
        return high
    while made._with([low]).net[0] <= 0.0:
        low *= 0.5
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if made._with([middle]).net[0] > 0.0 else (low, middle)
    return low
