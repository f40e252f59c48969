"""Markets, protocols and policies as plain dictionaries: the tables of a file, read and written."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from escala import tables
from escala.errors import InputError, MarketError, did_you_mean
from escala.lending.strategy import LendingStrategy
from escala.market.depth import FORMS, Depth
from escala.market.market import Asset, FixedRate, KinkedRate, Market
from escala.market.policy import Policy
from escala.market.processes import GBM, OU, Bootstrap, Heston, Merton, Replay
from escala.market.protocol import Protocol, morpho_bonus
from escala.model import check_keys
from escala.tables import Table, names

_PROCESSES: Final[Mapping[str, Any]] = {process.kind: process for process in (GBM, Merton, OU, Heston)}
_JOINT: Final[Mapping[str, tuple[Any, tuple[str, ...]]]] = {
    "bootstrap": (Bootstrap, ("returns", "mean_block", "block")),
    "replay": (Replay, ("prices", "low", "starts")),
}
_MARKET: Final = ("assets", "rate", "dt", "steps", "barrier", "correlation", "joint")


def market_in(content: Mapping[str, Any]) -> Market:
    """Read the table ``[market]`` and what it holds.

    Raises
    ------
    MarketError
        If a key is missing or unknown, or a value not allowed; names the table and the key.
    """
    table = _table(content, "market", "market", _MARKET, required=("assets", "rate", "dt", "steps"))
    joint = _joint(table["joint"]) if "joint" in table else None
    given = table["assets"]
    listed = given if isinstance(given, list) else [given]
    assets = [_asset(one, f"market.assets[{j}]" if isinstance(given, list) else "market.assets", joint is not None)
              for j, one in enumerate(listed)]  # fmt: skip
    rate = _rate(table["rate"])
    with _named("market"):
        return Market(
            assets, rate, dt=table["dt"], steps=table["steps"], correlation=table.get("correlation"), joint=joint,
            barrier=table.get("barrier", False),
        )  # fmt: skip


def _asset(given: Any, where: str, together: bool) -> Asset:
    own = (*names(tables.MARKET_ASSET), "oracle")
    kind: Any = given.get("process") if isinstance(given, Mapping) else None
    if together:
        table = _checked(given, where, own, required=("price",))
        with _named(where):
            return Asset(**table)
    if not isinstance(kind, str) or kind not in _PROCESSES:
        message = f"{where}: process must be one of {', '.join(_PROCESSES)}, not {kind!r}"
        raise MarketError(f"{message}{did_you_mean(kind, _PROCESSES)}", arguments=("process",))
    process = _PROCESSES[kind]
    numbers = names(process.rows)
    needed = ("price", *(name for name in numbers if name != "start"))
    table = _checked(given, where, (*own, "process", *numbers), required=needed)
    with _named(where):
        made = process(**{name: table[name] for name in numbers if name in table})
        return Asset(process=made, **{name: table[name] for name in own if name in table})


def _rate(given: Any) -> FixedRate | KinkedRate:
    rows = names(tables.KINKED_RATE_FIELDS)
    if isinstance(given, Mapping) and given.keys().isdisjoint(rows):
        table = _checked(given, "market.rate", ("rate", "compounding"), required=("rate",))
        with _named("market.rate"):
            return FixedRate(**table)
    table = _checked(given, "market.rate", (*rows, "compounding"), required=rows[:5])
    with _named("market.rate"):
        return KinkedRate(**table)


def _joint(given: Any) -> Bootstrap | Replay:
    kind: Any = given.get("kind") if isinstance(given, Mapping) else None
    if not isinstance(kind, str) or kind not in _JOINT:
        message = f"market.joint: kind must be one of {', '.join(_JOINT)}, not {kind!r}"
        raise MarketError(message, arguments=("kind",))
    make, keys = _JOINT[kind]
    table = _checked(given, "market.joint", ("kind", *keys), required=keys[:1])
    with _named("market.joint"):
        made: Bootstrap | Replay = make(**{name: table[name] for name in keys if name in table})
        return made


def protocol_in(content: Mapping[str, Any]) -> Protocol:
    """Read the table ``[protocol]``: its rule, and what that takes.

    Raises
    ------
    MarketError
        If a key is missing or unknown, or a value not allowed; names the table and the key.
    """
    given = content.get("protocol")
    rule: Any = given.get("rule") if isinstance(given, Mapping) else None
    rules = names(tables.RULES)
    if given is not None and not (isinstance(rule, str) and rule in rules):
        message = f"protocol: rule must be one of {', '.join(rules)}, not {rule!r}{did_you_mean(rule, rules)}"
        raise MarketError(message, arguments=("rule",))
    make = getattr(Protocol, str(rule), Protocol.aave_v3)
    taken = inspect.signature(make).parameters
    keys = ("rule", *taken, *(("bonus",) if rule == "morpho" else ()))
    required = ("rule", *(name for name, one in taken.items() if one.default is inspect.Parameter.empty))
    table = dict(_table(content, "protocol", "protocol", keys, required=required))
    del table["rule"]
    bonus = {} if rule != "morpho" or "bonus" not in table else {"bonus": table.pop("bonus")}
    with _named("protocol"):
        if "liquidator_depth" in table:
            table["liquidator_depth"] = _depth(table["liquidator_depth"], "liquidator_depth")
        made: Protocol = make(**table)
        return dataclasses.replace(made, **bonus)


def policy_in(content: Mapping[str, Any]) -> Policy:
    """Read the table ``[policy]``, which may be missing.

    Raises
    ------
    MarketError
        If a key is unknown, or a value not allowed; names the table and the key.
    """
    rows = names(tables.POLICY_FIELDS)
    table = dict(_table(content, "policy", "policy", (*rows, "depth", "loop")))
    if "loop" in table:
        loop = _checked(table["loop"], "policy.loop", names(tables.LENDING_STRATEGY))
        with _named("policy.loop"):
            table["loop"] = LendingStrategy(**loop)
    with _named("policy"):
        if "depth" in table:
            table["depth"] = _depth(table["depth"], "depth")
        return Policy(**table)


def _depth(given: Any, name: str) -> Depth:
    """Read a depth: ``{ flat = 0.003 }`` or ``{ constant_product = 5e6 }``."""
    if not isinstance(given, Mapping) or len(given) != 1 or next(iter(given)) not in FORMS:
        message = f"{name} must be a table with one of {', '.join(FORMS)}, not {given!r}"
        raise MarketError(message, arguments=(name,))
    ((form, value),) = given.items()
    _, make = FORMS[form]
    return make(value)


def _table(
    content: Mapping[str, Any], name: str, where: str, keys: Sequence[str], *, required: Sequence[str] = ()
) -> Mapping[str, Any]:
    if name not in content and required:
        raise MarketError(f"there is no table [{where}]", arguments=(name,))
    return _checked(content.get(name, {}), where, keys, required=required)


def _checked(given: Any, where: str, keys: Sequence[str], *, required: Sequence[str] = ()) -> Mapping[str, Any]:
    """Check that a table has the keys that it needs, and no others."""
    if not isinstance(given, Mapping):
        raise MarketError(f"{where} must be a table, not {given!r}", arguments=(where,))
    check_keys(given, keys, f"key of [{where}]", MarketError)
    for name in required:
        if name not in given:
            raise MarketError(f"[{where}] has no {name}", arguments=(name,))
    return given


@contextlib.contextmanager
def _named(where: str) -> Iterator[None]:
    """Say of an error which table it is about."""
    try:
        yield
    except InputError as error:
        raise MarketError(
            f"{where}: {error}", arguments=error.arguments, indexes=error.indexes, requirement=error.requirement
        ) from None


def section_of_market(market: Market) -> dict[str, Any]:
    """Write a market as the table ``[market]``."""
    assets = []
    for asset in market.assets:
        process = None if market.joint is not None else asset.process
        moved = {} if process is None else {"process": process.kind, **_numbers(process, process.rows)}
        assets.append({**_numbers(asset, asset.rows), "oracle": asset.oracle, **moved})
    rate = {**_numbers(market.rate, market.rate.rows), "compounding": market.rate.compounding}
    found = {"dt": market.dt, "steps": market.steps, "barrier": market.barrier, "assets": assets, "rate": rate}
    if market.correlation is not None:
        found["correlation"] = market.correlation.tolist()
    if market.joint is not None:
        kind = "bootstrap" if isinstance(market.joint, Bootstrap) else "replay"
        given = {name: getattr(market.joint, name) for name in _JOINT[kind][1]}
        found["joint"] = {
            "kind": kind,
            **{name: np.asarray(value).tolist() for name, value in given.items() if value is not None},
        }
    return found


def section_of_protocol(protocol: Protocol) -> dict[str, Any]:
    """Write a protocol as the table ``[protocol]``.

    Raises
    ------
    MarketError
        If its depth is a curve, of which a file has no form.
    """
    taken = inspect.signature(getattr(Protocol, protocol.rule)).parameters
    numbers = _numbers(protocol, (*protocol.asset_rows, *protocol.rows))
    found = {"rule": protocol.rule, **{name: value for name, value in numbers.items() if name in taken}}
    if protocol.rule == "morpho" and not np.array_equal(protocol.bonus, morpho_bonus(protocol.liquidation_threshold)):
        found["bonus"] = numbers["bonus"]
    if "liquidator_depth" in taken:
        found["liquidator_depth"] = _section_of_depth("liquidator_depth", protocol.liquidator_depth)
    return found


def section_of_policy(policy: Policy) -> dict[str, Any]:
    """Write a policy as the table ``[policy]``.

    Raises
    ------
    MarketError
        If its depth is a curve, of which a file has no form.
    """
    found = {**_numbers(policy, policy.rows), "depth": _section_of_depth("depth", policy.depth)}
    if policy.loop is not None:
        found["loop"] = _numbers(policy.loop, tables.LENDING_STRATEGY)
    return found


def _section_of_depth(name: str, depth: Depth | None) -> dict[str, Any]:
    form = None if depth is None else depth.name
    if depth is None or form is None:
        message = f"{name} is a curve, which no table of a file can hold"
        raise MarketError(message, arguments=(name,))
    return {form: depth.a.tolist()}


def _numbers(owner: Any, rows: Iterable[Any] | Table) -> dict[str, Any]:
    """Give the numbers of an object as Python has them."""
    given = {row.name: getattr(owner, row.name) for row in rows}
    return {name: np.asarray(value).tolist() for name, value in given.items() if value is not None}
