"""What kernels ask of a curve of any family: one function a question, one explicit branch a family.

A function whose answer is the same for most families ends with it, and has branches only for the others. Where `family`
is a constant, the branch is decided when the caller is compiled: loops over arrays are written once, as a driver that
is inlined, and called with the constant.
"""

from __future__ import annotations

import math

from escala.kernels.families import depth, exponential, hill, ladder, linear, power, quadratic, sqrt
from escala.kernels.families.params import Params, of_row
from escala.kernels.families.shapes import CONCAVE
from escala.kernels.fitting.moments import prepare_logarithms
from escala.kernels.fitting.rows import EDGE, head
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import CHOICES, COUNTS, LEAST_CAPITALS, RISING
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import families as f
from escala.kernels.layout import fit_status as st

# --- curves -----------------------------------------------------------------------------------------------------------


@helper
def value(family: int, p: Params, origin: float, steps: Floats, x: float) -> float:
    """η without clipping."""
    if family == f.LINEAR:
        return linear.value(p, origin, x)
    if family == f.QUADRATIC:
        return quadratic.value(p, origin, x)
    if family == f.SQRT:
        return sqrt.value(p, origin, x)
    if family == f.LADDER:
        return ladder.value(p, steps, x)
    if family == f.HILL:
        return hill.value(p, origin, x)
    if family == f.DEPTH:
        return depth.value(p, origin, x)
    if family == f.POWER:
        return power.value(p, origin, x)
    return exponential.value(p, origin, x)


@helper
def marginal(family: int, p: Params, origin: float, steps: Floats, x: float) -> float:
    """d(C·η)/dC without clipping."""
    if family == f.LINEAR:
        return linear.marginal(p, origin, x)
    if family == f.QUADRATIC:
        return quadratic.marginal(p, origin, x)
    if family == f.SQRT:
        return sqrt.marginal(p, origin, x)
    if family == f.LADDER:
        return ladder.marginal(p, steps, x)
    if family == f.HILL:
        return hill.marginal(p, origin, x)
    if family == f.DEPTH:
        return depth.marginal(p, origin, x)
    if family == f.POWER:
        return power.marginal(p, origin, x)
    return exponential.marginal(p, origin, x)


@helper
def value_and_marginal(family: int, p: Params, origin: float, steps: Floats, x: float) -> tuple[float, float]:
    """Both, where they have a costly part in common."""
    if family == f.EXPONENTIAL:
        return exponential.value_and_marginal(p, origin, x)
    if family == f.LADDER:
        return ladder.value_and_marginal(p, steps, x)
    if family == f.HILL:
        return hill.value_and_marginal(p, origin, x)
    if family == f.DEPTH:
        return depth.value_and_marginal(p, origin, x)
    if family == f.POWER:
        return power.value_and_marginal(p, origin, x)
    return value(family, p, origin, steps, x), marginal(family, p, origin, steps, x)


@helper
def curvature(family: int, p: Params, origin: float, x: float) -> float:
    """d²(C·η)/dC² without clipping, for x > 0."""
    if family == f.LINEAR:
        return linear.curvature(p, origin, x)
    if family == f.QUADRATIC:
        return quadratic.curvature(p, origin, x)
    if family == f.SQRT:
        return sqrt.curvature(p, origin, x)
    if family == f.LADDER:
        return 0.0
    if family == f.HILL:
        return hill.curvature(p, origin, x)
    if family == f.DEPTH:
        return depth.curvature(p, origin, x)
    if family == f.POWER:
        return power.curvature(p, origin, x)
    return exponential.curvature(p, origin, x)


@helper
def basis(family: int, p: Params, origin: float, steps: Floats, x: float) -> tuple[float, float, float]:
    """f₀, f₁, f₂: the functions that η is, to first order, a sum of."""
    if family == f.LINEAR:
        return linear.basis(p, origin, x)
    if family == f.QUADRATIC:
        return quadratic.basis(p, origin, x)
    if family == f.SQRT:
        return sqrt.basis(p, origin, x)
    if family == f.LADDER:
        return ladder.basis(p, steps, x)
    if family == f.HILL:
        return hill.basis(p, origin, x)
    if family == f.DEPTH:
        return depth.basis(p, origin, x)
    if family == f.POWER:
        return power.basis(p, origin, x)
    return exponential.basis(p, origin, x)


@helper
def value_and_basis(
    family: int, p: Params, origin: float, steps: Floats, x: float
) -> tuple[float, float, float, float]:  # fmt: skip
    """η and the basis; where η is a sum of it, for one evaluation."""
    f0, f1, f2 = basis(family, p, origin, steps, x)
    if family == f.DEPTH:
        return p[k.A] * f0, f0, f1, f2
    if family == f.POWER:
        return p[k.A] - p[k.B] * f1, f0, f1, f2
    return value(family, p, origin, steps, x), f0, f1, f2


@helper
def marginal_basis(family: int, p: Params, origin: float, steps: Floats, x: float) -> tuple[float, float, float]:
    """d(C·f)/dC of the basis."""
    if family == f.LINEAR:
        return linear.marginal_basis(p, origin, x)
    if family == f.QUADRATIC:
        return quadratic.marginal_basis(p, origin, x)
    if family == f.SQRT:
        return sqrt.marginal_basis(p, origin, x)
    if family == f.LADDER:
        return ladder.marginal_basis(p, steps, x)
    if family == f.HILL:
        return hill.marginal_basis(p, origin, x)
    if family == f.DEPTH:
        return depth.marginal_basis(p, origin, x)
    if family == f.POWER:
        return power.marginal_basis(p, origin, x)
    return exponential.marginal_basis(p, origin, x)


@helper
def is_allowed(family: int, p: Params, steps: Floats) -> bool:
    """Whether coefficients that are each in their range are allowed together."""
    if family == f.LADDER:
        return ladder.is_allowed(p, steps)
    if family == f.HILL:
        return hill.is_allowed(p)
    return True


@helper
def is_level(family: int, p: Params, steps: Floats) -> bool:
    """Whether efficiency is the same everywhere."""
    if family == f.LINEAR:
        return linear.is_level(p)
    if family == f.QUADRATIC:
        return quadratic.is_level(p)
    if family == f.SQRT:
        return sqrt.is_level(p)
    if family == f.LADDER:
        return ladder.is_level(p, steps)
    if family == f.HILL:
        return hill.is_level(p)
    if family == f.DEPTH:
        return depth.is_level(p)
    if family == f.POWER:
        return power.is_level(p)
    return exponential.is_level(p)


@routine
def crossings(family: int, p: Params, origin: float, steps: Floats, y: float) -> tuple[float, float]:
    """Where η falls through y, and where it rises through y; inf where it never does, negative if before 0."""
    if family == f.LINEAR:
        return linear.crossings(p, origin, y)
    if family == f.QUADRATIC:
        return quadratic.crossings(p, origin, y)
    if family == f.SQRT:
        return sqrt.crossings(p, origin, y)
    if family == f.LADDER:
        return ladder.crossings(p, steps, y)
    if family == f.HILL:
        return hill.crossings(p, origin, y)
    if family == f.DEPTH:
        return depth.crossings(p, origin, y)
    if family == f.POWER:
        return power.crossings(p, origin, y)
    return exponential.crossings(p, origin, y)


@helper
def peak(family: int, p: Params, origin: float) -> float:
    """Where η has a maximum, other than at an end; inf if nowhere."""
    if family == f.QUADRATIC:
        return quadratic.peak(p, origin)
    if family == f.HILL:
        return hill.peak(p, origin)
    return math.inf


@routine
def stationary(family: int, p: Params, origin: float) -> float:
    """Where C·η turns from rising to falling; inf if nowhere."""
    if family == f.LINEAR:
        return linear.stationary(p, origin)
    if family == f.QUADRATIC:
        return quadratic.stationary(p, origin)
    if family == f.SQRT:
        return sqrt.stationary(p, origin)
    if (family == f.LADDER) | (family == f.HILL) | (family == f.DEPTH):
        return math.inf
    if family == f.POWER:
        return power.stationary(p, origin)
    return exponential.stationary(p, origin)


@helper
def ceiling(family: int, p: Params, steps: Floats) -> float:
    """The most that C·η can be, of families where it never falls; NaN of the others."""
    if family == f.LADDER:
        return ladder.ceiling(p, steps)
    if (family == f.HILL) | (family == f.DEPTH):
        return p[k.A] * p[k.B] if p[k.A] > 0.0 else 0.0  # that is U as the capital grows
    return math.nan


@routine
def rises_again(family: int, p: Params, origin: float, begin: float, end: float) -> bool:
    """Whether η or U fall and rise again between two capitals, as utility does in no market."""
    if family == f.QUADRATIC:
        return quadratic.rises_again(p, origin, begin, end)
    return exponential.rises_again(p, origin, end) if family == f.EXPONENTIAL else False


# --- envelopes of allocations -----------------------------------------------------------------------------------------


@helper
def kind_of(family: int, p: Params) -> int:
    """Kind of a curve: its family, but exponentials that rise are apart."""
    return RISING if (family == f.EXPONENTIAL) & (p[k.A] < 0.0) else family


@helper
def family_of(kind: int) -> int:
    """Family of a kind."""
    return f.EXPONENTIAL if kind == RISING else kind


@helper
def may_fall(family: int) -> bool:
    """Whether utility can fall with capital."""
    return (family != f.HILL) & (family != f.LADDER) & (family != f.DEPTH)


@helper
def may_exceed_one(family: int) -> bool:
    """Whether efficiency, without clipping, can be above 1."""
    return not ((family == f.HILL) | (family == f.LADDER) | (family == f.DEPTH) | (family == f.POWER))


@helper
def shape(family: int, p: Params) -> int:
    """How utility bends: see :mod:`escala.kernels.families.shapes`."""
    if family == f.LINEAR:
        return linear.shape(p)
    if family == f.QUADRATIC:
        return quadratic.shape(p)
    if family == f.SQRT:
        return sqrt.shape(p)
    if family == f.LADDER:
        return CONCAVE
    if family == f.HILL:
        return hill.shape(p)
    if family == f.DEPTH:
        return depth.shape(p)
    if family == f.POWER:
        return power.shape(p)
    return exponential.shape(p)


@helper
def inflection(family: int, p: Params, origin: float) -> float:
    """Where utility changes between concave and convex; inf where it does not."""
    if family == f.QUADRATIC:
        return quadratic.inflection(p, origin)
    if family == f.EXPONENTIAL:
        return exponential.inflection(p)
    if family == f.HILL:
        return hill.inflection(p)
    return math.inf


@routine
def tangent_from_high(family: int, p: Params, origin: float, high: float, turn: float) -> float:
    """Where the line from utility at `high`, in the convex part, touches the concave part before `turn`."""
    if family == f.QUADRATIC:
        return quadratic.tangent_from_high(p, origin, high, turn)
    return exponential.tangent_from_high(p, high)


@routine
def tangent_from_low(family: int, p: Params, origin: float, low: float, turn: float, end: float) -> float:
    """Where the line from utility at `low`, in the convex part, touches the concave part after `turn`; or `end`."""
    if turn >= end:
        return end
    if family == f.QUADRATIC:
        return quadratic.tangent_from_low(p, origin, low, turn, end)
    if family == f.HILL:
        return hill.tangent_from_low(p, low, turn, end)
    return exponential.tangent_from_low(p, low, end)


@helper
def answer_terms(family: int, p: Params, origin: float, weight: float) -> tuple[float, float, float, float]:
    """Numbers that :func:`best` needs of a curve with a positive weight."""
    if family == f.LINEAR:
        return linear.answer_terms(p, origin, weight)
    if family == f.QUADRATIC:
        return quadratic.answer_terms(p, origin, weight)
    if family == f.SQRT:
        return sqrt.answer_terms(p, origin, weight)
    if family == f.HILL:
        return hill.answer_terms(p, origin, weight)
    if family == f.LADDER:
        return ladder.answer_terms(p, weight)
    if family == f.DEPTH:
        return depth.answer_terms(p, origin, weight)
    if family == f.POWER:
        return power.answer_terms(p, origin, weight)
    return exponential.answer_terms(p, origin, weight)


@helper
def idle_terms(family: int) -> tuple[float, float, float, float]:
    """The same of a curve without weight: its answer is not used, but divides by no zero."""
    if family == f.QUADRATIC:
        return 0.0, 1.0, 0.0, 0.0
    if family == f.DEPTH:
        return 0.0, 1.0, 1.0, 0.0
    return 0.0, 0.0, 0.0, 0.0


@helper
def best(
    kind: int, k0: float, k1: float, k2: float, k3: float, origin: float, price: float
) -> tuple[float, float]:  # fmt: skip
    """Where w·U − price·C is stationary on the concave arc, and its change with the price."""
    if kind == f.LINEAR:
        return linear.best(k0, k1, k2, k3, origin, price)
    if kind == f.QUADRATIC:
        return quadratic.best(k0, k1, k2, k3, origin, price)
    if kind == f.SQRT:
        return sqrt.best(k0, k1, k2, k3, origin, price)
    if kind == f.EXPONENTIAL:
        return exponential.best(k0, k1, k2, k3, origin, price)
    if kind == f.HILL:
        return hill.best(k0, k1, k2, k3, origin, price)
    if kind == f.DEPTH:
        return depth.best(k0, k1, k2, k3, origin, price)
    if kind == f.POWER:
        return power.best(k0, k1, k2, k3, origin, price)
    return exponential.best_rising(k0, k1, k2, k3, origin, price)


@helper
def sized(family: int, p: Params, origin: float, steps: Floats, x: float) -> tuple[float, float]:
    """η without clipping, and what its terms add up to without their signs."""
    if family == f.LINEAR:
        return linear.sized(p, origin, x)
    if family == f.QUADRATIC:
        return quadratic.sized(p, origin, x)
    if family == f.SQRT:
        return sqrt.sized(p, origin, x)
    if family == f.LADDER:
        return ladder.sized(p, steps, x)
    if family == f.HILL:
        return hill.sized(p, origin, x)
    if family == f.DEPTH:
        return depth.sized(p, origin, x)
    if family == f.POWER:
        return power.sized(p, origin, x)
    return exponential.sized(p, origin, x)


# --- fits: the workspace is that of escala.kernels.fitting.rows -------------------------------------------------------


@helper
def stages(choice: int) -> int:
    """Which families a wish may end with: a bit each."""
    if choice != f.AUTO:
        return 1 << choice
    found = 0
    for family in CHOICES:
        found |= 1 << family
    return found


@helper
def prepare(wanted: int, work: Floats, points: Floats, rows: int) -> None:
    """Compute what families keep of every capital, before capitals are scaled."""
    if wanted & (1 << f.SQRT):
        sqrt.prepare(work, points, rows)
    if wanted & (1 << f.HILL | 1 << f.DEPTH | 1 << f.POWER):
        prepare_logarithms(work, points, rows)


@helper
def fit_stages(wanted: int, work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Fit the families wanted; lines have been fitted."""
    if wanted & (1 << f.LINEAR):
        linear.fit_stage(work, points, rows, folded)
    if wanted & (1 << f.QUADRATIC):
        quadratic.fit_stage(work, points, rows, folded)
    if wanted & (1 << f.SQRT):
        sqrt.fit_stage(work, points, rows, folded)
    if wanted & (1 << f.EXPONENTIAL):
        exponential.fit_stage(work, points, rows, folded)
    if wanted & (1 << f.HILL):
        hill.fit_stage(work, points, rows, folded)
    if wanted & (1 << f.DEPTH):
        depth.fit_stage(work, points, rows, folded)
    if wanted & (1 << f.POWER):
        power.fit_stage(work, points, rows, folded)


@helper
def status(family: int, work: Floats, lane: int) -> int:
    """How the fit ended."""
    if work[head.DISTINCT + lane] < LEAST_CAPITALS[family]:
        return st.TOO_FEW_POINTS
    if family == f.LINEAR:
        return linear.status(work, lane)
    if family == f.QUADRATIC:
        return quadratic.status(work, lane)
    if family == f.SQRT:
        return sqrt.status(work, lane)
    if family == f.HILL:
        return hill.status(work, lane)
    if family == f.DEPTH:
        return depth.status(work, lane)
    if family == f.POWER:
        return power.status(work, lane)
    if family == f.LADDER:
        return ladder.status(work, lane)
    return exponential.status(work, lane)


@helper
def count(family: int, work: Floats, lane: int) -> float:
    """How many coefficients the fit found."""
    return ladder.count(work, lane) if family == f.LADDER else COUNTS[family]


@helper
def is_determined(family: int, work: Floats, lane: int) -> bool:
    """Whether a fit that was chosen has errors of its coefficients."""
    if family == f.EXPONENTIAL:
        return exponential.is_determined(work, lane)
    if family == f.HILL:
        return hill.is_determined(work, lane)
    return True


@helper
def squared_error(family: int, work: Floats, lane: int) -> float:
    """Sum of squared residuals."""
    if work[head.FLAT + lane] > 0.0:
        return 0.0
    if family == f.LINEAR:
        return linear.squared_error(work, lane)
    if family == f.QUADRATIC:
        return quadratic.squared_error(work, lane)
    if family == f.SQRT:
        return sqrt.squared_error(work, lane)
    if family == f.HILL:
        return hill.squared_error(work, lane)
    if family == f.DEPTH:
        return depth.squared_error(work, lane)
    if family == f.POWER:
        return power.squared_error(work, lane)
    if family == f.LADDER:
        return ladder.squared_error(work, lane)
    return exponential.squared_error(work, lane)


@helper
def solution(family: int, work: Floats, lane: int) -> tuple[float, float]:
    """Coefficients of the orthogonal f₁, f₂."""
    if work[head.FLAT + lane] > 0.0:
        return 0.0, 0.0
    if family == f.LINEAR:
        return linear.solution(work, lane)
    if family == f.QUADRATIC:
        return quadratic.solution(work, lane)
    if family == f.SQRT:
        return sqrt.solution(work, lane)
    if (family == f.HILL) | (family == f.DEPTH) | (family == f.LADDER):
        return 0.0, 0.0
    if family == f.POWER:
        return power.solution(work, lane)
    return exponential.solution(work, lane)


@helper
def level(family: int, work: Floats, lane: int) -> tuple[float, float]:
    """What to take from the centred efficiencies, and the coefficient that f₀ has beside what centring took."""
    if family == f.LINEAR:
        return linear.level(work, lane)
    if family == f.SQRT:
        return sqrt.level(work, lane)
    if family == f.HILL:
        return hill.level(work, lane)
    if family == f.DEPTH:
        return depth.level(work, lane)
    if family == f.POWER:
        return power.level(work, lane)
    return 0.0, 0.0


@helper
def norms(family: int, work: Floats, lane: int) -> tuple[float, float, float]:
    """Squared norms of the orthogonal basis; 0 for a function that is not there."""
    if family == f.LINEAR:
        return linear.norms(work, lane)
    if family == f.QUADRATIC:
        return quadratic.norms(work, lane)
    if family == f.SQRT:
        return sqrt.norms(work, lane)
    if family == f.HILL:
        return hill.norms(work, lane)
    if family == f.DEPTH:
        return depth.norms(work, lane)
    if family == f.POWER:
        return power.norms(work, lane)
    if family == f.LADDER:
        return 0.0, 0.0, 0.0  # it follows its residuals by itself
    return exponential.norms(work, lane)


@helper
def _either(
    first: bool, one: tuple[float, float, float], other: tuple[float, float, float]
) -> tuple[float, float, float]:  # fmt: skip
    return one[0] if first else other[0], one[1] if first else other[1], one[2] if first else other[2]


@helper
def has_constant(wanted: int) -> bool:
    """Whether f₀ is 1 in all families wanted and no bound holds its coefficient, so that centring took it."""
    return not wanted & (1 << f.HILL | 1 << f.DEPTH | 1 << f.POWER)


@helper
def basis_at(
    family: float, constant: bool, work: Floats, points: Floats, at: int, lane: int
) -> tuple[float, float, float]:  # fmt: skip
    """Orthogonal basis at a point. All are computed and one is selected, so that lanes run side by side."""
    found = linear.basis_at(work, points, at, lane)
    found = _either(family == f.QUADRATIC, quadratic.basis_at(work, points, at, lane), found)
    found = _either(family == f.SQRT, sqrt.basis_at(work, points, at, lane), found)
    found = _either(family == f.EXPONENTIAL, exponential.basis_at(work, points, at, lane), found)
    if constant:
        return found
    found = _either(family == f.DEPTH, depth.basis_at(points, at), found)
    found = _either(family == f.POWER, power.basis_at(points, at), found)
    return _either(family == f.HILL, hill.basis_at(points, at), found)


@helper
def write(family: int, work: Floats, lane: int, params: Floats, origin: Floats, root: Floats) -> float:
    """Turn the solution into coefficients over capital; returns where trust in the curve ends."""
    c1, c2 = solution(family, work, lane)
    trusted_to = 2.0 * work[head.LARGEST + lane]
    if family == f.LINEAR:
        linear.write(work, lane, c1, params, root)
    elif family == f.QUADRATIC:
        quadratic.write(work, lane, c1, c2, params, origin, root)
    elif family == f.SQRT:
        sqrt.write(work, lane, c1, params, root)
    elif family == f.HILL:
        hill.write(work, lane, params, root)
    elif family == f.DEPTH:
        depth.write(work, lane, params, root)
    elif family == f.POWER:
        power.write(work, lane, params, root)
    elif family == f.LADDER:
        ladder.write(work, lane, params, root)
    else:
        exponential.write(work, lane, c1, params, origin, root)
    inside = work[head.SMALLEST + lane] + EDGE * work[head.SPAN + lane]
    return (
        work[head.LARGEST + lane] if rises_again(family, of_row(params), origin[0], inside, trusted_to) else trusted_to
    )


@helper
def write_covariance(family: int, params: Floats, root: Floats, variance: float, out: Floats) -> None:
    """Covariance of the coefficients, from the inverse root of the normal matrix."""
    if family == f.LINEAR:
        linear.write_covariance(params, root, variance, out)
    elif family == f.QUADRATIC:
        quadratic.write_covariance(params, root, variance, out)
    elif family == f.SQRT:
        sqrt.write_covariance(params, root, variance, out)
    elif family == f.HILL:
        hill.write_covariance(params, root, variance, out)
    elif family == f.DEPTH:
        depth.write_covariance(params, root, variance, out)
    elif family == f.POWER:
        power.write_covariance(params, root, variance, out)
    elif family == f.LADDER:
        ladder.write_covariance(params, root, variance, out)
    else:
        exponential.write_covariance(params, root, variance, out)
