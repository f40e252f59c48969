"""Commands as the tests run them: in this process, or in one of their own where that is what a test is about."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from escala.commands import app as cli
from tests.places import ROOT


def escala(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in this process: in one of its own it takes a second, of which nearly all goes into loading."""
    out, err, words = io.StringIO(), io.StringIO(), list(map(str, arguments))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        patch.setattr(warnings, "showwarning", warnings.showwarning)
        patch.chdir(cwd or ROOT)
        code = cli.main(words)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def process(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    words = [sys.executable, "-m", "escala", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd)
