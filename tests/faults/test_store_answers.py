"""What is said of a write is true, whenever the connection breaks; and what is repeated is kept once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escala import RecordError, ScalingConfig, Store, StoreError, StoreUncertainError, SymbolConfig, allocate
from escala.store import database
from tests.faults.proxy import Proxy
from tests.postgres import Server
from tests.stores import some_curves

_NAMES = itertools.count()
_CURVES = some_curves(3)
_ALLOCATION = allocate(_CURVES, 1000.0)


@asynccontextmanager
async def between(postgres: Server, folder: Path) -> AsyncIterator[tuple[Store, Proxy]]:
    """Open a store through a proxy."""
    url = postgres.create(f"answers_{next(_NAMES)}")
    async with (
        await Store.open(url),
        Proxy(folder, postgres.folder) as proxy,
        await Store.open(url.replace(str(postgres.folder), str(folder))) as store,
    ):
        yield store, proxy


Write = Callable[[Store], Awaitable[Any]]

#: Each kind of write, what its answer is the first time, and the table that it puts one row into.
WRITES: dict[str, tuple[Write, Any, str]] = {
    "a record": (lambda store: store.add_record("A", 1.0, 0.5), 1, "efficiency_record"),
    "a batch": (lambda store: store.add_records(["A"], [1.0], [0.5]), 1, "efficiency_record"),
    "an import": (
        lambda store: store.import_records(["A"], [1.0], [0.5], file="f.csv", allow_duplicates=True), None,
        "efficiency_record",
    ),
    "an allocation": (lambda store: store.save_allocation(_ALLOCATION), 1, "allocation"),
    "a setting": (lambda store: store.set_config(ScalingConfig(reserve=0.5)), None, "scaling_config"),
    "a symbol's setting": (lambda store: store.set_symbol_config("A", SymbolConfig(priority=2.0)), None,
                           "symbol_config"),
}  # fmt: skip


async def rows(store: Store, table: str) -> int:
    return int((await store.stats())["rows"][table])


@pytest.mark.parametrize("kind", WRITES)
async def test_a_write_whose_confirmation_is_lost_was_kept_and_says_so(
    kind: str, postgres: Server, tmp_path: Path
) -> None:
    write, answer, table = WRITES[kind]
    async with between(postgres, tmp_path) as (store, proxy):
        proxy.drop_answers = 1
        found = await write(store)
        assert proxy.dropped == 1
        assert answer is None or found == answer
        assert await rows(store, table) == 1


@pytest.mark.parametrize("kind", WRITES)
async def test_a_write_whose_commit_never_arrived_was_not_kept_and_says_so(
    kind: str, postgres: Server, tmp_path: Path
) -> None:
    write, _, table = WRITES[kind]
    async with between(postgres, tmp_path) as (store, proxy):
        proxy.drop_commits = 1
        with pytest.raises(StoreError, match=r"cannot write to postgresql://.*; it was not kept$") as caught:
            await write(store)
        assert not isinstance(caught.value, StoreUncertainError)
        assert proxy.dropped == 1
        assert await rows(store, table) == 0


async def test_lost_confirmations_of_many_tasks_lose_and_double_nothing(postgres: Server, tmp_path: Path) -> None:
    async with between(postgres, tmp_path) as (store, proxy):
        kept: dict[int, float] = {}
        for turn in range(10):
            proxy.drop_answers = turn % 2
            capitals = [float(1 + turn * 100 + k) for k in range(20)]
            numbers = await asyncio.gather(*(store.add_record("A", capital, 0.5) for capital in capitals))
            kept |= dict(zip(numbers, capitals, strict=True))
        found = await store.records()
        assert dict(zip(found.id.tolist(), found.capital.tolist(), strict=True)) == kept
        assert len(kept) == 200
        assert proxy.dropped == 5


@pytest.mark.parametrize("arrives", [True, False])
async def test_where_nobody_can_be_asked_the_error_says_so_and_the_call_may_be_repeated(
    arrives: bool, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_ASKING_SECONDS", 0.5)
    async with between(postgres, tmp_path) as (store, proxy):
        await store.add_record("A", 1.0, 0.5)  # all that follows is told from what was there
        calls: list[Callable[..., Awaitable[Any]]] = [
            *(lambda capital=capital, **more: store.add_record("A", capital, 0.5, **more) for capital in (2.0, 3.0)),
            lambda **more: store.add_records(["B"] * 3, [1.0] * 3, [0.5] * 3, **more),
            lambda **more: store.import_records(["C"], [1.0], [0.5], file="f", allow_duplicates=True, **more),
            lambda **more: store.save_models(_CURVES, last_record_id=[1] * 3, **more),
            lambda **more: store.save_allocation(_ALLOCATION, **more),
        ]
        for together in (calls[:2], *([call] for call in calls[2:])):
            proxy.drop_answers, proxy.drop_commits = (9, 0) if arrives else (0, 9)
            proxy.refuse_after_drop = True
            said = await asyncio.gather(*(call() for call in together), return_exceptions=True)
            errors = [error for error in said if isinstance(error, StoreUncertainError)]
            assert len(errors) == len(together), said
            assert "the same call may be repeated, with the identity that this error has" in str(errors[0])
            proxy.drop_answers, proxy.drop_commits, proxy.refuse = 0, 0, False
            first = [await call(identity=error.identity) for call, error in zip(together, errors, strict=True)]
            again = [await call(identity=error.identity) for call, error in zip(together, errors, strict=True)]
            assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
        counts = (await store.stats())["rows"]
        assert counts["efficiency_record"] == 1 + 2 + 3 + 1
        assert (counts["record_import"], counts["model_training"], counts["allocation"]) == (1, 3, 1)
        found = await store.records()
        assert found.capital[found.symbol == "A"].tolist() == [1.0, 2.0, 3.0]


async def test_settings_and_deletions_of_which_nobody_knows_are_repeated_as_they_are(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_ASKING_SECONDS", 0.5)
    async with between(postgres, tmp_path) as (store, proxy):
        await store.add_record("A", 1.0, 0.5)
        await store.set_symbol_config("A", SymbolConfig(priority=2.0))
        for call in (
            lambda: store.delete_records("A"),
            lambda: store.set_config(ScalingConfig()),
            lambda: store.remove_symbol_config("A"),
        ):
            proxy.drop_answers, proxy.refuse_after_drop = 1, True
            with pytest.raises(StoreUncertainError, match=r"the same call may be repeated$") as caught:
                await call()
            assert caught.value.identity == ""
            proxy.refuse = False
            await call()
        assert await store.symbols() == {}


async def test_one_identity_is_one_write(url: str) -> None:
    async with await Store.open(url) as store:
        one = await store.add_record("A", 1.0, 0.5, identity="fill-1")
        assert await store.add_record("A", 1.0, 0.5, identity="fill-1") == one
        both = await asyncio.gather(*(store.add_record("A", 2.0, 0.5, identity="fill-2") for _ in range(2)))
        assert both[0] == both[1] > one
        mixed = await asyncio.gather(
            store.add_record("A", 3.0, 0.5),
            store.add_record("A", 1.0, 0.5, identity="fill-1"),
            store.add_record("A", 4.0, 0.5, identity="fill-3"),
            store.add_record("A", 5.0, 0.5),
        )
        found = await store.records()
        kept = dict(zip(found.id.tolist(), found.capital.tolist(), strict=True))
        assert [kept[number] for number in mixed] == [3.0, 1.0, 4.0, 5.0]
        assert sorted(kept.values()) == [1.0, 2.0, 3.0, 4.0, 5.0]
        for _ in range(2):
            assert await store.add_records(["B"] * 2, [1.0, 2.0], [0.5, 0.5], identity="day-1") == 2
        assert len(await store.records("B")) == 2


async def test_an_identity_is_that_of_one_call(url: str) -> None:
    async with await Store.open(url) as store:
        await store.add_records(["B"], [1.0], [0.5], identity="x")
        message = "identity must be this call's alone, but 'x' is that of another: records"
        good, bad = await asyncio.gather(
            store.add_record("A", 1.0, 0.5), store.add_record("A", 1.0, 0.5, identity="x"), return_exceptions=True
        )
        assert isinstance(bad, RecordError)
        assert str(bad) == message
        assert isinstance(good, int)
        with pytest.raises(RecordError, match="'x' is that of another: records"):
            await store.save_allocation(_ALLOCATION, identity="x")
        for wrong, said in (("", "''"), (5, "5"), (b"x", "b'x'")):
            with pytest.raises(RecordError, match=f"identity must be text that is not empty, not {said}"):
                await store.add_record("A", 1.0, 0.5, identity=wrong)  # type: ignore[arg-type]
        assert len(await store.records("A")) == 1
