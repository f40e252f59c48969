"""The main job on real input, continued: 50 M USD over the 56 token pairs, and the path from 1 M to 500 M."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from escala.allocation.backtest import Validation, validate
from escala.allocation.result import Allocation
from escala.allocation.solve import allocate
from escala.curves.curveset import CurveSet
from escala.demo import moves
from escala.demo.curves import Quotes

#: Money to allocate, in USD.
TOTAL: Final = 50e6
#: The budget path, in USD.
PATH: Final = (1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8, 2e8, 5e8)
MIN_EFFICIENCY: Final = 0.99
#: Totals whose allocations are scored on quotes that their curves have not seen, in USD.
SCORED: Final = (TOTAL, 500e6)
#: How often the quotes are dealt into halves for that.
DEALS: Final = 6


@dataclass(frozen=True)
class Plan:
    """One allocation, the path, how long it took, what is realised on quotes held out, and one from what is held."""

    found: Allocation
    path: Allocation
    seconds: float
    scored: Validation
    move: moves.Move


def run(curves: CurveSet, quotes: Quotes, *, threads: int | None = None) -> Plan:
    """Allocate, and score; the time is that of the path alone, compiled code at hand."""
    found = allocate(curves, TOTAL, min_efficiency=MIN_EFFICIENCY, threads=threads)
    started = time.perf_counter()
    path = allocate(curves, PATH, min_efficiency=MIN_EFFICIENCY, threads=threads)
    seconds = time.perf_counter() - started
    scored = validate(quotes.symbol, quotes.capital, quotes.efficiency, total=SCORED, repeats=DEALS, threads=threads)
    return Plan(found, path, seconds, scored, moves.run(curves, threads=threads))


def report(plan: Plan) -> str:
    """Who gets what, why it stops there, and how the answer changes with the total."""
    return "\n".join(
        [
            f"{TOTAL:,.0f} USD over these pairs, each only as far as it keeps {MIN_EFFICIENCY:.0%} of its efficiency:",
            plan.found.summary(),
            "",
            f"The bound is about the fitted curves. Fitted on random halves of the quotes ({DEALS} deals), allocated,",
            "and scored on the other halves, no amount beyond what they hold:",
            plan.scored.summary(),
            "",
            f"The same for other totals (all in {plan.seconds * 1e3:.1f} ms):",
            plan.path.summary(),
            "",
            moves.report(plan.move),
        ]
    )


def content(plan: Plan) -> dict[str, Any]:
    """Give the figures by name."""
    found, path = plan.found, plan.path
    return {
        "total": TOTAL,
        "min_efficiency": MIN_EFFICIENCY,
        "symbol": found.symbols,
        "amount": found.amounts,
        "efficiency": found.efficiency,
        "marginal": found.marginal,
        "binding": found.binding_names,
        "utility": found.utility,
        "upper_bound": found.upper_bound,
        "gap": found.gap,
        "shadow_price": found.shadow_price,
        "scored": plan.scored.to_dict(),
        "path": {
            "total": np.asarray(path.total),
            "amount": path.amounts,
            "utility": path.utility,
            "gap": path.gap,
            "shadow_price": path.shadow_price,
        },
        "move": moves.content(plan.move),
    }
