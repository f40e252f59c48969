"""Positions in a market beside a scalar Numba loop and NumPy over all paths, by the processor's time of one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.compare import compare as by_clock
from benchmarks.peers import market_numpy, scalar_market
from escala import GBM, Asset, Depth, FixedRate, Market, Policy, Protocol, simulate_market

HOUR, YEAR_OF_HOURS = 3600, 8760
RATE, SIGMA, PRICE, THRESHOLD, COLLATERAL = 0.05, 0.8, 2000.0, 0.8, 10.0
AAVE = Protocol.aave_v3(THRESHOLD, 0.75, 0.05)
DEBTS = np.linspace(2_000.0, 8_000.0, 1024)


def hours(steps: int, *, barrier: bool = False) -> Market:
    return Market(Asset(PRICE, GBM(0.0, SIGMA)), FixedRate(RATE), dt=HOUR, steps=steps, barrier=barrier)


def walk(debt: Any, paths: int, *, steps: int = YEAR_OF_HOURS, barrier: bool = False, **fields: Any) -> Any:
    market = hours(steps, barrier=barrier)
    return simulate_market(COLLATERAL, debt, market=market, protocol=AAVE, paths=paths, threads=1, **fields)


def processor_seconds(call: Callable[[], Any]) -> float:
    """Time a call by this thread's clock: others on the machine hardly show in it."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


def compare(
    benchmark: Any,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    *,
    work: float,
    peer_work: float,
    unit: str,
    what: str,
    rounds: int = 5,
) -> None:
    """Run both in turn and record the minima of a unit of work, and their ratio."""
    ours()
    peer()
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(processor_seconds(ours))
        theirs.append(processor_seconds(peer))
    each, other = min(mine) / work, min(theirs) / peer_work
    spread = sorted((b / peer_work) / (a / work) for a, b in zip(mine, theirs, strict=True))
    benchmark.extra_info.update(
        what=what, ours=each, peer=other, unit=unit, ratio=other / each, spread=[spread[0], spread[-1]]
    )
    benchmark.pedantic(ours, rounds=1)


def scalar(paths: int) -> Callable[[], Any]:
    out = np.empty(paths)
    return lambda: scalar_market(COLLATERAL, 8_000.0, PRICE, SIGMA, RATE, THRESHOLD, HOUR, YEAR_OF_HOURS, out)


@pytest.mark.benchmark(group="market")
@pytest.mark.parametrize("barrier", [False, True], ids=["closes", "lows"])
def test_one_position_a_path(benchmark: Any, barrier: bool) -> None:
    lows = ", with lows" if barrier else ""
    compare(
        benchmark,
        lambda: walk(2_000.0, 1000, barrier=barrier),
        scalar(20),
        work=1000.0 * YEAR_OF_HOURS,
        peer_work=20.0 * YEAR_OF_HOURS,
        unit="path-step",
        what=f"a path of a year of hours{lows}, one position that holds, one thread / scalar Numba loop, no lows",
    )


@pytest.mark.benchmark(group="market")
@pytest.mark.parametrize(("scale", "share"), [(0.25, "hardly any"), (1.0, "a fifth")], ids=["safe", "risky"])
def test_many_positions_on_a_shared_path(benchmark: Any, scale: float, share: str) -> None:
    paths, others = 512, 10_000
    compare(
        benchmark,
        lambda: walk(scale * DEBTS, paths),
        lambda: market_numpy(COLLATERAL, 4_000.0, PRICE, SIGMA, RATE, THRESHOLD, HOUR, 200, others),
        work=float(paths) * YEAR_OF_HOURS * DEBTS.size,
        peer_work=200.0 * others,
        unit="position-step",
        what=f"1,024 positions that hold on shared paths, {share} liquidated, one thread / NumPy over paths, no rule",
    )


@pytest.mark.benchmark(group="market")
@pytest.mark.parametrize("band", [0.2, 0.1, 0.05])
def test_positions_that_keep_a_band(benchmark: Any, band: float) -> None:
    paths, sets = 64, 256
    policy = Policy(
        deleverage_health=2.0 - band, deleverage_target=2.0, boost_health=2.0 + band, boost_target=2.0,
        depth=Depth.flat(0.001),
    )  # fmt: skip
    debts = np.linspace(7_000.0, 9_000.0, sets)
    compare(
        benchmark,
        lambda: walk(debts, paths, policy=policy),
        scalar(20),
        work=float(paths) * YEAR_OF_HOURS * sets,
        peer_work=20.0 * YEAR_OF_HOURS,
        unit="position-step",
        what=f"256 positions that are kept at 2 ± {band:g} on shared paths, one thread / scalar Numba loop that holds",
    )


@pytest.mark.benchmark(group="market")
def test_nothing_shared(benchmark: Any) -> None:
    paths, sets = 100, 40
    debts = np.linspace(2_000.0, 12_000.0, sets)
    compare(
        benchmark,
        lambda: walk(debts, paths, common=False),
        scalar(20),
        work=float(paths) * YEAR_OF_HOURS * sets,
        peer_work=20.0 * YEAR_OF_HOURS,
        unit="position-step",
        what="40 positions on 100 paths of their own each, one thread / scalar Numba loop",
    )


@pytest.mark.benchmark(group="market")
def test_two_threads(benchmark: Any) -> None:
    market = hours(YEAR_OF_HOURS)
    by_clock(
        benchmark,
        lambda: simulate_market(COLLATERAL, DEBTS, market=market, protocol=AAVE, paths=512, threads=2),
        lambda: simulate_market(COLLATERAL, DEBTS, market=market, protocol=AAVE, paths=512, threads=1),
        rounds=3,
        what="1,024 positions on 512 shared paths, two threads / one",
        work=512.0 * YEAR_OF_HOURS * DEBTS.size,
        unit="position-step",
    )
