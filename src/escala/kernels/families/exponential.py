"""Exponential: η = a·e^(−b·d) + c, d = C − origin, b > 0. It decays for a > 0; for a < 0 it rises."""

from __future__ import annotations

import math

from escala.kernels.families import covariance as normal
from escala.kernels.families.params import Params
from escala.kernels.families.shapes import CONCAVE_FIRST, CONVEX_FIRST
from escala.kernels.fitting.moments import inverse_root, line_status
from escala.kernels.fitting.rows import LANES, head, pt
from escala.kernels.fitting.scan import (
    HIGHEST_RATE,
    LAST_STEP,
    LOWEST_RATE,
    TINY,
    begin_scan,
    below_borders,
    exact_border,
    own,
    residual_squares,
    scan,
    search_rates,
)
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import covariance as v
from escala.kernels.layout import fit_status
from escala.kernels.layout import root as r
from escala.kernels.special import INVERSE_E, E, exp, lambert_w0, log

BISECTIONS = 60
NEWTON_STEPS = 40
RISING_STEPS = 5


@helper
def value(p: Params, origin: float, x: float) -> float:
    """η without clipping."""
    return p[k.A] * exp(-p[k.B] * (x - origin)) + p[k.C]


@helper
def marginal(p: Params, origin: float, x: float) -> float:
    """d(C·η)/dC."""
    b = p[k.B]
    return p[k.A] * exp(-b * (x - origin)) * (1.0 - b * x) + p[k.C]


@helper
def value_and_marginal(p: Params, origin: float, x: float) -> tuple[float, float]:
    """Both, for one exponential: the compiler does not find it itself."""
    b = p[k.B]
    ag = p[k.A] * exp(-b * (x - origin))
    return ag + p[k.C], ag * (1.0 - b * x) + p[k.C]


@helper
def curvature(p: Params, origin: float, x: float) -> float:
    """d²(C·η)/dC²."""
    b = p[k.B]
    return p[k.A] * exp(-b * (x - origin)) * (b * (b * x - 2.0))


@helper
def basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:
    """f₀, f₁, f₂; −a·f₂ is the derivative with respect to b."""
    d = x - origin
    g = exp(-p[k.B] * d)
    return 1.0, g, d * g


@helper
def marginal_basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:
    """d(C·f)/dC of the basis."""
    b = p[k.B]
    d = x - origin
    g = exp(-b * d)
    return 1.0, g * (1.0 - b * x), g * (d + x - b * x * d)


@helper
def is_level(p: Params) -> bool:
    """Whether efficiency is the same everywhere."""
    return p[k.A] == 0.0


@routine
def crossings(p: Params, origin: float, y: float) -> tuple[float, float]:
    """Where η falls through y, and where it rises through y."""
    a = p[k.A]
    ratio = (y - p[k.C]) / a
    at = origin - log(ratio) / p[k.B] if ratio > 0.0 else math.inf
    return at if a > 0.0 else math.inf, at if a < 0.0 else math.inf


@routine
def stationary(p: Params, origin: float) -> float:
    """Where C·η, if it decays, has its maximum; inf if it has none. Bisection in t = b·C ≤ 2."""
    a, b = p[k.A], p[k.B]
    if not a > 0.0:
        return math.inf
    ratio = p[k.C] / a
    shift = b * origin
    if not (1.0 + ratio * exp(-shift) > 0.0 and -1.0 + ratio * exp(2.0 - shift) < 0.0):
        return math.inf
    low, high = 0.0, 2.0
    for _ in range(BISECTIONS):
        t = 0.5 * (low + high)
        if (1.0 - t) + ratio * exp(t - shift) > 0.0:
            low = t
        else:
            high = t
    return 0.5 * (low + high) / b


@helper
def rises_again(p: Params, origin: float, end: float) -> bool:
    """Whether U falls and rises again before a capital: on the floor that efficiency decays to."""
    flattest = 2.0 / p[k.B]  # of U′
    falls = (p[k.A] > 0.0) & (flattest < end) & (marginal(p, origin, flattest) < 0.0)
    return falls & (marginal(p, origin, end) > 0.0)


# --- envelope: see escala.kernels.allocation.envelope -----------------------------------------------------------------


@helper
def shape(p: Params) -> int:
    """How utility bends."""
    return CONVEX_FIRST if p[k.A] < 0.0 else CONCAVE_FIRST


@helper
def inflection(p: Params) -> float:
    """Where utility changes between concave and convex."""
    return 2.0 / p[k.B]


@routine
def _touch_before(anchor: float) -> float:
    """Where the line from anchor > 2 touches C·e^(−C) before its inflection at 2.

    The root of t² − t·h + h = h·e^(t − h) in (1, 2), h the anchor, by Newton's method inside a bracket.
    """
    low, high = 1.0, 2.0
    t = 1.5
    for _ in range(NEWTON_STEPS):
        grown = anchor * exp(t - anchor)
        value = t * t - t * anchor + anchor - grown
        if value == 0.0:
            break
        if value > 0.0:
            low = t
        else:
            high = t
        slope = 2.0 * t - anchor - grown
        guess = t - value / slope if slope != 0.0 else low
        if not low < guess < high:
            guess = 0.5 * (low + high)
        if abs(guess - t) <= 4e-16 * t:
            break
        t = guess
    return t


@routine
def _touch_after(anchor: float, end: float) -> float:
    """Where the line from 0 < anchor < 2 touches C·e^(−C) after its inflection at 2; `end` if not before it.

    The same equation in logarithms, t − h = ln((t² − t·h + h)/h), which is nearly straight far out.
    """
    low, high = 2.0, end
    if high - anchor <= log((high * high - high * anchor + anchor) / anchor):
        return end
    t = high
    for _ in range(NEWTON_STEPS):
        bent = t * t - t * anchor + anchor
        value = t - anchor - log(bent / anchor)
        if value == 0.0:
            break
        if value < 0.0:
            low = t
        else:
            high = t
        slope = 1.0 - (2.0 * t - anchor) / bent
        guess = t - value / slope if slope != 0.0 else low
        if not low < guess < high:
            guess = 0.5 * (low + high)
        if abs(guess - t) <= 4e-16 * t:
            break
        t = guess
    return t


@helper
def tangent_from_high(p: Params, high: float) -> float:
    """Where the line from utility at `high`, in the convex part, touches the concave part before the inflection."""
    return _touch_before(p[k.B] * high) / p[k.B]


@helper
def tangent_from_low(p: Params, low: float, end: float) -> float:
    """Where the line from utility at `low`, in the convex part, touches the concave part behind it; or `end`."""
    b = p[k.B]
    touch = _touch_after(b * low, b * end)
    return min(touch / b, end) if touch < b * end else end


@helper
def answer_terms(p: Params, origin: float, weight: float) -> tuple[float, float, float, float]:
    """What :func:`best` and :func:`best_rising` need."""
    a, b = p[k.A], p[k.B]
    k1 = 0.0
    if a < 0.0:  # its logarithm: far from the origin the number itself is 0
        k1 = (1.0 - b * origin) - log(-a * weight)
    elif a != 0.0:
        k1 = exp(1.0 - b * origin) / (a * weight)
    return weight * p[k.C], k1, 1.0 / b, 0.0


@helper
def best(
    k0: float, k1: float, k2: float, k3: float, origin: float, price: float  # noqa: ARG001
) -> tuple[float, float]:  # fmt: skip
    """Where w·U − price·C is stationary, C = (1 − W₀((p − c)·e^(1 − b·o)/a))/b, and its change with the price."""
    z = (price - k0) * k1
    turns = z > -INVERSE_E  # below, utility falls short of the price everywhere: the end of the arc is no answer
    z = z if turns else -INVERSE_E
    z = z if z < E else E
    w = lambert_w0(z)
    beyond = 1.0 + w
    beyond = beyond if beyond > 1e-9 else 1e-9
    slope = -(k2 * k1) * exp(-w) / beyond
    return (1.0 - w) * k2, slope if turns else 0.0


@helper
def best_rising(
    k0: float, k1: float, k2: float, k3: float, origin: float, price: float  # noqa: ARG001
) -> tuple[float, float]:  # fmt: skip
    """Where w·U − price·C is stationary if it rises, C = (1 − W₋₁(…))/b with the same argument, and its change."""
    above = price - k0
    known = above > 1e-300
    above = above if known else 1.0
    s = -(log(above) + k1) - 1.0
    s = s if s > 0.0 else 0.0
    y = 1.0 + math.sqrt(2.0 * s) + s  # above the root of y − ln y = 1 + s: Newton's method falls to it
    for _ in range(RISING_STEPS):
        step = y - 1.0
        step = step if step > 1e-9 else 1e-9
        y -= (step - log(y) - s) * y / step
    step = y - 1.0
    step = step if step > 1e-9 else 1e-9
    return (1.0 + y) * k2 if known else math.inf, -k2 * y / (above * step)


@helper
def sized(p: Params, origin: float, x: float) -> tuple[float, float]:
    """η, and what its terms add up to without their signs."""
    t = p[k.B] * (x - origin)
    ag = p[k.A] * exp(-t)
    return ag + p[k.C], abs(ag) * (1.0 + abs(t)) + abs(p[k.C])


# --- fit --------------------------------------------------------------------------------------------------------------


@routine
def fit_stage(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """The exponential of least squared error among all rates."""
    begin_scan(work, points, rows)
    scan(work, points, rows, folded, pt.H, own.MEAN_H, 0)
    scan(work, points, rows, folded, pt.U, own.MEAN_U, 1)
    search_rates(work, points, rows, folded)
    tiny = False
    for lane in range(LANES):
        tiny = tiny | (work[own.BEST_F + lane] < TINY * work[head.SYY + lane])
    if tiny:
        exact_border(work, points, rows, folded, LOWEST_RATE, 1)
        exact_border(work, points, rows, folded, HIGHEST_RATE, LAST_STEP)
    for lane in range(LANES):
        work[own.RATE + lane] = work[own.BEST_RATE + lane]
    residual_squares(work, points, rows, folded)
    for lane in range(LANES):
        error = work[head.T0 + lane]
        work[own.SSE + lane] = error
        best = work[own.BEST_F + lane]
        best = error if best < TINY * work[head.SYY + lane] else best
        work[own.STATUS + lane] = fit_status.OK if best < below_borders(work, lane) else fit_status.DEGENERATE
        work[own.RATIO + lane] = work[own.SGU + lane] / work[own.SGG + lane]


@helper
def status(work: Floats, lane: int) -> int:
    """How the fit ended, given enough distinct capitals."""
    found = line_status(work, lane)
    return int(work[own.STATUS + lane]) if found == fit_status.OK else found


@helper
def is_determined(work: Floats, lane: int) -> bool:
    """Whether rounding leaves anything of the basis."""
    _, norm1, norm2 = norms(work, lane)
    return norm1 > 0.0 and norm2 > 0.0


@helper
def squared_error(work: Floats, lane: int) -> float:
    """Sum of squared residuals."""
    return work[own.SSE + lane]


@helper
def solution(work: Floats, lane: int) -> tuple[float, float]:
    """Coefficients of the orthogonal f₁, f₂."""
    return work[own.A + lane], 0.0


@helper
def norms(work: Floats, lane: int) -> tuple[float, float, float]:
    """Squared norms of the orthogonal basis."""
    weight = work[head.WEIGHT + lane]
    if work[head.FLAT + lane] > 0.0:
        return weight, 0.0, 0.0
    gu, gg = work[own.SGU + lane], work[own.SGG + lane]
    return weight, gg, work[own.SUU + lane] - gu * gu / gg


@helper
def basis_at(work: Floats, points: Floats, at: int, lane: int) -> tuple[float, float, float]:
    """Orthogonal basis at a point."""
    over_h = points[at + pt.H] - work[own.MEAN_H + lane]
    return 1.0, over_h, points[at + pt.U] - work[own.MEAN_U + lane] - work[own.RATIO + lane] * over_h


@helper
def write(work: Floats, lane: int, c1: float, params: Floats, origin: Floats, root: Floats) -> None:
    """Turn coefficients over x into those over capital."""
    span = work[head.SPAN + lane]
    flat = work[head.FLAT + lane] > 0.0
    rate = 1.0 if flat else work[own.BEST_RATE + lane]
    at_mean = 0.0 if flat else 1.0 + work[own.MEAN_H + lane]
    _, norm1, norm2 = norms(work, lane)
    params[k.A] = c1
    params[k.B] = rate / span
    params[k.C] = work[head.MEAN_Y + lane] - c1 * at_mean
    origin[0] = work[head.SMALLEST + lane]
    root[r.M1] = at_mean
    root[r.I1] = inverse_root(norm1)
    root[r.M2] = 0.0 if flat else span * work[own.MEAN_U + lane]
    root[r.K] = 0.0 if flat else span * (work[own.SGU + lane] / work[own.SGG + lane])
    root[r.I2] = inverse_root(norm2) / span


@helper
def write_covariance(params: Floats, root: Floats, variance: float, out: Floats) -> None:
    """Covariance of the coefficients: a belongs to f₁, and −a·f₂ is what b changes."""
    first, second, between, first_c, second_c, constant = normal.of_three(root, variance)
    scale = -1.0 / params[k.A] if params[k.A] != 0.0 else 0.0
    out[v.AA], out[v.BB], out[v.CC] = first, second * scale * scale, constant
    out[v.AB] = out[v.BA] = between * scale
    out[v.AC] = out[v.CA] = first_c
    out[v.BC] = out[v.CB] = second_c * scale
