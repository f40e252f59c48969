"""Allocations in words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from escala.numerals import capital

if TYPE_CHECKING:
    from escala.allocation import Allocation

#: Why an instrument's capital ends where it does, by the names of :class:`escala.Binding`.
REASONS = {
    "none": "its next unit returns the shadow price",
    "price": "its next unit returns less than the shadow price",
    "lower": "lower keeps it up",
    "upper": "upper",
    "share": "max_share",
    "limit": "its curve is trusted no further",
    "threshold": "min_efficiency",
    "ticket": "min_ticket keeps it up",
    "no_curve": "there is no curve",
}
#: The same where there is no capital.
WHY_NOTHING = {
    "price": "the first unit would return less than the shadow price",
    "threshold": "min_efficiency is not reached, or only by more than they are worth",
    "ticket": "min_ticket is more than they are worth",
}
_SHOWN = 6


def of_allocation(found: Allocation, rows: int) -> str:
    """Describe one allocation with a line an instrument, or many with a line a problem."""
    return "\n".join(_of_one(found, rows) if np.ndim(found.total) == 0 else _of_many(found, rows))


def in_a_line(found: Allocation) -> str:
    """Say what was allocated, and how good it is."""
    if np.ndim(found.total):
        return f"{np.size(found.total):,} problems over {len(found):,} instruments: gap up to {gap(np.max(found.gap))}"
    held = int((found.amounts > 0.0).sum())
    return (
        f"{capital(float(found.amounts.sum()))} over {held:,} of {len(found):,} instruments: "
        f"utility {capital(float(found.utility))}, gap {gap(found.gap)}"
    )


def _of_one(found: Allocation, rows: int) -> list[str]:
    held = int((found.amounts > 0.0).sum())
    lines = [
        f"{capital(float(found.amounts.sum()))} of {capital(float(found.total))} allocated "
        f"({found.utilisation:.2%} of what may be) over {held:,} of {len(found):,} instruments",
        f"utility {capital(float(found.utility))}, at most {capital(float(found.upper_bound))} is possible "
        f"(gap {gap(found.gap)}, {status(found.status_name)}); "
        f"efficiency of the whole {_four(found.global_efficiency)}",
        f"one more unit of money would return {found.shadow_price:.4f} (shadow price)",
    ]
    if found.first is not None and found.below_threshold.any():
        moved = float(found.amounts.sum() - found.first.amounts.sum())
        lines.append(
            f"{capital(moved)} found no place under min_efficiency and went, in a second solve, where it adds most: "
            f"{int(found.below_threshold.sum())} instruments lie below it (*)"
        )
    lines += ["", *_table(found, rows), *_without(found)]
    return lines


def _table(found: Allocation, rows: int) -> list[str]:
    """One line an instrument that holds capital, the largest first."""
    order = [i for i in np.argsort(-found.amounts, kind="stable").tolist() if found.amounts[i] > 0.0]
    if not order:
        return []
    width = max(len("symbol"), *(len(found.symbols[i]) for i in order[:rows]))
    lines = [f"{'symbol':<{width}}{'capital':>16}{'share':>8}{'efficiency':>12}{'marginal':>10}  stops because"]
    for i in order[:rows]:
        mark = "*" if found.below_threshold[i] else " "
        lines.append(
            f"{found.symbols[i]:<{width}}{capital(float(found.amounts[i])):>16}{found.shares[i]:>8.2%}"
            f"{_four(found.efficiency[i]):>11}{mark}{_four(found.marginal[i]):>10}  {REASONS[found.binding_names[i]]}"
        )
    if len(order) > rows:
        lines.append(f"… and {len(order) - rows:,} more")
    return lines


def _without(found: Allocation) -> list[str]:
    """Who holds nothing, by reason."""
    empty = found.amounts == 0.0
    lines = []
    for reason in dict.fromkeys(found.binding_names[empty].tolist()):
        symbols = found.symbols[empty & (found.binding_names == reason)].tolist()
        shown = ", ".join(symbols[:_SHOWN]) + (f" and {len(symbols) - _SHOWN:,} more" if len(symbols) > _SHOWN else "")
        lines.append(f"nothing for {len(symbols):,}, {WHY_NOTHING.get(reason, REASONS[reason])}: {shown}")
    return lines


def _of_many(found: Allocation, rows: int) -> list[str]:
    totals, held = np.ravel(found.total), (found.amounts > 0.0).sum(axis=-1).ravel()
    placed = found.amounts.sum(axis=-1).ravel()
    below = found.below_threshold.sum(axis=-1).ravel()
    lines = [
        f"{totals.size:,} problems over {len(found):,} instruments",
        "",
        f"{'total':>16}{'allocated':>16}{'utility':>16}{'efficiency':>12}{'shadow price':>14}{'gap':>9}{'held':>7}"
        f"{'below threshold':>17}",
    ]
    columns = [np.ravel(column) for column in (found.utility, found.global_efficiency, found.shadow_price, found.gap)]
    for k in range(min(rows, totals.size)):
        utility, efficiency, price, open_gap = (float(column[k]) for column in columns)
        lines.append(
            f"{capital(float(totals[k])):>16}{capital(float(placed[k])):>16}{capital(utility):>16}"
            f"{_four(efficiency):>12}{price:>14.4f}{gap(open_gap):>9}{held[k]:>7,}{below[k]:>17,}"
        )
    if totals.size > rows:
        lines.append(f"… and {totals.size - rows:,} more")
    return lines


def gap(value: float) -> str:
    """Write a gap: its order of magnitude is what says something."""
    return "0" if value <= 1e-12 else f"{value:.0e}"


def status(name: str) -> str:
    """Write a status."""
    return {"optimal": "optimal", "gap_open": "search ended early"}[name]


def _four(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.4f}"
