"""Why no allocation over periods meets all bounds: which of them conflict, in which period, and by how much."""

from __future__ import annotations

from typing import Final

import numpy as np

from escala.allocation.problem import Answers
from escala.allocation.solve import allocate
from escala.allocation.stretches import Course, Fence, Stretch
from escala.errors import InfeasibleError
from escala.tables import ALLOCATION_ANSWERED, ALLOCATION_STATUS
from escala.text.numerals import capital

#: Of the money: less that is left is a rounding error.
ROUNDING: Final = 1e-12
_STATUS: Final = {row.value: row.name for row in ALLOCATION_STATUS}
_HELD: Final = "lower, min_ticket, min_efficiency"


def raise_infeasible(course: Course, stretch: Stretch, answers: Answers) -> None:
    """Raise where a stretch has no allocation, naming the bounds that conflict."""
    if int(answers.status[0]) < len(ALLOCATION_ANSWERED):
        return
    ended, excess = _STATUS[int(answers.status[0])], float(answers.column("excess")[0])
    culprit = int(answers.column("culprit")[0])
    if ended in ("group_full", "group_short"):
        raise _of_fence(course, stretch, stretch.fences[culprit], ended == "group_full", excess)
    if culprit >= 0:
        raise _of_instrument(course, stretch, *divmod(culprit, course.symbols.size), excess)
    raise _of_all(stretch, ended, excess)


def _of_fence(course: Course, stretch: Stretch, fence: Fence, full: bool, excess: float) -> InfeasibleError:
    """Say which limit of a period, or what has not arrived by then, conflicts with what must be held."""
    t = fence.place
    if fence.what == "symbol":
        symbol, most = course.symbols[t], float(course.symbol_upper[t])
        message = (
            f"what {symbol!r} must hold over all periods ({_HELD}) adds up to {capital(most + excess)}, "
            f"{capital(excess)} above symbol_upper[{t}] = {most!r}"
        )
        return InfeasibleError(message, symbol=symbol, excess=excess)
    excess /= float(course.worth[t])
    if not full:
        least = float(course.period_lower[t])
        message = (
            f"period_lower[{t}] = {least!r}, but the instruments may hold {capital(least - excess)} then: "
            f"{capital(excess)} too little"
        )
    elif fence.what == "period":
        most = float(course.period_upper[t])
        message = (
            f"what must be spent in period {t} ({_HELD}, period_lower) adds up to {capital(most + excess)}, "
            f"{capital(excess)} above period_upper[{t}] = {most!r}"
        )
    else:
        money = float(stretch.groups.limit("group_upper")[stretch.fences.index(fence)] / course.worth[t])
        message = (
            f"what must be spent {_span(stretch.first, t)} ({_HELD}, period_lower) adds up to "
            f"{capital(money + excess)}, {capital(excess)} above the money {capital(money)} that is there by then"
        )
    return InfeasibleError(message, problem=(t,), excess=excess)


def _span(first: int, last: int) -> str:
    return f"in period {first}" if first == last else f"in periods {first} to {last}"


def _of_instrument(course: Course, stretch: Stretch, k: int, i: int, excess: float) -> InfeasibleError:
    """Say which bounds of an instrument conflict: the period alone, with all money, says it in full."""
    t = stretch.first + k
    symbol = course.symbols[i]
    money = float(stretch.total / course.worth[t])
    settings = {name: rows[t] for name, rows in course.settings.items()}
    try:
        allocate(course.curves[t], money, max_nodes=0, **settings)
    except InfeasibleError as reason:
        return InfeasibleError(f"period {t}: {reason}", symbol=symbol, problem=(t,), excess=reason.excess)
    excess /= float(course.worth[t])
    message = f"period {t}: {symbol!r} must hold {capital(excess)} more than it may"
    return InfeasibleError(message, symbol=symbol, problem=(t,), excess=excess)


def _of_all(stretch: Stretch, ended: str, excess: float) -> InfeasibleError:
    """Say why all bounds together leave no allocation."""
    money = float(stretch.total)
    where = _span(stretch.first, stretch.end - 1)
    counted = "" if (stretch.worth == 1.0).all() else f" (counted in money of period {stretch.end - 1})"
    if ended == "lower_above_money":
        message = (
            f"what must be spent {where} ({_HELD}, period_lower) adds up to {capital(money + excess)}, "
            f"{capital(excess)} above the money {capital(money)}{counted}"
        )
    elif ended == "too_little_room":
        message = (
            f'spend="exactly" must place {capital(money)} {where}, but upper, period_upper, symbol_upper, min_ticket, '
            f"min_efficiency and the limits of the curves leave room for {capital(money - excess)}{counted}"
        )
    elif ended == "unsolved":
        message = (
            f"no price was found at which what is spent {where} adds up to {capital(money)}: "
            "the numbers are too far apart"
        )
    else:
        message = (
            f'spend="exactly": no allocation was found that adds up to {capital(money)} {where}{counted}. '
            "A higher max_nodes may find one, if there is any"
        )
    return InfeasibleError(message, excess=excess)


def check_symbols(course: Course) -> None:
    """Refuse limits of symbols below what they must hold over all periods.

    Raises
    ------
    InfeasibleError
        Names the symbol, and by how much.
    """
    least = course.settings["lower"].sum(axis=0)
    over = np.flatnonzero(least > course.symbol_upper * (1.0 + ROUNDING))
    if over.size:
        i = int(over[0])
        excess = float(least[i] - course.symbol_upper[i])
        message = (
            f"lower of {course.symbols[i]!r} adds up to {capital(float(least[i]))} over all periods, {capital(excess)} "
            f"above symbol_upper[{i}] = {float(course.symbol_upper[i])!r}"
        )
        raise InfeasibleError(message, symbol=course.symbols[i], excess=excess)


def not_found() -> InfeasibleError:
    """Say that no allocation within limits of symbols was found."""
    message = (
        "no allocation was found within symbol_upper and all other limits: it crosses those of periods, so that there "
        "may be one. Wider limits (symbol_upper, lower, period_lower, min_ticket), or spend='at_most', help"
    )
    return InfeasibleError(message)
