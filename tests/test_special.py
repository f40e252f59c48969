"""exp, expm1 and log of the kernels: their errors, their special values, and their plain-Python twins."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numba
import numpy as np
import numpy.typing as npt
import pytest

from escala.kernels import special
from tests.naive_curves import naive_exp, naive_expm1, naive_log

Floats = npt.NDArray[np.float64]


def mapped(function: Callable[[float], float]) -> Callable[[Floats], Floats]:
    @numba.njit(error_model="numpy")
    def run(x: Floats) -> Floats:
        out = np.empty_like(x)
        for i in range(x.size):
            out[i] = function(x[i])
        return out

    return run


EXP, EXPM1, LOG = mapped(special.exp), mapped(special.expm1), mapped(special.log)
RNG = np.random.default_rng(5)
EXPONENTS = np.concatenate([RNG.uniform(-708, 709.7, 5000), RNG.uniform(-1, 1, 3000), [0.0, -708.0, 1e-300]])
DECAYS = np.concatenate([-RNG.uniform(0, 708, 3000), -(10.0 ** RNG.uniform(-18, 1, 3000)), [0.0, -5000.0]])
POSITIVE = np.concatenate([10.0 ** RNG.uniform(-300, 300, 5000), RNG.uniform(0.5, 2, 3000), [1.0]])


def test_they_equal_their_twins_to_the_bit() -> None:
    assert EXP(EXPONENTS).tolist() == [naive_exp(float(t)) for t in EXPONENTS]
    assert EXPM1(DECAYS).tolist() == [naive_expm1(float(t)) for t in DECAYS]
    assert LOG(POSITIVE).tolist() == [naive_log(float(x)) for x in POSITIVE]


def exact_exp(t: float) -> Fraction:
    """Taylor series in rationals, on t/1024, squared ten times; kept to 200 bits."""
    x = Fraction(t) / 1024
    term = total = Fraction(1)
    for k in range(1, 25):
        term = term * x / k
        total += term
    for _ in range(10):
        total = (
            Fraction(round(total * total * 2**400), 2**400)
            if t < 0
            else Fraction(round(total * total * 2**120), 2**120)
        )
    return total


@pytest.mark.parametrize("t", [-20.0, -3.7, -0.4, -1e-3, 0.3, 1.0, 12.25, 33.0])
def test_errors_are_what_the_docstring_says(t: float) -> None:
    truth = exact_exp(t)
    for value, reference, ulps in ((EXP, truth, 1.0), (EXPM1, truth - 1, 2.2)):
        if t > 0 and value is EXPM1:
            continue
        got = float(value(np.array([t]))[0])
        assert abs(Fraction(got) - reference) <= Fraction(math.ulp(got)) * Fraction(ulps)


def test_log_undoes_exp() -> None:
    t = RNG.uniform(-600, 600, 2000)
    assert np.allclose(LOG(EXP(t)), t, rtol=3e-16 * 4, atol=4e-16)


def test_special_values() -> None:
    assert EXP(np.array([-709.0, -math.inf])).tolist() == [0.0, 0.0]
    highest = float(EXP(np.array([709.78]))[0])
    assert EXP(np.array([709.8, math.inf])).tolist() == [highest, highest]
    assert 1.79e308 < highest < math.inf
    assert EXPM1(np.array([-709.0, -math.inf, 0.0])).tolist() == [-1.0, -1.0, 0.0]
    assert math.isnan(EXP(np.array([math.nan]))[0])
    assert math.isnan(EXPM1(np.array([math.nan]))[0])
    assert LOG(np.array([1.0]))[0] == 0.0
