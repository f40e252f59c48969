"""Records in the store, on SQLite and on a real PostgreSQL: what goes in comes out, one by one or many at once."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from escala import CurveSet, RecordError, RecordRange, ScalingConfig, Store, StoreError, SymbolConfig, allocate, fit
from tests.stores import DATE, UTC, run_sql, same_bits, some_curves

ODD_SYMBOLS = (
    "BTC/USDT", "btc/usdt", "BTC/USDT ", " ", "'", "\"; DROP TABLE efficiency_record; --", "%s", ":key", "$1", "?",
    "{0}", "\\", "🚀🌕", "\u00e9", "e\u0301", "ß", "中文", "x" * 200, "🚀" * 200, "🚀" * 500, "NULL", "0",
)  # fmt: skip


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
        assert repr(found) == "<StoredRecords: 2 records of 2 symbols>"
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
    columns: dict[str, Any] = {"symbols": ["A"] * 5, "capital": [1.0] * 5, "efficiency": [0.5] * 5}
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


@pytest.mark.parametrize("value", [1 + 2j, np.complex128(1 + 2j), np.timedelta64(3, "s")])
async def test_metrics_that_would_lose_a_part_are_refused(value: Any, tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "store.db") as store:
        with pytest.raises(RecordError, match="metrics must map names to finite numbers, but holds 'roi': "):
            await store.add_record("A", 1.0, 0.5, metrics={"roi": value})
