"""The kernel cache: quick when warm, never stale, never in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from escala import kernels

#: What the answer of `_USE` needs.
NEEDED = [name for name in kernels.names() if name.startswith("lending.")]
_USE = "import escala; print(float(escala.simulate(1000, 600, 1500, 200).final_supply))"
_ANSWER = "1501.5124719625292\n"


def use(cache: Path, code: str = _USE, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ESCALA_CACHE_DIR": str(cache), **env},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    assert use(cache).stdout == _ANSWER
    return cache


def place(cache: Path) -> Path:
    (directory,) = cache.iterdir()
    return directory


def test_a_filled_cache_is_used_and_left_alone(filled: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in place(filled).glob("*.nb?")}
    done = use(filled)
    assert (done.stdout, done.stderr) == (_ANSWER, "")
    assert {path: path.stat().st_mtime_ns for path in place(filled).glob("*.nb?")} == before
    assert len([path for path in before if path.suffix == ".nbi"]) == len(NEEDED)  # no broadcast was needed


def test_an_unwritable_place_costs_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    done = use(tmp_path / "file" / "below")
    assert done.stdout == _ANSWER
    assert done.stderr.count("RuntimeWarning: compiled kernels are not kept in") == 1
    assert "ESCALA_CACHE_DIR" in done.stderr


@pytest.mark.parametrize(
    ("pattern", "content"), [("*.nbi", b"junk"), ("*.nbc", b""), ("*lending.lanes.lending-*.nbc", b"\x80\x04junk")]
)
def test_damaged_files_are_healed_by_the_same_run(tmp_path: Path, filled: Path, pattern: str, content: bytes) -> None:
    copy = tmp_path / "cache" / place(filled).name
    copy.mkdir(parents=True)
    for path in place(filled).iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    damaged = list(copy.glob(pattern))
    assert damaged
    for path in damaged:
        path.write_bytes(content)
    done = use(tmp_path / "cache")
    assert done.stdout == _ANSWER
    assert done.stderr.count("RuntimeWarning") >= 1
    healed = use(tmp_path / "cache")
    assert (healed.stdout, healed.stderr) == (_ANSWER, "")


def test_eight_processes_fill_a_cold_cache_together(tmp_path: Path) -> None:
    env = {**os.environ, "ESCALA_CACHE_DIR": str(tmp_path)}
    crew = [
        subprocess.Popen(
            [sys.executable, "-c", _USE], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    for child in crew:
        assert child.communicate() == (_ANSWER, "")
        assert child.returncode == 0
    assert len(list(place(tmp_path).glob("*.nbc"))) == len(NEEDED)


def test_flags_and_processor_have_places_of_their_own(tmp_path: Path) -> None:
    code = "from escala.kernels import jit; print(jit.cache_dir())"
    places = {
        use(tmp_path, code).stdout,
        use(tmp_path, code, NUMBA_BOUNDSCHECK="1").stdout,
        use(tmp_path, code, NUMBA_CPU_NAME="x86-64-v2").stdout,
        use(tmp_path, code, NUMBA_OPT="1").stdout,
    }
    assert len(places) == 4


def test_a_kernel_takes_one_signature_and_refuses_others() -> None:
    import numpy as np

    from escala.kernels.broadcast import take

    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        return
    with pytest.raises(TypeError, match="No matching definition"):
        take(np.zeros(3, dtype=np.float32), np.array([3]), np.array([1]), np.zeros(3), 0, 3)


def test_every_kernel_is_named() -> None:
    kernels.load_all()
    if os.environ.get("NUMBA_DISABLE_JIT") != "1":
        assert set(kernels.names()) <= set(kernels.compiled())


def test_a_build_compiles_no_more_than_it_needs(tmp_path: Path) -> None:
    code = (
        "from escala.kernels import curves, jit\n"
        "names = sorted(jit.waiting)\n"
        "jit.waiting['escala.kernels.curves.evaluate.threshold']()\n"
        "print(*(name.removeprefix('escala.kernels.') for name in names), *kernels.compiled(), sep='\\n')\n"
    )
    said = use(tmp_path / "cache", code, ESCALA_COMPILE="later").stdout.split()
    defined = sorted(name for name in kernels.names() if name.startswith(("curves.", "fitting.")))
    assert said == [*defined, "curves.threshold"]
