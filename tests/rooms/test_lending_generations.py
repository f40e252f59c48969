"""Scenarios begin in generations, and most end there when they are short: what each does depends on none of this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import StopReason, tables
from escala.kernels import layout
from escala.kernels.lending import lanes
from tests.naive import lending as naive
from tests.rooms.test_lending import OUTPUTS, assert_equal_to_naive, bits, run
from tests.strategies import Parameters

LANES = layout.LENDING_LANES
VALUES, COUNTS = tables.names(tables.LENDING_VALUES), tables.names(tables.LENDING_COUNTS)
ACTIVE = layout.lending_cursor.ACTIVE
#: A number that no scenario comes to.
UNTOUCHED = -7


def none(u: float) -> Parameters:
    """Nothing to do: the target is where it starts, or below."""
    return {"supply": 1000.0, "borrow": 500.0 * u, "target": 1000.0 - (u > 0.5) * u, "wallet": 10.0}


def short(u: float) -> Parameters:
    """One operation, or two."""
    return {"supply": 1000.0, "borrow": 400.0 + 100.0 * u, "target": 1085.0 + 100.0 * u, "wallet": 10.0 + 200.0 * u}


def limited(u: float) -> Parameters:
    """Up to 40 operations, no more; every scenario has a ladder of its own."""
    return {
        "supply": 1000.0, "borrow": 650.0 * u, "target": 9e4, "wallet": 5.0, "max_operations": 1 + int(40 * u),
        "min_profit": 20.0 * u, "repay": 0.05 + 0.2 * u, "ltv_step": 0.01 + 0.05 * u, "max_rescale_attempts": 5.0,
    }  # fmt: skip


def stalled(u: float) -> Parameters:
    """No progress from the first operation on; a few are allowed, and the regime changes before or after."""
    patience = 1 + int(8 * u)
    return {
        "supply": 1000.0, "borrow": 725.0, "target": 2000.0, "wallet": 0.0, "min_profit": 50.0,
        "max_stagnant_operations": patience, "stalling_after": patience // 3, "stalled_after": patience // 2,
    }  # fmt: skip


def changing(u: float) -> Parameters:
    """No operation counts as progress, but each does something: what, the regimes tell."""
    return {
        "supply": 1000.0, "borrow": 500.0, "target": 9e4, "wallet": 100.0 * u, "stagnation_tolerance": 1e6,
        "stalling_after": int(6 * u), "stalled_after": int(11 * u), "max_stagnant_operations": 20,
    }  # fmt: skip


def softened(u: float) -> Parameters:
    """Plans that the scalar code makes, from the first operation on."""
    return {"supply": 1000.0, "borrow": 640.0 + 40.0 * u, "target": 1800.0, "wallet": 40.0, "min_profit": 2.0,
            "reinvest_far": 1.0, "reinvest_mid": 1.0, "reinvest_near": 1.0, "max_operations": 12}  # fmt: skip


def endless(u: float) -> Parameters:
    """Beyond any youth."""
    return {"supply": 1000.0, "borrow": 600.0 + 50.0 * u, "target": 3000.0, "wallet": 20.0 * u, "max_operations": 60}


KINDS = (none, short, limited, stalled, changing, softened, endless)


def mixture(n: int, kinds: tuple[Any, ...] = KINDS, seed: int = 3) -> list[Parameters]:
    """Draw scenarios of several kinds, in any order."""
    rng = np.random.default_rng(seed)
    return [kinds[k](u) for k, u in zip(rng.integers(0, len(kinds), n), rng.random(n), strict=True)]


def inputs(sets: list[Parameters]) -> np.ndarray:
    """Give scenarios as the kernel takes them."""
    full = [{**naive.LENDING_DEFAULTS, **parameters} for parameters in sets]
    return np.array([[one[name] for one in full] for name in tables.names(tables.LENDING_INPUTS)])


def calls(columns: np.ndarray, n: int, sweeps: int, start: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Call the kernel until nothing is left to do; after each call gives what was written, and what is left."""
    values = np.full((len(VALUES), start + n + 3), float(UNTOUCHED))
    counts = np.full((len(COUNTS), start + n + 3), UNTOUCHED)
    work = np.full(layout.LENDING_WORK_SIZE, np.nan)
    cursor = np.zeros(layout.lending_cursor.END, dtype=np.int64)
    while True:
        lanes.lending(columns, values, counts, work, cursor, start, start + n, sweeps)
        yield values, counts, int(cursor[ACTIVE])
        if cursor[ACTIVE] == 0:
            return


def in_one_call(sets: list[Parameters]) -> tuple[bytes, bytes]:
    *_, (values, counts, left) = calls(inputs(sets), len(sets), 10**9)
    assert left == 0
    return values[:, : len(sets)].tobytes(), counts[:, : len(sets)].tobytes()


def test_every_kind_is_what_it_is_said_to_be() -> None:
    """Else the tests below would say little."""
    operations = {}
    for kind in KINDS:
        result = run([kind(u) for u in np.linspace(0.0, 0.999, 64)])
        operations[kind] = result.executed + result.skipped
        if kind is stalled:
            assert set(result.stop) == {StopReason.STALLED}
        if kind is softened:
            assert int(result.rescale_attempts.min()) > 1
    assert set(operations[none]) == {0}
    assert set(operations[short]) == {1, 2}
    assert set(operations[limited]) == set(range(1, 41))
    assert set(operations[stalled]) == set(range(1, 9))
    assert set(operations[changing]) == {20}
    assert set(operations[endless]) == {60}


def test_all_kinds_together_equal_naive() -> None:
    sets = mixture(600)
    assert_equal_to_naive(sets, run(sets))


@pytest.mark.nojit
def test_a_few_of_all_kinds_equal_naive() -> None:
    sets = mixture(2 * LANES + 5, seed=8)
    assert_equal_to_naive(sets, run(sets))


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 999)), min_size=1, max_size=3 * LANES))
def test_any_mixture_equals_naive(drawn: list[tuple[Any, int]]) -> None:
    sets = [kind(u / 1000.0) for kind, u in drawn]
    assert_equal_to_naive(sets, run(sets))


@pytest.mark.parametrize("kinds", [(none,), (short,), (limited,), (stalled,), (changing,), (short, endless), KINDS])
def test_any_number_of_scenarios_and_any_split(kinds: tuple[Any, ...]) -> None:
    n = 2 * LANES + 5
    sets = mixture(n, kinds)
    whole = run(sets, threads=1)
    columns = inputs(sets)
    for place in range(n + 1):
        for first, last in ((0, place), (place, n)):
            if first < last:
                part = np.ascontiguousarray(columns[:, first:last])
                *_, (values, counts, _) = calls(part, last - first, 10**9)
                for row, name in zip((*values, *counts), (*VALUES, *COUNTS), strict=True):
                    assert bits(row[: last - first]) == bits(getattr(whole, name)[first:last]), (name, place)


@pytest.mark.parametrize("kinds", [(endless, short), (short, endless)])
def test_long_scenarios_behind_short_ones_and_short_behind_long(kinds: tuple[Any, Any]) -> None:
    """More of each than are loaded one by one after a generation that mostly went on."""
    n = lanes.SINGLY + 5 * LANES
    sets = [*mixture(n, kinds[:1], seed=1), *mixture(n, kinds[1:], seed=2), *mixture(n, kinds, seed=4)]
    together, alone = run(sets, threads=1), [run(sets[i : i + 1]) for i in range(0, len(sets), 41)]
    for name in (*OUTPUTS, "stop"):
        expected = np.concatenate([getattr(one, name) for one in alone])
        assert bits(getattr(together, name)[::41]) == bits(expected), name


@pytest.mark.parametrize("sweeps", [1, 2, 3, 7, 16, 17, 100])
@pytest.mark.parametrize("kinds", [(none,), (short,), (changing,), KINDS])
def test_work_is_interrupted_after_any_number_of_sweeps(kinds: tuple[Any, ...], sweeps: int) -> None:
    n, start = 3 * LANES + 7, 5
    sets = mixture(n, kinds, seed=sweeps)
    expected = in_one_call(sets)
    longest = int(max(np.max(run(sets).executed + run(sets).skipped), 1))
    made, before = 0, n
    for values, counts, left in calls(inputs(sets), n, sweeps, start):
        made += 1
        ended = counts[0] != UNTOUCHED
        pending = n - np.count_nonzero(ended)
        assert pending <= left <= before
        assert (left == 0) == (pending == 0)
        before = left
        for row in (*values, *counts):  # what has not ended is as it was
            assert np.all(row[~ended] == UNTOUCHED)
            assert np.all(row[:start] == UNTOUCHED)
            assert np.all(row[start + n :] == UNTOUCHED)
    assert made * sweeps >= longest  # none did more operations in a call than it was allowed
    there = slice(start, start + n)
    assert (values[:, there].tobytes(), counts[:, there].tobytes()) == expected


def test_a_workspace_is_used_again_whatever_lies_in_it() -> None:
    first, second = mixture(50, seed=1), mixture(70, seed=2)
    expected = [in_one_call(sets) for sets in (first, second)]
    work = np.full(layout.LENDING_WORK_SIZE, np.inf)
    for sets, (floats, integers) in zip((first, second, first), (*expected, expected[0]), strict=True):
        values, counts = np.empty((len(VALUES), len(sets) + 3)), np.empty((len(COUNTS), len(sets) + 3), dtype=np.int64)
        cursor = np.zeros(layout.lending_cursor.END, dtype=np.int64)
        lanes.lending(inputs(sets), values, counts, work, cursor, 0, len(sets), 10**9)
        assert values[:, : len(sets)].tobytes() == floats
        assert counts[:, : len(sets)].tobytes() == integers


def test_where_results_lie_in_a_lane() -> None:
    assert len(set(layout.LENDING_VALUE_ROWS)) == len(VALUES)
    assert len(set(layout.LENDING_COUNT_ROWS)) == len(COUNTS)
    assert layout.LENDING_VALUE_ROWS[layout.lending_value.FINAL_WALLET] == layout.lending_lane.WALLET
    assert layout.LENDING_COUNT_ROWS[layout.lending_count.STOP] == layout.lending_lane.ENDED
