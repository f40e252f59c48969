"""Slow, readable oracles of drawn utilities: weighted sums, the lines above them, and aggregates of their totals."""

from __future__ import annotations

import math
from collections.abc import Sequence

Row = tuple[float, float, float, float]


def eta_and_marginal(family: str, p: Sequence[float], x: float) -> tuple[float, float]:
    """Give η and d(C·η)/dC without clipping, as the definitions are written."""
    a, b, c = p[0], p[1], p[2]
    if family == "linear":
        return a * x + b, 2.0 * (a * x) + b
    if family == "sqrt":
        return a * math.sqrt(x) + b, 1.5 * (a * math.sqrt(x)) + b
    assert family == "quadratic"
    return (a * x + b) * x + c, (a * x + b) * x + c + x * (2.0 * (a * x) + b)


def bend(family: str, p: Sequence[float]) -> tuple[str, float, float]:
    """Say how C·η bends, where that changes, and where η has a maximum."""
    a, b = p[0], p[1]
    if family != "quadratic":
        return "convex" if a > 0.0 else "concave", math.inf, math.inf
    if a == 0.0:
        return "convex" if b > 0.0 else "concave", math.inf, math.inf
    turn = 0.0 - (b + a * 0.0) / (3.0 * a)
    return ("rising again", turn, math.inf) if a > 0.0 else ("convex first", turn, 0.0 - b / (2.0 * a))


def clipped(eta: float) -> float:
    return min(max(eta, 0.0), 1.0)


def slope_that_counts(eta: float, marginal: float) -> float:
    return 1.0 if eta > 1.0 else marginal if eta > 0.0 else 0.0


def lines_of_one(family: str, p: Sequence[float], x0: float, x1: float, weight: float) -> Row:
    """Give value and slope at the left end of one line above weight·U between two capitals, and at the right of another."""
    (e0, m0), (e1, m1) = eta_and_marginal(family, p, x0), eta_and_marginal(family, p, x1)
    u0, u1 = x0 * clipped(e0), x1 * clipped(e1)
    shape, turn, peak = bend(family, p)
    concave = shape == "concave" or (shape == "rising again" and x1 <= turn) or (shape == "convex first" and x0 >= turn)
    convex = shape == "convex" or (shape == "rising again" and x0 >= turn) or (shape == "convex first" and x1 <= turn)
    top = eta_and_marginal(family, p, peak)[0] if x0 < peak < x1 else e0
    slopes = [1.0 if e0 >= 1.0 else m0] if concave else [m0, m1, 1.0 if e0 >= 1.0 else m0]
    most = max(slopes)
    least = min([1.0 if e1 >= 1.0 else m1] if concave else [m0, m1 if e1 < 1.0 else 1.0])
    if not concave and not convex:
        inner = eta_and_marginal(family, p, turn)[1]
        most, least = max(most, inner), min(least, inner)
    if e0 <= 0.0 or e1 <= 0.0 or (shape == "rising again" and not concave and not convex):
        most, least = max(most, 0.0), min(least, 0.0)
    if e0 >= 1.0 or e1 >= 1.0 or top >= 1.0:
        most, least = max(most, 1.0), min(least, 1.0)
    everywhere = (e0 >= 1.0 and e1 >= 1.0 and shape != "rising again") or max(e0, e1, top) <= 0.0
    chord = (convex and max(e0, e1) <= 1.0) if weight >= 0.0 else (concave and min(e0, e1) > 0.0)
    if everywhere or chord:
        most = least = (u1 - u0) / (x1 - x0)
    elif weight < 0.0:
        most, least = least, most
    return u0, most, u1, least


def naive_lines(
    family: str, draws: Sequence[Sequence[float]], weights: Sequence[float], nodes: Sequence[float]
) -> tuple[list[list[float]], list[list[float]]]:
    """Add up lines of all draws between neighbouring capitals, and utility and marginal at each."""
    lines = [[0.0] * 4 for _ in nodes[1:]]
    at = [[0.0, 0.0] for _ in nodes]
    for p, weight in zip(draws, weights, strict=True):
        for j, x in enumerate(nodes):
            eta, marginal = eta_and_marginal(family, p, x)
            at[j][0] += weight * (x * clipped(eta))
            at[j][1] += weight * slope_that_counts(eta, marginal)
            if j > 0 and nodes[j - 1] < x:
                for k, number in enumerate(lines_of_one(family, p, nodes[j - 1], x, weight)):
                    lines[j - 1][k] += weight * number
    return lines, at


def naive_totals(
    families: Sequence[str], draws: Sequence[Sequence[Sequence[float]]], priority: Sequence[float],
    amounts: Sequence[float],
) -> list[float]:  # fmt: skip
    """Give Σ w·C·η of each draw (draws × instruments × coefficients)."""
    found = []
    for draw in draws:
        total = 0.0
        for family, p, w, x in zip(families, draw, priority, amounts, strict=True):
            if x > 0.0 and w > 0.0:
                total += w * (x * clipped(eta_and_marginal(family, p, x)[0]))
        found.append(total)
    return found


def naive_aggregate(name: str, number: float, totals: Sequence[float]) -> float:
    """Give the mean, the mean less standard deviations, or the mean of the worst part."""
    n = len(totals)
    mean = sum(totals) / n
    if name == "mean":
        return mean
    if name == "mean-sd":
        return mean - number * math.sqrt(sum((one - mean) ** 2 for one in totals) / n)
    left = part = max(1.0, (1.0 - number) * n)
    worst = 0.0
    for one in sorted(totals):
        share = min(1.0, left)
        worst += share * one
        left -= share
    return worst / part
