"""Build leverage: the operations that lead positions exactly to a target, their cost, and a flash loan beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from escala import tables
from escala.arrays import FloatLike, Floats
from escala.curves.curveset import CurveSet
from escala.errors import ScenarioError
from escala.lending.actions import PlanAction
from escala.lending.planned import Planned
from escala.lending.terms import Terms, checked_terms, run, traced
from escala.text.tables import documented

__all__ = ["LeveragePlan", "plan_leverage"]

_Counts = npt.NDArray[np.int64]


@documented(outputs=tables.LEVERAGE_OUTPUTS)
@dataclass(frozen=True, eq=False, repr=False)
class LeveragePlan(Planned):
    """Plans that build leverage: arrays of the common shape of all arguments, amounts in the unit of account.

    `operations` is the table of operations of a single plan, :meth:`operations_of` that of one of many;
    `flash_operations` and :meth:`flash_operations_of` are the same way in one transaction.

    Attributes
    ----------
    terms : Terms
        As given.
    equity, supply, borrow : float
        The position before the plan, broadcast to the common shape.
    {outputs}
    """

    VALUES = tables.LEVERAGE_VALUES
    COUNTS = tables.LEVERAGE_COUNTS
    NAMES = tables.names((*tables.PLAN_POSITION, *tables.LEVERAGE_OUTPUTS))

    terms: Terms
    status: _Counts
    final_supply: Floats
    final_borrow: Floats
    lowest_health_factor: Floats
    rounds_made: _Counts
    operations_made: _Counts
    fees: Floats
    swap_cost: Floats
    drawn: Floats
    bought: Floats
    supply_bound: Floats
    flash_reachable: _Counts
    flash_loan: Floats
    flash_supply: Floats
    flash_borrow: Floats
    flash_fees: Floats
    flash_swap_cost: Floats
    break_even_gas: Floats
    flash_supply_bound: Floats

    @property
    def equity(self) -> Floats:
        """New collateral that is deposited first."""
        return self.terms.number("equity")[()]

    @property
    def flash_boost(self) -> Floats:
        """flash_supply_bound per unit of the equity at the start."""
        with np.errstate(divide="ignore"):
            return self.flash_supply_bound / (self.equity + self.supply - self.borrow)

    def _traced(self, place: tuple[int, ...], count: int) -> Floats:
        from escala.kernels.lending.plan_leverage import leverage

        return traced(leverage, self.terms, place, len(self.VALUES), len(self.COUNTS), count)

    def _flash_steps(self, place: tuple[int, ...]) -> list[Any]:
        equity, loan = self._at("equity", place), self._at("flash_loan", place)
        borrow, debt = self._at("borrow", place), self._at("flash_borrow", place)
        supply, end = self._at("supply", place) + equity, self._at("flash_supply", place)
        steps: list[Any] = [(PlanAction.DEPOSIT, equity, 0.0, supply, borrow, 0.0)] if equity else []
        if loan == 0.0:
            return steps
        got, drawn = end - supply, debt - borrow
        fee = drawn * float(self.terms.number("fee_rate")[place])
        owed = loan * (1.0 + float(self.terms.number("flash_fee")[place]))
        return [
            *steps,
            (PlanAction.FLASH_LOAN, loan, 0.0, supply, borrow, loan),
            (PlanAction.BUY, got, loan - got, supply, borrow, got),
            (PlanAction.DEPOSIT, got, 0.0, end, borrow, 0.0),
            (PlanAction.BORROW, drawn, fee, end, debt, drawn - fee),
            (PlanAction.REPAY_FLASH_LOAN, owed, owed - loan, end, debt, 0.0),
        ]


def plan_leverage(
    equity: FloatLike,
    *,
    leverage: FloatLike | None = None,
    ltv: FloatLike | None = None,
    to_supply: FloatLike | None = None,
    max_ltv: FloatLike,
    liquidation_threshold: FloatLike,
    min_health_factor: FloatLike,
    rounds: FloatLike | None = None,
    supply: FloatLike = 0.0,
    borrow: FloatLike = 0.0,
    fee_rate: FloatLike = 0.0,
    swap_fee: FloatLike = 0.0,
    gas: FloatLike = 0.0,
    depth: FloatLike | CurveSet | None = None,
    flash_fee: FloatLike = 0.0,
    flash_steps: FloatLike = 3.0,
    threads: int | None = None,
) -> LeveragePlan:
    """Plan the deposits, borrowings and purchases that lead positions exactly to a target.

    Parameters
    ----------
    equity : array_like
        New collateral that is deposited first, unit of account, 0 or in [1e-100, 1e100].
    leverage, ltv, to_supply : array_like, optional
        The target, at most one of them: supply/(supply − debt) from 1, debt/supply below 1, or the supply. Without one
        the plan makes all `rounds` up to the limit.
    max_ltv, liquidation_threshold : array_like
        Most debt/supply that a borrowing may leave, and the share of the supply that counts against the debt.
    min_health_factor : array_like
        Least health factor that any step may leave, at least 1.
    rounds : array_like of int, optional
        Most rounds of borrow, buy and deposit; 100 where there is a target.
    supply, borrow : array_like
        Collateral and debt that are there before.
    fee_rate, swap_fee : array_like
        Cost of what is borrowed, and fee of the exchange, as shares of it.
    gas : array_like
        Cost of one operation, unit of account. It is paid beside the position: amounts do not depend on it.
    depth : array_like or CurveSet, optional
        What a trade loses to the market: a share in [0, 1), or curves of the efficiency of a trade by its size, one for
        all plans or one for each along the last axis. No trade is larger than a curve is trusted to, nor than what
        brings most after `swap_fee`.
    flash_fee, flash_steps : array_like
        Fee of a flash loan as a share of it, and how many operations its one transaction costs as much gas as.
    threads : int, optional
        Threads to use; results do not depend on it.

    Returns
    -------
    LeveragePlan
        Arrays of the common shape.

    Raises
    ------
    ScenarioError
        If an argument is not real numbers, out of range, contradicts another or does not broadcast; nothing was
        planned.

    Notes
    -----
    Each round borrows x up to λ·supply − debt, λ = min(max_ltv, liquidation_threshold/min_health_factor), buys for
    v = x·(1 − fee_rate) what is worth v·η(v) − v·swap_fee, η being what `depth` keeps, and deposits it. The last x is
    cut so that the target is met: with a constant η, κ = (1 − fee_rate)·(η − swap_fee) and ℓ the leverage,
    x = ((ℓ − 1)·supply − ℓ·debt)/(ℓ − (ℓ − 1)·κ).

    Rounds as large as the limits allow are the fewest that lead there, proven where η is constant; where it falls with
    size each round is as large as it can be, and smaller ones might need one more or one fewer. Whatever the rounds,
    the supply stays below `supply_bound` = S + κ·(λ·S − B)/(1 − λ·κ), S and B after the first deposit; a target at or
    beyond what that means is unreachable by rounds, and by a flash loan it is reached at equality.
    Limits and debt are in one unit of account; no interest or price is modelled.

    Examples
    --------
    >>> plan = plan_leverage(1000, leverage=2.5, max_ltv=0.8, liquidation_threshold=0.85, min_health_factor=1.01)
    >>> float(plan.final_supply), float(plan.final_borrow), plan.plan_status.name
    (2500.0, 1500.0, 'REACHED')
    >>> [round(float(x), 2) for x in plan.operations["amount"]]
    [1000.0, 800.0, 800.0, 800.0, 640.0, 640.0, 640.0, 60.0, 60.0, 60.0]
    >>> plan_leverage(1000, leverage=8, max_ltv=0.875, liquidation_threshold=0.9, min_health_factor=1).plan_status.name
    'UNREACHABLE'
    """
    from escala.kernels.lending.plan_leverage import leverage as kernel

    targets = {"leverage": leverage, "ltv": ltv, "to_supply": to_supply}
    if rounds is None and all(value is None for value in targets.values()):
        raise ScenarioError("give a target (leverage, ltv or to_supply), or rounds", arguments=tuple(targets))
    given: dict[str, FloatLike] = {
        "equity": equity, "supply": supply, "borrow": borrow, "max_ltv": max_ltv,
        "liquidation_threshold": liquidation_threshold, "min_health_factor": min_health_factor,
        "rounds": _USUAL_ROUNDS if rounds is None else rounds, "fee_rate": fee_rate, "swap_fee": swap_fee, "gas": gas,
        "flash_fee": flash_fee, "flash_steps": flash_steps,
    }  # fmt: skip
    terms = checked_terms(targets, given, depth, "rounds")
    values, counts = run(kernel, terms, len(LeveragePlan.VALUES), len(LeveragePlan.COUNTS), threads)
    names = tables.names((*LeveragePlan.VALUES, *LeveragePlan.COUNTS))
    outputs: dict[str, Any] = {
        name: row.reshape(terms.shape)[()] for name, row in zip(names, (*values, *counts), strict=True)
    }
    return LeveragePlan(terms=terms, **outputs)


#: Rounds that are tried where nobody says.
_USUAL_ROUNDS = next(row.default for row in tables.PLAN_LIMITS if row.name == "rounds") or 0.0
