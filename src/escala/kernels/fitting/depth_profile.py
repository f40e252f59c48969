"""Where the search for a depth begins: the lowest error of eleven sharpnesses, each over all depths.

For one sharpness the error has, nearly always, one minimum over ln D. It is sought among places inside the records and,
in units of 1/h, beyond both ends, where the curve changes ever more slowly. The best depth of the next sharper one is
tried as well, first of all the best of a sharp knee, which sums over the points on its two sides give exactly. Newton's
method takes two steps from the best place. Exponentials are rough, to 1e-8: what is found are starts.
"""

from __future__ import annotations

import math

from escala.kernels.fitting.depth_rows import (
    FAR_OUT,
    LN_2,
    LOG_SOFTEST_SCANNED,
    PROFILE,
    SHARPNESSES,
    SOFTEST_SCANNED,
    own,
    profile,
)
from escala.kernels.fitting.load import place
from escala.kernels.fitting.moments import share, zero
from escala.kernels.fitting.rows import LANE_BITS, LANES, POINT, head, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.special import exp, log, rough_exps, rough_log1ps

#: Places beyond either end, in units of 1/h, and how many there are between.
OUTSIDE = (2.0, 9.0)
BEYOND = len(OUTSIDE)
INSIDE = 4
PLACES = INSIDE + 2 * BEYOND
FARTHEST_BEFORE = 20.0  # before the smallest capital, in ln D
LOOKS = 3  # at the error and its derivatives at each sharpness, with a step of Newton between two
REACH = 4.0  # of such a step, in units of 1/h, and a third of the range
#: Where the error is nearly the same for all sharper ones (a knee between two points), a narrow minimum may lie before
#: the softest of these: that whose error is within this factor of the lowest.
PLATEAU = 1.01
SAME_VALLEY = 2.0  # difference of ln D up to which two neighbouring sharpnesses have their minimum in one valley

# --- the sharpest knee ------------------------------------------------------------------------------------------------


@routine
def find_knee(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """The best knee between two points of a curve that is level before and falls as 1/C behind: h is infinite."""
    for i in range(rows + 1):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            at[pt.D + lane] = exp(-at[pt.LOG + lane])
    for lane in range(LANES):
        work[own.HEAD_W + lane] = work[own.HEAD_Y + lane] = 0.0
        work[own.TAIL_RR + lane] = work[own.TAIL_RY + lane] = 0.0
        work[own.LOW_ERROR + lane], work[own.LOW_D + lane] = math.inf, 1.0
    if folded:
        n = int(work[head.N])
        for i in range(n):
            _add_tail(work, points, place(n - 1 - i, 0, LANE_BITS), 0)
        for i in range(n - 1):
            _try_knee(work, points, place(i, 0, LANE_BITS), place(i + 1, 0, LANE_BITS), 0)
        for lane in range(1, LANES):
            work[own.LOW_D + lane] = work[own.LOW_D]
    else:
        for i in range(rows + 1):
            for lane in range(LANES):
                _add_tail(work, points, (rows - i) * POINT + lane, lane)
        for i in range(rows):
            for lane in range(LANES):
                _try_knee(work, points, i * POINT + lane, (i + 1) * POINT + lane, lane)
    for lane in range(LANES):
        work[own.LOW_D + lane] = -log(work[own.LOW_D + lane])
        work[own.KNEE_D + lane] = work[own.LOW_D + lane]


@helper
def _add_tail(work: Floats, points: Floats, at: int, lane: int) -> None:
    """Keep at a point the sums over all points behind it, in which r = 1/C stands for the curve."""
    w, y, r = points[at + pt.W], points[at + pt.Y] + work[head.MEAN_Y + lane], points[at + pt.D]
    points[at + pt.D_D], points[at + pt.D_H] = work[own.TAIL_RR + lane], work[own.TAIL_RY + lane]
    work[own.TAIL_RR + lane] += w * r * r
    work[own.TAIL_RY + lane] += w * r * y


@helper
def _try_knee(work: Floats, points: Floats, at: int, behind: int, lane: int) -> None:
    """Put the knee where it is best between a point and the next, and keep it if none was better; D is kept as 1/D."""
    w, near, far = points[at + pt.W], points[at + pt.D], points[behind + pt.D]
    rr, ry = points[at + pt.D_D], points[at + pt.D_H]
    weight = work[own.HEAD_W + lane] + w
    level = work[own.HEAD_Y + lane] + w * (points[at + pt.Y] + work[head.MEAN_Y + lane])
    work[own.HEAD_W + lane], work[own.HEAD_Y + lane] = weight, level
    usable = (points[behind + pt.W] > 0.0) & (far < near) & (rr > 0.0) & (ry > 0.0)
    a = level / (weight if usable else 1.0)
    inverse = (a if a < 1.0 else 1.0) * (rr if usable else 1.0) / (ry if usable else 1.0)
    inverse = inverse if inverse < near else near
    inverse = inverse if inverse > far else far
    inverse = inverse if usable else 1.0
    gg, gy = weight + rr / inverse / inverse, level + ry / inverse
    a = gy / (gg if usable else 1.0)
    a = a if a < 1.0 else 1.0
    error = -a * (2.0 * gy - a * gg)
    lower = usable & (error < work[own.LOW_ERROR + lane])
    work[own.LOW_ERROR + lane] = error if lower else work[own.LOW_ERROR + lane]
    work[own.LOW_D + lane] = inverse if lower else work[own.LOW_D + lane]


# --- the lowest error of a sharpness ----------------------------------------------------------------------------------


@routine
def draw_profile(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """The lowest error of each sharpness, from the sharpest on, and its ln D."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            y = at[pt.Y + lane] + work[head.MEAN_Y + lane]
            work[head.T0 + lane] += at[pt.W + lane] * y * y
    if folded:
        share(work)
    for lane in range(LANES):
        work[own.YY + lane] = work[head.T0 + lane]
        work[own.KNEE_ERROR + lane] = work[head.T0 + lane] + work[own.LOW_ERROR + lane]
    for turn in range(SHARPNESSES):
        number = SHARPNESSES - 1 - turn
        h = SOFTEST_SCANNED * float(1 << number)
        _scan_depths(work, points, rows, folded, h)
        _refine_depth(work, points, rows, folded, h)
        row = number * PROFILE
        for lane in range(LANES):
            work[row + profile.ERROR + lane] = work[own.LOW_ERROR + lane]
            work[row + profile.D + lane] = work[own.LOW_D + lane]


@helper
def _place(number: int, inverse: float) -> tuple[float, float]:
    """A place to look at: what to add to a share of the largest capital's logarithm, and that share."""
    if number < BEYOND:
        before = OUTSIDE[BEYOND - 1 - number] * inverse
        return -(before if before < FARTHEST_BEFORE else FARTHEST_BEFORE), 0.0
    if number < BEYOND + INSIDE:
        return 0.0, (number - BEYOND) * (1.0 / (INSIDE - 1))
    behind = OUTSIDE[number - BEYOND - INSIDE] * inverse
    return behind if behind < FAR_OUT else FAR_OUT, 1.0


@routine
def _scan_depths(work: Floats, points: Floats, rows: int, folded: bool, h: float) -> None:
    """The best of the places, and of the ln D that is there already. Two points at a time: fewer operations wait."""
    inverse = 1.0 / h
    for lane in range(LANES):
        work[own.TRY_D + lane], work[own.LOW_ERROR + lane] = work[own.LOW_D + lane], math.inf
    for number in range(-1, PLACES):
        if number >= 0:
            extra, part = _place(number, inverse)
            for lane in range(LANES):
                work[own.TRY_D + lane] = extra + part * work[own.TOP + lane]
        zero(work)
        for i in range(0, rows, 2):
            at, behind = points[i * POINT : (i + 1) * POINT], points[(i + 1) * POINT : (i + 2) * POINT]
            for lane in range(LANES):
                log_d, mean = work[own.TRY_D + lane], work[head.MEAN_Y + lane]
                log_x, log_u = at[pt.LOG + lane] - log_d, behind[pt.LOG + lane] - log_d
                q, r = rough_exps(-h * abs(log_x), -h * abs(log_u))
                bend, turn = rough_log1ps(q, r)
                x, u = log_x if log_x > 0.0 else 0.0, log_u if log_u > 0.0 else 0.0
                g, f = rough_exps(-(x + bend * inverse), -(u + turn * inverse))
                wg, wf = at[pt.W + lane] * g, behind[pt.W + lane] * f
                work[head.T0 + lane] = (work[head.T0 + lane] + wg * g) + wf * f
                gy, fy = wg * (at[pt.Y + lane] + mean), wf * (behind[pt.Y + lane] + mean)
                work[head.T1 + lane] = (work[head.T1 + lane] + gy) + fy
        if folded:
            share(work)
        for lane in range(LANES):
            error = _error(work, lane)
            lower = error < work[own.LOW_ERROR + lane]
            work[own.LOW_ERROR + lane] = error if lower else work[own.LOW_ERROR + lane]
            work[own.LOW_D + lane] = work[own.TRY_D + lane] if lower else work[own.LOW_D + lane]


@helper
def _error(work: Floats, lane: int) -> float:
    """Squared error with the best a, from the sums of g² and of g·y."""
    gg, gy = work[head.T0 + lane], work[head.T1 + lane]
    a = gy / gg
    a = a if a < 1.0 else 1.0
    return work[own.YY + lane] - a * (2.0 * gy - a * gg)


@routine
def _refine_depth(work: Floats, points: Floats, rows: int, folded: bool, h: float) -> None:
    """Newton's method for ln D from the best place; a step that raises the error is taken back and quartered."""
    inverse = 1.0 / h
    for lane in range(LANES):
        work[own.TRY_D + lane], work[own.LOW_ERROR + lane] = work[own.LOW_D + lane], math.inf
        work[own.STEP + lane] = 0.0
    for _ in range(LOOKS):
        zero(work)
        for i in range(0, rows, 2):
            at, behind = points[i * POINT : (i + 1) * POINT], points[(i + 1) * POINT : (i + 2) * POINT]
            for lane in range(LANES):
                log_d, mean = work[own.TRY_D + lane], work[head.MEAN_Y + lane]
                log_x, log_u = at[pt.LOG + lane] - log_d, behind[pt.LOG + lane] - log_d
                q, r = rough_exps(-h * abs(log_x), -h * abs(log_u))
                bend, turn = rough_log1ps(q, r)
                above, beyond = log_x > 0.0, log_u > 0.0
                x, u = log_x if above else 0.0, log_u if beyond else 0.0
                g, f = rough_exps(-(x + bend * inverse), -(u + turn * inverse))
                _add_slopes(work, lane, at[pt.W + lane], at[pt.Y + lane] + mean, g, q, above, h)
                _add_slopes(work, lane, behind[pt.W + lane], behind[pt.Y + lane] + mean, f, r, beyond, h)
        if folded:
            share(work)
        for lane in range(LANES):
            _step_along(work, lane, inverse)


@helper
def _add_slopes(work: Floats, lane: int, w: float, y: float, g: float, q: float, above: bool, h: float) -> None:
    """Add what a point has in the sums of g and its two derivatives by ln D, with themselves and with y."""
    part = 1.0 / (1.0 + q)
    turn = q * part
    filled = 1.0 - (turn if above else part)
    by_d, twice_d = g * filled, g * (filled * filled - h * (turn * part))
    wg, wy = w * g, w * y
    work[head.T0 + lane] += wg * g
    work[head.T1 + lane] += wg * y
    work[head.T2 + lane] += wg * by_d
    work[head.T3 + lane] += wy * by_d
    work[head.T4 + lane] += w * by_d * by_d
    work[head.T5 + lane] += wg * twice_d
    work[head.T6 + lane] += wy * twice_d


@helper
def _step_along(work: Floats, lane: int, inverse: float) -> None:
    """Keep a place that lowers the error, and set the next one."""
    gg, gy, gd, yd = work[head.T0 + lane], work[head.T1 + lane], work[head.T2 + lane], work[head.T3 + lane]
    error = _error(work, lane)
    a = gy / gg
    a_slope = (yd - 2.0 * a * gd) / gg if a < 1.0 else 0.0
    a = a if a < 1.0 else 1.0
    falls = yd - a * gd
    down = a * falls  # half the derivative, downwards
    squares = work[head.T4 + lane] + work[head.T5 + lane]
    bend = -a_slope * falls - a * (work[head.T6 + lane] - a_slope * gd - a * squares)
    reach = work[own.TOP + lane] * (1.0 / (INSIDE - 1)) + REACH * inverse
    step = down / bend if bend > 0.0 else (reach if down > 0.0 else -reach)
    step = step if step < reach else reach
    step = step if step > -reach else -reach
    lower = error < work[own.LOW_ERROR + lane]
    step = step if lower else 0.25 * work[own.STEP + lane]
    work[own.STEP + lane] = step
    work[own.LOW_ERROR + lane] = error if lower else work[own.LOW_ERROR + lane]
    work[own.LOW_D + lane] = work[own.TRY_D + lane] if lower else work[own.LOW_D + lane]
    work[own.TRY_D + lane] = work[own.LOW_D + lane] + step


# --- starts -----------------------------------------------------------------------------------------------------------


@routine
def next_start(work: Floats, lane: int) -> bool:
    """Choose the next lowest sharpness of the profile that is lower than its neighbours, and a place near it to begin.

    A parabola through the three tells where between two sharpnesses the error may be lowest. The softest sharpness of a
    plateau is one more.
    """
    level = math.inf
    for number in range(SHARPNESSES):
        level = min(level, PLATEAU * work[number * PROFILE + profile.ERROR + lane])
    last, last_number = work[own.START_ERROR + lane], work[own.START + lane]
    lowest, chosen, bent = math.inf, -1, False
    for number in range(SHARPNESSES):
        error = work[number * PROFILE + profile.ERROR + lane]
        untried = (error > last) | ((error == last) & (float(number) > last_number))
        is_minimum = (error <= _beside(work, number - 1, lane)) & (error < _beside(work, number + 1, lane))
        is_edge = (error <= level) & (_beside(work, number - 1, lane) > level)
        if untried & (error < lowest) & (is_minimum | is_edge):
            lowest, chosen, bent = error, number, is_minimum
    if chosen < 0:
        return False
    work[own.START_ERROR + lane], work[own.START + lane] = lowest, float(chosen)
    log_d, part = work[chosen * PROFILE + profile.D + lane], 0.0
    if bent & (chosen > 0) & (chosen < SHARPNESSES - 1):
        before, behind = _beside(work, chosen - 1, lane), _beside(work, chosen + 1, lane)
        vertex = 0.5 * (before - behind) / (before - 2.0 * lowest + behind)
        other = work[(chosen + (1 if vertex > 0.0 else -1)) * PROFILE + profile.D + lane]
        if (abs(vertex) <= 0.5) & (abs(other - log_d) < SAME_VALLEY):
            log_d, part = log_d + (other - log_d) * abs(vertex), vertex
    work[own.TRY_D + lane] = log_d
    work[own.TRY_H + lane] = LOG_SOFTEST_SCANNED + (float(chosen) + part) * LN_2
    return True


@helper
def _beside(work: Floats, number: int, lane: int) -> float:
    inside = (number >= 0) & (number < SHARPNESSES)
    return work[number * PROFILE + profile.ERROR + lane] if inside else math.inf
