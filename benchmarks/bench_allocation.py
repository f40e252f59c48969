"""Allocation beside cvxpy with Clarabel, SciPy's SLSQP, and a dual method written with SciPy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from benchmarks import peers
from benchmarks.compare import compare
from escala import Allocation, CurveSet, Family, allocate, allocate_periods

LINEAR, QUADRATIC, EXPONENTIAL, SQRT = FAMILIES = (Family.LINEAR, Family.QUADRATIC, Family.EXPONENTIAL, Family.SQRT)


@dataclass(frozen=True)
class Draw:
    """Instruments as both sides want them."""

    curves: CurveSet
    family: np.ndarray
    params: np.ndarray
    limit: np.ndarray

    def totals(self, count: int) -> np.ndarray:
        """Give a budget path; its last totals are more than there is use for."""
        return np.linspace(0.01, 1.0, count) * self.limit.sum()

    def instruments(self, *, concave: bool) -> peers.Instruments:
        """Give them to the peers."""
        return peers.Instruments(self.family, self.params, self.limit, concave=concave)


def draw(n: int, families: tuple[Family, ...], *, convex: float = 0.0, seed: int = 1) -> Draw:
    """Efficiencies of 0.5–0.9 that lose 40–90 % up to their limits, which range from 0.1 to 10.

    Utilities are concave, but for a share `convex` of the quadratics and exponentials: quadratics whose limit is their
    minimum, exponentials that run on to their floor, and (half of those) exponentials that rise.
    """
    rng = np.random.default_rng(seed)
    family = np.array([families[i % len(families)] for i in range(n)], dtype=np.int8)
    top, loss = rng.uniform(0.5, 0.9, n), rng.uniform(0.4, 0.9, n)
    limit = 10.0 ** rng.uniform(-1.0, 1.0, n)
    bent, rising = rng.uniform(size=n) < convex, rng.uniform(size=n) < 0.5
    minimum = limit * np.where(bent, 1.0, rng.uniform(1.5, 3.0, n))
    rate = np.where(bent, rng.uniform(3.0, 8.0, n), rng.uniform(0.5, 1.8, n)) / limit
    zero = np.zeros(n)
    per_family = {
        LINEAR: (-top * loss / limit, top, zero),
        QUADRATIC: (top * loss / minimum**2, -2.0 * top * loss / minimum, top),
        EXPONENTIAL: (
            np.where(bent & rising, -top * loss, top * loss),
            rate,
            np.where(bent & rising, top, top * (1.0 - loss)),
        ),
        SQRT: (-top * loss / np.sqrt(limit), top, zero),
    }
    params = np.empty((n, 3))
    for code, rows in per_family.items():
        params[family == code] = np.stack(rows, 1)[family == code]
    names = [Family(code).name.lower() for code in family]
    curves = CurveSet.from_params([f"S{i}" for i in range(n)], names, params, trusted_to=limit)
    return Draw(curves, family, params, limit)


def posterior(at: Draw, draws: int, seed: int = 2) -> np.ndarray:
    """Draw (draws, n, 3) parameters: level and slope of each efficiency vary by up to 5 %, decay rates by 10 %."""
    rng = np.random.default_rng(seed)
    level, slope, rate = (
        np.clip(rng.normal(1.0, sd, (draws, at.limit.size)), 1.0 - 2.0 * sd, 1.0 + 2.0 * sd)
        for sd in (0.025, 0.025, 0.05)
    )
    params = np.empty((draws, at.limit.size, 3))
    params[...] = at.params * level[..., None]
    params[..., 0] *= slope
    quadratic, decay = at.family == QUADRATIC, at.family == EXPONENTIAL
    params[:, quadratic, 1] *= slope[:, quadratic]
    params[:, decay, 1] = (at.params[:, 1] * rate)[:, decay]
    return params


def agree(at: peers.Instruments, ours: Allocation, totals: np.ndarray, theirs: np.ndarray, within: float) -> None:
    """Bring the peer's amounts inside the constraints; ours must be worth as much, and no more than `within` beyond."""
    every = np.arange(len(totals))
    theirs = np.clip(theirs, 0.0, at.limit)
    theirs *= np.minimum(1.0, totals / theirs.sum(-1))[:, None]
    own, other = at.utility(ours.amounts, every), at.utility(theirs, every)
    assert np.allclose(own, ours.utility, rtol=1e-12, atol=0.0)
    assert (own >= other * (1.0 - 1e-9 - ours.gap)).all()
    assert (own <= other * (1.0 + within)).all()


FEW = 20  # problems that the slow peers get, spread along the path


@pytest.mark.benchmark(group="allocation")
@pytest.mark.parametrize("n", [5, 50])
@pytest.mark.parametrize("peer", ["cvxpy with Clarabel, compiled once", "Clarabel itself, updated in place"])
def test_conic(benchmark: Any, n: int, peer: str) -> None:
    at = draw(n, (LINEAR, SQRT))
    totals = at.totals(200)
    few = totals[:: len(totals) // FEW]
    conic = peers.ConicAllocation(at.family, at.params, at.limit)
    solve = conic.through_cvxpy if peer.startswith("cvxpy") else conic.through_clarabel
    agree(at.instruments(concave=True), allocate(at.curves, few, threads=1), few, solve(few), 1e-6)
    compare(
        benchmark,
        lambda: allocate(at.curves, totals, threads=1),
        lambda: solve(few),
        rounds=9,
        what=f"{n} concave instruments, 200 totals, one thread / {peer}",
        work=len(totals),
        peer_work=FEW,
        unit="total",
    )


@pytest.mark.benchmark(group="allocation")
@pytest.mark.parametrize("n", [5, 50])
def test_single_calls(benchmark: Any, n: int) -> None:
    at = draw(n, (LINEAR, SQRT))
    totals = at.totals(FEW)
    conic = peers.ConicAllocation(at.family, at.params, at.limit)
    compare(
        benchmark,
        lambda: [allocate(at.curves, total, threads=1) for total in totals],
        lambda: conic.through_cvxpy(totals),
        rounds=9,
        what=f"{n} concave instruments, a call for each total, one thread / cvxpy with Clarabel, compiled once",
        work=FEW,
        unit="total",
    )


def holding(at: Draw, groups: int, seed: int = 3) -> tuple[dict[str, Any], peers.ConicHolding]:
    """Give holdings, rates of trading and limits of groups in two more: for us, and for the peer."""
    rng = np.random.default_rng(seed)
    n = at.limit.size
    current = rng.uniform(0.0, 0.5, n) * at.limit
    buy, sell = rng.uniform(0.0, 0.01, n), rng.uniform(0.0, 0.01, n)
    members = [np.arange(k, n, groups) for k in range(groups)]
    halves = [np.concatenate(members[k::2]) for k in range(2)]
    upper = [0.4 * at.limit[inside].sum() for inside in members] + [0.35 * at.limit[inside].sum() for inside in halves]
    paths = [(f"h{i % groups % 2}", f"g{i % groups}") for i in range(n)]
    names = [f"h{k % 2}/g{k}" for k in range(groups)] + ["h0", "h1"]
    ours = {
        "current": current, "trade_cost": (buy, sell), "groups": paths,
        "group_upper": dict(zip(names, upper, strict=True)),
    }  # fmt: skip
    peer = peers.ConicHolding(
        at.family, at.params, at.limit, current=current, buy=buy, sell=sell, groups=[*members, *halves], upper=upper
    )
    return ours, peer


@pytest.mark.benchmark(group="allocation")
@pytest.mark.parametrize(("n", "groups", "few"), [(50, 5, 10), (1000, 48, 2)])
def test_holdings_in_groups(benchmark: Any, n: int, groups: int, few: int) -> None:
    at = draw(n, (LINEAR, SQRT))
    totals = at.totals(200)
    asked, peer = holding(at, groups)
    some = totals[:: len(totals) // few]
    compare(
        benchmark,
        lambda: allocate(at.curves, totals, **asked, threads=1),
        lambda: peer.solve(some),
        rounds=5,
        what=f"{n:,} instruments held, rates of trading, {groups} groups in 2, 200 totals / cvxpy with Clarabel",
        work=len(totals),
        peer_work=len(some),
        unit="total",
    )


def crossing(at: Draw, venues: int, tokens: int, seed: int = 4) -> tuple[dict[str, Any], peers.ConicHolding]:
    """Give limits of venues and of tokens, every instrument being in one of each: for us, and for the peer."""
    rng = np.random.default_rng(seed)
    place = np.arange(at.limit.size)
    groups = {f"v{k}": np.flatnonzero(place % venues == k) for k in range(venues)}
    groups |= {f"t{k}": np.flatnonzero(place // venues % tokens == k) for k in range(tokens)}
    upper = [float(rng.uniform(0.2, 0.6) * at.limit[inside].sum()) for inside in groups.values()]
    none = np.zeros_like(at.limit)
    ours = {
        "groups": {name: [f"{at.curves.symbols[i]}" for i in inside] for name, inside in groups.items()},
        "group_upper": dict(zip(groups, upper, strict=True)),
    }
    peer = peers.ConicHolding(
        at.family, at.params, at.limit, current=none, buy=none, sell=none, groups=list(groups.values()), upper=upper
    )
    return ours, peer


@pytest.mark.benchmark(group="allocation")
def test_groups_that_overlap(benchmark: Any) -> None:
    at = draw(50, (LINEAR, SQRT))
    totals = at.totals(200)
    asked, peer = crossing(at, 5, 10)
    assert (allocate(at.curves, totals, **asked).gap <= 1e-9).all()
    some = totals[::20]
    compare(
        benchmark,
        lambda: allocate(at.curves, totals, **asked, threads=1),
        lambda: peer.solve(some),
        rounds=5,
        what="50 instruments in 5 venues and 10 tokens, limits of both, 200 totals / cvxpy with Clarabel",
        work=len(totals),
        peer_work=len(some),
        unit="total",
    )


@pytest.mark.benchmark(group="allocation")
@pytest.mark.parametrize("limited", ["", ", limits of periods", ", limits of periods and symbols"])
def test_periods(benchmark: Any, limited: str) -> None:
    """Money that arrives in each of twelve periods, over fifty instruments."""
    draws = [draw(50, (LINEAR, SQRT), seed=seed) for seed in range(12)]
    rng = np.random.default_rng(5)
    curves, arrived = [one.curves for one in draws], rng.uniform(0.0, 0.6, 12) * draws[0].limit.sum()
    budgets = np.linspace(0.8, 1.2, 10)[:, None] * arrived
    limits: dict[str, Any] = {}
    if limited:
        limits["period_upper"] = np.full(12, 1.2 * arrived.mean())
    if "symbols" in limited:
        limits["symbol_upper"] = np.full(50, 1.2 * arrived.sum() / 50)
    peer = peers.ConicPeriods(
        *(np.stack([getattr(one, name) for one in draws]) for name in ("family", "params", "limit")),
        carry=np.ones(11), **limits,
    )  # fmt: skip
    found = allocate_periods(curves, arrived, **limits)
    peer.solve(arrived)
    assert peer.problem.value <= found.upper_bound * (1.0 + 1e-7)
    assert found.utility >= peer.problem.value * (1.0 - 1e-7 - found.gap)
    assert found.gap <= 1e-9
    compare(
        benchmark,
        lambda: [allocate_periods(curves, money, **limits) for money in budgets],
        lambda: [peer.solve(money) for money in budgets[::5]],
        rounds=9,
        what=f"12 periods × 50 instruments{limited}, a call a budget, one thread / cvxpy with Clarabel, compiled once",
        work=len(budgets),
        peer_work=2,
        unit="budget",
        clock=time.thread_time,
    )


@pytest.mark.benchmark(group="allocation")
@pytest.mark.parametrize("goal", ["utility", "efficiency", "marginal"])
def test_backwards(benchmark: Any, goal: str) -> None:
    at = draw(50, (LINEAR, SQRT))
    total = 0.4 * float(at.limit.sum())
    found = allocate(at.curves, total)
    name = {"utility": "utility", "efficiency": "global_efficiency", "marginal": "shadow_price"}[goal]
    asked: dict[str, Any] = {f"target_{goal}": float(getattr(found, name))}
    compare(
        benchmark,
        lambda: [allocate(at.curves, **asked) for _ in range(20)],
        lambda: [allocate(at.curves, total) for _ in range(20)],
        rounds=15,
        what=f"50 concave instruments, the total for a target of {goal} / the same forwards",
        work=20,
        unit="call",
    )


@pytest.mark.benchmark(group="allocation")
@pytest.mark.parametrize("n", [5, 50])
def test_slsqp(benchmark: Any, n: int) -> None:
    at = draw(n, FAMILIES)
    totals = at.totals(200)
    few = totals[:: len(totals) // FEW]
    theirs = at.instruments(concave=True)
    same = np.zeros(FEW, dtype=np.intp)
    agree(theirs, allocate(at.curves, few, threads=1), few, theirs.slsqp(few, same), 1e-6)
    compare(
        benchmark,
        lambda: allocate(at.curves, totals, threads=1),
        lambda: theirs.slsqp(few, same),
        rounds=5,
        what=f"{n} concave instruments of all families, 200 totals, one thread / SciPy's SLSQP with gradient",
        work=len(totals),
        peer_work=FEW,
        unit="total",
    )


@pytest.mark.benchmark(group="allocation")
@pytest.mark.parametrize(("n", "count"), [(1000, 200), (100_000, 1)])
@pytest.mark.parametrize("convex", [0.0, 0.3], ids=["concave", "convex"])
def test_many(benchmark: Any, n: int, count: int, convex: float) -> None:
    """Beside the dual problem alone: its peer fills what the price leaves in order, and does not search."""
    at = draw(n, FAMILIES, convex=convex)
    totals = at.totals(count) if count > 1 else np.array([0.3 * at.limit.sum()])
    theirs = at.instruments(concave=convex == 0.0)
    same = np.zeros(count, dtype=np.intp)
    ours = allocate(at.curves, totals, threads=1)
    amounts, bound = theirs.dual(totals, same)
    agree(theirs, ours, totals, amounts, 1e-2 if convex else 1e-9)
    assert (ours.utility <= bound * (1.0 + 1e-12)).all()
    shape = "some S-shaped" if convex else "concave"
    along = f"{count} totals" if count > 1 else "one total"
    compare(
        benchmark,
        lambda: allocate(at.curves, totals, threads=1),
        lambda: theirs.dual(totals, same),
        rounds=5,
        what=f"{n:,} instruments of all families, {shape}, {along}, one thread / dual method in SciPy",
        work=count,
        unit="total",
    )


def ladders(n: int, count: int, seed: int = 3) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Draw knots and slopes of n ladders."""
    rng = np.random.default_rng(seed)
    knots = [np.concatenate([[0.0], np.cumsum(rng.exponential(1.0, count - 1))]) for _ in range(n)]
    return knots, [np.sort(rng.uniform(0.0, 1.0, count))[::-1] for _ in range(n)]


def merged(knots: list[np.ndarray], slopes: list[np.ndarray], total: float) -> np.ndarray:
    """Sort all steps by their slopes and buy them in that order; gives what each ladder gets."""
    width = np.concatenate([np.append(np.diff(row), np.inf) for row in knots])
    owner = np.repeat(np.arange(len(knots)), [row.size for row in knots])
    order = np.argsort(-np.concatenate(slopes), kind="stable")
    before = np.concatenate([[0.0], np.cumsum(width[order])[:-1]])
    taken = np.clip(total - before, 0.0, width[order])
    return np.bincount(owner[order], taken, len(knots))


@pytest.mark.benchmark(group="allocation")
@pytest.mark.parametrize(("n", "count"), [(1000, 20), (50, 1000)])
def test_ladders(benchmark: Any, n: int, count: int) -> None:
    """Beside what a script would do: all steps of all ladders sorted by slope, without a bound or a reason."""
    knots, slopes = ladders(n, count)
    curves = CurveSet.from_ladders([f"L{i}" for i in range(n)], knots, slopes)
    totals = np.linspace(0.01, 0.9, 256) * sum(row[-1] for row in knots)
    ours = allocate(curves, totals, threads=1)
    for k in range(0, totals.size, 51):
        assert np.allclose(ours.amounts[k], merged(knots, slopes, totals[k]), rtol=0.0, atol=1e-9 * totals[k])
    compare(
        benchmark,
        lambda: allocate(curves, totals, threads=1),
        lambda: [merged(knots, slopes, total) for total in totals[:FEW]],
        rounds=5,
        clock=time.thread_time,
        what=f"{n:,} ladders of {count:,} steps, 256 totals, one thread / all steps sorted by NumPy",
        work=totals.size,
        peer_work=FEW,
        unit="total",
    )


@pytest.mark.benchmark(group="allocation")
@pytest.mark.parametrize("peer", ["SciPy's SLSQP with gradient", "dual method in SciPy"])
def test_posterior(benchmark: Any, peer: str) -> None:
    at = draw(50, FAMILIES)
    params = posterior(at, 10_000)
    total = 0.3 * at.limit.sum()
    few = FEW if "SLSQP" in peer else 500
    some = peers.Instruments(at.family, params[:few], at.limit, concave=True)
    totals, draws = np.full(few, total), np.arange(few)

    def solve() -> np.ndarray:
        return some.slsqp(totals, draws) if "SLSQP" in peer else some.dual(totals, draws)[0]

    agree(some, allocate(at.curves, total, params=params[:few]), totals, solve(), 1e-6)
    compare(
        benchmark,
        lambda: allocate(at.curves, total, params=params),
        solve,
        rounds=5,
        what=f"50 concave instruments of all families, 10,000 draws, all threads / {peer}, one thread",
        work=len(params),
        peer_work=few,
        unit="draw",
    )


@pytest.mark.benchmark(group="allocation")
def test_mean_of_draws(benchmark: Any) -> None:
    """One allocation for the mean of all draws, with its bound; the peer has none."""
    at = draw(50, FAMILIES)
    params = posterior(at, 10_000)
    total = 0.3 * at.limit.sum()
    every = peers.Instruments(at.family, params, at.limit, concave=True)
    ours = allocate(at.curves, total, params=params, aggregate="mean", threads=1)
    _, theirs = every.mean_slsqp(total)
    assert theirs <= ours.upper_bound * (1.0 + 1e-9)
    assert ours.utility >= theirs * (1.0 - 1e-5)
    compare(
        benchmark,
        lambda: allocate(at.curves, total, params=params, aggregate="mean", threads=1),
        lambda: every.mean_slsqp(total),
        rounds=3,
        what="50 concave instruments, the mean of 10,000 draws, one thread / SciPy's SLSQP with gradient",
        work=0,
        unit="call",
    )
