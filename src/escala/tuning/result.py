"""What tuning answers with."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from escala.text import numerals

_SURE: Final = 3.0  # standard errors from which on what was claimed is more than chance


@dataclass(frozen=True)
class TuningLimit:
    """What was asked of an output, and what became of it: means over the scenarios.

    Attributes
    ----------
    low, high : float
        Between these it had to be.
    value, start_value : float
        On what was tuned on: found, and of the strategy begun with.
    held_out_value : float
        Of what was found, on what was kept back.
    error, held_out_error : float
        Standard errors; NaN where the output is no estimate.
    """

    low: float
    high: float
    value: float
    start_value: float
    held_out_value: float
    error: float
    held_out_error: float

    @property
    def met(self) -> bool:
        """Whether it was kept on what was tuned on."""
        return self.low <= self.value <= self.high

    @property
    def held_out_met(self) -> bool:
        """Whether it was kept on what was kept back."""
        return self.low <= self.held_out_value <= self.high


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
        The same on scenarios that were kept back; of the market on paths that were.
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
    error, start_error, held_out_error, held_out_start_error : float
        Standard errors of the four values, where the objective is an estimate from many paths; else NaN. Of several
        scenarios, which share their paths, it is the mean of theirs: no less than that of the mean.
    limits : dict of str to TuningLimit
        What was asked of other outputs.
    unseen : str
        What was kept back beside scenarios: ``"other paths"``.
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
    error: float = math.nan
    start_error: float = math.nan
    held_out_error: float = math.nan
    held_out_start_error: float = math.nan
    limits: Mapping[str, TuningLimit] = field(default_factory=dict)
    unseen: str = ""

    @property
    def evaluations_per_second(self) -> float:
        """Strategies tried a second."""
        return self.evaluations / self.seconds

    @property
    def optimism(self) -> float:
        """By how many standard errors the value claimed exceeds that on other paths; NaN where there are no errors."""
        return (self.value - self.held_out_value) / (math.hypot(self.error, self.held_out_error) or math.nan)

    def to_dict(self) -> dict[str, Any]:
        """Give all numbers by name."""
        apart = {"strategy", "fields", "goal", "limits", "unseen"}
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in apart}
        limits = {name: dataclasses.asdict(limit) for name, limit in self.limits.items()}
        return {
            "fields": dict(self.fields), **values, "evaluations_per_second": self.evaluations_per_second,
            **({"limits": limits} if limits else {}),
        }  # fmt: skip

    def summary(self) -> str:
        """Say in words what was found and what it is worth."""
        others = f"on {self.held_out:,} others" if not self.unseen else f"on {self.unseen}"
        each = numerals.counted(self.scenarios, "scenario") + ("" if self.scenarios == 1 else " each")
        lines = [
            f"{self.evaluations:,} strategies on {each}, {self.evaluations_per_second:,.0f} a second",
            "",
            *(f"  {name:<24}{numerals.ratio(value):>14}" for name, value in self.fields.items()),
            "",
            f"  {'objective':<38}{'start':>14}{'found':>14}",
            f"  {'on the scenarios it was tuned on':<38}{self.start_value:>14.6g}{self.value:>14.6g}",
            *_errors(self.start_error, self.error),
            f"  {others:<38}{self.held_out_start_value:>14.6g}{self.held_out_value:>14.6g}",
            *_errors(self.held_out_start_error, self.held_out_error),
        ]
        if self.goal:
            lines.append(f"  {f'  of which {self.goal}':<38}{self.start_reached:>14.2%}{self.reached:>14.2%}")
        for name, limit in self.limits.items():
            lines += ["", f"  {f'{name} {_asked(limit)}':<38}{limit.start_value:>14.6g}{limit.value:>14.6g}"]
            lines += _errors(math.nan, limit.error)
            lines.append(f"  {others:<52}{limit.held_out_value:>14.6g}")
            lines += _errors(math.nan, limit.held_out_error)
        return "\n".join([*lines, *(f"  warning: {warning}" for warning in self._warnings())])

    def _warnings(self) -> list[str]:
        where = f"on {self.unseen or 'scenarios it was not tuned on'}"
        found = []
        if self.held_out_value < self.held_out_start_value:
            found.append(f"{where}, what was found does worse than the start")
        if self.optimism > _SURE:
            found.append(f"{where}, what was found is worth less by {self.optimism:.1f} standard errors: it was fitted")
        for name, limit in self.limits.items():
            if not limit.met:
                found.append(f"{name} is not {_asked(limit)}: nothing that was tried keeps to all limits")
            elif not limit.held_out_met:
                found.append(f"{where}, {name} is not {_asked(limit)}")
        return found


def _errors(start: float, found: float) -> list[str]:
    """Give a line of standard errors, if there are any."""
    if math.isnan(found):
        return []
    shown = "" if math.isnan(start) else f"{start:.2g}"
    return [f"  {'  standard error':<38}{shown:>14}{found:>14.2g}"]


def _asked(limit: TuningLimit) -> str:
    if math.isinf(limit.low):
        return f"at most {limit.high:g}"
    return f"at least {limit.low:g}" if math.isinf(limit.high) else f"in [{limit.low:g}, {limit.high:g}]"
