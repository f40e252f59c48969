"""Square root: η = a·√C + b."""

from __future__ import annotations

import math

from escala.kernels.families import covariance as normal
from escala.kernels.families.params import Params
from escala.kernels.families.shapes import CONCAVE, CONVEX
from escala.kernels.fitting.moments import inverse_root, line_status, share, zero
from escala.kernels.fitting.rows import FALLING, FREE, LANES, POINT, THROUGH_ONE, head, own_rows, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import families, fit_status
from escala.kernels.layout import root as r

own = own_rows(families.SQRT, "mean", "squares", "slope", "sse", "bound", "centre", "level", "n0", "n1")


@helper
def value(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """η without clipping."""
    return p[k.A] * math.sqrt(x) + p[k.B]


@helper
def marginal(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """d(C·η)/dC."""
    return 1.5 * (p[k.A] * math.sqrt(x)) + p[k.B]


@helper
def curvature(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """d²(C·η)/dC², for x > 0."""
    return 0.75 * p[k.A] / math.sqrt(x)


@helper
def basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """f₀, f₁, f₂."""
    return 1.0, math.sqrt(x), 0.0


@helper
def marginal_basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """d(C·f)/dC of the basis."""
    return 1.0, 1.5 * math.sqrt(x), 0.0


@helper
def is_level(p: Params) -> bool:
    """Whether efficiency is the same everywhere."""
    return p[k.A] == 0.0


@routine
def crossings(p: Params, origin: float, y: float) -> tuple[float, float]:  # noqa: ARG001
    """Where η falls through y, and where it rises through y; negative if before 0."""
    slope = p[k.A]
    root = (y - p[k.B]) / slope
    at = root * root if root >= 0.0 else -1.0
    return at if slope < 0.0 else math.inf, at if slope > 0.0 else math.inf


@helper
def stationary(p: Params, origin: float) -> float:  # noqa: ARG001
    """Where C·η turns from rising to falling."""
    root = -p[k.B] / (1.5 * p[k.A])
    return root * root if p[k.A] < 0.0 and root >= 0.0 else math.inf


# --- envelope: see escala.kernels.allocation.envelope -----------------------------------------------------------------


@helper
def shape(p: Params) -> int:
    """How utility bends."""
    return CONVEX if p[k.A] > 0.0 else CONCAVE


@helper
def answer_terms(p: Params, origin: float, weight: float) -> tuple[float, float, float, float]:  # noqa: ARG001
    """What :func:`best` needs."""
    a = p[k.A]
    return weight * p[k.B], 1.0 / (1.5 * a * weight) if a < 0.0 else 0.0, 0.0, 0.0


@helper
def best(
    k0: float, k1: float, k2: float, k3: float, origin: float, price: float  # noqa: ARG001
) -> tuple[float, float]:  # fmt: skip
    """Where w·U − price·C is stationary, C = ((p − b)/(1.5a))², and its change with the price."""
    root = (price - k0) * k1
    root = root if root > 0.0 else 0.0
    return root * root, 2.0 * root * k1


@helper
def sized(p: Params, origin: float, x: float) -> tuple[float, float]:  # noqa: ARG001
    """η, and what its terms add up to without their signs."""
    ar = p[k.A] * math.sqrt(x)
    return ar + p[k.B], abs(ar) + abs(p[k.B])


# --- fit --------------------------------------------------------------------------------------------------------------


@helper
def prepare(work: Floats, points: Floats, rows: int) -> None:
    """Shift and scale the roots of capitals to [0, 1]."""
    for lane in range(LANES):
        work[head.T1 + lane] = 1.0 / work[head.ROOT_SPAN + lane]
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            c = at[pt.X + lane]
            rest = (c - work[head.SMALLEST + lane]) / (math.sqrt(c) + work[head.ROOT0 + lane])
            at[pt.S + lane] = rest * work[head.T1 + lane]


@routine
def fit_stage(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """The line over √C."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            work[head.T0 + lane] += at[pt.W + lane] * at[pt.S + lane]
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.MEAN + lane] = work[head.T0 + lane] / work[head.WEIGHT + lane]
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            ds = at[pt.S + lane] - work[own.MEAN + lane]
            wds = at[pt.W + lane] * ds
            work[head.T0 + lane] += wds * ds
            work[head.T1 + lane] += wds * at[pt.Y + lane]
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.SQUARES + lane] = work[head.T0 + lane]
        work[own.SLOPE + lane] = work[head.T1 + lane] / work[head.T0 + lane]
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            r = at[pt.Y + lane] - work[own.SLOPE + lane] * (at[pt.S + lane] - work[own.MEAN + lane])
            work[head.T0 + lane] += at[pt.W + lane] * r * r
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.SSE + lane] = work[head.T0 + lane]
    _keep_within(work, points, rows, folded)


@routine
def _keep_within(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Replace curves that are bounded and leave [0, 1] by the best ones that do not."""
    held = False
    for lane in range(LANES):
        slope, root_span = work[own.SLOPE + lane], work[head.ROOT_SPAN + lane]
        at_mean = work[head.ROOT0 + lane] + work[own.MEAN + lane] * root_span
        high = work[head.MEAN_Y + lane] - slope / root_span * at_mean > 1.0
        bounded = (work[head.BOUNDED + lane] > 0.0) & (work[head.FLAT + lane] == 0.0)
        bound = (THROUGH_ONE if high else FREE) if slope <= 0.0 else FALLING
        bound = bound if bounded else FREE
        held = held | (bound == THROUGH_ONE)
        work[own.BOUND + lane] = bound
        work[own.CENTRE + lane] = (
            -work[head.ROOT0 + lane] / root_span if bound == THROUGH_ONE else work[own.MEAN + lane]
        )
        work[own.SLOPE + lane] = 0.0 if bound == FALLING else slope
        work[own.LEVEL + lane] = 1.0 - work[head.MEAN_Y + lane] if bound == THROUGH_ONE else 0.0
        work[own.N0 + lane] = 0.0 if bound == THROUGH_ONE else work[head.WEIGHT + lane]
        work[own.N1 + lane] = 0.0 if bound == FALLING else work[own.SQUARES + lane]
        work[own.SSE + lane] = work[head.SYY + lane] if bound == FALLING else work[own.SSE + lane]
    if held:
        _through_one(work, points, rows, folded)


@routine
def _through_one(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Fit curves that begin at an efficiency of 1, where that is what bounds them."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            u = at[pt.S + lane] - work[own.CENTRE + lane]
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
            r = r - work[own.SLOPE + lane] * (at[pt.S + lane] - work[own.CENTRE + lane])
            work[head.T0 + lane] += at[pt.W + lane] * r * r
    if folded:
        share(work)
    for lane in range(LANES):
        held = work[own.BOUND + lane] == THROUGH_ONE
        work[own.SSE + lane] = work[head.T0 + lane] if held else work[own.SSE + lane]


@helper
def status(work: Floats, lane: int) -> int:
    """How the fit ended, given enough distinct capitals."""
    return line_status(work, lane) if work[own.SQUARES + lane] > 0.0 else fit_status.DEGENERATE


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
    """What to take from the centred efficiencies: nothing; and what the curve is above their mean, if it is bounded."""
    return 0.0, work[own.LEVEL + lane]


@helper
def norms(work: Floats, lane: int) -> tuple[float, float, float]:
    """Squared norms of the orthogonal basis; 0 for what belongs to a coefficient at its bound."""
    return work[own.N0 + lane], work[own.N1 + lane], 0.0


@helper
def basis_at(work: Floats, points: Floats, at: int, lane: int) -> tuple[float, float, float]:
    """Orthogonal basis at a point."""
    return 1.0, points[at + pt.S] - work[own.CENTRE + lane], 0.0


@helper
def write(work: Floats, lane: int, c1: float, params: Floats, root: Floats) -> None:
    """Turn coefficients over the scaled root into those over the root of capital."""
    root_span, bound = work[head.ROOT_SPAN + lane], work[own.BOUND + lane]
    at_mean = work[head.ROOT0 + lane] + work[own.MEAN + lane] * root_span
    at_mean = 0.0 if bound == THROUGH_ONE else at_mean
    params[k.A] = c1 / root_span
    params[k.B] = 1.0 if bound == THROUGH_ONE else work[head.MEAN_Y + lane] - params[k.A] * at_mean
    if bound == FALLING:
        params[k.B] = min(params[k.B], 1.0)
    root[r.M1] = at_mean
    root[r.I1] = inverse_root(work[own.N1 + lane]) / root_span


@helper
def write_covariance(params: Floats, root: Floats, variance: float, out: Floats) -> None:  # noqa: ARG001
    """Covariance of the coefficients."""
    normal.of_line(root, variance, out)
