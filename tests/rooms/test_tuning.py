"""Tuning: never worse than its start, the same for the same seed, honest about scenarios that it did not see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from escala import Design, LendingResult, LendingStrategy, ScenarioError, simulate, sweep, tune

RANGES = {"supply": (500.0, 2000.0), "borrow": ("supply", 0.4, 0.6), "target": ("supply", 1.2, 1.4), "wallet": 100.0}
DESIGN = Design.sobol(RANGES, 1024, 1)


def worth(result: LendingResult) -> Any:
    return result.profit - 60.0 * result.fees


def test_the_best_of_one_field_is_that_of_a_fine_grid() -> None:
    found = tune(worth, DESIGN, {"repay": (0.0, 0.3)}, scenarios=512, evaluations=300, reach=False)
    rows = DESIGN.rows()
    grid = LendingStrategy(repay=np.linspace(0.0, 0.3, 601)[:, None])
    means = worth(simulate(*(rows[name] for name in RANGES), strategy=grid)).mean(axis=1)
    whole = (found.value * found.scenarios + found.held_out_value * found.held_out) / len(DESIGN)
    assert whole == pytest.approx(means.max(), rel=0.02)
    assert 280 <= found.evaluations <= 300
    assert (found.scenarios, found.held_out) == (512, 512)
    assert found.strategy == LendingStrategy(repay=found.fields["repay"])


def test_what_is_found_does_better_than_the_start_on_other_scenarios() -> None:
    found = tune("net_equity_change", DESIGN, scenarios=256, evaluations=600, seed=3)
    assert found.value > found.start_value
    assert found.held_out_value > found.held_out_start_value
    assert found.evaluations_per_second > 0
    assert set(found.to_dict()) >= {"fields", "value", "held_out_value", "evaluations_per_second"}
    assert "on 768 others" in found.summary()
    again = tune("net_equity_change", DESIGN, scenarios=256, evaluations=600, seed=3, threads=1)
    assert again.fields == found.fields
    assert again.value == found.value


def test_reaching_the_target_is_a_condition() -> None:
    lazy = tune(
        "net_equity_change", DESIGN, {"draw_fraction": (0.01, 1.0), "repay": (0.0, 0.5)}, evaluations=200, reach=False
    )
    bound = tune("net_equity_change", DESIGN, {"draw_fraction": (0.01, 1.0), "repay": (0.0, 0.5)}, evaluations=200)
    assert bound.value <= lazy.value
    held = [bound.reached, bound.start_reached]
    assert held[0] >= held[1] - 0.02


def test_an_objective_may_be_a_function_and_fields_whole() -> None:
    seen: list[tuple[int, ...]] = []

    def fewest(result: LendingResult) -> Any:
        seen.append(result.shape)
        return -np.asarray(result.executed).mean(axis=1)

    bounds: dict[str, tuple[float, float]] = {
        "stalling_after": (0, 9),
        "stalled_after": (0, 9),
        "target_ltv": (0.5, 0.99),
    }
    found = tune(fewest, DESIGN, bounds, evaluations=100, scenarios=100)
    assert {shape[1] for shape in seen} == {100, 924}
    assert found.fields["stalling_after"] == round(found.fields["stalling_after"])
    assert found.fields["stalling_after"] <= found.fields["stalled_after"]
    assert found.fields["target_ltv"] <= 0.73
    assert found.value >= found.start_value


def test_fields_keep_their_order_with_columns_of_the_design() -> None:
    ranges = {**RANGES, "ltv_ceiling": (0.70, 0.8), "target_ltv_stalled": 0.6, "stalling_after": [1.0, 2.0, 4.0]}
    design = Design.random(ranges, 64)
    fields = {"target_ltv": (0.5, 0.79), "stalled_after": (0, 10)}
    found = tune("net_equity_change", design, fields, evaluations=50)
    assert found.fields["target_ltv"] <= 0.70
    assert found.fields["stalled_after"] >= 4.0
    assert sweep(design, strategy=found.strategy).scenarios == 64
    tune("net_equity_change", design, evaluations=20)


@pytest.mark.parametrize("error", [ValueError("mine"), TypeError("mine"), RuntimeError("mine")])
def test_what_an_objective_raises_on_the_way_comes_out_as_it_is(error: Exception) -> None:
    def fails_later(result: LendingResult) -> Any:
        if result.shape[0] > 1:
            raise error
        return result.profit

    with pytest.raises(type(error), match=r"^mine$") as caught:
        tune(fails_later, DESIGN, {"repay": (0.0, 0.3)}, evaluations=20)
    assert caught.value is error


def test_a_share_of_ends_is_tuned_by_a_function() -> None:
    found = tune(lambda result: result.stop == 0, DESIGN, {"repay": (0.0, 0.3)}, evaluations=20, scenarios=64)
    assert found.value == found.reached


def test_no_more_is_tried_than_allowed() -> None:
    for evaluations in (5, 7, 20):
        assert tune("profit", DESIGN, {"repay": (0.0, 0.3)}, evaluations=evaluations).evaluations <= evaluations


def test_large_designs_are_not_made_whole() -> None:
    found = tune("profit", Design.random(RANGES, 2**31), {"repay": (0.0, 0.3)}, scenarios=4, evaluations=10, seed=1)
    assert found.scenarios == 4
    assert found.held_out == 16_384


def test_bad_arguments_are_named() -> None:
    cases: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        (("apy", DESIGN), {}, "objective 'apy' is no output"),
        (
            ("stop", DESIGN),
            {},
            "objective 'stop' is the number of the way in which a scenario ends, of which more is not",
        ),
        (("stop", DESIGN), {}, r"such as lambda result: result.stop == 0, the share that ends as target_reached$"),
        (
            ("supply", DESIGN),
            {},
            "objective 'supply' is a column of the design, which no field changes; name an output",
        ),
        ((3, DESIGN), {}, "objective must be the name of an output or a function, not 3"),
        (
            (lambda _: [1.0, 2.0, 3.0], DESIGN),
            {},
            r"objective must give values of shape \(1, 512\) or \(1,\), not \(3,\)",
        ),
        ((lambda r: r.profit * np.nan, DESIGN), {}, "the objective of the strategy begun with is not finite"),
        (("profit", DESIGN, {"supply": (1.0, 2.0)}), {}, "'supply' is no strategy field"),
        (("profit", DESIGN, {"repay": (0.5, 2.0)}), {}, r"repay must be \(low, high\) with low < high in \[0, 1\]"),
        (("profit", DESIGN, {}), {}, "fields must name at least one strategy field"),
        (("profit", DESIGN), {"evaluations": 4}, "evaluations must be an integer of at least 5, not 4"),
        (("profit", DESIGN), {"strategy": LendingStrategy(repay=[0.1])}, "repay must be one number to start from"),
        (("profit", Design.random({**RANGES, "repay": (0.0, 0.1)}, 9), {"repay": (0.0, 0.3)}), {}, "repay is a column"),
        (("profit", Design.random({"supply": 1.0}, 9)), {}, "no column borrow and no target and no wallet"),
        (("profit", Design.random(RANGES, 1)), {}, "at least 2 rows"),
        (("profit", 5), {}, "design must be a Design, not 5"),
        (("profit", Design.random({**RANGES, "size": 1.0}, 9, free=True)), {}, "unknown column 'size'"),
        (("profit", DESIGN), {"strategy": 5}, "strategy must be a LendingStrategy, not 5"),
        (("profit", DESIGN, ["repay"]), {}, r"fields must be a mapping of strategy fields to \(low, high\)"),
        (("profit", DESIGN, {"repay": "ab"}), {}, "fields: repay must be real numbers, not 'ab'"),
    ]
    for arguments, options, message in cases:
        with pytest.raises(ScenarioError, match=message):
            tune(*arguments, **options)
