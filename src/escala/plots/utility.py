"""Pictures of what capital returns, and of what the next unit of it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from escala.arrays import check_flag
from escala.curves.curveset import CurveSet
from escala.errors import InputError
from escala.plots import canvas
from escala.plots.curve import draw_by_parts, grid_of, left_edge, one_curve, right_edge, warnings_of
from escala.text.numerals import engineering

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_NEAR: Final = 1.5  # times what is drawn, up to which a ceiling is in the picture


def utility_curve(
    curves: CurveSet,
    symbol: str | None = None,
    *,
    up_to: float | None = None,
    log: bool = False,
    currency: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what capital really returns, capital × efficiency, beside what it would return without loss.

    Parameters
    ----------
    curves, symbol, up_to, log, currency, ax
        As in :func:`efficiency_curve`.

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
    check_flag("log", log, InputError)
    ax = canvas.drawing_area(ax)
    curve = one_curve(curves, symbol)
    found = curve.saturation()
    right = right_edge(curve, found, up_to)
    title = f"{canvas.plain(curve.symbols[0], 34)}: what capital returns"
    canvas.dress(ax, title, canvas.unit("capital", currency), canvas.unit("capital × efficiency", currency))
    handles: list[Artist] = []
    if curve.has_curve[0]:
        grid = grid_of(curve, right, log)
        handles += draw_by_parts(ax, curve, grid, curve.utility(grid))
        (ideal,) = ax.plot(grid, grid, color=canvas.GREY, linewidth=0.9, linestyle=(0, (8, 3)), label="without loss")
        handles += [ideal, *_capacity_point(ax, curve, float(found.capacity[0]), right)]
        handles += _ceiling(ax, float(found.ceiling[0]), float(found.capacity[0]))
        highest = max(float(curve.utility(grid).max()), 1e-300)
        ceiling = float(found.ceiling[0])
        ax.set_ylim(0.0, 1.15 * (ceiling if highest < ceiling < _NEAR * highest else highest))
    ax.set_xlim(left_edge(curve, right) if log else 0.0, right)
    canvas.number_axis(ax, "x", log=log, ticks=5 if canvas.narrow(ax) else 6)
    canvas.number_axis(ax, "y")
    canvas.legend_below(ax, handles, [] if curve.has_curve[0] else warnings_of(curve))
    return ax


def _capacity_point(ax: Axes, curve: CurveSet, capacity: float, right: float) -> list[Artist]:
    if not np.isfinite(capacity):
        return [canvas.sample("capacity: beyond the limit", linestyle="none")]
    highest = float(curve.utility(capacity)[0])
    if capacity <= right:
        ax.plot([capacity], [highest], marker="^", color=canvas.GREEN, markersize=9, linestyle="none", zorder=5)
    label = f"capacity {engineering(capacity)}, returns {engineering(highest)}"
    return [canvas.sample(label, marker="^", color=canvas.GREEN, markersize=8, linestyle="none")]


def _ceiling(ax: Axes, ceiling: float, capacity: float) -> list[Artist]:
    """Draw the most that comes out, where it is not what the capacity returns already."""
    if not np.isfinite(ceiling) or np.isfinite(capacity):
        return []
    label = f"at most {engineering(ceiling)} comes out"
    look: dict[str, Any] = {"color": canvas.GREEN, "linestyle": (0, (1.5, 1.5)), "linewidth": 1.8}
    ax.axhline(ceiling, zorder=2.5, label=label, **look)
    return [canvas.sample(label, **look)]


def marginal_curve(
    curves: CurveSet,
    symbol: str | None = None,
    *,
    level: float = 0.95,
    up_to: float | None = None,
    log: bool = False,
    currency: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what the next unit of capital returns, with the interval of the curve: allocations go by this number.

    Parameters
    ----------
    curves, symbol, up_to, log, currency, ax
        As in :func:`efficiency_curve`.
    level : float
        Of the interval, in (0, 1).

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
    check_flag("log", log, InputError)
    ax = canvas.drawing_area(ax)
    curve = one_curve(curves, symbol)
    right = right_edge(curve, curve.saturation(), up_to)
    title = f"{canvas.plain(curve.symbols[0], 34)}: what the next unit returns"
    canvas.dress(ax, title, canvas.unit("capital", currency), "marginal utility")
    handles: list[Artist] = []
    if curve.has_curve[0]:
        grid = grid_of(curve, right, log)
        predicted = curve.predict(grid, level=level)
        handles += draw_by_parts(ax, curve, grid, predicted.marginal)
        known = (grid <= curve.trusted_to[0]) & (predicted.marginal_high - predicted.marginal_low < 1.0)
        if known.any():
            band = ax.fill_between(
                grid[known], predicted.marginal_low[known], predicted.marginal_high[known], color=canvas.ORANGE,
                alpha=0.3, linewidth=0.0, zorder=1.5, label=f"{100.0 * level:.4g} % interval of the curve",
            )  # fmt: skip
            handles.append(band)
        lowest = float(np.min(predicted.marginal[grid <= max(curve.trusted_to[0], grid[0])]))
        ax.set_ylim(min(-0.03, 1.1 * lowest), 1.05)
    ax.set_xlim(left_edge(curve, right) if log else 0.0, right)
    canvas.number_axis(ax, "x", log=log, ticks=5 if canvas.narrow(ax) else 6)
    canvas.number_axis(ax, "y")
    canvas.legend_below(ax, handles, [] if curve.has_curve[0] else warnings_of(curve))
    return ax
