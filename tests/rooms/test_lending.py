"""The lending loop against the reference results, its plain-Python twin and what always holds."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import DeFiSimulator, LendingResult, LendingStrategy, ScenarioError, StopReason, simulate, tables
from escala.lending.result import RESULT_NAMES
from escala.lending.strategy import ARGUMENT_NAMES, STRATEGY_FIELDS
from tests.naive import lending as naive
from tests.places import DATA
from tests.strategies import Parameters, parameter_sets

#: What the kernel computes, but for the reason of the end.
OUTPUTS = tuple(row.name for row in (*tables.LENDING_VALUES, *tables.LENDING_COUNTS) if row.unit != "code")
STOPS = tables.names(tables.STOPS)


def run(sets: Sequence[Parameters], **options: Any) -> LendingResult:
    """Simulate parameter sets together, every field an array."""
    full = [{**naive.LENDING_DEFAULTS, **parameters} for parameters in sets]
    columns = {name: np.array([parameters[name] for parameters in full]) for name in full[0]}
    strategy = LendingStrategy(**{name: columns[name] for name in STRATEGY_FIELDS})
    supply, borrow, target, wallet = (columns[name] for name in ARGUMENT_NAMES)
    return simulate(supply, borrow, target, wallet, strategy=strategy, **options)


def bits(value: Any) -> bytes:
    return np.asarray(value, dtype=np.float64).tobytes()


def assert_equal_to_naive(sets: Sequence[Parameters], result: LendingResult) -> None:
    for i, parameters in enumerate(sets):
        expected = naive.naive_simulate(**parameters)
        for name in OUTPUTS:
            ours = getattr(result, name)[i]
            assert bits(ours) == bits(getattr(expected, name)), (name, float(ours), getattr(expected, name), parameters)
        assert STOPS[int(result.stop[i])] == expected.stop


def golden(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="") as file:
        return list(csv.DictReader(file))


# --- reference results ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lending.csv", "lending_strategies.csv"])
def test_reference_scenarios_to_the_last_bit(name: str) -> None:
    rows = golden(name)
    inputs = [k for k in rows[0] if k in naive.LENDING_DEFAULTS or k in ARGUMENT_NAMES]
    result = run([{k: float(row[k]) for k in inputs} for row in rows])
    compared = [k for k in rows[0] if k in OUTPUTS]
    assert len(rows) == 200
    assert len(compared) == 16
    for column in compared:
        assert bits(getattr(result, column)) == bits([float(row[column]) for row in rows]), column
    assert [STOPS[int(code)] for code in result.stop] == [row["stop"] for row in rows]


def test_reference_path_operation_by_operation() -> None:
    operations = DeFiSimulator(1000, 600, 1500, 200).run().operations
    assert operations is not None
    rows = golden("lending_path_a.csv")
    for column in rows[0]:
        assert bits(operations[column]) == bits([float(row[column]) for row in rows]), column


@pytest.mark.nojit
def test_reference_scenarios_that_end_soon() -> None:
    rows = [row for row in golden("lending_strategies.csv") if float(row["rescale_attempts"]) < 400][:40]
    sets = [{k: float(row[k]) for k in row if k in naive.LENDING_DEFAULTS or k in ARGUMENT_NAMES} for row in rows]
    result = run(sets)
    for column in OUTPUTS:
        if column in rows[0]:
            assert bits(getattr(result, column)) == bits([float(row[column]) for row in rows]), column
    for parameters in sets[:5]:
        assert_operations_equal_naive(parameters)


# --- the plain-Python twin --------------------------------------------------------------------------------------


@given(st.lists(parameter_sets(), min_size=1, max_size=40))
def test_equal_to_naive_over_the_whole_accepted_range(sets: list[Parameters]) -> None:
    assert_equal_to_naive(sets, run(sets))


def realistic(n: int, seed: int) -> list[Parameters]:
    """Draw strategies one would try, on positions one would have."""
    rng = np.random.default_rng(seed)
    supply = rng.uniform(100, 2000, n)
    columns = {
        "supply": supply,
        "borrow": supply * rng.uniform(0.0, 0.75, n) * (rng.random(n) > 0.1),
        "target": supply * rng.uniform(1.0, 3.0, n),
        "wallet": rng.uniform(10, 500, n) * (rng.random(n) > 0.2),
        "min_profit": 10.0 ** rng.uniform(-7, 1, n),
        "repay": rng.uniform(0.0, 0.3, n),
        "repay_stalling": rng.uniform(0.0, 0.2, n),
        "repay_stalled": rng.uniform(0.0, 0.1, n),
        "target_ltv": rng.uniform(0.4, 0.73, n),
        "target_ltv_stalled": rng.uniform(0.4, 0.73, n),
        "draw_fraction": rng.choice([0.5, 0.8, 0.95, 1.0], n),
        "reinvest_far": rng.choice([0.0, 0.3, 0.6, 0.95, 1.0], n),
        "reinvest_mid": rng.choice([0.0, 0.4, 1.0], n),
        "reinvest_near": rng.choice([0.0, 0.2, 1.0], n),
        "reinvest_stalling": rng.uniform(0, 1, n),
        "reinvest_stalled": rng.choice([0.0, 0.05, 1.0], n),
        "max_rescale_attempts": rng.choice([1, 5, 20, 37, 50, 80], n),
        "max_fallback_attempts": rng.integers(0, 6, n),
        "max_operations": rng.integers(1, 150, n),
        "max_stagnant_operations": rng.integers(1, 36, n),
    }
    return [{name: float(column[i]) for name, column in columns.items()} for i in range(n)]


def test_equal_to_naive_on_realistic_strategies() -> None:
    sets = realistic(4000, seed=7)
    assert_equal_to_naive(sets, run(sets))


def test_equal_to_naive_beyond_the_multipliers_walked_in_advance() -> None:
    sets = [{**p, "max_rescale_attempts": 1500.0, "max_operations": 5.0} for p in realistic(24, seed=11)]
    assert_equal_to_naive(sets, run(sets))


def test_the_fallback_is_entered_and_counted() -> None:
    none = dict.fromkeys(
        ("reinvest_far", "reinvest_mid", "reinvest_near", "reinvest_stalling", "reinvest_stalled", "repay",
         "repay_stalling", "repay_stalled", "repay_floor"), 0.0
    )  # fmt: skip
    rng = np.random.default_rng(5)
    sets: list[Parameters] = [
        {**none, "supply": s, "borrow": s * b, "target": 2 * s, "wallet": 0.0, "draw_fraction": 1.0, "ltv_ceiling": 0.9,
         "target_ltv": 0.9, "target_ltv_stalled": 0.9, "max_operations": 60.0}
        for s, b in zip(rng.uniform(100, 2000, 60), rng.uniform(0.4, 0.7, 60), strict=True)
    ]  # fmt: skip
    result = run(sets)
    assert int(result.fallback_attempts.sum()) > 0
    assert_equal_to_naive(sets, result)


# --- the table of operations ------------------------------------------------------------------------------------


def assert_operations_equal_naive(parameters: Parameters) -> LendingResult:
    arguments = {name: parameters[name] for name in ARGUMENT_NAMES}
    fields = {name: value for name, value in parameters.items() if name not in ARGUMENT_NAMES}
    result = DeFiSimulator(**arguments, strategy=LendingStrategy(**fields)).run()
    expected = naive.naive_simulate(**parameters)
    assert result.operations is not None
    assert len(result.operations["operation"]) == len(expected.rows)
    for name in expected.rows[0] if expected.rows else ():
        assert bits(result.operations[name]) == bits([row[name] for row in expected.rows]), (name, parameters)
    for name in OUTPUTS:
        assert bits(getattr(result, name)) == bits(getattr(expected, name)), name
    return result


@given(parameter_sets())
def test_operations_equal_naive(parameters: Parameters) -> None:
    assert_operations_equal_naive(parameters)


def test_a_table_longer_than_a_block() -> None:
    result = assert_operations_equal_naive(
        {"supply": 1e6, "borrow": 5e5, "target": 3e6, "wallet": 0.0, "max_stagnant_operations": 4000.0}
    )
    assert result.operations is not None
    assert len(result.operations["operation"]) > 4096


# --- what always holds ------------------------------------------------------------------------------------------


@given(parameter_sets())
def test_guarantees_of_every_operation(parameters: Parameters) -> None:
    result = assert_operations_equal_naive(parameters)
    rows = result.operations
    assert rows is not None
    p = {**naive.LENDING_DEFAULTS, **parameters}
    executed = rows["executed"] == 1
    assert np.all(rows["profit"][executed] > p["min_profit"])
    assert np.all(rows["health_factor"][executed] > p["min_health_factor"])
    for name in ("drawn", "repaid", "fee", "reinvested", "profit"):
        assert np.all(rows[name][~executed] == 0.0)
    supply = np.concatenate([[p["supply"]], rows["supply"]])
    borrow = np.concatenate([[p["borrow"]], rows["borrow"]])
    wallet = np.concatenate([[p["wallet"]], rows["wallet"]])
    assert np.all(np.diff(supply) >= 0.0)
    assert np.all(np.diff(borrow) >= 0.0)
    assert np.all(np.diff(wallet) <= 0.0)
    assert np.all(rows["buffer"] >= 0.0)
    assert int(result.executed + result.skipped) <= p["max_operations"]
    if not executed.any() and p["wallet"] == 0.0:
        assert float(result.health_factor) == float(result.start_health_factor)


@given(st.lists(parameter_sets(), min_size=1, max_size=20))
def test_guarantees_of_every_scenario(sets: list[Parameters]) -> None:
    result = run(sets)
    for i, parameters in enumerate(sets):
        p = {**naive.LENDING_DEFAULTS, **parameters}
        start = Fraction(p["supply"]) + Fraction(p["wallet"]) - Fraction(p["borrow"])
        end = sum(
            (Fraction(float(column[i])) for column in (result.final_supply, result.final_buffer, result.final_wallet)),
            Fraction(0),
        )
        end += Fraction(float(result.fees[i])) - Fraction(float(result.final_borrow[i]))
        operations = int(result.executed[i] + result.skipped[i])
        whole = Fraction(p["supply"]) + Fraction(p["wallet"]) + Fraction(p["borrow"])
        assert abs(end - start) <= 12 * (operations + 1) * Fraction(1, 2**53) * whole
        bound = float(result.supply_bound[i])
        assert float(result.final_supply[i]) <= bound * (1 + 1e-12) + 1e-9 * p["supply"]
        assert bool(result.reachable[i]) == (p["target"] <= bound)
        assert bits(result.net_equity_change[i]) == bits(-result.fees[i])
        assert result.positive_share[i] == (1.0 if result.executed[i] else 0.0)
        if result.executed[i]:
            assert result.lowest_profit[i] > p["min_profit"]
            assert result.lowest_health_factor[i] > p["min_health_factor"]
        else:
            assert result.lowest_profit[i] == result.lowest_health_factor[i] == math.inf


def test_half_of_the_stalled_runs_are_below_the_bound() -> None:
    """The bound is a proof, not a forecast: the documentation says so, and this is why."""
    rng = np.random.default_rng(3)
    supply = rng.uniform(100, 2000, 2000)
    result = simulate(supply, supply * rng.uniform(0.4, 0.7, 2000), supply * rng.uniform(1.2, 3, 2000), 100)
    stalled = result.stop == StopReason.STALLED
    assert 0.3 < np.mean(result.reachable[stalled]) < 0.7


# --- determinism ------------------------------------------------------------------------------------------------


def everything(result: LendingResult) -> bytes:
    return b"".join(bits(getattr(result, name)) for name in (*OUTPUTS, "stop"))


def test_same_bits_for_any_threads_split_and_order() -> None:
    sets = realistic(5000, seed=2)
    reference = run(sets, threads=1)
    for threads in (2, 7):
        assert everything(run(sets, threads=threads)) == everything(reference)
    for cuts in ([0, 1, 5000], [0, 1000, 1001, 4097, 5000]):
        parts = [run(sets[a:b]) for a, b in itertools.pairwise(cuts)]
        for name in (*OUTPUTS, "stop"):
            assert bits(np.concatenate([getattr(part, name) for part in parts])) == bits(getattr(reference, name)), name
    backwards = run(sets[::-1], threads=2)
    for name in (*OUTPUTS, "stop"):
        assert bits(getattr(backwards, name)[::-1]) == bits(getattr(reference, name)), name


def test_any_broadcast_equals_the_full_arrays() -> None:
    supply = np.linspace(100, 2000, 7)[:, None, None, None]
    share = np.array([0.0, 0.4, 0.6])[:, None, None]
    wallet = np.array([0.0, 50.0])
    strategy = LendingStrategy(repay=np.array([[0.05], [0.11]]), max_operations=60)
    result = simulate(supply, supply * share, 1500.0, wallet, strategy=strategy, threads=2)
    assert result.shape == (7, 3, 2, 2)
    full = [np.ascontiguousarray(np.broadcast_to(a, result.shape)) for a in (supply, supply * share, wallet)]
    repay = np.ascontiguousarray(np.broadcast_to(strategy.repay, result.shape))
    again = simulate(full[0], full[1], 1500.0, full[2], strategy=strategy.replace(repay=repay))
    assert everything(result) == everything(again)
    frame = result.to_dataframe()
    assert frame.shape == (84, len(RESULT_NAMES) + 1)  # and the field that varies
    assert sorted(frame["repay"].unique()) == [0.05, 0.11]


def test_inputs_are_not_modified_and_lists_and_series_are_welcome() -> None:
    import pandas

    supply = np.array([1000.0, 500.0])
    supply.flags.writeable = False
    expected = simulate(supply, 300, 1500, 200)
    for given_supply in ([1000, 500], pandas.Series([1000, 500]), np.array([1000, 500], dtype=np.float32), supply[::1]):
        assert everything(simulate(given_supply, 300, 1500, 200)) == everything(expected)
    assert supply.tolist() == [1000.0, 500.0]


# --- results ----------------------------------------------------------------------------------------------------


def test_derived_numbers_follow_their_definitions() -> None:
    strategy = LendingStrategy(free_collateral_factor=0.5)
    r = simulate([1000.0, 800.0], [600.0, 0.0], [1500.0, 700.0], [200.0, 10.0], strategy=strategy)
    S, E, W, B = r.final_supply, r.final_buffer, r.final_wallet, r.final_borrow
    assert bits(r.net_equity) == bits(S + E + W - B)
    assert bits(r.free_collateral) == bits((S - B) * 0.5)
    assert bits(r.withdrawable) == bits(np.maximum(0.0, S - B * 1.01 / 0.74))
    assert bits(r.ltv) == bits(B / S)
    assert bits(r.leverage) == bits(S / (S - B))
    assert bits(r.health_factor) == bits([S[0] * 0.74 / B[0], math.inf])
    assert bits(r.start_health_factor) == bits([1000 * 0.74 / 600, math.inf])
    assert r.supply_bound[0] == (1000 + 200 - 600.0) / (1 - min(0.73, 0.74 / 1.01))
    assert r.expected_supply[0] == (1000 + 200 - 600.0) / (1 - 0.69 / (1 + 0.11 * (1 + 0.0025)))
    assert r.expected_supply[1] == (800 + 10) / (1 - 0.69 / (1 + 0.11 * (1 + 0.0025)))
    assert list(r.stop) == [StopReason.TARGET_REACHED, StopReason.TARGET_REACHED]
    assert repr(r) == "<LendingResult of 2 scenarios: target_reached 2, stalled 0, max_operations 0>"
    assert list(r.to_dict())[:4] == list(ARGUMENT_NAMES)
    with pytest.raises(ValueError, match="one scenario"):
        _ = r.stop_reason


def test_scalars_in_scalars_out() -> None:
    result = simulate(1000, 600, 1500, 200)
    assert result.shape == ()
    assert isinstance(result.profit, np.float64)
    assert result.stop_reason is StopReason.TARGET_REACHED


def test_empty_input_gives_an_empty_result() -> None:
    result = simulate([], 0, 10, 0)
    assert result.shape == (0,)
    assert result.summary() == "no scenarios"


def test_summary_of_one_shows_equity_and_debt_and_warns() -> None:
    text = simulate(500, 300, 2000, 50).summary()
    for part in (
        "stalled after 1,795 operations (1,759 executed, 36 skipped)",
        "net equity             250.00        191.32   -58.68 (-23.47%), all of it fees",
        "165.49 added",
        "supply can never exceed 925.93 (proven); rule of thumb 660.45",
        "collateral may fall by 4.23%",
        "warning: fees of 58.68 exceed the profit of 42.72",
        "warning: fees of 58.68 exceed 1 % of the starting equity 250.00",
        "warning: the target lies above what this position and strategy can ever reach",
    ):
        assert part in text
    text = simulate(100, 90, 150, 0).summary()
    assert "the position can be liquidated as it is" in text
    assert "warning: the health factor started and stays at or below the wanted minimum" in text
    assert "net equity              10.00         10.00   unchanged" in text
    indebted = simulate(1000, 1200, 1500, 10).summary()
    assert "exceed 1 % of the starting equity" not in indebted
    assert "target met at the start" in simulate(1000, 600, 900, 0).summary()
    assert "warning" not in simulate(1000, 600, 1500, 200).summary()
    assert "no debt: nothing to liquidate" in simulate(1000, 0, 900, 0).summary()


def test_summary_of_many_counts_outcomes() -> None:
    text = simulate([1000, 500, 1000, 100], [600, 300, 0, 90], [1500, 2000, 900, 150], [200, 50, 0, 0]).summary()
    for part in (
        "4 scenarios",
        "target reached by operations                                   1   25.00%",
        "target met at the start                                        1   25.00%",
        "stalled, target above the proven bound                         2   50.00%",
        "(of all) could be liquidated at the start                      1   25.00%",
        "(of all) no operation executed, target not met                 1   25.00%",
        "warning: fees exceed the profit in 1 scenario",
    ):
        assert part in text, text


def test_strategies_compare_replace_and_refuse_unknown_fields() -> None:
    assert LendingStrategy() == LendingStrategy()
    assert LendingStrategy(repay=[0.1, 0.2]) == LendingStrategy(repay=np.array([0.1, 0.2]))
    assert LendingStrategy().replace(repay=0.2) != LendingStrategy()
    with pytest.raises(TypeError, match="unexpected keyword"):
        LendingStrategy().replace(repayment=0.2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(LendingStrategy())


# --- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, -2, math.nan, 5, math.inf, -1], 0, 1, 0), r"supply must be in \[1e-100, 1e\+100\], but supply\[1\] = -2.0; supply\[2\] = nan; supply\[4\] = inf and 1 more"),
        ((0, 0, 1, 0), r"supply must be in .*, but supply = 0.0"),
        ((1, 1e-101, 1, 0), r"borrow must be 0 or in \[1e-100, 1e\+100\], but borrow = 1e-101"),
        ((1, 0, [[1], [0]], 0), r"target must be in .*, but target\[1, 0\] = 0.0"),
        ((1, 0, 1, -1), r"wallet must be 0 or in .*, but wallet = -1.0"),
        (("many", 0, 1, 0), r"supply must be real numbers, not 'many'"),
        ((1, 1j, 1, 0), r"borrow must be real numbers, not 1j"),
        ((1, None, 1, 0), r"borrow must be real numbers, not None: it holds text or None"),
        (([1, 2], 0, [1, 2, 3], 0), r"supply of shape \(2,\) and target of shape \(3,\) do not broadcast"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ScenarioError, match=f"^{message}"):
        simulate(*arguments)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"repay": [0.1, 1.5]}, r"repay must be in \[0, 1\], but repay\[1\] = 1.5"),
        ({"repay_step": 0}, r"repay_step must be in \(0, 1\], but repay_step = 0.0"),
        ({"fee_rate": 1.1}, r"fee_rate must be in \[0, 1\], but fee_rate = 1.1"),
        ({"reinvest_decay": 1.0}, r"reinvest_decay must be in \[0, 1\), but reinvest_decay = 1.0"),
        ({"ltv_ceiling": 1.0}, r"ltv_ceiling must be in \(0, 1\), but ltv_ceiling = 1.0"),
        ({"min_health_factor": 0.99}, r"min_health_factor must be in \[1, 1000000.0\], but min_health_factor = 0.99"),
        ({"min_profit": math.inf}, r"min_profit must be in \[0, 1e\+100\], but min_profit = inf"),
        ({"max_operations": 2.5}, r"max_operations must be an integer in \[1, 2147483647\], but max_operations = 2.5"),
        ({"max_rescale_attempts": 0}, r"max_rescale_attempts must be an integer in \[1, 1000000\]"),
        ({"target_ltv": [[0.7, 0.8]]}, r"target_ltv must not exceed ltv_ceiling, but target_ltv\[0, 1\] = 0.8 and ltv_ceiling\[0, 1\] = 0.73"),
        ({"target_ltv_stalled": 0.74}, r"target_ltv_stalled must not exceed ltv_ceiling"),
        ({"ltv_floor": 0.8}, r"ltv_floor must not exceed ltv_ceiling"),
        ({"near_gap": 0.6}, r"near_gap must not exceed far_gap, but near_gap = 0.6 and far_gap = 0.5"),
        ({"stalling_after": 6}, r"stalling_after must not exceed stalled_after, but stalling_after = 6.0 and stalled_after = 5.0"),
        ({"near_gap": [[0.1], [0.4]], "far_gap": [0.5, 0.3]}, r"near_gap must not exceed far_gap, but near_gap\[1, 1\] = 0.4 and far_gap\[1, 1\] = 0.3"),
        ({"repay": [0.1, 0.2], "fee_rate": [0.1] * 3}, r"repay of shape \(2,\) and fee_rate of shape \(3,\) do not broadcast"),
    ],
)  # fmt: skip
def test_bad_strategies(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=f"^{message}"):
        LendingStrategy(**fields)


def test_every_field_has_its_range_checked() -> None:
    for name in STRATEGY_FIELDS:
        for bad in (math.nan, math.inf, -1.0):
            with pytest.raises(ScenarioError, match=f"^{name} must be .*but {name} = {bad}$"):
                LendingStrategy(**{name: bad})


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_bad_threads(threads: Any) -> None:
    with pytest.raises(ScenarioError, match="threads must be an integer of at least 1"):
        simulate(1, 0, 1, 0, threads=threads)


def test_a_simulator_takes_one_scenario() -> None:
    with pytest.raises(ScenarioError, match=r"target must be one number for a DeFiSimulator, not .* shape \(2,\)"):
        DeFiSimulator(1, 0, [1, 2], 0)
    with pytest.raises(ScenarioError, match="repay must be one number"):
        DeFiSimulator(1, 0, 1, 0, strategy=LendingStrategy(repay=[0.1, 0.2]))


def test_a_simulator_takes_arrays_of_one_element() -> None:
    result = DeFiSimulator([1000], 600, [[1500]], 200, strategy=LendingStrategy(liquidation_threshold=[0.74])).run()
    assert result.summary() == DeFiSimulator(1000, 600, 1500, 200).run().summary()
    assert result.to_dict() == DeFiSimulator(1000, 600, 1500, 200).run().to_dict()


def test_a_strategy_keeps_its_values_when_the_callers_array_changes() -> None:
    repay = np.array([0.1, 0.2])
    strategy = LendingStrategy(repay=repay)
    repay[1] = math.nan
    assert np.asarray(strategy.repay).tolist() == [0.1, 0.2]
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(strategy.repay)[0] = 0.5


def test_a_strategy_must_be_one() -> None:
    fields: Any = {"repay": 0.1}
    for call in (simulate, DeFiSimulator):
        with pytest.raises(ScenarioError, match=r"strategy must be a LendingStrategy, not \{'repay': 0.1\}"):
            call(1, 0, 1, 0, strategy=fields)


def test_progress_is_told_in_order_up_to_the_end() -> None:
    for threads in (1, 2):
        told: list[int] = []
        simulate(np.full(3000, 1000.0), 600, 1200, 50, threads=threads, progress=told.append)
        assert told == sorted(told)
        assert told[-1] == 3000
        assert len(told) > 4
