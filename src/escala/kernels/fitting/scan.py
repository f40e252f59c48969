"""The best rate of an exponential: a grid of all rates, then Newton's method in the brackets that are left."""

from __future__ import annotations

import math

from escala.kernels.fitting.moments import share, zero
from escala.kernels.fitting.rows import LANES, LN_2, POINT, QUAD, ROOT_2, head, own_rows, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import families
from escala.kernels.special import expm1

C_3, C_4, C_5, C_6 = 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0
HALF_LN_2 = 0.5 * LN_2
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

own = own_rows(
    families.EXPONENTIAL,
    "mean_h", "mean_u", "rate", "low", "high", "step", "active", "last_f", "last_k", "left", "best_f", "best_rate",
    "a", "sgg", "sgu", "suu", "ratio", "sse", "status",
)  # fmt: skip
#: Squared errors on the grid of rates, a row a step.
GRID = own.END


@helper
def _slow_decay(t: float) -> float:
    """e^t − 1; for t down to −2^-8 six terms of the series leave no error."""
    return t * (1.0 + t * (0.5 + t * (C_3 + t * (C_4 + t * (C_5 + t * C_6)))))


@helper
def begin_scan(work: Floats, points: Floats, rows: int) -> None:
    """Set h = e^t − 1 for the first two rates, at every point and at the mean capital."""
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            x = at[pt.X + lane]
            at[pt.H + lane] = _slow_decay(-LOWEST_RATE * (0.5 * ROOT_2) * x)
            at[pt.U + lane] = _slow_decay(-LOWEST_RATE * x)
    for lane in range(LANES):
        work[own.MEAN_H + lane] = _slow_decay(-LOWEST_RATE * (0.5 * ROOT_2) * work[head.MEAN_X + lane])
        work[own.MEAN_U + lane] = _slow_decay(-LOWEST_RATE * work[head.MEAN_X + lane])


@helper
def scan(work: Floats, points: Floats, rows: int, folded: bool, row: int, middle: int, first: int) -> None:
    """Squared error at every second step of the grid, from `first` on; two steps and four points at a time.

    Moments are taken about h at the mean capital: about 0, those of a fast decay would cancel where its first point
    weighs little. The sums are written once for four points: a sum that is stored and loaded again waits for itself.
    """
    for step in range(first, STEPS, 4):
        zero(work)
        for i in range(0, rows, QUAD):
            at = points[i * POINT : (i + QUAD) * POINT]
            for lane in range(LANES):
                h0, h1 = at[row + lane], at[POINT + row + lane]
                h2, h3 = at[2 * POINT + row + lane], at[3 * POINT + row + lane]
                w0, w1 = at[pt.W + lane], at[POINT + pt.W + lane]
                w2, w3 = at[2 * POINT + pt.W + lane], at[3 * POINT + pt.W + lane]
                y0, y1 = at[pt.Y + lane], at[POINT + pt.Y + lane]
                y2, y3 = at[2 * POINT + pt.Y + lane], at[3 * POINT + pt.Y + lane]
                m = work[middle + lane]
                d0, d1, d2, d3 = h0 - m, h1 - m, h2 - m, h3 - m
                a0, a1, a2, a3 = w0 * d0, w1 * d1, w2 * d2, w3 * d3
                work[head.T0 + lane] = work[head.T0 + lane] + a0 + a1 + a2 + a3
                work[head.T1 + lane] = work[head.T1 + lane] + a0 * d0 + a1 * d1 + a2 * d2 + a3 * d3
                work[head.T2 + lane] = work[head.T2 + lane] + a0 * y0 + a1 * y1 + a2 * y2 + a3 * y3
                h0, h1, h2, h3 = h0 * (h0 + 2.0), h1 * (h1 + 2.0), h2 * (h2 + 2.0), h3 * (h3 + 2.0)
                m = m * (m + 2.0)
                d0, d1, d2, d3 = h0 - m, h1 - m, h2 - m, h3 - m
                a0, a1, a2, a3 = w0 * d0, w1 * d1, w2 * d2, w3 * d3
                work[head.T3 + lane] = work[head.T3 + lane] + a0 + a1 + a2 + a3
                work[head.T4 + lane] = work[head.T4 + lane] + a0 * d0 + a1 * d1 + a2 * d2 + a3 * d3
                work[head.T5 + lane] = work[head.T5 + lane] + a0 * y0 + a1 * y1 + a2 * y2 + a3 * y3
                at[row + lane], at[POINT + row + lane] = h0 * (h0 + 2.0), h1 * (h1 + 2.0)
                at[2 * POINT + row + lane], at[3 * POINT + row + lane] = h2 * (h2 + 2.0), h3 * (h3 + 2.0)
        if folded:
            share(work)
        for lane in range(LANES):
            sum_1, sum_2 = work[head.T0 + lane], work[head.T3 + lane]
            spread_1 = work[head.T1 + lane] - sum_1 * sum_1 / work[head.WEIGHT + lane]
            spread_2 = work[head.T4 + lane] - sum_2 * sum_2 / work[head.WEIGHT + lane]
            explained_1, explained_2 = work[head.T2 + lane], work[head.T5 + lane]
            total = work[head.SYY + lane]
            m = work[middle + lane]
            m = m * (m + 2.0)
            work[middle + lane] = m * (m + 2.0)
            work[GRID + step * LANES + lane] = total - explained_1 * explained_1 / spread_1
            work[GRID + (step + 2) * LANES + lane] = total - explained_2 * explained_2 / spread_2


@helper
def below_borders(work: Floats, lane: int) -> float:
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
        work[head.T0 + lane] = math.inf
        work[head.T1 + lane] = 0.0
        below = below_borders(work, lane)
        total = work[head.SYY + lane]
        # what rounding may have taken from a tiny error is given back
        work[head.T2 + lane] = below + GRID_NOISE * total if below < TINY * total else below
        work[own.ACTIVE + lane] = work[own.LEFT + lane]
        work[own.LEFT + lane] = 0.0
    for step in range(1, LAST_STEP + 1):
        number = float(step)
        row = GRID + step * LANES
        for lane in range(LANES):
            f, before, behind = work[row + lane], work[row - LANES + lane], work[row + LANES + lane]
            last, last_k, best = work[own.LAST_F + lane], work[own.LAST_K + lane], work[own.BEST_F + lane]
            lowest, chosen, left = work[head.T0 + lane], work[head.T1 + lane], work[own.LEFT + lane]
            bend = before + behind - 2.0 * f
            untried = (f > last) | ((f == last) & (number > last_k))
            hopeful = (f - bend < best) & (f - bend < work[head.T2 + lane])
            fits = (f <= before) & (f < behind) & untried & hopeful & (work[own.ACTIVE + lane] > 0.0)
            lower = fits & (f < lowest)
            work[own.LEFT + lane] = left + 1.0 if fits else left
            work[head.T0 + lane] = f if lower else lowest
            work[head.T1 + lane] = number if lower else chosen
    for lane in range(LANES):
        chosen = work[head.T1 + lane]
        work[own.ACTIVE + lane] = 1.0 if chosen > 0.0 else 0.0
        if chosen > 0.0:
            work[own.LEFT + lane] -= 1.0
            step = int(chosen)
            work[own.LAST_F + lane], work[own.LAST_K + lane] = work[head.T0 + lane], chosen
            middle = LOWEST_RATE * float(1 << ((step - 1) >> 1)) * (1.0 if step & 1 == 1 else ROOT_2)
            work[own.LOW + lane] = middle * (0.5 * ROOT_2)
            work[own.HIGH + lane] = middle * ROOT_2
            work[own.STEP + lane] = math.inf
            z = HALF_LN_2 * _vertex(work, GRID + step * LANES + lane, step > 1)
            work[own.RATE + lane] = middle * (1.0 + z * (1.0 + z * (0.5 + z * (C_3 + z * C_4))))


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
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            x = at[pt.X + lane]
            w = at[pt.W + lane]
            h = expm1(-work[own.RATE + lane] * x)
            u = x + x * h
            at[pt.H + lane] = h
            at[pt.U + lane] = u
            work[head.T0 + lane] += w * h
            work[head.T1 + lane] += w * u
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.MEAN_H + lane] = work[head.T0 + lane] / work[head.WEIGHT + lane]
        work[own.MEAN_U + lane] = work[head.T1 + lane] / work[head.WEIGHT + lane]
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            y = at[pt.Y + lane]
            w = at[pt.W + lane]
            u = at[pt.U + lane]
            dh = at[pt.H + lane] - work[own.MEAN_H + lane]
            du = u - work[own.MEAN_U + lane]
            v = at[pt.X + lane] * u
            wdh = w * dh
            wdu = w * du
            work[head.T0 + lane] += wdh * dh
            work[head.T1 + lane] += wdh * du
            work[head.T2 + lane] += wdu * du
            work[head.T3 + lane] += wdh * y
            work[head.T4 + lane] += wdu * y
            work[head.T5 + lane] += w * y * v
            work[head.T6 + lane] += wdh * v
    if folded:
        share(work)


@helper
def _newton_steps(work: Floats) -> None:
    """Move active lanes' rates towards a root of F = Σ w·residual·u, where the squared error is stationary."""
    for lane in range(LANES):
        gg, gu, uu = work[head.T0 + lane], work[head.T1 + lane], work[head.T2 + lane]
        gy, uy, vy, gv = work[head.T3 + lane], work[head.T4 + lane], work[head.T5 + lane], work[head.T6 + lane]
        rate, low, high = work[own.RATE + lane], work[own.LOW + lane], work[own.HIGH + lane]
        active, last_step = work[own.ACTIVE + lane] > 0.0, work[own.STEP + lane]
        best, best_rate, total = work[own.BEST_F + lane], work[own.BEST_RATE + lane], work[head.SYY + lane]
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
        work[own.LOW + lane] = low
        work[own.HIGH + lane] = high
        work[own.STEP + lane] = step
        work[own.RATE + lane] = new if active else rate
        work[own.ACTIVE + lane] = 1.0 if active & (not ended) else 0.0
        work[own.BEST_F + lane] = error if better else best
        work[own.BEST_RATE + lane] = new if better else best_rate


@helper
def _any(work: Floats, row: int) -> bool:
    found = False
    for lane in range(row, row + LANES):
        found = found | (work[lane] > 0.0)
    return found


@routine
def search_rates(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Find each lane's best rate: refine grid minima, lowest first, until none can beat the best."""
    for lane in range(LANES):
        work[own.BEST_F + lane] = math.inf
        work[own.BEST_RATE + lane] = math.nan
        work[own.LAST_F + lane] = -math.inf
        work[own.LAST_K + lane] = 0.0
        work[own.RATE + lane] = 1.0
        enough = (work[head.DISTINCT + lane] >= 3.0) & (work[head.FLAT + lane] == 0.0)
        work[own.LEFT + lane] = 1.0 if enough else 0.0
    while _any(work, own.LEFT):
        _next_brackets(work)
        steps = 0
        while steps < MOST_NEWTON_STEPS and _any(work, own.ACTIVE):
            _project(work, points, rows, folded)
            _newton_steps(work)
            steps += 1


@routine
def residual_squares(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Best amplitude at each lane's rate, the moments of its basis, and in T0 the sum of squared residuals."""
    _project(work, points, rows, folded)
    for lane in range(LANES):
        work[own.SGG + lane] = work[head.T0 + lane]
        work[own.SGU + lane] = work[head.T1 + lane]
        work[own.SUU + lane] = work[head.T2 + lane]
        work[own.A + lane] = work[head.T3 + lane] / work[head.T0 + lane]
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            r = at[pt.Y + lane] - work[own.A + lane] * (at[pt.H + lane] - work[own.MEAN_H + lane])
            work[head.T0 + lane] += at[pt.W + lane] * r * r
    if folded:
        share(work)


@routine
def exact_border(work: Floats, points: Floats, rows: int, folded: bool, rate: float, step: int) -> None:
    """Replace a border's squared error by the sum of squared residuals, in lanes whose best error is tiny."""
    for lane in range(LANES):
        work[own.RATE + lane] = rate
    residual_squares(work, points, rows, folded)
    for lane in range(LANES):
        exact, rounded = work[head.T0 + lane], work[GRID + step * LANES + lane]
        tiny = work[own.BEST_F + lane] < TINY * work[head.SYY + lane]
        work[GRID + step * LANES + lane] = exact if tiny else rounded
