"""Concave envelopes of weighted utilities, and what they answer to a price: the inner problem of an allocation.

An instrument may hold no capital or any in [low, high] (only the latter once it is forced in). The smallest concave
function above its weighted utility w·U there is described by few numbers, for every family, in ascending capital:

* an entry chord from BASE to ENTER, worth ENTRY a unit of capital;
* an arc of the utility itself from ENTER to LEAVE, on which w·U′ falls, interrupted from KINK_FROM to KINK_TO by a
  stretch of slope KINK where efficiency counts as 1;
* an exit chord from LEAVE to EXIT_AT, worth EXIT, over a convex tail; if the tail ends where efficiency reaches 1, a
  last stretch of slope KINK from EXIT_AT to END.

At a price μ the best amount is where the envelope's slope falls through μ. All of them for one price are a loop
without branches over blocks of instruments of one kind: the stationary point of w·U − μ·C in closed form, then selects.

=============  ===========================================================  =========================================
kind           stationary point, p = μ/w                                    concave where
=============  ===========================================================  =========================================
linear         C = (p − b)/(2a)                                             a < 0
sqrt           C = ((p − b)/(1.5a))²                                        a < 0
quadratic      falling root of 3a·d² + 2(b + a·o)·d + (c + b·o) − p         a·(C − inflection) < 0
exponential    C = (1 − W₀((p − c)·e^(1 − b·o)/a))/b                        a > 0, C < 2/b
rising         C = (1 − W₋₁(…))/b, the same argument                        a < 0, C > 2/b
=============  ===========================================================  =========================================
"""

from __future__ import annotations

import math

from escala.kernels.curves.evaluate import crossings, curvature, raw, raw_marginal
from escala.kernels.fitting.fit import EXPONENTIAL, LINEAR, QUADRATIC, SQRT
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.special import INVERSE_E, E, exp, lambert_w0, log

#: Instruments of one kind in a block; each number of theirs is a row of the block.
LANES = 16
#: Kind of an exponential that rises with capital (a < 0); the other kinds are the families.
RISING = 4
KINDS = 5
FREE, FORCED, CLOSED = 0.0, 1.0, 2.0  # may be empty or in [low, high]; in [low, high]; empty

ENTRY, KINK, EXIT, BASE, ENTER, LEAVE, KINK_FROM, KINK_TO, EXIT_AT, END = range(10)
K0, K1, K2, K3 = range(10, 14)  # coefficients of the stationary point
NEAR, FAR_SIDE, SLOPE = range(14, 17)  # what a price is answered with
AMOUNT, BEST, WORTH = range(17, 20)
WEIGHT, A, B, C, ORIGIN = range(20, 25)
LOW, HIGH, REACH, STATE = range(25, 29)  # the domain now; capital up to REACH is real too, but not needed
ROOT_LOW, ROOT_HIGH, ROOT_REACH, ROOT_STATE = range(29, 33)  # the domain before the search narrows it
FIRST, LAST, KEPT = range(33, 36)  # the first stretch that is efficient enough; room for one more row
SIZE = 36  # what the terms of w·U add up to without their signs
ROWS = 37
BLOCK = ROWS * LANES

SMALL = 1e-150  # instead of a zero divisor whose quotient is not used
NEWTON_STEPS = 40
RISING_STEPS = 5


@routine
def eta(work: Floats, at: int, kind: int, x: float) -> float:
    """Efficiency without clipping."""
    family = EXPONENTIAL if kind == RISING else kind
    return raw(family, work[at + A * LANES], work[at + B * LANES], work[at + C * LANES], work[at + ORIGIN * LANES], x)


@routine
def weighted_marginal(work: Floats, at: int, kind: int, x: float) -> float:
    """w·U′ without clipping."""
    family = EXPONENTIAL if kind == RISING else kind
    a, b, c = work[at + A * LANES], work[at + B * LANES], work[at + C * LANES]
    return work[at + WEIGHT * LANES] * raw_marginal(family, a, b, c, work[at + ORIGIN * LANES], x)


@routine
def weighted_curvature(work: Floats, at: int, kind: int, x: float) -> float:
    """w·U″ without clipping."""
    family = EXPONENTIAL if kind == RISING else kind
    a, b, c = work[at + A * LANES], work[at + B * LANES], work[at + C * LANES]
    return work[at + WEIGHT * LANES] * curvature(family, a, b, c, work[at + ORIGIN * LANES], x)


@routine
def weighted_utility(work: Floats, at: int, kind: int, x: float) -> float:
    """w·U: efficiency counts between 0 and 1."""
    value = eta(work, at, kind, x)
    return work[at + WEIGHT * LANES] * (x * min(max(value, 0.0), 1.0))


@routine
def _touch_before(anchor: float) -> float:
    """Where the line from anchor > 2 touches C·e^(−C) before its inflection at 2.

    The root of t² − t·h + h = h·e^(t − h) in (1, 2), h the anchor, by Newton's method inside a bracket.
    """
    low, high = 1.0, 2.0
    t = 1.5
    for _ in range(NEWTON_STEPS):
        grown = anchor * exp(t - anchor)
        value = t * t - t * anchor + anchor - grown
        if value == 0.0:
            break
        if value > 0.0:
            low = t
        else:
            high = t
        slope = 2.0 * t - anchor - grown
        guess = t - value / slope if slope != 0.0 else low
        if not low < guess < high:
            guess = 0.5 * (low + high)
        if abs(guess - t) <= 4e-16 * t:
            break
        t = guess
    return t


@routine
def _touch_after(anchor: float, end: float) -> float:
    """Where the line from 0 < anchor < 2 touches C·e^(−C) after its inflection at 2; `end` if not before it.

    The same equation in logarithms, t − h = ln((t² − t·h + h)/h), which is nearly straight far out.
    """
    low, high = 2.0, end
    if high - anchor <= log((high * high - high * anchor + anchor) / anchor):
        return end
    t = high
    for _ in range(NEWTON_STEPS):
        bent = t * t - t * anchor + anchor
        value = t - anchor - log(bent / anchor)
        if value == 0.0:
            break
        if value < 0.0:
            low = t
        else:
            high = t
        slope = 1.0 - (2.0 * t - anchor) / bent
        guess = t - value / slope if slope != 0.0 else low
        if not low < guess < high:
            guess = 0.5 * (low + high)
        if abs(guess - t) <= 4e-16 * t:
            break
        t = guess
    return t


@routine
def inflection(work: Floats, at: int, kind: int) -> float:
    """Where utility changes between concave and convex; inf where it does not."""
    if kind == QUADRATIC:
        a, o = work[at + A * LANES], work[at + ORIGIN * LANES]
        return o - (work[at + B * LANES] + a * o) / (3.0 * a) if a != 0.0 else math.inf
    if (kind == EXPONENTIAL) | (kind == RISING):
        return 2.0 / work[at + B * LANES]
    return math.inf


@routine
def _tangent_from_high(work: Floats, at: int, kind: int, high: float, turn: float) -> float:
    """Where the line from utility at `high`, in the convex part, touches the concave part before `turn`."""
    if kind == QUADRATIC:
        return 0.5 * (3.0 * turn - high)
    b = work[at + B * LANES]
    return _touch_before(b * high) / b


@routine
def _tangent_from_low(work: Floats, at: int, kind: int, low: float, turn: float, end: float) -> float:
    """Where the line from utility at `low`, in the convex part, touches the concave part after `turn`; or `end`."""
    if turn >= end:
        return end
    if kind == QUADRATIC:
        return min(0.5 * (3.0 * turn - low), end)
    b = work[at + B * LANES]
    touch = _touch_after(b * low, b * end)
    return min(touch / b, end) if touch < b * end else end


@routine
def kind_of(family: int, a: float) -> int:
    """Kind of a curve: its family, but exponentials that rise are apart."""
    return RISING if (family == EXPONENTIAL) & (a < 0.0) else family


@routine
def set_curve(work: Floats, at: int, kind: int, weight: float, a: float, b: float, c: float, origin: float) -> None:
    """Store an instrument's curve and the coefficients of its stationary point."""
    work[at + WEIGHT * LANES] = weight
    work[at + A * LANES], work[at + B * LANES], work[at + C * LANES] = a, b, c
    work[at + ORIGIN * LANES] = origin
    k0 = k1 = k2 = k3 = 0.0
    if weight > 0.0:
        if kind == LINEAR:
            k0 = weight * b
            k1 = 1.0 / (2.0 * a * weight) if a < 0.0 else 0.0
        elif kind == SQRT:
            k0 = weight * b
            k1 = 1.0 / (1.5 * a * weight) if a < 0.0 else 0.0
        elif kind == QUADRATIC:
            k0 = 1.0 / weight
            k2 = b + a * origin
            k3 = c + b * origin
            k1 = 3.0 * a if (a != 0.0) | (k2 < 0.0) else 1.0
        else:
            k0 = weight * c
            k2 = 1.0 / b
            if kind == RISING:  # its logarithm: far from the origin the number itself is 0
                k1 = (1.0 - b * origin) - log(-a * weight)
            elif a != 0.0:
                k1 = exp(1.0 - b * origin) / (a * weight)
    elif kind == QUADRATIC:
        k1 = 1.0
    work[at + K0 * LANES], work[at + K1 * LANES], work[at + K2 * LANES], work[at + K3 * LANES] = k0, k1, k2, k3


@routine
def _level(work: Floats, at: int, kind: int) -> bool:
    """Whether efficiency is the same everywhere, or nothing is earned."""
    a, b = work[at + A * LANES], work[at + B * LANES]
    return (work[at + WEIGHT * LANES] == 0.0) | ((a == 0.0) & ((kind != QUADRATIC) | (b == 0.0)))


@routine
def _straight(kind: int, a: float, b: float) -> bool:
    """Whether efficiency is a rising line: its utility is convex."""
    return ((kind == LINEAR) | (kind == SQRT)) & (a > 0.0) | ((kind == QUADRATIC) & (a == 0.0) & (b > 0.0))


@routine
def _chord_slope(work: Floats, at: int, kind: int, begin: float, end: float) -> float:
    """Slope of w·U between two capitals; inf between equal ones.

    Where the chord is a tangent this is exact to second order in the point of contact, the marginal only to first.
    """
    rise = weighted_utility(work, at, kind, end) - weighted_utility(work, at, kind, begin)
    return rise / (end - begin) if end > begin else math.inf


@routine
def build(work: Floats, at: int, kind: int) -> None:
    """Compute the envelope of the instrument at `at` over its domain."""
    weight, a, b = work[at + WEIGHT * LANES], work[at + A * LANES], work[at + B * LANES]
    low, high, reach = work[at + LOW * LANES], work[at + HIGH * LANES], work[at + REACH * LANES]
    state = work[at + STATE * LANES]
    empty = (state == FREE) | (low == 0.0)  # then 0 belongs to the domain, and the envelope begins there
    base = 0.0 if empty | (state == CLOSED) else low
    entry = math.inf
    enter = low
    kink = weight
    kink_from, kink_to = math.inf, -math.inf
    leave_from = low  # where the last arc begins
    exit_price = -math.inf
    leave = exit_at = end = high
    if state == CLOSED:
        entry = -math.inf
        enter = leave = exit_at = end = 0.0
    elif _level(work, at, kind):
        if weight > 0.0:
            kink = weight * min(max(eta(work, at, kind, low), 0.0), 1.0)
        entry = kink if empty else math.inf
        kink_from, kink_to = low, reach
        leave = exit_at = end = reach
    else:
        at_low = eta(work, at, kind, low)
        family = EXPONENTIAL if kind == RISING else kind
        falls, rises = crossings(family, a, b, work[at + C * LANES], work[at + ORIGIN * LANES], 1.0)
        turn = inflection(work, at, kind)
        again = False  # efficiency falls below 1 and comes back to it
        # rounding at a crossing must not decide on which side of it the domain begins
        risen = (rises <= low) & (not ((rises < falls) & (falls <= low)))
        if (at_low >= 1.0) | risen:
            at_low = 1.0
            kink_from = low
            kink_to = reach if risen else low
            if falls >= low:
                kink_to = min(falls, reach)
            again = (kink_to < rises) & (rises < high)
            entry = weight if empty else math.inf
        elif (low < rises) & (rises < high):
            kink_from = rises
            kink_to = falls if rises <= falls < reach else reach
        elif (high <= rises) & (rises < reach):
            reach = rises
        leave_from = kink_to
        tail_done = False
        if (at_low < 1.0) & empty:
            if kink_from < math.inf:
                entry = weight
                enter = kink_from
            else:
                # the line from 0 that lies above all: to the last capital of highest efficiency
                peak = low
                best = at_low
                if (kind == QUADRATIC) & (a < 0.0):
                    vertex = work[at + ORIGIN * LANES] - 0.5 * b / a
                    if (low < vertex) & (vertex < high):
                        peak = vertex
                        best = eta(work, at, kind, vertex)
                at_high = eta(work, at, kind, high)
                if at_high >= best:
                    peak = high
                    best = at_high
                entry = weight * min(max(best, 0.0), 1.0)
                enter = leave_from = peak
        elif at_low < 1.0:
            upto = kink_from if kink_from < math.inf else high
            rising_tail = (kind == QUADRATIC) & (a > 0.0)
            opens = _straight(kind, a, b) | (rising_tail & (low >= turn))
            opens |= ((kind == RISING) | ((kind == QUADRATIC) & (a < 0.0))) & (low < turn)
            if opens:
                enter = upto
                if not (_straight(kind, a, b) | rising_tail):
                    enter = _tangent_from_low(work, at, kind, low, turn, upto)
                entry = _chord_slope(work, at, kind, low, enter)
            elif rising_tail & (kink_from < math.inf):
                # concave, convex up to where efficiency reaches 1, then a line
                touch = max(_tangent_from_high(work, at, kind, kink_from, turn), low)
                exit_price = _chord_slope(work, at, kind, touch, kink_from)
                leave, exit_at, end = touch, kink_from, high
                kink_from, kink_to = math.inf, -math.inf
                tail_done = True
            if kink_from == math.inf:
                leave_from = enter
        if not tail_done:
            concave_tail = (kind == QUADRATIC) & (a > 0.0) | (kind == EXPONENTIAL)
            if again:
                leave = leave_from
                exit_price = weight
            elif leave_from >= high:
                leave = leave_from
            elif not concave_tail:
                leave = reach
            elif turn >= high:
                leave = min(reach, turn)
            else:
                leave = max(_tangent_from_high(work, at, kind, high, turn), leave_from)
                exit_price = _chord_slope(work, at, kind, leave, high)
    work[at + ENTRY * LANES], work[at + KINK * LANES], work[at + EXIT * LANES] = entry, kink, exit_price
    work[at + BASE * LANES], work[at + ENTER * LANES], work[at + LEAVE * LANES] = base, enter, leave
    work[at + KINK_FROM * LANES], work[at + KINK_TO * LANES] = kink_from, kink_to
    work[at + EXIT_AT * LANES], work[at + END * LANES] = exit_at, end


@helper
def _answer(v: Floats, j: int, price: float, stationary: float, slope: float) -> None:
    """Best amounts of lane j of a block: just above the price (NEAR) and just below it (FAR_SIDE).

    They differ where the price is that of a chord or a straight stretch. SLOPE is d(amount)/d(price) on an arc.
    """
    entry, kink, exit_price = v[ENTRY * LANES + j], v[KINK * LANES + j], v[EXIT * LANES + j]
    base, enter, leave = v[BASE * LANES + j], v[ENTER * LANES + j], v[LEAVE * LANES + j]
    kink_from, kink_to = v[KINK_FROM * LANES + j], v[KINK_TO * LANES + j]
    exit_at, end = v[EXIT_AT * LANES + j], v[END * LANES + j]
    before = stationary if stationary < kink_from else kink_from
    after = stationary if stationary > kink_to else kink_to
    near = before if price >= kink else after
    near = near if near > enter else enter
    near = near if near < leave else leave
    last = exit_at if price >= kink else end
    entered = entry > price
    left = exit_price > price
    v[SLOPE * LANES + j] = slope if entered & (not left) & (near == stationary) else 0.0
    near = last if left else near
    v[NEAR * LANES + j] = near if entered else base
    far = before if price > kink else after
    far = far if far > enter else enter
    far = far if far < leave else leave
    last = exit_at if price > kink else end
    far = last if exit_price >= price else far
    v[FAR_SIDE * LANES + j] = far if entry >= price else base


@helper
def _answer_linear(v: Floats, price: float) -> None:
    for j in range(LANES):
        k1 = v[K1 * LANES + j]
        _answer(v, j, price, (price - v[K0 * LANES + j]) * k1, k1)


@helper
def _answer_sqrt(v: Floats, price: float) -> None:
    for j in range(LANES):
        k1 = v[K1 * LANES + j]
        root = (price - v[K0 * LANES + j]) * k1
        root = root if root > 0.0 else 0.0
        _answer(v, j, price, root * root, 2.0 * root * k1)


@helper
def _answer_quadratic(v: Floats, price: float) -> None:
    for j in range(LANES):
        k0, k1, k2 = v[K0 * LANES + j], v[K1 * LANES + j], v[K2 * LANES + j]
        rest = v[K3 * LANES + j] - price * k0
        inside = k2 * k2 - k1 * rest
        root = math.sqrt(inside if inside > 0.0 else 0.0)
        upper = k2 >= 0.0  # of the two forms of the root, the one that does not cancel
        over = -k2 - root if upper else rest
        under = k1 if upper else root - k2
        root = root if root > SMALL else SMALL
        _answer(v, j, price, over / under + v[ORIGIN * LANES + j], -0.5 * k0 / root)


@helper
def _answer_decay(v: Floats, price: float) -> None:
    for j in range(LANES):
        k1, k2 = v[K1 * LANES + j], v[K2 * LANES + j]
        z = (price - v[K0 * LANES + j]) * k1
        turns = z > -INVERSE_E  # below, utility falls short of the price everywhere: the end of the arc is no answer
        z = z if turns else -INVERSE_E
        z = z if z < E else E
        w = lambert_w0(z)
        beyond = 1.0 + w
        beyond = beyond if beyond > 1e-9 else 1e-9
        slope = -(k2 * k1) * exp(-w) / beyond
        _answer(v, j, price, (1.0 - w) * k2, slope if turns else 0.0)


@helper
def _answer_rising(v: Floats, price: float) -> None:
    for j in range(LANES):
        k2 = v[K2 * LANES + j]
        above = price - v[K0 * LANES + j]
        known = above > 1e-300
        above = above if known else 1.0
        s = -(log(above) + v[K1 * LANES + j]) - 1.0
        s = s if s > 0.0 else 0.0
        y = 1.0 + math.sqrt(2.0 * s) + s  # above the root of y − ln y = 1 + s: Newton's method falls to it
        for _ in range(RISING_STEPS):
            step = y - 1.0
            step = step if step > 1e-9 else 1e-9
            y -= (step - log(y) - s) * y / step
        step = y - 1.0
        step = step if step > 1e-9 else 1e-9
        _answer(v, j, price, (1.0 + y) * k2 if known else math.inf, -k2 * y / (above * step))


@routine
def respond(work: Floats, kinds: Integers, blocks: int, sums: Floats, price: float) -> tuple[float, float, float]:
    """Best amounts of all instruments at a price; returns the sums of NEAR, FAR_SIDE and SLOPE."""
    for j in range(3 * LANES):
        sums[j] = 0.0
    for block in range(blocks):
        v = work[block * BLOCK : (block + 1) * BLOCK]
        kind = kinds[block]
        if kind == LINEAR:
            _answer_linear(v, price)
        elif kind == SQRT:
            _answer_sqrt(v, price)
        elif kind == QUADRATIC:
            _answer_quadratic(v, price)
        elif kind == EXPONENTIAL:
            _answer_decay(v, price)
        else:
            _answer_rising(v, price)
        for j in range(3 * LANES):
            sums[j] += v[NEAR * LANES + j]
    near = far = slope = 0.0
    for j in range(LANES):
        near += sums[j]
        far += sums[LANES + j]
        slope += sums[2 * LANES + j]
    return near, far, slope


@helper
def _clip(x: float, value: float) -> float:
    value = value if value > 0.0 else 0.0
    return x * (value if value < 1.0 else 1.0)


@helper
def _earn(v: Floats, j: int, x: float, value: float, size: float) -> None:
    weighted = v[WEIGHT * LANES + j]
    v[WORTH * LANES + j] = weighted * _clip(x, value)
    v[SIZE * LANES + j] = weighted * (x * size)


@helper
def _utilities(v: Floats, kind: int, row: int) -> None:
    """Put w·U of a row of amounts into WORTH, and what it can be wrong by, in units of rounding, into SIZE."""
    if kind == LINEAR:
        for j in range(LANES):
            x, b = v[row * LANES + j], v[B * LANES + j]
            ax = v[A * LANES + j] * x
            _earn(v, j, x, ax + b, abs(ax) + abs(b))
    elif kind == SQRT:
        for j in range(LANES):
            x, b = v[row * LANES + j], v[B * LANES + j]
            ar = v[A * LANES + j] * math.sqrt(x)
            _earn(v, j, x, ar + b, abs(ar) + abs(b))
    elif kind == QUADRATIC:
        for j in range(LANES):
            x, b, c = v[row * LANES + j], v[B * LANES + j], v[C * LANES + j]
            d = x - v[ORIGIN * LANES + j]
            ad = v[A * LANES + j] * d
            _earn(v, j, x, (ad + b) * d + c, (abs(ad) + abs(b)) * abs(d) + abs(c))
    else:
        for j in range(LANES):
            x, c = v[row * LANES + j], v[C * LANES + j]
            t = v[B * LANES + j] * (x - v[ORIGIN * LANES + j])
            ag = v[A * LANES + j] * exp(-t)
            _earn(v, j, x, ag + c, abs(ag) * (1.0 + abs(t)) + abs(c))


@helper
def two_sum(total: float, rest: float, value: float) -> tuple[float, float]:
    """Add a number to a sum that is kept with its rounding errors."""
    added = total + value
    part = added - total
    return added, rest + ((total - (added - part)) + (value - part))


@routine
def worth(
    work: Floats, kinds: Integers, blocks: int, sums: Floats, row: int, price: float
) -> tuple[float, float, float]:
    """Sums of w·U − price·C, of the sizes of its terms, and of C, over a row of amounts; WORTH has w·U − price·C."""
    for j in range(5 * LANES):
        sums[j] = 0.0
    for block in range(blocks):
        v = work[block * BLOCK : (block + 1) * BLOCK]
        _utilities(v, kinds[block], row)
        for j in range(LANES):
            x = v[row * LANES + j]
            paid = price * x
            value = v[WORTH * LANES + j] - paid
            sums[2 * LANES + j] += v[SIZE * LANES + j] + abs(paid)
            v[WORTH * LANES + j] = value
            sums[j], sums[LANES + j] = two_sum(sums[j], sums[LANES + j], value)
            sums[3 * LANES + j], sums[4 * LANES + j] = two_sum(sums[3 * LANES + j], sums[4 * LANES + j], x)
    total = rest = size = amount = amount_rest = 0.0
    for j in range(LANES):
        total, rest = two_sum(total, rest, sums[j])
        rest += sums[LANES + j]
        size += sums[2 * LANES + j]
        amount, amount_rest = two_sum(amount, amount_rest, sums[3 * LANES + j])
        amount_rest += sums[4 * LANES + j]
    return total + rest, size, amount + amount_rest
