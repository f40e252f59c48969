"""Identities of writes: what was sent once is kept once, and whether it was kept can be asked afterwards."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from escala.errors import RecordError
from escala.store.schema import WRITE

#: Kinds of writes that are known by an identity which a caller may give again; all others do the same when repeated.
GIVEN: Final = ("record", "records", "import", "training", "allocation")
#: What records that were committed together are known by: the group's identity, and the place in the group.
_MEMBER: Final = re.compile(r"(escala-[0-9a-f]{32}):(\d{1,9})")
_LOOKED_UP: Final = 500  # at once: databases limit the parameters of a statement


def fresh() -> str:
    """Make an identity that no other write has."""
    return f"escala-{uuid.uuid4().hex}"


def member(identity: str, place: int) -> str:
    """Name one record of a group that is committed together."""
    return f"{identity}:{place}"


@dataclass
class Signature:
    """By what one write is known.

    Parameters
    ----------
    kind : str
        What is written: an identity is that of one kind.
    identity : str
        By default a new one.
    signed : bool
        Whether it was written into the transaction, so that the database can be asked for it.
    """

    kind: str
    identity: str
    repeated: bool
    signed: bool = False

    @classmethod
    def of(cls, kind: str, identity: str | None) -> Signature:
        """Sign with an identity that a caller gave, who may have given it before; or with a new one."""
        return cls(kind, fresh() if identity is None else identity, identity is not None)

    async def kept_before(self, connection: AsyncConnection) -> int | None:
        """Give the number of what was written with this identity before; None where that is nothing.

        Raises
        ------
        RecordError
            If it is the identity of something else.
        """
        if not self.repeated:
            return None
        found = (await known(connection, [self.identity])).get(self.identity)
        if found is not None and found[0] != self.kind:
            raise mistaken(self.identity, found[0])
        return None if found is None else found[1]

    async def sign(self, connection: AsyncConnection, number: int, others: Iterable[tuple[str, int]] = ()) -> None:
        """Put the identity into the transaction, and those of others that are kept together with it."""
        rows = [(self.identity, number), *others]
        values = [{"identity": identity, "kind": self.kind, "number": int(number)} for identity, number in rows]
        await connection.execute(WRITE.insert(), values)
        self.signed = True


async def known(connection: AsyncConnection, identities: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Give kind and number of those identities that something was written with."""
    asked = dict.fromkeys(identities)
    groups = {one: found for one in asked if (found := _MEMBER.fullmatch(one))}
    wanted = list(dict.fromkeys([*asked, *(found[1] for found in groups.values())]))
    there: dict[str, tuple[str, int]] = {}
    for start in range(0, len(wanted), _LOOKED_UP):
        chosen = WRITE.c.identity.in_(wanted[start : start + _LOOKED_UP])
        rows = await connection.execute(select(WRITE.c.identity, WRITE.c.kind, WRITE.c.number).where(chosen))
        there |= {identity: (kind, int(number)) for identity, kind, number in rows}
    for one, found in groups.items():
        if one not in there and found[1] in there:
            kind, first = there[found[1]]
            there[one] = (kind, first + int(found[2]))
    return {one: there[one] for one in asked if one in there}


def mistaken(identity: str, kind: str) -> RecordError:
    """Make the error of an identity that something else was written with."""
    message = f"identity must be this call's alone, but {identity!r} is that of another: {kind}"
    return RecordError(message, arguments=("identity",))
