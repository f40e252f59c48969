"""What importing costs, what the package promises, and whether its examples run."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import escala
from tests.places import ROOT

#: Modules whose docstrings have examples; kernels and the entries of the C library have none.
EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "src/escala").rglob("*.py")
    if ">>> " in path.read_text()
)


def python(code: str, cwd: Path | None = None) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=cwd).stdout


def test_importing_escala_loads_no_library() -> None:
    loaded = python(
        "import sys, escala; print([m for m in ('numba', 'scipy', 'numpy', 'llvmlite') if m in sys.modules])"
    )
    assert loaded == "[]\n"


def test_naming_things_loads_no_compiler() -> None:
    loaded = python(
        "import sys, escala; escala.LendingStrategy(); print('numba' in sys.modules, 'scipy' in sys.modules)"
    )
    assert loaded == "False False\n"


def test_public_names_are_there_and_in_the_stub() -> None:
    stub = (ROOT / "src/escala/__init__.pyi").read_text()
    public = vars(escala)["__all__"]
    for name in public:
        assert getattr(escala, name) is not None
        assert re.search(rf"\b{name}\b", stub), name
    assert set(public) <= set(dir(escala))
    with pytest.raises(AttributeError, match="has no attribute 'simulation'"):
        _ = escala.simulation  # type: ignore[attr-defined]


def test_no_file_imports_what_imports_it() -> None:
    """Imports for types alone count too: what prints a result does not know what makes it."""
    import grimp

    graph = grimp.build_graph("escala", cache_dir=None)
    imported = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert len(imported) > 100
    while free := {name for name, others in imported.items() if not others & imported.keys()}:
        imported = {name: others for name, others in imported.items() if name not in free}
    assert not imported  # what is left imports itself in a circle, or something that does


def test_every_module_can_be_imported_first() -> None:
    names = [m.name for m in pkgutil.walk_packages(escala.__path__, "escala.") if not m.name.endswith("__main__")]
    assert len(names) > 10
    for name in names:
        importlib.import_module(name)


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_in_docstrings(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried > 0
    assert failed == 0


def test_systems_that_are_not_supported_are_told_in_one_line() -> None:
    code = "import sys; sys.platform = 'win32'\ntry: import escala\nexcept ImportError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "escala runs on Linux; on Windows use it within WSL\n"


@pytest.mark.parametrize("number", ["0", "x", "-1"])
def test_a_senseless_number_of_numbas_threads_is_none_of_ours(number: str) -> None:
    code = "import escala; print(float(escala.simulate(1000, 600, 1500, 200).final_supply))"
    env = {**os.environ, "NUMBA_NUM_THREADS": number}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert (done.stdout, done.stderr) == ("1501.5124719625292\n", "")
