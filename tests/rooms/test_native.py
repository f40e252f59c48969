"""Kernels that come compiled: the same bits on every level of processors, and never those of another source."""

from __future__ import annotations

import compileall
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escala.errors import BuildError
from escala.kernels import sequences
from escala.kernels.identity import sources
from escala.native.build import NAME, build
from escala.native.levels import LEVELS
from tests.places import ROOT

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="kernels are built ahead for x86-64 Linux"
)

#: Quick to compile.
FEW = ("philox.words", "philox.uniforms", "grouping.order", "grouping.rank", "sequences.halton", "sequences.strata")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("native"), names=FEW)


@pytest.fixture(scope="module")
def extension(built: Path) -> Any:
    spec = importlib.util.spec_from_file_location("_native", built)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the extension in it, as a wheel leaves it."""
    place = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "src" / "escala", place / "escala", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copy(built, place / "escala" / "kernels" / NAME)
    return place


_USE = """
import sys
from escala.kernels import jit, philox
import numpy as np
out = np.empty(8, np.int64)
philox.words(1, 2, 3, 4, 5, out, 0, 2)
print(out.sum(), len(jit.taken), 'numba' in sys.modules)
"""
_ANSWER = "18886511286 2 False"


def use(place: Path, code: str = _USE, **env: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "ESCALA_"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**plain, "PYTHONPATH": str(place), "ESCALA_CACHE_DIR": str(place / "cache"), **env},
        cwd=place, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_kernels_of_the_wheel_need_no_numba(installed: Path) -> None:
    done = use(installed)
    assert (done.stdout.strip(), done.stderr) == (_ANSWER, "")


@pytest.mark.parametrize(
    "setting", [{"NUMBA_BOUNDSCHECK": "1"}, {"NUMBA_OPT": "3"}, {"ESCALA_COMPILE": "always"}, {"ESCALA_CACHE_DIR": "x"}]
)
def test_whoever_asks_for_numba_gets_it(installed: Path, setting: dict[str, str]) -> None:
    answer = _ANSWER if "ESCALA_CACHE_DIR" in setting else _ANSWER.replace("2 False", "0 True")
    assert use(installed, **setting).stdout.strip() == answer


def test_what_comes_compiled_is_told_apart(installed: Path) -> None:
    """Here some of the kernels do; nothing is compiled to tell."""
    code = (
        "from escala import kernels; from escala.kernels import jit\n"
        "print(kernels.come_compiled(), *kernels.compiled())\n"
        "kernels.names = lambda: ['philox.uniforms', 'philox.words']\n"
        "print(kernels.come_compiled(), kernels.compiled() == kernels.names())\n"
        "from escala.commands import system; system.warm()\n"
    )
    said = use(installed, code, ESCALA_CPU_LEVEL="v2").stdout.splitlines()
    assert said == [
        " ".join(["False", *sorted(FEW)]), "True True", "all 2 kernels came compiled with the wheel",
    ]  # fmt: skip
    assert use(installed, "from escala.commands import system; system.info()").stdout.count("of the wheel, v") == 1


def test_what_is_installed_is_told_without_the_compiler(installed: Path) -> None:
    code = (
        "import sys; from escala import kernels\n"
        "kernels.names = lambda: ['philox.uniforms', 'philox.words']\n"
        "from escala.commands import system; system.info(json=True)\n"
        "print('numba' in sys.modules, 'llvmlite' in sys.modules, file=sys.stderr)\n"
    )
    done = use(installed, code, ESCALA_CPU_LEVEL="v2")
    facts = json.loads(done.stdout)
    assert done.stderr.split() == ["False", "False"]
    assert facts["numba"] == importlib.metadata.version("numba")
    assert (facts["processor"], facts["cache"], facts["kernels"]) == ("x86-64-v2", None, "of the wheel, v2")


@pytest.mark.parametrize("level", LEVELS)
def test_a_lower_level_can_be_asked_for(installed: Path, level: str) -> None:
    assert use(installed, ESCALA_CPU_LEVEL=level).stdout.strip() == _ANSWER


def test_a_level_that_is_none_is_refused(installed: Path) -> None:
    said = use(installed, ESCALA_CPU_LEVEL="v5").stderr
    assert "ESCALA_CPU_LEVEL must be one of v2, v3, v4, not 'v5'" in said


@pytest.mark.parametrize(
    "words",
    [["info"], ["simulate", *(word for name in ("supply", "borrow", "target") for word in (f"--{name}", "1000"))]],
)
def test_a_command_says_in_a_line_that_a_level_is_none(installed: Path, words: list[str]) -> None:
    code = f"import sys; from escala.commands.app import main; sys.exit(main({words!r}))"
    done = use(installed, code, ESCALA_CPU_LEVEL="v5")
    assert (done.returncode, done.stderr) == (2, "escala: ESCALA_CPU_LEVEL must be one of v2, v3, v4, not 'v5'\n")


@pytest.mark.parametrize("path", ["philox.py", "fitting/load.py", "../tables.py"])
def test_an_edited_source_is_never_run_as_what_it_was(installed: Path, tmp_path: Path, path: str) -> None:
    shutil.copytree(installed, tmp_path / "site", ignore=shutil.ignore_patterns("__pycache__"))
    edited = tmp_path / "site" / "escala" / "kernels" / path
    edited.write_text(edited.read_text() + "\n# another word\n")
    assert use(tmp_path / "site").stdout.strip() == _ANSWER.replace("2 False", "0 True")


@pytest.mark.parametrize("edit", [False, True])
def test_without_sources_the_code_itself_is_compared(installed: Path, tmp_path: Path, edit: bool) -> None:
    site = tmp_path / "site"
    shutil.copytree(installed, site, ignore=shutil.ignore_patterns("__pycache__", "cache"))
    if edit:
        path = site / "escala" / "kernels" / "philox.py"
        text = path.read_text()
        assert "0xD2511F53" in text
        path.write_text(text.replace("0xD2511F53", "0xD2511F55"))
    compileall.compile_dir(site, quiet=1, legacy=True)
    for path in site.rglob("*.py"):
        path.unlink()
    words = use(site).stdout.split()
    assert words[1:] == (["0", "True"] if edit else ["2", "False"])
    assert (words[0] == _ANSWER.split(maxsplit=1)[0]) == (not edit)


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_gives_the_bits_of_the_compiler(extension: Any, level: str) -> None:
    if level not in extension.levels:
        pytest.skip(f"this processor is below {level}")
    extension.use(level)
    rng = np.random.default_rng(20_261_129)
    inputs = _inputs(rng)
    assert set(inputs) == set(FEW)
    for name, arguments in inputs.items():
        module, _, within = name.rpartition(".")
        ours, theirs = arguments(), arguments()
        extension.kernels[f"escala.kernels.{name}"][0](*ours)
        getattr(importlib.import_module(f"escala.kernels.{module}"), within)(*theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def _inputs(rng: np.random.Generator) -> dict[str, Callable[[], tuple[Any, ...]]]:
    """Give arguments of each kernel, with outputs that no call has written to."""
    keys = rng.integers(0, 50, 4000)
    codes = rng.integers(0, 50, 4000).astype(np.int32)
    begins = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=50))])[:-1]
    low, high, work = rng.random(7**3), rng.random(5 * 7), np.zeros(sequences.MOST_DIGITS + 8)
    seeds = rng.integers(0, 1 << 32, sequences.ROUNDS)
    return {
        "philox.words": lambda: (7, 11, 13, 17, 19, np.zeros(4000, np.int64), 0, 1000),
        "philox.uniforms": lambda: (7, 11, 3, 1, 0, np.zeros(4000), 0, 4000),
        "grouping.rank": lambda: (keys, np.full(50, -1), np.zeros(4000, np.int32), np.zeros(50, np.int64)),
        "grouping.order": lambda: (codes, begins.copy(), np.zeros(4000, np.int64)),
        "sequences.halton": lambda: (7, low, high, 5, np.zeros(4900), work.copy(), 100, 5000),
        "sequences.strata": lambda: (seeds, 5000, np.zeros(5000), 0, 5000),
    }


_GOOD = (1, 2, 3, 4, 5, np.empty(8, np.int64), 0, 2)


def _with(place: int, value: Any) -> tuple[Any, ...]:
    return (*_GOOD[:place], value, *_GOOD[place + 1 :])


_READ_ONLY = np.empty(8, np.int64)
_READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (_GOOD[:-1], "takes 8 arguments, not 7"),
        (_with(0, 1.5), "argument 0 of escala.kernels.philox.words must be an integer, not <class 'float'>"),
        (
            _with(5, [1, 2]),
            "argument 5 .* must be a C-contiguous, aligned array of int64 with 1 axis .*, not <class 'list'>",
        ),
        (_with(5, np.empty(8)), r"not dtype\('float64'\)"),
        (_with(5, np.empty(8, np.int32)), r"not dtype\('int32'\)"),
        (_with(5, np.empty(8, ">i8")), r"not dtype\('>i8'\)"),
        (_with(5, np.empty(16, np.int64)[::2]), "or one of other axes, order or rights"),
        (_with(5, np.empty((2, 4), np.int64)), "with 1 axis that may be written to"),
        (_with(5, np.empty(65, np.int8)[1:].view(np.int64)), "aligned"),
        (_with(5, _READ_ONLY), "that may be written to"),
    ],
)
def test_wrong_arguments_are_refused(extension: Any, arguments: tuple[Any, ...], said: str) -> None:
    words = extension.kernels["escala.kernels.philox.words"][0]
    assert words(*_GOOD) is None
    with pytest.raises(TypeError, match=rf"^No matching definition: .*{said}"):
        words(*arguments)


def test_what_a_build_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BuildError, match=r"^levels must be some of v2, v3, v4, in this order, not v4, v2$"):
        build(tmp_path, ("v4", "v2"))
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(BuildError, match=r"^no C compiler found: CC names 'no-such-compiler', which is not there$"):
        build(tmp_path)


def test_it_says_what_it_was_made_of(extension: Any) -> None:
    assert extension.sources == sources()
    assert extension.python == sys.implementation.cache_tag
    assert set(extension.kernels) == {f"escala.kernels.{name}" for name in FEW}
    function = extension.kernels["escala.kernels.philox.words"][0]
    assert (function.__module__, function.__name__) == ("escala.kernels.philox", "words")
