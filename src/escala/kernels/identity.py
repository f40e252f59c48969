"""What a kernel is compiled from, as a hash: compiled code of another one is never run for it."""

from __future__ import annotations

import functools
import os
import types
import zlib
from collections.abc import Iterator, Sequence
from typing import Any


def identity(function: Any, signature: Sequence[Any]) -> str:
    """Hash what a kernel is compiled from: its code, that of all functions it calls, and the constants they name.

    Comments, docstrings, names of variables and whatever else stands in their files change nothing. The code objects
    are looked at, not the sources, so it is the same where those cannot be read.
    """
    import hashlib  # loads a library of cryptography, which a program whose kernels came compiled does without

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
                parts.append(f"{called_here.__qualname__} {getattr(one, 'options', None)}")
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


@functools.cache
def sources() -> str | None:
    """Checksum every source that a kernel may depend on, this package's and the tables; None if they are not there.

    Of an installed package they are as they came, so this tells in milliseconds what :func:`identity` tells of each
    kernel, and it is the same on every Python. It is against edits, not against people: whoever may write here need
    not deceive anybody.
    """
    here = os.path.dirname(__file__)
    package = os.path.dirname(here)
    sums = []
    try:
        for path in sorted([os.path.join(package, "tables.py"), *_modules(here)]):
            with open(path, "rb", buffering=0) as file:
                content = file.read()
            name = path[len(package) :]
            sums.append(f"{name} {len(content)} {zlib.crc32(content)} {zlib.adler32(content)}")
    except OSError:
        return None
    whole = "\n".join(sums).encode()
    return f"{len(whole):x}-{zlib.crc32(whole):08x}{zlib.adler32(whole):08x}"


def _modules(folder: str) -> Iterator[str]:
    """Give the paths of all sources in a folder: every process that starts walks here."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                yield entry.path
            elif entry.name != "__pycache__" and entry.is_dir():
                yield from _modules(entry.path)
