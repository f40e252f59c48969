"""What is no number of a market, a protocol and a policy: kinds, tables of prices, curves; a plan is known by it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from escala.market.depth import Depth
from escala.market.market import KinkedRate, Market
from escala.market.policy import Policy
from escala.market.processes import Bootstrap, Replay
from escala.market.protocol import Protocol


def structure(market: Market, protocol: Protocol, policy: Policy) -> dict[str, Any]:
    """Say it as JSON knows it; tables and curves by a hash of their bits."""
    joint = market.joint
    return {
        "dt": market.dt,
        "steps": market.steps,
        "barrier": market.barrier,
        "processes": [
            None if joint is not None or asset.process is None else asset.process.kind for asset in market.assets
        ],
        "oracles": [asset.oracle for asset in market.assets],
        "joint": None if joint is None else _joint(joint),
        "correlation": None if market.correlation is None else market.correlation.tolist(),
        "rate": "kinked" if isinstance(market.rate, KinkedRate) else "fixed",
        "compounding": market.rate.compounding,
        "rule": protocol.rule,
        "liquidator_depth": _of_depth(protocol.liquidator_depth),
        "depth": _of_depth(policy.depth),
        "loop": policy.loop is not None,
    }


def _joint(joint: Bootstrap | Replay) -> dict[str, Any]:
    if isinstance(joint, Bootstrap):
        return {"kind": joint.kind, "returns": _hash(joint.table), "length": joint.length}
    parts = {"prices": joint.table, "low": joint.low, "starts": joint.starts}
    return {"kind": joint.kind, **{name: None if part is None else _hash(part) for name, part in parts.items()}}


def _of_depth(depth: Depth | None) -> str:
    if depth is None:
        return ""
    return depth.name or _hash(*depth.numbers().values(), depth.steps)


def _hash(*arrays: npt.NDArray[Any]) -> str:
    made = hashlib.sha256()
    for array in map(np.asarray, arrays):
        made.update(repr((array.shape, array.dtype.str)).encode())
        made.update(np.ascontiguousarray(array).tobytes())
    return made.hexdigest()
