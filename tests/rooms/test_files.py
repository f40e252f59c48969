"""Files as people and programs write them: read rightly in one way, or refused with what to say."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import math
import re
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import EfficiencyRecords, RecordError, RecordFileError, ScenarioFileError, sources
from escala.files import arrow, numbers, times
from escala.files import csv as csv_file
from escala.files.dialect import Dialect
from escala.lending import scenario_file
from escala.sources import order_book, quotes, symbols

HEAD = "symbol,capital,efficiency\n"


def read(tmp_path: Path, text: str | bytes, name: str = "r.csv", **options: Any) -> EfficiencyRecords:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return sources.read(path, **options)


# --- separators, decimals, thousands ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "capital", "efficiency"),
    [
        ("symbol;capital;efficiency\nA;1.234,56;0,5\nB;2.000;0,25\n", {}, [1234.56, 2000.0], [0.5, 0.25]),
        ("symbol;capital;efficiency\nA;1,5;0,5\nB;2;0,25\n", {}, [1.5, 2.0], [0.5, 0.25]),
        ("symbol;capital;efficiency\nA;1 234,5;0,5\n", {}, [1234.5], [0.5]),
        ("symbol;capital;efficiency\nA;1'234.5;0.5\n", {}, [1234.5], [0.5]),
        ("symbol;capital;efficiency\nA;1,234;0.5\n", {}, [1234.0], [0.5]),  # the other column has points
        ("symbol;capital;efficiency\nA;1,234;1\n", {"decimal": ","}, [1.234], [1.0]),
        ("symbol;capital;efficiency\nA;1,234;1\n", {"thousands": ","}, [1234.0], [1.0]),
        ("symbol;capital;efficiency\nA;1.234;1\n", {"decimal": "."}, [1.234], [1.0]),
        ("symbol;capital;efficiency\nA;1.234;0.5\n", {}, [1.234], [0.5]),
        ("symbol\tcapital\tefficiency\nA\t1.234\t1\nA\t1.2\t1\n", {}, [1.234, 1.2], [1.0, 1.0]),
        ("symbol,capital,efficiency\nA,1.234,1\n", {}, [1.234], [1.0]),
        ("symbol;capital;efficiency;lat\nA;2;1;40.123\n", {}, [2.0], [1.0]),
        ("symbol;capital;efficiency\nA;1.234;1\n", {"thousands": "."}, [1234.0], [1.0]),
        ('symbol,capital,efficiency\nA,"1,234.56",0.5\nB,"1,000,000",0.25\n', {}, [1234.56, 1e6], [0.5, 0.25]),
        ("symbol\tcapital\tefficiency\nA\t5\t0.5\n", {}, [5.0], [0.5]),
        ("symbol|capital|efficiency\nA|5|0.5\n", {}, [5.0], [0.5]),
        ("symbol:capital:efficiency\nA:5:0.5\n", {"delimiter": ":"}, [5.0], [0.5]),
        ("symbol\tcapital\tefficiency\nA\t5\t0.5\n", {"delimiter": "tab"}, [5.0], [0.5]),
        ("sep=;\nsymbol;capital;efficiency\nA;5;0,5\n", {}, [5.0], [0.5]),
        ("symbol,capital,efficiency,\nA,5,0.5,\nB,6,0.6,\n", {}, [5.0, 6.0], [0.5, 0.6]),
        ("symbol,capital,efficiency\nA,5,0.5,\nB,6,0.6,,\n", {}, [5.0, 6.0], [0.5, 0.6]),
        ("symbol,capital,efficiency,\nA,5,0.5\nB,6,0.6\n", {}, [5.0, 6.0], [0.5, 0.6]),
        ("# by hand\n\n# twice\nsymbol,capital,efficiency\nA,5,0.5\n# no\nB,6,0.6\n", {}, [5.0, 6.0], [0.5, 0.6]),
        ("# symbol,capital,efficiency\nA,5,0.5\nB,6,0.6\n", {}, [5.0, 6.0], [0.5, 0.6]),
        ("https://example.org\nsymbol,capital,efficiency\nA,5,0.5\n", {}, [5.0], [0.5]),
        ("\nTransactions\nUser,a@b.c,123\n\nsymbol,capital,efficiency,x\nA,5,0.5,\nB,6,0.6,\n", {}, [5.0, 6.0], [0.5, 0.6]),
        ("A,5,0.5\nB,6,0.6\n", {"header": ["symbol", "capital", "efficiency"]}, [5.0, 6.0], [0.5, 0.6]),
        ("A,5,0.5\n", {"header": False, "columns": {"symbol": "1", "capital": "2", "efficiency": "3"}}, [5.0], [0.5]),
        ("1,2,3\nA,5,0.5\n", {"header": True, "columns": {"symbol": "1", "capital": "2", "efficiency": "3"}}, [5.0], [0.5]),
    ],
)  # fmt: skip
def test_files_are_read_as_they_are_written(
    text: str, options: dict[str, Any], capital: list[float], efficiency: list[float], tmp_path: Path
) -> None:
    for encoded in (text.encode(), text.encode("utf-8-sig"), text.encode("utf-16"), text.encode("utf-16-le")):
        made = read(tmp_path, encoded, **options)
        assert (made.capital.tolist(), made.efficiency.tolist()) == (capital, efficiency)
        packed = read(tmp_path, gzip.compress(encoded), "r.csv.gz", **options)
        assert packed.capital.tolist() == capital


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("symbol;capital;efficiency\nA;1.234,56;0,5\n", ("values are separated by ';'", "numbers were read with decimals after ',', thousands by '.'")),
        ("symbol\tcapital\tefficiency\nA\t5\t0.5\n", ("values are separated by tabs",)),
        ("title\nsymbol,capital,efficiency\nA,5,0.5\n", ("1 row before the header left out",)),
        ("# x\nsymbol,capital,efficiency\nA,5,0.5\n#A,6,1\n#A,7,1\n", ("1 comment before the first row left out", "2 rows that begin with # left out")),
        (HEAD + "A,0.05BTC,0.5\nB,$3,0.5\nA,7 BTC,1\n", ("capital: BTC, $ taken off its numbers",)),
        (HEAD + "A,5,0.5\n", ()),
    ],
)  # fmt: skip
def test_how_a_file_was_read_is_told(text: str, notes: tuple[str, ...], tmp_path: Path) -> None:
    assert read(tmp_path, text).notes == notes


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("symbol;capital;efficiency\nA;1,234;1\n", {}, r"r\.csv row 2: capital must be a number, not '1,234': the comma may be for decimals or for thousands: say decimal=',' or thousands=','"),
        ("symbol;capital;efficiency\nA;1;1\nB;1.234 USD;1\n", {}, r"r\.csv row 3: capital must be a number, not '1\.234 USD': the point may be for decimals or for thousands: say decimal='\.' or thousands='\.'"),
        ("symbol\tcapital\tefficiency\nA\t1.234\t1\n", {}, "row 2: capital must be a number, not '1.234': the point may be"),
        ("symbol;capital;efficiency\n" + "A;1.234;1\n" * 200_000, {}, "row 2: capital must be a number, not '1.234': the point may be"),
        (HEAD + 'A,"1,5",0.5\n', {"decimal": "."}, r"row 2: capital must be a number, not '1,5': decimal and thousands say how numbers are written"),
        ("symbol;capital;efficiency\nA;12.34,5;0,5\n", {}, "row 2: capital must be a number, not '12.34,5'"),
        ("A,5,0.5\nB,6,0.6\n", {}, r"r\.csv: this file seems to have no header, its first row is 'A', '5', '0\.5': header=\['time', 'price', …\] names its columns, header=False numbers"),
        ("2024-01-02,a,b,c,d\n", {}, "seems to have no header, its first row is '2024-01-02', 'a', 'b', 'c', …"),
        ("A,5,0.5\n", {"header": ["symbol", "capital"]}, r"r\.csv: header has 2 names, but the first row has 3 values"),
        ("pri;a,qua;b\n1;2,3;4\n", {}, "values may be separated by ',' or ';': say delimiter"),
        ("symbol capital efficiency\nA 5 0.5\n", {}, "found were symbol capital efficiency; delimiter says what separates columns"),
        (HEAD + "A,1.5k,0.5\n", {}, "row 2: capital must be a number, not '1.5k'"),
        (HEAD + "A,5bn,0.5\n", {}, "not '5bn': bn is no unit but a factor or a share: write the number out"),
        (HEAD + "A,101INCH,0.5\n", {}, "not '101INCH': digits before INCH may belong to its name"),
        (HEAD + "A,5,0.5USD\n", {}, "row 2: efficiency must be a number, not '0.5USD': it may have no USD"),
        (HEAD + "A,5,50%\n", {}, "efficiency must be a number, not '50%'"),
        (HEAD + "A,5,0.5,6\n", {}, "row 2: 4 values for 3 columns"),
        ("# only\n\n", {}, r"r\.csv: the file is empty"),
    ],
)  # fmt: skip
def test_what_may_be_read_in_two_ways_is_refused(
    text: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RecordFileError, match=message):
        read(tmp_path, text, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": ";;"}, "delimiter must be one sign such as ';', or 'tab', not ';;'"),
        ({"delimiter": "a"}, "delimiter must be one sign"),
        ({"decimal": "'"}, r"decimal must be '\.' or ',', not \"'\""),
        ({"thousands": "x"}, r"thousands must be ',', '\.', a space or an apostrophe, not 'x'"),
        ({"thousands": ",", "decimal": ","}, "decimal and thousands must differ, both are ','"),
        ({"header": ["a", "a"]}, r"header must be True, False or a list of different names, not \['a', 'a'\]"),
        ({"header": "none"}, "header must be True, False or a list of different names, not 'none'"),
        ({"earliest": "soon"}, "earliest must be a date such as '1970-01-01', not 'soon'"),
        ({"earliest": 5}, "earliest must be a date such as '1970-01-01', not 5"),
        ({"keep_similar": 1}, "keep_similar must be True or False, not 1"),
    ],
)
def test_bad_words_on_how_a_file_is_written_are_refused(options: dict[str, Any], message: str) -> None:
    table = {"symbol": ["A"], "capital": [1.0], "efficiency": [1.0]}
    with pytest.raises(RecordError, match=message):
        sources.read(table, **options)


def test_the_parts_of_sources_take_the_same_words(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text("bid;99,5;1\nask;100,5;2\n")
    names = ["side", "price", "quantity"]
    assert order_book.book(path, header=names).mid.tolist() == [100.0]
    assert order_book.walk(path, 10.0, header=names).filled.all()
    assert len(order_book.records(path, symbol="A", header=names, capital=10.0)) == 2
    path.write_text("price;quantity\n" + "99,5;1,5\n" * 5)
    assert quotes.records(path, symbol="A", decimal=",").capital.tolist() == [149.25] * 5


def test_numbers_that_frames_hold_as_text_are_read() -> None:
    frame = pd.DataFrame({"symbol": ["A", "B"], "capital": ["1,234.50", "10"], "efficiency": ["0.5", "1"]})
    assert sources.read(frame).capital.tolist() == [1234.5, 10.0]
    frame["capital"] = ["0.5BTC", "2 BTC"]
    made = sources.read(frame)
    assert made.capital.tolist() == [0.5, 2.0]
    assert made.notes == ("capital: BTC taken off its numbers",)
    for bad in ("x", None, True, [1.0]):
        columns = {"symbol": ["A", "B"], "capital": ["1", bad], "efficiency": [1.0, 1.0]}
        with pytest.raises(RecordError, match=r"mapping: capital must be real numbers, but capital\[1\] = "):
            sources.read(columns)


@given(st.floats(0.0, 1e12), st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (",", None)]))
def test_a_number_is_read_as_it_was_written(value: float, signs: tuple[str, str | None]) -> None:
    decimal, thousands = signs
    text = f"{value:,.3f}".replace(",", "T").replace(".", decimal).replace("T", thousands or "")
    read_number = numbers.Numbers(numbers.Separators(decimal, thousands), units=True)
    for written in (text, f" {text} ", f"{text}BTC", f"€{text}"):
        assert read_number(written) == float(f"{value:.3f}")
    assert read_number("-" + text) == -float(f"{value:.3f}")


# --- by pyarrow or by rows ----------------------------------------------------------------------------------------


VALUES = st.one_of(
    st.floats(allow_nan=True).map(repr),
    st.integers(-1000, 10**12).map(str),
    st.sampled_from(["", " 1", "1 ", "1_0", "+5", "1,5", "0x1", "x", "1e400", "1BTC", '"', "\u0661", "1.", "#", "nan"]),
    st.text(st.sampled_from('ab1,."\n\r #\u00e9\t'), max_size=4),
)
TIMES = st.sampled_from(["1700000000", "2024-01-02", "2024-01-02T03:04:05.25", "2024-01-02T03:04:05Z", "2024-01-02 03:04:05 UTC", "x", "20240102", ""])  # fmt: skip
KINDS: tuple[csv_file.Kind, ...] = ("text", "plain", "amount", "level", "time")


def content(path: Path) -> tuple[Any, ...] | str:
    def plan(names: list[str]) -> dict[int, csv_file.Column]:
        return {k: csv_file.Column(name, KINDS[k]) for k, name in enumerate(names)}

    try:
        said = Dialect(delimiter=",", header=True, decimal=".")
        found = csv_file.columns(path, plan, RecordFileError, said=said)
    except RecordFileError as error:
        return str(error)
    values = {name: [repr(value) for value in column.tolist()] for name, column in found.values.items()}
    return values, found.dated, found.notes


@given(
    st.lists(
        st.tuples(VALUES, st.floats().map(repr) | VALUES, st.floats().map(repr) | VALUES, VALUES, TIMES), max_size=6
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE]),
)
def test_a_library_reads_what_rows_give_or_leaves_it_to_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], ending: str, quoting: Any
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=ending, quoting=quoting, escapechar="\\", doublequote=True)
    writer.writerows([("symbol", "capital", "weight", "efficiency", "time"), *rows])
    path = tmp_path_factory.mktemp("both") / "r.csv"
    path.write_text(text.getvalue(), newline="", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_file, "_LARGE", 0)
        by_library = content(path)
        patch.setattr(csv_file, "_LARGE", 10**9)
        assert content(path) == by_library


@pytest.mark.parametrize("moment", ["{:.3f}", "2024-01-02T03:04:{:06.3f}Z", "2024-01-02 03:04:{:06.3f} UTC"])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("quote", ["", '"'])
def test_large_files_of_every_writing_are_read_by_the_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, moment: str, decimal: str, quote: str
) -> None:
    seconds = [k % 60 + (1.7e9 if moment.startswith("{") else 0.0) + 0.25 for k in range(5000)]
    rows = [
        ";".join(f"{quote}{value}{quote}" for value in (f"Ä{k % 7}", f"{1.5 * k + 1}".replace(".", decimal), "1", moment.format(s)))
        for k, s in enumerate(seconds)
    ]  # fmt: skip
    if moment.startswith("{"):
        rows = [row.rpartition(";")[0] + ";" + row.rpartition(";")[2].replace(".", decimal) for row in rows]
    path = tmp_path / "r.csv"
    path.write_text("symbol;capital;efficiency;time\r\n" + "\r\n".join(rows), newline="")
    monkeypatch.setattr(arrow, "_BLOCK", 50_000)
    by_rows = sources.read(path)
    monkeypatch.setattr(csv_file, "_LARGE", 0)
    monkeypatch.setattr(csv_file._Reading, "content", None)  # the rows must not be needed
    made = sources.read(path)
    np.testing.assert_array_equal(made.capital, by_rows.capital)
    np.testing.assert_array_equal(made.symbol, by_rows.symbol)
    assert made.observed_at is not None
    assert by_rows.observed_at is not None
    np.testing.assert_array_equal(made.observed_at, by_rows.observed_at)
    assert made.notes == by_rows.notes
    assert made.capital[:2].tolist() == [1.0, 2.5]
    first = 1.7e9 if moment.startswith("{") else 1704164640.0
    assert made.observed_at[:2].tolist() == [first + 0.25, first + 1.25]


def test_without_the_library_rows_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(csv_file, "_LARGE", 0)
    monkeypatch.setitem(sys.modules, "pyarrow.csv", None)
    assert read(tmp_path, HEAD + "A,5,0.5\n").capital.tolist() == [5.0]


# --- times --------------------------------------------------------------------------------------------------------


def timed(values: Any, **options: Any) -> list[float]:
    n = len(values)
    made = sources.read({"symbol": ["A"] * n, "capital": [1.0] * n, "efficiency": [1.0] * n, "time": values}, **options)
    assert made.observed_at is not None
    return list(made.observed_at.tolist())


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        ([1704110400.5], {}, 1704110400.5),
        ([1704110400500], {}, 1704110400.5),
        ([1704110400500000], {}, 1704110400.5),
        ([1704110400500000000], {}, 1704110400.5),
        (["1704110400500"], {}, 1704110400.5),
        ([45292.5], {"time_unit": "excel"}, 1704110400.0),
        (["2024-01-01 12:00:00 UTC"], {}, 1704110400.0),
        (["2024-01-01 12:00:00 +0000 UTC"], {}, 1704110400.0),
        (["2024-01-01 14:00:00 +02:00"], {}, 1704110400.0),
        (["2024/01/01 12:00"], {}, 1704110400.0),
        (["2024-1-1 9:00:00"], {}, 1704099600.0),
        (["20240101;120000"], {}, 1704110400.0),
        (["2024-01-01, 12:00:00"], {}, 1704110400.0),
        (["2024-01-01T12:00:00.123456789Z"], {}, 1704110400.123456),
        ([5.0], {"earliest": "1970-01-01"}, 5.0),
        ([34200.5], {"earliest": "1970-01-01"}, 34200.5),
        (["1985-06-01"], {"earliest": "1980-01-01"}, 486432000.0),
    ],
)
def test_times_are_read_as_they_are_written(
    values: list[Any], options: dict[str, Any], expected: float, tmp_path: Path
) -> None:
    assert timed(values, **options) == [expected]
    made = read(tmp_path, f'symbol,capital,efficiency,time\nA,1,1,"{values[0]}"\n', **options)
    assert made.observed_at is not None
    assert made.observed_at.tolist() == [expected]


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1704110400123, 1704110400123456], {}, r"time must share one unit, here some count ms and some us, but time\[1\] = "),
        ([1704110400123, 1704110400123456], {"time_unit": "us"}, r"time must not lie before 1990 \(time_unit says .*time\[0\] = 1704110400123"),
        ([1704110400123456], {"time_unit": "ms"}, "must be unix seconds of the years 1 to 9999"),
        ([0.0], {}, r"time must not lie before 1990 \(time_unit says what numbers count, earliest='1970-01-01' allows early times\), but time\[0\] = 0.0"),
        (["1989-12-31"], {}, "must not lie before 1990"),
        (["1991-01-01", "2024-01-01"], {}, r"time must not span more than 20 years, which wrong units make \(earliest='1970-01-01' allows it\)"),
        (["1991-01-01"], {"earliest": "2000-01-01"}, "time must not lie before 2000-01-01, as earliest says"),
        ([45292.5], {}, r"time must not be days as Excel counts them \(time_unit='excel' reads those\), but time\[0\] = 45292.5"),
        ([20240102, 20240103], {}, "time must not be dates without dashes: 2024-01-02"),
        ([20240102], {"time_unit": "s"}, "time must not be dates without dashes: 2024-01-02"),
        ([1704110400.0, "2024-01-01"], {}, r"time must be numbers or dates, not some of both, but time\[0\] = 1704110400.0; time\[1\] = '2024-01-01'"),
        ([math.inf], {}, "must be unix seconds"),
    ],
)  # fmt: skip
def test_times_that_tell_nothing_sure_are_refused(values: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        timed(values, **options)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("01/02/2024",), r"row 2: time must be a number or an ISO date, not '01/02/2024': which is the day and which the month it does not tell: write 2024-01-31"),
        (("2024-01-01 12:00 EST",), "zone EST is not known: write UTC or an offset such as"),
        (("2024-01-01 12:00 PM",), "zone PM is not known"),
        (("1704110400", "2024-01-01"), "time must be numbers or dates, row 2 has a number and row 3 a date"),
    ],
)  # fmt: skip
def test_times_in_files_are_refused_by_row(values: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(RecordFileError, match=message):
        read(tmp_path, "symbol,capital,efficiency,time\n" + "".join(f"A,1,1,{value}\n" for value in values))


def test_dates_count_as_dates_and_numbers_as_numbers() -> None:
    read_time = times.Times()
    assert [read_time("2024-01-01"), read_time("7")] == [1704067200.0, 7.0]
    assert (read_time.mixed, read_time.first, read_time.count) == (True, {"date": 0, "number": 1}, 2)


# --- symbols ------------------------------------------------------------------------------------------------------


def test_symbols_are_stripped_and_it_is_told() -> None:
    table = {"symbol": ["BTC/USDT ", "BTC/USDT", "\u00a0ETH"], "capital": [1.0] * 3, "efficiency": [1.0] * 3}
    made = sources.read(table)
    assert made.symbol.tolist() == ["BTC/USDT", "BTC/USDT", "ETH"]
    assert made.notes == (r"2 symbols stripped of spaces: 'BTC/USDT ', '\xa0ETH'",)
    assert symbols.stripped("\ufeff A\u200b ") == "A"
    with pytest.raises(RecordError, match=r"symbol must be text that is not empty, but symbol\[0\] = '  '"):
        sources.read(table | {"symbol": ["  ", "A", "B"]})


@pytest.mark.parametrize("other", ["btc/usdt", "BTC-USDT", "BTCUSDT", "BTC USDT", "BTC.USDT", "\uff22TC/USDT"])
def test_two_writings_of_a_symbol_are_refused(other: str) -> None:
    table = {"symbol": ["BTC/USDT", other], "capital": [1.0, 2.0], "efficiency": [1.0, 1.0]}
    message = (
        f"mapping: symbol 'BTC/USDT' and {other!r} differ only in case or separators: keep_similar says they are two"
    )
    with pytest.raises(RecordError, match=message):
        sources.read(table)
    assert sources.read(table, keep_similar=True).symbol.tolist() == ["BTC/USDT", other]


def test_digits_on_both_sides_keep_their_point() -> None:
    assert symbols.similar(["CALL-1.5", "CALL-15", "BTC/USDT", "BTC/USDT:USDT"]) is None


# --- books --------------------------------------------------------------------------------------------------------


def snapshot(k: int, bid: float = 99.0, ask: float = 101.0, size: float = 1.0) -> str:
    return f"bid,{bid},{size},{k}\nask,{ask},1,{k}\n"


LEVELS = "side,price,quantity,snapshot\n"


@pytest.mark.parametrize(
    ("bad", "fault", "refused"),
    [
        (snapshot(9, size=0.0), "1 with a level of quantity 0", r"quantity must be in \[1e-100, 1e\+100\], but row 8: quantity = 0.0"),
        ("bid,99,1,9\n", "1 with one side", "side must be bid and ask in every snapshot, one has no asks, but row 8"),
        (snapshot(9, bid=102.0), "1 crossed", "price of the best bid must be below that of the best ask of its snapshot, but row 8: price = 102.0; row 9: price = 101.0"),
        (snapshot(9, bid=101.0), r"1 locked \(bid = ask\)", "must be below that of the best ask"),
    ],
)  # fmt: skip
def test_a_snapshot_that_is_no_book_is_left_out_and_counted(bad: str, fault: str, refused: str, tmp_path: Path) -> None:
    text = LEVELS + snapshot(0) + snapshot(1) + snapshot(2) + bad
    made = read(tmp_path, text, symbol="A", capital=50.0)
    without = read(tmp_path, LEVELS + snapshot(0) + snapshot(1) + snapshot(2), symbol="A", capital=50.0)
    assert made.efficiency.tolist() == without.efficiency.tolist()
    assert (len(made), made.left_out) == (6, 1)
    assert "".join(made.notes).startswith("1 snapshot of 4 left out: " + fault.replace("\\", ""))
    (tmp_path / "r.csv").write_text(text)
    book = order_book.book(tmp_path / "r.csv")
    assert (len(book), book.left_out) == (3, 1)
    assert repr(book) == "<OrderBook: 3 snapshots of 6 levels, 1 left out>"
    assert book.notes[0] in order_book.walk(book, 1.0).summary()
    with pytest.raises(RecordFileError, match=refused):
        read(tmp_path, text, symbol="A", strict=True)
    with pytest.raises(RecordFileError, match="order books"):
        read(tmp_path, LEVELS + snapshot(0) + bad + bad.replace(",9\n", ",10\n"), symbol="A")


def test_many_snapshots_that_are_no_books_are_an_error(tmp_path: Path) -> None:
    text = LEVELS + snapshot(0) + snapshot(1, size=0.0) + snapshot(2, bid=101.0)
    message = r"2 of 3 snapshots are no order books \(1 with a level of quantity 0, 1 locked \(bid = ask\)\): changes of a book are none"
    with pytest.raises(RecordFileError, match=message):
        read(tmp_path, text, symbol="A")


WIDE = "timestamp,bids[0].price,bids[0].amount,asks[0].price,asks[0].amount,bids[1].price,bids[1].amount,asks[1].price,asks[1].amount\n"


def test_columns_for_each_level_are_read(tmp_path: Path) -> None:
    text = WIDE + "1704110400123456,99,1,101,5,98,2,,\n1704110400223456,99,1,101,1,98,3,102,4\n"
    made = read(tmp_path, text, symbol="A", capital=200.0, side="sell")
    assert made.efficiency.tolist() == [0.985, 0.985]
    assert made.observed_at is not None
    assert made.observed_at.tolist() == [1704110400.123456, 1704110400.223456]
    assert made.notes == ("timestamp: numbers were read as us since 1970",)
    book = order_book.book(tmp_path / "r.csv")
    assert np.diff(book.offsets).tolist() == [2, 1, 2, 2]
    frame = pd.read_csv(tmp_path / "r.csv")
    assert sources.read(frame, symbol="A", capital=200.0, side="sell").efficiency.tolist() == [0.985, 0.985]


@pytest.mark.parametrize(
    "names",
    [
        ("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1"),
        ("bid_px_00", "bid_sz_00", "ask_px_00", "ask_sz_00"),
        ("bids_0_price", "bids_0_amount", "asks_0_price", "asks_0_amount"),
        ("BidPrice1", "BidSize1", "AskPrice1", "AskSize1"),
        ("best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty"),
        ("bid1_price", "bid1_qty", "ask1_price", "ask1_qty"),
    ],
)
def test_levels_are_known_by_many_names(names: tuple[str, ...]) -> None:
    values = ([99.0, 99.0], [1.0, 1.0], [101.0, 101.0], [5.0, 5.0])
    made = sources.read(dict(zip(names, values, strict=True)), symbol="A", capital=50.0)
    assert made.efficiency[:2].tolist() == [0.99, pytest.approx(100 / 101, rel=1e-15)]
    assert made.notes == ()


def test_a_table_of_thousands_of_columns_is_read(tmp_path: Path) -> None:
    n = 3000
    names = [f"{side}_{what}_{k}" for k in range(n) for side in ("bid", "ask") for what in ("price", "size")]
    row = [str(value) for k in range(n) for value in (99 - k / 100, 1, 101 + k / 100, 1)]
    text = ",".join(names) + "\n" + (",".join(row) + "\n") * 2
    assert len(names) * 10 > 100_000
    book = order_book.book(_written(tmp_path, text))
    assert np.diff(book.offsets).tolist() == [n] * 4
    assert book.mid.tolist() == [100.0, 100.0]


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "r.csv"
    path.write_text(text)
    return path


def test_a_bad_level_names_its_column_and_row(tmp_path: Path) -> None:
    for value, shown in (("-3", "-3.0"), ("", "nan")):
        with pytest.raises(RecordFileError, match=rf"quantity must be in .*, but row 3: bids\[1\]\.amount = {shown}"):
            read(tmp_path, WIDE + "1704110400123456,99,1,101,5,98,2,,\n" + f"1704110400123457,99,1,101,1,98,{value},,\n", symbol="A")  # fmt: skip
    with pytest.raises(RecordFileError, match=r"row 2: bids\[0\]\.price must be a number, not 'x'"):
        read(tmp_path, WIDE + "1704110400123456,x,1,101,5,98,2,,\n", symbol="A")
    table = {"bid_price_1": [99.0, -1.0], "bid_size_1": [1.0, 1.0], "ask_price_1": [101.0] * 2, "ask_size_1": [1.0] * 2}
    with pytest.raises(RecordError, match=r"mapping: price must be in .*, but bid_price_1\[1\] = -1.0"):
        sources.read(table, symbol="A")
    with pytest.raises(RecordError, match="the quantity of a level may be 'bid_size_1' and 'bid_qty_1'"):
        sources.read(table | {"bid_qty_1": [1.0, 1.0]}, symbol="A")


LOBSTER = "5859400,200,5853300,18,5859800,200,5853000,150\n5859400,200,5853300,18,9999999999,0,5853000,150\n"


def test_books_as_lobster_writes_them_are_read(tmp_path: Path) -> None:
    name = "AAPL_2012-06-21_34200000_57600000_orderbook_2.csv"
    made = read(tmp_path, LOBSTER, name, symbol="AAPL", capital=500.0)
    assert made.notes == ("read as LOBSTER writes order books: prices are ten-thousandths",)
    book = order_book.book(tmp_path / name)
    assert book.best_bid.tolist() == [585.33, 585.33]
    assert book.best_ask.tolist() == [585.94, 585.94]
    assert np.diff(book.offsets).tolist() == [2, 2, 2, 1]
    with pytest.raises(RecordFileError, match="seems to have no header"):
        read(tmp_path, LOBSTER, symbol="AAPL")
    told = read(tmp_path, LOBSTER, symbol="AAPL", capital=500.0, header="lobster")
    assert told.efficiency.tolist() == made.efficiency.tolist()
    with pytest.raises(RecordFileError, match="LOBSTER's order books have four columns a level, not 3 columns"):
        read(tmp_path, "1,2,3\n", symbol="A", header="lobster")


BIDS, ASKS = [["99", "1"], ["98", "2"]], [["101", "5"]]


@pytest.mark.parametrize(
    ("books", "symbol", "time"),
    [
        ({"bids": BIDS, "asks": ASKS, "lastUpdateId": 7}, None, None),
        ({"symbol": "A/B", "bids": [[99, 1], [98, 2]], "asks": [[101, 5]], "timestamp": 1704110400123, "datetime": "2024-01-01T12:00:00.123Z", "nonce": None}, "A/B", 1704110400.123),
        ({"error": [], "result": {"XXBTZUSD": {"bids": [["99", "1", 1], ["98", "2", 1]], "asks": [["101", "5", 1]]}}}, "XXBTZUSD", None),
        ({"code": "0", "data": [{"bids": [["99", "1", "0", "1"], ["98", "2", "0", "1"]], "asks": [["101", "5", "0", "1"]], "ts": "1704110400123"}]}, None, 1704110400.123),
        ({"result": {"s": "BTCUSDT", "b": BIDS, "a": ASKS, "ts": 1704110400123}}, "BTCUSDT", 1704110400.123),
        ({"pricebook": {"product_id": "BTC-USD", "bids": [{"price": "99", "size": "1"}, {"price": "98", "size": "2"}], "asks": [{"price": "101", "size": "5"}], "time": "2024-01-01T12:00:00Z"}}, "BTC-USD", 1704110400.0),
        ({"coin": "BTC", "time": 1704110400123, "levels": [[{"px": "99", "sz": "1"}, {"px": "98", "sz": "2"}], [{"px": "101", "sz": "5"}]]}, "BTC", 1704110400.123),
        ({"A/B": {"bids": BIDS, "asks": ASKS}}, "A/B", None),
    ],
)  # fmt: skip
def test_books_of_exchanges_are_read_as_they_come(books: Any, symbol: str | None, time: float | None, tmp_path: Path) -> None:  # fmt: skip
    text = json.dumps(books)
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "b.json").write_text(json.dumps(books, indent=1))
    (tmp_path / "b.jsonl").write_text(text + "\n")
    for source in (books, [books], tmp_path / "b.json", tmp_path / "b.json.gz", tmp_path / "b.jsonl"):
        made = sources.read(source, symbol=None if symbol else "X", capital=200.0, side="sell")
        assert made.symbol.tolist() == [symbol or "X"]
        assert made.efficiency.tolist() == [0.985]
        assert (None if made.observed_at is None else made.observed_at.tolist()) == (None if time is None else [time])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"bids": [["99", null]], "asks": [["101", "5"]]}', r"b\.jsonl: bids\[0\]: quantity must be a number, not null"),
        ('{"bids": [["99", "1"]], "asks": [["101", "5"]]}\n{"bids": [["99", "1"]], "asks": [["101", "5"], ["x", 1]]}', r"asks\[1\] of book 1: price must be a number, not \"x\""),
        ('{"bids": [["99"]], "asks": [["101", "5"]]}', r'bids\[0\] must be \[price, quantity\], not \["99"\]'),
        ('{"x": 1}', r'there is no order book in it, \{"bids"'),
        ('{"bids":', "not a JSON file"),
        ('{"bids": [], "asks": []}\n{"bids"', r"b\.jsonl row 2: not JSON"),
    ],
)  # fmt: skip
def test_bad_books_in_json_are_refused_by_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecordFileError, match=message):
        read(tmp_path, text, "b.jsonl", symbol="A")


def test_nothing_in_a_level_names_its_row(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"side": ["bid", "ask"], "price": [99.0, None], "quantity": [1.0, 1.0]}
    with pytest.raises(RecordError, match=r"mapping: price must be real numbers, but price\[1\] = None"):
        order_book.book(columns)
    with pytest.raises(RecordFileError, match="row 3: price must be a number, not ''"):
        read(tmp_path, "side,price,quantity\nbid,99,1\nask,,1\n", symbol="A")


# --- scenarios ----------------------------------------------------------------------------------------------------


def test_a_file_of_scenarios_without_a_header_says_so(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("1000,600,1500,200\n")
    with pytest.raises(
        ScenarioFileError, match=r"this file seems to have no header, its first row is '1000', .*: columns are supply"
    ):
        scenario_file.read(path)
    path.write_text("# mine\nsupply,borrow,target,wallet\n1000,600,1500,200,\n# no more\n")
    assert scenario_file.read(path)["supply"].tolist() == [1000.0]


# --- what is endless --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("tail", ["", "\n1,2\n"])
def test_a_line_without_end_is_one_clear_error(header: bool, tail: str, tmp_path: Path) -> None:
    """A packed file of a few kilobytes; what is read of it stays small."""
    path = tmp_path / "x.csv.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        if header:
            file.write("symbol,capital,efficiency\n" + "A,1,0.5\n" * 30)
        for _ in range(40):
            file.write("1" * (1 << 20))
        file.write(tail)
    tracemalloc.start()
    try:
        with pytest.raises(RecordError) as caught:
            sources.read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    row = 32 if header else 1
    message = f"{path} row {row}: a line of more than 16,777,216 characters, which is the most that is read"
    assert str(caught.value) == message
    assert peak < 300e6


def test_json_without_end_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("escala.sources.book_json._LARGEST", 1000)
    path = tmp_path / "book.json.gz"
    with gzip.open(path, "wt") as file:
        file.write("[" * 10_000)
    with pytest.raises(RecordError, match=r"more than 1,000 bytes of JSON, which is the most that is read"):
        sources.read(path)


# --- what is silent nonsense ------------------------------------------------------------------------------------------

ONE: dict[str, Any] = {"symbol": ["A"], "capital": [1.0], "efficiency": [0.5]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip": "abc"}, "clip must be True or False, not 'abc'"),
        ({"clip": np.array([True, True])}, "clip must be True or False, not array"),
        ({"strict": "x"}, "strict must be True or False, not 'x'"),
        ({"normalise": 1}, "normalise must be True or False, not 1"),
        ({"kind": np.array(["records", "quotes"])}, "kind must be one of auto, records, quotes, order_book, not array"),
        ({"kind": {}}, "kind must be one of auto, records, quotes, order_book, not {}"),
        ({"time_unit": []}, "time_unit must be"),
        ({"decimal": []}, "decimal must be"),
    ],
)
def test_flags_and_words_of_readers_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        sources.read(ONE, **options)


@pytest.mark.parametrize("side", [[], {}, 5, np.array(["buy", "sell"])])
def test_a_side_is_a_word(side: Any) -> None:
    book = {"side": ["bid", "ask"], "price": [100.0, 101.0], "quantity": [1.0, 1.0]}
    with pytest.raises(RecordError, match="side must be 'both', 'buy' or 'sell', not "):
        sources.read(book, kind="order_book", symbol="A", side=side)
    with pytest.raises(RecordError, match="side must be"):
        sources.read({"price": [100.0], "quantity": [1.0]}, kind="quotes", symbol="A", side=side)


def test_numbers_with_underscores_are_numbers_of_programs_alone(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"row 3: capital must be a number, not '1_000'"):
        read(tmp_path, HEAD + "A,1000,0.5\nA,1_000,0.5\n")
    with pytest.raises(RecordError, match=r"must be a number, not '1_000'"):
        read(tmp_path, HEAD + "A,1000,0.5\n" * 100_000 + "A,1_000,0.5\n")
    assert not numbers.is_number("1_000")


@pytest.mark.parametrize("text", ["\uff11\uff10\uff10\uff10", "1\uff10", "\u0661\u0662", "\uff11,\uff15", "$ \uff11"])
def test_digits_of_other_scripts_are_refused(text: str, tmp_path: Path) -> None:
    said = rf"row 3: capital must be a number, not {re.escape(repr(text))}: its digits must be 0 to 9"
    with pytest.raises(RecordError, match=said):
        read(tmp_path, HEAD + f'A,1000,0.5\nA,"{text}",0.5\n')
    with pytest.raises(numbers.NotANumberError, match="must be 0 to 9"):
        numbers.plain(text)
    assert not numbers.is_number(text)
    assert numbers.plain("\u00a01000") == 1000.0  # spaces of any kind are none of its digits


def test_a_large_file_with_digits_of_another_script_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"row 100002: capital must be a number"):
        read(tmp_path, HEAD + "A,1000,0.5\n" * 100_000 + "A,1\uff10,0.5\n")


# --- zones and factors in names ----------------------------------------------------------------------------------

RECORD: dict[str, Any] = {"symbol": ["A"], "capital": [1.0], "efficiency": [0.5]}
NOON = 1_706_702_400.0  # of 2024-01-31, UTC


def moments(made: EfficiencyRecords) -> list[float]:
    assert made.observed_at is not None
    found: list[float] = made.observed_at.tolist()
    return found


@pytest.mark.parametrize(
    ("name", "hours", "said"),
    [
        ("Time(UTC+8)", 8.0, "UTC+08:00"), ("Date [UTC-5]", -5.0, "UTC-05:00"), ("time (GMT+05:30)", 5.5, "UTC+05:30"),
        ("time (+0100)", 1.0, "UTC+01:00"), ("Date(UTC)", 0.0, ""), ("time_utc", 0.0, ""), ("datetime (GMT)", 0.0, ""),
        ("time", 0.0, "UTC"), ("time [ms]", 0.0, "UTC"), ("date (yyyy-mm-dd)", 0.0, "UTC"),
    ],
)  # fmt: skip
def test_names_of_times_say_their_zone(name: str, hours: float, said: str, tmp_path: Path) -> None:
    told = f"{name}: times that name no zone were taken as {said}" + ", as its name says" * (len(said) > 3)
    notes, then = (told,) * bool(said), NOON - 3600.0 * hours
    text = "2024-01-31 12:00"
    forms = (
        [text],
        [np.datetime64(text)],
        np.array([text], "M8[s]"),
        pd.to_datetime([text]),
        pa.array([datetime.datetime(2024, 1, 31, 12)]),
    )
    for form in forms:
        made = sources.read({**RECORD, name: form})
        assert (moments(made), made.notes) == ([then], notes)
    excel = sources.read({**RECORD, name: [45322.5]}, time_unit="excel")
    assert (moments(excel), excel.notes) == ([then], notes)
    for zoned in ([f"{text}Z"], ["2024-01-31 12:00 UTC"], pd.Series(pd.to_datetime([text]).tz_localize("UTC")), [NOON]):
        made = sources.read({**RECORD, name: zoned})
        assert (moments(made), made.notes) == ([NOON], ())
    for many in (1, 60_000):
        made = read(tmp_path, f"symbol,capital,efficiency,{name}\n" + f"A,1,.5,{text}\n" * many + f"A,1,.5,{text}Z\n")
        assert (moments(made)[:: len(made) - 1], made.notes) == ([then, NOON], notes)


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("time (EST)", "EST"),
        ("Timestamp (Europe/Berlin)", "Europe/Berlin"),
        ("Date (local time)", "local"),
        ("datetime [ET]", "ET"),
    ],
)
def test_zones_that_tell_no_offset_are_refused(name: str, zone: str, tmp_path: Path) -> None:
    message = re.escape(f"zone {zone} of {name!r} is not known: write UTC or an offset such as UTC+01:00 there")
    with pytest.raises(RecordError, match=message):
        sources.read({**RECORD, name: ["2024-01-31 12:00"]})
    with pytest.raises(RecordFileError, match=message):
        read(tmp_path, f"symbol,capital,efficiency,{name}\nA,1,0.5,2024-01-31 12:00\n")
    for zoned in ("2024-01-31T12:00:00Z", NOON):
        assert moments(sources.read({**RECORD, name: [zoned]})) == [NOON]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("capital (k USD)", "k"), ("capital (in thousands)", "thousands"), ("capital [M]", "M"), ("capital (USDm)", "USDm"),
        ("Capital (TEUR)", "TEUR"), ("capital ('000)", "000"), ("notional (cents)", "cents"), ("capital {1e6}", "1e6"),
    ],
)  # fmt: skip
def test_factors_in_names_are_refused(name: str, word: str) -> None:
    message = re.escape(
        f"column {name!r} says {word!r}, which is no unit but a factor or a share: write the numbers out"
    )
    with pytest.raises(RecordError, match=message):
        sources.read({"symbol": ["A"], name: [1.0], "efficiency": [0.5]})


def test_shares_in_names_are_refused_but_of_fees_and_units_are_welcome() -> None:
    for name, word in (("efficiency (%)", "%"), ("efficiency %", "%"), ("efficiency (bps)", "bps")):
        with pytest.raises(RecordError, match=re.escape(f"{name!r} says {word!r}")):
            sources.read({"symbol": ["A"], "capital": [1.0], name: [0.5]})
    with pytest.raises(RecordError, match="'efficiency_pct' says 'pct'"):
        sources.read(
            {"symbol": ["A"], "capital": [1.0], "efficiency_pct": [0.5]}, columns={"efficiency": "efficiency_pct"}
        )
    with pytest.raises(RecordError, match=r"'amount_in \(gwei\)' says 'gwei'"):
        sources.read({"symbol": ["A"] * 5, "amount_in (gwei)": [1.0] * 5, "amount_out": [1.0] * 5})
    trades = {"symbol": ["A"] * 5, "side": ["sell"] * 5, "price (ct)": [1.0] * 5, "quantity": [1.0] * 5}
    with pytest.raises(RecordError, match=r"'price \(ct\)' says 'ct'"):
        sources.read(trades)
    trades["price (USDT)"] = trades.pop("price (ct)")
    assert sources.read({**trades, "fee (%)": [0.1] * 5}).efficiency.tolist() == [0.999] * 5
    for name in ("capital (TUSD)", "capital [USD]", "Capital (BUSD)", "notional_usd", "capital (MKR)"):
        assert sources.read({"symbol": ["A"], name: [1.0], "efficiency": [0.5]}).notes == ()


def test_currencies_behind_numbers_and_other_encodings(tmp_path: Path) -> None:
    made = read(tmp_path, "symbol;capital;efficiency\nA;1.234,50 €;0,5\nA;20€;0,5\n")
    assert (made.capital.tolist(), made.notes[-1]) == ([1234.5, 20.0], "capital: € taken off its numbers")
    assert sources.read({**RECORD, "capital": ["1234.50$"]}).capital.tolist() == [1234.5]
    with pytest.raises(RecordError, match="'99%': % is no unit but a factor or a share: write the number out"):
        sources.read({**RECORD, "efficiency": ["99%"]})
    with pytest.raises(
        RecordFileError, match=r"r\.csv: not a CSV file in UTF-8 or UTF-16 but in UTF-32: save it as UTF-8"
    ):
        read(tmp_path, (HEAD + "A,5,0.5\n").encode("utf-32"))


def test_symbols_that_no_store_takes_are_named_by_row(tmp_path: Path) -> None:
    with pytest.raises(
        RecordFileError, match=r"r\.csv: symbol must be text without control characters .*, but row 4: symbol = 'B\\nC'"
    ):
        read(tmp_path, HEAD + 'A,5,0.5\n"B\nC",5,0.5\n')
    with pytest.raises(RecordError, match=r"symbol must be text without control characters .*, not 'B\\nC'"):
        sources.read({"capital": [1.0], "efficiency": [0.5]}, symbol="B\nC")
    made = sources.read({**RECORD, "symbol": ["'+5"]})
    assert made.notes == (
        '1 symbol with an apostrophe, as files for spreadsheets (--excel-safe) have it, kept as written: "\'+5"',
    )
