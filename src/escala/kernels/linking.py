"""Functions of LLVM's, each optimized once, whoever calls it.

numba would put every function with all that it calls into each of its callers, and optimize it there once more, as
often as there are callers above it. Here a caller has the body of another function only while it is optimized itself,
and only if that body may be inlined. What is called in the end goes beside it unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm

# Lines of LLVM's language, most of which cost 5 where inlining is weighed: more than about 225, or twice that where
# something is gained, is never inlined unless it must be, so a longer body need not be looked at.
_LONGEST = 300


@dataclass(frozen=True)
class _Part:
    module: Any
    calls: tuple[str, ...]  # the functions that its own call and that are not in it


class Parts:
    """Optimized functions, by their names, for the modules that call them."""

    def __init__(self) -> None:
        self._whole: dict[str, _Part] = {}
        self._lent: dict[str, _Part] = {}

    def keep(self, module: Any) -> None:
        """Take a module that is optimized, for those who call its functions."""
        own = [one for one in module.functions if not _is_missing(one)]
        calls = tuple(one.name for one in module.functions if _is_missing(one))
        whole = module.clone()
        for one in own:
            # numba's functions come with one for C, which nobody calls: internal ones are left behind
            whole.get_function(one.name).linkage = "internal" if one.name.startswith("cfunc.") else "weak_odr"
        names = [one.name for one in own if not one.name.startswith("cfunc.")]
        self._whole |= dict.fromkeys(names, _Part(whole, calls))
        must = any(b"alwaysinline" in attribute for one in own for attribute in one.attributes)
        if must or str(module).count("\n") <= _LONGEST:
            lent = whole.clone()
            for name in names:
                lent.get_function(name).linkage = "available_externally"  # no code is made of it
            self._lent |= dict.fromkeys(names, _Part(lent, calls))

    def lend(self, module: Any) -> None:
        """Give a module the bodies that may be inlined in it, until it is optimized."""
        for part in _called(module, self._lent):
            module.link_in(part, preserve=True)

    def complete(self, module: Any) -> None:
        """Give a module that is optimized whatever it calls."""
        # a link costs what both sides are long: two and two take far less time than one after the other
        modules = [part.clone() for part in _called(module, self._whole)]
        while len(modules) > 1:
            odd = modules[len(modules) // 2 * 2 :]
            pairs = list(zip(modules[::2], modules[1::2], strict=False))
            for one, other in pairs:
                one.link_in(other)
            modules = [one for one, _ in pairs] + odd
        for one in modules:
            module.link_in(one)


def _is_missing(function: Any) -> bool:
    """Tell whether a module has no code of a function, or will not have it in the end."""
    return bool(function.is_declaration or function.linkage == llvm.Linkage.available_externally)


def _called(module: Any, parts: dict[str, _Part]) -> Iterable[Any]:
    """Give the modules of all functions that one calls, directly or not, each once."""
    asked = [one.name for one in module.functions if _is_missing(one)]
    met = {one.name for one in module.functions if not _is_missing(one)}
    found: dict[int, Any] = {}
    for name in asked:  # grows while it is walked
        if name not in met and name in parts:
            found[id(parts[name])] = parts[name].module
            asked += parts[name].calls
        met.add(name)
    return found.values()
