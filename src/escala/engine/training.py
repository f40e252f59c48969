"""Training: what is asked for first, the rest beside; to the end even if who asked has given up."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from escala import parallel
from escala.curves.fitting import fit, fit_seen
from escala.engine.config import EngineConfig
from escala.engine.keeping import ModelKeeper
from escala.engine.memory import RecordMemory, SymbolRecords
from escala.engine.models import Model, parted
from escala.engine.state import EngineState
from escala.errors import ConfigError
from escala.store import News

_Found = TypeVar("_Found")

#: Seconds between two trainings beside, at least.
_PAUSE: Final = 1.0
#: Such trainings in the time that records may be missed for.
_ROUNDS: Final = 3
#: Records that are fitted together beside: the first models shall not wait for the last.
_TOGETHER: Final = 200_000


class Trainer:
    """Trains models: those that are asked for together in one call of :func:`escala.fit`, the others beside.

    Parameters
    ----------
    state : EngineState
        What is known; it gets the models.
    """

    def __init__(self, state: EngineState) -> None:
        self.trainings = 0
        self.models_trained = 0
        self.memory = RecordMemory(state.store, state.config.record_cache)
        self._state = state
        self._keeper = ModelKeeper(state)
        self._turns = itertools.count(1)
        self._asked: dict[str, None] = {}  # what the next training is of
        self._next: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self._beside: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def ready(self, symbols: Sequence[str], *, missing: bool = False) -> None:
        """Make sure that the models of some symbols are up to date; with `missing` some may have been deleted.

        Raises
        ------
        UnknownSymbolError
            If there are no records of a symbol.
        """
        state, asked = self._state, time.time()
        answered = [state.answers(symbol, asked) for symbol in symbols]
        if all(answered):
            await state.refresh_soon()
        else:
            await state.refresh_if_due()
        if not missing:
            await state.known(symbols)
        stale = [symbol for symbol in symbols if self._must_train(symbol, asked)]
        if stale:
            await self.to_the_end(self._train_asked(stale, asked))
            if not missing:
                await state.known(symbols)  # once more: the records of one may have been deleted
        if state.config.max_staleness:
            state.follow(symbols)
        if stale or (state.config.max_staleness and any(map(state.behind, symbols))):
            self.train_beside()

    async def train(self, symbols: Sequence[str]) -> None:
        """Train the models of some symbols, whether they are stale or not, and write them."""
        await self.to_the_end(self._train(symbols))
        await self._keeper.finish()
        await self._state.known(symbols)

    async def written(self) -> None:
        """Wait until the models that were trained are in the store, if it takes them."""
        await self._keeper.finish()

    def train_beside(self) -> None:
        """Train models that are stale and that nobody waits for, if that is not done already."""
        if (self._beside is None or self._beside.done()) and not self._closing.is_set() and self._waiting():
            self._beside = self._begun(self._train_others())

    async def finish(self) -> None:
        """Wait for what has begun, and write the models that are trained."""
        self._closing.set()
        while self._tasks:
            await asyncio.wait(list(self._tasks))
        await self._keeper.finish()

    # --- what is asked for ----------------------------------------------------------------------------------------

    def _must_train(self, symbol: str, asked: float) -> bool:
        return symbol in self._state.newest and not self._state.answers(symbol, asked)

    async def _train_asked(self, symbols: Sequence[str], asked: float) -> None:
        """Train together with all who ask now; a training that has begun before does not know what they know."""
        begun = {self._running[symbol] for symbol in symbols if symbol in self._running}
        if begun:
            await asyncio.wait(begun)
        left = [symbol for symbol in symbols if self._must_train(symbol, asked)]
        if left:
            self._asked.update(dict.fromkeys(left))
            if self._next is None:
                self._next = self._begun(self._train_next())
            await asyncio.shield(self._next)

    async def _train_next(self) -> None:
        task, symbols = self._next, list(self._asked)
        self._next, self._asked = None, {}
        assert task is not None
        self._running.update(dict.fromkeys(symbols, task))
        try:
            await self._train(symbols)
        finally:
            for symbol in symbols:
                if self._running.get(symbol) is task:
                    del self._running[symbol]

    # --- what nobody waits for ------------------------------------------------------------------------------------

    def _waiting(self) -> list[str]:
        """Give the symbols to be trained beside: all stale ones, or with a staleness those that were asked for lately.

        Those come first whose records have waited longest.
        """
        state, at = self._state, time.time()
        symbols = state.followed() if state.config.max_staleness else list(state.newest)
        return sorted((symbol for symbol in symbols if self._is_waiting(symbol, at)), key=state.unseen_since)

    def _is_waiting(self, symbol: str, at: float) -> bool:
        return symbol in self._state.newest and symbol not in self._running and self._state.stale(symbol, at)

    async def _train_others(self) -> None:
        """Train what is stale and nobody waits for, and go on as long as answers may rely on it."""
        staleness = self._state.config.max_staleness
        pause = min(_PAUSE, staleness / _ROUNDS) if staleness else _PAUSE
        while not self._closing.is_set():
            begun = time.monotonic()
            for group in self._groups(self._waiting()):
                if self._closing.is_set():
                    return
                at = time.time()
                left = [symbol for symbol in group if self._is_waiting(symbol, at)]  # nobody asked for it meanwhile
                try:
                    await self._train(left, beside=True)
                except BaseException:
                    self._state.unfollow(group)  # whoever asks next gets the error
                    raise
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), max(0.0, begun + pause - time.monotonic()))
            if not (staleness and self._waiting()):
                return

    def _groups(self, symbols: Sequence[str]) -> list[list[str]]:
        groups: list[list[str]] = []
        room = 0
        for symbol in symbols:
            size = self.memory.size_of(symbol)
            if not groups or size > room:
                groups.append([])
                room = _TOGETHER
            groups[-1].append(symbol)
            room -= size
        return groups

    # --- the training itself --------------------------------------------------------------------------------------

    async def _train(self, symbols: Sequence[str], *, beside: bool = False) -> None:
        """Fit the records of some symbols, in one call."""
        if not symbols:
            return
        state, turn = self._state, next(self._turns)
        known = {symbol: state.newest.get(symbol, 0) for symbol in symbols}  # before: what comes later is not seen
        begun, at = time.time(), time.monotonic()
        records, news = await self.memory.read(symbols, state.config.name)
        for symbol in symbols:
            if symbol not in records and known[symbol] > 0 and state.newest.get(symbol) == known[symbol]:
                state.forget(symbol)  # deleted meanwhile
        if not records:
            return
        # Beside the event loop, which has others to serve.
        models = await parallel.beside(
            fitted,
            records,
            news,
            state.config,
            seen=[max(records[symbol].seen, known[symbol]) for symbol in records],
            version=list(map(state.models.version_of, records)),
            at=int(begun * 1e6),
            beside=beside,
        )
        state.adopt_own(models, turn, at)
        self.trainings += 1
        self.models_trained += len(models)
        self._keeper.keep(list(models))

    async def to_the_end(self, work: Coroutine[Any, Any, _Found]) -> _Found:
        """Finish what others may need too, even if who asked for it is cancelled."""
        return await asyncio.shield(self._begun(work))

    def _begun(self, work: Coroutine[Any, Any, _Found]) -> asyncio.Task[_Found]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # who asked has it; or was cancelled, and nobody needs it


def fitted(
    records: Mapping[str, SymbolRecords],
    settings: News,
    config: EngineConfig,
    *,
    seen: Sequence[int],
    version: Sequence[int],
    at: int,
    beside: bool = False,
) -> dict[str, Model]:
    """Fit records. Beside the work of others one processor is left to them."""
    threads = config.threads
    if beside:
        threads = max(1, parallel.checked_threads(threads, ConfigError) - 1)
    own = {symbol: setting.family for symbol, setting in settings.symbol_config.items()}
    families = [own.get(symbol) or settings.config.default_family for symbol in records]
    weights = [one.weight for one in records.values()]
    capital, efficiency = ([getattr(one, name) for one in records.values()] for name in ("capital", "efficiency"))
    seconds = [one.observed_at * 1e-6 for one in records.values()]  # a timedelta could not hold every half-life
    if config.half_life is None:
        curves = fit_seen(
            list(records), capital, efficiency, seconds, family=families, weights=weights, threads=threads
        )  # fmt: skip
    else:
        curves = fit(
            list(records), capital, efficiency, family=families, weights=weights, threads=threads,
            observed_at=seconds, half_life=config.half_life,
        )  # fmt: skip
    models = parted(curves, curves.saturation(config.drop), version=version, seen=seen, trained_at=[at] * len(curves))
    for model in models.values():  # what predictions of this level have in common is made here
        model.curve.predict(1.0, level=config.level, tolerance=config.tolerance)
    return models
