"""A protocol: what counts as collateral, and the rule by which liquidators may act."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from escala import tables
from escala.arrays import FloatLike, Floats, check_order, to_floats
from escala.errors import MarketError
from escala.market.depth import Depth, checked_depth
from escala.market.fields import check_fields, code_of, floats
from escala.tables import Table
from escala.text.tables import documented

_MOST_INCENTIVE = 1.15  # Morpho: what a liquidator gets for 1 that he repays
_INCENTIVE_CURSOR = 0.3


@documented(assets=tables.PROTOCOL_ASSET, fields=tables.PROTOCOL_FIELDS)
@dataclass(frozen=True, eq=False, kw_only=True)
class Protocol:
    """What a protocol allows; made by the class method of its rule. Fields of assets have a last axis of assets.

    Parameters
    ----------
    rule : str
        ``aave_v3`` (3.0 to 3.2), ``aave_v33``, ``aave_v4``, ``comet`` or ``morpho``.
    {assets}
    {fields}
    liquidator_depth : Depth, optional
        What a liquidator's sale keeps; by default everything.

    Raises
    ------
    MarketError
        If a value is out of range, or loan_to_value exceeds liquidation_threshold.

    Warns
    -----
    UserWarning
        Where (1 + bonus)·liquidation_threshold is at least 1: a liquidation lowers the health factor.

    Notes
    -----
    With `overshoot` at exactly 0.05 liquidations on the way down act at a health factor of 0.95 up to rounding, where
    Aave's rule changes from half of the debt to all of it: the last digit decides which it is. Say 0.0499 for half.

    Of several collaterals the one worth most at the protocol's prices is seized, the first of equals; ``comet`` takes
    all of them.
    """

    rule: str
    liquidation_threshold: FloatLike
    loan_to_value: FloatLike
    bonus: FloatLike = 0.0
    liquidation_factor: FloatLike = 1.0
    target_health: FloatLike = 1.05
    health_for_max_bonus: FloatLike = 0.9
    bonus_factor: FloatLike = 0.0
    dust: FloatLike = 0.0
    overshoot: FloatLike = 0.0
    liquidator_gas: FloatLike = 0.0
    liquidator_depth: Depth | None = None
    asset_rows: ClassVar[Table] = tables.PROTOCOL_ASSET
    rows: ClassVar[Table] = tables.PROTOCOL_FIELDS

    def __post_init__(self) -> None:
        """Check the fields, alone and against each other."""
        code_of("rule", self.rule, tables.RULES)
        check_fields(self, (*self.asset_rows, *self.rows))
        object.__setattr__(self, "liquidator_depth", checked_depth("liquidator_depth", self.liquidator_depth))
        ltv, threshold = (to_floats(name, getattr(self, name)) for name in ("loan_to_value", "liquidation_threshold"))
        check_order("loan_to_value", ltv, "liquidation_threshold", threshold, MarketError)
        if self.rule != "comet" and np.any((1.0 + to_floats("bonus", self.bonus)) * threshold >= 1.0):
            message = "(1 + bonus)·liquidation_threshold is at least 1: liquidation cannot heal such a position"
            warnings.warn(message, UserWarning, stacklevel=3)

    @classmethod
    def aave_v3(
        cls,
        liquidation_threshold: FloatLike,
        loan_to_value: FloatLike,
        bonus: FloatLike,
        *,
        overshoot: FloatLike = 0.0,
        liquidator_gas: FloatLike = 0.0,
        liquidator_depth: Depth | None = None,
    ) -> Protocol:
        """Make Aave 3.0 to 3.2: half of the debt may be repaid, all of it below a health factor of 0.95."""
        return cls(
            rule="aave_v3", liquidation_threshold=liquidation_threshold, loan_to_value=loan_to_value, bonus=bonus,
            overshoot=overshoot, liquidator_gas=liquidator_gas, liquidator_depth=liquidator_depth,
        )  # fmt: skip

    @classmethod
    def aave_v33(
        cls,
        liquidation_threshold: FloatLike,
        loan_to_value: FloatLike,
        bonus: FloatLike,
        *,
        dust: FloatLike,
        overshoot: FloatLike = 0.0,
        liquidator_gas: FloatLike = 0.0,
        liquidator_depth: Depth | None = None,
    ) -> Protocol:
        """Make Aave 3.3: as before, but less than `dust` is not left; 1000 is right for a debt in dollars only."""
        return cls(
            rule="aave_v33", liquidation_threshold=liquidation_threshold, loan_to_value=loan_to_value, bonus=bonus,
            dust=dust, overshoot=overshoot, liquidator_gas=liquidator_gas, liquidator_depth=liquidator_depth,
        )  # fmt: skip

    @classmethod
    def aave_v4(
        cls,
        liquidation_threshold: FloatLike,
        loan_to_value: FloatLike,
        bonus: FloatLike,
        *,
        dust: FloatLike,
        target_health: FloatLike = 1.05,
        health_for_max_bonus: FloatLike = 0.9,
        bonus_factor: FloatLike = 0.0,
        overshoot: FloatLike = 0.0,
        liquidator_gas: FloatLike = 0.0,
        liquidator_depth: Depth | None = None,
    ) -> Protocol:
        """Make Aave 4: repaid is what restores `target_health`, for a bonus that grows as health falls."""
        return cls(
            rule="aave_v4", liquidation_threshold=liquidation_threshold, loan_to_value=loan_to_value, bonus=bonus,
            dust=dust, target_health=target_health, health_for_max_bonus=health_for_max_bonus,
            bonus_factor=bonus_factor, overshoot=overshoot, liquidator_gas=liquidator_gas,
            liquidator_depth=liquidator_depth,
        )  # fmt: skip

    @classmethod
    def comet(
        cls,
        liquidation_threshold: FloatLike,
        loan_to_value: FloatLike,
        liquidation_factor: FloatLike,
        *,
        overshoot: FloatLike = 0.0,
    ) -> Protocol:
        """Make Compound III: the protocol absorbs the position and credits `liquidation_factor` of the collateral."""
        return cls(
            rule="comet", liquidation_threshold=liquidation_threshold, loan_to_value=loan_to_value,
            liquidation_factor=liquidation_factor, overshoot=overshoot,
        )  # fmt: skip

    @classmethod
    def morpho(
        cls,
        liquidation_threshold: FloatLike,
        loan_to_value: FloatLike | None = None,
        *,
        overshoot: FloatLike = 0.0,
        liquidator_gas: FloatLike = 0.0,
        liquidator_depth: Depth | None = None,
    ) -> Protocol:
        """Make Morpho Blue: one asset; all of the debt may be repaid, for a bonus that follows from the threshold.

        The bonus is min(1.15, 1/(1 − 0.3·(1 − liquidation_threshold))) − 1; `loan_to_value` is the threshold unless
        given.
        """
        return cls(
            rule="morpho", liquidation_threshold=liquidation_threshold,
            loan_to_value=liquidation_threshold if loan_to_value is None else loan_to_value,
            bonus=morpho_bonus(liquidation_threshold),
            overshoot=overshoot, liquidator_gas=liquidator_gas, liquidator_depth=liquidator_depth,
        )  # fmt: skip

    def numbers(self) -> dict[str, Floats]:
        """Give the fields of a position by name, without those of assets."""
        return floats(self, self.rows)

    def asset_numbers(self) -> dict[str, Floats]:
        """Give the fields of assets by name."""
        return floats(self, self.asset_rows)


def morpho_bonus(liquidation_threshold: FloatLike) -> Floats:
    """Give the bonus of Morpho Blue, which follows from the threshold.

    Raises
    ------
    MarketError
        If the threshold is made of no numbers.
    """
    lltv = to_floats("liquidation_threshold", liquidation_threshold, MarketError)
    with np.errstate(divide="ignore"):
        bonus: Floats = np.minimum(_MOST_INCENTIVE, 1.0 / (1.0 - _INCENTIVE_CURSOR * (1.0 - lltv))) - 1.0
    return bonus[()]
