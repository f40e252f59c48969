"""Depth: η = a·(1 + (C/D)^h)^(−1/h): utility rises with slope a and goes flat at a·D, with a knee of sharpness h.

D is b and h is c of the coefficients. h = 1 is the pool of constant product, or Michaelis and Menten; the larger h is,
the sharper the knee. Utility is concave and never falls, efficiency is highest at 0, where it is a. With t = (C/D)^h,
U′ = a·(1 + t)^(−1 − 1/h). t itself overflows, so everything is computed from ln t = h·ln(C/D).

The fit is separable: for D and h the best a is linear, at most 1, so that only (ln D, ln h) is searched: first along
the lowest error of each of eleven sharpnesses (:mod:`escala.kernels.fitting.depth_profile`), then downhill from the
lowest of these (:mod:`escala.kernels.fitting.depth_descent`).
"""

from __future__ import annotations

import math

from escala.kernels.families import covariance as normal
from escala.kernels.families.depth_parts import nearer, parts
from escala.kernels.families.params import Params
from escala.kernels.families.shapes import CONCAVE
from escala.kernels.fitting.depth_descent import descend, polish
from escala.kernels.fitting.depth_profile import draw_profile, find_knee
from escala.kernels.fitting.depth_rows import FAR_OUT, LOG_SHARPEST, LOG_SOFTEST, SHARPEST, SOFTEST, own
from escala.kernels.fitting.moments import inverse_root, line_status, share, zero
from escala.kernels.fitting.rows import LANES, POINT, head, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import covariance as v
from escala.kernels.layout import fit_status
from escala.kernels.layout import root as r
from escala.kernels.special import exp, expm1, log, log1p

BELOW_CONSTANT = 1e-9  # by which relative amount the error must be below that of the mean
NEAREST = 1e-300  # instead of 0 where a logarithm is taken
MOST_EXPONENT = 600.0
WHOLE = 40.0  # beyond, e^x − 1 is e^x


@helper
def _at(p: Params, x: float) -> tuple[float, float, float, float, float]:
    """The same at a capital, and ln(C/D), which is 0 at 0."""
    ratio = x / p[k.B]
    inside = ratio > NEAREST
    log_x = log(ratio if inside else 1.0)
    g, rest, turn, bend = parts(log_x, p[k.C], 1.0 / p[k.C])
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
    return g, g * (1.0 - rest), g * (bend + abs(log_x) * nearer(rest))


@helper
def marginal_basis(p: Params, origin: float, x: float) -> tuple[float, float, float]:  # noqa: ARG001
    """d(C·f)/dC of the basis."""
    h = p[k.C]
    g, rest, _, bend, log_x = _at(p, x)
    both = g * rest
    filled = 1.0 - rest
    change = bend + abs(log_x) * nearer(rest) - h * (filled * log_x)
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


# --- fit --------------------------------------------------------------------------------------------------------------


@helper
def fit_stage(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """The curve of least squared error."""
    for lane in range(LANES):
        work[own.TOP + lane] = log(work[head.LARGEST + lane] / work[head.SMALLEST + lane])
    find_knee(work, points, rows, folded)
    draw_profile(work, points, rows, folded)
    descend(work, points, rows, folded)
    polish(work, points, rows, folded)
    for lane in range(LANES):
        error, log_d = work[head.T0 + lane], work[own.TRY_D + lane]
        found = (log_d <= work[own.TOP + lane] + FAR_OUT) & (error < work[head.SYY + lane] * (1.0 - BELOW_CONSTANT))
        work[own.SSE + lane] = error
        work[own.STATUS + lane] = fit_status.OK if found else fit_status.DEGENERATE
    _orthogonalise(work, points, rows, folded)


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
