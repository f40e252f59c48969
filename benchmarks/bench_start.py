"""What starting costs: import, first call with a warm cache, the whole cold compilation, --help."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.compare import compare
from escala.kernels import jit, order_book


def process(code: str, **env: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **env}, stdout=subprocess.DEVNULL)


@pytest.mark.benchmark(group="start")
def test_import(benchmark: Any) -> None:
    compare(
        benchmark,
        lambda: process("import escala"),
        lambda: process("import numpy"),
        rounds=9,
        what="import escala / import numpy, whole processes",
        work=0,
        unit="process",
    )


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
    def show_help() -> None:
        subprocess.run([sys.executable, "-m", "escala", "--help"], check=True, stdout=subprocess.DEVNULL)

    benchmark.pedantic(show_help, rounds=7)
    benchmark.extra_info.update(what="escala --help", figure=f"{benchmark.stats.stats.min:.2f} s")


@pytest.mark.benchmark(group="start")
def test_predict(benchmark: Any) -> None:
    """From the shell to a prediction: the store of the guide's first ten minutes, curves trained."""
    with tempfile.TemporaryDirectory() as folder:

        def run(*words: str) -> None:
            subprocess.run([sys.executable, "-m", "escala", *words], check=True, cwd=folder, stdout=subprocess.DEVNULL)

        run("demo", "--files", ".")
        run("records", "import", "dex_quotes.csv.gz")
        run("predict", "--symbol", "USDC/WBTC", "--capital", "1e6")
        compare(
            benchmark,
            lambda: run("predict", "--symbol", "USDC/WBTC", "--capital", "1e6"),
            lambda: process("import numba, scipy.special, sqlalchemy"),
            rounds=7,
            what="escala predict, curves trained / import numba, scipy, sqlalchemy, whole processes",
            work=0,
            unit="process",
        )
    extra = benchmark.extra_info
    extra["figure"] = f"{extra['ours'] - extra['peer']:+.2f} s"


@pytest.mark.benchmark(group="start")
def test_first_call_of_a_wheel(benchmark: Any) -> None:
    """Only where a wheel's kernels are what is imported: PYTHONPATH=build/installed after `make test-wheel`."""
    if jit.extension() is None:
        pytest.skip("the package that is imported has no compiled kernels")
    compare(
        benchmark,
        lambda: process("import escala; escala.simulate(1000, 600, 1500, 200)"),
        lambda: process("import numpy"),
        rounds=15,
        what="first simulate, kernels of a wheel / import numpy, whole processes",
        work=0,
        unit="process",
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
