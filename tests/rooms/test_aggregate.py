"""One allocation for many draws of the curves: bounds hold, values are what they say, and limits are those of all."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from escala import AllocationError, CurveSet, InfeasibleError, allocate, fit
from escala.allocation.aggregate import Aggregate, AggregateAllocation
from escala.allocation.drawn import Drawn, Envelopes
from escala.kernels.allocation import draws as kernels
from tests.naive.draws import naive_aggregate, naive_lines, naive_totals

Floats = npt.NDArray[np.float64]
FAMILIES = ("linear", "sqrt", "quadratic", "exponential", "power", "depth", "hill")
AGGREGATES: tuple[Any, ...] = ("mean", ("mean-sd", 1.0), ("cvar", 0.9))


def coefficients(family: str, rng: np.random.Generator) -> list[float]:
    """Draw a curve over capitals up to some millions."""
    return {
        "linear": [-rng.uniform(0.2, 0.5) * 1e-6, rng.uniform(0.8, 1.05), 0.0, 0.0],
        "sqrt": [-rng.uniform(2.0, 5.0) * 1e-4, rng.uniform(0.8, 1.02), 0.0, 0.0],
        "quadratic": [rng.uniform(-5.0, 5.0) * 1e-14, -rng.uniform(0.2, 0.4) * 1e-6, rng.uniform(0.8, 1.1), 0.0],
        "exponential": [rng.uniform(0.3, 0.7), rng.uniform(0.5, 2.0) * 1e-6, rng.uniform(0.2, 0.4), 0.0],
        "power": [rng.uniform(0.9, 1.0), rng.uniform(0.2, 0.5), rng.uniform(0.3, 1.5), 1e6],
        "depth": [rng.uniform(0.9, 1.0), rng.uniform(1.0, 3.0) * 1e6, rng.uniform(0.5, 2.0), 0.0],
        "hill": [rng.uniform(0.3, 0.5), rng.uniform(0.5, 2.0) * 1e6, rng.uniform(1.0, 1.6), 0.0],
    }[family]


def drawn(families: list[str], draws: int, rng: np.random.Generator) -> tuple[CurveSet, Floats]:
    """Make curves, and draws about nothing in particular."""
    params = np.array([[coefficients(family, rng) for family in families] for _ in range(draws + 1)])
    symbols = [f"S{i}" for i in range(len(families))]
    return CurveSet.from_params(symbols, families, params[-1], trusted_to=2e6), params[:-1]


def totals_of(curves: CurveSet, params: Floats, amounts: Floats, hurdle: float = 0.0) -> Floats:
    """Evaluate what amounts return in each draw by the curves themselves."""
    n, draws = len(curves), len(params)
    flat = [f"{i}.{d}" for d in range(draws) for i in range(n)]
    each = CurveSet.from_params(flat, list(curves.family_names) * draws, params.reshape(-1, 4))
    found: Floats = each.utility(np.tile(amounts, draws)).reshape(draws, n).sum(axis=1) - hurdle * amounts.sum()
    return found


@given(seed=st.integers(0, 2**32 - 1), family=st.sampled_from(["linear", "sqrt", "quadratic"]))
@settings(max_examples=60, deadline=None)
def test_lines_are_those_of_the_naive_twin(seed: int, family: str) -> None:
    rng = np.random.default_rng(seed)
    curves, params = drawn([family], 7, rng)
    params[:, 0, 0] *= rng.choice([1.0, 1.0, 1.0, -1.0, 30.0], 7)
    weights = rng.uniform(-0.2, 1.0, 7)
    nodes = np.sort(np.append(rng.uniform(0.0, 6e6, 8), [0.0, 6e6]))
    nodes[4] = nodes[3]
    lines, at = np.empty((1, 9 * 4)), np.empty((1, 10 * 2))
    code, _, origin, steps = curves._arrays()
    given_ = (np.zeros(1, dtype=np.int64), code, np.ascontiguousarray(params[:, 0]), origin, steps, weights)
    kernels.lines(*given_, nodes[None, :].copy(), lines, at, 0, 1)
    told_lines, told_at = naive_lines(family, params[:, 0].tolist(), weights.tolist(), nodes.tolist())
    assert lines.reshape(9, 4).tolist() == told_lines
    assert at.reshape(10, 2).tolist() == told_at


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_totals_are_those_of_the_naive_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    families = rng.choice(["linear", "sqrt", "quadratic"], 4).tolist()
    curves, params = drawn(families, 9, rng)
    priority, amounts = rng.uniform(0.0, 2.0, 4), rng.choice([0.0, 1.0], 4) * rng.uniform(0.0, 4e6, 4)
    code, _, origin, steps = curves._arrays()
    rows = np.ascontiguousarray(params.transpose(1, 0, 2)).reshape(-1, 4)
    out = np.empty(9)
    kernels.totals(code, rows, origin, steps, priority, amounts, out, 0, 4)
    kernels.totals(code, rows, origin, steps, priority, amounts, out, 4, 9)
    assert out.tolist() == naive_totals(families, params.tolist(), priority.tolist(), amounts.tolist())


@given(seed=st.integers(0, 2**32 - 1), family=st.sampled_from(FAMILIES), negative=st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_weighted_sum_lies_above_its_lines(seed: int, family: str, negative: bool) -> None:
    rng = np.random.default_rng(seed)
    curves, params = drawn([family], 5, rng)
    weights = rng.uniform(-1.0 if negative else 0.0, 1.0, 5)
    nodes = np.sort(np.append(rng.uniform(0.0, 9e6, 4), 0.0))
    code, _, origin, steps = curves._arrays()
    lines, at = np.empty((1, 16)), np.empty((1, 10))
    given_ = (np.zeros(1, dtype=np.int64), code, np.ascontiguousarray(params[:, 0]), origin, steps, weights)
    kernels.lines(*given_, nodes[None, :].copy(), lines, at, 0, 1)
    each = CurveSet.from_params([f"d{d}" for d in range(5)], family, params[:, 0])
    for k, (left, left_slope, right, right_slope) in enumerate(lines.reshape(4, 4)):
        x = np.linspace(nodes[k], nodes[k + 1], 201)
        whole = weights @ each.utility(np.tile(x, (5, 1)))
        room = 1e-9 * np.abs(weights) @ np.full(5, nodes[k + 1])
        assert np.all(whole <= left + left_slope * (x - x[0]) + room)
        assert np.all(whole <= right + right_slope * (x - x[-1]) + room)
        assert abs(whole[0] - left) <= room
        assert abs(whole[-1] - right) <= room
        assert abs(whole[0] - at[0, 2 * k]) <= room


@given(seed=st.integers(0, 2**32 - 1), number=st.floats(0.0, 0.99), name=st.sampled_from(["mean", "mean-sd", "cvar"]))
@settings(max_examples=100, deadline=None)
def test_aggregates_are_what_they_say_and_weights_prove_them(seed: int, number: float, name: str) -> None:
    rng = np.random.default_rng(seed)
    totals, others = rng.normal(5.0, 2.0, (2, int(rng.integers(1, 40))))
    aggregate = Aggregate(name, number)
    value = aggregate.value(totals)
    assert value == pytest.approx(naive_aggregate(name, number, totals.tolist()), rel=1e-12, abs=1e-12)
    weights = aggregate.weights(totals)
    assert weights.sum() == pytest.approx(1.0)
    assert weights @ totals == pytest.approx(value, rel=1e-12, abs=1e-12)
    assert aggregate.value(others) <= weights @ others + 1e-12
    columns = np.stack([totals, others], axis=1)
    shares, proof = aggregate.mixed(columns)
    mixed = aggregate.value(columns @ shares)
    if name != "mean":
        assert mixed >= max(value, aggregate.value(others)) - 1e-9
        # what proves the mixture bounds each column
        assert (proof @ columns).max() <= mixed + 1e-5 * max(1.0, abs(mixed))


@given(seed=st.integers(0, 2**32 - 1), aggregate=st.sampled_from(AGGREGATES))
@settings(max_examples=25, deadline=None)
def test_no_feasible_amounts_are_above_the_bound(seed: int, aggregate: Any) -> None:
    rng = np.random.default_rng(seed)
    n, draws = int(rng.integers(1, 5)), int(rng.integers(1, 30))
    curves, params = drawn(rng.choice(FAMILIES, n).tolist(), draws, rng)
    total, hurdle = float(10.0 ** rng.uniform(4.0, 6.7)), float(rng.choice([0.0, 0.3]))
    share = float(rng.choice([0.6, 1.0]))
    found = allocate(curves, total, params=params, aggregate=aggregate, hurdle=hurdle, max_share=share)
    assert isinstance(found, AggregateAllocation)
    chosen = Aggregate.of(aggregate)
    returned = totals_of(curves, params, found.amounts, hurdle)
    np.testing.assert_allclose(found.drawn_utility, returned, rtol=1e-9, atol=1e-6)
    assert found.utility == pytest.approx(chosen.value(returned), rel=1e-9)
    assert found.amounts.sum() <= total * (1.0 + 1e-12)
    assert np.all(found.amounts <= np.minimum(share * total, 2e6) * (1.0 + 1e-12))
    for _ in range(50):
        some = np.minimum(rng.dirichlet(np.full(n, 0.7)) * total * rng.uniform(0.2, 1.0), min(share * total, 2e6))
        assert chosen.value(totals_of(curves, params, some, hurdle)) <= found.upper_bound * (1.0 + 1e-9) + 1e-6


def concave(n: int, draws: int, seed: int = 0) -> tuple[CurveSet, Floats]:
    """Make draws whose utilities are concave as far as curves are trusted."""
    rng = np.random.default_rng(seed)
    families = [("linear", "sqrt", "power", "depth")[i % 4] for i in range(n)]
    curves, params = drawn(families, draws, rng)
    base = params[0].copy()
    spread = 1.0 + 0.1 * rng.standard_normal((draws, n, 1))
    params = np.tile(base, (draws, 1, 1))
    params[..., :1] *= np.clip(spread, 0.7, 1.0)
    params[..., 1:2] *= np.clip(spread[::-1], 0.8, 1.0)
    return CurveSet.from_params(curves.symbols.tolist(), families, base, trusted_to=1e6), params


@pytest.mark.parametrize("aggregate", [*AGGREGATES, ("cvar", 0.5)])
def test_concave_draws_are_solved_as_a_local_search_solves_them(aggregate: Any) -> None:
    curves, params = concave(5, 40)
    found = allocate(curves, 2e6, params=params, aggregate=aggregate, hurdle=0.1)
    chosen = Aggregate.of(aggregate)

    def loss(x: Floats) -> float:
        return -chosen.value(totals_of(curves, params, 1e6 * np.clip(x, 0.0, 1.0), 0.1)) / 1e6

    best = minimize(
        loss, found.amounts / 1e6, method="SLSQP", bounds=[(0.0, 1.0)] * 5, options={"ftol": 1e-12},
        constraints={"type": "ineq", "fun": lambda x: 2.0 - x.sum()},
    )  # fmt: skip
    start = minimize(
        loss, np.full(5, 0.4), method="SLSQP", bounds=[(0.0, 1.0)] * 5, options={"ftol": 1e-12},
        constraints={"type": "ineq", "fun": lambda x: 2.0 - x.sum()},
    )  # fmt: skip
    assert found.gap <= 1e-5
    assert found.utility >= -1e6 * min(best.fun, start.fun) - 2e-5 * abs(found.utility)
    assert found.upper_bound >= -1e6 * min(best.fun, start.fun) - 1e-6


def test_draws_that_add_up_to_curves_give_the_allocation_of_those_curves() -> None:
    """The mean of lines is a line, where none of them ends."""
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-2e-6, 0.95]], trusted_to=2e5)
    steps = np.array([[-2e-7, -0.02], [0.0, 0.0], [2e-7, 0.02]])[:, None, :]
    params = curves.params[None, :, :2] * 1.0 + steps * np.array([1.0, -1.0])[None, :, None]
    mean = CurveSet.from_params(["A", "B"], "linear", params.mean(axis=0), trusted_to=2e5)
    plain = allocate(mean, 2.5e5)
    found = allocate(curves, 2.5e5, params=params, aggregate="mean")
    assert found.utility == pytest.approx(float(plain.utility), rel=1e-8)
    assert found.upper_bound >= plain.utility
    np.testing.assert_allclose(found.amounts, plain.amounts, rtol=2e-4)
    assert found.shadow_price == pytest.approx(float(plain.shadow_price), rel=1e-3)
    np.testing.assert_allclose(found.efficiency, mean.efficiency(found.amounts), rtol=1e-9)
    np.testing.assert_allclose(found.marginal, mean.marginal(found.amounts), rtol=1e-9)


def test_what_is_one_thing_in_two_ways_is_one_thing() -> None:
    curves, params = concave(4, 25, seed=2)
    mean = allocate(curves, 1e6, params=params, aggregate="mean")
    for same in (("mean-sd", 0.0), ("cvar", 0.0)):
        assert allocate(curves, 1e6, params=params, aggregate=same).utility == pytest.approx(float(mean.utility), 1e-7)
    alone = allocate(curves, 1e6, params=params[:1], aggregate=("cvar", 0.9))
    only = allocate(curves, 1e6, params=params[:1])
    assert alone.utility == pytest.approx(float(only.utility[0]), rel=1e-7)
    twice = allocate(curves, 1e6, params=np.concatenate([params, params]), aggregate=("mean-sd", 1.0))
    once = allocate(curves, 1e6, params=params, aggregate=("mean-sd", 1.0))
    assert twice.utility == pytest.approx(float(once.utility), rel=1e-6)


def test_caution_gives_up_mean_for_less_risk() -> None:
    curves, params = concave(4, 60, seed=3)
    means, spreads = [], []
    for k in (0.0, 1.0, 4.0):
        found = allocate(curves, 1.5e6, params=params, aggregate=("mean-sd", k))
        assert isinstance(found, AggregateAllocation)
        means.append(found.drawn_utility.mean())
        spreads.append(found.drawn_utility.std())
    assert means[0] >= means[1] >= means[2]
    assert spreads[0] > spreads[1] > spreads[2]


def test_limits_hold_for_one_allocation_as_for_any() -> None:
    curves, params = concave(5, 20, seed=4)
    found = allocate(
        curves, 1e6, params=params, aggregate="mean", upper={"S0": 1e5, "S1": 1e6, "S2": 1e6, "S3": 1e6, "S4": 1e6},
        min_ticket=1.5e5, reserve=0.1, lower=[0.0, 0.0, 0.0, 3e5, 0.0], priority=[1.0, 1.0, 2.0, 1.0, 0.0],
    )  # fmt: skip
    assert found.amounts[0] == 0.0
    assert found.amounts[3] >= 3e5
    assert found.amounts[4] == 0.0
    assert found.amounts.sum() <= 9e5 * (1.0 + 1e-12)
    assert np.all((found.amounts == 0.0) | (found.amounts >= 1.5e5 - 1e-6))
    assert found.upper_bound >= found.utility
    exactly = allocate(curves, 4e6, params=params, aggregate="mean", spend="exactly")
    assert exactly.amounts.sum() == pytest.approx(4e6)
    assert exactly.gap < 1e-5
    with pytest.raises(InfeasibleError, match="must hold"):
        allocate(curves, 1e6, params=params, aggregate="mean", lower=9e5)


def test_many_totals_are_each_solved_alone() -> None:
    curves, params = concave(3, 15, seed=5)
    found = allocate(curves, [[1e5, 1e6]], params=params, aggregate=("cvar", 0.8))
    assert isinstance(found, AggregateAllocation)
    assert found.amounts.shape == (1, 2, 3)
    assert found.drawn_utility.shape == (1, 2, 15)
    alone = allocate(curves, 1e6, params=params, aggregate=("cvar", 0.8))
    assert found.amounts[0, 1].tolist() == alone.amounts.tolist()
    assert found.realised[0, 1] == alone.realised  # type: ignore[attr-defined]
    assert "problems" in found.summary() or "totals" in found.summary() or len(found.summary()) > 0
    assert found.to_dataframe().shape[0] == 6


def test_threads_change_no_bit() -> None:
    curves, params = concave(6, 700, seed=6)
    for aggregate in AGGREGATES:
        one = allocate(curves, 1e6, params=params, aggregate=aggregate, threads=1)
        more = allocate(curves, 1e6, params=params, aggregate=aggregate, threads=3)
        assert one.amounts.tolist() == more.amounts.tolist()
        assert one.upper_bound == more.upper_bound


def test_the_currency_changes_nothing_but_the_amounts() -> None:
    lines = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-2e-6, 1.0]], trusted_to=4e5)
    some = lines.params[None] * np.random.default_rng(0).uniform(0.9, 1.0, (30, 2, 1))
    one = allocate(lines, 3e5, params=some, aggregate=("mean-sd", 1.0))
    cents = CurveSet.from_params(["A", "B"], "linear", lines.params[:, :2] * [0.01, 1.0], trusted_to=4e7)
    other = allocate(cents, 3e7, params=some * [0.01, 1.0, 1.0, 1.0], aggregate=("mean-sd", 1.0))
    np.testing.assert_allclose(other.amounts, 100.0 * one.amounts, rtol=1e-4)
    assert other.utility == pytest.approx(100.0 * float(one.utility), rel=1e-7)


def test_the_best_of_estimates_is_too_good_on_average() -> None:
    """Instruments that are all alike: whoever picks the best estimates claims more than comes out."""
    rng = np.random.default_rng(8)
    capital = np.geomspace(1e4, 1e6, 10)
    efficiency = np.clip(0.97 - 3e-7 * capital + 0.03 * rng.standard_normal((30, 10)), 0.0, 1.0)
    curves = fit([f"S{i}" for i in range(30)], np.tile(capital, (30, 1)), efficiency, family="linear")
    params = curves.draw_params(300, seed=1)
    found = allocate(curves, 2e6, params=params, aggregate="mean")
    assert isinstance(found, AggregateAllocation)
    assert {field.name for field in fields(found)} <= vars(found).keys()
    assert found.claimed == found.plain.utility
    assert found.winners_curse == found.claimed - found.realised
    assert found.realised == pytest.approx(totals_of(curves, params, found.plain.amounts).mean(), rel=1e-9)
    truth = CurveSet.from_params(curves.symbols.tolist(), "linear", [[-3e-7, 0.97]] * 30)
    assert found.claimed > truth.utility(found.plain.amounts).sum()
    assert found.utility >= found.realised * (1.0 - 1e-6)
    lines = found.summary().splitlines()
    assert lines[-2] == "utility is the mean of 300 draws of the curves"
    assert "a winner's curse of" in lines[-1]


def test_an_instrument_without_a_curve_gets_nothing() -> None:
    params = np.full((4, 2, 4), np.nan)
    params[:, 0] = [-1e-6, 1.0, 0.0, 0.0]
    curves = fit(["A", "B"], [[1e3, 1e5, 1e6], [1e3] * 3], [[0.999, 0.9, 0.0], [0.5] * 3], family="linear")
    assert not curves.has_curve[1]
    found = allocate(curves, 1e5, params=params, aggregate="mean")
    assert found.amounts[1] == 0.0
    assert found.binding_names.tolist() == ["none", "no_curve"]
    assert np.isnan(found.efficiency[1])
    params[2, 0] = np.nan
    message = r"params must give 'A' a curve in all draws or in none, but there is none in draw 2"
    with pytest.raises(AllocationError, match=message):
        allocate(curves, 1e5, params=params, aggregate="mean")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"aggregate": "median"}, "aggregate must be 'mean', \\('mean-sd', k\\) or \\('cvar', level\\), not 'median'"),
        ({"aggregate": ("cvar", 0.9, 1)}, "aggregate must be 'mean'"),
        ({"aggregate": ["cvar", 0.9]}, "aggregate must be 'mean'"),
        ({"aggregate": ("cvar", 1.0)}, "aggregate's level must be in \\[0, 1\\), but aggregate's level = 1.0"),
        ({"aggregate": ("mean-sd", -1.0)}, "aggregate's k must be in \\[0, inf\\)"),
        ({"aggregate": "mean", "params": None}, "aggregate is of draws, which params must hold"),
        ({"aggregate": "mean", "method": "greedy"}, "aggregate needs method='exact'"),
        ({"aggregate": "mean", "trade_cost": 0.01}, "aggregate takes no trade_cost and no fixed_cost"),
        ({"aggregate": "mean", "min_efficiency": 0.5}, "aggregate takes no min_efficiency"),
        ({"aggregate": "mean", "params": np.zeros((0, 2, 4))}, "aggregate needs at least one draw in params"),
        ({"aggregate": "mean", "params": np.zeros((3, 5, 4))}, "params of shape \\(3, 5, 4\\) must be of shape"),
    ],
)
def test_what_is_wrong_is_named(how: dict[str, Any], message: str) -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0]] * 2, trusted_to=1e6)
    usual: dict[str, Any] = {"params": np.tile(curves.params, (3, 1, 1))}
    with pytest.raises(AllocationError, match=message):
        allocate(curves, 1e5, **(usual | how))


def test_envelopes_come_closer_where_they_are_looked_at() -> None:
    curves, params = concave(2, 10, seed=9)
    own = allocate(curves, 1e6)._request
    drawn_ = Drawn.of(own.with_draws(params), 1)
    envelopes = Envelopes(drawn_, np.full(10, 0.1), np.array([1e6, 1e6]))
    at = np.array([3.3e5, 7.7e5])
    exact = np.array([totals_of(curves[[i]], params[:, [i]], at[[i]]).mean() for i in range(2)])
    first = envelopes.ladders(curves.symbols, own.limits, falling=False)
    assert np.all(first.curves.utility(at) * first.scale >= exact)
    assert envelopes.look_at(at)
    then = envelopes.ladders(curves.symbols, own.limits, falling=False)
    np.testing.assert_allclose(then.curves.utility(at) * then.scale, exact, rtol=1e-12)
    np.testing.assert_allclose(envelopes.utility(at), exact, rtol=1e-12)
    assert not envelopes.look_at(at)
