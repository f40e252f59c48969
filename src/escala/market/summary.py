"""What a market result says in words: how often and when a position is liquidated, what is left, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from escala.text.numerals import amount, ratio

_COSTS = (
    ("price changes", "price_pnl", 1.0),
    ("supply yield", "supply_yield", 1.0),
    ("interest", "interest", -1.0),
    ("fees", "fees", -1.0),
    ("gas", "gas", -1.0),
    ("slippage", "slippage", -1.0),
    ("liquidation losses", "liquidation_loss", -1.0),
    ("bad debt, not owed any more", "bad_debt", 1.0),
)


@dataclass(frozen=True)
class Frame:
    """What numbers are over: paths, hours in all, the level of intervals, hours a step, past windows that overlap."""

    paths: int
    hours: float
    level: float
    step_hours: float
    overlapping: bool = False


def _span(hours: float) -> str:
    return f"{hours / 24.0:,.1f} days" if hours >= 48.0 else f"{hours:,.1f} hours"


def _several(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def of_one(r: Mapping[str, float], frame: Frame) -> str:
    """Describe one parameter set by all its statistics."""
    if frame.paths == 1:
        return "\n".join([*_one_path(r, frame), *_changes(r, "the change of equity:")])
    start = r["start_equity_mean"]
    lines = [
        f"{_several(frame.paths, 'path')} of {_span(frame.hours)}",
        f"  liquidated on {_share(r, 'liquidation_probability', frame.level)}",
    ]
    if r["liquidation_probability"] > 0.0:
        first = r["first_liquidation_mean"] * frame.step_hours
        count = r["liquidations_mean"] / r["liquidation_probability"]
        lines.append(f"  if so, for the first time after {_span(first)} on average, and {count:.1f} times")
    lines += [
        f"  nothing left on {_share(r, 'ruin_probability', frame.level)}",
        f"  equity {amount(start)} becomes {amount(r['end_equity_mean'])} on average (standard error"
        f" {amount(r['end_equity_error'])})",
        f"  in the worst {1.0 - frame.level:.0%} of paths it loses {amount(r['var'])} or more, {amount(r['cvar'])} on"
        f" average (standard error {amount(r['cvar_error'])})",
        f"  lowest health factor {ratio(r['lowest_health_mean'])} on average",
        *_changes(r, "the change of equity, on average:"),
    ]
    if frame.overlapping:
        lines.append("  past windows share days: intervals and errors are too narrow")
    return "\n".join(lines)


def _one_path(r: Mapping[str, float], frame: Frame) -> list[str]:
    lines = [f"1 path of {_span(frame.hours)}"]
    if r["liquidation_probability"] > 0.0:
        count = _several(round(r["liquidations_mean"]), "liquidation")
        lines.append(f"  {count}, the first after {_span(r['first_liquidation_mean'] * frame.step_hours)}")
    else:
        lines.append("  not liquidated")
    return [
        *lines,
        f"  equity {amount(r['start_equity_mean'])} becomes {amount(r['end_equity_mean'])}",
        f"  lowest health factor {ratio(r['lowest_health_mean'])}",
    ]


def _changes(r: Mapping[str, float], title: str) -> list[str]:
    values = ((words, sign * r[f"{name}_mean"]) for words, name, sign in _COSTS)
    return [f"  {title}", *(f"    {words:<30}{amount(value):>15}" for words, value in values if value != 0.0)]


def _share(r: Mapping[str, float], name: str, level: float) -> str:
    return f"{r[name]:.2%} of paths ({level:.0%} interval {r[f'{name}_low']:.2%} to {r[f'{name}_high']:.2%})"


def of_many(r: Mapping[str, npt.NDArray[Any]], frame: Frame) -> str:
    """Describe many parameter sets by the spread of their statistics."""
    count = r["liquidation_probability"].size
    if count == 0:
        return "no parameter sets"
    rows = (
        ("liquidation probability", "liquidation_probability", "{:.2%}".format),
        ("ruin probability", "ruin_probability", "{:.2%}".format),
        ("mean end equity", "end_equity_mean", amount),
        ("mean return", "return_mean", "{:+.2%}".format),
        (f"loss in the worst {1.0 - frame.level:.0%} (cvar)", "cvar", amount),
    )
    lines = [
        f"{_several(count, 'parameter set')} on {_several(frame.paths, 'path')} of {_span(frame.hours)}",
        f"  {'':<32}{'lowest':>15}{'median':>15}{'highest':>15}",
    ]
    for words, name, write in rows:
        values = r[name][np.isfinite(r[name])]
        if values.size:
            shown = (values.min(), np.median(values), values.max())
            lines.append(f"  {words:<32}" + "".join(f"{write(float(value)):>15}" for value in shown))
    return "\n".join(lines)
