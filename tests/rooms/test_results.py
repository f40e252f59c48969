"""Results know their symbols: as columns, as a data frame, in a line, and as a table in a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escala import (
    CurveError,
    CurveSet,
    Design,
    EfficiencyRecords,
    Store,
    allocate,
    fit,
    open_engine,
    sweep,
)
from escala.text import html

CURVES = CurveSet.from_params(["A", "<B>"], "linear", [[-1e-6, 1.0], [-2e-6, 1.0]], trusted_to=1e6)
CAPITAL = [1e4, 2e4, 3e4, 4e4, 6e4]


def test_a_prediction_knows_symbols_and_capitals() -> None:
    found = CURVES.predict([[1e5, 2e5, 3e5]])
    assert repr(found) == "<Prediction of 6 points of 2 curves, 6 extrapolated>"
    columns = found.to_dict()
    assert columns["symbol"].tolist() == ["A"] * 3 + ["<B>"] * 3
    assert columns["capital"].tolist() == [1e5, 2e5, 3e5] * 2
    assert columns["efficiency"].tolist() == found.efficiency.reshape(-1).tolist()
    frame = found.to_dataframe()
    assert list(frame.columns) == [
        "symbol", "capital", "efficiency", "low", "high", "confidence", "marginal", "marginal_low", "marginal_high",
        "extrapolated",
    ]  # fmt: skip
    assert len(frame) == len(found) == 6
    one = CURVES["A"].predict(1e5)
    assert repr(one) == "<Prediction of A at 100,000: 0.9000, 0.0000 to 1.0000>"
    assert CURVES["A"].predict([1e5, 2e5]).to_dict()["symbol"].tolist() == ["A", "A"]
    assert CURVES[[]].predict(1e5).to_dict()["symbol"].size == 0


def test_what_was_asked_for_does_not_change_with_the_array_that_it_came_in() -> None:
    asked = np.array([[1e5, 2e5], [3e5, 4e5]])
    found = CURVES.predict(asked)
    asked[:] = 0.0
    assert found.capital.tolist() == [[1e5, 2e5], [3e5, 4e5]]


def test_saturation_knows_its_symbols() -> None:
    found = CURVES.saturation()
    assert repr(found) == "<Saturation of 2 curves: 2 saturate within their limit>"
    assert repr(CURVES["A"].saturation()) == "<Saturation of A: saturation 100,000, capacity 500,000>"
    frame = found.to_dataframe().set_index("symbol")
    assert frame.loc["A", "saturation"] == pytest.approx(1e5)
    assert frame.loc["<B>", "capacity"] == pytest.approx(2.5e5)
    assert list(found.to_dict())[-1] == "drop"


def test_an_allocation_is_a_table_by_instrument_and_problem() -> None:
    frame = allocate(CURVES, 1e5, upper={"A": 9e4, "<B>": 5e4}).to_dataframe()
    assert list(frame.columns) == [
        "symbol", "amount", "share", "efficiency", "marginal", "binding", "below_threshold"
    ]  # fmt: skip
    assert frame["symbol"].tolist() == ["A", "<B>"]
    assert frame["amount"].sum() == pytest.approx(1e5)
    path = allocate(CURVES, [1e5, 2e5])
    table = path.to_dataframe()
    assert table["total"].tolist() == [1e5, 1e5, 2e5, 2e5]
    assert table["amount"].tolist() == path.amounts.reshape(-1).tolist()
    drawn = allocate(CURVES, [1e5, 2e5], params=np.stack([CURVES.params, 2.0 * CURVES.params])).to_dataframe()
    assert drawn["draw"].tolist() == [0] * 4 + [1] * 4
    assert drawn["symbol"].tolist() == ["A", "<B>"] * 4


def test_curves_say_how_sure_their_coefficients_are() -> None:
    """Against ordinary least squares by hand: s²·(XᵀX)⁻¹."""
    efficiency = np.array([0.99, 0.98, 0.97, 0.94, 0.93])
    curves = fit(["A"], [CAPITAL], [efficiency], family="linear")
    design = np.stack([np.array(CAPITAL), np.ones(5)], axis=1)
    coefficients, (residual,), *_ = np.linalg.lstsq(design, efficiency, rcond=None)
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * residual / 3.0)
    assert curves.standard_errors[0, :2] == pytest.approx(errors)
    assert curves.standard_errors[0, 2:].tolist() == [0.0, 0.0]
    assert curves.to_dict()["a_se"].tolist() == [curves.standard_errors[0, 0]]
    shown = f"A       a = {coefficients[0]:.4g} ± {errors[0]:.2g}, b = {coefficients[1]:.4g} ± {errors[1]:.2g}"
    assert curves.summary().splitlines()[-2:] == ["symbol  coefficients and their standard errors", shown]
    assert CURVES.summary().splitlines()[-2] == "A       a = -1e-06, b = 1"
    assert np.isnan(CURVES.standard_errors).all()


def test_curves_without_a_curve_have_no_coefficients_to_show() -> None:
    assert "standard errors" not in fit(["A"], [[1.0]], [[0.5]]).summary()


def test_stored_records_are_a_table(tmp_path: Path) -> None:
    with open_engine(tmp_path / "escala.db") as engine:
        engine.add_efficiency_records({"symbol": ["A"] * 5, "capital": CAPITAL, "efficiency": [0.9] * 5})
        records = engine.run(engine.store.records())
        assert repr(records) == "<StoredRecords: 5 records of 1 symbol>"
        assert records.to_dataframe()["capital"].tolist() == CAPITAL
        assert len(fit(records.to_dict())) == 1


async def test_a_saturation_of_other_curves_is_not_kept(tmp_path: Path) -> None:
    async with await Store.open(tmp_path / "escala.db") as store:
        backwards = CURVES[["<B>", "A"]].saturation()
        with pytest.raises(CurveError, match=r"^saturation is not of these curves in this order$"):
            await store.save_models(CURVES, last_record_id=[1, 2], saturation=backwards)
        await store.save_models(CURVES, last_record_id={"<B>": 2, "A": 1}, saturation=CURVES.saturation())  # type: ignore[arg-type]
        assert (await store.models()).last_record_id.tolist() == [1, 2]


def swept() -> Any:
    return sweep(Design.grid({"supply": 1000.0, "borrow": 600.0, "target": [1200.0, 1500.0], "wallet": 200.0}))


@pytest.mark.parametrize(
    ("make", "cells"),
    [
        (lambda: CURVES, ["10 % lost at", "linear", "100,000"]),
        (lambda: CURVES.predict(1e5), ["capital", "0.9"]),
        (CURVES.saturation, ["capacity", "500,000"]),
        (lambda: allocate(CURVES, 1e5), ["amount", "binding"]),
        (lambda: EfficiencyRecords(np.array(["A"], dtype=object), np.array([1e4]), np.array([0.9])), ["10,000"]),
        (swept, ["output", "net_equity_change", "q0.5"]),
    ],
    ids=["curves", "prediction", "saturation", "allocation", "records", "sweep"],
)
def test_results_are_tables_in_a_notebook(make: Any, cells: list[str]) -> None:
    shown = make()._repr_html_()
    assert shown.startswith("<table><caption>")
    assert shown.count("<tr>") == shown.count("</tr>") > 1
    for cell in cells:
        assert f">{cell}</t" in shown
    assert "<B>" not in shown


def test_tables_are_short_and_symbols_are_no_markup() -> None:
    shown = html.table({"symbol": ["<script>"] * 25, "x": [float("nan")] * 25}, "<Many>")
    assert shown.count("&lt;script&gt;") == 20
    assert shown.endswith("<p>… and 5 more</p>")
    assert '<td style="text-align: right">–</td>' in shown
    assert "<caption>Many</caption>" in shown
    assert html.table({}, "nothing").count("<tr>") == 1
