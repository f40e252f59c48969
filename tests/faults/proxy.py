"""Between a store and its server: passes everything on, until it is told to fail at a COMMIT."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

#: As asyncpg spells it, in the simple protocol.
_COMMIT = b"COMMIT;\0"


class Proxy:
    """A socket like the server's, in a folder of its own.

    Parameters
    ----------
    folder : Path
        Where the proxy's socket is to be.
    server : Path
        The folder of the server's.
    """

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        self._server = server
        self.drop_answers = 0  # of so many COMMITs: they arrive, and nobody hears of it
        self.drop_commits = 0  # so many never arrive
        self.refuse = False  # whoever comes anew
        self.refuse_after_drop = False
        self.dropped = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listening = await asyncio.start_unix_server(self._serve, str(self.folder / ".s.PGSQL.5432"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.refuse:
            writer.transport.abort()
            return
        there, back = await asyncio.open_unix_connection(str(self._server / ".s.PGSQL.5432"))
        committing = asyncio.Event()
        both = [
            asyncio.create_task(self._requests(reader, back, committing)),
            asyncio.create_task(self._answers(there, writer, committing)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in both:
                each.cancel()
            for end in (writer, back):
                end.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, committing: asyncio.Event
    ) -> None:
        while block := await reader.read(1 << 16):
            if _COMMIT in block:
                if self.drop_commits:
                    self.drop_commits -= 1
                    self._failed()
                    return
                if self.drop_answers:
                    self.drop_answers -= 1
                    committing.set()
            back.write(block)
            await back.drain()

    async def _answers(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, committing: asyncio.Event
    ) -> None:
        with suppress(ConnectionError):
            while block := await there.read(1 << 16):
                if committing.is_set():
                    self._failed()
                    return
                writer.write(block)
                await writer.drain()

    def _failed(self) -> None:
        self.dropped += 1
        self.refuse = self.refuse_after_drop
