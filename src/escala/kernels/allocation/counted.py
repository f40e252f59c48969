"""Bounds with whole lots, and with a limit of how many instruments hold anything.

At any price of money every instrument has a value without capital, and one with the best it may hold; the difference
is its gain. However many may hold something, no more than the values without capital and the largest gains add up to,
so

    λT + Σ (value without capital) + the sum of the k largest gains

bounds every feasible allocation, k being the number of gains above 0, but no less than `min_count` and no more than
`max_count`. Prices of groups add their terms as elsewhere. With whole lots the best is one of the multiples next to
the best capital: see :func:`.lots.best_lots`. All of this is convex in every single price, and a bound at any; it is
lowered from price to price.

Envelopes here are those of what holds something. Whether an instrument does is no matter of its envelope, as it is
elsewhere.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from escala.kernels.allocation.balance import AT_BOUND, ROUNDING
from escala.kernels.allocation.dual import CUT_EVALUATIONS, select_largest
from escala.kernels.allocation.envelope import (
    BEYOND,
    BLOCK,
    CAP,
    CLOSED,
    FLOOR,
    FORCED,
    FREE,
    HIGH,
    LANES,
    LEAF,
    LOT,
    LOW,
    NEAR,
    SIZE,
    STATE,
    WORTH,
    Span,
    respond,
    trading_cost,
    two_sum,
    worth,
)
from escala.kernels.allocation.groups import Groups, shift
from escala.kernels.allocation.halves import build
from escala.kernels.allocation.lots import best_lots
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import allocation_status as status_of
from escala.kernels.layout import fences as fence
from escala.kernels.layout import forest as tree
from escala.kernels.layout import whole as w

#: Blocks with the kinds, the span and the sums of :mod:`.envelope`; slots; rows of :data:`escala.kernels.layout.whole`;
#: room for choosing; and which instruments the search touched.
Lanes: TypeAlias = tuple[Floats, Integers, Span, Floats, Integers, Floats, Integers, Integers]
#: Money, hurdle, least price, size of prices, the gap that is asked for, and whether all must be placed.
Terms: TypeAlias = tuple[float, float, float, float, float, bool]
#: Least and most instruments, beside those that must hold something.
Counts: TypeAlias = tuple[int, int]

MONEY = -1  # the coordinate that is the price of money; the others are those of groups
FIRST_STEP = 0.0625  # of the size of prices
ACCURACY = 1e-13  # relative: bounds that close to the lowest are the lowest
PART_OF_GAP = 1e-3  # of the gap that is asked for: as good
GROUP_ROUNDS = 3  # over the prices of groups, of the whole problem


@routine
def build_holding(work: Floats, at: int, kind: int) -> None:
    """Compute the envelope of what an instrument holds if it holds anything."""
    state = work[at + STATE * LANES]
    if (state == FREE) & (work[at + LOW * LANES] > 0.0):
        work[at + STATE * LANES] = FORCED
        build(work, at, kind)
        work[at + STATE * LANES] = state
    else:
        build(work, at, kind)


@routine
def build_all_holding(lanes: Lanes) -> None:
    """Compute the envelopes of all instruments in this way."""
    work, kinds, _, _, slot, _, _, dirty = lanes
    for i in range(slot.size):
        at = slot[i]
        dirty[i] = 0
        if (work[at + STATE * LANES] == FREE) & (work[at + LOW * LANES] > 0.0):
            build_holding(work, at, kinds[at // BLOCK])


@routine
def value_nothing(lanes: Lanes) -> None:
    """Note what every instrument is worth without capital: EMPTY."""
    work, _, _, _, slot, ledger, _, _ = lanes
    for i in range(slot.size):
        ledger[w.EMPTY, i] = -trading_cost(work[slot[i] :], 0, 0.0)


@routine
def _sum_extremes(lanes: Lanes, row: int, sign: float, k: int) -> float:
    """Add up the k largest numbers of a row (times a sign) among the instruments that may be empty."""
    work, _, _, _, slot, _, tickets, _ = lanes
    m = 0
    for i in range(slot.size):
        at = slot[i]
        if work[at + STATE * LANES] == FREE:
            work[at + WORTH * LANES] = sign * work[at + row * LANES]
            tickets[m] = i
            m += 1
    select_largest(work, slot, tickets, m, k)
    total = rest = 0.0
    for j in range(k):
        total, rest = two_sum(total, rest, work[slot[tickets[j]] + WORTH * LANES])
    return sign * (total + rest)


@routine
def _most_that_fit(lanes: Lanes, m: int, money: float) -> int:
    """Count how many of the smallest holdings fit into the money."""
    fits, exceeds = 0, m + 1
    while exceeds - fits > 1:
        k = (fits + exceeds) // 2
        if _sum_extremes(lanes, LOW, -1.0, k) <= money:
            fits = k
        else:
            exceeds = k
    return fits


@routine
def possible(lanes: Lanes, terms: Terms, least: int, most: int) -> tuple[int, float, Counts]:
    """Check how many instruments may hold something.

    Returns a status, by how much a bound is missed, and the least and most number beside those that must.
    """
    work, _, _, _, slot, _, _, _ = lanes
    money, _, _, _, _, exactly = terms
    inside = m = 0
    forced = rest = room = 0.0
    for i in range(slot.size):
        at = slot[i]
        if work[at + STATE * LANES] == FORCED:
            inside += 1
            forced, rest = two_sum(forced, rest, work[at + LOW * LANES])
            room += work[at + HIGH * LANES]
        elif work[at + STATE * LANES] == FREE:
            m += 1
    left = (money - forced) - rest
    spare = left + AT_BOUND * money
    if inside > most:
        return status_of.TOO_MANY, float(inside - most), (0, 0)
    if inside + m < least:
        return status_of.TOO_FEW, float(least - inside - m), (0, 0)
    fewest = max(least - inside, 0)
    needed = _sum_extremes(lanes, LOW, -1.0, fewest) if fewest > 0 else 0.0
    if needed > spare:
        return status_of.COUNT_ABOVE_MONEY, needed - left, (0, 0)
    highest = min(_most_that_fit(lanes, m, spare), most - inside)
    if exactly:
        room += _sum_extremes(lanes, HIGH, 1.0, highest)
        if room < money * (1.0 - AT_BOUND):
            return status_of.TOO_LITTLE_ROOM, money - room, (0, 0)
    return status_of.OPTIMAL, 0.0, (fewest, highest)


@helper
def within(work: Floats, at: int, k: int, forest: Integers) -> bool:
    """Whether an instrument lies in a group."""
    g = int(work[at + LEAF * LANES])
    while (g >= 0) & (g < k):
        g = forest[tree.PARENT, g]
    return g == k


@routine
def charge_groups(lanes: Lanes, groups: Groups) -> None:
    """Let every instrument answer to the prices of its groups beside that of money, and to no fence."""
    work, _, _, _, slot, _, _, _ = lanes
    forest, fences, _, _ = groups
    if forest.shape[1] == 0:
        return
    for i in range(slot.size):
        at = slot[i]
        work[at + CAP * LANES], work[at + FLOOR * LANES] = math.inf, -math.inf
        beyond = 0.0
        g = int(work[at + LEAF * LANES])
        while g >= 0:
            beyond += fences[fence.NOTED, g]
            g = forest[tree.PARENT, g]
        shift(work, at, beyond)


@routine
def free_of_groups(lanes: Lanes, groups: Groups) -> None:
    """Take the prices of groups away again."""
    work, _, _, _, slot, _, _, _ = lanes
    if groups[0].shape[1] > 0:
        for i in range(slot.size):
            shift(work, slot[i], 0.0)


@routine
def _choose(lanes: Lanes, m: int, counts: Counts) -> int:
    """Bring the instruments that hold something to the front of those that may be empty; returns how many do."""
    work, _, _, _, slot, _, tickets, _ = lanes
    fewest, highest = counts
    positive = 0
    for j in range(m):
        positive += work[slot[tickets[j]] + WORTH * LANES] > 0.0
    k = min(max(positive, fewest), highest)
    if k < m:
        select_largest(work, slot, tickets, m, k)
    return k


@routine
def answer_all(lanes: Lanes, counts: Counts, price: float) -> tuple[float, float]:
    """Add up what all instruments are worth at a price, and the sizes of the terms; AT has the best amounts.

    WORTH keeps the gains of those that may be empty.
    """
    work, kinds, blocks, sums, slot, ledger, tickets, _ = lanes
    respond(work, kinds, blocks, sums, price)
    worth(work, kinds, blocks, sums, NEAR, price)
    total = rest = size = 0.0
    m = 0
    for i in range(slot.size):
        at = slot[i]
        x = work[at + NEAR * LANES]
        paid = work[at + BEYOND * LANES] * x
        value = work[at + WORTH * LANES] - paid
        state = work[at + STATE * LANES]
        size += work[at + SIZE * LANES] + abs(price * x) + abs(paid)
        if (work[at + LOT * LANES] > 0.0) & (state != CLOSED):
            value, x = best_lots(work, at, kinds[at // BLOCK], price)
            size += abs(value) + 2.0 * abs(price * x)
        ledger[w.AT, i] = x
        if state == FREE:
            empty = ledger[w.EMPTY, i]
            total, rest = two_sum(total, rest, empty)
            work[at + WORTH * LANES] = value - empty
            size += abs(empty)
            tickets[m] = i
            m += 1
        else:
            total, rest = two_sum(total, rest, value)
    k = _choose(lanes, m, counts)
    for j in range(m):
        if j < k:
            total, rest = two_sum(total, rest, work[slot[tickets[j]] + WORTH * LANES])
        else:
            ledger[w.AT, tickets[j]] = 0.0
    return total + rest, size


@routine
def _slope(lanes: Lanes, money: float, groups: Groups, coordinate: int) -> tuple[float, float]:
    """Derivative of the bound by a price, what may be held less what is; and the size of that."""
    work, _, _, _, slot, ledger, _, _ = lanes
    forest, fences, _, _ = groups
    held = rest = 0.0
    for i in range(slot.size):
        if coordinate == MONEY or within(work, slot[i], coordinate, forest):
            held, rest = two_sum(held, rest, ledger[w.AT, i])
    if coordinate == MONEY:
        return (money - held) - rest, money
    most, least, price = (
        fences[fence.MOST, coordinate], fences[fence.LEAST, coordinate], fences[fence.NOTED, coordinate],
    )  # fmt: skip
    held += rest
    if price == 0.0:
        return min(most - held, 0.0) + max(least - held, 0.0), money
    return (most if price > 0.0 else least) - held, money


@routine
def _terms_of_groups(groups: Groups) -> tuple[float, float]:
    """What the limits of groups are worth at their prices, and the size of that."""
    _, fences, _, _ = groups
    total = size = 0.0
    for k in range(fences.shape[1]):
        price = fences[fence.NOTED, k]
        if price != 0.0:
            paid = price * (fences[fence.MOST, k] if price > 0.0 else fences[fence.LEAST, k])
            total += paid
            size += abs(paid)
    return total, size


@routine
def _keep_side(lanes: Lanes, row: int) -> None:
    _, _, _, _, slot, ledger, _, _ = lanes
    for i in range(slot.size):
        ledger[row, i] = ledger[w.AT, i]


@routine
def _lower(
    lanes: Lanes, counts: Counts, terms: Terms, groups: Groups, coordinate: int, price: float
) -> tuple[float, float, bool]:
    """Lower the bound by one price, from where it is: the lowest bound, the price, and whether there are two sides.

    On the sides, SHORT and OVER, are the amounts just above and below the price of money, where it was that.
    """
    money, hurdle, floor, scale, tolerance, _ = terms
    fences = groups[1]
    least, most = floor, math.inf
    here = max(price, floor)
    if coordinate != MONEY:
        here = fences[fence.NOTED, coordinate]
        least = -math.inf if fences[fence.LEAST, coordinate] > 0.0 else 0.0
        most = math.inf if fences[fence.MOST, coordinate] < math.inf else 0.0
    best = lowest = math.inf
    at_best = here
    low, high = -math.inf, math.inf
    at_low = at_high = slope_low = slope_high = 0.0
    step = FIRST_STEP * scale
    enough = max(ACCURACY, PART_OF_GAP * tolerance)
    for count in range(CUT_EVALUATIONS):
        if coordinate == MONEY:
            price = here
        else:
            fences[fence.NOTED, coordinate] = here
            charge_groups(lanes, groups)
        value, size = answer_all(lanes, counts, price)
        paid, paid_size = _terms_of_groups(groups)
        value += (price - hurdle) * money + paid
        size += abs(price - hurdle) * money + paid_size
        if value + ROUNDING * size < best:
            best, at_best = value + ROUNDING * size, here
        lowest = min(lowest, value)
        slope, unit = _slope(lanes, money, groups, coordinate)
        settled = abs(slope) <= AT_BOUND * unit
        if (slope >= 0.0) | settled:
            if coordinate == MONEY:
                _keep_side(lanes, w.SHORT)
            if settled | (here <= least):
                low = -math.inf
                break
            high, at_high, slope_high = here, value, slope
        else:
            if coordinate == MONEY:
                _keep_side(lanes, w.OVER)
            if here >= most:
                break
            low, at_low, slope_low = here, value, slope
        if high == math.inf:
            here = min(here + step, most)
            step *= 4.0
        elif low == -math.inf:
            here = max(here - step, least)
            step *= 4.0
        else:
            meet = (at_low - at_high + slope_high * high - slope_low * low) / (slope_high - slope_low)
            if lowest - (at_low + slope_low * (meet - low)) <= enough * abs(lowest):
                break
            here = meet if (count % 3 != 2) & (low < meet) & (meet < high) else 0.5 * (low + high)
            if not low < here < high:
                break
    if coordinate != MONEY:
        fences[fence.NOTED, coordinate] = at_best
        charge_groups(lanes, groups)
    elif high == math.inf and low > -math.inf:
        best = -math.inf  # no price is high enough: the holdings exceed the money
    return best, at_best, low > -math.inf


@routine
def lower_bound(
    lanes: Lanes, counts: Counts, terms: Terms, groups: Groups, price: float, rounds: int
) -> tuple[float, float, bool]:
    """Lower the bound by the price of money, then by those of the groups in turn."""
    best, price, sides = _lower(lanes, counts, terms, groups, MONEY, price)
    for _ in range(rounds):
        before = best
        for k in range(groups[0].shape[1]):
            _lower(lanes, counts, terms, groups, k, price)
        found, price, sides = _lower(lanes, counts, terms, groups, MONEY, price)
        best = min(best, found)
        if not before - best > PART_OF_GAP * terms[4] * abs(best):
            break
    return best, price, sides


@routine
def check_groups(lanes: Lanes, groups: Groups) -> tuple[int, int, float]:
    """Check what groups must hold, and may: a status, the group to blame and by how much; room for it in AROUND, PRICE.

    What holds nothing may be chosen: only bounds count.
    """
    work, _, _, _, slot, _, _, _ = lanes
    forest, fences, _, _ = groups
    g = forest.shape[1]
    for k in range(g):
        fences[fence.HOLDS, k] = fences[fence.AROUND, k] = 0.0
    for i in range(slot.size):
        at = slot[i]
        leaf = int(work[at + LEAF * LANES]) if g > 0 else -1
        if leaf >= 0:
            fences[fence.HOLDS, leaf] += work[at + LOW * LANES] if work[at + STATE * LANES] == FORCED else 0.0
            fences[fence.AROUND, leaf] += work[at + HIGH * LANES] if work[at + STATE * LANES] != CLOSED else 0.0
    for k in range(g):
        must, may = fences[fence.HOLDS, k], fences[fence.AROUND, k]
        most, least = fences[fence.MOST, k], fences[fence.LEAST, k]
        if must > most * (1.0 + AT_BOUND):
            return status_of.GROUP_FULL, k, must - most
        if may < least * (1.0 - AT_BOUND):
            return status_of.GROUP_SHORT, k, least - may
        parent = forest[tree.PARENT, k]
        if parent >= 0:
            fences[fence.HOLDS, parent] += max(must, least)
            fences[fence.AROUND, parent] += min(may, most)
    return status_of.OPTIMAL, -1, 0.0
