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
    shift,
    trading_cost,
    two_sum,
    worth,
)
from escala.kernels.allocation.groups import Groups
from escala.kernels.allocation.halves import build
from escala.kernels.allocation.lots import A_MULTIPLE, above_utility, best_lots, whole_down
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
GROUP_ROUNDS = 6  # over the prices of groups, of the whole problem
ROUNDS_BELOW = 2  # the same of its parts


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
def money_for_lots(lanes: Lanes, money: float) -> float:
    """Give what whole lots can take of the money at most: a multiple of the smallest, if all others are of it too."""
    work, _, _, _, slot, _, _, _ = lanes
    smallest = math.inf
    for i in range(slot.size):
        if work[slot[i] + STATE * LANES] != CLOSED:
            smallest = min(smallest, work[slot[i] + LOT * LANES])
    if not 0.0 < smallest < math.inf:
        return money
    for i in range(slot.size):
        lot = work[slot[i] + LOT * LANES]
        if (work[slot[i] + STATE * LANES] != CLOSED) & (abs(whole_down(lot, smallest) - lot) > A_MULTIPLE * lot):
            return money
    return whole_down(money + AT_BOUND * money, smallest)


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
def open_prices(groups: Groups) -> None:
    """Forget all prices of groups."""
    _, fences, _, _, _ = groups
    for k in range(fences.shape[1]):
        fences[fence.UNDER, k] = fences[fence.ROOT_UNDER, k] = -math.inf
        fences[fence.OVER, k] = fences[fence.ROOT_OVER, k] = math.inf
        fences[fence.NOTED, k] = 0.0


@routine
def take_root_prices(groups: Groups) -> None:
    """Begin with the prices of groups of the whole problem."""
    _, fences, _, _, _ = groups
    for k in range(fences.shape[1]):
        fences[fence.UNDER, k], fences[fence.OVER, k] = fences[fence.ROOT_UNDER, k], fences[fence.ROOT_OVER, k]


@routine
def keep_root_prices(groups: Groups) -> None:
    """Keep the prices of groups as those of the whole problem."""
    _, fences, _, _, _ = groups
    for k in range(fences.shape[1]):
        fences[fence.ROOT_UNDER, k], fences[fence.ROOT_OVER, k] = fences[fence.UNDER, k], fences[fence.OVER, k]


@routine
def charge_groups(lanes: Lanes, groups: Groups, price: float) -> None:
    """Let every instrument answer to the price of its group, and to no fence: NOTED is what that adds.

    A group's price is that of what lies around it, but between UNDER and OVER.
    """
    work, _, _, _, slot, _, _, _ = lanes
    forest, fences, _, _, _ = groups
    if forest.shape[1] == 0:
        return
    for k in range(forest.shape[1] - 1, -1, -1):
        parent = forest[tree.PARENT, k]
        around = fences[fence.PRICE, parent] if parent >= 0 else price
        own = min(max(around, fences[fence.UNDER, k]), fences[fence.OVER, k])
        fences[fence.PRICE, k], fences[fence.AROUND, k], fences[fence.NOTED, k] = own, around, own - around
    for i in range(slot.size):
        at = slot[i]
        leaf = int(work[at + LEAF * LANES])
        work[at + CAP * LANES], work[at + FLOOR * LANES] = math.inf, -math.inf
        shift(work, at, fences[fence.PRICE, leaf] - price if leaf >= 0 else 0.0)


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
        elif (x > work[at + HIGH * LANES]) & (state != CLOSED):  # no more is needed, nor is the envelope one there
            x = work[at + HIGH * LANES]
            value = above_utility(work, at, kinds[at // BLOCK], x) - (price + work[at + BEYOND * LANES]) * x
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


@helper
def _follows(groups: Groups, g: int, coordinate: int) -> bool:
    """Whether a price (−1: of money, else of a group) is that of group g too, or of what lies in no group (−1)."""
    forest, fences, _, _, _ = groups
    while (g >= 0) & (g != coordinate):
        if fences[fence.NOTED, g] != 0.0:
            return False
        g = forest[tree.PARENT, g]
    return g == coordinate


@helper
def _limit(groups: Groups, k: int, row: int) -> float:
    """Limit of a group that its price belongs to: that of row UNDER or OVER, or (`row` −1) of the price's sign."""
    _, fences, _, _, _ = groups
    upper = (fences[fence.NOTED, k] > 0.0) if row < 0 else (row == fence.UNDER)
    return fences[fence.MOST, k] if upper else fences[fence.LEAST, k]


@routine
def _held_in_groups(lanes: Lanes, groups: Groups, coordinate: int) -> float:
    """Add up what follows a price, groups that have prices of their own as what these belong to.

    At the price at which a group holds its limit by its own lots or chords, more or less than that is no more than it.
    """
    work, _, _, _, slot, ledger, _, _ = lanes
    forest, fences, _, _, _ = groups
    whole = 0.0
    for k in range(forest.shape[1]):
        fences[fence.HOLDS, k] = 0.0
    for i in range(slot.size):
        leaf = int(work[slot[i] + LEAF * LANES])
        if leaf >= 0:
            fences[fence.HOLDS, leaf] += ledger[w.AT, i]
        else:
            whole += ledger[w.AT, i]
    for k in range(forest.shape[1]):
        held, parent = fences[fence.HOLDS, k], forest[tree.PARENT, k]
        if k == coordinate:
            return held
        if fences[fence.NOTED, k] != 0.0:
            held = _limit(groups, k, -1)
        elif fences[fence.UNDER, k] > -math.inf:
            held = min(held, fences[fence.MOST, k])
        elif fences[fence.OVER, k] < math.inf:
            held = max(held, fences[fence.LEAST, k])
        if parent >= 0:
            fences[fence.HOLDS, parent] += held
        else:
            whole += held
    return whole


@routine
def _slope(lanes: Lanes, groups: Groups, coordinate: int, capacity: float) -> float:
    """Derivative of the bound by a price: what may be held less what is."""
    slot, ledger = lanes[4], lanes[5]
    if groups[0].shape[1] > 0:
        return capacity - _held_in_groups(lanes, groups, coordinate)
    held = rest = 0.0
    for i in range(slot.size):
        held, rest = two_sum(held, rest, ledger[w.AT, i])
    return (capacity - held) - rest


@routine
def _terms_of_groups(groups: Groups, coordinate: int, row: int) -> tuple[float, float]:
    """What the limits of groups are worth at their prices, and the size of that."""
    _, fences, _, _, _ = groups
    total = size = 0.0
    for k in range(fences.shape[1]):
        price = fences[fence.NOTED, k]
        if price != 0.0:
            paid = price * _limit(groups, k, row if k == coordinate else -1)
            total += paid
            size += abs(paid)
    return total, size


@routine
def _bound_at(
    lanes: Lanes, counts: Counts, terms: Terms, groups: Groups, price: float, coordinate: int, row: int
) -> tuple[float, float]:
    """Bound at a price of money, with the groups' own; and what it may be wrong by.

    It is one of all groups but that of the coordinate, whose price counts as that of one of its limits.
    """
    money, hurdle, _, _, _, _ = terms
    charge_groups(lanes, groups, price)
    value, size = answer_all(lanes, counts, price)
    paid, paid_size = _terms_of_groups(groups, coordinate, row)
    own = (price - hurdle) * money
    return value + (own + paid), ROUNDING * (size + abs(own) + paid_size)


@routine
def _keep_side(lanes: Lanes, groups: Groups, coordinate: int, row: int) -> None:
    """Note the amounts on one side of a price, of all instruments that follow it."""
    work, _, _, _, slot, ledger, _, _ = lanes
    for i in range(slot.size):
        if coordinate == MONEY or _follows(groups, int(work[slot[i] + LEAF * LANES]), coordinate):
            ledger[row, i] = ledger[w.AT, i]


@routine
def _lower(
    lanes: Lanes, counts: Counts, terms: Terms, groups: Groups, price: float, coordinate: int, row: int
) -> tuple[float, float, bool]:
    """Lower the bound by one price, from where it is: the lowest bound, the price, and whether there are two sides.

    The price is that of money, or of a group: row UNDER, at which it holds what it may at most, or OVER, at which it
    holds its least, whatever the price of what lies around it. The bound is −inf where no price is enough. On the
    sides, SHORT and OVER for money, MORE and LESS for groups, are the amounts just above and below it.
    """
    money, _, floor, scale, tolerance, _ = terms
    fences = groups[1]
    here, least, capacity = max(price, floor), floor, money
    short, over = w.SHORT, w.OVER
    if coordinate != MONEY:
        short, over = w.MORE, w.LESS
        capacity = _limit(groups, coordinate, row)
        here = fences[row, coordinate]
        here = max(here if abs(here) < math.inf else price, floor)
        if row == fence.OVER:
            least = -math.inf
    best = lowest = math.inf
    at_best = here
    low, high = -math.inf, math.inf
    at_low = at_high = slope_low = slope_high = 0.0
    step = FIRST_STEP * scale
    enough = max(ACCURACY, PART_OF_GAP * tolerance)
    ended = False
    for count in range(CUT_EVALUATIONS):
        if coordinate == MONEY:
            price = here
        else:
            fences[fence.UNDER, coordinate] = fences[fence.OVER, coordinate] = here
        value, wrong = _bound_at(lanes, counts, terms, groups, price, coordinate, row)
        if value + wrong < best:
            best, at_best = value + wrong, here
        lowest = min(lowest, value)
        slope = _slope(lanes, groups, coordinate, capacity)
        ended = (abs(slope) <= AT_BOUND * money) | ((slope > 0.0) & (here <= least))
        if (slope >= 0.0) | ended:
            _keep_side(lanes, groups, coordinate, short)
        else:
            _keep_side(lanes, groups, coordinate, over)
        if ended:
            break
        if slope > 0.0:
            high, at_high, slope_high = here, value, slope
        else:
            low, at_low, slope_low = here, value, slope
        if high == math.inf:
            here += step
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
    sides = (not ended) & (low > -math.inf) & (high < math.inf)
    unmet = (not ended) & (not sides)
    if coordinate != MONEY:
        fences[fence.UNDER, coordinate], fences[fence.OVER, coordinate] = -math.inf, math.inf
        slack = (here <= least) | (low == -math.inf if row == fence.UNDER else high == math.inf) & (not ended)
        here = at_best if sides else here
        fences[row, coordinate] = here if not slack else (-math.inf if row == fence.UNDER else math.inf)
        unmet &= not slack
    return -math.inf if unmet else best, at_best, sides


@routine
def _room(lanes: Lanes, groups: Groups, k: int) -> float:
    """Room in a group, up to its instruments' own bounds."""
    work, _, _, _, slot, _, _, _ = lanes
    room = 0.0
    for i in range(slot.size):
        at = slot[i]
        if (work[at + STATE * LANES] != CLOSED) and within(work, at, k, groups[0]):
            room += work[at + HIGH * LANES]
    return room


@routine
def _lower_by_groups(lanes: Lanes, counts: Counts, terms: Terms, groups: Groups, price: float) -> bool:
    """Lower the bound by the prices of groups, from the innermost outwards; False where no price is enough."""
    fences = groups[1]
    for k in range(fences.shape[1]):
        most, least = fences[fence.MOST, k], fences[fence.LEAST, k]
        if _room(lanes, groups, k) > most:
            found, _, _ = _lower(lanes, counts, terms, groups, price, k, fence.UNDER)
            if found == -math.inf:
                return False
        else:
            fences[fence.UNDER, k] = -math.inf
        under = fences[fence.UNDER, k]
        fences[fence.OVER, k] = math.inf
        if least > 0.0:
            found, _, _ = _lower(lanes, counts, terms, groups, price, k, fence.OVER)
            if found == -math.inf:
                return False
            fences[fence.UNDER, k], fences[fence.OVER, k] = under, max(under, fences[fence.OVER, k])
    return True


@routine
def _take_sides_of_groups(lanes: Lanes, counts: Counts, groups: Groups) -> None:
    """In groups that have a price of their own, its sides count; but not for who holds something, if that is limited.

    For others may have been chosen there.
    """
    work, _, _, _, slot, ledger, _, _ = lanes
    forest, fences, _, _, _ = groups
    m = 0
    for i in range(slot.size):
        m += work[slot[i] + STATE * LANES] == FREE
    anyone = (counts[0] == 0) & (counts[1] >= m)
    for i in range(slot.size):
        k = int(work[slot[i] + LEAF * LANES])
        while k >= 0 and fences[fence.NOTED, k] == 0.0:
            k = forest[tree.PARENT, k]
        one, other = ledger[w.MORE, i], ledger[w.LESS, i]
        held = (ledger[w.SHORT, i] > 0.0) & (ledger[w.OVER, i] > 0.0) & (one > 0.0) & (other > 0.0)
        if (k >= 0) & (not math.isnan(one)) & (not math.isnan(other)) & (anyone | held):
            ledger[w.SHORT, i], ledger[w.OVER, i] = one, other


@routine
def lower_bound(
    lanes: Lanes, counts: Counts, terms: Terms, groups: Groups, price: float, rounds: int
) -> tuple[float, float, bool]:
    """Lower the bound by the price of money, and by those of the groups in turn; −inf: nothing is feasible."""
    best, price, sides = _lower(lanes, counts, terms, groups, price, MONEY, 0)
    if groups[0].shape[1] == 0:
        return best, price, sides
    ledger = lanes[5]
    for _ in range(rounds):
        before = best
        for i in range(ledger.shape[1]):
            ledger[w.MORE, i] = ledger[w.LESS, i] = math.nan
        if not _lower_by_groups(lanes, counts, terms, groups, price):
            return -math.inf, price, False
        found, price, sides = _lower(lanes, counts, terms, groups, price, MONEY, 0)
        best = min(best, found)
        if not before - best > PART_OF_GAP * terms[4] * abs(best):
            break
    if not sides:
        for i in range(ledger.shape[1]):
            ledger[w.OVER, i] = ledger[w.SHORT, i]
    _take_sides_of_groups(lanes, counts, groups)
    return best, price, True


@routine
def check_groups(lanes: Lanes, groups: Groups) -> tuple[int, int, float]:
    """Check what groups must hold, and may: a status, the group to blame and by how much; room for it in AROUND, PRICE.

    What holds nothing may be chosen: only bounds count.
    """
    work, _, _, _, slot, _, _, _ = lanes
    forest, fences, _, _, _ = groups
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
        must = max(must, least)
        if must > most * (1.0 + AT_BOUND):
            return status_of.GROUP_FULL, k, must - most
        if may < least * (1.0 - AT_BOUND):
            return status_of.GROUP_SHORT, k, least - may
        parent = forest[tree.PARENT, k]
        if parent >= 0:
            fences[fence.HOLDS, parent] += must
            fences[fence.AROUND, parent] += min(may, most)
    return status_of.OPTIMAL, -1, 0.0
