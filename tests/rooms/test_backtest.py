"""validate: what allocations claim, what the records held out make of them, and what was possible."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from escala import AllocationError, InputError, RecordError, Validation, validate

Floats = npt.NDArray[np.float64]


def records(n: int = 4, m: int = 60, noise: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """Quotes of pools of different depths: η = 0.99/(1 + C/D)."""
    rng = np.random.default_rng(seed)
    depth = 10.0 ** rng.uniform(5.0, 7.0, n)
    capital = np.geomspace(1e3, 1e6, m) * np.ones((n, 1))
    efficiency = np.clip(0.99 / (1.0 + capital / depth[:, None]) + noise * rng.normal(size=(n, m)), 0.0, 1.0)
    return {
        "symbol": [f"P{i}" for i in range(n) for _ in range(m)],
        "capital": capital.reshape(-1),
        "efficiency": efficiency.reshape(-1),
        "time": np.tile(np.arange(m) // 10, n) * 3600.0,
    }


def columns(table: dict[str, Any]) -> tuple[Any, Any, Any]:
    return table["symbol"], table["capital"], table["efficiency"]


def test_claims_of_curves_that_are_right_are_realised() -> None:
    """But for what a straight line between the capitals held out lies below a bent utility: they lie close together."""
    found = validate(*columns(records(m=600)), total=[1e4, 1e5, 1e6], repeats=2)
    assert found.claimed.shape == found.realised.shape == found.best.shape == (4, 3)
    assert len(found) == 4
    assert np.all(np.abs(found.claimed - found.realised) <= 5e-3 * found.total)
    assert np.all(found.realised <= found.best * (1.0 + 1e-12))
    assert np.all(found.realised >= 0.99 * found.best)
    assert np.allclose(found.placed, found.total)
    assert found.contradicted.max() == 0.0


def test_a_curve_that_promises_too_much_is_found_out() -> None:
    """A line through a market that goes flat claims what nobody gets; the best in hindsight leaves it earlier."""
    table = records()
    flat = np.array(table["symbol"]) == "P0"
    table["efficiency"] = np.where(flat, np.minimum(0.99, 2e4 / table["capital"]), table["efficiency"])
    found = validate(*columns(table), total=2e6, family="linear", repeats=3)
    honest = validate(*columns(table), total=2e6, family="ladder", repeats=3)
    assert np.mean(found.claimed - found.realised) > 10.0 * abs(np.mean(honest.claimed - honest.realised))
    assert honest.realised.mean() > found.realised.mean()
    assert found.contradicted.mean() > 0.0


def test_what_is_held_out_is_not_fitted() -> None:
    """The later half says something else entirely: claims come from the first, what is realised from the second."""
    table = records(n=2)
    late = table["time"] >= 3 * 3600.0
    table["capital"] = np.tile(np.concatenate([np.geomspace(1e3, 1e6, 30)] * 2), 2)
    table["efficiency"] = np.where(late, 0.25, 0.75)
    found = validate(*columns(table), total=1e5, by="time", observed_at=table["time"])
    assert found.claimed.tolist() == [[pytest.approx(75_000.0)]]
    assert found.realised.tolist() == [[pytest.approx(25_000.0)]]
    assert found.best.tolist() == [[pytest.approx(25_000.0)]]
    dated = [datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=s) for s in table["time"]]
    again = validate(*columns(table), total=1e5, by="time", observed_at=dated)
    assert np.array_equal(again.claimed, found.claimed)
    assert validate(table, total=1e5, by="time", folds=3).claimed.shape == (2, 1)


def test_no_amount_exceeds_the_largest_capital_held_out() -> None:
    table = records(n=3)
    found = validate(*columns(table), total=1e9)
    assert found.placed.max() <= 3e6 * (1.0 + 1e-12)
    assert found.placed.min() >= 2e6
    capped = validate(*columns(table), total=1e9, upper=1e5)
    assert np.allclose(capped.placed, 3e5)
    shared = validate(*columns(table), total=1e6, max_share=0.4)
    assert np.all(shared.claimed < validate(*columns(table), total=1e6).claimed)


def test_records_of_a_group_stay_together() -> None:
    """Two groups that contradict each other: each is scored by a fit on the other alone."""
    capital = np.tile(np.geomspace(1e3, 1e6, 20), 2)
    efficiency = np.repeat([0.9, 0.5], 20)
    sweep = np.repeat(["first", "second"], 20)
    found = validate(["A"] * 40, capital, efficiency, total=1e5, group=sweep)
    assert sorted(np.round(found.claimed[:, 0]).tolist()) == [50_000.0, 90_000.0]
    assert np.allclose(found.claimed + found.realised, 140_000.0)


def test_deals_are_repeated_by_their_seed() -> None:
    table = records(noise=0.01)
    one, same, other = (validate(*columns(table), total=1e6, seed=seed, repeats=2) for seed in (1, 1, 2))
    assert np.array_equal(one.claimed, same.claimed)
    assert not np.array_equal(one.claimed, other.claimed)
    first = validate(*columns(table), total=1e6, seed=1)
    assert np.array_equal(first.claimed, one.claimed[:2])


def test_the_order_of_records_within_an_instrument_is_dealt_not_the_instruments() -> None:
    table = records(n=5, m=7)
    found = validate(*columns(table), total=1e5)
    assert found.symbols.tolist() == [f"P{i}" for i in range(5)]
    assert found.left_out == ()


def test_instruments_with_too_few_records_are_left_out_and_named() -> None:
    symbol, capital, efficiency = columns(records(n=2))
    found = validate([*symbol, "Q"], [*capital, 1e4], [*efficiency, 0.5], total=1e5)
    assert found.symbols.tolist() == ["P0", "P1"]
    assert found.left_out == ("Q",)
    assert "without 1 instrument that a split leaves no records of: Q" in found.summary()


def test_results_say_what_they_are() -> None:
    found = validate(*columns(records(noise=0.01)), total=[1e5, 1e6])
    assert isinstance(found, Validation)
    means = found.to_dict()
    assert means["total"] == [1e5, 1e6]
    assert means["realised"] == found.realised.mean(axis=0).tolist()
    frame = found.to_dataframe()
    assert len(frame) == 4
    assert list(frame) == ["split", "total", "placed", "claimed", "realised", "best", "contradicted"]
    lines = found.summary().splitlines()
    assert lines[0] == "4 instruments, scored on records held out (2 splits)"
    assert f"{found.realised[:, 1].mean() / 1e6:.3%}" in lines[-1]
    assert repr(found).startswith("<Validation of 2 totals, 2 splits by fold: claims are up to ")
    assert "<table" in found._repr_html_()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "year"}, "by must be 'fold' or 'time', not 'year'"),
        ({"folds": 1}, "folds must be an integer of at least 2, not 1"),
        ({"repeats": 0}, "repeats must be an integer of at least 1, not 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
        ({"total": 0.0}, r"total must be in \(0, inf\), but total\[0\] = 0.0"),
        ({"total": [[1.0]]}, r"total of shape \(1, 1\) must be a number or a row of them"),
        ({"by": "time"}, "by='time' needs observed_at"),
        ({"by": "time", "folds": 9, "observed_at": np.zeros(240)}, "1 distinct time cannot make 9 blocks"),
        ({"family": "cubic"}, "cubic"),
        ({"min_ticket": -1.0}, "min_ticket must be"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(*columns(records()), **{"total": 1e5, **options})


def test_records_that_cannot_be_scored_are_refused() -> None:
    with pytest.raises(RecordError, match="no instrument has records on both sides of every split"):
        validate(["A", "B"], [1.0, 1.0], [0.5, 0.5], total=1.0)
    with pytest.raises(RecordError, match="records need columns symbol, capital and efficiency: there is symbol"):
        validate({"symbol": ["A"]}, total=1.0)
    with pytest.raises(RecordError, match=r"capital of shape \(2, 2\) must be one column of records"):
        validate(["A", "B"], np.ones((2, 2)), np.ones((2, 2)), total=1.0)
    with pytest.raises(RecordError, match="efficiency"):
        validate(["A", "A"], [1.0, 2.0], [0.5, 1.5], total=1.0)
    with pytest.raises(AllocationError, match="total must be real numbers"):
        validate(*columns(records()), total="much")
