"""The engine over the store, on SQLite and on a real PostgreSQL: what it remembers, predicts and refuses."""

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
import pytest

import escala
from escala import (
    AllocationError,
    ConfigError,
    CurveError,
    EngineConfig,
    PredictiveScalingEngine,
    RecordError,
    ScalingConfig,
    StoreError,
    UnknownSymbolError,
    fit,
)
from escala.curves.fitting import fit_seen
from escala.engine.models import utc
from escala.tables import ENGINE_SETTINGS
from tests.engines import CAPITAL, FREE, LONG, UTC, add_line, add_noise, counted, listen, same
from tests.places import ROOT
from tests.postgres import Server

# --- the three calls --------------------------------------------------------------------------------------------------


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


# --- the cache --------------------------------------------------------------------------------------------------------


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
    config = EngineConfig(cache_size=size, refresh_interval=0.0, refresh_timeout=LONG)
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
    async with await PredictiveScalingEngine.open(
        url, EngineConfig(refresh_interval=0.05, refresh_timeout=LONG)
    ) as engine:
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
            model = engine._state.models[symbol]
            assert utc(model.trained_at) == found.as_of
            assert model.seen >= least
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
        assert same(engine._state.models.take(symbols), expected[symbols])


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
            seen = records.observed_at.astype(np.int64) * 1e-6
            curves = fit_seen(records.symbol, records.capital, records.efficiency, seen, family="auto", weights=None)
            expected = curves.efficiency(5e4)[0]
            assert (await engine.predict_efficiency("A", 5e4)).efficiency == expected


# --- many predictions -------------------------------------------------------------------------------------------------


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
                expected = engine._state.models[symbol].curve.predict(capital[chosen].ravel())
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
        with pytest.raises(UnknownSymbolError, match="there are no records of 'AA'; did you mean 'A'"):
            await engine.curves(["A", "AA"])


# --- records in bulk --------------------------------------------------------------------------------------------------


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


async def test_frames_of_any_index(tmp_path: Path) -> None:
    import pandas

    capital = [1e4, 2e4, 4e4, 8e4]
    columns = {"symbol": ["A"] * 4, "capital": capital, "efficiency": [0.9, 0.88, 0.84, 0.76]}
    frame = pandas.DataFrame(columns, index=[0.5, 1.5, 7e4, 1.7e9])
    assert same(fit(frame), fit(columns))
    async with await PredictiveScalingEngine.open(tmp_path / "store.db") as engine:
        assert await engine.add_efficiency_records(frame) == 4
        assert same(await engine.train(), fit(columns))


# --- settings, figures, secrets ---------------------------------------------------------------------------------------


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


def test_the_settings_are_those_of_the_tables() -> None:
    numbers = [field for field in dataclasses.fields(EngineConfig) if field.name not in ("name", "threads")]
    assert [(field.name, field.default) for field in numbers] == [(row.name, row.default) for row in ENGINE_SETTINGS]
    documented = EngineConfig.__doc__ or ""
    assert all(row.name in documented for row in ENGINE_SETTINGS)


async def test_what_is_no_config(file: str) -> None:
    with pytest.raises(ConfigError, match="config must be an EngineConfig, not ScalingConfig"):
        await PredictiveScalingEngine.open(file, ScalingConfig())  # type: ignore[arg-type]
    assert not Path(file).exists()


async def test_config_counts(file: str) -> None:
    config = EngineConfig(level=0.5, tolerance=0.01, drop=0.5)
    async with await PredictiveScalingEngine.open(file, config) as engine:
        await add_noise(engine, ["A"])
        found = await engine.predict_efficiency("A", 5e4)
        curve = engine._state.models["A"].curve
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
        assert 1 <= stats.pop("trainings") <= 3  # whether B's, beside, was in time for the allocation
        assert 2 <= stats.pop("models_trained") <= 3
        assert stats == {
            "symbols": 2, "models": 2, "stale": 1, "cached": 1, "cache_hits": 1, "cache_misses": 1,
            "records": 40,
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


# --- examples ---------------------------------------------------------------------------------------------------------


EXAMPLES = sorted((ROOT / "tests/examples").glob("*.py"))


@pytest.mark.slow
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
