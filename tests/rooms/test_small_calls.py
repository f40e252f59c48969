"""Calls for one number: what they remember never goes stale, and they give what calls for many give."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from escala import AllocationError, CurveError, CurveSet, allocate, fit

CAPITAL = np.geomspace(1e3, 1e6, 60)
NOISE = 1e-3 * np.random.default_rng(5).standard_normal(60)


def some_curves() -> CurveSet:
    """Make a curve by scores, one by Student's distribution, one without degrees of freedom and one without a curve."""
    few = CAPITAL[::6]
    return fit(
        ["scored", "student", "exact", "none"],
        [CAPITAL, few, few[:2], few[:1]],
        [0.99 - 2e-7 * CAPITAL + NOISE, 0.9 - 3e-7 * few + NOISE[::6], [0.9, 0.8], [0.9]],
        family="linear",
    )


@pytest.mark.nojit
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_one_prediction_has_the_bits_that_it_has_among_many(level: float) -> None:
    curves = some_curves()
    together = curves.predict(CAPITAL[None, :], level=level, tolerance=0.002)
    for i, curve in enumerate(curves):
        for j in (0, 17, 59):
            one = curve.predict(float(CAPITAL[j]), level=level, tolerance=0.002)
            for name in ("efficiency", "low", "high", "confidence", "extrapolated", "marginal", "marginal_low"):
                assert_array_equal(getattr(one, name)[0], getattr(together, name)[i, j], err_msg=name)
            assert (one.method[0], one.enough[0]) == (together.method[i], together.enough[i])


@pytest.mark.nojit
def test_asking_for_other_levels_and_tolerances_in_between_changes_nothing() -> None:
    curves = some_curves()
    first = curves.predict(2e5, level=0.9, tolerance=0.01)
    for k in range(1, 20):  # more than are kept
        curves.predict(2e5, level=k / 21, tolerance=k / 1000)
    again = curves.predict(2e5, level=0.9, tolerance=0.01)
    assert_array_equal(first.low, again.low)
    assert_array_equal(first.confidence, again.confidence)
    assert curves.predict(2e5, level=0.9, tolerance=[0.01, 0.02, 0.01, 0.01]).confidence[1] > first.confidence[1]


@pytest.mark.nojit
def test_a_level_is_known_again_whatever_number_says_it_and_refused_every_time() -> None:
    curves = some_curves()
    first = curves.predict(2e5, level=0.5)
    assert curves.predict(2e5, level=np.float64(0.5)).level == first.level
    assert len(curves._predictors) == 1
    for bad, shown in ((1.0, "1.0"), (True, "1.0"), (0, "0.0"), (np.float64("nan"), "nan")):
        for _ in range(2):
            with pytest.raises(CurveError, match=rf"level must be in \(0, 1\), but level = {shown}"):
                curves.predict(2e5, level=bad)
    for interval in ("late", None, ["auto"]):
        with pytest.raises(CurveError, match="interval must be 'auto' or 'forward'"):
            curves.predict(2e5, level=0.5, interval=interval)  # type: ignore[arg-type]


def test_arrays_of_curves_cannot_be_written() -> None:
    limit = np.array([1e6, 2e6])
    made = CurveSet.from_params(["A", "B"], "linear", [[-1e-7, 1.0], [-2e-7, 1.0]], trusted_to=limit)
    for curves in (made, made[1:], pickle.loads(pickle.dumps(made)), some_curves(), CurveSet.concatenate([made])):
        for name in ("params", "trusted_to", "observed", "family"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(curves, name)[0] = 0
    limit[0] = 5.0
    assert made.trusted_to[0] == 1e6


@pytest.mark.nojit
def test_a_set_that_was_asked_is_pickled_as_one_that_was_not() -> None:
    asked, fresh = some_curves(), some_curves()
    before = asked.predict(2e5)
    assert len(pickle.dumps(asked)) == len(pickle.dumps(fresh))
    after = pickle.loads(pickle.dumps(before))
    assert_array_equal(after.marginal_high, before.marginal_high)
    assert_array_equal(after.low, pickle.loads(pickle.dumps(asked)).predict(2e5).low)


@pytest.mark.nojit
def test_a_remembered_choice_is_not_taken_for_another_that_equals_it() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-2e-6, 1.0]])
    allocate(curves, 3e5, max_nodes=2000)
    with pytest.raises(AllocationError, match=r"max_nodes must be an integer in \[0, .*\], not 2000.0"):
        allocate(curves, 3e5, max_nodes=2000.0)  # type: ignore[arg-type]
    allocate(curves, 3e5, max_nodes=1)
    with pytest.raises(AllocationError, match="max_nodes must be an integer"):
        allocate(curves, 3e5, max_nodes=True)


@pytest.mark.nojit
def test_one_allocation_has_the_bits_that_it_has_on_a_path() -> None:
    curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-2e-6, 1.0]], trusted_to=[1e6, 1e5])
    for settings in ({}, {"hurdle": 0.3}, {"upper": 5e4}, {"min_efficiency": 0.95}, {"lower": [0.0, 1e4]}):
        path = allocate(curves, [3e5], **settings)
        for _ in range(2):  # in workspaces that were used
            one = allocate(curves, 3e5, **settings)
            assert_array_equal(one.amounts, path.amounts[0])
            assert (one.utility, one.gap, one.shadow_price) == (path.utility[0], path.gap[0], path.shadow_price[0])
            assert (type(one.status), type(one.nodes)) == (np.int8, np.int64)


@pytest.mark.nojit
def test_bad_capital_is_named_in_a_small_call_too() -> None:
    curves = some_curves()
    for bad, shown in ((-1.0, "-1.0"), (float("nan"), "nan")):
        with pytest.raises(CurveError, match=rf"capital must be in \[0, inf\), but capital = {shown}"):
            curves.predict(bad)
        with pytest.raises(CurveError, match=rf"capital must be in \[0, inf\), but capital = {shown}"):
            curves.efficiency(bad)
