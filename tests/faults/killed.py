"""Processes that write to a store until they are killed: ``python -m tests.faults.killed URL ROUNDS SEED``.

They tell what was acknowledged to them, a line each: ``single NUMBER CAPITAL`` or ``batch SOURCE COUNT``.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
import warnings

import alembic as _alembic  # noqa: F401 - loaded once, before the processes part

from escala.store import Store
from escala.store import allocation_rows as _allocation_rows  # noqa: F401
from escala.store import record_rows as _record_rows  # noqa: F401
from escala.store.database import migrate as _migrate  # noqa: F401
from escala.store.location import load_postgres

BATCH = 300
LONGEST_LIFE = 0.08  # seconds


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def write_for_ever(url: str, turn: int, began: int) -> None:
    async with await Store.open(url) as store:
        os.write(began, b".")
        singles = (write_singles(store, turn, task, began) for task in range(8))
        await asyncio.gather(*singles, write_batches(store, turn, began))


async def write_singles(store: Store, turn: int, task: int, told: int) -> None:
    for k in range(1_000_000):
        capital = float(1 + task + 8 * (turn + 1000 * k))
        say(f"single {await store.add_record('BTC', capital, 0.5)} {capital!r}")
        if k == 0:
            os.write(told, b"s")


async def write_batches(store: Store, turn: int, told: int) -> None:
    for k in range(1_000_000):
        source = f"batch-{turn}-{k}"
        await store.add_records(["ETH"] * BATCH, [1.0] * BATCH, [0.5] * BATCH, sources=source)
        say(f"batch {source} {BATCH}")
        if k == 0:
            os.write(told, b"b")


def main(url: str, rounds: int, seed: int) -> None:
    """Let processes live one after the other; one in four is killed at a time that counts from its birth."""
    load_postgres()
    draw = random.Random(seed)
    for turn in range(rounds):
        reader, began = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of NumPy's, none of them at work
            child = os.fork()
        if child == 0:
            try:
                asyncio.run(write_for_ever(url, turn, began))
            finally:
                os._exit(1)
        os.close(began)
        awaited = (b"", b".", b"s", b"b")[turn % 4]  # nothing, that the store is open, or what was acknowledged
        while awaited and (told := os.read(reader, 100)) and awaited not in told:
            continue
        time.sleep(draw.uniform(0.0, LONGEST_LIFE))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
