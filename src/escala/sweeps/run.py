"""One chunk of a plan: rows, the model, outputs, totals; and many chunks on threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from escala import parallel
from escala.arrays import Floats
from escala.errors import InputError, SweepError
from escala.model import Model
from escala.sweeps import accumulate
from escala.sweeps.accumulate import State, Total
from escala.sweeps.plan import Plan
from escala.sweeps.sink import Files, Sink

_SLICE: Final = 16_384  # rows that are worked on together, whole blocks: more would only leave the caches


class Worker:
    """What one thread needs to work through ranges of a plan, and what those left behind.

    Parameters
    ----------
    plan : Plan
        The sweep.
    threads : int, default 1
        Threads that help it where scenarios take long: all of those that have no part of their own.
    """

    def __init__(self, plan: Plan, threads: int = 1) -> None:
        from escala.kernels.accumulate import BINS, WORK_SIZE

        m = len(plan.outputs)
        self.plan = plan
        self._checks = _rows_may_be_bad(plan)
        self._slices = plan.model.slices(plan.names, plan.strategy, _SLICE, plan.outputs, threads)
        # Rows a power of two apart would all compete for the same cache lines: eight elements more keep them apart.
        self._columns = np.empty((len(plan.names), _SLICE + 8))
        self._table = np.empty((m, _SLICE + 8))
        self._histogram = accumulate.zeros(m, BINS)
        self._touched = accumulate.zeros(m, BINS)
        self._marks = np.zeros(m, dtype=np.int64)
        self._work = np.empty(WORK_SIZE)
        self._begin()

    def _begin(self) -> None:
        m, k = len(self.plan.outputs), self.plan.best
        self._rows = 0
        self._stops = np.zeros(len(self.plan.model.stops), dtype=np.int64)
        self.runs: dict[int, Floats] = {}
        self._lowest = np.full(m, np.inf)
        self._highest = np.full(m, -np.inf)
        self._best = np.full((2 * m, k), -np.inf)
        self._best_rows = np.full((2 * m, k), -1, dtype=np.int64)
        self._sample: dict[int, Floats] = {}

    def run(self, start: int, stop: int, keep: Files | None = None) -> Iterator[None]:
        """Work through the rows ``start <= i < stop`` in steps of some milliseconds; ranges come in rising order.

        Parameters
        ----------
        start, stop : int
            Multiples of the block, or the plan's end.
        keep : Files, optional
            Given every row.

        Raises
        ------
        InputError
            The model's error, if the design gives values that no scenario may have; names rows and values.
        """
        from escala.kernels.accumulate import BLOCK, MOMENTS

        m = len(self.plan.outputs)
        moments = np.empty((-(-(stop - start) // BLOCK), m, len(MOMENTS)))
        for first in range(start, stop, _SLICE):
            n = min(_SLICE, stop - first)
            columns = self._make(first, first + n)
            try:
                yield from self._slices.run(columns, n)
            except InputError as error:
                raise _by_row(columns, first, error) from None
            result = self._slices.result(columns, n)
            self._take_in(result, first, n, moments[(first - start) // BLOCK :])
            self._keep_sample(columns, first, n)
            if keep is not None:
                keep.add(columns, self._table[:, :n], result.stop if self.plan.model.stops else None)
        self.runs[start // BLOCK] = moments[:, :, :3]
        self._lowest = np.minimum(self._lowest, moments[:, :, 3].min(axis=0))
        self._highest = np.maximum(self._highest, moments[:, :, 4].max(axis=0))

    def _make(self, start: int, stop: int) -> Mapping[str, Floats]:
        columns = self.plan.design.rows(start, stop, out=self._columns)
        if self._checks:
            try:
                self.plan.model.check(columns, self.plan.strategy)
            except InputError as error:
                raise _by_row(columns, start, error) from None
        return columns

    def _take_in(self, result: Any, first: int, n: int, moments: Floats) -> None:
        from escala.kernels import accumulate as kernels

        for row, name in zip(self._table, self.plan.outputs, strict=True):
            row[:n] = getattr(result, name)
        kernels.accumulate(
            self._table,
            self._table.view(np.int64),
            self._histogram,
            self._touched,
            self._marks,
            moments.reshape(-1, len(kernels.MOMENTS)),
            self._best,
            self._best_rows,
            self._work,
            first,
            first + n,
        )
        self._rows += n
        for code in range(1, self._stops.size):
            self._stops[code] += np.count_nonzero(result.stop == code)
        self._stops[:1] = self._rows - self._stops[1:].sum()

    def _keep_sample(self, columns: Mapping[str, Floats], first: int, n: int) -> None:
        places = self.plan.sampled(first, first + n) - first
        whole = [columns[name] for name in self.plan.names] + list(self._table)
        rows = np.empty((len(whole), places.size))
        for row, column in zip(rows, whole, strict=True):
            np.take(column, places, out=row, mode="clip")  # the only mode that needs no copy
        self._sample[first] = rows

    def take(self) -> State:
        """Hand over what the ranges so far left behind, and begin anew."""
        bins, counts = [], []
        for histogram, touched, marks in zip(self._histogram, self._touched, self._marks, strict=True):
            used = np.sort(touched[:marks])
            bins.append(used)
            counts.append(histogram[used])
            histogram[used] = 0
        self._marks[:] = 0
        state = State(
            self._rows,
            self._stops,
            grown(self.runs, self.plan.blocks),
            self._lowest,
            self._highest,
            bins,
            counts,
            self._best,
            self._best_rows,
            self._sample,
        )
        self._begin()
        return state


def grown(runs: Mapping[int, Floats], blocks: int) -> accumulate.Nodes:
    """Merge the moments of blocks, given as runs by their first block."""
    nodes: accumulate.Nodes = {}
    joined: list[tuple[int, list[Floats]]] = []
    end = -1
    for first in sorted(runs):
        if first != end:
            joined.append((first, []))
        joined[-1][1].append(runs[first])
        end = first + len(runs[first])
    for first, parts in joined:
        accumulate.grow_run(nodes, first, np.concatenate(parts), blocks)
    return nodes


def _rows_may_be_bad(plan: Plan) -> bool:
    """Tell whether a design can have rows that the model refuses.

    One that is not free was checked when it was made: its columns against their intervals, and in order against each
    other and the defaults of the other fields. Rows need another look where these are not what they are, or where the
    model has rules beyond.
    """
    model = plan.model
    if plan.design.free or type(model).check is not Model.check:
        return True
    numbers = model.numbers(plan.strategy)
    return any(value != model.defaults.get(name) for name, value in numbers.items() if name not in plan.names)


def _by_row(columns: Mapping[str, Floats], start: int, error: InputError) -> InputError:
    """Say of an error which rows of the design it is about."""
    if not error.indexes or not error.requirement:
        row = start + error.indexes[0][0] if error.indexes and error.indexes[0] else None
        place = f"{start:,} or soon after" if row is None else f"{row:,}"
        message = f"the design breaks a rule at row {place}: {error}"
        return type(error)(message, arguments=error.arguments, indexes=() if row is None else ((row,),))
    shown = "; ".join(
        f"row {start + index[0]:,}: "
        + " and ".join(f"{name} = {float(columns[name][index])!r}" for name in error.arguments if name in columns)
        for index in error.indexes
        if index
    )
    message = f"the design breaks a rule: {error.requirement}, but {shown}"
    rows = tuple((start + index[0],) for index in error.indexes if index)
    return type(error)(message, arguments=error.arguments, indexes=rows, requirement=error.requirement)


def empty_total(plan: Plan) -> Total:
    """Give the total over no rows of a plan."""
    return Total(len(plan.outputs), plan.best, plan.blocks, len(plan.model.stops))


def on_threads(plan: Plan, threads: int, progress: Callable[[int], object] | None) -> State:
    """Work through a whole plan in this process and keep nothing of it but the totals."""
    from escala.kernels.accumulate import BLOCK

    workers: list[Worker] = []
    hired = threading.Lock()
    part = parallel.chunk_size(plan.n, threads, largest=plan.chunk, multiple=BLOCK)
    helpers = max(1, threads // -(-plan.n // part))

    def make_part() -> parallel.Part:
        worker = Worker(plan, helpers)
        with hired:
            workers.append(worker)
        return worker.run

    try:
        parallel.run(make_part, plan.n, chunk=part, threads=threads, progress=progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("nothing is kept of a sweep without a directory") from None
    total = empty_total(plan)
    for worker in workers[1:]:  # merged at once: a level of the tree costs as much for many blocks as for few
        workers[0].runs.update(worker.runs)
        worker.runs = {}
    for worker in workers:
        total.add(worker.take())
    return total.state()


def work_chunk(worker: Worker, files: Files, chunk: int) -> Iterator[State | None]:
    """Bring a chunk into a directory, unless it is there; yields None now and then, and its totals at the end."""
    known = files.sink.finished(chunk)
    if known is not None:
        yield known
        return
    files.begin(chunk)
    for _ in worker.run(*worker.plan.bounds(chunk), files):
        yield None
    state = worker.take()
    files.finish(state)
    yield state


def to_files(plan: Plan, sink: Sink, threads: int, progress: Callable[[int], object] | None) -> State:
    """Work through a whole plan in this process, chunk by chunk into a directory; chunks that are there are kept.

    Raises
    ------
    SweepError
        If the directory cannot be written; says how much is finished.
    """
    total = empty_total(plan)
    adding = threading.Lock()
    done = 0

    def make_part() -> parallel.Part:
        worker = Worker(plan, max(1, threads // plan.chunks))
        files = Files(sink)

        def part(start: int, stop: int) -> Iterator[None]:
            nonlocal done
            for chunk in range(start, stop):
                for state in work_chunk(worker, files, chunk):
                    if state is not None:
                        with adding:
                            total.add(state)
                            done += 1
                    yield

        return part

    def tell(chunks: int) -> None:
        if progress is not None:
            progress(min(chunks * plan.chunk, plan.n))

    try:
        parallel.run(make_part, plan.chunks, chunk=1, threads=threads, progress=tell)
    except SweepError as error:
        raise SweepError(f"{error}; {finished_so_far(done, plan)}") from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(finished_so_far(sink.count(), plan)) from None
    return total.state()


def finished_so_far(done: int, plan: Plan) -> str:
    """Say what a sweep that failed leaves."""
    return f"{done:,} of {plan.chunks:,} chunks are finished and stay valid: the same call goes on with them"
