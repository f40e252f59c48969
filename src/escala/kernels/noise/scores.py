"""Scores of points that their curve did not see, in units of the noise at their capital: conformal intervals.

A point's residual is the larger in size of two: its distance from the curve divided by 1 − leverage, and its distance
from a refit without the fifth of the points it belongs to. Divided by the scale σ(C) of :mod:`.levels`, its size is the
point's score; by rank, a new observation's score is one more among them.

Forward scores are those of blocks of records (of a time, or a group) by the curve and the scale that the blocks before
them give: what a prediction of the next block is off by.

References
----------
Papadopoulos, H., Gammerman, A. and Vovk, V. (2008), Normalized nonconformity measures for regression with conformal
prediction. Barber, R. F., Candès, E. J., Ramdas, A. and Tibshirani, R. J. (2021), Predictive inference with the
jackknife+, Annals of Statistics 49, 486–507.
"""

from __future__ import annotations

import math

from escala.kernels.families import dispatch
from escala.kernels.families.params import Params, of_row
from escala.kernels.fitting import ladder
from escala.kernels.fitting.ladder_residuals import leverages
from escala.kernels.fitting.load import relative_weights
from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    codes_in,
    float_rows_in,
    float_rows_out,
    floats_in,
    floats_out,
    helper,
    integer,
    integer_rows_out,
    integers_in,
    kernel,
    routine,
)
from escala.kernels.layout import ROOT, families
from escala.kernels.layout import fit_status as st
from escala.kernels.layout import root as r
from escala.kernels.noise import cluster, levels, moves, quantiles, weights
from escala.kernels.noise.load import gather
from escala.kernels.noise.refit import coordinates, normal_equations, refit, solve
from escala.kernels.noise.rows import (
    BIN,
    FOLDS,
    LADDER,
    MOST_LEVERAGE,
    NEVER,
    NO_KNOTS,
    NODES,
    REFIT_PLACE,
    SCRATCH_ROOT,
    STEPS,
    WINDOW,
    WINDOWS,
    kept,
    noise,
    point,
    tag,
)
from escala.kernels.special import log

#: The marginal utility of a ladder is taken over these multiples of a capital: at one place it would be a step's.
BELOW, ABOVE = 0.85, 1.15


@helper
def depth_slope(family: int, p: Params, origin: float, steps: Floats, c: float) -> float:
    """g = |η − U′|, what efficiency changes by with ln C."""
    if not c > 0.0:
        return 0.0
    eta = dispatch.value(family, p, origin, steps, c)
    if family == families.LADDER:
        above, below = ABOVE * c, BELOW * c
        rise = above * dispatch.value(family, p, origin, steps, above)
        rise -= below * dispatch.value(family, p, origin, steps, below)
        return abs(eta - rise / ((ABOVE - BELOW) * c))
    return abs(eta - dispatch.marginal(family, p, origin, steps, c))


@helper
def _ladder_params(work: Floats, place: int) -> Params:
    """Write the steps of a ladder just fitted, and give its coefficients."""
    fitted = work[LADDER:]
    ladder.write_steps(fitted, work[STEPS + place : STEPS + place + REFIT_PLACE])
    return 1.0, 1.0, float(ladder.count_steps(fitted)), float(place)


@routine
def _again(family: int, p: Params, origin: float, work: Floats, points: Floats, n: int, place: int) -> Params:
    """Fit to the points of positive weight, from what is known; a ladder's steps are written at a place."""
    if family == families.LADDER:
        ladder.refit_anew(points, n, work[LADDER:])
        return _ladder_params(work, place)
    return refit(family, p, origin, work[STEPS:LADDER], work[SCRATCH_ROOT:NO_KNOTS], points, n)


@routine
def _leverages(family: int, p: Params, origin: float, work: Floats, points: Floats, table: Floats, n: int) -> None:
    """What share each point of positive weight has in the value of the curve at its own capital."""
    root, steps = work[SCRATCH_ROOT:NO_KNOTS], work[STEPS:LADDER]
    out = table[point.LEVERAGE, :n]
    if family == families.LADDER:
        leverages(points, n, work[LADDER:], out)
        return
    held = moves.is_bounded(family, p) and moves.is_at_bound(family, p)
    a00, a01, a02, a11, a12, a22, _, _, _, _, _ = normal_equations(family, p, origin, steps, root, held, points, n)
    for i in range(n):
        f0, f1, f2 = dispatch.basis(family, p, origin, steps, points[3 * i])
        e0, e1, e2 = coordinates(root, held, f0, f1, f2)
        x0, x1, x2 = solve((a00, a01, a02, a11, a12, a22, e0, e1, e2, 0.0, 0.0), 0.0)
        out[i] = points[3 * i + 2] * (e0 * x0 + e1 * x1 + e2 * x2)


@routine
def _take_part(points: Floats, table: Floats, n: int, tags: Integers, before: int) -> int:
    """Choose the points of blocks before one, and say which fold each is in; returns how many."""
    x, user = table[point.X, :n], table[point.USER, :n]
    part_x, part_y = table[point.PART_X, :n], table[point.PART_Y, :n]
    part_user = table[point.PART_USER, :n]
    fold, group = tags[tag.FOLD, :n], tags[tag.GROUP, :n]
    taken = 0
    for i in range(n):
        fold[i] = -1
        if tags[tag.BLOCK, i] < before:
            fold[i] = (group[i] if group[i] >= 0 else taken) % FOLDS
            part_x[taken], part_y[taken], part_user[taken] = x[i], points[3 * i + 1], user[i]
            taken += 1
    return taken


@routine
def _weigh_part(work: Floats, points: Floats, table: Floats, n: int, tags: Integers, taken: int) -> float:
    """Give the chosen points local weights, the others none; returns the scale of the weights."""
    weight = table[point.WEIGHT, :n]
    part = table[point.PART_WEIGHT, :taken]
    scale = weights.local(
        table[point.PART_X, :taken], table[point.PART_Y, :taken], table[point.PART_USER, :taken],
        table[point.RESIDUAL, :taken], work[NODES:BIN], part, taken,
    )  # fmt: skip
    k = 0
    for i in range(n):
        weight[i] = 0.0
        if tags[tag.FOLD, i] >= 0:
            weight[i] = part[k]
            k += 1
        points[3 * i + 2] = weight[i]
    return scale


@routine
def _leave_out(
    family: int, p: Params, origin: float, work: Floats, points: Floats, table: Floats, n: int, tags: Integers
) -> None:
    """Distance of each point from the curve without the points of its fold; 0 where no others are left."""
    weight, out = table[point.WEIGHT, :n], table[point.LEFT_OUT, :n]
    fold = tags[tag.FOLD, :n]
    for part in range(FOLDS):
        inside = outside = 0
        for i in range(n):
            left_out = fold[i] == part
            inside += 1 if left_out else 0
            outside += 1 if fold[i] >= 0 and not left_out else 0
            points[3 * i + 2] = 0.0 if left_out else weight[i]
        if inside == 0:
            continue
        q = _again(family, p, origin, work, points, n, REFIT_PLACE) if outside > 0 else p
        for i in range(n):
            if fold[i] == part:
                value = dispatch.value(family, q, origin, work[STEPS:LADDER], points[3 * i])
                out[i] = points[3 * i + 1] - value if outside > 0 else 0.0


@routine
def _score_part(
    family: int,
    p: Params,
    origin: float,
    work: Floats,
    points: Floats,
    table: Floats,
    n: int,
    tags: Integers,
    flat: bool,
) -> tuple[float, float, int]:
    """Write residuals of the chosen points side by side and what their noise is; σ₀², τ² and the places of bins."""
    steps = work[STEPS:LADDER]
    eta, leverage, out = (
        table[point.ETA, :n], table[point.LEVERAGE, :n], table[point.LEFT_OUT, :n],
    )  # fmt: skip
    residual, slope = table[point.RESIDUAL, :n], table[point.SLOPE, :n]
    for i in range(n):
        eta[i] = dispatch.value(family, p, origin, steps, points[3 * i])
    if not flat:
        _leverages(family, p, origin, work, points, table, n)
        _leave_out(family, p, origin, work, points, table, n, tags)
    taken = 0
    for i in range(n):
        if tags[tag.FOLD, i] >= 0:
            near = 0.0 if flat else (points[3 * i + 1] - eta[i]) / (1.0 - min(leverage[i], MOST_LEVERAGE))
            far = 0.0 if flat else out[i]
            residual[taken] = far if abs(far) > abs(near) else near
            slope[taken] = depth_slope(family, p, origin, steps, points[3 * i])
            taken += 1
    residual, slope = residual[:taken], slope[:taken]
    variance = table[point.VARIANCE, :taken]
    level, depth = levels.fit_levels(residual, slope, variance)
    places = levels.fit_bins(table[point.PART_X, :taken], residual, variance, work[BIN:SCRATCH_ROOT])
    return level, depth, places


@routine
def _distinct(points: Floats, n: int, tags: Integers) -> int:
    """Count the distinct capitals of the chosen points."""
    count = 0
    last = 0.0
    for i in range(n):
        if tags[tag.FOLD, i] >= 0 and points[3 * i] != last:
            last = points[3 * i]
            count += 1
    return count


@routine
def _score_forward(
    family: int,
    p: Params,
    origin: float,
    work: Floats,
    points: Floats,
    table: Floats,
    n: int,
    tags: Integers,
    noise_from: int,
    out: Floats,
) -> int:
    """Write scores of blocks behind the first third, by what the blocks before each give; returns how many."""
    steps = work[STEPS:LADDER]
    block, x = tags[tag.BLOCK, :n], table[point.X, :n]
    blocks = 0
    for i in range(n):
        blocks = max(blocks, block[i] + 1)
    found = 0
    for j in range(max(1, (blocks + 2) // 3), blocks):
        taken = _take_part(points, table, n, tags, j)
        if _distinct(points, n, tags) < noise_from:
            continue
        _weigh_part(work, points, table, n, tags, taken)
        q = _again(family, p, origin, work, points, n, 0)
        level, depth, places = _score_part(family, q, origin, work, points, table, n, tags, False)
        for i in range(n):
            if block[i] == j:
                c = points[3 * i]
                slope = depth_slope(family, q, origin, steps, c)
                scale = levels.scale_at(level, depth, work[BIN:SCRATCH_ROOT], places, slope, x[i])
                out[found] = abs(points[3 * i + 1] - dispatch.value(family, q, origin, steps, c)) / scale
                found += 1
    quantiles.sort(out[:found])
    return found


@routine
def _prepare(points: Floats, table: Floats, n: int) -> int:
    """Write ln C and relative weights; returns how many capitals are distinct."""
    x, user = table[point.X, :n], table[point.USER, :n]
    relative_weights(points, n)
    unit = weights.power_of_four(points[0])
    distinct = 0
    for i in range(n):
        x[i] = log(points[3 * i] * unit)
        user[i] = points[3 * i + 2]
        distinct += 1 if i == 0 or points[3 * i] != points[3 * (i - 1)] else 0
    return distinct


@routine
def _misfit(points: Floats, table: Floats, n: int, scale: float) -> float:
    """√(Σwr²/n) with w = 1/σ²: 1 is what neighbours differ by."""
    weight, eta = table[point.WEIGHT, :n], table[point.ETA, :n]
    squares = 0.0
    for i in range(n):
        residual = points[3 * i + 1] - eta[i]
        squares += weight[i] * residual * residual
    return math.sqrt(squares / scale / n)


@kernel(
    integers_in,
    integers_in,
    floats_in,
    floats_in,
    floats_in,
    integers_in,
    integers_in,
    integer,
    codes_in,
    codes_in,
    float_rows_in,
    floats_in,
    float_rows_out,
    float_rows_out,
    float_rows_out,
    float_rows_out,
    floats_out,
    float_rows_out,
    float_rows_out,
    floats_out,
    floats_out,
    integer_rows_out,
    floats_out,
    floats_out,
    float_rows_out,
    integer_rows_out,
    integer,
    integer,
)
def score(
    order: Integers,
    offsets: Integers,
    capital: Floats,
    efficiency: Floats,
    weight: Floats,
    group: Integers,
    block: Integers,
    noise_from: int,
    family: Codes,
    status: Codes,
    params: Floats,
    origin: Floats,
    root: Floats,
    covariance: Floats,
    fit_stats: Floats,
    noise_levels: Floats,
    misfit: Floats,
    bins: Floats,
    windows: Floats,
    scores: Floats,
    forward: Floats,
    counts: Integers,
    work: Floats,
    points: Floats,
    table: Floats,
    tags: Integers,
    start: int,
    stop: int,
) -> None:
    """Score the points of the instruments ``order[start:stop]``, and count their groups where there are any.

    Parameters
    ----------
    order, offsets, capital, efficiency, weight
        As the fit took them; so are `family` to `fit_stats`, which it wrote.
    group, block : (records,) or (0,) int64
        From 0 on within each instrument; empty where there are none. Points of one group are left out together, and the
        covariance counts groups. Blocks are in order of time.
    noise_from : int
        Distinct capitals from which on the fit's weights are local and points are scored, at least FEWEST.
    root, covariance, fit_stats : (n, ROOT), (n, COVARIANCE), (n, FIT_STATS) float64
        Changed where there are groups: the covariance is theirs, and degrees of freedom at most one less than groups.
    noise_levels : (n, 2) float64
        Output: σ₀² and τ².
    misfit : (n,) float64
        Output: √(Σwr²/n), w = 1/σ²; NaN without scores.
    bins, windows : (n, BINS), (n, WINDOWS) float64
        Outputs: places in ln C and ln c² of bins; mean ln C of windows. C is in the power of four below the smallest.
    scores, forward : (records,) float64
        Outputs: for instrument i from ``offsets[i]`` on, in order of capital, and sorted.
    counts : (n, kept.END) int64
        Output: how many scores, places of bins, windows and forward scores there are.
    work : (WORK_SIZE,) float64
    points : (3 · most records of an instrument,) float64
    table, tags : (point.END, most records), (tag.END, most records) float64, int64
    """
    turns = order[start:stop]
    for turn in range(turns.size):
        i = turns[turn]
        for k in range(kept.END):
            counts[i, k] = 0
        misfit[i] = noise_levels[i, noise.LEVEL] = noise_levels[i, noise.DEPTH] = math.nan
        flat = status[i] == st.CONSTANT
        if status[i] != st.OK and not flat:
            continue
        first = offsets[i]
        n = gather(capital, efficiency, weight, group, block, first, offsets[i + 1], points, tags)
        local = _prepare(points, table, n) >= noise_from
        if not local and group.size == 0:
            continue
        taken = _take_part(points, table, n, tags, NEVER)
        scale = _weigh_part(work, points, table, n, tags, taken) if local else 1.0
        for k in range(ROOT):
            work[SCRATCH_ROOT + k] = root[i, k]
        if not work[SCRATCH_ROOT + r.I0] > 0.0:  # at its bound a coefficient has no error, but may leave it in a refit
            work[SCRATCH_ROOT + r.I0] = 1.0
        p = of_row(params[i])
        if family[i] == families.LADDER:
            fitted = work[LADDER:]
            work[NO_KNOTS] = 0.0
            ladder.fit(points, n, work[NO_KNOTS : NO_KNOTS + 1], fitted)
            p = _ladder_params(work, 0)
        if group.size > 0 and not flat:
            cluster.widen(
                family[i], p, origin[i], work[STEPS:LADDER], points, tags[tag.GROUP, :n],
                params[i], root[i], covariance[i], fit_stats[i],
                table[point.ETA : point.ETA + cluster.PULLS],
            )  # fmt: skip
        if not local:
            continue
        level, depth, places = _score_part(family[i], p, origin[i], work, points, table, n, tags, flat)
        noise_levels[i, noise.LEVEL], noise_levels[i, noise.DEPTH] = level, depth
        misfit[i] = _misfit(points, table, n, scale)
        x, residual = table[point.X, :n], table[point.RESIDUAL, :n]
        slope = table[point.SLOPE, :n]
        for k in range(2 * places):
            bins[i, k] = work[BIN + k]
        for k in range(n):
            spread = levels.scale_at(level, depth, work[BIN:SCRATCH_ROOT], places, slope[k], x[k])
            scores[first + k] = abs(residual[k]) / spread
        counts[i, kept.SCORES], counts[i, kept.BINS] = n, 2 * places
        if n > WINDOW:
            counts[i, kept.WINDOWS] = WINDOWS
            for k in range(WINDOWS):
                windows[i, k] = quantiles.mean_of_window(x, k)
        if block.size > 0 and not flat:
            counts[i, kept.FORWARD] = _score_forward(
                family[i], p, origin[i], work, points, table, n, tags, noise_from, forward[first : first + n]
            )
