"""Every example of the README and of the site's pages runs as it is printed."""

from __future__ import annotations

import doctest
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import escala
from escala.tables import Code, Interval, Quantity
from tests import command_line
from tests.places import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("guide/*.md")), *sorted(DOCS.glob("*.md"))]
WRITTEN = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("api/*"))]
#: Run by CI itself, and by the C library's tests.
NOT_RUN = ("$ make", "$ git", "$ cd", "$ pip", "$ escala capi build")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def those_with(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


def name(page: Path) -> str:
    return page.stem


@pytest.mark.parametrize("page", those_with("pycon"), ids=name)
def test_python_examples(page: Path) -> None:
    """The examples of a page are one session, and need no other page."""
    parser = doctest.DocTestParser()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    globs: dict[str, object] = {}
    for k, text in enumerate(blocks(page, "pycon")):
        test = parser.get_doctest(text, globs, f"{page.name} {k}", str(page), 0)
        runner.run(test, clear_globs=False)
        globs = test.globs
    assert runner.summarize().failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("page", those_with("console"), ids=name)
def test_commands(page: Path, tmp_path: Path) -> None:
    """Commands run in an empty folder, one block after the other, beside the sweep that the page has."""
    for sweep in blocks(page, "toml"):
        named = re.match(r"# (\S+\.toml)\n", sweep)
        (tmp_path / (named[1] if named else "sweep.toml")).write_text(sweep)
    run = by_the_shell  # the first of a page, as a newcomer's: the others take a second less in this process
    for block in blocks(page, "console"):
        for line in block.splitlines():
            if not line.startswith("$ ") or line.startswith(NOT_RUN):
                continue
            done = (run if line.startswith("$ escala ") else by_the_shell)(line[2:], tmp_path)
            run = by_this_process
            assert done.returncode == 0, (line, done.stderr)
            shown = re.split(r"^\$ ", block.split(line + "\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
            for expected in shown.splitlines():
                if expected.strip() and expected.strip() != "...":
                    assert expected.rstrip() in [out.rstrip() for out in done.stdout.splitlines()], (line, expected)


def by_the_shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(Path.home())}
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, cwd=folder, env=settings)


def by_this_process(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return command_line.escala(*shlex.split(line)[1:], cwd=folder)


def test_no_example_was_lost() -> None:
    """Languages whose blocks run; a page that had none of them would be passed over in silence."""
    assert {page.stem for page in those_with("pycon")} >= {
        "README", "curves", "allocation", "engine", "lending", "designs", "sweeps", "tuning", "sources", "pictures",
        "c-library", "determinism",
    }  # fmt: skip
    assert {page.stem for page in those_with("console")} >= {
        "README",
        "first-steps",
        "sweeps",
        "command-line",
        "c-library",
    }
    assert [page.stem for page in those_with("toml")] == ["sweeps"]
    assert [page.stem for page in those_with("c")] == ["c-library", "plan"]  # compiled and run by the C library's tests


def test_rows_of_the_tables_become_rows_of_the_reference() -> None:
    markdown = runpy.run_path(str(DOCS / "quantities.py"))["markdown"]
    module = ModuleType("tables")
    field = Quantity("fee_rate", "Cost |of it|", "fraction", Interval(0.0, 1.0), 0.0025)
    output = Quantity("fees", "What was paid", "amount")
    module.SOME_FIELDS = (field, output)  # type: ignore[attr-defined]
    module.SOME_AGAIN = (output,)  # type: ignore[attr-defined]
    module.STOPS = (Code("stalled", 1, "no progress"),)  # type: ignore[attr-defined]
    module.NAMES = ("fee_rate",)  # type: ignore[attr-defined]
    assert [line for line in markdown(module).splitlines() if line] == [
        "## Some fields",
        "| name | | unit | values | default |",
        "|---|---|---|---|---|",
        "| `fee_rate` | Cost \\|of it\\| | fraction | in [0, 1] | 0.0025 |",
        "| `fees` | What was paid | amount |  |  |",
        "## Stops",
        "| name | code | |",
        "|---|---|---|",
        "| `stalled` | 1 | no progress |",
    ]


def test_every_public_name_is_in_the_reference() -> None:
    reference = "\n".join(page.read_text() for page in DOCS.glob("api/*.rst"))
    named = set(re.findall(r"^\.\. auto\w+:: (?:escala\.)?(\w+)$", reference, re.MULTILINE))
    assert set(vars(escala)["__all__"]) - {"__version__"} <= named


def test_links_lead_to_files() -> None:
    """Links between pages are checked by Sphinx as well; those of README and CONTRIBUTING by nobody else."""
    for page in WRITTEN:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", page.read_text()):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).exists(), (page.name, target)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 250


def test_the_project_speaks_of_itself_alone() -> None:
    for page in WRITTEN:
        text = page.read_text()
        assert "/work/" not in text, page
        assert "/tmp/" not in text, page
