"""Stores whose writers are killed, whose server dies, whose calls are given up: what was acknowledged is there, whole."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from escala import ScalingConfig, Store, StoreError
from tests.places import ROOT
from tests.postgres import Server
from tests.stores import run_sql, some_curves

pytestmark = pytest.mark.slow


def processes(module: str, *many: tuple[str, ...]) -> list[str]:
    """Run processes of one module side by side and give what they print."""
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-m", module, *arguments],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for arguments in many
    ]  # fmt: skip
    outputs = [process.communicate(timeout=120) for process in running]
    for process, (_, errors) in zip(running, outputs, strict=True):
        assert process.returncode == 0, errors
    return [out for out, _ in outputs]


async def test_processes_write_at_once_to_a_store_that_they_create(url: str) -> None:
    count = 150
    processes("tests.faults.writers", *((url, name, str(count)) for name in "ABC"))
    async with await Store.open(url) as store:
        found = await store.records()
    expected = sorted(base + k for base in (1.0, 1000.0, 2000.0) for k in range(count))
    for name in "ABC":
        assert sorted(found.capital[found.symbol == name].tolist()) == expected
    assert found.id.tolist() == list(range(1, 9 * count + 1))


async def test_what_was_acknowledged_survives_sigkill(url: str) -> None:
    """Fifty processes are killed at random moments."""
    (said,) = processes("tests.faults.killed", (url, "50", "1"))
    told = [line.split() for line in said.splitlines()]
    singles = {int(number): float(capital) for kind, number, capital in told if kind == "single"}
    batches = {name: int(count) for kind, name, count in told if kind == "batch"}
    assert len(singles) >= 12  # as many as were waited for
    assert batches
    async with await Store.open(url) as store:
        found = await store.records()
        kept = dict(zip(found.id.tolist(), found.capital.tolist(), strict=True))
        assert {number: kept.get(number) for number in singles} == singles
        rows = await run_sql(url, "SELECT source, count(*) FROM efficiency_record WHERE symbol = 'ETH' GROUP BY source")
        whole = dict(map(tuple, rows))
        assert set(whole.values()) == {300}  # none in part
        assert set(batches) <= set(whole)
        assert await store.add_record("BTC", 1.0, 0.5) > max(singles)
    if url.startswith("sqlite"):
        assert await run_sql(url, "PRAGMA integrity_check") == [("ok",)]


async def test_a_server_that_crashes_loses_nothing(postgres: Server) -> None:
    async with await Store.open(postgres.create("crashes")) as store:
        ids = await asyncio.gather(*(store.add_record("A", 1.0 + k, 0.5) for k in range(50)))
        await store.add_records(["B"] * 1000, [1.0] * 1000, [0.5] * 1000)
        postgres.crash()
        try:
            with pytest.raises(StoreError, match=r"cannot (read|write to) postgresql://"):
                await store.add_record("A", 99.0, 0.5)
        finally:
            postgres.start()
        found = await store.records()  # over a new connection
        assert found.id[found.symbol == "A"].tolist() == sorted(ids)
        assert len(found) == 1050
        assert await store.add_record("A", 99.0, 0.5) > 1050


async def test_cancelled_calls_hold_nothing_up(url: str) -> None:
    """Neither locks nor connections are left behind, whenever it happens."""
    curves, n = some_curves(3), 3000
    async with await Store.open(url) as store:
        await store.add_records(["A"] * n, np.full(n, 1.0), np.full(n, 0.5))
        cancelled: list[BaseException] = []  # errors hold on to what they came from
        for k in range(120):
            calls = (
                store.records(),
                store.save_models(curves, last_record_id=[k] * 3),
                store.set_config(ScalingConfig()),
            )
            tasks = [asyncio.create_task(call) for call in calls]
            await asyncio.sleep(0.0002 * (k % 30))
            for task in tasks:
                task.cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            cancelled += [answer for answer in answers if isinstance(answer, asyncio.CancelledError)]
        assert len(cancelled) > 100
        assert len(await store.records()) == n
        assert await store.add_record("A", 1.0, 0.5) == n + 1
        assert await store.latest_version() % 3 == 0


def make_half_written(path: Path, *before: str) -> None:
    """Leave a file as a process that is killed within a transaction leaves it: pages changed, journal beside them."""
    elsewhere = path.with_name("elsewhere.db")
    with closing(sqlite3.connect(elsewhere, isolation_level=None)) as connection:
        for statement in (*before, "PRAGMA cache_size = 1", "BEGIN", "CREATE TABLE half (x)"):
            connection.execute(statement)
        connection.executemany("INSERT INTO half VALUES (?)", [("x" * 3000,)] * 100)
        for ending in ("", "-journal"):
            shutil.copy(f"{elsewhere}{ending}", f"{path}{ending}")
    assert path.stat().st_size > 0


async def test_a_store_whose_creation_was_killed_opens(tmp_path: Path) -> None:
    path = tmp_path / "place.db"
    make_half_written(path)
    async with await Store.open(path) as store:
        assert await store.add_record("A", 1.0, 0.5) == 1


async def test_what_another_program_left_half_written_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "place.db"
    make_half_written(path, "CREATE TABLE theirs (x)")
    files = [path, tmp_path / "place.db-journal"]
    before = [file.read_bytes() for file in files]
    with pytest.raises(StoreError, match=r"cannot read .*place\.db"):
        await Store.open(path)
    assert [file.read_bytes() for file in files] == before
