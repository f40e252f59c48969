"""The problem of the envelopes: its price, the bound that follows, and what tickets add to it."""

from __future__ import annotations

import math

from escala.kernels.allocation.balance import (
    AT_BOUND,
    FAILED,
    ROUNDING,
    SLACK,
    SMOOTH,
    at_joint,
    balance,
    fill,
    follow_arcs,
    half_of,
    inside_chord,
)
from escala.kernels.allocation.crossing import meet_limits
from escala.kernels.allocation.envelope import (
    AMOUNT,
    BASE,
    BLOCK,
    BUY_AT,
    BUY_TO,
    CLOSED,
    ENTER,
    ENTRY,
    FORCED,
    FREE,
    HALF,
    HELD,
    HIGH,
    KEPT,
    KINK_FROM,
    KINK_TO,
    LANES,
    LOW,
    NEAR,
    REACH,
    SLOPE,
    STATE,
    WORTH,
    Span,
    respond,
    worth,
)
from escala.kernels.allocation.groups import Groups, bound_of_groups, crosses, fence_in
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import allocation_status as status_of
from escala.kernels.layout import families, verdict

CUT_EVALUATIONS = 40


@helper
def ticketed(work: Floats, at: int) -> bool:
    """Whether an instrument may be empty, at no cost, or hold a smallest ticket."""
    choice = (work[at + STATE * LANES] == FREE) & (work[at + LOW * LANES] > 0.0)
    return choice & ((work[at + HALF * LANES] == 0.0) | (work[at + HELD * LANES] == 0.0))


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
def _first_inside(work: Floats, slot: Integers) -> int:
    """Find an instrument inside a chord, one that is not allowed there before others; −1 if there is none."""
    found = -1
    for i in range(slot.size):
        at = slot[i]
        x = work[at + AMOUNT * LANES]
        if inside_chord(work, at, x):
            if (work[at + STATE * LANES] == FREE) & (x < work[at + LOW * LANES]):
                return i
            found = i if found < 0 else found
    return found


@routine
def relax(
    work: Floats,
    kinds: Integers,
    blocks: Span,
    sums: Floats,
    slot: Integers,
    money: float,
    hurdle: float,
    floor: float,
    start: float,
    scale: float,
    groups: Groups,
) -> tuple[float, int, float, float, int]:
    """Solve the problem of the envelopes: AMOUNT.

    Returns the price, how its search ended, the bound D, the value of the amounts (−inf where they are not feasible)
    and the instrument inside a chord or −1.
    """
    grouped = groups[0].shape[1] > 0
    if crosses(groups):
        price, ended, bound = meet_limits((work, kinds, blocks, sums, slot), money, hurdle, floor, scale, groups)
        if ended == FAILED:
            return price, ended, bound, -math.inf, -1
        value, _, _ = worth(work, kinds, blocks, sums, AMOUNT, hurdle)
        inside = _first_inside(work, slot)
        return price, ended, bound, _allowed(work, slot, inside, value), inside
    if grouped and not fence_in(work, kinds, sums, money, floor, scale, groups):
        unknown = groups[3][verdict.STATUS] == status_of.UNSOLVED
        return start, FAILED, math.inf if unknown else -math.inf, -math.inf, -1
    price, ended = balance(work, kinds, blocks, sums, slot, money, floor, start, scale)
    if ended == FAILED:
        return price, ended, math.inf, -math.inf, -1
    bound = 0.0
    if not grouped:
        total, size, _ = worth(work, kinds, blocks, sums, NEAR, price)
        bound = (price - hurdle) * money + total
        bound += ROUNDING * (size + abs(price - hurdle) * money)
    inside = -1
    if ended == SLACK:
        for i in range(slot.size):
            work[slot[i] + AMOUNT * LANES] = work[slot[i] + NEAR * LANES]
    elif ended == SMOOTH:
        follow_arcs(work, slot, money)
    else:
        inside = fill(work, slot, money)
    value, _, _ = worth(work, kinds, blocks, sums, AMOUNT, hurdle)
    if grouped:
        inside = _first_inside(work, slot)
        bound = bound_of_groups(work, kinds, blocks, sums, money, hurdle, price, groups)
    return price, ended, bound, _allowed(work, slot, inside, value), inside


@helper
def _allowed(work: Floats, slot: Integers, inside: int, value: float) -> float:
    """Give the value of amounts; −inf where the instrument inside a chord is not allowed there."""
    if inside >= 0:
        at = slot[inside]
        if (work[at + STATE * LANES] == FREE) & (work[at + AMOUNT * LANES] < work[at + LOW * LANES]):
            return -math.inf
    return value


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
    blocks: Span,
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
    blocks: Span,
    sums: Floats,
    slot: Integers,
    marked: Integers,
    money: float,
    hurdle: float,
    floor: float,
    exactly: bool,
    start: float,
    scale: float,
    groups: Groups,
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
        price, _, _, value, _ = relax(work, kinds, blocks, sums, slot, money, hurdle, floor, start, scale, groups)
    for i in range(slot.size):
        work[_entrance(work, slot[i])] = work[slot[i] + KEPT * LANES]
    return price, value
