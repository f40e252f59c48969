"""Quadratic: η = (a·d + b)·d + c, d = C − origin."""

from __future__ import annotations

import math

from escala.kernels.families import covariance as normal
from escala.kernels.families.params import Params
from escala.kernels.families.shapes import CONCAVE, CONVEX, CONVEX_FIRST, RISING_AGAIN
from escala.kernels.fitting.moments import inverse_root, line_status, share, zero
from escala.kernels.fitting.rows import LANES, NARROW, POINT, head, own_rows, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import covariance as v
from escala.kernels.layout import families, fit_status
from escala.kernels.layout import root as r

DEPENDENT = 2.0**-60  # share of a quadratic's variance that must not be linear
SMALL = 1e-150  # instead of a zero divisor whose quotient is not used

own = own_rows(families.QUADRATIC, "sse")


@helper
def value(p: Params, origin: float, x: float) -> float:
    """η without clipping."""
    d = x - origin
    return (p[k.A] * d + p[k.B]) * d + p[k.C]


@helper
def marginal(p: Params, origin: float, x: float) -> float:
    """d(C·η)/dC."""
    d = x - origin
    return (p[k.A] * d + p[k.B]) * d + p[k.C] + x * (2.0 * (p[k.A] * d) + p[k.B])


@helper
def curvature(p: Params, origin: float, x: float) -> float:
    """d²(C·η)/dC²."""
    a, b = p[k.A], p[k.B]
    return 2.0 * (3.0 * (a * (x - origin)) + b + a * origin)


@helper
def basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """f₀, f₁, f₂."""
    d = x - origin
    return 1.0, d, d * d


@helper
def marginal_basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """d(C·f)/dC of the basis."""
    d = x - origin
    return 1.0, d + x, d * (d + 2.0 * x)


@helper
def is_level(p: Params) -> bool:
    """Whether efficiency is the same everywhere."""
    return (p[k.A] == 0.0) & (p[k.B] == 0.0)


@routine
def _roots(a: float, b: float, c: float) -> tuple[float, float]:
    """Give the real roots of a·d² + b·d + c in ascending order, without cancellation; both inf where there are none."""
    inside = b * b - 4.0 * a * c
    if not inside >= 0.0:
        return math.inf, math.inf
    q = -0.5 * (b + math.sqrt(inside)) if b >= 0.0 else -0.5 * (b - math.sqrt(inside))
    first = q / a
    second = c / q if q != 0.0 else first
    return (first, second) if first <= second else (second, first)


@routine
def crossings(p: Params, origin: float, y: float) -> tuple[float, float]:
    """Where η falls through y, and where it rises through y."""
    a, b, c = p[k.A], p[k.B], p[k.C]
    if a != 0.0:
        first, second = _roots(a, b, c - y)
        falls, rises = (first, second) if a > 0.0 else (second, first)
        return falls + origin, rises + origin
    at = origin + (y - c) / b
    return at if b < 0.0 else math.inf, at if b > 0.0 else math.inf


@helper
def peak(p: Params, origin: float) -> float:
    """Where η has a maximum."""
    return origin - p[k.B] / (2.0 * p[k.A]) if p[k.A] < 0.0 else math.inf


@routine
def stationary(p: Params, origin: float) -> float:
    """Where C·η turns from rising to falling.

    3a·d² + 2(b + a·o)·d + (c + b·o) falls through 0 at the upper root for a < 0, at the lower one for a > 0.
    """
    a, b, c = p[k.A], p[k.B], p[k.C]
    if a == 0.0:
        return -(c - b * origin) / (2.0 * b) if b < 0.0 else math.inf
    first, second = _roots(3.0 * a, 2.0 * (b + a * origin), c + b * origin)
    return origin + (second if a < 0.0 else first)


@helper
def rises_again(p: Params, origin: float, begin: float, end: float) -> bool:
    """Whether η or U fall and rise again between two capitals."""
    a, b = p[k.A], p[k.B]
    if not a > 0.0:
        return False
    lowest = origin - b / (2.0 * a)
    flattest = origin - (b + a * origin) / (3.0 * a)  # of U′
    falls = (0.0 < flattest) & (flattest < end) & (marginal(p, origin, flattest) < 0.0)
    return ((begin < lowest) & (lowest < end)) | (falls & (marginal(p, origin, end) > 0.0))


# --- envelope: see escala.kernels.allocation.envelope -----------------------------------------------------------------


@helper
def shape(p: Params) -> int:
    """How utility bends."""
    a = p[k.A]
    if a == 0.0:
        return CONVEX if p[k.B] > 0.0 else CONCAVE
    return RISING_AGAIN if a > 0.0 else CONVEX_FIRST


@helper
def inflection(p: Params, origin: float) -> float:
    """Where utility changes between concave and convex."""
    a = p[k.A]
    return origin - (p[k.B] + a * origin) / (3.0 * a) if a != 0.0 else math.inf


@helper
def tangent_from_high(p: Params, origin: float, high: float, turn: float) -> float:  # noqa: ARG001
    """Where the line from utility at `high`, in the convex part, touches the concave part before `turn`."""
    return 0.5 * (3.0 * turn - high)


@helper
def tangent_from_low(p: Params, origin: float, low: float, turn: float, end: float) -> float:  # noqa: ARG001
    """Where the line from utility at `low`, in the convex part, touches the concave part after `turn`; or `end`."""
    return min(0.5 * (3.0 * turn - low), end)


@helper
def answer_terms(p: Params, origin: float, weight: float) -> tuple[float, float, float, float]:
    """What :func:`best` needs."""
    a, b = p[k.A], p[k.B]
    k2 = b + a * origin
    return 1.0 / weight, 3.0 * a if (a != 0.0) | (k2 < 0.0) else 1.0, k2, p[k.C] + b * origin


@helper
def best(k0: float, k1: float, k2: float, k3: float, origin: float, price: float) -> tuple[float, float]:
    """Where w·U − price·C is stationary, the falling root of 3a·d² + 2(b + a·o)·d + (c + b·o) − p, and its change."""
    rest = k3 - price * k0
    inside = k2 * k2 - k1 * rest
    root = math.sqrt(inside if inside > 0.0 else 0.0)
    upper = k2 >= 0.0  # of the two forms of the root, the one that does not cancel
    over = -k2 - root if upper else rest
    under = k1 if upper else root - k2
    root = root if root > SMALL else SMALL
    return over / under + origin, -0.5 * k0 / root


@helper
def sized(p: Params, origin: float, x: float) -> tuple[float, float]:
    """η, and what its terms add up to without their signs."""
    d = x - origin
    ad = p[k.A] * d
    return (ad + p[k.B]) * d + p[k.C], (abs(ad) + abs(p[k.B])) * abs(d) + abs(p[k.C])


# --- fit --------------------------------------------------------------------------------------------------------------


@routine
def fit_stage(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Squared error of the parabola, whose moments the lines had."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            dx = at[pt.X + lane] - work[head.MEAN_X + lane]
            q = dx * dx - work[head.M2 + lane] - work[head.K2 + lane] * dx
            r = at[pt.Y + lane] - work[head.SLOPE_X + lane] * dx - work[head.SLOPE_Q + lane] * q
            work[head.T0 + lane] += at[pt.W + lane] * r * r
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.SSE + lane] = work[head.T0 + lane]


@helper
def status(work: Floats, lane: int) -> int:
    """How the fit ended, given enough distinct capitals."""
    bent = work[head.SQQ + lane] > DEPENDENT * work[head.SXX + lane]
    return line_status(work, lane) if bent else fit_status.DEGENERATE


@helper
def squared_error(work: Floats, lane: int) -> float:
    """Sum of squared residuals."""
    return work[own.SSE + lane]


@helper
def solution(work: Floats, lane: int) -> tuple[float, float]:
    """Coefficients of the orthogonal f₁, f₂."""
    return work[head.SLOPE_X + lane], work[head.SLOPE_Q + lane]


@helper
def norms(work: Floats, lane: int) -> tuple[float, float, float]:
    """Squared norms of the orthogonal basis."""
    return work[head.WEIGHT + lane], work[head.SXX + lane], work[head.SQQ + lane]


@helper
def basis_at(work: Floats, points: Floats, at: int, lane: int) -> tuple[float, float, float]:
    """Orthogonal basis at a point."""
    over_x = points[at + pt.X] - work[head.MEAN_X + lane]
    return 1.0, over_x, over_x * over_x - work[head.M2 + lane] - work[head.K2 + lane] * over_x


@helper
def write(
    work: Floats, lane: int, c1: float, c2: float, params: Floats, origin: Floats, root: Floats
) -> None:  # fmt: skip
    """Turn coefficients over x into those over capital."""
    smallest, span = work[head.SMALLEST + lane], work[head.SPAN + lane]
    m2, k2 = work[head.M2 + lane], work[head.K2 + lane]
    anchor = smallest if smallest > NARROW * span else 0.0
    at_mean = (smallest - anchor) + work[head.MEAN_X + lane] * span
    params[k.A] = c2 / span / span
    slope = (c1 - c2 * k2) / span
    params[k.B] = slope - 2.0 * params[k.A] * at_mean
    params[k.C] = work[head.MEAN_Y + lane] - c2 * m2 - slope * at_mean + params[k.A] * at_mean * at_mean
    origin[0] = anchor
    root[r.M1] = at_mean
    root[r.I1] = inverse_root(work[head.SXX + lane]) / span
    root[r.M2] = at_mean * at_mean + span * span * m2
    root[r.K] = 2.0 * at_mean + k2 * span
    root[r.I2] = inverse_root(work[head.SQQ + lane]) / span / span


@helper
def write_covariance(params: Floats, root: Floats, variance: float, out: Floats) -> None:  # noqa: ARG001
    """Covariance of the coefficients: a belongs to f₂ and b to f₁."""
    first, second, between, first_c, second_c, constant = normal.of_three(root, variance)
    out[v.AA], out[v.BB], out[v.CC] = second, first, constant
    out[v.AB] = out[v.BA] = between
    out[v.AC] = out[v.CA] = second_c
    out[v.BC] = out[v.CB] = first_c
