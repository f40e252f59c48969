"""The main job on real input, continued: from 30 M USD held in ten of the pairs to 50 M, where moving costs something.

A pair such as USDC/WETH sells the first token and buys the second: where the money ends up, so a cap on a token is one
on the pairs that buy it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from escala.allocation.result import Allocation
from escala.allocation.solve import allocate
from escala.allocation.summary import REASONS
from escala.curves.curveset import CurveSet

#: Money after the move, in USD.
TOTAL: Final = 50e6
#: Pairs that are held: five, in both directions.
PAIRS: Final = (
    "USDC/WETH", "WETH/USDC", "USDT/WETH", "WETH/USDT", "USDC/WBTC", "WBTC/USDC", "USDC/USDT", "USDT/USDC",
    "WETH/wstETH", "wstETH/WETH",
)  # fmt: skip
#: What each of them holds, in USD.
EACH: Final = 3e6
#: What a dollar costs to buy or sell: 10 basis points.
TRADE_COST: Final = 0.001
#: Most that all pairs which buy one token may hold, of the total.
TOKEN_SHARE: Final = 0.4


@dataclass(frozen=True)
class Move:
    """The best holding; the best one that sells nothing; and what staying is worth, the new money kept in cash."""

    found: Allocation
    adding: Allocation
    staying: float


def run(curves: CurveSet, *, threads: int | None = None) -> Move:
    """Allocate from what is held: freely, and with all of it kept."""
    symbols = curves.symbols.tolist()
    held = np.array([EACH if symbol in PAIRS else 0.0 for symbol in symbols])
    found, adding = (
        allocate(
            curves, TOTAL, current=held, lower=lower, trade_cost=TRADE_COST, groups=[bought(s) for s in symbols],
            group_share=TOKEN_SHARE, threads=threads,
        )
        for lower in (0.0, held)
    )  # fmt: skip
    cash = TOTAL - float(held.sum())
    return Move(found, adding, float(curves.utility(held[:, None]).sum()) + cash)


def bought(pair: str) -> str:
    """Give the token that a pair buys."""
    return pair.partition("/")[2]


def report(move: Move) -> str:
    """Say what trades, what stays, and why; which caps bind; what moving costs, and what it is worth."""
    found = move.found
    held = np.flatnonzero(found.current > 0.0)
    rows = held[np.argsort(-found.amounts[held], kind="stable")].tolist()
    lines = [
        f"From {found.current.sum():,.0f} USD in ten pairs to {TOTAL:,.0f}: trading costs {1e4 * TRADE_COST:g} basis "
        f"points, and the pairs that buy one token",
        f"(USDC/WETH sells USDC and buys WETH) may hold {TOKEN_SHARE:.0%} together:",
        f"{'pair':<14}{'held':>12}{'moved to':>13}{'trade':>14}  because",
    ]
    lines += [
        f"{found.symbols[i]:<14}{found.current[i]:>12,.0f}{found.amounts[i]:>13,.0f}{_signed(found.trades[i]):>14}  "
        f"{_reason(found, i)}"
        for i in rows
    ]
    new = np.flatnonzero((found.current == 0.0) & (found.amounts > 0.0))
    if new.size:
        named = (f"{found.symbols[i]} {_signed(found.trades[i])}" for i in new[np.argsort(-found.amounts[new])])
        lines.append(f"not held before: {', '.join(named)}")
    lines += [
        f"{name} holds its {TOKEN_SHARE:.0%}: a million more of it would return {1e6 * price:,.0f} USD more"
        for name, price in _full(found).items()
    ]
    return "\n".join(
        [
            *lines,
            f"{np.maximum(found.trades, 0.0).sum():,.0f} bought, {np.maximum(-found.trades, 0.0).sum():,.0f} sold, "
            f"which costs {found.costs.sum():,.0f}; {int((found.trades[held] == 0.0).sum())} of ten pairs stay",
            f"all of it is worth {found.utility:,.0f} net of that, at most {found.upper_bound:,.0f} is possible: "
            f"{gain(move):,.0f} more than staying,",
            f"the new money kept in cash at its full value, and {gain_over_adding(move):,.0f} more than "
            "placing it best and selling nothing",
        ]
    )


def gain(move: Move) -> float:
    """Give what the move returns beyond staying, net of its costs."""
    return float(move.found.utility) - move.staying


def gain_over_adding(move: Move) -> float:
    """Give what it returns beyond placing the new money alone: what selling is worth."""
    return float(move.found.utility - move.adding.utility)


def _signed(trade: float) -> str:
    return f"{trade:+,.0f}".replace("-", "−") if trade else "0"


def _full(found: Allocation) -> dict[str, float]:
    """Give the price of every cap that binds."""
    prices = zip(found.groups, found.group_prices.tolist(), strict=True)
    return {name: price for name, price in prices if price > 0.0}


def _reason(found: Allocation, i: int) -> str:
    name = found.binding_names[i]
    if name == "group":
        return f"{found.binding_groups[i]} is full"
    if name not in ("none", "price"):
        return REASONS[name]
    if found.trades[i] < 0.0:
        return "what was sold returns more elsewhere"
    return "the next dollar returns as much or more elsewhere"


def content(move: Move) -> dict[str, Any]:
    """Give the figures by name."""
    found = move.found
    return {
        "total": TOTAL,
        "trade_cost": TRADE_COST,
        "token_share": TOKEN_SHARE,
        "symbol": found.symbols,
        "token": [bought(symbol) for symbol in found.symbols.tolist()],
        "held": found.current,
        "amount": found.amounts,
        "trade": found.trades,
        "cost": found.costs,
        "binding": found.binding_names,
        "token_amount": dict(zip(found.groups, found.group_amounts.tolist(), strict=True)),
        "token_price": dict(zip(found.groups, found.group_prices.tolist(), strict=True)),
        "utility": found.utility,
        "upper_bound": found.upper_bound,
        "staying": move.staying,
        "gain": gain(move),
        "gain_over_adding": gain_over_adding(move),
    }
