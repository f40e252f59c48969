"""The one place that spells numba's options, the element types of signatures and where compiled code is kept."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import math
import operator
import os
import pickle
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
import numpy as np
import numpy.typing as npt
from numba import types as nb
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, _CacheLocator
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.registry import CPUDispatcher, cpu_target
from numba.core.typed_passes import NativeLowering

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

_NO_CFUNC: dict[str, Any] = {"no_cfunc_wrapper": True}  # nothing takes a kernel's address

_PATIENCE = 2.0  # seconds that a process waits for another's compilation before it says so
_LONGEST_WAIT = 300.0  # and after which it compiles by itself
_FORMAT = "checked"  # how files are kept, where that differs from numba's own way
_DIGEST = 16  # bytes of a checksum

integer = nb.int64
number = nb.float64
floats_in = nb.Array(nb.float64, 1, "C", readonly=True)
floats_out = nb.Array(nb.float64, 1, "C")
codes_in = nb.Array(nb.int8, 1, "C", readonly=True)
codes_out = nb.Array(nb.int8, 1, "C")
words_in = nb.Array(nb.int32, 1, "C", readonly=True)
words_out = nb.Array(nb.int32, 1, "C")
integers_in = nb.Array(nb.int64, 1, "C", readonly=True)
integers_out = nb.Array(nb.int64, 1, "C")
code_rows_out = nb.Array(nb.int8, 2, "C")
float_rows_in = nb.Array(nb.float64, 2, "C", readonly=True)
float_rows_out = nb.Array(nb.float64, 2, "C")
integer_rows_in = nb.Array(nb.int64, 2, "C", readonly=True)
integer_rows_out = nb.Array(nb.int64, 2, "C")


def processor() -> str:
    """Name the processor that code is compiled for."""
    return str(config.CPU_NAME or llvm.get_host_cpu_name())


def _setting() -> str:
    """What compiled code depends on beside the kernel; numba's own cache key misses the flags."""
    flags = (config.CPU_FEATURES, config.BOUNDSCHECK, config.OPT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE)
    return f"{processor()} {flags} {OPTIONS} {_FORMAT}"


@functools.cache
def cache_dir() -> Path:
    """Directory of compiled kernels: one for one state of Python, numba, processor and flags.

    ``ESCALA_CACHE_DIR`` names its parent, otherwise ``$XDG_CACHE_HOME/escala`` or ``~/.cache/escala``.
    """
    chosen = os.environ.get("ESCALA_CACHE_DIR")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or _home_cache()) / "escala"
    setting = hashlib.sha256(_setting().encode()).hexdigest()[:8]
    return base / f"{setting}-{sys.implementation.cache_tag}-numba{numba.__version__}"


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


def identity(function: Any, signature: Sequence[Any]) -> str:
    """Hash what a kernel is compiled from: its code, that of all functions it calls, and the constants they name.

    Comments, docstrings, names of variables and whatever else stands in their files change nothing. The code objects
    are looked at, not the sources, so it is the same where those cannot be read.
    """
    digest = hashlib.sha256(repr(signature).encode())
    met = [function]
    for one in met:  # grows while it is walked: what is called, in the order in which it is met
        text, called = _ingredients(one)
        digest.update(text.encode() + b"\0")
        met += [inner for inner in called if inner not in met]
    return digest.hexdigest()[:16]


@functools.cache
def _ingredients(function: Any) -> tuple[str, tuple[Any, ...]]:
    """Describe a function's own code and the constants it names, and give the functions it calls."""
    code = function.__code__
    names = sorted(_names(code))
    parts = [f"{function.__module__}.{function.__qualname__}", _described(code), repr(function.__defaults__)]
    called = []
    for name in names:
        value = function.__globals__.get(name)
        within = vars(value) if isinstance(value, types.ModuleType) else {}
        for one in (value, *(within[inner] for inner in names if inner in within)):
            called_here = getattr(one, "py_func", one)
            if isinstance(called_here, types.FunctionType) and called_here.__module__.startswith("escala."):
                parts.append(f"{called_here.__qualname__} {getattr(one, 'targetoptions', None)}")
                called.append(called_here)
            elif isinstance(one, _CONSTANTS):
                parts.append(f"{name} {one!r}")
    return " ".join(parts), tuple(called)


_CONSTANTS = (bool, int, float, str, tuple)  # an array would be one too, but no kernel has any


def _names(code: types.CodeType) -> set[str]:
    inner = [_names(part) for part in code.co_consts if isinstance(part, types.CodeType)]
    return set(code.co_names).union(*inner)


def _described(code: types.CodeType) -> str:
    """Give what the bytecode does, but not where it stands; a docstring, or None, is the first constant and no code."""
    documented = bool(code.co_consts) and isinstance(code.co_consts[0], str | None)
    constants = code.co_consts[1:] if documented else code.co_consts
    shown = [_described(one) if isinstance(one, types.CodeType) else repr(one) for one in constants]
    return f"{code.co_code.hex()} {code.co_names} {code.co_argcount} {shown}"


class _Place(_CacheLocator):
    """One name for one identity of a kernel, so nothing under it can be stale."""

    def __init__(self, stamp: str) -> None:
        self._stamp = stamp

    def get_cache_path(self) -> str:
        return str(cache_dir())

    def get_source_stamp(self) -> str:
        return self._stamp

    def get_disambiguator(self) -> str:
        return "kernel"

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Place:
        return cls(py_file)


class _PlaceImpl(CompileResultCacheImpl):
    def __init__(self, py_func: Any) -> None:
        # Not the parent's: it searches numba's own locations, none of which may be writable.
        self._lineno = 0  # a kernel that only moves stays the same
        self._locator = _Place(py_func.__escala_identity__)
        name = f"{py_func.__module__}.{py_func.__qualname__}-{py_func.__escala_identity__}"
        self._filename_base = self.get_filename_base(name, "")


class _DamagedError(Exception):
    """A file is not what was written."""


class _CheckedFiles(IndexDataCacheFile):
    """numba's files, each with a checksum at its end: machine code with a flipped bit runs, and computes something."""

    def _load_index(self) -> dict[Any, str]:
        try:
            version, stamp, overloads = pickle.loads(_checked(self._index_path))
        except FileNotFoundError:
            return {}
        return cast("dict[Any, str]", overloads) if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._put(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return pickle.loads(_checked(self._data_path(name)))

    def _save_data(self, name: str, data: Any) -> None:
        self._put(self._data_path(name), data)

    def _put(self, path: str, data: Any) -> None:
        content = self._dump(data)
        with self._open_for_write(path) as file:
            file.write(content + _checksum(content))


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST).digest()


def _checked(path: str) -> bytes:
    content = Path(path).read_bytes()
    content, checksum = content[:-_DIGEST], content[-_DIGEST:]
    if _checksum(content) != checksum:
        raise _DamagedError(f"{os.path.basename(path)} is damaged; its kernel is compiled anew")
    return content


class KernelCache(FunctionCache):
    """numba's cache at our place; whatever is wrong with a file costs one compilation and one warning."""

    _impl_class = _PlaceImpl

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        self._cache_file = _CheckedFiles(
            cache_path=self._impl.locator.get_cache_path(),
            filename_base=self._impl.filename_base,
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            if not all(_is_safe(path) for path in self._files() if path.exists()):
                _warn_once(f"others may write to {self._impl.filename_base}")
                return None
            return super().load_overload(sig, target_context)
        except Exception as error:  # a damaged file may raise anything while it is unpickled
            _warn_once(f"{type(error).__name__}: {error}")
            with contextlib.suppress(OSError):
                self.flush()  # a damaged index is begun anew
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
            for path in self._files():
                path.chmod(0o600)
        except Exception as error:  # a full or read-only disk must not stop a computation
            _warn_once(f"{type(error).__name__}: {error}")

    def _files(self) -> list[Path]:
        """Give the index and the code of the one signature a kernel has."""
        return [cache_dir() / f"{self._impl.filename_base}.{kind}" for kind in ("nbi", "1.nbc")]


@contextlib.contextmanager
def _alone(name: str, *, wait: bool = True) -> Iterator[bool]:
    """One process compiles a kernel while others wait and then load it; without a writable place nobody waits.

    Gives whether to go on: not where another process is at it and this one is not to wait.
    """
    with contextlib.ExitStack() as stack:
        free = True
        with contextlib.suppress(OSError):
            lock = stack.enter_context(open(cache_dir() / f"{name}.lock", "wb"))
            free = _wait_for(lock, name) if wait else _taken(lock)
        yield free or wait


def _taken(lock: Any) -> bool:
    """Take a lock that is free."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for(lock: Any, name: str) -> bool:
    """Take a lock, saying what is waited for where it takes long; in the end go on without it."""
    end = time.monotonic() + _LONGEST_WAIT
    patient_until = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if _taken(lock):
            return True
        if time.monotonic() > patient_until:
            print(f"escala: another process compiles {name}, waiting for it", file=sys.stderr)
            patient_until = math.inf
        time.sleep(0.05)
    return False


def _is_safe(path: Path) -> bool:
    """Tell whether a directory or file is this user's and nobody else may write to it: what it holds is executed."""
    facts = path.stat()
    return facts.st_uid in (os.geteuid(), 0) and not facts.st_mode & 0o022


def _open_cache() -> bool:
    """Make the directory if need be, and tell whether it may be used."""
    try:
        cache_dir().mkdir(parents=True, exist_ok=True, mode=0o700)
        safe = _is_safe(cache_dir())
    except OSError as error:
        _warn_once(f"{type(error).__name__}: {error}")
        return False
    if not safe:
        _warn_once("others may write to it")
    return safe


def _announce() -> None:
    """Tell whoever wants to know that compilation begins."""
    global before_compiling
    told, before_compiling = before_compiling, None
    if told is not None:
        told()


#: Called once before anything is compiled: whoever waits may be told why.
before_compiling: Callable[[], None] | None = None
#: What compiles the kernels that were defined under ``ESCALA_COMPILE=later``, by module and name: builds need but some.
waiting: dict[str, Callable[..., None]] = {}
_kept: dict[str, Callable[[], bool]] = {}  # whether the compiled code of a kernel is there
_later = os.environ.get("ESCALA_COMPILE") == "later"


def kernel(*arguments: Any) -> Callable[[Function], Function]:
    """Compile a kernel for one exact signature, or load it from the cache."""

    def wrap(function: Function) -> Function:
        dispatcher = numba.njit(**OPTIONS, **_NO_CFUNC)(function)
        if config.DISABLE_JIT:
            return cast(Function, dispatcher)
        name = f"{function.__module__}.{function.__qualname__}"
        function.__escala_identity__ = identity(function, arguments)
        code = cache_dir() / f"{_PlaceImpl(function).filename_base}.1.nbc"  # which is written last

        def is_kept() -> bool:
            return code.is_file()

        def compile_now(*, wait: bool = True) -> None:
            if _open_cache():
                dispatcher._cache = KernelCache(function)
            with (
                contextlib.nullcontext(True) if is_kept() else _alone(name, wait=wait) as go
            ):  # loading waits for nobody
                if not go:
                    return
                if not is_kept():
                    _announce()
                with global_compiler_lock, _remembered():
                    dispatcher.compile(nb.void(*arguments))
            dispatcher.disable_compile()

        _kept[name] = is_kept
        if _later:
            waiting[name] = compile_now
        else:
            compile_now()
        return cast(Function, dispatcher)

    return wrap


class _Linked(JITCodeLibrary):
    """What a helper is compiled to: code that goes into those who call it, and is optimized there once more."""

    def finalize(self) -> None:
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        # Loops are vectorized here: inside a kernel some no longer are, and fits took up to a third longer.
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LinkedLowering(NativeLowering):
    """Lowering that makes no machine code of a function, for nothing calls it from outside."""

    _name = "linked_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _Linked(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        state.library.finalize()
        # Callers know an overload by the built-in function that calls it: this one is nobody else's, and never called.
        unique: list[Any] = []
        key = unique.append
        state.targetctx.insert_user_function(key, state.cr.fndesc, [state.library])
        state.cr = state.cr._replace(cfunc=key)
        return True


class _LinkedCompiler(Compiler):
    def define_pipelines(self) -> list[Any]:
        (pipeline,) = super().define_pipelines()
        passes = [(_LinkedLowering if step is NativeLowering else step, why) for step, why in pipeline.passes]
        linked = PassManager("linked")
        for step, why in passes:
            linked.add_pass(step, why)
        linked.finalize()
        return [linked]


class _Helper(CPUDispatcher):
    """A function that kernels call. Machine code is made of it only where Python calls it, in tests."""

    def __init__(self, py_func: Any, **options: Any) -> None:
        inside = {"nopython": True, **options, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
        super().__init__(py_func, targetoptions=inside, pipeline_class=_LinkedCompiler)
        self._options = options

    def get_call_template(self, args: Any, kws: Any) -> Any:
        # A number that is written out has the type of one that is not: else there would be two overloads of the same.
        named = {name: nb.unliteral(kind) for name, kind in kws.items()}
        return super().get_call_template([nb.unliteral(kind) for kind in args], named)

    @functools.cached_property
    def _outside(self) -> Any:
        return numba.njit(**self._options)(self.py_func)

    def __call__(self, *args: Any, **kws: Any) -> Any:
        return self._outside(*args, **kws)


_OPERATORS = frozenset(one for one in vars(operator).values() if callable(one))
_NUMBERS = (nb.Integer, nb.Float, nb.Boolean)


@contextlib.contextmanager
def _remembered() -> Iterator[None]:
    """Look up only once what an operator gives for two kinds of numbers: numba tries up to 30 definitions each time."""
    context = cpu_target.typing_context
    plain = context.resolve_function_type
    known: dict[Any, Any] = {}

    def resolve(function: Any, args: Any, kws: Any) -> Any:
        simple = isinstance(function, nb.Function) and function.typing_key in _OPERATORS and not kws
        if not simple or not all(isinstance(kind, _NUMBERS) for kind in args):
            return plain(function, args, kws)
        key = function, tuple(args)
        if key not in known:
            known[key] = plain(function, args, kws)
        return known[key]

    context.resolve_function_type = resolve
    try:
        yield
    finally:
        context.resolve_function_type = plain


def helper(function: Function) -> Function:
    """Declare a function of scalars and views that kernels call; it is compiled into each of them."""
    return _inner(function, forceinline=True)


def routine(function: Function) -> Function:
    """Declare a longer function that kernels call; inlined only where the compiler sees a gain."""
    return _inner(function)


def _inner(function: Function, **options: Any) -> Function:
    return function if config.DISABLE_JIT else cast(Function, _Helper(function, **OPTIONS, **options))


def kept_kernels() -> list[str]:
    """Names of the kernels, of those whose modules were loaded, whose compiled code lies in the cache directory."""
    return sorted(name.removeprefix(f"{__package__}.") for name, is_kept in _kept.items() if is_kept())


@contextlib.contextmanager
def only_defined() -> Iterator[None]:
    """Within it kernels are defined, but neither compiled nor loaded: their names are in `waiting`."""
    global _later  # noqa: PLW0603 - one switch of this module, as its environment variable is
    before, _later = _later, True
    try:
        yield
    finally:
        _later = before


def keeps() -> bool:
    """Tell whether compiled code is kept; where it is not, a warning says why."""
    return _open_cache()


def numba_version() -> str:
    """Version of the compiler in use."""
    return str(numba.__version__)
