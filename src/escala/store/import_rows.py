"""Imports in the database, each record once; and records that go again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from escala.errors import RecordError
from escala.store import record_rows
from escala.store.checks import Batch
from escala.store.database import Database
from escala.store.duplicates import Integers, Known, twins
from escala.store.identities import Signature
from escala.store.results import Imported, RecordImport
from escala.store.schema import IMPORT, RECORD, REMOVAL, SATURATION, date

#: Imports that are looked up as those that brought a record before.
_NAMED: Final = 100


async def insert(
    database: Database,
    batch: Batch,
    file: str,
    given_up: asyncio.Event,
    *,
    timed: bool,
    allow_duplicates: bool,
    time: int,
    identity: str | None = None,
) -> Imported:
    """Insert the records of a file that are not there yet; compared and inserted in one transaction, alone."""
    signature = Signature.of("import", identity)
    async with database.writing(signature) as connection:
        before = await signature.kept_before(connection)
        if before is not None:
            return await _repeated(connection, before)
        found = np.full(len(batch), -1, dtype=np.int64)
        files: tuple[str, ...] = ()
        if not allow_duplicates and len(batch):
            known = await _known(database, connection, batch, timed=timed)
            found = await asyncio.to_thread(twins, batch, known, timed=timed)
            files = await _files(connection, known.import_id[found[found >= 0]])
        kept = np.flatnonzero(found < 0)
        if not kept.size:
            return Imported(0, 0, len(batch), files)
        number = await database.take_ids(connection, IMPORT, 1)
        row = {"id": number, "at": time, "file": file, "added": kept.size, "duplicates": len(batch) - kept.size}
        await connection.execute(IMPORT.insert().values(**row))
        await record_rows.insert_within(database, connection, batch.taken(kept, number), given_up)
        await signature.sign(connection, number)
    return Imported(number, int(kept.size), int(len(batch) - kept.size), files)


async def _repeated(connection: AsyncConnection, number: int) -> Imported:
    """Give the answer of an import of before; which files its duplicates came from nobody has kept."""
    row = (await connection.execute(select(IMPORT).where(IMPORT.c.id == number))).mappings().one()
    return Imported(number, row["added"], row["duplicates"], ())


async def _known(database: Database, connection: AsyncConnection, batch: Batch, *, timed: bool) -> Known:
    """Read what records of a batch may be twins of."""
    names = ("symbol", "capital", "efficiency", "weight", "observed_at", "import_id", "fingerprint")
    statement = select(*(RECORD.c[name] for name in names)).where(database.one_of(RECORD.c.symbol, batch.names))
    if timed and batch.fingerprint is None:
        first, last = int(batch.observed_at.min()), int(batch.observed_at.max())
        statement = statement.where(RECORD.c.observed_at.between(first, last))
    places = {name: k for k, name in enumerate(batch.names)}
    rows: list[Any] = []
    async for block in database.blocks(connection, statement.order_by(RECORD.c.id)):
        symbols, capital, efficiency, weight, times, imports, fingerprints = zip(*block, strict=True)
        part = (
            np.array([places[symbol] for symbol in symbols], np.int64),
            *(np.array(column, np.float64) for column in (capital, efficiency, weight)),
            np.array(times, np.int64),
            *(np.array([value or 0 for value in column], np.int64) for column in (imports, fingerprints)),
            np.array([value is not None for value in fingerprints], np.bool_),
        )
        rows.append(part)
    types = (np.int64, np.float64, np.float64, np.float64, np.int64, np.int64, np.int64, np.bool_)
    empty = tuple(np.empty(0, dtype) for dtype in types)
    return Known(*(np.concatenate(parts) for parts in zip(empty, *rows, strict=True)))


async def _files(connection: AsyncConnection, numbers: Integers) -> tuple[str, ...]:
    """Name the files of some imports, oldest first."""
    chosen = np.unique(numbers[numbers > 0])[:_NAMED].tolist()
    rows = await connection.execute(select(IMPORT.c.file).where(IMPORT.c.id.in_(chosen)).order_by(IMPORT.c.id))
    return tuple(dict.fromkeys(rows.scalars()))


async def imports(database: Database) -> list[RecordImport]:
    """Read all imports, oldest first."""
    counting = select(RECORD.c.import_id, func.count()).where(RECORD.c.import_id.is_not(None))
    async with database.reading() as connection:
        counts = {number: int(n) for number, n in await connection.execute(counting.group_by(RECORD.c.import_id))}
        rows = (await connection.execute(select(IMPORT).order_by(IMPORT.c.id))).mappings().all()
    return [
        RecordImport(
            id=row["id"],
            at=None if row["at"] is None else date(row["at"]),
            file=row["file"],
            added=row["added"],
            duplicates=row["duplicates"],
            records=counts.get(row["id"], 0),
        )
        for row in rows
    ]


async def delete(
    database: Database,
    symbols: list[str] | None,
    numbers: Sequence[int] | None,
    since: int | None,
    before: int | None,
    *,
    dry_run: bool,
    time: int,
) -> dict[str, int]:
    """Delete the records that all conditions hold for, and count them by symbol; or only count them."""
    signature = Signature.of("deletion", None)
    async with database.reading() if dry_run else database.writing(signature) as connection:
        if numbers is not None:
            await _check_imports(connection, numbers)
        chosen = _conditions(database, symbols, numbers, since, before)
        counting = select(RECORD.c.symbol, func.count()).where(*chosen).group_by(RECORD.c.symbol)
        found = {symbol: int(count) for symbol, count in await connection.execute(counting)}
        if found and not dry_run:
            await connection.execute(RECORD.delete().where(*chosen))
            await _note_removal(database, connection, list(found), time)
            await signature.sign(connection, 0)
    return dict(sorted(found.items()))


def _conditions(
    database: Database,
    symbols: list[str] | None,
    numbers: Sequence[int] | None,
    since: int | None,
    before: int | None,
) -> list[ColumnElement[bool]]:
    chosen: list[ColumnElement[bool]] = []
    if symbols is not None:
        chosen.append(database.one_of(RECORD.c.symbol, symbols))
    if numbers is not None:
        chosen.append(RECORD.c.import_id.in_(list(numbers)))
    if since is not None:
        chosen.append(RECORD.c.observed_at >= since)
    if before is not None:
        chosen.append(RECORD.c.observed_at < before)
    return chosen


async def _check_imports(connection: AsyncConnection, numbers: Sequence[int]) -> None:
    there = set((await connection.execute(select(IMPORT.c.id))).scalars())
    for number in numbers:
        if number not in there:
            known = f"the newest is {max(there)}" if there else "there are none"
            raise RecordError(f"imports names {number}, and there is no such import; {known}", arguments=("imports",))


async def _note_removal(database: Database, connection: AsyncConnection, symbols: list[str], time: int) -> None:
    """Make the models of symbols stale; those of symbols without records left are no longer current."""
    number = await database.take_number(connection, RECORD)
    insertion = database.upsert(REMOVAL)
    changed = {name: insertion.excluded[name] for name in ("number", "at")}
    rows = [{"symbol": symbol, "number": number, "at": time} for symbol in symbols]
    await connection.execute(insertion.on_conflict_do_update(index_elements=["symbol"], set_=changed), rows)
    among = select(RECORD.c.symbol).where(database.one_of(RECORD.c.symbol, symbols)).distinct()
    left = set((await connection.execute(among)).scalars())
    gone = [symbol for symbol in symbols if symbol not in left]
    if gone:
        await connection.execute(SATURATION.delete().where(database.one_of(SATURATION.c.symbol, gone)))
