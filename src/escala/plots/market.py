"""Pictures of positions in a market: what prices and equity may do, how long a position holds, one path closely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, to_floats, whole_number
from escala.errors import InputError
from escala.market.result import MarketRecord, MarketResult, MarketStatus
from escala.market.statistics import wilson
from escala.plots import canvas
from escala.plots.sweeps import heat_map
from escala.text.numerals import capital, counted, engineering

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_DAY: Final = 86_400.0
#: Units of time, and up to how many seconds in all each is used.
_TIMES: Final = (("hours", 3_600.0, 3.0 * _DAY), ("days", _DAY, 1_000.0 * _DAY), ("years", 365.0 * _DAY, np.inf))
_BANDS: Final = ((0.05, 0.95, 0.3), (0.25, 0.75, 0.6))  # quantiles between which a fan is filled, and how much colour
_MOST_LOWS: Final = 500  # steps of a picture up to which the lows within them could be seen
_SAFE: Final = 0.8  # share of paths without liquidation from which on an axis shows no more than what is near
_LEAST_SEEN: Final = 0.02
_LEAST_FOR_BANDS: Final = 20  # paths
_MOST_POINTS: Final = 600  # of a line: more could not be seen
_UNEVEN: Final = 20.0  # highest over lowest price from which distances are logarithmic
_MOST_LINES: Final = 8
_HIGH: Final = 3.0  # health factors further above what matters are cut off
#: Kinds of events: what they are called, their marker and colour.
_EVENTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "liquidation_low": ("liquidation within a step", "v", canvas.VERMILLION),
    "liquidation_close": ("liquidation at the end of a step", "X", canvas.VERMILLION),
    "deleverage": ("owner sells to repay", "s", canvas.GREEN),
    "topup": ("owner repays from the wallet", "^", canvas.GREEN),
    "boost": ("owner borrows and buys", "D", canvas.PURPLE),
    "loop": ("operation of the loop", "o", canvas.PURPLE),
    "stop": ("owner closes the position", "P", canvas.BLACK),
}
#: Health factors at which an owner acts, and the value of each that means never.
_LEVELS: Final = (
    ("stop_health", 0.0, "owner closes below"),
    ("topup_health", 0.0, "owner repays below"),
    ("deleverage_health", 0.0, "owner sells below"),
    ("boost_health", np.inf, "owner buys above"),
)


def _checked(result: Any) -> MarketResult:
    if not isinstance(result, MarketResult):
        raise InputError(f"result must be a MarketResult, not {type(result).__name__}", arguments=("result",))
    return result


def _records(result: MarketResult, i: Any) -> dict[int, MarketRecord]:
    """Give the recorded paths of a parameter set."""
    whole_number("i", i, 0, result.size - 1, InputError)
    found = {path: record for (place, path), record in result.record.items() if place == i}
    if not found:
        message = (
            f"result must have recorded paths of parameter set {i}: "
            f"simulate_market(..., record=[({i}, path) for path in range(200)])"
        )
        raise InputError(message, arguments=("result",))
    return found


def _clock(result: MarketResult) -> tuple[str, float]:
    """Choose a unit of time, and how much of it a step is."""
    seconds = result.market.steps * result.market.dt
    return next((name, result.market.dt / unit) for name, unit, most in _TIMES if seconds <= most)


def _of_all(result: MarketResult, count: int) -> str:
    paths = result.sampling.paths
    return counted(count, "path") if count == paths else f"{count:,} of {counted(paths, 'path')}"


def price_fan(
    result: MarketResult, i: int = 0, *, asset: int = 0, currency: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw what the price of an asset may do: its quantiles over recorded paths, and where liquidation begins.

    Parameters
    ----------
    result : MarketResult
        With recorded paths (`record`) of the parameter set; some hundred of them make smooth bands.
    i : int
        Parameter set, in C order of the common shape.
    asset : int
        Which asset.
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

    Notes
    -----
    Drawn is what a unit that was supplied at the start is worth, so that supply yield is in it. With one asset a line
    marks the price at which the position, as it is at the start, can be liquidated; interest raises it with time.
    """
    ax = canvas.drawing_area(ax)
    found = _records(_checked(result), i)
    assets = len(result.market.assets)
    whole_number("asset", asset, 0, assets - 1, InputError)
    values = np.stack([record.series["market_value"][:, asset] for record in found.values()])
    title = "price" if assets == 1 else f"price of asset {asset}"
    canvas.dress(ax, f"{title} on {_of_all(result, len(found))}", _clock(result)[0], canvas.unit("price", currency))
    handles = _fan(ax, result, values, canvas.BLUE)
    health = next(iter(found.values())).position["health"][0] if not _is_sobol(result) else np.inf
    if assets == 1 and np.isfinite(health) and result.market.assets[0].oracle == "market":
        level = float(values[0, 0] / health)
        label = f"can be liquidated below {_plainly(level)} (at the start)"
        line = ax.axhline(level, color=canvas.VERMILLION, linewidth=1.4, linestyle=(0, (6, 2)), label=label, zorder=2.5)
        handles.append(line)
    _price_axis(ax, values)
    canvas.legend_below(ax, handles)
    return ax


def _is_sobol(result: MarketResult) -> bool:
    return result.sampling.kind == "sobol"


def equity_fan(result: MarketResult, i: int = 0, *, currency: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw what is left of a position: quantiles of its equity over recorded paths.

    Parameters
    ----------
    result, i, currency, ax
        As in :func:`price_fan`; not of Sobol's paths.

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
    Equity is collateral + wallet + buffer − debt. After a position has ended it stays what it was.
    """
    ax = canvas.drawing_area(ax)
    found = _records(_checked(result), i)
    values = np.stack([record.position["equity"] for record in found.values()])
    title = f"equity: collateral + wallet − debt, on {_of_all(result, len(found))}"
    canvas.dress(ax, title, _clock(result)[0], canvas.unit("equity", currency))
    handles = _fan(ax, result, values, canvas.GREEN)
    start = float(values[0, 0])
    line = ax.axhline(start, color=canvas.BLACK, linewidth=1.1, linestyle=(0, (1.5, 1.5)), zorder=2)
    line.set_label(f"at the start: {_plainly(start)}")
    handles.append(line)
    if values.min() < 0.0:
        ax.axhline(0.0, color=canvas.BLACK, linewidth=0.8)
    canvas.number_axis(ax, "y")
    canvas.legend_below(ax, handles)
    return ax


def _fan(ax: Axes, result: MarketResult, values: Floats, colour: str) -> list[Artist]:
    """Draw quantiles over time; of few paths the paths themselves."""
    _, scale = _clock(result)
    steps = np.unique(np.linspace(0, values.shape[1] - 1, _MOST_POINTS).astype(np.intp))
    shown, at = values[:, steps], steps * scale
    ax.set_xlim(0.0, float(at[-1]))
    canvas.number_axis(ax, "x")
    if len(shown) < _LEAST_FOR_BANDS:
        for k, path in enumerate(shown):
            ax.plot(at, path, color=colour, linewidth=1.3, label="the path" if len(shown) == 1 else f"_path {k}")
        return [canvas.sample("the path" if len(shown) == 1 else "paths", color=colour, linewidth=1.3)]
    handles: list[Artist] = []
    for low, high, density in _BANDS:
        below, above = np.quantile(shown, (low, high), axis=0)
        name = f"{100 * (high - low):.0f} % of paths"
        shade = _lightened(colour, density)
        band = ax.fill_between(at, below, above, color=shade, linewidth=0.0, label=name, zorder=1.5)
        handles.append(band)
    (line,) = ax.plot(at, np.median(shown, axis=0), color=colour, linewidth=2.0, label="median", zorder=3)
    return [line, *handles[::-1]]


def _plainly(value: float) -> str:
    return capital(value) if abs(value) >= 1e3 else f"{value:.4g}"


def _lightened(colour: str, density: float) -> tuple[float, float, float]:
    """Mix a colour with white: bands that lie on each other then look as the legend says."""
    from matplotlib.colors import to_rgb

    red, green, blue = (1.0 - density * (1.0 - part) for part in to_rgb(colour))
    return red, green, blue


def _price_axis(ax: Axes, values: Floats) -> None:
    """Choose distances by what the bands span: single paths may go anywhere."""
    low, high = np.quantile(values, (0.03, 0.97), axis=0)
    log = bool(high.max() > _UNEVEN * low.min())
    if not log:
        ax.set_ylim(bottom=0.0)
    canvas.number_axis(ax, "y", log=log)


def survival(result: MarketResult, *, labels: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """Draw the share of paths that had no liquidation so far, over time.

    Parameters
    ----------
    result : MarketResult
        With the outputs of every path (``keep="rows"``). The first eight parameter sets get a line each.
    labels : sequence of str, optional
        One a parameter set.
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
    Of one parameter set on random paths the band is Wilson's interval at the result's level, step by step.
    """
    ax = canvas.drawing_area(ax)
    steps, paths = _checked(result).market.steps, result.sampling.paths
    names = _names(result, labels)
    first = np.reshape(result.rows["first_liquidation"], (-1, paths))
    unit, scale = _clock(result)
    title = f"share of {counted(paths, 'path')} without a liquidation so far"
    canvas.dress(ax, title, unit, "share of paths")
    at = np.arange(steps + 1) * scale
    handles: list[Artist] = []
    lowest = 1.0
    for k, own in enumerate(first[:_MOST_LINES]):
        gone = np.cumsum(np.bincount(own[own >= 0], minlength=steps + 1)) / paths
        kept = 1.0 - gone
        lowest = min(lowest, float(kept[-1]))
        look: dict[str, Any] = {"color": canvas.COLOURS[k], "linestyle": canvas.DASHES[k], "linewidth": 1.8}
        name = f"{names[k]}{kept[-1]:.1%} to the end"
        ax.step(at, kept, where="post", label=name, zorder=3, **look)
        handles.append(canvas.sample(name, **look))
        if len(first) == 1 and result.sampling.kind == "random" and paths > 1:
            low, high = wilson(kept, paths, result.level)
            band = ax.fill_between(
                at, low, high, step="post", color=canvas.SKY, alpha=0.4, linewidth=0.0,
                label=f"{result.level:.0%} interval",
            )  # fmt: skip
            handles.append(band)
    ax.set_xlim(0.0, float(at[-1]))
    seen = max(2.0 * (1.0 - lowest), _LEAST_SEEN) if lowest > _SAFE else 1.0
    ax.set_ylim(1.0 - seen, 1.0 + 0.02 * seen)
    canvas.number_axis(ax, "x")
    canvas.number_axis(ax, "y", percent=True)
    left = len(first) - _MOST_LINES
    canvas.legend_below(ax, handles, [f"{counted(left, 'more parameter set')} not drawn"] if left > 0 else [])
    return ax


def _names(result: MarketResult, labels: Sequence[str] | None) -> list[str]:
    if labels is None:
        return [""] if result.size == 1 else [f"set {k}: " for k in range(result.size)]
    if isinstance(labels, str) or len(labels) != result.size or not all(isinstance(one, str) for one in labels):
        message = f"labels must be {result.size} names, one a parameter set, not {labels!r}"
        raise InputError(message, arguments=("labels",))
    return [f"{canvas.plain(label)}: " for label in labels]


def market_health(result: MarketResult, place: tuple[int, int] | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the health factor along one recorded path, and what happened to the position.

    Parameters
    ----------
    result : MarketResult
        With recorded paths, not of Sobol sampling.
    place : (int, int), optional
        Parameter set and path; by default the recorded one that came closest to liquidation, or beyond it.
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
    The line is the health factor at the end of each step, after what happened in it; lows within steps are drawn
    lightly. A liquidation is marked at the health factor that allowed it. Without debt there is no health factor.
    """
    ax = canvas.drawing_area(ax)
    chosen = _place(_checked(result), place)
    record = result.record[chosen]
    unit, scale = _clock(result)
    end = int(record.outputs["end_step"])
    steps = np.arange(end + 1)
    health, low = record.position["health"][: end + 1], record.position["low_health"][: end + 1]
    status = MarketStatus(int(record.outputs["status"])).name.lower().replace("_", " ").replace("open", "still open")
    worst = f", the worst of {len(result.record):,} recorded" if place is None and len(result.record) > 1 else ""
    title = f"health factor on path {chosen[1]:,}{worst}: {status} after {engineering(end * scale, 3)} {unit}"
    canvas.dress(ax, title, unit, "health factor")
    levels = _levels(result, chosen[0])
    top = _top(health, levels)
    with_lows = result.market.barrier and result.market.steps <= _MOST_LOWS
    handles = _health_lines(ax, np.asarray(steps * scale), health, low, record, with_lows)
    handles += _events(ax, record, health, scale)
    for level, name, colour, dash in levels:
        ax.axhline(level, color=colour, linestyle=dash, linewidth=1.3, zorder=2)
        handles.append(canvas.sample(name, color=colour, linestyle=dash, linewidth=1.3))
    ax.set_xlim(0.0, max(result.market.steps, 1) * scale)
    ax.set_ylim(max(0.0, _bottom(record, health, low if with_lows else health) - 0.1), top)
    canvas.number_axis(ax, "x")
    canvas.number_axis(ax, "y")
    finite = health[np.isfinite(health)]
    notes = ["above the picture for some time"] if finite.size and finite.max() > top else []
    if np.isinf(health).any():
        notes.append("without debt, and so without a health factor, where there is no line")
    canvas.legend_below(ax, handles, notes)
    return ax


def _place(result: MarketResult, place: Any) -> tuple[int, int]:
    if not result.record:
        message = "result must have a recorded path: simulate_market(..., record=[(0, 0)])"
        raise InputError(message, arguments=("result",))
    if place is None:
        return min(result.record, key=lambda one: result.record[one].outputs["lowest_health"])
    if place not in result.record:
        message = f"place must be one of the {counted(len(result.record), 'recorded path')}, not {place!r}"
        raise InputError(message, arguments=("place",))
    i, path = place
    return int(i), int(path)


def _levels(result: MarketResult, i: int) -> list[tuple[float, str, str, Any]]:
    """Give the health factors that matter, what they mean, and how they are drawn."""
    found: list[tuple[float, str, str, Any]] = [(1.0, "can be liquidated below 1", canvas.BLACK, "-")]
    for k, (name, never, words) in enumerate(_LEVELS):
        given = np.broadcast_to(to_floats(name, getattr(result.policy, name)), result.shape).reshape(-1)[i]
        if given != never:
            found.append((float(given), f"{words} {given:.4g}", canvas.GREY, canvas.DASHES[1 + k]))
    return found


def _top(health: Floats, levels: Sequence[tuple[float, str, str, Any]]) -> float:
    """Show what is near the levels that matter, not how far above them a position once was."""
    finite = health[np.isfinite(health)]
    highest = float(finite.max()) if finite.size else 1.0
    return 1.05 * min(highest, max(_HIGH, 1.3 * float(finite[0]) if finite.size else 0.0, *(x[0] for x in levels)))


def _bottom(record: MarketRecord, health: Floats, low: Floats) -> float:
    """Find the lowest of what is drawn; lows of steps with events are not."""
    quiet = np.ones(low.size, dtype=np.bool_)
    quiet[record.events["step"]] = False
    falls = [kind.startswith("liquidation") for kind in record.events["kind"].tolist()]
    return float(np.min(np.concatenate([[1.0], health, low[quiet], record.events["a"][falls]])))


def _health_lines(
    ax: Axes, at: npt.NDArray[Any], health: Floats, low: Floats, record: MarketRecord, with_lows: bool
) -> list[Artist]:
    drawn = np.where(np.isfinite(health), health, np.nan)
    (line,) = ax.plot(at, drawn, color=canvas.BLUE, linewidth=1.6, label="health factor", zorder=3)
    handles: list[Artist] = [line]
    if with_lows:
        under = np.where(np.isfinite(low), low, np.nan)
        under[record.events["step"]] = np.nan  # what was held there changed within the step
        ax.fill_between(at, under, drawn, color=canvas.SKY, alpha=0.5, linewidth=0.0, zorder=2.5)
        handles.append(canvas.patch("down to the lows within steps", color=canvas.SKY, alpha=0.5))
    return handles


def _events(ax: Axes, record: MarketRecord, health: Floats, scale: float) -> list[Artist]:
    handles: list[Artist] = []
    for kind, (name, marker, colour) in _EVENTS.items():
        chosen = record.events["kind"] == kind
        if not chosen.any():
            continue
        steps = record.events["step"][chosen]
        level = record.events["a"][chosen] if kind.startswith("liquidation") else health[steps]
        level = np.where(np.isfinite(level), level, 1.0)
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 8, "linestyle": "none"}
        look |= {"markeredgecolor": canvas.BLACK, "markeredgewidth": 0.7}
        after = np.where(np.isfinite(health[steps]), health[steps], level)
        for t, at, end in zip(steps.tolist(), level.tolist(), after.tolist(), strict=True):
            way = [(t - 1, health[t - 1]), (t, at), (t, end)] if kind.startswith("liquidation") else [(t, at), (t, end)]
            ax.plot(
                [step * scale for step, _ in way], [value for _, value in way], color=colour, linewidth=1.0,
                linestyle=":", zorder=2.8, label="_way",
            )  # fmt: skip
        ax.plot(steps * scale, level, zorder=5, label=f"_{kind}", **look)
        handles.append(canvas.sample(f"{name}: {int(chosen.sum()):,}", **look))
    return handles


def risk_map(
    result: MarketResult,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    labels: Sequence[str] = ("x", "y"),
    ax: Axes | None = None,
) -> Axes:
    """Draw the liquidation probability over two parameters, all on the same paths.

    Parameters
    ----------
    result : MarketResult
        Of parameter sets that differ in two parameters.
    x, y : array_like
        The parameters; they broadcast to the result's shape.
    labels : two str
        Their names.
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
    """
    ax = canvas.drawing_area(ax)
    shape = _checked(result).shape
    if isinstance(labels, str) or len(labels) != 2:
        raise InputError(f"labels must be two names, for x and y, not {labels!r}", arguments=("labels",))
    columns = []
    for name, given in (("x", x), ("y", y)):
        array = to_floats(name, given, InputError)
        try:
            columns.append(np.broadcast_to(array, shape))
        except ValueError:
            message = f"{name} of shape {array.shape} does not broadcast to the result's shape {shape}"
            raise InputError(message, arguments=(name, "result")) from None
    share = 100.0 * np.asarray(result.liquidation_probability)
    names = [str(label).replace("_", " ") for label in labels]
    heat_map(columns[0], columns[1], share, labels=(*names, "liquidated, % of paths"), ax=ax)
    worst = 100.0 * float(np.max(result.error("liquidation_probability"), initial=0.0))
    same = "the same " if result.common else ""
    ax.set_title(
        f"liquidated on {same}{counted(result.sampling.paths, 'path')}, standard error at most {worst:.2g} %",
        loc="left", fontsize="medium",
    )  # fmt: skip
    return ax
