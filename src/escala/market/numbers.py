"""The numbers of a market, a protocol and a policy by the names of columns, and the same with others in their place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from escala import tables
from escala.arrays import Floats, to_floats
from escala.errors import MarketError
from escala.market import columns
from escala.market.depth import FORMS, Depth
from escala.market.market import Market
from escala.market.policy import Policy
from escala.market.protocol import Protocol, morpho_bonus
from escala.tables import Quantity


@dataclass(frozen=True)
class Place:
    """Where a number belongs: to which part, by which name, and to which asset."""

    part: str
    name: str
    asset: int = 0


Number: TypeAlias = tuple[str, Place, Floats]
#: What takes the place of numbers: by part, name and asset.
Changes: TypeAlias = Mapping[str, Mapping[str, Mapping[int, Any]]]


def of_market(market: Market) -> Iterator[Number]:
    """Give each number of a market with its column's name and its place."""
    count = len(market.assets)
    for j, asset in enumerate(market.assets):
        parts: list[tuple[str, Any]] = [("asset", asset)]
        if asset.process is not None and market.joint is None:
            parts.append(("process", asset.process))
        for part, owner in parts:
            for name, place, array in _own(part, owner, owner.rows):
                yield columns.of_asset(name, j, count), dataclasses.replace(place, asset=j), array
    yield from _own("rate", market.rate, market.rate.rows)


def of_protocol(protocol: Protocol, count: int) -> Iterator[Number]:
    """Give each number of a protocol for so many assets."""
    for row in protocol.asset_rows:
        yield from each_asset("protocol", row.name, getattr(protocol, row.name), count)
    yield from _own("protocol", protocol, protocol.rows)
    yield from _of_depth("liquidator_depth", protocol.liquidator_depth)


def of_policy(policy: Policy) -> Iterator[Number]:
    """Give each number of a policy."""
    yield from _own("policy", policy, policy.rows)
    yield from _of_depth("depth", policy.depth)
    if policy.loop is not None:
        for name, place, array in _own("loop", policy.loop, columns.LOOP):
            yield f"loop_{name}", place, array


def each_asset(part: str, name: str, value: Any, count: int) -> Iterator[Number]:
    """Give a number that may have a last axis of assets, asset by asset."""
    array = to_floats(name, value, MarketError)
    for j in range(count):
        one = array if count == 1 or array.ndim == 0 else np.array(array[..., j], order="C")
        yield columns.of_asset(name, j, count), Place(part, name, j), one


def _own(part: str, owner: Any, rows: Iterable[Quantity]) -> Iterator[Number]:
    for row in rows:
        value = getattr(owner, row.name)
        if value is not None:
            yield row.name, Place(part, row.name), to_floats(row.name, value, MarketError)


def _of_depth(part: str, depth: Depth | None) -> Iterator[Number]:
    if depth is not None and depth.name is not None:
        name, _ = FORMS[depth.name]
        yield f"{part}_{name}", Place(part, name), depth.a


def joined(value: Any, changes: Mapping[int, Any], count: int) -> Any:
    """Put numbers of some assets into an array with a last axis of assets, or give the number of the only one."""
    if count == 1:
        return changes[0]
    each = [
        changes.get(j, one) for j, (_, _, one) in enumerate(each_asset("", "", value, count))
    ] if value is not None else [changes[j] for j in range(count)]  # fmt: skip
    return np.stack(np.broadcast_arrays(*each), axis=-1)


def changed_market(market: Market, changes: Changes) -> Market:
    """Give a market with other numbers in the place of some."""

    def of(part: str, j: int) -> dict[str, Any]:
        return {name: values[j] for name, values in changes.get(part, {}).items() if j in values}

    if not changes.keys() & {"asset", "process", "rate"}:
        return market
    assets = []
    for j, asset in enumerate(market.assets):
        process: Any = asset.process
        if of("process", j):
            process = dataclasses.replace(process, **of("process", j))
        assets.append(dataclasses.replace(asset, process=process, **of("asset", j)))
    rate = dataclasses.replace(market.rate, **of("rate", 0))
    return dataclasses.replace(market, assets=assets, rate=rate)


def changed_protocol(protocol: Protocol, changes: Changes, count: int) -> Protocol:
    """Give a protocol for so many assets with other numbers in the place of some."""
    if not changes.keys() & {"protocol", "liquidator_depth"}:
        return protocol
    of_assets = tables.names(protocol.asset_rows)
    given = {
        name: joined(getattr(protocol, name), values, count if name in of_assets else 1)
        for name, values in changes.get("protocol", {}).items()
    }
    if protocol.rule == "morpho" and "liquidation_threshold" in given:
        given = {**_following(protocol, given["liquidation_threshold"]), **given}
    return dataclasses.replace(protocol, **given, **_changed_depth("liquidator_depth", changes))


def _following(protocol: Protocol, threshold: Any) -> dict[str, Any]:
    """Give what follows from Morpho's threshold, where it did so before."""
    given: dict[str, Any] = {}
    if np.array_equal(protocol.bonus, morpho_bonus(protocol.liquidation_threshold)):
        given["bonus"] = morpho_bonus(threshold)
    if np.array_equal(protocol.loan_to_value, protocol.liquidation_threshold):
        given["loan_to_value"] = threshold
    return given


def changed_policy(policy: Policy, changes: Changes) -> Policy:
    """Give a policy with other numbers in the place of some."""
    if not changes.keys() & {"policy", "depth", "loop"}:
        return policy
    given: dict[str, Any] = {name: values[0] for name, values in changes.get("policy", {}).items()}
    if "loop" in changes and policy.loop is not None:
        given["loop"] = policy.loop.replace(**{name: values[0] for name, values in changes["loop"].items()})
    return dataclasses.replace(policy, **given, **_changed_depth("depth", changes))


def _changed_depth(part: str, changes: Changes) -> dict[str, Any]:
    if part not in changes:
        return {}
    ((name, values),) = changes[part].items()
    return {part: dict(FORMS.values())[name](values[0])}
