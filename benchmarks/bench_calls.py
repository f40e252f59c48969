"""Calls for one number: what Python costs around a kernel, beside additions of two numbers by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

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
        rounds=15,
        what=f"{kind} / a hundred np.add of one number to another",
        work=_CALLS,
        unit="call",
    )
