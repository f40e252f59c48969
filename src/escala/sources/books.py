"""Order books of a table, sorted and checked; snapshots that are no books are left out and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, check_flag
from escala.errors import RecordError
from escala.sources import tables
from escala.sources.candidates import candidates
from escala.sources.columns import Columns
from escala.sources.conventions import Conventions
from escala.sources.sides import BOOK_WORDS, two_sides
from escala.tables import Interval
from escala.text.numerals import counted

Places: TypeAlias = npt.NDArray[np.int64]

ROLES: Final = ("symbol", "side", "price", "quantity", "time", "snapshot", "is_snapshot")
WANTED: Final = "an order book needs side, price and quantity"

#: How a column tells rows that change an order book from those of a whole one, in lower case.
_CHANGES: Final = frozenset(
    (
        "false",
        "0",
        "f",
        "no",
        "n",
        "delta",
        "update",
        "change",
        "set",
        "l2update",
        "depthupdate",
        "incremental",
        "insert",
        "delete",
    )
)

_AMOUNT: Final = Interval(1e-100, 1e100)
_AMOUNT_OR_NOTHING: Final = Interval(0.0, 1e100)


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
    left_out : int
        Snapshots that were no books.
    notes : tuple of str
        What was found out or left out, in words.
    """

    snapshots: npt.NDArray[np.object_]
    symbols: npt.NDArray[np.object_] | None
    time: Floats | None
    offsets: Places
    price: Floats
    quantity: Floats
    source: str
    left_out: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.snapshots.size)

    def __repr__(self) -> str:
        left_out = f", {self.left_out:,} left out" if self.left_out else ""
        return f"<OrderBook: {counted(len(self), 'snapshot')} of {counted(self.price.size, 'level')}{left_out}>"

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


def book(
    levels: Any,
    *,
    columns: Mapping[str, str] | None = None,
    time_unit: str = "auto",
    strict: bool = False,
    **how: Any,
) -> OrderBook:
    """Read order books and check them.

    Parameters
    ----------
    levels : path, data frame, Arrow table or mapping of columns
        One row a level: `side` (bid or ask; b, a, buy, sell too), `price`, `quantity` and, if there, `snapshot`,
        `time` and `symbol`. Rows may stand in any order; quantities at one price are added. Rows of one symbol
        and snapshot, or of one symbol and time where there is no `snapshot`, are one book. Rows whose `is_snapshot`
        (or `update_type`, `type`, …) says that they change a book are refused.
        One row a snapshot is welcome too, with columns for each level such as ``bids[0].price``, and so is the JSON of
        exchanges and ccxt: :func:`escala.sources.read` says how.
    columns : mapping of str to str, optional
        Which column is which, where names say it not.
    time_unit : {"auto", "s", "ms", "us", "ns", "excel"}
        What numbers in `time` count, as in :func:`escala.sources.read`.
    strict : bool
        Whether a snapshot that is no book (crossed, locked, of one side, with a level of quantity 0) is refused. By
        default it is left out and counted, as long as no more than half of the snapshots are.
    **how
        How the table is written: `delimiter`, `decimal`, `thousands`, `header`, `earliest`, `keep_similar` of
        :func:`escala.sources.read`.

    Raises
    ------
    RecordError
        If a column is missing, a value is not allowed, or too many snapshots are no books; names the row.
    """
    if isinstance(levels, OrderBook):
        return levels
    given = tables.table(levels, Conventions.of(**how))
    check_flag("strict", strict, RecordError)
    return from_columns(tables.load(given, candidates(given, columns).columns, ROLES, time_unit), strict=strict)


def from_columns(columns: Columns, *, strict: bool = False) -> OrderBook:
    """Make order books of columns that were read.

    Raises
    ------
    RecordError
        As :func:`book`.
    """
    if any(role not in columns for role in ("side", "price", "quantity")):
        raise tables.missing(columns.table, WANTED)
    _refuse_changes(columns)
    columns.check("price", _AMOUNT)
    columns.check("quantity", _AMOUNT if strict else _AMOUNT_OR_NOTHING)
    is_bid = two_sides(columns, BOOK_WORDS, "must be bid or ask")
    if not len(columns):
        raise columns.table.error(f"{columns.table.name}: there are no price levels")
    codes, first = _snapshots(columns)
    sorted_levels = _Sorted.of(columns, is_bid, codes, first.size)
    faults = sorted_levels.faults(columns["quantity"], codes)
    left_out = np.flatnonzero(np.any(list(faults.values()), axis=0))
    if not left_out.size:
        return _book(columns, codes, first, sorted_levels)
    if strict or first.size == 1:
        _refuse(columns, sorted_levels, first)
    found = ", ".join(f"{int(marked.sum()):,} {fault}" for fault, marked in faults.items() if marked.any())
    if 2 * left_out.size > first.size:
        message = (
            f"{left_out.size:,} of {first.size:,} snapshots are no order books ({found}): changes of a book are none"
        )
        raise columns.table.error(f"{columns.table.name}: {message}")
    kept = from_columns(columns.taken(~np.isin(codes, left_out)))
    note = f"{counted(left_out.size, 'snapshot')} of {first.size:,} left out: {found}"
    return replace(kept, left_out=left_out.size, notes=(note, *kept.notes))


def _refuse_changes(columns: Columns) -> None:
    """Refuse rows that say of themselves that they are changes of a book."""
    if "is_snapshot" in columns:
        said = [str(value).strip().lower() for value in columns["is_snapshot"].tolist()]
        bad = np.array([word.removesuffix(".0") in _CHANGES for word in said], dtype=bool)
        columns.refuse("is_snapshot", bad, "must be of whole order books, not of changes of one: give only snapshots")


@dataclass(frozen=True, eq=False)
class _Sorted:
    """Levels by snapshot, side and price.

    Parameters
    ----------
    order : (rows,) int64
        The rows in their order.
    is_new : (rows,) bool
        Marks, in that order, rows of another level than the one before.
    counts : (2n,) int64
        Levels of each list: the bids and the asks of each snapshot by turns.
    price : float64
        Of each level.
    levels : int64
        The place in the order of the first row of each level.
    """

    order: Places
    is_new: npt.NDArray[np.bool_]
    counts: Places
    price: Floats
    levels: Places

    @classmethod
    def of(cls, columns: Columns, is_bid: npt.NDArray[np.bool_], codes: Places, snapshots: int) -> _Sorted:
        """Sort the levels of a table."""
        lists = codes * 2 + ~is_bid
        price = columns["price"]
        order = _best_first(lists, np.where(is_bid, -price, price), columns["quantity"])
        is_new = np.ones(order.size, dtype=bool)
        is_new[1:] = (np.diff(lists[order]) != 0) | (np.diff(price[order]) != 0.0)
        levels = np.flatnonzero(is_new)
        counts = np.bincount(lists[order[levels]], minlength=2 * snapshots)
        return cls(order, is_new, counts, np.ascontiguousarray(price[order[levels]]), levels)

    @property
    def offsets(self) -> Places:
        """Where each list begins among the levels, and the last ends."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    def faults(self, quantity: Floats, codes: Places) -> dict[str, npt.NDArray[np.bool_]]:
        """Mark the snapshots that are no books, by what is wrong with them; the first of several counts."""
        empty = np.bincount(codes, weights=quantity < _AMOUNT.low, minlength=self.counts.size // 2) > 0.0
        alone = (self.counts.reshape(-1, 2) == 0).any(axis=1) & ~empty
        both = np.flatnonzero(~empty & ~alone)
        bid, ask = self.price[self.offsets[2 * both]], self.price[self.offsets[2 * both + 1]]
        crossed, locked = np.zeros(empty.size, dtype=bool), np.zeros(empty.size, dtype=bool)
        crossed[both], locked[both] = bid > ask, bid == ask
        return {
            "with a level of quantity 0": empty,
            "with one side": alone,
            "crossed": crossed,
            "locked (bid = ask)": locked,
        }


def _book(columns: Columns, codes: Places, first: Places, found: _Sorted) -> OrderBook:
    time = None
    if "time" in columns:
        time = np.full(first.size, -np.inf)
        np.maximum.at(time, codes, columns["time"])
    weights = columns["quantity"][found.order]
    return OrderBook(
        snapshots=_ids(columns, first),
        symbols=columns["symbol"][first] if "symbol" in columns else None,
        time=time,
        offsets=found.offsets,
        price=found.price,
        # bincount adds in the order of the rows; what order reduceat adds in depends on the processor
        quantity=np.bincount(np.cumsum(found.is_new) - 1, weights=weights).astype(np.float64, copy=False),
        source=columns.table.name,
        notes=columns.notes,
    )


def _refuse(columns: Columns, found: _Sorted, first: Places) -> None:
    """Refuse the first snapshot that is no book."""
    columns.check("quantity", _AMOUNT)
    _check_two_sides(columns, found.counts, first)
    best = found.order[found.levels[found.offsets[:-1]]]  # rows of the best levels
    _check_crossed(columns, best[::2], best[1::2])


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
