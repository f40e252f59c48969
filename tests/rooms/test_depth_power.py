"""Depth and power: references in 50 digits, their formulas, bounds, the lowest error there is, and what has no depth."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from benchmarks import optima
from hypothesis import given
from hypothesis import strategies as st

from escala import CurveError, CurveSet, Family, FitStatus, allocate, fit, tables
from escala.kernels import layout
from escala.kernels.families import depth as depth_kernel
from escala.kernels.families import power as power_kernel
from tests.places import DATA

pytestmark = pytest.mark.kernel

Floats = npt.NDArray[np.float64]
GOLDEN = json.loads((DATA / "depth_power_ladder.json").read_text())
#: Names of the coefficients in the references, in the order of a curve's.
NAMED = {"depth": ("a", "D", "h"), "power": ("a", "k", "b", "scale")}
KERNELS = {"depth": depth_kernel, "power": power_kernel}
CASES = [
    pytest.param(one, family, id=f"{family}, {one['data']}, {one['weights']}")
    for one in GOLDEN["fits"]
    for family in NAMED
    if one["fits"][family]["status"] == "OK"
]


def digits(value: float, reference: Any) -> float:
    if float(reference) == 0.0:
        return -math.log10(abs(value) + 1e-17)
    return -math.log10(abs(value / float(reference) - 1.0) + 1e-17)


def depth_eta(a: Any, d: Any, h: Any, capital: Any) -> Floats:
    """η as the definition says it, with ln t in place of t."""
    log_x = np.log(np.asarray(capital, float) / d)
    return np.asarray(a * np.exp(-np.logaddexp(0.0, h * log_x) / h))


def one(family: str, *params: float, **options: Any) -> CurveSet:
    return CurveSet.from_params(["A"], family, [list(params)], **options)


def answer(family: str, params: tuple[float, ...], price: float) -> float:
    """Best capital at a price, as allocations ask for it."""
    padded = (*params, 0.0)[:4]
    terms = KERNELS[family].answer_terms(padded, 0.0, 1.0)
    return float(KERNELS[family].best(*terms, 0.0, price)[0])


# --- references --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "family"), CASES)
def test_fits_equal_those_in_fifty_digits(case: dict[str, Any], family: str) -> None:
    data, weights = GOLDEN["sets"][case["data"]], np.array(case["w"], float)
    known = case["fits"][family]
    curve = fit(["A"], [data["capital"]], [data["efficiency"]], family=family, weights=[weights], noise="even")
    assert curve.status_names == ["ok"]
    error = curve.rmse[0] ** 2 * weights.sum()  # weights are scaled to a sum of n_eff, by which the mean divides
    assert digits(error, known["sse"]) >= 11.0
    for place, name in enumerate(NAMED[family]):
        assert digits(curve.params[0, place], known[name]) >= 8.0, name
    assert (curve.params[0, 0] == 1.0) == known["at_bound"]


@pytest.mark.parametrize(("case", "family"), CASES)
def test_capital_at_a_price_equals_that_in_fifty_digits(case: dict[str, Any], family: str) -> None:
    params = tuple(float(case["fits"][family][name]) for name in NAMED[family])
    for price, known in case["best_capital"][family].items():
        assert digits(answer(family, params, float(price)), known) >= 9.0, price


# --- formulas ----------------------------------------------------------------------------------------------------


levels = st.floats(0.01, 1.0)
sharpnesses = st.floats(math.log(0.05), math.log(200.0)).map(lambda x: min(max(math.exp(x), 0.05), 200.0))
exponents = st.floats(math.log(0.02), math.log(8.0)).map(lambda x: min(max(math.exp(x), 0.02), 8.0))


@given(levels, st.floats(-12.0, 12.0), sharpnesses)
def test_depth_is_a_fraction_whose_utility_is_concave_and_never_falls(a: float, log_d: float, h: float) -> None:
    d = 10.0**log_d
    curve = one("depth", a, d, h)
    capital = d * np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 201)])
    eta, used, slope = curve.efficiency(capital), curve.utility(capital), curve.marginal(capital)
    assert eta[0] == slope[0] == a
    assert np.allclose(eta[1:], depth_eta(a, d, h, capital[1:]), rtol=1e-12, atol=0.0)
    assert np.all((eta >= 0.0) & (eta <= a))
    assert np.all(np.diff(used) >= -1e-13 * used[1:])
    assert np.all(used <= a * d * (1.0 + 1e-12))
    assert np.all(np.diff(slope) <= 1e-13)
    assert np.all(slope <= eta * (1.0 + 1e-12))


@pytest.mark.parametrize("h", [0.05, 1.0, 200.0])
def test_depth_overflows_nowhere(h: float) -> None:
    ratio = np.array([1e-100, 1e-50, 1e-9, 1.0, 1e9, 1e50, 1e100])
    curve = one("depth", 0.9, 1.0, h)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert np.allclose(curve.efficiency(ratio), depth_eta(0.9, 1.0, h, ratio), rtol=1e-11, atol=0.0)
        assert np.isfinite(curve.marginal(ratio)).all()
    assert np.isfinite(one("power", 0.9, 0.5, 8.0, 1e-100).marginal([1e100])).all()


@given(levels, sharpnesses, st.floats(-6.0, 6.0))
def test_marginal_utility_of_depth_is_the_derivative(a: float, h: float, z: float) -> None:
    curve, capital, step = one("depth", a, 2e5, h), 2e5 * math.exp(z / h), 1e-4 / (1.0 + h)
    low, high = curve.utility([capital * (1.0 - step), capital * (1.0 + step)])
    assert math.isclose((high - low) / (2.0 * step * capital), curve.marginal(capital)[0], rel_tol=1e-4, abs_tol=1e-9)


@given(levels, st.floats(0.0, 3.0), exponents, st.floats(-6.0, 1.0))
def test_marginal_utility_of_power_is_the_derivative(a: float, k: float, b: float, log_x: float) -> None:
    kernel, x, step = power_kernel, 3e6 * math.exp(log_x), 1e-5
    p = (a, k, b, 3e6)
    low, high = (c * kernel.value(p, 0.0, c) for c in (x * (1.0 - step), x * (1.0 + step)))
    assert math.isclose(kernel.value(p, 0.0, x), a - k * (x / 3e6) ** b, rel_tol=1e-12, abs_tol=1e-12)
    assert math.isclose((high - low) / (2.0 * step * x), kernel.marginal(p, 0.0, x), rel_tol=1e-6, abs_tol=1e-6)


@given(st.sampled_from(["depth", "power"]), levels, sharpnesses, exponents, st.floats(-4.0, 0.5))
def test_derivatives_of_the_basis_are_those_of_differences(
    family: str, a: float, h: float, b: float, log_x: float
) -> None:
    kernel, x, step = KERNELS[family], 2e5 * math.exp(log_x), 1e-6
    p = (a, 2e5, h, 0.0) if family == "depth" else (a, 0.4, b, 2e5)
    found = kernel.marginal_basis(p, 0.0, x)
    up, down = (kernel.basis(p, 0.0, c) for c in (x * (1.0 + step), x * (1.0 - step)))
    for k in range(3):
        difference = (up[k] * (1.0 + step) - down[k] * (1.0 - step)) / (2.0 * step)
        assert math.isclose(found[k], difference, rel_tol=1e-4, abs_tol=1e-6 * (1.0 + h))
    slopes = [kernel.marginal(p, 0.0, c) for c in (x * (1.0 + step), x * (1.0 - step))]
    bend = (slopes[0] - slopes[1]) / (2.0 * step * x)
    assert math.isclose(kernel.curvature(p, 0.0, x), bend, rel_tol=1e-4, abs_tol=1e-7 * (1.0 + h) / x)


@given(levels, sharpnesses, st.floats(0.02, 0.98))
def test_depth_saturates_where_its_formula_says(a: float, h: float, drop: float) -> None:
    found = one("depth", a, 3.0, h).saturation(drop)
    log_t = np.log(np.expm1(-h * np.log1p(-drop)))
    assert found.peak[0] == 0.0
    assert found.capacity[0] == math.inf
    assert math.isclose(found.saturation[0], 3.0 * math.exp(log_t / h), rel_tol=1e-9)


@given(levels, sharpnesses, st.floats(1e-12, 0.999))
def test_the_best_capital_returns_the_price(a: float, h: float, below: float) -> None:
    price = a * (1.0 - below)
    capital = answer("depth", (a, 2e5, h), price)
    found = one("depth", a, 2e5, h).marginal(capital)[0]
    assert math.isclose(found, price, rel_tol=1e-9 * (1.0 + h / 10.0))
    assert answer("depth", (a, 2e5, h), a) == answer("depth", (a, 2e5, h), 2.0 * a) == 0.0


def test_close_to_the_level_nothing_cancels() -> None:
    for below in (1e-6, 1e-9, 1e-12):
        price = 0.5 * (1.0 - below)
        gone = (0.5 - price) / 0.5
        assert math.isclose(answer("depth", (0.5, 1.0, 1.0), price), 0.5 * gone, rel_tol=1e-5)
        wanted = ((0.5 - price) / (0.25 * 1.5)) ** 2.0
        assert math.isclose(answer("power", (0.5, 0.25, 0.5, 1.0), price), wanted, rel_tol=1e-12)


def test_a_power_falls_through_its_thresholds() -> None:
    curve = one("power", 0.9, 0.5, 2.0, 1e6)
    assert math.isclose(curve.threshold(0.8)[0], 1e6 * math.sqrt(0.2), rel_tol=1e-12)
    assert math.isclose(curve.saturation().capacity[0], 1e6 * math.sqrt(0.6), rel_tol=1e-12)
    assert one("power", 0.9, 0.0, 1.0, 1e6).threshold(0.8)[0] == math.inf
    assert curve.threshold(0.95)[0] == 0.0


# --- fits --------------------------------------------------------------------------------------------------------


def drawn(n: int, m: int, seed: int, noise: float = 0.01) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    truth = np.stack(
        [rng.uniform(0.9, 0.97, n), 10.0 ** rng.uniform(4.5, 5.5, n), 10.0 ** rng.uniform(-0.2, 0.8, n)], 1
    )
    capital = np.sort(10.0 ** rng.uniform(3.0, 6.0, (n, m)), 1)
    a, d, h = (truth[:, [k]] for k in range(3))
    eta = depth_eta(a, d, h, capital)
    return capital, np.clip(eta + rng.normal(0.0, noise, (n, m)), 0.0, 1.0), truth


@pytest.mark.parametrize("family", ["depth", "power"])
def test_fits_have_the_lowest_error(family: str) -> None:
    capital, efficiency, _ = drawn(120, 12, 3)
    over, status = optima.excess(family, list(zip(capital, efficiency, strict=True)))
    assert (status == FitStatus.OK).sum() >= 118
    assert np.nanmax(over) < 1e-6


def test_fits_of_real_pairs_have_the_lowest_error() -> None:
    records = [one for i, one in enumerate(optima.real_records()) if i % 27 == 1]
    over, status = optima.excess("depth", records)
    assert (status == FitStatus.OK).sum() >= 15
    assert np.nanmax(over) < 1e-6


def test_depths_that_are_hard_to_find_are_found() -> None:
    """Knees between two points, starts beyond the borders, and valleys of fits that are nearly exact."""
    rng = np.random.default_rng(2026)
    records = [optima.drawn_records(rng) for _ in range(9780)]
    over, status = optima.excess("depth", [records[i] for i in (1827, 2316, 3991, 8414, 8420, 8842, 9779)])
    assert (status == FitStatus.OK).all()
    assert np.nanmax(over) < 1e-6


def test_errors_of_both_by_a_library() -> None:
    from scipy.optimize import curve_fit

    rng = np.random.default_rng(7)
    capital = np.geomspace(1e4, 2e6, 35)
    forms: dict[str, tuple[Callable[..., Floats], tuple[float, ...]]] = {
        "depth": (lambda c, a, d, h: depth_eta(a, d, h, c), (0.9, 2e5, 2.5)),
        "power": (lambda c, a, k, b: a - k * (c / 2e6) ** b, (0.9, 0.5, 0.7)),
    }
    for family, (form, truth) in forms.items():
        efficiency = form(capital, *truth) + rng.normal(0.0, 0.005, 35)
        curve = fit(["A"], [capital], [efficiency], family=family)
        theta, covariance = curve_fit(form, capital, efficiency, p0=truth, xtol=1e-14, ftol=1e-14, gtol=1e-14)
        assert np.allclose(curve.params[0, :3], theta, rtol=1e-6)
        assert np.allclose(curve.covariance[0, :3, :3], covariance, rtol=1e-3, atol=0.0)
        draws = curve.draw_params(20_000, seed=1)[:, 0]
        assert np.allclose(draws.mean(0)[:3], curve.params[0, :3], rtol=0.01)
        assert np.allclose(draws.std(0)[:3], np.sqrt(np.diag(curve.covariance[0])[:3]), rtol=0.05)
        assert np.all(draws[:, 3] == curve.params[0, 3])
        assert np.all((draws[:, 0] <= 1.0) & (draws[:, 0] >= 0.0))


@pytest.mark.parametrize("family", ["depth", "power"])
def test_a_level_of_one_has_no_error(family: str) -> None:
    rng = np.random.default_rng(5)
    capital = np.geomspace(1e3, 1e6, 30)
    efficiency = np.clip(depth_eta(1.0, 2e5, 2.0, capital) + np.abs(rng.normal(0.0, 0.01, 30)), 0.0, 1.0)
    curve = fit(["A"], [capital], [efficiency], family=family)
    assert curve.params[0, 0] == 1.0
    assert np.all(curve.covariance[0, 0] == 0.0)
    assert np.all(np.diag(curve.covariance[0])[1:3] > 0.0)
    assert curve.predict(1.0).low[0] < curve.efficiency(1.0)[0] <= 1.0
    assert curve.df_resid[0] == 27.0
    assert np.all(curve.draw_params(100, seed=3)[:, 0, 0] == 1.0)


def test_responses_that_saturate_are_found_exactly_and_split_as_their_formula_says() -> None:
    capital = np.geomspace(0.1, 60.0, 12)
    most, half = np.array([10.0, 8.0, 6.0, 9.0]), np.array([5.0, 2.0, 9.0, 30.0])
    unit = (most / half).max()
    efficiency = np.array([a / (k + capital) for a, k in zip(most, half, strict=True)]) / unit
    curves = fit(list("ABCD"), capital, efficiency)
    assert curves.family_names == ["depth"] * 4
    assert np.allclose(curves.params[:, 1], half, rtol=1e-9)
    assert np.allclose(curves.params[:, 2], 1.0, rtol=1e-9)
    for money in (5.0, 20.0, 60.0):
        used = np.ones(4, dtype=bool)
        while True:
            scale = (money + half[used].sum()) / np.sqrt(most * half)[used].sum()
            split = np.where(used, np.sqrt(most * half) * scale - half, 0.0)
            if np.all(split >= 0.0):
                break
            used &= split > 0.0
        assert np.allclose(allocate(curves, money).amounts, split, rtol=0.0, atol=1e-6 * money)


# --- auto --------------------------------------------------------------------------------------------------------


def test_auto_chooses_from_families_that_stay_fractions() -> None:
    assert [row.name for row in sorted(tables.FAMILIES, key=lambda row: row.auto) if row.auto] == [
        "linear", "sqrt", "power", "depth", "ladder",
    ]  # fmt: skip
    assert layout.COUNTS[Family.DEPTH] == layout.COUNTS[Family.POWER] == 3.0
    for name in ("depth", "power"):
        form = next(row for row in tables.FAMILIES if row.name == name)
        assert (form.least_capitals, form.least_points) == (3, 5)


@given(st.integers(0, 2**32))
def test_what_auto_chooses_is_a_fraction_that_never_rises(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 12))
    capital = 10.0 ** rng.uniform(2.0, rng.uniform(2.5, 7.0), (30, n))
    efficiency = np.clip(rng.uniform(0.7, 1.1) + rng.normal(0.0, 10.0 ** rng.uniform(-4.0, -0.3), (30, n)), 0.0, 1.0)
    curves = fit([f"S{i}" for i in range(30)], capital, efficiency, family="auto")
    a, b = curves.params[:, 0], curves.params[:, 1]
    straight = np.isin(curves.family, (Family.LINEAR, Family.SQRT)) & (curves.status != FitStatus.TOO_FEW_POINTS)
    assert np.all((a[straight] <= 0.0) & (b[straight] <= 1.0) & (b[straight] >= 0.0))
    others = np.isin(curves.family, (Family.DEPTH, Family.POWER))
    assert np.all((a[others] >= 0.0) & (a[others] <= 1.0) & (b[others] >= 0.0))
    assert np.isin(curves.family, (0, 3, 5, 6)).all()


def test_lines_that_leave_the_fractions_are_held_back_by_auto_only() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0])
    steep, rising = [1.0, 1.0, 0.75, 0.6], [0.5, 0.6, 0.7, 0.8]
    free = fit(["A", "B"], x, [steep, rising], family="linear")
    assert free.params[0, 1] > 1.0
    assert free.params[1, 0] > 0.0
    held = fit(["A", "B"], x, [steep, rising], family="auto")
    assert held.family_names == ["linear", "linear"]
    slope = ((np.array(steep) - 1.0) * x).sum() / (x * x).sum()
    assert np.allclose(held.params[0, :2], [slope, 1.0], rtol=1e-12)
    assert held.covariance[0, 1, 1] == 0.0
    assert held.covariance[0, 0, 0] > 0.0
    assert math.isclose(held.rmse[0] ** 2 * 4.0, ((1.0 + slope * x - steep) ** 2).sum(), rel_tol=1e-12)
    assert held.params[1, 0] == 0.0
    assert math.isclose(held.params[1, 1], 0.65, rel_tol=1e-12)


# --- degenerate records ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["depth", "power"])
def test_few_capitals_give_no_curve(family: str) -> None:
    for capital in ([], [5.0], [5.0, 7.0], [5.0] * 6, [5.0, 7.0, 7.0, 5.0]):
        efficiency = np.linspace(0.9, 0.5, len(capital))
        assert fit(["A"], [capital], [efficiency], family=family).status_names == ["too_few_points"]
    ok = fit(["A"], [[5.0, 7.0, 20.0]], [[0.9, 0.8, 0.3]], family=family)
    assert ok.status_names == ["ok"]
    assert ok.df_resid[0] == 0.0


@pytest.mark.parametrize("level", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("family", ["depth", "power"])
def test_equal_efficiencies_are_constant_without_a_depth(family: str, level: float) -> None:
    curve = fit(["A"], [[1.0, 2.0, 5.0, 9.0]], [[level] * 4], family=family)
    assert curve.status_names == ["constant"]
    assert curve.efficiency([0.0, 3.0, 1e9]).tolist() == [level] * 3
    assert curve.params[0, 1] == (math.inf if family == "depth" else 0.0)
    found = curve.saturation()
    assert found.capacity[0] == (math.inf if level > 0.0 else 0.0)
    assert found.saturation[0] == (math.inf if level > 0.0 else 0.0)
    assert math.isclose(float(allocate(curve, 10.0).amounts.sum()), 10.0 if level > 0.0 else 0.0)
    assert np.array_equal(curve.draw_params(3, seed=1)[:, 0], np.repeat(curve.params, 3, axis=0))


def test_records_that_do_not_fall_have_no_depth() -> None:
    x = np.array([1e4, 2e4, 3e4, 5e4, 8e4])
    rising = [0.5, 0.55, 0.6, 0.62, 0.7]
    depth, power = fit(["A"], x, [rising], family="depth"), fit(["A"], x, [rising], family="power")
    assert depth.status_names == ["degenerate"]
    assert np.isnan(depth.params).all()
    assert power.status_names == ["ok"]
    assert power.params[0, 1:3].tolist() == [0.0, 1.0]
    assert math.isclose(power.params[0, 0], np.mean(rising), rel_tol=1e-12)
    assert np.count_nonzero(power.covariance[0]) == 1


@pytest.mark.parametrize("family", ["depth", "power", "auto"])
def test_odd_records_still_give_fractions(family: str) -> None:
    x = np.geomspace(1e3, 1e6, 20)
    plain = depth_eta(0.98, 1e5, 3.0, x)
    sets = {
        "zeros behind": np.where(x > 2e5, 0.0, plain),
        "one outlier": np.where(np.arange(20) == 3, 0.01, plain),
        "one above": np.where(np.arange(20) == 19, 1.0, 0.0),
        "all but one equal": np.where(np.arange(20) == 10, 0.5, 0.9),
    }
    capitals = {
        "two clusters": np.concatenate([1e3 * (1.0 + 1e-9 * np.arange(10)), 1e6 * (1.0 + 1e-9 * np.arange(10))]),
        "all but one equal": np.where(np.arange(20) == 19, 1e6, 1e3 * (1.0 + (np.arange(20) == 0))),
        "close": 1e6 * (1.0 + 1e-12 * np.arange(20)),
    }
    pairs = [(x, y) for y in sets.values()] + [(c, plain) for c in capitals.values()]
    curves = fit([str(i) for i in range(len(pairs))], [c for c, _ in pairs], [y for _, y in pairs], family=family)
    there = curves.status == FitStatus.OK
    assert there.any()
    eta = curves.efficiency(np.geomspace(1.0, 1e9, 40)[None, :])[there]
    assert np.all((eta >= 0.0) & (eta <= 1.0))
    assert np.isfinite(curves.rmse[there]).all()


@pytest.mark.parametrize("family", ["depth", "power", "auto"])
def test_points_without_weight_do_not_count(family: str) -> None:
    capital, efficiency, _ = drawn(1, 20, 9)
    weights = np.ones((1, 20))
    weights[0, ::3] = 0.0
    kept = weights[0] > 0.0
    one_fit = fit(["A"], capital, efficiency, family=family, weights=weights)
    other = fit(["A"], capital[:, kept], efficiency[:, kept], family=family)
    assert np.array_equal(one_fit.params, other.params)
    nothing = fit(["A"], capital, efficiency, family=family, weights=np.zeros((1, 20)))
    assert nothing.status_names == ["too_few_points"]


@pytest.mark.parametrize("n", [40, 41, 61, 129])
def test_many_points_find_the_same_depth(n: int) -> None:
    x = np.geomspace(1e3, 1e6, n)
    efficiency = depth_eta(0.97, 8e4, 6.0, x) + 0.002 * np.sin(np.arange(n))
    curve = fit(["A"], [x], [efficiency], family="depth", noise="even")
    assert np.allclose(curve.params[0, :3], [0.97, 8e4, 6.0], rtol=0.05)


@pytest.mark.parametrize(
    ("family", "params", "message"),
    [
        ("depth", [1.1, 1.0, 1.0], "a of a depth must be in [0, 1], but params[0, 0] = 1.1"),
        ("depth", [0.9, 0.0, 1.0], "b of a depth must be in (0, inf], but params[0, 1] = 0.0"),
        ("depth", [0.9, 1.0, 0.01], "c of a depth must be in [0.05, 200], but params[0, 2] = 0.01"),
        ("power", [0.9, -0.1, 1.0, 1.0], "b of a power must be in [0, inf), but params[0, 1] = -0.1"),
        ("power", [0.9, 0.1, 9.0, 1.0], "c of a power must be in [0.02, 8], but params[0, 2] = 9.0"),
        ("power", [0.9, 0.1, 1.0, 0.0], "d of a power must be positive, but params[0, 3] = 0.0"),
    ],
)
def test_coefficients_out_of_range_are_refused(family: str, params: list[float], message: str) -> None:
    with pytest.raises(CurveError, match=f"^{re.escape(message)}$"):
        one(family, *params)


@pytest.mark.parametrize("family", ["depth", "hill"])
@pytest.mark.parametrize("knee", [1e-20, 1e-8, 1.0, 1e20])
def test_utility_that_never_falls_has_no_capacity_however_near_its_knee(family: str, knee: float) -> None:
    """At the largest numbers efficiency is 0 by rounding: that says nothing of utility."""
    found = CurveSet.from_params(["A"], family, [[0.9, knee, 2.0]]).saturation()
    assert found.capacity[0] == math.inf
    assert found.ceiling[0] == pytest.approx(0.9 * knee)
    assert CurveSet.from_params(["A"], family, [[0.0, knee, 2.0]]).saturation().capacity[0] == 0.0
