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
* To put one scenario into a lane, and to take it out, costs more than two of its operations. So scenarios begin in
  generations: 32 neighbours are loaded row by row into lanes of their own, the young, those that end are stored row by
  row, and only those that go on are moved. After a generation of which most go on, the next scenarios are loaded one by
  one. What a scenario does depends on none of this.
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
    routine,
)
from escala.kernels.layout import LENDING_BLOCK_SIZE as BLOCK_SIZE
from escala.kernels.layout import LENDING_COUNT_ROWS as COUNT_ROWS
from escala.kernels.layout import LENDING_KEPT as KEPT
from escala.kernels.layout import LENDING_LANES as LANES
from escala.kernels.layout import LENDING_LANES_END as LANES_END
from escala.kernels.layout import LENDING_REGIME_SIZE as REGIME_SIZE
from escala.kernels.layout import LENDING_VALUE_ROWS as VALUE_ROWS
from escala.kernels.layout import lending_count as n
from escala.kernels.layout import lending_cursor as q
from escala.kernels.layout import lending_lane as r
from escala.kernels.layout import lending_operation as o
from escala.kernels.layout import lending_regime as g
from escala.kernels.layout import lending_value as v
from escala.kernels.layout import stops
from escala.kernels.layout import trace_cursor as t
from escala.kernels.lending.ladder import (
    CHECK,
    GROUP,
    NOTHING,
    OPERATE,
    TO_KEPT,
    choose_regimes,
    enter_first,
    enter_regime,
)
from escala.kernels.lending.step import fund, operate, sweep

GOES_ON = -1  # none of the reasons why a scenario ends
STORED = -2  # of a young lane: its scenario ended before
#: Sweeps after which those that go on are no longer young: beyond it loading is a small part of what a scenario costs.
YOUTH = 16
FEW = 4  # to move fewer than that costs less than to sweep all young lanes for them
#: Scenarios that are loaded one by one after a generation of which most survived: 15 of 16 do without youth.
SINGLY = 15 * LANES
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
def _store(w: Floats, j: int, code: int, values: Floats, counts: Integers, start: int) -> None:
    """Write the outputs of the scenario in lane `j`."""
    i = start + int(w[r.SCENARIO + j])
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


@routine
def _park_rest(w: Floats, active: int) -> None:
    """Park the lanes behind those in use, as far as their group is swept."""
    for j in range(active, (active + GROUP - 1) // GROUP * GROUP):
        _park(w, j)


@routine
def _load_young(w: Floats, columns: Floats, first: int, count: int) -> None:
    """Put the scenarios from `first` on into `count` lanes, row by row."""
    for row in range(HOT):
        source = columns[row][first : first + count]
        target = w[row * LANES : row * LANES + count]
        for j in range(count):
            target[j] = source[j]
    w[r.BUFFER : r.BEFORE] = 0.0
    w[r.LOWEST_PROFIT : r.LOWEST_PROFIT + LANES] = math.inf
    w[r.LOWEST_HEALTH_FACTOR : r.LOWEST_HEALTH_FACTOR + LANES] = math.inf
    for j in range(count):
        w[r.SCENARIO + j] = first + j
        w[r.ENDED + j] = GOES_ON
    enter_first(w, columns, first, count)
    _park_rest(w, count)


@routine
def _store_young(w: Floats, values: Floats, counts: Integers, first: int, count: int) -> None:
    """Write the outputs of the young scenarios that end now, row by row.

    What is written under a condition the compiler masks; a choice between the two numbers it would make of addresses.
    """
    ended = w[r.ENDED : r.ENDED + count]
    for k in range(v.END):
        source = w[VALUE_ROWS[k] : VALUE_ROWS[k] + count]
        target = values[k][first : first + count]
        for j in range(count):
            if ended[j] >= 0.0:
                target[j] = source[j]
    for k in range(n.END):
        source = w[COUNT_ROWS[k] : COUNT_ROWS[k] + count]
        whole = counts[k][first : first + count]
        for j in range(count):
            if ended[j] >= 0.0:
                whole[j] = int(source[j])


@routine
def _settle(w: Floats, values: Floats, counts: Integers, first: int, count: int) -> tuple[int, int]:
    """Write what ends among the young; returns how many go on, and how many of these leave the first regime."""
    alive = ends = leaving = 0
    for j in range(count):
        code = stops.MAX_OPERATIONS if w[r.EXECUTED + j] + w[r.SKIPPED + j] >= w[r.MAX_OPERATIONS + j] else GOES_ON
        code = stops.STALLED if w[r.STREAK + j] >= w[r.MAX_STAGNANT_OPERATIONS + j] else code
        code = stops.TARGET_REACHED if w[r.SUPPLY + j] >= w[r.TARGET + j] else code
        now = float(code) if w[r.ENDED + j] == GOES_ON else STORED
        w[r.ENDED + j] = now
        alive += 1 if now == GOES_ON else 0
        ends += 1 if now >= 0.0 else 0
        leaving += 1 if (now == GOES_ON) & (w[r.STREAK + j] > w[g.STREAK_HIGH + j]) else 0
    if ends > 0:
        _store_young(w, values, counts, first, count)
    return alive, leaving


@routine
def _operate(w: Floats, j: int, columns: Floats) -> None:
    """Do one operation of one lane: compiled once for all who ask for it here."""
    operate(w, j, columns)


@routine
def _take_over(w: Floats, j: int, young: Floats, k: int, columns: Floats) -> None:
    """Move the scenario of young lane `k` into lane `j`; for the early exits see :func:`enter_regime`."""
    for row in range(0, r.BEFORE, LANES):
        value = young[row + k]
        if math.isnan(value):
            break
        w[row + j] = value
    for row in range(g.STREAK_LOW, g.END, LANES):
        value = young[row + k]
        if math.isnan(value):
            break
        w[row + j] = value
    w[r.FLAG + j] = NOTHING
    w[r.SCENARIO + j] = young[r.SCENARIO + k]
    for kept in range(KEPT, LANES_END, REGIME_SIZE):
        w[kept + j] = math.nan
    if w[r.STREAK + j] > w[g.STREAK_HIGH + j]:
        enter_regime(w, j, columns)


@helper
def _fill(
    w: Floats, j: int, young: Floats, columns: Floats, values: Floats, counts: Integers, cursor: Integers, start: int,
    scenarios: int,
) -> bool:  # fmt: skip
    """Put the next scenario that has anything to do into lane `j`; returns whether there was one."""
    while cursor[q.WAITING] > 0:
        cursor[q.WAITING] -= 1
        k = cursor[q.WAITING]
        if young[r.ENDED + k] == GOES_ON:
            _take_over(w, j, young, k, columns)
            return True
    while cursor[q.SINGLY] > 0 and cursor[q.FOLLOWING] < scenarios:
        _load(w, j, columns, cursor[q.FOLLOWING])
        cursor[q.FOLLOWING] += 1
        cursor[q.SINGLY] -= 1
        code = _stop_code(w, j)
        if code == GOES_ON:
            enter_regime(w, j, columns)
            return True
        _store(w, j, code, values, counts, start)
    return False


@helper
def _attend(
    w: Floats, young: Floats, columns: Floats, values: Floats, counts: Integers, cursor: Integers, start: int,
    scenarios: int, flagged: int, leaving: int,
) -> None:  # fmt: skip
    """Do for every lane what the sweep leaves: of those it flagged, then of those that leave their regime."""
    active = cursor[q.LANES]
    while True:
        if flagged > 0:
            before = active
            for back in range(before):
                j = before - 1 - back  # from the last on: what moves into an empty place was attended to
                flag = w[r.FLAG + j]
                if flag == OPERATE:
                    _operate(w, j, columns)
                if flag != NOTHING:
                    code = _stop_code(w, j)
                    if code != GOES_ON:
                        _store(w, j, code, values, counts, start)
                        if not _fill(w, j, young, columns, values, counts, cursor, start, scenarios):
                            active -= 1
                            if j < active:
                                for row in range(0, LANES_END, LANES):
                                    w[row + j] = w[row + active]
                    elif flag == CHECK:
                        enter_regime(w, j, columns)
            if active < before:
                _park_rest(w, active)
        if leaving == 0:
            break
        flagged = choose_regimes(w, (active + GROUP - 1) // GROUP)
        leaving = 0
    cursor[q.LANES] = active


@helper
def _bring_up(
    young: Floats, columns: Floats, values: Floats, counts: Integers, cursor: Integers, start: int
) -> None:  # fmt: skip
    """Do one operation of every young lane, and see whether their youth is over."""
    count = cursor[q.WAITING]
    cursor[q.YOUTH] -= 1
    flagged, _ = sweep(young, (count + GROUP - 1) // GROUP)
    if flagged > 0:
        for j in range(count):
            if young[r.FLAG + j] == OPERATE and young[r.ENDED + j] == GOES_ON:
                _operate(young, j, columns)
    alive, leaving = _settle(young, values, counts, start + cursor[q.FOLLOWING] - count, count)
    if alive == 0:
        cursor[q.WAITING] = 0
    if alive < FEW or leaving > 0:
        cursor[q.YOUTH] = 0
    if cursor[q.YOUTH] == 0:
        cursor[q.SINGLY] = SINGLY if 2 * alive > count else 0


@helper
def _feed(
    w: Floats, young: Floats, columns: Floats, values: Floats, counts: Integers, cursor: Integers, start: int,
    scenarios: int,
) -> None:  # fmt: skip
    """Take over young scenarios into empty lanes, or where none waits load the next generation."""
    count, first = cursor[q.WAITING], cursor[q.FOLLOWING]
    if count == 0:
        count = min(LANES, scenarios - first)
        _load_young(young, columns, first, count)
        alive, _ = _settle(young, values, counts, start + first, count)
        cursor[q.FOLLOWING] += count
        cursor[q.WAITING] = count if alive > 0 else 0
        cursor[q.YOUTH] = YOUTH
        return
    active = cursor[q.LANES]
    while count > 0 and active < LANES:
        count -= 1
        if young[r.ENDED + count] == GOES_ON:
            _take_over(w, active, young, count, columns)
            active += 1
    cursor[q.WAITING] = count
    cursor[q.LANES] = active
    _park_rest(w, active)


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
        Zeros before the first call. Call again until no scenario is active.
    """
    scenarios = stop - start
    lanes, young = work[:BLOCK_SIZE], work[BLOCK_SIZE : 2 * BLOCK_SIZE]
    if cursor[q.FOLLOWING] == 0:
        lanes[LANES_END:] = math.nan
        young[LANES_END:] = math.nan
    while sweeps > 0:
        active, waiting = cursor[q.LANES], cursor[q.WAITING]
        if waiting > 0 and cursor[q.YOUTH] > 0:
            sweeps -= 1
            _bring_up(young, columns, values, counts, cursor, start)
        elif active < LANES and (waiting > 0 or cursor[q.FOLLOWING] < scenarios):
            _feed(lanes, young, columns, values, counts, cursor, start, scenarios)
        elif active == 0:
            break
        else:
            groups = (active + GROUP - 1) // GROUP
            while sweeps > 0:
                sweeps -= 1
                flagged, leaving = sweep(lanes, groups)
                if flagged > 0 or leaving > 0:
                    _attend(lanes, young, columns, values, counts, cursor, start, scenarios, flagged, leaving)
                    if cursor[q.LANES] < active:
                        break
    cursor[q.ACTIVE] = cursor[q.LANES] + cursor[q.WAITING] + scenarios - cursor[q.FOLLOWING]


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
        _operate(work, 0, columns)
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
