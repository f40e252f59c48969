"""Sweeps on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from escala.commands.terminal import (
    Plot,
    UsageError,
    Whole,
    announce_compilation,
    check_plot,
    print_json,
    save_plot,
    say,
    tell_plot,
)

if TYPE_CHECKING:
    from escala.sweeps.settings import SweepSettings
    from escala.sweeps.summary import SweepSummary


def sweep(
    file: Path,
    /,
    *,
    out: Path | None = None,
    totals_only: bool = False,
    fresh: bool = False,
    scheduler: str | None = None,
    dry_run: bool = False,
    plot: Plot = None,
    threads: Whole | None = None,
    json: bool = False,
) -> None:
    """Simulate a design of any number of scenarios; stopped with Ctrl-C or killed, the same command goes on.

    Parameters
    ----------
    file
        A TOML file: [design] with its ranges, [strategy], [sweep]; the guide has an example.
    out
        A folder for the rows as Parquet files and for what is needed to go on.
    totals_only
        Keep no rows in the folder, only what is needed to go on.
    fresh
        Compute all of the folder anew.
    scheduler
        Address of a dask scheduler to work on its cluster: tcp://HOST:8786.
    dry_run
        Only show how many rows there are, and about how long they take and how much disk.
    plot
        Where a picture goes, as .png, .svg or .pdf: of the first output, its distribution, and its means over the two
        inputs that it depends on most.
    threads
        Threads to use; by default all processors.
    json
        Print JSON.
    """
    from escala.sweeps.settings import from_toml

    if out is None and (totals_only or fresh):
        raise UsageError("--totals-only and --fresh go with --out")
    if scheduler is not None and threads is not None:
        raise UsageError("--threads is for this machine: leave it out with --scheduler")
    check_plot(plot)
    work_through(
        from_toml(file), out=out, totals_only=totals_only, fresh=fresh, scheduler=scheduler, dry_run=dry_run, plot=plot,
        threads=threads, json=json,
    )  # fmt: skip


def work_through(
    settings: SweepSettings,
    *,
    out: Path | None = None,
    totals_only: bool = False,
    fresh: bool = False,
    scheduler: str | None = None,
    dry_run: bool = False,
    plot: Path | None = None,
    threads: Whole | None = None,
    json: bool = False,
) -> None:
    """Sweep what a file describes, or estimate it, and print what was found; options are those of :func:`sweep`."""
    announce_compilation()
    if dry_run:
        _estimate(settings, out, totals_only, threads, json)
        return
    summary = _run(settings, scheduler, out=out, rows=not totals_only, resume=not fresh, threads=threads)
    if plot is not None:
        from escala import plots

        save_plot(plots.sweep_figure(summary), plot)
    if json:
        print_json(summary.to_dict())
    else:
        say(summary.summary())
        if out is not None:
            say(f"\n{'totals' if totals_only else 'rows and totals'} in {out}")
    tell_plot(plot, json=json)


def _estimate(settings: SweepSettings, out: Path | None, totals_only: bool, threads: int | None, json: bool) -> None:
    from escala.sweeps.estimate import estimate

    found = estimate(settings.design, **settings.options, files=out is not None, rows=not totals_only, threads=threads)
    if json:
        print_json(vars(found))
    else:
        say(found.summary())


def _run(settings: SweepSettings, scheduler: str | None, **options: Any) -> SweepSummary:
    from escala.sweeps import cluster
    from escala.sweeps.sweep import sweep
    from escala.text import progress

    with progress.bar("sweeping", len(settings.design), unit="rows") as told:
        try:
            if scheduler is None:
                return sweep(settings.design, **settings.options, **options, progress=told)
            with cluster.connected(scheduler) as client:
                return sweep(settings.design, **settings.options, **options, progress=told, client=client)
        except KeyboardInterrupt as stop:
            if not options["resume"] and str(stop):
                raise KeyboardInterrupt(f"{stop}, without --fresh") from None
            raise
