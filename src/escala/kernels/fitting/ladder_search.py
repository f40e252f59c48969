"""The active set of a ladder's fit, its solutions, and the search for the one that is optimal."""

from __future__ import annotations

import math

from escala.kernels.fitting.ladder_rows import (
    CERTIFIED,
    EPSILON,
    FACTOR,
    GRAM,
    INDEPENDENT,
    INDEPENDENT_ROWS,
    MOST_EXCHANGES,
    ROUNDINGS,
    ROUNDINGS_ROOT_N,
    STATIONARY,
    TALL,
    WIDE,
    own,
    scalar,
)
from escala.kernels.fitting.ladder_sums import entering, follow_residuals, sum_residuals
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import fit_status as st

# --- the active set, and its solution by the Gram matrix --------------------------------------------------------------


@helper
def join(work: Floats, column: int, beta: float) -> None:
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
def forward(work: Floats, given: int, out: int) -> None:
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
        forward(work, own.TRIAL, own.ONES)
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
    forward(work, own.TRIAL, own.FORWARD)
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
def sort_active(work: Floats) -> int:
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
def reduce_rows(points: Floats, n: int, work: Floats, inner: int) -> None:
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
def share_below(work: Floats, b: int, k: int) -> float:
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
            upper[k] = head * (share_below(work, b, k) * mean if k < b else 1.0)
        upper[count] = work[own.RHS_0 + b]
        if b > 0:
            lower = work[TALL + (inner + b) * WIDE : TALL + (inner + b + 1) * WIDE]
            for k in range(count):
                lower[k] = spread * share_below(work, b, k)
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
    inner = sort_active(work)
    reduce_rows(points, n, work, inner)
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
        join(work, column, 0.0)
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
        sum_residuals(work)
        column = entering(work)
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
def finish(points: Floats, n: int, work: Floats) -> int:
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
        follow_residuals(points, n, work)
        column = entering(work)
        if column < 0 or work[scalar.EXCHANGES] >= MOST_EXCHANGES:
            return st.OK if work[scalar.VIOLATION] <= CERTIFIED * work[scalar.SIZE_Y] else st.DEGENERATE
        _enter(points, n, work, column)


@routine
def begin(points: Floats, n: int, work: Floats, kept: int) -> None:
    """Empty the active set, or begin with columns that were kept."""
    for j in range(int(work[scalar.COLUMNS])):
        work[own.BETA + j] = work[own.BLOCKED + j] = 0.0
        work[own.POSITION + j] = -1.0
    work[scalar.ACTIVE] = work[scalar.BOUND] = work[scalar.MULTIPLIER] = work[scalar.EXCHANGES] = 0.0
    work[scalar.EXACT] = 0.0
    work[scalar.STATIONARY] = STATIONARY
    for k in range(kept):
        join(work, int(work[own.KEPT_COLUMN + k]), work[own.KEPT_BETA + k])
    if kept > 0:
        _resolve(points, n, work, 0)
        _settle(points, n, work)


@routine
def keep(work: Floats) -> None:
    """Note the active set, for refits."""
    count = int(work[scalar.ACTIVE])
    for k in range(count):
        work[own.KEPT_COLUMN + k] = work[own.ORDER + k]
        work[own.KEPT_BETA + k] = work[own.BETA + int(work[own.ORDER + k])]
    work[scalar.KEPT] = count
