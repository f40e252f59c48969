"""The command line: parse, call, print. Nothing here imports NumPy before a command runs, so ``--help`` is quick."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from escala import __version__
from escala.errors import EscalaError

app = App(
    name="escala",
    version=__version__,
    help="How far can capital grow before it stops working?",
    default_parameter=Parameter(negative=()),
    print_error=False,
    exit_on_error=False,
    help_on_error=False,
    suppress_keyboard_interrupt=False,
    result_action="return_none",
)


@app.command
def simulate(
    *,
    supply: float | None = None,
    borrow: float | None = None,
    target: float | None = None,
    wallet: float = 0.0,
    set_: Annotated[dict[str, float] | None, Parameter(name="--set")] = None,
    csv: Path | None = None,
    out: Path | None = None,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    threads: int | None = None,
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
        A strategy field, such as --set.repay 0.05 (any number of them); the README lists them all.
    csv
        A file of scenarios: columns are supply, borrow, target, wallet and strategy fields.
    out
        Where the results of --csv go, as .csv or .parquet; without it only the summary is printed.
    all_
        Show all operations, not only the first and the last ten.
    threads
        Threads to use with --csv; by default all processors.
    json
        Print JSON: every number of the result by name, null for infinity.
    """
    if csv is not None:
        if any(value is not None for value in (supply, borrow, target, set_)) or all_:
            raise UsageError("--csv brings all scenarios: leave out --supply, --borrow, --target, --set and --all")
        _simulate_file(csv, out, threads, json)
        return
    given = {"supply": supply, "borrow": borrow, "target": target, "wallet": wallet}
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if missing:
        raise UsageError(f"simulate needs {', '.join(missing)}, or --csv FILE")
    if out is not None or threads is not None:
        raise UsageError("--out and --threads go with --csv")
    _simulate_one({name: float(value) for name, value in given.items() if value is not None}, set_ or {}, all_, json)


@app.command
def demo(*, threads: int | None = None, json: bool = False) -> None:
    """Run the main job: curves of 56 token pairs, 50 M USD over them, 374 Aave accounts in 300,000 combinations.

    Parameters
    ----------
    threads
        Threads to use; by default all processors.
    json
        Print JSON: the curves with saturation, capacity and prediction; the allocation; counts by stop reason and the
        best strategies.
    """
    from escala import demo_allocation, demo_curves, demo_lending
    from escala.parallel import default_threads

    _announce_compilation()
    curves = demo_curves.run(demo_curves.load_quotes(), threads=threads)
    if not json:
        print(demo_curves.report(curves), flush=True)
        print()
    plan = demo_allocation.run(curves.curves, threads=threads)
    if not json:
        print(demo_allocation.report(plan), flush=True)
        print()
    accounts = demo_lending.load_accounts()
    with _progress("simulating", demo_lending.scenarios(accounts)) as progress:
        study = demo_lending.run(accounts, threads=threads, progress=progress)
    if json:
        prediction, saturation = vars(curves.prediction), vars(curves.saturation)
        _print_json(
            {
                "curves": {
                    **curves.curves.to_dict(),
                    **{name: saturation[name] for name in saturation if name != "drop"},
                    **{f"at_1m_{name}": prediction[name] for name in ("efficiency", "low", "high", "confidence")},
                },
                "allocation": demo_allocation.content(plan),
                "scenarios": study.result.size,
                "seconds": study.seconds,
                "stops": _stops(study.result),
                "strategies": [vars(ranked) for ranked in demo_lending.rank(study)],
            }
        )
    else:
        print(demo_lending.report(study, threads or default_threads()))


@app.command
def info(*, json: bool = False) -> None:
    """Show version, processor, threads, where compiled kernels are kept and which are.

    Parameters
    ----------
    json
        Print JSON.
    """
    import platform

    import numpy

    from escala import kernels
    from escala.kernels import jit
    from escala.parallel import default_threads

    compiled = jit.compiled_kernels()
    facts = {
        "version": __version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "numba": jit.numba_version(),
        "processor": jit.processor(),
        "threads": default_threads(),
        "cache": str(jit.cache_dir()),
        "compiled": compiled,
        "not_compiled": [name for name in kernels.names() if name not in compiled],
    }
    if json:
        _print_json(facts)
        return
    for name, fact in facts.items():
        shown = ", ".join(fact) or "none" if isinstance(fact, list) else fact
        print(f"{name.replace('_', ' '):<14}{shown}")


@app.command
def warm() -> None:
    """Compile every kernel once, so that no later run has to."""
    import time

    from escala import kernels
    from escala.kernels import jit

    _announce_compilation()
    before = set(jit.compiled_kernels())
    started = time.perf_counter()
    kernels.load_all()
    fresh = len(set(jit.compiled_kernels()) - before)
    print(f"{fresh} kernels compiled, {len(before)} were there already, {time.perf_counter() - started:.1f} s")
    kept = set(kernels.names()) <= set(jit.compiled_kernels())
    print(f"{'kept' if kept else 'they could not be kept'} in {jit.cache_dir()}")


class UsageError(EscalaError):
    """Options that do not go together; ends with exit code 2."""


def _simulate_one(arguments: Mapping[str, float], fields: Mapping[str, float], show_all: bool, json: bool) -> None:
    from escala import lending_summary
    from escala.lending import STRATEGY_FIELDS, DeFiSimulator, LendingStrategy

    fields = {name.replace("-", "_"): value for name, value in fields.items()}
    _check_fields(fields, STRATEGY_FIELDS)
    _announce_compilation()
    result = DeFiSimulator(**arguments, strategy=LendingStrategy(**fields)).run()
    operations = result.operations or {}
    if json:
        _print_json({**_plain(result.to_dict()), "stop": result.stop_reason.name.lower(), "operations": operations})
        return
    print(result.summary())
    print(lending_summary.of_operations(operations, whole=show_all), end="")


def _check_fields(fields: Mapping[str, float], known: tuple[str, ...]) -> None:
    import difflib

    for name in fields:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UsageError(f"--set.{name}: no such strategy field{f'; did you mean {near[0]}?' if near else ''}")


def _simulate_file(path: Path, out: Path | None, threads: int | None, json: bool) -> None:
    from escala import scenario_file

    if out is not None:
        scenario_file.check_output(out, path)
    _announce_compilation()
    with _progress("simulating", None) as progress:
        columns, result = scenario_file.run(path, threads=threads, progress=progress)
    if out is not None:
        scenario_file.write(out, columns, result)
    if json:
        stops = [tuple(_stops(result))[int(code)] for code in result.stop]
        _print_json({**_plain(result.to_dict()), "stop": stops})
        return
    print(result.summary())
    if out is not None:
        print(f"{result.size:,} results written to {out}")


def _stops(result: Any) -> dict[str, int]:
    from escala.lending import StopReason

    return {reason.name.lower(): result.count(reason) for reason in StopReason}


def _announce_compilation() -> None:
    """Say on a terminal why the first run takes its time."""
    if not sys.stderr.isatty():
        return
    from escala import kernels
    from escala.kernels import jit

    if set(kernels.names()) - set(jit.compiled_kernels()):
        print("compiling the kernels, once: about a minute", file=sys.stderr)


@contextlib.contextmanager
def _progress(title: str, total: int | None) -> Iterator[Callable[[int], None] | None]:
    """Show a progress bar on a terminal; in a pipe there is none."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


def _print_json(content: Mapping[str, Any]) -> None:
    import json

    print(json.dumps(_plain(content), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    """Turn arrays into lists and what JSON cannot say (inf, NaN) into null."""
    import math

    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _show_warning(message: Warning | str, *_: object) -> None:
    print("escala: warning:", message, file=sys.stderr)


def _fail(error: object, code: int) -> int:
    print("escala:", " ".join(str(error).split()), file=sys.stderr)
    return code


def main() -> int:
    """Run the command line; returns the exit code: 0, 1 for an error, 2 for wrong usage, 130 after Ctrl-C."""
    code = 0
    warnings.showwarning = _show_warning  # type: ignore[assignment]  # ours needs the message alone
    try:
        app()
        sys.stdout.flush()
    except CycloptsError as error:
        code = _fail(f"{error} (see --help)", 2)
    except UsageError as error:
        code = _fail(error, 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        code = _fail(f"{error.filename}: {error.strerror}" if error.filename else error, 1)
    except (EscalaError, UnicodeDecodeError) as error:
        code = _fail(error, 1)
    except KeyboardInterrupt:
        code = 130
    return code
