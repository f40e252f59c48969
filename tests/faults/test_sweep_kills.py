"""Sweeps whose process, workers or scheduler are killed, and those whose disk is full: what was finished stays valid."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from escala import SweepError
from escala.sweeps import cluster, plan
from escala.sweeps.sweep import sweep
from tests.faults.killed_sweep import CHUNK, ROWS
from tests.faults.killed_sweep import design as killed_design
from tests.places import ROOT
from tests.rooms.test_sweeps import contents, python, small

pytestmark = pytest.mark.slow


def test_killed_twenty_times(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.killed_sweep", str(tmp_path / "killed"), "20", "7"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    finished = [int(line) for line in done.stdout.splitlines()]
    assert len(finished) == 20
    assert finished == sorted(finished)
    assert 0 < finished[9] < -(-ROWS // CHUNK)
    summary = sweep(killed_design(), out=tmp_path / "killed", chunk=CHUNK)
    unhurt = sweep(killed_design(), out=tmp_path / "unhurt", chunk=CHUNK)
    assert summary.digest == unhurt.digest
    killed = contents(tmp_path / "killed")
    assert killed == contents(tmp_path / "unhurt")
    assert len(killed) == 2 * (-(-ROWS // CHUNK)) + 4


_FULL = """
import resource, signal, sys
from escala import SweepError, sweep
from tests.rooms.test_sweeps import small
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    sweep(small(20_000), out=sys.argv[1], chunk=2048, threads=2)
except SweepError as error:
    print(error)
"""


def test_files_that_may_not_grow_are_one_clear_error(tmp_path: Path) -> None:
    done = python(_FULL, str(tmp_path), "100000")
    assert done.stdout.startswith(f"{tmp_path}: chunk ")
    assert "cannot be written: File too large; 0 of 10 chunks are finished and stay valid" in done.stdout
    assert sorted(contents(tmp_path)) == [".lock", "_README.txt", "_sweep.json"]
    assert sweep(small(20_000), out=tmp_path, chunk=2048).digest == sweep(small(20_000)).digest


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems")
def test_a_full_disk_is_one_clear_error_and_leaves_what_was_finished(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this root may not mount")
    try:
        with pytest.raises(SweepError, match=r"No space left on device; \d+ of 10 chunks are finished") as caught:
            sweep(small(20_000), out=disk / "out", chunk=2048, threads=2)
        states = list((disk / "out").glob("*.state"))
        assert f"; {len(states)} of 10 chunks" in str(caught.value)
        assert not list((disk / "out").glob(".*.part"))
        assert 0 < len(states) < 10
        before = {path: path.stat().st_mtime_ns for path in states}
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        assert sweep(small(20_000), out=disk / "out", chunk=2048).digest == sweep(small(20_000)).digest
        assert {path: path.stat().st_mtime_ns for path in states} == before
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_workers_that_are_killed_lose_nothing(client: Any, tmp_path: Path) -> None:
    design = killed_design()
    here = sweep(design, chunk=CHUNK)
    killed: list[int] = []

    def kill(done: int) -> None:
        if done < ROWS and len(killed) < 4:
            living = [nanny.pid for nanny in client.cluster.workers.values() if nanny.pid]
            if living:
                os.kill(living[len(killed) % len(living)], signal.SIGKILL)
                killed.append(done)

    there = sweep(design, client=client, out=tmp_path, chunk=CHUNK, progress=kill)
    assert len(killed) >= 2
    assert there.digest == here.digest
    assert len(list(tmp_path.glob("*.parquet"))) == -(-ROWS // CHUNK)
    assert sweep(design, out=tmp_path, chunk=CHUNK).digest == here.digest


def test_a_scheduler_that_is_gone_is_one_clear_error(tmp_path: Path) -> None:
    distributed: Any = importlib.import_module("distributed")
    config: Any = importlib.import_module("dask").config
    told = tmp_path / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    scheduler = subprocess.Popen([*command, "--scheduler-file", str(told)], stderr=subprocess.DEVNULL)
    try:
        while not told.exists():
            assert scheduler.poll() is None
            time.sleep(0.05)
        with config.set({"distributed.comm.timeouts.connect": "1s"}):
            client = distributed.Client(scheduler_file=str(told), set_as_default=False)
            threading.Timer(1.0, scheduler.kill).start()
            with client, pytest.raises(SweepError, match="the scheduler answers no more; 0 of 2 chunks are finished"):
                sweep(small(4000), client=client, chunk=2048, out=tmp_path / "out")
    finally:
        scheduler.kill()
        scheduler.wait()


def test_a_task_that_kills_every_worker_is_given_up(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "work", _die)
    planned = plan.make(small(3000))
    with pytest.raises(SweepError, match=r"chunks 0 to 0 lost their worker 2 times; 0 of 1 chunks were done"):
        cluster.on_cluster(planned, None, client, None, most_losses=1)


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
