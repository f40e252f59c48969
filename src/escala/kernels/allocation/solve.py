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

from escala.kernels.allocation import envelope
from escala.kernels.allocation.dual import AT_BOUND, ROUNDING, relax, unfilled
from escala.kernels.allocation.envelope import (
    AMOUNT,
    BEST,
    BLOCK,
    CLOSED,
    ENTRY,
    FIRST,
    FORCED,
    FREE,
    HIGH,
    LANES,
    LAST,
    LOW,
    REACH,
    ROOT_HIGH,
    ROOT_LOW,
    ROOT_REACH,
    ROOT_STATE,
    STATE,
    WEIGHT,
    WORTH,
    two_sum,
    worth,
)
from escala.kernels.allocation.search import (
    CULPRIT,
    DUAL_BOUND,
    DUAL_PRICE,
    EXCESS,
    GAP,
    GAP_OPEN,
    LOWER_ABOVE_MONEY,
    NO_CURVE_FORCED,
    NO_ROOM,
    NODES,
    NOT_FOUND,
    OPTIMAL,
    SHADOW,
    STATUS,
    TOO_LITTLE_ROOM,
    UPPER_BOUND,
    UTILITY,
    search,
)
from escala.kernels.families import dispatch
from escala.kernels.families.params import Params, of_row, without_params
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
from escala.kernels.layout import KINDS, coefficients

#: Rows of `settings`.
MIN_EFFICIENCY, LOWER, UPPER, MIN_TICKET, MAX_SHARE, PRIORITY = range(6)
#: Entries of `controls`.
RESERVE, HURDLE, EXACTLY, TOLERANCE, MAX_NODES, STEP = range(6)
#: Codes in `binding`.
NONE, PRICE, AT_LOWER, AT_UPPER, AT_SHARE, AT_LIMIT, AT_THRESHOLD, AT_TICKET, NO_CURVE = range(9)
#: Problems that follow one another from a warm start; ranges begin at their multiples.
WARM = 64

SETTLED = 1e-9  # relative: less unspent money is a rounding error of the search
FEW = 8  # amounts that are added in their order, whoever adds them
MARGIN = 2.0**-50  # of the money: what sums of more amounts may be rounded by
KINKED = 1e-9  # closer to 1 efficiency counts as 1
POLISH_STEPS = 12
LEVELLED = 1e-13  # relative: closer marginal utilities are one price
GREEDY_PARTS = 1000.0  # of the total: increments of the greedy method, if none is given
WITHOUT_CURVE, NOWHERE = -2.0, -1.0  # instead of the end of a stretch


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
            if dispatch.kind_of(family[i], of_row(params[i])) != kind:
                continue
            if lane == LANES:
                base = block * BLOCK
                for j in range(BLOCK):
                    work[base + j] = 0.0
                for j in range(LANES):  # empty lanes answer 0 to every price, and divide by no zero
                    work[base + ENTRY * LANES + j] = -math.inf
                    envelope.set_curve(work, base + j, kind, 0.0, without_params(), 0.0)
                kinds[block] = kind
                block += 1
                lane = 0
            at = (block - 1) * BLOCK + lane
            slot[i] = at
            lane += 1
            first, last = math.inf, WITHOUT_CURVE
            p = of_row(params[i])
            if not math.isnan(p[coefficients.A]):
                envelope.set_curve(work, at, kind, settings[PRIORITY, i], p, origin[i])
                first, last = _stretch(family[i], p, origin[i], max(settings[MIN_EFFICIENCY, i], 0.0), limit[i])
            work[at + FIRST * LANES], work[at + LAST * LANES] = first, last
            work[at + ROOT_STATE * LANES] = -1.0  # no envelope yet
    return block


@routine
def _stretch(family: int, p: Params, origin: float, least: float, limit: float) -> tuple[float, float]:
    """First stretch on [0, limit] with an efficiency of at least `least`; (inf, NOWHERE) where there is none."""
    at_zero = dispatch.value(family, p, origin, 0.0)
    falls = rises = math.inf
    if not dispatch.is_level(family, p):
        falls, rises = dispatch.crossings(family, p, origin, least)
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
        if (state == FREE) & (low > left + AT_BOUND * money):
            state = CLOSED
        if state != CLOSED:
            room += min(high, most)
        high = max(min(high, most), low)
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


@helper
def _between(work: Floats, at: int) -> bool:
    """Whether the best amount lies inside the instrument's own bounds."""
    x = work[at + BEST * LANES]
    low, high = work[at + ROOT_LOW * LANES], work[at + ROOT_REACH * LANES]
    return (x > low * (1.0 + AT_BOUND)) & (x < high * (1.0 - AT_BOUND)) & (x > 0.0)


@helper
def _interior(work: Floats, at: int, kind: int) -> bool:
    """Whether the best amount lies where the instrument's own marginal utility sets the price, and bends."""
    if not _between(work, at):
        return False
    x = work[at + BEST * LANES]
    value = envelope.eta(work, at, kind, x)
    bend = envelope.weighted_curvature(work, at, kind, x)
    return (value > 0.0) & (value < 1.0 - KINKED) & (bend != 0.0) & (abs(bend) < math.inf)


@helper
def _straight_price(work: Floats, at: int, kind: int) -> float:
    """Marginal utility of an instrument that ends inside a straight stretch; −inf elsewhere."""
    if not _between(work, at):
        return -math.inf
    x = work[at + BEST * LANES]
    value = envelope.eta(work, at, kind, x)
    if value > 1.0 + KINKED:
        return work[at + WEIGHT * LANES]
    level = envelope.weighted_curvature(work, at, kind, x) == 0.0
    return work[at + WEIGHT * LANES] * min(max(value, 0.0), 1.0) if level else -math.inf


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
    slack = unfilled(work, slot, money, BEST) > SETTLED * money
    straight = -math.inf
    for i in range(slot.size):
        at = slot[i]
        straight = max(straight, _straight_price(work, at, kinds[at // BLOCK]))
    if straight > -math.inf:
        facts[SHADOW] = straight
        return
    for _ in range(POLISH_STEPS):
        slopes = 0.0
        ask = 0.0
        flattest = -1  # takes what the others leave: its own step would be mostly rounding
        least = math.inf
        for i in range(slot.size):
            at = slot[i]
            kind = kinds[at // BLOCK]
            if _interior(work, at, kind):
                x = work[at + BEST * LANES]
                bend = envelope.weighted_curvature(work, at, kind, x)
                if (not slack) & (abs(bend) < least):
                    least = abs(bend)
                    flattest = i
                slopes += 1.0 / bend
                ask += envelope.weighted_marginal(work, at, kind, x) / bend
        price = hurdle if slack else ask / slopes
        if not abs(price) < math.inf:
            return
        apart = 0.0
        for i in range(slot.size):
            at = slot[i]
            kind = kinds[at // BLOCK]
            x = work[at + BEST * LANES]
            work[at + AMOUNT * LANES] = x
            if _interior(work, at, kind):
                off = price - envelope.weighted_marginal(work, at, kind, x)
                apart = max(apart, abs(off))
                moved = x + off / envelope.weighted_curvature(work, at, kind, x)
                moved = min(max(moved, work[at + ROOT_LOW * LANES]), work[at + ROOT_REACH * LANES])
                work[at + AMOUNT * LANES] = moved
        if apart <= LEVELLED * abs(price):
            facts[SHADOW] = price
            return
        if flattest >= 0:
            at = slot[flattest]
            work[at + AMOUNT * LANES] = work[at + BEST * LANES]
            moved = work[at + BEST * LANES] + unfilled(work, slot, money, AMOUNT)
            moved = min(max(moved, work[at + ROOT_LOW * LANES]), work[at + ROOT_REACH * LANES])
            work[at + AMOUNT * LANES] = moved
        over = -unfilled(work, slot, money, AMOUNT)
        value, size, _ = worth(work, kinds, blocks, sums, AMOUNT, hurdle)
        spent = (over <= AT_BOUND * money) & (slack | (over >= -AT_BOUND * money))
        if not (spent & (value >= facts[UTILITY] - ROUNDING * size)):
            return
        for i in range(slot.size):
            work[slot[i] + BEST * LANES] = work[slot[i] + AMOUNT * LANES]
        facts[UTILITY] = value
        facts[SHADOW] = price


@routine
def _first_price(work: Floats, kinds: Integers, slot: Integers, hurdle: float) -> float:
    """Highest marginal utility of the first unit of money, where there is none yet."""
    price = hurdle
    for i in range(slot.size):
        at = slot[i]
        if (work[at + STATE * LANES] == FREE) & (work[at + LOW * LANES] == 0.0):
            value = envelope.eta(work, at, kinds[at // BLOCK], 0.0)
            price = max(price, work[at + WEIGHT * LANES] * min(max(value, 0.0), 1.0))
    return price


@routine
def _state_gap(
    work: Floats, kinds: Integers, blocks: int, sums: Floats, hurdle: float, scale: float, facts: Floats
) -> None:
    """State the utility of the best amounts, and the gap: 0 if it is rounding of values of size `scale`."""
    facts[UTILITY], _, _ = worth(work, kinds, blocks, sums, BEST, hurdle)
    facts[UPPER_BOUND] = max(facts[UPPER_BOUND], facts[UTILITY])
    left = facts[UPPER_BOUND] - facts[UTILITY]
    facts[GAP] = left / abs(facts[UPPER_BOUND]) if left > ROUNDING * scale else 0.0


@routine
def _settle(work: Floats, slot: Integers, money: float) -> None:
    """Make the best amounts add up to the money, and never to more, however they are added."""
    unspent = unfilled(work, slot, money, BEST)
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
        short = unfilled(work, slot, money, BEST) - spare
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
        if total <= money and unfilled(work, slot, money, BEST) >= 0.0:
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
            at_first = weight * min(max(envelope.eta(work, at, kind, 0.0), 0.0), 1.0)
            reason = NONE if at_first >= shadow * (1.0 - KINKED) else PRICE
            if above <= 0.0:
                reason = _reason_above(settings, limit[i], last, total, i)
            elif least > 0.0:
                out = (at_first > shadow) | (least > above) | (least > money)
                reason = _reason_below(settings, floor, first, i) if out else PRICE
        elif x >= high * (1.0 - AT_BOUND):
            reason = _reason_above(settings, limit[i], last, total, i)
        elif (x <= low * (1.0 + AT_BOUND)) & (low > 0.0):
            reason = _reason_below(settings, floor, first, i)
        else:
            value = envelope.eta(work, at, kind, x)
            beyond = min(envelope.weighted_marginal(work, at, kind, x), weight)  # just above η = 1
            reason = PRICE if (abs(value - 1.0) <= KINKED) & (beyond < shadow * (1.0 - KINKED)) else NONE
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
    price = falls = last_money = 0.0
    for at in range(start, stop):
        problem = problems[at]
        total = totals[problem % totals.size]
        money = total * (1.0 - controls[RESERVE])
        if problem // totals.size != curves:
            curves = problem // totals.size
            own = params[curves * n : (curves + 1) * n]
            blocks = _arrange(family, own, origin, limit, settings, rows, kinds, slot)
            falls = 0.0
        if at % WARM == 0:
            price = 0.5 * scale
            falls = 0.0
        found = facts[at]
        lowest = floors[at * n : (at + 1) * n]  # empty if there are none
        status, culprit, excess = _bound_domains(limit, settings, lowest, total, money, exactly, rows, kinds, slot)
        found[STATUS], found[CULPRIT], found[EXCESS] = status, culprit, excess
        if status >= NO_ROOM:
            continue
        if money == 0.0:
            for i in range(n):
                rows[slot[i] + BEST * LANES] = 0.0
            found[SHADOW] = _first_price(rows, kinds, slot, hurdle)
            found[DUAL_PRICE] = found[DUAL_BOUND] = found[UPPER_BOUND] = found[UTILITY] = found[GAP] = 0.0
            found[NODES] = 0
        else:
            guess = price + falls * (money - last_money)  # along a path the price goes on as it went before
            last_price = price
            price, smooth = search(
                rows, kinds, blocks, sums, slot, rest, nodes, node_bounds, money, hurdle, floor, exactly,
                controls[TOLERANCE], most_nodes, guess, scale, found,
            )  # fmt: skip
            falls = min((price - last_price) / (money - last_money), 0.0) if money != last_money else 0.0
            last_money = money
            if found[STATUS] >= NO_ROOM:
                continue
            if not smooth:
                _level_marginals(rows, kinds, blocks, sums, slot, money, hurdle, found)
            _settle(rows, slot, money)
            _state_gap(rows, kinds, blocks, sums, hurdle, scale * money, found)
            found[STATUS] = OPTIMAL if found[GAP] <= controls[TOLERANCE] else GAP_OPEN
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
    left = unfilled(work, slot, money, BEST)
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
        left = unfilled(work, slot, money, BEST) if moved < wanted else left - (moved - x)
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
        price, _, bound, _, _ = relax(rows, kinds, blocks, sums, slot, money, hurdle, floor, 0.5 * scale, scale)
        left = unfilled(rows, slot, money, BEST)
        if exactly & (left > AT_BOUND * money):
            found[STATUS], found[EXCESS] = NOT_FOUND, left
            continue
        _settle(rows, slot, money)
        found[DUAL_PRICE], found[DUAL_BOUND], found[UPPER_BOUND] = price - hurdle, bound, bound
        _state_gap(rows, kinds, blocks, sums, hurdle, scale * money, found)
        found[STATUS] = OPTIMAL if found[GAP] <= controls[TOLERANCE] else GAP_OPEN
        for i in range(n):
            amounts[at, i] = rows[slot[i] + BEST * LANES]
        _explain(limit, settings, lowest, total, money, rows, kinds, slot, found[SHADOW], binding[at])
