"""The main job on real input, and what is installed and compiled."""

from __future__ import annotations

import sys
from pathlib import Path

from escala import __version__
from escala.commands.terminal import UsageError, Whole, announce_compilation, print_json, say, stopped
from escala.errors import BuildError
from escala.text import progress


def demo(*, files: Path | None = None, threads: Whole | None = None, json: bool = False) -> None:
    """Run the main job: curves of 56 token pairs, 50 M USD over them, 374 Aave accounts through six years of prices.

    Parameters
    ----------
    files
        Only write the real input files of the demo and of the guide's examples into this folder.
    threads
        Threads to use; by default all processors.
    json
        Print JSON: the curves with saturation, capacity and prediction; the allocation; what becomes of the accounts.
    """
    if files is not None:
        if threads is not None or json:
            raise UsageError("--files only writes the input files: leave out --threads and --json")
        _write_files(files)
        return
    from escala.demo import accounts as demo_accounts
    from escala.demo import allocation as demo_allocation
    from escala.demo import curves as demo_curves
    from escala.demo import market as demo_market
    from escala.demo import prices as demo_prices
    from escala.parallel import default_threads

    announce_compilation()
    quotes = demo_curves.load_quotes()
    curves = demo_curves.run(quotes, threads=threads)
    if not json:
        say(demo_curves.report(curves), flush=True)
        say()
    plan = demo_allocation.run(curves.curves, quotes, threads=threads)
    if not json:
        say(demo_allocation.report(plan), flush=True)
        say()
    accounts, prices = demo_accounts.load_accounts(), demo_prices.load_prices()
    with progress.bar("simulating", demo_market.scenarios(accounts, prices), unit="paths") as told:
        study = demo_market.run(accounts, prices, threads=threads, progress=told)
    if json:
        prediction, saturation = vars(curves.prediction), vars(curves.saturation)
        print_json(
            {
                "curves": {
                    **curves.curves.to_dict(),
                    **{name: saturation[name] for name in saturation if name != "drop"},
                    **{f"at_1m_{name}": prediction[name] for name in ("efficiency", "low", "high", "confidence")},
                },
                "allocation": demo_allocation.content(plan),
                "market": demo_market.content(study),
            }
        )
    else:
        say(demo_market.report(study, threads or default_threads()))


def _write_files(folder: Path) -> None:
    from importlib.resources import files

    from escala.files import whole

    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(files("escala").joinpath("demo/data").iterdir(), key=lambda source: source.name):
        if source.name.endswith(".csv.gz"):
            content = source.read_bytes()
            path = folder / source.name
            if path.exists() and path.read_bytes() != content:
                raise FileExistsError(17, "there is another file of this name", str(path))
            whole.write(path, content)
            say(path)


def info(*, json: bool = False) -> None:
    """Show version, processor, threads, where compiled kernels are kept and which are, and what is installed.

    Parameters
    ----------
    json
        Print JSON.
    """
    import platform
    from importlib.util import find_spec

    import numpy

    from escala import kernels
    from escala.parallel import default_threads

    compiled = kernels.compiled()
    extras = {extra: [name for name in names if find_spec(name) is None] for extra, names in _EXTRAS.items()}
    facts = {
        "version": __version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        **_of_compiler(),
        "threads": default_threads(),
        "extras": [extra for extra, missing in extras.items() if not missing],
        "extras_missing": [extra for extra, missing in extras.items() if missing],
        "compiled": compiled,
        "not_compiled": [name for name in kernels.names() if name not in compiled],
    }
    if json:
        print_json(facts)
        return
    for name, fact in facts.items():
        shown = ", ".join(fact) or "none" if isinstance(fact, list) else "none" if fact is None else fact
        say(f"{name.replace('_', ' '):<16}{shown}")


def _of_compiler() -> dict[str, str | None]:
    """Say by what kernels were compiled, for which processor and where; numba is loaded only where it compiles them."""
    from importlib.metadata import version

    from escala import kernels
    from escala.kernels import jit

    found = jit.extension()
    level = None if found is None else jit.level(found)
    made = "compiled here" if found is None else f"of the wheel, {level}"
    if kernels.come_compiled():
        return {"numba": version("numba"), "processor": f"x86-64-{level}", "cache": None, "kernels": made}
    from escala.kernels import compiler

    here = {"numba": compiler.numba_version(), "processor": compiler.processor(), "cache": str(compiler.cache_dir())}
    return {**here, "kernels": made}


#: Modules that each extra brings.
_EXTRAS = {
    "frames": ("pandas",),
    "parquet": ("pyarrow",),
    "plot": ("matplotlib",),
    "dask": ("dask", "distributed"),
    "store": ("sqlalchemy", "greenlet", "aiosqlite", "alembic"),
    "postgres": ("sqlalchemy", "greenlet", "asyncpg"),
}


def warm(*, shared: Path | None = None) -> None:
    """Compile every kernel once, in two processes, so that no later run has to.

    Parameters
    ----------
    shared
        Keep them in this folder, for all users: used by root, who alone may write there. Others name it in
        ESCALA_CACHE_DIR.
    """
    import time

    from escala.commands import shared as shared_kernels

    place = None if shared is None else shared_kernels.prepare(shared)
    from escala import kernels

    if kernels.come_compiled():
        say(f"all {len(kernels.names())} kernels came compiled with the wheel")
        return
    from escala.kernels import compiler

    before = set(kernels.compiled())
    if not compiler.keeps():
        raise BuildError(f"no kernel was compiled: none could be kept in {compiler.cache_dir()}")
    started = time.perf_counter()
    if missing := set(kernels.names()) - before:
        say(f"compiling {len(missing)} kernels in two processes, once: a minute or more", file=sys.stderr)
    with stopped("kernels that were compiled are kept"):
        kernels.compile_all() if missing else kernels.load_all()
    seconds = time.perf_counter() - started
    kept = set(kernels.compiled())
    say(f"{len(kept - before)} kernels compiled, {len(before)} were there already, {seconds:.1f} s")
    if len(kept) < len(kernels.names()):
        raise BuildError(f"not all kernels could be kept in {compiler.cache_dir()}")
    say(f"kept in {compiler.cache_dir()}")
    if place is not None:
        shared_kernels.give(compiler.cache_dir())
        say(f"for all users who set ESCALA_CACHE_DIR={place}")
