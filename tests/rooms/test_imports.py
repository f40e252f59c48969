"""A record is stored once: files that grow, twins that stay, imports that are undone, and models that notice."""

from __future__ import annotations

import asyncio
import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escala import (
    CurveSet,
    EngineConfig,
    Imported,
    PredictiveScalingEngine,
    RecordError,
    RecordImport,
    Store,
    UnknownSymbolError,
    kernels,
    sources,
)
from escala.lending import scenario_file
from escala.sources import fingerprints
from tests.command_line import escala
from tests.engines import CAPITAL, LONG, add_line
from tests.places import ROOT
from tests.stores import run_sql, some_curves

#: Numbers that are in stores already: what makes others knows no old row again.
KEPT_CONTENT = [1779453503078484179, 5568259349919298239, 1423376261402593061]
KEPT_IDS = [5174083257367907481, 2745673437156284190]
KEPT_PARTS = [-8278127539278726283, 6522423498557213581]
KEPT_GROUP = -1765391994005406494

HEADER = "symbol,capital,efficiency,time\n"


def rows(start: int, stop: int) -> str:
    return "".join(f"A,{1000 + k},0.{900 - k},{1_700_000_000 + k}\n" for k in range(start, stop))


def answer(folder: Path, *arguments: str) -> Any:
    done = escala(*arguments, "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def stored(folder: Path) -> int:
    return sum(found["count"] for found in answer(folder, "records", "list"))


# --- files that grow -------------------------------------------------------------------------------------------------


def test_a_file_that_has_grown_adds_what_is_new(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(HEADER + rows(0, 12))
    assert answer(tmp_path, "records", "import", "r.csv")["added"] == 12
    (tmp_path / "r.csv").write_text(HEADER + rows(0, 24))
    done = escala("records", "import", "r.csv", cwd=tmp_path)
    assert "\n12 of 24 are new, 12 were in the store before: --allow-duplicates adds them once more\n" in done.stdout
    assert done.stdout.endswith(f"import 2, added to {tmp_path / 'escala.db'}: A\n")
    assert stored(tmp_path) == 24
    done = escala("records", "import", "r.csv", cwd=tmp_path)
    assert done.stderr == "escala: 24 records imported before, from r.csv: --allow-duplicates adds them once more\n"
    found = answer(tmp_path, "records", "import", "r.csv", "--allow-duplicates")
    assert (found["records"], found["added"], found["duplicates"], found["import"]) == (24, 24, 0, 3)
    assert list(found) == [
        "file", "kind", "records", "symbols", "import", "added", "duplicates", "clipped", "left_out", "notes",
    ]  # fmt: skip
    assert stored(tmp_path) == 48


def test_executions_of_a_file_that_has_grown_are_known_though_their_efficiency_is_another(tmp_path: Path) -> None:
    lines = [f"X,buy,{100 + 0.1 * k},{1 + k},{1_700_000_000 + k}\n" for k in range(24)]
    header = "symbol,side,price,quantity,time\n"
    (tmp_path / "t.csv").write_text(header + "".join(lines[:12]))
    first = sources.read(tmp_path / "t.csv")
    assert answer(tmp_path, "records", "import", "t.csv")["added"] == 12
    (tmp_path / "t.csv").write_text(header + "X,buy,90,0.5,1600000000\n" + "".join(lines))
    assert not np.isin(first.efficiency[3:], sources.read(tmp_path / "t.csv").efficiency).any()
    grown = answer(tmp_path, "records", "import", "t.csv")
    assert (grown["added"], grown["duplicates"]) == (13, 12)
    assert stored(tmp_path) == 25


def test_executions_are_known_by_their_ids(tmp_path: Path) -> None:
    header = "trade_id,symbol,side,price,quantity,time\n"
    lines = [f"T{k},X,buy,100,1,1700000000\n" for k in range(8)]  # equal but for their ids
    (tmp_path / "one.csv").write_text(header + "".join(lines[:6]))
    (tmp_path / "two.csv").write_text(header + "".join(lines[2:]))
    assert answer(tmp_path, "records", "import", "one.csv", "--fills", "apart")["added"] == 6
    assert answer(tmp_path, "records", "import", "two.csv", "--fills", "apart")["added"] == 2
    (tmp_path / "plain.csv").write_text("Trade ID,symbol,capital,efficiency\n7,A,1,0.5\n8,A,1,0.5\n")
    assert answer(tmp_path, "records", "import", "plain.csv")["added"] == 2
    (tmp_path / "plain.csv").write_text("Trade ID,symbol,capital,efficiency\n8,A,1,0.4\n9,A,1,0.5\n,A,1,0.5\n")
    assert answer(tmp_path, "records", "import", "plain.csv")["added"] == 2


def test_orders_whose_fills_have_ids_are_known_when_the_file_has_grown(tmp_path: Path) -> None:
    header = "trade_id,order_id,symbol,side,price,quantity\n"
    lines = [f"T{k},O{k // 2},X,buy,{100 + k // 2},1\n" for k in range(14)]
    (tmp_path / "t.csv").write_text(header + "".join(lines[:12]))
    assert answer(tmp_path, "records", "import", "t.csv")["added"] == 6
    (tmp_path / "t.csv").write_text(header + "".join(lines))
    grown = answer(tmp_path, "records", "import", "t.csv")
    assert (grown["added"], grown["duplicates"]) == (1, 6)


def test_any_of_several_ids_tells_rows_apart() -> None:
    said = {"symbol": ["A"], "capital": [1.0], "efficiency": [0.5], "trade_id": [7]}
    one, both = sources.read(said), sources.read({**said, "exec_id": ["x"]})
    assert one.fingerprint is not None
    np.testing.assert_array_equal(both.fingerprint, one.fingerprint)
    assert both.notes == ("columns not used: exec_id",)
    named = sources.read({**said, "id": ["x"]}, columns={"trade_id": "id"})
    assert named.fingerprint != one.fingerprint


def test_ids_are_the_same_as_numbers_and_as_text() -> None:
    said = {"symbol": ["A"] * 3, "capital": [1.0] * 3, "efficiency": [0.5] * 3}
    forms: list[Any] = [[7, 8, 9], [7.0, 8.0, 9.0], ["7", "8 ", "9"], np.array([7, 8, 9])]
    found = [sources.read({**said, "trade_id": form}).fingerprint for form in forms]
    for one in found[1:]:
        np.testing.assert_array_equal(one, found[0])
    gaps = sources.read({**said, "trade_id": [7.0, np.nan, 9.0]}).fingerprint
    assert gaps is not None
    assert found[0] is not None
    assert (gaps == found[0]).tolist() == [True, False, True]


def test_fingerprints_are_those_that_stores_keep() -> None:
    codes = np.array([0, 1, 0])
    content = fingerprints.of_rows(["A", "B"], codes, [np.array([1.0, 1.0, -0.0]), None, np.array([True, True, False])])
    assert content.tolist() == KEPT_CONTENT
    ids = fingerprints.of_ids(["A", "B"], codes, np.array(["x", "x", ""], dtype=object), content)
    assert ids.tolist() == [*KEPT_IDS, content[2]]
    parts = fingerprints.with_ids(content, np.array(["x", "x", ""], dtype=object))
    assert parts.tolist() == [*KEPT_PARTS, content[2]]
    groups = fingerprints.of_groups(content, np.array([0, 1, 0]))
    assert groups.tolist() == [KEPT_GROUP, content[1]]


def test_fills_joined_to_orders_are_known_when_the_file_has_grown(tmp_path: Path) -> None:
    lines = [f"{1_700_000_000 + k},X,buy,{100 + 0.1 * k},{1 + k},O{k // 3}\n" for k in range(36)]
    header = "time,symbol,side,price,quantity,order_id\n"
    (tmp_path / "t.csv").write_text(header + "".join(lines[:18]))
    assert answer(tmp_path, "records", "import", "t.csv")["added"] == 6
    (tmp_path / "t.csv").write_text(header + lines[35] + "".join(lines[17::-1]) + "".join(lines[18:35]))
    grown = answer(tmp_path, "records", "import", "t.csv")
    assert (grown["added"], grown["duplicates"]) == (6, 6)
    (tmp_path / "t.csv").write_text(header + "".join(lines))
    done = escala("records", "import", "t.csv", cwd=tmp_path)
    assert done.stderr == "escala: 12 records imported before, from t.csv: --allow-duplicates adds them once more\n"


def test_fills_of_one_moment_are_known_when_the_file_has_grown() -> None:
    said: dict[str, Any] = {"symbol": ["X"] * 12, "side": ["buy"] * 12, "price": [100.0 + k for k in range(12)],
                            "quantity": [1.0 + k for k in range(12)], "time": [1.7e9 + k // 2 for k in range(12)]}  # fmt: skip
    first = sources.read({name: column[:10] for name, column in said.items()})
    grown = sources.read(said)
    assert (len(first), len(grown)) == (5, 6)
    np.testing.assert_array_equal(first.fingerprint, grown.fingerprint[:5])  # type: ignore[index]
    apart = sources.read(said, fills="apart")
    assert len(apart) == 12
    assert apart.fingerprint is not None
    assert grown.fingerprint is not None
    assert not np.isin(apart.fingerprint, grown.fingerprint).any()


def test_joined_fills_are_known_by_the_ids_of_all_of_them() -> None:
    said: dict[str, Any] = {"symbol": ["X"] * 10, "side": ["buy"] * 10, "price": [100.0] * 10, "quantity": [1.0] * 10,
                            "order_id": [k // 2 for k in range(1, 11)], "trade_id": [f"T{k}" for k in range(10)]}  # fmt: skip
    found = sources.read(said, least=2).fingerprint
    assert found is not None
    assert found.size == len(set(found.tolist())) == 6
    priced = sources.read({**said, "price": [101.0] * 10}, least=2).fingerprint
    np.testing.assert_array_equal(priced, found)
    more = sources.read({**said, "trade_id": [f"T{k}" for k in range(9)] + ["T10"]}, least=2).fingerprint
    assert more is not None
    assert (more == found).tolist() == [True] * 5 + [False]
    shorter = {name: column[:9] for name, column in said.items()}
    np.testing.assert_array_equal(sources.read(shorter, least=2).fingerprint, found[:5])


def test_equal_executions_of_different_orders_are_two() -> None:
    said = {"symbol": ["X"] * 6, "side": ["buy"] * 6, "price": [100.0] * 6, "quantity": [1.0] * 6}
    found = sources.read({**said, "order_id": ["a", "b", "c", "d", "e", ""]}).fingerprint
    assert found is not None
    assert len(set(found.tolist())) == 6
    assert found[5] == sources.read(said).fingerprint[0]  # type: ignore[index]


def test_fees_that_are_left_out_make_no_other_executions() -> None:
    said = {"pair": ["A/B"] * 6, "side": ["buy"] * 6, "price": [100.0] * 6, "quantity": [1.0] * 6, "fee": ["1 B"] * 6}
    counted, ignored = sources.read(said), sources.read(said, fees="ignore")
    assert counted.efficiency[0] != ignored.efficiency[0]
    np.testing.assert_array_equal(counted.fingerprint, ignored.fingerprint)


@pytest.mark.parametrize("nothing", ["", "-", "None", "0", "nan"])
def test_what_stands_for_no_id_is_none(nothing: str) -> None:
    said = {"symbol": ["A"] * 2, "capital": [1.0, 2.0], "efficiency": [0.5] * 2}
    found = sources.read({**said, "trade_id": [nothing] * 2}).fingerprint
    assert found is not None
    assert found[0] != found[1]


def test_books_of_a_file_that_has_grown_are_known(tmp_path: Path) -> None:
    def book(k: int) -> str:
        levels = [("bid", 100 - k, 5), ("bid", 99 - k, 9), ("ask", 101 + k, 5), ("ask", 102 + k, 9)]
        return "".join(f"{1_700_000_000 + k},X,{side},{price},{size}\n" for side, price, size in levels)

    header = "time,symbol,side,price,quantity\n"
    (tmp_path / "b.csv").write_text(header + "".join(map(book, range(3))))
    first = answer(tmp_path, "records", "import", "b.csv")["added"]
    (tmp_path / "b.csv").write_text(header + "".join(map(book, range(5))))
    grown = answer(tmp_path, "records", "import", "b.csv")
    assert (first, grown["added"], grown["duplicates"]) == (120, 80, 120)


def test_twins_within_a_file_stay(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(HEADER + rows(0, 1) * 3 + rows(1, 2))
    assert answer(tmp_path, "records", "import", "r.csv")["added"] == 4
    (tmp_path / "more.csv").write_text(HEADER + rows(0, 1) * 5)
    found = answer(tmp_path, "records", "import", "more.csv")
    assert (found["added"], found["duplicates"]) == (2, 3)


def test_records_without_times_are_compared_without(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("symbol,capital,efficiency\nA,1,0.5\nB,1,0.5\n")
    assert answer(tmp_path, "records", "import", "r.csv")["added"] == 2
    (tmp_path / "r.csv").write_text("symbol,capital,efficiency\nA,1,0.5\nB,1,0.5\nB,2,0.5\n")
    done = escala("records", "import", "r.csv", cwd=tmp_path)
    assert "1 of 3 are new, 2 were in the store before, compared without times: --allow-duplicates" in done.stdout


def test_what_a_store_exports_it_has(tmp_path: Path) -> None:
    lines = "".join(f"X,buy,{100 + k},{1 + k},{1_700_000_000 + k}\n" for k in range(12))
    (tmp_path / "t.csv").write_text("symbol,side,price,quantity,time\n" + lines)
    assert escala("records", "import", "t.csv", cwd=tmp_path).returncode == 0
    assert escala("records", "export", "out.csv", cwd=tmp_path).returncode == 0
    done = escala("records", "import", "out.csv", cwd=tmp_path)
    assert done.stderr == "escala: 12 records imported before, from t.csv: --allow-duplicates adds them once more\n"


async def test_symbols_that_begin_as_comments_do_are_exported_as_symbols(tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "escala.db") as store:
        for symbol in ("#hash", "A"):
            await store.add_record(symbol, 1.0, 0.5, observed_at=1_700_000_000.0)
    done = await asyncio.to_thread(escala, "records", "export", "out.csv", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    made = sources.read(tmp_path / "out.csv")
    assert (made.symbol.tolist(), made.notes) == (["#hash", "A"], ())


def test_a_file_that_cannot_be_added_leaves_no_store(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(HEADER + 'A,1,0.5,1700000000\n"B\nC",1,0.5,1700000000\n')
    done = escala("records", "import", "r.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert "r.csv: symbol must be text without control characters" in done.stderr
    assert "but row 4: symbol = 'B\\nC'" in done.stderr
    assert not (tmp_path / "escala.db").exists()


async def test_records_that_were_not_imported_are_known_too(tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "escala.db") as store:
        await store.add_record("A", 1.0, 0.5, observed_at=1_700_000_000.0)
    (tmp_path / "r.csv").write_text(HEADER + "A,1,0.5,1700000000\n")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "escala", "records", "import", "r.csv", "--db", str(tmp_path / "escala.db")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == "escala: 1 record in the store before: --allow-duplicates adds them once more\n"


async def test_an_import_is_compared_as_a_multiset(url: str) -> None:
    rng = np.random.default_rng(3)
    n = 3000
    symbols = rng.choice(["A", "B", "C"], n).astype(object)
    capital, efficiency = rng.integers(1, 9, n).astype(float), rng.integers(0, 3, n) / 4
    weights, times = rng.integers(0, 3, n).astype(float), rng.integers(0, 4, n).astype(float)
    columns = (symbols, capital, efficiency, weights, times)
    first = slice(0, 2000)
    whole: list[Any] = list(zip(*columns, strict=True))
    there: dict[Any, int] = {}
    for row in whole[first]:
        there[row] = there.get(row, 0) + 1
    expected = []
    for row in whole[1000:]:
        there[row] = there.get(row, 0) - 1
        if there[row] < 0:
            expected.append(row)
    async with await Store.open(url) as store:
        for part, added in ((first, 2000), (slice(1000, n), len(expected))):
            s, c, e, w, t = (column[part] for column in columns)
            done = await store.import_records(s, c, e, weights=w, observed_at=t, file="r.csv")
            assert (done.added, done.duplicates) == (added, len(s) - added)
        found = await store.records(after_id=2000)
        seconds = found.observed_at.astype(np.int64) / 1e6
        kept = list(zip(found.symbol, found.capital, found.efficiency, found.weight, seconds, strict=True))
        assert sorted(kept) == sorted(expected)
        assert await store.imports() == [
            RecordImport(1, (await store.imports())[0].at, "r.csv", 2000, 0, 2000),
            RecordImport(2, (await store.imports())[1].at, "r.csv", len(expected), 2000 - len(expected), len(expected)),
        ]
        assert await store.import_records([], [], [], file="none.csv") == Imported(0, 0, 0, ())


@pytest.mark.slow
async def test_of_two_processes_that_import_one_file_at_once_one_adds_it(url: str) -> None:
    async with await Store.open(url):
        pass
    for count in (1, 3000, 40_000):
        command = [sys.executable, "-W", "error", "-m", "tests.faults.importers", url, str(count)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        running = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = sorted(process.communicate(timeout=120)[0].split() for process in running)
        assert said == sorted([["0", str(count)], [str(count), "0"]])
        async with await Store.open(url) as store:
            assert len(await store.records()) == count
            assert await store.delete_records("A") == {"A": count}


# --- what may be given -----------------------------------------------------------------------------------------------


async def test_bad_imports_are_refused_whole(tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "s.db") as store:
        with pytest.raises(RecordError, match="efficiency must be in"):
            await store.import_records(["A", "A"], [1.0, 1.0], [0.5, 2.0], file="r.csv")
        with pytest.raises(
            RecordError, match=r"fingerprints must be one int64 a record \(1\), not float64 of shape \(1"
        ):
            await store.import_records(["A"], [1.0], [0.5], file="r.csv", fingerprints=[0.5])
        with pytest.raises(RecordError, match="file must be text that is not empty, not None"):
            await store.import_records(["A"], [1.0], [0.5], file=None)  # type: ignore[arg-type]
        assert await store.imports() == []


async def test_what_is_to_be_deleted_must_be_said(tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "s.db") as store:
        await store.add_record("A", 1.0, 0.5)
        with pytest.raises(RecordError, match="delete_records must be told which: symbols, imports, since, before"):
            await store.delete_records()
        with pytest.raises(RecordError, match="imports names 7, and there is no such import; there are none"):
            await store.delete_records(imports=7)
        await store.import_records(["A"], [2.0], [0.5], file="r.csv")
        with pytest.raises(RecordError, match="imports names 7, and there is no such import; the newest is 1"):
            await store.delete_records(imports=[1, 7])
        with pytest.raises(RecordError, match=r"imports\[1\] must be an integer"):
            await store.delete_records(imports=[1, 0.5])  # type: ignore[list-item]
        with pytest.raises(RecordError, match="since must be"):
            await store.delete_records(since="yesterday")
        with pytest.raises(RecordError, match="before must be one time"):
            await store.delete_records(before=[1.0, 2.0])
        assert await store.delete_records([]) == {}
        assert len(await store.records()) == 2


# --- records that go again -------------------------------------------------------------------------------------------


async def test_records_are_deleted_by_symbol_import_and_time(url: str) -> None:
    day = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    async with await Store.open(url) as store:
        for k, name in enumerate(["one.csv", "two.csv"]):
            times = [day + datetime.timedelta(days=d) for d in range(4)]
            await store.import_records(list("ABAB"), [1.0 + k, 2.0, 3.0, 4.0], [0.5] * 4, observed_at=times, file=name)
        assert (await store.imports())[1].added == 1
        await store.add_record("C", 1.0, 0.5, metrics={"roi": 1.0})
        assert await store.delete_records(imports=2, dry_run=True) == {"A": 1}
        assert await store.delete_records("A", since=day + datetime.timedelta(days=2), dry_run=True) == {"A": 1}
        assert await store.delete_records(["A", "none"], before=day + datetime.timedelta(days=2)) == {"A": 2}
        assert (await store.records()).id.tolist() == [2, 3, 4, 6]
        assert await store.delete_records(imports=[1, 2]) == {"A": 1, "B": 2}
        assert [one.records for one in await store.imports()] == [0, 0]
        removed = await store.removals()
        assert removed == {"A": 8, "B": 8}
        assert await store.add_record("A", 1.0, 0.5) == 9  # no number is given twice
        assert await store.symbols() == {"A": 9, "C": 6}
        assert await store.delete_records("C") == {"C": 1}
        done = await store.import_records(["B"], [2.0], [0.5], observed_at=day, file="again.csv")
        assert done == Imported(3, 1, 0, ())  # what was deleted is not known any more


async def test_a_symbol_without_records_left_has_no_current_model(url: str) -> None:
    async with await Store.open(url) as store:
        curves = some_curves()
        names = curves.symbols.tolist()
        await store.add_records(names, [1.0] * 12, [0.5] * 12)
        await store.save_models(curves, last_record_id=list((await store.symbols()).values()))
        assert await store.delete_records(names[0]) == {names[0]: 1}
        assert names[0] not in (await store.models()).curves.symbols
        assert names[0] not in await store.saturation_points()
        assert len(await store.history(names[0])) == 1
        assert names[0] not in await store.symbols()


async def test_an_engine_notices_that_records_are_gone(url: str) -> None:
    async with await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=LONG)) as engine:
        for symbol in "AB":
            await add_line(engine, symbol, 0.9, 1e-6)
        bad = {"symbol": ["A"] * 14, "capital": CAPITAL, "efficiency": [0.1] * 14, "source": ["bad"] * 14}
        right = await engine.predict_efficiency("A", 1e5)
        await engine.add_efficiency_records(bad)
        wrong = await engine.predict_efficiency("A", 1e5)
        assert wrong.efficiency < right.efficiency - 0.2
        [[first]] = await run_sql(url, "SELECT min(id) FROM efficiency_record WHERE source = 'bad'")
        await run_sql(url, f"UPDATE efficiency_record SET observed_at = 0 WHERE id >= {first}")
        assert await engine.delete_records("A", before=1.0, dry_run=True) == {"A": 14}
        assert await engine.predict_efficiency("A", 1e5) is wrong
        assert await engine.delete_records("A", before=1.0) == {"A": 14}
        assert (await engine.model_info("A")).stale
        assert not (await engine.model_info("B")).stale
        found = await engine.predict_efficiency("A", 1e5)
        assert (found.efficiency, found.low, found.high) == (right.efficiency, right.low, right.high)
        assert not (await engine.model_info("A")).stale
    async with await PredictiveScalingEngine.open(url) as engine:  # the training knows of the removal
        assert not (await engine.model_info("A")).stale
        assert (await engine.stats())["trainings"] == 0


async def test_an_engine_notices_what_others_delete(url: str) -> None:
    config = EngineConfig(refresh_interval=0.0, refresh_timeout=LONG)
    async with await PredictiveScalingEngine.open(url, config) as engine, await Store.open(url) as other:
        for symbol in "ABC":
            await add_line(engine, symbol, 0.9, 1e-6)
        before = await engine.predict_efficiency("A", 1e5)
        half = float(np.median(CAPITAL))
        small = (await other.records("A")).id[CAPITAL < half]
        await run_sql(url, f"UPDATE efficiency_record SET observed_at = 0 WHERE id <= {small[-1]}")
        await other.delete_records("A", before=1.0)
        await other.delete_records("B")
        after = await engine.predict_efficiency("A", 1e5)
        assert after.as_of > before.as_of
        assert after.extrapolated
        for question in (engine.predict_efficiency("B", 1e5), engine.predict_many("B", 1e5), engine.model_info("B")):
            with pytest.raises(UnknownSymbolError, match="there are no records of 'B'"):
                await question
        assert (await engine.curves()).symbols.tolist() == ["A", "C"]
        await add_line(engine, "B", 0.8, 1e-6)
        assert (await engine.predict_efficiency("B", 1e5)).efficiency == pytest.approx(0.7)


async def test_what_is_deleted_while_others_train_is_unknown(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    config = EngineConfig(refresh_interval=LONG)
    async with await PredictiveScalingEngine.open(path, config) as engine, await Store.open(path) as other:
        for symbol in "AB":
            await add_line(engine, symbol, 0.9, 1e-6)
        await other.delete_records("A")  # the engine does not know yet that there is nothing to train from
        assert (await engine.curves()).symbols.tolist() == ["B"]
        with pytest.raises(UnknownSymbolError, match="there are no records of 'A'"):
            await engine.predict_efficiency("A", 1e5)
        await other.delete_records("B")
        with pytest.raises(UnknownSymbolError, match="there are no records of 'B'"):
            await engine.train("B")


async def test_a_model_that_was_saved_after_the_removal_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    async with await PredictiveScalingEngine.open(path) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        await engine.delete_records("A")
        assert (await engine.stats())["symbols"] == 0
        number = (await engine.store.removals())["A"]
        model = CurveSet.from_params(["A"], "linear", [[-1e-6, 0.9]])
        await engine.store.save_models(model, last_record_id=[number])
    async with await PredictiveScalingEngine.open(path) as engine:
        assert (await engine.predict_efficiency("A", 1e5)).efficiency == pytest.approx(0.8)
    async with await PredictiveScalingEngine.open(path) as engine:  # one that knew the records alone goes
        await engine.store.save_models(model, last_record_id=[number - 1])
        assert (await engine.stats())["symbols"] == 1


# --- on the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "good.csv").write_text(HEADER + rows(0, 12))
    (tmp_path / "bad.csv").write_text(HEADER + rows(6, 18).replace("A,", "B,") + "A,5,0.5,1600000000\n")
    for name in ("good.csv", "bad.csv"):
        assert escala("records", "import", name, cwd=tmp_path).returncode == 0
    return tmp_path


def test_imports_are_listed(desk: Path) -> None:
    found = answer(desk, "records", "list", "--imports")
    assert [(one["id"], one["file"], one["added"], one["duplicates"], one["records"]) for one in found] == [
        (1, "good.csv", 12, 0, 12), (2, "bad.csv", 13, 0, 13),
    ]  # fmt: skip
    assert list(found[0]) == ["id", "at", "file", "added", "duplicates", "records"]
    lines = escala("records", "list", "--imports", cwd=desk).stdout.splitlines()
    assert lines[0] == "2 imports"
    assert lines[2].split("  ")[0] == "import"
    assert lines[4].split()[0] == "2"
    assert lines[4].split()[3:] == ["13", "0", "13", "bad.csv"]


def test_an_import_is_undone(desk: Path) -> None:
    done = escala("records", "delete", "--import", "2", cwd=desk)
    assert done.stdout.startswith("13 records of 2 symbols would be deleted; --yes deletes them\n\nsymbol  records\n")
    assert stored(desk) == 25
    assert answer(desk, "records", "delete", "--import", "2") == {
        "deleted": False, "records": 13, "symbols": {"A": 1, "B": 12},
    }  # fmt: skip
    done = escala("records", "delete", "--import", "2", "--yes", cwd=desk)
    assert done.stdout == "13 records of 2 symbols deleted\n\nsymbol  records\nB            12\nA             1\n"
    assert stored(desk) == 12
    assert answer(desk, "records", "list", "--imports")[1]["records"] == 0
    assert answer(desk, "records", "import", "bad.csv")["added"] == 13
    found = answer(desk, "records", "delete", "--symbols", "A", "--before", "2023-11-14T22:13:21", "--yes")
    assert found == {"deleted": True, "records": 2, "symbols": {"A": 2}}
    assert answer(desk, "records", "delete", "--since", "2030-01-01", "--yes")["records"] == 0


def test_of_many_symbols_the_first_are_listed(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(HEADER + "".join(f"S{k},1,0.5,1700000000\n" for k in range(30)))
    assert escala("records", "import", "r.csv", cwd=tmp_path).returncode == 0
    lines = escala("records", "delete", "--import", "1", cwd=tmp_path).stdout.splitlines()
    assert lines[-1] == "and 10 symbols more"
    assert len(lines) == 24


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "records delete must be told which: --symbols, --import, --since or --before"),
        (("--symbol", "a", "--yes"), 1, "there are no records of 'a'; did you mean 'A'?"),
        (("--import", "3"), 1, "imports names 3, and there is no such import; the newest is 2"),
        (("--before", "now"), 2, "--before takes an ISO date such as 2024-01-31 or 2024-01-31T12:00, not 'now'"),
        (("--symbol", "A", "--db", "none.db"), 1, "there is no store at"),
    ],
)
def test_deleting_begins_with_being_told_what(desk: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = escala("records", "delete", *arguments, cwd=desk)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"escala: {message}")
    assert stored(desk) == 25


def test_imports_are_of_whole_files(desk: Path) -> None:
    done = escala("records", "list", "--imports", "--symbols", "A", cwd=desk)
    assert (done.returncode, done.stderr) == (2, "escala: --imports shows whole files: leave out --symbols\n")


def _stop(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("place", "arguments", "said"),
    [
        ((sources, "read"), ("records", "import", "good.csv"), "nothing was added"),
        (
            (Store, "import_records"),
            ("records", "import", "good.csv"),
            "a file is added whole or not at all: records list --imports tells",
        ),
        ((Store, "imports"), ("records", "list", "--imports"), ""),
        ((kernels, "load_all"), ("warm",), "kernels that were compiled are kept"),
        ((scenario_file, "run"), ("simulate", "--csv", "good.csv"), "nothing was written"),
    ],
)
def test_what_is_stopped_says_what_is_left(
    place: tuple[Any, str], arguments: tuple[str, ...], said: str, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "compiled", kernels.names)
    monkeypatch.setattr(*place, _stop)
    done = escala(*arguments, cwd=desk)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == (f"escala: stopped; {said}\n" if said else "escala: stopped\n")
