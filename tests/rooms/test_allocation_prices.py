"""Prices and reasons where a search finds the amounts: against what a little more of the money, or of a limit, returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import Allocation, CurveSet, InfeasibleError, allocate

LINES = CurveSet.from_params(["A", "B"], "linear", [[-1.0, 1.0], [-1.0, 0.9]], trusted_to=10.0)
HILL = CurveSet.from_params(["A"], "hill", [[1.6, 0.7, 3.0]], trusted_to=10.0)
STEP = 1e-6


def drawn_curves(rng: np.random.Generator, n: int) -> CurveSet:
    draws = {
        "linear": lambda: [-rng.uniform(0.5, 2.0), rng.uniform(0.5, 1.0)],
        "hill": lambda: [rng.uniform(0.8, 1.6), rng.uniform(0.3, 1.0), rng.uniform(1.5, 4.0)],
        "depth": lambda: [rng.uniform(0.6, 1.0), rng.uniform(0.3, 1.5), rng.uniform(0.5, 3.0)],
    }
    families = rng.choice(list(draws), n)
    return CurveSet.concatenate(
        [
            CurveSet.from_params([f"s{i}"], family, [draws[family]()], trusted_to=10.0)
            for i, family in enumerate(families)
        ]
    )


def drawn_settings(rng: np.random.Generator, n: int) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if rng.random() < 0.5:
        settings["min_ticket"] = rng.choice([0.0, 0.1, 0.25], n)
    if rng.random() < 0.4:
        settings["fixed_cost"] = float(rng.choice([0.002, 0.01]))
    if rng.random() < 0.4:
        settings |= {"current": rng.choice([0.0, 0.0, 0.2], n), "trade_cost": 0.01}
    labels = [["a", "b", None][k] for k in rng.integers(0, 3, n)]
    limits = {name: float(rng.uniform(0.1, 0.8)) for name in sorted({one for one in labels if one})}
    return settings | ({"groups": labels, "group_upper": limits} if limits else {})


def slopes(value: float, less: Allocation, more: Allocation) -> tuple[float, float]:
    """What the last of something returned, and what the next returns: the smaller first."""
    before, after = (value - float(less.utility)) / STEP, (float(more.utility) - value) / STEP
    return min(before, after), max(before, after)


@given(st.integers(0, 2**32))
def test_prices_are_what_a_little_more_returns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    curves, settings, total = drawn_curves(rng, n), drawn_settings(rng, n), float(rng.uniform(0.1, 1.5))
    try:
        found = allocate(curves, total, **settings)
        if found.gap > 1e-12:
            return
        value = float(found.utility)
        low, high = slopes(value, *(allocate(curves, total + by, **settings) for by in (-STEP, STEP)))
        assert low - 1e-3 <= float(found.shadow_price) <= high + 1e-3
        limits = settings.get("group_upper", {})
        for name, price in zip(found.groups, found.group_prices, strict=True):
            changed = [settings | {"group_upper": limits | {name: limits[name] + by}} for by in (-STEP, STEP)]
            low, high = slopes(value, *(allocate(curves, total, **one) for one in changed))
            assert low - 2e-3 <= price <= high + 2e-3
            if found.group_amounts[found.groups.index(name)] < limits[name] * (1.0 - 1e-6):
                assert price == 0.0
    except InfeasibleError:
        return


@pytest.mark.parametrize("settings", [{"groups": ["g"]}, {"fixed_cost": 0.01}, {"groups": ["g"], "fixed_cost": 0.01}])
def test_what_takes_all_the_money_sets_the_price(settings: dict[str, Any]) -> None:
    found = allocate(HILL, 0.3, **settings)
    assert float(found.shadow_price) == pytest.approx(float(HILL.marginal([0.3])[0]), rel=1e-9)
    assert found.binding_names.tolist() == ["none"]


def reasons(found: Allocation) -> list[str]:
    return list(found.binding_names)


def test_a_group_without_a_limit_stops_nobody() -> None:
    found = allocate(LINES, 0.05, fixed_cost=0.005, groups=["g", None])
    assert float(found.shadow_price) == pytest.approx(0.9)
    assert reasons(found) == ["none", "held"]


def test_a_group_that_is_not_full_has_no_price() -> None:
    curves = CurveSet.from_params(list("ABC"), "linear", [[-1.0, 1.0], [-1.0, 0.9], [-1.0, 0.3]], trusted_to=10.0)
    found = allocate(curves, 1.0, min_ticket=[0.2, 0.0, 0.25], groups=["a", None, "a"], group_upper=0.52)
    assert found.group_amounts.tolist() == [0.5]
    assert found.group_prices.tolist() == [0.0]
    assert reasons(found) == ["none", "none", "ticket"]


def test_what_a_fixed_cost_keeps_out_is_held_as_it_is() -> None:
    assert reasons(allocate(LINES, 0.14, fixed_cost=0.005)) == ["none", "held"]


def test_what_is_sold_out_for_a_full_group_is_stopped_by_it() -> None:
    curves = CurveSet.from_params(list("ABC"), "linear", [[-1e-6, 0.9], [-1e-6, 0.8], [-1e-6, 0.3]])
    found = allocate(
        curves, 3e5, groups={"g": ["B", "C"]}, group_upper=1e4, current=[0.0, 0.0, 1e5], trade_cost=0.1
    )  # fmt: skip
    assert reasons(found) == ["none", "group", "group"]
