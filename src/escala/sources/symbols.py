"""Symbols as they are written: spaces around them mean nothing, and two writings of one are refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from escala.text.numerals import counted

_AROUND: Final = "\ufeff\u200b\u200c\u200d\u2060"  # signs of no width, which are no spaces to Python
_SEPARATORS: Final = re.compile(r"[\s\-_/:|]|(?<!\d)\.|\.(?!\d)")
_SHOWN: Final = 3


def stripped(symbol: str) -> str:
    """Drop what cannot be seen at both ends."""
    while symbol != (shorter := symbol.strip().strip(_AROUND)):
        symbol = shorter
    return symbol


def note(symbols: Sequence[str]) -> str | None:
    """Say which symbols had spaces around them; None if there were none."""
    changed = [symbol for symbol in symbols if stripped(symbol) != symbol]
    if not changed:
        return None
    shown = ", ".join(map(repr, changed[:_SHOWN])) + (", …" if len(changed) > _SHOWN else "")
    return f"{counted(len(changed), 'symbol')} stripped of spaces: {shown}"


def similar(symbols: Sequence[str]) -> tuple[str, str] | None:
    """Give two symbols that differ only in case, separators or the form of their letters; None if there are none."""
    first: dict[str, str] = {}
    for symbol in symbols:
        key = _SEPARATORS.sub("", unicodedata.normalize("NFKC", symbol).casefold())
        other = first.setdefault(key, symbol)
        if other != symbol:
            return other, symbol
    return None
