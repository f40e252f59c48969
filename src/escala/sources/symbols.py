"""Symbols as they are written: spaces around them mean nothing, and two writings of one are refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from escala.files.table import FORMULA
from escala.text.numerals import counted

_AROUND: Final = "\ufeff\u200b\u200c\u200d\u2060"  # signs of no width, which are no spaces to Python
_SEPARATORS: Final = re.compile(r"[\s\-_/:|]|(?<!\d)\.|\.(?!\d)")
_SHOWN: Final = 3


def stripped(symbol: str) -> str:
    """Drop what cannot be seen at both ends."""
    while symbol != (shorter := symbol.strip().strip(_AROUND)):
        symbol = shorter
    return symbol


def notes(symbols: Sequence[str]) -> tuple[str, ...]:
    """Say which symbols had spaces around them, and which are written as for a spreadsheet."""
    changed = [symbol for symbol in symbols if stripped(symbol) != symbol]
    guarded = [symbol for symbol in symbols if symbol.startswith("'") and symbol[1:].startswith(FORMULA)]
    told = (
        (changed, "stripped of spaces"),
        (guarded, "with an apostrophe, as files for spreadsheets (--excel-safe) have it, kept as written"),
    )
    return tuple(f"{counted(len(found), 'symbol')} {what}: {_few(found)}" for found, what in told if found)


def _few(symbols: Sequence[str]) -> str:
    return ", ".join(map(repr, symbols[:_SHOWN])) + (", …" if len(symbols) > _SHOWN else "")


def similar(symbols: Sequence[str]) -> tuple[str, str] | None:
    """Give two symbols that differ only in case, separators or the form of their letters; None if there are none."""
    first: dict[str, str] = {}
    for symbol in symbols:
        key = _SEPARATORS.sub("", unicodedata.normalize("NFKC", symbol).casefold())
        other = first.setdefault(key, symbol)
        if other != symbol:
            return other, symbol
    return None
