"""Pictures of positions in a market: the result's own numbers, readable in grey, and what cannot be drawn said."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from escala import (
    GBM,
    Asset,
    FixedRate,
    InputError,
    Market,
    MarketError,
    MarketResult,
    Policy,
    Protocol,
    Replay,
    plots,
    simulate_market,
)
from escala.market.statistics import wilson
from tests.rooms.test_plots import check_that_labels_fit, dashes, figure_of, legend_texts, line, luminance

AAVE = Protocol.aave_v33(0.83, 0.805, 0.05, dust=1000)
MARKET = Market([Asset(2000.0, GBM(0.0, 0.9))], FixedRate(0.05), dt=3600.0 * 4, steps=6 * 60, barrier=True)
SELLS = Policy(deleverage_health=1.1, deleverage_target=1.3)
RECORDED = 60


@functools.cache
def lived(kind: str = "nothing") -> MarketResult:
    policy = {"sells": SELLS, "closes": Policy(stop_health=1.1)}.get(kind)
    return simulate_market(
        10.0, 13_000.0, market=MARKET, protocol=AAVE, policy=policy, paths=300, keep="rows",
        record=[(0, path) for path in range(RECORDED)],
    )  # fmt: skip


@functools.cache
def one_window() -> MarketResult:
    market = Market([Asset(100.0)], FixedRate(0.0), dt=86_400, steps=5, joint=Replay([9.0, 8.0, 9.5, 3.0, 4.0, 5.0]))
    return simulate_market(10.0, 600.0, market=market, protocol=AAVE, keep="rows", record=[(0, 0)])


DEBTS, SIGMAS = np.linspace(8000.0, 15_000.0, 7), np.array([0.4, 0.8, 1.2])[:, None]


@functools.cache
def many() -> MarketResult:
    market = Market([Asset(2000.0, GBM(0.0, SIGMAS))], FixedRate(0.05), dt=86_400, steps=60, barrier=True)
    return simulate_market(10.0, DEBTS, market=market, protocol=AAVE, paths=100, keep="rows")


@functools.cache
def sobol() -> MarketResult:
    return simulate_market(
        10.0, 9000.0, market=MARKET, protocol=AAVE, paths=64, sampling="sobol", keep="rows", record=[(0, 1)]
    )  # fmt: skip


PICTURES: dict[str, Callable[[], Axes | Figure]] = {
    "price": lambda: plots.price_fan(lived(), currency="USD"),
    "price of one path": lambda: plots.price_fan(one_window()),
    "price of Sobol's path": lambda: plots.price_fan(sobol()),
    "equity": lambda: plots.equity_fan(lived("sells"), currency="USD"),
    "survival": lambda: plots.survival(lived()),
    "survival, safe": lambda: plots.survival(lived("sells")),
    "survival of many": lambda: plots.survival(many(), labels=[f"set {k}" for k in range(21)]),
    "health": lambda: plots.market_health(lived()),
    "health, sells": lambda: plots.market_health(lived("sells"), (0, 5)),
    "health, closed": lambda: plots.market_health(lived("closes")),
    "map": lambda: plots.risk_map(many(), DEBTS, SIGMAS, labels=("debt, USD", "sigma")),
    "figure": lambda: plots.market_figure(lived("sells"), currency="USD"),
    "figure of one path": lambda: plots.market_figure(one_window()),
}


@pytest.mark.parametrize("size", [(800, 500), (1600, 1000)])
@pytest.mark.parametrize("name", PICTURES)
def test_labels_fit(name: str, size: tuple[int, int]) -> None:
    figure = figure_of(PICTURES[name]())
    dpi = min(size[0] / figure.get_figwidth(), size[1] / figure.get_figheight())
    figure.set_dpi(dpi)
    figure.set_size_inches(size[0] / dpi, size[1] / dpi)
    check_that_labels_fit(figure)


@pytest.mark.parametrize("name", PICTURES)
def test_legends_can_be_read_in_grey(name: str) -> None:
    for ax in figure_of(PICTURES[name]()).axes:
        legend = ax.get_legend()
        looks: list[tuple[str, str, float]] = []
        for handle in legend.legend_handles if legend else []:
            if isinstance(handle, Line2D):
                seen = handle.get_markerfacecolor() if handle.get_marker() not in ("", "None") else handle.get_color()
                looks.append((f"line {dashes(handle)}", str(handle.get_marker()), luminance(seen)))
            elif isinstance(handle, Rectangle):
                looks.append(("area", "", luminance(handle.get_facecolor()[:3])))
        for one, other in itertools.combinations(looks, 2):
            assert one[:2] != other[:2] or abs(one[2] - other[2]) > 0.1, (one, other)


def test_a_fan_has_the_quantiles_of_recorded_paths() -> None:
    ax = plots.price_fan(lived())
    prices = np.stack([record.series["market_value"][:, 0] for record in lived().record.values()])
    x, y = line(ax, "median")
    assert np.allclose(x, np.arange(361) / 6.0)
    assert np.array_equal(y, np.median(prices, axis=0))
    low, high = np.quantile(prices[:, -1], (0.05, 0.95))
    (band,) = [one for one in ax.collections if one.get_label() == "90 % of paths"]
    corners = np.asarray(band.get_paths()[0].vertices)
    at_end = corners[corners[:, 0] == 60.0, 1]
    assert (at_end.min(), at_end.max()) == (low, high)
    assert "can be liquidated below 1,566 (at the start)" in legend_texts(ax)  # 13,000/(10·0.83)
    assert "60 of 300 paths" in ax.get_title(loc="left")


def test_equity_begins_with_what_is_owned() -> None:
    ax = plots.equity_fan(lived("sells"))
    x, y = line(ax, "median")
    assert (x[0], y[0]) == (0.0, 7000.0)
    ends = [record.outputs["end_equity"] for record in lived("sells").record.values()]
    assert y[-1] == pytest.approx(np.median(ends))


def test_survival_ends_with_the_share_that_was_never_liquidated() -> None:
    found = lived()
    ax = plots.survival(found)
    share = 1.0 - float(found.liquidation_probability)
    x, y = line(ax, f"{share:.1%} to the end")
    assert (x[-1], y[0]) == (60.0, 1.0)
    assert y[-1] == pytest.approx(share)
    assert np.all(np.diff(y) <= 0.0)
    first = found.rows["first_liquidation"]
    assert y[100] == pytest.approx(np.mean((first < 0) | (first > 100)))
    (band,) = ax.collections
    corners = np.asarray(band.get_paths()[0].vertices)
    low, high = wilson(share, 300, 0.95)
    at_end = corners[corners[:, 0] == 60.0, 1]
    assert (at_end.min(), at_end.max()) == pytest.approx((low, high))
    assert "13 more parameter sets not drawn" in legend_texts(plots.survival(many()))


def test_a_path_shows_its_health_and_its_events() -> None:
    found = lived("sells")
    place = max(found.record, key=lambda one: len(found.record[one].events["step"]))
    record = found.record[place]
    ax = plots.market_health(found, place)
    _, y = line(ax, "health factor")
    assert np.array_equal(y, record.position["health"])
    for kind, words in (("deleverage", "owner sells to repay"), ("liquidation_low", "liquidation within a step")):
        chosen = record.events["kind"] == kind
        if chosen.any():
            x, level = line(ax, f"_{kind}")
            assert np.allclose(x, record.events["step"][chosen] / 6.0)
            assert f"{words}: {chosen.sum()}" in legend_texts(ax)
            if kind == "liquidation_low":
                assert np.array_equal(level, record.events["a"][chosen])
    assert {"can be liquidated below 1", "owner sells below 1.1"} <= set(legend_texts(ax))
    worst = min(found.record.values(), key=lambda one: one.outputs["lowest_health"])
    _, y = line(plots.market_health(found), "health factor")
    assert np.array_equal(y, worst.position["health"])


def test_a_position_without_debt_has_no_line() -> None:
    ax = plots.market_health(lived("closes"))
    assert "without debt, and so without a health factor, where there is no line" in legend_texts(ax)
    assert "closed after" in ax.get_title(loc="left")


def test_a_map_has_the_probabilities() -> None:
    ax = plots.risk_map(many(), DEBTS, SIGMAS, labels=("debt", "sigma"))
    (mesh,) = [one for one in ax.collections if isinstance(one, QuadMesh)]
    drawn: Any = np.ma.getdata(np.ma.asarray(mesh.get_array())).reshape(3, 7)
    assert np.allclose(drawn, 100.0 * many().liquidation_probability)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("debt", "sigma")
    assert "the same 100 paths" in ax.get_title(loc="left")


def refused() -> list[tuple[Callable[[], object], str]]:
    bare = simulate_market(10.0, 9000.0, market=MARKET, protocol=AAVE, paths=2)
    wrong: Any = 3
    return [
        (lambda: plots.price_fan(wrong), "result must be a MarketResult, not int"),
        (lambda: plots.price_fan(lived(), 1), "i must be an integer in [0, 0], not 1"),
        (lambda: plots.price_fan(lived(), asset=1), "asset must be an integer in [0, 0], not 1"),
        (lambda: plots.equity_fan(bare), "result must have recorded paths of parameter set 0: simulate_market(..., record=[(0, path) for path in range(200)])"),
        (lambda: plots.equity_fan(sobol()), "position is not known of Sobol's paths"),
        (lambda: plots.survival(bare), "rows were not kept: simulate with keep='rows'"),
        (lambda: plots.survival(lived(), labels=["a", "b"]), "labels must be 1 names, one a parameter set, not ['a', 'b']"),
        (lambda: plots.market_health(bare), "result must have a recorded path: simulate_market(..., record=[(0, 0)])"),
        (lambda: plots.market_health(lived(), (0, 299)), "place must be one of the 60 recorded paths, not (0, 299)"),
        (lambda: plots.risk_map(many(), DEBTS[:3], SIGMAS), "x of shape (3,) does not broadcast to the result's shape (3, 7)"),
        (lambda: plots.risk_map(many(), DEBTS, SIGMAS, labels="xy"), "labels must be two names, for x and y, not 'xy'"),
    ]  # fmt: skip


@pytest.mark.parametrize("place", range(11))
def test_messages(place: int) -> None:
    call, message = refused()[place]
    with pytest.raises((InputError, MarketError), match=f"^{re.escape(message)}"):
        call()
    assert len(refused()) == 11
