"""Fills of one order -> one execution, at their volume-weighted price."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.sources import fingerprints, tables
from escala.sources.columns import Columns
from escala.sources.fees import Paid
from escala.sources.trades import Places, Trades
from escala.text.numerals import counted

_DAY: Final = 86400.0
#: What a column called "order" has where it says the kind of an order.
_KINDS: Final = frozenset(
    ("limit", "market", "stop", "stop_limit", "stop-limit", "stop limit", "ioc", "fok", "buy", "sell")
)


def join(trades: Trades, columns: Columns) -> Trades:
    """Join the fills of each order, or those of one symbol, side and time where no column names orders.

    Notes
    -----
    Of fills with prices p and quantities q the price is p₀ + Σ(p − p₀)·q / Σq, with p₀ that of the first, sums in the
    order of the table: fills at one price keep it to the bit. Fees are added, and the time is that of the earliest.
    """
    if trades.swaps or not trades.codes.size:
        return trades
    orders = _orders(columns) if "order" in columns else None
    if orders is not None:
        key: Floats | Places = orders[trades.rows]
        what = f"of the same {columns.names['order']!r}"
    elif trades.time is not None:
        key, what = trades.time, "of the same symbol, side and time"
    else:
        return trades
    ids, first = _together(trades.groups, key)
    if first.size == ids.size:
        return trades
    if orders is None and _are_days(key):
        told = (
            "rows of the same day are not joined: times are dates, and an order column would say which belong together"
        )
        return replace(trades, notes=(*trades.notes, told))
    counts = np.bincount(ids)
    many, made = int(counts[counts > 1].sum()), int(np.count_nonzero(counts > 1))
    told = f"{many:,} fills {what} joined to {counted(made, 'execution')}"
    alone = 0 if orders is None else int(np.count_nonzero(key < 0))
    if alone:
        told += f", {counted(alone, 'row')} without one stay{'s' * (alone == 1)} alone"
    return _joined(trades, ids, first, (*trades.notes, told))


def _are_days(times: npt.NDArray[Any]) -> bool:
    return bool((times % _DAY == 0.0).all())


def _orders(columns: Columns) -> Places | None:
    """Number the orders, rows without one get a number of their own; None where the column has kinds of orders."""
    values = columns["order"]
    if values.dtype.kind in "iu":
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    places: dict[str, int] = {}
    texts = [str(value).strip() for value in values.tolist()]
    numbers = [
        -1 - row if text.lower() in fingerprints.NO_ID else places.setdefault(text, len(places))
        for row, text in enumerate(texts)
    ]
    if places and {text.lower() for text in places} <= _KINDS:
        return None
    return np.array(numbers, dtype=np.int64)


def _together(groups: Places, key: npt.NDArray[Any]) -> tuple[Places, Places]:
    """Number what has one group and key, by first appearance; give the number of each row and the first row of each."""
    order = tables.sorted_within(groups, key)
    is_new = np.ones(order.size, dtype=bool)
    is_new[1:] = (np.diff(groups[order]) != 0) | (key[order][1:] != key[order][:-1])
    starts = np.flatnonzero(is_new)
    if starts.size == order.size:
        return np.arange(order.size), np.arange(order.size)
    first = np.minimum.reduceat(order, starts)
    ranks = np.empty(first.size, dtype=np.int64)
    ranks[np.argsort(first)] = np.arange(first.size)
    ids = np.empty(order.size, dtype=np.int64)
    ids[order] = ranks[np.cumsum(is_new) - 1]
    return ids, np.sort(first)


def _joined(trades: Trades, ids: Places, first: Places, notes: tuple[str, ...]) -> Trades:
    def total(values: Floats) -> Floats:
        return np.bincount(ids, weights=values).astype(np.float64, copy=False)  # in the order of the rows

    size, start = total(trades.size), trades.price[first]
    time = None
    if trades.time is not None:
        time = np.full(first.size, np.inf)
        np.minimum.at(time, ids, trades.time)
    return replace(
        trades,
        codes=trades.codes[first],
        buys=trades.buys[first],
        price=start + total((trades.price - start[ids]) * trades.size) / size,
        size=size,
        time=time,
        fees=None if trades.fees is None else Paid(total(trades.fees.quote), total(trades.fees.base)),
        rows=trades.rows[first],
        fingerprint=fingerprints.of_groups(trades.fingerprint, ids),
        joined=True,
        notes=notes,
    )
