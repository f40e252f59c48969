"""Slow, readable twins of what a sweep adds up: plain Python, to the bit."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

LANES = 64


@dataclass
class NaiveMoments:
    """Of one block."""

    finite: int
    mean: float
    squares: float
    lowest: float
    highest: float


def naive_moments(values: list[float]) -> NaiveMoments:
    """Sum the finite values in lanes, as differences from the first of them."""
    finite = [v for v in values if math.isfinite(v)]
    origin = finite[0] if finite else 0.0
    sums = [0.0] * LANES
    squares = [0.0] * LANES
    for i, v in enumerate(values):
        if math.isfinite(v):
            d = v - origin
            sums[i % LANES] += d
            squares[i % LANES] += d * d
    total, square = 0.0, 0.0
    for j in range(LANES):
        total += sums[j]
        square += squares[j]
    numbers = [v for v in values if not math.isnan(v)]
    lowest, highest = min(numbers, default=math.inf), max(numbers, default=-math.inf)
    n = len(finite)
    if n == 0:
        return NaiveMoments(0, 0.0, 0.0, lowest, highest)
    deviations = square - total * (total / n) if square < math.inf else square
    return NaiveMoments(n, origin + total / n, max(0.0, deviations), lowest, highest)


def naive_bin(value: float) -> int:
    """Sign, exponent and seven bits of the mantissa."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", value))
    return int(bits >> 45)


def naive_best(values: list[float], k: int, sign: float) -> list[tuple[float, int]]:
    """Give the k highest of ``sign·value``, the first of equals ahead."""
    entries = [(sign * v, i) for i, v in enumerate(values) if not math.isnan(v) and sign * v > -math.inf]
    return sorted(entries, key=lambda entry: (-entry[0], entry[1]))[:k]


def naive_merge(a: tuple[float, float, float], b: tuple[float, float, float]) -> tuple[float, float, float]:
    """Merge count, mean and sum of squared deviations of two neighbours."""
    if a[0] == 0.0:
        return b
    if b[0] == 0.0:
        return a
    n = a[0] + b[0]
    share = b[0] / n
    step = b[1] - a[1]
    return n, a[1] + step * share, a[2] + b[2] + step * step * (a[0] * share)


def naive_tree(leaves: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Merge neighbours level by level; whoever has no partner goes up as it is."""
    while len(leaves) > 1:
        pairs = [leaves[i : i + 2] for i in range(0, len(leaves), 2)]
        leaves = [naive_merge(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return leaves[0]
