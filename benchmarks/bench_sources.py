"""Outside data beside NumPy and pandas: walking many books, records of executions, reading files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks import peers
from benchmarks.compare import compare
from escala import sources
from escala.sources import order_book, quotes

Table = dict[str, np.ndarray]


def books(n: int, m: int) -> Table:
    """Draw n snapshots of m bids and m asks around 100, best first."""
    rng = np.random.default_rng(1)
    steps = np.cumsum(rng.uniform(0.001, 0.02, (n, 2, m)), axis=2)
    steps[:, 0] *= -1
    snapshot, side, _ = np.indices((n, 2, m))
    return {
        "snapshot": snapshot.reshape(-1),
        "side": np.array(["bid", "ask"], dtype=object)[side].reshape(-1),
        "price": (100.0 + steps).reshape(-1),
        "quantity": rng.uniform(0.1, 5.0, n * 2 * m),
    }


def executions(n: int) -> Table:
    """Draw sales of 50 symbols with a linear impact, over a million seconds."""
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 50, n)
    quantity = 10.0 ** rng.uniform(-2.0, 3.0, n)
    return {
        "symbol": np.array([f"S{k}" for k in range(50)], dtype=object)[codes],
        "side": np.full(n, "sell", dtype=object),
        "price": (codes + 1.0) * (1.0 - 1e-4 * quantity),
        "quantity": quantity,
        "time": rng.uniform(0.0, 1e6, n),
    }


@pytest.mark.benchmark(group="sources")
def test_walk(benchmark: Any) -> None:
    n, m = 2_000, 100
    book = order_book.book(books(n, m))
    capital = np.geomspace(100.0, 20_000.0, 50)
    price, quantity = book.price.reshape(n, 2, m), book.quantity.reshape(n, 2, m)
    ours = order_book.walk(book, capital, threads=1).efficiency
    assert np.allclose(ours, peers.numpy_walks(price, quantity, capital), rtol=1e-12, equal_nan=True)
    compare(
        benchmark,
        lambda: order_book.walk(book, capital, threads=1),
        lambda: peers.numpy_walks(price, quantity, capital),
        rounds=9,
        what="50 capitals on both sides of 2,000 books of 2 × 100 levels, one thread / numpy, all books at once",
        work=2.0 * n * capital.size,
        unit="fill",
    )


@pytest.mark.benchmark(group="sources")
def test_books(benchmark: Any) -> None:
    table = books(2_000, 100)
    shuffled = np.random.default_rng(3).permutation(table["price"].size)
    mixed = {name: column[shuffled] for name, column in table.items()}
    frame = pd.DataFrame(mixed)
    compare(
        benchmark,
        lambda: order_book.book(mixed),
        lambda: peers.pandas_books(frame),
        rounds=5,
        what="400,000 levels in any order sorted into 2,000 books and checked / pandas groupby and sort, unchecked",
        work=len(frame),
        unit="level",
    )


@pytest.mark.benchmark(group="sources")
def test_executions(benchmark: Any) -> None:
    table = executions(1_000_000)
    frame = pd.DataFrame(table)
    ours = quotes.records(table)
    assert np.allclose(ours.efficiency, peers.pandas_efficiencies(frame), rtol=1e-12)
    compare(
        benchmark,
        lambda: quotes.records(table),
        lambda: peers.pandas_efficiencies(frame),
        rounds=5,
        what="records of 1 M executions of 50 symbols / pandas groupby",
        work=len(frame),
        unit="record",
    )


@pytest.mark.benchmark(group="sources")
def test_executions_in_windows(benchmark: Any) -> None:
    table = executions(1_000_000)
    few = {name: column[:20_000] for name, column in table.items()}
    frame = pd.DataFrame(few)
    ours = quotes.records(few, window=20_000.0)
    theirs = peers.pandas_windowed_efficiencies(frame, 20_000.0)
    assert np.allclose(ours.efficiency, theirs[np.isfinite(theirs)], rtol=1e-12)
    compare(
        benchmark,
        lambda: quotes.records(table, window=20_000.0),
        lambda: peers.pandas_windowed_efficiencies(frame, 20_000.0),
        rounds=3,
        what="the same with a reference of ± 20,000 s around each of them / a loop over 20,000 of them",
        work=1_000_000,
        peer_work=len(frame),
        unit="record",
    )


@pytest.mark.benchmark(group="sources")
def test_reading(benchmark: Any, tmp_path: Path) -> None:
    table = executions(200_000)
    path = tmp_path / "executions.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*(column.tolist() for column in table.values()), strict=True))
    compare(
        benchmark,
        lambda: sources.read(path),
        lambda: sources.read(pd.read_csv(path)),
        rounds=5,
        what="CSV of 200,000 executions to records, by the standard library / the same through pandas.read_csv",
        work=200_000,
        unit="row",
    )
