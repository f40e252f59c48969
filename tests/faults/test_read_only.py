"""Stores that cannot be written to: what can be answered is answered, what would be lost is refused with its reason."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from escala import EfficiencyPrediction, EngineConfig, PredictiveScalingEngine, Store, StoreError
from tests.command_line import escala
from tests.engines import CAPITAL, LONG, add_line, line
from tests.places import DATA, ROOT
from tests.postgres import NOBODY

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems and becomes another user")


@contextmanager
def medium(folder: Path) -> Iterator[None]:
    """Let a folder be a medium that nobody can write to."""
    mounted = subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this root may not mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


async def make_untrained(path: Path) -> None:
    async with await Store.open(path) as store:
        await store.add_records(["A"] * len(CAPITAL), CAPITAL, line(0.9, 1e-6))


@root
@pytest.mark.slow
def test_commands_that_read_work_on_a_read_only_medium(tmp_path: Path) -> None:
    folder = tmp_path / "me dium%41"
    folder.mkdir()
    db = folder / "store.db"
    asyncio.run(make_untrained(db))
    with medium(folder), warnings.catch_warnings():
        warnings.simplefilter("default")  # as in a process of its own
        done = escala("predict", "--symbol", "A", "--capital", "1e5", "--db", db, "--json")
        assert done.returncode == 0, done.stderr
        assert abs(json.loads(done.stdout)["efficiency"][0] - 0.8) < 1e-6
        reason = f"cannot write to sqlite:///{db}: it is read-only"
        assert done.stderr.count(f"models are trained and answer, but cannot be kept: {reason}") == 1
        for words in (["records", "list"], ["analyze"], ["records", "export", tmp_path / "all.csv"]):
            done = escala(*words, "--db", db)
            assert done.returncode == 0, done.stderr
        for words in ([], ["--family", "linear"]):
            done = escala("optimize", "--total", "1e5", "--db", db, "--json", *words)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)
            kept = f"escala: warning: the allocation is not kept in the history: sqlite:///{db} is read-only\n"
            assert done.stderr.count(kept) == 1, done.stderr
        done = escala("records", "import", tmp_path / "all.csv", "--db", db, "--allow-duplicates")
        assert (done.returncode, done.stderr) == (1, f"escala: {reason}\n")
        assert os.listdir(folder) == ["store.db"]


@root
async def test_an_older_store_on_a_read_only_medium_says_why_it_cannot_be_used(tmp_path: Path) -> None:
    folder = tmp_path / "medium"
    folder.mkdir()
    (folder / "store.db").write_bytes((DATA / "store_0_1_0.db").read_bytes())
    message = r"is of an older escala \(schema \d+\) and would have to be brought up"
    with medium(folder), pytest.raises(StoreError, match=message):
        await Store.open(folder / "store.db")


@root
@pytest.mark.slow
async def test_another_users_store_is_read_or_says_why_not(tmp_path: Path) -> None:
    """A user who may read the file but not write beside it."""
    await make_untrained(tmp_path / "store.db")
    for place in (tmp_path, *list(tmp_path.parents)[:3]):
        place.chmod(place.stat().st_mode | 0o055)
    code = (
        "import asyncio, os, sys; from escala import Store\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "async def read():\n"
        "    async with await Store.open(sys.argv[1], create=False) as store: print(await store.symbols())\n"
        "try: asyncio.run(read())\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    preloaded = "import concurrent.futures.thread, escala.store.record_rows, aiosqlite, escala.store.database, sqlalchemy.dialects.sqlite.aiosqlite\n"
    ran = [sys.executable, "-c", preloaded + code, str(tmp_path / "store.db")]
    done = subprocess.run(ran, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout == (
        f"StoreError cannot read sqlite:///{tmp_path / 'store.db'}: "
        "readers make a log beside it, and this user may not write to its folder\n"
    ), done.stderr


async def test_models_that_cannot_be_kept_answer_all_the_same(url: str) -> None:
    """Something else fills the disk: here a trigger, or a right that is taken, refuses every training."""
    config = EngineConfig(refresh_interval=LONG)
    async with await PredictiveScalingEngine.open(url, config) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        first = await engine.predict_efficiency("A", 1e5)
        assert (await engine.model_info("A")).version == 1  # written
        await refuse_trainings(url)
        await add_line(engine, "A", 0.8, 1e-6, np.array([1e5, 1.5e5]))

        async def ask_until_written() -> EfficiencyPrediction:
            answer = await engine.predict_efficiency("A", 1e5)
            assert (await engine.model_info("A")).version == 1
            return answer

        with pytest.warns(RuntimeWarning, match="models are trained and answer, but cannot be kept: .*no room") as told:
            found = await ask_until_written()
        assert len(told) == 1
        assert found.as_of > first.as_of
        assert found.efficiency < first.efficiency
        assert await engine.predict_efficiency("A", 1e5) is found
        await add_line(engine, "B", 0.7, 1e-6)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # once is enough
            assert abs((await engine.predict_efficiency("B", 1e5)).efficiency - 0.6) < 1e-6
            assert (await engine.model_info("B")).version == 0
        assert await engine.store.latest_version() == 1


async def refuse_trainings(url: str) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute(
                "CREATE TRIGGER too_full BEFORE INSERT ON model_training BEGIN SELECT RAISE(ABORT, 'no room'); END"
            )
        return
    from tests.stores import run_sql

    await run_sql(
        url,
        "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'no room'; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER too_full BEFORE INSERT ON model_training FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
