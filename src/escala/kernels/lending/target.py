"""What a target asks of a position: a line in supply and debt, on which a plan ends."""

from __future__ import annotations

from typing import Any

from escala.kernels.layout import plan_targets as t


def condition(kind: int, target: Any, borrow: Any) -> tuple[Any, Any, Any, Any]:
    """Write a target as aim + per_supply·supply − per_borrow·borrow = 0.

    Parameters
    ----------
    kind : int
        Code of the target.
    target, borrow : float, or arrays of them
        Its value, inf where all rounds are made, and the debt at the start.

    Returns
    -------
    tuple
        aim, per_supply, per_borrow, and 1 where collateral that is left is taken out at the end.
    """
    if kind == t.LEVERAGE:
        return 0.0, target - 1.0, target, 0.0
    if kind == t.LTV:
        return 0.0, target, 1.0, 0.0
    if kind == t.REPAY:
        return borrow - target, 0.0, 1.0, 0.0
    if kind == t.CLOSE:
        return 0.0, 0.0, 1.0, 1.0
    return target, -1.0, 0.0, 0.0
