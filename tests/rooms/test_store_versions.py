"""Stores of other versions: what escala 0.1.0 wrote is read to the bit, and curves say themselves what they hold."""

from __future__ import annotations

import json
import math
import re
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from escala import CurveSet, ScalingConfig, Store, StoreError, SymbolConfig, allocate, fit
from escala.store import curve_bytes, schema
from escala.store.database import migrate
from escala.store.location import Location
from tests.places import DATA, ROOT
from tests.postgres import Server
from tests.stores import run_sql, same_bits, some_curves

OLD: dict[str, Any] = json.loads((DATA / "store_0_1_0.json").read_text(encoding="utf-8"))
NO_GROUPS = {"allocation_group": 0, "allocation_member": 0}
#: Names of today, by those in what the old version wrote down.
TODAY = {then: now for now, then in curve_bytes.FORMERLY.items() if now in curve_bytes.names()}


def array(written: dict[str, Any]) -> npt.NDArray[Any]:
    return np.frombuffer(bytes.fromhex(written["bytes"]), written["dtype"]).reshape(written["shape"])


def number(written: Any) -> Any:
    """Floats were written in hexadecimal."""
    if not isinstance(written, str):
        return written
    try:
        return float.fromhex(written)
    except ValueError:
        return written


def same_numbers(one: Any, other: Any) -> bool:
    return one == other or bool(math.isnan(one) and math.isnan(other))


@pytest.fixture
def old_file(tmp_path: Path) -> str:
    return str(shutil.copy(DATA / "store_0_1_0.db", str(tmp_path / "store.db")))


def rows_of_the_old_file() -> dict[str, tuple[list[str], list[dict[str, Any]]]]:
    """Give columns and rows of every table."""
    found = {}
    with closing(sqlite3.connect(f"file:{DATA / 'store_0_1_0.db'}?mode=ro&immutable=1", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        for table in OLD["rows"]:
            rows = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
            found[table] = list(rows[0]), rows
    return found


async def make_old_on_postgres(url: str) -> None:
    """Make a database of the old schema with the rows of the old file."""
    engine = create_async_engine(Location.of(url).url)
    async with engine.begin() as connection:
        await connection.run_sync(lambda c: migrate(c, OLD["revision"]))
        for table, (columns, rows) in rows_of_the_old_file().items():
            values = ", ".join("CAST(:metrics AS jsonb)" if name == "metrics" else f":{name}" for name in columns)
            await connection.execute(text(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"), rows)
            if "id" in columns:
                await connection.execute(
                    text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")
                )
    await engine.dispose()


async def test_a_store_of_0_1_0_is_read_on_sqlite(old_file: str) -> None:
    await check_all(old_file)


async def test_a_store_of_0_1_0_is_read_on_postgresql(postgres: Server) -> None:
    url = postgres.create("version_0_1_0")
    await make_old_on_postgres(url)
    await check_all(url)


async def check_all(url: str) -> None:
    for _ in range(2):  # when it is migrated, and after that
        async with await Store.open(url, create=False) as store:
            stats = await store.stats()
            assert stats["revision"] == schema.REVISIONS[-1]
            assert stats["rows"] == {
                **OLD["rows"],
                "record_import": 0,
                "record_removal": 0,
                "write_identity": 0,
                **NO_GROUPS,
            }
            await check_records(store)
            await check_models(store)
            await check_history(store)
            await check_settings(store)
            await check_allocations(store)
    async with await Store.open(url) as store:
        await check_that_it_goes_on(store)


async def check_records(store: Store) -> None:
    found = await store.records()
    written = OLD["records"]
    assert found.symbol.tolist() == written["symbol"]
    for name in ("id", "capital", "efficiency", "weight", "observed_at"):
        assert getattr(found, name).tobytes() == array(written[name]).tobytes(), name
    assert await store.record_sources() == OLD["sources"]
    for symbol, metrics in OLD["metrics"].items():
        assert await store.metrics_of(symbol) == {int(k): values for k, values in metrics.items()}


async def check_models(store: Store) -> None:
    models = await store.models()
    assert models.version.tolist() == OLD["models"]["version"]
    assert models.last_record_id.tolist() == OLD["models"]["last_record_id"]
    assert models.trained_at.astype(np.int64).tolist() == OLD["models"]["trained_at"]
    check_curves(models.curves)
    check_answers(models.curves)
    chosen = await store.models(["EXP", "FEW"])
    for name in curve_bytes.names():
        places = [models.curves.index(symbol) for symbol in chosen.curves.symbols]
        assert getattr(chosen.curves, name).tobytes() == getattr(models.curves, name)[places].tobytes()


def check_curves(curves: CurveSet) -> None:
    """Equal to the bit; where arrays are wider now the rest is zeros, or NaN if nothing is known."""
    written = OLD["curves"]
    assert curves.symbols.tolist() == written["symbols"]
    assert curves.family_names == written["family_names"]
    assert curves.status_names == written["status_names"]
    for then in set(written) - {"symbols", "family_names", "status_names"}:
        expected = array(written[then])
        found = getattr(curves, TODAY.get(then, then))
        shared = tuple(slice(size) for size in expected.shape)
        assert found[shared].tobytes() == expected.tobytes(), then
        assert found.dtype == expected.dtype, then
        rest = found.copy()
        rest[shared] = 0
        nothing = np.isnan(expected).reshape(len(expected), -1).all(axis=1)
        assert np.all(rest[~nothing] == 0), then
        assert np.all((rest[nothing] == 0) | np.isnan(rest[nothing])), then


def check_answers(curves: CurveSet) -> None:
    asked = np.tile(OLD["asked"], (len(curves), 1))
    found = curves.predict(asked)
    written = OLD["predictions"]
    for name in ("efficiency", "extrapolated"):
        assert getattr(found, name).tobytes() == array(written[name]).tobytes(), name
    for name in ("low", "high", "confidence"):  # by Student's distribution, of which SciPy may change the last bits
        np.testing.assert_allclose(getattr(found, name), array(written[name]), rtol=1e-12, atol=1e-15)
    assert curves.utility(asked).tobytes() == array(OLD["utility"]).tobytes()
    assert curves.threshold(0.6).tobytes() == array(OLD["threshold"]).tobytes()
    np.testing.assert_allclose(curves.lack_of_fit, array(OLD["lack_of_fit"]), rtol=1e-12)
    limits = curves.saturation()
    for name, values in OLD["saturation"].items():
        np.testing.assert_allclose(getattr(limits, name), array(values), rtol=1e-9)


async def check_history(store: Store) -> None:
    for symbol, trainings in OLD["history"].items():
        found = await store.history(symbol)
        assert len(found) == len(trainings)
        for training, written in zip(found, trainings, strict=True):
            for then, value in written.items():
                mine = getattr(training, then if hasattr(training, then) else TODAY[then])
                if then == "params":
                    assert all(map(same_numbers, mine, map(number, value)))
                    assert all(rest == 0.0 or math.isnan(rest) for rest in mine[3:])
                elif then == "saturation":
                    check_point(mine, value)
                elif then == "trained_at":
                    assert mine == datetime.fromisoformat(value)
                else:
                    assert same_numbers(mine, value if then in ("symbol", "family", "status") else number(value)), then
    points = await store.saturation_points()
    assert list(points) == list(OLD["saturation_points"])
    for symbol, written in OLD["saturation_points"].items():
        check_point(points[symbol], written)


def check_point(point: Any, written: dict[str, Any]) -> None:
    for name, value in written.items():
        expected = datetime.fromisoformat(value) if name == "trained_at" else number(value)
        assert same_numbers(getattr(point, name), expected), name


async def check_settings(store: Store) -> None:
    for name, written in OLD["config"].items():
        assert await store.config(name) == ScalingConfig(**written)
    own = {
        symbol: SymbolConfig(**{name: value if name == "family" else number(value) for name, value in written.items()})
        for symbol, written in OLD["symbol_config"].items()
    }
    assert await store.symbol_config() == own


async def check_allocations(store: Store) -> None:
    found = await store.allocations()
    assert len(found) == len(OLD["allocations"])
    for allocation, written in zip(found, OLD["allocations"], strict=True):
        for name in ("id", "total", "unallocated", "utility", "upper_bound", "gap", "shadow_price"):
            assert same_numbers(getattr(allocation, name), number(written[name])), name
        assert allocation.status == written["status"]
        assert allocation.at == datetime.fromisoformat(written["at"])
        assert len(allocation.lines) == len(written["lines"])
        for line, expected in zip(allocation.lines, written["lines"], strict=True):
            assert (line.symbol, line.binding) == (expected["symbol"], expected["binding"])
            for name in ("amount", "efficiency", "marginal"):
                assert same_numbers(getattr(line, name), number(expected[name])), name


async def check_that_it_goes_on(store: Store) -> None:
    """Numbers go on where they ended, and curves of both layouts come back side by side."""
    last = OLD["models"]["version"][-1]
    records = OLD["rows"]["efficiency_record"]
    assert await store.add_record("LIN", 1000.0, 0.9) == records + 1
    own = await store.records(["LIN", "SQRT"])
    curves = fit(own.symbol, own.capital, own.efficiency)
    versions = await store.save_models(curves, last_record_id=[records + 1, records])
    assert versions.tolist() == [last + 1, last + 2]
    found = (await store.models()).curves
    untouched = [symbol for symbol in OLD["curves"]["symbols"] if symbol not in ("LIN", "SQRT")]
    assert found.symbols.tolist() == [*untouched, *curves.symbols]
    places = [OLD["curves"]["symbols"].index(symbol) for symbol in untouched]
    for name in curve_bytes.names():
        new = getattr(found, name)
        assert new[len(untouched) :].tobytes() == getattr(curves, name).tobytes(), name
    assert found.efficiency(54321.0)[: len(places)].tobytes() == (
        np.ascontiguousarray(array(OLD["predictions"]["efficiency"])[places, 2]).tobytes()
    )


# --- curves that say what they hold ----------------------------------------------------------------------------------

CURVES = fit(
    {
        "symbol": ["A"] * 5 + ["B"] * 5 + ["C"],
        "capital": [*np.linspace(1e3, 1e5, 5), *np.linspace(2e3, 3e5, 5), 5.0],
        "efficiency": [0.9, 0.88, 0.85, 0.84, 0.81, 0.9, 0.7, 0.62, 0.55, 0.54, 0.5],
    },
    family=["linear", "quadratic", "linear"],
)


def unpacked(contents: list[bytes], layout: int = curve_bytes.LAYOUT) -> CurveSet:
    return curve_bytes.unpack(CURVES.symbols.tolist(), [layout] * len(contents), contents, "here")


def with_head(change: Any) -> list[bytes]:
    """Pack the curves with another first line."""
    parts = [content.partition(b"\n") for content in curve_bytes.pack(CURVES)]
    return [change(head) + b"\n" + values for head, _, values in parts]


def test_curves_come_back_to_the_bit() -> None:
    found = unpacked(curve_bytes.pack(CURVES))
    assert found.symbols.tolist() == CURVES.symbols.tolist()
    for name in curve_bytes.names():
        mine, given = getattr(found, name), getattr(CURVES, name)
        assert (mine.dtype, mine.shape, mine.tobytes()) == (given.dtype, given.shape, given.tobytes())
        assert mine.flags.c_contiguous


def test_what_a_curve_holds_can_be_read_in_its_first_line() -> None:
    (head, *_) = curve_bytes.pack(CURVES)[0].split(b"\n")
    assert head.startswith(b"family:i1 status:i1 params:f8[")
    assert b" r_squared:f8 " in head
    assert [entry.split(":")[0] for entry in head.decode().split(" ")] == list(curve_bytes.names())


def test_statistics_that_are_not_known_are_passed_over() -> None:
    contents = [content + np.arange(2.0).tobytes() for content in with_head(lambda head: head + b" leverage:f8[2]")]
    found = unpacked(contents)
    assert found.params.tobytes() == CURVES.params.tobytes()
    assert found.aicc.tobytes() == CURVES.aicc.tobytes()


def test_statistics_that_are_not_there_are_nan_and_counts_zero() -> None:
    renamed = with_head(lambda head: head.replace(b"rmse:", b"other:").replace(b"clipped:", b"another:"))
    found = unpacked(renamed)
    assert np.isnan(found.rmse).all()
    assert found.rmse.shape == (3,)
    assert found.clipped.tolist() == [0, 0, 0]
    assert found.max_error.tobytes() == CURVES.max_error.tobytes()


def test_a_statistic_may_have_had_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(curve_bytes.FORMERLY, "rmse", "root_of_the_mean_square")
    found = unpacked(with_head(lambda head: head.replace(b"rmse:", b"root_of_the_mean_square:")))
    assert found.rmse.tobytes() == CURVES.rmse.tobytes()


def rewritten(name: str, values: Any) -> list[bytes]:
    """Pack the curves with another array in place of one of theirs."""
    arrays = {each: getattr(CURVES, each) for each in curve_bytes.names()} | {name: np.asarray(values)}
    contents = []
    for k in range(len(CURVES)):
        head = " ".join(
            f"{each}:{a.dtype.kind}{a.dtype.itemsize}" + (f"[{','.join(map(str, a.shape[1:]))}]" if a.ndim > 1 else "")
            for each, a in arrays.items()
        )
        contents.append(f"{head}\n".encode() + b"".join(a[k].tobytes() for a in arrays.values()))
    return contents


def test_narrower_arrays_are_filled_up() -> None:
    params = np.array([[1.0, -0.0], [2.0, 3.0], [np.nan, np.nan]])
    found = unpacked(rewritten("params", params)).params
    assert found.shape == CURVES.params.shape
    assert found[:, :2].tobytes() == params.tobytes()
    assert np.all(found[:2, 2:] == 0.0)
    assert np.isnan(found[2]).all()
    corner = unpacked(rewritten("covariance", CURVES.covariance[:, :2, :2])).covariance
    assert corner[:, :2, :2].tobytes() == CURVES.covariance[:, :2, :2].tobytes()
    assert np.all(corner[0, 2:] == 0.0)
    assert np.all(corner[0, :, 2:] == 0.0)


def test_wider_arrays_are_read_if_nothing_is_lost() -> None:
    zeros = np.zeros((3, 2))
    assert unpacked(rewritten("params", np.hstack([CURVES.params, zeros]))).params.tobytes() == CURVES.params.tobytes()
    zeros[1, 1] = 1.0
    with pytest.raises(StoreError, match=r"the model of 'B' in here cannot be read \(params is of another form\)"):
        unpacked(rewritten("params", np.hstack([CURVES.params, zeros])))
    with pytest.raises(StoreError, match=r"the model of 'A' .* \(aicc is of another form\)"):
        unpacked(rewritten("aicc", CURVES.params))
    with pytest.raises(StoreError, match=r"\(clipped is of another form\)"):
        unpacked(rewritten("clipped", np.full(3, 0.5)))


#: Ladders of one, three and two steps among the others.
LADDERS = CurveSet.concatenate(
    [
        CURVES[:2],
        CurveSet.from_ladders(
            ["L", "M", "N"], [[0.0], [0.0, 1.0, 2.0], [0.0, 5.0]], [[0.5], [1.0, 0.5, 0.0], [0.9, 0.1]]
        ),
    ]
)[[2, 0, 3, 1, 4]]


def unpacked_ladders(contents: list[bytes]) -> CurveSet:
    return curve_bytes.unpack(LADDERS.symbols.tolist(), [curve_bytes.LAYOUT] * len(contents), contents, "here")


def test_rows_of_their_own_length_come_back_to_the_bit() -> None:
    contents = curve_bytes.pack(LADDERS)
    assert same_bits(unpacked_ladders(contents), LADDERS)
    heads = [content.partition(b"\n")[0] for content in contents]
    assert [head.rpartition(b" ")[2] for head in heads[::2]] == [b"_steps:f8[3]", b"_steps:f8[9]", b"_steps:f8[6]"]
    assert heads[1] == heads[3] == curve_bytes.pack(CURVES)[0].partition(b"\n")[0]
    found = unpacked_ladders(contents)
    assert not found._steps.values.flags.writeable
    assert found.efficiency(4.0).tolist() == LADDERS.efficiency(4.0).tolist()


@pytest.mark.parametrize(
    "change",
    [
        lambda head, values: (head.replace(b"[9]", b"[8]"), values),
        lambda head, values: (head.replace(b"[9]", b"[10]"), values),
        lambda head, values: (head.replace(b"[9]", b"[" + b"9" * 15 + b"]"), values),
        lambda head, values: (head.replace(b"_steps:f8[9]", b"_steps:f4[9]"), values),
        lambda head, values: (head.replace(b"_steps:f8[9]", b"_steps:f8"), values[:-64]),
        lambda head, values: (head.replace(b"_steps:f8[9]", b"_steps:f8[4] _steps:f8[5]"), values),
        lambda head, values: (b"_steps:f8[9] " + head.removesuffix(b" _steps:f8[9]"), values),
        lambda head, values: (head, values + b"\0"),
        lambda head, values: (head, values[:-1]),
    ],
)
def test_rows_of_another_length_than_they_say_are_refused(change: Any) -> None:
    contents = curve_bytes.pack(LADDERS)
    head, _, values = contents[2].partition(b"\n")
    contents[2] = b"\n".join(change(head, values))
    with pytest.raises(StoreError, match=r"the model of 'M' in here cannot be read \(layout 2\)"):
        unpacked_ladders(contents)


@pytest.mark.parametrize("rows", [b"_steps:f8[3]", b"_steps:f8[6]", b"_steps:f8[12]", b""])
def test_other_steps_than_a_ladder_has_are_refused(rows: bytes) -> None:
    contents = curve_bytes.pack(LADDERS)
    head, _, values = contents[2].partition(b"\n")
    size = int(rows[10:-1] or b"0") if rows else 0
    contents[2] = head.replace(b" _steps:f8[9]", b" " * bool(rows) + rows) + b"\n" + values[:-72] + bytes(8 * size)
    with pytest.raises(StoreError, match=r"the model of 'M' in here cannot be read \(_steps is of another form\)"):
        unpacked_ladders(contents)


@pytest.mark.parametrize(
    ("change", "layout"),
    [
        (lambda head: head, 1),
        (lambda head: head, 3),
        (lambda head: head + b" more:f8", 2),
        (lambda head: head.replace(b"params:", b"others:"), 2),
        (lambda head: head.replace(b"status:", b"family:"), 2),
        (lambda head: head.replace(b"aicc:f8", b"aicc:O8"), 2),
        (lambda head: head.replace(b"aicc:f8", b"aicc:f8[0x]"), 2),
        (lambda head: head.replace(b"aicc:f8", b"aicc:f8[" + b"9" * 40 + b"]"), 2),
        (lambda head: head.replace(b"aicc", "𝑎icc".encode()), 2),
        (lambda _: b"", 2),
    ],
)
def test_what_cannot_be_read_is_named(change: Any, layout: int) -> None:
    with pytest.raises(StoreError, match=rf"the model of 'A' in here cannot be read \(layout {layout}\)"):
        unpacked(with_head(change), layout)


def test_the_first_layout_is_still_known() -> None:
    """To the byte, whatever the arrays are called today."""
    with closing(sqlite3.connect(f"file:{DATA / 'store_0_1_0.db'}?mode=ro&immutable=1", uri=True)) as connection:
        rows = connection.execute(
            "SELECT t.symbol, layout, curve FROM model_training t JOIN saturation_point ON training_id = id ORDER BY id"
        ).fetchall()
    symbols, layouts, contents = zip(*rows, strict=True)
    assert set(layouts) == {1}
    check_curves(curve_bytes.unpack(symbols, layouts, contents, "the old file"))


# --- migrations -------------------------------------------------------------------------------------------------------


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
        assert (await store.stats())["revision"] == schema.REVISIONS[-1]
        assert (await store.records()).capital.tolist() == [2.0]
        (old,) = await store.allocations()
        assert (old.total, old.status, old.lines[0].amount) == (10.0, "optimal", 10.0)
        assert math.isnan(old.unallocated)
        assert math.isnan(old.lines[0].marginal)
        assert np.isnan([old.hurdle, old.reserve, old.target, old.cost, old.lines[0].current]).all()
        assert (old.goal, old.groups) == ("", ())
        assert await store.add_record("A", 1.0, 0.5) == 2
        assert await store.save_allocation(allocate(some_curves(), 1e6)) == 2
        assert not math.isnan((await store.allocations())[0].unallocated)


async def test_what_an_older_version_imported_can_be_undone(url: str) -> None:
    inserting = "INSERT INTO efficiency_record (symbol, capital, efficiency, weight, observed_at, source) VALUES "
    digest = "0123456789abcdef01234567"
    rows = [
        f"('A', {capital}.0, 0.5, 1.0, 1700000000000000, '{source}')"
        for capital, source in [
            (1, "system"), (2, f"my file.csv {digest}"), (3, f"my file.csv {digest}"), (4, "desk 0123"),
            (5, f"b.csv {digest[::-1]}"),
        ]
    ]  # fmt: skip
    await make_old(url, inserting + ", ".join(rows))
    async with await Store.open(url) as store:
        found = [(one.id, one.at, one.file, one.added, one.records) for one in await store.imports()]
        assert found == [(1, None, "my file.csv", 2, 2), (2, None, "b.csv", 1, 1)]
        done = await store.import_records(["A"] * 2, [2.0, 9.0], [0.5] * 2, observed_at=1.7e9, file="my file.csv")
        assert (done.id, done.added, done.duplicates, done.known_from) == (3, 1, 1, ("my file.csv",))
        assert await store.delete_records(imports=1) == {"A": 2}
        assert (await store.records()).capital.tolist() == [1.0, 4.0, 5.0, 9.0]


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


async def test_a_newer_schema_is_refused(url: str) -> None:
    async with await Store.open(url) as store:
        await store.add_record("A", 1.0, 0.5)
    await run_sql(url, "UPDATE escala_schema SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer escala"):
        await Store.open(url)


def test_each_revision_of_the_schema_has_one_migration() -> None:
    """Two that were written side by side would be applied in no order."""
    folder = ROOT / "src" / "escala" / "store" / "migrations" / "versions"
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("v*.py"))]
    revisions = [re.findall(r'^revision = "(\d+)"$', text, re.MULTILINE) for text in texts]
    assert revisions == [[revision] for revision in schema.REVISIONS]
    before = [re.findall(r'^down_revision = "(\d+)"$', text, re.MULTILINE) for text in texts]
    assert before == [[], *([revision] for revision in schema.REVISIONS[:-1])]
