"""Why no allocation meets all bounds: which of them conflict, and by how much."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from escala.allocation.problem import Answers, Request
from escala.allocation.run import run
from escala.curves.curveset import CurveSet
from escala.errors import InfeasibleError
from escala.tables import (
    ALLOCATION_ANSWERED,
    ALLOCATION_GROUPS,
    ALLOCATION_SETTINGS,
    ALLOCATION_STATUS,
    ALLOCATION_TARGETS,
    names,
)
from escala.text.numerals import capital

_ABOVE_ZERO = 1e-300
_GROUP_LOWER = names(ALLOCATION_GROUPS).index("group_lower")
_STATUS = {row.value: row.name for row in ALLOCATION_STATUS}


def raise_infeasible(request: Request, answers: Answers, said: Mapping[int, str]) -> None:
    """Raise for the first problem without an allocation, naming the bounds that conflict.

    `said` has what is known of problems beside their answers.
    """
    if answers.worst_status < len(ALLOCATION_ANSWERED):
        return
    failed = np.flatnonzero(answers.status >= len(ALLOCATION_ANSWERED))
    problem = int(failed[0])
    if answers.column("phases")[problem] > 1.0:  # a second solve has no threshold
        request = request.without_threshold()
    ended, excess = _STATUS[int(answers.status[problem])], float(answers.column("excess")[problem])
    culprit = int(answers.column("culprit")[problem])
    place = tuple(int(k) for k in np.unravel_index(problem, request.shape)) if request.shape else ()
    total = float(request.total.reshape(-1)[problem % request.total.size])
    of_group = ended in ("group_full", "group_short", "groups_conflict")
    symbol = request.curves.symbols[culprit] if culprit >= 0 and not of_group else None
    money = float(request.money[problem])
    if problem in said:
        message, symbol, excess = said[problem], None, math.nan
    elif ended == "target_missed":
        message = _of_target(request, problem, total, excess)
    elif ended == "groups_conflict":
        message = _of_groups(request, culprit, money, excess)
    elif of_group:
        message = _of_group(request, culprit, total, ended == "group_full", excess)
    elif symbol is not None:
        message = _of_instrument(request, problem, culprit, ended, excess)
    else:
        message, excess = _of_many(request, problem, ended, excess)
    if place:
        message = f"{_problem(request, place, total)}: {message}"
    raise InfeasibleError(message, symbol=symbol, problem=place, excess=excess)


def _of_many(request: Request, problem: int, ended: str, excess: float) -> tuple[str, float]:
    """Say why instruments together have no allocation, and by how much."""
    money = float(request.money[problem])
    counted = _of_counts(request, ended, money, excess)
    if counted:
        return counted, excess
    if ended == "no_combination":
        excess = money - _most_that_fits(request, problem)
    exactly = request.controls["exactly"] != 0.0
    if (ended == "no_combination" and math.isnan(excess)) or (ended == "not_found" and not exactly):
        return _of_combinations(request, problem, ended == "not_found"), excess
    return _of_all(request, ended, money, excess), excess


def _of_instrument(request: Request, problem: int, i: int, ended: str, excess: float) -> str:
    """Say which bounds of an instrument conflict."""
    symbol = request.curves.symbols[i]
    if ended == "no_curve_forced":
        forced = float(request.setting("lower")[i])
        return f"lower[{i}] = {forced!r} forces {symbol!r} in, {_without_stretch(request, problem, i)}"
    return f"{symbol!r} must hold at least {_least(request, problem, i)}: {capital(excess)} too much"


def _of_counts(request: Request, ended: str, money: float, excess: float) -> str:
    """Say why so many instruments cannot hold anything, or no fewer; nothing where that is not the reason."""
    fewest, most = int(request.controls["min_count"]), int(request.controls["max_count"])
    least = "lower, min_ticket, min_efficiency" + ", lots" * request.lots
    if ended == "too_few":
        return (
            f"min_count = {fewest} instruments must hold something, but only {fewest - int(excess)} may: the others "
            f"cannot hold their least ({least}) within upper, max_share, the money and the limits of the curves"
        )
    if ended == "too_many":
        return f"max_count = {most}, but lower forces {most + int(excess)} instruments in: {int(excess)} too many"
    if ended == "count_above_money":
        return (
            f"the smallest holdings of min_count = {fewest} instruments ({least}) add up to {capital(money + excess)}, "
            f"{capital(excess)} above the money {capital(money)} (total·(1 − reserve))"
        )
    if ended in ("no_combination", "not_found") and request.whole and not request.controls["exactly"]:
        limits = "limits of the groups" if len(request.groups) else "bounds"
        words = {
            "no_combination": "no allocation keeps",
            "not_found": "no allocation was found (a higher max_nodes may find one) that keeps",
        }
        return f"{words[ended]} to {' and '.join(request.whole)} and to all {limits}"
    return ""


def _of_all(request: Request, ended: str, money: float, excess: float) -> str:
    """Say why the bounds of all instruments leave no allocation."""
    grouped, lots = len(request.groups) > 0, ", lots" * request.lots
    if ended == "lower_above_money":
        names = "lower, min_ticket, min_efficiency" + lots + ", group_lower" * grouped
        return (
            f"what the forced instruments must hold ({names}) adds up to "
            f"{capital(money + excess)}, {capital(excess)} above the money {capital(money)} (total·(1 − reserve))"
        )
    if ended == "too_little_room":
        names = "upper, max_share, min_ticket, min_efficiency" + ", group_upper, group_share" * grouped
        names += "".join(f", {name}" for name in request.whole if name != "min_count")
        return (
            f'spend="exactly" must place {capital(money)}, but {names} and the '
            f"limits of the curves leave room for {capital(money - excess)}: {capital(excess)} too little"
        )
    if ended == "no_combination":
        return (
            f'spend="exactly": no combination of instruments adds up to {capital(money)} between lower bounds (lower, '
            f"min_ticket, min_efficiency{lots}) and upper ones; the nearest below is {capital(excess)} short"
        )
    if ended == "not_found":
        left = "" if math.isnan(excess) else f"; {capital(excess)} would be left"
        return (
            f'spend="exactly": no allocation was found that adds up to {capital(money)}{left}. '
            'method="exact" or a higher max_nodes may find one'
        )
    return f"no price was found at which the amounts add up to {capital(money)}: the numbers are too far apart"


def _of_combinations(request: Request, problem: int, stopped: bool) -> str:
    """Say which limits hinder every combination of instruments, or all that were tried until the search stopped."""
    least = request.groups.limit("group_lower")
    alone = [
        k for k in np.flatnonzero(least).tolist() if not stopped and math.isnan(_most_that_fits(request, problem, k))
    ]
    limits = "lower, group_lower, group_upper, group_share"
    if alone:
        limits = f"group_lower[{request.groups.names[alone[0]]!r}] = {float(least[alone[0]])!r}"
    said = (
        f"no combination of instruments keeps to the limits ({limits}) with amounts between the lower bounds "
        "(lower, min_ticket, min_efficiency) and the upper ones"
    )
    return f"{said} was found until the search ended: a higher max_nodes may find one" if stopped else said


def _of_target(request: Request, problem: int, ceiling: float, nearest: float) -> str:
    """Say how near a target may be met."""
    target = float(request.targets[problem % request.targets.size])
    goal = ALLOCATION_TARGETS[int(request.controls["goal"])].name
    if goal == "utility":
        return f"target_utility = {target!r} is more than {capital(ceiling)} can return: {nearest!r} at most"
    if goal == "efficiency":
        if math.isnan(nearest):
            return f"target_efficiency = {target!r}: nothing may be placed at all"
        return f"target_efficiency = {target!r} is kept by no money: the most found is {nearest!r}"
    if nearest < target:
        return f"target_marginal = {target!r} is returned by no unit: the first returns {nearest!r}"
    return f"target_marginal = {target!r} is not reached: the last unit of {capital(ceiling)} still returns {nearest!r}"


def _of_group(request: Request, k: int, total: float, full: bool, excess: float) -> str:
    """Say which limit of a group conflicts with those of its instruments."""
    groups = request.groups
    name = groups.names[k]
    if not full:
        least = float(groups.limit("group_lower")[k])
        return (
            f"group_lower[{name!r}] = {least!r}, but its instruments may hold {capital(least - excess)}: "
            f"{capital(excess)} too little"
        )
    upper, share = float(groups.limit("group_upper")[k]), float(groups.limit("group_share")[k])
    said = f"group_upper[{name!r}] = {upper!r}"
    if share < 1.0 and share * total < upper:
        said = f"group_share[{name!r}] = {share!r} of the total"
    most = min(upper, share * total if share < 1.0 else upper)
    return (
        f"what the instruments of group {name!r} must hold (lower, min_ticket, min_efficiency, group_lower) adds up to "
        f"{capital(most + excess)}, {capital(excess)} above {said}"
    )


def _of_groups(request: Request, k: int, money: float, excess: float) -> str:
    """Say that limits of groups conflict though each may be kept to alone: with which others, and by how much."""
    groups = request.groups
    mine = {i for i in range(groups.leaf.size) if k in groups.around(i)}
    met = [name for other, name in enumerate(groups.names)
           if other != k and any(other in groups.around(i) for i in mine)]  # fmt: skip
    listed = ", ".join(repr(name) for name in met[:8]) + ", …" * (len(met) > 8)
    spent = f" and the money {capital(money)}" + ", all of which must be placed," * bool(request.controls["exactly"])
    return (
        f"no allocation keeps to the limits of group {groups.names[k]!r} and of the groups that share instruments "
        f"with it ({listed}){spent} within the bounds of the instruments: at least one is missed by {capital(excess)} "
        "or more"
    )


def _problem(request: Request, place: tuple[int, ...], total: float) -> str:
    """Name one of many problems by what it was made of."""
    at = place[len(place) - request.total.ndim :]
    drawn = f"params[{place[0]}] and " if len(place) > len(at) else ""
    return f"{drawn}total{list(at) if at else ''} = {capital(total)}"


def _without_stretch(request: Request, problem: int, i: int) -> str:
    """Say why an instrument may hold nothing."""
    if np.isnan(request.params[(problem // request.total.size) * len(request.curves) + i]).any():
        return "which has no curve"
    least = float(request.setting("min_efficiency")[i])
    if least == 0.0:
        return "whose efficiency is above 0 nowhere within its limit"
    return f"whose efficiency reaches min_efficiency = {least!r} nowhere within its limit"


def _least(request: Request, problem: int, i: int) -> str:
    """Say what an instrument must hold, what it may, and which arguments say so."""
    least, lower, upper, ticket, share, lot = (
        float(request.setting(name)[i])
        for name in ("min_efficiency", "lower", "upper", "min_ticket", "max_share", "lots")
    )
    total = float(request.total.reshape(-1)[problem % request.total.size])
    first, last = _stretch(request, problem // request.total.size, i, least)
    end = f"min_efficiency[{i}] = {least!r}" if least > 0.0 else "where its efficiency is no longer above 0"
    low, low_name = max((lower, f"lower[{i}]"), (ticket, f"min_ticket[{i}]"), (first, end))
    high, high_name = min(
        (upper, f"upper[{i}]"),
        (share * total if share < 1.0 else np.inf, f"max_share[{i}] = {share!r}"),
        (float(request.limits[i]), "the limit of its curve"),
        (last, end),
    )
    if lot > 0.0:
        from escala.kernels.allocation.lots import A_MULTIPLE

        low_name, high_name = f"{low_name}, in lots[{i}] = {lot!r}", f"{high_name}, in lots"
        low, high = math.ceil(low / lot * (1.0 - A_MULTIPLE)) * lot, math.floor(high / lot * (1.0 + A_MULTIPLE)) * lot
    return f"{capital(low)} ({low_name}) and at most {capital(high)} ({high_name})"


def _most_that_fits(request: Request, problem: int, only: int | None = None) -> float:
    """Give the most money that the bounds let place: an allocation where every unit returns the same.

    With `only` no other group must hold anything. NaN where the limits of groups let nothing be placed.
    """
    n = len(request.curves)
    least, lower, upper, ticket, share = (
        request.setting(name) for name in ("min_efficiency", "lower", "upper", "min_ticket", "max_share")
    )
    draw, at = divmod(problem, request.total.size)
    total = float(request.total.reshape(-1)[at])
    stretches = [_stretch(request, draw, i, float(least[i])) for i in range(n)]
    first, last = np.array(stretches).reshape(n, 2).T
    shared = np.where(share < 1.0, share * total, np.inf)
    there = ~np.isnan(last) & (last > 0.0)
    same = CurveSet.from_params(request.curves.symbols.tolist(), "linear", np.tile([0.0, 1.0], (n, 1)))
    bounds = {
        "lower": np.where(there, np.where(lower > 0.0, np.maximum(lower, first), 0.0), 0.0),
        "min_ticket": np.where(there, np.maximum(ticket, first), 0.0),
        "upper": np.where(there, np.min([upper, shared, last, request.limits], axis=0), 0.0),
        "lots": request.setting("lots"),
    }
    settings = np.empty((len(ALLOCATION_SETTINGS), n))
    for row, setting in zip(settings, ALLOCATION_SETTINGS, strict=True):
        row[:] = bounds.get(setting.name, setting.default)
    groups = request.groups
    if only is not None:
        limits = groups.limits.copy()
        limits[_GROUP_LOWER, np.arange(len(groups)) != only] = 0.0
        groups = replace(groups, limits=limits)
    found, _ = run(
        replace(
            request,
            groups=groups,
            curves=same,
            total=request.money[problem : problem + 1],
            shape=(1,),
            params=same._arrays()[1],
            settings=settings,
            controls=request.controls.but(reserve=0.0, hurdle=0.0, exactly=0.0, greedy=0.0, goal=0.0),
        ),
        1,
    )
    return float(found.amounts.sum())


def _stretch(request: Request, draw: int, i: int, least: float) -> tuple[float, float]:
    """Ends of the first stretch of a curve with an efficiency of at least `least`, or above 0."""
    from escala.kernels.curves import limits as kernels

    family, _, origin, steps = request.curves._arrays()
    place = draw * family.size + i
    first, last = np.empty(1), np.empty(1)
    kernels.threshold(
        np.array([max(least, _ABOVE_ZERO)]), family[i : i + 1], request.params[place : place + 1], origin[i : i + 1],
        steps, request.limits[i : i + 1], first, last, 0, 1,
    )  # fmt: skip
    return float(first[0]), float(last[0])
