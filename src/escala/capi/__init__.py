"""The kernels as a native library for any host, without Python at run time.

:func:`build` writes ``libescala.so``, ``libescala.a``, ``escala.h`` and ``escala.pc``; :func:`load` opens such a
library from Python. :mod:`escala.capi.pointers` has the scalar functions for other compiled Python code.
"""

from __future__ import annotations

from escala.capi.build import CPUS as CPUS
from escala.capi.build import Built as Built
from escala.capi.build import build as build
from escala.capi.library import Library as Library
from escala.capi.library import load as load

__all__ = ["CPUS", "Built", "Library", "build", "load"]
