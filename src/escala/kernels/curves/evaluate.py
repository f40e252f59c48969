"""Efficiency curves: evaluation over arrays of capital, spread of predictions, saturation, capacity and threshold.

Family codes and parameters are those of :mod:`escala.kernels.fitting`. With d = C − origin:

=============  ======================  =====================  ====================================
family         η(C)                    basis f₁, f₂           d/dC of C·f₁, C·f₂
=============  ======================  =====================  ====================================
linear         a·C + b                 C                      2C
quadratic      (a·d + b)·d + c         d, d²                  d + C, d² + 2C·d
exponential    a·e^(−b·d) + c          g = e^(−b·d), d·g      g·(1 − b·C), g·(d + C − b·C·d)
sqrt           a·√C + b                √C                     1.5·√C
=============  ======================  =====================  ====================================
"""

from __future__ import annotations

import math

from escala.kernels.fitting.fit import EXPONENTIAL, LINEAR, QUADRATIC, ROOT_2, SQRT
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
    integers_out,
    kernel,
    routine,
)
from escala.kernels.special import exp, log

EFFICIENCY, UTILITY, MARGINAL = 0, 1, 2
#: Columns of what :func:`limits` writes.
LIMITS = (
    "peak",
    "saturation",
    "saturation_low",
    "saturation_high",
    "capacity",
    "capacity_low",
    "capacity_high",
)
#: What :func:`_margin` tests.
SATURATES, TURNS, LEAVES_ONE = 0, 1, 2
FAR = 1e300  # stands for an infinite limit; whatever lies there is infinite
BISECTIONS = 60
FIRST_STEP = 2.0**-12  # of the observed range: where the search for the end of an interval begins


@helper
def _value(wanted: int, c: float, eta: float, marginal: float) -> float:
    """Clip to a fraction: what is above 1 counts as 1, what is below 0 returns nothing. NaN stays."""
    low = eta < 0.0
    high = eta > 1.0
    if wanted == MARGINAL:
        value = 0.0 if low else marginal
        return 1.0 if high else value
    value = 0.0 if low else eta
    value = 1.0 if high else value
    return c * value if wanted == UTILITY else value


@helper
def _invalid(c: float) -> int:
    return 0 if (c >= 0.0) & (c < math.inf) else 1


@helper
def _evaluate_row(
    wanted: int, family: int, a: float, b: float, c: float, origin: float, capital: Floats, out: Floats
) -> int:
    """One curve over a row of capitals: a loop a family, so that each is vectorised; returns how many are invalid."""
    bad = 0
    if family == LINEAR:
        for j in range(out.size):
            x = capital[j]
            ax = a * x
            out[j] = _value(wanted, x, ax + b, 2.0 * ax + b)
            bad += _invalid(x)
    elif family == QUADRATIC:
        for j in range(out.size):
            x = capital[j]
            d = x - origin
            ad = a * d
            eta = (ad + b) * d + c
            out[j] = _value(wanted, x, eta, eta + x * (2.0 * ad + b))
            bad += _invalid(x)
    elif family == SQRT:
        for j in range(out.size):
            x = capital[j]
            ar = a * math.sqrt(x)
            out[j] = _value(wanted, x, ar + b, 1.5 * ar + b)
            bad += _invalid(x)
    else:
        for j in range(out.size):
            x = capital[j]
            ag = a * exp(-b * (x - origin))
            out[j] = _value(wanted, x, ag + c, ag * (1.0 - b * x) + c)
            bad += _invalid(x)
    return bad


@kernel(
    integer,
    codes_in,
    float_rows_in,
    floats_in,
    float_rows_in,
    float_rows_out,
    integers_out,
    integer,
    integer,
)
def evaluate(
    wanted: int,
    family: Codes,
    params: Floats,
    origin: Floats,
    capital: Floats,
    out: Floats,
    bad: Integers,
    start: int,
    stop: int,
) -> None:
    """Evaluate n curves at m capitals each.

    Parameters
    ----------
    wanted : int
        EFFICIENCY η in [0, 1], UTILITY C·η or MARGINAL d(C·η)/dC.
    family : (n,) int8
    params, origin : (n, 3), (n,) float64
    capital : (n, m) or (1, m) float64
        One row serves all curves.
    out : (n, m) float64
        Output.
    bad : (1,) int64
        Output: capitals that are negative or not finite; their results mean nothing.
    start, stop : int
        Range of flat indexes of `out`.
    """
    m = out.shape[1]
    bad[0] = 0
    at = start
    while at < stop:
        i = at // m
        first = at - i * m
        last = min(m, first + stop - at)
        row = capital[i if capital.shape[0] > 1 else 0]
        bad[0] += _evaluate_row(
            wanted,
            family[i],
            params[i, 0],
            params[i, 1],
            params[i, 2],
            origin[i],
            row[first:last],
            out[i, first:last],
        )
        at += last - first


@helper
def raw(family: int, a: float, b: float, c: float, origin: float, x: float) -> float:
    """Give η without clipping."""
    if family == LINEAR:
        return a * x + b
    if family == QUADRATIC:
        d = x - origin
        return (a * d + b) * d + c
    if family == SQRT:
        return a * math.sqrt(x) + b
    return a * exp(-b * (x - origin)) + c


@helper
def raw_marginal(family: int, a: float, b: float, c: float, origin: float, x: float) -> float:
    """Give d(C·η)/dC without clipping."""
    if family == LINEAR:
        return 2.0 * (a * x) + b
    if family == QUADRATIC:
        d = x - origin
        return (a * d + b) * d + c + x * (2.0 * (a * d) + b)
    if family == SQRT:
        return 1.5 * (a * math.sqrt(x)) + b
    return a * exp(-b * (x - origin)) * (1.0 - b * x) + c


@helper
def curvature(family: int, a: float, b: float, c: float, origin: float, x: float) -> float:  # noqa: ARG001
    """Give d²(C·η)/dC² without clipping, for x > 0."""
    if family == LINEAR:
        return 2.0 * a
    if family == QUADRATIC:
        return 2.0 * (3.0 * (a * (x - origin)) + b + a * origin)
    if family == SQRT:
        return 0.75 * a / math.sqrt(x)
    return a * exp(-b * (x - origin)) * (b * (b * x - 2.0))


@helper
def _basis(family: int, b: float, origin: float, x: float) -> tuple[float, float]:
    if family == LINEAR:
        return x, 0.0
    if family == SQRT:
        return math.sqrt(x), 0.0
    d = x - origin
    if family == QUADRATIC:
        return d, d * d
    g = exp(-b * d)
    return g, d * g


@helper
def _marginal_basis(family: int, b: float, origin: float, x: float) -> tuple[float, float]:
    if family == LINEAR:
        return 2.0 * x, 0.0
    if family == SQRT:
        return 1.5 * math.sqrt(x), 0.0
    d = x - origin
    if family == QUADRATIC:
        return d + x, d * (d + 2.0 * x)
    g = exp(-b * d)
    return g * (1.0 - b * x), g * (d + x - b * x * d)


@helper
def _deviation(root: Floats, one: float, f1: float, f2: float) -> float:
    """Variance of one·c₀ + f₁·c₁ + f₂·c₂ in units of the residual variance, by the inverse root of the normal matrix.

    A sum of squares: it cannot cancel or turn negative, as gradientᵀ·covariance·gradient can.
    """
    e0 = one * root[0]
    first = f1 - one * root[1]
    e1 = first * root[2]
    e2 = (f2 - one * root[3] - root[4] * first) * root[5]
    return e0 * e0 + e1 * e1 + e2 * e2


@kernel(
    codes_in,
    float_rows_in,
    floats_in,
    float_rows_in,
    float_rows_in,
    float_rows_out,
    float_rows_out,
    integers_out,
    integer,
    integer,
)
def predict(
    family: Codes,
    params: Floats,
    origin: Floats,
    root: Floats,
    capital: Floats,
    eta: Floats,
    spread: Floats,
    bad: Integers,
    start: int,
    stop: int,
) -> None:
    """Efficiency without clipping, and the standard deviation of a new observation in units of the residual one.

    Parameters as in :func:`evaluate`; `root` is (n, 6), `eta` and `spread` are the (n, m) outputs.
    """
    m = eta.shape[1]
    bad[0] = 0
    for at in range(start, stop):
        i = at // m
        j = at - i * m
        x = capital[i if capital.shape[0] > 1 else 0, j]
        b = params[i, 1]
        bad[0] += _invalid(x)
        eta[i, j] = raw(family[i], params[i, 0], b, params[i, 2], origin[i], x)
        f1, f2 = _basis(family[i], b, origin[i], x)
        deviation = _deviation(root[i], 1.0, f1, f2)
        spread[i, j] = math.sqrt(1.0 + deviation) if deviation >= 0.0 else math.inf  # far off, the basis overflows


@routine
def _quadratic_roots(a: float, b: float, c: float) -> tuple[float, float]:
    """Give the real roots of a·d² + b·d + c in ascending order, without cancellation; both inf where there are none."""
    inside = b * b - 4.0 * a * c
    if not inside >= 0.0:
        return math.inf, math.inf
    q = -0.5 * (b + math.sqrt(inside)) if b >= 0.0 else -0.5 * (b - math.sqrt(inside))
    first = q / a
    second = c / q if q != 0.0 else first
    return (first, second) if first <= second else (second, first)


@routine
def crossings(family: int, a: float, b: float, c: float, origin: float, y: float) -> tuple[float, float]:
    """Where the curve falls through y, and where it rises through y; inf where it never does, negative if before 0."""
    falls = rises = math.inf
    if family == QUADRATIC and a != 0.0:
        first, second = _quadratic_roots(a, b, c - y)
        falls, rises = (first, second) if a > 0.0 else (second, first)
        return falls + origin, rises + origin
    slope = a
    if family == LINEAR:
        at = (y - b) / a
    elif family == QUADRATIC:
        slope = b
        at = origin + (y - c) / b
    elif family == SQRT:
        root = (y - b) / a
        at = root * root if root >= 0.0 else -1.0
    else:
        ratio = (y - c) / a
        slope = -a
        at = origin - log(ratio) / b if ratio > 0.0 else math.inf
    if slope < 0.0:
        falls = at
    elif slope > 0.0:
        rises = at
    return falls, rises


@routine
def clipped(family: int, a: float, b: float, c: float, origin: float, x: float) -> float:
    """Give η as a fraction: between 0 and 1."""
    return min(max(raw(family, a, b, c, origin, x), 0.0), 1.0)


@routine
def _peak(family: int, a: float, b: float, c: float, origin: float, end: float) -> float:
    """Smallest capital in [0, end] where the clipped efficiency is highest."""
    at = 0.0
    best = clipped(family, a, b, c, origin, 0.0)
    if family == QUADRATIC and a < 0.0:
        vertex = origin - b / (2.0 * a)
        if 0.0 < vertex < end and clipped(family, a, b, c, origin, vertex) > best:
            at = vertex
            best = clipped(family, a, b, c, origin, vertex)
    if clipped(family, a, b, c, origin, end) > best:
        at = end
    if at > 0.0 and clipped(family, a, b, c, origin, at) >= 1.0:
        _, rises = crossings(family, a, b, c, origin, 1.0)
        at = min(at, rises)
    return at


@routine
def _decay_stationary(a: float, b: float, c: float, origin: float) -> float:
    """Where C·(a·e^(−b(C − origin)) + c), a > 0, has its maximum; inf if it has none. Bisection in t = b·C ≤ 2."""
    ratio = c / a
    shift = b * origin
    if not (1.0 + ratio * exp(-shift) > 0.0 and -1.0 + ratio * exp(2.0 - shift) < 0.0):
        return math.inf
    low, high = 0.0, 2.0
    for _ in range(BISECTIONS):
        t = 0.5 * (low + high)
        if (1.0 - t) + ratio * exp(t - shift) > 0.0:
            low = t
        else:
            high = t
    return 0.5 * (low + high) / b


@routine
def _stationary(family: int, a: float, b: float, c: float, origin: float) -> float:
    """Where C·η(C), unclipped, turns from rising to falling; inf if nowhere."""
    if family == LINEAR:
        return -b / (2.0 * a) if a < 0.0 else math.inf
    if family == SQRT:
        root = -b / (1.5 * a)
        return root * root if a < 0.0 and root >= 0.0 else math.inf
    if family == EXPONENTIAL:
        return _decay_stationary(a, b, c, origin) if a > 0.0 else math.inf
    # 3a·d² + 2(b + a·o)·d + (c + b·o): falls through 0 at the upper root for a < 0, at the lower one for a > 0
    if a == 0.0:
        return -(c - b * origin) / (2.0 * b) if b < 0.0 else math.inf
    first, second = _quadratic_roots(3.0 * a, 2.0 * (b + a * origin), c + b * origin)
    return origin + (second if a < 0.0 else first)


@routine
def _utility(family: int, a: float, b: float, c: float, origin: float, x: float) -> float:
    return x * clipped(family, a, b, c, origin, x)


@routine
def _capacity(family: int, a: float, b: float, c: float, origin: float, end: float) -> tuple[float, bool]:
    """Where C·η(C) is highest on [0, end], inf if it still rises there; and whether it is the kink at η = 1."""
    at = 0.0
    best = 0.0
    kinked = False
    falls, _ = crossings(family, a, b, c, origin, 1.0)
    if 0.0 < falls <= end and _utility(family, a, b, c, origin, falls) > best:
        at = falls
        best = _utility(family, a, b, c, origin, falls)
        kinked = True
    turns = _stationary(family, a, b, c, origin)
    if 0.0 < turns <= end and _utility(family, a, b, c, origin, turns) > best:
        at = turns
        best = _utility(family, a, b, c, origin, turns)
        kinked = False
    if _utility(family, a, b, c, origin, end) > best:
        rising = raw(family, a, b, c, origin, end) > 1.0 or raw_marginal(family, a, b, c, origin, end) > 0.0
        return math.inf if rising or end >= FAR else end, False
    return at, kinked


@routine
def _margin(
    test: int,
    sign: float,
    reach: float,
    drop: float,
    top: float,
    family: int,
    a: float,
    b: float,
    c: float,
    origin: float,
    root: Floats,
    x: float,
) -> float:
    """How far a quantity that is 0 at a saturation or capacity is from 0 at x, less (sign −1) or plus its error.

    SATURATES: η(x) − (1 − drop)·η(top), η(top) counting as exactly 1 where it exceeds it. TURNS: d(C·η)/dC.
    LEAVES_ONE: η(x) − 1. All are linear in the parameters (the exponential to first order), so the values of x where
    the error covers 0 are a confidence set (Fieller), one-sided and unbounded where the data say no more. Where it
    overflows, far from all data, the error covers everything.
    """
    one = 1.0
    if test == TURNS:
        f1, f2 = _marginal_basis(family, b, origin, x)
        value = raw_marginal(family, a, b, c, origin, x)
    else:
        f1, f2 = _basis(family, b, origin, x)
        value = raw(family, a, b, c, origin, x)
        highest = raw(family, a, b, c, origin, top)
        kept = 1.0 - drop
        if test == LEAVES_ONE:
            value -= 1.0
        elif highest >= 1.0:
            value -= kept
        else:
            t1, t2 = _basis(family, b, origin, top)
            one = drop
            f1 -= kept * t1
            f2 -= kept * t2
            value -= kept * highest
    margin = value + sign * reach * math.sqrt(_deviation(root, one, f1, f2))
    return sign * math.inf if math.isnan(margin) else margin


@routine
def _interval_end(
    test: int,
    sign: float,
    reach: float,
    drop: float,
    top: float,
    family: int,
    a: float,
    b: float,
    c: float,
    origin: float,
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
    before = _margin(test, sign, reach, drop, top, family, a, b, c, origin, root, start) <= 0.0
    while near < whole:
        place = stop if far == whole else start + direction * far
        if (_margin(test, sign, reach, drop, top, family, a, b, c, origin, root, place) <= 0.0) != before:
            for _ in range(BISECTIONS):
                middle = 0.5 * (near + far)
                place = start + direction * middle
                if (_margin(test, sign, reach, drop, top, family, a, b, c, origin, root, place) <= 0.0) == before:
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
    a: float,
    b: float,
    c: float,
    origin: float,
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
        if _margin(test, -1.0, reach, drop, top, family, a, b, c, origin, root, begin) <= 0.0:
            return begin, math.inf
        low = _interval_end(test, -1.0, reach, drop, top, family, a, b, c, origin, root, begin, end, step)
        return low, math.inf
    low = _interval_end(test, -1.0, reach, drop, top, family, a, b, c, origin, root, estimate, begin, step)
    high = _interval_end(test, 1.0, reach, drop, top, family, a, b, c, origin, root, estimate, end, step)
    return min(low, begin) if low == math.inf else low, high


@kernel(
    floats_in,
    floats_in,
    codes_in,
    float_rows_in,
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
    limit: Floats,
    root: Floats,
    span: Floats,
    out: Floats,
    start: int,
    stop: int,
) -> None:
    """Peak, saturation and capacity on [0, limit], inf where there is none, with their confidence intervals.

    Parameters
    ----------
    drop : (n,) float64
        Share of the peak efficiency that must be lost, in (0, 1].
    reach : (n,) float64
        Residual standard deviation times the t quantile of the interval; NaN gives NaN intervals, inf unbounded ones.
    family, params, origin, limit, root
        The curves; a limit may be inf. NaN parameters give NaN.
    span : (n,) float64
        Range of the observed capitals; only intervals need it.
    out : (n, len(LIMITS)) float64
        Output.
    start, stop : int
        Range of curves.
    """
    for i in range(start, stop):
        kind = family[i]
        a, b, c, o = params[i, 0], params[i, 1], params[i, 2], origin[i]
        if math.isnan(a):
            for j in range(out.shape[1]):
                out[i, j] = math.nan
            continue
        end = min(limit[i], FAR)
        peak = _peak(kind, a, b, c, o, end)
        highest = clipped(kind, a, b, c, o, peak)
        falls, _ = crossings(kind, a, b, c, o, (1.0 - drop[i]) * highest)
        saturation = falls if peak <= falls <= end else math.inf
        if highest == 0.0:
            saturation = peak
        top = peak if peak < end else 0.0
        step = span[i] * FIRST_STEP
        low, high = _interval(SATURATES, saturation, top, end, reach[i], drop[i], top, kind, a, b, c, o, root[i], step)
        capacity, kinked = _capacity(kind, a, b, c, o, end)
        test = LEAVES_ONE if kinked else TURNS
        first, last = _interval(test, capacity, 0.0, end, reach[i], drop[i], top, kind, a, b, c, o, root[i], step)
        out[i, 0] = math.inf if peak >= FAR else peak
        out[i, 1], out[i, 2], out[i, 3] = saturation, low, high
        out[i, 4], out[i, 5], out[i, 6] = capacity, first, last


@kernel(floats_in, codes_in, float_rows_in, floats_in, floats_in, floats_out, floats_out, integer, integer)
def threshold(
    least: Floats,
    family: Codes,
    params: Floats,
    origin: Floats,
    limit: Floats,
    first: Floats,
    last: Floats,
    start: int,
    stop: int,
) -> None:
    """First stretch on [0, limit] with an efficiency of at least `least` (n,): its ends.

    `last` is inf where the stretch goes on at the limit; both are 0 where there is none, NaN for NaN parameters.
    """
    for i in range(start, stop):
        kind = family[i]
        a, b, c, o = params[i, 0], params[i, 1], params[i, 2], origin[i]
        first[i] = last[i] = 0.0
        if math.isnan(a):
            first[i] = last[i] = math.nan
        elif least[i] <= 0.0:
            last[i] = math.inf
        elif least[i] <= 1.0:
            falls, rises = crossings(kind, a, b, c, o, least[i])
            begins = 0.0 if raw(kind, a, b, c, o, 0.0) >= least[i] else rises
            if 0.0 <= begins <= limit[i] and begins < math.inf:
                first[i] = begins
                last[i] = falls if begins <= falls <= limit[i] else math.inf
