"""Problems through the kernel: on threads, into arrays of answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from escala import parallel
from escala.allocation.problem import Answers, Request
from escala.arrays import aligned
from escala.tables import WARM

_CHUNK: Final = 4096


def run(request: Request, threads: int) -> tuple[Answers, Answers]:
    """Solve all problems; gives the answers, and (else no rows) those of the first solve where there may be two."""
    from escala.kernels import layout
    from escala.kernels.allocation import solve as kernels

    n, m = len(request.curves), request.problems
    answers, first = Answers.empty(m, n), Answers.empty(m if request.solves == 2 else 0, n)
    family, _, origin, steps = request.curves._arrays()
    trusted_to, totals = request.limits, request.total.reshape(-1)
    most = 0 if request.greedy else int(request.controls["max_nodes"])
    controls = np.array(list(request.controls.values()))

    def make_part() -> parallel.Part:
        room = (
            aligned(kernels.work_size(n, request.solves, steps.size)),
            np.empty((layout.marks.END, n), dtype=np.int64),
            np.empty(kernels.integers_size(n, most), dtype=np.int64),
            np.empty((most + 2, layout.node.END), dtype=np.int64),
            np.empty((most + 2, layout.node_bound.END)),
            np.empty((layout.solves.END, layout.trail.END)),
            np.empty((layout.drafts.END, n)),
            np.empty((layout.drafts.END, n), dtype=np.int8),
            np.empty((layout.drafts.END, layout.solution.END)),
        )

        def part(start: int, stop: int) -> Iterator[None]:
            for begin in range(start, stop, WARM):
                kernels.allocate(
                    family, request.params, origin, steps, trusted_to, request.settings, totals, controls,
                    answers.amounts, answers.binding, answers.solution, first.amounts, first.binding, first.solution,
                    *room, begin, min(begin + WARM, stop),
                )  # fmt: skip
                yield

        return part

    chunk = parallel.chunk_size(m, threads, largest=_CHUNK, multiple=WARM)
    parallel.run(make_part, m, chunk=chunk, threads=threads)
    return answers, first
