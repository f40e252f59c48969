"""What became of lending scenarios."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala import tables
from escala.arrays import to_floats
from escala.files import table as table_file
from escala.lending import summary as lending_summary
from escala.lending.stops import StopReason
from escala.lending.strategy import LendingStrategy
from escala.text.tables import documented

if TYPE_CHECKING:
    import pandas


__all__ = ["RESULT_NAMES", "LendingResult", "StopReason"]

_Amounts = npt.NDArray[np.float64]

_Counts = npt.NDArray[np.int64]


@documented(outputs=tables.LENDING_OUTPUTS)
@dataclass(frozen=True, eq=False)
class LendingResult:
    """What became of each scenario: arrays of the common shape of all inputs, amounts in the unit of account.

    Attributes
    ----------
    supply, borrow, target, wallet : float
        The start, broadcast to the common shape: read-only views of the arguments, not copies.
    strategy : LendingStrategy
        As given.
    operations : dict of str to array, or None
        One row an operation, from :meth:`DeFiSimulator.run`.
    {outputs}
    """

    supply: _Amounts
    borrow: _Amounts
    target: _Amounts
    wallet: _Amounts
    strategy: LendingStrategy
    final_supply: _Amounts
    final_borrow: _Amounts
    final_buffer: _Amounts
    final_wallet: _Amounts
    profit: _Amounts
    fees: _Amounts
    repaid: _Amounts
    drawn: _Amounts
    lowest_profit: _Amounts
    lowest_health_factor: _Amounts
    executed: _Counts
    skipped: _Counts
    stagnant: _Counts
    positive: _Counts
    rescale_attempts: _Counts
    rescale_attempts_max: _Counts
    fallback_attempts: _Counts
    stop: _Counts
    operations: Mapping[str, npt.NDArray[Any]] | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        """Say how many scenarios there are and how they ended."""
        stops = ", ".join(f"{reason.name.lower()} {self.count(reason):,}" for reason in StopReason)
        return f"<LendingResult of {self.size:,} scenario{'' if self.size == 1 else 's'}: {stops}>"

    @property
    def shape(self) -> tuple[int, ...]:
        """Common shape of all inputs."""
        return np.shape(self.stop)

    @property
    def size(self) -> int:
        """Number of scenarios."""
        return int(np.size(self.stop))

    def count(self, reason: StopReason) -> int:
        """Count the scenarios that ended for a reason."""
        return int(np.count_nonzero(self.stop == reason))

    @functools.cached_property
    def start_health_factor(self) -> _Amounts:
        """supply·liquidation_threshold/borrow at the start; inf without debt."""
        return _health_factor(self.supply, self.borrow, self._field("liquidation_threshold"))

    @functools.cached_property
    def health_factor(self) -> _Amounts:
        """supply·liquidation_threshold/borrow at the end; inf without debt."""
        return _health_factor(self.final_supply, self.final_borrow, self._field("liquidation_threshold"))

    @property
    def ltv(self) -> _Amounts:
        """Debt per supply at the end."""
        return self.final_borrow / self.final_supply

    @property
    def leverage(self) -> _Amounts:
        """supply/(supply − borrow) at the end; inf or negative where the debt is no smaller than that."""
        with np.errstate(divide="ignore", over="ignore"):
            return self.final_supply / (self.final_supply - self.final_borrow)

    @property
    def start_net_equity(self) -> _Amounts:
        """supply + wallet − borrow at the start."""
        return self.supply + self.wallet - self.borrow

    @property
    def net_equity(self) -> _Amounts:
        """supply + buffer + wallet − borrow at the end: what is really owned."""
        return self.final_supply + self.final_buffer + self.final_wallet - self.final_borrow

    @property
    def net_equity_change(self) -> _Amounts:
        """Exactly −fees: the only thing that changes equity in this model."""
        return -self.fees

    @property
    def added_debt(self) -> _Amounts:
        """Growth of the debt."""
        return self.final_borrow - self.borrow

    @property
    def free_collateral(self) -> _Amounts:
        """(supply − borrow)·free_collateral_factor at the end."""
        return (self.final_supply - self.final_borrow) * self._field("free_collateral_factor")

    @property
    def withdrawable(self) -> _Amounts:
        """max(0, supply − borrow·min_health_factor/liquidation_threshold) at the end."""
        with np.errstate(over="ignore"):
            needed = self.final_borrow * self._field("min_health_factor") / self._field("liquidation_threshold")
        return np.maximum(0.0, self.final_supply - needed)

    @property
    def positive_share(self) -> _Amounts:
        """Counted share of executed operations with a profit above 0; 0 where none was executed."""
        return self.positive / np.maximum(self.executed, 1)

    @functools.cached_property
    def supply_bound(self) -> _Amounts:
        """Supply that can never be exceeded, by proof (up to rounding).

        Notes
        -----
        max(S₀ + W₀, (S₀ + W₀ − B₀)/(1 − λ)) with λ = min(ltv_ceiling, liquidation_threshold/min_health_factor):
        debt never passes λ·supply by borrowing, and equity never grows.
        """
        limit = np.minimum(
            self._field("ltv_ceiling"), self._field("liquidation_threshold") / self._field("min_health_factor")
        )
        return np.maximum(self.supply + self.wallet, self.start_net_equity / (1.0 - limit))

    @property
    def expected_supply(self) -> _Amounts:
        """Rule of thumb, not a bound: where the normal repayment and the normal limit balance.

        Notes
        -----
        max(S₀ + W₀, (S₀ + W₀ − B₀)/(1 − target_ltv/(1 + repay·(1 + fee_rate)))).
        """
        lasting = self._field("target_ltv") / (1.0 + self._field("repay") * (1.0 + self._field("fee_rate")))
        return np.maximum(self.supply + self.wallet, self.start_net_equity / (1.0 - lasting))

    @property
    def reachable(self) -> npt.NDArray[np.bool_]:
        """Tell where the target is within the proven bound; a run may stall below it all the same."""
        return self.target <= self.supply_bound

    @property
    def stop_reason(self) -> StopReason:
        """The reason of the only scenario.

        Raises
        ------
        ValueError
            If there is more than one; use `stop` then.
        """
        if self.size != 1:
            raise ValueError(f"stop_reason is for one scenario, and there are {self.size}: use stop")
        return StopReason(int(np.reshape(self.stop, ())))

    def to_dict(self) -> dict[str, Any]:
        """Give arguments, outputs and derived numbers by name, and the strategy fields that were given as arrays.

        Returns
        -------
        dict
            Of arrays of the common shape.
        """
        varied = {name: self._field(name) for name, array in self.strategy.arrays().items() if array.ndim}
        return {**{name: getattr(self, name) for name in RESULT_NAMES}, **varied}

    def to_dataframe(self) -> pandas.DataFrame:
        """Give one row a scenario (in C order of the common shape), one column a number.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return table_file.dataframe({name: np.reshape(column, -1) for name, column in self.to_dict().items()})

    def summary(self) -> str:
        """Say in words what happened: one scenario from start to end, or many by counts and quantiles."""
        if self.size == 1:
            numbers = {name: float(np.reshape(value, ())) for name, value in self.to_dict().items()}
            minimum = float(np.reshape(self.strategy.min_health_factor, ()))
            return lending_summary.of_one(numbers, minimum)
        return lending_summary.of_many({name: getattr(self, name) for name in lending_summary.READ})

    def _field(self, name: str) -> _Amounts:
        return np.broadcast_to(to_floats(name, getattr(self.strategy, name)), self.shape)


#: Names that are always in :meth:`LendingResult.to_dict`.
RESULT_NAMES: Final = tables.names((*tables.LENDING_ARGUMENTS, *tables.LENDING_OUTPUTS))


def _health_factor(supply: _Amounts, borrow: _Amounts, liquidation_threshold: _Amounts) -> _Amounts:
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.where(borrow == 0.0, math.inf, supply * liquidation_threshold / borrow)[()]
