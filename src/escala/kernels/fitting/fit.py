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

from escala.kernels.families import dispatch, ladder
from escala.kernels.fitting.choose import choose
from escala.kernels.fitting.load import collect, describe, load, localise, normalise, pad
from escala.kernels.fitting.moments import fit_lines
from escala.kernels.fitting.residuals import follow_all, prepare_residuals
from escala.kernels.fitting.rows import FOLD, HEAD, LANE_BITS, LANES, LN_2, QUAD, head
from escala.kernels.fitting.write import write
from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    codes_in,
    codes_out,
    float_rows_out,
    floats_in,
    floats_out,
    integer,
    integers_in,
    integers_out,
    kernel,
)
from escala.kernels.layout import families
from escala.kernels.special import exp


@kernel(
    integers_in,
    integers_in,
    codes_in,
    floats_in,
    floats_in,
    floats_in,
    integer,
    integers_in,
    codes_out,
    codes_out,
    integers_out,
    float_rows_out,
    floats_out,
    float_rows_out,
    float_rows_out,
    float_rows_out,
    integers_out,
    floats_out,
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
    noise_from: int,
    step_offsets: Integers,
    family: Codes,
    status: Codes,
    n_points: Integers,
    params: Floats,
    origin: Floats,
    root: Floats,
    covariance: Floats,
    fit_stats: Floats,
    n_steps: Integers,
    steps: Floats,
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
    noise_from : int
        Distinct capitals from which on points are weighed by the noise at their capital too; at least FEWEST.
    step_offsets : (n + 1,) int64
        The steps of instrument i have the places ``step_offsets[i] <= k < step_offsets[i + 1]``: 3·min(96, records + 1)
        where a ladder may come out. With fewer ``auto`` considers none, and a ladder by name is DEGENERATE.
    family, status : (n,) int8
        Outputs: family codes, and OK, TOO_FEW_POINTS, DEGENERATE or CONSTANT.
    n_points : (n,) int64
        Output: records of positive weight.
    params, origin, root, covariance : (n, PARAMS), (n,), (n, ROOT), (n, COVARIANCE) float64
        Outputs: coefficients over capital minus origin, inverse root of the normal matrix, covariance of coefficients.
    fit_stats : (n, FIT_STATS) float64
        Output.
    n_steps : (n,) int64
        Output: how many steps the ladder has; 0 for another family.
    steps : (step_offsets[n],) float64
        Output: knots, slopes and utilities of the ladder, `n_steps` of each one after the other.
    work : (work_size(most records of an instrument),) float64
    scratch : (6 · most records of an instrument,) float64
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
        wanted = 0
        while lanes < (1 if folded else LANES) and done + lanes < turns.size:
            i = turns[done + lanes]
            if lanes > 0 and offsets[i + 1] - offsets[i] > FOLD:
                break
            n = load(work, points, lanes, shift, capital, efficiency, weight, offsets[i], offsets[i + 1], scratch)
            if work[head.DISTINCT + lanes] >= noise_from:
                localise(points, lanes, shift, n, scratch)
            rows = max(rows, (n + (1 << shift) - 1) >> shift)
            wanted |= dispatch.stages(int(choice[i]))
            for each in range(lanes, LANES if folded else lanes + 1):
                work[head.BOUNDED + each] = 1.0 if choice[i] == families.AUTO else 0.0
            lanes += 1
        rows = (rows + QUAD - 1) // QUAD * QUAD
        if not folded:
            for lane in range(lanes, LANES):
                describe(work, lane, 0, 0, 0, 0.0, 0.0, 1.0, 1.0, 0.0)
                work[head.BOUNDED + lane] = 0.0
        for lane in range(1 if folded else LANES):
            pad(work, points, lane, shift, int(work[head.N + lane]), rows + 1)
        dispatch.prepare(wanted, work, points, rows + 1)
        for lane in range(lanes):
            i = turns[done + lane]
            if ladder.is_wanted(int(choice[i]), work, lane):
                n = int(work[head.N + lane])
                collect(points, lane, shift, n, scratch)
                ladder.fit_stage(work, lane, scratch, n, fit_stats[i], steps[step_offsets[i] : step_offsets[i + 1]])
        normalise(work, points, rows + 1)
        fit_lines(work, points, rows, folded)
        dispatch.fit_stages(wanted, work, points, rows, folded)
        for lane in range(lanes):
            family_wanted = choice[turns[done + lane]]
            chosen = choose(work, lane) if family_wanted == families.AUTO else int(family_wanted)
            prepare_residuals(work, lane, chosen)
        follow_all(work, points, rows, folded, dispatch.has_constant(wanted))
        for lane in range(lanes):
            i = turns[done + lane]
            write(
                work, lane, i, family, status, n_points, n_steps,
                params[i], origin[i : i + 1], root[i], covariance[i], fit_stats[i],
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
