"""Models, settings and allocations in the store, on SQLite and on a real PostgreSQL, whoever else writes."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escala import (
    AllocationError,
    ConfigError,
    CurveError,
    CurveSet,
    FitStatus,
    InputError,
    RecordError,
    ScalingConfig,
    Store,
    StoreError,
    SymbolConfig,
    allocate,
)
from escala.store import schema
from escala.tables import SYMBOL_SETTINGS, SYSTEM_SETTINGS, Table, names
from tests.stores import DATE, UTC, run_sql, same_bits, some_curves

# --- models -----------------------------------------------------------------------------------------------------------


async def test_models_come_back_to_the_bit(url: str) -> None:
    fitted = some_curves()
    assert {FitStatus.OK, FitStatus.TOO_FEW_POINTS, FitStatus.CONSTANT, FitStatus.DEGENERATE} == set(fitted.status)
    plain = CurveSet.from_params(["P", "Q"], ["exponential", "sqrt"], [[0.4, 1e-6, 0.6], [-0.0, 0.5, 0.0]], origin=5.0)
    assert np.signbit(plain.params[1, 0])
    last = np.arange(100, 100 + len(fitted))
    async with await Store.open(url) as store:
        first = await store.save_models(fitted, last_record_id=last, trained_at=DATE)
        second = await store.save_models(plain, last_record_id=[7, 2**53])
        found = await store.models()
        assert await store.latest_version() == second[-1] == found.version[-1]
        newer = await store.models(newer_than=int(first[-1]))
        chosen = await store.models(["S3", "nobody", "Q"])
    assert same_bits(found.curves[: len(fitted)], fitted)
    assert same_bits(found.curves[len(fitted) :], plain)
    assert same_bits(newer.curves, plain)
    assert same_bits(chosen.curves[:1], fitted["S3"])
    assert found.version.tolist() == [*first, *second] == list(range(1, len(fitted) + 3))
    assert found.last_record_id.tolist() == [*last, 7, 2**53]
    assert found.trained_at[: len(fitted)].tolist() == [DATE] * len(fitted)
    assert np.array_equal(found.curves[3:12].draw_params(5, seed=1), fitted[3:].draw_params(5, seed=1), equal_nan=True)
    ours, theirs = found.curves[: len(fitted)].predict(2e5), fitted.predict(2e5)
    assert ours.confidence.tobytes() == theirs.confidence.tobytes()
    for name in ("peak", "saturation_low", "capacity_high"):
        assert getattr(found.curves.saturation(), name)[:12].tobytes() == getattr(fitted.saturation(), name).tobytes()


async def test_ladders_come_back_with_their_steps(url: str) -> None:
    ladders = CurveSet.from_ladders(
        ["L", "M"], [[0.0, 1e3, 1e5], [0.0]], [[1.0, 0.99, 0.0], [0.7]], trusted_to=[2e5, math.inf]
    )
    curves = CurveSet.concatenate([some_curves()[3:5], ladders, some_curves()[5:7]])
    async with await Store.open(url) as store:
        await store.save_models(curves, last_record_id=[1] * 6, trained_at=DATE)
        found = (await store.models()).curves
        newest = (await store.models(["M", "L", "S3"])).curves
        (training,) = await store.history("L")
        points = await store.saturation_points()
    assert same_bits(found, curves)
    assert same_bits(newest, curves[["S3", "L", "M"]])
    assert (training.family, training.params) == ("ladder", (1.0, 1.0, 3.0, 0.0))
    assert points["L"].saturation == ladders.saturation().saturation[0]
    assert found.marginal(5e4).tolist() == curves.marginal(5e4).tolist()
    assert allocate(found, 1e5).amounts.tolist() == allocate(curves, 1e5).amounts.tolist()


async def test_every_training_is_kept_and_the_last_one_counts(url: str) -> None:
    old, new = some_curves(seed=1), some_curves(seed=2)
    async with await Store.open(url) as store:
        await store.save_models(old, last_record_id=[1] * 12, trained_at=DATE)
        halved = new[3:5].saturation(0.5)
        versions = await store.save_models(new[3:5], last_record_id=[2, 3], saturation=halved)
        found = await store.models()
        assert same_bits(found.curves["S3"], new["S3"])
        assert same_bits(found.curves["S5"], old["S5"])
        assert len(found) == 12
        history = await store.history("S3")
        points = await store.saturation_points()
        nothing = (await store.history("S0"))[0]
    assert [training.last_record_id for training in history] == [1, 2]
    assert [training.version for training in history] == [4, versions[0]]
    for training, curves in zip(history, (old, new), strict=True):
        curve = curves["S3"]
        assert training.family == curve.family_names[0]
        assert training.status == "ok"
        assert training.params == tuple(curve.params[0])
        assert (training.origin, training.trusted_to) == (curve.origin[0], curve.trusted_to[0])
        assert (training.n_points, training.r_squared, training.rmse) == (20, curve.r_squared[0], curve.rmse[0])
        assert (training.mean_error, training.max_error) == (curve.mean_error[0], curve.max_error[0])
        assert (training.residual_sd, training.aicc) == (curve.residual_sd[0], curve.aicc[0])
    assert history[0].trained_at == DATE.replace(tzinfo=UTC)
    assert points["S3"] == history[1].saturation
    assert points["S3"].drop == 0.5
    assert points["S3"].saturation == halved.saturation[0]
    assert points["S5"].capacity_low == old.saturation().capacity_low[5]
    assert nothing.status == "too_few_points"
    assert math.isnan(nothing.params[0])
    assert math.isnan(nothing.saturation.peak)


async def test_bad_models_are_refused(url: str) -> None:
    curves = some_curves()
    async with await Store.open(url) as store:
        bad: list[tuple[type[InputError], dict[str, Any]]] = [
            (CurveError, {"curves": "curves", "last_record_id": []}),
            (CurveError, {"curves": curves[[0, 0]], "last_record_id": [1, 1]}),
            (CurveError, {"curves": curves, "last_record_id": [1] * 12, "saturation": curves[:2].saturation()}),
            (RecordError, {"curves": curves, "last_record_id": [1]}),
            (RecordError, {"curves": curves, "last_record_id": [-1] * 12}),
            (RecordError, {"curves": curves, "last_record_id": [0.5] * 12}),
            (RecordError, {"curves": curves, "last_record_id": [1] * 12, "trained_at": "now"}),
            (RecordError, {"curves": curves, "last_record_id": [1] * 12, "trained_at": [0.0, 1.0]}),
            (RecordError, {"curves": CurveSet.from_params(["\0"], "sqrt", [[0, 1]]), "last_record_id": [1]}),
        ]
        for error, arguments in bad:
            with pytest.raises(error):
                await store.save_models(**arguments)
        assert await store.latest_version() == 0
        with pytest.raises(RecordError, match="newer_than must be an integer"):
            await store.models(newer_than=-1)
        with pytest.raises(RecordError, match="after_id must be one number"):
            await store.records(after_id=[1, 2])  # type: ignore[arg-type]
        with pytest.raises(RecordError, match=r"symbols\[1\] = 3"):
            await store.models(["A", 3])  # type: ignore[list-item]
        await store.save_models(curves, last_record_id=[1] * 12)
        await run_sql(url, "UPDATE model_training SET layout = 99 WHERE symbol = 'S4'")
        with pytest.raises(StoreError, match=r"model of 'S4' .* cannot be read \(layout 99\)"):
            await store.models()
        assert len(await store.models(["S5"])) == 1


# --- settings and allocations -----------------------------------------------------------------------------------------


async def test_settings(url: str) -> None:
    async with await Store.open(url) as store:
        assert await store.config() == ScalingConfig()
        changed = ScalingConfig(default_family="sqrt", min_efficiency=0.25, update_interval=60, max_share=1)
        await store.set_config(ScalingConfig(reserve=0.5))
        await store.set_config(changed)
        await store.set_config(ScalingConfig(min_ticket=10.0), "careful")
        await store.set_symbol_config("A", SymbolConfig(family="polynomial", lower=1, upper=math.inf))
        await store.set_symbol_config("B", SymbolConfig(priority=2.0))
        await store.set_symbol_config("B", SymbolConfig(min_ticket=5.0, max_share=0.1))
        assert await store.config() == changed
        assert await store.config("careful") == ScalingConfig(min_ticket=10.0)
        assert await store.symbol_config() == {
            "A": SymbolConfig(family="polynomial", lower=1.0, upper=math.inf),
            "B": SymbolConfig(min_ticket=5.0, max_share=0.1),
        }
        assert await store.remove_symbol_config("A")
        assert not await store.remove_symbol_config("A")
        assert list(await store.symbol_config()) == ["B"]
        with pytest.raises(ConfigError, match="config must be a ScalingConfig, not dict"):
            await store.set_config({})  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="config must be a SymbolConfig, not ScalingConfig"):
            await store.set_symbol_config("A", ScalingConfig())  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="name must be text"):
            await store.config("")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"default_family": "cubic"}, "default_family must be one of .*auto.*, not 'cubic'"),
        ({"min_efficiency": 1.5}, r"min_efficiency must be in \[0, 1\], but min_efficiency = 1.5"),
        ({"rebalance_threshold": -0.1}, "rebalance_threshold"),
        ({"update_interval": 0.0}, "update_interval"),
        ({"reserve": 1.0}, r"reserve must be in \[0, 1\)"),
        ({"min_ticket": math.inf}, "min_ticket"),
        ({"max_share": math.nan}, "max_share = nan"),
        ({"max_share": "0.5"}, "max_share must be real numbers"),
        ({"reserve": [0.1, 0.2]}, "reserve must be one number"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ScalingConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"family": "cubic"}, "family must be one of"),
        ({"lower": -1.0}, "lower"),
        ({"upper": math.nan}, "upper"),
        ({"priority": math.inf}, "priority"),
        ({"lower": 2.0, "upper": 1.0}, "lower must not exceed upper, but lower = 2.0 and upper = 1.0"),
    ],
)
def test_bad_settings_of_a_symbol(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SymbolConfig(**settings)


@pytest.mark.parametrize(
    ("config", "table", "texts"),
    [(ScalingConfig, SYSTEM_SETTINGS, ["default_family"]), (SymbolConfig, SYMBOL_SETTINGS, ["family"])],
)
def test_the_settings_are_those_of_the_tables(config: Any, table: Table, texts: list[str]) -> None:
    fields = dataclasses.fields(config)
    assert [field.name for field in fields] == [*texts, *names(table)]
    assert [field.default for field in fields[1:]] == [row.default for row in table]
    for row in table:
        assert row.name in config.__doc__
        beyond = row.values.low - 1.0
        with pytest.raises(ConfigError) as caught:
            config(**{row.name: beyond})
        assert str(caught.value) == f"{row.name} must be {row.values}, but {row.name} = {beyond!r}"


def test_a_number_of_the_whole_system_is_never_left_open() -> None:
    with pytest.raises(ConfigError, match="reserve must be"):
        ScalingConfig(reserve=None)  # type: ignore[arg-type]


async def test_allocations(url: str) -> None:
    curves = some_curves()
    first, second = allocate(curves, 1e6, max_share=0.2), allocate(curves, 2e6, min_efficiency=0.5)
    async with await Store.open(url) as store:
        assert await store.save_allocation(first, at=DATE) == 1
        assert await store.save_allocation(second) == 2
        found = await store.allocations()
        assert [each.id for each in found] == [2, 1]
        assert [each.id for each in await store.allocations(1)] == [2]
        with pytest.raises(AllocationError, match=r"of one problem, not of shape \(2,\)"):
            await store.save_allocation(allocate(curves, [1e6, 2e6]))
        with pytest.raises(AllocationError, match="must be an Allocation, not str"):
            await store.save_allocation("all")  # type: ignore[arg-type]
        with pytest.raises(RecordError, match="limit must be an integer"):
            await store.allocations(0)
        assert (await store.stats())["rows"]["allocation_line"] == 24
    for stored, given in zip(found, (second, first), strict=True):
        assert stored.total == given.total
        assert stored.unallocated == given.unallocated
        assert (stored.utility, stored.upper_bound, stored.gap) == (given.utility, given.upper_bound, given.gap)
        assert stored.shadow_price == given.shadow_price
        assert stored.status == given.status_name
        assert [line.symbol for line in stored.lines] == given.symbols.tolist()
        assert [line.amount for line in stored.lines] == given.amounts.tolist()
        assert [line.binding for line in stored.lines] == given.binding_names.tolist()
        assert np.array_equal([line.efficiency for line in stored.lines], given.efficiency, equal_nan=True)
        assert np.array_equal([line.marginal for line in stored.lines], given.marginal, equal_nan=True)
    assert found[1].at == DATE.replace(tzinfo=UTC)


async def test_what_an_allocation_was_asked_comes_back_whole(url: str) -> None:
    curves = CurveSet.from_params(["A", "B", "C"], "linear", [[-1e-6, 1.0], [-2e-6, 1.0], [-3e-6, 1.0]])
    given = allocate(
        curves, 1e6, target_utility=120_000.0, current={"A": 2e4, "B": 0.0, "C": 9e4}, trade_cost=(0.01, 0.02),
        fixed_cost=5.0, groups=[("x", "y"), "x", None], group_upper={"x": 1e5}, group_share={"x/y": 0.9},
        group_lower={"x": 10.0}, hurdle=0.1, reserve=0.25,
    )  # fmt: skip
    async with await Store.open(url) as store:
        await store.save_allocation(allocate(curves, 3e5, groups=["z", None, None], group_share=0.1))
        await store.save_allocation(given)
        await store.save_allocation(allocate(curves, 3e5))
        plain, stored, shared = await store.allocations()
        assert (await store.stats())["rows"]["allocation_member"] == 4
    assert (stored.goal, stored.target, stored.hurdle, stored.reserve) == ("utility", 120_000.0, 0.1, 0.25)
    assert stored.total == given.total
    assert [line.current for line in stored.lines] == [2e4, 0.0, 9e4]
    assert [line.cost for line in stored.lines] == given.costs.tolist()
    assert [line.trade for line in stored.lines] == given.trades.tolist()
    assert stored.cost == pytest.approx(float(given.costs.sum()), rel=1e-15)
    assert [group.name for group in stored.groups] == ["x/y", "x"]
    assert [group.symbols for group in stored.groups] == [("A",), ("A", "B")] == list(given.group_members)
    assert [group.amount for group in stored.groups] == given.group_amounts.tolist()
    assert [group.price for group in stored.groups] == given.group_prices.tolist()
    limits = [(group.upper, group.lower, group.share) for group in stored.groups]
    assert limits == [(math.inf, 0.0, 0.9), (1e5, 10.0, 1.0)]
    assert (plain.goal, plain.groups, plain.hurdle, plain.cost) == ("", (), 0.0, 0.0)
    assert math.isnan(plain.target)
    assert [(group.name, group.symbols, group.share) for group in shared.groups] == [("z", ("A",), 0.1)]


async def test_stats(url: str) -> None:
    async with await Store.open(url) as store:
        await store.add_records(["A"] * 3, [1.0] * 3, [0.5] * 3)
        await store.save_models(some_curves(), last_record_id=[3] * 12)
        stats = await store.stats()
        assert stats["url"] == store.url
        assert stats["revision"] == schema.REVISIONS[-1]
        assert stats["rows"] == {
            "efficiency_record": 3, "model_training": 12, "saturation_point": 12, "scaling_config": 0,
            "symbol_config": 0, "allocation": 0, "allocation_line": 0, "allocation_group": 0,
            "allocation_member": 0, "record_import": 0, "record_removal": 0,
            "write_identity": 2,
        }  # fmt: skip
        assert repr(store) == f"<Store {store.url}>"


# --- several at once --------------------------------------------------------------------------------------------------


async def test_a_writer_waits_for_another_one(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with await Store.open(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO scaling_config VALUES ('x', 'auto', 0, 0, 1, 0, 0, 0)")
            writing = asyncio.create_task(store.add_record("A", 1.0, 0.5))
            assert len(await store.records()) == 0  # who reads need not wait
            await asyncio.sleep(0.3)
            assert not writing.done()
            other.execute("COMMIT")
            assert await writing == 1


async def test_batches_and_single_records_at_once(url: str) -> None:
    async with await Store.open(url) as store, await Store.open(url) as other:
        tasks: list[asyncio.Task[Any]] = []
        for k in range(20):
            tasks.append(asyncio.create_task(store.add_records(["A"] * 100, [1.0 + k] * 100, [0.5] * 100)))
            tasks.append(asyncio.create_task(other.add_record("B", 1.0 + k, 0.5)))
            tasks.append(asyncio.create_task(store.save_models(some_curves(3), last_record_id=[k] * 3)))
            tasks.append(asyncio.create_task(other.records()))
        await asyncio.gather(*tasks)
        found = await store.records()
        assert Counter(found.symbol.tolist()) == {"A": 2000, "B": 20}
        for k in range(20):  # a batch stays together
            assert np.ptp(found.id[(found.symbol == "A") & (found.capital == 1.0 + k)]) == 99
        assert await other.latest_version() == 60
