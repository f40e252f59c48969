"""What an engine answers."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from escala.allocation.result import Allocation
from escala.arrays import Floats


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
        When the records of the model were read, UTC: it knows those that were kept by then. Where the store cannot be
        written to, models are trained in memory alone.
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
        Capital now, at the optimum net of what trading costs, and the difference: positive is to be bought.
    drift : float
        Share of the total, or of what is held if that is more, that would change its place, cash included.
    threshold : float
        The drift above which it is worth it (`rebalance_threshold`).
    worth_it : bool
        Whether the drift exceeds it and anything is gained.
    gain : float
        Utility of the target less that of what is held and what the trades cost. Capital that becomes cash counts as
        what it is, cash that was idle before as nothing; with `hurdle` all cash counts as `hurdle` a unit.
    cost : float
        What the trades cost.
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
    cost: float
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
        Number of the training; 0 if it could not be kept, or that of the last one that was.
    trained_at : datetime
        UTC.
    stale : bool
        Whether there are records that it has not seen; they are on the next use.
    family, status : str
    params : tuple of float
    n_points : int
    set_aside : int
        Records that were left out as absurd.
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
    params: tuple[float, ...]
    n_points: int
    set_aside: int
    r_squared: float
    rmse: float
    lack_of_fit: float
    observed: tuple[float, float]
    saturation: float
    capacity: float
