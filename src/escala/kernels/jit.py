"""The one place that spells numba's options, the element types of signatures and where compiled code is kept."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
import numpy as np
import numpy.typing as npt
from numba import types
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

Function = TypeVar("Function", bound=Callable[..., Any])
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]
Words = npt.NDArray[np.int32]

# error_model "numpy": a division by zero gives inf or nan as the definitions say, and no branch that could raise.
# _nrt False: kernels own no memory, so no array is counted; the atomic counters took a fifth of a short scenario.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": False,
    "fastmath": False,
    "_nrt": False,
}

integer = types.int64
number = types.float64
floats_in = types.Array(types.float64, 1, "C", readonly=True)
floats_out = types.Array(types.float64, 1, "C")
codes_in = types.Array(types.int8, 1, "C", readonly=True)
codes_out = types.Array(types.int8, 1, "C")
words_in = types.Array(types.int32, 1, "C", readonly=True)
integers_in = types.Array(types.int64, 1, "C", readonly=True)
integers_out = types.Array(types.int64, 1, "C")
code_rows_out = types.Array(types.int8, 2, "C")
float_rows_in = types.Array(types.float64, 2, "C", readonly=True)
float_rows_out = types.Array(types.float64, 2, "C")
integer_rows_in = types.Array(types.int64, 2, "C", readonly=True)
integer_rows_out = types.Array(types.int64, 2, "C")


@functools.cache
def source_hash() -> str:
    """Hash of every kernel source: an edit in any of them leaves no stale code behind."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def processor() -> str:
    """Name the processor that code is compiled for."""
    return str(config.CPU_NAME or llvm.get_host_cpu_name())


def _setting() -> str:
    """What compiled code depends on beside the sources; numba's own cache key misses the flags."""
    flags = (config.CPU_FEATURES, config.BOUNDSCHECK, config.OPT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE)
    return f"{processor()} {flags} {sys.implementation.cache_tag}"


@functools.cache
def cache_dir() -> Path:
    """Directory of compiled kernels: one for one state of sources, Python, numba, processor and flags.

    ``ESCALA_CACHE_DIR`` names its parent, otherwise ``$XDG_CACHE_HOME/escala`` or ``~/.cache/escala``.
    """
    chosen = os.environ.get("ESCALA_CACHE_DIR")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or _home_cache()) / "escala"
    setting = hashlib.sha256(_setting().encode()).hexdigest()[:8]
    return base / f"{source_hash()}-{setting}-numba{numba.__version__}"


def _home_cache() -> Path:
    try:
        return Path.home() / ".cache"
    except RuntimeError:  # no home directory is known: the directory below cannot be made, which is reported once
        return Path("/nonexistent/.cache")


_warned: set[Path] = set()


def _warn_once(reason: str) -> None:
    if cache_dir() in _warned:
        return
    _warned.add(cache_dir())
    message = f"compiled kernels are not kept in {cache_dir()} (set ESCALA_CACHE_DIR to another place): {reason}"
    warnings.warn(message, RuntimeWarning, stacklevel=2)


class _Place(_CacheLocator):
    """One directory for one state of the sources, so nothing in it can be stale."""

    def get_cache_path(self) -> str:
        return str(cache_dir())

    def get_source_stamp(self) -> str:
        return source_hash()

    def get_disambiguator(self) -> str:
        return "kernel"

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Place:
        return cls()


class _PlaceImpl(CompileResultCacheImpl):
    def __init__(self, py_func: Any) -> None:
        # Not the parent's: it searches numba's own locations, none of which may be writable.
        self._lineno = py_func.__code__.co_firstlineno
        self._locator = _Place()
        self._filename_base = self.get_filename_base(f"{py_func.__module__}.{py_func.__qualname__}", "")


class KernelCache(FunctionCache):
    """numba's cache at our place; whatever is wrong with a file costs one compilation and one warning."""

    _impl_class = _PlaceImpl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # a damaged file may raise anything while it is unpickled
            _warn_once(f"{type(error).__name__}: {error}")
            with contextlib.suppress(OSError):
                self.flush()  # a damaged index is begun anew
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:  # a full or read-only disk must not stop a computation
            _warn_once(f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """One process compiles a kernel while others wait and then load it; without a writable place nobody waits."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            cache_dir().mkdir(parents=True, exist_ok=True, mode=0o700)  # the files are pickles: ours alone
            lock = stack.enter_context(open(cache_dir() / f"{name}.lock", "wb"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


#: What compiles the kernels that were defined under ``ESCALA_COMPILE=later``, by module and name: builds need but some.
waiting: dict[str, Callable[[], None]] = {}


def kernel(*arguments: Any) -> Callable[[Function], Function]:
    """Compile a kernel for one exact signature, or load it from the cache."""

    def wrap(function: Function) -> Function:
        dispatcher = numba.njit(**OPTIONS)(function)
        if config.DISABLE_JIT:
            return cast(Function, dispatcher)
        name = f"{function.__module__}.{function.__qualname__}"
        dispatcher._cache = KernelCache(function)

        def compile_now() -> None:
            with _alone(name):
                dispatcher.compile(types.void(*arguments))
            dispatcher.disable_compile()

        if os.environ.get("ESCALA_COMPILE") == "later":
            waiting[name] = compile_now
        else:
            compile_now()
        return cast(Function, dispatcher)

    return wrap


def helper(function: Function) -> Function:
    """Declare a function of scalars and views that kernels call; it is compiled into each of them."""
    return cast(Function, numba.njit(**OPTIONS, forceinline=True)(function))


def routine(function: Function) -> Function:
    """Declare a longer function that kernels call; inlined only where the compiler sees a gain."""
    return cast(Function, numba.njit(**OPTIONS)(function))


def compiled_kernels() -> list[str]:
    """Names of the kernels whose compiled code lies in the cache directory."""
    if not cache_dir().is_dir():
        return []
    stems = {path.name.split("-")[0] for path in cache_dir().glob("*.nbi")}
    return sorted(stem.removeprefix(f"{__package__}.") for stem in stems)


def numba_version() -> str:
    """Version of the compiler in use."""
    return str(numba.__version__)
