"""Ladder: utility rises in straight steps that get flatter, U′ = s_j on (κ_j, κ_{j+1}], 1 ≥ s_0 ≥ s_1 ≥ … ≥ 0.

An order book is one, a level a step. What a ladder consists of lies in an array beside the coefficients: at the place d
begin three rows of c numbers, knots κ (κ_0 = 0), slopes s and utilities U(κ). U(C) = a·b·L(C/b), L being the utility of
those steps: a is a factor of its level and b one of its depth, both 1 unless they are drawn.
"""

from __future__ import annotations

import math

from escala.kernels.families.params import Params
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import ladder_step as step

ROUNDING = 1e-9


@helper
def step_at(p: Params, steps: Floats, u: float) -> int:
    """Place of the knot of the step that holds u: the last one below it."""
    at = int(p[k.D])
    left = int(p[k.C])
    while left > 1:
        half = left >> 1
        at = at + half if steps[at + half] < u else at
        left -= half
    return at


@helper
def step_near(p: Params, steps: Floats, u: float, hint: int) -> int:
    """The same place, looked for at a hint and behind it first."""
    first = int(p[k.D])
    last = first + int(p[k.C]) - 1
    if first <= hint <= last and ((hint == first) | (steps[hint] < u)):
        if hint == last or not steps[hint + 1] < u:
            return hint
        if hint + 1 == last or not steps[hint + 2] < u:
            return hint + 1
    return step_at(p, steps, u)


@routine
def _parts(p: Params, steps: Floats, x: float) -> tuple[float, float]:
    """η and U′ of the steps themselves; NaN without a curve, which has no place."""
    if math.isnan(p[k.A]):
        return math.nan, math.nan
    u = x / p[k.B]
    return _parts_at(p, steps, u, step_at(p, steps, u))


@helper
def _parts_at(p: Params, steps: Floats, u: float, at: int) -> tuple[float, float]:
    """The same where the step is known."""
    count = int(p[k.C])
    slope = steps[at + step.SLOPE * count]
    inside = (u - steps[at]) * slope
    whole = steps[at + step.UTILITY * count] + inside
    return (whole / u if at > int(p[k.D]) else slope), slope


@helper
def value(p: Params, steps: Floats, x: float) -> float:
    """η."""
    eta, _ = _parts(p, steps, x)
    return p[k.A] * eta


@helper
def marginal(p: Params, steps: Floats, x: float) -> float:
    """d(C·η)/dC, at a knot that of the step that ends there."""
    _, slope = _parts(p, steps, x)
    return p[k.A] * slope


@helper
def value_and_marginal(p: Params, steps: Floats, x: float) -> tuple[float, float]:
    """Both, for one search."""
    eta, slope = _parts(p, steps, x)
    return p[k.A] * eta, p[k.A] * slope


@helper
def basis(p: Params, steps: Floats, x: float) -> tuple[float, float, float]:
    """f₀, f₁, f₂: derivatives with respect to a and ln b, level and depth."""
    eta, slope = _parts(p, steps, x)
    return eta, p[k.A] * (eta - slope), 0.0


@helper
def marginal_basis(p: Params, steps: Floats, x: float) -> tuple[float, float, float]:
    """d(C·f)/dC of the basis: a step has one slope wherever it ends."""
    _, slope = _parts(p, steps, x)
    return slope, 0.0, 0.0


@helper
def is_level(p: Params, steps: Floats) -> bool:
    """Whether efficiency is the same everywhere: there is one slope, or nothing."""
    count = int(p[k.C])
    first = int(p[k.D]) + step.SLOPE * count
    return (p[k.A] * steps[first] == 0.0) | (steps[first] == steps[first + count - 1])


@helper
def highest(p: Params, steps: Floats) -> float:
    """η of the first step, which is the highest."""
    return p[k.A] * steps[int(p[k.D]) + step.SLOPE * int(p[k.C])]


@helper
def is_allowed(p: Params, steps: Floats) -> bool:
    """Whether efficiency is at most 1, but for rounding."""
    return highest(p, steps) <= 1.0 + ROUNDING


@routine
def crossings(p: Params, steps: Floats, y: float) -> tuple[float, float]:
    """Where η falls through y; it rises nowhere.

    η at the knots falls, so the last knot with an η of at least y is searched; in its step U = y·C.
    """
    count, first = int(p[k.C]), int(p[k.D])
    wanted = y / p[k.A] if p[k.A] > 0.0 else math.inf
    if (y <= 0.0) | (wanted > steps[first + step.SLOPE * count]):
        return math.inf, math.inf
    at = first
    left = count
    while left > 1:
        half = left >> 1
        knot = steps[at + half]
        at = at + half if steps[at + half + step.UTILITY * count] >= wanted * knot else at
        left -= half
    slope = steps[at + step.SLOPE * count]
    if slope >= wanted:
        return math.inf, math.inf
    rest = steps[at + step.UTILITY * count] - slope * steps[at]
    return p[k.B] * (rest / (wanted - slope)), math.inf


@helper
def ceiling(p: Params, steps: Floats) -> float:
    """Give the most that utility can be: that at the last knot, if nothing comes behind it."""
    count, first = int(p[k.C]), int(p[k.D])
    last = first + count - 1
    ends = steps[last + step.SLOPE * count] == 0.0
    return p[k.A] * p[k.B] * steps[last + step.UTILITY * count] if ends | (p[k.A] == 0.0) else math.inf


# --- envelope: see escala.kernels.allocation.envelope -----------------------------------------------------------------


@helper
def answer_terms(p: Params, weight: float) -> tuple[float, float, float, float]:
    """Give what slopes and knots are multiplied by, and an empty range of slopes: that of a domain is its envelope's."""
    return weight * p[k.A], p[k.B], 0.0, 0.0


@routine
def steps_above(steps: Floats, first: int, last: int, scale: float, price: float) -> int:
    """Place of the first slope among [first, last) that is not above a price; `last` where all are."""
    at = first
    left = last - first
    while left > 1:
        half = left >> 1
        at = at + half if scale * steps[at + half - 1] > price else at
        left -= half
    return at + 1 if (left > 0) and scale * steps[at] > price else at


@routine
def steps_not_below(steps: Floats, first: int, last: int, scale: float, price: float) -> int:
    """Place of the first slope among [first, last) that is below a price; `last` where none is."""
    at = first
    left = last - first
    while left > 1:
        half = left >> 1
        at = at + half if scale * steps[at + half - 1] >= price else at
        left -= half
    return at + 1 if (left > 0) and scale * steps[at] >= price else at


@helper
def steps_above_near(steps: Floats, first: int, last: int, scale: float, price: float, hint: int) -> int:
    """The place of :func:`steps_above`, looked for at a hint and beside it first."""
    at = min(max(hint, first), last)
    if at < last and scale * steps[at] > price:
        at += 1
        return steps_above(steps, at, last, scale, price) if at < last and scale * steps[at] > price else at
    if at > first and not scale * steps[at - 1] > price:
        at -= 1
        return steps_above(steps, first, at, scale, price) if at > first and not scale * steps[at - 1] > price else at
    return at


@routine
def same_steps(p: Params, q: Params, steps: Floats) -> bool:
    """Whether two ladders of equally many steps have the same ones."""
    first, other = int(p[k.D]), int(q[k.D])
    for j in range((step.SLOPE + 1) * int(p[k.C])):
        if steps[first + j] != steps[other + j]:
            return False
    return True


@helper
def sized(p: Params, steps: Floats, x: float) -> tuple[float, float]:
    """η, and what its terms add up to without their signs."""
    eta = value(p, steps, x)
    return eta, eta


@helper
def value_near(p: Params, steps: Floats, x: float, hint: int) -> float:
    """η of a curve that there is, its step being looked for at a hint first."""
    u = x / p[k.B]
    eta, _ = _parts_at(p, steps, u, step_near(p, steps, u, hint))
    return p[k.A] * eta
