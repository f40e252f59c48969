"""Amounts that are whole multiples of a lot.

Multiples are made in one way everywhere, lot·k rounded once, so that equal amounts have equal bits.
"""

from __future__ import annotations

import math

from escala.kernels.allocation.balance import half_of
from escala.kernels.allocation.envelope import (
    BASE,
    BEYOND,
    BUY_TO,
    ENTER,
    EXIT_AT,
    HALF,
    HELD,
    HIGH,
    LANES,
    LEAVE,
    LOT,
    LOW,
    NEAR,
    SELL_FROM,
    STAYS,
)
from escala.kernels.allocation.halves import net
from escala.kernels.jit import Floats, helper, routine

MOST_LOTS = 2.0**52  # beyond, the lot is smaller than what amounts are rounded to
A_MULTIPLE = 2.0**-50  # relative: an amount closer to a multiple than that is one


@helper
def whole_down(x: float, lot: float) -> float:
    """Give the largest multiple of a lot that is no more than x, but for rounding."""
    k = x / lot
    if not abs(k) < MOST_LOTS:
        return x
    nearest = math.floor(k + 0.5)
    return (nearest if nearest - k <= A_MULTIPLE * nearest else math.floor(k)) * lot


@helper
def whole_up(x: float, lot: float) -> float:
    """Give the smallest multiple of a lot that is no less than x, but for rounding."""
    k = x / lot
    if not abs(k) < MOST_LOTS:
        return x
    nearest = math.floor(k + 0.5)
    return (nearest if k - nearest <= A_MULTIPLE * nearest else math.ceil(k)) * lot


@helper
def more_lots(x: float, lot: float, count: float) -> float:
    """Give the multiple of a lot that is so many lots above, or below, another."""
    k = x / lot
    return math.floor(k + count + 0.5) * lot if k < MOST_LOTS else x + count * lot


@routine
def _chord(work: Floats, at: int, x: float) -> tuple[float, float]:
    """Ends of the chord of the envelope above a capital; the capital itself where there is none."""
    if work[at + HALF * LANES] != 0.0:
        held, begin, end = work[at + HELD * LANES], work[at + SELL_FROM * LANES], work[at + BUY_TO * LANES]
        if (begin < x) & (x < max(end, held)):
            if work[at + STAYS * LANES] == 0.0:
                return begin, end
            if x == held:
                return x, x
            return (begin, held) if x < held else (held, end)
    lane = half_of(work, at, x)
    base, enter = work[lane + BASE * LANES], work[lane + ENTER * LANES]
    leave, last = work[lane + LEAVE * LANES], work[lane + EXIT_AT * LANES]
    if (base < x) & (x < enter):
        return base, enter
    return (leave, last) if (leave < x) & (x < last) else (x, x)


@routine
def above_utility(work: Floats, at: int, kind: int, x: float) -> float:
    """Give the envelope's height, net of what trading costs, at a capital within the domain."""
    begin, end = _chord(work, at, x)
    here = net(work, at, kind, x)
    if begin == end:
        return here
    part = (x - begin) / (end - begin)
    return max((1.0 - part) * net(work, at, kind, begin) + part * net(work, at, kind, end), here)


@routine
def in_chord(work: Floats, at: int, x: float) -> bool:
    """Whether the envelope is a chord above a capital."""
    begin, end = _chord(work, at, x)
    return begin != end


@routine
def best_lots(work: Floats, at: int, kind: int, price: float) -> tuple[float, float]:
    """Find what whole lots are worth at most at a price of money, and how much capital that is.

    The envelope falls away on both sides of the best capital, so it is highest at the multiples next to that. Where it
    is a chord there, that is more than any multiple is worth: a bound.
    """
    lot, x = work[at + LOT * LANES], work[at + NEAR * LANES]
    low, high = work[at + LOW * LANES], work[at + HIGH * LANES]
    own = price + work[at + BEYOND * LANES]
    less = min(max(whole_down(x, lot), low), high)
    best = above_utility(work, at, kind, less) - own * less
    if less >= x:
        return best, less
    more = min(more_lots(less, lot, 1.0), high)
    worth = above_utility(work, at, kind, more) - own * more
    return (worth, more) if worth > best else (best, less)
