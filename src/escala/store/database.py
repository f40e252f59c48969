"""The database under a store: connections, transactions, migrations, and errors without secrets."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from sqlalchemy import ARRAY, Select, Table, Text, TextClause, any_, bindparam, event, func, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.elements import ColumnElement

from escala import parallel
from escala.errors import EscalaError, StoreError, StoreUncertainError
from escala.store import identities, schema
from escala.store.identities import Signature
from escala.store.location import Location, check_revision, is_new
from escala.text.visible import in_line

#: How long a transaction waits for other processes that write.
_PATIENCE_SECONDS: Final = 60.0
#: What SQLite says where it may make no log beside a file that others may write to.
_NO_LOG: Final = ("unable to open database file", "attempt to write a readonly database")
#: How long a call that was cancelled waits for its end.
_GRACE_SECONDS: Final = 1.0
#: Work that is under way: a loop alone would not keep it alive.
_ALIVE: Final[set[asyncio.Task[Any]]] = set()
_FETCHED: Final = 20_000  # rows
_MIGRATION_SECONDS: Final = 3600.0
#: How long a database is asked whether it kept what it did not confirm, and the pauses in between.
_ASKING_SECONDS: Final = 20.0
_PAUSE_SECONDS: Final = 0.2
#: What PostgreSQL knows our writers' lock by.
_LOCK: Final = schema.APPLICATION_ID
#: What every connection to SQLite begins with. FULL: a commit is on disk when it returns, whatever happens then. The
#: cache holds the index of a big transaction (KiB), the last is what such a one leaves of the log (bytes).
_SQLITE_SETTINGS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-65536",
    "journal_size_limit=67108864",
)

Answer = TypeVar("Answer")


class Database:
    """An open database.

    One transaction writes at a time, in all processes together: SQLite can do no other, and on PostgreSQL a lock sees
    to it. So numbers appear in the order in which they are given, and whoever has seen number n has seen all before it.

    Parameters
    ----------
    location : Location
        Where it lies.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        self.is_sqlite = location.path is not None
        self._errors = _driver_errors(is_sqlite=self.is_sqlite)
        self._engine = _sqlite_engine(location) if self.is_sqlite else _postgres_engine(location)
        self._writers = self._engine.execution_options(writes=True)
        self._turn = asyncio.Lock()
        self._reading = asyncio.Lock()
        # Connections to SQLite beside those of the driver: it takes a turn of its thread for every step.
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._one_reads = threading.Lock()  # also where whoever asked has been cancelled
        self._one_writes = threading.Lock()
        self._compiled: dict[Any, tuple[str, list[str]]] = {}
        self._closed = False

    @classmethod
    async def open(cls, location: Location, *, create: bool = True) -> Database:
        """Connect, and create the tables (if `create`) or bring them up to date.

        Raises
        ------
        StoreError
            If that is not possible.
        """
        if location.path is not None and await parallel.beside(is_new, location.path) and not create:
            raise _not_there(location)
        database = cls(location)
        try:
            with database.undamaged():
                await to_the_end(database._bring_up_to_date(create=create))
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        async with self._turn:  # the transaction that has begun ends first; those in line find it closed
            await to_the_end(self._dispose())

    async def _dispose(self) -> None:
        async with self._reading:
            await parallel.beside(self._close_beside)
        await self._engine.dispose()

    def _close_beside(self) -> None:
        with self._one_reads, self._one_writes:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
            self._reader = self._writer = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction that reads.

        Raises
        ------
        StoreError
            If the database fails.
        """
        self._refuse_closed()
        with self._translated("read"):
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction that reads, all of whose statements see the database as it was at the first of them.

        Raises
        ------
        StoreError
            If the database fails.
        """
        self._refuse_closed()
        with self._translated("read"):
            async with self._snapshots().begin() as connection:
                yield connection

    def _snapshots(self) -> AsyncEngine:
        # Every transaction of SQLite sees one moment.
        return self._engine if self.is_sqlite else self._engine.execution_options(isolation_level="REPEATABLE READ")

    async def rows(self, *questions: tuple[Select[Any] | TextClause, Mapping[str, Any]]) -> list[list[Any]]:
        """Give the rows of some statements with their parameters; all of them see the database at one moment.

        For what is asked often, with statements that are kept: SQLite answers all of it in one turn of a thread.

        Raises
        ------
        StoreError
            If the database fails.
        """
        self._refuse_closed()
        with self._translated("read"):
            if self.is_sqlite:
                spelt = [self._spelt(statement, values) for statement, values in questions]
                async with self._reading:
                    self._refuse_closed()
                    return await parallel.beside(self._answers, spelt)
            async with self._snapshots().begin() as connection:
                return [list((await connection.execute(statement, values)).all()) for statement, values in questions]

    def _spelt(self, statement: Select[Any] | TextClause, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        if statement not in self._compiled:
            compiled = statement.compile(dialect=self._engine.dialect)
            self._compiled[statement] = str(compiled), list(getattr(compiled, "positiontup", None) or ())
        sql, names = self._compiled[statement]
        return sql, [values[name] for name in names]

    def _answers(self, spelt: Sequence[tuple[str, list[Any]]]) -> list[list[Any]]:
        with self._one_reads:
            if self._reader is None:
                self._reader = _sqlite_connection(self.location, ("query_only=ON",))
            self._reader.execute("BEGIN")
            try:
                return [self._reader.execute(sql, values).fetchall() for sql, values in spelt]
            finally:
                self._reader.rollback()

    @asynccontextmanager
    async def writing(self, signature: Signature | None = None) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction that writes, alone; when the block is left without error all of it is on disk.

        Parameters
        ----------
        signature : Signature, optional
            What the block signs its work with. If the connection breaks once COMMIT was sent, the database is asked for
            it on a new one.

        Raises
        ------
        StoreError
            If the database fails; then nothing of it was kept.
        StoreUncertainError
            If it fails while it confirms, and cannot be asked.
        """
        self._refuse_what_is_read_only()
        async with self._turn:  # in line, where the database would have us try again and again
            self._refuse_closed()  # while this stood in line
            with self._translated("write to"):
                async with self._writers.connect() as connection:
                    await self._begin(connection)
                    yield connection
                    await self._commit(connection, signature)

    async def write_at_once(self, signature: Signature, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Do a short piece of work as :meth:`writing` does, in one turn of a thread; of SQLite alone.

        Parameters
        ----------
        signature : Signature
            What `work` signs with.
        work : callable
            Writes what it is to write; no more may go wrong once it returns than the commit.

        Raises
        ------
        StoreError, StoreUncertainError
            As :meth:`writing`.
        """
        self._refuse_what_is_read_only()
        async with self._turn:
            self._refuse_closed()  # while this stood in line
            with self._translated("write to"):
                found, error = await parallel.beside(self._write_now, work)
                if error is not None:
                    reason = self.location.hide(_reason(error))
                    if not await self._kept(signature, reason):
                        raise StoreError(f"cannot write to {self.location}: {reason}; it was not kept")
                return found

    def _write_now(self, work: Callable[[sqlite3.Connection], Answer]) -> tuple[Answer, sqlite3.Error | None]:
        """Give what the work gives, and the error of the commit if there was one."""
        with self._one_writes:
            if self._writer is None:
                self._writer = _sqlite_connection(self.location, _SQLITE_SETTINGS)
            connection, self._writer = self._writer, None  # whatever fails, nobody goes on with it
            failed: sqlite3.Error | None = None
            try:
                connection.execute("BEGIN IMMEDIATE")
                found = work(connection)
                try:
                    connection.execute("COMMIT")
                    self._writer = connection
                except sqlite3.Error as error:
                    failed = error
            finally:
                if self._writer is None:
                    connection.close()
            return found, failed

    def _refuse_what_is_read_only(self) -> None:
        self._refuse_closed()
        if self.location.read_only:
            raise StoreError(f"cannot write to {self.location}: it is read-only")

    async def _begin(self, connection: AsyncConnection, patience: float | None = None) -> None:
        await connection.begin()
        if not self.is_sqlite:
            seconds = self.location.lock_timeout if patience is None else max(patience, _PAUSE_SECONDS)
            await connection.execute(_LOCKING, {"key": _LOCK, "timeout": f"{1000 * seconds:.0f}"})

    async def _commit(self, connection: AsyncConnection, signature: Signature | None) -> None:
        """Commit; where no answer comes, ask on a new connection whether what was signed is there."""
        try:
            await connection.commit()
        except self._errors as error:
            reason = self.location.hide(_reason(error))
            await connection.invalidate()  # a transaction that lives on would keep the lock that is asked under
            if signature is None or not signature.signed:
                raise
            if not await self._kept(signature, reason):
                raise StoreError(f"cannot write to {self.location}: {reason}; it was not kept") from None

    async def _kept(self, signature: Signature, reason: str) -> bool:
        """Ask whether what was signed is there. Whoever has the writers' lock sees how the transaction ended."""
        until = time.monotonic() + _ASKING_SECONDS
        while True:
            try:
                async with self._writers.connect() as connection:
                    await self._begin(connection, until - time.monotonic())
                    return bool(await identities.known(connection, [signature.identity]))
            except self._errors:
                if time.monotonic() >= until:
                    break
            await asyncio.sleep(_PAUSE_SECONDS)
        given = signature.kind in identities.GIVEN
        raise StoreUncertainError(
            f"cannot tell whether {self.location} has kept what was written: {reason}; "
            f"the same call may be repeated{', with the identity that this error has' * given}",
            identity=signature.identity * given,
        )

    async def take_ids(self, connection: AsyncConnection, table: Table, count: int) -> int:
        """Give the first of `count` numbers in a row for new rows; to be called while writing."""
        if self.is_sqlite:
            # SQLite remembers the highest number by itself, once rows with it are inserted.
            last = (await connection.execute(_SQLITE_LAST, {"name": table.name})).scalar()
            return int(last or 0) + 1
        last = (await connection.execute(_POSTGRES_TAKE, {"name": table.name, "count": count})).scalar_one()
        return int(last) - count + 1

    async def take_number(self, connection: AsyncConnection, table: Table) -> int:
        """Give a number for what is no row of a table but has its place between them; to be called while writing."""
        if not self.is_sqlite:
            return await self.take_ids(connection, table, 1)
        await connection.execute(_SQLITE_SKIP, {"name": table.name})
        return int((await connection.execute(_SQLITE_LAST, {"name": table.name})).scalar_one())

    def insertion(self, table: Table) -> str:
        """Spell the statement that inserts rows of values in the order of the table's columns."""
        if table not in self._compiled:
            compiled = table.insert().compile(dialect=self._engine.dialect, column_keys=table.columns.keys())
            self._compiled[table] = str(compiled), []
        return self._compiled[table][0]

    def upsert(self, table: Table) -> Any:
        """Begin an insertion that can update rows that are there; each dialect has its own, and loads its drivers."""
        if self.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert
        else:
            from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
        return insert(table)

    async def blocks(self, connection: AsyncConnection, statement: Select[Any]) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Read rows many at a time and as the driver gives them: SQLAlchemy's own rows take three times as long."""
        compiled = statement.compile(dialect=self._engine.dialect)
        sql, named = str(compiled), compiled.params
        values = [named[name] for name in getattr(compiled, "positiontup", None) or ()]
        await connection.execute(select(1))  # before the first statement there is no transaction on PostgreSQL
        driver: Any = (await connection.get_raw_connection()).driver_connection
        if self.is_sqlite:
            cursor = await driver.execute(sql, values)
            fetch = cursor.fetchmany
        else:
            cursor = await driver.cursor(sql, *values)
            fetch = cursor.fetch
        while block := await fetch(_FETCHED):
            yield block
        if self.is_sqlite:
            await cursor.close()

    def one_of(self, column: ColumnElement[str], values: list[str]) -> ColumnElement[bool]:
        """Say that a column is one of many texts, with one parameter: databases limit their number."""
        return one_of(column, None, self.many(values), is_sqlite=self.is_sqlite)

    def many(self, values: list[str]) -> Any:
        """Give many texts as one parameter."""
        return json.dumps(values) if self.is_sqlite else values

    async def revision(self) -> str | None:
        """Give the schema's revision; None where there are no tables.

        Raises
        ------
        StoreError
            If the database fails.
        """
        async with self.reading() as connection:
            found: str | None = await connection.run_sync(self._revision)
            return found

    def _revision(self, connection: Any) -> str | None:
        there = inspect(connection)
        if there.has_table(schema.REVISION_TABLE):
            statement = f"SELECT version_num FROM {schema.REVISION_TABLE}"
            found: str = connection.execute(text(statement)).scalar_one()
            check_revision(str(self.location), found)
            return found
        tables = there.get_table_names()  # a file belongs to one program, a database on a server may be shared
        taken = tables if self.is_sqlite else [table for table in schema.METADATA.tables if table in tables]
        if taken:
            raise StoreError(f"{self.location} has a table {taken[0]} of another program; it was left as it is")
        return None

    async def _bring_up_to_date(self, *, create: bool) -> None:
        with self._translated("open", (TypeError, ValueError)):  # what drivers raise for options they do not know
            found = await self.revision()
            if found == schema.REVISIONS[-1]:
                return
            if found is None and not create:
                raise _not_there(self.location)
            if self.location.read_only:
                raise StoreError(
                    f"{self.location} is of an older escala (schema {found}) and would have to be brought up to date, "
                    "but it cannot be written to: copy it to where it can"
                )
            async with self._migrating(), self.writing() as connection:
                await connection.run_sync(self._migrate)

    @asynccontextmanager
    async def _migrating(self) -> AsyncIterator[None]:
        """Let statements take as long as they need: one may touch every row."""
        usual, writers = self._engine, self._writers
        if not self.is_sqlite:
            patient = replace(self.location, command_timeout=_MIGRATION_SECONDS, lock_timeout=_MIGRATION_SECONDS)
            self._engine = _postgres_engine(patient)
            self._writers = self._engine.execution_options(writes=True)
        try:
            yield
        finally:
            if self._engine is not usual:
                await self._engine.dispose()
            self._engine, self._writers = usual, writers

    def _migrate(self, connection: Any) -> None:
        if self._revision(connection) == schema.REVISIONS[-1]:  # another process was faster
            return
        migrate(connection)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreError(f"the store {self.location} is closed")

    @contextmanager
    def _translated(self, doing: str, more: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """Turn what drivers raise into errors of ours, without chains: nobody checked those for secrets."""
        try:
            yield
        except EscalaError:
            raise
        except (*self._errors, *more) as error:
            reason = self.location.hide(_reason(error))
            if self.location.read_only and reason in _NO_LOG:
                reason = "readers make a log beside it, and this user may not write to its folder"
            raise StoreError(f"cannot {doing} {self.location}: {reason}") from None

    @contextmanager
    def undamaged(self) -> Iterator[None]:
        """Turn what content raises that no version has written into one error.

        Raises
        ------
        StoreError
            If what was read cannot be what was written. No server gives what is no text, or of another type than its
            column, but a file may.
        """
        try:
            yield
        except EscalaError:
            raise
        except MemoryError:  # what sqlite3 says of a value that reaches beyond its page, too
            if not self.is_sqlite:
                raise
            raise StoreError(f"cannot read {self.location}: it is damaged, or there is too little memory") from None
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            if not self.is_sqlite:
                raise
            reason = in_line(f"{type(error).__name__}: {error}")
            raise StoreError(f"cannot read {self.location}: it is damaged ({reason})") from error


async def to_the_end(work: Coroutine[Any, Any, Answer], given_up: asyncio.Event | None = None) -> Answer:
    """Await work with the database; if the caller is cancelled, wait for its end before saying so, but not for ever.

    A driver that is cancelled within a statement may leave a connection that holds its locks for as long as anything
    refers to it. So work that does not end in time, for the database is silent, goes on without anybody who waits,
    until a timeout ends it. `given_up` tells long work that nobody waits for it any more.
    """
    task = asyncio.create_task(work)
    _ALIVE.add(task)
    task.add_done_callback(_ended)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        if given_up is not None:
            given_up.set()
        await asyncio.wait([task], timeout=_GRACE_SECONDS)
        raise
    return task.result()


def _ended(task: asyncio.Task[Any]) -> None:
    _ALIVE.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that nobody complains


def migrate(connection: Any, revision: str = schema.REVISIONS[-1]) -> None:
    """Bring a database to a revision of the schema, within the transaction that its connection is in."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "escala.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA application_id = {schema.APPLICATION_ID}")


def one_of(column: ColumnElement[str], name: str | None, values: Any = None, *, is_sqlite: bool) -> ColumnElement[bool]:
    """Say that a column is one of the texts of a parameter, whose value is made by :meth:`Database.many`."""
    given: dict[str, Any] = {} if values is None else {"value": values}
    if is_sqlite:
        rows = func.json_each(bindparam(name, **given)).table_valued("value")
        return column.in_(select(rows.c.value))
    return column == any_(bindparam(name, type_=ARRAY(Text), **given))


def _not_there(location: Location) -> StoreError:
    return StoreError(f"there is no store at {location.path or location} yet")


_LOCKING: Final = text(
    # Whatever the server's default, a commit that is acknowledged shall be on disk.
    "SELECT set_config('lock_timeout', :timeout, true), pg_advisory_xact_lock(:key),"
    " CASE current_setting('synchronous_commit') WHEN 'off'"
    " THEN set_config('synchronous_commit', 'on', true) END"
)
_SQLITE_LAST: Final = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
_SQLITE_SKIP: Final = text("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = :name")
_POSTGRES_TAKE: Final = text(
    "SELECT setval(s, nextval(s) + CAST(:count AS bigint) - 1)"
    " FROM (SELECT CAST(pg_get_serial_sequence(CAST(:name AS text), 'id') AS regclass) AS s) AS named"
)


def _sqlite_engine(location: Location) -> AsyncEngine:
    # Transactions are begun below: the driver's own would begin without the lock and fail later.
    arguments = {"isolation_level": None, "timeout": _PATIENCE_SECONDS}
    engine = create_async_engine(location.url, connect_args=arguments, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for setting in () if location.read_only else _SQLITE_SETTINGS:
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _sqlite_connection(location: Location, settings: Iterable[str]) -> sqlite3.Connection:
    url = location.url
    connection = sqlite3.connect(
        f"{url.database}?{urlencode({**url.query, 'uri': ''})}" if url.query else str(url.database),
        timeout=_PATIENCE_SECONDS,
        isolation_level=None,
        check_same_thread=False,  # a lock sees to it that one thread uses it at a time
        uri=bool(url.query),
    )
    for setting in settings:
        connection.execute(f"PRAGMA {setting}").close()
    return connection


def _postgres_engine(location: Location) -> AsyncEngine:
    # A snapshot older than the writers' lock would miss what the one before wrote.
    arguments = {"timeout": location.connect_timeout, "command_timeout": location.command_timeout}
    engine = create_async_engine(
        location.url,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=arguments,
    )

    @event.listens_for(engine.sync_engine, "handle_error")
    def give_up(context: Any) -> None:
        # Whoever does not answer is not asked to clean up either: that would take as long again.
        if isinstance(context.original_exception, TimeoutError):
            context.is_disconnect = True

    return engine


def _driver_errors(*, is_sqlite: bool) -> tuple[type[Exception], ...]:
    """Name what databases raise; rows that come and go in bulk pass SQLAlchemy by, and so do their errors."""
    if is_sqlite:
        return (SQLAlchemyError, OSError, sqlite3.Error)
    import asyncpg

    return (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


def _reason(error: BaseException) -> str:
    """Say what happened, without statement and parameters."""
    original = getattr(error, "orig", None) or error
    cause = getattr(original, "__cause__", None) or original
    if isinstance(cause, TimeoutError) and not str(cause):
        return "it did not answer in time"
    return in_line(" ".join(str(cause).split())) or type(cause).__name__  # a damaged file's own text may be in it
