"""Money goes where records say that it comes back: 56 real pairs, every family, up to far more than they hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from escala import CurveSet, InfeasibleError, allocate, fit
from escala.demo.curves import load_quotes

TOTALS = (50e6, 500e6, 5_000e6)
FAMILIES = ("auto", "ladder", "depth", "power", "linear", "sqrt", "hill", "quadratic", "exponential")


@pytest.fixture(scope="module")
def quotes() -> dict[str, tuple[Any, Any]]:
    """Capital and efficiency of each pair, in order of capital."""
    all_of = load_quotes()
    symbol = np.array(all_of.symbol)
    order = np.argsort(all_of.capital, kind="stable")
    own = {name: order[symbol[order] == name] for name in dict.fromkeys(all_of.symbol)}
    return {name: (all_of.capital[at], all_of.efficiency[at]) for name, at in own.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_no_pair_is_given_money_where_no_quote_returned_it(quotes: dict[str, tuple[Any, Any]], family: str) -> None:
    """No more is claimed of a pair than a quote of it returned, but beyond all quotes where they still rise."""
    curves = fit(list(quotes), *zip(*quotes.values(), strict=True), family=family)
    capacity = curves.saturation().capacity
    for total in TOTALS:
        found = allocate(curves, total)
        claimed = np.where(found.amounts > 0.0, found.amounts * found.efficiency, 0.0)
        for i, (name, (capital, efficiency)) in enumerate(quotes.items()):
            returned = capital * efficiency
            amount, about = found.amounts[i], f"{family}, {total:.0f}, {name}"
            if not curves.has_curve[i]:
                assert amount == 0.0, about
                continue
            assert amount <= curves.trusted_to[i], about
            if family in ("quadratic", "exponential"):  # what a parabola or a floor does behind the peak is its own
                assert amount <= capacity[i] * (1.0 + 1e-9), about
            if amount <= capital[-1]:
                assert claimed[i] <= 1.02 * returned.max(), about
            else:
                assert amount <= 2.0 * capital[-1], about
                assert not curves.marked[i], about
                assert returned.max() >= 1.5 * returned[capital <= 0.5 * capital[-1]].max(), about
                assert claimed[i] <= returned.max() * amount / capital[-1] * 1.02, about


def knee(n: int = 60, noise: float = 0.001) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """A market that gives no more than 0.95·10⁵, and its quotes far beyond."""
    c = np.geomspace(1e3, 1e7, n)
    y = np.minimum(0.95, 0.95e5 / c) + np.random.default_rng(4).normal(0.0, noise, n)
    return c, np.clip(y, 0.0, 1.0)


@pytest.mark.parametrize("family", ["linear", "sqrt", "exponential", "quadratic"])
def test_a_curve_that_its_records_contradict_is_given_no_more_than_they_returned(family: str) -> None:
    c, y = knee()
    curves = fit(["A"], [c], [y], family=family)
    assert curves.marked[0]
    found = allocate(curves, 1e9)
    most = (c * y).max()
    assert 0.0 < found.amounts[0] * found.efficiency[0] <= most * (1.0 + 1e-9)
    if found.binding_names[0] == "limit":  # its claim reaches what was returned, and no further
        assert found.amounts[0] * found.efficiency[0] == pytest.approx(most, rel=1e-9)
    assert found.amounts[0] < curves.trusted_to[0]


def test_what_is_forced_in_stays_possible_where_the_curve_is_trusted() -> None:
    c, y = knee()
    curves = fit(["A"], [c], [y], family="sqrt")
    free = allocate(curves, 1e9)
    forced = allocate(curves, 1e9, lower=2.0 * free.amounts[0])
    assert forced.amounts[0] == pytest.approx(2.0 * free.amounts[0])
    floor = fit(["A"], [c], [y], family="exponential")
    with pytest.raises(InfeasibleError, match="the limit of its curve"):
        allocate(floor, 1e9, lower=1.01 * floor.trusted_to[0])


def test_curves_that_follow_their_records_and_curves_without_any_end_where_they_are_trusted() -> None:
    c, y = knee()
    good = fit(["A"], [c], [y], family="ladder")
    assert not good.marked[0]
    assert good._supported is None
    made = CurveSet.from_params(["B"], "linear", [[-1e-9, 0.9]], trusted_to=1e6)
    assert made._supported is None
    assert allocate(made, 1e9).amounts[0] == 1e6
    bad = fit(["C"], [c], [y], family="sqrt", weights=[np.where(c * y == (c * y).max(), 0.0, 1.0)])
    assert bad._returned[0] < (c * y).max()  # what counts for nothing says nothing
    together = CurveSet.concatenate([good, bad])
    assert bad._supported is not None
    assert together._supported is not None
    assert together._supported.tolist() == [np.inf, bad._supported[0]]
