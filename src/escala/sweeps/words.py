"""What the summary of a sweep says in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from escala.arrays import Floats
from escala.model import Model
from escala.sweeps.statistics import OutputStatistics
from escala.text import numerals

#: Quantiles that are shown.
QUANTILES: Final = (0.05, 0.5, 0.95)
_HEADS: Final = ("mean", "sd", "lowest", "5 %", "median", "95 %", "highest")


def of(
    model: Model,
    scenarios: int,
    stops: Mapping[str, int],
    statistics: Mapping[str, OutputStatistics],
    quantiles: Mapping[str, Floats],
    sensitivities: Mapping[str, Mapping[str, float]],
) -> str:
    """Say what happened: counts, outputs, and which inputs they depend on.

    Parameters
    ----------
    model : Model
        What was swept.
    scenarios : int
        How many.
    stops : mapping of str to int
        Scenarios by how they ended.
    statistics : mapping
        Of each output.
    quantiles : mapping of str to array
        Of each output, those of :data:`QUANTILES`.
    sensitivities : mapping
        Of each output, the index of each input.
    """
    lines = [numerals.counted(scenarios, "scenario")]
    lines += [
        f"  {code.doc:<24}{count:>14,}{count / scenarios:>9.2%}"
        for code, count in zip(model.stops, stops.values(), strict=True)
    ]
    wide = max(22, *(1 + len(name) for name in statistics))
    lines += ["", f"  {'output':<{wide}}" + "".join(f"{head:>13}" for head in _HEADS)]
    for name in statistics:
        partly = "*" if 0 < statistics[name].finite < scenarios else ""
        cells = _cells(statistics[name], quantiles[name], partly)
        lines.append(f"  {name:<{wide}}" + "".join(f"{cell:>13}" for cell in cells))
    for name, one in statistics.items():
        left_out = scenarios - one.finite
        if left_out and one.finite:
            share = left_out / scenarios
            lines.append(f"  * mean and sd of {name} leave out {left_out:,} scenarios ({share:.2%}): not finite")
    lines += ["", f"  share of the variance that one input explains{'':<4}(the largest three)"]
    lines += [f"  {name:<{wide}}   {_largest(sensitivities[name])}" for name in statistics]
    lines += [
        f"  warning: {warning}"
        for name, (beside, warning) in model.misleading.items()
        if name in statistics and beside not in statistics
    ]
    return "\n".join(lines)


def _cells(s: OutputStatistics, quantiles: Floats, partly: str) -> list[str]:
    """Write what is known of an output; a dash for a mean of nothing, a mark at one that is not of all scenarios."""
    means = [numerals.amount(x) + partly if not math.isnan(x) else "–" for x in (s.mean, s.standard_deviation)]
    return [*means, *(numerals.amount(float(number)) for number in (s.lowest, *quantiles, s.highest))]


def _largest(indexes: Mapping[str, float]) -> str:
    ranked = sorted(indexes.items(), key=lambda item: -item[1] if item[1] == item[1] else 1.0)
    shown = [f"{key} {index:.0%}" for key, index in ranked[:3] if index >= 0.005]
    return ", ".join(shown) or "–"
