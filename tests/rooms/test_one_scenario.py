"""A scenario of plain numbers takes a way of its own: the same bits, types and refusals as by way of arrays."""

from __future__ import annotations

import pickle
import re
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import LendingResult, LendingStrategy, ScenarioError, simulate, tables
from escala.errors import InputError
from escala.lending.result import RESULT_NAMES
from tests.strategies import log_uniform

pytestmark = pytest.mark.nojit
START = (1000.0, 600.0, 1500.0, 200.0)


def assert_same(one: LendingResult, many: LendingResult) -> None:
    """Compare a scenario with the only one of an array of one."""
    for name in RESULT_NAMES:
        mine, theirs = getattr(one, name), getattr(many, name)
        assert np.asarray(mine).tobytes() == np.asarray(theirs).tobytes(), name
        assert type(mine) is type(theirs[0]), name


@given(
    log_uniform(1e-3, 1e9), st.just(0.0) | st.floats(1e-3, 1.2), st.floats(0.5, 5.0),
    st.just(0.0) | log_uniform(1e-3, 1e6), st.floats(0.0, 0.3), st.integers(1, 60),
)  # fmt: skip
def test_one_scenario_has_the_bits_that_it_has_in_an_array(
    supply: float, share: float, growth: float, wallet: float, repay: float, most: int
) -> None:
    start = (supply, supply * share, supply * growth, wallet)
    strategy = LendingStrategy(repay=repay, max_operations=most)
    for chosen in (None, strategy):
        assert_same(simulate(*start, strategy=chosen), simulate([start[0]], *start[1:], strategy=chosen))


@pytest.mark.parametrize("kind", [int, np.float64])
def test_other_plain_numbers_count_as_what_they_are(kind: Any) -> None:
    one = simulate(*map(kind, START))
    assert_same(one, simulate([1000.0], *START[1:]))
    assert isinstance(one.final_supply, np.float64)
    assert isinstance(one.stop, np.int64)


def test_results_keep_their_numbers_when_others_are_made() -> None:
    first = simulate(*START)
    kept = first.to_dict()
    for k in range(20):
        simulate(*START[:2], 1500.0 + k, 200.0)
    assert first.to_dict() == kept
    assert first.operations is None
    assert pickle.loads(pickle.dumps(first)).to_dict() == kept
    assert first.strategy == LendingStrategy()


def test_threads_at_once_do_not_meet() -> None:
    targets = [1400.0 + 10.0 * k for k in range(8)]
    expected = simulate(*START[:2], np.array(targets), 200.0).final_supply.tolist()
    found: list[list[float]] = [[] for _ in targets]

    def work(place: int) -> None:
        found[place] = [float(simulate(*START[:2], targets[place], 200.0).final_supply) for _ in range(50)]

    crew = [threading.Thread(target=work, args=(place,)) for place in range(len(targets))]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    assert found == [[value] * 50 for value in expected]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, 0.0, "supply must be in [1e-100, 1e+100], but supply = 0.0"),
        (1, -1.0, "borrow must be 0 or in [1e-100, 1e+100], but borrow = -1.0"),
        (2, float("nan"), "target must be in [1e-100, 1e+100], but target = nan"),
        (3, float("inf"), "wallet must be 0 or in [1e-100, 1e+100], but wallet = inf"),
        (3, 10**400, "wallet must be real numbers"),
        (0, "1000", "supply must be real numbers, not '1000': it has dtype <U4"),
        (0, None, "supply must be real numbers, not None"),
    ],
)
def test_bad_numbers_are_named_as_ever(place: int, value: Any, message: str) -> None:
    start: list[Any] = [*START]
    start[place] = value
    with pytest.raises(ScenarioError, match=f"^{re.escape(message)}"):
        simulate(*start)


def test_threads_and_progress_are_looked_at_though_one_scenario_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ScenarioError, match=r"^threads must be an integer of at least 1, not 0$"):
        simulate(*START, threads=0)
    with pytest.raises(InputError, match=r"^progress must be a function that is told how much is done, not 3$"):
        simulate(*START, progress=3)  # type: ignore[arg-type]
    told: list[int] = []
    assert_same(simulate(*START, progress=told.append), simulate([1000.0], *START[1:]))
    assert told == [1]
    monkeypatch.setenv("ESCALA_THREADS", "none")
    with pytest.raises(ScenarioError, match=r"^ESCALA_THREADS must be an integer of at least 1, not 'none'$"):
        simulate(*START)


def test_what_a_strategy_keeps_is_what_was_checked() -> None:
    repay = np.array(0.1)  # no plain number, and the caller's
    strategy = LendingStrategy(repay=repay)
    before = simulate(*START, strategy=strategy)
    repay[...] = 7.0
    assert float(np.asarray(strategy.repay)) == 0.1
    assert simulate(*START, strategy=strategy).final_supply == before.final_supply
    assert simulate(*START, strategy=strategy.replace(repay=0.2)).final_supply != before.final_supply
    again = pickle.loads(pickle.dumps(strategy))
    assert again == strategy
    assert simulate(*START, strategy=again).final_supply == before.final_supply
    column = LendingStrategy().column
    assert column is not None
    with pytest.raises(ValueError, match="read-only"):
        column[0] = 1.0
    assert LendingStrategy(repay=[0.1, 0.2]).column is None


@pytest.mark.parametrize("row", tables.LENDING_STRATEGY, ids=lambda row: row.name)
def test_plain_fields_are_refused_as_those_of_arrays_are(row: tables.Field) -> None:
    ends = [row.values.low, row.values.high]
    tried = [*ends, *np.nextafter(ends, -np.inf), *np.nextafter(ends, np.inf), -0.0, float("nan"), 0.5, 1.5, 3.0, 60.0]
    for value in map(float, tried):
        said = []
        for given_ in (value, np.array(value)):
            try:
                LendingStrategy(**{row.name: given_})
                said.append("")
            except ScenarioError as refused:
                said.append(str(refused))
        assert said[0] == said[1]
