"""Build the extension: ``python -m escala.native.build FOLDER LEVEL...``."""

from __future__ import annotations

import json
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from escala import kernels
from escala.errors import BuildError
from escala.kernels.identity import sources
from escala.native.header import header
from escala.native.levels import LEVELS
from escala.native.tools import c_compiler, run, run_together, settings

#: Name of the extension's file, beside the kernels' sources.
NAME: Final = "_native.abi3.so"
_COMPILE: Final = ("-std=c11", "-O2", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-Wextra")
_LINK: Final = ("-Wl,-z,noexecstack", "-Wl,--gc-sections", "-Wl,-s", "-Wl,--version-script=exports.map")


def build(folder: Path, levels: Sequence[str] = tuple(LEVELS), names: Sequence[str] | None = None) -> Path:
    """Compile every kernel for some levels of processors, and link them to one extension.

    Parameters
    ----------
    folder : Path
        Where it is put.
    levels : sequence of str
        Of ``"v2"``, ``"v3"`` and ``"v4"``, in this order.
    names : sequence of str, optional
        Kernels, by default all. numba compiles the others where they are used.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    BuildError
        In one line: a level that is none, a machine that has none of them, no C compiler, or what a tool said.
    """
    import numpy

    if not levels or list(levels) != [level for level in LEVELS if level in levels]:
        raise BuildError(
            f"levels must be some of {', '.join(LEVELS)}, in this order, not {', '.join(levels) or 'none'}"
        )
    if sysconfig.get_platform() != "linux-x86_64":
        raise BuildError(f"kernels are built ahead on linux-x86_64, not on {sysconfig.get_platform()}")
    of = sources()
    if of is None:
        raise BuildError("the sources of the kernels cannot be read")
    compiler = c_compiler()
    wanted = kernels.names() if names is None else names
    with tempfile.TemporaryDirectory(prefix="escala-") as place:
        work = Path(place)
        # -P: what lies in the caller's folder, a numbers.py perhaps, is none of our modules
        run_together([[sys.executable, "-P", "-m", "escala.native.emit", place, ",".join(levels), *wanted]], settings())
        table = json.loads((work / "kernels.json").read_text())
        (work / "kernels.h").write_text(header(table, levels, of, str(sys.implementation.cache_tag)))
        (work / "extension.c").write_text(resources.files("escala.native").joinpath("extension.c").read_text())
        (work / "exports.map").write_text("{ global: PyInit__native; local: *; };\n")
        found = [f"-I{sysconfig.get_paths()['include']}", f"-I{numpy.get_include()}"]
        run([*compiler, *_COMPILE, *found, "-c", "extension.c", "-o", "extension.o"], cwd=work)
        objects = sorted(path.name for path in work.glob("*.o"))
        run([*compiler, "-shared", "-o", NAME, *objects, *_LINK], cwd=work)
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(work / NAME, folder / NAME))


if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2:])
