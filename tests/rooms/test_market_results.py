"""Processes that are fitted to prices, positions along recorded paths, and rules compared on the same paths."""

from __future__ import annotations

import dataclasses
import math
import re
import warnings
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from escala import (
    GBM,
    OU,
    Asset,
    Depth,
    FixedRate,
    LendingStrategy,
    Market,
    MarketError,
    MarketResult,
    Merton,
    Policy,
    Protocol,
    Replay,
    simulate_market,
)

HOUR = 3600.0
YEAR = 31_536_000.0
MARKET = Market(
    [Asset(2000.0, GBM(0.0, 0.9), supply_yield=0.02)], FixedRate(0.08), dt=HOUR, steps=24 * 40, barrier=True
)
AAVE = Protocol.aave_v33(0.83, 0.805, 0.05, dust=1000)


def drawn(process: GBM | Merton, steps: int, dt: float) -> Any:
    """Give the prices of one path of a process."""
    market = Market([Asset(100.0, process)], FixedRate(0.0), dt=dt, steps=steps)
    found = simulate_market(1.0, 0.0, market=market, protocol=AAVE, paths=1, record=[(0, 0)])
    return found.record[0, 0].series["market_value"][:, 0]


# --- fits to prices --------------------------------------------------------------------------------------------------


@pytest.mark.nojit
def test_gbm_is_fitted_by_the_moments_of_log_returns() -> None:
    returns = np.array([0.1, -0.2, 0.05, 0.15])
    prices = 100.0 * np.exp(np.append(0.0, np.cumsum(returns)))
    found = GBM.from_prices(prices, dt=YEAR / 4.0)
    assert found.sigma == pytest.approx(2.0 * np.std(returns, ddof=1))
    assert found.mu == pytest.approx(4.0 * returns.mean() + 0.5 * float(np.asarray(found.sigma)) ** 2)


def test_jumps_are_found_again_in_what_they_drew() -> None:
    true = Merton(mu=0.3, sigma=0.5, jump_rate=10.0, jump_mean=-0.15, jump_sd=0.05)
    found = Merton.from_prices(drawn(true, 36_000, 86_400.0), dt=86_400.0)
    for name, within in (("sigma", 0.008), ("jump_rate", 1.3), ("jump_mean", 0.007), ("jump_sd", 0.005)):
        assert getattr(found, name) == pytest.approx(getattr(true, name), abs=within), name
    assert found.mu == pytest.approx(0.3, abs=4.0 * 0.71 / math.sqrt(36_000 / 365))


def test_the_fit_of_jumps_is_a_stationary_point_of_the_likelihood() -> None:
    prices = drawn(Merton(mu=0.0, sigma=0.6, jump_rate=40.0, jump_mean=0.02, jump_sd=0.09), 4_000, 86_400.0)
    found, h = Merton.from_prices(prices, dt=86_400.0), 86_400.0 / YEAR
    r = np.diff(np.log(prices))

    def likelihood(**changed: float) -> float:
        f: Any = dataclasses.replace(found, **changed)
        p = -math.expm1(-f.jump_rate * h)
        a = (f.mu - 0.5 * f.sigma**2) * h - math.log1p(p * math.expm1(f.jump_mean + 0.5 * f.jump_sd**2))
        quiet, wild = f.sigma**2 * h, f.sigma**2 * h + f.jump_sd**2
        density = (1.0 - p) * np.exp(-0.5 * (r - a) ** 2 / quiet) / math.sqrt(quiet)
        density += p * np.exp(-0.5 * (r - a - f.jump_mean) ** 2 / wild) / math.sqrt(wild)
        return float(np.sum(np.log(density)))

    best = likelihood()
    for name in ("mu", "sigma", "jump_rate", "jump_mean", "jump_sd"):
        value = float(np.asarray(getattr(found, name)))
        for step in (0.02, -0.02):
            assert likelihood(**{name: value + step * abs(value)}) < best, name


@pytest.mark.nojit
def test_returns_without_jumps_have_none() -> None:
    calm = Merton.from_prices([100.0, 101.0, 100.5, 101.5, 100.0, 100.7], dt=HOUR)
    assert (calm.jump_rate, calm.jump_mean, calm.jump_sd) == (0.0, 0.0, 0.0)
    still = Merton.from_prices([100.0, 100.0, 100.0, 100.0], dt=HOUR)
    assert (still.mu, still.sigma, still.jump_rate) == (0.0, 0.0, 0.0)


@pytest.mark.nojit
def test_normal_returns_show_no_jumps() -> None:
    """Nor does one wide return or another make a jump of a series: fewer than one in fifty has any."""
    found = 0
    for n, series in ((20, 60), (200, 40), (1_500, 12)):
        for seed in range(series):
            prices = np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.02, n)))
            fitted, like = Merton.from_prices(prices, dt=86_400.0), GBM.from_prices(prices, dt=86_400.0)
            if fitted.jump_rate == 0.0:
                assert fitted.sigma == pytest.approx(float(np.asarray(like.sigma)), rel=0.06)
            found += fitted.jump_rate != 0.0
    assert found <= 2


@pytest.mark.nojit
@pytest.mark.parametrize("jumps", [1, 5])
def test_a_few_jumps_among_normal_returns_are_found(jumps: int) -> None:
    returns = np.random.default_rng(1).normal(0, 0.02, 1_500)
    returns[np.arange(jumps) * 250 + 100] -= 0.2
    found = Merton.from_prices(np.exp(np.append(0.0, np.cumsum(returns))), dt=86_400.0)
    assert found.jump_rate == pytest.approx(jumps * 365 / 1_500, rel=0.02)
    assert found.jump_mean == pytest.approx(-0.2, abs=0.03)


@pytest.mark.nojit
@pytest.mark.parametrize("kind", [GBM, Merton])
@pytest.mark.parametrize(
    ("prices", "dt", "message"),
    [
        ([1.0, 2.0], 1.0, "prices must be a list of at least 3 numbers, not of shape (2,)"),
        ([[1.0, 2.0, 3.0]], 1.0, "prices must be a list of at least 3 numbers, not of shape (1, 3)"),
        ([1.0, 0.0, 2.0], 1.0, "prices must be finite and above 0, but prices[1] = 0.0"),
        ([1.0, 2.0, 3.0], 0.0, "dt must be in (0, 3153600000.0], but dt = 0.0"),
        ([1.0, 1e9, 1.0], 1e-3, "mu must be in [-100, 100], but mu = "),
    ],
)
def test_prices_that_cannot_be_fitted_are_refused(kind: Any, prices: Any, dt: float, message: str) -> None:
    with pytest.raises(MarketError, match=re.escape(message)):
        kind.from_prices(prices, dt=dt)


# --- intervals -------------------------------------------------------------------------------------------------------


def passage(log_health: float, sigma: float, years: float) -> float:
    """Give the probability that a price without drift falls so far, at any time."""
    at, nu, spread = -log_health, -0.5 * sigma * sigma, sigma * math.sqrt(years)
    cdf = NormalDist().cdf
    return cdf((at - nu * years) / spread) + math.exp(2.0 * nu * at / sigma**2) * cdf((at + nu * years) / spread)


@pytest.mark.parametrize(("sampling", "paths"), [(s, n) for s in ("antithetic", "sobol") for n in (256, 1024)])
def test_intervals_of_probabilities_hold_what_they_promise(sampling: str, paths: int) -> None:
    sigma, steps = 0.8, 4
    market = Market([Asset(2000.0, GBM(0.0, sigma))], FixedRate(0.0), dt=864_000, steps=steps, barrier=True)
    health = np.array([2.1712, 1.7311, 1.219, 1.0197])  # probabilities 0.005, 0.05, 0.5 and 0.95
    true = np.array([passage(math.log(h), sigma, market.years) for h in health])
    held = np.zeros(len(true))
    for seed in range(0, 20_000, 100):
        result = simulate_market(
            10.0, 16_600.0 / health, market=market, protocol=AAVE, paths=paths, seed=seed, sampling=sampling, threads=1
        )
        low, high = result.interval("liquidation_probability")
        assert (high > low).all()
        held += (low <= true) & (true <= high)
    assert (held >= 180).all(), held


@pytest.mark.parametrize("sampling", ["random", "antithetic", "sobol"])
@pytest.mark.parametrize("debt", [1.0, 16_700.0])
def test_what_was_never_or_always_seen_has_an_interval(sampling: str, debt: float) -> None:
    result = simulate_market(10.0, debt, market=MARKET, protocol=AAVE, paths=1024, sampling=sampling)
    low, high = result.interval("liquidation_probability")
    seen = 0.0 if debt == 1.0 else 1.0
    assert result.liquidation_probability == seen
    assert high - low == pytest.approx(3.8415 / (1024 + 3.8415), rel=1e-3)  # Wilson's, over all paths
    assert seen in (low, high)


def test_prices_that_are_held_are_warned_of() -> None:
    def ends(mu: float, sigma: float) -> Any:
        market = Market([Asset(2.0, GBM(mu, sigma))], FixedRate(0.0), dt=36.5 * 86_400, steps=100)
        return simulate_market(1.0, 0.0, market=market, protocol=AAVE, paths=4, keep="rows").rows["end_price"]

    with pytest.warns(UserWarning, match="4 of 4 runs end where the price of the first asset is held"):
        assert ends(40.0, 0.0) == pytest.approx(2.0 * math.exp(300.0))
    with pytest.warns(UserWarning, match="is held"):
        assert ends(-40.0, 0.0) == pytest.approx(2.0 * math.exp(-300.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ends(29.0, 0.1)
        ends(0.0, 20.0 / 3.0)
        table = Replay([1e-70, 1.0, 1e70])
        replayed = Market([Asset(2.0)], FixedRate(0.0), dt=HOUR, steps=2, joint=table)
        simulate_market(1.0, 0.0, market=replayed, protocol=AAVE)


# --- positions along recorded paths ----------------------------------------------------------------------------------


def lived(**given: Any) -> MarketResult:
    given = {"market": MARKET, "protocol": AAVE, "paths": 40, "keep": "rows", **given}
    return simulate_market(10.0, 13_000.0, record=[(0, path) for path in range(given["paths"] or 3)], **given)


POLICIES = {
    "nothing": Policy(),
    "deleverage": Policy(deleverage_health=1.12, deleverage_target=1.3, gas=5.0, fee_rate=5e-4, every=6),
    "boost": Policy(boost_health=1.6, boost_target=1.4, deleverage_health=1.1, deleverage_target=1.2, gas=1.0),
    "stop": Policy(stop_health=1.05, depth=Depth.constant_product(1e6)),
    "topup": Policy(topup_health=1.2, topup_target=1.3),
    "loop": Policy(loop=LendingStrategy(), loop_every=24, loop_target=1e5),
}


@pytest.mark.parametrize("name", POLICIES)
def test_a_recorded_position_ends_as_its_outputs_say(name: str) -> None:
    found = lived(policy=POLICIES[name], wallet=500.0)
    count = 0
    for record in found.record.values():
        position, out = record.position, record.outputs
        end = int(out["end_step"])
        count += len(record.events["step"])
        for what, output in (("equity", "end_equity"), ("debt", "end_debt"), ("wallet", "end_wallet")):
            assert position[what][end] == pytest.approx(out[output], rel=1e-12, abs=1e-7), what
        assert position["health"][end] == pytest.approx(out["health"], rel=1e-12)
        assert position["equity"][0] == pytest.approx(out["start_equity"])
        assert min(position["health"][: end + 1].min(), position["low_health"][1 : end + 1].min()) <= out[
            "lowest_health"
        ] * (1.0 + 1e-12)
    assert count > 0 or name == "nothing"


@pytest.mark.parametrize("sampling", ["random", "antithetic"])
def test_between_events_a_recorded_position_is_that_of_a_shorter_run(sampling: str) -> None:
    policy = POLICIES["deleverage"]
    found = lived(policy=policy, sampling=sampling)
    market = found.market
    for steps in (1, 100, 700):
        shorter = lived(policy=policy, sampling=sampling, market=dataclasses.replace(market, steps=steps))
        for place, record in found.record.items():
            assert record.position["equity"][steps] == pytest.approx(shorter.record[place].outputs["end_equity"])


def test_positions_of_several_assets_and_of_replays_are_known() -> None:
    market = Market(
        [Asset(2000.0, GBM(0.0, 0.8)), Asset(1.0, OU(0.0, 50.0, 0.5), oracle="index", supply_yield=0.03)],
        FixedRate(0.05), dt=HOUR, steps=500, barrier=True,
    )  # fmt: skip
    rules = Protocol.aave_v3([0.83, 0.9], [0.8, 0.85], [0.05, 0.02])
    found = simulate_market(
        [5.0, 8000.0], 14_500.0, market=market, protocol=rules, paths=20, record=[(0, path) for path in range(20)]
    )  # fmt: skip
    assert any(len(record.events["step"]) for record in found.record.values())
    for record in found.record.values():
        end = int(record.outputs["end_step"])
        assert record.position["equity"][end] == pytest.approx(record.outputs["end_equity"], rel=1e-12, abs=1e-7)
        assert record.position["collateral"].shape == (501, 2)
    past = Market([Asset(2000.0)], FixedRate(0.05), dt=86_400, steps=3, joint=Replay([9.0, 8.0, 7.0, 3.0, 4.0, 4.5]))
    for record in lived(market=past, paths=None).record.values():
        end = int(record.outputs["end_step"])
        assert record.position["equity"][end] == pytest.approx(record.outputs["end_equity"], rel=1e-12, abs=1e-7)


def test_positions_on_sobols_paths_are_refused() -> None:
    found = lived(paths=128, sampling="sobol")
    with pytest.raises(MarketError, match="position is not known of Sobol's paths: record paths of random sampling"):
        _ = found.record[0, 0].position


def test_returns_are_given_as_apr_and_apy() -> None:
    found = lived()
    apr = (found.rows["end_equity"].mean() / 7000.0 - 1.0) * 365.0 / 40.0
    assert found.mean_apr == pytest.approx(apr)
    assert found.mean_apy == pytest.approx((1.0 + apr / 8760.0) ** 8760.0 - 1.0)


# --- the same paths under other rules --------------------------------------------------------------------------------


def test_rules_are_compared_on_the_same_paths() -> None:
    old = lived(paths=400)
    new = lived(paths=400, protocol=Protocol.aave_v4(0.83, 0.805, 0.05, dust=1000))
    found = old.compare(0, 0, new)
    difference = old.rows["end_equity"] - new.rows["end_equity"]
    assert found.difference == pytest.approx(difference.mean())
    assert found.error == pytest.approx(difference.std(ddof=1) / 20.0)
    assert found.error < 0.2 * old.error("end_equity")  # what is shared cancels
    assert found.low < found.difference < found.high < 0.0  # less is taken under the new one
    other = new.compare(0, 0, old)
    assert (other.difference, other.error) == (-found.difference, found.error)


def test_results_over_other_paths_are_not_compared() -> None:
    one = lived()
    for other, what in (
        (lived(seed=1), "seed"),
        (lived(paths=38), "sampling"),
        (lived(market=dataclasses.replace(one.market, steps=2)), "market"),
    ):
        with pytest.raises(MarketError, match=f"^other must be over the same paths, but its {what} is another$"):
            one.compare(0, 0, other)
    with pytest.raises(MarketError, match="other must be a MarketResult, not 3"):
        one.compare(0, 0, 3)  # type: ignore[arg-type]
    with pytest.raises(MarketError, match="compare needs paths in common"):
        one.compare(0, 0, lived(common=False))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("price", "yielded"), [(1e4, math.inf), (1e-20, -1.0), (1.0 + 2.0**-30, None)])
def test_the_apy_of_any_return_is_exact_and_silent(price: float, yielded: float | None) -> None:
    market = Market([Asset(1.0)], FixedRate(0.0), joint=Replay([1.0, price]), dt=HOUR, steps=1)
    found = simulate_market(1.0, 0.0, market=market, protocol=AAVE)
    wanted = math.expm1(8760.0 * math.log1p(2.0**-30)) if yielded is None else yielded
    assert found.mean_apy == pytest.approx(wanted, rel=1e-13, abs=0)
