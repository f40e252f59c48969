"""allocate_periods: against linear programmes, all combinations, closed forms and allocate itself; and bad input."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import escala
from escala import AllocationError, Binding, CurveSet, InfeasibleError, PeriodAllocation, allocate, allocate_periods
from escala.curves.families import Family, in_units
from escala.tables import FAMILIES
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


def ladder_knots(b: Budget) -> list[list[Any]]:
    """Give the knots of all ladders within what they may hold."""
    most, found = b.most(), []
    for t, curves in enumerate(b.curves):
        own = [curves.ladder(symbol).knots for symbol in curves.symbols]
        found.append([np.append(k[k < most[t, i]], most[t, i]) for i, k in enumerate(own)])
    return found


# --- against oracles -------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(SEEDS)
def test_ladders_are_solved_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    periods, n = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    b = budget(rng, [ladders(rng, n) for _ in range(periods)])
    found = solve(b)
    check(b, found)
    best = naive.best_of_pieces(b, ladder_knots(b))
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


@settings(max_examples=20)
@given(SEEDS)
def test_symbols_limited_over_all_periods(seed: int) -> None:
    """What crosses the limits of periods closes all the same where utilities are concave."""
    rng = np.random.default_rng(seed)
    periods, n = int(rng.integers(2, 5)), int(rng.integers(2, 5))
    b = budget(rng, [concave(rng, n) for _ in range(periods)], crossing=True)
    found = solve(b)
    check(b, found)
    best = naive.best_of_pieces(b, naive.even_knots(b, 60))
    assert found.upper_bound >= best - 1e-9 * b.scale
    assert found.gap <= 1e-8
    assert best >= found.utility - 2e-2 * b.scale


@settings(max_examples=15)
@given(SEEDS)
def test_ladders_of_limited_symbols(seed: int) -> None:
    rng = np.random.default_rng(seed)
    b = budget(rng, [ladders(rng, 3) for _ in range(3)], crossing=True)
    found = solve(b)
    check(b, found)
    best = naive.best_of_pieces(b, ladder_knots(b))
    assert found.utility <= best + 1e-9 * b.scale
    assert found.upper_bound >= best - 1e-9 * b.scale
    assert found.gap <= 1e-6


@settings(max_examples=20)
@given(SEEDS)
def test_no_combination_exceeds_the_bound(seed: int) -> None:
    """Tickets and convex stretches: two instruments in two periods, all combinations of a grid."""
    rng = np.random.default_rng(seed)
    curves = [
        CurveSet.from_params(
            ["S0", "S1"], ["hill", "exponential"],
            [[rng.uniform(0.5, 1.0), rng.uniform(5e4, 2e5), rng.uniform(1.5, 3.0)],
             [rng.uniform(0.5, 0.9), rng.uniform(2e-6, 2e-5), 0.05]],
        )
        for _ in range(2)
    ]  # fmt: skip
    b = budget(rng, curves, crossing=rng.random() < 0.5, least=False)
    b = replace(b, ticket=float(rng.choice([0.0, 4e4])))
    found = solve(b)
    check(b, found)
    best = naive.best_of_all(b, 24)
    assert best <= found.upper_bound + 1e-9 * b.scale
    assert found.utility >= best - (found.upper_bound - found.utility) - 1e-9 * b.scale
    if not np.isfinite(b.symbol_upper).any():
        assert found.gap <= 1e-7
    assert (found.status_name == "optimal") == (found.gap <= 1e-9 * 16)


# --- closed forms ----------------------------------------------------------------------------------------------------


def test_money_is_spread_and_never_lent() -> None:
    """U′ = 1 − 2·10⁻⁶·k·C: what is early is spread, what comes late stays late."""
    found = allocate_periods(TWO, [300_000.0, 0.0, 600_000.0])
    assert found.amounts == pytest.approx(np.array([[1e5, 5e4], [1e5, 5e4], [4e5, 2e5]]), rel=1e-12)
    assert found.prices == pytest.approx([0.8, 0.8, 0.2], rel=1e-12)
    assert found.carried == pytest.approx([150_000.0, 0.0, 0.0], rel=1e-12)
    assert found.available == pytest.approx([300_000.0, 150_000.0, 600_000.0], rel=1e-12)
    assert (found.binding == Binding.NONE).all()
    assert (found.limit_prices == 0.0).all()
    assert (found.symbol_prices == 0.0).all()


def test_equal_periods_share_equally() -> None:
    found = allocate_periods(TWO, 1_200_000.0, periods=4)
    assert found.amounts == pytest.approx(np.tile([200_000.0, 100_000.0], (4, 1)), rel=1e-12)
    assert len(found) == 4


def test_interest_moves_money_to_later() -> None:
    """U′₀ = c·U′₁, and what is spent then is what was left, with interest."""
    c = 1.05
    found = allocate_periods(lines([1e-6]), [300_000.0, 0.0], carry=c)
    first = (1.0 - c + 2e-6 * c * c * 300_000.0) / (2e-6 * (1.0 + c * c))
    assert found.amounts[:, 0] == pytest.approx([first, c * (300_000.0 - first)], rel=1e-12)
    assert found.prices[0] == pytest.approx(c * found.prices[1], rel=1e-12)
    assert found.prices[1] == pytest.approx(1.0 - 2e-6 * found.amounts[1, 0], rel=1e-9)


def test_what_is_lost_is_spent_sooner() -> None:
    kept = allocate_periods(lines([1e-6]), [300_000.0, 0.0], carry=1.0)
    some = allocate_periods(lines([1e-6]), [300_000.0, 0.0], carry=[0.8])
    none = allocate_periods(lines([1e-6]), [300_000.0, 0.0], carry=False)
    assert kept.amounts[0, 0] < some.amounts[0, 0] < none.amounts[0, 0] == 300_000.0
    assert none.amounts[1, 0] == 0.0
    assert kept.utility > some.utility > none.utility


def test_limits_of_periods_have_prices() -> None:
    found = allocate_periods(
        TWO, [300_000.0, 0.0, 600_000.0], period_upper=[np.inf, np.inf, 300_000.0], period_lower=[0.0, 240_000.0, 0.0]
    )
    assert found.spent == pytest.approx([60_000.0, 240_000.0, 300_000.0], rel=1e-12)
    assert found.prices == pytest.approx([0.92, 0.92, 0.0], abs=1e-9)
    assert found.limit_prices == pytest.approx([0.0, 0.68 - 0.92, 0.6], abs=1e-9)
    assert found.binding.tolist() == [[Binding.NONE] * 2, [Binding.GROUP] * 2, [Binding.GROUP] * 2]
    text = found.summary()
    assert "period_upper: one more unit would return 0.6000 besides" in text
    assert "period_lower: one more unit would return -0.2400 besides" in text


def test_limits_of_symbols_within_one_budget_are_groups() -> None:
    """All money is there, and no period is limited: one more group, no search for prices."""
    found = allocate_periods(TWO, 900_000.0, periods=3, symbol_upper={"B": np.inf, "A": 300_000.0})
    assert found.amounts == pytest.approx(np.tile([100_000.0, 200_000.0], (3, 1)), rel=1e-12)
    assert found.symbol_prices == pytest.approx([0.8 - 0.2, 0.0], rel=1e-9)
    assert found.nodes == 1
    assert found.binding.tolist() == [[Binding.GROUP, Binding.NONE]] * 3
    assert "A is at its symbol_upper 300,000: one more unit would return 0.6000 besides" in found.summary()
    crossing = allocate_periods(
        TWO, 900_000.0, carry=[1.0, 1.0], symbol_upper={"A": 300_000.0, "B": np.inf}, period_upper=850_000.0
    )
    assert crossing.amounts == pytest.approx(found.amounts, rel=1e-9)
    assert crossing.symbol_prices == pytest.approx(found.symbol_prices, rel=1e-9)
    assert crossing.prices == pytest.approx(found.prices, rel=1e-9)
    assert crossing.gap <= 1e-11


def test_the_hurdle_counts_what_money_would_have_become() -> None:
    """Money left at the end returns 0.5: with interest the first period must return more."""
    found = allocate_periods(lines([1e-6]), [1e6, 1e6], carry=1.1, hurdle=0.5)
    assert found.amounts[:, 0] == pytest.approx([(1.0 - 0.55) / 2e-6, (1.0 - 0.5) / 2e-6], rel=1e-12)
    assert found.prices == pytest.approx([0.55, 0.5], rel=1e-12)
    lost = allocate_periods(lines([1e-6]), [1e6, 1e6], carry=0.0, hurdle=0.5)
    assert lost.amounts[:, 0] == pytest.approx([250_000.0, 250_000.0], rel=1e-12)
    assert "net of the hurdle" in found.summary()


def test_discount() -> None:
    powers = allocate_periods(TWO, 1e6, periods=3, discount=0.9)
    given = allocate_periods(TWO, 1e6, discount=[1.0, 0.9, 0.9**2], carry=True)
    weighted = allocate_periods(TWO, 1e6, periods=3, priority=np.array([[1.0], [0.9], [0.9**2]]))
    assert np.array_equal(powers.amounts, given.amounts)
    assert np.array_equal(powers.amounts, weighted.amounts)
    assert powers.spent[0] > powers.spent[1] > powers.spent[2]
    assert (powers.priority == weighted.priority).all()


# --- against allocate ------------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(SEEDS)
def test_without_carry_every_period_is_allocated_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    curves = [concave(rng, 4) for _ in range(3)]
    total = rng.uniform(0.0, 5e5, 3)
    same: dict[str, Any] = {
        "min_efficiency": 0.2,
        "upper": 2e5,
        "min_ticket": 1e4,
        "priority": rng.uniform(0.5, 1.0, 4),
    }
    found = allocate_periods(curves, total, carry=False, **same)
    alone = [allocate(one, float(money), **same) for one, money in zip(curves, total, strict=True)]
    assert np.array_equal(found.amounts, np.stack([one.amounts for one in alone]))
    assert found.prices.tolist() == [float(one.shadow_price) for one in alone]
    assert found.utility == pytest.approx(sum(float(one.utility) for one in alone), rel=1e-14)
    assert np.array_equal(found.below_threshold, np.stack([one.below_threshold for one in alone]))


def test_one_budget_is_one_allocation_over_all_periods() -> None:
    rng = np.random.default_rng(4)
    curves = [concave(rng, 5) for _ in range(4)]
    found = allocate_periods(curves, 1e6, hurdle=0.1)
    renamed = [
        CurveSet.from_params([f"{t}/{symbol}" for symbol in one.symbols], one.family_names, one.params)
        for t, one in enumerate(curves)
    ]
    whole = allocate(CurveSet.concatenate(renamed), 1e6, hurdle=0.1)
    assert np.array_equal(found.amounts.reshape(-1), whole.amounts)
    assert found.utility == float(whole.utility)
    assert found.prices.tolist() == [float(whole.shadow_price)] * 4
    assert found.gap == float(whole.gap)


def test_one_period_is_an_allocation() -> None:
    found = allocate_periods(TWO, 3e5, periods=1)
    assert np.array_equal(found.amounts[0], allocate(TWO, 3e5).amounts)
    assert found.carry.shape == (0,)
    assert allocate_periods([TWO], 3e5, periods=1, symbol_upper=1e5).amounts[0].tolist() == [1e5, 1e5]


@pytest.mark.parametrize("name", sorted(one.name.lower() for one in Family))
def test_families_are_closed_under_the_change_of_unit(name: str) -> None:
    family = Family[name.upper()]
    drawn = {
        "linear": [-2e-6, 0.9], "quadratic": [1e-12, -2e-6, 0.9], "exponential": [0.8, 3e-6, 0.1],
        "sqrt": [-4e-4, 0.9], "hill": [1.1, 2e5, 1.7], "depth": [0.9, 3e5, 1.4], "power": [0.9, 0.4, 0.7, 2e5],
    }  # fmt: skip
    if family == Family.LADDER:
        curves = CurveSet.from_ladders(["A"], [[0.0, 1e5, 3e5]], [[0.9, 0.5, 0.2]])
    else:
        curves = CurveSet.from_params(["A"], name, [drawn[name]])
    capital = np.linspace(1.0, 8e5, 50)
    worth = np.array([1.7])
    changed = in_units(curves.params, curves.family, worth)
    there = allocate_periods([curves, curves], [4e5, 0.0], carry=1.7, upper=5e5)
    # the same curve in the other unit: efficiency at y = C·1.7 of the changed one is that at C of the other
    if family != Family.LADDER:
        other = CurveSet.from_params(["A"], name, changed[:, : len(drawn[name])])
        assert other.efficiency(capital * 1.7) == pytest.approx(curves.efficiency(capital), rel=1e-12)
    b = Budget(
        [curves, curves], np.array([4e5, 0.0]), np.array([1.7]), np.ones((2, 1)), np.full((2, 1), 5e5),
        np.zeros((2, 1)), np.full(2, np.inf), np.zeros(2), np.full(1, np.inf),
    )  # fmt: skip
    check(b, there)
    best = naive.best_of_all(b, 800)
    assert best <= there.upper_bound + 1e-9 * b.scale
    assert best >= there.utility - 1e-3 * b.scale


def test_every_coefficient_says_which_power_of_capital_it_is_in() -> None:
    for form in FAMILIES:
        assert len(form.powers) == len(form.coefficients), form.name


# --- invariances -----------------------------------------------------------------------------------------------------


def drawn_budget(seed: int = 8, **more: Any) -> Budget:
    rng = np.random.default_rng(seed)
    return budget(rng, [concave(rng, 4) for _ in range(4)], **more)


@pytest.mark.parametrize("crossing", [False, True])
def test_symbols_and_currency_make_no_difference(crossing: bool) -> None:
    b = drawn_budget(crossing=crossing)
    found = solve(b)
    order = np.array([2, 0, 3, 1])
    turned = replace(
        b, curves=[one[order] for one in b.curves], weight=b.weight[:, order], upper=b.upper[:, order],
        lower=b.lower[:, order], symbol_upper=b.symbol_upper[order],
    )  # fmt: skip
    again = solve(turned)
    assert again.utility == pytest.approx(found.utility, rel=1e-10)
    assert again.amounts == pytest.approx(found.amounts[:, order], abs=1e-5 * b.scale)
    rate = np.full(4, 0.01)
    cheaper = [
        CurveSet.from_params(one.symbols.tolist(), one.family_names, in_units(one.params, one.family, rate))
        for one in b.curves
    ]
    other = replace(
        b, curves=cheaper, arrived=b.arrived * 0.01, upper=b.upper * 0.01, lower=b.lower * 0.01,
        period_upper=b.period_upper * 0.01, period_lower=b.period_lower * 0.01, symbol_upper=b.symbol_upper * 0.01,
    )  # fmt: skip
    assert solve(other).utility == pytest.approx(0.01 * found.utility, rel=1e-10)


def test_curves_of_periods_are_matched_by_name() -> None:
    b = drawn_budget()
    turned = [one if t == 0 else one[[3, 1, 2, 0]] for t, one in enumerate(b.curves)]
    assert np.array_equal(solve(replace(b, curves=turned)).amounts, solve(b).amounts)


def test_settings_are_keyed_by_symbol() -> None:
    pandas = pytest.importorskip("pandas")
    plain = np.array([[5e4, 2e5], [6e4, 2e5], [7e4, 2e5]])
    wanted = allocate_periods(TWO, 6e5, periods=3, upper=plain)
    frame = pandas.DataFrame({"B": plain[:, 1], "A": plain[:, 0]}, index=["Q1", "Q2", "Q3"])
    for upper in (frame, {"B": 2e5, "A": plain[:, 0]}, {"A": plain[:, 0], "B": plain[:, 1]}):
        assert np.array_equal(allocate_periods(TWO, 6e5, periods=3, upper=upper).amounts, wanted.amounts)
    each = allocate_periods(TWO, 6e5, periods=3, upper=pandas.Series({"B": 1e5, "A": 5e4}))
    assert np.array_equal(each.amounts, allocate_periods(TWO, 6e5, periods=3, upper=[5e4, 1e5]).amounts)


def test_the_same_bits_again() -> None:
    b = drawn_budget(crossing=True)
    first, again = solve(b), solve(b)
    assert np.array_equal(first.amounts, again.amounts)
    assert first.upper_bound == again.upper_bound


# --- what may be missing ---------------------------------------------------------------------------------------------


def test_no_money_early_or_at_all() -> None:
    late = allocate_periods(TWO, [0.0, 300_000.0])
    assert late.amounts == pytest.approx(np.array([[0.0, 0.0], [2e5, 1e5]]), rel=1e-12)
    assert late.prices == pytest.approx([1.0, 0.6], rel=1e-12)
    assert (late.binding[0] == Binding.PRICE).all()
    nothing = allocate_periods(TWO, 0.0, periods=3)
    assert (nothing.amounts == 0.0).all()
    assert nothing.gap == 0.0


def test_a_curve_may_be_missing_in_a_period() -> None:
    bare = escala.fit(["A", "B", "B", "B"], [1.0, 1.0, 2.0, 3.0], [0.9, 0.9, 0.8, 0.7])
    known = CurveSet.from_params(["A", "B"], "linear", [[-0.1, 1.0], [-0.1, 1.0]])
    found = allocate_periods([bare, known], [4.0, 0.0])
    assert found.amounts[0, 0] == 0.0
    assert found.binding[0, 0] == Binding.NO_CURVE
    assert math.isnan(found.efficiency[0, 0])
    assert found.amounts[1, 0] > 0.0


def test_trust_ends_in_every_period() -> None:
    short = CurveSet.from_params(["A"], "linear", [[-1e-6, 1.0]], trusted_to=50_000.0)
    found = allocate_periods([short, lines([1e-6])], 400_000.0, carry=1.02)
    assert found.amounts[0, 0] == pytest.approx(50_000.0, rel=1e-12)
    assert found.binding[0, 0] == Binding.LIMIT


def test_spend_exactly() -> None:
    found = allocate_periods(TWO, [2e6, 0.0], spend="exactly")
    assert found.spent.sum() == pytest.approx(2e6, rel=1e-12)
    assert found.carried[-1] == 0.0
    assert found.prices[0] < 0.0
    with pytest.raises(
        InfeasibleError, match=r'spend="exactly" must place 2,000,000 in periods 0 to 1, but .*period_upper'
    ):
        allocate_periods(TWO, [2e6, 0.0], spend="exactly", period_upper=5e5)


def test_results_show_themselves() -> None:
    found = allocate_periods(TWO, [300_000.0, 0.0, 600_000.0], min_efficiency=0.5, remainder="hold")
    assert repr(found).startswith("<PeriodAllocation of 900,000 over 3 periods and 2 instruments: utility ")
    assert list(found.to_dict()) == ["A", "B"]
    assert found.to_dict()["A"] == found.amounts[:, 0].tolist()
    assert "<table>" in found._repr_html_()
    text = found.summary()
    assert "900,000 of 900,000 spent in 3 periods over 2 instruments" in text
    assert "A 400,000, B 200,000" in text
    assert "… and 2 more" in found.summary(rows=1)
    with pytest.raises(ValueError, match="read-only"):
        found.amounts[0, 0] = 1.0
    pytest.importorskip("pandas")
    frame = found.to_dataframe()
    assert frame.shape[0] == 6
    assert frame["period"].tolist() == [0, 0, 1, 1, 2, 2]


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"curves": "A"}, r"curves must be a CurveSet, not str"),
        ({"curves": [TWO, 3]}, r"curves\[1\] must be a CurveSet, not int"),
        ({"curves": []}, r"curves must hold at least one period"),
        ({"curves": [TWO, lines([1e-6, 1e-6], "AC")]}, r"curves\[1\] has 'C', which is not among the symbols of curves\[0\]"),
        ({"curves": [TWO, TWO["A"]]}, r"curves\[1\] has no 'B', which curves\[0\] has"),
        ({"total": 1.0}, r"periods must say how many there are: there is one set of curves, and total is a number"),
        ({"total": [1.0, -2.0]}, r"total must be in \[0, inf\), but total\[1\] = -2.0"),
        ({"total": [[1.0]]}, r"total of shape \(1, 1\) must be a number or one a period"),
        ({"total": [1.0, 1.0], "periods": 3}, r"periods is of 3 periods, but total of 2"),
        ({"curves": [TWO] * 3}, r"curves is of 3 periods, but total of 2"),
        ({"carry": [1.0, 1.0]}, r"total is of 2 periods, but carry of 3"),
        ({"carry": -0.1}, r"carry must be in \[0, inf\), but carry = -0.1"),
        ({"carry": "all"}, r"carry must be real numbers"),
        ({"periods": 0}, r"periods must be an integer of at least 1, not 0"),
        ({"discount": -1.0}, r"discount must be in \[0, inf\)"),
        ({"discount": [1.0, 1.0, 1.0]}, r"total is of 2 periods, but discount of 3"),
        ({"upper": [[1.0, -2.0], [1.0, 1.0]]}, r"upper must be .*, but upper\[0, 1\] = -2.0"),
        ({"upper": [1.0, 2.0, 3.0]}, r"upper of shape \(3,\) must be a number or of shape \(2,\), \(2, 2\) or \(2, 1\)"),
        ({"lower": {"A": 1.0}}, r"lower must have one value for each symbol, but has none of 'B'"),
        ({"upper": {"A": [1.0, 2.0, 3.0], "B": 1.0}}, r"upper\["),
        ({"period_upper": [1.0, -1.0]}, r"period_upper must be .*, but period_upper\[1\] = -1.0"),
        ({"period_lower": [1.0] * 3}, r"total is of 2 periods, but period_lower of 3"),
        ({"total": []}, r"total must be of at least one period"),
        ({"period_upper": np.ones((2, 2))}, r"period_upper of shape \(2, 2\) must be a number or one a period"),
        ({"symbol_upper": {"A": 1.0, "C": 1.0}}, r"symbol_upper .*has 'C', which is not among them"),
        ({"hurdle": -1.0}, r"hurdle must be"),
        ({"hurdle": None}, r"hurdle must be real numbers, not None"),
        ({"spend": "all"}, r"spend must be 'at_most' or 'exactly', not 'all'"),
        ({"remainder": "x"}, r"remainder must be"),
        ({"max_nodes": -1}, r"max_nodes must be an integer"),
        ({"tolerance": 2.0}, r"tolerance must be"),
        ({"symbol_upper": 1.0, "min_efficiency": 0.5}, r"symbol_upper, .*with min_efficiency remainder must be 'hold'"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(arguments: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"curves": TWO, "total": [1.0, 1.0], **arguments}
    with pytest.raises(AllocationError, match=said):
        allocate_periods(given.pop("curves"), given.pop("total"), **given)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"lower": {"A": [0.0, 2e5], "B": 0.0}, "upper": 1e5}, r"period 1: 'A' must hold at least 200,000 \(lower\[0\]\) and "
         r"at most 100,000 \(upper\[0\]\)"),
        ({"lower": {"A": [4e5, 0.0], "B": 0.0}}, r"what must be spent in period 0 \(.*\) adds up to 400,000, 100,000 above the money "
         r"300,000 that is there by then"),
        ({"lower": 2e5}, r"what must be spent in period 0 .* adds up to 400,000, 100,000 above the money 300,000"),
        ({"lower": 1e5, "period_upper": [np.inf, 1.5e5]}, r"what must be spent in period 1 .* adds up to 200,000, 50,000 above "
         r"period_upper\[1\] = 150000.0"),
        ({"period_lower": [0.0, 3e5], "upper": 1e5}, r"period_lower\[1\] = 300000.0, but the instruments may hold 200,000 then: "
         r"100,000 too little"),
        ({"lower": 3e5, "total": [1e6, 0.0]}, r"what must be spent in periods 0 to 1 .* adds up to 1,200,000, 200,000 above the money "
         r"1,000,000"),
        ({"lower": 1e5, "symbol_upper": 1.5e5}, r"lower of 'A' adds up to 200,000 over all periods, 50,000 above "
         r"symbol_upper\[0\] = 150000.0"),
        ({"lower": 1e5, "symbol_upper": 1.5e5, "total": [1e6, 0.0]}, r"'A' .*adds up to 200,000.*50,000 above "
         r"symbol_upper\[0\] = 150000.0"),
        ({"period_lower": [1e5, 1e5], "symbol_upper": 5e4}, r"no allocation was found within symbol_upper and all other limits"),
    ],
)  # fmt: skip
def test_bounds_that_conflict_are_named(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InfeasibleError, match=said):
        allocate_periods(TWO, arguments.pop("total", [3e5, 6e5]), **arguments)
