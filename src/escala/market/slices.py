"""Parameter sets in slices: what sweeps and tuning run on.

Sets are put market by market, so that a path is made once for hundreds of them. Where the outputs of all their paths
would take too much memory they are walked some paths at a time, and of each path only what is asked for is kept: then
making paths costs next to nothing, and no path needs to be kept between two slices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Final

import numpy as np

from escala import parallel
from escala.arrays import Floats
from escala.kernels import layout
from escala.market.pack import Room, scenarios_of
from escala.market.settings import MarketSettings
from escala.market.simulate import OUTPUTS, Block, Job, Walked
from escala.market.statistics import Statistics, Wanted, describe

#: Levels of the quantiles that are outputs of the model.
LEVELS: Final = (0.01, 0.05, 0.5, 0.95, 0.99)
_SETS_AT_ONCE: Final = 1024  # that share a path
_ROOM: Final = 1 << 25  # bytes of outputs of all paths of a block of parameter sets
_KEPT: Final = 1 << 26  # bytes of what is asked for alone
_TILE: Final = 32  # paths that sets are walked along before what is asked for of them is taken
_PATHS_IN_PIECE: Final = 512
_DESCRIBED: Final = 1 << 18  # paths of parameter sets whose statistics are worked out together


class MarketSlices:
    """Parameter sets in slices; one thread's alone, though it may have others help.

    Parameters
    ----------
    settings : MarketSettings
        What no column replaces.
    outputs : sequence of str
        Statistics that are asked for.
    threads : int
        Threads to use.
    """

    def __init__(self, settings: MarketSettings, outputs: Sequence[str], threads: int) -> None:
        self._settings = settings
        self._outputs = tuple(outputs)
        self._wanted = Wanted.of(outputs, LEVELS)
        self._threads = threads
        self._job: Job | None = None
        self._found = Statistics.of(0, len(LEVELS))

    def run(self, columns: Mapping[str, Floats], n: int) -> Iterator[None]:
        """Walk a slice of n parameter sets along all paths, in steps of some milliseconds.

        Raises
        ------
        MarketError
            If a value is not allowed.
        """
        job = self._made(columns, n)
        self._found = Statistics.of(n, len(LEVELS))
        shared, size = self._cut(job, n)
        for block in job.blocks(size):
            names, threads = self._wanted.sources, self._threads
            walked = _Shared(job, block, names) if shared else _Whole(job, block, names, threads)
            yield from _spread(walked.part, walked.pieces, walked.chunk, self._threads)
            yield from self._describe(block, walked.rows())

    def _made(self, columns: Mapping[str, Floats], n: int) -> Job:
        """Make the job of a slice: what no parameter set changes is made once."""
        s = self._settings.replaced({name: column[:n] for name, column in columns.items()})
        made = scenarios_of(s.collateral, s.debt, s.wallet, s.market, s.protocol, s.policy, common=True)
        if self._job is None:
            self._job = Job.of(made, s.market, s.protocol, s.sample, s.seed)
        return dataclasses.replace(self._job, scenarios=made)

    def _cut(self, job: Job, n: int) -> tuple[bool, int]:
        """Say whether so many sets share a path that some paths are walked at a time, and how large a block is."""
        each = 8 * int(job.setting[layout.market_setting.STRIDE])
        whole = max(1, _ROOM // (len(OUTPUTS) * each))
        if n / max(1, len(job.scenarios.markets)) <= whole:
            return False, min(_SETS_AT_ONCE, whole)
        return True, max(1, min(_SETS_AT_ONCE, _KEPT // (each * max(1, len(self._wanted.sources)))))

    def _describe(self, block: Block, rows: Mapping[str, Floats]) -> Iterator[None]:
        sample, level = self._settings.sample, self._settings.level
        found, wanted = self._found, self._wanted

        def make_part() -> parallel.Part:
            def part(start: int, stop: int) -> Iterator[None]:
                own = {name: table[start:stop] for name, table in rows.items()}
                describe(found, block.sets[start:stop], own, sample, level, LEVELS, wanted)
                yield

            return part

        yield from _spread(make_part, len(block.sets), max(1, _DESCRIBED // sample.paths), self._threads)

    def result(self, columns: Mapping[str, Floats], n: int) -> SimpleNamespace:  # noqa: ARG002
        """Name what was asked for of the slice, (n,) each."""
        found = self._found.by_name(LEVELS)
        return SimpleNamespace(**{name: found[name] for name in self._outputs})


def _spread(make_part: Callable[[], parallel.Part], n: int, chunk: int, threads: int) -> Iterator[None]:
    """Work through a range in this thread, which looks up in between, or on some threads."""
    if threads > 1:
        parallel.run(make_part, n, chunk=chunk, threads=threads)
        yield
        return
    part = make_part()
    for start in range(0, n, chunk):
        yield from part(start, min(start + chunk, n))


class _Whole:
    """A block of parameter sets of many markets: the kernel writes the outputs of all their paths.

    Parameters
    ----------
    job : Job
        The slice.
    block : Block
        Some of its sets.
    names : tuple of str
        Outputs that are asked for.
    threads : int
        That take part.
    """

    def __init__(self, job: Job, block: Block, names: tuple[str, ...], threads: int) -> None:
        self._job, self._inputs, self._names = job, job.inputs(block), names
        stride = int(job.setting[layout.market_setting.STRIDE])
        # outputs a power of two apart would compete for the same cache lines: one parameter set more than there are
        self._values = np.zeros((len(OUTPUTS), len(block.sets) + 1, stride))
        self._at_once = job.at_once(len(block.sets) / len(block.groups))
        self.pieces = len(block.groups) * job.sample.paths
        self.chunk = parallel.chunk_size(self.pieces, threads, largest=_PATHS_IN_PIECE, multiple=1)

    def part(self) -> parallel.Part:
        """Give what walks along a range of paths, market by market."""
        values = self._values.reshape(len(OUTPUTS), -1)
        room = Room.for_market(self._job.setting, loops=self._inputs.has_loops)
        walked = Walked(self._job, self._inputs, values, room)

        def part(start: int, stop: int) -> Iterator[None]:
            while start < stop:
                start = walked.advance(start, min(stop, start + self._at_once))
                yield

        return part

    def rows(self) -> dict[str, Floats]:
        """Give what is asked for of all paths, (sets + 1, stride) each."""
        return {name: self._values[OUTPUTS.index(name)] for name in self._names}


class _Shared:
    """A block of parameter sets that share paths: some paths at a time, and what is asked for is taken after each.

    Parameters
    ----------
    job : Job
        The slice.
    block : Block
        Some of its sets.
    names : tuple of str
        Outputs that are kept.
    """

    def __init__(self, job: Job, block: Block, names: tuple[str, ...]) -> None:
        self._inputs = job.inputs(block)
        self._sets = len(block.sets)
        self._at_once = job.at_once(self._sets / len(block.groups))
        self._members = block.members
        self._kept = {name: np.empty((self._sets, job.sample.paths)) for name in names}
        self._paths = job.sample.paths
        self._tile = max(8, min(_TILE, (self._paths + 7) // 8 * 8))
        self._tiles = -(-self._paths // self._tile)
        setting = job.setting.copy()
        setting[layout.market_setting.STRIDE] = self._tile + 8
        self._job = dataclasses.replace(job, setting=setting)
        self.pieces = len(block.groups) * self._tiles
        self.chunk = 1

    def part(self) -> parallel.Part:
        """Give what walks along a range of tiles, market by market, and keeps what is asked for."""
        stride = self._tile + 8
        # the kernel counts columns by the path's own number: the window that a tile fills moves on with it
        values = np.zeros((len(OUTPUTS), self._sets * stride + self._paths))
        room = Room.for_market(self._job.setting, loops=self._inputs.has_loops)
        walked = Walked(self._job, self._inputs, values, room)
        rows = {name: OUTPUTS.index(name) for name in self._kept}

        def part(start: int, stop: int) -> Iterator[None]:
            for piece in range(start, stop):
                market, tile = divmod(piece, self._tiles)
                first, last = tile * self._tile, min((tile + 1) * self._tile, self._paths)
                sets = slice(*(int(k) for k in self._members[market : market + 2]))
                window = {
                    name: values[row, first : first + self._sets * stride].reshape(self._sets, stride)[sets]
                    for name, row in rows.items()
                }
                for table in window.values():
                    table[:] = 0.0
                place, end = market * self._paths + first, market * self._paths + last
                while place < end:
                    place = walked.advance(place, min(end, place + self._at_once))
                    yield
                for name, table in window.items():
                    self._kept[name][sets, first:last] = table[:, : last - first]

        return part

    def rows(self) -> dict[str, Floats]:
        """Give what is asked for of all paths, (sets, paths) each."""
        return self._kept
