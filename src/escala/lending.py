"""The lending loop: collateral and debt grown step by step towards a target, under a profit and a health guarantee."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala import lending_summary, parallel, table_file
from escala.arrays import Floats, Interval, Rows, broadcast_shape, check_interval, check_order, to_floats
from escala.errors import ScenarioError

if TYPE_CHECKING:
    import pandas

__all__ = ["DeFiSimulator", "LendingResult", "LendingStrategy", "StopReason", "simulate"]

#: A number or an array of them.
FloatLike = npt.ArrayLike

_AMOUNT = Interval(1e-100, 1e100)
_AMOUNT_OR_NONE = Interval(1e-100, 1e100, or_zero=True)
_FRACTION = Interval(0.0, 1.0)
_POSITIVE_FRACTION = Interval(0.0, 1.0, low_open=True)
_NON_NEGATIVE = Interval(0.0, 1e100)
_COUNT = Interval(1, 2**31 - 1, integer=True)

_ARGUMENTS: Final[Mapping[str, Interval]] = {
    "supply": _AMOUNT,
    "borrow": _AMOUNT_OR_NONE,
    "target": _AMOUNT,
    "wallet": _AMOUNT_OR_NONE,
}
_FIELDS: Final[Mapping[str, Interval]] = {
    "min_profit": _NON_NEGATIVE,
    "repay": _FRACTION,
    "repay_stalling": _FRACTION,
    "repay_stalled": _FRACTION,
    "repay_floor": _FRACTION,
    "repay_step": _POSITIVE_FRACTION,
    "target_ltv": Interval(0.0, 1.0, high_open=True),
    "target_ltv_stalled": Interval(0.0, 1.0, high_open=True),
    "ltv_floor": Interval(0.0, 1.0, high_open=True),
    "ltv_ceiling": Interval(0.0, 1.0, low_open=True, high_open=True),
    "ltv_step": _POSITIVE_FRACTION,
    "ltv_nudge": _FRACTION,
    "draw_fraction": _POSITIVE_FRACTION,
    "wallet_fraction": _FRACTION,
    "fee_rate": _FRACTION,
    "liquidation_threshold": _POSITIVE_FRACTION,
    "min_health_factor": Interval(1.0, 1e6),
    "free_collateral_factor": _FRACTION,
    "reinvest_far": _FRACTION,
    "reinvest_mid": _FRACTION,
    "reinvest_near": _FRACTION,
    "far_gap": _NON_NEGATIVE,
    "near_gap": _NON_NEGATIVE,
    "reinvest_stalling": _FRACTION,
    "reinvest_stalled": _FRACTION,
    "reinvest_decay": Interval(0.0, 1.0, high_open=True),
    "reinvest_snap": _NON_NEGATIVE,
    "stalling_after": Interval(0, 2**31 - 1, integer=True),
    "stalled_after": Interval(0, 2**31 - 1, integer=True),
    "stagnation_tolerance": _NON_NEGATIVE,
    "max_rescale_attempts": Interval(1, 10**6, integer=True),
    "max_fallback_attempts": Interval(0, 10**6, integer=True),
    "max_stagnant_operations": _COUNT,
    "max_operations": _COUNT,
}
#: Pairs of fields of which the first must not exceed the second.
ORDERED_FIELDS: Final = (
    ("target_ltv", "ltv_ceiling"),
    ("target_ltv_stalled", "ltv_ceiling"),
    ("ltv_floor", "ltv_ceiling"),
    ("near_gap", "far_gap"),
    ("stalling_after", "stalled_after"),
)

#: What a scenario may be made of: the arguments of :func:`simulate` and the fields of :class:`LendingStrategy`.
ARGUMENT_NAMES: Final = tuple(_ARGUMENTS)
STRATEGY_FIELDS: Final = tuple(_FIELDS)
#: What each of them may be.
ALLOWED: Final[Mapping[str, Interval]] = {**_ARGUMENTS, **_FIELDS}

_LARGEST_CHUNK = 2048  # scenarios: inputs and workspace of a chunk fit a second-level cache
#: Rows of :class:`Slices` that are worked on together: more would only leave the caches.
SLICE = 8 * _LARGEST_CHUNK
_SWEEPS = 20_000  # operations a lane between two looks at Ctrl-C: some milliseconds
_TABLE_BLOCK = 4096  # operations recorded in one call
_BOUNDS_OF_WORK = ("max_rescale_attempts", "max_fallback_attempts")
_COMMON_ATTEMPTS = 100  # attempts and tries of one operation that those two numbers are meant for


class StopReason(IntEnum):
    """Why a scenario ended."""

    TARGET_REACHED = 0
    STALLED = 1
    MAX_OPERATIONS = 2


@dataclass(frozen=True, eq=False, kw_only=True)
class LendingStrategy:
    """What a lending loop does at each operation; every field is a number or an array, one element a scenario.

    Parameters
    ----------
    min_profit : array_like, default 1e-6
        Smallest cash an operation must leave, unit of account, in [0, 1e100].
    repay, repay_stalling, repay_stalled : array_like, default 0.11, 0.07, 0.035
        Share of the debt repaid by an operation: normally, after more than `stalling_after` and after more than
        `stalled_after` operations without progress; in [0, 1].
    repay_floor, repay_step : array_like, default 0.03, 0.005
        How far and in which steps the repayment is lowered when a plan does not fit; in [0, 1] and (0, 1].
    target_ltv, target_ltv_stalled : array_like, default 0.69, 0.73
        Limit of debt/supply, normally and when stalled; in [0, `ltv_ceiling`].
    ltv_floor, ltv_ceiling : array_like, default 0.50, 0.73
        How far that limit is lowered and raised when a plan does not fit; in [0, `ltv_ceiling`] and (0, 1).
    ltv_step, ltv_nudge : array_like, default 0.01, 1e-6
        Steps of lowering, and what is added when the limit is raised to what a plan needs; in (0, 1] and [0, 1].
    draw_fraction : array_like, default 0.80
        Share of the safe maximum that is borrowed, in (0, 1].
    wallet_fraction : array_like, default 0.70
        Most that is moved from the wallet at once, as a share of the supply, in [0, 1].
    fee_rate : array_like, default 0.0025
        Cost of a repayment, as a share of it, in [0, 1].
    liquidation_threshold : array_like, default 0.74
        Share of the supply that counts against the debt, in (0, 1].
    min_health_factor : array_like, default 1.01
        What every executed operation must leave more than, in [1, 1e6].
    free_collateral_factor : array_like, default 0.80
        Share of supply − borrow reported as free collateral, in [0, 1].
    reinvest_far, reinvest_mid, reinvest_near : array_like, default 0.60, 0.40, 0.20
        Reinvested share of what an operation draws beyond repayment and fee, by distance from the target; in [0, 1].
    far_gap, near_gap : array_like, default 0.5, 0.2
        Distances, as multiples of the supply, beyond which a target is far or not near; 0 ≤ near ≤ far ≤ 1e100.
    reinvest_stalling, reinvest_stalled : array_like, default 0.10, 0.05
        The share after more than `stalling_after` and `stalled_after` operations without progress; in [0, 1].
    reinvest_decay, reinvest_snap : array_like, default 0.95, 1e-9
        Factor that lowers the share when a plan does not fit, and the amount (unit of account) below which nothing is
        reinvested; in [0, 1) and [0, 1e100].
    stalling_after, stalled_after : array_like of int, default 2, 5
        Operations without progress, 0 ≤ stalling ≤ stalled ≤ 2³¹ − 1.
    stagnation_tolerance : array_like, default 3e-5
        Growth of the supply (unit of account) below which an operation made no progress, in [0, 1e100].
    max_rescale_attempts, max_fallback_attempts : array_like of int, default 50, 5
        Plans tried in one operation, in [1, 1e6], and smaller drawings tried when the plan may not be executed, in
        [0, 1e6].
    max_stagnant_operations, max_operations : array_like of int, default 35, 10 000
        Operations without progress, and operations, after which a scenario ends; in [1, 2³¹ − 1].

    Raises
    ------
    ScenarioError
        If a value is out of range or two fields contradict each other; names fields, indexes and values.

    Notes
    -----
    `min_profit`, `reinvest_snap` and `stagnation_tolerance` are amounts: results depend on the unit of account.

    Examples
    --------
    >>> LendingStrategy(repay=0.05).repay
    0.05
    >>> LendingStrategy(far_gap=[0.5, 0.1])
    Traceback (most recent call last):
        ...
    escala.errors.ScenarioError: near_gap must not exceed far_gap, but near_gap[1] = 0.2 and far_gap[1] = 0.1
    """

    min_profit: FloatLike = 1e-6
    repay: FloatLike = 0.11
    repay_stalling: FloatLike = 0.07
    repay_stalled: FloatLike = 0.035
    repay_floor: FloatLike = 0.03
    repay_step: FloatLike = 0.005
    target_ltv: FloatLike = 0.69
    target_ltv_stalled: FloatLike = 0.73
    ltv_floor: FloatLike = 0.50
    ltv_ceiling: FloatLike = 0.73
    ltv_step: FloatLike = 0.01
    ltv_nudge: FloatLike = 1e-6
    draw_fraction: FloatLike = 0.80
    wallet_fraction: FloatLike = 0.70
    fee_rate: FloatLike = 0.0025
    liquidation_threshold: FloatLike = 0.74
    min_health_factor: FloatLike = 1.01
    free_collateral_factor: FloatLike = 0.80
    reinvest_far: FloatLike = 0.60
    reinvest_mid: FloatLike = 0.40
    reinvest_near: FloatLike = 0.20
    far_gap: FloatLike = 0.5
    near_gap: FloatLike = 0.2
    reinvest_stalling: FloatLike = 0.10
    reinvest_stalled: FloatLike = 0.05
    reinvest_decay: FloatLike = 0.95
    reinvest_snap: FloatLike = 1e-9
    stalling_after: FloatLike = 2
    stalled_after: FloatLike = 5
    stagnation_tolerance: FloatLike = 3e-5
    max_rescale_attempts: FloatLike = 50
    max_fallback_attempts: FloatLike = 5
    max_stagnant_operations: FloatLike = 35
    max_operations: FloatLike = 10_000

    def __post_init__(self) -> None:
        """Check every field, alone and against the fields it must agree with, and keep arrays as they were checked."""
        arrays = self.arrays()
        for name, array in arrays.items():
            if array.ndim:
                kept = array.copy()
                kept.flags.writeable = False
                object.__setattr__(self, name, kept)
        for name, interval in _FIELDS.items():
            check_interval(name, arrays[name], interval)
        broadcast_shape(arrays)
        for low, high in ORDERED_FIELDS:
            check_order(low, arrays[low], high, arrays[high])

    def __eq__(self, other: object) -> bool:
        """Tell whether all fields have the same shapes and values."""
        if not isinstance(other, LendingStrategy):
            return NotImplemented
        theirs = other.arrays()
        return all(np.array_equal(mine, theirs[name]) for name, mine in self.arrays().items())

    __hash__ = None  # type: ignore[assignment]  # fields may be arrays

    def arrays(self) -> dict[str, Floats]:
        """Give the fields as float64 arrays of their own shapes."""
        return {name: to_floats(name, getattr(self, name)) for name in _FIELDS}

    def replace(self, **changes: FloatLike) -> LendingStrategy:
        """Make a strategy with other values for some fields.

        Raises
        ------
        ScenarioError
            As on construction.
        TypeError
            If a name is no field.
        """
        return dataclasses.replace(self, **changes)


_Amounts = npt.NDArray[np.float64]
_Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LendingResult:
    """What became of each scenario: arrays of the common shape of all inputs, amounts in the unit of account.

    Attributes
    ----------
    supply, borrow, target, wallet : float
        The start, broadcast to the common shape: read-only views of the arguments, not copies.
    strategy : LendingStrategy
        As given.
    final_supply, final_borrow, final_buffer, final_wallet : float
        State at the end; the buffer is profit kept for the next operation's supply.
    profit, fees, repaid, drawn : float
        Sums over executed operations. Profit is cash drawn by new borrowing and owed back: read it beside
        `net_equity_change`.
    executed, skipped, stagnant : int
        Operations that were executed, that found no plan, and that made no progress.
    positive : int
        Executed operations whose profit was above 0, counted.
    rescale_attempts, rescale_attempts_max, fallback_attempts : int
        Plans tried, in all and in one operation, and tries of the fallback.
    lowest_profit, lowest_health_factor : float
        Over executed operations, the health factor right after each; inf if there are none.
    stop : int
        Code of a :class:`StopReason`.
    operations : dict of str to array, or None
        One row an operation, from :meth:`DeFiSimulator.run`.
    """

    supply: _Amounts
    borrow: _Amounts
    target: _Amounts
    wallet: _Amounts
    strategy: LendingStrategy
    final_supply: _Amounts
    final_borrow: _Amounts
    final_buffer: _Amounts
    final_wallet: _Amounts
    profit: _Amounts
    fees: _Amounts
    repaid: _Amounts
    drawn: _Amounts
    lowest_profit: _Amounts
    lowest_health_factor: _Amounts
    executed: _Counts
    skipped: _Counts
    stagnant: _Counts
    positive: _Counts
    rescale_attempts: _Counts
    rescale_attempts_max: _Counts
    fallback_attempts: _Counts
    stop: _Counts
    operations: Mapping[str, npt.NDArray[Any]] | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        """Say how many scenarios there are and how they ended."""
        stops = ", ".join(f"{reason.name.lower()} {self.count(reason):,}" for reason in StopReason)
        return f"<LendingResult of {self.size:,} scenario{'' if self.size == 1 else 's'}: {stops}>"

    @property
    def shape(self) -> tuple[int, ...]:
        """Common shape of all inputs."""
        return np.shape(self.stop)

    @property
    def size(self) -> int:
        """Number of scenarios."""
        return int(np.size(self.stop))

    def count(self, reason: StopReason) -> int:
        """Count the scenarios that ended for a reason."""
        return int(np.count_nonzero(self.stop == reason))

    @functools.cached_property
    def start_health_factor(self) -> _Amounts:
        """supply·liquidation_threshold/borrow at the start; inf without debt."""
        return _health_factor(self.supply, self.borrow, self._field("liquidation_threshold"))

    @functools.cached_property
    def health_factor(self) -> _Amounts:
        """supply·liquidation_threshold/borrow at the end; inf without debt."""
        return _health_factor(self.final_supply, self.final_borrow, self._field("liquidation_threshold"))

    @property
    def ltv(self) -> _Amounts:
        """Debt per supply at the end."""
        return self.final_borrow / self.final_supply

    @property
    def leverage(self) -> _Amounts:
        """supply/(supply − borrow) at the end; inf or negative where the debt is no smaller than the supply."""
        with np.errstate(divide="ignore", over="ignore"):
            return self.final_supply / (self.final_supply - self.final_borrow)

    @property
    def start_net_equity(self) -> _Amounts:
        """supply + wallet − borrow at the start."""
        return self.supply + self.wallet - self.borrow

    @property
    def net_equity(self) -> _Amounts:
        """supply + buffer + wallet − borrow at the end: what is really owned."""
        return self.final_supply + self.final_buffer + self.final_wallet - self.final_borrow

    @property
    def net_equity_change(self) -> _Amounts:
        """Exactly −fees: the only thing that changes equity in this model."""
        return -self.fees

    @property
    def added_debt(self) -> _Amounts:
        """Growth of the debt."""
        return self.final_borrow - self.borrow

    @property
    def free_collateral(self) -> _Amounts:
        """(supply − borrow)·free_collateral_factor at the end."""
        return (self.final_supply - self.final_borrow) * self._field("free_collateral_factor")

    @property
    def withdrawable(self) -> _Amounts:
        """max(0, supply − borrow·min_health_factor/liquidation_threshold) at the end."""
        with np.errstate(over="ignore"):
            needed = self.final_borrow * self._field("min_health_factor") / self._field("liquidation_threshold")
        return np.maximum(0.0, self.final_supply - needed)

    @property
    def positive_share(self) -> _Amounts:
        """Counted share of executed operations with a profit above 0; 0 where none was executed."""
        return self.positive / np.maximum(self.executed, 1)

    @functools.cached_property
    def supply_bound(self) -> _Amounts:
        """Supply that can never be exceeded, by proof (up to rounding).

        Notes
        -----
        max(S₀ + W₀, (S₀ + W₀ − B₀)/(1 − λ)) with λ = min(ltv_ceiling, liquidation_threshold/min_health_factor):
        debt never passes λ·supply by borrowing, and equity never grows.
        """
        limit = np.minimum(
            self._field("ltv_ceiling"), self._field("liquidation_threshold") / self._field("min_health_factor")
        )
        return np.maximum(self.supply + self.wallet, self.start_net_equity / (1.0 - limit))

    @property
    def expected_supply(self) -> _Amounts:
        """Rule of thumb, not a bound: where the normal repayment and the normal limit balance.

        Notes
        -----
        max(S₀ + W₀, (S₀ + W₀ − B₀)/(1 − target_ltv/(1 + repay·(1 + fee_rate)))).
        """
        lasting = self._field("target_ltv") / (1.0 + self._field("repay") * (1.0 + self._field("fee_rate")))
        return np.maximum(self.supply + self.wallet, self.start_net_equity / (1.0 - lasting))

    @property
    def reachable(self) -> npt.NDArray[np.bool_]:
        """Tell where the target is within the proven bound; a run may stall below it all the same."""
        return self.target <= self.supply_bound

    @property
    def stop_reason(self) -> StopReason:
        """The reason of the only scenario.

        Raises
        ------
        ValueError
            If there is more than one; use `stop` then.
        """
        if self.size != 1:
            raise ValueError(f"stop_reason is for one scenario, and there are {self.size}: use stop")
        return StopReason(int(np.reshape(self.stop, ())))

    def to_dict(self) -> dict[str, Any]:
        """Give arguments, outputs and derived numbers by name, and the strategy fields that were given as arrays.

        Returns
        -------
        dict
            Of arrays of the common shape.
        """
        varied = {name: self._field(name) for name, array in self.strategy.arrays().items() if array.ndim}
        return {**{name: getattr(self, name) for name in RESULT_NAMES}, **varied}

    def to_dataframe(self) -> pandas.DataFrame:
        """Give one row a scenario (in C order of the common shape), one column a number.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return table_file.dataframe({name: np.reshape(column, -1) for name, column in self.to_dict().items()})

    def summary(self) -> str:
        """Say in words what happened: one scenario from start to end, or many by counts and quantiles."""
        if self.size == 1:
            return lending_summary.of_one(self)
        return lending_summary.of_many(self)

    def _field(self, name: str) -> _Amounts:
        return np.broadcast_to(to_floats(name, getattr(self.strategy, name)), self.shape)


#: Names that are always in :meth:`LendingResult.to_dict`.
RESULT_NAMES: Final = (
    "supply",
    "borrow",
    "target",
    "wallet",
    "stop",
    "final_supply",
    "final_borrow",
    "final_buffer",
    "final_wallet",
    "start_net_equity",
    "net_equity",
    "net_equity_change",
    "added_debt",
    "profit",
    "fees",
    "repaid",
    "drawn",
    "start_health_factor",
    "health_factor",
    "lowest_health_factor",
    "lowest_profit",
    "ltv",
    "leverage",
    "free_collateral",
    "withdrawable",
    "supply_bound",
    "expected_supply",
    "reachable",
    "executed",
    "skipped",
    "stagnant",
    "positive",
    "positive_share",
    "rescale_attempts",
    "rescale_attempts_max",
    "fallback_attempts",
)


def _health_factor(supply: _Amounts, borrow: _Amounts, liquidation_threshold: _Amounts) -> _Amounts:
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.where(borrow == 0.0, math.inf, supply * liquidation_threshold / borrow)[()]


def simulate(
    supply: FloatLike,
    borrow: FloatLike,
    target: FloatLike,
    wallet: FloatLike,
    *,
    strategy: LendingStrategy | None = None,
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> LendingResult:
    """Run the lending loop of any number of scenarios.

    Parameters
    ----------
    supply, target : array_like
        Collateral at the start and the collateral wanted, unit of account, in [1e-100, 1e100].
    borrow, wallet : array_like
        Debt and free cash at the start, unit of account, 0 or in [1e-100, 1e100].
    strategy : LendingStrategy, optional
        Its fields broadcast with the other arguments: a scenario is one element of the common shape.
    threads : int, optional
        Threads to use; by default ``ESCALA_THREADS``, else all processors of this process. Results do not depend on
        it.
    progress : callable, optional
        Called now and then with the number of scenarios done.

    Returns
    -------
    LendingResult
        Arrays of the common shape.

    Raises
    ------
    ScenarioError
        If an argument is not real numbers, not finite, out of range, or does not broadcast; nothing was run.
    KeyboardInterrupt
        Ctrl-C ends a run at once: every thread looks up after some milliseconds of work.

    Notes
    -----
    Each operation moves buffer and wallet into the supply, adapts to a stagnating run, plans a drawing N, a repayment
    R = borrow·repay with fee F and a reinvestment V such that N − V − R − F exceeds `min_profit` within the limits of
    LTV and health factor, softens the plan until it fits, and executes it only if its profit and the health factor
    it leaves pass. Every executed operation keeps both guarantees; one that cannot is skipped and costs nothing.
    No interest, price or time is modelled: equity only falls, by the fees.

    Examples
    --------
    >>> result = simulate(supply=1000, borrow=600, target=1500, wallet=200)
    >>> result.stop_reason.name, int(result.executed), float(result.net_equity_change)
    ('TARGET_REACHED', 7, -1.5416310480451034)
    >>> import numpy as np
    >>> simulate(1000, 600, np.array([1500, 2000, 4000]), 200).stop
    array([0, 1, 1])
    """
    strategy = _checked_strategy(strategy)
    arguments = _checked_arguments(supply, borrow, target, wallet)
    inputs = {**arguments, **strategy.arrays()}
    shape = broadcast_shape(inputs)
    threads = parallel.checked_threads(threads, ScenarioError)
    n = int(np.prod(shape, dtype=np.int64))
    values, counts = _run(inputs, shape, n, threads, progress)
    return _result(arguments, strategy, shape, values, counts)


def _checked_arguments(supply: FloatLike, borrow: FloatLike, target: FloatLike, wallet: FloatLike) -> dict[str, Floats]:
    given = {"supply": supply, "borrow": borrow, "target": target, "wallet": wallet}
    arrays = {name: to_floats(name, value) for name, value in given.items()}
    for name, interval in _ARGUMENTS.items():
        check_interval(name, arrays[name], interval)
    return arrays


def _checked_strategy(strategy: LendingStrategy | None) -> LendingStrategy:
    if strategy is None:
        return LendingStrategy()
    if not isinstance(strategy, LendingStrategy):
        raise ScenarioError(f"strategy must be a LendingStrategy, not {strategy!r}", arguments=("strategy",))
    return strategy


def _at_once(inputs: Mapping[str, Floats], operations: int) -> int:
    """Lower a number of operations between two looks at Ctrl-C by what the longest of them may cost."""
    longest = float(np.max(inputs["max_rescale_attempts"], initial=1.0))
    longest += float(np.max(inputs["max_fallback_attempts"], initial=0.0))
    return max(1, int(operations * min(1.0, _COMMON_ATTEMPTS / longest)))


def _run(
    inputs: Mapping[str, Floats],
    shape: tuple[int, ...],
    n: int,
    threads: int,
    progress: Callable[[int], object] | None,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    from escala.kernels import lending as kernels

    # Rows a power of two apart would all compete for the same cache lines: eight elements more keep them apart.
    values = np.empty((len(kernels.VALUES), n + 8), dtype=np.float64)
    counts = np.empty((len(kernels.COUNTS), n + 8), dtype=np.int64)
    columns = [inputs[name] for name in kernels.COLUMNS]
    chunk = parallel.chunk_size(n, threads, largest=_LARGEST_CHUNK, multiple=kernels.LANES)
    sweeps = _at_once(inputs, _SWEEPS)

    def make_part() -> parallel.Part:
        rows = Rows(columns, shape, chunk)
        work = np.empty(kernels.WORK_SIZE, dtype=np.float64)
        cursor = np.empty(kernels.CURSOR_SIZE, dtype=np.int64)

        def part(start: int, stop: int) -> Iterator[None]:
            buffer = rows.fill(start, stop)
            cursor[:] = 0
            while True:
                kernels.lending(buffer, values, counts, work, cursor, start, stop, sweeps)
                yield
                if cursor[1] == 0:
                    return

        return part

    parallel.run(make_part, n, chunk=chunk, threads=threads, progress=progress)
    return values[:, :n], counts[:, :n]


class Slices:
    """Scenarios in slices that are made as they are needed: what :func:`simulate` does, in memory that is used again.

    One thread's alone. What varies is checked slice by slice, the strategy was checked when it was made.

    Parameters
    ----------
    varied : sequence of str
        Arguments and strategy fields that each slice brings as columns; all four arguments are among them.
    strategy : LendingStrategy
        The other fields, one number each.
    """

    def __init__(self, varied: Sequence[str], strategy: LendingStrategy) -> None:
        from escala.kernels import lending as kernels

        self._fields = {name: array.reshape(()) for name, array in strategy.arrays().items()}
        self._varied = tuple(varied)
        self._ordered = [pair for pair in ORDERED_FIELDS if set(pair) & set(varied)]
        # Rows a power of two apart would all compete for the same cache lines: eight elements more keep them apart.
        self._columns = np.empty((len(kernels.COLUMNS), _LARGEST_CHUNK + 8), dtype=np.float64)
        for row, name in zip(self._columns, kernels.COLUMNS, strict=True):
            row[:] = self._fields.get(name, 1.0)
        self._copied = [(name, kernels.COLUMNS.index(name)) for name in varied if name in kernels.COLUMNS]
        self._values = np.empty((len(kernels.VALUES), SLICE + 8), dtype=np.float64)
        self._counts = np.empty((len(kernels.COUNTS), SLICE + 8), dtype=np.int64)
        self._work = np.empty(kernels.WORK_SIZE, dtype=np.float64)
        self._cursor = np.empty(kernels.CURSOR_SIZE, dtype=np.int64)

    def check(self, columns: Mapping[str, Floats]) -> None:
        """Check what varies, as :func:`simulate` does.

        Raises
        ------
        ScenarioError
            Names arguments, indexes within the slice and values.
        """
        for name in self._varied:
            check_interval(name, columns[name], ALLOWED[name])
        for low, high in self._ordered:
            check_order(low, columns.get(low, self._fields[low]), high, columns.get(high, self._fields[high]))

    def run(self, columns: Mapping[str, Floats], n: int) -> Iterator[None]:
        """Simulate a slice of n ≤ SLICE scenarios, in steps of some milliseconds."""
        from escala.kernels import lending as kernels

        bounds = {name: columns.get(name, self._fields[name]) for name in _BOUNDS_OF_WORK}
        sweeps = _at_once(bounds, _SWEEPS)
        for start in range(0, n, _LARGEST_CHUNK):
            stop = min(start + _LARGEST_CHUNK, n)
            for name, row in self._copied:
                self._columns[row, : stop - start] = columns[name][start:stop]
            self._cursor[:] = 0
            while True:
                kernels.lending(
                    self._columns, self._values, self._counts, self._work, self._cursor, start, stop, sweeps
                )
                yield
                if self._cursor[1] == 0:
                    break

    def result(self, columns: Mapping[str, Floats], n: int) -> LendingResult:
        """Name what became of the slice: views that the next slice writes over."""
        arguments = {name: columns[name] for name in _ARGUMENTS}
        fields = {name: columns.get(name, array) for name, array in self._fields.items()}
        return _result(arguments, _checked_before(fields), (n,), self._values[:, :n], self._counts[:, :n])


def _checked_before(fields: Mapping[str, Floats]) -> LendingStrategy:
    """Make a strategy of fields that were checked, without checking them again."""
    strategy = object.__new__(LendingStrategy)
    for name, array in fields.items():
        object.__setattr__(strategy, name, array)
    return strategy


def _result(
    arguments: Mapping[str, Floats],
    strategy: LendingStrategy,
    shape: tuple[int, ...],
    values: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int64],
    operations: Mapping[str, npt.NDArray[Any]] | None = None,
) -> LendingResult:
    from escala.kernels import lending as kernels

    start: dict[str, Any] = {name: np.broadcast_to(array, shape)[()] for name, array in arguments.items()}
    floats: dict[str, Any] = {name: row.reshape(shape)[()] for name, row in zip(kernels.VALUES, values, strict=True)}
    integers: dict[str, Any] = {name: row.reshape(shape)[()] for name, row in zip(kernels.COUNTS, counts, strict=True)}
    return LendingResult(strategy=strategy, operations=operations, **start, **floats, **integers)


class DeFiSimulator:
    """One lending scenario, with its table of operations.

    Parameters
    ----------
    supply, borrow, target, wallet : float
        As in :func:`simulate`, one number each.
    strategy : LendingStrategy, optional
        With one number a field.

    Raises
    ------
    ScenarioError
        If an argument is out of range or not a single number.

    Examples
    --------
    >>> result = DeFiSimulator(1000, 600, 1500, 200).run()
    >>> [round(float(s), 2) for s in result.operations["supply"]]
    [1246.49, 1331.12, 1400.19, 1444.34, 1472.46, 1490.3, 1501.51]
    """

    def __init__(
        self,
        supply: FloatLike,
        borrow: FloatLike,
        target: FloatLike,
        wallet: FloatLike,
        *,
        strategy: LendingStrategy | None = None,
    ) -> None:
        self.strategy = _checked_strategy(strategy)
        self._arguments = _checked_arguments(supply, borrow, target, wallet)
        for name, array in (self._arguments | self.strategy.arrays()).items():
            if array.size != 1:
                message = (
                    f"{name} must be one number for a DeFiSimulator, not an array of shape {array.shape}: use simulate"
                )
                raise ScenarioError(message, arguments=(name,))
        scalars = {name: array.item() for name, array in self.strategy.arrays().items() if array.ndim}
        self.strategy = self.strategy.replace(**scalars)

    def run(self) -> LendingResult:
        """Simulate; the result's `operations` holds one row an operation.

        Returns
        -------
        LendingResult
            `operations` maps names to arrays of one element an operation: ``operation`` (from 1), the state after it
            (``supply, borrow, buffer, wallet, health_factor, ltv, streak``), what it did (``drawn, repaid, fee,
            reinvested, profit``; 0 when it was skipped), ``attempts``, ``softened`` (sum of 1 less reinvested, 2 lower
            limit, 4 smaller repayment, 8 raised limit) and ``executed``.
        """
        inputs = {name: array.reshape(()) for name, array in (self._arguments | self.strategy.arrays()).items()}
        values, counts = _run(inputs, (), 1, 1, None)
        arguments = {name: inputs[name] for name in _ARGUMENTS}
        return _result(arguments, self.strategy, (), values, counts, self._operations(inputs))

    def _operations(self, inputs: Mapping[str, Floats]) -> dict[str, npt.NDArray[Any]]:
        from escala.kernels import lending as kernels

        columns = Rows([inputs[name] for name in kernels.COLUMNS], (), 1).fill(0, 1)
        work = np.empty(kernels.WORK_SIZE, dtype=np.float64)
        cursor = np.array([0, kernels.GOES_ON], dtype=np.int64)
        blocks: list[npt.NDArray[np.float64]] = []
        most = _at_once(inputs, _TABLE_BLOCK)
        while cursor[1] == kernels.GOES_ON:
            start = int(cursor[0])
            block = np.empty((len(kernels.OPERATION), most), dtype=np.float64)
            kernels.trace(columns, block, work, cursor, start, start + most)
            blocks.append(block[:, : int(cursor[0]) - start])
        table = dict(zip(kernels.OPERATION, np.concatenate(blocks, axis=1), strict=True))
        whole = {name: table[name].astype(np.int64) for name in ("attempts", "softened", "executed", "streak")}
        operation = np.arange(1, 1 + int(cursor[0]), dtype=np.int64)
        return {"operation": operation, **table, "ltv": table["borrow"] / table["supply"], **whole}
