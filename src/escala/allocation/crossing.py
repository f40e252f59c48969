"""Limits of symbols over all periods, which cross those of periods: a price for each, and what its bound leaves open.

For prices ν ≥ 0 of the symbols' limits S, Σ ν·S and the best of what is left when a unit of a symbol's capital costs ν
besides bounds every allocation within all limits. Each such problem is one without these limits and is solved as such.
The bound is convex in ν. Where utilities bend, Newton's method finds its least: what a price moves is known from the
curvatures and from the money that the periods of one price share. Where they are straight, linear programming over
what has been found so far chooses the next prices, near the best ones. Amounts within the limits come from each answer,
cut to them, and from mixtures of the answers; what they leave over is placed anew.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from escala.allocation.problem import SETTING, Answers
from escala.allocation.run import run
from escala.allocation.stretches import Course, Stretch
from escala.arrays import Floats
from escala.curves.families import Family
from escala.tables import ALLOCATION_ANSWERED

_ROUNDS: Final = 60  # of new prices
_PATIENCE: Final = 6  # of Newton's steps in which the gap hardly shrinks: then linear programmes go on
_PROGRAMMES: Final = 12  # of these, likewise
_SHRINKS: Final = 0.7  # a gap that shrinks to less than this is shrinking
_ENOUGH: Final = 1e-11  # a gap at which nobody searches on
_DIFFERENCE: Final = 1e-4  # of a capital, over which its marginal utility is compared
_TRUST: Final = 1.0  # gaps: how far from the best prices a linear programme looks at first
_EXACTLY: Final = 1e-10  # of a linear programme whose numbers are about 1: the least that the solver takes
_BEYOND: Final = 1e-3  # relative: so far behind a kink a price is looked at
_RIDGE: Final = 1e-12  # relative: prices of money that only move together are held apart
_HALVINGS: Final = 4  # of a step
_EQUAL: Final = 1e-13  # relative: a bound that is higher by less is not
_INSIDE: Final = 1e-7  # relative: capital nearer to its bound does not move with a price
_FULL: Final = 1e-9  # an efficiency nearer to 1 counts as 1
_MARGIN: Final = 2.0**-50  # of a limit: what sums of amounts may be rounded by


class Found(NamedTuple):
    """Amounts within all limits, and what proves how good they are."""

    answers: list[Answers]  # one a stretch
    prices: Floats  # of the symbols' limits, (n,)
    proof: list[Answers]  # at these prices
    utility: float
    upper_bound: float
    gap: float
    nodes: int
    converged: bool


@dataclass(frozen=True, eq=False)
class _Look:
    """What prices are answered with."""

    prices: Floats
    answers: list[Answers]
    amounts: list[Floats]
    held: Floats  # of each symbol, over all periods
    bound: float

    def value(self) -> float:
        """Give what the amounts return without what the limits cost."""
        utility = sum(float(one.column("utility")[0]) for one in self.answers)
        return utility + float((self.prices * self.held).sum())


@dataclass(eq=False)
class _Search:
    """The prices tried so far, and the best that came of them."""

    course: Course
    stretches: list[Stretch]
    looks: list[_Look] = field(default_factory=list)
    nodes: int = 0
    best: list[Answers] | None = None
    utility: float = -np.inf
    proof: _Look | None = None
    trust: float = 1.0  # how far from the best prices the next ones may lie, in parts of all that is returned

    @functools.cached_property
    def limited(self) -> npt.NDArray[np.bool_]:
        """Which symbols have a limit over all periods."""
        return self.course.symbol_upper < np.inf

    @functools.cached_property
    def most(self) -> Floats:
        """The limits, 0 where there is none: nothing is paid for it."""
        return np.where(self.limited, self.course.symbol_upper, 0.0)

    @functools.cached_property
    def bends(self) -> npt.NDArray[np.bool_]:
        """Which symbols have a utility that is not made of straight steps, in any period."""
        found: npt.NDArray[np.bool_] = np.any([one.family != Family.LADDER for one in self.course.curves], axis=0)
        return found

    @property
    def bound(self) -> float:
        """The lowest bound so far."""
        return np.inf if self.proof is None else self.proof.bound

    @property
    def gap(self) -> float:
        """What it leaves open, relative to it."""
        left = self.bound - self.utility
        if not left < np.inf:
            return 1.0
        return max(left, 0.0) / abs(self.bound) if self.bound else 0.0

    def look(self, prices: Floats) -> _Look | None:
        """Ask for the answer to prices of the limits; None where there is none."""
        answers = self.solve([one.with_prices(prices) if prices.any() else one for one in self.stretches])
        if answers is None:
            return None
        amounts = [one.amounts(answer) for one, answer in zip(self.stretches, answers, strict=True)]
        held = np.concatenate(amounts).sum(axis=0)
        bound = sum(float(one.column("upper_bound")[0]) for one in answers) + float((prices * self.most).sum())
        found = _Look(prices, answers, amounts, held, bound)
        self.looks.append(found)
        if bound < self.bound:
            self.proof = found
        self.keep(amounts)
        return found

    def solve(self, stretches: Sequence[Stretch]) -> list[Answers] | None:
        """Solve every stretch; None where one has no answer."""
        answers = []
        for one in stretches:
            answer, _ = run(one, 1)
            if answer.status[0] >= len(ALLOCATION_ANSWERED):
                return None
            self.nodes += int(answer.column("nodes")[0])
            answers.append(answer)
        return answers

    def keep(self, amounts: list[Floats]) -> None:
        """Cut amounts to the limits, place anew what that leaves over, and keep it if nothing was better."""
        upper = self.cut(np.concatenate(amounts))
        found = self.solve([one.with_upper(upper[one.first : one.end]) for one in self.stretches])
        if found is None:
            return
        utility = sum(float(one.column("utility")[0]) for one in found)
        if utility > self.utility:
            self.utility, self.best = utility, found

    def cut(self, amounts: Floats) -> Floats:
        """Give bounds of all instruments that add up to the limits of the symbols: amounts, cut or with equal room."""
        lower, upper = self.course.settings["lower"], self.course.settings["upper"]
        most = self.course.symbol_upper * (1.0 - _MARGIN)
        held, least = amounts.sum(axis=0), lower.sum(axis=0)
        over = self.limited & (held > most)
        with np.errstate(invalid="ignore", divide="ignore"):
            part = np.where(over, np.maximum(most - least, 0.0) / (held - least), 1.0)
        room = np.where(self.limited & ~over, (most - held) / amounts.shape[0], 0.0)
        bounded = np.minimum(lower + part * (amounts - lower) + room, upper)
        return np.where(self.limited, bounded, upper)

    # --- Newton's method ---------------------------------------------------------------------------------------------

    def newton(self, at: _Look) -> Floats | None:
        """Give the prices at which the symbols would hold their limits if all moved as they do at these prices."""
        found = [self.slopes(one, held) for one, held in zip(self.stretches, at.amounts, strict=True)]
        moves = -np.concatenate([slopes for slopes, _ in found])
        own = moves.sum(axis=0)
        active = self.limited & ((at.prices > 0.0) | (at.held > self.most))
        wanted = active & (own > 0.0)
        if not (active & ((own > 0.0) | self.bends)).any():
            return None
        over = np.where(wanted, at.held - self.most, 0.0)
        own = np.where(wanted, own, 1.0)
        shared, whole, room = [], [], []
        for one, answer in zip(self.stretches, at.answers, strict=True):
            for pool, above in self.pools(one, answer):
                with_worth = moves[one.first : one.end][pool] * one.worth[pool, None]
                shared.append(np.where(wanted, with_worth.sum(axis=0), 0.0))
                whole.append(float((with_worth * one.worth[pool, None]).sum()))
                room.append(above)
        step = over / own + _lifted(np.array(shared), np.array(whole), np.array(room), own, over)
        returned = np.concatenate([self.net(one, answer, slope) for one, answer, (_, slope) in
                                   zip(self.stretches, at.answers, found, strict=True)])  # fmt: skip
        moved = np.where(wanted, at.prices + step, at.prices)
        moved = np.where(active & ~wanted, self.at_kinks(at, returned), moved)
        highest = np.where(active, self.course.priority.max(axis=0), 0.0)  # no unit of a symbol returns more
        within: Floats = np.clip(moved, 0.0, highest)
        return within

    def net(self, stretch: Stretch, answers: Answers, marginal: Floats) -> Floats:
        """Give what the next unit of every instrument returns above the price of its period, (k, n)."""
        money, limits = stretch.prices(answers)
        found: Floats = marginal - (money + limits)[:, None]
        return found

    def at_kinks(self, at: _Look, returned: Floats) -> Floats:
        """Give prices at which the next instrument of each symbol would move, where at these none does."""
        amounts = np.concatenate(at.amounts)
        upper, lower = self.course.settings["upper"], self.course.settings["lower"]
        fewer = np.where(amounts > lower, returned, np.inf).min(axis=0)
        more = np.where(amounts < upper, returned, -np.inf).max(axis=0)
        over = at.held > self.most
        dearer = np.where((fewer > at.prices) & np.isfinite(fewer), fewer, at.prices) * (1.0 + _BEYOND)
        cheaper = np.where((more < at.prices) & np.isfinite(more), more, at.prices) * (1.0 - _BEYOND)
        found: Floats = np.where(over, dearer, cheaper)
        return found

    def slopes(self, stretch: Stretch, amounts: Floats) -> tuple[Floats, Floats]:
        """Give d(amount)/d(price) of every instrument, (k, n), 0 where a bound or a kink holds it; and w·U′."""
        k = amounts.shape[0]
        inner = (amounts * stretch.worth[:, None]).reshape(-1)
        step = _DIFFERENCE * inner
        marginal = np.nan_to_num(_evaluated(stretch, "MARGINAL", np.stack([inner - step, inner + step, inner], axis=1)))
        efficiency = _evaluated(stretch, "EFFICIENCY", inner[:, None])[:, 0]
        lower = np.maximum(stretch.settings[SETTING["lower"]], stretch.settings[SETTING["min_ticket"]])
        upper = np.minimum(stretch.settings[SETTING["upper"]], stretch.limits)
        free = (inner > lower * (1.0 + _INSIDE)) & (inner < upper * (1.0 - _INSIDE)) & (inner > 0.0)
        free &= (efficiency < 1.0 - _FULL) & (stretch.packed[0] != Family.LADDER)
        bend = stretch.settings[SETTING["priority"]] * (marginal[:, 1] - marginal[:, 0])
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(free & (bend < 0.0), 2.0 * step / bend, 0.0).reshape(k, -1)
        weighted = (stretch.settings[SETTING["priority"]] * marginal[:, 2]).reshape(k, -1)
        return found / (stretch.worth * stretch.worth)[:, None], weighted * stretch.worth[:, None]

    def pools(self, stretch: Stretch, answers: Answers) -> list[tuple[list[int], float]]:
        """Find the periods that share money which all is spent, or a limit; and how far their price may fall."""
        hurdle = stretch.controls["hurdle"]
        money, limits = stretch.prices(answers)
        at_end = money / stretch.worth
        full = {
            fence.place - stretch.first
            for fence, price in zip(stretch.fences, answers.group_prices[0].tolist(), strict=True)
            if fence.what == "money" and price > 0.0
        }
        found: list[tuple[list[int], float]] = []
        pool: list[int] = []
        for t in range(stretch.worth.size):
            if limits[t] != 0.0:
                above = limits[t] / stretch.worth[t]
                found.append(([t], above if above > 0.0 else np.inf))
            else:
                pool.append(t)
            if t in full or t == stretch.worth.size - 1:
                if pool and (at_end[pool[0]] > hurdle or self.course.exactly):
                    found.append((pool, np.inf if self.course.exactly else at_end[pool[0]] - hurdle))
                pool = []
        return found

    # --- straight utilities ------------------------------------------------------------------------------------------

    def programme(self) -> tuple[Floats, list[Floats]] | None:
        """Give the prices that are best by all answers so far, near the best ones, and the mixture that says so."""
        from scipy.optimize import linprog

        assert self.proof is not None
        some = np.flatnonzero(self.limited)
        values = np.array([one.value() for one in self.looks])
        held = np.stack([one.held[some] for one in self.looks])
        size, unit = max(float(np.abs(values).max()), 1e-300), np.maximum(self.most[some], 1e-300)
        centre = self.proof.prices[some] * unit / size  # prices in units in which everything is about 1
        found = linprog(
            np.concatenate([self.most[some] / unit, [1.0]]),
            A_ub=np.concatenate([-held / unit, -np.ones((len(self.looks), 1))], axis=1), b_ub=-values / size,
            bounds=[
                *zip(np.maximum(centre - self.trust, 0.0), centre + self.trust, strict=True),
                (None, None),
            ],
            method="highs-ds",
            options={"primal_feasibility_tolerance": _EXACTLY, "dual_feasibility_tolerance": _EXACTLY},
        )  # fmt: skip
        if found.status != 0:
            return None
        shares = np.clip(-found.ineqlin.marginals, 0.0, None)
        shares = shares / shares.sum() if shares.sum() > 0.0 else shares
        mixed = [
            np.einsum("j,jti->ti", shares, np.stack([one.amounts[k] for one in self.looks]))
            for k in range(len(self.stretches))
        ]
        prices = self.proof.prices.copy()
        prices[some] = found.x[:-1] * size / unit
        return prices, mixed


def _evaluated(stretch: Stretch, wanted: str, rows: Floats) -> Floats:
    """Evaluate the curves of a stretch, in its own money, at capitals (k·n, m)."""
    from escala.kernels.curves import evaluate as kernels

    family, origin, steps = stretch.packed
    out = np.empty(rows.shape)
    kernels.evaluate(
        getattr(kernels, wanted), family, stretch.params, origin, steps, np.ascontiguousarray(rows), out,
        np.zeros(1, dtype=np.int64), 0, rows.size,
    )  # fmt: skip
    return out


def _lifted(shared: Floats, whole: Floats, room: Floats, own: Floats, over: Floats) -> Floats:
    """Give how much farther the prices of symbols must go because those of money give way, which they do not forever.

    What one symbol gives up goes to the others of its pool. With moves σ of the amounts, Δν = (over + Σ a·y)/Σσ and
    Σ a·Δν = e·y, y being what the price of a pool falls by, a its sums of σ by symbol and e that of all.
    """
    if not whole.size:
        return np.zeros(own.size)
    falls = np.zeros(whole.size)
    free = whole > 0.0
    for _ in range(whole.size):
        some = np.flatnonzero(free)
        rows = shared[some]
        fixed = np.einsum("k,ki->i", np.where(free, 0.0, falls), shared)
        coupled = np.diag(whole[some] * (1.0 + _RIDGE)) - np.einsum("ki,li,i->kl", rows, rows, 1.0 / own)
        falls[some] = np.linalg.solve(coupled, np.einsum("ki,i->k", rows, (over + fixed) / own)) if some.size else 0.0
        beyond = free & (falls > room)
        if not beyond.any():
            break
        falls[beyond] = room[beyond]
        free &= ~beyond
    farther: Floats = np.einsum("k,ki->i", np.clip(falls, -np.inf, room), shared) / own
    return farther


def within_symbols(course: Course, stretches: list[Stretch], tolerance: float) -> Found | None:
    """Allocate within limits of symbols that cross those of periods; None where no allocation was found."""
    search = _Search(course, stretches)
    at = search.look(np.zeros(course.symbols.size))
    if at is None:
        return None
    if (at.held <= course.symbol_upper).all():  # no limit is reached
        search.best, search.utility = at.answers, sum(float(one.column("utility")[0]) for one in at.answers)
    for _ in range(_ROUNDS):
        before = search.gap
        _by_newton(search)
        if search.gap > _ENOUGH:
            _by_programme(search)
        if search.gap <= _ENOUGH or search.gap > _SHRINKS * before:
            break
    if search.best is None or search.proof is None:
        return None
    return Found(
        search.best, search.proof.prices, search.proof.answers, search.utility, max(search.bound, search.utility),
        search.gap, search.nodes, search.gap <= tolerance,
    )  # fmt: skip


def _by_newton(search: _Search) -> None:
    """Follow Newton's steps from the best prices while the gap shrinks; half of one whose bound is higher."""
    assert search.proof is not None
    at, patience = search.proof, 0
    for _ in range(_ROUNDS):
        before = search.gap
        if before <= _ENOUGH or patience > _PATIENCE:
            return
        wanted = search.newton(at)
        if wanted is None:
            return
        found = search.look(wanted)
        for _ in range(_HALVINGS):
            if found is None or found.bound <= at.bound + _EQUAL * abs(at.bound):
                break
            wanted = 0.5 * (at.prices + wanted)
            found = search.look(wanted)
        if found is None:
            return
        at = found
        patience = 0 if search.gap < _SHRINKS * before else patience + 1


def _by_programme(search: _Search) -> None:
    """Choose prices by all answers so far, from farther away while the bound falls and from nearer when it does not."""
    patience = 0
    search.trust = _TRUST * search.gap
    for _ in range(_ROUNDS):
        before, bound = search.gap, search.bound
        if before <= _ENOUGH or patience > _PROGRAMMES:
            return
        chosen = search.programme()
        if chosen is None:
            return
        prices, mixed = chosen
        search.keep(mixed)
        if search.look(prices) is None:
            return
        search.trust *= 2.0 if search.bound < bound else 0.5
        patience = 0 if search.gap < _SHRINKS * before else patience + 1
