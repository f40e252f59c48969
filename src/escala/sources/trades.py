"""Executions and swaps in one form: what was traded, at which price, on which side, for which fee."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, known_word
from escala.errors import RecordError
from escala.sources import fees as fees_of
from escala.sources import fingerprints, roles, tables
from escala.sources import sides as sides_of
from escala.sources.choice import Choice
from escala.sources.columns import Columns
from escala.tables import Interval
from escala.text.numerals import counted

Places: TypeAlias = npt.NDArray[np.int64]
Side: TypeAlias = Literal["buy", "sell"]

ROLES: Final = (
    "symbol", "side", "price", "quantity", "value", "amount_in", "amount_out", "time", "order", "fee", "fee_currency",
    "currency", "in_quote", "trade_id", "token_in", "token_out", "status",
)  # fmt: skip
WANTED: Final = "quotes need price and quantity, or amount_in and amount_out"
AMOUNT: Final = Interval(1e-100, 1e100)
_TOKENS: Final = ("token_in", "token_out")
#: How statuses begin of orders and swaps of which nothing was done, in lower case.
_NOT_DONE: Final = ("cancel", "reject", "expire", "fail", "revert", "pending", "error")
#: Two of them say the third.
_SIZES: Final = ("price", "quantity", "value")
_SIGNED: Final = Interval(-1e100, 1e100)


@dataclass(frozen=True, eq=False)
class How:
    """What a caller says of executions.

    Parameters
    ----------
    side : {"buy", "sell"} or None
        The side of all of them.
    sides : mapping
        What words mean, from :func:`escala.sources.sides.meanings`.
    fees : {"include", "ignore"} or None
        Whether fees count; None where it is known what they are in.
    fee_unit : {"quote", "base", "percent"} or None
        What they are in.
    fills : {"join", "apart"}
        Whether fills of one order are one execution.
    """

    side: Side | None = None
    sides: sides_of.Meanings = field(default_factory=dict)
    fees: str | None = None
    fee_unit: str | None = None
    fills: str = "join"

    def check(self) -> None:
        """Refuse what there is not.

        Raises
        ------
        RecordError
            Names the option.
        """
        if not known_word(self.side, {None, "buy", "sell"}):
            raise RecordError(f"side must be 'buy' or 'sell', not {self.side!r}", arguments=("side",))
        fees_of.check(self.fees, self.fee_unit)
        if not known_word(self.fills, {"join", "apart"}):
            raise RecordError(f"fills must be 'join' or 'apart', not {self.fills!r}", arguments=("fills",))


def wanted(found: Mapping[str, list[str]], fees: str | None) -> dict[str, list[str]]:
    """Give the columns that are needed: not fees that are not to count, and tokens of swaps alone."""
    unused: tuple[str, ...] = ("fee", "fee_currency") if fees == "ignore" else ()
    if "amount_in" not in found or "amount_out" not in found:
        unused += _TOKENS
    return {role: names for role, names in found.items() if role not in unused}


@dataclass(frozen=True, eq=False)
class Trades:
    """Executions and swaps in one form.

    Parameters
    ----------
    symbols, codes
        The different symbols, and which of them each has.
    buys : (n,) bool
        Which of them buy.
    price, size : (n,) float64
        Quote currency for one unit, and how many units; of a swap what it gave for one unit, and what was given.
    time : (n,) float64 or None
        Seconds since 1970; of fills that were joined, those of the first.
    fees : Paid or None
        What they cost.
    rows : (n,) int64
        The row of the table each is from; of fills that were joined, the first.
    fingerprint : (n,) int64
        What tells each from all others, whatever else the table has; of fills that were joined, all of them.
    swaps, assumed, joined : bool
        Whether they are swaps, whether nobody said that they are sales, and whether some are made of several fills.
    left_out : int
        Rows whose side nobody knows.
    notes : tuple of str
        What was taken for what.
    """

    symbols: list[str]
    codes: npt.NDArray[np.int32]
    buys: npt.NDArray[np.bool_]
    price: Floats
    size: Floats
    time: Floats | None
    fees: fees_of.Paid | None
    rows: Places
    fingerprint: Places
    swaps: bool
    assumed: bool = False
    joined: bool = False
    left_out: int = 0
    notes: tuple[str, ...] = ()

    @property
    def groups(self) -> Places:
        """One number a symbol and side."""
        return self.codes.astype(np.int64) * 2 + self.buys

    @property
    def noun(self) -> str:
        """What one of them is called."""
        return "execution" if self.joined else "row"


def read(columns: Columns, choice: Choice, how: How, symbol: str | None) -> Trades:
    """Read executions or swaps.

    Raises
    ------
    RecordError
        If a column is missing or doubtful, or a value is not allowed; names column, row and value.
    """
    how.check()
    is_swap = "amount_in" in columns and "amount_out" in columns
    is_whole = "price" in columns and "quantity" in columns
    is_execution = is_whole or (not is_swap and sum(role in columns for role in _SIZES) > 1)
    if is_swap == is_execution:
        raise tables.missing(columns.table, WANTED + (", but not all of them" if is_swap else ""))
    symbols, codes = symbol_codes(columns, symbol)
    made = _swaps(columns, how, symbols, codes) if is_swap else _executions(columns, choice, how, symbols, codes)
    return _done(made, columns)


def _done(trades: Trades, columns: Columns) -> Trades:
    """Leave out what was not done by its status, unless its size is what was filled of it."""
    if "status" not in columns or roles.tier("quantity", columns.names.get("quantity", "")) in {0, 2}:
        return trades
    texts = list(map(str, columns["status"].tolist()))
    word_of = {text: text.strip().lower() for text in set(texts)}
    undone = {text for text, word in word_of.items() if word.startswith(_NOT_DONE)}
    bad = np.array([text in undone for text in texts], dtype=bool)[trades.rows]
    if not bad.any():
        return trades
    words = ", ".join(dict.fromkeys(word_of[texts[row]] for row in trades.rows[bad].tolist()))
    many = int(np.count_nonzero(bad))
    note = f"{counted(many, 'row')} left out: their {columns.names['status']!r} is {words}"
    return replace(part(trades, ~bad), left_out=trades.left_out + many, notes=(*trades.notes, note))


def symbol_codes(columns: Columns, symbol: str | None) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Give the different symbols, and for each row which of them it has.

    Raises
    ------
    RecordError
        If there is neither a column of symbols nor one for all, or both.
    """
    if "symbol" in columns:
        if symbol is not None:
            there = f"{columns.table.name} has a column {columns.names['symbol']!r} of symbols"
            raise RecordError(f"symbol {symbol!r} is for tables without symbols, but {there}", arguments=("symbol",))
        return columns.coded("symbol")
    if symbol is None:
        raise tables.missing(columns.table, "there is no column of symbols, and no symbol is given")
    if not isinstance(symbol, str) or not symbol:
        raise RecordError(f"symbol must be text that is not empty, not {symbol!r}", arguments=("symbol",))
    return [symbol], np.zeros(len(columns), dtype=np.int32)


def _swaps(columns: Columns, how: How, symbols: list[str], codes: npt.NDArray[np.int32]) -> Trades:
    """Read swaps: what is given is sold, and amounts are what was given and received."""
    columns.check("amount_in", AMOUNT)
    columns.check("amount_out", AMOUNT)
    for name in ("side", "fees", "fee_unit"):
        if getattr(how, name) not in {None, "ignore"}:
            raise RecordError(f"{name} is for executions: what is given in a swap is sold", arguments=(name,))
    _check_one_way(columns, how, symbols, codes)
    n = len(columns)
    fee, side = columns.names.get("fee"), columns.names.get("side")
    buys, price = np.zeros(n, dtype=bool), columns["amount_out"] / columns["amount_in"]
    said = (buys, np.ones(n), price, columns["amount_in"], columns.get("time"))
    return Trades(
        symbols=symbols,
        codes=codes,
        buys=buys,
        price=price,
        size=columns["amount_in"],
        time=columns.get("time"),
        fees=None,
        rows=np.arange(n),
        fingerprint=_fingerprints(columns, symbols, codes, said),
        swaps=True,
        notes=(
            *(f"{fee!r} is not counted: amounts of a swap are what is given and received" for _ in [fee] if fee),
            *(f"{side!r} is not needed: what is given in a swap is sold" for _ in [side] if side),
        ),
    )


def _check_one_way(columns: Columns, how: How, symbols: list[str], codes: npt.NDArray[np.int32]) -> None:
    """Refuse swaps of both directions under one symbol: their prices, and their capitals, are in different units."""
    for role in ("side", *_TOKENS):
        if role not in columns:
            continue
        texts = list(map(str, columns[role].tolist()))
        meant = {text: _way(role, columns, text, how) for text in set(texts)}
        numbers: dict[Any, int] = {None: -1}
        number = {text: numbers.setdefault(way, len(numbers)) for text, way in meant.items()}
        ways = np.array([number[text] for text in texts], dtype=np.int64)
        told = np.flatnonzero(ways >= 0)[::-1]
        first = np.full(len(symbols), -1)
        first[codes[told]] = ways[told]  # backwards: the first of each symbol stays
        other = (ways >= 0) & (ways != first[codes])
        if other.any():
            symbol = symbols[codes[other.argmax()]]
            columns.refuse(
                role,
                other,
                f"must be one for all swaps of a symbol, as {symbol!r} has others too: amounts in and out are of other "
                "tokens each way, so give each direction a symbol of its own (A/B and B/A)",
            )


def _way(role: str, columns: Columns, value: str, how: How) -> bool | str | None:
    """Give what tells the direction of a swap, None where nothing does."""
    if role == "side":
        side = sides_of.meant(columns.names["side"], value, how.sides)
        return side if isinstance(side, bool) else None
    return value.strip().casefold() if sides_of.is_told(value) else None


def _executions(columns: Columns, choice: Choice, how: How, symbols: list[str], codes: npt.NDArray[np.int32]) -> Trades:
    price, size, size_notes = _price_and_size(columns, choice)
    buys, is_known, size, side_notes = _sides(columns, choice, how, size)
    columns.refuse("quantity" if "quantity" in columns else "value", ~AMOUNT.contains(size), f"must be {AMOUNT}")
    paid, fee_notes = _fees(columns, choice, how, (symbols, codes, buys, price, size))
    told = [choice.notes[role] for role in ("time", "price", "quantity", "side") if role in choice.notes]
    said = (buys, np.zeros(size.size), price, size, columns.get("time"))
    all_of_it = Trades(
        symbols=symbols,
        codes=codes,
        buys=buys,
        price=price,
        size=size,
        time=columns.get("time"),
        fees=paid,
        rows=np.arange(size.size),
        fingerprint=_fingerprints(columns, symbols, codes, said),
        swaps=False,
        assumed="side" not in columns and how.side is None and not np.any(buys),
        notes=(*told, *size_notes, *side_notes, *fee_notes),
    )
    return all_of_it if is_known.all() else _known(all_of_it, is_known)


def _fingerprints(
    columns: Columns, symbols: list[str], codes: npt.NDArray[np.int32], said: tuple[npt.NDArray[Any] | None, ...]
) -> Places:
    """Tell rows by what they say, or by the ids that they have; not by fees, which may be left unread."""
    found = fingerprints.of_rows(symbols, codes, said)
    if "order" in columns:
        found = fingerprints.with_ids(found, columns["order"])
    return fingerprints.of_ids(symbols, codes, columns["trade_id"], found) if "trade_id" in columns else found


def part(trades: Trades, chosen: npt.NDArray[np.bool_]) -> Trades:
    """Give some of the trades."""
    return replace(
        trades,
        codes=trades.codes[chosen],
        buys=trades.buys[chosen],
        price=trades.price[chosen],
        size=trades.size[chosen],
        time=None if trades.time is None else trades.time[chosen],
        fees=None if trades.fees is None else trades.fees.of(np.flatnonzero(chosen)),
        rows=trades.rows[chosen],
        fingerprint=trades.fingerprint[chosen],
    )


def _known(trades: Trades, is_known: npt.NDArray[np.bool_]) -> Trades:
    left_out = int(is_known.size - np.count_nonzero(is_known))
    note = f"{counted(left_out, 'row')} left out: nobody knows their side"
    return replace(part(trades, is_known), left_out=left_out, notes=(*trades.notes, note))


def _price_and_size(columns: Columns, choice: Choice) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Give prices and quantities, one of them from the value where its column is not there."""
    if "quantity" in columns and "quantity" in choice.doubts and "price" in columns:
        message = f"{columns.table.name}: {choice.doubts['quantity']}"
        raise columns.table.error(message, arguments=(columns.names["quantity"],))
    if "quantity" not in columns:
        columns.check("price", AMOUNT)
        value, price = columns.names["value"], columns.names["price"]
        return columns["price"], columns["value"] / columns["price"], (f"quantities are {value} / {price}",)
    if "price" in columns:
        columns.check("price", AMOUNT)
        return _in_base(columns)
    columns.check("value", _SIGNED)
    value, quantity = columns.names["value"], columns.names["quantity"]
    with np.errstate(all="ignore"):
        price = np.abs(columns["value"] / columns["quantity"])
    columns.refuse("value", ~AMOUNT.contains(price), f"must give a price {AMOUNT}")
    return price, columns["quantity"], (f"prices are {value} / {quantity}",)


def _in_base(columns: Columns) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Give prices and quantities, of the rows that say that theirs is in quote currency too."""
    price, size = columns["price"], columns["quantity"]
    if "in_quote" not in columns:
        return price, size, ()
    name = columns.names["in_quote"]
    is_value = sides_of.yes(columns, "in_quote")
    many = counted(int(np.count_nonzero(is_value)), "row")
    told = f"{many} with {columns.names['quantity']} in quote currency, by {name}: divided by the price"
    return price, np.where(is_value, size / price, size), (told,) * bool(is_value.any())


def _sides(
    columns: Columns, choice: Choice, how: How, size: Floats
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Floats, tuple[str, ...]]:
    """Tell which rows buy and of which it is known, and give sizes without their sign."""
    everything = np.ones(size.size, dtype=bool)
    is_signed = bool((size < 0.0).any())
    name = columns.names.get("quantity", columns.names.get("value", ""))
    if "side" in columns:
        if how.side is not None:
            there = f"{columns.table.name} has a column {columns.names['side']!r} of sides"
            message = f"side {how.side!r} is for tables without sides, but {there}"
            raise RecordError(message, arguments=("side",))
        buys, is_known, notes = sides_of.read(columns, how.sides)
        if is_signed:
            _check_signs(columns, buys, is_known, size)
        against = int(np.count_nonzero((size < 0.0) & buys & is_known))
        if against:
            are = "is a purchase" if against == 1 else "are purchases"
            told = f"{counted(against, 'row')} with {name} below 0 {are}, as {columns.names['side']} says"
            notes = (*notes, told)
        return buys, is_known, np.abs(size), notes
    if how.side is not None:
        return np.full(size.size, how.side == "buy"), everything, size, ()
    if is_signed:
        told = f"there is no column of sides: where {name} is negative was taken for a sale, the others for purchases"
        return size > 0.0, everything, np.abs(size), (told,)
    if choice.hidden:
        held, words = next(iter(choice.hidden.items()))
        ways = f"columns={{'side': {held!r}}} or --column.side, or side='buy' or 'sell' for all rows"
        message = f"{columns.table.name}: no column is known to be side, but {held!r} holds sides ({words}); say {ways}"
        raise columns.table.error(message, arguments=(held,))
    return ~everything, everything, size, ("there is no column of sides: every execution was taken for a sale",)


def _check_signs(columns: Columns, buys: npt.NDArray[np.bool_], is_known: npt.NDArray[np.bool_], size: Floats) -> None:
    """Refuse signs that contradict the sides: those of sales are negative, or all are, or those of purchases."""
    below, above = (size < 0.0) & is_known, (size > 0.0) & is_known
    agree = not (below & buys).any() and not (above & ~buys).any()
    opposite = not (below & ~buys).any() and not (above & buys).any()
    if not agree and not opposite and above.any():
        role = "quantity" if "quantity" in columns else "value"
        columns.refuse(role, below & buys, f"must not be negative where {columns.names['side']} says buy")
        columns.refuse(
            role, above & ~buys, f"must be negative where {columns.names['side']} says sell, as in other rows"
        )


def _fees(
    columns: Columns,
    choice: Choice,
    how: How,
    sizes: tuple[list[str], npt.NDArray[np.int32], npt.NDArray[np.bool_], Floats, Floats],
) -> tuple[fees_of.Paid | None, tuple[str, ...]]:
    """Read the fees, if they are to count and one knows what they are in."""
    if how.fees == "ignore":
        return None, ()
    is_wanted = how.fees == "include" or how.fee_unit is not None
    if "fee" not in columns:
        lacks = choice.notes.get("fee", "there is no column of fees")
        if is_wanted:
            raise tables.missing(columns.table, f"fees are to be counted, but {lacks}")
        return None, (f"fees are not counted: {lacks}",) * ("fee" in choice.notes)
    paid, told = fees_of.read(columns, *sizes, how.fee_unit)
    if paid is not None:
        return paid, (told,)
    if is_wanted:
        message = f"{columns.table.name}: fees are to be counted, but {told}"
        raise columns.table.error(message, arguments=(columns.names["fee"],))
    return None, (f"fees are not counted: {told}",)
