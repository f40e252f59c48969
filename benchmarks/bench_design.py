"""Designs beside scipy.stats.qmc and NumPy's generators: rows of six columns, mapped to ranges, on one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import qmc

from benchmarks.compare import compare
from escala import Design
from escala.kernels.philox import uniforms

COLUMNS = 6
N = 2**20
LOW, HIGH = np.arange(1.0, 1.0 + COLUMNS), 10.0 * np.arange(1.0, 1.0 + COLUMNS)
RANGES = {f"x{k}": (LOW[k], HIGH[k]) for k in range(COLUMNS)}
PEERS: dict[str, Callable[..., Any]] = {
    "sobol": qmc.Sobol,
    "halton": qmc.Halton,
    "latin_hypercube": qmc.LatinHypercube,
    "random": lambda _, rng: np.random.default_rng(rng),
}


def design(kind: str, n: int = N) -> Design:
    return getattr(Design, kind)(RANGES, n, 7, free=True)  # type: ignore[no-any-return]


def theirs(kind: str) -> np.ndarray:
    """Make the rows of all columns with a peer, an engine's set-up included (less than a thousandth of it)."""
    engine = PEERS[kind](COLUMNS, rng=7)
    points = engine.random((N, COLUMNS)) if kind == "random" else engine.random(N)
    return qmc.scale(points, LOW, HIGH)  # type: ignore[no-any-return]


@pytest.mark.benchmark(group="design")
@pytest.mark.parametrize("kind", list(PEERS))
def test_rows(benchmark: Any, kind: str) -> None:
    ours = design(kind)
    if kind in {"sobol", "halton"}:
        assert np.array_equal(np.stack(list(ours.rows().values()), axis=1), theirs(kind))
    peer = "NumPy's default generator" if kind == "random" else f"scipy.stats.qmc.{PEERS[kind].__name__}"
    compare(
        benchmark,
        ours.rows,
        lambda: theirs(kind),
        rounds=7,
        what=f"{kind.replace('_', ' ')} design, 1 M rows of 6 columns in ranges, one thread / {peer} and scale",
        work=N,
        unit="row",
    )


@pytest.mark.benchmark(group="design")
def test_chunks(benchmark: Any) -> None:
    """What a sweep asks for: chunks, in memory that is used again, far from the start."""
    ours, start, size = design("sobol", 2**27), 2**26, 65536
    out = np.empty((COLUMNS, size + 8))

    def skipped() -> np.ndarray:
        engine = qmc.Sobol(COLUMNS, rng=7)
        engine.fast_forward(start)
        return qmc.scale(engine.random(size), LOW, HIGH)  # type: ignore[no-any-return]

    assert np.array_equal(np.stack(list(ours.rows(start, start + size).values()), axis=1), skipped())
    compare(
        benchmark,
        lambda: ours.rows(start, start + size, out=out),
        skipped,
        rounds=5,
        what="sobol design, 65,536 rows from row 67 M on, one thread / scipy.stats.qmc.Sobol with fast_forward",
        work=size,
        unit="row",
    )


@pytest.mark.benchmark(group="design")
@pytest.mark.parametrize("peer", ["Philox", "PCG64", "SFC64"])
def test_philox(benchmark: Any, peer: str) -> None:
    size = 100_000
    out, others = np.empty(size), np.empty(size)
    generator = np.random.Generator(getattr(np.random, peer)(7))
    compare(
        benchmark,
        lambda: uniforms(7, 0, 0, 0, 0, out, 0, size),
        lambda: generator.random(out=others),
        rounds=200,
        what=f"uniforms of Philox 4x32-10 by index, one thread / NumPy's {peer}, one after the other",
        work=size,
        unit="number",
    )
