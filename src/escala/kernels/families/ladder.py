"""Ladder: utility rises in straight steps that get flatter, U′ = s_j on (κ_j, κ_{j+1}], 1 ≥ s_0 ≥ s_1 ≥ … ≥ 0.

An order book is one, a level a step. What a ladder consists of lies in an array beside the coefficients: at the place d
begin three rows of c numbers, knots κ (κ_0 = 0), slopes s and utilities U(κ). U(C) = a·b·L(C/b), L being the utility of
those steps: a is a factor of its level and b one of its depth, both 1 unless they are drawn.
"""

from __future__ import annotations

import math

from escala.kernels.families.params import Params
from escala.kernels.fitting import ladder as fits
from escala.kernels.fitting.ladder_residuals import write_neumann
from escala.kernels.fitting.ladder_rows import MOST_KNOTS
from escala.kernels.fitting.rows import LADDER, head, own_rows
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import LEAST_CAPITALS, LEAST_FOR_AUTO, ROOT, families, fit_status
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import covariance as v
from escala.kernels.layout import fit_stats as f
from escala.kernels.layout import ladder_step as step
from escala.kernels.layout import root as r

ROUNDING = 1e-9
#: Most steps that a fit gives.
MOST_STEPS = MOST_KNOTS
#: Rounding errors below which residuals follow no pattern.
NO_PATTERN = 64.0

own = own_rows(
    families.LADDER,
    "status", "size", "steps", "sse", "absolute", "worst", "i0", "m1", "i1",
    "squares", "neumann", "neumann_mean", "neumann_variance",
    "no_knots", "root",  # for a moment, whatever the lane
)  # fmt: skip


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
    return within(at == int(p[k.D]), steps[at], slope, steps[at + step.UTILITY * count], u), slope


@helper
def within(first: bool, knot: float, slope: float, utility: float, u: float) -> float:
    """η in a step that begins at a knot; in the first one it is the slope, at 0 too."""
    inside = (u - knot) * slope
    whole = utility + inside
    return slope if first else whole / u


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
    """Give what slopes and knots are multiplied by, and no range of slopes: that of a domain is its envelope's."""
    return weight * p[k.A], p[k.B], 0.0, 0.0


@routine
def steps_above(steps: Floats, first: int, last: int, scale: float, offset: float, price: float) -> int:
    """Place of the first slope, less an offset, among [first, last) that is not above a price; `last` where all are.

    The difference is what is compared, for it is a price too: at that price to the bit the step is open.
    """
    at = first
    left = last - first
    while left > 1:
        half = left >> 1
        at = at + half if scale * steps[at + half - 1] - offset > price else at
        left -= half
    return at + 1 if (left > 0) and scale * steps[at] - offset > price else at


@routine
def steps_not_below(steps: Floats, first: int, last: int, scale: float, offset: float, price: float) -> int:
    """Place of the first slope, less an offset, among [first, last) that is below a price; `last` where none is."""
    at = first
    left = last - first
    while left > 1:
        half = left >> 1
        at = at + half if scale * steps[at + half - 1] - offset >= price else at
        left -= half
    return at + 1 if (left > 0) and scale * steps[at] - offset >= price else at


@helper
def steps_above_near(steps: Floats, first: int, last: int, scale: float, offset: float, price: float, hint: int) -> int:
    """The place of :func:`steps_above`, looked for at a hint and beside it first."""
    at = min(max(hint, first), last)
    if at < last and scale * steps[at] - offset > price:
        at += 1
        return (
            steps_above(steps, at, last, scale, offset, price)
            if at < last and scale * steps[at] - offset > price
            else at
        )
    if at > first and not scale * steps[at - 1] - offset > price:
        at -= 1
        return (
            steps_above(steps, first, at, scale, offset, price)
            if at > first and not scale * steps[at - 1] - offset > price
            else at
        )
    return at


@routine
def same_steps(p: Params, q: Params, steps: Floats) -> bool:
    """Whether two ladders of equally many steps have the same ones."""
    first, other = int(p[k.D]), int(q[k.D])
    same = True
    for j in range((step.SLOPE + 1) * int(p[k.C])):
        same &= steps[first + j] == steps[other + j]
    return same


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


# --- fit: one instrument at a time, see escala.kernels.fitting.ladder -------------------------------------------------


def fit_steps(choice: int, n: int) -> int:
    """How many numbers the steps that n records of an instrument may give have: 0 where no ladder can come out."""
    considered = choice == families.AUTO and n >= LEAST_FOR_AUTO[families.LADDER]
    return step.END * min(MOST_STEPS, n + 1) if considered or choice == families.LADDER else 0


@helper
def is_wanted(choice: int, work: Floats, lane: int) -> bool:
    """Whether a wish may end with a ladder."""
    least = LEAST_FOR_AUTO[families.LADDER] if choice == families.AUTO else LEAST_CAPITALS[families.LADDER]
    return (choice in (families.AUTO, families.LADDER)) and work[head.DISTINCT + lane] >= least


@routine
def fit_stage(work: Floats, lane: int, points: Floats, n: int, stats: Floats, steps: Floats) -> None:
    """Fit to n points in order of capital, and keep what follows from it; without room for the steps there is no fit.

    `points` has 3·n numbers, `stats` is room for the statistics of a fit.
    """
    work[own.STATUS + lane] = fit_status.DEGENERATE
    work[own.SIZE + lane] = work[own.STEPS + lane] = 0.0
    if steps.size < step.END * min(MOST_STEPS, n + 1):
        return
    fitted = work[LADDER:]
    work[own.NO_KNOTS] = 0.0
    status = fits.fit(points, n, work[own.NO_KNOTS : own.NO_KNOTS + 1], fitted)
    work[own.STATUS + lane] = status
    if status not in (fit_status.OK, fit_status.CONSTANT):
        return
    fits.write_steps(fitted, steps)
    root = work[own.ROOT : own.ROOT + ROOT]
    fits.write_root(points, n, fitted, root)
    work[own.I0 + lane], work[own.M1 + lane], work[own.I1 + lane] = root[r.I0], root[r.M1], root[r.I1]
    work[own.SIZE + lane] = fits.size(fitted)
    work[own.STEPS + lane] = fits.count_steps(fitted)
    work[own.SSE + lane] = fits.squared_error(fitted)
    work[own.ABSOLUTE + lane], work[own.WORST + lane] = fits.distances(points, n, fitted)
    work[own.SQUARES + lane] = write_neumann(points, n, fitted, stats)
    work[own.NEUMANN + lane] = stats[f.NEUMANN]
    work[own.NEUMANN_MEAN + lane] = stats[f.NEUMANN_MEAN]
    work[own.NEUMANN_VARIANCE + lane] = stats[f.NEUMANN_VARIANCE]


@helper
def status(work: Floats, lane: int) -> int:
    """How the fit ended, given enough distinct capitals."""
    return int(work[own.STATUS + lane])


@helper
def count(work: Floats, lane: int) -> float:
    """How many slopes were fitted: those that differ from the next."""
    return work[own.SIZE + lane]


@helper
def count_steps(work: Floats, lane: int) -> int:
    """How many steps were written."""
    return int(work[own.STEPS + lane])


@helper
def squared_error(work: Floats, lane: int) -> float:
    """Sum of squared residuals."""
    return work[own.SSE + lane]


@helper
def write(work: Floats, lane: int, params: Floats, root: Floats) -> None:
    """Write the coefficients of a ladder that is as it was fitted, and the inverse root."""
    params[k.A] = params[k.B] = 1.0
    params[k.C] = work[own.STEPS + lane]
    root[r.I0], root[r.M1], root[r.I1] = work[own.I0 + lane], work[own.M1 + lane], work[own.I1 + lane]


@helper
def write_residuals(work: Floats, lane: int, floor: float, stats: Floats) -> None:
    """What was kept of the residuals; `floor` is the squared error that rounding alone may leave."""
    stats[f.MEAN_ERROR] = work[own.ABSOLUTE + lane] / work[head.WEIGHT + lane]
    stats[f.MAX_ERROR] = work[own.WORST + lane]
    stats[f.NEUMANN] = work[own.NEUMANN + lane]
    stats[f.NEUMANN_MEAN] = work[own.NEUMANN_MEAN + lane]
    stats[f.NEUMANN_VARIANCE] = work[own.NEUMANN_VARIANCE + lane]
    if work[own.SQUARES + lane] <= NO_PATTERN * floor and not math.isnan(stats[f.NEUMANN]):
        stats[f.NEUMANN] = math.inf


@helper
def write_covariance(params: Floats, root: Floats, variance: float, out: Floats) -> None:  # noqa: ARG001
    """Covariance of a, that of f₀, and of b, that of f₁ where it is 1."""
    a0, a1, b1 = root[r.I0], -root[r.I1] * root[r.M1], root[r.I1]
    out[v.AA] = variance * (a0 * a0 + a1 * a1)
    out[v.AB] = out[v.BA] = variance * a1 * b1
    out[v.BB] = variance * b1 * b1
