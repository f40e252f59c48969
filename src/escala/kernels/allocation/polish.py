"""The last steps of an answer: one price for all, amounts that add up to the money, and the gap."""

from __future__ import annotations

import math

from escala.kernels.allocation import envelope
from escala.kernels.allocation.balance import AT_BOUND, ROUNDING, unfilled
from escala.kernels.allocation.envelope import (
    AMOUNT,
    BEST,
    BLOCK,
    BUY,
    FREE,
    HALF,
    HELD,
    LANES,
    LOT,
    LOW,
    ROOT_LOW,
    ROOT_REACH,
    SELL,
    STATE,
    WEIGHT,
    Span,
    worth,
)
from escala.kernels.allocation.groups import Groups, crosses, room_in_groups, sum_groups
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import families
from escala.kernels.layout import solution as f

SETTLED = 1e-9  # relative: less unspent money is a rounding error of the search
FEW = 8  # amounts that are added in their order, whoever adds them
MARGIN = 2.0**-50  # of the money: what sums of more amounts may be rounded by
KINKED = 1e-9  # closer to 1 efficiency counts as 1
POLISH_STEPS = 12
LEVELLED = 1e-13  # relative: closer marginal utilities are one price


@helper
def _between(work: Floats, at: int) -> bool:
    """Whether the best amount lies inside the instrument's own bounds."""
    x = work[at + BEST * LANES]
    low, high = work[at + ROOT_LOW * LANES], work[at + ROOT_REACH * LANES]
    return (x > low * (1.0 + AT_BOUND)) & (x < high * (1.0 - AT_BOUND)) & (x > 0.0) & (not kept(work, at, x))


@helper
def kept(work: Floats, at: int, x: float) -> bool:
    """Whether a capital is what is held, and trading costs something."""
    return (work[at + HALF * LANES] != 0.0) & (x == work[at + HELD * LANES])


@helper
def rate(work: Floats, at: int, x: float) -> float:
    """What trading adds to the cost of the next unit of capital."""
    moved = work[at + BUY * LANES] if x > work[at + HELD * LANES] else -work[at + SELL * LANES]
    return moved if work[at + HALF * LANES] != 0.0 else 0.0


@helper
def next_rate(work: Floats, at: int, x: float) -> float:
    """What trading adds to the cost of a unit more than a capital: bought, or not sold."""
    return work[at + BUY * LANES] if x >= work[at + HELD * LANES] else -work[at + SELL * LANES]


@helper
def _ends(work: Floats, at: int, x: float) -> tuple[float, float]:
    """Least and most capital on the same side of what is held."""
    low, high = work[at + ROOT_LOW * LANES], work[at + ROOT_REACH * LANES]
    if work[at + HALF * LANES] == 0.0:
        return low, high
    held = work[at + HELD * LANES]
    return (max(low, held), high) if x > held else (low, min(high, held))


@helper
def _interior(work: Floats, at: int, kind: int) -> bool:
    """Whether the best amount lies where the instrument's own marginal utility sets the price, and bends."""
    if (kind == families.LADDER) | (not _between(work, at)):
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
    if kind == families.LADDER:
        return envelope.step_price(work, at, x) - rate(work, at, x)
    value = envelope.eta(work, at, kind, x)
    if value > 1.0 + KINKED:
        return work[at + WEIGHT * LANES] - rate(work, at, x)
    level = envelope.weighted_curvature(work, at, kind, x) == 0.0
    return work[at + WEIGHT * LANES] * min(max(value, 0.0), 1.0) - rate(work, at, x) if level else -math.inf


@routine
def leave_alone(work: Floats, slot: Integers, money: float) -> None:
    """Make no trade of a rounding error."""
    for i in range(slot.size):
        at = slot[i]
        moved = abs(work[at + BEST * LANES] - work[at + HELD * LANES])
        any_amount = work[at + LOT * LANES] == 0.0
        if (work[at + HALF * LANES] != 0.0) & (moved <= AT_BOUND * money) & any_amount:
            work[at + BEST * LANES] = work[at + HELD * LANES]


@routine
def level_marginals(
    work: Floats,
    kinds: Integers,
    blocks: Span,
    sums: Floats,
    slot: Integers,
    money: float,
    hurdle: float,
    found: Floats,
) -> bool:
    """Newton steps that bring the marginal utilities of the interior amounts to one price, at the same total.

    An instrument on a straight stretch sets the price itself; then the others follow it. False if no amount sets any.
    """
    for i in range(slot.size):
        at = slot[i]
        x = work[at + BEST * LANES]
        if (work[at + ROOT_LOW * LANES] == 0.0) & (x < AT_BOUND * money) & (not kept(work, at, x)):
            work[at + BEST * LANES] = 0.0  # left by rounding
    slack = unfilled(work, slot, money, BEST) > SETTLED * money
    straight = -math.inf
    for i in range(slot.size):
        at = slot[i]
        straight = max(straight, _straight_price(work, at, kinds[at // BLOCK]))
    if straight > -math.inf:
        found[f.SHADOW_PRICE] = straight
        return True
    priced = False
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
                ask += (envelope.weighted_marginal(work, at, kind, x) - rate(work, at, x)) / bend
        price = hurdle
        if not slack:
            price = ask / slopes if slopes != 0.0 else math.nan
        if not abs(price) < math.inf:
            return priced
        apart = 0.0
        for i in range(slot.size):
            at = slot[i]
            kind = kinds[at // BLOCK]
            x = work[at + BEST * LANES]
            work[at + AMOUNT * LANES] = x
            if _interior(work, at, kind):
                off = price - (envelope.weighted_marginal(work, at, kind, x) - rate(work, at, x))
                apart = max(apart, abs(off))
                moved = x + off / envelope.weighted_curvature(work, at, kind, x)
                low, high = _ends(work, at, x)
                moved = min(max(moved, low), high)
                work[at + AMOUNT * LANES] = moved
        if apart <= LEVELLED * abs(price):
            found[f.SHADOW_PRICE] = price
            return True
        if flattest >= 0:
            at = slot[flattest]
            work[at + AMOUNT * LANES] = work[at + BEST * LANES]
            moved = work[at + BEST * LANES] + unfilled(work, slot, money, AMOUNT)
            low, high = _ends(work, at, work[at + BEST * LANES])
            moved = min(max(moved, low), high)
            work[at + AMOUNT * LANES] = moved
        over = -unfilled(work, slot, money, AMOUNT)
        value, size, _ = worth(work, kinds, blocks, sums, AMOUNT, hurdle)
        spent = (over <= AT_BOUND * money) & (slack | (over >= -AT_BOUND * money))
        if not (spent & (value >= found[f.UTILITY] - ROUNDING * size)):
            return priced
        for i in range(slot.size):
            work[slot[i] + BEST * LANES] = work[slot[i] + AMOUNT * LANES]
        found[f.UTILITY] = value
        found[f.SHADOW_PRICE] = price
        priced = True
    return priced


@helper
def first_unit(work: Floats, at: int, kind: int) -> float:
    """What the first unit of capital returns, net of what trading it costs."""
    value = min(max(envelope.eta(work, at, kind, 0.0), 0.0), 1.0)
    return work[at + WEIGHT * LANES] * value - next_rate(work, at, 0.0)


@routine
def first_price(work: Floats, kinds: Integers, slot: Integers, hurdle: float) -> float:
    """Highest marginal utility of the first unit of money, where there is none yet."""
    price = hurdle
    for i in range(slot.size):
        at = slot[i]
        if (work[at + STATE * LANES] == FREE) & (work[at + LOW * LANES] == 0.0):
            price = max(price, first_unit(work, at, kinds[at // BLOCK]))
    return price


@routine
def state_gap(
    work: Floats, kinds: Integers, blocks: Span, sums: Floats, hurdle: float, scale: float, found: Floats
) -> None:
    """State the utility of the best amounts, and the gap: 0 if it is rounding of values of size `scale`."""
    found[f.UTILITY], _, _ = worth(work, kinds, blocks, sums, BEST, hurdle)
    found[f.UPPER_BOUND] = max(found[f.UPPER_BOUND], found[f.UTILITY])
    left = found[f.UPPER_BOUND] - found[f.UTILITY]
    found[f.GAP] = left / abs(found[f.UPPER_BOUND]) if left > ROUNDING * scale else 0.0
    if left == math.inf:
        found[f.GAP] = 1.0  # no bound is known


@routine
def settle(work: Floats, slot: Integers, money: float, groups: Groups) -> None:
    """Make the best amounts add up to the money, and never to more, however they are added."""
    unspent = unfilled(work, slot, money, BEST)
    if unspent > SETTLED * money:
        return
    spare = 0.0 if slot.size < FEW else money * MARGIN
    more = unspent > 0.0
    for _ in range(4):
        most = 0.0
        chosen = -1
        sum_groups(work, groups)
        for i in range(slot.size):
            at = slot[i]
            x = work[at + BEST * LANES]
            low, high = _ends(work, at, x)
            room = min(x - low, high - x) if (x > 0.0) & (not kept(work, at, x)) else 0.0
            room = min(room, room_in_groups(work, at, more, groups))
            if room > most:
                most = room
                chosen = i
        short = unfilled(work, slot, money, BEST) - spare
        if chosen < 0:
            if short >= 0.0:
                return
            for i in range(slot.size):  # all at their bounds, which add up to a rounding error too much
                x = work[slot[i] + BEST * LANES]
                fixed = kept(work, slot[i], x) | (work[slot[i] + LOT * LANES] > 0.0)
                if not fixed and (chosen < 0 or x > work[slot[chosen] + BEST * LANES]):
                    chosen = i
            if chosen < 0 or work[slot[chosen] + BEST * LANES] + short < 0.0:
                return  # what is held is not traded for a rounding error, and nothing else is there to take it from
        at = slot[chosen]
        if crosses(groups) & (short > most):  # the others are full: less is spent
            short = most
        work[at + BEST * LANES] += short
        total = 0.0
        if slot.size < FEW:
            for i in range(slot.size):
                total += work[slot[i] + BEST * LANES]
        if total <= money and unfilled(work, slot, money, BEST) >= 0.0:
            return
        spare += money * 2.0**-53
