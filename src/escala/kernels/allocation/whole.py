"""Allocations with whole lots and a limit of how many instruments hold anything, and where to split what is left.

At the price that makes the bound lowest the chosen instruments leave money, and a little below it they ask for more
than there is. Both sides are tried: the chosen hold what they hold, in whole lots; what may hold any amount is then
solved anew with the rest. Where all amounts are whole, lots are added, taken away and exchanged while that gains.
"""

from __future__ import annotations

import math

from escala.kernels.allocation.balance import AT_BOUND, inside_chord
from escala.kernels.allocation.counted import (
    Counts,
    Lanes,
    Terms,
    answer_all,
    build_holding,
    charge_groups,
    free_of_groups,
    take_root_prices,
    value_nothing,
    within,
)
from escala.kernels.allocation.dual import relax
from escala.kernels.allocation.envelope import (
    AMOUNT,
    BEST,
    BLOCK,
    CLOSED,
    FORCED,
    FREE,
    HIGH,
    LANES,
    LEAF,
    LOT,
    LOW,
    REACH,
    ROOT_HIGH,
    ROOT_LOW,
    ROOT_REACH,
    ROOT_STATE,
    STATE,
    SUNK,
    WORTH,
    two_sum,
    worth,
)
from escala.kernels.allocation.groups import Groups
from escala.kernels.allocation.halves import net
from escala.kernels.allocation.lots import in_chord, more_lots, whole_down
from escala.kernels.jit import helper, routine
from escala.kernels.layout import fences as fence
from escala.kernels.layout import forest as tree
from escala.kernels.layout import whole as w

MOST_MOVES = 64  # of lots, to improve an allocation
MOST_PAIRS = 200_000  # that are looked at for it
GAINS = 1e-14  # relative: less is no gain
APART = 1e-9  # of the money: sides closer to each other are the same


@routine
def note_domains(lanes: Lanes) -> None:
    """Note the domains of a node, before allocations are tried in parts of them."""
    work, _, _, _, slot, ledger, _, _ = lanes
    for i in range(slot.size):
        at = slot[i]
        ledger[w.LOW, i], ledger[w.HIGH, i] = work[at + LOW * LANES], work[at + HIGH * LANES]
        ledger[w.REACH, i], ledger[w.STATE, i] = work[at + REACH * LANES], work[at + STATE * LANES]


@routine
def _set_domain(lanes: Lanes, i: int, low: float, high: float, reach: float, state: float) -> None:
    """Give an instrument another domain for a while."""
    work, kinds, _, _, slot, _, _, dirty = lanes
    at = slot[i]
    same = (work[at + LOW * LANES] == low) & (work[at + HIGH * LANES] == high)
    same &= (work[at + STATE * LANES] == CLOSED) == (state == CLOSED)
    work[at + LOW * LANES], work[at + HIGH * LANES], work[at + REACH * LANES] = low, high, reach
    work[at + STATE * LANES] = state
    dirty[i] = 1
    if not same:
        build_holding(work, at, kinds[at // BLOCK])


@routine
def _hold_trial(lanes: Lanes, rest_is_open: bool, whole: bool) -> int:
    """Close what holds nothing in a trial, and (if `whole`) fix lots; returns how many may hold any amount.

    What may be empty and has no least amount stays open if `rest_is_open`.
    """
    work, _, _, _, slot, ledger, _, _ = lanes
    loose = 0
    for i in range(slot.size):
        x, state, lot = ledger[w.TRIAL, i], ledger[w.STATE, i], work[slot[i] + LOT * LANES]
        low, high = ledger[w.LOW, i], ledger[w.HIGH, i]
        stays = rest_is_open & (state == FREE) & (low == 0.0) & (lot == 0.0)
        if (x == 0.0) & (state != FORCED) & (not stays):
            _set_domain(lanes, i, 0.0, 0.0, 0.0, CLOSED)
        elif whole & (lot > 0.0):
            _set_domain(lanes, i, x, x, x, FORCED)
        else:
            _set_domain(lanes, i, low, high, ledger[w.REACH, i], FREE if stays else FORCED)
            loose += high > low
    return loose


@routine
def _relax_trial(lanes: Lanes, terms: Terms, groups: Groups, price: float) -> tuple[float, float]:
    """Solve within the domains that a trial left: price and value, −inf where there is no allocation."""
    work, kinds, blocks, sums, slot, _, _, _ = lanes
    money, hurdle, floor, scale, _, exactly = terms
    least = most = 0.0
    for i in range(slot.size):
        at = slot[i]
        if work[at + STATE * LANES] == FORCED:
            least += work[at + LOW * LANES]
        most += work[at + HIGH * LANES]
    slack = AT_BOUND * money
    if (least > money + slack) | (exactly & (most < money - slack)):
        return price, -math.inf
    free_of_groups(lanes, groups)
    price, _, _, value, _ = relax(work, kinds, blocks, sums, slot, money, hurdle, floor, price, scale, groups)
    return price, value


@routine
def _keep(lanes: Lanes, value: float, price: float, best: float, shadow: float) -> tuple[float, float]:
    if not value > best:
        return best, shadow
    work, _, _, _, slot, _, _, _ = lanes
    for i in range(slot.size):
        work[slot[i] + BEST * LANES] = work[slot[i] + AMOUNT * LANES]
    return value, price


@routine
def _left_of_trial(lanes: Lanes, money: float) -> float:
    """Money that a trial leaves."""
    ledger = lanes[5]
    total, rest = -money, 0.0
    for i in range(ledger.shape[1]):
        total, rest = two_sum(total, rest, ledger[w.TRIAL, i])
    return -(total + rest)


@routine
def _sum_groups_of_trial(lanes: Lanes, money: float, groups: Groups) -> bool:
    """Add up what every group holds in a trial: HOLDS; False if that is more than it may hold, or less."""
    work, _, _, _, slot, ledger, _, _ = lanes
    forest, fences, _, _, _ = groups
    kept = True
    for k in range(forest.shape[1]):
        held = rest = 0.0
        for i in range(slot.size):
            if within(work, slot[i], k, forest):
                held, rest = two_sum(held, rest, ledger[w.TRIAL, i])
        fences[fence.HOLDS, k] = held + rest
        slack = AT_BOUND * money
        kept &= (held + rest <= fences[fence.MOST, k] + slack) & (held + rest >= fences[fence.LEAST, k] - slack)
    return kept


@routine
def _groups_allow(lanes: Lanes, money: float, groups: Groups, i: int, more: float, j: int, less: float) -> bool:
    """Whether instrument i may hold so much more, and j (if it is one) so much less, by the limits of their groups."""
    work, _, _, _, slot, _, _, _ = lanes
    forest, fences, _, _, _ = groups
    if forest.shape[1] == 0:
        return True
    slack = AT_BOUND * money
    k = int(work[slot[i] + LEAF * LANES])
    while k >= 0:
        shared = less if (j >= 0) and within(work, slot[j], k, forest) else 0.0
        if fences[fence.HOLDS, k] + (more - shared) > fences[fence.MOST, k] + slack:
            return False
        k = forest[tree.PARENT, k]
    k = int(work[slot[j] + LEAF * LANES]) if j >= 0 else -1
    while k >= 0:
        shared = more if within(work, slot[i], k, forest) else 0.0
        if fences[fence.HOLDS, k] - (less - shared) < fences[fence.LEAST, k] - slack:
            return False
        k = forest[tree.PARENT, k]
    return True


@helper
def _raised(lanes: Lanes, i: int) -> float:
    """Give the next larger amount of an instrument with lots; the same where there is none."""
    work, _, _, _, slot, ledger, _, _ = lanes
    x, lot = ledger[w.TRIAL, i], work[slot[i] + LOT * LANES]
    if (lot == 0.0) | (ledger[w.STATE, i] == CLOSED):
        return x
    following = more_lots(x, lot, 1.0) if x > 0.0 else ledger[w.LOW, i]
    return following if following <= ledger[w.HIGH, i] else x


@helper
def _lowered(lanes: Lanes, i: int) -> float:
    """Give the next smaller amount of an instrument with lots; the same where there is none."""
    work, _, _, _, slot, ledger, _, _ = lanes
    x, lot = ledger[w.TRIAL, i], work[slot[i] + LOT * LANES]
    if (lot == 0.0) | (x == 0.0):
        return x
    if x > ledger[w.LOW, i]:
        return more_lots(x, lot, -1.0)
    return 0.0 if ledger[w.STATE, i] == FREE else x


@routine
def _weigh(lanes: Lanes, i: int, hurdle: float) -> None:
    """Compute what one lot more, and one less, changes: MORE, LESS; −inf where there is none."""
    work, kinds, _, _, slot, ledger, _, _ = lanes
    at = slot[i]
    kind = kinds[at // BLOCK]
    x, more, less = ledger[w.TRIAL, i], _raised(lanes, i), _lowered(lanes, i)
    here = net(work, at, kind, x) - hurdle * x
    ledger[w.WORTH, i] = here
    ledger[w.MORE, i] = net(work, at, kind, more) - hurdle * more - here if more > x else -math.inf
    ledger[w.LESS, i] = net(work, at, kind, less) - hurdle * less - here if less < x else -math.inf


@routine
def _best_lot(lanes: Lanes, terms: Terms, groups: Groups, left: float, may_open: bool) -> int:
    """Find the lot that returns most for its money among those that fit; −1 if there is none."""
    money, _, _, _, _, exactly = terms
    ledger = lanes[5]
    chosen, most = -1, -math.inf
    for i in range(ledger.shape[1]):
        gain, x = ledger[w.MORE, i], ledger[w.TRIAL, i]
        if (gain > -math.inf) & ((gain > 0.0) | exactly) & (may_open | (x > 0.0)):
            added = _raised(lanes, i) - x
            better = (added <= left + AT_BOUND * money) & (gain > most * added)
            if better and _groups_allow(lanes, money, groups, i, added, -1, 0.0):
                chosen, most = i, gain / added
    return chosen


@routine
def _best_exchange(
    lanes: Lanes, terms: Terms, groups: Groups, left: float, opened: int, counts: Counts
) -> tuple[int, int]:
    """Find the exchange of a lot for another, or for what it takes from zero, that gains most; (−1, −1): there is none.

    `opened` instruments that may be empty hold something.
    """
    money, _, _, scale, _, _ = terms
    ledger = lanes[5]
    fewest, highest = counts
    up = down = -1
    most = GAINS * scale * money
    for j in range(ledger.shape[1]):
        lost = ledger[w.LESS, j]
        if lost > -math.inf:
            freed, emptied = ledger[w.TRIAL, j] - _lowered(lanes, j), _lowered(lanes, j) == 0.0
            for i in range(ledger.shape[1]):
                if (i != j) & (ledger[w.MORE, i] + lost > most):
                    added = _raised(lanes, i) - ledger[w.TRIAL, i]
                    then = opened - emptied + (ledger[w.TRIAL, i] == 0.0)
                    fits = (added - freed <= left + AT_BOUND * money) & (fewest <= then) & (then <= highest)
                    if fits and _groups_allow(lanes, money, groups, i, added, j, freed):
                        up, down, most = i, j, ledger[w.MORE, i] + lost
    return up, down


@routine
def _move(lanes: Lanes, groups: Groups, hurdle: float, i: int, amount: float) -> None:
    """Give an instrument another amount in a trial."""
    work, _, _, _, slot, ledger, _, _ = lanes
    forest, fences, _, _, _ = groups
    moved = amount - ledger[w.TRIAL, i]
    ledger[w.TRIAL, i] = amount
    _weigh(lanes, i, hurdle)
    k = int(work[slot[i] + LEAF * LANES]) if forest.shape[1] > 0 else -1
    while k >= 0:
        fences[fence.HOLDS, k] += moved
        k = forest[tree.PARENT, k]


@routine
def _improve(lanes: Lanes, counts: Counts, terms: Terms, groups: Groups) -> None:
    """Add lots while they fit, else exchange some, while that gains: TRIAL."""
    money, hurdle, _, _, _, _ = terms
    ledger = lanes[5]
    n = ledger.shape[1]
    opened = 0
    for i in range(n):
        _weigh(lanes, i, hurdle)
        opened += (ledger[w.STATE, i] == FREE) & (ledger[w.TRIAL, i] > 0.0)
    exchanges = min(MOST_MOVES, 1 + MOST_PAIRS // (n * n))
    added = 0
    while exchanges > 0:
        left = _left_of_trial(lanes, money)
        up = _best_lot(lanes, terms, groups, left, opened < counts[1])
        down = -1
        added += 1
        if (up < 0) | (added > MOST_PAIRS // n):
            up, down = _best_exchange(lanes, terms, groups, left, opened, counts)
            exchanges -= 1
            if up < 0:
                return
        if down >= 0:
            _move(lanes, groups, hurdle, down, _lowered(lanes, down))
            opened -= ledger[w.TRIAL, down] == 0.0
        opened += ledger[w.TRIAL, up] == 0.0
        _move(lanes, groups, hurdle, up, _raised(lanes, up))


@routine
def _try_trial(
    lanes: Lanes,
    counts: Counts,
    terms: Terms,
    groups: Groups,
    price: float,
    best: float,
    shadow: float,
    open_rest: bool,
) -> tuple[float, float]:
    """Value a trial whose lots are whole, once improved; what may hold any amount is solved anew."""
    work, kinds, blocks, sums, slot, ledger, _, _ = lanes
    money, hurdle, _, _, _, exactly = terms
    loose = _hold_trial(lanes, open_rest, True)
    if loose > 0:
        at, value = _relax_trial(lanes, terms, groups, price)
        if value == -math.inf:
            return best, shadow
        lots = False
        for i in range(slot.size):
            if (work[slot[i] + LOT * LANES] > 0.0) & (ledger[w.TRIAL, i] != work[slot[i] + AMOUNT * LANES]):
                work[slot[i] + AMOUNT * LANES] = ledger[w.TRIAL, i]  # moved by rounding
                lots = True
        if lots:
            value, _, _ = worth(work, kinds, blocks, sums, AMOUNT, hurdle)
        return _keep(lanes, value, at, best, shadow)
    if groups[0].shape[1] > 0:
        _sum_groups_of_trial(lanes, money, groups)
    _improve(lanes, counts, terms, groups)
    left = _left_of_trial(lanes, money)
    spent = (left >= -AT_BOUND * money) & ((not exactly) | (left <= AT_BOUND * money))
    if not (spent and _sum_groups_of_trial(lanes, money, groups)):
        return best, shadow
    for i in range(slot.size):
        work[slot[i] + AMOUNT * LANES] = ledger[w.TRIAL, i]
    value, _, _ = worth(work, kinds, blocks, sums, AMOUNT, hurdle)
    return _keep(lanes, value, price, best, shadow)


@routine
def _try_side(
    lanes: Lanes, counts: Counts, terms: Terms, groups: Groups, side: int, price: float, best: float, shadow: float,
    open_rest: bool, whole: bool, thorough: bool,
) -> tuple[float, float]:  # fmt: skip
    """Try what is chosen on one side of the price with its own lots; if `thorough` with its best amounts too."""
    work, _, _, _, slot, ledger, _, _ = lanes
    for i in range(slot.size):
        ledger[w.TRIAL, i] = ledger[side, i]
    if not whole:
        _hold_trial(lanes, open_rest, False)
        at, value = _relax_trial(lanes, terms, groups, price)
        return _keep(lanes, value, at, best, shadow)
    best, shadow = _try_trial(lanes, counts, terms, groups, price, best, shadow, open_rest)
    if not thorough:
        return best, shadow
    for i in range(slot.size):
        ledger[w.TRIAL, i] = ledger[side, i]
    _hold_trial(lanes, open_rest, False)
    at, value = _relax_trial(lanes, terms, groups, price)
    if value == -math.inf:
        return best, shadow
    for i in range(slot.size):
        x, lot = work[slot[i] + AMOUNT * LANES], work[slot[i] + LOT * LANES]
        if (lot > 0.0) & (ledger[w.TRIAL, i] > 0.0):
            x = max(whole_down(x, lot), ledger[w.LOW, i])
        ledger[w.TRIAL, i] = x
    return _try_trial(lanes, counts, terms, groups, at, best, shadow, open_rest)


@routine
def try_sides(
    lanes: Lanes, counts: Counts, terms: Terms, groups: Groups, price: float, best: float, shadow: float, sides: bool,
    thorough: bool,
) -> tuple[float, float]:  # fmt: skip
    """Look for allocations in a node: BEST."""
    work, _, _, _, slot, ledger, _, _ = lanes
    whole = False
    m = 0
    for i in range(slot.size):
        whole |= work[slot[i] + LOT * LANES] > 0.0
        m += ledger[w.STATE, i] == FREE
    open_rest = counts[1] >= m
    thorough |= (groups[0].shape[1] > 0) | (best == -math.inf)
    best, shadow = _try_side(lanes, counts, terms, groups, w.SHORT, price, best, shadow, open_rest, whole, thorough)
    if sides:
        best, shadow = _try_side(lanes, counts, terms, groups, w.OVER, price, best, shadow, open_rest, whole, thorough)
    return best, shadow


@routine
def mix_sides(lanes: Lanes, money: float, sides: bool) -> None:
    """Put the mixture of both sides that spends the money into AMOUNT."""
    work, _, _, _, slot, ledger, _, _ = lanes
    short = over = 0.0
    for i in range(slot.size):
        short += ledger[w.SHORT, i]
        over += ledger[w.OVER, i] if sides else 0.0
    part = min(max((money - short) / (over - short), 0.0), 1.0) if over > short else 0.0
    for i in range(slot.size):
        x = ledger[w.SHORT, i]
        x += part * (ledger[w.OVER, i] - x) if sides else 0.0
        work[slot[i] + AMOUNT * LANES] = x
        if not sides:
            ledger[w.OVER, i] = x


@routine
def split_on(lanes: Lanes, money: float) -> tuple[int, bool, float]:
    """Find the instrument on which the sides differ most; −1: none.

    Also whether it is one that holds something on one side only, and the capital below or above which it is to be; NaN
    where that is inside a chord.
    """
    work, _, _, _, slot, ledger, _, _ = lanes
    found, choice, point = -1, False, math.nan
    most = APART * money
    for i in range(slot.size):
        at = slot[i]
        one, other, x, lot = ledger[w.SHORT, i], ledger[w.OVER, i], work[at + AMOUNT * LANES], work[at + LOT * LANES]
        if abs(one - other) > most:
            free = (work[at + STATE * LANES] == FREE) & ((one == 0.0) != (other == 0.0))
            chord = inside_chord(work, at, x)
            if free & ((work[at + LOW * LANES] > 0.0) | (not chord)):
                found, choice, most = i, True, abs(one - other)
            elif lot > 0.0:
                less = min(one, other) if x <= min(one, other) else whole_down(min(x, max(one, other) - 0.5 * lot), lot)
                found, choice, point, most = i, False, less + 0.5 * lot, abs(one - other)
            elif chord:
                found, choice, point, most = i, False, math.nan, abs(one - other)
    return found, choice, point


@routine
def split_anyway(lanes: Lanes) -> tuple[int, bool, float]:
    """Find an instrument to split on where the sides do not differ: lots above which there is a chord, else any."""
    work, _, _, _, slot, _ledger, _, _ = lanes
    found, choice, point, most = -1, False, math.nan, 0.0
    for i in range(slot.size):
        at = slot[i]
        x, lot = work[at + AMOUNT * LANES], work[at + LOT * LANES]
        low, high = work[at + LOW * LANES], work[at + HIGH * LANES]
        if (lot > 0.0) & (x > 0.0) & (high > low):
            x = min(max(whole_down(x, lot), low), high)
            width = (high - low) * (1e6 if in_chord(work, at, x) else 1.0)
            if width > most:
                found, choice, most = i, False, width
                point = x + (0.5 * lot if x < high else -0.5 * lot)
    if found >= 0:
        return found, choice, point
    least = math.inf
    for i in range(slot.size):
        at = slot[i]
        x, high = work[at + AMOUNT * LANES], work[at + HIGH * LANES]
        if (work[at + STATE * LANES] == FREE) & (high > 0.0) & (x < least):
            found, choice, least = i, True, x
    return found, choice, point


@routine
def end_whole(lanes: Lanes, groups: Groups, price: float) -> None:
    """Note what everything that may be empty gains at the last price if it holds its best: MORE.

    The envelopes are those of what holds something: whoever comes next builds them anew.
    """
    work, kinds, _, _, slot, ledger, _, dirty = lanes
    for i in range(slot.size):
        at = slot[i]
        work[at + LOW * LANES], work[at + HIGH * LANES] = work[at + ROOT_LOW * LANES], work[at + ROOT_HIGH * LANES]
        work[at + REACH * LANES], work[at + STATE * LANES] = (
            work[at + ROOT_REACH * LANES],
            work[at + ROOT_STATE * LANES],
        )
        work[at + SUNK * LANES] = 0.0
        if dirty[i]:
            build_holding(work, at, kinds[at // BLOCK])
        dirty[i] = 0
    value_nothing(lanes)
    take_root_prices(groups)
    charge_groups(lanes, groups, price)
    answer_all(lanes, (0, slot.size), price)
    free_of_groups(lanes, groups)
    for i in range(slot.size):
        at = slot[i]
        free = work[at + STATE * LANES] == FREE
        ledger[w.MORE, i] = work[at + WORTH * LANES] if free else -math.inf
        ledger[w.STATE, i] = work[at + STATE * LANES]
        work[at + ROOT_STATE * LANES] = -1.0


@routine
def fix_lots(lanes: Lanes) -> None:
    """Leave whole lots as they are, whatever is done to amounts afterwards."""
    work, _, _, _, slot, _, _, _ = lanes
    for i in range(slot.size):
        at = slot[i]
        if work[at + LOT * LANES] > 0.0:
            work[at + ROOT_LOW * LANES] = work[at + ROOT_REACH * LANES] = work[at + BEST * LANES]
