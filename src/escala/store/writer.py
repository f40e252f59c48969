"""Single records that arrive together are committed together: a disk can confirm only so many commits a second."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

from escala.errors import RecordError, StoreError, StoreUncertainError

#: Most records of one commit.
_LARGEST: Final = 5000


class GroupWriter:
    """Collects rows while a commit is under way, and commits them with the next.

    Parameters
    ----------
    write : callable
        Writes rows, each with its identity or None, in one transaction and gives of each its number, or why it was not
        kept. If it cannot tell, its error has the identity that rows without one share, by their places among them.
    """

    def __init__(self, write: Callable[[Sequence[Any]], Awaitable[list[int | RecordError]]]) -> None:
        self._write = write
        self._waiting: list[tuple[tuple[Any, str | None], asyncio.Future[int]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, row: Any, identity: str | None = None) -> int:
        """Write a row and give its number, once it is on disk.

        Raises
        ------
        RecordError
            If its identity is that of something else.
        StoreError
            If it cannot be written; it was not kept.
        StoreUncertainError
            If nobody can tell; it has the row's identity.
        """
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(((row, identity), written))
        if self._task is None:
            self._task = asyncio.create_task(self._write_all())
        return await written

    async def finish(self) -> None:
        """Wait until everything is written that waits for it."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_LARGEST], self._waiting[_LARGEST:]
                await self._write_batch(batch)
        finally:
            self._task = None
            for _, written in self._waiting:  # only if this task was cancelled
                written.cancel()
            self._waiting = []

    async def _write_batch(self, batch: list[tuple[tuple[Any, str | None], asyncio.Future[int]]]) -> None:
        # Whoever was cancelled before the commit began is not written.
        batch = [(row, written) for row, written in batch if not written.done()]
        if not batch:
            return
        try:
            numbers = await self._write([row for row, _ in batch])
        except StoreError as error:
            answers: list[Any] = list(_errors(error, [identity for (_, identity), _ in batch]))
        except BaseException:
            for _, written in batch:
                written.cancel()
            raise
        else:
            answers = list(numbers)
        for answer, (_, written) in zip(answers, batch, strict=True):
            if written.done():
                continue
            if isinstance(answer, Exception):
                written.set_exception(answer)
            else:
                written.set_result(answer)


def _errors(error: StoreError, given: Sequence[str | None]) -> Iterator[StoreError]:
    """Give each row an error of its own: tracebacks would pile up in one."""
    from escala.store import identities

    places = itertools.count()
    for identity in given:
        if isinstance(error, StoreUncertainError):
            known_by = identities.member(error.identity, next(places)) if identity is None else identity
            yield StoreUncertainError(str(error), identity=known_by)
        else:
            yield StoreError(str(error))
