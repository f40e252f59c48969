"""Fits of few instruments: what they are spared changes no bit and no message, and what they keep never goes stale."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from escala import CurveSet, FitError, RecordError, fit
from escala.curves import noise
from escala.curves.curveset import CurveSet as Made
from escala.kernels.fitting.survey import survey
from escala.ragged import Ragged
from tests.naive import curves as naive

BOUNDS = [1e-100, 1e100, 0.0, 1.0]
RNG = np.random.default_rng(11)
CAPITAL = np.geomspace(1e3, 1e6, 60)
EFFICIENCY = np.clip(0.99 - 4e-7 * CAPITAL + 1e-3 * RNG.standard_normal(60), 0.0, 1.0)


def same(one: CurveSet, other: CurveSet) -> None:
    """Compare everything that two sets of curves know, to the bit."""
    for field in dataclasses.fields(Made):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, Ragged):
            assert_array_equal(a.offsets, b.offsets, err_msg=field.name)
            a, b = a.values, b.values
        assert a.dtype == b.dtype
        assert_array_equal(a, b, err_msg=field.name)


numbers = st.one_of(st.floats(width=64), st.sampled_from([0.0, 1.0, 1e-100, 1e100, 0.5]))


@given(
    st.lists(st.lists(st.tuples(numbers, numbers, st.sampled_from([0.0, 0.5, 2.0])), max_size=6), max_size=4),
    st.booleans(),
)
@settings(deadline=None)
def test_the_survey_says_what_its_twin_says(
    instruments: list[list[tuple[float, float, float]]], weighted: bool
) -> None:
    flat = np.array([record for records in instruments for record in records]).reshape(-1, 3)
    offsets = np.cumsum([0, *map(len, instruments)])
    weights = flat[:, 2].copy() if weighted else np.empty(0)
    n = len(instruments)
    returned, outside = np.empty(n), np.empty(n, dtype=np.int64)
    survey(offsets, flat[:, 0].copy(), flat[:, 1].copy(), weights, np.array(BOUNDS), returned, outside, 0, n)
    for i, records in enumerate(instruments):
        columns = [list(column) for column in zip(*records, strict=True)] or [[], [], []]
        expected = naive.survey(columns[0], columns[1], columns[2] if weighted else [], BOUNDS)
        assert_array_equal([returned[i], outside[i]], expected)


@pytest.mark.parametrize("family", ["linear", "auto", "ladder", ["hill"] * 3])
@pytest.mark.parametrize("loss", ["auto", "squares", "student"])
@pytest.mark.parametrize("weighted", [False, True])
def test_few_instruments_get_the_bits_of_the_general_way(family: Any, loss: Any, weighted: bool) -> None:
    names, absurd = ["A", "B", "C"], EFFICIENCY.copy()
    absurd[30] = 0.01
    capital, efficiency = [CAPITAL, CAPITAL[::5], CAPITAL[:1]], [absurd, EFFICIENCY[::5], EFFICIENCY[:1]]
    weights = [np.linspace(0.0, 1.0, len(part)) for part in capital] if weighted else None
    settings: dict[str, Any] = {"family": family, "loss": loss}
    plain = fit(names, capital, efficiency, weights=weights, **settings)
    lists = fit(names, [part.tolist() for part in capital], [part.tolist() for part in efficiency],
                weights=weights, **settings)  # fmt: skip
    general = fit(tuple(names), capital, efficiency, weights=weights, **settings)
    same(plain, lists)
    same(plain, general)


def test_rows_of_an_array_are_as_good_as_lists() -> None:
    rows, values = np.stack([CAPITAL, 2.0 * CAPITAL]), np.stack([EFFICIENCY, EFFICIENCY])
    same(fit(["A", "B"], rows, values), fit(("A", "B"), rows, values))
    same(fit(["A", "B"], rows[:, ::3], values[:, ::3]), fit(("A", "B"), rows[:, ::3], values[:, ::3]))


@pytest.mark.nojit
@pytest.mark.parametrize(
    ("capital", "efficiency", "more", "message"),
    [
        ([[1.0, 2.0]], [[0.5, float("nan")]], {}, r"efficiency\[0, 1\]|efficiency\[0\]\[1\] = nan"),
        ([[1.0, -2.0]], [[0.5, 0.4]], {}, r"capital\[0\] must be in \[1e-100, 1e\+100\], but capital.*-2.0"),
        ([[1.0, 2.0]], [[0.5, 1.5]], {}, r"efficiency\[0\] must be in \[0, 1\].* = 1.5"),
        ([[1.0, 2.0]], [[0.5]], {}, "efficiency"),
        ([[1.0, 2.0]], [["a", "b"]], {}, "must be real numbers"),
        ([[1.0, 2.0]], [[0.5, 0.4]], {"weights": [[1.0, -1.0]]}, r"weights.*-1.0"),
        ([[1.0, 2.0]], [[0.5, 0.4]], {"weights": [[1.0]]}, "weights"),
        ([[1.0, 2.0]], [[0.5, 0.4]], {"loss": "least"}, "loss must be"),
        ([[1.0, 2.0]], [[0.5, 0.4]], {"noise": []}, "noise must be"),
        ([[1.0, 2.0]], [[0.5, 0.4]], {"threads": 0}, "threads must be an integer of at least 1, not 0"),
        ([[1.0, 2.0]], [[0.5, 0.4]], {"clip": 1}, "clip must be True or False"),
    ],
)
def test_what_is_wrong_is_told_as_in_the_general_way(
    capital: Any, efficiency: Any, more: dict[str, Any], message: str
) -> None:
    fit(["A"], [[1.0, 2.0]], [[0.5, 0.4]])
    with pytest.raises(RecordError, match=message) as plain:
        fit(["A"], capital, efficiency, **more)
    with pytest.raises(RecordError) as general:
        fit(("A",), capital, efficiency, **more)
    assert str(plain.value) == str(general.value)
    assert plain.value.indexes == general.value.indexes


@pytest.mark.nojit
@pytest.mark.parametrize(
    ("names", "message"),
    [(["A", "A"], "must differ"), (["A", ""], r"symbols\[1\] = ''"), (["A", 1], r"symbols\[1\] = 1")],
)
def test_bad_symbols_are_named(names: list[Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        fit(names, [CAPITAL, CAPITAL], [EFFICIENCY, EFFICIENCY])


@pytest.mark.nojit
def test_an_unknown_family_is_refused_every_time() -> None:
    for _ in range(3):
        with pytest.raises(Exception, match=r"family must be one of linear.* not 'cubic'"):
            fit(["A"], [CAPITAL], [EFFICIENCY], family="cubic")
    with pytest.raises(FitError, match="no curve for A"):
        fit(["A"], [CAPITAL[:1]], [EFFICIENCY[:1]], on_error="raise")


def test_a_fit_keeps_nothing_of_what_it_was_given_nor_of_the_fit_before() -> None:
    capital, efficiency = CAPITAL.copy(), EFFICIENCY.copy()
    first = fit(["A"], [capital], [efficiency])
    before = copy.deepcopy(first)
    capital *= 3.0
    efficiency *= 0.5
    second = fit(["A"], [capital], [efficiency])
    assert second.params[0, 0] != first.params[0, 0]
    same(first, before)
    for field in dataclasses.fields(Made):
        one = getattr(first, field.name)
        if isinstance(one, np.ndarray):
            assert not np.shares_memory(one, capital)
            assert not np.shares_memory(one, efficiency)


def test_what_small_fits_have_in_common_cannot_be_written() -> None:
    curves = fit(["A"], [CAPITAL[::5]], [EFFICIENCY[::5]])
    nothing = noise.Noise.unknown(1)
    assert curves.misfit is nothing.misfit
    for field in dataclasses.fields(Made):
        value = getattr(curves, field.name)
        for array in (value.values, value.offsets) if isinstance(value, Ragged) else (value,):
            with pytest.raises(ValueError, match="read-only"):
                array.flat[:] = 0
    for made in (pickle.loads(pickle.dumps(curves)), copy.copy(curves), copy.deepcopy(curves)):
        same(curves, made)
        assert made.predict(2e5).low == curves.predict(2e5).low


def test_threads_do_not_share_the_workspaces_that_they_keep() -> None:
    factors = [0.5, 0.6, 0.7, 0.8]
    alone = [fit(["A"], [CAPITAL], [EFFICIENCY * factor]) for factor in factors]
    found: list[list[CurveSet]] = [[] for _ in factors]

    def many(place: int) -> None:
        found[place] += [fit(["A"], [CAPITAL], [EFFICIENCY * factors[place]]) for _ in range(20)]

    crew = [threading.Thread(target=many, args=(place,)) for place in range(len(factors))]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    for expected, several in zip(alone, found, strict=True):
        assert len(several) == 20
        for one in several:
            same(expected, one)


def test_progress_is_told_once_of_a_block() -> None:
    seen: list[int] = []
    fit(["A"], [CAPITAL], [EFFICIENCY], progress=seen.append)
    assert seen == [1]
    with pytest.raises(Exception, match="progress must be a function"):
        fit(["A"], [CAPITAL], [EFFICIENCY], progress=3)  # type: ignore[arg-type]
