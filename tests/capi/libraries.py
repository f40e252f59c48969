"""The library for this processor, built once a session whichever test asks first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from escala.capi import Built

BUILD = ("capi", "build", "--out", "lib")
_BUILT: dict[str, subprocess.CompletedProcess[str]] = {}


def build_command(folders: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Give how the command ended that built the library, among modules of others that must not be taken for ours."""
    if "native" not in _BUILT:
        folder = folders.mktemp("native")
        for module in ("numpy", "numbers"):
            (folder / f"{module}.py").write_text("raise RuntimeError('not this one')\n")
        command = [sys.executable, "-P", "-m", "escala", *BUILD]  # -P: as the script is run
        _BUILT["native"] = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return _BUILT["native"]


def native_library(folders: pytest.TempPathFactory) -> Built:
    """Give the library, built if nobody asked before."""
    done = build_command(folders)
    assert done.returncode == 0, done.stderr
    return Built(*map(Path, done.stdout.splitlines()))
