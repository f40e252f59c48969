"""Records that stand alone, far off what their neighbours along capital allow: no curve is needed to see them.

Efficiency does not rise with capital and utility does not fall. So a record is not below the median of the three behind
it, nor below what the median utility of the three before it leaves at its capital, and not above the median of the
three before it; near the ends it may be as high as any before it or the median behind it, the first one as utility
allows. How far records depart from between their two neighbours, by the median of the nearest 21, is the noise there.
A record is suspect if it lies outside by more than any of n errors would whose tails are as heavy as those of Student's
distribution with four degrees of freedom: that tail is at most 3/k⁴ (its density is at most 12/t⁵), so that one of n
exceeds k = (6·n/RARE)^¼ in either direction with a probability of at most RARE, were the noise known.

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

#: Records in order of capital, their utilities, and how far each departs from between its two neighbours.
along = rows("capital", "efficiency", "utility", "departure")


@helper
def _between(a: float, b: float, c: float) -> float:
    """Give the middle one of three numbers."""
    return max(min(a, b), min(max(a, b), c))


@helper
def off(y: float, low: float, high: float) -> float:
    """Give how far an efficiency lies outside of what is allowed; 0 where that is not absurd."""
    distance = max(low - y, y - high)
    absurd = distance > STEP and (distance > FAR or y < SHARE * low or high < SHARE * y)
    return distance if absurd else 0.0


@helper
def _distance(c: Floats, y: Floats, u: Floats, i: int, n: int) -> float:
    """Give how far a record is off what its neighbours allow."""
    low = 0.0
    if i + 3 < n:
        low = _between(y[i + 1], y[i + 2], y[i + 3])
        if i > 0:  # at a knee the next one says more than those behind it
            low = max(low, y[i + 1])
    if i < 3:
        high = _between(y[i + 1], y[i + 2], y[i + 3])
        for k in range(i):
            high = max(high, y[k])
        return off(y[i], low, high if i > 0 else max(low, _between(u[1], u[2], u[3]) / c[0]))
    high = _between(y[i - 1], y[i - 2], y[i - 3])
    utility = _between(u[i - 1], u[i - 2], u[i - 3])
    if i == n - 1:
        utility = max(u[i - 1], max(u[i - 2], u[i - 3]))
    return off(y[i], max(low, min(high, utility / c[i])), high)


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
def _suspects(c: Floats, y: Floats, u: Floats, n: int, departure: Floats, near: Floats, found: Integers) -> int:
    """Find the suspects among records in order of capital; returns how many, and their places in `found`."""
    for i in range(n):
        u[i] = c[i] * y[i]
    for i in range(1, n - 1):
        below, above = min(y[i - 1], y[i + 1]), max(y[i - 1], y[i + 1])
        departure[i] = max(0.0, max(below - y[i], y[i] - above))
    most = math.sqrt(math.sqrt(6.0 * n / RARE))
    m = 0
    for i in range(n):
        distance = _distance(c, y, u, i, n)
        if distance > 0.0 and distance > most * _noise(departure, i, n, near):
            found[m] = i
            m += 1
    return m


@helper
def _is_smooth(capital: Floats, efficiency: Floats, weight: Floats, start: int, stop: int) -> bool:
    """Tell whether no record can be a suspect: cheap, and true of most records that come in order of capital.

    A suspect lies below or above one of three records beside it by a step, in efficiency or in what utility leaves: on
    the way to that one a rise of efficiency, or a fall of utility, is at least a third of the step.
    """
    lowest = highest = efficiency[start]
    rough = 0
    for k in range(start + 1, stop):
        lowest, highest = min(lowest, efficiency[k]), max(highest, efficiency[k])
        fall = capital[k - 1] * efficiency[k - 1] - capital[k] * efficiency[k]
        rough |= int(capital[k] <= capital[k - 1]) | int(efficiency[k] - efficiency[k - 1] > STEP / 4.0)
        rough |= int(fall > STEP / 4.0 * capital[k])
    for k in range(start, stop if weight.size > 0 else start):
        rough |= int(weight[k] == 0.0)
    return rough == 0 or highest - lowest <= STEP


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
    c, y, u, departure = (
        table[along.CAPITAL],
        table[along.EFFICIENCY],
        table[along.UTILITY],
        table[along.DEPARTURE],
    )
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
        counts[i] = _suspects(c, y, u, n, departure, near, found)
        if counts[i] > 0:
            for k in range(begin, end):
                marks[k] = 0
            for k in range(counts[i]):
                marks[places[found[k]]] = 1
