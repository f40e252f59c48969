"""What hypothesis draws: scenarios and strategies over the whole accepted range, weighted towards the odd corners."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from escala.tables import LENDING_STRATEGY, Interval

Parameters = dict[str, float]


def log_uniform(low: float, high: float) -> st.SearchStrategy[float]:
    """Draw numbers whose logarithm is uniform, ends included."""
    exponents = st.floats(math.log10(low), math.log10(high))
    return exponents.map(lambda e: min(high, max(low, 10.0**e)))


def fraction(*special: float) -> st.SearchStrategy[float]:
    """Draw from [0, 1], now and then a special value."""
    return st.one_of(st.floats(0.0, 1.0), st.sampled_from((0.0, 1.0, *special)))


def positive_fraction(*special: float) -> st.SearchStrategy[float]:
    """Draw from (0, 1]."""
    return st.one_of(st.floats(1e-3, 1.0), st.sampled_from((1.0, *special)), log_uniform(1e-300, 1.0))


def anywhere(values: Interval) -> st.SearchStrategy[float]:
    """Draw from an interval, ends included where they belong to it."""
    if values.integer:
        return st.integers(int(values.low), int(values.high)).map(float)
    return st.floats(values.low, values.high, exclude_min=values.low_open, exclude_max=values.high_open)


_SCALES = st.one_of(st.just(1.0), st.just(1.0), log_uniform(1e-90, 1e90))


@st.composite
def scenarios(draw: st.DrawFn) -> Parameters:
    """Draw the arguments of one scenario."""
    supply = draw(_SCALES) * draw(st.floats(0.01, 2000.0))

    def amount(share: float) -> float:
        return 0.0 if share == 0.0 else min(1e100, max(1e-100, supply * share))

    # debts from none to more than the collateral; targets from met already to out of reach
    borrow = draw(st.one_of(st.just(0.0), st.floats(0.3, 0.75), st.floats(0.0, 3.0), log_uniform(1e-30, 10.0)))
    target = draw(st.one_of(st.floats(1.0, 3.0), st.floats(0.1, 50.0), log_uniform(1e-9, 1e9), st.just(1.0)))
    wallet = draw(st.one_of(st.just(0.0), st.floats(0.0, 2.0), log_uniform(1e-20, 1e20)))
    return {"supply": supply, "borrow": amount(borrow), "target": amount(target), "wallet": amount(wallet)}


_MIN_PROFIT = st.one_of(st.just(1e-6), st.just(0.0), log_uniform(1e-12, 10.0), log_uniform(1e-100, 1e100))
_SHARE = fraction(0.6, 0.2)


@st.composite
def lending_strategies(draw: st.DrawFn) -> Parameters:
    """Draw a strategy; some fields keep their defaults, so that the common paths are visited too."""
    ceiling = draw(st.one_of(st.just(0.73), st.floats(0.05, 0.9999), st.just(math.nextafter(1.0, 0.0))))
    below = st.one_of(st.floats(0.0, ceiling), st.just(ceiling), st.just(0.0), st.just(min(0.69, ceiling)))
    far = draw(st.one_of(st.just(0.5), st.floats(0.0, 5.0)))
    stalling = draw(st.integers(0, 6))
    drawn: Parameters = {
        "min_profit": draw(_MIN_PROFIT),
        "repay": draw(fraction(0.11)),
        "repay_stalling": draw(fraction(0.07)),
        "repay_stalled": draw(fraction(0.035)),
        "repay_floor": draw(fraction(0.03)),
        "repay_step": draw(positive_fraction(0.005)),
        "target_ltv": draw(below),
        "target_ltv_stalled": draw(below),
        "ltv_floor": draw(below),
        "ltv_ceiling": ceiling,
        "ltv_step": draw(positive_fraction(0.01)),
        "ltv_nudge": draw(st.one_of(st.just(1e-6), fraction(), log_uniform(1e-20, 1.0))),
        "draw_fraction": draw(positive_fraction(0.8)),
        "wallet_fraction": draw(fraction(0.7)),
        "fee_rate": draw(st.one_of(st.just(0.0025), st.just(0.0), st.floats(0.0, 1.0))),
        "liquidation_threshold": draw(st.one_of(st.just(0.74), st.floats(0.3, 1.0), positive_fraction())),
        "min_health_factor": draw(st.one_of(st.just(1.01), st.just(1.0), st.floats(1.0, 2.0), log_uniform(1.0, 1e6))),
        "free_collateral_factor": draw(fraction()),
        "reinvest_far": draw(_SHARE),
        "reinvest_mid": draw(_SHARE),
        "reinvest_near": draw(_SHARE),
        "far_gap": far,
        "near_gap": draw(st.floats(0.0, far)),
        "reinvest_stalling": draw(_SHARE),
        "reinvest_stalled": draw(_SHARE),
        "reinvest_decay": draw(st.one_of(st.just(0.95), st.just(0.0), st.floats(0.0, 0.9999))),
        "reinvest_snap": draw(st.one_of(st.just(1e-9), st.just(0.0), log_uniform(1e-12, 1e3))),
        "stalling_after": stalling,
        "stalled_after": draw(st.integers(stalling, 10)),
        "stagnation_tolerance": draw(st.one_of(st.just(3e-5), st.just(0.0), log_uniform(1e-12, 1e3))),
        "max_rescale_attempts": draw(st.one_of(st.just(50), st.integers(1, 120), st.just(1))),
        "max_fallback_attempts": draw(st.integers(0, 6)),
        "max_stagnant_operations": draw(st.integers(1, 12)),
        "max_operations": draw(st.integers(1, 40)),
    }
    for row in LENDING_STRATEGY:  # a field without a line above: anywhere that it may be
        if row.name not in drawn:
            drawn[row.name] = draw(anywhere(row.values))
    kept = draw(st.one_of(st.just(frozenset[str]()), st.frozensets(st.sampled_from(sorted(drawn)))))
    bounded = {"ltv_ceiling", "target_ltv", "target_ltv_stalled", "ltv_floor", "far_gap", "near_gap"}
    kept -= bounded | {"stalling_after", "stalled_after", "max_operations", "max_stagnant_operations"}
    return {name: value for name, value in drawn.items() if name not in kept}


@st.composite
def draw_everything(draw: st.DrawFn) -> Parameters:
    """Draw the only way into the fallback: the whole safe maximum is drawn and nothing is reinvested."""
    strategy = draw(lending_strategies())
    none = dict.fromkeys(
        ("reinvest_far", "reinvest_mid", "reinvest_near", "reinvest_stalling", "reinvest_stalled"), 0.0
    )
    if draw(st.booleans()):
        none |= dict.fromkeys(("repay", "repay_stalling", "repay_stalled", "repay_floor"), 0.0)
        strategy |= {"ltv_ceiling": math.nextafter(1.0, 0.0), "min_profit": 1e-6}
        strategy |= {"target_ltv": 0.999, "target_ltv_stalled": 0.999}
    return {**strategy, **none, "draw_fraction": 1.0, "max_fallback_attempts": draw(st.integers(0, 6))}


def parameter_sets() -> st.SearchStrategy[Parameters]:
    """Draw whole parameter sets: arguments and strategy fields."""
    strategies = st.one_of(lending_strategies(), st.just(Parameters()), draw_everything())
    return st.tuples(scenarios(), strategies).map(lambda pair: {"max_operations": 40, **pair[1], **pair[0]})


# --- positions in a market ------------------------------------------------------------------------------------------

_DEPTHS = st.one_of(
    st.builds(lambda cost: {"kind": "flat", "cost": cost}, st.sampled_from((0.0, 0.002, 0.05, 0.6))),
    st.builds(lambda r: {"kind": "constant_product", "reserve": r}, log_uniform(1e2, 1e9)),
    st.just({"kind": "linear", "a": -2e-6, "b": 0.999}),
    st.just({"kind": "sqrt", "a": -3e-4, "b": 1.0}),
    st.just({"kind": "quadratic", "a": 1e-12, "b": -3e-6, "c": 0.9995, "origin": 1000.0}),
    st.just({"kind": "exponential", "a": 0.6, "b": 1e-4, "c": 0.4, "origin": 0.0}),
)
_SIGMAS = st.one_of(st.floats(0.2, 1.5), st.just(0.0), st.floats(0.0, 20.0))


@st.composite
def _assets(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(("gbm", "merton", "ou", "heston")))
    asset: dict[str, Any] = {"kind": kind, "price": draw(st.one_of(st.just(2000.0), log_uniform(1e-3, 1e6)))}
    if draw(st.booleans()):
        asset["supply_yield"] = draw(st.floats(-0.1, 0.3))
    if draw(st.integers(0, 3)) == 0:
        asset["oracle"] = "index"
    if kind in ("gbm", "merton"):
        asset |= {"mu": draw(st.floats(-1.0, 1.0)), "sigma": draw(_SIGMAS)}
    if kind == "merton":
        asset |= {"jump_rate": draw(st.floats(0.0, 50.0)), "jump_mean": draw(st.floats(-0.3, 0.2))}
        asset["jump_sd"] = draw(st.floats(0.0, 0.2))
    if kind == "ou":
        asset |= {"mean": draw(st.floats(-0.2, 0.2)), "reversion": draw(log_uniform(0.1, 1e4))}
        asset["sigma"] = draw(st.floats(0.0, 1.0))
        if draw(st.booleans()):
            asset["start"] = draw(st.floats(-0.3, 0.3))
    if kind == "heston":
        asset |= {"mu": 0.05, "variance": draw(st.floats(0.0, 2.0)), "reversion": draw(st.floats(0.1, 30.0))}
        asset |= {"long_variance": draw(st.floats(0.0, 2.0)), "vol_of_vol": draw(st.floats(0.0, 4.0))}
        asset["rho"] = draw(st.one_of(st.floats(-1.0, 1.0), st.sampled_from((-1.0, 0.0, 1.0))))
    return asset


@st.composite
def _rates(draw: st.DrawFn) -> dict[str, Any]:
    compounding = draw(st.sampled_from(("continuous", "taylor", "binomial", "linear")))
    if draw(st.booleans()):
        return {"rate": draw(st.floats(-0.2, 0.6)), "compounding": compounding}
    rate = {"base": 0.01, "slope1": 0.05, "slope2": 1.2, "optimal": draw(st.floats(0.3, 0.95)), "usage": 0.8}
    if draw(st.booleans()):
        rate |= {"usage_mean": 0.85, "usage_reversion": draw(log_uniform(1.0, 1e3)), "usage_sigma": 1.0}
    return {**rate, "compounding": compounding}


@st.composite
def _policies(draw: st.DrawFn, count: int) -> dict[str, Any]:
    policy: dict[str, Any] = {
        "gas": draw(st.sampled_from((0.0, 1.0, 40.0))),
        "fee_rate": draw(st.sampled_from((0.0, 0.003))),
    }
    policy |= {"every": draw(st.sampled_from((1, 1, 3, 7))), "depth": draw(_DEPTHS)}
    band = draw(st.floats(0.0, 0.4))
    target = draw(st.floats(1.02, 2.0))
    if draw(st.booleans()):
        policy |= {"deleverage_health": max(0.0, target - band), "deleverage_target": target}
    if draw(st.booleans()):
        policy |= {"boost_health": target + band + 0.01, "boost_target": target + 0.5 * band + 0.005}
    if draw(st.booleans()):
        policy |= {"topup_health": draw(st.floats(1.0, 1.4)), "topup_target": 1.45}
    if draw(st.integers(0, 3)) == 0:
        policy["stop_health"] = draw(st.floats(0.9, 1.2))
    if count == 1 and draw(st.integers(0, 3)) == 0:
        every = {row.name: row.default for row in LENDING_STRATEGY if row.name != "liquidation_threshold"}
        loop = {**every, "max_operations": draw(st.integers(1, 30)), "target": draw(log_uniform(1e3, 1e6))}
        policy |= {"loop": loop, "loop_every": draw(st.sampled_from((1, 2, 5)))}
    return policy


@st.composite
def market_scenarios(draw: st.DrawFn, steps: int = 70) -> dict[str, Any]:
    """Draw a position on one path of a market, as the reference scenarios have it."""
    assets = draw(st.lists(_assets(), min_size=1, max_size=3))
    count = len(assets)
    rule = draw(st.sampled_from(("aave_v3", "aave_v33", "aave_v4", "comet", *(("morpho",) if count == 1 else ()))))
    market: dict[str, Any] = {
        "assets": assets,
        "rate": draw(_rates()),
        "dt": draw(st.sampled_from((3600, 86400, 604800))),
    }
    market |= {"steps": draw(st.integers(1, steps)), "barrier": draw(st.booleans())}
    if count > 1 and draw(st.booleans()):
        rho = draw(st.floats(-0.4, 0.9))
        market["correlation"] = [[1.0 if i == j else rho for j in range(count)] for i in range(count)]
    thresholds = [draw(st.floats(0.5, 0.95)) for _ in range(count)]
    bonus = [draw(st.floats(0.0, 0.15)) for _ in range(count)]
    protocol: dict[str, Any] = {"rule": rule, "liquidation_threshold": thresholds, "bonus": bonus}
    protocol |= {"loan_to_value": [0.95 * one for one in thresholds], "liquidation_factor": [0.93] * count}
    protocol |= {
        "dust": draw(st.sampled_from((0.0, 50.0, 1000.0))),
        "overshoot": draw(st.sampled_from((0.0, 0.01, 0.05))),
    }
    protocol |= {"bonus_factor": draw(st.floats(0.0, 1.0)), "liquidator_gas": draw(st.sampled_from((0.0, 5.0, 500.0)))}
    protocol["liquidator_depth"] = draw(_DEPTHS)
    worth = draw(log_uniform(1e2, 1e6))
    shares = [draw(st.floats(0.0, 1.0)) for _ in range(count)]
    total = sum(shares)
    held = [
        worth * (share / total if total > 1e-3 else 1.0 / count) / a["price"]
        for share, a in zip(shares, assets, strict=True)
    ]
    held = [c if c >= 1e-30 else 0.0 for c in held]
    safe = sum(c * a["price"] * lt for c, a, lt in zip(held, assets, thresholds, strict=True))
    debt = draw(st.one_of(st.floats(0.9, 2.0).map(lambda health: safe / health), st.just(0.0)))
    wallet = worth * draw(st.sampled_from((0.0, 0.02, 0.5)))
    return {
        "seed": draw(st.integers(0, 2**64 - 1)), "path": draw(st.integers(0, 3)), "set": draw(st.sampled_from((0, 0, 5))),
        "antithetic": draw(st.booleans()), "collateral": held, "debt": debt, "wallet": wallet, "market": market,
        "protocol": protocol, "policy": draw(_policies(count)),
    }  # fmt: skip
