"""Pictures of many results: an output over two parameters, and its distribution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.arrays import Floats, known_word, to_floats
from escala.errors import InputError
from escala.plots import canvas
from escala.text.numerals import counted, engineering

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Codes = npt.NDArray[np.intp]

_EXACT: Final = 40  # different values of a parameter that each get a column of their own
_BINS: Final = 30
_MOST_BINS: Final = 1000
_TICKS: Final = 8  # values of a parameter that are written
_SHORT: Final = 6  # letters of a value, so that all of them find room side by side
_QUANTILES: Final = (0.05, 0.50, 0.95)
_QUANTILE_DASHES: Final = ((0, (1.5, 1.5)), "-", (0, (6, 2)))
_MOST_GROUPS: Final = 8
_MOST_STEPS: Final = 4000  # of a drawn distribution function: more could not be seen


def heat_map(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    value: npt.ArrayLike,
    *,
    bins: int | tuple[int, int] | None = None,
    statistic: str = "mean",
    labels: Sequence[str] = ("x", "y", "value"),
    ax: Axes | None = None,
) -> Axes:
    """Draw an output over two parameters, by cells.

    Parameters
    ----------
    x, y, value : array_like
        Two parameters and an output; they broadcast.
    bins : int or (int, int), optional
        Cells of equal width along x and y, 1 to 1,000. By default one a value where a parameter takes at most 40 of
        them, else 30.
    statistic : {"mean", "median", "min", "max", "count"}
        What a cell shows of its values.
    labels : three str
        Names of x, y and value.
    ax : matplotlib Axes, optional
        Where to draw (a colour bar is put beside it); by default on a new figure.

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
    Where cells are values, they are equally wide whatever lies between the values. Cells without values are hatched and
    counted, as are rows that are not finite.
    """
    ax = canvas.drawing_area(ax)
    names = _three(labels)
    columns = _together(x, y, value)
    compute = _statistic(statistic)
    wanted = _both(bins)
    sound = np.logical_and.reduce([np.isfinite(column) for column in columns])
    horizontal, vertical, values = (column[sound] for column in columns)
    sides = [_Side.of(column, n) for column, n in zip((horizontal, vertical), wanted, strict=True)]
    canvas.dress(ax, _title(names[2], statistic), names[0], names[1])
    ax.grid(False)
    empty = _patches(ax, sides, values, compute, names[2] if statistic != "count" else "rows") if values.size else 0
    notes = [
        f"{counted(int(sound.size - sound.sum()), 'row')} left out: not finite" if not sound.all() else "",
        "" if values.size else "nothing to show",
    ]
    canvas.legend_below(ax, _empty_patch(ax, empty, sides) if values.size else [], notes)
    return ax


def _title(name: str, statistic: str) -> str:
    return "rows a cell" if statistic == "count" else f"{statistic} of {name}"


def _three(labels: Any) -> tuple[str, str, str]:
    if isinstance(labels, str) or not isinstance(labels, Sequence) or len(labels) != 3:
        raise InputError(f"labels must be three names, for x, y and value, not {labels!r}", arguments=("labels",))
    for k, label in enumerate(labels):
        if not isinstance(label, str):
            raise InputError(f"labels must be text, but labels[{k}] = {label!r}", arguments=("labels",))
    first, second, third = (canvas.plain(label, 40) for label in labels)
    return first, second, third


def _together(x: Any, y: Any, value: Any) -> list[Floats]:
    given = {"x": x, "y": y, "value": value}
    keyed.check_aligned(given, InputError)
    arrays = {name: to_floats(name, column, InputError) for name, column in given.items()}
    try:
        return [column.reshape(-1) for column in np.broadcast_arrays(*arrays.values())]
    except ValueError:
        shapes = ", ".join(f"{name} of shape {array.shape}" for name, array in arrays.items())
        raise InputError(f"{shapes} do not broadcast", arguments=tuple(given)) from None


def _both(bins: Any) -> tuple[int | None, int | None]:
    if bins is None:
        return None, None
    pair = tuple(bins) if isinstance(bins, tuple | list) else (bins, bins)
    sound = len(pair) == 2 and all(
        isinstance(n, Integral) and not isinstance(n, bool) and 1 <= int(n) <= _MOST_BINS for n in pair
    )
    if not sound:
        message = f"bins must be an integer in [1, {_MOST_BINS:,}] or a pair of them, not {bins!r}"
        raise InputError(message, arguments=("bins",))
    return int(pair[0]), int(pair[1])


def _statistic(name: Any) -> Callable[[Codes, Floats, int], Floats]:
    known: dict[str, Callable[[Codes, Floats, int], Floats]] = {
        "mean": _means,
        "median": lambda codes, values, n: _ordered(codes, values, n, 0.5),
        "min": lambda codes, values, n: _ordered(codes, values, n, 0.0),
        "max": lambda codes, values, n: _ordered(codes, values, n, 1.0),
        "count": lambda codes, _, n: _no_zeros(np.bincount(codes, minlength=n).astype(np.float64)),
    }
    if not isinstance(name, str) or name not in known:
        raise InputError(f"statistic must be one of {', '.join(known)}, not {name!r}", arguments=("statistic",))
    return known[name]


def _no_zeros(counts: Floats) -> Floats:
    return np.where(counts > 0.0, counts, np.nan)


def _means(codes: Codes, values: Floats, n: int) -> Floats:
    scale = float(np.abs(values).max()) or 1.0  # a sum of huge values must not overflow
    counts = _no_zeros(np.bincount(codes, minlength=n).astype(np.float64))
    return np.bincount(codes, values / scale, minlength=n) / counts * scale


def _ordered(codes: Codes, values: Floats, n: int, share: float) -> Floats:
    """Give the smallest, middle or largest value of each cell; the middle of an even number is a mean."""
    by_cell = values[np.lexsort((values, codes))]
    counts = np.bincount(codes, minlength=n)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    there = counts > 0
    place = first[there] + share * (counts[there] - 1)
    low, high = np.floor(place).astype(np.intp), np.ceil(place).astype(np.intp)
    result = np.full(n, np.nan)
    result[there] = 0.5 * by_cell[low] + 0.5 * by_cell[high]
    return result


class _Side:
    """How one parameter is cut into cells."""

    def __init__(self, edges: Floats, codes: Codes, values: Floats | None) -> None:
        self.edges = edges
        self.codes = codes
        self.values = values  # one a cell, where cells are values

    @classmethod
    def of(cls, column: Floats, bins: int | None) -> _Side:
        """Cut by value if it takes few of them, else evenly."""
        if bins is None:
            values, codes = np.unique(column, return_inverse=True)
            if values.size <= _EXACT:
                return cls(np.arange(values.size + 1, dtype=np.float64) - 0.5, codes.reshape(-1), values)
        edges = _edges(column, bins or _BINS)
        codes = np.clip(np.searchsorted(edges, column, side="right") - 1, 0, edges.size - 2)
        return cls(edges, codes, None)

    def __len__(self) -> int:
        return self.edges.size - 1

    def label(self, ax: Axes, which: str) -> None:
        """Write values under their cells, or numbers along the axis."""
        if self.values is None:
            canvas.number_axis(ax, which, ticks=5)
            return
        texts = _different([float(value) for value in self.values])
        most = _TICKS if which == "y" or max(map(len, texts), default=0) <= _SHORT else _TICKS // 2
        step = -(-len(self) // most)
        places = range(0, len(self), step)
        texts = texts[::step]
        (ax.set_xticks if which == "x" else ax.set_yticks)(list(places), texts)


def _different(values: list[float]) -> list[str]:
    """Write values with as few digits as tell them apart."""
    for digits in range(3, 17):
        texts = [engineering(value, digits) for value in values]
        if len(set(texts)) == len(texts):
            break
    return texts


def _edges(column: Floats, bins: int) -> Floats:
    """Cut a range into equal parts; a single value lies in the middle of one."""
    low, high = (float(column.min()), float(column.max())) if column.size else (0.0, 1.0)
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        reach = 0.5 * abs(low) or 0.5
        low, high = low - reach, high + reach
    share = np.linspace(0.0, 1.0, bins + 1)
    return low * (1.0 - share) + high * share


def _patches(
    ax: Axes, sides: list[_Side], values: Floats, compute: Callable[[Codes, Floats, int], Floats], name: str
) -> int:
    """Draw the cells and their colour bar, and count those without values."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    across, up = sides
    cells = compute(across.codes * len(up) + up.codes, values, len(across) * len(up)).reshape(len(across), len(up))
    mesh = ax.pcolormesh(
        across.edges, up.edges, np.ma.masked_invalid(cells.T), cmap="viridis", rasterized=cells.size > 4000
    )
    figure = ax.get_figure()
    assert figure is not None
    bar = figure.colorbar(mesh, ax=ax, pad=0.02)
    bar.set_label(name)
    bar.locator = MaxNLocator(nbins=6)
    bar.formatter = FuncFormatter(lambda value, _: engineering(value, 9))
    bar.update_ticks()
    across.label(ax, "x")
    up.label(ax, "y")
    return int(np.count_nonzero(np.isnan(cells)))


def _empty_patch(ax: Axes, empty: int, sides: list[_Side]) -> list[Artist]:
    if not empty:
        return []
    look: dict[str, Any] = {"facecolor": "0.92", "edgecolor": "0.6", "hatch": "///"}
    ax.patch.set(linewidth=0.0, **look)
    return [canvas.patch(f"no values: {empty:,} of {counted(len(sides[0]) * len(sides[1]), 'cell')}", **look)]


def distribution(
    values: npt.ArrayLike,
    *,
    by: Sequence[Any] | npt.NDArray[Any] | None = None,
    label: str = "value",
    kind: str | None = None,
    bins: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how values are distributed, in all or by group.

    Parameters
    ----------
    values : array_like
        Any shape; what is not finite is counted, not drawn.
    by : array_like, optional
        Group of each value: text, numbers, or members of an enumeration such as :class:`escala.StopReason`. The eight
        largest groups are drawn.
    label : str
        Name of the values.
    kind : {"histogram", "ecdf"}, optional
        Bars, or the share of values up to each value; by default bars without groups, shares with them.
    bins : int, optional
        Bars, 1 to 1,000; by default about the square root of the number of values, 10 to 60.
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
    Without groups lines mark the 5, 50 and 95 % quantiles; with groups a point marks each median. Beyond 4,000 values
    the share is drawn through 4,000 of their quantiles.
    """
    ax = canvas.drawing_area(ax)
    given = to_floats("values", values, InputError).reshape(-1)
    chosen = _kind(kind, by)
    name = canvas.plain(label, 60) if isinstance(label, str) else _no_text(label)
    width = None if bins is None else _both(bins)[0]
    sound = np.isfinite(given)
    groups = _groups(given, by)
    canvas.dress(ax, f"{counted(int(sound.sum()), 'value')}", name, "share of values" if chosen == "ecdf" else "values")
    shown = [(text, group[np.isfinite(group)]) for text, group in groups[:_MOST_GROUPS]]
    drawn = [(text, group) for text, group in shown if group.size]
    handles = (_shares if chosen == "ecdf" else _bars)(ax, drawn, width) if drawn else []
    if by is None and drawn:
        handles += _quantiles(ax, drawn[0][1])
    canvas.number_axis(ax, "x")
    if chosen == "histogram":
        canvas.number_axis(ax, "y", integer=True)
    lost = int(sound.size - sound.sum())
    notes = [
        f"{counted(lost, 'value')} not shown: not finite" if lost else "",
        f"{counted(len(groups) - _MOST_GROUPS, 'smaller group')} not shown" if len(groups) > _MOST_GROUPS else "",
        "" if drawn else "nothing to show",
    ]
    canvas.legend_below(ax, handles, notes)
    return ax


def _kind(kind: Any, by: Any) -> str:
    if not known_word(kind, (None, "histogram", "ecdf")):
        raise InputError(f"kind must be 'histogram' or 'ecdf', not {kind!r}", arguments=("kind",))
    return kind or ("histogram" if by is None else "ecdf")


def _no_text(label: Any) -> str:
    raise InputError(f"label must be text, not {label!r}", arguments=("label",))


def _groups(values: Floats, by: Any) -> list[tuple[str, Floats]]:
    """Split values, the largest group first."""
    if by is None:
        return [("values", values)]
    flat = by.reshape(-1).tolist() if isinstance(by, np.ndarray) else list(by)
    if len(flat) != values.size:
        raise InputError(f"by has {len(flat):,} entries for {values.size:,} values", arguments=("by", "values"))
    places: dict[str, int] = {}
    codes = np.array([places.setdefault(_group_name(one), len(places)) for one in flat], dtype=np.intp)
    sizes = np.bincount(codes, minlength=len(places))
    names = list(places)
    return [(names[k], values[codes == k]) for k in np.argsort(-sizes, kind="stable").tolist()]


def _group_name(one: Any) -> str:
    text = one.name.lower().replace("_", " ") if isinstance(one, Enum) else str(one)
    return canvas.plain(text, 24)


def _bars(ax: Axes, groups: list[tuple[str, Floats]], bins: int | None) -> list[Artist]:
    """Draw bars for one group, outlines for several, over the same edges."""
    every = np.concatenate([group for _, group in groups])
    edges = _edges(every, bins or int(np.clip(np.sqrt(every.size), 10, 60)))
    handles: list[Artist] = []
    for k, (name, group) in enumerate(groups):
        counts, _ = np.histogram(group, edges)
        if len(groups) == 1:
            ax.stairs(counts, edges, fill=True, facecolor=canvas.SKY, edgecolor=canvas.BLACK, linewidth=0.5, label=name)
            continue
        look: dict[str, Any] = {"color": canvas.COLOURS[k], "linestyle": canvas.DASHES[k], "linewidth": 1.8}
        ax.stairs(counts, edges, label=name, **look)
        handles.append(canvas.sample(f"{name}: {group.size:,}", **look))
    ax.set_xlim(float(edges[0]), float(edges[-1]))
    ax.set_ylim(bottom=0.0)
    return handles


def _shares(ax: Axes, groups: list[tuple[str, Floats]], _: int | None) -> list[Artist]:
    """Draw the share of each group's values up to each value."""
    handles: list[Artist] = []
    for k, (name, group) in enumerate(groups):
        values = np.sort(group)
        if values.size > _MOST_STEPS:
            share = np.linspace(0.0, 1.0, _MOST_STEPS)
            values = values[np.rint(share * (values.size - 1)).astype(np.intp)]
        else:
            share = np.arange(1, values.size + 1) / values.size
        look: dict[str, Any] = {"color": canvas.COLOURS[k], "linestyle": canvas.DASHES[k], "linewidth": 1.8}
        ax.step(np.append(values[0], values), np.append(0.0, share), where="post", label=name, **look)
        middle = float(np.median(group))
        ax.plot(
            [middle], [0.5], marker=canvas.MARKERS[k], color=canvas.COLOURS[k], markersize=7, linestyle="none", zorder=4
        )
        text = f"{name}: {group.size:,}, median {engineering(middle)}"
        handles.append(canvas.sample(text, marker=canvas.MARKERS[k], markersize=6, **look))
    ax.set_ylim(0.0, 1.02)
    return handles


def _quantiles(ax: Axes, values: Floats) -> list[Artist]:
    handles: list[Artist] = []
    for share, dash, at in zip(_QUANTILES, _QUANTILE_DASHES, np.quantile(values, _QUANTILES), strict=True):
        look: dict[str, Any] = {"color": canvas.BLACK, "linestyle": dash, "linewidth": 1.6}
        label = f"{100.0 * share:g} % up to {engineering(float(at))}"
        ax.axvline(float(at), label=label, **look)
        handles.append(canvas.sample(label, **look))
    return handles
