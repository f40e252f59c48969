"""Counts, means and sums of squared deviations of blocks of values, merged in one order whatever computed them."""

from __future__ import annotations

import numpy as np

from escala.arrays import Floats


def merge_pairs(left: Floats, right: Floats) -> Floats:
    """Merge counts, means and sums of squared deviations of neighbours, arrays (..., 3)."""
    n, m = left[..., 0], right[..., 0]
    total = n + m
    share = np.divide(m, total, out=np.zeros_like(total), where=total > 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        step = np.where(n > 0.0, right[..., 1] - left[..., 1], 0.0)
        mean = np.where(n > 0.0, left[..., 1] + step * share, right[..., 1])
        mean = np.where(m > 0.0, mean, left[..., 1])
        squares = left[..., 2] + right[..., 2] + np.where(m > 0.0, step * step * (n * share), 0.0)
    return np.stack([total, mean, squares], axis=-1)


def merged(leaves: Floats) -> Floats:
    """Merge the moments of neighbouring blocks (blocks, ..., 3) level by level; who has no partner goes up as it is."""
    while len(leaves) > 1:
        pairs = merge_pairs(leaves[0 : len(leaves) - 1 : 2], leaves[1::2])
        leaves = np.concatenate([pairs, leaves[-1:]]) if len(leaves) % 2 else pairs
    whole: Floats = leaves[0]
    return whole
