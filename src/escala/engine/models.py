"""The models that an engine answers from, and its answers."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import parallel
from escala.allocation.result import Allocation
from escala.arrays import FloatLike, Floats, check_interval, to_floats
from escala.curves.curveset import CurveSet
from escala.curves.prediction import Prediction
from escala.engine.config import FROM_ZERO, EngineConfig
from escala.errors import CurveError

#: Columns of numbers in a prediction.
_PREDICTED: Final = ("efficiency", "low", "high", "confidence")

#: Points that one call of :meth:`CurveSet.predict` is given: its arrays fit into the cache.
_BLOCK: Final = 16384


@dataclass(frozen=True, slots=True)
class EfficiencyPrediction:
    """What a new observation will be; as one element of :class:`escala.Prediction`.

    Attributes
    ----------
    symbol : str
    capital : float
    efficiency, low, high : float
        The curve and its prediction interval; NaN, 0 and 1 where the records give no curve.
    confidence : float
        Probability that a new observation lies within the tolerance of `efficiency`.
    family : str
        Of the curve.
    extrapolated : bool
        Whether the capital lies outside the observed ones.
    as_of : datetime
        When the model was trained, UTC.
    """

    symbol: str
    capital: float
    efficiency: float
    low: float
    high: float
    confidence: float
    family: str
    extrapolated: bool
    as_of: datetime.datetime


@dataclass(frozen=True)
class RebalancePlan:
    """From what is held to what should be.

    Attributes
    ----------
    symbols : tuple of str
    current, target, trades : (n,) float64
        Capital now, at the optimum, and the difference: positive is to be bought.
    drift : float
        Share of the total, or of what is held if that is more, that would change its place, cash included.
    threshold : float
        The drift from which on it is worth it (`rebalance_threshold`).
    worth_it : bool
        Whether the drift exceeds it.
    gain : float
        Utility of the target less that of what is held.
    allocation : Allocation
        The target with its bound and reasons.
    """

    symbols: tuple[str, ...]
    current: Floats
    target: Floats
    trades: Floats
    drift: float
    threshold: float
    worth_it: bool
    gain: float
    allocation: Allocation

    def to_dict(self) -> dict[str, float]:
        """Give symbol → trade."""
        return dict(zip(self.symbols, self.trades.tolist(), strict=True))


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a symbol's model.

    Attributes
    ----------
    symbol : str
    version : int
        Number of the training.
    trained_at : datetime
        UTC.
    stale : bool
        Whether there are records that it has not seen; they are on the next use.
    family, status : str
    params : tuple of float
    n_points : int
    r_squared, rmse, lack_of_fit : float
    observed : tuple of float
        Smallest and largest capital seen.
    saturation, capacity : float
        inf: not within the curve's limit.
    """

    symbol: str
    version: int
    trained_at: datetime.datetime
    stale: bool
    family: str
    status: str
    params: tuple[float, float, float]
    n_points: int
    r_squared: float
    rmse: float
    lack_of_fit: float
    observed: tuple[float, float]
    saturation: float
    capacity: float


@dataclass
class Models:
    """The current model of every symbol."""

    curves: CurveSet
    version: npt.NDArray[np.int64]
    seen: npt.NDArray[np.int64]  # highest record of the training
    trained_at: npt.NDArray[np.datetime64]
    saturation: Floats
    capacity: Floats
    place: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.place = {symbol: k for k, symbol in enumerate(self.curves.symbols.tolist())}

    def newer_in(self, other: Models) -> list[int]:
        """Find the places of the models in `other` that are newer than those here, or not here at all."""
        return [
            k
            for k, (symbol, version) in enumerate(zip(other.place, other.version.tolist(), strict=True))
            if symbol not in self.place or version > self.version[self.place[symbol]]
        ]

    def replaced(self, other: Models, chosen: list[int]) -> Models:
        """Give these models, with the chosen ones of `other` in place of those of the same symbols."""
        symbols = other.curves.symbols[chosen].tolist()
        kept = np.setdiff1d(np.arange(len(self.place)), [self.place[name] for name in symbols if name in self.place])
        return Models(
            curves=CurveSet.concatenate([self.curves[kept], other.curves[chosen]]),
            **{
                name: np.concatenate([getattr(self, name)[kept], getattr(other, name)[chosen]])
                for name in ("version", "seen", "trained_at", "saturation", "capacity")
            },
        )


def no_models() -> Models:
    """Begin with nothing."""
    nothing = CurveSet.from_params([], "linear", np.zeros((0, 2)))
    none = np.zeros(0, dtype=np.int64)
    return Models(nothing, none, none, np.zeros(0, dtype="datetime64[us]"), np.zeros(0), np.zeros(0))


def points_of(capital: FloatLike, n: int) -> tuple[Floats, tuple[int, ...]]:
    """Bring capital to (n, m), with the shape of the result, as :meth:`CurveSet.predict` would."""
    given = to_floats("capital", capital, CurveError)
    check_interval("capital", given, FROM_ZERO, CurveError)
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
    blocks = _blocks(np.bincount(owner, minlength=len(curves)) * m)

    def predict_block(block: Sequence[tuple[int, int, int]]) -> None:
        # A rectangle costs one call: short rows are filled up with a capital that is always allowed.
        rows = np.zeros((len(block), max(end - begin for _, begin, end in block)))
        for row, (_, begin, end) in zip(rows, block, strict=True):
            row[: end - begin] = given[begin:end]
        at = curves[[k for k, _, _ in block]].predict(rows, level=config.level, tolerance=config.tolerance)
        for name, column in columns.items():
            for row, (_, begin, end) in zip(getattr(at, name), block, strict=True):
                column[begin:end] = row[: end - begin]

    def make_part() -> parallel.Part:
        def part(start: int, stop: int) -> Iterator[None]:
            for block in blocks[start:stop]:
                predict_block(block)
                yield

        return part

    parallel.run(make_part, len(blocks), chunk=1, threads=parallel.checked_threads(config.threads, CurveError))
    if len(curves) < n:
        back = np.empty_like(order)
        back[order] = np.arange(n)
        columns = {name: column.reshape(n, m).take(back, axis=0) for name, column in columns.items()}
    return Prediction(
        **{name: column.reshape(shape) for name, column in columns.items()},
        level=config.level,
        tolerance=np.full(n, config.tolerance),
    )


def _blocks(counts: npt.NDArray[np.int64]) -> list[list[tuple[int, int, int]]]:
    """Cut points that lie curve by curve into blocks of a few thousand: (curve, begin, end) of about equal length."""
    ends = np.cumsum(counts).tolist()
    pieces = [
        (k, begin, min(begin + _BLOCK, end))
        for k, (end, count) in enumerate(zip(ends, counts.tolist(), strict=True))
        for begin in range(end - count, end, _BLOCK)
    ]
    pieces.sort(key=lambda piece: piece[1] - piece[2])
    blocks: list[list[tuple[int, int, int]]] = []
    width = 0
    for piece in pieces:
        size = piece[2] - piece[1]
        if not blocks or 2 * size < width or (len(blocks[-1]) + 1) * width > _BLOCK:
            blocks.append([])
            width = size
        blocks[-1].append(piece)
    return blocks


def utc(moment: np.datetime64) -> datetime.datetime:
    """Give a moment its time zone."""
    found: datetime.datetime = moment.astype("datetime64[us]").astype(datetime.datetime)
    return found.replace(tzinfo=datetime.UTC)
