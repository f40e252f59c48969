"""How functions of LLVM's come together: bodies that may be inlined are lent, what is called comes in the end."""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
import pytest
from numba import njit
from numba import types as nb

from escala.kernels import jit
from escala.kernels.linking import _LONGEST, Parts


@pytest.fixture(scope="module", autouse=True)
def _targets() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def module(name: str, body: str, *calls: str, how: str = "") -> Any:
    """Make a module with one function, of a line or more, that adds up what it calls."""
    lines = [f"declare i64 @{one}(i64)" for one in calls]
    lines += [f"define i64 @{name}(i64 %x) {how} {{", body]
    total = "%x"
    for i, one in enumerate(calls):
        lines += [f"%a{i} = call i64 @{one}(i64 %x)", f"%b{i} = add i64 {total}, %a{i}"]
        total = f"%b{i}"
    return llvm.parse_assembly("\n".join([*lines, f"ret i64 {total}", "}"]))


LONG = "\n".join(f"%p{i} = alloca i64" for i in range(_LONGEST))


def linkages(of: Any) -> dict[str, Any]:
    return {one.name: "declared" if one.is_declaration else one.linkage for one in of.functions}


def test_short_bodies_are_lent_and_long_ones_only_where_they_must_be() -> None:
    parts = Parts()
    for name, body, how in (("short", "", ""), ("long", LONG, ""), ("must", LONG, "alwaysinline"), ("other", "", "")):
        parts.keep(module(name, body, how=how))
    caller = module("caller", "", "short", "long", "must", "unknown")
    parts.lend(caller)
    lent = llvm.Linkage.available_externally
    assert linkages(caller) == {
        "caller": llvm.Linkage.external, "short": lent, "must": lent, "long": "declared", "unknown": "declared",
    }  # fmt: skip


def test_in_the_end_there_is_all_that_is_called_and_nothing_else() -> None:
    parts = Parts()
    for name, calls in (("a", ("c",)), ("b", ("c",)), ("c", ("d",)), ("d", ()), ("nobody", ())):
        parts.keep(module(name, LONG, *calls))
    caller = module("caller", "", "a", "b")
    parts.lend(caller)
    parts.complete(caller)
    caller.verify()
    assert set(linkages(caller)) == {"caller", "a", "b", "c", "d"}
    assert "declared" not in linkages(caller).values()


def test_what_was_lent_is_completed_too() -> None:
    """Without optimization a lent body is still there, and no code would be made of it."""
    parts = Parts()
    parts.keep(module("short", ""))
    caller = module("caller", "", "short")
    parts.lend(caller)
    parts.complete(caller)
    assert linkages(caller)["short"] == llvm.Linkage.weak_odr


@jit.routine
def _longer(x: float) -> float:
    return 2.0 * x


@jit.helper
def _shorter(x: float) -> float:
    return _longer(x) + 1.0


def test_a_routine_is_none_the_more_inlined_because_a_helper_called_it_first() -> None:
    if jit.PLAIN:
        pytest.skip("nothing is compiled")
    _shorter.dispatcher.compile((nb.float64,))  # type: ignore[attr-defined]
    must = {}
    for one in (_longer, _shorter):
        (made,) = one.dispatcher.overloads.values()  # type: ignore[attr-defined]
        (function,) = [f for f in made.library._final_module.functions if not f.is_declaration]
        must[one] = any(b"alwaysinline" in attribute for attribute in function.attributes)
    assert (must[_longer], must[_shorter]) == (False, True)


def test_compiled_code_of_others_calls_a_helper_with_all_that_it_calls() -> None:
    def theirs(x: float) -> float:
        return _shorter(x)

    compiled: Any = njit(theirs)
    assert compiled(3.0) == 7.0
