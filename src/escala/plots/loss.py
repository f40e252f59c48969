"""Pictures of what is lost, 1 − efficiency, on logarithmic axes: what lies below 1 % cannot be seen on others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.curves.curveset import CurveSet
from escala.plots import canvas
from escala.plots.curve import (
    Records,
    capitals,
    draw_by_parts,
    grid_of,
    left_edge,
    mark_limits,
    one_curve,
    right_edge,
    share_of_records,
    title_of,
    warnings_of,
)
from escala.plots.efficiency import checked_curves, draw_many, leftmost, legend_of_many, names_at_the_ends
from escala.text.numerals import counted

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

#: Smallest loss that is shown as one: what lies below is rounding.
_LEAST: Final = 1e-9
_MOST_DECADES: Final = 1e-6  # of the largest loss
_LABEL: Final = "loss, 1 − efficiency"


def loss_curve(
    curves: CurveSet,
    symbol: str | None = None,
    *,
    capital: npt.ArrayLike | None = None,
    efficiency: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.95,
    drop: float = 0.10,
    points: npt.ArrayLike | None = None,
    up_to: float | None = None,
    currency: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what one instrument loses, 1 − efficiency, over capital, both on logarithmic axes.

    Parameters
    ----------
    curves, symbol, capital, efficiency, weights, level, drop, points, up_to, currency, ax
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

    Notes
    -----
    A loss of 0 has no place on a logarithmic axis: losses below the lower edge are drawn on it, and the legend says how
    many records these are.

    Examples
    --------
    >>> curves = CurveSet.from_params(["A"], "linear", [[-1e-6, 1.0]], trusted_to=1e6)
    >>> ax = loss_curve(curves, capital=[1e3, 1e5], efficiency=[1.0, 0.9])
    >>> ax.get_legend().get_texts()[1].get_text()
    '1 record on the lower edge: 0.01 % or less'
    """
    ax = canvas.drawing_area(ax)
    curve = one_curve(curves, symbol)
    records = Records.checked(capital, efficiency, weights)
    asked = capitals(points)
    prediction = curve.predict(asked, level=level)
    right = right_edge(curve, curve.saturation(drop), up_to, records.capital, asked)
    left = left_edge(curve, right, records.capital, asked)
    grid = grid_of(curve, right, True)
    known = bool(curve.has_curve[0])
    trusted = grid[(grid <= curve.trusted_to[0]) & (grid >= left)] if known else np.empty(0)
    said = [1.0 - records.efficiency, 1.0 - prediction.efficiency, 1.0 - curve.efficiency(trusted)]
    floor, top = _edges(np.concatenate(said))

    canvas.dress(ax, title_of(curve), canvas.unit("capital", currency), _LABEL)
    ax.set(xscale="log", yscale="log", xlim=(left, right), ylim=(floor, top))
    handles = _records(ax, records, floor)
    if known:
        handles += _curve(ax, curve, grid, level, floor)
        handles += mark_limits(ax, curve, drop, right)
    if asked.size:
        handles.append(_asked(ax, asked, prediction, floor))
    canvas.number_axis(ax, "x", log=True, ticks=5 if canvas.narrow(ax) else 6)
    canvas.number_axis(ax, "y", log=True, percent=True)
    canvas.legend_below(ax, handles, [*records.notes(right), *warnings_of(curve)])
    return ax


def _edges(losses: Floats) -> tuple[float, float]:
    """Find the decades that losses need: not those of rounding, and not more than six below the largest."""
    there = losses[np.isfinite(losses) & (losses > _LEAST)]
    top = min(1.0, float(there.max())) if there.size else 1.0
    least = float(np.maximum(there, top * _MOST_DECADES).min()) if there.size else top * 0.1
    floor = 10.0 ** np.floor(np.log10(least) + _LEAST)
    return (floor if floor < least else 0.1 * floor), min(1.6 * top, 1.2)


def _records(ax: Axes, records: Records, floor: float) -> list[Artist]:
    """Draw the losses of records; those that have none lie on the lower edge, which is said."""
    loss = 1.0 - records.efficiency
    handles = records.draw(ax, np.maximum(loss, floor))
    below = loss <= floor
    if below.any():
        look: dict[str, Any] = {"marker": "v", "color": canvas.GREY, "markersize": 6.0, "linestyle": "none"}
        ax.plot(
            records.capital[below], np.full(int(below.sum()), floor), markerfacecolor="white", clip_on=False, zorder=5,
            **look,
        )  # fmt: skip
        label = f"{counted(int(below.sum()), 'record')} on the lower edge: {canvas.percent(floor)} or less"
        handles.append(canvas.sample(label, markerfacecolor="white", **look))
    return handles


def _curve(ax: Axes, curve: CurveSet, grid: Floats, level: float, floor: float) -> list[Artist]:
    predicted = curve.predict(grid, level=level)
    handles = draw_by_parts(ax, curve, grid, np.maximum(1.0 - predicted.efficiency, floor))
    trusted = (grid <= curve.trusted_to[0]) & (predicted.high - predicted.low < 1.0)
    if trusted.any() and curve.df_resid[0] > 0.0:
        band = ax.fill_between(
            grid[trusted], np.maximum(1.0 - predicted.high[trusted], floor),
            np.maximum(1.0 - predicted.low[trusted], floor), color=canvas.SKY, alpha=0.35, linewidth=0.0, zorder=1.5,
            label=share_of_records(level),
        )  # fmt: skip
        handles.append(band)
    return handles


def _asked(ax: Axes, capital: Floats, prediction: Any, floor: float) -> Artist:
    """Mark predictions with their intervals; those of no curve are left out."""
    known = np.isfinite(prediction.efficiency)
    value, least, most = (
        np.maximum(1.0 - column[known], floor) for column in (prediction.efficiency, prediction.high, prediction.low)
    )
    reach = np.maximum(np.stack([value - least, most - value]), 0.0)
    reach[:, (prediction.low[known] <= 0.0) & (prediction.high[known] >= 1.0)] = 0.0
    look: dict[str, Any] = {"color": canvas.BLACK, "markersize": 5.5, "markerfacecolor": canvas.YELLOW}
    ax.errorbar(capital[known], value, yerr=reach, fmt="D", capsize=3.5, linewidth=1.2, zorder=6, **look)
    return canvas.sample(f"{counted(capital.size, 'prediction')} asked for", marker="D", linestyle="none", **look)


def loss_curves(curves: CurveSet, *, currency: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw what several instruments lose, eight with their names at their ends, up to 200 more thin and without.

    Parameters
    ----------
    curves, currency, ax
        As in :func:`efficiency_curves`.

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
    Lines are as in :func:`efficiency_curves`; what loses less than the lower edge runs along it.
    """
    ax = canvas.drawing_area(ax)
    drawn, edges, right = checked_curves(curves)
    begins = [left_edge(curve, edge) for curve, edge in zip(drawn, edges, strict=True)]
    ends = [*begins, *edges]
    losses = [1.0 - curve.efficiency(np.array(ends[k :: len(drawn)])) for k, curve in enumerate(drawn)]
    floor, _ = _edges(np.concatenate([np.empty(0), *losses]))

    def loss(curve: CurveSet, capital: Floats) -> Floats:
        return np.maximum(1.0 - curve.efficiency(capital), floor)

    canvas.dress(ax, f"{counted(len(curves), 'instrument')}", canvas.unit("capital", currency), _LABEL)
    ax.set(xscale="log", yscale="log", xlim=(leftmost(drawn, edges, right), right), ylim=(floor, 1.2))
    draw_many(ax, drawn, edges, True, loss)
    canvas.number_axis(ax, "x", log=True)
    canvas.number_axis(ax, "y", log=True, percent=True)
    names_at_the_ends(ax, drawn[:8], edges, loss)
    legend_of_many(ax, curves, drawn)
    return ax
