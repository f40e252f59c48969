"""The lending loop in lanes: 32 scenarios advance side by side, one operation a sweep.

How it is fast
--------------
* A sweep is one branch-free loop over the lanes; everything it touches lies in one flat workspace, row after row of
  ``LANES`` values, so the compiler sees constant distances and vectorises it.
* The ladder that softens a plan is resolved directly: the sweep evaluates the first attempt, the last attempt before
  the loan-to-value limit is raised, and the one after it. Between them nothing can stand, because the test that ends
  the walk is monotonic in the limit and in the repayment, rounded arithmetic included. What is softened by smaller
  reinvestment, needs the fallback or stops between those points (no operation in 2 million of the default strategy,
  every tenth with a large `min_profit`) is flagged and handed to :func:`_operate`, the same definitions for one lane.
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

#: Inputs of a scenario, one row of `columns` each, in this order: first those that every sweep reads.
COLUMNS = (
    "supply",
    "borrow",
    "target",
    "wallet",
    "min_profit",
    "ltv_ceiling",
    "ltv_nudge",
    "draw_fraction",
    "wallet_fraction",
    "fee_rate",
    "liquidation_threshold",
    "min_health_factor",
    "far_gap",
    "near_gap",
    "reinvest_snap",
    "stagnation_tolerance",
    "max_rescale_attempts",
    "max_operations",
    "stalling_after",
    "stalled_after",
    "max_stagnant_operations",
    "repay",
    "repay_stalling",
    "repay_stalled",
    "repay_floor",
    "repay_step",
    "target_ltv",
    "target_ltv_stalled",
    "ltv_floor",
    "ltv_step",
    "reinvest_far",
    "reinvest_mid",
    "reinvest_near",
    "reinvest_stalling",
    "reinvest_stalled",
    "reinvest_decay",
    "max_fallback_attempts",
)
#: Rows of `values`.
VALUES = (
    "final_supply",
    "final_borrow",
    "final_buffer",
    "final_wallet",
    "profit",
    "fees",
    "repaid",
    "drawn",
    "lowest_profit",
    "lowest_health_factor",
)
#: Rows of `counts`.
COUNTS = (
    "executed",
    "skipped",
    "stagnant",
    "positive",
    "rescale_attempts",
    "rescale_attempts_max",
    "fallback_attempts",
    "stop",
)
#: Rows of the table of operations.
OPERATION = (
    "supply",
    "borrow",
    "buffer",
    "wallet",
    "drawn",
    "repaid",
    "fee",
    "reinvested",
    "profit",
    "health_factor",
    "attempts",
    "softened",
    "executed",
    "streak",
)

TARGET_REACHED, STALLED, OPERATIONS_SPENT, GOES_ON = 0, 1, 2, 3
SOFTENED_REINVEST, SOFTENED_LTV, SOFTENED_REPAY, SOFTENED_RAISED = 1, 2, 4, 8

LANES = 32
GROUP = 8  # the sweep runs over whole groups of lanes, so that no scalar remainder loop is left
WALKED = 1000  # longest row of multipliers that is walked in advance

# Rows of the workspace, LANES values each. First the inputs that every sweep reads, in the order of COLUMNS.
(
    SUPPLY,
    BORROW,
    TARGET,
    WALLET,
    MIN_PROFIT,
    LTV_CEILING,
    LTV_NUDGE,
    DRAW_FRACTION,
    WALLET_FRACTION,
    FEE_RATE,
    LIQUIDATION_THRESHOLD,
    MIN_HEALTH_FACTOR,
    FAR_GAP,
    NEAR_GAP,
    REINVEST_SNAP,
    STAGNATION_TOLERANCE,
    MAX_RESCALE_ATTEMPTS,
    MAX_OPERATIONS,
    STALLING_AFTER,
    STALLED_AFTER,
    MAX_STAGNANT_OPERATIONS,
) = range(0, LANES * 21, LANES)
_HOT = 21
# The other inputs stay in `columns`: these are rows of it.
(
    _REPAY,
    _REPAY_STALLING,
    _REPAY_STALLED,
    _REPAY_FLOOR,
    _REPAY_STEP,
    _TARGET_LTV,
    _TARGET_LTV_STALLED,
    _LTV_FLOOR,
    _LTV_STEP,
    _REINVEST_FAR,
    _REINVEST_MID,
    _REINVEST_NEAR,
    _REINVEST_STALLING,
    _REINVEST_STALLED,
    _REINVEST_DECAY,
    _MAX_FALLBACK_ATTEMPTS,
) = range(_HOT, len(COLUMNS))
# State and sums of the scenario in the lane.
_STATE_ROWS = 26
(
    BUFFER,
    STREAK,
    EXECUTED,
    SKIPPED,
    STAGNANT,
    POSITIVE,
    ATTEMPTS,
    ATTEMPTS_MAX,
    FALLBACKS,
    PROFIT,
    FEES,
    REPAID,
    DRAWN,
    LOWEST_PROFIT,
    LOWEST_HEALTH,
    BEFORE,  # supply before the operation
    FLAG,  # what the sweep leaves to the scalar code: NOTHING, CHECK or OPERATE
    SCENARIO,  # index of the scenario in this lane
    LAST_DRAWN,  # from here on the last operation, for the table of operations
    LAST_REPAID,
    LAST_FEE,
    LAST_REINVESTED,
    LAST_PROFIT,
    LAST_ATTEMPTS,
    LAST_SOFTENED,
    LAST_EXECUTED,
) = range(LANES * _HOT, LANES * (_HOT + _STATE_ROWS), LANES)
# What the streak's regime fixes: it changes rarely, so the sweep reads it instead of choosing.
_REGIME_ROWS = 14
(
    STREAK_LOW,
    STREAK_HIGH,
    RHO,
    LTV,
    SHARE_FAR,
    SHARE_MID,
    SHARE_NEAR,
    LTV_STEPS,  # times that the limit, then the repayment is lowered before the limit is raised
    REPAY_STEPS,
    LTV_LAST,  # limit and repayment after those steps
    RHO_LAST,
    RAISED_ATTEMPT,  # number of the attempt after the limit was raised, 0 when attempts run out before
    Q_LAST,  # multiplier of the last attempt, when all of them soften what is reinvested
    Q_LAST_RAISED,  # the same when the limit was raised first
) = range(LANES * (_HOT + _STATE_ROWS), LANES * (_HOT + _STATE_ROWS + _REGIME_ROWS), LANES)
# Those rows for each regime of the streak (none, stalling, stalled); NaN in the first until the lane enters it.
_REGIMES = 3
_KEPT = LANES * (_HOT + _STATE_ROWS + _REGIME_ROWS)
_ROWS = _HOT + _STATE_ROWS + _REGIME_ROWS * (1 + _REGIMES)
# Behind the lanes: the last ladder of each regime, its inputs and its outcome (see _resolve_ladder).
_MEMO = LANES * _ROWS
_MEMO_KEYS, _MEMO_OUTCOMES = 8, 7
#: Size of the float64 workspace of :func:`lending` and :func:`trace`.
WORK_SIZE = _MEMO + _REGIMES * (_MEMO_KEYS + _MEMO_OUTCOMES)
#: Size of their int64 cursor: next scenario, lanes in use.
CURSOR_SIZE = 2

NOTHING, CHECK, OPERATE = 0.0, 1.0, 2.0


@helper
def _choose_regimes(w: Floats, groups: int) -> int:
    """Bring the rows of the regime that each streak belongs to; returns how many lanes were flagged for a check."""
    flagged = 0
    for j in range(groups * GROUP):
        stalling = w[STREAK + j] > w[STALLING_AFTER + j]
        stalled = w[STREAK + j] > w[STALLED_AFTER + j]
        _choose(w, STREAK_LOW + j, stalling, stalled)
        _choose(w, STREAK_HIGH + j, stalling, stalled)
        _choose(w, RHO + j, stalling, stalled)
        _choose(w, LTV + j, stalling, stalled)
        _choose(w, SHARE_FAR + j, stalling, stalled)
        _choose(w, SHARE_MID + j, stalling, stalled)
        _choose(w, SHARE_NEAR + j, stalling, stalled)
        _choose(w, LTV_STEPS + j, stalling, stalled)
        _choose(w, REPAY_STEPS + j, stalling, stalled)
        _choose(w, LTV_LAST + j, stalling, stalled)
        _choose(w, RHO_LAST + j, stalling, stalled)
        _choose(w, RAISED_ATTEMPT + j, stalling, stalled)
        _choose(w, Q_LAST + j, stalling, stalled)
        _choose(w, Q_LAST_RAISED + j, stalling, stalled)
        check = math.isnan(w[STREAK_LOW + j]) | (w[STREAK + j] >= w[MAX_STAGNANT_OPERATIONS + j])
        w[FLAG + j] = CHECK if check else NOTHING
        flagged += 1 if check else 0
    return flagged


@helper
def _choose(w: Floats, row: int, stalling: bool, stalled: bool) -> None:
    none = w[row + _KEPT - STREAK_LOW]
    first = w[row + _KEPT - STREAK_LOW + _REGIME_ROWS * LANES]
    second = w[row + _KEPT - STREAK_LOW + 2 * _REGIME_ROWS * LANES]
    chosen = first if stalling else none
    w[row] = second if stalled else chosen


@helper
def _enter_regime(w: Floats, j: int, columns: Floats) -> None:
    """Work out the rows of the regime that the lane enters for the first time."""
    i = int(w[SCENARIO + j])
    streak = w[STREAK + j]
    if streak > w[STALLED_AFTER + j]:
        regime = 2
        low, high = w[STALLED_AFTER + j] + 1.0, math.inf
        rho, ltv = columns[_REPAY_STALLED, i], columns[_TARGET_LTV_STALLED, i]
        far = mid = near = columns[_REINVEST_STALLED, i]
    elif streak > w[STALLING_AFTER + j]:
        regime = 1
        low, high = w[STALLING_AFTER + j] + 1.0, w[STALLED_AFTER + j]
        rho, ltv = columns[_REPAY_STALLING, i], columns[_TARGET_LTV, i]
        far = mid = near = columns[_REINVEST_STALLING, i]
    else:
        regime = 0
        low, high = 0.0, w[STALLING_AFTER + j]
        rho, ltv = columns[_REPAY, i], columns[_TARGET_LTV, i]
        far, mid, near = columns[_REINVEST_FAR, i], columns[_REINVEST_MID, i], columns[_REINVEST_NEAR, i]
    w[STREAK_LOW + j] = low
    # Reaching the allowed number of stagnant operations leaves the regime too: one test less in the sweep.
    w[STREAK_HIGH + j] = min(high, w[MAX_STAGNANT_OPERATIONS + j] - 1.0)
    w[RHO + j] = rho
    w[LTV + j] = ltv
    w[SHARE_FAR + j] = far
    w[SHARE_MID + j] = mid
    w[SHARE_NEAR + j] = near
    _resolve_ladder(w, j, columns, regime, ltv, rho)
    # None of the rows is ever NaN: the early exit keeps the compiler from making gather and scatter instructions of
    # the loop, which take longer for so few values.
    for row in range(0, _REGIME_ROWS * LANES, LANES):
        value = w[STREAK_LOW + row + j]
        if math.isnan(value):
            break
        w[_KEPT + regime * _REGIME_ROWS * LANES + row + j] = value


@helper
def _resolve_ladder(w: Floats, j: int, columns: Floats, regime: int, ltv: float, rho: float) -> None:
    """Fix where the ladder of the lane's regime leads; neighbouring scenarios mostly share it, so keep the last one."""
    i = int(w[SCENARIO + j])
    memo = _MEMO + regime * (_MEMO_KEYS + _MEMO_OUTCOMES)
    floor, step = columns[_LTV_FLOOR, i], columns[_LTV_STEP, i]
    repay_floor, repay_step = columns[_REPAY_FLOOR, i], columns[_REPAY_STEP, i]
    limit, decay = w[MAX_RESCALE_ATTEMPTS + j], columns[_REINVEST_DECAY, i]
    same = (
        (w[memo] == ltv)
        & (w[memo + 1] == rho)
        & (w[memo + 2] == floor)
        & (w[memo + 3] == step)
        & (w[memo + 4] == repay_floor)
        & (w[memo + 5] == repay_step)
        & (w[memo + 6] == limit)
        & (w[memo + 7] == decay)
    )
    if not same:
        w[memo], w[memo + 1], w[memo + 2], w[memo + 3] = ltv, rho, floor, step
        w[memo + 4], w[memo + 5], w[memo + 6], w[memo + 7] = repay_floor, repay_step, limit, decay
        _walk_ladder(w, memo + _MEMO_KEYS, ltv, rho, floor, step, repay_floor, repay_step, limit, decay)
    memo += _MEMO_KEYS
    w[LTV_STEPS + j] = w[memo]
    w[REPAY_STEPS + j] = w[memo + 1]
    w[LTV_LAST + j] = w[memo + 2]
    w[RHO_LAST + j] = w[memo + 3]
    w[RAISED_ATTEMPT + j] = w[memo + 4]
    w[Q_LAST + j] = w[memo + 5]
    w[Q_LAST_RAISED + j] = w[memo + 6]


@helper
def _walk_ladder(
    w: Floats,
    outcome: int,
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
    w[outcome] = ltv_steps
    w[outcome + 1] = attempt - 1.0 - ltv_steps
    w[outcome + 2] = ltv
    w[outcome + 3] = rho
    w[outcome + 4] = raised
    w[outcome + 5] = q_last
    w[outcome + 6] = q_last_raised


@helper
def _load(w: Floats, j: int, columns: Floats, i: int) -> None:
    """Put scenario `i` into lane `j`; no input is NaN, see :func:`_enter_regime` for the early exit."""
    for row in range(_HOT):
        value = columns[row, i]
        if math.isnan(value):
            break
        w[row * LANES + j] = value
    w[BUFFER + j] = w[STREAK + j] = w[FALLBACKS + j] = 0.0
    w[EXECUTED + j] = w[SKIPPED + j] = w[STAGNANT + j] = w[POSITIVE + j] = 0.0
    w[ATTEMPTS + j] = w[ATTEMPTS_MAX + j] = 0.0
    w[PROFIT + j] = w[FEES + j] = w[REPAID + j] = w[DRAWN + j] = 0.0
    w[LOWEST_PROFIT + j] = w[LOWEST_HEALTH + j] = math.inf
    w[FLAG + j] = NOTHING
    w[SCENARIO + j] = i
    for kept in range(_KEPT, _KEPT + _REGIMES * _REGIME_ROWS * LANES, _REGIME_ROWS * LANES):
        w[kept + j] = math.nan


@helper
def _stop_code(w: Floats, j: int) -> int:
    """Why the scenario in lane `j` ends now, or GOES_ON."""
    if w[SUPPLY + j] >= w[TARGET + j]:
        return TARGET_REACHED
    if w[STREAK + j] >= w[MAX_STAGNANT_OPERATIONS + j]:
        return STALLED
    if w[EXECUTED + j] + w[SKIPPED + j] >= w[MAX_OPERATIONS + j]:
        return OPERATIONS_SPENT
    return GOES_ON


@helper
def _store(w: Floats, j: int, stop: int, values: Floats, counts: Integers) -> None:
    """Write the outputs of the scenario in lane `j`."""
    i = int(w[SCENARIO + j])
    values[0, i] = w[SUPPLY + j]
    values[1, i] = w[BORROW + j]
    values[2, i] = w[BUFFER + j]
    values[3, i] = w[WALLET + j]
    values[4, i] = w[PROFIT + j]
    values[5, i] = w[FEES + j]
    values[6, i] = w[REPAID + j]
    values[7, i] = w[DRAWN + j]
    values[8, i] = w[LOWEST_PROFIT + j]
    values[9, i] = w[LOWEST_HEALTH + j]
    counts[0, i] = int(w[EXECUTED + j])
    counts[1, i] = int(w[SKIPPED + j])
    counts[2, i] = int(w[STAGNANT + j])
    counts[3, i] = int(w[POSITIVE + j])
    counts[4, i] = int(w[ATTEMPTS + j])
    counts[5, i] = int(w[ATTEMPTS_MAX + j])
    counts[6, i] = int(w[FALLBACKS + j])
    counts[7, i] = stop


@helper
def _park(w: Floats, j: int) -> None:
    """Make an unused lane harmless: it skips for ever and raises no flag."""
    for row in range(_ROWS):
        w[row * LANES + j] = 0.0
    w[SUPPLY + j] = 1.0
    w[TARGET + j] = math.inf
    w[MIN_PROFIT + j] = 1.0
    w[LIQUIDATION_THRESHOLD + j] = 1.0
    w[MIN_HEALTH_FACTOR + j] = 1.0
    w[STREAK_HIGH + j] = w[_KEPT + STREAK_HIGH - STREAK_LOW + j] = math.inf
    w[MAX_OPERATIONS + j] = w[MAX_STAGNANT_OPERATIONS + j] = math.inf


@helper
def _fund(w: Floats, j: int) -> None:
    """Steps 1 and 2: buffer and wallet become supply."""
    supply, target = w[SUPPLY + j], w[TARGET + j]
    w[BEFORE + j] = supply
    from_buffer = min(w[BUFFER + j], target - supply)
    supply += from_buffer
    w[BUFFER + j] -= from_buffer
    if supply < target:
        from_wallet = min(min(w[WALLET_FRACTION + j] * supply, target - supply), w[WALLET + j])
        supply += from_wallet
        w[WALLET + j] -= from_wallet
    w[SUPPLY + j] = supply


@helper
def _sweep(w: Floats, groups: int) -> tuple[int, int]:
    """One operation of every lane, steps 1 to 6; returns how many lanes were flagged and may have left their regime."""
    flagged = 0
    leaving = 0
    for j in range(groups * GROUP):
        # 1, 2: buffer and wallet
        before = w[SUPPLY + j]
        target = w[TARGET + j]
        borrow = w[BORROW + j]
        buffer = w[BUFFER + j]
        wallet = w[WALLET + j]
        min_profit = w[MIN_PROFIT + j]
        from_buffer = min(buffer, target - before)
        supply = before + from_buffer
        buffer = buffer - from_buffer
        gap = target - supply
        from_wallet = min(min(w[WALLET_FRACTION + j] * supply, gap), wallet)
        from_wallet = from_wallet if supply < target else 0.0
        supply = supply + from_wallet
        wallet = wallet - from_wallet
        # 3: adapt
        gap = target - supply
        share_far, share_mid, share_near = w[SHARE_FAR + j], w[SHARE_MID + j], w[SHARE_NEAR + j]
        share = share_mid if gap > supply * w[NEAR_GAP + j] else share_near
        share = share_far if gap > supply * w[FAR_GAP + j] else share
        # 4: the first attempt
        healthy = supply * w[LIQUIDATION_THRESHOLD + j] / w[MIN_HEALTH_FACTOR + j] - borrow
        ltv = w[LTV + j]
        repaid = borrow * w[RHO + j]
        fee = repaid * w[FEE_RATE + j]
        cap = min(supply * ltv - borrow, healthy)
        gross = cap - repaid - fee
        reinvested = max(gross, 0.0) * share
        climbs = (reinvested == 0.0) & (min_profit + repaid + fee > cap)
        # the last attempt before the limit is raised, nothing is reinvested in it unless something stood before
        repaid_last = borrow * w[RHO_LAST + j]
        fee_last = repaid_last * w[FEE_RATE + j]
        ltv_last = w[LTV_LAST + j]
        cap_last = min(supply * ltv_last - borrow, healthy)
        need_last = min_profit + repaid_last + fee_last
        between = climbs & (((cap_last - repaid_last - fee_last) * share > 0.0) | (need_last <= cap_last))
        # the attempt after it
        raised = min(w[LTV_CEILING + j], max(ltv_last, (borrow + need_last) / supply + w[LTV_NUDGE + j]))
        raised_attempt, attempts_allowed = w[RAISED_ATTEMPT + j], w[MAX_RESCALE_ATTEMPTS + j]
        q_last, q_last_raised = w[Q_LAST + j], w[Q_LAST_RAISED + j]
        # of the first and the raised attempt, the one that counts
        repaid = repaid_last if climbs else repaid
        fee = fee_last if climbs else fee
        ltv = raised if climbs else ltv
        q_last = q_last_raised if climbs else q_last
        attempts = raised_attempt if climbs else 1.0
        reachable = (raised_attempt > 0.0) | (not climbs)
        cap = min(supply * ltv - borrow, healthy)
        gross = cap - repaid - fee
        reinvested = max(gross, 0.0) * share
        need = min_profit + reinvested + repaid + fee
        fits = need <= cap
        # softened by smaller reinvestment, and not even the last attempt of that kind fits: infeasible
        least = reinvested * q_last
        hopeless = (least > 0.0) & (least >= w[REINVEST_SNAP + j]) & (min_profit + least + repaid + fee > cap)
        drawn = max(need, w[DRAW_FRACTION + j] * cap)
        stays = max(drawn - repaid - fee, 0.0) * share
        profit = drawn - stays - repaid - fee
        earns = profit > min_profit
        # 5: execute
        debt = borrow - repaid + drawn
        health = (supply + stays) * w[LIQUIDATION_THRESHOLD + j] / debt
        health = math.inf if debt == 0.0 else health
        sound = earns & (health > w[MIN_HEALTH_FACTOR + j])
        # left to the scalar code: softened reinvestment, rounding that leaves no profit, the fallback
        softens = (not fits) & (reinvested > 0.0) & (not hopeless)
        unclear = between | (reachable & (softens | (fits & (not sound))))
        executes = reachable & fits & sound & (not unclear)
        skips = not (executes | unclear)
        supply = supply + (stays if executes else 0.0)
        w[SUPPLY + j] = supply
        w[BORROW + j] = debt if executes else borrow
        w[BUFFER + j] = buffer + (profit if executes else 0.0)
        w[WALLET + j] = wallet
        w[PROFIT + j] += profit if executes else 0.0
        w[FEES + j] += fee if executes else 0.0
        w[REPAID + j] += repaid if executes else 0.0
        w[DRAWN + j] += drawn if executes else 0.0
        w[LOWEST_PROFIT + j] = min(w[LOWEST_PROFIT + j], profit if executes else math.inf)
        w[LOWEST_HEALTH + j] = min(w[LOWEST_HEALTH + j], health if executes else math.inf)
        executed = w[EXECUTED + j] + (1.0 if executes else 0.0)
        skipped = w[SKIPPED + j] + (1.0 if skips else 0.0)
        w[EXECUTED + j] = executed
        w[SKIPPED + j] = skipped
        w[POSITIVE + j] += 1.0 if executes & (profit > 0.0) else 0.0
        attempts = attempts_allowed if skips else attempts
        attempts = 0.0 if unclear else attempts
        w[ATTEMPTS + j] += attempts
        w[ATTEMPTS_MAX + j] = max(w[ATTEMPTS_MAX + j], attempts)
        # 6: stagnation
        stagnates = supply - before < w[STAGNATION_TOLERANCE + j]
        streak = w[STREAK + j]
        longer = streak + 1.0 if stagnates else 0.0
        w[STAGNANT + j] += 1.0 if stagnates & (not unclear) else 0.0
        streak = streak if unclear else longer
        w[STREAK + j] = streak
        w[BEFORE + j] = before
        check = (supply >= target) | (executed + skipped >= w[MAX_OPERATIONS + j])
        w[FLAG + j] = OPERATE if unclear else (CHECK if check else NOTHING)
        flagged += 1 if unclear | check else 0
        leaving += 1 if unclear | (streak < w[STREAK_LOW + j]) | (streak > w[STREAK_HIGH + j]) else 0
    return flagged, leaving


@helper
def _operate(w: Floats, j: int, columns: Floats) -> None:
    """Steps 3 to 6 of one lane, every case: the ladder is walked, but for the stretches where nothing can stand."""
    i = int(w[SCENARIO + j])
    supply, borrow = w[SUPPLY + j], w[BORROW + j]
    gap = w[TARGET + j] - supply
    if gap > supply * w[FAR_GAP + j]:
        share = w[SHARE_FAR + j]
    elif gap > supply * w[NEAR_GAP + j]:
        share = w[SHARE_MID + j]
    else:
        share = w[SHARE_NEAR + j]
    min_profit, fee_rate, limit = w[MIN_PROFIT + j], w[FEE_RATE + j], w[MAX_RESCALE_ATTEMPTS + j]
    ltv, rho, q = w[LTV + j], w[RHO + j], 1.0
    healthy = supply * w[LIQUIDATION_THRESHOLD + j] / w[MIN_HEALTH_FACTOR + j] - borrow
    need = drawn = stays = repaid = fee = 0.0
    attempt = 0.0
    softened = 0
    stands = False
    while attempt < limit:
        attempt += 1.0
        repaid = borrow * rho
        fee = repaid * fee_rate
        cap = min(supply * ltv - borrow, healthy)
        gross = cap - repaid - fee
        reinvested = gross * share * q if gross > 0.0 else 0.0
        need = min_profit + reinvested + repaid + fee
        if need <= cap:
            drawn = max(need, w[DRAW_FRACTION + j] * cap)
            free = drawn - repaid - fee
            stays = free * share * q if free > 0.0 else 0.0
            if drawn - stays - repaid - fee > min_profit:
                stands = True
                break
        if reinvested > 0.0:
            softened |= SOFTENED_REINVEST
            # Only the multiplier changes: while the need stays above the cap there is nothing else to evaluate.
            while True:
                q = 0.0 if reinvested < w[REINVEST_SNAP + j] else q * columns[_REINVEST_DECAY, i]
                reinvested = gross * share * q
                if reinvested == 0.0 or min_profit + reinvested + repaid + fee <= cap or attempt + 1.0 >= limit:
                    break
                attempt += 1.0
        elif ltv > columns[_LTV_FLOOR, i]:
            softened |= SOFTENED_LTV
            if need > cap and softened & SOFTENED_RAISED:
                attempt = limit  # lowered after it was raised, with nothing reinvested: from here the ladder cycles
            elif need > cap and ltv == w[LTV + j]:
                attempt = min(limit, attempt + max(0.0, w[LTV_STEPS + j] - 1.0))  # no smaller limit can fit either
                ltv = w[LTV_LAST + j]
            else:
                ltv = max(columns[_LTV_FLOOR, i], ltv - columns[_LTV_STEP, i])
        elif rho > columns[_REPAY_FLOOR, i]:
            softened |= SOFTENED_REPAY
            last = borrow * w[RHO_LAST + j]
            last_fee = last * fee_rate
            if (
                need > cap
                and ltv == w[LTV_LAST + j]
                and rho == w[RHO + j]
                and not ((cap - last - last_fee) * share * q > 0.0 or min_profit + last + last_fee <= cap)
            ):
                attempt = min(
                    limit, attempt + max(0.0, w[REPAY_STEPS + j] - 1.0)
                )  # not even the smallest repayment fits
                rho = w[RHO_LAST + j]
            else:
                rho = max(columns[_REPAY_FLOOR, i], rho - columns[_REPAY_STEP, i])
        else:
            softened |= SOFTENED_RAISED
            ltv = min(w[LTV_CEILING + j], max(ltv, (borrow + need) / supply + w[LTV_NUDGE + j]))
    _execute(w, j, columns[_MAX_FALLBACK_ATTEMPTS, i], stands, share, q, need, drawn, stays, repaid, fee)
    w[LAST_ATTEMPTS + j] = attempt
    w[LAST_SOFTENED + j] = softened
    w[ATTEMPTS + j] += attempt
    w[ATTEMPTS_MAX + j] = max(w[ATTEMPTS_MAX + j], attempt)
    if w[SUPPLY + j] - w[BEFORE + j] < w[STAGNATION_TOLERANCE + j]:
        w[STREAK + j] += 1.0
        w[STAGNANT + j] += 1.0
    else:
        w[STREAK + j] = 0.0


@helper
def _execute(
    w: Floats,
    j: int,
    fallbacks: float,
    stands: bool,
    share: float,
    q: float,
    need: float,
    drawn: float,
    stays: float,
    repaid: float,
    fee: float,
) -> None:
    """Step 5: execute the plan, or what the fallback makes of it, or skip the operation."""
    profit = debt = health = 0.0
    executes = False
    if stands:
        planned = drawn
        tries = 0.0
        while True:
            profit = drawn - stays - repaid - fee
            debt = w[BORROW + j] - repaid + drawn
            health = (w[SUPPLY + j] + stays) * w[LIQUIDATION_THRESHOLD + j] / debt if debt != 0.0 else math.inf
            executes = profit > w[MIN_PROFIT + j] and health > w[MIN_HEALTH_FACTOR + j]
            if executes or tries >= fallbacks:
                break
            tries += 1.0
            drawn = need + (planned - need) * (1.0 - tries / fallbacks)
            free = drawn - repaid - fee
            stays = free * share * q if free > 0.0 else 0.0
        w[FALLBACKS + j] += tries
    if executes:
        w[BORROW + j] = debt
        w[SUPPLY + j] += stays
        w[BUFFER + j] += profit
        w[PROFIT + j] += profit
        w[FEES + j] += fee
        w[REPAID + j] += repaid
        w[DRAWN + j] += drawn
        w[EXECUTED + j] += 1.0
        w[POSITIVE + j] += 1.0 if profit > 0.0 else 0.0
        w[LOWEST_PROFIT + j] = min(w[LOWEST_PROFIT + j], profit)
        w[LOWEST_HEALTH + j] = min(w[LOWEST_HEALTH + j], health)
    else:
        w[SKIPPED + j] += 1.0
    w[LAST_EXECUTED + j] = 1.0 if executes else 0.0
    w[LAST_DRAWN + j] = drawn if executes else 0.0
    w[LAST_REPAID + j] = repaid if executes else 0.0
    w[LAST_FEE + j] = fee if executes else 0.0
    w[LAST_REINVESTED + j] = stays if executes else 0.0
    w[LAST_PROFIT + j] = profit if executes else 0.0


@helper
def _refill(
    w: Floats, j: int, columns: Floats, values: Floats, counts: Integers, following: int, scenarios: int
) -> int:
    """Load the next scenario that has anything to do into lane `j`; returns the one after it, or a larger number."""
    while following < scenarios:
        _load(w, j, columns, following)
        following += 1
        stop = _stop_code(w, j)
        if stop == GOES_ON:
            _enter_regime(w, j, columns)
            return following
        _store(w, j, stop, values, counts)
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
        flag = w[FLAG + j]
        if flag == OPERATE:
            _operate(w, j, columns)
        if flag != NOTHING:
            stop = _stop_code(w, j)
            if stop != GOES_ON:
                _store(w, j, stop, values, counts)
                following = _refill(w, j, columns, values, counts, following, scenarios)
                if following > scenarios:
                    active -= 1
                    for row in range(_ROWS):
                        w[row * LANES + j] = w[row * LANES + active]
                    _park(w, active)
                    continue  # the lane that moved here may be flagged too
            elif flag == CHECK:
                _enter_regime(w, j, columns)
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
    columns : (len(COLUMNS), at least stop − start) float64
        Inputs; column 0 belongs to scenario `start`.
    values, counts : (len(VALUES), n) float64 and (len(COUNTS), n) int64
        Outputs; columns `start` to `stop` are written, each when its scenario ends.
    work : (WORK_SIZE,) float64
        Workspace; it carries the lanes from call to call.
    cursor : (CURSOR_SIZE,) int64
        Zeros before the first call. Call again until ``cursor[1] == 0``.
    """
    values = values[:, start:stop]
    counts = counts[:, start:stop]
    scenarios = stop - start
    following = cursor[0]
    active = cursor[1]
    if following == 0:
        work[_MEMO:] = math.nan
        while active < LANES:
            following = _refill(work, active, columns, values, counts, following, scenarios)
            if following > scenarios:
                break
            active += 1
        for j in range(active, LANES):
            _park(work, j)
    while active > 0 and sweeps > 0:
        sweeps -= 1
        flagged, leaving = _sweep(work, (active + GROUP - 1) // GROUP)
        if flagged > 0:
            following, active = _attend(work, columns, values, counts, following, active, scenarios)
        if leaving > 0 and _choose_regimes(work, (active + GROUP - 1) // GROUP) > 0:
            following, active = _attend(work, columns, values, counts, following, active, scenarios)
    cursor[0] = following
    cursor[1] = active


@kernel(float_rows_in, float_rows_out, floats_out, integers_out, integer, integer)
def trace(columns: Floats, table: Floats, work: Floats, cursor: Integers, start: int, stop: int) -> None:
    """Record the operations ``start <= operation < stop`` of the scenario in column 0, on the scalar path alone.

    Parameters
    ----------
    columns : (len(COLUMNS), at least 1) float64
        Inputs.
    table : (len(OPERATION), at least stop − start) float64
        Output, one column an operation.
    work : (WORK_SIZE,) float64
        Workspace; it carries the scenario from call to call. `start` is 0 in the first call.
    cursor : (CURSOR_SIZE,) int64
        Output: operations recorded so far, and the stop code or GOES_ON.
    """
    if start == 0:
        work[_MEMO:] = math.nan
        for j in range(1, GROUP):
            _park(work, j)
        _load(work, 0, columns, 0)
        _enter_regime(work, 0, columns)
    operation = start
    code = _stop_code(work, 0)
    while code == GOES_ON and operation < stop:
        _fund(work, 0)
        _operate(work, 0, columns)
        row = operation - start
        supply, borrow = work[SUPPLY], work[BORROW]
        table[0, row] = supply
        table[1, row] = borrow
        table[2, row] = work[BUFFER]
        table[3, row] = work[WALLET]
        table[4, row] = work[LAST_DRAWN]
        table[5, row] = work[LAST_REPAID]
        table[6, row] = work[LAST_FEE]
        table[7, row] = work[LAST_REINVESTED]
        table[8, row] = work[LAST_PROFIT]
        table[9, row] = supply * work[LIQUIDATION_THRESHOLD] / borrow if borrow != 0.0 else math.inf
        table[10, row] = work[LAST_ATTEMPTS]
        table[11, row] = work[LAST_SOFTENED]
        table[12, row] = work[LAST_EXECUTED]
        table[13, row] = work[STREAK]
        operation += 1
        code = _stop_code(work, 0)
        if _choose_regimes(work, 1) > 0 and code == GOES_ON:
            _enter_regime(work, 0, columns)
    cursor[0] = operation
    cursor[1] = code
