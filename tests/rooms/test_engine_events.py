"""What an engine tells: every change of regime, once, to whoever has subscribed."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
from pathlib import Path

import numpy as np
import pytest

from escala import EventStream, PredictiveScalingEngine, Regime, RegimeChange
from tests.engines import FREE, UTC, add_line, listen


async def waiting(stream: EventStream) -> list[RegimeChange]:
    """Give the events that are there already."""
    found = []
    while True:
        try:
            found.append(await asyncio.wait_for(anext(stream), 0.05))
        except (TimeoutError, StopAsyncIteration):
            return found


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
