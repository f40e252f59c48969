"""What the owner of a position does at the end of a step: stop, top up, deleverage, boost."""

from __future__ import annotations

from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import TRADE_ROUNDS, depths
from escala.kernels.layout import market_events as event
from escala.kernels.layout import market_flags as flags
from escala.kernels.layout import market_held as h
from escala.kernels.layout import market_position as p
from escala.kernels.layout import market_state as w
from escala.kernels.layout import market_status as status
from escala.kernels.market import position as books
from escala.kernels.market.depth import kept


@helper
def eta(position: Floats, steps: Floats, v: float) -> float:
    """Give the share of a value that the owner's trade keeps."""
    return kept(position, p.DEPTH_FORM, steps, v)


@helper
def _safe_debt(state: Floats, series: Floats, places: Integers, count: int, row: int, t: int) -> float:
    """Sum the collateral at the protocol's prices, times what `row` of the state says of each asset."""
    total = (state[h.COLLATERAL] * state[row]) * books.protocol_value(series, places, 0, t)
    for j in range(1, count):
        total = total + (state[h.COLLATERAL + j] * state[row + j]) * books.protocol_value(series, places, j, t)
    return total


@helper
def _largest(state: Floats, series: Floats, count: int, t: int) -> tuple[int, float]:
    """Give the asset of the largest market value, and that value."""
    j = 0
    value = state[h.COLLATERAL] * books.market_value(series, count, 0, t)
    for other in range(1, count):
        worth = state[h.COLLATERAL + other] * books.market_value(series, count, other, t)
        if worth > value:
            j, value = other, worth
    return j, value


@routine
def _stop(state: Floats, position: Floats, steps: Floats, series: Floats, events: Floats, count: int, t: int) -> bool:
    """Sell everything and repay; tell whether that was possible."""
    debt = state[w.DEBT] * books.growth_of_debt(series, count, t)
    fee, gas = position[p.FEE_RATE], position[p.GAS]
    net = 0.0
    for j in range(count):
        v = state[h.COLLATERAL + j] * books.market_value(series, count, j, t)
        proceeds = v * eta(position, steps, v) - v * fee
        net = proceeds if j == 0 else net + proceeds
    net = net - gas
    left = (net + state[w.WALLET]) - debt
    if not left >= 0.0:
        books.flag(state, flags.REFUSED)
        return False
    books.settle_at_close(state, series, count, t)
    for j in range(count):
        v = state[h.COLLATERAL + j] * books.market_value(series, count, j, t)
        state[w.OUT_FEES] += v * fee
        state[w.OUT_SLIPPAGE] += v - v * eta(position, steps, v)
        state[h.COLLATERAL + j] = 0.0
    state[w.OUT_GAS] += gas
    state[w.WALLET] = left
    state[w.DEBT] = 0.0
    state[w.OUT_STATUS] = float(status.CLOSED)
    books.record(state, events, t, event.STOP, debt, net, left)
    return True


@routine
def _top_up(
    state: Floats, position: Floats, series: Floats, places: Integers, events: Floats, count: int, t: int
) -> None:
    """Repay from the wallet."""
    growth = books.growth_of_debt(series, count, t)
    debt, gas = state[w.DEBT] * growth, position[p.GAS]
    safe = _safe_debt(state, series, places, count, h.LIQUIDATION_THRESHOLD, t)
    repaid = min(debt - safe / position[p.TOPUP_TARGET], state[w.WALLET] - gas)
    if not repaid > 0.0:
        books.flag(state, flags.REFUSED)
        return
    books.settle_at_close(state, series, count, t)
    books.repay(state, debt, repaid, growth)
    state[w.WALLET] = (state[w.WALLET] - gas) - repaid
    state[w.OUT_GAS] += gas
    state[w.OUT_TOPUPS] += 1.0
    books.weigh(state, count)
    books.record(state, events, t, event.TOPUP, repaid, debt, state[w.WALLET])
    books.see(state, books.health_at_close(state, series, count, t))


@helper
def _deleverage(
    state: Floats,
    position: Floats,
    steps: Floats,
    series: Floats,
    places: Integers,
    events: Floats,
    count: int,
    t: int,
    health: float,
) -> None:
    """Sell of the largest asset and repay, as much as leads to the target."""
    growth = books.growth_of_debt(series, count, t)
    debt, fee, gas = state[w.DEBT] * growth, position[p.FEE_RATE], position[p.GAS]
    safe = _safe_debt(state, series, places, count, h.LIQUIDATION_THRESHOLD, t)
    target = position[p.DELEVERAGE_TARGET]
    j, value = _largest(state, series, count, t)
    price = books.market_value(series, count, j, t)
    counted = state[h.LIQUIDATION_THRESHOLD + j] * books.counted_per_worth(series, places, count, j, t)
    flat = position[p.DEPTH_FORM] == depths.FLAT
    v = 0.0
    for _ in range(TRADE_ROUNDS):
        divisor = target * (eta(position, steps, v) - fee) - counted
        if not divisor > 0.0:
            v = value
            break
        last = v
        v = ((target * debt - safe) + target * gas) / divisor
        if not v < value:
            v = value
            break
        if flat or v == last:  # and so it would stay
            break
    keeps = eta(position, steps, v)
    net = (v * keeps - v * fee) - gas
    if not net > 0.0:
        books.flag(state, flags.REFUSED)
        return
    repaid = min(net, debt)
    units, scaled = state[h.COLLATERAL + j], state[w.DEBT]
    left = 0.0 if v == value else units - v / price
    state[h.COLLATERAL + j] = left
    books.repay(state, debt, repaid, growth)
    owed = state[w.DEBT]
    books.weigh(state, count)
    after = books.health_at_close(state, series, count, t)
    bare = owed > 0.0 and not books.has_collateral(state, count)
    state[h.COLLATERAL + j], state[w.DEBT] = units, scaled
    if bare or (after < 1.0 and not after > health):
        books.weigh(state, count)
        books.flag(state, flags.REFUSED)
        return
    books.settle_at_close(state, series, count, t)
    state[h.COLLATERAL + j], state[w.DEBT] = left, owed
    state[w.WALLET] += net - repaid
    state[w.OUT_FEES] += v * fee
    state[w.OUT_SLIPPAGE] += v - v * keeps
    state[w.OUT_GAS] += gas
    state[w.OUT_DELEVERAGES] += 1.0
    books.record(state, events, t, event.DELEVERAGE, v, repaid, owed * growth)
    books.see(state, after)


@helper
def _boost(
    state: Floats, position: Floats, steps: Floats, series: Floats, places: Integers, events: Floats, count: int, t: int
) -> None:
    """Borrow and buy of the largest asset, as much as leads to the target and may be borrowed."""
    growth = books.growth_of_debt(series, count, t)
    debt, fee, gas = state[w.DEBT] * growth, position[p.FEE_RATE], position[p.GAS]
    safe = _safe_debt(state, series, places, count, h.LIQUIDATION_THRESHOLD, t)
    credit = _safe_debt(state, series, places, count, h.LOAN_TO_VALUE, t)
    target = position[p.BOOST_TARGET]
    j, _ = _largest(state, series, count, t)
    price = books.market_value(series, count, j, t)
    weight = books.counted_per_worth(series, places, count, j, t)
    counted, lent = state[h.LIQUIDATION_THRESHOLD + j] * weight, state[h.LOAN_TO_VALUE + j] * weight
    flat = position[p.DEPTH_FORM] == depths.FLAT
    b = 0.0
    for _ in range(TRADE_ROUNDS):
        keeps = eta(position, steps, b) - fee
        first, second = target - counted * keeps, 1.0 - lent * keeps
        if not first > 0.0 or not second > 0.0:
            b = 0.0
            break
        last = b
        b = min(((safe - counted * gas) - target * debt) / first, ((credit - lent * gas) - debt) / second)
        if not b > 0.0:
            b = 0.0
            break
        if flat or b == last:
            break
    share = eta(position, steps, b)
    bought = (b * share - b * fee) - gas
    if not b > 0.0 or not bought > 0.0:
        books.flag(state, flags.REFUSED)
        return
    books.settle_at_close(state, series, count, t)
    state[w.DEBT] += b / growth
    state[h.COLLATERAL + j] += bought / price
    state[w.OUT_FEES] += b * fee
    state[w.OUT_SLIPPAGE] += b - b * share
    state[w.OUT_GAS] += gas
    state[w.OUT_BOOSTS] += 1.0
    books.weigh(state, count)
    books.record(state, events, t, event.BOOST, b, bought, state[w.DEBT] * growth)
    books.see(state, books.health_at_close(state, series, count, t))


@helper
def act(
    state: Floats, position: Floats, steps: Floats, series: Floats, places: Integers, events: Floats, count: int, t: int
) -> None:
    """Let the policy look at a position with debt; what is refused lets the next act."""
    health = books.health_at_close(state, series, count, t)
    if health < position[p.STOP_HEALTH] and _stop(state, position, steps, series, events, count, t):
        return
    if health < position[p.TOPUP_HEALTH] and state[w.WALLET] > 0.0:
        _top_up(state, position, series, places, events, count, t)
        if state[w.DEBT] == 0.0:
            return
        health = books.health_at_close(state, series, count, t)
    if health < position[p.DELEVERAGE_HEALTH]:
        _deleverage(state, position, steps, series, places, events, count, t, health)
    elif health > position[p.BOOST_HEALTH]:
        _boost(state, position, steps, series, places, events, count, t)
