"""The greedy rule: increments, each to the highest marginal utility."""

from __future__ import annotations

from escala.kernels.allocation import envelope
from escala.kernels.allocation.balance import AT_BOUND, unfilled
from escala.kernels.allocation.envelope import (
    BEST,
    BLOCK,
    CLOSED,
    FORCED,
    LANES,
    LAST,
    LOW,
    REACH,
    STATE,
    WEIGHT,
    WORTH,
)
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import families


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
    if kind == families.LADDER:  # at a knot that of the step that begins there
        return envelope.weighted_marginal(work, at, kind, x * (1.0 + AT_BOUND))
    value = envelope.eta(work, at, kind, x)
    if value >= 1.0:
        falling = envelope.eta(work, at, kind, x * (1.0 + AT_BOUND)) < 1.0
        weight = work[at + WEIGHT * LANES]
        return min(weight, envelope.weighted_marginal(work, at, kind, x)) if falling else weight
    return envelope.weighted_marginal(work, at, kind, x) if value >= 0.0 else 0.0


@routine
def climb(
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
