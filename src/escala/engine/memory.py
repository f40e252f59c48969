"""Records that stay in memory: a training reads what is new, and nothing twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.store import News, RecordNews, Store

#: The columns, each of eight bytes a record.
_COLUMNS: Final = {"capital": np.float64, "efficiency": np.float64, "weight": np.float64, "observed_at": np.int64}
_GROWTH: Final = 1.5


@dataclass(frozen=True, eq=False)
class SymbolRecords:
    """All records of a symbol, in the order in which they were added; arrays of shape (n,).

    Attributes
    ----------
    capital, efficiency, weight : float64
        As added.
    observed_at : int64
        Microseconds since 1970.
    seen : int
        Highest number of a record or removal among what was read.
    """

    capital: Floats
    efficiency: Floats
    weight: Floats
    observed_at: npt.NDArray[np.int64]
    seen: int

    def __len__(self) -> int:
        return int(self.capital.size)


class _Held:
    """The records of a symbol in columns that have room to grow. What was given out of them never changes."""

    def __init__(self, removal: int) -> None:
        self.removal = removal
        self.last = 0
        self.size = 0
        self._columns: dict[str, npt.NDArray[Any]] = {name: np.empty(0, dtype) for name, dtype in _COLUMNS.items()}

    def append(self, news: RecordNews) -> None:
        """Take what is new in addition to what is there already."""
        start = int(np.searchsorted(news.id, self.last, side="right"))
        end = self.size + news.id.size - start
        for name, column in self._columns.items():
            if column.size < end:
                grown = np.empty(max(end, int(_GROWTH * self.size)) if self.size else end, column.dtype)
                grown[: self.size] = column[: self.size]
                self._columns[name] = column = grown  # noqa: PLW2901 - goes on with the grown one
            column[self.size : end] = getattr(news, name)[start:]
        if end > self.size:
            self.last = int(news.id[-1])
        self.size = end

    def view(self) -> SymbolRecords:
        """Give what there is now."""
        columns = {name: column[: self.size] for name, column in self._columns.items()}
        return SymbolRecords(**columns, seen=max(self.last, self.removal))


class RecordMemory:
    """The records of the symbols that were used last.

    Parameters
    ----------
    store : Store
        Where they come from.
    size : int
        How many records stay; beyond that the symbols whose use is longest ago are read anew when they are used next.
    """

    def __init__(self, store: Store, size: int) -> None:
        self._store = store
        self._size = size
        self._held: OrderedDict[str, _Held] = OrderedDict()

    @property
    def count(self) -> int:
        """How many records are in memory."""
        return sum(held.size for held in self._held.values())

    def size_of(self, symbol: str) -> int:
        """Give how many records of a symbol are in memory."""
        held = self._held.get(symbol)
        return held.size if held else 0

    async def read(self, symbols: Iterable[str], name: str) -> tuple[dict[str, SymbolRecords], News]:
        """Give all records of some symbols as the store has them; those without records get none. And what was read.

        Raises
        ------
        StoreError
            If the database fails.
        """
        known = {symbol: self._held.get(symbol) for symbol in symbols}
        numbers = {symbol: (held.last, held.removal) if held else (0, 0) for symbol, held in known.items()}
        news = await self._store.news(numbers, name)
        # From here on nothing is awaited. Another reading may have been quicker: its records are not taken twice.
        found = {symbol: self._merged(symbol, held, news.records[symbol]).view() for symbol, held in known.items()}
        self._shrink()
        return {symbol: records for symbol, records in found.items() if len(records)}, news

    def _merged(self, symbol: str, held: _Held | None, news: RecordNews) -> _Held:
        current = self._held.get(symbol)
        if news.whole or held is None:
            if current is None or current.removal != news.removal:
                current = _Held(news.removal)
        else:
            current = held  # what is new goes with it, even if it was given up meanwhile
        current.append(news)
        self._held[symbol] = current
        self._held.move_to_end(symbol)
        return current

    def _shrink(self) -> None:
        count = self.count
        while count > self._size and self._held:
            _, oldest = self._held.popitem(last=False)
            count -= oldest.size
