"""A slow, readable oracle of a backtest at a multiple of its capital."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

#: Exponent of the share of volume, and whether volatility is a factor.
LAWS = {"sqrt": (0.5, True), "linear": (1.0, True), "volume-share": (2.0, False)}


def naive_backtest(
    trades: Sequence[Mapping[str, Any]],
    profits: Sequence[tuple[float, float]],
    capital: float,
    impact: str,
    coefficient: float,
    multiple: float,
    periods_per_year: float,
) -> dict[str, Any]:
    """Scale a backtest of trades (symbol, time, quantity, price, volume, volatility) and profits (time, money).

    Returns cost by period, net profit, efficiency, Sharpe ratio and the days that the largest positions take at a tenth
    of the volume.
    """
    exponent, by_volatility = LAWS[impact]
    orders: dict[Any, dict[str, Any]] = {}
    for trade in trades:
        key = trade["symbol"], trade["quantity"] > 0.0, math.floor(trade["time"] / 86400.0)
        order = orders.setdefault(key, {**trade, "units": 0.0, "value": 0.0})
        order["units"] += abs(trade["quantity"])
        order["value"] += abs(trade["quantity"]) * trade["price"]
    cost = [0.0] * len(profits)
    for order in orders.values():
        share = multiple * order["units"] / order["volume"]
        rate = coefficient * share**exponent * (order["volatility"] if by_volatility else 1.0)
        period = max(k for k, (begin, _) in enumerate(profits) if begin <= order["time"])
        cost[period] += multiple * order["value"] * rate
    gross = sum(money for _, money in profits)
    returns = [(multiple * money - lost) / (multiple * capital) for (_, money), lost in zip(profits, cost, strict=True)]
    spread = statistics.stdev(returns) if len(returns) > 1 else math.nan
    days: dict[str, float] = {}
    position: dict[str, float] = {}
    for trade in sorted(trades, key=lambda one: one["time"]):
        symbol = trade["symbol"]
        position[symbol] = position.get(symbol, 0.0) + trade["quantity"]
        held = abs(position[symbol]) * multiple / (0.1 * trade["volume"])
        days[symbol] = max(days.get(symbol, 0.0), held)
    return {
        "cost": cost,
        "net": multiple * gross - sum(cost),
        "efficiency": 1.0 - sum(cost) / (multiple * gross),
        "sharpe": statistics.fmean(returns) / spread * math.sqrt(periods_per_year),
        "days": days,
    }


def naive_volume_share_penalties(
    trades: Sequence[Mapping[str, Any]], multiple: float, impact: float = 0.1
) -> dict[float, float]:
    """Give the quadratic volume-share slippage of each day, in money, as the rule is written: share² · impact · value."""
    penalties: dict[float, float] = {}
    for trade in trades:
        units = abs(multiple * trade["quantity"])
        share = units / trade["volume"]
        penalties[trade["time"]] = penalties.get(trade["time"], 0.0) + share**2 * impact * trade["price"] * units
    return penalties
