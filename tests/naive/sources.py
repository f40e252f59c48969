"""Slow, readable oracles of what makes efficiency records out of outside data."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

Level = tuple[float, float]  # price and quantity


def naive_walk(bids: Sequence[Level], asks: Sequence[Level], side: str, capital: float) -> tuple[float, float, float]:
    """Walk one side with one capital: efficiency (NaN if it ends before), depth, and what it holds."""
    bids = sorted(merged(bids), reverse=True)
    asks = sorted(merged(asks))
    mid = (bids[0][0] + asks[0][0]) * 0.5
    efficiency = math.nan
    taken = value = held = 0.0
    for price, quantity in bids if side == "sell" else asks:
        takes, gives = (mid * quantity, price * quantity) if side == "sell" else (price * quantity, mid * quantity)
        if math.isnan(efficiency) and capital <= taken + takes:
            rate = price / mid if side == "sell" else mid / price
            efficiency = min((value + (capital - taken) * rate) / capital, 1.0)
        taken += takes
        value += gives
        held += price * quantity
    return efficiency, taken, held


def merged(levels: Sequence[Level]) -> list[Level]:
    """Add the quantities at each price, smallest first."""
    total: dict[float, float] = {}
    for price, quantity in sorted(levels):
        total[price] = total[price] + quantity if price in total else quantity
    return list(total.items())


def naive_join(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make one execution of the fills of one symbol, side and time, at their volume-weighted price."""
    orders: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        orders.setdefault((row["symbol"], row["side"], row["time"]), []).append(row)
    made = []
    for fills in orders.values():
        first, size, beyond = fills[0]["price"], 0.0, 0.0
        for fill in fills:
            size += fill["quantity"]
            beyond += (fill["price"] - first) * fill["quantity"]
        made.append(fills[0] | {"quantity": size, "price": first + beyond / size})
    return made


def naive_quotes(
    rows: Sequence[dict[str, Any]], small: float, least: int, window: float | None
) -> list[tuple[float, float] | None]:
    """Give capital and efficiency of each execution (symbol, side, price, quantity, time), None without a reference."""
    groups = defaultdict(list)
    for row in rows:
        groups[row["symbol"], row["side"]].append(row)
    made: list[tuple[float, float] | None] = []
    for row in rows:
        group = groups[row["symbol"], row["side"]]
        made.append(None)
        if len(group) < least:
            continue
        wanted = min(len(group), max(least, math.ceil(small * len(group))))
        limit = sorted(other["quantity"] for other in group)[wanted - 1]
        near = [
            other["price"]
            for other in group
            if other["quantity"] <= limit
            and (window is None or row["time"] - window <= other["time"] <= row["time"] + window)
        ]
        if not near:
            continue
        reference, price, quantity = statistics.median(near), row["price"], row["quantity"]
        if row["side"] == "buy":
            made[-1] = quantity * price, min(reference / price, 1.0)
        else:
            made[-1] = quantity * reference, min(price / reference, 1.0)
    return made
