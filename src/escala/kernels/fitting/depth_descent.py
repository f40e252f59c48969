"""Downhill to the lowest error of a depth: the method of Levenberg and Marquardt over ln D and ln h, a projected out.

Projection is Kaufman's (1975, BIT 15), but with the whole second derivatives of the error, made positive definite:
along the valleys in which D and h make up for each other, Gauss and Newton's take hundreds of steps. Such a valley is
bent; it is straight in h·(ln D − c), where c is the end of the records beyond which D lies. Beyond the largest capital
that product is the logarithm of what is lost at it, beyond the smallest of what is left to gain.

Where a reaches 1 the error has an edge: its second derivatives jump. So there are two smooth problems, one with a free
and one with a = 1. A descent goes over to the second as soon as a exceeds 1, and comes back if, at its end, a smaller a
is better.
"""

from __future__ import annotations

import math

from escala.kernels.families.depth_parts import nearer, parts
from escala.kernels.fitting.depth_profile import next_start
from escala.kernels.fitting.depth_rows import (
    HIGHEST_BEYOND,
    LOG_SHARPEST,
    LOG_SOFTEST,
    LOWEST,
    PROFILE,
    SHARPNESSES,
    own,
)
from escala.kernels.fitting.load import place
from escala.kernels.fitting.moments import share, zero
from escala.kernels.fitting.rows import ALONE, HEAD, LADDER, LANE_BITS, LANES, POINT, SHARED, head, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.special import exp

STARTS = 3
#: Looks of an instrument together with its neighbours: of those that take more, the lanes of the others would wait.
TOGETHER = 8
#: So far from the best place in ln h a descent begins again where the error is below this share of that of the mean, or
#: of the squares: next to an exact fit the profile, made of rough exponentials, and the ends of valleys say little.
AGAIN = (-1.0, -2.0, 1.0, -3.0)
NEARLY_EXACT, ROUGH = 1e-5, 1e-14
MOST_STEPS, LAST_STEPS = 192, 3
MOST_TURNS = 2  # between a free and a = 1
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-4, 1e8  # below the least there is none
REJECTED_DAMPING = 0.1  # at least, once a step raised the error
ENDED_STEP, ROUNDING_STEP = 1e-11, 1e-7  # of ln D and ln h
#: A descent ends where the next step is so small and lowers the error by so small a share of it: the last steps follow.
LAST_STEP, LAST_GAIN = 1e-3, 1e-10
LONGEST_STEP = 1.0  # of ln h, and of ln D unless h is small: a longer one may leap over the minimum to a plateau
LONGEST_BY_H = 2.0  # of ln D, in units of 1/h
SAME = 1e-3  # of ln D and ln h: from a place so near to an optimum, and above it, the descent leads there
LARGEST_LAST_STEP = 2e-3  # of ln D and ln h: no step of this size improves what has converged
WORSE = 1e-9  # by which relative amount the last steps may raise the error: rounding

# --- the error and its derivatives ------------------------------------------------------------------------------------


@routine
def _project(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Give g and its derivatives at each lane's place, the best a there, and what a projects out of them.

    Second derivatives are only needed in their products with the residuals.
    """
    zero(work)
    for lane in range(LANES):
        h = exp(work[own.TRY_H + lane])
        work[own.H + lane], work[own.INVERSE + lane] = h, 1.0 / h
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w = at[pt.W + lane]
            log_x = at[pt.LOG + lane] - work[own.TRY_D + lane]
            h = work[own.H + lane]
            g, rest, turn, bend = parts(log_x, h, work[own.INVERSE + lane])
            filled, change = 1.0 - rest, bend + abs(log_x) * nearer(rest)
            by_d, by_h = g * filled, g * change
            at[pt.D + lane], at[pt.D_D + lane], at[pt.D_H + lane] = g, by_d, by_h
            turn = h * turn
            twice_d = g * (filled * filled - turn)
            mixed = g * (change * filled + log_x * turn)
            twice_h = g * (change * change - change - log_x * log_x * turn)
            wg, wy = w * g, w * (at[pt.Y + lane] + work[head.MEAN_Y + lane])
            work[head.T0 + lane] += wg * g
            work[head.T1 + lane] += wy * g
            work[head.T2 + lane] += wg * by_d
            work[head.T3 + lane] += wg * by_h
            work[head.T4 + lane] += wg * twice_d
            work[head.T5 + lane] += wg * mixed
            work[head.T6 + lane] += wg * twice_h
            work[head.T7 + lane] += wy * twice_d
            work[head.T8 + lane] += wy * mixed
            work[head.T9 + lane] += wy * twice_h
    if folded:
        share(work)
    for lane in range(LANES):
        gg = work[head.T0 + lane]
        held = work[own.HELD + lane] > 0.0
        free = work[head.T1 + lane] / gg
        a = 1.0 if held else free
        work[own.FREE_A + lane], work[own.TRY_A + lane] = free, a
        work[own.R_DD + lane] = work[head.T7 + lane] - a * work[head.T4 + lane]
        work[own.R_DH + lane] = work[head.T8 + lane] - a * work[head.T5 + lane]
        work[own.R_HH + lane] = work[head.T9 + lane] - a * work[head.T6 + lane]
        # a bound that holds a leaves nothing to project out, and nothing to estimate
        work[own.N0 + lane] = 0.0 if held else gg
        work[own.M1 + lane] = 0.0 if held else work[head.T2 + lane] / gg
        work[own.M2 + lane] = 0.0 if held else work[head.T3 + lane] / gg


@routine
def _residuals(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Sums of squared residuals, of their products with the derivatives, and of those among themselves."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w = at[pt.W + lane]
            a, g = work[own.TRY_A + lane], at[pt.D + lane]
            residual = (at[pt.Y + lane] + work[head.MEAN_Y + lane]) - a * g
            by_d = a * (at[pt.D_D + lane] - work[own.M1 + lane] * g)
            by_h = a * (at[pt.D_H + lane] - work[own.M2 + lane] * g)
            wr, wd = w * residual, w * by_d
            work[head.T0 + lane] += wr * residual
            work[head.T1 + lane] += wr * by_d
            work[head.T2 + lane] += wr * by_h
            work[head.T3 + lane] += wd * by_d
            work[head.T4 + lane] += wd * by_h
            work[head.T5 + lane] += w * by_h * by_h
    if folded:
        share(work)


@routine
def _look(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """All sums at each lane's place."""
    _project(work, points, rows, folded)
    _residuals(work, points, rows, folded)


@routine
def _accept(work: Floats, lane: int) -> None:
    """Take the trial step, with the derivatives of half the error there, a being the best one everywhere."""
    a, m1, m2 = work[own.TRY_A + lane], work[own.M1 + lane], work[own.M2 + lane]
    gg = work[own.N0 + lane]
    over = 1.0 / gg if gg > 0.0 else 0.0
    d, h = work[head.T1 + lane] / a, work[head.T2 + lane] / a
    dd, dh, hh = work[head.T3 + lane], work[head.T4 + lane], work[head.T5 + lane]
    work[own.PLAIN_DD + lane], work[own.PLAIN_DH + lane], work[own.PLAIN_HH + lane] = dd, dh, hh
    work[own.H_DD + lane] = dd - a * work[own.R_DD + lane] + (2.0 * a * m1 * d - d * d * over)
    work[own.H_DH + lane] = dh - a * work[own.R_DH + lane] + (a * (m1 * h + m2 * d) - d * h * over)
    work[own.H_HH + lane] = hh - a * work[own.R_HH + lane] + (2.0 * a * m2 * h - h * h * over)
    work[own.G_D + lane], work[own.G_H + lane] = work[head.T1 + lane], work[head.T2 + lane]
    work[own.LOG_D + lane], work[own.LOG_H + lane] = work[own.TRY_D + lane], work[own.TRY_H + lane]
    work[own.ERROR + lane], work[own.KEPT_A + lane] = work[head.T0 + lane], work[own.FREE_A + lane]


# --- a step -----------------------------------------------------------------------------------------------------------


@routine
def _positive(
    dd: float, dh: float, hh: float, plain_dd: float, plain_dh: float, plain_hh: float
) -> tuple[float, float, float, bool]:
    """The matrix with its eigenvalues' absolute values, in units of Gauss and Newton's diagonal; theirs if that is 0.

    With eigenvalues of both signs |M| = (M·trace/2 − det)/√(trace²/4 − det). The last tells whether all is as given.
    """
    if not ((plain_dd > 0.0) & (plain_hh > 0.0)):
        return plain_dd, plain_dh, plain_hh, False
    if (dd > 0.0) & (dd * hh - dh * dh > 0.0):
        return dd, dh, hh, True
    unit = math.sqrt(plain_dd) * math.sqrt(plain_hh)
    a, b, c = dd / plain_dd, dh / unit, hh / plain_hh
    half = 0.5 * (a + c)
    determinant = a * c - b * b
    if determinant >= 0.0:
        return -dd, -dh, -hh, False
    radius = math.sqrt(half * half - determinant)
    a, b, c = (half * a - determinant) / radius, half * b / radius, (half * c - determinant) / radius
    return a * plain_dd, b * unit, c * plain_hh, False


@helper
def _between(x: float, low: float, high: float) -> float:
    x = x if x > low else low
    return x if x < high else high


@helper
def _beyond(log_d: float, top: float, held: float) -> float:
    """How far D lies beyond the end of the records from which valleys are straight; 0 inside."""
    return log_d - top if log_d > top else (log_d if (log_d < 0.0) & (held == 0.0) else 0.0)


@helper
def _along(work: Floats, lane: int, end: float, off: float, softer: float) -> float:
    """Give ln D along a valley, for a ln h that is less by so much, inside the borders."""
    return _between(end + off * exp(softer), LOWEST, work[own.TOP + lane] + HIGHEST_BEYOND)


@routine
def _aim(work: Floats, lane: int, damping: float) -> tuple[float, bool]:
    """Set the next trial step, inside the borders; what a border holds back does not move.

    Returns by how much the error should fall, and whether the second derivatives vouch for it.
    """
    log_d, log_h, top = work[own.LOG_D + lane], work[own.LOG_H + lane], work[own.TOP + lane]
    highest = top + HIGHEST_BEYOND
    down_d, down_h = work[own.G_D + lane], work[own.G_H + lane]
    free_d = not (((log_d <= LOWEST) & (down_d < 0.0)) | ((log_d >= highest) & (down_d > 0.0)))
    free_h = not (((log_h <= LOG_SOFTEST) & (down_h < 0.0)) | ((log_h >= LOG_SHARPEST) & (down_h > 0.0)))
    off = _beyond(log_d, top, work[own.HELD + lane])  # along h, h·off stays as it is
    dd, dh = work[own.H_DD + lane], work[own.H_DH + lane]
    hh = work[own.H_HH + lane] - 2.0 * off * dh + off * off * dd - off * down_d
    dh = dh - off * dd + down_d
    plain_dd, plain_dh = work[own.PLAIN_DD + lane], work[own.PLAIN_DH + lane]
    plain_hh = work[own.PLAIN_HH + lane] - 2.0 * off * plain_dh + off * off * plain_dd
    dd, dh, hh, sound = _positive(dd, dh, hh, plain_dd, plain_dh - off * plain_dd, plain_hh)
    down_h = down_h - off * down_d if free_h else down_h
    dd, hh = dd * (1.0 + damping), hh * (1.0 + damping)
    determinant = dd * hh - dh * dh
    both = free_d & free_h & (determinant > 0.0)
    step_d = step_h = 0.0
    if free_d & (dd > 0.0):
        step_d = (down_d * hh - down_h * dh) / determinant if both else down_d / dd
    if free_h & (hh > 0.0):
        step_h = (down_h * dd - down_d * dh) / determinant if both else down_h / hh
    gain = step_d * down_d + step_h * down_h
    longest = max(LONGEST_STEP, LONGEST_BY_H * exp(-log_h))
    times = max(abs(step_d) / longest, abs(step_h) / LONGEST_STEP)
    if times > 1.0:
        step_d, step_h, sound = step_d / times, step_h / times, False
    try_h = _between(log_h + step_h, LOG_SOFTEST, LOG_SHARPEST)
    try_d = _along(work, lane, log_d - off, off + step_d, log_h - try_h)
    work[own.TRY_D + lane], work[own.TRY_H + lane] = try_d, try_h
    work[own.MOVED + lane] = max(abs(work[own.TRY_D + lane] - log_d), abs(try_h - log_h))
    return gain, sound


# --- descents ---------------------------------------------------------------------------------------------------------


@routine
def descend(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Go down from each lane's starts, one after the other, and keep the best place of all."""
    for lane in range(LANES):
        work[own.BEST_ERROR + lane] = math.inf
        work[own.BEST_D + lane] = work[own.BEST_H + lane] = work[own.BEST_HELD + lane] = 0.0
        work[own.TRY_D + lane] = work[own.TRY_H + lane] = work[own.HELD + lane] = 0.0
        work[own.STARTS + lane], work[own.START_ERROR + lane], work[own.START + lane] = 0.0, -math.inf, -1.0
        work[own.ACTIVE + lane] = work[own.AGAIN + lane] = work[own.LOOKS + lane] = work[own.LEFT + lane] = 0.0
        if (work[head.DISTINCT + lane] >= 3.0) & (work[head.FLAT + lane] == 0.0):
            _begin(work, lane)
    if folded:
        _descend_alone(work, points, rows)
        for lane in range(1, LANES):
            work[own.BEST_D + lane], work[own.BEST_H + lane] = work[own.BEST_D], work[own.BEST_H]
            work[own.BEST_ERROR + lane], work[own.BEST_HELD + lane] = work[own.BEST_ERROR], work[own.BEST_HELD]
        return
    while _any_active(work):
        _look(work, points, rows, False)
        for lane in range(LANES):
            if work[own.ACTIVE + lane] > 0.0:
                _advance(work, lane)
                work[own.LOOKS + lane] += 1.0
                if (work[own.ACTIVE + lane] > 0.0) & (work[own.LOOKS + lane] >= TOGETHER):
                    work[own.ACTIVE + lane], work[own.LEFT + lane] = 0.0, 1.0
    for lane in range(LANES):
        if work[own.LEFT + lane] > 0.0:
            _finish_alone(work, points, lane)


@helper
def _any_active(work: Floats) -> bool:
    found = False
    for lane in range(LANES):
        found = found | (work[own.ACTIVE + lane] > 0.0)
    return found


@routine
def _descend_alone(work: Floats, points: Floats, rows: int) -> None:
    """Go down with one instrument that has all lanes: its state is in the first, its place to try in each of them."""
    _spread(work)
    while work[own.ACTIVE] > 0.0:
        _look(work, points, rows, True)
        _advance(work, 0)
        _spread(work)


@helper
def _spread(work: Floats) -> None:
    """Give all lanes the place that the first one tries."""
    for lane in range(1, LANES):
        work[own.TRY_D + lane], work[own.TRY_H + lane] = work[own.TRY_D], work[own.TRY_H]
        work[own.HELD + lane] = work[own.HELD]


@routine
def _finish_alone(work: Floats, points: Floats, lane: int) -> None:
    """Go on with an instrument that takes longer than its neighbours: its points dealt out, a look costs a tenth."""
    alone = work[ALONE:HEAD]
    for row in range(0, head.END, LANES):
        alone[row] = work[row + lane]
    for row in range(own.TOP, own.END, LANES):
        alone[row] = work[row + lane]
    for row in range(SHARED, SHARED + SHARPNESSES * PROFILE, LANES):
        alone[row] = work[row + lane]
    for each in range(1, LANES):
        alone[head.MEAN_Y + each] = alone[head.MEAN_Y]
    dealt = alone[LADDER:]
    n = int(work[head.N + lane])
    rows = (n + LANES - 1) >> LANE_BITS
    for i in range(rows * LANES):
        inside = i < n
        at, to = place(i if inside else n - 1, lane, 0), place(i, 0, LANE_BITS)
        dealt[to + pt.LOG], dealt[to + pt.Y] = points[at + pt.LOG], points[at + pt.Y]
        dealt[to + pt.W] = points[at + pt.W] if inside else 0.0
    alone[own.ACTIVE] = 1.0
    _descend_alone(alone, dealt, rows)
    work[own.BEST_D + lane], work[own.BEST_H + lane] = alone[own.BEST_D], alone[own.BEST_H]
    work[own.BEST_ERROR + lane], work[own.BEST_HELD + lane] = alone[own.BEST_ERROR], alone[own.BEST_HELD]


@routine
def _begin(work: Floats, lane: int) -> None:
    """Begin at the lane's next start, if there is one left."""
    found = (work[own.STARTS + lane] < STARTS) and next_start(work, lane)
    work[own.STARTS + lane] = work[own.STARTS + lane] + 1.0 if found else STARTS
    work[own.ACTIVE + lane] = 1.0 if found or _at_knee(work, lane) or _again(work, lane) else 0.0
    work[own.STEPS + lane], work[own.TURNS + lane] = 0.0, 0.0
    _restart(work, lane, 0.0)


@helper
def _at_knee(work: Floats, lane: int) -> bool:
    """Choose the best knee, once, if with an infinite h it is better than all that was found."""
    if not work[own.KNEE_ERROR + lane] < work[own.BEST_ERROR + lane]:
        return False
    work[own.KNEE_ERROR + lane] = math.inf
    work[own.TRY_D + lane], work[own.TRY_H + lane] = work[own.KNEE_D + lane], LOG_SHARPEST
    return True


@helper
def _again(work: Floats, lane: int) -> bool:
    """Choose a place along the valley of the best one of a fit that is nearly exact; false where all were tried."""
    turn, best = int(work[own.AGAIN + lane]), work[own.BEST_ERROR + lane]
    exact = (best < NEARLY_EXACT * work[head.SYY + lane]) | (best < ROUGH * work[own.YY + lane])
    if (turn >= len(AGAIN)) | (not exact):
        return False
    work[own.AGAIN + lane] += 1.0
    log_d, log_h = work[own.BEST_D + lane], work[own.BEST_H + lane]
    off = _beyond(log_d, work[own.TOP + lane], work[own.BEST_HELD + lane])
    try_h = _between(log_h + AGAIN[turn], LOG_SOFTEST, LOG_SHARPEST)
    work[own.TRY_D + lane] = _along(work, lane, log_d - off, off, log_h - try_h)
    work[own.TRY_H + lane] = try_h
    return True


@helper
def _restart(work: Floats, lane: int, held: float) -> None:
    """Whatever the error is at the place to try, with a free or a = 1, it will be taken."""
    work[own.HELD + lane] = held
    work[own.ERROR + lane] = work[own.MOVED + lane] = math.inf
    work[own.DAMPING + lane] = FIRST_DAMPING


@routine
def _advance(work: Floats, lane: int) -> None:
    """Take a trial step that lowers the error, with less damping next; otherwise more. Set the next one, or end."""
    work[own.STEPS + lane] += 1.0
    damping = work[own.DAMPING + lane]
    better = work[head.T0 + lane] < work[own.ERROR + lane]
    if better:
        _accept(work, lane)
        if (work[own.HELD + lane] == 0.0) & (work[own.KEPT_A + lane] > 1.0):
            work[own.TURNS + lane] += 1.0
            _restart(work, lane, 1.0)
            return
        work[own.DAMPING + lane] = 0.1 * damping if damping > LEAST_DAMPING else 0.0
    else:
        work[own.DAMPING + lane] = max(10.0 * damping, REJECTED_DAMPING)
    if _is_known(work, lane):
        _begin(work, lane)
    elif not _goes_on(work, lane, better):
        _end(work, lane)


@helper
def _is_known(work: Floats, lane: int) -> bool:
    """Whether a place is next to the best one, and so on its way there."""
    near_d = abs(work[own.LOG_D + lane] - work[own.BEST_D + lane]) < SAME
    near_h = abs(work[own.LOG_H + lane] - work[own.BEST_H + lane]) < SAME
    return near_d & near_h & (work[own.ERROR + lane] >= work[own.BEST_ERROR + lane])


@routine
def _goes_on(work: Floats, lane: int, better: bool) -> bool:
    """Set the next trial step; false where the descent has ended. A small step that lowers nothing has met rounding."""
    if not (better | (work[own.MOVED + lane] > ROUNDING_STEP)):
        return False
    damping = work[own.DAMPING + lane]
    gain, sound = _aim(work, lane, damping)
    moved = work[own.MOVED + lane]
    ended = better & sound & (moved < LAST_STEP) & (gain <= LAST_GAIN * work[own.ERROR + lane])
    return (damping <= MOST_DAMPING) & (work[own.STEPS + lane] < MOST_STEPS) & (moved > ENDED_STEP) & (not ended)


@routine
def _end(work: Floats, lane: int) -> None:
    """Keep the place if it is the best; go on with a free if it is better below 1, or from the next start."""
    held = work[own.HELD + lane]
    if work[own.ERROR + lane] < work[own.BEST_ERROR + lane]:
        work[own.BEST_ERROR + lane], work[own.BEST_HELD + lane] = work[own.ERROR + lane], held
        work[own.BEST_D + lane], work[own.BEST_H + lane] = work[own.LOG_D + lane], work[own.LOG_H + lane]
    if (held > 0.0) & (work[own.KEPT_A + lane] < 1.0) & (work[own.TURNS + lane] <= MOST_TURNS):
        work[own.TRY_D + lane], work[own.TRY_H + lane] = work[own.LOG_D + lane], work[own.LOG_H + lane]
        _restart(work, lane, 0.0)
    else:
        _begin(work, lane)


@routine
def polish(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Take the last steps without a look at the error, which near its minimum says less than its derivative.

    They end at g and its derivatives at the best place, with the residuals' sums.
    """
    for lane in range(LANES):
        work[own.HELD + lane] = work[own.BEST_HELD + lane]
        work[own.TRY_D + lane], work[own.TRY_H + lane] = work[own.BEST_D + lane], work[own.BEST_H + lane]
    lanes = 1 if folded else LANES
    for _ in range(LAST_STEPS):
        _look(work, points, rows, folded)
        for lane in range(lanes):
            _accept(work, lane)
            _aim(work, lane, 0.0)
            if not work[own.MOVED + lane] <= LARGEST_LAST_STEP:
                work[own.TRY_D + lane], work[own.TRY_H + lane] = work[own.LOG_D + lane], work[own.LOG_H + lane]
        if folded:
            _spread(work)
    _look(work, points, rows, folded)
    worse = False
    for lane in range(LANES):
        best = work[own.BEST_ERROR + lane]
        if work[head.T0 + lane] > best + WORSE * (best + WORSE * WORSE * work[head.SYY + lane]):
            work[own.TRY_D + lane], work[own.TRY_H + lane] = work[own.BEST_D + lane], work[own.BEST_H + lane]
            worse = True
    if worse:
        _look(work, points, rows, folded)
