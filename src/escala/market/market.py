"""A market: assets and how their prices move, the interest on the debt, and how time passes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from escala import tables
from escala.arrays import (
    FloatLike,
    Floats,
    check_flag,
    check_interval,
    check_together,
    one_number,
    to_floats,
    whole_number,
)
from escala.errors import MarketError
from escala.market.fields import check_fields, code_of, floats
from escala.market.processes import GBM, OU, Bootstrap, Heston, Merton, Replay
from escala.tables import Interval, Table
from escala.text.tables import documented

_LEAST_PIVOT = 1e-12  # of a correlation's Cholesky factor
_MOST_GROWTH = 50.0  # of rate times years: e⁵⁰ is beyond any debt
_DT = Interval(0.0, tables.MOST_YEARS * tables.YEAR, low_open=True)


@documented(fields=tables.FIXED_RATE_FIELDS)
@dataclass(frozen=True, eq=False)
class FixedRate:
    """One borrow rate for the whole time.

    Parameters
    ----------
    {fields}
    compounding : {{"taylor", "continuous", "binomial", "linear"}}
        How the rate becomes growth in a step: Aave v3.7 and Morpho; exact; Aave v3.0; Comet.
    """

    rate: FloatLike
    compounding: str = "taylor"
    rows: ClassVar[Table] = tables.FIXED_RATE_FIELDS

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, self.rows)
        code_of("compounding", self.compounding, tables.COMPOUNDING)

    @property
    def moves(self) -> bool:
        """Tell whether the rate differs between paths."""
        return False


@documented(fields=tables.KINKED_RATE_FIELDS)
@dataclass(frozen=True, eq=False)
class KinkedRate:
    """A borrow rate that follows the usage of what can be borrowed, with a kink at the optimum.

    Parameters
    ----------
    {fields}
    compounding : {{"taylor", "continuous", "binomial", "linear"}}
        As in :class:`FixedRate`.

    Notes
    -----
    The rate is base + slope1·usage/optimal up to the optimum, base + slope1 + slope2·(usage − optimal)/(1 − optimal)
    beyond it. Without `usage_reversion` the usage stays where it is; with it, it is an Ornstein–Uhlenbeck process that
    is clipped to [0, 1] where it is used, and `usage_mean` and `usage_sigma` are needed.
    """

    base: FloatLike
    slope1: FloatLike
    slope2: FloatLike
    optimal: FloatLike
    usage: FloatLike
    usage_mean: FloatLike | None = None
    usage_reversion: FloatLike | None = None
    usage_sigma: FloatLike | None = None
    compounding: str = "taylor"
    rows: ClassVar[Table] = tables.KINKED_RATE_FIELDS

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, self.rows, optional=("usage_mean", "usage_reversion", "usage_sigma"))
        code_of("compounding", self.compounding, tables.COMPOUNDING)
        if self.usage_reversion is not None:
            for name in ("usage_mean", "usage_sigma"):
                if getattr(self, name) is None:
                    message = f"usage_reversion makes the usage move: it needs {name}"
                    raise MarketError(message, arguments=("usage_reversion", name))

    @classmethod
    def comet(cls, base: FloatLike, low: FloatLike, high: FloatLike, kink: FloatLike, **fields: Any) -> KinkedRate:
        """Make the rate of Compound III, whose slopes are rates a unit of usage.

        Parameters
        ----------
        base, low, high : float or array
            Rate at no usage, and slopes below and above the kink.
        kink : float or array
            Usage at the kink.
        **fields
            The other fields; `compounding` is ``"linear"`` unless given.

        Raises
        ------
        MarketError
            As on construction.
        """
        below, above, at = (
            to_floats(name, value, MarketError) for name, value in (("low", low), ("high", high), ("kink", kink))
        )
        given: dict[str, Any] = {"compounding": "linear", **fields}
        return cls(base=base, optimal=kink, slope1=(below * at)[()], slope2=(above * (1.0 - at))[()], **given)

    @property
    def moves(self) -> bool:
        """Tell whether the rate differs between paths."""
        return self.usage_reversion is not None


@documented(fields=tables.MARKET_ASSET)
@dataclass(frozen=True, eq=False)
class Asset:
    """An asset that serves as collateral.

    Parameters
    ----------
    {fields}
    process : GBM, Merton, OU or Heston, optional
        How its price moves; None where the market moves all assets together.
    oracle : {{"market", "index"}}
        What the protocol prices it by: its price, or its exchange rate, which the process does not move.
    """

    price: FloatLike
    process: GBM | Merton | OU | Heston | None = None
    supply_yield: FloatLike = 0.0
    oracle: str = "market"
    rows: ClassVar[Table] = tables.MARKET_ASSET

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, self.rows)
        code_of("oracle", self.oracle, tables.ORACLES)
        if self.process is not None and not isinstance(self.process, GBM | Merton | OU | Heston):
            message = f"process must be a GBM, Merton, OU or Heston, not {self.process!r}"
            raise MarketError(message, arguments=("process",))


@dataclass(frozen=True, eq=False)
class Market:
    """What a position lives through: one debt asset is the unit of account of all prices.

    Parameters
    ----------
    assets : Asset or sequence of Asset
        At most 8.
    rate : FixedRate or KinkedRate
        Interest on the debt.
    dt : float
        Seconds a step, above 0; dt·steps is at most 100 years.
    steps : int
        Number of steps, at most 2²².
    correlation : (A, A) array_like, optional
        Of the assets' normals; symmetric, ones on the diagonal, positive definite.
    joint : Bootstrap or Replay, optional
        Moves all assets together, in place of their processes.
    barrier : bool
        Watch the low within each step too: liquidation acts on the way down.

    Raises
    ------
    MarketError
        If a value is out of range or two of them contradict each other; names them.

    Notes
    -----
    The low of a step meets the debt and the yield of the step's end, so probabilities of liquidation are off by one
    step's interest, too high by that of the debt, too low by that of the supply: with high rates take shorter steps.

    Prices are exponentials of their logarithms, so that a price that does not move may be off in its last digit, and a
    health factor of exactly 1 may be 1 − 2e-16 and count as below 1. The logarithm of a price over its start is held
    within ±300 where the price is made of it (the logarithm itself moves on): a price never exceeds e³⁰⁰ times its
    start, some 2e130, nor falls below that part of it. Where the first asset ends there, it is warned of.
    """

    assets: Sequence[Asset]
    rate: FixedRate | KinkedRate
    dt: float
    steps: int
    correlation: Any = None
    joint: Bootstrap | Replay | None = None
    barrier: bool = False

    def __post_init__(self) -> None:
        """Check everything that holds before a position is known."""
        assets = self._listed()
        object.__setattr__(self, "assets", assets)
        if not 1 <= len(assets) <= tables.MOST_ASSETS:
            message = f"assets must be 1 to {tables.MOST_ASSETS}, not {len(assets)}"
            raise MarketError(message, arguments=("assets",))
        for j, asset in enumerate(assets):
            if not isinstance(asset, Asset):
                message = f"assets must be of type Asset, but assets[{j}] = {asset!r}"
                raise MarketError(message, arguments=("assets",), indexes=((j,),))
        if not isinstance(self.rate, FixedRate | KinkedRate):
            raise MarketError(f"rate must be a FixedRate or a KinkedRate, not {self.rate!r}", arguments=("rate",))
        object.__setattr__(self, "dt", one_number("dt", self.dt, _DT, MarketError))
        object.__setattr__(self, "steps", whole_number("steps", self.steps, 1, tables.MOST_STEPS, MarketError))
        if self.years > tables.MOST_YEARS:
            message = f"steps·dt must be at most {tables.MOST_YEARS:g} years, but it is {self.years:g}"
            raise MarketError(message, arguments=("steps", "dt"))
        object.__setattr__(self, "barrier", check_flag("barrier", self.barrier, MarketError))
        self._check_processes()
        self._check_rates()
        if self.correlation is not None:
            object.__setattr__(self, "correlation", self._checked_correlation())

    def _listed(self) -> tuple[Any, ...]:
        if isinstance(self.assets, Asset):
            return (self.assets,)
        if isinstance(self.assets, str) or not isinstance(self.assets, Iterable):
            message = f"assets must be an Asset or a sequence of them, not {self.assets!r}"
            raise MarketError(message, arguments=("assets",))
        return tuple(self.assets)

    def _check_processes(self) -> None:
        if self.joint is not None:
            if not isinstance(self.joint, Bootstrap | Replay):
                raise MarketError(f"joint must be a Bootstrap or a Replay, not {self.joint!r}", arguments=("joint",))
            if self.joint.table.shape[1] != len(self.assets):
                columns = self.joint.table.shape[1]
                message = f"joint has {columns} columns, and there are {len(self.assets)} assets"
                raise MarketError(message, arguments=("joint", "assets"))
            return
        for j, asset in enumerate(self.assets):
            if asset.process is None:
                message = f"assets[{j}] must have a process, or the market a joint one"
                raise MarketError(message, arguments=("assets",), indexes=((j,),))
            if isinstance(asset.process, Merton):
                most = Interval(0.0, 1.0 / self.step_years)
                rate = to_floats("jump_rate", asset.process.jump_rate, MarketError)
                allowed = f"jump_rate must be {most}, a jump a step at most"
                check_together({"jump_rate": rate}, most.contains, allowed, MarketError)

    def _check_rates(self) -> None:
        years = max(self.years, _MOST_GROWTH / tables.RATE.high)  # no rate in range is too much for less
        most = Interval(-_MOST_GROWTH / years, _MOST_GROWTH / years)
        for name in ("rate", "base", "slope1", "slope2"):
            if getattr(self.rate, name, None) is not None:
                check_interval(name, to_floats(name, getattr(self.rate, name)), most, MarketError)
        for asset in self.assets:
            check_interval("supply_yield", to_floats("supply_yield", asset.supply_yield), most, MarketError)

    def _checked_correlation(self) -> Floats:
        given = to_floats("correlation", self.correlation, MarketError)
        count = len(self.assets)
        if given.shape != (count, count):
            message = f"correlation of shape {given.shape} must have the shape ({count}, {count})"
            raise MarketError(message, arguments=("correlation", "assets"))
        for i in range(count):
            for j in range(count):
                value, other = float(given[i, j]), float(given[j, i])
                message = ""
                if i == j and value != 1.0:
                    message = f"correlation must have ones on its diagonal, but correlation[{i}, {i}] = {value!r}"
                elif not -1.0 <= value <= 1.0:
                    message = f"correlation must be in [-1, 1], but correlation[{i}, {j}] = {value!r}"
                elif value != other:
                    message = f"correlation must be symmetric, but [{i}, {j}] = {value!r} and [{j}, {i}] = {other!r}"
                if message:
                    raise MarketError(message, arguments=("correlation",), indexes=((i, j),))
        kept = given.copy()
        kept.flags.writeable = False
        cholesky(kept)
        return kept

    @property
    def step_years(self) -> float:
        """Years of 365 days a step."""
        return self.dt / tables.YEAR

    @property
    def years(self) -> float:
        """Years of 365 days in all."""
        return self.steps * self.dt / tables.YEAR

    def numbers(self) -> dict[str, Floats]:
        """Give all fields that may differ between parameter sets, by name: ``sigma of assets[0]``."""
        found = floats(self.rate, self.rate.rows)
        for j, asset in enumerate(self.assets):
            own = {**floats(asset, asset.rows), **(floats(asset.process, asset.process.rows) if asset.process else {})}
            found |= {f"{name} of assets[{j}]": array for name, array in own.items()}
        return found


def cholesky(correlation: Floats) -> Floats:
    """Factor a correlation matrix, row by row.

    Raises
    ------
    MarketError
        If a pivot is at most 1e-12: no normals are correlated so.
    """
    count = len(correlation)
    factor = np.zeros((count, count))
    for i in range(count):
        for j in range(i + 1):
            rest = float(correlation[i, j])
            for k in range(j):
                rest = rest - float(factor[i, k]) * float(factor[j, k])
            if i == j and not rest > _LEAST_PIVOT:
                message = f"correlation must be positive definite, but row {i} leaves {rest:g} of its variance"
                raise MarketError(message, arguments=("correlation",), indexes=((i, i),))
            factor[i, j] = math.sqrt(rest) if i == j else rest / float(factor[j, j])
    return factor
