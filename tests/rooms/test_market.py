"""Positions in a market: reference scenarios, the plain twin, closed forms, and what always holds."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import (
    GBM,
    OU,
    Asset,
    Bootstrap,
    CurveSet,
    Depth,
    FixedRate,
    Heston,
    KinkedRate,
    Market,
    MarketFlag,
    MarketStatus,
    Merton,
    Policy,
    Protocol,
    Replay,
    simulate_market,
    tables,
)
from escala.kernels import layout
from escala.market.pack import Room, scenarios_of, setting_of, tables_of
from escala.market.statistics import moments_of
from tests.markets import Spec, market_of, series_of, specs, table, walked
from tests.naive.market import naive_growth, naive_kinked, naive_market, naive_quantile, naive_uniform
from tests.naive.sweeps import naive_moments, naive_tree
from tests.properties import examples
from tests.strategies import market_scenarios

DAY, YEAR = 86400.0, 31536000.0
AAVE = Protocol.aave_v3(0.8, 0.75, 0.05)
RESULTS = {row["name"]: row for row in table("golden_scenarios.csv")}
EVENTS: dict[str, list[tuple[int, str, float, float, float]]] = {}
for _row in table("golden_events.csv"):
    _numbers = (float(_row["a"]), float(_row["b"]), float(_row["c"]))
    EVENTS.setdefault(_row["name"], []).append((int(_row["step"]), _row["event"], *_numbers))
SERIES = ("G", "M", "K", "X", "X_low", "B")


def eth(mu: float = 0.0, sigma: Any = 0.8, **fields: Any) -> Asset:
    return Asset(2000.0, GBM(mu, sigma), **fields)


def days(count: int, *assets: Asset, rate: float = 0.0, **fields: Any) -> Market:
    return Market(list(assets) or [eth()], FixedRate(rate), dt=DAY, steps=count, **fields)


def end_prices(market: Market, paths: int, **fields: Any) -> Any:
    """Prices at the end of each path: the end equity of a unit without debt."""
    held = 1.0 if len(market.assets) == 1 else np.eye(len(market.assets))[0]
    return simulate_market(held, 0.0, market=market, protocol=AAVE, paths=paths, keep="rows", **fields).rows[
        "end_equity"
    ]


# --- reference scenarios ----------------------------------------------------------------------------------------


def differences(spec: Spec, outputs: Spec, events: list[Any]) -> list[Any]:
    expected = RESULTS[spec["name"]]
    wrong: list[Any] = [name for name in expected if name != "name" and float(expected[name]) != outputs[name]]
    return wrong + [pair for pair in zip(events, EVENTS.get(spec["name"], []), strict=False) if pair[0] != pair[1]]


@pytest.mark.nojit
def test_the_twin_gives_the_reference_scenarios_and_paths() -> None:
    series: dict[str, list[dict[str, str]]] = {}
    for row in table("golden_paths.csv.gz"):
        series.setdefault(row["name"], []).append(row)
    for spec in specs():
        outputs, events, path = naive_market(spec)
        assert not differences(spec, outputs, events), spec["name"]
        assert len(events) == len(EVENTS.get(spec["name"], []))
        for row in series.get(spec["name"], []):
            t, j = int(row["step"]), int(row["asset"])
            assert [getattr(path, name)[t][j] for name in SERIES[:-1]] == [float(row[name]) for name in SERIES[:-1]]
            assert path.B[t] == float(row["B"])


def test_the_kernel_gives_the_reference_scenarios_and_the_twins_paths() -> None:
    for spec in specs():
        outputs, events, series = walked(spec)
        assert not differences(spec, outputs, events), spec["name"]
        assert len(events) == len(EVENTS.get(spec["name"], []))
        path = naive_market(spec)[2]
        for name in SERIES:
            assert np.array_equal(series[name], np.array(getattr(path, name))), (spec["name"], name)


@pytest.mark.nojit
def test_normals_and_rates_are_the_reference_ones() -> None:
    for row in table("golden_normals.csv"):
        u = float(row["uniform"])
        if row["seed"]:
            place = (int(row[name]) for name in ("seed", "path", "step", "stream", "set"))
            assert naive_uniform(*place) == u
        assert naive_quantile(u) == float(row["normal"])
    for text in table("golden_rates.csv"):
        rate = {name: float(value) for name, value in text.items()}
        assert naive_kinked(rate["usage"], rate) == rate["rate"]
        for kind in tables.names(tables.COMPOUNDING):
            assert naive_growth(rate["rate"], rate["dt"], kind) == rate[kind]


@pytest.mark.parametrize("kind", tables.names(tables.COMPOUNDING))
def test_the_kernel_grows_debt_as_the_reference_rates_do(kind: str) -> None:
    for text in table("golden_rates.csv")[:20]:
        r = {name: float(value) for name, value in text.items()}
        fields = {name: r[name] for name in ("base", "slope1", "slope2", "optimal", "usage")}
        market = Market([eth()], KinkedRate(**fields, compounding=kind), dt=r["dt"], steps=1)
        assert one_path(market)["B"][1] == r[kind]


def one_path(market: Market, seed: int = 0, path: int = 0) -> dict[str, Any]:
    """Series of one path."""
    from escala.kernels.market.paths import paths

    setting = setting_of(market, "aave_v3", paths=path + 1, seed=seed, antithetic=False, sobol=0)
    count = len(market.assets)
    s = scenarios_of(np.ones(count)[() if count > 1 else 0], 0.0, 0.0, market, AAVE, Policy(), common=True)
    t, room = tables_of(market), Room.for_market(setting, loops=False)
    paths(
        setting, s.markets, s.assets, t["kinds"], t["oracle"], t["factor"], t["table"], t["lows"], t["starts"],
        np.zeros((1, 0)), s.words, room.series, room.small, room.large, room.work, room.places, path, path + 1,
    )  # fmt: skip
    return series_of(room, count, market.steps)


RAY = 10**27
SECONDS_OF_YEAR = 31_536_000


def ray_mul(a: int, b: int) -> int:
    return (a * b + RAY // 2) // RAY


def compounded(rate: int, seconds: int) -> int:
    """Aave v3.0, MathUtils.calculateCompoundedInterest: integers as the contract has them."""
    if seconds == 0:
        return RAY
    fewer, fewest = seconds - 1, max(seconds - 2, 0)
    squared = ray_mul(rate, rate) // (SECONDS_OF_YEAR * SECONDS_OF_YEAR)
    cubed = ray_mul(squared, rate) // SECONDS_OF_YEAR
    second, third = seconds * fewer * squared // 2, seconds * fewer * fewest * cubed // 6
    return RAY + rate * seconds // SECONDS_OF_YEAR + second + third


@pytest.mark.nojit
def test_real_indexes_of_aave_grow_by_the_binomial_rule() -> None:
    rows = table("aave_v3_polygon_weth_updates_20240106.csv.gz")
    assert len(rows) == 445
    for before, after in itertools.pairwise(rows):
        seconds = int(after["timestamp"]) - int(before["timestamp"])
        rate, index = int(before["variable_borrow_rate_ray"]), int(before["variable_borrow_index_ray"])
        expected = int(after["variable_borrow_index_ray"])
        assert ray_mul(compounded(rate, seconds), index) == expected
        grown = naive_growth(rate / RAY, float(seconds), "binomial")
        assert abs(Fraction(grown) * index / expected - 1) <= 2.0**-51


# --- drawn scenarios --------------------------------------------------------------------------------------------


@given(market_scenarios())
@examples(150)
def test_drawn_scenarios_equal_the_twin_to_the_bit(spec: Spec) -> None:
    outputs, events, series = walked(spec)
    expected, happened, path = naive_market(spec)
    for name in SERIES:
        assert np.array_equal(series[name], np.array(getattr(path, name)), equal_nan=True), name
    assert events == happened
    assert outputs == {name: float(expected[name]) for name in outputs}


@given(market_scenarios(steps=300), st.integers(1, 40), st.integers(1, 12))
@examples(40)
def test_skipping_changes_no_bit_whatever_the_blocks(spec: Spec, small: int, larger: int) -> None:
    plain = walked(spec, blocks=(0, 0))
    for blocks in ((small, small * larger), (32, 1024), (1, 1)):
        outputs, events, _ = walked(spec, blocks=blocks)
        assert outputs == plain[0]
        assert events == plain[1]


SUMS = {
    "price_pnl": 1.0, "supply_yield": 1.0, "interest": -1.0, "fees": -1.0, "gas": -1.0, "slippage": -1.0,
    "liquidation_loss": -1.0, "bad_debt": 1.0,
}  # fmt: skip


@given(market_scenarios())
@examples(80)
def test_equity_changes_by_what_the_books_say(spec: Spec) -> None:
    outputs, events, _ = walked(spec)
    change = outputs["end_equity"] - outputs["start_equity"]
    booked = math.fsum(sign * outputs[name] for name, sign in SUMS.items())
    gross = max(naive_market(spec)[0]["gross"], *(abs(outputs[name]) for name in SUMS))
    allowed = 16.0 * (len(events) + 2) * len(spec["collateral"]) * 2.0**-53 * gross
    assert abs(change - booked) <= allowed


@given(market_scenarios())
@examples(60)
def test_nobody_is_liquidated_above_a_health_factor_of_one(spec: Spec) -> None:
    outputs, events, series = walked(spec)
    assert outputs["lowest_health"] <= outputs["health"]
    assert min(outputs["end_debt"], outputs["end_wallet"]) >= 0.0
    for _, kind, health, repaid, seized in events:
        if kind.startswith("liquidation"):
            assert health < 1.0 + 1e-9
            assert repaid >= 0.0
            assert seized >= 0.0
    rate = spec["market"]["rate"]
    if rate.get("rate", -1.0) >= 0.0:
        assert (np.diff(series["B"]) >= 0.0).all()


@given(market_scenarios(), st.floats(1.0, 3.0), st.floats(0.3, 1.0))
@examples(60)
def test_more_collateral_or_less_debt_is_never_riskier_before_a_liquidation(
    spec: Spec, more: float, less: float
) -> None:
    held = {**spec, "policy": {}}
    before = walked(held)[0]
    safer = {**held, "collateral": [more * c for c in spec["collateral"]], "debt": less * spec["debt"]}
    after = walked(safer)[0]
    if before["liquidations"] == 0:
        assert after["liquidations"] == 0
        assert after["lowest_health"] >= before["lowest_health"] * (1.0 - 1e-12)


# --- results do not depend on how they were made ----------------------------------------------------------------


def arguments() -> dict[str, Any]:
    policy = Policy(deleverage_health=1.2, deleverage_target=1.3, depth=Depth.constant_product(1e6), gas=2.0)
    market = days(50, eth(sigma=np.array([0.6, 0.9])), rate=0.05, barrier=True)
    return {
        "collateral": 10.0,
        "debt": np.array([[9e3], [12e3], [14e3]]),
        "market": market,
        "protocol": AAVE,
        "policy": policy,
    }


def test_threads_change_no_bit() -> None:
    one, three = (simulate_market(**arguments(), paths=60, keep="rows", threads=threads) for threads in (1, 3))
    assert one.shape == (3, 2)
    for name, rows in one.rows.items():
        assert np.array_equal(rows, three.rows[name]), name
    ours, theirs = one.to_dict(), three.to_dict()
    for name, column in ours.items():
        assert np.array_equal(column, theirs[name], equal_nan=True), name


def test_a_set_does_not_depend_on_the_others() -> None:
    given_ = arguments()
    many = simulate_market(**given_, paths=40, keep="rows")
    alone = simulate_market(
        **{**given_, "debt": 12e3, "market": days(50, eth(sigma=0.9), rate=0.05, barrier=True)}, paths=40, keep="rows"
    )
    for name, rows in alone.rows.items():
        assert np.array_equal(rows, many.rows[name][1, 1]), name


def test_blocks_of_sets_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulate_market(**arguments(), paths=20, keep="rows")
    monkeypatch.setattr("escala.market.simulate._SETS_AT_ONCE", 2)
    parts = simulate_market(**arguments(), paths=20, keep="rows")
    assert all(np.array_equal(whole.rows[name], parts.rows[name]) for name in whole.rows)


def test_sets_have_random_numbers_of_their_own_when_asked() -> None:
    shared, own = (
        simulate_market(1.0, [0.0, 0.0], market=days(5), protocol=AAVE, paths=6, common=common, keep="rows")
        for common in (True, False)
    )
    assert np.array_equal(*shared.rows["end_equity"])
    assert not np.any(own.rows["end_equity"][0] == own.rows["end_equity"][1])
    spec = {"seed": 0, "path": 4, "set": 2, "collateral": [1.0], "debt": 0.0, "protocol": protocol(), "market": gbm(5)}
    assert own.rows["end_equity"][1, 4] == naive_market(spec)[0]["end_equity"]


def protocol() -> Spec:
    return {"rule": "aave_v3", "liquidation_threshold": [0.8], "loan_to_value": [0.75], "bonus": [0.05]}


def gbm(steps: int) -> Spec:
    asset = {"kind": "gbm", "mu": 0.0, "sigma": 0.8, "price": 2000.0}
    return {"assets": [asset], "rate": {"rate": 0.0, "compounding": "taylor"}, "dt": DAY, "steps": steps}


def test_an_antithetic_pair_and_a_path_are_those_of_the_definition() -> None:
    rows = simulate_market(
        1.0, 0.0, market=days(5), protocol=AAVE, paths=6, sampling="antithetic", keep="rows", seed=9
    ).rows["end_equity"]
    for path in range(6):
        spec = {"seed": 9, "path": path, "antithetic": True, "collateral": [1.0], "debt": 0.0, "protocol": protocol()}
        assert rows[path] == naive_market({**spec, "market": gbm(5)})[0]["end_equity"]


def test_sobol_paths_are_those_of_the_definition() -> None:
    from scipy.stats import qmc

    rows = simulate_market(
        1.0, 0.0, market=days(70), protocol=AAVE, paths=64, sampling="sobol", keep="rows", seed=3
    ).rows["end_equity"]
    points = qmc.Sobol(64, scramble=True, rng=3 + 5).random(4)
    spec = {"seed": 3, "path": 22, "sobol": [points[2].tolist()], "collateral": [1.0], "debt": 0.0}
    assert rows[22] == naive_market({**spec, "protocol": protocol(), "market": gbm(70)})[0]["end_equity"]


def test_a_record_holds_the_steps_and_events_of_its_path() -> None:
    result = simulate_market(**arguments(), paths=30, keep="rows", record=[(4, 11)])
    kept = result.record[4, 11]
    for name, value in kept.outputs.items():
        assert value == result.rows[name].reshape(6, -1)[4, 11]
    assert kept.series["market_value"].shape == (51, 1)
    assert (kept.events["kind"] == "deleverage").sum() == kept.outputs["deleverages"] > 0
    assert len(kept.to_dataframe()) == len(kept.events["step"])
    assert "events" in repr(kept)


# --- closed forms -----------------------------------------------------------------------------------------------


def cdf(x: float) -> float:
    return NormalDist().cdf(x)


def passage(beta: float, nu: float, sigma: float, years: float) -> float:
    """Probability that a Brownian motion with drift falls by beta."""
    root = sigma * math.sqrt(years)
    return cdf((-beta - nu * years) / root) + math.exp(-2.0 * nu * beta / sigma**2) * cdf((-beta + nu * years) / root)


def test_first_passage_with_barrier_is_that_of_the_closed_form() -> None:
    sigma, mu, steps, paths = 0.8, 0.1, 8, 2**20
    market = days(steps, eth(mu, sigma), barrier=True)
    result = simulate_market(10.0, 14_500.0, market=market, protocol=AAVE, paths=paths)
    exact = passage(math.log(16_000.0 / 14_500.0), mu - 0.5 * sigma**2, sigma, steps * DAY / YEAR)
    assert abs(result.liquidation_probability - exact) <= 4.0 * math.sqrt(exact * (1.0 - exact) / paths)
    low, high = result.interval("liquidation_probability")
    assert low < result.liquidation_probability < high


def test_closes_alone_are_as_a_barrier_that_lies_further_off() -> None:
    sigma, steps, paths = 0.8, 120, 2**18
    result = simulate_market(10.0, 12_500.0, market=days(steps, eth(0.0, sigma)), protocol=AAVE, paths=paths)
    shift = 0.5826 * sigma * math.sqrt(DAY / YEAR)
    shifted = passage(math.log(16_000.0 / 12_500.0) + shift, -0.5 * sigma**2, sigma, steps * DAY / YEAR)
    assert abs(result.liquidation_probability / shifted - 1.0) <= 0.01


def within(values: Any, expected: float, errors: float = 4.5) -> bool:
    return bool(abs(np.mean(values) - expected) <= errors * np.std(values) / math.sqrt(values.size))


def test_lognormal_moments() -> None:
    prices = end_prices(days(60, eth(0.3, 0.7)), 2**16)
    years = 60 * DAY / YEAR
    assert within(prices, 2000.0 * math.exp(0.3 * years))
    logs = np.log(prices / 2000.0)
    assert within(logs, (0.3 - 0.245) * years)
    assert within((logs - logs.mean()) ** 2, 0.49 * years)


def test_jumps_leave_the_mean_where_it_is() -> None:
    process = Merton(0.2, 0.4, jump_rate=40.0, jump_mean=-0.1, jump_sd=0.1)
    prices = end_prices(days(60, Asset(2000.0, process)), 2**16)
    assert within(prices, 2000.0 * math.exp(0.2 * 60 * DAY / YEAR))


def test_a_reverting_price_decays_towards_its_mean() -> None:
    process = OU(mean=0.1, reversion=12.0, sigma=0.5, start=-0.4)
    logs = np.log(end_prices(days(30, Asset(1.0, process)), 2**16))
    decay = math.exp(-12.0 * 30 * DAY / YEAR)
    assert within(logs, 0.1 - 0.4 * decay)
    assert within((logs - logs.mean()) ** 2, 0.25 * (1.0 - decay**2) / 24.0)


def test_hestons_variance_reverts() -> None:
    process = Heston(0.0, variance=0.9, reversion=4.0, long_variance=0.25, vol_of_vol=0.3, rho=-0.4)
    logs = np.log(end_prices(days(90, Asset(1.0, process)), 2**15))
    h, total, v = DAY / YEAR, 0.0, 0.9
    for _ in range(90):
        total += v * h
        v += 4.0 * (0.25 - v) * h
    assert within(logs, -0.5 * total)
    assert abs(np.var(logs) / total - 1.0) < 0.05  # the covariance of variance and price adds a little


def test_every_row_of_past_returns_is_drawn_as_often() -> None:
    rows = 7
    steps, paths = 40, 4000
    returns = np.zeros((rows, 1))
    returns[3] = 1e-3
    for length in ({"mean_block": 5.0}, {"block": 4}):
        market = Market([Asset(1.0)], FixedRate(0.0), dt=DAY, steps=steps, joint=Bootstrap(returns, **length))
        hits = np.log(end_prices(market, paths)) / 1e-3
        assert within(hits, steps / rows)


def test_replayed_windows_are_past_prices() -> None:
    prices = np.array([100.0, 110.0, 99.0, 120.0, 60.0])
    market = Market([Asset(2000.0)], FixedRate(0.0), dt=DAY, steps=2, joint=Replay(prices))
    result = simulate_market(1.0, 0.0, market=market, protocol=AAVE, keep="rows")
    assert result.rows["end_equity"] == pytest.approx(2000.0 * prices[2:] / prices[:-2], rel=1e-15)


@pytest.mark.parametrize("sampling", ["antithetic", "sobol"])
def test_sampling_that_helps_has_the_mean_and_a_smaller_error(sampling: str) -> None:
    market, exact = days(64, eth(0.2, 0.5)), 2000.0 * math.exp(0.2 * 64 * DAY / YEAR)
    plain = simulate_market(1.0, 0.0, market=market, protocol=AAVE, paths=4096)
    better = simulate_market(1.0, 0.0, market=market, protocol=AAVE, paths=4096, sampling=sampling)
    assert abs(better.mean("end_equity") - exact) <= 5.0 * better.error("end_equity")
    assert better.error("end_equity") < 0.5 * plain.error("end_equity")


def test_correlated_assets_move_together() -> None:
    market = days(40, eth(), eth(), correlation=[[1.0, 0.8], [0.8, 1.0]])
    rows = [
        simulate_market(held, 0.0, market=market, protocol=AAVE, paths=20_000, keep="rows").rows["end_equity"]
        for held in ([1.0, 0.0], [0.0, 1.0])
    ]
    assert abs(np.corrcoef(np.log(rows))[0, 1] - 0.8) < 0.02


def test_a_costless_boost_reaches_the_debt_of_the_target() -> None:
    market = Market([Asset(2000.0)], FixedRate(0.0), dt=DAY, steps=1, joint=Replay(np.full(2, 2000.0)))
    policy = Policy(boost_health=1.6, boost_target=1.5)
    result = simulate_market(10.0, 8_000.0, market=market, protocol=AAVE, policy=policy, keep="rows")
    assert result.rows["end_debt"][0] == pytest.approx(8_000.0 * (2.0 - 0.8) / (1.5 - 0.8), rel=1e-12)
    assert result.rows["health"][0] == pytest.approx(1.5, rel=1e-12)


def still(*prices: float) -> Market:
    """A market of one asset whose prices are given."""
    return Market([Asset(prices[0])], FixedRate(0.0), dt=DAY, steps=len(prices) - 1, joint=Replay(np.array(prices)))


def test_a_sale_and_a_purchase_reach_their_targets_through_costs() -> None:
    targets = np.array([1.3, 1.7, 2.5, 10.0, 100.0])
    costs: dict[str, Any] = {"depth": Depth.flat(0.01), "fee_rate": 0.001, "gas": 3.0}
    sale = Policy(deleverage_health=1.25, deleverage_target=targets, **costs)
    sold = simulate_market(10.0, 13_000.0, market=still(2000.0, 2000.0), protocol=AAVE, policy=sale, keep="rows")
    assert sold.rows["deleverages"].sum() == targets.size
    assert sold.rows["health"][:, 0] == pytest.approx(targets, rel=1e-12)
    purchase = Policy(boost_health=150.0, boost_target=targets, **costs)
    more = simulate_market(10.0, 100.0, market=still(2000.0, 2000.0), protocol=AAVE, policy=purchase, keep="rows")
    assert more.rows["health"][:, 0] == pytest.approx(targets, rel=1e-12)


def test_trades_meet_the_depth_of_any_curve() -> None:
    """A book's ladder for the liquidator, another family for the owner, and the other way round."""
    ladder = CurveSet.from_ladders(["book"], [[0.0, 5_000.0, 20_000.0]], [[0.999, 0.98, 0.9]])
    hill = CurveSet.from_params(["pool"], "hill", [[0.99, 2e5, 1.0]])
    for owner, liquidator in ((ladder, hill), (hill, ladder), (ladder, ladder)):
        protocol_ = Protocol.aave_v3(0.8, 0.75, 0.05, liquidator_depth=Depth.curve(liquidator))
        stops = Policy(stop_health=2.0, depth=Depth.curve(owner))
        result = simulate_market(
            10.0, 9_000.0, market=still(2000.0, 2000.0), protocol=protocol_, policy=stops, keep="rows"
        )
        kept = float(owner.efficiency(20_000.0)[0])
        assert result.rows["slippage"][0] == 20_000.0 - 20_000.0 * kept
        fallen = simulate_market(10.0, 9_000.0, market=still(2000.0, 1100.0), protocol=protocol_, keep="rows")
        proceeds = 4_500.0 * 1.05 * float(liquidator.efficiency(4_500.0 * 1.05)[0])
        assert (fallen.rows["repaid_by_liquidators"][0] == 4_500.0) == (proceeds >= 4_500.0)


RULES = {
    "aave_v3": AAVE,
    "aave_v33": Protocol.aave_v33(0.8, 0.75, 0.05, dust=100.0),
    "aave_v4": Protocol.aave_v4(0.8, 0.75, 0.05, dust=100.0, bonus_factor=0.5),
    "morpho": Protocol.morpho(0.8),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_liquidation_that_can_heal_raises_health(rule: str) -> None:
    debts = np.linspace(16_100.0, 18_500.0, 9)
    result = simulate_market(10.0, debts, market=still(2000.0, 2000.0), protocol=RULES[rule], keep="rows")
    assert (result.rows["liquidations"] > 0).all()
    assert (result.rows["health"][:, 0] > 16_000.0 / debts).all()
    assert (result.rows["liquidation_loss"] >= 0.0).all()


def test_comet_absorbs_a_position_and_credits_what_is_left() -> None:
    comet = Protocol.comet(0.8, 0.75, 0.93)
    result = simulate_market(10.0, [16_500.0, 19_500.0], market=still(2000.0, 2000.0), protocol=comet, keep="rows")
    assert (result.rows["status"] == MarketStatus.ABSORBED).all()
    assert result.rows["end_wallet"][:, 0].tolist() == [18_600.0 - 16_500.0, 0.0]
    assert result.rows["bad_debt"][:, 0].tolist() == [0.0, 19_500.0 - 18_600.0]


# --- statistics -------------------------------------------------------------------------------------------------


def test_statistics_are_those_of_the_rows() -> None:
    result = simulate_market(
        10.0, [9_000.0, 13_500.0], market=days(60, barrier=True), protocol=AAVE, paths=500, keep="rows"
    )
    ends, starts = result.rows["end_equity"], result.rows["start_equity"]
    assert result.mean("end_equity") == pytest.approx(ends.mean(axis=1), rel=1e-12)
    assert result.sd("end_equity") == pytest.approx(ends.std(axis=1, ddof=1), rel=1e-10)
    assert result.error("end_equity") == pytest.approx(ends.std(axis=1, ddof=1) / math.sqrt(500), rel=1e-10)
    assert np.array_equal(result.quantiles("end_equity")[:, 2], np.sort(ends, axis=1)[:, 249])
    first = result.rows["first_liquidation"]
    assert np.array_equal(result.liquidation_probability, (first >= 0).mean(axis=1))
    assert np.array_equal(result.finite("first_liquidation"), (first >= 0).sum(axis=1))
    assert result.mean("first_liquidation")[1] == pytest.approx(first[1][first[1] >= 0].mean())
    losses = np.sort(starts - ends, axis=1)
    assert np.array_equal(result.var, losses[:, 474])
    assert result.cvar == pytest.approx(losses[:, 475:].mean(axis=1), rel=1e-12)
    assert result.mean_apr == pytest.approx(result.mean("return") * 365.0 / 60.0)
    assert result.mean_hours_to_liquidation[1] == pytest.approx(24.0 * result.mean("first_liquidation")[1])


def test_moments_are_those_of_a_sweeps_blocks_to_the_bit() -> None:
    table_ = np.random.default_rng(2).normal(size=(3, 5000))
    table_[1, ::7] = math.inf
    found = moments_of(table_, 4500)
    for row, values in zip(found, table_[:, :4500].tolist(), strict=True):
        blocks = [naive_moments(values[k : k + 2048]) for k in range(0, 4500, 2048)]
        assert tuple(row) == naive_tree([(float(b.finite), b.mean, b.squares) for b in blocks])


def test_a_comparison_takes_paths_in_pairs() -> None:
    result = simulate_market(
        10.0, [9_000.0, 9_500.0], market=days(60, barrier=True), protocol=AAVE, paths=500, keep="rows"
    )
    difference = result.rows["end_equity"][0] - result.rows["end_equity"][1]
    found = result.compare(0, 1)
    assert found.difference == pytest.approx(difference.mean(), rel=1e-12)
    assert found.error == pytest.approx(difference.std(ddof=1) / math.sqrt(500), rel=1e-9)
    assert found.low < found.difference < found.high
    assert found.better == (difference > 0.0).mean()
    assert found.error < result.error("end_equity")[0]


def test_results_can_be_read() -> None:
    result = simulate_market(**arguments(), paths=40)
    frame = result.to_dataframe()
    assert len(frame) == 6
    assert {"end_equity_mean", "end_equity_q5", "liquidation_probability_low", "cvar"} <= set(frame.columns)
    assert "6 parameter sets on 40 paths" in result.summary()
    assert "6 parameter sets" in repr(result)
    one = simulate_market(10.0, 14_000.0, market=days(60, barrier=True), protocol=AAVE, paths=200).summary()
    for words in ("liquidated on", "for the first time after", "liquidation losses", "in the worst 5% of paths"):
        assert words in one


def test_no_parameter_set_and_one_path_are_results_too() -> None:
    none = simulate_market(10.0, np.zeros(0), market=days(3), protocol=AAVE, paths=4)
    assert (none.shape, none.summary(), repr(none)) == ((0,), "no parameter sets", "<MarketResult of 0 parameter sets>")
    one = simulate_market(10.0, 100.0, market=days(3), protocol=AAVE, paths=1)
    assert repr(one) == "<MarketResult of 1 parameter set on 1 path: 0.00% liquidated>"
    assert one.summary().startswith("1 path of 3.0 days")
    assert one.cvar == one.var == pytest.approx(one.mean("start_equity") - one.mean("end_equity"))
    assert math.isnan(one.error("end_equity"))


def test_statuses_and_flags_have_the_codes_of_their_tables() -> None:
    assert {one.name.lower(): int(one) for one in MarketStatus} == tables.code_values(tables.MARKET_STATUS)
    assert {one.name.lower(): int(one) for one in MarketFlag if one.name} == tables.code_values(tables.MARKET_FLAGS)


def test_forms_of_the_same_kinked_rate() -> None:
    comet = KinkedRate.comet(0.01, 0.05, 3.0, 0.8, usage=0.9)
    assert (comet.slope1, comet.compounding) == (0.05 * 0.8, "linear")
    assert comet.slope2 == pytest.approx(0.6)


def test_morphos_bonus_follows_from_its_threshold() -> None:
    found = Protocol.morpho([0.86, 0.3]).bonus
    assert found == pytest.approx([1.0 / (1.0 - 0.3 * 0.14) - 1.0, 0.15])


def test_a_market_of_the_reference_scenarios_is_made_of_the_public_names() -> None:
    market = market_of(specs()[0]["market"])
    assert market.years == pytest.approx(120.0 / 365.0)
    assert layout.market_field.END > 0
