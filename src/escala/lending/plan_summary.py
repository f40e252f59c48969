"""What a plan says in words: what is reached, what it costs, and what to execute."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.lending.actions import ACTION_WORDS, STATUS_WORDS, PlanAction, PlanStatus
from escala.lending.summary import column
from escala.text.numerals import amount, counted, ratio

_SHOWN: Final = 12  # first and last operations of a long table
Numbers = Mapping[str, float]
#: How targets are called.
_TARGETS: Final = {
    "leverage": "leverage {}",
    "to_leverage": "leverage {}",
    "ltv": "LTV {}",
    "to_ltv": "LTV {}",
    "to_supply": "supply {}",
    "repay": "{} repaid",
    "close": "no debt",
    "rounds": "as far as the rounds lead",
}
#: Columns of the table of operations: heading and name.
_COLUMNS: Final = (
    ("#", "operation"),
    ("action", "action"),
    ("amount", "amount"),
    ("fee", "fee"),
    ("supply", "supply"),
    ("debt", "borrow"),
    ("health", "health_factor"),
    ("LTV", "ltv"),
)


def target_words(kind: str, value: float) -> str:
    """Name a target."""
    shown = f"{value:.6g}" if kind in ("leverage", "to_leverage", "ltv", "to_ltv") else amount(value)
    return _TARGETS[kind].format(shown)


def of_one(r: Numbers, given: Numbers, kind: str, target: float) -> str:
    """Describe one plan from start to end."""
    start = r.get("equity", 0.0) + r["supply"]
    begun = start * given["liquidation_threshold"] / r["borrow"] if r["borrow"] else math.inf
    ltv = r["borrow"] / start if start else math.inf
    taken = r.get("cash_out", 0.0)
    lines = [
        _headline(r, kind, target),
        "",
        _line("", "from", "to", ""),
        _line("supply", amount(start), amount(r["final_supply"]), _deposited(r)),
        _line("debt", amount(r["borrow"]), amount(r["final_borrow"]), ""),
        *([_line("taken out", amount(0.0), amount(taken), "collateral, not sold")] if taken else []),
        _line(
            "net equity", amount(start - r["borrow"]),
            amount(r["final_supply"] - r["final_borrow"] + taken - r["gas_cost"]), "costs and gas taken off",
        ),
        _line("health factor", ratio(begun), ratio(r["health_factor"]), _lowest(r, given)),
        _line("LTV", ratio(ltv), ratio(r["ltv"]), f"at most {ratio(given['max_ltv'])} after any step"),
        _line("leverage", _leverage(start, r["borrow"]), ratio(r["leverage"]), ""),
        "",
        f"  cost {_costs(r['cost'], r['fees'], r['swap_cost'], r['gas_cost'])}",
        *_flash(r, given, endless=kind == "rounds"),
        *_bounds(r),
        *_notes(r, given),
    ]  # fmt: skip
    return "\n".join(lines)


def _headline(r: Numbers, kind: str, target: float) -> str:
    status = PlanStatus(int(r["status"]))
    made = counted(int(r["operations_made"]), "operation")
    return f"{STATUS_WORDS[status]}: {target_words(kind, target)}; {made}, {counted(int(r['rounds_made']), 'round')}"


def _line(name: str, start: str, end: str, remark: str) -> str:
    return f"  {name:<15} {start:>15} {end:>15}{'   ' + remark if remark else ''}"


def _deposited(r: Numbers) -> str:
    return f"{amount(r['equity'])} of it deposited first" if r.get("equity") else ""


def _lowest(r: Numbers, given: Numbers) -> str:
    lowest = r["lowest_health_factor"]
    shown = "infinite" if lowest == math.inf else ratio(lowest)
    return f"lowest after a step {shown}, at least {ratio(given['min_health_factor'])} wanted"


def _leverage(supply: float, borrow: float) -> str:
    return ratio(supply / (supply - borrow)) if supply != borrow else ratio(math.inf)


def _costs(whole: float, fees: float, swap: float, gas: float) -> str:
    return f"{amount(whole)}: fees {amount(fees)}, trades {amount(swap)}, gas {amount(gas)}"


def _flash(r: Numbers, given: Numbers, *, endless: bool) -> list[str]:
    """Say what one transaction does, and which way is cheaper."""
    if not r["flash_reachable"] and endless:
        return []  # without a target there is none to reach
    if not r["flash_reachable"]:
        if not r["flash_loan"]:
            return ["  no flash loan reaches the target within the limits"]
        far = f"supply {amount(r['flash_supply'])}, debt {amount(r['flash_borrow'])}"
        return [f"  no flash loan reaches the target within the limits; the largest leads to {far}"]
    if not r["flash_loan"]:
        return []
    gas = r["flash_cost"] - r["flash_fees"] - r["flash_swap_cost"] if given["gas"] else 0.0
    shown = _costs(r["flash_cost"], r["flash_fees"], r["flash_swap_cost"], gas)
    lines = [f"  in one transaction with a flash loan of {amount(r['flash_loan'])}: cost {shown}"]
    even = r["break_even_gas"]
    if even == math.inf:
        lines.append("  the loop is the cheaper way whatever gas costs")
    elif even == even:  # noqa: PLR0124 - NaN: only one way leads there
        lines.append(f"  the flash loan is the cheaper way once an operation costs more than {amount(even)} of gas")
    return lines


def _bounds(r: Numbers) -> list[str]:
    if "supply_bound" not in r:
        return []
    bound, largest = amount(r["supply_bound"]), amount(r["flash_supply_bound"])
    return [f"  no number of rounds exceeds a supply of {bound}; a flash loan reaches at most {largest}"]


def _notes(r: Numbers, given: Numbers) -> list[str]:
    notes = []
    if r.get("shortfall"):
        notes.append(f"  shortfall: selling all collateral would leave {amount(r['shortfall'])} of debt")
    if "first_step" in r and not r["first_step"] and r["status"] >= PlanStatus.ROUNDS:
        least = ratio(given["min_health_factor"])
        notes.append(f"  nothing can be withdrawn at a health factor of at least {least}: repay from elsewhere first")
    return notes


def of_operations(operations: Mapping[str, npt.NDArray[Any]]) -> str:
    """Draw the table of operations, whole or its first and last rows; empty where there is none."""
    count = len(operations["operation"])
    if count == 0:
        return ""
    cut = count > 2 * _SHOWN
    shown = [*range(_SHOWN), *range(count - _SHOWN, count)] if cut else list(range(count))
    columns = [[heading, *_cells(name, [operations[name][row] for row in shown])] for heading, name in _COLUMNS]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        " ".join(_placed(cell, width, name) for cell, width, (_, name) in zip(row, widths, _COLUMNS, strict=True))
        for row in zip(*columns, strict=True)
    ]
    if cut:
        lines.insert(1 + _SHOWN, f"{'...':>{widths[0]}}")
    return "\n".join(["", *lines])


def _placed(cell: str, width: int, name: str) -> str:
    return f"{cell:<{width}}" if name == "action" else f"{cell:>{width}}"


def _cells(name: str, values: list[Any]) -> list[str]:
    if name == "action":
        return [ACTION_WORDS[PlanAction(int(value))] for value in values]
    return [ratio(float(value)) for value in values] if name in ("health_factor", "ltv") else column(values)


def of_many(r: Mapping[str, npt.NDArray[Any]]) -> str:
    """Describe many plans by how they end, and those that get there by what they cost."""
    size = r["status"].size
    if size == 0:
        return "no plans"
    lines = [f"{counted(size, 'plan')}, {counted(int(r['operations_made'].sum()), 'operation')}"]
    for status, words in STATUS_WORDS.items():
        count = int(np.count_nonzero(r["status"] == status))
        if count:
            lines.append(f"  {words:<52}{count:>12,}{count / size:>9.2%}")
    flash = int(np.count_nonzero(r["flash_reachable"]))
    lines.append(f"  {'(of all) a flash loan reaches the target':<52}{flash:>12,}{flash / size:>9.2%}")
    there = r["status"] == PlanStatus.REACHED
    if there.any():
        lines += ["", f"those that reach it by rounds:{'':<22}{'5 %':>12} {'median':>12} {'95 %':>12}"]
        for name in ("operations_made", "cost", "lowest_health_factor"):
            low, middle, high = (f"{q:,.6g}" for q in np.quantile(r[name][there], (0.05, 0.5, 0.95)))
            lines.append(f"  {name.replace('_', ' '):<50}{low:>12} {middle:>12} {high:>12}")
    return "\n".join(lines)
