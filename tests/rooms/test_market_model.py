"""The market as a model: columns, sweeps, files, tuning; the bits are those of the market itself."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escala import (
    GBM,
    OU,
    Asset,
    Bootstrap,
    CurveSet,
    Depth,
    Design,
    DesignError,
    FixedRate,
    Heston,
    InputError,
    KinkedRate,
    LendingStrategy,
    Market,
    MarketError,
    MarketSettings,
    Merton,
    Policy,
    Protocol,
    Replay,
    ScenarioError,
    SweepError,
    SweepSummary,
    model,
    simulate_market,
    sweep,
    tables,
    tune,
)
from escala.kernels import layout
from escala.market import columns, slices
from escala.market.model import MODEL
from escala.sweeps import cluster, plan
from escala.sweeps.estimate import estimate
from escala.sweeps.settings import from_toml
from tests.command_line import escala
from tests.markets import market_of, policy_of, protocol_of, specs
from tests.properties import examples
from tests.strategies import market_scenarios

DAY = 86400.0
AAVE = Protocol.aave_v3(liquidation_threshold=0.83, loan_to_value=0.805, bonus=0.05)
BANDS = Policy(
    deleverage_health=1.1, deleverage_target=1.25, boost_health=1.6, boost_target=1.4, gas=5.0, depth=Depth.flat(0.003)
)
ETHER = Asset(2000.0, GBM(0.0, 0.8))


def days(count: int, *assets: Asset, rate: Any = None, **fields: Any) -> Market:
    return Market(assets or [ETHER], rate or FixedRate(0.05), dt=DAY, steps=count, **fields)


def base(**changes: Any) -> MarketSettings:
    fields = {"market": days(40, barrier=True), "protocol": AAVE, "policy": BANDS, "collateral": 10.0, "debt": 1.2e4}
    return MarketSettings(**{**fields, "paths": 60, "seed": 3, **changes})


def same(found: Any, expected: dict[str, Any]) -> list[str]:
    """Names of statistics that are not the same bits."""
    return [name for name in expected if not np.array_equal(getattr(found, name), expected[name], equal_nan=True)]


RANGES: dict[str, Any] = {
    "debt": (8e3, 1.5e4),
    "sigma": [0.5, 0.8, 1.1],
    "bonus": (0.02, 0.1),
    "deleverage_health": (1.02, 1.2),
    "every": [1, 7],
}


def simulated(rows: dict[str, Any], settings: MarketSettings, **sampling: Any) -> dict[str, Any]:
    """What the market itself says of rows of RANGES."""
    market = days(40, Asset(2000.0, GBM(0.0, rows["sigma"])), barrier=True)
    protocol = Protocol.aave_v3(0.83, 0.805, rows["bonus"])
    policy = Policy(
        deleverage_health=rows["deleverage_health"], deleverage_target=1.25, boost_health=1.6, boost_target=1.4,
        gas=5.0, depth=Depth.flat(0.003), every=rows["every"],
    )  # fmt: skip
    return simulate_market(
        10.0, rows["debt"], market=market, protocol=protocol, policy=policy, paths=settings.paths, seed=3, **sampling
    ).to_dict()


# Bits


@pytest.mark.parametrize(
    ("sampling", "paths"), [("random", 60), ("antithetic", 60), ("sobol", 64)], ids=["random", "antithetic", "sobol"]
)
def test_statistics_are_those_of_the_market_to_the_bit(sampling: str, paths: int) -> None:
    replicates = {"replicates": 8} if sampling == "sobol" else {}
    settings = base(sampling=sampling, paths=paths, **replicates)
    rows = Design.random(RANGES, 50, 1, model="market").rows()
    expected = simulated(rows, settings, sampling=sampling, **replicates)
    assert tuple(expected) == MODEL.output_names
    assert not same(MODEL.evaluate(rows, settings, 2), expected)


def test_some_statistics_alone_are_the_same() -> None:
    rows = Design.random(RANGES, 20, 1, model="market").rows()
    expected = simulated(rows, base())
    for name in MODEL.output_names:
        assert not same(MODEL.evaluate(rows, base(), 1, [name]), {name: expected[name]}), name


@pytest.mark.parametrize("threads", [1, 3])
def test_no_cut_shows_in_the_bits(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = {name: kept for name, kept in RANGES.items() if name != "sigma"}
    for ranges in (RANGES, shared):
        rows = Design.random(ranges, 90, 1, model="market").rows()
        whole = vars(MODEL.evaluate(rows, base(), 1))
        for room, sets, tile in ((1, 7, 16), (1, 1024, 8), (1 << 25, 4, 32), (400_000, 1024, 48)):
            monkeypatch.setattr(slices, "_ROOM", room)
            monkeypatch.setattr(slices, "_SETS_AT_ONCE", sets)
            monkeypatch.setattr(slices, "_TILE", tile)
            assert not same(MODEL.evaluate(rows, base(), threads), whole)
        monkeypatch.undo()


def test_a_parameter_set_does_not_depend_on_those_beside_it() -> None:
    rows = Design.random(RANGES, 40, 1, model="market").rows()
    all_of_them = vars(MODEL.evaluate(rows, base(), 1))
    for some in (slice(7, 8), slice(39, None, -3)):
        part = {name: column[some] for name, column in rows.items()}
        assert not same(MODEL.evaluate(part, base(), 1), {name: found[some] for name, found in all_of_them.items()})


def test_a_sweep_has_the_same_bits_for_any_threads_chunks_and_places(tmp_path: Path) -> None:
    design = Design.random(RANGES, 4500, 1, model="market")
    settings = base(paths=6, market=days(12))
    first = sweep(design, strategy=settings, threads=1)
    assert isinstance(first, SweepSummary)
    assert first.stops == {}
    for threads, chunk in ((2, 65_536), (3, 2048)):
        assert sweep(design, strategy=settings, threads=threads, chunk=chunk).digest == first.digest
    planned = pickle.loads(pickle.dumps(plan.make(design, strategy=settings, chunk=2048)))
    assert planned.model is MODEL
    parts = [cluster.work(planned, None, k, k + 1) for k in range(3)]
    total = plan.make(design, strategy=settings, chunk=2048)
    assert cluster.work(total, None, 0, 3).rows == sum(part.rows for part in parts) == 4500
    rows = design.rows()
    expected = MODEL.evaluate(rows, settings, 1)
    mean = first.statistics["liquidation_probability"].mean
    assert mean == pytest.approx(expected.liquidation_probability.mean(), rel=1e-12)
    best = first.best("end_equity_mean")
    assert best["end_equity_mean"].tolist() == np.sort(expected.end_equity_mean)[::-1][:5].tolist()
    files = sweep(design, strategy=settings, out=tmp_path, chunk=2048)
    assert files.digest == first.digest


def test_a_cluster_answers_the_same(client: Any, tmp_path: Path) -> None:
    design = Design.random(RANGES, 4500, 1, model="market")
    settings = base(paths=6, market=days(12))
    here = sweep(design, strategy=settings, threads=1)
    assert sweep(design, strategy=settings, client=client, chunk=2048).digest == here.digest
    assert sweep(design, strategy=settings, client=client, chunk=2048, out=tmp_path).digest == here.digest


def test_rows_on_disk_and_what_was_finished_are_kept(tmp_path: Path) -> None:
    import pyarrow.parquet

    design = Design.random(RANGES, 4500, 1, model="market")
    settings = base(paths=6, market=days(12))
    wanted = ["end_equity_mean", "cvar", "health_finite"]
    first = sweep(design, strategy=settings, outputs=wanted, out=tmp_path, chunk=2048)
    kept = tmp_path / "chunk-000000.parquet"
    before = kept.stat().st_mtime_ns
    (tmp_path / "chunk-000001.parquet").unlink()
    assert sweep(design, strategy=settings, outputs=wanted, out=tmp_path, chunk=2048).digest == first.digest
    assert kept.stat().st_mtime_ns == before
    read = [pyarrow.parquet.read_table(path) for path in sorted(tmp_path.glob("*.parquet"))]
    rows = {name: np.concatenate([one[name].to_numpy() for one in read]) for name in read[0].column_names}
    assert list(rows) == [*RANGES, *wanted]
    expected = vars(MODEL.evaluate(design.rows(), settings, 1, wanted))
    assert all(np.array_equal(rows[name], expected[name]) for name in wanted)
    assert rows["health_finite"].dtype == np.int64
    manifest = json.loads((tmp_path / "_sweep.json").read_text())
    assert manifest["model"] == "market"
    assert manifest["strategy"]["paths"]["seed"] == 3
    assert "sigma" not in manifest["strategy"]
    for other in (base(paths=6, market=days(12), seed=4), base(paths=6, market=days(13)), base(paths=8)):
        with pytest.raises(SweepError, match="another"):
            sweep(design, strategy=other, outputs=wanted, out=tmp_path, chunk=2048)
    # what the columns replace is no part of it
    same_sweep = base(paths=6, market=days(12), debt=None, protocol=Protocol.aave_v3(0.83, 0.805, 0.2))
    assert sweep(design, strategy=same_sweep, outputs=wanted, out=tmp_path, chunk=2048).digest == first.digest


def test_an_estimate_of_what_a_sweep_takes() -> None:
    found = estimate(
        Design.random(RANGES, 5000, 1, model="market"), strategy=base(paths=6, market=days(12)), rows=False
    )
    assert (found.rows, found.chunks) == (5000, 1)
    assert found.seconds > 0.0


# Columns


@pytest.mark.filterwarnings("ignore:.*liquidation cannot heal")
@pytest.mark.filterwarnings("ignore:.*is held")
def test_every_number_of_a_market_is_a_column() -> None:
    """Each is replaced by itself, in reference scenarios of all processes, rules and policies; nothing may change."""
    seen: set[str] = set()
    for spec in specs()[::3]:
        count = len(spec["market"]["assets"])
        held = spec["collateral"] if count > 1 else spec["collateral"][0]
        market = market_of(spec["market"], spec.get("start_row") or 0)
        settings = MarketSettings(
            market=market, protocol=protocol_of(spec["protocol"], count), policy=policy_of(spec.get("policy") or {}),
            collateral=held, debt=spec["debt"], wallet=spec.get("wallet", 0.0),
            paths=None if isinstance(market.joint, Replay) else 2, seed=spec.get("seed", 0),
        )  # fmt: skip
        own = settings.numbers()
        seen |= own.keys()
        assert own.keys() <= set(MODEL.field_names)
        replaced = MODEL.evaluate({name: np.stack([array, array]) for name, array in own.items()}, settings, 1)
        expected = simulate_market(
            held, spec["debt"], wallet=settings.wallet, market=market, protocol=settings.protocol,
            policy=settings.policy, paths=settings.paths, seed=settings.seed,
        ).to_dict()  # fmt: skip
        assert not same(replaced, {name: np.stack([array, array]) for name, array in expected.items()}), spec["name"]
    plain = {name for name in MODEL.field_names if not name[-1].isdigit() or name in ("slope1", "slope2")}
    assert plain - seen == set()


@pytest.mark.nojit
@examples(15)
@given(spec=market_scenarios(), data=st.data())
def test_settings_change_where_a_column_says(spec: dict[str, Any], data: st.DataObject) -> None:
    count = len(spec["market"]["assets"])
    settings = MarketSettings(
        market=market_of(spec["market"]), protocol=protocol_of(spec["protocol"], count),
        policy=policy_of(spec.get("policy") or {}), collateral=spec["collateral"] if count > 1 else spec["collateral"][0],
        debt=spec["debt"], wallet=spec["wallet"], paths=2,
    )  # fmt: skip
    own = settings.numbers()
    name = data.draw(
        st.sampled_from([name for name in own if name.startswith(("wallet", "price", "supply_yield", "bonus"))])
    )
    value = float(own[name]) * 0.5 + 0.01
    changed = settings.replaced({name: value}).numbers()
    assert float(changed.pop(name)) == value
    del own[name]
    assert {key: array.tolist() for key, array in changed.items()} == {
        key: array.tolist() for key, array in own.items()
    }


@pytest.mark.nojit
def test_names_of_columns_are_unambiguous() -> None:
    names = MODEL.field_names
    assert len(set(names)) == len(names)
    parts = [*layout.market_position.__dict__, *layout.market_asset.__dict__, *layout.market_field.__dict__]
    assert {"SIGMA", "DEBT", "RATE"} <= set(parts)
    for row in columns.FIELDS:
        assert row.doc
    same_name: dict[str, set[tables.Interval]] = {}
    for process in (GBM, Merton, OU, Heston):
        for row in process.rows:
            same_name.setdefault(row.name, set()).add(row.values)
    assert all(len(values) == 1 for values in same_name.values())
    assert set(MODEL.kept) <= set(MODEL.output_names)
    assert {*MODEL.errors, *MODEL.errors.values()} <= set(MODEL.output_names)
    assert set(MODEL.tuned) <= set(names)
    assert set(MODEL.strict) <= set(MODEL.ordered)
    assert model.named("market") is MODEL
    assert pickle.loads(pickle.dumps(MODEL)) is MODEL


def test_numbers_of_several_assets_end_in_the_assets_number() -> None:
    market = days(
        30, Asset(2000.0, GBM(0.0, 0.7)), Asset(30_000.0, Merton(0.0, 0.5, 4.0, -0.05, 0.1), supply_yield=0.01),
        correlation=[[1.0, 0.6], [0.6, 1.0]],
    )  # fmt: skip
    protocol = Protocol.aave_v3([0.83, 0.78], 0.7, [0.05, 0.06])
    settings = base(market=market, protocol=protocol, policy=Policy(), collateral=[5.0, 0.3], debt=9e3)
    ranges = {"sigma_1": [0.4, 0.6], "collateral_0": (4.0, 6.0), "bonus_1": (0.04, 0.1), "loan_to_value_0": 0.75}
    design = Design.random(ranges, 30, 2, model="market")
    rows = design.rows()
    moved = days(
        30, Asset(2000.0, GBM(0.0, 0.7)),
        Asset(30_000.0, Merton(0.0, rows["sigma_1"], 4.0, -0.05, 0.1), supply_yield=0.01),
        correlation=[[1.0, 0.6], [0.6, 1.0]],
    )  # fmt: skip
    bonus = np.stack([np.full(30, 0.05), rows["bonus_1"]], axis=1)
    held = np.stack([rows["collateral_0"], np.full(30, 0.3)], axis=1)
    expected = simulate_market(
        held, 9e3, market=moved, protocol=Protocol.aave_v3([0.83, 0.78], [0.75, 0.7], bonus), paths=60, seed=3
    ).to_dict()
    summary = sweep(design, strategy=settings)
    assert not same(MODEL.evaluate(rows, settings, 1), expected)
    assert summary.statistics["end_equity_mean"].highest == expected["end_equity_mean"].max()
    with pytest.raises(MarketError, match="the settings have no number sigma: of 2 assets it is sigma_0 to sigma_1"):
        sweep(Design.random({"sigma": 0.5}, 9, model="market"), strategy=settings)


def test_a_policy_may_be_off_in_all_rows_of_a_slice() -> None:
    ranges = {"deleverage_health": [0.0, 1.1], "deleverage_target": 1.3, "boost_health": [math.inf, 2.0]}
    rows = {
        "debt": np.full(4, 1.2e4),
        "deleverage_health": np.array([0.0, 0.0, 1.1, 1.1]),
        "deleverage_target": np.full(4, 1.3),
    }
    found = MODEL.evaluate(rows, base(policy=Policy()), 1)
    off = MODEL.evaluate({name: column[:2] for name, column in rows.items()}, base(policy=Policy()), 1)
    assert off.end_equity_mean.tolist() == found.end_equity_mean[:2].tolist()
    assert found.deleverages_mean[0] == 0.0 < found.deleverages_mean[2]
    nothing = MODEL.evaluate({"debt": rows["debt"]}, base(policy=Policy()), 1)
    assert found.end_equity_mean[0] == nothing.end_equity_mean[0]
    assert "boost_target" not in ranges


def test_morphos_bonus_follows_the_threshold_unless_it_was_given() -> None:
    thresholds = np.array([0.77, 0.86, 0.915])
    settings = base(protocol=Protocol.morpho(0.86), policy=Policy(), debt=1.4e4)
    expected = simulate_market(
        10.0, 1.4e4, market=settings.market, protocol=Protocol.morpho(thresholds), paths=60, seed=3
    ).to_dict()
    assert not same(MODEL.evaluate({"liquidation_threshold": thresholds}, settings, 1), expected)
    kept = settings.replaced({"bonus": 0.02}).replaced({"liquidation_threshold": 0.9})
    assert (kept.protocol.bonus, kept.protocol.loan_to_value) == (0.02, 0.9)


@pytest.mark.parametrize(
    ("ranges", "changes", "message"),
    [
        ({"sigma_1": 0.5}, {}, "the settings have no number sigma_1; did you mean 'sigma'"),
        ({"vol_of_vol": 0.5}, {}, "the settings have no number vol_of_vol: give them one, and the column takes its place"),
        ({"jump_rate": 0.5}, {}, "the settings have no number jump_rate; did you mean 'rate'"),
        ({"sigma": 0.5}, {"debt": None}, "debt must be a column, or a number of the settings"),
        ({"sigma": 0.5}, {"collateral": None}, "collateral must be a column, or a number of the settings"),
        ({"topup_health": 1.1}, {}, "topup_health needs topup_target: as a column, or in the settings' policy"),
        ({"topup_target": 1.1}, {}, "topup_target needs topup_health: as a column, or in the settings' policy"),
        ({"sigma": 0.5}, {"debt": [1.0, 2.0]}, r"debt must be one number in a sweep, not of shape \(2,\)"),
        ({"deleverage_health": 1.3}, {}, r"deleverage_health must not exceed deleverage_target, but row 0"),
        ({"boost_target": 1.1}, {}, r"deleverage_health must be below boost_target, but row 0: boost_target = 1\.1"),
        ({"loan_to_value": 0.9}, {}, r"loan_to_value must not exceed liquidation_threshold, but row 0"),
        ({"collateral": [0.0, 1.0]}, {}, r"a rule at row \d: collateral must be above 0 where there is debt, but debt\[\d\] = 12000\.0 has none"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_named(ranges: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sweep(Design.random(ranges, 9, 1, model="market"), strategy=base(**changes))


def test_bad_settings_are_named() -> None:
    design = Design.random({"debt": 1e4}, 9, model="market")
    for given_, message in ((None, "not None"), (LendingStrategy(), "not LendingStrategy")):
        with pytest.raises(MarketError, match=f"strategy must be MarketSettings, {message}"):
            sweep(design, strategy=given_)
    with pytest.raises(DesignError, match="sigm is no argument of simulate_market and no field of MarketSettings; did"):
        Design.random({"sigm": 1.0}, 9, model="market")
    with pytest.raises(DesignError, match=r"bonus must be in \[0, 1\], but its values go from 2\.0 to 2\.0"):
        Design.random({"bonus": 2.0}, 9, model="market")
    bad: list[tuple[dict[str, Any], str]] = [
        ({"paths": None}, "paths must be given but for a Replay"),
        ({"paths": 7, "sampling": "antithetic"}, "paths must be even for antithetic sampling, not 7"),
        ({"seed": -1}, r"seed must be an integer in \[0, 18446744073709551615\], not -1"),
        ({"level": 1.0}, r"level must be in \(0, 1\), but level = 1\.0"),
        ({"debt": -1.0}, r"debt must be 0 or in \[1e-30, 1e\+30\], but debt = -1\.0"),
        ({"protocol": 1}, "protocol must be a Protocol, not 1"),
        (
            {"market": days(3, ETHER, ETHER), "collateral": [1.0, 1.0, 1.0]},
            r"collateral of shape \(3,\) must have a last axis of 2, one for each asset",
        ),
    ]
    for changes, message in bad:
        with pytest.raises(MarketError, match=message):
            base(**changes)


# Files

FILE = """
[design]
model = "market"
kind = "sobol"
n = 64
seed = 7

[design.ranges]
debt = { low = 8_000, high = 15_000 }
sigma = [0.5, 0.9]
deleverage_health = { low = 1.05, high = 1.2 }

[market]
dt = 86_400
steps = 20
barrier = true

[[market.assets]]
price = 2000.0
process = "gbm"
mu = 0.0
sigma = 0.8

[market.rate]
rate = 0.05

[protocol]
rule = "aave_v3"
liquidation_threshold = 0.83
loan_to_value = 0.805
bonus = 0.05

[policy]
deleverage_health = 1.1
deleverage_target = 1.3
gas = 5
depth = { constant_product = 5e6 }

[position]
collateral = 10

[paths]
paths = 100
seed = 3

[sweep]
outputs = ["liquidation_probability", "cvar"]
"""


def test_a_file_describes_a_sweep_of_the_market(tmp_path: Path) -> None:
    path = tmp_path / "market.toml"
    path.write_text(FILE)
    settings = from_toml(path)
    expected = MarketSettings(
        market=Market([ETHER], FixedRate(0.05), dt=86_400, steps=20, barrier=True), protocol=AAVE,
        policy=Policy(deleverage_health=1.1, deleverage_target=1.3, gas=5, depth=Depth.constant_product(5e6)),
        collateral=10, paths=100, seed=3,
    )  # fmt: skip
    assert settings.strategy.to_dict() == expected.to_dict()
    here = sweep(settings.design, **settings.options)
    assert here.digest == sweep(settings.design, strategy=expected, outputs=["liquidation_probability", "cvar"]).digest
    done = escala("sweep", "market.toml", "--out", "out", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["digest"] == here.digest
    written = {file: file.stat().st_mtime_ns for file in tmp_path.glob("out/*.parquet")}
    again = escala("sweep", "market.toml", "--out", "out", cwd=tmp_path)
    assert again.stdout.startswith(here.summary())
    assert {file: file.stat().st_mtime_ns for file in written} == written


@pytest.mark.nojit
@pytest.mark.filterwarnings("ignore:.*liquidation cannot heal")
def test_settings_as_plain_data_come_back() -> None:
    """Of all processes, rates, rules and policies."""
    written = 0
    for spec in specs()[1::2]:
        count = len(spec["market"]["assets"])
        market = market_of(spec["market"], spec.get("start_row") or 0)
        settings = MarketSettings(
            market=market, protocol=protocol_of(spec["protocol"], count), policy=policy_of(spec.get("policy") or {}),
            collateral=spec["collateral"] if count > 1 else spec["collateral"][0], debt=spec["debt"],
            paths=None if isinstance(market.joint, Replay) else 2,
        )  # fmt: skip
        if None in (settings.policy.depth.name, settings.protocol.liquidator_depth.name):  # type: ignore[union-attr]
            continue  # a curve
        data = json.loads(json.dumps(settings.to_dict()))
        back = MarketSettings.from_dict(data)
        assert back.to_dict() == settings.to_dict(), spec["name"]
        if settings.protocol.rule != "comet":  # where nobody sells
            assert back.described()["market"] == settings.described()["market"], spec["name"]
        written += 1
    assert written > 10


@pytest.mark.nojit
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rate = 0.05", "rat = 0.05", r"'rat' is no key of \[market.rate\]; did you mean 'rate'"),
        ("rate = 0.05", "rate = 11", r"market.rate: rate must be in \[-0.99, 10\], but rate = 11"),
        ("rate = 0.05", "base = 0.0", r"\[market.rate\] has no slope1"),
        ("dt = 86_400", "", r"\[market\] has no dt"),
        ("steps = 20", "steps = 2.5", "market: steps must be an integer in"),
        ("barrier = true", "barrier = 1", "market: barrier must be True or False, not 1"),
        ('process = "gbm"', 'process = "gmb"', r"market.assets\[0\]: process must be one of gbm, merton, ou, heston, not 'gmb'"),
        ("sigma = 0.8", "sigma = -1", r"market.assets\[0\]: sigma must be in \[0, 20\], but sigma = -1"),
        ("sigma = 0.8", "", r"\[market.assets\[0\]\] has no sigma"),
        ("mu = 0.0", "my = 0.0", r"'my' is no key of \[market.assets\[0\]\]; there are price, .*, mu, sigma"),
        ('rule = "aave_v3"', 'rule = "aave"', "protocol: rule must be one of aave_v3, .*, not 'aave'; did you mean"),
        ('rule = "aave_v3"', 'rule = "aave_v33"', r"\[protocol\] has no dust"),
        ("bonus = 0.05", "bonus = 1.5", r"protocol: bonus must be in \[0, 1\], but bonus = 1\.5"),
        ("bonus = 0.05", "bonus = 0.05\ndust = 1", r"'dust' is no key of \[protocol\]"),
        ("gas = 5", "gass = 5", r"'gass' is no key of \[policy\]; did you mean 'gas'"),
        ("deleverage_target = 1.3", "", "policy: deleverage_health needs deleverage_target"),
        ("constant_product = 5e6", "pool = 5e6", r"policy: depth must be a table with one of flat, constant_product, not"),
        ("constant_product = 5e6", "flat = 2", r"policy: cost must be in \[0, 1\], but cost = 2"),
        ("gas = 5", "gas = 5\nloop_every = 1\nloop_target = 50\nloop = { repay = 2 }", r"policy.loop: repay must be in"),
        ("collateral = 10", "collateral = -10", "position: collateral must be 0 or in"),
        ("collateral = 10", "colateral = 10", r"'colateral' is no key of \[position\]; did you mean 'collateral'"),
        ("paths = 100", "", "paths: paths must be given but for a Replay"),
        ("[position]\ncollateral = 10", "position = 3", r"'position' is no key of \[policy\]"),
        ("[position]", "[positions]", "'positions' is no table; did you mean 'position'"),
        ("steps = 20", 'steps = 20\njoint = { kind = "replay" }', r"\[market.joint\] has no prices"),
        ("steps = 20", "steps = 20\njoint = { }", "market.joint: kind must be one of bootstrap, replay, not None"),
        ('outputs = ["liq', 'outputs = ["lik', "is no output; did you mean"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_named_with_its_table(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "market.toml"
    assert FILE.count(old) >= 1
    path.write_text(FILE.replace(old, new, 1))
    assert tomllib.loads(path.read_text())
    with pytest.raises(InputError, match=rf"market\.toml: .*{message}"):
        from_toml(path)


@pytest.mark.nojit
def test_a_file_needs_a_market_and_a_protocol(tmp_path: Path) -> None:
    path = tmp_path / "market.toml"
    path.write_text(FILE[: FILE.index("[market]")])
    with pytest.raises(MarketError, match=r"market\.toml: there is no table \[market\]"):
        from_toml(path)
    with pytest.raises(
        MarketError, match="'strategy' is no table; there are market, protocol, policy, position, paths"
    ):
        MarketSettings.from_dict({"strategy": {}})
    with pytest.raises(MarketError, match="market must be a table, not 3"):
        MarketSettings.from_dict({"market": 3})


# Tuning


def tuned(objective: Any, fields: dict[str, tuple[float, float]], settings: MarketSettings, **options: Any) -> Any:
    design = Design.grid({"debt": [1.2e4]}, model="market")
    return tune(objective, design, fields, strategy=settings, **{"evaluations": 60, **options})


CALM = Policy(deleverage_health=1.02, deleverage_target=1.1, gas=5.0, depth=Depth.flat(0.002))


def test_what_is_found_is_judged_on_other_paths() -> None:
    settings = base(policy=CALM, paths=200)
    fields = {"deleverage_health": (1.0, 1.5), "deleverage_target": (1.05, 2.0)}
    found = tuned("-cvar", fields, settings)
    assert found.value > found.start_value
    row = {"debt": np.array([1.2e4])}
    on, off = settings.halves()
    for some, value, error in ((on, found.value, found.error), (off, found.held_out_value, found.held_out_error)):
        own = MODEL.evaluate(row, some.replaced(found.fields), 1, ["cvar", "cvar_error"])
        assert (value, error) == (-own.cvar[0], own.cvar_error[0])
    assert on.seed != off.seed
    assert found.strategy.policy.deleverage_health == found.fields["deleverage_health"]
    assert found.strategy.seed == settings.seed
    assert (found.scenarios, found.held_out, found.unseen) == (1, 1, "other paths")
    assert found.optimism == pytest.approx(
        (found.value - found.held_out_value) / math.hypot(found.error, found.held_out_error)
    )
    again = tuned("-cvar", fields, settings, threads=1)
    assert (again.fields, again.value) == (found.fields, found.value)
    text = found.summary()
    assert "60 strategies on 1 scenario, " in text
    assert text.count("standard error") == 2
    assert "on other paths" in text


def test_a_mean_is_maximised_under_a_limit_on_the_risk() -> None:
    rising = days(60, Asset(2000.0, GBM(1.0, 0.3)))
    settings = base(policy=Policy(boost_health=1.9, boost_target=1.8), market=rising, paths=200)
    fields = {"boost_health": (1.01, 3.0), "boost_target": (1.01, 3.0)}
    risky = tuned("end_equity_mean", fields, settings, seed=1)
    limits: dict[str, tuple[float | None, float | None]] = {"liquidation_probability": (None, 0.05)}
    safe = tuned("end_equity_mean", fields, settings, subject_to=limits, seed=1)
    limit = safe.limits["liquidation_probability"]
    probability = MODEL.evaluate({"debt": np.array([1.2e4])}, risky.strategy, 1).liquidation_probability[0]
    assert limit.met
    assert limit.value <= 0.05 < probability
    assert safe.value < risky.value
    assert limit.error > 0.0
    assert safe.to_dict()["limits"]["liquidation_probability"]["high"] == 0.05
    assert "liquidation_probability at most 0.05" in safe.summary()
    nothing = tuned(
        "end_equity_mean", fields, settings, subject_to={"lowest_health_mean": (50.0, None)}, evaluations=20
    )
    assert not nothing.limits["lowest_health_mean"].met
    assert "lowest_health_mean is not at least 50: nothing that was tried keeps to all limits" in nothing.summary()


def test_a_median_or_a_function_may_be_the_goal() -> None:
    settings = base(policy=CALM)
    fields = {"deleverage_health": (1.0, 1.09)}
    median = tuned("return_q50", fields, settings, evaluations=10)
    assert math.isnan(median.error)
    assert "standard error" not in median.summary()
    both = tuned(lambda r: r.end_equity_mean - 0.5 * r.cvar, fields, settings, evaluations=10)
    own = MODEL.evaluate({"debt": np.array([1.2e4])}, both.strategy, 1)
    assert both.value == own.end_equity_mean[0] - 0.5 * own.cvar[0]


def test_what_was_fitted_to_few_paths_is_told() -> None:
    settings = base(policy=CALM, paths=8, market=days(30))
    found = tuned("end_equity_mean", {"deleverage_health": (1.0, 2.0), "deleverage_target": (1.0, 3.0)}, settings)
    assert found.value - found.start_value > found.held_out_value - found.held_out_start_value
    gone = dataclasses.replace(found, value=found.held_out_value + 10.0 * math.hypot(found.error, found.held_out_error))
    assert "on other paths, what was found is worth less by 10.0 standard errors: it was fitted" in gone.summary()


def test_bands_are_tuned_when_nobody_says_and_stay_in_order() -> None:
    design = Design.random({"debt": (8e3, 1.2e4)}, 12, model="market")
    found = tune("end_equity_mean", design, strategy=base(paths=20), evaluations=60, scenarios=4)
    bands = found.fields
    assert set(bands) == {"deleverage_health", "deleverage_target", "boost_health", "boost_target"}
    assert bands["deleverage_health"] <= bands["deleverage_target"] < bands["boost_health"]
    assert bands["deleverage_health"] < bands["boost_target"] <= bands["boost_health"]
    assert (found.scenarios, found.held_out) == (4, 8)
    kept = tune(
        "end_equity_mean", Design.random({"debt": 1e4}, 12, model="market"), strategy=base(paths=20), evaluations=20
    )
    assert (kept.scenarios, kept.held_out) == (12, 12)


def test_past_prices_are_tuned_on_early_and_judged_late() -> None:
    prices = 2000.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, 0.05, 200)))
    replay = days(20, Asset(2000.0), joint=Replay(prices))
    on, off = base(market=replay, paths=None).halves()
    assert isinstance(on.market.joint, Replay)
    assert isinstance(off.market.joint, Replay)
    early, late = on.market.joint.rows_for(20), off.market.joint.rows_for(20)
    assert early[-1] + 20 <= late[0]
    assert (early[0], late[-1]) == (0, 179)
    found = tuned(
        "end_equity_mean", {"deleverage_health": (1.0, 1.24)}, base(market=replay, paths=None), evaluations=10
    )
    assert found.held_out_value != found.value
    short = days(20, Asset(2000.0), joint=Replay(prices[:30]))
    with pytest.raises(MarketError, match="of 10 windows of 20 steps none begins after the first half has ended"):
        base(market=short, paths=None).halves()
    random = base(market=days(20, Asset(2000.0), joint=Bootstrap(np.diff(np.log(prices)), mean_block=5)))
    assert random.halves()[0] is random


@pytest.mark.parametrize(
    ("objective", "options", "message"),
    [
        ("-cva", {}, "objective 'cva' is no output of a simulation; did you mean 'cvar'"),
        ("cvar", {"subject_to": ["cvar"]}, r"subject_to must be a mapping of outputs to \(low, high\), not"),
        ("cvar", {"subject_to": {"ruin": (0, 1)}}, "subject_to: 'ruin' is no output; did you mean 'ruin_probability'"),
        ("cvar", {"subject_to": {"var": 3.0}}, r"subject_to: var must be \(low, high\) with low at most high, None for"),
        ("cvar", {"subject_to": {"var": (None, None)}}, r"None for no bound, not \(None, None\)"),
        ("cvar", {"subject_to": {"var": (2.0, 1.0)}}, r"None for no bound, not \(2\.0, 1\.0\)"),
        ("cvar", {"subject_to": {"var": (None, "a")}}, "subject_to: var must be real numbers, not 'a'"),
        ("cvar", {"fields": {"topup_target": (1.0, 2.0)}}, "topup_target has no value to start from: give the settings"),
        ("cvar", {"fields": {"boost": (1.0, 2.0)}}, "fields: 'boost' is no strategy field; did you mean 'boost_"),
    ],
)  # fmt: skip
def test_bad_arguments_of_tuning_are_named(objective: str, options: dict[str, Any], message: str) -> None:
    fields = options.pop("fields", {"deleverage_health": (1.0, 1.2)})
    with pytest.raises(ScenarioError, match=message):
        tuned(objective, fields, base(), **options)


def test_limits_are_for_any_model() -> None:
    ranges = {
        "supply": (500.0, 2000.0),
        "borrow": ("supply", 0.4, 0.6),
        "target": ("supply", 1.2, 1.4),
        "wallet": 100.0,
    }
    design = Design.sobol(ranges, 256, 1)
    fields = {"repay": (0.0, 0.3)}
    free = tune("net_equity_change", design, fields, scenarios=64, evaluations=60, reach=False)
    bound = tune(
        "net_equity_change", design, fields, scenarios=64, evaluations=60, reach=False,
        subject_to={"added_debt": (None, 0.5 * free.value + 100.0)},
    )  # fmt: skip
    assert math.isnan(bound.limits["added_debt"].error)
    assert "limits" not in free.to_dict()
    assert (
        tune("-added_debt", design, fields, scenarios=64, evaluations=60, reach=False).value
        >= -free.strategy.repay - 1e9
    )


def test_curves_and_usage_go_along() -> None:
    curve = Depth.curve(CurveSet.from_params(["pair"], "linear", [[-1e-6, 1.0]]))
    rate = KinkedRate(0.0, 0.04, 0.6, 0.9, 0.8, usage_mean=0.8, usage_reversion=20.0, usage_sigma=0.5)
    settings = base(
        market=days(20, rate=rate), policy=Policy(deleverage_health=1.1, deleverage_target=1.2, depth=curve)
    )
    assert "depth_cost" not in settings.numbers()
    rows = {"usage_sigma": np.array([0.5, 0.9]), "debt": np.array([1.2e4, 1.2e4])}
    moved = days(
        20,
        rate=KinkedRate(
            0.0, 0.04, 0.6, 0.9, 0.8, usage_mean=0.8, usage_reversion=20.0, usage_sigma=rows["usage_sigma"]
        ),
    )
    expected = simulate_market(
        10.0, 1.2e4, market=moved, protocol=AAVE, policy=settings.policy, paths=60, seed=3
    ).to_dict()
    assert not same(MODEL.evaluate(rows, settings, 1), expected)
    with pytest.raises(MarketError, match="depth is a curve, which no table of a file can hold"):
        settings.to_dict()
