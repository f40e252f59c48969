"""What positions in a market refuse, each with the field, the index, the value and what is allowed."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from escala import (
    GBM,
    OU,
    Asset,
    Bootstrap,
    Depth,
    FixedRate,
    Heston,
    KinkedRate,
    LendingStrategy,
    Market,
    MarketError,
    Merton,
    Policy,
    Protocol,
    Replay,
    fit,
    simulate_market,
    tables,
)

ETH = Asset(2000.0, GBM(0.0, 0.8))
AAVE = Protocol.aave_v3(0.8, 0.75, 0.05)


def hourly(*assets: Any, rate: Any = None, dt: float = 3600, steps: int = 10, **fields: Any) -> Market:
    return Market(assets or [ETH], FixedRate(0.05) if rate is None else rate, dt=dt, steps=steps, **fields)


def untyped(value: Any) -> Any:
    """Give what a type checker would refuse."""
    return value


def run(collateral: Any = 10.0, debt: Any = 1000.0, **fields: Any) -> Any:
    return simulate_market(collateral, debt, **{"market": hourly(), "protocol": AAVE, "paths": 4, **fields})


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: GBM(0, [0.5, 21]), "sigma must be in [0, 20], but sigma[1] = 21.0"),
    (lambda: GBM(-101, 0.5), "mu must be in [-100, 100], but mu = -101.0"),
    (lambda: OU(0, 0, 0.1), "reversion must be in (0, 1000000.0], but reversion = 0.0"),
    (lambda: OU(6, 1, 0.1), "mean must be in [-5, 5], but mean = 6.0"),
    (lambda: OU(0, 1, 0.1, start=6), "start must be in [-5, 5], but start = 6.0"),
    (lambda: Merton(0, 0.5, -1, 0, 0), "jump_rate must be in [0, inf), but jump_rate = -1.0"),
    (lambda: Merton(0, 0.5, 1, 6, 0), "jump_mean must be in [-5, 5], but jump_mean = 6.0"),
    (lambda: Merton(0, 0.5, 1, 0, 3), "jump_sd must be in [0, 2], but jump_sd = 3.0"),
    (lambda: Heston(0, 0.5, 1, 0.5, 0.5, 1.5), "rho must be in [-1, 1], but rho = 1.5"),
    (
        lambda: hourly(Asset(1.0, Merton(0, 0.5, 9000, 0, 0.1))),
        "jump_rate must be in [0, 8760], a jump a step at most, but jump_rate = 9000.0",
    ),
    (lambda: hourly(rate=FixedRate(11.0)), "rate must be in [-0.99, 10], but rate = 11.0"),
    (
        lambda: Market([ETH], FixedRate(9.0), dt=31536000, steps=6),
        "rate must be in [-8.33333, 8.33333], but rate = 9.0",
    ),
    (lambda: KinkedRate(0, 0, 0, 1.0, 0.5), "optimal must be in [0.01, 0.99], but optimal = 1.0"),
    (lambda: KinkedRate(0, 0, 0, 0.9, 1.5), "usage must be in [0, 1], but usage = 1.5"),
    (
        lambda: KinkedRate(0, 0, 0, 0.9, 0.5, usage_reversion=3.0),
        "usage_reversion makes the usage move: it needs usage_mean",
    ),
    (
        lambda: FixedRate(0.1, "daily"),
        "compounding must be one of continuous, taylor, binomial, linear, not 'daily'",
    ),
    (lambda: hourly(*[ETH] * 9), "assets must be 1 to 8, not 9"),
    (
        lambda: Market(untyped(None), FixedRate(0.05), dt=1, steps=1),
        "assets must be an Asset or a sequence of them, not",
    ),
    (
        lambda: Market(untyped("eth"), FixedRate(0.05), dt=1, steps=1),
        "assets must be an Asset or a sequence of them, not",
    ),
    (lambda: hourly("eth"), "assets must be of type Asset, but assets[0] = 'eth'"),
    (lambda: hourly(rate=0.05), "rate must be a FixedRate or a KinkedRate, not 0.05"),
    (lambda: hourly(dt=0), "dt must be in (0, 3153600000.0], but dt = 0.0"),
    (lambda: hourly(steps=0), "steps must be an integer in [1, 4194304], not 0"),
    (lambda: hourly(steps=2**22 + 1), "steps must be an integer in [1, 4194304], not 4194305"),
    (lambda: hourly(dt=31536000, steps=101), "steps·dt must be at most 100 years, but it is 101"),
    (lambda: hourly(Asset(1.0)), "assets[0] must have a process, or the market a joint one"),
    (
        lambda: hourly(ETH, ETH, correlation=[[1, 1], [1, 1]]),
        "correlation must be positive definite, but row 1 leaves 0 of its variance",
    ),
    (
        lambda: hourly(ETH, ETH, correlation=[[1, 0.5], [0.4, 1]]),
        "correlation must be symmetric, but [0, 1] = 0.5 and [1, 0] = 0.4",
    ),
    (
        lambda: hourly(ETH, ETH, correlation=[[1, 2], [2, 1]]),
        "correlation must be in [-1, 1], but correlation[0, 1] = 2.0",
    ),
    (
        lambda: hourly(ETH, ETH, correlation=[[2, 0.5], [0.5, 1]]),
        "correlation must have ones on its diagonal, but correlation[0, 0] = 2.0",
    ),
    (lambda: hourly(ETH, ETH, correlation=[1, 1]), "correlation of shape (2,) must have the shape (2, 2)"),
    *[
        (functools.partial(hourly, barrier=value), f"barrier must be True or False, not {value!r}")
        for value in ("no", "False", 1, 0.0, None)
    ],
    (lambda: hourly(joint=3), "joint must be a Bootstrap or a Replay, not 3"),
    (lambda: hourly(ETH, ETH, joint=Replay([1.0, 2.0])), "joint has 1 columns, and there are 2 assets"),
    (lambda: Asset(0.0), "price must be in [1e-30, 1e+30], but price = 0.0"),
    (lambda: Asset(1.0, GBM(0, 1), oracle="spot"), "oracle must be one of market, index, not 'spot'"),
    (lambda: Asset(1.0, untyped("gbm")), "process must be a GBM, Merton, OU or Heston, not 'gbm'"),
    (lambda: Bootstrap([[6.0]], mean_block=3), "returns must be in [-5, 5], but returns[0, 0] = 6.0"),
    (lambda: Bootstrap(np.zeros((1, 1, 1)), block=1), "returns must have a row a step and a column an asset, not the"),
    (lambda: Bootstrap([0.1]), "one of mean_block and block must be given, but none is"),
    (lambda: Bootstrap([0.1], 2, 1), "one of mean_block and block must be given, but both are"),
    (lambda: Bootstrap([0.1], mean_block=0.5), "mean_block must be a number of at least 1, not 0.5"),
    (lambda: Bootstrap([0.1], block=untyped(2.5)), "block must be an integer of at least 1, not 2.5"),
    (lambda: Replay([1.0, 0.0]), "prices must be finite and above 0, but prices[1, 0] = 0.0"),
    (lambda: Replay([1.0, 2.0], [1.0, 3.0]), "low must be above 0 and at most prices, but low[1, 0] = 3.0"),
    (lambda: Replay([1.0, 2.0], [1.0]), "low of shape (1, 1) must have the shape of prices, (2, 1)"),
    (
        lambda: Replay([1.0, 2.0], starts=[2]),
        "starts must be rows of prices, of which there are 2, but starts[0] = 2.0",
    ),
    (lambda: Replay([1.0, 2.0], starts=[]), "starts must be a list of rows, not of shape (0,)"),
    (
        lambda: run(market=hourly(joint=Replay([1.0, 2.0]), steps=2), paths=None),
        "prices has 2 rows, and 2 steps need 3",
    ),
    (
        lambda: run(market=hourly(joint=Replay([1.0, 2.0, 3.0], starts=[0, 1]), steps=2)),
        "starts must leave room for 2 steps, at most 0, but starts[1] = 1",
    ),
    (
        lambda: Protocol.aave_v3(0.8, 0.85, 0.05),
        "loan_to_value must not exceed liquidation_threshold, but loan_to_value = 0.85 and liquidation_threshold = 0.8",
    ),
    (lambda: Protocol.aave_v3(0.8, 0.75, 1.5), "bonus must be in [0, 1], but bonus = 1.5"),
    (lambda: Protocol.aave_v3(0.8, 0.75, 0.05, overshoot=0.1), "overshoot must be in [0, 0.05], but overshoot = 0.1"),
    (
        lambda: Protocol.aave_v4(0.8, 0.75, 0.05, dust=1.0, health_for_max_bonus=1.0),
        "health_for_max_bonus must be in [0, 1), but health_for_max_bonus = 1.0",
    ),
    (lambda: Protocol.comet(0.8, 0.75, 1.1), "liquidation_factor must be in [0, 1], but liquidation_factor = 1.1"),
    (
        lambda: Protocol(rule="aave", liquidation_threshold=0.8, loan_to_value=0.7),
        "rule must be one of aave_v3, aave_v33, aave_v4, comet, morpho, not 'aave'; did you mean 'aave_v3' or 'aave_v33'?",
    ),
    (lambda: Policy(deleverage_health=1.2), "deleverage_health needs deleverage_target"),
    (lambda: Policy(deleverage_target=1.2), "deleverage_target needs deleverage_health"),
    (
        lambda: Policy(deleverage_health=1.3, deleverage_target=1.2),
        "deleverage_health must not exceed deleverage_target, but deleverage_health = 1.3 and deleverage_target = 1.2",
    ),
    (
        lambda: Policy(deleverage_health=1.2, deleverage_target=1.5, boost_health=1.4, boost_target=1.3),
        "deleverage_target must be below boost_health, but deleverage_target = 1.5 and boost_health = 1.4",
    ),
    (
        lambda: Policy(deleverage_health=[1.2, 1.4], deleverage_target=1.45, boost_health=1.5, boost_target=1.4),
        "deleverage_health must be below boost_target, but deleverage_health[1] = 1.4 and boost_target[1] = 1.4",
    ),
    (
        lambda: Policy(boost_health=1.4, boost_target=1.5),
        "boost_target must not exceed boost_health, but boost_target = 1.5 and boost_health = 1.4",
    ),
    (
        lambda: Policy(topup_health=1.5, topup_target=1.4),
        "topup_health must not exceed topup_target, but topup_health = 1.5 and topup_target = 1.4",
    ),
    (lambda: Policy(gas=[1.0, 2.0], fee_rate=[0.0, 0.0, 0.0]), "do not broadcast"),
    (lambda: Policy(fee_rate=1.0), "fee_rate must be in [0, 1), but fee_rate = 1.0"),
    (lambda: Policy(every=0), "every must be an integer in [1, 4194304], but every = 0.0"),
    (lambda: Policy(loop_every=1), "loop_every needs loop and loop_target"),
    (lambda: Policy(loop=LendingStrategy()), "loop needs loop_every"),
    (lambda: Policy(loop=untyped(3)), "loop must be a LendingStrategy, not 3"),
    (lambda: Depth.flat(1.5), "cost must be in [0, 1], but cost = 1.5"),
    (lambda: Depth.constant_product(0.0), "reserve must be in [1e-30, 1e+30], but reserve = 0.0"),
    (lambda: Depth.curve(untyped(3)), "curves must be a CurveSet, not 3"),
    (lambda: Depth.curve(fit(["A"], [1.0], [0.5])), "curves must all be there, but 'A' has none: TOO_FEW_POINTS"),
    (lambda: Policy(depth=untyped(0.1)), "depth must be a Depth, not 0.1"),
    (lambda: run(-1.0), "collateral must be 0 or in [1e-30, 1e+30], but collateral = -1.0"),
    (lambda: run([10.0, 1e31]), "collateral must be 0 or in [1e-30, 1e+30], but collateral[1] = 1e+31"),
    (lambda: run(0.0, [0.0, 5.0]), "collateral must be above 0 where there is debt, but debt[1] = 5.0 has none"),
    (lambda: run(wallet=np.nan), "wallet must be 0 or in [1e-30, 1e+30], but wallet = nan"),
    (lambda: run("a"), "collateral must be real numbers, not 'a'"),
    (lambda: run([1.0, 2.0, 3.0], [1.0, 2.0]), "debt of shape (2,) and collateral of shape (3,) do not broadcast"),
    (
        lambda: run([1.0, 2.0, 3.0], market=hourly(ETH, ETH)),
        "collateral of shape (3,) must have a last axis of 2, one for each asset",
    ),
    (lambda: run([1.0, 2.0], market=hourly(ETH, ETH), protocol=Protocol.morpho(0.8)), "morpho has one asset, not 2"),
    (
        lambda: run(
            [1.0, 2.0], market=hourly(ETH, ETH), policy=Policy(loop=LendingStrategy(), loop_every=1, loop_target=9.0)
        ),
        "loop is for one asset, not 2",
    ),
    (lambda: run(paths=None), "paths must be given but for a Replay"),
    (lambda: run(paths=0), "paths must be an integer in [1, 2147483648], not 0"),
    (lambda: run(paths=2**31 + 1), "paths must be an integer in [1, 2147483648], not 2147483649"),
    (lambda: run(paths=3, sampling="antithetic"), "paths must be even for antithetic sampling, not 3"),
    (
        lambda: run(paths=17, sampling="sobol"),
        "paths must be 16 replicates of a power of two for Sobol sampling, not 17",
    ),
    (lambda: run(paths=16, sampling="sobol", replicates=4), "replicates must be an integer of at least 8, not 4"),
    (
        lambda: run(paths=2, sampling="antithetic", market=hourly(joint=Bootstrap([0.1], block=1))),
        "sampling must be 'random' where all assets move together, not 'antithetic'",
    ),
    (lambda: run(sampling="lhs"), "sampling must be one of random, antithetic, sobol, not 'lhs'"),
    (lambda: run(replicates=untyped("x")), "replicates must be an integer of at least 8, not 'x'"),
    (lambda: run(replicates=0, sampling="antithetic"), "replicates must be an integer of at least 8, not 0"),
    (
        lambda: run(replicates=0, market=hourly(joint=Replay([1.0, 2.0])), paths=None),
        "replicates must be an integer of at least 8, not 0",
    ),
    (
        lambda: run(market=hourly(joint=Replay([1.0, 2.0]), steps=1), paths=7),
        "paths must be at most 1, not 7: there are prices for 1 window of 1 steps",
    ),
    (
        lambda: run(market=hourly(joint=Replay([1.0, 2.0]), steps=1), paths=0),
        "paths must be an integer of at least 1, not 0",
    ),
    (lambda: run(common=untyped("no")), "common must be True or False, not 'no'"),
    (lambda: run(common=untyped(None)), "common must be True or False, not None"),
    (lambda: run(keep=untyped(None)), "keep must be 'summary' or 'rows', not None"),
    (lambda: run(quantiles=()), "quantiles must be one number or more, not none"),
    (lambda: run(quantiles=untyped(None)), "quantiles must be real numbers, not None"),
    (lambda: run(record=untyped(None)), "record must be a sequence of pairs of a parameter set and a path, not None"),
    (lambda: run(record=untyped(3)), "record must be a sequence of pairs of a parameter set and a path, not 3"),
    (lambda: run(level=1.0), "level must be in (0, 1), but level = 1.0"),
    (lambda: run(quantiles=[0.5, 1.0]), "quantiles must be in (0, 1), but quantiles[1] = 1.0"),
    (lambda: run(keep="all"), "keep must be 'summary' or 'rows', not 'all'"),
    (lambda: run(record=[(1, 0)]), "record[0][0] must be an integer in [0, 0], not 1"),
    (lambda: run(record=[(0, 4)]), "record[0][1] must be an integer in [0, 3], not 4"),
    (lambda: run(record=[3]), "record must be pairs of a parameter set and a path, not 3"),
    (lambda: run(seed=-1), "seed must be an integer in [0, 18446744073709551615], not -1"),
    (lambda: run(market=3), "market must be a Market, not 3"),
    (lambda: run(protocol=3), "protocol must be a Protocol, not 3"),
    (lambda: run(policy=3), "policy must be a Policy, not 3"),
    (lambda: run(threads=0), "threads must be an integer of at least 1, not 0"),
    (lambda: run().rows, "rows were not kept: simulate with keep='rows'"),
    (lambda: run().mean("profit"), "return, equity_in_asset, not 'profit'"),
    (
        lambda: run().quantiles("fees"),
        "name must be one of end_equity, return, lowest_health, first_liquidation, not 'fees'",
    ),
    (lambda: run().interval("ruin"), "name must be one of liquidation_probability, ruin_probability, not 'ruin'"),
    (lambda: run().compare(0, 1), "j must be an integer in [0, 0], not 1"),
    (lambda: run(common=False).compare(0, 0), "compare needs paths in common: simulate with common=True"),
    (lambda: GBM(0, np.nan), "sigma must be in [0, 20], but sigma = nan"),
    (lambda: OU(0, 1, 21), "sigma must be in [0, 20], but sigma = 21.0"),
    (lambda: Merton(0, 0.5, 1, 0, -1), "jump_sd must be in [0, 2], but jump_sd = -1.0"),
    (lambda: Heston(0, -1, 1, 0.5, 0.5, 0), "variance must be in [0, 400], but variance = -1.0"),
    (lambda: Heston(0, 1, 0, 0.5, 0.5, 0), "reversion must be in (0, 1000000.0], but reversion = 0.0"),
    (lambda: Heston(0, 1, 1, -1, 0.5, 0), "long_variance must be in [0, 400], but long_variance = -1.0"),
    (lambda: Heston(0, 1, 1, 0.5, -1, 0), "vol_of_vol must be in [0, 20], but vol_of_vol = -1.0"),
    (lambda: Asset(1.0, GBM(0, 1), 11.0), "supply_yield must be in [-0.99, 10], but supply_yield = 11.0"),
    (lambda: Asset(1.0, GBM(0, 1), [0.1, -1.0]), "supply_yield must be in [-0.99, 10], but supply_yield[1] = -1.0"),
    (
        lambda: Market([Asset(1.0, GBM(0, 1), 9.0)], FixedRate(0.0), dt=31536000, steps=6),
        "supply_yield must be in [-8.33333, 8.33333], but supply_yield = 9.0",
    ),
    (lambda: KinkedRate(11, 0, 0, 0.8, 0.5), "base must be in [-0.99, 10], but base = 11.0"),
    (lambda: KinkedRate(0, 11, 0, 0.8, 0.5), "slope1 must be in [-0.99, 10], but slope1 = 11.0"),
    (lambda: KinkedRate(0, 0, 11, 0.8, 0.5), "slope2 must be in [-0.99, 10], but slope2 = 11.0"),
    (
        lambda: Market([ETH], KinkedRate(0.0, 5.0, 9.0, 0.8, 0.5), dt=31536000, steps=6),
        "slope2 must be in [-8.33333, 8.33333], but slope2 = 9.0",
    ),
    (lambda: KinkedRate(0, 0, 0, 0.8, 0.5, 2.0, 1.0, 0.1), "usage_mean must be in [0, 1], but usage_mean = 2.0"),
    (
        lambda: KinkedRate(0, 0, 0, 0.8, 0.5, 0.5, 0.0, 0.1),
        "usage_reversion must be in (0, 1000000.0], but usage_reversion = 0.0",
    ),
    (lambda: KinkedRate(0, 0, 0, 0.8, 0.5, 0.5, 1.0, -0.1), "usage_sigma must be in [0, 20], but usage_sigma = -0.1"),
    (lambda: Asset(1e31, GBM(0, 1)), "price must be in [1e-30, 1e+30], but price = 1e+31"),
    (lambda: Bootstrap([np.nan], block=1), "returns must be in [-5, 5], but returns[0, 0] = nan"),
    (lambda: Replay([1.0, 2.0], [0.0, 1.0]), "low must be above 0 and at most prices, but low[0, 0] = 0.0"),
    (
        lambda: Protocol.aave_v3(0.0, 0.5, 0.05),
        "liquidation_threshold must be in (0, 1], but liquidation_threshold = 0.0",
    ),
    (lambda: Protocol.morpho(1.2), "liquidation_threshold must be in (0, 1], but liquidation_threshold = 1.2"),
    (lambda: Protocol.aave_v3(0.8, 0.0, 0.05), "loan_to_value must be in (0, 1], but loan_to_value = 0.0"),
    (
        lambda: Protocol.aave_v3(0.8, 0.75, 0.05, overshoot=-0.01),
        "overshoot must be in [0, 0.05], but overshoot = -0.01",
    ),
    (
        lambda: Protocol.aave_v4(0.8, 0.7, 0.05, dust=1.0, bonus_factor=1.1),
        "bonus_factor must be in [0, 1], but bonus_factor = 1.1",
    ),
    (
        lambda: Protocol.aave_v4(0.8, 0.7, 0.05, dust=1.0, target_health=0.9),
        "target_health must be in [1, 1000000.0], but target_health = 0.9",
    ),
    (lambda: Protocol.aave_v33(0.8, 0.7, 0.05, dust=-1.0), "dust must be 0 or in [1e-30, 1e+30], but dust = -1.0"),
    (
        lambda: Protocol.aave_v3(0.8, 0.7, 0.05, liquidator_gas=-1.0),
        "liquidator_gas must be 0 or in [1e-30, 1e+30], but liquidator_gas = -1.0",
    ),
    (lambda: Policy(gas=-1.0), "gas must be 0 or in [1e-30, 1e+30], but gas = -1.0"),
    (lambda: Policy(stop_health=-1.0), "stop_health must be in [0, inf], but stop_health = -1.0"),
    (lambda: Policy(topup_health=1.0), "topup_health needs topup_target"),
    (lambda: Policy(boost_health=2.0), "boost_health needs boost_target"),
    (
        lambda: Policy(loop=LendingStrategy(), loop_every=0.5, loop_target=9.0),
        "loop_every must be an integer in [0, 4194304], but loop_every = 0.5",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_bad_input_is_refused_with_its_place_and_value(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(MarketError) as refused:
        call()
    assert message in str(refused.value)
    assert refused.value.arguments


def test_a_bonus_that_no_liquidation_heals_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="liquidation cannot heal"):
        Protocol.aave_v3(0.96, 0.9, 0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Protocol.comet(0.96, 0.9, 0.95)


def test_starting_below_a_health_factor_of_one_is_legal() -> None:
    result = run(10.0, 17_000.0, keep="rows")
    assert (result.rows["first_liquidation"] == 1).all()


WRITTEN = [
    (GBM, tables.GBM_FIELDS),
    (Merton, tables.MERTON_FIELDS),
    (OU, tables.OU_FIELDS),
    (Heston, tables.HESTON_FIELDS),
    (FixedRate, tables.FIXED_RATE_FIELDS),
    (KinkedRate, tables.KINKED_RATE_FIELDS),
    (Asset, tables.MARKET_ASSET),
    (Protocol, (*tables.PROTOCOL_ASSET, *tables.PROTOCOL_FIELDS)),
    (Policy, tables.POLICY_FIELDS),
]


@pytest.mark.parametrize(("made", "rows"), WRITTEN, ids=[made.__name__ for made, _ in WRITTEN])
def test_what_is_written_out_has_the_fields_of_its_table(made: Any, rows: tables.Table) -> None:
    fields = {field.name: field.default for field in dataclasses.fields(made)}
    names = tables.names(rows)
    assert [name for name in fields if name in names] == list(names)
    for row in rows:
        if row.default is not None and row.name != "dust":
            assert fields[row.name] == row.default, row.name
        assert row.doc in made.__doc__


def test_arrays_are_kept_as_they_were_checked() -> None:
    sigma = np.array([0.5, 0.6])
    kept = untyped(GBM(0.0, sigma).sigma)
    sigma[0] = 99.0
    assert kept[0] == 0.5
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 1.0


def test_depths_say_what_they_are() -> None:
    assert repr(Depth.constant_product(1e6)) == "<Depth: constant_product, a = 1e+06>"
    curves = fit(["A"] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.9, 0.8, 0.72, 0.6, 0.5, 0.41], family="linear")
    assert repr(Depth.curve(curves)).startswith("<Depth: linear, a = -0.09")
    assert repr(Depth.flat([0.1, 0.2])).startswith("<Depth: flat")
