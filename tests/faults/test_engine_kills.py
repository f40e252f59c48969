"""Engines whose server stops."""

from __future__ import annotations

import asyncio

import pytest

from escala import EngineConfig, PredictiveScalingEngine, StoreError
from tests.engines import CAPITAL, LONG, add_line
from tests.postgres import Server

pytestmark = pytest.mark.slow


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
