"""Allocations in the database."""

from __future__ import annotations

import math
from typing import Any, Final

from sqlalchemy import RowMapping, Table, select

from escala.allocation.result import Allocation
from escala.store.database import Database
from escala.store.identities import Signature
from escala.store.results import AllocationGroup, AllocationLine, StoredAllocation
from escala.store.schema import ALLOCATION, GROUP, LINE, MEMBER, date
from escala.tables import ALLOCATION_GROUPS

_FIGURES: Final = (
    "unallocated", "utility", "upper_bound", "gap", "shadow_price", "hurdle", "reserve", "target",
)  # fmt: skip


async def insert(database: Database, allocation: Allocation, time: int, identity: str | None = None) -> int:
    """Insert an allocation with its lines and groups, and give its number."""
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
                goal=allocation.goal or None,
                **{name: _nullable(getattr(allocation, name)) for name in _FIGURES},
            )
        )
        for table, rows in ((LINE, _lines(allocation)), (GROUP, _groups(allocation)), (MEMBER, _members(allocation))):
            numbered = [(number, *row) for row in rows]
            if numbered:
                await connection.exec_driver_sql(database.insertion(table), numbered)
        await signature.sign(connection, number)
    return number


def _lines(allocation: Allocation) -> list[tuple[Any, ...]]:
    """Give the columns of each line behind the allocation's number."""
    columns = (
        range(len(allocation)),
        allocation.symbols.tolist(),
        allocation.amounts.tolist(),
        map(_nullable, allocation.efficiency),
        allocation.binding_names.tolist(),
        map(_nullable, allocation.marginal),
        allocation.current.tolist(),
        allocation.costs.tolist(),
    )
    return list(zip(*columns, strict=True))


def _groups(allocation: Allocation) -> list[tuple[Any, ...]]:
    limits = [[None if value == math.inf else value for value in limit.tolist()]
              for limit in allocation.group_limits.values()]  # fmt: skip
    columns = (allocation.groups, allocation.group_amounts.tolist(), map(_nullable, allocation.group_prices), *limits)
    return [(place, *row) for place, row in enumerate(zip(*columns, strict=True))]


def _members(allocation: Allocation) -> list[tuple[int, int]]:
    """Give places of groups, and those of the lines in them."""
    place = {symbol: i for i, symbol in enumerate(allocation.symbols.tolist())}
    return [(k, place[symbol]) for k, inside in enumerate(allocation.group_members) for symbol in inside]


async def latest(database: Database, limit: int) -> list[StoredAllocation]:
    """Read the last allocations, newest first."""
    newest = select(ALLOCATION).order_by(ALLOCATION.c.id.desc()).limit(limit)
    async with database.reading() as connection:
        heads = (await connection.execute(newest)).mappings().all()
        if not heads:
            return []
        numbers = [head["id"] for head in heads]

        async def rows_of(table: Table) -> dict[int, list[RowMapping]]:
            found: dict[int, list[RowMapping]] = {number: [] for number in numbers}
            chosen = table.c.allocation_id.between(numbers[-1], numbers[0])
            for row in (await connection.execute(select(table).where(chosen).order_by(*table.primary_key))).mappings():
                found[row["allocation_id"]].append(row)
            return found

        lines, groups, members = await rows_of(LINE), await rows_of(GROUP), await rows_of(MEMBER)
    return [_allocation(head, *(rows[head["id"]] for rows in (lines, groups, members))) for head in heads]


def _line(row: RowMapping) -> AllocationLine:
    return AllocationLine(
        symbol=row["symbol"],
        amount=row["amount"],
        efficiency=_known(row["efficiency"]),
        marginal=_known(row["marginal"]),
        binding=row["binding"],
        current=_known(row["held"]),
        cost=_known(row["cost"]),
    )


def _group(row: RowMapping, symbols: tuple[str, ...]) -> AllocationGroup:
    limits: dict[str, Any] = {
        limit.name.removeprefix("group_"): limit.default if row[limit.name] is None else row[limit.name]
        for limit in ALLOCATION_GROUPS
    }
    return AllocationGroup(
        name=row["name"], symbols=symbols, amount=row["amount"], price=_known(row["price"]), **limits
    )


def _allocation(
    row: RowMapping, lines: list[RowMapping], groups: list[RowMapping], members: list[RowMapping]
) -> StoredAllocation:
    inside: dict[int, list[str]] = {group["place"]: [] for group in groups}
    symbols = {line["place"]: line["symbol"] for line in lines}
    for member in members:
        inside[member["group_place"]].append(symbols[member["place"]])
    return StoredAllocation(
        id=row["id"],
        at=date(row["at"]),
        total=row["total"],
        status=row["status"],
        lines=tuple(map(_line, lines)),
        groups=tuple(_group(group, tuple(inside[group["place"]])) for group in groups),
        goal=row["goal"] or "",
        **{name: _known(row[name]) for name in _FIGURES},
    )


def _nullable(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)


def _known(value: float | None) -> float:
    return math.nan if value is None else value
