"""The main job on the real accounts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from escala.demo import allocation as demo_allocation
from escala.demo import curves as demo_curves
from escala.demo import lending as demo
from tests.rooms.test_cli import escala


def test_accounts_are_those_that_can_be_simulated() -> None:
    accounts = demo.load_accounts()
    assert accounts.supply.size == 374
    assert accounts.left_over.tolist() == [0.04866954911749]
    assert demo.scenarios(accounts) >= 300_000


@pytest.fixture(scope="module")
def study() -> demo.Study:
    return demo.run(demo.load_accounts())


def test_health_factors_equal_the_protocols(study: demo.Study) -> None:
    ours = study.result.start_health_factor[0, :, 0, 0]
    assert np.max(np.abs(ours / study.accounts.reported_health_factor - 1.0)) < 1e-12


def test_ltv_limits_are_capped_at_the_accounts_own(study: demo.Study) -> None:
    own = study.accounts.loan_to_value[:, None, None]
    for name in ("target_ltv", "target_ltv_stalled", "ltv_floor", "ltv_ceiling"):
        assert np.all(getattr(study.result.strategy, name) <= own)


def test_strategies_are_ranked_by_targets_reached_then_equity(study: demo.Study) -> None:
    ranked = demo.rank(study)
    assert len(ranked) == len(study.strategies)
    keys = [(-r.reached, -r.equity_change, -r.lowest_health_factor) for r in ranked]
    assert keys == sorted(keys)
    best = study.strategies.index(ranked[0].fields)
    assert ranked[0].reached == np.mean(study.result.stop[best] == 0)


def test_the_report_says_what_a_newcomer_needs(study: demo.Study) -> None:
    text = demo.report(study, threads=2)
    for part in (
        "375 real Aave accounts; 1 has no collateral and a debt of 0.0486695 left over: not simulated",
        "health factors equal the protocol's own to",
        "302,940 scenarios",
        "target reached by operations",
        "could be liquidated at the start",
        "net equity change, %",
        "best strategies by targets reached",
    ):
        assert part in text


def test_curves_of_the_real_quotes() -> None:
    found = demo_curves.run(demo_curves.load_quotes())
    assert len(found.curves) == 56
    assert found.curves.n_points.sum() == 19_278
    assert found.curves.has_curve.all()
    text = demo_curves.report(found)
    assert len(text.splitlines()) == 63
    at = found.curves.index("USDC/WBTC")
    (line,) = [line for line in text.splitlines() if line.startswith("USDC/WBTC ")]
    lost = 100.0 * (1.0 - found.prediction.efficiency[at])
    assert line.split()[:2] == ["USDC/WBTC", found.curves.family_names[at]]
    assert f"{lost:.2f}% [" in line
    for part in (
        "19,278 real swap quotes, 500 to 172,243,000 USD; 56 pairs fitted in",
        "loss at 1 M USD          10 % lost at, M USD     at most comes",
        f"* {int(found.curves.marked.sum())} of 56 pairs follow a pattern that their curve does not",
    ):
        assert part in text


def test_fifty_million_over_the_real_pairs() -> None:
    quotes = demo_curves.load_quotes()
    plan = demo_allocation.run(demo_curves.run(quotes).curves, quotes)
    assert float(plan.found.amounts.sum()) == pytest.approx(50e6, rel=1e-12)
    assert float(plan.found.gap) <= 1e-10
    assert np.all(plan.path.gap <= 1e-10)
    assert np.all(np.diff(plan.path.utility) > 0.0)
    assert np.all(np.diff(plan.path.shadow_price) <= 1e-12)
    kept = plan.found.efficiency[(plan.found.amounts > 0.0) & ~plan.found.below_threshold]
    assert kept.min() >= 0.99 - 1e-12
    scored = plan.scored
    assert len(scored) == 2 * demo_allocation.DEALS
    assert np.all(scored.realised <= scored.best + 1e-6 * scored.total)
    text = demo_allocation.report(plan)
    for part in (
        "50,000,000 of 50,000,000 allocated over",
        "(shadow price)",
        "claimed   realised       best",
        "500,000,000",
    ):
        assert part in text


@pytest.mark.slow
def test_the_command_speaks_json() -> None:
    content = json.loads(escala("demo", "--json").stdout)
    assert len(content["curves"]["symbol"]) == 56
    assert content["curves"]["family"].count("ladder") > 40
    assert 0.99 < content["curves"]["at_1m_efficiency"][content["curves"]["symbol"].index("USDC/WBTC")] < 1.0
    plan = content["allocation"]
    assert sum(plan["amount"]) == pytest.approx(50e6, rel=1e-12)
    assert plan["gap"] <= 1e-10
    assert len(plan["path"]["amount"]) == 9
    assert plan["scored"]["total"] == [50e6, 500e6]
    assert content["scenarios"] == 302_940
    assert sum(content["stops"].values()) == content["scenarios"]
    assert set(content["strategies"][0]) == {"fields", "reached", "equity_change", "lowest_health_factor"}
