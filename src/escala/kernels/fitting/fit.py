"""Least-squares curves for many instruments: sixteen are fitted side by side, point by point.

How it is fast
--------------
* The points of sixteen instruments lie side by side in the workspace (`LANES`); every sum runs over points in the outer
  loop and over lanes in the inner one, which the compiler vectorises without changing the order of any sum. Shorter
  instruments are padded with points of weight 0, which add exact zeros. An instrument of more than `FOLD` points is
  dealt out over all lanes instead; its partial sums are then added in a fixed order.
* The exponential is separable (variable projection): for a given decay rate the other two coefficients are linear, so
  only the rate is searched, first on a grid of all rates in steps of √2, then by Newton's method with exact second
  derivatives inside each bracket that can still hold the optimum. On the grid, h = e^(−βx) − 1 of the doubled rate is
  h·(h + 2): no exponential is evaluated. Moments are taken about h at the mean capital, so that nothing cancels.

Capitals are shifted and scaled to x = (C − smallest)/(largest − smallest) first, so results do not depend on the
currency, and a power of four changes no bit.

References
----------
Golub, G. H. and Pereyra, V. (1973), The differentiation of pseudo-inverses and nonlinear least squares problems whose
variables separate, SIAM J. Numer. Anal. 10. Durbin, J. and Watson, G. S. (1971), Testing for serial correlation in
least squares regression III, Biometrika 58.
"""

from __future__ import annotations

import math

from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    codes_in,
    codes_out,
    float_rows_out,
    floats_in,
    floats_out,
    helper,
    integer,
    integers_in,
    integers_out,
    kernel,
)
from escala.kernels.special import exp, expm1, log

LINEAR, QUADRATIC, EXPONENTIAL, SQRT, AUTO = 0, 1, 2, 3, 4
OK, TOO_FEW_POINTS, DEGENERATE, CONSTANT = 0, 1, 2, 3

#: Columns of `figures`.
FIGURES = (
    "smallest",
    "largest",
    "limit",
    "residual_sd",
    "freedom",
    "r_squared",
    "mean_error",
    "max_error",
    "rmse",
    "aicc",
    "neumann",
    "neumann_mean",
    "neumann_variance",
)
(
    F_SMALLEST,
    F_LARGEST,
    F_LIMIT,
    F_RESIDUAL_SD,
    F_FREEDOM,
    F_R_SQUARED,
    F_MEAN_ERROR,
    F_MAX_ERROR,
    F_RMSE,
    F_AICC,
    F_RATIO,
    F_RATIO_MEAN,
    F_RATIO_VARIANCE,
) = range(len(FIGURES))
#: Columns of `root`: see `_deviation` in :mod:`escala.kernels.curves`.
ROOT = ("i0", "m1", "i1", "m2", "k", "i2")

LANES = 16  # of eight, the compiler unrolls the loops over lanes before it could vectorise them
LANE_BITS = 4
FOLD = 128
ROOT_2 = math.sqrt(2.0)
LN_2 = math.log(2.0)
HALF_LN_2 = 0.5 * LN_2
C_3, C_4, C_5, C_6 = 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0
#: Points are padded to a multiple of this.
QUAD = 4
#: An exponential's rates are searched in steps of √2 from 2^-8 (step 1) to 2^12 (step 41) over the span; steps beyond
#: close the outer brackets.
STEPS = 44
LAST_STEP = 41
LOWEST_RATE, HIGHEST_RATE = 2.0**-8, 2.0**12
BELOW_BORDER = 1e-9  # by which relative amount an optimum must lie below both borders of the search
CONVERGED, STAGNANT = 2.0**-22, 2.0**-18  # relative Newton steps; the error left is about their square
MOST_NEWTON_STEPS = 60
GRID_NOISE = 2.0**-48  # of Σ w·(y − mean)²: bounds what rounding does to an error on the grid
TINY = 2.0**-18  # of the same: below, errors are compared as sums of squared residuals
DEPENDENT = 2.0**-60  # share of a quadratic's variance that must not be linear
EDGE = 1e-9  # share of the range in which a minimum counts as lying on its end
TIE = 1e-9  # differences of AICc that count as none
EPSILON = 2.0**-52
NARROW = 16.0  # a quadratic is anchored where the smallest capital exceeds this many spans: its terms would cancel

# One point of each instrument: rows of LANES values.
X, W, Y, S, H, U = range(0, 6 * LANES, LANES)
POINT = 6 * LANES

# The head of the workspace: rows of LANES values, sums first.
SUMS = 7
(
    T0,
    T1,
    T2,
    T3,
    T4,
    T5,
    T6,
    N,
    DISTINCT,
    FLAT,
    C0,
    LARGEST,
    SPAN,
    ROOT0,
    ROOT_SPAN,
    WEIGHT,
    MEAN_Y,
    REST_Y,
    MEAN_X,
    MEAN_S,
    SYY,
    SXX,
    SLOPE_X,
    M2,
    K2,
    SSS,
    SLOPE_S,
    SQQ,
    SLOPE_Q,
    SSE_X,
    SSE_S,
    SSE_Q,
    MEAN_H,
    MEAN_U,
    RATE,
    LOW,
    HIGH,
    STEP,
    ACTIVE,
    LAST_F,
    LAST_K,
    LEFT,
    BEST_F,
    BEST_RATE,
    A,
    SGG,
    SGU,
    SUU,
    SSE_E,
    STATUS_E,
    FAMILY,
    C1,
    C2,
    RATIO,
    I0,
    I1,
    I2,
    GROUP_X,
    GROUP_W,
    GROUP_R,
    GROUP_1,
    GROUP_2,
    GROUPS,
    Z,
    E0,
    E1,
    E2,
    P0,
    P1,
    P2,
    SQUARES,
    DIFFERENCES,
    SECONDS,
    D00,
    D01,
    D02,
    D11,
    D12,
    D22,
    ABSOLUTE,
    WORST,
) = range(0, 81 * LANES, LANES)
GRID = 81 * LANES
HEAD = GRID + STEPS * LANES


def work_size(most_points: int) -> int:
    """Count the float64 elements of `work` for instruments of at most so many points."""
    rows = most_points if most_points <= FOLD else max(FOLD, -(-most_points // LANES))
    return HEAD + (rows + QUAD) * POINT


@helper
def _place(i: int, lane: int, shift: int) -> int:
    """Where an instrument's point i lies: in its lane (`shift` 0), or dealt out over all lanes (LANE_BITS)."""
    row = i >> shift
    return row * POINT + lane + (i - (row << shift))


@helper
def _zero(work: Floats) -> None:
    for k in range(SUMS * LANES):
        work[k] = 0.0


@helper
def _share(work: Floats) -> None:
    """Give every lane the sum over all lanes: they hold one instrument's partial sums."""
    for row in range(0, SUMS * LANES, LANES):
        total = work[row]
        for lane in range(1, LANES):
            total += work[row + lane]
        for lane in range(LANES):
            work[row + lane] = total


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
def _relative_weights(scratch: Floats, n: int) -> float:
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
def _load(
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
            point = points[_place(i, lane, shift) :]
            point[X] = c
            point[W] = 1.0
            point[Y] = y
        if ordered:
            _describe(work, lane, shift, n, distinct, low, high, first, c, effective)
            return n
    n = _gather(capital, efficiency, weight, start, stop, scratch)
    effective = _relative_weights(scratch, n)
    distinct = 1 if n > 0 else 0
    low = high = scratch[1] if n > 0 else 0.0
    for i in range(n):
        c, y = scratch[3 * i], scratch[3 * i + 1]
        distinct += 1 if i > 0 and c != scratch[3 * (i - 1)] else 0
        low = min(low, y)
        high = max(high, y)
        at = _place(i, lane, shift)
        points[at + X] = c
        points[at + W] = scratch[3 * i + 2]
        points[at + Y] = y
    first, c = (scratch[0], scratch[3 * (n - 1)]) if n > 0 else (1.0, 1.0)
    _describe(work, lane, shift, n, distinct, low, high, first, c, effective)
    return n


@helper
def _describe(
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
    for each in range(lane, lane + (1 << shift)):
        work[N + each] = n
        work[DISTINCT + each] = distinct
        work[FLAT + each] = 1.0 if low == high else 0.0
        work[MEAN_Y + each] = low
        work[C0 + each] = smallest
        work[LARGEST + each] = largest
        work[SPAN + each] = largest - smallest
        work[ROOT0 + each] = math.sqrt(smallest)
        work[ROOT_SPAN + each] = (largest - smallest) / (math.sqrt(largest) + math.sqrt(smallest))
        work[WEIGHT + each] = effective


@helper
def _pad(work: Floats, points: Floats, lane: int, shift: int, n: int, rows: int) -> None:
    """Fill a lane's unused places with points of weight 0."""
    for i in range(n, rows << shift):
        at = _place(i, lane, shift)
        points[at + X] = work[C0 + lane]
        points[at + W] = 0.0
        points[at + Y] = 0.0


@helper
def _normalise(work: Floats, points: Floats, rows: int, roots: bool) -> None:
    """Shift and scale capitals, and their roots where wanted, to [0, 1]."""
    for lane in range(LANES):
        work[T0 + lane] = 1.0 / work[SPAN + lane]
        work[T1 + lane] = 1.0 / work[ROOT_SPAN + lane]
    if roots:
        for i in range(rows):
            at = points[i * POINT : (i + 1) * POINT]
            for lane in range(LANES):
                c = at[X + lane]
                at[S + lane] = (c - work[C0 + lane]) / (math.sqrt(c) + work[ROOT0 + lane]) * work[T1 + lane]
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            at[X + lane] = (at[X + lane] - work[C0 + lane]) * work[T0 + lane]


@helper
def _fit_lines(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Centre the efficiencies; the line over x, and what makes x² orthogonal to x and 1."""
    _zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w = at[W + lane]
            work[T0 + lane] += w * at[Y + lane]
            work[T1 + lane] += w * at[X + lane]
    if folded:
        _share(work)
    for lane in range(LANES):
        weight = work[WEIGHT + lane]
        constant = work[MEAN_Y + lane]
        mean = work[T0 + lane] / weight
        work[MEAN_Y + lane] = constant if work[FLAT + lane] > 0.0 else mean
        work[MEAN_X + lane] = work[T1 + lane] / weight
    # Efficiencies that hardly differ lose digits to the rounding of their mean; their centred mean has them.
    _zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            y = at[Y + lane] - work[MEAN_Y + lane]
            at[Y + lane] = y
            work[T0 + lane] += at[W + lane] * y
    if folded:
        _share(work)
    for lane in range(LANES):
        rest = work[T0 + lane] / work[WEIGHT + lane]
        work[REST_Y + lane] = rest
        work[MEAN_Y + lane] += rest
    _zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w = at[W + lane]
            y = at[Y + lane] - work[REST_Y + lane]
            dx = at[X + lane] - work[MEAN_X + lane]
            at[Y + lane] = y
            wdx = w * dx
            work[T0 + lane] += w * y * y
            work[T1 + lane] += wdx * dx
            work[T2 + lane] += wdx * y
            work[T3 + lane] += wdx * dx * dx
    if folded:
        _share(work)
    for lane in range(LANES):
        work[SYY + lane] = work[T0 + lane]
        work[SXX + lane] = work[T1 + lane]
        work[SLOPE_X + lane] = work[T2 + lane] / work[T1 + lane]
        work[M2 + lane] = work[T1 + lane] / work[WEIGHT + lane]
        work[K2 + lane] = work[T3 + lane] / work[T1 + lane]
    _zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w = at[W + lane]
            y = at[Y + lane]
            dx = at[X + lane] - work[MEAN_X + lane]
            q = dx * dx - work[M2 + lane] - work[K2 + lane] * dx
            wq = w * q
            r = y - work[SLOPE_X + lane] * dx
            work[T0 + lane] += wq * q
            work[T1 + lane] += wq * y
            work[T2 + lane] += w * r * r
    if folded:
        _share(work)
    for lane in range(LANES):
        work[SQQ + lane] = work[T0 + lane]
        work[SLOPE_Q + lane] = work[T1 + lane] / work[T0 + lane]
        work[SSE_X + lane] = work[T2 + lane]


@helper
def _fit_quadratics(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    _zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            dx = at[X + lane] - work[MEAN_X + lane]
            q = dx * dx - work[M2 + lane] - work[K2 + lane] * dx
            r = at[Y + lane] - work[SLOPE_X + lane] * dx - work[SLOPE_Q + lane] * q
            work[T0 + lane] += at[W + lane] * r * r
    if folded:
        _share(work)
    for lane in range(LANES):
        work[SSE_Q + lane] = work[T0 + lane]


@helper
def _fit_roots(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """The line over √C."""
    _zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            work[T0 + lane] += at[W + lane] * at[S + lane]
    if folded:
        _share(work)
    for lane in range(LANES):
        work[MEAN_S + lane] = work[T0 + lane] / work[WEIGHT + lane]
    _zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            ds = at[S + lane] - work[MEAN_S + lane]
            wds = at[W + lane] * ds
            work[T0 + lane] += wds * ds
            work[T1 + lane] += wds * at[Y + lane]
    if folded:
        _share(work)
    for lane in range(LANES):
        work[SSS + lane] = work[T0 + lane]
        work[SLOPE_S + lane] = work[T1 + lane] / work[T0 + lane]
    _zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            r = at[Y + lane] - work[SLOPE_S + lane] * (at[S + lane] - work[MEAN_S + lane])
            work[T0 + lane] += at[W + lane] * r * r
    if folded:
        _share(work)
    for lane in range(LANES):
        work[SSE_S + lane] = work[T0 + lane]


@helper
def _slow_decay(t: float) -> float:
    """e^t − 1; for t down to −2^-8 six terms of the series leave no error."""
    return t * (1.0 + t * (0.5 + t * (C_3 + t * (C_4 + t * (C_5 + t * C_6)))))


@helper
def _begin_scan(work: Floats, points: Floats, rows: int) -> None:
    """Set h = e^t − 1 for the first two rates, at every point and at the mean capital."""
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            x = at[X + lane]
            at[H + lane] = _slow_decay(-LOWEST_RATE * (0.5 * ROOT_2) * x)
            at[U + lane] = _slow_decay(-LOWEST_RATE * x)
    for lane in range(LANES):
        work[MEAN_H + lane] = _slow_decay(-LOWEST_RATE * (0.5 * ROOT_2) * work[MEAN_X + lane])
        work[MEAN_U + lane] = _slow_decay(-LOWEST_RATE * work[MEAN_X + lane])


@helper
def _scan(work: Floats, points: Floats, rows: int, folded: bool, row: int, middle: int, first: int) -> None:
    """Squared error at every second step of the grid, from `first` on; two steps and four points at a time.

    Moments are taken about h at the mean capital: about 0, those of a fast decay would cancel where its first point
    weighs little. The sums are written once for four points: a sum that is stored and loaded again waits for itself.
    """
    for step in range(first, STEPS, 4):
        _zero(work)
        for i in range(0, rows, QUAD):
            at = points[i * POINT : (i + QUAD) * POINT]
            for lane in range(LANES):
                h0, h1 = at[row + lane], at[POINT + row + lane]
                h2, h3 = at[2 * POINT + row + lane], at[3 * POINT + row + lane]
                w0, w1 = at[W + lane], at[POINT + W + lane]
                w2, w3 = at[2 * POINT + W + lane], at[3 * POINT + W + lane]
                y0, y1 = at[Y + lane], at[POINT + Y + lane]
                y2, y3 = at[2 * POINT + Y + lane], at[3 * POINT + Y + lane]
                m = work[middle + lane]
                d0, d1, d2, d3 = h0 - m, h1 - m, h2 - m, h3 - m
                a0, a1, a2, a3 = w0 * d0, w1 * d1, w2 * d2, w3 * d3
                work[T0 + lane] = work[T0 + lane] + a0 + a1 + a2 + a3
                work[T1 + lane] = work[T1 + lane] + a0 * d0 + a1 * d1 + a2 * d2 + a3 * d3
                work[T2 + lane] = work[T2 + lane] + a0 * y0 + a1 * y1 + a2 * y2 + a3 * y3
                h0, h1, h2, h3 = h0 * (h0 + 2.0), h1 * (h1 + 2.0), h2 * (h2 + 2.0), h3 * (h3 + 2.0)
                m = m * (m + 2.0)
                d0, d1, d2, d3 = h0 - m, h1 - m, h2 - m, h3 - m
                a0, a1, a2, a3 = w0 * d0, w1 * d1, w2 * d2, w3 * d3
                work[T3 + lane] = work[T3 + lane] + a0 + a1 + a2 + a3
                work[T4 + lane] = work[T4 + lane] + a0 * d0 + a1 * d1 + a2 * d2 + a3 * d3
                work[T5 + lane] = work[T5 + lane] + a0 * y0 + a1 * y1 + a2 * y2 + a3 * y3
                at[row + lane], at[POINT + row + lane] = h0 * (h0 + 2.0), h1 * (h1 + 2.0)
                at[2 * POINT + row + lane], at[3 * POINT + row + lane] = h2 * (h2 + 2.0), h3 * (h3 + 2.0)
        if folded:
            _share(work)
        for lane in range(LANES):
            sum_1, sum_2 = work[T0 + lane], work[T3 + lane]
            spread_1 = work[T1 + lane] - sum_1 * sum_1 / work[WEIGHT + lane]
            spread_2 = work[T4 + lane] - sum_2 * sum_2 / work[WEIGHT + lane]
            explained_1, explained_2 = work[T2 + lane], work[T5 + lane]
            total = work[SYY + lane]
            m = work[middle + lane]
            m = m * (m + 2.0)
            work[middle + lane] = m * (m + 2.0)
            work[GRID + step * LANES + lane] = total - explained_1 * explained_1 / spread_1
            work[GRID + (step + 2) * LANES + lane] = total - explained_2 * explained_2 / spread_2


@helper
def _below_borders(work: Floats, lane: int) -> float:
    """Squared error that an optimum must be below."""
    low, high = work[GRID + LANES + lane], work[GRID + LAST_STEP * LANES + lane]
    return min(low - BELOW_BORDER * abs(low), high - BELOW_BORDER * abs(high))


@helper
def _next_brackets(work: Floats) -> None:
    """Choose each lane's lowest grid minimum that was not tried and may still beat the best; ACTIVE 0 if none is left.

    A parabola's minimum lies at most an eighth of the second difference below its lowest point; eight times that is
    allowed for. What cannot lie below both borders is no optimum.
    """
    for lane in range(LANES):
        work[T0 + lane] = math.inf
        work[T1 + lane] = 0.0
        below = _below_borders(work, lane)
        total = work[SYY + lane]
        # what rounding may have taken from a tiny error is given back
        work[T2 + lane] = below + GRID_NOISE * total if below < TINY * total else below
        work[ACTIVE + lane] = work[LEFT + lane]
        work[LEFT + lane] = 0.0
    for step in range(1, LAST_STEP + 1):
        number = float(step)
        row = GRID + step * LANES
        for lane in range(LANES):
            f, before, behind = work[row + lane], work[row - LANES + lane], work[row + LANES + lane]
            last, last_k, best = work[LAST_F + lane], work[LAST_K + lane], work[BEST_F + lane]
            lowest, chosen, left = work[T0 + lane], work[T1 + lane], work[LEFT + lane]
            bend = before + behind - 2.0 * f
            untried = (f > last) | ((f == last) & (number > last_k))
            hopeful = (f - bend < best) & (f - bend < work[T2 + lane])
            fits = (f <= before) & (f < behind) & untried & hopeful & (work[ACTIVE + lane] > 0.0)
            lower = fits & (f < lowest)
            work[LEFT + lane] = left + 1.0 if fits else left
            work[T0 + lane] = f if lower else lowest
            work[T1 + lane] = number if lower else chosen
    for lane in range(LANES):
        chosen = work[T1 + lane]
        work[ACTIVE + lane] = 1.0 if chosen > 0.0 else 0.0
        if chosen > 0.0:
            work[LEFT + lane] -= 1.0
            step = int(chosen)
            work[LAST_F + lane], work[LAST_K + lane] = work[T0 + lane], chosen
            middle = LOWEST_RATE * float(1 << ((step - 1) >> 1)) * (1.0 if step & 1 == 1 else ROOT_2)
            work[LOW + lane] = middle * (0.5 * ROOT_2)
            work[HIGH + lane] = middle * ROOT_2
            work[STEP + lane] = math.inf
            z = HALF_LN_2 * _vertex(work, GRID + step * LANES + lane, step > 1)
            work[RATE + lane] = middle * (1.0 + z * (1.0 + z * (0.5 + z * (C_3 + z * C_4))))


@helper
def _vertex(work: Floats, at: int, wide: bool) -> float:
    """Where the quartic through five grid points (the parabola through three, if not `wide`) is lowest, in steps."""
    before, f, behind = work[at - LANES], work[at], work[at + LANES]
    vertex = 0.5 * (before - behind) / (before - 2.0 * f + behind)
    if not wide:
        return vertex
    first, last = work[at - 2 * LANES], work[at + 2 * LANES]
    # derivatives at the middle, by central differences
    d1 = (first - 8.0 * before + 8.0 * behind - last) * (1.0 / 12.0)
    d2 = (16.0 * (before + behind) - 30.0 * f - first - last) * (1.0 / 12.0)
    d3 = 0.5 * (last - first) + before - behind
    d4 = first + last - 4.0 * (before + behind) + 6.0 * f
    t = vertex
    for _ in range(2):
        t -= (d1 + t * (d2 + t * (0.5 * d3 + t * (C_3 * d4)))) / (d2 + t * (d3 + t * (0.5 * d4)))
    return t if abs(t) <= 1.0 else vertex


@helper
def _project(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """At each lane's rate: h = e^(−βx) − 1, u = x·e^(−βx), their centred moments and those with y."""
    _zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            x = at[X + lane]
            w = at[W + lane]
            h = expm1(-work[RATE + lane] * x)
            u = x + x * h
            at[H + lane] = h
            at[U + lane] = u
            work[T0 + lane] += w * h
            work[T1 + lane] += w * u
    if folded:
        _share(work)
    for lane in range(LANES):
        work[MEAN_H + lane] = work[T0 + lane] / work[WEIGHT + lane]
        work[MEAN_U + lane] = work[T1 + lane] / work[WEIGHT + lane]
    _zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            y = at[Y + lane]
            w = at[W + lane]
            u = at[U + lane]
            dh = at[H + lane] - work[MEAN_H + lane]
            du = u - work[MEAN_U + lane]
            v = at[X + lane] * u
            wdh = w * dh
            wdu = w * du
            work[T0 + lane] += wdh * dh
            work[T1 + lane] += wdh * du
            work[T2 + lane] += wdu * du
            work[T3 + lane] += wdh * y
            work[T4 + lane] += wdu * y
            work[T5 + lane] += w * y * v
            work[T6 + lane] += wdh * v
    if folded:
        _share(work)


@helper
def _newton_steps(work: Floats) -> None:
    """Move active lanes' rates towards a root of F = Σ w·residual·u, where the squared error is stationary."""
    for lane in range(LANES):
        gg, gu, uu = work[T0 + lane], work[T1 + lane], work[T2 + lane]
        gy, uy, vy, gv = work[T3 + lane], work[T4 + lane], work[T5 + lane], work[T6 + lane]
        rate, low, high = work[RATE + lane], work[LOW + lane], work[HIGH + lane]
        active, last_step = work[ACTIVE + lane] > 0.0, work[STEP + lane]
        best, best_rate, total = work[BEST_F + lane], work[BEST_RATE + lane], work[SYY + lane]
        a = gy / gg
        stationary = uy - a * gu
        a_slope = (2.0 * a * gu - uy) / gg
        slope = a * (uu + gv) - vy - a_slope * gu
        falling = a * stationary < 0.0
        low = rate if falling else low
        high = high if falling else rate
        newton = rate - stationary / slope
        good = (a * slope > 0.0) & (low <= newton) & (newton <= high)
        new = newton if good else 0.5 * (low + high)
        step = abs(new - rate)
        ended = (step <= CONVERGED * rate) | ((step <= STAGNANT * rate) & (step >= 0.5 * last_step))
        error = total - a * gy
        better = active & ended & (error < best) & (new >= LOWEST_RATE) & (new <= HIGHEST_RATE)
        work[LOW + lane] = low
        work[HIGH + lane] = high
        work[STEP + lane] = step
        work[RATE + lane] = new if active else rate
        work[ACTIVE + lane] = 1.0 if active & (not ended) else 0.0
        work[BEST_F + lane] = error if better else best
        work[BEST_RATE + lane] = new if better else best_rate


@helper
def _any(work: Floats, row: int) -> bool:
    found = False
    for lane in range(row, row + LANES):
        found = found | (work[lane] > 0.0)
    return found


@helper
def _search_rates(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Find each lane's best rate: refine grid minima, lowest first, until none can beat the best."""
    for lane in range(LANES):
        work[BEST_F + lane] = math.inf
        work[BEST_RATE + lane] = math.nan
        work[LAST_F + lane] = -math.inf
        work[LAST_K + lane] = 0.0
        work[RATE + lane] = 1.0
        enough = (work[DISTINCT + lane] >= 3.0) & (work[FLAT + lane] == 0.0)
        work[LEFT + lane] = 1.0 if enough else 0.0
    while _any(work, LEFT):
        _next_brackets(work)
        steps = 0
        while steps < MOST_NEWTON_STEPS and _any(work, ACTIVE):
            _project(work, points, rows, folded)
            _newton_steps(work)
            steps += 1


@helper
def _fit_exponentials(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    _begin_scan(work, points, rows)
    _scan(work, points, rows, folded, H, MEAN_H, 0)
    _scan(work, points, rows, folded, U, MEAN_U, 1)
    _search_rates(work, points, rows, folded)
    tiny = False
    for lane in range(LANES):
        tiny = tiny | (work[BEST_F + lane] < TINY * work[SYY + lane])
    if tiny:
        _exact_border(work, points, rows, folded, LOWEST_RATE, 1)
        _exact_border(work, points, rows, folded, HIGHEST_RATE, LAST_STEP)
    for lane in range(LANES):
        work[RATE + lane] = work[BEST_RATE + lane]
    _residual_squares(work, points, rows, folded)
    for lane in range(LANES):
        error = work[T0 + lane]
        work[SSE_E + lane] = error
        best = work[BEST_F + lane]
        best = error if best < TINY * work[SYY + lane] else best
        work[STATUS_E + lane] = OK if best < _below_borders(work, lane) else DEGENERATE


@helper
def _residual_squares(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Best amplitude at each lane's rate, the moments of its basis, and in T0 the sum of squared residuals."""
    _project(work, points, rows, folded)
    for lane in range(LANES):
        work[SGG + lane] = work[T0 + lane]
        work[SGU + lane] = work[T1 + lane]
        work[SUU + lane] = work[T2 + lane]
        work[A + lane] = work[T3 + lane] / work[T0 + lane]
    _zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            r = at[Y + lane] - work[A + lane] * (at[H + lane] - work[MEAN_H + lane])
            work[T0 + lane] += at[W + lane] * r * r
    if folded:
        _share(work)


@helper
def _exact_border(work: Floats, points: Floats, rows: int, folded: bool, rate: float, step: int) -> None:
    """Replace a border's squared error by the sum of squared residuals, in lanes whose best error is tiny."""
    for lane in range(LANES):
        work[RATE + lane] = rate
    _residual_squares(work, points, rows, folded)
    for lane in range(LANES):
        exact, rounded = work[T0 + lane], work[GRID + step * LANES + lane]
        tiny = work[BEST_F + lane] < TINY * work[SYY + lane]
        work[GRID + step * LANES + lane] = exact if tiny else rounded


@helper
def _status(work: Floats, lane: int, family: int) -> int:
    three = family in (QUADRATIC, EXPONENTIAL)
    if work[DISTINCT + lane] < (3.0 if three else 2.0):
        return TOO_FEW_POINTS
    if family == SQRT and not work[SSS + lane] > 0.0:
        return DEGENERATE
    if family == QUADRATIC and not work[SQQ + lane] > DEPENDENT * work[SXX + lane]:
        return DEGENERATE
    if work[FLAT + lane] > 0.0:
        return CONSTANT
    if family == EXPONENTIAL:
        return int(work[STATUS_E + lane])
    return OK


@helper
def _error(work: Floats, lane: int, family: int) -> float:
    if work[FLAT + lane] > 0.0:
        return 0.0
    if family == LINEAR:
        return work[SSE_X + lane]
    if family == SQRT:
        return work[SSE_S + lane]
    if family == QUADRATIC:
        return work[SSE_Q + lane]
    return work[SSE_E + lane]


@helper
def _floor(work: Floats, lane: int) -> float:
    """Squared error that rounding alone may leave: of the efficiencies and, on narrow ranges, of the capitals."""
    n = work[WEIGHT + lane]
    mean = work[MEAN_Y + lane]
    squares = work[SYY + lane] + n * mean * mean
    narrow = work[LARGEST + lane] / work[SPAN + lane]
    if narrow > NARROW:
        squares += work[SYY + lane] * narrow * narrow
    return n * EPSILON * EPSILON * squares


@helper
def _aicc(work: Floats, lane: int, family: int) -> float:
    """Corrected Akaike criterion; NaN where too few points leave it undefined."""
    n = work[WEIGHT + lane]
    p = 3.0 if family in (QUADRATIC, EXPONENTIAL) else 2.0
    if n - p - 1.0 <= 0.0:
        return math.nan
    error = max(_error(work, lane, family), _floor(work, lane))
    if not error > 0.0:
        return -math.inf
    return n * log(error / n) + 2.0 * p + 2.0 * p * (p + 1.0) / (n - p - 1.0)


@helper
def _minimum(work: Floats, lane: int) -> float:
    """Where a quadratic has its minimum, in x; inf if it has none."""
    if not work[SLOPE_Q + lane] > 0.0:
        return math.inf
    slope = work[SLOPE_X + lane] - work[SLOPE_Q + lane] * work[K2 + lane]
    return work[MEAN_X + lane] - slope / (2.0 * work[SLOPE_Q + lane])


@helper
def _turns_inside(work: Floats, lane: int) -> bool:
    """Tell whether a quadratic has its minimum inside the data, clearly enough for rounding not to decide."""
    minimum = _minimum(work, lane)
    return EDGE < minimum < 1.0 - EDGE


@helper
def _choose(work: Floats, lane: int) -> int:
    """Lowest AICc; ties go to fewer parameters, then linear, sqrt, quadratic, exponential."""
    chosen = -1
    best = math.inf
    for family in (LINEAR, SQRT, QUADRATIC, EXPONENTIAL):
        p = 3.0 if family in (QUADRATIC, EXPONENTIAL) else 2.0
        if _status(work, lane, family) != OK or work[WEIGHT + lane] < p + 2.0:
            continue
        if family == QUADRATIC and _turns_inside(work, lane):
            continue
        aicc = _aicc(work, lane, family)
        if chosen < 0 or aicc < best - TIE:
            chosen = family
            best = aicc
    if chosen >= 0:
        return chosen
    noise = 64.0 * _floor(work, lane)
    line, root = max(work[SSE_X + lane], noise), max(work[SSE_S + lane], noise)
    better = work[FLAT + lane] == 0.0 and root < line * (1.0 - TIE)
    return SQRT if better and _status(work, lane, SQRT) == OK else LINEAR


@helper
def _coefficients(work: Floats, lane: int, family: int) -> tuple[float, float]:
    """Give the coefficients of the two basis functions."""
    if work[FLAT + lane] > 0.0:
        return 0.0, 0.0
    if family == EXPONENTIAL:
        return work[A + lane], 0.0
    if family == SQRT:
        return work[SLOPE_S + lane], 0.0
    return work[SLOPE_X + lane], work[SLOPE_Q + lane] if family == QUADRATIC else 0.0


@helper
def _norms(work: Floats, lane: int, family: int) -> tuple[float, float]:
    """Give the squared norms of the two basis functions; 0 for one that is not there."""
    if family == EXPONENTIAL:
        if work[FLAT + lane] > 0.0:
            return 0.0, 0.0
        gu, gg = work[SGU + lane], work[SGG + lane]
        return gg, work[SUU + lane] - gu * gu / gg
    if family == SQRT:
        return work[SSS + lane], 0.0
    return work[SXX + lane], work[SQQ + lane] if family == QUADRATIC else 0.0


@helper
def _inverse_root(squared: float) -> float:
    return 1.0 / math.sqrt(squared) if squared > 0.0 else 0.0


@helper
def _prepare_residuals(work: Floats, lane: int, family: int) -> None:
    c1, c2 = _coefficients(work, lane, family)
    norm1, norm2 = _norms(work, lane, family)
    work[FAMILY + lane] = family
    work[C1 + lane], work[C2 + lane] = c1, c2
    work[RATIO + lane] = work[SGU + lane] / work[SGG + lane]
    work[I0 + lane] = 1.0 / math.sqrt(work[WEIGHT + lane])
    work[I1 + lane], work[I2 + lane] = _inverse_root(norm1), _inverse_root(norm2)


@helper
def _follow(work: Floats, points: Floats, at: int, lane: int) -> None:
    """Take one point, in order of capital, into the sums over residuals and over neighbouring residuals.

    Points of one capital count by their mean: a group is closed when the capital changes. A point of weight 0 closes
    the last one. All is selected, nothing branches, so that lanes run side by side.
    """
    family = work[FAMILY + lane]
    w, y = points[at + W], points[at + Y]
    x = points[at + X] if w > 0.0 else 2.0
    over_x = points[at + X] - work[MEAN_X + lane]
    over_s = points[at + S] - work[MEAN_S + lane]
    over_h = points[at + H] - work[MEAN_H + lane]
    over_u = points[at + U] - work[MEAN_U + lane] - work[RATIO + lane] * over_h
    over_q = over_x * over_x - work[M2 + lane] - work[K2 + lane] * over_x
    exponential = family == EXPONENTIAL
    first = over_s if family == SQRT else over_x
    first = over_h if exponential else first
    second = over_q if family == QUADRATIC else 0.0
    second = over_u if exponential else second
    r = y - work[C1 + lane] * first - work[C2 + lane] * second
    absolute = w * abs(r)
    absolute = absolute if w > 0.0 else 0.0
    distance = abs(r) if w > 0.0 else 0.0
    work[ABSOLUTE + lane] += absolute
    worst = work[WORST + lane]
    work[WORST + lane] = distance if distance > worst else worst

    group_w, group_r, group_x = work[GROUP_W + lane], work[GROUP_R + lane], work[GROUP_X + lane]
    groups = work[GROUPS + lane]
    changes = x != group_x
    closes = changes & (group_x >= 0.0)
    inner = closes & (groups > 0.0)
    scale = math.sqrt(group_w)
    z, e0, e1, e2 = work[Z + lane], work[E0 + lane], work[E1 + lane], work[E2 + lane]
    p0, p1, p2 = work[P0 + lane], work[P1 + lane], work[P2 + lane]
    new_z = group_r / scale
    new_0 = scale * work[I0 + lane]
    new_1 = scale * work[GROUP_1 + lane] * work[I1 + lane]
    new_2 = scale * work[GROUP_2 + lane] * work[I2 + lane]
    dz, t0, t1, t2 = new_z - z, new_0 - e0, new_1 - e1, new_2 - e2
    turn = (p0 - t0) * (p0 - t0) + (p1 - t1) * (p1 - t1) + (p2 - t2) * (p2 - t2)
    work[SQUARES + lane] += new_z * new_z if closes else 0.0
    work[DIFFERENCES + lane] += dz * dz if inner else 0.0
    work[SECONDS + lane] += turn if inner else 0.0
    work[D00 + lane] += t0 * t0 if inner else 0.0
    work[D01 + lane] += t0 * t1 if inner else 0.0
    work[D02 + lane] += t0 * t2 if inner else 0.0
    work[D11 + lane] += t1 * t1 if inner else 0.0
    work[D12 + lane] += t1 * t2 if inner else 0.0
    work[D22 + lane] += t2 * t2 if inner else 0.0
    work[P0 + lane] = t0 if inner else p0
    work[P1 + lane] = t1 if inner else p1
    work[P2 + lane] = t2 if inner else p2
    work[Z + lane] = new_z if closes else z
    work[E0 + lane] = new_0 if closes else e0
    work[E1 + lane] = new_1 if closes else e1
    work[E2 + lane] = new_2 if closes else e2
    work[GROUPS + lane] = groups + 1.0 if closes else groups
    work[GROUP_X + lane] = x
    work[GROUP_W + lane] = w if changes else group_w + w
    work[GROUP_R + lane] = w * r if changes else group_r + w * r
    work[GROUP_1 + lane] = first
    work[GROUP_2 + lane] = second


@helper
def _follow_all(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    for k in range(GROUP_X, GRID):
        work[k] = 0.0
    for lane in range(LANES):
        work[GROUP_X + lane] = -1.0
    if folded:
        first = 0
        for i in range(int(work[N]) + 1):
            _follow(work, points, (i >> LANE_BITS) * POINT + (i & (LANES - 1)), first)
    else:
        for i in range(rows + 1):
            for lane in range(LANES):
                _follow(work, points, i * POINT + lane, lane)


@helper
def _write_residuals(work: Floats, lane: int, family: int, figures: Floats) -> None:
    """Mean and largest absolute residual, and the von Neumann ratio of the residuals in order of capital.

    The ratio, squared differences of neighbours over squares, is small where residuals follow a pattern. Its mean and
    variance for independent errors are exact (Durbin and Watson).
    """
    groups = work[GROUPS + lane]
    p = 3.0 if family in (QUADRATIC, EXPONENTIAL) else 2.0
    p0, p1, p2 = work[P0 + lane], work[P1 + lane], work[P2 + lane]
    d00, d11, d22 = work[D00 + lane], work[D11 + lane], work[D22 + lane]
    d01, d02, d12 = work[D01 + lane], work[D02 + lane], work[D12 + lane]
    seconds = work[SECONDS + lane] + (p0 * p0 + p1 * p1 + p2 * p2)
    figures[F_MEAN_ERROR] = work[ABSOLUTE + lane] / work[WEIGHT + lane]
    figures[F_MAX_ERROR] = work[WORST + lane]
    figures[F_RATIO] = figures[F_RATIO_MEAN] = figures[F_RATIO_VARIANCE] = math.nan
    freedom = groups - p
    if freedom >= 2.0:
        trace = 2.0 * (groups - 1.0) - (d00 + d11 + d22)
        cross = d00 * d00 + d11 * d11 + d22 * d22 + 2.0 * (d01 * d01 + d02 * d02 + d12 * d12)
        trace_2 = (6.0 * groups - 8.0) - 2.0 * seconds + cross
        rounding = work[SQUARES + lane] <= 64.0 * _floor(work, lane)
        figures[F_RATIO] = math.inf if rounding else work[DIFFERENCES + lane] / work[SQUARES + lane]
        figures[F_RATIO_MEAN] = trace / freedom
        figures[F_RATIO_VARIANCE] = 2.0 * (freedom * trace_2 - trace * trace) / (freedom * freedom * (freedom + 2.0))


@helper
def _write_curve(work: Floats, lane: int, family: int, params: Floats, origin: Floats, root: Floats) -> float:
    """Turn coefficients over x into those over capital; returns where trust in the curve ends."""
    c0, span = work[C0 + lane], work[SPAN + lane]
    mean = work[MEAN_Y + lane]
    c1, c2 = _coefficients(work, lane, family)
    norm1, norm2 = _norms(work, lane, family)
    i1, i2 = _inverse_root(norm1), _inverse_root(norm2)
    largest = work[LARGEST + lane]
    limit = 2.0 * largest
    root[0] = 1.0 / math.sqrt(work[WEIGHT + lane])
    root[3] = root[4] = root[5] = 0.0
    params[2] = 0.0
    origin[0] = 0.0
    if family == LINEAR:
        at_mean = c0 + work[MEAN_X + lane] * span
        params[0] = c1 / span
        params[1] = mean - params[0] * at_mean
        root[1] = at_mean
        root[2] = i1 / span
    elif family == SQRT:
        root_span = work[ROOT_SPAN + lane]
        at_mean = work[ROOT0 + lane] + work[MEAN_S + lane] * root_span
        params[0] = c1 / root_span
        params[1] = mean - params[0] * at_mean
        root[1] = at_mean
        root[2] = i1 / root_span
    elif family == QUADRATIC:
        anchor = c0 if c0 > NARROW * span else 0.0
        at_mean = (c0 - anchor) + work[MEAN_X + lane] * span
        params[0] = c2 / span / span
        slope = (c1 - c2 * work[K2 + lane]) / span
        params[1] = slope - 2.0 * params[0] * at_mean
        params[2] = mean - c2 * work[M2 + lane] - slope * at_mean + params[0] * at_mean * at_mean
        origin[0] = anchor
        root[1] = at_mean
        root[2] = i1 / span
        root[3] = at_mean * at_mean + span * span * work[M2 + lane]
        root[4] = 2.0 * at_mean + work[K2 + lane] * span
        root[5] = i2 / span / span
        minimum = _minimum(work, lane) if work[FLAT + lane] == 0.0 else math.inf
        if EDGE < minimum < 1.0 - EDGE:
            limit = largest
        elif minimum >= 1.0 - EDGE:
            limit = min(limit, max(largest, c0 + minimum * span))
    else:
        flat = work[FLAT + lane] > 0.0
        rate = 1.0 if flat else work[BEST_RATE + lane]
        at_mean = 0.0 if flat else 1.0 + work[MEAN_H + lane]
        params[0] = c1
        params[1] = rate / span
        params[2] = mean - c1 * at_mean
        origin[0] = c0
        root[1] = at_mean
        root[2] = i1
        root[3] = 0.0 if flat else span * work[MEAN_U + lane]
        root[4] = 0.0 if flat else span * (work[SGU + lane] / work[SGG + lane])
        root[5] = i2 / span
    return limit


@helper
def _write_covariance(family: int, params: Floats, root: Floats, variance: float, covariance: Floats) -> None:
    """Covariance of (a, b, c), from the inverse root of the normal matrix."""
    i0, m1, i1, m2, k, i2 = root[0], root[1], root[2], root[3], root[4], root[5]
    # What a, b and c are made of, in three uncorrelated parts of equal variance.
    a1, a2 = i1, -i2 * k
    b2 = i2
    c0, c1, c2 = i0, -i1 * m1, i2 * (k * m1 - m2)
    for j in range(9):
        covariance[j] = 0.0
    if family in (LINEAR, SQRT):
        covariance[0] = variance * a1 * a1
        covariance[1] = covariance[3] = variance * a1 * c1
        covariance[4] = variance * (c0 * c0 + c1 * c1)
        return
    first = variance * (a1 * a1 + a2 * a2)
    second = variance * b2 * b2
    between = variance * a2 * b2
    first_c = variance * (a1 * c1 + a2 * c2)
    second_c = variance * b2 * c2
    covariance[8] = variance * (c0 * c0 + c1 * c1 + c2 * c2)
    if family == QUADRATIC:  # a belongs to the second basis function, C², and b to the first
        covariance[0], covariance[4] = second, first
        covariance[1] = covariance[3] = between
        covariance[2] = covariance[6] = second_c
        covariance[5] = covariance[7] = first_c
    else:  # the second basis function stands for −a·∂b
        scale = -1.0 / params[0] if params[0] != 0.0 else 0.0
        covariance[0], covariance[4] = first, second * scale * scale
        covariance[1] = covariance[3] = between * scale
        covariance[2] = covariance[6] = first_c
        covariance[5] = covariance[7] = second_c * scale


@helper
def _finish(
    work: Floats,
    lane: int,
    i: int,
    family: Codes,
    status: Codes,
    n_points: Integers,
    params: Floats,
    origin: Floats,
    root: Floats,
    covariance: Floats,
    figures: Floats,
) -> None:
    chosen = int(work[FAMILY + lane])
    result = _status(work, lane, chosen)
    if result == OK and chosen == EXPONENTIAL:
        norm1, norm2 = _norms(work, lane, chosen)
        result = OK if norm1 > 0.0 and norm2 > 0.0 else DEGENERATE
    family[i] = chosen
    status[i] = result
    n_points[i] = int(work[N + lane])
    p = 3.0 if chosen in (QUADRATIC, EXPONENTIAL) else 2.0
    n = work[WEIGHT + lane]
    freedom = n - p
    if result not in (OK, CONSTANT):
        for j in range(3):
            params[j] = math.nan
        for j in range(6):
            root[j] = math.nan
        for j in range(9):
            covariance[j] = math.nan
        for j in range(figures.size):
            figures[j] = math.nan
        origin[0] = 0.0
        figures[F_FREEDOM] = 0.0
        if n > 0.0:
            figures[F_SMALLEST], figures[F_LARGEST] = work[C0 + lane], work[LARGEST + lane]
        return
    figures[F_SMALLEST], figures[F_LARGEST] = work[C0 + lane], work[LARGEST + lane]
    figures[F_LIMIT] = _write_curve(work, lane, chosen, params, origin, root)
    error = _error(work, lane, chosen)
    determined = freedom > 0.0
    figures[F_RESIDUAL_SD] = math.sqrt(error / freedom) if determined else math.nan
    figures[F_FREEDOM] = freedom if determined else 0.0
    figures[F_R_SQUARED] = 1.0 - error / work[SYY + lane] if result == OK else 0.0
    figures[F_RMSE] = math.sqrt(error / n)
    figures[F_AICC] = _aicc(work, lane, chosen)
    _write_covariance(chosen, params, root, figures[F_RESIDUAL_SD] * figures[F_RESIDUAL_SD], covariance)
    if result == CONSTANT:
        figures[F_MEAN_ERROR] = figures[F_MAX_ERROR] = 0.0
        figures[F_RATIO] = figures[F_RATIO_MEAN] = figures[F_RATIO_VARIANCE] = math.nan
    else:
        _write_residuals(work, lane, chosen, figures)


@kernel(
    integers_in,
    integers_in,
    codes_in,
    floats_in,
    floats_in,
    floats_in,
    codes_out,
    codes_out,
    integers_out,
    float_rows_out,
    floats_out,
    float_rows_out,
    float_rows_out,
    float_rows_out,
    floats_out,
    floats_out,
    integer,
    integer,
)
def fit(
    order: Integers,
    offsets: Integers,
    choice: Codes,
    capital: Floats,
    efficiency: Floats,
    weight: Floats,
    family: Codes,
    status: Codes,
    n_points: Integers,
    params: Floats,
    origin: Floats,
    root: Floats,
    covariance: Floats,
    figures: Floats,
    work: Floats,
    scratch: Floats,
    start: int,
    stop: int,
) -> None:
    """Fit the instruments ``order[start:stop]``.

    Parameters
    ----------
    order : (n,) int64
        Which instrument comes when; those of similar size belong side by side. Results do not depend on it.
    offsets : (n + 1,) int64
        Instrument i has the records ``offsets[i] <= k < offsets[i + 1]``.
    choice : (n,) int8
        Family wanted, or AUTO.
    capital, efficiency : (records,) float64
        Finite; capital positive.
    weight : (records,) or (0,) float64
        Finite, at least 0; empty means 1 for all.
    family, status : (n,) int8
        Outputs: family codes, and OK, TOO_FEW_POINTS, DEGENERATE or CONSTANT.
    n_points : (n,) int64
        Output: records of positive weight.
    params, origin, root, covariance : (n, 3), (n,), (n, 6), (n, 9) float64
        Outputs: a, b, c over capital minus origin, inverse root of the normal matrix, covariance of a, b, c.
    figures : (n, len(FIGURES)) float64
        Output.
    work : (work_size(most records of an instrument),) float64
    scratch : (3 · most records of an instrument,) float64
    start, stop : int
        Range of `order`.
    """
    points = work[HEAD:]
    turns = order[start:stop]
    done = 0
    while done < turns.size:
        i = turns[done]
        folded = offsets[i + 1] - offsets[i] > FOLD
        shift = LANE_BITS if folded else 0
        lanes = 0
        rows = 0
        roots = quadratics = exponentials = False
        while lanes < (1 if folded else LANES) and done + lanes < turns.size:
            i = turns[done + lanes]
            if lanes > 0 and offsets[i + 1] - offsets[i] > FOLD:
                break
            n = _load(work, points, lanes, shift, capital, efficiency, weight, offsets[i], offsets[i + 1], scratch)
            rows = max(rows, (n + (1 << shift) - 1) >> shift)
            roots = roots or choice[i] in (SQRT, AUTO)
            quadratics = quadratics or choice[i] in (QUADRATIC, AUTO)
            exponentials = exponentials or choice[i] in (EXPONENTIAL, AUTO)
            lanes += 1
        rows = (rows + QUAD - 1) // QUAD * QUAD
        if not folded:
            for lane in range(lanes, LANES):
                _describe(work, lane, 0, 0, 0, 0.0, 0.0, 1.0, 1.0, 0.0)
        for lane in range(1 if folded else LANES):
            _pad(work, points, lane, shift, int(work[N + lane]), rows + 1)
        _normalise(work, points, rows + 1, roots)
        _fit_lines(work, points, rows, folded)
        if quadratics:
            _fit_quadratics(work, points, rows, folded)
        if roots:
            _fit_roots(work, points, rows, folded)
        if exponentials:
            _fit_exponentials(work, points, rows, folded)
        for lane in range(lanes):
            wanted = choice[turns[done + lane]]
            _prepare_residuals(work, lane, _choose(work, lane) if wanted == AUTO else wanted)
        _follow_all(work, points, rows, folded)
        for lane in range(lanes):
            i = turns[done + lane]
            _finish(
                work, lane, i, family, status, n_points,
                params[i], origin[i : i + 1], root[i], covariance[i], figures[i],
            )  # fmt: skip
        done += lanes


@kernel(integers_in, floats_in, floats_in, floats_in, floats_out, integer, integer)
def decay(
    offsets: Integers, times: Floats, weight: Floats, half_life: Floats, out: Floats, start: int, stop: int
) -> None:
    """Weights times 2^(−age/half-life) of the instruments ``start <= i < stop``.

    Age counts from the instrument's newest record of positive weight.

    Parameters
    ----------
    offsets : (n + 1,) int64
    times : (records,) float64
    weight : (records,) or (0,) float64
        Empty means 1 for all.
    half_life : (1,) float64
        Positive.
    out : (records,) float64
        Output.
    """
    for i in range(start, stop):
        ages = times[offsets[i] : offsets[i + 1]]
        newest = -math.inf
        for k in range(ages.size):
            if weight.size == 0 or weight[offsets[i] + k] > 0.0:
                newest = max(newest, ages[k])
        for k in range(ages.size):
            w = weight[offsets[i] + k] if weight.size > 0 else 1.0
            out[offsets[i] + k] = w * exp(-LN_2 * ((newest - ages[k]) / half_life[0])) if w > 0.0 else 0.0
