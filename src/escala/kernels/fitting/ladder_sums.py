"""The knots of a ladder, the sums of the points between them, and what is computed from those sums."""

from __future__ import annotations

import math

import numpy as np

from escala.kernels.fitting.ladder_rows import (
    GRAM,
    GUARD,
    LEAST_CAPITALS,
    LOG10_E,
    MOST_KNOTS,
    PER_DECADE,
    WIDE,
    own,
    scalar,
)
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import fit_status as st
from escala.kernels.special import exp, log

# --- knots ------------------------------------------------------------------------------------------------------------


@helper
def _power_of_four(x: float) -> float:
    """The largest power of four up to a positive normal number."""
    exponent = ((np.float64(x).view(np.int64) >> 52) - 1023) & -2
    result: float = np.int64((exponent + 1023) << 52).view(np.float64)
    return result


@routine
def describe(points: Floats, n: int, work: Floats) -> int:
    """Count distinct capitals, find the unit of capital; TOO_FEW_POINTS, CONSTANT or OK."""
    distinct = 0
    smallest = last = 1.0
    low = high = 0.0
    for i in range(n):
        c, y, w = points[3 * i], points[3 * i + 1], points[3 * i + 2]
        if not w > 0.0:
            continue
        if distinct == 0:
            smallest, low, high = c, y, y
        if distinct == 0 or c != last:
            distinct += 1
        last = c
        low, high = min(low, y), max(high, y)
    work[scalar.DISTINCT] = distinct
    work[scalar.SCALE] = _power_of_four(smallest)
    if distinct < LEAST_CAPITALS:
        return st.TOO_FEW_POINTS
    return st.CONSTANT if low == high else st.OK


@routine
def place_knots(points: Floats, n: int, work: Floats) -> None:
    """Knots after the rule: the inner ones of 16 a decade, evenly spread over the logarithm of capital."""
    smallest = largest = 0.0
    for i in range(n):
        if points[3 * i + 2] > 0.0:
            largest = points[3 * i] / work[scalar.SCALE]
            smallest = largest if smallest == 0.0 else smallest
    length = log(largest / smallest)
    start = log(smallest)
    wanted = math.ceil(PER_DECADE * (LOG10_E * length) - GUARD) + 1.0
    count = int(min(float(MOST_KNOTS), max(2.0, wanted)))
    for k in range(1, count - 1):
        work[own.KNOT + k - 1] = exp(start + length * (k / (count - 1.0)))
    work[scalar.COLUMNS] = count - 1


@routine
def take_knots(knots: Floats, work: Floats) -> None:
    """Knots as they are given."""
    for k in range(knots.size):
        work[own.KNOT + k] = knots[k] / work[scalar.SCALE]
    work[scalar.COLUMNS] = knots.size + 1


# --- sums of the points -----------------------------------------------------------------------------------------------


@routine
def sum_up(points: Floats, n: int, work: Floats) -> None:
    """The sums of each stretch: stretch b lies behind knot b − 1, the knot itself belongs to the stretch before."""
    last = int(work[scalar.COLUMNS]) - 1
    for b in range(last + 1):
        work[own.S0 + b] = work[own.S1 + b] = work[own.S2 + b] = work[own.Y0 + b] = work[own.Y1 + b] = 0.0
    squares = 0.0
    b = 0
    for i in range(n):
        w = points[3 * i + 2]
        if not w > 0.0:
            continue
        c, y = points[3 * i] / work[scalar.SCALE], points[3 * i + 1]
        while b < last and work[own.KNOT + b] < c:
            b += 1
        u = work[own.KNOT + b - 1] / c if b > 0 else 0.0
        wu, wy = w * u, w * y
        work[own.S0 + b] += w
        work[own.S1 + b] += wu
        work[own.S2 + b] += wu * u
        work[own.Y0 + b] += wy
        work[own.Y1 + b] += wy * u
        squares += wy * y
    work[scalar.SIZE_Y] = math.sqrt(squares)


@routine
def multiply(work: Floats) -> None:
    """Gram matrix, norms of the columns and their products with the efficiencies: sums of what has one sign only."""
    columns = int(work[scalar.COLUMNS])
    last = columns - 1
    for j in range(last):
        work[own.INVERSE + j] = 1.0 / work[own.KNOT + j]
    work[own.INVERSE + last] = work[own.TAIL + last] = 0.0
    for j in range(last - 1, -1, -1):
        ratio = work[own.KNOT + j] * work[own.INVERSE + j + 1]
        work[own.TAIL + j] = work[own.S2 + j + 1] + ratio * ratio * work[own.TAIL + j + 1]
    before = 0.0
    for j in range(columns):
        knot = work[own.KNOT + j] if j < last else 0.0
        before += work[own.S0 + j]
        entry = before + work[own.TAIL + j]
        work[own.NORM + j] = math.sqrt(entry)
        work[GRAM + j * WIDE + j] = entry
        between = 0.0
        for k in range(j + 1, columns):
            between += work[own.S1 + k] * work[own.INVERSE + k - 1]
            entry = before + knot * between + knot * work[own.INVERSE + k] * work[own.TAIL + k]
            work[GRAM + j * WIDE + k] = work[GRAM + k * WIDE + j] = entry
    _times_columns(work, own.Y0, own.Y1, own.TARGET)


@routine
def _times_columns(work: Floats, zeroth: int, first: int, out: int) -> None:
    """Products of all columns with something whose sums, and sums times u, are known for each stretch."""
    last = int(work[scalar.COLUMNS]) - 1
    behind = 0.0
    work[out + last] = 0.0
    for j in range(last - 1, -1, -1):
        behind += work[first + j + 1] * work[own.INVERSE + j]
        work[out + j] = work[own.KNOT + j] * behind
    before = 0.0
    for j in range(last + 1):
        before += work[zeroth + j]
        work[out + j] += before


# --- residuals and gradients ------------------------------------------------------------------------------------------


@routine
def follow_beta(work: Floats) -> None:
    """For each stretch what η = above + below·u is made of there."""
    last = int(work[scalar.COLUMNS]) - 1
    above = 0.0
    for b in range(last, -1, -1):
        above += work[own.BETA + b]
        work[own.ABOVE + b] = above
    below = 0.0
    work[own.BELOW] = 0.0
    for b in range(1, last + 1):
        below += work[own.BETA + b - 1] * work[own.KNOT + b - 1]
        work[own.BELOW + b] = below * work[own.INVERSE + b - 1]


@routine
def sum_residuals(work: Floats) -> None:
    """Sums of the residuals of each stretch, from the sums of its points."""
    follow_beta(work)
    for b in range(int(work[scalar.COLUMNS])):
        above, below = work[own.ABOVE + b], work[own.BELOW + b]
        work[own.R0 + b] = work[own.Y0 + b] - above * work[own.S0 + b] - below * work[own.S1 + b]
        work[own.R1 + b] = work[own.Y1 + b] - above * work[own.S1 + b] - below * work[own.S2 + b]


@routine
def follow_residuals(points: Floats, n: int, work: Floats) -> None:
    """The same from the residuals of the points, and their squares."""
    follow_beta(work)
    last = int(work[scalar.COLUMNS]) - 1
    for b in range(last + 1):
        work[own.R0 + b] = work[own.R1 + b] = 0.0
    sse = 0.0
    b = 0
    for i in range(n):
        w = points[3 * i + 2]
        if not w > 0.0:
            continue
        c = points[3 * i] / work[scalar.SCALE]
        while b < last and work[own.KNOT + b] < c:
            b += 1
        u = work[own.KNOT + b - 1] / c if b > 0 else 0.0
        residual = points[3 * i + 1] - (work[own.ABOVE + b] + work[own.BELOW + b] * u)
        weighted = w * residual
        work[own.R0 + b] += weighted
        work[own.R1 + b] += weighted * u
        sse += weighted * residual
    work[scalar.SSE] = sse


@routine
def entering(work: Floats) -> int:
    """The column of steepest gradient that is not active, or −1; the steepest, over its norm, is left in a row.

    Where more than two knots lie between two capitals, β is not unique, and this rule decides which it is.
    """
    _times_columns(work, own.R0, own.R1, own.GRADIENT)
    found = -1
    best = steepest = 0.0
    for j in range(int(work[scalar.COLUMNS])):
        norm = work[own.NORM + j]
        if work[own.POSITION + j] >= 0.0 or not norm > 0.0:
            continue
        slope = work[own.GRADIENT + j] - work[scalar.MULTIPLIER]
        steepest = max(steepest, slope / norm)
        if (
            slope > best
            and slope > work[scalar.STATIONARY] * work[scalar.SIZE_Y] * norm
            and work[own.BLOCKED + j] == 0.0
        ):
            best = slope
            found = j
    work[scalar.VIOLATION] = steepest
    return found
