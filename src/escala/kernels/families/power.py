"""Power: η = a − k·(C/S)^b, S the largest capital seen: what depth becomes where its depth is far away.

k is b, the exponent b is c and S is d of the coefficients; S is no coefficient of the fit, but the unit of its capital.
b = 1 is the line and b = ½ the square root; η falls from a ≤ 1 on, and utility is concave. Where η turns negative it
counts as 0.

For a given b the other two are linear, k ≥ 0 and a ≤ 1, so that only ln b is searched: on a grid, then by bisection of
the derivative of the squared error between the neighbours of the lowest place.
"""

from __future__ import annotations

import math

from escala.kernels.families import covariance as normal
from escala.kernels.families.params import Params
from escala.kernels.families.shapes import CONCAVE
from escala.kernels.fitting.moments import inverse_root, line_status, share, zero
from escala.kernels.fitting.rows import LANES, POINT, head, own_rows, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import covariance as v
from escala.kernels.layout import families
from escala.kernels.layout import root as r
from escala.kernels.special import exp, log

FLATTEST, STEEPEST = 1.0 / 50.0, 8.0  # of b
LOG_FLATTEST, LOG_STEEPEST = math.log(FLATTEST), math.log(STEEPEST)
STEPS = 60
STEP = (LOG_STEEPEST - LOG_FLATTEST) / (STEPS - 1)
BISECTIONS = 60
NEAREST = 1e-300  # instead of 0 where a logarithm is taken
MOST_EXPONENT = 600.0

own = own_rows(
    families.POWER,
    "top", "total", "short", "log_b", "best_b", "best_error", "low", "high", "mean", "level", "slope", "error",
    "held", "n0", "n1", "n2", "m1", "m2", "ratio", "sse",
)  # fmt: skip


@helper
def _at(p: Params, x: float) -> tuple[float, float]:
    """(C/S)^b and ln(C/S) at a capital; at 0 both are 0, the logarithm is never used alone."""
    ratio = x / p[k.D]
    inside = ratio > NEAREST
    log_x = log(ratio if inside else 1.0)
    t = exp(p[k.C] * log_x)
    return t if inside else 0.0, log_x if inside else 0.0


@helper
def value(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """η without clipping."""
    t, _ = _at(p, x)
    return p[k.A] - p[k.B] * t


@helper
def marginal(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """d(C·η)/dC."""
    t, _ = _at(p, x)
    return p[k.A] - p[k.B] * (1.0 + p[k.C]) * t


@helper
def value_and_marginal(p: Params, origin: float, x: float) -> tuple[float, float]:  # noqa: ARG001
    """Both, for one power."""
    t, _ = _at(p, x)
    return p[k.A] - p[k.B] * t, p[k.A] - p[k.B] * (1.0 + p[k.C]) * t


@helper
def curvature(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """d²(C·η)/dC², for x > 0."""
    t, _ = _at(p, x)
    return -(p[k.B] * p[k.C] * (1.0 + p[k.C])) * t / x


@helper
def basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """f₀, f₁, f₂: 1, (C/S)^b and its derivative with respect to b."""
    t, log_x = _at(p, x)
    return 1.0, t, t * log_x


@helper
def marginal_basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """d(C·f)/dC of the basis."""
    t, log_x = _at(p, x)
    whole = 1.0 + p[k.C]
    return 1.0, whole * t, t * (1.0 + whole * log_x)


@helper
def is_level(p: Params) -> bool:
    """Whether efficiency is the same everywhere."""
    return p[k.B] == 0.0


@helper
def _capital(p: Params, t: float) -> float:
    """Where (C/S)^b is t."""
    z = log(t if t > NEAREST else NEAREST) / p[k.C]
    return p[k.D] * exp(z) if t > 0.0 else 0.0


@routine
def crossings(p: Params, origin: float, y: float) -> tuple[float, float]:  # noqa: ARG001
    """Where η falls through y. It rises nowhere."""
    if (y > p[k.A]) | is_level(p):
        return math.inf, math.inf
    return _capital(p, (p[k.A] - y) / p[k.B]), math.inf


@routine
def stationary(p: Params, origin: float) -> float:  # noqa: ARG001
    """Where C·η turns from rising to falling."""
    return math.inf if is_level(p) else _capital(p, p[k.A] / (p[k.B] * (1.0 + p[k.C])))


# --- envelope: see escala.kernels.allocation.envelope -----------------------------------------------------------------


@helper
def shape(p: Params) -> int:  # noqa: ARG001
    """How utility bends."""
    return CONCAVE


@helper
def answer_terms(p: Params, origin: float, weight: float) -> tuple[float, float, float, float]:  # noqa: ARG001
    """What :func:`best` needs."""
    falls = p[k.B] * (1.0 + p[k.C]) * weight
    return weight * p[k.A], 1.0 / falls if falls > 0.0 else 0.0, 1.0 / p[k.C], p[k.D]


@helper
def best(
    k0: float, k1: float, k2: float, k3: float, origin: float, price: float  # noqa: ARG001
) -> tuple[float, float]:  # fmt: skip
    """Where w·U − price·C is stationary, C = S·((a − p)/(k·(1 + b)))^(1/b), and its change with the price."""
    over = k0 - price
    t = over * k1
    turns = t > NEAREST
    z = k2 * log(t if turns else 1.0)
    amount = k3 * exp(z if z < MOST_EXPONENT else MOST_EXPONENT)
    slope = -amount * k2 / (over if turns else 1.0)
    return amount if turns else 0.0, slope if turns else 0.0


@helper
def sized(p: Params, origin: float, x: float) -> tuple[float, float]:  # noqa: ARG001
    """η, and what its terms add up to without their signs."""
    t, log_x = _at(p, x)
    kt = p[k.B] * t
    return p[k.A] - kt, p[k.A] + kt * (2.0 + p[k.C] * (1.0 + abs(log_x)))


# --- fit --------------------------------------------------------------------------------------------------------------


@helper
def fit_stage(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """The curve of least squared error."""
    zero(work)
    for lane in range(LANES):
        work[own.TOP + lane] = log(work[head.LARGEST + lane] / work[head.SMALLEST + lane])
        work[own.BEST_ERROR + lane] = math.inf
        work[own.BEST_B + lane] = 0.0
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            lost = 1.0 - (at[pt.Y + lane] + work[head.MEAN_Y + lane])
            work[head.T0 + lane] += at[pt.W + lane]
            work[head.T1 + lane] += at[pt.W + lane] * lost * lost
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.TOTAL + lane], work[own.SHORT + lane] = work[head.T0 + lane], work[head.T1 + lane]
    for step in range(STEPS):
        for lane in range(LANES):
            work[own.LOG_B + lane] = LOG_FLATTEST + step * STEP
        _project(work, points, rows, folded)
        for lane in range(LANES):
            better = work[own.ERROR + lane] < work[own.BEST_ERROR + lane]
            work[own.BEST_ERROR + lane] = work[own.ERROR + lane] if better else work[own.BEST_ERROR + lane]
            work[own.BEST_B + lane] = float(step) if better else work[own.BEST_B + lane]
    _bisect(work, points, rows, folded)
    _project(work, points, rows, folded)
    _residuals(work, points, rows, folded)
    for lane in range(LANES):
        work[own.SSE + lane] = work[head.T0 + lane]
    _orthogonalise(work, points, rows, folded)


@routine
def _project(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Give (C/S)^b at each lane's b, the best a and k there, and their squared error."""
    zero(work)
    for lane in range(LANES):
        work[own.M2 + lane] = exp(work[own.LOG_B + lane])
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w, y = at[pt.W + lane], at[pt.Y + lane]
            t = exp(work[own.M2 + lane] * (at[pt.LOG + lane] - work[own.TOP + lane]))
            at[pt.P + lane] = t
            wt = w * t
            work[head.T0 + lane] += wt
            work[head.T1 + lane] += wt * t
            work[head.T2 + lane] += wt * (1.0 - (y + work[head.MEAN_Y + lane]))
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.MEAN + lane] = work[head.T0 + lane] / work[own.TOTAL + lane]
        work[own.N1 + lane] = work[head.T1 + lane]
        work[own.N2 + lane] = work[head.T2 + lane]
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            dt = at[pt.P + lane] - work[own.MEAN + lane]
            wdt = at[pt.W + lane] * dt
            work[head.T0 + lane] += wdt * dt
            work[head.T1 + lane] += wdt * at[pt.Y + lane]
    if folded:
        share(work)
    for lane in range(LANES):
        _solve(work, lane)


@helper
def _solve(work: Floats, lane: int) -> None:
    """Give a and k from the sums: free, or with one of them at its bound."""
    falls = -work[head.T1 + lane] / work[head.T0 + lane]
    level = work[head.MEAN_Y + lane] + falls * work[own.MEAN + lane]
    total = work[head.SYY + lane]
    rises = not (falls > 0.0)
    held = (level > 1.0) & (not rises)
    steep = work[own.N2 + lane] / work[own.N1 + lane]
    error = total - falls * -work[head.T1 + lane]
    error = work[own.SHORT + lane] - steep * work[own.N2 + lane] if held else error
    level = 1.0 if held else level
    slope = steep if held else falls
    mean = work[head.MEAN_Y + lane] if work[head.MEAN_Y + lane] < 1.0 else 1.0
    work[own.ERROR + lane] = total if rises else error
    work[own.LEVEL + lane] = mean if rises else level
    work[own.SLOPE + lane] = 0.0 if rises else slope
    work[own.HELD + lane] = 1.0 if held else 0.0


@routine
def _residuals(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Sums of squared residuals, and of their products with (C/S)^b·ln(C/S)."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            t = at[pt.P + lane]
            residual = (at[pt.Y + lane] - (work[own.LEVEL + lane] - work[head.MEAN_Y + lane])) + work[
                own.SLOPE + lane
            ] * t
            wr = at[pt.W + lane] * residual
            work[head.T0 + lane] += wr * residual
            work[head.T1 + lane] += wr * (t * (at[pt.LOG + lane] - work[own.TOP + lane]))
    if folded:
        share(work)


@routine
def _bisect(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Find where the derivative of the squared error is 0 next to the lowest place of the grid; or the end of all b."""
    for lane in range(LANES):
        best = work[own.BEST_B + lane]
        work[own.LOW + lane] = LOG_FLATTEST + (best - 1.0) * STEP if best > 0.0 else LOG_FLATTEST
        work[own.HIGH + lane] = LOG_FLATTEST + (best + 1.0) * STEP if best < STEPS - 1.0 else LOG_STEEPEST
    for _ in range(BISECTIONS):
        for lane in range(LANES):
            work[own.LOG_B + lane] = 0.5 * (work[own.LOW + lane] + work[own.HIGH + lane])
        _project(work, points, rows, folded)
        _residuals(work, points, rows, folded)
        for lane in range(LANES):
            middle = work[own.LOG_B + lane]
            # of a line without a slope the error is level: back to where it has one
            level = work[own.SLOPE + lane] == 0.0
            before = middle < LOG_FLATTEST + work[own.BEST_B + lane] * STEP
            falling = before if level else work[head.T1 + lane] < 0.0
            work[own.LOW + lane] = middle if falling else work[own.LOW + lane]
            work[own.HIGH + lane] = work[own.HIGH + lane] if falling else middle
    for lane in range(LANES):
        low, high = work[own.LOW + lane], work[own.HIGH + lane]
        middle = LOG_STEEPEST if high == LOG_STEEPEST else 0.5 * (low + high)
        work[own.LOG_B + lane] = LOG_FLATTEST if low == LOG_FLATTEST else middle


@routine
def _orthogonalise(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Make (C/S)^b and its derivative orthogonal to 1 and to each other, in place, with their norms."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            by_b = at[pt.P + lane] * (at[pt.LOG + lane] - work[own.TOP + lane])
            at[pt.P_B + lane] = by_b
            work[head.T0 + lane] += at[pt.W + lane] * by_b
    if folded:
        share(work)
    for lane in range(LANES):
        # a bound that holds a leaves nothing to make orthogonal to
        held = work[own.HELD + lane] > 0.0
        work[own.N0 + lane] = 0.0 if held else work[own.TOTAL + lane]
        work[own.M1 + lane] = 0.0 if held else work[own.MEAN + lane]
        work[own.M2 + lane] = 0.0 if held else work[head.T0 + lane] / work[own.TOTAL + lane]
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            first, second = at[pt.P + lane] - work[own.M1 + lane], at[pt.P_B + lane] - work[own.M2 + lane]
            at[pt.P + lane], at[pt.P_B + lane] = first, second
            work[head.T0 + lane] += at[pt.W + lane] * first * first
            work[head.T1 + lane] += at[pt.W + lane] * first * second
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.N1 + lane] = work[head.T0 + lane]
        work[own.RATIO + lane] = work[head.T1 + lane] / work[head.T0 + lane] if work[head.T0 + lane] > 0.0 else 0.0
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            second = at[pt.P_B + lane] - work[own.RATIO + lane] * at[pt.P + lane]
            at[pt.P_B + lane] = second
            work[head.T0 + lane] += at[pt.W + lane] * second * second
    if folded:
        share(work)
    for lane in range(LANES):
        log_b = work[own.LOG_B + lane]
        level = work[own.SLOPE + lane] == 0.0
        bound = (log_b <= LOG_FLATTEST) | (log_b >= LOG_STEEPEST)
        work[own.N1 + lane] = 0.0 if level else work[own.N1 + lane]
        work[own.N2 + lane] = 0.0 if level | bound else work[head.T0 + lane]


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
    return -work[own.SLOPE + lane], 0.0


@helper
def level(work: Floats, lane: int) -> tuple[float, float]:
    """What to take from the centred efficiencies: nothing; and what the curve is above their mean where f₁ is 0."""
    above = work[own.LEVEL + lane] - work[head.MEAN_Y + lane]
    return 0.0, above - work[own.SLOPE + lane] * work[own.M1 + lane]


@helper
def norms(work: Floats, lane: int) -> tuple[float, float, float]:
    """Squared norms of the orthogonal basis; 0 for what belongs to a coefficient at its bound."""
    if work[head.FLAT + lane] > 0.0:
        return work[head.WEIGHT + lane], 0.0, 0.0
    return work[own.N0 + lane], work[own.N1 + lane], work[own.N2 + lane]


@helper
def basis_at(points: Floats, at: int) -> tuple[float, float, float]:
    """Orthogonal basis at a point."""
    return 1.0, points[at + pt.P], points[at + pt.P_B]


@helper
def write(work: Floats, lane: int, params: Floats, root: Floats) -> None:
    """Write a, k, b and S; where nothing falls, b is 1."""
    params[k.D] = work[head.LARGEST + lane]
    flat = work[head.FLAT + lane] > 0.0
    falls = 0.0 if flat else work[own.SLOPE + lane]
    params[k.A] = work[head.MEAN_Y + lane] if flat else work[own.LEVEL + lane]
    params[k.B], params[k.C] = falls, 1.0
    if falls > 0.0:
        params[k.C] = min(max(exp(work[own.LOG_B + lane]), FLATTEST), STEEPEST)
        root[r.M1] = work[own.M1 + lane]
        root[r.I1] = inverse_root(work[own.N1 + lane])
        root[r.M2] = work[own.M2 + lane]
        root[r.K] = work[own.RATIO + lane]
        root[r.I2] = inverse_root(work[own.N2 + lane])


@helper
def write_covariance(params: Floats, root: Floats, variance: float, out: Floats) -> None:
    """Covariance of the coefficients: a belongs to f₀, −k to f₁ and −k·db to f₂."""
    first, second, between, first_c, second_c, constant = normal.of_three(root, variance)
    scale = -1.0 / params[k.B] if params[k.B] > 0.0 else 0.0
    out[v.AA], out[v.BB], out[v.CC] = constant, first, second * scale * scale
    out[v.AB] = out[v.BA] = -first_c
    out[v.AC] = out[v.CA] = second_c * scale
    out[v.BC] = out[v.CB] = -between * scale
