"""Build libescala: compile the entries for a processor, and let a C compiler link them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from escala import __version__
from escala.errors import BuildError
from escala.files import whole

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
    chosen = os.environ.get("CC", "").split()
    for candidate in [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(candidate[0]):
            return _Tools(candidate, *(_tool(name) for name in ("ld", "objcopy", "ar")))
    tried = f"CC names {' '.join(chosen)!r}, which is not there" if chosen else "neither cc, gcc nor clang is there"
    raise BuildError(f"no C compiler found: {tried}")


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
    settings = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    package = Path(__file__).parent.parent.parent
    settings["PYTHONPATH"] = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings["ESCALA_COMPILE"] = "later"  # each process only what it needs
    if cpu != "native":
        settings |= {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
    # -P: what lies in the caller's folder, a numbers.py perhaps, is none of our modules
    step = [sys.executable, "-P", "-m", "escala.capi.objects", str(work)]
    _run_together([[*step, part] for part in _PARTS], settings)


def _link(work: Path, tools: _Tools) -> Built:
    here = resources.files("escala.capi")
    for name in ("library.c", "escala.h"):
        (work / name).write_text(here.joinpath(name).read_text())
    pkgconfig = work / "escala.pc"
    template = here.joinpath("escala.pc.in").read_text()
    pkgconfig.write_text(template.replace("@VERSION@", __version__))
    (work / "exports.map").write_text(_EXPORTS)
    version = f'-DVERSION="{__version__}"'
    _run([*tools.compiler, *_COMPILE, version, "-c", "library.c", "-o", "library.o"], cwd=work)
    objects = sorted(path.name for path in work.glob("*.o"))
    shared = [f"-Wl,-soname,{_SONAME}", "-Wl,--version-script=exports.map", "-Wl,--no-undefined", "-Wl,-z,noexecstack"]
    _run([*tools.compiler, "-shared", "-o", "libescala.so", *objects, *shared], cwd=work)
    _run([tools.linker, "-r", "-z", "noexecstack", "-o", "whole.o", *objects], cwd=work)
    _run([tools.objcopy, "--wildcard", "--keep-global-symbol=escala_*", "whole.o"], cwd=work)
    _run([tools.archiver, "rcs", "libescala.a", "whole.o"], cwd=work)
    return Built(work / "libescala.so", work / "libescala.a", work / "escala.h", pkgconfig)


def _run(command: Sequence[str], *, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    _check_end(command, done.returncode, done.stderr or done.stdout)


def _run_together(commands: Sequence[Sequence[str]], settings: dict[str, str]) -> None:
    """Run processes side by side; the first failure ends the others."""
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            )
            for command in commands
        ]
        for process in running:
            stack.callback(process.kill)
        for command, process in zip(commands, running, strict=True):
            _, said = process.communicate()
            _check_end(command, process.returncode, said)


def _check_end(command: Sequence[str], status: int, said: str) -> None:
    """Raise what a tool said, in one line: its first error, or else its last word; of Python always the last."""
    if status:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower()]
        if not telling or any(line.startswith("Traceback ") for line in lines):
            telling = lines[-1:] or [f"status {status}"]
        raise BuildError(f"{Path(command[0]).name} failed: {telling[0]}")


def _placed(path: Path, folder: Path) -> Path:
    """Move a file to its place at once: whoever has an older one loaded keeps it."""
    there = folder / path.name
    try:
        whole.write(there, path.read_bytes(), mode=0o755 if path.suffix == ".so" else 0o644)
    except OSError as reason:
        raise BuildError(f"cannot write {str(there)!r}: {reason.strerror or reason}") from None
    return there
