"""Net yields against cases worked by hand, and rates against their inverse."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import ScenarioError, apr_to_apy, apy_to_apr, looped_apy, net_apy, plan_leverage, tables

pytestmark = [pytest.mark.nojit, pytest.mark.kernel]


def test_a_position_of_public_record_loses_a_quarter_a_year() -> None:
    year = net_apy(2187.32, 2073, supply_apy=0.0118, borrow_apy=0.0265)
    assert float(year.net_worth) == pytest.approx(114.32)
    assert float(year.net_apy) == pytest.approx(-0.2548, abs=5e-5)
    assert year.sign == -1.0
    assert "loses: -25.48% a year on a net worth of 114.32" in year.summary()


def test_every_number_by_hand() -> None:
    year = net_apy(
        100, 60, supply_apy=0.02, borrow_apy=0.05, collateral_yield=0.03, supply_rewards=0.01, borrow_rewards=0.005
    )
    own = Fraction(102, 100) * Fraction(103, 100) - 1
    earned = 100 * (own + Fraction(1, 100)) + 60 * Fraction(5, 1000)
    expected: dict[str, Any] = {
        "supply": 100, "borrow": 60, "net_worth": 40, "leverage": Fraction(5, 2), "earned": earned, "owed": 3,
        "net_apy": (earned - 3) / 40, "unlevered_apy": own + Fraction(1, 100),
        "break_even_borrow_apy": earned / 60,
        "paying_borrow_apy": own + Fraction(15, 1000), "sign": 1,
    }  # fmt: skip
    assert year.one() == pytest.approx({name: float(value) for name, value in expected.items()}, rel=1e-14)


@given(st.floats(0.0, 0.95), st.floats(-0.5, 0.5), st.floats(-0.1, 0.5))
def test_at_the_break_even_nothing_is_left_and_at_the_paying_rate_leverage_changes_nothing(
    ltv: float, supply_apy: float, rewards: float
) -> None:
    borrow = 1000 * ltv if ltv > 1e-6 else 0.0
    common: dict[str, Any] = {"supply_apy": supply_apy, "supply_rewards": rewards}
    year = net_apy(1000, borrow, borrow_apy=0.01, **common)
    if borrow and -0.99 < float(year.break_even_borrow_apy) < 100:
        even = net_apy(1000, borrow, borrow_apy=float(year.break_even_borrow_apy), **common)
        assert float(even.net_apy) == pytest.approx(0, abs=1e-11)
    if -0.99 < float(year.paying_borrow_apy) < 100:
        same = net_apy(1000, borrow, borrow_apy=float(year.paying_borrow_apy), **common)
        assert float(same.net_apy) == pytest.approx(float(same.unlevered_apy), rel=1e-9, abs=1e-11)


def test_without_debt_there_is_no_break_even() -> None:
    year = net_apy(100, 0, supply_apy=0.03, borrow_apy=0.02)
    assert year.break_even_borrow_apy == math.inf
    assert float(year.net_apy) == pytest.approx(0.03)
    assert "nothing is left where" not in year.summary()


def test_the_yield_of_each_loop_is_that_of_a_plan_of_as_many_rounds() -> None:
    loops = looped_apy(6, loop_ltv=0.75, supply_apy=0.03, borrow_apy=0.02, collateral_yield=0.01)
    plan = plan_leverage(1, rounds=np.arange(7), max_ltv=0.75, liquidation_threshold=0.8, min_health_factor=1)
    of_plans = net_apy(plan.final_supply, plan.final_borrow, supply_apy=0.03, borrow_apy=0.02, collateral_yield=0.01)
    assert loops.net_apy.tolist() == pytest.approx(of_plans.net_apy.tolist(), rel=1e-12)
    assert float(loops.net_apy[0]) == pytest.approx(1.03 * 1.01 - 1)
    assert looped_apy(2, loop_ltv=[0.5, 0.7], supply_apy=0.03, borrow_apy=0.02).shape == (3, 2)


@given(st.floats(-0.9, 4.0), st.sampled_from([math.inf, 1, 4, 12, 365, 31_536_000]))
def test_rates_come_back(rate: float, periods: float) -> None:
    assert float(apy_to_apr(apr_to_apy(rate, periods=periods), periods=periods)) == pytest.approx(rate, rel=1e-9)


def test_small_rates_keep_all_digits() -> None:
    assert float(apr_to_apy(1e-12)) == pytest.approx(1e-12, rel=1e-11)
    assert float(apy_to_apr(1e-12)) == pytest.approx(1e-12, rel=1e-11)
    assert float(apr_to_apy(0.05, periods=1)) == 0.05
    exact = (1 + Fraction(12, 100) / 12) ** 12 - 1
    assert float(apr_to_apy(0.12, periods=12)) == pytest.approx(float(exact), rel=1e-15)
    assert float(apr_to_apy(0.05)) == math.expm1(0.05)
    assert float(apy_to_apr(0.05)) == math.log1p(0.05)


def test_results_are_tables() -> None:
    year = net_apy([100, 200, 100], [60, 50, 0], supply_apy=0.03, borrow_apy=[0.01, 0.2, 0.0])
    assert list(year.to_dict()) == ["supply", "borrow", *tables.names(tables.NET_APY_OUTPUTS)]
    assert len(year.to_dataframe()) == 3
    assert repr(year) == "<NetApy of 3 positions>"
    assert year.summary() == "3 positions: 2 gain, 1 lose, 0 do neither"
    with pytest.raises(ValueError, match="there are 3 positions, not one"):
        year.one()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"supply": 0}, "supply must be in"),
        ({"borrow": [50, 100]}, r"borrow must be below supply, but borrow\[1\] = 100.0 and supply\[1\] = 100.0"),
        ({"borrow_apy": -1}, r"borrow_apy must be in \[-0.99, 100\], but borrow_apy = -1.0"),
        ({"supply_apy": "high"}, "supply_apy must be real numbers"),
        ({"collateral_yield": [0.1, math.nan]}, r"collateral_yield must be .* but collateral_yield\[1\] = nan"),
        ({"supply_apy": [1, 2], "borrow_apy": [1, 2, 3]}, "do not broadcast"),
    ],
)
def test_bad_input_is_refused_by_name(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        net_apy(**{"supply": 100, "borrow": 50, "supply_apy": 0.03, "borrow_apy": 0.02, **changed})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: apr_to_apy(-1), "apr must be in"),
        (lambda: apy_to_apr(101), "apy must be in"),
        (lambda: apr_to_apy(0.1, periods=[1, 0.5]), r"periods must be in \[1, inf\], but periods\[1\] = 0.5"),
        (lambda: looped_apy(-1, loop_ltv=0.5, supply_apy=0, borrow_apy=0), "loops must be an integer in"),
        (lambda: looped_apy([1, 2], loop_ltv=0.5, supply_apy=0, borrow_apy=0), "loops must be one number"),  # type: ignore[arg-type]
        (lambda: looped_apy(1, loop_ltv=1, supply_apy=0, borrow_apy=0), r"loop_ltv must be in \(0, 1\)"),
    ],
)
def test_bad_rates_and_loops_are_refused_by_name(call: Any, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        call()
