"""Positions in a market on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escala import GBM, Asset, FixedRate, Market, Merton, Policy, Protocol, Replay, simulate_market
from escala.demo.prices import DAY, load_prices
from tests.command_line import escala

LOAN = ("--collateral", "10", "--debt", "12000")
DRAWN = (*LOAN, "--price", "2000", "--sigma", "0.8", "--days", "20", "--paths", "400")
AAVE = Protocol.aave_v33(0.83, 0.83, 0.05, dust=1000)


def market(*words: str) -> Any:
    done = escala("market", *words, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def drawn(process: Any = None, **changed: Any) -> Market:
    given = {"dt": 3600.0, "steps": 480, "barrier": True, **changed}
    return Market([Asset(2000.0, process or GBM(0.0, 0.8))], FixedRate(0.05), **given)


def plainly(result: Any) -> dict[str, Any]:
    """Give the statistics as JSON has them."""
    return {name: None if not np.isfinite(value) else float(value) for name, value in result.to_dict().items()}


def test_a_drawn_market_answers_what_python_does(tmp_path: Path) -> None:
    found = simulate_market(10.0, 12_000.0, market=drawn(), protocol=AAVE, paths=400)
    told = market(*DRAWN)
    assert (told["paths"], told["hours"], told["level"], told["over"]) == (400, 480.0, 0.95, {})
    assert {name: told[name] for name in found.to_dict()} == plainly(found)
    done = escala("market", *DRAWN, "--plot", str(tmp_path / "loan.svg"))
    assert done.stdout == f"{found.summary()}\npicture written to {tmp_path / 'loan.svg'}\n"
    assert (tmp_path / "loan.svg").read_text().startswith("<?xml")


def test_fields_of_rules_and_policies_are_set_by_name() -> None:
    words = ("--set.deleverage-health", "1.1", "--set.deleverage-target", "1.25", "--set.gas", "5", "--seed", "7",
             "--protocol", "aave_v4", "--set.target-health", "1.1", "--wallet", "300", "--rate", "0.1",
             "--loan-to-value", "0.8", "--step-hours", "2", "--mu", "0.2")  # fmt: skip
    found = simulate_market(
        10.0, 12_000.0, wallet=300.0, seed=7, paths=400,
        market=Market([Asset(2000.0, GBM(0.2, 0.8))], FixedRate(0.1), dt=7200.0, steps=240, barrier=True),
        protocol=Protocol.aave_v4(0.83, 0.8, 0.05, dust=1000.0, target_health=1.1),
        policy=Policy(deleverage_health=1.1, deleverage_target=1.25, gas=5.0),
    )  # fmt: skip
    told = market(*DRAWN, *words)
    assert {name: told[name] for name in found.to_dict()} == plainly(found)


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        (("--protocol", "comet", "--set.liquidation-factor", "0.93"), Protocol.comet(0.83, 0.83, 0.93)),
        (("--protocol", "morpho", "--liquidation-threshold", "0.86"), Protocol.morpho(0.86)),
        (("--protocol", "aave_v3", "--bonus", "0.1"), Protocol.aave_v3(0.83, 0.83, 0.1)),
    ],
)
def test_every_rule_can_be_asked_for(words: tuple[str, ...], rules: Protocol) -> None:
    found = simulate_market(10.0, 12_000.0, market=drawn(), protocol=rules, paths=400)
    assert market(*DRAWN, *words)["end_equity_mean"] == float(found.mean("end_equity"))


def test_jumps_are_given_or_fitted() -> None:
    given = drawn(Merton(0.0, 0.8, 30.0, -0.05, 0.1))
    found = simulate_market(10.0, 12_000.0, market=given, protocol=AAVE, paths=400)
    told = market(*DRAWN, "--jump-rate", "30", "--jump-mean", "-0.05", "--jump-sd", "0.1")
    assert told["end_equity_mean"] == float(found.mean("end_equity"))
    fitted = Merton.from_prices(load_prices().between("BTC").close["BTC"], dt=DAY)
    like = drawn(Merton(0.0, fitted.sigma, fitted.jump_rate, fitted.jump_mean, fitted.jump_sd))
    found = simulate_market(10.0, 12_000.0, market=like, protocol=AAVE, paths=400)
    told = market(*LOAN, "--price", "2000", "--days", "20", "--paths", "400", "--like", "BTC")
    assert told["end_equity_mean"] == float(found.mean("end_equity"))


def test_past_days_are_replayed(tmp_path: Path) -> None:
    past = load_prices().between("ETH", "2020-03-01", "2020-03-31")
    lows = Replay(past.close["ETH"], past.low["ETH"])
    one = Market([Asset(float(past.close["ETH"][0]))], FixedRate(0.05), dt=DAY, steps=30, joint=lows, barrier=True)
    found = simulate_market(10.0, 1300.0, market=one, protocol=AAVE)
    words = ("--collateral", "10", "--debt", "1300", "--replay", "2020-03-01..2020-03-31")
    done = escala("market", *words, "--plot", str(tmp_path / "march.png"))
    assert done.stdout.startswith(f"{found.summary()}\n")
    assert "1 liquidation, the first after 11.0 days" in done.stdout  # on the 12th
    assert (tmp_path / "march.png").stat().st_size > 10_000
    ten = Market([Asset(200.0)], FixedRate(0.05), dt=DAY, steps=10, joint=lows, barrier=True)
    found = simulate_market(10.0, 1300.0, market=ten, protocol=AAVE)
    told = market(*words, "--days", "10", "--price", "200")
    assert told["paths"] == 21
    assert told["liquidation_probability"] == float(found.liquidation_probability)
    assert "past windows share days: intervals and errors are too narrow" in found.summary()


def test_one_thing_is_varied_along_a_table(tmp_path: Path) -> None:
    debts = np.array([8000.0, 10_000.0, 12_000.0])
    found = simulate_market(10.0, debts, market=drawn(), protocol=AAVE, paths=400)
    words = (*DRAWN, "--over", "debt=8000,10000,12000")
    told = market(*words)
    assert told["over"] == {"debt": debts.tolist()}
    assert told["liquidation_probability"] == found.liquidation_probability.tolist()
    done = escala("market", *words, "--plot", str(tmp_path / "debts.svg"))
    assert done.stdout.startswith(found.summary())
    rows = done.stdout.splitlines()[-4:-1]
    assert [row.split()[:2] for row in rows] == [
        [f"{debt:.6g}", f"{share:.2%}"] for debt, share in zip(debts, found.liquidation_probability, strict=True)
    ]


def test_two_things_are_varied_on_the_same_paths(tmp_path: Path) -> None:
    words = (*DRAWN, "--over", "sigma=0.4..1.2", "deleverage-health=1.05,1.1", "--set.deleverage-target", "1.3")
    sigma = np.linspace(0.4, 1.2, 20)
    found = simulate_market(
        10.0, 12_000.0, market=drawn(GBM(0.0, sigma)), protocol=AAVE, paths=400,
        policy=Policy(deleverage_health=np.array([[1.05], [1.1]]), deleverage_target=1.3),
    )  # fmt: skip
    assert market(*words)["liquidation_probability"] == found.liquidation_probability.tolist()
    done = escala("market", *words, "--plot", str(tmp_path / "map.svg"))
    assert "40 parameter sets on 400 paths of 20.0 days" in done.stdout
    assert "deleverage health" in (tmp_path / "map.svg").read_text()


FILE = """
[design]
model = "market"
kind = "grid"
[design.ranges]
debt = [9000.0, 12000.0, 13000.0]
[market]
assets = { price = 2000, process = "gbm", mu = 0, sigma = 0.8 }
rate = { rate = 0.05 }
dt = 86400
steps = 20
barrier = true
[protocol]
rule = "aave_v3"
liquidation_threshold = 0.83
loan_to_value = 0.805
bonus = 0.05
[position]
collateral = 10
[paths]
paths = 200
[sweep]
outputs = ["liquidation_probability"]
"""


def test_a_file_is_swept_as_by_the_command_of_sweeps(tmp_path: Path) -> None:
    (tmp_path / "market.toml").write_text(FILE)
    done = escala("market", str(tmp_path / "market.toml"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == escala("sweep", str(tmp_path / "market.toml")).stdout
    told = market(str(tmp_path / "market.toml"))
    assert told["scenarios"] == 3
    (tmp_path / "lending.toml").write_text(
        '[design]\nkind = "random"\nn = 10\n[design.ranges]\nsupply = 1000.0\nborrow = 500.0\n'
        "target = [1100.0, 2000.0]\nwallet = 0.0\n"
    )
    done = escala("market", str(tmp_path / "lending.toml"))
    assert done.returncode == 2
    assert "lending.toml: [design] must say model = \"market\", not 'lending'; escala sweep takes any" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "market needs --collateral, --debt, --price, --days, --sigma (or --like ETH); or --replay"),
        (LOAN, 2, "market needs --price, --days, --sigma (or --like ETH)"),
        ((*DRAWN, "--replay", "2020-03-01..2020-03-31"), 2, "--replay brings its prices and a step a day: leave out --sigma, --paths"),
        ((*DRAWN, "--asset", "BTC"), 2, "--asset says whose prices --replay takes"),
        ((*DRAWN, "--like", "BTC"), 2, "--like brings volatility and jumps: leave out --sigma"),
        ((*DRAWN, "--jump-rate", "3"), 2, "--jump-rate, --jump-mean and --jump-sd go together"),
        ((*DRAWN, "--step-hours", "7"), 2, "--days must be a whole number of steps of --step-hours, 1 or more"),
        ((*DRAWN, "--step-hours", "0"), 2, "--days must be a whole number of steps of --step-hours, 1 or more"),
        ((*DRAWN, "--set.delverage-health", "1"), 2, "--set.delverage-health: no such field; did you mean 'deleverage_health'?"),
        ((*DRAWN, "--set.target-health", "1.1"), 2, "--set.target-health: no such field of aave_v33"),
        ((*DRAWN, "--set.deleverage-health", "1.1"), 1, "--set.deleverage-health: deleverage_health needs deleverage_target"),
        ((*DRAWN, "--set.liquidator-gas", "1", "--set.liquidator_gas", "2"), 2, "--set.liquidator_gas is given twice"),
        ((*DRAWN, "--set.gas", "-1"), 1, "--set.gas: gas must be 0 or in [1e-30, 1e+30], but gas = -1.0"),
        ((*DRAWN, "--rate", "20"), 1, "--rate: rate must be in [-0.99, 10]"),
        ((*DRAWN, "--liquidation-threshold", "2"), 1, "--liquidation-threshold: liquidation_threshold must be in (0, 1]"),
        ((*DRAWN, "--protocol", "comet"), 2, "comet needs --set.liquidation-factor"),
        ((*DRAWN, "--protocol", "morpho", "--bonus", "0.1"), 2, "--bonus: morpho has none of its own to choose"),
        ((*DRAWN, "--over", "debt"), 2, "--over: written as debt=6000..15000 or debt=6000,9000, not debt"),
        ((*DRAWN, "--over", "dept=1..2"), 2, "--over: cannot vary dept; did you mean 'debt'?"),
        ((*DRAWN, "--over", "debt=1..2", "debt=1..2"), 2, "--over: cannot vary debt twice\n"),
        ((*DRAWN, "--over", "debt=1..x"), 2, "--over debt: written as LOW..HIGH or as numbers with commas, not '1..x'"),
        ((*DRAWN, "--over", "sigma=1..30"), 1, "--over sigma: sigma must be in [0, 20], but sigma["),
        ((*DRAWN, "--over", "debt=1,2", "mu=0,1", "rate=0,1"), 2, "--over takes one or two things, not 3"),
        ((*LOAN, "--days", "20", "--price", "9", "--like", "ETH", "--over", "sigma=1,2"), 2, "--over sigma: --replay and --like bring volatility"),
        ((*LOAN, "--replay", "2020-03-01..2020-03-31", "--over", "price=1,2"), 2, "--over price: vary the debt in a replay"),
        ((*LOAN, "--replay", "2020-03"), 2, "--replay is written as 2020-03-01..2020-03-31, not '2020-03'"),
        ((*LOAN, "--replay", "2020-03-01..2030-03-31"), 2, "--replay 2020-03-01..2030-03-31: last must be a day from"),
        ((*LOAN, "--replay", "2020-03-01..2020-03-31", "--days", "31"), 2, "--days must be a whole number from 1 to 30, the days that --replay has"),
        ((*LOAN, "--replay", "2020-03-01..2020-03-31", "--days", "7"), 2, "--replay has 24 windows of 7 days: --price says what all of them begin with"),
        (("some.toml", *LOAN), 2, "FILE brings market, position and protocol: leave out --collateral, --debt"),
        ((*DRAWN, "--out", "rows"), 2, "--out goes with FILE"),
        ((*DRAWN, "--plot", "loan.doc"), 1, "loan.doc"),
    ],
)  # fmt: skip
def test_wrong_usage_names_the_option(words: tuple[str, ...], code: int, message: str) -> None:
    done = escala("market", *words)
    assert done.returncode == code
    assert re.search(re.escape(message), done.stderr), done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
