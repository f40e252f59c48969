"""What one more unit of the money, and of the limit of each group, returns, where a search has found the amounts.

The prices of a search belong to a part of its problem, in which instruments are kept in or out; and where an envelope
has a chord no price is that of its amounts. Here they are read from the amounts: an instrument that may hold a little
more returns what its own next unit does, and what lies in a group that is at its limit cannot take from around it. What
is kept out as a whole, by a ticket or by a fixed cost, takes no next unit.
"""

from __future__ import annotations

import math

from escala.kernels.allocation.balance import AT_BOUND, unfilled
from escala.kernels.allocation.domains import highest
from escala.kernels.allocation.envelope import BEST, BLOCK, FIRST, FIXED, HALF, HELD, LANES, LAST, ROOT_LOW
from escala.kernels.allocation.explain import slopes
from escala.kernels.allocation.groups import AT_LIMIT, Groups, at_limit, sum_groups
from escala.kernels.allocation.polish import SETTLED, first_unit, kept, next_rate, rate
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import fences as fence
from escala.kernels.layout import forest as tree
from escala.kernels.layout import settings as s
from escala.kernels.layout import solution as f

ONE_SLOPE = 1e-9  # of the next unit's: the last one returned the same


@helper
def _takes_no_more(
    trusted_to: Floats, settings: Floats, total: float, money: float, work: Floats, at: int, i: int, x: float
) -> bool:
    """Whether an instrument is at its own bound, or kept out as a whole."""
    most = highest(trusted_to, settings, work[at + LAST * LANES], total, i)
    if not x < most * (1.0 - AT_BOUND):
        return True
    if (x == 0.0) & (max(settings[s.MIN_TICKET, i], work[at + FIRST * LANES]) > AT_BOUND * money):
        return True
    return (work[at + HALF * LANES] != 0.0) & (x == work[at + HELD * LANES]) & (work[at + FIXED * LANES] > 0.0)


@routine
def _levels(
    trusted_to: Floats, settings: Floats, total: float, money: float, work: Floats, kinds: Integers, slot: Integers,
    groups: Groups,
) -> tuple[float, float]:  # fmt: skip
    """Find what next units return at most, group by group, and what those do that returned as much before.

    PRICE and FULL_AT of the groups; gives both of what lies in no group that is at its limit, −inf where there is none.
    """
    forest, fences, _, _, _ = groups
    next_unit = inside = -math.inf
    for k in range(forest.shape[1]):
        fences[fence.PRICE, k] = fences[fence.FULL_AT, k] = -math.inf
    for i in range(slot.size):
        at = slot[i]
        x = work[at + BEST * LANES]
        if _takes_no_more(trusted_to, settings, total, money, work, at, i, x):
            continue
        kind = kinds[at // BLOCK]
        before, after = slopes(work, at, kind, x)
        more = after + rate(work, at, x) - next_rate(work, at, x) if x > 0.0 else first_unit(work, at, kind)
        if not more > -math.inf:
            continue
        between = (x > work[at + ROOT_LOW * LANES] * (1.0 + AT_BOUND)) & (x > 0.0) & (not kept(work, at, x))
        settles = between & (before - after <= ONE_SLOPE * abs(after))
        k = at_limit(work, at, money, groups)
        if k >= 0:
            fences[fence.PRICE, k] = max(fences[fence.PRICE, k], more)
            if settles:
                fences[fence.FULL_AT, k] = max(fences[fence.FULL_AT, k], more)
        else:
            next_unit = max(next_unit, more)
            if settles:
                inside = max(inside, more)
    return next_unit, inside


@routine
def state_prices(
    trusted_to: Floats, settings: Floats, total: float, money: float, hurdle: float, exactly: bool, work: Floats,
    kinds: Integers, slot: Integers, groups: Groups, found: Floats,
) -> None:  # fmt: skip
    """State the shadow price, and the price of every group: FOUND. Groups must not overlap."""
    forest, fences, _, _, _ = groups
    sum_groups(work, groups)
    next_unit, inside = _levels(trusted_to, settings, total, money, work, kinds, slot, groups)
    price = inside if inside > -math.inf else next_unit
    if (not exactly) & ((unfilled(work, slot, money, BEST) > SETTLED * money) | (price < hurdle)):
        price = hurdle
    if price > -math.inf:
        found[f.SHADOW_PRICE] = price
    price = found[f.SHADOW_PRICE]
    for k in range(forest.shape[1] - 1, -1, -1):
        parent = forest[tree.PARENT, k]
        around = fences[fence.PRICE, parent] if parent >= 0 else price
        most, least, holds = fences[fence.MOST, k], fences[fence.LEAST, k], fences[fence.HOLDS, k]
        level = fences[fence.FULL_AT, k] if fences[fence.FULL_AT, k] > -math.inf else fences[fence.PRICE, k]
        level = level if level > -math.inf else around
        full, short = holds >= most - AT_LIMIT * money, (least > 0.0) & (holds <= least + AT_LIMIT * money)
        beyond = level - around
        beyond = beyond if full | (beyond < 0.0) else 0.0
        beyond = beyond if short | (beyond > 0.0) else 0.0
        fences[fence.FOUND, k] = beyond
        fences[fence.PRICE, k] = around + beyond
