"""How prices move: processes of one asset, and joint ones that move all assets together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from escala import tables
from escala.arrays import FloatLike, Floats, one_number, to_floats
from escala.errors import MarketError
from escala.market.fields import check_fields
from escala.tables import Interval, Table
from escala.text.tables import documented

_MOST_RETURN = 5.0  # of one step: a factor of 148
_LEAST_PRICES = 3
_MOST_ROUNDS = 10_000  # of the fit of jumps
_CONVERGED = 1e-10  # relative change of the log likelihood
_FAR = 2.5  # standard deviations from the mean beyond which a return is taken for a jump, to begin with
_RARE = 1e-6  # share of steps with a jump below which there is none
_JUMPS_COST = 3.0  # numbers of a jump: probability, mean, variance
_STEP = Interval(0.0, tables.MOST_YEARS * tables.YEAR, low_open=True)


def _log_returns(prices: Any, dt: Any) -> tuple[Floats, float]:
    """Give the log returns of a table of one asset, and the years of a step.

    Raises
    ------
    MarketError
        If it is no table of at least three prices above 0, or `dt` no number of seconds.
    """
    table = to_floats("prices", prices, MarketError)
    if table.ndim != 1 or table.size < _LEAST_PRICES:
        message = f"prices must be a list of at least {_LEAST_PRICES} numbers, not of shape {table.shape}"
        raise MarketError(message, arguments=("prices",))
    bad = np.flatnonzero(~((table > 0.0) & (table < np.inf)))
    if bad.size:
        first = int(bad[0])
        message = f"prices must be finite and above 0, but prices[{first}] = {float(table[first])!r}"
        raise MarketError(message, arguments=("prices",), indexes=((first,),))
    years = one_number("dt", dt, _STEP, MarketError) / tables.YEAR
    return np.diff(np.log(table)), years


@documented(fields=tables.GBM_FIELDS)
@dataclass(frozen=True, eq=False)
class GBM:
    """Geometric Brownian motion.

    Parameters
    ----------
    {fields}

    Notes
    -----
    ln P moves by (mu − sigma²/2)·h + sigma·√h·z in a step of h years: exact for any step, within e^±300 of its start
    (see :class:`Market`).
    """

    mu: FloatLike
    sigma: FloatLike
    kind: ClassVar[str] = "gbm"
    rows: ClassVar[Table] = tables.GBM_FIELDS

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, self.rows)

    @classmethod
    def from_prices(cls, prices: Any, *, dt: float) -> GBM:
        """Fit drift and volatility to past prices.

        Parameters
        ----------
        prices : (rows,) array_like
            Prices at the ends of steps, at least three, above 0.
        dt : float
            Seconds a step.

        Returns
        -------
        GBM

        Raises
        ------
        MarketError
            If an argument is out of range, or what is found is.

        Notes
        -----
        sigma is the standard deviation of the log returns over √h, mu their mean over h, plus sigma²/2. The drift of a
        few years is hardly known: its standard error is sigma over the root of their number.

        Examples
        --------
        >>> from escala import GBM
        >>> found = GBM.from_prices([100.0, 110.0, 99.0, 104.0], dt=365 * 86400)
        >>> round(found.mu, 4), round(found.sigma, 4)
        (0.0186, 0.1051)
        """
        returns, h = _log_returns(prices, dt)
        sigma = float(np.std(returns, ddof=1)) / math.sqrt(h)
        return cls(float(np.mean(returns)) / h + 0.5 * sigma * sigma, sigma)


@documented(fields=tables.MERTON_FIELDS)
@dataclass(frozen=True, eq=False)
class Merton:
    """Geometric Brownian motion with jumps of normal size.

    Parameters
    ----------
    {fields}

    Notes
    -----
    A step has at most one jump, with probability 1 − exp(−jump_rate·h). The drift makes up for jumps, so that the
    mean price is exactly P₀·exp(mu·t).

    References
    ----------
    Merton: Option pricing when underlying stock returns are discontinuous. Journal of Financial Economics 3, 1976.
    """

    mu: FloatLike
    sigma: FloatLike
    jump_rate: FloatLike
    jump_mean: FloatLike
    jump_sd: FloatLike
    kind: ClassVar[str] = "merton"
    rows: ClassVar[Table] = tables.MERTON_FIELDS

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, self.rows)

    @classmethod
    def from_prices(cls, prices: Any, *, dt: float) -> Merton:
        """Fit drift, volatility and jumps to past prices by maximum likelihood.

        Parameters
        ----------
        prices : (rows,) array_like
            Prices at the ends of steps, at least three, above 0.
        dt : float
            Seconds a step.

        Returns
        -------
        Merton
            Without jumps (jump_rate 0) where the returns do not show them: see Notes.

        Raises
        ------
        MarketError
            If an argument is out of range, or what is found is.

        Notes
        -----
        A step has a jump or none, so that its log return is of one of two normal distributions: expectation and
        maximisation in turn, from the returns beyond 2.5 standard deviations as jumps, until the likelihood stands
        still. Two normals always fit better than one, so jumps are believed only where twice the log likelihood gains
        more than 3·ln(n) of n returns (Schwarz's criterion for three numbers more): of normal returns fewer than one
        series in fifty seems to have any. A market with quiet and wild days has many small "jumps"; the drift is
        hardly known, as of :meth:`GBM.from_prices`.

        References
        ----------
        Dempster, Laird, Rubin: Maximum likelihood from incomplete data via the EM algorithm. Journal of the Royal
        Statistical Society B 39, 1977.
        Schwarz: Estimating the dimension of a model. Annals of Statistics 6, 1978.
        """
        returns, h = _log_returns(prices, dt)
        share, mean, variance, jump_mean, jump_variance = _two_normals(returns)
        grown = math.log1p(share * math.expm1(jump_mean + 0.5 * jump_variance))
        return cls(
            mu=(mean + 0.5 * variance + grown) / h, sigma=math.sqrt(variance / h), jump_rate=-math.log1p(-share) / h,
            jump_mean=jump_mean, jump_sd=math.sqrt(jump_variance),
        )  # fmt: skip


def _two_normals(returns: Floats) -> tuple[float, float, float, float, float]:
    """Fit returns of which some have a jump: its probability, mean and variance without, and those of the jump."""
    mean, variance = float(np.mean(returns)), float(np.var(returns))
    calm = 0.0, mean, variance, 0.0, 0.0
    jumped = (np.abs(returns - mean) > _FAR * math.sqrt(variance)).astype(np.float64)
    if not jumped.any():
        return calm
    alone = -0.5 * returns.size * (math.log(2.0 * math.pi * variance) + 1.0)  # log likelihood of one normal
    before = -math.inf
    for _ in range(_MOST_ROUNDS):
        weight = float(np.sum(jumped))
        share = weight / returns.size
        if share < _RARE or share > 1.0 - _RARE:
            return calm
        quiet = 1.0 - jumped
        mean = float(np.sum(quiet * returns)) / (returns.size - weight)
        wild = float(np.sum(jumped * returns)) / weight
        variance = float(np.sum(quiet * (returns - mean) ** 2)) / (returns.size - weight)
        other = float(np.sum(jumped * (returns - wild) ** 2)) / weight
        other = max(other, variance)  # a jump adds to the variance
        if not variance > 0.0:
            return share, mean, 0.0, wild - mean, other
        densities = [
            chance * np.exp(-0.5 * (returns - middle) ** 2 / spread) / math.sqrt(2.0 * math.pi * spread)
            for chance, middle, spread in ((1.0 - share, mean, variance), (share, wild, other))
        ]
        together = densities[0] + densities[1]
        jumped = densities[1] / together
        likelihood = float(np.sum(np.log(together)))
        if likelihood - before <= _CONVERGED * abs(likelihood):
            break
        before = likelihood
    if 2.0 * (likelihood - alone) <= _JUMPS_COST * math.log(returns.size):
        return calm
    return share, mean, variance, wild - mean, other - variance


@documented(fields=tables.OU_FIELDS)
@dataclass(frozen=True, eq=False)
class OU:
    """The log price reverts to a mean (Ornstein–Uhlenbeck): a peg, or a token that is worth another one.

    Parameters
    ----------
    {fields}

    Notes
    -----
    The log price over the asset's `price` is x: it begins at 0, or at mean + start; `price` stays what the protocol
    sees of an asset with an index oracle.
    """

    mean: FloatLike
    reversion: FloatLike
    sigma: FloatLike
    start: FloatLike | None = None
    kind: ClassVar[str] = "ou"
    rows: ClassVar[Table] = tables.OU_FIELDS

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, self.rows, optional=("start",))


@documented(fields=tables.HESTON_FIELDS)
@dataclass(frozen=True, eq=False)
class Heston:
    """A price whose variance moves too, by full truncation.

    Parameters
    ----------
    {fields}
    """

    mu: FloatLike
    variance: FloatLike
    reversion: FloatLike
    long_variance: FloatLike
    vol_of_vol: FloatLike
    rho: FloatLike
    kind: ClassVar[str] = "heston"
    rows: ClassVar[Table] = tables.HESTON_FIELDS

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, self.rows)


def _table(name: str, value: Any) -> Floats:
    """Give a table of one column an asset."""
    given = to_floats(name, value, MarketError)
    if given.ndim == 1:
        given = given[:, None]
    if given.ndim != 2 or given.size == 0:
        message = f"{name} must have a row a step and a column an asset, not the shape {given.shape}"
        raise MarketError(message, arguments=(name,))
    kept = np.array(given, order="C")
    kept.flags.writeable = False
    return kept


def _refuse(name: str, table: Floats, good: npt.NDArray[np.bool_], allowed: str) -> None:
    bad = np.argwhere(~good)
    if bad.size:
        first = tuple(int(i) for i in bad[0])
        shown = f"{name}[{first[0]}, {first[1]}] = {float(table[first])!r}"
        raise MarketError(f"{name} must be {allowed}, but {shown}", arguments=(name,), indexes=(first,))


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Rows of past log returns, drawn in stretches; all assets together.

    Parameters
    ----------
    returns : (rows, A) array_like
        Log returns of a step, a column an asset (or one axis for one asset), in [-5, 5].
    mean_block : float, optional
        Mean length of a stretch, at least 1: stretches have geometric lengths (stationary bootstrap).
    block : int, optional
        Length of every stretch, in place of `mean_block`.

    References
    ----------
    Politis, Romano: The stationary bootstrap. Journal of the American Statistical Association 89, 1994.
    """

    returns: Any
    mean_block: float | None = None
    block: int | None = None
    table: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the table and the length of stretches."""
        table = _table("returns", self.returns)
        _refuse("returns", table, np.abs(table) <= _MOST_RETURN, f"in [-{_MOST_RETURN:g}, {_MOST_RETURN:g}]")
        object.__setattr__(self, "returns", table)
        object.__setattr__(self, "table", table)
        if (self.mean_block is None) == (self.block is None):
            given = "none is" if self.block is None else "both are"
            message = f"one of mean_block and block must be given, but {given}"
            raise MarketError(message, arguments=("mean_block", "block"))
        name, length = ("block", self.block) if self.mean_block is None else ("mean_block", self.mean_block)
        number = to_floats(name, length, MarketError)
        whole = name == "mean_block" or bool(number.ndim == 0 and number == np.floor(number))
        if number.ndim or not 1.0 <= number < np.inf or not whole:
            kind = "a number" if name == "mean_block" else "an integer"
            raise MarketError(f"{name} must be {kind} of at least 1, not {length!r}", arguments=(name,))

    @property
    def kind(self) -> str:
        """Name of the process."""
        return "blocks" if self.mean_block is None else "bootstrap"

    @property
    def length(self) -> float:
        """Length, or mean length, of a stretch."""
        return float(self.block if self.mean_block is None else self.mean_block)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Replay:
    """Past prices, one window of them a path; all assets together.

    Parameters
    ----------
    prices : (rows, A) array_like
        Prices at the ends of steps, a column an asset (or one axis for one asset), above 0.
    low : (rows, A) array_like, optional
        Lowest prices within the steps that end there, at most `prices`; used where the market has ``barrier=True``.
    starts : (paths,) array_like of int, optional
        Rows that paths begin with; by default every row that leaves room for all steps.
    """

    prices: Any
    low: Any = None
    starts: Sequence[int] | npt.NDArray[np.int64] | None = None
    table: Floats = field(init=False, repr=False)
    kind: ClassVar[str] = "replay"

    def __post_init__(self) -> None:
        """Check the tables."""
        table = _table("prices", self.prices)
        _refuse("prices", table, (table > 0.0) & (table < np.inf), "finite and above 0")
        object.__setattr__(self, "prices", table)
        object.__setattr__(self, "table", table)
        if self.low is not None:
            low = _table("low", self.low)
            if low.shape != table.shape:
                message = f"low of shape {low.shape} must have the shape of prices, {table.shape}"
                raise MarketError(message, arguments=("low", "prices"))
            _refuse("low", low, (low > 0.0) & (low <= table), "above 0 and at most prices")
            object.__setattr__(self, "low", low)
        if self.starts is not None:
            object.__setattr__(self, "starts", self._checked_starts())

    def _checked_starts(self) -> npt.NDArray[np.int64]:
        given = to_floats("starts", self.starts, MarketError)
        if given.ndim != 1 or given.size == 0:
            raise MarketError(f"starts must be a list of rows, not of shape {given.shape}", arguments=("starts",))
        bad = np.flatnonzero((given != np.floor(given)) | (given < 0) | (given >= len(self.table)))
        if bad.size:
            first = int(bad[0])
            message = f"starts must be rows of prices, of which there are {len(self.table)}, but"
            raise MarketError(
                f"{message} starts[{first}] = {float(given[first])!r}", arguments=("starts",), indexes=((first,),)
            )
        return given.astype(np.int64)

    def rows_for(self, steps: int) -> npt.NDArray[np.int64]:
        """Give the row that each path begins with.

        Raises
        ------
        MarketError
            If a window of so many steps does not fit.
        """
        last = len(self.table) - 1 - steps
        if self.starts is None:
            if last < 0:
                message = f"prices has {len(self.table)} rows, and {steps} steps need {steps + 1}"
                raise MarketError(message, arguments=("prices", "steps"))
            return np.arange(last + 1, dtype=np.int64)
        starts = np.asarray(self.starts)
        late = np.flatnonzero(starts > last)
        if late.size:
            first = int(late[0])
            message = f"starts must leave room for {steps} steps, at most {last}, but starts[{first}] = {starts[first]}"
            raise MarketError(message, arguments=("starts", "steps"), indexes=((first,),))
        return starts
