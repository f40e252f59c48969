"""A position at a step of a path: what it is worth, how healthy it is, and the books that are kept of it."""

from __future__ import annotations

import math

from escala.kernels.jit import Floats, Integers, helper
from escala.kernels.layout import market_event_row as e
from escala.kernels.layout import market_flags as flags
from escala.kernels.layout import market_held as h
from escala.kernels.layout import market_holding as holding
from escala.kernels.layout import market_position as p
from escala.kernels.layout import market_series as q
from escala.kernels.layout import market_state as w
from escala.kernels.layout import market_status as status
from escala.kernels.layout import market_where as where


@helper
def market_value(series: Floats, count: int, j: int, t: int) -> float:
    """Give what the market pays for a unit that was supplied at the start."""
    return series[q.MARKET_VALUE * count + j, t]


@helper
def protocol_value(series: Floats, places: Integers, j: int, t: int) -> float:
    """Give what the protocol counts for it."""
    return series[places[where.PROTOCOL + j], t]


@helper
def counted_per_worth(series: Floats, places: Integers, count: int, j: int, t: int) -> float:
    """Give what the protocol counts for a unit of market value: 1 where it takes the market's price."""
    if places[where.PROTOCOL + j] == q.MARKET_VALUE * count + j:
        return 1.0
    return protocol_value(series, places, j, t) / market_value(series, count, j, t)


@helper
def growth_of_debt(series: Floats, count: int, t: int) -> float:
    """Give what a unit of debt at the start has become."""
    return series[q.GROWTH * count, t]


@helper
def weigh(state: Floats, count: int) -> None:
    """Work out the health factor that a unit of each ratio gives; after every change of collateral or debt."""
    debt = state[w.DEBT]
    for j in range(count):
        held = state[h.COLLATERAL + j] * state[h.LIQUIDATION_THRESHOLD + j]
        state[h.KAPPA + j] = held / debt if debt != 0.0 else 0.0


@helper
def health_at_close(state: Floats, series: Floats, count: int, t: int) -> float:
    """Give the health factor at the end of a step; inf without debt."""
    if state[w.DEBT] == 0.0:
        return math.inf
    total = state[h.KAPPA] * series[q.RATIO * count, t]
    for j in range(1, count):
        total = total + state[h.KAPPA + j] * series[q.RATIO * count + j, t]
    return total


@helper
def health_at_low(state: Floats, series: Floats, places: Integers, count: int, t: int) -> float:
    """Give the health factor at the low of a step, with debt."""
    total = state[h.KAPPA] * series[places[where.LOW], t]
    for j in range(1, count):
        total = total + state[h.KAPPA + j] * series[places[where.LOW + j], t]
    return total


@helper
def see(state: Floats, health: float) -> None:
    """Count a health factor."""
    if health < state[w.OUT_LOWEST_HEALTH]:
        state[w.OUT_LOWEST_HEALTH] = health


@helper
def flag(state: Floats, code: int) -> None:
    """Note what happened."""
    state[w.OUT_FLAGS] = float(int(state[w.OUT_FLAGS]) | code)


@helper
def record(state: Floats, events: Floats, t: int, kind: int, a: float, b: float, c: float) -> None:
    """Write an event, while there is room, and count it."""
    place = int(state[w.COUNTED])
    if place < events.shape[1]:
        events[e.STEP, place] = float(t)
        events[e.KIND, place] = float(kind)
        events[e.A, place] = a
        events[e.B, place] = b
        events[e.C, place] = c
    state[w.COUNTED] += 1.0


@helper
def settle(state: Floats, series: Floats, count: int, t: int) -> None:
    """Bring gains, yield and interest up to date, at the market's prices that the state holds as `worth`."""
    for j in range(count):
        units = state[h.COLLATERAL + j]
        worth, earned_so_far = state[h.WORTH + j], series[q.YIELD_EARNED * count + j, t]
        gain = units * (worth - state[h.MARK + j])
        earned = units * (earned_so_far - state[h.YIELD_MARK + j])
        state[w.OUT_SUPPLY_YIELD] += earned
        state[w.OUT_PRICE_PNL] += gain - earned
        state[h.MARK + j] = worth
        state[h.YIELD_MARK + j] = earned_so_far
    growth = growth_of_debt(series, count, t)
    state[w.OUT_INTEREST] += state[w.DEBT] * (growth - state[w.GROWTH_MARK])
    state[w.GROWTH_MARK] = growth


@helper
def settle_at_close(state: Floats, series: Floats, count: int, t: int) -> None:
    """Do so at the prices at the end of a step."""
    for j in range(count):
        state[h.WORTH + j] = market_value(series, count, j, t)
    settle(state, series, count, t)


@helper
def equity(state: Floats, series: Floats, count: int, t: int) -> float:
    """Give what is really owned."""
    total = state[h.COLLATERAL] * market_value(series, count, 0, t)
    for j in range(1, count):
        total = total + state[h.COLLATERAL + j] * market_value(series, count, j, t)
    return ((total - state[w.DEBT] * growth_of_debt(series, count, t)) + state[w.WALLET]) + state[w.BUFFER]


@helper
def repay(state: Floats, debt: float, amount: float, growth: float) -> None:
    """Take a repayment from a debt of `debt`, all of it if it is enough."""
    state[w.DEBT] = 0.0 if amount >= debt else state[w.DEBT] - amount / growth


@helper
def has_collateral(state: Floats, count: int) -> bool:
    """Tell whether anything is held."""
    held = False
    for j in range(count):
        held = held or state[h.COLLATERAL + j] != 0.0
    return held


@helper
def open_position(state: Floats, position: Floats, holdings: Floats, series: Floats, count: int, looping: bool) -> None:
    """Put a position into the state, as it is at the start of a path."""
    for row in range(w.DEBT, w.END):
        state[row] = 0.0
    state[w.DEBT] = position[p.DEBT]
    state[w.WALLET] = position[p.WALLET]
    state[w.GROWTH_MARK] = 1.0
    state[w.LOOPING] = 1.0 if looping else 0.0
    state[w.UNDER_WAY] = 1.0
    state[w.OUT_FIRST_LIQUIDATION] = -1.0
    for j in range(count):
        state[h.COLLATERAL + j] = holdings[j, holding.COLLATERAL]
        state[h.LIQUIDATION_THRESHOLD + j] = holdings[j, holding.LIQUIDATION_THRESHOLD]
        state[h.LOAN_TO_VALUE + j] = holdings[j, holding.LOAN_TO_VALUE]
        state[h.BONUS + j] = holdings[j, holding.BONUS]
        state[h.LIQUIDATION_FACTOR + j] = holdings[j, holding.LIQUIDATION_FACTOR]
        state[h.MARK + j] = market_value(series, count, j, 0)
        state[h.YIELD_MARK + j] = 0.0
    weigh(state, count)
    state[w.OUT_LOWEST_HEALTH] = health_at_close(state, series, count, 0)
    state[w.OUT_START_EQUITY] = equity(state, series, count, 0)


@helper
def close_books(state: Floats, series: Floats, count: int, t: int) -> None:
    """Write what a position ends with at step `t`."""
    settle_at_close(state, series, count, t)
    state[w.OUT_END_STEP] = float(t)
    state[w.OUT_HEALTH] = health_at_close(state, series, count, t)
    state[w.OUT_END_EQUITY] = equity(state, series, count, t)
    state[w.OUT_END_DEBT] = state[w.DEBT] * growth_of_debt(series, count, t)
    state[w.OUT_END_WALLET] = state[w.WALLET]
    state[w.OUT_END_PRICE] = market_value(series, count, 0, t) / series[q.SUPPLIED * count, t]
    if state[w.OUT_STATUS] == status.OPEN and state[w.DEBT] == 0.0:
        state[w.OUT_STATUS] = float(status.DEBT_FREE)
    if state[w.OUT_BAD_DEBT] > 0.0:
        flag(state, flags.BAD_DEBT)
