"""Concave envelopes of weighted utilities, and what they answer to a price: the inner problem of an allocation.

An instrument may hold no capital or any in [low, high] (only the latter once it is forced in). The smallest concave
function above its weighted utility w·U there is described by few numbers, for every family, in ascending capital:

* an entry chord from BASE to ENTER, worth ENTRY a unit of capital;
* an arc of the utility itself from ENTER to LEAVE, on which w·U′ falls, interrupted from KINK_FROM to KINK_TO by a
  stretch of slope KINK where efficiency counts as 1;
* an exit chord from LEAVE to EXIT_AT, worth EXIT, over a convex tail; if the tail ends where efficiency reaches 1, a
  last stretch of slope KINK from EXIT_AT to END.

The utility of a ladder is its own envelope behind an entry chord: straight steps, looked up by their slopes.

Where trading costs money, what is held splits an instrument in two: less capital than that, at whose prices selling
costs, and more, at whose prices buying does. The halves have an envelope each, and :mod:`.halves` joins them.

At a price μ the best amount is where the envelope's slope falls through μ. All of them for one price are a loop
without branches over blocks of instruments of one kind: the stationary point of w·U − μ·C, then selects. How a utility
bends, where it touches its tangents and where it is stationary is in the file of its family.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from escala.kernels.families import dispatch, ladder
from escala.kernels.families.params import Params, of_rows, put_rows
from escala.kernels.families.shapes import CONCAVE_FIRST, CONVEX, CONVEX_FIRST, RISING_AGAIN
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import PARAMS, RISING, coefficients
from escala.kernels.layout import families as f
from escala.kernels.layout import ladder_step as step

#: Instruments of one kind in a block; each number of theirs is a row of the block.
LANES = 16
BELOW_ONE = 1.0 - 2.0**-53
AT_KNOT = 1e-12  # relative: closer than that is at a knot
FREE, FORCED, CLOSED = 0.0, 1.0, 2.0  # may be empty or in [low, high]; in [low, high]; empty

ENTRY, KINK, EXIT, BASE, ENTER, LEAVE, KINK_FROM, KINK_TO, EXIT_AT, END = range(10)
K0, K1, K2, K3 = range(10, 14)  # coefficients of the stationary point
#: The same rows of a ladder: factors of its slopes and knots, and where the slopes within its domain begin and end.
STEP_SCALE, STEP_WIDTH, STEP_FIRST, STEP_LAST = K0, K1, K2, K3
STEP_NEAR = KINK_FROM  # where the first slope lies that the last price did not buy: searches begin there
NEAR, FAR_SIDE, SLOPE = range(14, 17)  # what a price is answered with
AMOUNT, BEST, WORTH = range(17, 20)
WEIGHT = 20
PARAM = 21  # and the PARAMS − 1 rows behind it
ORIGIN = PARAM + PARAMS
LOW, HIGH, REACH, STATE = range(
    ORIGIN + 1, ORIGIN + 5
)  # the domain now; capital up to REACH is real too, but not needed
ROOT_LOW, ROOT_HIGH, ROOT_REACH, ROOT_STATE = range(ORIGIN + 5, ORIGIN + 9)  # the domain before the search narrows it
FIRST, LAST, KEPT = range(ORIGIN + 9, ORIGIN + 12)  # the first stretch that is efficient enough; room for one more row
SIZE = ORIGIN + 12  # what the terms of w·U add up to without their signs
OFFSET = ORIGIN + 13  # what the lane's own price is above that of money
#: Of instruments that cost something to trade: LESS where the block has their lower halves, MORE in the next block,
#: where the upper halves lie; 0 elsewhere.
HALF = ORIGIN + 14
HELD, BUY, SELL, FIXED = range(ORIGIN + 15, ORIGIN + 19)  # capital held, and what trading costs
LEAF = ORIGIN + 19  # the innermost group
SUNK = ORIGIN + 20  # 1: the search has decided that the instrument is traded, and FIXED is paid
#: Below the price BUY_AT the upper half answers, with at least BUY_TO; from SELL_AT on the lower one, with at most
#: SELL_FROM; between them nothing is traded. STAYS is 0 where no price leaves the instrument as it is.
BUY_AT, BUY_TO, SELL_AT, SELL_FROM, STAYS = range(ORIGIN + 21, ORIGIN + 26)
LESS, MORE = 1.0, 2.0
#: Of instruments in groups: what the limits of their groups leave of each, and 1 in FENCED.
CAP, FLOOR, FENCED = range(ORIGIN + 26, ORIGIN + 29)
BEYOND = ORIGIN + 29  # what the price of its group is above that of money
ROWS = ORIGIN + 30
BLOCK = ROWS * LANES
#: Blocks from the first to before the second.
Span: TypeAlias = tuple[int, int]


@helper
def curve(work: Floats, at: int) -> Params:
    """Coefficients of the instrument at `at`."""
    return of_rows(work, at + PARAM * LANES, LANES)


@routine
def eta(work: Floats, at: int, kind: int, x: float) -> float:
    """Efficiency without clipping."""
    return dispatch.value(dispatch.family_of(kind), curve(work, at), work[at + ORIGIN * LANES], work, x)


@routine
def weighted_marginal(work: Floats, at: int, kind: int, x: float) -> float:
    """w·U′ without clipping."""
    slope = dispatch.marginal(dispatch.family_of(kind), curve(work, at), work[at + ORIGIN * LANES], work, x)
    return work[at + WEIGHT * LANES] * slope


@routine
def weighted_curvature(work: Floats, at: int, kind: int, x: float) -> float:
    """w·U″ without clipping."""
    bend = dispatch.curvature(dispatch.family_of(kind), curve(work, at), work[at + ORIGIN * LANES], x)
    return work[at + WEIGHT * LANES] * bend


@routine
def weighted_utility(work: Floats, at: int, kind: int, x: float) -> float:
    """w·U: efficiency counts between 0 and 1."""
    value = eta(work, at, kind, x)
    return work[at + WEIGHT * LANES] * (x * min(max(value, 0.0), 1.0))


@routine
def set_curve(work: Floats, at: int, kind: int, weight: float, p: Params, origin: float) -> None:
    """Store an instrument's curve and what its stationary point is computed from."""
    work[at + WEIGHT * LANES] = weight
    put_rows(work, at + PARAM * LANES, LANES, p)
    work[at + ORIGIN * LANES] = origin
    family = dispatch.family_of(kind)
    if (weight > 0.0) | (kind == f.LADDER):
        k0, k1, k2, k3 = dispatch.answer_terms(family, p, origin, weight)
    else:
        k0, k1, k2, k3 = dispatch.idle_terms(family)
    work[at + K0 * LANES], work[at + K1 * LANES], work[at + K2 * LANES], work[at + K3 * LANES] = k0, k1, k2, k3


@routine
def _chord_slope(work: Floats, at: int, kind: int, begin: float, end: float) -> float:
    """Slope of w·U between two capitals; inf between equal ones.

    Where the chord is a tangent this is exact to second order in the point of contact, the marginal only to first.
    """
    rise = weighted_utility(work, at, kind, end) - weighted_utility(work, at, kind, begin)
    return rise / (end - begin) if end > begin else math.inf


@routine
def _build_ladder(work: Floats, at: int, low: float, reach: float, state: float) -> None:
    """Compute the envelope of a ladder: the utility itself, from its smallest capital on."""
    p = curve(work, at)
    count, place = int(p[coefficients.C]), int(p[coefficients.D])
    begins = place
    if low > 0.0:
        begins = ladder.step_at(p, work, low / p[coefficients.B])
    if begins + 1 < place + count and low >= p[coefficients.B] * work[begins + 1]:
        begins += 1  # at a knot the next step begins
    slopes = place + step.SLOPE * count
    base, entry, enter, leave = low, math.inf, low, reach
    if state == CLOSED:
        base, entry, enter, leave = 0.0, -math.inf, 0.0, 0.0
    elif (state == FREE) & (low > 0.0):
        base = 0.0
        entry = work[at + WEIGHT * LANES] * ladder.value(p, work, low)
        if low <= p[coefficients.B] * work[place + 1] or count == 1:
            entry = work[at + STEP_SCALE * LANES] * work[slopes]  # the chord goes on in the step: one slope
    work[at + ENTRY * LANES], work[at + KINK * LANES], work[at + EXIT * LANES] = entry, 0.0, -math.inf
    work[at + BASE * LANES], work[at + ENTER * LANES], work[at + LEAVE * LANES] = base, enter, leave
    work[at + KINK_TO * LANES] = -math.inf
    work[at + EXIT_AT * LANES], work[at + END * LANES] = leave, leave
    work[at + STEP_FIRST * LANES] = slopes + (begins - place)
    work[at + STEP_LAST * LANES] = slopes + (count if state != CLOSED else begins - place)


@routine
def build_over(work: Floats, at: int, kind: int, low: float, high: float, reach: float, state: float) -> None:
    """Compute the envelope of the lane at `at` over a domain."""
    if kind == f.LADDER:
        _build_ladder(work, at, low, reach, state)
        return
    weight, origin = work[at + WEIGHT * LANES], work[at + ORIGIN * LANES]
    family = dispatch.family_of(kind)
    p = curve(work, at)
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
    elif (weight == 0.0) | dispatch.is_level(family, p, work):
        if weight > 0.0:
            kink = weight * min(max(eta(work, at, kind, low), 0.0), 1.0)
        entry = kink if empty else math.inf
        kink_from, kink_to = low, reach
        leave = exit_at = end = reach
    else:
        at_low = eta(work, at, kind, low)
        falls, rises = dispatch.crossings(family, p, origin, work, 1.0)
        if not dispatch.may_exceed_one(family):  # what rounding says at a peak of 1 is no crossing
            falls = rises = math.inf
            at_low = min(at_low, BELOW_ONE)
        turn = dispatch.inflection(family, p, origin)
        shape = dispatch.shape(family, p)
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
                vertex = dispatch.peak(family, p, origin)
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
            rising_tail = shape == RISING_AGAIN
            opens = (shape == CONVEX) | (rising_tail & (low >= turn)) | ((shape == CONVEX_FIRST) & (low < turn))
            if opens:
                enter = upto
                if shape == CONVEX_FIRST:
                    enter = dispatch.tangent_from_low(family, p, origin, low, turn, upto)
                entry = _chord_slope(work, at, kind, low, enter)
            elif rising_tail & (kink_from < math.inf):
                # concave, convex up to where efficiency reaches 1, then a line
                touch = max(dispatch.tangent_from_high(family, p, origin, kink_from, turn), low)
                exit_price = _chord_slope(work, at, kind, touch, kink_from)
                leave, exit_at, end = touch, kink_from, high
                kink_from, kink_to = math.inf, -math.inf
                tail_done = True
            if kink_from == math.inf:
                leave_from = enter
        if not tail_done:
            concave_start = (shape == RISING_AGAIN) | (shape == CONCAVE_FIRST)
            if again:
                leave = leave_from
                exit_price = weight
            elif leave_from >= high:
                leave = leave_from
            elif not concave_start:
                leave = reach
            elif turn >= high:
                leave = min(reach, turn)
            else:
                leave = max(dispatch.tangent_from_high(family, p, origin, high, turn), leave_from)
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
def _answer_block(v: Floats, kind: int, price: float) -> None:
    for j in range(LANES):
        own = price + v[OFFSET * LANES + j]
        k0, k1, k2, k3 = v[K0 * LANES + j], v[K1 * LANES + j], v[K2 * LANES + j], v[K3 * LANES + j]
        stationary, slope = dispatch.best(kind, k0, k1, k2, k3, v[ORIGIN * LANES + j], own)
        _answer(v, j, own, stationary, slope)


@helper
def knot(steps: Floats, v: Floats, j: int, slope: int) -> float:
    """Capital at which the step begins whose slope lies at `slope`, within the domain of lane j."""
    leave = v[LEAVE * LANES + j]
    if slope >= int(v[STEP_LAST * LANES + j]):
        return leave
    count = int(v[(PARAM + coefficients.C) * LANES + j])
    x = v[STEP_WIDTH * LANES + j] * steps[slope - step.SLOPE * count]
    x = x if x > v[ENTER * LANES + j] else v[ENTER * LANES + j]
    return x if x < leave else leave


@helper
def _last_bought(v: Floats, j: int) -> int:
    """Place of the knot of the last step that the last price bought, or nearly so: a hint."""
    count = int(v[(PARAM + coefficients.C) * LANES + j])
    return int(v[STEP_NEAR * LANES + j]) - step.SLOPE * count - 1


@routine
def step_price(work: Floats, at: int, x: float) -> float:
    """w·U′ inside a step of a ladder; −inf at a knot, where it has none of its own."""
    p = curve(work, at)
    place = ladder.step_near(p, work, x / p[coefficients.B], _last_bought(work, at))
    count = int(p[coefficients.C])
    begin = p[coefficients.B] * work[place]
    end = p[coefficients.B] * work[place + 1] if place + 1 < int(p[coefficients.D]) + count else math.inf
    inside = (x > begin * (1.0 + AT_KNOT)) & (x < end * (1.0 - AT_KNOT))
    return work[at + WEIGHT * LANES] * p[coefficients.A] * work[place + step.SLOPE * count] if inside else -math.inf


@routine
def _answer_ladder(v: Floats, steps: Floats, j: int, offset: float, price: float) -> None:
    """Best amounts of a ladder: the knots behind the last steps that return more, net (NEAR), or no less."""
    entry, base = v[ENTRY * LANES + j] - offset, v[BASE * LANES + j]
    first, last = int(v[STEP_FIRST * LANES + j]), int(v[STEP_LAST * LANES + j])
    scale = v[STEP_SCALE * LANES + j]
    above = ladder.steps_above_near(steps, first, last, scale, offset, price, int(v[STEP_NEAR * LANES + j]))
    near = knot(steps, v, j, above)
    v[STEP_NEAR * LANES + j] = above
    far = near
    if above < last and scale * steps[above] - offset >= price:
        far = knot(steps, v, j, ladder.steps_not_below(steps, above, last, scale, offset, price))
    v[NEAR * LANES + j] = near if entry > price else base
    v[FAR_SIDE * LANES + j] = far if entry >= price else base
    v[SLOPE * LANES + j] = 0.0


@helper
def _answer_ladders(v: Floats, steps: Floats, price: float) -> None:
    for j in range(LANES):
        _answer_ladder(v, steps, j, v[OFFSET * LANES + j], price)


@routine
def answer_lane(v: Floats, steps: Floats, kind: int, j: int, own: float) -> None:
    """Best amounts of one lane of a block at its own price."""
    if kind == f.LADDER:
        _answer_ladder(v, steps, j, 0.0, own)
        return
    k0, k1, k2, k3 = v[K0 * LANES + j], v[K1 * LANES + j], v[K2 * LANES + j], v[K3 * LANES + j]
    stationary, slope = dispatch.best(kind, k0, k1, k2, k3, v[ORIGIN * LANES + j], own)
    _answer(v, j, own, stationary, slope)


@helper
def join_lane(v: Floats, more: Floats, j: int, own: float) -> None:
    """Answer for one instrument whose halves have answered: whether it trades, and in which direction."""
    held = v[HELD * LANES + j]
    buy_at, buy_to = v[BUY_AT * LANES + j], v[BUY_TO * LANES + j]
    sell_at, sell_from = v[SELL_AT * LANES + j], v[SELL_FROM * LANES + j]
    up, down = more[NEAR * LANES + j], v[NEAR * LANES + j]
    rising = up if up > buy_to else buy_to
    falling = down if down < sell_from else sell_from
    bought = (own < buy_at) & (rising > held)
    sold = (own >= sell_at) & (not bought)
    near = rising if bought else (falling if sold else held)
    slope = more[SLOPE * LANES + j] if bought & (rising == up) else 0.0
    v[SLOPE * LANES + j] = v[SLOPE * LANES + j] if sold & (falling == down) & (falling < held) else slope
    v[NEAR * LANES + j] = near
    up, down = more[FAR_SIDE * LANES + j], v[FAR_SIDE * LANES + j]
    rising = up if up > buy_to else buy_to
    falling = down if down < sell_from else sell_from
    bought = (own <= buy_at) & (rising > held)
    sold = (own > sell_at) & (not bought)
    v[FAR_SIDE * LANES + j] = rising if bought else (falling if sold else held)


@helper
def _join(v: Floats, more: Floats, price: float) -> None:
    """Answer for instruments whose halves have answered: which of them trades, if any does."""
    for j in range(LANES):
        join_lane(v, more, j, price + v[BEYOND * LANES + j])


@helper
def _answer_kind(v: Floats, steps: Floats, kind: int, price: float) -> None:
    """Loop over a block with the kind as a constant."""
    if kind == f.LINEAR:
        _answer_block(v, f.LINEAR, price)
    elif kind == f.SQRT:
        _answer_block(v, f.SQRT, price)
    elif kind == f.QUADRATIC:
        _answer_block(v, f.QUADRATIC, price)
    elif kind == f.EXPONENTIAL:
        _answer_block(v, f.EXPONENTIAL, price)
    elif kind == f.HILL:
        _answer_block(v, f.HILL, price)
    elif kind == f.LADDER:
        _answer_ladders(v, steps, price)
    elif kind == f.DEPTH:
        _answer_block(v, f.DEPTH, price)
    elif kind == f.POWER:
        _answer_block(v, f.POWER, price)
    else:
        _answer_block(v, RISING, price)


@helper
def _fence(v: Floats) -> None:
    """Keep the answers of a block within what groups leave of them."""
    for j in range(LANES):
        cap, floor = v[CAP * LANES + j], v[FLOOR * LANES + j]
        near, far = v[NEAR * LANES + j], v[FAR_SIDE * LANES + j]
        inside = (floor < near) & (near < cap)
        near = near if near > floor else floor
        v[NEAR * LANES + j] = near if near < cap else cap
        far = far if far > floor else floor
        v[FAR_SIDE * LANES + j] = far if far < cap else cap
        v[SLOPE * LANES + j] = v[SLOPE * LANES + j] if inside else 0.0


@helper
def shift(work: Floats, at: int, beyond: float) -> None:
    """Set how far beyond the price of money lies what an instrument answers to, beside what trading it costs."""
    work[at + BEYOND * LANES] = beyond
    work[at + OFFSET * LANES] = beyond - work[at + SELL * LANES]
    if work[at + HALF * LANES] != 0.0:
        work[at + BLOCK + OFFSET * LANES] = beyond + work[at + BUY * LANES]


@routine
def respond(work: Floats, kinds: Integers, blocks: Span, sums: Floats, price: float) -> tuple[float, float, float]:
    """Best amounts of all instruments at a price; returns the sums of NEAR, FAR_SIDE and SLOPE."""
    for j in range(3 * LANES):
        sums[j] = 0.0
    for block in range(blocks[0], blocks[1]):
        v = work[block * BLOCK : (block + 1) * BLOCK]
        _answer_kind(v, work, kinds[block], price)
        half = v[HALF * LANES]
        if half == LESS:
            continue
        if half == MORE:
            more = v
            v = work[(block - 1) * BLOCK : block * BLOCK]
            _join(v, more, price)
        if v[FENCED * LANES] != 0.0:
            _fence(v)
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
def _earn_block(v: Floats, steps: Floats, family: int, row: int) -> None:
    for j in range(LANES):
        x = v[row * LANES + j]
        value, size = dispatch.sized(family, curve(v, j), v[ORIGIN * LANES + j], steps, x)
        _earn(v, j, x, value, size)


@helper
def _earn_ladders(v: Floats, steps: Floats, row: int) -> None:
    """Do the same for ladders; lanes without one have no steps to look into."""
    for j in range(LANES):
        x = v[row * LANES + j]
        v[WORTH * LANES + j] = v[SIZE * LANES + j] = 0.0
        if x > 0.0:
            value = ladder.value_near(curve(v, j), steps, x, _last_bought(v, j))
            _earn(v, j, x, value, value)


@helper
def _utilities(v: Floats, steps: Floats, kind: int, row: int) -> None:
    """Put w·U of a row of amounts into WORTH, and what it can be wrong by, in units of rounding, into SIZE."""
    if kind == f.LINEAR:
        _earn_block(v, steps, f.LINEAR, row)
    elif kind == f.SQRT:
        _earn_block(v, steps, f.SQRT, row)
    elif kind == f.QUADRATIC:
        _earn_block(v, steps, f.QUADRATIC, row)
    elif kind == f.HILL:
        _earn_block(v, steps, f.HILL, row)
    elif kind == f.DEPTH:
        _earn_block(v, steps, f.DEPTH, row)
    elif kind == f.POWER:
        _earn_block(v, steps, f.POWER, row)
    elif kind == f.LADDER:
        _earn_ladders(v, steps, row)
    else:
        _earn_block(v, steps, f.EXPONENTIAL, row)


@helper
def trading_cost(v: Floats, j: int, x: float) -> float:
    """What it costs to come from the capital held to x."""
    moved = x - v[HELD * LANES + j]
    rate = v[BUY * LANES + j] if moved > 0.0 else -v[SELL * LANES + j]
    fixed = v[FIXED * LANES + j] if (moved != 0.0) | (v[SUNK * LANES + j] != 0.0) else 0.0
    return rate * moved + fixed


@helper
def _charge(v: Floats, row: int) -> None:
    """Take what trading costs from WORTH."""
    for j in range(LANES):
        cost = trading_cost(v, j, v[row * LANES + j])
        v[WORTH * LANES + j] -= cost
        v[SIZE * LANES + j] += cost


@helper
def two_sum(total: float, rest: float, value: float) -> tuple[float, float]:
    """Add a number to a sum that is kept with its rounding errors."""
    added = total + value
    part = added - total
    return added, rest + ((total - (added - part)) + (value - part))


@routine
def worth(
    work: Floats, kinds: Integers, blocks: Span, sums: Floats, row: int, price: float
) -> tuple[float, float, float]:
    """Sums of w·U − price·C, of the sizes of its terms, and of C, over a row of amounts; WORTH has w·U − price·C."""
    for j in range(5 * LANES):
        sums[j] = 0.0
    for block in range(blocks[0], blocks[1]):
        v = work[block * BLOCK : (block + 1) * BLOCK]
        if v[HALF * LANES] == MORE:
            continue
        _utilities(v, work, kinds[block], row)
        if v[HALF * LANES] == LESS:
            _charge(v, row)
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
