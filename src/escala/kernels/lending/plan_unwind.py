"""Plans that take leverage off: rounds of withdrawing down to the limit, selling and repaying.

The last round is cut so that the position ends at its target, as in :mod:`escala.kernels.lending.plan_leverage`. Each
round frees collateral for a larger one as long as a unit that is sold repays more debt than it carried.
"""

from __future__ import annotations

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
from escala.kernels.layout import plan_input as c
from escala.kernels.layout import plan_lane as r
from escala.kernels.layout import plan_status as st
from escala.kernels.layout import unwind_count as n
from escala.kernels.layout import unwind_value as v
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
    """Measure the distance to the target."""
    for j in range(LANES):
        supply, borrow = w[r.SUPPLY + j], w[r.BORROW + j]
        per_supply, per_borrow = w[r.PER_SUPPLY + j], w[r.PER_BORROW + j]
        top = w[r.LIMIT + j]
        growth = (w[r.KEEP + j] - w[r.SWAP_FEE + j]) / (1.0 + w[r.FEE_RATE + j])
        slope = per_borrow * growth - per_supply
        missing = per_borrow * borrow - (w[r.AIM + j] + per_supply * supply)
        small = SMALL * (abs(per_supply) * supply + per_borrow * borrow)
        free = supply - borrow / top
        possible = (slope > 0.0) & (free > 0.0) & (missing * (1.0 - growth / top) * SLACK < free * slope)
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
        cap = supply - borrow / top
        left = supply - cap
        over = (left * threshold / borrow < w[r.MIN_HEALTH_FACTOR + j]) | (borrow / left > w[r.MAX_LTV + j])
        cap = supply - borrow / (top * SHRINK) if over else cap
        fits = (missing <= cap * slope) & (w[r.POSSIBLE + j] > 0.0)
        cut = min(missing / slope, cap)
        taken = cut if fits else cap
        got = taken * w[r.KEEP + j] - taken * w[r.SWAP_FEE + j]
        whole = fits & (w[r.PER_SUPPLY + j] == 0.0)
        repaid = borrow - w[r.AIM + j] if whole else got / (1.0 + w[r.FEE_RATE + j])
        fee = repaid * w[r.FEE_RATE + j]
        makes = (w[r.GOING + j] > 0.0) & (cap > 0.0) & (borrow - repaid < borrow)
        left = supply - taken
        lower = borrow - repaid
        debt = w[r.AIM + j] if whole else lower
        lowest = min(w[r.LOWEST + j], left * threshold / borrow)
        made = w[r.MADE + j] + 1.0
        w[r.NOW_SUPPLY + j] = left if makes else supply
        w[r.NOW_BORROW + j] = debt if makes else borrow
        w[r.LOWEST + j] = lowest if makes else w[r.LOWEST + j]
        w[r.MOVED + j] += taken if makes else 0.0
        w[r.GAINED + j] += repaid if makes else 0.0
        w[r.PAID + j] += fee if makes else 0.0
        w[r.LOST + j] += taken - got if makes else 0.0
        distance = w[r.PER_BORROW + j] * debt - (w[r.AIM + j] + w[r.PER_SUPPLY + j] * left)
        w[r.MISSING + j] = distance if makes else missing
        w[r.FITTED + j] = 1.0 if makes & fits else w[r.FITTED + j]
        follows = makes & (not fits) & (made < w[r.ROUNDS + j])
        w[r.MADE + j] = made if makes else w[r.MADE + j]
        w[r.GOING + j] = 1.0 if follows else 0.0
        going += 1 if follows else 0
    return going


@helper
def _proceeds(columns: Floats, market: Market, i: int, sold: float) -> float:
    """Money that a sale brings."""
    keep = kept(int(columns[c.CURVE, i]), columns[c.KEEP, i], market, sold)
    return sold * keep - sold * columns[c.SWAP_FEE, i]


@routine
def _gain(
    columns: Floats, market: Market, i: int, sold: float, flash: float
) -> float:  # fmt: skip
    """How far a sale, and what is repaid with it, moves a position towards its target."""
    got = _proceeds(columns, market, i, sold)
    repaid = got / flash / (1.0 + columns[c.FEE_RATE, i])
    return columns[c.PER_BORROW, i] * repaid - columns[c.PER_SUPPLY, i] * sold


@routine
def _cut(
    columns: Floats, market: Market, i: int, missing: float, flash: float, slope: float,
    high: float,
) -> float:  # fmt: skip
    """Collateral up to `high` whose sale moves a position as far as is missing."""
    if columns[c.CURVE, i] < 0.0:
        return missing / slope
    low = 0.0
    for _ in range(HALVINGS):
        mid = 0.5 * (low + high)
        if not (low < mid < high):
            break
        if _gain(columns, market, i, mid, flash) < missing:
            low = mid
        else:
            high = mid
    return high


@routine
def _walk(
    columns: Floats, market: Market, i: int, w: Floats, table: Floats
) -> int:  # fmt: skip
    """Plan i alone, in the first lane; gives how many operations it has, but for the last withdrawal."""
    fee_rate, threshold, aim = columns[c.FEE_RATE, i], columns[c.LIQUIDATION_THRESHOLD, i], columns[c.AIM, i]
    per_supply, per_borrow = columns[c.PER_SUPPLY, i], columns[c.PER_BORROW, i]
    flat = columns[c.CURVE, i] < 0.0
    top, slope = w[r.LIMIT], w[r.SLOPE]
    row = 0
    while w[r.GOING] > 0.0:
        supply, borrow, missing = w[r.NOW_SUPPLY], w[r.NOW_BORROW], w[r.MISSING]
        cap = supply - borrow / top
        left = supply - cap
        if (left * threshold / borrow < columns[c.MIN_HEALTH_FACTOR, i]) | (borrow / left > columns[c.MAX_LTV, i]):
            cap = supply - borrow / (top * SHRINK)
        cap = min(cap, columns[c.MOST, i])
        fits = missing <= cap * slope if flat else missing <= _gain(columns, market, i, cap, 1.0)
        fits = fits & (w[r.POSSIBLE] > 0.0)
        taken = cap
        if fits:
            taken = min(_cut(columns, market, i, missing, 1.0, slope, cap), cap)
        got = _proceeds(columns, market, i, taken)
        whole = fits & (per_supply == 0.0)
        repaid = borrow - aim if whole else got / (1.0 + fee_rate)
        fee = repaid * fee_rate
        w[r.GOING] = 0.0
        if (cap > 0.0) & (borrow - repaid < borrow):
            left = supply - taken
            lower = borrow - repaid
            debt = aim if whole else lower
            row = record(table, row, plan_actions.WITHDRAW, taken, 0.0, left, borrow, taken, threshold)
            row = record(table, row, plan_actions.SELL, got, taken - got, left, borrow, got, threshold)
            row = record(table, row, plan_actions.REPAY, repaid, fee, left, debt, 0.0, threshold)
            w[r.LOWEST] = min(w[r.LOWEST], left * threshold / borrow)
            w[r.NOW_SUPPLY] = left
            w[r.NOW_BORROW] = debt
            w[r.MOVED] += taken
            w[r.GAINED] += repaid
            w[r.PAID] += fee
            w[r.LOST] += taken - got
            w[r.MISSING] = per_borrow * debt - (aim + per_supply * left)
            w[r.MADE] += 1.0
            w[r.FITTED] = 1.0 if fits else 0.0
            w[r.GOING] = 1.0 if (not fits) & (w[r.MADE] < columns[c.ROUNDS, i]) else 0.0
    return row


@routine
def _store(
    columns: Floats, market: Market, i: int, w: Floats, j: int, values: Floats,
    counts: Integers, at: int, table: Floats, row: int,
) -> None:  # fmt: skip
    """Write what became of the plan in lane j, and the one-shot beside it."""
    supply, borrow = columns[c.SUPPLY, i], columns[c.BORROW, i]
    per_supply, per_borrow, aim = columns[c.PER_SUPPLY, i], columns[c.PER_BORROW, i], columns[c.AIM, i]
    threshold, fee_rate = columns[c.LIQUIDATION_THRESHOLD, i], columns[c.FEE_RATE, i]
    top, growth = w[r.LIMIT + j], w[r.GROWTH + j]
    first = per_borrow * borrow - (aim + per_supply * supply)
    small = SMALL * (abs(per_supply) * supply + per_borrow * borrow)
    values[v.FIRST_STEP, at] = min(max(supply - borrow / top, 0.0), columns[c.MOST, i])
    values[v.SHORTFALL, at] = max(borrow - growth * supply, 0.0)
    status = status_of(
        first, small, w[r.FITTED + j] > 0.0, w[r.POSSIBLE + j] > 0.0, False, w[r.MADE + j] >= columns[c.ROUNDS, i]
    )  # fmt: skip
    closes = columns[c.CLOSE, i] == 1.0
    final, debt = w[r.NOW_SUPPLY + j], w[r.NOW_BORROW + j]
    out = final if closes & (status <= st.BEYOND) else 0.0
    values[v.LOWEST_HEALTH_FACTOR, at] = min(w[r.LOWEST + j], health_factor(final, debt, threshold))
    final -= out
    if out > 0.0:
        record(table, row, plan_actions.WITHDRAW, out, 0.0, final, debt, out, threshold)
    made = int(w[r.MADE + j])
    operations = ROUND_OPERATIONS * made + (1 if out > 0.0 else 0)
    flash = 1.0 + columns[c.FLASH_FEE, i]
    slope = per_borrow * (growth / flash) - per_supply
    sold = got = loan = repaid = 0.0
    reachable = True
    if first > small:
        most = columns[c.MOST, i]
        sold = min(_cut(columns, market, i, first, flash, slope, min(most, supply)), most)
        got = _proceeds(columns, market, i, sold)
        loan = got / flash
        repaid = borrow - aim if per_supply == 0.0 else loan / (1.0 + fee_rate)
        moved = _gain(columns, market, i, sold, flash)
        left = supply - sold
        lower = aim if per_supply == 0.0 else borrow - repaid
        reachable = (slope > 0.0) & (left >= 0.0) & (moved * SLACK >= first) & (lower <= top * left * SLACK)
        if reachable:
            supply, borrow = left, lower
        else:
            sold = got = loan = repaid = 0.0
    flash_out = supply if closes & reachable else 0.0
    values[v.FINAL_SUPPLY, at] = final
    values[v.FINAL_BORROW, at] = debt
    values[v.CASH_OUT, at] = out
    values[v.FEES, at] = w[r.PAID + j]
    values[v.SWAP_COST, at] = w[r.LOST + j]
    values[v.SOLD, at] = w[r.MOVED + j]
    values[v.REPAID, at] = w[r.GAINED + j]
    values[v.FLASH_LOAN, at] = loan
    values[v.FLASH_SUPPLY, at] = supply - flash_out
    values[v.FLASH_BORROW, at] = borrow
    values[v.FLASH_FEES, at] = got - repaid
    values[v.FLASH_SWAP_COST, at] = sold - got
    values[v.FLASH_CASH_OUT, at] = flash_out
    values[v.BREAK_EVEN_GAS, at] = break_even(
        (status == st.REACHED) & reachable, operations - columns[c.FLASH_STEPS, i],
        ((got - repaid) + (sold - got)) - (w[r.PAID + j] + w[r.LOST + j]),
    )  # fmt: skip
    counts[n.STATUS, at] = status
    counts[n.ROUNDS_MADE, at] = made
    counts[n.OPERATIONS_MADE, at] = operations
    counts[n.FLASH_REACHABLE, at] = 1 if reachable else 0


@kernel(
    float_rows_in, codes_in, float_rows_in, floats_in, floats_in, float_rows_out, float_rows_out, integer_rows_out,
    floats_out, integer, integer,
)  # fmt: skip
def unwind(
    columns: Floats, family: Codes, params: Floats, origin: Floats, steps: Floats, table: Floats,
    values: Floats, counts: Integers, work: Floats, start: int, stop: int,
) -> None:  # fmt: skip
    """Plan how any number of positions take leverage off.

    Parameters as in :func:`escala.kernels.lending.plan_leverage.leverage`; `values` and `counts` have a row for each of
    the layout's ``unwind_value`` and ``unwind_count``.
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
        row = 0
        if flat:
            while _sweep(work) > 0:
                pass
        else:
            row = _walk(columns, market, first, work, table)
        for j in range(count):
            _store(
                columns,
                market,
                first + j,
                work,
                j,
                values,
                counts,
                start + first + j,
                table,
                row,
            )
        first += count
