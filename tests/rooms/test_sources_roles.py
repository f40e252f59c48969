"""Which column is what: files as exchanges and tools export them, and what they say of the cost of size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from escala import EfficiencyRecords, RecordError, RecordFileError, sources
from escala.sources import quotes, roles


def read(folder: Path, text: str, **options: Any) -> EfficiencyRecords:
    """Read a file of a few executions, of which the smaller half are the small ones, two at least."""
    path = folder / "t.csv"
    path.write_text(text)
    return sources.read(path, **{"small": 0.5, "least": 2, **options})


#: A trade history of Binance: what was sold lost 1 % at 1 BTC, 2 % at 2 BTC.
BINANCE = """Date(UTC),Pair,Side,Price,Executed,Amount,Fee
2024-01-02 10:00:00,BTCUSDT,SELL,40000,0.01,400,0
2024-01-02 10:01:00,BTCUSDT,SELL,40000,0.02,800,0
2024-01-02 10:02:00,BTCUSDT,SELL,39600,1,39600,0
2024-01-02 10:03:00,BTCUSDT,SELL,39200,2,78400,0
"""


def test_the_trade_history_of_binance(tmp_path: Path) -> None:
    made = read(tmp_path, BINANCE)
    # 1 BTC at the price of small sizes, 40,000, and 39,600 / 40,000 of it
    assert made.capital.tolist() == [400.0, 800.0, 40_000.0, 80_000.0]
    assert made.efficiency.tolist() == [1.0, 1.0, 0.99, 0.98]
    assert made.observed_at is not None
    assert made.observed_at.tolist() == [1704189600.0 + 60.0 * k for k in range(4)]
    assert made.notes[0] == "quantities are those of 'Executed': 'Amount' is price × Executed"


def test_numbers_with_units_and_thousands_are_told_apart_as_well(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "Date(UTC),Pair,Side,Price,Executed,Amount,Fee\n"
        '2024-01-02 10:00:00,BTCUSDT,SELL,"40,000.00",0.0100000000BTC,400.00000000USDT,0.40000000USDT\n'
        '2024-01-02 10:01:00,BTCUSDT,SELL,"40,000.00",0.0200000000BTC,800.00000000USDT,0.80000000USDT\n'
        '2024-01-02 10:02:00,BTCUSDT,SELL,"39,600.00",1.0000000000BTC,"39,600.00000000USDT",39.60000000USDT\n',
    )
    assert made.capital.tolist() == [400.0, 800.0, 40_000.0]
    np.testing.assert_allclose(made.efficiency, [0.999, 0.999, 0.99 * 0.999], rtol=1e-15)
    assert made.notes[:2] == (
        "quantities are those of 'Executed': 'Amount' is price × Executed",
        "fees of 'Fee' are counted, in quote currency",
    )


def test_fees_have_the_decimals_of_their_file(tmp_path: Path) -> None:
    rows = "2024-01-02 10:00:0{};A/EUR;sell;{};{};{} EUR\n"
    content = [
        rows.format(0, "40,5", "1,0", "0,81"),
        rows.format(1, "40,5", "1,0", "0,81"),
        rows.format(2, "36,45", "10,0", "3,645"),
    ]
    made = read(tmp_path, "time;symbol;side;price;qty;fee\n" + "".join(content))
    np.testing.assert_allclose(made.efficiency, [0.98, 0.98, 0.9 * 0.99], rtol=1e-15)
    assert made.capital.tolist() == [40.5, 40.5, 405.0]


def test_units_beside_numbers_do_not_hide_which_column_is_the_value() -> None:
    sample = {"Price": ["40,000.00", "39,600.00"], "Executed": ["0.01BTC", "1BTC"], "Amount": ["400USDT", "39,600USDT"]}
    choice = sources.candidates.candidates(sources.tables.table(sample), None)
    assert choice.columns["quantity"] == ["Executed"]
    assert choice.columns["value"] == ["Amount"]


def test_the_older_trade_history_of_binance_calls_the_quantity_amount(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "Date(UTC),Market,Type,Price,Amount,Total,Fee,Fee Coin\n"
        "2024-01-02 10:00:00,BTCUSDT,BUY,40000,0.01,400,0.00001,BTC\n"
        "2024-01-02 10:01:00,BTCUSDT,BUY,40000,0.02,800,0.00002,BTC\n"
        "2024-01-02 10:02:00,BTCUSDT,BUY,40400,1,40400,0.001,BTC\n",
    )
    assert made.capital.tolist() == [400.0, 800.0, 40_400.0]
    # a thousandth of what is bought is the fee: 0.999 BTC at 40,000 for 40,400
    np.testing.assert_allclose(made.efficiency, [0.999, 0.999, 0.999 * 40_000 / 40_400], rtol=1e-15)
    assert made.notes == ("sides are those of 'Type'", "fees of 'Fee' are counted, in base currency")


CCXT = """id,timestamp,datetime,symbol,order,type,side,takerOrMaker,price,amount,cost,fee
1,1704189600000,2024-01-02T10:00:00.000Z,ETH/USDT,a,limit,buy,taker,2000,1,2000,"{'currency': 'USDT', 'cost': 2.0}"
2,1704189601000,2024-01-02T10:00:01.000Z,ETH/USDT,b,limit,buy,taker,2000,1,2000,"{'currency': 'USDT', 'cost': 2.0}"
3,1704189602000,2024-01-02T10:00:02.000Z,ETH/USDT,c,,buy,taker,2010,5,10050,"{'currency': 'USDT', 'cost': 10.05}"
4,1704189603000,2024-01-02T10:00:03.000Z,ETH/USDT,c,,buy,taker,2030,5,10150,"{'currency': 'USDT', 'cost': 10.15}"
"""


def test_trades_of_ccxt(tmp_path: Path) -> None:
    made = read(tmp_path, CCXT)
    # the two fills of order c: 10 ETH for 20,200 and 20.2 of fees
    np.testing.assert_allclose(made.capital, [2002.0, 2002.0, 20_220.2], rtol=1e-15)
    np.testing.assert_allclose(made.efficiency, [2000 / 2002, 2000 / 2002, 20_000 / 20_220.2], rtol=1e-15)
    assert made.observed_at is not None
    assert made.observed_at.tolist() == [1704189600.0, 1704189601.0, 1704189602.0]
    assert made.notes == (
        "times are those of 'datetime': it has dates, 'timestamp' counts",
        "fees of 'fee' are counted, in quote currency",
        "2 fills of the same 'order' joined to 1 execution",
        "columns not used: id, timestamp, type, takerOrMaker",
    )


def test_fills_of_coinbase(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "portfolio,trade id,product,side,created at,size,size unit,price,fee,total,price/fee/total unit\n"
        "default,1,BTC-USD,BUY,2024-01-02T10:00:00.000Z,0.01,BTC,40000,2,-402,USD\n"
        "default,2,BTC-USD,BUY,2024-01-02T10:01:00.000Z,0.02,BTC,40000,4,-804,USD\n"
        "default,3,BTC-USD,BUY,2024-01-02T10:02:00.000Z,1,BTC,40400,202,-40602,USD\n",
    )
    assert made.symbol.tolist() == ["BTC-USD"] * 3
    assert made.capital.tolist() == [402.0, 804.0, 40_602.0]
    np.testing.assert_allclose(made.efficiency, [400 / 402, 800 / 804, 40_000 / 40_602], rtol=1e-15)


def test_trades_of_kraken(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        '"txid","ordertxid","pair","time","type","ordertype","price","cost","fee","vol","margin","misc","ledgers"\n'
        '"T1","O1","XXBTZUSD","2024-01-02 10:00:00.25","sell","market",40000,400,1,0.01,0,"","L1"\n'
        '"T2","O2","XXBTZUSD","2024-01-02 10:01:00.25","sell","market",40000,800,2,0.02,0,"","L2"\n'
        '"T3","O3","XXBTZUSD","2024-01-02 10:02:00.25","sell","market",39900,39900,99.75,1,0,"","L3"\n'
        '"T4","O3","XXBTZUSD","2024-01-02 10:02:00.75","sell","market",39700,39700,99.25,1,0,"","L4"\n',
    )
    assert made.capital.tolist() == [400.0, 800.0, 80_000.0]
    # the order sold 2 BTC for 79,600, less 199 of fees
    np.testing.assert_allclose(made.efficiency, [399 / 400, 798 / 800, 79_401 / 80_000], rtol=1e-15)


def test_a_flex_query_of_interactive_brokers(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "ClientAccountID,CurrencyPrimary,Symbol,DateTime,TradeID,IBOrderID,Buy/Sell,Quantity,TradePrice,Proceeds,"
        "IBCommission,IBCommissionCurrency,NetCash\n"
        "U1,USD,AAPL,2024-01-02 10:00:00,1,11,BOT,10,190,-1900,-1,USD,-1901\n"
        "U1,USD,AAPL,2024-01-02 10:01:00,2,12,BOT,20,190,-3800,-1,USD,-3801\n"
        "U1,USD,AAPL,2024-01-02 10:02:00,3,13,BOT,1000,191,-191000,-5,USD,-191005\n"
        "U1,USD,AAPL,2024-01-02 10:03:00,4,14,SLD,-10,190,1900,-1,USD,1899\n"
        "U1,USD,AAPL,2024-01-02 10:04:00,5,15,SLD,-20,190,3800,-1,USD,3799\n"
        "U1,USD,AAPL,2024-01-02 10:05:00,6,16,SLD,-1000,188,188000,-5,USD,187995\n",
    )
    assert made.capital.tolist() == [1901.0, 3801.0, 191_005.0, 1900.0, 3800.0, 190_000.0]
    bought = [1900 / 1901, 3800 / 3801, 190_000 / 191_005]
    np.testing.assert_allclose(made.efficiency, [*bought, 1899 / 1900, 3799 / 3800, 187_995 / 190_000], rtol=1e-15)


def test_trades_of_tardis_leave_out_rows_of_unknown_side(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
        "binance,BTCUSDT,1704189600000000,1704189600001000,1,buy,40000,0.01\n"
        "binance,BTCUSDT,1704189601000000,1704189601001000,2,unknown,39000,0.01\n"
        "binance,BTCUSDT,1704189602000000,1704189602001000,3,buy,40000,0.02\n"
        "binance,BTCUSDT,1704189603000000,1704189603001000,4,buy,40400,1\n",
        time_unit="us",
    )
    np.testing.assert_allclose(made.efficiency, [1.0, 1.0, 40_000 / 40_400], rtol=1e-15)
    assert made.left_out == 1
    assert made.observed_at is not None
    assert made.observed_at.tolist() == [1704189600.0, 1704189602.0, 1704189603.0]
    assert "1 row left out: nobody knows their side" in made.notes
    assert "'amount' was taken for the quantity of what is traded, not for its value" in made.notes


def test_aggregated_trades_of_binance_sell_where_the_buyer_waited(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
        "1,40000,0.01,1,1,1704189600000,true\n"
        "2,40000,0.01,2,2,1704189601000,True\n"
        "3,39600,1,3,3,1704189602000,true\n"
        "4,40010,0.01,4,4,1704189603000,false\n"
        "5,40010,0.01,5,5,1704189604000,false\n"
        "6,50012.5,1,6,6,1704189605000,false\n",
        time_unit="ms",
        symbol="BTCUSDT",
    )
    assert made.efficiency.tolist() == [1.0, 1.0, 0.99, 1.0, 1.0, 0.8]
    assert made.capital.tolist() == [400.0, 400.0, 40_000.0, 400.1, 400.1, 50_012.5]
    assert made.notes[0] == "is_buyer_maker: true was taken for a sale, false for a purchase"


def test_orders_are_filled_at_their_average(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "id,datetime,symbol,side,price,average,amount,filled,remaining,cost\n"
        "1,2024-01-02T10:00:00Z,ETH/USDT,sell,1990,2000,1,1,0,2000\n"
        "2,2024-01-02T10:00:01Z,ETH/USDT,sell,1990,2000,1,1,0,2000\n"
        "3,2024-01-02T10:00:02Z,ETH/USDT,sell,1900,1980,20,10,10,19800\n",
    )
    assert made.capital.tolist() == [2000.0, 2000.0, 20_000.0]
    assert made.efficiency.tolist() == [1.0, 1.0, 0.99]
    assert "prices are those of 'average', not of 'price'" in made.notes


def test_what_is_filled_so_far_is_no_fill(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "execId,time,symbol,side,shares,price,orderId,cumQty,avgPrice\n"
        "a,2024-01-02T10:00:00Z,AAPL,BOT,10,190,1,10,190\n"
        "b,2024-01-02T10:00:01Z,AAPL,BOT,10,190,2,10,190\n"
        "c,2024-01-02T10:00:02Z,AAPL,BOT,100,191,3,100,191\n"
        "d,2024-01-02T10:00:03Z,AAPL,BOT,100,193,3,200,192\n",
    )
    np.testing.assert_allclose(made.capital, [1900.0, 1900.0, 38_400.0], rtol=1e-15)
    np.testing.assert_allclose(made.efficiency, [1.0, 1.0, 190 / 192], rtol=1e-15)
    assert "prices are those of 'price', not of 'avgPrice'" in made.notes


# --- quantity and value -----------------------------------------------------------------------------------------


def executions(**columns: Any) -> dict[str, Any]:
    """Give eight sales that lose more the larger they are, without their sizes."""
    price = [100.0, 100.0, 99.0, 98.0, 97.0, 96.0, 95.0, 94.0]
    return {"symbol": ["A/B"] * 8, "side": ["sell"] * 8, "price": price, **columns}


QUANTITY = np.arange(1.0, 9.0)
VALUE = QUANTITY * np.array(executions()["price"])


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("amount", "cost"), ("vol", "cost"), ("Executed", "Amount"), ("size", "total"), ("size", "funds"),
        ("qty", "quoteQty"), ("executedQty", "cummulativeQuoteQty"), ("filled", "amount"), ("shares", "Proceeds"),
        ("Amount (BTC)", "Amount (USD)"), ("volume", "amount"), ("homeNotional", "size"), ("base_volume", "volume"),
        ("Filled Qty", "Filled Value"), ("sz", "notional_usd"), ("amount", "Total(USDT)"), ("dealSize", "dealFunds"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value_first", [False, True])
def test_quantity_and_value_are_told_apart(quantity: str, value: str, value_first: bool) -> None:
    columns = {quantity: QUANTITY, value: VALUE}
    if value_first:
        columns = dict(reversed(columns.items()))
    made = sources.read(executions(**columns), least=2)
    assert made.capital.tolist() == (QUANTITY * 100.0).tolist()
    assert made.efficiency.tolist() == [1.0, 1.0, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94]


def test_numbers_tell_a_value_from_a_column_of_any_name() -> None:
    made = sources.read(executions(amount=VALUE, coins=QUANTITY), least=2)
    assert made.capital.tolist() == (QUANTITY * 100.0).tolist()
    assert made.notes == ("quantities are those of 'coins': 'amount' is price × coins",)


def test_a_coincidence_of_a_few_rows_tells_nothing() -> None:
    few = {
        "symbol": ["A"] * 3,
        "side": ["sell"] * 3,
        "price": [2.0, 2.0, 2.0],
        "size": [2.0, 2.0, 4.0],
        "level": [1, 1, 2],
    }
    made = sources.read(few, least=2)
    assert made.capital.tolist() == [4.0, 4.0, 8.0]


def test_values_with_fees_in_them_are_values() -> None:
    made = sources.read(executions(size=QUANTITY, total=VALUE * 0.994), least=2)
    assert made.capital.tolist() == (QUANTITY * 100.0).tolist()


def test_at_prices_of_one_the_names_tell() -> None:
    near = {"symbol": ["USDC/USDT"] * 5, "side": ["sell"] * 5, "price": [1.0, 1.0, 1.0, 1.0, 0.999]}
    quantity = np.array([10.0, 10.0, 20.0, 30.0, 1000.0])
    for names in (("Executed", "Amount"), ("amount", "cost"), ("Amount (USDC)", "Total (USDT)")):
        made = sources.read(near | dict(zip(names, (quantity, quantity * near["price"]), strict=True)), least=2)
        assert made.capital.tolist() == quantity.tolist(), names
        assert made.efficiency[-1] == 0.999


def test_two_quantities_are_refused_with_both_names() -> None:
    for one, other in (("amount", "volume"), ("qty", "size"), ("amount", "size")):
        columns = executions(**{one: QUANTITY, other: QUANTITY * 3.0})
        told = f"quantity may be '{one}' and '{other}'; name the one that is quantity: columns={{'quantity': '{one}'}}"
        with pytest.raises(RecordError, match=f"{told}, or --column.quantity"):
            sources.read(columns)
        made = sources.read(columns, columns={"quantity": one}, least=2)
        assert made.capital.tolist() == (QUANTITY * 100.0).tolist()


def test_a_name_for_both_beside_a_value_that_does_not_go_with_it_is_doubted() -> None:
    columns = executions(amount=QUANTITY, total=QUANTITY[::-1])
    with pytest.raises(RecordError, match="quantity may be 'amount', but 'total' is not price × amount; name the one"):
        sources.read(columns)
    assert len(sources.read(columns, columns={"quantity": "amount"}, least=2)) == 8
    assert len(sources.read(executions(size=QUANTITY, total=QUANTITY[::-1]), least=2)) == 8


def test_the_multiplier_of_contracts_is_told() -> None:
    told = "'Proceeds' is 100 × price × Quantity: unit_value=100 counts all of it as capital"
    made = sources.read(executions(Quantity=QUANTITY, Proceeds=VALUE * 100.0), least=2)
    assert made.notes == (told,)
    assert made.capital.tolist() == (QUANTITY * 100.0).tolist()
    assert len(sources.read(executions(amount=QUANTITY, cost=VALUE * 10.0), least=2)) == 8
    with pytest.raises(RecordError, match="quantity may be 'amount', but 'cost' is not price × amount"):
        sources.read(executions(amount=QUANTITY, cost=QUANTITY * 3.0))


def test_two_prices_are_refused_unless_something_tells() -> None:
    other = [90.0] * 8
    columns = executions(quantity=QUANTITY, average_price=other)
    with pytest.raises(RecordError, match="price may be 'price' and 'average_price'; name the one that is price"):
        sources.read(columns)
    by_value = sources.read(columns | {"cost": VALUE}, least=2)
    assert by_value.capital.tolist() == (QUANTITY * 100.0).tolist()
    assert "prices are those of 'price', not of 'average_price'" in by_value.notes


def test_a_value_says_what_is_not_there() -> None:
    by_price = sources.read(executions(**{"Size (USD)": VALUE}), least=2)
    np.testing.assert_allclose(by_price.capital, QUANTITY * 100.0, rtol=1e-15)
    assert by_price.notes == ("quantities are Size (USD) / price",)
    columns = executions(filled=QUANTITY, quote_qty=VALUE)
    del columns["price"]
    by_quantity = sources.read(columns, least=2)
    np.testing.assert_allclose(by_quantity.efficiency, np.array([1.0, 1.0, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94]))
    assert by_quantity.notes == ("prices are quote_qty / filled",)


def test_rows_may_say_that_their_size_is_in_quote_currency() -> None:
    in_quote = ["false"] * 4 + ["true"] * 4
    size = np.where(np.arange(8) < 4, QUANTITY, VALUE)
    made = sources.read(executions(size=size, size_in_quote=in_quote), least=2)
    np.testing.assert_allclose(made.capital, QUANTITY * 100.0, rtol=1e-15)
    assert made.notes == ("4 rows with size in quote currency, by size_in_quote: divided by the price",)
    with pytest.raises(RecordError, match=r"size_in_quote must be true or false, but size_in_quote\[0\] = 'maybe'"):
        sources.read(executions(size=size, size_in_quote=["maybe"] * 8))


def test_a_value_that_cannot_be_is_named() -> None:
    columns = executions(filled=QUANTITY, cost=[0.0, *VALUE[1:]])
    del columns["price"]
    with pytest.raises(RecordError, match=r"cost must give a price in .*, but cost\[0\] = 0.0"):
        sources.read(columns)
    with pytest.raises(RecordError, match=r"cost must be in .*, but cost\[0\] = 0.0"):
        sources.read(executions(cost=[0.0, *VALUE[1:]]))


def test_an_order_book_with_totals_is_one_too() -> None:
    book = {
        "symbol": ["A/B"] * 4,
        "side": ["bid", "bid", "ask", "ask"],
        "price": [99.0, 98.0, 101.0, 102.0],
        "Amount": [99.0, 196.0, 101.0, 204.0],
        "Volume": [1.0, 2.0, 1.0, 2.0],
    }
    made = sources.read(book, capital=[50.0], side="sell")
    assert made.efficiency.tolist() == [0.99]
    assert made.notes == ("quantities are those of 'Volume': 'Amount' is price × Volume", "columns not used: Amount")


# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("order", ["order_id", "orderId", "Order ID", "OrderNo.", "ordertxid", "IBOrderID", "client-order-id", "clOrdId"]),
        ("time", ["Date(UTC)", "Date (UTC)", "datetime", "Time [UTC]", "transactTime", "created at", "Date/Time"]),
        ("side", ["Side", "Buy/Sell", "B/S", "isBuyerMaker", "taker_side", "Direction", "type", "action", "tradeType"]),
        ("fee", ["Fee", "Fee(USDT)", "commission", "IBCommission", "Comm/Fee", "fee.cost", "Fees & Comm"]),
        ("fee_currency", ["Fee Coin", "commissionAsset", "feeCurrency", "fee.currency", "price/fee/total unit"]),
        ("price", ["Price", "Price (USD)", "TradePrice", "T. Price", "fillPx", "execPrice", "average"]),
        ("symbol", ["Symbol", "instId", "Trading Pair", "product_id", "currencyPair"]),
        ("value", ["quoteQty", "Total (EUR)", "Proceeds", "deal_funds", "cummulativeQuoteQty"]),
    ],
)  # fmt: skip
def test_names_are_known_however_they_are_written(role: str, names: list[str]) -> None:
    assert [name for name in names if roles.tier(role, name) is None] == []


def test_surer_names_go_before_others() -> None:
    both = executions(qty=QUANTITY, order_id=list("abcdefgh"), clientOrderId=["x"] * 8)
    assert len(sources.read(both, least=2)) == 8
    parents = both | {"parent_order_id": list("aabbccdd")}
    assert len(sources.read(parents, least=2)) == 4


def test_a_role_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(RecordError, match=r"columns names what there is not, 'fees'; known are symbol, .*order, fee"):
        sources.read(executions(qty=QUANTITY), columns={"fees": "x"})


def test_every_form_of_a_table_is_understood_alike(tmp_path: Path) -> None:
    expected = read(tmp_path, BINANCE)
    frame = pd.read_csv(tmp_path / "t.csv")
    arrow = pa.table({name: frame[name] for name in frame})
    parquet.write_table(arrow, tmp_path / "t.parquet")
    forms = (frame, arrow, pl.DataFrame(arrow), frame.to_dict("list"), tmp_path / "t.parquet")
    for form in forms:
        made = sources.read(form, small=0.5, least=2)
        assert made.capital.tolist() == expected.capital.tolist()
        assert made.efficiency.tolist() == expected.efficiency.tolist()
        assert made.notes == expected.notes


def test_an_empty_parquet_file_has_no_records(tmp_path: Path) -> None:
    empty = {
        "symbol": pa.array([], pa.string()),
        "price": pa.array([], pa.float64()),
        "amount": pa.array([], pa.float64()),
    }
    parquet.write_table(pa.table(empty), tmp_path / "t.parquet")
    assert len(sources.read(tmp_path / "t.parquet")) == 0


def test_columns_of_records_are_not_asked_for_more() -> None:
    made = sources.read({"symbol": ["A"], "capital": [1.0], "efficiency": [1.0], "total": [3.0], "type": ["x"]})
    assert made.notes == ("columns not used: total, type",)
    with pytest.raises(RecordError, match="sides is no option of records"):
        sources.read({"symbol": ["A"], "capital": [1.0], "efficiency": [1.0]}, sides={"x": "buy"})


def test_quotes_know_the_same_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(BINANCE)
    made = quotes.records(tmp_path / "t.csv", small=0.5, least=2)
    assert made.efficiency.tolist() == [1.0, 1.0, 0.99, 0.98]
    with pytest.raises(RecordFileError, match="quotes need price and quantity, or amount_in and amount_out"):
        quotes.records(tmp_path / "t.csv", columns={"symbol": "Pair", "side": "Side", "order": "Price"})


# --- what contradicts itself ---------------------------------------------------------------------------------------

THERE: dict[str, Any] = {"amount_in": [1, 1, 2, 2, 2], "amount_out": [100, 100, 200, 200, 198]}
BACK: dict[str, Any] = {"amount_in": [100, 100, 200, 200, 200], "amount_out": [1, 1, 2, 2, 1.98]}


@pytest.mark.parametrize(
    ("name", "there", "back"),
    [("side", "sell", "buy"), ("isBuy", False, True), ("token_in", "A", "B"), ("to_token", "B", "A"),
     ("zeroForOne", True, False)],
)  # fmt: skip
def test_both_directions_of_a_swap_under_one_symbol_are_refused(name: str, there: Any, back: Any) -> None:
    both = {role: THERE[role] + BACK[role] for role in THERE} | {name: [there] * 5 + [back] * 5}
    message = rf"{name} must be one for all swaps of a symbol, as 'A/B' has others too: .* give each direction a symbol of its own \(A/B and B/A\), but {name}\[5\] = {back!r}"
    with pytest.raises(RecordError, match=message):
        sources.read({**both, "symbol": ["A/B"] * 10})
    made = sources.read({**both, "symbol": ["A/B"] * 5 + ["B/A"] * 5})
    assert made.efficiency.round(12).tolist() == [1.0, 1.0, 1.0, 1.0, 0.99] * 2
    assert made.notes == (
        (f"{name!r} is not needed: what is given in a swap is sold",) if name in {"side", "isBuy"} else ()
    )


def sold(**columns: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"price": [40.0] * 4 + [39.0], "quantity": [1.0] * 4 + [10.0]}
    return {"symbol": ["A"] * 5, "side": ["sell"] * 5, **usual, **columns}


def test_several_currencies_of_one_symbol_are_refused(tmp_path: Path) -> None:
    written = ["40 USD", "40 EUR", "$40", "40", "39 JPY"]
    message = r"price of 'A' must be in one unit, not in USD and EUR: split them, or convert one, but price\[1\] = '40 EUR'; price\[4\] = '39 JPY'"
    with pytest.raises(RecordError, match=message):
        sources.read(sold(price=written))
    text = "symbol,capital,efficiency\nA,1 USD,1\nB,2 EUR,1\nB,3,1\nB,4 USD,1\n"
    with pytest.raises(RecordFileError, match=r"capital of 'B' must be in one unit, .* row 5: capital = '4 USD'"):
        read(tmp_path, text, small=0.1)
    made = sources.read(sold(price=["40 USD", "US$40", "$40", "40", "39$"]))
    assert made.notes == ("price: USD, US$, $ taken off its numbers",)
    each = sources.read(sold(symbol=[*"AAABB"], price=["40 USD", "40 USD", "$40", "€40", "40 EUR"]), least=2)
    assert each.capital.tolist() == [40.0, 40.0, 40.0, 40.0, 400.0]


def test_what_was_not_done_is_left_out() -> None:
    status = ["FILLED"] * 4 + ["Canceled"]
    made = sources.read(sold(status=status), least=4)
    assert (len(made), made.left_out, made.notes) == (4, 1, ("1 row left out: their 'status' is canceled",))
    swaps = sources.read({"symbol": ["A"] * 5, **THERE, "status": ["success"] * 4 + ["reverted"]}, least=4)
    assert (len(swaps), swaps.notes) == (4, ("1 row left out: their 'status' is reverted",))
    filled = sold(status=status)
    filled["executed"] = filled.pop("quantity")
    assert len(sources.read(filled)) == 5  # what was filled before it was canceled


def test_values_that_contradict_are_told() -> None:
    assert sources.read(sold(value=[48.0, 30, 48, 30, 400])).notes == (
        "'value' is not price × quantity: it was not used",
    )
    but = "but not in 1 of the 5 rows looked at"
    value = [40.0, 40, 48, 40, 390]
    assert sources.read(sold(value=value)).notes == (f"'value' is price × quantity, {but}: it was not used",)
    told = f"quantities are those of 'quantity': 'amount' is price × quantity, {but}"
    assert sources.read(sold(amount=value)).notes == (told,)
    bought = sources.read(sold(side=["buy"] * 5, price=[40.0] * 4 + [41.0], quantity=[-1.0] * 4 + [-10.0]))
    assert bought.notes == ("5 rows with quantity below 0 are purchases, as side says",)
