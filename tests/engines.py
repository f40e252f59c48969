"""What the tests of engines share."""

from __future__ import annotations

import datetime

import numpy as np
import numpy.typing as npt

from escala import CurveSet, PredictiveScalingEngine, RegimeChange, ScalingConfig
from tests.stores import same_bits

Floats = npt.NDArray[np.float64]

UTC = datetime.UTC

LONG = 1e6  # a refresh interval that no test lives to see

CAPITAL = np.linspace(10_000.0, 400_000.0, 14)

#: Nothing stands in the way of an allocation.
FREE = ScalingConfig(min_efficiency=0.0, reserve=0.0, max_share=1.0)


def line(top: float, slope: float, capital: Floats = CAPITAL) -> Floats:
    return top - slope * capital


async def add_line(
    engine: PredictiveScalingEngine, symbol: str, top: float, slope: float, capital: Floats = CAPITAL
) -> None:
    batch = {"symbol": [symbol] * len(capital), "capital": capital, "efficiency": line(top, slope, capital)}
    assert await engine.add_efficiency_records(batch) == len(capital)


async def add_noise(engine: PredictiveScalingEngine, symbols: list[str], seed: int = 1) -> None:
    """Twenty records for each symbol, all families."""
    rng = np.random.default_rng(seed)
    capital = rng.uniform(1e3, 1e6, (len(symbols), 20))
    falls = [3e-7 * capital, 0.6 - 0.6 * np.exp(-5e-6 * capital), 5e-4 * np.sqrt(capital)]
    efficiency = np.stack([0.9 - falls[k % 3][k] for k in range(len(symbols))])
    efficiency = np.clip(efficiency + rng.normal(0.0, 0.01, efficiency.shape), 0.0, 1.0)
    names = np.repeat(np.array(symbols, dtype=object), 20)
    batch = {"symbol": names, "capital": capital.ravel(), "efficiency": efficiency.ravel()}
    await engine.add_efficiency_records(batch)


def same(one: CurveSet, other: CurveSet) -> bool:
    return same_bits(one, other)


async def counted(engine: PredictiveScalingEngine) -> tuple[int, int]:
    stats = await engine.stats()
    return stats["trainings"], stats["models_trained"]


async def listen(engine: PredictiveScalingEngine) -> list[RegimeChange]:
    return [event async for event in engine.events()]
