"""Curves beside SciPy, NumPy and lmfit; memory; and the study of what the intervals hold."""

from __future__ import annotations

import functools
import math
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest

from benchmarks import coverage, peers
from benchmarks.compare import compare
from escala import CurveSet, fit
from escala.demo.curves import load_quotes
from escala.kernels.fitting import fit as kernels
from escala.kernels.noise import scores as score_kernels

Draw = tuple[list[str], np.ndarray, np.ndarray, np.ndarray]
ROOT = Path(__file__).parent.parent


def decays(n: int, m: int, seed: int = 1) -> Draw:
    """Exponential curves with a noise of 0.01: symbols, (n, m) capitals and efficiencies, true (n, 3) coefficients."""
    rng = np.random.default_rng(seed)
    truth = np.stack([rng.uniform(0.3, 0.6, n), 10.0 ** rng.uniform(-6.3, -5.0, n), rng.uniform(0.15, 0.35, n)], 1)
    capital = np.sort(rng.uniform(1e3, 1e6, (n, m)), 1)
    a, b, c = (truth[:, [k]] for k in range(3))
    efficiency = np.clip(a * np.exp(-b * capital) + c + rng.normal(0, 0.01, (n, m)), 0, 1)
    return [f"S{i}" for i in range(n)], capital, efficiency, truth


@pytest.mark.benchmark(group="curves")
@pytest.mark.parametrize("m", [9, 25])
def test_exponential(benchmark: Any, m: int) -> None:
    symbols, capital, efficiency, truth = decays(20_000, m)
    few = 150
    ours = fit(symbols, capital, efficiency, family="exponential", threads=1)
    theirs = peers.scipy_exponentials(capital[:few], efficiency[:few], truth[:few])
    identified = (ours.status[:few] == 0) & np.isfinite(theirs[:, 1])
    assert np.median(np.abs(ours.params[:few, 1] / theirs[:, 1] - 1.0)[identified]) < 1e-5
    compare(
        benchmark,
        lambda: fit(symbols, capital, efficiency, family="exponential", threads=1),
        lambda: peers.scipy_exponentials(capital[:few], efficiency[:few], truth[:few]),
        rounds=9,
        what=f"exponential, {m} points, one thread / scipy curve_fit from the true values",
        work=len(symbols),
        peer_work=few,
        unit="fit",
    )


def depths(n: int, m: int, seed: int = 1) -> Draw:
    """Curves that go flat at a depth, noise of 0.01: symbols, (n, m) capitals and efficiencies, true a, ln D, ln h."""
    rng = np.random.default_rng(seed)
    truth = np.stack(
        [
            rng.uniform(0.9, 0.97, n),
            np.log(10.0 ** rng.uniform(4.5, 5.7, n)),
            np.log(10.0 ** rng.uniform(-0.2, 1.0, n)),
        ],
        1,
    )
    capital = np.sort(10.0 ** rng.uniform(3.0, 6.0, (n, m)), 1)
    a, log_d, h = truth[:, [0]], truth[:, [1]], np.exp(truth[:, [2]])
    eta = a * np.exp(-np.logaddexp(0.0, h * (np.log(capital) - log_d)) / h)
    return [f"S{i}" for i in range(n)], capital, np.clip(eta + rng.normal(0, 0.01, (n, m)), 0, 1), truth


@pytest.mark.benchmark(group="curves")
@pytest.mark.parametrize("m", [12, 25])
@pytest.mark.parametrize("starts", [1, 3])
def test_depth(benchmark: Any, m: int, starts: int) -> None:
    symbols, capital, efficiency, truth = depths(2_000, m)
    few = 150 if starts == 1 else 30
    fit_few = peers.scipy_depths if starts == 1 else peers.scipy_depths_from_three
    ours = fit(symbols, capital, efficiency, family="depth", threads=1)
    theirs = fit_few(capital[:few], efficiency[:few], truth[:few])
    same = np.abs(np.log(ours.params[:few, 1]) - theirs[:, 1])[np.isfinite(theirs[:, 1]) & (ours.status[:few] == 0)]
    assert np.median(same) < 1e-5
    compare(
        benchmark,
        lambda: fit(symbols, capital, efficiency, family="depth", threads=1),
        lambda: fit_few(capital[:few], efficiency[:few], truth[:few]),
        rounds=5,
        what=f"depth, {m} points, one thread / scipy "
        + ("curve_fit from the true values" if starts == 1 else "least_squares from three starts"),
        work=len(symbols),
        peer_work=few,
        unit="fit",
    )


@pytest.mark.benchmark(group="curves")
def test_auto_on_one_thread(benchmark: Any) -> None:
    symbols, capital, efficiency, truth = depths(4_000, 12)
    compare(
        benchmark,
        lambda: fit(symbols, capital, efficiency, threads=1),
        lambda: peers.scipy_depths(capital[:100], efficiency[:100], truth[:100]),
        rounds=5,
        what="auto, 12 points, one thread / scipy curve_fit of depth from the true values",
        work=len(symbols),
        peer_work=100,
        unit="fit",
    )


@pytest.mark.benchmark(group="curves")
def test_depth_at_many_capitals(benchmark: Any) -> None:
    capital = 10.0 ** np.random.default_rng(1).uniform(3.0, 7.0, 10_000_000)
    curve = CurveSet.from_params(["A"], "depth", [[0.99, 1e5, 3.0]])
    out = np.empty_like(capital)
    compare(
        benchmark,
        lambda: curve.efficiency(capital, out=out, threads=1),
        lambda: np.power(capital, 1.7, out=out),
        rounds=5,
        what="depth at 10 M capitals, one thread / numpy power",
        work=capital.size,
        unit="capital",
    )


@pytest.mark.benchmark(group="curves")
def test_exponential_lmfit(benchmark: Any) -> None:
    symbols, capital, efficiency, truth = decays(20_000, 25)
    compare(
        benchmark,
        lambda: fit(symbols, capital, efficiency, family="exponential", threads=1),
        lambda: peers.lmfit_exponentials(capital[:20], efficiency[:20], truth[:20]),
        rounds=5,
        what="exponential, 25 points, one thread / lmfit from the true values",
        work=len(symbols),
        peer_work=20,
        unit="fit",
    )


@pytest.mark.benchmark(group="curves")
@pytest.mark.parametrize("with_covariance", [False, True])
def test_quadratic(benchmark: Any, with_covariance: bool) -> None:
    symbols, capital, efficiency, _ = decays(20_000, 25)
    few = 400
    ours = fit(symbols, capital, efficiency, family="quadratic", threads=1)
    theirs = peers.numpy_quadratics(capital[:few], efficiency[:few], with_covariance)
    assert np.allclose(ours.params[:few], theirs, rtol=1e-6)
    compare(
        benchmark,
        lambda: fit(symbols, capital, efficiency, family="quadratic", threads=1),
        lambda: peers.numpy_quadratics(capital[:few], efficiency[:few], with_covariance),
        rounds=9,
        what=f"quadratic, 25 points, one thread / numpy polyfit{' with covariance' if with_covariance else ''}",
        work=len(symbols),
        peer_work=few,
        unit="fit",
    )


@pytest.mark.benchmark(group="curves")
def test_ladder(benchmark: Any) -> None:
    """360 quotes over 5.4 decades, as a pair of the demo has them: 86 knots."""
    rng = np.random.default_rng(1)
    n, m = 50, 360
    capital = 10.0 ** np.sort(rng.uniform(2.8, 8.2, (n, m)), axis=1)
    parts = [0.6 * np.minimum(1.0, 10.0 ** rng.uniform(4.0, 6.0, (n, 1)) / capital),
             0.39 * np.minimum(1.0, 10.0 ** rng.uniform(6.0, 8.0, (n, 1)) / capital)]  # fmt: skip
    efficiency = np.clip(parts[0] + parts[1] + rng.normal(0.0, 0.01, (n, m)), 0.0, 1.0)
    symbols = [f"S{i}" for i in range(n)]
    ours = fit(symbols, capital, efficiency, family="ladder", noise="even", threads=1)
    low, high = capital[0, 0], capital[0, -1]
    knots = np.geomspace(low, high, math.ceil(16.0 * np.log10(high / low) - 1e-9) + 1)[1:-1]
    beta = peers.scipy_ladder(capital[0], efficiency[0], knots)
    theirs = np.minimum(capital[0][:, None], knots) / capital[0][:, None] @ beta[:-1] + beta[-1]
    assert np.allclose(ours[0].efficiency(capital[0]), theirs, atol=1e-9)
    compare(
        benchmark,
        lambda: fit(symbols, capital, efficiency, family="ladder", noise="even", threads=1),
        lambda: peers.scipy_ladder(capital[0], efficiency[0], knots),
        rounds=15,
        what="ladder, 360 points, one thread / scipy nnls on the dense design",
        work=n,
        peer_work=1,
        unit="fit",
    )


@pytest.mark.benchmark(group="curves")
@pytest.mark.parametrize("family", ["auto", "depth", "ladder"])
def test_scores(benchmark: Any, family: str) -> None:
    """What scores of the records cost beside the fit itself, the kernels alone, on the pairs of the demo."""
    quotes = load_quotes()
    inside: dict[str, list[float]] = {"fit": [], "score": []}

    def clocked(name: str, kernel: Any) -> Any:
        def timed(*arguments: Any) -> None:
            start = time.thread_time()
            kernel(*arguments)
            inside[name][-1] += time.thread_time() - start

        return timed

    def run() -> None:
        for spent in inside.values():
            spent.append(0.0)
        fit(quotes.symbol, quotes.capital, quotes.efficiency, family=family, loss="squares", threads=1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "fit", clocked("fit", kernels.fit))
        patch.setattr(score_kernels, "score", clocked("score", score_kernels.score))
        benchmark.pedantic(run, rounds=9)
    fitted, scored = min(inside["fit"]), min(inside["score"])
    benchmark.extra_info.update(
        what=f"scores of the records of the demo's 56 pairs, {family}, one thread / the fit",
        ours=scored,
        peer=fitted,
        unit="call",
        ratio=fitted / scored,
        figure=f"costs {scored / fitted:.1f} ×",
    )


@pytest.mark.benchmark(group="curves")
def test_pairs_with_intervals(benchmark: Any) -> None:
    """The 56 pairs of the demo, 19,278 quotes: absurd ones looked for, families chosen, records scored, predicted."""
    quotes = load_quotes()
    capital = np.geomspace(1e3, 1e7, 100).reshape(1, -1)

    def run() -> float:
        start = time.thread_time()
        fit(quotes.symbol, quotes.capital, quotes.efficiency, threads=1).predict(capital)
        return time.thread_time() - start

    seconds = min([benchmark.pedantic(run, rounds=1), *(run() for _ in range(9))])
    what = "the demo's 56 pairs fitted, scored and predicted at 100 capitals with intervals, one thread"
    benchmark.extra_info.update(what=what, figure=f"{seconds * 1e3:.0f} ms")


FORMS = (
    "rows", "Categorical", "Arrow dictionary", "polars Categorical", "(codes, names)", "ragged", "object", "list",
    "str", "pandas", "polars",
)  # fmt: skip


@functools.cache
def forms() -> dict[str, tuple[Any, ...]]:
    """The same records with symbols of every form: 50,000 instruments of 12."""
    n, m = 50_000, 12
    names, capital, efficiency, _ = decays(n, m)
    flat = capital.reshape(-1), efficiency.reshape(-1)
    texts = [name for name in names for _ in range(m)]
    dictionary = pyarrow.array(texts).dictionary_encode()
    return {
        "rows": (names, capital, efficiency),
        "Categorical": (pandas.Categorical(texts), *flat),
        "Arrow dictionary": (dictionary, *flat),
        "polars Categorical": (polars.Series(texts, dtype=polars.Categorical), *flat),
        "(codes, names)": ((np.repeat(np.arange(n), m), names), *flat),
        "ragged": (names, list(capital), list(efficiency)),
        "object": (np.array(texts, dtype=object), *flat),
        "list": (texts, *flat),
        "str": (np.array(texts), *flat),
        "pandas": (pandas.Series(texts), *flat),
        "polars": (polars.Series(texts), *flat),
    }


@pytest.mark.benchmark(group="curves")
@pytest.mark.parametrize("form", FORMS)
def test_symbols(benchmark: Any, form: str) -> None:
    """What it costs to find out which records belong together, beside the kernel alone in the same run."""
    given = forms()[form]
    kernel, inside = kernels.fit, []

    def timed(*arguments: Any) -> None:
        start = time.thread_time()
        kernel(*arguments)
        inside.append(time.thread_time() - start)

    def run() -> tuple[float, float]:
        inside.clear()
        start = time.thread_time()
        fit(*given, family="quadratic", threads=1)
        return time.thread_time() - start, sum(inside)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "fit", timed)
        runs = [benchmark.pedantic(run, rounds=1), *(run() for _ in range(6))]
    whole, alone = (min(column) / 50_000 * 1e6 for column in zip(*runs, strict=True))
    what = f"quadratics of 12 points, symbols as {form}, one thread / the kernel alone"
    benchmark.extra_info.update(what=what, figure=f"{whole:.2f} µs an instrument, {whole / alone:.2f} times the kernel")


@pytest.mark.benchmark(group="curves")
def test_auto_on_two_threads(benchmark: Any) -> None:
    symbols, capital, efficiency, _ = decays(100_000, 25)
    compare(
        benchmark,
        lambda: fit(symbols, capital, efficiency, threads=2),
        lambda: fit(symbols, capital, efficiency, threads=1),
        rounds=9,
        what="best of four families, 25 points, two threads / one thread",
        work=len(symbols),
        unit="instrument",
    )


@pytest.mark.benchmark(group="curves")
@pytest.mark.parametrize("fresh", [False, True], ids=["out", "fresh"])
@pytest.mark.parametrize("family", ["linear", "quadratic", "exponential"])
def test_evaluation(benchmark: Any, family: str, fresh: bool) -> None:
    capital = np.random.default_rng(1).uniform(0.0, 1e6, (1, 10_000_000))
    params = {"linear": [-4e-7, 0.9, 0], "quadratic": [-1e-13, -3e-7, 0.9], "exponential": [0.5, 3e-6, 0.4]}[family]
    curve = CurveSet.from_params(["A"], family, [params])
    exponents = capital * -3e-6
    out, peers_out = (None, None) if fresh else (np.empty_like(capital), np.empty_like(capital))

    def numpy_copy() -> None:
        if peers_out is None:
            capital.copy()
        else:
            np.copyto(peers_out, capital)

    def numpy_exp() -> None:
        np.exp(exponents, out=peers_out)

    compare(
        benchmark,
        lambda: curve.efficiency(capital, out=out, threads=1),
        numpy_exp if family == "exponential" else numpy_copy,
        rounds=15,
        what=f"{family} at 10 M capitals, {'new memory' if fresh else 'out given'}, one thread / "
        f"numpy {'exp' if family == 'exponential' else 'copy'}",
        work=capital.size,
        unit="capital",
    )


@pytest.mark.benchmark(group="curves")
@pytest.mark.parametrize("in_order", [True, False], ids=["in order", "in no order"])
@pytest.mark.parametrize("steps", [20, 96])
def test_ladder_evaluation(benchmark: Any, steps: int, in_order: bool) -> None:
    rng = np.random.default_rng(1)
    knots = np.concatenate([[0.0], np.geomspace(1e2, 1e7, steps - 1)])
    slopes = np.sort(rng.uniform(0.0, 1.0, steps))[::-1]
    curve = CurveSet.from_ladders(["A"], [knots], [slopes])
    utilities = np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(knots))])
    capital = np.exp(rng.uniform(np.log(50.0), np.log(1e7), 10_000_000))
    capital = np.sort(capital) if in_order else capital
    assert np.allclose(curve.utility(capital), np.interp(capital, knots, utilities))
    out = np.empty_like(capital)
    compare(
        benchmark,
        lambda: curve.utility(capital, out=out, threads=1),
        lambda: np.interp(capital, knots, utilities),
        rounds=5,
        what=f"ladder of {steps} at 10 M capitals {'in order' if in_order else 'in no order'}, one thread / "
        "numpy interp",
        work=capital.size,
        unit="capital",
    )


_MEMORY = """
import re, numpy as np
from pathlib import Path
from escala import fit
fit(["A"], [[1.0, 2.0]], [[0.9, 0.8]])
def megabytes(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
n, m = 1_000_000, 12
rng = np.random.default_rng(1)
capital = rng.uniform(1e3, 1e6, (n, m))
efficiency = 0.9 - 3e-7 * capital
symbols = [f"S{i}" for i in range(n)]
Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
before = megabytes("VmRSS")
curves = fit(symbols, capital, efficiency)
print(megabytes("VmHWM") - before)
"""


@pytest.mark.benchmark(group="curves")
def test_memory(benchmark: Any) -> None:
    def measure() -> float:
        done = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True)
        return float(done.stdout)

    beyond = benchmark.pedantic(measure, rounds=1)
    what = "memory beyond the input, results included: 1 M instruments of 12 points"
    benchmark.extra_info.update(what=what, figure=f"{beyond:.0f} MB")


@pytest.mark.benchmark(group="curves")
def test_coverage(benchmark: Any) -> None:
    """Write the study's table into the guide."""
    table = benchmark.pedantic(lambda: coverage.table(100_000), rounds=1)
    page = ROOT / "docs/guide/intervals.md"
    marked = re.compile(r"(<!-- coverage: begin -->\n).*?(<!-- coverage: end -->)", re.DOTALL)
    page.write_text(marked.sub(lambda m: f"{m[1]}{table}\n{m[2]}", page.read_text()))
    seconds = benchmark.stats.stats.min
    benchmark.extra_info.update(what="study of the prediction intervals, 4.7 M fits", figure=f"{seconds:.0f} s")
