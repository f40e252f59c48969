"""Fees of executions: how they are written, and whether they are in quote currency, in base currency or a share."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, known_word
from escala.errors import RecordError
from escala.files.numbers import Numbers
from escala.sources import roles, values
from escala.sources.columns import Columns, Table
from escala.text.numerals import counted

Fees: TypeAlias = Literal["include", "ignore"]
Unit: TypeAlias = Literal["quote", "base", "percent"]

UNITS: Final = ("quote", "base", "percent")
_BESIDE: Final = re.compile(r"\s*([^\W\d_]\w*|%)$")
_PARTS: Final = re.compile(r"[/\-_:. ]+")
_NOTHING: Final = frozenset(("", "none", "null", "nan", "n/a", "-", "<na>", "{}", "[]"))
#: Columns of the trades that Kraken exports, where fees are in quote currency.
_KRAKEN: Final = frozenset(("txid", "ordertxid", "pair", "cost", "fee", "vol"))
_AGREES: Final = 0.02  # as a share of the fee
_SAMPLE: Final = 1000  # texts that tell how numbers are written
_PERCENT: Final = frozenset(("%", "percent", "pct"))
_HOW: Final = "fee_unit='quote', 'base' or 'percent' (--fee-unit) says it"


@dataclass(frozen=True, eq=False)
class Paid:
    """Fees of executions.

    Parameters
    ----------
    quote, base : (n,) float64
        What was paid of each, rebates below 0.
    """

    quote: Floats
    base: Floats

    def of(self, rows: npt.NDArray[Any]) -> Paid:
        """Give the fees of some rows."""
        return Paid(self.quote[rows], self.base[rows])


@dataclass(frozen=True, eq=False)
class _Sizes:
    """What fees are compared with."""

    symbols: list[str]
    codes: npt.NDArray[np.int32]
    buys: npt.NDArray[np.bool_]
    price: Floats
    quantity: Floats


def check(fees: str | None, fee_unit: str | None) -> None:
    """Refuse options that there are not.

    Raises
    ------
    RecordError
        Names the one that is not allowed.
    """
    if not known_word(fees, {None, "include", "ignore"}):
        raise RecordError(f"fees must be 'include' or 'ignore', not {fees!r}", arguments=("fees",))
    if not known_word(fee_unit, {None, *UNITS}):
        raise RecordError(f"fee_unit must be one of {', '.join(UNITS)}, not {fee_unit!r}", arguments=("fee_unit",))


def read(
    columns: Columns,
    symbols: list[str],
    codes: npt.NDArray[np.int32],
    buys: npt.NDArray[np.bool_],
    price: Floats,
    quantity: Floats,
    fee_unit: str | None,
) -> tuple[Paid | None, str]:
    """Read what executions cost.

    Returns
    -------
    The fees, None where nothing says what they are in, and a note of what was taken for what.

    Raises
    ------
    RecordError
        If a fee is no number, or all that is traded; names the row.
    """
    name = columns.names["fee"]
    amount, written, empty = _amounts(columns)
    sign, rebates = _sign(amount)
    amount = amount * sign
    sizes = _Sizes(symbols, codes, buys, price, quantity)
    share = fee_unit == "percent" or (fee_unit is None and _is_percent(name, written))
    if share:
        paid = Paid(price * quantity * amount / 100.0, np.zeros(amount.size))
        told = f"fees of {name!r} are counted, as percent of the value"
    else:
        is_base, unknown = _units(columns, written, sizes, amount, fee_unit)
        if unknown:
            return None, f"{unknown}; {_HOW}"
        paid = Paid(np.where(is_base, 0.0, amount), np.where(is_base, amount, 0.0))
        told = f"fees of {name!r} are counted, {_currencies(is_base, amount)}"
    _check_below(columns, paid, sizes)
    if sign < 0.0:
        told += "; what is below 0 was taken for a cost (fees='ignore' leaves fees out)"
    if rebates:
        told += f"; {counted(rebates, 'fee')} of the other sign taken for a rebate"
    return paid, told + (f"; {counted(empty, 'row')} without a fee taken for free" if empty else "")


def _amounts(columns: Columns) -> tuple[Floats, list[str], int]:
    """Give fees as numbers, what is written beside each, if anything, and how many rows have none."""
    found = columns["fee"]
    if found.dtype.kind in "fiu":
        return np.nan_to_num(found.astype(np.float64)), [], int(np.count_nonzero(np.isnan(found.astype(np.float64))))
    cells = found.tolist()
    number = values.number_of(columns.table, [[cell for cell in cells[:_SAMPLE] if isinstance(cell, str)]], units=False)
    parts = [_parts(cell, number) for cell in cells]
    bad = np.array([part is None for part in parts], dtype=bool)
    columns.refuse("fee", bad, "must be a number, with or without its currency")
    whole = [part for part in parts if part is not None]
    beside = [part[1] for part in whole]
    empty = sum(_is_nothing(cell) for cell in cells)
    return np.array([part[0] for part in whole], dtype=np.float64), beside if any(beside) else [], empty


def _parts(cell: Any, number: Numbers) -> tuple[float, str] | None:
    """Give a fee as a number and its currency, None if it is none."""
    if isinstance(cell, str) and cell.strip().startswith("{"):
        return _parts(_literal(cell.strip()), number)
    if isinstance(cell, Mapping):
        cost = _parts(cell.get("cost"), number)
        return None if cost is None else (cost[0], _text(cell.get("currency")))
    if _is_nothing(cell):
        return 0.0, ""
    try:
        return _written(cell.strip(), number) if isinstance(cell, str) else (float(cell), "")
    except (TypeError, ValueError):
        return None


def _is_nothing(cell: Any) -> bool:
    return cell is None or str(cell).strip().lower() in _NOTHING


def _written(text: str, number: Numbers) -> tuple[float, str]:
    """Read a number and what is beside it; a ValueError means that it is none."""
    try:
        return number(text), ""
    except ValueError:
        beside = _BESIDE.search(text)
        if beside is None:
            raise
        return number(text[: beside.start()]), beside[1]


def _literal(text: str) -> Any:
    """Read what a program wrote of a mapping, as Python or JSON writes it."""
    try:
        return ast.literal_eval(text.replace("null", "None"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return float  # which is no fee


def _sign(amount: Floats) -> tuple[float, int]:
    """Tell whether costs are written below 0, and how many fees are of the other sign."""
    above, below = int(np.count_nonzero(amount > 0.0)), int(np.count_nonzero(amount < 0.0))
    return (-1.0, above) if below > above else (1.0, below)


def _is_percent(name: str, written: list[str]) -> bool:
    called = roles.key(name)
    by_name = roles.unit(name) in _PERCENT or "%" in name or called.endswith(("percent", "pct"))
    return by_name or (bool(written) and {text for text in written if text} == {"%"})


def _units(
    columns: Columns, written: list[str], sizes: _Sizes, amount: Floats, fee_unit: str | None
) -> tuple[npt.NDArray[np.bool_], str]:
    """Tell which fees are in base currency, the others being in quote currency; or why nobody knows."""
    name, n = columns.names["fee"], len(columns)
    known = np.full(n, fee_unit == "base")
    if fee_unit is not None:
        return known, ""
    if written:
        return _by_currency(columns, written, name, sizes, amount)
    if "fee_currency" in columns:
        texts = [_text(value) for value in columns["fee_currency"].tolist()]
        return _by_currency(columns, texts, columns.names["fee_currency"], sizes, amount)
    by_name = roles.unit(name)
    if by_name is not None:
        return _by_currency(columns, [by_name] * n, name, sizes, amount)
    is_known = roles.key(name) != "feebps" and (_is_in_total(columns, sizes, amount) or _is_kraken(columns.table))
    return known, "" if is_known else f"nothing says in which currency {name!r} is"


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) and value.strip().lower() not in _NOTHING else ""


def _by_currency(
    columns: Columns, currencies: list[str], name: str, sizes: _Sizes, amount: Floats
) -> tuple[npt.NDArray[np.bool_], str]:
    """Tell by the name of its currency and the symbol in which of the two a fee is; it may be in neither."""
    money = [_text(value) for value in columns["currency"].tolist()] if "currency" in columns else [""] * len(columns)
    symbols, codes, nothing = sizes.symbols, sizes.codes.tolist(), (amount == 0.0).tolist()
    known: dict[tuple[int, str, str], str | None] = {}
    is_base = np.zeros(len(columns), dtype=bool)
    for row, one in enumerate(zip(codes, currencies, money, strict=True)):
        if nothing[row]:
            continue
        if one not in known:
            known[one] = _part(symbols[one[0]], one[1], one[2])
        part = known[one]
        if part is None:
            what = (
                f"{one[1]!r} of {name!r} is neither part of {symbols[one[0]]!r}" if one[1] else "some have no currency"
            )
            return is_base, what
        is_base[row] = part == "base"
    return is_base, ""


def _part(symbol: str, currency: str, money: str) -> str | None:
    """Tell whether a currency is what a symbol trades or what it is paid in."""
    asked, whole = currency.strip().upper(), symbol.strip().upper()
    if not asked:
        return None
    parts = [part for part in _PARTS.split(whole) if part][:2]
    if asked == money.strip().upper() or (len(parts) == 2 and asked == parts[1]):
        return "quote"
    if asked in {parts[0] if parts else "", whole}:
        return "base"
    if len(parts) == 1 and whole.endswith(asked):
        return "quote"
    return "base" if len(parts) == 1 and whole.startswith(asked) else None


def _is_in_total(columns: Columns, sizes: _Sizes, amount: Floats) -> bool:
    """Tell that a column is price × quantity with the fee: what buyers pay beyond it, sellers get less."""
    if "value" not in columns:
        return False
    product = sizes.price * sizes.quantity
    beyond = np.where(sizes.buys, 1.0, -1.0) * (np.abs(columns["value"]) - product)
    there = amount != 0.0
    if not there.any():
        return True
    return float(np.median(np.abs(beyond[there] / amount[there] - 1.0))) <= _AGREES


def _is_kraken(table: Table) -> bool:
    return {roles.key(name) for name in table.names} >= _KRAKEN


def _currencies(is_base: npt.NDArray[np.bool_], amount: Floats) -> str:
    base = int(np.count_nonzero(is_base & (amount != 0.0)))
    quote = int(np.count_nonzero(~is_base & (amount != 0.0)))
    if base and quote:
        return f"{quote:,} in quote currency and {base:,} in base currency"
    return "in base currency" if base else "in quote currency"


def _check_below(columns: Columns, paid: Paid, sizes: _Sizes) -> None:
    """Refuse fees that leave nothing, and rebates as large as what was traded."""
    value, quantity = sizes.price * sizes.quantity, sizes.quantity
    bad = (np.abs(paid.quote) >= value) | (np.abs(paid.base) >= quantity) | ~np.isfinite(paid.quote + paid.base)
    columns.refuse("fee", bad, "must be less than what was traded (fees='ignore' leaves fees out)")
