"""Problems through the kernel: on threads, into arrays of answers."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from escala import parallel
from escala.allocation.problem import Answers, Request
from escala.arrays import aligned
from escala.errors import AllocationError
from escala.tables import WARM

_CHUNK: Final = 4096


def _room(n: int, groups: int, parts: int, steps: int, most: int) -> tuple[Any, ...]:
    """Make the workspaces of a thread."""
    from escala.kernels import layout
    from escala.kernels.allocation import solve as kernels

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


def run(request: Request, threads: int | None) -> tuple[Answers, Answers]:
    """Solve all problems, on all processors if nobody says.

    Gives the answers, and (else no rows) those of the first solve where there may be two.
    """
    m = request.problems
    curves, groups, controls = request.curves, request.groups, request.controls
    n, g = len(curves), len(groups)
    answers = Answers.empty(m, n, g)
    first = Answers.empty(m, n, g) if request.solves == 2 else _no_answers(n)
    family, _, origin, steps = curves._arrays()
    given = (
        family, request.params, origin, steps, request.limits, request.settings, request.total.reshape(-1),
        controls.packed, answers.amounts, answers.binding, answers.solution, first.amounts, first.binding,
        first.solution,
    )  # fmt: skip
    grouped = (groups.leaf, groups.parents, groups.limits, answers.group_prices)
    sizes = (n, g, request.parts, steps.size, 0 if controls.values["greedy"] else int(controls.values["max_nodes"]))
    if 0 < m <= WARM:
        *work, forest, fences, ended, asked, quest = _kept_room(*sizes)
        _solver()(*given, *work, *grouped, forest, fences, ended, request.sought, asked, quest, 0, m)
        return answers, first

    def make_part() -> parallel.Part:
        *work, forest, fences, ended, asked, quest = _room(*sizes)
        arrays = (*given, *work, *grouped, forest, fences, ended, request.sought, asked, quest)
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
