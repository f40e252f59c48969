"""Targets that one search does not settle: shares that move with the total, and prices that do not fall with it.

The kernel cuts a total that keeps an efficiency down to what is placed. Where limits are shares of the total this would
take room away, so the cut is to the least total that has room for the same amounts. And it looks for a marginal utility
by placing what returns it on the whole, which says nothing where a unit may return more than the one before it did:
where that finds nothing, totals are tried one after another.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from escala.allocation.problem import FIGURES, Answers, Request
from escala.allocation.run import run
from escala.arrays import Floats
from escala.tables import ALLOCATION_ANSWERED, ALLOCATION_STATUS, ALLOCATION_TARGETS
from escala.text.numerals import capital

_GOALS: Final = {row.value: row.name for row in ALLOCATION_TARGETS}
_MISSED: Final = next(row.value for row in ALLOCATION_STATUS if row.name == "target_missed")
_MET: Final = 1e-12  # relative, as in the kernel
#: Totals that are tried, as parts of the highest: eight an octave over ten octaves, then one, down to next to nothing.
_LADDER: Final = np.concatenate([2.0 ** (-np.arange(81) / 8.0), 2.0 ** -np.arange(11.0, 40.0)])
_MOST_HALVES: Final = 60

Both = tuple[Answers, Answers]


def settle(request: Request, found: Both) -> dict[int, str]:
    """Settle in place what the kernel's search leaves open; say of problems why they have no answer after all."""
    goal = _GOALS[int(request.controls["goal"])]
    said: dict[int, str] = {}
    if goal == "efficiency" and _shared(request):
        for problem in range(request.problems):
            if _is_answered(found[0], problem):
                _widen(request, problem, found)
    elif goal == "marginal":
        for problem in range(request.problems):
            if not _is_answered(found[0], problem):
                said[problem] = _search(request, problem, found)
                if not _is_answered(found[0], problem):  # nobody asks for those after it
                    break
    return {problem: why for problem, why in said.items() if why}


def _shared(request: Request) -> bool:
    """Tell whether any limit is a share of the total."""
    shares = request.setting("max_share"), request.groups.limit("group_share")
    return any(bool((share < 1.0).any()) for share in shares)


def _is_answered(answers: Answers, problem: int) -> bool:
    return answers.solution.item(problem, FIGURES["status"]) < len(ALLOCATION_ANSWERED)


def _ceiling(request: Request, problem: int) -> float:
    return request.total.item(problem % request.total.size)


def _target(request: Request, problem: int) -> float:
    return request.targets.item(problem % request.targets.size)


def _forwards(request: Request, problem: int, totals: Floats) -> Both:
    """Allocate given totals by the curves of a problem."""
    n, draw = len(request.curves), problem // request.total.size
    own = request.params[draw * n : (draw + 1) * n]
    return run(
        replace(request, params=own, total=totals, shape=totals.shape, controls=request.controls.but(goal=0.0)), 1
    )


def _put(source: Both, place: int, found: Both, problem: int) -> None:
    """Make an answer that of a problem."""
    for one, other in zip(source, found, strict=True):
        if other.solution.shape[0]:
            other.amounts[problem], other.binding[problem] = one.amounts[place], one.binding[place]
            other.solution[problem], other.group_prices[problem] = one.solution[place], one.group_prices[place]


def _least_total(request: Request, amounts: Floats) -> float:
    """Give the least total with room for amounts."""
    share, group_share = request.setting("max_share"), request.groups.limit("group_share")
    shared, full = share < 1.0, group_share < 1.0
    needed = [math.fsum(amounts.tolist()) / (1.0 - request.controls["reserve"])]
    for held, part in ((amounts[shared], share[shared]), (request.groups.sums(amounts)[full], group_share[full])):
        needed += (held[held > 0.0] / part[held > 0.0]).tolist()
    return max(needed)


def _keeps(request: Request, problem: int, amounts: Floats) -> bool:
    """Tell whether amounts keep the efficiency that a problem asks for."""
    n, draw = len(request.curves), problem // request.total.size
    alone = replace(request, params=request.params[draw * n : (draw + 1) * n])
    placed = math.fsum(amounts.tolist())
    returned = np.clip(alone.evaluate("EFFICIENCY", amounts[None, :])[0], 0.0, 1.0)
    held = amounts > 0.0
    return math.fsum((amounts[held] * returned[held]).tolist()) >= (_target(request, problem) - _MET) * placed > 0.0


def _widen(request: Request, problem: int, found: Both) -> None:
    """Answer with all the money that there is, where it keeps the efficiency, cut to what the amounts need."""
    total = _ceiling(request, problem)
    at_most = _forwards(request, problem, np.array([total]))
    if not (_is_answered(at_most[0], 0) and _keeps(request, problem, at_most[0].amounts[0])):
        return
    needed = _least_total(request, at_most[0].amounts[0])
    if needed < total:
        cut = _forwards(request, problem, np.array([needed]))
        if _is_answered(cut[0], 0) and _keeps(request, problem, cut[0].amounts[0]):
            at_most = cut
    _put(at_most, 0, found, problem)


def _search(request: Request, problem: int, found: Both) -> str:
    """Look for the highest total from which on a unit returns no more than is asked for; say why there is none."""
    target, totals = _target(request, problem), _ceiling(request, problem) * _LADDER
    tried, _ = _forwards(request, problem, totals)
    answered = tried.column("status") < len(ALLOCATION_ANSWERED)
    prices = np.where(answered, tried.column("shadow_price"), np.nan)
    falls = np.flatnonzero((prices[1:] >= target) & (prices[:-1] <= target))
    if not falls.size:
        return _why_none(request, problem, found[0], prices[answered])
    low, high = float(totals[falls[0] + 1]), float(totals[falls[0]])
    _put(_cut(request, problem, _halved(request, problem, low, high)), 0, found, problem)
    return ""


def _cut(request: Request, problem: int, answer: Both) -> Both:
    """Cut a total down to what its amounts need, where the price stays: money that is left returns the hurdle."""
    needed = np.array([_least_total(request, answer[0].amounts[0])])
    if not needed[0] < answer[0].solution.item(0, FIGURES["total"]):
        return answer
    cut, target = _forwards(request, problem, needed), _target(request, problem)
    off = abs(cut[0].solution.item(0, FIGURES["shadow_price"]) - target)
    return cut if _is_answered(cut[0], 0) and off <= _MET * target else answer


def _halved(request: Request, problem: int, low: float, high: float) -> Both:
    """Narrow totals down to the one at which the price falls to the target."""
    target = _target(request, problem)
    for _ in range(_MOST_HALVES):
        if high - low <= _MET * high:
            break
        middle = 0.5 * (low + high)
        answers, _ = _forwards(request, problem, np.array([middle]))
        if _is_answered(answers, 0) and answers.solution.item(0, FIGURES["shadow_price"]) >= target:
            low = middle
        else:
            high = middle
    return _forwards(request, problem, np.array([low]))


def _why_none(request: Request, problem: int, answers: Answers, prices: Floats) -> str:
    """Say how near the totals that were tried come to a price; nothing where the kernel says it rightly."""
    if not prices.size:
        return ""
    target, nearest = _target(request, problem), answers.solution.item(problem, FIGURES["excess"])
    if int(answers.status[problem]) == _MISSED:
        above = nearest > target and bool((prices > target).all())
        below = nearest < target and bool((prices <= nearest * (1.0 + _MET)).all())
        if above or below:
            return ""
    near, most = float(prices[np.argmin(np.abs(prices - target))]), capital(_ceiling(request, problem))
    return (
        f"target_marginal = {target!r} is returned by no total that was tried up to {most}: the nearest that one "
        f"returns is {near!r}. What a unit returns need not fall with the total where trades have fixed costs, there "
        "are tickets or shares of the total, or curves do not bend downwards"
    )
