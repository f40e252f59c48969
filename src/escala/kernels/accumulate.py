"""What remains of a sweep's rows: moments of fixed blocks, histograms over the top bits, and the best rows.

Moments are those of ``BLOCK`` rows each, summed in ``LANES`` lanes: row i of a block goes to lane i mod LANES, and
lanes are added from the first to the last, so the sums depend on the rows of the block alone. They are sums of
differences from the block's first finite value; because that is one of the values, cancellation costs at most a
share of BLOCK·2⁻⁵³ of the sum of squares.
"""

from __future__ import annotations

import math

from escala.kernels.jit import (
    Floats,
    Integers,
    float_rows_in,
    float_rows_out,
    floats_out,
    helper,
    integer,
    integer_rows_in,
    integer_rows_out,
    integers_out,
    kernel,
    routine,
)

BLOCK = 2048  # rows whose sums belong together; a part of a plan is whole blocks, but for the last one
LANES = 64
KEPT_BITS = 19  # sign, exponent and 7 bits of the mantissa
BINS = 1 << KEPT_BITS
DROPPED_BITS = 64 - KEPT_BITS
#: Columns of `moments`, one row a block and output.
MOMENTS = ("finite", "mean", "squares", "lowest", "highest")
WORK_SIZE = 5 * LANES


@helper
def _first_finite(x: Floats) -> float:
    for i in range(x.size):
        if x[i] - x[i] == 0.0:
            return x[i]
    return 0.0


@routine
def _sum_all(x: Floats, origin: float, work: Floats) -> tuple[float, float, float, float]:
    """Sum differences from `origin` and their squares, and find the extremes; right if every value is finite."""
    sums = work[:LANES]
    squares = work[LANES : 2 * LANES]
    lowest = work[2 * LANES : 3 * LANES]
    highest = work[3 * LANES : 4 * LANES]
    sums[:] = 0.0
    squares[:] = 0.0
    lowest[:] = math.inf
    highest[:] = -math.inf
    groups = x.size // LANES
    for g in range(groups):
        group = x[g * LANES : (g + 1) * LANES]
        for j in range(LANES):
            v = group[j]
            d = v - origin
            sums[j] += d
            squares[j] += d * d
            lowest[j] = v if v < lowest[j] else lowest[j]
            highest[j] = v if v > highest[j] else highest[j]
    for i in range(groups * LANES, x.size):
        j = i - groups * LANES
        d = x[i] - origin
        sums[j] += d
        squares[j] += d * d
        lowest[j] = x[i] if x[i] < lowest[j] else lowest[j]
        highest[j] = x[i] if x[i] > highest[j] else highest[j]
    total, square, low, high = 0.0, 0.0, math.inf, -math.inf
    for j in range(LANES):
        total += sums[j]
        square += squares[j]
        low = lowest[j] if lowest[j] < low else low
        high = highest[j] if highest[j] > high else high
    return total, square, low, high


@routine
def _sum_finite(x: Floats, origin: float, work: Floats) -> tuple[float, float, float, float, float]:
    """Do the same, and count, over the finite values; the extremes are those of all values but NaN."""
    sums = work[:LANES]
    squares = work[LANES : 2 * LANES]
    count = work[2 * LANES : 3 * LANES]
    sums[:] = 0.0
    squares[:] = 0.0
    count[:] = 0.0
    low, high = math.inf, -math.inf
    for i in range(x.size):
        v = x[i]
        j = i % LANES
        if v - v == 0.0:
            d = v - origin
            sums[j] += d
            squares[j] += d * d
            count[j] += 1.0
        if v < low:
            low = v
        if v > high:
            high = v
    total, square, finite = 0.0, 0.0, 0.0
    for j in range(LANES):
        total += sums[j]
        square += squares[j]
        finite += count[j]
    return finite, total, square, low, high


@helper
def _count_bins(bits: Integers, histogram: Integers, touched: Integers, marks: int) -> int:
    """Count each value's bin; remember the bins that were empty."""
    for i in range(bits.size):
        b = (bits[i] >> DROPPED_BITS) & (BINS - 1)
        count = histogram[b]
        if count == 0:
            touched[marks] = b
            marks += 1
        histogram[b] = count + 1
    return marks


@routine
def _keep_highest(x: Floats, sign: float, first: int, values: Floats, rows: Integers) -> None:
    """Keep the highest values of ``sign·x`` in falling order, and their rows; of equals the first one stays ahead."""
    last = values.size - 1
    for i in range(x.size):
        v = sign * x[i]
        if v > values[last]:
            k = last
            while k > 0 and v > values[k - 1]:
                values[k] = values[k - 1]
                rows[k] = rows[k - 1]
                k -= 1
            values[k] = v
            rows[k] = first + i


@kernel(
    float_rows_in, integer_rows_in, integer_rows_out, integer_rows_out, integers_out, float_rows_out, float_rows_out,
    integer_rows_out, floats_out, integer, integer,
)  # fmt: skip
def accumulate(
    table: Floats,
    bits: Integers,
    histogram: Integers,
    touched: Integers,
    marks: Integers,
    moments: Floats,
    best: Floats,
    best_rows: Integers,
    work: Floats,
    start: int,
    stop: int,
) -> None:
    """Take in the rows ``start <= i < stop`` of every output.

    Parameters
    ----------
    table : (m, at least stop − start) float64
        One row an output; column 0 belongs to row `start`, a multiple of BLOCK.
    bits : like `table`, int64
        The same memory, seen as integers.
    histogram : (m, BINS) int64
        Counts by the top bits of the value; increased.
    touched, marks : (m, BINS) int64 and (m,) int64
        Bins that are not empty, in order of appearance, and how many there are; increased.
    moments : (blocks·m, len(MOMENTS)) float64
        Output, m rows a block: count, mean and sum of squared deviations of the finite values, extremes of all but NaN.
    best, best_rows : (2·m, k) float64 and int64
        The k highest values of each output in falling order and, in the row after, those of its negative; and where
        they are. −inf and −1 where there are fewer. Improved.
    work : (WORK_SIZE,) float64
        Workspace.
    """
    outputs = table.shape[0]
    last = best.shape[1] - 1
    for begin in range(0, stop - start, BLOCK):
        end = min(begin + BLOCK, stop - start)
        block = begin // BLOCK
        for o in range(outputs):
            x = table[o, begin:end]
            origin = _first_finite(x)
            finite = float(end - begin)
            total, square, low, high = _sum_all(x, origin, work)
            if not (total - total == 0.0 and square - square == 0.0):
                finite, total, square, low, high = _sum_finite(x, origin, work)
            found = moments[block * outputs + o]
            found[0] = finite
            found[1] = origin + total / finite if finite > 0.0 else 0.0
            deviations = square - total * (total / finite) if 0.0 < square < math.inf else square
            found[2] = 0.0 if deviations < 0.0 else deviations
            found[3] = low
            found[4] = high
            if last >= 0 and high > best[2 * o, last]:
                _keep_highest(x, 1.0, start + begin, best[2 * o], best_rows[2 * o])
            if last >= 0 and -low > best[2 * o + 1, last]:
                _keep_highest(x, -1.0, start + begin, best[2 * o + 1], best_rows[2 * o + 1])
            marks[o] = _count_bins(bits[o, begin:end], histogram[o], touched[o], marks[o])


@kernel(float_rows_in, integer, float_rows_out, floats_out, integer, integer)
def moments(table: Floats, width: int, found: Floats, work: Floats, start: int, stop: int) -> None:
    """Sum up the rows ``start <= i < stop`` of a table, block by block as :func:`accumulate` does.

    Parameters
    ----------
    table : (n, at least width) float64
    width : int64
        Columns that count.
    found : (n·blocks, len(MOMENTS)) float64
        Output, the blocks of a row one after the other.
    work : (WORK_SIZE,) float64
        Workspace.
    """
    blocks = (width + BLOCK - 1) // BLOCK
    for i in range(start, stop):
        for b in range(blocks):
            x = table[i, b * BLOCK : min((b + 1) * BLOCK, width)]
            origin = _first_finite(x)
            finite = float(x.size)
            total, square, low, high = _sum_all(x, origin, work)
            if not (total - total == 0.0 and square - square == 0.0):
                finite, total, square, low, high = _sum_finite(x, origin, work)
            into = found[i * blocks + b]
            into[0] = finite
            into[1] = origin + total / finite if finite > 0.0 else 0.0
            deviations = square - total * (total / finite) if 0.0 < square < math.inf else square
            into[2] = 0.0 if deviations < 0.0 else deviations
            into[3] = low
            into[4] = high
