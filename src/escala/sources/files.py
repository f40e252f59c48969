"""One door for outside data: what a table holds is told by its columns."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from escala.curves.records import CAPITAL, EFFICIENCY, FINITE, WEIGHT
from escala.errors import RecordError
from escala.sources import order_book, quotes, tables
from escala.sources.columns import Columns, Table
from escala.sources.conventions import Conventions
from escala.sources.results import EfficiencyRecords, names
from escala.text.numerals import counted

Kind: TypeAlias = Literal["auto", "records", "quotes", "order_book"]
TimeUnit: TypeAlias = Literal["auto", "s", "ms", "us", "ns", "excel"]
_Found: TypeAlias = dict[str, list[str]]

_KINDS: Final = ("auto", "records", "quotes", "order_book")
_WANTED: Final = (
    "cannot tell what the columns are: efficiency records have symbol, capital and efficiency; quotes have price and "
    "quantity (and side buy or sell), or amount_in and amount_out; order books have side (bid or ask), price and "
    "quantity"
)
_ROLES: Final = {
    "records": ("symbol", "capital", "efficiency", "weight", "time"),
    "quotes": quotes.ROLES,
    "order_book": order_book.ROLES,
    "either": ("symbol", "side", "price", "quantity", "time", "snapshot"),
}
#: What only an order book, or only an execution, calls its sides; "b" may be both.
_BOOK_SIDES: Final = frozenset(order_book.SIDES) - frozenset(quotes.SIDES)
_TRADE_SIDES: Final = frozenset(quotes.SIDES) - {"b"}


def read(
    source: Any,
    *,
    kind: Kind = "auto",
    symbol: str | None = None,
    columns: Mapping[str, str] | None = None,
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
        timestamp, unix_time, pair, qty, ….
    clip : bool
        Of records: move efficiencies outside [0, 1] to its ends and count them, instead of refusing them. (Those
        that are computed here are always at most 1.)
    time_unit : {"auto", "s", "ms", "us", "ns", "excel"}
        What numbers in a column of times count: units since 1970, or days as Excel counts them. By default their
        magnitude tells which unit it is. Dates may be text with the year first, UTC where they have no zone.
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
        Given on to :func:`escala.sources.quotes.records` or :func:`escala.sources.order_book.records`: for one
        `side`, `small`, `least`, `window`, `unit_value`; for the other `capital`, `side`, `points`, `strict`,
        `threads`.

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
    if kind not in _KINDS:
        raise RecordError(f"kind must be one of {', '.join(_KINDS)}, not {kind!r}", arguments=("kind",))
    said = Conventions.of(
        delimiter=delimiter,
        decimal=decimal,
        thousands=thousands,
        header=header,
        earliest=earliest,
        keep_similar=keep_similar,
    )
    given = tables.table(source, said)
    found = tables.candidates(given, columns)
    told = _told(given, found) if kind == "auto" else kind
    read_columns = tables.load(given, found, _ROLES[told], time_unit)
    if told == "either":
        told = _book_or_trades(read_columns)
    made = _MAKERS[told](read_columns, symbol, clip, options)
    if not read_columns.unused:
        return made
    return replace(made, notes=(*made.notes, f"columns not used: {', '.join(read_columns.unused)}"))


def _told(given: Table, found: _Found) -> str:
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
    if len(set(fitting)) != 1:
        several = f" (they may be {' or '.join(dict.fromkeys(fitting))}: say which kind)" if fitting else ""
        raise tables.missing(given, _WANTED + several)
    return fitting[0]


def _book_or_trades(columns: Columns) -> str:
    """Tell an order book from executions by how their sides are written."""
    written = {text.strip().lower() for text in columns.coded("side")[0]}
    is_book, is_trades = bool(written & _BOOK_SIDES), bool(written & _TRADE_SIDES)
    if is_book == is_trades:
        name, shown = columns.names["side"], ", ".join(sorted(written)[:6])
        both = f"{columns.table.name}: {name} tells neither an order book (bid, ask) nor executions (buy, sell)"
        raise columns.table.error(f"{both}, it has {shown}; say which kind", arguments=(name,))
    return "order_book" if is_book else "quotes"


def _records(columns: Columns, symbol: str | None, clip: bool, options: dict[str, Any]) -> EfficiencyRecords:
    _refuse_options(options, (), "records")
    if "capital" not in columns or "efficiency" not in columns:
        raise tables.missing(columns.table, "records need symbol, capital and efficiency")
    columns.check("capital", CAPITAL)
    columns.check("efficiency", FINITE if clip else EFFICIENCY)
    if "weight" in columns:
        columns.check("weight", WEIGHT)
    symbols, codes = quotes.symbol_codes(columns, symbol)
    clipped = int(np.count_nonzero(~EFFICIENCY.contains(columns["efficiency"])))
    return EfficiencyRecords(
        symbol=names(symbols, codes),
        capital=columns["capital"],
        efficiency=np.clip(columns["efficiency"], 0.0, 1.0) if clipped else columns["efficiency"],
        observed_at=columns.get("time"),
        weight=columns.get("weight"),
        source=columns.table.name,
        clipped=clipped,
        notes=(f"{counted(clipped, 'efficiency', 'efficiencies')} outside [0, 1] clipped to its ends",) * bool(clipped)
        + columns.notes,
    )


def _quotes(columns: Columns, symbol: str | None, _clip: bool, options: dict[str, Any]) -> EfficiencyRecords:
    settings: dict[str, Any] = {"side": None, "unit_value": 1.0, "source": None}
    reference = ("small", "least", "window")
    _refuse_options(options, (*settings, *reference), "quotes")
    how = quotes.Reference(**{name: options[name] for name in reference if name in options})
    given: dict[str, Any] = {name: options.get(name, usual) for name, usual in settings.items()}
    return quotes.from_columns(columns, how, symbol=symbol, **given)


def _order_book(columns: Columns, symbol: str | None, _clip: bool, options: dict[str, Any]) -> EfficiencyRecords:
    names = (*inspect.signature(order_book.from_books).parameters, "strict")
    _refuse_options(options, [name for name in names if name not in {"books", "symbol"}], "order_book")
    strict = bool(options.pop("strict", False))
    return order_book.from_books(order_book.from_columns(columns, strict=strict), symbol=symbol, **options)


def _refuse_options(options: dict[str, Any], allowed: Sequence[str], kind: str) -> None:
    strangers = [name for name in options if name not in allowed]
    if strangers:
        known = f"known are {', '.join(allowed)}" if allowed else "there are none"
        raise RecordError(f"{strangers[0]} is no option of {kind}; {known}", arguments=(strangers[0],))


_MAKERS: Final[dict[str, Callable[[Columns, str | None, bool, dict[str, Any]], EfficiencyRecords]]] = {
    "records": _records,
    "quotes": _quotes,
    "order_book": _order_book,
}
