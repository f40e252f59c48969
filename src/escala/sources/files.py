"""One door for outside data: what a table holds is told by its columns."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.arrays import check_flag, known_word
from escala.curves.records import CAPITAL, EFFICIENCY, FINITE, WEIGHT, said_of_scales, values_at_small_size
from escala.curves.records import clipped as brought_back
from escala.errors import RecordError
from escala.sources import fingerprints, order_book, quotes, tables, trades
from escala.sources import sides as sides_of
from escala.sources.candidates import candidates
from escala.sources.choice import Choice
from escala.sources.columns import Columns, Table
from escala.sources.conventions import Conventions
from escala.sources.results import EfficiencyRecords, names
from escala.text.numerals import counted
from escala.text.visible import hidden

Kind: TypeAlias = Literal["auto", "records", "quotes", "order_book"]
TimeUnit: TypeAlias = Literal["auto", "s", "ms", "us", "ns", "excel"]

_KINDS: Final = ("auto", "records", "quotes", "order_book")
_WANTED: Final = (
    "cannot tell what the columns are: efficiency records have symbol, capital and efficiency; quotes have price and "
    "quantity (and side buy or sell), or amount_in and amount_out; order books have side (bid or ask), price and "
    "quantity"
)
_ROLES: Final = {
    "records": ("symbol", "capital", "efficiency", "weight", "time", "trade_id"),
    "quotes": trades.ROLES,
    "order_book": order_book.ROLES,
    "either": (*trades.ROLES, "snapshot", "is_snapshot"),
}
#: Levels that a side has at least before executions are asked whether they are an order book.
_LEVELS: Final = 2


def read(
    source: Any,
    *,
    kind: Kind = "auto",
    symbol: str | None = None,
    columns: Mapping[str, str] | None = None,
    sides: Mapping[str, str] | None = None,
    clip: bool = False,
    time_unit: TimeUnit = "auto",
    delimiter: str | None = None,
    decimal: Literal[".", ","] | None = None,
    thousands: str | None = None,
    header: bool | str | Sequence[str] | None = None,
    earliest: str | datetime.date | None = None,
    keep_similar: bool = False,
    **options: Any,
) -> EfficiencyRecords:
    """Read efficiency records from a file or frame of records, executions, swap quotes or order books.

    How a CSV file is written is found out where it can be read in one way only, and told in the notes; what can be read
    in two is refused, and the options below say which is meant.

    Parameters
    ----------
    source : path, data frame, Arrow table or mapping of columns
        A path ends in .csv, .csv.gz or .parquet, or in .json or .jsonl (or these and .gz) for order books as exchanges
        and ccxt give them, ``{"bids": [["100", "1"], …], "asks": …}``, which may be given as they are too. CSV is UTF-8
        or UTF-16. pandas and polars frames are welcome. Order books may have one row a level, or one a snapshot with
        columns for each level: ``bids[0].price``, ``bid_price_1``, ….
    kind : {"auto", "records", "quotes", "order_book"}
        What it holds; by default its columns tell: capital and efficiency, amount_in and amount_out, or price and
        quantity, which are an order book where sides are bid and ask and executions else.
    symbol : str, optional
        The symbol of all rows, for tables without such a column.
    columns : mapping of str to str, optional
        Which column is which: ``{"capital": "size_usd"}``. Common names are known, upper or lower case: capital_usd,
        timestamp, unix_time, pair, qty, …, as exchanges write them. Where names leave a choice, the numbers tell: what
        is price × another column is a value and no quantity. A note says what was told so.
    sides : mapping of str to str, optional
        What words in a column of sides mean, where it is not known: ``{"C": "buy", "V": "sell"}``, of an order book
        "bid" and "ask", and "unknown" for rows that are to be left out.
    clip : bool
        Of records: move efficiencies outside [0, 1] to its ends and count them, instead of refusing them. (Those
        that are computed here are always at most 1.) More than a fifth are refused all the same.
    time_unit : {"auto", "s", "ms", "us", "ns", "excel"}
        What numbers in a column of times count: units since 1970, or days as Excel counts them. By default their
        magnitude tells which unit it is. Dates may be text with the year first; where they have no zone, in that of
        the column's name (``Time(UTC+8)``), else UTC, which a note tells.
    delimiter : str, optional
        What separates values in CSV: one sign, or "tab".
    decimal, thousands : str, optional
        The decimal sign, "." or ",", and what stands between groups of three digits.
    header : bool, sequence of str or "lobster", optional
        False: CSV has no header, and columns are called "1", "2", …. Names: it has none, and these are the columns.
        True: the first row is one, whatever it looks like. "lobster": an order book as LOBSTER writes it, which files
        called …_orderbook_10.csv are anyway.
    earliest : str or date, optional
        The first day that times may have. By default times before 1990 are refused, and so are times that span more
        than 20 years: both come from wrong units.
    keep_similar : bool
        Whether symbols that differ only in case or separators are different ones; by default they are refused.
    **options
        Of records `normalise`: divide efficiencies by their value at the smallest capital of their symbol. Others are
        given on to :func:`escala.sources.quotes.records` or :func:`escala.sources.order_book.records`: for one
        `side`, `fees`, `fee_unit`, `fills`, `small`, `least`, `window`, `unit_value`; for the other `capital`,
        `side`, `points`, `strict`, `threads`.

    Returns
    -------
    EfficiencyRecords
        ``fit(result.to_dict())`` fits them; its notes name the columns that were not used.

    Raises
    ------
    RecordError
        If the columns tell nothing or too much (lists what was found and what is wanted), a value is not allowed (names
        its row), or an option is not one of this kind. For a file it is a RecordFileError.
    MissingExtraError
        If a Parquet file is given and pyarrow is not installed.
    OSError
        If there is no such file.

    Examples
    --------
    >>> made = read({"pair": ["A/B", "A/B"], "capital_usd": [1e3, 1e6], "efficiency": [1.0, 0.9], "pool": [1, 1]})
    >>> print(made.summary())
    2 records of 1 symbol, from mapping
    capital 1,000 to 1,000,000, efficiency 0.900000 to 1.000000, mean 0.950000
    columns not used: pool
    """
    if not known_word(kind, _KINDS):
        raise RecordError(f"kind must be one of {', '.join(_KINDS)}, not {kind!r}", arguments=("kind",))
    check_flag("clip", clip, RecordError)
    if isinstance(symbol, str) and hidden(symbol) is not None:
        message = f"symbol must be text without control characters and marks of direction, not {symbol!r}"
        raise RecordError(message, arguments=("symbol",))
    for name in ("strict", "normalise"):
        check_flag(name, options.get(name, False), RecordError)
    meanings = sides_of.meanings(sides)
    said = Conventions.of(
        delimiter=delimiter,
        decimal=decimal,
        thousands=thousands,
        header=header,
        earliest=earliest,
        keep_similar=keep_similar,
    )
    given = tables.table(source, said)
    choice = candidates(given, columns, meanings)
    told = _told(given, choice.columns) if kind == "auto" else kind
    wanted = trades.wanted(choice.columns, options.get("fees"))
    read_columns = tables.load(given, wanted, _ROLES[told], time_unit)
    if told == "either":
        told = _book_or_trades(read_columns, meanings)
        read_columns = _of_roles(read_columns, _ROLES[told])
    if told == "records" and meanings:
        raise RecordError("sides is no option of records", arguments=("sides",))
    made = _MAKERS[told](_Read(read_columns, choice, meanings, symbol, clip), options)
    if not read_columns.unused:
        return made
    return replace(made, notes=(*made.notes, f"columns not used: {', '.join(read_columns.unused)}"))


def _of_roles(columns: Columns, roles: Iterable[str]) -> Columns:
    names = {role: columns.names[role] for role in roles if role in columns}
    return replace(columns, names=names, values={role: columns[role] for role in names})


@dataclass(frozen=True, eq=False)
class _Read:
    """What was read, and what a caller says of it."""

    columns: Columns
    choice: Choice
    meanings: sides_of.Meanings
    symbol: str | None
    clip: bool


def _told(given: Table, found: Mapping[str, list[str]]) -> str:
    """Tell by the columns what a table holds; "either" an order book or executions, where only their sides tell."""
    if given.levels is not None:
        return "order_book"
    fitting = []
    if "capital" in found and "efficiency" in found:
        fitting.append("records")
    if "amount_in" in found and "amount_out" in found:
        fitting.append("quotes")
    if "price" in found and "quantity" in found:
        fitting.append("either" if "side" in found else "quotes")
    if not fitting and "value" in found and ("price" in found or "quantity" in found):
        fitting.append("quotes")
    if len(set(fitting)) != 1:
        several = f" (they may be {' or '.join(dict.fromkeys(fitting))}: say which kind)" if fitting else ""
        raise tables.missing(given, _WANTED + several)
    return fitting[0]


def _book_or_trades(columns: Columns, meanings: sides_of.Meanings) -> str:
    """Tell an order book from executions by how their sides are written, or refuse what may be both."""
    is_trades = sides_of.is_of_trades(columns, meanings)
    name = columns.names["side"]
    if is_trades is None:
        neither = f"{columns.table.name}: {name} tells neither an order book (bid, ask) nor executions (buy, sell)"
        raise columns.table.error(f"{neither}, {sides_of.explained(columns, meanings)}", arguments=(name,))
    if is_trades and _looks_like_a_book(columns, meanings):
        shown = "every price stands once, all that buy lie below all that sell, and there are no times"
        message = f"{columns.table.name}: by {name} these are executions, but they look like an order book: {shown}"
        raise columns.table.error(f"{message}; say kind='order_book' or kind='quotes'", arguments=("kind",))
    return "quotes" if is_trades else "order_book"


def _looks_like_a_book(columns: Columns, meanings: sides_of.Meanings) -> bool:
    """Tell that executions are sorted out by price as orders that wait are."""
    if "order" in columns or "fee" in columns or ("time" in columns and np.unique(columns["time"]).size > 1):
        return False
    codes = columns.coded("symbol")[1] if "symbol" in columns else np.zeros(len(columns), dtype=np.int32)
    buys, is_known, _ = sides_of.read(columns, meanings)
    price = columns["price"]
    for code in range(int(codes.max(initial=-1)) + 1):
        rows = codes == code
        bids, asks = price[rows & buys], price[rows & ~buys]
        if min(bids.size, asks.size) < _LEVELS or not bids.max() < asks.min():
            return False
        if np.unique(bids).size < bids.size or np.unique(asks).size < asks.size:
            return False
    return bool(is_known.all()) and len(columns) > 0


def _records(given: _Read, options: dict[str, Any]) -> EfficiencyRecords:
    columns, clip = given.columns, given.clip
    _refuse_options(options, ("normalise",), "records")
    if "capital" not in columns or "efficiency" not in columns:
        raise tables.missing(columns.table, "records need symbol, capital and efficiency")
    columns.check("capital", CAPITAL)
    free = clip or bool(options.get("normalise"))
    columns.check("efficiency", FINITE if free else EFFICIENCY)
    if "weight" in columns:
        columns.check("weight", WEIGHT)
    symbols, codes = trades.symbol_codes(columns, given.symbol)
    efficiency, clipped, told = columns["efficiency"], 0, []
    try:
        if options.get("normalise"):
            scales = values_at_small_size(columns["capital"], efficiency, codes, symbols)
            efficiency = efficiency / scales[codes]
            told.append(said_of_scales(symbols, scales))
        if free:
            efficiency, outside = brought_back(efficiency, normalised=bool(told))
            clipped = int(np.count_nonzero(outside))
    except RecordError as error:
        raise columns.table.error(f"{columns.table.name}: {error}", arguments=error.arguments) from None
    if clipped:
        told.append(f"{counted(clipped, 'efficiency', 'efficiencies')} outside [0, 1] clipped to its ends")
    return EfficiencyRecords(
        symbol=names(symbols, codes),
        capital=columns["capital"],
        efficiency=efficiency,
        observed_at=columns.get("time"),
        weight=columns.get("weight"),
        source=columns.table.name,
        clipped=clipped,
        notes=(*told, *columns.notes),
        fingerprint=_by_ids(columns, symbols, codes),
    )


def _by_ids(columns: Columns, symbols: list[str], codes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64] | None:
    if "trade_id" not in columns:
        return None
    said = (columns["capital"], columns["efficiency"], columns.get("weight"), columns.get("time"))
    return fingerprints.of_ids(symbols, codes, columns["trade_id"], fingerprints.of_rows(symbols, codes, said))


def _quotes(given: _Read, options: dict[str, Any]) -> EfficiencyRecords:
    settings: dict[str, Any] = {"unit_value": 1.0, "source": None}
    reference, reading = ("small", "least", "window"), ("fees", "fee_unit", "fills")
    _refuse_options(options, ("side", *settings, *reference, *reading), "quotes")
    against = quotes.Reference(**{name: options[name] for name in reference if name in options})
    how = trades.How(**{name: options[name] for name in ("side", *reading) if name in options}, sides=given.meanings)
    said: dict[str, Any] = {name: options.get(name, usual) for name, usual in settings.items()}
    return quotes.from_columns(given.columns, given.choice, against, how, symbol=given.symbol, **said)


def _order_book(given: _Read, options: dict[str, Any]) -> EfficiencyRecords:
    names = (*inspect.signature(order_book.from_books).parameters, "strict")
    _refuse_options(options, [name for name in names if name not in {"books", "symbol"}], "order_book")
    strict = bool(options.pop("strict", False))
    sides_of.as_book(given.columns, given.meanings)
    books = order_book.from_columns(given.columns, strict=strict)
    made = order_book.from_books(books, symbol=given.symbol, **options)
    told = [given.choice.notes[role] for role in order_book.ROLES if role in given.choice.notes]
    return replace(made, notes=(*told, *made.notes))


def _refuse_options(options: dict[str, Any], allowed: Sequence[str], kind: str) -> None:
    strangers = [name for name in options if name not in allowed]
    if strangers:
        known = f"known are {', '.join(allowed)}" if allowed else "there are none"
        raise RecordError(f"{strangers[0]} is no option of {kind}; {known}", arguments=(strangers[0],))


_MAKERS: Final[dict[str, Callable[[_Read, dict[str, Any]], EfficiencyRecords]]] = {
    "records": _records,
    "quotes": _quotes,
    "order_book": _order_book,
}
