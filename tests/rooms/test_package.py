"""What importing costs, what the package promises, and whether its examples run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import escala
from tests.places import ROOT

SOURCES = ROOT / "src"
#: The modules whose docstrings have examples.
WITH_EXAMPLES = [
    ".".join(path.relative_to(SOURCES).with_suffix("").parts)
    for path in sorted(SOURCES.rglob("*.py"))
    if path.name != "__init__.py" and ">>> " in path.read_text()
]


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


def test_every_module_can_be_imported_first() -> None:
    names = [m.name for m in pkgutil.walk_packages(escala.__path__, "escala.") if not m.name.endswith("__main__")]
    assert len(names) > 10
    for name in names:
        importlib.import_module(name)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_in_docstrings(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert failed == 0
    assert tried > 0


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)


def test_python_examples_of_the_readme() -> None:
    examples = blocks("pycon")
    assert examples
    parser = doctest.DocTestParser()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    globs: dict[str, object] = {}
    for k, text in enumerate(examples):
        test = parser.get_doctest(text, globs, f"README {k}", "README.md", 0)
        runner.run(test, clear_globs=False)
        globs = test.globs
    assert runner.summarize().failed == 0


def test_commands_of_the_readme(tmp_path: Path) -> None:
    """Commands run in an empty folder, one block after the other; make and git are run by CI itself."""
    bin_dir = Path(sys.executable).parent
    [sweep] = blocks("toml")
    (tmp_path / "sweep.toml").write_text(sweep)
    for block in blocks("console"):
        for line in block.splitlines():
            if not line.startswith("$ ") or line.startswith(("$ make", "$ git", "$ cd", "$ pip")):
                continue
            done = subprocess.run(
                ["bash", "-c", line[2:]],
                capture_output=True, text=True, check=False, cwd=tmp_path,
                env={"PATH": f"{bin_dir}:/usr/bin:/bin", "HOME": str(Path.home())},
            )  # fmt: skip
            assert done.returncode == 0, (line, done.stderr)
            shown = re.split(r"^\$ ", block.split(line + "\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
            for expected in shown.splitlines():
                if expected.strip() and expected.strip() != "...":
                    assert expected.rstrip() in [out.rstrip() for out in done.stdout.splitlines()], (line, expected)


def test_the_project_speaks_of_itself_alone() -> None:
    text = (ROOT / "README.md").read_text() + (ROOT / "CHANGELOG.md").read_text()
    assert "/work/" not in text
    assert "/tmp/" not in text
