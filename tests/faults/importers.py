"""A process that imports records when it is told to: ``python -m tests.faults.importers URL COUNT``."""

from __future__ import annotations

import asyncio
import sys

import numpy as np

from escala.store import Store


async def import_file(url: str, count: int) -> None:
    async with await Store.open(url) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        capital = np.arange(1.0, count + 1.0)
        done = await store.import_records(["A"] * count, capital, capital / (2 * count), file="r.csv", observed_at=0.0)
        print(done.added, done.duplicates, flush=True)


if __name__ == "__main__":
    asyncio.run(import_file(sys.argv[1], int(sys.argv[2])))
