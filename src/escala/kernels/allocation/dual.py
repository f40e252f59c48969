"""The price of money at which the amounts add up to it, the bound that follows, and amounts that spend the money.

All functions work on the blocks of :mod:`escala.kernels.allocation.envelope`; `slot` tells where each instrument lies
in them.
"""

from __future__ import annotations

import math

from escala.kernels.allocation.envelope import (
    AMOUNT,
    BASE,
    BLOCK,
    BUY_AT,
    BUY_TO,
    CLOSED,
    ENTER,
    ENTRY,
    EXIT,
    EXIT_AT,
    FAR_SIDE,
    FORCED,
    FREE,
    HALF,
    HELD,
    HIGH,
    KEPT,
    KINK,
    KINK_FROM,
    KINK_TO,
    LANES,
    LEAVE,
    LOW,
    NEAR,
    OFFSET,
    REACH,
    SELL_AT,
    SELL_FROM,
    SLOPE,
    STATE,
    STAYS,
    STEP_FIRST,
    STEP_LAST,
    STEP_NEAR,
    STEP_SCALE,
    STEP_WIDTH,
    WORTH,
    curve,
    knot,
    respond,
    two_sum,
    worth,
)
from escala.kernels.families import ladder
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import coefficients, families, ladder_step

SMOOTH, TIED, SLACK, COLLAPSED, FAILED = range(5)  # how the search for the price ends
ROUNDING = 2.0**-46  # of the sizes of the terms: more than a bound can be wrong by
NOTHING = 1e-14  # relative to the money: not worth opening an instrument for
CLOSE_ENOUGH = 1e-12  # relative: amounts that close to the money are corrected along the arcs
AT_BOUND = 1e-12  # relative: closer than that is at a bound
EVALUATIONS = 240  # of the price; a bisection of all floats takes 64, expansion as many
CUT_EVALUATIONS = 40


@routine
def unfilled(work: Floats, slot: Integers, money: float, row: int) -> float:
    """Money that a row of amounts leaves, added up with the rounding errors."""
    total = -money
    rest = 0.0
    for i in range(slot.size):
        total, rest = two_sum(total, rest, work[slot[i] + row * LANES])
    return -(total + rest)


@helper
def last_half(work: Floats, at: int) -> int:
    """Lane of the upper half of an instrument; its only one where trading costs nothing."""
    return at + BLOCK if work[at + HALF * LANES] != 0.0 else at


@helper
def half_of(work: Floats, at: int, x: float) -> int:
    """Lane of the half of an instrument that a capital belongs to."""
    return at + BLOCK if (work[at + HALF * LANES] != 0.0) & (x > work[at + HELD * LANES]) else at


@helper
def at_joint(work: Floats, at: int, x: float) -> bool:
    """Whether a capital is that at which halves begin or end, whatever the price."""
    joint = (x == work[at + HELD * LANES]) | (x == work[at + BUY_TO * LANES]) | (x == work[at + SELL_FROM * LANES])
    return (work[at + HALF * LANES] != 0.0) & joint


@helper
def ticketed(work: Floats, at: int) -> bool:
    """Whether an instrument may be empty, at no cost, or hold a smallest ticket."""
    choice = (work[at + STATE * LANES] == FREE) & (work[at + LOW * LANES] > 0.0)
    return choice & ((work[at + HALF * LANES] == 0.0) | (work[at + HELD * LANES] == 0.0))


@helper
def _nearer(found: float, nearest: float, jump: float, low: float, high: float, aim: float) -> tuple[float, float]:
    """Take a jump instead of what was found if it lies in (low, high), and nearer to the aim."""
    away = abs(jump - aim)
    better = (away < nearest) & (low < jump) & (jump < high)
    return jump if better else found, away if better else nearest


@routine
def _nearest_step(
    work: Floats, at: int, low: float, high: float, aim: float, found: float, nearest: float
) -> tuple[float, float]:
    """Take the slope of a ladder instead of what was found if it lies in (low, high), and nearer to the aim."""
    first, last = int(work[at + STEP_FIRST * LANES]), int(work[at + STEP_LAST * LANES])
    scale, offset = work[at + STEP_SCALE * LANES], work[at + OFFSET * LANES]
    above = ladder.steps_above_near(work, first, last, scale, aim + offset, int(work[at + STEP_NEAR * LANES]))
    if above < last:
        found, nearest = _nearer(found, nearest, scale * work[above] - offset, low, high, aim)
    if above > first and knot(work, work, at, above - 1) >= work[at + LEAVE * LANES]:  # the domain ends before it
        p = curve(work, at)
        reached = ladder.step_at(p, work, work[at + LEAVE * LANES] / work[at + STEP_WIDTH * LANES])
        above = min(above, max(reached + ladder_step.SLOPE * int(p[coefficients.C]), first) + 1)
    if above > first:
        found, nearest = _nearer(found, nearest, scale * work[above - 1] - offset, low, high, aim)
    return found, nearest


@routine
def _nearest_jump(work: Floats, kinds: Integers, slot: Integers, low: float, high: float, aim: float) -> float:
    """Price in (low, high) nearest the aim at which an amount jumps; the aim if there is none."""
    found = aim
    nearest = math.inf
    for i in range(slot.size):
        at = slot[i]
        if work[at + HALF * LANES] != 0.0:
            found, nearest = _nearer(found, nearest, work[at + BUY_AT * LANES], low, high, aim)
            found, nearest = _nearer(found, nearest, work[at + SELL_AT * LANES], low, high, aim)
        for lane in range(at, last_half(work, at) + 1, BLOCK):
            offset = work[lane + OFFSET * LANES]
            found, nearest = _nearer(found, nearest, work[lane + ENTRY * LANES] - offset, low, high, aim)
            if kinds[at // BLOCK] == families.LADDER:
                found, nearest = _nearest_step(work, lane, low, high, aim, found, nearest)
                continue
            if work[lane + KINK_FROM * LANES] < work[lane + KINK_TO * LANES]:
                found, nearest = _nearer(found, nearest, work[lane + KINK * LANES] - offset, low, high, aim)
            found, nearest = _nearer(found, nearest, work[lane + EXIT * LANES] - offset, low, high, aim)
    return found


@routine
def _middle_step(work: Floats, kinds: Integers, slot: Integers, low: float, high: float) -> float:
    """Middle one of the slopes in (low, high) of the ladder that has most of them there; the middle price if none."""
    found = 0.5 * (low + high)
    most = 0
    for i in range(slot.size):
        at = slot[i]
        if kinds[at // BLOCK] == families.LADDER:
            for lane in range(at, last_half(work, at) + 1, BLOCK):
                first, last = int(work[lane + STEP_FIRST * LANES]), int(work[lane + STEP_LAST * LANES])
                scale, offset = work[lane + STEP_SCALE * LANES], work[lane + OFFSET * LANES]
                begin = ladder.steps_not_below(work, first, last, scale, high + offset)
                end = ladder.steps_above(work, begin, last, scale, low + offset)
                if end - begin > most:
                    most = end - begin
                    found = scale * work[(begin + end) >> 1] - offset
    return found


@routine
def _trend(work: Floats, kinds: Integers, slot: Integers) -> float:
    """Change of what ladders hold with the price, as if their steps were slanted: it aims the search, no more."""
    total = 0.0
    for i in range(slot.size):
        at = half_of(work, slot[i], work[slot[i] + NEAR * LANES])
        if kinds[at // BLOCK] == families.LADDER:
            first, last = int(work[at + STEP_FIRST * LANES]), int(work[at + STEP_LAST * LANES])
            above = int(work[at + STEP_NEAR * LANES])
            if first < above < last:
                fall = work[at + STEP_SCALE * LANES] * (work[above - 1] - work[above])
                width = knot(work, work, at, above) - knot(work, work, at, above - 1)
                total -= width / fall if fall > 0.0 else 0.0
    return total


@helper
def _has_ladders(kinds: Integers, blocks: int) -> bool:
    found = False
    for block in range(blocks):
        found |= kinds[block] == families.LADDER
    return found


@routine
def _aim(
    work: Floats, kinds: Integers, slot: Integers, low: float, high: float, guess: float, secant: float, arc: float,
    count: int, patience: int,
) -> float:  # fmt: skip
    """Choose the next price in (low, high) where there are ladders: a price at which an amount jumps, if there is one.

    A jump that is tried is out of the way, whatever it answers. Slopes that crowd in one place are halved by number now
    and then, since halving the price would take them one by one.
    """
    middle = 0.5 * (low + high)
    if count % 4 == 3:
        return _middle_step(work, kinds, slot, low, high)
    aim = middle
    if patience < 3:
        aim = guess if low < guess < high else secant
    if not low < aim < high:
        aim = middle
    jump = _nearest_jump(work, kinds, slot, low, high, aim)
    if jump != aim:
        return jump
    return arc if (patience < 3) & (low < arc) & (arc < high) else middle


@routine
def _fall_to_next(
    work: Floats, kinds: Integers, blocks: int, sums: Floats, slot: Integers, money: float, floor: float, price: float
) -> float:
    """Lower a price at which ladders hold just the money to the next one at which they would hold more.

    Every price between the two balances; the lower one is what one more unit of money returns.
    """
    lower = _nearest_jump(work, kinds, slot, floor, price, price)
    lower = floor if lower == price else lower
    if lower > -math.inf:
        near, far, _ = respond(work, kinds, blocks, sums, lower)
        if near <= money <= far or ((near <= money) & (lower == floor)):
            return lower
    respond(work, kinds, blocks, sums, price)
    return price


@routine
def _balance(
    work: Floats,
    kinds: Integers,
    blocks: int,
    sums: Floats,
    slot: Integers,
    money: float,
    floor: float,
    start: float,
    scale: float,
) -> tuple[float, int]:
    """Find the price at which the amounts add up to the money; never below `floor`, where money may be left.

    Returns the price and SMOOTH (they do, up to CLOSE_ENOUGH), TIED (between NEAR and FAR_SIDE), COLLAPSED (the same,
    across two neighbouring floats), SLACK (not even at the floor) or FAILED (never).
    """
    low, high = -math.inf, math.inf
    over = short = 0.0
    price = max(start, floor)
    step = scale
    width = math.inf
    patience = 0
    reached = 0
    count = 0
    stepped = _has_ladders(kinds, blocks)
    for _ in range(EVALUATIONS):
        near, far, slope = respond(work, kinds, blocks, sums, price)
        if (near <= money) & (price <= floor):
            return price, SLACK
        if near <= money <= far:
            if stepped and (far == money) & (slope == 0.0):
                price = _fall_to_next(work, kinds, blocks, sums, slot, money, floor, price)
                return price, SLACK if price <= floor else TIED
            return price, TIED
        if abs(near - money) <= CLOSE_ENOUGH * money:
            return price, SMOOTH if slope < 0.0 else TIED
        gap = money - (near if near > money else far)
        if near > money:
            low, over = price, near - money
        else:
            high, short = price, money - far
        arc = price + gap / slope if slope < 0.0 else math.nan
        guess = arc
        if stepped:
            slope += _trend(work, kinds, slot)
            guess = price + gap / slope if slope < 0.0 else math.nan
        patience = 0 if high - low <= 0.5 * width else patience + 1
        width = min(width, high - low) if patience else high - low
        bracketed = (low > -math.inf) & (high < math.inf)
        if bracketed & (stepped | (patience >= 3) | (not (low < guess < high))):
            if stepped:
                secant = low + (high - low) * (over / (over + short))
                guess = _aim(work, kinds, slot, low, high, guess, secant, arc, count, patience)
                count += 1
            else:
                guess = _nearest_jump(work, kinds, slot, low, high, 0.5 * (low + high))
            if not low < guess < high:
                # neighbouring floats: what is bought between them is bought at both prices
                respond(work, kinds, blocks, sums, low)
                for i in range(slot.size):
                    work[slot[i] + AMOUNT * LANES] = work[slot[i] + FAR_SIDE * LANES]
                respond(work, kinds, blocks, sums, high)
                for i in range(slot.size):
                    work[slot[i] + FAR_SIDE * LANES] = work[slot[i] + AMOUNT * LANES]
                return high, COLLAPSED
        elif high == math.inf:
            if (reached >= 3) | (not (low < guess < low + 8.0 * step)):  # Newton's steps may creep
                guess = low + step
            step *= 4.0
            reached += 1
        elif low == -math.inf:
            if (reached >= 3) | (not (high - 8.0 * step < guess < high)):
                guess = high - step
            step *= 4.0
            reached += 1
            guess = max(guess, floor)
        price = guess
    return price, FAILED


@helper
def _next_piece(work: Floats, at: int, x: float, target: float) -> tuple[float, bool]:
    """End of the next piece of an envelope from x towards `target`, and whether it is a chord above the utility."""
    if work[at + HALF * LANES] == 0.0:
        return _next_of_half(work, at, x, target)
    sell_from = work[at + SELL_FROM * LANES]
    if x < sell_from:
        return _next_of_half(work, at, x, min(target, sell_from))
    if (x < work[at + HELD * LANES]) & (work[at + STAYS * LANES] != 0.0):
        return work[at + HELD * LANES], True
    if x < work[at + BUY_TO * LANES]:
        return work[at + BUY_TO * LANES], True
    return _next_of_half(work, at + BLOCK, x, target)


@helper
def _next_of_half(work: Floats, at: int, x: float, target: float) -> tuple[float, bool]:
    enter, leave = work[at + ENTER * LANES], work[at + LEAVE * LANES]
    exit_at = work[at + EXIT_AT * LANES]
    if x < enter:
        return enter, True
    if x < leave:
        return min(target, leave), False
    if x < exit_at:
        return exit_at, True
    return target, False


@routine
def _fill(work: Floats, slot: Integers, money: float) -> int:
    """Spend what NEAR leaves of the money on the way to FAR_SIDE: AMOUNT.

    Stretches of the utilities themselves are filled by the same fraction; chords one after the other, as long as they
    fit. Returns the one instrument that ends inside a chord, −1 if there is none.
    """
    for i in range(slot.size):
        work[slot[i] + AMOUNT * LANES] = work[slot[i] + NEAR * LANES]
    left = unfilled(work, slot, money, AMOUNT)
    while left > NOTHING * money:
        room = 0.0
        for i in range(slot.size):
            at = slot[i]
            x, target = work[at + AMOUNT * LANES], work[at + FAR_SIDE * LANES]
            if x < target:
                end, chord = _next_piece(work, at, x, target)
                room += 0.0 if chord else end - x
        part = 1.0 if room <= left else left / room
        chords = 0
        first = -1
        for i in range(slot.size):
            at = slot[i]
            x, target = work[at + AMOUNT * LANES], work[at + FAR_SIDE * LANES]
            if x < target:
                end, chord = _next_piece(work, at, x, target)
                if not chord:
                    work[at + AMOUNT * LANES] = end if part == 1.0 else x + part * (end - x)
        if part < 1.0:
            return -1
        left -= room
        for i in range(slot.size):
            at = slot[i]
            x, target = work[at + AMOUNT * LANES], work[at + FAR_SIDE * LANES]
            if x < target:
                end, chord = _next_piece(work, at, x, target)
                if chord & (end - x <= left + NOTHING * money):
                    work[at + AMOUNT * LANES] = end
                    left = max(left - (end - x), 0.0)
                    chords += 1
                elif chord & (first < 0):
                    first = i
        if (chords == 0) & (room == 0.0):
            if first >= 0:
                work[slot[first] + AMOUNT * LANES] += left
            return first
    return -1


@routine
def _follow_arcs(work: Floats, slot: Integers, money: float) -> None:
    """Correct amounts that nearly add up to the money along the arcs: AMOUNT from NEAR."""
    slopes = 0.0
    for i in range(slot.size):
        slopes += work[slot[i] + SLOPE * LANES]
    part = unfilled(work, slot, money, NEAR) / slopes
    for i in range(slot.size):
        at = slot[i]
        x, slope = work[at + NEAR * LANES], work[at + SLOPE * LANES]
        if slope != 0.0:
            half = half_of(work, at, x)
            low, high = work[half + ENTER * LANES], work[half + LEAVE * LANES]
            if half != at:
                low = max(low, work[at + BUY_TO * LANES])
            elif work[at + HALF * LANES] != 0.0:
                high = min(high, work[at + SELL_FROM * LANES])
            x = min(max(x + part * slope, low), high)
        work[at + AMOUNT * LANES] = x


@routine
def cut_short(work: Floats, kinds: Integers, slot: Integers) -> bool:
    """Whether an instrument ends where only the money ends it: then its own marginal utility is the price.

    A ladder that is not filled by a fraction ends at a knot.
    """
    found = False
    for i in range(slot.size):
        at = slot[i]
        x = work[at + AMOUNT * LANES]
        half = half_of(work, at, x)
        found |= (
            (work[at + SLOPE * LANES] == 0.0)
            & (not at_joint(work, at, x))
            & (kinds[at // BLOCK] != families.LADDER)
            & (x > work[at + LOW * LANES])
            & (x < work[at + REACH * LANES])
            & (x != work[half + KINK_FROM * LANES])
            & (x != work[half + KINK_TO * LANES])
        )
    return found


@routine
def relax(
    work: Floats,
    kinds: Integers,
    blocks: int,
    sums: Floats,
    slot: Integers,
    money: float,
    hurdle: float,
    floor: float,
    start: float,
    scale: float,
) -> tuple[float, int, float, float, int]:
    """Solve the problem of the envelopes: AMOUNT.

    Returns the price, how its search ended, the bound D, the value of the amounts (−inf where they are not feasible)
    and the instrument inside a chord or −1.
    """
    price, ended = _balance(work, kinds, blocks, sums, slot, money, floor, start, scale)
    if ended == FAILED:
        return price, ended, math.inf, -math.inf, -1
    total, size, _ = worth(work, kinds, blocks, sums, NEAR, price)
    bound = (price - hurdle) * money + total
    bound += ROUNDING * (size + abs(price - hurdle) * money)
    inside = -1
    if ended == SLACK:
        for i in range(slot.size):
            work[slot[i] + AMOUNT * LANES] = work[slot[i] + NEAR * LANES]
    elif ended == SMOOTH:
        _follow_arcs(work, slot, money)
    else:
        inside = _fill(work, slot, money)
    value, _, _ = worth(work, kinds, blocks, sums, AMOUNT, hurdle)
    if inside >= 0:
        at = slot[inside]
        if (work[at + STATE * LANES] == FREE) & (work[at + AMOUNT * LANES] < work[at + LOW * LANES]):
            value = -math.inf
    return price, ended, bound, value, inside


@routine
def _select_largest(work: Floats, slot: Integers, tickets: Integers, m: int, k: int) -> None:
    """Bring the k tickets of highest WORTH to the front; the first of equals come first."""
    first, last = 0, m - 1
    while first < last:
        pivot = tickets[(first + last) // 2]
        value = work[slot[pivot] + WORTH * LANES]
        i, j = first, last
        while i <= j:
            while True:
                here = work[slot[tickets[i]] + WORTH * LANES]
                if (here > value) | ((here == value) & (tickets[i] < pivot)):
                    i += 1
                else:
                    break
            while True:
                here = work[slot[tickets[j]] + WORTH * LANES]
                if (here < value) | ((here == value) & (tickets[j] > pivot)):
                    j -= 1
                else:
                    break
            if i <= j:
                swapped = tickets[i]
                tickets[i] = tickets[j]
                tickets[j] = swapped
                i += 1
                j -= 1
        if k - 1 <= j:
            last = j
        elif k - 1 >= i:
            first = i
        else:
            return


@routine
def most_tickets(work: Floats, slot: Integers, tickets: Integers, money: float) -> tuple[int, int]:
    """Find the instruments that may be empty or hold a smallest ticket, and how many of them the money allows."""
    m = 0
    forced = 0.0
    for i in range(slot.size):
        at = slot[i]
        state = work[at + STATE * LANES]
        if state == FORCED:
            forced += work[at + LOW * LANES]
        elif ticketed(work, at):
            tickets[m] = i
            work[at + WORTH * LANES] = -work[at + LOW * LANES]
            m += 1
    left = (money - forced) * (1.0 + AT_BOUND)
    # bisection on the number: the k smallest are selected, not sorted
    fits, exceeds = 0, m + 1
    while exceeds - fits > 1:
        k = (fits + exceeds) // 2
        _select_largest(work, slot, tickets, m, k)
        needed = 0.0
        for j in range(k):
            needed -= work[slot[tickets[j]] + WORTH * LANES]
        if needed <= left:
            fits = k
        else:
            exceeds = k
    return m, fits


@routine
def limited_bound(
    work: Floats,
    kinds: Integers,
    blocks: int,
    sums: Floats,
    slot: Integers,
    tickets: Integers,
    m: int,
    k: int,
    money: float,
    hurdle: float,
    floor: float,
    start: float,
    scale: float,
) -> float:
    """Bound with at most k of m tickets active: min over λ of λT + Σ others + the k largest.

    A convex function of the price; its minimum is looked for where the tangents on both sides meet. The k tickets in
    front are those of the last price.
    """
    low, high = -math.inf, math.inf
    at_low = at_high = slope_low = slope_high = 0.0
    price = max(start, floor)
    best = math.inf
    step = scale
    for count in range(CUT_EVALUATIONS):
        respond(work, kinds, blocks, sums, price)
        total, size, amount = worth(work, kinds, blocks, sums, NEAR, price)
        _select_largest(work, slot, tickets, m, k)
        for j in range(k, m):
            total -= max(work[slot[tickets[j]] + WORTH * LANES], 0.0)
            amount -= work[slot[tickets[j]] + NEAR * LANES]
        value = (price - hurdle) * money + total
        best = min(best, value + ROUNDING * (size + abs(price - hurdle) * money))
        slope = money - amount
        if slope >= 0.0:
            if price <= floor:
                break
            high, at_high, slope_high = price, value, slope
        else:
            low, at_low, slope_low = price, value, slope
        if high == math.inf:
            price += step
            step *= 4.0
        elif low == -math.inf:
            price = max(price - step, floor)
            step *= 4.0
        else:
            meet = (at_low - at_high + slope_high * high - slope_low * low) / (slope_high - slope_low)
            if best - (at_low + slope_low * (meet - low)) <= 1e-13 * abs(best):
                break
            price = meet if (count % 3 != 2) & (low < meet) & (meet < high) else 0.5 * (low + high)
            if not low < price < high:
                break
    return best


@helper
def _entrance(work: Floats, at: int) -> int:
    """Where the price lies below which an instrument that is empty is entered."""
    return at + (ENTRY if work[at + HALF * LANES] == 0.0 else BUY_AT) * LANES


@helper
def _first_amount(work: Floats, at: int, choice: bool) -> int:
    """Where the least capital lies of an instrument that is entered (if that is a choice) or forced in."""
    if work[at + HALF * LANES] == 0.0:
        return at + (ENTER if choice else BASE) * LANES
    return at + (BUY_TO if choice else LOW) * LANES


@routine
def restricted(
    work: Floats,
    kinds: Integers,
    blocks: int,
    sums: Floats,
    slot: Integers,
    marked: Integers,
    money: float,
    hurdle: float,
    floor: float,
    exactly: bool,
    start: float,
    scale: float,
) -> tuple[float, float]:
    """Solve with the tickets `marked` alone, by changing only what it costs to enter; returns price and value."""
    least = most = 0.0
    for i in range(slot.size):
        at = slot[i]
        priced = _entrance(work, at)
        work[at + KEPT * LANES] = work[priced]
        state = work[at + STATE * LANES]
        choice = ticketed(work, at)
        if choice:
            work[priced] = math.inf if marked[i] else -math.inf
        if (choice & (marked[i] != 0)) | (state == FORCED):
            least += work[_first_amount(work, at, choice)]
        if (not choice & (marked[i] == 0)) & (state != CLOSED):
            most += work[at + HIGH * LANES]
    price, value = start, -math.inf
    slack = AT_BOUND * money
    if (least <= money + slack) & ((not exactly) | (most >= money - slack)):
        price, _, _, value, _ = relax(work, kinds, blocks, sums, slot, money, hurdle, floor, start, scale)
    for i in range(slot.size):
        work[_entrance(work, slot[i])] = work[slot[i] + KEPT * LANES]
    return price, value
