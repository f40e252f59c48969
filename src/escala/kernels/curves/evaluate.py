"""Efficiency curves over arrays of capital: efficiency, utility, marginal utility, and its interval.

Every family's functions are in its file of :mod:`escala.kernels.families`; loops are written once and inlined with the
family as a constant, so that each is vectorised.
"""

from __future__ import annotations

import math

from escala.kernels.curves.variance import deviation
from escala.kernels.families import dispatch, ladder
from escala.kernels.families.params import Params, of_row
from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    codes_in,
    float_rows_in,
    float_rows_out,
    floats_in,
    helper,
    integer,
    integers_out,
    kernel,
)
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import families as f
from escala.kernels.layout import ladder_step as step
from escala.kernels.special import exp

#: Most by which depth is moved, as a logarithm.
FARTHEST = 700.0
EFFICIENCY, UTILITY, MARGINAL = 0, 1, 2


@helper
def clipped_to(wanted: int, c: float, eta: float, marginal: float) -> float:
    """Clip to a fraction: what is above 1 counts as 1, what is below 0 returns nothing. NaN stays."""
    low = eta < 0.0
    high = eta > 1.0
    if wanted == MARGINAL:
        value = 0.0 if low else marginal
        return 1.0 if high else value
    value = 0.0 if low else eta
    value = 1.0 if high else value
    return c * value if wanted == UTILITY else value


@helper
def invalid(c: float) -> int:
    """Count a capital that is negative or not finite."""
    return 0 if (c >= 0.0) & (c < math.inf) else 1


@helper
def _along(wanted: int, family: int, p: Params, origin: float, steps: Floats, capital: Floats, out: Floats) -> int:
    """One curve over a row of capitals; returns how many are invalid."""
    bad = 0
    for j in range(out.size):
        x = capital[j]
        eta, slope = dispatch.value_and_marginal(family, p, origin, steps, x)
        out[j] = clipped_to(wanted, x, eta, slope)
        bad += invalid(x)
    return bad


@helper
def _along_steps(wanted: int, p: Params, steps: Floats, capital: Floats, out: Floats) -> int:
    """One ladder over a row of capitals, as :func:`_along`; where capitals are in order, few need a search."""
    bad = 0
    count = int(p[k.C]) if p[k.A] >= 0.0 else 0
    begin = int(p[k.D]) if count > 0 else 0
    last = begin + count - 1
    first = False
    knot = end = math.inf  # of the step that the last capital was in
    slope = utility = math.nan
    for j in range(out.size):
        x = capital[j]
        u = x / p[k.B]
        if (count > 0) & ((not (u > knot)) | (u > end)):
            at = ladder.step_at(p, steps, u)
            first = at == begin
            knot = steps[at]
            end = steps[at + 1] if at < last else math.inf
            slope = steps[at + step.SLOPE * count]
            utility = steps[at + step.UTILITY * count]
        eta = ladder.within(first, knot, slope, utility, u)
        out[j] = clipped_to(wanted, x, p[k.A] * eta, p[k.A] * slope)
        bad += invalid(x)
    return bad


@helper
def _evaluate_row(
    wanted: int, family: int, p: Params, origin: float, steps: Floats, capital: Floats, out: Floats
) -> int:
    if family == f.LINEAR:
        return _along(wanted, f.LINEAR, p, origin, steps, capital, out)
    if family == f.QUADRATIC:
        return _along(wanted, f.QUADRATIC, p, origin, steps, capital, out)
    if family == f.SQRT:
        return _along(wanted, f.SQRT, p, origin, steps, capital, out)
    if family == f.LADDER:
        return _along_steps(wanted, p, steps, capital, out)
    if family == f.HILL:
        return _along(wanted, f.HILL, p, origin, steps, capital, out)
    if family == f.DEPTH:
        return _along(wanted, f.DEPTH, p, origin, steps, capital, out)
    if family == f.POWER:
        return _along(wanted, f.POWER, p, origin, steps, capital, out)
    return _along(wanted, f.EXPONENTIAL, p, origin, steps, capital, out)


@kernel(
    integer,
    codes_in,
    float_rows_in,
    floats_in,
    floats_in,
    float_rows_in,
    float_rows_out,
    integers_out,
    integer,
    integer,
)
def evaluate(
    wanted: int,
    family: Codes,
    params: Floats,
    origin: Floats,
    steps: Floats,
    capital: Floats,
    out: Floats,
    bad: Integers,
    start: int,
    stop: int,
) -> None:
    """Evaluate n curves at m capitals each.

    Parameters
    ----------
    wanted : int
        EFFICIENCY η in [0, 1], UTILITY C·η or MARGINAL d(C·η)/dC.
    family : (n,) int8
    params, origin : (n, PARAMS), (n,) float64
    steps : float64
        Of ladders, at their places.
    capital : (n, m) or (1, m) float64
        One row serves all curves.
    out : (n, m) float64
        Output.
    bad : (1,) int64
        Output: capitals that are negative or not finite; their results mean nothing.
    start, stop : int
        Range of flat indexes of `out`.
    """
    m = out.shape[1]
    bad[0] = 0
    at = start
    while at < stop:
        i = at // m
        first = at - i * m
        last = min(m, first + stop - at)
        row = capital[i if capital.shape[0] > 1 else 0]
        bad[0] += _evaluate_row(
            wanted, family[i], of_row(params[i]), origin[i], steps, row[first:last], out[i, first:last]
        )  # fmt: skip
        at += last - first


@helper
def _ladder_ends(
    p: Params, origin: float, steps: Floats, root: Floats, half: float, x: float
) -> tuple[float, float]:  # fmt: skip
    """Marginal of a ladder with level and depth each moved by its own error, towards less and towards more."""
    level = half * math.sqrt(deviation(root, 1.0, 0.0, 0.0))
    # f₁'s coefficient is a·ln b
    depth = half * math.sqrt(deviation(root, 0.0, 1.0, 0.0)) / p[k.A] if p[k.A] > 0.0 else 0.0
    farther = exp(min(depth, FARTHEST))
    low = max(p[k.A] - level, 0.0) / p[k.A] if p[k.A] > 0.0 else 0.0
    high = (p[k.A] + level) / p[k.A] if p[k.A] > 0.0 else 0.0
    less = dispatch.marginal(f.LADDER, p, origin, steps, x * farther)
    more = dispatch.marginal(f.LADDER, p, origin, steps, x / farther)
    return low * less, high * more


@kernel(
    codes_in,
    float_rows_in,
    floats_in,
    floats_in,
    float_rows_in,
    floats_in,
    float_rows_in,
    float_rows_out,
    float_rows_out,
    float_rows_out,
    integer,
    integer,
)
def marginal_interval(
    family: Codes,
    params: Floats,
    origin: Floats,
    steps: Floats,
    root: Floats,
    half: Floats,
    capital: Floats,
    marginal: Floats,
    low: Floats,
    high: Floats,
    start: int,
    stop: int,
) -> None:
    """Marginal utility as :func:`evaluate` clips it, and the ends of its interval, not clipped.

    Parameters as in :func:`evaluate`, `root` is (n, ROOT); `half` is (n,), a quantile times the residual standard
    deviation, NaN where nothing is known of errors; `marginal`, `low` and `high` are the (n, m) outputs, the last two
    NaN there.
    """
    m = marginal.shape[1]
    for at in range(start, stop):
        i = at // m
        j = at - i * m
        x = capital[i if capital.shape[0] > 1 else 0, j]
        p = of_row(params[i])
        eta, slope = dispatch.value_and_marginal(family[i], p, origin[i], steps, x)
        marginal[i, j] = clipped_to(MARGINAL, x, eta, slope)
        if not half[i] >= 0.0:
            low[i, j] = high[i, j] = math.nan
        elif family[i] == f.LADDER:
            low[i, j], high[i, j] = _ladder_ends(p, origin[i], steps, root[i], half[i], x)
        else:
            f0, f1, f2 = dispatch.marginal_basis(family[i], p, origin[i], steps, x)
            distance = half[i] * math.sqrt(deviation(root[i], f0, f1, f2))
            low[i, j], high[i, j] = slope - distance, slope + distance
