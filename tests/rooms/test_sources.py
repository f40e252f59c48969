"""Outside data: order books, executions, swap quotes and records, from files and frames of every kind."""

from __future__ import annotations

import csv
import datetime
import gzip
import json
import math
import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import escala
from escala import EfficiencyRecords, RecordError, RecordFileError, sources
from escala.kernels import order_book as kernels
from escala.sources import order_book, quotes, walks
from escala.sources.files import TimeUnit
from escala.sources.medians import range_medians
from tests.naive.sources import Level, naive_join, naive_quotes, naive_walk
from tests.strategies import log_uniform

DATA = Path(escala.__file__).parent / "demo" / "data"
BOOK = DATA / "order_book_ethusdt_spot.csv.gz"
QUOTES = DATA / "dex_quotes.csv.gz"

Sided = tuple[list[Level], list[Level]]


def table(*books: Sided) -> dict[str, list[Any]]:
    """Write books as columns; a snapshot column only where there are several."""
    rows = [
        (k, side, price, quantity)
        for k, (bids, asks) in enumerate(books)
        for side, levels in (("bid", bids), ("ask", asks))
        for price, quantity in levels
    ]
    columns: dict[str, list[Any]] = {
        name: [row[place] for row in rows] for place, name in enumerate(("snapshot", "side", "price", "quantity"))
    }
    if len(books) == 1:
        del columns["snapshot"]
    return columns


SMALL: Sided = ([(99.0, 1.0), (98.0, 2.0)], [(101.0, 5.0)])


@st.composite
def levels_of(draw: st.DrawFn, best: float, direction: int) -> list[Level]:
    """Draw one side of a book: prices away from the best one, some of them twice, quantities of many sizes."""
    steps = draw(st.lists(st.one_of(st.floats(0.0, 0.02), st.just(0.0)), min_size=1, max_size=12))
    price = best
    levels = []
    for step in steps:
        levels.append((price, draw(log_uniform(1e-4, 1e4))))
        price *= 1.0 + direction * step
    return levels


@st.composite
def books(draw: st.DrawFn) -> Sided:
    mid = draw(log_uniform(1e-8, 1e8))
    spread = draw(st.one_of(st.floats(1e-6, 0.05), st.just(1e-9)))
    return draw(levels_of(mid * (1 - spread), -1)), draw(levels_of(mid * (1 + spread), 1))


# --- walking ----------------------------------------------------------------------------------------------------


def test_a_walk_by_hand() -> None:
    done = order_book.walk(table(SMALL), [50.0, 100.0, 200.0, 300.0, 303.0])
    assert done.sides == ("sell", "buy")
    assert done.book.mid.tolist() == [100.0]
    # 2 of base are sold: one at 99, one at 98
    sold = [0.99, 0.99, 197 / 200, 295 / 300, math.nan]
    np.testing.assert_array_equal(done.efficiency[0, 0], sold)
    np.testing.assert_allclose(done.efficiency[0, 1], [100 / 101] * 5, rtol=1e-15)
    assert done.filled.tolist() == [[[True, True, True, True, False], [True] * 5]]
    assert done.depth.tolist() == [[300.0, 505.0]]
    assert done.held.tolist() == [[295.0, 505.0]]
    np.testing.assert_allclose(done.average_price[0], [[99.0, 99.0, 98.5, 295 / 3, math.nan], [101.0] * 5])
    np.testing.assert_allclose(done.slippage[0, 0, :4], [100.0, 100.0, 150.0, 500 / 3])


@given(st.lists(books(), min_size=1, max_size=4), st.lists(log_uniform(1e-9, 1e12), min_size=1, max_size=6))
def test_the_kernel_is_its_naive_twin_to_the_bit(drawn: list[Sided], capital: list[float]) -> None:
    done = order_book.walk(table(*drawn), capital, threads=1)
    for i, (bids, asks) in enumerate(drawn):
        for s, side in enumerate(done.sides):
            for j, amount in enumerate(capital):
                efficiency, depth, held = naive_walk(bids, asks, side, amount)
                np.testing.assert_array_equal(done.efficiency[i, s, j], efficiency)
                assert done.filled[i, s, j] == (amount <= depth)
                assert (done.depth[i, s], done.held[i, s]) == (depth, held)


@pytest.mark.nojit
def test_every_way_to_give_capital_and_sides() -> None:
    drawn = [([(99.0 - k, 1.0), (90.0 - k, 5.0)], [(101.0 + k, 2.0), (110.0, 9.0)]) for k in range(5)]
    levels = table(*drawn)
    own = np.arange(1.0, 31.0).reshape(5, 2, 3) * 20
    for capital in (own, own[:1], own[:, :1], own[0, 0], own[0, 0, 0]):
        done = order_book.walk(levels, capital)
        each = np.broadcast_to(capital, (5, 2, np.shape(capital)[-1] if np.ndim(capital) else 1))
        assert done.capital.shape == each.shape
        for (i, s, j), amount in np.ndenumerate(each):
            expected = naive_walk(*drawn[i], done.sides[s], float(amount))[0]
            np.testing.assert_array_equal(done.efficiency[i, s, j], expected)
    both = order_book.walk(levels, own)
    for s, side in enumerate(("sell", "buy")):
        alone = order_book.walk(levels, own[:, s : s + 1], side=side)  # type: ignore[arg-type]
        np.testing.assert_array_equal(alone.efficiency[:, 0], both.efficiency[:, s])
        np.testing.assert_array_equal(alone.depth[:, 0], both.depth[:, s])
        np.testing.assert_array_equal(alone.average_price[:, 0], both.average_price[:, s])


@given(books(), st.sampled_from(("sell", "buy")))
def test_efficiency_never_rises_with_capital(drawn: Sided, side: Any) -> None:
    levels = table(drawn)
    depth = order_book.walk(levels, 1.0, side=side).depth[0, 0]
    done = order_book.walk(levels, depth * np.geomspace(1e-6, 1.0, 200), side=side)
    efficiency = done.efficiency[0, 0, done.filled[0, 0]]
    assert (np.diff(efficiency) <= 1e-12).all()
    assert (efficiency > 0.0).all()
    assert (efficiency <= 1.0).all()


@given(books(), st.randoms(use_true_random=False), st.integers(-40, 40))
def test_order_of_levels_and_currency_change_no_bit(drawn: Sided, random: Any, power: int) -> None:
    levels = table(drawn)
    capital = order_book.walk(levels, 1.0).depth.max() * np.array([1e-3, 0.1, 0.5, 1.0])
    plain = order_book.walk(levels, capital)
    places = list(range(len(levels["side"])))
    random.shuffle(places)
    shuffled = {name: [column[k] for k in places] for name, column in levels.items()}
    scale = 2.0**power
    shuffled["price"] = [price * scale for price in shuffled["price"]]
    scaled = order_book.walk(shuffled, capital * scale)
    np.testing.assert_array_equal(scaled.efficiency, plain.efficiency)
    np.testing.assert_array_equal(scaled.depth, plain.depth * scale)


@given(books(), st.floats(0.01, 0.99))
def test_a_level_may_be_written_in_two_parts(drawn: Sided, share: float) -> None:
    levels = table(drawn)
    parts = table(tuple([(p, q * s) for p, q in side for s in (share, 1.0 - share)] for side in drawn))  # type: ignore[arg-type]
    whole = order_book.book(levels)
    assert len(order_book.book(parts).price) == len(whole.price)
    depth = order_book.walk(whole, 1.0).depth
    capital = depth[:, :, None] * np.array([1e-3, 0.3, 0.9])
    np.testing.assert_allclose(
        order_book.walk(parts, capital).efficiency, order_book.walk(whole, capital).efficiency, rtol=1e-12
    )


@given(books())
def test_a_book_is_filled_to_exactly_its_depth(drawn: Sided) -> None:
    levels = table(drawn)
    first = order_book.walk(levels, 1.0)
    at = order_book.walk(levels, first.depth[:, :, None])
    assert at.filled.all()
    beyond = order_book.walk(levels, np.nextafter(first.depth, np.inf)[:, :, None])
    assert not beyond.filled.any()
    assert np.isnan(beyond.efficiency).all()
    mid = at.book.mid[0]
    sold = math.fsum(p * q for p, q in drawn[0]) / math.fsum(mid * q for _, q in drawn[0])
    bought = math.fsum(mid * q for _, q in drawn[1]) / math.fsum(p * q for p, q in drawn[1])
    np.testing.assert_allclose(at.efficiency[0, :, 0], [min(sold, 1.0), min(bought, 1.0)], rtol=1e-13)


def test_figures_of_a_real_book() -> None:
    done = order_book.walk(BOOK, [1e6, 1e7])
    assert f"{done.slippage[0, 0, 0]:.3f}" == "4.236"
    best = done.book.best_bid[0]
    assert f"{(best - done.average_price[0, 0, 0]) / best * 1e4:.3f}" == "4.217"
    assert not done.filled[0, 0, 1]
    assert math.isnan(done.efficiency[0, 0, 1])
    assert f"{done.held[0, 0]:,.0f}" == "8,261,623"
    assert "sell: 4.236 bp at the median, depth 8,285,221.11 to 8,285,221.11, 1 capital beyond it" in done.summary()
    with gzip.open(BOOK, "rt") as file:
        rows = list(csv.DictReader(file))
    sides: dict[str, list[Level]] = {"bid": [], "ask": []}
    for row in rows:
        sides[row["side"]].append((float(row["price"]), float(row["quantity"])))
    for s, side in enumerate(done.sides):
        efficiency, depth, held = naive_walk(sides["bid"], sides["ask"], side, 1e6)
        assert (done.efficiency[0, s, 0], done.depth[0, s], done.held[0, s]) == (efficiency, depth, held)


def test_threads_and_chunks_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    levels = many_books(rng, 700, 6)
    capital = rng.uniform(1.0, 3000.0, (700, 2, 3))
    alone = order_book.walk(levels, capital, threads=1)
    monkeypatch.setattr(walks, "_STEP_LEVELS", 100)
    for threads in (1, 3):
        shared = order_book.walk(levels, capital, threads=threads)
        np.testing.assert_array_equal(shared.efficiency, alone.efficiency)
        np.testing.assert_array_equal(shared.filled, alone.filled)
        np.testing.assert_array_equal(shared.depth, alone.depth)
    assert threading.active_count() < 20


def many_books(rng: np.random.Generator, n: int, m: int) -> dict[str, np.ndarray[Any, Any]]:
    """Draw n books of m bids and m asks around 100."""
    steps = np.cumsum(rng.uniform(0.01, 0.2, (n, 2, m)), axis=2)
    steps[:, 0] *= -1
    snapshot, side, _ = np.indices((n, 2, m))
    return {
        "snapshot": snapshot.reshape(-1),
        "side": np.array(["bid", "ask"])[side].reshape(-1),
        "price": (100.0 + steps).reshape(-1),
        "quantity": rng.uniform(0.1, 5.0, n * 2 * m),
    }


def test_snapshots_by_id_time_and_symbol() -> None:
    one, two = SMALL, ([(9.0, 1.0)], [(11.0, 1.0)])
    levels = table(one, two)
    by_id = order_book.book(levels)
    assert by_id.snapshots.tolist() == [0, 1]
    assert by_id.mid.tolist() == [100.0, 10.0]
    assert by_id.time is None
    levels["time"] = [1.7e9 + 10.0 * (2 - k) + place for place, k in enumerate(levels["snapshot"])]
    latest = order_book.book(levels).time
    assert latest is not None
    assert latest.tolist() == [1.7e9 + 22.0, 1.7e9 + 14.0]
    levels["timestamp"] = ["2024-01-02" if k == 0 else "2024-01-01" for k in levels["snapshot"]]
    del levels["snapshot"], levels["time"]
    by_time = order_book.book(levels)
    assert by_time.mid.tolist() == [100.0, 10.0]  # in order of appearance
    assert by_time.snapshots.tolist() == [1704153600.0, 1704067200.0]
    levels["symbol"] = ["A" if price > 50 else "B" for price in levels["price"]]
    del levels["timestamp"]
    by_symbol = order_book.book(levels)
    assert by_symbol.symbols is not None
    assert by_symbol.symbols.tolist() == ["A", "B"]
    made = order_book.records(levels, capital=5.0)
    assert made.symbol.tolist() == ["A sell", "A buy", "B sell", "B buy"]
    with pytest.raises(RecordError, match="symbol 'C' is for levels without symbols, but mapping has a column of them"):
        order_book.records(levels, symbol="C")


# --- records of books -------------------------------------------------------------------------------------------


def test_records_of_a_real_book_are_what_a_walk_gives() -> None:
    made = order_book.records(BOOK, symbol="ETH/USDT", points=30)
    assert len(made) == 60
    assert made.symbol.tolist() == ["ETH/USDT sell"] * 30 + ["ETH/USDT buy"] * 30
    done = order_book.walk(BOOK, 1.0)
    for s in range(2):
        capital = made.capital[30 * s : 30 * s + 30]
        assert (np.diff(capital) > 0).all()
        np.testing.assert_allclose(np.diff(np.log(capital)), np.log(capital[-1] / capital[0]) / 29, rtol=1e-9)
        assert capital[-1] == done.depth[0, s]
        again = order_book.walk(BOOK, capital).efficiency[0, s]
        np.testing.assert_array_equal(made.efficiency[30 * s : 30 * s + 30], again)
        # the first capital is what the best level takes
        best = done.book.best_bid[0] / done.book.mid[0] if s == 0 else done.book.mid[0] / done.book.best_ask[0]
        assert made.efficiency[30 * s] == pytest.approx(best, abs=1e-15)
    curves = escala.fit(made.to_dict())
    assert list(curves.symbols) == ["ETH/USDT sell", "ETH/USDT buy"]
    alone = order_book.records(BOOK, symbol="ETH/USDT", side="buy", points=30)
    assert set(alone.symbol) == {"ETH/USDT"}
    np.testing.assert_array_equal(alone.efficiency, made.efficiency[30:])


def test_capital_beyond_the_depth_is_no_record_and_is_told() -> None:
    made = order_book.records(table(SMALL), symbol="A/B", capital=[100.0, 400.0, 1000.0])
    assert made.symbol.tolist() == ["A/B sell", "A/B buy", "A/B buy"]
    assert made.capital.tolist() == [100.0, 100.0, 400.0]
    assert made.left_out == 3
    assert made.notes == ("3 of 6 capitals left out: beyond the depth of their book, and nothing is extrapolated",)
    assert made.notes[0] in made.summary()
    assert repr(made) == "<EfficiencyRecords: 3 records of 2 symbols, 3 left out>"


def test_a_side_of_one_level_gives_one_record_by_default() -> None:
    made = order_book.records(table(SMALL), symbol="A/B", side="buy")
    assert made.capital.tolist() == [505.0]
    assert made.left_out == 0


@given(st.lists(books(), min_size=1, max_size=3), st.integers(2, 40))
def test_the_usual_capitals_are_all_filled(drawn: list[Sided], points: int) -> None:
    made = order_book.records(table(*drawn), symbol="X", points=points)
    assert made.left_out == 0
    assert 2 * len(drawn) <= len(made) <= 2 * len(drawn) * points
    assert np.isfinite(made.efficiency).all()


def test_the_time_of_a_snapshot_is_that_of_its_records() -> None:
    levels = table(SMALL, SMALL)
    levels["time"] = [1.7e9 + k for k in levels["snapshot"]]
    made = order_book.records(levels, symbol="A", capital=[50.0, 60.0], side="sell")
    assert made.observed_at is not None
    assert made.observed_at.tolist() == [1.7e9, 1.7e9, 1.7e9 + 1, 1.7e9 + 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"price": [99.0, 102.0, 101.0]}, r"mapping: price of the best bid must be below that of the best ask of its snapshot, but price\[1\] = 102.0; price\[2\] = 101.0"),
        ({"price": [99.0, 101.0, 101.0]}, "must be below"),
        ({"side": ["bid", "bid", "bid"]}, r"mapping: side must be bid and ask in every snapshot, one has no asks, but side\[0\] = 'bid'"),
        ({"side": ["a", "ask", "ASK"]}, "one has no bids"),
        ({"side": ["bid", "both", "ask"]}, r"mapping: side must be bid or ask, but side\[1\] = 'both'"),
        ({"side": ["bid", None, "ask"]}, r"side must be text that is not empty, but side\[1\] = None"),
        ({"price": [99.0, 0.0, 101.0]}, r"mapping: price must be in \[1e-100, 1e\+?100\], but price\[1\] = 0.0"),
        ({"quantity": [1.0, -2.0, math.nan]}, r"quantity\[1\] = -2.0; quantity\[2\] = nan"),
        ({"quantity": [1.0, math.inf, 1.0]}, r"quantity\[1\] = inf"),
        ({"quantity": [1.0, "x", 1.0]}, "mapping: quantity must be real numbers"),
        ({"quantity": [1.0]}, "mapping: columns are of different lengths: side 3, price 3, quantity 1"),
        ({"snapshot": [1.0, math.nan, 1.0]}, r"snapshot must tell snapshots apart, but snapshot\[1\] = nan"),
        ({"snapshot": pd.array(["a", None, "a"], dtype="string")}, r"snapshot must tell snapshots apart, but snapshot\[1\] = "),
        ({"snapshot": ["a", "", "a"]}, r"snapshot must tell snapshots apart, but snapshot\[1\] = ''"),
        ({"side": [], "price": [], "quantity": []}, "mapping: there are no price levels"),
    ],
)  # fmt: skip
def test_bad_books_are_refused_with_the_row(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        order_book.walk(table(SMALL) | change, 1.0)


def test_bad_arguments_of_a_walk() -> None:
    levels = table(SMALL)
    with pytest.raises(RecordError, match="side must be 'both', 'buy' or 'sell', not 'bid'"):
        order_book.walk(levels, 1.0, side="bid")  # type: ignore[arg-type]
    with pytest.raises(RecordError, match=r"capital must be in .*, but capital\[1\] = -1.0"):
        order_book.walk(levels, [1.0, -1.0])
    with pytest.raises(RecordError, match=r"capital of shape \(3, 1\) must be of shape .*: \(1, 2, k\)"):
        order_book.walk(levels, np.ones((3, 1)))
    with pytest.raises(RecordError, match="there is no column of symbols, and no symbol is given"):
        order_book.records(levels)
    with pytest.raises(RecordError, match=r"points must be an integer in .*, but points = 1.0"):
        order_book.records(levels, symbol="A", points=1)
    with pytest.raises(
        RecordError,
        match=r"an order book needs side, price and quantity; found were side, price; columns of other names can be named",
    ):
        order_book.walk({"side": ["bid"], "price": [1.0]}, 1.0)
    assert order_book.walk(order_book.book(levels), 1.0).filled.all()


def test_a_row_of_a_file_is_named_as_the_file_counts_it(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("side,price,quantity\n\nbid,99,1\nask,-101,1\n")
    with pytest.raises(RecordFileError, match=r"book.csv: price must be in .*, but row 4: price = -101.0"):
        order_book.book(path)
    path.write_text("side,price,quantity\nbid,99,1\n\nask,98,1\n")
    with pytest.raises(
        RecordFileError, match=r"best ask of its snapshot, but row 2: price = 99.0; row 4: price = 98.0"
    ):
        order_book.book(path)
    path.write_text("side,price,quantity\nbid,99,1\nask,hundred,1\n")
    with pytest.raises(RecordFileError, match=r"book.csv row 3: price must be a number, not 'hundred'"):
        order_book.book(path)
    path.write_text("side,price,quantity\nbid,99,1\nmid,100,1\nask,101,1\n")
    with pytest.raises(RecordFileError, match="side must be bid or ask, but row 3: side = 'mid'"):
        order_book.book(path)


# --- medians ----------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from((1.0, 2.0, 2.5, 7.0, 1e9, 1e-9)) | st.floats(-1e6, 1e6), max_size=40), st.data())
def test_medians_of_ranges_are_medians(values: list[float], data: st.DataObject) -> None:
    places = st.integers(0, len(values))
    ranges = data.draw(st.lists(st.tuples(places, places).map(sorted), max_size=20))
    low, high = np.array(ranges, dtype=np.int64).reshape(-1, 2).T
    medians = range_medians(np.array(values, dtype=np.float64), low, high)
    expected = [statistics.median(values[a:b]) if b > a else math.nan for a, b in ranges]
    np.testing.assert_array_equal(medians, expected)


# --- executions and quotes --------------------------------------------------------------------------------------


@st.composite
def executions(draw: st.DrawFn) -> list[dict[str, Any]]:
    one = st.fixed_dictionaries(
        {
            "symbol": st.sampled_from(("A", "B")),
            "side": st.sampled_from(("buy", "sell")),
            "price": st.floats(90.0, 110.0) | st.sampled_from((100.0, 101.0)),
            "quantity": st.sampled_from((1.0, 2.0, 5.0)) | log_uniform(1e-3, 1e4),
            "time": st.integers(1, 50).map(float),
        }
    )
    return draw(st.lists(one, min_size=1, max_size=40))


def as_columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


@given(
    executions(),
    st.sampled_from((0.01, 0.1, 0.5, 1.0)),
    st.integers(1, 6),
    st.one_of(st.none(), st.sampled_from((0.5, 5.0, 1000.0))),
)
def test_records_of_executions_are_their_naive_twins(
    rows: list[dict[str, Any]], small: float, least: int, window: float | None
) -> None:
    made = quotes.records(as_columns(rows), small=small, least=least, window=window, earliest="1970-01-01")
    rows = naive_join(rows)
    expected = naive_quotes(rows, small, least, window)
    kept = [(row, record) for row, record in zip(rows, expected, strict=True) if record is not None]
    assert made.symbol.tolist() == [row["symbol"] for row, _ in kept]
    assert made.capital.tolist() == [record[0] for _, record in kept]
    assert made.efficiency.tolist() == [record[1] for _, record in kept]
    assert made.observed_at is not None
    assert made.observed_at.tolist() == [row["time"] for row, _ in kept]
    assert made.left_out == len(rows) - len(kept)
    assert (made.left_out > 0) == any("left out" in note for note in made.notes)


@given(st.lists(log_uniform(1e-6, 1e6), min_size=5, max_size=30), log_uniform(1e-6, 1e6))
def test_a_constant_price_is_an_efficiency_of_exactly_one(sizes: list[float], price: float) -> None:
    n = len(sizes)
    for side in ("buy", "sell"):
        made = quotes.records({"symbol": ["A"] * n, "side": [side] * n, "price": [price] * n, "quantity": sizes})
        assert made.efficiency.tolist() == [1.0] * n
        assert made.clipped == 0
    # amounts of powers of two: out/in is the same number for each
    amounts = 2.0 ** np.arange(n)
    made = quotes.records({"amount_in": amounts, "amount_out": amounts * price}, symbol="A")
    assert made.efficiency.tolist() == [1.0] * n
    assert made.capital.tolist() == amounts.tolist()


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_linear_impact_is_found_again(side: Any) -> None:
    rng = np.random.default_rng(3)
    impact = 2e-7
    base = 10.0 ** rng.uniform(0.0, 4.0, 4000)
    price = 100.0 * (1.0 - impact * 100.0 * base) if side == "sell" else 100.0 / (1.0 - impact * 100.0 * base)
    made = quotes.records({"price": price, "quantity": base}, symbol="A", side=side, small=0.05)
    curve = escala.fit(made.to_dict(), family="linear")
    # selling values what is given at the reference, so capital is 100·base up to the impact of small sizes
    slope = float(curve.params[0, 0])
    if side == "sell":
        assert slope == pytest.approx(-impact, rel=1e-3)
        assert float(curve.params[0, 1]) == pytest.approx(1.0, abs=1e-4)
    else:
        expected = 1.0 - impact * 100.0 * base
        np.testing.assert_allclose(made.efficiency, expected, atol=1e-4)
        np.testing.assert_allclose(made.capital, base * price, rtol=1e-15)


def test_a_window_keeps_a_moving_market_from_looking_like_impact() -> None:
    rng = np.random.default_rng(4)
    n = 20_000
    time = np.sort(rng.uniform(0.0, 86_400.0, n))
    base = 10.0 ** rng.uniform(0.0, 3.0, n)
    market = 100.0 * np.exp(0.1 * np.sin(time / 7000.0))  # 10 % up and down over the day
    efficiency = 1.0 - 2e-5 * base
    trades = {"time": 1.7e9 + time, "quantity": base, "price": market * efficiency, "symbol": np.full(n, "A")}
    without = quotes.records(trades, side="sell")
    within = quotes.records(trades, side="sell", window=60.0)
    assert np.abs(without.efficiency - efficiency).mean() > 0.02
    assert within.observed_at is not None
    kept = np.isin(1.7e9 + time, within.observed_at)
    assert kept.sum() == len(within) == n - within.left_out
    assert np.abs(within.efficiency - efficiency[kept]).mean() < 5e-4
    assert within.left_out > 0
    assert f"{within.left_out:,} rows left out: no small size within 60 s of them" in within.notes


def test_what_is_clipped_left_out_and_assumed_is_told() -> None:
    trades = {"symbol": ["A"] * 6 + ["B"], "price": [10.0, 10, 10, 10, 10, 11, 5], "quantity": [1.0, 1, 1, 1, 1, 50, 1]}
    made = quotes.records(trades)
    assert (len(made), made.clipped, made.left_out) == (6, 1, 1)
    assert made.efficiency[-1] == 1.0
    assert made.notes == (
        "there is no column of sides: every execution was taken for a sale",
        "1 row left out: fewer than 5 of their symbol and side",
        "1 efficiency above 1 clipped to 1: better than the reference",
    )
    for note in made.notes:
        assert note in made.summary()
    assert "1 clipped, 1 left out" in repr(made)


def test_capital_in_another_unit() -> None:
    swaps = {"pair": ["A/B"] * 5 + ["C/D"] * 5, "amount_in": [1.0] * 10, "amount_out": [2.0] * 10}
    assert set(quotes.records(swaps, unit_value=1500.0).capital) == {1500.0}
    each = quotes.records(swaps, unit_value={"A/B": 3.0, "C/D": 4.0})
    assert each.capital.tolist() == [3.0] * 5 + [4.0] * 5
    with pytest.raises(RecordError, match="unit_value has none for 'C/D'"):
        quotes.records(swaps, unit_value={"A/B": 3.0})
    with pytest.raises(RecordError, match=r"unit_value\['A/B'\] must be in .* but .* = -1.0"):
        quotes.records(swaps, unit_value={"A/B": -1.0, "C/D": 1.0})


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"price": [1.0, -1.0]}, {}, r"mapping: price must be in .*, but price\[1\] = -1.0"),
        ({"quantity": [0.0, 1.0]}, {}, r"mapping: quantity must be in .*, but quantity\[0\] = 0.0"),
        ({"side": ["buy", "hold"]}, {}, r"mapping: side must be buy or sell, but side\[1\] = 'hold'"),
        ({"symbol": ["A", 3]}, {}, r"symbol must be text that is not empty, but symbol\[1\] = 3"),
        ({"time": ["2024-01-01", "soon"]}, {}, r"time must be unix seconds .*, but time\[1\] = 'soon'"),
        ({"time": [1.0, None]}, {}, r"time\[1\] = None"),
        ({"time": [1.7e9, 1.7e12]}, {}, r"time must share one unit, here some count s and some ms, but time\[1\] = 1700000000000.0"),
        ({}, {"time_unit": "h"}, "time_unit must be one of auto, s, ms, us, ns, excel, not 'h'"),
        ({}, {"small": 0.0}, r"small must be in \(0, 1\], but small = 0.0"),
        ({}, {"least": 2.5}, "least must be an integer"),
        ({}, {"window": 5.0}, "mapping: a window needs a column of times; found were symbol, price, quantity"),
        ({"time": [1.7e9, 1.7e9]}, {"window": 0.0}, "window must be in"),
        ({}, {"side": "long"}, "side must be 'buy' or 'sell', not 'long'"),
        ({"side": ["buy", "buy"]}, {"side": "buy"}, "side 'buy' is for tables without sides, but mapping has a column 'side'"),
        ({}, {"symbol": "B"}, "symbol 'B' is for tables without symbols, but mapping has a column 'symbol'"),
        ({}, {"columns": {"size": "quantity"}}, "columns names what there is not, 'size'; known are symbol, capital"),
        ({}, {"columns": {"price": "prices"}}, "mapping: there is no column 'prices'; did you mean 'price'?"),
        ({"qty": [1.0, 1.0]}, {}, "mapping: quantity may be 'quantity' and 'qty'; name the one that is quantity"),
        ({"amount_in": [1.0, 1.0], "amount_out": [1.0, 1.0]}, {}, "but not all of them"),
        ({"price": [1e-90, 1e-90], "quantity": [1e-20, 1e-20]}, {"least": 1}, "quantity must give a capital in"),
    ],
)  # fmt: skip
def test_bad_quotes_are_refused(change: dict[str, Any], options: dict[str, Any], message: str) -> None:
    trades = {"symbol": ["A", "A"], "price": [1.0, 1.0], "quantity": [1.0, 1.0]} | change
    with pytest.raises(RecordError, match=message):
        quotes.records(trades, **options)


def test_quotes_without_symbols_need_one() -> None:
    with pytest.raises(
        RecordError, match="there is no column of symbols, and no symbol is given; found were price, quantity"
    ):
        quotes.records({"price": [1.0], "quantity": [1.0]})
    with pytest.raises(RecordError, match="side is for executions: what is given in a swap is sold"):
        quotes.records({"amount_in": [1.0], "amount_out": [1.0]}, symbol="A", side="buy")


def test_a_million_executions() -> None:
    rng = np.random.default_rng(6)
    n = 1_000_000
    codes = rng.integers(0, 50, n)
    base = 10.0 ** rng.uniform(-2.0, 3.0, n)
    price = (codes + 1.0) * (1.0 - 1e-4 * base)
    trades = {
        "symbol": np.array([f"S{k}" for k in range(50)], dtype=object)[codes],
        "price": price,
        "quantity": base,
        "time": rng.uniform(1.7e9, 1.701e9, n),
    }
    made = quotes.records(trades, window=50_000.0)
    assert len(made) == n
    truth = 1.0 - 1e-4 * base
    assert np.abs(made.efficiency - truth).max() < 1e-4


# --- files and frames -------------------------------------------------------------------------------------------


TRADES: dict[str, Any] = {
    "symbol": ["A/B", "Ä-1", "A/B", "A/B", "Ä-1", "A/B", "A/B", "A/B"],
    "side": ["buy", "SELL", "buy", "buy", "sell", "sell", "buy", "buy"],
    "price": [1 / 3, 0.1, 0.3, 0.35, 0.1, 0.2, 1e-7, 0.34],
    "quantity": [7.0, 1e5, 0.1 + 0.2, 5.0, 8.0, 1.0, 2.0, 3.0],
    "time": [1.7e9 + k for k in range(8)],
}


def write_csv(path: Path, columns: dict[str, Sequence[Any]], bom: bool = False) -> Path:
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", newline="", encoding="utf-8-sig" if bom else "utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def forms(columns: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Give the same table in every form that is accepted."""
    arrow = pa.table(columns)
    parquet.write_table(arrow, folder / "t.parquet", use_dictionary=True)
    return {
        "mapping": columns,
        "arrays": {name: np.array(column) for name, column in columns.items()},
        "csv": write_csv(folder / "t.csv", columns),
        "csv as text": str(folder / "t.csv"),
        "csv with a mark": write_csv(folder / "bom.CSV", columns, bom=True),
        "packed csv": write_csv(folder / "t.csv.gz", columns),
        "parquet": folder / "t.parquet",
        "arrow": arrow,
        "arrow dictionary": arrow.set_column(0, arrow.column_names[0], arrow.column(0).dictionary_encode()),
        "pandas": pd.DataFrame(columns),
        "pandas categories": pd.DataFrame(columns).astype({next(iter(columns)): "category"}),
        "pandas of arrow": pd.DataFrame(columns).convert_dtypes(dtype_backend="pyarrow"),
        "polars": pl.DataFrame(columns),
        "polars categories": pl.DataFrame(columns).with_columns(pl.col(next(iter(columns))).cast(pl.Categorical)),
    }


def same(one: EfficiencyRecords, other: EfficiencyRecords) -> None:
    left, right = one.to_dict(), other.to_dict()
    assert list(left) == list(right)
    for name, column in left.items():
        np.testing.assert_array_equal(column, right[name])
        assert column.dtype == right[name].dtype
    assert (one.clipped, one.left_out, one.notes) == (other.clipped, other.left_out, other.notes)


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        (TRADES, {"least": 1}),
        ({"symbol": ["A", "A", "B"], "capital": [0.1, 1e6 / 3, 5.0], "efficiency": [1.0, 1 / 3, 0.5], "weight": [1.0, 2.0, 0.0]}, {}),
        ({"symbol": ["X"] * 6} | table(SMALL, SMALL), {}),
    ],
    ids=["executions", "records", "book"],
)  # fmt: skip
def test_every_form_of_a_table_gives_the_same_bits(
    columns: dict[str, Any], options: dict[str, Any], tmp_path: Path
) -> None:
    expected = sources.read(columns, **options)
    assert len(expected) >= 3
    for name, form in forms(columns, tmp_path).items():
        made = sources.read(form, **options)
        same(made, expected)
        assert ("t.csv" in made.source) == ("csv" in name and "mark" not in name)


def test_real_quotes_become_the_records_that_they_are() -> None:
    made = sources.read(QUOTES)
    assert repr(made) == "<EfficiencyRecords: 19,278 records of 56 symbols>"
    with gzip.open(QUOTES, "rt") as file:
        rows = list(csv.DictReader(file))
    assert made.symbol.tolist() == [row["symbol"] for row in rows]
    assert made.capital.tolist() == [float(row["capital_usd"]) for row in rows]
    assert made.efficiency.tolist() == [float(row["efficiency"]) for row in rows]
    assert made.observed_at is not None
    assert made.observed_at.tolist() == [float(row["unix_time"]) for row in rows]
    curves = escala.fit(made.to_dict())
    direct = escala.fit(made.symbol, made.capital, made.efficiency, observed_at=made.observed_at)
    np.testing.assert_array_equal(curves.params, direct.params)
    frame = made.to_dataframe()
    np.testing.assert_array_equal(escala.fit(frame).params, direct.params)


async def test_an_engine_takes_what_was_read(tmp_path: Path) -> None:
    made = sources.read(BOOK, symbol="ETH/USDT")
    async with await escala.PredictiveScalingEngine.open(str(tmp_path / "e.db")) as engine:
        assert await engine.add_efficiency_records(made.to_dict()) == 40
        with_times = sources.read(table(SMALL) | {"time": ["2024-01-01T12:00:00Z"] * 3}, symbol="A/B", capital=50.0)
        assert await engine.add_efficiency_records(with_times.to_dict()) == 2
        assert len(await engine.train()) == 4


@pytest.mark.parametrize(
    "times",
    [
        [1704110400.25, 1704114000.0],
        ["1704110400.25", "1704114000"],
        ["2024-01-01T12:00:00.25", "2024-01-01 13:00"],
        ["2024-01-01T12:00:00.250Z", "2024-01-01T15:00:00+02:00"],
        np.array(["2024-01-01T12:00:00.25", "2024-01-01T13:00"], dtype="M8[ns]"),
        [datetime.datetime(2024, 1, 1, 12, 0, 0, 250_000), datetime.datetime(2024, 1, 1, 13, tzinfo=datetime.UTC)],
        pd.Series(pd.to_datetime(["2024-01-01T07:00:00.25", "2024-01-01T08:00"], format="ISO8601")).dt.tz_localize("America/New_York"),
        pl.Series(["2024-01-01T12:00:00.25", "2024-01-01T13:00:00"]).str.to_datetime(time_unit="us", time_zone="UTC"),
        pa.chunked_array([pa.array([1704110400250, 1704114000000], pa.timestamp("ms", "Asia/Tokyo"))]),
    ],
)  # fmt: skip
def test_times_in_every_form(times: Any) -> None:
    records = {"symbol": ["A", "A"], "capital": [1.0, 2.0], "efficiency": [1.0, 0.5], "timestamp": times}
    made = sources.read(records)
    assert made.observed_at is not None
    assert made.observed_at.tolist() == [1704110400.25, 1704114000.0]


def test_dates_and_other_units_of_time() -> None:
    records: dict[str, Any] = {"symbol": ["A"], "capital": [1.0], "efficiency": [1.0]}
    units: tuple[tuple[TimeUnit, int], ...] = (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9))
    for unit, factor in units:
        for time in (1704110400 * factor, str(1704110400 * factor)):
            made = sources.read(records | {"ts": [time]}, time_unit=unit)
            assert made.observed_at is not None
            assert made.observed_at.tolist() == [1704110400.0]
    for day in ("2024-01-01", datetime.date(2024, 1, 1), np.datetime64("2024-01-01")):
        made = sources.read(records | {"date": [day]})
        assert made.observed_at is not None
        assert made.observed_at.tolist() == [1704067200.0]


def test_what_a_table_holds_is_told_by_its_columns() -> None:
    book = table(SMALL)
    assert sources.read(book, symbol="A").symbol.tolist()[-1] == "A buy"
    trades = {name: TRADES[name] for name in ("symbol", "price", "quantity")}
    assert "taken for a sale" in sources.read(trades).notes[0]
    swaps = {"Market": ["A"] * 5, "Amount-In": [1.0] * 5, "AMOUNT OUT": [1.0] * 5}
    assert sources.read(swaps).efficiency.tolist() == [1.0] * 5
    renamed = {"coin": ["A", "B"], "usd": [1.0, 2.0], "kept": [0.9, 0.8], "efficiency": [1.0, 2.0]}
    made = sources.read(renamed, columns={"symbol": "coin", "capital": "usd", "efficiency": "kept"})
    assert made.efficiency.tolist() == [0.9, 0.8]
    assert made.notes == ("columns not used: efficiency",)
    as_trades = table(SMALL) | {"side": ["buy", "buy", "sell"]}
    asks_are_sells = sources.read(as_trades, kind="order_book", symbol="A")
    same(asks_are_sells, sources.read(book, symbol="A"))


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"a": [1.0], "b": [2.0]}, {}, "mapping: cannot tell what the columns are: efficiency records have symbol, capital and efficiency; .*; found were a, b; columns of other names"),
        ({}, {}, "there are no columns"),
        ({"capital": [1.0], "efficiency": [1.0], "price": [1.0], "quantity": [1.0]}, {}, r"\(they may be records or quotes: say which kind\)"),
        ({"side": ["b"], "price": [1.0], "quantity": [1.0]}, {}, r"side tells neither an order book \(bid, ask\) nor executions \(buy, sell\), it has b; say which kind"),
        ({"side": ["bid", "buy"], "price": [1.0, 1.0], "quantity": [1.0, 1.0]}, {}, "it has bid, buy"),
        ({"capital": [1.0]}, {"kind": "records"}, "records need symbol, capital and efficiency; found were capital"),
        ({"capital": [1.0], "efficiency": [1.0]}, {}, "there is no column of symbols, and no symbol is given"),
        ({"capital": [1.0], "efficiency": [1.0]}, {"symbol": ""}, "symbol must be text that is not empty, not ''"),
        ({"capital": [1.0, -5.0], "efficiency": [1.0, 1.0]}, {"symbol": "A"}, r"capital must be in .*, but capital\[1\] = -5.0"),
        ({"notional": [1.0], "eta": [1.5]}, {"symbol": "A"}, r"mapping: eta must be in \[0, 1\], but eta\[0\] = 1.5"),
        ({"capital": [1.0], "efficiency": [math.nan]}, {"symbol": "A", "clip": True}, r"efficiency\[0\] = nan"),
        ({"capital": [1.0], "efficiency": [1.0], "weight": [-1.0]}, {"symbol": "A"}, r"weight\[0\] = -1.0"),
        ({"capital": [[1.0]], "efficiency": [1.0]}, {"symbol": "A"}, "capital must be one column, not of shape"),
        ({"capital": [1.0], "efficiency": [1.0]}, {"symbol": "A", "window": 3.0}, "window is no option of records; known are normalise"),
        ({"amount_in": [1.0], "amount_out": [1.0]}, {"symbol": "A", "points": 3}, "points is no option of quotes; known are side, unit_value, source, small, least, window"),
        (table(SMALL), {"symbol": "A", "window": 3.0}, "window is no option of order_book; known are capital, side, points"),
        ({"capital": [1.0], "efficiency": [1.0]}, {"kind": "trades"}, "kind must be one of auto, records, quotes, order_book, not 'trades'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_what_was_found(
    columns: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        sources.read(columns, **options)


@pytest.mark.parametrize("source", [3, None, [1.0, 2.0], np.ones((2, 2))])
def test_a_source_is_a_table(source: Any) -> None:
    with pytest.raises(RecordError, match="a source is a path, a data frame or a mapping of columns, not"):
        sources.read(source)


def test_clipping_is_counted() -> None:
    efficiency = [1.5, -0.1, *[0.5] * 8]
    made = sources.read({"capital": np.arange(1.0, 11.0), "efficiency": efficiency}, symbol="A", clip=True)
    assert made.efficiency.tolist() == [1.0, 0.0, *[0.5] * 8]
    assert made.clipped == 2
    assert made.notes == ("2 efficiencies outside [0, 1] clipped to its ends",)


def test_returns_by_size_are_refused_or_divided_by_their_value_at_small_size(tmp_path: Path) -> None:
    path = tmp_path / "sharpe.csv"
    path.write_text("symbol,capital,efficiency\n" + "".join(f"S,{k}e5,{2.4 - 0.1 * k}\n" for k in range(1, 8)))
    with pytest.raises(RecordFileError, match=r"sharpe.csv: clip would change 7 of 7 efficiencies, .* normalise=True"):
        sources.read(path, clip=True)
    made = sources.read(path, normalise=True)
    assert np.allclose(made.efficiency, (2.4 - 0.1 * np.arange(1, 8)) / 2.3)
    assert (made.clipped, made.notes) == (
        0, ("efficiencies were divided by their value at the smallest capital: 2.3 of S",)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"r\.csv: the file is empty"),
        (b"symbol,capital,efficiency\nA,1\n", r"r\.csv row 2: 2 values for 3 columns"),
        (b"symbol,capital,efficiency\nA,1,1\nB,2,1,1\n", r"r\.csv row 3: 4 values for 3 columns"),
        (b"symbol,capital,efficiency\nA,1,1\n\n\"B\nC\",2,x\n", r"r\.csv row 5: efficiency must be a number, not 'x'"),
        (b"symbol,capital,efficiency\nA,1,1\n,2,1\n", r"r\.csv: symbol must be text that is not empty, but row 3: symbol = ''"),
        (b"symbol,capital,efficiency\nA,1,1\nB,2,1.25\n", r"r\.csv: efficiency must be in \[0, 1\], but row 3: efficiency = 1.25"),
        (b"symbol,capital,efficiency,time\nA,1,1,1\nB,2,1,later\n", r"r\.csv row 3: time must be a number or an ISO date, not 'later'"),
        (b"symbol,capital,efficiency,ts\nA,1,1,1\nB,2,1,1e15\n", r"r\.csv: ts must be unix seconds of the years 1 to 9999 \(or as time_unit says\) or an ISO date, but row 3: ts = 1000000000000000.0"),
        (b"symbol,capital,capital,efficiency\nA,1,2,1\n", r"r\.csv: capital may be 'capital' twice"),
        (b"symbol,capital,efficiency\nA,1,\xff\n", r"r\.csv: not a CSV file in UTF-8"),
        (b"a,b\n1,2\n", r"r\.csv: cannot tell what the columns are"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_the_row(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(content)
    with pytest.raises(RecordFileError, match=message):
        sources.read(path)


def test_files_that_are_not_what_they_are_called(tmp_path: Path) -> None:
    for name in ("none.csv", "none.csv.gz", "none.parquet", "none.xlsx"):
        with pytest.raises(FileNotFoundError):
            sources.read(tmp_path / name)
    for name, message in (
        ("t.csv.gz", "not a whole gzip file"),
        ("t.parquet", "not a whole Parquet file"),
        ("t.xlsx", "a source is a file called .csv, .csv.gz or .parquet"),
    ):
        (tmp_path / name).write_text("symbol,capital,efficiency\nA,1,1\n")
        with pytest.raises(RecordFileError, match=message):
            sources.read(tmp_path / name)
    packed = gzip.compress(os.urandom(5000).hex().encode())
    (tmp_path / "cut.csv.gz").write_bytes(packed[:2000])
    with pytest.raises(RecordFileError, match="not a whole gzip file"):
        sources.read(tmp_path / "cut.csv.gz")


@pytest.mark.parametrize("row", ['A,2,0.5,"unclosed', 'A,2,0.5,"closed" too early'])
def test_a_stray_quote_loses_no_rows(tmp_path: Path, row: str) -> None:
    path = tmp_path / "r.csv"
    path.write_text(f"symbol,capital,efficiency,remark\nA,1,0.5,\n{row}\nA,3,0.5,\n")
    with pytest.raises(RecordFileError, match=r"r\.csv: not a CSV file in UTF-8"):
        sources.read(path)


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    n = 500
    table = {"symbol": ["A"] * n, "capital": np.arange(1.0, n + 1.0), "efficiency": np.linspace(1.0, 0.5, n)}
    parquet.write_table(pa.table(table), path, compression="gzip")
    content = bytearray(path.read_bytes())
    content[60:1000] = bytes(940)
    path.write_bytes(content)
    with pytest.raises(RecordFileError, match=r"t\.parquet: not a whole Parquet file"):
        sources.read(path)


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.list_(pa.float64(), 1)])
def test_lists_in_a_parquet_file_are_no_numbers(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "t.parquet"
    capital = pa.array([[1.0], [2.0]], kind)
    parquet.write_table(pa.table({"symbol": ["A", "A"], "capital": capital, "efficiency": [1.0, 0.5]}), path)
    with pytest.raises(RecordFileError, match=r"t\.parquet: capital must be real numbers"):
        sources.read(path)


@pytest.mark.parametrize("name", ["capital", "efficiency", "time"])
def test_masked_elements_are_no_records(name: str) -> None:
    table: dict[str, Any] = {"symbol": ["A", "A"], "capital": [1.0, 2.0], "efficiency": [1.0, 0.5], "time": [1.0, 2.0]}
    table[name] = np.ma.array(table[name], mask=[False, True])
    with pytest.raises(RecordError, match=f"mapping: {name} has masked elements"):
        sources.read(table)


def test_a_time_beyond_all_floats_is_refused() -> None:
    table = {"symbol": ["A", "A"], "capital": [1.0, 2.0], "efficiency": [1.0, 0.5], "time": [1, 10**400]}
    with pytest.raises(RecordError, match=r"time must be unix seconds .* but time\[1\] = 1000"):
        sources.read(table)


def test_a_value_in_a_parquet_file_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"symbol": ["A", None], "capital": [1.0, 2.0], "efficiency": [1.0, None]}), path)
    with pytest.raises(RecordFileError, match=r"t\.parquet: efficiency must be in \[0, 1\], but efficiency\[1\] = nan"):
        sources.read(path)


def test_a_large_file_is_read_in_blocks(tmp_path: Path) -> None:
    n = 150_000
    columns: dict[str, Sequence[Any]] = {
        "symbol": [f"S{k % 7}" for k in range(n)],
        "capital": [float(k + 1) for k in range(n)],
        "efficiency": [1.0 / (k + 1) for k in range(n)],
    }
    path = write_csv(tmp_path / "large.csv", columns)
    same(sources.read(path), sources.read(columns))
    with path.open("a") as file:
        file.write("S1,5\n")
    with pytest.raises(RecordFileError, match="row 150002: 2 values for 3 columns"):
        sources.read(path)


def test_frames_are_not_changed() -> None:
    frame = pd.DataFrame(TRADES)
    before = frame.copy()
    sources.read(frame, least=1)
    pd.testing.assert_frame_equal(frame, before)
    capital, efficiency = np.arange(1.0, 6.0), np.array([1.5, 0.5, 0.4, 0.3, 0.2])
    sources.read({"capital": capital, "efficiency": efficiency}, symbol="A", clip=True)
    assert efficiency.tolist() == [1.5, 0.5, 0.4, 0.3, 0.2]


def without(library: str, code: str) -> str:
    """Run a program in which a library cannot be imported."""
    block = f"import sys; sys.modules[{library!r}] = None\n"
    return subprocess.run([sys.executable, "-c", block + code], capture_output=True, text=True, check=True).stdout


def test_csv_and_mappings_need_no_optional_library(tmp_path: Path) -> None:
    code = f"""
for name in ("pandas", "polars", "pyarrow", "numba"):
    sys.modules[name] = None
import escala
print(len(escala.sources.read({str(QUOTES)!r})), len(escala.sources.read({{"price": [1.0] * 9, "quantity": [1.0] * 9}}, symbol="A")))
"""
    assert without("pandas", code) == "19278 9\n"
    needs = "import escala\ntry:\n    {}\nexcept escala.MissingExtraError as error:\n    print(error)"
    read = f"escala.sources.read({str(tmp_path / 't.parquet')!r})"
    assert "install escala[parquet]" in without("pyarrow", needs.format(read))
    frame = "escala.sources.read({'capital': [1.0], 'efficiency': [1.0]}, symbol='A').to_dataframe()"
    assert "install escala[frames]" in without("pandas", needs.format(frame))


def test_naming_the_package_loads_no_compiler() -> None:
    code = "import sys, escala; escala.sources.read; print([m for m in ('numba', 'pandas', 'pyarrow', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_walk_as_a_table() -> None:
    levels = table(SMALL, SMALL) | {"symbol": ["X"] * 6}
    frame = order_book.walk(levels, [50.0, 400.0]).to_dataframe()
    assert list(frame.columns) == [
        "snapshot", "symbol", "side", "capital", "average_price", "efficiency", "slippage", "filled", "depth",
    ]  # fmt: skip
    assert frame["side"].tolist() == ["sell", "sell", "buy", "buy"] * 2
    assert frame["filled"].tolist() == [True, False, True, True] * 2
    assert frame["snapshot"].tolist() == [0] * 4 + [1] * 4
    assert frame["depth"].tolist() == [300.0, 300.0, 505.0, 505.0] * 2


def test_the_kernel_is_the_one_in_the_list() -> None:
    from escala.kernels import names

    assert "order_book.walk" in names()
    walk: Callable[..., None] = kernels.walk
    assert walk.__name__ == "walk"


def test_no_records_are_no_error() -> None:
    made = sources.read({"symbol": [], "capital": [], "efficiency": []})
    assert len(made) == 0
    assert made.summary() == "0 records of 0 symbols, from mapping"
    empty = quotes.records({"symbol": [], "price": [], "quantity": []}, side="sell")
    assert (len(empty), empty.left_out) == (0, 0)


def test_dates_without_dashes_are_no_seconds(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("symbol,capital,efficiency,time\nA,1,1,20240102\nA,2,1,20240103\n")
    with pytest.raises(
        RecordFileError, match=r"time must not be dates without dashes: 2024-01-02, but row 2: time = 20240102\.0"
    ):
        sources.read(path)
    path.write_text("symbol,capital,efficiency,time\nA,1,1,20240102\nA,2,1,1700000000\n")
    with pytest.raises(RecordFileError, match=r"time must not lie before 1990 .*, but row 2: time = 20240102\.0"):
        sources.read(path)
    assert sources.read(path, earliest="1970-01-01").observed_at is not None


# --- changes of order books ----------------------------------------------------------------------------------------

SIDES: dict[str, Any] = {"b": [["99", "1"]], "a": [["101", "1"]]}


@pytest.mark.parametrize(
    "message",
    [
        {"e": "depthUpdate", "s": "A", **SIDES},
        {"topic": "orderbook.50.A", "type": "delta", "data": {"s": "A", **SIDES}},
        {"channel": "book", "type": "update", "data": [{"symbol": "A", "bids": [], "asks": [["101", "1"]]}]},
        {"arg": {"instId": "A"}, "action": "update", "data": [SIDES]},
        {"symbol": "A", "is_snapshot": False, **SIDES},
    ],
)
def test_messages_that_change_a_book_are_none(message: dict[str, Any], tmp_path: Path) -> None:
    whole = {"symbol": "A", "bids": [["99", "1"]], "asks": [["101", "1"]]}
    assert len(sources.read([whole, {**whole, "type": "snapshot"}], capital=10.0)) == 4
    told = r"book 1 has '(e|type|action|is_snapshot)': .*, which is a change of an order book and none itself: take"
    with pytest.raises(RecordError, match=told):
        sources.read([whole, message], capital=10.0)
    path = tmp_path / "b.jsonl"
    path.write_text(f"{json.dumps(whole)}\n{json.dumps(message)}\n")
    with pytest.raises(RecordFileError, match=rf"b\.jsonl: {told}"):
        order_book.walk(path, 10.0)


@pytest.mark.parametrize(
    ("name", "whole", "change"),
    [("is_snapshot", True, False), ("type", "snapshot", "update"), ("update_type", "snap", "set")],
)
def test_rows_that_change_a_book_are_refused(name: str, whole: Any, change: Any) -> None:
    levels = {"symbol": ["A"] * 2, "side": ["bid", "ask"], "price": [99, 101], "quantity": [1, 1]}
    assert len(sources.read({**levels, name: [whole] * 2}, capital=10.0)) == 2
    message = rf"{name} must be of whole order books, .* but {name}\[1\] = {change!r}"
    with pytest.raises(RecordError, match=message):
        sources.read({**levels, name: [whole, change]}, capital=10.0)
    with pytest.raises(RecordError, match=message):
        order_book.book({**levels, name: [whole, change]})
