"""Sweeps on the command line."""

from __future__ import annotations

import importlib
import json
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from escala import InputError, parallel, plots
from escala import sweep as sweep_all
from escala.sweeps.settings import from_toml
from tests.command_line import escala
from tests.rooms.test_parallel import interruptible
from tests.waiting import LIMIT, until_worked

FILE = """
[design]
kind = "sobol"
n = {n}
seed = 7

[design.ranges]
supply = {{ low = 500, high = 2000 }}
borrow = {{ of = "supply", low = 0.4, high = 0.6 }}
target = {{ of = "supply", low = 1.1, high = 1.6 }}
wallet = 100
repay = {{ low = 0.05, high = 0.2 }}

[strategy]
max_operations = {operations}

[sweep]
outputs = ["net_equity_change", "executed"]
chunk = 4096
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sweep.toml").write_text(FILE.format(n=16_384, operations=200))
    return tmp_path


def test_a_sweep_answers_as_the_library_and_goes_on(folder: Path) -> None:
    settings = from_toml(folder / "sweep.toml")
    expected = sweep_all(settings.design, **settings.options)
    done = escala("sweep", "sweep.toml", "--out", "out", "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["digest"] == expected.digest
    assert found["stops"] == expected.stops
    assert found["outputs"]["executed"]["mean"] == expected.statistics["executed"].mean
    written = {path: path.stat().st_mtime_ns for path in folder.glob("out/*.parquet")}
    assert len(written) == 4
    again = escala("sweep", "sweep.toml", "--out", "out", "--threads", "1", cwd=folder)
    assert again.stdout.startswith(f"{expected.summary()}\n\nrows and totals in out")
    assert {path: path.stat().st_mtime_ns for path in written} == written
    fresh = escala("sweep", "sweep.toml", "--out", "out", "--fresh", cwd=folder)
    assert fresh.returncode == 0
    assert all(path.stat().st_mtime_ns > then for path, then in written.items())
    totals = escala("sweep", "sweep.toml", "--out", "totals", "--totals-only", "--json", cwd=folder)
    assert json.loads(totals.stdout)["digest"] == expected.digest
    assert not list(folder.glob("totals/*.parquet"))


@pytest.mark.slow
def test_a_sweep_on_a_cluster_answers_the_same(folder: Path) -> None:
    distributed: Any = importlib.import_module("distributed")
    settings = from_toml(folder / "sweep.toml")
    expected = sweep_all(settings.design, **settings.options)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as workers:
        done = escala("sweep", "sweep.toml", "--scheduler", workers.scheduler_address, "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["digest"] == expected.digest


def test_a_dry_run_computes_and_writes_nothing(folder: Path) -> None:
    done = escala("sweep", "sweep.toml", "--out", "out", "--dry-run", cwd=folder)
    assert done.stdout.startswith("16,384 rows in 4 chunks, about ")
    assert done.stdout.endswith(" on disk\n")
    assert not (folder / "out").exists()
    found = json.loads(escala("sweep", "sweep.toml", "--dry-run", "--json", cwd=folder).stdout)
    assert (found["rows"], found["chunks"], found["disk_bytes"]) == (16_384, 4, 0)
    assert found["seconds"] > 0.0


def test_a_picture_of_a_sweep(folder: Path) -> None:
    settings = from_toml(folder / "sweep.toml")
    with pytest.raises(InputError, match="output 'profit' was not kept: outputs are net_equity_change, executed"):
        plots.sweep_figure(sweep_all(settings.design, **settings.options), "profit")
    done = escala("sweep", "sweep.toml", "--plot", "sweep.png", cwd=folder)
    assert done.stdout.endswith("picture written to sweep.png\n")
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("none.toml",), 1, "none.toml: No such file or directory"),
        (("bad.toml",), 1, "bad.toml: "),
        (("sweep.toml", "--fresh"), 2, "--totals-only and --fresh go with --out"),
        (("sweep.toml", "--scheduler", "tcp://localhost:1", "--threads", "1"), 2, "--threads is for this machine"),
        (("sweep.toml", "--scheduler", "tcp://localhost"), 1, "no scheduler answers at tcp://localhost: missing port"),
        (("sweep.toml", "--scheduler", "tpc://localhost:1"), 1, "no scheduler answers at tpc://localhost:1: unknown"),
        (("sweep.toml", "--out", "taken"), 1, "taken"),
        (("sweep.toml", "--plot", "x.gif"), 1, "path must end in .png, .svg or .pdf"),
    ],
)
def test_errors_are_one_line(folder: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    (folder / "bad.toml").write_text("[design]\nkind = 'sobol'\nn = 7\n[design.ranges]\nsuply = 1\n")
    (folder / "taken").mkdir()
    (folder / "taken" / "mine.txt").write_text("mine")
    done = escala("sweep", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"escala: {message}")
    assert done.stderr.count("\n") == 1
    assert (folder / "taken" / "mine.txt").read_text() == "mine"


@pytest.mark.slow
def test_ctrl_c_says_what_was_kept_and_the_same_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(FILE.format(n=2**21, operations=10_000))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "escala", "sweep", str(tmp_path / "sweep.toml"), "--out", str(out)]
    with interruptible(command) as child:
        until = time.monotonic() + LIMIT
        while len(list(out.glob("_chunk-*.state"))) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        told, error = child.communicate(timeout=LIMIT)
        assert (child.returncode, told) == (130, "")
        assert re.fullmatch(
            r"escala: stopped; \d+ of 512 chunks are finished and stay valid: the same call goes on with them\n", error
        )
    kept = {path: path.stat().st_mtime_ns for path in sorted(out.glob("*.parquet"))[:3]}
    assert len(list(out.glob("_chunk-*.state"))) < 2**21 // 4096
    with interruptible(command) as child:
        until_worked(child, 4.0)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=LIMIT)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "nothing is kept of a sweep without a directory"),
        (("--out", "out"), "0 of 1 chunks are finished and stay valid: the same call goes on with them"),
        (("--out", "out", "--fresh"), "0 of 1 chunks are finished and stay valid: the same call goes on with them, without --fresh"),
    ],
)  # fmt: skip
def test_what_is_stopped_says_what_is_left(
    options: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sweep.toml").write_text(FILE.format(n=2048, operations=100))

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "run", stop)
    done = escala("sweep", "sweep.toml", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", f"escala: stopped; {said}\n")
