"""Hill: η = a·x^(s−1)/(1 + x^s), x = C/K: utility a·K·x^s/(1 + x^s), the response curve of budgets.

K is b and s is c of the coefficients. s = 1 is concave (Michaelis and Menten), s > 1 convex up to
x^s = (s − 1)/(s + 1). Efficiency is highest at x^s = s − 1, where it is a·(s − 1)^((s − 1)/s)/s; a is bounded so that
this is at most 1.

The fit is separable: for K and s the best a is linear, clipped to its bound, so that only (ln K, s) is searched, on a
grid, then from the best K of every s by the method of Levenberg and Marquardt with a projected out.
"""

from __future__ import annotations

import math

from escala.kernels.families import covariance as normal
from escala.kernels.families.params import Params
from escala.kernels.families.shapes import CONCAVE, CONVEX_FIRST
from escala.kernels.fitting.moments import inverse_root, share, zero
from escala.kernels.fitting.rows import LANES, LN_2, POINT, head, own_rows, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import covariance as v
from escala.kernels.layout import families, fit_status
from escala.kernels.layout import root as r
from escala.kernels.special import exp, log

LOWEST, HIGHEST = 1.0, 20.0  # of s
#: Values of s on the grid.
SHAPES = (1.0, 1.25, 1.6, 2.0, 2.6, 3.4, 4.5, 6.0, 8.0, 11.0, 15.0, 20.0)
#: Values of ln K on the grid, K in smallest capitals: from so many octaves below 1 to so many above the largest.
STEPS = 96
BEYOND = 8.0 * LN_2
BELOW_BORDER = 1e-9  # by which relative amount an optimum must lie below both borders of the search in K
MOST_STEPS = 40
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-12, 1e8
CONVERGED = 1e-11
ROUNDING = 1e-9
CROSSING_STEPS = 60
ANSWER_STEPS = 16
BISECTIONS = 90
NEAREST = 1e-300  # instead of 0 where a logarithm is taken

own = own_rows(
    families.HILL,
    "low", "high", "step", "log_k", "s", "a", "error", "g_k", "g_s", "h_kk", "h_ks", "h_ss", "damping", "active",
    "try_k", "try_s", "try_a", "try_slope", "best_k", "best_s", "best_error", "at_low", "at_high", "start_k",
    "start_error", "n0", "n1", "n2", "m1", "m2", "ratio", "sse", "status",
)  # fmt: skip


@helper
def most_amplitude(s: float) -> float:
    """The a for which the highest efficiency is 1."""
    over = s - 1.0
    inner = over if over > NEAREST else NEAREST
    return exp(log(s) - over / s * log(inner))


@helper
def _parts(log_x: float, s: float) -> tuple[float, float]:
    """g = x^(s−1)/(1 + x^s), and 1/(1 + x^s), of ln x."""
    above = log_x > 0.0
    q = exp(-s * abs(log_x))
    part = 1.0 / (1.0 + q)
    g = exp(-log_x if above else (s - 1.0) * log_x) * part
    return g, q * part if above else part


@helper
def _at(p: Params, x: float) -> tuple[float, float, float]:
    """g, 1/(1 + x^s) and ln x at a capital; at 0 the limits, and 0 for the logarithm, which is never used alone."""
    ratio = x / p[k.B]
    inside = ratio > NEAREST
    log_x = log(ratio if inside else 1.0)
    g, rest = _parts(log_x, p[k.C])
    at_zero = 1.0 if p[k.C] <= 1.0 else 0.0
    return g if inside else at_zero, rest if inside else 1.0, log_x if inside else 0.0


@helper
def value(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """η."""
    g, _, _ = _at(p, x)
    return p[k.A] * g


@helper
def marginal(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """d(C·η)/dC."""
    g, rest, _ = _at(p, x)
    return p[k.A] * p[k.C] * (g * rest)


@helper
def value_and_marginal(p: Params, origin: float, x: float) -> tuple[float, float]:  # noqa: ARG001
    """Both, for one power."""
    g, rest, _ = _at(p, x)
    return p[k.A] * g, p[k.A] * p[k.C] * (g * rest)


@helper
def curvature(p: Params, origin: float, x: float) -> float:  # noqa: ARG001
    """d²(C·η)/dC², for x > 0."""
    s = p[k.C]
    g, rest, _ = _at(p, x)
    return p[k.A] * s * (g * rest) * (s * (2.0 * rest - 1.0) - 1.0) / x


@helper
def basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """f₀, f₁, f₂: derivatives with respect to a, and to ln K and s for a = 1."""
    g, rest, log_x = _at(p, x)
    return g, g * (1.0 - p[k.C] * rest), g * (log_x * rest)


@helper
def marginal_basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """d(C·f)/dC of the basis."""
    s = p[k.C]
    g, rest, log_x = _at(p, x)
    both = g * rest
    return s * both, s * both * (1.0 - s * (2.0 * rest - 1.0)), both * (1.0 + s * log_x * (2.0 * rest - 1.0))


@helper
def is_allowed(p: Params) -> bool:
    """Whether the highest efficiency is at most 1, but for rounding."""
    return p[k.A] <= most_amplitude(p[k.C]) * (1.0 + ROUNDING)


@helper
def is_level(p: Params) -> bool:
    """Whether efficiency is the same everywhere: 0."""
    return p[k.A] == 0.0


@helper
def peak(p: Params, origin: float) -> float:  # noqa: ARG001
    """Where η has a maximum behind 0."""
    s = p[k.C]
    return p[k.B] * exp(log(s - 1.0) / s) if s > 1.0 else math.inf


@routine
def crossings(p: Params, origin: float, y: float) -> tuple[float, float]:  # noqa: ARG001
    """Where η falls through y, and where it rises through y.

    ln g is concave in ln x, and Newton's method goes up to the root from the straight line that it nears far out.
    """
    a, s = p[k.A], p[k.C]
    if (y <= 0.0) | (a <= 0.0) | (y > a / most_amplitude(s)):
        return math.inf, math.inf
    wanted = log(y / a)
    rises = p[k.B] * exp(_crossing(s, wanted, wanted / (s - 1.0), 1.0)) if s > 1.0 else math.inf
    return p[k.B] * exp(_crossing(s, wanted, -wanted, -1.0)), rises


@routine
def _crossing(s: float, wanted: float, start: float, direction: float) -> float:
    """Solve ln g = wanted for ln x, from a start before the root in that direction."""
    log_x = start
    for _ in range(CROSSING_STEPS):
        _, rest = _parts(log_x, s)
        straight = -log_x if log_x > 0.0 else (s - 1.0) * log_x
        off = straight - log(1.0 + exp(-s * abs(log_x))) - wanted
        slope = s * rest - 1.0
        if not (off < 0.0 and direction * slope > 0.0):
            break
        log_x -= off / slope
    return log_x


# --- envelope: see escala.kernels.allocation.envelope -----------------------------------------------------------------


@helper
def shape(p: Params) -> int:
    """How utility bends."""
    return CONVEX_FIRST if p[k.C] > 1.0 else CONCAVE


@helper
def inflection(p: Params) -> float:
    """Where utility changes from convex to concave."""
    s = p[k.C]
    return p[k.B] * exp(log((s - 1.0) / (s + 1.0)) / s) if s > 1.0 else math.inf


@routine
def tangent_from_low(p: Params, low: float, turn: float, end: float) -> float:
    """Where the line from utility at `low`, in the convex part, touches the concave part behind it; or `end`."""
    at_low = low * value(p, 0.0, low)
    near, far = turn, end
    if end * value(p, 0.0, end) - at_low <= marginal(p, 0.0, end) * (end - low):
        return end
    for _ in range(BISECTIONS):
        middle = 0.5 * (near + far)
        if middle * value(p, 0.0, middle) - at_low <= marginal(p, 0.0, middle) * (middle - low):
            near = middle
        else:
            far = middle
    return 0.5 * (near + far)


@helper
def answer_terms(p: Params, origin: float, weight: float) -> tuple[float, float, float, float]:  # noqa: ARG001
    """What :func:`best` needs."""
    a, s = p[k.A], p[k.C]
    return log(a * s * weight) if a > 0.0 else 0.0, (s - 1.0) / s, 1.0 / s, p[k.B]


@helper
def best(
    k0: float, k1: float, k2: float, k3: float, origin: float, price: float  # noqa: ARG001
) -> tuple[float, float]:  # fmt: skip
    """Where w·U − price·C is stationary behind the inflection, and its change with the price.

    ln U′ = k0 + k1·z − 2·ln(1 + e^z) is concave in z = s·ln x. Newton's method comes down to the root from that of the
    straight line which it nears for large z.
    """
    known = price > NEAREST
    wanted = log(price if known else 1.0)
    inner = k1 / (2.0 - k1)
    turn = log(inner if inner > NEAREST else NEAREST)
    z = (k0 - wanted) / (2.0 - k1)
    z = z if z > turn else turn
    z = z if z < 600.0 else 600.0
    for _ in range(ANSWER_STEPS):
        e = exp(z)
        slope = k1 - 2.0 * (e / (1.0 + e))
        slope = slope if slope < -1e-9 else -1e-9
        z -= (k0 + k1 * z - 2.0 * log(1.0 + e) - wanted) / slope
        z = z if z > turn else turn
        z = z if z < 600.0 else 600.0
    e = exp(z)
    slope = k1 - 2.0 * (e / (1.0 + e))
    turns = (slope < -1e-9) & known
    amount = k3 * exp(z * k2)
    return amount if known else math.inf, amount * k2 / (price * slope) if turns else 0.0


@helper
def sized(p: Params, origin: float, x: float) -> tuple[float, float]:  # noqa: ARG001
    """η, and what its terms add up to without their signs."""
    g, _, log_x = _at(p, x)
    ag = p[k.A] * g
    return ag, ag * (2.0 + p[k.C] * (1.0 + abs(log_x)))


# --- fit --------------------------------------------------------------------------------------------------------------


@routine
def fit_stage(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """The curve of least squared error."""
    for lane in range(LANES):
        low, high = -BEYOND, log(work[head.LARGEST + lane] / work[head.SMALLEST + lane]) + BEYOND
        work[own.LOW + lane], work[own.HIGH + lane] = low, high
        work[own.STEP + lane] = (high - low) * (1.0 / (STEPS - 1))
        work[own.BEST_ERROR + lane] = work[own.AT_LOW + lane] = work[own.AT_HIGH + lane] = math.inf
        work[own.BEST_K + lane], work[own.BEST_S + lane] = 0.5 * (low + high), 1.0
    for s in SHAPES:
        _scan(work, points, rows, folded, s)
        _descend(work, points, rows, folded, s)
    for lane in range(LANES):
        work[own.TRY_K + lane], work[own.TRY_S + lane] = work[own.BEST_K + lane], work[own.BEST_S + lane]
    _project(work, points, rows, folded)
    _residuals(work, points, rows, folded)
    for lane in range(LANES):
        error, log_k, step = work[head.T0 + lane], work[own.BEST_K + lane], work[own.STEP + lane]
        border = min(work[own.AT_LOW + lane], work[own.AT_HIGH + lane])
        inside = (log_k > work[own.LOW + lane] + step) & (log_k < work[own.HIGH + lane] - step)
        found = inside & (error < border - BELOW_BORDER * border) & (work[own.TRY_A + lane] > 0.0)
        work[own.A + lane] = work[own.TRY_A + lane]
        work[own.SSE + lane] = error
        work[own.STATUS + lane] = fit_status.OK if found else fit_status.DEGENERATE
    _orthogonalise(work, points, rows, folded)


@routine
def _scan(work: Floats, points: Floats, rows: int, folded: bool, s: float) -> None:
    """Find the K on the grid that is best for one s, and keep the errors at both ends of the grid."""
    most = most_amplitude(s)
    for lane in range(LANES):
        work[own.START_ERROR + lane] = math.inf
        work[own.START_K + lane] = work[own.LOW + lane]
    for step in range(STEPS):
        zero(work)
        for i in range(rows):
            at = points[i * POINT : (i + 1) * POINT]
            for lane in range(LANES):
                w = at[pt.W + lane]
                y = at[pt.Y + lane] + work[head.MEAN_Y + lane]
                g, _ = _parts(at[pt.LOG + lane] - (work[own.LOW + lane] + step * work[own.STEP + lane]), s)
                work[head.T0 + lane] += w * g * g
                work[head.T1 + lane] += w * g * y
                work[head.T2 + lane] += w * y * y
        if folded:
            share(work)
        for lane in range(LANES):
            gg, gy = work[head.T0 + lane], work[head.T1 + lane]
            a = gy / gg
            a = a if a < most else most
            error = work[head.T2 + lane] - a * (2.0 * gy - a * gg)
            if step == 0:
                work[own.AT_LOW + lane] = min(work[own.AT_LOW + lane], error)
            if step == STEPS - 1:
                work[own.AT_HIGH + lane] = min(work[own.AT_HIGH + lane], error)
            better = error < work[own.START_ERROR + lane]
            work[own.START_ERROR + lane] = error if better else work[own.START_ERROR + lane]
            log_k = work[own.LOW + lane] + step * work[own.STEP + lane]
            work[own.START_K + lane] = log_k if better else work[own.START_K + lane]


@routine
def _project(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Give g and its derivatives at each lane's place, the best a there, and how a changes with s where it is bound."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w = at[pt.W + lane]
            s = work[own.TRY_S + lane]
            log_x = at[pt.LOG + lane] - work[own.TRY_K + lane]
            g, rest = _parts(log_x, s)
            at[pt.G + lane] = g
            at[pt.G_K + lane] = g * (1.0 - s * rest)
            at[pt.G_S + lane] = g * (log_x * rest)
            work[head.T0 + lane] += w * g * g
            work[head.T1 + lane] += w * g * (at[pt.Y + lane] + work[head.MEAN_Y + lane])
            work[head.T2 + lane] += w * g * at[pt.G_K + lane]
            work[head.T3 + lane] += w * g * at[pt.G_S + lane]
    if folded:
        share(work)
    for lane in range(LANES):
        s, gg = work[own.TRY_S + lane], work[head.T0 + lane]
        most = most_amplitude(s)
        a = work[head.T1 + lane] / gg
        bound = a >= most
        over = s - 1.0
        inner = over if over > NEAREST else NEAREST
        work[own.TRY_A + lane] = most if bound else a
        work[own.TRY_SLOPE + lane] = -most * log(inner) / (s * s) if bound else 0.0
        work[own.N0 + lane] = gg
        work[own.M1 + lane] = work[head.T2 + lane] / gg
        work[own.M2 + lane] = work[head.T3 + lane] / gg
        # what a projects out of the derivatives: nothing where its bound holds it
        work[own.N1 + lane] = 0.0 if bound else work[own.M1 + lane]
        work[own.N2 + lane] = 0.0 if bound else work[own.M2 + lane]


@routine
def _residuals(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Sums of squared residuals, of their products with the derivatives, and of those among themselves."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w = at[pt.W + lane]
            a, g = work[own.TRY_A + lane], at[pt.G + lane]
            residual = (at[pt.Y + lane] + work[head.MEAN_Y + lane]) - a * g
            by_k = a * (at[pt.G_K + lane] - work[own.N1 + lane] * g)
            by_s = a * (at[pt.G_S + lane] - work[own.N2 + lane] * g) + work[own.TRY_SLOPE + lane] * g
            work[head.T0 + lane] += w * residual * residual
            work[head.T1 + lane] += w * residual * by_k
            work[head.T2 + lane] += w * residual * by_s
            work[head.T3 + lane] += w * by_k * by_k
            work[head.T4 + lane] += w * by_k * by_s
            work[head.T5 + lane] += w * by_s * by_s
    if folded:
        share(work)


@routine
def _descend(work: Floats, points: Floats, rows: int, folded: bool, s: float) -> None:
    """Go down from the best K of one s, and keep what is better than all before."""
    for lane in range(LANES):
        enough = (work[head.DISTINCT + lane] >= 3.0) & (work[head.FLAT + lane] == 0.0)
        work[own.ACTIVE + lane] = 1.0 if enough else 0.0
        work[own.TRY_K + lane], work[own.TRY_S + lane] = work[own.START_K + lane], s
        work[own.LOG_K + lane], work[own.S + lane] = work[own.START_K + lane], s
        work[own.ERROR + lane] = math.inf
        work[own.DAMPING + lane] = FIRST_DAMPING
    steps = 0
    while steps < MOST_STEPS and _any_active(work):
        _project(work, points, rows, folded)
        _residuals(work, points, rows, folded)
        for lane in range(LANES):
            _take(work, lane)
            _aim(work, lane)
        steps += 1
    for lane in range(LANES):
        better = work[own.ERROR + lane] < work[own.BEST_ERROR + lane]
        work[own.BEST_ERROR + lane] = work[own.ERROR + lane] if better else work[own.BEST_ERROR + lane]
        work[own.BEST_K + lane] = work[own.LOG_K + lane] if better else work[own.BEST_K + lane]
        work[own.BEST_S + lane] = work[own.S + lane] if better else work[own.BEST_S + lane]


@helper
def _any_active(work: Floats) -> bool:
    found = False
    for lane in range(LANES):
        found = found | (work[own.ACTIVE + lane] > 0.0)
    return found


@helper
def _take(work: Floats, lane: int) -> None:
    """Take a trial step that lowers the error, with less damping next; otherwise more."""
    active = work[own.ACTIVE + lane] > 0.0
    error, damping = work[head.T0 + lane], work[own.DAMPING + lane]
    better = active & (error < work[own.ERROR + lane])
    if better:
        work[own.LOG_K + lane], work[own.S + lane] = work[own.TRY_K + lane], work[own.TRY_S + lane]
        work[own.ERROR + lane] = error
        work[own.G_K + lane], work[own.G_S + lane] = work[head.T1 + lane], work[head.T2 + lane]
        work[own.H_KK + lane], work[own.H_KS + lane] = work[head.T3 + lane], work[head.T4 + lane]
        work[own.H_SS + lane] = work[head.T5 + lane]
    damping = 0.1 * damping if better else 10.0 * damping
    work[own.DAMPING + lane] = damping if damping > LEAST_DAMPING else LEAST_DAMPING
    work[own.ACTIVE + lane] = 1.0 if active & (damping <= MOST_DAMPING) else 0.0


@helper
def _aim(work: Floats, lane: int) -> None:
    """Set the next trial step, inside the borders; what a border holds back does not move."""
    log_k, s, damping = work[own.LOG_K + lane], work[own.S + lane], work[own.DAMPING + lane]
    low, high = work[own.LOW + lane], work[own.HIGH + lane]
    down_k, down_s = work[own.G_K + lane], work[own.G_S + lane]
    free_k = not (((log_k <= low) & (down_k < 0.0)) | ((log_k >= high) & (down_k > 0.0)))
    free_s = not (((s <= LOWEST) & (down_s < 0.0)) | ((s >= HIGHEST) & (down_s > 0.0)))
    kk = work[own.H_KK + lane] * (1.0 + damping)
    ss = work[own.H_SS + lane] * (1.0 + damping)
    ks = work[own.H_KS + lane] if free_k & free_s else 0.0
    determinant = kk * ss - ks * ks
    sound = determinant > 0.0
    step_k = (down_k * ss - down_s * ks) / determinant if free_k & free_s & sound else down_k / kk
    step_s = (down_s * kk - down_k * ks) / determinant if free_k & free_s & sound else down_s / ss
    step_k = step_k if free_k & (kk > 0.0) else 0.0
    step_s = step_s if free_s & (ss > 0.0) else 0.0
    next_k, next_s = min(max(log_k + step_k, low), high), min(max(s + step_s, LOWEST), HIGHEST)
    moved = (abs(next_k - log_k) > CONVERGED) | (abs(next_s - s) > CONVERGED * s)
    work[own.TRY_K + lane], work[own.TRY_S + lane] = next_k, next_s
    work[own.ACTIVE + lane] = work[own.ACTIVE + lane] if moved else 0.0


@helper
def _orthogonalise(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Make the derivatives at the best place orthogonal to g and to each other, in place, with their norms."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w, g = at[pt.W + lane], at[pt.G + lane]
            at[pt.G_K + lane] -= work[own.M1 + lane] * g
            at[pt.G_S + lane] -= work[own.M2 + lane] * g
            work[head.T0 + lane] += w * at[pt.G_K + lane] * at[pt.G_K + lane]
            work[head.T1 + lane] += w * at[pt.G_K + lane] * at[pt.G_S + lane]
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.N1 + lane] = work[head.T0 + lane]
        work[own.RATIO + lane] = work[head.T1 + lane] / work[head.T0 + lane]
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            at[pt.G_S + lane] -= work[own.RATIO + lane] * at[pt.G_K + lane]
            work[head.T0 + lane] += at[pt.W + lane] * at[pt.G_S + lane] * at[pt.G_S + lane]
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.N2 + lane] = work[head.T0 + lane]


@helper
def status(work: Floats, lane: int) -> int:
    """How the fit ended, given enough distinct capitals: no curve of this family is level, but at 0."""
    return fit_status.DEGENERATE if work[head.FLAT + lane] > 0.0 else int(work[own.STATUS + lane])


@helper
def is_determined(work: Floats, lane: int) -> bool:
    """Whether rounding leaves anything of the basis."""
    return work[own.N1 + lane] > 0.0 and work[own.N2 + lane] > 0.0


@helper
def squared_error(work: Floats, lane: int) -> float:
    """Sum of squared residuals."""
    return work[own.SSE + lane]


@helper
def level(work: Floats, lane: int) -> tuple[float, float]:
    """Efficiencies are not centred: their mean comes back, and f₀ has the coefficient a."""
    return -work[head.MEAN_Y + lane], work[own.A + lane]


@helper
def norms(work: Floats, lane: int) -> tuple[float, float, float]:
    """Squared norms of the orthogonal basis."""
    return work[own.N0 + lane], work[own.N1 + lane], work[own.N2 + lane]


@helper
def basis_at(points: Floats, at: int) -> tuple[float, float, float]:
    """Orthogonal basis at a point."""
    return points[at + pt.G], points[at + pt.G_K], points[at + pt.G_S]


@helper
def write(work: Floats, lane: int, params: Floats, root: Floats) -> None:
    """Write a, K and s."""
    params[k.A] = work[own.A + lane]
    params[k.B] = work[head.SMALLEST + lane] * exp(work[own.BEST_K + lane])
    params[k.C] = work[own.BEST_S + lane]
    root[r.M1] = work[own.M1 + lane]
    root[r.I1] = inverse_root(work[own.N1 + lane])
    root[r.M2] = work[own.M2 + lane]
    root[r.K] = work[own.RATIO + lane]
    root[r.I2] = inverse_root(work[own.N2 + lane])


@helper
def write_covariance(params: Floats, root: Floats, variance: float, out: Floats) -> None:
    """Covariance of the coefficients: a belongs to f₀, a·d(ln K) to f₁, a·ds to f₂."""
    first, second, between, first_c, second_c, constant = normal.of_three(root, variance)
    by_s = 1.0 / params[k.A]
    by_k = params[k.B] * by_s
    out[v.AA], out[v.BB], out[v.CC] = constant, first * by_k * by_k, second * by_s * by_s
    out[v.AB] = out[v.BA] = first_c * by_k
    out[v.AC] = out[v.CA] = second_c * by_s
    out[v.BC] = out[v.CB] = between * by_k * by_s
