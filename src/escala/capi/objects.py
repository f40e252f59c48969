"""Machine code of the entries: the step of the build that runs in processes of its own, whose settings name the CPU.

``python -m escala.capi.objects FOLDER PART`` writes an object file for each entry of one of the parts, and the first of
them the headers made for ``library.c``. The parts are what can be compiled side by side.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from numba.core import config
from numba.core.registry import cpu_target

from escala.capi.entries import ENTRIES, Entry
from escala.capi.tables import hidden, prototypes, tables

#: The entries of the second part: half of the work.
_SECOND = (
    "allocate", "allocate_work_size", "allocate_integers_size", "plan_leverage", "plan_unwind", "plan_conditions",
    "trades",
)  # fmt: skip


def _target_machine() -> Any:
    """Describe the processor the kernels were compiled for, as code that may lie anywhere in memory."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    named = config.CPU_NAME is not None
    cpu = config.CPU_NAME if named else llvm.get_host_cpu_name()
    features = config.CPU_FEATURES if named else cpu_target.target_context.codegen()._tm_features
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=cpu, features=features or "", opt=3, reloc="pic", codemodel="default")


def _object(entry: Entry, machine: Any) -> bytes:
    """Keep the entry and what it calls, without the wrapper that speaks to Python, and compile it."""
    text, symbol = entry.compiled()
    module = llvm.parse_assembly(text)
    for function in module.functions:
        if function.is_declaration:
            continue
        if function.name == symbol:
            function.name = hidden(entry.name)
            function.linkage, function.visibility = "external", "hidden"
        else:
            function.linkage = "internal"
    for variable in module.global_variables:
        if not variable.is_declaration:
            variable.linkage = "internal"
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0)))
    return bytes(machine.emit_object(module))


def main(folder: str, part: int) -> None:
    """Write what the C compiler puts together."""
    place = Path(folder)
    machine = _target_machine()
    if part == 0:
        (place / "entries.h").write_text(prototypes())
        (place / "tables.h").write_text(tables())
    for name, entry in ENTRIES.items():
        if (name in _SECOND) == (part == 1):
            (place / f"{name}.o").write_bytes(_object(entry, machine))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
