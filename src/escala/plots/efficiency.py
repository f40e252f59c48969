"""Pictures of efficiency curves: what was seen, what is said of it, and where it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, check_flag
from escala.curves.curveset import CurveSet
from escala.errors import InputError
from escala.plots import canvas
from escala.plots.curve import (
    DECADES,
    EXTRAPOLATED,
    MARGIN,
    Records,
    capitals,
    draw_by_parts,
    grid_of,
    left_edge,
    mark_limits,
    one_curve,
    parts_of,
    right_edge,
    share_of_records,
    title_of,
    warnings_of,
)
from escala.text.numerals import counted

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_LABELLED: Final = 8  # curves that have room for a name
_THIN: Final = 200  # more that are drawn
_APART: Final = 0.075  # of an axes' height between two names


def efficiency_curve(
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
    log: bool = False,
    currency: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one instrument's curve: data, prediction band, saturation, capacity and where trust ends.

    Parameters
    ----------
    curves : CurveSet
        One curve, or the set that `symbol` is in.
    symbol : str, optional
        Which; needed if there are several.
    capital, efficiency : (m,) array, optional
        Records, drawn as points; what is not finite is counted instead.
    weights : (m,) array, optional
        Of the records: areas of the points follow them.
    level : float
        Of the prediction band and the error bars, in (0, 1).
    drop : float
        Share of the highest efficiency whose loss is called saturation, in (0, 1].
    points : float or array, optional
        Capitals whose prediction is marked, with its interval.
    up_to : float, optional
        Largest capital shown; by default a little beyond what the curve is trusted for.
    log : bool
        Whether capital is drawn on a logarithmic axis.
    currency : str, optional
        Unit of capital, for the axis.
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
    The line is solid within the observed capitals, dashed outside, dotted beyond the curve's limit. Saturation and
    capacity that are not within the limit are said, not drawn. The vertical spans are their 90 % intervals.

    Examples
    --------
    >>> curves = CurveSet.from_params(["A"], "linear", [[-1e-6, 1.0]], trusted_to=1e6)
    >>> ax = efficiency_curve(curves, currency="USD")
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['curve', '10 % lost at 100 k', 'capacity at 500 k', 'trust ends at 1 M']
    """
    check_flag("log", log, InputError)
    ax = canvas.drawing_area(ax)
    curve = one_curve(curves, symbol)
    records = Records.checked(capital, efficiency, weights)
    asked = capitals(points)
    prediction = curve.predict(asked, level=level)
    found = curve.saturation(drop)
    right = right_edge(curve, found, up_to, records.capital, asked)
    known = bool(curve.has_curve[0])

    canvas.dress(ax, title_of(curve), canvas.unit("capital", currency), "efficiency")
    handles = records.draw(ax)
    if known:
        handles += _curve(ax, curve, level, right, log)
        handles += mark_limits(ax, curve, drop, right)
    if asked.size:
        handles.append(_asked(ax, asked, prediction))
    ax.set_xlim(left_edge(curve, right, records.capital, asked) if log else 0.0, right)
    canvas.number_axis(ax, "x", log=log, ticks=5 if canvas.narrow(ax) else 6)
    ax.set_ylim(*_heights(curve, records.efficiency[records.capital <= right], prediction, right))
    canvas.legend_below(ax, handles, [*records.notes(right), *warnings_of(curve)])
    return ax


def _curve(ax: Axes, curve: CurveSet, level: float, right: float, log: bool) -> list[Artist]:
    grid = grid_of(curve, right, log)
    predicted = curve.predict(grid, level=level)
    handles = draw_by_parts(ax, curve, grid, predicted.efficiency)
    trusted = grid <= curve.trusted_to[0]
    if curve.df_resid[0] > 0.0:
        band = ax.fill_between(
            grid[trusted], predicted.low[trusted], predicted.high[trusted], color=canvas.SKY, alpha=0.35, linewidth=0.0,
            zorder=1.5, label=share_of_records(level),
        )  # fmt: skip
        handles.append(band)
    return handles


def _asked(ax: Axes, capital: Floats, prediction: Any) -> Artist:
    """Mark predictions with their intervals; those of no curve are left out."""
    known = np.isfinite(prediction.efficiency)
    value = prediction.efficiency[known]
    low, high = prediction.low[known], prediction.high[known]
    reach = np.stack([value - low, high - value])
    reach[:, (low <= 0.0) & (high >= 1.0)] = 0.0  # from 0 to 1 says nothing, and looks like a limit
    ax.errorbar(
        capital[known], value, yerr=np.maximum(reach, 0.0), fmt="D", color=canvas.BLACK, markersize=5.5, capsize=3.5,
        markerfacecolor=canvas.YELLOW, linewidth=1.2, zorder=6,
    )  # fmt: skip
    return canvas.sample(
        f"{counted(capital.size, 'prediction')} asked for", marker="D", markersize=5.5, color=canvas.BLACK,
        markerfacecolor=canvas.YELLOW, linestyle="none",
    )  # fmt: skip


def _heights(curve: CurveSet, seen: Floats, prediction: Any, right: float) -> tuple[float, float]:
    """Find what efficiencies to show: curve and data in full, and never more than a little beyond [0, 1]."""
    shown = [seen, prediction.efficiency, prediction.low[prediction.low > 0.0], prediction.high[prediction.high < 1.0]]
    if curve.has_curve[0]:
        shown.append(curve.efficiency(np.linspace(0.0, min(right, float(curve.trusted_to[0])), 64)))
    every = np.concatenate(shown)
    every = every[np.isfinite(every)]
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    margin = max(0.06 * (high - low), 0.004)
    return max(low - margin, -0.03), min(high + margin, 1.03) if high <= 1.0 else high + margin


def efficiency_curves(
    curves: CurveSet,
    *,
    log: bool = True,
    currency: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw several curves, eight with their names at their ends, up to 200 more thin and without.

    Parameters
    ----------
    curves : CurveSet
        The curves; take some with ``curves[["A", "B"]]``.
    log : bool
        Whether capital is drawn on a logarithmic axis: instruments differ by orders of magnitude.
    currency : str, optional
        Unit of capital, for the axis.
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
    Lines are solid within the observed capitals and dashed up to the end of trust, where they end. Of more than eight
    curves those are named that divide all of them evenly by the capital at which a tenth of the efficiency is lost.
    """
    check_flag("log", log, InputError)
    ax = canvas.drawing_area(ax)
    drawn, edges, right = checked_curves(curves)
    canvas.dress(ax, f"{counted(len(curves), 'instrument')}", canvas.unit("capital", currency), "efficiency")
    draw_many(ax, drawn, edges, log, lambda curve, capital: curve.efficiency(capital))
    ax.set_xlim(leftmost(drawn, edges, right) if log else 0.0, right)
    canvas.number_axis(ax, "x", log=log)
    names_at_the_ends(ax, drawn[:_LABELLED], edges, lambda curve, capital: curve.efficiency(capital))
    legend_of_many(ax, curves, drawn)
    return ax


#: What is drawn of a curve at some capitals.
Values = Callable[[CurveSet, Floats], Floats]


def checked_curves(curves: Any) -> tuple[CurveSet, list[float], float]:
    """Give the curves that are drawn, those first that have names, where each ends, and the right edge."""
    if not isinstance(curves, CurveSet):
        raise InputError(f"curves must be a CurveSet, not {type(curves).__name__}", arguments=("curves",))
    every = curves[curves.has_curve]
    drawn = every[_spread_first(every)][: _LABELLED + _THIN]
    edges = [right_edge(curve, curve.saturation(), None) / MARGIN for curve in drawn]
    return drawn, edges, MARGIN * max(edges, default=1.0)


def leftmost(curves: CurveSet, edges: list[float], right: float) -> float:
    """Find the left edge of a logarithmic axis of several curves."""
    return min([left_edge(curve, edge) for curve, edge in zip(curves, edges, strict=True)], default=right / DECADES)


def draw_many(ax: Axes, curves: CurveSet, edges: list[float], log: bool, values: Values) -> None:
    """Draw curves up to their ends, the first eight so that names can tell them apart."""
    for k in reversed(range(len(curves))):
        _one_of_many(ax, curves[k], edges[k], k, log, values)


def legend_of_many(ax: Axes, curves: CurveSet, drawn: CurveSet, more: str = "") -> None:
    """Say what lines mean and what is not drawn, or not named."""
    known = int(np.count_nonzero(curves.has_curve))
    notes = [
        f"{counted(len(drawn) - _LABELLED, 'curve')} more, thin; named are eight spread over where 10 % is lost"
        if len(drawn) > _LABELLED
        else "",
        f"{counted(known - len(drawn), 'curve')} not drawn" if len(drawn) < known else "",
        f"{counted(len(curves) - known, 'instrument')} without a curve" if known < len(curves) else "",
        more,
    ]
    handles = [
        canvas.sample("within the data", color=canvas.GREY),
        canvas.sample("extrapolated, up to where trust ends", color=canvas.GREY, linestyle=EXTRAPOLATED),
    ]
    canvas.legend_below(ax, handles if len(drawn) else [], notes)


def _spread_first(curves: CurveSet) -> list[int]:
    """Put those curves first that divide all of them evenly by where they saturate; few stay as they are."""
    n = len(curves)
    if n <= _LABELLED:
        return list(range(n))
    ranked = np.argsort(curves.saturation().saturation, kind="stable")
    first: list[int] = ranked[np.linspace(0, n - 1, _LABELLED).round().astype(np.intp)].tolist()
    return first + [k for k in range(n) if k not in set(first)]


def _one_of_many(ax: Axes, curve: CurveSet, edge: float, place: int, log: bool, values: Values) -> None:
    named = place < _LABELLED
    colour = canvas.COLOURS[place % len(canvas.COLOURS)] if named else "0.75"
    grid = grid_of(curve, edge, log)
    for _, dash, where in parts_of(curve, grid)[:3]:
        if np.count_nonzero(where) > 1:
            ax.plot(
                grid[where], values(curve, grid[where]), color=colour, linestyle=dash,
                linewidth=1.8 if named else 0.7, zorder=3 if named else 2,
            )  # fmt: skip
    if named:
        end = float(np.nanmin([curve.observed[0, 1], edge]))
        ax.plot(
            [end], values(curve, np.array([end])), color=colour, marker=canvas.MARKERS[place], linestyle="none",
            zorder=4, label=canvas.plain(curve.symbols[0]),
        )  # fmt: skip


def names_at_the_ends(ax: Axes, curves: CurveSet, edges: list[float], values: Values) -> None:
    """Write names beside the axes, apart from each other, with a thin line to where each of the first curves ends."""
    low, high = ax.yaxis.get_transform().transform(ax.get_ylim())
    ends = np.array([float(values(curve, np.array([edge]))[0]) for curve, edge in zip(curves, edges, strict=False)])
    order = np.argsort(ends, kind="stable")
    heights = spread((ax.yaxis.get_transform().transform(ends[order]) - low) / (high - low), _APART)
    for height, k in zip(heights, order.tolist(), strict=True):
        ax.annotate(
            "", xy=(edges[k], ends[k]), xycoords="data", xytext=(1.025, height), textcoords="axes fraction",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": canvas.COLOURS[k], "linewidth": 0.8, "shrinkA": 0, "shrinkB": 1},
        )  # fmt: skip
        ax.text(
            1.045, height, canvas.plain(curves.symbols[k], 18), transform=ax.transAxes, va="center", fontsize="small"
        )
        ax.plot(
            [1.025], [height], transform=ax.transAxes, marker=canvas.MARKERS[k], color=canvas.COLOURS[k], markersize=5,
            clip_on=False, linestyle="none",
        )  # fmt: skip


def spread(heights: Floats, apart: float) -> Floats:
    """Move ascending heights in [0, 1] as little as needed to lie so far apart, from the bottom up and then back."""
    moved = np.clip(heights, 0.0, 1.0)
    for k in range(1, moved.size):
        moved[k] = max(moved[k], moved[k - 1] + apart)
    ceiling = 1.0
    for k in reversed(range(moved.size)):
        moved[k] = min(moved[k], ceiling)
        ceiling = moved[k] - apart
    return moved
