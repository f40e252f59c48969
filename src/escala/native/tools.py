"""The tools that builds call, and what they say when they fail."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from escala.errors import BuildError


def c_compiler() -> list[str]:
    """Give the words that call the C compiler: what ``CC`` names, else ``cc``, ``gcc`` or ``clang``."""
    chosen = os.environ.get("CC", "").split()
    for candidate in [chosen] if chosen else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(candidate[0]):
            return candidate
    tried = f"CC names {' '.join(chosen)!r}, which is not there" if chosen else "neither cc, gcc nor clang is there"
    raise BuildError(f"no C compiler found: {tried}")


def settings(**more: str) -> dict[str, str]:
    """Give the environment of a process that compiles kernels: this package, and none of the caller's for numba."""
    chosen = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    package = Path(__file__).parent.parent.parent
    chosen["PYTHONPATH"] = os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])
    chosen["ESCALA_COMPILE"] = "later"  # each process only what it needs
    return chosen | more


def run(command: Sequence[str], *, cwd: Path) -> None:
    """Run a tool to its end."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    _check_end(command, done.returncode, done.stderr or done.stdout)


def run_together(commands: Sequence[Sequence[str]], settings: dict[str, str]) -> None:
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
