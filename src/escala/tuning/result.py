"""What tuning answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from escala.text import numerals


@dataclass(frozen=True, eq=False)
class Tuning:
    """The best strategy that was found, and what it is worth on scenarios that it was not tuned on.

    Attributes
    ----------
    strategy : LendingStrategy
        With the fields found; or the settings of another model.
    fields : dict of str to float
        Those fields alone.
    value, start_value : float
        Objective on the scenarios it was tuned on: found, and of the strategy begun with.
    held_out_value, held_out_start_value : float
        The same on scenarios that were kept back.
    reached, start_reached : float
        Share of those scenarios, kept back, that reach the target; of another model, that end as tuning wants it, and
        NaN where nothing is wanted.
    scenarios, held_out : int
        How many of both.
    evaluations : int
        Strategies tried, each on all scenarios.
    seconds : float
        What that took.
    goal : str
        What those scenarios do that are counted; empty where nothing is wanted.
    """

    strategy: Any
    fields: Mapping[str, float]
    value: float
    start_value: float
    held_out_value: float
    held_out_start_value: float
    reached: float
    start_reached: float
    scenarios: int
    held_out: int
    evaluations: int
    seconds: float
    goal: str = "reach the target"

    @property
    def evaluations_per_second(self) -> float:
        """Strategies tried a second."""
        return self.evaluations / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """Give all numbers by name."""
        names = [name for name in self.__dataclass_fields__ if name not in {"strategy", "fields", "goal"}]
        values = {name: getattr(self, name) for name in names}
        return {"fields": dict(self.fields), **values, "evaluations_per_second": self.evaluations_per_second}

    def summary(self) -> str:
        """Say in words what was found and what it is worth."""
        n, m = self.scenarios, self.held_out
        lines = [
            f"{self.evaluations:,} strategies on {n:,} scenarios each, {self.evaluations_per_second:,.0f} a second",
            "",
            *(f"  {name:<24}{numerals.ratio(value):>14}" for name, value in self.fields.items()),
            "",
            f"  {'objective':<38}{'start':>14}{'found':>14}",
            f"  {'on the scenarios it was tuned on':<38}{self.start_value:>14.6g}{self.value:>14.6g}",
            f"  {f'on {m:,} others':<38}{self.held_out_start_value:>14.6g}{self.held_out_value:>14.6g}",
        ]
        if self.goal:
            lines.append(f"  {f'  of which {self.goal}':<38}{self.start_reached:>14.2%}{self.reached:>14.2%}")
        if self.held_out_value < self.held_out_start_value:
            lines.append("  warning: on scenarios it was not tuned on, what was found does worse than the start")
        return "\n".join(lines)
