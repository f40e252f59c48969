"""When an engine trains, and what of: its own records, those of others, old ones that count less."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from escala import CurveSet, EngineConfig, PredictiveScalingEngine, ScalingConfig, SymbolConfig, fit
from tests.engines import CAPITAL, FREE, LONG, add_line, add_noise, counted, line, same


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
        await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=0.0, refresh_timeout=LONG)) as at_once,
        await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=0.3, refresh_timeout=LONG)) as soon,
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
        await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=0.0, refresh_timeout=LONG)) as ours,
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


@pytest.mark.slow
async def test_another_process_is_seen(url: str) -> None:
    async with await PredictiveScalingEngine.open(
        url, EngineConfig(refresh_interval=0.0, refresh_timeout=LONG)
    ) as engine:
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
        await engine.store.set_config(ScalingConfig(update_interval=1000.0))
        await add_line(engine, "A", 0.9, 1e-6)
        await engine.train()
        first = await engine.predict_efficiency("A", 1e5)
        assert await engine.predict_efficiency("A", 1e5) is first
        with pytest.MonkeyPatch.context() as later:
            clock = time.time
            later.setattr(time, "time", lambda: clock() + 2000.0)
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
        await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=0.0, refresh_timeout=LONG)) as remembers,
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
        assert plan.gain == 50.0  # what nobody knows a return of is cash then
        assert plan.allocation.binding_names.tolist() == ["no_curve"]


@pytest.mark.slow
async def test_whoever_has_no_patience_is_answered_by_the_training_of_others(tmp_path: Path) -> None:
    async with await PredictiveScalingEngine.open(tmp_path / "store.db") as engine:
        rng = np.random.default_rng(0)
        n = 200_000
        capital = rng.uniform(1e3, 1e6, n)
        batch = {"symbol": ["A"] * n, "capital": capital, "efficiency": 0.9 - 3e-7 * capital}
        await engine.add_efficiency_records(batch)
        for _ in range(20_000):  # each waits less than the training takes
            try:
                found = await asyncio.wait_for(engine.predict_efficiency("A", 5e4), 0.05)
                break
            except TimeoutError:
                continue
        assert found.efficiency == pytest.approx(0.885)
        assert await counted(engine) == (1, 1)


async def test_old_models_are_trained_once_for_all_who_ask(tmp_path: Path) -> None:
    async with await PredictiveScalingEngine.open(tmp_path / "store.db") as engine:
        await engine.store.set_config(dataclasses.replace(FREE, update_interval=1e-3))
        await add_line(engine, "A", 0.9, 1e-6)
        await asyncio.sleep(0.01)
        await asyncio.gather(*(engine.predict_efficiency("A", 1e4 + k) for k in range(200)))
        assert (await counted(engine))[0] <= 3


@pytest.mark.parametrize("family", ["ladder", "depth", "power"])
async def test_families_of_the_settings_answer_after_a_restart_too(url: str, family: str) -> None:
    capital = np.geomspace(1e3, 1e7, 25)
    efficiency = 0.999 * np.minimum(1.0, 4e5 / capital) - 1e-4 * np.sin(capital)
    async with await PredictiveScalingEngine.open(url) as engine:
        await engine.store.set_config(dataclasses.replace(FREE, default_family="linear"))
        await engine.store.set_symbol_config("A", SymbolConfig(family=family))
        for symbol in ("A", "B"):
            batch = {"symbol": [symbol] * 25, "capital": capital, "efficiency": efficiency}
            await engine.add_efficiency_records(batch)
        await engine.train()
        first = await engine.predict_efficiency("A", 3e5)
        info = await engine.model_info("A")
        points = await engine.saturation_points()
        found = await engine.optimize_allocation(["A", "B"], 1e6)
        plan = await engine.rebalance({"A": 4e5, "B": 4e5})  # within what the records of both allow
    expected = fit(["A"], [capital], [efficiency], family=family)
    assert (info.family, info.params) == (family, tuple(expected.params[0].tolist()))
    assert first.efficiency == expected.efficiency(3e5)[0]
    assert points["A"].ceiling == expected.saturation().ceiling[0]
    assert points["A"].saturation == expected.saturation().saturation[0]
    assert found.gap <= 1e-9
    assert plan.gain >= 0.0
    assert plan.target.sum() <= 1e6 * (1.0 + 1e-12)
    async with await PredictiveScalingEngine.open(url) as other:
        again = await other.predict_efficiency("A", 3e5)
        assert (again.efficiency, again.low, again.high) == (first.efficiency, first.low, first.high)
        assert await other.saturation_points() == points
        assert (await other.curves("A")).family_names == [family]
