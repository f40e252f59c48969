"""Columns of designs of the market: every number of position, market, protocol and policy has a name of its own.

A number of an asset has the plain name where there is one asset, and ends in the asset's number where there are more:
``sigma``, but ``sigma_0`` and ``sigma_1``. What belongs to a depth or to the lending loop begins with that:
``depth_cost``, ``loop_repay``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Final

from escala import tables
from escala.tables import Quantity, Table

#: Numbers of a process, each once: those of one name mean the same and may be the same in all of them.
PROCESS: Final[Table] = tuple(
    {
        row.name: row for row in (*tables.GBM_FIELDS, *tables.MERTON_FIELDS, *tables.OU_FIELDS, *tables.HESTON_FIELDS)
    }.values()
)
#: Numbers of an asset, and of what a position or a protocol says of it.
OF_ASSET: Final[Table] = (*tables.MARKET_HOLDINGS, *tables.MARKET_ASSET, *PROCESS, *tables.PROTOCOL_ASSET)
#: What a trade loses: of a flat depth, and of a pool.
DEPTH: Final[Table] = (
    Quantity("cost", "Share that a trade loses", "fraction", tables.FRACTION),
    Quantity("reserve", "Reserve of the pool that is traded with", "amount", tables.PRICE),
)
#: Of the lending loop all fields but the threshold, which is the protocol's.
LOOP: Final[Table] = tuple(row for row in tables.LENDING_STRATEGY if row.name != "liquidation_threshold")
#: Fields of a policy that are targets: a column may bring one where the policy itself has none.
TARGETS: Final = {
    "topup_target": "topup_health",
    "deleverage_target": "deleverage_health",
    "boost_target": "boost_health",
}


def of_asset(name: str, j: int, count: int) -> str:
    """Name a number of asset j of so many."""
    return name if count == 1 else f"{name}_{j}"


def prefixed(part: str, rows: Iterable[Quantity]) -> Iterator[Quantity]:
    """Name rows by what they belong to."""
    for row in rows:
        yield dataclasses.replace(row, name=f"{part}_{row.name}")


def _numbered() -> Iterator[Quantity]:
    for row in OF_ASSET:
        for j in range(tables.MOST_ASSETS):
            yield dataclasses.replace(row, name=f"{row.name}_{j}")


#: All that may be a column, of any market. Which of them there are depends on the settings.
FIELDS: Final[Table] = (
    *OF_ASSET,
    *tables.MARKET_BALANCES,
    *tables.FIXED_RATE_FIELDS,
    *tables.KINKED_RATE_FIELDS,
    *tables.PROTOCOL_FIELDS,
    *tables.POLICY_FIELDS,
    *prefixed("depth", DEPTH),
    *prefixed("liquidator_depth", DEPTH),
    *prefixed("loop", LOOP),
    *_numbered(),
)

_BANDS: Final = (
    ("boost_target", "boost_health"),
    ("deleverage_target", "boost_health"),
    ("deleverage_health", "boost_target"),
    ("deleverage_health", "deleverage_target"),
    ("topup_health", "topup_target"),
)
_BORROWED: Final = ("loan_to_value", "liquidation_threshold")
#: Pairs of which the first must not exceed the second, the highest first: what is lowered to fit stays low enough.
ORDERED: Final = (
    *_BANDS,
    _BORROWED,
    *((f"{_BORROWED[0]}_{j}", f"{_BORROWED[1]}_{j}") for j in range(tables.MOST_ASSETS)),
    *((f"loop_{row.name}", f"loop_{row.at_most}") for row in tables.LENDING_STRATEGY if row.at_most),
)
#: Those in which they must not be equal either.
STRICT: Final = (("deleverage_target", "boost_health"), ("deleverage_health", "boost_target"))
