"""Noise along capital, from what neighbouring points differ by: no fit is needed, and nothing is iterated.

A point lies off the line between its two neighbours by e = α·y₋ + (1 − α)·y₊ − y, of variance
(α² + (1 − α)² + 1)·σ² where the curve is straight between them; squares of it, smoothed along x = ln C, are σ²(C).

References
----------
Gasser, T., Sroka, L. and Jennen-Steinmetz, C. (1986), Residual variance and residual pattern in nonlinear regression,
Biometrika 73, 625–633. Müller, H.-G. and Stadtmüller, U. (1987), Estimation of heteroscedasticity in regression
analysis, Annals of Statistics 15, 610–625.
"""

from __future__ import annotations

import numpy as np

from escala.kernels.jit import Floats, helper, routine
from escala.kernels.special import exp, log

#: Places along ln C at which the variance is estimated.
NODES = 12
#: Distinct capitals from which on noise may be local by itself, and by wish: a node needs so many points.
USUAL, FEWEST = 40, NODES + 2
#: Half width of what a node looks at: in ln C, in mean distances of points, and by what it grows while that is too few.
NARROWEST, NEIGHBOURS, WIDER, MOST_WIDER = 0.8, 30.0, 1.3, 40
#: Points, counted by their share in the smoothing, that a node looks at.
ENOUGH = 12.0
#: Variance below which noise is not told from rounding.
FLOOR = 1e-10
#: Capital, in the power of four below the smallest one seen, that counts as 0.
NOTHING = 1e-300


@helper
def power_of_four(smallest: float) -> float:
    """Give the power of four that brings a capital into [1, 4): a change of unit by one changes no bit.

    By its bits: `frexp` and `ldexp` are functions of numba's own, which a C library does not have.
    """
    exponent = ((np.float64(smallest).view(np.int64) >> 52) - 1023) & -2
    result: float = np.int64((1023 - exponent) << 52).view(np.float64)
    return result


@helper
def _first_at_least(x: Floats, n: int, value: float) -> int:
    """Find the first of ascending numbers that is not below a value."""
    low, high = 0, n
    while low < high:
        middle = (low + high) >> 1
        if x[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@routine
def variance_at(x: Floats, v: Floats, n: int, node: float, half_width: float) -> float:
    """Smooth the squares `v` of the inner points of `x` about a node, by Epanechnikov's kernel."""
    mean, total, squares = FLOOR, 0.0, 0.0
    for _ in range(MOST_WIDER + 1):
        total = squares = weighted = 0.0
        # A little before the first place that counts: what rounding takes in there has no share.
        for i in range(max(1, _first_at_least(x, n - 1, node - 1.001 * half_width)), n - 1):
            d = (x[i] - node) / half_width
            if d * d < 1.0:
                kappa = 1.0 - d * d
                total += kappa
                squares += kappa * kappa
                weighted += kappa * v[i]
            elif d >= 1.0:
                break
        if total > 0.0:
            mean = weighted / total
            if total * total >= ENOUGH * squares:
                break
        half_width *= WIDER
    return max(mean, FLOOR)


@routine
def estimate(x: Floats, y: Floats, u: Floats, v: Floats, nodes: Floats, n: int) -> None:
    """Estimate ln σ² at :data:`NODES` equal steps from the second capital to the last but one.

    Parameters
    ----------
    x, y, u : (n,) float64
        ln C ascending, efficiencies, relative weights.
    v : (n,) float64
        Work: squared distances from the line between neighbours.
    nodes : (NODES,) float64
        Output: ln σ².
    n : int
        At least :data:`FEWEST` distinct capitals.
    """
    for i in range(1, n - 1):
        gap = x[i + 1] - x[i - 1]
        alpha = (x[i + 1] - x[i]) / gap if gap > 0.0 else 0.5
        beta = 1.0 - alpha
        e = alpha * y[i - 1] + beta * y[i + 1] - y[i]
        v[i] = e * e / (alpha * alpha + beta * beta + 1.0) * u[i]
    first, last = x[1], x[n - 2]
    step = (last - first) / (NODES - 1)
    half_width = max(NARROWEST, NEIGHBOURS * (last - first) / (n - 2))
    for k in range(NODES):
        nodes[k] = log(variance_at(x, v, n, first + k * step, half_width))


@helper
def log_variance(x: float, first: float, last: float, nodes: Floats) -> float:
    """Give ln σ² at ln C: linear between nodes, the same beyond the first and the last."""
    along = (x - first) / (last - first) * (NODES - 1)
    along = min(max(along, 0.0), NODES - 1.0)
    k = min(int(along), NODES - 2)
    return nodes[k] + (along - k) * (nodes[k + 1] - nodes[k])


@routine
def local(x: Floats, y: Floats, u: Floats, v: Floats, nodes: Floats, w: Floats, n: int) -> float:
    """Weigh points by their relative weights over the local variance, scaled to the same sum; returns the scale.

    Parameters
    ----------
    x, y, u : (n,) float64
        As :func:`estimate` takes them.
    v, nodes : (n,), (NODES,) float64
        Work.
    w : (n,) float64
        Output.
    """
    estimate(x, y, u, v, nodes, n)
    before = after = 0.0
    for i in range(n):
        w[i] = u[i] * exp(-log_variance(x[i], x[1], x[n - 2], nodes))
        before += u[i]
        after += w[i]
    scale = before / after
    for i in range(n):
        w[i] *= scale
    return scale
