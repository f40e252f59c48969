"""What a lending loop does at each operation, and what its numbers may be."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from escala import keyed, tables
from escala.arrays import (
    FloatLike,
    Floats,
    broadcast_shape,
    check_interval,
    check_order,
    plain_number,
    to_floats,
)
from escala.errors import ScenarioError
from escala.tables import Interval
from escala.text.tables import documented

#: What a scenario may be made of: the arguments of :func:`simulate` and the fields of :class:`LendingStrategy`.
ARGUMENTS: Final[Mapping[str, Interval]] = tables.intervals(tables.LENDING_ARGUMENTS)

FIELDS: Final[Mapping[str, Interval]] = tables.intervals(tables.LENDING_STRATEGY)

ARGUMENT_NAMES: Final = tuple(ARGUMENTS)

STRATEGY_FIELDS: Final = tuple(FIELDS)

#: What each of them may be.
ALLOWED: Final[Mapping[str, Interval]] = {**ARGUMENTS, **FIELDS}

_INPUTS: Final = tables.names(tables.LENDING_INPUTS)

#: Pairs of fields of which the first must not exceed the second.
ORDERED_FIELDS: Final = tuple((row.name, row.at_most) for row in tables.LENDING_STRATEGY if row.at_most)


@documented(fields=tables.LENDING_STRATEGY)
@dataclass(frozen=True, eq=False, kw_only=True)
class LendingStrategy:
    """What a lending loop does at each operation; every field is a number or an array, one element a scenario.

    Parameters
    ----------
    {fields}

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
        if self._are_plain():
            return
        keyed.check_aligned({name: getattr(self, name) for name in FIELDS}, ScenarioError)
        arrays = self.arrays()
        for name, array in arrays.items():
            if array.ndim or isinstance(getattr(self, name), np.ndarray):
                kept = array.copy()
                kept.flags.writeable = False
                object.__setattr__(self, name, kept)
        for name, interval in FIELDS.items():
            check_interval(name, arrays[name], interval)
        broadcast_shape(arrays)
        for low, high in ORDERED_FIELDS:
            check_order(low, arrays[low], high, arrays[high])

    def _are_plain(self) -> bool:
        """Tell quickly that all fields are plain numbers and allowed; False may also mean that this cannot tell."""
        given = vars(self)
        plain = all(plain_number(given[name], interval) is not None for name, interval in FIELDS.items())
        return plain and all(given[low] <= given[high] for low, high in ORDERED_FIELDS)

    @functools.cached_property
    def column(self) -> Floats | None:
        """What kernels read of one scenario, the arguments left open; None where a field is an array.

        It is made once: fields never change.
        """
        arrays = self.arrays()
        if any(array.ndim for array in arrays.values()):
            return None
        column = np.array([arrays.get(name, np.nan) for name in _INPUTS])
        column.flags.writeable = False
        return column

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
