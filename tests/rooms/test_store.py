"""The store, on SQLite and on a real PostgreSQL: what goes in comes out, whoever else writes and whatever is killed."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import logging
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from escala import (
    AllocationError,
    ConfigError,
    CurveError,
    CurveSet,
    FitStatus,
    InputError,
    MissingExtraError,
    RecordError,
    RecordRange,
    ScalingConfig,
    Store,
    StoreError,
    SymbolConfig,
    allocate,
    fit,
)
from escala.store import schema
from escala.store.database import migrate
from escala.store.location import Location
from tests.places import ROOT
from tests.postgres import Server

UTC = datetime.UTC
ODD_SYMBOLS = (
    "BTC/USDT", "btc/usdt", "BTC/USDT ", " ", "'", "\"; DROP TABLE efficiency_record; --", "%s", ":key", "$1", "?",
    "{0}", "\\", "\n\t", "🚀🌕", "\u00e9", "e\u0301", "ß", "中文", "x" * 200, "🚀" * 200, "🚀" * 500, "NULL", "0", "\u202e",
)  # fmt: skip


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


async def run_sql(url: str, *statements: str) -> list[Any]:
    """Run statements beside the store, in one transaction; give the rows of the last one."""
    engine = create_async_engine(Location.of(url).url)
    try:
        async with engine.begin() as connection:
            for statement in statements:
                done = await connection.execute(text(statement))
            return list(done.all()) if done.returns_rows else []
    finally:
        await engine.dispose()


def same_bits(one: CurveSet, other: CurveSet) -> bool:
    return one.symbols.tolist() == other.symbols.tolist() and all(
        getattr(one, f.name).tobytes() == getattr(other, f.name).tobytes()
        and getattr(one, f.name).dtype == getattr(other, f.name).dtype
        and getattr(one, f.name).shape == getattr(other, f.name).shape
        for f in dataclasses.fields(CurveSet)
        if f.name != "symbols"
    )


def some_curves(n: int = 12, seed: int = 1) -> CurveSet:
    """Fits of all families, one of too few points, a constant one, a degenerate one."""
    rng = np.random.default_rng(seed)
    names = [f"S{i}" for i in range(n)]
    capital = [np.sort(rng.uniform(1e3, 1e6, 20)) for _ in names]
    noise = [rng.normal(0.0, 0.01, 20) for _ in names]
    shapes: list[Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]] = [
        lambda c: 0.9 - 3e-7 * c, lambda c: 0.3 + 0.6 * np.exp(-5e-6 * c), lambda c: 0.9 - 5e-4 * np.sqrt(c),
    ]  # fmt: skip
    efficiency = [np.clip(shapes[i % 3](c) + e, 0.0, 1.0) for i, (c, e) in enumerate(zip(capital, noise, strict=True))]
    capital[0], efficiency[0] = capital[0][:1], efficiency[0][:1]
    efficiency[1] = np.full(20, 0.5)
    families = ["auto"] * n
    families[2] = "exponential"
    efficiency[2] = np.linspace(0.1, 0.9, 20)
    return fit(names, capital, efficiency, family=families)


# --- records ---------------------------------------------------------------------------------------------------------


async def test_a_record_comes_back(url: str) -> None:
    when = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    async with await Store.open(url) as store:
        first = await store.add_record("BTC/USDT", 10000.0, 0.92, metrics={"roi": 0.15, "sharpe": 1.8})
        before = np.datetime64(datetime.datetime.now(UTC).replace(tzinfo=None), "us")
        second = await store.add_record("ETH/USDT", np.float64(0.5), 1, weight=0, observed_at=when, source="desk")
        found = await store.records()
        assert found.id.tolist() == [first, second] == [1, 2]
        assert found.symbol.tolist() == ["BTC/USDT", "ETH/USDT"]
        assert found.capital.tolist() == [10000.0, 0.5]
        assert found.efficiency.tolist() == [0.92, 1.0]
        assert found.weight.tolist() == [1.0, 0.0]
        assert found.observed_at[1] == np.datetime64("2024-05-06T05:08:09.123456")
        assert abs(found.observed_at[0] - before) < np.timedelta64(60, "s")
        assert await store.metrics_of("BTC/USDT") == {first: {"roi": 0.15, "sharpe": 1.8}}
        assert await store.metrics_of("ETH/USDT") == {}
        assert len(found) == 2
        assert repr(found) == "<StoredRecords: 2>"
    rows = await run_sql(url, "SELECT source FROM efficiency_record ORDER BY id")
    assert [row[0] for row in rows] == ["system", "desk"]


async def test_an_empty_store(url: str) -> None:
    async with await Store.open(url) as store:
        found = await store.records()
        assert [getattr(found, f.name).dtype for f in dataclasses.fields(found)] == [
            np.int64, object, np.float64, np.float64, np.float64, np.dtype("datetime64[us]"),
        ]  # fmt: skip
        assert len(found) == len(await store.models()) == 0
        assert [await store.symbols(), await store.saturation_points(), await store.symbol_config()] == [{}, {}, {}]
        assert await store.latest_version() == 0
        assert [*await store.history("A"), *await store.allocations()] == []
        assert await store.add_records([], [], []) == 0
        assert (await store.save_models(some_curves()[:0], last_record_id=[])).size == 0


async def test_many_records_come_back_as_they_were(url: str) -> None:
    n = 50_001
    rng = np.random.default_rng(1)
    symbols = np.array([f"S{k}" for k in range(97)], dtype=object)[rng.integers(0, 97, n)]
    capital = 10.0 ** rng.uniform(-100, 100, n)
    efficiency, weights = rng.uniform(size=n), rng.exponential(size=n)
    times = np.datetime64("2024-01-01", "us") + rng.integers(-(10**16), 10**16, n)
    sources = [f"source {k % 7}" for k in range(n)]
    metrics = [{"roi": float(value)} if value > 0.5 else None for value in efficiency]
    async with await Store.open(url) as store:
        await store.add_record("S0", 1.0, 0.5)
        added = await store.add_records(
            symbols, capital, efficiency, weights=weights, observed_at=times, sources=sources, metrics=metrics
        )
        found = await store.records(after_id=1)
        highest = await store.symbols()
        noted = await store.metrics_of("S7")
    assert added == n
    assert found.id.tolist() == list(range(2, n + 2))
    assert found.symbol.tolist() == symbols.tolist()
    assert np.array_equal(found.capital, capital)
    assert np.array_equal(found.efficiency, efficiency)
    assert np.array_equal(found.weight, weights)
    assert np.array_equal(found.observed_at, times)
    assert highest == {name: int(found.id[found.symbol == name].max()) for name in set(symbols.tolist())}
    expected = {int(k) + 2: metrics[k] for k in np.flatnonzero(symbols == "S7") if metrics[k]}
    assert noted == expected


async def test_records_of_some_symbols(url: str) -> None:
    async with await Store.open(url) as store:
        await store.add_records(list("ABCABCAB"), np.arange(1.0, 9.0), np.full(8, 0.5))
        assert (await store.records("B")).id.tolist() == [2, 5, 8]
        assert (await store.records(["B", "C", "no such", "B"], after_id=3)).id.tolist() == [5, 6, 8]
        assert len(await store.records([])) == 0
        assert len(await store.records(after_id=8)) == 0
        many = [f"none {k}" for k in range(40_000)]
        assert (await store.records([*many, "A"])).id.tolist() == [1, 4, 7]


async def test_any_text_is_a_symbol(url: str) -> None:
    n = len(ODD_SYMBOLS)
    async with await Store.open(url) as store:
        await store.add_records(ODD_SYMBOLS, np.full(n, 2.0), np.full(n, 0.5), sources=list(ODD_SYMBOLS))
        for k, symbol in enumerate(ODD_SYMBOLS):
            await store.add_record(symbol, 3.0, 0.25, source=symbol, metrics={symbol: 1.0})
            await store.set_symbol_config(symbol, SymbolConfig(priority=float(k)))
            await store.set_config(ScalingConfig(reserve=k / n), symbol)
        last = await store.symbols()
        assert last == {symbol: n + 1 + k for k, symbol in enumerate(ODD_SYMBOLS)}
        curves = CurveSet.from_params(list(ODD_SYMBOLS), "linear", [[-1e-6, 0.9]] * n)
        await store.save_models(curves, last_record_id=list(last.values()))
        assert (await store.models()).curves.symbols.tolist() == list(ODD_SYMBOLS)
        for k, symbol in enumerate(ODD_SYMBOLS):
            assert (await store.records(symbol)).id.tolist() == [1 + k, n + 1 + k]
            assert (await store.models([symbol])).version.tolist() == [1 + k]
            assert await store.metrics_of(symbol) == {n + 1 + k: {symbol: 1.0}}
            assert (await store.history(symbol))[0].symbol == symbol
            assert await store.config(symbol) == ScalingConfig(reserve=k / n)
        configs = await store.symbol_config()
        assert {symbol: config.priority for symbol, config in configs.items()} == {
            symbol: float(k) for k, symbol in enumerate(ODD_SYMBOLS)
        }
        await store.save_allocation(allocate(curves, 1000.0))
        assert [line.symbol for line in (await store.allocations())[0].lines] == list(ODD_SYMBOLS)


DATE = datetime.datetime(2024, 1, 2, 3, 4, 5, 678901)
TIMES = {
    "naive": DATE,
    "aware": DATE.replace(tzinfo=UTC),
    "zone": DATE.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=-5))) - datetime.timedelta(hours=5),
    "datetime64": np.datetime64("2024-01-02T03:04:05.678901"),
    "nanoseconds": np.datetime64("2024-01-02T03:04:05.678901000", "ns"),
    "seconds": 1704164645.678901,
}


@pytest.mark.parametrize("form", TIMES)
async def test_times(form: str, tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "store.db") as store:
        await store.add_record("A", 1.0, 0.5, observed_at=TIMES[form])
        await store.add_records(["A", "A"], [1.0, 1.0], [0.5, 0.5], observed_at=TIMES[form])
        await store.add_records(["A"], [1.0], [0.5], observed_at=[TIMES[form]])
        expected = np.datetime64("2024-01-02T03:04:05.678901")
        assert (await store.records()).observed_at.tolist() == [expected.item()] * 4


async def test_far_times_are_exact(url: str) -> None:
    far = [datetime.datetime.min, datetime.datetime.max, datetime.datetime(9000, 1, 1, 0, 0, 0, 1)]
    async with await Store.open(url) as store:
        await store.add_records(["A"] * 3, [1.0] * 3, [0.5] * 3, observed_at=far)
        await store.add_records(["A"] * 3, [1.0] * 3, [0.5] * 3, observed_at=np.array(far, "datetime64[us]"))
        assert (await store.records()).observed_at.tolist() == far * 2
        version = await store.save_models(some_curves()[:1], last_record_id=[6], trained_at=far[2])
        assert (await store.history("S0"))[0].trained_at == far[2].replace(tzinfo=UTC)
        assert (await store.models()).trained_at.tolist() == [far[2]]
        assert version.tolist() == [1]


async def test_stored_records_can_be_fitted(url: str) -> None:
    rng = np.random.default_rng(2)
    capital = rng.uniform(1e3, 1e6, 200)
    efficiency = np.clip(0.9 - 3e-7 * capital + rng.normal(0.0, 0.01, 200), 0.0, 1.0)
    symbols = [f"S{k % 4}" for k in range(200)]
    times = np.datetime64("2024-01-01", "us") + np.arange(200) * np.timedelta64(1, "h")
    week = datetime.timedelta(days=7)
    async with await Store.open(url) as store:
        await store.add_records(symbols, capital, efficiency, observed_at=times)
        found = await store.records()
    curves = fit(
        found.symbol, found.capital, found.efficiency,
        weights=found.weight, observed_at=found.observed_at, half_life=week,
    )  # fmt: skip
    direct = fit(symbols, capital, efficiency, weights=np.ones(200), observed_at=times, half_life=week)
    assert same_bits(curves, direct)


GOOD: dict[str, Any] = {"symbol": "A", "capital": 1.0, "efficiency": 0.5}
BAD = [
    ("symbol", "", "symbol must be text that is not empty, not ''"),
    ("symbol", 7, "not 7"),
    ("symbol", None, "not None"),
    ("symbol", "a\0b", "NUL"),
    ("symbol", "\ud800", r"symbol = '\\ud800'"),
    ("symbol", "x" * 501, "at most 500 characters"),
    ("capital", 0.0, r"capital must be in .*, but capital = 0.0"),
    ("capital", math.nan, "capital = nan"),
    ("capital", math.inf, "capital = inf"),
    ("capital", "1", "capital must be real numbers"),
    ("capital", [1.0], r"capital must be one value, not of shape \(1,\)"),
    ("efficiency", 1.5, "efficiency = 1.5"),
    ("efficiency", math.nan, "efficiency = nan"),
    ("weight", -1.0, "weight = -1.0"),
    ("weight", math.inf, "weight = inf"),
    ("observed_at", math.nan, "observed_at = nan"),
    ("observed_at", 1.7e12, "observed_at must be in"),
    ("observed_at", np.datetime64("NaT", "s"), "observed_at = nan"),
    ("observed_at", "yesterday", "observed_at must be real numbers"),
    ("observed_at", datetime.date(2024, 1, 1), "observed_at must be real numbers"),
    ("source", 1, "source must be text"),
    ("source", "\0", "source must be text of at most 500"),
    ("metrics", 1.0, "metrics must be a mapping"),
    ("metrics", {"roi": math.nan}, "metrics must map names to finite numbers, but holds 'roi': nan"),
    ("metrics", {"roi": "1"}, "but holds 'roi': '1'"),
    ("metrics", {"roi": None}, "but holds 'roi': None"),
    ("metrics", {"": 1.0}, "but holds '': 1.0"),
    ("metrics", {1: 1.0}, "but holds 1: 1.0"),
    ("metrics", {"\0": 1.0}, "but holds"),
]


@pytest.mark.parametrize(("argument", "value", "message"), BAD)
async def test_a_bad_record_is_refused(argument: str, value: Any, message: str, tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "store.db") as store:
        with pytest.raises(RecordError, match=message) as caught:
            await store.add_record(**{**GOOD, argument: value})
        assert caught.value.arguments == (argument,)
        assert len(await store.records()) == 0


PLURAL = {"symbol": "symbols", "weight": "weights", "source": "sources"}


@pytest.mark.parametrize(("argument", "value", "message"), [bad for bad in BAD if bad[1] != [1.0]])
async def test_a_batch_with_a_bad_record_is_refused(argument: str, value: Any, message: str, tmp_path: Path) -> None:
    del message  # that of a single record
    columns: dict[str, list[Any]] = {"symbols": ["A"] * 5, "capital": [1.0] * 5, "efficiency": [0.5] * 5}
    defaults = {"weights": 1.0, "observed_at": DATE if isinstance(value, datetime.date) else 0.0}
    name = PLURAL.get(argument, argument)
    column = columns.get(name, [defaults.get(name, "s" if name == "sources" else None)] * 5)
    columns[name] = [*column[:3], value, column[4]]
    async with await Store.open(tmp_path / "store.db") as store:
        with pytest.raises(RecordError) as caught:
            await store.add_records(**columns)
        assert name in caught.value.arguments[0]
        if caught.value.indexes:
            assert caught.value.indexes == ((3,),)
            assert f"{name}[3]" in str(caught.value)
        assert len(await store.records()) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbols": "AAA"}, "symbols must be a sequence"),
        ({"capital": [1.0, 2.0]}, r"capital of shape \(2,\) does not go with 3 symbols"),
        ({"efficiency": 0.5}, r"efficiency of shape \(\) does not go with 3 symbols"),
        ({"weights": [1.0]}, r"weights of shape \(1,\)"),
        ({"observed_at": [0.0, 1.0]}, r"observed_at of shape \(2,\)"),
        ({"sources": ["a"]}, "sources has 1 entries for 3 symbols"),
        ({"sources": None}, "sources is None for 3 symbols"),
        ({"metrics": {"roi": 1.0}}, "metrics must be a sequence"),
        ({"metrics": [None]}, "metrics has 1 entries"),
        ({"metrics": 3}, "metrics is 3 for 3 symbols"),
        ({"symbols": ["A", ["B"], "C"]}, r"symbols\[1\] = \['B'\]"),
        ({"metrics": [None, {"a": math.inf}, None]}, r"metrics\[1\] must map"),
    ],
)
async def test_columns_that_do_not_go_together(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    columns: dict[str, Any] = {"symbols": list("ABC"), "capital": [1.0] * 3, "efficiency": [0.5] * 3}
    async with await Store.open(tmp_path / "store.db") as store:
        with pytest.raises(RecordError, match=message):
            await store.add_records(**{**columns, **change})


async def test_a_batch_that_fails_in_the_middle_leaves_nothing(url: str) -> None:
    n = 45_000
    capital = np.arange(1.0, n + 1.0)
    async with await Store.open(url) as store:
        await store.add_record("A", 7.0, 0.5)
        await forbid(url, "capital = 44000")
        with pytest.raises(StoreError, match="cannot write to"):
            await store.add_records(["A"] * n, capital, np.full(n, 0.5))
        assert len(await store.records()) == 1
        answers = await asyncio.gather(
            store.add_record("A", 1.0, 0.5), store.add_record("A", 44000.0, 0.5), return_exceptions=True
        )
        assert StoreError in map(type, answers)
        assert await store.add_record("B", 2.0, 0.5) > 1
        kept = await store.records()
        acknowledged = [answer for answer in answers if isinstance(answer, int)]
        assert kept.id.size == 2 + len(acknowledged)
        assert np.all(np.diff(kept.id) > 0)


@pytest.mark.parametrize("after", [0.0, 0.02, 0.2, 0.4])
async def test_a_batch_that_is_cancelled_leaves_nothing(after: float, url: str) -> None:
    n = 400_000
    capital, efficiency = np.full(n, 1.0), np.full(n, 0.5)
    async with await Store.open(url) as store:
        task = asyncio.create_task(store.add_records(["A"] * n, capital, efficiency))
        await asyncio.sleep(after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(await store.records()) == 0
        assert await store.add_record("A", 1.0, 0.5) >= 1
        assert (await store.stats())["rows"]["efficiency_record"] == 1


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


async def forbid(url: str, condition: str) -> None:
    """Let the database itself refuse some records."""
    if url.startswith("sqlite"):
        when = condition.replace("capital", "NEW.capital")
        await run_sql(
            url,
            f"CREATE TRIGGER forbidden BEFORE INSERT ON efficiency_record WHEN {when} "
            "BEGIN SELECT raise(ABORT, 'forbidden'); END",
        )
    else:
        await run_sql(url, f"ALTER TABLE efficiency_record ADD CONSTRAINT forbidden CHECK (NOT ({condition}))")


async def test_a_thousand_at_once(url: str) -> None:
    async with await Store.open(url) as store:
        ids = await asyncio.gather(*(store.add_record(f"S{k % 10}", 1.0 + k, 0.5) for k in range(1000)))
        found = await store.records()
    assert sorted(ids) == found.id.tolist() == list(range(1, 1001))
    assert dict(zip(ids, range(1000), strict=True)) == {
        int(number): int(capital) - 1 for number, capital in zip(found.id, found.capital, strict=True)
    }


async def test_a_bad_record_fails_its_own_caller_alone(url: str) -> None:
    async with await Store.open(url) as store:
        efficiency = [2.0 if k % 3 == 0 else 0.5 for k in range(30)]
        answers = await asyncio.gather(
            *(store.add_record("A", 1.0 + k, value) for k, value in enumerate(efficiency)), return_exceptions=True
        )
        assert [isinstance(answer, RecordError) for answer in answers] == [value > 1.0 for value in efficiency]
        assert len(await store.records()) == 20


async def test_whoever_is_cancelled_takes_nobody_along(url: str) -> None:
    async with await Store.open(url) as store:
        tasks = [asyncio.create_task(store.add_record("A", 1.0 + k, 0.5)) for k in range(100)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        capital = dict(zip(*(column.tolist() for column in await numbers_and_capital(store)), strict=True))
        for k, answer in enumerate(answers):
            if k % 3:
                assert capital[answer] == 1.0 + k
            else:
                assert isinstance(answer, asyncio.CancelledError)


async def numbers_and_capital(store: Store) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    found = await store.records()
    return found.id, found.capital


async def test_closing_writes_what_waits(url: str) -> None:
    store = await Store.open(url)
    tasks = [asyncio.create_task(store.add_record("A", 1.0 + k, 0.5)) for k in range(100)]
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    assert sorted(await asyncio.gather(*tasks)) == list(range(1, 101))
    for call in (store.records, store.symbols, store.stats, lambda: store.add_record("A", 1.0, 0.5)):
        with pytest.raises(StoreError, match="is closed"):
            await call()
    async with await Store.open(url) as again:
        assert len(await again.records()) == 100


async def test_numbers_are_never_given_twice(url: str) -> None:
    async with await Store.open(url) as store:
        await store.add_records(["A"] * 10, [1.0] * 10, [0.5] * 10)
        await run_sql(url, "DELETE FROM efficiency_record WHERE id > 5")
        assert await store.add_record("A", 1.0, 0.5) == 11


# --- models ----------------------------------------------------------------------------------------------------------


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
        assert (training.origin, training.limit) == (curve.origin[0], curve.limit[0])
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


# --- settings and allocations ----------------------------------------------------------------------------------------


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


async def test_stats(url: str) -> None:
    async with await Store.open(url) as store:
        await store.add_records(["A"] * 3, [1.0] * 3, [0.5] * 3)
        await store.save_models(some_curves(), last_record_id=[3] * 12)
        stats = await store.stats()
        assert stats["url"] == store.url
        assert stats["revision"] == schema.REVISIONS[-1]
        assert stats["rows"] == {
            "efficiency_record": 3, "model_training": 12, "saturation_point": 12, "scaling_config": 0,
            "symbol_config": 0, "allocation": 0, "allocation_line": 0,
        }  # fmt: skip
        assert repr(store) == f"<Store {store.url}>"


# --- several at once -------------------------------------------------------------------------------------------------


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


async def test_a_writer_waits_for_another_one(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with await Store.open(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO scaling_config VALUES ('x', 'auto', 0, 0, 1, 0, 0, 0)")
            timer = threading.Timer(0.5, other.execute, ["COMMIT"])
            timer.start()
            began = time.monotonic()
            assert len(await store.records()) == 0  # who reads need not wait
            assert time.monotonic() - began < 0.4
            assert await store.add_record("A", 1.0, 0.5) == 1
            assert time.monotonic() - began > 0.4
            timer.join()


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


async def test_what_was_acknowledged_survives_sigkill(url: str) -> None:
    """Fifty processes are killed at random moments."""
    (said,) = processes("tests.faults.killed", (url, "50", "1"))
    told = [line.split() for line in said.splitlines()]
    singles = {int(number): float(capital) for kind, number, capital in told if kind == "single"}
    batches = {name: int(count) for kind, name, count in told if kind == "batch"}
    assert len(singles) > 50
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


# --- what is refused -------------------------------------------------------------------------------------------------


def make_text(path: Path) -> None:
    path.write_text("symbol,capital\nBTC,1\n")


def make_three_bytes(path: Path) -> None:
    path.write_bytes(b"abc")


def make_half_a_header(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(10))


def make_another_programs(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE allocation (x)")


def make_another_programs_in_wal_mode(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE mine (x)")


def make_an_id_of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA application_id = 252006675")


def make_a_newer_one(path: Path) -> None:
    asyncio.run(create(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE escala_schema SET version_num = '9999'")


def make_a_directory(path: Path) -> None:
    path.mkdir()


def make_a_pipe(path: Path) -> None:
    os.mkfifo(path)


async def create(path: Path) -> None:
    async with await Store.open(path) as store:
        await store.add_record("A", 1.0, 0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_text, "is no SQLite database"),
        (make_three_bytes, "is no SQLite database"),
        (make_half_a_header, "cannot read|no SQLite database"),
        (make_another_programs, "is another program's SQLite database"),
        (make_another_programs_in_wal_mode, "is another program's SQLite database"),
        (make_an_id_of_another_program, "is another program's SQLite database"),
        (make_a_newer_one, r"newer escala \(schema 9999, this one knows up to 0003\)"),
        (make_a_directory, "is a folder, not a store"),
        (make_a_pipe, "is no file"),
    ],
)
def test_what_is_no_store_is_left_as_it_is(make: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    path = tmp_path / "place.db"
    make(path)
    os.utime(path, (1e9, 1e9))
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StoreError, match=message) as caught:
        asyncio.run(Store.open(path))
    assert "place.db" in str(caught.value)
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert path.stat().st_mtime == 1e9
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "a store needs a file"),
        (":memory:", "a store needs a file"),
        ("sqlite://", "a store needs a file"),
        ("sqlite:///:memory:", "a store needs a file"),
        ("sqlite:///x.db?mode=ro", "without user, host or options"),
        ("sqlite://host/x.db", "without user, host or options"),
        ("mysql://me@host/db", "'mysql' is none of them"),
        ("postgresql+psycopg://me@host/db", "'postgresql\\+psycopg' is none of them"),
        ("://", "this is none of them"),
        ("a\0b", "a store needs a file"),
        (7, "url must be a path or the URL of a database, not int"),
        ("no/such/folder/x.db", "there is no folder .*no/such/folder for the store x.db"),
    ],
)
async def test_places_that_are_none(url: Any, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        await Store.open(url)


async def test_places_that_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "with space #1 50%?é.db"
    (tmp_path / "empty.db").touch()
    with closing(sqlite3.connect(tmp_path / "blank.db")) as blank:
        blank.execute("PRAGMA journal_mode = WAL")
    monkeypatch.chdir(tmp_path)
    for place in (odd, "escala.db", "sqlite:///b.db", f"sqlite+aiosqlite:///{tmp_path}/c.db", "empty.db"):
        for count in (1, 2):
            async with await Store.open(place) as store:
                assert await store.add_record("A", 1.0, 0.5) == count
                assert "sqlite:///" in store.url
    for place in (str(odd), tmp_path / "blank.db"):
        async with await Store.open(place) as store:
            assert await store.add_record("A", 1.0, 0.5) == (3 if place == str(odd) else 1)
    async with await Store.open(tmp_path / "blank.db") as store:
        assert await store.add_record("A", 1.0, 0.5) == 2
    assert {"escala.db", "b.db", "c.db", odd.name} <= {path.name for path in tmp_path.iterdir()}


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


async def test_a_newer_schema_is_refused(url: str) -> None:
    async with await Store.open(url) as store:
        await store.add_record("A", 1.0, 0.5)
    await run_sql(url, "UPDATE escala_schema SET version_num = '0004'")
    with pytest.raises(StoreError, match="newer escala"):
        await Store.open(url)


async def test_tables_of_another_program_are_refused(postgres: Server) -> None:
    url = postgres.create("taken")
    postgres.sql("taken", "CREATE TABLE allocation (x int)")
    with pytest.raises(StoreError, match="has a table allocation of another program"):
        await Store.open(url)
    assert postgres.sql("taken", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "1"


async def test_a_database_may_be_shared_with_another_program(postgres: Server) -> None:
    url = postgres.create("shared")
    postgres.sql("shared", "CREATE TABLE alembic_version (version_num text); CREATE TABLE theirs (x int)")
    for count in (1, 2):
        async with await Store.open(url) as store:
            assert await store.add_record("A", 1.0, 0.5) == count
    assert postgres.sql("shared", "SELECT count(*) FROM alembic_version") == "0"


# --- migration -------------------------------------------------------------------------------------------------------


async def make_old(url: str, *statements: str) -> None:
    """Create a store of the first schema."""
    engine = create_async_engine(Location.of(url).url)
    async with engine.begin() as connection:
        await connection.run_sync(lambda c: migrate(c, "0001"))
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


OLD_ROWS = (
    "INSERT INTO efficiency_record (symbol, capital, efficiency, weight, observed_at, source)"
    " VALUES ('A', 2.0, 0.5, 1.0, 1700000000000000, 'old')",
    "INSERT INTO allocation (at, total, utility, upper_bound, gap, shadow_price, status)"
    " VALUES (1700000000000000, 10.0, 5.0, 5.0, 0.0, 0.5, 'optimal')",
    "INSERT INTO allocation_line (allocation_id, place, symbol, amount, efficiency, binding)"
    " VALUES (1, 0, 'A', 10.0, 0.5, 'none')",
)


async def test_an_older_store_is_brought_up_to_date(url: str) -> None:
    await make_old(url, *OLD_ROWS)
    async with await Store.open(url) as store:
        assert (await store.stats())["revision"] == "0003"
        assert (await store.records()).capital.tolist() == [2.0]
        (old,) = await store.allocations()
        assert (old.total, old.status, old.lines[0].amount) == (10.0, "optimal", 10.0)
        assert math.isnan(old.unallocated)
        assert math.isnan(old.lines[0].marginal)
        assert await store.add_record("A", 1.0, 0.5) == 2
        assert await store.save_allocation(allocate(some_curves(), 1e6)) == 2
        assert not math.isnan((await store.allocations())[0].unallocated)


async def test_a_migration_that_fails_leaves_the_old_store(url: str) -> None:
    await make_old(url, *OLD_ROWS, "ALTER TABLE allocation_line ADD COLUMN marginal float")
    with pytest.raises(StoreError, match=r"cannot .*marginal"):
        await Store.open(url)
    engine = create_async_engine(Location.of(url).url)
    async with engine.connect() as connection:
        columns = await connection.run_sync(lambda c: {each["name"] for each in inspect(c).get_columns("allocation")})
    await engine.dispose()
    assert "unallocated" not in columns
    assert await run_sql(url, "SELECT version_num FROM escala_schema") == [("0001",)]


async def test_migrations_make_the_tables_that_are_used(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    await (await Store.open(url)).close()
    engine = create_async_engine(Location.of(url).url)
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda c: compare_metadata(
                MigrationContext.configure(c, opts={"version_table": schema.REVISION_TABLE}), schema.METADATA
            )
        )
    await engine.dispose()
    assert differences == []


def test_revisions_are_those_of_the_migrations() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "escala.store:migrations")
    config.set_main_option("path_separator", "os")
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert found[::-1] == list(schema.REVISIONS)


# --- secrets ---------------------------------------------------------------------------------------------------------

SECRET = "hunter2-gEh€im"


async def test_a_password_is_never_seen(
    postgres: Server, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    postgres.create("secret")
    postgres.sql("postgres", f"CREATE ROLE guarded LOGIN PASSWORD '{SECRET}'")
    seen = []
    for url in (
        postgres.url("secret", password=SECRET),
        f"postgresql+asyncpg://escala@/secret?host={postgres.folder}&password={SECRET}",
    ):
        async with await Store.open(url) as store:
            await store.add_record("A", 1.0, 0.5)
            seen += [store.url, repr(store), repr(vars(store)), repr(await store.stats())]
            seen += [repr(vars(store._database)), str(vars(store._database.location))]
            postgres.sql("secret", "ALTER TABLE efficiency_record RENAME TO hidden")
            seen.append(await failure(store.records()))
            seen.append(await failure(store.add_record("A", 1.0, 0.5)))
            postgres.sql("secret", "ALTER TABLE hidden RENAME TO efficiency_record")
    for url in (
        f"postgresql://me:{SECRET}@127.0.0.1:1/x",
        f"postgresql://me:{SECRET}@127.0.0.1:port/x",
        f"postgresql://me:{SECRET}@no.such.host.invalid/x",
        f"postgresql://me:{SECRET}@127.0.0.1:1/x?no_such_option={SECRET}",
        f"postgresql://127.0.0.1:1/x?password={SECRET}&user=me",
        f"postgresql://me:{SECRET}@/x?host={postgres.folder}",
        f"postgresql://escala:{SECRET}@/no_such_database?host={postgres.folder}",
        f"postgresql://[me:{SECRET}@127.0.0.1/x",
        f"postgresql:/{SECRET}@127.0.0.1/x",
        f"mysql://me:{SECRET}@127.0.0.1/x",
        f"{SECRET}://me:{SECRET}@127.0.0.1/x",
        f"sqlite://me:{SECRET}@/x",
    ):
        if "://" in url:
            seen.append(await failure(Store.open(url)))
    out = capfd.readouterr()
    for line in [*seen, caplog.text, out.out, out.err]:
        assert SECRET not in line
        assert "hunter2" not in line
    assert len(seen) > 20


async def failure(call: Any) -> str:
    """Give everything that an error says, with whatever it came from."""
    try:
        await call
    except StoreError as error:
        shown = []
        chain: BaseException | None = error
        while chain is not None:
            shown.append("".join(traceback.format_exception(chain)) + repr(chain) + repr(vars(chain)))
            chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
        return "\n".join(shown)
    raise AssertionError("it did not fail")


# --- the package -----------------------------------------------------------------------------------------------------


def python(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, check=False, env={**os.environ, **env},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("missing", "url", "extra"),
    [
        ("sqlalchemy", "x.db", "store"),
        ("aiosqlite", "x.db", "store"),
        ("alembic", "x.db", "store"),
        ("greenlet", "x.db", "store"),
        ("asyncpg", "postgresql://host/db", "postgres"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(missing: str, url: str, extra: str) -> None:
    said = python(
        "import asyncio, sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "import escala\n"
        "try: asyncio.run(escala.Store.open(sys.argv[1] if sys.argv[1:] else %r))\n"
        "except escala.MissingExtraError as error: print(error)\n" % url
    )
    assert f"install escala[{extra}]" in said
    assert issubclass(MissingExtraError, ImportError)


def test_naming_the_store_loads_no_database() -> None:
    code = (
        "import sys, escala; escala.Store, escala.ScalingConfig(); "
        "print([m for m in ('sqlalchemy', 'alembic', 'aiosqlite', 'asyncpg', 'numba', 'scipy') if m in sys.modules])"
    )
    assert python(code) == "[]\n"


def test_a_store_that_was_not_closed_does_not_keep_the_process(tmp_path: Path) -> None:
    code = f"""
import asyncio, escala
async def main():
    store = await escala.Store.open({str(tmp_path / "x.db")!r})
    print(await store.add_record("A", 1.0, 0.5))
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "1\n"


def test_the_wheel_holds_the_migrations(tmp_path: Path) -> None:
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"], cwd=copy, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (wheel,) = (copy / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "unpacked")
    said = python(
        "import asyncio, escala\n"
        "async def main():\n"
        f"    async with await escala.Store.open({str(tmp_path / 'x.db')!r}) as store:\n"
        "        print(escala.__file__, (await store.stats())['revision'])\n"
        "asyncio.run(main())\n",
        PYTHONPATH=str(tmp_path / "unpacked"),
    )
    assert said == f"{tmp_path / 'unpacked/escala/__init__.py'} {schema.REVISIONS[-1]}\n"


async def test_a_store_is_not_made_by_reading(url: str) -> None:
    with pytest.raises(StoreError, match=r"there is no store at .* yet"):
        await Store.open(url, create=False)
    async with await Store.open(url) as store:
        await store.add_record("A", 1e3, 0.9)
    async with await Store.open(url, create=False) as store:
        assert await store.symbols() == {"A": 1}


async def test_ranges_and_sources_of_records(url: str) -> None:
    async with await Store.open(url) as store:
        assert (await store.record_ranges(), await store.record_sources()) == ({}, {})
        await store.add_records(
            ["b", "a", "b"], [3e3, 2e3, 1e3], [0.9] * 3, observed_at=[30.0, 20.5, 10.0], sources="file"
        )
        await store.add_record("B", 5e3, 0.8, observed_at=40.0)
        found = await store.record_ranges()
        assert list(found) == ["B", "a", "b"]
        start = datetime.datetime(1970, 1, 1, tzinfo=UTC)
        ten, thirty = (start + datetime.timedelta(seconds=seconds) for seconds in (10, 30))
        assert found["b"] == RecordRange(2, 1e3, 3e3, ten, thirty)
        assert await store.record_sources() == {"file": 3, "system": 1}
