"""Allocations of an engine: limits, the settings behind them, and what is worth trading."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from escala import AllocationError, EngineConfig, InfeasibleError, PredictiveScalingEngine, ScalingConfig, SymbolConfig
from tests.engines import FREE, LONG, add_line, add_noise


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
            (["A"], 1.0, {"upper": {"A": -5.0}}, r"upper must be .*, but upper\['A'\] = -5.0"),
            (["A"], 1.0, {"max_share": 2.0}, "max_share must be"),
            (["A"], 1.0, {"reserve": 1.0}, "reserve must be"),
            (
                ["A"],
                1.0,
                {"min_count": 1, "max_count": 0},
                "min_count must not exceed max_count, but min_count = 1 and",
            ),
            (["A"], None, {}, "total must be given, or a target"),
            (["A"], 1.0, {"groups": {"B": "x"}}, "groups names 'B', which is not among the symbols"),
            (["A"], 1.0, {"target_utility": [1.0, 2.0]}, "target_utility must be one number, not of shape"),
        ):
            with pytest.raises(AllocationError, match=says):
                await engine.optimize_allocation(symbols, total, **limits)  # type: ignore[arg-type]
        assert len(await engine.store.allocations()) == 2


async def test_targets_and_groups_of_some_symbols(url: str) -> None:
    async with await PredictiveScalingEngine.open(url) as engine:
        await with_two_lines(engine)
        whole = await engine.optimize_allocation(["A", "B"], 300_000.0)
        found = await engine.optimize_allocation(["A", "B"], target_utility=float(whole.utility))
        assert float(found.total) == pytest.approx(300_000.0, rel=1e-9)
        assert (await engine.store.allocations())[0].total == float(found.total)
        limited = await engine.optimize_allocation(
            ["A", "B"], 300_000.0, groups={"A": ("x", "y")}, group_upper={"x": 5e4}
        )
        assert limited.amounts.tolist() == [50_000.0, 250_000.0]
        assert limited.binding_groups.tolist() == ["x", ""]
        listed = await engine.optimize_allocation(["A", "B"], 300_000.0, groups={"x": ["A"]}, group_upper=5e4)
        assert listed.amounts.tolist() == limited.amounts.tolist()
        whole = await engine.optimize_allocation(["A", "B"], 300_000.0, lots={"A": 40_000.0}, max_count=2)
        assert whole.amounts[0] % 40_000.0 == 0.0
        assert whole.amounts[1] % 40_000.0 != 0.0
        one = await engine.rebalance({"A": 2e5, "B": 1e5}, max_count=1, lots=50_000.0)
        assert (one.target > 0.0).sum() == 1
        says = "'target_utility' is no limit of an allocation"
        with pytest.raises(AllocationError, match=says):
            await engine.rebalance({"A": 1.0, "B": 1.0}, target_utility=1.0)


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


async def test_cash_counts_as_what_it_is(tmp_path: Path) -> None:
    async with await PredictiveScalingEngine.open(tmp_path / "s.db", EngineConfig(refresh_interval=LONG)) as engine:
        await with_two_lines(engine)

        def returned(a: float, b: float) -> float:
            return a - 1e-6 * a * a + b - 2e-6 * b * b

        held = {"A": 200_000.0, "B": 100_000.0}
        plan = await engine.rebalance(held, reserve=0.4)  # 120,000 become cash
        assert plan.trades == pytest.approx([-80_000.0, -40_000.0])
        assert plan.gain == pytest.approx(returned(1.2e5, 0.6e5) + 1.2e5 - returned(2e5, 1e5))
        assert plan.worth_it
        half = await engine.rebalance(held, reserve=0.4, hurdle=0.5)
        assert half.gain == pytest.approx(plan.gain - 0.5 * 1.2e5)
        worthless = await engine.rebalance(held, reserve=0.4, hurdle=0.0)
        assert worthless.gain == pytest.approx(plan.gain - 1.2e5)
        assert worthless.drift == pytest.approx(0.4)
        assert not worthless.worth_it
        idle = await engine.rebalance({"A": 0.0, "B": 0.0}, 3e5)  # cash that did nothing
        assert idle.gain == pytest.approx(returned(2e5, 1e5))
        assert idle.worth_it
        dear = await engine.rebalance({"A": 0.0, "B": 0.0}, 3e5, hurdle=1.0)  # nothing returns more than cash does
        assert (dear.gain, dear.worth_it) == (0.0, False)
        forced = await engine.rebalance(held, upper={"A": 100_000.0}, spend="exactly")
        assert forced.gain < 0.0
        assert not forced.worth_it


async def test_a_trade_must_gain_more_than_it_costs(tmp_path: Path) -> None:
    async with await PredictiveScalingEngine.open(tmp_path / "s.db", EngineConfig(refresh_interval=LONG)) as engine:
        await with_two_lines(engine)
        held = {"A": 150_000.0, "B": 150_000.0}  # marginals are 0.7 and 0.4; a unit moved brings them 6e-6 together
        cheap = await engine.rebalance(held, trade_cost=0.02)
        assert cheap.trades == pytest.approx([0.26 / 6e-6, -0.26 / 6e-6])
        assert cheap.cost == pytest.approx(0.04 * 0.26 / 6e-6)
        assert cheap.gain == pytest.approx(0.5 * 0.26 * 0.26 / 6e-6)
        assert cheap.worth_it
        dear = await engine.rebalance(held, trade_cost=(0.1, {"A": 0.0, "B": 0.2}))
        assert (dear.trades.tolist(), dear.cost, dear.gain, dear.worth_it) == ([0.0, 0.0], 0.0, 0.0, False)
        fixed = await engine.rebalance(held, fixed_cost=3000.0)  # 7,500 are gained by moving 50,000
        assert (fixed.cost, fixed.gain) == pytest.approx((6000.0, 1500.0))
        assert (await engine.rebalance(held, fixed_cost={"A": 0.0, "B": 8000.0})).trades.tolist() == [0.0, 0.0]
        assert (await engine.rebalance(held)).cost == 0.0
        for bad in (-0.1, 500.0, math.nan):
            with pytest.raises(AllocationError, match=r"trade_cost must be in \[0, 1\], but trade_cost = "):
                await engine.rebalance(held, trade_cost=bad)


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
        assert nothing.gain == pytest.approx(3e5 - returned(2e5, 1e5))  # all of it becomes cash
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
            ({"A": -1.0}, r"current must be .*, but current\['A'\] = -1.0"),
            ([("A", 1.0)], "current must be a mapping"),
            ({"A": "x"}, "current"),
        ):
            with pytest.raises(AllocationError, match=says):
                await engine.rebalance(bad)  # type: ignore[arg-type]
        with pytest.raises(AllocationError, match="total_capital"):
            await engine.rebalance({"A": 1.0}, math.nan)
        with pytest.raises(InfeasibleError):
            await engine.rebalance({"A": 1.0}, lower=5.0)
