"""What is written to a user's path is there whole or not at all, and nobody can lay a link in its way."""

from __future__ import annotations

import ast
import os
import re
import resource
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from escala import InputError, plots
from escala.files import table, whole
from tests.places import ROOT

CONTENT = b"new" * 10_000


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file grow any further: the system's own way of a disk that is full."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def write_table(path: Path) -> None:
    table.write(path, {"x": list(range(20_000))})


WRITERS: dict[str, Callable[[Path], None]] = {
    "bytes": lambda path: whole.write(path, CONTENT),
    "csv": write_table,
    "parquet": write_table,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_leaves_what_was_there(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{kind}"
    path.write_bytes(b"old")
    with files_of_at_most(1000), pytest.raises(OSError, match="File too large"):
        WRITERS[kind](path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    WRITERS[kind](path)
    assert len(path.read_bytes()) > 1000
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_picture_that_was_there(tmp_path: Path) -> None:
    pyplot = pytest.importorskip("matplotlib.figure")
    figure = pyplot.Figure()
    path = tmp_path / "picture.svg"
    path.write_bytes(b"old")
    with files_of_at_most(1000), pytest.raises(InputError, match="cannot be written: File too large"):
        plots.save(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_links_in_the_way_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"precious")
    path = tmp_path / "out.csv"
    for guess in (f".out.csv.{os.getpid()}", ".out.csv.part", "out.csv.tmp"):
        (tmp_path / guess).symlink_to(mine)
    path.symlink_to(mine)
    write_table(path)
    assert mine.read_bytes() == b"precious"
    assert not path.is_symlink()
    monkeypatch.setattr("secrets.token_hex", lambda _: "known")
    (tmp_path / ".out.csv.known.part").symlink_to(mine)
    with pytest.raises(FileExistsError):
        write_table(path)
    assert mine.read_bytes() == b"precious"


def test_two_names_are_never_the_same_and_fit_the_file_system(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 125 + ".csv")
    names = {whole.beside(path).name for _ in range(100)}
    assert len(names) == 100
    assert all(len(name.encode()) <= 255 for name in names)
    write_table(path)
    assert path.stat().st_size > 0


def test_permissions_stay_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    write_table(path)
    usual = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o600)
    write_table(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "plain").write_bytes(b"")
    assert stat.S_IMODE((tmp_path / "plain").stat().st_mode) == usual


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> None:
        with whole.replacing(tmp_path / "x") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    table.write(path, {"x": [1]})
    reader.join()
    assert read == [b"x\r\n1\r\n"]
    assert stat.S_ISFIFO(path.stat().st_mode)


#: What else may open files to write: work folders of a build, locks, and nothing.
ALLOWED = {
    ("capi/build.py", "write_text"), ("capi/objects.py", "write_text"), ("capi/objects.py", "write_bytes"),
    ("native/build.py", "write_text"), ("native/emit.py", "write_text"), ("native/emit.py", "write_bytes"),
    ("commands/app.py", "open"), ("files/whole.py", "open"), ("kernels/compiler.py", "open"),
}  # fmt: skip


def test_nothing_else_writes_files() -> None:
    package = ROOT / "src" / "escala"
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            modes = [
                arg.value for arg in (*node.args, *(k.value for k in node.keywords)) if isinstance(arg, ast.Constant)
            ]
            opens = name == "open" and any(re.fullmatch("[wax+bt]+", mode) for mode in modes if isinstance(mode, str))
            if opens or name in ("write_text", "write_bytes", "NamedTemporaryFile", "mkstemp"):
                found.add((path.relative_to(package).as_posix(), name))
    assert found <= ALLOWED
