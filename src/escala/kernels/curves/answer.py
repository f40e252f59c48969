"""What new observations at some capital will be: one pass over everything that a prediction says of a point."""

from __future__ import annotations

import math

from escala.kernels.curves.evaluate import invalid
from escala.kernels.curves.variance import deviation
from escala.kernels.distributions import student_between, student_constant
from escala.kernels.families import dispatch
from escala.kernels.families.params import Params, of_row
from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    code_rows_out,
    codes_in,
    float_rows_in,
    float_rows_out,
    floats_in,
    helper,
    integer,
    integers_out,
    kernel,
)
from escala.kernels.layout import rows

#: What is said of a point.
said = rows("capital", "efficiency", "low", "high", "confidence")
#: How an interval comes about.
method_code = rows("none", "student", "scored")


@helper
def clip(value: float) -> float:
    """Bring a number into [0, 1], as NumPy's minimum and maximum do: NaN stays."""
    value = 0.0 if value < 0.0 else value
    return 1.0 if value > 1.0 else value


@helper
def _value_and_spread(
    family: int, p: Params, origin: float, steps: Floats, root: Floats, x: float
) -> tuple[float, float]:
    """Give η without clipping, and the standard deviation of a new observation in units of the residual one."""
    f0, f1, f2 = dispatch.basis(family, p, origin, steps, x)
    v = deviation(root, f0, f1, f2)
    spread = math.sqrt(1.0 + v) if v >= 0.0 else math.inf  # far off, the basis overflows
    return dispatch.value(family, p, origin, steps, x), spread


@helper
def _tails(eta: float, error: float, within: float) -> tuple[float, float]:
    """Give the ends, in standard errors, between which an observation lies that is within a distance of the curve.

    What lies beyond an end of [0, 1] is observed at that end.
    """
    if error == 0.0:
        return -math.inf, math.inf
    centre = clip(eta)
    below = -within if centre == eta else (centre - within) - eta
    above = within if centre == eta else (centre + within) - eta
    below = -math.inf if centre - within <= 0.0 else below / error
    above = math.inf if centre + within >= 1.0 else above / error
    return below, above


@kernel(
    codes_in,
    float_rows_in,
    floats_in,
    floats_in,
    float_rows_in,
    codes_in,
    floats_in,
    floats_in,
    floats_in,
    float_rows_in,
    floats_in,
    float_rows_in,
    float_rows_in,
    float_rows_out,
    code_rows_out,
    integers_out,
    integer,
    integer,
)
def answer(
    family: Codes,
    params: Floats,
    origin: Floats,
    steps: Floats,
    root: Floats,
    method: Codes,
    residual_sd: Floats,
    df_resid: Floats,
    quantile: Floats,
    observed: Floats,
    within: Floats,
    reach: Floats,
    capital: Floats,
    out: Floats,
    outside: Codes,
    bad: Integers,
    start: int,
    stop: int,
) -> None:
    """Predict n curves at m capitals each.

    Parameters
    ----------
    family, params, origin, steps, capital, bad, start, stop
        As in :func:`escala.kernels.curves.evaluate.evaluate`; the range is one of curves.
    root : (n, ROOT) float64
    method : (n,) int8
        NONE: nothing is known. STUDENT: by the residual standard deviation. SCORED: by scores, how far is in `reach`.
    residual_sd, df_resid, quantile : (n,) float64
        Of STUDENT, and the quantile of Student's distribution at half the level beyond 1/2.
    observed : (n, 2) float64
        Smallest and largest capital seen.
    within : (n,) float64
        Distance whose probability is asked for.
    reach : (n, m) float64
        Of SCORED; any other shape where there is none.
    out : (rows of ANSWER, n·m) float64
        Output. CONFIDENCE, the probability of what is within the distance, is 0 of a curve that is not STUDENT.
    outside : (1, n·m) int8
        Output: whether the capital lies outside the observed ones.
    """
    wide = capital.shape[1]
    bad[0] = 0
    for i in range(start, stop):
        p = of_row(params[i])
        constant = student_constant(df_resid[i]) if method[i] == method_code.STUDENT else 0.0
        for j in range(wide):
            at = i * wide + j
            x = capital[i if capital.shape[0] > 1 else 0, j]
            bad[0] += invalid(x)
            eta, spread = _value_and_spread(family[i], p, origin[i], steps, root[i], x)
            error = residual_sd[i] * spread
            low, high, confidence = 0.0, 1.0, 0.0
            if method[i] == method_code.SCORED:
                low, high = clip(eta - reach[i, j]), clip(eta + reach[i, j])
            elif (method[i] == method_code.STUDENT) & (error < math.inf):  # far off an error may exceed all numbers
                far = quantile[i] * error
                low, high = clip(eta - far), clip(eta + far)
                below, above = _tails(eta, error, within[i])
                confidence = student_between(df_resid[i], constant, below, above)
            out[said.CAPITAL, at] = x
            out[said.EFFICIENCY, at] = clip(eta)
            out[said.LOW, at], out[said.HIGH, at] = low, high
            out[said.CONFIDENCE, at] = confidence
            outside[0, at] = 0 if (x >= observed[i, 0]) & (x <= observed[i, 1]) else 1
