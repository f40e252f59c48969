"""Records, predictions, allocations and analyses on the command line, over a store of real quotes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import warnings
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escala import CurveSet, allocate, fit
from escala.commands import app as cli
from escala.commands import scaling
from escala.demo.curves import load_quotes
from tests.command_line import escala

SYMBOLS = ("USDC/WBTC", "USDT/USDC", "TUSD/USDP")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the sample files, and a store that holds the quotes."""
    path: Path = tmp_path_factory.mktemp("desk")
    done = escala("demo", "--files", ".", cwd=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [
        "aave_positions.csv.gz", "daily_prices_eth_btc_sol.csv.gz", "dex_quotes.csv.gz",
        "order_book_ethusdt_spot.csv.gz",
    ]  # fmt: skip
    done = escala("records", "import", "dex_quotes.csv.gz", cwd=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"added to {path / 'escala.db'}" in done.stdout
    return path


def quote_times() -> np.ndarray[Any, np.dtype[np.int64]]:
    """Give the times of the quotes of the package, in seconds."""
    packed = files("escala").joinpath("demo/data/dex_quotes.csv.gz").read_bytes()
    return np.array([int(row["unix_time"]) for row in csv.DictReader(io.StringIO(gzip.decompress(packed).decode()))])


def answer(folder: Path, *arguments: str) -> Any:
    done = escala(*arguments, "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_import_keeps_every_record(folder: Path) -> None:
    quotes = load_quotes()
    with sqlite3.connect(folder / "escala.db") as connection:
        rows = connection.execute(
            "SELECT symbol, capital, efficiency, observed_at FROM efficiency_record ORDER BY id"
        ).fetchall()
    connection.close()
    assert [row[0] for row in rows] == quotes.symbol
    assert [row[1] for row in rows] == quotes.capital.tolist()
    assert [row[2] for row in rows] == quotes.efficiency.tolist()
    assert rows[0][3] == 1700439135_000000


def test_times_may_count_milliseconds(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("symbol,capital,efficiency,time\nA,1,0.5,1700000000000\n")
    done = escala("records", "import", "r.csv", "--time-unit", "s", cwd=tmp_path)
    assert done.returncode == 1
    assert "row 2: time = 1700000000000.0" in done.stderr
    done = escala("records", "import", "r.csv", cwd=tmp_path)
    assert "time: numbers were read as ms since 1970" in done.stdout
    assert escala("records", "import", "r.csv", "--time-unit", "ms", "--again", cwd=tmp_path).returncode == 0
    assert answer(tmp_path, "records", "list")[0]["first"] == "2023-11-14T22:13:20+00:00"


def test_how_a_file_is_written_may_be_said(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("A:1.234,5:0,5:1970-01-02\na:2:1:1970-01-02\n")
    header = ("--header", "symbol,capital,efficiency,time")
    signs = ("--delimiter", ":", "--decimal", ",", "--thousands", ".")
    done = escala("records", "import", "r.csv", *header, *signs, cwd=tmp_path)
    assert (done.returncode, "time must not lie before 1990" in done.stderr) == (1, True)
    done = escala("records", "import", "r.csv", *header, *signs, "--earliest", "1970-01-01", cwd=tmp_path)
    assert (done.returncode, "'A' and 'a' differ only in case or separators" in done.stderr) == (1, True)
    done = escala(
        "records", "import", "r.csv", *header, *signs, "--earliest", "1970-01-01", "--keep-similar", cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = {row["symbol"]: row["largest"] for row in answer(tmp_path, "records", "list")}
    assert found == {"A": 1234.5, "a": 2.0}
    done = escala("records", "import", "r.csv", "--delimiter", ":", cwd=tmp_path)
    assert (done.returncode, "this file seems to have no header" in done.stderr) == (1, True)
    columns = ("--column.symbol", "1", "--column.capital", "2", "--column.efficiency", "3")
    anew = ("--keep-similar", "--db", "anew.db")
    done = escala("records", "import", "r.csv", "--header", "no", *signs, *columns, *anew, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_strict_import_refuses_what_is_no_order_book(tmp_path: Path) -> None:
    levels = "".join(f"bid,99,1,{k}\nask,{101 if k else 98},1,{k}\n" for k in range(3))
    (tmp_path / "b.csv").write_text("side,price,quantity,snapshot\n" + levels)
    done = escala("records", "import", "b.csv", "--symbol", "A", "--strict", cwd=tmp_path)
    assert (done.returncode, "price of the best bid must be below" in done.stderr) == (1, True)
    done = escala("records", "import", "b.csv", "--symbol", "A", cwd=tmp_path)
    assert (done.returncode, "1 snapshot of 3 left out: 1 crossed" in done.stdout) == (0, True)


def test_what_was_imported_more_than_once_is_counted_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("symbol,capital,efficiency\nA,1,0.5\n")
    for _ in range(2):
        assert escala("records", "import", "r.csv", "--again", cwd=tmp_path).returncode == 0
    done = escala("records", "import", "r.csv", cwd=tmp_path)
    assert done.stderr == "escala: 1 record imported before, from r.csv: --allow-duplicates adds them once more\n"
    assert escala("records", "list", cwd=tmp_path).stdout.startswith("2 records of 1 symbol\n")


def test_records_do_not_replace_their_store(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("symbol,capital,efficiency\nA,1,0.5\n")
    store = ("--db", "store.csv")  # whatever it is called
    assert escala("records", "import", "r.csv", *store, cwd=tmp_path).returncode == 0
    done = escala("records", "export", "store.csv", *store, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "escala: store.csv: the records would replace the store itself\n")
    assert escala("records", "list", *store, cwd=tmp_path).stdout.startswith("1 record of 1 symbol\n")


def test_a_folder_is_no_place_for_records(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "o.csv").mkdir()
    done = escala("records", "export", str(tmp_path / "o.csv"), cwd=folder)
    assert (done.returncode, done.stderr) == (1, f"escala: {tmp_path / 'o.csv'} is a folder\n")


@pytest.mark.parametrize(("coding", "shown"), [("ascii", "\\xc4\\u2192"), ("latin-1", "\xc4\\u2192")])
def test_what_the_output_cannot_spell_is_escaped(tmp_path: Path, coding: str, shown: str) -> None:
    (tmp_path / "r.csv").write_text("symbol,capital,efficiency\nÄ→,1,0.5\n", encoding="utf-8")
    assert escala("records", "import", "r.csv", cwd=tmp_path).returncode == 0
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=coding)  # named: it would close what it writes to when it goes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(warnings, "showwarning", warnings.showwarning)
        assert cli.main(["records", "list", "--db", str(tmp_path / "escala.db")]) == 0
    assert shown in raw.getvalue().decode(coding)


def test_output_may_be_closed(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        patch.setattr(warnings, "showwarning", warnings.showwarning)
        assert cli.main(["records", "list", "--db", str(folder / "escala.db")]) == 0
        sys.stdout.close()


def test_a_file_is_not_imported_twice_by_mistake(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "escala.db", tmp_path)
    shutil.copy(folder / "dex_quotes.csv.gz", tmp_path / "copy.csv.gz")
    done = escala("records", "import", "copy.csv.gz", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "escala: 19,278 records imported before, from dex_quotes.csv.gz: --allow-duplicates adds them once more\n"
    )
    assert answer(tmp_path, "records", "import", "copy.csv.gz", "--again")["records"] == 19_278
    assert sum(found["count"] for found in answer(tmp_path, "records", "list")) == 2 * 19_278


def test_exported_records_are_imported_to_the_bit(folder: Path, tmp_path: Path) -> None:
    for name in ("all.csv", "all.parquet"):
        assert answer(folder, "records", "export", str(tmp_path / name))["records"] == 19_278
        done = escala("records", "import", name, "--db", f"{name}.db", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        content = []
        for path in (folder / "escala.db", tmp_path / f"{name}.db"):
            connection = sqlite3.connect(path)
            columns = "symbol, capital, efficiency, weight, observed_at"
            content.append(connection.execute(f"SELECT {columns} FROM efficiency_record ORDER BY id").fetchall())
            connection.close()
        assert content[0] == content[1]
    done = escala("records", "export", "one.csv", "--symbol", "USDC/WBTC", cwd=folder)
    assert done.stdout == "360 records written to one.csv\n"
    with (folder / "one.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["symbol"] for row in rows} == {"USDC/WBTC"}
    assert rows[0]["observed_at"].endswith("Z")
    assert not list(tmp_path.glob(".*"))


def test_bad_records_are_refused_whole(tmp_path: Path) -> None:
    rows = "".join(f"A,{capital},0.9\n" for capital in (1000, 3000, 4000, 5000))
    (tmp_path / "bad.csv").write_text(f"symbol,capital,efficiency\nA,2000,1.5\n{rows}")
    done = escala("records", "import", "bad.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    for part in ("bad.csv", "efficiency", "1.5"):
        assert part in done.stderr
    assert not (tmp_path / "escala.db").exists()
    assert answer(tmp_path, "records", "import", "bad.csv", "--clip")["clipped"] == 1


def test_records_of_an_order_book(folder: Path, tmp_path: Path) -> None:
    book = folder / "order_book_ethusdt_spot.csv.gz"
    found = answer(tmp_path, "records", "import", str(book), "--symbol", "ETH/USDT")
    assert found["symbols"] == ["ETH/USDT sell", "ETH/USDT buy"]
    at = answer(tmp_path, "predict", "--symbol", "ETH/USDT sell", "--capital", "1e6")
    assert 1.0 - at["efficiency"][0] == pytest.approx(4.236e-4, rel=0.2)  # a fitted curve, not the book itself


def test_an_import_is_told_what_a_file_of_executions_leaves_open(tmp_path: Path) -> None:
    small, large = "A/B,1.7e9,Verkauf,10,1,1,0.01\n" * 5, "A/B,1700000060,Verkauf,9,2,4,0.01\n" * 2
    (tmp_path / "t.csv").write_text("symbol,time,Art,price,size,qty,fee\n" + small + large)
    how = ("--column.side", "Art", "--column.quantity", "qty", "--sides.Verkauf", "sell", "--fee-unit", "percent")
    found = answer(tmp_path, "records", "import", "t.csv", *how, "--fills", "apart", "--db", "apart.db")
    assert (found["kind"], found["records"]) == ("quotes", 7)
    assert found["notes"] == ["fees of 'fee' are counted, as percent of the value", "columns not used: size"]
    done = escala("records", "import", "t.csv", *how, "--fees", "include", cwd=tmp_path)
    assert done.stderr.startswith("escala: t.csv: there are no records in it; ")
    assert "7 fills of the same symbol, side and time joined to 2 executions" in done.stderr
    done = escala("records", "import", "t.csv", "--column.side", "Art", "--column.quantity", "qty", cwd=tmp_path)
    assert done.returncode == 1
    assert "sides={'verkauf': 'buy'} or --sides.verkauf buy says it of others" in done.stderr
    done = escala("records", "import", "t.csv", "--column.side", "Art", cwd=tmp_path)
    assert "quantity may be 'size' and 'qty'" in done.stderr
    assert "--column.quantity" in done.stderr


@pytest.mark.parametrize("content", ["symbol,capital,efficiency\n", "symbol,side,price,quantity\nA,sell,10,1\n"])
def test_a_file_without_records_is_an_error_and_makes_no_store(tmp_path: Path, content: str) -> None:
    (tmp_path / "none.csv").write_text(content)
    done = escala("records", "import", "none.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("escala: none.csv: there are no records in it")
    assert not (tmp_path / "escala.db").exists()


def test_an_import_names_symbols_and_missing_times(folder: Path, tmp_path: Path) -> None:
    book = folder / "order_book_ethusdt_spot.csv.gz"
    done = escala("records", "import", str(book), "--symbol", "ETH/USDT", cwd=tmp_path)
    assert "no times in it: all count as observed now\n" in done.stdout
    assert done.stdout.endswith("escala.db: ETH/USDT sell, ETH/USDT buy\n")
    done = escala("predict", "--symbol", "eth/usdt", "--capital", "1", cwd=tmp_path)
    assert done.stderr.endswith("did you mean 'ETH/USDT buy' or 'ETH/USDT sell'?\n")


def test_tables_keep_numbers_whole_on_narrow_terminals(folder: Path) -> None:
    command = f"stty cols 60; {sys.executable} -m escala analyze --symbols USDC/WBTC TUSD/USDP --family linear"
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"], capture_output=True, text=True, check=True, cwd=folder
    )
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.stdout)
    assert "11,684,061  58,420,305" in shown
    assert "90 %" not in shown


def test_doubts_are_said_beside_an_allocation(folder: Path) -> None:
    done = escala("optimize", "--total", "1e8", "--family", "linear", cwd=folder)
    assert "of it stands on" in done.stdout
    assert "that the records contradict" in done.stdout
    assert "best for these curves" in done.stdout
    assert ", optimal)" not in done.stdout
    found = answer(folder, "optimize", "--symbols", *SYMBOLS, "--total", "1e6", "--family", "linear")
    assert all(value < 0.01 for value in found["lack_of_fit"])


def test_curves_that_no_record_contradicts_are_simply_optimal(folder: Path) -> None:
    done = escala("optimize", "--symbols", *SYMBOLS, "--total", "1e6", cwd=folder)
    assert ", optimal)" in done.stdout
    assert "contradict" not in done.stdout
    found = answer(folder, "optimize", "--symbols", *SYMBOLS, "--total", "1e6")
    assert all(value > 0.01 for value in found["lack_of_fit"])


def test_ctrl_c_is_quiet_while_the_command_line_is_loaded() -> None:
    code = """
import sys
from escala.__main__ import main
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "escala.commands.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_list(folder: Path) -> None:
    found = answer(folder, "records", "list")
    assert len(found) == 56
    assert found == sorted(found, key=lambda entry: entry["symbol"])
    [one] = answer(folder, "records", "list", "--symbol", "USDC/WBTC")
    quotes = load_quotes()
    capital = quotes.capital[np.array(quotes.symbol) == "USDC/WBTC"]
    assert (one["count"], one["smallest"], one["largest"]) == (360, capital.min(), capital.max())
    assert one["first"].startswith("2023-11-20T00:03:11")
    lines = escala("records", "list", cwd=folder).stdout.splitlines()
    assert lines[0] == "19,278 records of 56 symbols"
    assert lines[2].split() == ["symbol", "records", "smallest", "largest", "first", "last"]
    assert len(lines) == 59


@pytest.mark.parametrize("command", ["predict", "predecir"])
def test_predict_answers_as_the_library(folder: Path, command: str) -> None:
    capitals = [10_000.0, 1e6, 5e7, 2e8]
    found = answer(folder, command, "--symbol", "USDC/WBTC", "--capital", "10000", "1e6", "5e7", "200_000_000")
    quotes = load_quotes()
    curve = fit(quotes.symbol, quotes.capital, quotes.efficiency)["USDC/WBTC"]
    at = curve.predict(capitals)
    points = (
        "efficiency", "low", "high", "confidence", "extrapolated", "marginal", "marginal_low", "marginal_high",
    )  # fmt: skip
    for name in points:
        assert found[name] == getattr(at, name).tolist(), name
    assert found["marginal"] == curve.marginal(capitals).tolist()
    assert (found["capital"], found["family"], found["n_points"]) == (capitals, curve.family_names[0], 360)
    assert (found["interval"], found["points"], found["note"]) == ("conformal", int(at.points[0]), "")
    assert found["misfit"] == curve.misfit[0]
    assert list(found) == [
        "symbol", "family", "status", "n_points", "r_squared", "lack_of_fit", "trained_at", "trusted_to", "misfit",
        "set_aside", "level", "tolerance", "interval", "points", "note", "capital", *points,
    ]  # fmt: skip


@pytest.mark.parametrize("family", ["depth", "power", "ladder", "quadratic"])
def test_another_family_is_fitted_for_one_question(folder: Path, family: str) -> None:
    store = (folder / "escala.db").read_bytes()
    found = answer(
        folder, "predict", "--symbol", "USDC/WBTC", "--capital", "1e6", "--family", family, "--noise", "even"
    )
    quotes = load_quotes()
    curve = fit(quotes.symbol, quotes.capital, quotes.efficiency, family=family, noise="even")["USDC/WBTC"]
    assert (found["family"], found["interval"], found["trained_at"]) == (family, "student", None)
    assert (found["efficiency"], found["low"]) == (curve.efficiency([1e6]).tolist(), curve.predict([1e6]).low.tolist())
    one = answer(folder, "analyze", "--symbol", "USDC/WBTC", "--family", family, "--noise", "even")
    assert (one["family"], one["r_squared"]) == ([family], curve.r_squared.tolist())
    assert (folder / "escala.db").read_bytes() == store


def test_records_that_belong_together_and_the_next_time(folder: Path) -> None:
    quotes, times = load_quotes(), quote_times()
    chosen = np.array(quotes.symbol) == "USDC/WBTC"
    columns = ["USDC/WBTC"] * int(chosen.sum()), quotes.capital[chosen], quotes.efficiency[chosen]
    ask = ("predict", "--symbol", "USDC/WBTC", "--capital", "1e6")
    grouped = answer(folder, *ask, "--group", "hour")
    curve = fit(*columns, group=times[chosen] // 3600)
    at = curve.predict([1e6])
    assert (grouped["low"], grouped["marginal_low"]) == (at.low.tolist(), at.marginal_low.tolist())
    ahead = answer(folder, *ask, "--group", "hour", "--interval", "forward")
    curve = fit(*columns, group=times[chosen] // 3600, observed_at=times[chosen])
    at = curve.predict([1e6], interval="forward")
    assert ahead["interval"] == "forward"
    assert (ahead["low"], ahead["high"]) == (at.low.tolist(), at.high.tolist())


def test_optimize_with_another_family_keeps_the_settings(folder: Path) -> None:
    found = answer(folder, "optimize", "--symbols", *SYMBOLS, "--total", "500000", "--family", "depth")
    quotes = load_quotes()
    curves = fit(quotes.symbol, quotes.capital, quotes.efficiency, family="depth")[list(SYMBOLS)]
    best = allocate(curves, 500_000, min_efficiency=0.5, max_share=0.5, reserve=0.05)
    assert dict(zip(found["symbol"], found["amount"], strict=True)) == best.to_dict()
    done = escala("analyze", "--symbol", "USDC/WBTC", "--family", "cubic", cwd=folder)
    assert (done.returncode, "family must be one of" in done.stderr) == (1, True)
    done = escala("analyze", "--symbol", "USDC/WBT", "--family", "depth", cwd=folder)
    assert (done.returncode, "did you mean 'USDC/WBTC'?" in done.stderr) == (1, True)


def test_predict_prints_a_line_a_capital(folder: Path) -> None:
    lines = escala("predict", "--symbol=USDC/WBTC", "--capital", "1e6", "2e8", cwd=folder).stdout.splitlines()
    assert lines[0] == "USDC/WBTC: 360 records of capitals 502.909 to 148,990,000; ladder curve, R² 0.975"
    assert lines[3].split() == [
        "1,000,000",
        "0.9971",
        "0.9866",
        "to",
        "1.0000",
        "99.7%",
        "0.9968",
        "(0.9956",
        "to",
        "0.9980)",
    ]
    assert lines[4].endswith("outside the records")


@pytest.mark.parametrize("command", ["optimize", "optimizar"])
def test_optimize_answers_as_the_library(folder: Path, command: str) -> None:
    found = answer(folder, command, "--symbols", *SYMBOLS, "--total", "500000", "--upper", "USDT/USDC=100000")
    quotes = load_quotes()
    curves = fit(quotes.symbol, quotes.capital, quotes.efficiency)[list(SYMBOLS)]
    best = allocate(curves, 500_000, min_efficiency=0.5, max_share=0.5, reserve=0.05, upper=[np.inf, 1e5, np.inf])
    assert dict(zip(found["symbol"], found["amount"], strict=True)) == best.to_dict()
    assert (found["utility"], found["gap"], found["status"]) == (best.utility, best.gap, "optimal")
    assert found["binding"] == best.binding_names.tolist()
    assert found["money"] == 475_000.0
    assert (found["current"], found["cost"], found["group"]) == ([0.0] * 3, [0.0] * 3, [""] * 3)


def test_optimize_tells_what_it_trades_and_what_that_costs(folder: Path) -> None:
    held = ("--current", f"{SYMBOLS[0]}=50000", "--trade-cost", "0.001", "--fixed-cost", "2")
    found = answer(folder, "optimize", "--symbols", *SYMBOLS, "--total", "500000", *held)
    assert found["current"] == [50_000.0, 0.0, 0.0]
    assert found["trade"] == [amount - before for amount, before in zip(found["amount"], found["current"], strict=True)]
    assert found["cost"] == [0.001 * abs(trade) + (2.0 if trade else 0.0) for trade in found["trade"]]


def test_optimize_with_groups(folder: Path) -> None:
    """From labels and from a file the same, as the library; what is in no group is free."""
    (folder / "groups.csv").write_text(
        "symbol,group,note\nUSDT/USDC,stables/usd,a\nTUSD/USDP,stables,b\nUSDC/WBTC,,c\n"
    )
    free = ("--max-share", "1", "--reserve", "0", "--min-efficiency", "0")
    command = ("optimize", "--symbols", *SYMBOLS, "--total", "500000", *free)
    limits = ("--group-upper", "stables=300000", "stables/usd=200000", "--group-lower", "0", "--group-share", "0.9")
    labels = ("--groups", "USDT/USDC=stables/usd", "TUSD/USDP=stables")
    found = answer(folder, *command, *labels, *limits)
    assert answer(folder, *command, "--groups", "groups.csv", *limits) == found
    quotes = load_quotes()
    curves = fit(quotes.symbol, quotes.capital, quotes.efficiency)[list(SYMBOLS)]
    best = allocate(
        curves, 500_000, groups=[None, ("stables", "usd"), "stables"], group_share=0.9,
        group_upper={"stables": 3e5, "stables/usd": 2e5},
    )  # fmt: skip
    assert dict(zip(found["symbol"], found["amount"], strict=True)) == best.to_dict()
    assert found["group_amount"] == dict(zip(best.groups, best.group_amounts.tolist(), strict=True))
    assert found["group_price"] == dict(zip(best.groups, best.group_prices.tolist(), strict=True))
    assert found["group_amount"]["stables/usd"] == 200_000.0
    assert found["group"] == best.group_of.tolist() == ["", "stables/usd", "stables"]
    assert found["binding_group"] == best.binding_groups.tolist()
    done = escala(*command, *labels, *limits, cwd=folder)
    assert "the limit of stables/usd" in done.stdout


def test_optimize_with_groups_that_overlap(folder: Path) -> None:
    free = ("--max-share", "1", "--reserve", "0", "--min-efficiency", "0")
    command = ("optimize", "--symbols", *SYMBOLS, "--total", "500000", *free)
    labels = ("--groups", "USDT/USDC=usdt", "USDT/USDC=usdc/in", "USDC/WBTC=usdc/out", "TUSD/USDP=usdt")
    found = answer(folder, *command, *labels, "--group-upper", "usdt=200000", "usdc=100000")
    quotes = load_quotes()
    curves = fit(quotes.symbol, quotes.capital, quotes.efficiency)[list(SYMBOLS)]
    both = ["USDT/USDC", "USDC/WBTC"]
    best = allocate(
        curves, 500_000,
        groups={"usdt": ["USDT/USDC", "TUSD/USDP"], "usdc": both, "usdc/in": both[:1], "usdc/out": both[1:]},
        group_upper={"usdt": 2e5, "usdc": 1e5},
    )  # fmt: skip
    assert dict(zip(found["symbol"], found["amount"], strict=True)) == best.to_dict()
    assert found["group_price"] == dict(zip(best.groups, best.group_prices.tolist(), strict=True))
    assert best.groups == ("usdc/out", "usdc/in", "usdc", "usdt")


def test_optimize_in_lots(folder: Path) -> None:
    free = ("--max-share", "1", "--reserve", "0", "--min-efficiency", "0", "--min-ticket", "0")
    command = ("optimize", "--symbols", *SYMBOLS, *free, "--total", "20e6")
    found = answer(folder, *command, "--lots", "USDC/WBTC=1e6", "--max-count", "2", "--min-count", "0")
    quotes = load_quotes()
    curves = fit(quotes.symbol, quotes.capital, quotes.efficiency)[list(SYMBOLS)]
    lots = [1e6 if symbol == "USDC/WBTC" else 0.0 for symbol in SYMBOLS]
    assert (
        dict(zip(found["symbol"], found["amount"], strict=True))
        == allocate(curves, 20e6, lots=lots, max_count=2).to_dict()
    )
    refused = escala(*command, "--min-count", "1", cwd=folder)
    assert refused.returncode == 1
    assert "min_count counts what holds a least amount" in refused.stderr
    refused = escala(*command, "--min-count", "2", "--max-count", "1", cwd=folder)
    assert refused.returncode == 1
    assert "min_count must not exceed max_count, but min_count = 2 and max_count = 1" in refused.stderr


def test_optimize_backwards(folder: Path) -> None:
    free = ("--max-share", "1", "--reserve", "0", "--min-efficiency", "0")
    command = ("optimize", "--symbols", *SYMBOLS, *free)
    forwards = answer(folder, *command, "--total", "20e6")
    found = answer(folder, *command, "--target-utility", str(forwards["utility"]))
    assert found["total"] == pytest.approx(20e6, rel=1e-6)
    assert found["utility"] == pytest.approx(forwards["utility"], rel=1e-11)
    assert answer(folder, *command, "--target-efficiency", "0.999")["global_efficiency"] == pytest.approx(
        0.999, rel=1e-9
    )
    quotes = load_quotes()
    curves = fit(quotes.symbol, quotes.capital, quotes.efficiency)[list(SYMBOLS)]
    best = allocate(curves, 20e6, target_marginal=0.99, upper=[np.inf, 1e6, np.inf])
    marginal = ("--total", "20e6", "--target-marginal", "0.99", "--upper", "USDT/USDC=1e6")
    assert answer(folder, *command, *marginal)["total"] == float(best.total) < 19e6
    refitted = answer(folder, *command, "--target-efficiency", "0.99", "--family", "depth")
    assert refitted["global_efficiency"] == pytest.approx(0.99, rel=1e-9)


def test_optimize_tells_what_it_did_not_get_told(folder: Path) -> None:
    command = ("optimize", "--symbols", *SYMBOLS, "--total", "5e5", "--max-share", "1", "--reserve", "0")
    done = escala(*command, "--hurdle", "0.5", "--min-ticket", "1000", cwd=folder)
    assert "500,000 of 500,000 allocated over" in done.stdout
    assert done.stdout.endswith("by the store's settings, where a symbol has none of its own: min_efficiency 0.5\n")
    with sqlite3.connect(folder / "escala.db") as connection:
        assert connection.execute("SELECT total FROM allocation ORDER BY id DESC").fetchone() == (500_000.0,)
    connection.close()


@pytest.mark.parametrize("command", ["analyze", "analizar"])
def test_analyze_answers_as_the_library(folder: Path, command: str) -> None:
    found = answer(folder, command, "--symbols", *SYMBOLS, "--drop", "0.2")
    quotes = load_quotes()
    curves = fit(quotes.symbol, quotes.capital, quotes.efficiency)[list(SYMBOLS)]
    limits = curves.saturation(0.2)
    assert found["drop"] == 0.2
    assert found["symbol"] == list(SYMBOLS)
    for name in ("peak", "saturation", "saturation_low", "capacity", "capacity_high"):
        expected = [None if not np.isfinite(value) else value for value in getattr(limits, name).tolist()]
        assert found[name] == expected, name
    text = escala(command, cwd=folder).stdout
    assert text.startswith("56 symbols, 19,277 records: ladder 55")
    assert "66,753,727  64.5 M to 69 M" in text
    one = escala(command, "--symbol", "USDC/WBTC", cwd=folder).stdout
    assert "10 % of it lost at    66,753,727, 90 % interval 64.5 M to 69 M" in one


def test_a_symbol_with_too_few_records_has_no_made_up_numbers(tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("symbol,capital,efficiency\nA,1000,0.9\n")
    assert escala("records", "import", "few.csv", cwd=tmp_path).returncode == 0
    done = escala("predict", "--symbol", "A", "--capital", "2000", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "A: 1 record of capitals 1,000 to 1,000; no curve: too few distinct capitals\n")  # fmt: skip
    assert "no curve: too few distinct capitals" in escala("analyze", cwd=tmp_path).stdout
    found = answer(tmp_path, "predict", "--symbol", "A", "--capital", "2000")
    assert (found["efficiency"], found["low"], found["high"], found["confidence"]) == ([None], [0.0], [1.0], [0.0])


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("predict", "--symbol", "USDC/WBTC", "--capital", "1e6", "2e8"), "predict.png"),
        (("optimize", "--symbols", *SYMBOLS, "--total", "500000"), "optimize.svg"),
        (("analyze",), "analyze.pdf"),
        (("analyze", "--symbol", "USDC/WBTC"), "one.png"),
        (("simulate", "--supply", "1000", "--borrow", "600", "--target", "1500", "--wallet", "200"), "loop.png"),
    ],
)
def test_pictures_are_written(folder: Path, command: tuple[str, ...], name: str) -> None:
    done = escala(*command, "--plot", name, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"picture written to {name}\n")
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    content = (folder / name).read_bytes()
    assert content.startswith(starts[Path(name).suffix])
    assert len(content) > 5_000


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("predict", "--symbol", "USDC/WBT", "--capital", "1"), 1, "there are no records of 'USDC/WBT'; did you mean 'USDC/WBTC'?"),
        (("predict", "--symbol", "USDC/WBTC", "--capital", "-1"), 1, "capital must be in [0, inf), but"),
        (("predict", "--symbol", "USDC/WBTC", "--capital"), 2, 'Command "predict" parameter --capital requires at least 1 element'),
        (("predict", "--symbol", "USDC/WBTC", "--capital", "1", "--level", "2"), 1, "level must be in (0, 1), but level = 2.0"),
        (("predict", "--symbol", "USDC/WBTC", "--capital", "1", "--plot", "x.gif"), 1, "path must end in .png, .svg or .pdf, not 'x.gif'"),
        (("predict", "--symbol", "USDC/WBTC", "--capital", "1", "--db", "no.db"), 1, "there is no store at"),
        (("optimize", "--total", "-1"), 1, "total must be in [0, inf), but total = -1.0"),
        (("optimize", "--total", "1", "--upper", "A", "B=1"), 2, "--upper takes one number, or SYMBOL=NUMBER for some symbols, not 'A'"),
        (("optimize", "--total", "1", "--upper", "1", "2"), 2, "--upper takes one number, or SYMBOL=NUMBER for some symbols, not 2 numbers"),
        (("optimize", "--total", "1", "--upper", "A=x"), 2, "--upper takes numbers, not 'A=x'"),
        (("optimize", "--total", "1", "--upper", "A=1", "A=2"), 2, "--upper names 'A' twice"),
        (("optimize", "--total", "1", "--upper", "A=1"), 1, "upper names 'A', which is not among the symbols"),
        (("optimize",), 2, "optimize needs --total, or one of --target-utility, --target-efficiency and --target-marginal"),
        (("optimize", "--target-utility", "1", "--target-marginal", "1"), 1, "target_utility and target_marginal are two questions"),
        (("optimize", "--target-efficiency", "2"), 1, "target_efficiency must be in [0, 1], but target_efficiency = 2.0"),
        (("optimize", "--target-marginal", "0.9", "--spend", "exactly"), 1, "spend='exactly' knows no targets"),
        (("optimize", "--total", "1", "--groups", "A=x", "B"), 2, "--groups takes one file, or SYMBOL=GROUP for some symbols, not 'B'"),
        (("optimize", "--total", "1", "--groups", "A=", "B=x"), 2, "--groups takes one file, or SYMBOL=GROUP for some symbols, not 'A='"),
        (("optimize", "--total", "1", "--groups", "A=x", "A=x"), 1, "--groups puts 'A' into 'x' twice"),
        (("optimize", "--total", "1", "--groups", "A=x//y"), 1, "--groups: the group of 'A' must be a name or names as outer/inner, not 'x//y'"),
        (("optimize", "--total", "1", "--groups", "USDC/WBT=x"), 1, "groups names 'USDC/WBT', which is not among the symbols; did you mean"),
        (("optimize", "--total", "1", "--groups", "none.csv"), 1, "none.csv: No such file or directory"),
        (("optimize", "--total", "1", "--groups", "dex_quotes.csv.gz"), 1, "dex_quotes.csv.gz: there is no column 'group', only symbol, "),
        (("optimize", "--total", "1", "--group-upper", "5"), 1, "group_upper needs groups"),
        (("optimize", "--total", "1", "--group-share", "x"), 2, "--group-share takes numbers, not 'x'"),
        (("optimize", "--total", "1", "--group-lower", "A", "B=1"), 2, "--group-lower takes one number, or GROUP=NUMBER for some groups, not 'A'"),
        (("optimize", "--total", "1", "--spend", "all"), 2, 'Invalid value "all" for --spend. Choose from: "at_most", "exactly"'),
        (("optimize", "--symbols", "USDC/WBTC", "USDC/WBTC", "--total", "1"), 1, "symbols names 'USDC/WBTC' twice"),
        (("analyze", "--drop", "0"), 1, "drop must be in (0, 1], but drop = 0.0"),
        (("records", "import", "none.csv"), 1, "none.csv: No such file or directory"),
        (("records", "import", "order_book_ethusdt_spot.csv.gz", "--db", "new.db"), 1, "order_book_ethusdt_spot.csv.gz"),
        (("records", "export", "x.xls"), 1, "x.xls: records are written as .csv or .parquet"),
        (("records", "export", "x.csv", "--symbols", "USDC"), 1, "there are no records of 'USDC'"),
        (("records", "list", "--symbols", "USDC/WBTC", "nope"), 1, "there are no records of 'nope'"),
        (("records",), 0, ""),
    ],
)  # fmt: skip
def test_errors_are_one_line(folder: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = escala(*arguments, cwd=folder)
    assert done.returncode == code
    if code:
        assert done.stdout == ""
        assert done.stderr.startswith(f"escala: {message}")
        assert done.stderr.count("\n") == 1
    assert not (folder / "new.db").exists()


def test_the_store_may_be_named_by_the_environment(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "escala", "records", "list", "--json"]
    env = {**os.environ, "ESCALA_DB": f"sqlite:///{folder / 'escala.db'}"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=env)
    assert len(json.loads(done.stdout)) == 56


def test_passwords_are_not_shown() -> None:
    for command in (("records", "list"), ("predict", "--symbol", "A", "--capital", "1"), ("optimize", "--total", "1")):
        done = escala(*command, "--db", "postgresql://me:s3cret@localhost:1/none")
        assert done.returncode == 1
        assert done.stderr.startswith("escala: cannot read postgresql://me:***@localhost:1/none")
        assert "s3cret" not in done.stderr + done.stdout


def test_sharpe_ratios_are_no_efficiencies(tmp_path: Path) -> None:
    rows = "".join(f"S,{k}00000,{2.5 - 0.1 * k}\n" for k in range(1, 12))
    (tmp_path / "sharpe.csv").write_text(f"symbol,capital,efficiency\n{rows}")
    done = escala("records", "import", "sharpe.csv", "--clip", cwd=tmp_path)
    assert done.returncode == 1
    assert "clip would change 11 of 11 efficiencies" in done.stderr
    assert not (tmp_path / "escala.db").exists()
    made = answer(tmp_path, "records", "import", "sharpe.csv", "--normalise")
    assert made["notes"] == ["efficiencies were divided by their value at the smallest capital: 2.4 of S"]
    wanted = ("predict", "--symbol", "S", "--capital", "600000")
    assert answer(tmp_path, *wanted, "--family", "linear")["efficiency"] == [pytest.approx(1.9 / 2.4)]
    assert answer(tmp_path, *wanted)["family"] != "linear"  # the line through them starts above 1


def test_what_or_more_means_is_said_only_where_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    capital = np.linspace(1.0, 10.0, 12)
    noise = np.random.default_rng(2).normal(0.0, 0.01, 12)
    clear = fit(["A", "B"], [capital, [0.5, 1.2]], [0.9 - 0.07 * capital + noise, [0.9, 0.8]], family="linear")
    unclear = fit(["C"], [capital], [0.9 - 0.007 * capital + noise], family="linear")
    decay = fit(["D"], [capital], [0.8 * np.exp(-0.4 * capital) + 0.1 + noise], family="exponential")
    for curves, said in ((clear, ()), (unclear, ("or not within",)), (decay, ("flattens out",))):
        scaling._print_many(curves, curves.saturation(), 0.1)
        shown = capsys.readouterr().out
        assert "0 or more" not in shown
        for words in ("or not within", "flattens out"):
            assert (words in shown) == (words in said), (curves, words)


def test_no_probability_is_given_outside_the_records(capsys: pytest.CaptureFixture[str]) -> None:
    capital = np.linspace(1.0, 10.0, 12)
    curve = fit(["A"], [capital], [0.9 - 0.05 * capital], family="linear")
    at = curve.predict([[5.0, 15.0]])
    columns = {"capital": [5.0, 15.0], **{name: getattr(at, name)[0] for name in scaling._OF_A_POINT}}
    scaling._print_prediction(curve, columns, 0.95, 0.05)
    lines = capsys.readouterr().out.splitlines()
    assert "> 99.9%" in lines[3]
    assert lines[4].split()[5] == "–"
    assert lines[4].endswith("outside the records")
    assert lines[-1].startswith("outside the records the interval holds if")


def test_shares_are_of_the_total_as_max_share_is() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-1e-6, 0.9]], trusted_to=1e6)
    found = allocate(curves, 1000.0, max_share=0.5, upper=[1000.0, 450.0])
    [line] = [line for line in found.summary().splitlines() if line.endswith("max_share")]
    assert "50.00%" in line
