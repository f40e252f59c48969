"""The gate's child: times one tree, by its public names alone, so that any revision that has them can be timed.

Reads the name of a timing from each line of its input, runs it once and answers with the seconds of processor time, or
with ``!`` and why this tree cannot. Which tree it is says ``PYTHONPATH``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import escala

_INSTRUMENTS = 4_000
_POINTS = 20


def lending() -> Callable[[], Any]:
    """Scenarios with the default strategy."""
    rng = np.random.default_rng(1)
    supply = rng.uniform(100.0, 2000.0, 1_000)
    borrow, target = supply * rng.uniform(0.4, 0.7, supply.size), supply * rng.uniform(1.2, 3.0, supply.size)
    return lambda: escala.simulate(supply, borrow, target, 100.0, threads=1)


def _records() -> tuple[list[str], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    capital = np.sort(rng.uniform(1.0, 100.0, (_INSTRUMENTS, _POINTS)), axis=1)
    rate = rng.uniform(0.01, 0.03, (_INSTRUMENTS, 1))
    efficiency = 0.3 + 0.6 * np.exp(-rate * capital) + rng.normal(0.0, 0.005, capital.shape)
    symbols = [f"S{i}" for i in range(_INSTRUMENTS) for _ in range(_POINTS)]
    return symbols, capital.ravel(), efficiency.ravel()


def _curves() -> Any:
    return escala.fit(*_records(), threads=1)


def fit() -> Callable[[], Any]:
    """The best family of each instrument."""
    records = _records()
    return lambda: escala.fit(*records, threads=1)


def evaluate() -> Callable[[], Any]:
    """Efficiencies at many capitals."""
    curves, capital = _curves(), np.linspace(1.0, 150.0, 500)[None, :]
    return lambda: curves.efficiency(capital, threads=1)


def predict() -> Callable[[], Any]:
    """Predictions with intervals and confidence."""
    curves, capital = _curves(), np.linspace(1.0, 150.0, 50)[None, :]
    return lambda: curves.predict(capital)


def allocate() -> Callable[[], Any]:
    """A budget path over instruments of several families."""
    curves = _curves()
    some = curves[[f"S{i}" for i in range(100)]]
    totals = np.linspace(100.0, 10_000.0, 200)
    return lambda: escala.allocate(some, totals, threads=1)


def sweep() -> Callable[[], Any]:
    """A Sobol design, its rows made and counted on the way."""
    ranges = {"supply": (100.0, 2000.0), "borrow": ("supply", 0.28, 0.49), "target": ("supply", 1.1, 1.3)}
    design = escala.Design.sobol({**ranges, "wallet": (10.0, 500.0)}, 1 << 16, seed=1)
    return lambda: escala.sweep(design, threads=1)


TIMINGS = {made.__name__: made for made in (lending, fit, evaluate, predict, allocate, sweep)}


def main() -> None:
    """Answer until the input ends."""
    ready: dict[str, Callable[[], Any]] = {}
    print(escala.__file__, flush=True)
    for line in sys.stdin:
        name = line.strip()
        try:
            if name not in ready:
                ready[name] = TIMINGS[name]()
                ready[name]()  # compiles, and touches memory
            start = time.thread_time()
            ready[name]()
            print(time.thread_time() - start, flush=True)
        except Exception as error:  # noqa: BLE001 - another revision may lack anything
            print(f"! {type(error).__name__}: {error}".replace("\n", " "), flush=True)


if __name__ == "__main__":
    main()
