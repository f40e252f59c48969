"""Text of others cannot move the cursor, forge a row or turn a line round: neither on a terminal nor in a summary."""

from __future__ import annotations

import asyncio
import csv
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import CurveSet, FitError, RecordError, Store, allocate, fit, sources
from escala.files import table
from escala.text import html, visible
from tests.command_line import escala
from tests.engines import CAPITAL, line
from tests.places import ROOT

EVIL = "A\x1b[2J\x9b31m\r\nB 1,000 \u202e\u2066\x07"
SHOWN = r"A\x1b[2J\x9b31m\r\nB 1,000 \u202e\u2066\x07"
CONTROLS = [*map(chr, range(32)), *map(chr, range(127, 160)), "\u061c", "\u200e", "\u200f", "\ufeff",
            *map(chr, range(0x2028, 0x202F)), *map(chr, range(0x2066, 0x206A))]  # fmt: skip


def harmless(text: str) -> bool:
    return not any(character in text for character in CONTROLS if character != "\n")


@given(st.text())
def test_what_is_shown_has_no_controls_and_all_else_as_it_was(text: str) -> None:
    shown = visible.in_line(text)
    assert not any(character in shown for character in CONTROLS)
    assert harmless(visible.in_lines(text))
    assert visible.in_lines(text).count("\n") == text.count("\n")
    if visible.hidden(text) is None:
        assert shown == text


def test_escapes_are_readable() -> None:
    assert visible.in_line(EVIL) == SHOWN
    assert visible.in_line("Zürich 株 €/$ 🚀") == "Zürich 株 €/$ 🚀"
    assert [visible.hidden(character) is None for character in CONTROLS] == [False] * len(CONTROLS)


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    done = escala(*words)
    assert harmless(done.stdout), done.stdout
    assert harmless(done.stderr), done.stderr
    return done


async def old_store(path: Path) -> None:
    """A store of before, when any symbol was taken."""
    async with await Store.open(path) as store:
        await store.add_records(["A"] * len(CAPITAL), CAPITAL, line(0.9, 1e-6))
        await store.add_records(["C"] * len(CAPITAL), CAPITAL, line(0.8, 1e-6))
        await store.import_records(["C"], [1e5], [0.7], file="f.csv")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE efficiency_record SET symbol = ? WHERE symbol = 'A'", (EVIL,))
        connection.execute("UPDATE record_import SET file = ?", (EVIL,))


@pytest.mark.slow
def test_symbols_of_before_are_shown_with_escapes_and_no_row_is_forged(tmp_path: Path) -> None:
    db = tmp_path / "store.db"
    asyncio.run(old_store(db))
    listed = command("records", "list", "--db", db)
    assert [row.split()[0] for row in listed.stdout.splitlines()[3:]] == [r"A\x1b[2J\x9b31m\r\nB", "C"]
    assert len(command("records", "list", "--imports", "--db", db).stdout.splitlines()) == 4
    for words in (["analyze"], ["analyze", "--symbol", EVIL], ["predict", "--symbol", EVIL, "--capital", "1e5"],
                  ["records", "delete", "--symbols", EVIL]):  # fmt: skip
        done = command(*words, "--db", db)
        assert done.returncode == 0, done.stderr
        assert SHOWN in done.stdout
    assert command("predict", "--symbol", EVIL + "?", "--capital", "1e5", "--db", db).returncode == 1


@pytest.mark.slow
def test_files_and_their_names_are_shown_with_escapes(tmp_path: Path) -> None:
    path = tmp_path / "evil\x1b[2J\nx.csv"
    path.write_text("symbol,capital,efficiency\n" + "".join(f"A,{10 * k + 1},0.5\n" for k in range(9)))
    done = command("records", "import", path, "--db", tmp_path / "s.db")
    assert done.returncode == 0, done.stderr
    assert r"evil\x1b[2J\nx.csv" in done.stdout
    path.write_text("sym\x1b[2Jbol,cap\n1,2\n")
    assert command("records", "import", path, "--db", tmp_path / "s.db").returncode == 1


async def test_new_symbols_with_control_characters_are_refused(tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "store.db") as store:
        for character in CONTROLS[1:]:
            symbol = f"A{character}B"
            with pytest.raises(RecordError, match="symbol must be text without control characters and marks of dir"):
                await store.add_record(symbol, 1.0, 0.5)
            with pytest.raises(RecordError, match=r"but symbols\[1\] = '.*' has \\") as caught:
                await store.add_records(["A", symbol], [1.0, 1.0], [0.5, 0.5])
            assert caught.value.indexes == ((1,),)
        assert await store.symbols() == {}
        assert len(await store.records([EVIL])) == 0  # asking is allowed: it may be one of before


def test_notes_and_notebooks_show_escapes() -> None:
    found = sources.read({"symbol": ["A", "A"], "capital": [1.0, 2.0], "efficiency": [0.5, 0.4], EVIL: [1, 2]})
    assert harmless(found.summary())
    assert SHOWN in html.table({EVIL: [EVIL]}, EVIL)


def test_no_symbol_forges_a_row_of_a_summary() -> None:
    curves = CurveSet.from_params([EVIL, "C"], "linear", [[-1e-6, 1.0], [-1e-6, 0.5]], trusted_to=1e6)
    answers = (allocate(curves, 1e5), allocate(curves, 1e5, upper=[0.0, 1e6]))  # in the table, and below it
    for shown in (curves.summary(), *(found.summary() for found in answers)):
        assert harmless(shown)
        assert SHOWN in shown
        assert not any(row.startswith("B 1,000") for row in shown.splitlines())
    one = curves[EVIL]
    for shown in (repr(one.predict(1e5)), repr(one.saturation())):
        assert SHOWN in shown
        assert harmless(shown)
        assert "\n" not in shown


def test_no_symbol_forges_a_row_of_notes_and_errors() -> None:
    capital = [float(k) for k in range(1, 61)]
    symbols = [EVIL] * 60 + ["C"] * 2
    values = [0.9 - 0.001 * k + 0.01 * (k % 3) for k in range(60)] + [0.9, 0.8]
    curves = fit(symbols, capital + capital[:2], values)
    note = curves.predict(5.0, level=0.999).note
    assert note.startswith("an interval of level")
    assert SHOWN in note
    with pytest.raises(FitError, match=re.escape(f"no curve for {SHOWN}: too few")):
        fit([EVIL], [1.0], [0.5], on_error="raise")


def test_formulas_are_text_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    symbols = ["=1+1", "+1", "-1", "@a", "\t=1", "A=1", "'x"]
    table.write(path, {"symbol": symbols, "capital": [-1.0] * 7}, excel_safe=True)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'+1", "'-1", "'@a", "'\t=1", "A=1", "'x"]
    assert {row[1] for row in rows[1:]} == {"-1.0"}  # a number is no formula
    table.write(path, {"symbol": symbols})
    with path.open(newline="") as file:
        assert [row[0] for row in list(csv.reader(file))[1:]] == symbols


@pytest.mark.slow
def test_records_are_exported_for_spreadsheets(tmp_path: Path) -> None:
    async def add() -> None:
        async with await Store.open(tmp_path / "s.db") as store:
            await store.add_record("=HYPERLINK(1)", 1.0, 0.5)

    asyncio.run(add())
    for words, said in (([], "=HYPERLINK(1)"), (["--excel-safe"], "'=HYPERLINK(1)")):
        assert command("records", "export", tmp_path / "x.csv", "--db", tmp_path / "s.db", *words).returncode == 0
        assert (tmp_path / "x.csv").read_text().splitlines()[1].split(",")[0] == said


def test_commands_print_in_one_place() -> None:
    for path in (ROOT / "src" / "escala" / "commands").glob("*.py"):
        found = re.findall(r"(?<!\w)print\(", path.read_text(encoding="utf-8"))
        assert len(found) == (2 if path.name == "terminal.py" else 0), path  # say, and rich's own into a string
