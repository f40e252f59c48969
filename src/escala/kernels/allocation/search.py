"""Branch and bound on the instruments that end inside a chord of their envelope."""

from __future__ import annotations

import math

from escala.kernels.allocation import envelope
from escala.kernels.allocation.balance import AT_BOUND, SLACK, SMOOTH
from escala.kernels.allocation.dual import (
    cut_short,
    limited_bound,
    most_tickets,
    relax,
    restricted,
    ticketed,
)
from escala.kernels.allocation.envelope import (
    AMOUNT,
    BASE,
    BEST,
    BLOCK,
    BUY_TO,
    CLOSED,
    ENTER,
    EXIT_AT,
    FORCED,
    FREE,
    HALF,
    HELD,
    HIGH,
    LANES,
    LEAVE,
    LOW,
    PARAM,
    REACH,
    ROOT_HIGH,
    ROOT_LOW,
    ROOT_REACH,
    ROOT_STATE,
    SELL_FROM,
    STATE,
    STAYS,
    SUNK,
    WEIGHT,
    Span,
)
from escala.kernels.allocation.groups import Groups, keep_prices, note_prices
from escala.kernels.allocation.halves import build
from escala.kernels.families import ladder
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import allocation_status as status_of
from escala.kernels.layout import coefficients, families, verdict
from escala.kernels.layout import marks as m
from escala.kernels.layout import node as node_of
from escala.kernels.layout import node_bound as bound_of
from escala.kernels.layout import solution as f

CLOSE, OPEN, RESTRICT, RAISE, BUY_MORE, SELL_SOME = range(6)  # what the search does to an instrument's domain
MOST_TWINS = 512  # identical instruments are looked for among no more
PLACE = PARAM + coefficients.D  # of a ladder's steps
INSIDE = 0.1  # a chord is split no closer to its ends


@routine
def _narrow(work: Floats, at: int, action: int, low: float, high: float) -> bool:
    """Apply one decision of the search to an instrument's domain; False if nothing of the domain is left."""
    state = work[at + STATE * LANES]
    if (action == BUY_MORE) | (action == SELL_SOME):  # what it costs to trade at all is spent
        work[at + SUNK * LANES] = 1.0
        action = RAISE if action == BUY_MORE else RESTRICT
    if action == CLOSE:
        if state == FORCED:
            return False
        work[at + STATE * LANES] = CLOSED
        work[at + LOW * LANES] = work[at + HIGH * LANES] = work[at + REACH * LANES] = 0.0
        return True
    if (state == CLOSED) & (action != RESTRICT):
        return False
    if (action == OPEN) | (action == RAISE):
        work[at + STATE * LANES] = FORCED
        work[at + LOW * LANES] = max(work[at + LOW * LANES], low)
    if (action == RESTRICT) | (action == RAISE):
        work[at + HIGH * LANES] = min(work[at + HIGH * LANES], high)
        work[at + REACH * LANES] = work[at + HIGH * LANES]
    if (work[at + LOW * LANES] > work[at + HIGH * LANES]) & (work[at + STATE * LANES] == FREE):
        work[at + STATE * LANES] = CLOSED
        work[at + LOW * LANES] = work[at + HIGH * LANES] = work[at + REACH * LANES] = 0.0
    return work[at + LOW * LANES] <= work[at + HIGH * LANES]


@routine
def _reset(work: Floats, slot: Integers, dirty: Integers) -> None:
    """Give every instrument that the search touched its first domain back; its envelope is still to be built."""
    for i in range(slot.size):
        if dirty[i]:
            at = slot[i]
            work[at + LOW * LANES], work[at + HIGH * LANES] = work[at + ROOT_LOW * LANES], work[at + ROOT_HIGH * LANES]
            work[at + REACH * LANES] = work[at + ROOT_REACH * LANES]
            work[at + STATE * LANES] = work[at + ROOT_STATE * LANES]
            work[at + SUNK * LANES] = 0.0


@routine
def _rebuild(work: Floats, kinds: Integers, slot: Integers, dirty: Integers) -> None:
    for i in range(slot.size):
        if dirty[i]:
            at = slot[i]
            build(work, at, kinds[at // BLOCK])
            dirty[i] = (
                (work[at + LOW * LANES] != work[at + ROOT_LOW * LANES])
                | (work[at + HIGH * LANES] != work[at + ROOT_HIGH * LANES])
                | (work[at + STATE * LANES] != work[at + ROOT_STATE * LANES])
                | (work[at + SUNK * LANES] != 0.0)
            )


@routine
def _decide(
    work: Floats, slot: Integers, dirty: Integers, twin: Integers, after: Integers, node: Integers, bounds: Floats
) -> bool:
    """Apply a node's decision to its instrument and what follows for the identical ones, which are ordered."""
    i, action = node[node_of.CHANGED], node[node_of.ACTION]
    low, high = bounds[bound_of.LOW], bounds[bound_of.HIGH]
    dirty[i] = 1
    if not _narrow(work, slot[i], action, low, high):
        return False
    if (action == OPEN) | (action == RAISE) | (action == BUY_MORE):  # those before it hold at least as much
        j = twin[i]
        while j >= 0:
            dirty[j] = 1
            if not _narrow(work, slot[j], OPEN, low, high):
                return False
            j = twin[j]
    else:  # those after it hold no more
        j = after[i]
        while j >= 0:
            dirty[j] = 1
            if not _narrow(work, slot[j], RESTRICT if action == SELL_SOME else action, low, high):
                return False
            j = after[j]
    return True


@routine
def _enter_node(
    work: Floats,
    kinds: Integers,
    slot: Integers,
    dirty: Integers,
    twin: Integers,
    after: Integers,
    nodes: Integers,
    node_bounds: Floats,
    node: int,
    money: float,
    exactly: bool,
) -> bool:
    """Set all domains to those of a node, with what the money then excludes; False if it has no allocation."""
    _reset(work, slot, dirty)
    possible = True
    at_node = node
    while (at_node > 0) & possible:
        possible = _decide(work, slot, dirty, twin, after, nodes[at_node], node_bounds[at_node])
        at_node = nodes[at_node, node_of.PARENT]
    forced = 0.0
    for i in range(slot.size):
        if work[slot[i] + STATE * LANES] == FORCED:
            forced += work[slot[i] + LOW * LANES]
    left = money - forced
    possible &= left >= -AT_BOUND * money
    left = max(left, 0.0)
    room = 0.0
    for i in range(slot.size):
        at = slot[i]
        state = work[at + STATE * LANES]
        if state != CLOSED:
            most = left + (work[at + LOW * LANES] if state == FORCED else 0.0)
            if (state == FREE) & (work[at + LOW * LANES] > left + AT_BOUND * money):
                _narrow(work, at, CLOSE, 0.0, 0.0)
                dirty[i] = 1
            elif work[at + HIGH * LANES] > most:
                _narrow(work, at, RESTRICT, 0.0, max(most, work[at + LOW * LANES]))
                dirty[i] = 1
            room += work[at + HIGH * LANES]
    _rebuild(work, kinds, slot, dirty)
    return possible & ((not exactly) | (room >= money * (1.0 - AT_BOUND)))


@routine
def _alike(work: Floats, kinds: Integers, at: int, other: int) -> bool:
    kind = kinds[at // BLOCK]
    if kind != kinds[other // BLOCK]:
        return False
    for row in range(WEIGHT, LOW):
        if work[at + row * LANES] != work[other + row * LANES] and not ((kind == families.LADDER) & (row == PLACE)):
            return False
    if kind == families.LADDER and not ladder.same_steps(envelope.curve(work, at), envelope.curve(work, other), work):
        return False
    same = True
    for row in range(ROOT_LOW, ROOT_STATE + 1):
        same &= work[at + row * LANES] == work[other + row * LANES]
    for row in range(HELD, SUNK):
        same &= work[at + row * LANES] == work[other + row * LANES]
    return same


@routine
def _find_twins(work: Floats, kinds: Integers, slot: Integers, twin: Integers, after: Integers) -> None:
    """Link every instrument to the identical ones next before and after it; −1 where there is none."""
    for i in range(slot.size):
        twin[i] = after[i] = -1
    if slot.size > MOST_TWINS:
        return
    for i in range(1, slot.size):
        for j in range(i - 1, -1, -1):
            if _alike(work, kinds, slot[i], slot[j]):
                twin[i] = j
                after[j] = i
                break


@routine
def _branch(work: Floats, slot: Integers, i: int) -> tuple[int, float]:
    """How to split on an instrument inside a chord, and at what capital: the first of the pairs in `_both`."""
    at = slot[i]
    x = work[at + AMOUNT * LANES]
    if work[at + HALF * LANES] != 0.0:
        held = work[at + HELD * LANES]
        if (work[at + SELL_FROM * LANES] < x) & (x < max(work[at + BUY_TO * LANES], held)):
            if work[at + STAYS * LANES] == 0.0:
                return RESTRICT, held
            return (BUY_MORE if x > held else SELL_SOME), held
        if x > held:
            at += BLOCK
    if (work[at + STATE * LANES] == FREE) & (work[at + LOW * LANES] > 0.0):
        return CLOSE, work[at + LOW * LANES]
    begin, end = work[at + BASE * LANES], work[at + ENTER * LANES]
    if x > end:
        begin, end = work[at + LEAVE * LANES], work[at + EXIT_AT * LANES]
    margin = INSIDE * (end - begin)
    return RESTRICT, min(max(x, begin + margin), end - margin)


@helper
def _both(how: int, side: int) -> int:
    """What a node's two sides do: less than a capital on the first, more on the second."""
    if how == CLOSE:
        return CLOSE if side == 0 else OPEN
    if how == BUY_MORE:
        return RESTRICT if side == 0 else BUY_MORE
    if how == SELL_SOME:
        return SELL_SOME if side == 0 else RAISE
    return RESTRICT if side == 0 else RAISE


@routine
def _keep_if_better(
    work: Floats, slot: Integers, value: float, price: float, best: float, shadow: float
) -> tuple[float, float]:
    if not value > best:
        return best, shadow
    for i in range(slot.size):
        work[slot[i] + BEST * LANES] = work[slot[i] + AMOUNT * LANES]
    return value, price


@routine
def _mark_held(work: Floats, slot: Integers, marked: Integers) -> None:
    for i in range(slot.size):
        marked[i] = work[slot[i] + AMOUNT * LANES] > 0.0


@routine
def _solve_node(
    work: Floats,
    kinds: Integers,
    blocks: Span,
    sums: Floats,
    slot: Integers,
    marked: Integers,
    tickets: Integers,
    money: float,
    hurdle: float,
    floor: float,
    exactly: bool,
    price: float,
    scale: float,
    best: float,
    shadow: float,
    tolerance: float,
    groups: Groups,
) -> tuple[float, float, float, float, float, int, int, float, bool]:
    """Bound a node and look for allocations in it.

    Returns the price, D there, the bound, the best value and its price, the instrument to split on (−1: none is
    needed), how and where, and whether the price was found on an arc.
    """
    price, ended, dual, value, inside = relax(
        work, kinds, blocks, sums, slot, money, hurdle, floor, price, scale, groups
    )
    note_prices(groups)
    best, shadow = _keep_if_better(work, slot, value, price, best, shadow)
    smooth = ((ended == SMOOTH) | (ended == SLACK)) and not cut_short(work, kinds, slot)
    bound = dual
    if inside < 0:
        return price, dual, bound, best, shadow, -1, CLOSE, 0.0, smooth
    action, point = _branch(work, slot, inside)
    if bound - best <= tolerance * abs(bound):
        return price, dual, bound, best, shadow, inside, action, point, smooth
    _mark_held(work, slot, marked)
    active = 0
    for i in range(slot.size):
        active += (marked[i] != 0) & ticketed(work, slot[i])
    if value == -math.inf:
        for held in range(2):  # without the instrument that does not get its ticket, then with it
            marked[inside] = held
            at, value = restricted(
                work, kinds, blocks, sums, slot, marked, money, hurdle, floor, exactly, price, scale, groups
            )
            best, shadow = _keep_if_better(work, slot, value, at, best, shadow)
    if active > 1:
        m, most = most_tickets(work, slot, tickets, money)
        if (active > most) & (groups[0].shape[1] == 0):
            limited = limited_bound(
                work, kinds, blocks, sums, slot, tickets, m, most, money, hurdle, floor, price, scale
            )
            bound = min(bound, limited)
            for j in range(m):
                marked[tickets[j]] = j < most
            at, value = restricted(
                work, kinds, blocks, sums, slot, marked, money, hurdle, floor, exactly, price, scale, groups
            )
            best, shadow = _keep_if_better(work, slot, value, at, best, shadow)
    return price, dual, bound, best, shadow, inside, action, point, smooth


@routine
def search(
    work: Floats,
    kinds: Integers,
    blocks: Span,
    sums: Floats,
    marks: Integers,
    waiting: Integers,
    nodes: Integers,
    node_bounds: Floats,
    money: float,
    hurdle: float,
    floor: float,
    exactly: bool,
    tolerance: float,
    most_nodes: int,
    price: float,
    scale: float,
    groups: Groups,
    found: Floats,
) -> tuple[float, bool]:
    """Best-first branch and bound; the answer in BEST, its figures in `found`; returns the price to begin with next.

    `waiting` has the open nodes; columns of `nodes` and `node_bounds` say what each of them is.
    """
    slot, marked, tickets = marks[m.SLOT], marks[m.MARKED], marks[m.TICKETS]
    dirty, twin, after = marks[m.DIRTY], marks[m.TWIN], marks[m.AFTER]
    root_price, dual, bound, best, shadow, inside, action, point, smooth = _solve_node(
        work, kinds, blocks, sums, slot, marked, tickets, money, hurdle, floor, exactly, price, scale,
        -math.inf, price, tolerance, groups,
    )  # fmt: skip
    keep_prices(groups)
    found[f.DUAL_PRICE] = root_price - hurdle
    found[f.DUAL_BOUND] = dual
    upper = bound
    count = 1
    status = status_of.OPTIMAL
    if inside >= 0 and not bound - best <= tolerance * abs(bound):
        _find_twins(work, kinds, slot, twin, after)
        for i in range(slot.size):
            dirty[i] = 0
        smooth = False
        waiting[0] = 0
        open_nodes = 1
        nodes[0, node_of.PARENT], nodes[0, node_of.BRANCH], nodes[0, node_of.SPLIT] = 0, action, inside
        node_bounds[0, bound_of.BOUND], node_bounds[0, bound_of.POINT] = bound, point
        pruned = -math.inf
        while open_nodes > 0:
            chosen = 0
            for k in range(1, open_nodes):
                if node_bounds[waiting[k], bound_of.BOUND] > node_bounds[waiting[chosen], bound_of.BOUND]:
                    chosen = k
            node = waiting[chosen]
            upper = max(node_bounds[node, bound_of.BOUND], pruned)
            if upper - best <= tolerance * abs(upper):
                break
            if count + 2 > most_nodes:
                status = status_of.GAP_OPEN
                break
            open_nodes -= 1
            waiting[chosen] = waiting[open_nodes]
            split, how, where = (
                nodes[node, node_of.SPLIT],
                nodes[node, node_of.BRANCH],
                node_bounds[node, bound_of.POINT],
            )
            for side in range(2):
                child = count
                count += 1
                nodes[child, node_of.PARENT], nodes[child, node_of.CHANGED] = node, split
                node_bounds[child, bound_of.LOW] = where if side == 1 else 0.0
                node_bounds[child, bound_of.HIGH] = where if side == 0 else math.inf
                nodes[child, node_of.ACTION] = _both(how, side)
                if not _enter_node(work, kinds, slot, dirty, twin, after, nodes, node_bounds, child, money, exactly):
                    continue
                _, _, bound, best, shadow, inside, action, point, _ = _solve_node(
                    work, kinds, blocks, sums, slot, marked, tickets, money, hurdle, floor, exactly, root_price, scale,
                    best, shadow, tolerance, groups,
                )  # fmt: skip
                bound = min(bound, node_bounds[node, bound_of.BOUND])
                if inside < 0 or bound - best <= tolerance * abs(bound):
                    pruned = max(pruned, bound)
                else:
                    nodes[child, node_of.BRANCH], nodes[child, node_of.SPLIT] = action, inside
                    node_bounds[child, bound_of.BOUND], node_bounds[child, bound_of.POINT] = bound, point
                    waiting[open_nodes] = child
                    open_nodes += 1
        if open_nodes == 0:
            upper = pruned
        _reset(work, slot, dirty)
        _rebuild(work, kinds, slot, dirty)
        if best == -math.inf:
            status = status_of.NO_COMBINATION if open_nodes == 0 else status_of.NOT_FOUND
    elif best == -math.inf:
        status = status_of.NO_COMBINATION
    if math.isnan(upper):  # numbers beyond all that can be written: nothing is proven
        upper = math.inf
        if status == status_of.OPTIMAL:
            status = status_of.GAP_OPEN
    found[f.EXCESS] = math.nan if status >= status_of.NO_ROOM else 0.0
    found[f.UPPER_BOUND] = max(upper, best)
    found[f.UTILITY] = best
    found[f.SHADOW_PRICE] = shadow
    grouped = groups[0].shape[1] > 0
    if grouped & (status >= status_of.NO_ROOM):
        _, _, _, ended, _ = groups
        if ended[verdict.WHOLE + verdict.STATUS] != status_of.OPTIMAL:
            status = int(ended[verdict.WHOLE + verdict.STATUS])
            found[f.CULPRIT] = ended[verdict.WHOLE + verdict.CULPRIT]
            found[f.EXCESS] = ended[verdict.WHOLE + verdict.EXCESS]
    elif (status == status_of.NO_COMBINATION) & (not exactly):
        status = status_of.UNSOLVED
    found[f.STATUS] = status
    found[f.NODES] = count
    return root_price, smooth
