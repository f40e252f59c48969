"""The one place that decides where a kernel's machine code comes from. It spells signatures and knows no compiler.

A wheel may carry an extension with every kernel compiled. A kernel is taken from there if that was made of the very
sources that are here and nothing asks for numba; otherwise numba compiles it or loads it from the cache, and is
imported only then, or where compiled Python code of somebody else's calls a helper.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from escala.kernels.identity import identity, sources

Function = TypeVar("Function", bound=Callable[..., Any])
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]
Words = npt.NDArray[np.int32]

# The types of arguments: d float64, i int64, b int8, w int32; of arrays the axes, and r where they are only read.
integer = "i"
number = "d"
floats_in = "d1r"
floats_out = "d1"
codes_in = "b1r"
codes_out = "b1"
words_in = "w1r"
words_out = "w1"
integers_in = "i1r"
integers_out = "i1"
code_rows_out = "b2"
float_rows_in = "d2r"
float_rows_out = "d2"
integer_rows_in = "i2r"
integer_rows_out = "i2"

#: Kernels are then the functions as they are written.
PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")

#: Called once before anything is compiled: whoever waits may be told why.
before_compiling: Callable[[], None] | None = None


def _announce() -> None:
    """Tell whoever wants to know that compilation begins."""
    global before_compiling
    told, before_compiling = before_compiling, None
    if told is not None:
        told()


#: Settings of numba that ask for no other code than the extension's.
_NO_REQUESTS = frozenset({"NUMBA_NUM_THREADS", "NUMBA_CACHE_DIR", "NUMBA_THREADING_LAYER"})
#: Kernels that were taken from the extension, by module and name.
taken: set[str] = set()


class LevelError(ValueError):
    """``ESCALA_CPU_LEVEL`` is no level that the extension has code for."""


@functools.cache
def extension() -> Any:
    """Give the wheel's extension, or None: there is none, it is of other sources, or numba is asked for.

    Raises
    ------
    LevelError
        As :func:`level` does.
    """
    asked = any(name.startswith("NUMBA_") and name not in _NO_REQUESTS for name in os.environ)
    if asked or os.environ.get("ESCALA_COMPILE"):
        return None
    try:
        found = importlib.import_module("escala.kernels._native")
    except ImportError:
        return None
    best = level(found)
    if best is None or sources() not in (found.sources, None):
        return None
    found.use(best)
    return found


def level(found: Any) -> str | None:
    """Choose the best level of an extension's that this processor has, or a lower one that was asked for.

    Raises
    ------
    LevelError
        If ``ESCALA_CPU_LEVEL`` asks for one that the extension has no code for.
    """
    most = os.environ.get("ESCALA_CPU_LEVEL") or found.all_levels[-1]
    if most not in found.all_levels:
        raise LevelError(f"ESCALA_CPU_LEVEL must be one of {', '.join(found.all_levels)}, not {most!r}")
    return max((one for one in found.levels if one <= most), default=None)


def _ready(function: Callable[..., Any], signature: tuple[str, ...]) -> Any:
    """Give a kernel's compiled function of the extension, or None if it has none made of this very code."""
    found = extension()
    name = f"{function.__module__}.{function.__qualname__}"
    compiled, of, made_of = found.kernels.get(name, (None, (), "")) if found else (None, (), "")
    if compiled is None or of != signature:
        return None
    # without sources, as in a frozen program, the code itself is looked at; it is another on another Python
    if sources() is None and (found.python, made_of) != (sys.implementation.cache_tag, identity(function, signature)):
        return None
    taken.add(name)
    return compiled


def kernel(*signature: str) -> Callable[[Function], Function]:
    """Declare a kernel of one exact signature: taken from the extension, or compiled, or loaded from the cache."""

    def wrap(function: Function) -> Function:
        if PLAIN:
            return function
        ready = _ready(function, signature)
        if ready is not None:
            return cast(Function, ready)
        from escala.kernels import compiler

        return cast(Function, compiler.kernel(function, signature, _announce))

    return wrap


class Inner:
    """A function that kernels call: to Python a function, to numba one that it compiles into what calls it."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.py_func = function
        self.options = options

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Compile it for Python and call it, which tests do."""
        return self.dispatcher(*arguments, **named)

    @functools.cached_property
    def dispatcher(self) -> Any:
        """What numba knows it as."""
        from escala.kernels import compiler

        return compiler.inner(self.py_func, self.options)

    @property
    def _numba_type_(self) -> Any:
        """What numba asks of every value that a function names."""
        return self.dispatcher._numba_type_


def helper(function: Function) -> Function:
    """Declare a function of scalars and views that kernels call; it is compiled into each of them."""
    return _inner(function, {"forceinline": True})


def routine(function: Function) -> Function:
    """Declare a longer function that kernels call; inlined only where the compiler sees a gain."""
    return _inner(function, {"forceinline": False})  # said, for what is not said is as in the first that calls it


def _inner(function: Function, options: dict[str, Any]) -> Function:
    return function if PLAIN else cast(Function, Inner(function, options))
