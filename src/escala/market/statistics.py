"""What many paths say of a parameter set: means with their errors, quantiles, tails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from escala import tables
from escala.arrays import Floats
from escala.kernels import layout
from escala.moments import merged

Integers = npt.NDArray[np.int64]

#: Outputs of which means are given: all that are no codes.
AVERAGED: Final = (*(row.name for row in tables.MARKET_OUTPUTS if row.unit != "code"), "return", "equity_in_asset")
#: Those of which there are quantiles too.
RANKED: Final = ("end_equity", "return", "lowest_health", "first_liquidation")
#: Shares of paths.
PROBABILITIES: Final = ("liquidation_probability", "ruin_probability")


@dataclass(frozen=True)
class Sampling:
    """How paths belong together: an error is that of means over units that do not depend on each other.

    Attributes
    ----------
    kind : str
        ``random``, ``antithetic`` or ``sobol``.
    paths, replicates : int
        Number of paths; of replicates of a Sobol sequence.
    """

    kind: str
    paths: int
    replicates: int = 1

    @property
    def per_unit(self) -> int:
        """Paths whose mean is one independent number."""
        return {"random": 1, "antithetic": 2}.get(self.kind, self.paths // self.replicates)


@dataclass(frozen=True)
class Statistics:
    """Statistics of n parameter sets: ``mean[name]`` and so on are (n,), ``quantiles[name]`` (n, quantiles)."""

    mean: dict[str, Floats]
    sd: dict[str, Floats]
    error: dict[str, Floats]
    finite: dict[str, npt.NDArray[np.int64]]
    quantiles: dict[str, Floats]
    probability: dict[str, Floats]
    probability_low: dict[str, Floats]
    probability_high: dict[str, Floats]
    var: Floats
    cvar: Floats
    cvar_error: Floats

    @classmethod
    def of(cls, n: int, quantiles: int) -> Statistics:
        """Make room for n parameter sets."""

        def each(names: tuple[str, ...], *shape: int) -> dict[str, Floats]:
            return {name: np.full((n, *shape), math.nan) for name in names}

        with_shares = (*AVERAGED, *PROBABILITIES)
        return cls(
            mean=each(AVERAGED),
            sd=each(AVERAGED),
            error=each(with_shares),
            finite={name: np.zeros(n, dtype=np.int64) for name in AVERAGED},
            quantiles=each(RANKED, quantiles),
            probability=each(PROBABILITIES),
            probability_low=each(PROBABILITIES),
            probability_high=each(PROBABILITIES),
            var=np.full(n, math.nan),
            cvar=np.full(n, math.nan),
            cvar_error=np.full(n, math.nan),
        )


def moments_of(table: Floats, width: int | None = None) -> Floats:
    """Give count, mean and sum of squared deviations of the finite values of each row, (n, 3)."""
    from escala.kernels import accumulate

    width = table.shape[1] if width is None else width
    blocks = -(-width // accumulate.BLOCK)
    found = np.empty((len(table) * blocks, len(accumulate.MOMENTS)))
    accumulate.moments(table, width, found, np.empty(accumulate.WORK_SIZE), 0, len(table))
    return merged(found.reshape(len(table), blocks, -1)[:, :, :3].swapaxes(0, 1))


def _error(found: Floats) -> Floats:
    """Give the standard error of a mean from moments."""
    count, squares = found[:, 0], found[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 1.0, np.sqrt(squares / (count - 1.0) / count), math.nan)


def errors_of(table: Floats, sampling: Sampling, found: Floats | None = None) -> Floats:
    """Give the standard error of each row's mean: that of means over what is independent; of finite values alone.

    `found` are the moments of the rows, if they are known.
    """
    per, paths = sampling.per_unit, sampling.paths
    if per == 1:
        return _error(moments_of(table, paths) if found is None else found)
    units = np.ascontiguousarray(table[:, :paths]).reshape(len(table) * (paths // per), per)
    means = moments_of(units)
    averages = np.where(means[:, 0] > 0.0, means[:, 1], math.nan)
    return _error(moments_of(averages.reshape(len(table), -1)))


def rank_of(share: float, count: int) -> int:
    """Give which of `count` values in rising order a quantile is: the ⌈share·count⌉-th, from 0."""
    return min(count, max(1, math.ceil(share * count))) - 1


def wilson(share: Floats, count: int, level: float) -> tuple[Floats, Floats]:
    """Give Wilson's intervals of probabilities that were seen as shares.

    References
    ----------
    Wilson: Probable inference, the law of succession, and statistical inference. JASA 22, 1927.
    """
    z = NormalDist().inv_cdf(0.5 + 0.5 * level)
    middle = (share + z * z / (2.0 * count)) / (1.0 + z * z / count)
    half = z * np.sqrt(share * (1.0 - share) / count + z * z / (4.0 * count * count)) / (1.0 + z * z / count)
    return np.maximum(0.0, middle - half), np.minimum(1.0, middle + half)


def describe(
    into: Statistics, places: Integers, rows: Floats, sampling: Sampling, level: float, quantiles: tuple[float, ...]
) -> None:
    """Work out the statistics of some parameter sets.

    Parameters
    ----------
    into : Statistics
        Where they go.
    places : (k,) int64
        Which parameter sets they are.
    rows : (outputs, k, at least paths) float64
        What the kernel wrote of them.
    """
    o, m = layout.market_output, sampling.paths
    start, end, first = rows[o.START_EQUITY, :, :m], rows[o.END_EQUITY, :, :m], rows[o.FIRST_LIQUIDATION, :, :m]
    with np.errstate(divide="ignore", invalid="ignore"):
        returned = np.where(start > 0.0, end / start - 1.0, math.nan)
    derived = {
        "first_liquidation": np.where(first < 0.0, math.inf, first),
        "return": returned,
        "equity_in_asset": end / rows[o.END_PRICE, :, :m],
        "liquidation_probability": (first >= 0.0).astype(np.float64),
        "ruin_probability": (end <= 0.0).astype(np.float64),
    }
    for name in (*AVERAGED, *PROBABILITIES):
        table = derived[name] if name in derived else rows[getattr(o, name.upper())]
        found = moments_of(table, m)
        into.error[name][places] = errors_of(table, sampling, found)
        if name in PROBABILITIES:
            into.probability[name][places] = found[:, 1]
        else:
            _describe_mean(into, name, places, found)
    for name in PROBABILITIES:
        share, error = into.probability[name][places], into.error[name][places]
        low, high = _interval(share, error, sampling, level)
        into.probability_low[name][places], into.probability_high[name][places] = low, high
    _describe_ranks(into, places, derived["first_liquidation"], rows, sampling, level, quantiles)


def _describe_mean(into: Statistics, name: str, places: Integers, found: Floats) -> None:
    count = found[:, 0]
    into.finite[name][places] = count.astype(np.int64)
    into.mean[name][places] = np.where(count > 0.0, found[:, 1], math.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        into.sd[name][places] = np.where(count > 1.0, np.sqrt(found[:, 2] / (count - 1.0)), math.nan)


def _interval(share: Floats, error: Floats, sampling: Sampling, level: float) -> tuple[Floats, Floats]:
    if sampling.kind == "random":
        return wilson(share, sampling.paths, level)
    reach = NormalDist().inv_cdf(0.5 + 0.5 * level) * error
    return np.maximum(0.0, share - reach), np.minimum(1.0, share + reach)


def _describe_ranks(
    into: Statistics,
    places: Integers,
    first: Floats,
    rows: Floats,
    sampling: Sampling,
    level: float,
    quantiles: tuple[float, ...],
) -> None:
    """Give quantiles, value at risk and the mean of what is beyond it, of the loss of equity.

    Equity at the start is one number a parameter set, so that losses and returns are in the order of what is left.

    References
    ----------
    Rockafellar, Uryasev: Optimization of conditional value-at-risk. Journal of Risk 2, 2000.
    """
    o, m = layout.market_output, sampling.paths
    ranks = [rank_of(q, m) for q in quantiles]
    start, ends = rows[o.START_EQUITY, :, :1], np.sort(rows[o.END_EQUITY, :, :m], axis=1)
    left = ends[:, ranks]
    into.quantiles["end_equity"][places] = left
    with np.errstate(divide="ignore", invalid="ignore"):
        into.quantiles["return"][places] = np.where(start > 0.0, left / start - 1.0, math.nan)
    for name, values in (("lowest_health", rows[o.LOWEST_HEALTH, :, :m]), ("first_liquidation", first)):
        into.quantiles[name][places] = np.partition(values, sorted(set(ranks)), axis=1)[:, ranks] if ranks else left
    rank = rank_of(level, m)
    losses = np.ascontiguousarray((start - ends)[:, ::-1])
    var = losses[:, rank]
    beyond = np.ascontiguousarray(losses[:, rank + 1 :])
    total = moments_of(beyond)[:, 1] * beyond.shape[1] if beyond.shape[1] else np.zeros(len(losses))
    into.var[places] = var
    into.cvar[places] = (total + ((rank + 1) - level * m) * var) / ((1.0 - level) * m)
    excess = np.maximum((start - rows[o.END_EQUITY, :, :m]) - var[:, None], 0.0) / (1.0 - level)
    into.cvar_error[places] = errors_of(excess, sampling)
