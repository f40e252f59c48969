"""Order books as exchanges and ccxt give them: {"bids": [["100", "1"], …], "asks": …}, one, many, or wrapped."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from escala.errors import InputError
from escala.files.numbers import Numbers

_LARGEST: Final = 1 << 30  # bytes, unpacked
_ENDINGS: Final = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
_SIDES: Final = (("bids", "asks"), ("bid", "ask"), ("b", "a"), ("buy", "sell"))
_SYMBOL: Final = ("symbol", "instrument_name", "instId", "product_id", "pair", "market", "coin", "s")
#: Best first: what is readable before what must be guessed.
_TIME: Final = ("datetime", "timestamp", "time", "ts", "E", "T")
_PRICE: Final = ("price", "px", "p", "rate")
_QUANTITY: Final = ("quantity", "size", "amount", "qty", "sz", "volume", "q", "v", "s")
#: What messages say that hold changes of a book and not all of it: by the key, the words in lower case.
_CHANGES: Final = {
    "e": ("depthupdate",),
    "type": ("delta", "update", "change", "l2update", "l2_update", "incremental", "channel_batch_data"),
    "action": ("update", "insert", "delete", "delta"),
    "event": ("depthupdate", "delta", "l2update"),
    "channel": ("spot.order_book_update", "futures.order_book_update", "book.update"),
    "update_type": ("delta", "update"),
    "is_snapshot": ("false",),
    "isSnapshot": ("false",),
    "snapshot": ("false",),
}
_DEEPEST: Final = 6  # objects about a book that are looked into
#: Names of wrappers, which are no symbols.
_WRAPPERS: Final = frozenset({"result", "data", "pricebook", "orderbook", "order_book", "tick", "response", "books"})


def is_json(path: Path) -> bool:
    """Tell by its name that a file is JSON or lines of it, packed or not."""
    return path.name.lower().endswith(_ENDINGS)


def is_book(source: Any) -> bool:
    """Tell books of JSON among objects of Python."""
    return isinstance(source, Mapping | list | tuple) and next(_books(source, None, None, 0), None) is not None


def _is_side(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(level, list | tuple | Mapping) for level in value)


def read(path: Path, error: type[InputError]) -> Any:
    """Read a file of JSON, or of one object a line.

    Raises
    ------
    InputError
        The class given, if it is neither.
    OSError
        If it cannot be read.
    """
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
            content = file.read(_LARGEST + 1)  # a packed file may hold any number
        if len(content) > _LARGEST:
            raise error(f"{path}: more than {_LARGEST:,} bytes of JSON, which is the most that is read")
        text = content.decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error) as reason:
        raise error(f"{path}: not a whole gzip file: {reason}") from None
    except UnicodeDecodeError as reason:
        raise error(f"{path}: not a JSON file in UTF-8: {reason}") from None
    try:
        return json.loads(text)
    except RecursionError:
        raise error(f"{path}: not a JSON file: nested too deeply") from None
    except ValueError as reason:
        whole = reason
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    try:
        json.loads(lines[0][1] if lines else "")
    except ValueError:
        raise error(f"{path}: not a JSON file: {whole}") from None
    return [_line(path, number, line, error) for number, line in lines]


def _line(path: Path, number: int, line: str, error: type[InputError]) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as reason:
        raise error(f"{path} row {number}: not JSON: {reason}") from None


@dataclass(frozen=True)
class _Book:
    sides: Mapping[str, Sequence[Any]]
    names: Mapping[str, str]
    symbol: Any
    time: Any
    change: str | None


def columns(name: str, content: Any, error: type[InputError]) -> dict[str, list[Any]]:
    """Give the levels of all books as columns: snapshot, side, price, quantity, symbol and time where there are some.

    Raises
    ------
    InputError
        The class given, if there is no book, one is a change of a book, or a level is not [price, quantity]; names
        book, side and place.
    """
    books = list(_books(content, None, None, 0))
    if not books:
        raise error(f'{name}: there is no order book in it, {{"bids": [[price, quantity], …], "asks": …}}')
    read_number = Numbers()
    table: dict[str, list[Any]] = {part: [] for part in ("snapshot", "side", "price", "quantity", "symbol", "time")}
    for place, book in enumerate(books):
        if book.change is not None:
            _refuse_change(name, place, book.change, error)
        for side, levels in book.sides.items():
            for index, level in enumerate(levels):
                where = f"{name}: {book.names[side]}[{index}]" + (f" of book {place}" if len(books) > 1 else "")
                price, quantity = _level(where, level, read_number, error)
                for part, value in zip(table, (place, side, price, quantity, book.symbol, book.time), strict=True):
                    table[part].append(value)
    for part in ("symbol", "time"):
        if all(value is None for value in table[part]):
            del table[part]
    return table


def _refuse_change(name: str, place: int, told: str, error: type[InputError]) -> None:
    ways = "take snapshots, or apply the changes to one, and give {'bids': …, 'asks': …} of whole books"
    raise error(f"{name}: book {place} has {told}, which is a change of an order book and none itself: {ways}")


def _change(content: Mapping[str, Any]) -> str | None:
    """Say by what a message tells that it holds changes of a book, None where nothing does."""
    for key, words in _CHANGES.items():
        value = content.get(key)
        if isinstance(value, str | bool) and str(value).strip().lower() in words:
            return f"{key!r}: {value!r}"
    return None


def _books(content: Any, symbol: Any, time: Any, depth: int, change: str | None = None) -> Iterator[_Book]:
    """Find the books in what surrounds them, which may say symbol and time, and that they are changes of books."""
    if isinstance(content, list | tuple):
        if content and isinstance(content[0], Mapping):  # a column of numbers need not be looked through
            for part in content:
                yield from _books(part, symbol, time, depth, change)
        return
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return
    symbol = next((content[key] for key in _SYMBOL if isinstance(content.get(key), str)), symbol)
    time = next((content[key] for key in _TIME if _is_time(content.get(key))), time)
    change = change or _change(content)
    for bids, asks in _SIDES:
        if _is_side(content.get(bids)) and _is_side(content.get(asks)):
            yield _Book({"bid": content[bids], "ask": content[asks]}, {"bid": bids, "ask": asks}, symbol, time, change)
            return
    both = content.get("levels")
    if isinstance(both, list) and len(both) == 2 and all(map(_is_side, both)):
        yield _Book({"bid": both[0], "ask": both[1]}, {"bid": "levels[0]", "ask": "levels[1]"}, symbol, time, change)
        return
    for key, part in content.items():
        if isinstance(part, Mapping | list | tuple):
            named = symbol if symbol is not None or str(key).lower() in _WRAPPERS else str(key)
            yield from _books(part, named if isinstance(part, Mapping) else symbol, time, depth + 1, change)


def _is_time(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _level(where: str, level: Any, number: Numbers, error: type[InputError]) -> tuple[float, float]:
    if isinstance(level, Mapping):
        parts = [next((level[key] for key in keys if key in level), None) for keys in (_PRICE, _QUANTITY)]
    elif isinstance(level, list | tuple) and len(level) >= 2:
        parts = list(level[:2])
    else:
        raise error(f"{where} must be [price, quantity], not {_shown(level)}")
    result = []
    for what, part in zip(("price", "quantity"), parts, strict=True):
        try:
            if part is None or isinstance(part, bool):
                raise ValueError
            result.append(number(part) if isinstance(part, str) else float(part))
        except (TypeError, ValueError, OverflowError):
            raise error(f"{where}: {what} must be a number, not {_shown(part)}", arguments=(what,)) from None
    return result[0], result[1]


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
