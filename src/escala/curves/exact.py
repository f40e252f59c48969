"""Curves that are known, not fitted: what they consist of, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.arrays import FloatLike, Floats, check_interval, known_word, to_floats
from escala.errors import CurveError
from escala.keyed import PerSymbol
from escala.ragged import Ragged
from escala.tables import BELOW_ONE, FINITE_FROM_ZERO, FRACTION, LADDER_STEP, PARAMS, POSITIVE, POSITIVE_FRACTION


def ladders(knots: Sequence[FloatLike], slopes: Sequence[FloatLike], symbols: Sequence[str]) -> tuple[Floats, Ragged]:
    """Check ladders, and give their coefficients and steps.

    Parameters
    ----------
    knots, slopes : n arrays of equal lengths
        Knots rise from 0, slopes fall from at most 1 to at least 0.
    symbols : n names

    Returns
    -------
    params : (n, 4) float64
    steps : Ragged
        Knots, slopes and utilities at the knots, one after the other.

    Raises
    ------
    CurveError
        Names the ladder, the index and the value that is wrong.
    """
    for name, rows in (("knots", knots), ("slopes", slopes)):
        if len(rows) != len(symbols):
            message = f"{name} has {len(rows):,} arrays for {len(symbols):,} symbols"
            raise CurveError(message, arguments=(name, "symbols"))
    steps = Ragged.of([_ladder(i, symbol, knots[i], slopes[i]) for i, symbol in enumerate(symbols)])
    params = np.zeros((len(steps), PARAMS))
    params[:, 0] = params[:, 1] = 1.0
    params[:, 2] = steps.sizes // len(LADDER_STEP)
    return params, steps


def _ladder(i: int, symbol: str, knots: FloatLike, slopes: FloatLike) -> Floats:
    """Check one ladder, and give its three rows of numbers."""
    at, returned = to_floats(f"knots[{i}]", knots, CurveError), to_floats(f"slopes[{i}]", slopes, CurveError)
    if at.ndim != 1 or returned.shape != at.shape or at.size == 0:
        message = (
            f"knots[{i}] of shape {at.shape} and slopes[{i}] of shape {returned.shape} must be rows of one length, "
            f"at least 1, for {symbol!r}"
        )
        raise CurveError(message, arguments=("knots", "slopes"), indexes=((i,),))
    check_interval(f"knots[{i}]", at, FINITE_FROM_ZERO, CurveError)
    check_interval(f"slopes[{i}]", returned, FRACTION, CurveError)
    if at[0] != 0.0:
        raise CurveError(f"knots[{i}, 0] must be 0, not {float(at[0])!r}", arguments=("knots",), indexes=((i, 0),))
    _refuse(i, "knots", at, np.flatnonzero(np.diff(at) <= 0.0), "rise")
    _refuse(i, "slopes", returned, np.flatnonzero(np.diff(returned) > 0.0), "not rise")
    return np.concatenate([at, returned, utilities(at, returned)])


def _refuse(i: int, name: str, values: Floats, wrong: np.ndarray, rule: str) -> None:
    if wrong.size:
        j = int(wrong[0])
        message = f"{name}[{i}] must {rule}, but {float(values[j + 1])!r} at {j + 1} comes after {float(values[j])!r}"
        raise CurveError(message, arguments=(name,), indexes=((i, j + 1),))


def utilities(knots: Floats, slopes: Floats) -> Floats:
    """Add up what the steps return up to each knot, with the rounding errors: exact to the last bit or two."""
    return np.concatenate([[0.0], running(slopes[:-1] * np.diff(knots))])


# --- order books ------------------------------------------------------------------------------------------------------

#: What is walked: a buyer takes asks, from the lowest on, a seller bids, from the highest on.
SIDES: Final = {"buy": "asks", "sell": "bids"}
#: What efficiency is relative to, beside numbers.
REFERENCES: Final = ("mid", "best")


@runtime_checkable
class Snapshots(Protocol):
    """Order books that were read: see :class:`escala.sources.OrderBook`."""

    @property
    def symbols(self) -> npt.NDArray[np.object_] | None:
        """The symbol of each snapshot."""

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Where the bids and the asks of each begin."""

    @property
    def price(self) -> Floats:
        """Of each level, the best of each list first."""

    @property
    def quantity(self) -> Floats:
        """Of each level."""


@dataclass(frozen=True, eq=False)
class Levels:
    """One side of one book: prices from the best on, each once, and what is offered at each, above 0."""

    price: Floats
    size: Floats


def order_books(
    books: Mapping[str, Any] | Snapshots, side: str, fee: PerSymbol, price: PerSymbol
) -> tuple[list[str], list[Floats], list[Floats], Floats]:
    """Make a ladder of every book: a step a level.

    Returns
    -------
    symbols, knots, slopes : n of each
        The last slope is 0: nothing comes out beyond the last level.
    depth : (n,) float64
        Capital that the levels take together.

    Raises
    ------
    CurveError
        Names the book, the level and the value that is wrong.
    """
    if not known_word(side, SIDES) or side is None:
        raise CurveError(f"side must be 'buy' or 'sell', not {side!r}", arguments=("side",))
    given = _of_snapshots(books) if isinstance(books, Snapshots) else books
    if not isinstance(given, Mapping):
        message = f"books must be a mapping of symbol to levels, or an OrderBook, not {type(books).__name__}"
        raise CurveError(message, arguments=("books",))
    symbols = list(given)
    fees = keyed.per_symbol("fee", fee, symbols, BELOW_ONE, CurveError)
    both = [_sides(symbol, given[symbol], side) for symbol in symbols]
    taken = [one[SIDES[side]] for one in both]
    references = _references(symbols, both, taken, side, price)
    made = [
        _steps(symbol, levels, side, reference, kept)
        for symbol, levels, reference, kept in zip(
            symbols, taken, references.tolist(), (1.0 - fees).tolist(), strict=True
        )
    ]
    knots, slopes = [one for one, _ in made], [one for _, one in made]
    return symbols, knots, slopes, np.array([one[-1] for one in knots])


def _of_snapshots(books: Snapshots) -> dict[str, dict[str, Any]]:
    """Bring books that were read to the form of a mapping."""
    if books.symbols is None:
        raise CurveError("books have no symbols: give a mapping of symbol to levels", arguments=("books",))
    found: dict[str, dict[str, Any]] = {}
    for i, symbol in enumerate(books.symbols.tolist()):
        if symbol in found:
            message = f"books has more than one snapshot of {symbol!r}: a curve is of one moment, choose one"
            raise CurveError(message, arguments=("books",), indexes=((i,),))
        first, middle, last = books.offsets[2 * i : 2 * i + 3].tolist()
        found[symbol] = {
            "bids": (books.price[first:middle], books.quantity[first:middle]),
            "asks": (books.price[middle:last], books.quantity[middle:last]),
        }
    return found


def _sides(symbol: str, given: Any, side: str) -> dict[str, Levels]:
    """Check the sides of a book that are there; levels alone are those of the side that is walked."""
    named = given if isinstance(given, Mapping) else {SIDES[side]: given}
    if SIDES[side] not in named:
        message = f"books[{symbol!r}] has no {SIDES[side]}, which {side!r} walks: it has {', '.join(map(str, named))}"
        raise CurveError(message, arguments=("books",))
    found = {name: _levels(symbol, name, named[name]) for name in ("bids", "asks") if name in named}
    if len(found) == 2 and found["bids"].price[0] >= found["asks"].price[0]:
        bid, ask = float(found["bids"].price[0]), float(found["asks"].price[0])
        message = f"books[{symbol!r}] is crossed: its best bid {bid!r} must be below its best ask {ask!r}"
        raise CurveError(message, arguments=("books",))
    return found


def _refuse_what_is_no_row(where: str, given: Any) -> None:
    """Name the first level with something missing: a null in what an exchange has sent."""
    for k, row in enumerate(given if isinstance(given, list | tuple) else ()):
        if row is None or (isinstance(row, list | tuple) and any(one is None for one in row)):
            message = f"{where}[{k}] must be a price and a size, not {row!r}"
            raise CurveError(message, arguments=("books",), indexes=((k,),))


def _levels(symbol: str, name: str, given: Any) -> Levels:
    """Check levels and bring them into order: those of one price are one, and those of size 0 are none."""
    where = f"books[{symbol!r}] {name}"
    if isinstance(given, tuple) and len(given) == 2:
        price, size = (
            to_floats(f"{where} {what}", one, CurveError) for what, one in zip(("price", "size"), given, strict=True)
        )
    else:
        _refuse_what_is_no_row(where, given)
        rows = to_floats(where, given, CurveError)
        if rows.ndim != 2 or rows.shape[1] < 2:
            message = f"{where} of shape {rows.shape} must be rows of price and size, or a tuple of the two"
            raise CurveError(message, arguments=("books",))
        price, size = np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1])
    if price.ndim != 1 or price.shape != size.shape:
        message = f"{where}: prices of shape {price.shape} and sizes of shape {size.shape} must be rows of one length"
        raise CurveError(message, arguments=("books",))
    check_interval(f"{where} price", price, POSITIVE, CurveError)
    check_interval(f"{where} size", size, FINITE_FROM_ZERO, CurveError)
    price, size = price[size > 0.0], size[size > 0.0]
    if price.size == 0:
        raise CurveError(f"{where}: there is no level with a size above 0", arguments=("books",))
    order = np.argsort(price if name == "asks" else -price, kind="stable")
    price, size = price[order], size[order]
    begins = np.flatnonzero(np.concatenate([[True], np.diff(price) != 0.0]))
    return Levels(price[begins], np.add.reduceat(size, begins))


def _references(
    symbols: list[str], both: list[dict[str, Levels]], taken: list[Levels], side: str, price: PerSymbol
) -> Floats:
    """Give the price that each book's efficiency is relative to."""
    best = np.array([levels.price[0] for levels in taken])
    if isinstance(price, str):
        if price not in REFERENCES:
            message = f"price must be 'mid', 'best' or numbers, not {price!r}"
            raise CurveError(message, arguments=("price",))
        if price == "best":
            return np.full(best.size, (best.min() if side == "buy" else best.max()) if best.size else 0.0)
        for symbol, one in zip(symbols, both, strict=True):
            if len(one) < 2:
                message = (
                    f"price 'mid' needs bids and asks, but books[{symbol!r}] has only {SIDES[side]}: give both, or "
                    "price='best', or numbers"
                )
                raise CurveError(message, arguments=("books", "price"))
        return np.array([0.5 * (one["bids"].price[0] + one["asks"].price[0]) for one in both])
    found = keyed.per_symbol("price", price, symbols, POSITIVE, CurveError)
    wrong = np.flatnonzero(found > best if side == "buy" else found < best)
    if wrong.size:
        i = int(wrong[0])
        rule = "at most the lowest ask" if side == "buy" else "at least the highest bid"
        must = f"price of {symbols[i]!r} must be {rule} {float(best[i])!r}"
        message = f"{must}, or efficiency exceeds 1, not {float(found[i])!r}"
        raise CurveError(message, arguments=("price",), indexes=((i,),))
    return found


def _steps(symbol: str, levels: Levels, side: str, reference: float, kept: float) -> tuple[Floats, Floats]:
    """Give knots and slopes of one side; levels too small to add to the capital before them are dropped."""
    buys = side == "buy"
    with np.errstate(over="ignore"):
        capital = running(levels.size * (levels.price if buys else reference))
    if not np.isfinite(capital[-1]):
        raise CurveError(f"books[{symbol!r}] takes more capital than a number holds", arguments=("books",))
    rates = reference / levels.price if buys else levels.price / reference
    begins = np.concatenate([[0.0], capital])
    wide = np.concatenate([np.diff(begins) > 0.0, [True]])
    return begins[wide], np.concatenate([np.minimum(rates, 1.0) * kept, [0.0]])[wide]


def running(values: Floats) -> Floats:
    """Add up values, with the rounding errors: each sum is exact to the last bit or two."""
    out = np.empty(values.size)
    total = rest = 0.0
    for j, value in enumerate(values.tolist()):
        added = total + value
        part = added - total
        rest += (total - (added - part)) + (value - part)
        total = added
        out[j] = total + rest
    return out


# --- pools ------------------------------------------------------------------------------------------------------------


def pools(
    reserve_in: PerSymbol, fee: PerSymbol, level: PerSymbol, symbols: Sequence[str] | None
) -> tuple[list[str], Floats]:
    """Give the coefficients of pools of constant product as curves of the family depth.

    Raises
    ------
    CurveError
        If symbols are missing, or a value is out of range.
    """
    known = keyed.mapping("reserve_in", reserve_in, CurveError)
    if symbols is None and known is None:
        raise CurveError("symbols must be given where reserve_in has none", arguments=("symbols",))
    names = list(known if symbols is None and known is not None else symbols or ())
    reserves = keyed.per_symbol("reserve_in", reserve_in, names, POSITIVE, CurveError)
    kept = 1.0 - keyed.per_symbol("fee", fee, names, BELOW_ONE, CurveError)
    levels = keyed.per_symbol("level", level, names, POSITIVE_FRACTION, CurveError)
    return names, np.column_stack([levels * kept, reserves / kept, np.ones(len(names))])
