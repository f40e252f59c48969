"""Families of curves: what the tables say of them, how kernels name what they keep, and what a new one must not move."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from escala import CurveError, CurveSet, Family, FitStatus, allocate, fit, tables
from escala.curves.families import family_code
from escala.curves.prediction import Saturation
from escala.kernels import layout
from tests.naive import allocation as naive
from tests.naive.allocation import make_problem
from tests.places import ROOT
from tests.rooms.test_allocation import check_certificate, restricted, rounding, solve

APPENDED = """
import numpy as np
import escala.tables as tables
if {appended}:
    tables.FIT_STATS = (*tables.FIT_STATS, tables.Quantity("one_more", "a statistic of later"))
from escala import fit
rng = np.random.default_rng(1)
x = np.arange(1.0, 13.0)
curves = fit(["A"], x, [0.9 - 0.03 * x + 0.01 * rng.standard_normal(12)], family="linear")
print(curves.lack_of_fit.tolist(), curves.aicc.tolist(), curves.observed.tolist(), curves.trusted_to.tolist())
"""


def test_enumerations_have_the_names_and_numbers_of_the_tables() -> None:
    assert {code.name.lower(): int(code) for code in Family} == {row.name: row.value for row in tables.FAMILIES}
    assert {code.name.lower(): int(code) for code in FitStatus} == {row.name: row.value for row in tables.FIT_STATUS}


def test_codes_of_families_and_wishes_cannot_meet() -> None:
    assert len({row.value for row in (*tables.FAMILIES, *tables.WISHES)}) == len(tables.FAMILIES) + len(tables.WISHES)
    assert all(0 <= row.value < 64 for row in tables.FAMILIES)
    assert all(64 <= row.value < 128 for row in tables.WISHES)
    assert (family_code("linear"), family_code("polynomial"), family_code("auto", wish=True)) == (0, 1, 64)


def test_results_have_the_names_of_the_tables() -> None:
    fields = {field.name for field in dataclasses.fields(CurveSet)}
    kept_otherwise = {"smallest", "largest", "neumann", "neumann_mean", "neumann_variance"}
    assert set(tables.names(tables.FIT_STATS)) - kept_otherwise <= fields
    assert {field.name for field in dataclasses.fields(Saturation)} == {*tables.names(tables.LIMITS), "drop", "symbols"}


def test_every_family_fits_the_width_of_coefficients() -> None:
    assert len(tables.COEFFICIENTS) == tables.PARAMS == layout.PARAMS
    for row in tables.FAMILIES:
        assert [one.name for one in row.coefficients] == list(tables.COEFFICIENTS[: len(row.coefficients)])
        assert 2 <= row.least_capitals <= len(row.coefficients)


def test_rows_of_kernels_are_those_of_the_tables() -> None:
    assert [getattr(layout.fit_stats, row.name.upper()) for row in tables.FIT_STATS] == list(range(layout.FIT_STATS))
    assert [getattr(layout.families, row.name.upper()) for row in tables.FAMILIES] == [
        row.value for row in tables.FAMILIES
    ]
    assert layout.covariance.BA == layout.PARAMS
    assert layout.CHOICES == (0, 3, 6, 5, 7)  # of two that fit as well, the first


def test_rows_cannot_be_called_twice() -> None:
    with pytest.raises(ValueError, match="a row cannot be called 'a': there is one already"):
        layout.rows("a", "a")


def test_a_statistic_that_is_appended_changes_no_other() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT / "src")}
    said = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", APPENDED.format(appended=appended)],
            env=environment, capture_output=True, text=True, check=True,
        ).stdout
        for appended in (False, True)
    ]  # fmt: skip
    assert said[0] == said[1]
    assert "nan" not in said[0]


# --- hill --------------------------------------------------------------------------------------------------------


def hill_eta(a: Any, b: Any, s: Any, capital: Any) -> Any:
    """η as the definition says it."""
    x = np.asarray(capital) / b
    return a * x ** (s - 1.0) / (1.0 + x**s)


def largest_a(s: float) -> float:
    return s / (s - 1.0) ** ((s - 1.0) / s) if s > 1.0 else 1.0


shapes = st.one_of(st.just(1.0), st.floats(1.0, 20.0))
shares = st.floats(0.01, 1.0)


def hill_curve(share: float, b: float, s: float, **options: Any) -> CurveSet:
    return CurveSet.from_params(["A"], "hill", [[share * largest_a(s), b, s]], **options)


@given(shares, st.floats(1e-6, 1e12), shapes)
def test_hill_is_a_fraction_and_its_utility_never_falls(share: float, b: float, s: float) -> None:
    curve = hill_curve(share, b, s)
    capital = b * np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 301)])
    eta = curve.efficiency(capital)
    assert np.allclose(eta, np.minimum(hill_eta(curve.params[0, 0], b, s, capital), 1.0), rtol=1e-12, atol=1e-300)
    assert np.all((eta >= 0.0) & (eta <= 1.0))
    used = curve.utility(capital)
    assert np.all(np.diff(used) >= -1e-12 * used[1:])
    assert np.all(curve.marginal(capital) >= 0.0)


@given(shares, shapes, st.floats(-3.0, 3.0))
def test_marginal_utility_of_hill_is_the_derivative(share: float, s: float, log_x: float) -> None:
    curve = hill_curve(share * 0.999, 2e5, s)
    capital, step = 2e5 * math.exp(log_x / s), 1e-5
    low, high = curve.utility([capital * (1.0 - step), capital * (1.0 + step)])
    assert math.isclose((high - low) / (2.0 * step * capital), curve.marginal(capital)[0], rel_tol=1e-6)


@given(shares, shapes, st.floats(0.02, 0.999))
def test_thresholds_peak_and_saturation_of_hill(share: float, s: float, drop: float) -> None:
    curve = hill_curve(share, 3.0, s)
    found = curve.saturation(drop)
    peak = 3.0 * (s - 1.0) ** (1.0 / s) if s > 1.0 else 0.0
    assert math.isclose(found.peak[0], peak, rel_tol=1e-9, abs_tol=1e-12)
    assert found.capacity[0] == math.inf
    top = curve.efficiency(peak)[0]
    assert math.isclose(curve.efficiency(found.saturation)[0], (1.0 - drop) * top, rel_tol=1e-9)
    assert math.isclose(found.saturation[0], curve.threshold((1.0 - drop) * top)[0], rel_tol=1e-9)
    assert curve.threshold(min(1.0, top * 1.0001))[0] in {0.0, math.inf} or top > 0.9999


@pytest.mark.parametrize("seed", range(4))
def test_fits_of_hill_are_global(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 20
    s, b = np.where(rng.random(n) < 0.2, 1.0, rng.uniform(1.0, 8.0, n)), 10.0 ** rng.uniform(4.5, 5.5, n)
    capital = 10.0 ** rng.uniform(4.0, 6.0, (n, 15))
    a = np.array([rng.uniform(0.5, 1.0) * largest_a(one) for one in s])
    truth = np.stack([hill_eta(a[i], b[i], s[i], capital[i]) for i in range(n)])
    efficiency = np.clip(truth + rng.normal(0.0, 0.02, truth.shape), 0.0, 1.0)
    curves = fit([f"S{i}" for i in range(n)], capital, efficiency, family="hill")
    assert (curves.status == FitStatus.OK).sum() >= n - 3
    for i in np.flatnonzero(curves.status == FitStatus.OK):
        error = curves.rmse[i] ** 2 * 15
        assert math.isclose(error, np.sum((curves.efficiency(capital)[i] - efficiency[i]) ** 2), rel_tol=1e-9)
        kappa, shape = np.meshgrid(np.linspace(np.log(3e2), np.log(3e7), 400), np.geomspace(1.0, 20.0, 120))
        g = np.stack([hill_eta(1.0, np.exp(kappa), shape, c) for c in capital[i]])
        most = np.vectorize(largest_a)(shape)
        best = np.clip(np.einsum("m...,m->...", g, efficiency[i]) / (g * g).sum(0), 0.0, most)
        scanned = ((efficiency[i][:, None, None] - best * g) ** 2).sum(0)
        assert error <= scanned.min() * (1.0 + 1e-9)


def test_errors_of_hill_by_a_library() -> None:
    from scipy.optimize import curve_fit

    rng = np.random.default_rng(7)
    capital = np.geomspace(1e4, 2e6, 40)
    efficiency = hill_eta(1.2, 2e5, 2.5, capital) + rng.normal(0.0, 0.01, 40)
    curve = fit(["A"], [capital], [np.clip(efficiency, 0.0, 1.0)], family="hill", noise="even")
    theta, covariance = curve_fit(
        lambda c, a, log_b, s: hill_eta(a, np.exp(log_b), s, c), capital, np.clip(efficiency, 0.0, 1.0),
        p0=(1.0, np.log(1e5), 2.0), xtol=1e-14, ftol=1e-14, gtol=1e-14,
    )  # fmt: skip
    theta[1] = np.exp(theta[1])
    units = np.array([1.0, theta[1], 1.0])
    assert np.allclose(curve.params[0, :3], theta, rtol=1e-6)
    assert np.allclose(curve.covariance[0, :3, :3], covariance * np.outer(units, units), rtol=1e-4)
    assert np.all(curve.covariance[0, 3] == 0.0)
    at = 3e5
    steps = np.diag([1e-6, 1e-6 * theta[1], 1e-6])
    up, down = (
        np.array([hill_eta(row[0], row[1], row[2], at) for row in theta + sign * steps]) for sign in (1.0, -1.0)
    )
    gradient = (up - down) / (2.0 * np.diag(steps))
    wide = np.sqrt(gradient @ curve.covariance[0, :3, :3] @ gradient + curve.residual_sd[0] ** 2)
    found = curve.predict(at, level=0.9)
    assert math.isclose((found.high - found.low)[0] / 2.0, stats.t(37).ppf(0.95) * wide, rel_tol=1e-4)
    limits = curve.saturation()
    assert limits.saturation_low[0] < limits.saturation[0] < limits.saturation_high[0]
    assert limits.capacity_low[0] == limits.capacity_high[0] == math.inf
    draws = curve.draw_params(20_000, seed=1)[:, 0]
    assert np.allclose(draws.mean(0)[:3], curve.params[0, :3], rtol=0.01)
    assert np.allclose(draws.std(0)[:3], np.sqrt(np.diag(curve.covariance[0])[:3]), rtol=0.05)


def test_hill_without_an_inner_optimum_has_no_curve() -> None:
    x = np.array([1e4, 2e4, 3e4, 5e4, 8e4])
    level, nearly = fit(["A", "B"], x, [[0.5] * 5, [0.5, 0.5, 0.5, 0.5, 0.5001]], family="hill")
    assert level.status_names == nearly.status_names == ["degenerate"]
    assert fit(["A"], [x[:2]], [[0.9, 0.8]], family="hill").status_names == ["too_few_points"]
    assert "hill" not in fit(["A"], x, [hill_eta(1.2, 3e4, 2.0, x)], family="auto").family_names


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([1.0, 0.0, 2.0], "b of a hill must be positive, but params[0, 1] = 0.0"),
        ([1.0, 1.0, 0.5], "c of a hill must be in [1, 20], but params[0, 2] = 0.5"),
        (
            [-0.1, 1.0, 2.0],
            "a of a hill must be at least 0, with a highest efficiency of at most 1, but params[0, 0] = -0.1",
        ),
        (
            [1.1, 1.0, 1.0],
            "a of a hill must be at least 0, with a highest efficiency of at most 1, but params[0, 0] = 1.1",
        ),
    ],
)
def test_hill_refuses_coefficients(params: list[float], message: str) -> None:
    with pytest.raises(CurveError, match=f"^{re.escape(message)}$"):
        CurveSet.from_params(["A"], "hill", [params])


@pytest.mark.parametrize("seed", range(12))
def test_allocations_over_hills_are_proven(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    families = [str(rng.choice(["hill", "hill", "exponential", "linear"])) for _ in range(n)]
    params = np.zeros((n, 3))
    for i, family in enumerate(families):
        s = 1.0 if rng.random() < 0.3 else rng.uniform(1.0, 6.0)
        params[i] = {
            "hill": (rng.uniform(0.3, 1.0) * largest_a(s), 10.0 ** rng.uniform(-1.0, 0.5), s),
            "exponential": (rng.uniform(0.2, 0.6), 10.0 ** rng.uniform(-0.5, 1.0), rng.uniform(0.0, 0.4)),
            "linear": (-rng.uniform(0.05, 1.0), rng.uniform(0.3, 1.0), 0.0),
        }[family]
    p = restricted(make_problem(families, params, float(n * rng.uniform(0.1, 0.8))), rng, lumpy=seed % 2 == 1)
    result = solve(p)
    check_certificate(p, result)
    for _ in range(100):
        point = naive.random_feasible(p, rng)
        if point is not None:
            assert naive.value_of(p, point) <= float(result.upper_bound) + rounding(p)


def test_one_hill_alone_is_filled_from_its_tangent_on() -> None:
    curves = CurveSet.from_params(["A", "B"], "hill", [[1.5, 1.0, 2.0], [1.5, 1.0, 2.0]])
    found = allocate(curves, 1.0)
    assert np.allclose(np.sort(found.amounts), [0.0, 1.0], atol=1e-9)
    assert math.isclose(float(found.utility), 0.75, rel_tol=1e-9)
    rich = allocate(curves, 6.0)
    assert np.allclose(rich.amounts, 3.0, rtol=1e-6)


def test_responses_that_rise_slowly_at_first_are_found_exactly_and_split_as_their_formula_says() -> None:
    """V·C^s/(K^s + C^s) with one V/K and one s: marginals are equal where all C/K are, on the branch where they fall."""
    half, s = np.array([5.0, 2.0, 9.0, 30.0]), 2.5
    capital = half[:, None] * np.geomspace(0.1, 12.0, 14)
    a = 0.8 * largest_a(s)
    curves = fit(
        list("ABCD"), capital, np.stack([hill_eta(a, k, s, capital[i]) for i, k in enumerate(half)]), family="hill"
    )
    assert np.allclose(curves.params[:, 1], half, rtol=1e-9)
    assert np.allclose(curves.params[:, 2], s, rtol=1e-9)
    for money in (80.0, 150.0, 400.0):
        assert np.allclose(allocate(curves, money).amounts, money * half / half.sum(), rtol=0.0, atol=1e-6 * money)


def test_hills_are_drawn() -> None:
    pytest.importorskip("matplotlib")
    from escala import plots

    curves = CurveSet.from_params(["A", "B"], "hill", [[1.2, 1e5, 2.0], [0.9, 1e5, 1.0]], trusted_to=1e6)
    assert plots.efficiency_curves(curves).axes
