"""Symbols are keys: what comes with them is matched by them, wherever one value an instrument is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from escala import (
    AllocationError,
    CurveError,
    CurveSet,
    InputError,
    LendingStrategy,
    RecordError,
    ScenarioError,
    allocate,
    fit,
    keyed,
    simulate,
    sources,
)

CURVES = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-2e-6, 1.0]], trusted_to=1e6)


def of_mapping(b: float, a: float) -> Any:
    return {"B": b, "A": a}


def of_series(b: float, a: float) -> Any:
    return pd.Series({"B": b, "A": a})


def _with(name: str, value: Any) -> dict[str, Any]:
    return {name: value}


KEYED = pytest.mark.parametrize("given", [of_mapping, of_series])
KEYED_SOME = pytest.mark.parametrize(
    ("given", "placed"),
    [
        ({"B": 3e4}, [0.0, 3e4]),
        ({}, [0.0, 0.0]),
        (pd.Series({"A": 2e4}), [2e4, 0.0]),
        ({"B": 3e4, "A": 2e4}, [2e4, 3e4]),
    ],
)


@KEYED
def test_every_limit_of_an_allocation_is_matched_by_symbol(given: Callable[[float, float], Any]) -> None:
    assert allocate(CURVES, 1e5, upper=given(1e4, 9e4)).to_dict() == {"A": 9e4, "B": 1e4}
    for name, b, a in (
        ("lower", 3e4, 4e4), ("upper", 2e4, 3e4), ("min_ticket", 1e4, 2e4), ("max_share", 0.2, 0.6),
        ("priority", 1.5, 1.0), ("min_efficiency", 0.9, 0.95),
    ):  # fmt: skip
        keyed_answer = allocate(CURVES, 1e5, **_with(name, given(b, a)))
        assert keyed_answer.amounts.tolist() == allocate(CURVES, 1e5, **_with(name, [a, b])).amounts.tolist(), name


@KEYED
def test_every_question_to_curves_is_matched_by_symbol(given: Callable[[float, float], Any]) -> None:
    at, placed = given(1e5, 2e5), [2e5, 1e5]
    for name in ("efficiency", "utility", "marginal"):
        assert getattr(CURVES, name)(at).tolist() == getattr(CURVES, name)(placed).tolist()
    assert CURVES.predict(at).efficiency.tolist() == [0.8, 0.8]
    assert CURVES.predict(1e5, tolerance=given(0.2, 0.1)).tolerance.tolist() == [0.1, 0.2]
    assert CURVES.saturation(given(0.2, 0.1)).saturation.tolist() == pytest.approx([1e5, 1e5])
    assert CURVES.threshold(given(0.8, 0.9)).tolist() == pytest.approx([1e5, 1e5])


def test_frames_have_symbols_as_columns_or_as_index() -> None:
    expected = CURVES.efficiency([[1e5, 2e5], [3e5, 4e5]]).tolist()
    columns = {"B": [3e5, 4e5], "A": [1e5, 2e5]}
    for frame in (pd.DataFrame(columns), pd.DataFrame(columns).T, pl.DataFrame(columns), pa.table(columns), columns):
        assert CURVES.efficiency(frame).tolist() == expected
    bare = pd.DataFrame([[1e5, 2e5], [3e5, 4e5]])
    assert CURVES.efficiency(bare).tolist() == expected
    with pytest.raises(CurveError, match=r"capital \(a data frame\) must have one value for each symbol"):
        CURVES.efficiency(pd.DataFrame({"low": [1e5, 2e5], "high": [3e5, 4e5]}))
    with pytest.raises(CurveError, match=r"^capital has symbols both as columns and as its index"):
        CURVES.efficiency(pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], index=["A", "B"], columns=["B", "A"]))


def test_coefficients_families_and_limits_of_curves_are_matched_by_symbol() -> None:
    made = CurveSet.from_params(
        ["A", "B"],
        {"B": "sqrt", "A": "linear"},
        {"B": [-1e-3, 0.9], "A": [-1e-6, 1.0]},
        trusted_to=pd.Series({"B": 2e6, "A": 1e6}),
    )
    assert made.family_names == ["linear", "sqrt"]
    assert made.params[:, 1].tolist() == [1.0, 0.9]
    assert made.trusted_to.tolist() == [1e6, 2e6]


def test_drawn_coefficients_are_matched_by_symbol() -> None:
    drawn = np.array([[[-1e-6, 1.0], [-2e-6, 1.0]], [[-2e-6, 1.0], [-3e-6, 1.0]]])
    by_symbol = {"B": drawn[:, 1], "A": drawn[:, 0]}
    found = allocate(CURVES, 1e5, params=by_symbol)
    assert found.amounts.tolist() == allocate(CURVES, 1e5, params=drawn).amounts.tolist()
    with pytest.raises(AllocationError, match=r"^params\['B'\] of shape \(1, 2\) does not go with params\['A'\]"):
        allocate(CURVES, 1e5, params={"B": drawn[:1, 1], "A": drawn[:, 0]})
    with pytest.raises(AllocationError, match=r"^params\['A'\] must be an array, not 1$"):
        allocate(CURVES, 1e5, params={"A": 1, "B": 2})


def test_masks_are_matched_by_symbol() -> None:
    assert CURVES[pd.Series({"B": True, "A": False})].symbols.tolist() == ["B"]
    assert CURVES[{"B": True, "A": False}].symbols.tolist() == ["B"]
    assert CURVES[pd.Series(["B", "A"])].symbols.tolist() == ["B", "A"]
    assert CURVES[np.array([False, True])].symbols.tolist() == ["B"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"B": 1.0}, "upper must have one value for each symbol, but has none of 'A'$"),
        (
            {"B": 1.0, "A": 2.0, "AA": 3.0},
            "upper must have one value for each symbol, but has 'AA', which is not among them",
        ),
        (
            pd.Series({"C": 1.0, "D": 1.0}),
            "upper must have one value for each symbol, but has none of 'A', 'B' and has 'C', 'D', which are not",
        ),
        (pd.Series([1.0, 2.0], index=["A", "A"]), "upper has 'A' twice, at 0 and 1"),
        (pd.Series([1.0, 2.0], index=[1, 0]), r"upper is indexed by 1, 0, which are no symbols: .* upper.to_numpy\(\)"),
        ({}, "upper must have one value for each symbol, but has none of 'A', 'B'$"),
        ({1: 1.0, "A": 1.0}, "upper must have one value for each symbol, but has none of 'B' and has 1, which is"),
    ],
)
def test_what_does_not_match_is_refused_by_name(given: Any, message: str) -> None:
    with pytest.raises(AllocationError, match=f"^{message}") as caught:
        allocate(CURVES, 1e5, upper=given)
    assert caught.value.arguments == ("upper",)


@KEYED_SOME
def test_what_is_held_may_name_some_of_the_symbols(given: Any, placed: list[float]) -> None:
    found = allocate(CURVES, 1e5, current=given, trade_cost=0.01)
    assert found.current.tolist() == placed
    assert found.amounts.tolist() == allocate(CURVES, 1e5, current=placed, trade_cost=0.01).amounts.tolist()


def test_what_is_held_of_an_unknown_symbol_is_refused() -> None:
    for given in ({"B": 1.0, "AA": 2.0}, pd.Series({"AA": 2.0})):
        with pytest.raises(AllocationError, match=r"^current names 'AA', which is not among the symbols; did you mean"):
            allocate(CURVES, 1e5, current=given)
    with pytest.raises(AllocationError, match=r"current must be in \[0, inf\), but current\['B'\] = -1"):
        allocate(CURVES, 1e5, current={"B": -1.0})


def test_a_value_that_is_not_allowed_is_named_by_its_symbol() -> None:
    given: dict[str, Any]
    for given, said in (
        ({"upper": {"B": -1.0, "A": 1.0}}, r"upper\['B'\] = -1.0"),
        ({"max_share": pd.Series({"B": 2.0, "A": 1.0})}, r"max_share\['B'\] = 2.0"),
        ({"trade_cost": {"A": 0.0, "B": 2.0}}, r"trade_cost\['B'\] = 2.0"),
        ({"groups": ["x", "y"], "group_upper": {"y": -1.0}}, r"group_upper\['y'\] = -1.0"),
        ({"upper": [1.0, -1.0]}, r"upper\[1\] = -1.0"),
    ):
        with pytest.raises(AllocationError, match=said) as caught:
            allocate(CURVES, 1e5, **given)
        assert caught.value.indexes == ((1,),)


def test_a_misspelt_symbol_is_suggested() -> None:
    curves = CurveSet.from_params(["BTC/USDT", "ETH/USDT"], "linear", [[-1e-6, 1.0]] * 2)
    with pytest.raises(CurveError, match=r"has none of 'ETH/USDT' and has 'ETH/USD', .*did you mean"):
        curves.efficiency({"BTC/USDT": 1.0, "ETH/USD": 2.0})


def test_what_has_no_index_of_its_own_is_taken_by_position() -> None:
    for given in ([1e5, 2e5], (1e5, 2e5), np.array([1e5, 2e5]), pd.Series([1e5, 2e5]), pl.Series([1e5, 2e5])):
        assert CURVES.efficiency(given).tolist() == pytest.approx([0.9, 0.6])


def test_all_capitals_of_one_curve_belong_to_it_whatever_rows_they_come_from() -> None:
    frame = pd.DataFrame({"symbol": ["A", "B", "A"], "capital": [1e5, 5.0, 2e5]})
    own = frame[frame["symbol"] == "A"]["capital"]
    assert CURVES["A"].efficiency(own).tolist() == pytest.approx([0.9, 0.8])


@pytest.mark.parametrize("given", [{"A": 1e5}, {1e5}])
def test_a_total_has_no_symbols(given: Any) -> None:
    with pytest.raises(AllocationError, match=r"^total must be real numbers, not .*: its values have no order"):
        allocate(CURVES, given)


# --- indexes that contradict each other --------------------------------------------------------------------------------


def test_records_whose_indexes_contradict_each_other_are_refused() -> None:
    frame = pd.DataFrame({"symbol": ["A"] * 4, "capital": [1e4, 2e4, 3e4, 4e4], "efficiency": [0.9, 0.8, 0.7, 0.6]})
    shuffled = frame["efficiency"].sort_values()
    message = (
        "^the indexes of symbols and efficiency contradict each other: at place 0 symbols has 0, efficiency 3; bring"
    )
    with pytest.raises(RecordError, match=message) as caught:
        fit(frame["symbol"], frame["capital"], shuffled)
    assert caught.value.arguments == ("symbols", "efficiency")
    with pytest.raises(RecordError, match=r"^the indexes of symbol and efficiency contradict"):
        sources.read({"symbol": frame["symbol"], "capital": frame["capital"], "efficiency": shuffled})
    with pytest.raises(RecordError, match=r"^the indexes of symbols and weights contradict"):
        fit(frame["symbol"], frame["capital"], frame["efficiency"], weights=pd.Series(1.0, index=[3, 2, 1, 0]))
    kept = frame[frame["capital"] > 1e4]
    assert len(fit(kept["symbol"], kept["capital"], kept["efficiency"])) == 1
    assert len(fit(frame["symbol"], frame["capital"], shuffled.to_numpy())) == 1


def test_series_of_single_instruments_are_compared_too() -> None:
    capital, efficiency = pd.Series([1e4, 2e4, 3e4]), pd.Series([0.9, 0.8, 0.7])
    with pytest.raises(RecordError, match=r"^the indexes of capital\[0\] and efficiency\[0\] contradict"):
        fit(["A"], [capital], [efficiency.sort_values()])
    assert len(fit(["A"], [capital], [efficiency])) == 1


def test_scenarios_whose_indexes_contradict_each_other_are_refused() -> None:
    supply = pd.Series([1000.0, 2000.0], index=["x", "y"])
    target = pd.Series([3000.0, 1500.0], index=["y", "x"])
    with pytest.raises(ScenarioError, match=r"^the indexes of supply and target contradict each other: at place 0"):
        simulate(supply, 600, target, 200)
    assert simulate(supply, 600, target.reindex(supply.index), 200).size == 2
    with pytest.raises(ScenarioError, match=r"^the indexes of repay and fee_rate contradict"):
        LendingStrategy(repay=supply * 1e-4, fee_rate=target * 1e-7)


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        ([0, 1, 2], [2, 1, 0], True),
        (None, [2, 1, 0], True),
        (None, [0, 1, 2], False),
        (None, ["a", "b", "c"], False),
        (None, pd.date_range("2024-01-01", periods=3), False),
        (["a", "b", "c"], ["a", "c", "b"], True),
        (["a", "b", "c"], ["a", "b"], False),
        (None, None, False),
    ],
)
def test_an_index_that_only_counts_contradicts_numbers_alone(one: Any, other: Any, contradict: bool) -> None:
    size = 3 if other is None else len(other)
    given = {"x": pd.Series([1.0] * 3, index=one), "y": pd.Series([1.0] * size, index=other), "z": 1.0}
    if not contradict:
        keyed.check_aligned(given, InputError)
        return
    with pytest.raises(InputError, match=r"^the indexes of x and y contradict each other"):
        keyed.check_aligned(given, InputError)


# --- records by symbol, and frames of any library ------------------------------------------------------------------------

FRAME = pd.DataFrame(
    {"symbol": ["A"] * 3 + ["B"] * 3, "capital": [1e3, 2e3, 3e3] * 2, "efficiency": [0.9, 0.8, 0.7, 0.8, 0.6, 0.5]}
)


def test_records_by_symbol_are_brought_together() -> None:
    capital = {"B": [1e3, 2e3, 3e3, 4e3], "A": [1e3, 2e3, 3e3]}
    efficiency = {"A": [0.9, 0.8, 0.7], "B": [0.8, 0.7, 0.6, 0.5]}
    found = fit(["A", "B"], capital, efficiency, family={"B": "linear", "A": "sqrt"})
    assert found.family_names == ["sqrt", "linear"]
    assert found.n_points.tolist() == [3, 4]
    wide = fit(["A", "B"], [1e3, 2e3, 3e3], pd.DataFrame({"B": [0.8, 0.7, 0.6], "A": [0.9, 0.8, 0.7]}))
    assert wide.efficiency(1e3).tolist() == pytest.approx([0.9, 0.8])
    with pytest.raises(RecordError, match=r"^efficiency must have one value for each symbol, but has none of 'B'"):
        fit(["A", "B"], capital, {"A": [0.9, 0.8, 0.7]})
    with pytest.raises(CurveError, match=r"^family must have one value for each symbol, but has none of 'B'"):
        fit(FRAME, family={"A": "linear"})


@pytest.mark.parametrize(
    "make",
    [
        pl.DataFrame,
        lambda columns: pl.DataFrame(columns).lazy(),
        lambda columns: pl.LazyFrame({**columns, "other": [1] * 6}).filter(pl.col("other") > 0),
        pa.table,
        pa.RecordBatch.from_pydict,
    ],
    ids=["polars", "lazy", "filtered", "arrow", "batch"],
)
def test_frames_of_any_library_are_fitted(make: Callable[[Any], Any]) -> None:
    frame = make(FRAME.to_dict("list"))
    assert fit(frame).params.tobytes() == fit(FRAME).params.tobytes()
    assert len(sources.read(frame)) == 6


def test_frames_whose_rows_are_elsewhere_say_what_to_do() -> None:
    class Far:
        columns = ("symbol", "capital", "efficiency")

        def compute(self) -> None: ...

    with pytest.raises(RecordError, match=r"^the rows of a .*Far are not here: pass its compute\(\)"):
        fit(Far())
    missing = "^records need columns symbol, capital and efficiency: it has symbol, capital$"
    with pytest.raises(RecordError, match=missing):
        fit(pl.LazyFrame({"symbol": ["A"], "capital": [1.0]}))
