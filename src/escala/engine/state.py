"""What an engine knows: the newest records, the models and the settings of its store, read anew when it is time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import numpy as np
import numpy.typing as npt

from escala import parallel
from escala.engine.config import EngineConfig
from escala.engine.events import Regimes
from escala.engine.models import Model, Models, stored
from escala.engine.predictions import PredictionCache
from escala.errors import StoreError, UnknownSymbolError
from escala.store import ScalingConfig, Store, SymbolConfig

#: Seconds after a question within which its symbol is trained beside, if answers may miss young records.
_FOLLOWED: Final = 60.0


class EngineState:
    """What is known, and since when; nothing is awaited between two of its changes that belong together.

    Parameters
    ----------
    store : Store
        Where it comes from.
    config : EngineConfig
        How often it is read anew, and how much is remembered.
    """

    def __init__(self, store: Store, config: EngineConfig) -> None:
        self.store = store
        self.config = config
        self.models = Models()
        self.newest: dict[str, int] = {}
        self.settings = ScalingConfig()
        self.symbol_settings: dict[str, SymbolConfig] = {}
        self.predictions = PredictionCache(config.cache_size)
        self.regimes = Regimes()
        self.refresh_at = -math.inf
        self._unseen: dict[str, float] = {}  # since when there are records that a symbol's model has not seen
        self._asked: dict[str, float] = {}  # when a symbol was asked for last
        self._turns: dict[str, int] = {}  # by which of our own trainings a symbol's model is
        self._seen_version = 0  # of the trainings that were read; another process may have trained before our own
        self._refreshing = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._closed = False
        self._beside: asyncio.Task[None] | None = None  # a refresh that nobody may wait for
        self._beside_until = -math.inf

    def close(self) -> None:
        """Answer nothing from memory any more, and end all subscriptions."""
        self._closed = True
        self.refresh_at = -math.inf
        self.regimes.end()

    # --- what has become known ------------------------------------------------------------------------------------

    def mark(self, symbol: str, number: int) -> None:
        """Take note of a record; what was predicted without it is forgotten, unless it may be younger."""
        if number > self.newest.get(symbol, 0):
            self.newest[symbol] = number
            if self.behind(symbol):
                self._unseen.setdefault(symbol, time.monotonic())
            if not self.config.max_staleness:
                self.predictions.forget(symbol)

    def forget(self, symbol: str) -> None:
        """Know a symbol no more: all its records were deleted."""
        for known in (self.newest, self._unseen, self._asked, self._turns):
            known.pop(symbol, None)
        self.predictions.forget(symbol)
        self.models.remove(symbol)

    def move(self, symbol: str, capital: float) -> None:
        """Take note of a symbol's capital."""
        self.regimes.move(symbol, capital, self.models.limits(symbol))

    def adopt(self, others: Mapping[str, Model]) -> None:
        """Use models that were read from now on, as far as they are newer."""
        self._use(self.models.newer_in(others), time.monotonic())

    def adopt_own(self, others: Mapping[str, Model], turn: int, at: float) -> None:
        """Use models that were trained here from now on, but for those that came too late or are known no more.

        Parameters
        ----------
        others : mapping of Model
            Of one training.
        turn : int
            Grows with every training, at its beginning.
        at : float
            When that was, by the monotonic clock.
        """
        chosen = {
            symbol: model
            for symbol, model in others.items()
            if symbol in self.newest and turn > self._turns.get(symbol, 0)
        }
        self._turns.update(dict.fromkeys(chosen, turn))
        self._use(chosen, at)

    def _use(self, others: Mapping[str, Model], at: float) -> None:
        self.models.use(others)
        for symbol in others:
            self.predictions.forget(symbol)
            self.newest.setdefault(symbol, 0)
            self._unseen.pop(symbol, None)
            if self.outrun(symbol):  # what it has not seen came after its records were read
                self._unseen[symbol] = at
            self.regimes.look(symbol, self.models.limits(symbol))

    def kept(self, symbols: Sequence[str], versions: npt.NDArray[np.int64]) -> None:
        """Take note of the numbers in a row that trainings of ours were kept under."""
        self.models.number(symbols, versions)
        if int(versions[0]) == self._seen_version + 1:  # nobody else has trained meanwhile
            self._seen_version = int(versions[-1])

    # --- how good it still is -------------------------------------------------------------------------------------

    def stale(self, symbol: str, at: float | None = None) -> bool:
        """Tell whether a symbol's model must be trained before it is used."""
        return symbol not in self.models or self.outrun(symbol) or self._expired(symbol, at)

    def _expired(self, symbol: str, at: float | None) -> bool:
        # A model that was saved without records has nothing to be trained from.
        return self.newest[symbol] > 0 and self.too_old(self.models[symbol].trained_at * 1e-6, at)

    def answers(self, symbol: str, at: float) -> bool:
        """Tell whether a question may be answered without a training: nothing is unseen for longer than is allowed.

        A symbol that was asked for lately is trained all the time, as fast as the machine can. Whoever asks for it
        waits for nothing; whether that is fast enough, the answer's `as_of` says.
        """
        if not isinstance(symbol, str) or symbol not in self.models or symbol not in self.newest:
            return False
        if self.outrun(symbol):
            now, limit = time.monotonic(), self.config.max_staleness
            lately = now - self._asked.get(symbol, -math.inf) <= _FOLLOWED
            if not limit or not (lately or now - self._unseen.get(symbol, -math.inf) <= limit):
                return False
        return not self._expired(symbol, at)

    def follow(self, symbols: Iterable[str]) -> None:
        """Take note that symbols were asked for, and answered."""
        self._asked.update(dict.fromkeys(symbols, time.monotonic()))

    def followed(self) -> list[str]:
        """Give the symbols that were asked for lately."""
        now = time.monotonic()
        return [symbol for symbol, asked in self._asked.items() if now - asked <= _FOLLOWED]

    def unfollow(self, symbols: Iterable[str]) -> None:
        """Let whoever asks next for a symbol wait for its training: those beside have failed."""
        for symbol in symbols:
            self._asked.pop(symbol, None)

    def unseen_since(self, symbol: str) -> float:
        """Give since when a symbol has records that its model has not seen, by the monotonic clock."""
        return self._unseen.get(symbol, math.inf)

    def behind(self, symbol: str) -> bool:
        """Tell whether a symbol has a model that records have outrun; one that is not known has none."""
        return symbol in self.models and self.outrun(symbol)

    def outrun(self, symbol: str) -> bool:
        """Tell whether there are records that a symbol's model has not seen."""
        return self.newest[symbol] > self.models[symbol].seen

    def _seen_by_model(self, symbol: str) -> int:
        return self.models[symbol].seen if symbol in self.models else -1

    def too_old(self, trained_at: float, at: float | None = None) -> bool:
        """Tell whether a training was too long ago, by default now."""
        return (time.time() if at is None else at) - trained_at > self.settings.update_interval

    async def known(self, symbols: Sequence[str]) -> list[str]:
        """Give symbols back that are known.

        Raises
        ------
        UnknownSymbolError
            Names the first of which there are no records.
        """
        if not all(isinstance(symbol, str) and symbol in self.newest for symbol in symbols):
            await self.refresh()  # another process may know them by now
            for symbol in symbols:
                if not isinstance(symbol, str) or symbol not in self.newest:
                    raise UnknownSymbolError.among(symbol, self.newest)
        return list(symbols)

    # --- reading anew ---------------------------------------------------------------------------------------------

    async def refresh_if_due(self) -> None:
        """See what other processes have done, if the interval has passed."""
        if time.monotonic() >= self.refresh_at:
            async with self._refreshing:
                if time.monotonic() >= self.refresh_at:  # not done by another task meanwhile
                    await self._read_all()

    async def refresh_soon(self) -> None:
        """See what other processes have done, if the interval has passed; what takes longer goes on beside.

        Only for answers that are known without it, and so hold as long as the database does not answer.
        """
        if time.monotonic() < self.refresh_at:
            return
        if self._closed:
            await self.refresh()  # which says so
        if self._beside is None or self._beside.done():
            self._beside = asyncio.create_task(self.refresh_if_due())
            self._beside.add_done_callback(looked_at)
            self._beside_until = time.monotonic() + self.config.refresh_timeout
        if self.config.max_staleness:
            return
        await asyncio.wait([self._beside], timeout=max(0.0, self._beside_until - time.monotonic()))
        with suppress(StoreError):
            if self._beside.done():
                self._beside.result()

    async def refresh(self) -> None:
        """See what other processes have added, trained and set."""
        async with self._refreshing:
            await self._read_all()

    async def read_settings(self) -> None:
        """Read the settings."""
        async with self._reading:  # else an older answer might overtake a newer one
            system, own = await self.store.config(self.config.name), await self.store.symbol_config()
            self.settings, self.symbol_settings = system, own

    async def _read_all(self) -> None:
        due = time.monotonic() + self.config.refresh_interval
        async with self._reading:
            there = await self.store.overview(self.config.name)
            self.settings, self.symbol_settings = there.config, there.symbol_config
        if there.version > self._seen_version:
            found = await self.store.models(newer_than=self._seen_version)
            self.adopt(await parallel.beside(stored, found, self.config.drop))
            # Not before they are ours: this may be cancelled.
            self._seen_version = max(self._seen_version, there.version)
        for symbol, number in there.removals.items():
            # One without records may have got a model from elsewhere since, or a record from here meanwhile.
            seen = max(self.newest.get(symbol, number), self._seen_by_model(symbol))
            if symbol not in there.symbols and seen < number:
                self.forget(symbol)
        for symbol, number in there.symbols.items():
            self.mark(symbol, number)
        self.refresh_at = -math.inf if self._closed else due


def looked_at(task: asyncio.Task[None]) -> None:
    """Look at what became of a task, so that nobody complains: whoever waited for it knows."""
    if not task.cancelled():
        task.exception()
