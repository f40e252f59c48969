"""What an engine knows: the newest records, the models and the settings of its store, read anew when it is time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from escala.engine.config import EngineConfig
from escala.engine.events import Regimes
from escala.engine.models import Models, no_models
from escala.engine.predictions import PredictionCache
from escala.errors import StoreError, UnknownSymbolError
from escala.store import ScalingConfig, Store, SymbolConfig


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
        self.models = no_models()
        self.newest: dict[str, int] = {}
        self.settings = ScalingConfig()
        self.symbol_settings: dict[str, SymbolConfig] = {}
        self.predictions = PredictionCache(config.cache_size)
        self.regimes = Regimes()
        self.refresh_at = -math.inf
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
        """Take note of a record; what was predicted without it is forgotten."""
        if number > self.newest.get(symbol, 0):
            self.newest[symbol] = number
            self.predictions.forget(symbol)

    def forget(self, symbol: str) -> None:
        """Know a symbol no more: all its records were deleted."""
        self.newest.pop(symbol, None)
        self.predictions.forget_curve(symbol)
        if symbol in self.models.place:
            self.models = self.models.without(symbol)

    def move(self, symbol: str, capital: float) -> None:
        """Take note of a symbol's capital."""
        self.regimes.move(symbol, capital, self.models.limits(symbol))

    def adopt(self, other: Models, *, kept: bool = True) -> None:
        """Use models from now on, as far as they are newer; all of them if they were not kept and have no number."""
        chosen = self.models.newer_in(other) if kept else list(range(len(other.place)))
        if not chosen:
            return
        self.models = self.models.replaced(other, chosen)
        for symbol in other.curves.symbols[chosen].tolist():
            self.predictions.forget_curve(symbol)
            self.newest.setdefault(symbol, 0)
            self.regimes.look(symbol, self.models.limits(symbol))

    # --- how good it still is -------------------------------------------------------------------------------------

    def stale(self, symbol: str, at: float | None = None) -> bool:
        """Tell whether a symbol's model must be trained before it is used."""
        place = self.models.place.get(symbol)
        if place is None or self.outrun(symbol):
            return True
        # A model that was saved without records has nothing to be trained from.
        trained_at = float(self.models.trained_at[place].astype(np.int64)) * 1e-6
        return self.newest[symbol] > 0 and self.too_old(trained_at, at)

    def fresh(self, symbol: str, at: float) -> bool:
        """Tell whether a symbol's model is known and may be used."""
        return isinstance(symbol, str) and symbol in self.newest and not self.stale(symbol, at)

    def outrun(self, symbol: str) -> bool:
        """Tell whether there are records that a symbol's model has not seen."""
        return bool(self.newest[symbol] > self.models.seen[self.models.place[symbol]])

    def _seen_by_model(self, symbol: str) -> int:
        place = self.models.place.get(symbol)
        return -1 if place is None else int(self.models.seen[place])

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
            self._beside_until = time.monotonic() + self.config.refresh_timeout
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
        await self.read_settings()
        await self._read_models()
        removed = await self.store.removals()  # first: what is deleted in between is seen the next time
        newest = await self.store.symbols()
        for symbol, number in removed.items():
            # One without records may have got a model from elsewhere since, or a record from here meanwhile.
            seen = max(self.newest.get(symbol, number), self._seen_by_model(symbol))
            if symbol not in newest and seen < number:
                self.forget(symbol)
        for symbol, number in newest.items():
            self.mark(symbol, number)
        self.refresh_at = -math.inf if self._closed else due

    async def _read_models(self) -> None:
        latest = await self.store.latest_version()
        if latest > self._seen_version:
            stored = await self.store.models(newer_than=self._seen_version)
            self.adopt(await asyncio.to_thread(Models.stored, stored, self.config.drop))
            self._seen_version = max(self._seen_version, latest)  # not before they are ours: this may be cancelled
