"""Plans that build leverage: deposit, then rounds of borrowing up to the limit, buying and depositing.

The last round is cut so that the position ends at its target: where aim + per_supply·S − per_borrow·B is 0. Where what
trades keep does not depend on their size, with κ what a unit of debt drawn becomes and λ the limit,

* a unit that is drawn moves this distance by per_borrow − per_supply·κ, in whichever round: what must be drawn in all
  is known at first, and with it the position at the end, without the sum of its steps;
* the largest steps follow each other by the factor λ·κ: a round is a multiplication, an addition and a comparison.

Such plans go in lanes. Where a curve says what trades keep, a plan goes alone, its position is followed from round to
round, and the last step is found by halving.
"""

from __future__ import annotations

import math

from escala.kernels.jit import Codes, Floats, Integers, helper, kernel, routine
from escala.kernels.layout import PLAN_LANES as LANES
from escala.kernels.layout import ROUND_OPERATIONS, plan_actions
from escala.kernels.layout import leverage_out as o
from escala.kernels.layout import plan_input as c
from escala.kernels.layout import plan_lane as r
from escala.kernels.layout import plan_status as st
from escala.kernels.lending import plan
from escala.kernels.lending.plan import EPSILON, SLACK, SMALL, Market


@helper
def _begin(w: Floats) -> None:
    """Measure the distance to the target from where the first deposit leads, and the first step."""
    for j in range(LANES):
        supply, borrow = w[r.SUPPLY + j] + w[r.EQUITY + j], w[r.BORROW + j]
        per_supply, per_borrow = w[r.PER_SUPPLY + j], w[r.PER_BORROW + j]
        rounds = w[r.ROUNDS + j]
        top = min(w[r.MAX_LTV + j], w[r.LIQUIDATION_THRESHOLD + j] / w[r.MIN_HEALTH_FACTOR + j])
        limit = top * (1.0 - (plan.EACH * rounds + plan.AT_ALL) * EPSILON)
        growth = (1.0 - w[r.FEE_RATE + j]) * (w[r.KEEP + j] - w[r.SWAP_FEE + j])
        slope = per_borrow - per_supply * growth
        missing = (w[r.AIM + j] + per_supply * supply) - per_borrow * borrow
        small = SMALL * (abs(per_supply) * supply + per_borrow * borrow)
        unseen = EPSILON * supply * slope  # what moves the supply by less than its last digit
        small = unseen if unseen > small else small
        possible = missing * (1.0 - top * growth) * SLACK < (supply * top - borrow) * slope
        step, factor = supply * limit - borrow, limit * growth
        plan.ready(w, j, top, limit, growth, slope, missing, small, step, factor, possible)


@helper
def _finish(w: Floats) -> None:
    """Give the position that each lane's plan leads to, and the one-shot beside it, from what is drawn in all."""
    for j in range(LANES):
        supply, borrow = w[r.SUPPLY + j] + w[r.EQUITY + j], w[r.BORROW + j]
        fee_rate, keep, swap_fee = w[r.FEE_RATE + j], w[r.KEEP + j], w[r.SWAP_FEE + j]
        threshold, top, growth, small = w[r.LIQUIDATION_THRESHOLD + j], w[r.TOP + j], w[r.GROWTH + j], w[r.SMALL + j]
        missing, made, reach = w[r.MISSING + j], w[r.MADE + j], w[r.REACH + j]
        fitted = w[r.FITTED + j] > 0.0
        drawn = w[r.TOTAL + j] if fitted else reach
        fees = drawn * fee_rate
        spent = drawn - fees
        bought = spent * keep - spent * swap_fee
        final, debt = supply + bought, borrow + drawn
        ended = final * threshold / debt
        ended = math.inf if debt == 0.0 else ended
        at_limit = threshold / w[r.LIMIT + j]
        full = made - w[r.FITTED + j]
        lowest = min(ended, at_limit) if full > 0.0 else ended
        before = reach - reach * fee_rate
        last = (supply + (before * keep - before * swap_fee)) * threshold / debt
        lowest = min(lowest, last) if fitted else lowest
        room = supply * top - borrow
        flash = 1.0 + w[r.FLASH_FEE + j]
        growth_flash = growth / flash
        most = room / (1.0 - top * growth_flash)
        most = most if room > 0.0 else 0.0
        most_loan = (most - most * fee_rate) / flash
        most_got = most_loan * keep - most_loan * swap_fee
        needed = missing / (w[r.PER_BORROW + j] - w[r.PER_SUPPLY + j] * growth_flash)
        loan = (needed - needed * fee_rate) / flash
        got = loan * keep - loan * swap_fee
        within = (borrow + needed <= top * (supply + got) * SLACK) & (missing < math.inf)
        wanted = missing > small
        x = needed if within else most
        loan = loan if within else most_loan
        got = got if within else most_got
        x, loan, got = (x if wanted else 0.0), (loan if wanted else 0.0), (got if wanted else 0.0)
        reachable = within | (not wanted)
        operations = ROUND_OPERATIONS * made + (1.0 if w[r.EQUITY + j] > 0.0 else 0.0)
        endless, spent_all = w[r.AIM + j] == math.inf, made >= w[r.ROUNDS + j]
        status = plan.status_of(missing, small, fitted, w[r.POSSIBLE + j] > 0.0, endless, spent_all)
        both = (status == st.REACHED) & reachable
        lost = spent - bought
        difference = ((x - loan) + (loan - got)) - (fees + lost)
        bound = growth * room / (1.0 - top * growth)
        w[o.FINAL_SUPPLY + j] = final
        w[o.FINAL_BORROW + j] = debt
        w[o.LOWEST_HEALTH_FACTOR + j] = lowest
        w[o.FEES + j] = fees
        w[o.SWAP_COST + j] = lost
        w[o.DRAWN + j] = drawn
        w[o.BOUGHT + j] = bought
        w[o.SUPPLY_BOUND + j] = supply + (bound if room > 0.0 else 0.0)
        w[o.FLASH_LOAN + j] = loan
        w[o.FLASH_SUPPLY + j] = supply + got
        w[o.FLASH_BORROW + j] = borrow + x
        w[o.FLASH_FEES + j] = x - loan
        w[o.FLASH_SWAP_COST + j] = loan - got
        w[o.BREAK_EVEN_GAS + j] = plan.break_even(both, operations - w[r.FLASH_STEPS + j], difference)
        w[o.FLASH_SUPPLY_BOUND + j] = supply + most_got
        w[o.STATUS + j] = status
        w[o.ROUNDS_MADE + j] = made
        w[o.OPERATIONS_MADE + j] = operations
        w[o.FLASH_REACHABLE + j] = 1.0 if reachable else 0.0


@routine
def _first_deposit(w: Floats, table: Floats) -> int:
    """Write the deposit that a plan begins with, if any; gives the place of the next operation."""
    if w[r.EQUITY] > 0.0:
        supply, threshold = w[r.SUPPLY] + w[r.EQUITY], w[r.LIQUIDATION_THRESHOLD]
        return plan.record(table, 0, plan_actions.DEPOSIT, w[r.EQUITY], 0.0, supply, w[r.BORROW], 0.0, threshold)
    return 0


@routine
def _round(
    w: Floats, table: Floats, row: int, x: float, got: float, supply: float, debt: float, grown: float
) -> int:  # fmt: skip
    """Write the operations of a round that draws x and buys `got`."""
    threshold, fee = w[r.LIQUIDATION_THRESHOLD], x * w[r.FEE_RATE]
    spent = x - fee
    row = plan.record(table, row, plan_actions.BORROW, x, fee, supply, debt, spent, threshold)
    row = plan.record(table, row, plan_actions.BUY, got, spent - got, supply, debt, got, threshold)
    return plan.record(table, row, plan_actions.DEPOSIT, got, 0.0, grown, debt, 0.0, threshold)


@routine
def _operations(w: Floats, table: Floats) -> None:
    """Write the operations of the plan in the first lane, whose rounds are counted."""
    start, borrow = w[r.SUPPLY] + w[r.EQUITY], w[r.BORROW]
    fee_rate, keep, swap_fee = w[r.FEE_RATE], w[r.KEEP], w[r.SWAP_FEE]
    step, reach, supply = start * w[r.LIMIT] - borrow, 0.0, start
    made = int(w[r.MADE])
    row = _first_deposit(w, table)
    for k in range(made):
        cut = (k == made - 1) & (w[r.FITTED] > 0.0)
        further = w[r.TOTAL] if cut else reach + step
        x = w[r.TOTAL] - reach if cut else step
        own, spent = x - x * fee_rate, further - further * fee_rate
        grown = start + (spent * keep - spent * swap_fee)
        row = _round(w, table, row, x, own * keep - own * swap_fee, supply, borrow + further, grown)
        step, reach, supply = step * w[r.FACTOR], further, grown


@helper
def _bought(w: Floats, market: Market, spent: float) -> float:
    """Collateral that a purchase brings."""
    return spent * plan.kept(int(w[r.CURVE]), w[r.KEEP], market, spent) - spent * w[r.SWAP_FEE]


@routine
def _gain(w: Floats, market: Market, x: float, per_supply: float, per_borrow: float, flash: float) -> float:
    """How far debt of x, and what is bought with it, moves a position towards its target."""
    return per_borrow * x - per_supply * _bought(w, market, (x - x * w[r.FEE_RATE]) / flash)


@routine
def _cut(
    w: Floats, market: Market, missing: float, per_supply: float, per_borrow: float, flash: float, high: float
) -> float:  # fmt: skip
    """Debt up to `high` that moves a position as far as is missing."""
    low = 0.0
    for _ in range(plan.HALVINGS):
        mid = 0.5 * (low + high)
        if not (low < mid < high):
            break
        if _gain(w, market, mid, per_supply, per_borrow, flash) < missing:
            low = mid
        else:
            high = mid
    return high


@routine
def _one_shot(w: Floats, market: Market, missing: float, per_supply: float, per_borrow: float) -> float:
    """Debt that one transaction with a flash loan draws to move a position as far as is missing."""
    flash = 1.0 + w[r.FLASH_FEE]
    most = w[r.MOST] * flash / (1.0 - w[r.FEE_RATE])
    high = min(missing, most)
    for _ in range(plan.HALVINGS):  # trades may have no largest size: double until it is enough
        if _gain(w, market, high, per_supply, per_borrow, flash) >= missing:
            break
        high = min(2.0 * high, most)
    return min(_cut(w, market, missing, per_supply, per_borrow, flash, high), most)


@routine
def _walk(w: Floats, market: Market, table: Floats) -> None:
    """Plan alone, in the first lane, what trades by a curve, round by round."""
    fee_rate, threshold, aim = w[r.FEE_RATE], w[r.LIQUIDATION_THRESHOLD], w[r.AIM]
    per_supply, per_borrow, top = w[r.PER_SUPPLY], w[r.PER_BORROW], w[r.TOP]
    largest = w[r.MOST] / (1.0 - fee_rate)
    supply, borrow, missing = w[r.SUPPLY] + w[r.EQUITY], w[r.BORROW], w[r.MISSING]
    drawn = bought = fees = lost = 0.0
    lowest = math.inf
    row = _first_deposit(w, table)
    while w[r.GOING] > 0.0:
        cap = supply * top - borrow
        debt = borrow + cap
        if (supply * threshold / debt < w[r.MIN_HEALTH_FACTOR]) | (debt / supply > w[r.MAX_LTV]):
            cap = supply * (top * plan.SHRINK) - borrow
        cap = min(cap, largest)
        fits = (missing <= _gain(w, market, cap, per_supply, per_borrow, 1.0)) & (w[r.POSSIBLE] > 0.0)
        x = cap
        if fits:
            x = min(_cut(w, market, missing, per_supply, per_borrow, 1.0, cap), cap)
        fee = x * fee_rate
        spent = x - fee
        got = _bought(w, market, spent)
        w[r.GOING] = 0.0
        if (cap > 0.0) & (supply + got > supply):
            grown, debt = supply + got, borrow + x
            row = _round(w, table, row, x, got, supply, debt, grown)
            lowest = min(lowest, supply * threshold / debt)
            supply, borrow = grown, debt
            drawn, bought, fees, lost = drawn + x, bought + got, fees + fee, lost + (spent - got)
            missing = (aim + per_supply * supply) - per_borrow * borrow
            w[r.MADE] += 1.0
            w[r.FITTED] = 1.0 if fits else 0.0
            w[r.GOING] = 1.0 if (not fits) & (w[r.MADE] < w[r.ROUNDS]) else 0.0
    w[o.FINAL_SUPPLY] = supply
    w[o.FINAL_BORROW] = borrow
    w[o.LOWEST_HEALTH_FACTOR] = min(lowest, plan.health_factor(supply, borrow, threshold))
    w[o.DRAWN] = drawn
    w[o.BOUGHT] = bought
    w[o.FEES] = fees
    w[o.SWAP_COST] = lost


@routine
def _beside(w: Floats, market: Market) -> None:
    """Give the one-shot beside a plan that was walked alone, and how it ends."""
    supply, borrow, missing = w[r.SUPPLY] + w[r.EQUITY], w[r.BORROW], w[r.MISSING]
    per_supply, per_borrow, top, growth = w[r.PER_SUPPLY], w[r.PER_BORROW], w[r.TOP], w[r.GROWTH]
    flash, fee_rate = 1.0 + w[r.FLASH_FEE], w[r.FEE_RATE]
    room = supply * top - borrow
    x = loan = got = 0.0
    if room > 0.0:
        x = _one_shot(w, market, room, top, 1.0)
        loan = (x - x * fee_rate) / flash
        got = _bought(w, market, loan)
    w[o.FLASH_SUPPLY_BOUND] = supply + got
    wanted = missing > w[r.SMALL]
    reachable = not wanted
    if wanted & (missing < math.inf):
        needed = _one_shot(w, market, missing, per_supply, per_borrow)
        traded = (needed - needed * fee_rate) / flash
        brought = _bought(w, market, traded)
        moved = per_borrow * needed - per_supply * brought
        within = borrow + needed <= top * (supply + brought) * SLACK
        reachable = within & (moved * SLACK >= missing) & (brought > 0.0)
        if reachable:
            x, loan, got = needed, traded, brought
    if not wanted:
        x = loan = got = 0.0
    made = w[r.MADE]
    operations = ROUND_OPERATIONS * made + (1.0 if w[r.EQUITY] > 0.0 else 0.0)
    fitted, possible = w[r.FITTED] > 0.0, w[r.POSSIBLE] > 0.0
    status = plan.status_of(missing, w[r.SMALL], fitted, possible, w[r.AIM] == math.inf, made >= w[r.ROUNDS])
    difference = ((x - loan) + (loan - got)) - (w[o.FEES] + w[o.SWAP_COST])
    bound = growth * room / (1.0 - top * growth)
    w[o.SUPPLY_BOUND] = supply + (bound if room > 0.0 else 0.0)
    w[o.FLASH_LOAN] = loan
    w[o.FLASH_SUPPLY] = supply + got
    w[o.FLASH_BORROW] = borrow + x
    w[o.FLASH_FEES] = x - loan
    w[o.FLASH_SWAP_COST] = loan - got
    w[o.BREAK_EVEN_GAS] = plan.break_even((status == st.REACHED) & reachable, operations - w[r.FLASH_STEPS], difference)
    w[o.STATUS] = status
    w[o.ROUNDS_MADE] = made
    w[o.OPERATIONS_MADE] = operations
    w[o.FLASH_REACHABLE] = 1.0 if reachable else 0.0


@kernel(*plan.PLAN_SIGNATURE)
def leverage(
    columns: Floats, family: Codes, params: Floats, origin: Floats, steps: Floats, table: Floats, values: Floats,
    counts: Integers, work: Floats, start: int, stop: int,
) -> None:  # fmt: skip
    """Plan how any number of positions reach their targets.

    Parameters
    ----------
    columns : (inputs, at least stop − start) float64
        A row for each of the layout's ``plan_input``; their first column is plan `start`.
    family, params, origin, steps : (curves,), (curves, PARAMS), (curves,), (any,)
        Curves that say what trades keep; the row ``curve`` has the place of each plan's.
    table : (operations' columns, m) float64
        Output: the first m operations of the last plan. With m > 0 plans go one after the other.
    values, counts : (outputs, at least stop) float64 and int64
        Outputs, a row for each of ``LEVERAGE_VALUES`` and ``LEVERAGE_COUNTS``.
    work : (PLAN_WORK_SIZE,) float64
    start, stop : int
        Range of the plans.
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
            _walk(work, market, table)
            _beside(work, market)
        plan.put(work, o.FINAL_SUPPLY, values, counts, start + first, count)
        first += count
