"""Plans of a leveraged position in plain Python: what the kernels must equal to the last bit, one plan at a time."""

from __future__ import annotations

import math
from typing import Any

from escala.tables import PLAN_COSTS, PLAN_LIMITS, PLAN_POSITION
from tests.naive.curves import naive_exp

PLAN_DEFAULTS: dict[str, float] = {
    row.name: row.default for row in (*PLAN_POSITION, *PLAN_LIMITS, *PLAN_COSTS) if row.default is not None
}
SHRINK = 1.0 - 2.0**-50  # of the limit, where rounding would exceed it
EPSILON = 2.0**-52
SLACK = 1.0 + 2.0**-40
SMALL = 2.0**-40
REACHED, MET, BEYOND, ROUNDS, UNREACHABLE, STUCK = range(6)
DEPOSIT, BORROW, BUY, WITHDRAW, SELL, REPAY = range(6)

#: Family, its coefficients and its origin.
Curve = tuple[str, tuple[float, ...], float]
Row = tuple[int, float, float, float, float, float]  # action, amount, fee, supply, borrow, cash


def eta(curve: Curve | None, keep: float, value: float) -> float:
    """Share of a trade's value that is left of it."""
    if curve is None:
        return keep
    family, p, origin = curve
    d = value - origin
    if family == "linear":
        kept = p[0] * value + p[1]
    elif family == "quadratic":
        kept = (p[0] * d + p[1]) * d + p[2]
    elif family == "sqrt":
        kept = p[0] * math.sqrt(value) + p[1]
    else:
        kept = p[0] * naive_exp(-p[1] * d) + p[2]
    return 0.0 if kept < 0.0 else min(kept, 1.0)


def marginal(curve: Curve, value: float) -> float:
    """What one unit more brings."""
    family, p, origin = curve
    d = value - origin
    if family == "linear":
        return 2.0 * (p[0] * value) + p[1]
    if family == "quadratic":
        return (p[0] * d + p[1]) * d + p[2] + value * (2.0 * (p[0] * d) + p[1])
    if family == "sqrt":
        return 1.5 * (p[0] * math.sqrt(value)) + p[1]
    return p[0] * naive_exp(-p[1] * d) * (1.0 - p[1] * value) + p[2]


def concave(curve: Curve) -> tuple[float, float]:
    """Where v·η(v) is concave: from where to where."""
    family, p, origin = curve
    if family == "quadratic":
        turn = max(origin - (p[1] + p[0] * origin) / (3.0 * p[0]), 0.0)
        return (0.0, turn) if p[0] > 0.0 else (turn, math.inf)
    if family == "exponential":
        return (0.0, 2.0 / p[1]) if p[0] > 0.0 else (2.0 / p[1], math.inf)
    return (0.0, math.inf) if p[0] <= 0.0 else (math.inf, math.inf)


def largest_trade(curve: Curve, fee: float, most: float, scale: float) -> float:
    """The trade up to `most` that brings most after a fee: there a unit more brings no more than the fee."""
    low, end = concave(curve)
    end = min(end, most)

    def pays(v: float) -> bool:
        return eta(curve, 1.0, v) >= 1.0 or marginal(curve, v) > fee

    if low >= most or not pays(low):
        return most
    high = min(max(low, scale), end)
    for _ in range(200):
        if high == end or not pays(high):
            break
        low, high = high, min(2.0 * high, end)
    if pays(high):
        return most
    for _ in range(200):
        mid = 0.5 * (low + high)
        if not low < mid < high:
            break
        low, high = (mid, high) if pays(mid) else (low, mid)
    return low


def target(kind: str, value: float, borrow: float = 0.0) -> tuple[float, float, float, float]:
    """Aim, factors of supply and debt in it, and whether all is taken out at the end."""
    return {
        "leverage": (0.0, value - 1.0, value, 0.0),
        "ltv": (0.0, value, 1.0, 0.0),
        "supply": (value, -1.0, 0.0, 0.0),
        "repay": (borrow - value, 0.0, 1.0, 0.0),
        "close": (0.0, 0.0, 1.0, 1.0),
    }[kind]


def health(supply: float, borrow: float, p: dict[str, float]) -> float:
    return math.inf if borrow == 0.0 else supply * p["liquidation_threshold"] / borrow


def halved(gain: Any, missing: float, high: float) -> float:
    """The step in (0, high] that gains what is missing."""
    low = 0.0
    for _ in range(200):
        mid = 0.5 * (low + high)
        if not low < mid < high:
            break
        low, high = (mid, high) if gain(mid) < missing else (low, mid)
    return high


def break_even(both: bool, extra: float, difference: float) -> float:
    if not both:
        return math.nan
    if extra > 0.0:
        return max(difference / extra, 0.0)
    return 0.0 if extra == 0.0 and difference < 0.0 else math.inf


def ends(first: float, small: float, fitted: bool, possible: bool, aim: float, made: int, rounds: float) -> int:
    """How a plan ends."""
    if first <= small:
        return MET if first >= -small else BEYOND
    if fitted:
        return REACHED
    if not possible and aim < math.inf:
        return UNREACHABLE
    return ROUNDS if made >= rounds else STUCK


def climbed(first: float, small: float, total: float, step: float, factor: float, possible: bool, rounds: float) -> Any:
    """Rounds of largest steps, each a constant multiple of the one before: steps, what they add up to, and if it fits."""
    steps: list[float] = []
    reach, fitted = 0.0, False
    while first > small and not fitted and len(steps) < rounds:
        further = reach + step
        if not further > reach:
            break
        fitted = total <= further and possible
        steps.append(total - reach if fitted else step)
        if not fitted:
            reach, step = further, step * factor
    return steps, reach, fitted


def naive_leverage(
    aim: float, per_supply: float, per_borrow: float, keep: float = 1.0, most: float = math.inf,
    curve: Curve | None = None, **given: float,
) -> tuple[dict[str, float], list[Row]]:  # fmt: skip
    """Deposit, then rounds of borrowing up to the limit, buying and depositing; the last is cut to size."""
    p = {**PLAN_DEFAULTS, **given}
    fee, swap, least, lt = p["fee_rate"], p["swap_fee"], p["min_health_factor"], p["liquidation_threshold"]
    S1, B1 = p["supply"] + p["equity"], p["borrow"]
    rows: list[Row] = [(DEPOSIT, p["equity"], 0.0, S1, B1, 0.0)] if p["equity"] > 0.0 else []
    top = min(p["max_ltv"], lt / least)
    growth = (1.0 - fee) * (keep - swap)
    slope = per_borrow - per_supply * growth
    first = (aim + per_supply * S1) - per_borrow * B1
    small = max(SMALL * (abs(per_supply) * S1 + per_borrow * B1), EPSILON * S1 * slope)
    room = S1 * top - B1
    possible = first * (1.0 - top * growth) * SLACK < room * slope
    flash = 1.0 + p["flash_fee"]
    if curve is not None and swap > 0.0:
        most = largest_trade(curve, swap, most, S1)

    def spent(x: float, paid: float = 1.0) -> float:
        return (x - x * fee) / paid

    def bought(v: float) -> float:
        return v * eta(curve, keep, v) - v * swap

    def gain(x: float, a: float, b: float, paid: float) -> float:
        return b * x - a * bought(spent(x, paid))

    def one_shot(what: float, a: float, b: float) -> float:
        """Debt that a flash loan draws."""
        if curve is None:
            return what / (b - a * (growth / flash))
        largest = most * flash / (1.0 - fee)
        high = min(what, largest)
        for _ in range(200):
            if gain(high, a, b, flash) >= what:
                break
            high = min(2.0 * high, largest)
        return min(halved(lambda x: gain(x, a, b, flash), what, high), largest)

    S, B, lowest = S1, B1, math.inf
    if curve is None:
        limit = top * (1.0 - (2.0 * p["rounds"] + 8.0) * EPSILON)
        total = first / slope
        steps, reach, fitted = climbed(
            first, small, total, S1 * limit - B1, limit * growth, possible, p["rounds"]
        )  # fmt: skip
        made, done = len(steps), 0.0
        for k, x in enumerate(steps):
            done = total if fitted and k == made - 1 else done + x
            grown, debt, got = S1 + bought(spent(done)), B1 + done, bought(spent(x))
            rows += [
                (BORROW, x, x * fee, S, debt, spent(x)), (BUY, got, spent(x) - got, S, debt, got),
                (DEPOSIT, got, 0.0, grown, debt, 0.0),
            ]  # fmt: skip
            lowest = min(lowest, S * lt / debt if fitted and k == made - 1 else lt / limit)
            S, B = grown, debt
        drawn = total if fitted else reach
        fees = drawn * fee
        gained = bought(drawn - fees)
        lost = (drawn - fees) - gained
    else:
        drawn = gained = fees = lost = 0.0
        made, fitted, missing = 0, False, first
        while first > small and not fitted and made < p["rounds"]:
            cap = S * top - B
            if S * lt / (B + cap) < least or (B + cap) / S > p["max_ltv"]:
                cap = S * (top * SHRINK) - B
            cap = min(cap, most / (1.0 - fee))
            if not cap > 0.0:
                break
            fits = missing <= gain(cap, per_supply, per_borrow, 1.0) and possible
            x = cap
            if fits:
                x = min(halved(lambda x: gain(x, per_supply, per_borrow, 1.0), missing, cap), cap)
            v = spent(x)
            got = bought(v)
            if not S + got > S:
                break
            rows += [
                (BORROW, x, x * fee, S, B + x, v), (BUY, got, v - got, S, B + x, got),
                (DEPOSIT, got, 0.0, S + got, B + x, 0.0),
            ]  # fmt: skip
            lowest = min(lowest, S * lt / (B + x))
            S, B = S + got, B + x
            drawn, gained, fees, lost = drawn + x, gained + got, fees + x * fee, lost + (v - got)
            missing = (aim + per_supply * S) - per_borrow * B
            made += 1
            fitted = fits
    x = one_shot(room, top, 1.0) if room > 0.0 else 0.0
    loan = spent(x, flash)
    got = bought(loan)
    largest = S1 + got
    reachable = first <= small
    if reachable:
        x = loan = got = 0.0
    elif first < math.inf:
        needed = one_shot(first, per_supply, per_borrow)
        traded = spent(needed, flash)
        brought = bought(traded)
        reachable = B1 + needed <= top * (S1 + brought) * SLACK
        if curve is not None:
            moved = per_borrow * needed - per_supply * brought
            reachable = reachable and moved * SLACK >= first and brought > 0.0
        if reachable:
            x, loan, got = needed, traded, brought
    status = ends(first, small, fitted, possible, aim, made, p["rounds"])
    operations = 3 * made + (1 if p["equity"] > 0.0 else 0)
    return {
        "fees": fees, "swap_cost": lost, "drawn": drawn, "bought": gained,
        "status": status, "final_supply": S, "final_borrow": B, "rounds_made": made, "operations_made": operations,
        "lowest_health_factor": min(lowest, health(S, B, p)),
        "supply_bound": S1 + (growth * room / (1.0 - top * growth) if room > 0.0 else 0.0),
        "flash_reachable": float(reachable), "flash_loan": loan, "flash_supply": S1 + got, "flash_borrow": B1 + x,
        "flash_fees": x - loan, "flash_swap_cost": loan - got, "flash_supply_bound": largest,
        "break_even_gas": break_even(
            status == REACHED and reachable, operations - p["flash_steps"],
            ((x - loan) + (loan - got)) - (fees + lost),
        ),
    }, rows  # fmt: skip


def naive_unwind(
    aim: float, per_supply: float, per_borrow: float, close: float = 0.0, keep: float = 1.0, most: float = math.inf,
    curve: Curve | None = None, **given: float,
) -> tuple[dict[str, float], list[Row]]:  # fmt: skip
    """Rounds of withdrawing down to the limit, selling and repaying; the last is cut to size."""
    p = {**PLAN_DEFAULTS, **given}
    fee, swap, least, lt = p["fee_rate"], p["swap_fee"], p["min_health_factor"], p["liquidation_threshold"]
    S0, B0 = p["supply"], p["borrow"]
    top = min(p["max_ltv"], lt / least)
    growth = (keep - swap) / (1.0 + fee)
    slope = per_borrow * growth - per_supply
    first = per_borrow * B0 - (aim + per_supply * S0)
    small = SMALL * (abs(per_supply) * S0 + per_borrow * B0)
    free = S0 - B0 / top
    possible = slope > 0.0 and free > 0.0 and first * (1.0 - growth / top) * SLACK < free * slope
    flash = 1.0 + p["flash_fee"]
    to_debt = per_supply == 0.0
    if curve is not None and swap > 0.0:
        most = largest_trade(curve, swap, most, S0)

    def got_of(w: float) -> float:
        return w * eta(curve, keep, w) - w * swap

    def gain(w: float, paid: float) -> float:
        return per_borrow * (got_of(w) / paid / (1.0 + fee)) - per_supply * w

    S, B, lowest = S0, B0, math.inf
    rows: list[Row] = []
    if curve is None:
        leverage = S0 / (S0 - B0) if S0 > B0 else 1.0
        shrink = min((2.0 * p["rounds"] + 8.0) * EPSILON * max(leverage, 1.0), 2.0**-20)
        limit = top * (1.0 - shrink)
        total = first / slope if slope != 0.0 else math.copysign(math.inf, first)
        steps, reach, fitted = climbed(
            first, small, total, S0 - B0 / limit, growth / limit, possible, p["rounds"]
        )  # fmt: skip
        made, done = len(steps), 0.0
        for k, w in enumerate(steps):
            cut = fitted and k == made - 1
            done = total if cut else done + w
            whole = cut and to_debt
            debt = aim if whole else B0 - got_of(done) / (1.0 + fee)
            r = B - aim if whole else got_of(w) / (1.0 + fee)
            rows += [
                (WITHDRAW, w, 0.0, S0 - done, B, w), (SELL, got_of(w), w - got_of(w), S0 - done, B, got_of(w)),
                (REPAY, r, r * fee, S0 - done, debt, 0.0),
            ]  # fmt: skip
            lowest = min(lowest, (S0 - done) * lt / B if cut else lt / limit)
            S, B = S0 - done, debt
        sold = total if fitted else reach
        repaid = B0 - aim if fitted and to_debt else got_of(sold) / (1.0 + fee)
        fees, lost = repaid * fee, sold - got_of(sold)
    else:
        sold = repaid = fees = lost = 0.0
        made, fitted, missing = 0, False, first
        while first > small and not fitted and made < p["rounds"]:
            cap = S - B / top
            if (S - cap) * lt / B < least or B / (S - cap) > p["max_ltv"]:
                cap = S - B / (top * SHRINK)
            cap = min(cap, most)
            if not cap > 0.0:
                break
            fits = missing <= gain(cap, 1.0) and possible
            w = min(halved(lambda w: gain(w, 1.0), missing, cap), cap) if fits else cap
            r = B - aim if fits and to_debt else got_of(w) / (1.0 + fee)
            if not B - r < B:
                break
            debt = aim if fits and to_debt else B - r
            rows += [
                (WITHDRAW, w, 0.0, S - w, B, w), (SELL, got_of(w), w - got_of(w), S - w, B, got_of(w)),
                (REPAY, r, r * fee, S - w, debt, 0.0),
            ]  # fmt: skip
            lowest = min(lowest, (S - w) * lt / B)
            S, B = S - w, debt
            sold, repaid, fees, lost = sold + w, repaid + r, fees + r * fee, lost + (w - got_of(w))
            missing = per_borrow * B - (aim + per_supply * S)
            made += 1
            fitted = fits
    status = ends(first, small, fitted, possible, aim, made, p["rounds"])
    lowest = min(lowest, health(S, B, p))
    taken = S if close == 1.0 and status <= BEYOND else 0.0
    S -= taken
    if taken > 0.0:
        rows.append((WITHDRAW, taken, 0.0, S, B, taken))
    rate = per_borrow * (growth / flash) - per_supply
    reachable, w, got, loan, r = True, 0.0, 0.0, 0.0, 0.0
    supply, borrow = S0, B0
    if first > small:
        if curve is None:
            w = first / rate if rate != 0.0 else math.copysign(math.inf, first)
        else:
            w = min(halved(lambda w: gain(w, flash), first, min(most, S0)), most)
        got = got_of(w)
        loan = got / flash
        r = B0 - aim if to_debt else loan / (1.0 + fee)
        supply, borrow = S0 - w, aim if to_debt else B0 - r
        reachable = rate > 0.0 and supply >= 0.0 and borrow <= top * supply * SLACK
        if curve is not None:
            reachable = reachable and gain(w, flash) * SLACK >= first
        if not reachable:
            supply, borrow, w, got, loan, r = S0, B0, 0.0, 0.0, 0.0, 0.0
    flash_taken = supply if close == 1.0 and reachable else 0.0
    operations = 3 * made + (1 if taken > 0.0 else 0)
    return {
        "fees": fees, "swap_cost": lost, "sold": sold, "repaid": repaid,
        "first_step": min(max(free, 0.0), most), "shortfall": max(B0 - growth * S0, 0.0),
        "status": status, "final_supply": S, "final_borrow": B, "cash_out": taken, "rounds_made": made,
        "operations_made": operations, "lowest_health_factor": lowest,
        "flash_reachable": float(reachable), "flash_loan": loan, "flash_supply": supply - flash_taken,
        "flash_borrow": borrow, "flash_fees": got - r, "flash_swap_cost": w - got, "flash_cash_out": flash_taken,
        "break_even_gas": break_even(
            status == REACHED and reachable, operations - p["flash_steps"], ((got - r) + (w - got)) - (fees + lost)
        ),
    }, rows  # fmt: skip
