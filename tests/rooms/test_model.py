"""A second model goes through everything that takes a model: designs, sweeps and their directories, tuning, pictures."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pickle
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import escala
from escala import Design, DesignError, InputError, LendingStrategy, ScenarioError, model, plots, sweep, tune
from escala.arrays import Floats
from escala.lending.model import MODEL as LENDING
from escala.lending.result import RESULT_NAMES, StopReason
from escala.lending.strategy import ALLOWED, ORDERED_FIELDS, STRATEGY_FIELDS
from escala.sweeps import cluster, plan
from escala.sweeps.estimate import estimate
from escala.sweeps.settings import from_toml
from tests.logistic import ENDLESS, MODEL, Growth, GrowthError, Logistic, grow

RANGES: dict[str, Any] = {"stock": (0.0, 1.5), "rate": (0.3, 1.5), "years": (1, 60)}


def stocks(n: int = 20_000, **changes: Any) -> Design:
    return Design.random({**RANGES, **changes}, n, 3, model=MODEL)


# Designs


def test_a_design_knows_the_columns_of_its_model() -> None:
    design = stocks()
    years = design.rows()["years"]
    assert set(np.unique(years)) == set(range(1, 61))
    assert design.bounds["rate"] == (0.3, 1.5)
    bad: list[tuple[dict[str, Any], str]] = [
        ({"stok": 1.0}, "stok is no argument of grow and no field of Growth; did you mean 'stock'?"),
        ({"supply": 1.0}, "supply is no argument of grow and no field of Growth, and the design is not free"),
        ({"stock": 3.0}, r"stock must be in \[0, 2\], but its values go from 3.0 to 3.0"),
        ({"rate": (0.0, 0.2)}, "harvest must not exceed rate in any row, but harvest goes up to 0.1 and rate down to"),
    ]
    for ranges, message in bad:
        with pytest.raises(DesignError, match=message.replace("?", r"\?")):
            Design.random(ranges, 10, model=MODEL)
    with pytest.raises(DesignError, match="model 'logistic' is not known; there are lending, market"):
        Design.random(RANGES, 10, model="logistic")
    with pytest.raises(DesignError, match="model must be a Model or the name of one, not 3"):
        Design.random(RANGES, 10, model=3)  # type: ignore[arg-type]


def test_a_design_as_plain_data_names_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("random", "latin_hypercube", "halton"):
        design = getattr(Design, kind)(RANGES, 64, 3, model=MODEL)
        data = json.loads(json.dumps(design.to_dict()))
        assert data["model"] == "logistic"
        assert Design.from_dict(data, model=MODEL) == design
        with pytest.raises(DesignError, match="model 'logistic' is not known; there are lending, market"):
            Design.from_dict(data)
        with pytest.raises(DesignError, match="model is 'logistic', not 'lending'"):
            Design.from_dict(data, model=LENDING)
        assert pickle.loads(pickle.dumps(design)) == design
    monkeypatch.setitem(model._MODULES, "logistic", "tests.logistic")
    assert Design.from_dict(data).model is MODEL
    assert pickle.loads(pickle.dumps(design)).model is MODEL


def test_where_no_model_is_named_it_is_the_lending_loop() -> None:
    design = Design.random({"supply": (1e3, 2e3)}, 10)
    assert design.model is LENDING is model.default()
    assert "model" not in design.to_dict()
    assert Design.from_dict({**design.to_dict(), "model": "lending"}) == design
    assert pickle.loads(pickle.dumps(design)).model is LENDING
    free = {"x": (0.0, 1.0)}
    assert Design.random(free, 10, free=True) != Design.random(free, 10, free=True, model=MODEL)


# Sweeps


def test_a_sweep_gives_the_same_bits_for_any_threads_and_chunks() -> None:
    first = sweep(stocks(30_001), threads=1)
    assert first.outputs == ("final", "harvested")
    assert list(first.stops) == ["survived", "extinct"]
    assert sum(first.stops.values()) == 30_001
    assert min(first.stops.values()) > 0
    for threads, chunk in [(2, 65_536), (3, 2048), (1, 10_000)]:
        other = sweep(stocks(30_001), threads=threads, chunk=chunk)
        assert other.digest == first.digest
        assert other.summary() == first.summary()
    assert sweep(stocks(30_001), strategy=Growth(harvest=0.2)).digest != first.digest


def test_a_sweep_agrees_with_the_model_itself() -> None:
    summary = sweep(stocks(), outputs="all", best=3, strategy=Growth(harvest=0.25))
    rows = summary.plan.design.rows()
    result = grow(rows["stock"], rows["rate"], np.array(0.25), rows["years"])
    assert summary.stops == {"survived": int((result.stop == 0).sum()), "extinct": int((result.stop == 1).sum())}
    for name in ("final", "harvested", "lived"):
        values = np.asarray(getattr(result, name), dtype=float)
        assert summary.statistics[name].mean == pytest.approx(values.mean(), rel=1e-12)
        assert summary.statistics[name].highest == values.max()
        best = summary.best(name)
        np.testing.assert_array_equal(best[name], values[best["row"]])
        np.testing.assert_array_equal(best["stop"], result.stop[best["row"]])
    assert summary.quantiles(0.5)["lived"] == np.floor(summary.quantiles(0.5)["lived"])
    assert summary.sensitivities["lived"]["years"] > summary.sensitivities["lived"]["rate"]


def test_rows_on_disk_and_what_was_finished_are_kept(tmp_path: Path) -> None:
    import pyarrow.parquet

    design = stocks(10_000)
    first = sweep(design, outputs="all", out=tmp_path, chunk=2048)
    assert first.digest == sweep(design, outputs="all").digest
    kept = tmp_path / "chunk-000000.parquet"
    before = kept.stat().st_mtime_ns
    (tmp_path / "_chunk-000001.state").write_bytes(b"")
    (tmp_path / "chunk-000003.parquet").unlink()
    again = sweep(design, outputs="all", out=tmp_path, chunk=2048, threads=2)
    assert again.digest == first.digest
    assert kept.stat().st_mtime_ns == before
    tables = [pyarrow.parquet.read_table(path) for path in sorted(tmp_path.glob("*.parquet"))]
    assert tables[0].column_names == [*design.names, "stop", "final", "harvested", "lived"]
    rows = {name: np.concatenate([table[name].to_numpy() for table in tables]) for name in tables[0].column_names}
    result = grow(rows["stock"], rows["rate"], np.array(0.1), rows["years"])
    for name in ("stop", "final", "harvested", "lived"):
        np.testing.assert_array_equal(rows[name], getattr(result, name))
    manifest = json.loads((tmp_path / "_sweep.json").read_text())
    assert manifest["model"] == "logistic"
    assert manifest["strategy"] == {"harvest": 0.1}
    assert estimate(design, outputs="all").rows == 10_000


def test_a_plan_goes_to_other_machines() -> None:
    planned = plan.make(stocks(5000), chunk=2048)
    copy = pickle.loads(pickle.dumps(planned))
    assert copy.digest == planned.digest
    assert cluster.work(copy, None, 0, planned.chunks).to_bytes() == cluster.work(planned, None, 0, 3).to_bytes()


def test_bad_rows_are_named_in_the_error_of_the_model() -> None:
    free = Design.random({"stock": (-0.1, 1.0)}, 5000, free=True)
    with pytest.raises(GrowthError, match=r"stock must be in \[0, 2\], but row [\d,]+: stock = -0\.0"):
        sweep(free, model=MODEL)
    with pytest.raises(GrowthError, match=r"harvest must not exceed rate, but row [\d,]+: rate = 0\.[34]"):
        sweep(stocks(5000), strategy=Growth(rate=0.6, harvest=0.5))


class Careful(Logistic):
    """With a rule that no design knows of."""

    def check(self, columns: Mapping[str, Floats], settings: Any) -> None:
        super().check(columns, settings)
        if "years" in columns and (columns["years"] * columns["rate"] > 60.0).any():
            raise GrowthError("years times rate must not exceed 60", arguments=("years", "rate"))


def test_a_model_may_have_rules_that_no_design_knows_of() -> None:
    fields = {field.name: getattr(MODEL, field.name) for field in dataclasses.fields(MODEL)}
    careful = Careful(**{**fields, "name": "careful"})
    with pytest.raises(GrowthError, match=r"the design breaks a rule at row [\d,]+ or soon after: years times rate"):
        sweep(Design.random(RANGES, 5000, 3, model=careful))


def test_only_a_free_design_leaves_the_choice_of_the_model() -> None:
    with pytest.raises(ScenarioError, match="the design is one of the model logistic: make it with that of lending"):
        sweep(stocks(10), model=LENDING)
    with pytest.raises(ScenarioError, match="model 'logistic' is not known; there are lending, market"):
        sweep(stocks(10), model="logistic")
    with pytest.raises(GrowthError, match="strategy must be a Growth, not Lending"):
        sweep(stocks(10), strategy=LendingStrategy())
    with pytest.raises(ScenarioError, match=r"'profit' is no output: there are final, harvested, lived"):
        sweep(stocks(10), outputs="profit")
    with pytest.raises(ScenarioError, match="unknown column 'size': columns are arguments of grow or strategy fields"):
        sweep(Design.random({"stock": 1.0, "size": 1.0}, 9, free=True), model=MODEL)
    free = Design.random({**RANGES, "years": [1.0, 30.0]}, 3000, 3, free=True)
    assert sweep(free, model=MODEL).stops.keys() == {"survived", "extinct"}


def test_a_summary_speaks_in_the_words_of_the_model() -> None:
    summary = sweep(stocks(3000), outputs=["harvested"])
    text = summary.summary()
    assert "still there" in text
    assert "died out" in text
    assert text.endswith("warning: a harvest may eat the stock: final says what is left")
    assert repr(summary).startswith("<SweepSummary of 3,000 scenarios: survived ")
    assert list(summary.to_dict()["stops"]) == ["survived", "extinct"]
    assert list(summary.to_dataframe().index) == ["harvested"]


def test_scenarios_need_no_end(tmp_path: Path) -> None:
    import pyarrow.parquet

    design = Design.random(RANGES, 5000, 3, model=ENDLESS)
    whole = sweep(design)
    assert whole.stops == {}
    assert repr(whole) == "<SweepSummary of 5,000 scenarios>"
    assert "still there" not in whole.summary()
    assert "stop" not in whole.best("final")
    assert sweep(design, out=tmp_path, chunk=2048).digest == whole.digest
    assert sweep(design, out=tmp_path, chunk=2048).digest == whole.digest
    assert "stop" not in pyarrow.parquet.read_table(tmp_path / "chunk-000000.parquet").column_names
    found = tune("harvested", design, {"harvest": (0.0, 0.3)}, scenarios=100, evaluations=100)
    assert np.isnan([found.reached, found.start_reached]).all()
    assert found.value > found.start_value
    assert "of which" not in found.summary()


def test_a_file_may_describe_a_sweep_of_any_model_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text("""
[design]
model = "logistic"
kind = "random"
n = 3000
[design.ranges]
stock = { low = 0.0, high = 1.5 }
[strategy]
harvest = 0.3
[sweep]
outputs = ["lived"]
""")
    with pytest.raises(DesignError, match=r"sweep\.toml: design: model 'logistic' is not known"):
        from_toml(path)
    monkeypatch.setitem(model._MODULES, "logistic", "tests.logistic")
    settings = from_toml(path)
    summary = sweep(settings.design, **settings.options)
    assert summary.plan.strategy == Growth(harvest=0.3)
    assert summary.outputs == ("lived",)
    path.write_text(path.read_text().replace("harvest", "repay"))
    with pytest.raises(GrowthError, match=r"'repay' is no key of \[strategy\]; there are rate, harvest, years"):
        from_toml(path)


# Tuning and pictures


def test_tuning_finds_the_harvest_that_pays_most() -> None:
    design = Design.sobol({"stock": (0.5, 1.0)}, 512, model=MODEL)
    found = tune("harvested", design, scenarios=128, evaluations=200)
    assert found.fields.keys() == {"harvest"}
    grid = np.linspace(0.0, 0.5, 501)[:, None]
    rows = design.rows()["stock"]
    means = grow(rows, np.array(0.5), grid, np.array(40.0)).harvested.mean(axis=1)
    assert found.value == pytest.approx(means.max(), rel=0.02)
    assert found.strategy == Growth(harvest=found.fields["harvest"])
    assert "  of which survive" in found.summary()
    again = tune("harvested", design, scenarios=128, evaluations=200, threads=1)
    assert again.fields == found.fields


def test_tuning_keeps_fields_in_order_and_stocks_alive() -> None:
    design = Design.random({"stock": (0.1, 1.0), "rate": (0.2, 0.9)}, 400, model=MODEL)
    bounds: dict[str, tuple[float, float]] = {"harvest": (0.0, 1.0), "years": (1, 50)}
    found = tune(lambda stocks: stocks.harvested, design, bounds, scenarios=100, evaluations=200)
    assert found.fields["harvest"] <= 0.2
    assert found.fields["years"] == round(found.fields["years"])
    assert found.reached >= found.start_reached - 0.02
    with pytest.raises(ScenarioError, match="objective 'profit' is no output"):
        tune("profit", design)
    with pytest.raises(ScenarioError, match=r"rate is a column of the design already"):
        tune("final", design, {"rate": (0.0, 1.0)})


def test_a_picture_of_a_sweep() -> None:
    figure = plots.sweep_figure(sweep(stocks(3000)), "harvested")
    labels = {axes.get_xlabel() for axes in figure.axes} | {axes.get_ylabel() for axes in figure.axes}
    assert "harvested" in labels
    assert labels & {"rate", "years", "stock"}


# The house


def test_the_lending_loop_says_of_itself_what_its_parts_say() -> None:
    assert LENDING.allowed == ALLOWED
    assert LENDING.field_names == STRATEGY_FIELDS
    assert LENDING.ordered == ORDERED_FIELDS
    assert LENDING.defaults == LENDING.described(LendingStrategy())
    assert (*LENDING.argument_names, "stop", *LENDING.output_names) == RESULT_NAMES
    assert [code.name.upper() for code in LENDING.stops] == [reason.name for reason in StopReason]
    assert [code.value for code in LENDING.stops] == list(StopReason) == list(range(len(StopReason)))
    assert set(LENDING.kept) <= set(LENDING.output_names)
    rows = Design.random({"supply": 1e3, "borrow": 5e2, "target": 1.2e3, "wallet": 1e2}, 1).rows()
    result = LENDING.evaluate(rows, LendingStrategy(), 1)
    whole = {name for name in LENDING.output_names if np.asarray(getattr(result, name)).dtype.kind in "ib"}
    assert LENDING.whole == whole


def test_functions_stay_functions_whatever_is_imported() -> None:
    for found in pkgutil.walk_packages(escala.__path__, "escala."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    for name in ("sweep", "tune", "simulate", "fit", "allocate"):
        assert type(getattr(escala, name)).__name__ == "function", name
    with pytest.raises(InputError, match="model 'lendin' is not known; did you mean 'lending'"):
        model.named("lendin")
