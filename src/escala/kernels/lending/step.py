"""One operation of the loop: of every lane at once, or of one lane with every case.

Both have the same definitions, in the same order of floating-point operations.
"""

from __future__ import annotations

import math

from escala.kernels.jit import Floats, helper
from escala.kernels.layout import lending_input as c
from escala.kernels.layout import lending_lane as r
from escala.kernels.layout import lending_regime as g
from escala.kernels.layout import softened as softened_by
from escala.kernels.lending.ladder import CHECK, GROUP, NOTHING, OPERATE


@helper
def fund(w: Floats, j: int) -> None:
    """Steps 1 and 2: buffer and wallet become supply."""
    supply, target = w[r.SUPPLY + j], w[r.TARGET + j]
    w[r.BEFORE + j] = supply
    from_buffer = min(w[r.BUFFER + j], target - supply)
    supply += from_buffer
    w[r.BUFFER + j] -= from_buffer
    if supply < target:
        from_wallet = min(min(w[r.WALLET_FRACTION + j] * supply, target - supply), w[r.WALLET + j])
        supply += from_wallet
        w[r.WALLET + j] -= from_wallet
    w[r.SUPPLY + j] = supply


@helper
def sweep(w: Floats, groups: int) -> tuple[int, int]:
    """One operation of every lane, steps 1 to 6; returns how many lanes were flagged and may have left their regime."""
    flagged = 0
    leaving = 0
    for j in range(groups * GROUP):
        # 1, 2: buffer and wallet
        before = w[r.SUPPLY + j]
        target = w[r.TARGET + j]
        borrow = w[r.BORROW + j]
        buffer = w[r.BUFFER + j]
        wallet = w[r.WALLET + j]
        min_profit = w[r.MIN_PROFIT + j]
        from_buffer = min(buffer, target - before)
        supply = before + from_buffer
        buffer = buffer - from_buffer
        gap = target - supply
        from_wallet = min(min(w[r.WALLET_FRACTION + j] * supply, gap), wallet)
        from_wallet = from_wallet if supply < target else 0.0
        supply = supply + from_wallet
        wallet = wallet - from_wallet
        # 3: adapt
        gap = target - supply
        share_far, share_mid, share_near = w[g.SHARE_FAR + j], w[g.SHARE_MID + j], w[g.SHARE_NEAR + j]
        share = share_mid if gap > supply * w[r.NEAR_GAP + j] else share_near
        share = share_far if gap > supply * w[r.FAR_GAP + j] else share
        # 4: the first attempt
        healthy = supply * w[r.LIQUIDATION_THRESHOLD + j] / w[r.MIN_HEALTH_FACTOR + j] - borrow
        ltv = w[g.LTV + j]
        repaid = borrow * w[g.RHO + j]
        fee = repaid * w[r.FEE_RATE + j]
        cap = min(supply * ltv - borrow, healthy)
        gross = cap - repaid - fee
        reinvested = max(gross, 0.0) * share
        climbs = (reinvested == 0.0) & (min_profit + repaid + fee > cap)
        # the last attempt before the limit is raised, nothing is reinvested in it unless something stood before
        repaid_last = borrow * w[g.RHO_LAST + j]
        fee_last = repaid_last * w[r.FEE_RATE + j]
        ltv_last = w[g.LTV_LAST + j]
        cap_last = min(supply * ltv_last - borrow, healthy)
        need_last = min_profit + repaid_last + fee_last
        between = climbs & (((cap_last - repaid_last - fee_last) * share > 0.0) | (need_last <= cap_last))
        # the attempt after it
        raised = min(w[r.LTV_CEILING + j], max(ltv_last, (borrow + need_last) / supply + w[r.LTV_NUDGE + j]))
        raised_attempt, attempts_allowed = w[g.RAISED_ATTEMPT + j], w[r.MAX_RESCALE_ATTEMPTS + j]
        q_last, q_last_raised = w[g.Q_LAST + j], w[g.Q_LAST_RAISED + j]
        # of the first and the raised attempt, the one that counts
        repaid = repaid_last if climbs else repaid
        fee = fee_last if climbs else fee
        ltv = raised if climbs else ltv
        # the multiplier after fewer steps is no smaller; to choose between two rows would make the compiler gather
        q_last = max(q_last, q_last_raised) if climbs else q_last
        attempts = raised_attempt if climbs else 1.0
        reachable = (raised_attempt > 0.0) | (not climbs)
        cap = min(supply * ltv - borrow, healthy)
        gross = cap - repaid - fee
        reinvested = max(gross, 0.0) * share
        need = min_profit + reinvested + repaid + fee
        fits = need <= cap
        # softened by smaller reinvestment, and not even the last attempt of that kind fits: infeasible
        least = reinvested * q_last
        hopeless = (least > 0.0) & (least >= w[r.REINVEST_SNAP + j]) & (min_profit + least + repaid + fee > cap)
        drawn = max(need, w[r.DRAW_FRACTION + j] * cap)
        stays = max(drawn - repaid - fee, 0.0) * share
        profit = drawn - stays - repaid - fee
        earns = profit > min_profit
        # 5: execute
        debt = borrow - repaid + drawn
        health = (supply + stays) * w[r.LIQUIDATION_THRESHOLD + j] / debt
        health = math.inf if debt == 0.0 else health
        sound = earns & (health > w[r.MIN_HEALTH_FACTOR + j])
        # left to the scalar code: softened reinvestment, rounding that leaves no profit, the fallback
        softens = (not fits) & (reinvested > 0.0) & (not hopeless)
        unclear = between | (reachable & (softens | (fits & (not sound))))
        executes = reachable & fits & sound & (not unclear)
        skips = not (executes | unclear)
        supply = supply + (stays if executes else 0.0)
        w[r.SUPPLY + j] = supply
        w[r.BORROW + j] = debt if executes else borrow
        w[r.BUFFER + j] = buffer + (profit if executes else 0.0)
        w[r.WALLET + j] = wallet
        w[r.PROFIT + j] += profit if executes else 0.0
        w[r.FEES + j] += fee if executes else 0.0
        w[r.REPAID + j] += repaid if executes else 0.0
        w[r.DRAWN + j] += drawn if executes else 0.0
        w[r.LOWEST_PROFIT + j] = min(w[r.LOWEST_PROFIT + j], profit if executes else math.inf)
        w[r.LOWEST_HEALTH_FACTOR + j] = min(w[r.LOWEST_HEALTH_FACTOR + j], health if executes else math.inf)
        executed = w[r.EXECUTED + j] + (1.0 if executes else 0.0)
        skipped = w[r.SKIPPED + j] + (1.0 if skips else 0.0)
        w[r.EXECUTED + j] = executed
        w[r.SKIPPED + j] = skipped
        w[r.POSITIVE + j] += 1.0 if executes & (profit > 0.0) else 0.0
        attempts = attempts_allowed if skips else attempts
        attempts = 0.0 if unclear else attempts
        w[r.RESCALE_ATTEMPTS + j] += attempts
        w[r.RESCALE_ATTEMPTS_MAX + j] = max(w[r.RESCALE_ATTEMPTS_MAX + j], attempts)
        # 6: stagnation
        stagnates = supply - before < w[r.STAGNATION_TOLERANCE + j]
        streak = w[r.STREAK + j]
        longer = streak + 1.0 if stagnates else 0.0
        w[r.STAGNANT + j] += 1.0 if stagnates & (not unclear) else 0.0
        streak = streak if unclear else longer
        w[r.STREAK + j] = streak
        w[r.BEFORE + j] = before
        check = (supply >= target) | (executed + skipped >= w[r.MAX_OPERATIONS + j])
        w[r.FLAG + j] = OPERATE if unclear else (CHECK if check else NOTHING)
        flagged += 1 if unclear | check else 0
        leaving += 1 if unclear | (streak < w[g.STREAK_LOW + j]) | (streak > w[g.STREAK_HIGH + j]) else 0
    return flagged, leaving


@helper
def operate(w: Floats, j: int, columns: Floats) -> None:
    """Steps 3 to 6 of one lane, every case: the ladder is walked, but for the stretches where nothing can stand."""
    i = int(w[r.SCENARIO + j])
    supply, borrow = w[r.SUPPLY + j], w[r.BORROW + j]
    gap = w[r.TARGET + j] - supply
    if gap > supply * w[r.FAR_GAP + j]:
        share = w[g.SHARE_FAR + j]
    elif gap > supply * w[r.NEAR_GAP + j]:
        share = w[g.SHARE_MID + j]
    else:
        share = w[g.SHARE_NEAR + j]
    min_profit, fee_rate, limit = w[r.MIN_PROFIT + j], w[r.FEE_RATE + j], w[r.MAX_RESCALE_ATTEMPTS + j]
    ltv, rho, q = w[g.LTV + j], w[g.RHO + j], 1.0
    healthy = supply * w[r.LIQUIDATION_THRESHOLD + j] / w[r.MIN_HEALTH_FACTOR + j] - borrow
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
            drawn = max(need, w[r.DRAW_FRACTION + j] * cap)
            free = drawn - repaid - fee
            stays = free * share * q if free > 0.0 else 0.0
            if drawn - stays - repaid - fee > min_profit:
                stands = True
                break
        if reinvested > 0.0:
            softened |= softened_by.REINVEST
            # Only the multiplier changes: while the need stays above the cap there is nothing else to evaluate.
            while True:
                q = 0.0 if reinvested < w[r.REINVEST_SNAP + j] else q * columns[c.REINVEST_DECAY, i]
                reinvested = gross * share * q
                if reinvested == 0.0 or min_profit + reinvested + repaid + fee <= cap or attempt + 1.0 >= limit:
                    break
                attempt += 1.0
        elif ltv > columns[c.LTV_FLOOR, i]:
            softened |= softened_by.LTV
            if need > cap and softened & softened_by.RAISED:
                attempt = limit  # lowered after it was raised, with nothing reinvested: from here the ladder cycles
            elif need > cap and ltv == w[g.LTV + j]:
                attempt = min(limit, attempt + max(0.0, w[g.LTV_STEPS + j] - 1.0))  # no smaller limit can fit either
                ltv = w[g.LTV_LAST + j]
            else:
                ltv = max(columns[c.LTV_FLOOR, i], ltv - columns[c.LTV_STEP, i])
        elif rho > columns[c.REPAY_FLOOR, i]:
            softened |= softened_by.REPAY
            last = borrow * w[g.RHO_LAST + j]
            last_fee = last * fee_rate
            if (
                need > cap
                and ltv == w[g.LTV_LAST + j]
                and rho == w[g.RHO + j]
                and not ((cap - last - last_fee) * share * q > 0.0 or min_profit + last + last_fee <= cap)
            ):
                attempt = min(
                    limit, attempt + max(0.0, w[g.REPAY_STEPS + j] - 1.0)
                )  # not even the smallest repayment fits
                rho = w[g.RHO_LAST + j]
            else:
                rho = max(columns[c.REPAY_FLOOR, i], rho - columns[c.REPAY_STEP, i])
        else:
            softened |= softened_by.RAISED
            ltv = min(w[r.LTV_CEILING + j], max(ltv, (borrow + need) / supply + w[r.LTV_NUDGE + j]))
    _execute(w, j, columns[c.MAX_FALLBACK_ATTEMPTS, i], stands, share, q, need, drawn, stays, repaid, fee)
    w[r.LAST_ATTEMPTS + j] = attempt
    w[r.LAST_SOFTENED + j] = softened
    w[r.RESCALE_ATTEMPTS + j] += attempt
    w[r.RESCALE_ATTEMPTS_MAX + j] = max(w[r.RESCALE_ATTEMPTS_MAX + j], attempt)
    if w[r.SUPPLY + j] - w[r.BEFORE + j] < w[r.STAGNATION_TOLERANCE + j]:
        w[r.STREAK + j] += 1.0
        w[r.STAGNANT + j] += 1.0
    else:
        w[r.STREAK + j] = 0.0


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
            debt = w[r.BORROW + j] - repaid + drawn
            health = (w[r.SUPPLY + j] + stays) * w[r.LIQUIDATION_THRESHOLD + j] / debt if debt != 0.0 else math.inf
            executes = profit > w[r.MIN_PROFIT + j] and health > w[r.MIN_HEALTH_FACTOR + j]
            if executes or tries >= fallbacks:
                break
            tries += 1.0
            drawn = need + (planned - need) * (1.0 - tries / fallbacks)
            free = drawn - repaid - fee
            stays = free * share * q if free > 0.0 else 0.0
        w[r.FALLBACK_ATTEMPTS + j] += tries
    if executes:
        w[r.BORROW + j] = debt
        w[r.SUPPLY + j] += stays
        w[r.BUFFER + j] += profit
        w[r.PROFIT + j] += profit
        w[r.FEES + j] += fee
        w[r.REPAID + j] += repaid
        w[r.DRAWN + j] += drawn
        w[r.EXECUTED + j] += 1.0
        w[r.POSITIVE + j] += 1.0 if profit > 0.0 else 0.0
        w[r.LOWEST_PROFIT + j] = min(w[r.LOWEST_PROFIT + j], profit)
        w[r.LOWEST_HEALTH_FACTOR + j] = min(w[r.LOWEST_HEALTH_FACTOR + j], health)
    else:
        w[r.SKIPPED + j] += 1.0
    w[r.LAST_EXECUTED + j] = 1.0 if executes else 0.0
    w[r.LAST_DRAWN + j] = drawn if executes else 0.0
    w[r.LAST_REPAID + j] = repaid if executes else 0.0
    w[r.LAST_FEE + j] = fee if executes else 0.0
    w[r.LAST_REINVESTED + j] = stays if executes else 0.0
    w[r.LAST_PROFIT + j] = profit if executes else 0.0
