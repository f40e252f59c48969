"""allocate_periods: against linear programmes, all combinations, closed forms and allocate itself; and bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import escala
from escala import AllocationError, Binding, CurveSet, InfeasibleError, PeriodAllocation, allocate, allocate_periods
from escala.curves.families import Family, in_units
from tests.naive import periods as naive
from tests.naive.periods import Budget

SEEDS = st.integers(0, 2**32)


def lines(slopes: Any, names: str = "ABCDEFGH") -> CurveSet:
    """U′ = 1 − 2·s·C."""
    given = np.asarray(slopes, dtype=np.float64)
    return CurveSet.from_params(list(names[: given.size]), "linear", np.stack([-given, np.ones(given.size)], axis=1))


TWO = lines([1e-6, 2e-6])


def concave(rng: np.random.Generator, n: int) -> CurveSet:
    """Draw concave curves of all families."""
    names = [f"S{i}" for i in range(n)]
    family = rng.choice(["linear", "sqrt", "depth", "power", "hill"], n)
    params = np.zeros((n, 4))
    for i, name in enumerate(family):
        level, size = rng.uniform(0.6, 1.0), 10.0 ** rng.uniform(4.5, 6.5)
        params[i] = {
            "linear": (-0.5 / size, level, 0.0, 0.0),
            "sqrt": (-0.6 / math.sqrt(size), level, 0.0, 0.0),
            "depth": (level, size, rng.uniform(0.5, 3.0), 0.0),
            "power": (level, rng.uniform(0.1, 0.9), rng.uniform(0.3, 1.5), size),
            "hill": (level, size, 1.0, 0.0),
        }[str(name)]
    return CurveSet.from_params(names, family.tolist(), params)


def ladders(rng: np.random.Generator, n: int) -> CurveSet:
    knots, slopes = [], []
    for _ in range(n):
        steps = int(rng.integers(1, 6))
        knots.append(np.cumsum(rng.uniform(2e4, 3e5, steps)) - 2e4)
        knots[-1][0] = 0.0
        slopes.append(np.sort(rng.uniform(0.05, 1.0, steps))[::-1])
    return CurveSet.from_ladders([f"S{i}" for i in range(n)], knots, slopes)


def budget(rng: np.random.Generator, curves: list[CurveSet], *, crossing: bool = False, least: bool = True) -> Budget:
    """Draw money, and limits of which some bind; what must be spent is possible."""
    periods, n = len(curves), len(curves[0])
    arrived = rng.uniform(0.0, 6e5, periods) * (rng.random(periods) < 0.7)
    arrived[0] += 2e5
    carry = rng.choice([0.0, 0.5, 0.9, 1.0, 1.0, 1.0, 1.03], periods - 1)
    period_upper = np.where(rng.random(periods) < 0.3, rng.uniform(8e4, 4e5, periods), np.inf)
    period_lower, lower = np.zeros(periods), np.zeros((periods, n))
    if least and rng.random() < 0.3:
        period_lower[0] = 1.5e4 * n * rng.uniform(0.1, 0.9)
    if least and rng.random() < 0.3:
        lower[0, 0] = 1e4
    symbol_upper = np.where(rng.random(n) < 0.5, rng.uniform(5e4, 4e5, n), np.inf) if crossing else np.full(n, np.inf)
    return Budget(
        curves, arrived, carry, rng.choice([0.5, 1.0, 1.0], (periods, n)),
        np.where(rng.random((periods, n)) < 0.2, rng.uniform(2e4, 3e5, (periods, n)), np.inf), lower,
        period_upper, period_lower, symbol_upper, float(rng.choice([0.0, 0.0, 0.2])),
    )  # fmt: skip


def solve(b: Budget, **more: Any) -> PeriodAllocation:
    return allocate_periods(
        b.curves, b.arrived, carry=b.carry, priority=b.weight, upper=b.upper, lower=b.lower, min_ticket=b.ticket,
        period_upper=b.period_upper, period_lower=b.period_lower, symbol_upper=b.symbol_upper, hurdle=b.hurdle, **more,
    )  # fmt: skip


def check(b: Budget, found: PeriodAllocation) -> None:
    """Check that amounts keep to all limits, the value is theirs, and the money is where the result says."""
    small = 1e-9 * b.scale
    assert naive.is_feasible(b, found.amounts, 1e-11 * b.scale)
    assert found.utility == pytest.approx(naive.value_of(b, found.amounts), rel=1e-11, abs=1e-12 * b.scale)
    assert found.utility <= found.upper_bound * (1.0 + 1e-14)
    assert found.carried == pytest.approx(naive.left(b, found.amounts), abs=small)
    assert (found.carried >= 0.0).all()
    assert found.spent + found.carried == pytest.approx(found.available, abs=small)
    assert found.available[1:] == pytest.approx(b.arrived[1:] + b.carry * found.carried[:-1], abs=small)


# --- against oracles -------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(SEEDS)
def test_ladders_are_solved_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    periods, n = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    b = budget(rng, [ladders(rng, n) for _ in range(periods)])
    found = solve(b)
    check(b, found)
    most = b.most()
    knots = []
    for t, curves in enumerate(b.curves):
        own = [curves.ladder(symbol).knots for symbol in curves.symbols]
        knots.append([np.append(k[k < most[t, i]], most[t, i]) for i, k in enumerate(own)])
    best = naive.best_of_pieces(b, knots)
    assert found.utility == pytest.approx(best, rel=1e-9, abs=1e-9 * b.scale)
    assert found.upper_bound >= best - 1e-9 * b.scale


@settings(max_examples=25)
@given(SEEDS)
def test_concave_curves_close_and_no_straight_programme_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    periods, n = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    b = budget(rng, [concave(rng, n) for _ in range(periods)])
    found = solve(b)
    check(b, found)
    assert found.gap <= 1e-9
    best = naive.best_of_pieces(b, naive.even_knots(b, 60))
    assert found.upper_bound >= best - 1e-9 * b.scale
    assert best <= found.utility + 1e-9 * b.scale
    assert best >= found.utility - 2e-2 * b.scale


@settings(max_examples=25)
@given(SEEDS)
def test_symbols_limited_over_all_periods(seed: int) -> None:
    """Smooth curves close; straight ones are mixed from what was found."""
    rng = np.random.default_rng(seed)
    periods, n = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    b = budget(rng, [concave(rng, n) for _ in range(periods)], crossing=True, least=False)
    found = solve(b)
    check(b, found)
    best = naive.best_of_pieces(b, naive.even_knots(b, 60))
    print(found.gap,found.nodes)
    assert found.upper_bound >= best - 1e-9 * b.scale
    assert best <= found.utility + found.gap * abs(found.upper_bound) + 1e-9 * b.scale
    assert best >= found.utility - 2e-2 * b.scale
    assert found.gap <= 1e-8


@settings(max_examples=15)
@given(SEEDS)
def test_ladders_of_limited_symbols(seed: int) -> None:
    rng = np.random.default_rng(seed)
    b = budget(rng, [ladders(rng, 3) for _ in range(3)], crossing=True, least=False)
    found = solve(b)
    check(b, found)
    most = b.most()
    knots = []
    for t, curves in enumerate(b.curves):
        own = [curves.ladder(symbol).knots for symbol in curves.symbols]
        knots.append([np.append(k[k < most[t, i]], most[t, i]) for i, k in enumerate(own)])
    best = naive.best_of_pieces(b, knots)
    print(found.gap,found.nodes)
    assert found.utility <= best * (1.0 + 1e-9) <= found.upper_bound * (1.0 + 2e-9)
    assert found.gap <= 1e-6
