"""Depth: η = a·(1 + (C/D)^h)^(−1/h): utility rises with slope a and goes flat at a·D, with a knee of sharpness h.

D is b and h is c of the coefficients. h = 1 is the pool of constant product, or Michaelis and Menten; the larger h is,
the sharper the knee. Utility is concave and never falls, efficiency is highest at 0, where it is a. With t = (C/D)^h,
U′ = a·(1 + t)^(−1 − 1/h). t itself overflows, so everything is computed from ln t = h·ln(C/D).

The fit is separable: for D and h the best a is linear, clipped to [0, 1], so that only (ln D, ln h) is searched: on a
grid, then from its three lowest minima by the method of Levenberg and Marquardt with a projected out, as Kaufman (1975,
BIT 15) does it, but with the whole second derivatives of the error, made positive definite: along the valleys in which
D and h make up for each other, Gauss and Newton's take hundreds of steps. Three steps without a look at the error end
it.
"""

from __future__ import annotations

import math

from escala.kernels.families import covariance as normal
from escala.kernels.families.params import Params
from escala.kernels.families.shapes import CONCAVE
from escala.kernels.fitting.moments import inverse_root, line_status, share, zero
from escala.kernels.fitting.rows import LANE_BITS, LANES, POINT, SHARED, head, own_rows, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import covariance as v
from escala.kernels.layout import families, fit_status, rows
from escala.kernels.layout import root as r
from escala.kernels.special import exp, expm1, log, log1p

SOFTEST, SHARPEST = 1.0 / 20.0, 200.0  # of h
LOG_SOFTEST, LOG_SHARPEST = math.log(SOFTEST), math.log(SHARPEST)
#: The grid: D from the smallest capital to e^BEYOND of the largest, h from ¼ to 64.
DEPTHS, SHARPNESSES = 14, 10
BEYOND = 4.0
GRID_LOW, GRID_STEP = math.log(0.25), (math.log(64.0) - math.log(0.25)) / (SHARPNESSES - 1)
#: Instruments of more points are scanned by the means of so many bins of equal width in ln C.
MOST_SCANNED, BINS = 60, 48
STARTS = 3
MOST_STEPS, LAST_STEPS = 64, 3
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-12, 1e8
CONVERGED, ROUNDING_STEP = 1e-11, 1e-7  # of ln D and ln h
LONGEST_STEP = 1.0  # of the same: a longer one may leap over the minimum to a plateau without a way back
SAME = 1e-3  # of the same: from a place so near to an optimum, and above it, the descent leads there
LARGEST_LAST_STEP = 1e-3  # of ln D and ln h: no step of this size improves what has converged
WORSE = 1e-9  # by which relative amount the last steps may raise the error: rounding
#: ln D, C in smallest capitals, is searched between these; the second is added to the logarithm of the largest.
LOWEST, HIGHEST_BEYOND = -60.0, 14.0
FAR_OUT = 12.0  # beyond the largest capital, in ln D: there is no depth in the records
BELOW_CONSTANT = 1e-9  # by which relative amount the error must be below that of the mean
NEAREST = 1e-300  # instead of 0 where a logarithm is taken
MOST_EXPONENT = 600.0
WHOLE = 40.0  # beyond, e^x − 1 is e^x

own = own_rows(
    families.DEPTH,
    "top", "step", "yy", "log_d", "log_h", "error", "g_d", "g_h", "h_dd", "h_dh", "h_hh", "damping", "active",
    "try_d", "try_h", "try_a", "best_d", "best_h", "best_error", "start_d", "start_h", "start_error",
    "starts", "steps", "moved", "h", "inverse", "n0", "n1", "n2", "m1", "m2", "r_dd", "r_dh", "r_hh",
    "ratio", "sse", "status",
)  # fmt: skip
#: What the grid sees of the records, three rows a place.
scan = rows("x", "w", "y", lanes=LANES)
#: Squared errors on the grid, with a border around it.
GRID = SHARED + MOST_SCANNED * scan.END
ACROSS = SHARPNESSES + 2


@helper
def _parts(log_x: float, h: float, inverse: float) -> tuple[float, float, float, float]:
    """g = (1 + t)^(−1/h), 1/(1 + t), t/(1 + t)² and ln(1 + min(t, 1/t))/h, of ln(C/D), h and 1/h."""
    above = log_x > 0.0
    q = exp(-h * abs(log_x))
    whole = 1.0 + q
    part = 1.0 / whole
    bend = (log(whole) + (q - (whole - 1.0)) * part) * inverse  # ln(1 + q), and what 1 + q lost
    g = exp(-((log_x if above else 0.0) + bend))
    turn = q * part
    return g, turn if above else part, turn * part, bend


@helper
def _at(p: Params, x: float) -> tuple[float, float, float, float, float]:
    """The same at a capital, and ln(C/D), which is 0 at 0."""
    ratio = x / p[k.B]
    inside = ratio > NEAREST
    log_x = log(ratio if inside else 1.0)
    g, rest, turn, bend = _parts(log_x, p[k.C], 1.0 / p[k.C])
    return (
        g if inside else 1.0, rest if inside else 1.0, turn if inside else 0.0, bend if inside else 0.0,
        log_x if inside else 0.0,
    )  # fmt: skip


@helper
def value(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """η."""
    g, _, _, _, _ = _at(p, x)
    return p[k.A] * g


@helper
def marginal(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """d(C·η)/dC."""
    g, rest, _, _, _ = _at(p, x)
    return p[k.A] * (g * rest)


@helper
def value_and_marginal(p: Params, origin: float, x: float) -> tuple[float, float]:  # noqa: ARG001
    """Both, for one power."""
    g, rest, _, _, _ = _at(p, x)
    return p[k.A] * g, p[k.A] * (g * rest)


@helper
def curvature(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """d²(C·η)/dC², for x > 0."""
    g, _, turn, _, _ = _at(p, x)
    return -(p[k.A] * (1.0 + p[k.C])) * (g * turn) / x


@helper
def basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """f₀, f₁, f₂: derivatives with respect to a, and to ln D and ln h for a = 1."""
    g, rest, _, bend, log_x = _at(p, x)
    return g, g * (1.0 - rest), g * (bend + abs(log_x) * _nearer(rest))


@helper
def _nearer(rest: float) -> float:
    """The smaller of 1/(1 + t) and t/(1 + t)."""
    other = 1.0 - rest
    return rest if rest < other else other


@helper
def marginal_basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """d(C·f)/dC of the basis."""
    h = p[k.C]
    g, rest, _, bend, log_x = _at(p, x)
    both = g * rest
    filled = 1.0 - rest
    change = bend + abs(log_x) * _nearer(rest) - h * (filled * log_x)
    return both, both * (filled * (1.0 + h)), both * change


@helper
def is_level(p: Params) -> bool:
    """Whether efficiency is the same everywhere: 0, or without a depth."""
    return (p[k.A] == 0.0) | (p[k.B] == math.inf)


@routine
def crossings(p: Params, origin: float, y: float) -> tuple[float, float]:  # noqa: ARG001
    """Where η falls through y: C = D·((a/y)^h − 1)^(1/h). It rises nowhere."""
    a, h = p[k.A], p[k.C]
    if (y <= 0.0) | (y > a) | is_level(p):
        return math.inf, math.inf
    if y == a:
        return 0.0, math.inf
    exponent = h * (log1p((a - y) / y) if y > 0.5 * a else log(a / y))
    log_t = log(max(expm1(exponent), NEAREST)) if exponent < WHOLE else exponent
    return p[k.B] * exp(log_t / h), math.inf


# --- envelope: see escala.kernels.allocation.envelope -----------------------------------------------------------------


@helper
def shape(p: Params) -> int:  # noqa: ARG001
    """How utility bends."""
    return CONCAVE


@helper
def answer_terms(p: Params, origin: float, weight: float) -> tuple[float, float, float, float]:  # noqa: ARG001
    """What :func:`best` needs."""
    return p[k.A] * weight, p[k.C], 1.0 / p[k.C], p[k.B]


@helper
def best(
    k0: float, k1: float, k2: float, k3: float, origin: float, price: float  # noqa: ARG001
) -> tuple[float, float]:  # fmt: skip
    """Where w·U − price·C is stationary, C = D·((p/a)^(−h/(1 + h)) − 1)^(1/h), and its change with the price."""
    known = price > NEAREST
    paid = price if known else 1.0
    below = paid < k0  # at or above the first unit's return nothing is taken
    close = paid > 0.5 * k0
    apart = (k0 - paid) / paid
    ratio = k0 / paid
    falls = (log1p(apart if below & close else 0.0)) if close else log(ratio if below else 1.0)
    exponent = falls * (k1 / (1.0 + k1))
    t = expm1(exponent if exponent < WHOLE else WHOLE)
    log_t = log(t if t > NEAREST else NEAREST)
    log_t = log_t if exponent < WHOLE else exponent
    z = log_t * k2
    amount = k3 * exp(z if z < MOST_EXPONENT else MOST_EXPONENT)
    filled = t / (1.0 + t)
    turns = below & known & (filled > 0.0)
    slope = -amount / ((1.0 + k1) * paid * (filled if turns else 1.0))
    amount = amount if turns else 0.0
    return amount if known else math.inf, slope if turns else 0.0


@helper
def sized(p: Params, origin: float, x: float) -> tuple[float, float]:  # noqa: ARG001
    """η, and what its terms add up to without their signs."""
    g, _, _, bend, log_x = _at(p, x)
    ag = p[k.A] * g
    return ag, ag * (3.0 + abs(log_x) + bend)


# --- fit: the grid ----------------------------------------------------------------------------------------------------


@helper
def fit_stage(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """The curve of least squared error."""
    for lane in range(LANES):
        top = log(work[head.LARGEST + lane] / work[head.SMALLEST + lane])
        work[own.TOP + lane] = top
        work[own.STEP + lane] = (top + BEYOND) * (1.0 / (DEPTHS - 1))
        work[own.BEST_ERROR + lane] = math.inf
        work[own.BEST_D + lane], work[own.BEST_H + lane] = 0.0, 0.0
        work[own.STARTS + lane], work[own.START_ERROR + lane] = 0.0, -math.inf
        work[own.START_D + lane] = work[own.START_H + lane] = -1.0
        work[own.G_D + lane], work[own.G_H + lane] = 0.0, 0.0  # of lanes that never begin
        work[own.H_DD + lane], work[own.H_DH + lane], work[own.H_HH + lane] = 1.0, 0.0, 1.0
    _search_grid(work, _gather(work, points, folded), folded)
    _descend(work, points, rows, folded)
    _polish(work, points, rows, folded)
    for lane in range(LANES):
        error, log_d = work[head.T0 + lane], work[own.TRY_D + lane]
        found = (log_d <= work[own.TOP + lane] + FAR_OUT) & (error < work[head.SYY + lane] * (1.0 - BELOW_CONSTANT))
        work[own.SSE + lane] = error
        work[own.STATUS + lane] = fit_status.OK if found else fit_status.DEGENERATE
    _orthogonalise(work, points, rows, folded)


@routine
def _gather(work: Floats, points: Floats, folded: bool) -> int:
    """Put the points, or the means of bins where there are many, where the grid is scanned; returns the rows used."""
    for i in range(SHARED, SHARED + MOST_SCANNED * scan.END):
        work[i] = 0.0
    used = 0
    if folded:
        used = BINS >> LANE_BITS
        for i in range(int(work[head.N])):
            at = (i >> LANE_BITS) * POINT + (i & (LANES - 1))
            j = _bin(work, 0, points[at + pt.LOG], i)
            _put(work, points, at, 0, SHARED + (j >> LANE_BITS) * scan.END + (j & (LANES - 1)))
    else:
        for lane in range(LANES):
            n = int(work[head.N + lane])
            used = max(used, BINS if n > MOST_SCANNED else n)
            for i in range(n):
                at = i * POINT + lane
                _put(work, points, at, lane, SHARED + _bin(work, lane, points[at + pt.LOG], i) * scan.END + lane)
    for i in range(used):
        at = SHARED + i * scan.END
        for lane in range(LANES):
            w = work[at + scan.W + lane]
            weight = w if w > 0.0 else 1.0
            work[at + scan.X + lane] = work[at + scan.X + lane] / weight
            work[at + scan.Y + lane] = work[at + scan.Y + lane] / weight
    return used


@helper
def _bin(work: Floats, lane: int, x: float, i: int) -> int:
    """Where the grid sees a point."""
    if work[head.N + lane] <= MOST_SCANNED:
        return i
    return min(int(x * (BINS / work[own.TOP + lane])), BINS - 1) if work[own.TOP + lane] > 0.0 else 0


@helper
def _put(work: Floats, points: Floats, at: int, lane: int, to: int) -> None:
    w = points[at + pt.W]
    work[to + scan.W] += w
    work[to + scan.X] += w * points[at + pt.LOG]
    work[to + scan.Y] += w * (points[at + pt.Y] + work[head.MEAN_Y + lane])


@routine
def _search_grid(work: Floats, used: int, folded: bool) -> None:
    """Squared error at every place of the grid."""
    for i in range(GRID, GRID + (DEPTHS + 2) * ACROSS * LANES):
        work[i] = math.inf
    zero(work)
    for i in range(used):
        at = work[SHARED + i * scan.END : SHARED + (i + 1) * scan.END]
        for lane in range(LANES):
            work[head.T0 + lane] += at[scan.W + lane] * at[scan.Y + lane] * at[scan.Y + lane]
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.YY + lane] = work[head.T0 + lane]
    for across in range(SHARPNESSES):
        h = exp(GRID_LOW + across * GRID_STEP)
        inverse = 1.0 / h
        for step in range(DEPTHS):
            zero(work)
            for i in range(used):
                at = work[SHARED + i * scan.END : SHARED + (i + 1) * scan.END]
                for lane in range(LANES):
                    log_x = at[scan.X + lane] - step * work[own.STEP + lane]
                    rest = log(1.0 + exp(-h * abs(log_x))) * inverse
                    g = exp(-((log_x if log_x > 0.0 else 0.0) + rest))
                    wg = at[scan.W + lane] * g
                    work[head.T0 + lane] += wg * g
                    work[head.T1 + lane] += wg * at[scan.Y + lane]
            if folded:
                share(work)
            to = GRID + ((step + 1) * ACROSS + across + 1) * LANES
            for lane in range(LANES):
                gg, gy = work[head.T0 + lane], work[head.T1 + lane]
                a = gy / gg
                a = a if a < 1.0 else 1.0
                work[to + lane] = work[own.YY + lane] - a * (2.0 * gy - a * gg)


@routine
def _next_start(work: Floats, lane: int) -> None:
    """Begin at the lane's next lowest minimum of the grid, among eight neighbours; inactive where none is left."""
    last, last_place = work[own.START_ERROR + lane], work[own.START_D + lane] * SHARPNESSES + work[own.START_H + lane]
    lowest, at_d, at_h = math.inf, -1.0, -1.0
    for step in range(DEPTHS):
        for across in range(SHARPNESSES):
            error = work[GRID + ((step + 1) * ACROSS + across + 1) * LANES + lane]
            untried = (error > last) | ((error == last) & (float(step * SHARPNESSES + across) > last_place))
            if (error < lowest) & untried and _is_minimum(work, GRID + (step * ACROSS + across) * LANES + lane):
                lowest, at_d, at_h = error, float(step), float(across)
    enough = (work[head.DISTINCT + lane] >= 3.0) & (work[head.FLAT + lane] == 0.0) & (at_d >= 0.0)
    work[own.STARTS + lane] += 1.0
    work[own.START_ERROR + lane], work[own.START_D + lane], work[own.START_H + lane] = lowest, at_d, at_h
    work[own.ACTIVE + lane] = 1.0 if enough else 0.0
    work[own.TRY_D + lane] = at_d * work[own.STEP + lane] if enough else 0.0
    work[own.TRY_H + lane] = GRID_LOW + at_h * GRID_STEP if enough else 0.0
    work[own.LOG_D + lane], work[own.LOG_H + lane] = work[own.TRY_D + lane], work[own.TRY_H + lane]
    work[own.ERROR + lane] = work[own.MOVED + lane] = math.inf
    work[own.DAMPING + lane] = FIRST_DAMPING
    work[own.STEPS + lane] = 0.0


@helper
def _is_minimum(work: Floats, first: int) -> bool:
    """Whether the middle of nine places from `first` on is lowest; of equal ones, the first."""
    here = work[first + (ACROSS + 1) * LANES]
    before = after = math.inf
    for i in range(3):
        before = min(before, work[first + i * LANES])
        after = min(after, work[first + (2 * ACROSS + i) * LANES])
    before = min(before, work[first + ACROSS * LANES])
    after = min(after, work[first + (ACROSS + 2) * LANES])
    return here < before and here <= after


# --- fit: downhill ----------------------------------------------------------------------------------------------------


@routine
def _project(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Give g and its derivatives at each lane's place, the best a there, and what a projects out of them.

    Second derivatives are only needed in their products with the residuals.
    """
    zero(work)
    for lane in range(LANES):
        h = exp(work[own.TRY_H + lane])
        work[own.H + lane], work[own.INVERSE + lane] = h, 1.0 / h
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w = at[pt.W + lane]
            log_x = at[pt.LOG + lane] - work[own.TRY_D + lane]
            h = work[own.H + lane]
            g, rest, turn, bend = _parts(log_x, h, work[own.INVERSE + lane])
            filled, change = 1.0 - rest, bend + abs(log_x) * _nearer(rest)
            by_d, by_h = g * filled, g * change
            at[pt.D + lane], at[pt.D_D + lane], at[pt.D_H + lane] = g, by_d, by_h
            turn = h * turn
            twice_d = g * (filled * filled - turn)
            mixed = g * (change * filled + log_x * turn)
            twice_h = g * (change * change - change - log_x * log_x * turn)
            wg, wy = w * g, w * (at[pt.Y + lane] + work[head.MEAN_Y + lane])
            work[head.T0 + lane] += wg * g
            work[head.T1 + lane] += wy * g
            work[head.T2 + lane] += wg * by_d
            work[head.T3 + lane] += wg * by_h
            work[head.T4 + lane] += wg * twice_d
            work[head.T5 + lane] += wg * mixed
            work[head.T6 + lane] += wg * twice_h
            work[head.T7 + lane] += wy * twice_d
            work[head.T8 + lane] += wy * mixed
            work[head.T9 + lane] += wy * twice_h
    if folded:
        share(work)
    for lane in range(LANES):
        gg = work[head.T0 + lane]
        a = work[head.T1 + lane] / gg
        held = a >= 1.0
        a = 1.0 if held else a
        work[own.TRY_A + lane] = a
        work[own.R_DD + lane] = work[head.T7 + lane] - a * work[head.T4 + lane]
        work[own.R_DH + lane] = work[head.T8 + lane] - a * work[head.T5 + lane]
        work[own.R_HH + lane] = work[head.T9 + lane] - a * work[head.T6 + lane]
        # a bound that holds a leaves nothing to project out, and nothing to estimate
        work[own.N0 + lane] = 0.0 if held else gg
        work[own.M1 + lane] = 0.0 if held else work[head.T2 + lane] / gg
        work[own.M2 + lane] = 0.0 if held else work[head.T3 + lane] / gg


@routine
def _residuals(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Sums of squared residuals, of their products with the derivatives, and of those among themselves."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w = at[pt.W + lane]
            a, g = work[own.TRY_A + lane], at[pt.D + lane]
            residual = (at[pt.Y + lane] + work[head.MEAN_Y + lane]) - a * g
            by_d = a * (at[pt.D_D + lane] - work[own.M1 + lane] * g)
            by_h = a * (at[pt.D_H + lane] - work[own.M2 + lane] * g)
            wr, wd = w * residual, w * by_d
            work[head.T0 + lane] += wr * residual
            work[head.T1 + lane] += wr * by_d
            work[head.T2 + lane] += wr * by_h
            work[head.T3 + lane] += wd * by_d
            work[head.T4 + lane] += wd * by_h
            work[head.T5 + lane] += w * by_h * by_h
    if folded:
        share(work)


@routine
def _descend(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Go down from each lane's starts, one after the other, and keep the best place of all."""
    for lane in range(LANES):
        _next_start(work, lane)
    while _any_active(work):
        _project(work, points, rows, folded)
        _residuals(work, points, rows, folded)
        for lane in range(LANES):
            _take(work, lane)
        for lane in range(LANES):
            _aim(work, lane)
        for lane in range(LANES):
            if work[own.ACTIVE + lane] == 0.0 and work[own.STARTS + lane] <= STARTS:
                if work[own.ERROR + lane] < work[own.BEST_ERROR + lane]:
                    work[own.BEST_ERROR + lane] = work[own.ERROR + lane]
                    work[own.BEST_D + lane], work[own.BEST_H + lane] = work[own.LOG_D + lane], work[own.LOG_H + lane]
                if work[own.STARTS + lane] < STARTS:
                    _next_start(work, lane)
                else:
                    work[own.STARTS + lane] += 1.0


@helper
def _any_active(work: Floats) -> bool:
    found = False
    for lane in range(LANES):
        found = found | (work[own.ACTIVE + lane] > 0.0)
    return found


@helper
def _second(work: Floats, lane: int) -> tuple[float, float, float]:
    """Second derivatives of half the error, a being the best one everywhere, made positive definite."""
    a, m1, m2 = work[own.TRY_A + lane], work[own.M1 + lane], work[own.M2 + lane]
    gg = work[own.N0 + lane]
    over = 1.0 / gg if gg > 0.0 else 0.0
    d, h = work[head.T1 + lane] / a, work[head.T2 + lane] / a
    plain_dd, plain_dh, plain_hh = work[head.T3 + lane], work[head.T4 + lane], work[head.T5 + lane]
    dd = plain_dd - a * work[own.R_DD + lane] + (2.0 * a * m1 * d - d * d * over)
    dh = plain_dh - a * work[own.R_DH + lane] + (a * (m1 * h + m2 * d) - d * h * over)
    hh = plain_hh - a * work[own.R_HH + lane] + (2.0 * a * m2 * h - h * h * over)
    return _positive(dd, dh, hh, plain_dd, plain_dh, plain_hh)


@helper
def _positive(
    dd: float, dh: float, hh: float, plain_dd: float, plain_dh: float, plain_hh: float
) -> tuple[float, float, float]:
    """The matrix with its eigenvalues' absolute values, in units of Gauss and Newton's diagonal; theirs if that is 0.

    With eigenvalues of both signs |M| = (M·trace/2 − det)/√(trace²/4 − det).
    """
    usable = (plain_dd > 0.0) & (plain_hh > 0.0)
    unit_d, unit_h = (plain_dd if usable else 1.0), (plain_hh if usable else 1.0)
    unit = math.sqrt(unit_d) * math.sqrt(unit_h)
    a, b, c = dd / unit_d, dh / unit, hh / unit_h
    half = 0.5 * (a + c)
    determinant = a * c - b * b
    saddle = determinant < 0.0
    sound = (dd > 0.0) & (dd * hh - dh * dh > 0.0)
    radius = math.sqrt(half * half - determinant if saddle else 1.0)
    other_dd = (half * a - determinant) / radius * unit_d if saddle else -dd
    other_dh = half * b / radius * unit if saddle else -dh
    other_hh = (half * c - determinant) / radius * unit_h if saddle else -hh
    found_dd, found_dh, found_hh = (
        (dd if sound else other_dd), (dh if sound else other_dh), (hh if sound else other_hh)
    )  # fmt: skip
    return found_dd if usable else plain_dd, found_dh if usable else plain_dh, found_hh if usable else plain_hh


@helper
def _keep_sums(work: Floats, lane: int, better: bool) -> None:
    """Take the trial step, and the derivatives there, where it is better."""
    dd, dh, hh = _second(work, lane)
    work[own.LOG_D + lane] = work[own.TRY_D + lane] if better else work[own.LOG_D + lane]
    work[own.LOG_H + lane] = work[own.TRY_H + lane] if better else work[own.LOG_H + lane]
    work[own.G_D + lane] = work[head.T1 + lane] if better else work[own.G_D + lane]
    work[own.G_H + lane] = work[head.T2 + lane] if better else work[own.G_H + lane]
    work[own.H_DD + lane] = dd if better else work[own.H_DD + lane]
    work[own.H_DH + lane] = dh if better else work[own.H_DH + lane]
    work[own.H_HH + lane] = hh if better else work[own.H_HH + lane]


@helper
def _take(work: Floats, lane: int) -> None:
    """Take a trial step that lowers the error, with less damping next; otherwise more.

    A small step that lowers nothing has met rounding, and a place next to the best one is on its way there.
    """
    active = work[own.ACTIVE + lane] > 0.0
    error, damping = work[head.T0 + lane], work[own.DAMPING + lane]
    better = active & (error < work[own.ERROR + lane])
    error = error if better else work[own.ERROR + lane]
    work[own.ERROR + lane] = error
    _keep_sums(work, lane, better)
    damping = 0.1 * damping if better else 10.0 * damping
    work[own.DAMPING + lane] = damping if damping > LEAST_DAMPING else LEAST_DAMPING
    steps = work[own.STEPS + lane] + 1.0
    work[own.STEPS + lane] = steps
    near_d = abs(work[own.LOG_D + lane] - work[own.BEST_D + lane]) < SAME
    near_h = abs(work[own.LOG_H + lane] - work[own.BEST_H + lane]) < SAME
    again = near_d & near_h & (error >= work[own.BEST_ERROR + lane])
    goes_on = (damping <= MOST_DAMPING) & (steps < MOST_STEPS) & (better | (work[own.MOVED + lane] > ROUNDING_STEP))
    work[own.ACTIVE + lane] = 1.0 if active & goes_on & (not again) else 0.0


@helper
def _between(x: float, low: float, high: float) -> float:
    x = x if x > low else low
    return x if x < high else high


@helper
def _step(work: Floats, lane: int, damping: float) -> tuple[float, float]:
    """Damped step of Newton, inside the borders; what a border holds back does not move."""
    log_d, log_h = work[own.LOG_D + lane], work[own.LOG_H + lane]
    highest = work[own.TOP + lane] + HIGHEST_BEYOND
    down_d, down_h = work[own.G_D + lane], work[own.G_H + lane]
    free_d = not (((log_d <= LOWEST) & (down_d < 0.0)) | ((log_d >= highest) & (down_d > 0.0)))
    free_h = not (((log_h <= LOG_SOFTEST) & (down_h < 0.0)) | ((log_h >= LOG_SHARPEST) & (down_h > 0.0)))
    dd, hh = work[own.H_DD + lane] * (1.0 + damping), work[own.H_HH + lane] * (1.0 + damping)
    dh = work[own.H_DH + lane]
    determinant = dd * hh - dh * dh
    both = free_d & free_h & (determinant > 0.0)
    # one of them alone, if the other cannot move
    over_d, under_d = (down_d * hh - down_h * dh if both else down_d), (determinant if both else dd)
    over_h, under_h = (down_h * dd - down_d * dh if both else down_h), (determinant if both else hh)
    step_d, step_h = over_d / under_d, over_h / under_h
    step_d = step_d if free_d & (dd > 0.0) else 0.0
    step_h = step_h if free_h & (hh > 0.0) else 0.0
    long_d, long_h = abs(step_d), abs(step_h)
    longest = long_d if long_d > long_h else long_h
    share = LONGEST_STEP / longest if longest > LONGEST_STEP else 1.0
    step_d, step_h = step_d * share, step_h * share
    return _between(log_d + step_d, LOWEST, highest), _between(log_h + step_h, LOG_SOFTEST, LOG_SHARPEST)


@helper
def _aim(work: Floats, lane: int) -> None:
    """Set the next trial step."""
    next_d, next_h = _step(work, lane, work[own.DAMPING + lane])
    moved_d, moved_h = abs(next_d - work[own.LOG_D + lane]), abs(next_h - work[own.LOG_H + lane])
    moved = moved_d if moved_d > moved_h else moved_h
    work[own.TRY_D + lane], work[own.TRY_H + lane], work[own.MOVED + lane] = next_d, next_h, moved
    work[own.ACTIVE + lane] = work[own.ACTIVE + lane] if moved > CONVERGED else 0.0


@routine
def _polish(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Take the last steps without a look at the error, which near its minimum says less than its derivative.

    They end at g and its derivatives at the best place, with the residuals' sums.
    """
    for lane in range(LANES):
        work[own.TRY_D + lane], work[own.TRY_H + lane] = work[own.BEST_D + lane], work[own.BEST_H + lane]
    for step in range(LAST_STEPS + 1):
        _project(work, points, rows, folded)
        _residuals(work, points, rows, folded)
        if step == LAST_STEPS:
            break
        for lane in range(LANES):
            _keep_sums(work, lane, True)
            next_d, next_h = _step(work, lane, 0.0)
            small = (abs(next_d - work[own.LOG_D + lane]) <= LARGEST_LAST_STEP) & (
                abs(next_h - work[own.LOG_H + lane]) <= LARGEST_LAST_STEP
            )
            work[own.TRY_D + lane] = next_d if small else work[own.LOG_D + lane]
            work[own.TRY_H + lane] = next_h if small else work[own.LOG_H + lane]
    worse = False
    for lane in range(LANES):
        best = work[own.BEST_ERROR + lane]
        fails = work[head.T0 + lane] > best + WORSE * (best + WORSE * WORSE * work[head.SYY + lane])
        work[own.TRY_D + lane] = work[own.BEST_D + lane] if fails else work[own.TRY_D + lane]
        work[own.TRY_H + lane] = work[own.BEST_H + lane] if fails else work[own.TRY_H + lane]
        worse = worse | fails
    if worse:
        _project(work, points, rows, folded)
        _residuals(work, points, rows, folded)


@routine
def _orthogonalise(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Make the derivatives at the best place orthogonal to g and to each other, in place, with their norms."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w, g = at[pt.W + lane], at[pt.D + lane]
            by_d = at[pt.D_D + lane] - work[own.M1 + lane] * g
            by_h = at[pt.D_H + lane] - work[own.M2 + lane] * g
            at[pt.D_D + lane], at[pt.D_H + lane] = by_d, by_h
            work[head.T0 + lane] += w * by_d * by_d
            work[head.T1 + lane] += w * by_d * by_h
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.N1 + lane] = work[head.T0 + lane]
        work[own.RATIO + lane] = work[head.T1 + lane] / work[head.T0 + lane] if work[head.T0 + lane] > 0.0 else 0.0
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            by_h = at[pt.D_H + lane] - work[own.RATIO + lane] * at[pt.D_D + lane]
            at[pt.D_H + lane] = by_h
            work[head.T0 + lane] += at[pt.W + lane] * by_h * by_h
    if folded:
        share(work)
    for lane in range(LANES):
        log_h = work[own.TRY_H + lane]
        held = (log_h <= LOG_SOFTEST) | (log_h >= LOG_SHARPEST)
        work[own.N2 + lane] = 0.0 if held else work[head.T0 + lane]


# --- fit: the result --------------------------------------------------------------------------------------------------


@helper
def status(work: Floats, lane: int) -> int:
    """How the fit ended, given enough distinct capitals."""
    found = line_status(work, lane)
    return int(work[own.STATUS + lane]) if found == fit_status.OK else found


@helper
def squared_error(work: Floats, lane: int) -> float:
    """Sum of squared residuals."""
    return work[own.SSE + lane]


@helper
def level(work: Floats, lane: int) -> tuple[float, float]:
    """Efficiencies are not centred: their mean comes back, and f₀ has the coefficient a."""
    return -work[head.MEAN_Y + lane], work[own.TRY_A + lane]


@helper
def norms(work: Floats, lane: int) -> tuple[float, float, float]:
    """Squared norms of the orthogonal basis; 0 for what belongs to a coefficient at its bound."""
    if work[head.FLAT + lane] > 0.0:
        return work[head.WEIGHT + lane], 0.0, 0.0
    return work[own.N0 + lane], work[own.N1 + lane], work[own.N2 + lane]


@helper
def basis_at(points: Floats, at: int) -> tuple[float, float, float]:
    """Orthogonal basis at a point."""
    return points[at + pt.D], points[at + pt.D_D], points[at + pt.D_H]


@helper
def write(work: Floats, lane: int, params: Floats, root: Floats) -> None:
    """Write a, D and h; where all efficiencies are equal there is no depth."""
    if work[head.FLAT + lane] > 0.0:
        params[k.A], params[k.B], params[k.C] = work[head.MEAN_Y + lane], math.inf, 1.0
        return
    params[k.A] = work[own.TRY_A + lane]
    params[k.B] = work[head.SMALLEST + lane] * exp(work[own.TRY_D + lane])
    params[k.C] = min(max(exp(work[own.TRY_H + lane]), SOFTEST), SHARPEST)
    root[r.M1] = work[own.M1 + lane]
    root[r.I1] = inverse_root(work[own.N1 + lane])
    root[r.M2] = work[own.M2 + lane]
    root[r.K] = work[own.RATIO + lane]
    root[r.I2] = inverse_root(work[own.N2 + lane])


@helper
def write_covariance(params: Floats, root: Floats, variance: float, out: Floats) -> None:
    """Covariance of the coefficients: a belongs to f₀, a·d(ln D) to f₁, a·d(ln h) to f₂."""
    if is_level((params[k.A], params[k.B], params[k.C], 0.0)):
        out[v.AA] = variance * root[r.I0] * root[r.I0]
        return
    first, second, between, first_c, second_c, constant = normal.of_three(root, variance)
    by_d, by_h = params[k.B] / params[k.A], params[k.C] / params[k.A]
    out[v.AA], out[v.BB], out[v.CC] = constant, first * by_d * by_d, second * by_h * by_h
    out[v.AB] = out[v.BA] = first_c * by_d
    out[v.AC] = out[v.CA] = second_c * by_h
    out[v.BC] = out[v.CB] = between * by_d * by_h
