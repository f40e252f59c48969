"""What liquidations take, against cases in exact fractions and the rules as a person would walk them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from escala import ScenarioError, tables, what_liquidation_takes

pytestmark = [pytest.mark.nojit, pytest.mark.kernel]

AAVE: dict[str, Any] = {"protocol": "aave_v33", "bonus": 0.05, "dust": 1000, "liquidation_threshold": 0.8}


def exactly(supply: float, borrow: float, price: float, threshold: float, rule: str, **given: float) -> dict[str, Any]:
    """Walk the rules of a protocol in fractions."""
    units, debt, p, t = (Fraction(value) for value in (supply, borrow, price, threshold))
    repaid = seized = penalty = returned = bad = Fraction(0)
    rounds = 0
    while debt > 0 and units > 0 and units * p * t < debt:
        rounds += 1
        value = units * p
        if rule == "comet":
            credit = value * Fraction(given["liquidation_factor"])
            repaid, seized, penalty = min(credit, debt), value, value - credit
            returned, bad = max(credit - debt, Fraction(0)), max(debt - credit, Fraction(0))
            units = debt = Fraction(0)
            continue
        if rule == "morpho":
            f = min(Fraction(115, 100), 1 / (1 - Fraction(3, 10) * (1 - t)))
            r = debt
        else:
            f, dust = 1 + Fraction(given["bonus"]), Fraction(given["dust"])
            half = value * t / debt > Fraction(95, 100) and debt >= 2 * dust and value >= 2 * dust
            r = debt / 2 if half else debt
        q = r * f
        if q > value:
            q, r = value, value / f
        if rule == "aave_v33" and r < debt and q < value and value - q < dust:
            q = value - dust
            r = q / f
        units, debt = units - q / p, debt - r
        repaid, seized, penalty = repaid + r, seized + q, penalty + q - r
    if units == 0:
        bad, debt = bad + debt, Fraction(0)
    return {
        "rounds": rounds, "repaid": repaid, "seized": seized, "penalty": penalty, "left_supply": units,
        "left_borrow": debt, "returned": returned, "bad_debt": bad,
    }  # fmt: skip


@given(
    st.sampled_from(["aave_v33", "morpho", "comet"]), st.floats(0.1, 1e4), st.floats(1.0, 1e4), st.floats(0.3, 0.95),
    st.floats(0.5, 1.3), st.sampled_from([0.01, 0.05, 0.1]), st.sampled_from([0.0, 100.0, 1000.0]),
)  # fmt: skip
def test_rules_in_exact_fractions(
    rule: str, units: float, price: float, threshold: float, health: float, bonus: float, dust: float
) -> None:
    assume(min(abs(health - edge) for edge in (0.95, 1.0)) > 1e-9)  # where rounding decides
    debt = units * price * threshold / health
    extra: dict[str, Any] = {
        "aave_v33": {"bonus": bonus, "dust": dust}, "morpho": {}, "comet": {"liquidation_factor": 1 - bonus}
    }[rule]  # fmt: skip
    taken = what_liquidation_takes(units, debt, price, protocol=rule, liquidation_threshold=threshold, **extra)
    expected = exactly(units, debt, price, threshold, rule, **extra)
    scale = float(debt + units * price)
    for name, value in expected.items():
        slack = 1e-9 * (units if name == "left_supply" else scale)
        assert float(getattr(taken, name)) == pytest.approx(float(value), rel=1e-9, abs=slack), name
    left = taken.left_borrow - taken.left_supply * price + taken.bad_debt - taken.returned
    gone = float(taken.penalty) if rule != "comet" else float(taken.seized) * bonus
    assert debt - units * price == pytest.approx(float(left) - gone, abs=1e-9 * scale)  # money is conserved


def test_half_of_the_debt_heals_a_position_of_aave() -> None:
    taken = what_liquidation_takes(10_000, 8200, **AAVE)
    assert (int(taken.rounds), float(taken.repaid), float(taken.seized)) == (1, 4100.0, 4305.0)
    assert float(taken.penalty) == 205.0
    assert float(taken.health_before) == pytest.approx(8000 / 8200)
    assert float(taken.health_after) == pytest.approx((10_000 - 4305) * 0.8 / 4100)
    assert taken.healthy == 1


def test_far_below_all_is_repaid_at_once() -> None:
    taken = what_liquidation_takes(10_000, 8500, **AAVE)  # health 0.941
    assert (int(taken.rounds), float(taken.repaid), float(taken.left_borrow)) == (1, 8500.0, 0.0)
    assert taken.health_after == math.inf


def test_small_positions_are_repaid_whole() -> None:
    taken = what_liquidation_takes(2100, 1750, **AAVE)  # health 0.96, but debt below 2·1000
    assert (int(taken.rounds), float(taken.repaid)) == (1, 1750.0)


def test_no_dust_is_left() -> None:
    taken = what_liquidation_takes(2000, 2100, protocol="aave_v33", bonus=0.05, dust=990, liquidation_threshold=1.0)
    # health 0.952: half would seize 1102.5 and leave 897.5, so only 1010 is seized; then the rest is dust and goes whole
    assert taken.rounds == 2
    assert float(taken.seized) == pytest.approx(2000)
    assert float(taken.repaid) == pytest.approx(1010 / 1.05 + 990 / 1.05)
    assert float(taken.bad_debt) == pytest.approx(2100 - 2000 / 1.05)


def test_where_the_bonus_outgrows_the_threshold_liquidation_does_not_heal() -> None:
    taken = what_liquidation_takes(10_000, 9700, protocol="aave_v33", bonus=0.1, dust=100, liquidation_threshold=0.96)
    assert taken.rounds > 1
    assert float(taken.bad_debt) > 0.0
    assert "bad debt" in taken.summary()


def test_comet_takes_all_over_and_returns_what_is_left() -> None:
    taken = what_liquidation_takes(
        10, 15_000, 1700, protocol="comet", liquidation_threshold=0.86, liquidation_factor=0.93
    )
    assert float(taken.returned) == pytest.approx(17_000 * 0.93 - 15_000)
    assert float(taken.penalty) == pytest.approx(17_000 * 0.07)
    assert taken.left_supply == taken.left_borrow == taken.bad_debt == 0
    assert "returned to the owner: 810.00" in taken.summary()


def test_the_incentive_of_morpho_follows_from_its_threshold() -> None:
    taken = what_liquidation_takes(100, 90, protocol="morpho", liquidation_threshold=0.86)
    assert float(taken.seized / taken.repaid) == pytest.approx(1 / (1 - 0.3 * 0.14))
    low = what_liquidation_takes(100, 60, protocol="morpho", liquidation_threshold=0.385)
    assert float(low.seized / low.repaid) == pytest.approx(1.15)


def test_a_healthy_position_is_left_alone() -> None:
    for rule, extra in (("morpho", {}), ("comet", {"liquidation_factor": 0.9}), ("aave_v33", {"bonus": 0, "dust": 0})):
        taken = what_liquidation_takes(100, 80, protocol=rule, liquidation_threshold=0.8, **extra)
        assert [float(x) for x in (taken.rounds, taken.left_supply, taken.left_borrow)] == [0, 100, 80]
        assert "no liquidation: the health factor is 1.0000" in taken.summary()
    free = what_liquidation_takes(0, 0, protocol="morpho", liquidation_threshold=0.8)
    assert free.health_after == math.inf


def test_everything_broadcasts_and_is_a_table() -> None:
    prices = np.linspace(1.0, 0.5, 11)
    taken = what_liquidation_takes([[10_000], [20_000]], 7500, prices, **AAVE)
    assert taken.shape == (2, 11)
    assert (np.diff(taken.left_supply[0]) <= 0).all()
    one = what_liquidation_takes(10_000, 7500, prices[4], **AAVE)
    assert {name: column[0, 4] for name, column in taken.to_dict().items()} == one.to_dict()
    assert list(taken.to_dict()) == list(tables.names(tables.LIQUIDATION_OUTPUTS))
    assert len(taken.to_dataframe()) == 22
    assert repr(taken) == "<LiquidationTakes of 22 positions>"
    assert taken.summary().startswith("22 positions under aave_v33: ")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"protocol": "aave"}, "protocol: no rule 'aave'; did you mean 'aave_v33'?"),
        ({"bonus": None}, "aave_v33 needs bonus"),
        ({"liquidation_factor": 0.9}, "aave_v33 has no liquidation_factor"),
        ({"supply": [100, 0]}, r"supply must be positive where there is debt, but supply\[1\] = 0.0"),
        ({"price": 0}, "price must be in"),
        ({"bonus": [0.1, 2]}, r"bonus must be in \[0, 1\], but bonus\[1\] = 2.0"),
        ({"dust": -1}, "dust must be in"),
        ({"borrow": [1, 2], "price": [1, 2, 3]}, "do not broadcast"),
    ],
)
def test_bad_input_is_refused_by_name(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        what_liquidation_takes(**{"supply": 100, "borrow": 50, **AAVE, **changed})
