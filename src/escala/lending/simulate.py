"""The lending loop: collateral and debt grown step by step towards a target, under a profit and a health guarantee."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import keyed, parallel, tables
from escala.arrays import FloatLike, Floats, Rows, broadcast_shape, check_interval, plain_number, to_floats
from escala.errors import ScenarioError
from escala.kernels import layout
from escala.lending.result import LendingResult
from escala.lending.strategy import ALLOWED, ARGUMENTS, LendingStrategy
from escala.made import made

LARGEST_CHUNK = 2048  # scenarios: inputs and workspace of a chunk fit a second-level cache

OPERATIONS_AT_ONCE = 20_000  # operations a lane between two looks at Ctrl-C: some milliseconds

_TABLE_BLOCK = 4096  # operations recorded in one call

#: Fields that say how long one operation may take.
BOUNDS_OF_WORK: Final = ("max_rescale_attempts", "max_fallback_attempts")

#: Rows of what the kernel reads and writes.
INPUTS: Final = tables.names(tables.LENDING_INPUTS)

_VALUES: Final = tables.names(tables.LENDING_VALUES)

_COUNTS: Final = tables.names(tables.LENDING_COUNTS)

#: The arguments lie first among the inputs: what each may be, and how many they are.
_RANGES: Final = tuple(ARGUMENTS[name] for name in INPUTS if name in ARGUMENTS)

_STARTS: Final = len(_RANGES)

_BOUNDS: Final = (INPUTS.index(BOUNDS_OF_WORK[0]), INPUTS.index(BOUNDS_OF_WORK[1]))

_ACTIVE: Final = layout.lending_cursor.ACTIVE

_RESULT: Final = (*INPUTS[:_STARTS], *_VALUES, *_COUNTS, "strategy", "operations")

_COMMON_ATTEMPTS = 100  # attempts and tries of one operation that those two numbers are meant for


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
    if progress is None:
        start = [plain_number(*pair) for pair in zip((supply, borrow, target, wallet), _RANGES, strict=True)]
        if None not in start and strategy.column is not None:
            parallel.check_threads(threads, ScenarioError)
            return _one(start, strategy, strategy.column)
    arguments = _checked_arguments(supply, borrow, target, wallet)
    inputs = {**arguments, **strategy.arrays()}
    shape = broadcast_shape(inputs)
    threads = parallel.checked_threads(threads, ScenarioError)
    n = int(np.prod(shape, dtype=np.int64))
    values, counts = _run(inputs, shape, n, threads, progress)
    return named_result(arguments, strategy, shape, values, counts)


def _checked_arguments(supply: FloatLike, borrow: FloatLike, target: FloatLike, wallet: FloatLike) -> dict[str, Floats]:
    given = {"supply": supply, "borrow": borrow, "target": target, "wallet": wallet}
    keyed.check_aligned(given, ScenarioError)
    arrays = {name: to_floats(name, value) for name, value in given.items()}
    for name, interval in ARGUMENTS.items():
        check_interval(name, arrays[name], interval)
    return arrays


@functools.cache
def _usual() -> LendingStrategy:
    """The strategy where nobody gives one: checked once."""
    return LendingStrategy()


def _checked_strategy(strategy: LendingStrategy | None) -> LendingStrategy:
    if strategy is None:
        return _usual()
    if not isinstance(strategy, LendingStrategy):
        raise ScenarioError(f"strategy must be a LendingStrategy, not {strategy!r}", arguments=("strategy",))
    return strategy


def at_once(inputs: Mapping[str, Floats], operations: int) -> int:
    """Lower a number of operations between two looks at Ctrl-C by what the longest of them may cost."""
    longest = sum(float(np.max(inputs[name], initial=ALLOWED[name].low)) for name in BOUNDS_OF_WORK)
    return _sweeps(longest, operations)


@functools.lru_cache(maxsize=64)
def _sweeps(longest: float, operations: int) -> int:
    return max(1, int(operations * min(1.0, _COMMON_ATTEMPTS / longest)))


@functools.cache
def _kernel() -> Callable[..., None]:
    from escala.kernels.lending import lanes

    return lanes.lending


class _Room:
    """What a scenario of plain numbers is run in: arrays, and the same as kernels take them."""

    def __init__(self) -> None:
        self.inputs = np.empty(len(INPUTS))
        self.columns = self.inputs.reshape(-1, 1)
        self.numbers = np.empty(_STARTS + len(_VALUES))  # of the result: the arguments, then what is computed
        self.values = self.numbers[_STARTS:].reshape(-1, 1)
        self.whole = np.empty(len(_COUNTS), dtype=np.int64)
        self.counts = self.whole.reshape(-1, 1)
        self.work = np.empty(layout.LENDING_WORK_SIZE)
        self.cursor = np.empty(layout.lending_cursor.END, dtype=np.int64)


#: Rooms that nobody uses: one is taken out for the length of a call, so no two calls ever have the same.
_ROOMS: Final[list[_Room]] = []

_MOST_ROOMS: Final = 16


def _one(start: Sequence[float | None], strategy: LendingStrategy, column: Floats) -> LendingResult:
    """Run a scenario of plain numbers: by way of arrays it took a hundred times as long as its kernel."""
    try:
        room = _ROOMS.pop()
    except IndexError:
        room = _Room()
    inputs, numbers, cursor = room.inputs, room.numbers, room.cursor
    inputs[:] = column
    for k, number in enumerate(start):
        inputs[k] = numbers[k] = number
    cursor.fill(0)
    kernel, sweeps = _kernel(), _sweeps(column.item(_BOUNDS[0]) + column.item(_BOUNDS[1]), OPERATIONS_AT_ONCE)
    while True:
        kernel(room.columns, room.values, room.counts, room.work, cursor, 0, 1, sweeps)
        if not cursor.item(_ACTIVE):
            break
    result = made(LendingResult, dict(zip(_RESULT, (*numbers, *room.whole, strategy, None), strict=True)))
    if len(_ROOMS) < _MOST_ROOMS:
        _ROOMS.append(room)
    return result


def _run(
    inputs: Mapping[str, Floats],
    shape: tuple[int, ...],
    n: int,
    threads: int,
    progress: Callable[[int], object] | None,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    from escala.kernels.lending import lanes as kernels

    values, counts = room_for_outputs(n)
    columns = [inputs[name] for name in INPUTS]
    chunk = parallel.chunk_size(n, threads, largest=LARGEST_CHUNK, multiple=layout.LENDING_LANES)
    sweeps = at_once(inputs, OPERATIONS_AT_ONCE)

    def make_part() -> parallel.Part:
        rows = Rows(columns, shape, chunk)
        work = np.empty(layout.LENDING_WORK_SIZE, dtype=np.float64)
        cursor = np.empty(layout.lending_cursor.END, dtype=np.int64)

        def part(start: int, stop: int) -> Iterator[None]:
            buffer = rows.fill(start, stop)
            cursor[:] = 0
            while True:
                kernels.lending(buffer, values, counts, work, cursor, start, stop, sweeps)
                yield
                if cursor[layout.lending_cursor.ACTIVE] == 0:
                    return

        return part

    parallel.run(make_part, n, chunk=chunk, threads=threads, progress=progress)
    return values[:, :n], counts[:, :n]


def room_for_outputs(n: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Give arrays for what the kernel writes of n scenarios, in their first n columns.

    Rows a power of two apart would all compete for the same cache lines: eight elements more keep them apart.
    """
    values = np.empty((len(_VALUES), n + 8), dtype=np.float64)
    counts = np.empty((len(_COUNTS), n + 8), dtype=np.int64)
    return values, counts


def named_result(
    arguments: Mapping[str, Floats],
    strategy: LendingStrategy,
    shape: tuple[int, ...],
    values: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int64],
    operations: Mapping[str, npt.NDArray[Any]] | None = None,
) -> LendingResult:
    """Give the kernel's rows their names and shapes."""
    start: dict[str, Any] = {name: np.broadcast_to(array, shape)[()] for name, array in arguments.items()}
    floats: dict[str, Any] = {name: row.reshape(shape)[()] for name, row in zip(_VALUES, values, strict=True)}
    integers: dict[str, Any] = {name: row.reshape(shape)[()] for name, row in zip(_COUNTS, counts, strict=True)}
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
        arguments = {name: inputs[name] for name in ARGUMENTS}
        return named_result(arguments, self.strategy, (), values, counts, self._operations(inputs))

    def _operations(self, inputs: Mapping[str, Floats]) -> dict[str, npt.NDArray[Any]]:
        from escala.kernels.lending import lanes as kernels

        columns = Rows([inputs[name] for name in INPUTS], (), 1).fill(0, 1)
        work = np.empty(layout.LENDING_WORK_SIZE, dtype=np.float64)
        at = layout.trace_cursor
        cursor = np.empty(at.END, dtype=np.int64)
        cursor[at.OPERATION], cursor[at.STOP] = 0, kernels.GOES_ON
        blocks: list[npt.NDArray[np.float64]] = []
        most = at_once(inputs, _TABLE_BLOCK)
        while cursor[at.STOP] == kernels.GOES_ON:
            start = int(cursor[at.OPERATION])
            block = np.empty((layout.lending_operation.END, most), dtype=np.float64)
            kernels.trace(columns, block, work, cursor, start, start + most)
            blocks.append(block[:, : int(cursor[at.OPERATION]) - start])
        return _named_operations(np.concatenate(blocks, axis=1))


def _named_operations(rows: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[Any]]:
    """Give the kernel's rows of operations their names and types, and add what follows from them."""
    table: dict[str, npt.NDArray[Any]] = dict(zip(tables.names(tables.LENDING_TRACE), rows, strict=True))
    table["operation"] = np.arange(1, 1 + rows.shape[1], dtype=np.int64)
    table["ltv"] = table["borrow"] / table["supply"]
    return {
        row.name: table[row.name].astype(np.int64) if row.values.integer else table[row.name]
        for row in tables.LENDING_OPERATION
    }
