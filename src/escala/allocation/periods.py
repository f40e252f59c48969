"""One budget over several periods: what is left in one is there in the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from escala import keyed
from escala.allocation import crossing, period_bounds
from escala.allocation.period_result import PeriodAllocation
from escala.allocation.problem import Answers, checked_controls
from escala.allocation.run import run
from escala.allocation.stretches import Course, Stretch, crosses, stretches_of
from escala.arrays import FloatLike, Floats, check_interval, to_floats, whole_number
from escala.curves.curveset import CurveSet
from escala.errors import AllocationError, did_you_mean
from escala.keyed import PerSymbol
from escala.made import made
from escala.tables import ALLOCATION_SETTINGS, FINITE_FROM_ZERO, FROM_ZERO, Interval, intervals
from escala.text.numerals import counted

_ALLOWED: Final = intervals(ALLOCATION_SETTINGS)


def allocate_periods(
    curves: CurveSet | Sequence[CurveSet],
    total: FloatLike,
    *,
    periods: int | None = None,
    carry: FloatLike = True,
    discount: FloatLike = 1.0,
    min_efficiency: PerSymbol = 0.0,
    lower: PerSymbol = 0.0,
    upper: PerSymbol = np.inf,
    min_ticket: PerSymbol = 0.0,
    priority: PerSymbol = 1.0,
    period_lower: FloatLike = 0.0,
    period_upper: FloatLike = np.inf,
    symbol_upper: PerSymbol = np.inf,
    spend: str = "at_most",
    hurdle: float = 0.0,
    remainder: str = "distribute",
    max_nodes: int = 2000,
    tolerance: float | None = None,
) -> PeriodAllocation:
    """Allocate one budget over T periods and n instruments so that the sum of all utilities is highest; with a bound.

    Capital is spent in the period that it is allocated to. What a period leaves is there in the next one.

    Parameters
    ----------
    curves : CurveSet or sequence of T CurveSet
        The curves of all periods, or of each: of the same symbols, in any order. What is one value an instrument and
        period, (T, n), may also be a number, of shape (n,) or (T, 1), or symbol → number or (T,), also as an indexed
        Series or a data frame with a column a symbol.
    total : float or (T,)
        Money, at least 0: all there in the first period, or what arrives in each.
    periods : int, optional
        T, where nothing else says it.
    carry : bool, float or (T − 1,)
        What a unit that a period leaves is in the next one: all of it, nothing (False), a share, or above 1 with
        interest.
    discount : float or (T,)
        What a unit of utility counts: a number d weighs period t, from 0, by dᵗ; an array gives the weights.
    min_efficiency, lower, upper, min_ticket, priority : float, (n,) or (T, n)
        As in :func:`escala.allocate`, in each period.
    period_lower, period_upper : float or (T,)
        Least and most money spent in each period.
    symbol_upper : float or (n,)
        Most capital of an instrument over all periods. Where it crosses other limits (see Notes) `min_efficiency` needs
        ``remainder="hold"``.
    spend : {"at_most", "exactly"}
        Whether money that would return less than the hurdle may stay, or all must be spent in the end.
    hurdle : float
        What a unit of money returns that is left at the end, at least 0: after the last period, and before nothing is
        carried.
    remainder : {"distribute", "hold"}
        What is done with money that `min_efficiency` leaves over: see :func:`escala.allocate`.
    max_nodes : int
        Where the search ends at the latest, of each of the problems that periods without carry between them are.
    tolerance : float, optional
        Gap at which the search ends, by default that of :func:`escala.allocate` for as many instruments.

    Returns
    -------
    PeriodAllocation

    Raises
    ------
    AllocationError
        If an argument is out of range; names it, the index and the value.
    InfeasibleError
        If bounds conflict; names them, the period, and by how much.

    Notes
    -----
    With money b that arrives and shares c that are carried, x spent in a period, what is there follows m₀ = b₀,
    mₜ = bₜ + cₜ₋₁·(mₜ₋₁ − xₜ₋₁), and x may be no more than m. V = Σ w·U(C) − hurdle·Σ C·f, f being what a unit of money
    of its period would have become by the end.

    Counted in money of the end, y = x·f, that is Σ y ≤ Σ b·f over the first t periods, for each t: sums that lie in
    one another, as groups do, with the limits of periods inside them. Each has a price, and what a unit of money of
    period t would return (`prices`) is the sum of those of all sums that hold it, times f: counted so, money is never
    worth more later than before. Where utilities bend downwards that is solved exactly, from the innermost sums
    outwards; elsewhere the same prices bound every allocation and the search closes what it can (see
    :func:`escala.allocate`). Every family of curves is closed under the change of unit.

    `symbol_upper` lies across all that. It is one more group where money is all there from the beginning, carried as it
    is, and periods have no limits. Otherwise a price for each symbol is sought, for which the rest is solved; the bound
    holds for any prices, and what is left of the gap is stated.

    References
    ----------
    Everett (1963), Generalized Lagrange multiplier method for solving problems of optimum allocation of resources.
    Barlow, Bartholomew, Bremner and Brunk (1972), Statistical inference under order restrictions (money over time).

    Examples
    --------
    >>> curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-2e-6, 1.0]])
    >>> found = allocate_periods(curves, [300_000.0, 0.0, 600_000.0])
    >>> found.amounts
    array([[100000.,  50000.],
           [100000.,  50000.],
           [400000., 200000.]])
    >>> found.prices.round(4)
    array([0.8, 0.8, 0.2])
    """
    course = _checked(
        curves, total, periods, carry, discount,
        {
            "min_efficiency": min_efficiency, "lower": lower, "upper": upper, "min_ticket": min_ticket,
            "priority": priority,
        },
        period_lower, period_upper, symbol_upper,
        {
            "reserve": 0.0, "hurdle": hurdle, "tolerance": tolerance, "step": None, "max_nodes": max_nodes,
            "max_count": None, "min_count": 0,
        },
        {"spend": spend, "remainder": remainder, "method": "exact"},
    )  # fmt: skip
    stretches = stretches_of(course)
    if crosses(course):
        return _crossing(course, stretches)
    return _apart(course, stretches)


def _apart(course: Course, stretches: list[Stretch]) -> PeriodAllocation:
    """Allocate where every limit lies within a stretch."""
    answers = []
    for one in stretches:
        answer, _ = run(one, 1)
        period_bounds.raise_infeasible(course, one, answer)
        answers.append(answer)
    utility, bounds, gaps = (
        [float(one.column(name)[0]) for one in answers] for name in ("utility", "upper_bound", "gap")
    )
    bound = sum(bounds)
    gap = gaps[0]
    if len(gaps) > 1:
        left = sum(open_gap * abs(of) for open_gap, of in zip(gaps, bounds, strict=True))
        gap = _relative(left, bound)
    symbol_prices = sum(
        (one.symbol_prices(answer, course.symbols.size) for one, answer in zip(stretches, answers, strict=True)),
        start=np.zeros(course.symbols.size),
    )
    nodes = sum(int(one.column("nodes")[0]) for one in answers)
    status = max(int(one.status[0]) for one in answers)
    return _named(course, stretches, answers, answers, symbol_prices, sum(utility), bound, gap, status, nodes)


def _relative(left: float, bound: float) -> float:
    if not left < np.inf:
        return 1.0
    return left / abs(bound) if left > 0.0 < abs(bound) else 0.0


def _crossing(course: Course, stretches: list[Stretch]) -> PeriodAllocation:
    """Allocate where what a symbol may hold over all periods crosses other limits."""
    period_bounds.check_symbols(course)
    if any(one.solves == 2 for one in stretches):  # what the second solve is worth depends on the first: no bound holds
        message = (
            "symbol_upper, where it crosses limits of periods, knows no second solve: with min_efficiency "
            "remainder must be 'hold'"
        )
        raise AllocationError(message, arguments=("symbol_upper", "min_efficiency", "remainder"))
    for one in stretches:
        period_bounds.raise_infeasible(course, one, run(one, 1)[0])
    found = crossing.within_symbols(course, stretches, max(one["tolerance"] for one in course.controls.values()))
    if found is None:
        raise period_bounds.not_found()
    status = 0 if found.converged else 1
    return _named(
        course, stretches, found.answers, found.proof, found.prices, found.utility, found.upper_bound, found.gap,
        status, found.nodes,
    )  # fmt: skip


def _named(
    course: Course, stretches: list[Stretch], answers: list[Answers], proof: list[Answers], symbol_prices: Floats,
    utility: float, upper_bound: float, gap: float, status: int, nodes: int,
) -> PeriodAllocation:  # fmt: skip
    """Give the answers their names and shapes, period by period."""
    n = course.symbols.size
    amounts = np.concatenate([one.amounts(answer) for one, answer in zip(stretches, answers, strict=True)])
    priced = [one.prices(answer) for one, answer in zip(stretches, proof, strict=True)]
    available, spent, carried = _flow(course, amounts)
    found = made(
        PeriodAllocation,
        {
            "symbols": course.symbols,
            "arrived": course.arrived,
            "available": available,
            "amounts": amounts,
            "spent": spent,
            "carried": carried,
            "prices": np.concatenate([money for money, _ in priced]),
            "limit_prices": np.concatenate([limits for _, limits in priced]),
            "symbol_prices": symbol_prices,
            "utility": utility,
            "upper_bound": upper_bound,
            "gap": gap,
            "status": status,
            "nodes": nodes,
            "_codes": np.concatenate([answer.binding.reshape(-1, n) for answer in answers]),
            "_course": course,
        },
    )
    for array in found.__dict__.values():  # the figures belong to these amounts
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    return found


def _flow(course: Course, amounts: Floats) -> tuple[Floats, Floats, Floats]:
    """Follow the money: what is there, is spent and is left in each period."""
    spent = amounts.sum(axis=1)
    available, carried = [], []
    comes = 0.0
    for arrives, goes, share in zip(
        course.arrived.tolist(), spent.tolist(), [*course.carry.tolist(), 0.0], strict=True
    ):
        there = arrives + comes
        left = there - goes if there - goes > period_bounds.ROUNDING * there else 0.0
        available.append(there)
        carried.append(left)
        comes = share * left
    return np.array(available), spent, np.array(carried)


# --- arguments -------------------------------------------------------------------------------------------------------


def _checked(
    curves: Any, total: Any, periods: Any, carry: Any, discount: Any, settings: Mapping[str, PerSymbol], least: Any,
    most: Any, symbol_upper: Any, controls: dict[str, Any], choices: dict[str, str],
) -> Course:  # fmt: skip
    """Check everything, and name the argument, the index and the value of what is wrong."""
    each, symbols = _curves(curves)
    columns = {
        "total": (total, FINITE_FROM_ZERO),
        "carry": (float(carry) if isinstance(carry, bool) else carry, FINITE_FROM_ZERO),
        "discount": (discount, FINITE_FROM_ZERO),
        "period_lower": (least, FINITE_FROM_ZERO),
        "period_upper": (most, FROM_ZERO),
    }
    known = {name: _column(name, *given) for name, given in columns.items()}
    many = _periods(each, known, periods)
    wide = {name: np.broadcast_to(column, (many - (name == "carry"),)) for name, column in known.items()}
    course = Course(
        symbols=symbols,
        curves=each * many if len(each) == 1 else each,
        arrived=wide["total"] if known["total"].ndim else np.append(known["total"], np.zeros(many - 1)),
        carry=wide["carry"],
        weight=wide["discount"] if known["discount"].ndim else _weights(float(known["discount"]), many),
        settings={name: _per_period(name, value, symbols, many) for name, value in settings.items()},
        period_upper=wide["period_upper"],
        period_lower=wide["period_lower"],
        symbol_upper=keyed.per_symbol("symbol_upper", symbol_upper, symbols, FROM_ZERO, AllocationError),
        controls={},
    )
    for first, end in course.spans:
        if end - first not in course.controls:
            n = (end - first) * symbols.size
            course.controls[end - first] = checked_controls(n, course.arrived, controls, choices)
    return course


def _curves(curves: Any) -> tuple[tuple[CurveSet, ...], Any]:
    """Bring the curves of all periods to the order of the first."""
    if isinstance(curves, CurveSet):
        return (curves,), curves.symbols
    given = list(curves) if isinstance(curves, list | tuple) else [curves]
    for t, one in enumerate(given):
        if not isinstance(one, CurveSet):
            where = f"curves[{t}]" if isinstance(curves, list | tuple) else "curves"
            message = f"{where} must be a CurveSet, not {type(one).__name__}"
            raise AllocationError(message, arguments=("curves",))
    if not given:
        raise AllocationError("curves must hold at least one period", arguments=("curves",))
    first, symbols = given[0], given[0].symbols.tolist()
    ordered = [
        one if one is first or one.symbols.tolist() == symbols else _in_order(t, one, first)
        for t, one in enumerate(given)
    ]
    return tuple(ordered), first.symbols


def _in_order(t: int, one: CurveSet, first: CurveSet) -> CurveSet:
    strange = next((symbol for symbol in one.symbols.tolist() if symbol not in first), None)
    if strange is not None:
        hint = did_you_mean(strange, first.symbols.tolist())
        message = f"curves[{t}] has {strange!r}, which is not among the symbols of curves[0]{hint}"
        raise AllocationError(message, arguments=("curves",), indexes=((t,),))
    missing = next((symbol for symbol in first.symbols.tolist() if symbol not in one), None)
    if missing is not None:
        message = f"curves[{t}] has no {missing!r}, which curves[0] has"
        raise AllocationError(message, arguments=("curves",), indexes=((t,),))
    return one[first.symbols]


def _column(name: str, value: Any, allowed: Interval) -> Floats:
    """Check what is one number, or one a period."""
    if type(value) is float and allowed.has(value):
        return np.array(value)
    given = to_floats(name, value, AllocationError)
    if given.ndim > 1:
        raise AllocationError(f"{name} of shape {given.shape} must be a number or one a period", arguments=(name,))
    check_interval(name, given, allowed, AllocationError)
    return given.copy()


def _periods(curves: Sequence[CurveSet], columns: Mapping[str, Floats], periods: Any) -> int:
    """Find T, and refuse what contradicts it."""
    said: dict[str, int] = {}
    if periods is not None:
        said["periods"] = whole_number("periods", periods, 1, None, AllocationError)
    if len(curves) > 1:
        said["curves"] = len(curves)
    said |= {name: column.size + (name == "carry") for name, column in columns.items() if column.ndim}
    if not said:
        message = "periods must say how many there are: there is one set of curves, and total is a number"
        raise AllocationError(message, arguments=("periods",))
    first, many = next(iter(said.items()))
    for name, other in said.items():
        if other != many:
            message = f"{first} is of {counted(many, 'period')}, but {name} of {other:,}"
            raise AllocationError(message, arguments=(first, name))
    if many == 0:
        raise AllocationError(f"{first} must be of at least one period", arguments=(first,))
    return many


def _weights(factor: float, periods: int) -> Floats:
    """Give what utility counts in each period, from a factor a period."""
    weights: Floats = np.power(factor, np.arange(periods))
    check_interval("discount to the power of the period", weights, FINITE_FROM_ZERO, AllocationError)
    return weights


def _per_period(name: str, value: Any, symbols: Any, periods: int) -> Floats:
    """Check one value for each instrument and period, and bring it to shape (T, n)."""
    n = symbols.size
    allowed = _ALLOWED[name]
    if type(value) is float and allowed.has(value):
        return np.full((periods, n), value)
    if keyed.is_frame(value):
        given = to_floats(name, keyed.by_symbol(name, value, symbols, AllocationError), AllocationError)
        given = given.T if given.ndim == 2 else given
    else:
        axis = int(isinstance(value, Mapping) and any(np.ndim(one) for one in value.values()))
        if axis:
            value = {symbol: np.broadcast_to(one, (periods,)) if np.ndim(one) == 0 else one
                     for symbol, one in value.items()}  # fmt: skip
        given = to_floats(name, keyed.by_symbol(name, value, symbols, AllocationError, axis=axis), AllocationError)
    if given.shape not in ((), (1,), (n,), (periods, 1), (periods, n)):
        message = (
            f"{name} of shape {given.shape} must be a number or of shape ({n},), ({periods}, {n}) or ({periods}, 1)"
        )
        raise AllocationError(message, arguments=(name,))
    check_interval(name, given, allowed, AllocationError)
    return np.array(np.broadcast_to(given, (periods, n)))
