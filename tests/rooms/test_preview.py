"""What previews say of actions, against closed forms and hand-made cases."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import EMODES, Emode, Refusal, ScenarioError, plan_leverage, plan_unwind, preview, tables
from escala.lending.preview_summary import WORDS

pytestmark = [pytest.mark.nojit, pytest.mark.kernel]

PAIR = {"ETH": 10.0, "BTC": 0.5}
PRICES = {"BTC": 60_000.0, "ETH": 2000.0}
THRESHOLDS = {"ETH": 0.83, "BTC": 0.78}


# --- one collateral ---------------------------------------------------------------------------------------------------


def test_a_position_of_public_record() -> None:
    shown = preview(2187.32, 2073, liquidation_threshold=0.975)
    assert float(shown.health_factor[0]) == pytest.approx(1.0288, abs=5e-5)
    assert float(shown.fall[0]) == pytest.approx(1 - 2073 / (2187.32 * 0.975), rel=1e-13)


@given(
    st.floats(0.01, 1e6), st.floats(0.01, 1e5), st.floats(0.05, 1.0), st.floats(0.01, 3.0)
)  # fmt: skip
def test_liquidation_price_and_fall_are_where_the_health_factor_is_one(
    units: float, price: float, threshold: float, share: float
) -> None:
    debt = units * price * threshold * share
    shown = preview(units, debt, price=price, liquidation_threshold=threshold)
    at = preview(units, debt, price=float(shown.liquidation_price[0]), liquidation_threshold=threshold)
    assert float(at.health_factor[0]) == pytest.approx(1, rel=1e-12)
    assert float(shown.liquidation_price[0]) == pytest.approx(price * (1 - float(shown.fall[0])), rel=1e-11)
    if share < 1.0:
        fallen = preview(units, debt, [("fall", float(shown.fall[0]))], price=price, liquidation_threshold=threshold)
        assert float(fallen.health_factor[1]) == pytest.approx(1, rel=1e-9)


def test_each_action_does_what_it_says() -> None:
    shown = preview(
        10, 8000,
        [("deposit", 2), ("withdraw", 1), ("borrow", 1000), ("repay", 500), ("price", 1800), ("fall", 0.1),
         ("threshold", 0.8), ("fall", -0.5)],
        price=2000, liquidation_threshold=0.83, max_ltv=0.8,
    )  # fmt: skip
    assert shown.supply.tolist() == [10, 12, 11, 11, 11, 11, 11, 11, 11]
    assert shown.debt.tolist() == [8000, 8000, 8000, 9000, 8500, 8500, 8500, 8500, 8500]
    assert shown.price.tolist() == pytest.approx([2000] * 5 + [1800, 1620, 1620, 2430])
    assert shown.threshold.tolist() == pytest.approx([0.83] * 7 + [0.8, 0.8])
    assert not shown.refused.any()
    assert float(shown.health_factor[-1]) == pytest.approx(11 * 2430 * 0.8 / 8500)
    assert shown.steps[1:4] == ("deposit 2", "withdraw 1", "borrow 1,000")


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (("withdraw", 11), Refusal.SUPPLY),
        (("repay", 15_001), Refusal.DEBT),
        (("borrow", 1001), Refusal.LTV),
        (("withdraw", 1.5), Refusal.HEALTH),
    ],
)
def test_what_is_refused_changes_nothing_and_says_why(action: Any, reason: Refusal) -> None:
    shown = preview(10, 15_000, [action], price=2000, liquidation_threshold=0.85, max_ltv=0.8, min_health_factor=1.01)
    assert Refusal(int(shown.refused[1])) is reason
    assert (shown.supply[1], shown.debt[1]) == (10, 15_000)
    assert WORDS[reason] in shown.summary()


def test_the_health_factor_may_refuse_a_borrowing_too() -> None:
    shown = preview(10, 15_000, [("borrow", 1700)], price=2000, liquidation_threshold=0.83)
    assert int(shown.refused[1]) == Refusal.HEALTH
    least = preview(10, 15_000, [("borrow", 700)], price=2000, liquidation_threshold=0.83, min_health_factor=1.1)
    assert int(least.refused[1]) == Refusal.HEALTH


@given(st.floats(0.1, 0.95), st.floats(0.0, 0.99), st.floats(1.0, 2.0))
def test_room_is_what_is_just_not_refused(threshold: float, used: float, least: float) -> None:
    debt = 1000 * threshold / least * used
    debt = debt if debt > 1e-90 else 0.0
    limits: dict[str, Any] = {"liquidation_threshold": threshold, "max_ltv": 0.9 * threshold,
                              "min_health_factor": least}  # fmt: skip
    shown = preview(1000, debt, **limits)
    for action, room in (("borrow", float(shown.borrow_room[0])), ("withdraw", float(shown.withdraw_room[0]))):
        if room > 1e-6:
            assert preview(1000, debt, [(action, room * (1 - 1e-11))], **limits).refused[1] == Refusal.NONE
            assert preview(1000, debt, [(action, room * (1 + 1e-6) + 1e-6)], **limits).refused[1] != Refusal.NONE


def test_without_debt_there_is_nothing_to_liquidate() -> None:
    shown = preview(10, 0, [("withdraw", 10)], price=2000, liquidation_threshold=0.8)
    assert shown.health_factor.tolist() == [math.inf, math.inf]
    assert shown.fall.tolist() == [1.0, 1.0]
    assert shown.liquidation_price[0] == 0.0
    assert math.isnan(shown.liquidation_price[1])
    assert shown.withdraw_room.tolist() == [20_000, 0]


def test_without_max_ltv_the_health_factor_alone_limits_debt_also_by_a_new_threshold() -> None:
    shown = preview(10, 12_000, [("threshold", 0.9), ("borrow", 5000)], price=2000, liquidation_threshold=0.83)
    assert float(shown.borrow_room[1]) == pytest.approx(6000)
    assert int(shown.refused[2]) == Refusal.NONE
    assert float(shown.health_factor[2]) == pytest.approx(18_000 / 17_000)


def test_a_threshold_below_max_ltv_limits_by_the_health_factor() -> None:
    shown = preview(1000, 100, [("threshold", 0.5), ("borrow", 450)], liquidation_threshold=0.85, max_ltv=0.8)
    assert float(shown.borrow_room[1]) == pytest.approx(400)
    assert int(shown.refused[2]) == Refusal.HEALTH


def test_a_new_threshold_leaves_max_ltv_as_it_is() -> None:
    limits: dict[str, Any] = {
        "liquidation_threshold": {"A": 0.83, "B": 0.8}, "max_ltv": {"A": 0.8, "B": 0.7},
    }  # fmt: skip
    shown = preview({"A": 10, "B": 10}, 5, [("threshold", 0.5, "A")], **limits)
    assert float(shown.borrow_room[0]) == pytest.approx(15 - 5)
    assert float(shown.borrow_room[1]) == pytest.approx(min(8 + 7, 5 + 8) - 5)


def test_an_emode_of_some_gives_no_max_ltv_to_the_others() -> None:
    mode = Emode(0.6, 0.9, assets=("A",))
    pair = {"A": 100.0, "B": 100.0}
    shown = preview(pair, 10, [("threshold", 0.9, "B"), ("borrow", 145)], liquidation_threshold=0.8, emode=mode)
    assert shown.borrow_room[:2].tolist() == pytest.approx([60 + 80 - 10, 60 + 90 - 10])
    assert int(shown.refused[2]) == Refusal.LTV


def test_the_operations_of_a_plan_are_all_allowed() -> None:
    limits: dict[str, Any] = {"max_ltv": 0.8, "liquidation_threshold": 0.85, "min_health_factor": 1.01}
    words = {0: "deposit", 1: "borrow", 3: "withdraw", 5: "repay"}
    up = plan_leverage(1000, leverage=3.3, **limits)
    down = plan_unwind(up.final_supply, up.final_borrow, to_ltv=0.1, **limits)
    supply, borrow = 0.0, 0.0
    for plan in (up, down):
        table = plan.operations
        kept = [k for k, action in enumerate(table["action"]) if int(action) in words]
        actions = [(words[int(table["action"][k])], float(table["amount"][k])) for k in kept]
        shown = preview(supply, borrow, actions, **limits)
        assert not shown.refused.any()
        assert shown.health_factor[1:].tolist() == pytest.approx(table["health_factor"][kept].tolist(), rel=1e-12)
        supply, borrow = float(plan.final_supply), float(plan.final_borrow)


# --- several ----------------------------------------------------------------------------------------------------------


def test_thresholds_are_weighted_by_value() -> None:
    shown = preview(PAIR, 20_000, price=PRICES, liquidation_threshold=THRESHOLDS)
    weighted = Fraction(20_000) * Fraction(83, 100) + Fraction(30_000) * Fraction(78, 100)
    assert float(shown.health_factor[0]) == pytest.approx(float(weighted / 20_000), rel=1e-15)
    assert float(shown.threshold[0]) == pytest.approx(float(weighted / 50_000), rel=1e-15)
    assert shown.assets == ("ETH", "BTC")
    # ETH alone cannot lead there: BTC carries the debt
    assert shown.liquidation_price[0].tolist() == pytest.approx([0.0, (20_000 - 16_600) / (0.5 * 0.78)])


def test_at_the_liquidation_price_of_one_the_others_stay() -> None:
    shown = preview(PAIR, 30_000, price=PRICES, liquidation_threshold=THRESHOLDS)
    for place, name in enumerate(shown.assets):
        moved = [("price", float(shown.liquidation_price[0, place]), name)]
        at = preview(PAIR, 30_000, moved, price=PRICES, liquidation_threshold=THRESHOLDS)
        assert float(at.health_factor[1]) == pytest.approx(1, rel=1e-14)
    together = preview(PAIR, 30_000, [("fall", float(shown.fall[0]))], price=PRICES, liquidation_threshold=THRESHOLDS)
    assert float(together.health_factor[1]) == pytest.approx(1, rel=1e-13)


def test_actions_name_their_collateral() -> None:
    shown = preview(
        PAIR, 10_000, [("deposit", 1, "BTC"), ("withdraw", 10, "ETH"), ("fall", 0.5, "BTC"), ("threshold", 0.7, "BTC")],
        price=PRICES, liquidation_threshold=THRESHOLDS,
    )  # fmt: skip
    assert shown.supply[-1].tolist() == [0, 1.5]
    assert shown.price[-1].tolist() == [2000, 30_000]
    assert float(shown.health_factor[-1]) == pytest.approx(1.5 * 30_000 * 0.7 / 10_000)
    assert math.isnan(shown.liquidation_price[-1, 0])
    assert shown.steps[-1] == "threshold 0.7 BTC"
    assert "price of BTC at 1" in shown.summary()
    assert "liquidation_price_BTC" in shown.to_dataframe()


def test_collaterals_lie_along_the_last_axis() -> None:
    units = np.array([[10.0, 0.5], [5.0, 0.1], [1.0, 0.0]])
    shown = preview(units, [[10_000], [2000]], [("fall", 0.3)], price=[2000, 60_000], assets=["ETH", "BTC"],
                    liquidation_threshold=[0.83, 0.78])  # fmt: skip
    assert shown.shape == (2, 2, 3)
    assert shown.liquidation_price.shape == (2, 2, 3, 2)
    one = preview({"ETH": 5.0, "BTC": 0.1}, 2000, [("fall", 0.3)], price=PRICES, liquidation_threshold=THRESHOLDS)
    assert shown.health_factor[:, 1, 1].tolist() == one.health_factor.tolist()
    assert "6 positions, 1 action" in shown.summary()
    assert repr(shown) == "<Preview of 6 positions, 1 action>"


def test_an_emode_takes_the_place_of_limits() -> None:
    shown = preview(10, 9.35, emode="wsteth_eth")
    assert float(shown.health_factor[0]) == pytest.approx(0.955 / 0.935)
    assert float(shown.borrow_room[0]) == pytest.approx(0, abs=1e-12)
    mode = Emode(0.9, 0.93, assets=("ETH",))
    pair = preview(PAIR, 20_000, price=PRICES, liquidation_threshold=THRESHOLDS, emode=mode)
    assert float(pair.health_factor[0]) == pytest.approx((20_000 * 0.93 + 30_000 * 0.78) / 20_000)


def test_presets_of_emodes_say_where_they_are_from() -> None:
    """Values of the proposals that their sources name."""
    assert {name: (mode.max_ltv, mode.liquidation_threshold) for name, mode in EMODES.items()} == {
        "eth_correlated": (0.93, 0.95),
        "wsteth_eth": (0.935, 0.955),
        "stablecoins": (0.93, 0.95),
    }
    for mode in EMODES.values():
        assert re.search(r"^Aave v3 \w+, category .* of 20\d\d-\d\d-\d\d$", mode.source)
    assert Emode(0.9, 0.93).source == ""


# --- what is said and refused -----------------------------------------------------------------------------------------


def test_codes_and_names_are_those_of_the_tables() -> None:
    assert {reason.name.lower(): int(reason) for reason in Refusal} == tables.code_values(tables.REFUSALS)
    shown = preview([1.0, 2.0], 0.5, [("borrow", [0.1, 5.0])], liquidation_threshold=0.8)
    assert list(shown.to_dict()) == [*tables.names(tables.PREVIEW_OUTPUTS), "liquidation_price"]
    assert len(shown.to_dataframe()) == shown.size == 4
    assert repr(shown) == "<Preview of 2 positions, 1 action, 1 refused>"
    assert "<table>" in shown._repr_html_()
    assert "refused          1" in shown.summary()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"supply": -1}, r"supply must be .* but supply = -1.0"),
        ({"borrow": [1, math.inf]}, r"borrow must be .* but borrow\[1\] = inf"),
        ({"price": 0}, "price must be in"),
        ({"liquidation_threshold": None}, "give liquidation_threshold, or an emode"),
        ({"max_ltv": 0.9}, "max_ltv must not exceed liquidation_threshold"),
        ({"min_health_factor": 0.5}, "min_health_factor must be in"),
        ({"emode": "eth"}, "emode: no preset 'eth'; did you mean 'eth_correlated'?"),
        ({"emode": 0.9}, "emode must be an Emode or the name of a preset, not 0.9"),
        ({"emode": Emode(0.8, 0.9, ("X",))}, "emode: no collateral 'X'"),
        ({"actions": [("lend", 1)]}, r"actions\[0\]: no action 'lend'"),
        ({"actions": [("borow", 1)]}, r"actions\[0\]: no action 'borow'; did you mean 'borrow'\?"),
        ({"actions": [("borrow", 1), ("borrow", -1)]}, r"actions\[1\] must be .* but actions\[1\] = -1.0"),
        ({"actions": [("fall", 1.0)]}, r"actions\[0\] must be in"),
        ({"actions": ["borrow"]}, r"actions\[0\] must be \(action, value\) or \(action, value, asset\)"),
        ({"actions": [("borrow", 1, "ETH")]}, r"actions\[0\]: borrow is of no collateral$"),
        ({"actions": [("borrow", 1, "A")], "supply": {"A": 1}}, r"actions\[0\]: borrow is of no collateral$"),
        ({"actions": None}, r"actions must be a sequence of \(action, value\), not None"),
        ({"actions": "borrow"}, r"actions must be a sequence of \(action, value\), not 'borrow'"),
        ({"actions": {"borrow": 1}}, r"actions must be a sequence of \(action, value\), not {'borrow': 1}"),
        ({"supply": None}, "supply must be"),
        ({"borrow": None}, "borrow must be"),
        ({"price": None}, "price must be"),
        ({"min_health_factor": None}, "min_health_factor must be"),
        ({"supply": {}}, "supply must have a name for each collateral, not {}"),
        ({"supply": {1: 2.0}}, r"supply must have a name for each collateral, not {1: 2\.0}"),
        ({"assets": []}, r"assets must be different names, not \[\]"),
        ({"assets": 3}, "assets must be different names, not 3"),
        ({"assets": "AB"}, "assets must be different names, not 'AB'"),
        ({"assets": ["A", ["B"]]}, r"assets must be different names, not \['A', \['B'\]\]"),
        ({"actions": [("deposit", 1, "ETH")]}, r"actions\[0\]: no collateral 'ETH'"),
        ({"supply": {"A": 1, "B": 2}, "actions": [("deposit", 1)]}, r"actions\[0\]: deposit must name one of A, B"),
        ({"supply": {"A": 1, "B": 2}, "price": {"A": 1, "C": 2}}, "price must have one value for each symbol"),
        ({"supply": [1, 2, 3], "assets": ["A", "B"]}, r"supply of shape \(3,\) must have a last axis of 2 collaterals"),
        ({"assets": ["A", "A"]}, "assets must be different names"),
        ({"supply": [1, 2], "borrow": [1, 2, 3]}, "do not broadcast"),
    ],
)
def test_bad_input_is_refused_by_name(changed: dict[str, Any], message: str) -> None:
    given_ = {"supply": 1000, "borrow": 100, "liquidation_threshold": 0.8, **changed}
    with pytest.raises(ScenarioError, match=message):
        preview(**given_)


def test_a_bad_emode_is_refused() -> None:
    with pytest.raises(ScenarioError, match="max_ltv must not exceed liquidation_threshold"):
        Emode(0.9, 0.8)
    with pytest.raises(ScenarioError, match="liquidation_threshold must be in"):
        Emode(0.9, 1.1)
    several: Any = [0.8, 0.9]
    with pytest.raises(ScenarioError, match=r"max_ltv must be one number, not \[0\.8, 0\.9\]"):
        Emode(several, 0.95)


@pytest.mark.parametrize("assets", [None, "ETH", ("ETH", 1), 7])
def test_the_collaterals_of_an_emode_have_names(assets: Any) -> None:
    with pytest.raises(ScenarioError, match="assets must be names of collaterals, not "):
        Emode(0.8, 0.9, assets)
