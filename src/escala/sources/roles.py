"""What the columns of exchanges and tools are called: names by role, and how a name is compared."""

from __future__ import annotations

import functools
import re
from typing import Final

from escala.files.numbers import FACTORS

#: What stands in brackets of a name: ``Date(UTC)``, ``Price [USDT]``.
_BRACKETS: Final = re.compile(r"[(\[{]([^)\]}]*)[)\]}]")
_SEPARATORS: Final = re.compile(r"[\W_]+")
#: Words in brackets of a name, and at its end, that are a factor of its numbers.
_FACTORS: Final = FACTORS | {
    "thousands", "millions", "billions", "trillions", "thd", "mil", "lakh", "crore", "percentage", "percents",
    "permille", "ct", "cts", "pence", "gbx", "satoshis",
}  # fmt: skip
_SHORT_FACTORS: Final = frozenset(("k", "m", "b"))
_TENS: Final = re.compile(r"x?10{2,}s?|0{3,}s?|1e\d+|10e\d+")
_SHARES: Final = re.compile(r"[%‰¢]")
#: Currencies that sizes are told in where they are values, in lower case.
MONEY: Final = frozenset(
    (
        "usd",
        "usdt",
        "usdc",
        "busd",
        "fdusd",
        "tusd",
        "dai",
        "eur",
        "gbp",
        "jpy",
        "krw",
        "chf",
        "try",
        "brl",
        "aud",
        "cad",
        "quote",
    )
)


@functools.lru_cache(4096)
def key(name: str) -> str:
    """Give a name as it is compared: without brackets, separators and case; ``orderId`` and ``Order ID`` are one."""
    bare = _SEPARATORS.sub("", _BRACKETS.sub("", name)) or _SEPARATORS.sub("", name)
    return bare.casefold()


def unit(name: str) -> str | None:
    """Give the unit that a name says, in lower case: what stands in brackets, or money as its last word."""
    in_brackets = _BRACKETS.search(name)
    if in_brackets:
        return in_brackets[1].strip().casefold() or None
    words = _SEPARATORS.split(name.strip().casefold())
    return words[-1] if len(words) > 1 and words[-1] in MONEY else None


def factor(name: str) -> str | None:
    """Give the word of a name that says that its numbers are multiples or shares of something, None if there is none.

    In brackets it may be short, and stand beside money: ``capital (k USD)``, ``size [USDm]``, ``fee ('000)``.
    """
    sign = _SHARES.search(name)
    if sign is not None:
        return sign[0]
    last = _SEPARATORS.split(_BRACKETS.sub("", name).strip())[1:][-1:]
    for word in last:
        if word.casefold() in _FACTORS:
            return word
    for inside in _BRACKETS.findall(name):
        for word in _SEPARATORS.split(inside):
            if _is_factor(word.casefold()):
                return word
    return None


def _is_factor(word: str) -> bool:
    if word in MONEY:  # among it TUSD
        return False
    if word in _FACTORS | _SHORT_FACTORS or _TENS.fullmatch(word):
        return True
    money = next((one for one in MONEY if word.startswith(one) or word.endswith(one)), None)
    beside = word.removeprefix(money).removesuffix(money) if money else ""
    return beside in _SHORT_FACTORS | {"t", "mm", "mn", "bn", "tsd", "mio", "mrd"}


def _keys(names: str) -> frozenset[str]:
    return frozenset(map(key, names.split()))


#: Names by role, in tiers: a name of an earlier tier goes before those of the later ones.
TIERS: Final[dict[str, tuple[frozenset[str], ...]]] = {
    "symbol": (
        _keys("symbol pair market instrument ticker product_id product"),
        _keys("inst_id instrument_id instrument_name currency_pair trading_pair market_id contract coin security"),
    ),
    "capital": (_keys("capital capital_usd capital_usdt capital_eur notional notional_usd"),),
    "efficiency": (_keys("efficiency eta"),),
    "weight": (_keys("weight weights"),),
    "time": (
        _keys("observed_at time timestamp unix_time datetime date ts"),
        _keys(
            "trade_time executed_at execution_time exec_time fill_time filled_at filled_time transact_time trade_date "
            "date_time created_at transaction_time traded_at deal_time date_utc time_utc timestamp_utc create_time"
        ),
    ),
    "side": (
        _keys(
            "side taker_side aggressor_side aggressor trade_side order_side direction buy_sell buy_or_sell bs "
            "buyer_or_seller is_buyer_maker buyer_is_maker buyer_maker maker_side is_buy is_buyer is_sell"
        ),
        _keys(
            "type trade_type action transaction_type transaction order_type operation verb dir sign trade_sign "
            "buyer sub_type"
        ),
    ),
    "price": (
        _keys(
            "price price_usd px rate fill_price filled_price fill_px exec_price execution_price executed_price "
            "trade_price trade_px deal_price last_px t_price unit_price match_price "
            "price_per_unit"
        ),
        _keys("average avg_price average_price avg_px avg_fill_price average_fill_price price_avg deal_avg_price"),
    ),
    "quantity": (
        _keys(
            "executed executed_qty executed_quantity executed_amount executed_volume executed_size exec_qty "
            "exec_quantity exec_size filled filled_qty filled_quantity filled_size filled_amount filled_volume "
            "fill_qty fill_quantity fill_size fill_sz fill_amount deal_size deal_amount deal_stock traded_qty vol_exec"
        ),
        _keys(
            "quantity qty size sz shares units base_qty base_quantity base_amount base_volume base_size amount_base "
            "volume_base size_base lots contracts trade_qty trade_quantity trade_size home_notional last_qty last_size "
            "last_shares amount volume vol trade_amount trade_volume"
        ),
        _keys("cum_qty acc_fill_sz cum_exec_qty cumulative_qty"),
    ),
    "value": (
        _keys(
            "value cost total total_value quote_qty quote_quantity quote_amount quote_volume quote_size quote_value "
            "quote_asset_volume amount_quote volume_quote size_quote funds deal_funds deal_money trade_money "
            "trade_value deal_value "
            "exec_value executed_value filled_value notional notional_value notional_usd gross_value "
            "gross_amount foreign_notional turnover proceeds subtotal trading_total money cummulative_quote_qty "
            "cumulative_quote_qty cum_quote amount_usd value_usd usd_value volume_usd usd_volume ntl "
            "size_usd total_usd dollar_volume"
        ),
    ),
    "amount_in": (_keys("amount_in in_amount"),),
    "amount_out": (_keys("amount_out out_amount"),),
    "token_in": (
        _keys(
            "token_in in_token asset_in coin_in currency_in input_token input_mint from_token sell_token token_sold "
            "sold_token token_in_address token_in_symbol zero_for_one"
        ),
    ),
    "token_out": (
        _keys(
            "token_out out_token asset_out coin_out currency_out output_token output_mint to_token buy_token "
            "token_bought bought_token token_out_address token_out_symbol"
        ),
    ),
    "snapshot": (_keys("snapshot snapshot_id book_id"),),
    "is_snapshot": (
        _keys("is_snapshot"),
        _keys("update_type msg_type message_type event_type"),
        _keys("type action event"),
    ),
    "trade_id": (_keys("trade_id exec_id execution_id fill_id tid match_id txid"),),
    "order": (
        _keys("parent parent_id parent_order parent_order_id"),
        _keys(
            "order order_id order_no order_number order_tx_id ib_order_id ord_id oid taker_order_id perm_id "
            "exchange_order_id order_ref order_uuid"
        ),
        _keys("client_order_id client_oid cl_ord_id client_id_order cloid order_link_id"),
    ),
    "fee": (
        _keys(
            "fee fee_cost fee_amount fee_paid commission ib_commission comm_fee exec_fee fill_fee trading_fee "
            "transaction_fee commission_amount commission_paid"
        ),
        _keys("fees commissions comm fees_comm total_fee total_fees fee_percent fee_pct fee_bps fee_usd fee_usdt"),
    ),
    "fee_currency": (
        _keys(
            "fee_currency fee_coin fee_asset fee_ccy fee_unit fee_token commission_asset commission_currency "
            "ib_commission_currency fill_fee_ccy price/fee/total_unit comm_currency"
        ),
    ),
    "status": (_keys("status order_status"), _keys("state order_state")),
    "in_quote": (_keys("size_in_quote quantity_in_quote"),),
    "currency": (_keys("currency_primary quote_currency"), _keys("currency settlement_currency")),
}

#: Names of a size that are used for the quantity of what is traded and for its value alike.
EITHER: Final = _keys("amount volume vol trade_amount trade_volume deal_amount")
#: Names of quantities and prices of all that was filled of an order so far, in rows that are single fills.
SO_FAR: Final = TIERS["quantity"][2]
#: Names of columns that tell sides by yes and no: what yes means.
BUYS_IF_TRUE: Final = {
    **dict.fromkeys(_keys("is_buyer_maker buyer_is_maker buyer_maker is_sell"), False),
    **dict.fromkeys(_keys("is_buy is_buyer buyer"), True),
}
#: Names of columns that have the side of who waited in the book: the other one traded.
OF_THE_MAKER: Final = _keys("maker_side")


def tier(role: str, name: str) -> int | None:
    """Give the tier of a name among those of a role, None where it is none of them."""
    compared = key(name)
    return next((place for place, known in enumerate(TIERS[role]) if compared in known), None)
