"""What an engine tells as it happens."""

from __future__ import annotations

import asyncio
import datetime
import math
import weakref
from dataclasses import dataclass
from enum import Enum
from typing import Self


class Regime(Enum):
    """Where the capital of a symbol lies on its curve."""

    #: Below saturation: more capital works nearly as well.
    WORKING = "working"
    #: At or above saturation: efficiency has clearly deteriorated.
    SATURATED = "saturated"
    #: At or above capacity: more capital returns less in all.
    EXHAUSTED = "exhausted"
    #: There is no curve.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class RegimeChange:
    """A symbol's capital crossed its saturation or capacity, because one or the other moved.

    Attributes
    ----------
    symbol : str
    at : datetime
        When the engine noticed, UTC.
    capital : float
        Its capital: that of its last record, or what :meth:`PredictiveScalingEngine.rebalance` was told.
    before, after : Regime
    saturation, capacity : float
        By the model of now.
    """

    symbol: str
    at: datetime.datetime
    capital: float
    before: Regime
    after: Regime
    saturation: float
    capacity: float


class EventStream:
    """Changes of regime as they come, for ``async for`` or ``anext``; a wait that is given up loses none.

    What was not read yet waits; a stream that is dropped is forgotten.
    """

    def __init__(self, queue: asyncio.Queue[RegimeChange | None]) -> None:
        self._queue = queue
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RegimeChange:
        event = None if self._ended else await self._queue.get()
        if event is None:
            self._ended = True
            raise StopAsyncIteration
        return event

    def waiting(self) -> list[RegimeChange]:
        """Give the changes that have come and were not read yet, without waiting."""
        come: list[RegimeChange] = []
        while not self._ended and not self._queue.empty():
            event = self._queue.get_nowait()
            if event is None:
                self._ended = True
            else:
                come.append(event)
        return come

    async def aclose(self) -> None:
        """Take no more changes."""
        self._ended = True
        self._queue = asyncio.Queue()


def regime_of(capital: float, saturation: float, capacity: float) -> Regime:
    """Tell where a capital lies on its curve."""
    if math.isnan(saturation):
        return Regime.UNKNOWN
    if capital >= capacity:
        return Regime.EXHAUSTED
    return Regime.SATURATED if capital >= saturation else Regime.WORKING


class Regimes:
    """Where the capital of every symbol lies; whoever has subscribed is told when that changes."""

    def __init__(self) -> None:
        self._capital: dict[str, float] = {}
        self._regime: dict[str, Regime] = {}
        # Weakly: whoever drops the subscription unread shall not be remembered for ever.
        self.subscribers: weakref.WeakSet[asyncio.Queue[RegimeChange | None]] = weakref.WeakSet()
        self._ended = False

    def subscribe(self) -> EventStream:
        """Give the changes from now on."""
        queue: asyncio.Queue[RegimeChange | None] = asyncio.Queue()
        if self._ended:
            queue.put_nowait(None)
        self.subscribers.add(queue)
        return EventStream(queue)

    def end(self) -> None:
        """End all subscriptions."""
        self._ended = True
        self._tell(None)

    def move(self, symbol: str, capital: float, limits: tuple[float, float] | None) -> None:
        """Take note of a symbol's capital."""
        self._capital[symbol] = capital
        self.look(symbol, limits)

    def look(self, symbol: str, limits: tuple[float, float] | None) -> None:
        """See which regime a symbol is in by its saturation and capacity, and tell if it is another one."""
        capital = self._capital.get(symbol)
        if limits is None or capital is None:
            return
        after = regime_of(capital, *limits)
        before = self._regime.get(symbol)
        self._regime[symbol] = after
        if before is not None and before is not after:
            self._tell(RegimeChange(symbol, datetime.datetime.now(datetime.UTC), capital, before, after, *limits))

    def _tell(self, event: RegimeChange | None) -> None:
        for queue in list(self.subscribers):
            queue.put_nowait(event)
