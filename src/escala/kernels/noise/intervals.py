"""How far new observations lie from their curve, by the scores of those it was fitted to.

At a capital the interval reaches max(q, q_window)·σ(C) to both sides: q is the order statistic of all scores, q_window
that of the neighbours' alone, linear in ln C between windows. The confidence of a distance is the share of all scores
that it covers. A level needs n ≥ level/(1 − level) scores: with fewer the interval is endless.
"""

from __future__ import annotations

import math

from escala.kernels.families.params import of_row
from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    codes_in,
    float_rows_in,
    float_rows_out,
    floats_in,
    floats_out,
    integer,
    integers_in,
    kernel,
    number,
    routine,
)
from escala.kernels.noise import levels, quantiles, weights
from escala.kernels.noise.rows import WINDOW, WINDOWS, noise
from escala.kernels.noise.scores import depth_slope
from escala.kernels.special import log


@routine
def _window_quantiles(z: Floats, level: float, work: Floats, out: Floats) -> None:
    """Quantiles of windows; the workspace has room for one."""
    some = work[:WINDOW]
    for k in range(WINDOWS):
        start = quantiles.window_start(z.size, k)
        for i in range(WINDOW):
            some[i] = z[start + i]
        quantiles.sort(some)
        out[k] = quantiles.quantile(some, level)


@kernel(
    integers_in, floats_in, number, integer, floats_out, floats_out, float_rows_out, floats_out, integer, integer
)  # fmt: skip
def rank(
    score_offsets: Integers,
    scores: Floats,
    level: float,
    ahead: int,
    ranked: Floats,
    whole: Floats,
    local: Floats,
    work: Floats,
    start: int,
    stop: int,
) -> None:
    """Sort the scores of the curves ``start <= i < stop``, and take the quantiles of a level: once for all capitals.

    Parameters
    ----------
    score_offsets, scores
        What :func:`escala.kernels.noise.scores.score` wrote, row after row.
    level : float
        Share of new observations.
    ahead : int
        1 where scores are sorted, those of later blocks, which windows do not go with.
    ranked : shaped like scores
        Output.
    whole : (n,) float64
        Output: quantile of all scores; NaN for curves without.
    local : (n, WINDOWS) float64
        Output: those of windows, for curves with scores enough; the others' stay as they are.
    work : (WINDOW,) float64
    """
    for i in range(start, stop):
        z = scores[score_offsets[i] : score_offsets[i + 1]]
        whole[i] = math.nan
        if z.size == 0:
            continue
        if (ahead == 0) & quantiles.windows_hold(z.size, level):
            _window_quantiles(z, level, work, local[i])
        some = ranked[score_offsets[i] : score_offsets[i + 1]]
        for k in range(z.size):
            some[k] = z[k]
        if ahead == 0:
            quantiles.sort(some)
        whole[i] = quantiles.quantile(some, level)


@kernel(
    codes_in, float_rows_in, floats_in, floats_in, floats_in, float_rows_in,
    integers_in, floats_in, integers_in, floats_in, integers_in, floats_out, floats_in, float_rows_out,
    number, integer, floats_in, float_rows_in, float_rows_out, float_rows_out, integer, integer,
)  # fmt: skip
def reach(
    family: Codes,
    params: Floats,
    origin: Floats,
    steps: Floats,
    smallest: Floats,
    noise_levels: Floats,
    bin_offsets: Integers,
    bins: Floats,
    window_offsets: Integers,
    windows: Floats,
    score_offsets: Integers,
    ranked: Floats,
    whole: Floats,
    local: Floats,
    level: float,
    ahead: int,
    within: Floats,
    capital: Floats,
    out: Floats,
    confidence: Floats,
    start: int,
    stop: int,
) -> None:
    """Write how far intervals reach from the curves ``start <= i < stop``, and how sure a distance is.

    Parameters
    ----------
    family, params, origin, steps
        The curves.
    smallest : (n,) float64
        Smallest capital seen.
    noise_levels : (n, 2) float64
        σ₀² and τ².
    bin_offsets, bins, window_offsets, windows, score_offsets
        What :func:`escala.kernels.noise.scores.score` wrote, row after row.
    ranked, whole, local, level, ahead
        As in :func:`rank`, which made the first three.
    within : (n,) float64
        Distance that the confidence is of.
    capital : (n, m) or (1, m) float64
    out, confidence : (n, m) float64
        Outputs; NaN for curves without scores.
    """
    for i in range(start, stop):
        some = ranked[score_offsets[i] : score_offsets[i + 1]]
        if some.size == 0:
            for j in range(out.shape[1]):
                out[i, j] = confidence[i, j] = math.nan
            continue
        by_window = (ahead == 0) & quantiles.windows_hold(some.size, level)
        places = bins[bin_offsets[i] : bin_offsets[i + 1]]
        unit = weights.power_of_four(smallest[i])
        p = of_row(params[i])
        for j in range(out.shape[1]):
            c = capital[i if capital.shape[0] > 1 else 0, j]
            x = log(c * unit) if c * unit > weights.NOTHING else -math.inf
            slope = depth_slope(family[i], p, origin[i], steps, c)
            depth, flat = noise_levels[i, noise.DEPTH], noise_levels[i, noise.LEVEL]
            scale = levels.scale_at(flat, depth, places, places.size // 2, slope, x)
            q = whole[i]
            if by_window:
                q = max(q, levels.between(windows[window_offsets[i] : window_offsets[i + 1]], local[i], x))
            out[i, j] = q * scale
            confidence[i, j] = quantiles.share_within(some, within[i] / scale)
