"""One door for outside data: what a table holds is told by its columns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.curves.records import CAPITAL, EFFICIENCY, FINITE, WEIGHT, said_of_scales, values_at_small_size
from escala.curves.records import clipped as brought_back
from escala.errors import RecordError
from escala.sources import fingerprints, order_book, quotes, tables
from escala.sources.results import EfficiencyRecords, names
from escala.sources.tables import Columns, Table
from escala.text.numerals import counted

Kind: TypeAlias = Literal["auto", "records", "quotes", "order_book"]
_Found: TypeAlias = dict[str, list[str]]

_KINDS: Final = ("auto", "records", "quotes", "order_book")
_WANTED: Final = (
    "cannot tell what the columns are: efficiency records have symbol, capital and efficiency; quotes have price and "
    "quantity (and side buy or sell), or amount_in and amount_out; order books have side (bid or ask), price and "
    "quantity"
)
_ROLES: Final = {
    "records": ("symbol", "capital", "efficiency", "weight", "time", "trade_id"),
    "quotes": quotes.ROLES,
    "order_book": order_book.ROLES,
    "either": ("symbol", "side", "price", "quantity", "time", "snapshot", "trade_id"),
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
    time_unit: str = "s",
    **options: Any,
) -> EfficiencyRecords:
    """Read efficiency records from a file or frame of records, executions, swap quotes or order books.

    Parameters
    ----------
    source : path, data frame, Arrow table or mapping of columns
        A path ends in .csv, .csv.gz or .parquet; CSV is UTF-8 with a header. pandas and polars frames are welcome.
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
        that are computed here are always at most 1.) More than a fifth are refused all the same.
    time_unit : {"s", "ms", "us", "ns"}
        What numbers in a column of times count since 1970. Dates may be ISO text too, UTC where they have no zone.
    **options
        Of records `normalise`: divide efficiencies by their value at the smallest capital of their symbol. Others are
        given on to :func:`escala.sources.quotes.records` or :func:`escala.sources.order_book.records`: for one
        `side`, `small`, `least`, `window`, `unit_value`; for the other `capital`, `side`, `points`, `threads`.

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
    given = tables.table(source)
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
    _refuse_options(options, ("normalise",), "records")
    if "capital" not in columns or "efficiency" not in columns:
        raise tables.missing(columns.table, "records need symbol, capital and efficiency")
    columns.check("capital", CAPITAL)
    free = clip or bool(options.get("normalise"))
    columns.check("efficiency", FINITE if free else EFFICIENCY)
    if "weight" in columns:
        columns.check("weight", WEIGHT)
    symbols, codes = quotes.symbol_codes(columns, symbol)
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
        notes=tuple(told),
        fingerprint=_by_ids(columns, symbols, codes),
    )


def _by_ids(columns: Columns, symbols: list[str], codes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64] | None:
    if "trade_id" not in columns:
        return None
    said = (columns["capital"], columns["efficiency"], columns.get("weight"), columns.get("time"))
    return fingerprints.of_ids(symbols, codes, columns["trade_id"], fingerprints.of_rows(symbols, codes, said))


def _quotes(columns: Columns, symbol: str | None, _clip: bool, options: dict[str, Any]) -> EfficiencyRecords:
    settings: dict[str, Any] = {"side": None, "unit_value": 1.0, "source": None}
    reference = ("small", "least", "window")
    _refuse_options(options, (*settings, *reference), "quotes")
    how = quotes.Reference(**{name: options[name] for name in reference if name in options})
    given: dict[str, Any] = {name: options.get(name, usual) for name, usual in settings.items()}
    return quotes.from_columns(columns, how, symbol=symbol, **given)


def _order_book(columns: Columns, symbol: str | None, _clip: bool, options: dict[str, Any]) -> EfficiencyRecords:
    allowed = [name for name in inspect.signature(order_book.from_books).parameters if name not in {"books", "symbol"}]
    _refuse_options(options, allowed, "order_book")
    return order_book.from_books(order_book.from_columns(columns), symbol=symbol, **options)


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
