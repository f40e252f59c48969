"""Sides as exchanges and tools write them: words, numbers, yes and no, signs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.curves.records import coded
from escala.errors import RecordError
from escala.sources import roles
from escala.sources.columns import Columns

#: What words mean, by the words in lower case; None: nobody knows, the row is left out.
Meanings: TypeAlias = Mapping[str, str | None]

#: How the sides of executions are written, in lower case: True for those that buy.
TRADE_WORDS: Final = {
    "buy": True, "b": True, "bought": True, "bot": True, "buyer": True, "purchase": True, "1": True, "+1": True,
    "sell": False, "s": False, "sold": False, "sld": False, "seller": False, "sale": False, "2": False, "-1": False,
    "a": False,
}  # fmt: skip
#: How the sides of order books are written, in lower case: True for those of the bids.
BOOK_WORDS: Final = {
    "bid": True, "bids": True, "b": True, "buy": True,
    "ask": False, "asks": False, "a": False, "offer": False, "sell": False, "s": False,
}  # fmt: skip
#: How it is written that the side of an execution is not known.
UNKNOWN: Final = frozenset(("unknown", "", "none", "null", "nan", "n/a", "na", "<na>", "n", "-", "?", "undefined"))

_YES_OR_NO: Final = {"true": True, "t": True, "yes": True, "y": True, "1": True,
                     "false": False, "f": False, "no": False, "n": False, "0": False}  # fmt: skip
#: What only an order book calls its sides.
_OF_BOOKS: Final = frozenset(BOOK_WORDS) - frozenset(TRADE_WORDS)
#: Words beside a side that do not change it: "LIMIT_BUY", "Advanced Trade Sell", "sell short".
_BESIDE: Final = frozenset(
    (
        "market",
        "limit",
        "stop",
        "loss",
        "advanced",
        "simple",
        "instant",
        "trade",
        "order",
        "to",
        "open",
        "close",
        "cover",
        "short",
        "ioc",
        "fok",
        "post",
        "only",
    )
)
_WORDS: Final = re.compile(r"[a-z]+")
_MEANT: Final = {"buy": "buy", "bid": "buy", "sell": "sell", "ask": "sell", "unknown": None}
#: Words that stand for nothing but a side, whatever their column is called.
_PLAIN: Final = frozenset(("buy", "sell", "bought", "sold", "bot", "sld", "b", "s", "buyer", "seller"))
_NUMBERS: Final = frozenset(("1", "2", "-1", "+1"))
_SHORT: Final = frozenset("abs")  # single letters, which may stand for much else
_SHOWN: Final = 6


def meanings(sides: Mapping[Any, str] | None) -> dict[str, str | None]:
    """Check what a caller says that words mean.

    Raises
    ------
    RecordError
        If it is no mapping, or a word means no side.
    """
    if sides is None:
        return {}
    if not isinstance(sides, Mapping):
        raise RecordError(f"sides must say what words mean, {{'BOT': 'buy'}}, not {sides!r}", arguments=("sides",))
    result: dict[str, str | None] = {}
    for word, meant in sides.items():
        if not isinstance(meant, str) or meant.strip().lower() not in _MEANT:
            wanted = "'buy', 'sell' or 'unknown' (of an order book 'bid' or 'ask')"
            raise RecordError(f"sides[{word!r}] must be {wanted}, not {meant!r}", arguments=("sides",))
        result[_word(word)] = meant.strip().lower()
    return result


def _word(value: Any) -> str:
    """Give a value of a column of sides as the word that is looked up."""
    if isinstance(value, str):
        text = value.strip().lower()
        return text[:-2] if text in {"1.0", "-1.0", "2.0", "0.0"} else text
    if isinstance(value, float | np.floating):
        return "nan" if value != value else f"{value:g}"  # noqa: PLR0124 - NaN is what differs from itself
    return str(value).strip().lower()


def meaning(word: str) -> bool | None:
    """Tell whether a word buys or sells, None where it says neither."""
    if word in TRADE_WORDS:
        return TRADE_WORDS[word]
    parts = set(_WORDS.findall(word))
    said = {TRADE_WORDS[part] for part in parts & {"buy", "bought", "sell", "sold"}}
    if not said and len(parts & {"open", "close"}) == 1 and len(parts & {"long", "short"}) == 1:
        return ("open" in parts) == ("long" in parts)
    beside = parts - {"buy", "bought", "sell", "sold"}
    return said.pop() if len(said) == 1 and beside <= _BESIDE else None


def only_sides(name: str, values: Iterable[Any], given: Meanings) -> bool:
    """Tell that a column whose name may be that of sides holds sides and nothing else."""
    words = {_word(value) for value in values}
    known = words - UNKNOWN - frozenset(given)
    if roles.key(name) in roles.BUYS_IF_TRUE:
        return known <= frozenset(_YES_OR_NO)
    is_told = bool(words & frozenset(given)) or any(word not in _NUMBERS for word in known)
    has_some = is_told or (bool(known) and roles.tier("side", name) == 0)  # numbers may be types of anything
    return has_some and all(word in BOOK_WORDS or meaning(word) is not None for word in known)


def is_told(value: Any) -> bool:
    """Tell that a value is not one of those that stand for nothing."""
    return _word(value) not in UNKNOWN


def only_plain(values: Iterable[Any]) -> bool:
    """Tell that a column of any name holds words that stand for nothing but sides."""
    known = {_word(value) for value in values} - UNKNOWN
    return bool(known) and known <= _PLAIN


def some_sides(values: Iterable[Any]) -> bool:
    """Tell that some of the words of a column are sides, or may be: a long position may be bought or sold."""
    all_words = {_word(value) for value in values} - UNKNOWN
    words = all_words - _NUMBERS - _SHORT
    return all_words in ({"1", "2"}, {"1", "-1"}) or any(
        meaning(word) is not None or set(_WORDS.findall(word)) & {"long", "short"} for word in words
    )


def shown(values: Iterable[Any]) -> str:
    """List the words of a column, a few of them."""
    words = sorted({_word(value) for value in values})
    return ", ".join(words[:_SHOWN]) + (", …" if len(words) > _SHOWN else "")


def is_of_trades(columns: Columns, given: Meanings) -> bool | None:
    """Tell sides of executions from those of an order book by their words; None where both may be meant."""
    if roles.key(columns.names["side"]) in roles.BUYS_IF_TRUE:
        return True
    words = frozenset(_coded(columns)[0])
    said = {given[word] for word in words if word in given}
    is_book = bool(words & _OF_BOOKS - frozenset(given)) or bool(said & {"bid", "ask"})
    is_trades = any(meaning(word) is not None and word not in {"a", "b"} for word in words - frozenset(given))
    is_trades = is_trades or bool(said & {"buy", "sell"})
    if not is_book and not is_trades and words & frozenset("ab"):
        # an order book has no fees, no orders and no row of which nobody knows the side
        is_trades = any(role in columns for role in ("fee", "order")) or bool(words & UNKNOWN)
        is_book = not is_trades and "a" in words
    return None if is_book == is_trades else is_trades


def explained(columns: Columns, given: Meanings) -> str:
    """Say what a column of sides has, and if no kind knows it, which words are known."""
    words = _coded(columns)[0]
    strangers = [word for word in words if not _is_known(word, given)]
    return f"it has {shown(words)}; " + (accepted(strangers[0]) if strangers else "say which kind")


def _is_known(word: str, given: Meanings) -> bool:
    return word in given or word in BOOK_WORDS or word in UNKNOWN or meaning(word) is not None


def accepted(stranger: str) -> str:
    """Say which words are known, and how one says of others what they mean."""
    trades = ", ".join(word for word in TRADE_WORDS if word != "a")
    books = ", ".join(BOOK_WORDS)
    others = f"sides={{{stranger!r}: 'buy'}} or --sides.{stranger} buy says it of others, 'unknown' leaves them out"
    return f"known are {trades} (of an order book {books}); {others}"


def as_book(columns: Columns, given: Meanings) -> None:
    """Write the sides of an order book as it knows them, where a caller said what words mean."""
    words, codes = _coded(columns)
    if any(word in given for word in words):
        table = np.empty(len(words), dtype=object)
        table[:] = [given.get(word) or word for word in words]
        columns.values["side"] = table[codes]


def yes(columns: Columns, role: str) -> npt.NDArray[np.bool_]:
    """Read a column of yes and no.

    Raises
    ------
    RecordError
        Names the first that is neither, with their rows.
    """
    meant = [_YES_OR_NO.get(_word(value)) for value in columns[role].tolist()]
    columns.refuse(role, np.array([one is None for one in meant], dtype=bool), "must be true or false")
    return np.array(meant, dtype=bool)


def two_sides(columns: Columns, known: Mapping[str, bool], requirement: str) -> npt.NDArray[np.bool_]:
    """Tell for each row which of two sides it has, by how it is written.

    Raises
    ------
    RecordError
        Names the first that is written otherwise, with their rows.
    """
    texts, codes = columns.coded("side")
    meant = [known.get(text.strip().lower()) for text in texts]
    columns.refuse("side", np.array([side is None for side in meant], dtype=bool)[codes], requirement)
    return np.array([bool(side) for side in meant], dtype=bool)[codes]


def read(columns: Columns, given: Meanings) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], tuple[str, ...]]:
    """Tell which rows buy and of which it is known, with what was taken for what.

    Raises
    ------
    RecordError
        Names the first rows whose side means nothing, and which words are known.
    """
    name = columns.names["side"]
    words, codes = _coded(columns)
    found = [meant(name, word, given) for word in words]
    strangers = [place for place, side in enumerate(found) if side == ""]
    if strangers:
        _refuse(columns, np.isin(codes, strangers), words[strangers[0]])
    is_buy = np.array([side is True for side in found], dtype=bool)[codes]
    is_known = np.array([side is not None for side in found], dtype=bool)[codes]
    return is_buy, is_known, _told(name, words)


def meant(name: str, value: Any, given: Meanings) -> bool | Literal[""] | None:
    """Tell what a value in a column of some name means.

    Returns
    -------
    True for a purchase, False for a sale, None for what nobody knows, "" for what means nothing.
    """
    word, called = _word(value), roles.key(name)
    if word not in given and word in _YES_OR_NO and called in roles.BUYS_IF_TRUE:
        return _YES_OR_NO[word] == roles.BUYS_IF_TRUE[called]
    side = _of_word(word, given)
    return not side if called in roles.OF_THE_MAKER and isinstance(side, bool) else side


def _of_word(word: str, given: Meanings) -> bool | Literal[""] | None:
    if word in given:
        side = _MEANT[given[word] or "unknown"]
        return None if side is None else side == "buy"
    if word in UNKNOWN:
        return None
    side_meant = meaning(word)
    return "" if side_meant is None else side_meant


def _told(name: str, words: list[str]) -> tuple[str, ...]:
    """Say what was taken for what, where it is not written out."""
    called = roles.key(name)
    if called in roles.BUYS_IF_TRUE:
        is_buy = roles.BUYS_IF_TRUE[called]
        return (f"{name}: true was taken for {'a purchase' if is_buy else 'a sale, false for a purchase'}",)
    if called in roles.OF_THE_MAKER:
        return (f"{name} is the side of who waited in the book: the other one traded",)
    numbers = [word for word in words if word in _NUMBERS]
    each = (f"{number} was taken for {'a purchase' if TRADE_WORDS[number] else 'a sale'}" for number in numbers)
    return (f"{name}: {', '.join(each)}",) if numbers else ()


def _refuse(columns: Columns, bad: npt.NDArray[np.bool_], stranger: str) -> None:
    try:
        columns.refuse("side", bad, "must be buy or sell")
    except RecordError as error:
        raise type(error)(
            f"{error}; {accepted(stranger)}",
            arguments=error.arguments,
            indexes=error.indexes,
            requirement=error.requirement,
        ) from None


def _coded(columns: Columns) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Give the different words of a column of sides, and for each row which of them it has."""
    values = columns["side"]
    try:
        texts, codes = coded(values)
    except RecordError:  # numbers, yes and no, or nothing
        texts, codes = coded([_word(value) or "unknown" for value in values.tolist()])
    places: dict[str, int] = {}
    merged = np.array([places.setdefault(_word(text), len(places)) for text in texts], dtype=np.int32)
    return list(places), merged[codes] if merged.size else codes
