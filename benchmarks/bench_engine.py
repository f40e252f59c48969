"""The engine beside what it is made of: one curve's own predictions, one commit a record, reading without models."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import running
from benchmarks.compare import compare
from escala import EngineConfig, PredictiveScalingEngine, ScalingConfig, Store

SYMBOLS = [f"S{k}" for k in range(1000)]
CALLS = 1000
MANY = 1_000_000


class Running:
    """An engine with a loop of its own: coroutines become calls that can be timed."""

    def __init__(self, path: Path, records: int, symbols: int = 1000) -> None:
        self.path = path
        self.loop = asyncio.new_event_loop()
        self.engine = self.do(PredictiveScalingEngine.open(path, EngineConfig(cache_size=10 * CALLS)))
        rng = np.random.default_rng(1)
        capital = rng.uniform(1e3, 1e6, records)
        names = np.array(SYMBOLS[:symbols], dtype=object)[np.arange(records) % symbols]
        noise = rng.normal(0.0, 0.01, records)
        efficiency = np.clip(0.9 - 3e-7 * capital + noise, 0.0, 1.0)
        self.do(self.engine.add_efficiency_records({"symbol": names, "capital": capital, "efficiency": efficiency}))
        self.curves = self.do(self.engine.train())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end."""
        return self.loop.run_until_complete(work)

    def each(self, call: Callable[[int], Coroutine[Any, Any, Any]]) -> None:
        """Await one call after the other."""

        async def every() -> None:
            for k in range(CALLS):
                await call(k)

        self.do(every())

    def close(self) -> None:
        """End the engine, its threads and its loop."""
        self.do(self.engine.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("small") / "engine.db", 20_000)
    yield running
    running.close()


@pytest.mark.benchmark(group="engine")
def test_cached(benchmark: Any, small: Running) -> None:
    one = small.curves["S1"]
    compare(
        benchmark,
        lambda: small.each(lambda _: small.engine.predict_efficiency("S1", 5e4)),
        lambda: [one.predict(5e4) for _ in range(CALLS)],
        rounds=9,
        what="predict_efficiency, cached / predict of one curve",
        work=CALLS,
        unit="prediction",
    )


@pytest.mark.benchmark(group="engine")
def test_uncached(benchmark: Any, small: Running) -> None:
    one = small.curves["S1"]
    asked = iter(np.linspace(1e3, 1e6, MANY).tolist())
    compare(
        benchmark,
        lambda: small.each(lambda k: small.engine.predict_efficiency(SYMBOLS[k % 7], next(asked))),
        lambda: [one.predict(next(asked)) for _ in range(CALLS)],
        rounds=9,
        what="predict_efficiency, not cached / predict of one curve",
        work=CALLS,
        unit="prediction",
    )


@pytest.mark.benchmark(group="engine")
@pytest.mark.parametrize("shape", ["grid", "pairs", "one"])
def test_many(benchmark: Any, small: Running, shape: str) -> None:
    capital = np.random.default_rng(2).uniform(1e3, 1e6, (1000, MANY // 1000))
    symbols: str | list[str] = SYMBOLS
    curves = small.curves[SYMBOLS]
    what = "1,000 symbols, 1,000 capitals each"
    asked = capital
    if shape == "pairs":
        symbols, asked, what = SYMBOLS * 1000, capital.T.ravel(), "1 M symbols that repeat, a capital each"
    elif shape == "one":
        symbols, asked, curves, what = "S1", capital.ravel(), small.curves["S1"], "one symbol, 1 M capitals"
    compare(
        benchmark,
        lambda: small.do(small.engine.predict_many(symbols, asked)),
        lambda: curves.predict(capital if shape == "pairs" else asked),
        rounds=7,
        what=f"predict_many, {what} / predict of the curves, one thread",
        work=0,
        unit="call",
    )


@pytest.mark.benchmark(group="engine")
def test_adds(benchmark: Any, small: Running, tmp_path: Path) -> None:
    async def add() -> None:
        await asyncio.gather(*(small.engine.add_efficiency_record("S1", 1e4 + k, 0.9) for k in range(CALLS)))

    with closing(sqlite3.connect(tmp_path / "plain.db", isolation_level=None)) as plain:
        plain.execute("PRAGMA journal_mode=WAL")
        plain.execute("PRAGMA synchronous=FULL")
        plain.execute("CREATE TABLE record (id INTEGER PRIMARY KEY, symbol TEXT, capital REAL, efficiency REAL)")

        def add_plainly() -> None:
            for k in range(CALLS):
                plain.execute("INSERT INTO record (symbol, capital, efficiency) VALUES (?, ?, ?)", ("S1", 1e4 + k, 0.9))

        compare(
            benchmark,
            lambda: small.do(add()),
            add_plainly,
            rounds=9,
            what="1,000 concurrent add_efficiency_record / sqlite3, a commit each",
            work=0,
            unit="call",
        )


@pytest.mark.benchmark(group="engine")
def test_open(benchmark: Any, tmp_path: Path) -> None:
    big = Running(tmp_path / "big.db", 1_000_000)

    async def reopen() -> None:
        async with await PredictiveScalingEngine.open(big.path) as engine:
            await engine.predict_efficiency("S7", 5e4)
            assert (await engine.stats())["trainings"] == 0

    def count_plainly() -> None:
        with closing(sqlite3.connect(big.path)) as plain:
            plain.execute("SELECT symbol, max(id) FROM efficiency_record GROUP BY symbol").fetchall()

    compare(
        benchmark,
        lambda: big.do(reopen()),
        count_plainly,
        rounds=5,
        what="open 1 M records, 1,000 trained symbols, and predict / sqlite3, highest record of each symbol",
        work=0,
        unit="call",
    )
    big.close()


@pytest.mark.benchmark(group="engine")
@pytest.mark.parametrize(
    ("records", "staleness", "family"), [(200_000, 0.0, "auto"), (200_000, 0.0, "sqrt"), (1_000_000, 1.0, "auto")]
)
def test_running(benchmark: Any, tmp_path: Path, records: int, staleness: float, family: str) -> None:
    """500 records a second over 20 symbols come in while questions are asked, one after the other."""
    path, config = tmp_path / "engine.db", EngineConfig(max_staleness=staleness)

    async def prepared() -> None:
        async with await Store.open(path) as store:
            await store.set_config(ScalingConfig(default_family=family))

    asyncio.run(prepared())
    seconds = float(os.environ.get("ESCALA_BENCH_SECONDS", "20"))
    load = benchmark.pedantic(lambda: asyncio.run(running.measure(path, records, config, seconds)), rounds=1)
    what = (
        f"500 records a second over 20 symbols beside questions, {records:,} records, {family}, staleness {staleness:g}"
    )
    benchmark.extra_info.update(what=what, figure=load.figure())
