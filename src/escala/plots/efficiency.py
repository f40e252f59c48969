"""Pictures of efficiency curves: what was seen, what is said of it, and where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.arrays import Floats, one_number, to_floats
from escala.curves.curveset import CurveSet
from escala.curves.prediction import Saturation
from escala.curves.summary import REASONS
from escala.errors import InputError
from escala.plots import canvas
from escala.tables import Interval
from escala.text.numerals import between, counted, engineering

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


_POSITIVE: Final = Interval(0.0, 1e300, low_open=True)
_GRID: Final = 400  # points of a curve
_MARGIN: Final = 1.04  # how far beyond what must be seen
_DECADES: Final = 1e4  # that a logarithmic axis shows where no data say where it begins
_LABELLED: Final = 8  # curves that have room for a name
_THIN: Final = 200  # more that are drawn
_APART: Final = 0.075  # of an axes' height between two names
_RASTERED: Final = 5000  # points from which a vector file holds them as an image
_EXTRAPOLATED: Final = (0, (5, 2.5))
_UNTRUSTED: Final = (0, (1, 2))


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
    ax = canvas.drawing_area(ax)
    curve = one_curve(curves, symbol)
    records = _Records.checked(capital, efficiency, weights)
    asked = _capitals(points)
    prediction = curve.predict(asked, level=level)
    found = curve.saturation(drop)
    right = _right(curve, found, up_to, records.capital, asked)
    known = bool(curve.has_curve[0])

    canvas.dress(ax, _title(curve), canvas.unit("capital", currency), "efficiency")
    handles = records.draw(ax)
    if known:
        handles += _curve(ax, curve, level, right, log)
        handles += _limits(ax, curve, drop, right)
    if asked.size:
        handles.append(_asked(ax, asked, prediction))
    ax.set_xlim(_left(curve, right, records.capital, asked) if log else 0.0, right)
    canvas.number_axis(ax, "x", log=log, ticks=5 if canvas.narrow(ax) else 6)
    ax.set_ylim(*_heights(curve, records.efficiency[records.capital <= right], prediction, right))
    canvas.legend_below(ax, handles, [*records.notes(right), *_warnings(curve)])
    return ax


def one_curve(curves: Any, symbol: str | None) -> CurveSet:
    """Take the only curve, or the one of a symbol.

    Raises
    ------
    InputError
        If there is no such curve, or it is not said which.
    """
    if not isinstance(curves, CurveSet):
        raise InputError(f"curves must be a CurveSet, not {type(curves).__name__}", arguments=("curves",))
    if symbol is not None:
        return curves[curves.index(symbol)]
    if len(curves) != 1:
        raise InputError(f"symbol must say which of {len(curves):,} curves is meant", arguments=("symbol",))
    return curves


def _capitals(points: npt.ArrayLike | None) -> Floats:
    if points is None:
        return np.empty(0)
    asked = to_floats("points", points, InputError)
    if asked.ndim > 1:
        raise InputError(f"points of shape {asked.shape} must be capitals in a row", arguments=("points",))
    return asked.reshape(-1)


@dataclass(frozen=True)
class _Records:
    """Points of the picture, and how many cannot be shown."""

    capital: Floats
    efficiency: Floats
    weights: Floats | None
    lost: int

    @classmethod
    def checked(cls, capital: Any, efficiency: Any, weights: Any) -> _Records:
        """Check that the columns go together, and leave out what is not finite."""
        if (capital is None) != (efficiency is None):
            names = ("capital", "efficiency") if efficiency is None else ("efficiency", "capital")
            raise InputError(f"{names[0]} needs {names[1]}", arguments=names)
        if capital is None:
            if weights is not None:
                raise InputError("weights need capital and efficiency", arguments=("weights",))
            return cls(np.empty(0), np.empty(0), None, 0)
        given = {"capital": capital, "efficiency": efficiency} | ({} if weights is None else {"weights": weights})
        keyed.check_aligned(given, InputError)
        columns = {name: to_floats(name, values, InputError).reshape(-1) for name, values in given.items()}
        for name, column in columns.items():
            if column.size != columns["capital"].size:
                message = f"{name} has {column.size:,} values, capital has {columns['capital'].size:,}"
                raise InputError(message, arguments=(name, "capital"))
        sound = np.logical_and.reduce([np.isfinite(column) for column in columns.values()])
        kept = {name: column[sound] for name, column in columns.items()}
        return cls(kept["capital"], kept["efficiency"], kept.get("weights"), int(sound.size - sound.sum()))

    def draw(self, ax: Axes) -> list[Artist]:
        """Draw the points, the more see-through the more there are."""
        n = self.capital.size
        if n == 0:
            return []
        alpha = float(np.clip(8.0 / np.sqrt(n), 0.1, 0.75))
        area = 16.0 if n < 2000 else 6.0
        sizes: Any = area
        if self.weights is not None:
            mean = max(float(np.mean(np.maximum(self.weights, 0.0))), 1e-300)
            sizes = np.clip(area * np.maximum(self.weights, 0.0) / mean, 1.0, 12.0 * area)
        ax.scatter(
            self.capital, self.efficiency, s=sizes, color=canvas.GREY, alpha=alpha, linewidths=0.0, zorder=2,
            rasterized=n > _RASTERED,
        )  # fmt: skip
        label = counted(n, "record")
        return [canvas.sample(label, marker="o", markersize=4, color=canvas.GREY, alpha=0.75, linestyle="none")]

    def notes(self, right: float) -> list[str]:
        """Say what is not in the picture."""
        beyond = int(np.count_nonzero(self.capital > right))
        return [
            f"{counted(self.lost, 'record')} not shown: not finite" if self.lost else "",
            f"{counted(beyond, 'record')} not shown: beyond the right edge" if beyond else "",
        ]


def _title(curve: CurveSet) -> str:
    family = "constant" if curve.status_names[0] == "constant" else curve.family_names[0]
    kind = f"{family} curve" if curve.has_curve[0] else "no curve"
    seen = f", {counted(int(curve.n_points[0]), 'point')}" if curve.n_points[0] else ""
    said = f", R² {curve.r_squared[0]:.3f}" if curve.has_curve[0] and np.isfinite(curve.r_squared[0]) else ""
    return f"{canvas.plain(curve.symbols[0], 34)}: {kind}{seen}{said}"


def _warnings(curve: CurveSet) -> list[str]:
    if not curve.has_curve[0]:
        return [f"no curve: {REASONS[curve.status_names[0]]}"]
    if curve.marked[0]:
        return ["The records follow a pattern that this curve does not (p < 0.01): read its intervals with care."]
    if curve.n_points[0] and curve.df_resid[0] <= 0.0:
        return ["Too few records to know anything of the error: no interval can be given."]
    return []


def _right(curve: CurveSet, found: Saturation, up_to: float | None, *seen: Floats) -> float:
    """Find the right edge: what was asked for, else beyond the limit and everything that is marked."""
    if up_to is not None:
        return one_number("up_to", up_to, _POSITIVE, InputError)
    known = [float(values.max()) for values in seen if values.size]
    known += [float(edge) for edge in (*curve.trusted_to, *curve.observed[:, 1]) if np.isfinite(edge)]
    if not np.isfinite(curve.trusted_to[0]):
        marked = (1.5 * found.capacity, 3.0 * found.saturation)
        known += [float(edge[0]) for edge in marked if np.isfinite(edge[0])]
    return _MARGIN * min(max([edge for edge in known if edge > 0.0], default=1.0), 1e300)


def _left(curve: CurveSet, right: float, *seen: Floats) -> float:
    """Find the left edge of a logarithmic axis."""
    known = [float(values[values > 0.0].min()) for values in seen if np.any(values > 0.0)]
    known += [float(edge) for edge in curve.observed[:, 0] if edge > 0.0]
    return min([edge for edge in known if edge < right], default=right / _DECADES) / _MARGIN


def _grid(curve: CurveSet, right: float, log: bool) -> Floats:
    """Give capitals that a curve is drawn through: evenly on the axis, and where its parts meet."""
    left = _left(curve, right)
    even = np.geomspace(left, right, _GRID) if log else np.linspace(0.0, right, _GRID)
    meet = [edge for edge in (*curve.observed[0], curve.trusted_to[0]) if even[0] < edge < right]
    return np.unique(np.concatenate([even, meet]))


def _parts(curve: CurveSet, grid: Floats) -> list[tuple[str, Any, npt.NDArray[np.bool_]]]:
    """Split capitals into seen, extrapolated and beyond trust: a name, a dash and where (edges belong to both)."""
    low, high = curve.observed[0]
    end = float(curve.trusted_to[0])
    beyond = grid >= end
    if not np.isfinite(high):  # coefficients without data
        return [("curve", "-", grid <= end), ("beyond the limit", _UNTRUSTED, beyond)]
    seen = (grid >= low) & (grid <= high)
    return [
        ("curve within the data", "-", seen),
        ("curve extrapolated", _EXTRAPOLATED, (grid >= high) & (grid <= end)),
        ("curve extrapolated", _EXTRAPOLATED, grid <= low),
        ("beyond the limit", _UNTRUSTED, beyond),
    ]


def _curve(ax: Axes, curve: CurveSet, level: float, right: float, log: bool) -> list[Artist]:
    grid = _grid(curve, right, log)
    predicted = curve.predict(grid, level=level)
    handles = _lines(ax, curve, grid, predicted.efficiency)
    trusted = grid <= curve.trusted_to[0]
    if curve.df_resid[0] > 0.0:
        band = ax.fill_between(
            grid[trusted], predicted.low[trusted], predicted.high[trusted], color=canvas.SKY, alpha=0.35, linewidth=0.0,
            zorder=1.5, label=_share(level),
        )  # fmt: skip
        handles.append(band)
    return handles


def _lines(ax: Axes, curve: CurveSet, grid: Floats, values: Floats) -> list[Artist]:
    """Draw a curve by its parts, and give one legend entry a kind; what lies beyond trust speaks for itself."""
    handles: dict[str, Artist] = {}
    for name, dash, where in _parts(curve, grid):
        if np.count_nonzero(where) > 1:
            (line,) = ax.plot(
                grid[where], values[where], color=canvas.BLUE, linestyle=dash, linewidth=2.0, zorder=4,
                label=f"_{name}" if name in handles else name,
            )  # fmt: skip
            handles.setdefault(name, line)
    return [line for name, line in handles.items() if name != "beyond the limit"]


def _share(level: float) -> str:
    return f"where {100.0 * level:.4g} % of new records lie"


def _limits(ax: Axes, curve: CurveSet, drop: float, right: float) -> list[Artist]:
    """Mark saturation, capacity and the end of trust, with their intervals."""
    found = curve.saturation(drop)
    marks = (
        (f"{100.0 * drop:.4g} % lost", found.saturation, found.saturation_low, found.saturation_high,
         canvas.VERMILLION, (0, (6, 2, 1.5, 2)), "///"),
        ("capacity", found.capacity, found.capacity_low, found.capacity_high,
         canvas.GREEN, (0, (1.5, 1.5)), "\\\\\\"),
    )  # fmt: skip
    handles = [
        _mark(ax, name, (float(at[0]), float(low[0]), float(high[0])), right, (colour, dash, hatch))
        for name, at, low, high, colour, dash, hatch in marks
    ]
    high, end = float(curve.observed[0, 1]), float(curve.trusted_to[0])
    if np.isfinite(high) and high < min(end, right):
        ax.axvspan(high, min(end, right), color="0.95", linewidth=0.0, zorder=0.5)
    if np.isfinite(end):
        if end < right:
            ax.axvline(end, color=canvas.BLACK, linewidth=1.2, zorder=3)
            ax.axvspan(end, right, facecolor="0.88", edgecolor="0.75", hatch="xx", linewidth=0.0, zorder=0.5)
        handles.append(canvas.sample(f"trust ends at {engineering(end)}", color=canvas.BLACK, linewidth=1.2))
    return handles


def _mark(ax: Axes, name: str, where: tuple[float, float, float], right: float, look: tuple[str, Any, str]) -> Artist:
    """Draw one capital with its interval, or only say what is known where it is not within the limit."""
    value, low, high = where
    colour, dash, hatch = look
    if np.isfinite(low) and low < right and (low, high) != (0.0, np.inf):
        ax.axvspan(
            low,
            min(high, right),
            facecolor=colour,
            edgecolor=colour,
            alpha=0.18,
            hatch=hatch,
            linewidth=0.0,
            zorder=1.0,
        )
    if not np.isfinite(value):
        bound = f", ≥ {engineering(low)}" if 0.0 < low < np.inf else ""
        return canvas.sample(f"{name}: beyond the limit{bound}", color=colour, linestyle="none")
    if value <= right:
        ax.axvline(value, color=colour, linestyle=dash, linewidth=1.8, zorder=3, label=name)
    wide = "" if np.isnan(low) or (low, high) == (0.0, np.inf) else f" (90 %: {_between(low, high)})"
    return canvas.sample(f"{name} at {engineering(value)}{wide}", color=colour, linestyle=dash, linewidth=1.8)


def _between(low: float, high: float) -> str:
    return f"from {engineering(low)}" if high == np.inf else between(low, high, "–")


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
    ax = canvas.drawing_area(ax)
    if not isinstance(curves, CurveSet):
        raise InputError(f"curves must be a CurveSet, not {type(curves).__name__}", arguments=("curves",))
    every = curves[curves.has_curve]
    every = every[_spread_first(every)]
    drawn = every[: _LABELLED + _THIN]
    canvas.dress(ax, f"{counted(len(curves), 'instrument')}", canvas.unit("capital", currency), "efficiency")
    edges = [_right(curve, curve.saturation(), None) / _MARGIN for curve in drawn]
    right = _MARGIN * max(edges, default=1.0)
    left = min([_left(curve, edge) for curve, edge in zip(drawn, edges, strict=True)], default=right / _DECADES)
    for k in reversed(range(len(drawn))):
        _one_of_many(ax, drawn[k], edges[k], k, log)
    ax.set_xlim(left if log else 0.0, right)
    canvas.number_axis(ax, "x", log=log)
    _names_at_the_ends(ax, drawn[:_LABELLED], edges[:_LABELLED])
    notes = [
        f"{counted(len(drawn) - _LABELLED, 'curve')} more, thin; named are eight spread over where 10 % is lost"
        if len(drawn) > _LABELLED
        else "",
        f"{counted(len(every) - len(drawn), 'curve')} not drawn" if len(drawn) < len(every) else "",
        f"{counted(len(curves) - len(every), 'instrument')} without a curve" if len(every) < len(curves) else "",
    ]
    handles = [
        canvas.sample("within the data", color=canvas.GREY),
        canvas.sample("extrapolated, up to where trust ends", color=canvas.GREY, linestyle=_EXTRAPOLATED),
    ]
    canvas.legend_below(ax, handles if len(drawn) else [], notes)
    return ax


def _spread_first(curves: CurveSet) -> list[int]:
    """Put those curves first that divide all of them evenly by where they saturate; few stay as they are."""
    n = len(curves)
    if n <= _LABELLED:
        return list(range(n))
    ranked = np.argsort(curves.saturation().saturation, kind="stable")
    first: list[int] = ranked[np.linspace(0, n - 1, _LABELLED).round().astype(np.intp)].tolist()
    return first + [k for k in range(n) if k not in set(first)]


def _one_of_many(ax: Axes, curve: CurveSet, edge: float, place: int, log: bool) -> None:
    named = place < _LABELLED
    colour = canvas.COLOURS[place % len(canvas.COLOURS)] if named else "0.75"
    grid = _grid(curve, edge, log)
    for _, dash, where in _parts(curve, grid)[:3]:
        if np.count_nonzero(where) > 1:
            ax.plot(
                grid[where], curve.efficiency(grid[where]), color=colour, linestyle=dash,
                linewidth=1.8 if named else 0.7, zorder=3 if named else 2,
            )  # fmt: skip
    if named:
        end = float(np.nanmin([curve.observed[0, 1], edge]))
        ax.plot(
            [end], curve.efficiency(np.array([end])), color=colour, marker=canvas.MARKERS[place], linestyle="none",
            zorder=4, label=canvas.plain(curve.symbols[0]),
        )  # fmt: skip


def _names_at_the_ends(ax: Axes, curves: CurveSet, edges: list[float]) -> None:
    """Write names beside the axes, apart from each other, with a thin line to where each curve ends."""
    low, high = ax.get_ylim()
    ends = np.array([float(curve.efficiency(edge)[0]) for curve, edge in zip(curves, edges, strict=True)])
    order = np.argsort(ends, kind="stable")
    heights = spread((ends[order] - low) / (high - low), _APART)
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


def utility_curve(
    curves: CurveSet,
    symbol: str | None = None,
    *,
    up_to: float | None = None,
    currency: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what capital really returns, capital × efficiency, beside what it would return without loss.

    Parameters
    ----------
    curves, symbol, up_to, currency, ax
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
    ax = canvas.drawing_area(ax)
    curve = one_curve(curves, symbol)
    found = curve.saturation()
    right = _right(curve, found, up_to)
    title = f"{canvas.plain(curve.symbols[0], 34)}: what capital returns"
    canvas.dress(ax, title, canvas.unit("capital", currency), canvas.unit("capital × efficiency", currency))
    handles: list[Artist] = []
    if curve.has_curve[0]:
        grid = _grid(curve, right, False)
        handles += _lines(ax, curve, grid, curve.utility(grid))
        (ideal,) = ax.plot(grid, grid, color=canvas.GREY, linewidth=0.9, linestyle=(0, (8, 3)), label="without loss")
        handles += [ideal, *_capacity_point(ax, curve, float(found.capacity[0]), right)]
        ax.set_ylim(0.0, 1.15 * max(float(curve.utility(grid).max()), 1e-300))
    canvas.number_axis(ax, "x", ticks=5 if canvas.narrow(ax) else 6)
    canvas.number_axis(ax, "y")
    ax.set_xlim(0.0, right)
    canvas.legend_below(ax, handles, [] if curve.has_curve[0] else _warnings(curve))
    return ax


def _capacity_point(ax: Axes, curve: CurveSet, capacity: float, right: float) -> list[Artist]:
    if not np.isfinite(capacity):
        return [canvas.sample("capacity: beyond the limit", linestyle="none")]
    highest = float(curve.utility(capacity)[0])
    if capacity <= right:
        ax.plot([capacity], [highest], marker="^", color=canvas.GREEN, markersize=9, linestyle="none", zorder=5)
    label = f"capacity {engineering(capacity)}, returns {engineering(highest)}"
    return [canvas.sample(label, marker="^", color=canvas.GREEN, markersize=8, linestyle="none")]
