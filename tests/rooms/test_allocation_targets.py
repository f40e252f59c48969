"""allocate asked backwards: the total that meets a target, against totals one after another, and bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escala import AllocationError, CurveSet, InfeasibleError, allocate
from tests.naive.allocation import Problem
from tests.rooms.test_allocation import concave_problem, curves_of, mixed_problem
from tests.rooms.test_allocation_costs import costed

SEEDS = st.integers(0, 2**32)


def drawn(rng: np.random.Generator, *, concave: bool) -> tuple[Problem, dict[str, Any]]:
    """Draw a problem that may leave money, and sometimes costs or groups."""
    n = int(rng.integers(2, 7))
    p = concave_problem(rng, n) if concave else mixed_problem(rng, n)
    p = replace(p, spend="at_most", lower=np.zeros(n))
    if concave and rng.random() < 0.3:
        p = costed(p, rng, fixed=False)
    groups = {"groups": ["g", "g", *[None] * (n - 2)], "group_upper": 0.2 * p.total} if rng.random() < 0.3 else {}
    return p, {**p.settings(), "remainder": "hold", **groups}


def lines() -> CurveSet:
    """U′ = 1 − 2·10⁻⁶·C and 1 − 4·10⁻⁶·C, up to 0."""
    return CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-2e-6, 1.0]], trusted_to=[5e5, 2.5e5])


@settings(max_examples=12)
@given(SEEDS, st.booleans())
def test_no_less_money_returns_the_utility(seed: int, concave: bool) -> None:
    rng = np.random.default_rng(seed)
    p, options = drawn(rng, concave=concave)
    forward = allocate(curves_of(p), p.total, **options)
    target = float(rng.uniform(0.1, 1.0)) * float(forward.utility)
    if target <= 0.0:
        return
    found = allocate(curves_of(p), p.total, target_utility=target, **options)
    assert float(found.utility) >= target * (1.0 - 1e-11)
    assert float(found.total) <= p.total
    assert float(found.money) == pytest.approx(float(found.total) * (1.0 - p.reserve), rel=1e-15)
    less = allocate(curves_of(p), float(found.total) * (1.0 - 1e-6), **options)
    assert float(less.utility) < target * (1.0 + 1e-9)


@settings(max_examples=25)
@given(SEEDS)
def test_no_more_money_keeps_the_efficiency(seed: int) -> None:
    """Of alike weights, where efficiency falls with the total."""
    rng = np.random.default_rng(seed)
    p, options = drawn(rng, concave=True)
    options |= {"priority": 1.0, "trade_cost": 0.0, "current": 0.0, "min_efficiency": 0.0, "groups": None}
    options.pop("group_upper", None)
    forward = allocate(curves_of(p), p.total, **options)
    target = float(forward.global_efficiency)
    if not 0.0 < target < 0.999:
        return
    found = allocate(curves_of(p), 3.0 * p.total, target_efficiency=target, **options)
    assert float(found.global_efficiency) >= target - 1e-9
    assert float(found.total) >= float(forward.amounts.sum()) * (1.0 - 1e-6)
    more = allocate(curves_of(p), float(found.total) * (1.0 + 1e-4), **options)
    if float(more.amounts.sum()) > float(found.amounts.sum()) * (1.0 + 1e-6):
        assert float(more.global_efficiency) <= target + 1e-9


@settings(max_examples=15)
@given(SEEDS)
def test_the_last_total_that_keeps_the_efficiency_is_found(seed: int) -> None:
    """Priorities, tickets, convex stretches, holdings that cost to trade: the whole may come back to an efficiency."""
    rng = np.random.default_rng(seed)
    p, options = drawn(rng, concave=bool(rng.random() < 0.5))
    n = len(p)
    options |= {"priority": 10.0 ** rng.uniform(-1.0, 1.0, n), "tolerance": 1e-4}
    curves, most = curves_of(p), 2.0 * p.total
    totals = most * np.geomspace(1e-2, 1.0, 300)
    along = allocate(curves, totals, **options)
    reached = along.global_efficiency[~np.isnan(along.global_efficiency)]
    if not reached.size:
        return
    target = float(rng.uniform(reached.min(), reached.max()))
    keeps = along.global_efficiency >= target
    islands = np.lib.stride_tricks.sliding_window_view(keeps, 8).all(axis=1)  # 12 % of their total
    if not islands.any():
        return
    found = allocate(curves, most, target_efficiency=target, **options)
    assert float(found.global_efficiency) >= target - 1e-11
    last = totals[np.flatnonzero(islands)[-1] + 7]  # less of it may be placed
    placed = float(along.amounts[np.flatnonzero(islands)[-1] + 7].sum()) / (1.0 - p.reserve)
    assert float(found.total) >= min(last, placed) * (1.0 - 1e-6)


def test_an_efficiency_that_is_kept_twice_is_kept_up_to_the_second_time() -> None:
    """A returns a half and comes first; with x in B the whole keeps 0.7 where x² − 300·x + 20,000 ≤ 0."""
    curves = CurveSet.from_params(["A", "B"], "linear", [[0.0, 0.5], [-1e-3, 1.0]], trusted_to=[100.0, 900.0])
    for ceiling in (None, 1000.0, 3e5):
        found = allocate(curves, ceiling, priority=[3.0, 1.0], target_efficiency=0.7)
        assert float(found.total) == pytest.approx(300.0, rel=1e-9)
        assert found.amounts == pytest.approx([100.0, 200.0], rel=1e-9)
    assert float(allocate(curves, 250.0, priority=[3.0, 1.0], target_efficiency=0.7).total) == 250.0
    with pytest.raises(InfeasibleError, match=r"target_efficiency = 0.9 is kept by no money: the most found is 0.71"):
        allocate(curves, priority=[3.0, 1.0], target_efficiency=0.9)


@settings(max_examples=25)
@given(SEEDS)
def test_the_next_unit_returns_the_marginal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, options = drawn(rng, concave=True)
    forward = allocate(curves_of(p), p.total, **options)
    price = float(forward.shadow_price)
    if price <= p.hurdle + 1e-6:
        return
    target = price * (1.0 - 1e-6)
    beyond = allocate(curves_of(p), 2.0 * p.total, **options)
    if float(beyond.shadow_price) > target:  # a straight stretch goes on
        with pytest.raises(InfeasibleError, match="is not reached"):
            allocate(curves_of(p), 2.0 * p.total, target_marginal=target, **options)
        return
    found = allocate(curves_of(p), 2.0 * p.total, target_marginal=target, **options)
    before = allocate(curves_of(p), max(float(found.total), 1e-9) * (1.0 - 1e-4), **options)
    after = allocate(curves_of(p), float(found.total) * (1.0 + 1e-4), **options)
    assert float(before.shadow_price) >= target * (1.0 - 1e-7)
    assert float(after.shadow_price) <= target * (1.0 + 1e-7)


def test_two_lines_by_hand() -> None:
    forward = allocate(lines(), 300_000.0)
    assert (float(forward.utility), float(forward.shadow_price)) == pytest.approx((240_000.0, 0.6))
    for name, value in (("utility", 240_000.0), ("efficiency", 0.8), ("marginal", 0.6)):
        target: dict[str, Any] = {f"target_{name}": value}
        found = allocate(lines(), **target)
        assert float(found.total) == pytest.approx(300_000.0, rel=1e-11), target
        assert np.shape(found.total) == ()
        assert found.amounts == pytest.approx([200_000.0, 100_000.0], rel=1e-10)
        assert float(found.gap) <= 1e-9
    assert float(allocate(lines(), target_utility=0.0).total) == 0.0
    # all that may be placed keeps an efficiency of a half
    assert float(allocate(lines(), target_efficiency=0.3).total) == 750_000.0
    # a share of the total moves with it: 0.6·T in the first, 25,000 in the second
    shared = allocate(lines(), target_marginal=0.9, max_share=0.6)
    assert float(shared.total) == pytest.approx(62_500.0, rel=1e-8)


def falling(*starts: float) -> CurveSet:
    """η = start − C, up to 10."""
    return CurveSet.from_params(list("ABC"[: len(starts)]), "linear", [[-1.0, s] for s in starts], trusted_to=10.0)


@pytest.mark.parametrize(
    ("starts", "target", "given", "total", "amounts"),
    [
        ([1.0], 0.59, {"max_share": 0.5, "hurdle": 0.2}, 0.8, [0.4]),
        ([1.0], 0.6, {"max_share": 0.5, "hurdle": 0.2}, 0.8, [0.4]),
        ([1.0], 0.59, {"max_share": 0.5, "hurdle": 0.2, "reserve": 0.6}, 1.0, [0.4]),
        ([1.0], 0.59, {"groups": ["g"], "group_share": 0.25, "hurdle": 0.2}, 1.6, [0.4]),
        ([1.0, 0.9], 0.3, {"max_share": [0.3, 1.0]}, 0.5 / 0.3, [0.5, 0.45]),
    ],
)
def test_shares_of_a_total_have_room_where_it_keeps_the_efficiency(
    starts: list[float], target: float, given: dict[str, Any], total: float, amounts: list[float]
) -> None:
    """All that is worth placing keeps it: the total is the least in which its share of the total does not hinder."""
    found = allocate(falling(*starts), target_efficiency=target, **given)
    assert float(found.total) == pytest.approx(total, rel=1e-12)
    assert found.amounts == pytest.approx(amounts, rel=1e-9)
    again = allocate(falling(*starts), target_efficiency=[target, 0.9], **given)
    assert again.total[0] == found.total
    assert again.global_efficiency[1] == pytest.approx(0.9)


@settings(max_examples=20)
@given(SEEDS)
def test_no_total_places_more_and_keeps_the_efficiency(seed: int) -> None:
    """With shares, whether the money that there is keeps it or not."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 4))
    curves = falling(*rng.uniform(0.5, 1.0, n))
    given: dict[str, Any] = {
        "max_share": rng.uniform(0.2, 1.0, n), "hurdle": rng.uniform(0.0, 0.4), "reserve": rng.uniform(0.0, 0.5),
    }  # fmt: skip
    along = allocate(curves, np.geomspace(1e-2, 10.0, 200), **given)
    reached = along.global_efficiency
    target = float(rng.uniform(np.nanmin(reached) - 0.1, np.nanmax(reached)))
    found = allocate(curves, 10.0, target_efficiency=target, **given)
    assert float(found.global_efficiency) >= target - 1e-11
    most = along.amounts.sum(axis=1)[reached >= target].max(initial=0.0)
    assert float(found.amounts.sum()) >= most * (1.0 - 1e-9)


@pytest.mark.parametrize("target", [0.78, 0.8, 0.85, 0.9, 0.95])
def test_a_price_that_rises_where_a_trade_pays_for_itself_is_found(target: float) -> None:
    """1 − 2·C of the first, before the second is worth its fixed cost."""
    found = allocate(falling(1.0, 0.9), target_marginal=target, fixed_cost=0.01)
    assert float(found.total) == pytest.approx(0.5 * (1.0 - target), rel=1e-9)
    assert float(found.shadow_price) == pytest.approx(target, rel=1e-9)


@pytest.mark.parametrize("target", [0.5, 0.9, 1.2])
def test_a_price_beyond_what_the_whole_returns_is_found(target: float) -> None:
    """Of a curve that rises: the total at which its marginal utility falls to the target."""
    hill = CurveSet.from_params(["A"], "hill", [[1.6, 0.7, 3.0]], trusted_to=10.0)
    found = allocate(hill, target_marginal=target)
    assert float(found.shadow_price) == pytest.approx(target, rel=1e-9)
    assert float(allocate(hill, float(found.total) * (1.0 + 1e-4)).shadow_price) < target
    many = allocate(hill, target_marginal=[target, 0.7], params=np.stack([hill.params] * 2))
    assert many.total[:, 0].tolist() == [float(found.total)] * 2


def test_money_that_is_left_returns_the_hurdle() -> None:
    """0.38 and 0.33 return it, and the shares leave money at any total."""
    found = allocate(falling(1.0, 0.9), target_marginal=0.24, max_share=[0.34, 0.57], hurdle=0.24)
    assert found.amounts == pytest.approx([0.38, 0.33], rel=1e-9)
    assert float(found.total) == pytest.approx(0.38 / 0.34, rel=1e-9)


def test_many_targets_in_one_call() -> None:
    targets = np.linspace(0.0, 370_000.0, 130)
    found = allocate(lines(), target_utility=targets)
    assert found.total.shape == (130,)
    assert found.utility == pytest.approx(targets, rel=1e-11, abs=1e-9)
    assert (np.diff(found.total) > 0.0).all()
    parts = [allocate(lines(), target_utility=part).total for part in (targets[:64], targets[64:])]
    assert np.array_equal(np.concatenate(parts), found.total)
    assert np.array_equal(allocate(lines(), target_utility=targets, threads=2).total, found.total)
    drawn_params = np.stack([lines().params, lines().params * [0.5, 1.0, 1.0, 1.0]])
    two = allocate(lines(), 7e5, target_utility=1e5, params=drawn_params)
    assert two.total.shape == (2,)
    assert two.total[1] < two.total[0]


def test_no_amount_is_below_zero_where_the_others_stay() -> None:
    """The money that is sought differs from what is held by a rounding error, which nobody takes."""
    curves = CurveSet.from_params(["A", "B", "C"], "linear", [[-1e-7, 0.9], [-2e-7, 0.95], [-5e-5, 0.8]])
    held = [1226.60817369, 345.62603221, 1898.39786446]
    for target in np.linspace(1000.0, 2000.0, 200):
        found = allocate(curves, 1e4, target_utility=target, current=held, fixed_cost=[438.4, 535.9, 50.9])
        assert (found.amounts >= 0.0).all()


def test_a_smallest_ticket_makes_a_jump() -> None:
    """Nothing is returned before the ticket fits."""
    found = allocate(lines(), target_utility=1.0, min_ticket=40_000.0)
    assert float(found.total) == pytest.approx(40_000.0, rel=1e-11)
    assert float(found.utility) > 38_000.0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"target_utility": 1e9}, "target_utility = 1000000000.0 is more than 750,000 can return: 375000.0 at most"),
        ({"target_marginal": 2.0}, "target_marginal = 2.0 is returned by no unit: the first returns 1.0"),
        (
            {"target_marginal": 0.5, "groups": ["g", "g"], "group_share": 0.5},
            "target_marginal = 0.5 is returned by no total that was tried up to 750,000: the nearest that one returns is",
        ),
        (
            {"target_marginal": 0.9999999, "fixed_cost": 1e3},
            "target_marginal = 0.9999999 is returned by no total that was tried up to 750,000: the nearest that one",
        ),
        (
            {"total": 1e5, "target_marginal": 0.1},
            "target_marginal = 0.1 is not reached: the last unit of 100,000 still returns 0.866666",
        ),
        (
            {"target_efficiency": 0.999, "min_ticket": 100_000.0},
            "target_efficiency = 0.999 is kept by no money: the most found is 0.9",
        ),
    ],
)
def test_targets_that_cannot_be_met_name_the_nearest(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InfeasibleError, match=says):
        allocate(lines(), **given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"target_utility": 1.0, "target_marginal": 0.5}, "target_utility and target_marginal are two questions"),
        ({"target_efficiency": 1.5}, r"target_efficiency must be in \[0, 1\], but target_efficiency = 1.5"),
        ({"target_utility": [1.0, np.nan]}, r"target_utility must be .*, but target_utility\[1\] = nan"),
        ({"target_utility": 1.0, "spend": "exactly"}, "spend='exactly' knows no targets"),
        ({"target_utility": 1.0, "method": "greedy"}, "method='greedy' knows no targets"),
        ({"target_utility": [1.0, 2.0], "total": [1.0, 2.0, 3.0]}, r"target_utility of shape \(2,\) does not go with"),
        (
            {"target_marginal": [0.3, 0.1], "hurdle": 0.2},
            r"target_marginal must be at least hurdle = 0.2, which any unit returns elsewhere, but target_marginal\[1\] = 0.1",
        ),
        ({}, "total must be given, or a target"),
        (
            {"target_utility": 1.0, "params": lines().params[None], "aggregate": "mean"},
            "aggregate knows neither groups nor targets",
        ),
    ],
)
def test_bad_targets_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(AllocationError, match=says):
        allocate(lines(), **given)


def test_an_open_end_needs_a_total() -> None:
    curves = CurveSet.from_params(["A"], "linear", [[-1e-6, 1.0]])
    with pytest.raises(
        AllocationError, match="total must say how much there is at most: 'A' has neither `upper` nor `trusted_to`"
    ):
        allocate(curves, target_utility=1.0)
    assert float(allocate(curves, 1e6, target_utility=9e4).total) == pytest.approx(1e5, rel=1e-11)
