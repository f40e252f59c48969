"""Machine code of kernels for several processors, from one typing.

``python -m escala.native.emit FOLDER LEVEL...`` writes an object file for each level, and a table of what is in them.

numba types and lowers every function once. What its libraries would optimize and compile for this machine is put aside
instead, nothing of it is run, and then optimized library by library in numba's order, with numba's passes, for the
target machine of each level: what numba would do on such a machine, without typing three times.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from numba.core.codegen import CPUCodeLibrary, JITCPUCodegen
from numba.core.cpu import CPUContext
from numba.core.registry import cpu_target

from escala import kernels
from escala.kernels import compiler
from escala.kernels.linking import Parts
from escala.native.levels import LEVELS, symbol


def target_machine(cpu: str, features: str) -> Any:
    """Describe a processor, for code that may lie anywhere in memory."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic", codemodel="default")


def object_code(module: Any, names: Mapping[str, str], machine: Any) -> bytes:
    """Keep some functions of a module, under new names, and what they call; compile nothing else."""
    for function in module.functions:
        if function.is_declaration:
            continue
        if function.name in names:
            function.name = names[function.name]
            function.linkage, function.visibility = "external", "hidden"
        else:
            function.linkage = "internal"
    for variable in module.global_variables:
        if not variable.is_declaration:
            variable.linkage = "internal"
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    # an array is seven arguments, of which few are used; and what never throws needs no tables to unwind it
    passes.add_dead_arg_elimination_pass()
    passes.add_post_order_function_attributes_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0)))
    return bytes(machine.emit_object(module))


@contextlib.contextmanager
def _put_aside() -> Iterator[None]:
    """Within it a library that is finalized only keeps what it consists of, and no function can be called."""
    raw = [(one, one.finalize) for one in (CPUCodeLibrary, compiler.Root, compiler.Linked)]
    environment, executable = JITCPUCodegen.set_env, CPUContext.get_executable

    def finalize(library: Any) -> None:
        library.escala_raw = library._final_module.as_bitcode()
        library._finalized = True

    for one, _ in raw:
        one.finalize = finalize
    JITCPUCodegen.set_env = lambda *_: None
    CPUContext.get_executable = lambda *_: [].append  # callers know a function by it: each must be another
    try:
        yield
    finally:
        for one, plain in raw:
            one.finalize = plain
        JITCPUCodegen.set_env, CPUContext.get_executable = environment, executable


def _optimize(library: Any, parts: Parts, met: set[int]) -> Any:
    """Optimize a library's module as its own `finalize` does, after those of the libraries that it needs."""
    met.add(id(library))
    library._ensure_finalized()
    for needed in library._linking_libraries:
        if id(needed) not in met:
            parts.keep(_optimize(needed, parts, met))
    module = llvm.parse_bitcode(library.escala_raw)
    parts.lend(module)
    library._final_module = module
    library.optimize() if isinstance(library, compiler.Linked) else library._optimize_final_module()
    return module


def emit(folder: Path, levels: Sequence[str], names: Sequence[str]) -> None:
    """Write an object file for each level, compiled side by side, and ``kernels.json``: what is in them."""
    with compiler.only_defined():
        kernels.load_all()
    gc.freeze()  # none of what is loaded by now is garbage
    made = [compiler.waiting[f"{kernels.__name__}.{name}"] for name in names]
    _optimize_for(levels[0])  # whatever machine builds
    with _put_aside():
        lowered = [(one.name, one.lowered()) for one in made]
        (folder / "kernels.json").write_text(json.dumps({one.name: _row(one) for one in made}))
        children = [_in_a_child(lambda level=level: _emit_level(folder, level, lowered)) for level in levels]
        for child in children:
            _, status = os.waitpid(child, 0)
            if status:
                raise SystemExit("a level could not be compiled")


def _row(one: compiler.Kernel) -> dict[str, Any]:
    doc = (one.function.__doc__ or "").partition("\n")[0]
    return {"signature": one.signature, "identity": one.function.__escala_identity__, "doc": doc}


def _in_a_child(work: Callable[[], None]) -> int:
    """Do it in a copy of this process."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    return child


def _optimize_for(level: str) -> Any:
    machine = target_machine(*LEVELS[level])
    cpu_target.target_context.codegen()._tm = machine
    return machine


def _emit_level(folder: Path, level: str, lowered: Sequence[tuple[str, Any]]) -> None:
    """Compile the kernels of a level as one module, in which every function that several call is once."""
    machine = _optimize_for(level)
    parts, met = Parts(), set[int]()
    whole = llvm.parse_assembly("")
    for name, result in lowered:
        module = _optimize(result.library, parts, met)
        module.get_function(result.fndesc.llvm_func_name).name = symbol(level, name)
        whole.link_in(module)
    parts.complete(whole)
    code = object_code(whole, {symbol(level, name): symbol(level, name) for name, _ in lowered}, machine)
    (folder / f"{level}.o").write_bytes(code)


if __name__ == "__main__":
    emit(Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:])
