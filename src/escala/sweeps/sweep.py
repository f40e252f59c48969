"""Sweeps: a whole design simulated in memory that does not grow with it, on threads or a cluster, to files or not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escala import parallel
from escala.arrays import check_flag
from escala.errors import ScenarioError
from escala.model import Model
from escala.sweeps import cluster, plan, run, sink
from escala.sweeps.summary import SweepSummary

if TYPE_CHECKING:
    from escala.design.design import Design


def sweep(
    design: Design,
    *,
    model: Model | str | None = None,
    strategy: Any = None,
    outputs: Sequence[str] | str | None = None,
    best: int = 5,
    out: str | Path | None = None,
    rows: bool = True,
    resume: bool = True,
    threads: int | None = None,
    client: Any = None,
    chunk: int = 65_536,
    progress: Callable[[int], object] | None = None,
) -> SweepSummary:
    """Simulate every row of a design and keep what matters of it.

    Parameters
    ----------
    design : Design
        Its columns are arguments of :func:`escala.simulate` (all four) and strategy fields; or those of its model.
    model : Model, optional
        What the rows are scenarios of; by default what the design was made for, which is the lending loop unless it
        was told otherwise.
    strategy : LendingStrategy, optional
        The other fields, one number each; or the settings of another model.
    outputs : str or sequence of str, optional
        What is kept of each row: attributes of a :class:`escala.LendingResult`, or outputs of another model; ``"all"``
        for all of them. Of the lending loop by default final_supply, net_equity_change, added_debt, profit,
        health_factor, lowest_health_factor and executed.
    best : int, default 5
        Rows kept at each end of every output, at most 1,000.
    out : path, optional
        Directory for the rows as Parquet files, and for what is needed to go on when the sweep was stopped. Without it
        nothing is written.
    rows : bool, default True
        With ``False``, `out` keeps the totals of each chunk but not its rows.
    resume : bool, default True
        Keep the chunks that an earlier call finished in `out`; with ``False`` they are computed anew.
    threads : int, optional
        Threads to use; by default ``ESCALA_THREADS``, else all processors of this process.
    client : distributed.Client, optional
        Work on its cluster in place of threads. With `out`, its workers must see that directory.
    chunk : int, default 65,536
        Rows of a file, rounded up to a multiple of 2,048. With `out`, every thread holds the rows of one chunk twice.
    progress : callable, optional
        Called now and then with the number of rows done; :func:`escala.text.progress.bar` gives one for terminals.

    Returns
    -------
    SweepSummary
        The same bits for any `threads`, `client` and `chunk`, stopped and resumed or not.

    Raises
    ------
    ScenarioError
        If an argument is bad, or a row of the design has a value that no scenario may have; names the row.
    SweepError
        If `out` cannot be written, or holds anything but this sweep; or if a cluster loses one task's workers again
        and again. What was finished stays valid.
    MissingExtraError
        If `out` needs pyarrow, or `client` needs dask.
    KeyboardInterrupt
        Ctrl-C ends a sweep at once; the same call with the same `out` goes on.

    Notes
    -----
    Memory hardly grows with the number of rows: outputs are added up in blocks of 2,048 rows, their sums merged in
    one fixed tree, quantiles come from counts of the top 19 bits of a value, and for the sensitivities at most 32,768
    rows are kept whole, or one in 2,048 where that is more.

    Examples
    --------
    >>> from escala import Design
    >>> ranges = {"supply": (500.0, 2e3), "borrow": ("supply", 0.4, 0.6), "target": ("supply", 1.2, 2.0)}
    >>> design = Design.sobol({**ranges, "wallet": 100.0, "repay": (0.05, 0.2)}, 4096, seed=1)
    >>> summary = sweep(design, threads=2)
    >>> summary.stops
    {'target_reached': 1818, 'stalled': 2278, 'max_operations': 0}
    >>> summary.statistics["added_debt"].mean > 0.0
    True
    >>> [int(row) for row in summary.best("net_equity_change")["row"][:2]]
    [3068, 652]
    """
    planned = plan.make(design, model=model, strategy=strategy, outputs=outputs, chunk=chunk, best=best)
    if out is not None and not isinstance(out, str | os.PathLike):
        raise ScenarioError(f"out must be a path, not {out!r}", arguments=("out",))
    check_flag("rows", rows, ScenarioError)
    check_flag("resume", resume, ScenarioError)
    crew = parallel.checked_threads(threads, ScenarioError)
    with contextlib.ExitStack() as stack:
        files = None
        if out is not None:
            files = stack.enter_context(sink.opened(Path(out), planned, rows=rows, resume=resume))
        if client is not None:
            state = cluster.on_cluster(planned, files, client, progress)
        elif files is not None:
            state = run.to_files(planned, files, crew, progress)
        else:
            state = run.on_threads(planned, crew, progress)
        summary = SweepSummary(planned, state)
        if files is not None:
            files.finish(summary.to_dict())
    return summary
