"""Whether allocations with holdings, costs and groups, forwards, backwards and over periods, are as good as a solver's.

``python -m benchmarks.allocations [problems] [seed] [overlapping]`` draws concave problems, with groups in groups or
(1) that overlap, solves each with cvxpy (Clarabel) too, and prints in how many ours is worse than its answer by more
than the gap, how many bounds lie below it, the widest gap, and how far totals that were sought for a utility lie from
the least that the solver needs. A fourth as many budgets over periods follow, a half of them with limits that cross
those of the periods.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import peers
from escala import CurveSet, allocate, allocate_periods

Floats = npt.NDArray[np.float64]
#: Relative: what a solver's answer may be off by.
THEIRS = 1e-7


def drawn(rng: np.random.Generator, *, overlapping: bool = False) -> tuple[CurveSet, float, dict[str, Any], Any]:
    """Draw a problem: for us, and for the peer."""
    n = int(rng.integers(2, 30))
    family = np.where(rng.random(n) < 0.5, 0, 3).astype(np.int8)
    top, loss = rng.uniform(0.5, 0.99, n), rng.uniform(0.3, 0.9, n)
    limit = 10.0 ** rng.uniform(-1.0, 1.0, n)
    params = np.column_stack([-top * loss / np.where(family == 0, limit, np.sqrt(limit)), top, np.zeros(n)])
    curves = CurveSet.from_params(
        [f"S{i}" for i in range(n)], ["linear" if code == 0 else "sqrt" for code in family], params, trusted_to=limit
    )
    total = float(rng.uniform(0.05, 1.0) * limit.sum())
    current = np.where(rng.random(n) < 0.7, rng.uniform(0.0, 1.0, n) * limit, 0.0)
    buy, sell = (rng.uniform(0.0, 0.2, n) * (rng.random(n) < 0.7) for _ in range(2))
    groups, upper, lower = (_overlapping if overlapping else _nested)(rng, limit, total)
    ours = {
        "current": current, "trade_cost": (buy, sell),
        "groups": {name: [f"S{i}" for i in inside] for name, inside in groups.items()},
        "group_upper": dict(zip(groups, upper, strict=True)), "group_lower": dict(zip(groups, lower, strict=True)),
    }  # fmt: skip
    peer = peers.ConicHolding(
        family, params, limit, current=current, buy=buy, sell=sell, groups=list(groups.values()), upper=upper,
        lower=lower,
    )  # fmt: skip
    return curves, total, ours, peer


def _nested(
    rng: np.random.Generator, limit: Floats, total: float
) -> tuple[dict[str, npt.NDArray[np.int64]], list[float], list[float]]:
    """Draw groups in groups, and their limits."""
    n = limit.size
    labels, inner = rng.integers(0, 3, n), rng.integers(0, 2, n)
    paths = [None if k == 2 else (f"g{k}", f"{m}") for k, m in zip(labels.tolist(), inner.tolist(), strict=True)]
    names = sorted({"/".join(path[: depth + 1]) for path in paths if path for depth in range(2)})
    joined = [f"{'/'.join(path or ())}/" for path in paths]
    groups = {name: np.array([i for i in range(n) if joined[i].startswith(f"{name}/")]) for name in names}
    upper = [float(rng.uniform(0.1, 0.9) * min(limit[inside].sum(), total)) for inside in groups.values()]
    lower = [most * float(rng.uniform(0.0, 0.3)) * ("/" in name) * 0.4 for name, most in zip(names, upper, strict=True)]
    for k, name in enumerate(names):  # what is inside of a group must fit into it
        demanded = sum(least for least, one in zip(lower, names, strict=True) if one.startswith(f"{name}/"))
        upper[k] = max(upper[k], demanded)
    return groups, upper, lower


def _overlapping(
    rng: np.random.Generator, limit: Floats, total: float
) -> tuple[dict[str, npt.NDArray[np.int64]], list[float], list[float]]:
    """Draw groups of two kinds, an instrument being in one of each, and limits around amounts that are possible."""
    labels = {"e": rng.integers(0, 3, limit.size), "t": rng.integers(0, 5, limit.size)}
    groups = {f"{kind}{k}": np.flatnonzero(of == k) for kind, of in labels.items() for k in np.unique(of).tolist()}
    held = rng.uniform(0.0, 1.0, limit.size) * limit
    held *= min(1.0, total / held.sum()) * rng.uniform(0.5, 1.0)
    mine = [float(held[inside].sum()) for inside in groups.values()]
    return (
        groups,
        [one * float(rng.uniform(1.0, 1.5)) for one in mine],
        [one * float(rng.uniform(0.0, 1.0) * (rng.random() < 0.3)) for one in mine],
    )


def drawn_periods(rng: np.random.Generator) -> tuple[list[CurveSet], Floats, dict[str, Any], peers.ConicPeriods]:
    """Draw a budget over periods: for us, and for the peer."""
    periods, n = int(rng.integers(1, 9)), int(rng.integers(1, 12))
    family = np.where(rng.random((periods, n)) < 0.5, 0, 3).astype(np.int8)
    top, loss = rng.uniform(0.5, 0.99, (periods, n)), rng.uniform(0.3, 0.9, (periods, n))
    limit = 10.0 ** rng.uniform(-1.0, 1.0, (periods, n))
    params = np.stack(
        [-top * loss / np.where(family == 0, limit, np.sqrt(limit)), top, np.zeros((periods, n))], axis=-1
    )
    curves = [
        CurveSet.from_params(
            [f"S{i}" for i in range(n)], ["linear" if code == 0 else "sqrt" for code in family[t]], params[t],
            trusted_to=limit[t],
        )
        for t in range(periods)
    ]  # fmt: skip
    arrived = rng.uniform(0.0, 1.0, periods) * limit.sum() / periods * (rng.random(periods) < 0.7)
    arrived[0] += 0.05 * limit.sum()
    carry = rng.choice([0.0, 0.6, 0.95, 1.0, 1.0, 1.0, 1.05], periods - 1)
    limits: dict[str, Any] = {}
    if rng.random() < 0.5:
        limits["period_upper"] = rng.uniform(0.2, 1.5, periods) * float(arrived.mean())
    if rng.random() < 0.5:
        limits["symbol_upper"] = rng.uniform(0.2, 2.0, n) * float(arrived.sum()) / n
    return curves, arrived, limits | {"carry": carry}, peers.ConicPeriods(family, params, limit, carry=carry, **limits)


def main_periods(problems: int, rng: np.random.Generator) -> None:
    """Compare budgets over periods, and print what was seen."""
    worse = below = failed = 0
    widest = 0.0
    for _ in range(problems):
        curves, arrived, asked, peer = drawn_periods(rng)
        found = allocate_periods(curves, arrived, **asked)
        peer.solve(arrived)
        if peer.problem.status not in ("optimal", "optimal_inaccurate"):
            failed += 1
            continue
        theirs, size = float(peer.problem.value), float(arrived.sum())
        worse += found.utility < theirs - THEIRS * size - found.gap * abs(found.upper_bound)
        below += found.upper_bound < theirs - THEIRS * size
        widest = max(widest, (found.upper_bound - found.utility) / size)
    print(f"{problems} budgets over periods, {failed} that the solver did not finish")
    print(f"worse than its answer by more than the gap: {worse}; bounds below its answer: {below}")
    print(f"widest gap {widest:.1e} of the money")


def main(problems: int, seed: int, overlapping: int) -> None:
    """Compare, and print what was seen."""
    rng = np.random.default_rng(seed)
    worse = below = failed = 0
    widest = furthest = 0.0
    for _ in range(problems):
        curves, total, asked, peer = drawn(rng, overlapping=bool(overlapping))
        found = allocate(curves, total, **asked)
        peer.solve([total])
        if peer.problem.status not in ("optimal", "optimal_inaccurate"):
            failed += 1
            continue
        theirs, size = float(peer.problem.value), total
        worse += float(found.utility) < theirs - THEIRS * size - float(found.gap) * abs(float(found.upper_bound))
        below += float(found.upper_bound) < theirs - THEIRS * size
        widest = max(widest, (float(found.upper_bound) - float(found.utility)) / size)
        if float(found.utility) > 0.0:
            sought = allocate(curves, total, target_utility=0.9 * float(found.utility), **asked)
            peer.solve([float(sought.total)])
            furthest = max(furthest, abs(float(peer.problem.value) - 0.9 * float(found.utility)) / size)
    print(f"{problems} problems, {failed} that the solver did not finish")
    print(f"worse than its answer by more than the gap: {worse}; bounds below its answer: {below}")
    print(f"widest gap {widest:.1e} of the money; utility of a sought total off by {furthest:.1e} of the money")
    main_periods(problems // 4, rng)


if __name__ == "__main__":
    main(*(int(word) for word in [*sys.argv[1:], *["2000", "1", "0"][len(sys.argv) - 1 :]]))
