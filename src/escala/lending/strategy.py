"""What a lending loop does at each operation, and what its numbers may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from escala.arrays import FloatLike, Floats, broadcast_shape, check_interval, check_order, to_floats
from escala.tables import Interval

if TYPE_CHECKING:
    pass


_AMOUNT = Interval(1e-100, 1e100)

_AMOUNT_OR_NONE = Interval(1e-100, 1e100, or_zero=True)

_FRACTION = Interval(0.0, 1.0)

_POSITIVE_FRACTION = Interval(0.0, 1.0, low_open=True)

_NON_NEGATIVE = Interval(0.0, 1e100)

_COUNT = Interval(1, 2**31 - 1, integer=True)

ARGUMENTS: Final[Mapping[str, Interval]] = {
    "supply": _AMOUNT,
    "borrow": _AMOUNT_OR_NONE,
    "target": _AMOUNT,
    "wallet": _AMOUNT_OR_NONE,
}

FIELDS: Final[Mapping[str, Interval]] = {
    "min_profit": _NON_NEGATIVE,
    "repay": _FRACTION,
    "repay_stalling": _FRACTION,
    "repay_stalled": _FRACTION,
    "repay_floor": _FRACTION,
    "repay_step": _POSITIVE_FRACTION,
    "target_ltv": Interval(0.0, 1.0, high_open=True),
    "target_ltv_stalled": Interval(0.0, 1.0, high_open=True),
    "ltv_floor": Interval(0.0, 1.0, high_open=True),
    "ltv_ceiling": Interval(0.0, 1.0, low_open=True, high_open=True),
    "ltv_step": _POSITIVE_FRACTION,
    "ltv_nudge": _FRACTION,
    "draw_fraction": _POSITIVE_FRACTION,
    "wallet_fraction": _FRACTION,
    "fee_rate": _FRACTION,
    "liquidation_threshold": _POSITIVE_FRACTION,
    "min_health_factor": Interval(1.0, 1e6),
    "free_collateral_factor": _FRACTION,
    "reinvest_far": _FRACTION,
    "reinvest_mid": _FRACTION,
    "reinvest_near": _FRACTION,
    "far_gap": _NON_NEGATIVE,
    "near_gap": _NON_NEGATIVE,
    "reinvest_stalling": _FRACTION,
    "reinvest_stalled": _FRACTION,
    "reinvest_decay": Interval(0.0, 1.0, high_open=True),
    "reinvest_snap": _NON_NEGATIVE,
    "stalling_after": Interval(0, 2**31 - 1, integer=True),
    "stalled_after": Interval(0, 2**31 - 1, integer=True),
    "stagnation_tolerance": _NON_NEGATIVE,
    "max_rescale_attempts": Interval(1, 10**6, integer=True),
    "max_fallback_attempts": Interval(0, 10**6, integer=True),
    "max_stagnant_operations": _COUNT,
    "max_operations": _COUNT,
}

#: Pairs of fields of which the first must not exceed the second.
ORDERED_FIELDS: Final = (
    ("target_ltv", "ltv_ceiling"),
    ("target_ltv_stalled", "ltv_ceiling"),
    ("ltv_floor", "ltv_ceiling"),
    ("near_gap", "far_gap"),
    ("stalling_after", "stalled_after"),
)

#: What a scenario may be made of: the arguments of :func:`simulate` and the fields of :class:`LendingStrategy`.
ARGUMENT_NAMES: Final = tuple(ARGUMENTS)

STRATEGY_FIELDS: Final = tuple(FIELDS)

#: What each of them may be.
ALLOWED: Final[Mapping[str, Interval]] = {**ARGUMENTS, **FIELDS}


@dataclass(frozen=True, eq=False, kw_only=True)
class LendingStrategy:
    """What a lending loop does at each operation; every field is a number or an array, one element a scenario.

    Parameters
    ----------
    min_profit : array_like, default 1e-6
        Smallest cash an operation must leave, unit of account, in [0, 1e100].
    repay, repay_stalling, repay_stalled : array_like, default 0.11, 0.07, 0.035
        Share of the debt repaid by an operation: normally, after more than `stalling_after` and after more than
        `stalled_after` operations without progress; in [0, 1].
    repay_floor, repay_step : array_like, default 0.03, 0.005
        How far and in which steps the repayment is lowered when a plan does not fit; in [0, 1] and (0, 1].
    target_ltv, target_ltv_stalled : array_like, default 0.69, 0.73
        Limit of debt/supply, normally and when stalled; in [0, `ltv_ceiling`].
    ltv_floor, ltv_ceiling : array_like, default 0.50, 0.73
        How far that limit is lowered and raised when a plan does not fit; in [0, `ltv_ceiling`] and (0, 1).
    ltv_step, ltv_nudge : array_like, default 0.01, 1e-6
        Steps of lowering, and what is added when the limit is raised to what a plan needs; in (0, 1] and [0, 1].
    draw_fraction : array_like, default 0.80
        Share of the safe maximum that is borrowed, in (0, 1].
    wallet_fraction : array_like, default 0.70
        Most that is moved from the wallet at once, as a share of the supply, in [0, 1].
    fee_rate : array_like, default 0.0025
        Cost of a repayment, as a share of it, in [0, 1].
    liquidation_threshold : array_like, default 0.74
        Share of the supply that counts against the debt, in (0, 1].
    min_health_factor : array_like, default 1.01
        What every executed operation must leave more than, in [1, 1e6].
    free_collateral_factor : array_like, default 0.80
        Share of supply − borrow reported as free collateral, in [0, 1].
    reinvest_far, reinvest_mid, reinvest_near : array_like, default 0.60, 0.40, 0.20
        Reinvested share of what an operation draws beyond repayment and fee, by distance from the target; in [0, 1].
    far_gap, near_gap : array_like, default 0.5, 0.2
        Distances, as multiples of the supply, beyond which a target is far or not near; 0 ≤ near ≤ far ≤ 1e100.
    reinvest_stalling, reinvest_stalled : array_like, default 0.10, 0.05
        The share after more than `stalling_after` and `stalled_after` operations without progress; in [0, 1].
    reinvest_decay, reinvest_snap : array_like, default 0.95, 1e-9
        Factor that lowers the share when a plan does not fit, and the amount (unit of account) below which nothing is
        reinvested; in [0, 1) and [0, 1e100].
    stalling_after, stalled_after : array_like of int, default 2, 5
        Operations without progress, 0 ≤ stalling ≤ stalled ≤ 2³¹ − 1.
    stagnation_tolerance : array_like, default 3e-5
        Growth of the supply (unit of account) below which an operation made no progress, in [0, 1e100].
    max_rescale_attempts, max_fallback_attempts : array_like of int, default 50, 5
        Plans tried in one operation, in [1, 1e6], and smaller drawings tried when the plan may not be executed, in
        [0, 1e6].
    max_stagnant_operations, max_operations : array_like of int, default 35, 10 000
        Operations without progress, and operations, after which a scenario ends; in [1, 2³¹ − 1].

    Raises
    ------
    ScenarioError
        If a value is out of range or two fields contradict each other; names fields, indexes and values.

    Notes
    -----
    `min_profit`, `reinvest_snap` and `stagnation_tolerance` are amounts: results depend on the unit of account.

    Examples
    --------
    >>> LendingStrategy(repay=0.05).repay
    0.05
    >>> LendingStrategy(far_gap=[0.5, 0.1])
    Traceback (most recent call last):
        ...
    escala.errors.ScenarioError: near_gap must not exceed far_gap, but near_gap[1] = 0.2 and far_gap[1] = 0.1
    """

    min_profit: FloatLike = 1e-6
    repay: FloatLike = 0.11
    repay_stalling: FloatLike = 0.07
    repay_stalled: FloatLike = 0.035
    repay_floor: FloatLike = 0.03
    repay_step: FloatLike = 0.005
    target_ltv: FloatLike = 0.69
    target_ltv_stalled: FloatLike = 0.73
    ltv_floor: FloatLike = 0.50
    ltv_ceiling: FloatLike = 0.73
    ltv_step: FloatLike = 0.01
    ltv_nudge: FloatLike = 1e-6
    draw_fraction: FloatLike = 0.80
    wallet_fraction: FloatLike = 0.70
    fee_rate: FloatLike = 0.0025
    liquidation_threshold: FloatLike = 0.74
    min_health_factor: FloatLike = 1.01
    free_collateral_factor: FloatLike = 0.80
    reinvest_far: FloatLike = 0.60
    reinvest_mid: FloatLike = 0.40
    reinvest_near: FloatLike = 0.20
    far_gap: FloatLike = 0.5
    near_gap: FloatLike = 0.2
    reinvest_stalling: FloatLike = 0.10
    reinvest_stalled: FloatLike = 0.05
    reinvest_decay: FloatLike = 0.95
    reinvest_snap: FloatLike = 1e-9
    stalling_after: FloatLike = 2
    stalled_after: FloatLike = 5
    stagnation_tolerance: FloatLike = 3e-5
    max_rescale_attempts: FloatLike = 50
    max_fallback_attempts: FloatLike = 5
    max_stagnant_operations: FloatLike = 35
    max_operations: FloatLike = 10_000

    def __post_init__(self) -> None:
        """Check every field, alone and against the fields it must agree with, and keep arrays as they were checked."""
        arrays = self.arrays()
        for name, array in arrays.items():
            if array.ndim:
                kept = array.copy()
                kept.flags.writeable = False
                object.__setattr__(self, name, kept)
        for name, interval in FIELDS.items():
            check_interval(name, arrays[name], interval)
        broadcast_shape(arrays)
        for low, high in ORDERED_FIELDS:
            check_order(low, arrays[low], high, arrays[high])

    def __eq__(self, other: object) -> bool:
        """Tell whether all fields have the same shapes and values."""
        if not isinstance(other, LendingStrategy):
            return NotImplemented
        theirs = other.arrays()
        return all(np.array_equal(mine, theirs[name]) for name, mine in self.arrays().items())

    __hash__ = None  # type: ignore[assignment]  # fields may be arrays

    def arrays(self) -> dict[str, Floats]:
        """Give the fields as float64 arrays of their own shapes."""
        return {name: to_floats(name, getattr(self, name)) for name in FIELDS}

    def replace(self, **changes: FloatLike) -> LendingStrategy:
        """Make a strategy with other values for some fields.

        Raises
        ------
        ScenarioError
            As on construction.
        TypeError
            If a name is no field.
        """
        return dataclasses.replace(self, **changes)
