"""The lending loop in lanes: 32 scenarios advance side by side, one operation a sweep.

How it is fast
--------------
* A sweep is one branch-free loop over the lanes; everything it touches lies in one flat workspace, row after row of
  ``LANES`` values, so the compiler sees constant distances and vectorises it.
* The ladder that softens a plan is resolved directly: the sweep evaluates the first attempt, the last attempt before
  the loan-to-value limit is raised, and the one after it. Between them nothing can stand, because the test that ends
  the walk is monotonic in the limit and in the repayment, rounded arithmetic included. What is softened by smaller
  reinvestment, needs the fallback or stops between those points (no operation in 2 million of the default strategy,
  every tenth with a large `min_profit`) is flagged and handed to :func:`operate`, the same definitions for one lane.
* A lane whose scenario ends takes the next one; when none is left the last lane moves into its place.

Every expression keeps the order of operations of the definition, so lanes, scalar path and the plain-Python twin
agree to the bit.
"""

from __future__ import annotations

import math

from escala.kernels.jit import (
    Floats,
    Integers,
    float_rows_in,
    float_rows_out,
    floats_out,
    helper,
    integer,
    integer_rows_out,
    integers_out,
    kernel,
)
from escala.kernels.layout import LENDING_KEPT as KEPT
from escala.kernels.layout import LENDING_LANES as LANES
from escala.kernels.layout import LENDING_LANES_END as LANES_END
from escala.kernels.layout import LENDING_REGIME_SIZE as REGIME_SIZE
from escala.kernels.layout import lending_count as n
from escala.kernels.layout import lending_cursor as q
from escala.kernels.layout import lending_lane as r
from escala.kernels.layout import lending_operation as o
from escala.kernels.layout import lending_regime as g
from escala.kernels.layout import lending_value as v
from escala.kernels.layout import stops
from escala.kernels.layout import trace_cursor as t
from escala.kernels.lending.ladder import CHECK, GROUP, NOTHING, OPERATE, TO_KEPT, choose_regimes, enter_regime
from escala.kernels.lending.step import fund, operate, sweep

GOES_ON = -1  # none of the reasons why a scenario ends
HOT = r.BUFFER // LANES  # the inputs that lie in a lane: all rows before the state


@helper
def _load(w: Floats, j: int, columns: Floats, i: int) -> None:
    """Put scenario `i` into lane `j`; no input is NaN, see :func:`enter_regime` for the early exit."""
    for row in range(HOT):
        value = columns[row, i]
        if math.isnan(value):
            break
        w[row * LANES + j] = value
    w[r.BUFFER + j] = w[r.STREAK + j] = w[r.FALLBACK_ATTEMPTS + j] = 0.0
    w[r.EXECUTED + j] = w[r.SKIPPED + j] = w[r.STAGNANT + j] = w[r.POSITIVE + j] = 0.0
    w[r.RESCALE_ATTEMPTS + j] = w[r.RESCALE_ATTEMPTS_MAX + j] = 0.0
    w[r.PROFIT + j] = w[r.FEES + j] = w[r.REPAID + j] = w[r.DRAWN + j] = 0.0
    w[r.LOWEST_PROFIT + j] = w[r.LOWEST_HEALTH_FACTOR + j] = math.inf
    w[r.FLAG + j] = NOTHING
    w[r.SCENARIO + j] = i
    for kept in range(KEPT, LANES_END, REGIME_SIZE):
        w[kept + j] = math.nan


@helper
def _stop_code(w: Floats, j: int) -> int:
    """Why the scenario in lane `j` ends now, or GOES_ON."""
    if w[r.SUPPLY + j] >= w[r.TARGET + j]:
        return stops.TARGET_REACHED
    if w[r.STREAK + j] >= w[r.MAX_STAGNANT_OPERATIONS + j]:
        return stops.STALLED
    if w[r.EXECUTED + j] + w[r.SKIPPED + j] >= w[r.MAX_OPERATIONS + j]:
        return stops.MAX_OPERATIONS
    return GOES_ON


@helper
def _store(w: Floats, j: int, code: int, values: Floats, counts: Integers) -> None:
    """Write the outputs of the scenario in lane `j`."""
    i = int(w[r.SCENARIO + j])
    values[v.FINAL_SUPPLY, i] = w[r.SUPPLY + j]
    values[v.FINAL_BORROW, i] = w[r.BORROW + j]
    values[v.FINAL_BUFFER, i] = w[r.BUFFER + j]
    values[v.FINAL_WALLET, i] = w[r.WALLET + j]
    values[v.PROFIT, i] = w[r.PROFIT + j]
    values[v.FEES, i] = w[r.FEES + j]
    values[v.REPAID, i] = w[r.REPAID + j]
    values[v.DRAWN, i] = w[r.DRAWN + j]
    values[v.LOWEST_PROFIT, i] = w[r.LOWEST_PROFIT + j]
    values[v.LOWEST_HEALTH_FACTOR, i] = w[r.LOWEST_HEALTH_FACTOR + j]
    counts[n.EXECUTED, i] = int(w[r.EXECUTED + j])
    counts[n.SKIPPED, i] = int(w[r.SKIPPED + j])
    counts[n.STAGNANT, i] = int(w[r.STAGNANT + j])
    counts[n.POSITIVE, i] = int(w[r.POSITIVE + j])
    counts[n.RESCALE_ATTEMPTS, i] = int(w[r.RESCALE_ATTEMPTS + j])
    counts[n.RESCALE_ATTEMPTS_MAX, i] = int(w[r.RESCALE_ATTEMPTS_MAX + j])
    counts[n.FALLBACK_ATTEMPTS, i] = int(w[r.FALLBACK_ATTEMPTS + j])
    counts[n.STOP, i] = code


@helper
def _park(w: Floats, j: int) -> None:
    """Make an unused lane harmless: it skips for ever and raises no flag."""
    for row in range(0, LANES_END, LANES):
        w[row + j] = 0.0
    w[r.SUPPLY + j] = 1.0
    w[r.TARGET + j] = math.inf
    w[r.MIN_PROFIT + j] = 1.0
    w[r.LIQUIDATION_THRESHOLD + j] = 1.0
    w[r.MIN_HEALTH_FACTOR + j] = 1.0
    w[g.STREAK_HIGH + j] = w[g.STREAK_HIGH + TO_KEPT + j] = math.inf
    w[r.MAX_OPERATIONS + j] = w[r.MAX_STAGNANT_OPERATIONS + j] = math.inf


@helper
def _refill(
    w: Floats, j: int, columns: Floats, values: Floats, counts: Integers, following: int, scenarios: int
) -> int:
    """Load the next scenario that has anything to do into lane `j`; returns the one after it, or a larger number."""
    while following < scenarios:
        _load(w, j, columns, following)
        following += 1
        code = _stop_code(w, j)
        if code == GOES_ON:
            enter_regime(w, j, columns)
            return following
        _store(w, j, code, values, counts)
    return scenarios + 1


@helper
def _attend(
    w: Floats,
    columns: Floats,
    values: Floats,
    counts: Integers,
    following: int,
    active: int,
    scenarios: int,
) -> tuple[int, int]:
    """Do for every flagged lane what the sweep leaves; returns the next scenario and the number of lanes in use."""
    j = 0
    while j < active:
        flag = w[r.FLAG + j]
        if flag == OPERATE:
            operate(w, j, columns)
        if flag != NOTHING:
            code = _stop_code(w, j)
            if code != GOES_ON:
                _store(w, j, code, values, counts)
                following = _refill(w, j, columns, values, counts, following, scenarios)
                if following > scenarios:
                    active -= 1
                    for row in range(0, LANES_END, LANES):
                        w[row + j] = w[row + active]
                    _park(w, active)
                    continue  # the lane that moved here may be flagged too
            elif flag == CHECK:
                enter_regime(w, j, columns)
        j += 1
    return following, active


@kernel(
    float_rows_in, float_rows_out, integer_rows_out, floats_out, integers_out, integer, integer, integer
)  # fmt: skip
def lending(
    columns: Floats,
    values: Floats,
    counts: Integers,
    work: Floats,
    cursor: Integers,
    start: int,
    stop: int,
    sweeps: int,
) -> None:
    """Advance the scenarios ``start <= i < stop`` by at most `sweeps` operations a lane.

    Parameters
    ----------
    columns : (inputs, at least stop − start) float64
        Inputs; column 0 belongs to scenario `start`.
    values, counts : (outputs, n) float64 and int64
        Outputs; columns `start` to `stop` are written, each when its scenario ends.
    work : (LENDING_WORK_SIZE,) float64
        Workspace; it carries the lanes from call to call.
    cursor : (lending_cursor.END,) int64
        Zeros before the first call. Call again until no lane is active.
    """
    values = values[:, start:stop]
    counts = counts[:, start:stop]
    scenarios = stop - start
    following = cursor[q.FOLLOWING]
    active = cursor[q.ACTIVE]
    if following == 0:
        work[LANES_END:] = math.nan
        while active < LANES:
            following = _refill(work, active, columns, values, counts, following, scenarios)
            if following > scenarios:
                break
            active += 1
        for j in range(active, LANES):
            _park(work, j)
    while active > 0 and sweeps > 0:
        sweeps -= 1
        flagged, leaving = sweep(work, (active + GROUP - 1) // GROUP)
        if flagged > 0:
            following, active = _attend(work, columns, values, counts, following, active, scenarios)
        if leaving > 0 and choose_regimes(work, (active + GROUP - 1) // GROUP) > 0:
            following, active = _attend(work, columns, values, counts, following, active, scenarios)
    cursor[q.FOLLOWING] = following
    cursor[q.ACTIVE] = active


@kernel(float_rows_in, float_rows_out, floats_out, integers_out, integer, integer)
def trace(columns: Floats, table: Floats, work: Floats, cursor: Integers, start: int, stop: int) -> None:
    """Record the operations ``start <= operation < stop`` of the scenario in column 0, on the scalar path alone.

    Parameters
    ----------
    columns : (inputs, at least 1) float64
        Inputs.
    table : (columns of the table, at least stop − start) float64
        Output, one column an operation.
    work : (LENDING_WORK_SIZE,) float64
        Workspace; it carries the scenario from call to call. `start` is 0 in the first call.
    cursor : (trace_cursor.END,) int64
        Output: operations recorded so far, and the stop code or GOES_ON.
    """
    if start == 0:
        work[LANES_END:] = math.nan
        for j in range(1, GROUP):
            _park(work, j)
        _load(work, 0, columns, 0)
        enter_regime(work, 0, columns)
    operation = start
    code = _stop_code(work, 0)
    while code == GOES_ON and operation < stop:
        fund(work, 0)
        operate(work, 0, columns)
        row = operation - start
        supply, borrow = work[r.SUPPLY], work[r.BORROW]
        table[o.SUPPLY, row] = supply
        table[o.BORROW, row] = borrow
        table[o.BUFFER, row] = work[r.BUFFER]
        table[o.WALLET, row] = work[r.WALLET]
        table[o.DRAWN, row] = work[r.LAST_DRAWN]
        table[o.REPAID, row] = work[r.LAST_REPAID]
        table[o.FEE, row] = work[r.LAST_FEE]
        table[o.REINVESTED, row] = work[r.LAST_REINVESTED]
        table[o.PROFIT, row] = work[r.LAST_PROFIT]
        table[o.HEALTH_FACTOR, row] = supply * work[r.LIQUIDATION_THRESHOLD] / borrow if borrow != 0.0 else math.inf
        table[o.ATTEMPTS, row] = work[r.LAST_ATTEMPTS]
        table[o.SOFTENED, row] = work[r.LAST_SOFTENED]
        table[o.EXECUTED, row] = work[r.LAST_EXECUTED]
        table[o.STREAK, row] = work[r.STREAK]
        operation += 1
        code = _stop_code(work, 0)
        if choose_regimes(work, 1) > 0 and code == GOES_ON:
            enter_regime(work, 0, columns)
    cursor[t.OPERATION] = operation
    cursor[t.STOP] = code
