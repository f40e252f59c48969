"""The kernel cache: quick when warm, never stale, never in the way."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from escala import kernels
from escala.kernels import compiler, jit, philox
from escala.kernels.identity import identity

#: Uses the kernels that are compiled soonest: no test here is about what they compute.
_USE = """
import numpy as np
from escala.kernels import philox
out = np.empty(8, np.int64)
philox.words(1, 2, 3, 4, 5, out, 0, 2)
print(out.sum())
"""
NEEDED = [name for name in kernels.names() if name.startswith("philox.")]


def _answer() -> str:
    out = np.empty(8, np.int64)
    philox.words(1, 2, 3, 4, 5, out, 0, 2)
    return f"{out.sum()}\n"


_ANSWER = _answer()


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
    assert len([path for path in before if path.suffix == ".nbi"]) == len(NEEDED)


def test_a_simulation_loads_no_more_kernels_than_it_needs() -> None:
    code = "import escala; escala.simulate(1000, 600, 1500, 200); from escala.kernels import compiler; print(*sorted(compiler._defined))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    needed = [name for name in kernels.names() if name.startswith("lending.lanes.")]
    assert done.stdout.split() == [f"escala.kernels.{name}" for name in needed]


def test_an_unwritable_place_costs_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    done = use(tmp_path / "file" / "below")
    assert done.stdout == _ANSWER
    assert done.stderr.count("RuntimeWarning: compiled kernels are not kept in") == 1
    assert "ESCALA_CACHE_DIR" in done.stderr


@pytest.mark.parametrize(
    ("pattern", "content"), [("*.nbi", b"junk"), ("*.nbc", b""), ("*philox.words-*.nbc", b"\x80\x04junk")]
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


def test_a_flipped_bit_costs_one_compilation_and_the_file_is_replaced(tmp_path: Path, filled: Path) -> None:
    """Machine code of which one bit differs would run, and compute something else."""
    shutil.copytree(filled, tmp_path / "cache")
    draw = random.Random(20_261_128)
    kept = sorted(place(tmp_path / "cache").glob("*philox.words-*.nb?"))
    assert len(kept) == 2
    for path in kept:
        content = bytearray(path.read_bytes())
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        done = use(tmp_path / "cache")
        assert done.stdout == _ANSWER
        assert done.stderr.count("RuntimeWarning") == 1
        assert f"{path.name} is damaged; its kernel is compiled anew" in done.stderr
        assert path.read_bytes() != bytes(content)
        healed = use(tmp_path / "cache")
        assert (healed.stdout, healed.stderr) == (_ANSWER, "")


def test_any_flipped_bit_is_noticed(tmp_path: Path, filled: Path) -> None:
    draw = random.Random(1)
    (code,) = place(filled).glob("*philox.words-*.nbc")
    copy = tmp_path / code.name
    whole = code.read_bytes()
    for _ in range(500):
        content = bytearray(whole)
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        copy.write_bytes(content)
        with pytest.raises(compiler._DamagedError, match="is damaged"):
            compiler._checked(str(copy))
    copy.write_bytes(whole)
    assert compiler._checked(str(copy)) == whole[: -compiler._DIGEST]


def test_a_wait_for_another_process_says_so_and_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.lock"
    with path.open("wb") as held, path.open("wb") as wanted, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(held, fcntl.LOCK_EX)
        patch.setattr(compiler, "_PATIENCE", 0.1)
        patch.setattr(compiler, "_LONGEST_WAIT", 0.5)
        began = time.monotonic()
        compiler._wait_for(wanted, "a kernel")  # ends though nobody gives the lock back
        assert time.monotonic() - began >= 0.5
    assert capsys.readouterr().err == "escala: another process compiles a kernel, waiting for it\n"


def test_eight_processes_fill_a_cold_cache_together(tmp_path: Path) -> None:
    env = {**os.environ, "ESCALA_CACHE_DIR": str(tmp_path)}
    crew = [
        subprocess.Popen(
            [sys.executable, "-c", _USE], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    for child in crew:
        out, said = child.communicate()
        assert out == _ANSWER
        assert all("another process compiles" in line for line in said.splitlines())
        assert child.returncode == 0
    assert len(list(place(tmp_path).glob("*.nbc"))) == len(NEEDED)


def test_flags_and_processor_have_places_of_their_own(tmp_path: Path) -> None:
    code = "from escala.kernels import compiler; print(compiler.cache_dir())"
    places = {
        use(tmp_path, code).stdout,
        use(tmp_path, code, NUMBA_BOUNDSCHECK="1").stdout,
        use(tmp_path, code, NUMBA_CPU_NAME="x86-64-v2").stdout,
        use(tmp_path, code, NUMBA_OPT="1").stdout,
    }
    assert len(places) == 4


def test_loading_waits_for_nobody(filled: Path) -> None:
    (lock,) = place(filled).glob("*philox.words.lock")
    with lock.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert use(filled).stdout == _ANSWER


def test_a_place_that_others_may_write_to_is_not_used(tmp_path: Path, filled: Path) -> None:
    copy = tmp_path / "cache"
    shutil.copytree(filled, copy)
    place(copy).chmod(0o777)
    done = use(copy)
    assert done.stdout == _ANSWER
    assert done.stderr.count("RuntimeWarning: compiled kernels are not kept in") == 1
    assert "others may write to it" in done.stderr


def test_a_file_that_others_may_write_to_is_not_loaded(tmp_path: Path, filled: Path) -> None:
    copy = tmp_path / "cache"
    shutil.copytree(filled, copy)
    (code,) = place(copy).glob("*philox.words-*.nbc")
    code.chmod(0o666)
    done = use(copy)
    assert done.stdout == _ANSWER
    assert "others may write to escala.kernels.philox.words" in done.stderr


_SMALL = """
from escala.kernels import layout
from escala.kernels.jit import helper

FACTOR = 2.0
rows = layout.rows("first", "second", lanes=4)


@helper
def used(x):
    return x * FACTOR


@helper
def beside(x):
    return x - 1.0


def kernel(x):
    y = used(x)
    return y + rows.SECOND
"""


def identity_of(source: str) -> str:
    """Give the identity of the kernel in a module of the package that has this source."""
    namespace: dict[str, Any] = {"__name__": "escala.kernels.small"}
    exec(compile(source, "small.py", "exec"), namespace)
    return identity(namespace["kernel"], ("d",))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return x * FACTOR", "    # half of a word\n    return x * FACTOR"),
        ("def used(x):", 'def used(x):\n    """Say what it is."""'),
        ("return x - 1.0", "return x - 3.0"),
        ("y = used(x)\n    return y", "z = used(x)\n    return z"),
        ("FACTOR = 2.0", "OTHER = 1.0\nFACTOR = 2.0"),
    ],
)
def test_what_a_kernel_does_not_use_leaves_its_code_alone(old: str, new: str) -> None:
    assert old in _SMALL
    assert identity_of(_SMALL.replace(old, new)) == identity_of(_SMALL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 2.0", "FACTOR = 2.5"),
        ("return x * FACTOR", "return FACTOR / x"),
        ("lanes=4", "lanes=8"),
        ('"first", "second"', '"second", "first"'),
        ("@helper\ndef used", "@routine\ndef used"),
        ("return y + rows.SECOND", "return rows.SECOND - y"),
    ],
)
def test_a_change_in_what_a_kernel_uses_makes_it_another(old: str, new: str) -> None:
    assert old in _SMALL
    changed = _SMALL.replace(old, new).replace("import helper", "import helper, routine")
    assert identity_of(changed) != identity_of(_SMALL)


def test_a_kernel_takes_one_signature_and_refuses_others() -> None:
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
        "from escala.kernels import compiler\n"
        "from escala.kernels.curves import limits\n"
        "names = sorted(compiler.waiting)\n"
        "compiler.waiting['escala.kernels.curves.limits.threshold'].compile()\n"
        "print(*(name.removeprefix('escala.kernels.') for name in names), *compiler.kept_kernels(), sep='\\n')\n"
    )
    said = use(tmp_path / "cache", code, ESCALA_COMPILE="later").stdout.split()
    defined = {name for name in kernels.names() if name.startswith("curves.limits.")}
    assert defined <= set(said[:-1])
    assert said[-1] == "curves.limits.threshold"


def test_asking_what_is_compiled_compiles_nothing(tmp_path: Path) -> None:
    code = "from escala import kernels; print(kernels.compiled())"
    assert use(tmp_path / "cache", code).stdout == "[]\n"
    assert not list((tmp_path / "cache").glob("*/*.nbi"))


def test_two_processes_share_what_is_to_be_compiled(tmp_path: Path) -> None:
    """From both ends of the list; each leaves to the other what that one is at, and says nothing of it."""
    code = (
        "import sys; from escala import kernels\n"
        "kernels._KERNELS = {name: kernels._KERNELS[name] for name in ('philox', 'broadcast', 'grouping')}\n"
        "kernels.compile_free(int(sys.argv[1]))\n"
        "from escala.kernels import compiler; print(*compiler.kept_kernels())\n"
    )
    env = {**os.environ, "ESCALA_CACHE_DIR": str(tmp_path)}
    crew = [
        subprocess.Popen([sys.executable, "-c", code, step], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for step in ("1", "-1")
    ]
    said = [process.communicate() for process in crew]
    assert [process.returncode for process in crew] == [0, 0]
    assert [err for _, err in said] == [b"", b""]
    everything = "broadcast.take grouping.order grouping.rank philox.uniforms philox.words"
    assert everything in {out.decode().strip() for out, _ in said}
    assert len(list(place(tmp_path).glob("*.nbc"))) == len(everything.split())


def test_a_kernel_that_another_process_is_at_is_left_to_it(tmp_path: Path) -> None:
    code = (
        "from escala.kernels import compiler\n"
        "with compiler.only_defined(): from escala.kernels import philox\n"
        "compiler.waiting['escala.kernels.philox.words'].compile(wait=False)\n"
        "print(compiler.kept_kernels())\n"
    )
    directory = Path(
        use(
            tmp_path, "from escala.kernels import compiler; compiler.keeps(); print(compiler.cache_dir())"
        ).stdout.strip()
    )
    with (directory / "escala.kernels.philox.words.lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert use(tmp_path, code).stdout == "[]\n"
    assert use(tmp_path, code).stdout == "['philox.words']\n"


def test_a_number_that_is_written_out_makes_no_overload_of_its_own() -> None:
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        return

    @jit.helper
    def scaled(x: float, times: int) -> float:
        return x * times

    def both(x: Any, times: Any, out: Any) -> None:
        out[0] = scaled(x, 3) + scaled(x, times)

    numba.njit(numba.void(numba.float64, numba.int64, numba.float64[::1]))(both)
    assert len(scaled.dispatcher.overloads) == 1  # type: ignore[attr-defined]
    assert scaled(2.0, 4) == 8.0  # called from Python it is compiled for it
