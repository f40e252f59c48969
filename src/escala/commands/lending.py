"""The lending loop on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from escala.commands.terminal import (
    Plot,
    UsageError,
    Whole,
    announce_compilation,
    check_plot,
    fields_named,
    print_json,
    save_plot,
    say,
    stopped,
    tell_plot,
)
from escala.errors import did_you_mean
from escala.files.json import plain
from escala.text import progress


def simulate(
    *,
    supply: float | None = None,
    borrow: float | None = None,
    target: float | None = None,
    wallet: float = 0.0,
    set_: Annotated[dict[str, float] | None, Parameter(name="--set")] = None,
    csv: Path | None = None,
    out: Path | None = None,
    operations: Literal["none", "first", "all"] | None = None,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    plot: Plot = None,
    threads: Whole | None = None,
    json: bool = False,
) -> None:
    """Run the lending loop: one scenario with its operations, or a file of scenarios.

    Parameters
    ----------
    supply
        Collateral at the start.
    borrow
        Debt at the start.
    target
        Collateral wanted.
    wallet
        Free cash at the start.
    set_
        A strategy field, such as --set.repay 0.05 (any number of them); the guide lists them all.
    csv
        A file of scenarios: columns are supply, borrow, target, wallet and strategy fields.
    out
        Where the results of --csv go, as .csv or .parquet; without it only the summary is printed.
    operations
        Which operations are shown: none, the first and the last ten ("first", the default), or all.
    all_
        The same as --operations all.
    plot
        Where a picture of the operations goes, as .png, .svg or .pdf.
    threads
        Threads to use with --csv; by default all processors.
    json
        Print JSON: every number of the result by name, null for infinity.
    """
    if all_ and operations is not None:
        raise UsageError("--all is --operations all: give one of them")
    if csv is not None:
        if any(value is not None for value in (supply, borrow, target, set_, plot, operations)) or all_:
            raise UsageError(
                "--csv brings all scenarios: leave out --supply, --borrow, --target, --set, --operations, --all and "
                "--plot"
            )
        _simulate_file(csv, out, threads, json)
        return
    given = {"supply": supply, "borrow": borrow, "target": target, "wallet": wallet}
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if missing:
        raise UsageError(f"simulate needs {', '.join(missing)}, or --csv FILE")
    if out is not None or threads is not None:
        raise UsageError("--out and --threads go with --csv")
    check_plot(plot)
    arguments = {name: float(value) for name, value in given.items() if value is not None}
    _simulate_one(arguments, set_ or {}, "all" if all_ else operations or "first", plot, json)


def _simulate_one(
    arguments: Mapping[str, float], fields: Mapping[str, float], shown: str, plot: Path | None, json: bool
) -> None:
    from escala.lending import summary as lending_summary
    from escala.lending.simulate import DeFiSimulator
    from escala.lending.strategy import STRATEGY_FIELDS, LendingStrategy

    fields = fields_named(fields)
    _check_fields(fields, STRATEGY_FIELDS)
    announce_compilation()
    with stopped("nothing was kept"):
        result = DeFiSimulator(**arguments, strategy=LendingStrategy(**fields)).run()
    operations = result.operations or {}
    if plot is not None:
        from escala import plots

        save_plot(plots.lending_figure(result), plot)
    if json:
        content = {**plain(result.to_dict()), "stop": result.stop_reason.name.lower()}
        print_json({**content, **_shown_operations(operations, shown)})
    else:
        say(result.summary())
        if shown != "none":
            say(lending_summary.of_operations(operations, whole=shown == "all"), end="")
    tell_plot(plot, json=json)


def _shown_operations(operations: Mapping[str, Any], shown: str) -> dict[str, Any]:
    """Give the operations that are wanted as columns, and how many were left out."""
    import numpy as np

    from escala.lending import summary as lending_summary

    count = len(operations["operation"]) if operations else 0
    rows = lending_summary.shown_operations(count, whole=shown == "all") if shown != "none" else []
    columns = {name: np.asarray(column)[rows] for name, column in operations.items()} if rows else {}
    return {"operations": columns, "operations_left_out": count - len(rows)}


def _check_fields(fields: Mapping[str, float], known: tuple[str, ...]) -> None:
    for name in fields:
        if name not in known:
            raise UsageError(f"--set.{name}: no such strategy field{did_you_mean(name, known)}")


def _simulate_file(path: Path, out: Path | None, threads: int | None, json: bool) -> None:
    from escala.lending import scenario_file

    if out is not None:
        scenario_file.check_output(out, path)
    announce_compilation()
    with stopped("nothing was written"), progress.bar("simulating") as told:
        columns, result = scenario_file.run(path, threads=threads, progress=told)
    if out is not None:
        scenario_file.write(out, columns, result)
    if json:
        names = tuple(stops(result))
        print_json({**plain(result.to_dict()), "stop": [names[int(code)] for code in result.stop]})
        return
    say(result.summary())
    if out is not None:
        say(f"{result.size:,} results written to {out}")


def stops(result: Any) -> dict[str, int]:
    """Count the scenarios by the reason of their end."""
    from escala.lending.result import StopReason

    return {reason.name.lower(): result.count(reason) for reason in StopReason}
