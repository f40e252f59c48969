"""Allocations over periods in words and tables."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from escala.allocation.summary import gap, status
from escala.arrays import Floats
from escala.text.numerals import capital, counted
from escala.text.visible import in_line

_SHOWN: Final = 2  # instruments of a period
_SHOWN_FROM: Final = 5e-5  # prices of limits, which are written with four decimals


class _Answer(Protocol):
    """What a description needs: see :class:`escala.PeriodAllocation`."""

    @property
    def symbols(self) -> npt.NDArray[np.object_]: ...
    @property
    def arrived(self) -> Floats: ...
    @property
    def available(self) -> Floats: ...
    @property
    def amounts(self) -> Floats: ...
    @property
    def spent(self) -> Floats: ...
    @property
    def carried(self) -> Floats: ...
    @property
    def prices(self) -> Floats: ...
    @property
    def limit_prices(self) -> Floats: ...
    @property
    def symbol_prices(self) -> Floats: ...
    @property
    def utility(self) -> float: ...
    @property
    def upper_bound(self) -> float: ...
    @property
    def gap(self) -> float: ...
    @property
    def hurdle(self) -> float: ...
    @property
    def status_name(self) -> str: ...
    @property
    def below_threshold(self) -> npt.NDArray[np.bool_]: ...
    @property
    def contradicted(self) -> float: ...


def in_a_line(found: _Answer) -> str:
    """Say what was allocated, and how good it is."""
    periods, n = found.amounts.shape
    return (
        f"{capital(float(found.amounts.sum()))} over {counted(periods, 'period')} and {counted(n, 'instrument')}: "
        f"utility {capital(found.utility)}, gap {gap(found.gap)}"
    )


def of_periods(found: _Answer, rows: int) -> str:
    """Describe it with a line a period."""
    periods, n = found.amounts.shape
    net = " net of the hurdle" if found.hurdle > 0.0 else ""
    lines = [
        f"{capital(float(found.amounts.sum()))} of {capital(float(found.arrived.sum()))} spent in "
        f"{counted(periods, 'period')} over {counted(n, 'instrument')}{_below(found)}",
        f"utility{net} {capital(found.utility)}, at most {capital(found.upper_bound)} is possible "
        f"(gap {gap(found.gap)}, {status(found.status_name, found.contradicted)})",
        "",
        *_table(found, rows),
        *_symbols(found),
    ]
    if found.contradicted > 0.0:
        lines.append(f"{found.contradicted:.0%} of it stands on curves that the records contradict")
    return "\n".join(lines)


def _below(found: _Answer) -> str:
    """Say how much works below min_efficiency: whoever asked for one may take it for a bound."""
    amount = float(found.amounts[found.below_threshold].sum())
    return f", {capital(amount)} of it below min_efficiency (remainder is distribute)" if amount > 0.0 else ""


def _table(found: _Answer, rows: int) -> list[str]:
    """One line a period."""
    periods = found.amounts.shape[0]
    if not rows:
        return []
    lines = [f"{'period':>6}{'arrives':>16}{'there is':>16}{'spent':>16}{'left':>16}{'next unit':>11}  most in"]
    for t in range(min(rows, periods)):
        figures = (found.arrived[t], found.available[t], found.spent[t], found.carried[t])
        lines.append(
            f"{t:>6}{''.join(f'{capital(float(one)):>16}' for one in figures)}{float(found.prices[t]):>11.4f}"
            f"  {_largest(found, t)}{_limit(found, t)}"
        )
    if periods > rows:
        lines.append(f"… and {periods - rows:,} more")
    return lines


def _largest(found: _Answer, t: int) -> str:
    """Name the instruments that most is spent on."""
    order = np.argsort(-found.amounts[t], kind="stable")[:_SHOWN].tolist()
    named = [
        f"{in_line(found.symbols[i])} {capital(float(found.amounts[t, i]))}" for i in order if found.amounts[t, i] > 0.0
    ]
    return ", ".join(named) or "–"


def _limit(found: _Answer, t: int) -> str:
    """Say what one more unit of the limit of a period would return."""
    price = float(found.limit_prices[t])
    if abs(price) < _SHOWN_FROM:
        return ""
    return f" (period_{'upper' if price > 0.0 else 'lower'}: one more unit would return {price:.4f} besides)"


def _symbols(found: _Answer) -> list[str]:
    """Say which symbols are at their limit over all periods."""
    held = found.amounts.sum(axis=0)
    return [
        f"{in_line(found.symbols[i])} is at its symbol_upper {capital(float(held[i]))}: one more unit would return "
        f"{float(found.symbol_prices[i]):.4f} besides"
        for i in np.flatnonzero(found.symbol_prices >= _SHOWN_FROM).tolist()
    ]
