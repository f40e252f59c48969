"""Order books with one row a snapshot and columns for each level, such as bids[0].price or bid_price_1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats

_NAME: Final = re.compile(
    r"(?:best_?)?(?P<side>bid|ask)s?[\[_.\s]*(?P<first>\d*)[\]_.\s]*"
    r"(?P<what>price|px|p|amount|size|sz|qty|quantity|volume|vol|q|v)[\[_.\s]*(?P<last>\d*)\]?",
    re.IGNORECASE,
)
_PRICES: Final = ("price", "px", "p")
_LOBSTER_FILE: Final = re.compile(r".*_orderbook_\d+\.csv(?:\.gz)?", re.IGNORECASE)
_LOBSTER_UNIT: Final = 1e4
#: Price that LOBSTER writes where a side has no more levels.
_LOBSTER_NOTHING: Final = 9_999_999_999.0


class Level(NamedTuple):
    """Two columns of a level.

    Parameters
    ----------
    side : str
        "bid" or "ask".
    price, quantity : str
        What the columns are called.
    """

    side: str
    price: str
    quantity: str


@dataclass(frozen=True)
class Levels:
    """The levels of a wide table.

    Parameters
    ----------
    columns : tuple of Level
        Their columns.
    unit : float
        How many of the unit of prices make one.
    nothing : float or None
        The price, up to its sign, that stands where there is no level.
    """

    columns: tuple[Level, ...]
    unit: float = 1.0
    nothing: float | None = None

    @property
    def names(self) -> list[str]:
        """What the columns are called."""
        return [name for level in self.columns for name in (level.price, level.quantity)]


def is_level(name: str) -> bool:
    """Tell the name of a column of a level."""
    return _NAME.fullmatch(name.strip()) is not None


def levels(names: Sequence[str]) -> Levels | str | None:
    """Find the levels of a table; None if it has none on both sides, or text that says what is twofold."""
    found: dict[tuple[str, int], dict[str, str]] = {}
    for name in names:
        parts = _NAME.fullmatch(name.strip())
        if parts is None or (parts["first"] and parts["last"]):
            continue
        what = "price" if parts["what"].lower() in _PRICES else "quantity"
        key = (parts["side"].lower(), int(parts["first"] or parts["last"] or 0))
        other = found.setdefault(key, {}).setdefault(what, name)
        if other != name:
            return f"the {what} of a level may be {other!r} and {name!r}"
    whole = [
        Level(side, parts["price"], parts["quantity"])
        for (side, _), parts in sorted(found.items(), key=lambda item: (item[0][0] != "bid", item[0][1]))
        if len(parts) == 2
    ]
    return Levels(tuple(whole)) if len({level.side for level in whole}) == 2 else None


def is_lobster(name: str, row: Sequence[str]) -> bool:
    """Tell a file of LOBSTER's order books by its name and its first row."""
    return bool(_LOBSTER_FILE.fullmatch(name)) and len(row) % 4 == 0 and all(map(_is_integer, row))


def _is_integer(text: str) -> bool:
    return text.strip().lstrip("-").isdigit()


def lobster(width: int) -> tuple[list[str], Levels]:
    """Give the columns of LOBSTER's order books, and their levels."""
    names = [
        f"{side}_{what}_{level}"
        for level in range(1, width // 4 + 1)
        for side in ("ask", "bid")
        for what in ("price", "size")
    ]
    found = levels(names)
    assert isinstance(found, Levels)
    return names, Levels(found.columns, _LOBSTER_UNIT, _LOBSTER_NOTHING)


@dataclass(frozen=True, eq=False)
class Long:
    """A wide table with one row a level.

    Parameters
    ----------
    rows, levels : (n,) int64
        The row of the wide table, and the place of the level's columns, of each.
    side : (n,) object
        "bid" or "ask".
    price, quantity : (n,) float64
        Of each level that is there.
    """

    rows: npt.NDArray[np.int64]
    levels: npt.NDArray[np.int64]
    side: npt.NDArray[Any]
    price: Floats
    quantity: Floats


def long(found: Levels, columns: dict[str, Floats]) -> Long:
    """Bring levels below each other; leaves out those that are not there, of which price and quantity are nothing."""
    price = np.stack([columns[level.price] for level in found.columns], axis=1)
    quantity = np.stack([columns[level.quantity] for level in found.columns], axis=1)
    absent = (np.isnan(price) & np.isnan(quantity)) | ((price == 0.0) & (quantity == 0.0))
    if found.nothing is not None:
        absent |= np.abs(price) == found.nothing
    rows, places = np.nonzero(~absent)
    sides = np.array([level.side for level in found.columns], dtype=object)
    there = (rows, places)
    return Long(rows, places, sides[places], price[there] / found.unit, quantity[there])
