"""Calls for one number: what Python costs around a kernel, beside additions of two numbers by NumPy."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.bench_engine import CALLS, SYMBOLS, Running
from benchmarks.compare import compare
from escala import CurveSet, allocate, fit, simulate

_CALLS = 300
_CAPITAL = np.geomspace(1e3, 1e6, 60)
_EFFICIENCY = 0.99 - 2e-7 * _CAPITAL + 1e-3 * np.random.default_rng(0).standard_normal(60)
_FEW = _CAPITAL[::5], _EFFICIENCY[::5]


def _predict_one(points: int) -> Callable[[], object]:
    step = _CAPITAL.size // points
    curve = fit(["A"], [_CAPITAL[::step]], [_EFFICIENCY[::step]], family="linear")
    return lambda: curve.predict(2e5)


def _allocate_five() -> Callable[[], object]:
    curves = CurveSet.from_params(list("ABCDE"), "linear", [[-1e-6 * (k + 1), 1.0] for k in range(5)])
    return lambda: allocate(curves, 3e5)


_KINDS: dict[str, Callable[[], Callable[[], object]]] = {
    "predict, a capital, Student's interval": lambda: _predict_one(12),
    "predict, a capital, interval by scores": lambda: _predict_one(60),
    "allocate a total over 5 instruments": _allocate_five,
    "fit of 12 points, linear": lambda: lambda: fit(["A"], [_FEW[0]], [_FEW[1]], family="linear"),
    "simulate a scenario": lambda: lambda: simulate(1000.0, 600.0, 1500.0, 200.0),
}


def _repeated(call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(_CALLS):
            call()

    return run


@pytest.mark.benchmark(group="calls")
@pytest.mark.parametrize("kind", _KINDS)
def test_one_call(benchmark: Any, kind: str) -> None:
    a, b = np.array([1.0]), np.array([2.0])
    compare(
        benchmark,
        _repeated(_KINDS[kind]()),
        _repeated(lambda: [np.add(a, b) for _ in range(100)]),
        rounds=25,
        clock=time.thread_time,
        what=f"{kind} / a hundred np.add of one number to another",
        work=_CALLS,
        unit="call",
    )


@pytest.mark.benchmark(group="calls")
def test_a_question_to_an_engine(benchmark: Any, tmp_path: Path) -> None:
    """Ask for a capital that nobody asked for before, of a curve that is up to date."""
    running = Running(tmp_path / "engine.db", 2_000, symbols=100)
    asked = iter(np.linspace(1e3, 1e6, 1_000_000).tolist())
    a, b = np.array([1.0]), np.array([2.0])

    def ask() -> None:
        running.each(lambda k: running.engine.predict_efficiency(SYMBOLS[k % 7], next(asked)))

    compare(
        benchmark,
        ask,
        lambda: [np.add(a, b) for _ in range(100 * CALLS)],
        rounds=25,
        clock=time.thread_time,
        what="engine's predict_efficiency, not cached / a hundred np.add of one number to another",
        work=CALLS,
        unit="call",
    )
    running.close()
