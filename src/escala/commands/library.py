"""The C library on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from escala.commands.terminal import print_json, say
from escala.text import progress


def build(
    *, out: Path, cpu: Literal["native", "x86-64-v2", "x86-64-v3", "x86-64-v4"] = "native", json: bool = False
) -> None:
    """Build the kernels as a native library for programs in C, C++, Rust and others, without Python at run time.

    Parameters
    ----------
    out
        The folder for libescala.so, libescala.a, escala.h and escala.pc.
    cpu
        The processor that the code may count on; all of them give the same bits.
    json
        Print JSON.
    """
    from escala import capi

    with progress.bar("building"):
        built = capi.build(out, cpu)
    if json:
        print_json({"cpu": cpu, "files": [str(path) for path in built.paths]})
        return
    for path in built.paths:
        say(path)
