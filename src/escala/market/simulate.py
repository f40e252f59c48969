"""Positions in a market: many parameter sets over many paths, or one path as a table."""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import parallel, tables
from escala.arrays import FloatLike, Floats, check_flag, known_word, one_number, to_floats, whole_number
from escala.design.points import SobolPoints
from escala.errors import MarketError
from escala.kernels import layout
from escala.market.market import Market
from escala.market.pack import Integers, Room, Scenarios, scenarios_of, setting_of, tables_of
from escala.market.policy import Policy
from escala.market.processes import Replay
from escala.market.protocol import Protocol
from escala.market.result import MarketRecord, MarketResult
from escala.market.statistics import Sampling, Statistics, describe
from escala.tables import INSIDE_ONE

_SETS_AT_ONCE: Final = 1024  # parameter sets whose outputs are kept at once
_MOST_KEPT: Final = 1 << 27  # bytes of outputs that are kept at once, where that leaves one parameter set
_CALL: Final = 5e6  # nanoseconds of a call of the kernel, roughly: between two looks at Ctrl-C
_PER_STEP: Final = 20.0  # of an asset on a path
_PER_POSITION_STEP: Final = 0.2
_PER_POSITION: Final = 400.0
_PATHS_IN_PART: Final = 512
_SETS_DESCRIBED: Final = 256  # parameter sets whose statistics are worked out together
_PATHS_DESCRIBED: Final = 1 << 18
_MOST_SOBOL: Final = 64  # coordinates an asset of a Sobol point
_LEAST_REPLICATES: Final = 8
_HELD: Final = 1e-9  # how near to the most a logarithm is taken for it, after rounding
#: Largest seed.
MOST_SEED: Final = 2**64 - 1
#: Outputs of the kernel, row by row.
OUTPUTS: Final = tables.names(tables.MARKET_OUTPUTS)
_SAMPLINGS: Final = ("random", "antithetic", "sobol")


def simulate_market(
    collateral: FloatLike,
    debt: FloatLike,
    *,
    wallet: FloatLike = 0.0,
    market: Market,
    protocol: Protocol,
    policy: Policy | None = None,
    paths: int | None = None,
    seed: int = 0,
    sampling: str = "random",
    replicates: int = 16,
    common: bool = True,
    level: float = 0.95,
    quantiles: Sequence[float] = (0.01, 0.05, 0.5, 0.95, 0.99),
    keep: str = "summary",
    record: Sequence[tuple[int, int]] = (),
    threads: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> MarketResult:
    """Let positions live through prices, interest and liquidation, on many paths.

    Parameters
    ----------
    collateral : array_like
        Units of the asset held at the start, 0 or in [1e-30, 1e30]; of several assets A, the last axis is A.
    debt, wallet : array_like
        Debt and free cash at the start, unit of account, 0 or in [1e-30, 1e30].
    market : Market
    protocol : Protocol
    policy : Policy, optional
        What the owner does; by default nothing. All numbers of market, protocol, policy and position may be arrays:
        they broadcast, and an element of the common shape is a parameter set.
    paths : int, optional
        Paths of each parameter set, at most 2³¹; needed but for a :class:`Replay`, which has a path a window.
    seed : int
        In [0, 2⁶⁴).
    sampling : {"random", "antithetic", "sobol"}
        Independent paths; pairs of opposite ones (an even number); or `replicates` times a power of two, each a
        scrambled Sobol sequence over the coarse shape of paths.
    replicates : int
        Of Sobol's points, at least 8; without Sobol sampling it is checked and not used.
    common : bool
        Whether parameter sets of one market share their paths; otherwise each has random numbers of its own.
    level : float
        Of intervals, `var` and `cvar`, in (0, 1).
    quantiles : sequence of float
        In (0, 1).
    keep : {"summary", "rows"}
        Statistics, or the outputs of every path too.
    record : sequence of (int, int)
        Parameter sets and paths of which tables of steps and events are kept.
    threads : int, optional
        Threads to use; by default ``ESCALA_THREADS``, else all processors of this process. Results do not depend on
        it.
    progress : callable, optional
        Called now and then with the number of paths done, counted for each block of parameter sets.

    Returns
    -------
    MarketResult
        Statistics of the common shape.

    Raises
    ------
    MarketError
        If an argument is out of range, does not broadcast or does not go with another; nothing was run.
    KeyboardInterrupt
        Ctrl-C ends a run at once.

    Warns
    -----
    UserWarning
        Where a run ends at a price of the first asset that is held: see :class:`Market`.

    Notes
    -----
    Health is Σ collateral·liquidation_threshold·price/debt, of what has grown by yield and interest. In each step the
    position is first liquidated on the way down to the step's low (if the market has ``barrier=True``), then at its
    end; then the owner acts. A position does not move prices or rates, and every trade meets the full depth.

    Examples
    --------
    >>> from escala import GBM, Asset, FixedRate, Market, Protocol, simulate_market
    >>> eth = Asset(2000.0, GBM(mu=0.0, sigma=0.8))
    >>> market = Market(eth, FixedRate(0.05), dt=3600, steps=24 * 30, barrier=True)
    >>> aave = Protocol.aave_v3(liquidation_threshold=0.83, loan_to_value=0.805, bonus=0.05)
    >>> result = simulate_market(10.0, [8_000.0, 12_000.0], market=market, protocol=aave, paths=1000)
    >>> result.liquidation_probability
    array([0.001, 0.179])
    """
    policy = Policy() if policy is None else policy
    check_types(market, protocol, policy)
    sample = checked_sampling(sampling, paths, replicates, market)
    seed = whole_number("seed", seed, 0, MOST_SEED, MarketError)
    level = one_number("level", level, INSIDE_ONE, MarketError)
    wanted = _checked_quantiles(quantiles)
    common = check_flag("common", common, MarketError)
    if not known_word(keep, {"summary", "rows"}):
        raise MarketError(f"keep must be 'summary' or 'rows', not {keep!r}", arguments=("keep",))
    threads = parallel.checked_threads(threads, MarketError)
    scenarios = scenarios_of(collateral, debt, wallet, market, protocol, policy, common=common)
    recorded = _checked_record(record, scenarios, sample.paths)
    job = Job.of(scenarios, market, protocol, sample, seed)
    n = len(scenarios.positions)
    found = Statistics.of(n, len(wanted))
    ends = np.empty((n, sample.paths))
    rows = np.empty((len(tables.MARKET_OUTPUTS), n, sample.paths)) if keep == "rows" else None
    held = 0
    for block in job.blocks():
        values = job.run(block, threads, progress)
        held += job.held_prices(block, values)
        _describe_block(found, ends, rows, block, values, sample, level, wanted, threads)
        del values  # before the next block takes as much
    if held:
        message = f"{held:,} of {n * sample.paths:,} runs end where the price of the first asset is held"
        warnings.warn(f"{message}: at e^300 times its start, or that part of it", UserWarning, stacklevel=2)
    records = {place: job.record(*place) for place in recorded}
    return MarketResult(
        scenarios.shape, market, protocol, policy, sample, level, wanted, common, seed, found, ends, rows, records
    )


def check_types(market: Any, protocol: Any, policy: Any) -> None:
    """Check that each of the three is one.

    Raises
    ------
    MarketError
        Naming the argument.
    """
    for name, value, kind in (("market", market, Market), ("protocol", protocol, Protocol), ("policy", policy, Policy)):
        if not isinstance(value, kind):
            raise MarketError(f"{name} must be a {kind.__name__}, not {value!r}", arguments=(name,))


def checked_sampling(kind: str, paths: int | None, replicates: int, market: Market) -> Sampling:
    """Check how many paths there are, and of which kind.

    Raises
    ------
    MarketError
        Naming the argument.
    """
    if not known_word(kind, _SAMPLINGS):
        raise MarketError(f"sampling must be one of {', '.join(_SAMPLINGS)}, not {kind!r}", arguments=("sampling",))
    replicates = whole_number("replicates", replicates, _LEAST_REPLICATES, error=MarketError)
    if kind != "random" and market.joint is not None:
        message = f"sampling must be 'random' where all assets move together, not {kind!r}"
        raise MarketError(message, arguments=("sampling", "market"))
    if isinstance(market.joint, Replay):
        return Sampling(kind, _checked_windows(paths, len(market.joint.rows_for(market.steps)), market.steps))
    if paths is None:
        raise MarketError("paths must be given but for a Replay", arguments=("paths",))
    count = whole_number("paths", paths, 1, tables.MOST_PATHS, MarketError)
    if kind == "antithetic" and count % 2:
        raise MarketError(f"paths must be even for antithetic sampling, not {count}", arguments=("paths",))
    if kind != "sobol":
        return Sampling(kind, count)
    each = count // replicates
    if each * replicates != count or each & (each - 1) or each == 0:
        message = f"paths must be {replicates} replicates of a power of two for Sobol sampling, not {count}"
        raise MarketError(message, arguments=("paths", "replicates"))
    return Sampling(kind, count, replicates)


def _checked_windows(paths: int | None, windows: int, steps: int) -> int:
    """Check how many windows of past prices are paths; by default all are."""
    if paths is None:
        return windows
    count = whole_number("paths", paths, 1, error=MarketError)
    if count > windows:
        held = f"{windows} window{'' if windows == 1 else 's'} of {steps} steps"
        raise MarketError(
            f"paths must be at most {windows}, not {count}: there are prices for {held}", arguments=("paths",)
        )
    return count


def _checked_quantiles(quantiles: Sequence[float]) -> tuple[float, ...]:
    given = to_floats("quantiles", quantiles, MarketError).reshape(-1)
    if not given.size:
        raise MarketError("quantiles must be one number or more, not none", arguments=("quantiles",))
    bad = np.flatnonzero(~INSIDE_ONE.contains(given))
    if bad.size:
        message = f"quantiles must be {INSIDE_ONE}, but quantiles[{bad[0]}] = {float(given[bad[0]])!r}"
        raise MarketError(message, arguments=("quantiles",), indexes=((int(bad[0]),),))
    return tuple(float(q) for q in given)


def _checked_record(record: Sequence[tuple[int, int]], scenarios: Scenarios, paths: int) -> list[tuple[int, int]]:
    n = len(scenarios.positions)
    if isinstance(record, str) or not isinstance(record, Iterable):
        message = f"record must be a sequence of pairs of a parameter set and a path, not {record!r}"
        raise MarketError(message, arguments=("record",))
    places = []
    for k, place in enumerate(record):
        try:
            i, path = place
        except (TypeError, ValueError):
            message = f"record must be pairs of a parameter set and a path, not {place!r}"
            raise MarketError(message, arguments=("record",), indexes=((k,),)) from None
        whole_number(f"record[{k}][0]", i, 0, n - 1, MarketError)
        whole_number(f"record[{k}][1]", path, 0, paths - 1, MarketError)
        places.append((int(i), int(path)))
    return places


@dataclass(frozen=True)
class Block:
    """Some parameter sets, market by market.

    Attributes
    ----------
    sets : (k,) int64
        Their places in the call.
    groups : (g,) int64
        Their markets, each once.
    members : (g + 1,) int64
        Where the sets of each begin.
    """

    sets: Integers
    groups: Integers
    members: Integers


@dataclass(frozen=True)
class Job:
    """A call, as the kernel takes it."""

    scenarios: Scenarios
    sample: Sampling
    setting: Integers
    tables: dict[str, npt.NDArray[Any]]
    sobol: tuple[SobolPoints, ...]

    @classmethod
    def of(cls, scenarios: Scenarios, market: Market, protocol: Protocol, sample: Sampling, seed: int) -> Job:
        """Make it, with the points of a Sobol sequence where they are asked for."""
        coordinates, points = 0, []
        if sample.kind == "sobol":
            coordinates = 1 << (min(_MOST_SOBOL, market.steps).bit_length() - 1)
            each, width = sample.paths // sample.replicates, coordinates * len(market.assets)
            points = [
                SobolPoints.like_scipy(each, width, seed + r, scramble=True) for r in range(sample.replicates)
            ]  # fmt: skip
        setting = setting_of(
            market, protocol.rule, paths=sample.paths, seed=seed, antithetic=sample.kind == "antithetic",
            sobol=coordinates,
        )  # fmt: skip
        # columns a power of two apart would all compete for the same cache lines
        setting[layout.market_setting.STRIDE] = (sample.paths + 7) // 8 * 8 + 8
        return cls(scenarios, sample, setting, tables_of(market), tuple(points))

    def blocks(self, size: int | None = None) -> Iterator[Block]:
        """Give the parameter sets in blocks of some size, or of one whose outputs fit."""
        group = self.scenarios.group
        order = np.argsort(group, kind="stable")
        if size is None:
            each = len(tables.MARKET_OUTPUTS) * int(self.setting[layout.market_setting.STRIDE]) * 8
            size = max(1, min(_SETS_AT_ONCE, _MOST_KEPT // each))
        for first in range(0, len(order), size):
            sets = order[first : first + size]
            groups, begins = np.unique(group[sets], return_index=True)
            yield Block(sets, groups, np.append(begins, len(sets)).astype(np.int64))

    def run(self, block: Block, threads: int, progress: Callable[[int], object] | None) -> Floats:
        """Walk the sets of a block along all paths of their markets: outputs (outputs, sets + 1, stride)."""
        stride = int(self.setting[layout.market_setting.STRIDE])
        # outputs a power of two apart would compete for the same cache lines: one parameter set more than there are
        kept = np.zeros((len(tables.MARKET_OUTPUTS), len(block.sets) + 1, stride))
        values = kept.reshape(len(kept), -1)
        total = len(block.groups) * self.sample.paths
        at_once = self.at_once(len(block.sets) / len(block.groups))
        inputs = self.inputs(block)

        def make_part() -> parallel.Part:
            walked = Walked(self, inputs, values, Room.for_market(self.setting, loops=inputs.has_loops))

            def part(start: int, stop: int) -> Iterator[None]:
                while start < stop:
                    start = walked.advance(start, min(stop, start + at_once))
                    yield

            return part

        chunk = parallel.chunk_size(total, threads, largest=_PATHS_IN_PART, multiple=1)
        parallel.run(make_part, total, chunk=chunk, threads=threads, progress=progress)
        return kept

    def held_prices(self, block: Block, values: Floats) -> int:
        """Count the runs that end where the price of the first asset is held."""
        from escala.kernels.market.stages import FURTHEST

        if self.setting[layout.market_setting.JOINT] == tables.code_values(tables.PROCESSES)["replay"]:
            return 0  # its prices are made of no logarithms
        first = self.scenarios.assets[self.scenarios.group[block.sets] * self.scenarios.count]
        start = first[:, layout.market_asset.PRICE, None]
        ends = values[layout.market_output.END_PRICE, : len(block.sets), : self.sample.paths]
        low, high = start * math.exp(_HELD - FURTHEST), start * math.exp(FURTHEST - _HELD)
        return int(np.count_nonzero((ends < low) | (ends > high)))

    def at_once(self, sets: float) -> int:
        """Say how many paths a call of the kernel takes, with so many parameter sets a path."""
        s = layout.market_setting
        steps, count = int(self.setting[s.STEPS]), int(self.setting[s.ASSETS])
        path = steps * count * _PER_STEP + sets * (steps * _PER_POSITION_STEP + _PER_POSITION)
        return max(1, int(_CALL / path))

    def inputs(self, block: Block) -> Inputs:
        """Give what the kernel reads of a block."""
        a, count = self.scenarios, self.scenarios.count
        rows = (block.sets[:, None] * count + np.arange(count)).reshape(-1)
        asset_rows = (block.groups[:, None] * count + np.arange(count)).reshape(-1)
        return Inputs(
            np.ascontiguousarray(a.markets[block.groups]),
            np.ascontiguousarray(a.assets[asset_rows]),
            np.ascontiguousarray(a.words[block.groups]),
            block.members,
            np.ascontiguousarray(a.positions[block.sets]),
            np.ascontiguousarray(a.holdings[rows]),
            np.ascontiguousarray(a.loops[:, block.sets]) if a.loops.shape[1] else np.zeros((1, 0)),
        )

    def record(self, i: int, path: int) -> MarketRecord:
        """Walk one parameter set along one path and keep the tables of steps and events."""
        sets = np.array([i])
        block = Block(sets, self.scenarios.group[sets], np.array([0, 1], dtype=np.int64))
        inputs = self.inputs(block)
        stride = int(self.setting[layout.market_setting.STRIDE])
        values = np.zeros((len(tables.MARKET_OUTPUTS), stride))
        room = Room.for_market(self.setting, loops=inputs.has_loops)
        walked = Walked(self, inputs, values, room)
        walked.advance(path, path + 1)
        counted = int(room.state[layout.market_state.COUNTED])
        if counted:  # how many there are is known only now
            walked.room = Room.for_market(self.setting, loops=inputs.has_loops, events=counted)
            walked.advance(path, path + 1)
        held_after = None if self.sobol else functools.partial(self.held_after, i, path)
        return MarketRecord.of(walked.room, values[:, path], self.scenarios.count, self.setting, held_after)

    def held_after(self, i: int, path: int, steps: list[int]) -> Floats:
        """Give what a parameter set holds on a path after some steps.

        Returns
        -------
        (steps, 2·A + 3) float64
            Collateral and liquidation thresholds of the assets; debt at the start's worth, wallet, buffer.
        """
        h, w, count = layout.market_held, layout.market_state, self.scenarios.count
        sets = np.array([i])
        block = Block(sets, self.scenarios.group[sets], np.array([0, 1], dtype=np.int64))
        inputs = self.inputs(block)
        setting = self.setting.copy()
        values = np.zeros((len(tables.MARKET_OUTPUTS), int(setting[layout.market_setting.STRIDE])))
        room = Room.for_market(setting, loops=inputs.has_loops)
        walked = Walked(dataclasses.replace(self, setting=setting), inputs, values, room)
        found = np.zeros((len(steps), 2 * count + 3))
        held = (h.COLLATERAL, h.LIQUIDATION_THRESHOLD)
        for row in np.argsort(steps)[::-1]:  # a market is prepared once, for the longest walk
            setting[layout.market_setting.STEPS] = steps[row]  # a path does not depend on how long it goes on
            walked.advance(path, path + 1)
            state = room.state
            found[row, : 2 * count] = np.concatenate([state[first : first + count] for first in held])
            found[row, 2 * count :] = state[w.DEBT], state[w.WALLET], state[w.BUFFER]
        return found


@dataclass(frozen=True)
class Inputs:
    """What the kernel reads of a block."""

    markets: Floats
    assets: Floats
    words: Integers
    members: Integers
    positions: Floats
    holdings: Floats
    loops: Floats

    @property
    def has_loops(self) -> bool:
        """Tell whether a lending loop runs."""
        return bool(self.loops.shape[1] > 0)


@dataclass
class Walked:
    """One thread's walk through the paths of a block."""

    job: Job
    inputs: Inputs
    values: Floats
    room: Room

    def advance(self, start: int, stop: int) -> int:
        """Walk along the paths from `start` on, at most to `stop`; give where it ended."""
        from escala.kernels.market.walk import walk

        points, stop = self._points(start, stop)
        i, t, r = self.inputs, self.job.tables, self.room
        walk(
            self.job.setting, i.markets, i.assets, t["kinds"], t["oracle"], t["factor"], t["table"], t["lows"],
            t["starts"], points, i.words, i.members, i.positions, i.holdings, i.loops, self.job.scenarios.steps,
            self.values, r.events, r.series, r.small, r.large, r.work, r.places, r.lane, r.state, start, stop,
        )  # fmt: skip
        return stop

    def _points(self, start: int, stop: int) -> tuple[Floats, int]:
        """Give Sobol's coordinates of some paths, none beyond the replicate of the first."""
        if not self.job.sobol:
            return np.zeros((stop - start, 0)), stop
        sample = self.job.sample
        path = start % sample.paths
        each = sample.paths // sample.replicates
        replicate, first = divmod(path, each)
        n = min(stop - start, each - first)
        source = self.job.sobol[replicate]
        points, column = np.empty((n, len(source.directions))), np.empty(n)
        for dimension in range(points.shape[1]):
            source.fill(dimension, column, first, first + n)
            points[:, dimension] = column
        return points, start + n


def _describe_block(
    found: Statistics,
    ends: Floats,
    rows: Floats | None,
    block: Block,
    values: Floats,
    sample: Sampling,
    level: float,
    quantiles: tuple[float, ...],
    threads: int,
) -> None:
    """Work out the statistics of the sets of a block."""

    def make_part() -> parallel.Part:
        def part(start: int, stop: int) -> Iterator[None]:
            places = block.sets[start:stop]
            own = values[:, start:stop]
            describe(found, places, dict(zip(OUTPUTS, own, strict=True)), sample, level, quantiles)
            ends[places] = own[layout.market_output.END_EQUITY, :, : sample.paths]
            if rows is not None:
                rows[:, places] = own[:, :, : sample.paths]
            yield

        return part

    chunk = max(1, min(_SETS_DESCRIBED, _PATHS_DESCRIBED // sample.paths))
    parallel.run(make_part, len(block.sets), chunk=chunk, threads=threads)
