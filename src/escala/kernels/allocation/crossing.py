"""Limits of groups that overlap: a price for each, and amounts that keep to all of them.

An instrument answers to its own price, which is that of money and of all its groups added up. For any prices u (of an
upper limit at least 0, of a lower one at most 0)

    D(u) = Σ u⁺·most − u⁻·least + Σ max(w·U(C) − p·C),    p = hurdle + Σ u of the instrument's limits

bounds every allocation within the limits, whatever the shapes of the utilities. D is convex, and its slope is what the
limits leave of what the answers hold, so its minimum is where the answers keep to the limits that have a price. It is
looked for by Newton's method on the limits that count, whose matrix is Σ −dC/dp over the instruments that two limits
share; a step ends where D no longer falls along it, and a price at 0.

Where answers jump (ladders, chords, kinks) so does that slope, and no prices alone say how much each instrument that is
tied holds. Then the amounts are pulled to those of the round before: the answer to a price is the best of

    w·U(C) − p·C − ½·pull·(C − anchor)²

which jumps nowhere, and round after round the amounts settle where all limits hold (the proximal point method: it ends
after finitely many rounds where everything is straight).

What rounding leaves is repaired at the end, so that the amounts keep to every limit.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from escala.kernels.allocation.balance import AT_BOUND, FAILED, ROUNDING, SLACK, SMOOTH, nearest_jump
from escala.kernels.allocation.envelope import (
    AMOUNT,
    BLOCK,
    BUY,
    CLOSED,
    FAR_SIDE,
    FORCED,
    HALF,
    HIGH,
    LANES,
    LEAF,
    LOW,
    NEAR,
    SELL,
    SLOPE,
    STATE,
    Span,
    answer_lane,
    join_lane,
    respond,
    shift,
    two_sum,
    worth,
)
from escala.kernels.allocation.groups import Groups
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import allocation_status as status_of
from escala.kernels.layout import crossing_lanes as lane
from escala.kernels.layout import crossing_limits as line
from escala.kernels.layout import fences as fence
from escala.kernels.layout import verdict

#: Blocks of instruments, their kinds, which of them, room for sums, and where each instrument lies.
Blocks: TypeAlias = tuple[Floats, Integers, Span, Floats, Integers]

DONE, STUCK, IMPOSSIBLE = range(3)  # how the search for prices ends
ENDED = 0.5  # a limit that counts, but whose price comes to 0 within the step
KEPT_TO = 1e-13  # relative: a limit that is missed by no more is kept to, until the amounts are repaired
DUST = 1e-15  # of the money that there is room for
RIDGE = 1e-12  # of the largest entry of the matrix, added to all of its diagonal
FEWER = 0.5  # what a step must leave of the slope along it, at most
STEPS = 60  # of Newton's method
CUTS = 30  # of a step
FIRST_CUTS = 6  # the same where the slope may jump
FEW = 16  # solves with one price more that ends
IDLE = 4  # steps in a row that bring nothing
ROUNDS = 16
LOOSE = 0.3  # how far amounts go, in sizes of the problem, for a price as large as any
LOOSER = 4.0  # from round to round
LOOSEST = 300.0  # beyond that amounts would follow the rounding of prices
SETTLED = 1e-13  # of the largest price: amounts that are pulled by less are settled
PULLED = 100  # prices that one instrument's answer is looked for among
FAR = 1e3  # prices beyond that, in largest prices, may be on their way to no answer
NEIGHBOURS = 2.0**-52  # relative: prices that near to each other are one
SNAP = 1e-12  # of the size: amounts nearer to the end of a tie are at its end


@routine
def note_kinds(work: Floats, slot: Integers, kinds: Integers) -> None:
    """Note which groups every instrument is in."""
    for i in range(slot.size):
        work[slot[i] + LEAF * LANES] = kinds[i]


@routine
def start_lines(price: float, groups: Groups) -> None:
    """Forget where earlier searches ended."""
    lines = groups[4][2]
    last = lines.shape[1] - 1
    for c in range(last + 1):
        lines[line.PRICE, c] = lines[line.KEPT, c] = price if c == last else 0.0


@routine
def _set_lines(at: Blocks, money: float, exactly: bool, groups: Groups) -> float:
    """Set the limits, and prices to begin with; returns the money that there is room for."""
    work, _, _, _, slot = at
    starts, inside, lines, _, _ = groups[4]
    fences = groups[1]
    last = lines.shape[1] - 1
    for c in range(last):
        lines[line.MOST, c] = fences[fence.MOST, c]
        lines[line.LEAST, c] = fences[fence.LEAST, c] if fences[fence.LEAST, c] > 0.0 else -math.inf
    lines[line.MOST, last], lines[line.LEAST, last] = money, money if exactly else -math.inf
    for c in range(last + 1):
        price = lines[line.KEPT, c]
        price = min(price, 0.0) if lines[line.MOST, c] == math.inf else price
        lines[line.PRICE, c] = max(price, 0.0) if lines[line.LEAST, c] == -math.inf else price
    room = 0.0
    for i in range(slot.size):
        most = _highest(work, slot[i])
        kind = int(work[slot[i] + LEAF * LANES])
        if kind >= 0:
            for c in inside[starts[kind] : starts[kind + 1]]:
                most = min(most, lines[line.MOST, c])
        room += most
    size = min(room, money)
    return size if size > 0.0 else money


@helper
def _conflict(ended: Floats, status: int, culprit: int, excess: float) -> bool:
    ended[verdict.STATUS], ended[verdict.CULPRIT], ended[verdict.EXCESS] = status, culprit, excess
    return False


@helper
def _lowest(work: Floats, at: int) -> float:
    """Least capital of an instrument."""
    return work[at + LOW * LANES] if work[at + STATE * LANES] == FORCED else 0.0


@helper
def _highest(work: Floats, at: int) -> float:
    """Most capital of an instrument, by the money too."""
    return 0.0 if work[at + STATE * LANES] == CLOSED else work[at + HIGH * LANES]


@routine
def _fit_alone(at: Blocks, money: float, groups: Groups) -> bool:
    """Whether every limit may be kept to on its own."""
    work, _, _, _, slot = at
    starts, inside, lines, _, _ = groups[4]
    ended = groups[3]
    last = lines.shape[1] - 1
    for c in range(last + 1):
        lines[line.HOLDS, c] = lines[line.OVER, c] = 0.0
    for i in range(slot.size):
        least, most = _lowest(work, slot[i]), _highest(work, slot[i])
        kind = int(work[slot[i] + LEAF * LANES])
        begin, end = (starts[kind], starts[kind + 1]) if kind >= 0 else (0, 0)
        for k in range(begin - 1, end):
            c = inside[k] if k >= begin else last
            lines[line.HOLDS, c] += least
            lines[line.OVER, c] += most
    slack = AT_BOUND * money
    for c in range(last + 1):
        demanded = max(lines[line.HOLDS, c], lines[line.LEAST, c] if c < last else 0.0)
        over, short = demanded - lines[line.MOST, c], lines[line.LEAST, c] - lines[line.OVER, c]
        lines[line.LEAST, c] = min(lines[line.LEAST, c], lines[line.MOST, c])
        if over > slack:
            status = status_of.GROUP_FULL if c < last else status_of.LOWER_ABOVE_MONEY
            return _conflict(ended, status, c if c < last else -1, over)
        if (c < last) & (lines[line.LEAST, c] > money + slack):
            return _conflict(ended, status_of.LOWER_ABOVE_MONEY, -1, lines[line.LEAST, c] - money)
        if short > slack:
            status = status_of.GROUP_SHORT if c < last else status_of.TOO_LITTLE_ROOM
            return _conflict(ended, status, c if c < last else -1, short)
    return True


@routine
def _price_instruments(at: Blocks, base: float, groups: Groups) -> None:
    """Add up the prices that every instrument answers to: OWN."""
    work, _, _, _, slot = at
    starts, inside, lines, _, lanes = groups[4]
    all_pay = base + lines[line.PRICE, lines.shape[1] - 1]
    for i in range(slot.size):
        own = all_pay
        kind = int(work[slot[i] + LEAF * LANES])
        if kind >= 0:
            for c in inside[starts[kind] : starts[kind + 1]]:
                own += lines[line.PRICE, c]
        lanes[lane.OWN, i] = own


@routine
def _respond(at: Blocks, base: float, groups: Groups) -> None:
    """Answer to the prices: NEAR, FAR_SIDE, SLOPE."""
    work, kinds, blocks, sums, slot = at
    lanes = groups[4][4]
    _price_instruments(at, base, groups)
    for i in range(slot.size):
        shift(work, slot[i], lanes[lane.OWN, i])
    respond(work, kinds, blocks, sums, 0.0)
    for i in range(slot.size):
        shift(work, slot[i], 0.0)


@routine
def _answer_alone(work: Floats, kind: int, at: int, own: float) -> tuple[float, float, float]:
    """Best amounts of one instrument at its own price, above and below it, and their slope."""
    begin = at // BLOCK * BLOCK
    v, j = work[begin : begin + BLOCK], at - begin
    if work[at + HALF * LANES] == 0.0:
        answer_lane(v, work, kind, j, own)
    else:
        more = work[begin + BLOCK : begin + 2 * BLOCK]
        answer_lane(v, work, kind, j, own - work[at + SELL * LANES])
        answer_lane(more, work, kind, j, own + work[at + BUY * LANES])
        join_lane(v, more, j, own)
    return work[at + NEAR * LANES], work[at + FAR_SIDE * LANES], work[at + SLOPE * LANES]


@helper
def _snapped(x: float, near: float, far: float, dust: float) -> float:
    """Bring an amount that is nearly at the end of a tie to it."""
    x = min(max(x, near), far)
    return near if x - near <= dust else (far if far - x <= dust else x)


@routine
def _pulled(
    work: Floats, kinds: Integers, slot: Integers, price: float, anchor: float, pull: float, dust: float
) -> tuple[float, float]:
    """Best amount of the one instrument in `slot` if it is pulled to an anchor, and how it falls with the price.

    It is the best without a pull at the price q = price + pull·(amount − anchor), which is looked for.
    """
    at = slot[0]
    kind = kinds[at // BLOCK]
    near, far, slope = _answer_alone(work, kind, at, price)
    if near <= anchor <= far:
        return anchor, 1.0 / pull if near < far else -slope / (1.0 - pull * slope)
    off = near - anchor if near > anchor else far - anchor
    reach = pull * off + math.copysign(1e-6 * abs(pull * off) + 2.0**-50 * abs(price), off)  # a little too far
    low, high = (price, price + reach) if off > 0.0 else (price + reach, price)
    below, above = (anchor, near) if off > 0.0 else (far, anchor)
    aim = price + pull * off / (1.0 - pull * slope)
    for count in range(PULLED):
        if high - low <= NEIGHBOURS * (abs(low) + abs(high)):
            break
        tried = aim if (low < aim < high) & (count % 4 != 3) else 0.5 * (low + high)
        q = nearest_jump(work, kinds, slot, low, high, tried)
        if not low < q < high:
            break
        near, far, slope = _answer_alone(work, kind, at, q)
        wanted = anchor + (q - price) / pull
        if near <= wanted <= far:
            tied = near < far
            return _snapped(wanted, near, far, dust), 1.0 / pull if tied else -slope / (1.0 - pull * slope)
        off = near - wanted if near > wanted else far - wanted
        low, above = (q, near) if off > 0.0 else (low, above)
        high, below = (high, below) if off > 0.0 else (q, far)
        rounding = 2.0**-50 * (abs(near) + abs(anchor) + (abs(q) + abs(price)) / pull)
        if abs(off) <= rounding:
            return near if off > 0.0 else far, -slope / (1.0 - pull * slope)
        aim = q + pull * off / (1.0 - pull * slope)
        if (q != tried) & (work[at + HALF * LANES] != 0.0):  # rounding may hide a tie
            aim = q + math.copysign(NEIGHBOURS * abs(q), off)
    # the amount jumps between neighbours, or as good as
    return _snapped(anchor + (0.5 * (low + high) - price) / pull, below, above, dust), 1.0 / pull


@routine
def _answer(at: Blocks, base: float, pull: float, size: float, groups: Groups) -> None:
    """Answer to the prices: AMOUNT, how amounts fall with the price (SHARE), and what all limits hold."""
    work, kinds, _, _, slot = at
    lanes = groups[4][4]
    if pull == 0.0:
        _respond(at, base, groups)
        for i in range(slot.size):
            work[slot[i] + AMOUNT * LANES] = work[slot[i] + NEAR * LANES]
            lanes[lane.SHARE, i] = -work[slot[i] + SLOPE * LANES]
    else:
        _price_instruments(at, base, groups)
        for i in range(slot.size):
            x, share = _pulled(
                work, kinds, slot[i : i + 1], lanes[lane.OWN, i], lanes[lane.ANCHOR, i], pull, SNAP * size
            )
            work[slot[i] + AMOUNT * LANES], lanes[lane.SHARE, i] = x, share
    _sum_lines(at, groups)


@routine
def _sum_lines(at: Blocks, groups: Groups) -> None:
    """Add up what all limits hold: HOLDS and REST."""
    work, _, _, _, slot = at
    starts, inside, lines, _, _ = groups[4]
    last = lines.shape[1] - 1
    for c in range(last + 1):
        lines[line.HOLDS, c] = lines[line.REST, c] = 0.0
    for i in range(slot.size):
        x = work[slot[i] + AMOUNT * LANES]
        if x == 0.0:
            continue
        kind = int(work[slot[i] + LEAF * LANES])
        begin, end = (starts[kind], starts[kind + 1]) if kind >= 0 else (0, 0)
        for k in range(begin - 1, end):
            c = inside[k] if k >= begin else last
            lines[line.HOLDS, c], lines[line.REST, c] = two_sum(lines[line.HOLDS, c], lines[line.REST, c], x)


@helper
def _beyond(lines: Floats, c: int, limit: float) -> float:
    """What is held beyond a limit."""
    return (lines[line.HOLDS, c] - limit) + lines[line.REST, c]


@helper
def _counting(lines: Floats, c: int) -> float:
    """Give the limit of two that counts at the price; NaN if neither does."""
    price, most, least = lines[line.PRICE, c], lines[line.MOST, c], lines[line.LEAST, c]
    if (price > 0.0) | ((price == 0.0) & (_beyond(lines, c, most) > 0.0)) | (most == least):
        return most
    return least if (price < 0.0) | (_beyond(lines, c, least) < 0.0) else math.nan


@routine
def _find_counting(size: float, groups: Groups) -> float:
    """Find the limits that count, and what is held beyond them: COUNTS and OVER; returns the worst miss."""
    lines = groups[4][2]
    worst = 0.0
    for c in range(lines.shape[1]):
        limit = _counting(lines, c)
        lines[line.COUNTS, c], lines[line.OVER, c] = 0.0, 0.0
        if math.isnan(limit):
            continue
        over = _beyond(lines, c, limit)
        missed = abs(over) / (KEPT_TO * limit + DUST * size)
        if (missed <= 1.0) & (lines[line.PRICE, c] == 0.0):
            continue
        worst = max(worst, missed)
        lines[line.COUNTS, c], lines[line.OVER, c] = 1.0, over
    return worst


@routine
def _fill_matrix(at: Blocks, spread: float, groups: Groups) -> None:
    """Add up how what the limits that count hold falls with their prices: the upper half, and DIAGONAL."""
    work, _, _, _, slot = at
    starts, inside, lines, matrix, lanes = groups[4]
    last = lines.shape[1] - 1
    for c in range(last + 1):
        lines[line.DIAGONAL, c] = 0.0
        for e in range(c + 1, last + 1):
            matrix[c, e] = 0.0
    for i in range(slot.size):
        share = lanes[lane.SHARE, i]
        if share == 0.0:
            continue
        kind = int(work[slot[i] + LEAF * LANES])
        begin, end = (starts[kind], starts[kind + 1]) if kind >= 0 else (0, 0)
        for k in range(begin, end + 1):  # those of a kind rise, and that of the money comes last
            c = inside[k] if k < end else last
            lines[line.DIAGONAL, c] += share
            for m in range(k + 1, end + 1):
                matrix[c, inside[m] if m < end else last] += share
    largest = 0.0
    for c in range(last + 1):
        largest = max(largest, lines[line.DIAGONAL, c] * lines[line.COUNTS, c])
    ridge = RIDGE * (largest if largest > 0.0 else spread)
    for c in range(last + 1):
        lines[line.DIAGONAL, c] += ridge


@routine
def _solve_free(free: int, groups: Groups) -> bool:
    """Solve for the step of the limits that are free, the others' being given; False where rounding prevents it.

    The factor of Cholesky fills the lower half of the matrix.
    """
    _, _, lines, matrix, _ = groups[4]
    for p in range(free):
        c = int(lines[line.FREE, p])
        wanted = lines[line.OVER, c]
        for e in range(lines.shape[1]):
            if lines[line.COUNTS, e] == ENDED:
                wanted -= (matrix[c, e] if c < e else matrix[e, c]) * lines[line.STEP, e]
        for q in range(p + 1):
            e = int(lines[line.FREE, q])
            total = matrix[e, c] if e < c else lines[line.DIAGONAL, c]
            for k in range(q):
                total -= matrix[p, k] * matrix[q, k]
            if p > q:
                matrix[p, q] = total / matrix[q, q]
                wanted -= matrix[p, q] * lines[line.SOLVED, q]
            elif total > 0.0:
                matrix[p, p] = math.sqrt(total)
            else:
                return False
        lines[line.SOLVED, p] = wanted / matrix[p, p]
    for p in range(free - 1, -1, -1):
        total = lines[line.SOLVED, p]
        for q in range(p + 1, free):
            total -= matrix[q, p] * lines[line.SOLVED, q]
        lines[line.SOLVED, p] = total / matrix[p, p]
        lines[line.STEP, int(lines[line.FREE, p])] = lines[line.SOLVED, p]
    return True


@helper
def _keeps_sign(lines: Floats, c: int, step: float) -> bool:
    """Whether a step takes no price through 0."""
    price = lines[line.PRICE, c]
    upper = (price > 0.0) | ((price == 0.0) & (lines[line.OVER, c] > 0.0))
    return (lines[line.MOST, c] == lines[line.LEAST, c]) | (price + step >= 0.0 if upper else price + step <= 0.0)


@helper
def _part_to_zero(lines: Floats, c: int) -> float:
    """Part of a step at which the price of a free limit comes to 0; inf where it does not."""
    step = lines[line.STEP, c]
    through = (lines[line.COUNTS, c] == 1.0) and not _keeps_sign(lines, c, step)
    return -lines[line.PRICE, c] / step if through else math.inf


@routine
def _newton(groups: Groups) -> bool:
    """Solve for the step of all limits that count, where none takes its price through 0: the first to come there ends.

    After some of them those end with it that would come there soon, ever less soon: many limits are few solves. False
    where rounding prevents a step.
    """
    lines = groups[4][2]
    soon = 1.0
    for count in range(lines.shape[1] + 1):
        free = 0
        for c in range(lines.shape[1]):
            if lines[line.COUNTS, c] == 1.0:
                lines[line.FREE, free] = c
                free += 1
        if not _solve_free(free, groups):
            return False
        soonest = math.inf
        for c in range(lines.shape[1]):
            soonest = min(soonest, _part_to_zero(lines, c))
        if soonest == math.inf:
            return True
        for c in range(lines.shape[1]):
            if _part_to_zero(lines, c) <= soon * soonest:
                lines[line.COUNTS, c] = ENDED
                lines[line.STEP, c] = -lines[line.PRICE, c]
                if count < FEW:
                    break
        soon *= 2.0 if count >= FEW else 1.0
    return False


@routine
def _shorten(lines: Floats, trust: float) -> tuple[float, bool]:
    """Shorten steps to what is trusted, and end them where a price comes to 0; returns the slope along them."""
    slope, cut = 0.0, False
    for c in range(lines.shape[1]):
        if lines[line.COUNTS, c] == 0.0:
            lines[line.STEP, c] = 0.0
            continue
        step = lines[line.STEP, c]
        if not abs(step) <= trust:
            step = trust if step > 0.0 else -trust
            cut = True
        step = step if _keeps_sign(lines, c, step) else -lines[line.PRICE, c]
        lines[line.STEP, c] = step
        slope += lines[line.OVER, c] * step
    return slope, cut


@routine
def _direct(at: Blocks, spread: float, trust: float, groups: Groups) -> tuple[float, bool]:
    """Choose a step along which the bound falls: Newton's, or the steepest; returns its slope, and if it was cut."""
    lines = groups[4][2]
    _fill_matrix(at, spread, groups)
    slope, cut = _shorten(lines, trust) if _newton(groups) else (0.0, False)
    if not slope > 0.0:
        for c in range(lines.shape[1]):  # what is missed, over what each limit alone loses with its price
            lines[line.STEP, c] = lines[line.OVER, c] / lines[line.DIAGONAL, c]
        slope, cut = _shorten(lines, trust)
    return slope, cut


@routine
def _go(at: Blocks, base: float, pull: float, size: float, part: float, groups: Groups) -> float:
    """Go a part of the step; returns the slope along it there."""
    lines = groups[4][2]
    for c in range(lines.shape[1]):
        lines[line.PRICE, c] = lines[line.BEGIN, c] + part * lines[line.STEP, c]
    _answer(at, base, pull, size, groups)
    slope = 0.0
    for c in range(lines.shape[1]):
        step = lines[line.STEP, c]
        if step != 0.0:
            begin = lines[line.BEGIN, c]
            upper = (begin > 0.0) | ((begin == 0.0) & (step > 0.0))
            slope += _beyond(lines, c, lines[line.MOST, c] if upper else lines[line.LEAST, c]) * step
    return slope


@routine
def _walk(at: Blocks, base: float, pull: float, size: float, slope: float, groups: Groups) -> bool:
    """Go along the step as far as the bound falls, or nearly so; False if that is nowhere."""
    lines = groups[4][2]
    for c in range(lines.shape[1]):
        lines[line.BEGIN, c] = lines[line.PRICE, c]
    low, high = 0.0, 1.0
    at_low, at_high = slope, 0.0
    part = 1.0
    for _ in range(CUTS if pull > 0.0 else FIRST_CUTS):
        here = _go(at, base, pull, size, part, groups)
        if ((here >= 0.0) & (part == 1.0)) | (abs(here) <= FEWER * slope):
            return True
        if here > 0.0:
            low, at_low = part, here
        else:
            high, at_high = part, here
        width = high - low
        part = low + width * min(max(at_low / (at_low - at_high), 0.1), 0.9)
    _go(at, base, pull, size, low, groups)
    return low > 0.0


@routine
def _proven_miss(at: Blocks, groups: Groups) -> float:
    """By how much at least one limit is missed, whatever is held; 0 where the prices prove nothing.

    Prices on their way to no answer weigh the limits: if what is held, so weighed, is always beyond the limits, so
    weighed, none of the amounts keeps to all of them. Then D falls without end along these prices.
    """
    work, _, _, _, slot = at
    lines, lanes = groups[4][2], groups[4][4]
    _price_instruments(at, 0.0, groups)
    total = size = weight = 0.0
    for i in range(slot.size):
        own = lanes[lane.OWN, i]
        paid = own * (_lowest(work, slot[i]) if own > 0.0 else _highest(work, slot[i]))
        total += paid
        size += abs(paid)
    for c in range(lines.shape[1]):
        price = lines[line.PRICE, c]
        if price != 0.0:
            paid = price * (lines[line.MOST, c] if price > 0.0 else lines[line.LEAST, c])
            total -= paid
            size += abs(paid)
            weight += abs(price)
    return total / weight if total > AT_BOUND * size else 0.0


@routine
def _furthest(lines: Floats) -> float:
    """Give the largest price, whatever its sign."""
    furthest = 0.0
    for c in range(lines.shape[1]):
        furthest = max(furthest, abs(lines[line.PRICE, c]))
    return furthest


@routine
def _descend(at: Blocks, base: float, pull: float, size: float, scale: float, groups: Groups) -> int:
    """Bring prices to where the answers keep to the limits that have one."""
    lines = groups[4][2]
    _answer(at, base, pull, size, groups)
    trust, best, idle = scale, math.inf, 0
    for _ in range(STEPS):
        worst = _find_counting(size, groups)
        if worst <= 1.0:
            return DONE
        idle = 0 if worst < 0.5 * best else idle + 1
        best = min(best, worst)
        if (idle > IDLE) & (best <= 1e2):  # as near as numbers come
            return STUCK
        slope, cut = _direct(at, size / scale, trust, groups)
        if not slope > 0.0:
            return STUCK
        if not _walk(at, base, pull, size, slope, groups):
            return STUCK
        trust *= 4.0 if cut else 1.0
        if _furthest(lines) > FAR * scale and _proven_miss(at, groups) > 0.0:
            return IMPOSSIBLE
    return STUCK


@routine
def _pull_together(at: Blocks, base: float, size: float, scale: float, groups: Groups) -> int:
    """Settle amounts that jump: round after round, each pulled to where it was."""
    work, _, _, _, slot = at
    lanes = groups[4][4]
    loose = LOOSE
    ended = STUCK
    for i in range(slot.size):
        lanes[lane.ANCHOR, i] = work[slot[i] + AMOUNT * LANES]
    for _ in range(ROUNDS):
        pull = scale / (loose * size)
        ended = _descend(at, base, pull, size, scale, groups)
        if ended == IMPOSSIBLE:
            return ended
        moved = 0.0
        for i in range(slot.size):
            x = work[slot[i] + AMOUNT * LANES]
            moved = max(moved, abs(x - lanes[lane.ANCHOR, i]))
            lanes[lane.ANCHOR, i] = x
        if pull * moved <= SETTLED * scale:
            break
        loose = min(loose * LOOSER, LOOSEST)
    return ended


@routine
def _room(at: Blocks, i: int, c: int, more: bool, groups: Groups) -> float:
    """How much more, or less, an instrument may hold, by its domain and all limits but one."""
    work, _, _, _, slot = at
    starts, inside, lines, _, _ = groups[4]
    last = lines.shape[1] - 1
    x = work[slot[i] + AMOUNT * LANES]
    room = _highest(work, slot[i]) - x if more else x - _lowest(work, slot[i])
    kind = int(work[slot[i] + LEAF * LANES])
    begin, end = (starts[kind], starts[kind + 1]) if kind >= 0 else (0, 0)
    found = c == last
    for k in range(begin - 1, end):
        e = inside[k] if k >= begin else last
        if e == c:
            found = True
        else:
            room = min(
                room, -_beyond(lines, e, lines[line.MOST, e]) if more else _beyond(lines, e, lines[line.LEAST, e])
            )
    return room if found else 0.0


@routine
def _repair(at: Blocks, groups: Groups) -> bool:
    """Take what is too much, and add what is missing, where there is most room; False if a limit is still missed.

    Amounts that bend with the price come first: those at the end of a chord would leave it.
    """
    work, _, _, _, slot = at
    _, _, lines, _, lanes = groups[4]
    tries = 2 * (slot.size + lines.shape[1])
    sound = True
    for c in range(lines.shape[1]):
        most, least = lines[line.MOST, c], lines[line.LEAST, c]
        left = True
        while left:
            _sum_lines(at, groups)
            over, short = _beyond(lines, c, most), -_beyond(lines, c, least)
            fine = 0.0 if most != least else 2.0**-50 * most
            left = (over > fine) | (short > 2.0**-50 * max(least, 0.0))
            if not left:
                break
            more = not over > fine
            chosen, largest, bends = -1, 0.0, False
            for i in range(slot.size):
                room = _room(at, i, c, more, groups)
                bent = lanes[lane.SHARE, i] > 0.0
                if (room > 0.0) & ((bent & (not bends)) | ((bent == bends) & (room > largest))):
                    chosen, largest, bends = i, room, bent
            tries -= 1
            if (chosen < 0) | (tries < 0):
                sound = False
                break
            x = work[slot[chosen] + AMOUNT * LANES]
            moved = min((short if more else over) + 2.0**-53 * x, largest)
            work[slot[chosen] + AMOUNT * LANES] = x + moved if more else max(x - moved, 0.0)
    _sum_lines(at, groups)
    return sound


@routine
def _misses(lines: Floats, money: float) -> bool:
    """Whether a limit is missed by more than counts as kept to."""
    missed = False
    for c in range(lines.shape[1]):
        most, least = lines[line.MOST, c], lines[line.LEAST, c]
        missed |= _beyond(lines, c, most) > AT_BOUND * min(most, money)
        missed |= -_beyond(lines, c, least) > AT_BOUND * max(least, 0.0)
    return missed


@routine
def _bound(at: Blocks, base: float, hurdle: float, groups: Groups) -> float:
    """Bound every allocation within the limits, by the prices."""
    work, kinds, blocks, sums, slot = at
    lines, lanes = groups[4][2], groups[4][4]
    _respond(at, base, groups)
    total, size, _ = worth(work, kinds, blocks, sums, NEAR, hurdle)
    rest = 0.0
    for i in range(slot.size):
        paid = (lanes[lane.OWN, i] - hurdle) * work[slot[i] + NEAR * LANES]
        total, rest = two_sum(total, rest, -paid)
        size += abs(paid)
    last = lines.shape[1] - 1
    for c in range(last + 1):
        price = lines[line.PRICE, c] + (base - hurdle if c == last else 0.0)
        if price != 0.0:
            paid = price * (lines[line.MOST, c] if (price > 0.0) | (c == last) else lines[line.LEAST, c])
            total, rest = two_sum(total, rest, paid)
            size += abs(paid)
    return (total + rest) + ROUNDING * size


@routine
def meet_limits(
    at: Blocks, money: float, hurdle: float, floor: float, scale: float, groups: Groups
) -> tuple[float, int, float]:
    """Solve the problem of the envelopes within limits that overlap: AMOUNT.

    Returns the price of money, how the search for it ended, and the bound. If it FAILED the amounts are none, and the
    verdict says why; the bound holds all the same.
    """
    _, fences, _, ended, crossing = groups
    lines = crossing[2]
    ended[verdict.STATUS] = status_of.OPTIMAL
    exactly = floor == -math.inf
    base = 0.0 if exactly else floor
    size = _set_lines(at, money, exactly, groups)
    if not _fit_alone(at, money, groups):
        return base, FAILED, -math.inf
    how = _descend(at, base, 0.0, size, scale, groups)
    if how == STUCK:
        how = _pull_together(at, base, size, scale, groups)
    last = lines.shape[1] - 1
    if how == IMPOSSIBLE:
        culprit = 0
        for c in range(last):
            culprit = c if abs(lines[line.PRICE, c]) > abs(lines[line.PRICE, culprit]) else culprit
        _conflict(ended, status_of.GROUPS_CONFLICT, culprit, _proven_miss(at, groups))
        return base, FAILED, -math.inf
    sound = _repair(at, groups)
    kept = sound or not _misses(lines, money)
    bound = _bound(at, base, hurdle, groups)
    if not kept:
        _conflict(ended, status_of.UNSOLVED, -1, math.nan)
        return base, FAILED, bound
    if _furthest(lines) <= FAR * scale:  # others are no place to begin at
        for c in range(last + 1):
            lines[line.KEPT, c] = lines[line.PRICE, c]
    for c in range(last):
        fences[fence.PRICE, c], fences[fence.AROUND, c] = lines[line.PRICE, c], 0.0
    price = base + lines[line.PRICE, last]
    return price, SLACK if (lines[line.PRICE, last] == 0.0) & (not exactly) else SMOOTH, bound
