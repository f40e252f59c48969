"""The C library: what a call costs, its throughput beside the Python functions', and how long a build takes."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.compare import compare
from escala import CurveSet, allocate, fit, simulate
from escala.capi import Built, build, load

CALLS = 100_000
_rng = np.random.default_rng(3)


@pytest.fixture(scope="module")
def built() -> Iterator[Built]:
    with tempfile.TemporaryDirectory() as folder:
        yield build(folder)


@pytest.mark.benchmark(group="capi")
@pytest.mark.parametrize("cpu", ["native", "x86-64-v3"])
def test_build(benchmark: Any, cpu: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build with an empty cache, and again with what that left."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("ESCALA_CACHE_DIR", folder)
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            build(Path(folder) / "out", cpu)
            seconds.append(time.perf_counter() - start)
        benchmark.pedantic(lambda: None, rounds=1)
    figure = f"{seconds[0]:.0f} s, with kernels from the cache {seconds[1]:.0f} s"
    benchmark.extra_info.update(what=f"build of the C library for {cpu}", figure=figure)


@pytest.mark.benchmark(group="capi")
def test_one_element(benchmark: Any, built: Built, tmp_path: Path) -> None:
    """Call from C for one capital of an exponential curve; the same arithmetic for 1,024 together costs 1 to 2 ns."""
    source = Path(__file__).parent / "capi_calls.c"
    program = tmp_path / "calls"
    compiler = os.environ.get("CC", "cc").split()
    options = ["-O2", source, f"-I{built.header.parent}", built.static, "-o", program]
    subprocess.run([*compiler, *options], check=True)
    done = benchmark.pedantic(
        lambda: subprocess.run([program, str(CALLS)], check=True, capture_output=True, text=True), rounds=1
    )
    one, among_many, _ = done.stdout.split()
    figure = f"{float(one):.0f} ns, among 1,024 {float(among_many):.1f} ns"
    benchmark.extra_info.update(what="call of the C library for one efficiency, from C", figure=figure)


def _curves(n: int) -> CurveSet:
    params = np.stack([_rng.uniform(0.6, 0.9, n), _rng.uniform(1e-7, 3e-6, n), _rng.uniform(0.0, 0.1, n)], axis=1)
    return CurveSet.from_params([str(i) for i in range(n)], "exponential", params, trusted_to=1e6)


def _compared(
    benchmark: Any, ours: Callable[[], Any], peer: Callable[[], Any], what: str, work: float, unit: str
) -> None:
    compare(
        benchmark, ours, peer, rounds=15, what=f"{what}: C library / Python on one thread", work=work, unit=unit
    )  # fmt: skip


@pytest.mark.benchmark(group="capi")
def test_evaluation(benchmark: Any, built: Built) -> None:
    library, curves = load(built.shared), _curves(100)
    levels, out = _rng.uniform(0.0, 1e6, (100, 10_000)), np.empty((100, 10_000))
    _compared(
        benchmark,
        lambda: library.efficiency(curves, levels, out=out),
        lambda: curves.efficiency(levels, out=out, threads=1),
        "efficiency of exponentials", levels.size, "point",
    )  # fmt: skip


@pytest.mark.benchmark(group="capi")
def test_fit(benchmark: Any, built: Built) -> None:
    library, n, m = load(built.shared), 5000, 30
    capital = np.exp(_rng.uniform(8.0, 14.0, (n, m)))
    efficiency = np.clip(np.exp(-capital / 1e6) + _rng.normal(0.0, 0.02, (n, m)), 0.0, 1.0)
    symbols, offsets = [str(i) for i in range(n)], np.arange(n + 1) * m
    _compared(
        benchmark,
        lambda: library.fit(offsets, capital.reshape(-1), efficiency.reshape(-1)),
        lambda: fit(symbols, capital, efficiency, threads=1),
        "fit, 30 points", n, "curve",
    )  # fmt: skip


@pytest.mark.benchmark(group="capi")
def test_allocation(benchmark: Any, built: Built) -> None:
    library, curves, totals = load(built.shared), _curves(100), np.linspace(1e5, 2e7, 256)
    _compared(
        benchmark,
        lambda: library.allocate(curves, totals),
        lambda: allocate(curves, totals, threads=1),
        "allocation over 100", totals.size, "total",
    )  # fmt: skip


@pytest.mark.benchmark(group="capi")
def test_lending(benchmark: Any, built: Built) -> None:
    library, n = load(built.shared), 200_000
    supply = _rng.uniform(500.0, 2000.0, n)
    start = (supply, 0.6 * supply, 1.2 * supply, 0.2 * supply)
    _compared(
        benchmark,
        lambda: library.simulate(*start),
        lambda: simulate(*start, threads=1),
        "lending scenarios", n, "scenario",
    )  # fmt: skip
