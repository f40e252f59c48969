"""allocate with groups that overlap: against linear programmes, a conic solver, all combinations, and bad input."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from escala import AllocationError, Binding, CurveSet, InfeasibleError, allocate
from tests.naive import allocation as naive
from tests.naive.allocation import Group, Problem
from tests.rooms.test_allocation import concave_problem, mixed_problem, rounding, solve
from tests.rooms.test_allocation_costs import costed, lines
from tests.rooms.test_allocation_groups import check_groups

Floats = npt.NDArray[np.float64]
SEEDS = st.integers(0, 2**32)


def draw_overlapping(p: Problem, rng: np.random.Generator, *, least: bool = True) -> dict[str, Group]:
    """Draw groups of two kinds (an instrument is in one of each, or none), and limits that leave an allocation."""
    inside: dict[str, list[int]] = {}
    for kind, count in (("e", 2), ("t", 3)):
        for i, k in enumerate(rng.integers(0, count + 1, len(p)).tolist()):
            if k < count:
                inside.setdefault(f"{kind}{k}", []).append(i)
    held = naive.random_feasible(p, rng)
    found = {}
    for name, members in inside.items():
        if held is None:
            found[name] = Group(tuple(members))
            continue
        mine = math.fsum(held[members].tolist())
        most = mine + float(rng.choice([math.inf, rng.uniform(0.0, 0.3) * p.money]))
        lowest = float(rng.uniform(0.5, 1.0)) * mine if least and rng.random() < 0.4 else 0.0
        found[name] = Group(tuple(members), most, lowest)
    return found


def limits_of(groups: dict[str, Group]) -> dict[str, Any]:
    return {
        "groups": {name: [f"S{i}" for i in g.members] for name, g in groups.items()},
        "group_upper": {name: g.most for name, g in groups.items()},
        "group_lower": {name: g.least for name, g in groups.items()},
    }


@settings(max_examples=25)
@given(SEEDS)
def test_concave_problems_close(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = concave_problem(rng, int(rng.integers(3, 14)))
    p = costed(p, rng, fixed=False) if rng.random() < 0.4 else p
    groups = draw_overlapping(p, rng)
    result = solve(p, **limits_of(groups))
    check_groups(p, list(groups.items()), result)
    assert float(result.upper_bound) - float(result.utility) <= 1e-9 * p.money
    assert int(result.nodes) == 1


@settings(max_examples=20)
@given(SEEDS)
def test_no_combination_exceeds_the_bound(seed: int) -> None:
    """Tickets, convex stretches, costs: three instruments, all combinations of a grid."""
    rng = np.random.default_rng(seed)
    p = replace(mixed_problem(rng, 3), spend="at_most")
    p = costed(p, rng) if rng.random() < 0.5 else p
    groups = draw_overlapping(p, rng, least=False)
    result = solve(p, **limits_of(groups))
    check_groups(p, list(groups.items()), result, searched=True)
    best = naive.best_of_all(p, list(groups.values()), 40)
    assert best <= float(result.upper_bound) + rounding(p)
    assert float(result.upper_bound) - float(result.utility) <= 1e-8 * p.money


@settings(max_examples=25)
@given(SEEDS)
def test_no_allocation_that_was_drawn_exceeds_the_bound(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = mixed_problem(rng, int(rng.integers(4, 9)))
    groups = draw_overlapping(p, rng)
    try:
        result = solve(p, **limits_of(groups), max_nodes=40)
    except InfeasibleError:  # no combination of tickets keeps to all of it, or none was found
        return
    check_groups(p, list(groups.items()), result, searched=True)
    for _ in range(20):
        amounts = naive.random_feasible(p, rng)
        if amounts is not None and naive.keeps_groups(list(groups.values()), amounts, 0.0):
            assert naive.value_of(p, amounts) <= float(result.upper_bound) + rounding(p)


def linear_programme(
    knots: list[Floats], slopes: list[Floats], total: float, groups: dict[str, Group], exactly: bool
) -> Any:
    """Every step of every ladder is a variable between 0 and its width."""
    width = np.concatenate([np.diff(row) for row in knots])
    owner = np.repeat(np.arange(len(knots)), [row.size - 1 for row in knots])
    rows, most = [], []
    for g in groups.values():
        members = np.isin(owner, g.members).astype(float)
        for sign, limit in ((1.0, g.most), (-1.0, -g.least)):
            if math.isfinite(limit) and limit != 0.0:
                rows.append(sign * members)
                most.append(sign * abs(limit))
    money = ([np.ones(width.size)], [total])
    if not exactly:
        rows, most = [*rows, *money[0]], [*most, *money[1]]
    return optimize.linprog(
        -np.concatenate(slopes), rows or None, most or None, *(money if exactly else (None, None)),
        bounds=np.stack([np.zeros_like(width), width], 1),
    )  # fmt: skip


def draw_ladders(rng: np.random.Generator) -> tuple[list[Floats], list[Floats], dict[str, Group], float]:
    """Draw ladders in groups of two kinds, with limits that may conflict."""
    n, steps = int(rng.integers(3, 25)), int(rng.integers(1, 6))
    knots = [np.concatenate([[0.0], np.cumsum(rng.uniform(0.1, 1.0, steps))]) for _ in range(n)]
    slopes = [np.sort(rng.uniform(0.2, 1.0, steps))[::-1] for _ in range(n)]
    room = np.array([row[-1] for row in knots])
    groups = {}
    for kind, count in (("e", int(rng.integers(2, 5))), ("t", int(rng.integers(2, 6)))):
        labels = rng.integers(0, count, n)
        for k in np.unique(labels).tolist():
            members = np.flatnonzero(labels == k)
            most = float(rng.choice([math.inf, rng.uniform(0.2, 0.9) * room[members].sum()]))
            least = float(rng.uniform(0.0, 0.4) * min(most, room[members].sum())) if rng.random() < 0.2 else 0.0
            groups[f"{kind}{k}"] = Group(tuple(members.tolist()), most, least)
    return knots, slopes, groups, float(rng.uniform(0.2, 0.9) * room.sum())


@pytest.mark.parametrize("exactly", [False, True])
def test_ladders_are_a_linear_programme(exactly: bool) -> None:
    """Straight steps tie everywhere: no prices alone give the amounts, and the gap closes all the same."""
    answered = refused = 0
    for seed in range(60):
        knots, slopes, groups, total = draw_ladders(np.random.default_rng(seed))
        theirs = linear_programme(knots, slopes, total, groups, exactly)
        room = [row[-1] for row in knots]
        curves = CurveSet.from_ladders(
            [f"S{i}" for i in range(len(knots))], knots, [np.append(row, 0.0) for row in slopes]
        )
        asked = {**limits_of(groups), "upper": room, "spend": "exactly" if exactly else "at_most"}
        if theirs.status == 2:
            refused += 1
            with pytest.raises(InfeasibleError):
                allocate(curves, total, **asked)
            continue
        answered += 1
        found = allocate(curves, total, **asked)
        assert float(found.gap) <= 1e-9
        assert float(found.utility) == pytest.approx(-theirs.fun, rel=1e-9)
        assert naive.keeps_groups(list(groups.values()), found.amounts, 1e-12 * total)
        assert found.amounts.sum() <= total * (1.0 + 1e-12)
    assert answered >= 20
    assert refused >= exactly


def test_beside_a_conic_solver() -> None:
    """Lines with rates of trading, upper and lower limits."""
    cp = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(5)
    for _ in range(24):
        n = int(rng.integers(4, 30))
        limit, total = 10.0 ** rng.uniform(-1.0, 1.0, n), float(rng.uniform(1.0, n))
        top, loss, held = rng.uniform(0.5, 0.99, n), rng.uniform(0.3, 0.9, n), rng.uniform(0.0, 1.0, n) * limit
        rates = rng.uniform(0.0, 0.1, n)
        p = naive.make_problem(
            ["linear"] * n, np.column_stack([-top * loss / limit, top, np.zeros(n)]), total, trusted_to=limit
        )
        groups = draw_overlapping(p, rng)
        found = solve(p, **limits_of(groups), current=held, trade_cost=rates)
        amounts, up, down = (cp.Variable(n, nonneg=True) for _ in range(3))
        within = [amounts <= limit, cp.sum(amounts) <= total, amounts == held + up - down]
        for g in groups.values():
            inside = list(g.members)
            within += [cp.sum(amounts[inside]) >= g.least]
            within += [cp.sum(amounts[inside]) <= g.most] if math.isfinite(g.most) else []
        worth = top @ amounts - (top * loss / limit) @ cp.square(amounts) - rates @ up - rates @ down
        theirs = float(cp.Problem(cp.Maximize(worth), within).solve(solver=cp.CLARABEL))
        assert float(found.gap) <= 1e-9
        assert float(found.utility) == pytest.approx(theirs, abs=1e-6 * total)


def test_two_by_two_by_hand() -> None:
    """U′ = 1 − 2·10⁻⁶·k·C; the venue may hold 250,000, the token 150,000: the first is in both."""
    found = allocate(
        lines(4), 1e6, groups={"venue": ["S0", "S1"], "token": ["S0", "S2"]},
        group_upper={"venue": 250_000.0, "token": 150_000.0},
    )  # fmt: skip
    # by hand: prices v and t with (1 − v − t)/2 + (1 − v)/4 = 0.25 and (1 − v − t)/2 + (1 − t)/6 = 0.15, in 10⁶
    v, t = np.linalg.solve([[0.75, 0.5], [0.5, 2.0 / 3.0]], [0.5, 2.0 / 3.0 - 0.15])
    assert dict(zip(found.groups, found.group_prices.tolist(), strict=True)) == pytest.approx(
        {"venue": v, "token": t}, rel=1e-9
    )
    assert found.amounts == pytest.approx(
        [(1.0 - v - t) / 2e-6, (1.0 - v) / 4e-6, (1.0 - t) / 6e-6, 125_000.0], rel=1e-9
    )
    assert found.binding_names.tolist() == ["group", "group", "group", "none"]
    assert found.binding_groups.tolist()[1:] == ["venue", "token", ""]
    assert found.groups == ("token", "venue")
    assert found.group_amounts == pytest.approx([150_000.0, 250_000.0], rel=1e-12)
    assert "venue holds 250,000: one more unit of its limit would return" in found.summary()


def overlapping_lines() -> dict[str, Any]:
    return {"groups": {"x": ["S0", "S1"], "y": ["S1", "S2"]}}


def test_a_share_of_the_total_moves_along_a_path() -> None:
    totals = np.linspace(1e4, 3e6, 150)
    asked = {**overlapping_lines(), "group_share": 0.25}
    found = allocate(lines(4), totals, **asked)
    assert (found.group_amounts <= 0.25 * totals[:, None] * (1.0 + 1e-12)).all()
    assert (found.gap <= 1e-9).all()
    parts = [allocate(lines(4), part, **asked) for part in (totals[:64], totals[64:])]
    assert np.array_equal(np.concatenate([part.amounts for part in parts]), found.amounts)
    assert np.array_equal(allocate(lines(4), totals, **asked, threads=2).amounts, found.amounts)


def test_the_order_of_instruments_and_groups_makes_no_difference() -> None:
    rng = np.random.default_rng(3)
    p = concave_problem(rng, 40, strict=True)
    groups = draw_overlapping(p, rng, least=False)
    found = solve(p, **limits_of(groups))
    order = rng.permutation(40)
    placed = {int(i): place for place, i in enumerate(order)}
    other = naive.reordered(p, order)
    moved = {name: replace(g, members=tuple(placed[i] for i in g.members)) for name, g in reversed(groups.items())}
    again = solve(other, **limits_of(moved))
    assert float(again.utility) == pytest.approx(float(found.utility), rel=1e-10)
    assert again.amounts == pytest.approx(found.amounts[order], rel=1e-5, abs=1e-7 * p.money)
    cents = naive.in_other_currency(p, 100.0)
    dear = {name: replace(g, most=100.0 * g.most, least=100.0 * g.least) for name, g in groups.items()}
    assert solve(cents, **limits_of(dear)).amounts == pytest.approx(100.0 * found.amounts, rel=1e-5, abs=1e-5 * p.money)


def test_limits_that_do_not_bind_change_nothing_but_rounding() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        p = concave_problem(rng, 7, strict=True)
        names = {f"{kind}{k}": [f"S{i}" for i in range(7) if i % count == k]
                 for kind, count in (("e", 2), ("t", 3)) for k in range(count)}  # fmt: skip
        free = solve(p, groups=names, group_upper=2.0 * p.money)
        assert free.amounts == pytest.approx(solve(p).amounts, rel=1e-7, abs=1e-9 * p.money)
        assert free.group_prices.tolist() == [0.0] * 5


def test_nested_groups_within_overlapping_ones() -> None:
    """Groups that lie in one another, beside one that overlaps them but is free: as without that one."""
    nested = {"a": ["S0", "S1", "S2"], "a/b": ["S0", "S1"]}
    limits = {"a": 2e5, "a/b": 1e5}
    plain = allocate(lines(4), 1e6, groups=nested, group_upper=limits)
    both = allocate(lines(4), 1e6, groups={**nested, "free": ["S2", "S3"]}, group_upper=limits)
    assert both.amounts == pytest.approx(plain.amounts, rel=1e-9)
    assert dict(zip(both.groups, both.group_prices.tolist(), strict=True)) == pytest.approx(
        {**dict(zip(plain.groups, plain.group_prices.tolist(), strict=True)), "free": 0.0}, rel=1e-7
    )


def test_tickets_that_do_not_fit_together() -> None:
    """Two tickets of 60,000 in a group of 100,000, and each in one more: one of them is out."""
    found = allocate(
        lines(3), 1e6, groups={"x": ["S0", "S1"], "y": ["S1", "S2"]}, group_upper={"x": 1e5, "y": 9e4},
        min_ticket=60_000.0,
    )  # fmt: skip
    assert found.amounts == pytest.approx([1e5, 0.0, 9e4])
    assert float(found.gap) <= 1e-9
    assert found.status_name == "optimal"


def test_backwards_and_in_two_phases() -> None:
    asked = {**overlapping_lines(), "group_upper": {"x": 1.5e5, "y": 1e5}}
    forwards = allocate(lines(4), 2e5, **asked)
    sought = allocate(lines(4), 1e6, target_utility=float(forwards.utility), **asked)
    assert float(sought.total) == pytest.approx(2e5, rel=1e-9)
    held = allocate(lines(4), 5e5, **asked, min_efficiency=0.9)
    assert held.first is not None
    assert (held.amounts >= held.first.amounts).all()
    assert held.group_amounts == pytest.approx([1e5, 1.5e5], rel=1e-12)  # y, x


def test_without_money_no_group_has_a_price() -> None:
    along = allocate(lines(3), [3e6, 0.0, 3e6], **overlapping_lines(), group_upper=1e4)
    assert (along.group_prices[[0, 2]] > 0.0).all()
    assert along.group_prices[1].tolist() == [0.0, 0.0]
    assert Binding.GROUP not in along.binding[1].tolist()
    with pytest.raises(InfeasibleError, match="adds up to 700, 700 above the money 0"):
        allocate(lines(3), 0.0, **overlapping_lines(), group_lower=[700.0, 500.0])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"group_upper": 1000.0, "lower": 600.0},
            r"what the instruments of group '.' must hold .* adds up to 1,200, 200 above group_upper\['.'\] = 1000.0",
        ),
        (
            {"group_lower": {"x": 1000.0}, "upper": 400.0},
            r"group_lower\['x'\] = 1000.0, but its instruments may hold 800: 200 too little",
        ),
        (
            {"group_lower": {"x": 150_000.0}},
            r"what the forced instruments must hold \(.*group_lower\) adds up to 150,000, 50,000 above the money 100,000",
        ),
        (
            {"group_lower": {"x": 500.0}, "group_upper": {"x": 400.0}},
            r"what the instruments of group 'x' must hold .* adds up to 500, 100 above group_upper\['x'\] = 400.0",
        ),
        (
            {"group_lower": {"x": 5000.0}, "group_upper": {"y": 1000.0}, "upper": [3000.0, 3000.0, 3000.0]},
            r"no allocation keeps to the limits of group '[xy]' and of the groups that share instruments with it "
            r"\('[xy]'\) and the money 100,000 within the bounds of the instruments: at least one is missed by 499\.\d+ or more",
        ),
        (
            {"group_upper": {"x": 100.0, "y": 100.0}, "spend": "exactly", "upper": 1e6},
            r"no allocation keeps to the limits of group '[xy]'.* and the money 100,000, all of which must be placed, ",
        ),
    ],
)
def test_limits_that_conflict_are_named(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InfeasibleError, match=says):
        allocate(lines(3), 100_000.0, **overlapping_lines(), **given)


def test_the_greedy_method_knows_none() -> None:
    with pytest.raises(AllocationError, match="method='greedy' knows no groups"):
        allocate(lines(3), 1.0, **overlapping_lines(), method="greedy")
