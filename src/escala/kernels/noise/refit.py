"""A smooth curve fitted again to part of its points, from the fit to all of them: a few steps of Gauss and Newton.

Steps are taken in the coordinates in which the basis of the full fit is orthonormal (its inverse root). There the
normal matrix of a part is close to a multiple of 1, whatever the unit of capital, and however alike the functions of
the basis are. The coefficient of f₀ stays at its bound while the gradient points beyond it.

References
----------
Levenberg, K. (1944), Quarterly of Applied Mathematics 2, 164–168. Nocedal, J. and Wright, S. J. (2006), Numerical
Optimization, 2nd ed., chapter 10.
"""

from __future__ import annotations

from escala.kernels.families import dispatch
from escala.kernels.families.params import Params
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import root as r
from escala.kernels.noise import moves

#: Steps at most, those among them that may be refused, and the relative fall of the squared error that ends them.
MOST_STEPS, MOST_REFUSED = 24, 8
CONVERGED = 1e-12
#: Damping after a step that was refused, what it grows by, and below what it is none.
DAMPED, STIFFER, UNDAMPED = 1e-3, 10.0, 1e-5

#: Places in a tuple of sums: a₀₀, a₀₁, a₀₂, a₁₁, a₁₂, a₂₂, then these.
B0, B1, B2, SQUARES, ALONG = range(6, 11)

Triple = tuple[float, float, float]
Normal = tuple[float, float, float, float, float, float, float, float, float, float, float]


@helper
def coordinates(root: Floats, held: bool, f0: float, f1: float, f2: float) -> Triple:
    """Basis in coordinates of the inverse root; with f₀'s coefficient held, f₁ and f₂ alone, to scale."""
    if held:
        return 0.0, f1 * root[r.I1], f2 * root[r.I2]
    first = f1 - f0 * root[r.M1]
    return f0 * root[r.I0], first * root[r.I1], (f2 - f0 * root[r.M2] - root[r.K] * first) * root[r.I2]


@helper
def coefficients(root: Floats, held: bool, e0: float, e1: float, e2: float) -> Triple:
    """Change of the coefficients of f₀, f₁, f₂ for a step in these coordinates."""
    first, second = e1 * root[r.I1], e2 * root[r.I2]
    if held:
        return 0.0, first, second
    zeroth = e0 * root[r.I0] - root[r.M1] * first + (root[r.K] * root[r.M1] - root[r.M2]) * second
    return zeroth, first - root[r.K] * second, second


@routine
def solve(normal: Normal, damping: float) -> Triple:
    """Solve (A + damping·diag A)·x = b by the factors LDLᵀ of A; 0 where nothing is determined."""
    a00, a01, a02, a11, a12, a22, b0, b1, b2, _, _ = normal
    grown = 1.0 + damping
    d0 = a00 * grown
    l1 = a01 / d0 if d0 > 0.0 else 0.0
    l2 = a02 / d0 if d0 > 0.0 else 0.0
    d1 = a11 * grown - l1 * a01
    d1 = d1 if d1 > 1e-12 * a11 else 0.0
    cross = a12 - l1 * a02
    l3 = cross / d1 if d1 > 0.0 else 0.0
    d2 = a22 * grown - l2 * a02 - l3 * cross
    d2 = d2 if d2 > 1e-12 * a22 else 0.0
    y1 = b1 - l1 * b0
    y2 = b2 - l2 * b0 - l3 * y1
    x2 = y2 / d2 if d2 > 0.0 else 0.0
    x1 = (y1 / d1 if d1 > 0.0 else 0.0) - l3 * x2
    x0 = (b0 / d0 if d0 > 0.0 else 0.0) - l1 * x1 - l2 * x2
    return x0, x1, x2


@routine
def normal_equations(
    family: int, p: Params, origin: float, steps: Floats, root: Floats, held: bool, points: Floats, n: int
) -> Normal:
    """Sums over points of positive weight: normal matrix, gradient, squared error, and the gradient along f₀."""
    a00 = a01 = a02 = a11 = a12 = a22 = b0 = b1 = b2 = squares = along = 0.0
    for i in range(n):
        c, y, w = points[3 * i], points[3 * i + 1], points[3 * i + 2]
        if w > 0.0:
            eta, f0, f1, f2 = dispatch.value_and_basis(family, p, origin, steps, c)
            residual = y - eta
            e0, e1, e2 = coordinates(root, held, f0, f1, f2)
            w0, w1, w2, wr = w * e0, w * e1, w * e2, w * residual
            a00 += w0 * e0
            a01 += w0 * e1
            a02 += w0 * e2
            a11 += w1 * e1
            a12 += w1 * e2
            a22 += w2 * e2
            b0 += wr * e0
            b1 += wr * e1
            b2 += wr * e2
            squares += wr * residual
            along += wr * f0
    return a00, a01, a02, a11, a12, a22, b0, b1, b2, squares, along


@routine
def _held_or_free(
    family: int, p: Params, bounded: bool, origin: float, steps: Floats, root: Floats, points: Floats, n: int
) -> tuple[bool, Normal]:
    """Give the equations at p, with f₀'s coefficient held where it is at its bound and would go beyond it."""
    held = bounded and moves.is_at_bound(family, p)
    normal = normal_equations(family, p, origin, steps, root, held, points, n)
    if held and normal[ALONG] < 0.0:
        return False, normal_equations(family, p, origin, steps, root, False, points, n)
    return held, normal


@routine
def refit(
    family: int, p: Params, origin: float, steps: Floats, root: Floats, points: Floats, n: int
) -> Params:  # fmt: skip
    """Fit a curve, but no ladder, to the points of positive weight, beginning with the coefficients `p`.

    `points` holds capital, efficiency and weight of each of the n points.
    """
    bounded = moves.is_bounded(family, p)
    held, normal = _held_or_free(family, p, bounded, origin, steps, root, points, n)
    damping = 0.0
    refused = 0
    for _ in range(MOST_STEPS):
        e0, e1, e2 = solve(normal, damping)
        if not e0 * normal[B0] + e1 * normal[B1] + e2 * normal[B2] > CONVERGED * normal[SQUARES]:
            break
        c0, c1, c2 = coefficients(root, held, e0, e1, e2)
        tried = moves.moved(family, p, bounded, c0, c1, c2)
        tried_held, tried_normal = _held_or_free(family, tried, bounded, origin, steps, root, points, n)
        if tried_normal[SQUARES] <= normal[SQUARES]:
            p, held, normal = tried, tried_held, tried_normal
            damping = damping / STIFFER if damping > UNDAMPED else 0.0
        else:
            refused += 1
            damping = max(DAMPED, damping * STIFFER)
            if refused > MOST_REFUSED:
                break
    return p
