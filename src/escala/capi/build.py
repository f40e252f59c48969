"""Build libescala: compile the entries for a processor, and let a C compiler link them."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from escala import __version__
from escala.errors import BuildError
from escala.files import whole
from escala.native.tools import c_compiler, run, run_together, settings

#: Processors a library can be built for. "native" is this one.
CPUS: Final = ("native", "x86-64-v2", "x86-64-v3", "x86-64-v4")
_SONAME: Final = "libescala.so"
_COMPILE: Final = ("-std=c11", "-O2", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-Wextra")
_PARTS: Final = ("0", "1")  # of the entries: one process each
_EXPORTS: Final = "{ global: escala_*; local: *; };\n"


@dataclass(frozen=True)
class Built:
    """The files of a built library."""

    shared: Path
    static: Path
    header: Path
    pkgconfig: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        return self.shared, self.static, self.header, self.pkgconfig


@dataclass(frozen=True)
class _Tools:
    compiler: list[str]
    linker: str
    objcopy: str
    archiver: str


def build(out: str | os.PathLike[str], cpu: str = "native") -> Built:
    """Build the C library: the kernels as native code that needs no Python.

    Parameters
    ----------
    out : path
        Folder for ``libescala.so``, ``libescala.a``, ``escala.h`` and ``escala.pc``; it is made if need be.
    cpu : str
        Processor that the code may count on: ``"native"``, ``"x86-64-v2"``, ``"x86-64-v3"`` or ``"x86-64-v4"``. All of
        them give the same bits.

    Returns
    -------
    Built
        The paths of the files.

    Raises
    ------
    BuildError
        In one line: a CPU that is none of these, no C compiler, a folder that cannot be written, or what a tool said.

    Notes
    -----
    The compiler is what ``CC`` names, else ``cc``, ``gcc`` or ``clang``; it compiles the checks and links. The kernels
    are compiled by Numba, in processes of their own, with a cache for each processor: a first build takes a minute of
    processor time, shared by two processes, a later one seconds.
    """
    _check_platform(cpu)
    tools = _tools()
    place = _folder(Path(out))
    try:
        with tempfile.TemporaryDirectory(prefix="escala-") as folder:
            work = Path(folder)
            _compile_entries(work, cpu)
            built = _link(work, tools)
            return Built(*(_placed(path, place) for path in built.paths))
    except OSError as reason:  # the folder for what is temporary cannot be written, or a tool cannot be run
        where = f" {reason.filename!r}" if reason.filename is not None else ""
        raise BuildError(f"the build cannot use{where}: {reason.strerror or reason}") from None


def header() -> str:
    """Text of ``escala.h``."""
    return resources.files("escala.capi").joinpath("escala.h").read_text()


def _check_platform(cpu: str) -> None:
    if not sys.platform.startswith("linux"):
        raise BuildError(f"the C library is built on Linux, not on {sys.platform}")
    if cpu not in CPUS:
        raise BuildError(f"cpu must be one of {', '.join(CPUS)}, not {cpu!r}")
    machine = os.uname().machine
    if cpu != "native" and machine != "x86_64":
        raise BuildError(f"on {machine} only cpu='native' can be built, not {cpu!r}")


def _tools() -> _Tools:
    return _Tools(c_compiler(), *(_tool(name) for name in ("ld", "objcopy", "ar")))


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BuildError(f"the linker's tools are needed beside the C compiler, but {name} is not there (binutils)")
    return found


def _folder(out: Path) -> Path:
    """Make the folder and see that files can be put there, before minutes of work."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as reason:
        raise BuildError(f"cannot write to {str(out)!r}: {reason.strerror or reason}") from None
    return out.resolve()


def _compile_entries(work: Path, cpu: str) -> None:
    """Compile in processes of their own, for the processor that their settings name."""
    chosen = {} if cpu == "native" else {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
    # -P: what lies in the caller's folder, a numbers.py perhaps, is none of our modules
    step = [sys.executable, "-P", "-m", "escala.capi.objects", str(work)]
    run_together([[*step, part] for part in _PARTS], settings(**chosen))


def _link(work: Path, tools: _Tools) -> Built:
    here = resources.files("escala.capi")
    for name in ("library.c", "escala.h"):
        (work / name).write_text(here.joinpath(name).read_text())
    pkgconfig = work / "escala.pc"
    template = here.joinpath("escala.pc.in").read_text()
    pkgconfig.write_text(template.replace("@VERSION@", __version__))
    (work / "exports.map").write_text(_EXPORTS)
    version = f'-DVERSION="{__version__}"'
    run([*tools.compiler, *_COMPILE, version, "-c", "library.c", "-o", "library.o"], cwd=work)
    objects = sorted(path.name for path in work.glob("*.o"))
    shared = [f"-Wl,-soname,{_SONAME}", "-Wl,--version-script=exports.map", "-Wl,--no-undefined", "-Wl,-z,noexecstack"]
    run([*tools.compiler, "-shared", "-o", "libescala.so", *objects, *shared], cwd=work)
    run([tools.linker, "-r", "-z", "noexecstack", "-o", "whole.o", *objects], cwd=work)
    run([tools.objcopy, "--wildcard", "--keep-global-symbol=escala_*", "whole.o"], cwd=work)
    run([tools.archiver, "rcs", "libescala.a", "whole.o"], cwd=work)
    return Built(work / "libescala.so", work / "libescala.a", work / "escala.h", pkgconfig)


def _placed(path: Path, folder: Path) -> Path:
    """Move a file to its place at once: whoever has an older one loaded keeps it."""
    there = folder / path.name
    try:
        whole.write(there, path.read_bytes(), mode=0o755 if path.suffix == ".so" else 0o644)
    except OSError as reason:
        raise BuildError(f"cannot write {str(there)!r}: {reason.strerror or reason}") from None
    return there
