"""Limits of groups of instruments, which may lie in one another: a price for each group.

Where utilities bend downwards, what a group may hold at most or at least is a matter of the group alone: filled up to
its limit it has amounts that are bounds of its instruments in whatever lies around it, and the price at which it is
full is the least that its instruments ever answer to. Groups are solved from the innermost outwards, each like a
problem of its own; then the whole is, within these bounds.

The price π of a group is that of what lies around it, but no less than the price at which it is full, and no more than
that at which it holds its least. For any such prices

    λT + Σ (π − π′)⁺·most − (π′ − π)⁺·least + Σ max(w·U(C) − π·C)

(π′: what lies around the group) bounds every allocation within the limits, whatever the shapes of the utilities; the
search closes what is left of the gap where they are not concave.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from escala.kernels.allocation.balance import (
    AT_BOUND,
    FAILED,
    ROUNDING,
    SLACK,
    SMOOTH,
    balance,
    fill,
    follow_arcs,
    unfilled,
)
from escala.kernels.allocation.envelope import (
    AMOUNT,
    BEST,
    BLOCK,
    CAP,
    CLOSED,
    FLOOR,
    FORCED,
    HALF,
    HIGH,
    LANES,
    LEAF,
    LOW,
    NEAR,
    REACH,
    STATE,
    Span,
    respond,
    shift,
    two_sum,
    worth,
)
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import allocation_status as status_of
from escala.kernels.layout import fences as fence
from escala.kernels.layout import forest as tree
from escala.kernels.layout import group_limits as limit
from escala.kernels.layout import verdict

AT_LIMIT = 1e-9  # of the money: a group that is closer to its limit is at it

#: Where groups overlap: the places in the next array where the groups of every kind of instrument begin, these groups,
#: and numbers of limits, of pairs of them and of instruments. Otherwise they have no elements.
Crossing: TypeAlias = tuple[Integers, Integers, Floats, Floats, Floats]
#: Rows of groups (integers and numbers), lanes in the order of the groups, how the last attempt ended, and how groups
#: overlap.
Groups: TypeAlias = tuple[Integers, Floats, Integers, Floats, Crossing]


@routine
def order_members(
    leaf: Integers, parents: Integers, overlapping: bool, forest: Integers, order: Integers
) -> None:  # fmt: skip
    """Bring instruments into an order in which every group is one stretch; those of no group come last.

    Groups come before what they lie in. Those that overlap are no stretches: then instruments stay as they are.
    """
    g, n = parents.size, leaf.size
    if overlapping:
        for row in range(forest.shape[0]):
            for k in range(g):
                forest[row, k] = 0
        for i in range(n):
            order[i] = i
        return
    for k in range(g):
        forest[tree.SIZE, k] = 0
        forest[tree.PARENT, k] = parents[k]
    for i in range(n):
        if leaf[i] >= 0:
            forest[tree.SIZE, leaf[i]] += 1
    for k in range(g):
        forest[tree.NEXT, k] = forest[tree.SIZE, k]  # its own, so far
    for k in range(g):
        if parents[k] >= 0:
            forest[tree.SIZE, parents[k]] += forest[tree.SIZE, k]
    free = 0
    for k in range(g - 1, -1, -1):
        parent = parents[k]
        if parent < 0:
            forest[tree.BEGIN, k] = free
            free += forest[tree.SIZE, k]
        else:
            forest[tree.BEGIN, k] = forest[tree.INNER, parent]
            forest[tree.INNER, parent] += forest[tree.SIZE, k]
        forest[tree.INNER, k] = forest[tree.BEGIN, k] + forest[tree.NEXT, k]  # its own come first
        forest[tree.NEXT, k] = forest[tree.BEGIN, k]
    for i in range(n):
        if leaf[i] >= 0:
            order[forest[tree.NEXT, leaf[i]]] = i
            forest[tree.NEXT, leaf[i]] += 1
        else:
            order[free] = i
            free += 1


@routine
def find_blocks(order: Integers, slot: Integers, halves: int, groups: Groups) -> None:
    """Note the blocks of every group, and the lanes in the order of the groups."""
    forest, _, lanes, _, _ = groups
    for k in range(order.size):
        lanes[k] = slot[order[k]]
    for k in range(forest.shape[1]):
        begin = forest[tree.BEGIN, k]
        first, last = lanes[begin] // BLOCK, 0
        for at in lanes[begin : begin + forest[tree.SIZE, k]]:
            first, last = min(first, at // BLOCK), max(last, at // BLOCK)
        forest[tree.FIRST_BLOCK, k], forest[tree.LAST_BLOCK, k] = first, last + halves


@routine
def set_limits(limits: Floats, total: float, groups: Groups) -> None:
    """Compute what every group may hold of one total."""
    _, fences, _, _, _ = groups
    for k in range(fences.shape[1]):
        share = limits[limit.GROUP_SHARE, k]
        fences[fence.MOST, k] = min(limits[limit.GROUP_UPPER, k], share * total if share < 1.0 else math.inf)
        fences[fence.LEAST, k] = limits[limit.GROUP_LOWER, k]


@routine
def start_prices(price: float, groups: Groups) -> None:
    """Forget where earlier searches ended."""
    _, fences, _, _, _ = groups
    for k in range(fences.shape[1]):
        fences[fence.START_FULL, k] = fences[fence.START_LEAST, k] = price


@helper
def _must_hold(work: Floats, at: int) -> float:
    """Least that an instrument holds, forced in or as its part of what groups must."""
    return max(work[at + LOW * LANES] if work[at + STATE * LANES] == FORCED else 0.0, work[at + FLOOR * LANES])


@helper
def _may_hold(work: Floats, at: int) -> float:
    """Most that an instrument holds within its own domain, by the money too, and what groups leave of it.

    Not REACH: envelopes of convex utilities end at HIGH.
    """
    return 0.0 if work[at + STATE * LANES] == CLOSED else min(work[at + HIGH * LANES], work[at + CAP * LANES])


@helper
def _fail(ended: Floats, status: int, culprit: int, excess: float) -> bool:
    ended[verdict.STATUS], ended[verdict.CULPRIT], ended[verdict.EXCESS] = status, culprit, excess
    return False


@routine
def _place(
    work: Floats, kinds: Integers, blocks: Span, sums: Floats, members: Integers, money: float, floor: float,
    start: float, scale: float,
) -> tuple[float, int]:  # fmt: skip
    """Place money in a group alone: AMOUNT; its price, and how the search for it ended."""
    start = start if abs(start) < math.inf else 0.5 * scale
    price, ended = balance(work, kinds, blocks, sums, members, money, floor, start, scale)
    if ended == SMOOTH:
        follow_arcs(work, members, money)
    elif (ended != SLACK) & (ended != FAILED):
        fill(work, members, money)
    if (ended != SLACK) & (ended != FAILED):
        over = -unfilled(work, members, money, AMOUNT)
        if over > 0.0:  # a rounding error too much
            largest = members[0]
            for at in members:
                largest = at if work[at + AMOUNT * LANES] > work[largest + AMOUNT * LANES] else largest
            work[largest + AMOUNT * LANES] -= over + money * 2.0**-53
    return price, ended


@routine
def _fill_around(
    work: Floats, kinds: Integers, sums: Floats, k: int, floor: float, scale: float, groups: Groups
) -> tuple[float, int]:
    """Fill a group whose inner groups stay full by its own members alone: AMOUNT; FAILED if they do not stay full.

    Full they are at every price below that at which they are. Only where its own members want more than is left for
    them at that price, and take it from inside, are all of them needed at once. So sums that lie in one another mostly
    cost no more than groups apart.
    """
    forest, fences, lanes, _, _ = groups
    own = lanes[forest[tree.BEGIN, k] : forest[tree.NEXT, k]]
    money = fences[fence.MOST, k] - fences[fence.INNER_MOST, k]
    inner_at = fences[fence.INNER_AT, k]
    if (own.size == 0) | (inner_at == -math.inf):
        return math.inf, FAILED
    first, last = own[0] // BLOCK, 0
    for at in own:
        first, last = min(first, at // BLOCK), max(last, at // BLOCK)
    blocks = (first, last + (2 if work[own[0] + HALF * LANES] != 0.0 else 1))
    if inner_at < math.inf:
        wanted, _, _ = respond(work, kinds, blocks, sums, inner_at)
        if wanted >= money:
            return inner_at, FAILED
    price, how = _place(work, kinds, blocks, sums, own, money, floor, fences[fence.START_FULL, k], scale)
    return price, how if price <= inner_at else FAILED


@routine
def _lowest(floor: float, k: int, groups: Groups) -> float:
    """Give the lowest price that instruments of a group may answer to: none where a group around it must hold some."""
    forest, fences, _, _, _ = groups
    lowest = floor
    k = forest[tree.PARENT, k]
    while k >= 0:
        lowest = -math.inf if fences[fence.LEAST, k] > 0.0 else lowest
        k = forest[tree.PARENT, k]
    return lowest


@routine
def _fall_short(
    work: Floats, members: Integers, least: float, forced: float, room: float, money: float, k: int, groups: Groups
) -> bool:
    """Say why a group cannot hold its least: for want of room, or of money where that ends an instrument's domain."""
    _, _, lanes, ended, _ = groups
    for at in members:
        high = work[at + HIGH * LANES]
        if (high < work[at + CAP * LANES]) & (high < work[at + REACH * LANES]):
            demanded = least - forced
            for other in lanes:
                demanded += _must_hold(work, other)
            return _fail(ended, status_of.LOWER_ABOVE_MONEY, -1, demanded - money)
    return _fail(ended, status_of.GROUP_SHORT, k, least - room)


@routine
def fence_in(
    work: Floats, kinds: Integers, sums: Floats, money: float, floor: float, scale: float, groups: Groups
) -> bool:
    """Fill every group up to its limits: bounds of its instruments, and prices; False if there is no allocation."""
    forest, fences, lanes, ended, _ = groups
    ended[verdict.STATUS] = status_of.OPTIMAL
    for at in lanes:
        work[at + CAP * LANES], work[at + FLOOR * LANES] = math.inf, -math.inf
    for k in range(forest.shape[1]):
        fences[fence.INNER_MOST, k], fences[fence.INNER_AT, k] = 0.0, math.inf
    for k in range(forest.shape[1]):
        begin = forest[tree.BEGIN, k]
        members = lanes[begin : begin + forest[tree.SIZE, k]]
        blocks = (forest[tree.FIRST_BLOCK, k], forest[tree.LAST_BLOCK, k])
        most, least = fences[fence.MOST, k], fences[fence.LEAST, k]
        fences[fence.FULL_AT, k], fences[fence.LEAST_AT, k] = -math.inf, math.inf
        forced = room = 0.0
        for at in members:
            forced += _must_hold(work, at)
            room += _may_hold(work, at)
        demanded = max(forced, least)
        if demanded > most + AT_BOUND * money:
            return _fail(ended, status_of.GROUP_FULL, k, demanded - most)
        least = min(least, most)
        if room < least - AT_BOUND * money:
            return _fall_short(work, members, least, forced, room, money, k, groups)
        if room > most:
            filled = lanes[begin : forest[tree.NEXT, k]]
            lowest = _lowest(floor, k, groups)
            price, how = _fill_around(work, kinds, sums, k, lowest, scale, groups)
            if how == FAILED:
                filled = members
                start = price if abs(price) < math.inf else fences[fence.START_FULL, k]
                price, how = _place(work, kinds, blocks, sums, members, most, lowest, start, scale)
            if how == FAILED:
                return _fail(ended, status_of.UNSOLVED, -1, math.nan)
            if how != SLACK:
                fences[fence.FULL_AT, k] = fences[fence.START_FULL, k] = price
                for at in filled:
                    work[at + CAP * LANES] = work[at + AMOUNT * LANES]
        if (least > 0.0) & (forced < least):
            price, how = _place(
                work, kinds, blocks, sums, members, min(least, room), -math.inf, fences[fence.START_LEAST, k], scale
            )  # fmt: skip
            if how == FAILED:
                return _fail(ended, status_of.UNSOLVED, -1, math.nan)
            # a group that may hold no more than it must holds that at the price at which it is full
            fences[fence.LEAST_AT, k] = fences[fence.START_LEAST, k] = max(price, fences[fence.FULL_AT, k])
            for at in members:
                work[at + FLOOR * LANES] = min(work[at + AMOUNT * LANES], work[at + CAP * LANES])
        parent = forest[tree.PARENT, k]
        if parent >= 0:
            fences[fence.INNER_MOST, parent] += most
            fences[fence.INNER_AT, parent] = min(fences[fence.INNER_AT, parent], fences[fence.FULL_AT, k])
    return _fits(work, money, floor == -math.inf, groups)


@routine
def _fits(work: Floats, money: float, exactly: bool, groups: Groups) -> bool:
    """Whether the money lies between what all groups demand and what they leave."""
    _, _, lanes, ended, _ = groups
    forced = room = 0.0
    for at in lanes:
        forced += _must_hold(work, at)
        room += _may_hold(work, at)
    if forced > money * (1.0 + AT_BOUND):
        return _fail(ended, status_of.LOWER_ABOVE_MONEY, -1, forced - money)
    if exactly & (room < money * (1.0 - AT_BOUND)):
        return _fail(ended, status_of.TOO_LITTLE_ROOM, -1, money - room)
    return True


@routine
def price_groups(price: float, groups: Groups) -> None:
    """Price every group, from the outermost inwards: PRICE, and ABOVE, which is that of what lies around it."""
    forest, fences, _, _, _ = groups
    for k in range(forest.shape[1] - 1, -1, -1):
        parent = forest[tree.PARENT, k]
        around = fences[fence.PRICE, parent] if parent >= 0 else price
        fences[fence.AROUND, k] = around
        fences[fence.PRICE, k] = min(max(around, fences[fence.FULL_AT, k]), fences[fence.LEAST_AT, k])


@routine
def bound_of_groups(
    work: Floats, kinds: Integers, blocks: Span, sums: Floats, money: float, hurdle: float, price: float, groups: Groups
) -> float:
    """Bound every allocation within the limits, by the prices of the groups; no answer is fenced in afterwards."""
    _, fences, lanes, _, _ = groups
    price_groups(price, groups)
    for at in lanes:
        work[at + CAP * LANES], work[at + FLOOR * LANES] = math.inf, -math.inf
        shift(work, at, _beyond(work, at, price, fences))
    respond(work, kinds, blocks, sums, price)
    total, size, _ = worth(work, kinds, blocks, sums, NEAR, price)
    rest = 0.0
    for at in lanes:
        beyond = _beyond(work, at, price, fences)
        shift(work, at, 0.0)
        paid = beyond * work[at + NEAR * LANES]
        total, rest = two_sum(total, rest, -paid)
        size += abs(paid)
    for k in range(fences.shape[1]):
        apart = fences[fence.PRICE, k] - fences[fence.AROUND, k]
        if apart != 0.0:
            paid = apart * (fences[fence.MOST, k] if apart > 0.0 else fences[fence.LEAST, k])
            total, rest = two_sum(total, rest, paid)
            size += abs(paid)
    paid = (price - hurdle) * money
    return paid + (total + rest) + ROUNDING * (size + abs(paid))


@helper
def _beyond(work: Floats, at: int, price: float, fences: Floats) -> float:
    """What an instrument's price is beyond that of money."""
    leaf = int(work[at + LEAF * LANES])
    return fences[fence.PRICE, leaf] - price if leaf >= 0 else 0.0


@routine
def note_prices(groups: Groups) -> None:
    """Note the prices of a problem, and how it ended, before others are solved for amounts that it may have."""
    _, fences, _, ended, _ = groups
    for k in range(fences.shape[1]):
        fences[fence.NOTED, k] = fences[fence.PRICE, k] - fences[fence.AROUND, k]
    for row in (verdict.STATUS, verdict.CULPRIT, verdict.EXCESS):
        ended[verdict.NOTED + row] = ended[row]


@routine
def keep_prices(groups: Groups) -> None:
    """Keep what was noted of the whole problem, before the search goes into its parts."""
    _, fences, _, ended, _ = groups
    for k in range(fences.shape[1]):
        fences[fence.FOUND, k] = fences[fence.NOTED, k]
    for row in (verdict.STATUS, verdict.CULPRIT, verdict.EXCESS):
        ended[verdict.WHOLE + row] = ended[verdict.NOTED + row]


@routine
def leave_empty(groups: Groups) -> float:
    """Price no group, for want of money; gives what they demand together all the same."""
    forest, fences, _, _, _ = groups
    demanded = 0.0
    for k in range(forest.shape[1]):
        fences[fence.HOLDS, k] = fences[fence.FOUND, k] = 0.0
    if crosses(groups):  # what is demanded twice may be the same
        for k in range(forest.shape[1]):
            demanded = max(demanded, fences[fence.LEAST, k])
        return demanded
    for k in range(forest.shape[1]):
        least = max(fences[fence.LEAST, k], fences[fence.HOLDS, k])
        parent = forest[tree.PARENT, k]
        if parent >= 0:
            fences[fence.HOLDS, parent] += least
        else:
            demanded += least
    return demanded


@routine
def sum_groups(work: Floats, groups: Groups) -> None:
    """Add up what every group holds: HOLDS."""
    forest, fences, lanes, _, crossing = groups
    starts, inside, _, _, _ = crossing
    if starts.size > 0:
        for k in range(fences.shape[1]):
            fences[fence.HOLDS, k] = 0.0
        for at in lanes:
            kind = int(work[at + LEAF * LANES])
            if kind >= 0:
                for k in inside[starts[kind] : starts[kind + 1]]:
                    fences[fence.HOLDS, k] += work[at + BEST * LANES]
        return
    for k in range(forest.shape[1]):
        begin = forest[tree.BEGIN, k]
        fences[fence.HOLDS, k] = -unfilled(work, lanes[begin : begin + forest[tree.SIZE, k]], 0.0, BEST)


@routine
def room_in_groups(work: Floats, at: int, more: bool, groups: Groups) -> float:
    """How much more, or less, an instrument may hold by the limits of its groups."""
    forest, fences, _, _, crossing = groups
    starts, inside, _, _, _ = crossing
    room = math.inf
    k = int(work[at + LEAF * LANES]) if forest.shape[1] > 0 else -1
    if (starts.size > 0) & (k >= 0):
        for one in inside[starts[k] : starts[k + 1]]:
            room = min(room, _room_in_group(fences, one, more))
        return room
    while k >= 0:
        room = min(room, _room_in_group(fences, k, more))
        k = forest[tree.PARENT, k]
    return room


@helper
def _room_in_group(fences: Floats, k: int, more: bool) -> float:
    holds = fences[fence.HOLDS, k]
    return fences[fence.MOST, k] - holds if more else holds - fences[fence.LEAST, k]


@routine
def at_limit(work: Floats, at: int, money: float, groups: Groups) -> int:
    """Give the innermost group of an instrument that holds all it may or just its least, by HOLDS; −1: none does."""
    forest, fences, _, _, crossing = groups
    starts, inside, _, _, _ = crossing
    k = int(work[at + LEAF * LANES]) if forest.shape[1] > 0 else -1
    if (starts.size > 0) & (k >= 0):
        for one in inside[starts[k] : starts[k + 1]]:
            if _is_at_limit(fences, one, money):
                return int(one)
        return -1
    while k >= 0 and not _is_at_limit(fences, k, money):
        k = int(forest[tree.PARENT, k])
    return k


@helper
def _is_at_limit(fences: Floats, k: int, money: float) -> bool:
    least, holds = fences[fence.LEAST, k], fences[fence.HOLDS, k]
    near = AT_LIMIT * money
    return (holds >= fences[fence.MOST, k] - near) | ((least > 0.0) & (holds <= least + near))


@helper
def crosses(groups: Groups) -> bool:
    """Whether groups overlap."""
    return groups[4][0].size > 0
