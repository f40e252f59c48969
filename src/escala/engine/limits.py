"""Limits of an allocation: as given, else the symbol's own settings, else the system's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from escala import keyed
from escala.allocation.groups import are_labels
from escala.arrays import one_number
from escala.errors import AllocationError
from escala.store import ScalingConfig, SymbolConfig
from escala.tables import (
    ALLOCATION_GROUPS,
    ALLOCATION_SETTINGS,
    ALLOCATION_TARGETS,
    FINITE,
    SYMBOL_SETTINGS,
    intervals,
    names,
)

#: Limits that may differ by symbol, the efficiency too though no symbol has one of its own.
_PER_SYMBOL: Final = ("min_efficiency", *names(SYMBOL_SETTINGS))

_ALLOWED: Final = intervals(ALLOCATION_SETTINGS)

#: What is held, what trading costs, and lots: none, for a symbol that is not named.
_TRADING: Final = ("current", "trade_cost", "fixed_cost", "lots")

#: The others are one number or word.
_WHOLE: Final = ("reserve", "spend", "hurdle", "remainder", "method", "step", "max_nodes", "tolerance",
                 "max_count", "min_count")  # fmt: skip
#: Limits of groups, as :func:`escala.allocate` takes them.
_GROUPS: Final = ("groups", *names(ALLOCATION_GROUPS))
#: What is sought instead of a total, one number.
_TARGETS: Final = tuple(f"target_{row.name}" for row in ALLOCATION_TARGETS if row.name != "none")
_LIMITS: Final = (*_PER_SYMBOL, *_TRADING, *_GROUPS, *_WHOLE)

#: Where neither a symbol nor the system says anything.
_OPEN: Final = {"lower": 0.0, "upper": np.inf, "priority": 1.0}


def check_names(given: Mapping[str, Any], *, targets: bool = False) -> None:
    """Refuse what is no limit, and targets where the total is known.

    Raises
    ------
    AllocationError
        Names the first and those that are.
    """
    known = (*_LIMITS, *_TARGETS) if targets else _LIMITS
    unknown = [name for name in given if name not in known]
    if unknown:
        message = f"{unknown[0]!r} is no limit of an allocation; these are: {', '.join(known)}"
        raise AllocationError(message, arguments=(unknown[0],))


def completed(
    given: Mapping[str, Any], symbols: Sequence[str], system: ScalingConfig, own: Mapping[str, SymbolConfig]
) -> dict[str, Any]:
    """Give keywords of :func:`escala.allocate`: what is given, and what the settings say of the rest.

    Raises
    ------
    AllocationError
        If a limit or a group names a symbol that is not among these, or a target is not one number.
    """
    limits = {"reserve": system.reserve, **given}
    for name in _PER_SYMBOL:
        wanted = keyed.mapping(name, given.get(name), AllocationError)
        if wanted is not None or given.get(name) is None:
            keyed.refuse_strangers(name, wanted or {}, symbols, AllocationError)
            keyed.per_symbol(name, wanted or {}, list(wanted or {}), _ALLOWED[name], AllocationError)
            fallback = _OPEN[name] if name in _OPEN else getattr(system, name)
            defaults = (getattr(own.get(symbol), name, None) for symbol in symbols)
            limits[name] = [
                (wanted or {}).get(symbol, fallback if default is None else default)
                for symbol, default in zip(symbols, defaults, strict=True)
            ]
    for name in _TRADING:
        if name in given:
            limits[name] = keyed.of_some(name, given[name], symbols, 0.0, AllocationError)
    labels = keyed.mapping("groups", given.get("groups"), AllocationError)
    if labels is not None and are_labels(labels.values()):
        limits["groups"] = keyed.of_some("groups", labels, symbols, None, AllocationError)
    for name in _TARGETS:
        if given.get(name) is not None:
            limits[name] = one_number(name, given[name], FINITE, AllocationError)
    return limits
