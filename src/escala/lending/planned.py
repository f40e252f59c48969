"""What plans up and down have in common: how they stand at the end, what they cost, and the operations to execute."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from escala import tables
from escala.arrays import Floats
from escala.errors import ScenarioError
from escala.lending import plan_summary
from escala.lending.actions import PlanAction, PlanStatus
from escala.lending.named import NamedArrays
from escala.lending.terms import Terms
from escala.tables import Quantity

#: One row an operation: names to arrays.
Operations = Mapping[str, npt.NDArray[Any]]
_Step = tuple[PlanAction, float, float, float, float, float]


class Planned(NamedArrays, ABC):
    """A plan, or any number of them."""

    NOUN = "plan"
    VALUES: ClassVar[tuple[Quantity, ...]] = ()
    COUNTS: ClassVar[tuple[Quantity, ...]] = ()

    terms: Terms
    status: npt.NDArray[np.int64]
    final_supply: Floats
    final_borrow: Floats
    fees: Floats
    swap_cost: Floats
    rounds_made: npt.NDArray[np.int64]
    operations_made: npt.NDArray[np.int64]
    flash_reachable: npt.NDArray[np.int64]
    flash_loan: Floats
    flash_fees: Floats
    flash_swap_cost: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        """Common shape of all arguments."""
        return self.terms.shape

    @property
    def supply(self) -> Floats:
        """Collateral before the plan."""
        return self.terms.number("supply")[()]

    @property
    def borrow(self) -> Floats:
        """Debt before the plan."""
        return self.terms.number("borrow")[()]

    @property
    def health_factor(self) -> Floats:
        """final_supply·liquidation_threshold/final_borrow; inf without debt."""
        return health_factor(self.final_supply, self.final_borrow, self.terms.number("liquidation_threshold"))

    @property
    def ltv(self) -> Floats:
        """final_borrow/final_supply; 0 without debt."""
        return loan_to_value(self.final_supply, self.final_borrow)

    @property
    def leverage(self) -> Floats:
        """final_supply/(final_supply − final_borrow); 1 for no position."""
        return leverage(self.final_supply, self.final_borrow)

    @property
    def gas_cost(self) -> Floats:
        """operations_made·gas."""
        return (self.operations_made * self.terms.number("gas"))[()]

    @property
    def cost(self) -> Floats:
        """fees + swap_cost + gas_cost: what the plan takes from the equity."""
        return self.fees + self.swap_cost + self.gas_cost

    @property
    def flash_cost(self) -> Floats:
        """flash_fees + flash_swap_cost + flash_steps·gas, without gas where nothing is done."""
        gas = self.terms.number("flash_steps") * self.terms.number("gas")
        return self.flash_fees + self.flash_swap_cost + np.where(self.flash_loan > 0.0, gas, 0.0)[()]

    @property
    def reached(self) -> npt.NDArray[np.bool_]:
        """Tell where the plan ends at its target."""
        return np.less_equal(self.status, PlanStatus.MET)

    @property
    def plan_status(self) -> PlanStatus:
        """How the only plan ends.

        Raises
        ------
        ValueError
            If there is more than one; use `status` then.
        """
        if self.size != 1:
            raise ValueError(f"plan_status is for one plan, and there are {self.size}: use status")
        return PlanStatus(int(np.reshape(self.status, ())))

    @property
    def operations(self) -> Operations:
        """The operations of the only plan.

        Raises
        ------
        ValueError
            If there is more than one; use :meth:`operations_of` then.
        """
        if self.size != 1:
            raise ValueError(f"operations is for one plan, and there are {self.size}: use operations_of")
        return self.operations_of((0,) * len(self.shape))

    @property
    def flash_operations(self) -> Operations:
        """The operations of the only plan in one transaction with a flash loan.

        Raises
        ------
        ValueError
            If there is more than one; use :meth:`flash_operations_of` then.
        """
        if self.size != 1:
            raise ValueError(f"flash_operations is for one plan, and there are {self.size}: use flash_operations_of")
        return self.flash_operations_of((0,) * len(self.shape))

    def operations_of(self, index: int | tuple[int, ...]) -> Operations:
        """Give the operations of one plan, to be executed one after the other.

        Parameters
        ----------
        index : int or tuple of int
            Which of them.

        Returns
        -------
        dict of str to array
            One row an operation: ``operation`` (from 1), ``action`` (codes of :class:`escala.PlanAction`), ``amount``
            (of a purchase or a sale what comes out of it), ``fee`` (what it costs without gas), and the state after it:
            ``supply, borrow, cash, health_factor, ltv``.

        Raises
        ------
        ScenarioError
            If there is no such plan.
        """
        place = self._place(index)
        count = int(np.asarray(self.operations_made)[place])
        table = self._traced(place, count)
        columns = {name: table[row] for row, name in enumerate(tables.names(tables.PLAN_TRACE))}
        columns["action"] = columns["action"].astype(np.int64)
        return {"operation": np.arange(1, count + 1), **columns}

    def flash_operations_of(self, index: int | tuple[int, ...]) -> Operations:
        """Give the operations of one plan in one transaction with a flash loan; arguments as in `operations_of`.

        The protocol looks at health factor and LTV where debt is drawn or collateral taken out: there they are within
        the limits. Where no flash loan reaches the target there are the operations that come nearest, if any.
        """
        place = self._place(index)
        threshold = float(self.terms.number("liquidation_threshold")[place])
        return _table(self._flash_steps(place), threshold)

    @abstractmethod
    def _flash_steps(self, place: tuple[int, ...]) -> list[_Step]:
        """Give the steps of one plan by flash loan."""

    @abstractmethod
    def _traced(self, place: tuple[int, ...], count: int) -> Floats:
        """Walk one plan again, and give its operations as the kernel writes them."""

    def _place(self, index: int | tuple[int, ...]) -> tuple[int, ...]:
        place = index if isinstance(index, tuple) else (index,)
        shape = self.shape
        good = len(place) == len(shape) and all(
            isinstance(k, int | np.integer) and 0 <= k < length for k, length in zip(place, shape, strict=True)
        )
        if not good:
            raise ScenarioError(f"index must be a place in the shape {shape}, not {index!r}", arguments=("index",))
        return tuple(int(k) for k in place)

    def _at(self, name: str, place: tuple[int, ...]) -> float:
        return float(np.broadcast_to(getattr(self, name), self.shape)[place])

    def __repr__(self) -> str:
        """Say how many plans there are and how they end."""
        ends = [(status, int(np.count_nonzero(self.status == status))) for status in PlanStatus]
        shown = ", ".join(f"{status.name.lower()} {count:,}" for status, count in ends if count)
        return f"<{type(self).__name__} of {self.size:,} plan{'' if self.size == 1 else 's'}: {shown or 'none'}>"

    def summary(self) -> str:
        """Say in words what is planned: one plan from start to end, with its operations, or many by counts."""
        if self.size == 1:
            place = (0,) * len(self.shape)
            numbers = {name: self._at(name, place) for name in self.NAMES}
            given = {name: float(self.terms.number(name)[place]) for name in tables.names(_GIVEN)}
            target = float(np.broadcast_to(self.terms.target, self.shape)[place])
            said = plan_summary.of_one(numbers, given, self.terms.kind, target)
            return f"{said}\n{plan_summary.of_operations(self.operations)}"
        return plan_summary.of_many({name: np.asarray(value) for name, value in self.to_dict().items()})


_GIVEN = (*tables.PLAN_LIMITS, *tables.PLAN_COSTS)


def _table(steps: list[_Step], threshold: float) -> Operations:
    """Write steps with the state after each as columns."""
    action, amount, fee, supply, borrow, cash = (
        [np.array(column, dtype=np.float64) for column in zip(*steps, strict=True)] if steps else [np.empty(0)] * 6
    )
    return {
        "operation": np.arange(1, len(steps) + 1),
        "action": action.astype(np.int64),
        "amount": amount,
        "fee": fee,
        "supply": supply,
        "borrow": borrow,
        "cash": cash,
        "health_factor": health_factor(supply, borrow, np.array(threshold)),
        "ltv": loan_to_value(supply, borrow),
    }


def health_factor(supply: Floats, borrow: Floats, threshold: Floats) -> Floats:
    """supply·threshold/borrow, inf without debt."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.where(np.equal(borrow, 0.0), math.inf, supply * threshold / borrow)[()]


def loan_to_value(supply: Floats, borrow: Floats) -> Floats:
    """borrow/supply, 0 without debt."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.equal(borrow, 0.0), 0.0, borrow / supply)[()]


def leverage(supply: Floats, borrow: Floats) -> Floats:
    """supply/(supply − borrow), 1 where there is nothing."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(np.equal(supply, 0.0), 1.0, supply / (supply - borrow))[()]
