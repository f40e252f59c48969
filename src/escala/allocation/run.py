"""Problems through the kernel: on threads, into arrays of answers."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from escala import parallel
from escala.allocation.groups import Groups
from escala.allocation.problem import Answers, Controls
from escala.arrays import Floats, aligned
from escala.errors import AllocationError
from escala.tables import WARM

_CHUNK: Final = 4096


class _Problems(Protocol):
    """What the kernel is asked: see :class:`escala.allocation.problem.Request`."""

    @property
    def packed(self) -> tuple[npt.NDArray[np.int8], Floats, Floats]: ...
    @property
    def params(self) -> Floats: ...
    @property
    def limits(self) -> Floats: ...
    @property
    def settings(self) -> Floats: ...
    @property
    def total(self) -> Floats: ...
    @property
    def sought(self) -> Floats: ...
    @property
    def controls(self) -> Controls: ...
    @property
    def groups(self) -> Groups: ...
    @property
    def problems(self) -> int: ...
    @property
    def solves(self) -> int: ...
    @property
    def parts(self) -> int: ...


def _room(n: int, groups: int, overlapping: bool, parts: int, steps: int, most: int) -> tuple[Any, ...]:
    """Make the workspaces of a thread."""
    from escala.kernels import layout
    from escala.kernels.allocation import solve as kernels

    limits, crossed = (groups + 1, n) if overlapping else (0, 0)
    return (
        aligned(kernels.work_size(n, groups, parts, steps)),
        np.empty((layout.marks.END, n), dtype=np.int64),
        np.empty(kernels.integers_size(n, groups, most), dtype=np.int64),
        np.empty((most + 2, layout.node.END), dtype=np.int64),
        np.empty((most + 2, layout.node_bound.END)),
        np.empty((layout.solves.END, layout.trail.END)),
        np.empty((layout.drafts.END, n)),
        np.empty((layout.drafts.END, n), dtype=np.int8),
        np.empty((layout.drafts.END, layout.solution.END)),
        np.empty((layout.forest.END, groups), dtype=np.int64),
        np.empty((layout.fences.END, groups)),
        np.empty(layout.verdict.END),
        np.empty(layout.controls.END),
        np.empty(layout.quest.END),
        np.empty((layout.crossing_limits.END, limits)),
        np.empty((limits, limits)),
        np.empty((layout.crossing_lanes.END, crossed)),
    )


_kept_room = parallel.kept(_room)


@functools.lru_cache(maxsize=64)
def _no_answers(n: int) -> Answers:
    """Give room for no answer: arrays without elements, which nobody can write into."""
    return Answers.empty(0, n, 0)


@functools.cache
def _solver() -> Any:
    from escala.kernels.allocation import solve

    return solve.allocate


def run(request: _Problems, threads: int | None) -> tuple[Answers, Answers]:
    """Solve all problems, on all processors if nobody says.

    Gives the answers, and (else no rows) those of the first solve where there may be two.
    """
    m = request.problems
    groups, controls = request.groups, request.controls
    n, g = request.settings.shape[1], len(groups)
    answers = Answers.empty(m, n, g)
    first = Answers.empty(m, n, g) if request.solves == 2 else _no_answers(n)
    family, origin, steps = request.packed
    given = (
        family, request.params, origin, steps, request.limits, request.settings, request.total.reshape(-1),
        controls.packed, answers.amounts, answers.binding, answers.solution, first.amounts, first.binding,
        first.solution,
    )  # fmt: skip
    grouped = (groups.leaf, groups.parents, groups.limits, answers.group_prices)
    kinds = (groups.starts, groups.inside)
    most = 0 if controls.values["greedy"] else int(controls.values["max_nodes"])
    sizes = (n, g, groups.overlap, request.parts, steps.size, most)
    if 0 < m <= WARM:
        *work, forest, fences, ended, asked, quest, lines, matrix, lanes = _kept_room(*sizes)
        _solver()(
            *given, *work, *grouped, forest, fences, ended, request.sought, asked, quest, *kinds, lines, matrix, lanes,
            0, m,
        )  # fmt: skip
        return answers, first

    def make_part() -> parallel.Part:
        *work, forest, fences, ended, asked, quest, lines, matrix, lanes = _room(*sizes)
        arrays = (
            *given, *work, *grouped, forest, fences, ended, request.sought, asked, quest, *kinds, lines, matrix, lanes,
        )  # fmt: skip
        solve = _solver()

        def part(start: int, stop: int) -> Iterator[None]:
            for begin in range(start, stop, WARM):
                solve(*arrays, begin, min(begin + WARM, stop))
                yield

        return part

    crew = parallel.checked_threads(threads, AllocationError)
    chunk = parallel.chunk_size(m, crew, largest=_CHUNK, multiple=WARM)
    parallel.run(make_part, m, chunk=chunk, threads=crew)
    return answers, first
