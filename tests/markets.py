"""Positions in a market as plain dictionaries of numbers, the form of the reference scenarios, and what is made of them."""

from __future__ import annotations

import csv
import gzip
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from escala import tables
from escala.curves.curveset import CurveSet
from escala.kernels import layout
from escala.lending.strategy import LendingStrategy
from escala.market.depth import Depth
from escala.market.market import Asset, FixedRate, KinkedRate, Market
from escala.market.pack import Room, scenarios_of, setting_of, tables_of
from escala.market.policy import Policy
from escala.market.processes import GBM, OU, Bootstrap, Heston, Merton, Replay
from escala.market.protocol import Protocol

DATA = Path(__file__).parent / "data" / "market"
OUTPUTS = tables.names(tables.MARKET_OUTPUTS)
KINDS = tables.names(tables.MARKET_EVENTS)
PROCESSES: dict[str, Any] = {"gbm": GBM, "merton": Merton, "ou": OU, "heston": Heston}
Spec = dict[str, Any]
Event = tuple[int, str, float, float, float]


def specs() -> list[Spec]:
    """Give the reference scenarios, each with its own joint process."""
    with gzip.open(DATA / "golden_specs.json.gz", "rt") as lines:
        shared, *found = (json.loads(line) for line in lines)
    for spec in found:
        name = spec["market"].get("joint")
        if isinstance(name, str):
            spec["market"]["joint"] = shared["joint"][name]
    return found


def table(name: str) -> list[dict[str, str]]:
    """Give the rows of a file of reference numbers."""
    path = DATA / name
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as lines:
        return list(csv.DictReader(lines))


def depth_of(d: Spec | None) -> Depth | None:
    if d is None:
        return None
    if d["kind"] == "flat":
        return Depth.flat(d["cost"])
    if d["kind"] == "constant_product":
        return Depth.constant_product(d["reserve"])
    names = next(form for form in tables.FAMILIES if form.name == d["kind"]).coefficients
    values = [[d.get(one.name, 0.0) for one in names]]
    return Depth.curve(CurveSet.from_params(["pair"], d["kind"], values, origin=d.get("origin", 0.0)))


def market_of(m: Spec, first_row: int | None = None) -> Market:
    assets = []
    joint = m.get("joint")
    for a in m["assets"]:
        process = None
        if joint is None:
            kind = PROCESSES[a["kind"]]
            process = kind(**{row.name: a[row.name] for row in kind.rows if row.name in a})
        assets.append(Asset(a["price"], process, a.get("supply_yield", 0.0), a.get("oracle", "market")))
    together: Bootstrap | Replay | None = None
    if joint is not None and joint["kind"] == "replay":
        starts = None if first_row is None else [first_row]
        together = Replay(joint["prices"], joint.get("low"), starts)
    elif joint is not None:
        together = Bootstrap(joint["returns"], joint.get("mean_block"), joint.get("block"))
    rate = FixedRate(**m["rate"]) if "rate" in m["rate"] else KinkedRate(**m["rate"])
    correlation = m.get("correlation")
    return Market(
        assets,
        rate,
        dt=m["dt"],
        steps=m["steps"],
        correlation=correlation,
        joint=together,
        barrier=bool(m.get("barrier")),
    )


def protocol_of(p: Spec, count: int) -> Protocol:
    fields = {name: value for name, value in p.items() if name != "liquidator_depth"}
    for row in tables.PROTOCOL_ASSET:
        if row.name in fields:
            fields[row.name] = fields[row.name][0] if count == 1 else fields[row.name][:count]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return Protocol(**fields, liquidator_depth=depth_of(p.get("liquidator_depth")))


def policy_of(y: Spec) -> Policy:
    fields = {name: value for name, value in y.items() if name not in ("depth", "loop")}
    loop = y.get("loop")
    if loop is not None:
        fields |= {"loop_target": loop["target"]}
        fields["loop"] = LendingStrategy(**{name: value for name, value in loop.items() if name != "target"})
    return Policy(**fields, depth=depth_of(y.get("depth")))


def walked(spec: Spec, blocks: tuple[int, int] | None = None) -> tuple[Spec, list[Event], dict[str, Any]]:
    """Run the kernel on one path of one scenario: outputs, events and series."""
    from escala.kernels.market.walk import walk

    m = spec["market"]
    count = len(m["assets"])
    market = market_of(m, spec.get("start_row") or 0)
    protocol, policy = protocol_of(spec["protocol"], count), policy_of(spec.get("policy") or {})
    held = spec["collateral"] if count > 1 else spec["collateral"][0]
    path = 0 if isinstance(market.joint, Replay) else spec.get("path", 0)
    sobol = spec.get("sobol")
    setting = setting_of(
        market, protocol.rule, paths=path + 1, seed=spec.get("seed", 0), antithetic=bool(spec.get("antithetic")),
        sobol=len(sobol[0]) if sobol else 0,
    )  # fmt: skip
    if blocks is not None:
        setting[layout.market_setting.SMALL], setting[layout.market_setting.LARGE] = blocks
    setting[layout.market_setting.STRIDE] = path + 1
    s = scenarios_of(held, spec["debt"], spec.get("wallet", 0.0), market, protocol, policy, common=True)
    t = tables_of(market)
    words = np.array([spec.get("set") or 0], dtype=np.int64)
    room = Room.for_market(setting, loops=True, events=20 * m["steps"])
    values = np.zeros((len(OUTPUTS), path + 1))
    points = np.array(sobol, dtype=np.float64).reshape(1, -1) if sobol else np.zeros((1, 0))
    walk(
        setting, s.markets, s.assets, t["kinds"], t["oracle"], t["factor"], t["table"], t["lows"], t["starts"], points,
        words, np.array([0, 1], dtype=np.int64), s.positions, s.holdings, s.loops, s.steps, values, room.events, room.series,
        room.small, room.large, room.work, room.places, room.lane, room.state, path, path + 1,
    )  # fmt: skip
    outputs = {name: float(values[k, path]) for k, name in enumerate(OUTPUTS)}
    e = layout.market_event_row
    events = [
        (int(row[e.STEP]), KINDS[int(row[e.KIND])], float(row[e.A]), float(row[e.B]), float(row[e.C]))
        for row in room.events[:, : int(room.state[layout.market_state.COUNTED])].T
    ]
    return outputs, events, series_of(room, count, m["steps"])


def series_of(room: Room, count: int, steps: int) -> dict[str, Any]:
    """Give the series of a path by the names of the definitions, (T + 1, A), and the growth of the debt."""
    q, where = layout.market_series, layout.market_where

    def rows(first: int) -> Any:
        return room.series[first : first + count, : steps + 1].T

    pick = [int(room.places[where.PROTOCOL + j]) for j in range(count)]
    lows = [int(room.places[where.LOW + j]) for j in range(count)]
    return {
        "G": room.series[pick, : steps + 1].T,
        "M": rows(q.MARKET_VALUE * count),
        "K": rows(q.YIELD_EARNED * count),
        "X": rows(q.RATIO * count),
        "X_low": room.series[lows, : steps + 1].T,
        "B": room.series[q.GROWTH * count, : steps + 1],
    }
