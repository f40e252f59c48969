"""Symbols as they are given."""

from __future__ import annotations

from collections.abc import Iterable

from escala.errors import AllocationError, RecordError, UnknownSymbolError


def listed(symbols: str | Iterable[str]) -> list[str]:
    """Bring symbols to a list of plain text.

    Raises
    ------
    RecordError
        If they are no sequence.
    UnknownSymbolError
        If one is no text.
    """
    if isinstance(symbols, str):
        return [str(symbols)]
    if not isinstance(symbols, Iterable):
        raise RecordError(f"symbols must be text or a sequence of it, not {symbols!r}", arguments=("symbols",))
    chosen = list(symbols)
    if set(map(type, chosen)) - {str}:
        for symbol in chosen:
            if not isinstance(symbol, str):
                raise UnknownSymbolError(f"there are no records of {symbol!r}", symbol=str(symbol))
        return list(map(str, chosen))
    return chosen


def unique(symbols: list[str]) -> list[str]:
    """Give each symbol once."""
    return list(dict.fromkeys(symbols))


def distinct(symbols: list[str]) -> list[str]:
    """Refuse a symbol that comes twice.

    Raises
    ------
    AllocationError
        Names it and its place.
    """
    seen: set[str] = set()
    for place, symbol in enumerate(symbols):
        if symbol in seen:
            raise AllocationError(f"symbols names {symbol!r} twice", arguments=("symbols",), indexes=((place,),))
        seen.add(symbol)
    return symbols
