"""The price of money at which amounts add up to it, and amounts that spend it at that price.

All functions work on the blocks of :mod:`escala.kernels.allocation.envelope`; `slot` tells where each instrument lies
in them. The blocks may be those of all instruments, or of a group's.
"""

from __future__ import annotations

import math

from escala.kernels.allocation.envelope import (
    AMOUNT,
    BASE,
    BLOCK,
    BUY_AT,
    BUY_TO,
    CAP,
    ENTER,
    ENTRY,
    EXIT,
    EXIT_AT,
    FAR_SIDE,
    FENCED,
    FLOOR,
    HALF,
    HELD,
    KINK,
    KINK_FROM,
    KINK_TO,
    LANES,
    LEAVE,
    NEAR,
    OFFSET,
    SELL_AT,
    SELL_FROM,
    SLOPE,
    STAYS,
    STEP_FIRST,
    STEP_LAST,
    STEP_NEAR,
    STEP_SCALE,
    STEP_WIDTH,
    Span,
    curve,
    knot,
    respond,
    two_sum,
)
from escala.kernels.families import ladder
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import coefficients, families, ladder_step

SMOOTH, TIED, SLACK, COLLAPSED, FAILED = range(5)  # how the search for the price ends
ROUNDING = 2.0**-46  # of the sizes of the terms: more than a bound can be wrong by
NOTHING = 1e-14  # relative to the money: not worth opening an instrument for
CLOSE_ENOUGH = 1e-12  # relative: amounts that close to the money are corrected along the arcs
SAME_PRICE = 1e-30  # of the scale: prices so near to each other are one
AT_BOUND = 1e-12  # relative: closer than that is at a bound
EVALUATIONS = 240  # of the price; a bisection of all floats takes 64, expansion as many


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
    above = ladder.steps_above_near(work, first, last, scale, offset, aim, int(work[at + STEP_NEAR * LANES]))
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
def nearest_jump(work: Floats, kinds: Integers, slot: Integers, low: float, high: float, aim: float) -> float:
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
                begin = ladder.steps_not_below(work, first, last, scale, offset, high)
                end = ladder.steps_above(work, begin, last, scale, offset, low)
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
def _has_ladders(kinds: Integers, blocks: Span) -> bool:
    found = False
    for block in range(blocks[0], blocks[1]):
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
    jump = nearest_jump(work, kinds, slot, low, high, aim)
    if jump != aim:
        return jump
    return arc if (patience < 3) & (low < arc) & (arc < high) else middle


@routine
def _fall_to_next(
    work: Floats, kinds: Integers, blocks: Span, sums: Floats, slot: Integers, money: float, floor: float, price: float
) -> float:
    """Lower a price at which ladders hold just the money to the next one at which they would hold more.

    Every price between the two balances; the lower one is what one more unit of money returns.
    """
    lower = nearest_jump(work, kinds, slot, floor, price, price)
    lower = floor if lower == price else lower
    if lower > -math.inf:
        near, far, _ = respond(work, kinds, blocks, sums, lower)
        if near <= money <= far or ((near <= money) & (lower == floor)):
            return lower
    respond(work, kinds, blocks, sums, price)
    return price


@routine
def _span(
    work: Floats, kinds: Integers, blocks: Span, sums: Floats, slot: Integers, low: float, high: float
) -> None:  # fmt: skip
    """Answer to two prices that are as good as one: what is bought between them is bought at both."""
    respond(work, kinds, blocks, sums, low)
    for i in range(slot.size):
        work[slot[i] + AMOUNT * LANES] = work[slot[i] + FAR_SIDE * LANES]
    respond(work, kinds, blocks, sums, high)
    for i in range(slot.size):
        work[slot[i] + FAR_SIDE * LANES] = work[slot[i] + AMOUNT * LANES]


@routine
def balance(
    work: Floats,
    kinds: Integers,
    blocks: Span,
    sums: Floats,
    slot: Integers,
    money: float,
    floor: float,
    start: float,
    scale: float,
) -> tuple[float, int]:
    """Find the price at which the amounts add up to the money; never below `floor`, where money may be left.

    Returns the price and SMOOTH (they do, up to CLOSE_ENOUGH), TIED (between NEAR and FAR_SIDE), COLLAPSED (the same,
    across two floats that are neighbours, or as good as), SLACK (not even at the floor) or FAILED (never).
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
    neighbours = False
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
                guess = nearest_jump(work, kinds, slot, low, high, 0.5 * (low + high))
            if not low < guess < high:
                neighbours = True
                break
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
    if neighbours | (high - low <= SAME_PRICE * scale):  # around 0 no search comes to neighbours: too many floats
        _span(work, kinds, blocks, sums, slot, low, high)
        return high, COLLAPSED
    return price, FAILED


@helper
def inside_chord(work: Floats, at: int, x: float) -> bool:
    """Whether a capital lies where the envelope is above the utility."""
    lane = half_of(work, at, x)
    if work[at + HALF * LANES] != 0.0:
        held = work[at + HELD * LANES]
        if (work[at + SELL_FROM * LANES] < x) & (x < max(work[at + BUY_TO * LANES], held)):
            return (work[at + STAYS * LANES] == 0.0) | (x != held)
    entering = (work[lane + BASE * LANES] < x) & (x < work[lane + ENTER * LANES])
    return entering | ((work[lane + LEAVE * LANES] < x) & (x < work[lane + EXIT_AT * LANES]))


@helper
def _next_piece(work: Floats, at: int, x: float, target: float) -> tuple[float, bool]:
    """End of the next piece of an envelope from x towards `target`, and whether it is a chord above the utility."""
    if work[at + HALF * LANES] == 0.0:
        return _next_of_half(work, at, x, target)
    sell_from = work[at + SELL_FROM * LANES]
    if x < sell_from:
        return _next_of_half(work, at, x, min(target, sell_from))
    if (x < work[at + HELD * LANES]) & (work[at + STAYS * LANES] != 0.0):
        return min(work[at + HELD * LANES], target), True
    if x < work[at + BUY_TO * LANES]:
        return min(work[at + BUY_TO * LANES], target), True
    return _next_of_half(work, at + BLOCK, x, target)


@helper
def _next_of_half(work: Floats, at: int, x: float, target: float) -> tuple[float, bool]:
    enter, leave = work[at + ENTER * LANES], work[at + LEAVE * LANES]
    exit_at = work[at + EXIT_AT * LANES]
    if x < enter:
        return min(enter, target), True
    if x < leave:
        return min(target, leave), False
    if x < exit_at:
        return min(exit_at, target), True
    return target, False


@routine
def fill(work: Floats, slot: Integers, money: float) -> int:
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
def follow_arcs(work: Floats, slot: Integers, money: float) -> None:
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
            if work[at + FENCED * LANES] != 0.0:
                low, high = max(low, work[at + FLOOR * LANES]), min(high, work[at + CAP * LANES])
            x = min(max(x + part * slope, low), high)
        work[at + AMOUNT * LANES] = x
