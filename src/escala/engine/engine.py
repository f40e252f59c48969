"""Asynchronous coordinator over a store: remembers records, keeps curves up to date, predicts, allocates, warns."""

from __future__ import annotations

import asyncio
import datetime
import math
import os
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from escala.allocation.result import Allocation
from escala.allocation.solve import allocate
from escala.arrays import FloatLike, Floats, check_interval, one_number, to_floats
from escala.curves.curveset import CurveSet
from escala.curves.fitting import fit
from escala.curves.prediction import Prediction, Saturation
from escala.curves.records import coded
from escala.engine.config import FROM_ZERO, EngineConfig
from escala.engine.events import EventStream, Regime, RegimeChange, regime_of
from escala.engine.models import (
    EfficiencyPrediction,
    ModelInfo,
    Models,
    RebalancePlan,
    no_models,
    points_of,
    predict_points,
    utc,
)
from escala.errors import AllocationError, ConfigError, CurveError, RecordError, UnknownSymbolError
from escala.store import SaturationPoint, ScalingConfig, Store, StoredRecords, SymbolConfig, checks

#: Limits that may differ by symbol; the others are one number or word.
_PER_SYMBOL: Final = ("min_efficiency", "lower", "upper", "min_ticket", "max_share", "priority")

#: Points that are predicted before a thread would have started.
_AT_ONCE: Final = 1000

_LIMITS: Final = (*_PER_SYMBOL, "reserve", "spend", "hurdle", "remainder", "method", "step", "max_nodes", "tolerance")


class PredictiveScalingEngine:
    """Coordinator of a running trading system over one :class:`escala.Store`.

    Made by :meth:`open`: ``async with await PredictiveScalingEngine.open("escala.db") as engine:``. New records mark a
    symbol's model stale; all stale models are trained together, in one call of :func:`escala.fit`, when one of them is
    used next. Tasks may use one engine, and processes one store, at the same time.
    """

    def __init__(self, store: Store, config: EngineConfig) -> None:
        self.store = store
        self.config = config
        self._models = no_models()
        self._newest: dict[str, int] = {}
        self._settings = ScalingConfig()
        self._symbol_settings: dict[str, SymbolConfig] = {}
        self._singles: dict[str, CurveSet] = {}
        self._cache: dict[str, dict[float, EfficiencyPrediction]] = {}
        self._cached = 0
        self._refresh_at = -math.inf
        self._seen_version = 0  # of the trainings that were read; another process may have trained before our own
        self._training = asyncio.Lock()
        self._refreshing = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._capital: dict[str, float] = {}
        self._regime: dict[str, Regime] = {}
        # Weakly: whoever drops the subscription unread shall not be remembered for ever.
        self._subscribers: weakref.WeakSet[asyncio.Queue[RegimeChange | None]] = weakref.WeakSet()
        self._closed = False
        self._counts = {"cache_hits": 0, "cache_misses": 0, "trainings": 0, "models_trained": 0}

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
            await engine._refresh()
        except BaseException:
            await engine.close()
            raise
        return engine

    async def close(self) -> None:
        """End all subscriptions, write what waits to be written, and close the store."""
        self._closed = True
        self._refresh_at = -math.inf  # nothing is answered from memory any more
        for queue in list(self._subscribers):
            queue.put_nowait(None)
        while self._tasks:
            await asyncio.wait(list(self._tasks))
        await self.store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<PredictiveScalingEngine over {self.store.url}: {len(self._newest):,} symbols>"

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
    ) -> int:
        """Add a record and give its number; it is on disk when this returns. Arguments as in :meth:`Store.add_record`.

        Raises
        ------
        RecordError
            Names the argument and its value; the record was not kept.
        StoreError
            If the database fails; the record was not kept.
        """
        number = await self.store.add_record(
            symbol, capital, efficiency, metrics=metrics, observed_at=observed_at, source=source, weight=weight
        )
        self._mark(symbol, number)
        self._move(symbol, float(capital))
        return number

    async def add_efficiency_records(self, batch: Any) -> int:
        """Add many records in one transaction, all or none, and give their number.

        Parameters
        ----------
        batch : data frame, mapping or iterable of mappings
            Columns `symbol`, `capital`, `efficiency` and, if there, `weight`, `observed_at` (or `time`), `source` and
            `metrics`; or one mapping a record.

        Raises
        ------
        RecordError
            Names the column, the first bad records and their values; nothing was kept.
        StoreError
            If the database fails; nothing was kept.
        """
        columns = _columns(batch)
        checked = checks.batch(
            columns["symbol"],
            columns["capital"],
            columns["efficiency"],
            weights=columns.get("weight"),
            observed_at=columns.get("observed_at"),
            sources=columns.get("source", "system"),
            metrics=columns.get("metrics"),
        )
        places, numbers = await self.store.add_batch(checked)
        # From here on nothing is awaited: what is on disk is known, whatever happens.
        amounts = checked.capital[places].tolist()
        for symbol, number, capital in zip(checked.names, numbers.tolist(), amounts, strict=True):
            self._mark(symbol, number)
            self._move(symbol, capital)
        return len(checked)

    def _mark(self, symbol: str, number: int) -> None:
        """Take note of a record; what was predicted without it is forgotten."""
        if number > self._newest.get(symbol, 0):
            self._newest[symbol] = number
            self._forget(symbol)

    def _forget(self, symbol: str) -> None:
        self._cached -= len(self._cache.pop(symbol, ()))

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
        await self._refresh()  # what other processes have added is trained too
        chosen = list(self._newest) if symbols is None else await self._known(_unique(_listed(symbols)))
        await self._shielded(self._train_alone(chosen))
        return self._models.curves[[self._models.place[symbol] for symbol in chosen]]

    async def _train_alone(self, symbols: Sequence[str]) -> None:
        async with self._training:
            await self._train(symbols)

    async def _train(self, symbols: Sequence[str]) -> None:
        """Fit the records of some symbols, in one call, and keep the models."""
        if not symbols:
            return
        await self._read_settings()
        records = await self.store.records(list(symbols))
        if not len(records):
            return
        # Beside the event loop, which has others to serve.
        curves, seen, limits = await asyncio.to_thread(self._fitted, records, self._settings, self._symbol_settings)
        now = np.datetime64(_now().replace(tzinfo=None), "us")
        version = await self.store.save_models(curves, last_record_id=seen, saturation=limits, trained_at=now)
        times = np.full(len(curves), now)
        self._adopt(Models(curves, version, seen, times, limits.saturation, limits.capacity))
        self._counts["trainings"] += 1
        self._counts["models_trained"] += len(curves)

    def _fitted(
        self, records: StoredRecords, system: ScalingConfig, own: Mapping[str, SymbolConfig]
    ) -> tuple[CurveSet, npt.NDArray[np.int64], Saturation]:
        """Fit records; give the curves, the highest record that each has seen, and where they end."""
        order, codes = coded(records.symbol)
        aged: dict[str, Any] = {}
        if self.config.half_life is not None:
            seconds = records.observed_at.astype(np.int64) * 1e-6  # a timedelta could not hold every half-life
            aged = {"observed_at": seconds, "half_life": self.config.half_life}
        curves = fit(
            records.symbol,
            records.capital,
            records.efficiency,
            family=[(own[symbol].family if symbol in own else None) or system.default_family for symbol in order],
            weights=records.weight,
            threads=self.config.threads,
            **aged,
        )
        seen = np.zeros(len(curves), dtype=np.int64)
        np.maximum.at(seen, codes, records.id)
        return curves, seen, curves.saturation(self.config.drop)

    def _adopt(self, other: Models) -> None:
        """Use models from now on, as far as they are newer."""
        chosen = self._models.newer_in(other)
        if not chosen:
            return
        self._models = self._models.replaced(other, chosen)
        for symbol in other.curves.symbols[chosen].tolist():
            self._forget(symbol)
            self._singles.pop(symbol, None)
            self._newest.setdefault(symbol, 0)
            self._look(symbol)

    def _stale(self, symbol: str, at: float | None = None) -> bool:
        place = self._models.place.get(symbol)
        newest = self._newest[symbol]
        if place is None or newest > self._models.seen[place]:
            return True
        # A model that was saved without records has nothing to be trained from.
        return newest > 0 and self._too_old(float(self._models.trained_at[place].astype(np.int64)) * 1e-6, at)

    def _too_old(self, trained_at: float, at: float | None = None) -> bool:
        return (time.time() if at is None else at) - trained_at > self._settings.update_interval

    async def _ready(self, symbols: Sequence[str]) -> None:
        """Make sure that the models of some symbols are up to date."""
        asked = time.time()
        await self._refresh_if_due()
        await self._known(symbols)
        if any(self._stale(symbol, asked) for symbol in symbols):
            await self._shielded(self._train_stale(symbols, asked))

    async def _train_stale(self, symbols: Sequence[str], asked: float) -> None:
        async with self._training:
            if any(self._stale(symbol, asked) for symbol in symbols):  # not done by another task meanwhile
                await self._train([symbol for symbol in self._newest if self._stale(symbol, asked)])

    async def _shielded(self, work: Any) -> None:
        """Finish what others wait for too, even if who asked for it is cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # who asked has it; or was cancelled, and nobody needs it

    async def _known(self, symbols: Sequence[str]) -> list[str]:
        if not all(isinstance(symbol, str) and symbol in self._newest for symbol in symbols):
            await self._refresh()  # another process may know them by now
            for symbol in symbols:
                if not isinstance(symbol, str) or symbol not in self._newest:
                    raise UnknownSymbolError.among(symbol, self._newest)
        return list(symbols)

    async def _refresh_if_due(self) -> None:
        if time.monotonic() >= self._refresh_at:
            async with self._refreshing:
                if time.monotonic() >= self._refresh_at:  # not done by another task meanwhile
                    await self._read_all()

    async def _read_settings(self) -> None:
        async with self._reading:  # else an older answer might overtake a newer one
            system, own = await self.store.config(self.config.name), await self.store.symbol_config()
            self._settings, self._symbol_settings = system, own

    async def _refresh(self) -> None:
        """See what other processes have added, trained and set."""
        async with self._refreshing:
            await self._read_all()

    async def _read_all(self) -> None:
        due = time.monotonic() + self.config.refresh_interval
        await self._read_settings()
        latest = await self.store.latest_version()
        if latest > self._seen_version:
            stored = await self.store.models(newer_than=self._seen_version)
            points = await asyncio.to_thread(stored.curves.saturation, self.config.drop)
            self._adopt(
                Models(
                    stored.curves,
                    stored.version,
                    stored.last_record_id,
                    stored.trained_at,
                    points.saturation,
                    points.capacity,
                )
            )
            self._seen_version = max(self._seen_version, latest)  # not before they are ours: this may be cancelled
        for symbol, number in (await self.store.symbols()).items():
            self._mark(symbol, number)
        self._refresh_at = -math.inf if self._closed else due

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
        # A float that was asked for before is answered here; whatever else it is goes through the checks below.
        if isinstance(capital, float) and isinstance(symbol, str) and time.monotonic() < self._refresh_at:
            found = self._remembered(symbol, capital)
            if found is not None:
                return found
        amount = one_number("capital", capital, FROM_ZERO, CurveError) + 0.0  # no −0
        [symbol] = _listed([symbol])
        await self._ready([symbol])
        found = self._remembered(symbol, amount)
        if found is not None:
            return found
        self._counts["cache_misses"] += 1
        place = self._models.place[symbol]
        one = self._singles.get(symbol)
        if one is None:
            one = self._singles[symbol] = self._models.curves[place]
        at = one.predict(amount, level=self.config.level, tolerance=self.config.tolerance)
        found = EfficiencyPrediction(
            symbol=symbol,
            capital=amount,
            efficiency=float(at.efficiency[0]),
            low=float(at.low[0]),
            high=float(at.high[0]),
            confidence=float(at.confidence[0]),
            family=one.family_names[0],
            extrapolated=bool(at.extrapolated[0]),
            as_of=utc(self._models.trained_at[place]),
        )
        self._remember(found)
        return found

    def _remembered(self, symbol: str, capital: float) -> EfficiencyPrediction | None:
        found = self._cache.get(symbol, {}).get(capital)
        if found is None or self._too_old(found.as_of.timestamp()):
            return None
        self._counts["cache_hits"] += 1
        return found

    def _remember(self, found: EfficiencyPrediction) -> None:
        if self._newest[found.symbol] > self._models.seen[self._models.place[found.symbol]]:
            return  # a record came in meanwhile: what it changes must be seen by whoever asks next
        if self._cached >= self.config.cache_size:
            self._cache.clear()
            self._cached = 0
        if self.config.cache_size:
            of_symbol = self._cache.setdefault(found.symbol, {})
            self._cached += found.capital not in of_symbol
            of_symbol[found.capital] = found

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
        await self._refresh_if_due()
        chosen = list(self._newest) if symbols is None else _unique(_listed(symbols))
        await self._ready(chosen)
        return self._models.curves[[self._models.place[symbol] for symbol in chosen]]

    async def predict_many(self, symbols: str | Sequence[str], capital: FloatLike) -> Prediction:
        """Predict many new observations at once.

        Parameters
        ----------
        symbols : str or sequence of str
            n symbols; each may come more than once.
        capital : float, (n,) or (n, m)
            As in :meth:`escala.CurveSet.predict`.

        Raises
        ------
        UnknownSymbolError
            If there are no records of a symbol.
        CurveError
            If a capital is negative or not finite, or the shapes do not fit.
        """
        chosen = _listed(symbols)
        points, shape = points_of(capital, len(chosen))
        distinct = _unique(chosen)
        await self._ready(distinct)
        curves = self._models.curves[[self._models.place[symbol] for symbol in distinct]]
        places = {symbol: k for k, symbol in enumerate(distinct)}
        owner = np.fromiter(map(places.__getitem__, chosen), dtype=np.int64, count=len(chosen))
        if points.size <= _AT_ONCE:  # quicker than a thread starts
            return predict_points(curves, owner, points, shape, self.config)
        return await asyncio.to_thread(predict_points, curves, owner, points, shape, self.config)

    # --- allocations ----------------------------------------------------------------------------------------------

    async def optimize_allocation(
        self, symbols: str | Sequence[str], total_capital: float, **limits: Any
    ) -> Allocation:
        """Allocate a total over symbols at the global optimum, and record it in the history.

        Parameters
        ----------
        symbols : str or sequence of str
            Which, none twice.
        total_capital : float
            Money.
        **limits
            Keywords of :func:`escala.allocate`; where instruments may differ also symbol → value, the others then keep
            theirs. What is not given comes from the symbol's settings, then from those of the whole system.

        Raises
        ------
        UnknownSymbolError
            If there are no records of a symbol.
        AllocationError, InfeasibleError
            As in :func:`escala.allocate`; nothing was recorded.
        """
        total = one_number("total_capital", total_capital, FROM_ZERO, AllocationError)
        found, *_ = await self._allocated(_distinct(_listed(symbols)), total, limits)
        await self.store.save_allocation(found)
        return found

    async def _allocated(
        self, symbols: Sequence[str], total: float, limits: Mapping[str, Any]
    ) -> tuple[Allocation, CurveSet, ScalingConfig, Floats]:
        """Allocate; also give the curves, settings and weights that were used: others may replace them meanwhile."""
        unknown = [name for name in limits if name not in _LIMITS]
        if unknown:
            message = f"{unknown[0]!r} is no limit of an allocation; these are: {', '.join(_LIMITS)}"
            raise AllocationError(message, arguments=(unknown[0],))
        await self._ready(symbols)
        await self._read_settings()  # a limit that was set, by whoever, holds from now on
        curves = self._models.curves[[self._models.place[symbol] for symbol in symbols]]
        keywords = {"reserve": self._settings.reserve, **limits}
        for name in _PER_SYMBOL:
            keywords[name] = self._limit(name, symbols, limits.get(name))
        settings, weights = self._settings, np.asarray(keywords["priority"])  # others may read anew meanwhile
        return await asyncio.to_thread(allocate, curves, total, **keywords), curves, settings, weights

    def _limit(self, name: str, symbols: Sequence[str], given: Any) -> Any:
        """One value of a limit for each symbol: as given, else its own, else the system's."""
        if hasattr(given, "index") and hasattr(given, "to_dict") and all(isinstance(k, str) for k in given.index):
            given = given.to_dict()  # a series by symbol
        if given is not None and not isinstance(given, Mapping):
            return given
        if isinstance(given, Mapping):
            known = set(symbols)
            strangers = [symbol for symbol in given if symbol not in known]
            if strangers:
                message = f"{name} names {strangers[0]!r}, which is not among the symbols"
                raise AllocationError(message, arguments=(name,))
        defaults = {"lower": 0.0, "upper": np.inf, "priority": 1.0}
        fallback = defaults[name] if name in defaults else getattr(self._settings, name)
        values = []
        for symbol in symbols:
            own = getattr(self._symbol_settings.get(symbol), name, None)
            values.append((given or {}).get(symbol, fallback if own is None else own))
        return values

    async def rebalance(
        self, current: Mapping[str, float], total_capital: float | None = None, **limits: Any
    ) -> RebalancePlan:
        """Compare what is held with the optimum: drift, trades, and whether they are worth it. Nothing is recorded.

        Parameters
        ----------
        current : mapping
            Symbol → capital held, at least 0.
        total_capital : float, optional
            Money in all; by default the sum of what is held.
        **limits
            As in :meth:`optimize_allocation`.

        Raises
        ------
        UnknownSymbolError, AllocationError, InfeasibleError
            As in :meth:`optimize_allocation`.
        """
        if not isinstance(current, Mapping):
            message = f"current must be a mapping of symbols to capital, not {type(current).__name__}"
            raise AllocationError(message, arguments=("current",))
        symbols = list(current)
        held = to_floats("current", list(current.values()), AllocationError)
        if held.ndim != 1:
            message = f"current must map each symbol to one number, not to arrays of shape {held.shape[1:]}"
            raise AllocationError(message, arguments=("current",))
        check_interval("current", held, FROM_ZERO, AllocationError)
        owned = float(held.sum())
        total = (
            owned if total_capital is None else one_number("total_capital", total_capital, FROM_ZERO, AllocationError)
        )
        found, curves, settings, weights = await self._allocated(symbols, total, limits)
        for symbol, amount in zip(symbols, held.tolist(), strict=True):
            self._move(symbol, amount)
        trades = found.amounts - held
        moved = 0.5 * float(np.abs(trades).sum() + abs(trades.sum()))  # the second term is the cash's own change
        drift = moved / max(total, owned) if moved else 0.0
        threshold = settings.rebalance_threshold
        returned = np.nan_to_num(curves.utility(held))  # nothing where there is no curve
        now = float((weights * returned).sum()) - float(limits.get("hurdle", 0.0)) * owned
        return RebalancePlan(
            symbols=tuple(symbols),
            current=held,
            target=found.amounts,
            trades=trades,
            drift=drift,
            threshold=threshold,
            worth_it=drift > threshold,
            gain=float(found.utility) - now,
            allocation=found,
        )

    # --- what is known --------------------------------------------------------------------------------------------

    async def saturation_points(self) -> dict[str, SaturationPoint]:
        """Give where each symbol saturates, by models that are up to date."""
        await self._refresh_if_due()  # first: who came in meanwhile belongs to it
        await self._ready(list(self._newest))
        models = self._models
        found = models.curves.saturation(self.config.drop)
        columns = {part.name: getattr(found, part.name).tolist() for part in fields(Saturation)}
        return {
            symbol: SaturationPoint(
                **{name: column[k] for name, column in columns.items()},
                version=int(models.version[k]),
                trained_at=utc(models.trained_at[k]),
            )
            for symbol, k in models.place.items()
        }

    async def model_info(self, symbol: str) -> ModelInfo:
        """Tell what is known of a symbol's model, as it is: a stale one is not trained by asking.

        Raises
        ------
        UnknownSymbolError
            If there are no records of it, or it was never trained.
        """
        await self._refresh_if_due()
        await self._known([symbol])
        place = self._models.place.get(symbol)
        if place is None:
            raise UnknownSymbolError(f"{symbol!r} was not trained yet", symbol=symbol)
        models, one = self._models, self._models.curves[place]
        return ModelInfo(
            symbol=symbol,
            version=int(models.version[place]),
            trained_at=utc(models.trained_at[place]),
            stale=self._stale(symbol),
            family=one.family_names[0],
            status=one.status_names[0],
            params=tuple(one.params[0].tolist()),
            n_points=int(one.n_points[0]),
            r_squared=float(one.r_squared[0]),
            rmse=float(one.rmse[0]),
            lack_of_fit=float(one.lack_of_fit[0]),
            observed=tuple(one.observed[0].tolist()),
            saturation=float(models.saturation[place]),
            capacity=float(models.capacity[place]),
        )

    async def stats(self) -> dict[str, Any]:
        """Count symbols, models, cached predictions and what was done; and the store's rows."""
        await self._refresh_if_due()
        return {
            "symbols": len(self._newest),
            "models": len(self._models.place),
            "stale": sum(self._stale(symbol) for symbol in self._newest),
            "cached": self._cached,
            **self._counts,
            "store": await self.store.stats(),
        }

    # --- events ---------------------------------------------------------------------------------------------------

    def events(self) -> EventStream:
        """Give the changes of regime from now on: ``async for event in engine.events()``; ends when the engine closes.

        A change is noticed by the engine that adds the record, trains, or is asked to rebalance.
        """
        queue: asyncio.Queue[RegimeChange | None] = asyncio.Queue()
        if self._closed:
            queue.put_nowait(None)
        self._subscribers.add(queue)
        return EventStream(queue)

    def _move(self, symbol: str, capital: float) -> None:
        """Take note of a symbol's capital."""
        self._capital[symbol] = capital
        self._look(symbol)

    def _look(self, symbol: str) -> None:
        """See which regime a symbol is in, and tell the subscribers if it is another one."""
        place, capital = self._models.place.get(symbol), self._capital.get(symbol)
        if place is None or capital is None:
            return
        saturation, capacity = float(self._models.saturation[place]), float(self._models.capacity[place])
        after = regime_of(capital, saturation, capacity)
        before = self._regime.get(symbol)
        self._regime[symbol] = after
        if before is None or before is after:
            return
        event = RegimeChange(symbol, _now(), capital, before, after, saturation, capacity)
        for queue in list(self._subscribers):
            queue.put_nowait(event)


def _columns(batch: Any) -> dict[str, Any]:
    """Bring a batch of records to columns."""
    if not isinstance(batch, Mapping) and not hasattr(batch, "columns"):
        if isinstance(batch, str) or not isinstance(batch, Iterable):
            raise RecordError("batch must be a data frame, columns by name, or one mapping a record")
        rows = list(batch)
        if not all(isinstance(row, Mapping) for row in rows):
            raise RecordError("batch must be a data frame, columns by name, or one mapping a record")
        names = list(dict.fromkeys(name for row in rows for name in row)) or ["symbol", "capital", "efficiency"]
        missing = [(k, name) for k, row in enumerate(rows) for name in names if name not in row and name != "metrics"]
        if missing:
            raise RecordError(f"batch[{missing[0][0]}] has no {missing[0][1]!r}")
        batch = {name: [row.get(name) for row in rows] for name in names}
    columns = {str(name): batch[name] for name in (batch if isinstance(batch, Mapping) else batch.columns)}
    if "time" in columns and "observed_at" in columns:
        raise RecordError("batch has both columns 'time' and 'observed_at', which say the same")
    if "time" in columns:
        columns["observed_at"] = columns.pop("time")
    allowed = ("symbol", "capital", "efficiency", "weight", "observed_at", "source", "metrics")
    strangers = [name for name in columns if name not in allowed]
    absent = [name for name in allowed[:3] if name not in columns]
    if absent or strangers:
        what = f"has no column {absent[0]!r}" if absent else f"has a column {strangers[0]!r} that is not known"
        raise RecordError(f"batch {what}; known are {', '.join(allowed)}")
    return columns


def _listed(symbols: str | Iterable[str]) -> list[str]:
    """Bring symbols to a list of plain text."""
    if isinstance(symbols, str):
        return [str(symbols)]
    if not isinstance(symbols, Iterable):
        raise RecordError(f"symbols must be text or a sequence of it, not {symbols!r}", arguments=("symbols",))
    chosen = list(symbols)
    if set(map(type, chosen)) - {str}:
        for symbol in chosen:
            if not isinstance(symbol, str):
                raise UnknownSymbolError(f"there are no records of {symbol!r}", symbol=str(symbol))
        return list(map(str, chosen))
    return chosen


def _unique(symbols: list[str]) -> list[str]:
    return list(dict.fromkeys(symbols))


def _distinct(symbols: list[str]) -> list[str]:
    seen: set[str] = set()
    for place, symbol in enumerate(symbols):
        if symbol in seen:
            raise AllocationError(f"symbols names {symbol!r} twice", arguments=("symbols",), indexes=((place,),))
        seen.add(symbol)
    return symbols


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
