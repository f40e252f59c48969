"""Allocation of money over instruments: the global optimum of a sum of utilities, with an upper bound that proves it.

For any price λ ≥ 0 of money (any λ if all of it must be placed) D(λ) = λT + Σ max_C(wᵢUᵢ(C) − (hurdle + λ)·C)
bounds every feasible allocation, whatever the shapes of the utilities (weak duality). The inner maxima are those of
the concave envelopes of :mod:`escala.kernels.envelope`. The price at which the amounts add up to the money is found
by Newton's method inside a bracket; where the amounts jump there (chords), at most one instrument ends inside a chord,
where its utility lies below the envelope. Branch and bound on that instrument (in or out; below or above a capital)
closes the gap, with two cuts: of instruments that have a smallest ticket only as many can hold capital as the smallest
tickets fit into the money, and identical instruments are ordered.
"""

from __future__ import annotations

import math

from escala.kernels import envelope
from escala.kernels.curves import crossings, raw
from escala.kernels.envelope import (
    AMOUNT,
    BASE,
    BEST,
    BLOCK,
    CLOSED,
    ENTER,
    ENTRY,
    EXIT,
    EXIT_AT,
    FAR_SIDE,
    FIRST,
    FORCED,
    FREE,
    HIGH,
    KEPT,
    KINDS,
    KINK,
    KINK_FROM,
    KINK_TO,
    LANES,
    LAST,
    LEAVE,
    LOW,
    NEAR,
    REACH,
    ROOT_HIGH,
    ROOT_LOW,
    ROOT_REACH,
    ROOT_STATE,
    SLOPE,
    STATE,
    WEIGHT,
    WORTH,
    respond,
    two_sum,
    worth,
)
from escala.kernels.fitting import QUADRATIC
from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    code_rows_out,
    codes_in,
    float_rows_in,
    float_rows_out,
    floats_in,
    floats_out,
    helper,
    integer,
    integer_rows_out,
    integers_in,
    integers_out,
    kernel,
    routine,
)

#: Rows of `settings`.
MIN_EFFICIENCY, LOWER, UPPER, MIN_TICKET, MAX_SHARE, PRIORITY = range(6)
#: Entries of `controls`.
RESERVE, HURDLE, EXACTLY, TOLERANCE, MAX_NODES, STEP = range(6)
#: Columns of `facts`.
FACTS = (
    "shadow_price",
    "dual_price",
    "dual_bound",
    "upper_bound",
    "utility",
    "status",
    "nodes",
    "culprit",
    "excess",
)
SHADOW, DUAL_PRICE, DUAL_BOUND, UPPER_BOUND, UTILITY, STATUS, NODES, CULPRIT, EXCESS = range(9)
#: What `status` says; from NO_ROOM on there is no answer.
OPTIMAL, GAP_OPEN, NO_ROOM, NO_CURVE_FORCED, LOWER_ABOVE_MONEY, TOO_LITTLE_ROOM, NO_COMBINATION, NOT_FOUND = range(8)
#: Codes in `binding`.
NONE, PRICE, AT_LOWER, AT_UPPER, AT_SHARE, AT_LIMIT, AT_THRESHOLD, AT_TICKET, NO_CURVE = range(9)
#: Problems that follow one another from a warm start; ranges begin at their multiples.
WARM = 64

SMOOTH, TIED, SLACK, COLLAPSED, FAILED = range(5)  # how the search for the price ends
CLOSE, OPEN, RESTRICT, RAISE = range(4)  # what a node of the search does to an instrument's domain
PARENT, CHANGED, ACTION, BRANCH, SPLIT = range(5)  # of a node, integers: how it came about, and how it is split
NODE_LOW, NODE_HIGH, BOUND, POINT = range(4)  # of a node, floats
NODE_INTEGERS, NODE_FLOATS = 5, 4
ROUNDING = 2.0**-46  # of the sizes of the terms: more than a bound can be wrong by
SETTLED = 1e-9  # relative: less unspent money is a rounding error of the search
FEW = 8  # amounts that are added in their order, whoever adds them
MARGIN = 2.0**-50  # of the money: what sums of more amounts may be rounded by
NOTHING = 1e-14  # relative to the money: not worth opening an instrument for
CLOSE_ENOUGH = 1e-12  # relative: amounts that close to the money are corrected along the arcs
KINKED = 1e-9  # closer to 1 efficiency counts as 1
AT_BOUND = 1e-12  # relative: closer than that is at a bound
EVALUATIONS = 240  # of the price; a bisection of all floats takes 64, expansion as many
CUT_EVALUATIONS = 40
POLISH_STEPS = 12
GREEDY_PARTS = 1000.0  # of the total: increments of the greedy method, if none is given
WITHOUT_CURVE, NOWHERE = -2.0, -1.0  # instead of the end of a stretch
MOST_TWINS = 512  # identical instruments are looked for among no more
INSIDE = 0.1  # a chord is split no closer to its ends


@routine
def _unfilled(work: Floats, slot: Integers, money: float, row: int) -> float:
    """Money that a row of amounts leaves, added up with the rounding errors."""
    total = -money
    rest = 0.0
    for i in range(slot.size):
        total, rest = two_sum(total, rest, work[slot[i] + row * LANES])
    return -(total + rest)


@routine
def _middle_jump(work: Floats, slot: Integers, low: float, high: float) -> float:
    """Price in (low, high) nearest the middle at which an amount jumps; the middle if there is none."""
    middle = 0.5 * (low + high)
    found = middle
    nearest = math.inf
    for i in range(slot.size):
        at = slot[i]
        entry = work[at + ENTRY * LANES]
        away = abs(entry - middle)
        if (away < nearest) & (low < entry) & (entry < high):
            nearest = away
            found = entry
        kink = work[at + KINK * LANES]
        away = abs(kink - middle)
        jumps = work[at + KINK_FROM * LANES] < work[at + KINK_TO * LANES]
        if jumps & (away < nearest) & (low < kink) & (kink < high):
            nearest = away
            found = kink
        leaving = work[at + EXIT * LANES]
        away = abs(leaving - middle)
        if (away < nearest) & (low < leaving) & (leaving < high):
            nearest = away
            found = leaving
    return found


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
    price = max(start, floor)
    step = scale
    width = math.inf
    patience = 0
    for _ in range(EVALUATIONS):
        near, far, slope = respond(work, kinds, blocks, sums, price)
        if (near <= money) & (price <= floor):
            return price, SLACK
        if near <= money <= far:
            return price, TIED
        if (abs(near - money) <= CLOSE_ENOUGH * money) & (slope < 0.0):
            return price, SMOOTH
        gap = money - (near if near > money else far)
        if near > money:
            low = price
        else:
            high = price
        guess = price + gap / slope if slope < 0.0 else math.nan
        patience = 0 if high - low <= 0.5 * width else patience + 1
        width = min(width, high - low) if patience else high - low
        bracketed = (low > -math.inf) & (high < math.inf)
        if bracketed & ((patience >= 3) | (not (low < guess < high))):
            guess = _middle_jump(work, slot, low, high)
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
            if not low < guess < low + 8.0 * step:
                guess = low + step
            step *= 4.0
        elif low == -math.inf:
            if not high - 8.0 * step < guess < high:
                guess = high - step
            step *= 4.0
            guess = max(guess, floor)
        price = guess
    return price, FAILED


@helper
def _next_piece(work: Floats, at: int, x: float, target: float) -> tuple[float, bool]:
    """End of the next piece of an envelope from x towards `target`, and whether it is a chord above the utility."""
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
    left = _unfilled(work, slot, money, AMOUNT)
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
                if chord & (end - x <= left):
                    work[at + AMOUNT * LANES] = end
                    left -= end - x
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
    part = _unfilled(work, slot, money, NEAR) / slopes
    for i in range(slot.size):
        at = slot[i]
        x, slope = work[at + NEAR * LANES], work[at + SLOPE * LANES]
        if slope != 0.0:
            x = min(max(x + part * slope, work[at + ENTER * LANES]), work[at + LEAVE * LANES])
        work[at + AMOUNT * LANES] = x


@routine
def _cut_short(work: Floats, slot: Integers) -> bool:
    """Whether an instrument ends where only the money ends it: then its own marginal utility is the price."""
    found = False
    for i in range(slot.size):
        at = slot[i]
        x = work[at + AMOUNT * LANES]
        found |= (
            (work[at + SLOPE * LANES] == 0.0)
            & (x > work[at + LOW * LANES])
            & (x < work[at + REACH * LANES])
            & (x != work[at + KINK_FROM * LANES])
            & (x != work[at + KINK_TO * LANES])
        )
    return found


@routine
def _relax(
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
def _arrange(
    family: Codes,
    params: Floats,
    origin: Floats,
    limit: Floats,
    settings: Floats,
    work: Floats,
    kinds: Integers,
    slot: Integers,
) -> int:
    """Put the instruments of one set of curves into blocks of one kind each; returns the number of blocks."""
    n = family.size
    block = 0
    for kind in range(KINDS):
        lane = LANES
        for i in range(n):
            if envelope.kind_of(family[i], params[i, 0]) != kind:
                continue
            if lane == LANES:
                base = block * BLOCK
                for j in range(BLOCK):
                    work[base + j] = 0.0
                for j in range(LANES):  # empty lanes answer 0 to every price, and divide by no zero
                    work[base + ENTRY * LANES + j] = -math.inf
                    envelope.set_curve(work, base + j, kind, 0.0, 0.0, 1.0, 0.0, 0.0)
                kinds[block] = kind
                block += 1
                lane = 0
            at = (block - 1) * BLOCK + lane
            slot[i] = at
            lane += 1
            first, last = math.inf, WITHOUT_CURVE
            a, b, c = params[i, 0], params[i, 1], params[i, 2]
            if not math.isnan(a):
                envelope.set_curve(work, at, kind, settings[PRIORITY, i], a, b, c, origin[i])
                first, last = _stretch(family[i], a, b, c, origin[i], max(settings[MIN_EFFICIENCY, i], 0.0), limit[i])
            work[at + FIRST * LANES], work[at + LAST * LANES] = first, last
            work[at + ROOT_STATE * LANES] = -1.0  # no envelope yet
    return block


@routine
def _stretch(
    family: int, a: float, b: float, c: float, origin: float, least: float, limit: float
) -> tuple[float, float]:
    """First stretch on [0, limit] with an efficiency of at least `least`; (inf, NOWHERE) where there is none."""
    at_zero = raw(family, a, b, c, origin, 0.0)
    falls = rises = math.inf
    if (a != 0.0) | ((family == QUADRATIC) & (b != 0.0)):
        falls, rises = crossings(family, a, b, c, origin, least)
    begins = 0.0 if at_zero >= least else rises
    if not 0.0 <= begins <= limit or begins == math.inf:
        return math.inf, NOWHERE
    return begins, falls if begins <= falls <= limit else limit


@helper
def _share(settings: Floats, total: float, i: int) -> float:
    """Bound by `max_share`; a share of 1 is none."""
    share = settings[MAX_SHARE, i]
    return share * total if share < 1.0 else math.inf


@helper
def _most(limit: Floats, settings: Floats, last: float, total: float, i: int) -> float:
    """H: the smallest bound from above."""
    return min(min(settings[UPPER, i], _share(settings, total, i)), min(limit[i], last))


@routine
def _bound_domains(
    limit: Floats,
    settings: Floats,
    floors: Floats,
    total: float,
    money: float,
    exactly: bool,
    work: Floats,
    kinds: Integers,
    slot: Integers,
) -> tuple[int, int, float]:
    """Set every instrument's domain for one total, and its envelope where that changed.

    Returns a status, the instrument to blame (−1: all) and by how much a bound is missed.
    """
    n = slot.size
    forced = 0.0
    rest = 0.0
    for i in range(n):
        at = slot[i]
        floor = floors[i] if floors.size else 0.0
        lower = max(settings[LOWER, i], floor)
        first, last = work[at + FIRST * LANES], work[at + LAST * LANES]
        high = _most(limit, settings, last, total, i)
        low = max(max(lower, settings[MIN_TICKET, i]), first)
        state = FREE
        if lower > 0.0:
            if last < 0.0:
                return NO_CURVE_FORCED, i, lower
            if low > high * (1.0 + AT_BOUND):
                return NO_ROOM, i, low - high
            low = min(low, high)
            state = FORCED
            forced, rest = two_sum(forced, rest, low)
        elif (low > high) | (high <= 0.0):
            state = CLOSED
        work[at + LOW * LANES], work[at + HIGH * LANES], work[at + STATE * LANES] = low, high, state
    left = (money - forced) - rest
    if left < -AT_BOUND * money:
        return LOWER_ABOVE_MONEY, -1, -left
    left = max(left, 0.0)
    room = 0.0
    for i in range(n):
        at = slot[i]
        low, high, state = work[at + LOW * LANES], work[at + HIGH * LANES], work[at + STATE * LANES]
        most = left + (low if state == FORCED else 0.0)
        reach = min(high, 2.0 * most)
        if (state == FREE) & (low > left):
            state = CLOSED
        if state != CLOSED:
            room += min(high, most)
        high = min(high, most)
        if state == CLOSED:
            low = high = reach = 0.0
        work[at + LOW * LANES], work[at + HIGH * LANES] = low, high
        work[at + REACH * LANES], work[at + STATE * LANES] = reach, state
        if (
            (work[at + ROOT_LOW * LANES] != low)
            | (work[at + ROOT_HIGH * LANES] != high)
            | (work[at + ROOT_REACH * LANES] != reach)
            | (work[at + ROOT_STATE * LANES] != state)
        ):
            work[at + ROOT_LOW * LANES], work[at + ROOT_HIGH * LANES] = low, high
            work[at + ROOT_REACH * LANES], work[at + ROOT_STATE * LANES] = reach, state
            envelope.build(work, at, kinds[at // BLOCK])
    if exactly & (room < money * (1.0 - AT_BOUND)):
        return TOO_LITTLE_ROOM, -1, money - room
    return OPTIMAL, -1, 0.0


@routine
def _narrow(work: Floats, at: int, action: int, low: float, high: float) -> bool:
    """Apply one decision of the search to an instrument's domain; False if nothing of the domain is left."""
    state = work[at + STATE * LANES]
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


@routine
def _rebuild(work: Floats, kinds: Integers, slot: Integers, dirty: Integers) -> None:
    for i in range(slot.size):
        if dirty[i]:
            at = slot[i]
            envelope.build(work, at, kinds[at // BLOCK])
            dirty[i] = (
                (work[at + LOW * LANES] != work[at + ROOT_LOW * LANES])
                | (work[at + HIGH * LANES] != work[at + ROOT_HIGH * LANES])
                | (work[at + STATE * LANES] != work[at + ROOT_STATE * LANES])
            )


@routine
def _decide(
    work: Floats, slot: Integers, dirty: Integers, twin: Integers, after: Integers, node: Integers, bounds: Floats
) -> bool:
    """Apply a node's decision to its instrument and what follows for the identical ones, which are ordered."""
    i, action = node[CHANGED], node[ACTION]
    low, high = bounds[NODE_LOW], bounds[NODE_HIGH]
    dirty[i] = 1
    if not _narrow(work, slot[i], action, low, high):
        return False
    if (action == OPEN) | (action == RAISE):  # those before it hold at least as much
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
            if not _narrow(work, slot[j], action, low, high):
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
        at_node = nodes[at_node, PARENT]
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
            if (state == FREE) & (work[at + LOW * LANES] > left):
                _narrow(work, at, CLOSE, 0.0, 0.0)
                dirty[i] = 1
            elif work[at + HIGH * LANES] > most:
                _narrow(work, at, RESTRICT, 0.0, most)
                dirty[i] = 1
            room += work[at + HIGH * LANES]
    _rebuild(work, kinds, slot, dirty)
    return possible & ((not exactly) | (room >= money * (1.0 - AT_BOUND)))


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
def _most_tickets(work: Floats, slot: Integers, tickets: Integers, money: float) -> tuple[int, int]:
    """Find the instruments that may be empty or hold a smallest ticket, and how many of them the money allows."""
    m = 0
    forced = 0.0
    for i in range(slot.size):
        at = slot[i]
        state = work[at + STATE * LANES]
        if state == FORCED:
            forced += work[at + LOW * LANES]
        elif (state == FREE) & (work[at + LOW * LANES] > 0.0):
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
def _limited_bound(
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


@routine
def _restricted(
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
        work[at + KEPT * LANES] = work[at + ENTRY * LANES]
        state = work[at + STATE * LANES]
        choice = (state == FREE) & (work[at + LOW * LANES] > 0.0)
        if choice:
            work[at + ENTRY * LANES] = math.inf if marked[i] else -math.inf
        if (choice & (marked[i] != 0)) | (state == FORCED):
            least += work[at + ENTER * LANES] if choice else work[at + BASE * LANES]
        if (not choice & (marked[i] == 0)) & (state != CLOSED):
            most += work[at + HIGH * LANES]
    price, value = start, -math.inf
    if (least <= money) & ((not exactly) | (most >= money)):
        price, _, _, value, _ = _relax(work, kinds, blocks, sums, slot, money, hurdle, floor, start, scale)
    for i in range(slot.size):
        work[slot[i] + ENTRY * LANES] = work[slot[i] + KEPT * LANES]
    return price, value


@routine
def _alike(work: Floats, kinds: Integers, at: int, other: int) -> bool:
    if kinds[at // BLOCK] != kinds[other // BLOCK]:
        return False
    for row in range(WEIGHT, LOW):
        if work[at + row * LANES] != work[other + row * LANES]:
            return False
    same = True
    for row in range(ROOT_LOW, ROOT_STATE + 1):
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
    """How to split on an instrument inside a chord: CLOSE (or open), or RESTRICT (or raise) at a capital."""
    at = slot[i]
    if (work[at + STATE * LANES] == FREE) & (work[at + LOW * LANES] > 0.0):
        return CLOSE, work[at + LOW * LANES]
    x = work[at + AMOUNT * LANES]
    begin, end = work[at + BASE * LANES], work[at + ENTER * LANES]
    if x > end:
        begin, end = work[at + LEAVE * LANES], work[at + EXIT_AT * LANES]
    margin = INSIDE * (end - begin)
    return RESTRICT, min(max(x, begin + margin), end - margin)


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
    blocks: int,
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
) -> tuple[float, float, float, float, float, int, int, float, bool]:
    """Bound a node and look for allocations in it.

    Returns the price, D there, the bound, the best value and its price, the instrument to split on (−1: none is
    needed), how and where, and whether the price was found on an arc.
    """
    price, ended, dual, value, inside = _relax(work, kinds, blocks, sums, slot, money, hurdle, floor, price, scale)
    best, shadow = _keep_if_better(work, slot, value, price, best, shadow)
    smooth = ((ended == SMOOTH) | (ended == SLACK)) and not _cut_short(work, slot)
    bound = dual
    if inside < 0:
        return price, dual, bound, best, shadow, -1, CLOSE, 0.0, smooth
    action, point = _branch(work, slot, inside)
    if bound - best <= tolerance * abs(bound):
        return price, dual, bound, best, shadow, inside, action, point, smooth
    _mark_held(work, slot, marked)
    active = 0
    for i in range(slot.size):
        active += (marked[i] != 0) & (work[slot[i] + STATE * LANES] == FREE) & (work[slot[i] + LOW * LANES] > 0.0)
    if value == -math.inf:
        for held in range(2):  # without the instrument that does not get its ticket, then with it
            marked[inside] = held
            at, value = _restricted(
                work, kinds, blocks, sums, slot, marked, money, hurdle, floor, exactly, price, scale
            )
            best, shadow = _keep_if_better(work, slot, value, at, best, shadow)
    if active > 1:
        m, most = _most_tickets(work, slot, tickets, money)
        if active > most:
            limited = _limited_bound(
                work, kinds, blocks, sums, slot, tickets, m, most, money, hurdle, floor, price, scale
            )
            bound = min(bound, limited)
            for j in range(m):
                marked[tickets[j]] = j < most
            at, value = _restricted(
                work, kinds, blocks, sums, slot, marked, money, hurdle, floor, exactly, price, scale
            )
            best, shadow = _keep_if_better(work, slot, value, at, best, shadow)
    return price, dual, bound, best, shadow, inside, action, point, smooth


@routine
def _search(
    work: Floats,
    kinds: Integers,
    blocks: int,
    sums: Floats,
    slot: Integers,
    ints: Integers,
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
    facts: Floats,
) -> tuple[float, bool]:
    """Best-first branch and bound; the answer in BEST, its figures in `facts`; returns the price to begin with next.

    `ints` has 7 rows of n: marks, tickets, what was touched, the two links between identical instruments, open nodes.
    """
    n = slot.size
    marked, tickets, dirty = ints[:n], ints[n : 2 * n], ints[2 * n : 3 * n]
    twin, after, waiting = ints[3 * n : 4 * n], ints[4 * n : 5 * n], ints[5 * n :]
    root_price, dual, bound, best, shadow, inside, action, point, smooth = _solve_node(
        work, kinds, blocks, sums, slot, marked, tickets, money, hurdle, floor, exactly, price, scale,
        -math.inf, price, tolerance,
    )  # fmt: skip
    facts[DUAL_PRICE] = root_price - hurdle
    facts[DUAL_BOUND] = dual
    upper = bound
    count = 1
    status = OPTIMAL
    if inside >= 0 and not bound - best <= tolerance * abs(bound):
        _find_twins(work, kinds, slot, twin, after)
        for i in range(n):
            dirty[i] = 0
        smooth = False
        waiting[0] = 0
        open_nodes = 1
        nodes[0, PARENT], nodes[0, BRANCH], nodes[0, SPLIT] = 0, action, inside
        node_bounds[0, BOUND], node_bounds[0, POINT] = bound, point
        pruned = -math.inf
        while open_nodes > 0:
            chosen = 0
            for k in range(1, open_nodes):
                if node_bounds[waiting[k], BOUND] > node_bounds[waiting[chosen], BOUND]:
                    chosen = k
            node = waiting[chosen]
            upper = max(node_bounds[node, BOUND], pruned)
            if upper - best <= tolerance * abs(upper):
                break
            if count + 2 > most_nodes:
                status = GAP_OPEN
                break
            open_nodes -= 1
            waiting[chosen] = waiting[open_nodes]
            split, how, where = nodes[node, SPLIT], nodes[node, BRANCH], node_bounds[node, POINT]
            for side in range(2):
                child = count
                count += 1
                nodes[child, PARENT], nodes[child, CHANGED] = node, split
                node_bounds[child, NODE_LOW] = where if side == 1 else 0.0
                node_bounds[child, NODE_HIGH] = where if side == 0 else math.inf
                nodes[child, ACTION] = how if side == 0 else (OPEN if how == CLOSE else RAISE)
                if not _enter_node(work, kinds, slot, dirty, twin, after, nodes, node_bounds, child, money, exactly):
                    continue
                _, _, bound, best, shadow, inside, action, point, _ = _solve_node(
                    work, kinds, blocks, sums, slot, marked, tickets, money, hurdle, floor, exactly, root_price, scale,
                    best, shadow, tolerance,
                )  # fmt: skip
                bound = min(bound, node_bounds[node, BOUND])
                if inside < 0 or bound - best <= tolerance * abs(bound):
                    pruned = max(pruned, bound)
                else:
                    nodes[child, BRANCH], nodes[child, SPLIT] = action, inside
                    node_bounds[child, BOUND], node_bounds[child, POINT] = bound, point
                    waiting[open_nodes] = child
                    open_nodes += 1
        if open_nodes == 0:
            upper = pruned
        _reset(work, slot, dirty)
        _rebuild(work, kinds, slot, dirty)
        if best == -math.inf:
            status = NO_COMBINATION if open_nodes == 0 else NOT_FOUND
    elif best == -math.inf:
        status = NO_COMBINATION
    facts[EXCESS] = math.nan if status >= NO_ROOM else 0.0
    facts[UPPER_BOUND] = max(upper, best)
    facts[UTILITY] = best
    facts[SHADOW] = shadow
    facts[STATUS] = status
    facts[NODES] = count
    return root_price, smooth


@helper
def _interior(work: Floats, at: int, kind: int) -> bool:
    """Whether the best amount lies where the instrument's own marginal utility sets the price."""
    x = work[at + BEST * LANES]
    low, high = work[at + ROOT_LOW * LANES], work[at + ROOT_REACH * LANES]
    if not ((x > low * (1.0 + AT_BOUND)) & (x < high * (1.0 - AT_BOUND)) & (x > 0.0)):
        return False
    value = envelope.eta(work, at, kind, x)
    return (value > 0.0) & (value < 1.0 - AT_BOUND)


@routine
def _level_marginals(
    work: Floats, kinds: Integers, blocks: int, sums: Floats, slot: Integers, money: float, hurdle: float, facts: Floats
) -> None:
    """Newton steps that bring the marginal utilities of the interior amounts to one price, at the same total.

    An instrument on a straight stretch sets the price itself; then the others follow it.
    """
    for i in range(slot.size):
        at = slot[i]
        if (work[at + ROOT_LOW * LANES] == 0.0) & (work[at + BEST * LANES] < AT_BOUND * money):
            work[at + BEST * LANES] = 0.0  # left by rounding
    slack = _unfilled(work, slot, money, BEST) > SETTLED * money
    for _ in range(POLISH_STEPS):
        slopes = 0.0
        ask = 0.0
        straight = 0
        for i in range(slot.size):
            at = slot[i]
            kind = kinds[at // BLOCK]
            if _interior(work, at, kind):
                x = work[at + BEST * LANES]
                bend = envelope.weighted_curvature(work, at, kind, x)
                if bend == 0.0:
                    straight += 1
                else:
                    slopes += 1.0 / bend
                    ask += envelope.weighted_marginal(work, at, kind, x) / bend
        if (straight > 0) | (slopes == 0.0):
            return
        price = hurdle if slack else ask / slopes
        furthest = 0.0
        for i in range(slot.size):
            at = slot[i]
            kind = kinds[at // BLOCK]
            x = work[at + BEST * LANES]
            work[at + AMOUNT * LANES] = x
            if _interior(work, at, kind):
                bend = envelope.weighted_curvature(work, at, kind, x)
                moved = x + (price - envelope.weighted_marginal(work, at, kind, x)) / bend
                moved = min(max(moved, work[at + ROOT_LOW * LANES]), work[at + ROOT_REACH * LANES])
                work[at + AMOUNT * LANES] = moved
                furthest = max(furthest, abs(moved - x))
        over = -_unfilled(work, slot, money, AMOUNT)
        value, _, _ = worth(work, kinds, blocks, sums, AMOUNT, hurdle)
        if (over > AT_BOUND * money) | (value < facts[UTILITY] - 1e-15 * abs(facts[UTILITY])):
            return
        for i in range(slot.size):
            work[slot[i] + BEST * LANES] = work[slot[i] + AMOUNT * LANES]
        facts[UTILITY] = value
        facts[SHADOW] = price
        if furthest <= 1e-15 * money:
            return


@routine
def _settle(work: Floats, slot: Integers, money: float) -> None:
    """Make the best amounts add up to the money, and never to more, however they are added."""
    unspent = _unfilled(work, slot, money, BEST)
    if unspent > SETTLED * money:
        return
    spare = 0.0 if slot.size < FEW else money * MARGIN
    for _ in range(4):
        most = 0.0
        chosen = -1
        for i in range(slot.size):
            at = slot[i]
            x = work[at + BEST * LANES]
            low, high = work[at + ROOT_LOW * LANES], work[at + ROOT_REACH * LANES]
            room = min(x - low, high - x) if x > 0.0 else 0.0
            if room > most:
                most = room
                chosen = i
        short = _unfilled(work, slot, money, BEST) - spare
        if chosen < 0:
            if short >= 0.0:
                return
            for i in range(slot.size):  # all at their bounds, which add up to a rounding error too much
                if (chosen < 0) or (work[slot[i] + BEST * LANES] > work[slot[chosen] + BEST * LANES]):
                    chosen = i
        at = slot[chosen]
        work[at + BEST * LANES] += short
        total = 0.0
        if slot.size < FEW:
            for i in range(slot.size):
                total += work[slot[i] + BEST * LANES]
        if total <= money and _unfilled(work, slot, money, BEST) >= 0.0:
            return
        spare += money * 2.0**-53


@routine
def _reason_above(settings: Floats, limit: float, last: float, total: float, i: int) -> int:
    """Which bound from above is the smallest."""
    upper, share = settings[UPPER, i], _share(settings, total, i)
    if (upper <= share) & (upper <= limit) & (upper <= last):
        return AT_UPPER
    if (share <= limit) & (share <= last):
        return AT_SHARE
    return AT_THRESHOLD if last < limit else AT_LIMIT


@routine
def _reason_below(settings: Floats, floor: float, first: float, i: int) -> int:
    """Which bound from below is the largest."""
    lower, ticket = max(settings[LOWER, i], floor), settings[MIN_TICKET, i]
    if (lower >= ticket) & (lower >= first):
        return AT_LOWER
    return AT_TICKET if ticket >= first else AT_THRESHOLD


@routine
def _explain(
    limit: Floats, settings: Floats, floors: Floats, total: float, money: float, work: Floats, kinds: Integers,
    slot: Integers, shadow: float, binding: Codes,
) -> None:  # fmt: skip
    """Name what stops every instrument where it is."""
    for i in range(slot.size):
        at = slot[i]
        kind = kinds[at // BLOCK]
        x = work[at + BEST * LANES]
        first, last = work[at + FIRST * LANES], work[at + LAST * LANES]
        floor = floors[i] if floors.size else 0.0
        weight = work[at + WEIGHT * LANES]
        low, high = work[at + ROOT_LOW * LANES], work[at + ROOT_REACH * LANES]
        reason = NONE
        if last == WITHOUT_CURVE:
            reason = NO_CURVE
        elif last < 0.0:
            reason = AT_THRESHOLD if settings[MIN_EFFICIENCY, i] > 0.0 else PRICE
        elif x == 0.0:
            above = _most(limit, settings, last, total, i)
            least = max(settings[MIN_TICKET, i], first)
            reason = PRICE
            if above <= 0.0:
                reason = _reason_above(settings, limit[i], last, total, i)
            elif least > 0.0:
                at_least = envelope.eta(work, at, kind, 0.0)
                wanted = weight * min(max(at_least, 0.0), 1.0) > shadow
                if wanted | (least > above) | (least > money):
                    reason = _reason_below(settings, floor, first, i)
        elif x >= high * (1.0 - AT_BOUND):
            reason = _reason_above(settings, limit[i], last, total, i)
        elif (x <= low * (1.0 + AT_BOUND)) & (low > 0.0):
            reason = _reason_below(settings, floor, first, i)
        else:
            value = envelope.eta(work, at, kind, x)
            falls = envelope.weighted_marginal(work, at, kind, x) < shadow * (1.0 - KINKED)
            reason = PRICE if (abs(value - 1.0) <= KINKED) & falls else NONE
        binding[i] = reason


@kernel(
    codes_in,
    float_rows_in,
    floats_in,
    floats_in,
    float_rows_in,
    floats_in,
    floats_in,
    floats_in,
    integers_in,
    float_rows_out,
    code_rows_out,
    float_rows_out,
    floats_out,
    integers_out,
    integer_rows_out,
    float_rows_out,
    integer,
    integer,
)
def allocate(
    family: Codes,
    params: Floats,
    origin: Floats,
    limit: Floats,
    settings: Floats,
    totals: Floats,
    floors: Floats,
    controls: Floats,
    problems: Integers,
    amounts: Floats,
    binding: Codes,
    facts: Floats,
    work: Floats,
    ints: Integers,
    nodes: Integers,
    node_bounds: Floats,
    start: int,
    stop: int,
) -> None:
    """Solve problems: problem p has the money ``totals[p % len(totals)]`` and the curves ``p // len(totals)``.

    Parameters
    ----------
    family : (n,) int8
    params : (draws·n, 3) float64
        NaN: no curve.
    origin, limit : (n,) float64
    settings : (6, n) float64
        MIN_EFFICIENCY, LOWER, UPPER, MIN_TICKET, MAX_SHARE, PRIORITY.
    totals : (t,) float64
    floors : (len(problems)·n,) or (0,) float64
        Amounts that must be held beside `settings`; 0 is none.
    controls : (5,) float64
        RESERVE, HURDLE, EXACTLY, TOLERANCE, MAX_NODES.
    problems : (m,) int64
        Which problems to solve.
    amounts, binding, facts : (m, n) float64, (m, n) int8, (m, len(FACTS)) float64
        Output. From status NO_ROOM on, CULPRIT is the instrument to blame (−1: all together), EXCESS by how much.
    work, ints : (work_size(n),), (ints_size(n, max_nodes),)
    nodes, node_bounds : (max_nodes + 2, 5) int64, (max_nodes + 2, 4) float64
    start, stop : int
        Range of `problems`; `start` a multiple of WARM, or the bits may differ.
    """
    n = family.size
    exactly = controls[EXACTLY] != 0.0
    hurdle = controls[HURDLE]
    floor = -math.inf if exactly else hurdle
    most_nodes = int(controls[MAX_NODES])
    sums = work[: 5 * LANES]
    rows = work[5 * LANES :]
    slot = ints[:n]
    kinds = ints[n : 2 * n + KINDS]
    rest = ints[2 * n + KINDS :]
    scale = 0.0
    for i in range(n):
        scale = max(scale, settings[PRIORITY, i])
    scale = scale if scale > 0.0 else 1.0
    curves = -1
    blocks = 0
    price = 0.0
    for at in range(start, stop):
        problem = problems[at]
        total = totals[problem % totals.size]
        money = total * (1.0 - controls[RESERVE])
        if problem // totals.size != curves:
            curves = problem // totals.size
            own = params[curves * n : (curves + 1) * n]
            blocks = _arrange(family, own, origin, limit, settings, rows, kinds, slot)
        if at % WARM == 0:
            price = 0.5 * scale
        found = facts[at]
        lowest = floors[at * n : (at + 1) * n]  # empty if there are none
        status, culprit, excess = _bound_domains(limit, settings, lowest, total, money, exactly, rows, kinds, slot)
        found[STATUS], found[CULPRIT], found[EXCESS] = status, culprit, excess
        if status >= NO_ROOM:
            continue
        if money == 0.0:
            for i in range(n):
                rows[slot[i] + BEST * LANES] = 0.0
            found[SHADOW] = hurdle
            found[DUAL_PRICE] = found[DUAL_BOUND] = found[UPPER_BOUND] = found[UTILITY] = 0.0
            found[NODES] = 0
        else:
            price, smooth = _search(
                rows, kinds, blocks, sums, slot, rest, nodes, node_bounds, money, hurdle, floor, exactly,
                controls[TOLERANCE], most_nodes, price, scale, found,
            )  # fmt: skip
            if found[STATUS] >= NO_ROOM:
                continue
            if not smooth:
                _level_marginals(rows, kinds, blocks, sums, slot, money, hurdle, found)
            _settle(rows, slot, money)
            found[UTILITY], _, _ = worth(rows, kinds, blocks, sums, BEST, hurdle)
            found[UPPER_BOUND] = max(found[UPPER_BOUND], found[UTILITY])
        for i in range(n):
            amounts[at, i] = rows[slot[i] + BEST * LANES]
        _explain(limit, settings, lowest, total, money, rows, kinds, slot, found[SHADOW], binding[at])


def work_size(n: int) -> int:
    """Floats that `work` must hold for n instruments."""
    return 5 * LANES + (n // LANES + KINDS) * BLOCK


def ints_size(n: int, max_nodes: int) -> int:
    """Integers that `ints` must hold for n instruments."""
    return 2 * n + KINDS + 5 * n + max_nodes + 2


@helper
def _before(work: Floats, slot: Integers, i: int, j: int) -> bool:
    """Whether instrument i comes before j in the heap: the higher marginal utility, then the first."""
    here, there = work[slot[i] + WORTH * LANES], work[slot[j] + WORTH * LANES]
    return (here > there) | ((here == there) & (i < j))


@routine
def _sift(work: Floats, slot: Integers, heap: Integers, size: int, k: int) -> None:
    """Move an entry of the heap down to its place."""
    moved = heap[k]
    while 2 * k + 1 < size:
        child = 2 * k + 1
        if child + 1 < size and _before(work, slot, heap[child + 1], heap[child]):
            child += 1
        if not _before(work, slot, heap[child], moved):
            break
        heap[k] = heap[child]
        k = child
    heap[k] = moved


@helper
def _next_marginal(work: Floats, at: int, kind: int, x: float) -> float:
    """w·U′ of the next unit of capital."""
    value = envelope.eta(work, at, kind, x)
    if value >= 1.0:
        falling = envelope.eta(work, at, kind, x * (1.0 + AT_BOUND)) < 1.0
        weight = work[at + WEIGHT * LANES]
        return min(weight, envelope.weighted_marginal(work, at, kind, x)) if falling else weight
    return envelope.weighted_marginal(work, at, kind, x) if value >= 0.0 else 0.0


@routine
def _climb(
    work: Floats, kinds: Integers, slot: Integers, heap: Integers, money: float, step: float, hurdle: float,
    exactly: bool,
) -> float:  # fmt: skip
    """Hand out increments to the highest marginal utility: BEST; returns the marginal utility of the last one."""
    size = 0
    for i in range(slot.size):
        at = slot[i]
        state = work[at + STATE * LANES]
        work[at + BEST * LANES] = work[at + LOW * LANES] if state == FORCED else 0.0
        if state != CLOSED:
            work[at + WORTH * LANES] = _next_marginal(work, at, kinds[at // BLOCK], work[at + BEST * LANES])
            heap[size] = i
            size += 1
    for k in range(size // 2 - 1, -1, -1):
        _sift(work, slot, heap, size, k)
    left = _unfilled(work, slot, money, BEST)
    price = hurdle
    while size > 0 and left > 0.0:
        i = heap[0]
        at = slot[i]
        here = work[at + WORTH * LANES]
        if (not exactly) & (here <= hurdle):
            return hurdle
        x = work[at + BEST * LANES]
        low, high = work[at + LOW * LANES], min(work[at + REACH * LANES], work[at + LAST * LANES])
        wanted = min(x + step, high) if x > 0.0 else min(max(step, low), high)
        moved = min(wanted, x + left)
        if (moved < low) | (moved <= x):  # its ticket does not fit, or it is full
            size -= 1
            heap[0] = heap[size]
            _sift(work, slot, heap, size, 0)
            continue
        price = here
        work[at + BEST * LANES] = moved
        left = _unfilled(work, slot, money, BEST) if moved < wanted else left - (moved - x)
        work[at + WORTH * LANES] = _next_marginal(work, at, kinds[at // BLOCK], moved)
        _sift(work, slot, heap, size, 0)
    return price


@kernel(
    codes_in,
    float_rows_in,
    floats_in,
    floats_in,
    float_rows_in,
    floats_in,
    floats_in,
    floats_in,
    integers_in,
    float_rows_out,
    code_rows_out,
    float_rows_out,
    floats_out,
    integers_out,
    integer,
    integer,
)
def greedy(
    family: Codes,
    params: Floats,
    origin: Floats,
    limit: Floats,
    settings: Floats,
    totals: Floats,
    floors: Floats,
    controls: Floats,
    problems: Integers,
    amounts: Floats,
    binding: Codes,
    facts: Floats,
    work: Floats,
    ints: Integers,
    start: int,
    stop: int,
) -> None:
    """Allocate in increments of STEP (0: a thousandth of the total), each to the highest marginal utility.

    Parameters as in :func:`allocate`. The upper bound is D at the price that minimises it.
    """
    n = family.size
    exactly = controls[EXACTLY] != 0.0
    hurdle = controls[HURDLE]
    floor = -math.inf if exactly else hurdle
    sums = work[: 5 * LANES]
    rows = work[5 * LANES :]
    slot = ints[:n]
    kinds = ints[n : 2 * n + KINDS]
    heap = ints[2 * n + KINDS : 3 * n + KINDS]
    scale = 0.0
    for i in range(n):
        scale = max(scale, settings[PRIORITY, i])
    scale = scale if scale > 0.0 else 1.0
    curves = -1
    blocks = 0
    for at in range(start, stop):
        problem = problems[at]
        total = totals[problem % totals.size]
        money = total * (1.0 - controls[RESERVE])
        if problem // totals.size != curves:
            curves = problem // totals.size
            own = params[curves * n : (curves + 1) * n]
            blocks = _arrange(family, own, origin, limit, settings, rows, kinds, slot)
        found = facts[at]
        lowest = floors[at * n : (at + 1) * n]
        status, culprit, excess = _bound_domains(limit, settings, lowest, total, money, exactly, rows, kinds, slot)
        found[STATUS], found[CULPRIT], found[EXCESS], found[NODES] = status, culprit, excess, 0
        if status >= NO_ROOM:
            continue
        step = controls[STEP] if controls[STEP] > 0.0 else total / GREEDY_PARTS
        found[SHADOW] = _climb(rows, kinds, slot, heap, money, step, hurdle, exactly)
        price, _, bound, _, _ = _relax(rows, kinds, blocks, sums, slot, money, hurdle, floor, 0.5 * scale, scale)
        left = _unfilled(rows, slot, money, BEST)
        if exactly & (left > AT_BOUND * money):
            found[STATUS], found[EXCESS] = NOT_FOUND, left
            continue
        _settle(rows, slot, money)
        found[UTILITY], _, _ = worth(rows, kinds, blocks, sums, BEST, hurdle)
        found[DUAL_PRICE], found[DUAL_BOUND] = price - hurdle, bound
        found[UPPER_BOUND] = max(bound, found[UTILITY])
        for i in range(n):
            amounts[at, i] = rows[slot[i] + BEST * LANES]
        _explain(limit, settings, lowest, total, money, rows, kinds, slot, found[SHADOW], binding[at])
