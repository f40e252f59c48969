"""Pictures of a plan: the staircase of its operations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from escala.errors import InputError
from escala.lending.planned import Planned
from escala.plots import canvas
from escala.text.numerals import counted

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_FEW: Final = 40  # operations that are marked one by one
_HIGHEST: Final = 6.0  # times the least health factor: what is beyond would flatten the rest


def _planned(plan: Any) -> Any:
    if not isinstance(plan, Planned):
        raise InputError(f"plan must be a LeveragePlan or UnwindPlan, not {type(plan).__name__}", arguments=("plan",))
    if plan.size != 1:
        raise InputError(f"plan must be one plan, and there are {plan.size:,}", arguments=("plan",))
    return plan.operations


def plan_path(plan: Planned, *, currency: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw supply and debt after each operation of a plan, as a staircase.

    Parameters
    ----------
    plan : LeveragePlan or UnwindPlan
        One plan. Operation 0 is the start.
    currency : str, optional
        Unit of account, for the axis.
    ax : matplotlib Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If an argument is wrong; names it.
    MissingExtraError
        If matplotlib is not installed.
    """
    ax = canvas.drawing_area(ax)
    table = _planned(plan)
    steps = np.arange(table["operation"].size + 1)
    lines = (
        ("supply", float(np.reshape(plan.supply, ())), table["supply"], canvas.BLUE, "-", "o"),
        ("debt", float(np.reshape(plan.borrow, ())), table["borrow"], canvas.VERMILLION, (0, (6, 2)), "s"),
    )
    title = f"{counted(steps.size - 1, 'operation')}: {plan.plan_status.name.lower()}"
    canvas.dress(ax, title, "operation", canvas.unit("amount", currency))
    handles: list[Artist] = []
    for name, start, column, colour, dash, marker in lines:
        (line,) = ax.plot(
            steps, np.concatenate([[start], column]), color=colour, linestyle=dash, linewidth=1.8, label=name,
            drawstyle="steps-post", markersize=4, marker=marker if steps.size <= _FEW else "",
        )  # fmt: skip
        handles.append(line)
    _along(ax, steps)
    canvas.number_axis(ax, "y")
    canvas.legend_below(ax, handles)
    return ax


def plan_health(plan: Planned, *, ax: Axes | None = None) -> Axes:
    """Draw the health factor after each operation of a plan, the least that is wanted, and liquidation at 1.

    Parameters
    ----------
    plan : LeveragePlan or UnwindPlan
        One plan. Operation 0 is the start.
    ax : matplotlib Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If an argument is wrong; names it.
    MissingExtraError
        If matplotlib is not installed.

    Notes
    -----
    A factor far above the least one is cut at the upper edge; without debt it is infinite, and counted in the legend.
    """
    ax = canvas.drawing_area(ax)
    table = _planned(plan)
    steps = np.arange(table["operation"].size + 1)
    least = float(np.reshape(plan.terms.number("min_health_factor"), ()))
    supply, borrow = (float(np.reshape(value, ())) for value in (plan.supply, plan.borrow))
    threshold = float(np.reshape(plan.terms.number("liquidation_threshold"), ()))
    start = supply * threshold / borrow if borrow else math.inf
    health = np.concatenate([[start], table["health_factor"]])
    canvas.dress(ax, "health factor after each operation", "operation", "health factor")
    shown = np.minimum(np.where(np.isfinite(health), health, np.nan), _HIGHEST * least)
    (line,) = ax.plot(
        steps, shown, color=canvas.BLUE, linewidth=1.8, drawstyle="steps-post", label="health factor", markersize=4,
        marker="o" if steps.size <= _FEW else "",
    )  # fmt: skip
    handles: list[Artist] = [line] if np.isfinite(health).any() else []
    for level, name, dash, colour in (
        (least, f"least that a step may leave: {least:.4g}", (0, (6, 2)), canvas.VERMILLION),
        (1.0, "liquidation below 1", "-", canvas.BLACK),
    ):
        ax.axhline(level, color=colour, linestyle=dash, linewidth=1.4, zorder=2, label=name)
        handles.append(canvas.sample(name, color=colour, linestyle=dash, linewidth=1.4))
    free = int(np.count_nonzero(np.isinf(health)))
    notes = [f"without debt, infinite and not drawn: {free:,} of {health.size:,}"] if free else []
    if (np.isfinite(health) & (health > _HIGHEST * least)).any():
        notes.append(f"above {_HIGHEST * least:.4g} cut there")
    _along(ax, steps)
    canvas.number_axis(ax, "y")
    canvas.legend_below(ax, handles, notes)
    return ax


def _along(ax: Axes, steps: Any) -> None:
    """Number the operations; one alone keeps some room about it."""
    pad = max(0.02 * int(steps[-1]), 0.5)
    ax.set_xlim(-pad, int(steps[-1]) + pad)
    canvas.number_axis(ax, "x", integer=True)
    if steps.size == 1:
        ax.set_xticks([0])
