"""Steps of a refit in coefficients, one function a family: what a change of the functions that η is a sum of does."""

from __future__ import annotations

from escala.kernels.families import hill
from escala.kernels.families.params import Params
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
