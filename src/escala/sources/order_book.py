"""Order books -> efficiency records: every capital is walked through the price levels that would take it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, one_number
from escala.errors import RecordError
from escala.sources.books import ROLES, OrderBook, Places, book, from_columns
from escala.sources.results import EfficiencyRecords, names
from escala.sources.walks import Sides, Walk, side_codes, walk, walk_all
from escala.tables import Interval

__all__ = ["ROLES", "OrderBook", "Walk", "book", "from_books", "from_columns", "records", "walk"]

_POINTS: Final = Interval(2, 1e6, integer=True)


def records(
    levels: Any,
    *,
    symbol: str | None = None,
    capital: Any = None,
    side: Sides = "both",
    points: int = 20,
    columns: Mapping[str, str] | None = None,
    time_unit: str = "auto",
    strict: bool = False,
    threads: int | None = None,
    source: str | None = None,
    **how: Any,
) -> EfficiencyRecords:
    """Make efficiency records of order books.

    Parameters
    ----------
    levels : OrderBook, path, data frame, Arrow table or mapping of columns
        Books, or what :func:`book` makes them of.
    symbol : str, optional
        The symbol of all books, for levels without such a column.
    capital : float, (k,) or (snapshots, sides, k), optional
        What is given, as for :func:`walk`. By default `points` capitals for each book and side, evenly spaced in their
        logarithm from what the best level takes to the whole depth.
    side : {"both", "sell", "buy"}
        Which sides. With both, symbols become "ETH/USDT sell" and "ETH/USDT buy": they are different curves.
    points : int
        How many capitals, where none are given.
    columns, time_unit, strict, threads
        As for :func:`walk`.
    source : str, optional
        Where the records are from; by default the path.
    **how
        As for :func:`book`.

    Returns
    -------
    EfficiencyRecords
        By snapshot, side and capital. Capitals that a book does not take are left out and counted, and so are snapshots
        that are no books.

    Raises
    ------
    RecordError
        Bad books (see :func:`book`), capital or arguments.

    Notes
    -----
    Efficiency is that of :func:`walk`, against the mid price. All records of a book are exact and share its state, so
    they are no independent observations: what a fit says of its uncertainty holds for one book at one moment.

    Examples
    --------
    >>> levels = {"side": ["bid", "bid", "ask"], "price": [99.0, 98.0, 101.0], "quantity": [1.0, 2.0, 5.0]}
    >>> made = records(levels, symbol="A/B", capital=[100.0, 200.0, 400.0], side="sell")
    >>> made.efficiency
    array([0.99 , 0.985])
    >>> made.notes
    ('1 of 3 capitals left out: beyond the depth of their book, and nothing is extrapolated',)
    """
    books = book(levels, columns=columns, time_unit=time_unit, strict=strict, **how)
    return from_books(books, symbol=symbol, capital=capital, side=side, points=points, threads=threads, source=source)


def from_books(
    books: OrderBook,
    *,
    symbol: str | None,
    capital: Any = None,
    side: Sides = "both",
    points: int = 20,
    threads: int | None = None,
    source: str | None = None,
) -> EfficiencyRecords:
    """Make efficiency records of books that were read.

    Raises
    ------
    RecordError
        As :func:`records`.
    """
    labels = _symbols(books, symbol)
    codes = side_codes(side)
    count = int(one_number("points", points, _POINTS, RecordError))
    amounts = _grid(books, codes, count) if capital is None else capital
    done = walk(books, amounts, side=side, threads=threads)
    kept = done.filled if capital is not None else done.filled & _distinct(done.capital)
    place, which, _ = np.nonzero(kept)
    beyond = int(done.filled.size - np.count_nonzero(done.filled))
    total = f"{beyond:,} of {done.filled.size:,} capitals left out"
    unfilled = (f"{total}: beyond the depth of their book, and nothing is extrapolated",) if beyond else ()
    return EfficiencyRecords(
        symbol=_with_side(labels, done.sides, place, which),
        capital=np.ascontiguousarray(done.capital[kept]),
        efficiency=done.efficiency[kept],
        observed_at=None if books.time is None else books.time[place],
        source=books.source if source is None else source,
        kind="order_book",
        left_out=beyond + books.left_out,
        notes=(*unfilled, *books.notes),
    )


def _symbols(books: OrderBook, symbol: str | None) -> npt.NDArray[np.object_]:
    if books.symbols is not None:
        if symbol is not None:
            message = f"symbol {symbol!r} is for levels without symbols, but {books.source} has a column of them"
            raise RecordError(message, arguments=("symbol",))
        return books.symbols
    if symbol is None:
        message = f"{books.source}: there is no column of symbols, and no symbol is given"
        raise RecordError(message, arguments=("symbol",))
    if not isinstance(symbol, str) or not symbol:
        raise RecordError(f"symbol must be text that is not empty, not {symbol!r}", arguments=("symbol",))
    return np.full(len(books), symbol, dtype=object)


def _grid(books: OrderBook, codes: npt.NDArray[np.int8], points: int) -> Floats:
    """Space capitals evenly in their logarithm, from what the best level takes to the depth of each side."""
    depth = walk_all(books, codes, np.ones((len(books), codes.size, 1)), 1).depth
    mid = books.mid
    first = np.empty_like(depth)
    for s, code in enumerate(codes.tolist()):
        best = books.offsets[code:-1:2]
        first[:, s] = (books.price[best] if code else mid) * books.quantity[best]
    share = np.linspace(0.0, 1.0, points)
    grid = first[:, :, None] * (depth / first)[:, :, None] ** share
    grid[:, :, 0] = first
    grid[:, :, -1] = depth
    return np.minimum(grid, depth[:, :, None])


def _distinct(capital: Floats) -> npt.NDArray[np.bool_]:
    """Mark the first of equal capitals that follow each other: a side of one level has but one."""
    result = np.ones(capital.shape, dtype=bool)
    result[:, :, 1:] = np.diff(capital) > 0.0
    return result


def _with_side(
    labels: npt.NDArray[np.object_], sides: tuple[str, ...], place: Places, which: Places
) -> npt.NDArray[np.object_]:
    if len(sides) == 1:
        return labels[place]
    table = [f"{label} {side}" for label in labels for side in sides]
    return names(table, place * len(sides) + which)
