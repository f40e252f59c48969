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


def naive_leverage(
    aim: float, per_supply: float, per_borrow: float, keep: float = 1.0, most: float = math.inf,
    curve: Curve | None = None, **given: float,
) -> tuple[dict[str, float], list[Row]]:  # fmt: skip
    """Deposit, then rounds of borrowing up to the limit, buying and depositing; the last is cut to size."""
    p = {**PLAN_DEFAULTS, **given}
    fee, swap = p["fee_rate"], p["swap_fee"]
    S, B = p["supply"] + p["equity"], p["borrow"]
    rows: list[Row] = [(DEPOSIT, p["equity"], 0.0, S, B, 0.0)] if p["equity"] > 0.0 else []
    top = min(p["max_ltv"], p["liquidation_threshold"] / p["min_health_factor"])
    limit = top * SHRINK
    growth = (1.0 - fee) * (keep - swap)
    slope = per_borrow - per_supply * growth
    missing = (aim + per_supply * S) - per_borrow * B
    small = SMALL * (abs(per_supply) * S + per_borrow * B)
    room = S * top - B
    possible = missing * (1.0 - top * growth) * SLACK < room * slope

    def spent(x: float, flash: float) -> float:
        return (x - x * fee) / flash

    def bought(v: float) -> float:
        return v * eta(curve, keep, v) - v * swap

    def step(what: float, a: float, b: float, high: float, flash: float, rate: float) -> float:
        if curve is None:
            return what / rate
        return halved(lambda x: b * x - a * bought(spent(x, flash)), what, high)

    out: dict[str, float] = {"fees": 0.0, "swap_cost": 0.0, "drawn": 0.0, "bought": 0.0}
    S1, B1, first = S, B, missing
    lowest, made, fitted = math.inf, 0, False
    while first > small and not fitted and made < p["rounds"]:
        cap = S * top - B
        if S * p["liquidation_threshold"] / (B + cap) < p["min_health_factor"] or (B + cap) / S > p["max_ltv"]:
            cap = S * limit - B
        cap = min(cap, most / (1.0 - fee))
        if not cap > 0.0:
            break
        if curve is None:
            fits = missing <= cap * slope and possible
        else:
            fits = missing <= per_borrow * cap - per_supply * bought(spent(cap, 1.0)) and possible
        x = min(step(missing, per_supply, per_borrow, cap, 1.0, slope), cap) if fits else cap
        v = spent(x, 1.0)
        got = bought(v)
        if not S + got > S:
            break
        rows += [
            (BORROW, x, x * fee, S, B + x, v), (BUY, got, v - got, S, B + x, got), (DEPOSIT, got, 0.0, S + got, B + x, 0.0)
        ]  # fmt: skip
        lowest = min(lowest, S * p["liquidation_threshold"] / (B + x))
        S, B = S + got, B + x
        out["fees"] += x * fee
        out["swap_cost"] += v - got
        out["drawn"] += x
        out["bought"] += got
        missing = (aim + per_supply * S) - per_borrow * B
        made += 1
        fitted = fits
    status = (
        (MET if first >= -small else BEYOND) if first <= small
        else REACHED if fitted
        else UNREACHABLE if not possible and aim < math.inf
        else ROUNDS if made >= p["rounds"]
        else STUCK
    )  # fmt: skip
    flash = 1.0 + p["flash_fee"]
    growth_flash = growth / flash
    most_drawn = most * flash / (1.0 - fee)

    def one_shot(what: float, a: float, b: float) -> tuple[float, float, float]:
        high = min(what, most_drawn)
        for _ in range(200 if curve else 0):
            if b * high - a * bought(spent(high, flash)) >= what:
                break
            high = min(2.0 * high, most_drawn)
        x = min(step(what, a, b, high, flash, b - a * growth_flash), most_drawn)
        v = spent(x, flash)
        return x, v, bought(v)

    x, v, got = one_shot(max(room, 0.0), top, 1.0) if room > 0.0 else (0.0, 0.0, 0.0)
    largest = S1 + got
    reachable = True
    if first > small:
        a_x, a_v, a_got = one_shot(first, per_supply, per_borrow) if first < math.inf else (math.inf, math.inf, 0.0)
        gained = per_borrow * a_x - per_supply * a_got
        reachable = (
            B1 + a_x <= top * (S1 + a_got) * SLACK and gained * SLACK >= first and a_got > 0.0 and first < math.inf
        )
        if reachable:
            x, v, got = a_x, a_v, a_got
    else:
        x = v = got = 0.0
    operations = 3 * made + (1 if p["equity"] > 0.0 else 0)
    out |= {
        "status": status, "final_supply": S, "final_borrow": B, "rounds_made": made, "operations_made": operations,
        "lowest_health_factor": min(lowest, health(S, B, p)),
        "supply_bound": S1 + growth * max(room, 0.0) / (1.0 - top * growth),
        "flash_reachable": float(reachable), "flash_loan": v, "flash_supply": S1 + got, "flash_borrow": B1 + x,
        "flash_fees": x - v, "flash_swap_cost": v - got, "flash_supply_bound": largest,
        "break_even_gas": break_even(
            status == REACHED and reachable, operations - p["flash_steps"],
            ((x - v) + (v - got)) - (out["fees"] + out["swap_cost"]),
        ),
    }  # fmt: skip
    return out, rows


def naive_unwind(
    aim: float, per_supply: float, per_borrow: float, close: float = 0.0, keep: float = 1.0, most: float = math.inf,
    curve: Curve | None = None, **given: float,
) -> tuple[dict[str, float], list[Row]]:  # fmt: skip
    """Rounds of withdrawing down to the limit, selling and repaying; the last is cut to size."""
    p = {**PLAN_DEFAULTS, **given}
    fee, swap = p["fee_rate"], p["swap_fee"]
    S, B = p["supply"], p["borrow"]
    top = min(p["max_ltv"], p["liquidation_threshold"] / p["min_health_factor"])
    limit = top * SHRINK
    growth = (keep - swap) / (1.0 + fee)
    slope = per_borrow * growth - per_supply
    missing = per_borrow * B - (aim + per_supply * S)
    small = SMALL * (abs(per_supply) * S + per_borrow * B)
    free = S - B / top
    possible = slope > 0.0 and free > 0.0 and missing * (1.0 - growth / top) * SLACK < free * slope

    def got_of(w: float) -> float:
        return w * eta(curve, keep, w) - w * swap

    def step(high: float, flash: float, rate: float, what: float) -> float:
        if curve is None:
            return what / rate
        return halved(lambda w: per_borrow * (got_of(w) / flash / (1.0 + fee)) - per_supply * w, what, high)

    out: dict[str, float] = {"fees": 0.0, "swap_cost": 0.0, "sold": 0.0, "repaid": 0.0}
    out["first_step"] = min(max(free, 0.0), most)
    out["shortfall"] = max(B - growth * S, 0.0)
    rows: list[Row] = []
    S0, B0, first = S, B, missing
    lowest, made, fitted = math.inf, 0, False
    while first > small and not fitted and made < p["rounds"]:
        cap = S - B / top
        if (S - cap) * p["liquidation_threshold"] / B < p["min_health_factor"] or B / (S - cap) > p["max_ltv"]:
            cap = S - B / limit
        cap = min(cap, most)
        if not cap > 0.0:
            break
        if curve is None:
            fits = missing <= cap * slope and possible
        else:
            fits = missing <= per_borrow * (got_of(cap) / 1.0 / (1.0 + fee)) - per_supply * cap and possible
        w = min(step(cap, 1.0, slope, missing), cap) if fits else cap
        got = got_of(w)
        r = B - aim if fits and per_supply == 0.0 else got / (1.0 + fee)
        paid = r * fee
        if not B - r < B:
            break
        debt = aim if fits and per_supply == 0.0 else B - r
        rows += [
            (WITHDRAW, w, 0.0, S - w, B, w), (SELL, got, w - got, S - w, B, got), (REPAY, r, paid, S - w, debt, 0.0)
        ]  # fmt: skip
        lowest = min(lowest, (S - w) * p["liquidation_threshold"] / B)
        S, B = S - w, debt
        out["fees"] += paid
        out["swap_cost"] += w - got
        out["sold"] += w
        out["repaid"] += r
        missing = per_borrow * B - (aim + per_supply * S)
        made += 1
        fitted = fits
    status = (
        (MET if first >= -small else BEYOND) if first <= small
        else REACHED if fitted
        else UNREACHABLE if not possible
        else ROUNDS if made >= p["rounds"]
        else STUCK
    )  # fmt: skip
    taken = S if close == 1.0 and status <= BEYOND else 0.0
    lowest = min(lowest, health(S, B, p))
    S -= taken
    if taken > 0.0:
        rows.append((WITHDRAW, taken, 0.0, S, B, taken))
    flash = 1.0 + p["flash_fee"]
    rate = per_borrow * (growth / flash) - per_supply
    reachable, w, got, loan, r = True, 0.0, 0.0, 0.0, 0.0
    supply, borrow = S0, B0
    if first > small:
        w = min(step(min(most, S0), flash, rate, first), most)
        got = got_of(w)
        loan = got / flash
        r = B0 - aim if per_supply == 0.0 else loan / (1.0 + fee)
        gained = per_borrow * (got_of(w) / flash / (1.0 + fee)) - per_supply * w
        supply, borrow = S0 - w, aim if per_supply == 0.0 else B0 - r
        reachable = rate > 0.0 and supply >= 0.0 and gained * SLACK >= first and borrow <= top * supply * SLACK
        if not reachable:
            supply, borrow, w, got, loan, r = S0, B0, 0.0, 0.0, 0.0, 0.0
    flash_taken = supply if close == 1.0 and reachable else 0.0
    operations = 3 * made + (1 if taken > 0.0 else 0)
    out |= {
        "status": status, "final_supply": S, "final_borrow": B, "cash_out": taken, "rounds_made": made,
        "operations_made": operations, "lowest_health_factor": lowest,
        "flash_reachable": float(reachable), "flash_loan": loan, "flash_supply": supply - flash_taken,
        "flash_borrow": borrow, "flash_fees": got - r, "flash_swap_cost": w - got, "flash_cash_out": flash_taken,
        "break_even_gas": break_even(
            status == REACHED and reachable, operations - p["flash_steps"],
            ((got - r) + (w - got)) - (out["fees"] + out["swap_cost"]),
        ),
    }  # fmt: skip
    return out, rows
