"""Sides as exchanges and tools write them, what is assumed where there are none, and executions that look like a book."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from escala import RecordError, sources
from escala.sources import quotes

#: Five of each side: what is bought costs 10 and at 4 units 12.5, what is sold brings 10 and at 4 units 9.
PRICE = [10.0, 10.0, 10.0, 10.0, 12.5, 10.0, 10.0, 10.0, 10.0, 9.0]
QUANTITY = [1.0, 1.0, 1.0, 1.0, 4.0, 1.0, 1.0, 1.0, 1.0, 4.0]
EFFICIENCY = [1.0, 1.0, 1.0, 1.0, 0.8, 1.0, 1.0, 1.0, 1.0, 0.9]


def trades(**columns: Any) -> dict[str, Any]:
    return {
        "symbol": ["A/B"] * 10,
        "price": PRICE,
        "quantity": QUANTITY,
        "time": [1.7e9 + k for k in range(10)],
        **columns,
    }


def halves(buy: Any, sell: Any) -> list[Any]:
    return [buy] * 5 + [sell] * 5


@pytest.mark.parametrize(
    ("name", "buy", "sell"),
    [
        ("side", "buy", "sell"), ("side", "BUY", "SELL"), ("Side", "Buy ", " Sell"), ("side", "b", "s"),
        ("side", "BOT", "SLD"), ("side", "bought", "sold"), ("side", 1, 2), ("side", "1", "2"), ("side", 1, -1),
        ("side", 1.0, -1.0), ("type", "buy", "sell"), ("Type", "LIMIT_BUY", "LIMIT_SELL"), ("trade_type", "Buy", "Sell"),
        ("action", "BUY", "SELL"), ("Action", "Buy to Open", "Sell to Close"), ("Buy/Sell", "B", "S"),
        ("type", "buy-market", "sell-limit"), ("dir", "Open Long", "Close Long"), ("dir", "Close Short", "Open Short"), ("is_buyer_maker", False, True), ("isBuyerMaker", "false", "true"),
        ("is_buyer_maker", 0, 1), ("isBuyer", True, False), ("aggressor_side", "Buyer", "Seller"),
        ("maker_side", "sell", "buy"), ("Transaction Type", "Advanced Trade Buy", "Advanced Trade Sell"),
    ],
)  # fmt: skip
def test_sides_are_understood_as_they_are_written(name: str, buy: Any, sell: Any) -> None:
    given = trades(**{name: halves(buy, sell)})
    for form in (given, {column: np.array(values) for column, values in given.items()}, pd.DataFrame(given)):
        made = sources.read(form, least=4)
        assert made.efficiency.tolist() == EFFICIENCY
        assert made.kind == "quotes"
    assert sources.read(pl.DataFrame(given), least=4).efficiency.tolist() == EFFICIENCY


def test_what_was_taken_for_what_is_told() -> None:
    def notes(**columns: Any) -> tuple[str, ...]:
        return sources.read(trades(**columns), least=4).notes

    assert notes(side=halves("buy", "sell")) == ()
    assert notes(type=halves("buy", "sell")) == ("sides are those of 'type'",)
    assert notes(side=halves(1, 2)) == ("side: 1 was taken for a purchase, 2 was taken for a sale",)
    taken = ("is_buyer_maker: true was taken for a sale, false for a purchase",)
    assert notes(is_buyer_maker=halves(False, True)) == taken
    assert notes(is_buy=halves(True, False)) == ("is_buy: true was taken for a purchase",)
    waited = ("maker_side is the side of who waited in the book: the other one traded",)
    assert notes(maker_side=halves("sell", "buy")) == waited


def test_signed_quantities_are_sides() -> None:
    signed = [*QUANTITY[:5], *(-quantity for quantity in QUANTITY[5:])]
    made = sources.read(trades(quantity=signed), least=4)
    assert made.efficiency.tolist() == EFFICIENCY
    told = "there is no column of sides: where quantity is negative was taken for a sale, the others for purchases"
    assert made.notes == (told,)
    sold = sources.read(trades(quantity=[-q for q in QUANTITY], price=[10.0] * 9 + [9.0]), least=4)
    assert sold.efficiency.tolist() == [1.0] * 9 + [0.9]
    both = sources.read(trades(quantity=signed, side=halves("buy", "sell")), least=4)
    assert both.efficiency.tolist() == EFFICIENCY
    opposite = sources.read(trades(quantity=[-q for q in signed], side=halves("buy", "sell")), least=4)
    assert opposite.efficiency.tolist() == EFFICIENCY
    all_below = sources.read(trades(quantity=[-q for q in QUANTITY], side=halves("buy", "sell")), least=4)
    assert all_below.efficiency.tolist() == EFFICIENCY
    mixed = [-1.0, *signed[1:]]
    with pytest.raises(
        RecordError, match=r"quantity must not be negative where side says buy, but quantity\[0\] = -1.0"
    ):
        sources.read(trades(quantity=mixed, side=halves("buy", "sell")))
    mixed = [*signed[:9], 4.0]
    with pytest.raises(RecordError, match=r"quantity must be negative where side says sell.*, but quantity\[9\] = 4.0"):
        sources.read(trades(quantity=mixed, side=halves("buy", "sell")))


@pytest.mark.parametrize("unknown", ["unknown", "", None, float("nan"), "N/A", "-", "None"])
def test_a_row_of_unknown_side_is_left_out_alone(unknown: Any) -> None:
    side = halves("buy", "sell")
    side[2] = unknown
    made = sources.read(trades(side=side), least=3)
    assert made.efficiency.tolist() == [*EFFICIENCY[:2], *EFFICIENCY[3:]]
    assert made.left_out == 1
    assert made.notes == ("1 row left out: nobody knows their side",)


def test_all_rows_of_unknown_side_are_no_records() -> None:
    made = sources.read(trades(side=["unknown"] * 10), kind="quotes")
    assert (len(made), made.left_out) == (0, 10)


def test_words_of_other_languages_are_said() -> None:
    given = trades(side=halves("Kauf", "Verkauf"))
    made = sources.read(given, sides={"kauf": "buy", "VERKAUF": "sell"}, least=4)
    assert made.efficiency.tolist() == EFFICIENCY
    same = quotes.records(given, sides={"Kauf": "buy", "Verkauf": "sell"}, least=4)
    assert same.efficiency.tolist() == EFFICIENCY
    some = trades(side=[*halves("Kauf", "Verkauf")[:9], "Storno"])
    left = sources.read(some, sides={"Kauf": "buy", "Verkauf": "sell", "Storno": "unknown"}, least=4)
    assert left.left_out == 1
    numbers = sources.read(trades(side=halves(0, 1)), sides={"0": "buy", "1": "sell"}, least=4)
    assert numbers.efficiency.tolist() == EFFICIENCY
    typed = sources.read(trades(type=halves("C", "V")), sides={"C": "buy", "V": "sell"}, least=4)
    assert typed.efficiency.tolist() == EFFICIENCY


def test_words_that_nobody_knows_are_refused_with_those_that_are_known() -> None:
    known = r"known are buy, b, bought, bot, .*sld, .* \(of an order book bid, bids, .*\); sides=\{'long': 'buy'\}"
    with pytest.raises(RecordError, match=f"side tells neither .*, it has long, short; {known} or --sides.long buy"):
        sources.read(trades(side=halves("long", "short")))
    with pytest.raises(RecordError, match=rf"side must be buy or sell, but side\[0\] = 'long'.*; {known}"):
        sources.read(trades(side=halves("long", "sell")))
    with pytest.raises(RecordError, match=r"side must be buy or sell, but side\[0\] = '0'"):
        sources.read(trades(side=[str(k) for k in halves(0, 1)]), kind="quotes")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"BOT": "long"}, r"sides\['BOT'\] must be 'buy', 'sell' or 'unknown' \(of an order book 'bid' or 'ask'\), not 'long'"),
        ({"BOT": None}, r"sides\['BOT'\] must be 'buy', 'sell' or 'unknown' .*, not None"),
        ("BOT", r"sides must say what words mean, \{'BOT': 'buy'\}, not 'BOT'"),
    ],
)  # fmt: skip
def test_what_is_said_of_words_is_checked(given: Any, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        sources.read(trades(side=halves("buy", "sell")), sides=given)


def test_columns_that_disagree_about_sides_are_refused() -> None:
    agreeing = trades(side=halves("buy", "sell"), is_buyer_maker=halves(False, True), type=["limit"] * 10)
    assert sources.read(agreeing, least=4).efficiency.tolist() == EFFICIENCY
    with pytest.raises(RecordError, match="side may be 'side' and 'is_buyer_maker'; name the one that is side"):
        sources.read(trades(side=halves("buy", "sell"), is_buyer_maker=halves(True, False)))
    typed = trades(side=["taker"] * 10, type=halves("buy", "sell"))
    assert sources.read(typed, least=4).efficiency.tolist() == EFFICIENCY


# --- no column of sides -----------------------------------------------------------------------------------------


def test_a_column_of_another_name_that_holds_sides_is_not_passed_over() -> None:
    given = trades(Richtung=halves("buy", "sell"))
    told = r"mapping: no column is known to be side, but 'Richtung' holds sides \(buy, sell\); say columns=\{'side': 'Richtung'\}"
    with pytest.raises(RecordError, match=f"{told} or --column.side, or side='buy' or 'sell' for all rows"):
        sources.read(given)
    assert sources.read(given, columns={"side": "Richtung"}, least=4).efficiency.tolist() == EFFICIENCY
    assert len(sources.read(given, side="buy")) == 10
    ledger = trades(type=["deposit", *halves("buy", "sell")[1:]])
    with pytest.raises(RecordError, match=r"but 'type' holds sides \(buy, deposit, sell\)"):
        sources.read(ledger)
    left = sources.read(ledger, columns={"side": "type"}, sides={"deposit": "unknown"}, least=4)
    assert left.left_out == 1
    with pytest.raises(RecordError, match=r"but 'type' holds sides \(1, 2\)"):
        sources.read(trades(type=halves(1, 2)))
    with pytest.raises(RecordError, match=r"but 'dir' holds sides \(long, short\)"):
        sources.read(trades(dir=halves("long", "short")))
    assert len(sources.read(trades(type=["limit"] * 10, price=[10.0] * 10))) == 10


def test_sales_are_not_assumed_where_large_sizes_do_better_than_small_ones() -> None:
    price = [10.0] * 5 + [9.9, 10.1, 9.8, 10.2, 9.7]
    given = {"symbol": ["A"] * 10, "price": price, "quantity": [1.0] * 5 + [10.0, 10.0, 20.0, 20.0, 30.0]}
    told = "mapping: there is no column of sides, and as sales 2 of 5 large executions got a better price than small ones do"
    with pytest.raises(RecordError, match=f"{told}: some may be purchases; name a column of sides"):
        sources.read(given)
    assert sources.read(given, side="sell").clipped == 2
    assert sources.read(given | {"side": ["sell"] * 10}).clipped == 2
    fewer = given | {"price": [*price[:8], 9.8, 9.7]}
    made = sources.read(fewer)
    assert made.clipped == 1
    assert made.notes[0] == "there is no column of sides: every execution was taken for a sale"


# --- executions or an order book --------------------------------------------------------------------------------


#: The order book that BitMEX gives, of which Buy and Sell are who waits.
BOOK = {
    "symbol": ["XBTUSD"] * 4,
    "id": [1, 2, 3, 4],
    "side": ["Sell", "Sell", "Buy", "Buy"],
    "size": [200.0, 100.0, 100.0, 200.0],
    "price": [102.0, 101.0, 99.0, 98.0],
}


def test_executions_that_look_like_an_order_book_are_asked_about() -> None:
    shown = "every price stands once, all that buy lie below all that sell, and there are no times"
    told = f"by side these are executions, but they look like an order book: {shown}; say kind='order_book' or"
    for times in ({}, {"timestamp": [1.7e9] * 4}):
        with pytest.raises(RecordError, match=told):
            sources.read(BOOK | times)
    book = sources.read(BOOK, kind="order_book", capital=[50.0], side="sell")
    assert book.efficiency.tolist() == [0.99]
    assert len(sources.read(BOOK, kind="quotes", least=1)) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": [1.7e9, 1.7e9 + 1, 1.7e9 + 2, 1.7e9 + 3]},
        {"order_id": ["a", "b", "c", "d"]},
        {"price": [101.0, 101.0, 99.0, 98.0]},
        {"price": [102.0, 98.5, 99.0, 98.0]},
        {"side": ["Sell", "Sell", "Sell", "Buy"]},
        {"side": ["Sell", "Sell", "Buy", "unknown"]},
    ],
)
def test_what_no_order_book_has_makes_executions(change: dict[str, Any]) -> None:
    assert sources.read(BOOK | change, least=1).kind == "quotes"


def test_bids_and_asks_with_fees_or_orders_are_executions() -> None:
    sided = trades(side=halves("B", "A"))
    with pytest.raises(RecordError, match="10 of 10 snapshots are no order books"):
        sources.read(sided)
    for evidence in ({"oid": list("abcdefghij")}, {"fee": [0.0] * 10, "fee_currency": ["B"] * 10}):
        assert sources.read(sided | evidence, least=4).efficiency.tolist() == EFFICIENCY
    none = [*halves("B", "A")[:9], "N"]
    assert sources.read(trades(side=none), least=4).left_out == 1


def test_words_of_an_order_book_can_be_said_too() -> None:
    book = BOOK | {"side": ["1", "1", "0", "0"]}
    with pytest.raises(RecordError, match=r"it has 0, 1; known are .*; sides=\{'0': 'buy'\}|must be buy or sell"):
        sources.read(book)
    made = sources.read(book, sides={"0": "bid", "1": "ask"}, capital=[50.0], side="sell")
    assert (made.kind, made.efficiency.tolist()) == ("order_book", [0.99])
    same = sources.read(book, kind="order_book", sides={"0": "buy", "1": "sell"}, capital=[50.0], side="sell")
    assert same.efficiency.tolist() == [0.99]
