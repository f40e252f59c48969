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
from tests.naive.allocation import Problem
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


@settings(max_examples=100)
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


@settings(max_examples=25)
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


def closed(p: Problem, held: np.ndarray) -> Problem:
    """Give the problem in which these instruments hold something, and no others; without lots."""
    lower = np.where(held, np.maximum(p.lower, p.min_ticket), 0.0)
    return replace(p, lower=lower, upper=np.where(held, p.upper, 0.0), lots=np.zeros(len(p)))


def best_subset(p: Problem, least: int, most: int, **options: Any) -> float:
    """Find the best value over all choices of instruments, each by an allocation without counts."""
    best = -math.inf
    for choice in itertools.product((False, True), repeat=len(p)):
        held = np.array(choice)
        if least <= held.sum() <= most and (held | ~p.forced).all():
            found = attempt(closed(p, held), **options)
            best = best if found is None else max(best, float(found.utility))
    return best


@settings(max_examples=25)
@given(SEEDS)
def test_counts_are_as_good_as_the_best_choice(seed: int) -> None:
    """Concave curves with and without tickets, costs and groups; each choice of instruments is a problem of its own."""
    rng = np.random.default_rng(seed)
    p = concave_problem(rng, int(rng.integers(2, 6)))
    p = replace(p, min_ticket=p.money * rng.uniform(0.02, 0.3, len(p)) * (rng.random() < 0.6))
    p = costed(p, rng, fixed=False) if rng.random() < 0.5 else p
    least, most = draw_counts(rng, len(p), least=bool(p.min_ticket.all()))
    grouped = limits_of(*draw_groups(p, rng, least=False)) if rng.random() < 0.4 else {}
    best = best_subset(p, least, most, **grouped)
    result = attempt(p, max_count=most, min_count=least, **grouped)
    if result is None:
        assert best == -math.inf
        return
    check_whole(p, result, least, most)
    assert best <= float(result.upper_bound) + rounding(p)
    assert float(result.utility) >= best - float(result.gap) * abs(float(result.upper_bound)) - rounding(p)
    assert float(result.upper_bound) - float(result.utility) <= 1e-8 * p.money


@settings(max_examples=25)
@given(SEEDS)
def test_the_rest_is_placed_best_beside_whole_lots(seed: int) -> None:
    """Two instruments in lots, two in any amount: all combinations of lots, the rest by an allocation without."""
    rng = np.random.default_rng(seed)
    p = replace(mixed_problem(rng, 4), spend="at_most")
    p = costed(p, rng) if rng.random() < 0.4 else p
    p = replace(p, lots=np.array([1.0, 1.0, 0.0, 0.0]) * p.money / rng.integers(3, 9, 4))
    _least, most = draw_counts(rng, 4, least=False)
    best = -math.inf
    for amounts in itertools.product(*(naive.choices_of_lots(p, i).tolist() for i in range(2))):
        fixed, taken = np.array(amounts), int(np.count_nonzero(amounts))
        if taken + p.forced[2:].sum() > most:
            continue
        q = replace(
            p, lots=np.zeros(4), lower=np.append(fixed, p.lower[2:]), upper=np.append(fixed, p.upper[2:]),
            min_ticket=np.append(0.0 * fixed, p.min_ticket[2:]), min_efficiency=np.append(0.0 * fixed, p.min_efficiency[2:]),
            max_share=np.append([1.0, 1.0], p.max_share[2:]),
        )  # fmt: skip
        for held in itertools.product((False, True), repeat=2):
            chosen = np.append(fixed > 0.0, held)
            if taken + sum(held) <= most and (chosen | ~q.forced).all():
                found = attempt(replace(closed(q, chosen), lower=np.where(chosen, q.lower, 0.0)))
                best = best if found is None else max(best, float(found.utility))
    result = attempt(p, max_count=most)
    if result is None:
        assert best == -math.inf
        return
    check_whole(p, result, 0, most)
    assert best <= float(result.upper_bound) + rounding(p)
    assert float(result.utility) >= best - float(result.gap) * abs(float(result.upper_bound)) - rounding(p)
    assert float(result.upper_bound) - float(result.utility) <= 1e-8 * p.money or result.nodes >= 1990


@settings(max_examples=20)
@given(SEEDS)
def test_the_bound_holds_wherever_the_search_stops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, unit = in_lots(replace(mixed_problem(rng, 6), spend="at_most", lower=np.zeros(6)), rng)
    best = naive.best_of_lots(p, unit, 0, 3)
    for nodes in (0, 3):
        result = solve(p, max_count=3, max_nodes=nodes)
        check_whole(p, result, 0, 3)
        assert int(result.nodes) <= max(nodes, 1)
        assert best <= float(result.upper_bound) + rounding(p)


# --- invariances -------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(SEEDS)
def test_order_currency_and_priority_make_no_difference(seed: int) -> None:
    """Where two answers are as good, either may come."""
    rng = np.random.default_rng(seed)
    p = replace(mixed_problem(rng, 5), spend="at_most", hurdle=0.0)
    p = costed(p, rng, fixed=False, rates=False)
    p, _ = in_lots(p, rng)
    options: dict[str, Any] = {"max_count": int(rng.integers(1, 6)), "tolerance": 0.0}
    here = attempt(p, **options)
    others = [
        (naive.reordered(p, rng.permutation(5)), 1.0),
        (naive.in_other_currency(p, 64.0), 64.0),
        (replace(p, priority=p.priority * 4.0), 4.0),
    ]
    for other, factor in others:
        there = attempt(other, **options)
        assert (here is None) == (there is None)
        if here is not None and there is not None:
            assert float(there.utility) == pytest.approx(factor * float(here.utility), rel=1e-9, abs=1e-9 * p.money)


def a_path(seed: int, totals: int) -> tuple[CurveSet, np.ndarray, dict[str, Any]]:
    """Draw a problem with everything, along totals."""
    rng = np.random.default_rng(seed)
    p = costed(replace(mixed_problem(rng, 7), spend="at_most", lower=np.zeros(7)), rng)
    lots = p.money / 20.0 * rng.integers(0, 3, 7)
    asked = {k: v for k, v in p.settings().items() if k != "lots"} | {"lots": lots, "max_count": 4}
    return curves_of(p), p.money * np.linspace(0.0, 1.5, totals), asked


def test_threads_and_splits_make_no_difference_to_the_bit() -> None:
    curves, totals, asked = a_path(5, 150)
    whole = allocate(curves, totals, threads=1, **asked)
    for threads in (2, 3):
        again = allocate(curves, totals, threads=threads, **asked)
        assert (again.amounts == whole.amounts).all()
        assert (again.upper_bound == whole.upper_bound).all()
    parts = [allocate(curves, totals[at : at + 64], **asked) for at in range(0, 150, 64)]
    for name in ("amounts", "utility", "upper_bound", "binding", "shadow_price", "nodes"):
        assert (np.concatenate([getattr(part, name) for part in parts]) == getattr(whole, name)).all(), name


def test_limits_that_limit_nothing_change_no_bit() -> None:
    rng = np.random.default_rng(7)
    p = costed(mixed_problem(rng, 6), rng)
    one, other = solve(p), solve(p, max_count=6, min_count=0, lots=[0.0] * 6)
    assert (one.amounts == other.amounts).all()
    assert one.upper_bound == other.upper_bound


# --- what it says ------------------------------------------------------------------------------------------------


def test_lots_by_hand() -> None:
    """U′ = 1 − 2·10⁻⁶·k·C: lots of 10,000 follow the marginal utilities, and an amount is lot·k to the bit."""
    found = allocate(lines(3), 110_000.0, lots=10_000.0)
    assert found.amounts.tolist() == [60_000.0, 30_000.0, 20_000.0]
    assert float(found.gap) <= 1e-12
    assert found.binding.tolist() == [Binding.LOT] * 3
    odd = allocate(lines(3), 1.0, lots=0.1)
    assert math.fsum(odd.amounts.tolist()) == pytest.approx(1.0, rel=1e-15)
    assert all(x in [k * 0.1 for k in range(11)] for x in odd.amounts.tolist())
    mixed = allocate(lines(3), 115_000.0, lots=[10_000.0, 0.0, 0.0])
    assert mixed.amounts[0] == 60_000.0
    assert math.fsum(mixed.amounts.tolist()) == pytest.approx(115_000.0, rel=1e-15)
    assert mixed.binding.tolist() == [Binding.LOT, Binding.NONE, Binding.NONE]
    kept = allocate(lines(2), 50_000.0, lots=20_000.0, upper=[15_000.0, 30_000.0])
    assert kept.amounts.tolist() == [0.0, 20_000.0]
    assert kept.binding.tolist() == [Binding.UPPER, Binding.UPPER]
    assert "lot returns less" in found.summary()


def test_counts_by_hand() -> None:
    """The flattest two of four; with tickets, min_count brings in the third, which is worth less than the price."""
    found = allocate(lines(4), 300_000.0, max_count=2)
    assert found.amounts == pytest.approx([200_000.0, 100_000.0, 0.0, 0.0], rel=1e-12)
    assert found.binding.tolist() == [Binding.NONE, Binding.NONE, Binding.COUNT, Binding.COUNT]
    assert "nothing for 2, max_count: S2, S3" in found.summary()
    more = allocate(lines(6), 800_000.0, min_ticket=100_000.0, min_count=6)
    assert more.amounts == pytest.approx([800_000 / 3, 400_000 / 3, *[100_000.0] * 4], rel=1e-12)
    assert more.binding.tolist() == [Binding.NONE, Binding.NONE, *[Binding.TICKET] * 3, Binding.COUNT]
    assert "min_count keeps it in" in more.summary()
    nothing = allocate(lines(4), 300_000.0, max_count=0)
    assert nothing.amounts.tolist() == [0.0] * 4
    assert float(nothing.utility) == 0.0
    assert nothing.binding.tolist() == [Binding.COUNT] * 4


def test_what_a_threshold_leaves_is_placed_within_the_count() -> None:
    """The second solve may not hold more instruments than the count, and keeps to lots."""
    found = allocate(lines(4), 900_000.0, min_efficiency=0.9, max_count=2, lots=25_000.0)
    assert found.first is not None
    assert found.first.amounts.tolist() == [100_000.0, 50_000.0, 0.0, 0.0]
    assert int((found.amounts > 0.0).sum()) == 2
    assert (found.amounts % 25_000.0 == 0.0).all()
    assert (found.amounts >= found.first.amounts).all()
    held = allocate(lines(4), 900_000.0, min_efficiency=0.9, max_count=2, lots=25_000.0, remainder="hold")
    assert (held.amounts == found.first.amounts).all()


# --- what cannot be ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"max_count": -1}, "max_count must be an integer in [0, 1,000,000,000], not -1"),
        ({"max_count": 1.5}, "max_count must be an integer in [0, 1,000,000,000], not 1.5"),
        ({"min_count": None}, "min_count must be an integer in [0, 1,000,000,000], not None"),
        (
            {"min_count": 2, "max_count": 1, "min_ticket": 1.0},
            "min_count must not exceed max_count, but min_count = 2 and max_count = 1",
        ),
        (
            {"min_count": 5, "max_count": 4, "min_ticket": 1.0},
            "min_count must not exceed max_count, but min_count = 5 and max_count = 4",
        ),
        ({"lots": -1.0}, "lots must be"),
        ({"lots": {"S0": 1.0, "S1": 1.0, "S2": math.nan}}, "lots"),
        ({"min_count": 1, "lots": [1.0, 0.0, 1.0]}, "'S1' (index 1) has neither lower nor min_ticket nor lots above 0"),
        ({"method": "greedy", "max_count": 1}, "method='greedy' knows no max_count"),
        ({"method": "greedy", "lots": 1.0}, "method='greedy' knows no lots"),
        ({"target_utility": 1.0, "max_count": 1}, "target_utility knows no max_count"),
        ({"target_marginal": 0.5, "lots": 1.0}, "target_marginal knows no lots"),
        ({"groups": {"a": ["S0", "S1"], "b": ["S1", "S2"]}, "lots": 1.0}, "groups that overlap know no lots"),
    ],
)
def test_what_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(AllocationError) as caught:
        allocate(lines(3), 1e5, **asked)
    assert message in str(caught.value)


def test_draws_are_not_aggregated_in_lots() -> None:
    params = np.tile(lines(3).params, (4, 1, 1))
    with pytest.raises(AllocationError, match="aggregate knows no lots: leave one of them out"):
        allocate(lines(3), 1e5, lots=1e3, params=params, aggregate="mean")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"min_count": 3, "min_ticket": 40_000.0},
            "the smallest holdings of min_count = 3 instruments (lower, min_ticket, min_efficiency) add up to 120,000, "
            "20,000 above the money 100,000 (total·(1 − reserve))",
        ),
        (
            {"min_count": 3, "lots": 10_000.0, "upper": [1e6, 1e6, 5_000.0]},
            "min_count = 3 instruments must hold something, but only 2 may: the others cannot hold their least (lower, "
            "min_ticket, min_efficiency, lots) within upper, max_share, the money and the limits of the curves",
        ),
        (
            {"max_count": 1, "lower": [1e4, 1e4, 0.0]},
            "max_count = 1, but lower forces 2 instruments in: 1 too many",
        ),
        (
            {"lots": 30_000.0, "spend": "exactly"},
            'spend="exactly": no combination of instruments adds up to 100,000 between lower bounds (lower, min_ticket, '
            "min_efficiency, lots) and upper ones; the nearest below is 10,000 short",
        ),
        (
            {"max_count": 1, "upper": 60_000.0, "spend": "exactly"},
            'spend="exactly" must place 100,000, but upper, max_share, min_ticket, min_efficiency, max_count and the '
            "limits of the curves leave room for 60,000: 40,000 too little",
        ),
        (
            {"lots": 40_000.0, "lower": [1.0, 0.0, 0.0], "upper": 30_000.0},
            "'S0' must hold at least 40,000 (lower[0], in lots[0] = 40000.0) and at most 0 (upper[0], in lots)",
        ),
        (
            {"lots": 20_000.0, "groups": ["a", "a", "b"], "group_lower": {"a": 30_000.0}, "group_upper": {"a": 35_000.0}},
            "no allocation keeps to lots and to all limits of the groups",
        ),
    ],
)  # fmt: skip
def test_what_is_infeasible(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InfeasibleError) as caught:
        allocate(lines(3), 1e5, **asked)
    assert message in str(caught.value)
