"""What many paths say of a parameter set: means with their errors, quantiles, tails."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import tables
from escala.arrays import Floats
from escala.moments import merged
from escala.tables import FRACTION, Quantity

Integers = npt.NDArray[np.int64]

#: What is worked out of each path beside the outputs, and from which of them; then what is so of a path or not.
DERIVED: Final[Mapping[str, tuple[Quantity, tuple[str, ...]]]] = {
    "return": (Quantity("return", "End equity over start equity, less 1", "ratio"), ("start_equity", "end_equity")),
    "equity_in_asset": (
        Quantity("equity_in_asset", "End equity in units of the first asset, at its end price", "amount"),
        ("end_equity", "end_price"),
    ),
}
SHARES: Final[Mapping[str, tuple[Quantity, tuple[str, ...]]]] = {
    "liquidation_probability": (
        Quantity("liquidation_probability", "Share of paths with at least one liquidation", "fraction", FRACTION),
        ("first_liquidation",),
    ),
    "ruin_probability": (
        Quantity("ruin_probability", "Share of paths that end with no equity", "fraction", FRACTION),
        ("end_equity",),
    ),
}
_SOURCES: Final = {name: sources for name, (_, sources) in (*DERIVED.items(), *SHARES.items())}
#: Outputs of which means are given: all that are no codes.
AVERAGED: Final = (*(row.name for row in tables.MARKET_OUTPUTS if row.unit != "code"), *DERIVED)
#: Those of which there are quantiles too.
RANKED: Final = ("end_equity", "return", "lowest_health", "first_liquidation")
#: Shares of paths.
PROBABILITIES: Final = tuple(SHARES)
#: Averaged outputs that a path may not have: of them it is told how many paths do.
PARTIAL: Final = ("health", "lowest_health", "first_liquidation", "return")
_MANY: Final = 30  # paths that have something, and that do not, from which on its share is about normal
#: Statistics of the tail of losses.
TAIL: Final = ("var", "cvar", "cvar_error")


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

    def by_name(self, levels: tuple[float, ...]) -> dict[str, npt.NDArray[Any]]:
        """Give all of them by name, (n,) each: ``end_equity_mean``, ``end_equity_error``, ``end_equity_q5``."""
        found: dict[str, npt.NDArray[Any]] = {}
        for name in PROBABILITIES:
            found |= {name: self.probability[name], f"{name}_error": self.error[name]}
            found |= {f"{name}_low": self.probability_low[name], f"{name}_high": self.probability_high[name]}
        for name in AVERAGED:
            found |= {f"{name}_mean": self.mean[name], f"{name}_sd": self.sd[name], f"{name}_error": self.error[name]}
        found |= {f"{name}_finite": self.finite[name] for name in PARTIAL}
        for name in RANKED:
            found |= {quantile_name(name, q): self.quantiles[name][:, k] for k, q in enumerate(levels)}
        return {**found, "var": self.var, "cvar": self.cvar, "cvar_error": self.cvar_error}


def quantile_name(name: str, q: float) -> str:
    """Name a quantile of an output: ``end_equity_q5``."""
    return f"{name}_q{100.0 * q:g}"


@dataclass(frozen=True)
class Wanted:
    """Which statistics are worked out; the others stay NaN, or 0.

    Attributes
    ----------
    averaged, probabilities, ranked : tuple of str
        Outputs of which means are wanted, shares of paths, and outputs of which quantiles are.
    tail : bool
        Whether `var`, `cvar` and its error are.
    """

    averaged: tuple[str, ...] = AVERAGED
    probabilities: tuple[str, ...] = PROBABILITIES
    ranked: tuple[str, ...] = RANKED
    tail: bool = True

    @classmethod
    def of(cls, names: Iterable[str], levels: tuple[float, ...]) -> Wanted:
        """Find what statistics of these names need."""
        given = frozenset(names)

        def asked(known: tuple[str, ...], *ends: str) -> tuple[str, ...]:
            return tuple(name for name in known if any(f"{name}{end}" in given for end in ends))

        return cls(
            asked(AVERAGED, "_mean", "_sd", "_error", "_finite"),
            asked(PROBABILITIES, "", "_error", "_low", "_high"),
            asked(RANKED, *(quantile_name("", q) for q in levels)),
            not given.isdisjoint(TAIL),
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """Outputs of paths that all this is worked out from."""
        needed = {source for name in (*self.averaged, *self.probabilities) for source in _SOURCES.get(name, (name,))}
        needed |= {source for name in self.ranked for source in _SOURCES.get(name, (name,))}
        needed |= {"start_equity", "end_equity"} if self.tail else set()
        return tuple(name for name in tables.names(tables.MARKET_OUTPUTS) if name in needed)


EVERYTHING: Final = Wanted()


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


def wilson(share: Floats | float, count: Floats | int, level: float) -> tuple[Any, Any]:
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
    into: Statistics,
    places: Integers,
    rows: Mapping[str, Floats],
    sampling: Sampling,
    level: float,
    quantiles: tuple[float, ...],
    wanted: Wanted = EVERYTHING,
) -> None:
    """Work out the statistics of some parameter sets.

    Parameters
    ----------
    into : Statistics
        Where they go.
    places : (k,) int64
        Which parameter sets they are.
    rows : mapping of str to (k, at least paths) float64
        What the kernel wrote of them, by the names of outputs; ``wanted.sources`` at least.
    wanted : Wanted
        What is worked out.
    """
    derived = _derived(rows, sampling.paths, wanted)
    for name in (*wanted.averaged, *wanted.probabilities):
        table = derived[name] if name in derived else rows[name]
        found = moments_of(table, sampling.paths)
        into.error[name][places] = errors_of(table, sampling, found)
        if name in PROBABILITIES:
            into.probability[name][places] = found[:, 1]
        else:
            _describe_mean(into, name, places, found)
    for name in wanted.probabilities:
        share, error = into.probability[name][places], into.error[name][places]
        low, high = _interval(share, error, sampling, level)
        into.probability_low[name][places], into.probability_high[name][places] = low, high
    if wanted.tail or not {"end_equity", "return"}.isdisjoint(wanted.ranked):
        _describe_equity(into, places, rows, sampling, level, quantiles, wanted)
    for name in ("lowest_health", "first_liquidation"):
        if name in wanted.ranked:
            ranks = [rank_of(q, sampling.paths) for q in quantiles]
            values = derived.get(name, rows[name][:, : sampling.paths])
            into.quantiles[name][places] = np.partition(values, sorted(set(ranks)), axis=1)[:, ranks]


def _derived(rows: Mapping[str, Floats], m: int, wanted: Wanted) -> dict[str, Floats]:
    """Give what the kernel does not write of each path, as far as it is wanted."""
    asked = {*wanted.averaged, *wanted.probabilities, *wanted.ranked}
    found: dict[str, Floats] = {}
    if "return" in asked:
        start, end = rows["start_equity"][:, :m], rows["end_equity"][:, :m]
        with np.errstate(divide="ignore", invalid="ignore"):
            found["return"] = np.where(start > 0.0, end / start - 1.0, math.nan)
    if "equity_in_asset" in asked:
        found["equity_in_asset"] = rows["end_equity"][:, :m] / rows["end_price"][:, :m]
    if "first_liquidation" in asked:
        first = rows["first_liquidation"][:, :m]
        found["first_liquidation"] = np.where(first < 0.0, math.inf, first)
    if "liquidation_probability" in asked:
        found["liquidation_probability"] = (rows["first_liquidation"][:, :m] >= 0.0).astype(np.float64)
    if "ruin_probability" in asked:
        found["ruin_probability"] = (rows["end_equity"][:, :m] <= 0.0).astype(np.float64)
    return found


def _describe_mean(into: Statistics, name: str, places: Integers, found: Floats) -> None:
    count = found[:, 0]
    into.finite[name][places] = count.astype(np.int64)
    into.mean[name][places] = np.where(count > 0.0, found[:, 1], math.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        into.sd[name][places] = np.where(count > 1.0, np.sqrt(found[:, 2] / (count - 1.0)), math.nan)


def _interval(share: Floats, error: Floats, sampling: Sampling, level: float) -> tuple[Floats, Floats]:
    """Give intervals of probabilities: see :meth:`escala.MarketResult.interval`."""
    m = sampling.paths
    if sampling.kind == "random":
        return wilson(share, m, level)
    told = error > 0.0
    # units that are alike on purpose tell little of a rare thing: it is never believed that they are worth more paths
    worth = np.divide(share * (1.0 - share), error * error, out=np.full(share.shape, float(m)), where=told)
    low, high = wilson(share, np.clip(worth, 1.0, float(m)), level)
    reach = _student(max(1, m // sampling.per_unit - 1), level) * error + 0.5 / m
    trusted = told & (np.minimum(share, 1.0 - share) * m >= _MANY)
    low = np.where(trusted, np.maximum(0.0, share - reach), low)
    return low, np.where(trusted, np.minimum(1.0, share + reach), high)


def _student(df: int, level: float) -> float:
    from escala.kernels.distributions import quantiles

    found = np.empty(1)
    quantiles(np.array([float(df)]), level, found, 0, 1)
    return float(found[0])


def _describe_equity(
    into: Statistics,
    places: Integers,
    rows: Mapping[str, Floats],
    sampling: Sampling,
    level: float,
    quantiles: tuple[float, ...],
    wanted: Wanted,
) -> None:
    """Give quantiles of what is left, value at risk and the mean of what is beyond it, of the loss of equity.

    Equity at the start is one number a parameter set, so that losses and returns are in the order of what is left.

    References
    ----------
    Rockafellar, Uryasev: Optimization of conditional value-at-risk. Journal of Risk 2, 2000.
    """
    m = sampling.paths
    ends = np.sort(rows["end_equity"][:, :m], axis=1)
    left = ends[:, [rank_of(q, m) for q in quantiles]]
    if "end_equity" in wanted.ranked:
        into.quantiles["end_equity"][places] = left
    if "return" in wanted.ranked:
        start = rows["start_equity"][:, :1]
        with np.errstate(divide="ignore", invalid="ignore"):
            into.quantiles["return"][places] = np.where(start > 0.0, left / start - 1.0, math.nan)
    if wanted.tail:
        _describe_tail(into, places, rows, ends, sampling, level)


def _describe_tail(
    into: Statistics, places: Integers, rows: Mapping[str, Floats], ends: Floats, sampling: Sampling, level: float
) -> None:
    m = sampling.paths
    start, rank = rows["start_equity"][:, :1], rank_of(level, m)
    losses = np.ascontiguousarray((start - ends)[:, ::-1])
    var = losses[:, rank]
    beyond = np.ascontiguousarray(losses[:, rank + 1 :])
    total = moments_of(beyond)[:, 1] * beyond.shape[1] if beyond.shape[1] else np.zeros(len(losses))
    into.var[places] = var
    into.cvar[places] = (total + ((rank + 1) - level * m) * var) / ((1.0 - level) * m)
    excess = np.maximum((start - rows["end_equity"][:, :m]) - var[:, None], 0.0) / (1.0 - level)
    into.cvar_error[places] = errors_of(excess, sampling)
