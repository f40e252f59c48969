"""Student's and the beta distribution of the kernels: their twins, their errors against sixty digits, their limits."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from escala.curves.predictor import student_quantiles
from escala.kernels.distributions import (
    beta_probabilities,
    student_between,
    student_constant,
    student_quantile,
)
from tests.naive import distributions as naive
from tests.places import ROOT

Floats = npt.NDArray[np.float64]
REFERENCE = json.loads((ROOT / "tests/data/student_quantiles.json").read_text())

freedoms = st.one_of(
    st.floats(1e-3, 1e7), st.integers(1, 300).map(float), st.sampled_from([1e-300, 1e20, 1e300, math.inf])
)
levels = st.one_of(
    st.floats(0.0, 1.0, exclude_min=True, exclude_max=True), st.sampled_from([0.5, 0.9, 0.95, 1 - 2**-53])
)


def beta(a: Floats, b: Floats, x: Floats) -> Floats:
    out = np.empty(a.size)
    beta_probabilities(a, b, x, out, 0, a.size)
    return out


@given(freedoms, levels)
@settings(deadline=None)
def test_quantiles_have_the_bits_of_their_twin(df: float, level: float) -> None:
    found = student_quantiles(np.array([df, df, 1.0]), level)
    assert found[0] == found[1] == naive.student_quantile(df, level)
    assert found[2] == naive.student_quantile(1.0, level)


@given(freedoms, st.floats(-1e3, 1e3), st.one_of(st.floats(0.0, 1e3), st.just(math.inf)))
@settings(deadline=None)
def test_probabilities_have_the_bits_of_their_twin(df: float, low: float, width: float) -> None:
    for one, other in ((low, low + width), (-width, width)):
        found = student_between(df, student_constant(df), one, other)
        assert found == naive.student_between(df, one, other)
        assert -1e-15 <= found <= 1.0


@given(st.floats(1e-3, 1e4), st.floats(1e-3, 1e4), st.floats(0.0, 1.0))
@settings(deadline=None)
def test_the_beta_distribution_has_the_bits_of_its_twin(a: float, b: float, x: float) -> None:
    assert beta(np.array([a]), np.array([b]), np.array([x]))[0] == naive.beta_probability(a, b, x)


def test_quantiles_are_right_to_four_units_in_the_last_place() -> None:
    worst = 0.0
    for df, level, exact in REFERENCE["quantiles"]:
        found = float(student_quantiles(np.array([float(df)]), float(level))[0])
        worst = max(worst, float(abs(Decimal(found) - Decimal(exact))) / math.ulp(found))
    assert len(REFERENCE["quantiles"]) >= 300
    assert worst <= 4.0


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99, 0.999999])
def test_quantiles_are_those_of_scipy_as_far_as_they_agree_with_each_other(level: float) -> None:
    df = np.concatenate([np.arange(1.0, 200.0), 10.0 ** np.linspace(0.0, 6.0, 400)])
    np.testing.assert_allclose(student_quantiles(df, level), -special.stdtrit(df, 0.5 * (1.0 - level)), rtol=3e-14)


def test_probabilities_are_those_of_scipy() -> None:
    rng = np.random.default_rng(3)
    df, low = 10.0 ** rng.uniform(0.0, 6.0, 500), rng.uniform(-5.0, 5.0, 500)
    high = low + rng.uniform(0.0, 5.0, 500)
    found = [student_between(v, student_constant(v), a, b) for v, a, b in zip(df, low, high, strict=True)]
    np.testing.assert_allclose(found, special.stdtr(df, high) - special.stdtr(df, low), rtol=0.0, atol=2e-14)
    a = 10.0 ** rng.uniform(-1.0, 3.0, 500)
    b, x = a * rng.uniform(0.5, 2.0, 500), rng.uniform(0.0, 1.0, 500)
    np.testing.assert_allclose(beta(a, b, x), special.betainc(a, b, x), rtol=1e-10, atol=1e-300)


def test_known_quantiles() -> None:
    for level in (1e-12, 0.1, 0.5, 0.9, 0.999999):
        cauchy, two = student_quantile(1.0, level), student_quantile(2.0, level)
        assert cauchy == pytest.approx(math.tan(0.5 * math.pi * level), rel=1e-9 if level > 0.99 else 1e-14)
        assert two == pytest.approx(level * math.sqrt(2.0 / ((1.0 - level) * (1.0 + level))), rel=1e-14)
    assert student_quantile(math.inf, 0.95) == pytest.approx(1.959963984540054, rel=1e-15)


def test_the_ends_of_what_they_take() -> None:
    assert all(map(math.isnan, student_quantiles(np.array([0.0, -1.0, math.nan]), 0.9)))
    assert math.isnan(student_quantile(5.0, 1.0))
    assert math.isnan(student_quantile(5.0, 0.0))
    assert student_quantile(1e-5, 0.9) == math.inf
    assert student_between(5.0, student_constant(5.0), -math.inf, math.inf) == 1.0
    assert student_between(5.0, student_constant(5.0), -math.inf, 0.0) == 0.5
    bad = beta(
        np.array([0.0, 1.0, math.inf, 2.0]), np.array([1.0, math.nan, 1.0, 2.0]), np.array([0.5, 0.5, 0.5, math.nan])
    )
    assert np.isnan(bad).all()
    assert beta(np.array([2.0, 2.0]), np.array([3.0, 3.0]), np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


@pytest.mark.slow
def test_fitting_and_predicting_load_no_scipy() -> None:
    code = (
        "import sys, escala\n"
        "curve = escala.fit(['A'], [[1e3, 1e4, 1e5, 1e6]], [[0.9, 0.8, 0.7, 0.5]], family='linear')\n"
        "curve.predict(2e4); curve.saturation(); curve.lack_of_fit; curve.summary(); escala.allocate(curve, 1e4)\n"
        "print('scipy.special' in sys.modules, 'scipy.stats' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.split() == ["False", "False"]
