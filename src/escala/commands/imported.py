"""What was imported, and how it is undone."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from escala.commands.terminal import (
    Database,
    Symbols,
    UsageError,
    Whole,
    check_known,
    finished,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from escala.store import RecordImport

#: Symbols that are listed with the records they lose.
_SHOWN = 20


def show(db: str, *, json: bool) -> None:
    """Print the imports of a store."""
    found = finished(_imports(db))
    if json:
        print_json([vars(one) for one in found])
        return
    from escala.text.numerals import counted

    say(counted(len(found), "import"))
    say()
    rows = [
        [
            str(one.id),
            "–" if one.at is None else f"{one.at:%Y-%m-%d %H:%M}",
            f"{one.added:,}",
            f"{one.duplicates:,}",
            f"{one.records:,}",
            one.file,
        ]
        for one in found
    ]
    print_table(["import", "at (UTC)", "added", "known before", "still there", "file"], rows, left=("at (UTC)", "file"))


async def _imports(db: str) -> list[RecordImport]:
    from escala.store import Store

    async with await Store.open(db, create=False) as store:
        return await store.imports()


def delete(
    *,
    symbols: Symbols = None,
    imports: Annotated[
        list[Whole] | None, Parameter(name=["--imports", "--import"], consume_multiple=(1, 1_000_000))
    ] = None,
    since: str | None = None,
    before: str | None = None,
    yes: bool = False,
    db: Database = "escala.db",
    json: bool = False,
) -> None:
    """Show which records would be deleted; with --yes delete them. What is deleted is gone.

    All that is given must hold for a record: --symbols A --before 2024-01-01 is what A has from before 2024.

    Parameters
    ----------
    symbols
        Of which symbols: --symbols A B C.
    imports
        Of which imports, by the numbers that records list --imports shows: --import 3.
    since
        Observed at this time or later: an ISO date, UTC where it has no zone.
    before
        Observed before this time.
    yes
        Delete them; without it they are only counted.
    db
        The store: a file or postgresql://USER:PASSWORD@HOST/NAME.
    json
        Print JSON.
    """
    if symbols is None and imports is None and since is None and before is None:
        raise UsageError("records delete must be told which: --symbols, --import, --since or --before")
    times = {name: _time(name, text) for name, text in {"since": since, "before": before}.items() if text is not None}
    found = finished(_delete(db, symbols, {"imports": imports, "dry_run": not yes, **times}))
    if json:
        print_json({"deleted": yes, "records": sum(found.values()), "symbols": found})
        return
    from escala.text.numerals import counted

    many = f"{counted(sum(found.values()), 'record')} of {counted(len(found), 'symbol')}"
    say(f"{many} deleted" if yes else f"{many} would be deleted; --yes deletes them")
    if found:
        say()
        rows = sorted(found.items(), key=lambda item: -item[1])
        print_table(["symbol", "records"], [[name, f"{count:,}"] for name, count in rows[:_SHOWN]], left=("symbol",))
        if len(rows) > _SHOWN:
            say(f"and {counted(len(rows) - _SHOWN, 'symbol')} more")


def _time(name: str, text: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--{name} takes an ISO date such as 2024-01-31 or 2024-01-31T12:00, not {text!r}") from None


async def _delete(db: str, symbols: list[str] | None, which: dict[str, Any]) -> dict[str, int]:
    from escala.store import Store

    async with await Store.open(db, create=False) as store:
        check_known(symbols, await store.symbols())
        return await store.delete_records(symbols, **which)
