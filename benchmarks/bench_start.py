"""What starting costs: import, first call with a warm cache, the whole cold compilation, --help."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compare import compare


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
