"""Variance of what a fit says, by the inverse root of its normal matrix."""

from __future__ import annotations

from escala.kernels.jit import Floats, helper
from escala.kernels.layout import root as r


@helper
def deviation(root: Floats, f0: float, f1: float, f2: float) -> float:
    """Variance of f₀·c₀ + f₁·c₁ + f₂·c₂ in units of the residual variance.

    A sum of squares: it cannot cancel or turn negative, as gradientᵀ·covariance·gradient can.
    """
    e0 = f0 * root[r.I0]
    first = f1 - f0 * root[r.M1]
    e1 = first * root[r.I1]
    e2 = (f2 - f0 * root[r.M2] - root[r.K] * first) * root[r.I2]
    return e0 * e0 + e1 * e1 + e2 * e2
