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

from escala.capi.entries import ENTRIES
from escala.capi.tables import hidden, prototypes, tables
from escala.native.emit import object_code, target_machine

#: The entries of the second part: half of the work.
_SECOND = (
    "allocate", "allocate_work_size", "allocate_integers_size", "plan_leverage", "plan_unwind", "plan_conditions",
    "trades",
)  # fmt: skip


def _target_machine() -> Any:
    """Describe the processor the kernels were compiled for, as code that may lie anywhere in memory."""
    named = config.CPU_NAME is not None
    cpu = config.CPU_NAME if named else llvm.get_host_cpu_name()
    features = config.CPU_FEATURES if named else cpu_target.target_context.codegen()._tm_features
    return target_machine(cpu, features or "")


def main(folder: str, part: int) -> None:
    """Write what the C compiler puts together."""
    place = Path(folder)
    machine = _target_machine()
    if part == 0:
        (place / "entries.h").write_text(prototypes())
        (place / "tables.h").write_text(tables())
    for name, entry in ENTRIES.items():
        if (name in _SECOND) == (part == 1):
            text, symbol = entry.compiled()
            code = object_code(llvm.parse_assembly(text), {symbol: hidden(name)}, machine)
            (place / f"{name}.o").write_bytes(code)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
