"""Plans of a leveraged position beside a straightforward Numba loop, NumPy and plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.naive import plan as naive

from benchmarks.compare import compare
from benchmarks.peers import numpy_plans, scalar_plans
from escala import CurveSet, plan_leverage, plan_unwind

LIMITS: dict[str, Any] = {"max_ltv": 0.93, "liquidation_threshold": 0.95, "min_health_factor": 1.01}
COSTS: dict[str, Any] = {"swap_fee": 1e-4, "flash_fee": 5e-4}
#: Leverages that take about so many rounds of three operations.
LEVERAGES = {"20 operations": (5.0, 5.8), "20 rounds": (10.6, 11.2)}


def drawn(n: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.uniform(100.0, 1e5, n), rng.uniform(low, high, n)


@pytest.mark.benchmark(group="plan")
@pytest.mark.parametrize("steps", LEVERAGES)
def test_plans(benchmark: Any, steps: str) -> None:
    equity, leverage = drawn(200_000, *LEVERAGES[steps])
    out = np.empty((16, equity.size))

    def peer() -> None:
        scalar_plans(equity, leverage, 0.93, 0.95, 1.01, 100.0, 1e-4, 5e-4, 3.0, out)

    peer()
    plan = plan_leverage(equity, leverage=leverage, threads=1, **LIMITS, **COSTS)
    assert np.allclose(plan.final_supply, out[0], rtol=1e-10)
    assert np.allclose(plan.flash_supply, out[9], rtol=1e-10)
    assert np.array_equal(plan.rounds_made, out[15])
    compare(
        benchmark,
        lambda: plan_leverage(equity, leverage=leverage, threads=1, **LIMITS, **COSTS),
        peer,
        rounds=9,
        what=f"plans of about {steps} and a flash loan, one thread / scalar Numba loop",
        work=float(equity.size),
        unit="plan",
    )


@pytest.mark.benchmark(group="plan")
def test_plans_beside_numpy(benchmark: Any) -> None:
    equity, leverage = drawn(200_000, *LEVERAGES["20 operations"])
    top = min(0.93, 0.95 / 1.01)
    supply, _, made = numpy_plans(equity, leverage, top, 1e-4, 100)
    plan = plan_leverage(equity, leverage=leverage, threads=1, **LIMITS, **COSTS)
    assert np.allclose(plan.final_supply, supply, rtol=1e-10)
    assert np.array_equal(plan.rounds_made, made)
    compare(
        benchmark,
        lambda: plan_leverage(equity, leverage=leverage, threads=1, **LIMITS, **COSTS),
        lambda: numpy_plans(equity, leverage, top, 1e-4, 100),
        rounds=5,
        what="plans of about 20 operations, one thread / NumPy, supply and debt alone",
        work=float(equity.size),
        unit="plan",
    )


@pytest.mark.benchmark(group="plan")
def test_plain_python(benchmark: Any) -> None:
    equity, leverage = drawn(500, *LEVERAGES["20 operations"])
    compare(
        benchmark,
        lambda: plan_leverage(equity, leverage=leverage, threads=1, **LIMITS, **COSTS),
        lambda: [
            naive.naive_leverage(*naive.target("leverage", wanted)[:3], equity=own, **LIMITS, **COSTS)
            for own, wanted in zip(equity.tolist(), leverage.tolist(), strict=True)
        ],
        rounds=3,
        what="500 plans of about 20 operations, one thread / plain Python",
        work=float(equity.size),
        unit="plan",
    )


@pytest.mark.benchmark(group="plan")
def test_unwinding_and_curves(benchmark: Any) -> None:
    """Both ways with a curve, each step by halving, beside a constant share."""
    equity, leverage = drawn(2_000, 1.5, 3.0)
    depth = CurveSet.from_params(["A"], "exponential", [[0.1, 1e-7, 0.89]])
    limits: dict[str, Any] = {"liquidation_threshold": 0.95, "min_health_factor": 1.01, "threads": 1}
    compare(
        benchmark,
        lambda: plan_unwind(equity * leverage, equity * (leverage - 1.0), to_ltv=0.1, depth=depth, **limits),
        lambda: plan_unwind(equity * leverage, equity * (leverage - 1.0), to_ltv=0.1, depth=0.01, **limits),
        rounds=5,
        what="unwinding with a curve / with a constant share",
        work=float(equity.size),
        unit="plan",
    )
