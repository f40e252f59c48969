"""The compiled core: serial kernels that speak only arrays.

The contract every kernel keeps
-------------------------------
* ``kernel(inputs…, outputs…, work…, start, stop)`` computes the scenarios ``start <= i < stop`` and nothing else. It
  is serial and releases the GIL, so ranges may run on as many threads, processes or machines as there are.
* Arrays are C-contiguous float64, int64 or int8, owned by the caller, workspaces included. A kernel takes views of
  its range first and loops from 0: a loop that starts at ``start`` makes the compiler gather and scatter.
* It never raises, allocates, prints or calls Python. What goes wrong is a status code per element.
* The order of floating-point operations is part of the contract (no ``fastmath``, no fused operations), so results
  are the same bits for any split, and equal to the plain-Python twin in ``tests/naive``.
* One explicit signature a kernel, spelled with the types of :mod:`escala.kernels.jit`; only
  :mod:`escala.kernels.compiler` knows numba.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

# Kernels use none of numba's threads, and numba cannot be imported where their number is no number of threads.
if not os.environ.get("NUMBA_NUM_THREADS", "1").isdecimal() or os.environ.get("NUMBA_NUM_THREADS") == "0":
    del os.environ["NUMBA_NUM_THREADS"]

#: The kernels of each module: those that take longest to compile at both ends, beside them what calls the same helpers.
_KERNELS = {
    "fitting.fit": ("decay", "fit"),
    "noise.scores": ("score",),
    "noise.outliers": ("outliers",),
    "noise.intervals": ("rank", "reach"),
    "fitting.ladder": ("ladders",),
    "lending.lanes": ("lending", "trace"),
    "lending.plan_leverage": ("leverage",),
    "lending.plan_unwind": ("unwind",),
    "accumulate": ("accumulate", "moments"),
    "broadcast": ("take",),
    "grouping": ("order", "rank"),
    "order_book": ("walk",),
    "fitting.survey": ("survey",),
    "distributions": ("beta_probabilities", "quantiles"),
    "philox": ("uniforms", "words"),
    "sequences": ("halton", "jitter", "sobol", "strata"),
    "market.paths": ("paths",),
    "market.walk": ("walk",),
    "curves.answer": ("answer",),
    "curves.evaluate": ("evaluate", "marginal_interval"),
    "curves.limits": ("limits", "threshold", "trades"),
    "allocation.draws": ("lines", "totals"),
    "allocation.solve": ("allocate",),
}


def names() -> list[str]:
    """Name every kernel."""
    return sorted(f"{module}.{name}" for module, kernels in _KERNELS.items() for name in kernels)


def load_all() -> None:
    """Compile every kernel, or load it from the cache."""
    for module in _KERNELS:
        importlib.import_module(f"{__name__}.{module}")


def compile_all() -> None:
    """Compile every kernel in two processes, one from each end of the list, and load them."""
    import contextlib
    import subprocess

    package = os.fspath(Path(__file__).parent.parent.parent)
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    with contextlib.ExitStack() as stack:
        crew = []
        for step in (1, -1):
            command = [sys.executable, "-P", "-c", f"from {__name__} import compile_free; compile_free({step})"]
            process = subprocess.Popen(
                command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            crew.append(stack.enter_context(process))
            stack.callback(process.kill)
        for process in crew:
            process.wait()
    load_all()  # and whatever they left


def compile_free(step: int) -> None:
    """Compile the kernels that no other process is at, in the order of the list or, for −1, against it."""
    from escala.kernels import compiler

    with compiler.only_defined():
        load_all()
    for module, kernels in [*_KERNELS.items()][::step]:
        for name in kernels:
            compiler.waiting[f"{__name__}.{module}.{name}"].compile(wait=False)


def come_compiled() -> bool:
    """Tell whether every kernel comes with the wheel, made of the sources that are here."""
    from escala.kernels import identity, jit

    found = jit.extension()
    known = found is not None and identity.sources() is not None
    return known and all(f"{__name__}.{name}" in found.kernels for name in names())


def compiled() -> list[str]:
    """Name the kernels whose compiled code is kept, or came with the wheel; nothing is compiled to find out."""
    if come_compiled():
        return names()
    from escala.kernels import compiler, jit

    missing = [f"{__name__}.{module}" for module in _KERNELS if f"{__name__}.{module}" not in sys.modules]
    with compiler.only_defined():
        load_all()
    for module in missing:  # whoever imports them next gets them compiled
        del sys.modules[module]
    for name in list(compiler.waiting):
        if name.rpartition(".")[0] in missing:
            del compiler.waiting[name]
    ready = {*compiler.kept_kernels(), *(name.removeprefix(f"{__name__}.") for name in jit.taken)}
    return [name for name in names() if name in ready]
