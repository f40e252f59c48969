"""Single records that arrive together are committed together: a disk can confirm only so many commits a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from escala.errors import StoreError

#: Most records of one commit.
_LARGEST: Final = 5000


class GroupWriter:
    """Collects rows while a commit is under way, and commits them with the next.

    Parameters
    ----------
    write : callable
        Writes rows in one transaction and gives the number of the first; the others follow.
    """

    def __init__(self, write: Callable[[Sequence[Any]], Awaitable[int]]) -> None:
        self._write = write
        self._waiting: list[tuple[Any, asyncio.Future[int]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, row: Any) -> int:
        """Write a row and give its number, once it is on disk.

        Raises
        ------
        StoreError
            If it cannot be written; it was not kept.
        """
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, written))
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

    async def _write_batch(self, batch: list[tuple[Any, asyncio.Future[int]]]) -> None:
        # Whoever was cancelled before the commit began is not written.
        batch = [(row, written) for row, written in batch if not written.done()]
        if not batch:
            return
        try:
            first = await self._write([row for row, _ in batch])
        except StoreError as error:
            for _, written in batch:
                if not written.done():
                    written.set_exception(StoreError(str(error)))  # one each: tracebacks would pile up
        except BaseException:
            for _, written in batch:
                written.cancel()
            raise
        else:
            for place, (_, written) in enumerate(batch):
                if not written.done():
                    written.set_result(first + place)
