"""The compiled core: serial kernels that speak only arrays.

The contract every kernel keeps
-------------------------------
* ``kernel(inputs…, outputs…, work…, start, stop)`` computes the scenarios ``start <= i < stop`` and nothing else. It
  is serial and releases the GIL, so ranges may run on as many threads, processes or machines as there are.
* Arrays are C-contiguous float64, int64 or int8, owned by the caller, workspaces included. A kernel takes views of
  its range first and loops from 0: a loop that starts at ``start`` makes the compiler gather and scatter.
* It never raises, allocates, prints or calls Python. What goes wrong is a status code per element.
* The order of floating-point operations is part of the contract (no ``fastmath``, no fused operations), so results
  are the same bits for any split, and equal to the plain-Python twin in ``tests/naive.py``.
* One explicit signature a kernel, spelled with the types of :mod:`escala.kernels.jit`, the only file that knows numba.
"""

from __future__ import annotations

import importlib

_MODULES = ("accumulate", "allocation", "broadcast", "curves", "fitting", "lending", "philox", "sequences")
_KERNELS = (
    "accumulate.accumulate",
    "allocation.allocate",
    "allocation.greedy",
    "broadcast.take",
    "curves.evaluate",
    "curves.limits",
    "curves.predict",
    "curves.threshold",
    "fitting.decay",
    "fitting.fit",
    "lending.lending",
    "lending.trace",
    "philox.uniforms",
    "philox.words",
    "sequences.halton",
    "sequences.jitter",
    "sequences.sobol",
    "sequences.strata",
)


def names() -> list[str]:
    """Name every kernel."""
    return list(_KERNELS)


def load_all() -> None:
    """Compile every kernel, or load it from the cache."""
    for module in _MODULES:
        importlib.import_module(f"escala.kernels.{module}")
