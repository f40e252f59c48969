"""What a lending result says in words: net equity and debt first, profit only beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.lending.stops import STOP_WORDS, StopReason
from escala.text.numerals import amount, ratio

_SHOWN_OPERATIONS = 10  # first and last ones of a long table
#: Columns of the table of operations: heading and name.
_COLUMNS = (
    ("#", "operation"),
    ("supply", "supply"),
    ("debt", "borrow"),
    ("drawn", "drawn"),
    ("repaid", "repaid"),
    ("fee", "fee"),
    ("reinvested", "reinvested"),
    ("profit", "profit"),
    ("health", "health_factor"),
    ("LTV", "ltv"),
    ("attempts", "attempts"),
)
#: Numbers of a result that a description of many scenarios reads.
READ: Final = (
    "stop",
    "executed",
    "skipped",
    "reachable",
    "fees",
    "profit",
    "added_debt",
    "start_net_equity",
    "net_equity_change",
    "start_health_factor",
    "health_factor",
    "lowest_health_factor",
)
Results = Mapping[str, npt.NDArray[Any]]
_EQUITY_ALARM = 0.01  # share of the starting equity whose loss to fees is worth a warning


def of_one(r: Mapping[str, float], minimum: float) -> str:
    """Describe one scenario from start to end, by all its numbers and the health factor that it has to keep."""
    lines = [
        f"{_ending(r)}, target {amount(r['target'])}",
        "",
        _line("", "from", "to", ""),
        _line("supply", amount(r["supply"]), amount(r["final_supply"]), ""),
        _line("debt", amount(r["borrow"]), amount(r["final_borrow"]), f"{amount(r['added_debt'])} added"),
        _line("wallet", amount(r["wallet"]), amount(r["final_wallet"]), ""),
        _line("buffer", amount(0.0), amount(r["final_buffer"]), "profit not yet supplied"),
        _line("net equity", amount(r["start_net_equity"]), amount(r["net_equity"]), _equity_change(r)),
        _line("cash drawn", amount(0.0), amount(r["drawn"]), f"{amount(r['repaid'])} of it repaid old debt"),
        _line("profit", amount(0.0), amount(r["profit"]), "cash drawn by new debt and owed back, no return"),
        _line(
            "health factor",
            ratio(r["start_health_factor"]),
            ratio(r["health_factor"]),
            f"lowest after an operation {ratio(r['lowest_health_factor'])}, must exceed {ratio(minimum)}"
            if r["executed"]
            else "no operation was executed",
        ),
        _line("LTV", ratio(r["borrow"] / r["supply"]), ratio(r["ltv"]), ""),
        _line("leverage", _start_leverage(r), ratio(r["leverage"]), ""),
        "",
        f"  supply can never exceed {amount(r['supply_bound'])} (proven); rule of thumb {amount(r['expected_supply'])}",
        f"  {_fall(r['health_factor'])}",
    ]
    return "\n".join(lines + [f"  warning: {warning}" for warning in _warnings_of_one(r, minimum)])


def _ending(r: Mapping[str, float]) -> str:
    operations = int(r["executed"] + r["skipped"])
    if not operations:
        return "target met at the start, nothing to do"
    counts = f"({r['executed']:,.0f} executed, {r['skipped']:,.0f} skipped)"
    return f"{STOP_WORDS[int(r['stop'])]} after {_several(operations, 'operation')} {counts}"


def _several(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _line(name: str, start: str, end: str, remark: str) -> str:
    return f"  {name:<15} {start:>13} {end:>13}{'   ' + remark if remark else ''}"


def _equity_change(r: Mapping[str, float]) -> str:
    start = r["start_net_equity"]
    if r["fees"] == 0.0:
        return "unchanged"
    share = f" ({r['net_equity_change'] / start:+.2%})" if start > 0.0 else ""
    return f"{amount(r['net_equity_change'])}{share}, all of it fees"


def _start_leverage(r: Mapping[str, float]) -> str:
    own = r["supply"] - r["borrow"]
    return ratio(r["supply"] / own if own else math.inf)


def _fall(health_factor: float) -> str:
    if health_factor == math.inf:
        return "no debt: nothing to liquidate"
    if health_factor < 1.0:
        return "the position can be liquidated as it is: its health factor is below 1"
    return f"collateral may fall by {1.0 - 1.0 / health_factor:.2%} against the debt before it can be liquidated"


def _warnings_of_one(r: Mapping[str, float], minimum: float) -> list[str]:
    warnings = []
    if not r["reachable"]:
        warnings.append("the target lies above what this position and strategy can ever reach")
    if r["fees"] > r["profit"]:
        warnings.append(f"fees of {amount(r['fees'])} exceed the profit of {amount(r['profit'])}")
    if r["fees"] > _EQUITY_ALARM * max(r["start_net_equity"], 0.0):
        warnings.append(
            f"fees of {amount(r['fees'])} exceed 1 % of the starting equity {amount(r['start_net_equity'])}"
        )
    if r["health_factor"] <= minimum and not r["executed"]:
        warnings.append("the health factor started and stays at or below the wanted minimum: no operation may lift it")
    return warnings


def of_many(r: Results) -> str:
    """Describe many scenarios by counts and quantiles of what `READ` names."""
    if np.size(r["stop"]) == 0:
        return "no scenarios"
    return "\n".join([*_outcomes(r), "", *_quantiles(r), *_warnings_of_many(r)])


def _outcomes(r: Results) -> list[str]:
    size = np.size(r["stop"])
    worked = r["executed"] + r["skipped"] > 0
    reached = r["stop"] == StopReason.TARGET_REACHED
    stalled = r["stop"] == StopReason.STALLED
    rows = (
        ("target reached by operations", reached & worked),
        ("target met at the start", reached & ~worked),
        ("stalled though the target is below the proven bound", stalled & r["reachable"]),
        ("stalled, target above the proven bound", stalled & ~r["reachable"]),
        (STOP_WORDS[StopReason.MAX_OPERATIONS], r["stop"] == StopReason.MAX_OPERATIONS),
        ("(of all) could be liquidated at the start", r["start_health_factor"] < 1.0),
        ("(of all) no operation executed, target not met", (r["executed"] == 0) & ~reached),
    )
    counted = [(name, int(np.count_nonzero(where))) for name, where in rows]
    return [
        f"{_several(size, 'scenario')}, {_several(int((r['executed'] + r['skipped']).sum()), 'operation')}",
        *(f"  {name:<52}{count:>12,}{count / size:>9.2%}" for name, count in counted),
    ]


def _quantiles(r: Results) -> list[str]:
    acting = np.reshape(r["executed"] > 0, -1)
    if not acting.any():
        return ["no scenario executed an operation"]

    def of(values: object, write: Callable[[float], str] = amount) -> str:
        quantiles = np.quantile(np.reshape(np.asarray(values), -1)[acting], (0.05, 0.5, 0.95))
        return "".join(f" {write(q):>15}" for q in quantiles)

    # Whoever executed an operation ended it with a health factor above 1, so the equity was positive.
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = 100.0 * np.asarray(r["net_equity_change"]) / np.asarray(r["start_net_equity"])
    lowest = float(np.min(np.reshape(r["lowest_health_factor"], -1)[acting]))
    return [
        f"the {int(acting.sum()):,} that executed operations:{'':<6}{'5 %':>16}{'median':>16}{'95 %':>16}",
        f"  {'net equity change, %':<38}{of(percent, '{:+.3f}'.format)}",
        f"  {'net equity change':<38}{of(r['net_equity_change'])}",
        f"  {'added debt':<38}{of(r['added_debt'])}",
        f"  {'profit (cash drawn by new debt)':<38}{of(r['profit'])}",
        f"  {'health factor at the end':<38}{of(r['health_factor'], ratio)}",
        f"  lowest health factor left by any operation: {ratio(lowest)}",
    ]


def _warnings_of_many(r: Results) -> list[str]:
    costly = int(np.count_nonzero(r["fees"] > _EQUITY_ALARM * np.maximum(r["start_net_equity"], 0.0)))
    losing = int(np.count_nonzero(r["fees"] > r["profit"]))
    warnings = []
    if losing:
        warnings.append(f"  warning: fees exceed the profit in {_several(losing, 'scenario')}")
    if costly:
        warnings.append(f"  warning: fees exceed 1 % of the starting equity in {_several(costly, 'scenario')}")
    return warnings


def shown_operations(count: int, *, whole: bool) -> list[int]:
    """Give the places of the operations that are shown: all, or the first and the last."""
    if whole or count <= 2 * _SHOWN_OPERATIONS:
        return list(range(count))
    return [*range(_SHOWN_OPERATIONS), *range(count - _SHOWN_OPERATIONS, count)]


def of_operations(operations: Mapping[str, npt.NDArray[Any]], *, whole: bool) -> str:
    """Draw the table of operations, whole or its first and last rows; empty where there was none."""
    count = len(operations["operation"])
    if count == 0:
        return ""
    shown = shown_operations(count, whole=whole)
    cut = len(shown) < count
    columns = [[heading, *column([operations[name][row] for row in shown])] for heading, name in _COLUMNS]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        " ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for row in zip(*columns, strict=True)
    ]
    if cut:
        lines.insert(1 + _SHOWN_OPERATIONS, f"{'...':>{widths[0]}}")
    skipped = count - int(np.sum(operations["executed"]))
    if skipped:
        lines.append(f"{skipped:,} operations were skipped, no plan kept both guarantees: rows with nothing drawn")
    if cut:
        lines.append(f"{count - 2 * _SHOWN_OPERATIONS:,} operations not shown: --operations all shows them")
    return "\n".join(["", *lines, ""])


def column(values: list[Any]) -> list[str]:
    """Write the values of a column alike: about five digits of the largest, or six significant ones of each."""
    largest = max((abs(float(value)) for value in values if math.isfinite(value)), default=0.0)
    if all(float(value).is_integer() for value in values) and largest < 1e6:
        return [f"{value:.0f}" for value in values]
    if not 1e-2 <= largest < 1e9:
        return [f"{value:.6g}" for value in values]
    decimals = min(4, max(2, 4 - math.floor(math.log10(largest))))
    return [f"{value:,.{decimals}f}" for value in values]
