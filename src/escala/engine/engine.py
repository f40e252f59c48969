"""Asynchronous coordinator over a store: remembers records, keeps curves up to date, predicts, allocates, warns."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from escala.allocation.result import Allocation
from escala.allocation.solve import allocate
from escala.arrays import one_number
from escala.curves.curveset import CurveSet
from escala.curves.prediction import Prediction
from escala.engine import batches, rebalancing
from escala.engine import limits as allocation_limits
from escala.engine.config import EngineConfig
from escala.engine.events import EventStream
from escala.engine.keeping import keep_allocation
from escala.engine.models import Model
from escala.engine.predictions import points_of, predict_points
from escala.engine.results import EfficiencyPrediction, ModelInfo, RebalancePlan
from escala.engine.state import EngineState
from escala.engine.symbols import distinct, listed, unique
from escala.engine.training import Trainer
from escala.errors import ConfigError, CurveError, UnknownSymbolError
from escala.keyed import PerSymbol
from escala.store import SaturationPoint, ScalingConfig, Store
from escala.tables import FINITE_FROM_ZERO

#: Points that are predicted before a thread would have started.
_AT_ONCE: Final = 1000


class PredictiveScalingEngine:
    """Coordinator of a running trading system over one :class:`escala.Store`.

    Made by :meth:`open`: ``async with await PredictiveScalingEngine.open("escala.db") as engine:``. New records mark a
    symbol's model stale. It is trained when it is used next, together with what others ask for at that moment, in one
    call of :func:`escala.fit`; other stale models are trained beside, after the answer. Tasks may use one engine, and
    processes one store, at the same time.
    """

    def __init__(self, store: Store, config: EngineConfig) -> None:
        self.store = store
        self.config = config
        self._state = EngineState(store, config)
        self._trainer = Trainer(self._state)
        self._loaded = False

    # --- opening and closing --------------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls, url: str | os.PathLike[str] = "escala.db", config: EngineConfig | None = None, *, create: bool = True
    ) -> PredictiveScalingEngine:
        """Open a store, creating or migrating it, and restore settings and trained models.

        Parameters
        ----------
        url, create
            As in :meth:`escala.Store.open`.
        config : EngineConfig, optional
            How the engine works.

        Raises
        ------
        StoreError, MissingExtraError
            As in :meth:`escala.Store.open`.
        """
        chosen = EngineConfig() if config is None else config
        if not isinstance(chosen, EngineConfig):
            raise ConfigError(f"config must be an EngineConfig, not {type(chosen).__name__}", arguments=("config",))
        engine = cls(await Store.open(url, create=create), chosen)
        try:
            await engine._state.refresh()
        except BaseException:
            await engine.close()
            raise
        return engine

    async def close(self) -> None:
        """End all subscriptions, write what waits to be written, and close the store."""
        self._state.close()
        await self._trainer.finish()
        await self.store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<PredictiveScalingEngine over {self.store.url}: {len(self._state.newest):,} symbols>"

    # --- records --------------------------------------------------------------------------------------------------

    async def add_efficiency_record(
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
        """Add a record and give its number; it is on disk when this returns. Arguments as in :meth:`Store.add_record`.

        Raises
        ------
        RecordError
            Names the argument and its value; the record was not kept.
        StoreError
            If the database fails; the record was not kept.
        StoreUncertainError
            If the connection broke while it was being confirmed, and the database cannot be asked.
        """
        number = await self.store.add_record(
            symbol,
            capital,
            efficiency,
            metrics=metrics,
            observed_at=observed_at,
            source=source,
            weight=weight,
            identity=identity,
        )
        self._state.mark(symbol, number)
        self._state.move(symbol, float(capital))
        self._train_what_is_followed()
        return number

    async def add_efficiency_records(self, batch: Any, *, identity: str | None = None) -> int:
        """Add many records in one transaction, all or none, and give their number.

        Parameters
        ----------
        batch : data frame, mapping or iterable of mappings
            Columns `symbol`, `capital`, `efficiency` and, if there, `weight`, `observed_at` (or `time`), `source` and
            `metrics`; or one mapping a record.
        identity : str, optional
            As in :meth:`Store.add_records`.

        Raises
        ------
        RecordError
            Names the column, the first bad records and their values; nothing was kept.
        StoreError
            If the database fails; nothing was kept.
        StoreUncertainError
            If the connection broke while it was being confirmed, and the database cannot be asked.
        """
        checked = batches.checked(batch)
        places, numbers = await self.store.add_batch(checked, identity)
        # From here on nothing is awaited: what is on disk is known, whatever happens.
        amounts = checked.capital[places].tolist()
        for symbol, number, capital in zip(checked.names, numbers.tolist(), amounts, strict=True):
            self._state.mark(symbol, number)
            self._state.move(symbol, capital)
        self._train_what_is_followed()
        return len(checked)

    def _train_what_is_followed(self) -> None:
        """Go on training those symbols whose answers wait for nothing."""
        if self.config.max_staleness:
            self._trainer.train_beside()

    async def delete_records(
        self,
        symbols: str | Sequence[str] | None = None,
        *,
        imports: int | Sequence[int] | None = None,
        since: Any = None,
        before: Any = None,
        dry_run: bool = False,
    ) -> dict[str, int]:
        """Delete records as :meth:`Store.delete_records` does; nothing is answered from them any more.

        Raises
        ------
        RecordError, StoreError
            As there; nothing was deleted.
        """
        found = await self.store.delete_records(symbols, imports=imports, since=since, before=before, dry_run=dry_run)
        await self._state.refresh()
        return found

    # --- training -------------------------------------------------------------------------------------------------

    async def train(self, symbols: str | Sequence[str] | None = None) -> CurveSet:
        """Train models from all their records, whether they are stale or not; give their curves.

        Parameters
        ----------
        symbols : str or sequence of str, optional
            Which; by default all.

        Raises
        ------
        UnknownSymbolError
            If there are no records of a symbol.
        """
        await self._state.refresh()  # what other processes have added is trained too
        chosen = self._all() if symbols is None else await self._state.known(unique(listed(symbols)))
        await self._trainer.train(chosen)
        return self._state.models.take(chosen)

    def _all(self) -> list[str]:
        return list(self._state.newest)

    # --- predictions ----------------------------------------------------------------------------------------------

    async def predict_efficiency(self, symbol: str, capital: float) -> EfficiencyPrediction:
        """Predict what a new observation of a symbol at a capital will be.

        Raises
        ------
        UnknownSymbolError
            If there are no records of it.
        CurveError
            If the capital is negative or not finite.
        """
        # A float, of a symbol that waits for nothing, is answered here; all else goes through the checks below.
        state = self._state
        if isinstance(capital, float) and type(symbol) is str and time.monotonic() < state.refresh_at:
            found = self._remembered(symbol, capital)
            if found is not None and self._holds(symbol):
                return found
            if found is None and self._loaded and FINITE_FROM_ZERO.has(capital) and self._is_ready(symbol):
                model, amount = state.models[symbol], float(capital) + 0.0  # no −0
                return self._predicted(symbol, model, state.predictions.predict(model, symbol, amount, self.config))
        amount = one_number("capital", capital, FINITE_FROM_ZERO, CurveError) + 0.0  # no −0
        [symbol] = listed([symbol])
        await self._trainer.ready([symbol])
        found = self._remembered(symbol, amount)
        if found is None:
            model = state.models[symbol]
            if self._loaded:
                found = self._predicted(symbol, model, state.predictions.predict(model, symbol, amount, self.config))
            else:
                found = await self._trainer.to_the_end(self._predict_beside(symbol, model, amount))
        return found

    async def _predict_beside(self, symbol: str, model: Model, capital: float) -> EfficiencyPrediction:
        """Predict in a thread: kernels are loaded the first time."""
        found = await asyncio.to_thread(self._state.predictions.predict, model, symbol, capital, self.config)
        self._loaded = True
        return self._predicted(symbol, model, found)

    def _predicted(self, symbol: str, model: Model, found: EfficiencyPrediction) -> EfficiencyPrediction:
        """Remember a prediction, but not one that a record or a training that came meanwhile has changed."""
        state = self._state
        if state.models.get(symbol) is model and (self.config.max_staleness or not state.outrun(symbol)):
            state.predictions.put(found)
        return found

    def _holds(self, symbol: str) -> bool:
        """Tell whether a prediction that is remembered still counts; records that it misses are trained beside."""
        return not self.config.max_staleness or self._is_ready(symbol)  # without it, it would have been forgotten

    def _is_ready(self, symbol: str) -> bool:
        """Tell whether a symbol's model answers without waiting; records that it misses are trained beside."""
        if not self._state.answers(symbol, time.time()):
            return False
        if self.config.max_staleness:
            self._state.follow((symbol,))
            if self._state.outrun(symbol):
                self._trainer.train_beside()
        return True

    def _remembered(self, symbol: str, capital: float) -> EfficiencyPrediction | None:
        predictions = self._state.predictions
        found = predictions.get(symbol, capital)
        if found is None or self._state.too_old(found.as_of.timestamp()):
            return None
        predictions.hits += 1
        return found

    async def curves(self, symbols: str | Sequence[str] | None = None) -> CurveSet:
        """Give the curves of symbols, up to date.

        Parameters
        ----------
        symbols : str or sequence of str, optional
            Which; by default all that have records.

        Raises
        ------
        UnknownSymbolError
            If there are no records of a symbol.
        """
        await self._state.refresh_if_due()
        chosen = await self._all_ready() if symbols is None else unique(listed(symbols))
        await self._trainer.ready(chosen)
        return self._state.models.take(chosen)

    async def _all_ready(self) -> list[str]:
        """Bring all models up to date; give the symbols that are still there then."""
        chosen = self._all()
        await self._trainer.ready(chosen, missing=True)
        return [symbol for symbol in chosen if symbol in self._state.newest]

    async def predict_many(self, symbols: str | Sequence[str], capital: PerSymbol) -> Prediction:
        """Predict many new observations at once.

        Parameters
        ----------
        symbols : str or sequence of str
            n symbols; each may come more than once.
        capital : float, (n,) or (n, m), or by symbol
            As in :meth:`escala.CurveSet.predict`.

        Raises
        ------
        UnknownSymbolError
            If there are no records of a symbol.
        CurveError
            If a capital is negative or not finite, or the shapes do not fit.
        """
        chosen = listed(symbols)
        points, shape = points_of(capital, chosen)
        once = unique(chosen)
        await self._trainer.ready(once)
        curves = self._state.models.take(once)
        places = {symbol: k for k, symbol in enumerate(once)}
        owner = np.fromiter(map(places.__getitem__, chosen), dtype=np.int64, count=len(chosen))
        if points.size <= _AT_ONCE and self._loaded:  # quicker than a thread starts
            return predict_points(curves, owner, points, shape, self.config)
        return await asyncio.to_thread(predict_points, curves, owner, points, shape, self.config)

    # --- allocations ----------------------------------------------------------------------------------------------

    async def optimize_allocation(
        self, symbols: str | Sequence[str], total_capital: float | None = None, **limits: Any
    ) -> Allocation:
        """Allocate a total over symbols at the global optimum, and record it in the history, unless that is read-only.

        Parameters
        ----------
        symbols : str or sequence of str
            Which, none twice.
        total_capital : float, optional
            Money; with a target among the limits the most there is, by default all that the symbols may hold.
        **limits
            Keywords of :func:`escala.allocate`, targets of one number among them; where instruments may differ also
            symbol → value, the others then keep theirs. What is not given comes from the symbol's settings, then from
            those of the whole system.

        Raises
        ------
        UnknownSymbolError
            If there are no records of a symbol.
        AllocationError, InfeasibleError
            As in :func:`escala.allocate`; nothing was recorded.
        """
        total = None if total_capital is None else rebalancing.checked_total(total_capital)
        allocation_limits.check_names(limits, targets=True)
        found, *_ = await self._allocated(distinct(listed(symbols)), total, limits)
        await keep_allocation(self.store, found)
        return found

    async def _allocated(
        self, symbols: Sequence[str], total: float | None, given: Mapping[str, Any]
    ) -> tuple[Allocation, CurveSet, dict[str, Any], ScalingConfig]:
        """Allocate; also give the curves, limits and settings that were used: others may replace them meanwhile."""
        await self._trainer.ready(symbols)
        await self._state.read_settings()  # a limit that was set, by whoever, holds from now on
        curves, settings = self._state.models.take(symbols), self._state.settings
        limits = allocation_limits.completed(given, symbols, settings, self._state.symbol_settings)
        return await asyncio.to_thread(allocate, curves, total, **limits), curves, limits, settings

    async def rebalance(
        self,
        current: Mapping[str, float],
        total_capital: float | None = None,
        *,
        trade_cost: PerSymbol | tuple[PerSymbol, PerSymbol] = 0.0,
        **limits: Any,
    ) -> RebalancePlan:
        """Find the trades that lead from what is held to the optimum, net of what they cost. Nothing is recorded.

        Parameters
        ----------
        current : mapping or indexed Series
            Symbol → capital held, at least 0.
        total_capital : float, optional
            Money in all; by default the sum of what is held.
        trade_cost : float or by symbol, or a tuple of two of them
            What a unit of capital costs to buy or sell, in [0, 1]: 0.001 is a tenth of a per cent; a tuple gives what
            buying costs, then what selling does.
        **limits
            As in :meth:`optimize_allocation`, `fixed_cost` among them. With `hurdle` all cash counts as what it says;
            without it, capital that becomes cash keeps its value, and cash that was idle before returned nothing.

        Raises
        ------
        UnknownSymbolError, AllocationError, InfeasibleError
            As in :meth:`optimize_allocation`.
        """
        allocation_limits.check_names(limits)
        current = rebalancing.by_symbol(current)
        held, total = rebalancing.holdings(current, total_capital)
        trading = {"current": held, "trade_cost": trade_cost}
        found, curves, used, settings = await self._allocated(list(current), total, limits | trading)
        for symbol, amount in zip(current, held.tolist(), strict=True):
            self._state.move(symbol, amount)
        return rebalancing.plan(
            found,
            curves,
            held,
            total,
            priority=used["priority"],
            hurdle=float(used["hurdle"]) if "hurdle" in used else None,
            threshold=settings.rebalance_threshold,
        )

    # --- what is known --------------------------------------------------------------------------------------------

    async def saturation_points(self) -> dict[str, SaturationPoint]:
        """Give where each symbol saturates, by models that are up to date."""
        await self._state.refresh_if_due()  # first: who came in meanwhile belongs to it
        await self._all_ready()
        await self._trainer.written()  # they have the numbers of their trainings
        return self._state.models.saturation_points(self.config.drop)

    async def model_info(self, symbol: str) -> ModelInfo:
        """Tell what is known of a symbol's model, as it is: a stale one is not trained by asking.

        Raises
        ------
        UnknownSymbolError
            If there are no records of it, or it was never trained.
        """
        state = self._state
        await state.refresh_if_due()
        await self._trainer.written()  # it has the number of its training
        await state.known([symbol])
        if symbol not in state.models:
            raise UnknownSymbolError(f"{symbol!r} was not trained yet", symbol=symbol)
        return state.models.info(symbol, stale=state.stale(symbol))

    async def stats(self) -> dict[str, Any]:
        """Count symbols, models, cached predictions and what was done; and the store's rows."""
        state = self._state
        await state.refresh_if_due()
        return {
            "symbols": len(state.newest),
            "models": len(state.models),
            "stale": sum(map(state.stale, state.newest)),
            "cached": state.predictions.count,
            "cache_hits": state.predictions.hits,
            "cache_misses": state.predictions.misses,
            "trainings": self._trainer.trainings,
            "models_trained": self._trainer.models_trained,
            "records": self._trainer.memory.count,
            "store": await self.store.stats(),
        }

    # --- events ---------------------------------------------------------------------------------------------------

    def events(self) -> EventStream:
        """Give the changes of regime from now on: ``async for event in engine.events()``; ends when the engine closes.

        A change is noticed by the engine that adds the record, trains, or is asked to rebalance.
        """
        return self._state.regimes.subscribe()
