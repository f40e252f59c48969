"""Pictures of one lending scenario, operation by operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.errors import InputError
from escala.lending.result import LendingResult
from escala.plots import canvas
from escala.text.numerals import counted, engineering

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


_FAR: Final = 3.0  # times all the rest: a target beyond that would flatten it
_UNEVEN: Final = 20.0  # highest over lowest health factor from which distances are logarithmic
_BAND: Final = 0.035  # of the height, for marks of skipped operations
_FEW: Final = 40  # operations that are marked one by one
_FLOOR: Final = 1e-12  # a health factor below cannot be shown on a logarithmic axis


def _operations(result: Any) -> Any:
    if not isinstance(result, LendingResult):
        raise InputError(f"result must be a LendingResult, not {type(result).__name__}", arguments=("result",))
    if result.operations is None:
        message = "result must have operations: simulate gives none, DeFiSimulator(...).run() does"
        raise InputError(message, arguments=("result",))
    return result.operations


def _steps(operations: Any) -> npt.NDArray[np.int64]:
    """Count from 0, the start."""
    return np.arange(operations["operation"].size + 1)


def lending_path(result: LendingResult, *, currency: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw supply, debt and net equity over the operations, and beside them the profit drawn so far.

    Parameters
    ----------
    result : LendingResult
        From :meth:`escala.DeFiSimulator.run`. Operation 0 is the start.
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
    Profit is cash drawn by new debt and owed back: net equity, which only falls, is what is owned. A target that is far
    above everything else is named in the legend, not drawn. Skipped operations are marked along the lower edge.
    """
    ax = canvas.drawing_area(ax)
    table = _operations(result)
    steps = _steps(table)
    supply, debt = _with_start(result.supply, table["supply"]), _with_start(result.borrow, table["borrow"])
    owned = supply + _with_start(0.0, table["buffer"]) + _with_start(result.wallet, table["wallet"]) - debt
    lines = (
        ("supply", supply, canvas.BLUE, "-", "o"),
        ("debt", debt, canvas.VERMILLION, (0, (6, 2)), "s"),
        ("net equity", owned, canvas.GREEN, (0, (6, 2, 1.5, 2)), "^"),
        (
            "profit drawn so far",
            np.concatenate([[0.0], np.cumsum(table["profit"])]),
            canvas.PURPLE,
            (0, (1.5, 1.5)),
            "D",
        ),
    )
    title = f"{counted(steps.size - 1, 'operation')}: {_ending(result)}"
    canvas.dress(ax, title, "operation", canvas.unit("amount", currency))
    handles: list[Artist] = []
    for name, values, colour, dash, marker in lines:
        (line,) = ax.plot(
            steps, values, color=colour, linestyle=dash, linewidth=1.8, label=name, markersize=4,
            marker=marker if steps.size <= _FEW else "",
        )  # fmt: skip
        handles.append(line)
    highest = max(float(values.max()) for _, values, *_ in lines)
    handles.append(_target(ax, float(result.target), highest))
    handles += _skipped(ax, table)
    _along(ax, steps)
    canvas.number_axis(ax, "y")
    canvas.legend_below(ax, handles)
    return ax


def _with_start(start: Any, column: Floats) -> Floats:
    return np.concatenate([[float(start)], column])


def _ending(result: LendingResult) -> str:
    return result.stop_reason.name.lower().replace("_", " ")


def _target(ax: Axes, target: float, highest: float) -> Artist:
    look: dict[str, Any] = {"color": canvas.BLACK, "linewidth": 1.2, "linestyle": (0, (10, 4))}
    if target > _FAR * highest:
        return canvas.sample(f"target {engineering(target)}: above the picture", linestyle="none")
    line = ax.axhline(target, **look)
    line.set_label(f"target {engineering(target)}")
    return line


def _skipped(ax: Axes, table: Any) -> list[Artist]:
    """Mark skipped operations along the lower edge, neighbours as one."""
    skipped = np.concatenate([[False], table["executed"] == 0, [False]])
    change = np.flatnonzero(skipped[1:] != skipped[:-1])
    starts, ends = change[0::2], change[1::2]
    if starts.size == 0:
        return []
    spans = [(start + 0.5, float(end - start)) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    look: dict[str, Any] = {"facecolor": "0.8", "edgecolor": "0.3", "hatch": "////", "linewidth": 0.4}
    ax.broken_barh(spans, (0.0, _BAND), transform=ax.get_xaxis_transform(), zorder=1, **look)
    return [canvas.patch(f"skipped: {int(skipped.sum()):,}", **look)]


def _along(ax: Axes, steps: npt.NDArray[np.int64]) -> None:
    """Number the operations; one alone keeps some room about it."""
    last = int(steps[-1])
    pad = max(0.02 * last, 0.5)
    ax.set_xlim(-pad, last + pad)
    canvas.number_axis(ax, "x", integer=True)
    if last == 0:
        ax.set_xticks([0])


def health_path(result: LendingResult, *, ax: Axes | None = None) -> Axes:
    """Draw the health factor after each operation, what every executed one leaves more than, and liquidation at 1.

    Parameters
    ----------
    result : LendingResult
        From :meth:`escala.DeFiSimulator.run`. Operation 0 is the start.
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
    Without debt the factor is infinite: such operations are counted in the legend. A position that starts below the
    minimum and executes nothing stays where it was.
    """
    ax = canvas.drawing_area(ax)
    table = _operations(result)
    steps = _steps(table)
    health = _with_start(result.start_health_factor, table["health_factor"])
    finite = np.isfinite(health) & (health > _FLOOR)
    shown = np.where(finite, health, np.nan)
    least = float(np.asarray(result.strategy.min_health_factor))
    canvas.dress(ax, "health factor after each operation", "operation", "health factor")
    (line,) = ax.plot(
        steps, shown, color=canvas.BLUE, linewidth=1.8, marker="o" if steps.size <= _FEW else "", markersize=4,
        label="health factor",
    )  # fmt: skip
    handles: list[Artist] = [line] if finite.any() else []
    for level, name, dash, colour in (
        (least, f"executed operations leave more than {least:.4g}", (0, (6, 2)), canvas.VERMILLION),
        (1.0, "liquidation below 1", "-", canvas.BLACK),
    ):
        ax.axhline(level, color=colour, linestyle=dash, linewidth=1.4, zorder=2, label=name)
        handles.append(canvas.sample(name, color=colour, linestyle=dash, linewidth=1.4))
    handles += _skipped(ax, table)
    _along(ax, steps)
    _health_axis(ax, np.append(shown[finite], [least, 1.0]))
    free = int(np.count_nonzero(np.isinf(health)))
    note = f"without debt, infinite and not drawn: {free:,} of {health.size:,}" if free else ""
    canvas.legend_below(ax, handles, [note])
    return ax


def _health_axis(ax: Axes, values: Floats) -> None:
    low, high = float(values.min()), float(values.max())
    log = high > _UNEVEN * low
    margin = 0.12 * (high - low) or 0.1
    ax.set_ylim(*((low / 1.3, high * 1.3) if log else (low - margin, high + margin)))
    canvas.number_axis(ax, "y", log=log)
