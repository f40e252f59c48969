"""The one place that decides where a kernel's machine code comes from. It spells signatures and knows no compiler.

numba is imported where a kernel has to be compiled or loaded from the cache, where compiled Python code of somebody
else's calls a helper, and nowhere else.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

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


def kernel(*signature: str) -> Callable[[Function], Function]:
    """Compile a kernel for one exact signature, or load it from the cache."""

    def wrap(function: Function) -> Function:
        if PLAIN:
            return function
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
    return _inner(function, {})


def _inner(function: Function, options: dict[str, Any]) -> Function:
    return function if PLAIN else cast(Function, Inner(function, options))
