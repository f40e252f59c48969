"""Plans that build leverage: deposit, then rounds of borrowing up to the limit, buying and depositing.

The last round is cut so that the position ends at its target: where aim + per_supply·S − per_borrow·B is 0. A unit of
debt that is drawn moves this distance by the same amount in every round where trades keep the same at every size, so
whether a round can be the last one, and how large it is then, needs no search; where a curve says what trades keep it
is found by halving. A block of plans without curves advances in lanes, one round a sweep; others one after the other,
by the same definitions.
"""

from __future__ import annotations

import math

from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    codes_in,
    float_rows_in,
    float_rows_out,
    floats_in,
    floats_out,
    helper,
    integer,
    integer_rows_out,
    kernel,
    routine,
)
from escala.kernels.layout import PLAN_LANES as LANES
from escala.kernels.layout import ROUND_OPERATIONS, plan_actions
from escala.kernels.layout import leverage_count as n
from escala.kernels.layout import leverage_value as v
from escala.kernels.layout import plan_input as c
from escala.kernels.layout import plan_lane as r
from escala.kernels.layout import plan_status as st
from escala.kernels.lending.plan import (
    HALVINGS,
    SHRINK,
    SLACK,
    SMALL,
    Market,
    all_flat,
    break_even,
    health_factor,
    kept,
    load,
    record,
    status_of,
)


@helper
def _begin(w: Floats) -> None:
    """Deposit, and measure the distance to the target."""
    for j in range(LANES):
        supply, borrow = w[r.SUPPLY + j] + w[r.EQUITY + j], w[r.BORROW + j]
        per_supply, per_borrow = w[r.PER_SUPPLY + j], w[r.PER_BORROW + j]
        top = w[r.LIMIT + j]
        growth = (1.0 - w[r.FEE_RATE + j]) * (w[r.KEEP + j] - w[r.SWAP_FEE + j])
        slope = per_borrow - per_supply * growth
        missing = (w[r.AIM + j] + per_supply * supply) - per_borrow * borrow
        small = SMALL * (abs(per_supply) * supply + per_borrow * borrow)
        possible = missing * (1.0 - top * growth) * SLACK < (supply * top - borrow) * slope
        w[r.NOW_SUPPLY + j] = supply
        w[r.NOW_BORROW + j] = borrow
        w[r.GROWTH + j] = growth
        w[r.SLOPE + j] = slope
        w[r.MISSING + j] = missing
        w[r.POSSIBLE + j] = 1.0 if possible else 0.0
        w[r.GOING + j] = 1.0 if (missing > small) & (w[r.ROUNDS + j] > 0.0) else 0.0


@helper
def _sweep(w: Floats) -> int:
    """Make one round in every lane that goes on; gives how many go on after it."""
    going = 0
    for j in range(LANES):
        supply, borrow = w[r.NOW_SUPPLY + j], w[r.NOW_BORROW + j]
        top, threshold, missing, slope = (
            w[r.LIMIT + j],
            w[r.LIQUIDATION_THRESHOLD + j],
            w[r.MISSING + j],
            w[r.SLOPE + j],
        )
        weighted = supply * threshold
        cap = supply * top - borrow
        debt = borrow + cap
        over = (weighted / debt < w[r.MIN_HEALTH_FACTOR + j]) | (debt / supply > w[r.MAX_LTV + j])
        cap = supply * (top * SHRINK) - borrow if over else cap
        fits = (missing <= cap * slope) & (w[r.POSSIBLE + j] > 0.0)
        cut = min(missing / slope, cap)
        x = cut if fits else cap
        fee = x * w[r.FEE_RATE + j]
        spent = x - fee
        got = spent * w[r.KEEP + j] - spent * w[r.SWAP_FEE + j]
        makes = (w[r.GOING + j] > 0.0) & (cap > 0.0) & (supply + got > supply)
        grown, debt = supply + got, borrow + x
        lowest = min(w[r.LOWEST + j], weighted / debt)
        made = w[r.MADE + j] + 1.0
        w[r.NOW_SUPPLY + j] = grown if makes else supply
        w[r.NOW_BORROW + j] = debt if makes else borrow
        w[r.LOWEST + j] = lowest if makes else w[r.LOWEST + j]
        w[r.MOVED + j] += x if makes else 0.0
        w[r.GAINED + j] += got if makes else 0.0
        w[r.PAID + j] += fee if makes else 0.0
        w[r.LOST + j] += spent - got if makes else 0.0
        distance = (w[r.AIM + j] + w[r.PER_SUPPLY + j] * grown) - w[r.PER_BORROW + j] * debt
        w[r.MISSING + j] = distance if makes else missing
        w[r.FITTED + j] = 1.0 if makes & fits else w[r.FITTED + j]
        follows = makes & (not fits) & (made < w[r.ROUNDS + j])
        w[r.MADE + j] = made if makes else w[r.MADE + j]
        w[r.GOING + j] = 1.0 if follows else 0.0
        going += 1 if follows else 0
    return going


@helper
def _bought(columns: Floats, market: Market, i: int, spent: float) -> float:
    """Collateral that a purchase brings."""
    keep = kept(int(columns[c.CURVE, i]), columns[c.KEEP, i], market, spent)
    return spent * keep - spent * columns[c.SWAP_FEE, i]


@routine
def _gain(
    columns: Floats, market: Market, i: int, x: float, per_supply: float,
    per_borrow: float, flash: float,
) -> float:  # fmt: skip
    """How far debt of x, and what is bought with it, moves a position towards its target."""
    spent = (x - x * columns[c.FEE_RATE, i]) / flash
    return per_borrow * x - per_supply * _bought(columns, market, i, spent)


@routine
def _cut(
    columns: Floats, market: Market, i: int, missing: float, per_supply: float,
    per_borrow: float, flash: float, slope: float, high: float,
) -> float:  # fmt: skip
    """Debt up to `high` that moves a position as far as is missing."""
    if columns[c.CURVE, i] < 0.0:
        return missing / slope
    low = 0.0
    for _ in range(HALVINGS):
        mid = 0.5 * (low + high)
        if not (low < mid < high):
            break
        if _gain(columns, market, i, mid, per_supply, per_borrow, flash) < missing:
            low = mid
        else:
            high = mid
    return high


@routine
def _walk(
    columns: Floats, market: Market, i: int, w: Floats, table: Floats
) -> int:  # fmt: skip
    """Plan i alone, in the first lane; gives how many operations it has."""
    fee_rate, threshold, aim = columns[c.FEE_RATE, i], columns[c.LIQUIDATION_THRESHOLD, i], columns[c.AIM, i]
    per_supply, per_borrow = columns[c.PER_SUPPLY, i], columns[c.PER_BORROW, i]
    flat = columns[c.CURVE, i] < 0.0
    largest = columns[c.MOST, i] / (1.0 - fee_rate)
    top, slope = w[r.LIMIT], w[r.SLOPE]
    row = 0
    if columns[c.EQUITY, i] > 0.0:
        supply, borrow = w[r.NOW_SUPPLY], w[r.NOW_BORROW]
        row = record(table, row, plan_actions.DEPOSIT, columns[c.EQUITY, i], 0.0, supply, borrow, 0.0, threshold)
    while w[r.GOING] > 0.0:
        supply, borrow, missing = w[r.NOW_SUPPLY], w[r.NOW_BORROW], w[r.MISSING]
        cap = supply * top - borrow
        debt = borrow + cap
        if (supply * threshold / debt < columns[c.MIN_HEALTH_FACTOR, i]) | (debt / supply > columns[c.MAX_LTV, i]):
            cap = supply * (top * SHRINK) - borrow
        cap = min(cap, largest)
        if flat:
            fits = missing <= cap * slope
        else:
            fits = missing <= _gain(columns, market, i, cap, per_supply, per_borrow, 1.0)
        fits = fits & (w[r.POSSIBLE] > 0.0)
        x = cap
        if fits:
            x = min(
                _cut(columns, market, i, missing, per_supply, per_borrow, 1.0, slope, cap), cap
            )  # fmt: skip
        fee = x * fee_rate
        spent = x - fee
        got = _bought(columns, market, i, spent)
        w[r.GOING] = 0.0
        if (cap > 0.0) & (supply + got > supply):
            grown, debt = supply + got, borrow + x
            row = record(table, row, plan_actions.BORROW, x, fee, supply, debt, spent, threshold)
            row = record(table, row, plan_actions.BUY, got, spent - got, supply, debt, got, threshold)
            row = record(table, row, plan_actions.DEPOSIT, got, 0.0, grown, debt, 0.0, threshold)
            w[r.LOWEST] = min(w[r.LOWEST], supply * threshold / debt)
            w[r.NOW_SUPPLY] = grown
            w[r.NOW_BORROW] = debt
            w[r.MOVED] += x
            w[r.GAINED] += got
            w[r.PAID] += fee
            w[r.LOST] += spent - got
            w[r.MISSING] = (aim + per_supply * grown) - per_borrow * debt
            w[r.MADE] += 1.0
            w[r.FITTED] = 1.0 if fits else 0.0
            w[r.GOING] = 1.0 if (not fits) & (w[r.MADE] < columns[c.ROUNDS, i]) else 0.0
    return row


@routine
def _one_shot(
    columns: Floats, market: Market, i: int, missing: float, per_supply: float,
    per_borrow: float, growth: float,
) -> float:  # fmt: skip
    """Debt that one transaction with a flash loan draws to move a position as far as is missing."""
    flash = 1.0 + columns[c.FLASH_FEE, i]
    most = columns[c.MOST, i] * flash / (1.0 - columns[c.FEE_RATE, i])
    high = most
    if columns[c.CURVE, i] >= 0.0:
        high = min(missing, most)
        for _ in range(HALVINGS):  # trades may have no largest size: double until it is enough
            if _gain(columns, market, i, high, per_supply, per_borrow, flash) >= missing:
                break
            high = min(2.0 * high, most)
    slope = per_borrow - per_supply * (growth / flash)
    return min(
        _cut(columns, market, i, missing, per_supply, per_borrow, flash, slope, high), most
    )  # fmt: skip


@routine
def _store(
    columns: Floats, market: Market, i: int, w: Floats, j: int, values: Floats,
    counts: Integers, at: int,
) -> None:  # fmt: skip
    """Write what became of the plan in lane j, and the one-shot beside it."""
    supply, borrow = columns[c.SUPPLY, i] + columns[c.EQUITY, i], columns[c.BORROW, i]
    per_supply, per_borrow, aim = columns[c.PER_SUPPLY, i], columns[c.PER_BORROW, i], columns[c.AIM, i]
    top, growth = w[r.LIMIT + j], w[r.GROWTH + j]
    flash, fee_rate = 1.0 + columns[c.FLASH_FEE, i], columns[c.FEE_RATE, i]
    first = (aim + per_supply * supply) - per_borrow * borrow
    small = SMALL * (abs(per_supply) * supply + per_borrow * borrow)
    room = supply * top - borrow
    x = spent = got = 0.0
    if room > 0.0:
        x = _one_shot(columns, market, i, room, top, 1.0, growth)
        spent = (x - x * fee_rate) / flash
        got = _bought(columns, market, i, spent)
    values[v.FLASH_SUPPLY_BOUND, at] = supply + got
    reachable = True
    if first > small:
        reachable = False
        if first < math.inf:
            needed = _one_shot(columns, market, i, first, per_supply, per_borrow, growth)
            traded = (needed - needed * fee_rate) / flash
            brought = _bought(columns, market, i, traded)
            moved = per_borrow * needed - per_supply * brought
            within = borrow + needed <= top * (supply + brought) * SLACK
            reachable = within & (moved * SLACK >= first) & (brought > 0.0)
            if reachable:
                x, spent, got = needed, traded, brought
    else:
        x = spent = got = 0.0
    made = int(w[r.MADE + j])
    operations = ROUND_OPERATIONS * made + (1 if columns[c.EQUITY, i] > 0.0 else 0)
    status = status_of(
        first, small, w[r.FITTED + j] > 0.0, w[r.POSSIBLE + j] > 0.0, aim == math.inf,
        w[r.MADE + j] >= columns[c.ROUNDS, i],
    )  # fmt: skip
    ended = health_factor(w[r.NOW_SUPPLY + j], w[r.NOW_BORROW + j], columns[c.LIQUIDATION_THRESHOLD, i])
    values[v.FINAL_SUPPLY, at] = w[r.NOW_SUPPLY + j]
    values[v.FINAL_BORROW, at] = w[r.NOW_BORROW + j]
    values[v.LOWEST_HEALTH_FACTOR, at] = min(w[r.LOWEST + j], ended)
    values[v.FEES, at] = w[r.PAID + j]
    values[v.SWAP_COST, at] = w[r.LOST + j]
    values[v.DRAWN, at] = w[r.MOVED + j]
    values[v.BOUGHT, at] = w[r.GAINED + j]
    values[v.SUPPLY_BOUND, at] = supply + growth * max(room, 0.0) / (1.0 - top * growth)
    values[v.FLASH_LOAN, at] = spent
    values[v.FLASH_SUPPLY, at] = supply + got
    values[v.FLASH_BORROW, at] = borrow + x
    values[v.FLASH_FEES, at] = x - spent
    values[v.FLASH_SWAP_COST, at] = spent - got
    values[v.BREAK_EVEN_GAS, at] = break_even(
        (status == st.REACHED) & reachable, operations - columns[c.FLASH_STEPS, i],
        ((x - spent) + (spent - got)) - (w[r.PAID + j] + w[r.LOST + j]),
    )  # fmt: skip
    counts[n.STATUS, at] = status
    counts[n.ROUNDS_MADE, at] = made
    counts[n.OPERATIONS_MADE, at] = operations
    counts[n.FLASH_REACHABLE, at] = 1 if reachable else 0


@kernel(
    float_rows_in, codes_in, float_rows_in, floats_in, floats_in, float_rows_out, float_rows_out, integer_rows_out,
    floats_out, integer, integer,
)  # fmt: skip
def leverage(
    columns: Floats, family: Codes, params: Floats, origin: Floats, steps: Floats, table: Floats,
    values: Floats, counts: Integers, work: Floats, start: int, stop: int,
) -> None:  # fmt: skip
    """Plan how any number of positions reach their targets.

    Parameters
    ----------
    columns : (inputs, at least stop − start) float64
        A row for each of the layout's ``plan_input``; their first column is plan `start`.
    family, params, origin, steps : (curves,), (curves, PARAMS), (curves,), (any,)
        Curves that say what trades keep; the row ``curve`` has the place of each plan's.
    table : (operations' columns, m) float64
        Output: the first m operations of the last plan that was walked alone. With m > 0 every plan is.
    values, counts : (outputs, at least stop) float64 and int64
        Outputs, a row for each of ``leverage_value`` and ``leverage_count``.
    work : (PLAN_WORK_SIZE,) float64
    start, stop : int
        Range of the plans.
    """
    market = (family, params, origin, steps)
    lanes = LANES if table.shape[1] == 0 else 1
    first = 0
    while first < stop - start:
        count = min(lanes, stop - start - first)
        flat = all_flat(columns, first, count) & (lanes > 1)
        if not flat:
            count = 1
        load(work, columns, first, count)
        _begin(work)
        if flat:
            while _sweep(work) > 0:
                pass
        else:
            _walk(columns, market, first, work, table)
        for j in range(count):
            _store(columns, market, first + j, work, j, values, counts, start + first + j)
        first += count
