"""Order books -> efficiency records: every capital is walked through the price levels that would take it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from escala import parallel
from escala.arrays import Floats, check_interval, one_number, to_floats
from escala.errors import RecordError
from escala.files import table as table_file
from escala.sources import tables
from escala.sources.candidates import candidates
from escala.sources.results import EfficiencyRecords, names
from escala.sources.sides import BOOK_WORDS, two_sides
from escala.sources.tables import Columns
from escala.tables import Interval
from escala.text.numerals import counted

if TYPE_CHECKING:
    import pandas

Places: TypeAlias = npt.NDArray[np.int64]
Sides: TypeAlias = Literal["both", "buy", "sell"]

ROLES: Final = ("symbol", "side", "price", "quantity", "time", "snapshot")
WANTED: Final = "an order book needs side, price and quantity"

_AMOUNT: Final = Interval(1e-100, 1e100)
_POINTS: Final = Interval(2, 1e6, integer=True)
_CODES: Final[dict[str, tuple[int, ...]]] = {"both": (0, 1), "sell": (0,), "buy": (1,)}
_NAMES: Final = ("sell", "buy")  # by code
_STEP_LEVELS: Final = 500_000  # levels and answers between two looks at Ctrl-C


@dataclass(frozen=True, eq=False, repr=False)
class OrderBook:
    """Snapshots of order books, sorted and checked; :func:`book` makes one.

    Parameters
    ----------
    snapshots : (n,) object
        What tells them apart: snapshot id, time or place; the symbol goes beside it.
    symbols : (n,) object or None
        The symbol of each, if the source has them.
    time : (n,) float64 or None
        Seconds since 1970 of the latest level of each.
    offsets : (2n + 1,) int64
        Bids of snapshot i are the levels ``offsets[2i] <= k < offsets[2i + 1]``, asks those up to
        ``offsets[2i + 2]``.
    price, quantity : float64
        Levels, the best of each list first, each price once.
    source : str
        Where they are from.
    """

    snapshots: npt.NDArray[np.object_]
    symbols: npt.NDArray[np.object_] | None
    time: Floats | None
    offsets: Places
    price: Floats
    quantity: Floats
    source: str

    def __len__(self) -> int:
        return int(self.snapshots.size)

    def __repr__(self) -> str:
        return f"<OrderBook: {counted(len(self), 'snapshot')} of {counted(self.price.size, 'level')}>"

    @property
    def best_bid(self) -> Floats:
        """Highest price that is bid in each snapshot."""
        best: Floats = self.price[self.offsets[:-1:2]]
        return best

    @property
    def best_ask(self) -> Floats:
        """Lowest price that is asked in each snapshot."""
        best: Floats = self.price[self.offsets[1::2]]
        return best

    @property
    def mid(self) -> Floats:
        """Mid price of each snapshot."""
        return (self.best_bid + self.best_ask) * 0.5


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
        lines = [repr(self)[1:-1]]
        for s, side in enumerate(self.sides):
            lost, filled = self.slippage[:, s], self.filled[:, s]
            ends = f"depth {self.depth[:, s].min():,.2f} to {self.depth[:, s].max():,.2f}"
            cost = f"{np.median(lost[filled]):.3f} bp at the median" if filled.any() else "nothing filled"
            unfilled = int(filled.size - filled.sum())
            beyond = f", {counted(unfilled, 'capital')} beyond it" if unfilled else ""
            lines.append(f"{side}: {cost}, {ends}{beyond}")
        return "\n".join(lines)


def book(levels: Any, *, columns: Mapping[str, str] | None = None, time_unit: str = "s") -> OrderBook:
    """Read order books and check them.

    Parameters
    ----------
    levels : path, data frame, Arrow table or mapping of columns
        One row a level: `side` (bid or ask; b, a, buy, sell too), `price`, `quantity` and, if there, `snapshot`,
        `time` and `symbol`. Rows may stand in any order; quantities at one price are added. Rows of one symbol
        and snapshot, or of one symbol and time where there is no `snapshot`, are one book.
    columns : mapping of str to str, optional
        Which column is which, where names say it not.
    time_unit : {"s", "ms", "us", "ns"}
        What numbers in `time` count since 1970. Dates may be ISO text too.

    Raises
    ------
    RecordError
        If a column is missing, a value is not allowed, or a book is crossed or has one side; names the row.
    """
    if isinstance(levels, OrderBook):
        return levels
    given = tables.table(levels)
    return from_columns(tables.load(given, candidates(given, columns).columns, ROLES, time_unit))


def from_columns(columns: Columns) -> OrderBook:
    """Make order books of columns that were read.

    Raises
    ------
    RecordError
        As :func:`book`.
    """
    if any(role not in columns for role in ("side", "price", "quantity")):
        raise tables.missing(columns.table, WANTED)
    columns.check("price", _AMOUNT)
    columns.check("quantity", _AMOUNT)
    is_bid = two_sides(columns, BOOK_WORDS, "must be bid or ask")
    if not len(columns):
        raise columns.table.error(f"{columns.table.name}: there are no price levels")
    codes, first = _snapshots(columns)
    lists = codes * 2 + ~is_bid
    price = columns["price"]
    order = _best_first(lists, np.where(is_bid, -price, price), columns["quantity"])
    is_new = np.ones(order.size, dtype=bool)
    is_new[1:] = (np.diff(lists[order]) != 0) | (np.diff(price[order]) != 0.0)
    levels = np.flatnonzero(is_new)
    counts = np.bincount(lists[order[levels]], minlength=2 * first.size)
    _check_two_sides(columns, counts, first)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    best = order[levels[offsets[:-1]]]  # rows of the best levels
    _check_crossed(columns, best[::2], best[1::2])
    time = None
    if "time" in columns:
        time = np.full(first.size, -np.inf)
        np.maximum.at(time, codes, columns["time"])
    return OrderBook(
        snapshots=_ids(columns, first),
        symbols=columns["symbol"][first] if "symbol" in columns else None,
        time=time,
        offsets=offsets,
        price=np.ascontiguousarray(price[order[levels]]),
        # bincount adds in the order of the rows; what order reduceat adds in depends on the processor
        quantity=np.bincount(np.cumsum(is_new) - 1, weights=columns["quantity"][order]).astype(np.float64, copy=False),
        source=columns.table.name,
    )


def _best_first(lists: Places, rank: Floats, quantity: Floats) -> Places:
    """Order levels by list and rank, equal ones by quantity: most books come sorted already, and looking is quick."""
    if _is_strict(lists, rank):
        return np.arange(lists.size)
    order = tables.sorted_within(lists, rank)
    return order if _is_strict(lists[order], rank[order]) else np.lexsort((quantity, rank, lists))


def _is_strict(lists: Places, rank: Floats) -> bool:
    """Tell that levels are sorted by list and rank, and no price of a list comes twice."""
    step = np.diff(lists)
    return bool(((step > 0) | ((step == 0) & (np.diff(rank) > 0.0))).all())


def _snapshots(columns: Columns) -> tuple[Places, Places]:
    """Number the books in order of appearance; gives the number of each row, and the first row of each book."""
    codes = np.zeros(len(columns), dtype=np.int64)
    for role in ("symbol", "snapshot" if "snapshot" in columns else "time"):
        if role in columns:
            part = columns.coded(role)[1] if role == "symbol" else _labels(columns, role)
            codes = np.unique(codes * (int(part.max()) + 1) + part, return_inverse=True)[1]
    first = np.unique(codes, return_index=True)[1]
    ranks = np.empty(first.size, dtype=np.int64)
    ranks[np.argsort(first)] = np.arange(first.size)
    return ranks[codes], np.sort(first)


def _labels(columns: Columns, role: str) -> Places:
    """Number what tells snapshots apart: text or numbers."""
    values = columns[role]
    if values.dtype.kind == "f":
        columns.refuse(role, np.isnan(values), "must tell snapshots apart")
    if values.dtype.kind not in "OU":
        return np.unique(values, return_inverse=True)[1].astype(np.int64)
    places: dict[Any, int] = {}
    columns.refuse(role, np.array([_is_nothing(value) for value in values.tolist()]), "must tell snapshots apart")
    return np.array([places.setdefault(value, len(places)) for value in values.tolist()], dtype=np.int64)


def _is_nothing(value: Any) -> bool:
    try:
        return value is None or value == "" or bool(value != value)  # noqa: PLR0124 - NaN is what differs from itself
    except TypeError:  # pandas' NA can be asked nothing
        return True


def _ids(columns: Columns, first: Places) -> npt.NDArray[np.object_]:
    role = "snapshot" if "snapshot" in columns else "time"
    return (columns[role][first] if role in columns else np.arange(first.size)).astype(object)


def _check_two_sides(columns: Columns, counts: Places, first: Places) -> None:
    empty = np.flatnonzero(counts == 0)
    if empty.size:
        bad = np.zeros(len(columns), dtype=bool)
        bad[first[empty // 2]] = True
        lacks = "bids" if empty[0] % 2 == 0 else "asks"
        columns.refuse("side", bad, f"must be bid and ask in every snapshot, one has no {lacks}")


def _check_crossed(columns: Columns, bids: Places, asks: Places) -> None:
    price = columns["price"]
    crossed = np.flatnonzero(price[bids] >= price[asks])
    if crossed.size:
        bad = np.zeros(len(columns), dtype=bool)
        bad[[bids[crossed[0]], asks[crossed[0]]]] = True
        columns.refuse("price", bad, "of the best bid must be below that of the best ask of its snapshot")


def walk(
    levels: Any,
    capital: Any,
    *,
    side: Sides = "both",
    columns: Mapping[str, str] | None = None,
    time_unit: str = "s",
    threads: int | None = None,
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
    columns, time_unit
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
    codes = _side_codes(side)
    books = book(levels, columns=columns, time_unit=time_unit)
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
    return _walk(books, codes, amounts, crew)


def _side_codes(side: str) -> npt.NDArray[np.int8]:
    if side not in _CODES:
        raise RecordError(f"side must be 'both', 'buy' or 'sell', not {side!r}", arguments=("side",))
    return np.array(_CODES[side], dtype=np.int8)


def _walk(books: OrderBook, codes: npt.NDArray[np.int8], capital: Floats, threads: int) -> Walk:
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


def records(
    levels: Any,
    *,
    symbol: str | None = None,
    capital: Any = None,
    side: Sides = "both",
    points: int = 20,
    columns: Mapping[str, str] | None = None,
    time_unit: str = "s",
    threads: int | None = None,
    source: str | None = None,
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
    columns, time_unit, threads
        As for :func:`walk`.
    source : str, optional
        Where the records are from; by default the path.

    Returns
    -------
    EfficiencyRecords
        By snapshot, side and capital. Capitals that a book does not take are left out and counted.

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
    books = book(levels, columns=columns, time_unit=time_unit)
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
    codes = _side_codes(side)
    count = int(one_number("points", points, _POINTS, RecordError))
    amounts = _grid(books, codes, count) if capital is None else capital
    done = walk(books, amounts, side=side, threads=threads)
    kept = done.filled if capital is not None else done.filled & _distinct(done.capital)
    place, which, _ = np.nonzero(kept)
    left_out = int(done.filled.size - np.count_nonzero(done.filled))
    total = f"{left_out:,} of {done.filled.size:,} capitals left out"
    return EfficiencyRecords(
        symbol=_with_side(labels, done.sides, place, which),
        capital=np.ascontiguousarray(done.capital[kept]),
        efficiency=done.efficiency[kept],
        observed_at=None if books.time is None else books.time[place],
        source=books.source if source is None else source,
        kind="order_book",
        left_out=left_out,
        notes=(f"{total}: beyond the depth of their book, and nothing is extrapolated",) if left_out else (),
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
    depth = _walk(books, codes, np.ones((len(books), codes.size, 1)), 1).depth
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
