"""Steps of a refit in coefficients, one function a family: what a change of the functions that η is a sum of does."""

from __future__ import annotations

from escala.kernels.families import hill, power
from escala.kernels.families.params import Params
from escala.kernels.fitting.depth_rows import SHARPEST, SOFTEST
from escala.kernels.jit import helper
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import families as f
from escala.kernels.special import exp

#: Most by which a step multiplies a rate, a depth or a sharpness, as a logarithm.
FARTHEST = 1.0


@helper
def is_bounded(family: int, p: Params) -> bool:
    """Whether the coefficient of f₀ may be at most 1: of a line only if the fit's is, which may exceed 1 by name."""
    if (family == f.LINEAR) | (family == f.SQRT):
        return p[k.B] <= 1.0
    return (family == f.DEPTH) | (family == f.POWER)


@helper
def is_at_bound(family: int, p: Params) -> bool:
    """Whether that coefficient is at its bound."""
    return (p[k.B] if (family == f.LINEAR) | (family == f.SQRT) else p[k.A]) >= 1.0


@helper
def _within(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


@helper
def _times(x: float, change: float) -> float:
    """Change a positive number by its logarithm, not too far."""
    return x * exp(_within(change, -FARTHEST, FARTHEST))


@helper
def _of_quadratic(p: Params, c0: float, c1: float, c2: float) -> Params:
    return p[k.A] + c2, p[k.B] + c1, p[k.C] + c0, p[k.D]


@helper
def _of_exponential(p: Params, c0: float, c1: float, c2: float) -> Params:
    """−a·f₂ is the derivative with respect to b."""
    change = -c2 / (p[k.A] * p[k.B]) if p[k.A] != 0.0 else 0.0
    return p[k.A] + c1, _times(p[k.B], change), p[k.C] + c0, p[k.D]


@helper
def _of_hill(p: Params, c0: float, c1: float, c2: float) -> Params:
    """f₁ and f₂ are the derivatives with respect to ln K and s for a = 1."""
    a = p[k.A]
    s = _within(p[k.C] + (c2 / a if a > 0.0 else 0.0), hill.LOWEST, hill.HIGHEST)
    return _within(a + c0, 0.0, hill.most_amplitude(s)), _times(p[k.B], c1 / a if a > 0.0 else 0.0), s, p[k.D]


@helper
def _of_depth(p: Params, c0: float, c1: float, c2: float) -> Params:
    """f₁ and f₂ are the derivatives with respect to ln D and ln h for a = 1."""
    a = p[k.A]
    h = _within(_times(p[k.C], c2 / a if a > 0.0 else 0.0), SOFTEST, SHARPEST)
    return _within(a + c0, 0.0, 1.0), _times(p[k.B], c1 / a if a > 0.0 else 0.0), h, p[k.D]


@helper
def _of_power(p: Params, c0: float, c1: float, c2: float) -> Params:
    """−f₁ and −k·f₂ are the derivatives with respect to k and b."""
    falls = p[k.B]
    b = _within(p[k.C] - (c2 / falls if falls > 0.0 else 0.0), power.FLATTEST, power.STEEPEST)
    return min(p[k.A] + c0, 1.0), max(falls - c1, 0.0), b, p[k.D]


@helper
def moved(family: int, p: Params, bounded: bool, c0: float, c1: float, c2: float) -> Params:
    """Coefficients after a change of those of f₀, f₁, f₂; what has bounds stays within them."""
    if (family == f.LINEAR) | (family == f.SQRT):
        top = p[k.B] + c0
        return p[k.A] + c1, min(top, 1.0) if bounded else top, p[k.C], p[k.D]
    if family == f.QUADRATIC:
        return _of_quadratic(p, c0, c1, c2)
    if family == f.HILL:
        return _of_hill(p, c0, c1, c2)
    if family == f.DEPTH:
        return _of_depth(p, c0, c1, c2)
    if family == f.POWER:
        return _of_power(p, c0, c1, c2)
    return _of_exponential(p, c0, c1, c2)
