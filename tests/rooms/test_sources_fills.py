"""Fills of an order are one execution; fees are part of what it cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from escala import RecordError, sources
from escala.sources import quotes

#: Four small sales at 100, and one of 100 in ten parts, each 1 / 100 worse than the one before: 99.2 in the mean.
PARTS = [100.0 - 0.16 * k - 0.08 for k in range(10)]


def market_order(**columns: Any) -> dict[str, Any]:
    n = 15
    made = {
        "symbol": ["A/B"] * n,
        "side": ["sell"] * n,
        "price": [100.0] * 5 + PARTS,
        "quantity": [1.0] * 5 + [10.0] * 10,
    }
    return {**made, **columns}


ORDERS = ["a", "b", "c", "d", "e"] + ["f"] * 10
TIMES = [1.7e9 + k for k in range(5)] + [1.7e9 + 60.0] * 10


@pytest.mark.parametrize(
    "orders",
    [
        ORDERS,
        np.array([ord(name) for name in ORDERS]),
        np.array([float(ord(name)) for name in ORDERS]),
        [*ORDERS[:4], None, *ORDERS[5:]],
        [*ORDERS[:4], "", *ORDERS[5:]],
    ],
)
def test_fills_of_an_order_are_one_execution(orders: Any) -> None:
    made = sources.read(market_order(order_id=orders))
    assert made.capital.tolist() == [100.0] * 5 + [10_000.0]
    # 0.8 % lost, where each part alone would be told from small sizes by 0.08 to 1.52 %
    np.testing.assert_allclose(made.efficiency, [1.0] * 5 + [0.992], rtol=1e-14)
    alone = ", 1 row without one stays alone" if None in list(orders) or "" in list(orders) else ""
    assert made.notes == (f"10 fills of the same 'order_id' joined to 1 execution{alone}",)
    assert made.left_out == 0


def test_a_column_of_parents_that_is_empty_leaves_it_to_the_orders() -> None:
    for nothing in (None, "", float("nan")):
        made = sources.read(market_order(order_id=ORDERS, parent_id=[nothing] * 15))
        np.testing.assert_allclose(made.efficiency, [1.0] * 5 + [0.992], rtol=1e-14)


def test_fills_of_one_moment_are_one_execution_where_no_column_names_orders() -> None:
    made = sources.read(market_order(time=TIMES))
    np.testing.assert_allclose(made.efficiency, [1.0] * 5 + [0.992], rtol=1e-14)
    assert made.observed_at is not None
    assert made.observed_at.tolist() == [*TIMES[:5], TIMES[5]]
    assert made.notes == ("10 fills of the same symbol, side and time joined to 1 execution",)
    apart = sources.read(market_order(time=TIMES), fills="apart")
    assert len(apart) == 15
    assert apart.notes == ()
    kinds = sources.read(market_order(time=TIMES, order=["market"] * 15))
    assert kinds.efficiency.tolist() == made.efficiency.tolist()


def test_other_sides_and_symbols_stay_apart() -> None:
    side = ["sell"] * 10 + ["buy"] * 5
    symbol = ["A/B"] * 8 + ["C/D"] * 7
    made = sources.read(market_order(order_id=ORDERS, side=side, symbol=symbol), least=1)
    assert made.symbol.tolist() == ["A/B"] * 6 + ["C/D"] * 2
    assert made.notes[0] == "10 fills of the same 'order_id' joined to 3 executions"


def test_executions_of_the_same_day_are_not_one() -> None:
    made = sources.read(market_order(date=["2024-01-02"] * 5 + ["2024-01-03"] * 10))
    assert len(made) == 15
    told = "rows of the same day are not joined: times are dates, and an order column would say which belong together"
    assert told in made.notes


def test_an_order_is_as_old_as_its_first_fill_and_keeps_its_price_to_the_bit() -> None:
    times = [*TIMES[:5], *(1.7e9 + 70.0 - k for k in range(10))]
    one_price = market_order(order_id=ORDERS, time=times, price=[0.1] * 15)
    made = sources.read(one_price)
    assert made.efficiency.tolist() == [1.0] * 6
    assert made.observed_at is not None
    assert made.observed_at.tolist() == [*TIMES[:5], 1.7e9 + 61.0]


def test_too_few_orders_are_counted_as_executions() -> None:
    made = sources.read(market_order(order_id=ORDERS), least=7)
    assert (len(made), made.left_out) == (0, 6)
    assert made.notes[-1] == "6 executions left out: fewer than 7 of their symbol and side"


def test_a_capital_that_cannot_be_is_named_by_its_first_fill() -> None:
    price = [1e-90] * 15
    with pytest.raises(RecordError, match=r"quantity must give a capital in .*, but quantity\[5\] = 1e-2"):
        quotes.records(market_order(order_id=ORDERS, price=price, quantity=[1.0] * 5 + [1e-20] * 10))


# --- fees -------------------------------------------------------------------------------------------------------


def five(**columns: Any) -> dict[str, Any]:
    """Give four small executions at 100 and a large one at 99 if sold, 101 if bought."""
    side = columns.pop("side", "sell")
    price = [100.0] * 4 + [99.0 if side == "sell" else 101.0]
    made = {"symbol": ["BTC/USDT"] * 5, "side": [side] * 5, "price": price, "qty": [1.0] * 4 + [10.0]}
    return {**made, **columns}


#: What is paid of each in quote currency.
QUOTE = [1.0] * 4 + [9.0]
#: The same in base currency.
BASE = [0.01] * 4 + [0.1]
SOLD = [0.99] * 4 + [981 / 1000]  # 990 less 9 for what is worth 1,000
BOUGHT = [100 / 101] * 4 + [1000 / 1019]
SOLD_FOR_BASE = [100 / 101] * 4 + [990 / 1010]  # 10.1 are given for 990
BOUGHT_FOR_BASE = [0.99] * 4 + [990 / 1010]  # 9.9 are got for 1,010


@pytest.mark.parametrize(
    "columns",
    [
        {"fee": QUOTE, "fee_currency": ["USDT"] * 5},
        {"commission": QUOTE, "commissionAsset": ["usdt"] * 5},
        {"Fee(USDT)": QUOTE},
        {"fee": [f"{fee} USDT" for fee in QUOTE]},
        {"Fee": [f"{fee:.5f}USDT" for fee in QUOTE]},
        {"fee": [{"cost": fee, "currency": "USDT"} for fee in QUOTE]},
        {"fee": [f'{{"currency": "USDT", "cost": {fee}, "rate": null}}' for fee in QUOTE]},
        {"fee": [-fee for fee in QUOTE], "fee_currency": ["USDT"] * 5},
        {"fee": QUOTE, "fee_currency": ["USDT"] * 5, "symbol": ["BTCUSDT"] * 5},
        {"fee": QUOTE, "fee_currency": ["USDT"] * 5, "symbol": ["BTC-USDT"] * 5},
        {"fee": QUOTE, "fee_currency": ["USDT"] * 5, "symbol": ["BTC/USDT:USDT"] * 5},
        {"fee": QUOTE, "fee_currency": ["USD"] * 5, "symbol": ["IBM"] * 5, "currency": ["USD"] * 5},
    ],
)
def test_fees_in_quote_currency_are_known_as_such(columns: dict[str, Any]) -> None:
    made = sources.read(five(**columns), least=4)
    np.testing.assert_allclose(made.efficiency, SOLD, rtol=1e-15)
    assert made.capital.tolist() == [100.0] * 4 + [1000.0]
    name = next(name for name in columns if name.lower().startswith(("fee", "commission")))
    below = "; what is below 0 was taken for a cost (fees='ignore' leaves fees out)"
    is_below = isinstance(columns[name][0], float) and columns[name][0] < 0.0
    assert made.notes[0] == f"fees of {name!r} are counted, in quote currency" + below * is_below
    bought = sources.read(five(side="buy", **columns), least=4)
    np.testing.assert_allclose(bought.efficiency, BOUGHT, rtol=1e-15)
    assert bought.capital.tolist() == [101.0] * 4 + [1019.0]


def test_fees_in_base_currency_and_in_percent() -> None:
    base = {"fee": BASE, "fee_currency": ["BTC"] * 5}
    np.testing.assert_allclose(sources.read(five(**base), least=4).efficiency, SOLD_FOR_BASE, rtol=1e-15)
    np.testing.assert_allclose(sources.read(five(side="buy", **base), least=4).efficiency, BOUGHT_FOR_BASE, rtol=1e-15)
    both = {"fee": [*BASE[:4], 9.0], "fee_currency": ["BTC"] * 4 + ["USDT"]}
    made = sources.read(five(**both), least=4)
    np.testing.assert_allclose(made.efficiency, [*SOLD_FOR_BASE[:4], SOLD[4]], rtol=1e-15)
    assert made.notes == ("fees of 'fee' are counted, 1 in quote currency and 4 in base currency",)
    for percent in ({"fee": ["1%"] * 5}, {"Fee (%)": [1.0] * 5}, {"fee_percent": [1.0] * 5}):
        made = sources.read(five(**percent), least=4)
        np.testing.assert_allclose(made.efficiency, [0.99] * 4 + [0.99 * 0.99], rtol=1e-15)


def test_a_total_with_fees_tells_that_they_are_in_quote_currency() -> None:
    total = [99.0] * 4 + [981.0]
    made = sources.read(five(fee=QUOTE, total=total), least=4)
    np.testing.assert_allclose(made.efficiency, SOLD, rtol=1e-15)
    made = sources.read(five(fee=QUOTE, total=[100.0] * 4 + [990.0]), least=4)
    assert made.efficiency.tolist() == [1.0] * 4 + [0.99]


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"fee": QUOTE}, "nothing says in which currency 'fee' is"),
        ({"fee": QUOTE, "fee_currency": ["BNB"] * 5}, "'BNB' of 'fee_currency' is neither part of 'BTC/USDT'"),
        ({"fee": QUOTE, "fee_currency": ["USDT"] * 4 + [""]}, "some have no currency"),
        ({"Fee": ["0.001BNB"] * 5}, "'BNB' of 'Fee' is neither part of 'BTC/USDT'"),
        ({"fee_bps": [10.0] * 5}, "nothing says in which currency 'fee_bps' is"),
    ],
)
def test_fees_of_which_nobody_knows_the_unit_are_told_and_not_counted(columns: dict[str, Any], why: str) -> None:
    how = "fee_unit='quote', 'base' or 'percent' (--fee-unit) says it"
    made = sources.read(five(**columns), least=4)
    assert made.efficiency.tolist() == [1.0] * 4 + [0.99]
    assert made.notes == (f"fees are not counted: {why}; {how}",)
    with pytest.raises(RecordError, match=f"mapping: fees are to be counted, but {why}; fee_unit="):
        sources.read(five(**columns), fees="include")


def test_a_caller_says_what_fees_are_in_and_whether_they_count() -> None:
    said = {"quote": (QUOTE, SOLD), "base": (BASE, SOLD_FOR_BASE), "percent": ([1.0] * 5, [0.99] * 4 + [0.9801])}
    for unit, (fee, expected) in said.items():
        made = sources.read(five(fee=fee), fee_unit=unit, least=4)
        np.testing.assert_allclose(made.efficiency, expected, rtol=1e-15)
    made = sources.read(five(fee=QUOTE, fee_currency=["USDT"] * 5), fees="ignore", least=4)
    assert made.efficiency.tolist() == [1.0] * 4 + [0.99]
    assert made.notes == ("columns not used: fee, fee_currency",)
    direct = quotes.records(five(fee=QUOTE), fees="include", fee_unit="quote", least=4)
    np.testing.assert_allclose(direct.efficiency, SOLD, rtol=1e-15)
    assert quotes.records(five(fee=["?"] * 5), fees="ignore", least=4).efficiency[4] == 0.99


def test_fees_of_fills_are_added_to_those_of_their_order() -> None:
    fills = {"price": [100.0] * 4 + [99.5, 98.5], "qty": [1.0] * 4 + [5.0, 5.0], "fee": [1.0] * 4 + [4.0, 5.0]}
    columns = {name: [values[0]] * 6 for name, values in five().items()} | fills
    made = sources.read(columns | {"orderId": [1, 2, 3, 4, 5, 5]}, fee_unit="quote", least=4)
    np.testing.assert_allclose(made.efficiency, SOLD, rtol=1e-15)


def test_rebates_raise_efficiency_and_nothing_is_no_fee() -> None:
    fee = [1.0, 1.0, 1.0, None, -5.0]
    made = sources.read(five(fee=fee), fee_unit="quote", least=4)
    np.testing.assert_allclose(made.efficiency, [0.99, 0.99, 0.99, 1.0, 0.995], rtol=1e-15)
    told = "fees of 'fee' are counted, in quote currency; 1 fee of the other sign taken for a rebate"
    assert made.notes == (f"{told}; 1 row without a fee taken for free",)
    empty = sources.read(five(fee=["1", "1", "", "1", "10"]), fee_unit="quote", least=4)
    assert empty.notes == ("fees of 'fee' are counted, in quote currency; 1 row without a fee taken for free",)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"fee": ["x"] * 5}, {}, r"fee must be a number, with or without its currency, but fee\[0\] = 'x'"),
        ({"fee": ["{'cost': "] * 5}, {}, r"fee must be a number, with or without its currency"),
        ({"fee": [100.0] * 5}, {"fee_unit": "quote"}, r"fee must be less than what was traded \(fees='ignore' .*\), but fee\[0\]"),
        ({"fee": [1.0] * 5}, {"fee_unit": "base"}, "fee must be less than what was traded"),
        ({"fee": [1.0] * 5}, {"fee_unit": "usd"}, "fee_unit must be one of quote, base, percent, not 'usd'"),
        ({"fee": [1.0] * 5}, {"fees": "yes"}, "fees must be 'include' or 'ignore', not 'yes'"),
        ({}, {"fees": "include"}, "mapping: fees are to be counted, but there is no column of fees; found were symbol"),
        ({}, {"fills": "both"}, "fills must be 'join' or 'apart', not 'both'"),
        ({"fee": QUOTE, "commission": QUOTE}, {"fees": "include"}, "to be counted, but fee may be 'fee' and 'commission'"),
    ],
)  # fmt: skip
def test_bad_fees_are_refused(columns: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        sources.read(five(**columns), **options)


def test_two_columns_of_fees_are_told() -> None:
    made = sources.read(five(fee=QUOTE, commission=QUOTE), least=4)
    told = "fees are not counted: fee may be 'fee' and 'commission'; columns={'fee': 'fee'} says which"
    assert made.notes == (told, "columns not used: fee, commission")


def test_swaps_have_their_fees_in_their_amounts() -> None:
    swaps = {"symbol": ["A/B"] * 5, "amount_in": [1.0] * 5, "amount_out": [2.0] * 5, "fee": [0.1] * 5}
    made = sources.read(swaps)
    assert made.efficiency.tolist() == [1.0] * 5
    assert made.notes == ("'fee' is not counted: amounts of a swap are what is given and received",)
    with pytest.raises(RecordError, match="fee_unit is for executions: what is given in a swap is sold"):
        sources.read(swaps, fee_unit="base")
    assert len(sources.read(swaps | {"time": [1.7e9 + 1] * 5})) == 5
