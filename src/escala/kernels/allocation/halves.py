"""Instruments that cost something to trade: an envelope for less than is held, one for more, and how they join.

What is held splits an instrument's domain. Below it the next unit also saves what selling it would cost, so the lower
half answers to the price less that; above it the upper half answers to the price plus what buying costs. The two and
the point between them are joined by their concave envelope:

* where trading costs a rate and nothing fixed, and the utility bends downwards, the envelope turns at what is held, and
  no price between the two slopes there moves it;
* a fixed cost makes two chords, from what is held to the points that just pay for it;
* where what is held is worth keeping at no price, or is not allowed, one chord leads from one half to the other.

The slopes of these chords are found by Dinkelbach's method: the slope to the best point at a price is the next price.
"""

from __future__ import annotations

import math

from escala.kernels.allocation.envelope import (
    BASE,
    BLOCK,
    BUY,
    BUY_AT,
    BUY_TO,
    CLOSED,
    ENTER,
    ENTRY,
    EXIT,
    EXIT_AT,
    FAR_SIDE,
    FIXED,
    FORCED,
    FREE,
    HALF,
    HELD,
    HIGH,
    LANES,
    LEAVE,
    LESS,
    LOW,
    NEAR,
    OFFSET,
    REACH,
    SELL,
    SELL_AT,
    SELL_FROM,
    STATE,
    STAYS,
    SUNK,
    answer_lane,
    build_over,
    trading_cost,
    weighted_utility,
)
from escala.kernels.jit import Floats, helper, routine

DINKELBACH = 60  # steps at most; each squares the distance
SETTLED = 2.0**-50  # relative: closer prices are one
CROSSINGS = 200  # steps at most to the price at which both halves are worth the same


@routine
def build(work: Floats, at: int, kind: int) -> None:
    """Compute the envelope of the instrument at `at` over its domain."""
    low, high, reach = work[at + LOW * LANES], work[at + HIGH * LANES], work[at + REACH * LANES]
    state = work[at + STATE * LANES]
    if work[at + HALF * LANES] != LESS:
        build_over(work, at, kind, low, high, reach, state)
        return
    held = work[at + HELD * LANES]
    less = (state == CLOSED) | (state == FREE) | (low <= held)
    more = (state != CLOSED) & (held < high)
    if (state != CLOSED) & (low <= held):
        build_over(work, at, kind, low, min(held, high), min(held, reach), state)  # behind what is held buying costs
    else:
        build_over(work, at, kind, 0.0, 0.0, 0.0, CLOSED)
    if more:
        build_over(work, at + BLOCK, kind, max(low, held), high, reach, FORCED)
    else:
        build_over(work, at + BLOCK, kind, 0.0, 0.0, 0.0, CLOSED)
    work[at + OFFSET * LANES] = -work[at + SELL * LANES]
    work[at + BLOCK + OFFSET * LANES] = work[at + BUY * LANES]
    allowed = (held <= high) & ((held >= low) | ((held == 0.0) & (state != FORCED)))
    if state == CLOSED:
        allowed = held == 0.0
    _set_joint(work, at, -math.inf, -math.inf, -math.inf, math.inf, allowed)
    if less & (not more):
        if allowed & (_fee(work, at) > 0.0) & (_end(work, at, False) < held):
            slope, end = _steepest(work, at, kind, False)
            _set_joint(work, at, -math.inf, -math.inf, slope, end, True)
    elif more & (not less):
        _set_joint(work, at, math.inf, -math.inf, math.inf, -math.inf, False)
    elif not allowed:
        _cross(work, at, kind, -math.inf, math.inf)
    else:
        _join_at_held(work, at, kind)


@helper
def _set_joint(
    work: Floats, at: int, buy_at: float, buy_to: float, sell_at: float, sell_from: float, stays: bool
) -> None:
    work[at + BUY_AT * LANES], work[at + BUY_TO * LANES] = buy_at, buy_to
    work[at + SELL_AT * LANES], work[at + SELL_FROM * LANES] = sell_at, sell_from
    work[at + STAYS * LANES] = 1.0 if stays else 0.0


@helper
def _fee(work: Floats, at: int) -> float:
    """What it costs to trade at all, as far as that is still open."""
    return 0.0 if work[at + SUNK * LANES] != 0.0 else work[at + FIXED * LANES]


@routine
def _net(work: Floats, at: int, kind: int, x: float) -> float:
    """Utility less what trading costs."""
    return weighted_utility(work, at, kind, x) - trading_cost(work[at:], 0, x)


@routine
def _answer_half(work: Floats, at: int, kind: int, more: bool, price: float) -> float:
    """Best amount of one half at a price of money, the one nearer to what is held."""
    lane = at + BLOCK if more else at
    begin = lane // BLOCK * BLOCK
    answer_lane(work[begin : begin + BLOCK], work, kind, lane - begin, price + work[lane + OFFSET * LANES])
    return work[lane + (NEAR if more else FAR_SIDE) * LANES]


@helper
def _end(work: Floats, at: int, more: bool) -> float:
    """Capital of a half that is furthest from what is held."""
    return work[at + HIGH * LANES] if more else work[at + BASE * LANES]


@routine
def _steepest(work: Floats, at: int, kind: int, more: bool) -> tuple[float, float]:
    """Slope of the envelope from what is held to a half that costs a fixed amount to enter, and where it touches."""
    held = work[at + HELD * LANES]
    here = _net(work, at, kind, held)
    x = _end(work, at, more)
    slope = (_net(work, at, kind, x) - here) / (x - held)
    for _ in range(DINKELBACH):
        y = _answer_half(work, at, kind, more, slope)
        if y == held:
            break
        found = (_net(work, at, kind, y) - here) / (y - held)
        if not (found > slope if more else found < slope):
            break
        slope, x = found, y
    return slope, x


@routine
def _cross(work: Floats, at: int, kind: int, low: float, high: float) -> None:
    """Join the halves by one chord, whose slope lies between `low` and `high`."""
    x, y = _end(work, at, False), _end(work, at, True)
    price = (_net(work, at, kind, y) - _net(work, at, kind, x)) / (y - x)
    step = abs(price) + 1.0
    if not low < price < high:
        price = high if low == -math.inf else (low if high == math.inf else 0.5 * (low + high))
    for _ in range(CROSSINGS):
        x, y = _answer_half(work, at, kind, False, price), _answer_half(work, at, kind, True, price)
        chord = (_net(work, at, kind, y) - _net(work, at, kind, x)) / (y - x)
        if abs(chord - price) <= SETTLED * abs(price):
            break
        if chord > price:
            low = price
        else:
            high = price
        following = chord
        if not low < following < high:
            following = 0.5 * (low + high)
            if not abs(following) < math.inf:
                following = low + step if high == math.inf else high - step
                step *= 2.0
        if not low < following < high:
            break
        price = following
    _set_joint(work, at, price, y, price, x, False)


@helper
def _last_chord(work: Floats, at: int) -> float:
    """Slope of the chord by which the lower half reaches what is held; NaN if an arc does."""
    held = work[at + HELD * LANES]
    if (work[at + EXIT_AT * LANES] >= held) & (work[at + LEAVE * LANES] < held):
        return work[at + EXIT * LANES]
    if (work[at + BASE * LANES] < held) & (work[at + ENTER * LANES] >= held):
        return work[at + ENTRY * LANES]
    return math.nan


@routine
def _join_at_held(work: Floats, at: int, kind: int) -> None:
    """Join halves between which nothing may be traded."""
    held = work[at + HELD * LANES]
    buy, sell = work[at + BUY * LANES], work[at + SELL * LANES]
    if _fee(work, at) > 0.0:
        buy_at, buy_to = _steepest(work, at, kind, True)
        sell_at, sell_from = math.inf, held
        if _end(work, at, False) < held:
            sell_at, sell_from = _steepest(work, at, kind, False)
        if sell_at < buy_at:
            _cross(work, at, kind, sell_at, buy_at)
        else:
            _set_joint(work, at, buy_at, buy_to, sell_at, sell_from, True)
        return
    _set_joint(work, at, math.inf, held, -math.inf, held, True)
    first = work[at + BLOCK + ENTRY * LANES] - buy if work[at + BLOCK + ENTER * LANES] > held else math.nan
    if work[at + BLOCK + BASE * LANES] > held:  # a smallest ticket lies between
        first, buy_to = _steepest(work, at, kind, True)
        _set_joint(work, at, first, buy_to, -math.inf, held, True)
    last = _last_chord(work, at) + sell
    if held == 0.0 or (math.isnan(first) and math.isnan(last)):
        return
    here = _net(work, at, kind, held)
    if math.isnan(last):
        x = _answer_half(work, at, kind, False, first)
        if x < held and _net(work, at, kind, x) - first * x > here - first * held:
            _cross(work, at, kind, -math.inf, first)
    elif math.isnan(first):
        y = _answer_half(work, at, kind, True, last)
        if y > held and _net(work, at, kind, y) - last * y > here - last * held:
            _cross(work, at, kind, last, math.inf)
    elif first > last:
        _cross(work, at, kind, last, first)
