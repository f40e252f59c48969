"""The total at which an allocation meets a target: problems asked backwards.

Three questions, each answered by allocations of one total after another: the least money whose allocation returns a
utility; the most whose whole keeps an efficiency; and the money at which the next unit returns no more than a marginal
utility. The total is found by Newton's method inside a bracket: the best utility V of a total rises by the shadow
price, and where utilities bend downwards so does it, so the steps come from one side and never pass the answer.
Elsewhere V may jump; the bracket closes on the jump.

The efficiency of the whole falls with the total where all instruments weigh alike, bend downwards from the first unit
on, cost nothing to trade and must hold nothing. Elsewhere it may fall below a target and come back to it, and what is
asked for is the last total that keeps it: totals are tried from the highest downwards until one does.
"""

from __future__ import annotations

import math

from escala.kernels.allocation import envelope
from escala.kernels.allocation.envelope import (
    BASE,
    BLOCK,
    CLOSED,
    ENTER,
    EXIT_AT,
    HALF,
    LANES,
    LEAVE,
    LOW,
    STATE,
    WEIGHT,
)
from escala.kernels.jit import Floats, Integers, routine
from escala.kernels.layout import allocation_status as status_of
from escala.kernels.layout import quest as q
from escala.kernels.layout import solution as f
from escala.kernels.layout import targets as kind

MET = 1e-12  # relative: a target is met if it is missed by no more
MOST_TOTALS = 200  # of one search
NO_TOTAL = 1e-12  # of the ceiling: less money is none
NEXT_BELOW = 0.917004043204671  # the eighth root of a half: from one total that is tried to the next,
FINE = 80  # so many times, then a half


@routine
def begin(goal: int, target: float, ceiling: float, best: float, kept: float, quest: Floats) -> float:
    """Give the first total to try; `best` is the most that a unit can return beyond the hurdle, `kept` 1 − reserve."""
    quest[q.LOW], quest[q.HIGH], quest[q.CEILING] = 0.0, math.inf, ceiling
    quest[q.TRIED], quest[q.NEAREST], quest[q.LAST], quest[q.KEPT] = 0, math.nan, 0.0, kept
    quest[q.SCANNED] = 0.0
    first = ceiling
    if goal == kind.UTILITY:  # no money can return more than that
        first = min(max(target, 0.0) / (best * kept), ceiling) if best > 0.0 else ceiling
    quest[q.AT] = first
    return first


@routine
def efficient(work: Floats, kinds: Integers, slot: Integers, amounts: Floats) -> tuple[float, float]:
    """Sums of what is placed, and of what is left of it by efficiency."""
    placed = returned = 0.0
    for i in range(slot.size):
        x = amounts[i]
        if x > 0.0:
            at = slot[i]
            placed += x
            returned += x * min(max(envelope.eta(work, at, kinds[at // BLOCK], x), 0.0), 1.0)
    return placed, returned


@routine
def _go(total: float, quest: Floats) -> bool:
    """Try another total; False where it is the last one again, or there were too many: AT is one that was tried."""
    going = (total != quest[q.AT]) & (quest[q.TRIED] <= MOST_TOTALS)
    quest[q.AT] = total if going else quest[q.AT]
    quest[q.TRIED] += 1
    return going


@routine
def _closed(quest: Floats) -> bool:
    """Whether the bracket is as small as it gets: what is left is to go to its sound end."""
    return (quest[q.HIGH] - quest[q.LOW] <= MET * quest[q.HIGH]) | (quest[q.TRIED] >= MOST_TOTALS)


@routine
def _give_up(nearest: float, solution: Floats) -> bool:
    """End without an answer; the nearest target that can be met is told."""
    solution[f.STATUS], solution[f.EXCESS], solution[f.CULPRIT] = status_of.TARGET_MISSED, nearest, -1
    return False


@routine
def _within(candidate: float, quest: Floats) -> float:
    """Keep a candidate inside the bracket, and halve that now and then."""
    low, high = quest[q.LOW], quest[q.HIGH]
    if (not low < candidate < high) | (int(quest[q.TRIED]) % 8 == 7):
        return 0.5 * (low + high)
    return candidate


@routine
def follow_utility(target: float, solution: Floats, quest: Floats) -> bool:
    """Go on looking for the least money that returns a utility; False at the end."""
    total, ceiling = quest[q.AT], quest[q.CEILING]
    answered = solution[f.STATUS] < status_of.NO_ROOM
    value = solution[f.UTILITY] if answered else -math.inf
    slope = solution[f.DUAL_PRICE] * quest[q.KEPT] if answered else math.nan
    off = target - value
    candidate = total + off / slope
    if off <= MET * abs(target):
        if (off >= -MET * abs(target)) | (total == 0.0):
            return False
        quest[q.HIGH] = total
    else:
        if total >= ceiling:
            return _give_up(value, solution) if answered else False
        quest[q.LOW] = total
        if quest[q.HIGH] == math.inf:
            return _go(min(candidate, ceiling) if candidate > total else ceiling, quest)
    if _closed(quest):
        return _go(quest[q.HIGH], quest)
    return _go(_within(candidate, quest), quest)


@routine
def falls(work: Floats, slot: Integers) -> bool:
    """Whether the efficiency of the whole can only fall with the total, as far as the instruments are concerned."""
    weight, first = 0.0, True
    for i in range(slot.size):
        at = slot[i]
        if work[at + STATE * LANES] == CLOSED:
            continue
        plain = (work[at + HALF * LANES] == 0.0) & (work[at + LOW * LANES] == 0.0)
        enters = work[at + ENTER * LANES] <= work[at + BASE * LANES]
        bends_down = enters & (work[at + EXIT_AT * LANES] <= work[at + LEAVE * LANES])
        other = (not first) & (weight != work[at + WEIGHT * LANES])
        if other | (not (plain & bends_down)):
            return False
        weight, first = work[at + WEIGHT * LANES], False
    return True


@routine
def _try_next_below(solution: Floats, quest: Floats) -> bool:
    """Go on to the next lower total, this one not keeping the efficiency; False where none is left."""
    quest[q.HIGH] = quest[q.AT]
    quest[q.SCANNED] += 1.0
    quest[q.AT] *= NEXT_BELOW if quest[q.SCANNED] <= FINE else 0.5
    if quest[q.AT] > NO_TOTAL * quest[q.CEILING]:
        return True
    return _give_up(quest[q.NEAREST], solution)


@routine
def _close_on_low(candidate: float, solution: Floats, quest: Floats) -> bool:
    """Go on inside the bracket, at its end to its lower side; give up where nothing there was sound."""
    closed = _closed(quest)
    if (quest[q.HIGH] <= NO_TOTAL * quest[q.CEILING]) | (closed & (quest[q.LAST] == 0.0)):
        return _give_up(quest[q.NEAREST], solution)
    return _go(quest[q.LOW] if closed else _within(candidate, quest), quest)


@routine
def follow_efficiency(
    target: float, placed: float, returned: float, once: bool, solution: Floats, quest: Floats
) -> bool:
    """Go on looking for the most money whose whole keeps an efficiency; False at the end.

    `once`: with more money it can only fall, so there is one total at which it crosses the target. Else totals are
    tried downwards from the ceiling, and the bracket lies between the first that keeps it (or has no answer) and the
    one before.
    """
    total, ceiling = quest[q.AT], quest[q.CEILING]
    answered = (solution[f.STATUS] < status_of.NO_ROOM) & (placed > 0.0)
    off = returned - target * placed
    short = answered & (off < -MET * placed)
    if answered and not quest[q.NEAREST] >= returned / placed:
        quest[q.NEAREST] = returned / placed
    scanning = (quest[q.SCANNED] > 0.0) | ((quest[q.TRIED] == 0.0) & short & (not once))
    if scanning:
        if short:
            return _try_next_below(solution, quest)
        quest[q.SCANNED], quest[q.TRIED] = 0.0, 1.0
    if answered:
        if (abs(off) <= MET * placed) & (not scanning):
            return False
        if not short:
            if total >= ceiling:  # all that is placed keeps it
                return _go(min(placed / quest[q.KEPT], total), quest)
            quest[q.LOW], quest[q.LAST] = total, 1.0
        else:
            quest[q.HIGH] = total
    elif total >= ceiling:
        return _give_up(math.nan, solution) if solution[f.STATUS] < status_of.NO_ROOM else False
    else:
        quest[q.LOW] = max(quest[q.LOW], total)
    slope = (solution[f.SHADOW_PRICE] - target) * quest[q.KEPT] if answered else math.nan
    candidate = total - off / slope if slope < 0.0 else math.nan
    return _close_on_low(candidate, solution, quest)


@routine
def follow_marginal(target: float, placed: float, first: float, shares: bool, solution: Floats, quest: Floats) -> bool:
    """Go on looking for the money at which the next unit returns a marginal utility; False at the end.

    As long as LAST is 0 the allocation is one in which money elsewhere returns the target; then the same total is
    allocated as it was asked for.
    """
    total = quest[q.AT]
    if quest[q.LAST] != 0.0:
        if quest[q.NEAREST] == quest[q.NEAREST]:
            return _give_up(first if total == 0.0 else solution[f.SHADOW_PRICE], solution)
        return False
    if not solution[f.STATUS] < status_of.NO_ROOM:
        return False
    needed = min(placed / quest[q.KEPT], total)
    ends = (not shares) | (total - needed <= MET * total) | (quest[q.TRIED] >= MOST_TOTALS)
    following = needed
    if quest[q.TRIED] > 0.0:  # what is placed rises in straight stretches, more slowly with more money
        rise = (needed - quest[q.HIGH]) / (total - quest[q.LOW])
        meets = (needed - rise * total) / (1.0 - rise)
        following = meets if meets < needed else needed
    quest[q.LOW], quest[q.HIGH] = total, needed
    quest[q.AT] = following if total - needed > MET * total else total
    quest[q.TRIED] += 1
    if ends:
        quest[q.LAST] = 1.0
        short = (total == quest[q.CEILING]) & (total - needed <= MET * total)
        missed = short & (solution[f.SHADOW_PRICE] > target * (1.0 + MET)) | (placed == 0.0)
        quest[q.NEAREST] = 0.0 if missed else math.nan
    return True
