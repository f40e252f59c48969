"""A process that writes to a store beside others: ``python -m tests.faults.writers URL NAME COUNT``."""

from __future__ import annotations

import asyncio
import sys

from escala.store import Store


async def write(url: str, name: str, count: int) -> None:
    async with await Store.open(url) as store:
        for k in range(count):
            await store.add_record(name, 1.0 + k, 0.5)
        await store.add_records([name] * count, [1000.0 + k for k in range(count)], [0.5] * count)
        await asyncio.gather(*(store.add_record(name, 2000.0 + k, 0.5) for k in range(count)))


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
