"""Predictions: many at once, and those that are remembered."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from escala import keyed, parallel
from escala.arrays import Floats, check_interval, to_floats
from escala.curves.curveset import CurveSet
from escala.curves.prediction import Prediction
from escala.curves.predictor import marginals
from escala.engine.config import EngineConfig
from escala.engine.models import Model
from escala.engine.results import EfficiencyPrediction
from escala.errors import CurveError
from escala.keyed import PerSymbol
from escala.tables import FINITE_FROM_ZERO

#: Columns of numbers in a prediction.
_PREDICTED: Final = ("efficiency", "low", "high", "confidence")

#: Points that one call of :meth:`CurveSet.predict` is given: its arrays fit into the cache.
_BLOCK: Final = 16384

#: A curve, and where its points begin and end.
_Piece: TypeAlias = tuple[int, int, int]


class PredictionCache:
    """Single predictions by symbol and capital.

    Parameters
    ----------
    size : int
        How many are remembered; when there is one more, all are forgotten.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.found: dict[str, dict[float, EfficiencyPrediction]] = {}
        self.count = 0
        self.hits = 0
        self.misses = 0

    def get(self, symbol: str, capital: float) -> EfficiencyPrediction | None:
        """Give what was predicted before."""
        return self.found.get(symbol, {}).get(capital)

    def put(self, prediction: EfficiencyPrediction) -> None:
        """Remember a prediction."""
        if self.count >= self._size:
            self.found.clear()
            self.count = 0
        if self._size:
            of_symbol = self.found.setdefault(prediction.symbol, {})
            self.count += prediction.capital not in of_symbol
            of_symbol[prediction.capital] = prediction

    def forget(self, symbol: str) -> None:
        """Forget what was predicted for a symbol: there are records that it does not know, or another curve."""
        self.count -= len(self.found.pop(symbol, ()))

    def predict(self, model: Model, symbol: str, capital: float, config: EngineConfig) -> EfficiencyPrediction:
        """Predict anew."""
        self.misses += 1
        at = model.curve.predict(capital, level=config.level, tolerance=config.tolerance)
        return EfficiencyPrediction(
            symbol=symbol,
            capital=capital,
            efficiency=at.efficiency.item(),
            low=at.low.item(),
            high=at.high.item(),
            confidence=at.confidence.item(),
            family=model.family,
            extrapolated=at.extrapolated.item(),
            as_of=model.as_of,
        )


def points_of(capital: PerSymbol, symbols: Sequence[str]) -> tuple[Floats, tuple[int, ...]]:
    """Bring capital to (n, m), with the shape of the result, as :meth:`CurveSet.predict` would."""
    n = len(symbols)
    given = to_floats("capital", keyed.by_symbol("capital", capital, symbols, CurveError), CurveError)
    check_interval("capital", given, FINITE_FROM_ZERO, CurveError)
    if given.ndim == 0 or given.shape == (n,):
        return np.broadcast_to(given[..., None], (n, 1)), (n,)
    if given.ndim == 1 and n == 1:
        return given[None, :], given.shape
    if given.ndim == 2 and given.shape[0] in (1, n):
        shape = (n, given.shape[1])
        return np.broadcast_to(given, shape), shape
    message = (
        f"capital of shape {given.shape} does not fit {n:,} symbols: it must be a number, or of shape ({n},), "
        f"({n}, m) or (1, m)"
    )
    raise CurveError(message, arguments=("capital",))


def predict_points(
    curves: CurveSet, owner: npt.NDArray[np.int64], points: Floats, shape: tuple[int, ...], config: EngineConfig
) -> Prediction:
    """Predict a row of points for each curve in `owner`, on all threads; a curve may come more than once."""
    n, m = points.shape
    # In as few bytes as will do: integers of one or two are sorted without comparisons.
    order = np.argsort(owner.astype(np.min_scalar_type(len(curves))), kind="stable")
    given = points.take(order, axis=0).reshape(-1)  # the points of a curve side by side
    columns: dict[str, npt.NDArray[Any]] = {name: np.empty(n * m) for name in _PREDICTED}
    columns["extrapolated"] = np.empty(n * m, dtype=np.bool_)
    known: dict[str, npt.NDArray[Any]] = {  # of each curve; those that are not asked for stay as they are
        "method": np.full(len(curves), "none", dtype=object),
        "enough": np.zeros(len(curves), dtype=np.bool_),
        "points": np.zeros(len(curves), dtype=np.int64),
    }
    blocks = _blocks(np.bincount(owner, minlength=len(curves)) * m)

    def make_part() -> parallel.Part:
        def part(start: int, stop: int) -> Iterator[None]:
            for block in blocks[start:stop]:
                _predict_block(block, curves, given, columns, known, config)
                yield

        return part

    parallel.run(make_part, len(blocks), chunk=1, threads=parallel.checked_threads(config.threads, CurveError))
    if len(curves) < n:  # else the curves have the order of the points
        back = np.empty_like(order)
        back[order] = np.arange(n)
        columns = {name: column.reshape(n, m).take(back, axis=0) for name, column in columns.items()}
    return Prediction(
        **{name: column.reshape(shape) for name, column in columns.items()},
        **{name: column[owner] for name, column in known.items()},
        level=config.level,
        tolerance=np.full(n, config.tolerance),
        symbols=curves.symbols[owner],
        capital=points.reshape(shape),
        _marginals=functools.partial(marginals, curves, owner, points, config.level, shape),
    )


def _predict_block(
    block: Sequence[_Piece],
    curves: CurveSet,
    given: Floats,
    columns: Mapping[str, npt.NDArray[Any]],
    known: Mapping[str, npt.NDArray[Any]],
    config: EngineConfig,
) -> None:
    """Predict some pieces in one call, which takes a rectangle: short rows are filled up with an allowed capital."""
    rows = np.zeros((len(block), max(end - begin for _, begin, end in block)))
    for row, (_, begin, end) in zip(rows, block, strict=True):
        row[: end - begin] = given[begin:end]
    at = curves[[k for k, _, _ in block]].predict(rows, level=config.level, tolerance=config.tolerance)
    for name, column in columns.items():
        for row, (_, begin, end) in zip(getattr(at, name), block, strict=True):
            column[begin:end] = row[: end - begin]
    for name, column in known.items():
        column[[k for k, _, _ in block]] = getattr(at, name)


def _blocks(counts: npt.NDArray[np.int64]) -> list[list[_Piece]]:
    """Cut points that lie curve by curve into blocks of a few thousand, of pieces of about equal length."""
    ends = np.cumsum(counts).tolist()
    pieces = [
        (k, begin, min(begin + _BLOCK, end))
        for k, (end, count) in enumerate(zip(ends, counts.tolist(), strict=True))
        for begin in range(end - count, end, _BLOCK)
    ]
    pieces.sort(key=lambda piece: piece[1] - piece[2])
    blocks: list[list[_Piece]] = []
    width = 0
    for piece in pieces:
        size = piece[2] - piece[1]
        if not blocks or 2 * size < width or (len(blocks[-1]) + 1) * width > _BLOCK:
            blocks.append([])
            width = size
        blocks[-1].append(piece)
    return blocks
