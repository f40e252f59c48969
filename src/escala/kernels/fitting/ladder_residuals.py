"""How far each point pulls a ladder, and whether its residuals follow a pattern.

References
----------
Durbin, J. and Watson, G. S. (1971), Testing for serial correlation in least squares regression III, Biometrika 58.
"""

from __future__ import annotations

import math

from escala.kernels.fitting.ladder_rows import GRAM, TALL, WIDE, own, scalar
from escala.kernels.fitting.ladder_search import forward, share_below
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import fit_stats as f


@routine
def _write_directions(work: Floats, inner: int) -> None:
    """For each stretch the two rows of the orthogonal factor, of which those of its points are made.

    A point's row is √w·(first + (u − mean)·second). Where Σβ = 1 is held, what would change the sum is taken out.
    """
    count = int(work[scalar.ACTIVE])
    for b in range(inner + 1):
        for k in range(count):
            work[own.TRIAL + k] = share_below(work, b, k) * work[own.MEAN + b] if k < b else 1.0
        forward(work, own.TRIAL, TALL + 2 * b * WIDE)
        for k in range(count):
            work[own.TRIAL + k] = share_below(work, b, k)
        forward(work, own.TRIAL, TALL + (2 * b + 1) * WIDE)
    if work[scalar.BOUND] > 0.0:
        for k in range(count):
            work[own.TRIAL + k] = 1.0
        forward(work, own.TRIAL, own.ONES)
        for b in range(2 * inner + 2):
            _take_out(work, TALL + b * WIDE, count)


@routine
def _take_out(work: Floats, row: int, count: int) -> None:
    """Make a row orthogonal to that of the bound."""
    product = square = 0.0
    for k in range(count):
        product += work[row + k] * work[own.ONES + k]
        square += work[own.ONES + k] * work[own.ONES + k]
    for k in range(count):
        work[row + k] -= product / square * work[own.ONES + k]


@helper
def _knot_after(work: Floats, b: int, inner: int) -> float:
    """Where a stretch between active knots ends."""
    return work[own.KNOT + int(work[own.ORDER + b])] if b < inner else math.inf


@helper
def _knot_before(work: Floats, b: int) -> float:
    """Where a stretch between active knots begins."""
    return work[own.KNOT + int(work[own.ORDER + b - 1])] if b > 0 else 0.0


@routine
def _inner(work: Floats) -> int:
    """How many active columns are not the level."""
    last = int(work[scalar.COLUMNS]) - 1
    return int(work[scalar.ACTIVE]) - (1 if work[own.POSITION + last] >= 0.0 else 0)


@routine
def leverages(points: Floats, n: int, work: Floats, out: Floats) -> None:
    """Diagonal of the hat matrix of the columns with β > 0: 0 for a point of weight 0.

    Where Σβ = 1 is held, what would change the sum moves no point.
    """
    inner = _inner(work)
    count = int(work[scalar.ACTIVE])
    _write_directions(work, inner)
    b = 0
    for i in range(n):
        c, w = points[3 * i] / work[scalar.SCALE], points[3 * i + 2]
        while c > _knot_after(work, b, inner):
            b += 1
        du = _knot_before(work, b) / c - work[own.MEAN + b]
        first = work[TALL + 2 * b * WIDE : TALL + (2 * b + 1) * WIDE]
        second = work[TALL + (2 * b + 1) * WIDE : TALL + (2 * b + 2) * WIDE]
        square = 0.0
        for k in range(count):
            entry = first[k] + du * second[k]
            square += entry * entry
        out[i] = w * square if w > 0.0 else 0.0


@routine
def _clear_products(work: Floats) -> None:
    count = int(work[scalar.ACTIVE])
    for j in range(count):
        work[own.LAST_STEP + j] = 0.0
        for k in range(j + 1):
            work[GRAM + j * WIDE + k] = 0.0


@routine
def _add_products(work: Floats, first: int, second: int, ff: float, fs: float, ss: float) -> None:
    """Add what the steps within a stretch, sums of two rows of `work`, give to the matrix of their products."""
    for j in range(int(work[scalar.ACTIVE])):
        left = ff * work[first + j] + fs * work[second + j]
        right = fs * work[first + j] + ss * work[second + j]
        row = work[GRAM + j * WIDE : GRAM + (j + 1) * WIDE]
        for k in range(j + 1):
            row[k] += left * work[first + k] + right * work[second + k]


@helper
def _turn(work: Floats) -> tuple[float, float]:
    """Square of a step, and of its difference from the last, whose place it takes."""
    square = turn = 0.0
    for j in range(int(work[scalar.ACTIVE])):
        step, last = work[own.STEP + j], work[own.LAST_STEP + j]
        square += step * step
        turn += (step - last) * (step - last)
        work[own.LAST_STEP + j] = step
    return square, turn


@routine
def write_neumann(points: Floats, n: int, work: Floats, stats: Floats) -> float:
    """The von Neumann ratio of the residuals in order of capital, its mean and its variance by chance.

    Points of one capital count by their mean. The moments are exact for independent errors (Durbin and Watson): with
    the p columns made orthonormal, Q, and A the matrix of squared differences, they need the traces of Q'AQ, Q'A²Q and
    (Q'AQ)². Within a stretch between knots the rows of Q are sums of two vectors, so their steps are as well, and Q'AQ
    takes three products a stretch. Where Σβ = 1 is held there is a column fewer. The Gram matrix is lost.

    Parameters
    ----------
    points, n, work
        Those of :func:`fit`.
    stats : (FIT_STATS,) float64
        Output: NEUMANN, NEUMANN_MEAN and NEUMANN_VARIANCE; NaN with fewer than two degrees of freedom.

    Returns
    -------
    float
        The squares that the ratio is over: of rounding alone there is no pattern.
    """
    inner = _inner(work)
    count = int(work[scalar.ACTIVE])
    _write_directions(work, inner)
    _clear_products(work)
    squares = differences = trace = seconds = ff = fs = ss = 0.0
    groups = 0
    last_z = last_scale = last_part = 0.0
    b = last_b = fine = i = 0
    last = int(work[scalar.COLUMNS]) - 1
    while i < n:
        begin = i
        c = points[3 * i] / work[scalar.SCALE]
        while fine < last and work[own.KNOT + fine] < c:
            fine += 1
        u = work[own.KNOT + fine - 1] / c if fine > 0 else 0.0
        level = work[own.ABOVE + fine] + work[own.BELOW + fine] * u
        weight = residual = 0.0
        while i < n and points[3 * i] == points[3 * begin]:
            w = points[3 * i + 2]
            if w > 0.0:
                weight += w
                residual += w * (points[3 * i + 1] - level)
            i += 1
        if not weight > 0.0:
            continue
        while c > _knot_after(work, b, inner):
            b += 1
        scale = math.sqrt(weight)
        part = scale * (_knot_before(work, b) / c - work[own.MEAN + b])
        z = residual / scale
        squares += z * z
        first, second = TALL + 2 * b * WIDE, TALL + (2 * b + 1) * WIDE
        if groups > 0:
            differences += (z - last_z) * (z - last_z)
            if b == last_b:
                along, across = scale - last_scale, part - last_part
                ff += along * along
                fs += along * across
                ss += across * across
                for j in range(count):
                    work[own.STEP + j] = along * work[first + j] + across * work[second + j]
            else:
                before, beside = TALL + 2 * last_b * WIDE, TALL + (2 * last_b + 1) * WIDE
                _add_products(work, before, beside, ff, fs, ss)
                ff = fs = ss = 0.0
                for j in range(count):
                    here = scale * work[first + j] + part * work[second + j]
                    work[own.STEP + j] = here - (last_scale * work[before + j] + last_part * work[beside + j])
                _add_products(work, own.STEP, own.STEP, 1.0, 0.0, 0.0)
            square, turn = _turn(work)
            trace += square
            seconds += turn
        groups += 1
        last_z, last_scale, last_part, last_b = z, scale, part, b
    _add_products(work, TALL + 2 * last_b * WIDE, TALL + (2 * last_b + 1) * WIDE, ff, fs, ss)
    for j in range(count):
        seconds += work[own.LAST_STEP + j] * work[own.LAST_STEP + j]
    stats[f.NEUMANN] = stats[f.NEUMANN_MEAN] = stats[f.NEUMANN_VARIANCE] = math.nan
    df_resid = groups - count + work[scalar.BOUND]
    if df_resid >= 2.0:
        crossed = 0.0
        for j in range(count):
            for k in range(j):
                crossed += 2.0 * (work[GRAM + j * WIDE + k] * work[GRAM + j * WIDE + k])
            crossed += work[GRAM + j * WIDE + j] * work[GRAM + j * WIDE + j]
        trace = 2.0 * (groups - 1.0) - trace
        trace_2 = (6.0 * groups - 8.0) - 2.0 * seconds + crossed
        stats[f.NEUMANN] = differences / squares if squares > 0.0 else math.inf
        stats[f.NEUMANN_MEAN] = trace / df_resid
        stats[f.NEUMANN_VARIANCE] = (
            2.0 * (df_resid * trace_2 - trace * trace) / (df_resid * df_resid * (df_resid + 2.0))
        )
    return squares
