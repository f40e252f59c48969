"""Plans that take leverage off: rounds of withdrawing down to the limit, selling and repaying.

The last round is cut so that the position ends at its target, as in :mod:`escala.kernels.lending.plan_leverage`. With κ
what a unit that is sold repays, the largest steps follow each other by the factor κ/λ: they grow as long as a sale
repays more debt than its collateral carried.
"""

from __future__ import annotations

import math

from escala.kernels.jit import Codes, Floats, Integers, helper, kernel, routine
from escala.kernels.layout import PLAN_LANES as LANES
from escala.kernels.layout import ROUND_OPERATIONS, plan_actions
from escala.kernels.layout import plan_input as c
from escala.kernels.layout import plan_lane as r
from escala.kernels.layout import plan_status as st
from escala.kernels.layout import unwind_out as o
from escala.kernels.lending import plan
from escala.kernels.lending.plan import EPSILON, SLACK, SMALL, Market


@helper
def _begin(w: Floats) -> None:
    """Measure the distance to the target, and the first step."""
    for j in range(LANES):
        supply, borrow = w[r.SUPPLY + j], w[r.BORROW + j]
        per_supply, per_borrow = w[r.PER_SUPPLY + j], w[r.PER_BORROW + j]
        rounds = w[r.ROUNDS + j]
        top = min(w[r.MAX_LTV + j], w[r.LIQUIDATION_THRESHOLD + j] / w[r.MIN_HEALTH_FACTOR + j])
        # what is left of a large supply is as uncertain as the whole: the more leverage, the more digits go
        leverage = supply / (supply - borrow)
        leverage = leverage if leverage > 1.0 else 1.0
        shrink = min((plan.EACH * rounds + plan.AT_ALL) * EPSILON * leverage, plan.MOST_SHRINK)
        limit = top * (1.0 - shrink)
        growth = (w[r.KEEP + j] - w[r.SWAP_FEE + j]) / (1.0 + w[r.FEE_RATE + j])
        slope = per_borrow * growth - per_supply
        missing = per_borrow * borrow - (w[r.AIM + j] + per_supply * supply)
        small = SMALL * (abs(per_supply) * supply + per_borrow * borrow)
        free = supply - borrow / top
        possible = (slope > 0.0) & (free > 0.0) & (missing * (1.0 - growth / top) * SLACK < free * slope)
        step, factor = supply - borrow / limit, growth / limit
        plan.ready(w, j, top, limit, growth, slope, missing, small, step, factor, possible)


@helper
def _finish(w: Floats) -> None:
    """Give the position that each lane's plan leads to, and the one-shot beside it, from what is sold in all."""
    for j in range(LANES):
        supply, borrow = w[r.SUPPLY + j], w[r.BORROW + j]
        keep, swap_fee, aim, paying = w[r.KEEP + j], w[r.SWAP_FEE + j], w[r.AIM + j], 1.0 + w[r.FEE_RATE + j]
        threshold, top, growth, small = w[r.LIQUIDATION_THRESHOLD + j], w[r.TOP + j], w[r.GROWTH + j], w[r.SMALL + j]
        missing, made, reach = w[r.MISSING + j], w[r.MADE + j], w[r.REACH + j]
        fitted = w[r.FITTED + j] > 0.0
        to_debt = w[r.PER_SUPPLY + j] == 0.0
        sold = w[r.TOTAL + j] if fitted else reach
        got = sold * keep - sold * swap_fee
        whole = fitted & to_debt
        repaid = borrow - aim if whole else got / paying
        fees = repaid * w[r.FEE_RATE + j]
        lost = sold - got
        left = supply - sold
        debt = borrow - repaid
        debt = aim if whole else debt
        ended = left * threshold / debt
        ended = math.inf if debt == 0.0 else ended
        at_limit = threshold / w[r.LIMIT + j]
        full = made - w[r.FITTED + j]
        lowest = min(ended, at_limit) if full > 0.0 else ended
        owed = borrow - (reach * keep - reach * swap_fee) / paying
        last = left * threshold / owed
        lowest = min(lowest, last) if fitted else lowest
        endless, spent = aim == math.inf, made >= w[r.ROUNDS + j]
        status = plan.status_of(missing, small, fitted, w[r.POSSIBLE + j] > 0.0, endless, spent)
        closes = w[r.CLOSE + j] == 1.0
        out = left if closes & (status <= st.BEYOND) else 0.0
        flash = 1.0 + w[r.FLASH_FEE + j]
        slope = w[r.PER_BORROW + j] * (growth / flash) - w[r.PER_SUPPLY + j]
        wanted = missing > small
        flash_sold = missing / slope
        flash_got = flash_sold * keep - flash_sold * swap_fee
        loan = flash_got / flash
        flash_repaid = borrow - aim if to_debt else loan / paying
        flash_left = supply - flash_sold
        lower = borrow - flash_repaid
        lower = aim if to_debt else lower
        within = wanted & (slope > 0.0) & (flash_left >= 0.0) & (lower <= top * flash_left * SLACK)
        reachable = within | (not wanted)
        flash_sold, flash_got = (flash_sold if within else 0.0), (flash_got if within else 0.0)
        loan, flash_repaid = (loan if within else 0.0), (flash_repaid if within else 0.0)
        flash_left, lower = (flash_left if within else supply), (lower if within else borrow)
        flash_out = flash_left if closes & reachable else 0.0
        operations = ROUND_OPERATIONS * made + (1.0 if out > 0.0 else 0.0)
        both = (status == st.REACHED) & reachable
        difference = ((flash_got - flash_repaid) + (flash_sold - flash_got)) - (fees + lost)
        free = supply - borrow / top
        short = borrow - growth * supply
        w[o.FINAL_SUPPLY + j] = left - out
        w[o.FINAL_BORROW + j] = debt
        w[o.CASH_OUT + j] = out
        w[o.LOWEST_HEALTH_FACTOR + j] = lowest
        w[o.FEES + j] = fees
        w[o.SWAP_COST + j] = lost
        w[o.SOLD + j] = sold
        w[o.REPAID + j] = repaid
        w[o.FIRST_STEP + j] = free if free > 0.0 else 0.0
        w[o.SHORTFALL + j] = short if short > 0.0 else 0.0
        w[o.FLASH_LOAN + j] = loan
        w[o.FLASH_SUPPLY + j] = flash_left - flash_out
        w[o.FLASH_BORROW + j] = lower
        w[o.FLASH_FEES + j] = flash_got - flash_repaid
        w[o.FLASH_SWAP_COST + j] = flash_sold - flash_got
        w[o.BREAK_EVEN_GAS + j] = plan.break_even(both, operations - w[r.FLASH_STEPS + j], difference)
        w[o.FLASH_CASH_OUT + j] = flash_out
        w[o.STATUS + j] = status
        w[o.ROUNDS_MADE + j] = made
        w[o.OPERATIONS_MADE + j] = operations
        w[o.FLASH_REACHABLE + j] = 1.0 if reachable else 0.0


@routine
def _round(
    w: Floats, table: Floats, row: int, sold: float, got: float, repaid: float, left: float, borrow: float, debt: float
) -> int:  # fmt: skip
    """Write the operations of a round that sells collateral for `got` and repays."""
    threshold = w[r.LIQUIDATION_THRESHOLD]
    row = plan.record(table, row, plan_actions.WITHDRAW, sold, 0.0, left, borrow, sold, threshold)
    row = plan.record(table, row, plan_actions.SELL, got, sold - got, left, borrow, got, threshold)
    return plan.record(table, row, plan_actions.REPAY, repaid, repaid * w[r.FEE_RATE], left, debt, 0.0, threshold)


@routine
def _last_withdrawal(w: Floats, table: Floats, row: int) -> None:
    """Write the withdrawal of what collateral is left, if any."""
    if w[o.CASH_OUT] > 0.0:
        out, debt, threshold = w[o.CASH_OUT], w[o.FINAL_BORROW], w[r.LIQUIDATION_THRESHOLD]
        plan.record(table, row, plan_actions.WITHDRAW, out, 0.0, w[o.FINAL_SUPPLY], debt, out, threshold)


@routine
def _operations(w: Floats, table: Floats) -> None:
    """Write the operations of the plan in the first lane, whose rounds are counted."""
    start, keep, swap_fee, paying = w[r.SUPPLY], w[r.KEEP], w[r.SWAP_FEE], 1.0 + w[r.FEE_RATE]
    step, reach, borrow = start - w[r.BORROW] / w[r.LIMIT], 0.0, w[r.BORROW]
    made = int(w[r.MADE])
    row = 0
    for k in range(made):
        cut = (k == made - 1) & (w[r.FITTED] > 0.0)
        whole = cut & (w[r.PER_SUPPLY] == 0.0)
        further = w[r.TOTAL] if cut else reach + step
        sold = w[r.TOTAL] - reach if cut else step
        got = sold * keep - sold * swap_fee
        debt = w[r.AIM] if whole else w[r.BORROW] - (further * keep - further * swap_fee) / paying
        repaid = borrow - w[r.AIM] if whole else got / paying
        row = _round(w, table, row, sold, got, repaid, start - further, borrow, debt)
        step, reach, borrow = step * w[r.FACTOR], further, debt
    _last_withdrawal(w, table, row)


@helper
def _proceeds(w: Floats, market: Market, sold: float) -> float:
    """Money that a sale brings."""
    return sold * plan.kept(int(w[r.CURVE]), w[r.KEEP], market, sold) - sold * w[r.SWAP_FEE]


@routine
def _gain(w: Floats, market: Market, sold: float, flash: float) -> float:
    """How far a sale, and what is repaid with it, moves a position towards its target."""
    repaid = _proceeds(w, market, sold) / flash / (1.0 + w[r.FEE_RATE])
    return w[r.PER_BORROW] * repaid - w[r.PER_SUPPLY] * sold


@routine
def _cut(w: Floats, market: Market, missing: float, flash: float, high: float) -> float:
    """Collateral up to `high` whose sale moves a position as far as is missing."""
    low = 0.0
    for _ in range(plan.HALVINGS):
        mid = 0.5 * (low + high)
        if not (low < mid < high):
            break
        if _gain(w, market, mid, flash) < missing:
            low = mid
        else:
            high = mid
    return high


@routine
def _walk(w: Floats, market: Market, table: Floats) -> int:
    """Plan alone, in the first lane, what trades by a curve, round by round; gives how many operations that is."""
    fee_rate, threshold, aim = w[r.FEE_RATE], w[r.LIQUIDATION_THRESHOLD], w[r.AIM]
    per_supply, per_borrow, top = w[r.PER_SUPPLY], w[r.PER_BORROW], w[r.TOP]
    supply, borrow, missing = w[r.SUPPLY], w[r.BORROW], w[r.MISSING]
    sold = repaid = fees = lost = 0.0
    lowest = math.inf
    row = 0
    while w[r.GOING] > 0.0:
        cap = supply - borrow / top
        left = supply - cap
        if (left * threshold / borrow < w[r.MIN_HEALTH_FACTOR]) | (borrow / left > w[r.MAX_LTV]):
            cap = supply - borrow / (top * plan.SHRINK)
        cap = min(cap, w[r.MOST])
        fits = (missing <= _gain(w, market, cap, 1.0)) & (w[r.POSSIBLE] > 0.0)
        taken = cap
        if fits:
            taken = min(_cut(w, market, missing, 1.0, cap), cap)
        got = _proceeds(w, market, taken)
        whole = fits & (per_supply == 0.0)
        paid = borrow - aim if whole else got / (1.0 + fee_rate)
        w[r.GOING] = 0.0
        if (cap > 0.0) & (borrow - paid < borrow):
            left = supply - taken
            lower = borrow - paid
            debt = aim if whole else lower
            row = _round(w, table, row, taken, got, paid, left, borrow, debt)
            lowest = min(lowest, left * threshold / borrow)
            supply, borrow = left, debt
            sold, repaid = sold + taken, repaid + paid
            fees, lost = fees + paid * fee_rate, lost + (taken - got)
            missing = per_borrow * borrow - (aim + per_supply * supply)
            w[r.MADE] += 1.0
            w[r.FITTED] = 1.0 if fits else 0.0
            w[r.GOING] = 1.0 if (not fits) & (w[r.MADE] < w[r.ROUNDS]) else 0.0
    w[o.FINAL_SUPPLY] = supply
    w[o.FINAL_BORROW] = borrow
    w[o.LOWEST_HEALTH_FACTOR] = min(lowest, plan.health_factor(supply, borrow, threshold))
    w[o.FEES] = fees
    w[o.SWAP_COST] = lost
    w[o.SOLD] = sold
    w[o.REPAID] = repaid
    return row


@routine
def _beside(w: Floats, market: Market) -> None:
    """Give the one-shot beside a plan that was walked alone, how it ends, and what is taken out then."""
    supply, borrow, missing, aim = w[r.SUPPLY], w[r.BORROW], w[r.MISSING], w[r.AIM]
    to_debt, paying, top = w[r.PER_SUPPLY] == 0.0, 1.0 + w[r.FEE_RATE], w[r.TOP]
    made, fitted, possible = w[r.MADE], w[r.FITTED] > 0.0, w[r.POSSIBLE] > 0.0
    status = plan.status_of(missing, w[r.SMALL], fitted, possible, aim == math.inf, made >= w[r.ROUNDS])
    closes = w[r.CLOSE] == 1.0
    out = w[o.FINAL_SUPPLY] if closes & (status <= st.BEYOND) else 0.0
    free, short = supply - borrow / top, borrow - w[r.GROWTH] * supply
    w[o.FIRST_STEP] = min(free if free > 0.0 else 0.0, w[r.MOST])
    w[o.SHORTFALL] = short if short > 0.0 else 0.0
    w[o.FINAL_SUPPLY] -= out
    w[o.CASH_OUT] = out
    flash = 1.0 + w[r.FLASH_FEE]
    slope = w[r.PER_BORROW] * (w[r.GROWTH] / flash) - w[r.PER_SUPPLY]
    sold = got = loan = repaid = 0.0
    reachable = True
    if missing > w[r.SMALL]:
        sold = min(_cut(w, market, missing, flash, min(w[r.MOST], supply)), w[r.MOST])
        got = _proceeds(w, market, sold)
        loan = got / flash
        repaid = borrow - aim if to_debt else loan / paying
        moved = _gain(w, market, sold, flash)
        left, lower = supply - sold, borrow - repaid
        lower = aim if to_debt else lower
        reachable = (slope > 0.0) & (left >= 0.0) & (moved * SLACK >= missing) & (lower <= top * left * SLACK)
        if reachable:
            supply, borrow = left, lower
        else:
            sold = got = loan = repaid = 0.0
    flash_out = supply if closes & reachable else 0.0
    operations = ROUND_OPERATIONS * made + (1.0 if out > 0.0 else 0.0)
    difference = ((got - repaid) + (sold - got)) - (w[o.FEES] + w[o.SWAP_COST])
    w[o.FLASH_LOAN] = loan
    w[o.FLASH_SUPPLY] = supply - flash_out
    w[o.FLASH_BORROW] = borrow
    w[o.FLASH_FEES] = got - repaid
    w[o.FLASH_SWAP_COST] = sold - got
    w[o.FLASH_CASH_OUT] = flash_out
    w[o.BREAK_EVEN_GAS] = plan.break_even((status == st.REACHED) & reachable, operations - w[r.FLASH_STEPS], difference)
    w[o.STATUS] = status
    w[o.ROUNDS_MADE] = made
    w[o.OPERATIONS_MADE] = operations
    w[o.FLASH_REACHABLE] = 1.0 if reachable else 0.0


@kernel(*plan.PLAN_SIGNATURE)
def unwind(
    columns: Floats, family: Codes, params: Floats, origin: Floats, steps: Floats, table: Floats, values: Floats,
    counts: Integers, work: Floats, start: int, stop: int,
) -> None:  # fmt: skip
    """Plan how any number of positions take leverage off.

    Parameters as in :func:`escala.kernels.lending.plan_leverage.leverage`; `values` and `counts` have a row for each of
    ``UNWIND_VALUES`` and ``UNWIND_COUNTS``.
    """
    market = (family, params, origin, steps)
    first = 0
    while first < stop - start:
        count = plan.bring(work, columns, table, first, stop - start - first)
        _begin(work)
        if columns[c.CURVE, first] < 0.0:
            while plan.climb(work) > 0:
                pass
            _finish(work)
            if table.shape[1] > 0:
                _operations(work, table)
        else:
            plan.trim(work, market)
            row = _walk(work, market, table)
            _beside(work, market)
            _last_withdrawal(work, table, row)
        plan.put(work, o.FINAL_SUPPLY, values, counts, start + first, count)
        first += count
