"""exp, expm1, log, log1p and Lambert's W₀ of the kernels: their errors, their special values, and their plain-Python twins."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction

import numba
import numpy as np
import numpy.typing as npt
import pytest

from escala.kernels import special
from tests.naive.curves import horner, naive_exp, naive_expm1, naive_log, rough_exp, rough_log1p
from tests.naive.market import naive_quantile

Floats = npt.NDArray[np.float64]


def mapped(function: Callable[[float], float]) -> Callable[[Floats], Floats]:
    @numba.njit(error_model="numpy")
    def run(x: Floats) -> Floats:
        out = np.empty_like(x)
        for i in range(x.size):
            out[i] = function(x[i])
        return out

    return run


def mapped_in_pairs(function: Callable[[float, float], tuple[float, float]]) -> Callable[[Floats], Floats]:
    @numba.njit(error_model="numpy")
    def run(x: Floats) -> Floats:
        out = np.empty((2, x.size))
        for i in range(x.size):
            out[0, i], out[1, x.size - 1 - i] = function(x[i], x[x.size - 1 - i])
        return out

    return run


EXP, EXPM1, LOG = mapped(special.exp), mapped(special.expm1), mapped(special.log)
LOG_TO_TWO = mapped(special.log_to_two)
LOG1P, LAMBERT_W0 = mapped(special.log1p), mapped(special.lambert_w0)
ROUGH_EXPS, ROUGH_LOG1PS = mapped_in_pairs(special.rough_exps), mapped_in_pairs(special.rough_log1ps)
RNG = np.random.default_rng(5)
EXPONENTS = np.concatenate([RNG.uniform(-708, 709.7, 5000), RNG.uniform(-1, 1, 3000), [0.0, -708.0, 1e-300]])
DECAYS = np.concatenate([-RNG.uniform(0, 708, 3000), -(10.0 ** RNG.uniform(-18, 1, 3000)), [0.0, -5000.0]])
POSITIVE = np.concatenate([10.0 ** RNG.uniform(-300, 300, 5000), RNG.uniform(0.5, 2, 3000), [1.0]])
LOWEST = -0.36787944117144233  # −1/e
OVER_BRANCH_POINT = LOWEST + 10.0 ** RNG.uniform(-16, -2, 1000)
DOMAIN = np.concatenate(
    [RNG.uniform(LOWEST, math.e, 5000), OVER_BRANCH_POINT, 10.0 ** RNG.uniform(-300, 0, 1000), [LOWEST, 0.0, math.e]]
)
W0_NUMERATOR = (
    math.e,
    12.330508578167766,
    21.61018827246387,
    18.546818660088526,
    8.17268738519753,
    1.776602479367239,
    0.16698090410889566,
    0.004895781330959134,
    9.437489811163391e-06,
)
W0_DENOMINATOR = (
    1.0,
    6.86778458669314,
    19.43270286965483,
    29.29354448349162,
    25.42959748128593,
    12.85127159481418,
    3.652242242728469,
    0.5359773838281758,
    0.03421903611599541,
    0.0006363499168566141,
)


def test_they_equal_their_twins_to_the_bit() -> None:
    assert EXP(EXPONENTS).tolist() == [naive_exp(float(t)) for t in EXPONENTS]
    assert EXPM1(DECAYS).tolist() == [naive_expm1(float(t)) for t in DECAYS]
    assert LOG(POSITIVE).tolist() == [naive_log(float(x)) for x in POSITIVE]
    assert LAMBERT_W0(DOMAIN).tolist() == [naive_lambert_w0(float(z)) for z in DOMAIN]


def naive_lambert_w0(z: float) -> float:
    """Even and odd powers of the root apart, each by Horner's rule."""
    if z >= math.e:
        return 1.0
    x = max((z - LOWEST) - 1.2428753672788363e-17, 0.0)
    numerator, denominator = (
        horner(coefficients[::2], x) + math.sqrt(x) * horner(coefficients[1::2], x)
        for coefficients in (W0_NUMERATOR, W0_DENOMINATOR)
    )
    return max(z * (numerator / denominator), -1.0)


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


def test_rough_ones_equal_their_twins_and_err_by_what_their_docstrings_say() -> None:
    fractions = np.concatenate([RNG.uniform(0.0, 1.0, 5000), 10.0 ** RNG.uniform(-300, 0, 500), [0.0, 1.0]])
    assert ROUGH_EXPS(DECAYS).tolist() == [[rough_exp(float(t)) for t in DECAYS]] * 2
    assert ROUGH_LOG1PS(fractions).tolist() == [[rough_log1p(float(q)) for q in fractions]] * 2
    inside = DECAYS[DECAYS >= -708.0]
    assert np.max(np.abs(ROUGH_EXPS(inside) / np.exp(inside) - 1.0)) < 6e-9
    assert np.max(np.abs(ROUGH_LOG1PS(fractions) - np.log1p(fractions))) < 1.1e-8
    assert ROUGH_EXPS(np.array([-1e9]))[0] == pytest.approx(3.3e-308, rel=0.01)


def test_logs_up_to_two_are_those_of_the_others() -> None:
    x = np.concatenate([RNG.uniform(1.0, 2.0, 5000), 1.0 + 10.0 ** RNG.uniform(-17, 0, 1000), [1.0, math.sqrt(2), 2.0]])
    assert LOG_TO_TWO(x).tolist() == LOG(x).tolist()


def test_log_undoes_exp() -> None:
    t = RNG.uniform(-600, 600, 2000)
    assert np.allclose(LOG(EXP(t)), t, rtol=3e-16 * 4, atol=4e-16)


def test_log1p_loses_nothing_of_small_numbers() -> None:
    x = np.concatenate([10.0 ** RNG.uniform(-300, 300, 300), 10.0 ** RNG.uniform(-17, 1, 300), [0.0, 1e-300]])
    for argument, got in zip(x.tolist(), LOG1P(x).tolist(), strict=True):
        with localcontext(prec=340):
            truth = (1 + Decimal(argument)).ln()
        assert abs(Decimal(got) - truth) <= 4 * Decimal(math.ulp(got)), argument
        whole = 1.0 + argument
        assert got == naive_log(whole) + (argument - (whole - 1.0)) / whole


def exact_lambert_w0(z: float) -> Decimal:
    """Newton's method with 60 digits: w·e^w is convex for w > −1, so from above it can only go down."""
    with localcontext(prec=60):
        w = Decimal(1)
        for _ in range(300):
            power = w.exp()
            step = (w * power - Decimal(z)) / (power * (w + 1))
            w -= step
            if step < Decimal(10) ** -40:
                return w
    raise AssertionError(f"no root for {z!r}")


def test_lambert_w0_is_as_right_as_the_docstring_says() -> None:
    z = np.concatenate([RNG.uniform(LOWEST, math.e, 300), OVER_BRANCH_POINT[:200], [1e-15, 1e-9, -1e-9, -1e-15]])
    for argument, got in zip(z.tolist(), LAMBERT_W0(z).tolist(), strict=True):
        error = abs(Decimal(got) - exact_lambert_w0(argument))
        assert error <= Decimal("4.5") * Decimal(math.ulp(got)), argument
        assert error <= Decimal("5e-16"), argument


def test_lambert_w0_at_its_ends() -> None:
    inside = np.array([LOWEST, -1e-300, 0.0, 1e-300, 1.0, math.e])
    assert LAMBERT_W0(inside).tolist() == [-1.0, -1e-300, 0.0, 1e-300, 0.567143290409784, 1.0]
    assert LAMBERT_W0(np.array([-0.37, -1e300, -math.inf])).tolist() == [-1.0] * 3
    assert LAMBERT_W0(np.array([2.72, 1e300, math.inf])).tolist() == [1.0] * 3
    assert math.isnan(LAMBERT_W0(np.array([math.nan]))[0])
    floor = LOWEST + np.arange(10_000) / 2**54
    assert np.all(np.diff(LAMBERT_W0(floor)) >= 0.0)
    ceiling = math.e - np.arange(10_000) / 2**51
    assert np.all(LAMBERT_W0(ceiling) <= 1.0)


def test_lambert_w0_undoes_its_definition() -> None:
    w = RNG.uniform(-0.999, 1.0, 2000)
    z = w * np.exp(w)
    assert np.allclose(LAMBERT_W0(z), w, rtol=0, atol=1e-12)
    got = LAMBERT_W0(DOMAIN)
    assert np.allclose(got * np.exp(got), DOMAIN, rtol=2e-15, atol=0)


def test_special_values() -> None:
    assert EXP(np.array([-709.0, -math.inf])).tolist() == [0.0, 0.0]
    highest = float(EXP(np.array([709.78]))[0])
    assert EXP(np.array([709.8, math.inf])).tolist() == [highest, highest]
    assert 1.79e308 < highest < math.inf
    assert EXPM1(np.array([-709.0, -math.inf, 0.0])).tolist() == [-1.0, -1.0, 0.0]
    assert math.isnan(EXP(np.array([math.nan]))[0])
    assert math.isnan(EXPM1(np.array([math.nan]))[0])
    assert LOG(np.array([1.0]))[0] == 0.0


# --- the normal quantile ----------------------------------------------------------------------------------------

NORMAL, EXP_WITHIN = mapped(special.normal_quantile), mapped(special.exp_within)
CELLS = np.asarray((2.0 * RNG.integers(0, 2**52, 20_000) + 1.0) * 2.0**-53, dtype=np.float64)
SHARES = np.concatenate([CELLS, CELLS * 10.0 ** RNG.uniform(-12, 0, CELLS.size), [2.0**-53, 2.0**-31, 0.075, 0.925]])


def test_normal_quantile_equals_its_twin_to_the_bit() -> None:
    assert NORMAL(SHARES).tolist() == [naive_quantile(u) for u in SHARES.tolist()]


def test_normal_quantile_is_right_to_some_ulp() -> None:
    from scipy.special import ndtri

    assert NORMAL(SHARES) == pytest.approx(ndtri(SHARES), rel=4e-15)


def test_normal_quantile_is_exactly_odd() -> None:
    assert np.array_equal(NORMAL(CELLS), -NORMAL(1.0 - CELLS))


def test_the_quick_exponential_is_the_other_one_where_it_holds() -> None:
    inside = EXPONENTS[EXPONENTS >= -708.0]
    assert np.array_equal(EXP_WITHIN(inside), EXP(inside))
