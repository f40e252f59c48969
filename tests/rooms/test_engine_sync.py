"""The engine without async: same methods, same answers, in a notebook's loop and after Ctrl-C."""

from __future__ import annotations

import asyncio
import inspect
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from escala import (
    ConfigError,
    EngineConfig,
    PredictiveScalingEngine,
    Regime,
    StoreError,
    SynchronousEngine,
    UnknownSymbolError,
    open_engine,
)
from tests.engines import CAPITAL, line
from tests.rooms.test_parallel import hearing_interrupts

BATCH = {"symbol": ["A"] * 14 + ["B"] * 14, "capital": [*CAPITAL, *CAPITAL]}
BATCH["efficiency"] = [*line(0.99, 1e-6), *line(0.9, 5e-7)]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SynchronousEngine]:
    with open_engine(tmp_path / "escala.db", EngineConfig(refresh_interval=1e6)) as opened:
        assert opened.add_efficiency_records(BATCH) == 28
        yield opened


def test_it_has_the_methods_of_the_asynchronous_one() -> None:
    def parameters(method: Any) -> list[tuple[str, Any, Any]]:
        return [(one.name, one.kind, one.default) for one in inspect.signature(method).parameters.values()]

    for name, method in inspect.getmembers(PredictiveScalingEngine, inspect.isfunction):
        if not name.startswith("_"):
            assert parameters(getattr(SynchronousEngine, name)) == parameters(method), name
    assert parameters(open_engine) == parameters(PredictiveScalingEngine.open)


def test_it_answers_as_the_asynchronous_one_does(engine: SynchronousEngine, tmp_path: Path) -> None:
    limits: dict[str, Any] = {"upper": {"B": 1e4}, "min_efficiency": 0.0}
    mine = [
        engine.train().params.tobytes(),
        engine.curves(["B"]).symbols.tolist(),
        engine.predict_many(["B", "A"], {"A": 2e5, "B": 1e5}).efficiency.tolist(),
        engine.optimize_allocation(["A", "B"], 1e5, **limits).to_dict(),
        engine.rebalance({"A": 1e4, "B": 2e4}, **limits).to_dict(),
        engine.predict_efficiency("A", 2e5).efficiency,
        engine.saturation_points()["A"].capacity,
    ]
    assert engine.model_info("A").family == "linear"
    assert engine.stats()["symbols"] == 2
    assert len(engine.run(engine.store.allocations())) == 1

    async def theirs() -> list[Any]:
        async with await PredictiveScalingEngine.open(tmp_path / "escala.db") as other:
            return [
                (await other.curves()).params.tobytes(),
                (await other.curves(["B"])).symbols.tolist(),
                (await other.predict_many(["B", "A"], [1e5, 2e5])).efficiency.tolist(),
                (await other.optimize_allocation(["A", "B"], 1e5, **limits)).to_dict(),
                (await other.rebalance({"A": 1e4, "B": 2e4}, **limits)).to_dict(),
                (await other.predict_efficiency("A", 2e5)).efficiency,
                (await other.saturation_points())["A"].capacity,
            ]

    assert mine == asyncio.run(theirs())


def test_it_works_where_a_loop_runs_already(engine: SynchronousEngine) -> None:
    async def cell() -> int:
        return int(engine.stats()["symbols"])

    assert asyncio.run(cell()) == 2
    with pytest.raises(StoreError, match=r"^the engine waits for itself: await the asynchronous one here$"):
        engine.run(cell())


def test_errors_are_those_of_the_asynchronous_one(engine: SynchronousEngine, tmp_path: Path) -> None:
    with pytest.raises(UnknownSymbolError, match=r"no records of 'C'"):
        engine.predict_efficiency("C", 1e5)
    before = threading.active_count()
    with pytest.raises(StoreError, match=r"there is no store at"):
        open_engine(tmp_path / "none.db", create=False)
    with pytest.raises(ConfigError, match=r"^config must be an EngineConfig"):
        open_engine(tmp_path / "none.db", 3)  # type: ignore[arg-type]
    assert threading.active_count() == before


def test_a_closed_engine_says_so(engine: SynchronousEngine) -> None:
    events = engine.events()
    engine.close()
    engine.close()
    assert list(events) == []
    assert events.waiting() == []
    events.close()
    with pytest.raises(StoreError, match=r"^the engine is closed$"):
        engine.stats()


def test_changes_of_regime_can_be_read_without_waiting(engine: SynchronousEngine) -> None:
    engine.rebalance({"A": 1e4}, min_efficiency=0.0)
    events, dropped = engine.events(), engine.events()
    dropped.close()
    engine.rebalance({"A": 1e4}, min_efficiency=0.0)
    assert events.waiting() == []
    engine.rebalance({"A": 2e5}, min_efficiency=0.0)
    engine.rebalance({"A": 1e4}, min_efficiency=0.0)
    assert next(events).after is Regime.SATURATED
    assert [event.after for event in events.waiting()] == [Regime.WORKING]
    assert dropped.waiting() == []
    with pytest.raises(StopIteration):
        next(dropped)


def test_several_threads_may_use_it(engine: SynchronousEngine) -> None:
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda: numbers.append(engine.add_efficiency_record("A", 1e5, 0.9))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(29, 37))


def test_ctrl_c_gives_up_what_is_waited_for_and_leaves_the_engine_usable(engine: SynchronousEngine) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    def interrupt() -> None:
        begun.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # as a terminal does

    threading.Thread(target=interrupt).start()
    with hearing_interrupts(), pytest.raises(KeyboardInterrupt):
        engine.run(endless())
    assert ended.is_set()
    assert engine.stats()["symbols"] == 2


@pytest.mark.slow
def test_a_program_that_forgets_to_close_it_ends_and_loses_nothing(tmp_path: Path) -> None:
    program = (
        "import escala, sys\n"
        "engine = escala.open_engine(sys.argv[1])\n"
        "engine.add_efficiency_record('A', 1e4, 0.9)\n"
        "print('added')\n"
    )
    command = [sys.executable, "-W", "error", "-c", program, str(tmp_path / "escala.db")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert (ended.stdout, ended.stderr) == ("added\n", "")
    with open_engine(tmp_path / "escala.db", create=False) as again:
        assert len(again.run(again.store.records())) == 1
