"""Allocations in words and tables."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.curves.curveset import CurveSet
from escala.text.numerals import capital, counted
from escala.text.visible import in_line


class _Answer(Protocol):
    """What a description needs of an allocation: see :class:`escala.Allocation`."""

    def __len__(self) -> int: ...

    @property
    def symbols(self) -> npt.NDArray[np.object_]: ...
    @property
    def curves(self) -> CurveSet: ...
    @property
    def total(self) -> Any: ...
    @property
    def money(self) -> Any: ...
    @property
    def amounts(self) -> Floats: ...
    @property
    def shares(self) -> Floats: ...
    @property
    def efficiency(self) -> Floats: ...
    @property
    def marginal(self) -> Floats: ...
    @property
    def priority(self) -> Floats: ...
    @property
    def utility(self) -> Any: ...
    @property
    def upper_bound(self) -> Any: ...
    @property
    def gap(self) -> Any: ...
    @property
    def shadow_price(self) -> Any: ...
    @property
    def global_efficiency(self) -> Any: ...
    @property
    def unallocated(self) -> Any: ...
    @property
    def below_threshold(self) -> npt.NDArray[np.bool_]: ...
    @property
    def binding_names(self) -> npt.NDArray[np.object_]: ...
    @property
    def status_name(self) -> Any: ...
    @property
    def contradicted(self) -> Any: ...
    @property
    def trades(self) -> Floats: ...
    @property
    def costs(self) -> Floats: ...
    @property
    def moves(self) -> bool: ...
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def group_amounts(self) -> Floats: ...
    @property
    def group_prices(self) -> Floats: ...
    @property
    def binding_groups(self) -> npt.NDArray[np.object_]: ...
    @property
    def hurdle(self) -> float: ...
    @property
    def greedy(self) -> bool: ...
    @property
    def drawn(self) -> bool: ...
    @property
    def first(self) -> _Answer | None: ...


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
    "held": "trading it would cost more than it gains",
    "group": "a limit of its group",
    "count": "min_count keeps it in",
    "lot": "its next lot returns less than the shadow price, or does not fit",
}
#: The same where there is no capital.
WHY_NOTHING = {
    "price": "the first unit would return less than the shadow price",
    "threshold": "min_efficiency lies beyond what they may hold, or only where they are not worth it",
    "count": "max_count",
    "ticket": "min_ticket lies beyond what they may hold, or is more than they are worth",
}
#: Of the greedy method.
NO_MORE_STEPS = "the money ended"
_SHOWN = 6


def of_allocation(found: _Answer, rows: int) -> str:
    """Describe one allocation with a line an instrument, or many with a line a problem."""
    return "\n".join(_of_one(found, rows) if np.ndim(found.total) == 0 else _of_many(found, rows))


def in_a_line(found: _Answer) -> str:
    """Say what was allocated, and how good it is."""
    if np.ndim(found.total):
        worst = f": gap up to {gap(np.max(found.gap))}" if np.size(found.gap) else ""
        return f"{np.size(found.total):,} problems over {len(found):,} instruments{worst}"
    held = int((found.amounts > 0.0).sum())
    return (
        f"{capital(float(found.amounts.sum()))} over {held:,} of {len(found):,} instruments: "
        f"utility {capital(float(found.utility))}, gap {gap(found.gap)}"
    )


def _of_one(found: _Answer, rows: int) -> list[str]:
    held = int((found.amounts > 0.0).sum())
    taken = ["the hurdle"] * (found.hurdle > 0.0) + ["costs"] * bool(found.costs.any())
    net = f" net of {' and '.join(taken)}" if taken else ""
    lines = [
        f"{capital(float(found.amounts.sum()))} of {capital(float(found.total))} allocated over {held:,} of "
        f"{len(found):,} instruments{_below(found)}",
        f"utility{net} {capital(float(found.utility))}, at most {capital(float(found.upper_bound))} is possible "
        f"(gap {gap(found.gap)}, {status(found.status_name, found.contradicted)}); "
        f"efficiency of the whole {_four(found.global_efficiency)}",
        f"one more unit of money would return {found.shadow_price:.4f} (shadow price)",
        *_left(found),
        *_traded(found),
    ]
    lines += ["", *_table(found, rows), *_groups(found), *_without(found), *_doubts(found)]
    return lines


def _below(found: _Answer) -> str:
    """Say how much works below min_efficiency: whoever asked for one may take it for a bound."""
    amount = float(found.amounts[found.below_threshold].sum())
    if amount <= 0.0:
        return ""
    return f", {capital(amount)} of it below min_efficiency (remainder is distribute; hold leaves that money out)"


def _left(found: _Answer) -> list[str]:
    """Say what stays out and why, and what the second solve placed."""
    lines = []
    reserve = float(found.total) - float(found.money)
    if reserve > 0.0:
        lines.append(f"{capital(reserve)} in reserve")
    if found.unallocated > 0.0:
        why = "more would return no more than the hurdle" if found.hurdle > 0.0 else "more would return nothing"
        stopped = np.isin(found.binding_names, ("upper", "share", "limit", "threshold", "ticket"))
        if stopped.any():
            why = "bounds leave no room for it where it would return more than the hurdle"
        lines.append(f"{capital(float(found.unallocated))} unallocated: {why}")
    if found.first is not None and found.below_threshold.any():
        left = float(found.first.unallocated)
        placed = float(found.amounts.sum() - found.first.amounts.sum())
        lines.append(
            f"min_efficiency left {capital(left)} over; a second solve placed {capital(placed)} of it, which takes "
            f"{counted(int(found.below_threshold.sum()), 'instrument')} below it (*)"
        )
    return lines


def _traded(found: _Answer) -> list[str]:
    """Say what is bought and sold, and what that costs."""
    if not found.moves:
        return []
    bought, sold = float(np.maximum(found.trades, 0.0).sum()), float(np.maximum(-found.trades, 0.0).sum())
    still = counted(int((found.trades == 0.0).sum()), "instrument")
    return [
        f"{capital(bought)} bought and {capital(sold)} sold at a cost of {capital(float(found.costs.sum()))}; "
        f"{still} not traded"
    ]


def _table(found: _Answer, rows: int) -> list[str]:
    """One line an instrument that holds capital, the largest first."""
    order = [i for i in np.argsort(-found.amounts, kind="stable").tolist() if found.amounts[i] > 0.0]
    if not order or not rows:
        return []
    symbols = {i: in_line(found.symbols[i]) for i in order[:rows]}
    width = max(map(len, ["symbol", *symbols.values()]))
    weighted = bool((found.priority != 1.0).any())
    marginal = found.marginal * found.priority
    header = "w·marginal" if weighted else "marginal"
    trade = f"{'trade':>16}" if found.moves else ""
    lines = [f"{'symbol':<{width}}{'capital':>16}{trade}{'of total':>10}{'efficiency':>12}{header:>12}  stops because"]
    for i, symbol in symbols.items():
        mark = "*" if found.below_threshold[i] else " "
        moved = f"{_signed(float(found.trades[i])):>16}" if trade else ""
        lines.append(
            f"{symbol:<{width}}{capital(float(found.amounts[i])):>16}{moved}{_of_total(found, i):>10.2%}"
            f"{_four(found.efficiency[i]):>11}{mark}{_four(marginal[i]):>12}  {_reason(found, i)}"
        )
    if len(order) > rows:
        lines.append(f"… and {len(order) - rows:,} more")
    return lines


def _groups(found: _Answer) -> list[str]:
    """Say which limits of groups bind, and what one more unit of them would return."""
    return [
        f"{in_line(name)} holds {capital(float(amount))}: one more unit of its limit would return {float(price):.4f}"
        for name, amount, price in zip(found.groups, found.group_amounts, found.group_prices, strict=True)
        if price != 0.0
    ]


def _signed(trade: float) -> str:
    return f"{'+' if trade > 0.0 else '−'}{capital(abs(trade))}" if trade else "0"


def _of_total(found: _Answer, i: int) -> float:
    """Give the share that max_share bounds."""
    return float(found.amounts[i]) / float(found.total)


def _reason(found: _Answer, i: int) -> str:
    name = found.binding_names[i]
    if name == "group":
        return f"the limit of {in_line(found.binding_groups[i])}"
    return NO_MORE_STEPS if found.greedy and name in ("none", "price") else REASONS[name]


def _doubts(found: _Answer) -> list[str]:
    """Say how much of the capital stands on curves that the records contradict, or say nothing of."""
    held = found.amounts > 0.0
    lines = []
    marked = held & found.curves.marked
    if marked.any():
        lines.append(
            f"{_percent(found.contradicted)} of it stands on {counted(int(marked.sum()), 'curve')} that the records "
            "contradict: they follow a pattern that the curve does not"
        )
    bare = held & (found.curves.n_points > 0) & (found.curves.df_resid <= 0.0)
    if bare.any():
        lines.append(f"nothing is known of the error of {counted(int(bare.sum()), 'curve')}: too few records")
    return lines


def _without(found: _Answer) -> list[str]:
    """Who holds nothing, by reason."""
    empty = found.amounts == 0.0
    lines = []
    for reason in dict.fromkeys(found.binding_names[empty].tolist()):
        symbols = found.symbols[empty & (found.binding_names == reason)].tolist()
        shown = ", ".join(map(in_line, symbols[:_SHOWN])) + (
            f" and {len(symbols) - _SHOWN:,} more" if len(symbols) > _SHOWN else ""
        )
        why = NO_MORE_STEPS if found.greedy and reason == "none" else WHY_NOTHING.get(reason, REASONS[reason])
        lines.append(f"nothing for {len(symbols):,}, {why}: {shown}")
    return lines


def _of_many(found: _Answer, rows: int) -> list[str]:
    shape = np.shape(found.total)
    totals, held = np.ravel(found.total), (found.amounts > 0.0).sum(axis=-1).ravel()
    placed = found.amounts.sum(axis=-1).ravel()
    below = found.below_threshold.sum(axis=-1).ravel()
    places = [",".join(map(str, place)) for place in np.ndindex(shape)] if found.drawn else [""] * totals.size
    wide = max([len("draw"), *map(len, places)]) + 2 if found.drawn else 0
    last = f"{'below threshold':>17}" if below.any() else ""
    lines = [
        f"{totals.size:,} problems over {len(found):,} instruments{_any_below(below)}",
        "",
        f"{'draw':<{wide}.{wide}}{'total':>16}{'allocated':>16}{'utility':>16}{'efficiency':>12}{'shadow price':>14}"
        f"{'gap':>9}{'held':>7}{last}",
    ]
    columns = [np.ravel(column) for column in (found.utility, found.global_efficiency, found.shadow_price, found.gap)]
    for k in range(min(rows, totals.size)):
        utility, efficiency, price, open_gap = (float(column[k]) for column in columns)
        lines.append(
            f"{places[k]:<{wide}}{capital(float(totals[k])):>16}{capital(float(placed[k])):>16}{capital(utility):>16}"
            f"{_four(efficiency):>12}{price:>14.4f}{gap(open_gap):>9}{held[k]:>7,}{f'{below[k]:>17,}' if last else ''}"
        )
    if totals.size > rows:
        lines.append(f"… and {totals.size - rows:,} more")
    return lines


def _any_below(below: npt.NDArray[np.integer[Any]]) -> str:
    many = int((below > 0).sum())
    return f", in {many:,} of them capital below min_efficiency (remainder is distribute)" if many else ""


def gap(value: float) -> str:
    """Write a gap: in percent where it matters, else its order of magnitude."""
    if value <= 1e-12:
        return "0"
    return f"{value:.1%}" if value >= 1e-3 else f"{value:.0e}"


def status(name: str, contradicted: float) -> str:
    """Write a status: what stands on curves that the records contradict is optimal for these curves, and no more."""
    if name == "optimal" and contradicted > 0.0:
        return "best for these curves"
    return {"optimal": "optimal", "gap_open": "not closed"}[name]


def status_text(name: str, contradicted: float) -> str:
    """Write a status, with how much stands on curves that the records contradict."""
    said = status(name, contradicted)
    if contradicted <= 0.0:
        return said
    return f"{said}; {_percent(contradicted)} of it stands on curves that the records contradict"


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %" if share >= 0.01 else "less than 1 %"


def _four(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.4f}"
