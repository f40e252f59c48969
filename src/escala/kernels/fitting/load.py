"""Points into the workspace: sorted, weighted, and scaled to [0, 1]."""

from __future__ import annotations

import math

from escala.kernels.fitting.rows import LANES, POINT, head, pt
from escala.kernels.jit import Floats, helper
from escala.kernels.noise import weights
from escala.kernels.special import log


@helper
def place(i: int, lane: int, shift: int) -> int:
    """Where an instrument's point i lies: in its lane (`shift` 0), or dealt out over all lanes (LANE_BITS)."""
    row = i >> shift
    return row * POINT + lane + (i - (row << shift))


@helper
def _after(scratch: Floats, i: int, c: float, y: float, w: float) -> bool:
    """Tell whether point i of the scratch comes after another: by capital, then efficiency, then weight."""
    if scratch[3 * i] != c:
        return scratch[3 * i] > c
    if scratch[3 * i + 1] != y:
        return scratch[3 * i + 1] > y
    return scratch[3 * i + 2] > w


@helper
def _sort(scratch: Floats, n: int) -> None:
    """Shell sort, so that the order in which records come changes no bit of the result."""
    gap = 1
    while gap < n // 9:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, n):
            c, y, w = scratch[3 * i], scratch[3 * i + 1], scratch[3 * i + 2]
            j = i
            while j >= gap and _after(scratch, j - gap, c, y, w):
                scratch[3 * j] = scratch[3 * (j - gap)]
                scratch[3 * j + 1] = scratch[3 * (j - gap) + 1]
                scratch[3 * j + 2] = scratch[3 * (j - gap) + 2]
                j -= gap
            scratch[3 * j], scratch[3 * j + 1], scratch[3 * j + 2] = c, y, w
        gap = (gap - 1) // 3 if gap > 1 else 0


@helper
def _gather(capital: Floats, efficiency: Floats, weight: Floats, start: int, stop: int, scratch: Floats) -> int:
    """Copy the points of positive weight to the scratch, in order; returns how many. No weights at all mean 1."""
    n = 0
    for i in range(start, stop):
        w = weight[i] if weight.size > 0 else 1.0
        if w > 0.0:
            scratch[3 * n], scratch[3 * n + 1], scratch[3 * n + 2] = capital[i], efficiency[i], w
            n += 1
    _sort(scratch, n)
    return n


@helper
def relative_weights(scratch: Floats, n: int) -> float:
    """Scale the weights to a sum of n_eff = (Σw)²/Σw², which is returned; n for equal ones."""
    largest = smallest = scratch[2] if n > 0 else 1.0
    for i in range(1, n):
        w = scratch[3 * i + 2]
        largest = max(largest, w)
        smallest = min(smallest, w)
    if largest == smallest:
        for i in range(n):
            scratch[3 * i + 2] = 1.0
        return float(n)
    total = squares = 0.0
    for i in range(n):
        w = scratch[3 * i + 2] / largest
        scratch[3 * i + 2] = w
        total += w
        squares += w * w
    effective = total * total / squares
    factor = effective / total
    for i in range(n):
        scratch[3 * i + 2] *= factor
    return effective


@helper
def load(
    work: Floats,
    points: Floats,
    lane: int,
    shift: int,
    capital: Floats,
    efficiency: Floats,
    weight: Floats,
    start: int,
    stop: int,
    scratch: Floats,
) -> int:
    """Put an instrument's points into one lane, or deal them out over all; returns how many."""
    if weight.size == 0:
        capitals, efficiencies = capital[start:stop], efficiency[start:stop]
        n = stop - start
        effective = float(n)
        c, y = (capitals[0], efficiencies[0]) if n > 0 else (1.0, 0.0)
        first = c
        low = high = y
        distinct = 1 if n > 0 else 0
        ordered = True
        for i in range(n):
            last_c, last_y = c, y
            c, y = capitals[i], efficiencies[i]
            ordered = ordered & ((c > last_c) | ((c == last_c) & (y >= last_y)))
            distinct += 1 if c != last_c else 0
            low = y if y < low else low
            high = y if y > high else high
            point = points[place(i, lane, shift) :]
            point[pt.X] = c
            point[pt.W] = 1.0
            point[pt.Y] = y
        if ordered:
            describe(work, lane, shift, n, distinct, low, high, first, c, effective)
            return n
    n = _gather(capital, efficiency, weight, start, stop, scratch)
    effective = relative_weights(scratch, n)
    distinct = 1 if n > 0 else 0
    low = high = scratch[1] if n > 0 else 0.0
    for i in range(n):
        c, y = scratch[3 * i], scratch[3 * i + 1]
        distinct += 1 if i > 0 and c != scratch[3 * (i - 1)] else 0
        low = min(low, y)
        high = max(high, y)
        at = place(i, lane, shift)
        points[at + pt.X] = c
        points[at + pt.W] = scratch[3 * i + 2]
        points[at + pt.Y] = y
    first, c = (scratch[0], scratch[3 * (n - 1)]) if n > 0 else (1.0, 1.0)
    describe(work, lane, shift, n, distinct, low, high, first, c, effective)
    return n


@helper
def collect(points: Floats, lane: int, shift: int, n: int, out: Floats) -> None:
    """Put capital, efficiency and weight of an instrument's points side by side, before capitals are scaled."""
    for i in range(n):
        at = place(i, lane, shift)
        out[3 * i], out[3 * i + 1], out[3 * i + 2] = points[at + pt.X], points[at + pt.Y], points[at + pt.W]


@helper
def localise(points: Floats, lane: int, shift: int, n: int, scratch: Floats) -> None:
    """Weigh an instrument's points by the noise at their capital as well, which their neighbours tell."""
    x, y, u = scratch[:n], scratch[n : 2 * n], scratch[2 * n : 3 * n]
    v, w = scratch[3 * n : 4 * n], scratch[4 * n : 5 * n]
    unit = weights.power_of_four(points[place(0, lane, shift) + pt.X])
    for i in range(n):
        at = place(i, lane, shift)
        x[i], y[i], u[i] = log(points[at + pt.X] * unit), points[at + pt.Y], points[at + pt.W]
    weights.local(x, y, u, v, scratch[5 * n :], w, n)
    for i in range(n):
        points[place(i, lane, shift) + pt.W] = w[i]


@helper
def describe(
    work: Floats,
    lane: int,
    shift: int,
    n: int,
    distinct: int,
    low: float,
    high: float,
    smallest: float,
    largest: float,
    effective: float,
) -> None:
    """Put into rows how many points an instrument has and what they span, in its lane or in all."""
    for each in range(lane, lane + (1 << shift)):
        work[head.N + each] = n
        work[head.DISTINCT + each] = distinct
        work[head.FLAT + each] = 1.0 if low == high else 0.0
        work[head.MEAN_Y + each] = low
        work[head.SMALLEST + each] = smallest
        work[head.LARGEST + each] = largest
        work[head.SPAN + each] = largest - smallest
        work[head.ROOT0 + each] = math.sqrt(smallest)
        work[head.ROOT_SPAN + each] = (largest - smallest) / (math.sqrt(largest) + math.sqrt(smallest))
        work[head.WEIGHT + each] = effective


@helper
def pad(work: Floats, points: Floats, lane: int, shift: int, n: int, rows: int) -> None:
    """Fill a lane's unused places with points of weight 0."""
    for i in range(n, rows << shift):
        at = place(i, lane, shift)
        points[at + pt.X] = work[head.SMALLEST + lane]
        points[at + pt.W] = 0.0
        points[at + pt.Y] = 0.0


@helper
def normalise(work: Floats, points: Floats, rows: int) -> None:
    """Shift and scale capitals to [0, 1]."""
    for lane in range(LANES):
        work[head.T0 + lane] = 1.0 / work[head.SPAN + lane]
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            at[pt.X + lane] = (at[pt.X + lane] - work[head.SMALLEST + lane]) * work[head.T0 + lane]
