"""Order statistics of scores, and windows of neighbours among them."""

from __future__ import annotations

import math

from escala.kernels.jit import Floats, helper, routine
from escala.kernels.noise.rows import WINDOW, WINDOWS


@routine
def sort(z: Floats) -> None:
    """Sort ascending, in place (Shell's gaps)."""
    n = z.size
    gap = 1
    while gap < n // 9:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, n):
            value = z[i]
            j = i
            while j >= gap and z[j - gap] > value:
                z[j] = z[j - gap]
                j -= gap
            z[j] = value
        gap = (gap - 1) // 3 if gap > 1 else 0


@helper
def quantile(z: Floats, level: float) -> float:
    """Give the order statistic (n + 1)·level of sorted scores, interpolated from 0 on; inf beyond the last."""
    n = z.size
    wanted = (n + 1) * level
    if wanted > n:
        return math.inf
    k = int(wanted)
    low = z[k - 1] if k > 0 else 0.0
    return low + (wanted - k) * (z[k] - low) if k < n else low


@routine
def share_within(z: Floats, distance: float) -> float:
    """Give the share of all scores, one more included, that lie within a distance, interpolated as quantiles are."""
    n = z.size
    low, high = 0, n
    while low < high:
        middle = (low + high) >> 1
        if z[middle] <= distance:
            low = middle + 1
        else:
            high = middle
    within = float(low)
    if low < n:
        before = z[low - 1] if low > 0 else 0.0
        within += (distance - before) / (z[low] - before)
    return within / (n + 1)


@helper
def window_start(n: int, k: int) -> int:
    """Rank at which window k of n > WINDOW points begins: they are spread evenly."""
    return (2 * k * (n - WINDOW) + WINDOWS - 1) // (2 * (WINDOWS - 1))


@helper
def windows_hold(n: int, level: float) -> bool:
    """Whether there are windows, and whether their points are enough for a level."""
    return n > WINDOW and (WINDOW + 1) * level <= WINDOW


@routine
def mean_of_window(x: Floats, k: int) -> float:
    """Mean over the points of a window."""
    start = window_start(x.size, k)
    total = 0.0
    for i in range(start, start + WINDOW):
        total += x[i]
    return total / WINDOW
