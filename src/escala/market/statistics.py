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

#: Outputs of which means are given: all that are no codes.
AVERAGED: Final = (*(row.name for row in tables.MARKET_OUTPUTS if row.unit != "code"), "return")
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


def moments_of(table: Floats) -> Floats:
    """Give count, mean and sum of squared deviations of the finite values of each row of a table."""
    from escala.kernels import accumulate

    blocks = -(-table.shape[1] // accumulate.BLOCK)
    found = np.empty((len(table) * blocks, len(accumulate.MOMENTS)))
    accumulate.moments(table, found, np.empty(accumulate.WORK_SIZE), 0, len(table))
    return merged(found.reshape(len(table), blocks, -1)[:, :, :3].swapaxes(0, 1))


def errors_of(table: Floats, sampling: Sampling) -> Floats:
    """Give the standard error of each row's mean: that of means over what is independent; of finite values alone."""
    per = sampling.per_unit
    if per == 1:
        found = moments_of(table)
    else:
        units = table.reshape(len(table) * (table.shape[1] // per), per)
        means = moments_of(np.ascontiguousarray(units))
        averages = np.where(means[:, 0] > 0.0, means[:, 1], math.nan)
        found = moments_of(np.ascontiguousarray(averages.reshape(len(table), -1)))
    count, squares = found[:, 0], found[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 1.0, np.sqrt(squares / (count - 1.0) / count), math.nan)


def rank_of(share: float, count: int) -> int:
    """Give which of `count` values in rising order a quantile is: the ⌈share·count⌉-th, from 0."""
    return min(count, max(1, math.ceil(share * count))) - 1


def wilson(share: float, count: int, level: float) -> tuple[float, float]:
    """Give Wilson's interval of a probability that was seen as a share.

    References
    ----------
    Wilson: Probable inference, the law of succession, and statistical inference. JASA 22, 1927.
    """
    z = NormalDist().inv_cdf(0.5 + 0.5 * level)
    middle = (share + z * z / (2.0 * count)) / (1.0 + z * z / count)
    half = z * math.sqrt(share * (1.0 - share) / count + z * z / (4.0 * count * count)) / (1.0 + z * z / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def describe(
    into: Statistics, i: int, rows: Floats, sampling: Sampling, level: float, quantiles: tuple[float, ...]
) -> None:
    """Work out the statistics of one parameter set from its outputs, (outputs, paths)."""
    o = layout.market_output
    start, end = rows[o.START_EQUITY], rows[o.END_EQUITY]
    with np.errstate(divide="ignore", invalid="ignore"):
        returned = np.where(start > 0.0, end / start - 1.0, math.nan)
    first = rows[o.FIRST_LIQUIDATION]
    table = np.empty((len(AVERAGED) + len(PROBABILITIES), rows.shape[1]))
    for k, name in enumerate(AVERAGED[:-1]):
        table[k] = rows[getattr(o, name.upper())]
    table[AVERAGED.index("first_liquidation")] = np.where(first < 0.0, math.inf, first)
    table[len(AVERAGED) - 1] = returned
    table[len(AVERAGED)] = first >= 0.0
    table[len(AVERAGED) + 1] = end <= 0.0
    found, errors = moments_of(table), errors_of(table, sampling)
    for k, name in enumerate(AVERAGED):
        count = float(found[k, 0])
        into.finite[name][i] = int(count)
        into.mean[name][i] = found[k, 1] if count else math.nan
        into.sd[name][i] = math.sqrt(found[k, 2] / (count - 1.0)) if count > 1.0 else math.nan
        into.error[name][i] = errors[k]
    for k, name in enumerate(PROBABILITIES, start=len(AVERAGED)):
        _describe_share(into, i, name, float(found[k, 1]), float(errors[k]), sampling, level)
    for name in RANKED:
        values = np.sort(table[AVERAGED.index(name)])  # NaN at the end, as inf
        into.quantiles[name][i] = [values[rank_of(q, values.size)] for q in quantiles]
    _describe_tail(into, i, start - end, sampling, level)


def _describe_share(
    into: Statistics, i: int, name: str, share: float, error: float, sampling: Sampling, level: float
) -> None:
    into.probability[name][i] = share
    into.error[name][i] = error
    if sampling.kind == "random":
        low, high = wilson(share, sampling.paths, level)
    else:
        reach = NormalDist().inv_cdf(0.5 + 0.5 * level) * error
        low, high = max(0.0, share - reach), min(1.0, share + reach)
    into.probability_low[name][i], into.probability_high[name][i] = low, high


def _describe_tail(into: Statistics, i: int, loss: Floats, sampling: Sampling, level: float) -> None:
    """Give the value at risk and the mean of what is beyond it, of the loss of equity.

    References
    ----------
    Rockafellar, Uryasev: Optimization of conditional value-at-risk. Journal of Risk 2, 2000.
    """
    m = loss.size
    rank = rank_of(level, m)
    ordered = np.sort(loss)
    var = float(ordered[rank])
    beyond = np.ascontiguousarray(ordered[rank + 1 :])
    total = float(moments_of(beyond[None, :])[0, 1]) * beyond.size if beyond.size else 0.0
    into.var[i] = var
    into.cvar[i] = (total + ((rank + 1) - level * m) * var) / ((1.0 - level) * m)
    excess = np.maximum(loss - var, 0.0) / (1.0 - level)
    into.cvar_error[i] = errors_of(excess[None, :], sampling)[0]
