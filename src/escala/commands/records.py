"""Efficiency records in and out of a store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from escala.commands import imported
from escala.commands.terminal import (
    Database,
    Symbols,
    UsageError,
    check_known,
    print_json,
    print_table,
    stopped,
)
from escala.errors import RecordError
from escala.text import progress

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
    window: float | None = None,
    time_unit: Literal["s", "ms", "us", "ns"] = "s",
    clip: bool = False,
    normalise: bool = False,
    allow_duplicates: Annotated[bool, Parameter(name=["--allow-duplicates", "--again"])] = False,
    db: Database = "escala.db",
    json: bool = False,
) -> None:
    """Read a CSV or Parquet file and add what is new of it to a store, in one piece.

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
        What numbers in a column of times count since 1970; dates may be ISO text too.
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
        how: dict[str, Any] = {"kind": kind, "symbol": symbol, "columns": columns, "clip": clip, "time_unit": time_unit}
        options: dict[str, Any] = {
            name: value
            for name, value in {"side": side, "window": window, "normalise": normalise or None}.items()
            if value is not None
        }
        found = sources.read(file, **how, **options)
    if not len(found):
        raise RecordError("; ".join([f"{file}: there are no records in it", *found.notes]))
    whole = "a file is added whole or not at all: records list --imports tells"
    with stopped(whole), progress.bar(f"adding {len(found):,} records"):
        done = asyncio.run(_add(db, found, file.name[:300], allow_duplicates))
    symbols = list(dict.fromkeys(found.symbol.tolist()))
    if json:
        content = {"file": str(file), "kind": found.kind, "records": len(found), "symbols": symbols}
        content |= {"import": done.id, "added": done.added, "duplicates": done.duplicates}
        print_json({**content, "clipped": found.clipped, "left_out": found.left_out, "notes": list(found.notes)})
        return
    print(found.summary())
    if found.observed_at is None:
        print("no times in it: all count as observed now")
    if done.duplicates:
        print(_known_before(found, done))
    shown = ", ".join(symbols[:_SHOWN]) + (", …" if len(symbols) > _SHOWN else "")
    print(f"import {done.id}, added to {_without_password(db)}: {shown}")


def _known_before(records: EfficiencyRecords, done: Imported) -> str:
    compared = ", compared without times" if records.observed_at is None else ""
    return (
        f"{done.added:,} of {len(records):,} are new, {done.duplicates:,} were in the store before{compared}: "
        "--allow-duplicates adds them once more"
    )


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
        check_known(symbols, await store.symbols())
        return await store.records(symbols)


def _table(records: StoredRecords) -> dict[str, Any]:
    import numpy as np

    return {
        "symbol": records.symbol,
        "capital": records.capital,
        "efficiency": records.efficiency,
        "weight": records.weight,
        "observed_at": [f"{time}Z" for time in np.datetime_as_string(records.observed_at, unit="us")],
    }


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
    found = asyncio.run(_ranges(db))
    check_known(symbols, found)
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
