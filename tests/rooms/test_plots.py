"""Pictures: the right numbers, labels that fit, readable in grey, the same bytes, and no trace in matplotlib's state."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
import runpy
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from escala import (
    Allocation,
    Binding,
    CurveError,
    CurveSet,
    DeFiSimulator,
    Design,
    InputError,
    LendingResult,
    LendingStrategy,
    LeveragePlan,
    StopReason,
    allocate,
    fit,
    plan_leverage,
    plan_unwind,
    plots,
    simulate,
)
from escala.demo.curves import Quotes, load_quotes
from escala.plots import canvas
from escala.plots.efficiency import spread
from escala.sweeps.sweep import sweep as sweep_design
from escala.text.numerals import between, engineering
from tests.places import ROOT

LONG = "an instrument whose $name$ is sixty letters long, or so, _%d_"
PAIR = "USDC/WBTC"


@functools.cache
def quotes() -> Quotes:
    return load_quotes()


@functools.cache
def curves() -> CurveSet:
    return fit(quotes().symbol, quotes().capital, quotes().efficiency)


@functools.cache
def parabolas() -> CurveSet:
    """Curves that fall far enough to have a capacity, and that their records contradict."""
    return fit(quotes().symbol, quotes().capital, quotes().efficiency, family="quadratic")


def records(symbol: str) -> dict[str, Any]:
    chosen = np.array(quotes().symbol) == symbol
    return {"capital": quotes().capital[chosen], "efficiency": quotes().efficiency[chosen]}


@functools.cache
def long_curves() -> CurveSet:
    params = [[-1e-9 / (k + 1), 1.0 - k / 200] for k in range(56)]
    return CurveSet.from_params([LONG % k for k in range(56)], "linear", params, trusted_to=1e9)


@functools.cache
def allocation() -> Allocation:
    return allocate(curves(), 5e8, reserve=0.05)


@functools.cache
def path() -> Allocation:
    return allocate(curves(), np.linspace(5e9, 0.0, 30))


@functools.cache
def lending(target: float = 4000.0, most: int = 10_000, borrow: float = 600.0) -> LendingResult:
    strategy = LendingStrategy(max_operations=most, max_stagnant_operations=100_000)
    return DeFiSimulator(1000, borrow, target, 200, strategy=strategy).run()


@functools.cache
def sweep() -> tuple[Any, Any, LendingResult]:
    repay, draw = np.meshgrid(np.linspace(0.03, 0.3, 30), [0.5, 0.6, 0.7, 0.8, 0.9], indexing="ij")
    strategy = LendingStrategy(repay=repay, draw_fraction=draw)
    return repay, draw, simulate(1000, 600, 1500, 200, strategy=strategy)


@functools.cache
def dependent_sweep() -> Any:
    """Supply, borrow and target go together; wallet and max_operations do not."""
    ranges: Any = {"supply": (500.0, 2e3), "borrow": ("supply", 0.4, 0.6), "target": {"of": "supply", "factor": 1.5}}
    design = Design.sobol({**ranges, "wallet": (0.0, 500.0), "max_operations": (5, 100)}, 65_536, seed=1)
    return sweep_design(design, outputs=["final_supply"])


@functools.cache
def ladder() -> CurveSet:
    """A book of four levels, with nothing behind the last."""
    knots, slopes = [[0.0, 1e4, 5e4, 2e5, 4e5]], [[1.0, 0.999, 0.99, 0.9, 0.0]]
    return CurveSet.from_ladders(["book"], knots, slopes, trusted_to=1e6)


#: Six records, two of them without loss.
FEW: dict[str, Any] = {
    "capital": [1e3, 5e3, 2e4, 1e5, 4e5, 9e5],
    "efficiency": [1.0, 1.0, 0.9995, 0.998, 0.97, 0.9],
}


@functools.cache
def few() -> CurveSet:
    return fit(["A"], [FEW["capital"]], [FEW["efficiency"]])


def sparse() -> Axes:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(500.0, 5000.0, 500), rng.uniform(0.0, 1e12, 500)
    return plots.heat_map(x, y, np.where(x < 600.0, np.nan, x * y), labels=("supply", LONG, LONG), bins=(40, 20))


def planned(leverage: float, equity: float = 1000.0) -> LeveragePlan:
    return plan_leverage(
        equity, leverage=leverage, supply=1000.0 - equity, max_ltv=0.8, liquidation_threshold=0.85,
        min_health_factor=1.01,
    )  # fmt: skip


#: Every kind of picture, with the easy and the awkward.
PICTURES: dict[str, Callable[[], Axes | Figure]] = {
    "curve": lambda: plots.efficiency_curve(curves(), PAIR, **records(PAIR), points=[1e7, 2e8], currency="USD"),
    "curve, logarithmic": lambda: plots.efficiency_curve(curves(), "USDC/WETH", **records("USDC/WETH"), log=True),
    "curve, zoomed": lambda: plots.efficiency_curve(curves(), "USDC/TUSD", **records("USDC/TUSD"), up_to=5e6),
    "curve of known coefficients": lambda: plots.efficiency_curve(
        CurveSet.from_params([LONG], "exponential", [[0.4, 1e-6, 0.6]])
    ),
    "huge curve": lambda: plots.efficiency_curve(
        fit(["A"] * 4, [1e99, 2e99, 3e99, 4e99], [0.9, 0.8, 0.71, 0.6]), capital=[1e99], efficiency=[0.9], weights=[2.0]
    ),
    "no curve": lambda: plots.efficiency_curve(fit([LONG], [1e5], [0.9]), capital=[1e5], efficiency=[0.9], points=5e4),
    "loss": lambda: plots.loss_curve(curves(), PAIR, **records(PAIR), points=[1e7, 2e8], currency="USD"),
    "loss, zoomed": lambda: plots.loss_curve(curves(), "USDC/TUSD", **records("USDC/TUSD"), up_to=5e6),
    "loss, few": lambda: plots.loss_curve(few(), **FEW),
    "loss of a ladder": lambda: plots.loss_curve(ladder()),
    "loss, none at all": lambda: plots.loss_curve(
        fit(["A"], [[1.0, 2.0, 3.0]], [[1.0, 1.0, 1.0]]), capital=[1.0, 2.0, 3.0], efficiency=[1.0, 1.0, 1.0]
    ),
    "loss, no curve": lambda: plots.loss_curve(fit([LONG], [1e5], [0.9]), capital=[1e5], efficiency=[0.9], points=5e4),
    "losses": lambda: plots.loss_curves(curves()),
    "long losses": lambda: plots.loss_curves(long_curves(), currency="USD"),
    "marginal curve": lambda: plots.marginal_curve(curves(), PAIR, currency="USD"),
    "marginal curve, logarithmic": lambda: plots.marginal_curve(curves(), "USDC/WETH", log=True),
    "marginal curve, ladder": lambda: plots.marginal_curve(ladder()),
    "marginal curve, none": lambda: plots.marginal_curve(fit([LONG], [1e5], [0.9])),
    "utility": lambda: plots.utility_curve(curves(), PAIR, currency="USD"),
    "utility of a ladder": lambda: plots.utility_curve(ladder()),
    "curves": lambda: plots.efficiency_curves(curves()),
    "long curves": lambda: plots.efficiency_curves(long_curves(), log=False),
    "marginal": lambda: plots.marginal_utility(allocation(), currency="USD"),
    "marginal, long": lambda: plots.marginal_utility(allocate(long_curves(), 1e13)),
    "marginal, zero": lambda: plots.marginal_utility(allocate(curves(), 0.0)),
    "bars": lambda: plots.allocation_bars(allocation()),
    "bars, long": lambda: plots.allocation_bars(allocate(long_curves(), 1e13, min_efficiency=0.9)),
    "bars, zero": lambda: plots.allocation_bars(allocate(curves(), 0.0)),
    "budget": lambda: plots.budget_path(path(), currency="USD"),
    "budget of one": lambda: plots.budget_path(allocate(long_curves(), [1e9])),
    "budget of none": lambda: plots.budget_path(allocate(curves(), [])),
    "returns": lambda: plots.budget_returns(path()),
    "lending": lambda: plots.lending_path(lending(1500.0), currency="USDC"),
    "lending, one operation": lambda: plots.lending_path(lending(1001.0)),
    "lending, none": lambda: plots.lending_path(lending(900.0)),
    "lending, many": lambda: plots.lending_path(lending(1e9, 100_000)),
    "health": lambda: plots.health_path(lending()),
    "health, none": lambda: plots.health_path(lending(900.0)),
    "health, little debt": lambda: plots.health_path(lending(2500.0, 10_000, 1e-3)),
    "health, no debt": lambda: plots.health_path(lending(900.0, 10_000, 0.0)),
    "heat": lambda: plots.heat_map(*sweep()[:2], sweep()[2].executed, labels=("repay", "draw_fraction", "operations")),
    "heat, sparse": sparse,
    "heat, constant": lambda: plots.heat_map([1e-9, 2e-9], [1e12, 2e12], [5.0, 5.0]),
    "heat, nothing": lambda: plots.heat_map([], [], []),
    "distribution": lambda: plots.distribution(sweep()[2].net_equity_change, label=LONG),
    "distribution by": lambda: plots.distribution(np.arange(200.0), by=[LONG % (k % 9) for k in range(200)]),
    "distribution of one": lambda: plots.distribution([1e99]),
    "prediction figure": lambda: plots.prediction_figure(curves(), PAIR, quotes(), [1e7, 1e8]),
    "analysis figure": lambda: plots.analysis_figure(curves(), PAIR, quotes(), currency="USD"),
    "analysis of a ladder": lambda: plots.analysis_figure(ladder(), None, None, currency="USD"),
    "analysis of many": lambda: plots.analysis_figure(curves(), None, None),
    "analysis, long": lambda: plots.analysis_figure(long_curves(), LONG % 3, None),
    "allocation figure": lambda: plots.allocation_figure(allocation(), currency="USD"),
    "allocation, long": lambda: plots.allocation_figure(allocate(long_curves(), 1e13)),
    "budget figure": lambda: plots.allocation_figure(path()),
    "lending figure": lambda: plots.lending_figure(lending()),
    "plan": lambda: plots.plan_path(planned(2.5), currency="USDC"),
    "plan, many": lambda: plots.plan_path(planned(4.9)),
    "plan, nothing to do": lambda: plots.plan_path(planned(1.0, 0.0)),
    "plan's health": lambda: plots.plan_health(planned(4.9)),
    "plan's health, no debt": lambda: plots.plan_health(planned(1.0)),
    "plan figure": lambda: plots.plan_figure(planned(2.5)),
    "unwinding figure": lambda: plots.plan_figure(
        plan_unwind(2500, 1500, close=True, liquidation_threshold=0.85, min_health_factor=1.05)
    ),
}


def figure_of(picture: Axes | Figure) -> Figure:
    figure = picture if isinstance(picture, Figure) else picture.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def labels_in_view(axis: Any) -> list[Text]:
    on_scale = axis.get_transform().transform
    low, high = sorted(on_scale(axis.get_view_interval()))
    slack = 1e-9 * (high - low)
    ticks = [t for t in axis.get_major_ticks() if low - slack <= on_scale(t.get_loc()) <= high + slack]
    return [text for t in ticks for text in (t.label1, t.label2) if text.get_visible() and text.get_text()]


def check_that_labels_fit(figure: Figure) -> None:
    """Nothing written leaves the figure, tick labels lie apart, and legends cover no axes and no name of one."""
    figure.draw_without_rendering()
    whole = figure.bbox.padded(1.0)
    axes = [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    ticks = {
        text for axis in axes for tick in axis.majorTicks for text in (tick.label1, tick.label2)
    }  # unused ones too
    in_view = [labels_in_view(axis) for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    free = [t for t in figure.findobj(Text) if isinstance(t, Text) and t not in ticks]
    for text in [*free, *(t for labels in in_view for t in labels)]:
        if text.get_text() and text.get_visible():
            box = text.get_window_extent()
            inside = whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1
            assert inside, (text.get_text(), box, whole)
    for labels in in_view:
        boxes = [label.get_window_extent() for label in labels]
        for one, other in itertools.pairwise(boxes):
            assert not one.overlaps(other), [label.get_text() for label in labels]
    for ax in figure.axes:
        assert min(ax.get_window_extent().height, ax.get_window_extent().width) > 10.0
        legend = ax.get_legend()
        if legend is not None:
            place = legend.get_window_extent()
            for near in figure.axes:
                assert not place.overlaps(near.get_window_extent())
                assert not place.overlaps(near.xaxis.label.get_window_extent()) or not near.get_xlabel()


@pytest.mark.parametrize("size", [(800, 500), (1600, 1000)])
@pytest.mark.parametrize("name", PICTURES)
def test_labels_fit(name: str, size: tuple[int, int]) -> None:
    figure = figure_of(PICTURES[name]())
    dpi = min(size[0] / figure.get_figwidth(), size[1] / figure.get_figheight())
    figure.set_dpi(dpi)
    figure.set_size_inches(size[0] / dpi, size[1] / dpi)
    check_that_labels_fit(figure)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_leave_no_trace_and_need_no_pyplot(name: str) -> None:
    before = dict(mpl.rcParams)
    figure = figure_of(PICTURES[name]())
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or sys.modules["matplotlib.pyplot"].get_fignums() == []
    assert figure.get_layout_engine() is not None


def dashes(line: Line2D) -> str:
    """Give the pattern of a line; its public style says the same of all patterns."""
    return "None" if line.get_linestyle() == "None" else str(line._unscaled_dash_pattern)  # type: ignore[attr-defined]


def luminance(colour: Any) -> float:
    red, green, blue = to_rgb(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", PICTURES)
def test_legends_can_be_read_in_grey(name: str) -> None:
    for ax in figure_of(PICTURES[name]()).axes:
        legend = ax.get_legend()
        looks = []
        for handle in legend.legend_handles if legend else []:
            if isinstance(handle, Line2D):
                fill = handle.get_markerfacecolor() if handle.get_marker() not in ("", "None") else handle.get_color()
                looks.append(("line", dashes(handle), handle.get_marker(), luminance(fill)))
            elif isinstance(handle, Rectangle):
                looks.append(("area", str(handle.get_hatch()), "", luminance(handle.get_facecolor()[:3])))
        for k, one in enumerate(looks):
            for other in looks[:k]:
                if one[:3] == other[:3] and one[1:3] not in (
                    ("None", "None"),
                    ("None", ""),
                ):  # a text alone has no look
                    assert abs(one[3] - other[3]) > 0.1, (one, other)


def test_bands_and_lines_of_one_picture_differ_without_colour() -> None:
    lines = [line for line in plots.marginal_utility(allocation()).lines if str(line.get_label())[0] != "_"]
    assert len(lines) == 9
    assert len(set(map(dashes, lines))) == 9
    assert (
        len(set(map(str, canvas.DASHES))) == len(canvas.COLOURS) == len(set(canvas.MARKERS)) == len(set(canvas.HATCHES))
    )


FUNCTIONS: dict[str, Callable[[Axes], Axes]] = {
    "efficiency_curve": lambda ax: plots.efficiency_curve(curves(), PAIR, ax=ax),
    "efficiency_curves": lambda ax: plots.efficiency_curves(curves(), ax=ax),
    "loss_curve": lambda ax: plots.loss_curve(curves(), PAIR, ax=ax),
    "loss_curves": lambda ax: plots.loss_curves(curves(), ax=ax),
    "marginal_curve": lambda ax: plots.marginal_curve(curves(), PAIR, ax=ax),
    "utility_curve": lambda ax: plots.utility_curve(curves(), PAIR, ax=ax),
    "marginal_utility": lambda ax: plots.marginal_utility(allocation(), ax=ax),
    "allocation_bars": lambda ax: plots.allocation_bars(allocation(), ax=ax),
    "budget_path": lambda ax: plots.budget_path(path(), ax=ax),
    "budget_returns": lambda ax: plots.budget_returns(path(), ax=ax),
    "lending_path": lambda ax: plots.lending_path(lending(), ax=ax),
    "health_path": lambda ax: plots.health_path(lending(), ax=ax),
    "plan_path": lambda ax: plots.plan_path(planned(2.5), ax=ax),
    "plan_health": lambda ax: plots.plan_health(planned(2.5), ax=ax),
    "heat_map": lambda ax: plots.heat_map([1, 2], [1, 2], [1, 2], ax=ax),
    "distribution": lambda ax: plots.distribution([1, 2], ax=ax),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_given_axes_are_drawn_on_and_returned(name: str) -> None:
    figure = canvas.new_figure()
    ax = figure.add_subplot()
    assert FUNCTIONS[name](ax) is ax
    assert ax.get_figure() is figure
    assert ax.has_data()
    with pytest.raises(InputError, match=r"^ax must be matplotlib Axes, not Figure$"):
        FUNCTIONS[name](figure)  # type: ignore[arg-type]


def line(ax: Axes, label: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    (found,) = [one for one in ax.lines if one.get_label() == label]
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


def legend_texts(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [*legend.get_title().get_text().splitlines(), *(text.get_text() for text in legend.get_texts())]


def test_an_efficiency_curve_has_the_curves_numbers() -> None:
    curve = parabolas()[PAIR]
    found, predicted = curve.saturation(0.2), curve.predict(np.array([1e7, 2e8]), level=0.8)
    ax = plots.efficiency_curve(parabolas(), PAIR, **records(PAIR), points=[1e7, 2e8], drop=0.2, level=0.8)
    seen, extrapolated = line(ax, "curve within the data"), line(ax, "curve extrapolated")
    for x, y in (seen, extrapolated, line(ax, "beyond the limit")):
        assert np.array_equal(y, curve.efficiency(x))
    assert [seen[0][0], seen[0][-1]] == curve.observed[0].tolist()
    assert [extrapolated[0][0], extrapolated[0][-1]] == [curve.observed[0, 1], curve.trusted_to[0]]
    assert line(ax, "20 % lost")[0][0] == found.saturation[0]
    assert line(ax, "capacity")[0][0] == found.capacity[0]
    points = ax.collections[0].get_offsets()
    assert np.array_equal(np.asarray(points), np.stack(list(records(PAIR).values()), axis=1))
    marked = next(c for c in ax.containers if isinstance(c, ErrorbarContainer))
    assert np.array_equal(marked[0].get_ydata(), predicted.efficiency)
    bars = np.array([segment[:, 1] for segment in marked[2][0].get_segments()])
    assert np.allclose(bars, np.stack([predicted.low, predicted.high], axis=1), rtol=1e-12, atol=0.0)
    band = ax.collections[1].get_paths()[0].vertices
    edge = curve.predict(np.array([curve.trusted_to[0]]), level=0.8)
    at_limit = np.asarray(band)[np.asarray(band)[:, 0] == curve.trusted_to[0], 1]
    assert {at_limit.min(), at_limit.max()} == {edge.low[0], edge.high[0]}
    assert "where 80 % of new records lie" in legend_texts(ax)
    assert f"trust ends at {engineering(curve.trusted_to[0])}" in legend_texts(ax)


def test_a_curve_left_of_its_data_is_in_the_legend() -> None:
    ax = plots.efficiency_curve(curves(), PAIR, up_to=400.0)
    x, y = line(ax, "curve extrapolated")
    assert (x[0], x[-1]) == (0.0, 400.0)
    assert np.array_equal(y, curves()[PAIR].efficiency(x))
    assert "curve extrapolated" in legend_texts(ax)


def test_spans_are_the_intervals() -> None:
    curve = parabolas()[PAIR]
    found = curve.saturation()
    ax = plots.efficiency_curve(curve)
    spans = {(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches if isinstance(p, Rectangle)}
    wanted = [(found.saturation_low, found.saturation_high), (found.capacity_low, found.capacity_high)]
    for low, high in wanted:
        assert any(np.allclose(span, (low[0], high[0]), rtol=1e-12) for span in spans), spans


def test_what_cannot_be_drawn_is_said() -> None:
    rising = CurveSet.from_params(["R"], "linear", [[1e-9, 0.5]], trusted_to=1e6)
    texts = legend_texts(plots.efficiency_curve(rising, capital=[1.0, np.nan, np.inf], efficiency=[0.5, 0.5, 0.5]))
    assert {"10 % lost: beyond the limit", "capacity: beyond the limit", "2 records not shown: not finite"} & set(texts) >= {
        "10 % lost: beyond the limit", "2 records not shown: not finite"
    }  # fmt: skip
    ax = plots.efficiency_curve(fit(["A"], [1e5], [0.9]))
    assert legend_texts(ax) == ["no curve: too few distinct capitals"]
    assert ax.get_title(loc="left") == "A: no curve, 1 point"
    unlike = legend_texts(plots.efficiency_curve(parabolas(), "USDC/TUSD", **records("USDC/TUSD"), up_to=5e6))
    assert "99 records not shown: beyond the right edge" in unlike
    assert any("follow a pattern that this curve does not" in text for text in unlike)


def test_curves_of_many_are_named_at_their_ends() -> None:
    some = curves()[["USDC/WBTC", "WETH/USDC", "USDT/WETH"]]
    ax = plots.efficiency_curves(some)
    assert [text.get_text() for text in ax.texts if text.get_text()] == [
        some.symbols[k] for k in np.argsort([float(c.efficiency(c.trusted_to)[0]) for c in some], kind="stable")
    ]
    for curve in some:
        x, y = line(ax, curve.symbols[0])
        assert x[0] == curve.observed[0, 1]
        assert y[0] == curve.efficiency(x)[0]
    params = np.tile([-1e-6, 1.0], (300, 1))
    many = plots.efficiency_curves(CurveSet.from_params([f"S{k}" for k in range(300)], "linear", params))
    assert "92 curves not drawn" in legend_texts(many)
    texts = legend_texts(plots.efficiency_curves(CurveSet.concatenate([curves(), fit(["one"], [1.0], [1.0])])))
    assert texts[:2] == [
        "48 curves more, thin; named are eight spread over where 10 % is lost",
        "1 instrument without a curve",
    ]


def test_names_move_no_further_than_needed() -> None:
    assert spread(np.array([0.2, 0.5]), 0.1).tolist() == [0.2, 0.5]
    heights = spread(np.array([0.98, 0.99, 1.0]), 0.1)
    assert np.allclose(heights, [0.8, 0.9, 1.0])
    assert np.allclose(spread(np.zeros(3), 0.1), [0.0, 0.1, 0.2])


def test_losses_are_what_efficiencies_leave() -> None:
    curve, seen = curves()[PAIR], records(PAIR)
    ax = plots.loss_curve(curve, **seen, points=[1e7], level=0.8)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    floor = ax.get_ylim()[0]
    for label in ("curve within the data", "curve extrapolated"):
        x, y = line(ax, label)
        assert np.array_equal(y, np.maximum(1.0 - curve.efficiency(x), floor))
    points = np.asarray(ax.collections[0].get_offsets())
    assert np.array_equal(points[:, 1], np.maximum(1.0 - seen["efficiency"], floor))
    at = curve.predict([1e7], level=0.8)
    marked = next(c for c in ax.containers if isinstance(c, ErrorbarContainer))
    assert np.array_equal(marked[0].get_ydata(), 1.0 - at.efficiency)
    (bar,) = [segment[:, 1] for segment in marked[2][0].get_segments()]
    assert np.allclose(bar, np.maximum([1.0 - at.high[0], 1.0 - at.low[0]], floor), rtol=1e-12, atol=0.0)
    assert ax.yaxis.get_major_formatter()(0.001, 0) == "0.1 %"


def test_records_without_loss_lie_on_the_lower_edge_and_are_counted() -> None:
    ax = plots.loss_curve(few(), **FEW)
    floor = ax.get_ylim()[0]
    assert 1e-7 < floor <= 1e-4
    assert f"2 records on the lower edge: {canvas.percent(floor)} or less" in legend_texts(ax)
    below = [one for one in ax.lines if one.get_marker() == "v"]
    assert [np.asarray(one.get_xdata()).tolist() for one in below] == [[1e3, 5e3]]
    assert [np.asarray(one.get_ydata()).tolist() for one in below] == [[floor, floor]]
    rounding = plots.loss_curve(few(), capital=[1e3, 2e4, 9e5], efficiency=[1.0 - 2e-16, 1.0 - 1e-12, 0.9])
    assert any(text.startswith("2 records on the lower edge") for text in legend_texts(rounding))
    sparse_losses = plots.loss_curve(few(), capital=[2e4, 9e5], efficiency=[1.0 - 1e-8, 0.9])
    assert sparse_losses.get_ylim()[0] >= 1e-8  # six decades below the largest, whatever there is


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "100 %"), (0.5, "50 %"), (0.01, "1 %"), (1e-3, "0.1 %"), (1e-5, "0.001 %"), (1e-9, "0.0000001 %"), (0.0, "0 %")],
)  # fmt: skip
def test_percents_have_no_exponent(value: float, text: str) -> None:
    assert canvas.percent(value) == text


def test_marginal_utility_is_drawn_with_its_interval() -> None:
    curve = curves()[PAIR]
    ax = plots.marginal_curve(curve, level=0.8)
    for label in ("curve within the data", "curve extrapolated"):
        x, y = line(ax, label)
        assert np.array_equal(y, curve.marginal(x))
    assert "80 % interval of the curve" in legend_texts(ax)
    band = np.asarray(ax.collections[0].get_paths()[0].vertices)
    end = float(curve.observed[0, 1])
    at = curve.predict([end], level=0.8)
    assert {at.marginal_low[0], at.marginal_high[0]} <= set(band[band[:, 0] == end, 1].tolist())
    assert "interval of the curve" not in " ".join(legend_texts(plots.marginal_curve(ladder())))


def test_utility_peaks_at_the_capacity() -> None:
    curve = parabolas()[PAIR]
    ax = plots.utility_curve(curve)
    for label in ("curve within the data", "curve extrapolated"):
        x, y = line(ax, label)
        assert np.array_equal(y, curve.utility(x))
    capacity = curve.saturation().capacity[0]
    assert any(np.array_equal(one.get_xdata(), [capacity]) for one in ax.lines)


def test_utility_is_drawn_with_its_ceiling() -> None:
    texts = legend_texts(plots.utility_curve(ladder()))
    most = float(ladder().saturation().ceiling[0])
    assert f"at most {engineering(most)} comes out" in texts
    assert "capacity: beyond the limit" in texts
    ax = plots.utility_curve(ladder())
    (level,) = [one for one in ax.lines if str(one.get_label()).startswith("at most")]
    assert list(level.get_ydata()) == [most, most]  # type: ignore[arg-type]
    assert most < ax.get_ylim()[1]
    falling = plots.utility_curve(CurveSet.from_params(["A"], "linear", [[-1e-6, 1.0]], trusted_to=1e6))
    assert not [text for text in legend_texts(falling) if text.startswith("at most")]  # its capacity says so


@pytest.mark.parametrize("controls", [{}, {"hurdle": 0.9}, {"max_share": 0.2, "priority": np.linspace(0.5, 2.0, 56)}])
def test_marginal_utilities_meet_at_the_shadow_price(controls: dict[str, Any]) -> None:
    found = allocate(curves(), 5e8, **controls)
    ax = plots.marginal_utility(found)
    (price,) = [one for one in ax.lines if str(one.get_label()).startswith("shadow price")]
    assert list(price.get_ydata()) == [found.shadow_price] * 2  # type: ignore[arg-type]
    largest = np.argsort(-found.amounts, kind="stable")[:8].tolist()
    for i in largest:
        x, y = line(ax, f"_at {i}")
        assert (x[0], y[0]) == (found.amounts[i], found.priority[i] * found.marginal[i])
        if found.binding[i] == Binding.NONE:
            assert y[0] == pytest.approx(found.shadow_price, rel=1e-6)
        grid, values = line(ax, found.symbols[i])
        assert np.array_equal(values, found.priority[i] * curves()[i].marginal(grid))
    held = int((found.amounts > 0.0).sum())
    assert f"{held - 8} smaller holdings not drawn" in legend_texts(ax)


def test_bars_are_the_amounts() -> None:
    found = allocation()
    ax = plots.allocation_bars(found)
    widths = [patch.get_width() for patch in ax.patches if isinstance(patch, Rectangle)]
    held = np.sort(found.amounts[found.amounts > 0.0])[::-1]
    assert widths[:-1] == held[:20].tolist()
    assert widths[-1] == pytest.approx(held[20:].sum())
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names[0] == found.symbols[np.argmax(found.amounts)]
    assert names[-1] == f"{held.size - 20} more"
    assert "25 M in reserve" in legend_texts(ax)
    figure = figure_of(ax)
    figure.draw_without_rendering()
    for text in ax.texts:
        assert text.get_window_extent().x1 <= ax.get_window_extent().x1


def test_a_budget_path_stacks_the_amounts() -> None:
    found = path()
    ax = plots.budget_path(found)
    totals = found.total[::-1]
    under = np.zeros(totals.size)
    names = legend_texts(ax)
    ranked = np.argsort(-found.amounts.sum(axis=0), kind="stable")
    sizes = [found.amounts[::-1, i] for i in ranked[:6]] + [found.amounts[::-1][:, ranked[6:]].sum(axis=1)]
    assert names[:6] == found.symbols[ranked[:6]].tolist()
    for band, size in zip(ax.collections, sizes, strict=True):
        vertices = np.asarray(band.get_paths()[0].vertices)
        for at, low, high in zip(totals[1:-1], under[1:-1], (under + size)[1:-1], strict=True):
            there = vertices[vertices[:, 0] == at, 1]
            assert np.allclose([there.min(), there.max()], [low, high], rtol=1e-9, atol=1e-3)
        under += size
    assert np.array_equal(line(ax, "money there is")[1], totals)


def test_one_total_is_one_bar() -> None:
    found = allocate(curves()[["USDC/WBTC", "WETH/USDC"]], [1e8, 1e8])
    bars = [patch for patch in plots.budget_path(found).patches if isinstance(patch, Rectangle)]
    assert [bar.get_height() for bar in bars] == pytest.approx(sorted(found.amounts[0].tolist(), reverse=True))


def test_budget_returns_are_those_of_the_allocation() -> None:
    found = path()
    ax = plots.budget_returns(found)
    x, y = line(ax, "one more unit (shadow price)")
    assert np.array_equal(x, found.total[::-1])
    assert np.array_equal(y, found.shadow_price[::-1])
    assert np.array_equal(
        line(ax, "efficiency of all that is allocated")[1], found.global_efficiency[::-1], equal_nan=True
    )


def test_a_lending_path_is_the_table_of_operations() -> None:
    result = lending()
    table = result.operations
    assert table is not None
    ax = plots.lending_path(result)
    assert np.array_equal(line(ax, "supply")[1], np.append(1000.0, table["supply"]))
    assert np.array_equal(line(ax, "debt")[1], np.append(600.0, table["borrow"]))
    owned = line(ax, "net equity")[1]
    assert owned[0] == result.start_net_equity
    assert owned[-1] == pytest.approx(float(result.net_equity), rel=1e-12)
    assert line(ax, "profit drawn so far")[1][-1] == pytest.approx(float(result.profit), rel=1e-9)
    assert line(ax, "target 4 k")[1][0] == 4000.0
    assert f"skipped: {int(result.skipped):,}" in legend_texts(ax)
    spans = [np.asarray(p.vertices) for p in ax.collections[0].get_paths()]
    assert sum(round(float(np.ptp(span[:, 0]))) for span in spans) == int(result.skipped)
    far = plots.lending_path(lending(1e9, 1000))
    assert "target 1 G: above the picture" in legend_texts(far)
    assert far.get_ylim()[1] < 1e4


@pytest.mark.parametrize(("low", "high"), [(1.0, 1e9), (3e5, 4e6), (2e6, 3e6), (1e-3, 1e99)])
def test_logarithmic_axes_have_labels_at_any_range(low: float, high: float) -> None:
    ax = canvas.new_figure().add_subplot()
    ax.set_xlim(low, high)
    canvas.number_axis(ax, "x", log=True)
    figure = figure_of(ax)
    check_that_labels_fit(figure)
    assert ax.get_xscale() == "log"
    assert 2 <= len(labels_in_view(ax.xaxis)) <= 10


def test_a_health_path_shows_both_limits() -> None:
    result = lending()
    table = result.operations
    assert table is not None
    ax = plots.health_path(result)
    assert np.array_equal(line(ax, "health factor")[1], np.append(result.start_health_factor, table["health_factor"]))
    assert line(ax, "executed operations leave more than 1.01")[1][0] == 1.01
    assert line(ax, "liquidation below 1")[1][0] == 1.0
    texts = legend_texts(plots.health_path(lending(900.0, 10_000, 0.0)))
    assert texts[0] == "without debt, infinite and not drawn: 1 of 1"
    assert "health factor" not in texts


def test_a_plan_is_a_staircase_of_its_operations() -> None:
    plan = planned(2.5)
    ax = plots.plan_path(plan)
    for name, column in (("supply", "supply"), ("debt", "borrow")):
        assert line(ax, name)[1].tolist() == [0.0, *plan.operations[column]]
    assert all(one.get_drawstyle() == "steps-post" for one in ax.lines)
    health = plots.plan_health(plan)
    expected = np.append(math.inf, plan.operations["health_factor"])
    drawn = line(health, "health factor")[1]
    assert np.array_equal(drawn[2:], expected[2:])
    assert np.isnan(drawn[:2]).all()
    assert line(health, "least that a step may leave: 1.01")[1][0] == 1.01
    assert legend_texts(health)[0] == "without debt, infinite and not drawn: 2 of 11"
    assert "health factor" not in legend_texts(plots.plan_health(planned(1.0)))
    little = plots.plan_health(planned(1.01))
    assert float(np.nanmax(line(little, "health factor")[1])) == pytest.approx(6.06)
    assert "above 6.06 cut there" in " ".join(legend_texts(little))


@pytest.mark.parametrize(
    ("statistic", "compute"),
    [("mean", np.mean), ("median", np.median), ("min", np.min), ("max", np.max), ("count", np.size)],
)
def test_cells_of_a_heat_map(statistic: str, compute: Callable[[Any], Any]) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 4, 60).astype(float), rng.integers(0, 3, 60) * 0.1
    value = rng.normal(size=60)
    keep = ~((x == 1.0) & (y == 0.0))
    x, y, value = x[keep], y[keep], value[keep]
    ax = plots.heat_map(x, y, value, statistic=statistic, labels=("a", "b", "c"))
    cells: Any = np.ma.asarray(ax.collections[0].get_array()).reshape(3, 4)
    for i in range(4):
        for j in range(3):
            here = value[(x == i) & (y == j * 0.1)]
            assert cells.mask[j, i] if here.size == 0 else cells[j, i] == pytest.approx(compute(here), rel=1e-12)
    assert legend_texts(ax) == ["no values: 1 of 12 cells"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1", "2", "3"]


def test_bins_of_a_heat_map_hold_every_row_once() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0.0, 1.0, 1000), rng.uniform(5.0, 6.0, 1000)
    ax = plots.heat_map(x, y, np.where(x < 0.01, np.inf, 1.0), bins=(7, 5), statistic="count")
    kept = x >= 0.01
    wanted, *_ = np.histogram2d(x[kept], y[kept], bins=(7, 5))
    cells: Any = np.ma.asarray(ax.collections[0].get_array()).filled(0.0).reshape(5, 7)
    assert np.array_equal(cells, wanted.T)
    assert legend_texts(ax) == [f"{int((~kept).sum())} rows left out: not finite"]


def test_means_of_huge_values_do_not_overflow() -> None:
    ax = plots.heat_map([1, 1, 1], [1, 1, 1], [8e307, 8e307, 8e307])
    assert np.ma.asarray(ax.collections[0].get_array()).max() == pytest.approx(8e307)


def test_a_distribution_counts_every_value() -> None:
    values = np.append(np.random.default_rng(3).normal(size=2000), [np.nan, np.inf, -np.inf])
    ax = plots.distribution(values, label="profit", bins=20)
    counts, edges, _ = ax.patches[0].get_data()  # type: ignore[attr-defined]
    wanted, _ = np.histogram(values[:-3], edges)
    assert np.array_equal(counts, wanted)
    assert counts.sum() == 2000
    for share in (0.05, 0.5, 0.95):
        middle = next(one for one in ax.lines if str(one.get_label()).startswith(f"{100 * share:g} %"))
        assert middle.get_xdata()[0] == np.quantile(values[:-3], share)  # type: ignore[index]
    assert legend_texts(ax)[0] == "3 values not shown: not finite"


def test_shares_by_group() -> None:
    stops = [StopReason.STALLED] * 3 + [StopReason.TARGET_REACHED] * 5
    values = np.array([3.0, 1.0, 2.0, 5.0, 6.0, 7.0, 8.0, 9.0])
    ax = plots.distribution(values, by=stops)
    x, y = line(ax, "stalled")
    assert x.tolist() == [1.0, 1.0, 2.0, 3.0]
    assert np.allclose(y, [0.0, 1 / 3, 2 / 3, 1.0])
    assert legend_texts(ax) == ["target reached: 5, median 7", "stalled: 3, median 2"]
    many = plots.distribution(np.arange(10_000.0), kind="ecdf")
    x, y = line(many, "values")
    assert x.size == 4001
    assert np.abs(y[1:] - (x[1:] + 1.0) / 10_000).max() < 2e-4
    assert "1 smaller group not shown" in legend_texts(plots.distribution(np.arange(9.0), by=np.arange(9)))


def refused() -> list[tuple[Callable[[], object], str]]:
    simulated = simulate(1000, 600, 1500, 200)
    return [
        (lambda: plots.efficiency_curve(curves(), "BTC"), "no curve of 'BTC' among 56"),
        (lambda: plots.efficiency_curve(curves()), "symbol must say which of 56 curves is meant"),
        (lambda: plots.efficiency_curve([1]), "curves must be a CurveSet, not list"),  # type: ignore[arg-type]
        (lambda: plots.efficiency_curves([1]), "curves must be a CurveSet, not list"),  # type: ignore[arg-type]
        (lambda: plots.efficiency_curve(curves(), PAIR, capital=[1.0]), "capital needs efficiency"),
        (lambda: plots.efficiency_curve(curves(), PAIR, efficiency=[1.0]), "efficiency needs capital"),
        (lambda: plots.efficiency_curve(curves(), PAIR, weights=[1.0]), "weights need capital and efficiency"),
        (lambda: plots.efficiency_curve(curves(), PAIR, capital=[1.0], efficiency=[1.0, 0.5]), "efficiency has 2 values, capital has 1"),
        (lambda: plots.efficiency_curve(curves(), PAIR, capital="x", efficiency=[1.0]), "capital must be real numbers, not 'x': it has dtype <U1"),
        (lambda: plots.efficiency_curve(curves(), PAIR, points=[-1.0]), "capital must be in [0, inf), but capital[0] = -1.0"),
        (lambda: plots.efficiency_curve(curves(), PAIR, points=[[1.0]]), "points of shape (1, 1) must be capitals in a row"),
        (lambda: plots.efficiency_curve(curves(), PAIR, up_to=0.0), "up_to must be in (0, "),
        (lambda: plots.efficiency_curve(curves(), PAIR, level=2.0), "level must be in (0, 1), but level = 2.0"),
        (lambda: plots.marginal_utility(path()), "allocation must be of one problem, not of 30: allocate one total, or draw budget_path"),
        (lambda: plots.allocation_bars("x"), "allocation must be an Allocation, not str"),  # type: ignore[arg-type]
        (lambda: plots.budget_path(allocation()), "allocation must be of totals in a row, not of one problem"),
        (lambda: plots.budget_returns(allocate(curves(), [[1e6]])), "allocation must be of totals in a row, not of problems of shape (1, 1)"),
        (lambda: plots.budget_path(allocate(curves(), 1e6, params=curves().params[None])), "allocation must be of totals in a row, not of problems of shape (1,), one a draw of the curves"),
        (lambda: plots.lending_path(simulated), "result must have operations: simulate gives none, DeFiSimulator(...).run() does"),
        (lambda: plots.health_path(3), "result must be a LendingResult, not int"),  # type: ignore[arg-type]
        (lambda: plots.plan_path(3), "plan must be a LeveragePlan or UnwindPlan, not int"),  # type: ignore[arg-type]
        (lambda: plots.plan_health(plan_leverage([1, 2], rounds=1, max_ltv=0.5, liquidation_threshold=0.6, min_health_factor=1)), "plan must be one plan, and there are 2"),
        (lambda: plots.heat_map([1, 2], [1, 2, 3], [1]), "x of shape (2,), y of shape (3,), value of shape (1,) do not broadcast"),
        (lambda: plots.heat_map(1, 1, 1, bins=0), "bins must be an integer in [1, 1,000] or a pair of them, not 0"),
        (lambda: plots.heat_map(1, 1, 1, statistic="mode"), "statistic must be one of mean, median, min, max, count, not 'mode'"),
        (lambda: plots.heat_map(1, 1, 1, labels=("a", "b")), "labels must be three names, for x, y and value, not ('a', 'b')"),
        (lambda: plots.heat_map(1, 1, 1, labels=("a", "b", 3)), "labels must be text, but labels[2] = 3"),  # type: ignore[arg-type]
        (lambda: plots.distribution([1.0], by=["a", "b"]), "by has 2 entries for 1 values"),
        (lambda: plots.distribution([1.0], kind="pie"), "kind must be 'histogram' or 'ecdf', not 'pie'"),
        (lambda: plots.distribution([1.0], label=3), "label must be text, not 3"),  # type: ignore[arg-type]
        (lambda: plots.prediction_figure(curves(), PAIR, {"symbol": []}, 1.0), "records must have symbol, capital and efficiency"),
        (lambda: plots.prediction_figure(curves(), PAIR, {"symbol": ["A"], "capital": [], "efficiency": [1.0]}, 1.0), "records must have one capital a symbol, not 0 for 1"),
    ]  # fmt: skip


@pytest.mark.parametrize("place", range(30))
def test_messages(place: int) -> None:
    call, message = refused()[place]
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        call()


def test_every_message_is_tested() -> None:
    assert len(refused()) == 32
    assert issubclass(CurveError, InputError)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.parametrize("name", ["curve", "allocation figure", "lending figure", "heat, sparse", "distribution"])
def test_the_same_picture_gives_the_same_bytes(name: str, suffix: str, tmp_path: Path) -> None:
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    figure = figure_of(PICTURES[name]())
    before = figure.get_size_inches().tolist()
    first = plots.save(figure, tmp_path / f"a.{suffix}", size=(800, 500)).read_bytes()
    assert figure.get_size_inches().tolist() == before
    assert plots.save(figure, tmp_path / f"b.{suffix}", size=(800, 500)).read_bytes() == first
    assert plots.save(PICTURES[name](), str(tmp_path / f"c.{suffix.upper()}"), size=(800, 500)).read_bytes() == first
    assert first.startswith(start)
    if suffix == "svg":
        used = set(re.findall(rb'(?:href="|url\()#([^")]+)', first))
        assert used
        assert used <= set(re.findall(rb'\bid="([^"]+)"', first))


def test_a_picture_has_the_pixels_asked_for(tmp_path: Path) -> None:
    ax = PICTURES["distribution"]()
    for size, dpi, wanted in (((801, 333), None, (333, 801)), (None, None, (1000, 1600)), ((640, 400), 50, (400, 640))):
        saved = plots.save(ax, tmp_path / "a.png", size=size, dpi=dpi)
        assert imread(saved).shape[:2] == wanted


@pytest.mark.slow
def test_threads_draw_the_same(tmp_path: Path) -> None:
    done: dict[int, bytes] = {}

    def draw(k: int) -> None:
        done[k] = plots.save(PICTURES["allocation figure"](), tmp_path / f"{k}.svg").read_bytes()

    crew = [threading.Thread(target=draw, args=(k,)) for k in range(4)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    assert len(done) == 4
    assert len(set(done.values())) == 1


def test_paths_are_checked_before_anything_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for given, message in (
        ("a.jpg", "path must end in .png, .svg or .pdf, not 'a.jpg'"),
        ("png", "path must end in .png, .svg or .pdf, not 'png'"),
        (tmp_path / "none" / "a.png", f"path must lie in a folder that exists, but '{tmp_path}/none' is none"),
        (tmp_path / "folder.png", f"path must be a file, but '{tmp_path}/folder.png' is a folder"),
        (3, "path must be a path, not 3"),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            plots.check_path(given)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            plots.save(object(), given)  # type: ignore[arg-type]
    assert plots.check_path(str(tmp_path / "a.SVG")) == tmp_path / "a.SVG"


def test_what_is_saved_is_checked(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    figure = Figure()
    with pytest.raises(InputError, match=r"^figure_or_axes must be a matplotlib Figure or Axes, not str$"):
        plots.save("x", target)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^size must be a width and a height, not 3$"):
        plots.save(figure, target, size=3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^size\[1\] must be an integer in \[50, 20000\], but size\[1\] = 7.0$"):
        plots.save(figure, target, size=(100, 7))
    with pytest.raises(InputError, match=r"^dpi must be in \[10, 2000\], but dpi = 1.0$"):
        plots.save(figure, target, dpi=1)
    assert not target.exists()
    too_long = str(tmp_path / ("a" * 300 + ".png"))
    with pytest.raises(InputError, match=f"^path '{re.escape(too_long)}' cannot be written: "):
        plots.save(figure, too_long)


def test_letters_that_the_font_lacks_are_written_as_codes_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("Ä→", "Ωμ ру́б", "A B"):
        assert canvas.plain(text) == text
    with pytest.warns(
        UserWarning, match=r"the font of pictures lacks letters of '中文/USDT', which becomes '.+4e2d.+6587"
    ):
        assert canvas.plain("中文/USDT") == "\\u4e2d\\u6587/USDT"
    with pytest.warns(UserWarning, match="may name a font that has them"):
        assert canvas.plain("🚀") == "\\U0001f680"
    monkeypatch.setitem(mpl.rcParams, "font.family", ["no such font", "DejaVu Sans"])
    assert canvas.plain("Ω") == "Ω"
    monkeypatch.setitem(mpl.rcParams, "font.family", ["no such font"])
    assert canvas.plain("Ω") == "Ω"


def test_symbols_are_drawn_as_they_are() -> None:
    assert canvas.plain("$a$_b") == r"\$a\$_b"
    assert canvas.plain("_hidden") == " _hidden"
    assert canvas.plain("two\nlines\tof it") == "two lines of it"
    assert canvas.plain("abcdefghij", 7) == "abc…hij"
    assert len(canvas.plain("x" * 60)) == 28
    assert canvas.plain("\ud800") == "?"


@pytest.mark.parametrize(
    ("value", "text"),
    [(5e7, "50 M"), (0.0, "0"), (-1500.0, "-1.5 k"), (999_999.0, "1 M"), (999.9, "1 k"), (68.6e6, "68.6 M"), (0.03, "0.03"),
     (2e-9, "2e-09"), (999.9e12, "1e+15"), (1e99, "1e+99"), (3e12, "3 T"), (2.5e9, "2.5 G"), (float("inf"), "inf")],
)  # fmt: skip
def test_engineering_numbers(value: float, text: str) -> None:
    assert engineering(value) == text


def test_without_matplotlib_the_extra_is_named() -> None:
    code = """
import sys
sys.modules["matplotlib"] = None
from escala import CurveSet, MissingExtraError, plots
curves = CurveSet.from_params(["A"], "linear", [[-1e-6, 1.0]])
for call in (lambda: plots.check_path("a.png"), lambda: plots.efficiency_curve(curves), lambda: plots.save(None, "a.png"),
             lambda: plots.prediction_figure(curves, None, None, 1.0)):
    try:
        call()
    except MissingExtraError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["pictures need matplotlib: install escala[plot]"] * 4


def test_importing_pictures_loads_no_matplotlib() -> None:
    code = "import sys, escala.plots; print([m for m in ('matplotlib', 'numba') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_pictures_of_readme_and_guide_are_up_to_date(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "docs/pictures.py"))["draw"](tmp_path)
    for name in ("efficiency_curve.png", "market.png"):
        kept = ROOT / "docs/guide" / name
        assert kept.stat().st_size <= 250_000
        now, then = imread(tmp_path / name), imread(kept)
        assert now.shape == then.shape == (1320, 1440, 4)
        assert np.abs(now - then).mean() < 0.02  # other versions of matplotlib shift letters a little


def test_a_result_without_skipped_operations_says_nothing_of_them() -> None:
    result = lending(1500.0)
    assert not any("skipped" in text for text in legend_texts(plots.lending_path(result)))
    without = dataclasses.replace(result, operations=None)
    with pytest.raises(InputError, match="result must have operations"):
        plots.lending_path(without)


def test_a_map_of_a_sweep_has_axes_that_do_not_depend_on_each_other() -> None:
    summary = dependent_sweep()
    indexes = summary.sensitivities["final_supply"]
    assert min(indexes[name] for name in ("supply", "borrow", "target")) > indexes["wallet"]
    figure = plots.sweep_figure(summary)
    left, heat = figure.axes[:2]
    assert {heat.get_xlabel(), heat.get_ylabel()} <= {"supply", "target", "borrow", "wallet", "max_operations"}
    assert heat.get_ylabel() in {"wallet", "max_operations"}
    legend = heat.get_legend()
    assert legend is None or "no values" not in str([text.get_text() for text in legend.get_texts()])
    assert figure.get_suptitle() == "a sample of 32,768 of 65,536 scenarios, evenly spread over the design"
    assert left.get_title(loc="left") == "32,768 values"


def test_the_axes_of_a_map_may_be_chosen() -> None:
    summary = dependent_sweep()
    for asked, wanted in (
        ({"x": "wallet", "y": "max_operations"}, ("wallet", "max_operations")),
        ({"x": "supply", "y": "target"}, ("supply", "target")),
        ({"y": "supply"}, ("wallet", "supply")),
    ):
        heat = plots.sweep_figure(summary, **asked).axes[1]
        assert (heat.get_xlabel(), heat.get_ylabel()) == wanted
    with pytest.raises(InputError, match="x must be an input, not 'profit': inputs are supply, borrow, target, wallet"):
        plots.sweep_figure(summary, x="profit")


def test_a_map_leaves_out_a_long_tail_and_says_so() -> None:
    ranges: Any = {"supply": {"distribution": "lognorm", "s": 0.8, "scale": 1e4}, "borrow": 400.0, "target": 1e6}
    design = Design.sobol({**ranges, "wallet": (0.0, 500.0), "max_operations": 5}, 16_384, seed=1)
    figure = plots.sweep_figure(sweep_design(design, outputs=["final_supply"]))
    assert figure.get_suptitle() == "the map without the outermost 1 % of supply at each end"
    heat = figure.axes[1]
    assert heat.get_xlabel() == "supply"
    assert heat.get_xlim()[1] < 70_000.0 < design.rows()["supply"].max()


def test_a_sweep_over_one_thing_has_no_map() -> None:
    ranges: Any = {"supply": (500.0, 2e3), "borrow": {"of": "supply", "factor": 0.5}, "target": ("supply", 1.1, 1.2)}
    summary = sweep_design(Design.sobol({**ranges, "wallet": 0.0}, 256, seed=1), outputs=["final_supply"])
    figure = plots.sweep_figure(summary)
    assert len(figure.axes) == 1
    assert figure.get_suptitle() == ""


def test_an_interval_has_one_unit() -> None:
    assert between(0.784, 1580.0) == "0.784 to 1,580"
    assert between(784.0, 1.5849e6, "–") == "784–1,580,000"
    assert between(784e3, 1.58e6) == "784 k to 1.58 M"
    assert between(0.784, 1.58) == "0.784 to 1.58"


def test_nothing_known_of_an_error_draws_no_bar() -> None:
    two = fit(["A"], [[0.5, 1.2]], [[0.9, 0.8]], family="linear")
    ax = plots.efficiency_curve(two, points=[1.0])
    segments = np.concatenate([part for lines in ax.collections for part in getattr(lines, "get_segments", list)()])
    assert np.ptp(segments[:, 1]) == 0.0
