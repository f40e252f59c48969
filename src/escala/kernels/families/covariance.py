"""Covariance of coefficients, from the inverse root of the normal matrix of a fit.

The root holds f₀, f₁, f₂, the functions that efficiency is (to first order) a sum of, made orthogonal one after the
other and of unit length: (f₀)·i0, (f₁ − m1·f₀)·i1, (f₂ − m2·f₀ − k·(f₁ − m1·f₀))·i2. For most families f₀ = 1.
"""

from __future__ import annotations

from escala.kernels.jit import Floats, helper
from escala.kernels.layout import covariance as v
from escala.kernels.layout import root as r


@helper
def of_line(root: Floats, variance: float, out: Floats) -> None:
    """Covariance where a belongs to f₁ and b to f₀."""
    a1, c0, c1 = root[r.I1], root[r.I0], -root[r.I1] * root[r.M1]
    out[v.AA] = variance * a1 * a1
    out[v.AB] = out[v.BA] = variance * a1 * c1
    out[v.BB] = variance * (c0 * c0 + c1 * c1)


@helper
def of_three(root: Floats, variance: float) -> tuple[float, float, float, float, float, float]:
    """Covariances of the coefficients of f₀, f₁ and f₂: 11, 22, 12, 10, 20, 00."""
    i0, m1, i1, m2, k, i2 = root[r.I0], root[r.M1], root[r.I1], root[r.M2], root[r.K], root[r.I2]
    # What the coefficients are made of, in three uncorrelated parts of equal variance.
    a1, a2 = i1, -i2 * k
    b2 = i2
    c0, c1, c2 = i0, -i1 * m1, i2 * (k * m1 - m2)
    first = variance * (a1 * a1 + a2 * a2)
    second = variance * b2 * b2
    between = variance * a2 * b2
    first_c = variance * (a1 * c1 + a2 * c2)
    second_c = variance * b2 * c2
    constant = variance * (c0 * c0 + c1 * c1 + c2 * c2)
    return first, second, between, first_c, second_c, constant
