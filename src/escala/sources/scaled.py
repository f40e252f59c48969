"""A backtest at multiples of its capital: what it earns, what moving the market costs, and what is left."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, check_interval, is_integer, one_number, to_floats, whole_number
from escala.errors import RecordError
from escala.files import table as table_file
from escala.sources.impact import CurveLaw, Law, Orders, PowerLaw
from escala.sources.results import EfficiencyRecords
from escala.tables import BELOW_ONE, POSITIVE, POSITIVE_FRACTION
from escala.text import html
from escala.text.numerals import capital as written
from escala.text.numerals import counted
from escala.text.visible import in_line

if TYPE_CHECKING:
    import pandas

_MOST_DRAWS: Final = 1_000_000
_TOGETHER: Final = 2_000_000  # numbers of resampled periods that lie in memory at a time
_MEASURED: Final = 0.1  # of a day's volume: larger orders are hardly ever seen
_STEPS: Final = 512  # capitals among which the best one is looked for where no formula tells


@dataclass(frozen=True)
class Capacity:
    """How much capital a backtest carries, with intervals.

    Attributes
    ----------
    capacity : float
        Capital at which the net profit is highest.
    low, high : float
        Ends of its interval.
    break_even : float
        Capital at which nothing is left; inf where none was found.
    break_even_low, break_even_high : float
        Ends of its interval.
    level : float
        Of the intervals.
    """

    capacity: float
    low: float
    high: float
    break_even: float
    break_even_low: float
    break_even_high: float
    level: float


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What may have been, draw by draw: periods resampled in blocks, coefficients drawn; sums over the periods."""

    gross: Floats  # (draws,)
    cost: Floats  # (draws, columns): by the law at a multiple of 1, or by curves at each multiple
    moments: Floats  # (draws, columns, 3): variances of gross and cost, and their covariance


@dataclass(frozen=True, eq=False, repr=False)
class ScaledBacktest:
    """A backtest at multiples of its capital, by :func:`escala.sources.backtest.scale`.

    Attributes
    ----------
    multiples : (m,) float64
        Of the backtest's capital, rising.
    capital : (m,) float64
        These capitals; `capital_of_backtest` is that of a multiple of 1.
    gross, cost, net : (m,) float64
        Profit before market impact, the impact's cost, and what is left, over the whole backtest.
    efficiency : (m,) float64
        net/gross; below 0 where the cost exceeds the profit.
    sharpe : (m,) float64
        Mean over standard deviation of the net profits of the periods, times √(periods a year); NaN where profits are
        not known by period.
    periods_per_year : float
        As said, or as many as their times leave in a year of 365.25 days; NaN where there are no periods.
    notes : tuple of str
        What was assumed, read or left out.
    """

    multiples: Floats
    notes: tuple[str, ...]
    periods_per_year: float
    source: str
    _capital: float
    _orders: Orders
    _law: Law
    _time: Floats | None
    _money: Floats
    _positions: Floats
    _volume: Floats | None

    def __len__(self) -> int:
        return int(self.multiples.size)

    def __repr__(self) -> str:
        """Say in a line what was scaled."""
        ends = f"{written(float(self.capital[0]))} to {written(float(self.capital[-1]))}"
        return f"<ScaledBacktest: {counted(self._orders.value.size, 'order')}, capital {ends}>"

    @functools.cached_property
    def capital(self) -> Floats:
        """Capital at each multiple."""
        return self._capital * self.multiples

    @property
    def capital_of_backtest(self) -> float:
        """Capital that the backtest was run with."""
        return self._capital

    @functools.cached_property
    def gross(self) -> Floats:
        """Profit before market impact at each multiple."""
        return float(self._money.sum()) * self.multiples

    @functools.cached_property
    def _cost(self) -> Floats:
        """Cost of each period at each multiple, (T, m)."""
        return self._law.per_period(self._orders, self.multiples, self._money.size)

    @functools.cached_property
    def cost(self) -> Floats:
        """Cost of market impact at each multiple."""
        total: Floats = self._cost.sum(axis=0)
        return total

    @functools.cached_property
    def net(self) -> Floats:
        """What is left at each multiple."""
        return self.gross - self.cost

    @functools.cached_property
    def efficiency(self) -> Floats:
        """net/gross at each multiple."""
        return 1.0 - self.cost / self.gross

    @functools.cached_property
    def sharpe(self) -> Floats:
        """Sharpe ratio of the net profits a year, at each multiple."""
        if self._money.size < 2:
            return np.full(self.multiples.size, np.nan)
        net = self._money[:, None] - self._cost / self.multiples
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio: Floats = net.mean(axis=0) / net.std(axis=0, ddof=1) * math.sqrt(self.periods_per_year)
        return ratio

    @functools.cached_property
    def largest_share(self) -> Floats:
        """Largest order at each multiple, as a share of a day's volume; NaN where no volume is known."""
        share = self._orders.share
        return self.multiples * (np.nan if share is None else float(share.max()))

    def days_to_liquidate(self, participation: float = 0.1) -> dict[str, Floats]:
        """Give the days that it takes to sell the largest position that a symbol had, at each multiple.

        Parameters
        ----------
        participation : float
            In (0, 1]: the share of a day's volume that is sold.

        Returns
        -------
        dict of str to (m,) float64
            Largest position × multiple / (participation × daily volume), the volume at the last trade.

        Raises
        ------
        RecordError
            If `participation` is out of range, or no volume is known.
        """
        share = one_number("participation", participation, POSITIVE_FRACTION, RecordError)
        if self._volume is None:
            message = "days to liquidate need daily_volume, which was not given"
            raise RecordError(message, arguments=("daily_volume",))
        days = self._positions / (share * self._volume)
        return {symbol: day * self.multiples for symbol, day in zip(self._orders.symbols, days, strict=True)}

    def records(self, *, strategy: str = "strategy", blocks: int = 12) -> EfficiencyRecords:
        """Give efficiency records: at each multiple one of each stretch of the backtest, of equally many periods.

        Parameters
        ----------
        strategy : str
            Their symbol.
        blocks : int
            Stretches, at least 1; at most one a period.

        Returns
        -------
        EfficiencyRecords
            Weights are the periods of a stretch, times its last period. ``fit(made.to_dict(),
            group=made.observed_at)`` has the errors of one stretch count as one.

        Raises
        ------
        RecordError
            If an argument is wrong, or costs exceed the gross profit at every multiple.

        Notes
        -----
        Of stretch b with T_b of T periods, at multiple m: 1 − (cost_b(m)/T_b)/(m·gross/T). The gross profit is that of
        the whole backtest, for that of a stretch may be negative; the mean over stretches is `efficiency`. Where it is
        below 0 for any stretch the whole multiple is left out: efficiency is never negative, records at 0 would bend
        the curve, and stretches that are still above would look better than all of them are. It is counted and told.
        """
        if not isinstance(strategy, str) or not strategy:
            message = f"strategy must be text that is not empty, not {strategy!r}"
            raise RecordError(message, arguments=("strategy",))
        periods = self._money.size
        count = min(whole_number("blocks", blocks, 1, None, RecordError), periods)
        starts = np.arange(count) * periods // count
        sizes = np.diff(starts, append=periods)
        cost = np.add.reduceat(self._cost, starts, axis=0) / sizes[:, None]
        efficiency = 1.0 - cost / (self.gross / periods)
        kept = np.flatnonzero((efficiency >= 0.0).all(axis=0))
        if not kept.size:
            smallest = written(float(self.capital[0]))
            message = f"at every multiple costs exceed the gross profit, from a capital of {smallest} on"
            raise RecordError(message, arguments=("multiples",))
        left_out = self.multiples.size - kept.size
        from_ = written(float(self.capital[min(kept[-1] + 1, self.multiples.size - 1)]))
        told = f"{counted(left_out, 'multiple')} left out: costs exceed the gross profit of a stretch, from {from_} on"
        n = kept.size * count
        symbol = np.empty(n, dtype=object)
        symbol[:] = strategy
        return EfficiencyRecords(
            symbol=symbol,
            capital=np.repeat(self.capital[kept], count),
            efficiency=efficiency[:, kept].T.reshape(-1),
            observed_at=None if self._time is None else np.tile(self._time[starts + sizes - 1], kept.size),
            weight=np.tile(sizes.astype(np.float64), kept.size),
            source=self.source,
            kind="backtest",
            left_out=left_out,
            notes=(*self.notes, *(told,) * bool(left_out)),
        )

    def capacity(self, *, level: float = 0.90, draws: int = 2000, seed: int | np.random.Generator = 0) -> Capacity:
        """Find the capital with the highest net profit, and the one at which nothing is left.

        Parameters
        ----------
        level : float
            Of the intervals, in (0, 1).
        draws : int
            Coefficients and resampled backtests that they come from.
        seed : int or numpy.random.Generator
            Of the draws.

        Raises
        ------
        RecordError
            If an argument is out of range; names it.

        Notes
        -----
        With gross profit G and cost K at the backtest's capital C₀ and a law of exponent δ, net(m) = m·G − m^(1 + δ)·K
        is highest at C₀·(G/((1 + δ)·K))^(1/δ) and 0 at C₀·(G/K)^(1/δ). Of curves both are found among 512 capitals up
        to the largest multiple. In each draw the coefficient is lognormal with its standard deviation, and the periods
        are resampled in circular blocks of ⌈T^(1/3)⌉, profits and costs together; a draw that earns nothing has a
        capacity of 0. Both ends are quantiles. Where profits are one number nothing is known of their error, and only
        the coefficient's is in the interval.

        References
        ----------
        Künsch (1989), The jackknife and the bootstrap for general stationary observations. Politis and Romano (1992),
        A circular block-resampling procedure for stationary data.
        """
        ends = _quantiles(level)
        columns = self._columns()
        sums = float(self._money.sum()), self._law.per_period(self._orders, columns, self._money.size).sum(axis=0)
        best, even = self._best(np.array([sums[0]]), sums[1][None, :], columns)
        drawn = self._drawn(columns, draws, seed)
        some, evens = self._best(drawn.gross, drawn.cost, columns)
        low, high = np.quantile(some, ends, method="inverted_cdf").tolist()
        even_low, even_high = np.quantile(evens, ends, method="inverted_cdf").tolist()
        return Capacity(float(best[0]), low, high, float(even[0]), even_low, even_high, float(level))

    def sharpe_interval(
        self, *, level: float = 0.90, draws: int = 2000, seed: int | np.random.Generator = 0
    ) -> tuple[Floats, Floats]:
        """Give the ends of the interval of `sharpe` at each multiple, by the draws of :meth:`capacity`.

        Raises
        ------
        RecordError
            If an argument is out of range; names it.
        """
        ends = _quantiles(level)
        if self._money.size < 2:
            nothing = np.full(self.multiples.size, np.nan)
            return nothing, nothing
        columns = np.ones(1) if isinstance(self._law, PowerLaw) else self.multiples
        drawn = self._drawn(columns, draws, seed)
        factor = self._growth() / self.multiples
        periods = self._money.size
        mean = (drawn.gross[:, None] - drawn.cost * factor) / periods
        variance = drawn.moments[..., 0] - 2.0 * factor * drawn.moments[..., 2] + factor**2 * drawn.moments[..., 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = mean / np.sqrt(variance) * math.sqrt(self.periods_per_year)
        low, high = np.quantile(ratio, ends, axis=0)
        return low, high

    def _growth(self) -> Floats:
        """Give what the cost of a column of draws is multiplied by at each multiple."""
        if isinstance(self._law, PowerLaw):
            grown: Floats = self.multiples ** (1.0 + self._law.exponent)
            return grown
        return np.ones(self.multiples.size)

    def _columns(self) -> Floats:
        """Give the multiples at which costs are drawn: of a law once, of curves many."""
        if isinstance(self._law, PowerLaw):
            return np.ones(1)
        return np.geomspace(self.multiples[0], self.multiples[-1], _STEPS)

    def _best(self, gross: Floats, cost: Floats, columns: Floats) -> tuple[Floats, Floats]:
        """Find the best capital and the one that breaks even, for total profits and costs, one a draw."""
        if isinstance(self._law, PowerLaw):
            exponent = self._law.exponent
            with np.errstate(divide="ignore", over="ignore"):
                even = (np.maximum(gross, 0.0) / cost[:, 0]) ** (1.0 / exponent)
            even = np.where(gross > 0.0, even, 0.0)
            return self._capital * (even * (1.0 + exponent) ** (-1.0 / exponent)), self._capital * even
        net = gross[:, None] * columns - cost
        best = np.where(net.max(axis=1) > 0.0, columns[net.argmax(axis=1)], 0.0)
        behind = (net <= 0.0) & (columns >= best[:, None])
        even = np.where(behind.any(axis=1), columns[behind.argmax(axis=1)], np.inf)
        return self._capital * best, self._capital * np.where(best > 0.0, even, 0.0)

    def _drawn(self, columns: Floats, draws: int, seed: int | np.random.Generator) -> _Drawn:
        """Draw coefficients and resample periods."""
        count = whole_number("draws", draws, 1, _MOST_DRAWS, RecordError)
        if not isinstance(seed, np.random.Generator) and (not is_integer(seed) or seed < 0):
            message = f"seed must be an integer of at least 0 or a numpy.random.Generator, not {seed!r}"
            raise RecordError(message, arguments=("seed",))
        rng = np.random.default_rng(seed)
        factors = np.ones(count) if isinstance(self._law, CurveLaw) else self._law.drawn(count, rng)
        cost = self._law.per_period(self._orders, columns, self._money.size)
        periods = self._money.size
        length = math.ceil(periods ** (1.0 / 3.0))
        begins = rng.integers(0, periods, (count, -(-periods // length)))
        sums, lost = np.empty(count), np.empty((count, columns.size))
        moments = np.zeros((count, columns.size, 3))
        for start in range(0, count, rows := max(1, _TOGETHER // periods)):
            part = begins[start : start + rows]
            here = slice(start, start + len(part))
            times = _times((part[:, :, None] + np.arange(length)).reshape(len(part), -1)[:, :periods] % periods)
            sums[here] = _weighted(times, self._money[:, None])[:, 0]
            lost[here] = _weighted(times, cost)
            moments[here] = _moments(times, self._money, cost)
        return _Drawn(sums, lost * factors[:, None], moments * np.stack([factors**0, factors**2, factors], -1)[:, None])

    def to_dict(self) -> dict[str, Floats]:
        """Give every column by name, one entry a multiple."""
        names = ("multiples", "capital", "gross", "cost", "net", "efficiency", "sharpe", "largest_share")
        return {name: getattr(self, name) for name in names}

    def to_dataframe(self) -> pandas.DataFrame:
        """Give one row a multiple, one column a number.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return table_file.dataframe(self.to_dict())

    def _repr_html_(self) -> str:
        """Show the first multiples as a table in a notebook."""
        return html.table(self.to_dict(), repr(self))

    def summary(self) -> str:
        """Say in words how much capital the backtest carries, and what of that is known."""
        orders = self._orders
        found = self.capacity()
        traded = written(float(orders.value.sum()))
        lines = [
            f"{counted(orders.value.size, 'order')} of {counted(len(orders.symbols), 'symbol')}, {traded} traded with "
            f"{written(self._capital)}; cost of an order: {self._law.said()}",
            f"gross profit {written(float(self._money.sum()))}, of which impact takes "
            f"{float(1.0 - self._with([1.0]).efficiency[0]):.1%}",
            f"net profit is highest at {written(found.capacity)} ({_ends(found.low, found.high)}, {found.level:.0%}), "
            f"nothing is left at {written(found.break_even)} ({_ends(found.break_even_low, found.break_even_high)})",
        ]
        if self._money.size > 1:
            sharpe = self._with([1.0]).sharpe[0], self._with([found.capacity / self._capital]).sharpe[0]
            lines.append(f"Sharpe ratio a year {sharpe[0]:.2f} at the backtest's capital, {sharpe[1]:.2f} at the best")
            share = float(self._with([found.capacity / self._capital]).largest_share[0])
            if share > _MEASURED:
                known = f"laws of impact were measured up to about {_MEASURED:.0%}"
                lines.append(f"the largest order would be {share:,.0%} of a day's volume there: {known}")
        return "\n".join([*lines, *map(in_line, self.notes)])

    def _with(self, multiples: Any, told: tuple[str, ...] = ()) -> ScaledBacktest:
        """Give the same at other multiples, with more notes."""
        return replace(self, multiples=np.asarray(multiples, dtype=np.float64), notes=(*self.notes, *told))


def _ends(low: float, high: float) -> str:
    return f"{written(low)} to {written(high)}"


def _quantiles(level: float) -> tuple[float, float]:
    given = one_number("level", level, BELOW_ONE, RecordError)
    return 0.5 - 0.5 * given, 0.5 + 0.5 * given


def _times(chosen: npt.NDArray[np.int64]) -> Floats:
    """Count how often each period was chosen, row by row."""
    rows, periods = chosen.shape
    flat = (chosen + np.arange(rows)[:, None] * periods).reshape(-1)
    return np.bincount(flat, minlength=rows * periods).reshape(rows, periods).astype(np.float64)


def _weighted(times: Floats, columns: Floats) -> Floats:
    """Add up columns as often as their rows were chosen; not by a library whose order of sums depends on threads."""
    total: Floats = np.einsum("dt,tk->dk", times, columns)
    return total


def _moments(times: Floats, gross: Floats, cost: Floats) -> Floats:
    """Give the variances of profits and costs and their covariance, (draws, columns, 3); 0 for one period."""
    periods = gross.size
    one = gross[:, None] - gross.mean()
    other = cost - cost.mean(axis=0)
    mean_one, mean_other = _weighted(times, one) / periods, _weighted(times, other) / periods
    pairs = (
        _weighted(times, one * one) / periods - mean_one**2,
        _weighted(times, other * other) / periods - mean_other**2,
        _weighted(times, one * other) / periods - mean_one * mean_other,
    )
    whole = np.stack(np.broadcast_arrays(*pairs), axis=-1)
    moments: Floats = np.maximum(whole, [0.0, 0.0, -np.inf]) * (periods / max(periods - 1, 1))
    return moments


def checked_multiples(given: Any) -> Floats:
    """Check multiples of capital, and bring them in order.

    Raises
    ------
    RecordError
        Names the index and the value that is wrong.
    """
    multiples = np.atleast_1d(to_floats("multiples", given, RecordError))
    if multiples.ndim != 1 or not multiples.size:
        raise RecordError(f"multiples of shape {multiples.shape} must be a row of numbers", arguments=("multiples",))
    check_interval("multiples", multiples, POSITIVE, RecordError)
    return np.unique(multiples)
