"""Slow, readable oracles: every kernel is compared with its twin here, to the bit.

Plain Python floats throughout. Nothing here is optimised; the text follows the definitions line by line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from escala.tables import LENDING_STRATEGY

LENDING_DEFAULTS: dict[str, float] = {row.name: row.default for row in LENDING_STRATEGY if row.default is not None}


@dataclass
class NaivePlan:
    """Step 4: the plan that stands, or the last one that failed."""

    stands: bool
    attempts: int
    softened: int
    need: float = 0.0
    drawn: float = 0.0
    reinvested: float = 0.0
    repaid: float = 0.0
    fee: float = 0.0
    share: float = 0.0  # f·q of the plan that stands is applied as two products: keep both
    q: float = 1.0


@dataclass
class NaiveRun:
    """State, sums and counters of one scenario, and one row an operation."""

    final_supply: float
    final_borrow: float
    final_wallet: float
    final_buffer: float = 0.0
    profit: float = 0.0
    fees: float = 0.0
    repaid: float = 0.0
    drawn: float = 0.0
    executed: int = 0
    skipped: int = 0
    stagnant: int = 0
    positive: int = 0
    rescale_attempts: int = 0
    rescale_attempts_max: int = 0
    fallback_attempts: int = 0
    lowest_profit: float = math.inf
    lowest_health_factor: float = math.inf
    stop: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)


def naive_plan(S: float, B: float, f: float, m: float, rho: float, p: dict[str, float]) -> NaivePlan:
    """Walk the rescaling ladder one attempt at a time."""
    q = 1.0
    softened = 0
    for attempt in range(1, int(p["max_rescale_attempts"]) + 1):
        R = B * rho
        F = R * p["fee_rate"]
        cap = min(S * m - B, S * p["liquidation_threshold"] / p["min_health_factor"] - B)
        gross = cap - R - F
        v = gross * f * q if gross > 0 else 0.0
        need = p["min_profit"] + v + R + F
        if need <= cap:
            N = max(need, p["draw_fraction"] * cap)
            g = N - R - F
            V = g * f * q if g > 0 else 0.0
            if N - V - R - F > p["min_profit"]:
                return NaivePlan(True, attempt, softened, need, N, V, R, F, f, q)
        if v > 0:
            q = 0.0 if v < p["reinvest_snap"] else q * p["reinvest_decay"]
            softened |= 1
        elif m > p["ltv_floor"]:
            m = max(p["ltv_floor"], m - p["ltv_step"])
            softened |= 2
        elif rho > p["repay_floor"]:
            rho = max(p["repay_floor"], rho - p["repay_step"])
            softened |= 4
        else:
            m = min(p["ltv_ceiling"], max(m, (B + need) / S + p["ltv_nudge"]))
            softened |= 8
    return NaivePlan(False, int(p["max_rescale_attempts"]), softened)


def naive_simulate(supply: float, borrow: float, target: float, wallet: float, **strategy: float) -> NaiveRun:
    """One scenario of the lending loop, operation by operation."""
    p = {**LENDING_DEFAULTS, **strategy}
    S, B, W, E = float(supply), float(borrow), float(wallet), 0.0
    k = 0
    previous = S
    run = NaiveRun(S, B, W)
    while True:
        if S >= target:
            run.stop = "target_reached"
            break
        if k >= p["max_stagnant_operations"]:
            run.stop = "stalled"
            break
        if run.executed + run.skipped >= p["max_operations"]:
            run.stop = "max_operations"
            break
        if E > 0:
            u = min(E, target - S)
            S += u
            E -= u
        if S < target and W > 0:
            u = min(min(p["wallet_fraction"] * S, target - S), W)
            S += u
            W -= u
        stalling, stalled = k > p["stalling_after"], k > p["stalled_after"]
        rho = p["repay_stalled"] if stalled else p["repay_stalling"] if stalling else p["repay"]
        m = p["target_ltv_stalled"] if stalled else p["target_ltv"]
        gap = target - S
        if stalled:
            f = p["reinvest_stalled"]
        elif stalling:
            f = p["reinvest_stalling"]
        elif gap > S * p["far_gap"]:
            f = p["reinvest_far"]
        elif gap > S * p["near_gap"]:
            f = p["reinvest_mid"]
        else:
            f = p["reinvest_near"]
        plan = naive_plan(S, B, f, m, rho, p)
        run.rescale_attempts += plan.attempts
        run.rescale_attempts_max = max(run.rescale_attempts_max, plan.attempts)
        N, V, R, F = plan.drawn, plan.reinvested, plan.repaid, plan.fee
        profit, health, done = 0.0, math.inf, False
        if plan.stands:
            for j in range(int(p["max_fallback_attempts"]) + 1):
                if j > 0:
                    run.fallback_attempts += 1
                    N = plan.need + (plan.drawn - plan.need) * (1.0 - j / p["max_fallback_attempts"])
                    g = N - R - F
                    V = g * f * plan.q if g > 0 else 0.0
                profit = N - V - R - F
                debt = B - R + N
                health = (S + V) * p["liquidation_threshold"] / debt if debt != 0 else math.inf
                if profit > p["min_profit"] and health > p["min_health_factor"]:
                    done = True
                    break
        if done:
            B = debt
            S += V
            E += profit
            run.executed += 1
            run.positive += profit > 0
            run.profit += profit
            run.fees += F
            run.repaid += R
            run.drawn += N
            run.lowest_profit = min(run.lowest_profit, profit)
            run.lowest_health_factor = min(run.lowest_health_factor, health)
        else:
            run.skipped += 1
        if S - previous < p["stagnation_tolerance"]:
            k += 1
            run.stagnant += 1
        else:
            k = 0
        previous = S
        run.rows.append(
            {
                "operation": run.executed + run.skipped,
                "supply": S,
                "borrow": B,
                "buffer": E,
                "wallet": W,
                "drawn": N if done else 0.0,
                "repaid": R if done else 0.0,
                "fee": F if done else 0.0,
                "reinvested": V if done else 0.0,
                "profit": profit if done else 0.0,
                "health_factor": S * p["liquidation_threshold"] / B if B != 0 else math.inf,
                "attempts": plan.attempts,
                "softened": plan.softened,
                "executed": int(done),
                "streak": k,
            }
        )
    run.final_supply, run.final_borrow, run.final_wallet, run.final_buffer = S, B, W, E
    return run
