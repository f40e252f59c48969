"""Records that stand alone, far off what their neighbours along capital allow: no curve is needed to see them.

Efficiency does not rise with capital and utility does not fall, so a record lies between what the three records before
it and the three behind it say; the first and the last lie between a neighbour's efficiency and what a neighbour's
utility leaves of it. How far records depart from between their two neighbours, by the median of the nearest 21, is the
noise there. A record is suspect if it lies outside by more than any of n errors with tails as heavy as those of
Student's distribution with four degrees of freedom would: that tail is at most 3/k⁴ (its density is at most 12/t⁵), so
that one of n exceeds k = (6·n/RARE)^¼ in either direction with a probability of at most RARE.

References
----------
Hampel, F. R. (1974), The influence curve and its role in robust estimation, Journal of the American Statistical
Association 69, 383–393 (medians of neighbours and of distances).
"""

from __future__ import annotations

import math

from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    codes_out,
    float_rows_out,
    floats_in,
    floats_out,
    helper,
    integer,
    integer_rows_out,
    integers_in,
    integers_out,
    kernel,
    routine,
)
from escala.kernels.layout import rows
from escala.kernels.noise.load import gather
from escala.kernels.noise.quantiles import sort
from escala.kernels.noise.rows import tag

#: Fewest records among which one may be suspect, and neighbours by rank that tell the noise at it.
FEWEST, NEIGHBOURS = 8, 21
#: Efficiency a record must at least be off by; and either by this much, or it is less than a share of what is allowed.
STEP, FAR, SHARE = 0.05, 0.2, 0.5
#: Probability that one of n errors with heavy tails is taken for an absurd one.
RARE = 1e-3
#: Median distance of one of three normal errors from between the other two, in their standard deviation.
MEDIAN = 0.3136
#: Noise below this is not told from rounding.
FLOOR = 1e-5

#: Records in order of capital, and how far each departs from between its two neighbours.
along = rows("capital", "efficiency", "departure")


@helper
def _between(a: float, b: float, c: float) -> float:
    """Give the middle one of three numbers."""
    return max(min(a, b), min(max(a, b), c))


@helper
def _before(y: Floats, i: int) -> float:
    """Give the median of up to three records before one."""
    if i >= 3:
        return _between(y[i - 1], y[i - 2], y[i - 3])
    return 0.5 * (y[0] + y[1]) if i == 2 else y[0]


@helper
def _behind(y: Floats, i: int, n: int) -> float:
    """Give the median of up to three records behind one."""
    if i + 3 < n:
        return _between(y[i + 1], y[i + 2], y[i + 3])
    return 0.5 * (y[n - 2] + y[n - 1]) if i + 3 == n else y[n - 1]


@helper
def off(y: float, low: float, high: float) -> float:
    """Give how far an efficiency lies outside of what is allowed; 0 where that is not absurd."""
    distance = max(low - y, y - high)
    absurd = distance > STEP and (distance > FAR or y < SHARE * low or high < SHARE * y)
    return distance if absurd else 0.0


@helper
def _distance(c: Floats, y: Floats, i: int, n: int) -> float:
    """Give how far a record is off what its neighbours allow."""
    if i == 0:
        low = max(_behind(y, 0, n), y[1])
        return off(y[0], low, max(low, min(c[1] * y[1], min(c[2] * y[2], c[3] * y[3])) / c[0]))
    if i == n - 1:
        high = min(_before(y, i), y[i - 1])
        utility = max(c[i - 1] * y[i - 1], max(c[i - 2] * y[i - 2], c[i - 3] * y[i - 3]))
        return off(y[i], min(high, utility / c[i]), high)
    before, behind = _before(y, i), _behind(y, i, n)
    return off(y[i], min(before, max(behind, y[i + 1])), max(behind, min(before, y[i - 1])))


@routine
def _noise(departure: Floats, i: int, n: int, near: Floats) -> float:
    """Give the noise at a record: the median departure of neighbours that the record itself has no part in."""
    width = min(NEIGHBOURS, n)
    first = min(max(i - width // 2, 0), n - width)
    m = 0
    for j in range(max(first, 1), min(first + width, n - 1)):
        if j < i - 1 or j > i + 1:
            near[m] = departure[j]
            m += 1
    sort(near[:m])
    return max(0.5 * (near[(m - 1) // 2] + near[m // 2]) / MEDIAN, FLOOR)


@routine
def _suspects(c: Floats, y: Floats, n: int, departure: Floats, near: Floats, found: Integers) -> int:
    """Find the suspects among records in order of capital; returns how many, and their places in `found`."""
    for i in range(1, n - 1):
        below, above = min(y[i - 1], y[i + 1]), max(y[i - 1], y[i + 1])
        departure[i] = max(0.0, max(below - y[i], y[i] - above))
    most = math.sqrt(math.sqrt(6.0 * n / RARE))
    m = 0
    for i in range(n):
        distance = _distance(c, y, i, n)
        if distance > 0.0 and distance > most * _noise(departure, i, n, near):
            found[m] = i
            m += 1
    return m


@helper
def _is_smooth(capital: Floats, efficiency: Floats, weight: Floats, start: int, stop: int) -> bool:
    """Tell whether no record can be a suspect: cheap, and true of most records that come in order of capital.

    A suspect other than the last lies below one of the three behind it, or above one of the three before it, by a step:
    one rise among these three is at least a third of it.
    """
    lowest = highest = efficiency[start]
    rough = 0
    for k in range(start + 1, stop):
        lowest, highest = min(lowest, efficiency[k]), max(highest, efficiency[k])
        rough |= int(capital[k] <= capital[k - 1]) | int(efficiency[k] - efficiency[k - 1] > STEP / 4.0)
    if highest - lowest <= STEP:
        return True
    for k in range(start, stop if weight.size > 0 else start):
        rough |= int(weight[k] == 0.0)
    if rough != 0:
        return False
    c, y, n = capital[start:stop], efficiency[start:stop], stop - start
    return _distance(c, y, 0, n) == 0.0 and _distance(c, y, n - 1, n) == 0.0


@kernel(
    integers_in,
    floats_in,
    floats_in,
    floats_in,
    integers_in,
    codes_out,
    integers_out,
    floats_out,
    float_rows_out,
    floats_out,
    integer_rows_out,
    integer,
    integer,
)
def outliers(
    offsets: Integers,
    capital: Floats,
    efficiency: Floats,
    weight: Floats,
    none: Integers,
    marks: Codes,
    counts: Integers,
    points: Floats,
    table: Floats,
    near: Floats,
    tags: Integers,
    start: int,
    stop: int,
) -> None:
    """Mark the suspects among the records of instruments.

    Parameters
    ----------
    offsets : (instruments + 1,) int64
        Where the records of each begin.
    capital, efficiency : (records,) float64
        In any order.
    weight : (records,) or (0,) float64
        Records of weight 0 are not looked at.
    none : (0,) int64
        Groups that records have not.
    marks : (records,) int8
        Output, of instruments with suspects only: 1 for a suspect, 0 for others.
    counts : (instruments,) int64
        Output: suspects.
    points, table, near : (3·most,), (along.END, most), (NEIGHBOURS,) float64
    tags : (tag.END, most) int64
        Work, for the most records that an instrument has.
    """
    c, y, departure = table[along.CAPITAL], table[along.EFFICIENCY], table[along.DEPARTURE]
    places, found = tags[tag.PLACE], tags[tag.FOLD]
    for i in range(start, stop):
        counts[i] = 0
        begin, end = offsets[i], offsets[i + 1]
        if end - begin < FEWEST or _is_smooth(capital, efficiency, weight, begin, end):
            continue
        n = gather(capital, efficiency, weight, none, none, begin, end, points, tags)
        if n < FEWEST:
            continue
        for k in range(n):
            c[k], y[k] = points[3 * k], points[3 * k + 1]
        counts[i] = _suspects(c, y, n, departure, near, found)
        if counts[i] > 0:
            for k in range(begin, end):
                marks[k] = 0
            for k in range(counts[i]):
                marks[places[found[k]]] = 1
