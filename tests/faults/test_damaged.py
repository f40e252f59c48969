"""Files that were damaged: one named error, or what is left of them; never a traceback, a crash or a changed file."""

from __future__ import annotations

import asyncio
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from escala import Store, StoreError
from escala.text.visible import hidden
from tests.stores import some_curves

SEED, COUNT = 20_261_128, 300
PAGE = 4096


async def make(path: Path) -> bytes:
    async with await Store.open(path) as store:
        n = 400
        names = [f"Symbol-{k % 20}-é" for k in range(n)]
        metrics = [{"roi": 0.5} if k % 3 else None for k in range(n)]
        await store.add_records(names, np.full(n, 10.0), np.full(n, 0.5), metrics=metrics)
        await store.import_records(["A"], [1.0], [0.5], file="é.csv")
        await store.save_models(some_curves(), last_record_id=[3] * 12)
    return path.read_bytes()


def damaged(whole: bytes, draw: np.random.Generator) -> bytes:
    """Damage a file as disks and programs do: bits, stretches, pages, ends."""
    content = bytearray(whole)
    size = len(content)
    kind = draw.integers(7)
    if kind == 0:
        for place in draw.integers(0, size, draw.integers(1, 200)):
            content[place] ^= 1 << int(draw.integers(8))
    elif kind == 1:
        return bytes(content[: draw.integers(1, size)])
    elif kind == 2:
        start = int(draw.integers(size))
        content[start : start + int(draw.integers(1, 2000))] = draw.bytes(int(draw.integers(1, 2000)))
    elif kind == 3:
        page = PAGE * int(draw.integers(size // PAGE))
        content[page : page + PAGE] = bytes(PAGE)
    elif kind == 4:
        one, other = (PAGE * int(k) for k in draw.integers(size // PAGE, size=2))
        content[one : one + PAGE], content[other : other + PAGE] = (
            content[other : other + PAGE],
            content[one : one + PAGE],
        )
    elif kind == 5:  # lengths that reach beyond their page
        start = int(draw.integers(size - 300))
        content[start : start + 300] = b"\xff" * 300
    else:  # the head, and the schema's text behind it
        for place in draw.integers(16, 3 * PAGE, draw.integers(1, 30)):
            content[place] = int(draw.integers(256))
    return bytes(content)


async def read_all(path: Path) -> None:
    async with await Store.open(path, create=False) as store:
        for read in (store.records, store.models, store.stats, store.imports, store.record_ranges, store.config,
                     store.symbols, store.record_sources, store.saturation_points, store.symbol_config):  # fmt: skip
            try:
                await read()
            except StoreError:
                continue


def test_a_damaged_file_is_one_error_or_what_is_left_of_it(tmp_path: Path) -> None:
    whole = asyncio.run(make(tmp_path / "whole.db"))
    draw = np.random.default_rng(SEED)
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for k in range(COUNT):
            path = tmp_path / f"{k}.db"
            path.write_bytes(damaged(whole, draw))
            try:
                asyncio.run(read_all(path))
            except StoreError as error:
                refused += 1
                if str(path) not in str(error) or hidden(str(error)) is not None:
                    pytest.fail(f"damage {k} is not named, or its content is shown raw: {error}")
            for ending in ("", "-wal", "-shm", "-journal"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
    assert refused > COUNT // 10


def test_a_value_that_reaches_beyond_its_page_is_damage(tmp_path: Path) -> None:
    """The driver says that there is no memory for it."""
    path = tmp_path / "store.db"
    whole = asyncio.run(make(path))
    found = 0
    for start in range(0, len(whole) - 300, 97):
        path.write_bytes(whole[:start] + b"\xff" * 300 + whole[start + 300 :])
        if not is_too_much(path):
            continue
        found += 1
        with pytest.raises(StoreError, match=r"store\.db: it is damaged, or there is too little memory$"):
            asyncio.run(read_records(path))
        if found == 3:
            break
    assert found == 3


def is_too_much(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        try:
            connection.execute("SELECT * FROM efficiency_record").fetchall()
        except MemoryError:
            return True
        except (sqlite3.Error, UnicodeDecodeError):
            pass
    return False


async def read_records(path: Path) -> None:
    async with await Store.open(path, create=False) as store:
        await store.records()
