"""From what is held to what should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from escala import keyed
from escala.allocation.result import Allocation
from escala.arrays import Floats, one_number, to_floats
from escala.curves.curveset import CurveSet
from escala.engine.results import RebalancePlan
from escala.errors import AllocationError
from escala.tables import FINITE_FROM_ZERO


def by_symbol(current: Any) -> Mapping[str, float]:
    """Give what is held by symbol, from a mapping or an indexed Series.

    Raises
    ------
    AllocationError
        If it does not say which symbol each amount belongs to.
    """
    held = keyed.mapping("current", current, AllocationError)
    if held is None:
        message = f"current must be a mapping of symbols to capital, not {type(current).__name__}"
        raise AllocationError(message, arguments=("current",))
    return held


def holdings(current: Mapping[str, float], total: float | None) -> tuple[Floats, float]:
    """Check what is held, by symbol; give the capital of each and the total, by default their sum.

    Raises
    ------
    AllocationError
        Names the argument, the first bad entry and its value.
    """
    held = to_floats("current", list(current.values()), AllocationError)
    if held.ndim != 1:
        message = f"current must map each symbol to one number, not to arrays of shape {held.shape[1:]}"
        raise AllocationError(message, arguments=("current",))
    keyed.check_each("current", held, list(current), FINITE_FROM_ZERO, AllocationError)
    return held, float(held.sum()) if total is None else checked_total(total)


def checked_total(total: Any, name: str = "total_capital") -> float:
    """Check the money there is, given as an argument of that name.

    Raises
    ------
    AllocationError
        Names its value.
    """
    return one_number(name, total, FINITE_FROM_ZERO, AllocationError)


def plan(
    found: Allocation,
    curves: CurveSet,
    held: Floats,
    total: float,
    *,
    priority: Any,
    hurdle: float | None,
    threshold: float,
) -> RebalancePlan:
    """Compare what is held with the optimum, by the curves and weights that it was found with."""
    owned = float(held.sum())
    trades = found.trades
    moved = 0.5 * float(np.abs(trades).sum() + abs(trades.sum()))  # the second term is the cash's own change
    drift = moved / max(total, owned) if moved else 0.0
    returned = np.nan_to_num(curves.utility(held))  # nothing where there is no curve
    # utility is beyond the hurdle, and net of costs
    gain = float(found.utility) - float((np.asarray(priority) * returned).sum())
    if hurdle is not None:
        gain += hurdle * owned
    else:
        gain += max(0.0, -float(trades.sum()))
    return RebalancePlan(
        symbols=tuple(curves.symbols.tolist()),
        current=held,
        target=found.amounts,
        trades=trades,
        drift=drift,
        threshold=threshold,
        worth_it=drift > threshold and gain > 0.0,
        gain=gain,
        cost=float(found.costs.sum()),
        allocation=found,
    )
