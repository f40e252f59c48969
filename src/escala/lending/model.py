"""The lending loop as a model: what designs, sweeps, tuning, pictures and commands take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from escala.arrays import FloatLike, Floats
from escala.errors import ScenarioError
from escala.lending.result import RESULT_NAMES, LendingResult, StopReason
from escala.lending.simulate import simulate
from escala.lending.slices import LendingSlices
from escala.lending.strategy import ARGUMENTS, FIELDS, ORDERED_FIELDS, LendingStrategy
from escala.model import Model
from escala.tables import FROM_ZERO, Code, Interval, Quantity

__all__ = ["MODEL", "LendingModel"]

_WHOLE: Final = (
    "reachable", "executed", "skipped", "stagnant", "positive", "rescale_attempts", "rescale_attempts_max",
    "fallback_attempts",
)  # fmt: skip
_COUNT: Final = Interval(FROM_ZERO.low, 2**63 - 1, integer=True)
_ANY: Final = Quantity("", "").values


class LendingModel(Model):
    """The lending loop of :func:`escala.simulate`, with a :class:`escala.LendingStrategy` as settings."""

    def settings(self, given: Any) -> LendingStrategy:
        """Give the strategy that a caller gave, or the default."""
        if given is None:
            return LendingStrategy()
        if not isinstance(given, LendingStrategy):
            raise ScenarioError(f"strategy must be a LendingStrategy, not {given!r}", arguments=("strategy",))
        return given

    def numbers(self, settings: Any) -> dict[str, Floats]:
        """Give the fields of a strategy."""
        strategy: LendingStrategy = settings
        return strategy.arrays()

    def replaced(self, settings: Any, changes: Mapping[str, FloatLike]) -> LendingStrategy:
        """Give a strategy with other values for some fields."""
        strategy: LendingStrategy = settings
        return strategy.replace(**changes)

    def slices(self, varied: Sequence[str], settings: Any, rows: int) -> LendingSlices:
        """Give what works through slices of scenarios."""
        return LendingSlices(varied, settings, rows)

    def evaluate(self, columns: Mapping[str, Floats], settings: Any, threads: int) -> LendingResult:
        """Simulate scenarios."""
        arguments = (columns[name] for name in ARGUMENTS)
        fields = {name: column for name, column in columns.items() if name not in ARGUMENTS}
        return simulate(*arguments, strategy=self.replaced(settings, fields), threads=threads)


#: The lending loop. How it ends is always counted, and the start of a scenario is its columns: neither is an output.
#: What is kept when nobody says has the counterparts of profit beside it.
MODEL: Final = LendingModel(
    name="lending",
    function="simulate",
    settings_type="LendingStrategy",
    arguments=tuple(Quantity(name, "", values=interval) for name, interval in ARGUMENTS.items()),
    fields=tuple(
        Quantity(name, "", values=interval, default=float(getattr(LendingStrategy, name)))
        for name, interval in FIELDS.items()
    ),
    ordered=ORDERED_FIELDS,
    outputs=tuple(
        Quantity(name, "", values=_COUNT if name in _WHOLE else _ANY)
        for name in RESULT_NAMES
        if name not in {*ARGUMENTS, "stop"}
    ),
    kept=(
        "final_supply", "net_equity_change", "added_debt", "profit", "health_factor", "lowest_health_factor",
        "executed",
    ),
    stops=(
        Code("target_reached", StopReason.TARGET_REACHED, "target reached"),
        Code("stalled", StopReason.STALLED, "stalled"),
        Code("max_operations", StopReason.MAX_OPERATIONS, "operations spent"),
    ),
    goal=Code("target_reached", StopReason.TARGET_REACHED, "reach the target"),
    # How much is repaid, borrowed and reinvested.
    tuned={
        "repay": (0.03, 0.3),
        "repay_stalling": (0.03, 0.2),
        "repay_stalled": (0.03, 0.1),
        "target_ltv": (0.5, 0.73),
        "draw_fraction": (0.3, 1.0),
        "wallet_fraction": (0.1, 1.0),
        "reinvest_far": (0.0, 1.0),
        "reinvest_mid": (0.0, 1.0),
        "reinvest_near": (0.0, 1.0),
    },
    misleading={
        "profit": (
            "net_equity_change",
            "profit is cash drawn by new debt and owed back; net_equity_change, which was not kept, says what it cost",
        )
    },
)  # fmt: skip
