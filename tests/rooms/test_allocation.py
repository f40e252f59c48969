"""allocate: bounds against brute force, optimality, invariances, greedy, two phases, batches, bad input."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import json
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
from scipy import stats

from escala import (
    Allocation,
    AllocationError,
    AllocationStatus,
    Binding,
    CurveSet,
    EscalaError,
    InfeasibleError,
    InputError,
    allocate,
    fit,
    tables,
)
from escala.allocation.problem import Request
from escala.allocation.run import run
from escala.allocation.summary import REASONS
from escala.tables import WARM, names
from tests.naive import allocation as naive
from tests.naive.allocation import Problem, make_problem
from tests.places import ROOT
from tests.properties import examples

Floats = npt.NDArray[np.float64]
FAMILIES = ("linear", "quadratic", "exponential", "sqrt")
SEEDS = st.integers(0, 2**32)

#: What every field of an Allocation with one entry a problem or an instrument is called.
NUMBERS = (
    "amounts",
    "shares",
    "efficiency",
    "marginal",
    "utility",
    "global_efficiency",
    "unallocated",
    "utilisation",
    "entropy",
    "shadow_price",
    "dual_price",
    "dual_bound",
    "upper_bound",
    "gap",
    "binding",
    "below_threshold",
    "status",
    "nodes",
)


# --- problems ----------------------------------------------------------------------------------------------------


def concave_curves(rng: np.random.Generator, n: int, strict: bool) -> tuple[list[str], Floats, Floats]:
    """Draw curves whose utility is concave up to their limits: families, params and limits.

    Strict ones bend everywhere, by an amount that decides every share.
    """
    families = [FAMILIES[k] for k in rng.integers(0, 4, n)]
    params, trusted_to = np.zeros((n, 3)), np.where(rng.random(n) < 0.5, rng.uniform(0.3, 3.0, n), math.inf)
    edge = 0.6 if strict else 1.0
    for i, family in enumerate(families):
        top = rng.uniform(0.2, 0.99 if strict else 1.3)
        if family == "exponential":
            params[i] = rng.uniform(0.2, 1.0), 10.0 ** rng.uniform(-0.5, 1.0), rng.uniform(-0.1, 0.4)
            params[i, 0] = min(params[i, 0], 0.99 - params[i, 2]) if strict else params[i, 0]
            trusted_to[i] = min(trusted_to[i], edge * 2.0 / params[i, 1])
        elif family == "quadratic" and rng.random() < 0.5:
            params[i] = -rng.uniform(0.05, 1.0), -rng.uniform(0.1, 0.5), top
        elif family == "quadratic":
            params[i] = rng.uniform(0.05, 0.5), -rng.uniform(0.3, 1.0), top
            trusted_to[i] = min(trusted_to[i], edge * -params[i, 1] / (3.0 * params[i, 0]))
        else:
            flat = family == "linear" and rng.random() < 0.2 and not strict
            params[i, :2] = 0.0 if flat else -rng.uniform(0.05, 1.0), top
    return families, params, trusted_to


def mixed_curves(rng: np.random.Generator, n: int) -> tuple[list[str], Floats, Floats]:
    """Draw falling, rising and flat curves, above 1 and below 0, with convex stretches: families, params, origins."""
    families = [FAMILIES[k] for k in rng.integers(0, 4, n)]
    params = np.zeros((n, 3))
    for i, family in enumerate(families):
        kind = rng.choice(["falls", "rises", "flat"], p=[0.6, 0.3, 0.1])
        if family == "exponential" and kind == "rises":
            params[i] = -rng.uniform(0.2, 1.0), 10.0 ** rng.uniform(-0.5, 1.3), rng.uniform(0.3, 1.2)
        elif family == "exponential":
            params[i] = rng.uniform(0.2, 1.2), 10.0 ** rng.uniform(-0.5, 1.3), rng.uniform(-0.2, 0.4)
        elif family == "quadratic":
            params[i] = rng.uniform(-1.0, 1.0), rng.uniform(-1.2, 0.8), rng.uniform(-0.2, 1.4)
        elif kind == "flat":
            params[i, :2] = 0.0, rng.uniform(0.1, 1.2)
        elif kind == "rises":
            params[i, :2] = rng.uniform(0.05, 1.0), rng.uniform(-0.3, 0.6)
        else:
            params[i, :2] = -rng.uniform(0.05, 1.0), rng.uniform(0.3, 1.4)
    origin = np.where(rng.random(n) < 0.3, rng.uniform(0.0, 0.4, n), 0.0)
    return families, params, origin


def with_forced(p: Problem, rng: np.random.Generator) -> Problem:
    """Force some instruments in, by amounts that can be paid for."""
    lower, spare = np.zeros(len(p)), 0.7 * p.money
    for i in np.flatnonzero(p.usable & (rng.random(len(p)) < 0.3)):
        least = p.low[i] + rng.uniform(0.0, 0.4) * (p.high[i] - p.low[i])
        if rng.random() < 0.3 and p.low[i] > 0.0:
            least = p.low[i]  # forced by a lower bound below the ticket
        if 0.0 < least <= spare:
            lower[i] = 0.5 * least if least == p.low[i] else least
            spare -= least
    return replace(p, lower=lower)


def restricted(p: Problem, rng: np.random.Generator, *, lumpy: bool) -> Problem:
    """Draw settings; lumpy ones break concavity."""
    n = len(p)

    def some(share: float, low: float, high: float, other: float) -> Floats:
        if rng.random() < 0.5:
            return np.full(n, other)
        return np.where(rng.random(n) < share, rng.uniform(low, high, n), other)

    p = replace(
        p,
        min_efficiency=some(0.8, 0.05, 0.9, 0.0) if lumpy else p.min_efficiency,
        min_ticket=some(0.6, 0.02, 0.4, 0.0) if lumpy else p.min_ticket,
        upper=some(0.4, 0.1, 1.5, math.inf),
        max_share=some(0.5, 0.1, 1.0, 1.0),
        priority=np.where(rng.random() < 0.5, 1.0, 10.0 ** rng.uniform(-0.5, 0.5, n)),
        hurdle=float(rng.choice([0.0, rng.uniform(0.0, 0.4)])),
        reserve=float(rng.choice([0.0, rng.uniform(0.0, 0.3)])),
    )
    p = with_forced(p, rng) if rng.random() < 0.5 else p
    exact = replace(p, spend="exactly")
    if rng.random() < 0.25 and any(naive.random_feasible(exact, rng) is not None for _ in range(20)):
        return exact
    return p


def concave_problem(rng: np.random.Generator, n: int, *, strict: bool = False) -> Problem:
    families, params, trusted_to = concave_curves(rng, n, strict)
    p = make_problem(families, params, float(n * rng.uniform(0.05, 0.8)), trusted_to=trusted_to)
    return restricted(p, rng, lumpy=False)


def mixed_problem(rng: np.random.Generator, n: int) -> Problem:
    families, params, origin = mixed_curves(rng, n)
    trusted_to = np.where(rng.random(n) < 0.7, rng.uniform(0.3, 3.0, n), math.inf)
    p = make_problem(families, params, float(n * rng.uniform(0.1, 1.0)), trusted_to=trusted_to, origin=origin)
    return restricted(p, rng, lumpy=True)


def curves_of(p: Problem) -> CurveSet:
    names = [f"S{i}" for i in range(len(p))]
    return CurveSet.from_params(names, list(p.family), p.params, trusted_to=p.trusted_to, origin=p.origin)


def solve(p: Problem, **options: Any) -> Allocation:
    """Solve in one phase, unless told otherwise."""
    return allocate(curves_of(p), p.total, **{"remainder": "hold", **p.settings(), **options})


def margin(p: Problem, result: Allocation) -> float:
    """How much the certificate leaves open, and the rounding of sums of this size."""
    return float(result.gap) * abs(float(result.upper_bound)) + rounding(p)


def rounding(p: Problem) -> float:
    return 1e-12 * p.money * float(p.priority.max(initial=1.0))


def check_certificate(p: Problem, result: Allocation) -> None:
    """Feasible, priced as the oracle prices it, and below its own bounds."""
    spent = math.fsum(result.amounts.tolist())
    assert spent <= p.money
    assert naive.is_feasible(p, result.amounts)
    v, upper, dual = float(result.utility), float(result.upper_bound), float(result.dual_bound)
    assert math.isclose(v, naive.value_of(p, result.amounts), rel_tol=1e-12, abs_tol=rounding(p))
    assert v <= upper <= dual + rounding(p)
    gap = (upper - v) / abs(upper) if upper - v > rounding(p) else 0.0
    assert math.isclose(float(result.gap), gap, rel_tol=1e-9, abs_tol=rounding(p) / abs(upper or 1.0))
    assert int(result.status) == AllocationStatus.GAP_OPEN or gap <= 1e-2
    price = float(result.dual_price)
    assert p.spend == "exactly" or price >= 0.0
    sampled = naive.dual_bound(p, price)
    assert sampled - rounding(p) <= dual <= sampled + 1e-9 * abs(sampled) + rounding(p)


# --- the oracle --------------------------------------------------------------------------------------------------


@examples(15)
@given(SEEDS)
def test_the_oracle_is_sound(seed: int) -> None:
    """Two instruments by brute force over all pairs; bounds above it; random points feasible; stretches as known."""
    rng = np.random.default_rng(seed)
    p = mixed_problem(rng, 2)
    at_most = replace(p, spend="at_most")
    low, high = np.where(p.usable, p.low, 0.0)[:, None], np.where(p.usable, p.high, 0.0)[:, None]
    amounts = np.column_stack([np.zeros(2), low + (high - low) * np.linspace(0.0, 1.0, 1001)])
    worth = np.where(amounts > 0.0, naive.value(at_most, amounts), 0.0)
    worth[p.forced, 0] = -math.inf
    paid = amounts[0][:, None] + amounts[1] <= p.money
    brute = float((worth[0][:, None] + worth[1])[paid].max())
    found = naive.best_found(at_most)
    assert found is not None
    assert naive.is_feasible(at_most, found)
    assert naive.value_of(at_most, found) >= brute - 1e-4 * p.money
    assert naive.value_of(at_most, found) <= naive.least_dual_bound(at_most) + 1e-9
    points = [point for point in (naive.random_feasible(p, rng) for _ in range(20)) if point is not None]
    assert points
    assert all(naive.is_feasible(p, point) for point in points)
    last = np.minimum(curves_of(p).threshold(p.min_efficiency), p.cap)
    wanted = p.usable & (p.min_efficiency > 0.0)
    assert np.allclose(p.high[wanted], last[wanted], rtol=1e-9)


# --- bounds ------------------------------------------------------------------------------------------------------


@examples(60)
@given(SEEDS)
def test_no_feasible_allocation_exceeds_the_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = mixed_problem(rng, int(rng.integers(1, 7)))
    result = solve(p)
    check_certificate(p, result)
    assert float(result.gap) <= 1e-6
    ceiling = float(result.upper_bound) + rounding(p)
    for _ in range(25):
        point = naive.random_feasible(p, rng)
        assert point is None or naive.value_of(p, point) <= ceiling
    best = naive.best_found(p)
    if best is not None:
        reached = naive.value_of(p, best)
        assert reached <= ceiling
        assert float(result.utility) >= reached - margin(p, result)


@examples(25)
@given(SEEDS)
def test_the_bound_holds_wherever_the_search_stops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = mixed_problem(rng, 6)
    best = naive.best_found(p)
    refusals: list[str] = []
    for most in (1, 4):
        try:
            result = solve(p, max_nodes=most)
        except InfeasibleError as error:  # to place exactly all the money may take more nodes
            refusals.append(str(error))
            continue
        check_certificate(p, result)
        assert int(result.nodes) <= most
        assert best is None or naive.value_of(p, best) <= float(result.upper_bound) + rounding(p)
    assert not refusals or p.spend == "exactly"
    assert all("max_nodes" in text and "nan" not in text for text in refusals), refusals


@examples(20)
@given(SEEDS)
def test_concave_problems_close_completely(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = concave_problem(rng, int(rng.integers(1, 9)))
    result = solve(p)
    check_certificate(p, result)
    assert float(result.gap) <= 1e-10
    assert int(result.status) == AllocationStatus.OPTIMAL
    least = naive.least_dual_bound(p)
    assert abs(least - float(result.utility)) <= 1e-8 * (abs(least) + p.money)


@pytest.mark.parametrize(("n", "count", "most"), [(7, 25, 1e-6), (20, 15, 1e-6), (100, 4, 1e-4), (300, 1, 1e-4)])
def test_mixed_problems_close(n: int, count: int, most: float) -> None:
    rng = np.random.default_rng(n)
    for k in range(count):
        p = mixed_problem(rng, n)
        result = solve(p)
        check_certificate(p, result)
        assert float(result.gap) <= most, k
        assert int(result.status) == AllocationStatus.OPTIMAL, k


@pytest.mark.parametrize("shape", ["linear", "exponential", "s-shaped"])
@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e-3])
@pytest.mark.parametrize(("n", "most"), [(20, 1e-6), (100, 1e-4)])
def test_equal_tickets_close(n: int, most: float, spread: float, shape: str) -> None:
    rng = np.random.default_rng(n)
    one = {"linear": [-0.3, 0.9, 0.0], "exponential": [0.7, 1.5, 0.2], "s-shaped": [0.7, 4.0, 0.3]}[shape]
    params = np.array(one) * (1.0 + spread * rng.uniform(-1.0, 1.0, (n, 3)))
    family = "linear" if shape == "linear" else "exponential"
    for total in (0.13 * n, 0.28 * n, 0.33 * n):
        p = make_problem([family] * n, params, total, min_ticket=0.4, upper=1.2)
        result = solve(p)
        check_certificate(p, result)
        if shape == "s-shaped" and spread > 0.0:  # each can stand in for another: hard, and said so
            assert float(result.gap) <= (most if result.status_name == "optimal" else 0.05), total
        else:
            assert float(result.gap) <= most, total


def test_sums_that_round_up_still_fit() -> None:
    """0.4 + 0.4 + 0.4 is more than 1.2 in floating point, but nobody means that."""
    curves = CurveSet.from_params(list("ABCDE"), "linear", [[-0.3, 0.9]] * 5)
    lots = {"min_ticket": 0.4, "upper": 0.4}
    for options in (lots, {**lots, "spend": "exactly"}, {"lower": [0.4, 0.4, 0.4, 0.0, 0.0]}):
        result = allocate(curves, 1.2, **options)
        assert np.allclose(np.sort(result.amounts), [0.0, 0.0, 0.4, 0.4, 0.4], rtol=1e-12), options
        assert math.fsum(result.amounts.tolist()) <= 1.2
        assert float(result.gap) <= 1e-9


def test_fixed_lots_state_their_gap() -> None:
    """Subset sums, enumerated: the bound holds, the gap is stated, and the status says whether it closed."""
    rng = np.random.default_rng(8)
    n = 12
    seen = set()
    for most in (1, 2000):
        for _ in range(4):
            lots = rng.uniform(1.0, 2.0, n)
            p = make_problem(["linear"] * n, [[0.0, 1.0]] * n, float(0.5 * lots.sum()), min_ticket=lots, upper=lots)
            sums = np.array(list(itertools.product((0.0, 1.0), repeat=n))) @ lots
            best = float(sums[sums <= p.money].max())
            result = solve(p, max_nodes=most)
            check_certificate(p, result)
            assert float(result.utility) <= best + 1e-12
            assert best <= float(result.upper_bound) * (1.0 + 1e-12)
            assert best - float(result.utility) <= margin(p, result)
            closed = float(result.gap) <= 1e-9 * n * n
            assert int(result.status) == (AllocationStatus.OPTIMAL if closed else AllocationStatus.GAP_OPEN)
            seen.add(int(result.status))
    assert AllocationStatus.GAP_OPEN in seen


def test_tolerance_and_nodes_are_respected() -> None:
    rng = np.random.default_rng(9)
    for _ in range(10):
        p = mixed_problem(rng, 12)
        loose, tight = solve(p, tolerance=1e-2), solve(p, tolerance=1e-10)
        assert int(loose.nodes) <= int(tight.nodes)
        assert float(loose.gap) <= 1e-2
        for result in (loose, tight):
            check_certificate(p, result)
        assert abs(float(loose.utility) - float(tight.utility)) <= margin(p, loose) + margin(p, tight)


# --- optimality --------------------------------------------------------------------------------------------------


def exchanges(p: Problem, amounts: Floats) -> list[Floats]:
    """Every move of money between two instruments, or with what is unspent, from 1e-9 of the total to all of it."""
    n = len(p)
    spare = p.money - math.fsum(amounts.tolist())
    moved = []
    for source, target in itertools.permutations(range(n + 1), 2):
        most = spare if source == n else float(amounts[source])
        steps = [p.money * 10.0**-k for k in range(10)]
        openings = [] if target == n else [float(p.low[target]), float(p.high[target] - amounts[target])]
        leavings = [] if source == n else [most - float(p.low[source])]
        for step in [most, *steps, *openings, *leavings]:
            if 0.0 < step <= most:
                point = np.append(amounts, spare)
                point[source] = 0.0 if step == most else point[source] - step
                point[target] += step
                moved.append(point[:n])
    return [point for point in moved if naive.is_feasible(p, point, 1e-13)]


@examples(30)
@given(SEEDS)
def test_no_exchange_between_two_gains_more_than_the_gap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = mixed_problem(rng, int(rng.integers(2, 7)))
    result = solve(p)
    for point in exchanges(p, result.amounts):
        assert naive.value_of(p, point) - float(result.utility) <= margin(p, result)


def near(x: float, y: float) -> bool:
    return math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-12)


def check_reason(p: Problem, i: int, amount: float, reason: Binding) -> None:
    """The reason given is one that holds."""
    first, last = float(p.stretch[0][i]), float(p.stretch[1][i])
    eta = float(naive.raw_efficiency(p, np.full((len(p), 1), amount))[i, 0])
    ticket = float(p.min_ticket[i])
    shut = amount == 0.0 and not p.forced[i]
    holds = {
        Binding.NONE: p.low[i] <= amount <= p.high[i],
        Binding.PRICE: shut or near(eta, 1.0),
        Binding.LOWER: p.lower[i] > 0.0 and near(amount, float(p.lower[i])),
        Binding.UPPER: near(amount, float(p.upper[i])),
        Binding.SHARE: near(amount, float(p.max_share[i]) * p.total),
        Binding.LIMIT: near(amount, float(p.trusted_to[i])),
        Binding.THRESHOLD: near(amount, last) or near(amount, first) or (shut and (first > 0.0 or not p.usable[i])),
        Binding.TICKET: ticket > 0.0 and (near(amount, ticket) or shut),
        Binding.NO_CURVE: False,
    }
    assert holds[reason], (i, amount, reason)


def check_conditions(p: Problem, result: Allocation, accuracy: float) -> None:
    """Interior instruments share the price; at a bound the next unit is worth more (above) or less (below) than it."""
    price, slope = float(result.shadow_price), naive.priced_marginal(p, result.amounts)
    eta = naive.raw_efficiency(p, result.amounts[:, None])[:, 0]
    reasons = [Binding(int(code)) for code in result.binding]
    assert result.binding_names.tolist() == [reason.name.lower() for reason in reasons]
    left = float(result.unallocated) > 1e-9 * p.money
    priced = Binding.NONE in reasons or left
    for i, reason in enumerate(reasons):
        amount, low, high = float(result.amounts[i]), float(p.low[i]), float(p.high[i])
        check_reason(p, i, amount, reason)
        kink = near(float(eta[i]), 1.0)
        inside = low * (1.0 + 1e-9) < amount < high * (1.0 - 1e-9)
        if reason == Binding.NONE:
            assert abs(slope[i] - price) <= 1e-9 * max(1.0, abs(price)), i
        elif inside:
            assert kink, (i, reason)
        if kink or not priced or not p.usable[i] or near(low, high):
            continue
        if near(amount, high):
            assert slope[i] >= price - accuracy, (i, reason)
        elif near(amount, low):
            assert slope[i] <= price + accuracy, (i, reason)
    if left and p.spend == "at_most" and Binding.NONE in reasons:
        assert abs(price - p.hurdle) <= 1e-9 * max(1.0, price)
    if p.spend == "exactly" or (Binding.NONE in reasons and price > p.hurdle + 1e-8):
        assert math.fsum(result.amounts.tolist()) >= p.money * (1.0 - 1e-12)


@examples(50)
@given(SEEDS)
def test_conditions_of_concave_problems(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = concave_problem(rng, int(rng.integers(1, 15)))
    check_conditions(p, solve(p), 1e-9)


@examples(50)
@given(SEEDS)
def test_conditions_of_mixed_problems(seed: int) -> None:
    """A search that ends within its tolerance may leave an instrument at a bound that another choice would lift."""
    rng = np.random.default_rng(seed)
    p = mixed_problem(rng, int(rng.integers(1, 15)))
    check_conditions(p, solve(p), 1e-6)


CORNERS: dict[str, tuple[list[str], list[list[float]], float, dict[str, Any]]] = {
    "all the money in one convex tail": (["exponential"], [[0.87, 1.93, 0.38]], 10.224, {}),
    "limits where a curve turns convex": (
        ["exponential"] * 3,
        [
            [0.41770496058044443, 0.35955696902230944, 0.043884804909348124],
            [0.41814162918039194, 4.04760701423437, 0.14785170449638366],
            [0.5761923433323034, 3.9934455882458377, 0.34347040129265716],
        ],
        1.0142706751768888,
        {
            "trusted_to": [math.inf, 0.49411911605215764, 0.5008206461825164],
            "upper": [0.23, math.inf, math.inf],
            "spend": "exactly",
        },
    ),
    "all the money up to such limits": (
        ["linear", "exponential"],
        [[-0.44656281340356946, 0.5031123511130089, 0.0], [0.4736959100440675, 7.170069386322634, 0.3229657609526233]],
        1.1574948556433573,
        {"trusted_to": [1.27587454, 2.0 / 7.170069386322634], "spend": "exactly"},
    ),
    "a kink on the way up": (
        ["sqrt", "linear"],
        [[0.92, 0.47, 0.0], [0.98, 0.41, 0.0]],
        3.82,
        {"priority": [2.49, 2.21], "reserve": 0.25160648550273357, "trusted_to": [2.41, math.inf]},
    ),
    "an interior point of a convex tail": (
        ["linear", "quadratic", "quadratic", "sqrt", "exponential", "exponential", "exponential"],
        [
            [0.91, 0.5, 0.0],
            [0.57, -1.19, 1.27],
            [-0.25, -0.1, 0.77],
            [0.86, -0.19, 0.0],
            [0.93, 0.53, -0.19],
            [0.59, 5.82, 0.22],
            [0.95, 1.3, 0.01],
        ],
        8.94,
        {"upper": [1.21, 9.0, 9.0, 1.49, 9.0, 9.0, 9.0], "trusted_to": [9.0, 0.95, 9.0, 9.0, 9.0, 9.0, 9.0]},
    ),
    "all the money above a high threshold": (
        ["sqrt", "quadratic"],
        [[0.0, 0.5139576580486955, 0.0], [0.6919294153766355, 0.1653639371178084, 0.30086129741864215]],
        3.28,
        {"min_efficiency": [0.0, 1.0]},
    ),
    "capital that returns what the hurdle does": (
        ["exponential", "linear"],
        [[1.05, 4.8, 0.32], [-1.0, 0.5, 0.0]],
        1.9,
        {"hurdle": 1.0, "lower": [0.07, 0.0]},
    ),
}


def test_decays_whose_turn_lies_beyond_the_money() -> None:
    rng = np.random.default_rng(0)
    for _ in range(120):
        n = int(rng.integers(1, 5))
        params = np.column_stack([rng.uniform(0.05, 0.4, n), 10 ** rng.uniform(-0.5, 0.5, n), rng.uniform(0.5, 0.8, n)])
        p = make_problem(["exponential"] * n, params, float(rng.uniform(0.5, 3.0)))
        result = solve(p)
        check_certificate(p, result)
        assert float(result.gap) <= 1e-6
        assert float(result.unallocated) == 0.0


def test_sums_of_upper_bounds_are_met() -> None:
    """Their decimal sums are an ulp off as often as not."""
    rng = np.random.default_rng(1)
    for _ in range(300):
        n = int(rng.integers(2, 6))
        upper = rng.uniform(0.1, 3.0, n).round(2)
        params = np.column_stack([-rng.uniform(0.05, 0.2, n), rng.uniform(1.0, 1.3, n), np.zeros(n)])
        p = make_problem(["linear"] * n, params, round(float(upper.sum()), 2), upper=upper, spend="exactly")
        assert np.allclose(solve(p).amounts, upper, rtol=1e-12)


def test_forced_rising_curves_are_bounded_from_their_tangent() -> None:
    """The line from a forced amount in the convex part to the arc far beyond it."""
    curves = CurveSet.from_params(["R", "S"], ["exponential", "linear"], [[-0.3, 10.0, 0.3], [-0.1475e-2, 0.6, 0.0]])
    result = allocate(curves, 100.0, lower=[0.02, 0.0])
    tighter = [
        allocate(curves, 100.0, lower=[0.02, 0.0], upper=[upper, 1e9]) for upper in (0.3, 0.4, 0.5, 0.6, 1.0, 4.0)
    ]
    assert max(float(one.utility) for one in tighter) <= float(result.upper_bound)
    assert float(result.gap) <= 1e-12
    ended = CurveSet.from_params(
        ["R"],
        "exponential",
        [[-0.6929804536878739, 5.526399090345087, 0.6571399563184952]],
        trusted_to=0.41969454016308555,
    )
    only = allocate(ended, 4.2, lower=0.037310493704241984, hurdle=0.6556902481785515)
    assert float(only.utility) == pytest.approx(-0.020983871317936, rel=1e-12)
    far = CurveSet.from_params(
        ["A", "B"],
        ["exponential", "linear"],
        [[-0.5, 1.0, 0.7], [-0.02, 0.9, 0.0]],
        origin=[7000, 0],
        trusted_to=[7040, 100],
    )
    narrow = allocate(far, 7030.0, lower=[6999.7, 0.0])
    assert np.allclose(narrow.amounts, [7025.0, 5.0], rtol=1e-6)
    assert float(narrow.gap) <= 1e-12


def test_everything_is_spent_though_the_tail_is_flat() -> None:
    tail = CurveSet.from_params(
        ["A"], "exponential", [[0.18615554938253157, 36.904485781642975, 0.25555537948621865]], trusted_to=4.5777
    )
    result = allocate(tail, 2.5, lower=0.06, hurdle=0.5, spend="exactly")
    assert result.amounts.tolist() == [2.5]
    assert float(result.utility) <= float(result.upper_bound) <= float(result.dual_bound)
    steep = allocate(CurveSet.from_params(["A"], "exponential", [[0.5, 1e160, 0.2]]), 1.0)
    assert steep.amounts.tolist() == [1.0]
    assert float(steep.utility) == pytest.approx(0.2)


def test_greedy_says_what_it_did_not_close() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1.0, 1.0], [-2.0, 1.0]])
    coarse = allocate(curves, 0.3, method="greedy", step=0.3)
    assert coarse.status_name == "gap_open"
    assert 0.0 < float(coarse.gap) < 1.0
    assert "not closed" in coarse.summary()
    assert "the money ended" in coarse.summary()
    with pytest.raises(AllocationError, match=r"step must make at most 100,000,000 increments, but step = 1e-12"):
        allocate(curves, 0.3, method="greedy", step=1e-12)


def test_results_belong_to_their_amounts() -> None:
    found = allocate(CurveSet.from_params(["A"], "linear", [[-1.0, 1.0]]), 0.3)
    with pytest.raises(ValueError, match="read-only"):
        found.amounts[0] = 5.0
    for rows in (-1, 1.5, True):
        with pytest.raises(AllocationError, match=f"rows must be an integer in .*, not {rows}"):
            found.summary(rows=rows)  # type: ignore[arg-type]
    assert "instruments" in found.summary(rows=0)


def test_summaries_say_what_stays_out() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1.0, 1.0], [-2.0, 1.0]])
    text = allocate(curves, 3.0, reserve=0.5, hurdle=0.5, priority=[1.0, 2.0]).summary()
    for part in ("1.5 in reserve", "unallocated: more would return no more than the hurdle", "net of the hurdle", "w·"):
        assert part in text
    text = allocate(curves, 3.0, min_efficiency=0.8, hurdle=0.1).summary()
    assert "min_efficiency left 2.7 over; a second solve placed" in text
    assert "takes 2 instruments below it (*)" in text
    below = "of it below min_efficiency (remainder is distribute; hold leaves that money out)"
    assert text.splitlines()[0].endswith(f"allocated over 2 of 2 instruments, 0.675 {below}")
    held = allocate(curves, 3.0, min_efficiency=0.8, hurdle=0.1, remainder="hold").summary()
    assert "below min_efficiency" not in held
    many = allocate(curves, [0.1, 3.0, 4.0], min_efficiency=0.8, hurdle=0.1).summary()
    assert many.splitlines()[0].endswith(", in 2 of them capital below min_efficiency (remainder is distribute)")
    assert "bounds leave no room" in allocate(curves, 3.0, upper=0.1).summary()
    nothing = allocate(curves, 0.0)
    assert float(nothing.shadow_price) == 1.0
    assert repr(allocate(curves, [])) == "<Allocation of 0 problems over 2 instruments>"
    drawn = allocate(curves, [1.0, 2.0], params=[curves.params] * 2).summary()
    assert "draw" in drawn
    assert "1,0" in drawn


def test_no_instruments() -> None:
    none = allocate(CurveSet.from_params([], "linear", np.zeros((0, 2))), 10.0)
    assert none.amounts.shape == none.efficiency.shape == none.shares.shape == (0,)
    assert float(none.unallocated) == 10.0
    assert "0 of 10 allocated" in none.summary()


@pytest.mark.parametrize("corner", CORNERS)
def test_corners(corner: str) -> None:
    """What random problems meet once in a hundred times."""
    family, params, total, options = CORNERS[corner]
    p = make_problem(family, params, total, **options)
    result = solve(p)
    check_certificate(p, result)
    check_conditions(p, result, 1e-9)
    assert float(result.gap) <= 1e-6


@examples(30)
@given(SEEDS)
def test_the_budget_is_met_and_never_exceeded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = concave_problem(rng, int(rng.integers(2, 40)))
    p = replace(p, total=p.total * 10.0 ** rng.uniform(-3, 0), lower=np.zeros(len(p)), hurdle=0.0, spend="at_most")
    result = solve(p)
    spent = math.fsum(result.amounts.tolist())
    assert spent <= p.money
    if spent < p.money * (1.0 - 1e-12):  # nobody wants the rest
        slope = naive.priced_marginal(p, result.amounts)
        assert np.all((slope <= 1e-9) | (result.amounts >= p.high * (1.0 - 1e-9)))


@pytest.mark.nojit
def test_known_answers() -> None:
    lines = allocate(CurveSet.from_params(["A", "B"], "linear", [[-1.0, 1.0], [-3.0, 1.0]]), 0.5)
    assert np.allclose(lines.amounts, [0.375, 0.125], rtol=1e-12)
    assert math.isclose(float(lines.shadow_price), 0.25, rel_tol=1e-9)
    assert math.isclose(float(lines.utility), 0.375 - 0.375**2 + 0.125 - 3 * 0.125**2, rel_tol=1e-12)
    roots = allocate(CurveSet.from_params(["A", "B"], "sqrt", [[-0.1, 1.0], [-0.2, 1.0]]), 5.0)
    assert np.allclose(roots.amounts, [4.0, 1.0], rtol=1e-9)
    alone = CurveSet.from_params(
        ["line", "parabola", "decay", "root"],
        ["linear", "quadratic", "exponential", "sqrt"],
        [[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0], [1.0, 2.0, 0.0], [-1.0, 1.0, 0.0]],
    )
    rich = allocate(alone, 10.0)
    assert np.allclose(rich.amounts, [1 / 2, 1 / math.sqrt(3), 1 / 2, 4 / 9], rtol=1e-9)
    assert float(rich.shadow_price) == pytest.approx(0.0, abs=1e-9)
    assert float(rich.unallocated) == pytest.approx(10.0 - float(rich.amounts.sum()), rel=1e-12)
    assert rich.binding_names.tolist() == ["none"] * 4
    # a line that is above 1 up to 1/2 gives way to another only there
    kinked = allocate(CurveSet.from_params(["A", "B"], "linear", [[-1.0, 1.5], [-1.0, 0.8]]), 0.6)
    assert np.allclose(kinked.amounts, [0.5, 0.1], rtol=1e-9)
    assert kinked.binding_names.tolist() == ["price", "none"]
    hurdle = allocate(alone, 10.0, hurdle=0.5, priority=[1.0, 1.0, 1.0, 2.0])
    assert np.allclose(hurdle.amounts[[0, 1, 3]], [0.25, 1 / math.sqrt(6), 0.25], rtol=1e-9)
    assert float(hurdle.shadow_price) == pytest.approx(0.5, abs=1e-9)


@pytest.mark.nojit
def test_ties_fill_the_same_fraction_of_their_stretches() -> None:
    flat = CurveSet.from_params(["A", "B", "C"], "linear", [[0.0, 0.5]] * 3)
    thirds = allocate(flat, 0.6, upper=[0.2, 0.4, 0.6])
    assert np.allclose(thirds.amounts, [0.1, 0.2, 0.3], rtol=1e-9)
    assert float(thirds.gap) <= 1e-10
    # above 1 utility is capital itself, up to 1/2 and 1
    above = allocate(CurveSet.from_params(["A", "B"], "linear", [[-1.0, 1.5], [-1.0, 2.0]]), 0.75)
    assert np.allclose(above.amounts, [0.25, 0.5], rtol=1e-9)
    same = allocate(CurveSet.from_params(list("ABCD"), "exponential", [[0.6, 1.0, 0.3]] * 4), 2.0)
    assert np.allclose(same.amounts, 0.5, rtol=1e-9)


def test_rising_curves_take_all_or_nothing() -> None:
    """Efficiency that rises with capital makes utility convex: one of two equals gets what both want."""
    rises = CurveSet.from_params(["A", "B"], "exponential", [[-0.8, 1.0, 0.9]] * 2)
    result = allocate(rises, 1.0)
    assert sorted(result.amounts.tolist()) == pytest.approx([0.0, 1.0])
    assert float(result.gap) <= 1e-8
    assert float(result.utility) == pytest.approx(0.9 - 0.8 * math.exp(-1.0), rel=1e-12)


# --- what does not matter ----------------------------------------------------------------------------------------


def unique_problem(rng: np.random.Generator) -> Problem:
    """A problem whose optimum no other point comes near: strictly concave, or mixed with unequal priorities."""
    if rng.random() < 0.6:
        return concave_problem(rng, int(rng.integers(2, 12)), strict=True)
    p = mixed_problem(rng, int(rng.integers(2, 6)))
    return replace(p, priority=10.0 ** rng.uniform(-0.5, 0.5, len(p)))


@examples(30)
@given(SEEDS)
def test_currency_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = unique_problem(rng)
    shares = solve(p, tolerance=1e-11).shares
    for factor in (1e-9, 3.7e-4, 1e9):
        other = solve(naive.in_other_currency(p, factor), tolerance=1e-11)
        assert np.abs(other.shares - shares).max() <= 1e-9, factor


@examples(30)
@given(SEEDS)
def test_the_scale_of_priorities_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = replace(unique_problem(rng), hurdle=0.0)
    shares = solve(p, tolerance=1e-11).shares
    for factor in (1e-6, 17.0):
        other = solve(replace(p, priority=factor * p.priority), tolerance=1e-11)
        assert np.abs(other.shares - shares).max() <= 1e-9, factor


@examples(30)
@given(SEEDS)
def test_order_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = unique_problem(rng)
    order = rng.permutation(len(p))
    result, other = solve(p, tolerance=1e-11), solve(naive.reordered(p, order), tolerance=1e-11)
    assert np.abs(other.shares - result.shares[order]).max() <= 1e-9
    assert math.isclose(float(other.utility), float(result.utility), rel_tol=1e-10, abs_tol=rounding(p))


@examples(25)
@given(SEEDS)
def test_more_total_never_lowers_utility(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = replace(mixed_problem(rng, int(rng.integers(1, 9))), spend="at_most")
    totals = p.total * np.sort(rng.uniform(1.0, 4.0, 9))
    path = allocate(curves_of(p), totals, **{"remainder": "hold", **p.settings()})
    v, left = path.utility, path.gap * np.abs(path.upper_bound)
    assert np.all(v[1:] >= v[:-1] - left[1:] - rounding(p))
    assert np.all(path.upper_bound[1:] >= v[:-1] - rounding(p))


# --- greedy ------------------------------------------------------------------------------------------------------


@examples(30)
@given(SEEDS)
def test_greedy_never_beats_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = replace(mixed_problem(rng, int(rng.integers(1, 9))), spend="at_most")
    exact = solve(p)
    for divisor in (20.0, 1000.0):
        simple = solve(p, method="greedy", step=p.total / divisor)
        assert math.fsum(simple.amounts.tolist()) <= p.money
        assert naive.is_feasible(p, simple.amounts)
        assert float(simple.utility) <= float(exact.upper_bound) + rounding(p)
        assert float(simple.utility) <= float(exact.utility) + margin(p, exact)
        assert float(simple.utility) <= float(simple.upper_bound)
        assert math.isclose(float(simple.utility), naive.value_of(p, simple.amounts), rel_tol=1e-12, abs_tol=1e-15)


@examples(12)
@given(SEEDS)
def test_greedy_tends_to_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = replace(concave_problem(rng, int(rng.integers(2, 7)), strict=True), spend="at_most")
    best = float(solve(p).utility)
    short = [best - float(solve(p, method="greedy", step=p.total / k).utility) for k in (10.0, 100.0, 10_000.0)]
    scale = p.money * float(p.priority.max())
    # a coarse step may end on the optimum by luck, so steps are not compared with each other
    assert min(short) >= -1e-10 * scale
    assert short[1] <= 0.02 * scale
    assert short[2] <= 2e-4 * scale
    default = best - float(solve(p, method="greedy").utility)
    assert math.isclose(default, best - float(solve(p, method="greedy", step=p.total / 1000.0).utility), abs_tol=1e-15)


@examples(12)
@given(SEEDS)
def test_greedy_is_the_readable_rule(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = replace(concave_problem(rng, int(rng.integers(1, 7)), strict=True), spend="at_most")
    step = p.total / 137.3
    assert np.allclose(solve(p, method="greedy", step=step).amounts, naive.greedy(p, step), rtol=1e-9, atol=1e-12)


@pytest.mark.nojit
def test_greedy_in_few_steps() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1.0, 1.0], [-1.0, 0.75]])
    result = allocate(curves, 0.5, method="greedy", step=0.25)
    assert result.amounts.tolist() == [0.25, 0.25]  # after its first step A's U′ is 1/2, less than 3/4 of B
    first = allocate(curves, 0.375, method="greedy", step=0.25)
    assert first.amounts.tolist() == [0.25, 0.125]  # the last step is what is left


# --- two phases --------------------------------------------------------------------------------------------------


@pytest.mark.nojit
def test_what_the_threshold_leaves_is_distributed() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1.0, 1.0], [-1.0, 1.0]])
    result = allocate(curves, 0.75, min_efficiency=0.75)
    assert np.allclose(result.amounts, 0.375, rtol=1e-9)
    assert result.below_threshold.tolist() == [True, True]
    assert result.first is not None
    assert np.allclose(result.first.amounts, 0.25, rtol=1e-9)
    assert result.first.binding_names.tolist() == ["threshold"] * 2
    assert not result.first.below_threshold.any()
    held = allocate(curves, 0.75, min_efficiency=0.75, remainder="hold")
    assert held.first is None
    assert np.allclose(held.amounts, 0.25, rtol=1e-9)
    assert float(held.unallocated) == pytest.approx(0.25)
    assert not held.below_threshold.any()
    enough = allocate(curves, 0.375, min_efficiency=0.75)
    assert np.allclose(enough.amounts, 0.1875, rtol=1e-9)
    assert not enough.below_threshold.any()


@examples(30)
@given(SEEDS)
def test_the_second_phase_adds_to_the_first(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = replace(mixed_problem(rng, int(rng.integers(1, 6))), spend="at_most")
    p = replace(p, min_efficiency=np.maximum(p.min_efficiency, 0.5), lower=np.zeros(len(p)))
    result, held = solve(p, remainder="distribute"), solve(p)
    check_certificate(p, held)
    if result.first is None:
        assert np.array_equal(result.amounts, held.amounts)
        return
    check_certificate(p, result.first)
    first = result.first.amounts
    second = replace(p, min_efficiency=np.zeros(len(p)), lower=first)
    assert math.fsum(result.amounts.tolist()) <= p.money
    if not naive.is_feasible(second, result.amounts, 1e-9):  # after a greedy first phase, which must then be better
        assert naive.is_feasible(replace(second, lower=np.zeros(len(p))), result.amounts, 1e-9)
        assert float(result.utility) > float(solve(second).utility)
    assert float(result.gap) >= float(result.first.gap)
    assert float(result.utility) >= float(result.first.utility) - rounding(p)
    assert float(result.utility) >= float(held.utility) - margin(p, held)
    eta = naive.raw_efficiency(p, result.amounts[:, None])[:, 0]
    clearly = np.abs(eta - p.min_efficiency) > 1e-9
    below = (result.amounts > 0.0) & (eta < p.min_efficiency)
    assert np.array_equal(result.below_threshold[clearly], below[clearly])
    best = naive.best_found(second)
    if best is not None:
        assert naive.value_of(second, best) <= float(result.utility) + margin(p, result) + 1e-9 * p.money


# --- what the result says ----------------------------------------------------------------------------------------


@examples(20)
@given(SEEDS)
def test_figures_follow_from_the_amounts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = mixed_problem(rng, int(rng.integers(1, 9)))
    curves = curves_of(p)
    result = solve(p)
    amounts = result.amounts
    assert np.array_equal(result.efficiency, curves.efficiency(amounts))
    assert np.allclose(result.marginal, curves.marginal(amounts), rtol=1e-12)
    spent = math.fsum(amounts.tolist())
    assert math.isclose(float(result.unallocated), p.money - spent, rel_tol=1e-9, abs_tol=1e-12 * p.money)
    assert float(result.unallocated) >= 0.0
    assert math.isclose(float(result.utilisation), spent / p.money, rel_tol=1e-12)
    assert result.symbols.tolist() == curves.symbols.tolist()
    assert result.to_dict() == dict(zip(curves.symbols.tolist(), amounts.tolist(), strict=True))
    assert all(str(symbol) in result.summary() for symbol in curves.symbols[amounts > 0.0])
    if spent > 0.0:
        assert np.allclose(result.shares, amounts / spent, rtol=1e-12)
        assert math.isclose(float(result.shares.sum()), 1.0, rel_tol=1e-12)
        assert math.isclose(float(result.entropy), stats.entropy(amounts), rel_tol=1e-9, abs_tol=1e-12)
        mean = float(amounts @ result.efficiency) / spent
        assert math.isclose(float(result.global_efficiency), mean, rel_tol=1e-12)


@pytest.mark.nojit
def test_nothing_is_worth_it() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1.0, 1.0], [-1.0, 0.5]])
    result = allocate(curves, 1.0, hurdle=1.5)
    assert result.amounts.tolist() == [0.0, 0.0]
    assert result.shares.tolist() == [0.0, 0.0]
    assert (float(result.utility), float(result.upper_bound), float(result.gap)) == (0.0, 0.0, 0.0)
    assert math.isnan(float(result.global_efficiency))
    assert (float(result.unallocated), float(result.utilisation), float(result.entropy)) == (1.0, 0.0, 0.0)
    assert result.binding_names.tolist() == ["price", "price"]


def test_every_reason_has_a_name() -> None:
    curves = CurveSet.from_params(
        ["none", "price", "lower", "upper", "share", "limit", "threshold", "ticket"],
        "linear",
        [[-1.0, 0.95], [-0.1, 0.2], [-2.0, 0.6], [-0.1, 0.9], [-0.1, 0.9], [-0.1, 0.9], [-0.1, 0.9], [-1.0, 0.8]],
        trusted_to=[9.0, 9.0, 9.0, 9.0, 9.0, 0.125, 9.0, 9.0],
    )
    result = allocate(
        curves,
        1.2,
        lower=[0, 0, 0.0625, 0, 0, 0, 0, 0],
        upper=[9, 9, 9, 0.25, 9, 9, 9, 9],
        max_share=[1, 1, 1, 1, 0.125, 1, 1, 1],
        min_efficiency=[0, 0, 0, 0, 0, 0, 0.88, 0],
        min_ticket=[0, 0, 0, 0, 0, 0, 0, 0.1875],
        remainder="hold",
    )
    assert result.binding_names.tolist() == curves.symbols.tolist()
    names = [reason.name for reason in Binding]
    assert names == [
        "NONE",
        "PRICE",
        "LOWER",
        "UPPER",
        "SHARE",
        "LIMIT",
        "THRESHOLD",
        "TICKET",
        "NO_CURVE",
        "HELD",
        "GROUP",
        "COUNT",
        "LOT",
    ]
    assert [reason.value for reason in Binding] == list(range(13))


def test_instruments_without_a_curve_get_nothing() -> None:
    curves = fit(["A", "B"], [[1.0, 2.0, 3.0], [1.0]], [[0.9, 0.8, 0.75], [0.5]])
    result = allocate(curves, 2.0, min_efficiency=0.1)
    assert result.amounts[1] == 0.0
    assert result.amounts[0] > 0.0
    assert result.binding_names[1] == "no_curve"
    assert math.isfinite(float(result.utility))
    assert float(result.gap) <= 1e-9
    with pytest.raises(InfeasibleError, match=r"lower\[1\].*curve"):
        allocate(curves, 2.0, lower=[0.0, 0.5])


# --- batches -----------------------------------------------------------------------------------------------------


def batch() -> tuple[Problem, Floats, Floats]:
    """A problem with every kind of restriction, totals, and drawn parameters."""
    rng = np.random.default_rng(12)
    families, params, origin = mixed_curves(rng, 9)
    families[0], params[0] = "linear", (0.0, 0.9, 0.0)
    p = make_problem(
        families,
        params,
        3.0,
        origin=origin,
        trusted_to=rng.uniform(0.5, 3.0, 9),
        min_efficiency=0.3,
        min_ticket=np.where(rng.random(9) < 0.5, 0.2, 0.0),
        lower=np.array([0.05] + [0.0] * 8),
        priority=rng.uniform(0.5, 2.0, 9),
        max_share=0.6,
        hurdle=0.01,
        reserve=0.1,
    )
    draws = params * (1.0 + 0.05 * rng.standard_normal((4, 9, 3)))
    return p, np.array([[0.3, 0.9, 2.0], [3.5, 5.0, 8.0]]), draws


def equal_to_the_bit(one: Allocation, other: Allocation, place: tuple[Any, ...]) -> bool:
    pairs = [(getattr(one, name), np.asarray(getattr(other, name))[place]) for name in NUMBERS]
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
    phases = (one.first, other.first)
    return same and (phases[0] is None or phases[1] is None or equal_to_the_bit(phases[0], phases[1], place))


@pytest.mark.parametrize("remainder", ["distribute", "hold"])
def test_batches_are_the_same_bits_for_any_number_of_threads(remainder: str) -> None:
    p, totals, draws = batch()
    options = {**p.settings(), "remainder": remainder}
    path = np.tile(totals.ravel(), 60)  # several parts
    one, two, five = (allocate(curves_of(p), path, params=draws, threads=k, **options) for k in (1, 2, 5))
    assert equal_to_the_bit(one, two, ())
    assert equal_to_the_bit(one, five, ())


@pytest.mark.parametrize("remainder", ["distribute", "hold"])
def test_batches_equal_single_solves(remainder: str) -> None:
    """Up to where a search stops: a path begins each search at the price of the one before."""
    p, totals, draws = batch()
    options = {**p.settings(), "remainder": remainder, "tolerance": 1e-12}
    many = allocate(curves_of(p), totals, params=draws, **options)
    assert many.amounts.shape == (4, 2, 3, 9)
    assert many.binding.shape == many.below_threshold.shape == many.shares.shape == (4, 2, 3, 9)
    assert many.utility.shape == many.gap.shape == many.status.shape == many.total.shape == (4, 2, 3)
    for k, i, j in itertools.product(range(4), range(2), range(3)):
        one = allocate(curves_of(p), totals[i, j], params=draws[k : k + 1], **options)
        assert np.allclose(one.amounts[0], many.amounts[k, i, j], rtol=0.0, atol=1e-9 * totals[i, j]), (k, i, j)
        assert np.array_equal(one.binding[0], many.binding[k, i, j])
        assert math.isclose(one.utility[0], many.utility[k, i, j], rel_tol=1e-10)
    path = allocate(curves_of(p), totals[0], **options)
    assert path.amounts.shape == (3, 9)
    assert path.to_dict() == {f"S{i}": path.amounts[:, i].tolist() for i in range(9)}
    drawn = allocate(curves_of(p), 3.0, params=draws, **options)
    assert drawn.amounts.shape == (4, 9)
    alone = allocate(curves_of(replace(p, params=draws[2])), 3.0, **options)
    assert np.allclose(alone.amounts, drawn.amounts[2], rtol=0.0, atol=3e-9)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_greedy_batches_equal_single_solves(threads: int) -> None:
    p, totals, draws = batch()
    many = allocate(curves_of(p), totals, params=draws, method="greedy", threads=threads, **p.settings())
    for k, i, j in itertools.product(range(4), range(2), range(3)):
        q = replace(p, params=draws[k], total=float(totals[i, j]))
        assert equal_to_the_bit(solve(q, method="greedy", remainder="distribute"), many, (k, i, j))


def falling_curves(n: int, seed: int) -> CurveSet:
    """Curves of all families that fall up to their limits, where a threshold leaves money over."""
    rng = np.random.default_rng(seed)
    families = [FAMILIES[i % 4] for i in range(n)]
    top, loss, trusted_to = rng.uniform(0.5, 0.95, n), rng.uniform(0.4, 0.9, n), 10.0 ** rng.uniform(-0.5, 0.5, n)
    params = np.zeros((n, 3))
    for i, family in enumerate(families):
        fall, end = top[i] * loss[i], trusted_to[i]
        params[i] = {
            "linear": (-fall / end, top[i], 0.0),
            "sqrt": (-fall / math.sqrt(end), top[i], 0.0),
            "quadratic": (fall / end**2, -2.0 * fall / end, top[i]),
            "exponential": (fall, 4.0 / end, top[i] - fall),
        }[family]
    return CurveSet.from_params([f"S{i}" for i in range(n)], families, params, trusted_to=trusted_to)


SPLITS: dict[str, dict[str, Any]] = {
    "one solve": {},
    "two solves": {"min_efficiency": 0.6},
    "two solves with tickets": {"min_efficiency": 0.7, "min_ticket": 0.1},
    "two solves that place everything": {"min_efficiency": 0.7, "spend": "exactly"},
    "two solves in increments": {"min_efficiency": 0.6, "method": "greedy"},
    "thresholds by instrument": {"min_efficiency": np.linspace(0.3, 0.8, 7), "max_share": 0.7},
}


@pytest.mark.parametrize("split", SPLITS)
def test_an_allocation_does_not_depend_on_its_neighbours_in_the_call(split: str) -> None:
    """Parts of a path that begin at multiples of WARM have the bits of the whole, in both phases."""
    curves, options = falling_curves(7, 2), {"max_nodes": 100, **SPLITS[split]}
    totals = np.linspace(0.01, 0.9 if "spend" in options else 1.2, 8 * WARM) * float(curves.trusted_to.sum())
    whole = allocate(curves, totals, **options)
    assert (whole.first is None) == (split == "one solve")
    for size in (WARM, 2 * WARM, 4 * WARM):
        for begin in range(0, totals.size, size):
            part = allocate(curves, totals[begin : begin + size], **options)
            place = (slice(begin, begin + size),)
            assert equal_to_the_bit(part, whole, place), (size, begin)
            if whole.first is not None:
                assert np.array_equal((part.first or part).amounts, whole.first.amounts[place]), (size, begin)
    for begin in (0, 3 * WARM):  # and one that follows nobody is a call of its own
        assert equal_to_the_bit(allocate(curves, float(totals[begin]), **options), whole, (begin,))


def test_draws_do_not_depend_on_their_neighbours_in_the_call() -> None:
    curves = falling_curves(7, 1)
    draws = curves.params * np.random.default_rng(6).uniform(0.97, 1.0, (3 * WARM, 1, 1))
    total = 0.8 * float(curves.trusted_to.sum())
    whole = allocate(curves, total, params=draws, min_efficiency=0.6)
    assert whole.first is not None
    for begin in range(0, len(draws), WARM):
        part = allocate(curves, total, params=draws[begin : begin + WARM], min_efficiency=0.6)
        assert equal_to_the_bit(part, whole, (slice(begin, begin + WARM),)), begin


PLAIN = """
import numpy as np
from tests.rooms.test_allocation import batch, curves_of
from escala import CurveSet, allocate
ladders = CurveSet.from_ladders(["A", "B"], [[0.0, 10.0, 20.0], [0.0, 5.0]], [[0.9, 0.5, 0.1], [0.8, 0.2]])
for options in ({}, {"fixed_cost": 0.1}, {"min_efficiency": 0.6}, {"groups": ["g", None], "group_upper": 12.0}):
    found = allocate(ladders, [5.0, 40.0], current=[8.0, 1.0], trade_cost=0.01, threads=1, **options)
    print(found.amounts.tobytes().hex(), found.upper_bound.tobytes().hex(), found.shadow_price.tobytes().hex())
p, totals, draws = batch()
two = {"min_efficiency": 0.9, "lower": 0.0}
for options in ({}, {"remainder": "hold"}, {"method": "greedy"}, two, {**two, "method": "greedy"}):
    given = {**p.settings(), **options}
    found = allocate(curves_of(p), totals[0], params=draws[:1], threads=1, **given)
    assert (found.first is not None) == ("lower" in options)
    print(found.amounts.tobytes().hex(), found.upper_bound.tobytes().hex(), found.shadow_price.tobytes().hex())
"""


def test_compiled_kernels_give_the_bits_of_plain_python() -> None:
    """The kernels are their own naive twin: Python without the compiler runs the same operations in the same order."""

    def printed(**variables: str) -> str:
        command = [sys.executable, "-W", "ignore", "-c", PLAIN]
        return subprocess.run(
            command, cwd=ROOT, env={**os.environ, **variables}, check=True, capture_output=True, text=True
        ).stdout

    compiled = printed()
    assert len(compiled) > 1000
    assert printed(NUMBA_DISABLE_JIT="1") == compiled


def test_shapes_of_results() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1.0, 1.0], [-1.0, 0.5]])
    single = allocate(curves, 1.0)
    assert single.amounts.shape == (2,)
    assert np.shape(single.utility) == np.shape(single.gap) == np.shape(single.total) == ()
    assert allocate(curves, [1.0]).amounts.shape == (1, 2)
    assert allocate(curves, []).amounts.shape == (0, 2)
    assert isinstance(json.dumps(single.to_dict()), str)
    assert allocate(curves, [[1.0, 2.0]], params=[curves.params] * 3).amounts.shape == (3, 1, 2, 2)


def test_inputs_are_left_alone() -> None:
    p, totals, draws = batch()
    arrays = [totals, draws, p.min_ticket, p.lower, p.priority]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    result = allocate(curves_of(p), totals, params=draws, **p.settings())
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    with pytest.raises(AttributeError):
        result.gap = 0.0  # type: ignore[misc]


def test_nothing_is_called_optimal_that_stands_on_curves_the_records_contradict() -> None:
    x = np.linspace(1.0, 100.0, 30)
    waves = 0.8 - 0.002 * x + 0.05 * np.sin(x / 8.0)
    curves = fit(["A", "B"], x, [waves, 0.9 - 0.002 * x], family="linear")
    assert curves.marked.tolist() == [True, False]
    found = allocate(curves, [50.0, 150.0])
    assert np.allclose(found.contradicted, found.amounts[:, 0] / found.amounts.sum(axis=1))
    share = 100.0 * found.contradicted
    doubt = "best for these curves; {:.0f} % of it stands on curves that the records contradict"
    assert found.status_text.tolist() == [doubt.format(percent) for percent in share]
    one = allocate(curves, 150.0)
    assert one.status_text == doubt.format(share[1])
    assert "best for these curves)" in one.summary()
    assert "optimal" not in one.summary()
    assert f"{share[1]:.0f} % of it stands on 1 curve that the records contradict" in one.summary()
    coarse = allocate(curves, 150.0, method="greedy", step=40.0)
    assert coarse.status_text.startswith("not closed; ")
    sound = allocate(curves["B"], 50.0)
    assert sound.status_text == "optimal"
    assert "optimal)" in sound.summary()


# --- tables ------------------------------------------------------------------------------------------------------


def test_the_arguments_are_those_of_the_tables() -> None:
    """Names, order of the settings, and defaults; switches are words there."""
    arguments = inspect.signature(allocate).parameters
    settings_of = tuple(name for name in names(tables.ALLOCATION_SETTINGS) if name not in ("buy_cost", "sell_cost"))
    assert tuple(name for name in arguments if name in settings_of) == settings_of
    words = dict(tables.ALLOCATION_CHOICES.values())
    controls = {row.name: row.default for row in tables.ALLOCATION_CONTROLS}
    group_limits = names(tables.ALLOCATION_GROUPS)
    targets = {f"target_{row.name}" for row in tables.ALLOCATION_TARGETS if row.value}
    others = {"curves", "total", "trade_cost", "groups", "params", "aggregate", "threads"}
    assert set(arguments) == {*others, *settings_of, *words, *controls, *group_limits, *targets}
    for row in (*tables.ALLOCATION_SETTINGS, *tables.ALLOCATION_CONTROLS, *tables.ALLOCATION_GROUPS):
        name = "trade_cost" if row.name in ("buy_cost", "sell_cost") else row.name
        assert arguments[name].default == row.default, row.name
    for row in tables.ALLOCATION_SWITCHES:
        word, choices = tables.ALLOCATION_CHOICES[row.name]
        assert choices[arguments[word].default] == row.default
        assert sorted(choices.values()) == [0, 1]


def test_results_are_those_of_the_tables() -> None:
    fields = [field.name for field in dataclasses.fields(Allocation)]
    inside = {"culprit", "excess", "phases"}  # what an error or `first` says
    assert {row.name for row in tables.ALLOCATION_SOLUTION} - inside <= set(fields)
    for made, codes in ((Binding, tables.BINDINGS), (AllocationStatus, tables.ALLOCATION_ANSWERED)):
        assert {code.name: code.value for code in made} == {row.name.upper(): row.value for row in codes}
    assert set(REASONS) == set(names(tables.BINDINGS))
    assert set(naive.DEFAULTS) == set(names(tables.ALLOCATION_SETTINGS))
    assert naive.DEFAULTS == {row.name: row.default for row in tables.ALLOCATION_SETTINGS}


def test_numbers_of_problems_without_an_answer_are_nan() -> None:
    """Except for what says why."""
    request = Request.checked(
        two(), [1.0, 4.0], None,
        {row.name: row.default or 0.0 for row in tables.ALLOCATION_SETTINGS},
        {"reserve": 0.0, "hurdle": 0.0, "tolerance": None, "step": None, "max_nodes": 10, "max_count": None,
         "min_count": 0},
        {"spend": "exactly", "remainder": "hold", "method": "exact"},
        None, {row.name: row.default or 0.0 for row in tables.ALLOCATION_GROUPS},
    )  # fmt: skip
    found, first = run(request, 1)
    assert first.amounts.shape == (0, 2)
    assert found.status.tolist() == [0, 5]
    assert np.isnan(found.amounts).tolist() == [[False, False], [True, True]]
    assert found.column("excess")[1] == 4.0 - 0.75 - 2.0
    assert np.isnan(found.column("utility")).tolist() == [False, True]


# --- what cannot be ----------------------------------------------------------------------------------------------


def two() -> CurveSet:
    return CurveSet.from_params(["A", "B"], "linear", [[-1.0, 1.0], [-0.25, 0.5]], trusted_to=[0.75, 4.0])


@pytest.mark.parametrize(
    ("total", "options", "parts"),
    [
        (1.0, {"lower": [0.5, 0.0], "upper": [0.125, 1.0]}, ("lower", "upper", "A", "0.5", "0.125", "0.375")),
        (2.0, {"lower": [0.0, 0.75], "max_share": [1.0, 0.125]}, ("lower", "max_share", "B", "0.75", "0.25", "0.5")),
        (2.0, {"lower": [1.0, 0.0]}, ("lower", "limit", "A", "0.75", "0.25")),
        (2.0, {"lower": [0.0, 1.125], "min_efficiency": 0.25}, ("lower", "min_efficiency", "B", "0.125")),
        (2.0, {"lower": 0.0625, "min_ticket": [0.0, 0.5], "upper": 0.25}, ("min_ticket", "upper", "B", "0.25")),
        (2.0, {"lower": [0.0, 0.25], "min_efficiency": 0.75}, ("lower", "min_efficiency", "B")),
        (4.0, {"lower": [0.0, 2.5], "upper": 3.0}, ("lower", "efficiency", "B", "2.5", "at most 2 ", "0.5")),
        (1.0, {"lower": 0.625}, ("lower", "total", "1.25", "0.25")),
        (1.0, {"lower": 0.5, "reserve": 0.25}, ("lower", "reserve", "0.75", "0.25")),
        (1.0, {"lower": 0.0625, "min_ticket": 0.75}, ("min_ticket", "1.5", "0.5")),
        (4.0, {"spend": "exactly", "upper": 0.5}, ("exactly", "upper", "4", "1", "3")),
        (0.5, {"spend": "exactly", "upper": 0.375, "min_ticket": 0.375}, ("exactly", "0.125")),
        (0.25, {"spend": "exactly", "min_ticket": 0.375}, ("exactly", "min_ticket")),
        (1.0, {"spend": "exactly", "min_efficiency": 0.875, "remainder": "hold"}, ("exactly", "min_efficiency", "0.875")),
    ],
)  # fmt: skip
def test_infeasible_bounds_are_named(total: float, options: dict[str, Any], parts: tuple[str, ...]) -> None:
    """Every message names the bounds in conflict, the instrument, and by how much they miss."""
    with pytest.raises(InfeasibleError) as caught:
        allocate(two(), total, **options)
    assert [part for part in parts if part not in str(caught.value)] == [], str(caught.value)
    assert isinstance(caught.value, EscalaError)
    assert isinstance(caught.value, ValueError)


def test_infeasible_problems_of_a_batch_are_named() -> None:
    with pytest.raises(InfeasibleError, match=r"total\[1\]"):
        allocate(two(), [2.0, 1.0, 1.5], lower=0.625)


@pytest.mark.parametrize(
    ("total", "options", "message"),
    [
        (-1.0, {}, r"total must be .*, but total = -1.0"),
        ([1.0, math.nan], {}, r"total must be .*, but total\[1\] = nan"),
        (math.inf, {}, r"total must be .*, but total = inf"),
        ("much", {}, r"total must be real numbers"),
        (1.0, {"min_efficiency": math.nan}, r"min_efficiency must be .*, but min_efficiency = nan"),
        (1.0, {"min_efficiency": [0.0, 1.5]}, r"min_efficiency must be .*, but min_efficiency\[1\] = 1.5"),
        (1.0, {"lower": [0.0, -0.5]}, r"lower must be .*, but lower\[1\] = -0.5"),
        (1.0, {"lower": [0.1, 0.1, 0.1]}, r"lower of shape \(3,\) must be a number or of shape \(2,\)"),
        (1.0, {"upper": [-1.0, 1.0]}, r"upper must be .*, but upper\[0\] = -1.0"),
        (1.0, {"upper": [1.0, math.nan]}, r"upper must be .*, but upper\[1\] = nan"),
        (1.0, {"min_ticket": -1.0}, r"min_ticket must be .*, but min_ticket = -1.0"),
        (1.0, {"max_share": [0.5, 1.5]}, r"max_share must be .*, but max_share\[1\] = 1.5"),
        (1.0, {"max_share": -0.5}, r"max_share must be .*, but max_share = -0.5"),
        (1.0, {"priority": [1.0, -1.0]}, r"priority must be .*, but priority\[1\] = -1.0"),
        (1.0, {"priority": math.inf}, r"priority must be .*, but priority = inf"),
        (1.0, {"reserve": -0.1}, r"reserve must be .*, but reserve = -0.1"),
        (1.0, {"reserve": 1.5}, r"reserve must be .*, but reserve = 1.5"),
        (1.0, {"reserve": [0.1, 0.2]}, r"reserve must be one number, not of shape \(2,\)"),
        (1.0, {"reserve": None}, r"reserve must be real numbers, not None"),
        (1.0, {"hurdle": None}, r"hurdle must be real numbers, not None"),
        (1.0, {"step": 0.1}, r"step = 0.1 is an increment of method='greedy'; method='exact' has none"),
        (1.0, {"hurdle": math.nan}, r"hurdle must be .*, but hurdle = nan"),
        (1.0, {"spend": "all"}, r"spend must be .*at_most.*exactly.*, not 'all'"),
        (1.0, {"remainder": "keep"}, r"remainder must be .*distribute.*hold.*, not 'keep'"),
        (1.0, {"method": "magic"}, r"method must be .*exact.*greedy.*, not 'magic'"),
        (1.0, {"method": "greedy", "step": 0.0}, r"step must be .*, but step = 0.0"),
        (1.0, {"method": "greedy", "step": math.nan}, r"step must be .*, but step = nan"),
        (1.0, {"max_nodes": -1}, r"max_nodes must be an integer in \[0, 10,000,000\], not -1"),
        (1.0, {"max_nodes": 1.5}, r"max_nodes must be an integer in \[0, 10,000,000\], not 1.5"),
        (1.0, {"tolerance": -1e-9}, r"tolerance must be .*, but tolerance = -1e-09"),
        (1.0, {"params": np.zeros((3, 3))}, r"params of shape \(3, 3\) must be .*\(.*, 2, 4\)"),
        (1.0, {"params": [[[-1.0, 1.0, 0.0], [-1.0, math.nan, 0.0]]]}, r"params must be .*, but params\[0, 1, 1\] = nan"),
        (1.0, {"threads": 0}, r"threads must be"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(total: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AllocationError, match=f"^{message}") as caught:
        allocate(two(), total, **options)
    assert isinstance(caught.value, InputError)
