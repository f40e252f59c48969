"""The store beside the bare drivers, with the same table, index and guarantees."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import pytest
from tests.postgres import Server

from benchmarks.compare import compare
from escala import CurveSet, Store, fit

MILLION = 1_000_000
SINGLES = 1000
NAMES = [f"SYM{k}/USDT" for k in range(1000)]
TABLE = (
    "CREATE TABLE peer (id {key}, symbol text NOT NULL, capital {real} NOT NULL, efficiency {real} NOT NULL,"
    " weight {real} NOT NULL, observed_at bigint NOT NULL, source text NOT NULL, metrics {json})"
)
INDEX = "CREATE INDEX peer_symbol ON peer (symbol, id)"
SQLITE = TABLE.format(key="INTEGER PRIMARY KEY AUTOINCREMENT", real="real", json="text")
POSTGRES = TABLE.format(key="bigserial PRIMARY KEY", real="double precision", json="jsonb")
INSERT = "INSERT INTO peer (symbol, capital, efficiency, weight, observed_at, source) VALUES (?, ?, ?, ?, ?, ?)"


class Records:
    """A million records of a thousand symbols."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.symbols = [NAMES[k] for k in rng.integers(0, len(NAMES), MILLION)]
        self.capital = rng.uniform(1e3, 1e6, MILLION)
        self.efficiency = np.clip(0.9 - 3e-7 * self.capital + rng.normal(0.0, 0.02, MILLION), 0.0, 1.0)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Give them to a driver."""
        for start in range(0, MILLION, 20_000):
            part = slice(start, start + 20_000)
            columns = (self.symbols[part], self.capital[part].tolist(), self.efficiency[part].tolist())
            for symbol, capital, efficiency in zip(*columns, strict=True):
                yield symbol, capital, efficiency, 1.0, 1_700_000_000_000_000, "system"


@pytest.fixture(scope="module")
def records() -> Records:
    return Records()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.remove()


@pytest.fixture(scope="module")
def places(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give places for stores that are filled by the first benchmark of each database and read by the others."""
    return {
        "SQLite": f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}",
        "PostgreSQL": server.create("ours"),
    }


def raw_sqlite(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA cache_size=-65536", SQLITE, INDEX):
        connection.execute(statement)
    return connection


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


async def within(url: str, do: Callable[[Store], Awaitable[Any]]) -> tuple[float, Any]:
    """Time something done with an open store."""
    async with await Store.open(url) as store:
        start = time.perf_counter()
        answer = await do(store)
        return time.perf_counter() - start, answer


def report(benchmark: Any, what: str, ours: float, peer: float, more: str = "") -> None:
    """Record one long run of each side."""
    ratio = peer / ours
    extra = {"figure": f"{ratio:.1f} ×{more}"} if more else {}
    benchmark.extra_info.update(what=what, ours=ours, peer=peer, unit="process", ratio=ratio, **extra)


@pytest.mark.benchmark(group="store")
def test_bulk_sqlite(benchmark: Any, records: Records, places: dict[str, str]) -> None:
    def peer() -> float:
        with tempfile.TemporaryDirectory() as folder, closing(raw_sqlite(Path(folder) / "peer.db")) as connection:
            start = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT, records.rows())
            connection.execute("COMMIT")
            return time.perf_counter() - start

    before = peak_megabytes()
    columns = (records.symbols, records.capital, records.efficiency)
    took, _ = benchmark.pedantic(
        lambda: asyncio.run(within(places["SQLite"], lambda store: store.add_records(*columns))), rounds=1
    )
    memory = peak_megabytes() - before
    what = "1 M records in one transaction, SQLite / sqlite3.executemany"
    report(benchmark, what, took, peer(), f", +{memory:.0f} MB")


@pytest.mark.benchmark(group="store")
def test_bulk_postgres(benchmark: Any, records: Records, places: dict[str, str], server: Server) -> None:
    async def peer() -> float:
        connection = await asyncpg.connect(server.create("peer"))
        try:
            await connection.execute(POSTGRES)
            await connection.execute(INDEX)
            names = ["symbol", "capital", "efficiency", "weight", "observed_at", "source"]
            start = time.perf_counter()
            await connection.copy_records_to_table("peer", records=records.rows(), columns=names)
            return time.perf_counter() - start
        finally:
            await connection.close()

    before = peak_megabytes()
    columns = (records.symbols, records.capital, records.efficiency)
    took, _ = benchmark.pedantic(
        lambda: asyncio.run(within(places["PostgreSQL"], lambda store: store.add_records(*columns))), rounds=1
    )
    memory = peak_megabytes() - before
    what = "1 M records in one transaction, PostgreSQL / COPY through asyncpg"
    report(benchmark, what, took, asyncio.run(peer()), f", +{memory:.0f} MB")


@pytest.mark.benchmark(group="store")
@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_open(benchmark: Any, records: Records, places: dict[str, str], database: str) -> None:
    url = places[database]
    curves = fit(records.symbols, records.capital, records.efficiency)

    async def restore() -> None:
        async with await Store.open(url) as store:
            assert len(await store.models()) == len(NAMES)
            assert len(await store.symbols()) == len(NAMES)

    asyncio.run(within(url, lambda store: store.save_models(curves, last_record_id=[MILLION] * len(curves))))
    benchmark.pedantic(lambda: asyncio.run(restore()), rounds=5)
    what = f"open with 1 M records, restore 1,000 models and what is stale, {database}"
    benchmark.extra_info.update(what=what, figure=f"{1e3 * benchmark.stats.stats.min:.0f} ms")


@pytest.mark.benchmark(group="store")
@pytest.mark.parametrize("kind", ["lines", "ladders"])
def test_read_models(benchmark: Any, tmp_path: Path, kind: str) -> None:
    n, rng = 20_000, np.random.default_rng(1)
    names = [f"S{i}" for i in range(n)]
    if kind == "lines":
        curves = CurveSet.from_params(names, "linear", np.tile([-1e-6, 1.0], (n, 1)))
    else:
        sizes = rng.integers(5, 30, n).tolist()
        knots = [np.arange(0.0, size) for size in sizes]
        curves = CurveSet.from_ladders(names, knots, [np.sort(rng.uniform(size=size))[::-1] for size in sizes])
    place = tmp_path / "store.db"
    url = f"sqlite:///{place}"
    asyncio.run(within(url, lambda store: store.save_models(curves, last_record_id=[1] * n)))
    query = "SELECT id, symbol, trained_at, last_record_id, layout, curve FROM model_training ORDER BY id"

    def raw() -> None:
        with closing(sqlite3.connect(place)) as connection:
            connection.execute(query).fetchall()

    compare(
        benchmark,
        lambda: asyncio.run(within(url, lambda store: store.models())),
        raw,
        rounds=5,
        what=f"read 20,000 stored models, {kind}, SQLite / fetching the rows",
        work=n,
        unit="model",
    )


@pytest.mark.benchmark(group="store")
def test_read(benchmark: Any, places: dict[str, str]) -> None:
    query = "SELECT id, symbol, capital, efficiency, weight, observed_at FROM efficiency_record ORDER BY id"

    def raw() -> list[np.ndarray]:
        with closing(sqlite3.connect(places["SQLite"].removeprefix("sqlite:///"))) as connection:
            return [np.array(column) for column in zip(*connection.execute(query).fetchall(), strict=True)]

    compare(
        benchmark,
        lambda: asyncio.run(within(places["SQLite"], lambda store: store.records())),
        raw,
        rounds=1,
        what="1 M records read into arrays, SQLite / sqlite3.fetchall",
        work=0,
        unit="process",
    )


@pytest.mark.benchmark(group="store")
@pytest.mark.parametrize("database", ["SQLite", "PostgreSQL"])
def test_singles(benchmark: Any, places: dict[str, str], database: str) -> None:
    async def ours(store: Store) -> None:
        await asyncio.gather(*(store.add_record(NAMES[k], 1.0 + k, 0.5) for k in range(SINGLES)))

    async def one_by_one(store: Store) -> None:
        for k in range(SINGLES):
            await store.add_record(NAMES[k], 1.0 + k, 0.5)

    took = min(asyncio.run(within(places[database], ours))[0] for _ in range(3))
    peer, _ = benchmark.pedantic(lambda: asyncio.run(within(places[database], one_by_one)), rounds=1)
    report(benchmark, f"1,000 records added at once / one after the other, {database}", took, peer)
