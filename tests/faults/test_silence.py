"""Databases that neither answer nor fail: whoever gives up is free, and what is known is answered."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from escala import EngineConfig, PredictiveScalingEngine, Store, StoreError
from tests.engines import add_line
from tests.postgres import Server

pytestmark = pytest.mark.slow

#: Far more than any of these calls takes, far less than any timeout of the store.
BOUND = 30.0


@contextmanager
def silent(postgres: Server, database: str) -> Iterator[None]:
    """Stop the processes that serve a database, without ending them."""
    found = postgres.sql("postgres", f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}'")
    pids = [int(pid) for pid in found.split()]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def given(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()


async def test_whoever_gives_up_on_a_silent_server_is_free(postgres: Server) -> None:
    async with await Store.open(postgres.create("silent_calls")) as store:
        await store.add_record("A", 1.0, 0.5)
        calls: list[Callable[[], Awaitable[Any]]] = [
            store.symbols,
            store.records,
            lambda: store.add_record("A", 2.0, 0.5),
            lambda: store.add_records(["A"], [3.0], [0.5]),
            store.stats,
        ]
        for call in calls:
            with silent(postgres, "silent_calls"):
                began = time.monotonic()
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(given(call), 0.2)
                assert time.monotonic() - began < BOUND
            await store.symbols()
        assert set(await store.symbols()) == {"A"}


async def test_an_engine_answers_what_it_knows_while_its_server_is_silent(postgres: Server) -> None:
    config = EngineConfig(refresh_interval=0.0, refresh_timeout=0.1)
    async with await PredictiveScalingEngine.open(postgres.create("silent_engine"), config) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        found = await engine.predict_efficiency("A", 1e5)
        await engine.model_info("A")  # its training is written: nothing is under way
        with silent(postgres, "silent_engine"):
            began = time.monotonic()
            assert await engine.predict_efficiency("A", 1e5) is found
            for _ in range(200):  # none of them waits again
                assert await engine.predict_efficiency("A", 1e5) is found
            assert (await engine.predict_efficiency("A", 2e5)).as_of == found.as_of  # its model is known too
            assert time.monotonic() - began < BOUND
            with pytest.raises(TimeoutError):  # what is not known cannot be answered
                await asyncio.wait_for(engine.predict_efficiency("B", 1e5), 0.2)


async def test_a_server_that_does_not_answer_is_an_error_in_the_end(postgres: Server) -> None:
    url = f"{postgres.create('silent_end')}&command_timeout=0.5"
    async with await Store.open(url) as store:
        assert await store.symbols() == {}
        message = r"cannot read postgresql://.*: it did not answer in time"
        with silent(postgres, "silent_end"), pytest.raises(StoreError, match=message):
            await store.symbols()
        assert await store.symbols() == {}


async def test_a_lock_that_nobody_gives_back_is_an_error_in_the_end(postgres: Server) -> None:
    url = f"{postgres.create('locked')}&lock_timeout=0.3"
    async with await Store.open(url) as one, await Store.open(url) as other:
        async with one._database.writing():
            with pytest.raises(StoreError, match="canceling statement due to lock timeout"):
                await other.add_record("A", 1.0, 0.5)
        assert await other.add_record("A", 1.0, 0.5) == 1


async def test_whoever_gives_up_on_a_locked_file_is_free(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with await Store.open(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            calls: list[Callable[[], Awaitable[Any]]] = [
                lambda: store.add_record("A", 1.0, 0.5),
                lambda: store.add_records(["A"], [1.0], [0.5]),
            ]
            for call in calls:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(given(call), 0.2)
            assert time.monotonic() - began < BOUND
            other.execute("ROLLBACK")
        assert len(await store.records()) <= 2


@pytest.mark.parametrize("name", ["connect_timeout", "lock_timeout", "command_timeout"])
@pytest.mark.parametrize("value", ["0", "-1", "x", "nan", "1e9"])
async def test_a_timeout_is_seconds(name: str, value: str) -> None:
    with pytest.raises(StoreError, match=rf"{name} of a URL must be seconds in \(0, 1e\+06\], not '{value}'"):
        await Store.open(f"postgresql://u@/d?{name}={value}")
