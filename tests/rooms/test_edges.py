"""What is passed by mistake: every error names the argument, and nothing that looks right is nonsense."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escala import (
    AllocationError,
    AllocationStatus,
    CurveError,
    CurveSet,
    Design,
    DesignError,
    InputError,
    RecordError,
    ScenarioError,
    Store,
    allocate,
    fit,
    sources,
    sweep,
    what_liquidation_takes,
)

pytestmark = pytest.mark.nojit

CAPITAL = [1e4, 5e4, 1e5, 2e5, 5e5]
EFFICIENCY = [0.95, 0.93, 0.905, 0.855, 0.705]
CURVES = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 0.9], [-2e-6, 0.8]])


def fitted(**more: Any) -> CurveSet:
    return fit(["A"], [CAPITAL], [EFFICIENCY], **more)


NO_FLAGS: list[Any] = ["abc", 1, None, [True], np.array([True, False])]
NO_WORDS: list[Any] = ["abc", 5, ["auto"], {}, np.array(["auto", "auto"])]


@pytest.mark.parametrize(
    ("symbols", "said"),
    [({"A": 1}, "dict"), ({"A"}, "set"), ({"A": 1}.keys(), "dict_keys"), (5, r"of shape \(\)")],
)
def test_symbols_are_in_an_order(symbols: Any, said: str) -> None:
    with pytest.raises(RecordError, match=f"^symbols must be a sequence, not {said}$"):
        fit(symbols, [CAPITAL], [EFFICIENCY])


SPAN: Any = np.timedelta64(4, "s")
DESIGN = Design.random({"supply": 1.0, "borrow": 0.0, "target": (1.0, 2.0), "wallet": 1.0}, 4)
NONE: Any = None
FIVE: Any = 5
BY_NAME: Any = {"A": 1}


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: CurveSet.from_params(NONE, "linear", [[1.0, 1.0]]), CurveError, "symbols must be a sequence, not NoneType"),
        (lambda: CurveSet.from_params(BY_NAME, "linear", [[1.0, 1.0]]), CurveError, "symbols must be a sequence, not dict"),
        (lambda: CurveSet.from_params(["A"], FIVE, [[1.0, 1.0]]), CurveError, "families must be a name or one for each symbol, not 5"),
        (lambda: CurveSet.concatenate(FIVE), CurveError, "sets must be several CurveSet, not int"),
        (lambda: CurveSet.concatenate([CURVES, NONE]), CurveError, "sets must be several CurveSet, not NoneType"),
        (lambda: sources.read({"symbol": ["A"]}, columns=FIVE), RecordError, "columns must say which column has what, {'capital': 'size'}, not 5"),
        (lambda: sweep(DESIGN, out=FIVE), ScenarioError, "out must be a path, not 5"),
        (lambda: Design.random({"x": (0.0, 1.0)}, SPAN, free=True), DesignError, f"n must be an integer in [1, 4294967296] for random, not {SPAN!r}"),
        (lambda: Design.random({"x": (0.0, 1.0)}, 4, SPAN, free=True), DesignError, f"seed must be an integer in [0, 2^64), not {SPAN!r}"),
        (lambda: DESIGN.rows(SPAN), DesignError, f"start must be an integer in [0, 4], not {SPAN!r}"),
    ],
)  # fmt: skip
def test_what_is_of_another_kind_is_refused_by_name(call: Callable[[], Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(said)}$"):
        call()


@pytest.mark.parametrize("value", NO_FLAGS, ids=repr)
@pytest.mark.parametrize("name", ["clip", "normalise"])
def test_a_flag_of_a_fit_is_yes_or_no(name: str, value: Any) -> None:
    with pytest.raises(RecordError, match=f"{name} must be True or False, not "):
        fitted(**{name: value})


@pytest.mark.parametrize("value", NO_WORDS, ids=repr)
@pytest.mark.parametrize("name", ["noise", "loss", "on_error"])
def test_a_word_of_a_fit_is_a_word(name: str, value: Any) -> None:
    with pytest.raises(RecordError, match=f"{name} must be '"):
        fitted(**{name: value})


@pytest.mark.parametrize("value", NO_WORDS, ids=repr)
@pytest.mark.parametrize("name", ["method", "spend", "remainder"])
def test_a_word_of_an_allocation_is_a_word(name: str, value: Any) -> None:
    with pytest.raises(AllocationError, match=f"{name} must be '"):
        allocate(CURVES, 1e5, **{name: value})


@pytest.mark.parametrize("value", [*NO_WORDS, None], ids=repr)
def test_words_of_other_calls(value: Any) -> None:
    with pytest.raises(CurveError, match="interval must be 'auto' or 'forward', not "):
        CURVES.predict(1e4, interval=value)
    with pytest.raises(CurveError, match="side must be 'buy' or 'sell', not "):
        CurveSet.from_order_books({"A": {"asks": [[1.0, 2.0]]}}, side=value)
    with pytest.raises(ScenarioError, match="protocol: no rule "):
        what_liquidation_takes(1000.0, 900.0, price=1.0, liquidation_threshold=0.8, protocol=value)


@pytest.mark.parametrize("rows", [-1, 2.5, "x", True, None, np.timedelta64(3, "s")])
def test_rows_of_a_summary_are_counted(rows: Any) -> None:
    with pytest.raises(CurveError, match="rows must be an integer of at least 0, not "):
        CURVES.summary(rows=rows)


def test_a_summary_may_have_no_rows() -> None:
    assert "… and 2 more" in CURVES.summary(rows=0)


@pytest.mark.parametrize("name", ["symbol", "capital", "efficiency"])
def test_a_column_that_is_none_is_named(name: str) -> None:
    columns: dict[str, Any] = {"symbol": ["A"] * 5, "capital": CAPITAL, "efficiency": EFFICIENCY, name: None}
    with pytest.raises(RecordError, match=f"column '{name}' must hold values, not None"):
        fit(columns)


def test_times_that_are_ragged_are_named() -> None:
    times: list[Any] = [1.0, 2.0, 3.0, [4.0, 5.0], 6.0]
    message = "observed_at must be one date or number a record, but its parts have different lengths"
    with pytest.raises(RecordError, match=message):
        fit(["A"] * 5, CAPITAL, EFFICIENCY, observed_at=times, half_life=3.0)


@pytest.mark.parametrize("draws", [0, -1, 1.5, True, 2**63, 2**64, np.timedelta64(3, "s")])
def test_draws_are_counted(draws: Any) -> None:
    with pytest.raises(CurveError, match="draws must be "):
        fitted().draw_params(draws, seed=1)


def test_spans_of_time_are_no_integers() -> None:
    span: Any = np.timedelta64(3, "s")
    with pytest.raises(CurveError, match=r"seed must be an integer of at least 0 or a numpy\.random\.Generator, not "):
        fitted().draw_params(3, seed=span)
    with pytest.raises(AllocationError, match="max_nodes must be an integer in "):
        allocate(CURVES, 1e5, max_nodes=span)


def test_a_currency_is_text() -> None:
    pytest.importorskip("matplotlib")
    from escala import plots

    wrong: Any = 5
    draws: list[Callable[..., Any]] = [plots.efficiency_curve, plots.utility_curve]
    for draw in draws:
        with pytest.raises(InputError, match="currency must be text, not 5"):
            draw(CURVES["A"], currency=wrong)
        with pytest.raises(InputError, match="log must be True or False, not 'no'"):
            draw(CURVES["A"], log="no")


async def test_flags_of_a_store(tmp_path: Path) -> None:
    wrong: Any = "no"
    async with await Store.open(tmp_path / "s.db") as store:
        await store.add_record("A", 1.0, 0.5)
        with pytest.raises(RecordError, match="dry_run must be True or False, not 'no'"):
            await store.delete_records("A", dry_run=wrong)
        with pytest.raises(RecordError, match="allow_duplicates must be True or False, not 'no'"):
            await store.import_records(["A"], [1.0], [0.5], file="x.csv", allow_duplicates=wrong)
        assert await store.symbols() == {"A": 1}


def test_a_bound_that_no_number_can_say_is_no_proof() -> None:
    """Rate times capital lies beyond all numbers: the best that was found was called optimal beside a bound of NaN."""
    steep = CurveSet.from_params(["A"], "exponential", [[0.5, 1e250, 0.1]])
    found = allocate(steep, 1e100, reserve=0.0)
    assert (found.utility, found.upper_bound, found.gap) == (1.0000000000000001e99, np.inf, 1.0)
    assert found.status == AllocationStatus.GAP_OPEN
    assert "(gap 100.0%, not closed)" in found.summary()


def test_at_a_kink_the_slope_is_the_one_before_it() -> None:
    rising = CurveSet.from_params(["A"], "linear", [[1e-5, 0.5]])
    assert rising.marginal(5e4)[0] == 1.5
    assert rising.marginal(5.1e4)[0] == 1.0
    found = allocate(rising, 5e4, reserve=0.0)
    assert (found.marginal[0], found.shadow_price) == (1.5, 1.0)


@pytest.mark.parametrize("row", [None, [99.0, None], (None, 1.0)])
def test_a_null_in_a_book_names_its_level(row: Any) -> None:
    with pytest.raises(CurveError, match=r"books\['A'\] bids\[1\] must be a price and a size, not "):
        CurveSet.from_order_books({"A": {"bids": [[100.0, 1.0], row], "asks": [[101.0, 1.0]]}})
