"""Measure ours and a peer in turn, in one run: absolute times drift on shared machines, ratios of minima hardly do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def seconds(call: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Time one call."""
    start = clock()
    call()
    return clock() - start


def compare(
    benchmark: Any,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    *,
    rounds: int,
    what: str,
    work: float,
    unit: str,
    peer_work: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Run A B A B … and record minima, their ratio peer/ours and what a unit of work costs, beside the benchmark.

    `work` is the number of units (operations, scenarios) in one call; 0 when the call itself is the unit. `peer_work`
    is that of the peer's call, where it is another. Calls of microseconds in one thread are measured by its own clock,
    ``time.thread_time``: others on the machine count less.
    """
    ours()
    peer()
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(seconds(ours, clock))
        theirs.append(seconds(peer, clock))
    each, peer_each = work or 1.0, peer_work or work or 1.0
    ratio = (min(theirs) / peer_each) / (min(mine) / each)
    benchmark.extra_info.update(
        what=what,
        ours=min(mine) / each,
        peer=min(theirs) / peer_each,
        unit=unit,
        ratio=ratio,
        spread=sorted(b / a for a, b in zip(mine, theirs, strict=True))[:: max(1, rounds - 1)],
    )
    benchmark.pedantic(ours, rounds=1)
    return ratio
