"""The border: conversion, ranges, broadcasting and slices of broadcast arguments."""

from __future__ import annotations

import math
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from escala import fit
from escala.arrays import (
    Rows,
    broadcast_shape,
    check_flag,
    check_interval,
    check_order,
    known_word,
    to_floats,
    whole_number,
)
from escala.errors import ScenarioError
from escala.tables import Interval

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize(
    "value",
    [
        [1, 2, 3],
        (1.0, 2.0, 3.0),
        np.arange(1, 7)[::2] / np.array([1.0, 1.5, 5 / 3]),
        np.array([1, 2, 3], dtype=">f8"),
        np.array([1, 2, 3], dtype=np.uint8),
        np.array([1.0, 2.0, 3.0], dtype=object),
        range(1, 4),
    ],
)
def test_whatever_holds_real_numbers_is_welcome(value: Any) -> None:
    converted = to_floats("x", value)
    assert converted.dtype == np.float64
    assert converted.flags.c_contiguous
    assert converted.tolist() == [1.0, 2.0, 3.0]


def test_what_fits_is_not_copied() -> None:
    array = np.arange(5.0)
    assert np.shares_memory(to_floats("x", array), array)
    assert to_floats("x", 3).shape == ()


@pytest.mark.parametrize(
    "value",
    [
        "text",
        b"text",
        [1, "2"],
        1j,
        {"a": 1},
        [[1], [2, 3]],
        np.array(["2020"], "M8[Y]"),
        10**400,
        np.array(["1000"], object),
        np.array([b"1"], object),
        np.ma.array([1.0, 2.0], mask=[False, True]),
        np.ones([1] * 40),
    ],
)
def test_what_is_no_real_number_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ScenarioError, match=r"^x must be real numbers, not ") as caught:
        to_floats("x", value)
    assert caught.value.arguments == ("x",)


def test_only_the_first_bad_elements_are_listed_and_the_rest_counted() -> None:
    values = np.ones(200_000)
    values[[70_000, 70_001, 150_000, 199_999]] = 2.0
    with pytest.raises(ScenarioError) as caught:
        check_interval("x", values, Interval(0, 1))
    assert str(caught.value) == "x must be in [0, 1], but x[70000] = 2.0; x[70001] = 2.0; x[150000] = 2.0 and 1 more"
    assert caught.value.indexes == ((70_000,), (70_001,), (150_000,))


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=5), elements=st.floats(-2, 2)))
def test_the_reported_index_is_the_first_bad_one(values: Any) -> None:
    bad = np.argwhere(~(values <= 1.0))
    if len(bad) == 0:
        check_interval("x", values, Interval(-2, 1))
        return
    with pytest.raises(ScenarioError) as caught:
        check_interval("x", values, Interval(-2, 1))
    assert caught.value.indexes == tuple(map(tuple, bad[:3].tolist()))


def test_order_is_checked_over_the_broadcast_shape() -> None:
    with pytest.raises(ScenarioError, match=r"a must not exceed b, but a\[2, 1\] = 2.0 and b\[2, 1\] = 1.0$") as caught:
        check_order("a", np.array([[0.0], [1.0], [2.0]]), "b", np.array([5.0, 1.0]))
    assert caught.value.arguments == ("a", "b")
    check_order("a", np.array([]), "b", np.array(0.0))


def test_intervals_read_as_they_are_checked() -> None:
    half_open = Interval(0, 1, low_open=True)
    assert str(half_open) == "in (0, 1]"
    assert half_open.contains(np.array([0.0, 1.0, math.nan, math.inf])).tolist() == [False, True, False, False]
    whole = Interval(1, 10**6, integer=True)
    assert str(whole) == "an integer in [1, 1000000]"
    assert whole.contains(np.array([1.0, 1.5, 1e6, 1e6 + 1])).tolist() == [True, False, True, False]


def test_the_two_arguments_that_disagree_are_named() -> None:
    arrays = {"a": np.ones((4, 1)), "b": np.ones(3), "c": np.ones((1, 1)), "d": np.ones((5, 3))}
    with pytest.raises(ScenarioError, match=r"^a of shape \(4, 1\) and d of shape \(5, 3\) do not broadcast$"):
        broadcast_shape(arrays)
    arrays.pop("d")
    assert broadcast_shape(arrays) == (4, 3)


@given(st.data())
def test_slices_of_broadcast_rows_equal_numpy(data: st.DataObject) -> None:
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=4, max_side=5))
    arrays = [np.random.default_rng(k).random(shape) for k, shape in enumerate(shapes.input_shapes)]
    size = int(np.prod(shapes.result_shape, dtype=int))
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    rows = Rows(arrays, shapes.result_shape, max(1, stop - start))
    expected = [np.broadcast_to(array, shapes.result_shape).reshape(-1)[start:stop] for array in arrays]
    assert rows.fill(start, stop)[:, : stop - start].tolist() == np.array(expected).tolist()


@pytest.mark.parametrize("value", [2, np.int8(2), np.uint64(2)])
def test_one_integer_of_any_type_is_welcome(value: Any) -> None:
    assert whole_number("n", value, 1, 3) == 2


@pytest.mark.parametrize("value", [0, 4, 2.0, True, "2", None, np.float64(2.0)])
def test_what_is_no_integer_in_the_range_is_named(value: Any) -> None:
    with pytest.raises(ScenarioError, match=r"n must be an integer in \[1, 3\], not "):
        whole_number("n", value, 1, 3)
    with pytest.raises(ScenarioError, match="n must be an integer of at least 5, not "):
        whole_number("n", value, 5)


def test_spans_of_time_and_complex_numbers_are_none() -> None:
    with pytest.raises(ScenarioError, match="n must be an integer of at least 1, not"):
        whole_number("n", np.timedelta64(5), 1)
    assert whole_number("n", np.int8(5), 1) == 5
    for value in (np.complex128(1 + 2j), 1 + 2j, np.timedelta64(3, "s"), np.datetime64("2024-01-01")):
        values = np.array([1.0, None], dtype=object)
        values[1] = value
        with pytest.raises(ScenarioError, match="x must be real numbers"):
            to_floats("x", values)


def test_flags_and_words_are_what_they_say() -> None:
    assert check_flag("clip", np.True_, ScenarioError) is True
    bad: list[Any] = ["abc", 1, None, np.array([True, False]), []]
    for value in bad:
        with pytest.raises(ScenarioError, match="clip must be True or False, not "):
            check_flag("clip", value, ScenarioError)
    assert known_word("a", {"a"})
    assert known_word(None, {None})
    others: list[Any] = [["a"], {}, np.array(["a", "b"]), 5, "b"]
    for other in others:
        assert not known_word(other, {"a"})


def test_a_module_that_another_thread_still_imports_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    masked = np.ma.masked_greater([0.5, 1.5], 1.0)
    for name in ("numpy.ma", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))  # as it stands in sys.modules at first: empty
    assert to_floats("capital", [1.0, 2.0], ScenarioError).tolist() == [1.0, 2.0]
    assert len(fit(["A"] * 3, [1.0, 2.0, 3.0], [0.9, 0.8, 0.7], family="linear")) == 1
    with pytest.raises(ScenarioError, match="it has masked elements"):
        to_floats("capital", masked, ScenarioError)
