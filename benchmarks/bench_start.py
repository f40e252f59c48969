"""What starting costs, whole processes: import, first call with a warm cache, commands, the whole cold compilation.

CPU seconds stand beside the time that passes: the machine is shared.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.compare import compare
from escala.kernels import jit, order_book


def process(code: str, **env: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **env}, stdout=subprocess.DEVNULL)


def command(*words: str, folder: str | None = None) -> None:
    subprocess.run([sys.executable, "-m", "escala", *words], check=True, cwd=folder, stdout=subprocess.DEVNULL)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare_processes(
    benchmark: Any, ours: Callable[[], object], peer: Callable[[], object], what: str, rounds: int = 9
) -> None:
    """Run A B A B …, and record the minima of time and of CPU seconds and what ours costs in each."""
    calls = (ours, peer)
    for call in calls:
        call()
    walls: tuple[list[float], list[float]] = ([], [])
    used: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, wall, cpu in zip(calls, walls, used, strict=True):
            before, start = _cpu(), time.perf_counter()
            call()
            wall.append(time.perf_counter() - start)
            cpu.append(_cpu() - before)
    (mine, theirs), (mine_cpu, theirs_cpu) = map(min, walls), map(min, used)
    cost, cpu_cost = mine / theirs, mine_cpu / theirs_cpu
    benchmark.extra_info.update(
        what=f"{what}, whole processes",
        ours=mine,
        peer=theirs,
        unit="process",
        ratio=1.0 / cost,
        figure=f"costs {cost:.2f} ×; CPU {mine_cpu:.2f} s for {theirs_cpu:.2f} s, {cpu_cost:.2f} ×",
    )
    benchmark.pedantic(ours, rounds=1)


@pytest.mark.benchmark(group="start")
@pytest.mark.parametrize(
    ("what", "code"),
    [("import escala", "import escala"), ("first simulate", "import escala; escala.simulate(1000, 600, 1500, 200)")],
)
def test_beside_numpy(benchmark: Any, what: str, code: str) -> None:
    compare_processes(benchmark, lambda: process(code), lambda: process("import numpy"), f"{what} / import numpy")


_ONE_LINE = """
import numba
@numba.njit(cache=True)
def one(x): return x + 1.0
one(1.0)
"""


@pytest.mark.benchmark(group="start")
def test_first_call(benchmark: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one_line = Path(folder) / "one_line.py"
        one_line.write_text(_ONE_LINE)

        def run_one_line() -> None:
            subprocess.run([sys.executable, str(one_line)], check=True)

        compare(
            benchmark,
            lambda: process("import escala; escala.simulate(1000, 600, 1500, 200)"),
            run_one_line,
            rounds=9,
            what="first simulate, warm cache / one-line cached njit function, whole processes",
            work=0,
            unit="process",
        )
    extra = benchmark.extra_info
    extra["figure"] = f"{extra['ours'] - extra['peer']:+.2f} s"


@pytest.mark.benchmark(group="start")
def test_cold_compilation(benchmark: Any) -> None:
    def compile_everything() -> float:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            process("from escala import kernels; kernels.load_all()", ESCALA_CACHE_DIR=folder)
            return time.perf_counter() - start

    took = benchmark.pedantic(compile_everything, rounds=1)
    benchmark.extra_info.update(what="whole cold compilation, one process", figure=f"{took:.1f} s")


@pytest.mark.benchmark(group="start")
def test_help(benchmark: Any) -> None:
    compare_processes(
        benchmark, lambda: command("--help"), lambda: process("import cyclopts, rich"),
        "escala --help / import cyclopts, rich",
    )  # fmt: skip


@pytest.mark.benchmark(group="start")
def test_simulate(benchmark: Any) -> None:
    words = ("simulate", "--supply", "1000", "--borrow", "600", "--target", "1500", "--wallet", "200")
    compare_processes(
        benchmark, lambda: command(*words), lambda: process("import numpy"), "escala simulate / import numpy"
    )  # fmt: skip


@pytest.mark.benchmark(group="start")
def test_predict(benchmark: Any) -> None:
    """From the shell to a prediction: the store of the guide's first ten minutes, curves trained."""
    words = ("predict", "--symbol", "USDC/WBTC", "--capital", "1e6")
    with tempfile.TemporaryDirectory() as folder:
        command("demo", "--files", ".", folder=folder)
        command("records", "import", "dex_quotes.csv.gz", folder=folder)
        compare_processes(
            benchmark,
            lambda: command(*words, folder=folder),
            lambda: process("import sqlalchemy, scipy.special"),
            "escala predict, curves trained / import sqlalchemy, scipy.special",
            rounds=7,
        )


@pytest.mark.benchmark(group="start")
def test_first_call_of_a_wheel(benchmark: Any) -> None:
    """Only where a wheel's kernels are what is imported: PYTHONPATH=build/installed after `make test-wheel`."""
    if jit.extension() is None:
        pytest.skip("the package that is imported has no compiled kernels")
    compare_processes(
        benchmark,
        lambda: process("import escala; escala.simulate(1000, 600, 1500, 200)"),
        lambda: process("import numpy"),
        "first simulate, kernels of a wheel / import numpy",
        rounds=15,
    )


@pytest.mark.benchmark(group="start")
def test_call_of_a_kernel(benchmark: Any) -> None:
    """What handing 17 arguments over costs: a walk along no books."""
    none, codes, offsets = np.empty(0), np.empty(0, np.int8), np.zeros(1, np.int64)
    arguments = (codes, none, offsets, none, none, none, 0, 0, 0, none, none, none, codes, none, none, 0, 0)

    def ours() -> None:
        for _ in range(1000):
            order_book.walk(*arguments)

    def peer() -> None:
        for _ in range(1000):
            np.add(1.0, 2.0)

    what = "call of a kernel with 17 arguments and no work / numpy.add of two numbers"
    compare(benchmark, ours, peer, rounds=50, what=what, work=1000, unit="call")
