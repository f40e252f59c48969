"""allocate with holdings and costs of trading: against brute force, closed forms, invariances, bad input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from escala import Allocation, AllocationError, AllocationStatus, Binding, CurveSet, InfeasibleError, allocate
from tests.naive import allocation as naive
from tests.naive.allocation import Problem, make_problem
from tests.rooms.test_allocation import (
    check_certificate,
    concave_problem,
    margin,
    mixed_problem,
    rounding,
    solve,
)

SEEDS = st.integers(0, 2**32)


def costed(p: Problem, rng: np.random.Generator, *, fixed: bool = True, rates: bool = True) -> Problem:
    """Draw what is held, inside and outside of the domains, and what trading costs."""
    n = len(p)

    def some(share: float, most: float) -> Any:
        return np.where(rng.random(n) < share, rng.uniform(0.0, most, n), 0.0)

    ends = np.where(np.isfinite(p.high) & p.usable, p.high, p.money)
    held = np.where(rng.random(n) < 0.7, rng.uniform(0.0, 1.2, n) * ends, 0.0)
    held = np.where(rng.random(n) < 0.15, np.where(p.usable, p.low, 0.0), held)
    most = float(rng.choice([0.01, 0.1, 0.5]))
    return replace(
        p,
        current=held,
        buy_cost=some(0.8, most) if rates else np.zeros(n),
        sell_cost=some(0.8, most) if rates else np.zeros(n),
        fixed_cost=some(0.7, float(rng.choice([0.001, 0.02, 0.1])) * p.money) if fixed else np.zeros(n),
    )


def check_against_brute_force(p: Problem, result: Allocation) -> None:
    check_certificate(p, result)
    best = naive.best_found(p, 150)
    if best is not None:
        reached = naive.value_of(p, best)
        assert reached <= float(result.upper_bound) + rounding(p)
        assert float(result.utility) >= reached - margin(p, result)


# --- the answer --------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(SEEDS)
def test_no_feasible_allocation_exceeds_the_bound(seed: int) -> None:
    """Convex stretches, tickets, thresholds, fixed costs, holdings that are not allowed."""
    rng = np.random.default_rng(seed)
    p = costed(mixed_problem(rng, int(rng.integers(1, 7))), rng)
    result = solve(p)
    check_against_brute_force(p, result)
    assert float(result.upper_bound) - float(result.utility) <= 1e-8 * p.money


@settings(max_examples=25)
@given(SEEDS)
def test_rates_keep_concave_problems_concave(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = costed(concave_problem(rng, int(rng.integers(1, 7))), rng, fixed=False)
    result = solve(p)
    check_against_brute_force(p, result)
    assert int(result.nodes) == 1
    assert float(result.upper_bound) - float(result.utility) <= 1e-10 * p.money


@settings(max_examples=15)
@given(SEEDS)
def test_the_bound_holds_wherever_the_search_stops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = replace(costed(mixed_problem(rng, 6), rng), spend="at_most", lower=np.zeros(6))
    for most in (1, 3):
        result = solve(p, max_nodes=most)
        check_certificate(p, result)
        assert int(result.nodes) <= most
        best = naive.best_found(p, 150)
        assert best is None or naive.value_of(p, best) <= float(result.upper_bound) + rounding(p)


def best_by_linear_programme(
    curves: CurveSet, total: float, held: Any, buy: Any, sell: Any, groups: Sequence[naive.Group] = ()
) -> float | None:
    """Give the best net utility of ladders: of each step so much, of each instrument so much bought or sold.

    None where nothing keeps to the limits.
    """
    steps = [curves.ladder(symbol) for symbol in curves.symbols]
    sizes = [np.diff(step.knots, append=np.inf) for step in steps]
    n, pieces = len(curves), sum(size.size for size in sizes)
    owner = np.repeat(np.arange(n), [size.size for size in sizes])
    amounts = (owner == np.arange(n)[:, None]).astype(float)
    balance = np.concatenate([amounts, -np.eye(n), np.eye(n)], axis=1)
    rates = [-np.broadcast_to(rate, n) for rate in (buy, sell)]
    gain = np.concatenate([*(step.slopes for step in steps), *rates])
    inside = [np.concatenate([amounts[list(g.members)].sum(axis=0), np.zeros(2 * n)]) for g in groups]
    limits = [(row, g.most) for row, g in zip(inside, groups, strict=True) if g.most < math.inf]
    limits += [(-row, -g.least) for row, g in zip(inside, groups, strict=True)]
    limits.append((np.concatenate([np.ones(pieces), np.zeros(2 * n)]), total))
    found = linprog(
        -gain,
        A_ub=np.stack([row for row, _ in limits]),
        b_ub=[most for _, most in limits],
        A_eq=balance,
        b_eq=held,
        bounds=[(0.0, end) for end in (*np.concatenate(sizes), *np.full(2 * n, np.inf))],
    )
    assert found.status in (0, 2)
    return float(-found.fun) if found.status == 0 else None


def drawn_ladders(rng: np.random.Generator, n: int) -> CurveSet:
    """Draw ladders of up to 39 steps, on 100 units of money at most."""
    counts = rng.integers(1, 40, n)
    knots = [np.concatenate([[0.0], np.sort(rng.uniform(1.0, 100.0, count - 1))]) for count in counts]
    slopes = [np.sort(rng.uniform(0.0, 1.0, count))[::-1] for count in counts]
    return CurveSet.from_ladders([f"S{i}" for i in range(n)], knots, slopes)


@settings(max_examples=30)
@given(SEEDS)
def test_ladders_that_cost_to_trade_are_a_linear_programme(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    curves = drawn_ladders(rng, n)
    totals = rng.uniform(0.0, 60.0 * n, 3)
    held, (buy, sell) = rng.uniform(0.0, 80.0, n), rng.uniform(0.0, 0.2, 2).tolist()
    result = allocate(curves, totals, current=held, trade_cost=(buy, sell))
    for total, utility, bound in zip(totals, result.utility, result.upper_bound, strict=True):
        best = best_by_linear_programme(curves, total, held, buy, sell)
        assert best is not None
        assert utility == pytest.approx(best, rel=1e-9, abs=1e-7)
        assert bound >= best - 1e-7


def whole_problem(rng: np.random.Generator) -> tuple[Problem, list[Any], list[tuple[str, naive.Group]]]:
    """Draw ladders, holdings, costs, tickets and nested groups, all in whole units of money."""
    n = int(rng.integers(1, 7))
    steps = []
    for _ in range(n):
        count = int(rng.integers(1, 6))
        knots = np.sort(rng.choice(np.arange(1.0, 40.0), count - 1, replace=False))
        steps.append((np.append(0.0, knots), np.sort(rng.uniform(0.0, 1.0, count))[::-1].copy()))

    def some(share: float, low: int, high: int, other: float) -> Any:
        return np.where(rng.random(n) < share, rng.integers(low, high, n), other)

    p = make_problem(
        ["ladder"] * n, np.zeros((n, 3)), float(rng.integers(1, 40 * n)), steps=tuple(steps), trusted_to=60.0,
        upper=some(0.3, 0, 50, math.inf), min_ticket=some(0.3, 1, 30, 0.0), current=some(0.7, 0, 50, 0.0),
        buy_cost=some(0.5, 0, 10, 0.0) / 100.0, sell_cost=some(0.5, 0, 10, 0.0) / 100.0,
        fixed_cost=rng.uniform(0.0, rng.choice([0.1, 1.0, 5.0]), n), priority=rng.choice([1.0, 0.5, 2.0], n),
        hurdle=float(rng.choice([0.0, 0.2])),
    )  # fmt: skip
    paths: list[Any] = [(None, ("a",), ("a", "b"), ("c",))[k] for k in rng.integers(0, 4, n)]
    named = {name for path in paths if path for name in ("/".join(path[:depth]) for depth in range(1, len(path) + 1))}
    groups = []
    for name in sorted(named):
        members = tuple(i for i, path in enumerate(paths) if path and f"{'/'.join(path)}/".startswith(f"{name}/"))
        limits = float(rng.integers(0, 60)), float(rng.integers(0, 15)) * (rng.random() < 0.3)
        groups.append((name, naive.Group(members, *limits)))
    return p, paths, groups


@settings(max_examples=60)
@given(SEEDS)
def test_whole_units_are_a_dynamic_programme(seed: int) -> None:
    """Fixed costs, rates, tickets and groups in groups: the exact optimum, by all whole amounts."""
    p, paths, groups = whole_problem(np.random.default_rng(seed))
    curves = CurveSet.from_ladders([f"S{i}" for i in range(len(p))], *zip(*p.steps, strict=True), trusted_to=60.0)
    best = naive.best_in_whole_units(p, [g for _, g in groups])
    asked = p.settings() | {
        "groups": paths, "group_upper": {name: g.most for name, g in groups},
        "group_lower": {name: g.least for name, g in groups},
    }  # fmt: skip
    if best == -math.inf:
        with pytest.raises(InfeasibleError):
            allocate(curves, p.total, **asked)
        return
    result = allocate(curves, p.total, **asked)
    assert float(result.utility) == pytest.approx(best, rel=1e-7, abs=1e-9 * p.money)
    assert float(result.upper_bound) >= best - 1e-12 * p.money
    assert float(result.gap) <= 1e-7


def lines(n: int = 2, slope: float = -1e-6) -> CurveSet:
    return CurveSet.from_params([f"S{i}" for i in range(n)], "linear", [[slope * (i + 1), 1.0] for i in range(n)])


def test_two_lines_by_hand() -> None:
    """U′ = 1 − 2·10⁻⁶·C and 1 − 4·10⁻⁶·C: a unit moved from the second to the first brings them 6·10⁻⁶ together."""
    held = np.array([150_000.0, 150_000.0])
    found = allocate(lines(), 300_000.0, current=held, trade_cost=(0.03, 0.05))
    moved = (0.7 - 0.4 - 0.08) / 6e-6
    assert found.trades == pytest.approx([moved, -moved], rel=1e-12)
    assert found.costs == pytest.approx([0.03 * moved, 0.05 * moved], rel=1e-12)
    assert float(found.shadow_price) == pytest.approx(0.7 - 2e-6 * moved - 0.03, rel=1e-12)
    assert found.binding_names.tolist() == ["none", "none"]
    before = float(lines().utility(held).sum())
    assert float(found.utility) - before == pytest.approx(0.5 * 0.22 * moved, rel=1e-9)
    # 7,500 are gained by moving 50,000 if that costs nothing by the unit
    worth = allocate(lines(), 300_000.0, current=held, fixed_cost=3749.0)
    assert worth.trades == pytest.approx([50_000.0, -50_000.0], rel=1e-9)
    assert float(worth.costs.sum()) == 2 * 3749.0
    still = allocate(lines(), 300_000.0, current=held, fixed_cost=3751.0)
    assert still.trades.tolist() == [0.0, 0.0]
    assert still.binding.tolist() == [Binding.HELD, Binding.HELD]


def test_nothing_is_traded_where_no_trade_pays() -> None:
    """All marginals of what is held lie within a round trip of one another."""
    held = np.array([150_000.0, 150_000.0])
    found = allocate(lines(), 300_000.0, current=held, trade_cost=0.151)
    assert found.trades.tolist() == [0.0, 0.0]
    assert found.binding_names.tolist() == ["held", "held"]
    assert "0 bought and 0 sold at a cost of 0; 2 instruments not traded" in found.summary()
    assert allocate(lines(), 300_000.0, current=held, trade_cost=0.149).trades[0] > 0.0


@settings(max_examples=25)
@given(SEEDS)
def test_what_is_optimal_already_is_not_traded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = concave_problem(rng, int(rng.integers(1, 9)), strict=True)
    best = solve(p)
    held = best.amounts
    for costs in ({"trade_cost": 1e-3}, {"fixed_cost": 1e-6 * p.money}, {"trade_cost": (0.0, 0.1), "fixed_cost": 1e-9}):
        again = solve(p, current=held, **costs)
        assert again.trades.tolist() == [0.0] * len(p), costs
        assert math.isclose(float(again.utility), float(best.utility), rel_tol=1e-12)
        assert int(again.status) == AllocationStatus.OPTIMAL


@settings(max_examples=25)
@given(SEEDS)
def test_no_trade_happens_inside_the_region_of_no_trade(seed: int) -> None:
    """Who trades pays for it at the shadow price; who does not would lose by it."""
    rng = np.random.default_rng(seed)
    p = replace(costed(concave_problem(rng, 6, strict=True), rng, fixed=False), spend="at_most")
    result = solve(p)
    price = float(result.shadow_price)
    slope = naive.priced_marginal(p, result.amounts)
    for i, reason in enumerate(result.binding_names):
        if reason == "held" and p.low[i] < p.current[i] < p.high[i]:
            assert price - p.sell_cost[i] - 1e-9 <= slope[i] <= price + p.buy_cost[i] + 1e-9
        elif reason == "none" and result.amounts[i] > 0.0:
            rate = p.buy_cost[i] if result.trades[i] > 0.0 else -p.sell_cost[i]
            assert slope[i] - rate == pytest.approx(price, rel=1e-9, abs=1e-12)


# --- what must not matter ----------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(SEEDS)
def test_what_is_held_makes_no_difference_where_trading_costs_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = mixed_problem(rng, int(rng.integers(1, 12)))
    plain, held = solve(p), solve(p, current=rng.uniform(0.0, p.money, len(p)), trade_cost=(0.0, 0.0), fixed_cost=0.0)
    for name in ("amounts", "utility", "upper_bound", "gap", "shadow_price", "binding", "nodes"):
        assert np.array_equal(getattr(plain, name), getattr(held, name)), name


@settings(max_examples=15)
@given(SEEDS)
def test_a_vanishing_cost_changes_nothing_but_rounding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = concave_problem(rng, int(rng.integers(2, 9)), strict=True)
    plain, held = solve(p), solve(p, current=rng.uniform(0.0, p.money, len(p)) / len(p), trade_cost=1e-14)
    assert held.amounts == pytest.approx(plain.amounts, rel=1e-6, abs=1e-6 * p.money)
    assert float(held.utility) == pytest.approx(float(plain.utility), rel=1e-11)


@settings(max_examples=15)
@given(SEEDS, st.sampled_from([100.0, 1e8, 0.01]))
def test_the_currency_and_the_order_do_not_matter(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    p = costed(concave_problem(rng, 5, strict=True), rng, fixed=False)
    order = rng.permutation(len(p))
    result = solve(p, tolerance=1e-11)
    other = solve(naive.in_other_currency(p, factor), tolerance=1e-11)
    assert other.amounts / factor == pytest.approx(result.amounts, rel=1e-7, abs=1e-9 * p.money)
    moved = solve(naive.reordered(p, order), tolerance=1e-11)
    assert moved.amounts == pytest.approx(result.amounts[order], rel=1e-7, abs=1e-9 * p.money)


def test_a_path_in_parts_and_on_threads_has_the_same_bits() -> None:
    rng = np.random.default_rng(3)
    p = replace(costed(mixed_problem(rng, 7), rng), spend="at_most", lower=np.zeros(7), reserve=0.0)
    totals = np.linspace(0.05, 1.5, 150) * p.total
    curves = CurveSet.from_params([f"S{i}" for i in range(7)], list(p.family), p.params, trusted_to=p.trusted_to)
    whole = allocate(curves, totals, **p.settings(), threads=1)
    for other in (
        allocate(curves, totals, **p.settings(), threads=3).amounts,
        np.concatenate([allocate(curves, part, **p.settings()).amounts for part in (totals[:64], totals[64:])]),
    ):
        assert np.array_equal(whole.amounts, other)
    for k in (0, 40, 149):
        one = allocate(curves, totals[k], **p.settings())
        assert float(one.utility) == pytest.approx(float(whole.utility[k]), abs=1e-8 * p.money)


def test_a_second_solve_pays_too() -> None:
    """What a threshold leaves over is placed beside what is held, at its costs."""
    curves = lines(3)
    held = np.array([400_000.0, 100_000.0, 0.0])
    found = allocate(curves, 900_000.0, min_efficiency=0.8, current=held, trade_cost=0.01, fixed_cost=10.0)
    assert found.first is not None
    assert found.first.amounts.tolist() == pytest.approx([200_000.0, 100_000.0, 66_666.666666666], rel=1e-9)
    assert float(found.amounts.sum()) <= 900_000.0
    utility = float(curves.utility(found.amounts).sum()) - float(found.costs.sum())
    assert float(found.utility) == pytest.approx(utility, rel=1e-12)
    first = float(curves.utility(found.first.amounts).sum()) - float(found.first.costs.sum())
    assert float(found.first.utility) == pytest.approx(first, rel=1e-12)


def test_without_money_all_is_sold() -> None:
    found = allocate(lines(), 0.0, current=[10.0, 0.0], trade_cost=0.1, fixed_cost=2.0)
    assert (float(found.utility), float(found.gap), found.trades.tolist()) == (-3.0, 0.0, [-10.0, 0.0])


def test_many_entry_costs_are_a_choice_of_whom_to_enter() -> None:
    """Ten instruments from nothing, each with its price of entry: all subsets."""
    rng = np.random.default_rng(9)
    p = make_problem(["linear"] * 10, np.column_stack([-rng.uniform(0.3, 2.0, 10), rng.uniform(0.5, 1.0, 10)]), 1.0,
                     fixed_cost=rng.uniform(0.01, 0.08, 10))  # fmt: skip
    result = solve(p)
    best = -math.inf
    for subset in range(1, 1024):
        chosen = np.array([bool(subset >> i & 1) for i in range(10)])
        some = replace(p, upper=np.where(chosen, math.inf, 0.0), fixed_cost=np.zeros(10))
        found = solve(some)
        best = max(best, float(found.utility) - float(p.fixed_cost[chosen].sum()))
    assert float(result.utility) == pytest.approx(best, rel=1e-9)
    assert float(result.gap) <= 1e-6


# --- by symbol, and what is refused ------------------------------------------------------------------------------


def test_holdings_and_costs_are_matched_by_symbol() -> None:
    named = allocate(
        lines(), 300_000.0, current={"S1": 150_000.0, "S0": 150_000.0}, trade_cost=({"S1": 0.5, "S0": 0.03}, 0.05)
    )
    placed = allocate(lines(), 300_000.0, current=[150_000.0] * 2, trade_cost=(np.array([0.03, 0.5]), 0.05))
    assert np.array_equal(named.amounts, placed.amounts)
    assert named.to_dataframe().columns.tolist()[-2:] == ["trade", "cost"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"current": [1.0, -2.0]}, r"current must be .*, but current\[1\] = -2.0"),
        ({"current": {"S0": 1.0, "S9": 1.0}}, r"current names 'S9', which is not among the symbols"),
        ({"trade_cost": 500.0}, r"trade_cost must be in \[0, 1\], but trade_cost = 500.0"),
        ({"trade_cost": (0.1, [0.1, math.nan])}, r"trade_cost\[1\] must be .*, but trade_cost\[1\]\[1\] = nan"),
        ({"trade_cost": (0.1, 0.1, 0.1)}, r"a tuple \(buy, sell\), not a tuple of 3"),
        ({"fixed_cost": math.inf}, r"fixed_cost must be .*, but fixed_cost = inf"),
        ({"fixed_cost": 1.0, "method": "greedy"}, "method='greedy' knows no costs of trading"),
    ],
)
def test_bad_costs_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(AllocationError, match=says):
        allocate(lines(), 1.0, **given)
