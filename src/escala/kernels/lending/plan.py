"""What plans up and down have in common: limits, what a trade keeps, and how a step is cut to size."""

from __future__ import annotations

import math
from typing import TypeAlias

from escala.kernels.families import dispatch
from escala.kernels.families.params import of_row
from escala.kernels.jit import Codes, Floats, helper, routine
from escala.kernels.layout import PLAN_LANES as LANES
from escala.kernels.layout import plan_input as c
from escala.kernels.layout import plan_lane as r
from escala.kernels.layout import plan_operation as o
from escala.kernels.layout import plan_status as st

#: Curves that say what trades keep: families, coefficients, origins, and the steps of ladders.
Market: TypeAlias = tuple[Codes, Floats, Floats, Floats]
#: Of the limit, where rounding would exceed it: four units in the last place.
SHRINK = 1.0 - 2.0**-50
#: Relative: what counts as equal where a target is compared with what can be reached.
SMALL = 2.0**-40
SLACK = 1.0 + SMALL
HALVINGS = 200


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
def health_factor(supply: float, borrow: float, threshold: float) -> float:
    """Health factor of a position; inf without debt."""
    return math.inf if borrow == 0.0 else supply * threshold / borrow


@helper
def break_even(both: bool, extra: float, difference: float) -> float:
    """Cost of an operation from which on the flash loan, which costs `difference` more, saves that by `extra` fewer."""
    if not both:
        return math.nan
    if extra > 0.0:
        return max(difference / extra, 0.0)
    return 0.0 if (extra == 0.0) & (difference < 0.0) else math.inf


@helper
def status_of(first: float, small: float, fitted: bool, possible: bool, endless: bool, spent: bool) -> int:
    """How a plan ends, by the distance to the target at first and what became of the rounds."""
    if first <= small:
        return st.MET if first >= -small else st.BEYOND
    if fitted:
        return st.REACHED
    if (not possible) & (not endless):
        return st.UNREACHABLE
    return st.ROUNDS if spent else st.STUCK


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
    """Tell whether trades of a block of plans keep the same at every size, and know no largest one."""
    bent = 0
    for j in range(first, first + count):
        bent += 1 if (columns[c.CURVE, j] >= 0.0) | (columns[c.MOST, j] < math.inf) else 0
    return bent == 0


@routine
def load(w: Floats, columns: Floats, first: int, count: int) -> None:
    """Bring the inputs of a block to its lanes; the last one fills those that are left."""
    for row in range(c.END):
        for j in range(LANES):
            w[row * LANES + j] = columns[row, first + min(j, count - 1)]
    for j in range(LANES):
        top = min(w[r.MAX_LTV + j], w[r.LIQUIDATION_THRESHOLD + j] / w[r.MIN_HEALTH_FACTOR + j])
        w[r.LIMIT + j] = top
        w[r.FITTED + j] = w[r.MADE + j] = 0.0
        w[r.LOWEST + j] = math.inf
        w[r.MOVED + j] = w[r.GAINED + j] = w[r.PAID + j] = w[r.LOST + j] = 0.0
