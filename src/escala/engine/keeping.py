"""Trainings on their way into the store: each symbol's at most once a second, for a busy system has many more."""

from __future__ import annotations

import asyncio
import time
import warnings
from contextlib import suppress
from typing import Final

import numpy as np

from escala import parallel
from escala.allocation.result import Allocation
from escala.curves.curveset import CurveSet
from escala.curves.prediction import Saturation
from escala.engine.models import Model
from escala.engine.state import EngineState, looked_at
from escala.errors import StoreError
from escala.store import Store

#: Seconds between two writes of a symbol's training, and how often as long as the last write took they are at least:
#: whoever adds records waits for writers.
_INTERVAL: Final = 1.0
_SHARE: Final = 20.0
#: Records whose curves are written in one transaction: whoever adds waits for one of them at most.
_TOGETHER: Final = 50_000


async def keep_allocation(store: Store, allocation: Allocation) -> None:
    """Record an allocation in the history; where the store is read-only a warning says that there is none.

    Raises
    ------
    StoreError
        If the database fails; nothing was recorded.
    """
    if store.read_only:
        message = f"the allocation is not kept in the history: {store.url} is read-only"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    else:
        await store.save_allocation(allocation)


class ModelKeeper:
    """Writes the current models of symbols that were trained.

    Parameters
    ----------
    state : EngineState
        What is known; it gets the numbers of the trainings.
    """

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._waiting: dict[str, None] = {}
        self._due: dict[str, float] = {}  # when each may be written again
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._warned = False

    def keep(self, symbols: list[str]) -> None:
        """Write the models of some symbols soon."""
        self._waiting.update(dict.fromkeys(symbols))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all())
            self._task.add_done_callback(looked_at)

    async def finish(self) -> None:
        """Write what waits to be written, now."""
        while self._task is not None and not self._task.done():
            self._hurry.set()
            await asyncio.wait([self._task])
        self._hurry.clear()

    async def _write_all(self) -> None:
        while self._waiting:
            due = {symbol: self._due.get(symbol, 0.0) for symbol in self._waiting}
            now = time.monotonic()
            pause = min(due.values()) - now
            if pause > 0.0 and not self._hurry.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), pause)
                continue
            hurry = self._hurry.is_set()
            chosen = [symbol for symbol, at in due.items() if hurry or at <= now]
            for group in self._groups(chosen):
                await self._write(group)
            again = now + max(_INTERVAL, _SHARE * (time.monotonic() - now))
            self._due.update(dict.fromkeys(chosen, again))

    def _groups(self, symbols: list[str]) -> list[list[str]]:
        """Part symbols by the size of their curves, which grows with their records."""
        groups: list[list[str]] = []
        room = 0
        for symbol in symbols:
            model = self._state.models.get(symbol)
            size = 0 if model is None else int(model.curve.n_points[0])
            if not groups or size > room:
                groups.append([])
                room = _TOGETHER
            groups[-1].append(symbol)
            room -= size
        return groups

    async def _write(self, symbols: list[str]) -> None:
        state = self._state
        for symbol in symbols:
            self._waiting.pop(symbol, None)
        models = {symbol: state.models[symbol] for symbol in symbols if symbol in state.models}
        if not models:
            return
        try:
            # Beside the event loop, which has others to serve.
            curves, limits = await parallel.beside(_joined, list(models.values()), state.config.drop)
            versions = await state.store.save_models(
                curves,
                last_record_id=[model.seen for model in models.values()],
                saturation=limits,
                trained_at=np.array([model.trained_at for model in models.values()]).astype("datetime64[us]"),
                keep=state.config.history_size,
            )
        except StoreError as error:
            self._warn_once(error)
        else:
            state.kept(list(models), versions)

    def _warn_once(self, error: StoreError) -> None:
        if not self._warned:
            self._warned = True
            message = f"models are trained and answer, but cannot be kept: {error}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)


def _joined(models: list[Model], drop: float) -> tuple[CurveSet, Saturation]:
    curves = CurveSet.concatenate([model.curve for model in models])
    return curves, curves.saturation(drop)
