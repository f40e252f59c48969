"""Linear: η = a·C + b."""

from __future__ import annotations

import math

from escala.kernels.families import covariance as normal
from escala.kernels.families.params import Params
from escala.kernels.families.shapes import CONCAVE, CONVEX
from escala.kernels.fitting.moments import inverse_root, line_status, share, zero
from escala.kernels.fitting.rows import FALLING, FREE, LANES, POINT, THROUGH_ONE, head, own_rows, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import families
from escala.kernels.layout import root as r

own = own_rows(families.LINEAR, "bound", "centre", "slope", "level", "n0", "n1", "sse")


@helper
def value(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """η without clipping."""
    return p[k.A] * x + p[k.B]


@helper
def marginal(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """d(C·η)/dC."""
    return 2.0 * (p[k.A] * x) + p[k.B]


@helper
def curvature(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """d²(C·η)/dC²."""
    return 2.0 * p[k.A]


@helper
def basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """f₀, f₁, f₂."""
    return 1.0, x, 0.0


@helper
def marginal_basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """d(C·f)/dC of the basis."""
    return 1.0, 2.0 * x, 0.0


@helper
def is_level(p: Params) -> bool:
    """Whether efficiency is the same everywhere."""
    return p[k.A] == 0.0


@routine
def crossings(p: Params, origin: float, y: float) -> tuple[float, float]:  # noqa: ARG001
    """Where η falls through y, and where it rises through y."""
    slope = p[k.A]
    at = (y - p[k.B]) / slope
    return at if slope < 0.0 else math.inf, at if slope > 0.0 else math.inf


@helper
def stationary(p: Params, origin: float) -> float:  # noqa: ARG001
    """Where C·η turns from rising to falling."""
    return -p[k.B] / (2.0 * p[k.A]) if p[k.A] < 0.0 else math.inf


# --- envelope: see escala.kernels.allocation.envelope -----------------------------------------------------------------


@helper
def shape(p: Params) -> int:
    """How utility bends."""
    return CONVEX if p[k.A] > 0.0 else CONCAVE


@helper
def answer_terms(p: Params, origin: float, weight: float) -> tuple[float, float, float, float]:  # noqa: ARG001
    """What :func:`best` needs."""
    a = p[k.A]
    return weight * p[k.B], 1.0 / (2.0 * a * weight) if a < 0.0 else 0.0, 0.0, 0.0


@helper
def best(
    k0: float, k1: float, k2: float, k3: float, origin: float, price: float  # noqa: ARG001
) -> tuple[float, float]:  # fmt: skip
    """Where w·U − price·C is stationary, C = (p − b)/(2a), and its change with the price."""
    return (price - k0) * k1, k1


@helper
def sized(p: Params, origin: float, x: float) -> tuple[float, float]:  # noqa: ARG001
    """η, and what its terms add up to without their signs."""
    ax = p[k.A] * x
    return ax + p[k.B], abs(ax) + abs(p[k.B])


# --- fit --------------------------------------------------------------------------------------------------------------


@routine
def fit_stage(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """The line, which is there already; where it is bounded and leaves [0, 1], the best one that does not."""
    held = False
    for lane in range(LANES):
        span, slope = work[head.SPAN + lane], work[head.SLOPE_X + lane]
        at_mean = work[head.SMALLEST + lane] + work[head.MEAN_X + lane] * span
        high = work[head.MEAN_Y + lane] - slope / span * at_mean > 1.0
        bounded = (work[head.BOUNDED + lane] > 0.0) & (work[head.FLAT + lane] == 0.0)
        bound = (THROUGH_ONE if high else FREE) if slope <= 0.0 else FALLING
        bound = bound if bounded else FREE
        held = held | (bound == THROUGH_ONE)
        work[own.BOUND + lane] = bound
        work[own.CENTRE + lane] = (
            -work[head.SMALLEST + lane] / span if bound == THROUGH_ONE else work[head.MEAN_X + lane]
        )
        work[own.SLOPE + lane] = 0.0 if bound == FALLING else slope
        work[own.LEVEL + lane] = 1.0 - work[head.MEAN_Y + lane] if bound == THROUGH_ONE else 0.0
        work[own.N0 + lane] = 0.0 if bound == THROUGH_ONE else work[head.WEIGHT + lane]
        work[own.N1 + lane] = 0.0 if bound == FALLING else work[head.SXX + lane]
        work[own.SSE + lane] = work[head.SYY + lane] if bound == FALLING else work[head.SSE_X + lane]
    if held:
        _through_one(work, points, rows, folded)


@routine
def _through_one(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Fit lines that begin at an efficiency of 1, where that is what bounds them."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            u = at[pt.X + lane] - work[own.CENTRE + lane]
            wu = at[pt.W + lane] * u
            work[head.T0 + lane] += wu * u
            work[head.T1 + lane] += wu * (at[pt.Y + lane] - work[own.LEVEL + lane])
    if folded:
        share(work)
    for lane in range(LANES):
        held = work[own.BOUND + lane] == THROUGH_ONE
        work[own.SLOPE + lane] = work[head.T1 + lane] / work[head.T0 + lane] if held else work[own.SLOPE + lane]
        work[own.N1 + lane] = work[head.T0 + lane] if held else work[own.N1 + lane]
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            r = at[pt.Y + lane] - work[own.LEVEL + lane]
            r = r - work[own.SLOPE + lane] * (at[pt.X + lane] - work[own.CENTRE + lane])
            work[head.T0 + lane] += at[pt.W + lane] * r * r
    if folded:
        share(work)
    for lane in range(LANES):
        held = work[own.BOUND + lane] == THROUGH_ONE
        work[own.SSE + lane] = work[head.T0 + lane] if held else work[own.SSE + lane]


@helper
def status(work: Floats, lane: int) -> int:
    """How the fit ended, given enough distinct capitals."""
    return line_status(work, lane)


@helper
def squared_error(work: Floats, lane: int) -> float:
    """Sum of squared residuals."""
    return work[own.SSE + lane]


@helper
def solution(work: Floats, lane: int) -> tuple[float, float]:
    """Coefficients of the orthogonal f₁, f₂."""
    return work[own.SLOPE + lane], 0.0


@helper
def level(work: Floats, lane: int) -> tuple[float, float]:
    """What to take from the centred efficiencies: nothing; and where the line is above their mean, if it is bounded."""
    return 0.0, work[own.LEVEL + lane]


@helper
def norms(work: Floats, lane: int) -> tuple[float, float, float]:
    """Squared norms of the orthogonal basis; 0 for what belongs to a coefficient at its bound."""
    return work[own.N0 + lane], work[own.N1 + lane], 0.0


@helper
def basis_at(work: Floats, points: Floats, at: int, lane: int) -> tuple[float, float, float]:
    """Orthogonal basis at a point."""
    return 1.0, points[at + pt.X] - work[own.CENTRE + lane], 0.0


@helper
def write(work: Floats, lane: int, c1: float, params: Floats, root: Floats) -> None:
    """Turn coefficients over x into those over capital."""
    span, bound = work[head.SPAN + lane], work[own.BOUND + lane]
    at_mean = work[head.SMALLEST + lane] + work[head.MEAN_X + lane] * span
    at_mean = 0.0 if bound == THROUGH_ONE else at_mean
    params[k.A] = c1 / span
    params[k.B] = 1.0 if bound == THROUGH_ONE else work[head.MEAN_Y + lane] - params[k.A] * at_mean
    if bound == FALLING:
        params[k.B] = min(params[k.B], 1.0)
    root[r.M1] = at_mean
    root[r.I1] = inverse_root(work[own.N1 + lane]) / span


@helper
def write_covariance(params: Floats, root: Floats, variance: float, out: Floats) -> None:  # noqa: ARG001
    """Covariance of the coefficients."""
    normal.of_line(root, variance, out)
