"""Several pictures on one sheet, as the command line shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from escala.allocation.result import Allocation
from escala.arrays import to_floats
from escala.errors import InputError
from escala.plots import canvas
from escala.plots.allocation import allocation_bars, budget_path, budget_returns, marginal_utility
from escala.plots.curve import one_curve
from escala.plots.efficiency import efficiency_curve, efficiency_curves
from escala.plots.lending import health_path, lending_path
from escala.plots.loss import loss_curve, loss_curves
from escala.plots.market import equity_fan, market_health, price_fan, survival
from escala.plots.plans import plan_health, plan_path
from escala.plots.sweeps import distribution, heat_map
from escala.plots.utility import marginal_curve, utility_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from escala.curves.curveset import CurveSet
    from escala.lending.planned import Planned
    from escala.lending.result import LendingResult
    from escala.market.result import MarketResult
    from escala.sweeps.summary import SweepSummary

#: Of the size of one picture.
_SIDE_BY_SIDE = (1.5, 1.2)
_ONE_ABOVE_OTHER = (1.0, 1.5)
_FOUR = (1.5, 2.2)
#: Share of an axis below which a mark cannot be told from its edge.
_STICKS = 0.02
#: Rank correlation from which on two inputs are not drawn against each other.
_DEPENDENT = 0.3
#: Quantiles of an input beyond which a map leaves it out, where they span less than such a share of all.
_TAILS = (0.01, 0.99)
_CROWDED = 0.7


def _of_symbol(records: Any, symbol: str) -> dict[str, Any]:
    """Take the records of one symbol from what has symbol, capital and efficiency, by name or as attributes."""
    if records is None:
        return {}
    names = ("symbol", "capital", "efficiency")
    try:
        columns = [records[name] if isinstance(records, Mapping) else getattr(records, name) for name in names]
    except (KeyError, AttributeError):
        raise InputError("records must have symbol, capital and efficiency", arguments=("records",)) from None
    chosen = np.array([one == symbol for one in columns[0]], dtype=np.bool_)
    for name, column in zip(names[1:], columns[1:], strict=True):
        if len(column) != chosen.size:
            message = f"records must have one {name} a symbol, not {len(column):,} for {chosen.size:,}"
            raise InputError(message, arguments=("records",))
    return {name: np.asarray(column)[chosen] for name, column in zip(names[1:], columns[1:], strict=True)}


def prediction_figure(
    curves: CurveSet,
    symbol: str | None,
    records: Any,
    capitals: npt.ArrayLike,
    *,
    level: float = 0.95,
    currency: str | None = None,
) -> Figure:
    """Draw one instrument's curve and records, with the predictions that were asked for, beside what is lost.

    Parameters
    ----------
    curves, symbol, level, currency
        As in :func:`efficiency_curve`.
    records : object or mapping, optional
        Columns symbol, capital and efficiency, of any instruments; None for none.
    capitals : float or array
        Capitals whose prediction is marked.

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
    curve = one_curve(curves, symbol)
    figure = canvas.new_figure(scale=_SIDE_BY_SIDE)
    left, right = figure.subplots(1, 2)
    seen = _of_symbol(records, curve.symbols[0])
    efficiency_curve(
        curve, points=capitals, level=level, log=_needs_decades(curve, capitals), currency=currency, ax=left, **seen
    )
    loss_curve(curve, points=capitals, level=level, currency=currency, ax=right, **seen)
    return figure


def _needs_decades(curve: CurveSet, capitals: npt.ArrayLike = ()) -> bool:
    """Tell whether much of what matters would stick to the left edge of a linear axis."""
    asked = to_floats("capitals", capitals, InputError).reshape(-1)
    marks = np.concatenate([asked, curve.saturation().saturation, curve.observed[:, 1], curve.trusted_to])
    marks = marks[np.isfinite(marks) & (marks > 0.0)]
    return bool(marks.size and marks.min() < _STICKS * marks.max())


def analysis_figure(
    curves: CurveSet, symbol: str | None, records: Any, *, drop: float = 0.10, currency: str | None = None
) -> Figure:
    """Draw one instrument's efficiency beside what is lost, what its capital returns and what the next unit does.

    Of several instruments without a symbol all curves are drawn, beside what they lose.

    Parameters
    ----------
    curves, symbol, drop, currency
        As in :func:`efficiency_curve`.
    records : object or mapping, optional
        Columns symbol, capital and efficiency, of any instruments; None for none.

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
    if symbol is None and len(curves) != 1:
        figure = canvas.new_figure(scale=_ONE_ABOVE_OTHER)
        above, below = figure.subplots(2, 1)
        efficiency_curves(curves, currency=currency, ax=above)
        loss_curves(curves, currency=currency, ax=below)
        return figure
    curve = one_curve(curves, symbol)
    figure = canvas.new_figure(scale=_FOUR)
    (upper_left, upper_right), (lower_left, lower_right) = figure.subplots(2, 2)
    log, seen = _needs_decades(curve), _of_symbol(records, curve.symbols[0])
    efficiency_curve(curve, drop=drop, log=log, currency=currency, ax=upper_left, **seen)
    loss_curve(curve, drop=drop, currency=currency, ax=upper_right, **seen)
    utility_curve(curve, log=log, currency=currency, ax=lower_left)
    marginal_curve(curve, log=log, currency=currency, ax=lower_right)
    return figure


def allocation_figure(allocation: Allocation, *, currency: str | None = None) -> Figure:
    """Draw an allocation: marginal utilities beside the amounts; of many totals the path above its returns.

    Parameters
    ----------
    allocation : Allocation
        Of one total, or of totals in a row.
    currency : str, optional
        Unit of capital.

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
    if isinstance(allocation, Allocation) and np.ndim(allocation.total) > 0:
        figure = canvas.new_figure(scale=_ONE_ABOVE_OTHER)
        above, below = figure.subplots(2, 1, height_ratios=(3, 2))
        budget_path(allocation, currency=currency, ax=above)
        budget_returns(allocation, currency=currency, ax=below)
        return figure
    figure = canvas.new_figure(scale=_SIDE_BY_SIDE)
    left, right = figure.subplots(1, 2)
    marginal_utility(allocation, currency=currency, ax=left)
    allocation_bars(allocation, currency=currency, ax=right)
    return figure


def sweep_figure(
    summary: SweepSummary, output: str | None = None, *, x: str | None = None, y: str | None = None
) -> Figure:
    """Draw one output of a sweep: how it is distributed, and its means over two inputs.

    Parameters
    ----------
    summary : SweepSummary
        Of :func:`escala.sweep`; the rows that it kept whole are drawn, and how many of all they are is said.
    output : str, optional
        One of its outputs; by default the first.
    x, y : str, optional
        Inputs along the axes; by default the one that explains the output most, and of those that do not depend on it
        the one that explains most.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InputError
        If an argument is wrong; names it.
    MissingExtraError
        If matplotlib is not installed.

    Notes
    -----
    Inputs depend on each other where their rank correlation in the sample is beyond 0.3: a multiple of another input
    would fill a line of the map and no more.
    """
    name = summary.outputs[0] if output is None else output
    if name not in summary.outputs:
        message = f"output {name!r} was not kept: outputs are {', '.join(summary.outputs)}"
        raise InputError(message, arguments=("output",))
    rows = summary.sample
    inputs = _axes_of(summary, name, {"x": x, "y": y})
    figure = canvas.new_figure(scale=_SIDE_BY_SIDE if len(inputs) == 2 else (1.0, 1.0))
    axes = figure.subplots(1, max(len(inputs), 1), squeeze=False)[0]
    distribution(rows[name], label=name, ax=axes[0])
    drawn, said = len(rows[name]), []
    if drawn < summary.scenarios:
        said.append(f"a sample of {drawn:,} of {summary.scenarios:,} scenarios, evenly spread over the design")
    if len(inputs) == 2:
        tails = {column: _without_tails(rows[column]) for column in inputs}
        shown = np.logical_and.reduce(list(tails.values()))
        heat_map(*(rows[column][shown] for column in (*inputs, name)), labels=(*inputs, name), ax=axes[1])
        cut = [canvas.plain(column) for column, inside in tails.items() if not inside.all()]
        said += [f"the map without the outermost 1 % of {' and '.join(cut)} at each end"] * bool(cut)
    if said:
        figure.suptitle("; ".join(said), x=0.01, ha="left", fontsize="medium")
    return figure


def _without_tails(column: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Mark what a map shows of an input: all of it, unless one row in fifty would take most of the axis."""
    low, high = np.quantile(column, _TAILS)
    if high > low and high - low < _CROWDED * float(np.ptp(column)):
        inside: npt.NDArray[np.bool_] = (column >= low) & (column <= high)
        return inside
    return np.ones(column.size, dtype=np.bool_)


def _axes_of(summary: SweepSummary, output: str, asked: dict[str, str | None]) -> list[str]:
    """Choose two inputs for a map; none where there are no two that vary independently."""
    rows, indexes = summary.sample, summary.sensitivities[output]
    for argument, column in asked.items():
        if column is not None and column not in indexes:
            message = f"{argument} must be an input, not {column!r}: inputs are {', '.join(indexes)}"
            raise InputError(message, arguments=(argument,))
    chosen = dict(asked)
    ranked = sorted(indexes, key=lambda column: -np.nan_to_num(indexes[column]))
    varying = [column for column in ranked if rows[column].size and rows[column].min() < rows[column].max()]
    for argument, other in (("x", "y"), ("y", "x")):
        if chosen[argument] is None:
            known = chosen[other]
            fit = [c for c in varying if known is None or (c != known and _are_independent(rows[c], rows[known]))]
            chosen[argument] = fit[0] if fit else None
    return [column for column in chosen.values() if column is not None]


def _are_independent(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> bool:
    a, b = (np.unique(column, return_inverse=True)[1].astype(np.float64) for column in (one, other))
    return abs(float(np.corrcoef(a, b)[0, 1])) < _DEPENDENT


def lending_figure(result: LendingResult, *, currency: str | None = None) -> Figure:
    """Draw one lending scenario: amounts above, the health factor below.

    Parameters
    ----------
    result : LendingResult
        From :meth:`escala.DeFiSimulator.run`.
    currency : str, optional
        Unit of account.

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
    figure = canvas.new_figure(scale=_ONE_ABOVE_OTHER)
    above, below = figure.subplots(2, 1, height_ratios=(3, 2))
    lending_path(result, currency=currency, ax=above)
    health_path(result, ax=below)
    return figure


def plan_figure(plan: Planned, *, currency: str | None = None) -> Figure:
    """Draw a plan: supply and debt above, the health factor below.

    Parameters
    ----------
    plan : LeveragePlan or UnwindPlan
        One plan.
    currency : str, optional
        Unit of account.

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
    figure = canvas.new_figure(scale=_ONE_ABOVE_OTHER)
    above, below = figure.subplots(2, 1, height_ratios=(3, 2))
    plan_path(plan, currency=currency, ax=above)
    plan_health(plan, ax=below)
    return figure


def market_figure(result: MarketResult, *, currency: str | None = None) -> Figure:
    """Draw a position in a market: price and equity above; below survival, and the worst recorded path.

    Of one path there is no survival to draw.

    Parameters
    ----------
    result : MarketResult
        Of one parameter set, with the outputs of every path (``keep="rows"``) and some hundred recorded ones, not of
        Sobol sampling.
    currency : str, optional
        Unit of account.

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
    figure = canvas.new_figure(scale=_FOUR)
    grid = figure.add_gridspec(2, 2)
    price_fan(result, currency=currency, ax=figure.add_subplot(grid[0, 0]))
    equity_fan(result, currency=currency, ax=figure.add_subplot(grid[0, 1]))
    if result.sampling.paths == 1:
        market_health(result, ax=figure.add_subplot(grid[1, :]))
    else:
        survival(result, ax=figure.add_subplot(grid[1, 0]))
        market_health(result, ax=figure.add_subplot(grid[1, 1]))
    return figure
