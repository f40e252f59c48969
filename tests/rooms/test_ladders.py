"""Ladders in allocations: against a merge of all steps and the oracle, at ties, with every bound, beside other families."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import Allocation, AllocationStatus, CurveSet, InfeasibleError, allocate
from tests.naive import allocation as naive
from tests.naive.allocation import Problem, make_problem
from tests.places import ROOT
from tests.properties import examples

Floats = npt.NDArray[np.float64]
Steps = tuple[Floats, Floats]
SEEDS = st.integers(0, 2**32)


# --- problems ----------------------------------------------------------------------------------------------------


def drawn_steps(rng: np.random.Generator, count: int) -> Steps:
    """Draw steps whose slopes may be equal, and may begin with 1 and end with 0."""
    knots = np.concatenate([[0.0], np.cumsum(10.0 ** rng.uniform(-2.0, 0.5, count - 1))])
    slopes = np.sort(rng.uniform(0.0, 1.0, count))[::-1].copy()
    if rng.random() < 0.3:
        slopes[0] = 1.0
    if rng.random() < 0.3:
        slopes[-1] = 0.0
    if count > 2 and rng.random() < 0.3:
        slopes[count // 2] = slopes[count // 2 - 1]
    return knots, slopes


def drawn_problem(rng: np.random.Generator, n: int, *, others: bool, lumpy: bool = True) -> Problem:
    """Draw ladders and, where wanted, curves of other families among them, with settings of all kinds."""
    families, params, steps = [], np.zeros((n, 4)), []
    for i in range(n):
        family = str(rng.choice(["ladder", "ladder", "linear", "depth", "power", "hill"])) if others else "ladder"
        families.append(family)
        steps.append(drawn_steps(rng, int(rng.integers(1, 9))) if family == "ladder" else None)
        params[i] = {
            "ladder": (1.0, 1.0, 0.0, 0.0),
            "linear": (-rng.uniform(0.05, 1.0), rng.uniform(0.2, 0.99), 0.0, 0.0),
            "depth": (rng.uniform(0.3, 1.0), 10.0 ** rng.uniform(-1.0, 1.0), 10.0 ** rng.uniform(-0.5, 1.0), 0.0),
            "power": (rng.uniform(0.3, 1.0), rng.uniform(0.01, 0.3), rng.uniform(0.3, 2.0), 1.0),
            "hill": (rng.uniform(0.2, 0.9), rng.uniform(0.3, 2.0), 1.0, 0.0),
        }[family]
    trusted_to = np.where(rng.random(n) < 0.5, rng.uniform(0.3, 6.0, n), math.inf)

    def some(low: float, high: float, other: float) -> Floats:
        return np.where(rng.random(n) < (0.5 if rng.random() < 0.5 else 0.0), rng.uniform(low, high, n), other)

    p = make_problem(
        families, params, float(n * rng.uniform(0.05, 2.0)), trusted_to=trusted_to, steps=tuple(steps),
        min_efficiency=some(0.05, 0.9, 0.0) if lumpy else 0.0,
        min_ticket=some(0.02, 0.6, 0.0) if lumpy else 0.0,
        upper=some(0.1, 2.0, math.inf), max_share=some(0.1, 1.0, 1.0),
        priority=np.where(rng.random() < 0.5, 1.0, 10.0 ** rng.uniform(-0.5, 0.5, n)),
        hurdle=float(rng.choice([0.0, rng.uniform(0.0, 0.4)])), reserve=float(rng.choice([0.0, 0.1])),
    )  # fmt: skip
    if rng.random() < 0.4:
        lower, spare = np.zeros(n), 0.6 * p.money
        for i in np.flatnonzero(p.usable & (rng.random(n) < 0.3)).tolist():
            least = p.low[i] + rng.uniform(0.0, 0.4) * (min(p.high[i], p.low[i] + spare) - p.low[i])
            if 0.0 < least <= spare:
                lower[i] = least
                spare -= least
        p = replace(p, lower=lower)
    exact = replace(p, spend="exactly")
    if rng.random() < 0.25 and any(naive.random_feasible(exact, rng) is not None for _ in range(10)):
        return exact
    return p


def curves_of(p: Problem) -> CurveSet:
    """Make the curves of a problem, one after the other."""
    parts = []
    for i, (family, steps) in enumerate(zip(p.family, p.steps, strict=True)):
        if steps is None:
            parts.append(CurveSet.from_params([f"S{i}"], family, p.params[i : i + 1], trusted_to=p.trusted_to[i]))
        else:
            parts.append(CurveSet.from_ladders([f"S{i}"], [steps[0]], [steps[1]], trusted_to=p.trusted_to[i]))
    return CurveSet.concatenate(parts)


def solve(p: Problem, **options: Any) -> Allocation:
    return allocate(curves_of(p), p.total, **{"remainder": "hold", **p.settings(), **options})


def rounding(p: Problem) -> float:
    return 1e-12 * p.money * float(p.priority.max(initial=1.0))


def ladders(steps: list[Steps], **options: Any) -> CurveSet:
    return CurveSet.from_ladders([f"L{i}" for i in range(len(steps))], *zip(*steps, strict=True), **options)


def merged(steps: list[Steps], total: float, weight: Floats | None = None) -> tuple[float, float]:
    """Take the steps of all ladders from the steepest on: what the total returns, and the slope where it ends."""
    w = np.ones(len(steps)) if weight is None else weight
    pieces = [
        (-w[i] * slope, width)
        for i, (knots, slopes) in enumerate(steps)
        for slope, width in zip(slopes, np.append(np.diff(knots), math.inf), strict=True)
    ]
    earned, left = [], total
    for falling, width in sorted(pieces):
        earned.append(-falling * min(width, left))
        left -= width
        if left < 0.0:
            return math.fsum(earned), -falling
    return math.fsum(earned), 0.0


# --- the optimum -------------------------------------------------------------------------------------------------


@given(SEEDS)
def test_the_best_split_takes_the_steepest_steps_first(seed: int) -> None:
    """What it returns is that of all steps sorted by their slopes, and the price is one of the slopes, to the bit."""
    rng = np.random.default_rng(seed)
    steps = [drawn_steps(rng, int(rng.integers(1, 12))) for _ in range(int(rng.integers(1, 40)))]
    weight = np.where(rng.random() < 0.5, 1.0, 10.0 ** rng.uniform(-1.0, 1.0, len(steps)))
    total = float(10.0 ** rng.uniform(-2.0, 2.5))
    found = allocate(ladders(steps), total, priority=weight)
    best, price = merged(steps, total, weight)
    assert math.isclose(found.utility, best, rel_tol=1e-12)
    assert found.shadow_price == price
    assert found.gap <= 1e-12
    assert found.status == AllocationStatus.OPTIMAL
    assert found.nodes == 1
    assert math.fsum(found.amounts.tolist()) <= total


@examples(30)
@given(SEEDS, st.booleans())
def test_no_feasible_allocation_exceeds_the_bound(seed: int, others: bool) -> None:
    rng = np.random.default_rng(seed)
    p = drawn_problem(rng, int(rng.integers(1, 7)), others=others)
    found = solve(p)
    v, upper = float(found.utility), float(found.upper_bound)
    assert naive.is_feasible(p, found.amounts)
    assert math.isclose(v, naive.value_of(p, found.amounts), rel_tol=1e-12, abs_tol=rounding(p))
    assert v <= upper
    assert found.gap <= 1e-6
    price = float(found.dual_price)
    sampled = naive.dual_bound(p, price)
    assert sampled - rounding(p) <= found.dual_bound <= sampled + 1e-6 * abs(sampled) + rounding(p)
    for _ in range(20):
        point = naive.random_feasible(p, rng)
        assert point is None or naive.value_of(p, point) <= upper + rounding(p)
    best = naive.best_found(p)
    assert best is None or naive.value_of(p, best) <= upper + rounding(p)
    assert best is None or v >= naive.value_of(p, best) - float(found.gap) * abs(upper) - rounding(p)


@examples(40)
@given(SEEDS)
def test_ladders_without_tickets_close_in_one_node(seed: int) -> None:
    p = drawn_problem(np.random.default_rng(seed), 6, others=True, lumpy=False)
    found = solve(p)
    assert found.nodes == 1
    assert found.gap <= 1e-10
    inside = found.binding_names == "none"
    held = found.amounts > 0.0
    priced = found.marginal * p.priority
    assert np.allclose(priced[inside & held], found.shadow_price, rtol=1e-7)
    more = naive.priced_marginal(p, found.amounts * (1.0 + 1e-9))
    assert np.all(more[(found.binding_names == "price") & held] <= found.shadow_price * (1.0 + 1e-7) + 1e-12)


@examples(25)
@given(SEEDS, st.integers(-3, 3))
def test_the_currency_does_not_matter(seed: int, power: int) -> None:
    """By powers of 2 nothing is rounded, so the bits are the same."""
    p = drawn_problem(np.random.default_rng(seed), 5, others=False)
    factor = 4.0**power
    one, other = solve(p), solve(naive.in_other_currency(p, factor))
    assert np.array_equal(one.amounts * factor, other.amounts)
    assert one.utility * factor == other.utility
    assert one.shadow_price == other.shadow_price
    assert np.array_equal(one.binding, other.binding)


@examples(25)
@given(SEEDS)
def test_the_order_of_instruments_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = drawn_problem(rng, 7, others=True)
    order = rng.permutation(7)
    one, other = solve(p), solve(naive.reordered(p, order))
    assert math.isclose(one.utility, other.utility, rel_tol=1e-9, abs_tol=1e-9 * p.money)


# --- ties and edges ----------------------------------------------------------------------------------------------


def test_a_first_step_that_returns_everything_is_taken() -> None:
    """Its slope is 1 exactly: the price at which it is filled is 1, and no chord of no length lies below it."""
    curves = ladders([(np.array([0.0, 100.0]), np.array([1.0, 0.5])), (np.array([0.0, 50.0]), np.array([1.0, 0.4]))])
    found = allocate(curves, 75.0)
    assert found.shadow_price == 1.0
    assert np.allclose(found.amounts, [50.0, 25.0])
    assert found.utility == 75.0
    assert found.gap <= 1e-12
    assert found.binding_names.tolist() == ["none", "none"]


def test_steps_that_tie_are_filled_by_the_same_fraction() -> None:
    steps = (np.array([0.0, 10.0, 40.0]), np.array([0.9, 0.8, 0.1]))
    wide = (np.array([0.0, 10.0, 70.0]), np.array([0.95, 0.8, 0.1]))
    found = allocate(ladders([steps, wide]), 65.0)
    assert found.shadow_price == 0.8
    assert np.allclose(found.amounts, [10.0 + 15.0, 10.0 + 30.0])
    weighted = allocate(ladders([steps, (wide[0], wide[1] * 0.5)]), 65.0, priority=[1.0, 2.0])
    assert np.allclose(weighted.amounts, found.amounts)
    assert weighted.shadow_price == 0.8


def test_at_a_knot_the_price_is_that_of_one_more_unit() -> None:
    """Whatever price the search came by: every one between two slopes balances."""
    steps = [(np.array([0.0, 10.0, 30.0]), np.array([0.9, 0.6, 0.2])), (np.array([0.0, 5.0]), np.array([0.7, 0.3]))]
    found = allocate(ladders(steps), [10.0, 15.0, 35.0, 36.0])
    assert found.shadow_price.tolist() == [0.7, 0.6, 0.3, 0.3]
    assert found.amounts.tolist() == [[10.0, 0.0], [10.0, 5.0], [30.0, 5.0], [30.0, 6.0]]
    ends = ladders([(np.array([0.0, 10.0]), np.array([0.9, 0.0]))])
    assert allocate(ends, 10.0).shadow_price == 0.0
    at_hurdle = allocate(ladders(steps), 10.0, hurdle=0.75)
    assert at_hurdle.shadow_price == 0.75
    assert allocate(ladders(steps), 12.0, hurdle=0.75).unallocated == 2.0


def test_money_that_would_return_nothing_is_left() -> None:
    curves = ladders([(np.array([0.0, 10.0]), np.array([0.9, 0.0])), (np.array([0.0]), np.array([0.0]))])
    found = allocate(curves, 50.0)
    assert found.amounts.tolist() == [10.0, 0.0]
    assert found.shadow_price == 0.0
    assert found.unallocated == 40.0
    placed = allocate(curves, 50.0, spend="exactly")
    assert math.isclose(placed.amounts.sum(), 50.0)
    assert placed.utility == 9.0


def test_reasons_say_which_steps_end_where() -> None:
    steps = [(np.array([0.0, 10.0, 30.0]), np.array([0.9, 0.6, 0.2])), (np.array([0.0, 5.0]), np.array([0.7, 0.3]))]
    curves = ladders([*steps, (np.array([0.0]), np.array([0.1]))])
    found = allocate(curves, 20.0, upper=[math.inf, 4.0, math.inf])
    assert found.amounts.tolist() == [16.0, 4.0, 0.0]
    assert found.binding_names.tolist() == ["none", "upper", "price"]
    at_knots = allocate(curves, 32.5)
    assert at_knots.amounts.tolist() == [27.5, 5.0, 0.0]
    assert at_knots.binding_names.tolist() == ["none", "price", "price"]


def test_slopes_that_crowd_are_not_taken_one_by_one() -> None:
    """A thousand slopes that fall by a half each, and as many within 1e-12 of each other, are found all the same."""
    knots = np.arange(1000.0)
    halves = (knots, 0.5 ** np.arange(1000.0))
    close = (knots, 0.5 + 1e-13 * np.arange(1000.0)[::-1])
    steps = [halves, close]
    curves = ladders(steps)
    totals = np.linspace(0.3, 1990.3, 400)
    found = allocate(curves, totals)
    for total, utility, price in zip(totals.tolist(), found.utility.tolist(), found.shadow_price.tolist(), strict=True):
        best, slope = merged(steps, total)
        assert math.isclose(utility, best, rel_tol=1e-12)
        assert price == slope


def test_tickets_begin_where_they_earn_their_average() -> None:
    """Up to the ticket the chord of its average decides: 0.7 on 20 units, beside a step of 0.72 and one of 0.6."""
    ticket = (np.array([0.0, 10.0]), np.array([0.9, 0.5]))
    other = (np.array([0.0, 15.0, 30.0]), np.array([0.72, 0.6, 0.0]))
    found = allocate(ladders([ticket, other]), [15.0, 20.0, 35.0, 60.0], min_ticket=[20.0, 0.0], tolerance=0.0)
    assert found.amounts.tolist() == [[0.0, 15.0], [20.0, 0.0], [20.0, 15.0], [30.0, 30.0]]
    assert found.gap.max() <= 1e-12
    p = make_problem(["ladder"] * 2, np.ones((2, 4)), 20.0, steps=(ticket, other), min_ticket=[20.0, 0.0])
    best = naive.best_found(p)
    assert best is not None
    assert found.utility[1] >= naive.value_of(p, best) - 1e-12


def test_equal_ladders_with_tickets_close() -> None:
    """Their steps lie in different places, but they are the same instrument twenty times."""
    steps = (np.array([0.0, 0.3, 0.9, 2.0]), np.array([0.9, 0.7, 0.4, 0.1]))
    found = allocate(ladders([steps] * 20), [2.6, 5.6, 6.6], min_ticket=0.4, upper=1.2)
    assert found.gap.max() <= 1e-6
    assert set(found.status_name.tolist()) == {"optimal"}


def test_forced_ladders_hold_their_least() -> None:
    steps = [(np.array([0.0, 10.0]), np.array([0.5, 0.1])), (np.array([0.0, 100.0]), np.array([0.9, 0.2]))]
    found = allocate(ladders(steps), 50.0, lower=[12.0, 0.0])
    assert found.amounts.tolist() == [12.0, 38.0]
    assert found.binding_names.tolist() == ["lower", "none"]
    with pytest.raises(InfeasibleError, match="'L0' must hold at least 12"):
        allocate(ladders(steps, trusted_to=5.0), 50.0, lower=[12.0, 0.0])


def test_thresholds_end_inside_a_step() -> None:
    steps = [(np.array([0.0, 10.0]), np.array([0.9, 0.5]))]
    held = allocate(ladders(steps), 100.0, min_efficiency=0.7, remainder="hold")
    assert math.isclose(held.amounts[0], 20.0)  # 9 + 0.5·10 = 0.7·20
    assert held.binding_names.tolist() == ["threshold"]
    found = allocate(ladders(steps), 100.0, min_efficiency=0.7)
    assert math.isclose(found.amounts[0], 100.0)
    assert found.below_threshold.tolist() == [True]


def test_the_greedy_rule_never_exceeds_the_bound_and_comes_close() -> None:
    rng = np.random.default_rng(3)
    for _ in range(6):
        p = drawn_problem(rng, 5, others=False, lumpy=False)
        if p.spend == "exactly":
            continue
        exact, greedy = solve(p), solve(p, method="greedy", step=p.total / 1000.0)
        assert greedy.utility <= exact.upper_bound + rounding(p)
        assert greedy.utility >= exact.utility - p.total / 200.0
        by_hand = naive.greedy(p, p.total / 1000.0)
        assert math.isclose(naive.value_of(p, by_hand), greedy.utility, rel_tol=1e-6, abs_tol=p.total / 1000.0)


def test_drawn_levels_and_depths_are_scaled() -> None:
    steps = [(np.array([0.0, 10.0, 30.0]), np.array([0.9, 0.6, 0.2])), (np.array([0.0, 5.0]), np.array([0.7, 0.3]))]
    curves = ladders(steps)
    draws = np.repeat(curves.params[None], 3, axis=0)
    draws[1, :, 0], draws[2, :, 1] = 0.5, 2.0
    found = allocate(curves, [12.0, 24.0], params=draws)
    plain = found.amounts[0, 0]
    assert np.array_equal(found.amounts[1, 0], plain)
    assert np.array_equal(found.amounts[2, 1], 2.0 * plain)
    assert found.utility[1, 0] == 0.5 * found.utility[0, 0]
    assert found.utility[2, 1] == 2.0 * found.utility[0, 0]
    assert found.shadow_price[1, 0] == 0.5 * found.shadow_price[0, 0]
    one_by_one = allocate(curves, [12.0, 24.0], params=draws[2:])
    assert np.array_equal(one_by_one.amounts[0], found.amounts[2])


def test_instruments_without_a_curve_hold_nothing() -> None:
    curves = ladders([(np.array([0.0, 10.0]), np.array([0.9, 0.5]))] * 18)
    gone = replace(curves, params=np.where(np.arange(18)[:, None] == 3, np.nan, curves.params))
    found = allocate(gone, 85.0)
    assert found.amounts[3] == 0.0
    assert found.binding_names[3] == "no_curve"
    assert math.isclose(found.amounts.sum(), 85.0)
    assert math.isclose(found.utility, 0.9 * 85.0)
    assert allocate(gone[[3]], 5.0).utility == 0.0


def test_worthless_priorities_hold_nothing() -> None:
    curves = ladders([(np.array([0.0, 10.0]), np.array([0.9, 0.5]))] * 2)
    found = allocate(curves, 5.0, priority=[0.0, 1.0])
    assert found.amounts.tolist() == [0.0, 5.0]


# --- the same bits -----------------------------------------------------------------------------------------------


def many(seed: int, n: int = 40) -> CurveSet:
    rng = np.random.default_rng(seed)
    return ladders([drawn_steps(rng, int(rng.integers(1, 30))) for _ in range(n)])


def test_a_path_has_the_bits_of_its_parts_and_of_any_number_of_threads() -> None:
    curves = many(5)
    totals = np.linspace(0.5, 120.0, 256)
    whole = allocate(curves, totals, threads=1)
    for threads in (2, 5):
        other = allocate(curves, totals, threads=threads)
        assert np.array_equal(whole.amounts, other.amounts)
        assert np.array_equal(whole.shadow_price, other.shadow_price)
    part = allocate(curves, totals[64:128])
    assert np.array_equal(whole.amounts[64:128], part.amounts)
    for k in range(0, 256, 37):  # the price that balances is one of the slopes, from wherever the search began
        alone = allocate(curves, float(totals[k]))
        assert alone.shadow_price == whole.shadow_price[k]
        assert np.allclose(alone.amounts, whole.amounts[k], rtol=1e-12, atol=1e-12)


PLAIN = """
import numpy as np
from dataclasses import replace
from tests.rooms.test_ladders import curves_of, drawn_problem, many
from escala import allocate
for seed in range(12):
    p = drawn_problem(np.random.default_rng(seed), 6, others=seed % 2 == 1)
    for options in ({}, {"method": "greedy"}):
        try:
            found = allocate(curves_of(p), p.total, threads=1, **{**p.settings(), **options})
        except ValueError:
            continue
        print(found.amounts.tobytes().hex(), found.upper_bound.tobytes().hex(), found.shadow_price.tobytes().hex())
path = allocate(many(1), np.linspace(1.0, 90.0, 20), threads=1)
print(path.amounts.tobytes().hex(), path.shadow_price.tobytes().hex(), path.binding.tobytes().hex())
"""


def test_compiled_kernels_give_the_bits_of_plain_python() -> None:
    def printed(**variables: str) -> str:
        command = [sys.executable, "-W", "ignore", "-c", PLAIN]
        return subprocess.run(
            command, cwd=ROOT, env={**os.environ, **variables}, check=True, capture_output=True, text=True
        ).stdout

    compiled = printed()
    assert len(compiled) > 1000
    assert printed(NUMBA_DISABLE_JIT="1") == compiled
