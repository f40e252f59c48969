"""The lending loop on a position in a market: one operation at a time, what it grows by is bought at the market."""

from __future__ import annotations

import math
from typing import Final

from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import LENDING_LANES as LANES
from escala.kernels.layout import LENDING_LANES_END as LANES_END
from escala.kernels.layout import lending_lane as r
from escala.kernels.layout import market_events as event
from escala.kernels.layout import market_flags as flags
from escala.kernels.layout import market_held as h
from escala.kernels.layout import market_position as p
from escala.kernels.layout import market_state as w
from escala.kernels.lending.ladder import enter_regime
from escala.kernels.lending.step import fund, operate
from escala.kernels.market import position as books
from escala.kernels.market.policies import eta

_INPUTS: Final = r.BUFFER // LANES  # the inputs that lie in a lane: all rows before the state


@routine
def begin(lane: Floats, loops: Floats, i: int) -> None:
    """Put the strategy of position `i` into the first lane."""
    for row in range(_INPUTS):
        lane[row * LANES] = loops[row, i]
    for row in range(_INPUTS * LANES, LANES_END, LANES):
        lane[row] = 0.0
    lane[LANES_END:] = math.nan
    lane[r.LOWEST_PROFIT] = lane[r.LOWEST_HEALTH_FACTOR] = math.inf
    lane[r.SCENARIO] = i


@helper
def _ends(lane: Floats) -> bool:
    """Tell whether one of the loop's own reasons to stop holds."""
    return (
        lane[r.SUPPLY] >= lane[r.TARGET]
        or lane[r.SUPPLY] == 0.0
        or lane[r.STREAK] >= lane[r.MAX_STAGNANT_OPERATIONS]
        or lane[r.EXECUTED] + lane[r.SKIPPED] >= lane[r.MAX_OPERATIONS]
    )


@helper
def _bought(position: Floats, steps: Floats, growth: float) -> float:
    """Give what the growth of a supply buys."""
    return growth * eta(position, steps, growth) - position[p.GAS] if growth > 0.0 else 0.0


@routine
def grow(
    state: Floats,
    position: Floats,
    steps: Floats,
    series: Floats,
    places: Integers,
    events: Floats,
    lane: Floats,
    loops: Floats,
    t: int,
) -> None:
    """Do one operation on a position of one asset, or end the loop.

    The operation is planned and executed as without a market. If the costs of the purchase leave too little health it
    is skipped after all; if the purchase buys nothing nothing moves.
    """
    counted, price = books.protocol_value(series, places, 0, t), books.market_value(series, 1, 0, t)
    rate = books.growth_of_debt(series, 1, t)
    before = state[h.COLLATERAL] * counted
    lane[r.SUPPLY], lane[r.BORROW] = before, state[w.DEBT] * rate
    lane[r.WALLET], lane[r.BUFFER] = state[w.WALLET], state[w.BUFFER]
    if _ends(lane):
        state[w.LOOPING] = 0.0
        return
    streak, executed, skipped = lane[r.STREAK], lane[r.EXECUTED], lane[r.SKIPPED]
    enter_regime(lane, 0, loops)
    fund(lane, 0)
    funded, buffer, wallet = lane[r.SUPPLY], lane[r.BUFFER], lane[r.WALLET]
    operate(lane, 0, loops)
    done = lane[r.LAST_EXECUTED] == 1.0
    debt = lane[r.BORROW]
    growth = lane[r.SUPPLY] - before
    bought = _bought(position, steps, growth)
    units = state[h.COLLATERAL] + bought / price if growth > 0.0 else state[h.COLLATERAL]
    if done:
        health = ((units * lane[r.LIQUIDATION_THRESHOLD]) * counted) / debt if debt != 0.0 else math.inf
        if not health > lane[r.MIN_HEALTH_FACTOR]:
            done = False
            growth = funded - before
            bought = _bought(position, steps, growth)
            units = state[h.COLLATERAL] + bought / price if growth > 0.0 else state[h.COLLATERAL]
    refused = growth > 0.0 and not bought > 0.0
    done = done and not refused
    progress = 0.0 if refused else growth
    lane[r.STREAK] = streak + 1.0 if progress < lane[r.STAGNATION_TOLERANCE] else 0.0
    lane[r.EXECUTED] = executed + 1.0 if done else executed
    lane[r.SKIPPED] = skipped if done else skipped + 1.0
    if refused:
        books.flag(state, flags.REFUSED)
        return
    if not done and growth == 0.0:
        return
    books.settle_at_close(state, series, 1, t)
    state[h.COLLATERAL] = units
    state[w.WALLET], state[w.BUFFER] = wallet, lane[r.BUFFER] if done else buffer
    if done:
        state[w.DEBT] = debt / rate
        state[w.OUT_FEES] += lane[r.LAST_FEE]
        state[w.OUT_OPERATIONS] += 1.0
    if growth > 0.0:
        state[w.OUT_GAS] += position[p.GAS]
        state[w.OUT_SLIPPAGE] += growth - growth * eta(position, steps, growth)
    books.weigh(state, 1)
    owed = debt if done else state[w.DEBT] * rate
    books.record(state, events, t, event.LOOP, growth, owed, state[w.BUFFER])
    books.see(state, books.health_at_close(state, series, 1, t))
