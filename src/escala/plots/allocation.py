"""Pictures of allocations: where marginal utilities meet, who holds what, and how that changes with the money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from escala.allocation.result import Allocation, Binding
from escala.allocation.summary import REASONS
from escala.arrays import Floats
from escala.errors import InputError
from escala.plots import canvas
from escala.text.numerals import counted, engineering

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


_MOST_LINES: Final = 8
_MOST_BARS: Final = 20
_MOST_BANDS: Final = 6
_GRID: Final = 300
_UNEVEN: Final = 20.0  # largest over smallest amount from which distances are logarithmic
_SEEN_BEYOND: Final = 1.6  # times an amount: how far its marginal utility is drawn
_AROUND: Final = 1.5  # spreads of the points that are seen above and below them
_LEAST_SPREAD: Final = 0.02  # relative
_TEXT_ROOM: Final = 0.42  # of the longest bar, for what is written beside it


def _one(allocation: Any) -> Allocation:
    _check(allocation)
    if np.ndim(allocation.total) != 0:
        message = (
            f"allocation must be of one problem, not of {np.size(allocation.total):,}: "
            "allocate one total, or draw budget_path"
        )
        raise InputError(message, arguments=("allocation",))
    return allocation  # type: ignore[no-any-return]


def _path(allocation: Any) -> Allocation:
    _check(allocation)
    if allocation.drawn or np.ndim(allocation.total) != 1:
        what = "one problem" if np.ndim(allocation.total) == 0 else f"problems of shape {np.shape(allocation.total)}"
        what += ", one a draw of the curves" if allocation.drawn else ""
        raise InputError(f"allocation must be of totals in a row, not of {what}", arguments=("allocation",))
    return allocation  # type: ignore[no-any-return]


def _check(allocation: Any) -> None:
    if not isinstance(allocation, Allocation):
        message = f"allocation must be an Allocation, not {type(allocation).__name__}"
        raise InputError(message, arguments=("allocation",))


def _largest_first(amounts: Floats) -> list[int]:
    order = np.argsort(-amounts, kind="stable")
    return [i for i in order.tolist() if amounts[i] > 0.0]


def _left_out(found: Allocation) -> str:
    """Say what money is not placed."""
    reserve = float(found.total) - float(found.money)
    parts = [
        f"{engineering(reserve)} in reserve" if reserve > 0.0 else "",
        f"{engineering(float(found.unallocated))} unallocated" if found.unallocated > 0.0 else "",
    ]
    return ", ".join(part for part in parts if part)


def marginal_utility(allocation: Allocation, *, currency: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw w·U′ of the instruments that hold capital, where each of them ended, and the shadow price.

    Parameters
    ----------
    allocation : Allocation
        Of one total. The eight largest holdings are drawn, the rest is counted.
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
    Where nothing binds, the point lies on the line of the shadow price: that is what makes the allocation optimal. The
    shape of a point says what binds.
    """
    ax = canvas.drawing_area(ax)
    found = _one(allocation)
    held = _largest_first(found.amounts)
    shown = held[:_MOST_LINES]
    weighted = bool((found.priority != 1.0).any())
    name = "priority × marginal utility" if weighted else "marginal utility"
    canvas.dress(ax, "what the next unit of capital returns", canvas.unit("capital", currency), name)
    amounts = found.amounts[shown]
    log = len(shown) > 1 and float(amounts.max()) > _UNEVEN * float(amounts.min())
    handles = [_marginal_line(ax, found, i, k, log, amounts) for k, i in enumerate(shown)]
    price = float(found.shadow_price)
    notes = [_more(len(held) - len(shown))] if held else ["no instrument holds capital"]
    if np.isfinite(price):
        line = ax.axhline(price, color=canvas.BLACK, linewidth=1.1, linestyle=(0, (7, 3)), zorder=2)
        line.set_label(f"shadow price {price:.4g}")
        handles.append(line)
    handles += _binding_marks(found, shown)
    if shown:
        ax.set_xlim(*_span(amounts, found.curves.trusted_to[shown], log))
        ax.set_ylim(*_near(np.append((found.priority * found.marginal)[shown], price), ax.get_ylim()))
    canvas.number_axis(ax, "x", log=log, ticks=4 if canvas.narrow(ax) else 6)
    canvas.number_axis(ax, "y")
    canvas.legend_below(ax, handles, [*notes, _left_out(found)])
    return ax


def _more(n: int) -> str:
    return f"{counted(n, 'smaller holding')} not drawn" if n > 0 else ""


def _ends(amounts: Floats, limits: Floats) -> Floats:
    """Find how far each line is drawn: beyond its amount, and not beyond trust."""
    return np.maximum(np.minimum(_SEEN_BEYOND * amounts, limits), amounts)


def _span(amounts: Floats, limits: Floats, log: bool) -> tuple[float, float]:
    high = 1.04 * float(_ends(amounts, limits).max())
    return (float(amounts.min()) / 10.0 if log else 0.0), high


def _near(marked: Floats, whole: tuple[float, float]) -> tuple[float, float]:
    """Show what surrounds the points, not how deep the lines fall far from them."""
    known = marked[np.isfinite(marked)]
    low, high = float(known.min()), float(known.max())
    reach = _AROUND * max(high - low, _LEAST_SPREAD * abs(high)) or _LEAST_SPREAD
    return max(whole[0], low - reach), min(whole[1], high + reach)


def _marginal_line(ax: Axes, found: Allocation, i: int, place: int, log: bool, amounts: Floats) -> Artist:
    curve, weight, amount = found.curves[i], float(found.priority[i]), float(found.amounts[i])
    low, _ = _span(amounts, np.array([np.inf]), log)
    high = float(_ends(np.array([amount]), curve.trusted_to)[0])
    grid = np.geomspace(low, high, _GRID) if log else np.linspace(low, high, _GRID)
    colour = canvas.COLOURS[place]
    label = canvas.plain(found.symbols[i], 14 if canvas.narrow(ax) else 24)
    (line,) = ax.plot(
        grid, weight * curve.marginal(grid), color=colour, linestyle=canvas.DASHES[place], linewidth=1.7, label=label,
        zorder=3,
    )  # fmt: skip
    ax.plot(
        [amount], [weight * float(found.marginal[i])], color=colour, marker=canvas.MARKERS[found.binding[i]],
        markersize=8, markeredgecolor=canvas.BLACK, markeredgewidth=0.8, linestyle="none", zorder=5,
        label=f"_at {i}",
    )  # fmt: skip
    return line


def _binding_marks(found: Allocation, shown: list[int]) -> list[Artist]:
    codes = sorted(set(found.binding[shown].tolist()))
    return [
        canvas.sample(
            _reason(found, code), color="0.75", marker=canvas.MARKERS[code], markersize=8, linestyle="none",
            markeredgecolor=canvas.BLACK, markeredgewidth=0.8,
        )
        for code in codes
    ]  # fmt: skip


#: What keeps a holding where it is, in few words.
_SHORT: Final = {
    Binding.NONE: "at the shadow price",
    Binding.PRICE: "next unit below price",
    Binding.LOWER: "kept up by lower",
    Binding.UPPER: "upper",
    Binding.SHARE: "max_share",
    Binding.LIMIT: "end of trust in curve",
    Binding.THRESHOLD: "min_efficiency",
    Binding.TICKET: "min_ticket",
}


def _reason(found: Allocation, code: int) -> str:
    if found.greedy and code in (Binding.NONE, Binding.PRICE):
        return "the money ended"
    return _SHORT.get(Binding(code), REASONS[Binding(code).name.lower()])


def allocation_bars(allocation: Allocation, *, currency: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw who holds how much at what efficiency, the largest first, and what keeps each there.

    Parameters
    ----------
    allocation : Allocation
        Of one total. The twenty largest holdings get a bar each, the rest one together.
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
    """
    ax = canvas.drawing_area(ax)
    found = _one(allocation)
    held = _largest_first(found.amounts)
    shown, rest = held[:_MOST_BARS], held[_MOST_BARS:]
    placed = float(found.amounts.sum())
    title = f"{engineering(placed)} over {counted(len(held), 'instrument')} of {len(found):,}"
    canvas.dress(ax, title, canvas.unit("capital", currency), "")
    ax.grid(False, axis="y")
    names = [canvas.plain(found.symbols[i], 16 if canvas.narrow(ax) else 30) for i in shown]
    names += [f"{len(rest):,} more"] if rest else []
    sizes = [float(found.amounts[i]) for i in shown] + ([float(found.amounts[rest].sum())] if rest else [])
    for row, i in enumerate(shown):
        code = int(found.binding[i])
        ax.barh(
            row, float(found.amounts[i]), height=0.72, facecolor=canvas.SKY if code == 0 else "0.88",
            edgecolor=canvas.BLACK, linewidth=0.6, hatch=canvas.HATCHES[code],
        )  # fmt: skip
        mark = "*" if found.below_threshold[i] else ""
        _beside(ax, row, sizes[row], f"{engineering(sizes[row])}, η {float(found.efficiency[i]):.4f}{mark}")
    if rest:
        ax.barh(len(shown), sizes[-1], height=0.72, facecolor="white", edgecolor=canvas.BLACK, linewidth=0.6)
        _beside(ax, len(shown), sizes[-1], engineering(sizes[-1]))
    ax.set_yticks(range(len(names)), names, fontsize="x-small" if len(names) > 12 else "small")
    ax.set_ylim(max(len(names), 1) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    canvas.number_axis(ax, "x", ticks=4 if canvas.narrow(ax) else 6)
    room = 1.7 * _TEXT_ROOM if canvas.narrow(ax) else _TEXT_ROOM
    ax.set_xlim(0.0, max(sizes, default=1.0) * (1.0 + room))
    below = "* efficiency below min_efficiency" if found.below_threshold[shown].any() else ""
    nothing = "" if held else "no instrument holds capital"
    canvas.legend_below(ax, _binding_patches(found, shown), [nothing, _left_out(found), below])
    return ax


def _beside(ax: Axes, row: int, size: float, text: str) -> None:
    ax.annotate(
        text, xy=(size, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize="x-small",
        annotation_clip=False,
    )  # fmt: skip


def _binding_patches(found: Allocation, shown: list[int]) -> list[Artist]:
    codes = sorted(set(found.binding[shown].tolist()))
    return [
        canvas.patch(
            _reason(found, code), facecolor=canvas.SKY if code == 0 else "0.88", edgecolor=canvas.BLACK, linewidth=0.6,
            hatch=canvas.HATCHES[code],
        )
        for code in codes
    ]  # fmt: skip


def budget_path(allocation: Allocation, *, currency: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw how the amounts grow with the total, one on the other; white is money that stays out.

    Parameters
    ----------
    allocation : Allocation
        Of totals in a row, in any order. The six instruments that hold most in sum get a band each, the rest one.
    currency : str, optional
        Unit of capital, for the axes.
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
    found = _path(allocation)
    order = np.argsort(found.total, kind="stable")
    totals, amounts = found.total[order], found.amounts[order]
    if totals.size and totals[0] == totals[-1]:
        order = order[:1]  # one total, however often
        totals, amounts = totals[:1], amounts[:1]
    ranked = _largest_first(amounts.sum(axis=0))
    named, rest = ranked[:_MOST_BANDS], ranked[_MOST_BANDS:]
    canvas.dress(ax, "allocation by total", canvas.unit("total", currency), canvas.unit("allocated", currency))
    bands = [(canvas.plain(found.symbols[i], 24), amounts[:, i]) for i in named]
    bands += [(f"{len(rest):,} more", amounts[:, rest].sum(axis=1))] if rest else []
    handles = _stacked(ax, totals, bands)
    if totals.size:
        (line,) = ax.plot(
            totals, np.asarray(found.money)[order], color=canvas.BLACK, linewidth=1.2, linestyle=(0, (5, 2)),
            label="money there is", marker="o" if totals.size == 1 else "",
        )  # fmt: skip
        handles.append(line)
        _limits_of(ax, totals)
        ax.set_ylim(0.0, 1.04 * float(totals.max()) or 1.0)
    canvas.number_axis(ax, "x")
    canvas.number_axis(ax, "y")
    empty = "no total" if totals.size == 0 else "" if ranked else "no instrument holds capital"
    canvas.legend_below(ax, handles, [empty])
    return ax


_BAND_COLOURS: Final = (canvas.BLUE, canvas.SKY, canvas.ORANGE, canvas.YELLOW, canvas.GREEN, canvas.PURPLE, "0.9")


def _stacked(ax: Axes, totals: Floats, bands: list[tuple[str, Floats]]) -> list[Artist]:
    """Draw bands one on the other: an area each, or parts of one bar where there is only one total."""
    handles: list[Artist] = []
    under = np.zeros(totals.size)
    for k, (name, size) in enumerate(bands):
        look: dict[str, Any] = {
            "facecolor": _BAND_COLOURS[k], "edgecolor": canvas.BLACK, "linewidth": 0.5, "hatch": canvas.HATCHES[k],
        }  # fmt: skip
        if totals.size == 1:
            ax.bar(totals, size, bottom=under, width=0.2 * float(totals[0]) or 0.2, label=name, **look)
        else:
            ax.fill_between(totals, under, under + size, label=name, **look)
        handles.append(canvas.patch(name, **look))
        under = under + size
    return handles


def _limits_of(ax: Axes, totals: Floats) -> None:
    low, high = float(totals.min()), float(totals.max())
    if low == high:
        low, high = 0.5 * low, 1.5 * high or 1.0
    ax.set_xlim(low, high)


def budget_returns(allocation: Allocation, *, currency: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw what all the money earns and what one more unit would, by total.

    Parameters
    ----------
    allocation : Allocation
        Of totals in a row, in any order.
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
    """
    ax = canvas.drawing_area(ax)
    found = _path(allocation)
    order = np.argsort(found.total, kind="stable")
    totals = found.total[order]
    canvas.dress(ax, "returns by total", canvas.unit("total", currency), "per unit of money")
    marked = totals.size <= 40
    handles: list[Artist] = []
    for label, values, colour, dash, marker in (
        ("efficiency of all that is allocated", found.global_efficiency, canvas.BLUE, "-", "o"),
        ("one more unit (shadow price)", found.shadow_price, canvas.VERMILLION, (0, (5, 2)), "s"),
    ):
        sound = np.where(np.isfinite(values), values, np.nan)[order]
        (line,) = ax.plot(
            totals, sound, color=colour, linestyle=dash, linewidth=1.8, label=label, marker=marker if marked else "",
            markersize=4,
        )  # fmt: skip
        handles.append(line)
    if totals.size:
        _limits_of(ax, totals)
    canvas.number_axis(ax, "x")
    canvas.number_axis(ax, "y")
    canvas.legend_below(ax, handles, [] if totals.size else ["no total"])
    return ax
