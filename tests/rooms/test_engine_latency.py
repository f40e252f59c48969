"""What a question costs after a new record: what is new. Records in memory, trainings beside, answers that do not wait."""

from __future__ import annotations

import asyncio
import datetime
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escala import CurveSet, EngineConfig, PredictiveScalingEngine, ScalingConfig, Store
from escala.curves.fitting import fit_seen
from escala.engine import memory as engine_memory
from escala.engine.memory import RecordMemory
from escala.errors import RecordError
from escala.store import News
from tests.engines import LONG, add_line, add_noise, same
from tests.stores import run_sql, some_curves

OLD = 30.0  # a staleness that no record of a test reaches
SOON = 20.0  # seconds within which what goes on beside must be done, on the busiest machine


async def until(reached: Any) -> None:
    """Wait for a state."""
    for _ in range(2000):
        if reached():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it was not reached")


async def from_the_store(engine: PredictiveScalingEngine, symbol: str) -> CurveSet:
    """Fit all records of a symbol as they are in the store."""
    records = await engine.store.records(symbol)
    columns, seconds = (
        ([symbol], [records.capital], [records.efficiency]),
        [records.observed_at.astype(np.int64) * 1e-6],
    )
    return fit_seen(*columns, seconds, weights=[records.weight], family="auto")


# --- records in memory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 25, 10_000])
async def test_the_curve_from_memory_equals_that_from_a_full_read(url: str, size: int) -> None:
    rng = np.random.default_rng(size)
    config = EngineConfig(record_cache=size, refresh_interval=0.0, refresh_timeout=LONG)
    async with await PredictiveScalingEngine.open(url, config) as engine, await Store.open(url) as other:
        await add_noise(engine, ["A", "B", "C"])
        for k in range(8):
            await engine.add_efficiency_record("ABC"[k % 3], float(rng.uniform(1e3, 1e6)), 0.5, weight=1.0 + k % 4)
            if k % 4 == 1:
                await other.add_record("A", float(rng.uniform(1e3, 1e6)), 0.4)
            if k % 4 == 2:
                await other.add_records(["B"] * 5, rng.uniform(1e3, 1e6, 5), rng.uniform(0.2, 0.9, 5))
            if k == 5:
                await run_sql(url, "UPDATE efficiency_record SET observed_at = 0 WHERE id IN (3, 24, 62)")
                await other.delete_records(["A", "B"], before=1.0)
            for symbol in "AB":
                await engine.predict_efficiency(symbol, 5e4)
                assert same(await engine.curves(symbol), await from_the_store(engine, symbol))
        assert (await engine.stats())["records"] <= size


async def test_only_new_records_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await PredictiveScalingEngine.open(tmp_path / "s.db", EngineConfig(refresh_interval=LONG)) as engine:
        await add_noise(engine, ["A", "B"])
        read: list[int] = []
        real = engine.store.news

        async def counting(*given: Any) -> News:
            news = await real(*given)
            read.append(sum(one.id.size for one in news.records.values()))
            return news

        monkeypatch.setattr(engine.store, "news", counting)
        await engine.predict_efficiency("A", 5e4)
        assert read[0] == 20
        await until(lambda: len(read) == 2)  # that of B, beside
        await engine.add_efficiency_record("A", 1e4, 0.5)
        await engine.predict_efficiency("A", 5e4)
        assert read == [20, 20, 1]
        assert (await engine.model_info("A")).n_points == 21


async def test_symbols_whose_use_is_longest_ago_go_first(tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "s.db") as store:
        await store.add_records(np.repeat(np.array(list("ABC"), dtype=object), 10), np.full(30, 1e4), np.full(30, 0.5))
        memory = RecordMemory(store, 20)
        await memory.read(["A"], "default")
        await memory.read(["B"], "default")
        await memory.read(["A"], "default")
        await memory.read(["C"], "default")
        assert [memory.size_of(symbol) for symbol in "ABC"] == [10, 0, 10]
        assert memory.count == 20


async def test_readings_at_the_same_time_take_no_record_twice(tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "s.db") as store:
        await store.add_records(["A"] * 10, np.arange(1.0, 11.0), np.full(10, 0.5))
        memory = RecordMemory(store, 1000)
        for k in range(20):
            await store.add_record("A", 100.0 + k, 0.5)
            found = await asyncio.gather(*(memory.read(["A"], "default") for _ in range(5)))
            for records, _ in found:
                assert records["A"].capital.tolist() == (await store.records("A")).capital.tolist()


async def test_what_was_given_out_never_changes(tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "s.db") as store:
        memory = RecordMemory(store, 1000)
        given = []
        for k in range(40):
            await store.add_record("A", 1.0 + k, 0.5)
            given.append((await memory.read(["A"], "default"))[0]["A"].capital)
        assert [one.tolist() for one in given] == [[1.0 + i for i in range(k + 1)] for k in range(40)]
        assert engine_memory._GROWTH > 1.0


async def test_records_that_are_removed_while_new_ones_come_are_known_no_more(url: str) -> None:
    """Their numbers lie between those that were read and those that come: the removal's own number tells."""
    async with await Store.open(url) as store:
        memory = RecordMemory(store, 1000)
        await store.add_records(["A", "B", "A"], [1.0, 2.0, 3.0], [0.5] * 3, observed_at=[5.0, 5.0, 9.0])
        await memory.read(["A", "B"], "default")
        await store.delete_records("A", before=6.0)
        number = await store.add_record("A", 4.0, 0.5)
        records, _ = await memory.read(["A", "B"], "default")
        assert records["A"].capital.tolist() == [3.0, 4.0]
        assert (records["A"].seen, records["B"].seen) == (number, 2)
        await store.delete_records("A")
        records, _ = await memory.read(["A", "B"], "default")
        assert list(records) == ["B"]


async def test_news_name_what_cannot_be_asked(tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "s.db") as store:
        with pytest.raises(RecordError, match=r"known\['A'\] must be an integer in \[0, 2\^53\]|known\['A'\]"):
            await store.news({"A": (-1, 0)})
        with pytest.raises(RecordError, match="symbols"):
            await store.news({"": (0, 0)})
        assert (await store.news({})).records == {}
        news = await store.news({"A": (0, 0)})
        assert (news.records["A"].id.size, news.records["A"].removal, news.config) == (0, 0, ScalingConfig())


async def test_an_overview_tells_what_the_single_calls_tell(url: str) -> None:
    async with await Store.open(url) as store:
        await store.add_records(["A", "B", "C"], [1.0] * 3, [0.5] * 3)
        await store.delete_records("B")
        await store.set_config(ScalingConfig(reserve=0.1), "desk")
        curves = some_curves()
        await store.save_models(curves, last_record_id=[1] * len(curves))
        seen = await store.overview("desk")
        assert seen.symbols == await store.symbols()
        assert seen.removals == await store.removals()
        assert seen.version == await store.latest_version()
        assert seen.config == await store.config("desk")
        assert seen.symbol_config == await store.symbol_config()


# --- what is trained, and when ----------------------------------------------------------------------------------------


async def test_what_is_asked_for_waits_for_no_other_symbol(tmp_path: Path) -> None:
    async with await PredictiveScalingEngine.open(tmp_path / "s.db", EngineConfig(refresh_interval=LONG)) as engine:
        await add_noise(engine, [f"S{k}" for k in range(5)])
        await engine.predict_efficiency("S3", 5e4)
        assert engine._trainer.models_trained == 1
        await until(lambda: engine._trainer.models_trained == 5)  # the others, beside
        assert engine._trainer.trainings == 2
        assert (await engine.stats())["stale"] == 0


async def test_a_training_beside_that_comes_late_replaces_nothing(tmp_path: Path) -> None:
    async with await PredictiveScalingEngine.open(tmp_path / "s.db", EngineConfig(refresh_interval=LONG)) as engine:
        await add_noise(engine, ["A"])
        await engine.predict_efficiency("A", 5e4)
        model = engine._state.models["A"]
        engine._state.adopt_own({"A": model}, turn=0, at=0.0)
        newer = await engine.train("A")
        engine._state.adopt_own({"A": model}, turn=1, at=0.0)
        assert engine._state.models["A"].curve is not model.curve
        assert same(engine._state.models.take(["A"]), newer)
        engine._state.forget("A")
        engine._state.adopt_own({"A": model}, turn=99, at=0.0)  # its records were deleted meanwhile
        assert "A" not in engine._state.models


async def test_as_of_says_which_records_an_answer_knows(url: str) -> None:
    async with await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=LONG)) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        added = datetime.datetime.now(datetime.UTC)
        found = await engine.predict_efficiency("A", 1e5)
        assert added <= found.as_of <= datetime.datetime.now(datetime.UTC)


async def test_another_training_that_knows_less_is_not_used(url: str) -> None:
    async with await PredictiveScalingEngine.open(url, EngineConfig(refresh_interval=LONG)) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        found = await engine.predict_efficiency("A", 1e5)
        await engine.model_info("A")
        known = (await engine.store.symbols())["A"]
        other = CurveSet.from_params(["A"], "linear", [[0.0, 0.1]])
        await engine.store.save_models(other, last_record_id=[known - 1])
        await engine._state.refresh()
        assert await engine.predict_efficiency("A", 1e5) is found
        await engine.store.save_models(other, last_record_id=[known])
        await engine._state.refresh()
        assert (await engine.predict_efficiency("A", 1e5)).efficiency == 0.1


# --- answers that wait for nothing ------------------------------------------------------------------------------------


async def test_an_answer_may_miss_young_records_and_says_so(url: str) -> None:
    config = EngineConfig(refresh_interval=LONG, max_staleness=OLD)
    async with await PredictiveScalingEngine.open(url, config) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        first = await engine.predict_efficiency("A", 1e5)
        assert first.efficiency == pytest.approx(0.8)
        await add_line(engine, "A", 0.7, 1e-6)
        added = datetime.datetime.now(datetime.UTC)
        second = await engine.predict_efficiency("A", 1e5)
        assert second is first  # from the curve there is
        assert second.as_of < added
        other = await engine.predict_efficiency("A", 2e5)
        assert other.efficiency == pytest.approx(0.7)
        assert other.as_of == first.as_of
        assert (await engine.predict_many(["A"], 2e5)).efficiency[0] == other.efficiency


async def test_what_was_asked_for_is_trained_beside_without_another_question(url: str) -> None:
    config = EngineConfig(refresh_interval=LONG, max_staleness=0.3)
    async with await PredictiveScalingEngine.open(url, config) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        await add_line(engine, "B", 0.9, 1e-6)
        await engine.predict_efficiency("A", 1e5)
        for _ in range(3):
            trained = engine._trainer.models_trained
            number = await engine.add_efficiency_record("A", 1e5, 0.7)
            await engine.add_efficiency_record("B", 1e5, 0.7)
            await until(lambda number=number: engine._state.models["A"].seen >= number)
            assert engine._trainer.models_trained > trained
        found = await engine.predict_efficiency("A", 1e5)
        assert same(engine._state.models.take(["A"]), await from_the_store(engine, "A"))
        assert found.as_of > datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=SOON)
        assert "B" not in engine._state.models  # nobody has asked for it


async def test_records_that_are_too_old_to_be_missed_are_waited_for(tmp_path: Path) -> None:
    """Nobody has asked for a while, so nothing was trained beside."""
    config = EngineConfig(refresh_interval=LONG, max_staleness=1e-3)
    async with await PredictiveScalingEngine.open(tmp_path / "s.db", config) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        await engine.predict_efficiency("A", 1e5)
        engine._state.unfollow(["A"])
        number = await engine.add_efficiency_record("A", 1e5, 0.2)
        await asyncio.sleep(0.01)
        assert engine._state.models["A"].seen < number
        await engine.predict_efficiency("A", 1e5)
        assert engine._state.models["A"].seen >= number


async def test_who_fails_beside_is_waited_for_and_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = EngineConfig(refresh_interval=LONG, max_staleness=1e-3)
    async with await PredictiveScalingEngine.open(tmp_path / "s.db", config) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        await engine.predict_efficiency("A", 1e5)
        real = engine._trainer.memory._store
        monkeypatch.setattr(engine._trainer.memory, "_store", None)
        await engine.add_efficiency_record("A", 1e5, 0.2)
        await until(lambda: not engine._state.followed())
        with pytest.raises(AttributeError):
            await engine.predict_efficiency("A", 1e5)
        monkeypatch.setattr(engine._trainer.memory, "_store", real)
        await engine.predict_efficiency("A", 1e5)
        assert same(engine._state.models.take(["A"]), await from_the_store(engine, "A"))


async def test_deleted_records_are_known_no_more_whatever_the_staleness(tmp_path: Path) -> None:
    config = EngineConfig(refresh_interval=LONG, max_staleness=OLD)
    async with await PredictiveScalingEngine.open(tmp_path / "s.db", config) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        await add_line(engine, "B", 0.9, 1e-6)
        await engine.predict_many(["A", "B"], 1e5)
        await engine.delete_records("A")
        with pytest.raises(LookupError, match="there are no records of 'A'"):
            await engine.predict_efficiency("A", 1e5)


async def test_an_engine_that_closes_ends_what_goes_on_beside(tmp_path: Path) -> None:
    config = EngineConfig(refresh_interval=LONG, max_staleness=OLD)
    engine = await PredictiveScalingEngine.open(tmp_path / "s.db", config)
    await add_line(engine, "A", 0.9, 1e-6)
    await engine.predict_efficiency("A", 1e5)
    number = await engine.add_efficiency_record("A", 1e5, 0.2)
    begun = time.monotonic()
    await engine.close()
    assert time.monotonic() - begun < OLD / 3  # the pause between two rounds is not waited for
    assert not engine._trainer._tasks
    async with await PredictiveScalingEngine.open(tmp_path / "s.db") as again:
        assert (await again.predict_efficiency("A", 1e5)).efficiency < 0.8
        assert (await again.store.symbols())["A"] == number


# --- trainings that are kept ------------------------------------------------------------------------------------------


async def test_trainings_are_written_once_a_second_at_most(tmp_path: Path) -> None:
    async with await PredictiveScalingEngine.open(tmp_path / "s.db", EngineConfig(refresh_interval=LONG)) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        begun = time.monotonic()
        for _ in range(30):
            await engine.add_efficiency_record("A", 1e5, 0.7)
            await engine.predict_efficiency("A", 1e5)
        rows = len(await engine.store.history("A"))
        assert rows <= 1 + (time.monotonic() - begun)
        assert engine._trainer.trainings == 30
    async with await PredictiveScalingEngine.open(tmp_path / "s.db") as engine:  # the last one was written at the end
        assert (await engine.model_info("A")).n_points == 44
        assert not (await engine.model_info("A")).stale


async def test_old_trainings_go(url: str) -> None:
    config = EngineConfig(refresh_interval=LONG, history_size=3)
    async with await PredictiveScalingEngine.open(url, config) as engine:
        await add_line(engine, "A", 0.9, 1e-6)
        await add_line(engine, "B", 0.9, 1e-6)
        await engine.train("B")
        for _ in range(6):
            await engine.train("A")
        assert [one.version for one in await engine.store.history("A")] == [5, 6, 7]
        assert [one.version for one in await engine.store.history("B")] == [1]
        sizes = await run_sql(url, "SELECT length(curve) FROM model_training ORDER BY id")
        assert [size > 0 for [size] in sizes] == [True, False, False, True]
        models = await engine.store.models()
        assert models.version.tolist() == [1, 7]
        assert same(models.curves[["A"]], await engine.curves("A"))


async def test_trainings_have_times_of_their_own(url: str) -> None:
    async with await Store.open(url) as store:
        curves = some_curves()
        times = 1e9 + np.arange(len(curves))
        await store.save_models(curves, last_record_id=[0] * len(curves), trained_at=times)
        assert (await store.models()).trained_at.astype(np.int64).tolist() == (times * 1e6).astype(np.int64).tolist()
        with pytest.raises(RecordError, match=r"trained_at of shape \(2,\) must be one time or of shape \(12,\)"):
            await store.save_models(curves, last_record_id=[0] * len(curves), trained_at=times[:2])
        with pytest.raises(RecordError, match="keep must be"):
            await store.save_models(curves, last_record_id=[0] * len(curves), keep=0)
