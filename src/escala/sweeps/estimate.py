"""What a sweep will cost, by a trial."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from escala import parallel
from escala.design.design import Design
from escala.errors import ScenarioError
from escala.model import Model
from escala.sweeps import plan as plans
from escala.sweeps.run import Worker
from escala.text.numerals import counted

_TRIALS: Final = 8  # places at which rows are timed, spread over the plan
_TRIAL_BLOCKS: Final = 2
_TRIAL_SECONDS: Final = 4.0  # that all of them may take, roughly
_FEW: Final = 16  # rows that are timed first
_MORE: Final = 4


@dataclass(frozen=True)
class SweepEstimate:
    """What a sweep will cost.

    Attributes
    ----------
    rows, chunks : int
        Scenarios, and files of rows.
    seconds : float
        From rows that were timed here; without what the disk adds.
    disk_bytes : int
        Of all files; 0 where nothing is written.
    """

    rows: int
    chunks: int
    seconds: float
    disk_bytes: int

    def summary(self) -> str:
        """Say it in words."""
        disk = f", {_bytes(self.disk_bytes)} on disk" if self.disk_bytes else ""
        return f"{counted(self.rows, 'row')} in {counted(self.chunks, 'chunk')}, about {_duration(self.seconds)}{disk}"


def estimate(
    design: Design,
    *,
    model: Model | str | None = None,
    strategy: Any = None,
    outputs: Sequence[str] | str | None = None,
    best: int = 5,
    chunk: int = 65_536,
    files: bool = True,
    rows: bool = True,
    threads: int | None = None,
) -> SweepEstimate:
    """Time some rows of a sweep, spread over the design, and tell what all of it will take.

    Parameters
    ----------
    design, model, strategy, outputs, best, chunk, rows, threads
        As in :func:`escala.sweep`.
    files : bool, default True
        Whether there will be a directory for the results.

    Raises
    ------
    ScenarioError
        As :func:`escala.sweep`.
    MissingExtraError
        If rows are to be kept and pyarrow is not installed.
    """
    plan = plans.make(design, model=model, strategy=strategy, outputs=outputs, chunk=chunk, best=best)
    threads = parallel.checked_threads(threads, ScenarioError)
    crew = min(threads, plan.chunks)
    seconds, size = _trial(plan, threads // crew, files=files, rows=rows)
    return SweepEstimate(plan.n, plan.chunks, seconds * plan.n / crew, size)


def _trial(plan: plans.Plan, helpers: int, *, files: bool, rows: bool) -> tuple[float, int]:
    """Give seconds a row, and bytes of all files."""
    from escala.kernels.accumulate import BLOCK
    from escala.sweeps import sink

    worker = Worker(plan, helpers)
    ranges = _affordable(worker, _spread(plan, BLOCK))
    seconds, count = _timed(worker, ranges), sum(stop - start for start, stop in ranges)
    seconds /= count
    size = plan.chunks * len(worker.take().to_bytes()) if files else 0
    if files and rows:
        room = sink.blank_rows(plan, count)
        content = sink.room_for(room)
        sink.to_parquet(room, content, sink.legend(plan))
        began = time.perf_counter()
        sink.to_parquet(room, content, sink.legend(plan))
        seconds += (time.perf_counter() - began) / count
        size += sink.bytes_of_rows(room, plan.n)
    return seconds, size


def _affordable(worker: Worker, ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Shorten ranges whose rows take too long; the first run compiles, or loads what was compiled."""
    start, stop = ranges[0]
    most = _FEW
    _timed(worker, [(start, min(stop, start + most))])
    # rows that share what is made once cost less together: as many as the time allows
    while most < stop - start and _timed(worker, [(start, min(stop, start + most))]) * _MORE < _TRIAL_SECONDS / _TRIALS:
        most *= _MORE
    worker.take()
    return [(start, min(stop, start + most)) for start, stop in ranges]


def _timed(worker: Worker, ranges: list[tuple[int, int]]) -> float:
    began = time.perf_counter()
    for start, stop in ranges:
        for _ in worker.run(start, stop):
            pass
    return time.perf_counter() - began


def _spread(plan: plans.Plan, block: int) -> list[tuple[int, int]]:
    places = sorted({k * plan.blocks // _TRIALS for k in range(_TRIALS)})
    return [(place * block, min((place + _TRIAL_BLOCKS) * block, plan.n)) for place in places]


def _bytes(size: int) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"


def _duration(seconds: float) -> str:
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60.0), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
