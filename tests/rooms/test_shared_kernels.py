"""Kernels that root compiles for all: others load them, and nobody but root may write them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from escala.commands import shared
from escala.errors import BuildError
from escala.kernels import compiler
from tests.places import ROOT
from tests.postgres import NOBODY

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root keeps kernels for others")

#: Loads kernels as another user. What numba imports late is imported first: that user may not read where Python lies.
_LOAD = f"""
import os, sys
import numba
numba.njit(lambda x: x + 1.0)(1.0)
from escala.kernels import compiler, jit
compiler.cache_dir()
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
def refuse(): raise SystemExit("something is compiled")
jit.before_compiling = refuse
from escala.kernels import philox
print(len(compiler.kept_kernels()))
"""


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two kernels that root has compiled, as they lie in this process' cache."""
    from escala.kernels import philox

    assert callable(philox.words)
    monkeypatch.setenv("ESCALA_CACHE_DIR", "unset")  # put back at the end
    before = os.umask(0o077)
    os.umask(before)
    folder = shared.prepare(tmp_path / "kernels") / compiler.cache_dir().name
    folder.mkdir(mode=0o700)
    for file in compiler.cache_dir().glob("*philox*"):
        shutil.copy(file, folder)
    os.umask(before)
    for place in (tmp_path, *list(tmp_path.parents)[:3]):
        place.chmod(place.stat().st_mode | 0o055)
    return folder


@root
@pytest.mark.slow
def test_others_load_what_root_has_compiled(kept: Path) -> None:
    shared.give(kept)
    ran = [sys.executable, "-c", _LOAD]
    env = {**os.environ, "ESCALA_CACHE_DIR": str(kept.parent)}
    done = subprocess.run(ran, capture_output=True, text=True, cwd=ROOT, check=False, env=env)
    assert (done.stdout, done.stderr) == ("2\n", "")
    assert {file.stat().st_mode & 0o777 for file in kept.iterdir()} == {0o644}
    for file in kept.iterdir():
        file.chmod(0o666)
    done = subprocess.run(ran, capture_output=True, text=True, cwd=ROOT, check=False, env=env)
    assert "others may write to" in done.stderr  # so it compiles for itself


@root
def test_a_folder_that_others_may_change_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(BuildError, match=r"--shared: .*/open may be written to by others"):
        shared.prepare(tmp_path / "open" / "kernels")
    (tmp_path / "theirs").mkdir(mode=0o755)
    os.chown(tmp_path / "theirs", NOBODY, NOBODY)
    with pytest.raises(BuildError, match=rf"--shared: .*/theirs must be root's, but is that of user {NOBODY}"):
        shared.prepare(tmp_path / "theirs")
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match=r"--shared .*/file/below: Not a directory"):
        shared.prepare(tmp_path / "file" / "below")


def test_only_root_keeps_kernels_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    with pytest.raises(BuildError, match="--shared must be used by root: others run only what root has compiled"):
        shared.prepare(tmp_path)
