"""The lending loop as a model: what designs, sweeps, tuning, pictures and commands take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from escala import tables
from escala.arrays import FloatLike, Floats
from escala.errors import ScenarioError
from escala.lending.result import LendingResult, StopReason
from escala.lending.simulate import simulate
from escala.lending.slices import LendingSlices
from escala.lending.strategy import ARGUMENTS, ORDERED_FIELDS, LendingStrategy
from escala.model import Model
from escala.tables import Code

__all__ = ["MODEL", "LendingModel"]


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

    def slices(
        self,
        varied: Sequence[str],
        settings: Any,
        rows: int,
        outputs: Sequence[str],  # noqa: ARG002
        threads: int,  # noqa: ARG002
    ) -> LendingSlices:
        """Give what works through slices of scenarios: all outputs, each scenario too short for several threads."""
        return LendingSlices(varied, settings, rows)

    def evaluate(
        self,
        columns: Mapping[str, Floats],
        settings: Any,
        threads: int,
        outputs: Sequence[str] | None = None,  # noqa: ARG002
    ) -> LendingResult:
        """Simulate scenarios, with all outputs."""
        arguments = (columns[name] for name in ARGUMENTS)
        fields = {name: column for name, column in columns.items() if name not in ARGUMENTS}
        return simulate(*arguments, strategy=self.replaced(settings, fields), threads=threads)


#: The lending loop. How it ends is always counted, and the start of a scenario is its columns: neither is an output.
#: What is kept when nobody says has the counterparts of profit beside it.
MODEL: Final = LendingModel(
    name="lending",
    function="simulate",
    settings_type="LendingStrategy",
    arguments=tables.LENDING_ARGUMENTS,
    fields=tables.LENDING_STRATEGY,
    ordered=ORDERED_FIELDS,
    outputs=tuple(row for row in tables.LENDING_OUTPUTS if row.unit != "code"),
    kept=tuple(row.name for row in tables.LENDING_OUTPUTS if row.usual),
    stops=tables.STOPS,
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
