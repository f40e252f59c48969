"""The engine without async: for notebooks, scripts and programs that have no event loop, or one that is busy."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from escala.allocation.result import Allocation
from escala.curves.curveset import CurveSet
from escala.curves.prediction import Prediction
from escala.engine.config import EngineConfig
from escala.engine.engine import PredictiveScalingEngine
from escala.engine.events import EventStream, RegimeChange
from escala.engine.results import EfficiencyPrediction, ModelInfo, RebalancePlan
from escala.errors import StoreError
from escala.keyed import PerSymbol
from escala.store import SaturationPoint, Store

_Found = TypeVar("_Found")

_LOOK_UP: Final = 0.5  # seconds between two looks whether the program ends


def open_engine(
    url: str | os.PathLike[str] = "escala.db", config: EngineConfig | None = None, *, create: bool = True
) -> SynchronousEngine:
    """Open an engine whose methods are plain functions: ``with escala.open_engine("escala.db") as engine:``.

    Parameters
    ----------
    url, create
        As in :meth:`escala.Store.open`.
    config : EngineConfig, optional
        How the engine works.

    Returns
    -------
    SynchronousEngine
        Works in a notebook too, where an event loop runs already.

    Raises
    ------
    ConfigError, StoreError, MissingExtraError
        As in :meth:`PredictiveScalingEngine.open`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, open_engine(f"{folder}/escala.db") as engine:
    ...     batch = {"symbol": ["A"] * 3, "capital": [1e4, 5e4, 1e5], "efficiency": [1.0, 0.9, 0.8]}
    ...     engine.add_efficiency_records(batch)
    ...     round(engine.predict_efficiency("A", 2e4).efficiency, 2)
    3
    0.96
    """
    loop = _LoopThread()
    opened: list[PredictiveScalingEngine] = []

    async def opening() -> None:
        opened.append(await PredictiveScalingEngine.open(url, config, create=create))

    try:
        loop.run(opening())
    except BaseException:
        for engine in opened:  # Ctrl-C came just after
            loop.run(engine.close())
        loop.stop()
        raise
    return SynchronousEngine(opened[0], loop)


class SynchronousEngine:
    """A :class:`PredictiveScalingEngine` whose methods return when their work is done; made by :func:`open_engine`.

    Its event loop runs in a thread of its own, so it can be used where another loop runs, and from several threads.
    Ctrl-C gives up what is waited for and returns when that has ended: a record is kept whole or not at all, a training
    that began goes on. A program that ends without :meth:`close` closes it.
    """

    def __init__(self, engine: PredictiveScalingEngine, loop: _LoopThread) -> None:
        self._engine = engine
        self._loop = loop
        loop.at_exit = engine.close

    # --- opening and closing --------------------------------------------------------------------------------------

    def close(self) -> None:
        """End all subscriptions, write what waits to be written, and close the store; a second time does nothing."""
        if self._loop.is_running:
            try:
                self._loop.run(self._engine.close())
            finally:
                self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._engine).replace("PredictiveScalingEngine", "SynchronousEngine")

    @property
    def store(self) -> Store:
        """The store, whose methods are asynchronous: ``engine.run(engine.store.records("A"))``."""
        return self._engine.store

    @property
    def config(self) -> EngineConfig:
        """How the engine works."""
        return self._engine.config

    def run(self, work: Coroutine[Any, Any, _Found]) -> _Found:
        """Run what is asynchronous on the engine's event loop, and wait for it.

        Parameters
        ----------
        work : coroutine
            Such as a call of a method of `store`.

        Raises
        ------
        StoreError
            If the engine is closed; or whatever the work raises.
        """
        return self._loop.run(work)

    # --- records --------------------------------------------------------------------------------------------------

    def add_efficiency_record(
        self,
        symbol: str,
        capital: float,
        efficiency: float,
        metrics: Mapping[str, float] | None = None,
        observed_at: Any = None,
        source: str = "system",
        *,
        weight: float = 1.0,
        identity: str | None = None,
    ) -> int:
        """Add a record: :meth:`PredictiveScalingEngine.add_efficiency_record`."""
        work = self._engine.add_efficiency_record(
            symbol, capital, efficiency, metrics, observed_at, source, weight=weight, identity=identity
        )
        return self.run(work)

    def add_efficiency_records(self, batch: Any, *, identity: str | None = None) -> int:
        """Add many records: :meth:`PredictiveScalingEngine.add_efficiency_records`."""
        return self.run(self._engine.add_efficiency_records(batch, identity=identity))

    def delete_records(
        self,
        symbols: str | Sequence[str] | None = None,
        *,
        imports: int | Sequence[int] | None = None,
        since: Any = None,
        before: Any = None,
        dry_run: bool = False,
    ) -> dict[str, int]:
        """Delete records: :meth:`PredictiveScalingEngine.delete_records`."""
        return self.run(
            self._engine.delete_records(symbols, imports=imports, since=since, before=before, dry_run=dry_run)
        )

    # --- curves and predictions -----------------------------------------------------------------------------------

    def train(self, symbols: str | Sequence[str] | None = None) -> CurveSet:
        """Train models: :meth:`PredictiveScalingEngine.train`."""
        return self.run(self._engine.train(symbols))

    def predict_efficiency(self, symbol: str, capital: float) -> EfficiencyPrediction:
        """Predict a new observation: :meth:`PredictiveScalingEngine.predict_efficiency`."""
        return self.run(self._engine.predict_efficiency(symbol, capital))

    def curves(self, symbols: str | Sequence[str] | None = None) -> CurveSet:
        """Give curves, up to date: :meth:`PredictiveScalingEngine.curves`."""
        return self.run(self._engine.curves(symbols))

    def predict_many(self, symbols: str | Sequence[str], capital: PerSymbol) -> Prediction:
        """Predict many new observations: :meth:`PredictiveScalingEngine.predict_many`."""
        return self.run(self._engine.predict_many(symbols, capital))

    # --- allocations ----------------------------------------------------------------------------------------------

    def optimize_allocation(
        self, symbols: str | Sequence[str], total_capital: float | None = None, **limits: Any
    ) -> Allocation:
        """Allocate a total and record it: :meth:`PredictiveScalingEngine.optimize_allocation`."""
        return self.run(self._engine.optimize_allocation(symbols, total_capital, **limits))

    def rebalance(
        self,
        current: Mapping[str, float],
        total_capital: float | None = None,
        *,
        trade_cost: PerSymbol | tuple[PerSymbol, PerSymbol] = 0.0,
        **limits: Any,
    ) -> RebalancePlan:
        """Compare what is held with the optimum: :meth:`PredictiveScalingEngine.rebalance`."""
        return self.run(self._engine.rebalance(current, total_capital, trade_cost=trade_cost, **limits))

    # --- what is known --------------------------------------------------------------------------------------------

    def saturation_points(self) -> dict[str, SaturationPoint]:
        """Give where each symbol saturates: :meth:`PredictiveScalingEngine.saturation_points`."""
        return self.run(self._engine.saturation_points())

    def model_info(self, symbol: str) -> ModelInfo:
        """Tell what is known of a model: :meth:`PredictiveScalingEngine.model_info`."""
        return self.run(self._engine.model_info(symbol))

    def stats(self) -> dict[str, Any]:
        """Count what there is: :meth:`PredictiveScalingEngine.stats`."""
        return self.run(self._engine.stats())

    # --- events ---------------------------------------------------------------------------------------------------

    def events(self) -> SynchronousEvents:
        """Give the changes of regime from now on: :meth:`PredictiveScalingEngine.events`."""

        async def subscribe() -> EventStream:
            return self._engine.events()

        return SynchronousEvents(self.run(subscribe()), self._loop)


class SynchronousEvents:
    """Changes of regime as they come: a ``for`` loop waits for each of them and ends when the engine closes.

    ``events.waiting()`` gives those that have come so far, without waiting: for a notebook.
    """

    def __init__(self, stream: EventStream, loop: _LoopThread) -> None:
        self._stream = stream
        self._loop = loop
        self._come: list[RegimeChange] = []  # read, and not given to anybody yet

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RegimeChange:
        if not self._come and self._loop.is_running:
            self._loop.run(self._read())
        if not self._come:
            raise StopIteration
        return self._come.pop(0)

    def waiting(self) -> list[RegimeChange]:
        """Give the changes that have come and were not read yet."""
        if self._loop.is_running:
            self._loop.run(self._read_all())
        come, self._come = self._come, []
        return come

    def close(self) -> None:
        """Take no more changes."""
        if self._loop.is_running:
            self._loop.run(self._stream.aclose())

    async def _read(self) -> None:
        # Kept here and not returned: Ctrl-C may come between the two.
        async for event in self._stream:
            self._come.append(event)
            return

    async def _read_all(self) -> None:
        self._come.extend(self._stream.waiting())


class _LoopThread:
    """An event loop in a thread of its own, which ends with the program."""

    def __init__(self) -> None:
        self.at_exit: Any = None  # what is done last if nobody stops the loop
        self._loop: asyncio.AbstractEventLoop
        self._stopped: asyncio.Event
        started = threading.Event()
        # No daemon: that would be killed at any moment, with connections open.
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="escala engine", daemon=False
        )
        self._thread.start()
        started.wait()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive() and not self._stopped.is_set()

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        started.set()
        while not self._stopped.is_set():
            try:
                await asyncio.wait_for(self._stopped.wait(), _LOOK_UP)
            except TimeoutError:
                if not threading.main_thread().is_alive():
                    self._stopped.set()
                    if self.at_exit is not None:
                        await self.at_exit()

    def run(self, work: Coroutine[Any, Any, _Found]) -> _Found:
        """Run a coroutine and wait for it; Ctrl-C cancels it, and is raised when it has ended."""
        if not self.is_running or threading.current_thread() is self._thread:
            work.close()
            why = "is closed" if not self.is_running else "waits for itself: await the asynchronous one here"
            raise StoreError(f"the engine {why}")
        found: concurrent.futures.Future[_Found] = concurrent.futures.Future()
        tasks: list[asyncio.Task[_Found]] = []

        def begin() -> None:
            tasks.append(self._loop.create_task(work))
            tasks[0].add_done_callback(lambda task: _pass_on(task, found))

        def give_up() -> None:
            if tasks:
                tasks[0].cancel()
            else:  # Ctrl-C came before it could begin, and the loop takes one call after the other
                work.close()
                found.cancel()

        try:
            self._loop.call_soon_threadsafe(begin)
            return found.result()
        except BaseException:
            if not found.done():
                self._loop.call_soon_threadsafe(give_up)
                concurrent.futures.wait([found])
            raise

    def stop(self) -> None:
        """End the loop and its thread, when what runs beside it has ended."""
        if self.is_running:
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()


def _pass_on(task: asyncio.Task[_Found], found: concurrent.futures.Future[_Found]) -> None:
    """Tell the thread that waits what became of a task."""
    if task.cancelled():
        found.set_exception(StoreError("the engine was closed meanwhile"))
    elif (error := task.exception()) is not None:
        found.set_exception(error)
    else:
        found.set_result(task.result())
