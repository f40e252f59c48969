"""Efficiency records in and out of a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from escala.commands import imported
from escala.commands.terminal import (
    Database,
    Symbols,
    UsageError,
    check_known,
    finished,
    print_json,
    print_table,
    say,
    stopped,
)
from escala.errors import RecordError
from escala.text import progress
from escala.text.visible import in_line

if TYPE_CHECKING:
    from escala.sources import EfficiencyRecords
    from escala.store import Imported, RecordRange, StoredRecords


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
    sides: dict[str, str] | None = None,
    fees: Literal["include", "ignore"] | None = None,
    fee_unit: Literal["quote", "base", "percent"] | None = None,
    fills: Literal["join", "apart"] = "join",
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
    normalise: bool = False,
    allow_duplicates: Annotated[bool, Parameter(name=["--allow-duplicates", "--again"])] = False,
    db: Database = "escala.db",
    json: bool = False,
) -> None:
    """Read a CSV, Parquet or JSON file and add what is new of it to a store, in one piece.

    Parameters
    ----------
    file
        Records (symbol, capital, efficiency), quotes or executions (symbol and price, quantity, side buy or sell; or
        amount_in, amount_out; at least five a symbol and side, fills of one order being one), or an order book (side
        bid or ask, price, quantity): its sides become two symbols, NAME buy and NAME sell. Each may have a time.
    symbol
        Whose they are, where the file has no such column.
    kind
        What the file holds; by default its columns tell.
    columns
        A column of another name: --column.capital notional. What a file has is told by the names that exchanges use and
        by the numbers: a value (price × quantity) is no quantity. Roles are symbol, capital, efficiency, weight, time,
        side, price, quantity, value, amount_in, amount_out, token_in, token_out, snapshot, is_snapshot, order, status,
        fee and fee_currency.
    side
        Which side of an order book becomes records; by default both, with symbols of their own. Of executions without
        a column of sides: buy or sell.
    sides
        What words in the column of sides mean: --sides.C buy --sides.V sell; rows of one that is unknown are left out.
    fees
        Whether fees of executions lower efficiency; by default if it is known what they are in.
    fee_unit
        What fees are in, where nothing tells it.
    fills
        Whether fills of one order are one execution; without a column of orders, fills of one symbol, side and time.
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
        Move efficiencies outside [0, 1] to its ends instead of refusing them, unless they are more than a fifth.
    normalise
        Divide efficiencies by their value at the smallest capital of their symbol: returns or Sharpe ratios by size.
    allow_duplicates
        Add records that the store has already once more. Without it, a row that the file has twice and the store once
        is added once.
    db
        The store: a file or postgresql://USER:PASSWORD@HOST/NAME; it is made if it is not there.
    json
        Print JSON.
    """
    from escala import sources

    with stopped("nothing was added"), progress.bar(f"reading {file.name}"):
        how: dict[str, Any] = {"kind": kind, "symbol": symbol, "columns": columns, "sides": sides, "clip": clip}
        how |= {"delimiter": delimiter, "decimal": decimal, "thousands": thousands, "header": _header(header)}
        how |= {"time_unit": time_unit, "earliest": earliest, "keep_similar": keep_similar}
        said: dict[str, Any] = {"side": side, "window": window, "fees": fees, "fee_unit": fee_unit}
        said |= {"fills": None if fills == "join" else fills, "strict": strict or None, "normalise": normalise or None}
        options: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
        found = sources.read(file, **how, **options)
    if not len(found):
        raise RecordError("; ".join([f"{file}: there are no records in it", *found.notes]))
    whole = "a file is added whole or not at all: records list --imports tells"
    with stopped(whole), progress.bar(f"adding {len(found):,} records"):
        done = finished(_add(db, found, file.name[:300], allow_duplicates))
    symbols = list(dict.fromkeys(found.symbol.tolist()))
    if json:
        content = {"file": str(file), "kind": found.kind, "records": len(found), "symbols": symbols}
        content |= {"import": done.id, "added": done.added, "duplicates": done.duplicates}
        print_json({**content, "clipped": found.clipped, "left_out": found.left_out, "notes": list(found.notes)})
        return
    say(found.summary())
    if found.observed_at is None:
        say("no times in it: all count as observed now")
    if done.duplicates:
        say(_known_before(found, done))
    shown = ", ".join(map(in_line, symbols[:_SHOWN])) + (", …" if len(symbols) > _SHOWN else "")
    say(f"import {done.id}, added to {_without_password(db)}: {shown}")


def _known_before(records: EfficiencyRecords, done: Imported) -> str:
    compared = ", compared without times" if records.observed_at is None else ""
    return (
        f"{done.added:,} of {len(records):,} are new, {done.duplicates:,} were in the store before{compared}: "
        "--allow-duplicates adds them once more"
    )


def _header(text: str | None) -> bool | str | list[str] | None:
    if text is None or text == "lobster":
        return text
    return {"no": False, "yes": True}.get(text.lower(), [name.strip() for name in text.split(",")])


async def _add(db: str, records: EfficiencyRecords, file: str, allow_duplicates: bool) -> Imported:
    from escala.store import Store
    from escala.text.numerals import counted

    async with await Store.open(db) as store:
        done = await store.import_records(
            records.symbol,
            records.capital,
            records.efficiency,
            file=file,
            weights=records.weight,
            observed_at=records.observed_at,
            fingerprints=records.fingerprint,
            allow_duplicates=allow_duplicates,
        )
    if not done.added:
        where = f"imported before, from {done.known_from[0]}" if done.known_from else "in the store before"
        raise RecordError(f"{counted(len(records), 'record')} {where}: --allow-duplicates adds them once more")
    return done


def _without_password(db: str) -> str:
    from escala.store.location import Location

    location = Location.of(db)
    return str(location.path or location)


def export(
    file: Path,
    /,
    *,
    symbols: Symbols = None,
    excel_safe: bool = False,
    db: Database = "escala.db",
    json: bool = False,
) -> None:
    """Write the records of a store to a CSV or Parquet file that can be imported: all but their sources and metrics.

    Parameters
    ----------
    file
        Where they go: columns symbol, capital, efficiency, weight, observed_at (UTC); symbol comes last where one
        begins with #, for a row that does would be a comment.
    symbols
        Whose: --symbols A B C; by default all.
    excel_safe
        Put an apostrophe before text that a spreadsheet would take for a formula; for reading, not for importing again.
    db
        The store: a file or postgresql://USER:PASSWORD@HOST/NAME.
    json
        Print JSON.
    """
    from escala.files import table as table_file

    table_file.check(file, "records", RecordError)
    _refuse_store(file, db)
    records = finished(_stored(db, symbols))
    table_file.write(file, _table(records), excel_safe=excel_safe)
    if json:
        print_json({"file": str(file), "records": len(records)})
    else:
        say(f"{len(records):,} records written to {file}")


def _refuse_store(file: Path, db: str) -> None:
    from escala.store.location import Location

    path = Location.of(db).path
    if path is not None and path.exists() and file.exists() and file.samefile(path):
        raise RecordError(f"{file}: the records would replace the store itself")


async def _stored(db: str, symbols: list[str] | None) -> StoredRecords:
    from escala.store import Store

    async with await Store.open(db, create=False) as store:
        check_known(symbols, await store.symbols())
        return await store.records(symbols)


def _table(records: StoredRecords) -> dict[str, Any]:
    import numpy as np

    table = {
        "symbol": records.symbol,
        "capital": records.capital,
        "efficiency": records.efficiency,
        "weight": records.weight,
        "observed_at": [f"{time}Z" for time in np.datetime_as_string(records.observed_at, unit="us")],
    }
    if any(symbol.startswith("#") for symbol in set(records.symbol.tolist())):
        table["symbol"] = table.pop("symbol")  # to the end: a row of CSV that begins with # is a comment
    return table


def list_(*, symbols: Symbols = None, imports: bool = False, db: Database = "escala.db", json: bool = False) -> None:
    """Show which symbols have records, how many, and of which capitals and times; or which files were imported.

    Parameters
    ----------
    symbols
        Which: --symbols A B C; by default all.
    imports
        Show the imports instead, with the numbers that records delete takes.
    db
        The store: a file or postgresql://USER:PASSWORD@HOST/NAME.
    json
        Print JSON.
    """
    from escala.text.numerals import counted

    if imports:
        if symbols is not None:
            raise UsageError("--imports shows whole files: leave out --symbols")
        imported.show(db, json=json)
        return
    found = finished(_ranges(db))
    check_known(symbols, found)
    chosen = found if symbols is None else {symbol: found[symbol] for symbol in symbols}
    if json:
        print_json([{"symbol": symbol, **vars(records)} for symbol, records in chosen.items()])
        return
    total = sum(records.count for records in chosen.values())
    say(f"{counted(total, 'record')} of {counted(len(chosen), 'symbol')}")
    say()
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
