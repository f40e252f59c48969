"""The ladder: utility in straight steps of falling slope, by non-negative least squares over given knots.

With knots 0 < q_0 < q_1 < … the efficiency is η(C) = Σ β_j·min(C, q_j)/C, and a last term that is β itself: utility
rises by the slope s_j = Σ_{i≥j} β_i between two knots. Least squares with β ≥ 0 and Σβ ≤ 1 is convex, so its optimum is
the global one.

How it is fast
--------------
Between two knots every column is 1 or a multiple of 1/C. All that the search needs of the points are therefore five
sums for each stretch between knots: they give the Gram matrix, and gradients, in a time that does not depend on how
many points there are. The search is Lawson and Hanson's, with a Cholesky factor that grows by a row; where Σβ would
exceed 1, it goes on with Σβ = 1. What it ends with is solved once more by an orthogonal factorisation of the rows, each
stretch of them reduced to two before, and certified by the gradient of the residuals of the points themselves.

In each stretch 1/C is counted in the inverse of the knot before it, so that no range of capital overflows; capitals are
scaled by a power of four, so that no currency that differs by one changes a bit.

References
----------
Lawson, C. L. and Hanson, R. J. (1974), Solving Least Squares Problems, chapter 23.
"""

from __future__ import annotations

import math

from escala.kernels.fitting.ladder_residuals import leverages, write_neumann
from escala.kernels.fitting.ladder_rows import BENDS, FACTOR, own, scalar
from escala.kernels.fitting.ladder_search import begin, finish, join, keep, reduce_rows, sort_active
from escala.kernels.fitting.ladder_sums import describe, follow_beta, multiply, place_knots, sum_up, take_knots
from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    codes_out,
    floats_in,
    floats_out,
    helper,
    integer,
    integers_in,
    integers_out,
    kernel,
    routine,
)
from escala.kernels.layout import FIT_STATS, ROOT
from escala.kernels.layout import fit_status as st
from escala.kernels.layout import root as r


@routine
def _level(points: Floats, n: int, work: Floats) -> None:
    """The ladder without a knot, where all efficiencies are equal."""
    level = 0.0
    for i in range(n):
        if points[3 * i + 2] > 0.0:
            level = points[3 * i + 1]
    work[scalar.COLUMNS] = 1.0
    work[own.INVERSE] = work[scalar.SSE] = 0.0
    begin(points, n, work, 0)
    join(work, 0, level)
    sum_up(points, n, work)
    sort_active(work)
    reduce_rows(points, n, work, 0)
    work[FACTOR] = work[own.HEAD]
    follow_beta(work)
    keep(work)


@routine
def fit(points: Floats, n: int, knots: Floats, work: Floats) -> int:
    """Fit a ladder.

    Parameters
    ----------
    points : (3·n,) float64
        Capital, efficiency and weight of each point in order of capital. Capital is positive; points of weight 0 count
        for nothing.
    n : int
    knots : (k,) float64
        Rising and positive, at most MOST_COLUMNS − 1; with one that is 0, the knots of the rule.
    work : (ladder_work_size(n),) float64
        Keeps the fit for the functions below.

    Returns
    -------
    int
        OK; TOO_FEW_POINTS with fewer than three distinct capitals; CONSTANT, a level, where all efficiencies are equal;
        DEGENERATE where no optimum could be certified.
    """
    status = describe(points, n, work)
    if status == st.TOO_FEW_POINTS:
        return status
    if status == st.CONSTANT:
        _level(points, n, work)
        return status
    if knots.size == 1 and knots[0] == 0.0:
        place_knots(points, n, work)
    else:
        take_knots(knots, work)
    sum_up(points, n, work)
    multiply(work)
    begin(points, n, work, 0)
    status = finish(points, n, work)
    keep(work)
    return status


@routine
def refit(points: Floats, n: int, work: Floats) -> int:
    """Fit with other weights over the same knots, from the active set of :func:`fit`; OK or DEGENERATE.

    The points are those of that fit, with any weights; a point of weight 0 is left out. Where the fit was CONSTANT, or
    no weight is positive, nothing changes.
    """
    weight = 0.0
    for i in range(n):
        weight = max(weight, points[3 * i + 2])
    if (work[scalar.COLUMNS] < 2.0 and work[scalar.SSE] == 0.0) or not weight > 0.0:
        return st.OK
    sum_up(points, n, work)
    multiply(work)
    begin(points, n, work, int(work[scalar.KEPT]))
    return finish(points, n, work)


@routine
def refit_anew(points: Floats, n: int, work: Floats) -> int:
    """Refit as :func:`refit` does, but from an empty active set.

    Where the outermost points are left out, columns become multiples of each other, and what a ladder says at those
    points depends on which of them is taken: this way always the one whose knot is farthest.
    """
    work[scalar.KEPT] = 0.0
    return refit(points, n, work)


@helper
def size(work: Floats) -> int:
    """How many β are positive."""
    return int(work[scalar.ACTIVE])


@helper
def squared_error(work: Floats) -> float:
    """Sum of weighted squared residuals."""
    return work[scalar.SSE]


@routine
def count_steps(work: Floats) -> int:
    """How many steps it has: one more than knots between them."""
    last = int(work[scalar.COLUMNS]) - 1
    return int(work[scalar.ACTIVE]) + (0 if work[own.POSITION + last] >= 0.0 else 1)


@routine
def write_steps(work: Floats, steps: Floats) -> None:
    """Write three rows of :func:`count_steps` numbers: where steps begin, their slopes, utility where they begin."""
    count = count_steps(work)
    last = int(work[scalar.COLUMNS]) - 1
    unit = work[scalar.SCALE]
    slope = work[own.BETA + last]
    for k in range(count - 1, 0, -1):
        column = int(work[own.ORDER + k - 1])
        steps[k] = work[own.KNOT + column]
        steps[count + k] = slope
        slope += work[own.BETA + column]
    steps[0] = 0.0
    steps[count] = min(slope, 1.0)
    utility = 0.0
    for k in range(count):
        steps[2 * count + k] = utility * unit
        if k + 1 < count:
            utility += steps[count + k] * (steps[k + 1] - steps[k])
        steps[k] *= unit


@routine
def fitted(points: Floats, n: int, work: Floats, efficiency: Floats, marginal: Floats) -> None:
    """η and U′ at every point, those of weight 0 included."""
    last = int(work[scalar.COLUMNS]) - 1
    b = 0
    for i in range(n):
        c = points[3 * i] / work[scalar.SCALE]
        while b < last and work[own.KNOT + b] < c:
            b += 1
        u = work[own.KNOT + b - 1] / c if b > 0 else 0.0
        efficiency[i] = min(work[own.ABOVE + b] + work[own.BELOW + b] * u, 1.0)
        marginal[i] = min(work[own.ABOVE + b], 1.0)


@routine
def write_root(points: Floats, n: int, work: Floats, root: Floats) -> None:
    """The uncertainty that is kept: of the level, η, and of the depth, η − U′, as if they had the size of all p slopes.

    The two are made orthogonal over the points and scaled by √(p/2), so that the mean leverage is that of the p
    columns. A ladder without a knot has the level alone.
    """
    last = int(work[scalar.COLUMNS]) - 1
    norm = product = square = 0.0
    for turn in range(2):
        ratio = product / norm if turn > 0 and norm > 0.0 else 0.0
        b = 0
        for i in range(n):
            c, w = points[3 * i] / work[scalar.SCALE], points[3 * i + 2]
            if not w > 0.0:
                continue
            while b < last and work[own.KNOT + b] < c:
                b += 1
            u = work[own.KNOT + b - 1] / c if b > 0 else 0.0
            depth = work[own.BELOW + b] * u
            level = work[own.ABOVE + b] + depth
            if turn == 0:
                norm += w * level * level
                product += w * level * depth
            else:
                rest = depth - ratio * level
                square += w * rest * rest
    count = float(size(work))
    bends = square > BENDS * BENDS * norm
    factor = math.sqrt(0.5 * count) if bends else math.sqrt(count)
    root[r.I0] = factor / math.sqrt(norm) if norm > 0.0 else 0.0
    root[r.M1] = ratio if bends else 0.0
    root[r.I1] = factor / math.sqrt(square) if bends else 0.0
    root[r.M2] = root[r.K] = root[r.I2] = 0.0


@routine
def distances(points: Floats, n: int, work: Floats) -> tuple[float, float]:
    """Sum of weighted absolute residuals, and the largest of those with a positive weight."""
    last = int(work[scalar.COLUMNS]) - 1
    total = worst = 0.0
    b = 0
    for i in range(n):
        c, w = points[3 * i] / work[scalar.SCALE], points[3 * i + 2]
        if not w > 0.0:
            continue
        while b < last and work[own.KNOT + b] < c:
            b += 1
        u = work[own.KNOT + b - 1] / c if b > 0 else 0.0
        distance = abs(points[3 * i + 1] - (work[own.ABOVE + b] + work[own.BELOW + b] * u))
        total += w * distance
        worst = max(worst, distance)
    return total, worst


@kernel(
    integers_in, floats_in, integers_in, floats_in, integers_in,
    floats_in, codes_out, integers_out, integers_out, floats_out, floats_out, floats_out, floats_out, floats_out,
    floats_out, floats_out, integer, integer,
)  # fmt: skip
def ladders(
    offsets: Integers,
    points: Floats,
    knot_offsets: Integers,
    knots: Floats,
    step_offsets: Integers,
    again: Floats,
    status: Codes,
    size_of: Integers,
    n_steps: Integers,
    steps: Floats,
    sse: Floats,
    leverage: Floats,
    root_of: Floats,
    stats: Floats,
    work: Floats,
    scratch: Floats,
    start: int,
    stop: int,
) -> None:
    """Fit the ladders ``start <= i < stop`` over given knots, or over those of the rule.

    Parameters
    ----------
    offsets : (n + 1,) int64
        Instrument i has the points ``offsets[i] <= k < offsets[i + 1]``.
    points : (3·points,) float64
        Capital, efficiency and weight of each point; of an instrument in order of capital.
    knot_offsets : (n + 1,) int64
        Instrument i has the knots ``knot_offsets[i] <= k < knot_offsets[i + 1]``.
    knots : (knots,) float64
        Rising and positive, at most MOST_COLUMNS − 1 an instrument; one that is 0 alone asks for those of the rule.
    step_offsets : (n + 1,) int64
        Where the steps of each instrument go: room for three numbers a point and three more, and 288 are enough.
    again : (points,) or (0,) float64
        Other weights of the points: with them each ladder that was fitted is fitted once more, over its knots and from
        its active set. All outputs are those of the last fit.
    status : (n,) int8
        Output: OK, TOO_FEW_POINTS, CONSTANT or DEGENERATE. What follows is not written where there is no curve.
    size_of, n_steps : (n,) int64
        Outputs: how many β are positive, and how many steps there are.
    steps : (step_offsets[n],) float64
        Output: three rows of `n_steps` numbers an instrument: where steps begin, their slopes, utility there.
    sse : (n,) float64
        Output: sum of weighted squared residuals.
    leverage : (points,) float64
        Output: diagonal of the hat matrix.
    root_of : (n·ROOT,) float64
        Output: see :func:`write_root`.
    stats : (n·FIT_STATS,) float64
        Output: the von Neumann ratio and its moments, NaN for the others.
    work : (ladder_work_size(most points of an instrument),) float64
    scratch : (3 · most points of an instrument,) float64
    start, stop : int
    """
    for i in range(start, stop):
        n = offsets[i + 1] - offsets[i]
        own_points = scratch[: 3 * n]
        for k in range(3 * n):
            own_points[k] = points[3 * offsets[i] + k]
        status[i] = fit(own_points, n, knots[knot_offsets[i] : knot_offsets[i + 1]], work)
        if status[i] != st.OK and status[i] != st.CONSTANT:
            continue
        if again.size > 0:
            for k in range(n):
                own_points[3 * k + 2] = again[offsets[i] + k]
            found = refit(own_points, n, work)
            status[i] = found if status[i] == st.OK else status[i]
        size_of[i] = size(work)
        n_steps[i] = count_steps(work)
        sse[i] = squared_error(work)
        write_steps(work, steps[step_offsets[i] : step_offsets[i + 1]])
        write_root(own_points, n, work, root_of[i * ROOT : (i + 1) * ROOT])
        leverages(own_points, n, work, leverage[offsets[i] : offsets[i + 1]])
        own_stats = stats[i * FIT_STATS : (i + 1) * FIT_STATS]
        for k in range(FIT_STATS):
            own_stats[k] = math.nan
        write_neumann(own_points, n, work, own_stats)
