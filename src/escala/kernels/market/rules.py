"""Liquidation: what the five protocols let a liquidator repay and seize, and when a step lets him act.

References
----------
Aave v3 LiquidationLogic.sol (3.0–3.2, and 3.3 with its limits of dust), Aave v4 Liquidation.sol (target health factor,
bonus that grows as health falls), Compound III Comet.sol (absorb), Morpho Blue Morpho.sol (liquidate).
"""

from __future__ import annotations

from typing import Final

from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import MOST_LIQUIDATIONS
from escala.kernels.layout import liquidation_rules as rules
from escala.kernels.layout import market_events as event
from escala.kernels.layout import market_flags as flags
from escala.kernels.layout import market_held as h
from escala.kernels.layout import market_position as p
from escala.kernels.layout import market_series as q
from escala.kernels.layout import market_state as w
from escala.kernels.layout import market_status as status
from escala.kernels.layout import market_where as where
from escala.kernels.market import position as books
from escala.kernels.market.depth import kept

_HALF_ABOVE: Final = 0.95  # health factor above which half of the debt may be repaid
_SHARES: Final = 5  # of what is allowed that a liquidator looks at: all, a half, a quarter, …


@routine
def _asked(
    rule: int, position: Floats, health: float, debt: float, value: float, bonus: float, threshold: float
) -> tuple[float, float]:
    """Give what a liquidator may repay of a debt and seize of a collateral of `value`."""
    dust = position[p.DUST]
    factor = 1.0 + bonus
    if rule == rules.MORPHO:
        repaid = debt
        seized = repaid * factor
        if seized > value:
            seized = value
            repaid = value / factor
        return repaid, seized
    if rule == rules.AAVE_V4:
        limit = position[p.HEALTH_FOR_MAX_BONUS]
        least = bonus * position[p.BONUS_FACTOR]
        granted = bonus
        if not health <= limit:
            granted = least + (bonus - least) * ((1.0 - health) / (1.0 - limit))
        factor = 1.0 + granted
        target = position[p.TARGET_HEALTH]
        gap = target - factor * threshold
        repaid = min(debt, debt * ((target - health) / gap)) if gap > 0.0 else debt
        if repaid < debt and debt - repaid < dust:
            repaid = debt
        seized = repaid * factor
        if seized > value or (seized < value and value - seized < dust and repaid < debt):
            seized = value
            repaid = min(value / factor, debt)
        return repaid, seized
    careful = rule == rules.AAVE_V33
    half = health > _HALF_ABOVE
    if careful:
        half = half and debt >= 2.0 * dust and value >= 2.0 * dust
    repaid = 0.5 * debt if half else debt
    seized = repaid * factor
    if seized > value:
        seized = value
        repaid = value / factor
    if careful and repaid < debt and seized < value and value - seized < dust:
        seized = value - dust
        repaid = seized / factor
    return repaid, seized


@helper
def _note(state: Floats, events: Floats, t: int, kind: int, health: float, repaid: float, seized: float) -> None:
    state[w.OUT_REPAID_BY_LIQUIDATORS] += repaid
    state[w.OUT_SEIZED] += seized
    state[w.OUT_LIQUIDATIONS] += 1.0
    books.flag(state, flags.LIQUIDATED)
    if state[w.OUT_FIRST_LIQUIDATION] < 0.0:
        state[w.OUT_FIRST_LIQUIDATION] = float(t)
    books.record(state, events, t, kind, health, repaid, seized)


@routine
def _absorb(state: Floats, series: Floats, events: Floats, count: int, t: int, kind: int, health: float) -> None:
    """Let the protocol take everything and credit a share of it."""
    debt = state[w.DEBT] * books.growth_of_debt(series, count, t)
    seized = state[h.COLLATERAL] * state[h.PRICE]
    credit = (state[h.COLLATERAL] * state[h.LIQUIDATION_FACTOR]) * state[h.PRICE]
    worth = state[h.COLLATERAL] * state[h.WORTH]
    for j in range(1, count):
        seized = seized + state[h.COLLATERAL + j] * state[h.PRICE + j]
        credit = credit + (state[h.COLLATERAL + j] * state[h.LIQUIDATION_FACTOR + j]) * state[h.PRICE + j]
        worth = worth + state[h.COLLATERAL + j] * state[h.WORTH + j]
    repaid = min(credit, debt)
    books.settle(state, series, count, t)
    state[w.WALLET] += credit - repaid
    state[w.OUT_BAD_DEBT] += debt - repaid
    state[w.OUT_LIQUIDATION_LOSS] += worth - credit
    for j in range(count):
        state[h.COLLATERAL + j] = 0.0
    state[w.DEBT] = 0.0
    state[w.OUT_STATUS] = float(status.ABSORBED)
    _note(state, events, t, kind, health, repaid, seized)


@routine
def _finds_share(
    state: Floats,
    position: Floats,
    steps: Floats,
    rule: int,
    j: int,
    debt: float,
    value: float,
    repaid: float,
    seized: float,
) -> bool:
    """Look for the first share that pays for a liquidator, who sells what he gets for what it is worth."""
    careful = rule in (rules.AAVE_V33, rules.AAVE_V4)
    dust = position[p.DUST]
    for halving in range(_SHARES):
        if not (halving > 0 and careful and (debt - repaid < dust or value - seized < dust)):
            units = state[h.COLLATERAL + j] if seized == value else seized / state[h.PRICE + j]
            v = units * state[h.WORTH + j]
            if v * kept(position, p.LIQUIDATOR_FORM, steps, v) - repaid - position[p.LIQUIDATOR_GAS] >= 0.0:
                state[w.SOLD], state[w.TAKEN], state[w.UNITS], state[w.PROCEEDS] = repaid, seized, units, v
                return True
        repaid = 0.5 * repaid
        seized = 0.5 * seized
    return False


@routine
def _liquidate(
    state: Floats, position: Floats, steps: Floats,
    series: Floats, events: Floats, rule: int, count: int, t: int, kind: int,
    health: float,
) -> bool:  # fmt: skip
    """Let a liquidator act at the prices in the state; tell whether one did."""
    if rule == rules.COMET:
        _absorb(state, series, events, count, t, kind, health)
        return True
    growth = books.growth_of_debt(series, count, t)
    debt = state[w.DEBT] * growth
    j = 0
    value = state[h.COLLATERAL] * state[h.PRICE]
    for other in range(1, count):
        worth = state[h.COLLATERAL + other] * state[h.PRICE + other]
        if worth > value:
            j, value = other, worth
    repaid, seized = _asked(
        rule, position, health, debt, value, state[h.BONUS + j], state[h.LIQUIDATION_THRESHOLD + j]
    )  # fmt: skip
    if not _finds_share(state, position, steps, rule, j, debt, value, repaid, seized):
        books.flag(state, flags.WAITED)
        return False
    repaid, seized = state[w.SOLD], state[w.TAKEN]
    books.settle(state, series, count, t)
    state[w.OUT_LIQUIDATION_LOSS] += state[w.PROCEEDS] - repaid
    state[h.COLLATERAL + j] = 0.0 if seized == value else state[h.COLLATERAL + j] - state[w.UNITS]
    state[w.DEBT] = 0.0 if repaid == debt else state[w.DEBT] - repaid / growth
    _note(state, events, t, kind, health, repaid, seized)
    if not books.has_collateral(state, count):
        state[w.OUT_BAD_DEBT] += state[w.DEBT] * growth
        state[w.DEBT] = 0.0
        state[w.OUT_STATUS] = float(status.WIPED_OUT)
    books.weigh(state, count)
    return True


@routine
def low_phase(
    state: Floats,
    position: Floats,
    steps: Floats,
    series: Floats,
    places: Integers,
    events: Floats,
    rule: int,
    count: int,
    t: int,
) -> None:
    """Liquidate on the way down to the low of a step, where the health factor passes 1 − overshoot."""
    apart = False
    for j in range(count):
        apart = apart or series[places[where.LOW + j], t] != series[q.RATIO * count + j, t]
    if not apart:
        return
    growth = books.growth_of_debt(series, count, t)
    share = 0.0
    done = 0
    while state[w.DEBT] > 0.0:
        lowest = books.health_at_low(state, series, places, count, t)
        if not lowest < 1.0 or done == MOST_LIQUIDATIONS:
            books.see(state, lowest)
            if lowest < 1.0:
                books.flag(state, flags.PASS_LIMIT)
            return
        before = books.health_at_close(state, series, count, t - 1)
        way = 1.0
        if before > lowest:
            way = min(1.0, (before - (1.0 - position[p.OVERSHOOT])) / (before - lowest))
        share = max(share, way)
        health = 0.0
        for j in range(count):
            last = series[q.RATIO * count + j, t - 1]
            between = last + share * (series[places[where.LOW + j], t] - last)
            health = state[h.KAPPA] * between if j == 0 else health + state[h.KAPPA + j] * between
            price = between * growth
            state[h.PRICE + j] = price
            index = places[where.PROTOCOL + j] != q.MARKET_VALUE * count + j
            state[h.WORTH + j] = books.market_value(series, count, j, t) if index else price
        books.see(state, health)
        if not _liquidate(state, position, steps, series, events, rule, count, t, event.LIQUIDATION_LOW, health):
            books.see(state, lowest)
            return
        done += 1


@routine
def close_phase(
    state: Floats,
    position: Floats,
    steps: Floats,
    series: Floats,
    places: Integers,
    events: Floats,
    rule: int,
    count: int,
    t: int,
) -> None:
    """Liquidate at the end of a step."""
    done = 0
    while state[w.DEBT] > 0.0:
        health = books.health_at_close(state, series, count, t)
        books.see(state, health)
        if not health < 1.0:
            return
        if done == MOST_LIQUIDATIONS:
            books.flag(state, flags.PASS_LIMIT)
            return
        for j in range(count):
            state[h.PRICE + j] = books.protocol_value(series, places, j, t)
            state[h.WORTH + j] = books.market_value(series, count, j, t)
        if not _liquidate(state, position, steps, series, events, rule, count, t, event.LIQUIDATION_CLOSE, health):
            return
        done += 1
