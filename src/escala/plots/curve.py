"""What pictures of one curve share: its records, its parts, the edges of the axes, and where it ends."""

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


#: How far beyond what must be seen an axis goes.
MARGIN: Final = 1.04
#: Dashes of a curve beyond its data.
EXTRAPOLATED: Final = (0, (5, 2.5))
#: Decades that a logarithmic axis shows where no data say where it begins.
DECADES: Final = 1e4
_UNTRUSTED: Final = (0, (1, 2))
_POSITIVE: Final = Interval(0.0, 1e300, low_open=True)
_GRID: Final = 400  # points of a curve
_RASTERED: Final = 5000  # points from which a vector file holds them as an image


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


def capitals(points: npt.ArrayLike | None) -> Floats:
    """Check the capitals that are asked for."""
    if points is None:
        return np.empty(0)
    asked = to_floats("points", points, InputError)
    if asked.ndim > 1:
        raise InputError(f"points of shape {asked.shape} must be capitals in a row", arguments=("points",))
    return asked.reshape(-1)


@dataclass(frozen=True)
class Records:
    """Points of the picture, and how many cannot be shown."""

    capital: Floats
    efficiency: Floats
    weights: Floats | None
    lost: int

    @classmethod
    def checked(cls, capital: Any, efficiency: Any, weights: Any) -> Records:
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

    def draw(self, ax: Axes, values: Floats | None = None) -> list[Artist]:
        """Draw the points at their efficiency or at other values, the more see-through the more there are."""
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
            self.capital, self.efficiency if values is None else values, s=sizes, color=canvas.GREY, alpha=alpha,
            linewidths=0.0, zorder=2, rasterized=n > _RASTERED,
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


def title_of(curve: CurveSet) -> str:
    """Name the instrument, its kind of curve and how well it fits."""
    family = "constant" if curve.status_names[0] == "constant" else curve.family_names[0]
    kind = f"{family} curve" if curve.has_curve[0] else "no curve"
    seen = f", {counted(int(curve.n_points[0]), 'point')}" if curve.n_points[0] else ""
    said = f", R² {curve.r_squared[0]:.3f}" if curve.has_curve[0] and np.isfinite(curve.r_squared[0]) else ""
    return f"{canvas.plain(curve.symbols[0], 34)}: {kind}{seen}{said}"


def warnings_of(curve: CurveSet) -> list[str]:
    """Say why there is no curve, or no interval, or why not to trust it."""
    if not curve.has_curve[0]:
        return [f"no curve: {REASONS[curve.status_names[0]]}"]
    if curve.marked[0]:
        return ["The records follow a pattern that this curve does not (p < 0.01): read its intervals with care."]
    if curve.n_points[0] and curve.df_resid[0] <= 0.0:
        return ["Too few records to know anything of the error: no interval can be given."]
    return []


def right_edge(curve: CurveSet, found: Saturation, up_to: float | None, *seen: Floats) -> float:
    """Find the right edge: what was asked for, else beyond the limit and everything that is marked."""
    if up_to is not None:
        return one_number("up_to", up_to, _POSITIVE, InputError)
    known = [float(values.max()) for values in seen if values.size]
    known += [float(edge) for edge in (*curve.trusted_to, *curve.observed[:, 1]) if np.isfinite(edge)]
    if not np.isfinite(curve.trusted_to[0]):
        marked = (1.5 * found.capacity, 3.0 * found.saturation)
        known += [float(edge[0]) for edge in marked if np.isfinite(edge[0])]
    return MARGIN * min(max([edge for edge in known if edge > 0.0], default=1.0), 1e300)


def left_edge(curve: CurveSet, right: float, *seen: Floats) -> float:
    """Find the left edge of a logarithmic axis."""
    known = [float(values[values > 0.0].min()) for values in seen if np.any(values > 0.0)]
    known += [float(edge) for edge in curve.observed[:, 0] if edge > 0.0]
    return min([edge for edge in known if edge < right], default=right / DECADES) / MARGIN


def grid_of(curve: CurveSet, right: float, log: bool) -> Floats:
    """Give capitals that a curve is drawn through: evenly on the axis, and where its parts meet."""
    left = left_edge(curve, right)
    even = np.geomspace(left, right, _GRID) if log else np.linspace(0.0, right, _GRID)
    meet = np.array([*curve.observed[0], curve.trusted_to[0], *_bends(curve)])
    return np.unique(np.concatenate([even, meet[(even[0] < meet) & (meet < right)]]))


def _bends(curve: CurveSet) -> Floats:
    """Give both sides of the knots of a ladder, between which its marginal utility falls."""
    if not curve.has_curve[0] or curve.family_names[0] != "ladder":
        return np.empty(0)
    knots = curve.ladder(curve.symbols[0]).knots
    return np.concatenate([knots, np.nextafter(knots, np.inf)])


def parts_of(curve: CurveSet, grid: Floats) -> list[tuple[str, Any, npt.NDArray[np.bool_]]]:
    """Split capitals into seen, extrapolated and beyond trust: a name, a dash and where (edges belong to both)."""
    low, high = curve.observed[0]
    end = float(curve.trusted_to[0])
    beyond = grid >= end
    if not np.isfinite(high):  # coefficients without data
        return [("curve", "-", grid <= end), ("beyond the limit", _UNTRUSTED, beyond)]
    seen = (grid >= low) & (grid <= high)
    return [
        ("curve within the data", "-", seen),
        ("curve extrapolated", EXTRAPOLATED, (grid >= high) & (grid <= end)),
        ("curve extrapolated", EXTRAPOLATED, grid <= low),
        ("beyond the limit", _UNTRUSTED, beyond),
    ]


def draw_by_parts(ax: Axes, curve: CurveSet, grid: Floats, values: Floats) -> list[Artist]:
    """Draw a curve by its parts, and give one legend entry a kind; what lies beyond trust speaks for itself."""
    handles: dict[str, Artist] = {}
    for name, dash, where in parts_of(curve, grid):
        if np.count_nonzero(where) > 1:
            (line,) = ax.plot(
                grid[where], values[where], color=canvas.BLUE, linestyle=dash, linewidth=2.0, zorder=4,
                label=f"_{name}" if name in handles else name,
            )  # fmt: skip
            handles.setdefault(name, line)
    return [line for name, line in handles.items() if name != "beyond the limit"]


def share_of_records(level: float) -> str:
    """Say what a band holds."""
    return f"where {100.0 * level:.4g} % of new records lie"


def mark_limits(ax: Axes, curve: CurveSet, drop: float, right: float) -> list[Artist]:
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
