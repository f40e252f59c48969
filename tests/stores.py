"""What the tests of stores share."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from escala import CurveSet, fit
from escala.ragged import Ragged
from escala.store.location import Location

UTC = datetime.UTC


async def run_sql(url: str, *statements: str) -> list[Any]:
    """Run statements beside the store, in one transaction; give the rows of the last one."""
    engine = create_async_engine(Location.of(url).url)
    try:
        async with engine.begin() as connection:
            for statement in statements:
                done = await connection.execute(text(statement))
            return list(done.all()) if done.returns_rows else []
    finally:
        await engine.dispose()


def same_bits(one: CurveSet, other: CurveSet) -> bool:
    return one.symbols.tolist() == other.symbols.tolist() and all(
        a.tobytes() == b.tobytes() and a.dtype == b.dtype and a.shape == b.shape
        for f in dataclasses.fields(CurveSet)
        if f.name != "symbols"
        for a, b in zip(arrays_of(getattr(one, f.name)), arrays_of(getattr(other, f.name)), strict=True)
    )


def arrays_of(column: Any) -> tuple[npt.NDArray[Any], ...]:
    return (column.values, column.offsets) if isinstance(column, Ragged) else (column,)


def some_curves(n: int = 12, seed: int = 1) -> CurveSet:
    """Fits of all families, one of too few points, a constant one, a degenerate one."""
    rng = np.random.default_rng(seed)
    names = [f"S{i}" for i in range(n)]
    capital = [np.sort(rng.uniform(1e3, 1e6, 20)) for _ in names]
    noise = [rng.normal(0.0, 0.01, 20) for _ in names]
    shapes: list[Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]] = [
        lambda c: 0.9 - 3e-7 * c, lambda c: 0.3 + 0.6 * np.exp(-5e-6 * c), lambda c: 0.9 - 5e-4 * np.sqrt(c),
    ]  # fmt: skip
    efficiency = [np.clip(shapes[i % 3](c) + e, 0.0, 1.0) for i, (c, e) in enumerate(zip(capital, noise, strict=True))]
    capital[0], efficiency[0] = capital[0][:1], efficiency[0][:1]
    efficiency[1] = np.full(20, 0.5)
    families = ["auto"] * n
    families[2] = "exponential"
    efficiency[2] = np.linspace(0.1, 0.9, 20)
    return fit(names, capital, efficiency, family=families)


DATE = datetime.datetime(2024, 1, 2, 3, 4, 5, 678901)
