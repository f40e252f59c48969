"""The main job on the real accounts."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest

from escala import GBM, Asset, Depth, FixedRate, Market, MarketError, allocate, simulate_market
from escala.demo import allocation as demo_allocation
from escala.demo import curves as demo_curves
from escala.demo import market as demo
from escala.demo import moves as demo_moves
from escala.demo.accounts import load_accounts
from escala.demo.prices import load_prices
from tests.command_line import escala


def test_accounts_are_those_that_can_be_simulated() -> None:
    accounts = load_accounts()
    assert accounts.supply.size == 374
    assert accounts.left_over.tolist() == [0.04866954911749]


def test_health_factors_equal_the_protocols() -> None:
    a = load_accounts()
    still = Market([Asset(1.0, GBM(0.0, 0.0))], FixedRate(0.0), dt=1.0, steps=1)
    found = simulate_market(
        a.supply, a.borrow, market=still, protocol=demo.protocol(a, Depth.flat(1.0)), paths=1, keep="rows"
    )  # fmt: skip
    assert np.max(np.abs(found.rows["health"][:, 0] / a.reported_health_factor - 1.0)) < 1e-12


@pytest.fixture(scope="module")
def study() -> demo.Study:
    return demo.run(load_accounts(), load_prices(), paths=256)


def test_every_window_of_the_past_is_lived_through(study: demo.Study) -> None:
    assert len(study.prices) == 2091
    for outcome in study.past.values():
        assert outcome.end.shape == (374, 2061)
    assert study.position_steps < 374 * (2 * 2061 * 30 + 3 * 256 * 720)
    assert study.position_steps > 0.8 * 374 * (2 * 2061 * 30 + 3 * 256 * 720)


def test_the_known_crashes_are_among_the_worst_windows(study: demo.Study) -> None:
    worst = demo.worst_windows(study)
    assert len(worst) == 5
    spans = [(window.first, window.last) for window in worst]
    assert any(first < "2020-03-12" <= last for first, last in spans)
    assert any(first < "2021-05-19" <= last for first, last in spans)
    hurt = [window.liquidated[0] for window in worst]
    assert hurt == sorted(hurt, reverse=True)
    assert hurt[0] == study.past["doing nothing"].liquidated.sum(axis=0).max()
    for (first, last), (other, end) in itertools.combinations(spans, 2):
        assert last < other or end < first


def test_automation_lowers_the_probability_and_has_its_price(study: demo.Study) -> None:
    found = demo.content(study)
    for name in ("past", "drawn"):
        without, with_it = found[name]["doing nothing"], found[name]["deleveraging"]
        assert with_it["probability"] < without["probability"]
        assert 0.0 < with_it["probability_error"] < 0.05
        assert found[name]["automation"]["saved"] > 5.0 * found[name]["automation"]["saved_error"] > 0.0
        assert found[name]["automation"]["paid"] > 0.0
    assert found["rehearsal"]["aave_v4_better"] > 3.0 * found["rehearsal"]["error"]


def test_errors_of_windows_that_overlap_are_those_of_stretches() -> None:
    draws = np.random.default_rng(1).normal(size=60_000)
    moving = np.convolve(draws, np.ones(30), "valid")
    honest, naive = (demo.error_of(moving, overlapping=overlapping) for overlapping in (True, False))
    assert honest == pytest.approx(30.0 / np.sqrt(draws.size), rel=0.2)  # the mean of sums of 30
    assert naive < 0.3 * honest


def test_the_report_says_what_a_newcomer_needs(study: demo.Study) -> None:
    text = demo.report(study, threads=2)
    for part in (
        "375 real Aave accounts; 1 has no collateral and a debt of 0.0486695 left over: not simulated",
        "health factors equal the protocol's own to",
        "collateral taken as ETH and debt as dollars",
        "all 2,061 windows of the past, daily",
        "256 drawn paths, hourly",
        "liquidated, of 100 accounts",
        "for the first time after (median)",
        "95 % of them less than",
        "deleveraging in the past saves",
        "rehearsal: under Aave 4",
        "the 5 windows that hurt most",
        "billion position-steps in",
        "on 2 threads",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 130


def test_prices_are_chosen_by_symbol_and_day() -> None:
    prices = load_prices()
    assert prices.symbols == ("ETH", "BTC", "SOL")
    march = prices.between("ETH", "2020-03-01", "2020-03-31")
    assert len(march) == 31
    crash = march.day == np.datetime64("2020-03-12")
    assert march.close["ETH"][crash][0] / march.close["ETH"][np.roll(crash, -1)][0] - 1.0 == pytest.approx(
        -0.423, abs=1e-3
    )
    sun = prices.between("SOL")
    assert str(sun.day[0]) == "2020-04-10"
    replay = prices.replay("SOL", last="2020-05-01")
    assert replay.table.shape == (22, 1)
    assert np.all(replay.low <= replay.prices)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("DOGE",), "symbol must be one of ETH, BTC, SOL, not 'DOGE'"),
        (("ETH", "yesterday"), "first must be a day such as 2020-03-12, not 'yesterday'"),
        (("ETH", None, "2024-01-01"), "last must be a day from 2017-11-09 to 2023-07-31, not 2024-01-01"),
        (("SOL", "2019-01-01"), "first must be a day from 2020-04-10 to 2023-07-31, not 2019-01-01"),
        (("ETH", "2020-02-01", "2020-01-01"), "first must not be after last, but 2020-02-01 is after 2020-01-01"),
    ],
)
def test_days_that_are_not_there_are_refused(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(MarketError, match=f"^{re.escape(message)}$"):
        load_prices().between(*arguments)


def test_curves_of_the_real_quotes() -> None:
    found = demo_curves.run(demo_curves.load_quotes())
    assert len(found.curves) == 56
    assert found.curves.n_points.sum() == 19_276
    assert found.curves.set_aside.sum() == 2
    assert found.curves.has_curve.all()
    text = demo_curves.report(found)
    assert len(text.splitlines()) == 64
    at = found.curves.index("USDC/WBTC")
    (line,) = [line for line in text.splitlines() if line.startswith("USDC/WBTC ")]
    lost = 100.0 * (1.0 - found.prediction.efficiency[at])
    assert line.split()[:2] == ["USDC/WBTC", found.curves.family_names[at]]
    assert f"{lost:.2f}% [" in line
    for part in (
        "19,278 real swap quotes, 500 to 172,243,000 USD; 56 pairs fitted in",
        "loss at 1 M USD          10 % lost at, M USD     at most comes",
        f"* {int(found.curves.marked.sum())} of 56 pairs follow a pattern that their curve does not",
    ):
        assert part in text


def test_fifty_million_over_the_real_pairs() -> None:
    quotes = demo_curves.load_quotes()
    plan = demo_allocation.run(demo_curves.run(quotes).curves, quotes)
    assert float(plan.found.amounts.sum()) == pytest.approx(50e6, rel=1e-12)
    assert float(plan.found.gap) <= 1e-10
    assert np.all(plan.path.gap <= 1e-10)
    assert np.all(np.diff(plan.path.utility) > 0.0)
    assert np.all(np.diff(plan.path.shadow_price) <= 1e-12)
    kept = plan.found.efficiency[(plan.found.amounts > 0.0) & ~plan.found.below_threshold]
    assert kept.min() >= 0.99 - 1e-12
    scored = plan.scored
    assert len(scored) == 2 * demo_allocation.DEALS
    assert np.all(scored.realised <= scored.best + 1e-6 * scored.total)
    text = demo_allocation.report(plan)
    for part in (
        "50,000,000 of 50,000,000 allocated over",
        "(shadow price)",
        "claimed   realised       best",
        "500,000,000",
        "because",
    ):
        assert part in text


@pytest.fixture(scope="module")
def move() -> demo_moves.Move:
    return demo_moves.run(demo_curves.run(demo_curves.load_quotes()).curves)


def test_from_thirty_million_to_fifty(move: demo_moves.Move) -> None:
    found, curves = move.found, move.found.curves
    assert found.current.sum() == 30e6
    assert sorted(found.symbols[found.current > 0.0]) == sorted(demo_moves.PAIRS)
    assert found.amounts.sum() == pytest.approx(50e6, rel=1e-12)
    assert max(found.gap, move.adding.gap) <= 1e-10
    bought = np.array([symbol.split("/")[1] for symbol in found.symbols])
    by_token = {token: found.amounts[bought == token].sum() for token in np.unique(bought)}
    assert by_token["USDC"] == pytest.approx(20e6, rel=1e-12)
    assert all(amount <= 20e6 * (1.0 + 1e-12) for amount in by_token.values())
    assert [name for name, price in zip(found.groups, found.group_prices, strict=True) if price] == ["USDC"]
    assert np.all(move.adding.amounts >= found.current)
    value = curves.utility(found.amounts[:, None]).sum() - 0.001 * np.abs(found.amounts - found.current).sum()
    assert float(found.utility) == pytest.approx(value, rel=1e-12)
    held = curves.utility(found.current[:, None]).sum() + 20e6
    assert demo_moves.gain(move) == pytest.approx(value - held, abs=1e-3)
    assert demo_moves.gain_over_adding(move) > 0.0


def test_the_price_of_a_full_token_is_what_more_of_it_returns(move: demo_moves.Move) -> None:
    found = move.found
    token = [symbol.split("/")[1] for symbol in found.symbols]
    wider = {name: 20e6 + 10_000.0 * (name == "USDC") for name in found.groups}
    more = allocate(
        found.curves, 50e6, current=found.current, trade_cost=0.001, groups=token, group_upper=wider
    )  # fmt: skip
    price = dict(zip(found.groups, found.group_prices, strict=True))["USDC"]
    assert float(more.utility - found.utility) == pytest.approx(10_000.0 * price, rel=1e-3)


def test_what_stays_lies_between_what_buying_and_selling_cost(move: demo_moves.Move) -> None:
    found = move.found
    still = (found.trades == 0.0) & (found.current > 0.0)
    assert sorted(found.symbols[still]) == ["USDC/USDT", "USDC/WETH"]
    at, around = found.amounts[still][:, None], found.curves[found.symbols[still].tolist()]
    prices = dict(zip(found.groups, found.group_prices, strict=True))
    price = found.shadow_price + np.array([prices[s.split("/")[1]] for s in found.symbols[still]])
    up, down = ((around.utility(at + step) - around.utility(at)).ravel() / step for step in (1.0, -1.0))
    assert np.all(up - 0.001 <= price + 1e-9)
    assert np.all(down + 0.001 >= price - 1e-9)


def test_the_report_of_the_move_says_what_and_why(move: demo_moves.Move) -> None:
    text = demo_moves.report(move)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 130
    rows = {line.split()[0]: line for line in lines if line[0].isalpha() and "/" in line.split()[0]}
    assert set(rows) == set(demo_moves.PAIRS)
    for pair, part in (
        ("USDT/USDC", "USDC is full"),
        ("USDC/WETH", "  0  trading it would cost more than it gains"),
        ("WETH/wstETH", "the next dollar returns as much or more elsewhere"),
        ("USDC/WBTC", "what was sold returns more elsewhere"),
    ):
        assert part in rows[pair]
    for part in (
        "From 30,000,000 USD in ten pairs to 50,000,000: trading costs 10 basis points",
        "not held before: USDT/TUSD +",
        "USDC holds its 40%: a million more of it would return",
        "2 of ten pairs stay",
        "more than staying",
    ):
        assert part in text


@pytest.mark.slow
def test_the_command_speaks_json() -> None:
    content = json.loads(escala("demo", "--json").stdout)
    assert len(content["curves"]["symbol"]) == 56
    assert content["curves"]["family"].count("ladder") > 40
    assert 0.99 < content["curves"]["at_1m_efficiency"][content["curves"]["symbol"].index("USDC/WBTC")] < 1.0
    plan = content["allocation"]
    assert sum(plan["amount"]) == pytest.approx(50e6, rel=1e-12)
    assert plan["gap"] <= 1e-10
    assert len(plan["path"]["amount"]) == 9
    assert plan["scored"]["total"] == [50e6, 500e6]
    assert sum(plan["move"]["held"]) == 30e6
    assert plan["move"]["token_amount"]["USDC"] == pytest.approx(20e6, rel=1e-12)
    market = content["market"]
    assert 0.1 < market["past"]["doing nothing"]["probability"] < 0.3
    assert set(market["drawn"]["automation"]) == {
        "saved", "saved_error", "paid", "paid_error", "better", "better_error"
    }  # fmt: skip
    assert len(market["worst_windows"]) == 5
    assert market["position_steps"] > 3e9
