"""Kernels by numba: its options, compilation, and where compiled code is kept. The only importer of numba here."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import gc
import hashlib
import math
import operator
import os
import pickle
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import llvmlite.binding as llvm
import numba
from numba import types as nb
from numba.core import config, ir
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, _CacheLocator
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.registry import CPUDispatcher, cpu_target
from numba.core.typed_passes import NativeLowering

from escala.kernels.identity import identity
from escala.kernels.linking import Parts

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

_PATIENCE = 20.0  # seconds that a process waits for another's compilation, a kernel's takes, before it says so
_LONGEST_WAIT = 300.0  # and after which it compiles by itself
_FORMAT = "checked"  # how files are kept, where that differs from numba's own way
_DIGEST = 16  # bytes of a checksum

_ELEMENTS = {"d": nb.float64, "i": nb.int64, "b": nb.int8, "w": nb.int32}


def _kind(code: str) -> Any:
    """Give numba's type of an argument: a number, or an array with so many axes, only read or not."""
    element = _ELEMENTS[code[0]]
    return element if len(code) == 1 else nb.Array(element, int(code[1]), "C", readonly=code.endswith("r"))


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


@dataclass(frozen=True)
class Kernel:
    """A kernel and how it is compiled, now or later."""

    function: Any
    signature: tuple[str, ...]
    dispatcher: Any
    announce: Callable[[], None]  # called before it is compiled

    @property
    def name(self) -> str:
        """Module and name."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    def is_kept(self) -> bool:
        """Tell whether its compiled code lies in the cache."""
        return (cache_dir() / f"{_PlaceImpl(self.function).filename_base}.1.nbc").is_file()  # which is written last

    def compile(self, *, wait: bool = True) -> None:
        """Compile or load it, unless another process is at it and this one is not to wait."""
        if _open_cache():
            self.dispatcher._cache = KernelCache(self.function)
        # loading waits for nobody
        with contextlib.nullcontext(True) if self.is_kept() else _alone(self.name, wait=wait) as go:
            if not go:
                return
            if not self.is_kept():
                self.announce()
            self._compile()
        self.dispatcher.disable_compile()

    def _compile(self) -> None:
        with global_compiler_lock, _quicker():
            self.dispatcher.compile(nb.void(*map(_kind, self.signature)))

    def lowered(self) -> Any:
        """Type it and translate it to LLVM's language, without what speaks to Python, for a build."""
        self.dispatcher.targetoptions["no_cpython_wrapper"] = True
        self._compile()
        (result,) = self.dispatcher.overloads.values()
        return result


#: The kernels that were only defined, as under ``ESCALA_COMPILE=later``, by module and name: builds need but some.
waiting: dict[str, Kernel] = {}
_defined: dict[str, Kernel] = {}
_later = os.environ.get("ESCALA_COMPILE") == "later"


def kernel(function: Any, signature: tuple[str, ...], announce: Callable[[], None]) -> Any:
    """Compile a kernel, or load it from the cache, or define it where that is to be later."""
    if config.DISABLE_JIT:
        return function
    function.__escala_identity__ = identity(function, signature)
    dispatcher = numba.njit(**OPTIONS, **_NO_CFUNC, pipeline_class=_RootCompiler)(function)
    made = Kernel(function, signature, dispatcher, announce)
    _defined[made.name] = made
    if _later:
        waiting[made.name] = made
    else:
        made.compile()
    return made.dispatcher


#: What the kernels call, optimized for this machine.
_parts = Parts()


class Linked(JITCodeLibrary):
    """What a helper is compiled to: code that goes to those who call it, and no machine code."""

    def finalize(self) -> None:
        _lend(self)
        self.optimize()
        _parts.keep(self._final_module)
        self._finalize_dynamic_globals()
        self._finalized = True

    def optimize(self) -> None:
        """Vectorize its loops here: inside a kernel some no longer are, and fits took up to a third longer."""
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)

    def _get_module_for_linking(self) -> Any:
        """Give it with all that it calls, for compiled code of others."""
        if self._shared_module is None:
            self._shared_module = self._final_module.clone()
            _parts.complete(self._shared_module)
            for function in self._shared_module.functions:
                if function.linkage in (llvm.Linkage.external, llvm.Linkage.weak_odr) and not function.is_declaration:
                    function.linkage = "linkonce_odr"
        return self._shared_module


class Root(JITCodeLibrary):
    """What a kernel is compiled to, beside what it calls."""

    def finalize(self) -> None:
        _lend(self)
        self._optimize_final_module()
        _parts.complete(self._final_module)
        self._final_module.verify()
        self._finalize_final_module()


def _lend(library: Any) -> None:
    """Give a library, for as long as it is optimized, what may be inlined in it."""
    for needed in library._linking_libraries:
        if not isinstance(needed, Linked):  # of numba's own, which are complete
            _parts.keep(needed._final_module)
    _parts.lend(library._final_module)


@register_pass(mutates_CFG=True, analysis_only=False)
class _RootLowering(NativeLowering):
    """Lowering of a kernel."""

    _name = "root_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = Root(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


@register_pass(mutates_CFG=True, analysis_only=False)
class _LinkedLowering(NativeLowering):
    """Lowering that makes no machine code of a function, for nothing calls it from outside."""

    _name = "linked_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = Linked(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        state.library.finalize()
        # Callers know an overload by the built-in function that calls it: this one is nobody else's, and never called.
        unique: list[Any] = []
        key = unique.append
        state.targetctx.insert_user_function(key, state.cr.fndesc, [state.library])
        state.cr = state.cr._replace(cfunc=key)
        return True


class _WithLowering(Compiler):
    """numba's passes, but for one."""

    lowering: Any

    def define_pipelines(self) -> list[Any]:
        (pipeline,) = super().define_pipelines()
        passes = PassManager(self.lowering._name)
        for step, why in pipeline.passes:
            passes.add_pass(self.lowering if step is NativeLowering else step, why)
        passes.finalize()
        return [passes]


class _RootCompiler(_WithLowering):
    lowering = _RootLowering


class _LinkedCompiler(_WithLowering):
    lowering = _LinkedLowering


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
def _quicker() -> Iterator[None]:
    """Within it numba takes less time for what it does again and again, and comes to the same results."""
    typing, target = cpu_target.typing_context, cpu_target.target_context
    lock, often = llvm.ffi.lib._lock, gc.get_threshold()
    plain = (typing.resolve_function_type, ir.Inst._rec_list_vars, target.get_abi_sizeof, lock._cblist)
    typing.resolve_function_type = _remembered(plain[0])
    ir.Inst._rec_list_vars = _without_asking(plain[1])
    target.get_abi_sizeof = functools.cache(plain[2])  # LLVM parses a module of its own for each question
    lock._cblist = []  # or every call of LLVM is told to each of the compilations that wait for this one
    if often[0]:
        gc.set_threshold(20_000, 20, 50)  # to look for garbage took an eighth of the time
    try:
        yield
    finally:
        typing.resolve_function_type, ir.Inst._rec_list_vars, target.get_abi_sizeof, lock._cblist = plain
        gc.set_threshold(*often)


def _remembered(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Look up only once what an operator gives for two kinds of numbers: numba tries up to 30 definitions each time."""
    known: dict[Any, Any] = {}

    def resolve(function: Any, args: Any, kws: Any) -> Any:
        simple = isinstance(function, nb.Function) and function.typing_key in _OPERATORS and not kws
        if not simple or not all(isinstance(kind, _NUMBERS) for kind in args):
            return plain(function, args, kws)
        key = function, tuple(args)
        if key not in known:
            known[key] = plain(function, args, kws)
        return known[key]

    return resolve


_CONTAINERS = (dict, list, tuple)
_NO_VARIABLES = frozenset({ir.Loc, str, int, float, bool, type(None)})


def _without_asking(plain: Callable[..., Any]) -> Callable[..., Any]:
    """List variables of an instruction: most of its parts are none, which numba asks four times of each."""

    def listed(self: Any, value: Any) -> Any:
        if type(value) not in _CONTAINERS:
            return plain(self, value)
        found = []
        for one in value.values() if type(value) is dict else value:
            if type(one) is ir.Var:
                found.append(one)
            elif type(one) not in _NO_VARIABLES:
                found += listed(self, one)
        return found

    return listed


def inner(function: Any, options: dict[str, Any]) -> Any:
    """Give what numba compiles into the kernels that call a function."""
    return function if config.DISABLE_JIT else _Helper(function, **OPTIONS, **options)


def kept_kernels() -> list[str]:
    """Names of the kernels, of those whose modules were loaded, whose compiled code lies in the cache directory."""
    return sorted(name.removeprefix(f"{__package__}.") for name, one in _defined.items() if one.is_kept())


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
