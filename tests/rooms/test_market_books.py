"""Positions in a market against what is known elsewhere: books in fractions, protocols' own numbers, another simulator."""

from __future__ import annotations

import csv
import gzip
from importlib import resources
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from escala import Asset, FixedRate, Market, MarketError, MarketStatus, Protocol, Replay, simulate_market
from tests.markets import Spec
from tests.naive.exact import BOOKED, Exact, ExactPosition, unbooked
from tests.naive.market import naive_path
from tests.properties import examples
from tests.strategies import market_scenarios


@pytest.mark.nojit
@given(market_scenarios(steps=40))
@examples(200)
def test_books_close_exactly_in_fractions(spec: Spec) -> None:
    assert unbooked(spec) == 0


@pytest.mark.nojit
def test_fractions_are_not_closed_where_a_book_is_left_out() -> None:
    asset = {"kind": "gbm", "mu": 0.0, "sigma": 0.8, "price": 2000.0}
    market = {"assets": [asset], "rate": {"rate": 0.1, "compounding": "taylor"}, "dt": 86400.0, "steps": 30}
    protocol = {"rule": "aave_v3", "liquidation_threshold": [0.8], "loan_to_value": [0.75], "bonus": [0.05]}
    policy = {
        "deleverage_health": 1.9, "deleverage_target": 2.0, "boost_health": 2.1, "boost_target": 2.0, "fee_rate": 0.001,
        "gas": 0.3, "depth": {"kind": "constant_product", "reserve": 1e6},
    }  # fmt: skip
    spec = {"seed": 1, "collateral": [10.0], "debt": 8000.0, "market": market, "protocol": protocol, "policy": policy}
    position = ExactPosition(spec, naive_path(spec))
    position.run()
    moved = [name for name in BOOKED if getattr(position, name) != 0]
    assert {"price_pnl", "interest", "fees", "gas", "slippage"} <= set(moved)
    assert isinstance(position.slippage, Exact)
    assert unbooked(spec) == 0


AAVE_ON_POLYGON = Protocol.aave_v3(0.825, 0.8, 0.05)


def fallen(price: float, *, growth: float = 0.0, back: bool = True) -> Any:
    """Ten units at 1000 against a debt of 7,500; the price falls at the third step, and comes back at the fourth."""
    prices = [1000.0, 1000.0, 1000.0, price, *([1000.0] if back else [])]
    asset = Asset(1000.0, supply_yield=growth and 1.0)
    market = Market(
        [asset], FixedRate(growth and 1.0, "linear"), dt=31536000.0 * growth or 60.0, steps=len(prices) - 1,
        joint=Replay(prices),
    )  # fmt: skip
    return simulate_market(10.0, 7500.0, market=market, protocol=AAVE_ON_POLYGON, keep="rows").rows


@pytest.mark.parametrize("growth", [0.0, 0.001], ids=["indexes that stand", "indexes that grow"])
def test_a_debt_above_its_collateral_takes_all_of_it(growth: float) -> None:
    rows = fallen(500.0, growth=growth)
    assert rows["status"][0] == MarketStatus.WIPED_OUT
    assert rows["bad_debt"][0] == pytest.approx((7500.0 - 5000.0 / 1.05) * (1.0 + growth) ** 3, rel=1e-12)
    assert (rows["end_step"][0], rows["end_debt"][0], rows["liquidations"][0]) == (3, 0.0, 1)


def test_a_low_health_factor_lets_all_debt_be_repaid() -> None:
    rows = fallen(800.0)
    assert rows["status"][0] == MarketStatus.DEBT_FREE
    assert (rows["repaid_by_liquidators"][0], rows["seized"][0]) == (7500.0, 7500.0 * 1.05)
    assert (rows["health"][0], rows["bad_debt"][0]) == (np.inf, 0.0)
    assert rows["end_equity"][0] == pytest.approx(1000.0 * (10.0 - 7500.0 * 1.05 / 800.0), rel=1e-14)


def test_a_health_factor_just_below_one_lets_half_be_repaid() -> None:
    rows = fallen(900.0)
    assert (rows["repaid_by_liquidators"][0], rows["liquidations"][0]) == (3750.0, 1)
    assert rows["health"][0] == pytest.approx(1.2375, rel=1e-14)
    assert fallen(900.0, back=False)["health"][0] == pytest.approx(1.2375 * 0.9, rel=1e-14)


def accounts() -> dict[str, Any]:
    with gzip.open(str(resources.files("escala.demo") / "data" / "aave_positions.csv.gz"), "rt") as lines:
        rows = list(csv.DictReader(lines))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def test_health_factors_are_those_that_the_protocol_reports() -> None:
    """Of 375 real accounts: what they hold is one asset of their own threshold; one of them holds nothing any more."""
    known = accounts()
    market = Market([Asset(1.0)], FixedRate(0.0), dt=1.0, steps=1, joint=Replay([1.0, 1.0]))
    [empty] = np.flatnonzero(known["supply"] == 0.0)
    with pytest.raises(MarketError, match="collateral must be above 0 where there is debt"):
        simulate_market(0.0, known["borrow"][empty], market=market, protocol=AAVE_ON_POLYGON)
    assert known["health_factor"][empty] == 0.0
    held = {name: np.delete(column, empty) for name, column in known.items()}
    protocol = Protocol.aave_v3(held["liquidation_threshold"], held["loan_to_value"], 0.0)
    rows = simulate_market(held["supply"], held["borrow"], market=market, protocol=protocol, keep="rows").rows
    assert len(held["supply"]) == 374
    assert np.abs(rows["lowest_health"][:, 0] / held["health_factor"] - 1.0).max() <= 2.0**-49
