"""Sweeps beside the bare kernel on the same scenarios, and their files beside a bare ``pyarrow`` writer."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from benchmarks.compare import compare
from escala import Design, simulate
from escala.arrays import Floats
from escala.lending.model import MODEL
from escala.sweeps.sweep import sweep

RANGES = {
    "supply": (100.0, 2000.0),
    "borrow": ("supply", 0.28, 0.49),
    "target": ("supply", 1.1, 1.3),
    "wallet": (10.0, 500.0),
}
ROWS = 1 << 21


class Ready(Design):
    """A design whose rows were made before: what a sweep adds to the kernel can be told from what rows cost."""

    def keep(self) -> None:
        """Make all rows."""
        object.__setattr__(self, "made", super().rows())

    def rows(self, start: int = 0, stop: int | None = None, **_: Any) -> dict[str, Floats]:
        """Give views of the rows that were made."""
        made: dict[str, Floats] = vars(self)["made"]
        return {name: column[start:stop] for name, column in made.items()}


@pytest.fixture(scope="module")
def ready() -> Ready:
    """Give rows of the short kind: one or two operations each."""
    design = Ready.sobol(RANGES, ROWS, 1)
    assert isinstance(design, Ready)
    design.keep()
    return design


def bare(design: Design, threads: int) -> Any:
    rows = design.rows(threads=threads)
    return simulate(*(rows[name] for name in MODEL.argument_names), threads=threads)


@pytest.mark.benchmark(group="sweep")
@pytest.mark.parametrize("threads", [1, 2])
def test_totals(benchmark: Any, ready: Ready, threads: int) -> None:
    compare(
        benchmark,
        lambda: sweep(ready, threads=threads),
        lambda: bare(ready, threads),
        rounds=15,
        what=f"sweep of 7 outputs, {threads} thread{'s' if threads > 1 else ''} / bare kernel, short scenarios",
        work=ROWS,
        unit="scenario",
    )


@pytest.mark.benchmark(group="sweep")
def test_rows_and_totals(benchmark: Any) -> None:
    design = Design.sobol(RANGES, ROWS, 1)
    compare(
        benchmark,
        lambda: sweep(design, threads=1),
        lambda: bare(design, 1),
        rounds=9,
        what="sweep of a Sobol design, rows made on the way / rows made first, then the bare kernel",
        work=ROWS,
        unit="scenario",
    )


@pytest.mark.benchmark(group="sweep")
def test_files(benchmark: Any, ready: Ready, tmp_path: Path) -> None:
    result = bare(ready, 2)
    rows = {name: np.ascontiguousarray(column) for name, column in ready.rows().items()}
    rows |= {name: np.asarray(getattr(result, name)) for name in MODEL.kept} | {"stop": result.stop.astype(np.int8)}

    def plain() -> None:
        for start in range(0, ROWS, 65_536):
            table = pyarrow.table(
                {name: pyarrow.array(column[start : start + 65_536]) for name, column in rows.items()}
            )
            place = tmp_path / f"plain-{start}.parquet"
            parquet.write_table(table, place, use_dictionary=False, write_statistics=False, compression="none")

    def on_top() -> float:
        began = time.perf_counter()
        sweep(ready, threads=1, out=tmp_path / "sweep")
        between = time.perf_counter()
        sweep(ready, threads=1)
        alone = time.perf_counter() - between
        shutil.rmtree(tmp_path / "sweep")
        return between - began - alone

    plain()
    times = []
    for _ in range(7):
        extra = on_top()
        began = time.perf_counter()
        plain()
        times.append((extra, time.perf_counter() - began))
    extra, writing = (min(column) for column in zip(*times, strict=True))
    benchmark.pedantic(plain, rounds=1)
    benchmark.extra_info.update(
        what="what files add to a sweep / bare pyarrow writer of the same rows",
        ours=extra / ROWS,
        peer=writing / ROWS,
        ratio=writing / extra,
        figure=f"{extra / writing:.2f} × its cost",
        unit="scenario",
    )


_MEMORY = """
import re, sys
from pathlib import Path
from benchmarks.bench_sweep import RANGES
from escala import Design, sweep
sweep(Design.random(RANGES, int(sys.argv[1]), 1), threads=2, **({"out": sys.argv[2]} if len(sys.argv) > 2 else {}))
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def peak(rows: int, *out: str) -> float:
    done = subprocess.run([sys.executable, "-c", _MEMORY, str(rows), *out], capture_output=True, text=True, check=True)
    return float(done.stdout)


@pytest.mark.benchmark(group="sweep")
def test_memory(benchmark: Any) -> None:
    few = peak(2_000_000)
    many = benchmark.pedantic(lambda: peak(20_000_000), rounds=1)
    benchmark.extra_info.update(
        what="peak memory of a process that sweeps 20 M scenarios (2 M)", figure=f"{many:.0f} MB ({few:.0f} MB)"
    )
