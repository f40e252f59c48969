"""Noise of level and of depth, and what is left of it along capital: the scale of residuals.

b² = σ₀² + τ²·g² with g = |η − U′| = |dη/d ln C|: quotes differ by their level, and by where their depth ends. What
(r/b)² is beside 1, by bins of rank, is c²(C). The scale is σ(C) = b·c.
"""

from __future__ import annotations

import math

from escala.kernels.jit import Floats, helper, routine
from escala.kernels.noise.rows import FLOOR, MOST_BINS, POINTS_PER_BIN, ROUNDS
from escala.kernels.special import exp, log


@helper
def _non_negative(s11: float, s1g: float, sgg: float, s1r: float, sgr: float) -> tuple[float, float]:
    """Solve least squares in two coefficients of at least 0 from its normal equations."""
    determinant = s11 * sgg - s1g * s1g
    if determinant > 1e-14 * s11 * sgg:
        level = (s1r * sgg - sgr * s1g) / determinant
        depth = (sgr * s11 - s1r * s1g) / determinant
        if level >= 0.0 and depth >= 0.0:
            return level, depth
    alone = max(s1r / s11, 0.0) if s11 > 0.0 else 0.0
    other = max(sgr / sgg, 0.0) if sgg > 0.0 else 0.0
    # What each of them alone takes off the sum of squares.
    return (alone, 0.0) if alone * s1r >= other * sgr else (0.0, other)


@routine
def fit_levels(r: Floats, slope: Floats, variance: Floats) -> tuple[float, float]:
    """Fit σ₀² and τ² to squared residuals; `variance` becomes b² and is at least the floor."""
    level, depth = 0.0, 0.0
    for i in range(r.size):
        variance[i] = 1.0
    for _ in range(ROUNDS):
        s11 = s1g = sgg = s1r = sgr = 0.0
        for i in range(r.size):
            w = 1.0 / (variance[i] * variance[i])
            g = slope[i] * slope[i]
            squared = r[i] * r[i]
            s11 += w
            s1g += w * g
            sgg += w * g * g
            s1r += w * squared
            sgr += w * g * squared
        level, depth = _non_negative(s11, s1g, sgg, s1r, sgr)
        for i in range(r.size):
            variance[i] = max(level + depth * (slope[i] * slope[i]), FLOOR)
    return level, depth


@helper
def count_bins(n: int) -> int:
    """Count the bins of n points."""
    return max(1, min(MOST_BINS, n // POINTS_PER_BIN))


@routine
def fit_bins(x: Floats, r: Floats, variance: Floats, bins: Floats) -> int:
    """Write ln c² of bins and of both ends of the data, x first; returns how many places those are."""
    n = r.size
    count = count_bins(n)
    places = count + 2
    at = 0
    for k in range(count):
        size = n // count + (1 if k < n % count else 0)
        squares = along = 0.0
        for i in range(at, at + size):
            squares += r[i] * r[i] / variance[i]
            along += x[i]
        bins[1 + k] = along / size
        bins[places + 1 + k] = max(squares / size, FLOOR)
        at += size
    before = bins[places + 1]
    for k in range(count):
        here = bins[places + 1 + k]
        inner = 0 < k < count - 1
        smooth = 0.25 * before + 0.5 * here + 0.25 * bins[places + 2 + k] if inner else here
        before = here
        bins[places + 1 + k] = log(smooth)
    bins[0], bins[places - 1] = x[0], x[n - 1]
    bins[places] = _upwards(bins[2], bins[1], x[0], bins[places + 2], bins[places + 1], count)
    bins[2 * places - 1] = _upwards(
        bins[count - 1], bins[count], x[n - 1], bins[places + count - 1], bins[places + count], count
    )  # fmt: skip
    return places


@helper
def _upwards(x0: float, x1: float, x: float, v0: float, v1: float, count: int) -> float:
    """Go on from (x₀, v₀) and (x₁, v₁) to x beyond x₁, but never down."""
    if count < 2 or x1 == x0:
        return v1
    return max(v1, v1 + (v1 - v0) / (x1 - x0) * (x - x1))


@routine
def between(xs: Floats, values: Floats, x: float) -> float:
    """Interpolate linearly between places that rise; the same beyond the first and the last."""
    n = xs.size
    if not x > xs[0]:
        return values[0]
    if x >= xs[n - 1]:
        return values[n - 1]
    low, high = 0, n - 1
    while high - low > 1:
        middle = (low + high) >> 1
        if xs[middle] <= x:
            low = middle
        else:
            high = middle
    return values[low] + (x - xs[low]) / (xs[high] - xs[low]) * (values[high] - values[low])


@helper
def scale_at(level: float, depth: float, bins: Floats, places: int, slope: float, x: float) -> float:
    """σ(C) = b·c."""
    b = math.sqrt(max(level + depth * (slope * slope), FLOOR))
    return b * exp(0.5 * between(bins[:places], bins[places : 2 * places], x))
