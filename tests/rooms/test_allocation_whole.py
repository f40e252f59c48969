"""allocate with whole lots and counts: against dynamic programming, all subsets, invariances, bad input."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escala import Allocation, AllocationError, Binding, CurveSet, InfeasibleError, allocate
from tests.naive import allocation as naive
from tests.naive.allocation import Group, Problem
from tests.rooms.test_allocation import concave_problem, curves_of, mixed_problem, rounding, solve
from tests.rooms.test_allocation_costs import costed, lines
from tests.rooms.test_allocation_groups import draw_groups, limits_of

SEEDS = st.integers(0, 2**32)


def in_lots(p: Problem, rng: np.random.Generator) -> tuple[Problem, float]:
    """Draw lots that are multiples of a unit, of which the money has some 10 to 40; whole ones if all is to be spent."""
    parts = float(rng.uniform(10.0, 40.0))
    unit = p.money / (parts if p.spend == "at_most" else round(parts))
    return replace(p, lots=unit * rng.integers(1, 5, len(p)).astype(float)), unit


def draw_counts(rng: np.random.Generator, n: int, *, least: bool = True) -> tuple[int, int]:
    """Draw least and most instruments."""
    most = int(rng.integers(1, n + 1))
    return (int(rng.integers(0, most + 1)) if least and rng.random() < 0.5 else 0), most


def check_whole(p: Problem, result: Allocation, least: int, most: int) -> None:
    """Check that an answer is feasible, counted, valued as the oracle values it, and below its own bound."""
    assert naive.is_feasible(replace(p, spend="at_most"), result.amounts)
    assert math.fsum(result.amounts.tolist()) <= p.money * (1.0 + 1e-12)
    assert least <= int((result.amounts > 0.0).sum()) <= most
    assert math.isclose(float(result.utility), naive.value_of(p, result.amounts), rel_tol=1e-12, abs_tol=rounding(p))
    assert float(result.utility) <= float(result.upper_bound) <= float(result.dual_bound) + rounding(p)


def attempt(p: Problem, **options: Any) -> Allocation | None:
    """Solve; None where nothing is feasible."""
    try:
        return solve(p, **options)
    except InfeasibleError:
        return None


# --- the answer --------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(SEEDS)
def test_lots_and_counts_are_as_good_as_dynamic_programming(seed: int) -> None:
    """All shapes, tickets, thresholds, fixed costs: every amount is whole, so the best is known."""
    rng = np.random.default_rng(seed)
    p = mixed_problem(rng, int(rng.integers(1, 7)))
    p = costed(p, rng) if rng.random() < 0.5 else p
    p, unit = in_lots(p, rng)
    least, most = draw_counts(rng, len(p))
    best = naive.best_of_lots(p, unit, least, most)
    result = attempt(p, max_count=most, min_count=least)
    if result is None:
        assert best == -math.inf
        return
    check_whole(p, result, least, most)
    assert best <= float(result.upper_bound) + rounding(p)
    assert float(result.utility) >= best - float(result.gap) * abs(float(result.upper_bound)) - rounding(p)
    assert float(result.upper_bound) - float(result.utility) <= 1e-8 * p.money or result.nodes >= 1990


@settings(max_examples=40)
@given(SEEDS)
def test_lots_in_groups_are_as_good_as_the_best_combination(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = replace(mixed_problem(rng, 3), spend="at_most")
    p = costed(p, rng) if rng.random() < 0.5 else p
    p, _ = in_lots(p, rng)
    paths, groups = draw_groups(p, rng)
    least, most = draw_counts(rng, len(p))
    best = naive.best_combination(p, [g for _, g in groups], least, most)
    result = attempt(p, max_count=most, min_count=least, **limits_of(paths, groups))
    if result is None:
        assert best == -math.inf
        return
    check_whole(p, result, least, most)
    assert naive.keeps_groups([dict(groups)[name] for name in result.groups], result.amounts, 1e-12 * p.money)
    assert best <= float(result.upper_bound) + rounding(p)
    assert float(result.utility) >= best - float(result.gap) * abs(float(result.upper_bound)) - rounding(p)
    assert float(result.upper_bound) - float(result.utility) <= 1e-8 * p.money or result.nodes >= 1990
