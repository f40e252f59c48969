"""Square root: η = a·√C + b."""

from __future__ import annotations

import math

from escala.kernels.families import covariance as normal
from escala.kernels.families.params import Params
from escala.kernels.families.shapes import CONCAVE, CONVEX
from escala.kernels.fitting.moments import inverse_root, line_status, share, zero
from escala.kernels.fitting.rows import LANES, POINT, head, own_rows, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import families, fit_status
from escala.kernels.layout import root as r

own = own_rows(families.SQRT, "mean", "squares", "slope", "sse")


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


@helper
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
def norms(work: Floats, lane: int) -> tuple[float, float, float]:
    """Squared norms of the orthogonal basis."""
    return work[head.WEIGHT + lane], work[own.SQUARES + lane], 0.0


@helper
def basis_at(work: Floats, points: Floats, at: int, lane: int) -> tuple[float, float, float]:
    """Orthogonal basis at a point."""
    return 1.0, points[at + pt.S] - work[own.MEAN + lane], 0.0


@helper
def write(work: Floats, lane: int, c1: float, params: Floats, root: Floats) -> None:
    """Turn coefficients over the scaled root into those over the root of capital."""
    root_span = work[head.ROOT_SPAN + lane]
    at_mean = work[head.ROOT0 + lane] + work[own.MEAN + lane] * root_span
    params[k.A] = c1 / root_span
    params[k.B] = work[head.MEAN_Y + lane] - params[k.A] * at_mean
    root[r.M1] = at_mean
    root[r.I1] = inverse_root(work[own.SQUARES + lane]) / root_span


@helper
def write_covariance(params: Floats, root: Floats, variance: float, out: Floats) -> None:  # noqa: ARG001
    """Covariance of the coefficients."""
    normal.of_line(root, variance, out)
