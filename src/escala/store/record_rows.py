"""Records in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from escala.errors import RecordError, StoreError
from escala.store import identities
from escala.store.checks import Batch
from escala.store.database import Database
from escala.store.identities import Signature
from escala.store.results import RecordRange, StoredRecords
from escala.store.schema import RECORD, REMOVAL, date

#: symbol, capital, efficiency, weight, observed_at, source, metrics as JSON
Row = tuple[str, float, float, float, int, str, str | None]

#: What single records are called among identities.
_SINGLE: Final = "record"
_SLOWEST: Final = 1000.0  # rows a second that a server takes at least
_CHUNK: Final = 20_000  # rows handed to the driver together: memory does not grow with the batch
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
    chosen = [RECORD.c[name] for name in ("id", "symbol", "capital", "efficiency", "weight", "observed_at")]
    statement = select(*chosen).where(RECORD.c.id > after_id).order_by(RECORD.c.id)
    if symbols is not None:
        statement = statement.where(database.one_of(RECORD.c.symbol, symbols))
    types = (np.int64, object, np.float64, np.float64, np.float64, np.int64)
    parts: list[list[Any]] = [[np.empty(0, dtype)] for dtype in types]
    names: dict[str, str] = {}  # one object a symbol instead of one a record
    async with database.reading() as connection:
        async for block in database.blocks(connection, statement):
            columns: list[Any] = list(zip(*block, strict=True))
            columns[1] = [names.setdefault(symbol, symbol) for symbol in columns[1]]
            for part, values, dtype in zip(parts, columns, types, strict=True):
                part.append(np.array(values, dtype))
    ids, symbol, capital, efficiency, weight, times = (np.concatenate(part) for part in parts)
    return StoredRecords(
        id=ids,
        symbol=symbol,
        capital=capital,
        efficiency=efficiency,
        weight=weight,
        observed_at=times.view("datetime64[us]"),
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
    rows = await connection.execute(select(REMOVAL.c.symbol, REMOVAL.c.number))
    return {symbol: int(number) for symbol, number in rows}


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
