"""Run the benchmarks, print their ratios, and put the table into docs/benchmarks.md."""

from __future__ import annotations

import json
import platform
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from escala.kernels import compiler

ROOT = Path(__file__).parent.parent
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def main() -> int:
    """Measure, print and record; any further arguments go to pytest."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "benchmarks.json"
        options = ["-o", "python_files=bench_*.py", "-q", "-p", "no:cacheprovider", f"--benchmark-json={report}"]
        code = pytest.main([str(ROOT / "benchmarks"), *options, "--benchmark-columns=min,rounds", *sys.argv[1:]])
        if code:
            return int(code)
        measured = json.loads(report.read_text())["benchmarks"]
    table = "\n".join([_machine(), "", "| measured | ours | peer | ratio |", "|---|---|---|---|", *map(_row, measured)])
    print(f"\n{table}")
    if len(sys.argv) == 1:
        page = ROOT / "docs/benchmarks.md"
        marked = re.compile(r"(<!-- benchmarks: begin -->\n).*?(<!-- benchmarks: end -->)", re.DOTALL)
        page.write_text(marked.sub(lambda m: f"{m[1]}{table}\n{m[2]}", page.read_text()))
    return 0


def _row(measured: dict[str, Any]) -> str:
    extra = measured["extra_info"]
    if "ratio" not in extra:
        return f"| {extra['what']} | {extra['figure']} | | |"
    ours, peer = (_time(extra[side]) for side in ("ours", "peer"))
    each = "" if extra["unit"] == "process" else f" per {extra['unit']}"
    ratio = extra.get("figure") or f"{extra['ratio']:.1f} ×"
    return f"| {extra['what']} | {ours}{each} | {peer} | {ratio} |"


def _time(seconds: float) -> str:
    scale, unit = next(((s, u) for s, u in _UNITS if seconds >= s), _UNITS[-1])
    return f"{seconds / scale:.3g} {unit}"


def _machine() -> str:
    return (
        f"Python {platform.python_version()}, Numba {compiler.numba_version()}, {compiler.processor()} "
        f"({platform.machine()}), "
        "two shared cores; minima of interleaved runs, ratio = peer/ours."
    )


if __name__ == "__main__":
    sys.exit(main())
