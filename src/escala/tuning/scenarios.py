"""Scenarios for tuning: rows of a design to tune on, and rows that are kept back."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.design.design import Design

_MOST_HELD_OUT: Final = 16_384


def two_sets(design: Design, scenarios: int, seed: int) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Draw rows to tune on and rows to keep back."""
    n = len(design)
    count = min(scenarios, n // 2)
    drawn = np.sort(_distinct(n, min(n, count + _MOST_HELD_OUT), seed))
    mixed = np.random.default_rng([seed, 2]).permutation(drawn.size)
    return _rows(design, np.sort(drawn[mixed[:count]])), _rows(design, np.sort(drawn[mixed[count:]]))


def _distinct(n: int, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw distinct numbers below n, without room for all of them."""
    generator = np.random.default_rng([seed, 3])
    if n <= 4 * count:
        return generator.permutation(n)[:count]
    drawn = np.unique(generator.integers(0, n, 2 * count))
    return generator.permutation(drawn)[:count]


def _rows(design: Design, places: npt.NDArray[np.int64]) -> dict[str, Floats]:
    """Make rows of a design: slices where they lie close together, one by one where they do not."""
    if places.size * 64 >= len(design):
        rows = design.rows()
        return {name: column[places] for name, column in rows.items()}
    made = [design.rows(int(i), int(i) + 1) for i in places]
    return {name: np.concatenate([row[name] for row in made]) for name in design.names}
