"""How often the intervals of a curve itself hold the truth: of what the next unit returns, and of the saturation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from escala import FitStatus, fit

_LOWEST, _HIGHEST, _DEPTH = 1e4, 2e6, 2e6
_KNOTS: Final = np.array([0.0, 3e4, 1e5, 3e5, 8e5])
_SLOPES: Final = np.array([1.0, 0.9, 0.7, 0.5, 0.3])
_NOISE: Final = 0.005
_DROP: Final = 0.10
_CASES: Final = (
    ("linear", "line", 12),
    ("depth", "pool", 60),
    ("ladder", "pool", 60),
    ("ladder", "pool", 360),
    ("ladder", "book", 60),
    ("ladder", "book", 360),
)


def _line(capital: np.ndarray) -> np.ndarray:
    return 0.95 - 2e-7 * capital


def _pool(capital: np.ndarray) -> np.ndarray:
    return 0.98 / (1.0 + capital / _DEPTH)


def _book(capital: np.ndarray) -> np.ndarray:
    """Five levels of an order book."""
    within = np.clip(capital[..., None] - _KNOTS, 0.0, np.append(np.diff(_KNOTS), np.inf))
    efficiency: np.ndarray = within @ _SLOPES / capital
    return efficiency


_TRUTHS: Final[dict[str, Callable[[np.ndarray], np.ndarray]]] = {"line": _line, "pool": _pool, "book": _book}


def _marginal(truth: Callable[[np.ndarray], np.ndarray], capital: np.ndarray) -> np.ndarray:
    step = capital * 1e-7
    more, less = capital + step, capital - step
    slope: np.ndarray = (more * truth(more) - less * truth(less)) / (2.0 * step)
    return slope


def _saturation(truth: Callable[[np.ndarray], np.ndarray], least: float) -> float:
    """Capital at which a tenth is lost of the highest efficiency, which is that of the least capital; by bisection."""
    low, high = least, 1e9
    lost = (1.0 - _DROP) * float(truth(np.array([low]))[0])
    for _ in range(200):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if truth(np.array([middle]))[0] > lost else (low, middle)
    return float(high)


def rows(fits: int) -> Iterator[tuple[str, float, float]]:
    """Give for each case the shares of marginals in their 95 % interval and of saturations in their 90 % interval."""
    for family, of, m in _CASES:
        rng = np.random.default_rng([m, len(family), len(of)])
        truth = _TRUTHS[of]
        capital = np.exp(rng.uniform(np.log(_LOWEST), np.log(_HIGHEST), (fits, m)))
        observed = truth(capital) + _NOISE * rng.standard_normal((fits, m))
        curves = fit([str(i) for i in range(fits)], capital, observed, family=family, clip=True)
        curves = curves[curves.status == FitStatus.OK]
        at = np.exp(rng.uniform(np.log(_LOWEST), np.log(_HIGHEST), len(curves)))
        predicted, found = curves.predict(at), curves.saturation(_DROP)
        # a ladder says nothing of less capital than was seen: it takes the efficiency there for that
        true, lost = _marginal(truth, at), _saturation(truth, _LOWEST if family == "ladder" else 1.0)
        inside = (predicted.marginal_low <= true) & (true <= predicted.marginal_high)
        around = (found.saturation_low <= lost) & (lost <= found.saturation_high)
        yield f"{family} fitted to a {of}, {m} points", float(inside.mean()), float(around.mean())


def table(fits: int) -> list[str]:
    """Give the study as lines of a table for the guide."""
    lines = [
        f"Intervals of the curve itself, {fits:,} fits a row, noise 0.005, capitals log-uniform over two decades:",
        "share of true marginals inside the 95 % interval of `marginal`, of saturations inside the 90 % interval:",
        "",
        "| what is fitted | marginal, of 95 % | saturation, of 90 % |",
        "|---|---|---|",
    ]
    return lines + [f"| {name} | {100 * inside:.0f} | {100 * around:.0f} |" for name, inside, around in rows(fits)]
