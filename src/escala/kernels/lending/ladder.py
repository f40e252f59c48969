"""The ladder that softens a plan, and the regimes that a streak of operations without progress goes through.

Both change rarely: what they fix is worked out when a lane enters a regime, and kept for the sweep to read.
"""

from __future__ import annotations

import math

from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import LENDING_KEPT as KEPT
from escala.kernels.layout import LENDING_LANES as LANES
from escala.kernels.layout import LENDING_LANES_END as LANES_END
from escala.kernels.layout import LENDING_REGIME_SIZE as REGIME_SIZE
from escala.kernels.layout import lending_input as c
from escala.kernels.layout import lending_lane as r
from escala.kernels.layout import lending_memo as m
from escala.kernels.layout import lending_regime as g

GROUP = 8  # loops run over whole groups of lanes, so that no scalar remainder loop is left
WALKED = 1000  # longest row of multipliers that is walked in advance
#: What the sweep leaves to the scalar code.
NOTHING, CHECK, OPERATE = 0.0, 1.0, 2.0
TO_KEPT = KEPT - g.STREAK_LOW  # from a regime's row to the one kept for the first regime
#: Inputs that are rows of the first regime, from RHO on.
FIRST = (c.REPAY, c.TARGET_LTV, c.REINVEST_FAR, c.REINVEST_MID, c.REINVEST_NEAR)
#: Inputs of its ladder, in the order of the memo's rows.
LADDER = (
    c.TARGET_LTV,
    c.REPAY,
    c.LTV_FLOOR,
    c.LTV_STEP,
    c.REPAY_FLOOR,
    c.REPAY_STEP,
    c.MAX_RESCALE_ATTEMPTS,
    c.REINVEST_DECAY,
)


@helper
def choose_regimes(w: Floats, groups: int) -> int:
    """Bring the rows of the regime that each streak belongs to; returns how many lanes were flagged for a check."""
    flagged = 0
    for j in range(groups * GROUP):
        stalling = w[r.STREAK + j] > w[r.STALLING_AFTER + j]
        stalled = w[r.STREAK + j] > w[r.STALLED_AFTER + j]
        _choose(w, g.STREAK_LOW + j, stalling, stalled)
        _choose(w, g.STREAK_HIGH + j, stalling, stalled)
        _choose(w, g.RHO + j, stalling, stalled)
        _choose(w, g.LTV + j, stalling, stalled)
        _choose(w, g.SHARE_FAR + j, stalling, stalled)
        _choose(w, g.SHARE_MID + j, stalling, stalled)
        _choose(w, g.SHARE_NEAR + j, stalling, stalled)
        _choose(w, g.LTV_STEPS + j, stalling, stalled)
        _choose(w, g.REPAY_STEPS + j, stalling, stalled)
        _choose(w, g.LTV_LAST + j, stalling, stalled)
        _choose(w, g.RHO_LAST + j, stalling, stalled)
        _choose(w, g.RAISED_ATTEMPT + j, stalling, stalled)
        _choose(w, g.Q_LAST + j, stalling, stalled)
        _choose(w, g.Q_LAST_RAISED + j, stalling, stalled)
        check = math.isnan(w[g.STREAK_LOW + j]) | (w[r.STREAK + j] >= w[r.MAX_STAGNANT_OPERATIONS + j])
        w[r.FLAG + j] = CHECK if check else NOTHING
        flagged += 1 if check else 0
    return flagged


@helper
def _choose(w: Floats, row: int, stalling: bool, stalled: bool) -> None:
    none = w[row + TO_KEPT]
    first = w[row + TO_KEPT + REGIME_SIZE]
    second = w[row + TO_KEPT + 2 * REGIME_SIZE]
    chosen = first if stalling else none
    w[row] = second if stalled else chosen


@routine
def enter_regime(w: Floats, j: int, columns: Floats) -> None:
    """Work out the rows of the regime that the lane enters for the first time."""
    i = int(w[r.SCENARIO + j])
    streak = w[r.STREAK + j]
    if streak > w[r.STALLED_AFTER + j]:
        regime = 2
        low, high = w[r.STALLED_AFTER + j] + 1.0, math.inf
        rho, ltv = columns[c.REPAY_STALLED, i], columns[c.TARGET_LTV_STALLED, i]
        far = mid = near = columns[c.REINVEST_STALLED, i]
    elif streak > w[r.STALLING_AFTER + j]:
        regime = 1
        low, high = w[r.STALLING_AFTER + j] + 1.0, w[r.STALLED_AFTER + j]
        rho, ltv = columns[c.REPAY_STALLING, i], columns[c.TARGET_LTV, i]
        far = mid = near = columns[c.REINVEST_STALLING, i]
    else:
        regime = 0
        low, high = 0.0, w[r.STALLING_AFTER + j]
        rho, ltv = columns[c.REPAY, i], columns[c.TARGET_LTV, i]
        far, mid, near = columns[c.REINVEST_FAR, i], columns[c.REINVEST_MID, i], columns[c.REINVEST_NEAR, i]
    w[g.STREAK_LOW + j] = low
    # Reaching the allowed number of stagnant operations leaves the regime too: one test less in the sweep.
    w[g.STREAK_HIGH + j] = min(high, w[r.MAX_STAGNANT_OPERATIONS + j] - 1.0)
    w[g.RHO + j] = rho
    w[g.LTV + j] = ltv
    w[g.SHARE_FAR + j] = far
    w[g.SHARE_MID + j] = mid
    w[g.SHARE_NEAR + j] = near
    _resolve_ladder(w, j, columns, regime, ltv, rho)
    # None of the rows is ever NaN: the early exit keeps the compiler from making gather and scatter instructions of
    # the loop, which take longer for so few values.
    kept = TO_KEPT + regime * REGIME_SIZE
    for row in range(g.STREAK_LOW, g.END, LANES):
        value = w[row + j]
        if math.isnan(value):
            break
        w[row + kept + j] = value


@routine
def enter_first(w: Floats, columns: Floats, first: int, count: int) -> None:
    """Work out the first regime's rows of `count` lanes whose scenarios, from `first` on, begin; none is kept."""
    for k in range(len(FIRST)):
        source = columns[FIRST[k]][first : first + count]
        row = w[g.RHO + k * LANES : g.RHO + k * LANES + count]
        for j in range(count):
            row[j] = source[j]
    for j in range(count):
        w[g.STREAK_LOW + j] = 0.0
        w[g.STREAK_HIGH + j] = min(w[r.STALLING_AFTER + j], w[r.MAX_STAGNANT_OPERATIONS + j] - 1.0)
    others = 0
    for k in range(len(LADDER)):
        known = w[LANES_END + k]
        source = columns[LADDER[k]][first : first + count]
        for j in range(count):
            others += 0 if source[j] == known else 1
    if others > 0:
        for j in range(count):
            _resolve_ladder(w, j, columns, 0, w[g.LTV + j], w[g.RHO + j])
        return
    for k in range(m.END - m.LTV_STEPS):  # all share the last ladder
        known = w[LANES_END + m.LTV_STEPS + k]
        row = w[g.LTV_STEPS + k * LANES : g.LTV_STEPS + k * LANES + count]
        for j in range(count):
            row[j] = known


@helper
def _resolve_ladder(w: Floats, j: int, columns: Floats, regime: int, ltv: float, rho: float) -> None:
    """Fix where the ladder of the lane's regime leads; neighbouring scenarios mostly share it, so keep the last one."""
    i = int(w[r.SCENARIO + j])
    memo = LANES_END + regime * m.END
    floor, step = columns[c.LTV_FLOOR, i], columns[c.LTV_STEP, i]
    repay_floor, repay_step = columns[c.REPAY_FLOOR, i], columns[c.REPAY_STEP, i]
    limit, decay = w[r.MAX_RESCALE_ATTEMPTS + j], columns[c.REINVEST_DECAY, i]
    same = (
        (w[memo + m.LTV] == ltv)
        & (w[memo + m.RHO] == rho)
        & (w[memo + m.LTV_FLOOR] == floor)
        & (w[memo + m.LTV_STEP] == step)
        & (w[memo + m.REPAY_FLOOR] == repay_floor)
        & (w[memo + m.REPAY_STEP] == repay_step)
        & (w[memo + m.LIMIT] == limit)
        & (w[memo + m.DECAY] == decay)
    )
    if not same:
        w[memo + m.LTV] = ltv
        w[memo + m.RHO] = rho
        w[memo + m.LTV_FLOOR] = floor
        w[memo + m.LTV_STEP] = step
        w[memo + m.REPAY_FLOOR] = repay_floor
        w[memo + m.REPAY_STEP] = repay_step
        w[memo + m.LIMIT] = limit
        w[memo + m.DECAY] = decay
        _walk_ladder(w, memo, ltv, rho, floor, step, repay_floor, repay_step, limit, decay)
    w[g.LTV_STEPS + j] = w[memo + m.LTV_STEPS]
    w[g.REPAY_STEPS + j] = w[memo + m.REPAY_STEPS]
    w[g.LTV_LAST + j] = w[memo + m.LTV_LAST]
    w[g.RHO_LAST + j] = w[memo + m.RHO_LAST]
    w[g.RAISED_ATTEMPT + j] = w[memo + m.RAISED_ATTEMPT]
    w[g.Q_LAST + j] = w[memo + m.Q_LAST]
    w[g.Q_LAST_RAISED + j] = w[memo + m.Q_LAST_RAISED]


@routine
def _walk_ladder(
    w: Floats,
    memo: int,
    ltv: float,
    rho: float,
    floor: float,
    step: float,
    repay_floor: float,
    repay_step: float,
    limit: float,
    decay: float,
) -> None:
    """Walk limit and repayment down as far as the attempts allow, then the multiplier; repeated, never by powers."""
    attempt = 1.0
    while ltv > floor and attempt < limit:
        ltv = max(floor, ltv - step)
        attempt += 1.0
    ltv_steps = attempt - 1.0
    while rho > repay_floor and attempt < limit:
        rho = max(repay_floor, rho - repay_step)
        attempt += 1.0
    raised = attempt + 1.0 if attempt < limit else 0.0
    q_last = q_last_raised = 0.0  # the sweep reads 0 as "unclear"
    if limit <= WALKED:
        q = 1.0
        for attempts in range(1, int(limit) + 1):
            q_last = q
            if attempts == limit - raised + 1.0:
                q_last_raised = q
            q *= decay
    w[memo + m.LTV_STEPS] = ltv_steps
    w[memo + m.REPAY_STEPS] = attempt - 1.0 - ltv_steps
    w[memo + m.LTV_LAST] = ltv
    w[memo + m.RHO_LAST] = rho
    w[memo + m.RAISED_ATTEMPT] = raised
    w[memo + m.Q_LAST] = q_last
    w[memo + m.Q_LAST_RAISED] = q_last_raised
