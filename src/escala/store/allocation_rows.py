"""Allocations in the database."""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import RowMapping, select

from escala.allocation.result import Allocation
from escala.store.database import Database
from escala.store.identities import Signature
from escala.store.results import AllocationLine, StoredAllocation
from escala.store.schema import ALLOCATION, LINE, date


async def insert(database: Database, allocation: Allocation, time: int, identity: str | None = None) -> int:
    """Insert an allocation with its lines and give its number."""
    head = {name: _nullable(getattr(allocation, name)) for name in ("utility", "upper_bound", "gap", "shadow_price")}
    columns = (
        allocation.symbols.tolist(),
        allocation.amounts.tolist(),
        [_nullable(value) for value in allocation.efficiency],
        allocation.binding_names.tolist(),
        [_nullable(value) for value in allocation.marginal],
    )
    signature = Signature.of("allocation", identity)
    async with database.writing(signature) as connection:
        before = await signature.kept_before(connection)
        if before is not None:
            return before
        number = await database.take_ids(connection, ALLOCATION, 1)
        await connection.execute(
            ALLOCATION.insert().values(
                id=number,
                at=time,
                total=float(allocation.total),
                status=str(allocation.status_name),
                unallocated=float(allocation.unallocated),
                **head,
            )
        )
        lines = [(number, place, *line) for place, line in enumerate(zip(*columns, strict=True))]
        if lines:
            await connection.exec_driver_sql(database.insertion(LINE), lines)
        await signature.sign(connection, number)
    return number


async def latest(database: Database, limit: int) -> list[StoredAllocation]:
    """Read the last allocations, newest first."""
    newest = select(ALLOCATION).order_by(ALLOCATION.c.id.desc()).limit(limit)
    async with database.reading() as connection:
        heads = (await connection.execute(newest)).mappings().all()
        if not heads:
            return []
        chosen = LINE.c.allocation_id.between(heads[-1]["id"], heads[0]["id"])
        lines: dict[int, list[AllocationLine]] = {head["id"]: [] for head in heads}
        ordered = select(LINE).where(chosen).order_by(LINE.c.allocation_id, LINE.c.place)
        for row in (await connection.execute(ordered)).mappings():
            lines[row["allocation_id"]].append(_line(row))
    return [_allocation(head, tuple(lines[head["id"]])) for head in heads]


def _line(row: RowMapping) -> AllocationLine:
    return AllocationLine(
        symbol=row["symbol"],
        amount=row["amount"],
        efficiency=_known(row["efficiency"]),
        marginal=_known(row["marginal"]),
        binding=row["binding"],
    )


def _allocation(row: RowMapping, lines: tuple[AllocationLine, ...]) -> StoredAllocation:
    figures = ("unallocated", "utility", "upper_bound", "gap", "shadow_price")
    return StoredAllocation(
        id=row["id"],
        at=date(row["at"]),
        total=row["total"],
        status=row["status"],
        lines=lines,
        **{name: _known(row[name]) for name in figures},
    )


def _nullable(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)


def _known(value: float | None) -> float:
    return math.nan if value is None else value
