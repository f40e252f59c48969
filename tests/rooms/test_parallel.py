"""Threads: everything is done once, failures arrive, progress is told, Ctrl-C ends a run at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import escala
from escala import parallel
from escala.errors import InputError
from tests.waiting import LIMIT, until_worked, worked


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("n", [0, 1, 99, 100, 101])
def test_every_element_is_computed_once(n: int, threads: int) -> None:
    done = [0] * n
    made: list[int] = []

    def make_part() -> parallel.Part:
        made.append(threading.get_ident())

        def part(start: int, stop: int) -> Iterator[None]:
            for i in range(start, stop):
                done[i] += 1
                yield

        return part

    told: list[int] = []
    parallel.run(make_part, n, chunk=10, threads=threads, progress=told.append)
    assert done == [1] * n
    assert told == sorted(told)
    assert (told[-1] if told else 0) == n
    assert len(made) <= max(1, threads)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_failure_stops_the_others_and_is_raised(threads: int) -> None:
    def make_part() -> parallel.Part:
        def part(start: int, stop: int) -> Iterator[None]:
            if start == 30:
                raise ZeroDivisionError("part at 30")
            for _ in range(60_000 if start > 30 else 1):
                time.sleep(0.001)
                yield
            assert stop > start

        return part

    before = threading.active_count()
    started = time.perf_counter()
    with pytest.raises(ZeroDivisionError, match="part at 30"):
        parallel.run(make_part, 100, chunk=10, threads=threads)
    assert time.perf_counter() - started < 30  # a part that is not stopped takes a minute
    assert threading.active_count() == before


def test_a_failing_progress_callback_stops_the_run() -> None:
    def fail(done: int) -> None:
        raise RuntimeError(f"told of {done}")

    with pytest.raises(RuntimeError, match="told of 10"):
        parallel.run(lambda: lambda *_: iter(()), 100, chunk=10, threads=2, progress=fail)


def test_parts_are_small_enough_to_share_and_large_enough_to_pay() -> None:
    assert parallel.chunk_size(10**7, 2, largest=2048, multiple=32) == 2048
    assert parallel.chunk_size(1000, 2, largest=2048, multiple=32) == 64
    assert parallel.chunk_size(0, 2, largest=2048, multiple=32) == 32


def test_the_number_of_threads_can_be_set_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCALA_THREADS", "3")
    assert parallel.default_threads() == 3
    monkeypatch.delenv("ESCALA_THREADS")
    assert parallel.default_threads() >= 1
    for bad in ("none", "0", "-1", "1.5"):
        monkeypatch.setenv("ESCALA_THREADS", bad)
        with pytest.raises(InputError, match=f"ESCALA_THREADS must be an integer of at least 1, not '{bad}'"):
            parallel.default_threads()


@contextlib.contextmanager
def hearing_interrupts() -> Iterator[None]:
    """Let this process hear SIGINT even where it was told to ignore it, as background jobs are."""
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


@contextlib.contextmanager
def interruptible(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a process that hears SIGINT."""
    with hearing_interrupts():
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


_LONG = """
import escala
escala.simulate(100.0, 90, 1e9, 0)  # loads the kernels
print("ready", flush=True)
try:
    # one scenario that takes minutes: it never makes progress and may try two thousand million times
    escala.simulate([100.0] * {n}, 90, 1e9, 0, strategy=escala.LendingStrategy(
        max_stagnant_operations=2**31 - 1, max_operations=2**31 - 1), threads={threads})
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


_COSTLY = """
import escala
escala.simulate(100.0, 90, 1e9, 0)
print("ready", flush=True)
nothing = dict.fromkeys(("repay", "repay_stalling", "repay_stalled", "reinvest_far", "reinvest_mid", "reinvest_near",
    "reinvest_stalling", "reinvest_stalled"), 0.0)
try:
    # every operation tries the fallback half a million times
    escala.simulate(1000, 700 * (1 - 2e-16), 1e7, 0, strategy=escala.LendingStrategy(
        **nothing, liquidation_threshold=0.7, min_health_factor=1, draw_fraction=1, min_profit=0, target_ltv=0.69,
        max_fallback_attempts=10**6, max_stagnant_operations=10**9, max_operations=10**6))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    "program",
    [
        _LONG.format(n=1, threads=1),
        _LONG.format(n=5000, threads=2),
        _COSTLY,
    ],
)
def test_ctrl_c_ends_a_long_run_at_once(program: str) -> None:
    with interruptible([sys.executable, "-c", program]) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        until_worked(child, worked(child.pid) + 0.5)  # in the middle of it
        assert child.poll() is None
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=LIMIT)  # of hours
        assert out == "interrupted\n"
        assert child.returncode == 0


def test_progress_must_be_callable() -> None:
    message = "progress must be a function that is told how much is done, not 5"
    with pytest.raises(InputError, match=message):
        parallel.run(lambda: lambda _start, _stop: iter(()), 10, chunk=1, threads=1, progress=5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        escala.simulate(1000.0, 600.0, 1500.0, 200.0, progress=5)  # type: ignore[arg-type]


def test_a_span_of_time_is_no_number_of_threads() -> None:
    with pytest.raises(InputError, match="threads must be an integer of at least 1, not"):
        parallel.checked_threads(np.timedelta64(2), InputError)  # type: ignore[arg-type]


def test_the_default_is_no_more_than_python_was_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ESCALA_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(parallel, "_quota", lambda: 256)
    assert parallel.default_threads() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert parallel.default_threads() == 1
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(parallel, "_quota", lambda: 2)
    assert parallel.default_threads() == 2


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/", {}, 256),
        ("0::/", {"cpu.max": "max 100000"}, 256),
        ("0::/", {"cpu.max": "150000 100000"}, 2),
        ("0::/", {"cpu.max": "20000 100000"}, 1),
        ("0::/", {"cpu.max": "nonsense"}, 256),
        ("0::/a/b", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("4:cpu,cpuacct:/c", {"cpu/c/cpu.cfs_quota_us": "400000", "cpu/c/cpu.cfs_period_us": "100000"}, 4),
        ("4:cpu,cpuacct:/c", {"cpu/c/cpu.cfs_quota_us": "-1", "cpu/c/cpu.cfs_period_us": "100000"}, 256),
        ("7:memory:/c\nbroken", {"cpu.max": "100000 100000"}, 256),
    ],
)
def test_a_containers_share_is_a_number_of_threads(
    groups: str, files: dict[str, str], expected: int, tmp_path: Path
) -> None:
    (tmp_path / "cgroup").write_text(groups + "\n")
    for name, content in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    assert parallel._quota.__wrapped__(tmp_path / "root", tmp_path / "cgroup") == expected
    assert parallel._quota.__wrapped__(tmp_path / "root", tmp_path / "nowhere") == 256


def test_a_thread_keeps_the_workspace_it_made_last_and_no_large_one() -> None:
    made: list[tuple[int, ...]] = []

    @parallel.kept
    def room(*sizes: int) -> tuple[Any, ...]:
        made.append(sizes)
        return tuple(np.empty(size) for size in sizes)

    first = room(3, 4)
    assert room(3, 4) is first
    assert [array.size for array in room(5, 4)] == [5, 4]
    assert room(3, 4) is not first
    assert room(1 << 17, 1) is not room(1 << 17, 1)
    other: list[Any] = []
    thread = threading.Thread(target=lambda: other.append(room(3, 4)))
    mine = room(3, 4)
    thread.start()
    thread.join()
    assert other[0] is not mine
    assert room(3, 4) is mine
    assert made == [(3, 4), (5, 4), (3, 4), (1 << 17, 1), (1 << 17, 1), (3, 4)]


def test_what_a_workspace_cannot_be_made_of_is_asked_again() -> None:
    asked: list[int] = []

    @parallel.kept
    def room(size: int) -> tuple[Any, ...]:
        asked.append(size)
        return (np.empty(size),)

    for _ in range(2):
        with pytest.raises(ValueError, match="negative"):
            room(-1)
    assert room(2)[0].size == 2
    assert asked == [-1, -1, 2]
