"""A sweep on a dask cluster: the same chunks, several a task; what a lost worker had begun is given to another."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from escala.errors import MissingExtraError, SweepError
from escala.sweeps.accumulate import State
from escala.sweeps.plan import Plan
from escala.sweeps.run import Worker, empty_total, finished_so_far, work_chunk
from escala.sweeps.sink import Files, Sink

_TASK_SECONDS: Final = 0.75  # of work: a task costs the scheduler some milliseconds
_TASKS_A_THREAD: Final = 4  # at least, so that no worker waits long for the last one
_MOST_LOSSES: Final = 20  # of one task: whatever kills its workers so often is no accident
_GONE: Final = ("closing", "closed")  # what a client says whose scheduler does not come back


def on_cluster(
    plan: Plan,
    sink: Sink | None,
    client: Any,
    progress: Callable[[int], object] | None,
    *,
    most_losses: int = _MOST_LOSSES,
) -> State:
    """Work through a whole plan on the cluster of a client.

    Raises
    ------
    SweepError
        If workers that were given one task died again and again, the scheduler is gone, or the directory cannot be
        written.
    MissingExtraError
        If dask is not installed.
    """
    distributed = load_distributed()
    total = empty_total(plan)
    each = _chunks_a_task(plan, sum(client.nthreads().values()) or 1)
    tasks = [(first, min(first + each, plan.chunks)) for first in range(0, plan.chunks, each)]
    losses = dict.fromkeys(tasks, 0)
    running = {client.submit(work, plan, sink, *task, pure=False): task for task in tasks}
    done = 0
    try:
        news = distributed.as_completed(list(running), loop=client.loop)
        for future in news:
            task = running.pop(future)
            if _was_lost(distributed, future):
                if client.status in _GONE:
                    raise SweepError(f"the scheduler answers no more; {_left(done, plan, sink)}")
                losses[task] += 1
                if losses[task] > most_losses:
                    message = f"chunks {task[0]} to {task[1] - 1} lost their worker {losses[task]} times"
                    raise SweepError(f"{message}; {_left(done, plan, sink)}")
                again = client.submit(work, plan, sink, *task, pure=False)
                running[again] = task
                news.add(again)
                continue
            try:
                total.add(future.result())
            except SweepError as error:
                raise SweepError(f"{error}; {finished_so_far(done, plan)}") from None
            future.release()
            done += task[1] - task[0]
            if progress is not None:
                progress(total.rows)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_left(done if sink is None else sink.count(), plan, sink)) from None
    finally:
        if client.status not in _GONE:
            client.cancel(list(running), force=True)
    return total.state()


def work(plan: Plan, sink: Sink | None, first: int, last: int) -> State:
    """Work through the chunks ``first <= k < last``: what one task does, on whatever machine."""
    worker = Worker(plan)
    files = Files(sink) if sink is not None else None
    total = empty_total(plan)
    for chunk in range(first, last):
        if files is None:
            for _ in worker.run(*plan.bounds(chunk)):
                pass
        else:
            for state in work_chunk(worker, files, chunk):
                if state is not None:
                    total.add(state)
    if files is None:
        total.add(worker.take())
    return total.state()


def _left(done: int, plan: Plan, sink: Sink | None) -> str:
    """Say what a sweep that failed leaves."""
    if sink is None:
        return f"{done:,} of {plan.chunks:,} chunks were done, and nothing is kept without a directory"
    return finished_so_far(done, plan)


def _was_lost(distributed: Any, future: Any) -> bool:
    """Tell a task that died with its workers from one that failed by itself."""
    if future.status in {"cancelled", "lost"}:
        return True
    return future.status == "error" and isinstance(future.exception(), distributed.scheduler.KilledWorker)


def _chunks_a_task(plan: Plan, threads: int) -> int:
    """Find by a trial how many chunks keep a worker busy for long enough."""
    from escala.kernels.accumulate import BLOCK

    worker = Worker(plan)
    rows = min(plan.n, 4 * BLOCK)
    for _ in worker.run(0, rows):  # the first run also compiles
        pass
    began = time.perf_counter()
    for _ in worker.run(0, rows):
        pass
    seconds = (time.perf_counter() - began) / rows * plan.chunk
    return max(1, min(int(_TASK_SECONDS / seconds), plan.chunks // (_TASKS_A_THREAD * threads)))


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Connect to the scheduler of a cluster; gives a client.

    Raises
    ------
    SweepError
        If there is none at the address.
    MissingExtraError
        If dask is not installed.
    """
    distributed = load_distributed()
    try:
        distributed.comm.get_address_host_port(address)  # a client that was never one complains while it is taken away
        client = distributed.Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SweepError(f"no scheduler answers at {address}: {error}") from None
    with client:
        yield client


def load_distributed() -> Any:
    """Import what knows clusters.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import distributed
    except ImportError:
        raise MissingExtraError("client= needs dask: install escala[dask]") from None
    return distributed
