"""Where a store may lie: what is none is refused and left as it is, no password is seen, no library is loaded too early."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import traceback
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from escala import MissingExtraError, Store, StoreError
from escala.store import schema
from tests.places import ROOT
from tests.postgres import Server

# --- what is refused --------------------------------------------------------------------------------------------------


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
        (make_a_newer_one, r"newer escala \(schema 9999, this one knows up to 0007\)"),
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


async def test_a_store_is_not_made_by_reading(url: str) -> None:
    with pytest.raises(StoreError, match=r"there is no store at .* yet"):
        await Store.open(url, create=False)
    async with await Store.open(url) as store:
        await store.add_record("A", 1e3, 0.9)
    async with await Store.open(url, create=False) as store:
        assert await store.symbols() == {"A": 1}


# --- secrets ----------------------------------------------------------------------------------------------------------


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


# --- the package ------------------------------------------------------------------------------------------------------


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


def test_a_store_in_a_file_loads_no_dialect_of_servers(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys, escala
async def main():
    async with await escala.Store.open({str(tmp_path / "x.db")!r}) as store:
        await store.add_record("A", 1.0, 0.5, metrics={{"spread": 0.1}})
        await store.set_config(escala.ScalingConfig())
        await store.delete_records("A")
        await store.add_record("A", 1.0, 0.5, metrics={{"spread": 0.1}})
        print(list((await store.metrics_of("A")).values())[-1])
asyncio.run(main())
print([m for m in ("sqlalchemy.dialects.postgresql", "alembic", "asyncpg", "numba", "scipy") if m in sys.modules])
"""
    python(code)  # makes it, by Alembic
    assert python(code).splitlines() == ["{'spread': 0.1}", "[]"]


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
