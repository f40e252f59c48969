"""allocate with limits of groups: against all combinations, the greedy rule, bounds of any prices, and bad input."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escala import Allocation, AllocationError, Binding, CurveSet, InfeasibleError, allocate
from tests.naive import allocation as naive
from tests.naive.allocation import Group, Problem
from tests.rooms.test_allocation import concave_problem, curves_of, mixed_problem, rounding, solve
from tests.rooms.test_allocation_costs import best_by_linear_programme, costed, drawn_ladders, lines

SEEDS = st.integers(0, 2**32)


def draw_groups(
    p: Problem, rng: np.random.Generator, *, least: bool = True
) -> tuple[list[Any], list[tuple[str, Group]]]:
    """Draw paths of one or two labels, and limits: some bind, some do not; what must be held is possible."""
    n = len(p)
    outer = rng.integers(0, 3, n)  # 2: no group
    paths: list[Any] = [
        None if k == 2 else (f"g{k}", f"{rng.integers(0, 2)}") if rng.random() < 0.7 else (f"g{k}",) for k in outer
    ]
    members: dict[str, list[int]] = {}
    for i, path in enumerate(paths):
        for depth in range(len(path or ())):
            members.setdefault("/".join((path or ())[: depth + 1]), []).append(i)
    found: list[tuple[str, Group]] = []
    for name in sorted(members, key=lambda name: -name.count("/")):
        inside = members[name]
        most = float(rng.choice([math.inf, rng.uniform(0.05, 0.6) * p.money]))
        room = math.fsum(min(p.high[i], p.money) if p.usable[i] and p.low[i] == 0.0 else 0.0 for i in inside)
        lowest = rng.uniform(0.0, 0.5) * min(most, room, p.money / 8.0) if least and rng.random() < 0.3 else 0.0
        forced = math.fsum(p.low[i] for i in inside if p.forced[i])
        nested = math.fsum(g.least for k, g in found if k.startswith(name + "/"))
        found.append((name, Group(tuple(inside), max(most, forced + nested), max(lowest, 0.0))))
    return paths, found


def limits_of(paths: list[Any], groups: list[tuple[str, Group]]) -> dict[str, Any]:
    upper = {name: g.most for name, g in groups}
    return {"groups": paths, "group_upper": upper, "group_lower": {name: g.least for name, g in groups}}


def check_groups(p: Problem, groups: list[tuple[str, Group]], result: Allocation, *, searched: bool = False) -> None:
    """Check that amounts keep to limits, the value is theirs, and the bound is the oracle's at the same prices.

    Where a search was needed the prices are those of the amounts: then the oracle's is some bound.
    """
    named = dict(groups)
    listed = [named[name] for name in result.groups]
    assert naive.is_feasible(p, result.amounts)
    assert naive.keeps_groups(listed, result.amounts, 1e-12 * p.money)
    assert math.isclose(float(result.utility), naive.value_of(p, result.amounts), rel_tol=1e-12, abs_tol=rounding(p))
    assert float(result.utility) <= float(result.upper_bound) <= float(result.dual_bound) + rounding(p)
    sampled = naive.priced_bound(p, listed, result.group_prices.tolist(), float(result.dual_price))
    assert searched or sampled - rounding(p) <= float(result.dual_bound) <= sampled + 1e-8 * p.money
    assert float(result.utility) <= sampled + 1e-8 * p.money
    for g, price in zip(listed, result.group_prices.tolist(), strict=True):
        held = math.fsum(result.amounts[list(g.members)].tolist())
        if int(result.nodes) == 1 and price > 1e-9:
            assert held == pytest.approx(g.most, rel=1e-9)
        if int(result.nodes) == 1 and price < -1e-9:
            assert held == pytest.approx(g.least, rel=1e-9)


@settings(max_examples=40)
@given(SEEDS)
def test_concave_problems_close_and_follow_the_greedy_rule(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = replace(concave_problem(rng, int(rng.integers(2, 10))), spend="at_most", lower=np.zeros(1))
    p = replace(p, lower=np.zeros(len(p)))
    paths, groups = draw_groups(p, rng)
    result = solve(p, **limits_of(paths, groups))
    check_groups(p, groups, result)
    assert float(result.upper_bound) - float(result.utility) <= 1e-9 * p.money
    rule = naive.greedy_in_groups(p, [g for _, g in groups], 300)
    reached = naive.value_of(p, rule)
    if naive.keeps_groups([g for _, g in groups], rule, 0.0) and naive.is_feasible(p, rule):
        assert reached <= float(result.upper_bound) + rounding(p)
    assert reached >= float(result.utility) - 0.05 * p.money


@settings(max_examples=30)
@given(SEEDS)
def test_no_combination_exceeds_the_bound(seed: int) -> None:
    """Tickets, convex stretches, costs: three instruments, all combinations of a grid."""
    rng = np.random.default_rng(seed)
    p = replace(mixed_problem(rng, 3), spend="at_most")
    p = costed(p, rng) if rng.random() < 0.5 else p
    paths, groups = draw_groups(p, rng, least=False)
    result = solve(p, **limits_of(paths, groups))
    check_groups(p, groups, result, searched=True)
    best = naive.best_of_all(p, [g for _, g in groups], 40)
    assert best <= float(result.upper_bound) + rounding(p)
    assert float(result.utility) >= best - (float(result.upper_bound) - float(result.utility)) - rounding(p)
    assert float(result.upper_bound) - float(result.utility) <= 1e-8 * p.money


@settings(max_examples=25)
@given(SEEDS)
def test_ladders_in_groups_are_a_linear_programme(seed: int) -> None:
    """What is held, rates of each instrument, groups in groups, least and most: the gap closes on the programme's."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 12))
    curves, total = drawn_ladders(rng, n), float(rng.uniform(0.0, 60.0 * n))
    p = naive.make_problem(["linear"] * n, np.tile([0.0, 1.0], (n, 1)), total)  # for its money and bounds alone
    paths, groups = draw_groups(p, rng)
    held = np.where(rng.random(n) < 0.7, rng.uniform(0.0, 80.0, n), 0.0)
    buy, sell = (np.where(rng.random(n) < 0.7, rng.uniform(0.0, 0.2, n), 0.0) for _ in range(2))
    best = best_by_linear_programme(curves, total, held, buy, sell, [g for _, g in groups])
    assert best is not None
    result = allocate(curves, total, current=held, trade_cost=(buy, sell), **limits_of(paths, groups))
    assert float(result.utility) == pytest.approx(best, rel=1e-9, abs=1e-7)
    assert float(result.upper_bound) >= best - 1e-7
    assert float(result.upper_bound) - float(result.utility) <= 1e-9 * total


def test_two_groups_by_hand() -> None:
    """U′ = 1 − 2·10⁻⁶·k·C; the first two may hold 90,000 together, the third must hold 100,000."""
    curves = lines(4)
    found = allocate(
        curves, 300_000.0, groups={"x": ["S0", "S1"], "y": ["S2"]}, group_upper={"x": 90_000.0},
        group_lower={"y": 150_000.0},
    )  # fmt: skip
    assert found.amounts == pytest.approx([60_000.0, 30_000.0, 150_000.0, 60_000.0], rel=1e-12)
    assert float(found.shadow_price) == pytest.approx(1.0 - 8e-6 * 60_000.0, rel=1e-12)
    prices = dict(zip(found.groups, found.group_prices.tolist(), strict=True))
    assert prices["x"] == pytest.approx((1.0 - 2e-6 * 60_000.0) - 0.52, rel=1e-9)
    assert prices["y"] == pytest.approx((1.0 - 6e-6 * 150_000.0) - 0.52, rel=1e-9)
    assert found.binding.tolist() == [Binding.GROUP] * 3 + [Binding.NONE]
    assert found.binding_groups.tolist() == ["x", "x", "y", ""]
    assert "x holds 90,000: one more unit of its limit would return 0.3600" in found.summary()
    assert "the limit of x" in found.summary()


def test_a_group_in_a_group() -> None:
    """The outer one leaves the others what the inner one, which is full, does not take."""
    found = allocate(
        lines(3), 1e6, groups=[("venue", "account"), ("venue", "account"), "venue"],
        group_upper={"venue": 120_000.0, "venue/account": 60_000.0},
    )  # fmt: skip
    assert found.amounts == pytest.approx([40_000.0, 20_000.0, 60_000.0], rel=1e-12)
    assert found.groups == ("venue/account", "venue")
    assert found.group_amounts == pytest.approx([60_000.0, 120_000.0], rel=1e-12)
    assert found.group_prices == pytest.approx([0.92 - 0.64, 0.64], rel=1e-9)
    assert float(found.shadow_price) == 0.0


def test_a_group_that_must_hold_more_than_pays_keeps_to_the_limits_inside_of_it() -> None:
    """Nothing returns the hurdle; the outer group must hold 800 all the same, of which the inner one 300 at most."""
    found = allocate(
        lines(3), 1e5, groups=[("a", "b"), "a", None], group_lower={"a": 800.0}, group_upper={"a/b": 300.0}, hurdle=2.0,
    )  # fmt: skip
    assert found.amounts == pytest.approx([300.0, 500.0, 0.0], rel=1e-12)
    assert found.binding_names.tolist() == ["group", "group", "price"]
    assert float(found.gap) <= 1e-12


def test_what_stops_ladders_and_kinks_in_a_full_group_is_the_group() -> None:
    """Steps end where others would return more; so does an efficiency of 1."""
    ladders = CurveSet.from_ladders(["A", "B"], [[0.0, 100.0, 300.0]] * 2, [[0.9, 0.8, 0.1], [0.9, 0.6, 0.1]])
    inside = allocate(ladders, 1e3, groups=["g", "g"], group_upper=250.0, hurdle=0.05)
    assert inside.amounts.tolist() == [150.0, 100.0]
    assert inside.binding_names.tolist() == ["group", "group"]
    ends = allocate(ladders, 1e3, groups=["g", "g"], group_upper=600.0, hurdle=0.2)  # their own steps end them
    assert ends.amounts.tolist() == [300.0, 300.0]
    assert ends.binding_names.tolist() == ["price", "price"]
    kept_up = allocate(ladders, 1e3, groups=["g", None], group_lower={"g": 300.0}, hurdle=0.85)
    assert kept_up.amounts.tolist() == [300.0, 100.0]
    assert kept_up.binding_names.tolist() == ["group", "price"]
    falls = CurveSet.from_params(["A", "B"], "linear", [[-1e-3, 1.2], [-1e-3, 1.2]])  # η is 1 up to 200
    full = allocate(falls, 1e3, groups=["g", None], group_upper=100.0)
    assert full.binding_names.tolist() == ["group", "none"]
    at_one = allocate(falls, 1e3, groups=["g", None], group_upper=200.0)
    assert at_one.amounts[0] == 200.0
    assert at_one.binding_names.tolist()[0] == "group"
    free = allocate(falls, 1e3, groups=["g", None], group_upper=500.0, hurdle=0.95)
    assert free.amounts == pytest.approx([200.0, 200.0], rel=1e-12)
    assert free.binding_names.tolist() == ["price", "price"]


def test_a_group_has_room_for_more_than_the_money() -> None:
    """All of it goes into B, whose efficiency rises: its envelope ends at the money, which is less than its limit."""
    curves = CurveSet.from_params(["A", "B"], ["linear", "exponential"], [[0.0, 0.5, 0.0], [-0.4, 2.4e-7, 0.95]])
    found = allocate(
        curves, 344_000.0, reserve=0.39, spend="exactly", min_ticket=[5e5, 0.0], groups=[None, "g"], group_share=0.67
    )
    assert found.amounts.tolist() == [0.0, pytest.approx(209_840.0, rel=1e-12)]


def test_what_is_fixed_has_one_price() -> None:
    """A group whose least is its most: U′ there, beyond the price of money."""
    found = allocate(lines(2), 1e6, groups=["g", None], group_lower=2e5, group_upper=2e5)
    assert found.group_prices == pytest.approx([0.6], rel=1e-9)
    assert float(found.gap) <= 1e-12
    steps = CurveSet.from_ladders(["A"], [[0.0, 4.0, 30.0]], [[0.8, 0.3, 0.1]])
    exact = allocate(steps, 24.0, groups=["g"], group_lower=8.0, group_upper=8.0, fixed_cost=0.1)
    assert exact.amounts.tolist() == [8.0]
    assert float(exact.gap) <= 1e-12


def test_a_share_of_the_total_moves_along_a_path() -> None:
    totals = np.linspace(1e4, 3e5, 150)
    found = allocate(lines(4), totals, groups=["x", "x", None, None], group_share=0.25)
    assert (found.group_amounts[:, 0] <= 0.25 * totals * (1.0 + 1e-12)).all()
    assert found.group_prices.shape == (150, 1)
    assert (found.gap <= 1e-9).all()
    parts = [
        allocate(lines(4), part, groups=["x", "x", None, None], group_share=0.25) for part in (totals[:64], totals[64:])
    ]
    assert np.array_equal(np.concatenate([part.amounts for part in parts]), found.amounts)
    threads = allocate(lines(4), totals, groups=["x", "x", None, None], group_share=0.25, threads=2)
    assert np.array_equal(threads.amounts, found.amounts)


def test_limits_that_do_not_bind_change_nothing_but_rounding() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        p = concave_problem(rng, 7, strict=True)
        plain = solve(p)
        free = solve(p, groups=["a", "a", "b", "b", None, "c", "c"], group_upper=2.0 * p.money)
        assert free.amounts == pytest.approx(plain.amounts, rel=1e-7, abs=1e-9 * p.money)
        assert free.group_prices.tolist() == [0.0] * 3


def test_ways_to_say_groups_agree() -> None:
    curves = lines(3)
    limits: dict[str, Any] = {"group_upper": {"a": 5e4, "a/b": 2e4}}
    by_path = allocate(curves, 3e5, groups=[("a", "b"), "a", None], **limits)
    by_symbol = allocate(curves, 3e5, groups={"S2": None, "S1": "a", "S0": ("a", "b")}, **limits)
    by_list = allocate(curves, 3e5, groups={"a": ["S0", "S1"], "a/b": ["S0"]}, **limits)
    assert np.array_equal(by_path.amounts, by_symbol.amounts)
    assert np.array_equal(by_path.amounts, by_list.amounts)
    same = allocate(curves, 3e5, groups={"one": ["S0"], "two": ["S0"]}, group_upper=[3e4, 2e4])
    assert same.amounts[0] == 2e4


def test_what_a_series_lacks_has_no_group() -> None:
    """Pandas makes NaN of None, as text or as an object."""
    named: dict[str, Any] = {"S0": "x", "S1": None, "S2": "x"}
    wanted = allocate(lines(3), 3e5, groups=named, group_upper=5e4).amounts
    for kind in (None, object, "string"):
        groups = pd.Series(named, dtype=kind)
        assert allocate(lines(3), 3e5, groups=groups, group_upper=5e4).amounts.tolist() == wanted.tolist()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"group_upper": 1.0}, "group_upper needs groups"),
        ({"groups": ["a"]}, "groups must have a label for each of 3 instruments, but has 1"),
        ({"groups": ["a", 5, None]}, r"groups\[1\] must be a label, a tuple of labels or None, not 5"),
        ({"groups": np.array("a")}, r"groups must be labels of the instruments or lists of symbols by name, not array"),
        ({"groups": {"a", "b", "c"}}, "groups must be labels of the instruments or lists of symbols by name, not {"),
        ({"groups": {"a": np.array("S0")}}, r"groups\['a'\] must be a list of symbols, not array"),
        (
            {"groups": [("a", "a"), "a/a", "a"]},
            r"groups\[1\] = 'a/a' and the path \('a', 'a'\) are both named 'a/a': rename one",
        ),
        ({"groups": {"a": ["S0", "S9"]}}, r"groups\['a'\] names 'S9', which is not among the symbols"),
        ({"groups": {"a": []}}, r"groups\['a'\] has no instruments"),
        (
            {"groups": ["a", "a", "a"], "group_upper": {"b": 1.0}},
            "group_upper names 'b', which is not among the groups",
        ),
        ({"groups": ["a", "a", "a"], "group_share": 2.0}, r"group_share must be in \[0, 1\], but group_share = 2.0"),
        ({"groups": ["a", "a", "a"], "method": "greedy"}, "method='greedy' knows no groups"),
    ],
)
def test_bad_groups_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(AllocationError, match=says):
        allocate(lines(3), 1.0, **given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"groups": ["a", "a", None], "group_upper": 1000.0, "lower": 600.0},
            "what the instruments of group 'a' must hold .* adds up to 1,200, 200 above group_upper\\['a'\\] = 1000.0",
        ),
        (
            {"groups": ["a", None, None], "group_lower": 1000.0, "upper": 600.0},
            "group_lower\\['a'\\] = 1000.0, but its instruments may hold 600: 400 too little",
        ),
        (
            {"groups": ["a", None, None], "group_lower": 1300.0, "group_upper": 1000.0},
            "must hold .* adds up to 1,300, 300 above group_upper\\['a'\\] = 1000.0",
        ),
        (
            {"groups": ["a", "a", None], "group_lower": 5000.0, "group_share": 0.04},
            "must hold .* adds up to 5,000, 1,000 above group_share\\['a'\\] = 0.04 of the total",
        ),
        (
            {"groups": [("a", "b"), None, None], "group_lower": {"a": 800.0}, "group_upper": {"a/b": 700.0}},
            "group_lower\\['a'\\] = 800.0, but its instruments may hold 700: 100 too little",
        ),
        (  # below the hurdle the inner group would hold nothing of its own
            {
                "groups": [("a", "b"), None, None],
                "group_lower": {"a": 800.0},
                "group_upper": {"a/b": 700.0},
                "hurdle": 2.0,
            },
            "group_lower\\['a'\\] = 800.0, but its instruments may hold 700: 100 too little",
        ),
        (  # the money ends what it may hold, not the group
            {"groups": ["a", None, None], "group_lower": 250_000.0},
            "adds up to 250,000, 150,000 above the money 100,000",
        ),
        (
            {"groups": ["a", None, None], "group_lower": 80_000.0, "lower": [0.0, 70_000.0, 0.0]},
            "adds up to 150,000, 50,000 above the money 100,000",
        ),
        (
            {"groups": ["a", "a", None], "group_lower": 50.0, "group_upper": 100.0, "min_ticket": 200.0},
            "no combination of instruments keeps to the limits \\(group_lower\\['a'\\] = 50.0\\)",
        ),
        (
            {
                "groups": ["a", "a", None],
                "group_lower": 300.0,
                "group_upper": 350.0,
                "min_ticket": 200.0,
                "upper": 250.0,
                "max_nodes": 1,
            },
            "no combination .* was found until the search ended: a higher max_nodes may find one",
        ),
        (
            {"groups": ["a", "b", None], "group_lower": 60_000.0},
            "adds up to 120,000, 20,000 above the money 100,000",
        ),
        (
            {"groups": ["a"] * 3, "group_share": 0.4, "spend": "exactly"},
            "must place 100,000, but .* group_upper, .* leave room for 40,000: 60,000 too little",
        ),
    ],
)
def test_limits_that_conflict_are_named(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InfeasibleError, match=says):
        allocate(lines(3), 100_000.0, **given)


def test_many_groups_of_many_families() -> None:
    """One hundred instruments in groups of groups, with rates: the gap closes."""
    rng = np.random.default_rng(8)
    p = costed(replace(concave_problem(rng, 100), spend="at_most", lower=np.zeros(100)), rng, fixed=False)
    paths = [(f"e{k % 4}", f"a{k % 8}") for k in range(100)]
    result = allocate(
        curves_of(p), p.total, **p.settings(), groups=paths, group_share={f"e{k}": 0.2 for k in range(3)},
        group_upper={f"e{k % 4}/a{k}": 0.08 * p.total for k in range(8)},
    )  # fmt: skip
    assert float(result.gap) <= 1e-9
    assert int(result.nodes) == 1
    assert (result.group_prices >= 0.0).all()
    assert (result.group_prices > 0.0).any()
    permuted = rng.permutation(100)
    curves = curves_of(p)[[f"S{i}" for i in permuted]]
    values = {
        name: value[permuted] if np.ndim(value) else value
        for name, value in p.settings().items()
        if name != "trade_cost"
    }
    other = allocate(
        curves, p.total, **values, trade_cost=(p.buy_cost[permuted], p.sell_cost[permuted]),
        groups=[paths[i] for i in permuted], group_share={f"e{k}": 0.2 for k in range(3)},
        group_upper={f"e{k % 4}/a{k}": 0.08 * p.total for k in range(8)},
    )  # fmt: skip
    assert float(other.utility) == pytest.approx(float(result.utility), rel=1e-10)


def test_curves_of_no_group_are_left_alone() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-2e-6, 1.0]])
    found = allocate(curves, 300_000.0, groups=[None, None])
    assert found.groups == ()
    assert np.array_equal(found.amounts, allocate(curves, 300_000.0).amounts)


def test_without_money_no_group_has_a_price() -> None:
    limits: dict[str, Any] = {"groups": ["a", "a", "b"], "group_upper": {"a": 1e4, "b": 2e4}}
    along = allocate(lines(3), [3e5, 0.0, 3e5], **limits)
    assert (along.group_prices[[0, 2]] > 0.0).all()
    assert along.group_prices[1].tolist() == [0.0, 0.0]
    assert Binding.GROUP not in along.binding[1].tolist()
    assert along.amounts[1].tolist() == [0.0] * 3


def test_what_groups_demand_is_demanded_of_no_money_too() -> None:
    given: dict[str, Any] = {"groups": [("a", "b"), "a", "c"], "group_lower": {"a": 500.0, "a/b": 700.0, "c": 100.0}}
    with pytest.raises(InfeasibleError, match="adds up to 800, 800 above the money 0"):
        allocate(lines(3), 0.0, **given)


def test_what_a_group_must_hold_is_found_where_more_returns_next_to_nothing() -> None:
    """Beyond their peaks C and E lose so little that the price is closer to 0 than any bisection comes."""
    params = [
        [1.0593482958233521e-07, 1.39089881092247e-05, 0.0004057030938929585, 0.0],
        [-2.511378201536126e-06, 0.3705127763901034, 0.0, 0.0],
        [0.7113325491092475, 1.863832627575376, 5.565407459128225, 3526.7059773232586],
        [-0.00010957397527697181, 0.7862454257908275, 2.1622493019800208e-07, 0.0],
        [0.22173977166346615, 0.06393469890313487, 14.871073090364218, 0.0],
        [1.0237775971099808e-07, 2.151434269668393e-307, 0.0, 0.0],
    ]
    curves = CurveSet.from_params(
        list("ABCDEF"),
        ["exponential", "linear", "power", "exponential", "hill", "quadratic"],
        params,
        trusted_to=[
            448.15953113074494,
            110521.62053923405,
            2493.2597716997143,
            5466.330020437377,
            5021.103255117903,
            math.inf,
        ],
    )
    least = 3412.5261930247575
    found = allocate(
        curves, 5017550.097253052, groups=["o", None, ("o", "i"), "o", ("o", "i"), None], group_lower=least, upper=882817.3821417206,
        priority=0.27944974777931486, hurdle=0.04280397755872051, remainder="hold",
    )  # fmt: skip
    assert found.groups == ("o/i", "o")
    assert found.group_amounts == pytest.approx([least, least], rel=1e-9)


def test_an_efficiency_that_no_share_of_a_group_keeps_is_refused() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-10, 0.3512], [-1e-10, 0.3511]], trusted_to=[6e4, 6e4])
    for share in (0.01, 0.2):
        with pytest.raises(InfeasibleError, match=r"target_efficiency = 0\.3513 is kept by no money"):
            allocate(curves, 1e4, target_efficiency=0.3513, groups=["x", "x"], group_share=share, hurdle=0.1)


def test_no_groups_at_all_are_no_groups() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-2e-6, 1.0]])
    found = allocate(curves, 3e5, groups={}, group_upper={})
    assert found.groups == ()
    assert np.array_equal(found.amounts, allocate(curves, 3e5).amounts)
