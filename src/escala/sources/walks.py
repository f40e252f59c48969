"""Order books, walked: what every capital receives on every side of every snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from escala import parallel
from escala.arrays import Floats, check_interval, known_word, to_floats
from escala.errors import RecordError
from escala.files import table as table_file
from escala.sources.books import OrderBook, book
from escala.tables import Interval
from escala.text.numerals import counted
from escala.text.visible import in_line

if TYPE_CHECKING:
    import pandas

Sides: TypeAlias = Literal["both", "buy", "sell"]

_AMOUNT: Final = Interval(1e-100, 1e100)
_CODES: Final[dict[str, tuple[int, ...]]] = {"both": (0, 1), "sell": (0,), "buy": (1,)}
_NAMES: Final = ("sell", "buy")  # by code
_STEP_LEVELS: Final = 500_000  # levels and answers between two looks at Ctrl-C


@dataclass(frozen=True, eq=False, repr=False)
class Walk:
    """What became of every capital on every side of every snapshot.

    Parameters
    ----------
    book : OrderBook
        What was walked.
    sides : tuple of str
        "sell" and "buy", as the second axis has them.
    capital : (snapshots, sides, capitals) float64
        What was given, valued at the mid price, in quote currency.
    efficiency : (snapshots, sides, capitals) float64
        Value received over value given; NaN where the book ends before the capital.
    filled : (snapshots, sides, capitals) bool
        Whether the book takes all of it.
    depth : (snapshots, sides) float64
        The largest capital that each side takes.
    held : (snapshots, sides) float64
        What each side holds in quote currency, at its own prices. For buyers that is the depth.
    """

    book: OrderBook
    sides: tuple[str, ...]
    capital: Floats
    efficiency: Floats
    filled: npt.NDArray[np.bool_]
    depth: Floats
    held: Floats

    @property
    def average_price(self) -> Floats:
        """Quote currency for one unit of base, over the whole capital."""
        mid = self.book.mid[:, None, None]
        is_sell = np.array([side == "sell" for side in self.sides])[:, None]
        return np.where(is_sell, mid * self.efficiency, mid / self.efficiency)

    @property
    def slippage(self) -> Floats:
        """What is lost against the mid price, in basis points of the value given: 10⁴·(1 − efficiency)."""
        return (1.0 - self.efficiency) * 1e4

    def __repr__(self) -> str:
        n, sides, points = self.capital.shape
        many = f"{counted(n, 'snapshot')} × {counted(sides, 'side')} × {counted(points, 'capital')}"
        return f"<Walk: {many}, {int(self.filled.sum()):,} filled>"

    def to_dict(self) -> dict[str, Any]:
        """Give one row a snapshot, side and capital, as columns."""
        shape = self.capital.shape
        places = np.arange(shape[0])[:, None, None]
        columns: dict[str, npt.NDArray[Any]] = {"snapshot": self.book.snapshots[places]}
        if self.book.symbols is not None:
            columns["symbol"] = self.book.symbols[places]
        if self.book.time is not None:
            columns["observed_at"] = self.book.time[places]
        columns["side"] = np.array(self.sides, dtype=object)[:, None]
        columns["capital"] = self.capital
        columns["average_price"] = self.average_price
        columns["efficiency"] = self.efficiency
        columns["slippage"] = self.slippage
        columns["filled"] = self.filled
        columns["depth"] = self.depth[:, :, None]
        return {name: np.broadcast_to(column, shape).reshape(-1) for name, column in columns.items()}

    def to_dataframe(self) -> pandas.DataFrame:
        """Give a pandas data frame of the columns that :meth:`to_dict` has.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return table_file.dataframe(self.to_dict())

    def summary(self) -> str:
        """Say in words, side by side, what the capitals cost and what the books take."""
        lines = [in_line(repr(self)[1:-1])]
        for s, side in enumerate(self.sides):
            lost, filled = self.slippage[:, s], self.filled[:, s]
            ends = f"depth {self.depth[:, s].min():,.2f} to {self.depth[:, s].max():,.2f}"
            cost = f"{np.median(lost[filled]):.3f} bp at the median" if filled.any() else "nothing filled"
            unfilled = int(filled.size - filled.sum())
            beyond = f", {counted(unfilled, 'capital')} beyond it" if unfilled else ""
            lines.append(f"{side}: {cost}, {ends}{beyond}")
        return "\n".join([*lines, *map(in_line, self.book.notes)])


def walk(
    levels: Any,
    capital: Any,
    *,
    side: Sides = "both",
    columns: Mapping[str, str] | None = None,
    time_unit: str = "auto",
    strict: bool = False,
    threads: int | None = None,
    **how: Any,
) -> Walk:
    """Walk order books with every capital on every side.

    Parameters
    ----------
    levels : OrderBook, path, data frame, Arrow table or mapping of columns
        Books, or what :func:`book` makes them of.
    capital : float, (k,) or (snapshots, sides, k)
        What is given, in quote currency at the mid price; shapes that broadcast to the last are welcome.
    side : {"both", "sell", "buy"}
        Which sides to walk; sellers meet the bids, buyers the asks.
    columns, time_unit, strict, **how
        As for :func:`book`.
    threads : int, optional
        Threads to use; by default all processors. Results do not depend on it.

    Returns
    -------
    Walk
        Axes are snapshots, sides and capitals.

    Raises
    ------
    RecordError
        Bad books (see :func:`book`), capital or arguments.

    Notes
    -----
    With the mid price m = (best bid + best ask)/2, selling C means selling the quantity C/m, and buying means spending
    C and valuing what is received at m. Levels are taken best first, the last one in part:

    efficiency = (value received, valued at m) / C.

    Half the spread is thus a cost, as it is for who trades. Only what is displayed is counted: no hidden quantity, no
    new orders while one trades, no fees. A book that ends before C gives NaN: nothing is extrapolated.

    Examples
    --------
    >>> levels = {"side": ["bid", "bid", "ask"], "price": [99.0, 98.0, 101.0], "quantity": [1.0, 2.0, 5.0]}
    >>> done = walk(levels, [50.0, 200.0, 400.0], side="sell")
    >>> done.efficiency[0, 0]
    array([0.99 , 0.985,   nan])
    >>> done.depth[0, 0], done.filled[0, 0].tolist()
    (np.float64(300.0), [True, True, False])
    """
    crew = parallel.checked_threads(threads, RecordError)
    codes = side_codes(side)
    books = book(levels, columns=columns, time_unit=time_unit, strict=strict, **how)
    amounts = to_floats("capital", capital, RecordError)
    check_interval("capital", amounts, _AMOUNT, RecordError)
    shape = (len(books), codes.size, amounts.shape[-1] if amounts.ndim else 1)
    try:
        amounts = np.broadcast_to(amounts, shape)
    except ValueError:
        wanted = f"(), (k,) or that of snapshots, sides and k: ({shape[0]}, {shape[1]}, k)"
        raise RecordError(
            f"capital of shape {amounts.shape} must be of shape {wanted}", arguments=("capital",)
        ) from None
    return walk_all(books, codes, amounts, crew)


def side_codes(side: str) -> npt.NDArray[np.int8]:
    """Give the codes of sides that were asked for.

    Raises
    ------
    RecordError
        If there is no such side.
    """
    if not known_word(side, _CODES):
        raise RecordError(f"side must be 'both', 'buy' or 'sell', not {side!r}", arguments=("side",))
    return np.array(_CODES[side], dtype=np.int8)


def walk_all(books: OrderBook, codes: npt.NDArray[np.int8], capital: Floats, threads: int) -> Walk:
    """Walk capitals of shape (snapshots, sides, k), of which axes may be repeated."""
    from escala.kernels import order_book as kernels

    shape = capital.shape
    n, sides, points = shape
    steps = [0 if stride == 0 or size == 1 else stride for stride, size in zip(capital.strides, shape, strict=True)]
    own = capital[: n if steps[0] else 1, : sides if steps[1] else 1]  # without what is repeated
    flat = np.ascontiguousarray(own).reshape(-1)
    side_step = points if steps[1] else 0
    book_step = points * own.shape[1] if steps[0] else 0
    mid = books.mid
    depth, held = np.empty((n, sides)), np.empty((n, sides))
    efficiency = np.empty(shape)
    filled = np.empty(shape, dtype=np.int8)
    longest = int(np.diff(books.offsets).max(initial=1))

    def make_part() -> parallel.Part:
        reach, worth = np.empty(longest), np.empty(longest)

        def part(start: int, stop: int) -> Iterator[None]:
            for begin in range(start, stop, step):
                end = min(begin + step, stop)
                kernels.walk(
                    codes, mid, books.offsets, books.price, books.quantity, flat, points, book_step, side_step,
                    depth.reshape(-1), held.reshape(-1), efficiency.reshape(-1), filled.reshape(-1), reach, worth,
                    begin, end,
                )  # fmt: skip
                yield

        return part

    step = max(1, _STEP_LEVELS * max(n, 1) // max(1, books.price.size + efficiency.size))
    parallel.run(make_part, n, chunk=parallel.chunk_size(n, threads, largest=step, multiple=1), threads=threads)
    named = tuple(_NAMES[code] for code in codes)
    return Walk(books, named, capital, efficiency, filled.view(bool), depth, held)
