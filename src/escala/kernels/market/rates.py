"""Interest: the rate that a usage asks for, and what a debt grows by in a step."""

from __future__ import annotations

from escala.kernels.jit import Floats, helper
from escala.kernels.layout import YEAR, compounding
from escala.kernels.layout import market_field as f
from escala.kernels.special import exp


@helper
def kinked_rate(usage: float, m: Floats) -> float:
    """Give the borrow rate of a usage: a line up to the optimum, a steeper one beyond it."""
    optimal = m[f.OPTIMAL]
    if usage <= optimal:
        return m[f.BASE] + m[f.SLOPE1] * usage / optimal
    return m[f.BASE] + m[f.SLOPE1] + m[f.SLOPE2] * ((usage - optimal) / (1.0 - optimal))


@helper
def growth(rate: float, dt: float, kind: int) -> float:
    """Give what a debt grows by in `dt` seconds, as a factor.

    References
    ----------
    Aave v3.0 MathUtils.calculateCompoundedInterest (binomial), Aave v3.7 and Morpho Blue MathLib.wTaylorCompounded,
    Compound Comet accruedInterestIndices (linear).
    """
    q = rate * (dt / YEAR)
    if kind == compounding.CONTINUOUS:
        return exp(q)
    if kind == compounding.TAYLOR:
        return 1.0 + q + q * (q / 2.0 + q * q / 6.0)
    if kind == compounding.BINOMIAL:
        i = rate / YEAR
        pairs = dt * (dt - 1.0) * (i * i) / 2.0
        return 1.0 + q + pairs + dt * (dt - 1.0) * max(dt - 2.0, 0.0) * (i * i * i) / 6.0
    return 1.0 + q
