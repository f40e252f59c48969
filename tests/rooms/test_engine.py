"""The engine over the store, on SQLite and on a real PostgreSQL: what it remembers, trains, predicts and warns of."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import escala
from escala import (
    AllocationError,
    ConfigError,
    CurveError,
    CurveSet,
    EngineConfig,
    EventStream,
    InfeasibleError,
    PredictiveScalingEngine,
    RecordError,
    Regime,
    RegimeChange,
    ScalingConfig,
    StoreError,
    SymbolConfig,
    UnknownSymbolError,
    fit,
)
from tests.places import ROOT
from tests.postgres import Server

Floats = npt.NDArray[np.float64]


UTC = datetime.UTC
LONG = 1e6  # a refresh interval that no test lives to see
CAPITAL = np.linspace(10_000.0, 400_000.0, 14)
#: Nothing stands in the way of an allocation.
FREE = ScalingConfig(min_efficiency=0.0, reserve=0.0, max_share=1.0)


def line(top: float, slope: float, capital: Floats = CAPITAL) -> Floats:
    return top - slope * capital


async def add_line(
    engine: PredictiveScalingEngine, symbol: str, top: float, slope: float, capital: Floats = CAPITAL
) -> None:
    batch = {"symbol": [symbol] * len(capital), "capital": capital, "efficiency": line(top, slope, capital)}
    assert await engine.add_efficiency_records(batch) == len(capital)


async def add_noise(engine: PredictiveScalingEngine, symbols: list[str], seed: int = 1) -> None:
    """Twenty records for each symbol, all families."""
    rng = np.random.default_rng(seed)
    capital = rng.uniform(1e3, 1e6, (len(symbols), 20))
    falls = [3e-7 * capital, 0.6 - 0.6 * np.exp(-5e-6 * capital), 5e-4 * np.sqrt(capital)]
    efficiency = np.stack([0.9 - falls[k % 3][k] for k in range(len(symbols))])
    efficiency = np.clip(efficiency + rng.normal(0.0, 0.01, efficiency.shape), 0.0, 1.0)
    names = np.repeat(np.array(symbols, dtype=object), 20)
    batch = {"symbol": names, "capital": capital.ravel(), "efficiency": efficiency.ravel()}
    await engine.add_efficiency_records(batch)


def same(one: CurveSet, other: CurveSet) -> bool:
    return one.symbols.tolist() == other.symbols.tolist() and all(
        getattr(one, part.name).tobytes() == getattr(other, part.name).tobytes()
        for part in dataclasses.fields(CurveSet)
        if part.name != "symbols"
    )


async def counted(engine: PredictiveScalingEngine) -> tuple[int, int]:
    stats = await engine.stats()
    return stats["trainings"], stats["models_trained"]


# --- the three calls -------------------------------------------------------------------------------------------------


async def test_the_three_calls(url: str) -> None:
    async with await PredictiveScalingEngine.open(url) as engine:
        number = await engine.add_efficiency_record(
            symbol="BTC/USDT", capital=10000.0, efficiency=0.92, metrics={"roi": 0.15, "sharpe": 1.8}
        )
        assert number == 1
        assert await engine.store.metrics_of("BTC/USDT") == {1: {"roi": 0.15, "sharpe": 1.8}}
        for capital, efficiency in ((20000.0, 0.905), (40000.0, 0.879), (80000.0, 0.821), (120000.0, 0.762)):
            await engine.add_efficiency_record("BTC/USDT", capital, efficiency, observed_at=1.7e9, source="desk")
        await add_line(engine, "ETH/USDT", 0.95, 1e-6)

        prediction = await engine.predict_efficiency("BTC/USDT", 50000.0)
        records = await engine.store.records("BTC/USDT")
        curve = fit(records.symbol, records.capital, records.efficiency)
        at = curve.predict(50000.0)
        assert prediction.efficiency == at.efficiency[0]
        assert prediction.confidence == at.confidence[0]
        assert (prediction.low, prediction.high) == (at.low[0], at.high[0])
        assert (prediction.symbol, prediction.capital) == ("BTC/USDT", 50000.0)
        assert (prediction.family, prediction.extrapolated) == (curve.family_names[0], False)
        assert abs(prediction.as_of - datetime.datetime.now(UTC)) < datetime.timedelta(seconds=60)

        symbols = ["BTC/USDT", "ETH/USDT"]
        found = await engine.optimize_allocation(symbols, 500000.0)
        assert found.symbols.tolist() == symbols
        assert found.money == pytest.approx(475_000.0)
        assert found.amounts.sum() <= 475_000.0
        assert len(await engine.store.allocations()) == 1


async def test_unknown_symbols(url: str) -> None:
    async with await PredictiveScalingEngine.open(url) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        for call in (
            lambda: engine.predict_efficiency("it's", 1.0),
            lambda: engine.predict_many(["A", "it's"], 1.0),
            lambda: engine.optimize_allocation(["A", "it's"], 1.0),
            lambda: engine.rebalance({"it's": 1.0}),
            lambda: engine.train("it's"),
            lambda: engine.model_info("it's"),
        ):
            with pytest.raises(UnknownSymbolError) as caught:
                await call()
            assert str(caught.value) == 'there are no records of "it\'s"'
            assert caught.value.symbol == "it's"
            assert isinstance(caught.value, KeyError)
        for odd in (5, None, ["A"], ""):
            with pytest.raises(UnknownSymbolError):
                await engine.predict_efficiency(odd, 1.0)  # type: ignore[arg-type]
        with pytest.raises(UnknownSymbolError, match="'A' was not trained yet"):
            await engine.model_info("A")
        assert await counted(engine) == (0, 0)
        assert await engine.store.allocations() == []


async def test_an_empty_engine(url: str) -> None:
    async with await PredictiveScalingEngine.open(url) as engine:
        assert await engine.saturation_points() == {}
        assert len(await engine.train()) == 0
        assert await engine.add_efficiency_records([]) == 0
        assert len((await engine.predict_many([], [])).efficiency) == 0
        assert (await engine.rebalance({})).to_dict() == {}
        stats = await engine.stats()
        assert stats["store"]["rows"]["model_training"] == 0
        assert {name: stats[name] for name in ("symbols", "models", "stale", "cached", "trainings")} == dict.fromkeys(
            ("symbols", "models", "stale", "cached", "trainings"), 0
        )


async def test_capital_that_is_none(url: str) -> None:
    async with await PredictiveScalingEngine.open(url) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        for bad in (-1.0, math.nan, math.inf, "5", None, [1.0, 2.0], np.ones(1)):
            with pytest.raises(CurveError, match="capital"):
                await engine.predict_efficiency("A", bad)  # type: ignore[arg-type]
        with pytest.raises(CurveError, match=r"capital\[1\] = -1.0"):
            await engine.predict_many(["A", "A"], [1.0, -1.0])
        assert await counted(engine) == (0, 0)
        numbers: list[Any] = [np.float32(7), np.array(7.0), 7, np.int64(7), 7.0, np.float64(7.0)]
        found = [await engine.predict_efficiency("A", number) for number in numbers]
        assert all(each is found[0] for each in found)
        assert type(found[0].capital) is float


# --- training --------------------------------------------------------------------------------------------------------


async def test_stale_models_are_trained_together(url: str) -> None:
    symbols = [f"S{k}" for k in range(30)]
    async with await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=LONG)) as engine:
        await add_noise(engine, symbols)
        assert (await engine.stats())["stale"] == 30
        await asyncio.gather(*(engine.predict_efficiency(symbol, 5e4) for symbol in symbols))
        assert await counted(engine) == (1, 30)
        for k in range(200):  # one by one: still one training
            await engine.add_efficiency_record(f"S{k % 3}", 1e4 + k, 0.8)
        assert (await engine.stats())["stale"] == 3
        assert (await engine.model_info("S0")).stale
        await engine.predict_efficiency("S7", 5e4)  # not stale itself: nothing to do
        assert await counted(engine) == (1, 30)
        await asyncio.gather(*(engine.predict_efficiency(f"S{k % 30}", 5e4 + k) for k in range(300)))
        assert await counted(engine) == (2, 33)
        assert not (await engine.model_info("S0")).stale
        await engine.saturation_points()
        await engine.predict_many(symbols, 1.0)
        assert await counted(engine) == (2, 33)
        curves = await engine.train(["S5", "S1", "S5"])
        assert curves.symbols.tolist() == ["S5", "S1"]
        assert await counted(engine) == (3, 35)
        records = await engine.store.records()
        expected = fit(records.symbol, records.capital, records.efficiency)
        assert same((await engine.train())[symbols], expected[symbols])
        assert await counted(engine) == (4, 65)


async def test_models_are_restored(url: str) -> None:
    symbols = ["A", "B", "🚀'", "x" * 200]
    async with await PredictiveScalingEngine.open(url) as engine:
        await add_noise(engine, symbols)
        before = [await engine.predict_efficiency(symbol, 54_321.0) for symbol in symbols]
        points = await engine.saturation_points()
        infos = [await engine.model_info(symbol) for symbol in symbols]
    async with await PredictiveScalingEngine.open(url) as engine:
        assert [await engine.predict_efficiency(symbol, 54_321.0) for symbol in symbols] == before
        assert await engine.saturation_points() == points == await engine.store.saturation_points()
        assert [await engine.model_info(symbol) for symbol in symbols] == infos
        assert await counted(engine) == (0, 0)
        assert infos[0].n_points == 20
        assert infos[0].saturation == points["A"].saturation
        assert infos[0].version == points["A"].version
        assert infos[0].observed == (infos[0].observed[0], infos[0].observed[1])


async def test_another_engine_is_seen_when_the_interval_has_passed(url: str) -> None:
    async with (
        await PredictiveScalingEngine.open(url) as writer,
        await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=0.0)) as at_once,
        await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=0.3)) as soon,
        await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=LONG)) as never,
    ):
        readers = (at_once, soon, never)
        await add_line(writer, "A", 0.9, 1e-6)
        await writer.train()
        # Nobody has to wait for a symbol that is new to them.
        for reader in readers:
            assert (await reader.predict_efficiency("A", 1e5)).efficiency == pytest.approx(0.8)
            assert await counted(reader) == (0, 0)
        await add_line(writer, "A", 0.9, 2e-6)
        await writer.train()
        expected = await writer.predict_efficiency("A", 1e5)
        assert expected.efficiency == pytest.approx(0.75)
        assert await at_once.predict_efficiency("A", 1e5) == expected
        await asyncio.sleep(0.35)
        assert await soon.predict_efficiency("A", 1e5) == expected
        assert (await never.predict_efficiency("A", 1e5)).efficiency == pytest.approx(0.8)
        # Records without training are trained by who is asked, and the others adopt that.
        await writer.add_efficiency_record("A", 4e5, 0.1)
        fresh = await at_once.predict_efficiency("A", 1e5)
        assert fresh.efficiency != expected.efficiency
        assert await counted(at_once) == (1, 1)
        await asyncio.sleep(0.35)
        assert await soon.predict_efficiency("A", 1e5) == fresh
        assert await counted(soon) == (0, 0)
        await never.train()
        assert (await never.predict_efficiency("A", 1e5)).efficiency == fresh.efficiency


async def test_a_training_between_two_of_our_own(url: str) -> None:
    async with (
        await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=0.0)) as ours,
        await PredictiveScalingEngine.open(url) as other,
    ):
        for symbol in ("A", "B", "C"):
            await add_line(ours, symbol, 0.9, 1e-6)
        await ours.train()
        first = await ours.predict_efficiency("B", 1e5)
        await ours.train("A")
        await other.train("B")
        await ours.store.save_models(CurveSet.from_params(["D"], "linear", [[-1e-6, 0.5]]), last_record_id=[0])
        await ours.train("C")
        assert (await ours.model_info("B")).version == (await other.model_info("B")).version == 5
        assert (await ours.model_info("C")).version == 7
        assert (await ours.predict_efficiency("B", 1e5)).as_of > first.as_of
        # A model without records is used as it is, and stays so.
        foreign = await ours.predict_efficiency("D", 1e5)
        assert (foreign.efficiency, foreign.low, foreign.high, foreign.confidence) == (0.4, 0.0, 1.0, 0.0)
        assert await counted(ours) == (3, 5)


async def test_another_process_is_seen(url: str) -> None:
    async with await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=0.0)) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        await engine.predict_efficiency("A", 1e5)
        code = (
            "import asyncio, sys, escala\n"
            "async def main():\n"
            "    async with await escala.PredictiveScalingEngine.open(sys.argv[1]) as engine:\n"
            "        for capital in (1e4, 1e5, 2e5, 4e5): await engine.add_efficiency_record('B', capital, 0.5)\n"
            "        await engine.add_efficiency_record('A', 4e5, 0.0)\n"
            "        print(repr((await engine.predict_efficiency('A', 1e5)).efficiency))\n"
            "asyncio.run(main())\n"
        )
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, url, stdout=subprocess.PIPE)
        said, _ = await process.communicate()
        assert (await engine.predict_efficiency("A", 1e5)).efficiency == float(said)
        assert (await engine.predict_efficiency("B", 1e5)).efficiency == pytest.approx(0.5)
        assert await counted(engine) == (1, 1)


async def test_update_interval(url: str) -> None:
    async with await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=LONG)) as engine:
        await engine.store.set_config(ScalingConfig(update_interval=0.2))
        await add_line(engine, "A", 0.9, 1e-6)
        await engine.train()
        first = await engine.predict_efficiency("A", 1e5)
        assert await engine.predict_efficiency("A", 1e5) is first
        await asyncio.sleep(0.25)
        assert (await engine.model_info("A")).stale
        second = await engine.predict_efficiency("A", 1e5)  # although it was remembered
        assert second.as_of > first.as_of
        assert await counted(engine) == (2, 2)
        # Who opens the store trains nothing that is young enough.
    async with await PredictiveScalingEngine.open(url, EngineConfig(name="patient")) as engine:
        assert await engine.predict_efficiency("A", 1e5) == second
        assert await counted(engine) == (0, 0)


@pytest.mark.parametrize("spread", [1.0, 1e-3])
async def test_half_life(url: str, spread: float) -> None:
    """Efficiency 0.95 − 1e-6·C until the market changes to 0.85 − 2e-6·C; saturation 95,000, then 42,500."""
    half_life = 86_400.0 * spread
    moments = np.arange(-10.0, 2.0, 0.05) * half_life + 1.7e9
    capital = np.resize(CAPITAL, moments.size)
    old = moments < 1.7e9
    efficiency = np.where(old, line(0.95, 1e-6, capital), line(0.85, 2e-6, capital))
    batch = {"symbol": ["A"] * moments.size, "capital": capital, "efficiency": efficiency, "time": moments}
    rest = np.flatnonzero(~old)
    new = rest[: rest.size // 2], rest[rest.size // 2 :]
    async with (
        await PredictiveScalingEngine.open(url, EngineConfig(half_life=half_life)) as follows,
        await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=0.0)) as remembers,
    ):
        await follows.store.set_config(ScalingConfig(default_family="linear"))

        async def add(chosen: Any) -> tuple[float, float]:
            await follows.add_efficiency_records({name: np.asarray(part)[chosen] for name, part in batch.items()})
            await follows.train()
            info = await follows.model_info("A")
            return info.params[0], info.saturation

        def analytic(chosen: npt.NDArray[np.intp]) -> tuple[float, float]:
            """Weighted least squares with weights 2^(−age/half_life), by the normal equations."""
            weight = 2.0 ** ((moments[chosen] - moments[chosen].max()) / half_life)
            design = np.stack([capital[chosen], np.ones(chosen.size)])
            slope, top = np.linalg.solve(design * weight @ design.T, design * weight @ efficiency[chosen])
            return slope, -0.1 * top / slope

        assert await add(np.flatnonzero(old)) == pytest.approx((-1e-6, 95_000.0), rel=1e-9)
        for part in new:
            found = await add(part)
            assert found == pytest.approx(analytic(np.arange(part[-1] + 1)), rel=1e-6)
        # Three quarters of the way to the new slope after two half-lives, and the saturation with it.
        assert found[0] == pytest.approx(-1.75e-6, rel=0.03)
        assert found[1] < 42_500.0 + 0.25 * (95_000.0 - 42_500.0)
        await remembers.train()
        without = await remembers.model_info("A")
        assert without.params[0] == pytest.approx(-1e-6 * (1.0 + 2.0 / 12.0), rel=0.05)
        assert without.saturation > 65_000.0


async def test_extreme_half_lives(url: str) -> None:
    for half_life in (1e-9, 1e300):
        async with await PredictiveScalingEngine.open(url, EngineConfig(half_life=half_life)) as engine:
            await add_line(engine, "A", 0.9, 1e-6)
            assert len(await engine.train()) == 1


async def test_too_few_points(url: str) -> None:
    async with await PredictiveScalingEngine.open(url) as engine:
        await engine.add_efficiency_record("A", 1e4, 0.9)
        found = await engine.predict_efficiency("A", 1e4)
        assert math.isnan(found.efficiency)
        assert (found.low, found.high, found.confidence) == (0.0, 1.0, 0.0)
        info = await engine.model_info("A")
        assert (info.status, info.n_points) == ("too_few_points", 1)
        assert math.isnan(info.saturation)
        assert math.isnan((await engine.saturation_points())["A"].capacity)
        plan = await engine.rebalance({"A": 50.0})
        assert plan.trades.tolist() == [-50.0]
        assert plan.gain == 0.0
        assert plan.allocation.binding_names.tolist() == ["no_curve"]


# --- the cache -------------------------------------------------------------------------------------------------------


async def test_a_cached_prediction_is_never_older_than_the_model(url: str) -> None:
    async with await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=LONG)) as engine:
        await add_noise(engine, ["A", "B"])
        for k in range(30):
            first = await engine.predict_efficiency("A", 1e5)
            other = await engine.predict_efficiency("B", 1e5)
            assert await engine.predict_efficiency("A", 1e5) is first
            if k % 2:
                await engine.add_efficiency_record("A", 1e5, 0.5)
            else:
                await engine.train("A")
            second = await engine.predict_efficiency("A", 1e5)
            assert second.as_of > first.as_of
            assert second.as_of == (await engine.model_info("A")).trained_at
            assert await engine.predict_efficiency("B", 1e5) is other
        stats = await engine.stats()
        assert (stats["cache_hits"], stats["cache_misses"]) == (118, 32)
        assert stats["cached"] == 2


@pytest.mark.parametrize("size", [0, 1, 7])
async def test_cache_size(url: str, size: int) -> None:
    config = EngineConfig(cache_size=size, refresh_interval=0.0)
    async with await PredictiveScalingEngine.open(url, config) as engine:
        await add_noise(engine, ["A", "B", "C"])
        for k in range(60):
            await engine.predict_efficiency("ABC"[k % 3], float(k % 5))
            await engine.predict_efficiency("ABC"[k % 3], float(k % 5))
            stats = await engine.stats()
            assert stats["cached"] <= size
            assert stats["cached"] == sum(map(len, engine._state.predictions.found.values()))
            if k % 20 == 5:
                await engine.train("A")
        assert (stats["cache_hits"] > 0) == (size > 0)


async def test_a_thousand_tasks(url: str) -> None:
    symbols = [f"S{k}" for k in range(10)]
    async with await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=0.05)) as engine:
        await add_noise(engine, symbols)
        start = len(await engine.store.records())
        newest: dict[str, int] = {}
        models: dict[tuple[str, datetime.datetime], set[tuple[float, float]]] = {}

        async def task(k: int) -> int:
            symbol = symbols[k % 10]
            number = await engine.add_efficiency_record(symbol, 1e4 + k, 0.5 + 1e-4 * (k % 7), metrics={"k": k})
            newest[symbol] = max(newest.get(symbol, 0), number)
            least = newest[symbol]
            found = await engine.predict_efficiency(symbol, 2e4)
            # The answer knows every record that was acknowledged before the question.
            if k % 50 == 0:
                trained = [
                    at.last_record_id for at in await engine.store.history(symbol) if at.trained_at == found.as_of
                ]
                assert trained[-1] >= least
            models.setdefault((symbol, found.as_of), set()).add((found.efficiency, found.confidence))
            return number

        numbers = await asyncio.gather(*map(task, range(1000)))
        assert sorted(numbers) == list(range(start + 1, start + 1001))
        assert all(len(answers) == 1 for answers in models.values())
        trainings, _ = await counted(engine)
        assert trainings < 100
        records = await engine.store.records()
        by_number = dict(zip(records.id.tolist(), zip(records.symbol, records.capital, strict=True), strict=True))
        assert all(by_number[number] == (symbols[k % 10], 1e4 + k) for k, number in enumerate(numbers))
        await engine.predict_many(symbols, 1.0)
        expected = fit(records.symbol, records.capital, records.efficiency)
        for symbol in symbols:
            at = expected[symbol].predict(2e4)
            found = await engine.predict_efficiency(symbol, 2e4)
            assert (found.efficiency, found.confidence) == (at.efficiency[0], at.confidence[0])
        assert same(engine._state.models.curves[symbols], expected[symbols])


async def test_whoever_asks_may_give_up(url: str) -> None:
    """The one that trains is cancelled at any moment: the others get their answer, and what was added counts."""
    async with await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=LONG)) as engine:
        await add_noise(engine, ["A", "B"])
        for delay in (0.0, 0.001, 0.003, 0.01, 0.02):
            await engine.add_efficiency_record("A", 1e4, 0.5)
            asked = [asyncio.create_task(engine.predict_efficiency("A", 5e4)) for _ in range(10)]
            await asyncio.sleep(delay)
            asked[0].cancel()
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert isinstance(answers[0], asyncio.CancelledError | escala.EfficiencyPrediction)
            assert len({repr(answer) for answer in answers[1:]}) == 1
            records = await engine.store.records("A")
            expected = fit(records.symbol, records.capital, records.efficiency).efficiency(5e4)[0]
            assert (await engine.predict_efficiency("A", 5e4)).efficiency == expected


async def test_an_engine_outlives_a_server_that_stops(postgres: Server) -> None:
    url = postgres.create("engine_stopped")
    async with await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=LONG)) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        found = await engine.predict_efficiency("A", 1e5)
        await asyncio.to_thread(postgres.crash)
        assert await engine.predict_efficiency("A", 1e5) is found
        for call in (engine.add_efficiency_record("A", 1.0, 0.5), engine.train(), engine.stats()):
            with pytest.raises(StoreError):
                await call
        await asyncio.to_thread(postgres.start)
        assert await engine.predict_efficiency("A", 1e5) is found  # the record was refused: nothing has changed
        assert await engine.add_efficiency_record("A", 4e5, 0.5) == len(CAPITAL) + 1
        assert (await engine.predict_efficiency("A", 1e5)).as_of > found.as_of


# --- many predictions ------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Where it does not matter which database it is."""
    return str(tmp_path / "engine.db")


COLUMNS = ("efficiency", "low", "high", "confidence", "extrapolated")


@pytest.mark.parametrize("threads", [1, 3])
async def test_predict_many(file: str, threads: int) -> None:
    symbols = [f"S{k}" for k in range(40)]
    async with await PredictiveScalingEngine.open(file, EngineConfig(threads=threads)) as engine:
        await add_noise(engine, symbols)
        await engine.add_efficiency_record("one", 1.0, 0.5)
        symbols.append("one")
        curves = await engine.train(symbols)
        rng = np.random.default_rng(3)
        for shape in ((), (41,), (41, 1), (1, 3), (41, 500), (1, 500), (41, 0)):
            capital = rng.uniform(0.0, 2e6, shape)
            found = await engine.predict_many(symbols, capital)
            expected = curves.predict(capital)
            for name in COLUMNS:
                assert getattr(found, name).shape == getattr(expected, name).shape
                assert getattr(found, name).tobytes() == getattr(expected, name).tobytes(), (shape, name)
            assert found.tolerance.tolist() == [0.05] * 41
            assert found.level == 0.95
        for size in (5, 40_000):
            capital = rng.uniform(0.0, 2e6, size)
            alone = await engine.predict_many("S3", capital)
            expected = curves["S3"].predict(capital)
            assert all(getattr(alone, name).tobytes() == getattr(expected, name).tobytes() for name in COLUMNS)


async def test_predict_many_with_symbols_that_repeat(file: str) -> None:
    async with await PredictiveScalingEngine.open(file) as engine:
        await add_noise(engine, [f"S{k}" for k in range(9)])
        rng = np.random.default_rng(4)
        for n, m in ((2, None), (300, None), (30_000, None), (300, 7), (200, 0), (30, 3000)):
            # The first comes often, the others seldom.
            symbols = [f"S{k}" for k in np.minimum(rng.geometric(0.5, n) - 1, 8).tolist()] + ["S8"] * 2
            capital = rng.uniform(0.0, 2e6, (n + 2,) if m is None else (n + 2, m))
            found = await engine.predict_many(symbols, capital)
            assert found.efficiency.shape == capital.shape
            assert found.tolerance.shape == (n + 2,)
            for symbol in set(symbols):
                chosen = [k for k, other in enumerate(symbols) if other == symbol]
                expected = engine._state.models.curves[symbol].predict(capital[chosen].ravel())
                for name in COLUMNS:
                    assert getattr(found, name)[chosen].tobytes() == getattr(expected, name).tobytes()
        single = await engine.predict_efficiency("S1", 77.0)
        both = await engine.predict_many(["S1", "S1"], 77.0)
        assert both.efficiency.tolist() == [single.efficiency] * 2
        assert both.confidence.tolist() == [single.confidence] * 2
        with pytest.raises(CurveError, match=r"capital of shape \(3,\) does not fit 2 symbols"):
            await engine.predict_many(["S1", "S1"], [1.0, 2.0, 3.0])
        with pytest.raises(CurveError, match="capital must be"):
            await engine.predict_many(["S1", "S1"], ["1", "2"])


# --- allocations -----------------------------------------------------------------------------------------------------


async def with_two_lines(engine: PredictiveScalingEngine, system: ScalingConfig = FREE) -> None:
    """A returns C − 1e-6·C², B returns C − 2e-6·C²: 300,000 split 200,000 to 100,000."""
    await engine.store.set_config(dataclasses.replace(system, default_family="linear"))
    await add_line(engine, "A", 1.0, 1e-6)
    await add_line(engine, "B", 1.0, 2e-6)
    await engine.train()


async def test_allocations_are_recorded(url: str) -> None:
    async with await PredictiveScalingEngine.open(url) as engine:
        await with_two_lines(engine)
        found = await engine.optimize_allocation(["A", "B"], 300_000.0)
        assert found.amounts == pytest.approx([200_000.0, 100_000.0])
        stored = (await engine.store.allocations())[0]
        assert (stored.total, stored.status) == (300_000.0, "optimal")
        assert (stored.utility, stored.upper_bound) == (float(found.utility), float(found.upper_bound))
        assert stored.utility == pytest.approx(300_000.0 - 4e4 - 2e4)
        assert [(entry.symbol, entry.amount, entry.binding) for entry in stored.lines] == [
            (symbol, amount, "none") for symbol, amount in found.to_dict().items()
        ]
        await engine.optimize_allocation(["B", "A"], 300_000.0, upper={"B": 50_000.0})
        assert [entry.binding for entry in (await engine.store.allocations())[0].lines] == ["upper", "none"]
        with pytest.raises(InfeasibleError):
            await engine.optimize_allocation(["A", "B"], 1000.0, lower=[800.0, 800.0])
        for symbols, total, limits, says in (
            (["A", "A"], 1.0, {}, "symbols names 'A' twice"),
            (["A"], -1.0, {}, "total_capital must be"),
            (["A"], [1.0, 2.0], {}, "total_capital must be one number"),
            (["A"], 1.0, {"uper": 5.0}, "'uper' is no limit of an allocation; these are: min_efficiency, lower"),
            (["A"], 1.0, {"upper": {"B": 5.0}}, "upper names 'B', which is not among the symbols"),
            (["A"], 1.0, {"max_share": 2.0}, "max_share must be"),
            (["A"], 1.0, {"reserve": 1.0}, "reserve must be"),
        ):
            with pytest.raises(AllocationError, match=says):
                await engine.optimize_allocation(symbols, total, **limits)  # type: ignore[arg-type]
        assert len(await engine.store.allocations()) == 2


async def test_settings_are_defaults(url: str) -> None:
    config = EngineConfig(refresh_interval=LONG)  # settings count at once all the same
    async with await PredictiveScalingEngine.open(url, config) as engine:
        await with_two_lines(engine, ScalingConfig(min_efficiency=0.0))

        async def amounts(**limits: Any) -> list[float]:
            found = await engine.optimize_allocation(["A", "B"], 100_000.0, **limits)
            return [round(amount, 3) for amount in found.amounts.tolist()]

        # The system's: half of the total at most, a twentieth stays out.
        assert await amounts() == [50_000.0, 45_000.0]
        assert await amounts(reserve=0.0, max_share=1.0) == [66_666.667, 33_333.333]
        # The symbol's before the system's.
        await engine.store.set_symbol_config("A", SymbolConfig(max_share=0.1, upper=30_000.0))
        assert await amounts() == [10_000.0, 50_000.0]
        # An entry before the symbol's; those that are not named keep theirs.
        assert await amounts(max_share={"B": 0.2}) == [10_000.0, 20_000.0]
        assert await amounts(max_share={"A": 0.6}) == [30_000.0, 50_000.0]
        # A limit for all before everything.
        assert await amounts(max_share=0.2) == [20_000.0, 20_000.0]
        assert await amounts(max_share=[0.2, 0.3]) == [20_000.0, 30_000.0]
        await engine.store.set_symbol_config("A", SymbolConfig(lower=70_000.0, max_share=1.0))
        assert await amounts() == [70_000.0, 25_000.0]
        await engine.store.set_symbol_config("A", SymbolConfig(priority=0.0))
        assert await amounts() == [0.0, 50_000.0]
        await engine.store.set_symbol_config("A", SymbolConfig(min_ticket=60_000.0))
        assert await amounts() == [0.0, 50_000.0]
        await engine.store.remove_symbol_config("A")
        await engine.store.set_config(dataclasses.replace(FREE, min_efficiency=0.95, default_family="linear"))
        assert await amounts(remainder="hold") == [50_000.0, 25_000.0]
        assert await amounts(remainder="hold", min_efficiency={"A": 0.99}) == [10_000.0, 25_000.0]


async def test_families_by_settings(url: str) -> None:
    async with await PredictiveScalingEngine.open(url, EngineConfig(name="desk", refresh_interval=LONG)) as engine:
        await engine.store.set_config(ScalingConfig(default_family="sqrt"), "desk")
        await engine.store.set_symbol_config("B", SymbolConfig(family="quadratic"))
        await add_noise(engine, ["A", "B"])
        assert (await engine.train()).family_names == ["sqrt", "quadratic"]


async def test_rebalance(url: str) -> None:
    async with await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=LONG)) as engine:
        await with_two_lines(engine)

        def returned(a: float, b: float) -> float:
            return a - 1e-6 * a * a + b - 2e-6 * b * b

        plan = await engine.rebalance({"A": 150_000.0, "B": 150_000.0})
        assert plan.target == pytest.approx([200_000.0, 100_000.0])
        assert plan.trades == pytest.approx([50_000.0, -50_000.0])
        assert plan.to_dict() == pytest.approx({"A": 50_000.0, "B": -50_000.0})
        assert plan.current.tolist() == [150_000.0, 150_000.0]
        assert plan.drift == pytest.approx(1 / 6)
        assert (plan.threshold, plan.worth_it) == (0.1, True)
        assert plan.gain == pytest.approx(returned(2e5, 1e5) - returned(1.5e5, 1.5e5))
        assert plan.symbols == ("A", "B")
        assert plan.gain == pytest.approx(7500.0)

        near = await engine.rebalance({"B": 110_000.0, "A": 190_000.0})
        assert near.trades == pytest.approx([-10_000.0, 10_000.0])
        assert near.drift == pytest.approx(1 / 30)
        assert not near.worth_it

        # 90,000 more: 60,000 and 30,000 of them; 60,000 less likewise; all of it.
        held = {"A": 200_000.0, "B": 100_000.0}
        inflow = await engine.rebalance(held, 390_000.0)
        assert inflow.trades == pytest.approx([60_000.0, 30_000.0])
        assert inflow.drift == pytest.approx(90 / 390)
        outflow = await engine.rebalance(held, 240_000.0)
        assert outflow.trades == pytest.approx([-40_000.0, -20_000.0])
        assert outflow.drift == pytest.approx(60 / 300)
        nothing = await engine.rebalance(held, 0.0)
        assert nothing.trades == pytest.approx([-200_000.0, -100_000.0])
        assert (nothing.drift, nothing.worth_it) == (1.0, True)
        assert nothing.gain == pytest.approx(-returned(2e5, 1e5))
        empty = await engine.rebalance({"A": 0.0, "B": 0.0})
        assert (empty.drift, empty.gain, empty.worth_it) == (0.0, 0.0, False)

        # With limits; money elsewhere returns 0.5, the priorities count.
        costly = await engine.rebalance({"A": 300_000.0}, hurdle=0.5)
        assert costly.target == pytest.approx([250_000.0])
        assert costly.gain == pytest.approx((250e3 - 62.5e3 - 125e3) - (300e3 - 90e3 - 150e3))
        twice = await engine.rebalance({"A": 150_000.0, "B": 150_000.0}, priority=2.0)
        assert twice.gain == pytest.approx(15_000.0)
        await engine.store.set_config(dataclasses.replace(FREE, rebalance_threshold=0.5))
        assert not (await engine.rebalance({"A": 150_000.0, "B": 150_000.0})).worth_it
        assert await engine.store.allocations() == []

        for bad, says in (
            ({"A": -1.0}, "current"),
            ([("A", 1.0)], "current must be a mapping"),
            ({"A": "x"}, "current"),
        ):
            with pytest.raises(AllocationError, match=says):
                await engine.rebalance(bad)  # type: ignore[arg-type]
        with pytest.raises(AllocationError, match="total_capital"):
            await engine.rebalance({"A": 1.0}, math.nan)
        with pytest.raises(InfeasibleError):
            await engine.rebalance({"A": 1.0}, lower=5.0)


# --- events ----------------------------------------------------------------------------------------------------------


async def waiting(stream: EventStream) -> list[RegimeChange]:
    """Give the events that are there already."""
    found = []
    while True:
        try:
            found.append(await asyncio.wait_for(anext(stream), 0.05))
        except (TimeoutError, StopAsyncIteration):
            return found


async def listen(engine: PredictiveScalingEngine) -> list[RegimeChange]:
    return [event async for event in engine.events()]


async def test_events(url: str) -> None:
    """A of efficiency 1 − 1e-6·C: saturated at 100,000, exhausted at 500,000; after the second training at half that."""
    async with await PredictiveScalingEngine.open(url) as engine:
        await engine.store.set_config(dataclasses.replace(FREE, default_family="linear"))
        listeners = [asyncio.create_task(listen(engine)) for _ in range(2)]
        await asyncio.sleep(0)
        await engine.add_efficiency_record("A", 50_000.0, 0.95)
        await add_line(engine, "A", 1.0, 1e-6, np.linspace(5e4, 4e5, 8)[::-1].copy())
        await engine.train()
        for capital in (90_000.0, 150_000.0, 200_000.0, 600_000.0, 80_000.0):
            await engine.add_efficiency_record("A", capital, max(0.0, 1.0 - 1e-6 * capital))
        await engine.rebalance({"A": 120_000.0})
        before = datetime.datetime.now(UTC)
        await engine.rebalance({"A": 60_000.0})
        await engine.rebalance({"A": 0.0})
        await engine.rebalance({"A": 60_000.0})
        await engine.add_efficiency_records(
            [{"symbol": "A", "capital": c, "efficiency": 1.0 - 2e-6 * c, "weight": 1e12} for c in (2e5, 1e5, 6e4)]
        )
        await engine.predict_efficiency("A", 1.0)  # trains: 60,000 is beyond saturation now
    first, second = await asyncio.gather(*listeners)
    assert first == second
    working, saturated, exhausted = Regime.WORKING, Regime.SATURATED, Regime.EXHAUSTED
    seen = [(event.before, event.after) for event in first]
    assert seen == [
        (working, saturated), (saturated, exhausted), (exhausted, working),  # by records
        (working, saturated), (saturated, working),  # by rebalancing
        (working, saturated),  # by a new training
    ]  # fmt: skip
    assert [event.capital for event in first] == [150e3, 600e3, 80e3, 120e3, 60e3, 60e3]
    assert {event.symbol for event in first} == {"A"}
    assert first[0].saturation == pytest.approx(100_000.0)
    assert first[0].capacity == pytest.approx(500_000.0)
    assert first[-1].saturation == pytest.approx(50_000.0)
    assert first[0].at <= before <= first[4].at <= datetime.datetime.now(UTC)


async def test_subscriptions(url: str) -> None:
    engine = await PredictiveScalingEngine.open(url)
    await engine.store.set_config(dataclasses.replace(FREE, default_family="linear"))
    await engine.add_efficiency_record("A", 1e4, 0.9)
    await engine.train()
    early = engine.events()
    dropped = engine.events()
    del dropped
    await add_line(engine, "A", 1.0, 1e-6)
    await engine.add_efficiency_record("A", 5e4, 0.95)
    await engine.train()
    late = engine.events()
    await engine.add_efficiency_record("A", 2e5, 0.8)
    found = await waiting(early)  # from the call on, though nobody waited
    assert [(event.before, event.after) for event in found] == [
        (Regime.UNKNOWN, Regime.WORKING),
        (Regime.WORKING, Regime.SATURATED),
    ]
    left = engine.events()
    await left.aclose()
    await engine.rebalance({"A": 1.0})
    await engine.close()
    # What had happened before the end is still told.
    assert [event.after async for event in late] == [Regime.SATURATED, Regime.WORKING]
    assert [event async for event in engine.events()] == []
    assert len(engine._state.regimes.subscribers) <= 2


# --- records in bulk -------------------------------------------------------------------------------------------------


async def test_records_in_bulk(url: str) -> None:
    import pandas

    when = datetime.datetime(2024, 5, 6, tzinfo=UTC)
    columns = {
        "symbol": ["A", "B", "A"],
        "capital": [1e4, 2e4, 3e4],
        "efficiency": [0.9, 0.8, 0.7],
        "weight": [1.0, 2.0, 0.0],
        "observed_at": [when] * 3,
        "source": ["desk", "system", "desk"],
        "metrics": [{"roi": 0.1}, None, {"roi": 0.3}],
    }
    frame = pandas.DataFrame(columns).drop(columns="metrics").rename(columns={"observed_at": "time"})
    few = [
        {"symbol": "A", "capital": 1.0, "efficiency": 1},
        {"symbol": "A", "capital": 2, "efficiency": 0.5, "metrics": {}},
    ]
    async with await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=LONG)) as engine:
        assert await engine.add_efficiency_records(columns) == 3
        assert await engine.store.metrics_of("A") == {1: {"roi": 0.1}, 3: {"roi": 0.3}}
        await engine.predict_many(["A", "B"], 1.0)
        assert await engine.add_efficiency_records(frame) == 3
        assert (await engine.stats())["stale"] == 2
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        assert await engine.add_efficiency_records(rows) == 3
        assert await engine.add_efficiency_records(iter(few)) == 2
        assert await engine.add_efficiency_records(frame.iloc[:0]) == 0
        found = await engine.store.records()
        assert found.capital.tolist() == [1e4, 2e4, 3e4] * 3 + [1.0, 2.0]
        assert found.weight.tolist() == [1.0, 2.0, 0.0] * 3 + [1.0, 1.0]
        assert set(found.observed_at[:9].tolist()) == {when.replace(tzinfo=None)}

        for bad, says in (
            ("A", "batch must be a data frame, columns by name, or one mapping a record"),
            (5, "batch must be a data frame"),
            ([1, 2], "batch must be a data frame"),
            ({"symbol": ["A"], "capital": [1.0]}, "batch has no column 'efficiency'; known are symbol, capital"),
            (frame.assign(roi=1.0), "batch has a column 'roi' that is not known; known are"),
            ([few[0], {"symbol": "B", "capital": 1.0}], r"batch\[1\] has no 'efficiency'"),
            ([few[0], {**few[0], "efficiency": 1.5}], r"efficiency\[1\] = 1.5"),
            ({**columns, "capital": [1.0, 2.0]}, "capital of shape"),
            ({**columns, "symbol": ["A", 5, "A"]}, r"symbols\[1\] = 5"),
            ({**columns, "source": ["desk"]}, "sources has 1 entries"),
            (few[0], "symbols must be a sequence"),
        ):
            with pytest.raises(RecordError, match=says):
                await engine.add_efficiency_records(bad)
        with pytest.raises(RecordError, match="efficiency must be"):
            await engine.add_efficiency_record("A", 1.0, -0.1)
        assert len(await engine.store.records()) == len(found)


# --- settings, figures, secrets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": ""}, "name must be text that is not empty, not ''"),
        ({"name": 5}, "name must be text"),
        ({"level": 1.0}, r"level must be in \(0, 1\), but level = 1.0"),
        ({"level": [0.5, 0.6]}, "level must be one number"),
        ({"tolerance": -1.0}, "tolerance must be"),
        ({"drop": 0.0}, "drop must be"),
        ({"half_life": 0.0}, "half_life must be"),
        ({"half_life": datetime.timedelta(1)}, "half_life must be real numbers"),
        ({"refresh_interval": math.nan}, "refresh_interval must be"),
        ({"cache_size": -1}, "cache_size must be an integer"),
        ({"cache_size": 1.5}, "cache_size must be an integer"),
        ({"threads": 0}, "threads must be an integer of at least 1"),
    ],
)
def test_engine_config_errors(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        EngineConfig(**fields)


async def test_what_is_no_config(file: str) -> None:
    with pytest.raises(ConfigError, match="config must be an EngineConfig, not ScalingConfig"):
        await PredictiveScalingEngine.open(file, ScalingConfig())  # type: ignore[arg-type]
    assert not Path(file).exists()


async def test_config_counts(file: str) -> None:
    config = EngineConfig(level=0.5, tolerance=0.01, drop=0.5)
    async with await PredictiveScalingEngine.open(file, config) as engine:
        await add_noise(engine, ["A"])
        found = await engine.predict_efficiency("A", 5e4)
        curve = engine._state.models.curves["A"]
        at = curve.predict(5e4, level=0.5, tolerance=0.01)
        assert (found.low, found.high, found.confidence) == (at.low[0], at.high[0], at.confidence[0])
        point = (await engine.saturation_points())["A"]
        assert (point.saturation, point.drop) == (curve.saturation(0.5).saturation[0], 0.5)
        assert (await engine.store.saturation_points())["A"] == point
    async with await PredictiveScalingEngine.open(file, EngineConfig(drop=0.2)) as engine:
        # Another engine's trainings count by one's own drop.
        point = (await engine.saturation_points())["A"]
        assert (point.saturation, point.drop) == (curve.saturation(0.2).saturation[0], 0.2)
        assert (await engine.model_info("A")).saturation == point.saturation


async def test_stats(url: str) -> None:
    async with await PredictiveScalingEngine.open(url) as engine:
        await add_noise(engine, ["A", "B"])
        await engine.predict_efficiency("A", 5e4)
        await engine.predict_efficiency("A", 5e4)
        await engine.optimize_allocation(["A", "B"], 1e5)
        await engine.add_efficiency_record("B", 1.0, 0.5)
        stats = await engine.stats()
        store = stats.pop("store")
        assert stats == {
            "symbols": 2, "models": 2, "stale": 1, "cached": 1, "cache_hits": 1, "cache_misses": 1,
            "trainings": 1, "models_trained": 2,
        }  # fmt: skip
        assert (store["rows"]["efficiency_record"], store["rows"]["allocation"]) == (41, 1)
        assert repr(engine) == f"<PredictiveScalingEngine over {engine.store.url}: 2 symbols>"


async def test_a_closed_engine(url: str) -> None:
    engine = await PredictiveScalingEngine.open(url)
    await add_line(engine, "A", 0.9, 1e-6)
    waiting_task = asyncio.create_task(listen(engine))
    await asyncio.sleep(0)
    adding = asyncio.gather(*(engine.add_efficiency_record("A", 1.0 + k, 0.5) for k in range(50)))
    await asyncio.sleep(0)
    await engine.close()
    assert sorted(await adding) == list(range(15, 65))  # what was on its way is written
    assert await asyncio.wait_for(waiting_task, 5.0) == []
    await engine.close()
    with pytest.raises(StoreError, match="is closed"):
        await engine.add_efficiency_record("A", 1.0, 0.5)
    with pytest.raises(StoreError, match="is closed"):
        await engine.predict_efficiency("A", 1.0)


async def test_the_password_is_never_shown(postgres: Server) -> None:
    postgres.create("engine_secret")
    url = postgres.url("engine_secret", password="hunter2'%40")
    async with await PredictiveScalingEngine.open(url) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        shown = repr(engine) + str(await engine.stats()) + str(vars(engine.store)) + repr(engine.config)
    with pytest.raises(StoreError) as caught:
        await engine.train()
    assert "hunter2" not in shown + str(caught.value) + repr(caught.value)


# --- examples --------------------------------------------------------------------------------------------------------

EXAMPLES = sorted((ROOT / "tests/examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples(example: Path, tmp_path: Path) -> None:
    assert len(example.read_text().splitlines()) <= 30
    command = [sys.executable, str(example)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    expected = example.read_text().split("Prints:\n", 1)[1].split('"""', 1)[0].strip()
    assert [line.rstrip() for line in done.stdout.splitlines()] == [line.rstrip() for line in expected.splitlines()]


def test_there_are_four_examples() -> None:
    assert len(EXAMPLES) == 4
    assert escala.PredictiveScalingEngine.__module__ == "escala.engine.engine"


# --- tasks beside each other -----------------------------------------------------------------------------------------


async def test_a_wait_for_events_that_is_given_up_loses_none(tmp_path: Path) -> None:
    async with await PredictiveScalingEngine.open(tmp_path / "store.db") as engine:
        await engine.store.set_config(dataclasses.replace(FREE, default_family="linear"))
        await add_line(engine, "A", 1.0, 1e-6)
        await engine.train()
        stream = engine.events()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.01)
        await engine.rebalance({"A": 1.0})
        await engine.rebalance({"A": 2e5})
        assert [(await anext(stream)).after for _ in range(2)] == [Regime.WORKING, Regime.SATURATED]


async def test_whoever_has_no_patience_is_answered_by_the_training_of_others(tmp_path: Path) -> None:
    async with await PredictiveScalingEngine.open(tmp_path / "store.db") as engine:
        rng = np.random.default_rng(0)
        n = 200_000
        capital = rng.uniform(1e3, 1e6, n)
        batch = {"symbol": ["A"] * n, "capital": capital, "efficiency": 0.9 - 3e-7 * capital}
        await engine.add_efficiency_records(batch)
        for _ in range(2000):  # each waits less than the training takes
            try:
                found = await asyncio.wait_for(engine.predict_efficiency("A", 5e4), 0.05)
                break
            except TimeoutError:
                continue
        assert found.efficiency == pytest.approx(0.885)
        assert await counted(engine) == (1, 1)


async def test_closing_ends_what_has_begun_and_refuses_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    engine = await PredictiveScalingEngine.open(path)
    n = 30_000
    batch = {"symbol": ["A"] * n, "capital": np.linspace(1e3, 1e6, n), "efficiency": np.full(n, 0.5)}
    adds = [asyncio.create_task(engine.add_efficiency_records(batch)) for _ in range(3)]
    await asyncio.sleep(0.05)
    await engine.close()
    answers = await asyncio.gather(*adds, return_exceptions=True)
    assert all(answer == n or isinstance(answer, StoreError) for answer in answers)
    async with await PredictiveScalingEngine.open(path) as again:
        kept = (await again.stats())["store"]["rows"]["efficiency_record"]
    assert kept == n * answers.count(n)
    with pytest.raises(StoreError, match="closed"):
        await engine.predict_efficiency("A", 1e4)


async def test_old_models_are_trained_once_for_all_who_ask(tmp_path: Path) -> None:
    async with await PredictiveScalingEngine.open(tmp_path / "store.db") as engine:
        await engine.store.set_config(dataclasses.replace(FREE, update_interval=1e-3))
        await add_line(engine, "A", 0.9, 1e-6)
        await asyncio.sleep(0.01)
        await asyncio.gather(*(engine.predict_efficiency("A", 1e4 + k) for k in range(200)))
        assert (await counted(engine))[0] <= 3


async def test_odd_arguments_are_refused_and_forgotten(tmp_path: Path) -> None:
    import pandas

    async with await PredictiveScalingEngine.open(tmp_path / "store.db") as engine:
        await engine.store.set_config(FREE)
        await add_line(engine, "A", 0.9, 1e-6)
        await add_line(engine, "B", 0.8, 1e-6)
        with pytest.raises(AllocationError, match="current must map each symbol to one number"):
            await engine.rebalance({"A": [1e4], "B": [1e4]})  # type: ignore[dict-item]
        assert (await engine.predict_efficiency("A", 1e4)).efficiency == pytest.approx(0.89)
        swapped = pandas.Series({"B": 1.0, "A": 5e4})
        split = await engine.optimize_allocation(["A", "B"], 1e5, upper=swapped)
        assert split.to_dict() == {"A": 5e4, "B": 1.0}
        for symbols in ([["A"]], [None]):
            with pytest.raises(UnknownSymbolError):
                await engine.train(symbols)  # type: ignore[arg-type]
        with pytest.raises(RecordError, match="symbols must be text or a sequence of it, not 5"):
            await engine.optimize_allocation(5, 1e5)  # type: ignore[arg-type]
        both = {"symbol": ["A"], "capital": [1.0], "efficiency": [0.5], "time": [1.0], "observed_at": [1.0]}
        with pytest.raises(RecordError, match="both columns 'time' and 'observed_at'"):
            await engine.add_efficiency_records(both)
        assert str((await engine.predict_efficiency("A", -0.0)).capital) == "0.0"
        assert type((await engine.predict_efficiency(np.str_("A"), 7e4)).symbol) is str


async def test_frames_of_any_index(tmp_path: Path) -> None:
    import pandas

    capital = [1e4, 2e4, 4e4, 8e4]
    columns = {"symbol": ["A"] * 4, "capital": capital, "efficiency": [0.9, 0.88, 0.84, 0.76]}
    frame = pandas.DataFrame(columns, index=[0.5, 1.5, 7e4, 1.7e9])
    assert same(fit(frame), fit(columns))
    async with await PredictiveScalingEngine.open(tmp_path / "store.db") as engine:
        assert await engine.add_efficiency_records(frame) == 4
        assert same(await engine.train(), fit(columns))


async def test_curves_are_up_to_date(url: str) -> None:
    async with await PredictiveScalingEngine.open(url) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        await add_line(engine, "B", 0.8, 1e-6)
        found = await engine.curves()
        assert sorted(found.symbols) == ["A", "B"]
        await add_line(engine, "B", 0.4, 0.0)
        [b] = await engine.curves("B")
        assert b.n_points[0] == 2 * CAPITAL.size
        assert b.efficiency(1e5)[0] == (await engine.predict_efficiency("B", 1e5)).efficiency
        assert (await engine.stats())["trainings"] == 2
        with pytest.raises(UnknownSymbolError, match="there are no records of 'AA'; did you mean A"):
            await engine.curves(["A", "AA"])
