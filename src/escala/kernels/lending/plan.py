"""What plans up and down have in common: limits, what a trade keeps, and how a step is cut to size."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np

from escala.kernels.families import dispatch
from escala.kernels.families.params import of_row
from escala.kernels.families.shapes import CONCAVE_FIRST, CONVEX, CONVEX_FIRST, RISING_AGAIN
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
    routine,
)
from escala.kernels.layout import PLAN_LANES as LANES
from escala.kernels.layout import plan_input as c
from escala.kernels.layout import plan_lane as r
from escala.kernels.layout import plan_operation as o
from escala.kernels.layout import plan_status as st

#: Curves that say what trades keep: families, coefficients, origins, and the steps of ladders.
Market: TypeAlias = tuple[Codes, Floats, Floats, Floats]
#: Of the limit, where rounding would exceed it: four units in the last place.
SHRINK = 1.0 - 2.0**-50
#: Of the limit, a round and for all: what sums of so many rounds may be wrong by.
EACH, AT_ALL = 2.0, 8.0
EPSILON = 2.0**-52
MOST_SHRINK = 2.0**-20
#: Relative: what counts as equal where a target is compared with what can be reached.
SMALL = 2.0**-40
SLACK = 1.0 + SMALL
HALVINGS = 200
#: Added to a whole number below 2^51, it leaves that in the low bits: vectors have no other way to an integer.
WHOLE = 1.5 * 2.0**52
#: Types of what kernels of plans are given: columns, curves (four arrays), table, values, counts, work, start, stop.
PLAN_SIGNATURE: Final = (
    float_rows_in, codes_in, float_rows_in, floats_in, floats_in, float_rows_out, float_rows_out, integer_rows_out,
    floats_out, integer, integer,
)  # fmt: skip


@helper
def kept(curve: int, keep: float, market: Market, value: float) -> float:
    """Share of a trade's value that is left of it: a constant, or what a curve says, between 0 and 1."""
    if curve < 0:
        return keep
    family, params, origin, steps = market
    eta = dispatch.value(family[curve], of_row(params[curve]), origin[curve], steps, value)
    eta = 0.0 if eta < 0.0 else eta
    return 1.0 if eta > 1.0 else eta


@helper
def _pays(curve: int, market: Market, fee: float, value: float) -> bool:
    """Tell whether one unit more than `value` brings more than the fee takes; above 1 efficiency counts as 1."""
    family, params, origin, steps = market
    eta, marginal = dispatch.value_and_marginal(family[curve], of_row(params[curve]), origin[curve], steps, value)
    return (eta >= 1.0) | (marginal > fee)


@routine
def _largest(curve: int, market: Market, fee: float, most: float, scale: float) -> float:
    """Trade up to `most` that brings most after a fee, at the first peak of v·η(v) − v·fee; `most` if it has none.

    The peak ends the concave part of v·η(v), where that rises by the fee: it is looked for from `scale` on, by doubling
    and halving.
    """
    family, params, origin, _ = market
    coefficients = of_row(params[curve])
    bend = dispatch.shape(family[curve], coefficients)
    turn = max(dispatch.inflection(family[curve], coefficients, origin[curve]), 0.0)
    low = turn if bend == CONVEX_FIRST else 0.0
    end = min(most, turn) if (bend == CONCAVE_FIRST) | (bend == RISING_AGAIN) else most
    if bend == CONVEX or low >= most or not _pays(curve, market, fee, low):
        return most
    high = min(max(low, scale), end)
    for _ in range(HALVINGS):
        if high == end or not _pays(curve, market, fee, high):
            break
        low, high = high, min(2.0 * high, end)
    if _pays(curve, market, fee, high):
        return most
    for _ in range(HALVINGS):
        mid = 0.5 * (low + high)
        if not (low < mid < high):
            break
        if _pays(curve, market, fee, mid):
            low = mid
        else:
            high = mid
    return low


@routine
def trim(w: Floats, market: Market) -> None:
    """Let no trade of the plan in the first lane be larger than what brings most after the fee of the exchange.

    The largest trade that it was given is what brings most without one: a fee only lowers that.
    """
    if w[r.SWAP_FEE] > 0.0:
        scale = w[r.SUPPLY] + w[r.EQUITY]
        w[r.MOST] = _largest(int(w[r.CURVE]), market, w[r.SWAP_FEE], w[r.MOST], scale)


@helper
def health_factor(supply: float, borrow: float, threshold: float) -> float:
    """Health factor of a position; inf without debt."""
    return math.inf if borrow == 0.0 else supply * threshold / borrow


@helper
def break_even(both: bool, extra: float, difference: float) -> float:
    """Cost of an operation from which on the flash loan, which costs `difference` more, saves that by `extra` fewer."""
    free = (extra == 0.0) & (difference < 0.0)
    even = difference / extra
    even = 0.0 if even < 0.0 else even
    few = 0.0 if free else math.inf
    answer = even if extra > 0.0 else few
    return answer if both else math.nan


@helper
def status_of(missing: float, small: float, fitted: bool, possible: bool, endless: bool, spent: bool) -> float:
    """How a plan ends, by the distance to the target at first and what became of the rounds."""
    code = st.ROUNDS if spent else st.STUCK
    code = st.UNREACHABLE if (not possible) & (not endless) else code
    code = st.REACHED if fitted else code
    near = st.MET if missing >= -small else st.BEYOND
    return 1.0 * (near if missing <= small else code)


@helper
def record(
    table: Floats, row: int, action: int, amount: float, fee: float, supply: float, borrow: float, cash: float,
    threshold: float,
) -> int:  # fmt: skip
    """Write one operation, where the table has room for it; gives the place of the next."""
    if row < table.shape[1]:
        table[o.ACTION, row] = action
        table[o.AMOUNT, row] = amount
        table[o.FEE, row] = fee
        table[o.SUPPLY, row] = supply
        table[o.BORROW, row] = borrow
        table[o.CASH, row] = cash
        table[o.HEALTH_FACTOR, row] = health_factor(supply, borrow, threshold)
        table[o.LTV, row] = borrow / supply if borrow > 0.0 else 0.0
    return row + 1


@routine
def all_flat(columns: Floats, first: int, count: int) -> bool:
    """Tell whether the trades of a block of plans keep the same at every size."""
    bent = 0
    for j in range(first, first + count):
        bent += 1 if columns[c.CURVE, j] >= 0.0 else 0
    return bent == 0


@routine
def load(w: Floats, columns: Floats, first: int, count: int) -> None:
    """Bring the inputs of a block to its lanes; the last plan fills those that are left."""
    for row in range(c.END):
        lane = w[row * LANES : row * LANES + LANES]
        column = columns[row, first : first + count]
        for j in range(count):
            lane[j] = column[j]
        for j in range(count, LANES):
            lane[j] = column[count - 1]


@routine
def bring(w: Floats, columns: Floats, table: Floats, first: int, left: int) -> int:
    """Bring the next plans to the lanes, one alone where it trades by a curve or its operations are asked for.

    Gives how many plans that are.
    """
    count = min(LANES if table.shape[1] == 0 else 1, left)
    count = count if all_flat(columns, first, count) else 1
    load(w, columns, first, count)
    return count


@helper
def ready(
    w: Floats, j: int, top: float, limit: float, growth: float, slope: float, missing: float, small: float,
    step: float, factor: float, possible: bool,
) -> None:  # fmt: skip
    """Write what a lane begins with."""
    w[r.TOP + j] = top
    w[r.LIMIT + j] = limit
    w[r.GROWTH + j] = growth
    w[r.SLOPE + j] = slope
    w[r.MISSING + j] = missing
    w[r.SMALL + j] = small
    going = (missing > small) & (w[r.ROUNDS + j] > 0.0)
    w[r.TOTAL + j] = missing / slope if possible else math.nan
    w[r.STEP + j] = step if going else 0.0
    w[r.FACTOR + j] = factor
    w[r.REACH + j] = 0.0
    w[r.POSSIBLE + j] = 1.0 if possible else 0.0
    w[r.FITTED + j] = 0.0
    w[r.GOING + j] = 1.0 if going else 0.0
    w[r.MADE + j] = 0.0


@helper
def climb(w: Floats) -> int:
    """Make one round in every lane that goes on, as large as it may be or as is needed; gives how many go on after it.

    A lane whose next step is 0 does not go on.

    Largest steps follow each other by a constant factor where trades keep the same at every size, so none of them needs
    to know the position.
    """
    going = 0
    for j in range(LANES):
        step, reach = w[r.STEP + j], w[r.REACH + j]
        further = reach + step
        makes = further > reach
        fits = makes & (w[r.TOTAL + j] <= further)
        advances = makes & (not fits)
        made = w[r.MADE + j] + (1.0 if makes else 0.0)
        follows = advances & (made < w[r.ROUNDS + j])
        w[r.MADE + j] = made
        w[r.FITTED + j] = 1.0 if fits else w[r.FITTED + j]
        w[r.REACH + j] = further if advances else reach
        w[r.STEP + j] = step * w[r.FACTOR + j] if follows else 0.0
        going += 1 if follows else 0
    return going


@helper
def put(w: Floats, first: int, values: Floats, counts: Integers, at: int, count: int) -> None:
    """Write what was computed of a block of plans, rows of real numbers first."""
    reals, integers = values.shape[0], counts.shape[0]
    for row in range(reals):
        lane = w[first + row * LANES : first + (row + 1) * LANES]
        out = values[row, at : at + count]
        for j in range(count):
            out[j] = lane[j]
    none = np.float64(WHOLE).view(np.int64)
    for row in range(integers):
        lane = w[first + (reals + row) * LANES : first + (reals + row + 1) * LANES]
        whole = counts[row, at : at + count]
        for j in range(count):
            whole[j] = np.float64(lane[j] + WHOLE).view(np.int64) - none
