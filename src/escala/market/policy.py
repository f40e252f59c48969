"""A policy: what the owner of a position does, and when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from escala import tables
from escala.arrays import FloatLike, Floats, broadcast_shape, check_together
from escala.errors import MarketError
from escala.lending.strategy import LendingStrategy
from escala.market.depth import Depth, checked_depth
from escala.market.fields import check_fields, check_sorted, floats
from escala.tables import Table
from escala.text.tables import documented

#: Targets, the health factor that asks for each, and the one at which nothing does.
_TARGETS: Final = (
    ("topup_target", "topup_health", 0.0),
    ("deleverage_target", "deleverage_health", 0.0),
    ("boost_target", "boost_health", math.inf),
)
#: Pairs of which the first must be below the second.
_BELOW: Final = (("deleverage_target", "boost_health"), ("deleverage_health", "boost_target"))
#: Pairs of which the first must not exceed the second.
_AT_MOST: Final = (
    ("deleverage_health", "deleverage_target"),
    ("boost_target", "boost_health"),
    ("topup_health", "topup_target"),
)


@documented(fields=tables.POLICY_FIELDS)
@dataclass(frozen=True, eq=False, kw_only=True)
class Policy:
    """What the owner does; by default nothing. Every field is a number or an array, one element a parameter set.

    Parameters
    ----------
    {fields}
    loop : LendingStrategy, optional
        The lending loop, one operation each `loop_every` steps; for one asset.
    depth : Depth, optional
        What the owner's trades keep; by default everything.

    Raises
    ------
    MarketError
        If a value is out of range, a target has no health factor or the other way round, or two contradict each other.

    Notes
    -----
    What is sold or bought is of the asset worth most at market prices. How much a trade must be for its target is found
    in eight rounds from 0, each with what the depth keeps of the trade before: exact where the depth is flat; in a pool
    only a few times as large as the trade it may fall short by some percent, and no flag says so. Refused, so that
    nothing moves, is a trade of which nothing is left after fee and gas, a sale that takes all collateral and leaves
    debt, and one that leaves the health factor below 1 and not above what it was; missing the target is no reason. A
    sale pays its gas from the proceeds, a boost from what is bought, a top-up from the wallet.
    """

    every: FloatLike = 1
    stop_health: FloatLike = 0.0
    topup_health: FloatLike = 0.0
    topup_target: FloatLike | None = None
    deleverage_health: FloatLike = 0.0
    deleverage_target: FloatLike | None = None
    boost_health: FloatLike = math.inf
    boost_target: FloatLike | None = None
    loop_every: FloatLike = 0
    loop_target: FloatLike | None = None
    fee_rate: FloatLike = 0.0
    gas: FloatLike = 0.0
    loop: LendingStrategy | None = None
    depth: Depth | None = None
    rows: ClassVar[Table] = tables.POLICY_FIELDS

    def __post_init__(self) -> None:
        """Check the fields, alone and against each other."""
        check_fields(self, self.rows, optional=("topup_target", "deleverage_target", "boost_target", "loop_target"))
        object.__setattr__(self, "depth", checked_depth("depth", self.depth))
        arrays = floats(self, self.rows)
        for target, health, idle in _TARGETS:
            # an array says what each parameter set does, be it nothing
            asked = bool(np.any(arrays[health] != idle)) or (arrays[health].ndim > 0 and target in arrays)
            if asked != (target in arrays):
                missing, given = (target, health) if asked else (health, target)
                raise MarketError(f"{given} needs {missing}", arguments=(given, missing))
        for low, high in _AT_MOST:
            check_sorted(arrays, low, high)
        for low, high in _BELOW:
            _check_below(arrays, low, high)
        self._check_loop(arrays)
        broadcast_shape(arrays, MarketError)

    def _check_loop(self, arrays: dict[str, Floats]) -> None:
        if self.loop is not None and not isinstance(self.loop, LendingStrategy):
            raise MarketError(f"loop must be a LendingStrategy, not {self.loop!r}", arguments=("loop",))
        every = arrays["loop_every"]
        runs = bool(np.any(every > 0.0)) or (every.ndim > 0 and self.loop is not None)
        if runs and (self.loop is None or self.loop_target is None):
            raise MarketError("loop_every needs loop and loop_target", arguments=("loop_every", "loop", "loop_target"))
        if self.loop is not None and not runs:
            raise MarketError("loop needs loop_every", arguments=("loop", "loop_every"))

    def numbers(self) -> dict[str, Floats]:
        """Give the fields that have a value, by name."""
        return floats(self, self.rows)


def _check_below(arrays: dict[str, Floats], low: str, high: str) -> None:
    """Check that one field is below another; an unused deleverage (0) or boost (inf) contradicts nothing."""
    if low not in arrays or high not in arrays:
        return
    pair = {low: arrays[low], high: arrays[high]}
    try:
        np.broadcast_shapes(*(array.shape for array in pair.values()))
    except ValueError:
        return  # the common shape is checked at the end, with a message of its own
    check_together(pair, np.less, f"{low} must be below {high}", MarketError)
