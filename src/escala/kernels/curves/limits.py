"""Where curves end: peak, saturation, capacity and their intervals, and the stretch that is efficient enough."""

from __future__ import annotations

import math

from escala.kernels.curves.variance import deviation
from escala.kernels.families import dispatch
from escala.kernels.families.params import Params, of_row
from escala.kernels.fitting.rows import ROOT_2
from escala.kernels.jit import (
    Codes,
    Floats,
    codes_in,
    float_rows_in,
    float_rows_out,
    floats_in,
    floats_out,
    integer,
    kernel,
    routine,
)
from escala.kernels.layout import coefficients as k
from escala.kernels.layout import limits as m

#: What :func:`_margin` tests.
SATURATES, TURNS, LEAVES_ONE = 0, 1, 2
FAR = 1e300  # stands for an infinite trusted_to; whatever lies there is infinite
BISECTIONS = 60
FIRST_STEP = 2.0**-12  # of the observed range: where the search for the end of an interval begins


@routine
def _clipped(family: int, p: Params, origin: float, steps: Floats, x: float) -> float:
    """Give η as a fraction: between 0 and 1."""
    return min(max(dispatch.value(family, p, origin, steps, x), 0.0), 1.0)


@routine
def _peak(family: int, p: Params, origin: float, steps: Floats, end: float) -> float:
    """Smallest capital in [0, end] where the clipped efficiency is highest."""
    at = 0.0
    best = _clipped(family, p, origin, steps, 0.0)
    inner = dispatch.peak(family, p, origin)
    if 0.0 < inner < end and _clipped(family, p, origin, steps, inner) > best:
        at = inner
        best = _clipped(family, p, origin, steps, inner)
    if _clipped(family, p, origin, steps, end) > best:
        at = end
    if at > 0.0 and _clipped(family, p, origin, steps, at) >= 1.0:
        _, rises = dispatch.crossings(family, p, origin, steps, 1.0)
        at = min(at, rises)
    return at


@routine
def _utility(family: int, p: Params, origin: float, steps: Floats, x: float) -> float:
    return x * _clipped(family, p, origin, steps, x)


@routine
def _capacity(family: int, p: Params, origin: float, steps: Floats, end: float) -> tuple[float, bool]:
    """Where C·η(C) has its first peak on [0, end], inf if it has none; and whether it is the kink at η = 1.

    What a fit does behind a peak, on the floor of an exponential or the far side of a parabola, does not count.
    """
    at = 0.0
    best = 0.0
    kinked = False
    falls, _ = dispatch.crossings(family, p, origin, steps, 1.0)
    if 0.0 < falls <= end and _utility(family, p, origin, steps, falls) > best:
        at = falls
        best = _utility(family, p, origin, steps, falls)
        kinked = True
    turns = dispatch.stationary(family, p, origin)
    bent = 0.0 < turns <= end and dispatch.value(family, p, origin, steps, turns) < 1.0  # above 1 utility rises on
    if bent and _utility(family, p, origin, steps, turns) > best:
        at = turns
        best = _utility(family, p, origin, steps, turns)
        kinked = False
    if at > 0.0 and not (kinked and dispatch.marginal(family, p, origin, steps, at) > 0.0):
        return at, kinked
    if not dispatch.may_fall(family):
        return math.inf if dispatch.ceiling(family, p, steps) > 0.0 else 0.0, False
    if _utility(family, p, origin, steps, end) > best:
        rising = (
            dispatch.value(family, p, origin, steps, end) > 1.0
            or dispatch.marginal(family, p, origin, steps, end) > 0.0
        )
        return math.inf if rising or end >= FAR else end, False
    return at, kinked


@routine
def _ceiling(family: int, p: Params, origin: float, steps: Floats, capacity: float) -> float:
    """Give the most that comes out: U where it peaks, or what it rises to."""
    bound = dispatch.ceiling(family, p, steps)
    if not math.isnan(bound):
        return bound
    return _utility(family, p, origin, steps, capacity) if capacity < math.inf else math.inf


@routine
def _margin(
    test: int,
    sign: float,
    reach: float,
    drop: float,
    top: float,
    family: int,
    p: Params,
    origin: float,
    steps: Floats,
    root: Floats,
    x: float,
) -> float:
    """How far a quantity that is 0 at a saturation or capacity is from 0 at x, less (sign −1) or plus its error.

    SATURATES: η(x) − (1 − drop)·η(top), η(top) counting as exactly 1 where it exceeds it. TURNS: d(C·η)/dC.
    LEAVES_ONE: η(x) − 1. All are linear in the parameters (the exponential to first order), so the values of x where
    the error covers 0 are a confidence set (Fieller), one-sided and unbounded where the data say no more. Where it
    overflows, far from all data, the error covers everything.
    """
    if test == TURNS:
        f0, f1, f2 = dispatch.marginal_basis(family, p, origin, steps, x)
        value = dispatch.marginal(family, p, origin, steps, x)
    else:
        f0, f1, f2 = dispatch.basis(family, p, origin, steps, x)
        value = dispatch.value(family, p, origin, steps, x)
        highest = dispatch.value(family, p, origin, steps, top)
        kept = 1.0 - drop
        if test == LEAVES_ONE:
            value -= 1.0
        elif highest >= 1.0:
            value -= kept
        else:
            t0, t1, t2 = dispatch.basis(family, p, origin, steps, top)
            f0 = drop * f0 + kept * (f0 - t0)  # f₀ − kept·t₀, and exactly `drop` where f₀ is 1
            f1 -= kept * t1
            f2 -= kept * t2
            value -= kept * highest
    margin = value + sign * reach * math.sqrt(deviation(root, f0, f1, f2))
    return sign * math.inf if math.isnan(margin) else margin


@routine
def _interval_end(
    test: int,
    sign: float,
    reach: float,
    drop: float,
    top: float,
    family: int,
    p: Params,
    origin: float,
    steps: Floats,
    root: Floats,
    start: float,
    stop: float,
    step: float,
) -> float:
    """First place from `start` towards `stop` where the margin changes its sign; inf if it never does.

    Looked for at distances that grow by √2 from `step` on, then bisected.
    """
    whole = abs(stop - start)
    direction = 1.0 if stop >= start else -1.0
    near = 0.0
    far = min(step, whole)
    before = _margin(test, sign, reach, drop, top, family, p, origin, steps, root, start) <= 0.0
    while near < whole:
        place = stop if far == whole else start + direction * far
        if (_margin(test, sign, reach, drop, top, family, p, origin, steps, root, place) <= 0.0) != before:
            for _ in range(BISECTIONS):
                middle = 0.5 * (near + far)
                place = start + direction * middle
                if (_margin(test, sign, reach, drop, top, family, p, origin, steps, root, place) <= 0.0) == before:
                    near = middle
                else:
                    far = middle
            return start + direction * (0.5 * (near + far))
        near = far
        far = min(far * ROOT_2, whole)
    return math.inf


@routine
def _interval(
    test: int,
    estimate: float,
    begin: float,
    end: float,
    reach: float,
    drop: float,
    top: float,
    family: int,
    p: Params,
    origin: float,
    steps: Floats,
    root: Floats,
    step: float,
) -> tuple[float, float]:
    if not reach >= 0.0:
        return math.nan, math.nan
    if reach == math.inf:
        return begin, math.inf
    if reach == 0.0:
        return estimate, estimate
    if estimate == math.inf:
        if _margin(test, -1.0, reach, drop, top, family, p, origin, steps, root, begin) <= 0.0:
            return begin, math.inf
        low = _interval_end(test, -1.0, reach, drop, top, family, p, origin, steps, root, begin, end, step)
        return low, math.inf
    low = _interval_end(test, -1.0, reach, drop, top, family, p, origin, steps, root, estimate, begin, step)
    high = _interval_end(test, 1.0, reach, drop, top, family, p, origin, steps, root, estimate, end, step)
    return min(low, begin) if low == math.inf else low, high


@kernel(
    floats_in,
    floats_in,
    codes_in,
    float_rows_in,
    floats_in,
    floats_in,
    floats_in,
    float_rows_in,
    floats_in,
    float_rows_out,
    integer,
    integer,
)
def limits(
    drop: Floats,
    reach: Floats,
    family: Codes,
    params: Floats,
    origin: Floats,
    steps: Floats,
    trusted_to: Floats,
    root: Floats,
    span: Floats,
    out: Floats,
    start: int,
    stop: int,
) -> None:
    """Peak, saturation and capacity on [0, trusted_to], inf where there is none, with their confidence intervals.

    Parameters
    ----------
    drop : (n,) float64
        Share of the peak efficiency that must be lost, in (0, 1].
    reach : (n,) float64
        Residual standard deviation times the t quantile of the interval; NaN gives NaN intervals, inf unbounded ones.
    family, params, origin, steps, trusted_to, root
        The curves; trust may reach to inf. NaN parameters give NaN.
    span : (n,) float64
        Range of the observed capitals; only intervals need it.
    out : (n, LIMITS) float64
        Output.
    start, stop : int
        Range of curves.
    """
    for i in range(start, stop):
        kind = family[i]
        p, o = of_row(params[i]), origin[i]
        if math.isnan(p[k.A]):
            for j in range(out.shape[1]):
                out[i, j] = math.nan
            continue
        end = min(trusted_to[i], FAR)
        peak = _peak(kind, p, o, steps, end)
        highest = _clipped(kind, p, o, steps, peak)
        falls, _ = dispatch.crossings(kind, p, o, steps, (1.0 - drop[i]) * highest)
        saturation = falls if peak <= falls <= end else math.inf
        if highest == 0.0:
            saturation = peak
        top = peak if peak < end else 0.0
        step = span[i] * FIRST_STEP
        low, high = _interval(SATURATES, saturation, top, end, reach[i], drop[i], top, kind, p, o, steps, root[i], step)
        capacity, kinked = _capacity(kind, p, o, steps, end)
        test = LEAVES_ONE if kinked else TURNS
        first, last = _interval(test, capacity, 0.0, end, reach[i], drop[i], top, kind, p, o, steps, root[i], step)
        if not dispatch.may_fall(kind) and reach[i] >= 0.0:
            first = last = capacity
        found = out[i]
        found[m.PEAK] = math.inf if peak >= FAR else peak
        found[m.SATURATION], found[m.SATURATION_LOW], found[m.SATURATION_HIGH] = saturation, low, high
        found[m.CEILING] = _ceiling(kind, p, o, steps, capacity)
        found[m.CAPACITY], found[m.CAPACITY_LOW], found[m.CAPACITY_HIGH] = capacity, first, last


@kernel(
    floats_in, codes_in, float_rows_in, floats_in, floats_in, floats_in, floats_out, floats_out, integer, integer
)  # fmt: skip
def threshold(
    least: Floats,
    family: Codes,
    params: Floats,
    origin: Floats,
    steps: Floats,
    trusted_to: Floats,
    first: Floats,
    last: Floats,
    start: int,
    stop: int,
) -> None:
    """First stretch on [0, trusted_to] with an efficiency of at least `least` (n,): its ends.

    `last` is inf where the stretch goes on at the trusted_to; both are 0 where there is none, NaN for NaN parameters.
    """
    for i in range(start, stop):
        kind = family[i]
        p, o = of_row(params[i]), origin[i]
        first[i] = last[i] = 0.0
        if math.isnan(p[k.A]):
            first[i] = last[i] = math.nan
        elif least[i] <= 0.0:
            last[i] = math.inf
        elif least[i] <= 1.0:
            falls, rises = dispatch.crossings(kind, p, o, steps, least[i])
            begins = 0.0 if dispatch.value(kind, p, o, steps, 0.0) >= least[i] else rises
            if 0.0 <= begins <= trusted_to[i] and begins < math.inf:
                first[i] = begins
                last[i] = falls if begins <= falls <= trusted_to[i] else math.inf


@kernel(codes_in, float_rows_in, floats_in, floats_in, floats_in, floats_out, floats_out, integer, integer)
def trades(
    family: Codes,
    params: Floats,
    origin: Floats,
    steps: Floats,
    trusted_to: Floats,
    best: Floats,
    most: Floats,
    start: int,
    stop: int,
) -> None:
    """Highest efficiency of curves on [0, trusted_to], and the largest trade: the capacity, at most trusted_to.

    Parameters
    ----------
    family, params, origin, steps, trusted_to
        The curves; trust may reach to inf. NaN parameters give NaN.
    best, most : (n,) float64
        Outputs.
    start, stop : int
        Range of curves.
    """
    for i in range(start, stop):
        kind = family[i]
        p, o = of_row(params[i]), origin[i]
        if math.isnan(p[k.A]):
            best[i] = most[i] = math.nan
            continue
        end = min(trusted_to[i], FAR)
        best[i] = _clipped(kind, p, o, steps, _peak(kind, p, o, steps, end))
        capacity, _ = _capacity(kind, p, o, steps, end)
        most[i] = min(trusted_to[i], capacity)
