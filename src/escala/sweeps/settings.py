"""A sweep described by a TOML file, and what a sweep will cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Final

from escala import parallel
from escala.design.design import Design, design_in, read_toml
from escala.errors import ScenarioError, did_you_mean
from escala.lending.strategy import STRATEGY_FIELDS, LendingStrategy
from escala.sweeps import plan as plans
from escala.sweeps.run import Worker
from escala.text.numerals import counted

_KEYS: Final = ("outputs", "chunk", "best")
_TABLES: Final = ("design", "strategy", "sweep")
_TRIALS: Final = 8  # places at which rows are timed, spread over the plan
_TRIAL_BLOCKS: Final = 2


@dataclass(frozen=True, eq=False)
class SweepSettings:
    """What a file asks for: ``sweep(settings.design, **settings.options)``.

    Attributes
    ----------
    design : Design
        Its rows are the scenarios.
    strategy : LendingStrategy
        The fields that are no columns.
    options : dict
        Further keywords of :func:`escala.sweep`: `strategy` and what ``[sweep]`` says.
    """

    design: Design
    strategy: LendingStrategy
    options: dict[str, Any]


def from_toml(path: str | PathLike[str]) -> SweepSettings:
    """Read a sweep from a TOML file.

    Parameters
    ----------
    path : path
        ``[design]`` as in :meth:`escala.Design.from_toml`; ``[strategy]`` with numbers for fields, ``[sweep]`` with
        ``outputs`` (a list of names, or ``"all"``), ``chunk`` and ``best``, both tables optional.

    Raises
    ------
    DesignError
        If it is no TOML file, or its design is bad; names the file and the key.
    ScenarioError
        If another table, key or value is not known or not allowed; names the file and the key.
    OSError
        If it cannot be read.
    """
    content = read_toml(path)
    design = design_in(content, path)
    try:
        _known(content, _TABLES, "table")
        chosen = _table(content, "sweep", _KEYS)
        strategy = LendingStrategy(**_table(content, "strategy", STRATEGY_FIELDS))
        if "outputs" in chosen and not _is_names(chosen["outputs"]):
            message = f'sweep: outputs must be "all" or a list of names, not {chosen["outputs"]!r}'
            raise ScenarioError(message, arguments=("outputs",))
        options = {"strategy": strategy, **chosen}
        plans.make(design, **options)
    except ScenarioError as error:
        message = f"{path}: {error}"
        raise ScenarioError(message, arguments=error.arguments, indexes=error.indexes) from None
    return SweepSettings(design, strategy, options)


def _is_names(given: object) -> bool:
    return isinstance(given, str) or (isinstance(given, list) and all(isinstance(name, str) for name in given))


def _table(content: Mapping[str, Any], name: str, keys: Sequence[str]) -> dict[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise ScenarioError(f"{name} must be a table, not {table!r}", arguments=(name,))
    _known(table, keys, f"key of [{name}]")
    return table


def _known(given: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for key in given:
        if key not in known:
            hint = did_you_mean(key, known, f"; there are {', '.join(known)}")
            raise ScenarioError(f"{key!r} is no {what}{hint}", arguments=(key,))


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
    strategy: LendingStrategy | None = None,
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
    design, strategy, outputs, best, chunk, rows, threads
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
    plan = plans.make(design, strategy=strategy, outputs=outputs, chunk=chunk, best=best)
    crew = min(parallel.checked_threads(threads, ScenarioError), plan.chunks)
    seconds, size = _trial(plan, files=files, rows=rows)
    return SweepEstimate(plan.n, plan.chunks, seconds * plan.n / crew, size)


def _trial(plan: plans.Plan, *, files: bool, rows: bool) -> tuple[float, int]:
    """Give seconds a row, and bytes of all files."""
    from escala.kernels.accumulate import BLOCK
    from escala.sweeps import sink

    ranges = _spread(plan, BLOCK)
    worker = Worker(plan)
    for _ in worker.run(*ranges[0]):  # the first run compiles, or loads what was compiled
        pass
    worker.take()
    began = time.perf_counter()
    for start, stop in ranges:
        for _ in worker.run(start, stop):
            pass
    count = sum(stop - start for start, stop in ranges)
    seconds = (time.perf_counter() - began) / count
    size = plan.chunks * len(worker.take().to_bytes()) if files else 0
    if files and rows:
        room = sink.blank_rows(plan, count)
        content = sink.room_for(room)
        sink.to_parquet(room, content)
        began = time.perf_counter()
        sink.to_parquet(room, content)
        seconds += (time.perf_counter() - began) / count
        size += sink.bytes_of_rows(room, plan.n)
    return seconds, size


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
