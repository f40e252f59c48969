"""Training: stale models together, once for all who ask, and to the end even if who asked has given up."""

from __future__ import annotations

import asyncio
import datetime
import time
import warnings
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from escala.curves.curveset import CurveSet
from escala.curves.fitting import fit
from escala.curves.prediction import Saturation
from escala.curves.records import coded
from escala.engine.config import EngineConfig
from escala.engine.models import Models
from escala.engine.state import EngineState
from escala.errors import StoreError
from escala.store import ScalingConfig, StoredRecords, SymbolConfig


class Trainer:
    """Trains models, one call of :func:`escala.fit` at a time.

    Parameters
    ----------
    state : EngineState
        What is known; it gets the models.
    """

    def __init__(self, state: EngineState) -> None:
        self.trainings = 0
        self.models_trained = 0
        self._state = state
        self._warned = False
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ready(self, symbols: Sequence[str], *, missing: bool = False) -> None:
        """Make sure that the models of some symbols are up to date; with `missing` some may have been deleted.

        Raises
        ------
        UnknownSymbolError
            If there are no records of a symbol.
        """
        asked = time.time()
        if all(self._state.fresh(symbol, asked) for symbol in symbols):
            await self._state.refresh_soon()
        else:
            await self._state.refresh_if_due()
        if not missing:
            await self._state.known(symbols)
        if self._any_stale(symbols, asked):
            await self._shielded(self._train_stale(symbols, asked))
            if not missing:
                await self._state.known(symbols)  # once more: the records of one may have been deleted

    async def train(self, symbols: Sequence[str]) -> None:
        """Train the models of some symbols, whether they are stale or not."""
        await self._shielded(self._train_alone(symbols))
        await self._state.known(symbols)

    async def finish(self) -> None:
        """Wait for what has begun."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def _any_stale(self, symbols: Sequence[str], asked: float) -> bool:
        return any(self._state.stale(symbol, asked) for symbol in symbols)

    async def _train_stale(self, symbols: Sequence[str], asked: float) -> None:
        async with self._turn:
            if self._any_stale(symbols, asked):  # not done by another task meanwhile
                await self._train([symbol for symbol in self._state.newest if self._state.stale(symbol, asked)])

    async def _train_alone(self, symbols: Sequence[str]) -> None:
        async with self._turn:
            await self._train(symbols)

    async def _train(self, symbols: Sequence[str]) -> None:
        """Fit the records of some symbols, in one call, and keep the models."""
        if not symbols:
            return
        state = self._state
        await state.read_settings()
        known = {symbol: state.newest.get(symbol, 0) for symbol in symbols}  # before: what comes later is not seen
        records = await state.store.records(list(symbols))
        there = set(records.symbol.tolist())
        for symbol in symbols:
            if symbol not in there and known[symbol] > 0 and state.newest.get(symbol) == known[symbol]:
                state.forget(symbol)  # deleted meanwhile
        if not len(records):
            return
        # Beside the event loop, which has others to serve.
        curves, seen, limits = await asyncio.to_thread(
            fitted, records, state.settings, state.symbol_settings, state.config
        )
        seen = np.maximum(seen, [known[symbol] for symbol in curves.symbols.tolist()])
        now = np.datetime64(datetime.datetime.now(datetime.UTC).replace(tzinfo=None), "us")
        kept = True
        try:
            version = await state.store.save_models(curves, last_record_id=seen, saturation=limits, trained_at=now)
        except StoreError as error:
            kept, version = False, state.models.versions(curves.symbols.tolist())
            self._warn_once(error)
        times = np.full(len(curves), now)
        state.adopt(Models(curves, version, seen, times, limits.saturation, limits.capacity), kept=kept)
        self.trainings += 1
        self.models_trained += len(curves)

    def _warn_once(self, error: StoreError) -> None:
        if not self._warned:
            self._warned = True
            message = f"models are trained and answer, but cannot be kept: {error}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)

    async def _shielded(self, work: Coroutine[Any, Any, None]) -> None:
        """Finish what others wait for too, even if who asked for it is cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # who asked has it; or was cancelled, and nobody needs it


def fitted(
    records: StoredRecords, system: ScalingConfig, own: Mapping[str, SymbolConfig], config: EngineConfig
) -> tuple[CurveSet, npt.NDArray[np.int64], Saturation]:
    """Fit records; give the curves, the highest record that each has seen, and where they end."""
    order, codes = coded(records.symbol)
    aged: dict[str, Any] = {}
    if config.half_life is not None:
        seconds = records.observed_at.astype(np.int64) * 1e-6  # a timedelta could not hold every half-life
        aged = {"observed_at": seconds, "half_life": config.half_life}
    curves = fit(
        records.symbol,
        records.capital,
        records.efficiency,
        family=[(own[symbol].family if symbol in own else None) or system.default_family for symbol in order],
        weights=records.weight,
        threads=config.threads,
        **aged,
    )
    seen = np.zeros(len(curves), dtype=np.int64)
    np.maximum.at(seen, codes, records.id)
    return curves, seen, curves.saturation(config.drop)
