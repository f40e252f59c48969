"""The lending loop beside a straightforward scalar kernel and plain Python."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from tests.naive import lending as naive

from benchmarks import peers
from benchmarks.compare import compare
from benchmarks.peers import scalar_lending_run
from escala import LendingStrategy, simulate

Draw = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def standard_draw(n: int, seed: int = 1) -> Draw:
    """Supply 100–2000, borrow 40–70 %, target 1.2–3 ×, wallet 10–500."""
    rng = np.random.default_rng(seed)
    supply = rng.uniform(100, 2000, n)
    return supply, supply * rng.uniform(0.4, 0.7, n), supply * rng.uniform(1.2, 3, n), rng.uniform(10, 500, n)


def rows(strategy: LendingStrategy) -> np.ndarray:
    """Give the fields as the peer wants them: one column, or n."""
    return np.stack([np.atleast_1d(a) for a in np.broadcast_arrays(*strategy.arrays().values())])


def against_scalar(
    benchmark: Any, draw: Draw, strategy: LendingStrategy, what: str, unit: str, rounds: int = 7
) -> None:
    fields = rows(strategy)
    values, counts = scalar_lending_run(*draw, fields)
    result = simulate(*draw, strategy=strategy, threads=1)
    assert np.array_equal(result.final_supply, values[peers.value.SUPPLY])
    assert np.array_equal(result.rescale_attempts, counts[peers.count.ATTEMPTS])
    work = (
        float((counts[peers.count.EXECUTED] + counts[peers.count.SKIPPED]).sum())
        if unit == "operation"
        else float(draw[0].size)
    )
    compare(
        benchmark,
        lambda: simulate(*draw, strategy=strategy, threads=1),
        lambda: scalar_lending_run(*draw, fields),
        rounds=rounds,
        what=what,
        work=work,
        unit=unit,
    )


@pytest.mark.benchmark(group="lending")
def test_default_strategy(benchmark: Any) -> None:
    against_scalar(
        benchmark,
        standard_draw(20_000),
        LendingStrategy(),
        "default strategy, one thread / scalar Numba kernel",
        "operation",
    )


@pytest.mark.benchmark(group="lending")
def test_drawn_strategies(benchmark: Any) -> None:
    n = 10_000
    u = np.random.default_rng(4).uniform
    strategy = LendingStrategy(
        repay=u(0.02, 0.3, n),
        repay_stalling=u(0.02, 0.2, n),
        repay_stalled=u(0.01, 0.1, n),
        target_ltv=u(0.4, 0.73, n),
        target_ltv_stalled=u(0.4, 0.73, n),
        draw_fraction=u(0.3, 1, n),
        reinvest_far=u(0, 1, n),
        reinvest_mid=u(0, 1, n),
        reinvest_near=u(0, 1, n),
        reinvest_stalling=u(0, 1, n),
        reinvest_stalled=u(0, 1, n),
        fee_rate=u(0, 0.01, n),
    )
    against_scalar(
        benchmark,
        standard_draw(n),
        strategy,
        "12 drawn strategy fields, one thread / scalar Numba kernel",
        "operation",
        5,
    )


@pytest.mark.benchmark(group="lending")
def test_large_min_profit(benchmark: Any) -> None:
    against_scalar(
        benchmark,
        standard_draw(20_000),
        LendingStrategy(min_profit=1.0),
        "min_profit 1: many softened plans, one thread / scalar Numba kernel",
        "operation",
    )


@pytest.mark.benchmark(group="lending")
def test_short_scenarios(benchmark: Any) -> None:
    supply, borrow, _, wallet = standard_draw(200_000)
    draw = (supply, 0.7 * borrow, 1.08 * supply + 0.5 * wallet, wallet)
    against_scalar(
        benchmark, draw, LendingStrategy(), "one or two operations each, one thread / scalar Numba kernel", "scenario"
    )


@pytest.mark.benchmark(group="lending")
def test_plain_python(benchmark: Any) -> None:
    draw = standard_draw(256)
    operations = sum(run.executed + run.skipped for run in (naive.naive_simulate(*s) for s in zip(*draw, strict=True)))
    compare(
        benchmark,
        lambda: simulate(*draw, threads=1),
        lambda: [naive.naive_simulate(*scenario) for scenario in zip(*draw, strict=True)],
        rounds=3,
        what="256 scenarios, one thread / plain Python",
        work=operations,
        unit="operation",
    )


@pytest.mark.benchmark(group="lending")
def test_two_threads(benchmark: Any) -> None:
    draw = standard_draw(50_000)
    one = simulate(*draw, threads=1)
    compare(
        benchmark,
        lambda: simulate(*draw, threads=2),
        lambda: simulate(*draw, threads=1),
        rounds=15,
        what="two threads / one thread",
        work=float((one.executed + one.skipped).sum()),
        unit="operation",
    )


_MEMORY = """
import re, numpy as np
from pathlib import Path
from escala import simulate
simulate([1.0, 2.0], 0.5, [[2.0], [3.0]], 0.1)
def megabytes(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
n = 2_000_000
supply = np.random.default_rng(1).uniform(100, 2000, n)
borrow, target, wallet = supply * 0.5, supply * 1.01, np.full(n, 50.0)
Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
before = megabytes("VmRSS")
result = simulate(supply, borrow, target, wallet)
print(megabytes("VmHWM") - before - n * 8 * 18 / 2**20)
"""


@pytest.mark.benchmark(group="lending")
def test_memory(benchmark: Any) -> None:
    def measure() -> float:
        done = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True)
        return float(done.stdout)

    beyond = benchmark.pedantic(measure, rounds=1)
    benchmark.extra_info.update(what="memory beyond inputs and outputs, 2 M scenarios", figure=f"{beyond:.0f} MB")
