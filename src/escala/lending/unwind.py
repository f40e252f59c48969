"""Take leverage off: withdraw, sell and repay down to a target, what that costs, and a flash loan beside it."""

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

__all__ = ["UnwindPlan", "plan_unwind"]

_Counts = npt.NDArray[np.int64]


@documented(outputs=tables.UNWIND_OUTPUTS)
@dataclass(frozen=True, eq=False, repr=False)
class UnwindPlan(Planned):
    """Plans that take leverage off: arrays of the common shape of all arguments, amounts in the unit of account.

    `operations` is the table of operations of a single plan, :meth:`operations_of` that of one of many;
    `flash_operations` and :meth:`flash_operations_of` are the same way in one transaction.

    Attributes
    ----------
    terms : Terms
        As given.
    supply, borrow : float
        The position before the plan, broadcast to the common shape.
    {outputs}
    """

    VALUES = tables.UNWIND_VALUES
    COUNTS = tables.UNWIND_COUNTS
    NAMES = ("supply", "borrow", *tables.names(tables.UNWIND_OUTPUTS))

    terms: Terms
    status: _Counts
    final_supply: Floats
    final_borrow: Floats
    cash_out: Floats
    lowest_health_factor: Floats
    rounds_made: _Counts
    operations_made: _Counts
    fees: Floats
    swap_cost: Floats
    sold: Floats
    repaid: Floats
    first_step: Floats
    shortfall: Floats
    flash_reachable: _Counts
    flash_loan: Floats
    flash_supply: Floats
    flash_borrow: Floats
    flash_fees: Floats
    flash_swap_cost: Floats
    break_even_gas: Floats
    flash_cash_out: Floats

    def _traced(self, place: tuple[int, ...], count: int) -> Floats:
        from escala.kernels.lending.plan_unwind import unwind

        return traced(unwind, self.terms, place, len(self.VALUES), len(self.COUNTS), count)

    def _flash_steps(self, place: tuple[int, ...]) -> list[Any]:
        loan, taken = self._at("flash_loan", place), self._at("flash_cash_out", place)
        supply, borrow = self._at("supply", place), self._at("borrow", place)
        end, debt = self._at("flash_supply", place), self._at("flash_borrow", place)
        left, steps = end + taken, []
        if loan > 0.0:
            sold, repaid = supply - left, borrow - debt
            got = sold - self._at("flash_swap_cost", place)
            fee = repaid * float(self.terms.number("fee_rate")[place])
            flash_fee = loan * float(self.terms.number("flash_fee")[place])
            steps = [
                (PlanAction.FLASH_LOAN, loan, 0.0, supply, borrow, loan),
                (PlanAction.REPAY, repaid, fee, supply, debt, 0.0),
                (PlanAction.WITHDRAW, sold, 0.0, left, debt, sold),
                (PlanAction.SELL, got, sold - got, left, debt, got),
                (PlanAction.REPAY_FLASH_LOAN, loan + flash_fee, flash_fee, left, debt, 0.0),
            ]
        return [*steps, (PlanAction.WITHDRAW, taken, 0.0, end, debt, taken)] if taken > 0.0 else steps


def plan_unwind(
    supply: FloatLike,
    borrow: FloatLike,
    *,
    to_ltv: FloatLike | None = None,
    to_leverage: FloatLike | None = None,
    repay: FloatLike | None = None,
    close: bool = False,
    max_ltv: FloatLike | None = None,
    liquidation_threshold: FloatLike,
    min_health_factor: FloatLike,
    rounds: FloatLike = 100,
    fee_rate: FloatLike = 0.0,
    swap_fee: FloatLike = 0.0,
    gas: FloatLike = 0.0,
    depth: FloatLike | CurveSet | None = None,
    flash_fee: FloatLike = 0.0,
    flash_steps: FloatLike = 3.0,
    threads: int | None = None,
) -> UnwindPlan:
    """Plan the withdrawals, sales and repayments that lead positions down to a target.

    Parameters
    ----------
    supply, borrow : array_like
        Collateral and debt, unit of account.
    to_ltv, to_leverage, repay : array_like, optional
        The target: debt/supply, supply/(supply − debt), or how much debt is repaid. Exactly one of them, or `close`.
    close : bool
        Repay all debt, then take out what collateral is left; that is not sold.
    max_ltv : array_like, optional
        Most debt/supply that a withdrawal may leave, for protocols that ask for it; by default only the health factor
        counts.
    liquidation_threshold, min_health_factor : array_like
        Share of the supply that counts against the debt, and the least health factor that any step may leave.
    rounds : array_like of int
        Most rounds of withdraw, sell and repay.
    fee_rate : array_like
        Cost of what is repaid, as a share of it.
    swap_fee, gas, depth, flash_fee, flash_steps, threads
        As in :func:`plan_leverage`.

    Returns
    -------
    UnwindPlan
        Arrays of the common shape.

    Raises
    ------
    ScenarioError
        If an argument is not real numbers, out of range, contradicts another or does not broadcast; nothing was
        planned.

    Notes
    -----
    Each round withdraws w up to supply − debt/λ, λ = min(max_ltv, liquidation_threshold/min_health_factor), sells it
    for w·η(w) − w·swap_fee, and repays with that, fee included. The last w is cut so that the target is met. As long as
    κ = (η − swap_fee)/(1 + fee_rate) exceeds λ each round makes room for a larger one; otherwise they shrink, and
    what they reach together is bounded. `first_step` is what the first can be: at a health factor of 1.04 and a least
    one of 1.01 it is 1 − 1.01/1.04 of the supply. `shortfall` is debt that selling everything would not cover.

    Examples
    --------
    >>> plan = plan_unwind(2500, 1500, close=True, liquidation_threshold=0.85, min_health_factor=1.05)
    >>> plan.plan_status.name, float(plan.cash_out), int(plan.operations_made)
    ('REACHED', 1000.0, 10)
    >>> tight = plan_unwind(1000, 800, to_ltv=0.6, liquidation_threshold=0.832, min_health_factor=1.01)
    >>> round(float(tight.first_step), 3), tight.plan_status.name
    (28.846, 'REACHED')
    """
    from escala.kernels.lending.plan_unwind import unwind as kernel

    targets = {"to_ltv": to_ltv, "to_leverage": to_leverage, "repay": repay}
    if not isinstance(close, bool | np.bool_):
        raise ScenarioError(f"close must be True or False, not {close!r}", arguments=("close",))
    if close == any(value is not None for value in targets.values()):
        raise ScenarioError(
            "give one target: to_ltv, to_leverage, repay or close=True", arguments=(*targets, "close")
        )  # fmt: skip
    given: dict[str, FloatLike] = {
        "supply": supply, "borrow": borrow, "liquidation_threshold": liquidation_threshold,
        **({} if max_ltv is None else {"max_ltv": max_ltv}),
        "min_health_factor": min_health_factor, "rounds": rounds, "fee_rate": fee_rate, "swap_fee": swap_fee,
        "gas": gas, "flash_fee": flash_fee, "flash_steps": flash_steps,
    }  # fmt: skip
    terms = checked_terms(targets, given, depth, "close")
    values, counts = run(kernel, terms, len(UnwindPlan.VALUES), len(UnwindPlan.COUNTS), threads)
    names = tables.names((*UnwindPlan.VALUES, *UnwindPlan.COUNTS))
    outputs: dict[str, Any] = {
        name: row.reshape(terms.shape)[()] for name, row in zip(names, (*values, *counts), strict=True)
    }
    return UnwindPlan(terms=terms, **outputs)
