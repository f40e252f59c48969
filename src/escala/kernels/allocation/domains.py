"""What an instrument may hold: blocks of instruments, their first efficient stretch and their domain for one total."""

from __future__ import annotations

import math

from escala.kernels.allocation import envelope
from escala.kernels.allocation.balance import AT_BOUND
from escala.kernels.allocation.envelope import (
    BLOCK,
    BUY,
    CLOSED,
    ENTRY,
    FENCED,
    FIRST,
    FIXED,
    FORCED,
    FREE,
    HALF,
    HELD,
    HIGH,
    LANES,
    LAST,
    LEAF,
    LESS,
    LOT,
    LOW,
    MORE,
    REACH,
    ROOT_HIGH,
    ROOT_LOW,
    ROOT_REACH,
    ROOT_STATE,
    SELL,
    STATE,
    two_sum,
)
from escala.kernels.allocation.halves import build
from escala.kernels.allocation.lots import whole_down, whole_up
from escala.kernels.families import dispatch
from escala.kernels.families.params import Params, of_row, without_params
from escala.kernels.jit import Codes, Floats, Integers, helper, routine
from escala.kernels.layout import KINDS, coefficients, families
from escala.kernels.layout import allocation_status as status_of
from escala.kernels.layout import settings as s

WITHOUT_CURVE, NOWHERE = -2.0, -1.0  # instead of the end of a stretch


@routine
def _arrange_stretch(
    family: Codes, params: Floats, origin: Floats, trusted_to: Floats, settings: Floats, thresholded: bool,
    traded: bool, leaf: Integers, members: Integers, grouped: bool, place: int, work: Floats, kinds: Integers,
    slot: Integers, block: int,
) -> int:  # fmt: skip
    """Put instruments into blocks from `block` on; returns the block behind them."""
    halves = 2 if traded else 1
    for kind in range(KINDS):
        lane = LANES
        for i in members:
            if dispatch.kind_of(family[i], of_row(params[i])) != kind:
                continue
            if lane == LANES:
                for half in range(halves):
                    base = block * BLOCK
                    for j in range(BLOCK):
                        work[base + j] = 0.0
                    for j in range(LANES):  # empty lanes answer 0 to every price, and divide by no zero
                        work[base + ENTRY * LANES + j] = -math.inf
                        if traded:
                            work[base + HALF * LANES + j] = MORE if half == 1 else LESS
                        if grouped:
                            work[base + FENCED * LANES + j] = 1.0
                        envelope.set_curve(work, base + j, kind, 0.0, without_params(), 0.0)
                    kinds[block] = kind
                    block += 1
                lane = 0
            at = (block - halves) * BLOCK + lane
            slot[i] = at
            lane += 1
            first, last = math.inf, WITHOUT_CURVE
            p = _moved(family[i], of_row(params[i]), place)
            if not math.isnan(p[coefficients.A]):
                for half in range(halves):
                    envelope.set_curve(work, at + half * BLOCK, kind, settings[s.PRIORITY, i], p, origin[i])
                first, last = _stretch(
                    family[i], p, origin[i], work, threshold_of(settings, i, thresholded), trusted_to[i]
                )
            if grouped:
                work[at + LEAF * LANES] = leaf[i]
            if traded:
                _set_costs(settings, work, at, i)
            work[at + LOT * LANES] = settings[s.LOTS, i]
            work[at + FIRST * LANES], work[at + LAST * LANES] = first, last
            work[at + ROOT_STATE * LANES] = -1.0  # no envelope yet
    return block


@routine
def arrange(
    family: Codes,
    params: Floats,
    origin: Floats,
    trusted_to: Floats,
    settings: Floats,
    thresholded: bool,
    traded: bool,
    leaf: Integers,
    order: Integers,
    grouped: bool,
    place: int,
    work: Floats,
    kinds: Integers,
    slot: Integers,
) -> int:
    """Put the instruments of one set of curves into blocks of one kind each; returns the number of blocks.

    The steps of ladders lie in `work` too, from `place` on. Where trading costs something there is a second block
    behind each, for the upper halves; where there are groups, blocks hold instruments of one of them.
    """
    n = family.size
    block = 0
    begin = 0
    while begin < n:
        end = begin + 1
        while end < n and ((not grouped) or leaf[order[end]] == leaf[order[begin]]):
            end += 1
        block = _arrange_stretch(
            family, params, origin, trusted_to, settings, thresholded, traded, leaf, order[begin:end], grouped, place,
            work, kinds, slot, block,
        )  # fmt: skip
        begin = end
    return block


@helper
def costs_of(settings: Floats, i: int) -> float:
    """Sum of what trading an instrument costs: 0 where it costs nothing."""
    return settings[s.BUY_COST, i] + settings[s.SELL_COST, i] + settings[s.FIXED_COST, i]


@helper
def _set_costs(settings: Floats, work: Floats, at: int, i: int) -> None:
    """Note what is held and what trading costs; without costs what is held makes no difference."""
    work[at + HELD * LANES] = settings[s.CURRENT, i] if costs_of(settings, i) > 0.0 else 0.0
    work[at + BUY * LANES], work[at + SELL * LANES] = settings[s.BUY_COST, i], settings[s.SELL_COST, i]
    work[at + FIXED * LANES] = settings[s.FIXED_COST, i]


@helper
def _moved(family: int, p: Params, place: int) -> Params:
    """Coefficients of a curve whose steps, if it has any, lie `place` further on."""
    return (
        p[coefficients.A],
        p[coefficients.B],
        p[coefficients.C],
        (p[coefficients.D] + place if family == families.LADDER else p[coefficients.D]),
    )


@routine
def _stretch(
    family: int, p: Params, origin: float, steps: Floats, least: float, trusted_to: float
) -> tuple[float, float]:
    """First stretch on [0, trusted_to] with an efficiency of at least `least`; (inf, NOWHERE) where there is none."""
    at_zero = dispatch.value(family, p, origin, steps, 0.0)
    falls = rises = math.inf
    if not dispatch.is_level(family, p, steps):
        falls, rises = dispatch.crossings(family, p, origin, steps, least)
    begins = 0.0 if at_zero >= least else rises
    if not 0.0 <= begins <= trusted_to or begins == math.inf:
        return math.inf, NOWHERE
    return begins, falls if begins <= falls <= trusted_to else trusted_to


@helper
def threshold_of(settings: Floats, i: int, thresholded: bool) -> float:
    """Least efficiency of an instrument; a second solve has no such threshold."""
    return max(settings[s.MIN_EFFICIENCY, i], 0.0) if thresholded else 0.0


@helper
def share_bound(settings: Floats, total: float, i: int) -> float:
    """Bound by `max_share`; a share of 1 is none."""
    share = settings[s.MAX_SHARE, i]
    return share * total if share < 1.0 else math.inf


@helper
def highest(trusted_to: Floats, settings: Floats, last: float, total: float, i: int) -> float:
    """H: the smallest bound from above."""
    return min(min(settings[s.UPPER, i], share_bound(settings, total, i)), min(trusted_to[i], last))


@routine
def bound_domains(
    trusted_to: Floats,
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
        lower = max(settings[s.LOWER, i], floor)
        first, last = work[at + FIRST * LANES], work[at + LAST * LANES]
        high = highest(trusted_to, settings, last, total, i)
        low = max(max(lower, settings[s.MIN_TICKET, i]), first)
        lot = settings[s.LOTS, i]
        if lot > 0.0:  # what holds anything holds a lot
            low, high = whole_up(max(low, lot), lot), whole_down(high, lot)
        state = FREE
        if lower > 0.0:
            if last < 0.0:
                return status_of.NO_CURVE_FORCED, i, lower
            if low > high * (1.0 + AT_BOUND):
                return status_of.NO_ROOM, i, low - high
            low = min(low, high)
            state = FORCED
            forced, rest = two_sum(forced, rest, low)
        elif (low > high) | (high <= 0.0):
            state = CLOSED
        work[at + LOW * LANES], work[at + HIGH * LANES], work[at + STATE * LANES] = low, high, state
    left = (money - forced) - rest
    if left < -AT_BOUND * money:
        return status_of.LOWER_ABOVE_MONEY, -1, -left
    left = max(left, 0.0)
    room = 0.0
    for i in range(n):
        at = slot[i]
        low, high, state = work[at + LOW * LANES], work[at + HIGH * LANES], work[at + STATE * LANES]
        most = left + (low if state == FORCED else 0.0)
        reach = min(high, 2.0 * most)
        if (state == FREE) & (low > left + AT_BOUND * money):
            state = CLOSED
        lot = settings[s.LOTS, i]
        if lot > 0.0:
            most = whole_down(most + AT_BOUND * money, lot)
            reach = max(min(high, most), low)
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
            build(work, at, kinds[at // BLOCK])
    if exactly & (room < money * (1.0 - AT_BOUND)):
        return status_of.TOO_LITTLE_ROOM, -1, money - room
    return status_of.OPTIMAL, -1, 0.0
