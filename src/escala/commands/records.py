"""Efficiency records in and out of a store."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from escala.commands.terminal import Database, Symbols, print_json, print_table
from escala.errors import RecordError, UnknownSymbolError
from escala.text import progress

if TYPE_CHECKING:
    from escala.sources import EfficiencyRecords
    from escala.store import RecordRange, Store, StoredRecords


#: Symbols that an import names.
_SHOWN = 6


def import_(
    file: Path,
    /,
    *,
    symbol: str | None = None,
    kind: Literal["auto", "records", "quotes", "order_book"] = "auto",
    columns: Annotated[dict[str, str] | None, Parameter(name="--column")] = None,
    side: Literal["both", "buy", "sell"] | None = None,
    window: float | None = None,
    time_unit: Literal["auto", "s", "ms", "us", "ns", "excel"] = "auto",
    earliest: str | None = None,
    delimiter: str | None = None,
    decimal: Literal[".", ","] | None = None,
    thousands: str | None = None,
    header: str | None = None,
    keep_similar: bool = False,
    strict: bool = False,
    clip: bool = False,
    again: bool = False,
    db: Database = "escala.db",
    json: bool = False,
) -> None:
    """Read a CSV, Parquet or JSON file and add what it says to a store: all of it, or nothing.

    Parameters
    ----------
    file
        Records (symbol, capital, efficiency), quotes or executions (symbol and price, quantity, side buy or sell; or
        amount_in, amount_out; at least five a symbol and side), or an order book (side bid or ask, price, quantity):
        its sides become two symbols, NAME buy and NAME sell. Each may have a time.
    symbol
        Whose they are, where the file has no such column.
    kind
        What the file holds; by default its columns tell.
    columns
        A column of another name: --column.capital notional.
    side
        Which side of an order book becomes records; by default both, with symbols of their own. Of executions without
        a column of sides: buy or sell.
    window
        Seconds about a quote or execution in which small ones give its reference price, for markets that move.
    time_unit
        What numbers in a column of times count since 1970, or days as Excel counts them; by default their magnitude
        tells. Dates may be text with the year first.
    earliest
        The first day that times may have, 1970-01-01 for all; by default times before 1990 and such that span more than
        20 years are refused.
    delimiter
        What separates values in CSV: one sign, or tab. By default the file tells.
    decimal, thousands
        The decimal sign, and what stands between groups of three digits. By default the file tells, and what may be
        either is refused.
    header
        Of CSV without a header: the names of its columns (--header time,side,price,quantity), or no to number them from
        1, or lobster. Yes: the first row is one, whatever it looks like.
    keep_similar
        Symbols that differ only in case or separators are different ones, instead of refused.
    strict
        Refuse order books with a crossed, locked or one-sided snapshot, instead of leaving that out.
    clip
        Move efficiencies outside [0, 1] to its ends instead of refusing them.
    again
        Add records that were imported before once more.
    db
        The store: a file or postgresql://USER:PASSWORD@HOST/NAME; it is made if it is not there.
    json
        Print JSON.
    """
    from escala import sources

    with progress.bar(f"reading {file.name}"):
        how: dict[str, Any] = {"kind": kind, "symbol": symbol, "columns": columns, "clip": clip, "time_unit": time_unit}
        how |= {"delimiter": delimiter, "decimal": decimal, "thousands": thousands, "header": _header(header)}
        how |= {"earliest": earliest, "keep_similar": keep_similar}
        asked = {"side": side, "window": window, "strict": strict or None}
        options: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        found = sources.read(file, **how, **options)
    if not len(found):
        raise RecordError("; ".join([f"{file}: there are no records in it", *found.notes]))
    source = f"{file.name[:300]} {_digest(found)}"
    with progress.bar(f"adding {len(found):,} records"):
        asyncio.run(_add(db, found, source, again))
    symbols = list(dict.fromkeys(found.symbol.tolist()))
    if json:
        content = {"file": str(file), "kind": found.kind, "records": len(found), "symbols": symbols}
        print_json({**content, "clipped": found.clipped, "left_out": found.left_out, "notes": list(found.notes)})
        return
    print(found.summary())
    if found.observed_at is None:
        print("no times in it: all count as observed now")
    shown = ", ".join(symbols[:_SHOWN]) + (", …" if len(symbols) > _SHOWN else "")
    print(f"added to {_without_password(db)}: {shown}")


def _header(text: str | None) -> bool | str | list[str] | None:
    if text is None or text == "lobster":
        return text
    return {"no": False, "yes": True}.get(text.lower(), [name.strip() for name in text.split(",")])


def _digest(records: EfficiencyRecords) -> str:
    """Give what tells these records from all others, but the order of their columns in a file."""
    import numpy as np

    told = hashlib.sha256("\0".join(records.symbol.tolist()).encode("utf-8", "surrogatepass"))
    for column in (records.capital, records.efficiency, records.weight, records.observed_at):
        told.update(b"-" if column is None else np.ascontiguousarray(column).tobytes())
    return told.hexdigest()[:24]


async def _add(db: str, records: EfficiencyRecords, source: str, again: bool) -> None:
    from escala.store import Store
    from escala.text.numerals import counted

    async with await Store.open(db) as store:
        if not again:
            await _refuse_twice(store, source, counted(len(records), "record"))
        await store.add_records(
            records.symbol,
            records.capital,
            records.efficiency,
            weights=records.weight,
            observed_at=records.observed_at,
            sources=source,
        )


async def _refuse_twice(store: Store, source: str, many: str) -> None:
    digest = source.rpartition(" ")[2]
    for name in await store.record_sources():
        if name.endswith(f" {digest}"):
            first = name.rpartition(" ")[0]
            raise RecordError(f"{many} imported before, from {first}: --again adds them once more")


def _without_password(db: str) -> str:
    from escala.store.location import Location

    location = Location.of(db)
    return str(location.path or location)


def export(file: Path, /, *, symbols: Symbols = None, db: Database = "escala.db", json: bool = False) -> None:
    """Write the records of a store to a CSV or Parquet file that can be imported: all but their sources and metrics.

    Parameters
    ----------
    file
        Where they go: columns symbol, capital, efficiency, weight, observed_at (UTC).
    symbols
        Whose: --symbols A B C; by default all.
    db
        The store: a file or postgresql://USER:PASSWORD@HOST/NAME.
    json
        Print JSON.
    """
    from escala.files import table as table_file

    table_file.check(file, "records", RecordError)
    _refuse_store(file, db)
    records = asyncio.run(_stored(db, symbols))
    table_file.write(file, _table(records))
    if json:
        print_json({"file": str(file), "records": len(records)})
    else:
        print(f"{len(records):,} records written to {file}")


def _refuse_store(file: Path, db: str) -> None:
    from escala.store.location import Location

    path = Location.of(db).path
    if path is not None and path.exists() and file.exists() and file.samefile(path):
        raise RecordError(f"{file}: the records would replace the store itself")


async def _stored(db: str, symbols: list[str] | None) -> StoredRecords:
    from escala.store import Store

    async with await Store.open(db, create=False) as store:
        _check_known(symbols, await store.symbols())
        return await store.records(symbols)


def _check_known(symbols: list[str] | None, known: dict[str, Any]) -> None:
    for symbol in symbols or ():
        if symbol not in known:
            raise UnknownSymbolError.among(symbol, known)


def _table(records: StoredRecords) -> dict[str, Any]:
    import numpy as np

    return {
        "symbol": records.symbol,
        "capital": records.capital,
        "efficiency": records.efficiency,
        "weight": records.weight,
        "observed_at": [f"{time}Z" for time in np.datetime_as_string(records.observed_at, unit="us")],
    }


def list_(*, symbols: Symbols = None, db: Database = "escala.db", json: bool = False) -> None:
    """Show which symbols have records, how many, and of which capitals and times.

    Parameters
    ----------
    symbols
        Which: --symbols A B C; by default all.
    db
        The store: a file or postgresql://USER:PASSWORD@HOST/NAME.
    json
        Print JSON.
    """
    from escala.text.numerals import counted

    found = asyncio.run(_ranges(db))
    _check_known(symbols, found)
    chosen = found if symbols is None else {symbol: found[symbol] for symbol in symbols}
    if json:
        print_json([{"symbol": symbol, **vars(records)} for symbol, records in chosen.items()])
        return
    total = sum(records.count for records in chosen.values())
    print(f"{counted(total, 'record')} of {counted(len(chosen), 'symbol')}")
    print()
    _print_ranges(chosen)


def _print_ranges(found: dict[str, RecordRange]) -> None:
    from escala.text.numerals import capital

    rows = [
        [
            symbol,
            f"{of.count:,}",
            capital(of.smallest),
            capital(of.largest),
            f"{of.first:%Y-%m-%d}",
            f"{of.last:%Y-%m-%d}",
        ]
        for symbol, of in found.items()
    ]
    print_table(["symbol", "records", "smallest", "largest", "first", "last"], rows, left=("symbol",))


async def _ranges(db: str) -> dict[str, RecordRange]:
    from escala.store import Store

    async with await Store.open(db, create=False) as store:
        return await store.record_ranges()
