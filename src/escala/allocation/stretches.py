"""Periods that money is carried through, as one allocation: what is there in time becomes limits of nested groups.

Money of all periods of a stretch is counted in that of its last one: a unit that is left in a period becomes the
product of the shares that are carried on. In that unit no period may have spent more, together with those before it,
than has arrived by then. The instruments of the first t periods are a group whose most that is, and these groups lie in
one another, with the limits of single periods inside; what is done about groups does the rest. Capital in another unit
is a curve with other coefficients, since every family is closed under it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from escala.allocation.groups import Groups
from escala.allocation.problem import SETTING, Answers, Controls
from escala.arrays import Floats
from escala.curves.curveset import CurveSet
from escala.curves.families import Family, in_units
from escala.tables import ALLOCATION_GROUPS, ALLOCATION_SETTINGS, COEFFICIENTS

Integers = npt.NDArray[np.int64]

_NOBODY: Final = -1
_LIMIT: Final = {row.name: place for place, row in enumerate(ALLOCATION_GROUPS)}
_MONEY: Final = ("lower", "upper", "min_ticket")  # settings that are amounts
_UNSOUGHT: Final = np.full(1, np.nan)
_PLACE: Final = COEFFICIENTS.index("d")  # where the steps of a ladder lie


@dataclass(frozen=True, eq=False)
class Course:
    """One budget over T periods and n instruments, checked.

    Attributes
    ----------
    symbols : (n,) object array of str
    curves : tuple of CurveSet
        One a period, instruments in the same order.
    arrived : (T,) float64
        Money that arrives in each period.
    carry : (T − 1,) float64
        What a unit that is left in a period has become in the next.
    weight : (T,) float64
        What a unit of utility of each period counts.
    settings : dict of str to (T, n) float64
        By the names of ``ALLOCATION_SETTINGS``, those that are given.
    period_upper, period_lower : (T,) float64
        Most and least spent in each period.
    symbol_upper : (n,) float64
        Most capital of each instrument over all periods.
    controls : dict of int to Controls
        By the number of instruments that are allocated over together.
    """

    symbols: npt.NDArray[np.object_]
    curves: tuple[CurveSet, ...]
    arrived: Floats
    carry: Floats
    weight: Floats
    settings: dict[str, Floats]
    period_upper: Floats
    period_lower: Floats
    symbol_upper: Floats
    controls: dict[int, Controls]

    @property
    def shape(self) -> tuple[int, int]:
        """Give (T, n)."""
        return len(self.curves), self.symbols.size

    @property
    def hurdle(self) -> float:
        """What money that is left at the end of a stretch returns elsewhere."""
        return next(iter(self.controls.values()))["hurdle"]

    @property
    def exactly(self) -> bool:
        """Whether all money must be spent."""
        return next(iter(self.controls.values()))["exactly"] != 0.0

    @property
    def priority(self) -> Floats:
        """Weight of each utility, (T, n)."""
        return self.settings["priority"] * self.weight[:, None]

    @functools.cached_property
    def spans(self) -> list[tuple[int, int]]:
        """First and last but one of the periods between which something is carried."""
        ends = [t for t, share in enumerate(self.carry.tolist(), 1) if share == 0.0] + [len(self.curves)]
        return list(zip([0, *ends[:-1]], ends, strict=True))

    @functools.cached_property
    def worth(self) -> Floats:
        """What a unit of money of each period is at the end of its stretch, (T,)."""
        worth = 1.0
        found = [worth]
        for share in reversed(self.carry.tolist()):
            worth = worth * share if share > 0.0 else 1.0
            found.append(worth)
        return np.array(found[::-1])


class Fence(NamedTuple):
    """What a group of a stretch stands for: money that has arrived by a period, a period, or a symbol."""

    what: str
    place: int


@dataclass(frozen=True, eq=False)
class Stretch:
    """Periods that money is carried through, as one problem over k·n instruments: period by period.

    Amounts are in money of the last period.

    Attributes
    ----------
    first : int
        The first period.
    worth : (k,) float64
        What a unit of money of each period is at the end.
    fences : tuple of Fence
        What each group stands for.
    limits : (k·n,) float64
        Most capital that records stand for.
    settings : (len(ALLOCATION_SETTINGS), k·n) float64
    """

    first: int
    worth: Floats
    packed: tuple[npt.NDArray[np.int8], Floats, Floats]
    params: Floats
    limits: Floats
    total: Floats
    settings: Floats
    controls: Controls
    groups: Groups
    fences: tuple[Fence, ...]
    threshold: bool
    priced: bool = False

    #: A stretch is one problem.
    problems = 1

    @property
    def sought(self) -> Floats:
        """Give what totals are sought for: none."""
        return _UNSOUGHT

    @property
    def solves(self) -> int:
        """Count the solves that may be needed."""
        return 2 if self.threshold and self.controls["distribute"] else 1

    @property
    def parts(self) -> int:
        """Count the parts of a workspace."""
        return self.solves * (2 if self.priced else 1)

    @property
    def end(self) -> int:
        """The period behind the last one."""
        return self.first + self.worth.size

    @property
    def each(self) -> Floats:
        """What a unit of money of each instrument's period is at the end, (k·n,)."""
        return np.repeat(self.worth, self.limits.size // self.worth.size)

    def amounts(self, answers: Answers) -> Floats:
        """Give the answer in money of each period, (k, n)."""
        found: Floats = answers.amounts.reshape(self.worth.size, -1) / self.worth[:, None]
        return found

    def with_prices(self, prices: Floats) -> Stretch:
        """Give the same where a unit of each symbol's capital costs something, in whatever period it is spent."""
        settings = self.settings.copy()
        settings[SETTING["buy_cost"]] = (prices / self.worth[:, None]).reshape(-1)
        return replace(self, settings=settings, priced=bool(prices.any()))

    def with_upper(self, upper: Floats) -> Stretch:
        """Give the same with other bounds from above, (k, n)."""
        settings = self.settings.copy()
        settings[SETTING["upper"]] = (upper * self.worth[:, None]).reshape(-1)
        return replace(self, settings=settings)

    def prices(self, answers: Answers) -> tuple[Floats, Floats]:
        """Give what a unit of money, and of a limit, returns in each period: (k,) and (k,)."""
        money = np.full(self.worth.size, answers.column("shadow_price")[0])
        limits = np.zeros(self.worth.size)
        for fence, price in zip(self.fences, answers.group_prices[0].tolist(), strict=True):
            if fence.what == "money":
                money[: fence.place + 1 - self.first] += price
            elif fence.what == "period":
                limits[fence.place - self.first] = price
        return money * self.worth, limits * self.worth

    def symbol_prices(self, answers: Answers, n: int) -> Floats:
        """Give what a unit of each symbol's limit returns, (n,)."""
        prices = np.zeros(n)
        for fence, price in zip(self.fences, answers.group_prices[0].tolist(), strict=True):
            if fence.what == "symbol":
                prices[fence.place] = price
        return prices


def stretches_of(course: Course) -> list[Stretch]:
    """Bring periods that nothing is carried between into problems of their own."""
    return [_stretch(course, first, end) for first, end in course.spans]


def _stretch(course: Course, first: int, end: int) -> Stretch:
    n, span = course.symbols.size, slice(first, end)
    curves, worth = course.curves[span], course.worth[span]
    money = np.cumsum(course.arrived[span] * worth)
    settings = np.empty((len(ALLOCATION_SETTINGS), (end - first) * n))
    for place, row in enumerate(ALLOCATION_SETTINGS):
        given = course.settings.get(row.name)
        settings[place] = row.default if given is None else given[span].reshape(-1)
    if not _ones(course.weight):
        settings[SETTING["priority"]] *= np.repeat(course.weight[span], n)
    family, params, origin, steps = _joined(curves)
    supported, limits = _supported(curves, n), _each(curves, "_limits", n)
    if supported is not None:
        limits = np.minimum(limits, np.maximum(supported, settings[SETTING["lower"]]))
    if not _ones(worth):
        each = np.repeat(worth, n)
        params, origin, limits = _in_units(params, family, each), origin * each, limits * each
        settings[[SETTING[name] for name in _MONEY]] *= each
        settings[SETTING["priority"]] /= each
    groups, fences = _fences(course, first, end, money)
    return Stretch(
        first=first, worth=worth, packed=(family, origin, steps), params=params, limits=limits,
        total=money[-1:].reshape(()), settings=settings, controls=course.controls[end - first], groups=groups,
        fences=fences, threshold=bool(settings[SETTING["min_efficiency"]].any()),
    )  # fmt: skip


def _ones(values: Floats) -> bool:
    found: list[float] = values.tolist()
    return found == [1.0] * len(found)


def _in_units(params: Floats, family: npt.NDArray[np.int8], each: Floats) -> Floats:
    """Count capital in the money of the last period; where the steps of ladders lie is no coefficient."""
    changed = in_units(params, family, each)
    ladders = family == Family.LADDER
    changed[ladders, _PLACE] = params[ladders, _PLACE]
    return changed


def _each(curves: Sequence[CurveSet], name: str, n: int) -> Floats:
    """Put one array of every period behind the other."""
    joined: Floats = np.concatenate([getattr(one, name) for one in curves]) if n else np.empty(0)
    return joined


def _supported(curves: Sequence[CurveSet], n: int) -> Floats | None:
    """Give from what capital on curves claim more than their records returned, (k·n,); None where none does."""
    known = [one._supported for one in curves]
    if all(one is None for one in known):
        return None
    return np.concatenate([np.full(n, np.inf) if one is None else one for one in known])


def _joined(curves: Sequence[CurveSet]) -> tuple[npt.NDArray[np.int8], Floats, Floats, Floats]:
    """Put what kernels take of curves one behind the other: the steps of ladders move with them."""
    arrays = [one._arrays() for one in curves]
    if len(arrays) == 1:
        return arrays[0]
    family, params, origin, steps = (np.concatenate(parts) for parts in zip(*arrays, strict=True))
    if steps.size:
        before = np.cumsum([0, *(one[3].size for one in arrays[:-1])])
        ladders = family == Family.LADDER
        params[ladders, _PLACE] += np.repeat(before, len(curves[0]))[ladders]
    return family, params, origin, steps


def _fences(course: Course, first: int, end: int, money: Floats) -> tuple[Groups, tuple[Fence, ...]]:
    """Make groups of what is limited, from the innermost outwards, and say what each of them stands for."""
    n, k = course.symbols.size, end - first
    upper, lower = course.period_upper[first:end].tolist(), course.period_lower[first:end].tolist()
    worth, by_then = course.worth[first:end].tolist(), money.tolist()
    # only before money arrives can there be less than in the end
    late = [arrives > 0.0 for arrives in course.arrived[first + 1 : end].tolist()] + [False]
    if not (any(late) or any(lower) or min(upper) < np.inf):
        return _of_symbols(course, k)
    fences: list[Fence] = []
    parents: list[int] = []
    limits: list[tuple[float, float]] = []
    leaf = [_NOBODY] * k
    within: list[int] = []  # fences that the next one of money lies around
    waiting: list[int] = []  # periods of no fence so far
    for t in range(k):
        if upper[t] < np.inf or lower[t] > 0.0:
            leaf[t] = len(fences)
            within.append(len(fences))
            fences.append(Fence("period", first + t))
            limits.append((upper[t] * worth[t], lower[t] * worth[t]))
            parents.append(_NOBODY)
        else:
            waiting.append(t)
        if late[t]:
            for inner in within:
                parents[inner] = len(fences)
            for own in waiting:
                leaf[own] = len(fences)
            within, waiting = [len(fences)], []
            fences.append(Fence("money", first + t))
            limits.append((by_then[t], 0.0))
            parents.append(_NOBODY)
    return _groups(fences, np.repeat(np.array(leaf), n), parents, limits), tuple(fences)


def _of_symbols(course: Course, k: int) -> tuple[Groups, tuple[Fence, ...]]:
    """Make a group of what is limited over all periods, where that crosses no other limit."""
    some = np.flatnonzero(course.symbol_upper < np.inf).tolist()
    leaf = np.full((k, course.symbols.size), _NOBODY)
    if crosses(course):
        some = []
    leaf[:, some] = np.arange(len(some))
    fences = tuple(Fence("symbol", i) for i in some)
    limits = [(float(course.symbol_upper[i]), 0.0) for i in some]
    return _groups(fences, leaf.reshape(-1), [_NOBODY] * len(some), limits), fences


def crosses(course: Course) -> bool:
    """Tell whether what a symbol may hold over all periods crosses limits of periods, or money in several units."""
    apart = (course.arrived[1:] > 0.0).any() or (course.carry != 1.0).any()
    limited = (course.period_upper < np.inf).any() or course.period_lower.any()
    return bool((course.symbol_upper < np.inf).any() and (apart or limited))


def _groups(
    fences: Sequence[Fence], leaf: Integers, parents: Sequence[int], limits: Sequence[tuple[float, float]]
) -> Groups:
    rows = np.ones((len(_LIMIT), len(fences)))
    if fences:
        rows[_LIMIT["group_upper"]], rows[_LIMIT["group_lower"]] = np.array(limits).T
    nested = np.empty(0, dtype=np.int64)  # none of them overlap
    return Groups(("",) * len(fences), leaf, np.array(parents, dtype=np.int64), rows, nested, nested)
