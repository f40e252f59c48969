"""Records in the database."""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select, bindparam, false, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from escala import parallel
from escala.errors import RecordError, StoreError
from escala.store import identities, model_rows, setting_rows
from escala.store.checks import Batch
from escala.store.database import Database, one_of
from escala.store.identities import Signature
from escala.store.results import Overview, RecordNews, RecordRange, StoredRecords
from escala.store.schema import RECORD, REMOVAL, WRITE, date
from escala.store.settings import ScalingConfig, SymbolConfig

#: symbol, capital, efficiency, weight, observed_at, source, metrics as JSON
Row = tuple[str, float, float, float, int, str, str | None]

#: What single records are called among identities.
_SINGLE: Final = "record"
_SLOWEST: Final = 1000.0  # rows a second that a server takes at least
_CHUNK: Final = 20_000  # rows handed to the driver together: memory does not grow with the batch
_AT_ONCE: Final = 2_000  # rows that are converted before a thread would have started
_REMOVED: Final = select(REMOVAL.c.symbol, REMOVAL.c.number)
#: Columns of numbers.
_NUMBERS: Final[dict[str, type]] = {
    "id": np.int64, "capital": np.float64, "efficiency": np.float64, "weight": np.float64, "observed_at": np.int64,
}  # fmt: skip
#: One step down the index a symbol, instead of a walk through all records.
_HIGHEST: Final = text(
    "WITH RECURSIVE found(symbol) AS ("
    " SELECT min(symbol) FROM efficiency_record"
    " UNION ALL SELECT (SELECT min(symbol) FROM efficiency_record AS r WHERE r.symbol > found.symbol)"
    " FROM found WHERE found.symbol IS NOT NULL)"
    " SELECT symbol, (SELECT max(id) FROM efficiency_record AS r WHERE r.symbol = found.symbol)"
    " FROM found WHERE symbol IS NOT NULL"
)


async def insert_rows(database: Database, rows: Sequence[tuple[Row, str | None]]) -> list[int | RecordError]:
    """Insert some rows in one transaction, each once; give their numbers, or why one was not kept.

    Parameters
    ----------
    database : Database
        Where.
    rows
        Each with the identity that its caller gave. Those without share one, by their places.

    Raises
    ------
    StoreUncertainError
        With the shared identity; the places are those among the rows without one.
    """
    signature = Signature.of(_SINGLE, None)
    if database.is_sqlite and all(identity is None for _, identity in rows):
        first = await database.write_at_once(signature, functools.partial(_insert_now, database, rows, signature))
        return list(range(first, first + len(rows)))
    async with database.writing(signature) as connection:
        known = await identities.known(connection, [identity for _, identity in rows if identity is not None])
        mistaken = {
            identity: identities.mistaken(identity, kind) for identity, (kind, _) in known.items() if kind != _SINGLE
        }
        numbers = {identity: number for identity, (_, number) in known.items()}
        shared = [row for row, identity in rows if identity is None]
        # One identity twice is one record.
        own = {identity: row for row, identity in reversed(rows) if identity is not None and identity not in known}
        kept = [*shared, *own.values()]
        if kept:
            first = await database.take_ids(connection, RECORD, len(kept))
            numbered = [(number, *row, None, None) for number, row in enumerate(kept, first)]
            await connection.exec_driver_sql(database.insertion(RECORD), numbered)
            numbers |= {identity: number for number, identity in enumerate(own, first + len(shared))}
            await signature.sign(connection, first, [(identity, numbers[identity]) for identity in own])
    fresh = iter(range(first, first + len(shared)) if kept else ())
    return [next(fresh) if identity is None else mistaken.get(identity, numbers[identity]) for _, identity in rows]


def _insert_now(
    database: Database, rows: Sequence[tuple[Row, str | None]], signature: Signature, connection: sqlite3.Connection
) -> int:
    """Insert rows whose caller gave no identity; give the number of the first."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (RECORD.name,)).fetchone()
    first = int(found[0]) + 1 if found else 1
    numbered = [(number, *row, None, None) for number, (row, _) in enumerate(rows, first)]
    connection.executemany(database.insertion(RECORD), numbered)
    connection.execute(database.insertion(WRITE), (signature.identity, signature.kind, first))
    signature.signed = True
    return first


async def insert_batch(database: Database, batch: Batch, given_up: asyncio.Event, identity: str | None = None) -> int:
    """Insert any number of rows in one transaction, unless it is given up before; give the number of the first."""
    signature = Signature.of("records", identity)
    async with database.writing(signature) as connection:
        before = await signature.kept_before(connection)
        if before is not None:
            return before
        first = await insert_within(database, connection, batch, given_up)
        await signature.sign(connection, first)
    return first


async def insert_within(database: Database, connection: AsyncConnection, batch: Batch, given_up: asyncio.Event) -> int:
    """Insert any number of rows in a transaction that has begun, unless it is given up before."""
    first = await database.take_ids(connection, RECORD, len(batch))
    if database.is_sqlite:
        statement = database.insertion(RECORD)
        for start in range(0, len(batch), _CHUNK):
            await connection.exec_driver_sql(statement, list(_numbered(batch, first, start, given_up)))
    else:
        await _copy(connection, batch, first, given_up, database.location.command_timeout)
    return first


async def _copy(connection: AsyncConnection, batch: Batch, first: int, given_up: asyncio.Event, timeout: float) -> None:
    # The lock was a statement of this transaction: before the first one COPY would commit by itself.
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    rows = (row for start in range(0, len(batch), _CHUNK) for row in _numbered(batch, first, start, given_up))
    seconds = timeout + len(batch) / _SLOWEST  # one statement, however many rows
    await driver.copy_records_to_table(RECORD.name, records=rows, columns=RECORD.columns.keys(), timeout=seconds)


def _numbered(batch: Batch, first: int, start: int, given_up: asyncio.Event) -> Iterator[tuple[Any, ...]]:
    if given_up.is_set():
        raise StoreError("nobody waits for the batch any more")
    numbers = range(first + start, first + min(start + _CHUNK, len(batch)))
    return zip(numbers, *batch.columns(start, start + _CHUNK), strict=True)


async def records(database: Database, symbols: list[str] | None, after_id: int) -> StoredRecords:
    """Read records in order of their numbers."""
    async with database.reading() as connection:
        codes, names, (ids, *columns, times) = await _read(database, connection, symbols, after_id)
    return StoredRecords(
        id=ids,
        symbol=np.fromiter(names, dtype=object, count=len(names))[codes],
        **dict(zip(list(_NUMBERS)[1:-1], columns, strict=True)),
        observed_at=times.view("datetime64[us]"),
    )


async def _read(
    database: Database, connection: AsyncConnection, symbols: list[str] | None, after_id: int
) -> tuple[npt.NDArray[np.int32], list[str], list[npt.NDArray[Any]]]:
    """Read records in order of their numbers: of each the place of its symbol, the symbols, and columns of numbers."""
    statement = select(*(RECORD.c[name] for name in ("symbol", *_NUMBERS))).where(RECORD.c.id > after_id)
    if symbols is not None and len(symbols) == 1:
        statement = statement.where(RECORD.c.symbol == symbols[0])
    elif symbols is not None:
        statement = statement.where(database.one_of(RECORD.c.symbol, symbols))
    places: dict[str, int] = {}
    parts: list[list[npt.NDArray[Any]]] = [[np.empty(0, dtype)] for dtype in (np.int32, *_NUMBERS.values())]

    def take(block: list[tuple[Any, ...]]) -> None:
        named, *columns = zip(*block, strict=True)
        codes = [places.setdefault(symbol, len(places)) for symbol in named]
        for part, values in zip(parts, (codes, *columns), strict=True):
            part.append(np.array(values, part[0].dtype))

    async for block in database.blocks(connection, statement.order_by(RECORD.c.id)):
        if len(block) > _AT_ONCE:  # beside the event loop, which has others to serve
            await parallel.beside(take, block)
        else:
            take(block)
    codes, *columns = (np.concatenate(part) for part in parts)
    return codes, list(places), columns


async def news(
    database: Database, known: Mapping[str, tuple[int, int]], name: str
) -> tuple[dict[str, RecordNews], ScalingConfig, dict[str, SymbolConfig]]:
    """Read of some symbols what is new beyond the numbers of a record and of a removal; and the settings."""
    found: dict[str, RecordNews] = {}
    wanted = dict(known)
    while True:
        # Whose records are all read, and they may be many, go by blocks.
        whole = [symbol for symbol, (number, _) in wanted.items() if not number]
        removed, rows, *settings = await database.rows(*_questions(database, wanted, name))
        removals = {symbol: int(number) for symbol, number in removed}
        held = {symbol: number for symbol, (number, removal) in wanted.items() if removals.get(symbol, 0) == removal}
        found |= await _by_symbol(rows, {one: held[one] for one in held if held[one]}, removals)
        if whole:
            found |= await _whole(database, whole)
        wanted = {symbol: (0, 0) for symbol in wanted if symbol not in found}
        if not wanted:
            return found, *setting_rows.understood(database, *settings)


def _questions(
    database: Database, known: Mapping[str, tuple[int, int]], name: str
) -> list[tuple[Select[Any], dict[str, Any]]]:
    removals, nothing, one, many = _news_statements(database.is_sqlite)
    after = {symbol: number for symbol, (number, _) in known.items() if number}
    if not after:
        news: tuple[Select[Any], dict[str, Any]] = (nothing, {})
    elif len(after) == 1:
        news = (one, {"symbol": next(iter(after)), "after": min(after.values())})
    else:
        news = (many, {"symbols": database.many(list(after)), "after": min(after.values())})
    return [(removals, {"symbols": database.many(list(known))}), news, *setting_rows.questions(name)]


@functools.cache
def _news_statements(is_sqlite: bool) -> tuple[Select[Any], ...]:
    columns = [RECORD.c[name] for name in ("symbol", *_NUMBERS)]
    newer = select(*columns).where(RECORD.c.id > bindparam("after")).order_by(RECORD.c.id)
    return (
        _REMOVED.where(one_of(REMOVAL.c.symbol, "symbols", is_sqlite=is_sqlite)),
        select(*columns).where(false()),
        newer.where(RECORD.c.symbol == bindparam("symbol")),
        newer.where(one_of(RECORD.c.symbol, "symbols", is_sqlite=is_sqlite)),
    )


async def _by_symbol(
    rows: Sequence[Any], after: Mapping[str, int], removals: Mapping[str, int]
) -> dict[str, RecordNews]:
    """Part rows by symbol; beside the event loop where they are many, for it has others to serve."""

    def part() -> dict[str, RecordNews]:
        parts: dict[str, list[Any]] = {symbol: [] for symbol in after}
        for row in rows:
            if row[1] > after.get(row[0], row[1]):
                parts[row[0]].append(row[1:])
        return {symbol: _news(_columns(part), removals.get(symbol, 0)) for symbol, part in parts.items()}

    return await parallel.beside(part) if len(rows) > _AT_ONCE else part()


async def _whole(database: Database, symbols: Sequence[str]) -> dict[str, RecordNews]:
    """Read all records of some symbols, and the number of the last removal at that moment."""
    found = {}
    for symbol in symbols:
        async with database.snapshot() as connection:
            statement = select(REMOVAL.c.number).where(REMOVAL.c.symbol == symbol)
            removal = int((await connection.execute(statement)).scalar() or 0)
            _, _, columns = await _read(database, connection, [symbol], 0)
        found[symbol] = _news(columns, removal, whole=True)
    return found


def _columns(rows: Sequence[Any]) -> list[npt.NDArray[Any]]:
    columns = zip(*rows, strict=True) if rows else [()] * len(_NUMBERS)
    return [np.array(values, dtype) for values, dtype in zip(columns, _NUMBERS.values(), strict=True)]


def _news(columns: Sequence[npt.NDArray[Any]], removal: int, *, whole: bool = False) -> RecordNews:
    return RecordNews(**dict(zip(_NUMBERS, columns, strict=True)), removal=removal, whole=whole)


async def overview(database: Database, name: str) -> Overview:
    """Read what tells whether there is anything new, all at one moment."""
    removed, highest, version, *settings = await database.rows(
        (_REMOVED, {}), (_HIGHEST, {}), (model_rows.LATEST, {}), *setting_rows.questions(name)
    )
    removals = {symbol: int(number) for symbol, number in removed}
    config, own = setting_rows.understood(database, *settings)
    return Overview(
        symbols={symbol: max(int(number), removals.get(symbol, 0)) for symbol, number in highest},
        removals=removals,
        version=int(version[0][0] or 0),
        config=config,
        symbol_config=own,
    )


async def highest(database: Database) -> dict[str, int]:
    """Give the highest number of a record or removal of every symbol that has records."""
    async with database.reading() as connection:
        removed = await _removed(connection)
        found = {symbol: int(number) for symbol, number in await connection.execute(_HIGHEST)}
    return {symbol: max(number, removed.get(symbol, 0)) for symbol, number in found.items()}


async def removals(database: Database) -> dict[str, int]:
    """Give the number of the last removal of every symbol that had one."""
    async with database.reading() as connection:
        return await _removed(connection)


async def _removed(connection: AsyncConnection) -> dict[str, int]:
    return {symbol: int(number) for symbol, number in await connection.execute(_REMOVED)}


async def ranges(database: Database) -> dict[str, RecordRange]:
    """Count the records of every symbol, with the ends of their capitals and times."""
    capital, time = RECORD.c.capital, RECORD.c.observed_at
    columns = (func.count(), func.min(capital), func.max(capital), func.min(time), func.max(time))
    statement = select(RECORD.c.symbol, *columns).group_by(RECORD.c.symbol)
    async with database.reading() as connection:
        rows = await connection.execute(statement)
        found = {
            symbol: RecordRange(int(count), smallest, largest, date(first), date(last))
            for symbol, count, smallest, largest, first, last in rows
        }
    return dict(sorted(found.items()))  # databases sort text each in its own way


async def sources(database: Database) -> dict[str, int]:
    """Count the records of every source."""
    statement = select(RECORD.c.source, func.count()).group_by(RECORD.c.source)
    async with database.reading() as connection:
        return {source: int(count) for source, count in await connection.execute(statement)}


async def metrics(database: Database, symbol: str, after_id: int) -> dict[int, dict[str, float]]:
    """Give the metrics of a symbol's records that have some."""
    statement = (
        select(RECORD.c.id, RECORD.c.metrics)
        .where(RECORD.c.symbol == symbol, RECORD.c.id > after_id, RECORD.c.metrics.is_not(None))
        .order_by(RECORD.c.id)
    )
    async with database.reading() as connection:
        rows = await connection.execute(statement)
        return {int(number): {name: float(value) for name, value in found.items()} for number, found in rows}
