"""Pictures of a backtest at more capital: its Sharpe ratio, and its profit before and after market impact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from escala.errors import InputError
from escala.plots import canvas
from escala.sources.scaled import ScaledBacktest
from escala.text.numerals import engineering

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def sharpe_curve(
    backtest: ScaledBacktest, *, level: float = 0.90, currency: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the Sharpe ratio of a backtest's net profits over capital, with its interval.

    Parameters
    ----------
    backtest : ScaledBacktest
        With profits by period.
    level : float
        Of the interval, in (0, 1).
    currency : str, optional
        Named on the axis of capital.
    ax : matplotlib Axes, optional
        Where it is drawn; by default on a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InputError
        If an argument is wrong or profits are not known by period; names it.
    MissingExtraError
        If matplotlib is not installed.
    """
    ax = canvas.drawing_area(ax)
    _check(backtest)
    if not np.isfinite(backtest.sharpe).any():
        message = "backtest must have profits by period: a Sharpe ratio needs at least two that differ"
        raise InputError(message, arguments=("backtest",))
    low, high = backtest.sharpe_interval(level=level)
    canvas.dress(ax, "Sharpe ratio a year, after market impact", canvas.unit("capital", currency), "Sharpe ratio")
    look: dict[str, Any] = {"color": canvas.SKY, "alpha": 0.35, "linewidth": 0.0}
    band = ax.fill_between(backtest.capital, low, high, label=f"{canvas.percent(level)} interval", **look)
    line = ax.plot(backtest.capital, backtest.sharpe, color=canvas.BLUE, label="Sharpe ratio")[0]
    ax.axhline(0.0, color=canvas.BLACK, linewidth=0.8)
    _finish(ax, backtest, [line, band], level)
    return ax


def profit_curve(
    backtest: ScaledBacktest, *, level: float = 0.90, currency: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw what a backtest earns over capital before and after market impact.

    Parameters
    ----------
    backtest, level, currency, ax
        As in :func:`sharpe_curve`; profits in all will do.

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
    _check(backtest)
    canvas.dress(
        ax, "profit of the backtest, before and after market impact", canvas.unit("capital", currency),
        canvas.unit("profit", currency),
    )  # fmt: skip
    look: dict[str, Any] = {"color": canvas.GREY, "linestyle": canvas.DASHES[1]}
    handles: list[Artist] = [
        ax.plot(backtest.capital, backtest.net, color=canvas.BLUE, label="net profit")[0],
        ax.plot(backtest.capital, backtest.gross, label="gross profit", **look)[0],
    ]
    top = float(backtest.net.max())
    if top > 0.0:
        ax.set_ylim(min(0.0, max(float(backtest.net.min()), -top)), 2.0 * top)  # what is earned, not what is lost
    canvas.number_axis(ax, "y")
    _finish(ax, backtest, handles, level)
    return ax


def backtest_figure(backtest: ScaledBacktest, *, level: float = 0.90, currency: str | None = None) -> Figure:
    """Draw a backtest's profit over capital, and where profits are known by period its Sharpe ratio beside it.

    Parameters
    ----------
    backtest, level, currency
        As in :func:`sharpe_curve`.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InputError
        If an argument is wrong; names it.
    MissingExtraError
        If matplotlib is not installed.
    """
    _check(backtest)
    if not np.isfinite(backtest.sharpe).any():
        figure = canvas.new_figure()
        profit_curve(backtest, level=level, currency=currency, ax=figure.add_subplot())
        return figure
    figure = canvas.new_figure(scale=(1.5, 1.2))
    left, right = figure.subplots(1, 2)
    profit_curve(backtest, level=level, currency=currency, ax=left)
    sharpe_curve(backtest, level=level, currency=currency, ax=right)
    return figure


def _check(backtest: Any) -> None:
    if not isinstance(backtest, ScaledBacktest):
        message = f"backtest must be a ScaledBacktest, not {type(backtest).__name__}"
        raise InputError(message, arguments=("backtest",))


def _finish(ax: Axes, backtest: ScaledBacktest, handles: list[Artist], level: float) -> None:
    """Mark the capital of the backtest and the best one with its interval, and bring axes and legend in order."""
    capital = backtest.capital
    if capital[0] < capital[-1]:
        ax.set(xscale="log", xlim=(capital[0], capital[-1]))
        canvas.number_axis(ax, "x", log=True, ticks=4 if canvas.narrow(ax) else 6)
    found = backtest.capacity(level=level)
    own = backtest.capital_of_backtest
    for place, said, look in (
        (own, f"of the backtest: {engineering(own)}", canvas.DASHES[2]),
        (found.capacity, f"highest net profit: {engineering(found.capacity)}", canvas.DASHES[0]),
    ):
        if capital[0] <= place <= capital[-1]:
            handles.append(ax.axvline(place, color=canvas.VERMILLION, linestyle=look, linewidth=1.2, label=said))
    low, high = max(found.low, capital[0]), min(found.high, capital[-1])
    if low < high:
        said = f"its {canvas.percent(level)} interval: {engineering(found.low)} to {engineering(found.high)}"
        handles.append(ax.axvspan(low, high, color=canvas.VERMILLION, alpha=0.10, linewidth=0.0, zorder=0, label=said))
    canvas.legend_below(ax, handles)
