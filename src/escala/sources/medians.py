"""Medians of many ranges of one array at once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats

Places: TypeAlias = npt.NDArray[np.int64]


def range_medians(values: Floats, low: Places, high: Places) -> Floats:
    """Compute the median of ``values[low[i]:high[i]]`` for every i; NaN where the range is empty.

    Parameters
    ----------
    values : (n,) float64
        Without NaN.
    low, high : (m,) int64
        Ranges, ``0 <= low[i]`` and ``high[i] <= n``.

    Notes
    -----
    A wavelet matrix: ranks are split by their bits from the highest on, and a range of the whole stays a range in each
    half. So each bit costs one pass over the queries, whatever the ranges are long: O((n + m)·log n).

    Examples
    --------
    >>> import numpy as np
    >>> range_medians(np.array([3.0, 1.0, 2.0, 10.0]), np.array([0, 0, 2]), np.array([3, 4, 2]))
    array([2. , 2.5, nan])
    """
    sizes = high - low
    there = sizes > 0
    low, high, sizes = low[there], high[there], sizes[there]
    result = np.full(there.size, np.nan)
    if not sizes.size:
        return result
    order = np.argsort(values, kind="stable")
    ranks = np.empty(values.size, dtype=np.int64)
    ranks[order] = np.arange(values.size)
    wanted = np.concatenate([(sizes - 1) // 2, sizes // 2])  # the middle one, or the two of them
    found = _selected(ranks, np.tile(low, 2), np.tile(high, 2), wanted)
    middle: npt.NDArray[Any] = values[order[found]]
    below, above = np.split(middle, 2)
    result[there] = (below + above) * 0.5
    return result


def _selected(ranks: Places, low: Places, high: Places, place: Places) -> Places:
    """Find the rank that has a place among those of its range, when sorted."""
    answer = np.zeros_like(low)
    for bit in range(max(0, ranks.size - 1).bit_length() - 1, -1, -1):
        is_zero = (ranks >> bit) & 1 == 0
        zeros = np.concatenate([[0], np.cumsum(is_zero)])
        below_low, below_high = zeros[low], zeros[high]
        goes_up = place >= below_high - below_low
        answer += goes_up.astype(np.int64) << bit
        place = np.where(goes_up, place - (below_high - below_low), place)
        total = zeros[-1]
        low = np.where(goes_up, total + low - below_low, below_low)
        high = np.where(goes_up, total + high - below_high, below_high)
        ranks = np.concatenate([ranks[is_zero], ranks[~is_zero]])
    return answer
