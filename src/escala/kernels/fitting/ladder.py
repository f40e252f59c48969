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
Lawson, C. L. and Hanson, R. J. (1974), Solving Least Squares Problems, chapter 23. Durbin, J. and Watson, G. S. (1971),
Testing for serial correlation in least squares regression III, Biometrika 58.
"""

from __future__ import annotations

import math

import numpy as np

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
from escala.kernels.layout import FIT_STATS, ROOT, rows
from escala.kernels.layout import fit_stats as f
from escala.kernels.layout import fit_status as st
from escala.kernels.layout import root as r
from escala.kernels.special import exp, log

#: Most points of the geometric rule for knots; both ends are counted, so that there are two inner knots fewer.
MOST_KNOTS = 96
PER_DECADE = 16.0
LOG10_E = 0.4342944819032518
GUARD = 1e-9  # of the rule: a range that rounding takes over a whole number of knots has no knot more
#: Most columns: one for each inner knot, and the level.
MOST_COLUMNS = MOST_KNOTS - 1
#: Columns that may enter or leave the active set before the search is given up.
MOST_EXCHANGES = 3 * MOST_COLUMNS
LEAST_CAPITALS = 3
#: Share of a column's square that must not lie in the span of those before: by the Gram matrix, and by rows.
INDEPENDENT, INDEPENDENT_ROWS = 1e-13, 1e-26
#: A gradient, over the norms of its column and of the efficiencies, that counts as none by the sums of the stretches.
STATIONARY = 1e-12
#: The same by rows, in units of rounding and of rounding times √n; and what is certified.
ROUNDINGS, ROUNDINGS_ROOT_N, CERTIFIED = 32.0, 2.0, 1e-10
#: Share of η that η − U′ must have for a second direction of uncertainty.
BENDS = 1e-10
EPSILON = 2.0**-52

#: Numbers in a row of the workspace, and in a row of its matrices.
WIDE = MOST_KNOTS

scalar = rows(
    "distinct",
    "scale",  # the power of four that capitals are divided by
    "columns",
    "active",  # how many columns have β > 0
    "bound",  # 1 where Σβ = 1 is held
    "multiplier",  # its Lagrange multiplier
    "size_y",  # √Σwy²
    "exchanges",
    "exact",  # 1 where solutions are by rows
    "stationary",  # what counts as no gradient
    "violation",  # largest gradient of a column that is not active
    "sse",
    "kept",  # as `active`, of the set that a refit begins with
)
own = rows(
    "knot",
    "inverse",  # 1/knot, 0 for the level
    "s0", "s1", "s2", "y0", "y1",  # of each stretch: Σw, Σwu, Σwu², Σwy, Σwyu, u = (knot before)/C
    "tail",  # of each column: Σw(knot/C)² over all stretches behind it
    "target",  # Σwy·column
    "norm",  # of each column
    "gradient",
    "beta", "position", "blocked",  # of each column: β, its place in the active set or −1, whether it was refused
    "above",  # of each stretch: Σβ of the columns whose knots lie above it
    "below",  # and Σβ·knot of those below, over the knot before
    "r0", "r1",  # Σwr and Σwru
    "order", "trial", "ones",  # of the active set by place: column, new β, the bound's row
    "forward",
    "kept_column", "kept_beta",
    "head", "mean", "spread", "rhs_0", "rhs_1",  # of each stretch between active knots: its two rows
    "step", "last_step",  # of `write_neumann`: how the orthogonal factor changes from one capital to the next
    first=scalar.END, lanes=WIDE,
)  # fmt: skip
#: Behind the rows three matrices: of Gram, the lower triangle of the factor, and the rows of the last solve.
GRAM = own.END
FACTOR = GRAM + WIDE * WIDE
TALL = FACTOR + WIDE * WIDE


def ladder_work_size(most_points: int) -> int:
    """Count the float64 elements of `work` for instruments of at most so many points."""
    return TALL + (2 * min(most_points, MOST_COLUMNS) + 2) * WIDE


# --- knots ------------------------------------------------------------------------------------------------------------


@helper
def _power_of_four(x: float) -> float:
    """The largest power of four up to a positive normal number."""
    exponent = ((np.float64(x).view(np.int64) >> 52) - 1023) & -2
    result: float = np.int64((exponent + 1023) << 52).view(np.float64)
    return result


@routine
def _describe(points: Floats, n: int, work: Floats) -> int:
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
def _place_knots(points: Floats, n: int, work: Floats) -> None:
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
def _take_knots(knots: Floats, work: Floats) -> None:
    for k in range(knots.size):
        work[own.KNOT + k] = knots[k] / work[scalar.SCALE]
    work[scalar.COLUMNS] = knots.size + 1


# --- sums of the points -----------------------------------------------------------------------------------------------


@routine
def _sum_up(points: Floats, n: int, work: Floats) -> None:
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
def _multiply(work: Floats) -> None:
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
def _follow_beta(work: Floats) -> None:
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
def _sum_residuals(work: Floats) -> None:
    """Sums of the residuals of each stretch, from the sums of its points."""
    _follow_beta(work)
    for b in range(int(work[scalar.COLUMNS])):
        above, below = work[own.ABOVE + b], work[own.BELOW + b]
        work[own.R0 + b] = work[own.Y0 + b] - above * work[own.S0 + b] - below * work[own.S1 + b]
        work[own.R1 + b] = work[own.Y1 + b] - above * work[own.S1 + b] - below * work[own.S2 + b]


@routine
def _follow_residuals(points: Floats, n: int, work: Floats) -> None:
    """The same from the residuals of the points, and their squares."""
    _follow_beta(work)
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
def _entering(work: Floats) -> int:
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


# --- the active set, and its solution by the Gram matrix --------------------------------------------------------------


@helper
def _join(work: Floats, column: int, beta: float) -> None:
    """Put a column at the end of the active set."""
    count = int(work[scalar.ACTIVE])
    work[own.ORDER + count] = column
    work[own.POSITION + column] = count
    work[own.BETA + column] = beta
    work[scalar.ACTIVE] = count + 1


@routine
def _leave(work: Floats, place: int) -> None:
    """Take a column out of the active set; those behind it move up."""
    count = int(work[scalar.ACTIVE]) - 1
    column = int(work[own.ORDER + place])
    work[own.POSITION + column] = -1.0
    work[own.BETA + column] = 0.0
    for k in range(place, count):
        moved = work[own.ORDER + k + 1]
        work[own.ORDER + k] = moved
        work[own.POSITION + int(moved)] = k
    work[scalar.ACTIVE] = count
    work[scalar.EXCHANGES] += 1.0


@routine
def _factor(work: Floats, start: int) -> int:
    """Rows of Cholesky's factor from one place on; returns the first place that depends on those before, or −1."""
    for i in range(start, int(work[scalar.ACTIVE])):
        column = int(work[own.ORDER + i])
        row = work[FACTOR + i * WIDE : FACTOR + (i + 1) * WIDE]
        for k in range(i + 1):
            other = work[FACTOR + k * WIDE : FACTOR + (k + 1) * WIDE]
            rest = work[GRAM + column * WIDE + int(work[own.ORDER + k])]
            for m in range(k):
                rest -= row[m] * other[m]
            if k < i:
                row[k] = rest / other[k]
            elif rest > INDEPENDENT * work[GRAM + column * WIDE + column]:
                row[k] = math.sqrt(rest)
            else:
                return i
    return -1


@routine
def _forward(work: Floats, given: int, out: int) -> None:
    """Solve with the factor; what is given lies by place."""
    for i in range(int(work[scalar.ACTIVE])):
        row = work[FACTOR + i * WIDE : FACTOR + (i + 1) * WIDE]
        rest = work[given + i]
        for m in range(i):
            rest -= row[m] * work[out + m]
        work[out + i] = rest / row[i]


@routine
def _backward(work: Floats) -> None:
    """New β from the forward solution, on Σβ = 1 where that is held."""
    count = int(work[scalar.ACTIVE])
    work[scalar.MULTIPLIER] = 0.0
    if work[scalar.BOUND] > 0.0:
        for i in range(count):
            work[own.TRIAL + i] = 1.0
        _forward(work, own.TRIAL, own.ONES)
        product = square = 0.0
        for i in range(count):
            product += work[own.ONES + i] * work[own.FORWARD + i]
            square += work[own.ONES + i] * work[own.ONES + i]
        multiplier = (product - 1.0) / square
        work[scalar.MULTIPLIER] = multiplier
        for i in range(count):
            work[own.FORWARD + i] -= multiplier * work[own.ONES + i]
    for i in range(count):
        work[own.TRIAL + i] = work[own.FORWARD + i]
    for i in range(count - 1, -1, -1):
        row = work[FACTOR + i * WIDE : FACTOR + (i + 1) * WIDE]
        beta = work[own.TRIAL + i] / row[i]
        work[own.TRIAL + i] = beta
        for m in range(i):
            work[own.TRIAL + m] -= beta * row[m]


@routine
def _solve(work: Floats) -> None:
    """New β on the active set, from its factor."""
    for i in range(int(work[scalar.ACTIVE])):
        work[own.TRIAL + i] = work[own.TARGET + int(work[own.ORDER + i])]
    _forward(work, own.TRIAL, own.FORWARD)
    _backward(work)


@routine
def _spread_out(work: Floats) -> None:
    """Bring Σβ to 1 where that is held."""
    if work[scalar.BOUND] == 0.0:
        return
    total = 0.0
    for i in range(int(work[scalar.ACTIVE])):
        total += work[own.BETA + int(work[own.ORDER + i])]
    for i in range(int(work[scalar.ACTIVE])):
        work[own.BETA + int(work[own.ORDER + i])] /= total


# --- its solution by rows ---------------------------------------------------------------------------------------------


@routine
def _sort_active(work: Floats) -> int:
    """Order the active set by knot; returns how many of its columns are not the level."""
    count = 0
    last = int(work[scalar.COLUMNS]) - 1
    for j in range(last + 1):
        if work[own.POSITION + j] >= 0.0:
            work[own.ORDER + count] = j
            work[own.POSITION + j] = count
            count += 1
    return count - 1 if work[own.POSITION + last] >= 0.0 else count


@routine
def _reduce(points: Floats, n: int, work: Floats, inner: int) -> None:
    """Two rows for each stretch between active knots: √Σw·(1, mean of u), and √Σw(u − mean)² times (0, 1)."""
    i = 0
    for b in range(inner + 1):
        lower = work[own.KNOT + int(work[own.ORDER + b - 1])] if b > 0 else 0.0
        upper = work[own.KNOT + int(work[own.ORDER + b])] if b < inner else math.inf
        begin = i
        weight = first = mean_y = 0.0
        while i < n and points[3 * i] / work[scalar.SCALE] <= upper:
            w = points[3 * i + 2]
            if w > 0.0:
                weight += w
                first += w * (lower / (points[3 * i] / work[scalar.SCALE]))
                mean_y += w * points[3 * i + 1]
            i += 1
        mean = first / weight if weight > 0.0 else 0.0
        mean_y = mean_y / weight if weight > 0.0 else 0.0
        rest = rest_y = 0.0
        for k in range(begin, i):
            w = points[3 * k + 2]
            if w > 0.0:
                rest += w * (lower / (points[3 * k] / work[scalar.SCALE]) - mean)
                rest_y += w * (points[3 * k + 1] - mean_y)
        mean += rest / weight if weight > 0.0 else 0.0
        mean_y += rest_y / weight if weight > 0.0 else 0.0
        second = product = 0.0
        for k in range(begin, i):
            w = points[3 * k + 2]
            if w > 0.0:
                du = lower / (points[3 * k] / work[scalar.SCALE]) - mean
                second += w * du * du
                product += w * du * (points[3 * k + 1] - mean_y)
        spread = math.sqrt(second)
        work[own.HEAD + b] = math.sqrt(weight)
        work[own.MEAN + b] = mean
        work[own.SPREAD + b] = spread
        work[own.RHS_0 + b] = math.sqrt(weight) * mean_y
        work[own.RHS_1 + b] = product / spread if spread > 0.0 else 0.0


@helper
def _share_below(work: Floats, b: int, k: int) -> float:
    """The knot of an active column below a stretch, in the knot before the stretch; 0 for those above."""
    if k >= b:
        return 0.0
    return work[own.KNOT + int(work[own.ORDER + k])] * work[own.INVERSE + int(work[own.ORDER + b - 1])]


@routine
def _fill_rows(work: Floats, inner: int) -> None:
    """The reduced rows over the active columns, and the efficiencies as the column behind them."""
    count = int(work[scalar.ACTIVE])
    for b in range(inner + 1):
        head, mean, spread = work[own.HEAD + b], work[own.MEAN + b], work[own.SPREAD + b]
        upper = work[TALL + b * WIDE : TALL + (b + 1) * WIDE]
        for k in range(count):
            upper[k] = head * (_share_below(work, b, k) * mean if k < b else 1.0)
        upper[count] = work[own.RHS_0 + b]
        if b > 0:
            lower = work[TALL + (inner + b) * WIDE : TALL + (inner + b + 1) * WIDE]
            for k in range(count):
                lower[k] = spread * _share_below(work, b, k)
            lower[count] = work[own.RHS_1 + b]


@routine
def _rotate(work: Floats, inner: int) -> int:
    """Householder's factorisation of the reduced rows; the first place that depends on those before, or −1.

    Leaves its triangle, transposed, as the factor, and what the efficiencies become as the forward solution.
    """
    _fill_rows(work, inner)
    count = int(work[scalar.ACTIVE])
    height = 2 * inner + 1
    for k in range(count):
        square = 0.0
        for i in range(k, height):
            square += work[TALL + i * WIDE + k] * work[TALL + i * WIDE + k]
        norm = work[own.NORM + int(work[own.ORDER + k])]
        if not square > INDEPENDENT_ROWS * norm * norm:
            return k
        length = math.sqrt(square)
        pivot = work[TALL + k * WIDE + k]
        length = length if pivot > 0.0 else -length
        work[TALL + k * WIDE + k] = pivot + length
        scale = 1.0 / (length * (pivot + length))
        for j in range(k + 1, count + 1):
            work[own.TRIAL + j] = 0.0
        for i in range(k, height):
            row = work[TALL + i * WIDE : TALL + (i + 1) * WIDE]
            for j in range(k + 1, count + 1):
                work[own.TRIAL + j] += row[k] * row[j]
        for i in range(k, height):
            row = work[TALL + i * WIDE : TALL + (i + 1) * WIDE]
            factor = row[k] * scale
            for j in range(k + 1, count + 1):
                row[j] -= factor * work[own.TRIAL + j]
        sign = -1.0 if length > 0.0 else 1.0
        work[FACTOR + k * WIDE + k] = abs(length)
        for j in range(k + 1, count):
            work[FACTOR + j * WIDE + k] = sign * work[TALL + k * WIDE + j]
        work[own.FORWARD + k] = sign * work[TALL + k * WIDE + count]
    return -1


@routine
def _factor_rows(points: Floats, n: int, work: Floats) -> int:
    """Factor the rows of the active set, in order of its knots."""
    inner = _sort_active(work)
    _reduce(points, n, work, inner)
    return _rotate(work, inner)


# --- the search -------------------------------------------------------------------------------------------------------


@routine
def _resolve(points: Floats, n: int, work: Floats, start: int) -> None:
    """Factor anew, by the Gram matrix from a place on or by rows, and solve; columns that depend on others leave."""
    exact = work[scalar.EXACT] > 0.0
    dependent = _factor_rows(points, n, work) if exact else _factor(work, start)
    while dependent >= 0:
        _leave(work, dependent)
        _spread_out(work)
        dependent = _factor_rows(points, n, work) if exact else _factor(work, dependent)
    if exact:
        _backward(work)
    else:
        _solve(work)


@routine
def _settle(points: Floats, n: int, work: Floats) -> None:
    """Go to the new β; where one would fall to 0, as far as that, without its column, and on to the next solution."""
    while True:
        count = int(work[scalar.ACTIVE])
        step = 1.0
        first = -1
        for i in range(count):
            trial, beta = work[own.TRIAL + i], work[own.BETA + int(work[own.ORDER + i])]
            if not trial > 0.0 and (first < 0 or beta / (beta - trial) < step):
                step = beta / (beta - trial)
                first = i
        if first < 0:
            for i in range(count):
                work[own.BETA + int(work[own.ORDER + i])] = work[own.TRIAL + i]
            return
        for i in range(count):
            column = int(work[own.ORDER + i])
            work[own.BETA + column] += step * (work[own.TRIAL + i] - work[own.BETA + column])
        work[own.BETA + int(work[own.ORDER + first])] = 0.0
        for i in range(count - 1, -1, -1):
            if not work[own.BETA + int(work[own.ORDER + i])] > 0.0:
                _leave(work, i)
                first = min(first, i)
        _resolve(points, n, work, first)


@routine
def _unblock(work: Floats) -> None:
    for j in range(int(work[scalar.COLUMNS])):
        work[own.BLOCKED + j] = 0.0


@routine
def _enter(points: Floats, n: int, work: Floats, column: int) -> None:
    """Let a column into the active set; one that rounding alone made look good is refused until another came in."""
    count = int(work[scalar.ACTIVE])
    exact = work[scalar.EXACT] > 0.0
    work[scalar.EXCHANGES] += 1.0
    refused = count >= work[scalar.DISTINCT]
    if not refused:
        _join(work, column, 0.0)
        refused = (_factor_rows(points, n, work) if exact else _factor(work, count)) >= 0
        if not refused:
            if exact:
                _backward(work)
            else:
                _solve(work)
            refused = not work[own.TRIAL + int(work[own.POSITION + column])] > 0.0
        if refused:
            _leave(work, int(work[own.POSITION + column]))
    if refused:
        work[own.BLOCKED + column] = 1.0
        return
    _unblock(work)
    _settle(points, n, work)


@routine
def _search(points: Floats, n: int, work: Floats) -> None:
    """Let columns in, one by one, until no gradient is positive by the sums of the stretches."""
    while work[scalar.EXCHANGES] < MOST_EXCHANGES:
        _sum_residuals(work)
        column = _entering(work)
        if column < 0:
            return
        _enter(points, n, work, column)


@routine
def _hold_the_sum(work: Floats) -> bool:
    """Turn to Σβ = 1 where the sum exceeds it; tell whether that is new."""
    total = 0.0
    for j in range(int(work[scalar.COLUMNS])):
        total += work[own.BETA + j]
    if work[scalar.BOUND] > 0.0 or not total > 1.0:
        return False
    work[scalar.BOUND] = 1.0
    _unblock(work)
    _spread_out(work)
    return True


@routine
def _finish(points: Floats, n: int, work: Floats) -> int:
    """Search by sums, then by rows until no gradient of the points' own residuals is positive."""
    _search(points, n, work)
    if _hold_the_sum(work):
        _resolve(points, n, work, 0)
        _settle(points, n, work)
        _search(points, n, work)
    work[scalar.EXACT] = 1.0
    _unblock(work)
    work[scalar.STATIONARY] = EPSILON * (ROUNDINGS + ROUNDINGS_ROOT_N * math.sqrt(float(n)))
    while True:
        _resolve(points, n, work, 0)
        _settle(points, n, work)
        if _hold_the_sum(work):
            continue
        _follow_residuals(points, n, work)
        column = _entering(work)
        if column < 0 or work[scalar.EXCHANGES] >= MOST_EXCHANGES:
            return st.OK if work[scalar.VIOLATION] <= CERTIFIED * work[scalar.SIZE_Y] else st.DEGENERATE
        _enter(points, n, work, column)


@routine
def _start(points: Floats, n: int, work: Floats, kept: int) -> None:
    """Empty the active set, or begin with columns that were kept."""
    for j in range(int(work[scalar.COLUMNS])):
        work[own.BETA + j] = work[own.BLOCKED + j] = 0.0
        work[own.POSITION + j] = -1.0
    work[scalar.ACTIVE] = work[scalar.BOUND] = work[scalar.MULTIPLIER] = work[scalar.EXCHANGES] = 0.0
    work[scalar.EXACT] = 0.0
    work[scalar.STATIONARY] = STATIONARY
    for k in range(kept):
        _join(work, int(work[own.KEPT_COLUMN + k]), work[own.KEPT_BETA + k])
    if kept > 0:
        _resolve(points, n, work, 0)
        _settle(points, n, work)


@routine
def _keep(work: Floats) -> None:
    """Note the active set, for refits."""
    count = int(work[scalar.ACTIVE])
    for k in range(count):
        work[own.KEPT_COLUMN + k] = work[own.ORDER + k]
        work[own.KEPT_BETA + k] = work[own.BETA + int(work[own.ORDER + k])]
    work[scalar.KEPT] = count


@routine
def _level(points: Floats, n: int, work: Floats) -> None:
    """The ladder without a knot, where all efficiencies are equal."""
    level = 0.0
    for i in range(n):
        if points[3 * i + 2] > 0.0:
            level = points[3 * i + 1]
    work[scalar.COLUMNS] = 1.0
    work[own.INVERSE] = work[scalar.SSE] = 0.0
    _start(points, n, work, 0)
    _join(work, 0, level)
    _sum_up(points, n, work)
    _sort_active(work)
    _reduce(points, n, work, 0)
    work[FACTOR] = work[own.HEAD]
    _follow_beta(work)
    _keep(work)


# --- what others call -------------------------------------------------------------------------------------------------


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
    status = _describe(points, n, work)
    if status == st.TOO_FEW_POINTS:
        return status
    if status == st.CONSTANT:
        _level(points, n, work)
        return status
    if knots.size == 1 and knots[0] == 0.0:
        _place_knots(points, n, work)
    else:
        _take_knots(knots, work)
    _sum_up(points, n, work)
    _multiply(work)
    _start(points, n, work, 0)
    status = _finish(points, n, work)
    _keep(work)
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
    _sum_up(points, n, work)
    _multiply(work)
    _start(points, n, work, int(work[scalar.KEPT]))
    return _finish(points, n, work)


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


@routine
def _write_directions(work: Floats, inner: int) -> None:
    """For each stretch the two rows of the orthogonal factor, of which those of its points are made.

    A point's row is √w·(first + (u − mean)·second). Where Σβ = 1 is held, what would change the sum is taken out.
    """
    count = int(work[scalar.ACTIVE])
    for b in range(inner + 1):
        for k in range(count):
            work[own.TRIAL + k] = _share_below(work, b, k) * work[own.MEAN + b] if k < b else 1.0
        _forward(work, own.TRIAL, TALL + 2 * b * WIDE)
        for k in range(count):
            work[own.TRIAL + k] = _share_below(work, b, k)
        _forward(work, own.TRIAL, TALL + (2 * b + 1) * WIDE)
    if work[scalar.BOUND] > 0.0:
        for k in range(count):
            work[own.TRIAL + k] = 1.0
        _forward(work, own.TRIAL, own.ONES)
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


# --- residuals in order of capital ------------------------------------------------------------------------------------


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


# --- ladders over given knots -----------------------------------------------------------------------------------------


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
