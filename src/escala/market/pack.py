"""Positions, markets, protocols and policies as the arrays that the kernels read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import tables
from escala.arrays import Floats, broadcast_shape, check_interval, to_floats
from escala.errors import MarketError
from escala.kernels import layout
from escala.lending.strategy import LendingStrategy
from escala.market.market import Market, cholesky
from escala.market.policy import Policy
from escala.market.processes import Bootstrap, Replay
from escala.market.protocol import Protocol

Integers = npt.NDArray[np.int64]
_WORD: Final = 2**32
#: Blocks of steps that may be skipped, small and large.
BLOCKS: Final = (16, 1024)


@dataclass(frozen=True)
class Scenarios:
    """All parameter sets of a call, as arrays of one row each.

    Attributes
    ----------
    shape : tuple of int
        Common shape of what was given; a parameter set is one element of it, in C order.
    markets, assets : (groups, …), (groups·A, …) float64
        The different markets.
    group : (n,) int64
        The market of each parameter set.
    words : (groups,) int64
        Fourth word of the counters of random numbers.
    positions, holdings : (n, …), (n·A, …) float64
    loops : (inputs of the lending loop, n) float64
        No column where no loop runs.
    steps : (s,) float64
        Of the ladders among the depths.
    """

    shape: tuple[int, ...]
    count: int
    markets: Floats
    assets: Floats
    group: Integers
    words: Integers
    positions: Floats
    holdings: Floats
    loops: Floats
    steps: Floats


def setting_of(market: Market, rule: str, *, paths: int, seed: int, antithetic: bool, sobol: int) -> Integers:
    """Give what is the same for all parameter sets, as the kernels read it."""
    s = layout.market_setting
    setting = np.zeros(s.END, dtype=np.int64)
    setting[s.ASSETS] = len(market.assets)
    setting[s.STEPS] = market.steps
    setting[s.BARRIER] = _has_lows(market)
    setting[s.JOINT] = -1 if market.joint is None else tables.code_values(tables.PROCESSES)[market.joint.kind]
    setting[s.COMPOUNDING] = tables.code_values(tables.COMPOUNDING)[market.rate.compounding]
    setting[s.KINKED] = market.rate.rows is tables.KINKED_RATE_FIELDS
    setting[s.MOVING] = market.rate.moves
    setting[s.CORRELATED] = market.correlation is not None and market.joint is None
    setting[s.ANTITHETIC] = antithetic
    setting[s.SOBOL] = sobol
    setting[s.SEED_LOW], setting[s.SEED_HIGH] = seed % _WORD, seed // _WORD
    setting[s.PATHS] = paths
    setting[s.RULE] = tables.code_values(tables.RULES)[rule]
    setting[s.SMALL], setting[s.LARGE] = BLOCKS
    return setting


def _has_lows(market: Market) -> bool:
    """Tell whether steps have lows of their own: a replay without them has none."""
    return market.barrier and not (isinstance(market.joint, Replay) and market.joint.low is None)


def tables_of(market: Market) -> dict[str, npt.NDArray[Any]]:
    """Give what the kernels read of a market that no parameter set changes."""
    count = len(market.assets)
    processes, oracles = tables.code_values(tables.PROCESSES), tables.code_values(tables.ORACLES)
    kinds = [0 if asset.process is None else processes[asset.process.kind] for asset in market.assets]
    low = market.joint.low if isinstance(market.joint, Replay) and market.joint.low is not None else None
    starts = market.joint.rows_for(market.steps) if isinstance(market.joint, Replay) else np.empty(0)
    return {
        "kinds": np.array(kinds, dtype=np.int8),
        "oracle": np.array([oracles[asset.oracle] for asset in market.assets], dtype=np.int8),
        "factor": np.eye(count) if market.correlation is None else cholesky(market.correlation),
        "table": np.zeros((1, count)) if market.joint is None else market.joint.table,
        "lows": np.zeros((1, count)) if low is None else low,
        "starts": np.ascontiguousarray(starts, dtype=np.int64),
    }


def scenarios_of(
    collateral: Any, debt: Any, wallet: Any, market: Market, protocol: Protocol, policy: Policy, *, common: bool
) -> Scenarios:
    """Broadcast everything that is a number, and check what only holds together.

    Raises
    ------
    MarketError
        If shapes do not broadcast, or a position, the market and the protocol do not go together.
    """
    count = len(market.assets)
    _check_together(market, protocol, policy)
    balances = {"debt": to_floats("debt", debt, MarketError), "wallet": to_floats("wallet", wallet, MarketError)}
    for row in tables.MARKET_BALANCES:
        check_interval(row.name, balances[row.name], row.values, MarketError)
    held = to_floats("collateral", collateral, MarketError)
    check_interval("collateral", held, tables.MARKET_HOLDINGS[0].values, MarketError)
    per_asset = {"collateral": held, **protocol.asset_numbers()}
    parts = _position_parts(protocol, policy)
    market_numbers = market.numbers()
    loop = {} if policy.loop is None else {f"loop's {name}": array for name, array in policy.loop.arrays().items()}
    shape = broadcast_shape(
        {
            **balances,
            **parts,
            **market_numbers,
            **loop,
            **{name: _lead(name, array, count) for name, array in per_asset.items()},
        },
        MarketError,
    )
    n = int(np.prod(shape, dtype=np.int64))
    holdings = np.empty((n * count, layout.market_holding.END))
    for name, array in per_asset.items():
        wide = array[..., None] if count == 1 or array.ndim == 0 else array
        holdings[:, getattr(layout.market_holding, name.upper())] = np.broadcast_to(wide, (*shape, count)).reshape(-1)
    positions = np.zeros((n, layout.market_position.END))
    for name, array in {**balances, **parts}.items():
        positions[:, getattr(layout.market_position, name.upper())] = np.broadcast_to(array, shape).reshape(-1)
    _check_backed(holdings.reshape(n, count, layout.market_holding.END), positions, shape)
    group, markets, assets = _groups(market, market_numbers, shape, n, common=common)
    words = np.zeros(len(markets), dtype=np.int64) if common else np.arange(1, n + 1, dtype=np.int64)
    loops = _loops(policy.loop, holdings, positions, shape) if policy.loop is not None else np.zeros((1, 0))
    steps = np.concatenate([depth.steps for depth in (protocol.liquidator_depth, policy.depth) if depth is not None])
    return Scenarios(shape, count, markets, assets, group, words, positions, holdings, loops, steps)


def _check_together(market: Market, protocol: Protocol, policy: Policy) -> None:
    count = len(market.assets)
    if protocol.rule == "morpho" and count > 1:
        raise MarketError(f"morpho has one asset, not {count}", arguments=("protocol", "market"))
    if policy.loop is not None and count > 1:
        raise MarketError(f"loop is for one asset, not {count}", arguments=("policy", "market"))


def _lead(name: str, array: Floats, count: int) -> Floats:
    """Give an array of the shape that a field of assets has without its axis of assets."""
    if count == 1 or array.ndim == 0:
        return array
    if array.shape[-1] != count:
        message = f"{name} of shape {array.shape} must have a last axis of {count}, one for each asset"
        raise MarketError(message, arguments=(name,))
    return array[..., 0]


def _position_parts(protocol: Protocol, policy: Policy) -> dict[str, Floats]:
    """Give what a position's row holds of protocol and policy, by the names of the row."""
    assert protocol.liquidator_depth is not None
    assert policy.depth is not None
    behind = protocol.liquidator_depth.steps.size
    return {
        **protocol.numbers(),
        **{f"liquidator_{name}": array for name, array in protocol.liquidator_depth.numbers().items()},
        **policy.numbers(),
        **{f"depth_{name}": array for name, array in policy.depth.numbers(behind).items()},
    }


def _check_backed(holdings: Floats, positions: Floats, shape: tuple[int, ...]) -> None:
    """Refuse debt without any collateral."""
    held = (holdings[:, :, layout.market_holding.COLLATERAL] > 0.0).any(axis=1)
    debt = positions[:, layout.market_position.DEBT]
    bad = np.flatnonzero((debt > 0.0) & ~held)
    if bad.size:
        index = tuple(int(i) for i in np.unravel_index(bad[0], shape))
        place = f"[{', '.join(map(str, index))}]" if index else ""
        message = f"collateral must be above 0 where there is debt, but debt{place} = {float(debt[bad[0]])!r} has none"
        raise MarketError(message, arguments=("collateral", "debt"), indexes=(index,))


def _groups(
    market: Market, numbers: Mapping[str, Floats], shape: tuple[int, ...], n: int, *, common: bool
) -> tuple[Integers, Floats, Floats]:
    """Give the market of each parameter set, and the rows of the different markets."""
    names = list(numbers)
    if common and all(array.size == 1 for array in numbers.values()):
        distinct, group = np.array([[array.item() for array in numbers.values()]]), np.zeros(n, dtype=np.int64)
    else:
        columns = np.stack([np.broadcast_to(numbers[name], shape).reshape(-1) for name in names], axis=1)
        if common:
            distinct, inverse = np.unique(columns, axis=0, return_inverse=True)
            group = np.asarray(inverse, dtype=np.int64).reshape(-1)
        else:
            distinct, group = columns, np.arange(n, dtype=np.int64)
    column = {name: distinct[:, k] for k, name in enumerate(names)}
    return group, _market_rows(market, column, len(distinct)), _asset_rows(market, column, len(distinct))


def _market_rows(market: Market, column: Mapping[str, Floats], groups: int) -> Floats:
    f = layout.market_field
    rows = np.zeros((groups, f.END))
    rows[:, f.DT] = market.dt
    rows[:, f.BLOCK] = market.joint.length if isinstance(market.joint, Bootstrap) else 1.0
    rows[:, f.OPTIMAL] = 0.5  # of a fixed rate: nothing is divided by 0
    for row in market.rate.rows:
        if row.name in column:
            rows[:, getattr(f, row.name.upper())] = column[row.name]
    return rows


def _asset_rows(market: Market, column: Mapping[str, Floats], groups: int) -> Floats:
    a = layout.market_asset
    count = len(market.assets)
    rows = np.zeros((groups, count, a.END))
    for j, asset in enumerate(market.assets):
        process = asset.process if market.joint is None else None
        for row in (*asset.rows, *(process.rows if process else ())):
            found = column.get(f"{row.name} of assets[{j}]")
            if found is not None:
                rows[:, j, getattr(a, row.name.upper())] = found
        if process is not None and getattr(process, "start", None) is not None:
            rows[:, j, a.BEGIN] = rows[:, j, a.MEAN] + rows[:, j, a.START]
    return rows.reshape(groups * count, a.END)


def _loops(loop: LendingStrategy, holdings: Floats, positions: Floats, shape: tuple[int, ...]) -> Floats:
    """Give the columns that the lending loop reads; supply, debt and cash come from the position at each operation."""
    c = layout.lending_input
    loops = np.zeros((c.END, len(positions)))
    for name, array in loop.arrays().items():
        if hasattr(c, name.upper()):
            loops[getattr(c, name.upper())] = np.broadcast_to(array, shape).reshape(-1)
    loops[c.LIQUIDATION_THRESHOLD] = holdings[:, layout.market_holding.LIQUIDATION_THRESHOLD]
    loops[c.TARGET] = positions[:, layout.market_position.LOOP_TARGET]
    return loops


@dataclass(frozen=True)
class Room:
    """Arrays that one thread writes while it makes paths and walks along them."""

    series: Floats
    small: Floats
    large: Floats
    work: Floats
    places: Integers
    lane: Floats
    state: Floats
    events: Floats

    @classmethod
    def for_market(cls, setting: Integers, *, loops: bool, events: int = 0) -> Room:
        """Make room for the paths of one call."""
        s, q = layout.market_setting, layout.market_series
        count, steps = int(setting[s.ASSETS]), int(setting[s.STEPS])
        small, large = (max(1, int(setting[size])) for size in (s.SMALL, s.LARGE))
        places = np.zeros(layout.MARKET_PLACES, dtype=np.int64)
        places[layout.market_memo.MARKET] = -1
        return cls(
            # rows a power of two apart would all compete for the same cache lines
            series=np.zeros((q.GROWTH * count + 1, (steps + 1 + 7) // 8 * 8 + 8)),
            small=np.zeros((layout.market_block.END * count, -(-steps // small) + 8)),
            large=np.zeros((layout.market_block.END * count, -(-steps // large) + 8)),
            work=np.zeros(layout.MARKET_PATH_SIZE),
            places=places,
            lane=np.zeros(layout.LENDING_WORK_SIZE if loops else 1),
            state=np.zeros(layout.MARKET_STATE_SIZE),
            events=np.zeros((layout.market_event_row.END, events)),
        )
