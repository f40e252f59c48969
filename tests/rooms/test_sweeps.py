"""Sweeps: the same bits however the work is cut, numbers that NumPy agrees with, directories that survive anything."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import escala
from escala import Design, LendingStrategy, ScenarioError, SweepError, simulate
from escala.lending.model import MODEL
from escala.sweeps import accumulate, cluster, plan, sink
from escala.sweeps.estimate import estimate
from escala.sweeps.run import Worker, empty_total
from escala.sweeps.settings import from_toml
from escala.sweeps.summary import SweepSummary
from escala.sweeps.sweep import sweep
from tests.naive import sweeps as naive_sweep
from tests.places import ROOT
from tests.rooms.test_parallel import interruptible

OUTPUTS, DEFAULT_OUTPUTS = MODEL.output_names, MODEL.kept
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 5e-324, 0.1, 127.0, 128.5]


def small(n: int = 20_000, seed: int = 1) -> Design:
    ranges = {
        "supply": (100.0, 2000.0),
        "borrow": ("supply", 0.0, 0.72),
        "target": ("supply", 1.0, 1.5),
        "wallet": [0.0, 10.0, 200.0],
        "draw_fraction": (0.5, 1.0),
    }
    return Design.random(ranges, n, seed)


def in_numpy(design: Design, **fields: float) -> Any:
    rows = design.rows()
    strategy = LendingStrategy(**fields, **{name: rows[name] for name in rows if name in MODEL.field_names})
    return simulate(rows["supply"], rows["borrow"], rows["target"], rows["wallet"], strategy=strategy)


# The kernel and its twin


def run_kernel(x: np.ndarray, best: int, start: int = 0) -> dict[str, np.ndarray]:
    from escala.kernels import accumulate as kernels

    m, n = x.shape
    blocks = -(-n // kernels.BLOCK)
    room: dict[str, Any] = {
        "histogram": accumulate.zeros(m, kernels.BINS),
        "touched": accumulate.zeros(m, kernels.BINS),
        "marks": np.zeros(m, dtype=np.int64),
        "moments": np.empty((blocks * m, len(kernels.MOMENTS))),
        "best": np.full((2 * m, best), -np.inf),
        "best_rows": np.full((2 * m, best), -1, dtype=np.int64),
    }
    x = np.ascontiguousarray(x)
    kernels.accumulate(x, x.view(np.int64), *room.values(), np.empty(kernels.WORK_SIZE), start, start + n)  # type: ignore[call-arg]
    return room


@pytest.mark.nojit
@pytest.mark.parametrize("n", [1, 63, 64, 65, 2048, 2049, 5000])
@pytest.mark.parametrize("special", [False, True])
def test_the_kernel_equals_its_twin(n: int, special: bool) -> None:
    rng = np.random.default_rng(n)
    x = np.stack([rng.lognormal(0.0, 2.0, n), rng.normal(1e6, 1.0, n), rng.integers(0, 5, n).astype(float)])
    if special:
        x[rng.random(x.shape) < 0.3] = rng.choice(SPECIAL)
        x = np.where(rng.random(x.shape) < 0.3, rng.choice(SPECIAL, x.shape), x)
    room = run_kernel(x, 4)
    for o, values in enumerate(x.tolist()):
        for block in range(0, n, 2048):
            expected = naive_sweep.naive_moments(values[block : block + 2048])
            found = room["moments"][block // 2048 * 3 + o]
            np.testing.assert_array_equal(found, list(vars(expected).values()))
        used = room["touched"][o, : room["marks"][o]]
        counted = dict(zip(used.tolist(), room["histogram"][o][used].tolist(), strict=True))
        bins = [naive_sweep.naive_bin(v) for v in values]
        assert counted == {b: bins.count(b) for b in set(bins)}
        assert room["histogram"][o].sum() == n
        for side, sign in enumerate((1.0, -1.0)):
            best = naive_sweep.naive_best(values, 4, sign)
            assert room["best_rows"][2 * o + side].tolist()[: len(best)] == [row for _, row in best]
            assert room["best"][2 * o + side].tolist()[: len(best)] == [value for value, _ in best]
            assert (room["best_rows"][2 * o + side][len(best) :] == -1).all()


@given(st.integers(1, 40), st.data())
def test_the_tree_is_the_same_however_it_grows(blocks: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(blocks)
    leaves = np.stack([rng.integers(0, 3, blocks), rng.normal(size=blocks), rng.random(blocks)], axis=1)[:, None, :]
    leaves[leaves[..., 0] == 0.0] = 0.0
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, blocks - 1)), max_size=6)) | {0, blocks})
    runs = data.draw(st.permutations(list(itertools.pairwise(cuts))))
    nodes: accumulate.Nodes = {}
    for first, last in runs:
        own: accumulate.Nodes = {}
        accumulate.grow_run(own, first, leaves[first:last], blocks)
        for place, node in own.items():
            accumulate.grow(nodes, place, node, blocks)
    ((_, root),) = nodes.items()
    expected = naive_sweep.naive_tree([tuple(leaf[0].tolist()) for leaf in leaves])
    assert tuple(root[0].tolist()) == expected


# Numbers


@pytest.fixture(scope="module")
def everything() -> tuple[SweepSummary, Any]:
    design = small()
    return sweep(design, outputs="all", best=7), in_numpy(design)


def test_counts_and_statistics_are_those_of_numpy(everything: tuple[SweepSummary, Any]) -> None:
    summary, result = everything
    assert summary.outputs == OUTPUTS
    assert summary.scenarios == result.size == sum(summary.stops.values())
    assert list(summary.stops.values()) == [int((result.stop == code).sum()) for code in range(3)]
    for name in OUTPUTS:
        values = np.asarray(getattr(result, name), dtype=float)
        finite = values[np.isfinite(values)]
        found = summary.statistics[name]
        assert found.finite == finite.size
        assert (found.lowest, found.highest) == (values.min(), values.max())
        size = float(np.abs(finite).max())
        assert found.mean == pytest.approx(finite.mean(), rel=1e-12, abs=1e-12 * size)
        assert found.standard_deviation == pytest.approx(finite.std(ddof=1), rel=1e-9, abs=1e-12 * size)


def test_quantiles_are_within_their_bound(everything: tuple[SweepSummary, Any]) -> None:
    summary, result = everything
    q = np.array([0.0, 0.001, 0.05, 0.3, 0.5, 0.77, 0.99, 1.0])
    found = summary.quantiles(q)
    for name in OUTPUTS:
        expected = np.quantile(np.asarray(getattr(result, name), dtype=float), q, method="inverted_cdf")
        finite = np.isfinite(expected)
        np.testing.assert_array_equal(found[name][~finite], expected[~finite])
        np.testing.assert_allclose(found[name][finite], expected[finite], rtol=1 / 256, atol=0.0)
    assert summary.quantiles(0.5)["profit"].shape == ()
    with pytest.raises(ScenarioError, match=r"q must be in \[0, 1\], but q\[1\] = 1\.5"):
        summary.quantiles([0.5, 1.5])


def test_best_rows_are_rows_of_the_design(everything: tuple[SweepSummary, Any]) -> None:
    summary, result = everything
    rows = summary.plan.design.rows()
    for name in OUTPUTS:
        values = np.asarray(getattr(result, name), dtype=float)
        for lowest, sign in ((False, -1.0), (True, 1.0)):
            allowed = np.flatnonzero(sign * values < np.inf)
            expected = allowed[np.lexsort((allowed, sign * values[allowed]))][:7]
            best = summary.best(name, lowest=lowest)
            np.testing.assert_array_equal(best["row"], expected)
            for column in rows:
                np.testing.assert_array_equal(best[column], rows[column][expected])
            np.testing.assert_array_equal(best["stop"], result.stop[expected])
            for output in OUTPUTS:
                np.testing.assert_array_equal(best[output], getattr(result, output)[expected])
    with pytest.raises(ScenarioError, match="'apy' was not kept"):
        summary.best("apy")


def test_sensitivities_find_what_matters() -> None:
    ranges = {
        "supply": 1000.0, "borrow": [0.0, 600.0], "target": 1500.0, "wallet": (0.0, 100.0),
        "free_collateral_factor": (0.5, 1.0),
    }  # fmt: skip
    summary = sweep(Design.random(ranges, 30_000, 3), outputs=["free_collateral", "leverage", "fees"])
    rows, result = summary.plan.design.rows(), in_numpy(summary.plan.design)
    y = result.free_collateral
    means = [y[rows["borrow"] == b].mean() for b in (0.0, 600.0)]
    response = summary.response("borrow", "free_collateral")
    np.testing.assert_allclose(response.centre, [0.0, 600.0])
    np.testing.assert_allclose(response.mean, means, rtol=1e-12)
    np.testing.assert_array_equal(response.count, [(rows["borrow"] == b).sum() for b in (0.0, 600.0)])
    between = (
        sum(c * (m - y.mean()) ** 2 for c, m in zip(response.count, means, strict=True)) / ((y - y.mean()) ** 2).sum()
    )
    assert response.index == pytest.approx(between, abs=1e-4)
    assert summary.sensitivities["leverage"]["free_collateral_factor"] < 0.005
    assert np.isnan(summary.sensitivities["leverage"]["supply"]) == (np.ptp(result.leverage) == 0.0)
    assert len(summary.response("wallet", "fees").mean) == 32


def test_what_is_always_the_same_depends_on_nothing() -> None:
    ranges = {"supply": 1000.0, "borrow": 500.0, "target": 1500.0, "wallet": 100.0, "stagnation_tolerance": (0.0, 1e-5)}
    summary = sweep(Design.random(ranges, 1000))
    for name in summary.outputs:
        assert summary.statistics[name].standard_deviation == 0.0
        assert all(np.isnan(index) for index in summary.sensitivities[name].values())
        response = summary.response("stagnation_tolerance", name)
        assert set(response.mean) == {summary.statistics[name].mean}
    assert "100%" not in summary.summary().split("share of the variance")[1]


def test_a_sample_is_one_row_of_each_group() -> None:
    planned = plan.make(small(1_000_000))
    assert planned.spacing == 32
    drawn = planned.sampled(0, planned.n)
    np.testing.assert_array_equal(drawn // 32, np.arange(31_250))
    np.testing.assert_array_equal(np.concatenate([planned.sampled(0, 2048), planned.sampled(2048, planned.n)]), drawn)
    assert np.abs(np.bincount(drawn % 32) / 31_250 - 1 / 32).max() < 0.005


@given(st.lists(st.one_of(st.floats(), st.sampled_from(SPECIAL)), min_size=1, max_size=50))
def test_quantiles_of_any_numbers(values: list[float]) -> None:
    room = run_kernel(np.array([values]), 0)
    used = np.sort(room["touched"][0, : room["marks"][0]])
    numbers = [v for v in values if not np.isnan(v)]
    state = accumulate.State(
        len(values), np.zeros(3, np.int64), {}, np.array([min(numbers, default=np.inf)]),
        np.array([max(numbers, default=-np.inf)]), [used], [room["histogram"][0][used]], room["best"], room["best_rows"],
    )  # fmt: skip
    q = np.array([0.0, 0.25, 0.5, 1.0])
    found = accumulate.quantiles(state, 0, q, whole=False)
    if not numbers:
        assert np.isnan(found).all()
        return
    expected = np.sort(numbers)[np.maximum(np.ceil(q * len(numbers)).astype(int) - 1, 0)]
    np.testing.assert_allclose(found, expected, rtol=1 / 128, atol=np.finfo(float).tiny)


# The same bits


def test_the_same_bits_for_any_threads_and_chunks() -> None:
    design = small(30_001)
    first = sweep(design, threads=1)
    for threads, chunk in [(2, 65_536), (5, 2048), (2, 10_000), (1, 3), (5, 4096)]:
        other = sweep(design, threads=threads, chunk=chunk)
        assert other.digest == first.digest
        assert json.dumps(other.to_dict()) == json.dumps(first.to_dict())
        assert other.summary() == first.summary()
    assert sweep(small(30_001, seed=2)).digest != first.digest
    assert sweep(design, strategy=LendingStrategy(fee_rate=0.003)).digest != first.digest


def test_progress_is_told_in_rows(tmp_path: Path) -> None:
    for out in (None, tmp_path):
        told: list[int] = []
        sweep(small(), chunk=2048, threads=2, out=out, progress=told.append)
        assert told == sorted(told)
        assert told[-1] == 20_000


def test_states_come_back_from_bytes_and_add_up() -> None:
    planned = plan.make(small(9000), chunk=2048)
    worker = Worker(planned)
    states = []
    for chunk in range(planned.chunks):
        for _ in worker.run(*planned.bounds(chunk)):
            pass
        states.append(worker.take())
    whole = sweep(small(9000))
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]):
        total = empty_total(planned)
        for k in order:
            total.add(accumulate.State.from_bytes(states[k].to_bytes()))
        assert SweepSummary(planned, total.state()).digest == whole.digest
    assert pickle.loads(pickle.dumps(planned)).digest == planned.digest


# Directories


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def test_rows_on_disk_are_the_rows(tmp_path: Path) -> None:
    import pyarrow.parquet

    design = small(150_000)
    summary = sweep(design, out=tmp_path / "new" / "out", chunk=75_000)
    assert summary.digest == sweep(design).digest
    files = sorted((tmp_path / "new" / "out").glob("*.parquet"))
    tables = [pyarrow.parquet.read_table(path) for path in files]
    assert [table.num_rows for table in tables] == [75_776, 74_224]
    assert tables[0].column_names == [*design.names, "stop", *DEFAULT_OUTPUTS]
    result = in_numpy(design)
    for name in ("stop", *DEFAULT_OUTPUTS):
        found = np.concatenate([table[name].to_numpy() for table in tables])
        np.testing.assert_array_equal(found, getattr(result, name))
    rows = design.rows()
    for name in design.names:
        np.testing.assert_array_equal(np.concatenate([table[name].to_numpy() for table in tables]), rows[name])
    told = json.loads((tmp_path / "new" / "out" / "_summary.json").read_text())
    assert told["digest"] == summary.digest
    assert told["outputs"]["profit"]["mean"] == summary.statistics["profit"].mean
    manifest = json.loads((tmp_path / "new" / "out" / "_sweep.json").read_text())
    assert Design.from_dict(manifest["design"]) == design


@pytest.mark.parametrize("rows", [True, False])
def test_finished_chunks_are_kept_and_damaged_ones_made_again(tmp_path: Path, rows: bool) -> None:
    design = small(10_000)
    first = sweep(design, out=tmp_path, chunk=2048, rows=rows)
    whole = contents(tmp_path)
    assert any(name.endswith(".parquet") for name in whole) == rows
    kept = tmp_path / ("chunk-000000.parquet" if rows else "_chunk-000000.state")
    before = kept.stat().st_mtime_ns
    damaged = ["_chunk-000001.state", "_chunk-000003.state"]
    damaged += ["chunk-000002.parquet"] if rows else []
    for name in damaged:
        content = bytearray(whole[name])
        content[len(content) // 2] ^= 1
        (tmp_path / name).write_bytes(content)
    (tmp_path / damaged[1]).write_bytes(b"")
    (tmp_path / ("chunk-000004.parquet" if rows else "_chunk-000004.state")).unlink()
    (tmp_path / ".chunk-000004.parquet.0123.part").write_bytes(b"half")
    again = sweep(design, out=tmp_path, chunk=2048, rows=rows)
    assert again.digest == first.digest
    assert contents(tmp_path) == whole
    assert kept.stat().st_mtime_ns == before
    sweep(design, out=tmp_path, chunk=2048, rows=rows, resume=False)
    assert contents(tmp_path) == whole
    assert kept.stat().st_mtime_ns > before


@pytest.mark.parametrize("rows", [True, False])
def test_chunks_that_strayed_here_are_made_again(tmp_path: Path, rows: bool) -> None:
    design = small(10_000)
    options: dict[str, Any] = {"chunk": 2048, "rows": rows}
    first = sweep(design, out=tmp_path / "this", **options)
    sweep(small(10_000, seed=2), out=tmp_path / "other", **options)
    whole = contents(tmp_path / "this")
    for path in (tmp_path / "other").glob("*chunk-000001.*"):
        path.replace(tmp_path / "this" / path.name)
    for path in (tmp_path / "this").glob("*chunk-000002.*"):
        path.with_name(path.name.replace("000002", "000003")).write_bytes(path.read_bytes())
    assert sweep(design, out=tmp_path / "this", **options).digest == first.digest
    assert contents(tmp_path / "this") == whole


def test_a_directory_that_another_process_took_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = sink._locked

    def late(directory: Path) -> Any:
        monkeypatch.setattr(sink, "_locked", locked)
        sweep(small(5000, seed=2), out=directory, chunk=2048)
        return locked(directory)

    monkeypatch.setattr(sink, "_locked", late)
    with pytest.raises(SweepError, match="holds another sweep: its design_digest is"):
        sweep(small(5000), out=tmp_path, chunk=2048)
    assert sweep(small(5000, seed=2), out=tmp_path, chunk=2048).digest == sweep(small(5000, seed=2)).digest


def test_a_finished_chunk_leaves_no_more_than_its_totals_in_memory() -> None:
    planned = plan.make(small(5000))
    worker = Worker(planned)
    for _ in worker.run(0, 4096):
        pass
    packed = worker.take().to_bytes()
    references = sys.getrefcount(packed)
    total = empty_total(planned)
    total.add(accumulate.State.from_bytes(packed))
    assert sys.getrefcount(packed) == references


def test_a_directory_of_another_sweep_is_refused(tmp_path: Path) -> None:
    design = small(5000)
    sweep(design, out=tmp_path, chunk=2048)
    before = contents(tmp_path)
    others: list[tuple[str, Design, dict[str, Any]]] = [
        ("design_digest", small(5000, seed=2), {}),
        ("chunk", design, {"chunk": 4096}),
        ("outputs", design, {"outputs": ["fees"]}),
        ("best", design, {"best": 2}),
        ("parquet", design, {"rows": False}),
        (r"strategy\.repay", design, {"strategy": LendingStrategy(repay=0.2)}),
    ]
    for key, other, options in others:
        with pytest.raises(SweepError, match=f"holds another sweep: its {key} is .* choose another directory"):
            sweep(other, out=tmp_path, **{"chunk": 2048, **options})
    assert contents(tmp_path) == before
    manifest = json.loads(before["_sweep.json"])
    (tmp_path / "_sweep.json").write_text(json.dumps({**manifest, "escala": "0.0.1"}))
    with pytest.raises(SweepError, match=r'its escala is "0\.0\.1", not'):
        sweep(design, out=tmp_path, chunk=2048)
    for content in (b"{}", b"[]", b"\xff", b""):
        (tmp_path / "_sweep.json").write_bytes(content)
        with pytest.raises(SweepError, match=r"_sweep\.json is not that of a sweep"):
            sweep(design, out=tmp_path, chunk=2048)


def test_a_folder_of_rows_is_one_table_with_a_legend(tmp_path: Path) -> None:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow.parquet")
    design = small(5000)
    sweep(design, out=tmp_path, chunk=2048)
    found = pandas.read_parquet(tmp_path)
    result = in_numpy(design)
    assert len(found) == 5000
    np.testing.assert_array_equal(found["stop"], result.stop)
    np.testing.assert_array_equal(found["net_equity_change"], result.net_equity_change)
    assert pyarrow.read_table(tmp_path).num_rows == 5000
    metadata = pyarrow.read_schema(tmp_path / "chunk-000000.parquet").metadata
    assert json.loads(metadata[b"stop"]) == {"0": "target_reached", "1": "stalled", "2": "max_operations"}
    told = (tmp_path / "_README.txt").read_text()
    assert told.startswith("A sweep of 5,000 rows by escala")
    assert "Column stop: 0 = target_reached, 1 = stalled, 2 = max_operations." in told
    sweep(design, out=tmp_path / "totals", chunk=2048, rows=False)
    assert "stop" not in (tmp_path / "totals" / "_README.txt").read_text()


def _stop(_: int) -> None:
    raise KeyboardInterrupt


def test_a_sweep_that_is_stopped_says_what_it_kept(tmp_path: Path) -> None:
    design = small(10_000)
    kept = r"^[1-5] of 5 chunks are finished and stay valid: the same call goes on with them$"
    with pytest.raises(KeyboardInterrupt, match=kept):
        sweep(design, out=tmp_path, chunk=2048, threads=1, progress=_stop)
    with pytest.raises(KeyboardInterrupt, match=r"^nothing is kept of a sweep without a directory$"):
        sweep(design, threads=1, progress=_stop)


def test_a_cluster_that_is_stopped_says_what_it_kept(client: Any, tmp_path: Path) -> None:
    design = small(10_000)
    with pytest.raises(KeyboardInterrupt, match=r"of 5 chunks are finished and stay valid"):
        sweep(design, client=client, out=tmp_path, chunk=2048, progress=_stop)
    with pytest.raises(KeyboardInterrupt, match=r"chunks were done, and nothing is kept without a directory$"):
        sweep(design, client=client, chunk=2048, progress=_stop)


def test_a_folder_of_an_older_version_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(SweepError, match="holds a sweep of an older version; choose another directory"):
        sweep(small(5000), out=tmp_path, chunk=2048)
    assert sorted(contents(tmp_path)) == ["sweep.json"]


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(SweepError, match=r"is not empty and holds no sweep: there is thesis\.txt"):
        sweep(small(100), out=tmp_path)
    assert contents(tmp_path) == {"thesis.txt": b"mine"}
    (tmp_path / "download").mkdir()
    (tmp_path / "download" / ".film.part").write_text("mine")
    with pytest.raises(SweepError, match=r"is not empty and holds no sweep: there is \.film\.part"):
        sweep(small(100), out=tmp_path / "download")
    assert contents(tmp_path / "download") == {".film.part": b"mine"}
    for place in (tmp_path / "thesis.txt", tmp_path / "thesis.txt" / "out"):
        with pytest.raises(SweepError, match=r"thesis\.txt.*: (Not a directory|File exists)"):
            sweep(small(100), out=place)


def test_two_sweeps_at_once_are_refused(tmp_path: Path) -> None:
    planned = plan.make(small(5000), chunk=2048)
    with (
        sink.opened(tmp_path, planned, rows=True, resume=True),
        pytest.raises(SweepError, match="another process is sweeping into it"),
    ):
        sweep(small(5000), out=tmp_path, chunk=2048)


def python(code: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    root = ROOT
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=root, **options
    )


_ENDLESS = """
import sys
from escala import Design, sweep
ranges = {"supply": (100.0, 2000.0), "borrow": ("supply", 0.3, 0.7), "target": ("supply", 1.05, 1.6), "wallet": 1.0}
out = sys.argv[1] or None
try:
    sweep(Design.random(ranges, 2**32), out=out, threads=2, chunk=4096, progress=lambda done: print(done, flush=True))
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.slow
@pytest.mark.parametrize("files", [False, True])
def test_ctrl_c_ends_a_sweep_at_once(tmp_path: Path, files: bool) -> None:
    out = str(tmp_path / "out") if files else ""
    with interruptible([sys.executable, "-c", _ENDLESS, out]) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    assert rest.splitlines()[-1] == "stopped"
    if files:
        names = [path.name for path in (tmp_path / "out").iterdir()]
        assert not [name for name in names if name.endswith(".part")]
        assert len([name for name in names if name.endswith(".state")]) >= 4


# Bad input


def test_bad_arguments_are_named() -> None:
    design = small(100)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"outputs": ["profit", "apy"]}, r"outputs\[1\] = 'apy' is no output"),
        ({"outputs": ["profits"]}, r"outputs\[0\] = 'profits' is no output; did you mean 'profit'\?"),
        ({"outputs": ["fees", "fees"]}, r"outputs\[1\] = 'fees' is given twice"),
        ({"outputs": []}, "outputs must name at least one output"),
        ({"outputs": 5}, "outputs must be a name or a list of names, not 5"),
        ({"design": 5}, "design must be a Design, not 5"),
        ({"chunk": 0}, r"chunk must be an integer in \[1, \d+\], not 0"),
        ({"chunk": 2.5}, "chunk must be an integer .* not 2.5"),
        ({"best": -1}, r"best must be an integer in \[0, 1000\], not -1"),
        ({"threads": 0}, "threads must be an integer of at least 1, not 0"),
        ({"strategy": "bold"}, "strategy must be a LendingStrategy, not 'bold'"),
        ({"strategy": LendingStrategy(repay=[0.1, 0.2])}, r"repay must be one number in a sweep, not of shape \(2,\)"),
    ]
    for options, message in cases:
        with pytest.raises(ScenarioError, match=message):
            sweep(**{"design": design, **options})
    with pytest.raises(ScenarioError, match="the design has no column borrow and no wallet"):
        sweep(Design.random({"supply": 1.0, "target": 2.0}, 5))
    with pytest.raises(ScenarioError, match=r"unknown column 'walet'; did you mean 'wallet'\?"):
        sweep(Design.random({"supply": 1.0, "target": 2.0, "walet": 1.0, "borrow": 0.0}, 5, free=True))


def test_bad_rows_are_named() -> None:
    ranges = {"supply": 1000.0, "borrow": 0.0, "target": (-0.01, 900.0), "wallet": 0.0}
    design = Design.random(ranges, 10**7, free=True)
    with pytest.raises(ScenarioError, match=r"target must be in .*, but row ([\d,]+): target = -") as caught:
        sweep(design, threads=1)
    (row,) = caught.value.indexes[0]
    assert design.rows(row, row + 1)["target"][0] < 0.0
    assert (design.rows(0, row)["target"] > 0.0).all()


def test_rows_that_contradict_the_strategy_are_named() -> None:
    ranges = {"supply": 1000.0, "borrow": 0.0, "target": 900.0, "wallet": 0.0, "ltv_ceiling": (0.8, 0.99)}
    design = Design.random(ranges, 5000)
    assert sweep(design).stops["target_reached"] == 5000
    message = r"target_ltv must not exceed ltv_ceiling, but row [\d,]+: ltv_ceiling = 0\.\d+"
    with pytest.raises(ScenarioError, match=message):
        sweep(design, strategy=LendingStrategy(target_ltv=0.9, ltv_ceiling=0.95))


# Files of settings, and what a sweep will cost

TOML = """
[design]
kind = "sobol"
n = 4096
seed = 7
[design.ranges]
supply = { low = 100, high = 2000 }
borrow = { of = "supply", low = 0.4, high = 0.7 }
target = { of = "supply", factor = 1.2 }
wallet = 50.0
[strategy]
fee_rate = 0.003
[sweep]
outputs = ["profit", "net_equity_change"]
chunk = 4096
best = 3
"""


def test_a_sweep_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(TOML)
    settings = from_toml(path)
    summary = sweep(settings.design, **settings.options)
    assert summary.outputs == ("profit", "net_equity_change")
    assert summary.plan.strategy == LendingStrategy(fee_rate=0.003)
    assert len(summary.best("profit")["row"]) == 3
    for old, new, message in [
        ("fee_rate = 0.003", "fee_rat = 1", r"'fee_rat' is no key of \[strategy\]; did you mean 'fee_rate'\?"),
        ("fee_rate = 0.003", "fee_rate = 3", r"fee_rate must be in \[0, 1\], but fee_rate = 3\.0"),
        ("best = 3", "worst = 3", r"'worst' is no key of \[sweep\]"),
        ("[sweep]", "[sweeps]", r"'sweeps' is no table; did you mean 'sweep'\?"),
        ('["profit", "net_equity_change"]', "3", 'outputs must be "all" or a list of names, not 3'),
        ("chunk = 4096", 'chunk = "big"', "chunk must be an integer"),
    ]:
        path.write_text(TOML.replace(old, new))
        with pytest.raises(ScenarioError, match=f"sweep.toml: .*{message}"):
            from_toml(path)


def test_a_file_may_be_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(TOML)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(TOML,), daemon=True)
    writer.start()
    piped, read = from_toml(tmp_path / "pipe"), from_toml(tmp_path / "sweep.toml")
    writer.join()
    assert (piped.design, piped.options) == (read.design, read.options)


def test_an_estimate_of_time_and_disk(tmp_path: Path) -> None:
    design = small(200_000)
    told = estimate(design, chunk=32_768)
    assert (told.rows, told.chunks) == (200_000, 7)
    assert told.seconds > 0.0
    sweep(design, out=tmp_path, chunk=32_768)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert told.disk_bytes == pytest.approx(size, rel=0.1)
    assert estimate(design, files=False).disk_bytes == 0
    assert "200,000 rows in 7 chunks, about " in told.summary()


def test_a_summary_speaks_of_equity_beside_profit() -> None:
    summary = sweep(small(3000), outputs=["profit"])
    assert "warning: profit is cash drawn by new debt and owed back" in summary.summary()
    whole = sweep(small(3000))
    assert "warning" not in whole.summary()
    assert "3,000 scenarios" in whole.summary()
    assert repr(whole).startswith("<SweepSummary of 3,000 scenarios: target_reached ")
    frame = whole.to_dataframe()
    assert list(frame.index) == list(DEFAULT_OUTPUTS)
    assert frame.loc["profit", "mean"] == whole.statistics["profit"].mean
    assert escala.sweep(small(3000)).digest == whole.digest


# A cluster


def test_a_cluster_gives_the_same_bits(client: Any, tmp_path: Path) -> None:
    design = small(30_001)
    here = sweep(design, out=tmp_path / "here", chunk=2048)
    told: list[int] = []
    there = sweep(design, client=client, chunk=4096, progress=told.append)
    assert there.digest == here.digest
    assert told[-1] == 30_001
    assert sweep(design, client=client, out=tmp_path / "there", chunk=2048).digest == here.digest
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    (tmp_path / "there" / "chunk-000003.parquet").write_bytes(b"damaged")
    assert sweep(design, client=client, out=tmp_path / "there", chunk=2048).digest == here.digest
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    bad = Design.random({"supply": 1000.0, "borrow": 0.0, "target": (-900.0, 900.0), "wallet": 0.0}, 10_000, free=True)
    with pytest.raises(ScenarioError, match=r"target must be in .*, but row \d+: target = -"):
        sweep(bad, client=client)


def test_the_command_works_on_a_cluster(client: Any, tmp_path: Path) -> None:
    from tests.command_line import escala as command

    (tmp_path / "sweep.toml").write_text(TOML)
    settings = from_toml(tmp_path / "sweep.toml")
    scheduler = client.scheduler.address
    done = command("sweep", "sweep.toml", "--scheduler", scheduler, "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["digest"] == sweep(settings.design, **settings.options).digest
    with pytest.raises(SweepError, match="no scheduler answers at nowhere://x"), cluster.connected("nowhere://x"):
        pass


def test_a_mean_that_leaves_scenarios_out_says_so() -> None:
    ranges: Any = {"supply": (500.0, 2e3), "borrow": 300.0, "target": [400.0, 2500.0], "wallet": 100.0}
    summary = sweep(Design.random(ranges, 1000, seed=1), outputs=["final_supply", "lowest_health_factor"])
    found = summary.statistics["lowest_health_factor"]
    assert 0 < found.finite < 1000
    lines = summary.summary().splitlines()
    [row] = [line for line in lines if line.startswith("  lowest_health_factor") and "%" not in line]
    assert row.split()[1].endswith("*")
    left_out = 1000 - found.finite
    note = f"  * mean and sd of lowest_health_factor leave out {left_out} scenarios ({left_out / 1000:.2%}): not finite"
    assert note in lines
    assert not any("final_supply leave" in line for line in lines)
    never = sweep(Design.random({**ranges, "target": 400.0}, 10, seed=1), outputs=["lowest_health_factor"])
    [row] = [line for line in never.summary().splitlines() if line.startswith("  lowest_health_factor  ")][:1]
    assert row.split()[1:3] == ["–", "–"]
