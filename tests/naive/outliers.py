"""Suspects among records in plain Python: what the kernel must equal, mark by mark."""

from __future__ import annotations

import math
import statistics

Floats = list[float]


def off(y: float, low: float, high: float) -> float:
    distance = max(low - y, y - high)
    return distance if distance > 0.05 and (distance > 0.2 or y < 0.5 * low or high < 0.5 * y) else 0.0


def distance(c: Floats, y: Floats, i: int) -> float:
    """How far a record is off what those before and behind it allow."""
    n = len(y)
    u = [a * b for a, b in zip(c, y, strict=True)]
    low = 0.0
    if i + 3 < n:
        low = statistics.median(y[i + 1 : i + 4])
        low = max(low, y[i + 1]) if i > 0 else low
    if i == 0:
        return off(y[i], low, max(low, statistics.median(u[1:4]) / c[i]))
    if i < 3:
        return off(y[i], low, max(*y[:i], statistics.median(y[i + 1 : i + 4])))
    high = statistics.median(y[i - 3 : i])
    utility = max(u[i - 3 : i]) if i == n - 1 else statistics.median(u[i - 3 : i])
    return off(y[i], max(low, min(high, utility / c[i])), high)


def noise(y: Floats, i: int) -> float:
    """The median distance of neighbours from between their own two, the record itself having no part in them."""
    n = len(y)
    width = min(21, n)
    first = min(max(i - width // 2, 0), n - width)
    near = []
    for j in range(first, first + width):
        if 0 < j < n - 1 and abs(j - i) > 1:
            pair = sorted([y[j - 1], y[j + 1]])
            near.append(max(0.0, pair[0] - y[j], y[j] - pair[1]))
    return max(statistics.median(near) / 0.3136, 1e-5)


def suspects(capital: Floats, efficiency: Floats, weight: Floats) -> list[int]:
    """Places of the suspects, in the order of the records."""
    order = sorted(
        (k for k in range(len(capital)) if weight[k] > 0.0), key=lambda k: (capital[k], efficiency[k], weight[k])
    )
    n = len(order)
    if n < 8:
        return []
    c, y = [capital[k] for k in order], [efficiency[k] for k in order]
    most = math.sqrt(math.sqrt(6.0 * n / 1e-3))
    found = []
    for i in range(n):
        far = distance(c, y, i)
        if far > 0.0 and far > most * noise(y, i):
            found.append(order[i])
    return sorted(found)
