"""The load of a running system: 500 records a second over 20 symbols, and questions beside it."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from escala import EngineConfig, PredictiveScalingEngine

RATE: Final = 500.0  # records a second
SYMBOLS: Final = [f"S{k}" for k in range(20)]
_PAUSE: Final = 0.01  # seconds between an answer and the next question
_BEAT: Final = 0.001  # seconds that a task sleeps which sees whether the event loop stands still


@dataclass
class Load:
    """What was measured, in seconds.

    Attributes
    ----------
    asked : list of float
        How long each answer took, of a symbol and at a capital drawn at random.
    missed : list of float
        By how much its model was younger than the answer.
    added : list of float
        How long each record took until it was on disk.
    stood : list of float
        How much longer than it wanted a task slept that did nothing else.
    grown : float
        Bytes by which the process has grown, from a fifth of the time on.
    trainings : int
        Rows by which the table of trainings has grown.
    """

    asked: list[float] = field(default_factory=list)
    missed: list[float] = field(default_factory=list)
    added: list[float] = field(default_factory=list)
    stood: list[float] = field(default_factory=list)
    grown: float = 0.0
    trainings: int = 0

    def figure(self) -> str:
        """Say the quantiles that matter."""
        asked, added = (np.quantile(times, [0.5, 0.99]) * 1e3 for times in (self.asked, self.added))
        stood = np.quantile(self.stood, [0.99, 1.0]) * 1e3
        return (
            f"answers {asked[0]:.3g} ms, 99 % within {asked[1]:.3g} ms ({len(self.asked):,}); models "
            f"{np.median(self.missed):.2g} s old; records {added[0]:.3g} ms, 99 % within {added[1]:.3g} ms; "
            f"loop held up {stood[0]:.2g} ms in 1 % of beats, at most {stood[1]:.3g} ms; {self.grown / 2**20:+.0f} MB; "
            f"{self.trainings} trainings kept"
        )


async def measure(path: Path, records: int, config: EngineConfig, seconds: float) -> Load:
    """Fill a store, train its models, and measure for some time."""
    rng = np.random.default_rng(1)
    capital = rng.uniform(1e3, 1e6, records)
    efficiency = np.clip(0.9 - 0.6 * -np.expm1(-3e-6 * capital) + rng.normal(0.0, 0.01, records), 0.0, 1.0)
    names = np.array(SYMBOLS, dtype=object)[np.arange(records) % len(SYMBOLS)]
    load = Load()
    async with await PredictiveScalingEngine.open(path, config) as engine:
        await engine.add_efficiency_records({"symbol": names, "capital": capital, "efficiency": efficiency})
        await engine.train()
        for symbol in SYMBOLS:
            await engine.predict_efficiency(symbol, 1e5)
        before = (await engine.store.stats())["rows"]["model_training"]
        ended = asyncio.Event()
        work = (_add(engine, ended, load), _ask(engine, ended, load), _beat(ended, load))
        loops = [asyncio.create_task(one) for one in work]
        await asyncio.sleep(0.2 * seconds)
        size = _resident()
        await asyncio.sleep(0.8 * seconds)
        load.grown = _resident() - size
        ended.set()
        await asyncio.gather(*loops)
        load.trainings = (await engine.store.stats())["rows"]["model_training"] - before
    return load


async def _add(engine: PredictiveScalingEngine, ended: asyncio.Event, load: Load) -> None:
    rng = np.random.default_rng(2)
    begun, under_way = time.perf_counter(), set()

    async def one(k: int) -> None:
        add = engine.add_efficiency_record(SYMBOLS[k % len(SYMBOLS)], float(rng.uniform(1e3, 1e6)), 0.5)
        load.added.append(await _timed(add))

    for k in itertools.count():
        while (wait := begun + k / RATE - time.perf_counter()) > 0.0:
            await asyncio.sleep(wait)
        if ended.is_set():
            break
        task = asyncio.create_task(one(k))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)


async def _ask(engine: PredictiveScalingEngine, ended: asyncio.Event, load: Load) -> None:
    rng = np.random.default_rng(3)
    while not ended.is_set():
        await asyncio.sleep(_PAUSE)
        symbol, capital = SYMBOLS[rng.integers(len(SYMBOLS))], float(rng.uniform(1e3, 1e6))
        begun = time.perf_counter()
        found = await engine.predict_efficiency(symbol, capital)
        load.asked.append(time.perf_counter() - begun)
        load.missed.append(time.time() - found.as_of.timestamp())


async def _beat(ended: asyncio.Event, load: Load) -> None:
    while not ended.is_set():
        load.stood.append(await _timed(asyncio.sleep(_BEAT)) - _BEAT)


async def _timed(work: Coroutine[Any, Any, Any]) -> float:
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


def _resident() -> int:
    return os.sysconf("SC_PAGE_SIZE") * int(Path("/proc/self/statm").read_text().split()[1])
