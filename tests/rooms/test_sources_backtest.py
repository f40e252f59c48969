"""How much capital a backtest carries: laws of impact, records, intervals, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escala import CurveSet, InputError, RecordError, RecordFileError, fit, plots, sources
from escala.commands import app as cli
from escala.sources import backtest
from escala.sources.scaled import ScaledBacktest
from tests.naive.backtest import naive_backtest, naive_volume_share_penalties

DAY = 86400.0
START = 1_609_459_200.0  # 2021-01-01
VOLUME = {"A": 2e5, "B": 7e5}
VOLATILITY = {"A": 0.03, "B": 0.015}


def made(seed: int, periods: int = 40) -> tuple[dict[str, Any], list[dict[str, Any]], list[tuple[float, float]]]:
    """Make a table of trades, the same as rows with what the market does, and profits by day."""
    rng = np.random.default_rng(seed)
    n = 3 * periods
    table = {
        "time": START + DAY * rng.integers(0, periods, n) + rng.integers(0, int(DAY), n),
        "symbol": rng.choice(["A", "B"], n).tolist(),
        "quantity": rng.choice([-1.0, 1.0], n) * rng.uniform(1.0, 500.0, n),
        "price": rng.uniform(10.0, 200.0, n),
    }
    market = [{"volume": VOLUME[s], "volatility": VOLATILITY[s]} for s in table["symbol"]]
    rows = [{**{name: column[k] for name, column in table.items()}, **there} for k, there in enumerate(market)]
    money = rng.normal(2000.0, 5000.0, periods)
    money += max(0.0, 1000.0 * periods - money.sum()) / periods
    return table, rows, [(START + DAY * k, float(one)) for k, one in enumerate(money)]


def profits(periods: list[tuple[float, float]]) -> dict[str, Any]:
    return {"time": [begin for begin, _ in periods], "pnl": [money for _, money in periods]}


def scaled(table: Any, pnl: Any, **how: Any) -> ScaledBacktest:
    usual: dict[str, Any] = {"capital": 1e6, "daily_volume": VOLUME, "volatility": VOLATILITY, "coefficient": 0.7}
    return backtest.scale(table, pnl=pnl, **(usual | how))


@given(seed=st.integers(0, 2**32 - 1), impact=st.sampled_from(["sqrt", "linear", "volume-share"]))
@settings(max_examples=30, deadline=None)
def test_a_scaled_backtest_is_what_the_naive_one_says(seed: int, impact: str) -> None:
    table, rows, periods = made(seed)
    multiples = [0.3, 1.0, 17.0]
    found = scaled(table, profits(periods), impact=impact, multiples=multiples)
    for k, multiple in enumerate(multiples):
        told = naive_backtest(rows, periods, 1e6, impact, 0.7, multiple, found.periods_per_year)
        np.testing.assert_allclose(found._cost[:, k], told["cost"], rtol=1e-12)
        for name in ("net", "efficiency"):
            np.testing.assert_allclose(getattr(found, name)[k], told[name], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.sharpe[k], told["sharpe"], rtol=1e-9)
        days = {symbol: column[k] for symbol, column in found.days_to_liquidate(0.1).items()}
        assert days == pytest.approx(told["days"], rel=1e-12)


def steady(periods: int = 60) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a backtest that trades the same every day, there and back by turns."""
    day = START + DAY * np.arange(periods)
    rng = np.random.default_rng(5)
    table = {"time": day, "symbol": ["A"] * periods, "quantity": 100.0 * (-1.0) ** np.arange(periods), "price": 50.0}
    table["price"] = np.full(periods, 50.0)
    return table, {"time": day, "returns": 0.004 + 0.01 * rng.standard_normal(periods)}


def test_net_sharpe_falls_linearly_in_the_root_of_capital_under_the_square_root_law() -> None:
    table, returns = steady()
    found = backtest.scale(
        table, capital=1e6, returns=returns, daily_volume=2e5, volatility=0.03, multiples=np.geomspace(0.01, 1e4, 25)
    )
    gross = np.asarray(returns["returns"])
    cost = 100.0 * 50.0 * 0.03 * np.sqrt(100.0 / 2e5) / 1e6  # of a day, as a share of capital
    year = np.sqrt(found.periods_per_year)
    straight = (gross.mean() - cost * np.sqrt(found.multiples)) / gross.std(ddof=1) * year
    np.testing.assert_allclose(found.sharpe, straight, rtol=1e-10, atol=1e-12)
    assert found.periods_per_year == pytest.approx(365.25)


@pytest.mark.parametrize(("impact", "exponent"), [("sqrt", 0.5), ("linear", 1.0), ("volume-share", 2.0)])
def test_capacity_is_the_best_capital(impact: str, exponent: float) -> None:
    table, _, periods = made(3)
    found = scaled(table, profits(periods), impact=impact).capacity(draws=50)
    at = [0.999 * found.capacity, found.capacity, 1.001 * found.capacity, found.break_even]
    near = scaled(table, profits(periods), impact=impact, multiples=np.array(at) / 1e6)
    assert near.net[1] > near.net[0]
    assert near.net[1] > near.net[2]
    assert near.net[3] == pytest.approx(0.0, abs=1e-6 * near.gross[3])
    assert found.capacity == pytest.approx(found.break_even * (1.0 + exponent) ** (-1.0 / exponent))


def test_the_usual_multiples_end_where_nothing_is_left_and_hold_the_backtest_itself() -> None:
    table, _, periods = made(4)
    found = scaled(table, profits(periods))
    assert len(found) == 62
    assert 1.0 in found.multiples
    assert found.efficiency[-1] == pytest.approx(0.0, abs=1e-9)
    assert found.capital[-1] == pytest.approx(found.capacity(draws=2).break_even)


def test_records_of_a_law_are_fitted_by_its_family() -> None:
    table, _, periods = made(6)
    for impact, family in (("sqrt", "sqrt"), ("linear", "linear"), ("volume-share", "quadratic")):
        whole = scaled(table, profits(periods), impact=impact)
        records = whole.records(blocks=4)
        curves = fit(records.to_dict(), group=records.observed_at, family=family, loss="squares")
        inside = whole.capital[whole.capital <= records.capital.max()]
        at = whole._with(inside / 1e6)
        np.testing.assert_allclose(curves.efficiency(inside[None, :])[0], at.efficiency, atol=1e-6)
        best = whole.capacity(draws=2).capacity
        assert best < curves.trusted_to[0]
        assert curves.saturation().capacity[0] == pytest.approx(best, rel=1e-4)
        assert curves.saturation().capacity_low[0] < best < curves.saturation().capacity_high[0]


def test_records_weigh_stretches_by_their_periods_and_average_to_the_whole() -> None:
    table, _, periods = made(7, periods=41)
    whole = scaled(table, profits(periods), multiples=[1.0, 5.0])
    records = whole.records(blocks=6, strategy="trend")
    assert records.observed_at is not None
    assert records.weight is not None
    assert set(records.symbol) == {"trend"}
    assert sorted(records.weight[:6].tolist()) == [6.0, 7.0, 7.0, 7.0, 7.0, 7.0]
    assert records.observed_at[5] == periods[-1][0]
    for k in range(2):
        mean = np.average(records.efficiency[6 * k : 6 * k + 6], weights=records.weight[6 * k : 6 * k + 6])
        assert mean == pytest.approx(whole.efficiency[k])
    assert len(whole.records(blocks=1000)) == 2 * 41


def test_a_multiple_at_which_a_stretch_earns_nothing_is_left_out_and_told() -> None:
    table, _, periods = made(8)
    found = scaled(table, profits(periods), multiples=[1.0, 10.0, 1e9])
    records = found.records()
    assert records.left_out == 1
    assert np.unique(records.capital).tolist() == [1e6, 1e7]
    left_out = "1 multiple left out: costs exceed the gross profit of a stretch, from 1e+15 on"
    assert records.notes[-1] == left_out
    with pytest.raises(RecordError, match=r"at every multiple costs exceed the gross profit, from a capital of 1e\+15"):
        scaled(table, profits(periods), multiples=[1e9]).records()


def test_the_volume_share_law_is_the_rule_of_slippage_by_squared_share() -> None:
    day = START + DAY * np.arange(6)
    quantity = np.array([100.0, -40.0, 300.0, -10.0, -350.0, 25.0])
    table = {"time": day, "symbol": ["A"] * 6, "quantity": quantity, "price": 20.0 + np.arange(6)}
    returns = np.array([0.01, -0.002, 0.004, 0.003, -0.001, 0.002])
    rows = [{"time": day[k], "quantity": quantity[k], "price": 20.0 + k, "volume": 5000.0} for k in range(6)]
    found = backtest.scale(
        table, capital=1e5, returns={"time": day, "returns": returns}, daily_volume=5000.0, impact="volume-share",
        multiples=[1.0, 20.0],
    )  # fmt: skip
    for k, multiple in enumerate((1.0, 20.0)):
        penalties = naive_volume_share_penalties(rows, multiple)
        adjusted = returns - np.array([penalties[one] for one in day]) / (1e5 * multiple)
        ours = (found._money * multiple - found._cost[:, k]) / (1e5 * multiple)
        np.testing.assert_allclose(ours, adjusted, rtol=1e-12)


def test_fitted_curves_are_a_law_too() -> None:
    table, _, periods = made(9)
    curves = CurveSet.from_params(["B", "A"], "linear", [[-2e-8, 1.0], [-1e-8, 1.0]])
    found = backtest.scale(table, capital=1e6, pnl=profits(periods), impact=curves, orders="trade")
    assert len(found) > 2
    falls = {"A": 1e-8, "B": 2e-8}
    value = np.abs(np.asarray(table["quantity"]) * table["price"])
    each = np.array([falls[symbol] for symbol in table["symbol"]]) * value**2
    np.testing.assert_allclose(found.cost, found.multiples**2 * each.sum(), rtol=1e-9)
    best = found.capacity(draws=20)
    assert best.capacity == pytest.approx(
        found._capital * found.gross[0] / found.multiples[0] / (2.0 * each.sum()), rel=0.02
    )
    low, high = found.sharpe_interval(draws=50)
    assert np.all(low <= high)
    assert np.isnan(found.largest_share).all()
    with pytest.raises(RecordError, match="days to liquidate need daily_volume"):
        found.days_to_liquidate()


def test_orders_beyond_trust_in_their_curves_are_told() -> None:
    table, _, periods = made(9)
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-8, 1.0]] * 2, trusted_to=1e6)
    found = backtest.scale(table, capital=1e6, pnl=profits(periods), impact=curves, multiples=[1.0, 1e3])
    assert "beyond trust in curves" in found.notes[-1]


def test_the_interval_holds_what_is_known_of_the_coefficient() -> None:
    table, _ = steady()
    found = backtest.scale(
        table, capital=1e6, pnl=240_000.0, daily_volume=2e5, volatility=0.03, coefficient=1.0, coefficient_sd=0.4
    )
    told = found.capacity(draws=20_000)
    # under the square-root law capacity goes with 1/Y², and ln Y is normal
    spread = np.sqrt(np.log1p(0.16))
    middle = found.capacity().capacity * np.exp(spread**2)
    for end, normal in ((told.low, -1.6449), (told.high, 1.6449)):
        assert np.log(end / middle) == pytest.approx(2.0 * spread * normal, abs=0.05)
    sure = backtest.scale(table, capital=1e6, pnl=240_000.0, daily_volume=2e5, volatility=0.03).capacity()
    assert sure.low == sure.capacity == sure.high


def test_nine_of_ten_intervals_hold_the_sharpe_ratio_that_there_is() -> None:
    """Profits without memory: the resampled interval is close to what it claims."""
    table, _ = steady(120)
    day = START + DAY * np.arange(120)
    rng = np.random.default_rng(11)
    true = 0.004 / 0.01 * np.sqrt(365.25)
    inside = 0
    for _ in range(200):
        returns = {"time": day, "returns": 0.004 + 0.01 * rng.standard_normal(120)}
        found = backtest.scale(table, capital=1e6, returns=returns, daily_volume=1e15, volatility=0.03, multiples=[1.0])
        low, high = found.sharpe_interval(draws=300)
        inside += bool(low[0] <= true <= high[0])
    assert 0.82 <= inside / 200 <= 0.96


def test_draws_depend_on_their_seed_alone() -> None:
    table, _, periods = made(10)
    found = scaled(table, profits(periods), coefficient_sd=0.2)
    assert found.capacity(draws=100, seed=3) == found.capacity(draws=100, seed=3)
    assert found.capacity(draws=100, seed=3).low != found.capacity(draws=100, seed=4).low
    assert found.capacity(draws=100, seed=np.random.default_rng(3)) == found.capacity(draws=100, seed=3)


def test_currency_and_unit_of_quantity_change_nothing() -> None:
    table, _, periods = made(12)
    one = scaled(table, profits(periods), multiples=[1.0, 4.0])
    cents = {**table, "price": 100.0 * np.asarray(table["price"])}
    other = scaled(cents, profits([(t, 100.0 * m) for t, m in periods]), capital=1e8, multiples=[1.0, 4.0])
    np.testing.assert_allclose(other.efficiency, one.efficiency, rtol=1e-12)
    lots = {**table, "quantity": np.asarray(table["quantity"]) / 8.0, "price": 8.0 * np.asarray(table["price"])}
    other = scaled(lots, profits(periods), daily_volume={s: v / 8.0 for s, v in VOLUME.items()}, multiples=[1.0, 4.0])
    np.testing.assert_allclose(other.efficiency, one.efficiency, rtol=1e-12)


def test_market_data_may_be_a_column_or_a_frame_of_days() -> None:
    table, _, periods = made(13)
    one = scaled(table, profits(periods), multiples=[2.0])
    beside = {
        **table,
        "adv": [VOLUME[s] for s in table["symbol"]],
        "sigma": [VOLATILITY[s] for s in table["symbol"]],
    }
    other = scaled(beside, profits(periods), daily_volume="adv", volatility="sigma", multiples=[2.0])
    assert other.cost.tolist() == one.cost.tolist()
    days = pd.date_range("2020-12-31", periods=60)
    frame = pd.DataFrame({"B": np.full(60, VOLUME["B"]), "A": np.full(60, VOLUME["A"])}, index=days)
    other = scaled(table, profits(periods), daily_volume=frame, multiples=[2.0])
    assert other.cost.tolist() == one.cost.tolist()
    frame.loc["2021-01-05", "A"] = np.nan
    with pytest.raises(RecordError, match=r"daily_volume must be in \(0, inf\), but is nan for 'A' on 2021-01-05"):
        scaled(table, profits(periods), daily_volume=frame)
    with pytest.raises(RecordError, match="daily_volume has no column 'B'"):
        scaled(table, profits(periods), daily_volume=frame[["A"]])
    with pytest.raises(RecordError, match="volatility begins behind the trade of 2021-01-0"):
        scaled(table, profits(periods), volatility=frame.iloc[20:])


def test_profits_may_be_a_series_a_frame_or_a_file(tmp_path: Path) -> None:
    table, _, periods = made(14)
    days = pd.to_datetime([begin for begin, _ in periods], unit="s")
    series = pd.Series([money for _, money in periods], index=days)
    one = scaled(table, profits(periods), multiples=[3.0])
    frame = pd.DataFrame({"profit": series})
    path = tmp_path / "pnl.csv"
    pd.DataFrame({"date": days, "PnL": series.to_numpy()}).to_csv(path, index=False)
    for given_ in (series, frame, path, series.iloc[::-1]):
        assert scaled(table, given_, multiples=[3.0]).sharpe == pytest.approx(one.sharpe, rel=1e-12)
    shares = backtest.scale(
        table, capital=1e6, returns=series / 1e6, daily_volume=VOLUME, volatility=VOLATILITY, coefficient=0.7,
        multiples=[3.0],
    )  # fmt: skip
    assert shares.sharpe == pytest.approx(one.sharpe, rel=1e-12)
    with pytest.raises(FileNotFoundError):
        scaled(table, tmp_path / "nothing.csv")


def test_dates_of_an_index_keep_their_zone_and_shares_in_names_are_refused() -> None:
    table, _, periods = made(3)
    days = pd.to_datetime([begin for begin, _ in periods], unit="s")
    money = np.array([one for _, one in periods])
    told = "time: times that name no zone were taken as UTC"
    for index, notes in (
        (days, 1),
        (days.tz_localize("UTC"), 0),
        (days.tz_localize("UTC").tz_convert("Asia/Tokyo"), 0),
    ):
        for pnl in (pd.Series(money, index), pd.DataFrame({"pnl": money}, index)):
            assert scaled(table, pnl).notes.count(told) == notes
    shares = pd.DataFrame({"return (%)": money / 1e6}, days)
    with pytest.raises(RecordError, match=r"'return \(%\)' says '%', which is no unit but a factor or a share"):
        scaled(table, None, returns=shares)


def test_trades_of_a_day_and_side_are_one_order() -> None:
    halves = {"time": [START, START + 60.0], "symbol": ["A"] * 2, "side": ["buy"] * 2, "quantity": [50.0] * 2}
    halves["price"] = [10.0] * 2
    how: dict[str, Any] = {"capital": 1e4, "pnl": 100.0, "daily_volume": 1e4, "volatility": 0.02, "multiples": [1.0]}
    whole = backtest.scale(halves, **how)
    apart = backtest.scale(halves, orders="trade", **how)
    assert whole.cost[0] == pytest.approx(1000.0 * 0.02 * 0.1)
    assert apart.cost[0] == pytest.approx(1000.0 * 0.02 * np.sqrt(0.005))
    assert "2 trades of one symbol, side and day are 1 order" in whole.notes


GOOD: dict[str, Any] = {
    "time": [START, START + DAY],
    "symbol": ["A", "A"],
    "quantity": [1.0, -1.0],
    "price": [10.0, 11.0],
}


@pytest.mark.parametrize(
    ("change", "how", "message"),
    [
        ({}, {"pnl": None}, "a backtest needs pnl or returns, and one of them only"),
        ({}, {"returns": 0.1}, "a backtest needs pnl or returns, and one of them only"),
        ({}, {"pnl": -3.0}, "pnl must come to a gross profit, not to -3: of a loss no share can be left"),
        ({}, {"pnl": [1.0, 2.0]}, "pnl must be a number, a Series indexed by time, or a table or path"),
        ({}, {"pnl": {"time": [START], "x": [1.0], "y": [2.0]}}, "pnl needs one column of pnl; found were time, x, y"),
        ({}, {"pnl": {"time": [START, START], "pnl": [1.0, 2.0]}}, "time of pnl must not come twice, but time\\[1\\]"),
        ({}, {"pnl": {"time": [START], "pnl": [np.nan]}}, "pnl must be in \\(-inf, inf\\), but pnl\\[0\\] = nan"),
        ({}, {"pnl": {"time": [START + DAY], "pnl": [1.0]}}, "time must not lie before the first period, 2021-01-02"),
        (
            {"time": [START, START + 9 * DAY]},
            {"pnl": {"time": [START, START + DAY], "pnl": [1.0, 1.0]}},
            "time must not lie behind the last period, 2021-01-02, but time\\[1\\]",
        ),
        ({"time": None}, {"pnl": {"time": [START], "pnl": [1.0]}}, "profits by period need trades with a column of times"),
        ({}, {"capital": 0.0}, "capital must be in"),
        ({}, {"capital": "much"}, "capital must be"),
        ({}, {"daily_volume": None}, "this law of impact needs daily_volume"),
        ({}, {"volatility": None}, "this law of impact needs volatility"),
        ({}, {"daily_volume": 0.0}, "daily_volume must be in \\(0, inf\\), but daily_volume = 0.0"),
        ({}, {"daily_volume": {"B": 1.0}}, "daily_volume must have one value for each symbol, but has none of 'A'"),
        ({}, {"daily_volume": "adv"}, "daily_volume: there is no column 'adv' beside the trades; found were time"),
        ({"adv": [1.0, -1.0]}, {"daily_volume": "adv"}, "adv must be in \\(0, inf\\), but adv\\[1\\] = -1.0"),
        ({}, {"impact": "root"}, "impact must be 'sqrt', 'linear', 'volume-share' or a CurveSet, not 'root'"),
        ({}, {"impact": "sqr"}, "did you mean 'sqrt'"),
        ({}, {"impact": "linear"}, "impact 'linear' needs a coefficient"),
        ({}, {"coefficient": -1.0}, "coefficient must be in \\(0, inf\\), but coefficient = -1.0"),
        ({}, {"coefficient_sd": np.inf}, "coefficient_sd must be in \\[0, inf\\), but coefficient_sd = inf"),
        ({}, {"orders": "week"}, "orders must be 'day' or 'trade', not 'week'"),
        ({}, {"multiples": [1.0, 0.0]}, "multiples must be in \\(0, inf\\), but multiples\\[1\\] = 0.0"),
        ({}, {"multiples": []}, "multiples of shape \\(0,\\) must be a row of numbers"),
        ({}, {"periods_per_year": 0.0}, "periods_per_year must be"),
        ({"quantity": [1.0, 2.0]}, {}, "trades need a column of sides, or quantities that are negative for sales"),
        ({"quantity": [1.0, 0.0]}, {}, "quantity must be in \\[1e-100, 1e\\+100\\], but quantity\\[1\\] = 0.0"),
        ({"price": [1.0, -1.0]}, {}, "price must be in"),
        ({name: [] for name in GOOD}, {}, "there are no trades"),
        ({"quantity": None, "price": None, "amount_in": [1.0, 2.0], "amount_out": [1.0, 2.0]}, {}, "need symbol, quantity"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(change: dict[str, Any], how: dict[str, Any], message: str) -> None:
    table = {name: column for name, column in (GOOD | change).items() if column is not None}
    usual: dict[str, Any] = {"capital": 1e4, "pnl": 100.0, "daily_volume": 1e4, "volatility": 0.02}
    with pytest.raises((RecordError, RecordFileError), match=message):
        backtest.scale(table, **(usual | how))


def test_curves_that_do_not_know_a_symbol_are_refused() -> None:
    usual: dict[str, Any] = {"capital": 1e4, "pnl": 100.0}
    curves = CurveSet.from_params(["A2"], "linear", [[-1e-6, 1.0]])
    with pytest.raises(RecordError, match="impact has no curve of 'A', which is traded; did you mean 'A2'"):
        backtest.scale(GOOD, impact=curves, **usual)
    with pytest.raises(RecordError, match="coefficient is for laws of impact, not for curves"):
        backtest.scale(GOOD, impact=curves, coefficient=1.0, **usual)
    few = fit(["A"], [[1.0]], [[0.5]])
    with pytest.raises(RecordError, match="impact has no curve of 'A': its fit gave none"):
        backtest.scale(GOOD, impact=few, **usual)


def test_arguments_of_what_is_asked_are_checked() -> None:
    found = backtest.scale(GOOD, capital=1e4, pnl=100.0, daily_volume=1e4, volatility=0.02)
    for call, message in (
        (lambda: found.capacity(level=1.0), "level must be in"),
        (lambda: found.capacity(draws=0), "draws must be an integer"),
        (lambda: found.capacity(seed=-1), "seed must be an integer of at least 0"),
        (lambda: found.days_to_liquidate(0.0), "participation must be in"),
        (lambda: found.records(blocks=0), "blocks must be an integer of at least 1"),
        (lambda: found.records(strategy=""), "strategy must be text that is not empty"),
    ):
        with pytest.raises(RecordError, match=message):
            call()
    assert np.isnan(found.sharpe).all()
    assert all(np.isnan(end).all() for end in found.sharpe_interval())


def test_results_say_what_they_are() -> None:
    table, _, periods = made(15)
    found = scaled(table, profits(periods), coefficient_sd=0.2, multiples=[1.0, 8.0])
    assert repr(found) == f"<ScaledBacktest: {found._orders.value.size} orders, capital 1,000,000 to 8,000,000>"
    lines = found.summary().splitlines()
    assert "cost of an order: 0.7 ± 0.2 · volatility · (quantity/volume)^0.5" in lines[0]
    assert lines[2].startswith("net profit is highest at ")
    assert lines[3].startswith("Sharpe ratio a year ")
    assert found.to_dataframe().shape == (2, 8)
    assert "<table>" in found._repr_html_()
    assert sources.backtest is backtest
    records = backtest.records(
        table, capital=1e6, pnl=profits(periods), daily_volume=VOLUME, volatility=VOLATILITY, coefficient=0.7,
        coefficient_sd=0.2, multiples=[1.0, 8.0], blocks=3,
    )  # fmt: skip
    assert records.to_dict()["efficiency"].tolist() == found.records(blocks=3).efficiency.tolist()
    assert "2 multiples" not in records.summary()


def test_pictures_show_what_is_there() -> None:
    table, _, periods = made(16)
    found = scaled(table, profits(periods), coefficient_sd=0.2)
    figure = plots.backtest_figure(found, currency="USD")
    left, right = figure.axes
    assert left.get_xlabel() == "capital, USD"
    np.testing.assert_array_equal(right.lines[0].get_ydata(), found.sharpe)
    np.testing.assert_array_equal(left.lines[0].get_ydata(), found.net)
    legend = left.get_legend()
    assert legend is not None
    assert any(text.get_text().startswith("its 90 % interval") for text in legend.get_texts())
    whole = scaled(table, 5e4)
    assert len(plots.backtest_figure(whole).axes) == 1
    with pytest.raises(InputError, match="backtest must have profits by period"):
        plots.sharpe_curve(whole)
    with pytest.raises(InputError, match="backtest must be a ScaledBacktest, not int"):
        plots.profit_curve(3)  # type: ignore[arg-type]


def run(*words: str, cwd: Path) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        patch.chdir(cwd)
        code = cli.main(words)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    table, _, periods = made(17)
    for name, columns in (("trades.csv", table), ("pnl.csv", profits(periods))):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    return tmp_path


def test_the_command_says_how_much_a_backtest_carries(desk: Path) -> None:
    words = ("backtest", "trades.csv", "--pnl", "pnl.csv", "--capital", "1e6", "--daily-volume", "A=2e5", "B=7e5")
    code, out, err = run(*words, "--volatility", "0.02", "--plot", "p.svg", "--write", "r.csv", cwd=desk)
    assert (code, err) == (0, "")
    assert "net profit is highest at" in out
    assert "records written to r.csv" in out
    assert (desk / "p.svg").stat().st_size > 10_000
    code, out, _ = run("records", "import", "r.csv", "--db", "x.db", cwd=desk)
    assert code == 0
    assert "strategy" in out
    code, out, _ = run(*words, "--volatility", "0.02", "--json", cwd=desk)
    content = json.loads(out)
    assert content["capacity"]["low"] < content["capacity"]["capacity"] < content["capacity"]["high"]
    assert set(content["days_to_liquidate"]) == {"A", "B"}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "backtest needs --pnl or --returns, and one of them only"),
        (("--pnl", "1e5", "--daily-volume", "A=x"), 2, "--daily-volume takes one number, a column, or SYMBOL=NUMBER"),
        (("--pnl", "1e5", "--daily-volume", "A=1", "A=2"), 2, "--daily-volume names 'A' twice"),
        (("--pnl", "1e5", "--daily-volume", "adv"), 1, "daily_volume: there is no column 'adv' beside the trades"),
        (("--pnl", "1e5"), 1, "this law of impact needs daily_volume"),
        (("--pnl", "-1"), 1, "pnl must come to a gross profit"),
        (("--pnl", "1e5", "--write", "r.txt"), 1, "records are written as .csv or .parquet"),
    ],
)
def test_the_command_names_what_is_wrong(desk: Path, words: tuple[str, ...], code: int, message: str) -> None:
    found, _, err = run("backtest", "trades.csv", "--capital", "1e6", "--volatility", "0.02", *words, cwd=desk)
    assert found == code
    assert message in err
