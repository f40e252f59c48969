"""Plans up and down: against their plain twins, an executor of operations that knows nothing of them, and the best."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from escala import (
    CurveSet,
    LeveragePlan,
    PlanAction,
    PlanStatus,
    ScenarioError,
    UnwindPlan,
    plan_leverage,
    plan_unwind,
    tables,
)
from escala.lending.planned import Planned
from tests.naive import plan as naive
from tests.strategies import log_uniform

LIMITS: dict[str, Any] = {"max_ltv": 0.8, "liquidation_threshold": 0.85, "min_health_factor": 1.01}
COSTS: dict[str, Any] = {"fee_rate": 0.001, "swap_fee": 0.0005, "gas": 2.0, "flash_fee": 0.0009}
CURVES: dict[str, naive.Curve] = {
    "linear": ("linear", (-1e-5, 0.999), 0.0),
    "quadratic": ("quadratic", (1e-11, -2e-5, 0.999), 10.0),
    "exponential": ("exponential", (0.4, 1e-4, 0.59), 5.0),
    "sqrt": ("sqrt", (-1e-4, 0.999), 0.0),
}

#: Curves that first rise, or rise again.
BENT: dict[str, naive.Curve] = {
    "peaked": ("quadratic", (-3e-8, 0.0, 0.999), 5000.0),
    "rising again": ("quadratic", (2e-9, -4e-5, 0.9), 0.0),
    "line that rises": ("linear", (1e-6, 0.5), 0.0),
    "exponential that rises": ("exponential", (-0.7, 1e-4, 0.9), 0.0),
    "root that rises": ("sqrt", (1e-3, 0.2), 0.0),
    "above one": ("linear", (-1e-5, 1.2), 0.0),
}


def curve_set(name: str, trusted_to: float = math.inf) -> CurveSet:
    family, params, origin = (CURVES | BENT)[name]
    return CurveSet.from_params(["A"], family, [list(params)], origin=origin, trusted_to=trusted_to)


def bits(value: Any) -> bytes:
    return np.asarray(value, dtype=np.float64).tobytes()


# --- public numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.nojit
def test_five_folds_at_59_percent() -> None:
    plan = plan_leverage(
        16.033282413931269668, rounds=5, max_ltv=0.59, liquidation_threshold=0.65, min_health_factor=1
    )  # fmt: skip
    assert float(plan.final_supply) == pytest.approx(37.456073184621, abs=5e-13)
    assert float(plan.final_borrow) == pytest.approx(21.422790770690, abs=5e-13)
    assert plan.plan_status is PlanStatus.ROUNDS
    assert plan.operations_made == 16  # the first deposit, and five times three


@pytest.mark.nojit
def test_24_rounds_at_75_percent() -> None:
    plan = plan_leverage(100_000, rounds=24, max_ltv=0.75, liquidation_threshold=0.8, min_health_factor=1)
    assert round(float(plan.final_supply)) == 399_699
    assert float(plan.supply_bound) == pytest.approx(400_000, rel=1e-15)


@pytest.mark.nojit
def test_two_and_a_half_times_is_exactly_that() -> None:
    plan = plan_leverage(1000, leverage=2.5, **LIMITS)
    assert (float(plan.final_supply), float(plan.final_borrow)) == (2500.0, 1500.0)
    assert (float(plan.leverage), float(plan.ltv)) == (2.5, 0.6)
    by_ltv, by_supply = plan_leverage(1000, ltv=0.6, **LIMITS), plan_leverage(1000, to_supply=2500, **LIMITS)
    for same in (by_ltv, by_supply):
        assert float(same.final_supply) == pytest.approx(2500, rel=1e-14)
        assert same.operations_made == plan.operations_made == 10


@pytest.mark.nojit
def test_what_rounds_only_approach_a_flash_loan_reaches() -> None:
    plan = plan_leverage(1000, leverage=8, max_ltv=0.875, liquidation_threshold=0.9, min_health_factor=1)
    assert plan.plan_status is PlanStatus.UNREACHABLE
    assert plan.flash_reachable == 1
    assert (float(plan.flash_supply), float(plan.flash_borrow)) == (8000.0, 7000.0)
    assert float(plan.supply_bound) == 8000.0
    assert 7999.98 < float(plan.final_supply) < 8000.0
    assert math.isnan(plan.break_even_gas)
    assert "no number of rounds" in plan.summary()


@pytest.mark.nojit
def test_a_pair_at_93_and_a_half_percent() -> None:
    limits: dict[str, Any] = {"max_ltv": 0.935, "liquidation_threshold": 0.955, "min_health_factor": 1}
    plan = plan_leverage(10, leverage=15, **limits)
    assert float(plan.supply_bound) == pytest.approx(153.846, abs=5e-4)
    assert float(plan.lowest_health_factor) == pytest.approx(1.0214, abs=5e-5)
    assert plan.reached
    # 1/(1 − 0.935) itself is the limit, and what is beyond no flash loan reaches either
    assert plan_leverage(10, leverage=15.4, **limits).flash_reachable == 0


@pytest.mark.nojit
def test_the_first_step_at_a_health_factor_of_104() -> None:
    plan = plan_unwind(1000, 800, to_ltv=0.6, liquidation_threshold=0.832, min_health_factor=1.01)
    assert float(plan.first_step) == pytest.approx(1000 * (1 - 1.01 / 1.04), rel=1e-12)
    assert float(plan.operations["amount"][0]) == pytest.approx(float(plan.first_step), rel=1e-10)
    assert plan.plan_status is PlanStatus.REACHED
    assert float(plan.ltv) == pytest.approx(0.6, rel=1e-14)
    assert plan.lowest_health_factor >= 1.01


@pytest.mark.nojit
def test_closing_leaves_no_debt_and_gives_the_rest_back() -> None:
    plan = plan_unwind(2500, 1500, close=True, liquidation_threshold=0.85, min_health_factor=1.05)
    assert (float(plan.final_supply), float(plan.final_borrow)) == (0.0, 0.0)
    assert float(plan.cash_out) == pytest.approx(1000, rel=1e-14)
    assert plan.operations["action"].tolist()[-1] == PlanAction.WITHDRAW
    assert plan.health_factor == math.inf
    assert plan.leverage == 1.0


@pytest.mark.nojit
def test_debt_that_no_sale_covers_is_stated() -> None:
    plan = plan_unwind(1000, 1010, close=True, swap_fee=0.01, liquidation_threshold=0.85, min_health_factor=1)
    assert float(plan.shortfall) == pytest.approx(20)
    assert plan.plan_status is PlanStatus.UNREACHABLE
    assert plan.first_step == plan.rounds_made == plan.flash_reachable == 0
    assert "shortfall: selling all collateral would leave 20.00" in plan.summary()


@pytest.mark.nojit
def test_a_flash_loan_unwinds_what_rounds_cannot_begin() -> None:
    plan = plan_unwind(1000, 845, to_leverage=2, flash_fee=0.0005, liquidation_threshold=0.85, min_health_factor=1.05)
    assert plan.plan_status is PlanStatus.UNREACHABLE
    assert plan.flash_reachable == 1
    left, debt = float(plan.flash_supply), float(plan.flash_borrow)
    assert left / (left - debt) == pytest.approx(2, rel=1e-12)
    assert left - debt == pytest.approx(155 - float(plan.flash_cost), rel=1e-12)
    assert "repay from elsewhere" in plan.summary()


@pytest.mark.nojit
@pytest.mark.parametrize(("leverage", "status"), [(2.0, PlanStatus.MET), (1.5, PlanStatus.BEYOND)])
def test_where_nothing_is_to_be_done(leverage: float, status: PlanStatus) -> None:
    plan = plan_leverage(0, supply=1000, borrow=500, leverage=leverage, **LIMITS)
    assert plan.plan_status is status
    assert plan.operations_made == plan.flash_loan == 0
    assert plan.operations["amount"].size == 0


# --- the twins --------------------------------------------------------------------------------------------------------


@st.composite
def situations(draw: st.DrawFn) -> dict[str, Any]:
    """Limits and costs, mostly as they are in the world."""
    threshold = draw(st.floats(0.05, 1.0) | st.sampled_from([0.83, 0.955, 0.975]))
    ltv = draw(st.floats(0.01, 0.999))
    return {
        "liquidation_threshold": threshold,
        "max_ltv": min(ltv, threshold),
        "min_health_factor": draw(st.sampled_from([1.0, 1.01, 1.05]) | st.floats(1.0, 3.0)),
        "rounds": float(draw(st.integers(0, 30) | st.just(100))),
        "fee_rate": draw(st.sampled_from([0.0, 0.001]) | st.floats(0.0, 0.3)),
        "swap_fee": draw(st.sampled_from([0.0, 0.0005, 0.003, 0.3])),
        "flash_fee": draw(st.sampled_from([0.0, 0.0005, 0.0009]) | st.floats(0.0, 0.2)),
        "flash_steps": draw(st.sampled_from([0.0, 3.0, 10.0])),
    }


@st.composite
def ways_up(draw: st.DrawFn) -> dict[str, Any]:
    supply = draw(st.just(0.0) | log_uniform(1e-3, 1e9))
    position = {
        "supply": supply,
        "equity": draw(log_uniform(1e-3, 1e9) if supply == 0.0 else st.just(0.0) | log_uniform(1e-3, 1e9)),
        "borrow": supply * draw(st.just(0.0) | st.floats(1e-9, 1.1)),
    }
    kind, values = draw(
        st.sampled_from([
            ("leverage", st.floats(1.0, 30.0)), ("ltv", st.floats(0.0, 0.99)), ("to_supply", log_uniform(1e-3, 1e10)),
            (None, st.just(0.0)),
        ])
    )  # fmt: skip
    return {**draw(situations()), **position, "depth": draw(st.sampled_from([0.0, 0.002, 0.4]))} | (
        {kind: draw(values)} if kind else {}
    )


@st.composite
def ways_down(draw: st.DrawFn) -> dict[str, Any]:
    supply = draw(log_uniform(1e-3, 1e9))
    borrow = supply * draw(st.just(0.0) | st.floats(1e-9, 1.1) | st.floats(0.5, 0.8))
    kind, values = draw(
        st.sampled_from([
            ("to_leverage", st.floats(1.0, 30.0)), ("to_ltv", st.floats(0.0, 0.99)),
            ("repay", st.floats(1e-9, 1.0).map(lambda share: borrow * share)), ("close", st.just(True)),
        ])
    )  # fmt: skip
    value = draw(values)
    position = {"supply": supply, "borrow": borrow, kind: value}
    return {**draw(situations()), **position, "depth": draw(st.sampled_from([0.0, 0.002, 0.4]))}


def twin(plan: Planned, given: dict[str, Any], curve: naive.Curve | None = None) -> tuple[dict[str, float], list[Any]]:
    """Run the twin on the terms that the kernel was given; these come from the shell, and are tested by themselves."""
    names = ("aim", "per_supply", "per_borrow", "keep", "most")
    terms = {name: float(plan.terms.numbers[name]) for name in names}
    plain = {name: float(value) for name, value in given.items() if name in naive.PLAN_DEFAULTS}
    if isinstance(plan, UnwindPlan):
        return naive.naive_unwind(
            **terms, close=float(plan.terms.numbers["close"]), curve=curve, **given_limits(plain, given)
        )
    return naive.naive_leverage(**terms, curve=curve, **given_limits(plain, given))


def given_limits(plain: dict[str, float], given: dict[str, Any]) -> dict[str, float]:
    return {**plain, **{name: float(given[name]) for name in LIMITS}}


def assert_equal_to_twin(plan: Planned, given: dict[str, Any], curve: naive.Curve | None = None) -> None:
    expected, rows = twin(plan, given, curve)
    for name in tables.names((*plan.VALUES, *plan.COUNTS)):
        assert bits(getattr(plan, name)) == bits(expected[name]), (name, getattr(plan, name), expected[name], given)
    operations = plan.operations
    for column, name in enumerate(("action", "amount", "fee", "supply", "borrow", "cash")):
        assert bits(operations[name]) == bits([row[column] for row in rows]), name


@given(ways_up())
def test_leverage_equals_its_twin(given_: dict[str, Any]) -> None:
    assert_equal_to_twin(plan_up(given_), given_)


@given(ways_down())
def test_unwinding_equals_its_twin(given_: dict[str, Any]) -> None:
    assert_equal_to_twin(plan_down(given_), given_)


def plan_up(given_: dict[str, Any]) -> LeveragePlan:
    return plan_leverage(**given_)


def plan_down(given_: dict[str, Any]) -> UnwindPlan:
    return plan_unwind(**given_)


@given(st.sampled_from(sorted(CURVES | BENT)), ways_up(), st.sampled_from([math.inf, 1e4, 30.0]))
def test_leverage_with_a_curve_equals_its_twin(name: str, given_: dict[str, Any], trusted_to: float) -> None:
    position = {key: value for key, value in given_.items() if key != "depth"}
    curve = (CURVES | BENT)[name]
    assume(given_["swap_fee"] < max(naive.eta(curve, 1.0, size) for size in (0.0, min(trusted_to, 1e4))))
    plan = plan_leverage(**position, depth=curve_set(name, trusted_to))
    assert_equal_to_twin(plan, position, curve)


@given(st.sampled_from(sorted(CURVES | BENT)), ways_down(), st.sampled_from([math.inf, 1e4, 30.0]))
def test_unwinding_with_a_curve_equals_its_twin(name: str, given_: dict[str, Any], trusted_to: float) -> None:
    position = {key: value for key, value in given_.items() if key != "depth"}
    curve = (CURVES | BENT)[name]
    assume(given_["swap_fee"] < max(naive.eta(curve, 1.0, size) for size in (0.0, min(trusted_to, 1e4))))
    plan = plan_unwind(**position, depth=curve_set(name, trusted_to))
    assert_equal_to_twin(plan, position, curve)


@pytest.mark.parametrize("threads", [1, 3])
def test_many_plans_have_the_bits_of_each_alone(threads: int) -> None:
    rng = np.random.default_rng(3)
    leverage, equity = rng.uniform(1, 6, 700), rng.uniform(1, 1e5, 700)
    many = plan_leverage(equity, leverage=leverage, threads=threads, **LIMITS, **COSTS)
    down = plan_unwind(many.final_supply, many.final_borrow, close=True, threads=threads, swap_fee=1e-3,
                       liquidation_threshold=0.85, min_health_factor=1.02)  # fmt: skip
    for k in range(0, 700, 37):
        one = plan_leverage(equity[k], leverage=leverage[k], **LIMITS, **COSTS)
        other = plan_unwind(many.final_supply[k], many.final_borrow[k], close=True, swap_fee=1e-3,
                            liquidation_threshold=0.85, min_health_factor=1.02)  # fmt: skip
        for plans, alone in ((many, one), (down, other)):
            for name in plans.NAMES:
                assert bits(getattr(plans, name)[k]) == bits(getattr(alone, name)), name
            for name, column in plans.operations_of(k).items():
                assert bits(column) == bits(alone.operations[name]), name


# --- an executor that knows nothing of plans --------------------------------------------------------------------------


class Position:
    """A lending position in exact fractions: takes operations, one after the other, and refuses what it must."""

    def __init__(self, supply: float, borrow: float, limits: dict[str, float]) -> None:
        self.start = self.supply = Fraction(supply)
        self.borrow = Fraction(borrow)
        self.limits = {name: Fraction(value) for name, value in limits.items()}
        self.spent = Fraction(0)
        self.lowest: Fraction | None = None

    def check(self) -> None:
        """Refuse what would leave the limits, or take more than there is, by more than rounding."""
        slack = 1 + Fraction(1, 10**12)
        rounding = self.start / 10**15
        assert self.supply >= -rounding
        if self.borrow <= rounding:
            return
        assert self.borrow <= self.limits["max_ltv"] * self.supply * slack
        weighted = self.supply * self.limits["liquidation_threshold"]
        assert weighted * slack >= self.borrow * self.limits["min_health_factor"]

    def execute(self, operations: Any) -> None:
        for action, amount, fee in zip(operations["action"], operations["amount"], operations["fee"], strict=True):
            moved = Fraction(float(amount))
            match PlanAction(int(action)):
                case PlanAction.DEPOSIT:
                    self.supply += moved
                case PlanAction.BORROW:
                    self.borrow += moved
                    self.check()
                case PlanAction.WITHDRAW:
                    self.supply -= moved
                    self.check()
                case PlanAction.REPAY:
                    self.borrow -= moved
                case _:
                    pass
            self.spent += Fraction(float(fee))


def close_to(a: Fraction, b: float, scale: float) -> bool:
    return abs(a - Fraction(b)) <= Fraction(scale) / 10**12


@given(ways_up())
def test_a_plan_executed_step_by_step_ends_at_its_target_within_all_limits(given_: dict[str, Any]) -> None:
    plan = plan_up(given_)
    start = Position(given_["supply"], given_["borrow"], {name: given_[name] for name in LIMITS})
    start.execute(plan.operations)
    scale = float(plan.final_supply + plan.final_borrow)
    assert close_to(start.supply, float(plan.final_supply), scale)
    assert close_to(start.borrow, float(plan.final_borrow), scale)
    before = Fraction(given_["supply"]) + Fraction(given_["equity"]) - Fraction(given_["borrow"])
    assert close_to(before - start.spent, float(start.supply - start.borrow), scale)
    assert close_to(start.spent, float(plan.fees + plan.swap_cost), scale)
    operations = plan.operations
    drawn = operations["action"] == PlanAction.BORROW
    assert (operations["health_factor"][drawn] >= given_["min_health_factor"]).all()
    assert (operations["ltv"][drawn] <= given_["max_ltv"]).all()
    if plan.plan_status is PlanStatus.REACHED:
        kind = plan.terms.kind
        ended = {"leverage": plan.leverage, "ltv": plan.ltv, "to_supply": plan.final_supply}[kind]
        amplified = float(plan.leverage) if kind == "leverage" else 1.0
        assert float(ended) == pytest.approx(given_[kind], rel=1e-12 * amplified, abs=1e-13)
    assert plan.final_supply <= plan.supply_bound * (1 + 1e-12)


@given(ways_down())
def test_an_unwinding_executed_step_by_step_ends_at_its_target_within_all_limits(given_: dict[str, Any]) -> None:
    plan = plan_down(given_)
    start = Position(given_["supply"], given_["borrow"], {name: given_[name] for name in LIMITS})
    start.execute(plan.operations)
    scale = given_["supply"] + given_["borrow"]
    assert close_to(start.supply, float(plan.final_supply), scale)
    assert close_to(start.borrow, float(plan.final_borrow), scale)
    before = Fraction(given_["supply"]) - Fraction(given_["borrow"])
    assert close_to(before - start.spent, float(start.supply - start.borrow) + float(plan.cash_out), scale)
    operations = plan.operations
    taken = (operations["action"] == PlanAction.WITHDRAW) & (operations["borrow"] > 0.0)
    assert (operations["health_factor"][taken] >= given_["min_health_factor"]).all()
    assert (operations["ltv"][taken] <= given_["max_ltv"]).all()
    if plan.plan_status is PlanStatus.REACHED:
        if plan.terms.kind == "close":
            assert plan.final_borrow == 0.0
        elif plan.terms.kind == "repay":
            assert float(plan.repaid) == pytest.approx(given_["repay"], rel=1e-12, abs=1e-12 * given_["borrow"])
        else:
            ended = plan.ltv if plan.terms.kind == "to_ltv" else 1 - 1 / plan.leverage
            wanted = given_.get("to_ltv", 1 - 1 / given_.get("to_leverage", 1))
            assert float(ended) == pytest.approx(wanted, abs=1e-11)


@given(ways_up())
def test_the_flash_loan_executed_step_by_step_ends_where_the_plan_says(given_: dict[str, Any]) -> None:
    plan = plan_up(given_)
    start = Position(given_["supply"], given_["borrow"], {name: given_[name] for name in LIMITS})
    operations = plan.flash_operations
    start.execute(operations)
    scale = float(plan.flash_supply + plan.flash_borrow)
    assert close_to(start.supply, float(plan.flash_supply), scale)
    assert close_to(start.borrow, float(plan.flash_borrow), scale)
    assert close_to(start.spent, float(plan.flash_fees + plan.flash_swap_cost), scale)
    loan = operations["amount"][operations["action"] == PlanAction.FLASH_LOAN]
    owed = operations["amount"][operations["action"] == PlanAction.REPAY_FLASH_LOAN]
    assert owed.tolist() == pytest.approx((loan * (1 + given_["flash_fee"])).tolist())


@given(ways_down())
def test_the_flash_unwinding_executed_step_by_step_ends_where_the_plan_says(given_: dict[str, Any]) -> None:
    plan = plan_down(given_)
    start = Position(given_["supply"], given_["borrow"], {name: given_[name] for name in LIMITS})
    start.execute(plan.flash_operations)
    scale = given_["supply"] + given_["borrow"]
    assert close_to(start.supply, float(plan.flash_supply), scale)
    assert close_to(start.borrow, float(plan.flash_borrow), scale)
    assert close_to(start.spent, float(plan.flash_fees + plan.flash_swap_cost), scale)


# --- fewest, and how the two ways go together -------------------------------------------------------------------------


def most_reached(rounds: int, kind: str, position: tuple[float, float], limit: float, growth: float) -> float:
    """Search rounds of all sizes for the one that leads furthest."""
    best = 0.0
    for shares in itertools.product((0.25, 0.5, 0.75, 0.9, 1.0), repeat=rounds):
        supply, borrow = position
        for share in shares:
            drawn = share * max(limit * supply - borrow, 0.0)
            supply, borrow = supply + growth * drawn, borrow + drawn
        best = max(best, borrow / supply if kind == "ltv" else supply)
    return best


@pytest.mark.parametrize("kind", ["ltv", "to_supply"])
@pytest.mark.parametrize("growth", [1.0, 0.97])
def test_no_plan_of_fewer_rounds_leads_there(kind: str, growth: float) -> None:
    limits: dict[str, Any] = {"max_ltv": 0.7, "liquidation_threshold": 0.75, "min_health_factor": 1.0}
    for rounds in (1, 2, 3, 4):
        furthest = most_reached(rounds, kind, (100.0, 0.0), 0.7, growth)
        for factor, needed in ((0.999, rounds), (1.001, rounds + 1)):
            target: dict[str, Any] = {kind: furthest * factor}
            plan = plan_leverage(100, **target, depth=1 - growth, **limits)
            assert plan.plan_status is PlanStatus.REACHED
            assert plan.rounds_made == needed


@given(ways_up())
def test_no_round_of_a_plan_could_be_left_out(given_: dict[str, Any]) -> None:
    plan = plan_up(given_)
    if plan.plan_status is PlanStatus.REACHED:
        fewer = plan_up({**given_, "rounds": float(plan.rounds_made - 1)})
        assert fewer.plan_status is PlanStatus.ROUNDS
        assert fewer.rounds_made == plan.rounds_made - 1
        assert fewer.final_supply < plan.final_supply


@given(ways_down())
def test_no_round_of_an_unwinding_could_be_left_out(given_: dict[str, Any]) -> None:
    plan = plan_down(given_)
    if plan.plan_status is PlanStatus.REACHED:
        fewer = plan_down({**given_, "rounds": float(plan.rounds_made - 1)})
        assert fewer.plan_status is PlanStatus.ROUNDS
        assert fewer.rounds_made == plan.rounds_made - 1
        assert fewer.final_borrow > plan.final_borrow


def test_no_unwinding_of_fewer_rounds_leads_there() -> None:
    supply, borrow, growth, limit = 1000.0, 760.0, 0.99, 0.85
    for rounds in (1, 2, 3):
        furthest = 0.0
        for shares in itertools.product((0.25, 0.5, 0.75, 0.9, 1.0), repeat=rounds):
            left, debt = supply, borrow
            for share in shares:
                sold = share * max(left - debt / limit, 0.0)
                left, debt = left - sold, debt - growth * sold
            furthest = max(furthest, borrow - debt)
        for factor, needed in ((0.999, rounds), (1.001, rounds + 1)):
            plan = plan_unwind(supply, borrow, repay=furthest * factor, depth=1 - growth, liquidation_threshold=limit,
                               min_health_factor=1)  # fmt: skip
            assert plan.plan_status is PlanStatus.REACHED
            assert plan.rounds_made == needed


@given(st.floats(1.01, 4.0), st.sampled_from([0.0, 0.0005, 0.01]), st.sampled_from([0.0, 0.002]))
def test_up_and_down_again_returns_the_equity_less_the_costs(leverage: float, swap_fee: float, fee: float) -> None:
    up = plan_leverage(1000, leverage=leverage, swap_fee=swap_fee, fee_rate=fee, gas=1.5, **LIMITS)
    down = plan_unwind(up.final_supply, up.final_borrow, close=True, swap_fee=swap_fee, fee_rate=fee, gas=1.5,
                       max_ltv=0.8, liquidation_threshold=0.85, min_health_factor=1.01)  # fmt: skip
    assert down.reached
    back = float(down.cash_out) - float(up.gas_cost) - float(down.gas_cost)
    assert back == pytest.approx(1000 - float(up.cost) - float(down.cost), rel=1e-12)
    if swap_fee == fee == 0.0:
        assert float(down.cash_out) == pytest.approx(1000, rel=1e-12)


@given(st.floats(1.01, 4.5))
def test_flash_loan_and_loop_agree_where_nothing_costs(leverage: float) -> None:
    plan = plan_leverage(1000, leverage=leverage, **LIMITS)
    assert float(plan.flash_supply) == pytest.approx(float(plan.final_supply), rel=1e-12)
    assert float(plan.flash_borrow) == pytest.approx(float(plan.final_borrow), rel=1e-11, abs=1e-9)
    assert plan.flash_cost == pytest.approx(0.0, abs=1e-9)
    assert plan.cost == pytest.approx(0.0, abs=1e-9)


@given(st.floats(1.2, 4.4), st.floats(0.0, 0.01))
def test_at_the_break_even_gas_both_ways_cost_the_same(leverage: float, flash_fee: float) -> None:
    plan = plan_leverage(1000, leverage=leverage, flash_fee=flash_fee, swap_fee=0.001, **LIMITS)
    even = float(plan.break_even_gas)
    assume(0.0 < even < math.inf)
    there = plan_leverage(1000, leverage=leverage, flash_fee=flash_fee, swap_fee=0.001, gas=even, **LIMITS)
    assert float(there.cost) == pytest.approx(float(there.flash_cost), rel=1e-9)
    assert float(there.final_supply) == float(plan.final_supply)  # gas is paid beside the position


def test_one_round_is_never_dearer_than_a_flash_loan_whose_transaction_counts_as_three() -> None:
    plan = plan_leverage(0, supply=1000, leverage=1.5, flash_fee=0.001, **LIMITS)
    assert plan.break_even_gas == math.inf
    assert "the loop is the cheaper way" in plan.summary()


def test_more_leverage_takes_no_fewer_operations_and_leaves_less_health() -> None:
    plan = plan_leverage(1000, leverage=np.linspace(1.1, 4.8, 200), **LIMITS, **COSTS)
    assert (np.diff(plan.operations_made) >= 0).all()
    for name, way in (("final_supply", 1), ("final_borrow", 1), ("health_factor", -1), ("cost", 1), ("fees", 1)):
        assert (way * np.diff(getattr(plan, name)) > 0).all(), name


def test_the_largest_boost_of_a_flash_loan_falls_with_its_fee() -> None:
    plan = plan_leverage(1000, leverage=2, flash_fee=np.linspace(0, 0.05, 6), **LIMITS)
    assert (np.diff(plan.flash_boost) < 0).all()
    assert float(plan.flash_boost[0]) == pytest.approx(5)
    # the largest is at the limit itself
    beyond = plan_leverage(1000, to_supply=1e6, flash_fee=0.01, **LIMITS)
    assert float(beyond.flash_borrow / beyond.flash_supply) == pytest.approx(0.8, rel=1e-12)
    assert float(beyond.flash_supply) == pytest.approx(float(beyond.flash_supply_bound), rel=1e-15)


def test_rounds_bound_a_plan() -> None:
    plan = plan_leverage(1000, leverage=4, rounds=[0, 1, 2, 100], **LIMITS)
    assert plan.rounds_made.tolist() == [0, 1, 2, 7]  # 0.8^8 < 1 − 4·(1 − 0.8) < 0.8^7
    assert [PlanStatus(code) for code in plan.status] == [PlanStatus.ROUNDS] * 3 + [PlanStatus.REACHED]
    assert (np.diff(plan.leverage) > 0).all()


# --- depth ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CURVES))
def test_with_a_curve_the_target_is_met_and_money_is_conserved(name: str) -> None:
    plan = plan_leverage(1000, leverage=2.5, depth=curve_set(name), **LIMITS, **COSTS)
    assert float(plan.leverage) == pytest.approx(2.5, rel=1e-12)
    assert float(plan.final_supply - plan.final_borrow) == pytest.approx(
        1000 - float(plan.fees + plan.swap_cost), rel=1e-12
    )
    family, params, origin = CURVES[name]
    spent = plan.operations["amount"][1] * (1 - COSTS["fee_rate"])
    kept = naive.eta((family, params, origin), 1.0, float(spent))
    assert float(plan.operations["amount"][2]) == pytest.approx(float(spent) * (kept - COSTS["swap_fee"]), rel=1e-12)
    down = plan_unwind(plan.final_supply, plan.final_borrow, to_leverage=1.5, depth=curve_set(name), max_ltv=0.8,
                       liquidation_threshold=0.85, min_health_factor=1.01)  # fmt: skip
    assert float(down.leverage) == pytest.approx(1.5, rel=1e-12)


@pytest.mark.parametrize(
    "curves",
    [
        CurveSet.from_params(["A"], "depth", [[0.999, 20_000.0, 1.0]]),
        CurveSet.from_params(["A"], "power", [[0.999, 0.01, 0.5, 1000.0]]),
        CurveSet.from_params(["A"], "hill", [[0.999, 30_000.0, 1.0]]),
        CurveSet.from_ladders(["A"], [[0.0, 300.0, 500.0, 2000.0]], [[0.999, 0.995, 0.98, 0.9]]),
    ],
    ids=["depth", "power", "hill", "ladder"],
)
def test_every_family_may_say_what_trades_keep(curves: CurveSet) -> None:
    plan = plan_leverage(1000, leverage=2.5, depth=curves, **LIMITS)
    assert float(plan.leverage) == pytest.approx(2.5, rel=1e-12)
    operations = plan.operations
    bought, spent = (
        operations[column][operations["action"] == action]
        for column, action in (("amount", PlanAction.BUY), ("cash", PlanAction.BORROW))
    )
    assert bought.tolist() == pytest.approx(curves.utility(spent).reshape(-1).tolist(), rel=1e-13)
    assert float(plan.flash_supply / (plan.flash_supply - plan.flash_borrow)) == pytest.approx(2.5, rel=1e-12)
    down = plan_unwind(2500, 1500, close=True, depth=curves, liquidation_threshold=0.85, min_health_factor=1.05)
    assert down.final_borrow == 0.0
    assert float(down.cash_out) == pytest.approx(1000 - float(down.cost), rel=1e-12)


def test_no_trade_is_larger_than_its_curve_is_trusted_to() -> None:
    plan = plan_leverage(1000, leverage=2.5, depth=curve_set("linear", 400.0), fee_rate=0.01, **LIMITS)
    spent = plan.operations["cash"][plan.operations["action"] == PlanAction.BORROW]
    assert plan.reached
    assert spent.max() == pytest.approx(400)
    assert plan.flash_reachable == 0
    assert "the largest leads to" in plan.summary()


#: Keeps 1 − v/1,000,000 of a trade of v: with a fee of f a trade brings most at v = 500,000·(1 − f).
MILLION = CurveSet.from_params(["A"], "linear", [[-1e-6, 1.0]], trusted_to=9e5)
AROUND: dict[str, Any] = {"liquidation_threshold": 0.85, "min_health_factor": 1.01, "depth": MILLION}


@pytest.mark.parametrize("fee", [0.0, 0.1, 0.3, 0.5, 0.9])
def test_no_trade_is_larger_than_what_brings_most_after_the_fee(fee: float) -> None:
    largest = 500_000 * (1 - fee)
    most = largest * (1 - fee) / 2
    one = plan_leverage(1e7, rounds=1, swap_fee=fee, max_ltv=0.8, **AROUND)
    assert one.operations["amount"].tolist() == pytest.approx([1e7, largest, most, most], rel=1e-12)
    assert float(one.flash_supply_bound) == pytest.approx(1e7 + most, rel=1e-14)
    sold = plan_unwind(1e7, 5e6, to_ltv=0.0, rounds=1, swap_fee=fee, **AROUND)
    assert sold.operations["amount"].tolist() == pytest.approx([largest, most, most], rel=1e-12)
    assert float(sold.first_step) == pytest.approx(largest, rel=1e-12)


@pytest.mark.parametrize(("fee", "share"), [(0.1, 0.99), (0.1, 0.999), (0.5, 0.96), (0.9, 0.999)])
def test_what_the_largest_trade_brings_one_round_and_a_flash_loan_reach(fee: float, share: float) -> None:
    wanted = share * 250_000 * (1 - fee) ** 2
    up = plan_leverage(1e7, to_supply=1e7 + wanted, swap_fee=fee, max_ltv=0.8, **AROUND)
    down = plan_unwind(1e7, 5e6, repay=wanted, swap_fee=fee, **AROUND)
    for plan in (up, down):
        assert plan.plan_status is PlanStatus.REACHED
        assert plan.rounds_made == plan.flash_reachable == 1
    further = plan_leverage(1e7, to_supply=1e7 + 1.001 * wanted / share, swap_fee=fee, max_ltv=0.8, **AROUND)
    assert (further.plan_status, int(further.rounds_made)) == (PlanStatus.REACHED, 2)
    assert further.flash_reachable == 0


@pytest.mark.parametrize("fee", [0.0, 1e-4, 0.02, 0.15])
@pytest.mark.parametrize("trusted_to", [3e3, 2e4, 1e6])
@pytest.mark.parametrize(
    "curves",
    [
        *(curve_set(name) for name in sorted(CURVES | BENT) if name != "rising again"),
        CurveSet.from_params(["A"], "depth", [[0.999, 20_000.0, 1.0]]),
        CurveSet.from_params(["A"], "power", [[0.999, 0.01, 0.5, 1000.0]]),
        CurveSet.from_params(["A"], "hill", [[0.999, 30_000.0, 1.0]]),
        CurveSet.from_params(["A"], "hill", [[0.999, 30_000.0, 1.7]]),
        CurveSet.from_ladders(["A"], [[0.0, 300.0, 5e3, 2e4]], [[0.999, 0.995, 0.7, 0.2]]),
    ],
    ids=[*(name for name in sorted(CURVES | BENT) if name != "rising again"), "depth", "power", "hill", "s", "ladder"],
)
def test_the_largest_trade_brings_more_than_any_other(curves: CurveSet, trusted_to: float, fee: float) -> None:
    """Of curves whose utility rises again the first peak counts, as in their capacity."""
    bounded = dataclasses.replace(curves, trusted_to=np.array([trusted_to]))
    plan = plan_leverage(1e9, rounds=1, swap_fee=fee, depth=bounded, **LIMITS)
    sizes = np.linspace(0.0, trusted_to, 20_001)
    brought = curves.utility(sizes).reshape(-1) - sizes * fee
    assert float(plan.bought) >= brought.max() * (1 - 1e-12)
    assert float(plan.drawn) <= trusted_to * (1 + 1e-12)


def test_a_curve_for_each_plan_is_matched_by_symbol() -> None:
    curves = CurveSet.from_params(["X", "Y"], "linear", [[-1e-5, 1.0], [-4e-5, 1.0]])
    equity: Any = {"Y": 500.0, "X": 1000.0}
    by_name = plan_leverage(equity, leverage=2, depth=curves, **LIMITS)
    by_place = plan_leverage([1000.0, 500.0], leverage=2, depth=curves, **LIMITS)
    assert by_name.shape == (2,)
    assert bits(by_name.swap_cost) == bits(by_place.swap_cost)
    alone = plan_leverage(500.0, leverage=2, depth=curves["Y"], **LIMITS)
    assert bits(alone.swap_cost) == bits(by_place.swap_cost[1])


# --- shapes, words, tables --------------------------------------------------------------------------------------------


def test_everything_broadcasts() -> None:
    plan = plan_leverage(np.ones((3, 1)), leverage=[1.5, 2.0], gas=np.array([0.1, 0.2]), **LIMITS)
    assert plan.shape == plan.cost.shape == plan.final_supply.shape == (3, 2)
    assert plan.operations_of((2, 1))["action"].size == plan.operations_made[2, 1]
    assert plan_leverage(np.ones(0), leverage=2, **LIMITS).size == 0
    assert plan_leverage(np.ones(0), leverage=2, **LIMITS).summary() == "no plans"


@pytest.mark.parametrize("way", ["up", "down"])
def test_results_are_tables(way: str) -> None:
    limits: dict[str, Any] = {"liquidation_threshold": 0.85, "min_health_factor": 1}
    plan: Planned = (
        plan_leverage([100.0, 200.0], leverage=2.0, max_ltv=0.8, **limits)
        if way == "up"
        else plan_unwind([100.0, 200.0], 50.0, to_ltv=0.1, **limits)
    )
    frame = plan.to_dataframe()
    assert list(frame.columns) == list(plan.NAMES) == list(plan.to_dict())
    assert len(frame) == 2
    assert "<table>" in plan._repr_html_()
    assert repr(plan).startswith(f"<{type(plan).__name__} of 2 plans: reached 2")
    assert "2 plans" in plan.summary()
    assert "operations made" in plan.summary()
    with pytest.raises(ValueError, match="use status"):
        _ = plan.plan_status
    with pytest.raises(ValueError, match="use operations_of"):
        _ = plan.operations
    with pytest.raises(ValueError, match="use flash_operations_of"):
        _ = plan.flash_operations
    with pytest.raises(ScenarioError, match=r"index must be a place in the shape \(2,\), not 2"):
        plan.operations_of(2)


@pytest.mark.parametrize("made", [LeveragePlan, UnwindPlan])
def test_fields_and_properties_are_those_of_the_table(made: type[Planned]) -> None:
    rows = tables.LEVERAGE_OUTPUTS if made is LeveragePlan else tables.UNWIND_OUTPUTS
    computed = [row.name for row in rows if row.kernel]
    assert sorted(field.name for field in dataclasses.fields(made)) == sorted(["terms", *computed])  # type: ignore[arg-type]
    for row in rows:
        if not row.kernel:
            assert getattr(made, row.name).__doc__.splitlines()[0] == f"{row.doc}."
        assert f"    {row.name} : array" in (made.__doc__ or "")


def test_codes_are_those_of_the_tables() -> None:
    assert {status.name.lower(): int(status) for status in PlanStatus} == tables.code_values(tables.PLAN_STATUS)
    assert {action.name.lower(): int(action) for action in PlanAction} == tables.code_values(tables.PLAN_ACTIONS)


def test_a_plan_in_words() -> None:
    said = plan_leverage(1000, leverage=2.5, **LIMITS, **COSTS).summary()
    for expected in (
        "target reached: leverage 2.5; 10 operations, 3 rounds", "1,000.00 of it deposited first",
        "in one transaction with a flash loan", "once an operation costs more than", "no number of rounds exceeds",
        " 2 borrow ",
    ):  # fmt: skip
        assert expected in said
    long = plan_leverage(1000, leverage=4.9, **LIMITS).summary()
    assert "..." in long
    assert len(long.splitlines()) < 50


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"equity": -5}, r"equity must be 0 or in \[1e-100, 1e\+100\], but equity = -5.0"),
        ({"equity": [1, 0]}, r"equity and supply must not both be 0, but equity\[1\] = 0.0 and supply\[1\] = 0.0"),
        ({"leverage": 0.5}, r"leverage must be in \[1, 1000000.0\], but leverage = 0.5"),
        ({"leverage": None}, "give a target"),
        ({"ltv": 0.5}, "leverage and ltv are two targets: give one"),
        ({"leverage": None, "ltv": 1.0}, r"ltv must be in \[0, 1\), but ltv = 1.0"),
        ({"leverage": None, "to_supply": [1, math.nan]}, r"to_supply must be .* but to_supply\[1\] = nan"),
        ({"max_ltv": 0.9}, "max_ltv must not exceed liquidation_threshold, but max_ltv = 0.9"),
        ({"max_ltv": 1.0}, r"max_ltv must be in \(0, 1\), but max_ltv = 1.0"),
        ({"min_health_factor": 0.99}, "min_health_factor must be in .* but min_health_factor = 0.99"),
        ({"rounds": 1.5}, "rounds must be an integer in"),
        ({"swap_fee": [0.1, 0.6], "depth": 0.5}, r"swap_fee must be below what depth keeps, but swap_fee\[1\] = 0.6"),
        ({"depth": 1.0}, r"depth must be in \[0, 1\), but depth = 1.0"),
        ({"depth": "deep"}, "depth must be real numbers"),
        ({"fee_rate": [0.1, 0.2], "gas": [1, 2, 3]}, "do not broadcast"),
        ({"flash_fee": -1}, "flash_fee must be in"),
        ({"threads": 0}, "threads must be an integer of at least 1"),
    ],
)
def test_bad_leverage_is_refused_by_name(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        plan_leverage(**{"equity": 1000, "leverage": 2, **LIMITS, **changed})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"to_ltv": None}, "give one target: to_ltv, to_leverage, repay or close=True"),
        ({"close": True}, "give one target"),
        ({"close": 1}, "close must be True or False, not 1"),
        ({"to_leverage": 2}, "to_ltv and to_leverage are two targets"),
        ({"to_ltv": None, "repay": [10, 700]}, r"repay must not exceed borrow, but repay\[1\] = 700.0 and borrow\[1\]"),
        ({"supply": [1, -1]}, r"supply must be .* but supply\[1\] = -1.0"),
        ({"liquidation_threshold": 0}, "liquidation_threshold must be in"),
    ],
)
def test_a_bad_unwinding_is_refused_by_name(changed: dict[str, Any], message: str) -> None:
    given_ = {"supply": 1000, "borrow": 600, "to_ltv": 0.5, "liquidation_threshold": 0.8, "min_health_factor": 1}
    with pytest.raises(ScenarioError, match=message):
        plan_unwind(**{**given_, **changed})


def test_an_instrument_without_a_curve_is_refused() -> None:
    import escala

    curves = escala.fit(["A", "B"], [[1.0, 2.0, 3.0, 4.0], [1.0]], [[0.9, 0.8, 0.7, 0.6], [0.9]], family="linear")
    with pytest.raises(ScenarioError, match="depth must have a curve for each instrument, but 'B' has none"):
        plan_leverage(1000, leverage=2, depth=curves, **LIMITS)
