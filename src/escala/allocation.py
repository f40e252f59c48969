"""Allocation of money over instruments by marginal utility, at the global optimum, with an upper bound as proof."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from numbers import Integral
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from escala import allocation_summary, infeasible, parallel
from escala.arrays import Interval, aligned, check_interval, one_number, per_item, to_floats
from escala.curves import CurveSet, Family
from escala.errors import AllocationError

Floats: TypeAlias = npt.NDArray[np.float64]
FloatLike: TypeAlias = npt.ArrayLike

_FRACTION: Final = Interval(0.0, 1.0)
_FROM_ZERO: Final = Interval(0.0, np.inf)
_FINITE_FROM_ZERO: Final = Interval(0.0, np.inf, high_open=True)
_RESERVE: Final = Interval(0.0, 1.0, high_open=True)
_POSITIVE: Final = Interval(0.0, np.inf, low_open=True, high_open=True)
#: What a setting may be; in the order of the kernels' rows.
_SETTINGS: Final = {
    "min_efficiency": _FRACTION,
    "lower": _FINITE_FROM_ZERO,
    "upper": _FROM_ZERO,
    "min_ticket": _FINITE_FROM_ZERO,
    "max_share": _FRACTION,
    "priority": _FINITE_FROM_ZERO,
}
_MIN_EFFICIENCY, _PRIORITY = 0, 5
#: Gap at which the search stops: this times n², at most the second.
_TOLERANCE: Final = 1e-9
_MOST_TOLERANCE: Final = 1e-4
_MOST_NODES: Final = 10_000_000
_MOST_INCREMENTS: Final = 100_000_000
#: Relative: money that is not there.
_NOTHING: Final = 1e-12
_CHUNK: Final = 4096


class Binding(IntEnum):
    """What keeps an instrument's capital where it is; codes in :attr:`Allocation.binding`.

    NONE: nothing, its marginal utility is the shadow price (greedy: the money ended). PRICE: the next unit, or the
    first, would return less than the shadow price. LOWER: `lower` keeps it up. UPPER, SHARE, LIMIT: `upper`,
    `max_share` or the end of trust in its curve keep it down. THRESHOLD: `min_efficiency` keeps it down, up or out.
    TICKET: `min_ticket` keeps it up, or out. NO_CURVE: there is no curve.
    """

    #: Nothing: its marginal utility is the shadow price.
    NONE = 0
    #: The next unit (or the first, or the smallest ticket) would return less than the shadow price.
    PRICE = 1
    #: `lower` keeps it up.
    LOWER = 2
    #: `upper` keeps it down.
    UPPER = 3
    #: `max_share` keeps it down.
    SHARE = 4
    #: The curve is trusted no further.
    LIMIT = 5
    #: Efficiency would fall below `min_efficiency`, or has not reached it below this capital.
    THRESHOLD = 6
    #: `min_ticket` keeps it up, or out.
    TICKET = 7
    #: There is no curve.
    NO_CURVE = 8


class AllocationStatus(IntEnum):
    """Codes in :attr:`Allocation.status`.

    OPTIMAL: the gap is within the tolerance. GAP_OPEN: it is not, because the search ended at `max_nodes` or the method
    is greedy; the best allocation found, and how far from the optimum it may be at most.
    """

    #: The gap is within the tolerance.
    OPTIMAL = 0
    #: The search ended at `max_nodes`: the best allocation found, and how far from the optimum it may be at most.
    GAP_OPEN = 1


@dataclass(frozen=True, eq=False, repr=False)
class Allocation:
    """Money allocated over n instruments, and how good that is.

    One problem has the shape P = (), many totals that of `total`, drawn curves one more axis in front. In `first` are
    the amounts before the remainder was distributed, with their own figures.

    Attributes
    ----------
    symbols : (n,) object array of str
        The instruments.
    total : P float64
        Money there is, the reserve included.
    amounts : P + (n,) float64
        Capital of each instrument.
    utility : P float64
        V = Σ w·U − hurdle·ΣC.
    upper_bound : P float64
        No feasible allocation has a higher utility (after a second solve: none that holds at least the first amounts).
    gap : P float64
        (upper_bound − utility)/|upper_bound|, 0 where both are 0; after a second solve the larger of the two.
    dual_price, dual_bound : P float64
        λ, and D(λ) = λT + Σ max(w·U(C) − (hurdle + λ)·C), the bound before the search; after a second solve with the
        first amounts as lower bounds.
    shadow_price : P float64
        What one more unit of money returns: the w·U′ that all instruments without a binding reason share (greedy: the
        w·U′ that the last increment began with).
    binding : P + (n,) int8
        Codes of :class:`Binding`; `binding_names` has them as text.
    status : P int8
        Codes of :class:`AllocationStatus`.
    nodes : P int64
        Problems solved by the search.
    first : Allocation or None
        The first solve, where ``remainder="distribute"`` made a second one for any problem.
    """

    symbols: npt.NDArray[np.object_]
    total: Any
    amounts: Floats
    utility: Any
    upper_bound: Any
    gap: Any
    dual_price: Any
    dual_bound: Any
    shadow_price: Any
    binding: npt.NDArray[np.int8]
    status: Any
    nodes: Any
    first: Allocation | None
    _request: Request

    def __len__(self) -> int:
        return int(self.symbols.size)

    def __repr__(self) -> str:
        """Say in a line what was allocated."""
        return f"<Allocation of {allocation_summary.in_a_line(self)}>"

    @property
    def curves(self) -> CurveSet:
        """The curves that were allocated over, as given."""
        return self._request.curves

    @property
    def money(self) -> Any:
        """Money that may be allocated: total·(1 − reserve), P."""
        return self.total * (1.0 - self._request.controls["reserve"])

    @property
    def hurdle(self) -> float:
        """What money returns elsewhere, as asked for."""
        return self._request.controls["hurdle"]

    @property
    def priority(self) -> Floats:
        """Weight w of each instrument, (n,), as asked for."""
        weights: Floats = self._request.settings[_PRIORITY]
        return weights

    @property
    def greedy(self) -> bool:
        """Whether the greedy method was asked for; then `shadow_price` is what the last increment promised."""
        return self._request.greedy

    @property
    def drawn(self) -> bool:
        """Whether there is one problem (or path) a draw of the curves."""
        return len(self._request.shape) > self._request.total.ndim

    @functools.cached_property
    def _placed(self) -> Any:
        return self.amounts.sum(axis=-1)

    @functools.cached_property
    def shares(self) -> Floats:
        """Share of each instrument in what is allocated, P + (n,); zeros where nothing is."""
        placed = np.asarray(self._placed)[..., None]
        return self.amounts / np.where(placed > 0.0, placed, 1.0)

    @functools.cached_property
    def efficiency(self) -> Floats:
        """Efficiency η of each instrument at its capital, P + (n,); NaN without a curve."""
        return self._request.evaluate("EFFICIENCY", self.amounts)

    @functools.cached_property
    def marginal(self) -> Floats:
        """Marginal utility U′ of each instrument at its capital, without its priority, P + (n,)."""
        return self._request.evaluate("MARGINAL", self.amounts)

    @functools.cached_property
    def global_efficiency(self) -> Any:
        """Mean efficiency of the money allocated, ΣC·η/ΣC, P; NaN where nothing is."""
        earned = np.where(self.amounts > 0.0, self.amounts * self.efficiency, 0.0).sum(axis=-1)
        with np.errstate(invalid="ignore"):
            return (earned / np.asarray(self._placed))[()]

    @functools.cached_property
    def unallocated(self) -> Any:
        """Money that is left, P; 0 if it is a rounding error."""
        left = np.asarray(self.money - self._placed)
        return np.where(left > _NOTHING * np.asarray(self.money), left, 0.0)[()]

    @functools.cached_property
    def utilisation(self) -> Any:
        """Allocated part of the money that may be, P; 1 where there is none."""
        money = np.asarray(self.money)
        used = np.asarray(self._placed) / np.where(money > 0.0, money, 1.0)
        return np.where(money > 0.0, np.minimum(used, 1.0), 1.0)[()]

    @functools.cached_property
    def entropy(self) -> Any:
        """Shannon entropy −Σ s·ln s of the shares, P: 0 for one instrument, ln n for equal ones."""
        shares = self.shares
        logs = np.log(np.where(shares > 0.0, shares, 1.0))
        return (0.0 - (shares * logs).sum(axis=-1))[()]

    @functools.cached_property
    def below_threshold(self) -> npt.NDArray[np.bool_]:
        """Which instruments hold capital at an efficiency below `min_efficiency`, P + (n,)."""
        least = self._request.settings[_MIN_EFFICIENCY]
        if not least.any():
            return np.zeros(self.amounts.shape, dtype=np.bool_)
        below: npt.NDArray[np.bool_] = (self.amounts > 0.0) & (self.efficiency < least - _NOTHING)
        return below

    @property
    def binding_names(self) -> npt.NDArray[np.object_]:
        """What binds each instrument, as text, P + (n,)."""
        return np.array([reason.name.lower() for reason in Binding], dtype=object)[self.binding]

    @property
    def status_name(self) -> Any:
        """Status as text, P."""
        return np.array([status.name.lower() for status in AllocationStatus], dtype=object)[self.status]

    def to_dict(self) -> dict[str, Any]:
        """Give symbol → amount; for many problems symbol → nested lists of shape P."""
        moved = np.moveaxis(self.amounts, -1, 0)
        return dict(zip(self.symbols.tolist(), moved.tolist(), strict=True))

    def summary(self, *, rows: int = 60) -> str:
        """Describe the allocation in words, with a table of the instruments or, for many problems, of the problems.

        Parameters
        ----------
        rows : int
            Most lines of the table, at least 0.

        Raises
        ------
        AllocationError
            If `rows` is no such number.
        """
        return allocation_summary.of_allocation(self, _count("rows", rows))


def allocate(
    curves: CurveSet,
    total: FloatLike,
    *,
    min_efficiency: FloatLike = 0.0,
    lower: FloatLike = 0.0,
    upper: FloatLike = np.inf,
    min_ticket: FloatLike = 0.0,
    max_share: FloatLike = 1.0,
    priority: FloatLike = 1.0,
    reserve: float = 0.0,
    spend: str = "at_most",
    hurdle: float = 0.0,
    remainder: str = "distribute",
    method: str = "exact",
    step: float | None = None,
    max_nodes: int = 2000,
    tolerance: float | None = None,
    params: FloatLike | None = None,
    threads: int | None = None,
) -> Allocation:
    """Allocate a total over instruments so that Σ w·U(C) − hurdle·ΣC is highest, and prove it by an upper bound.

    Parameters
    ----------
    curves : CurveSet
        n curves.
    total : float or array
        Money, at least 0; an array gives one problem an element (a budget path).
    min_efficiency : float or (n,)
        In [0, 1]: an instrument holds only capital on the first stretch where its efficiency is at least this (and at
        least 0).
    lower : float or (n,)
        Where it is positive the instrument must hold at least this.
    upper : float or (n,)
        Most capital, inf allowed.
    min_ticket : float or (n,)
        Least capital of an instrument that holds any.
    max_share : float or (n,)
        Most capital as a share of `total`, in [0, 1]; 1 is no bound.
    priority : float or (n,)
        Weight w of the utility, at least 0.
    reserve : float
        Share of `total` that stays out, in [0, 1).
    spend : {"at_most", "exactly"}
        Whether money that would return less than the hurdle stays unallocated, or all of it must be placed.
    hurdle : float
        What money returns elsewhere, at least 0.
    remainder : {"distribute", "hold"}
        Whether money that `min_efficiency` leaves over is placed in a second solve, without that threshold but with the
        first amounts as lower bounds and within all other bounds; what then lies below is in ``below_threshold``.
    method : {"exact", "greedy"}
        The optimum with its proof, or increments of `step`, each to the instrument of highest marginal utility.
    step : float, optional
        Increment of the greedy method; by default a thousandth of the total.
    max_nodes : int
        Where the search ends at the latest; then `status` is GAP_OPEN. 0 bounds without search.
    tolerance : float, optional
        Gap at which the search ends, by default 1e-9·n², at most 1e-4.
    params : (draws, n, 3), optional
        Coefficients instead of ``curves.params``, one problem (or path) a draw: see :meth:`CurveSet.draw_params`.
    threads : int, optional
        Threads for many problems; by default all processors. Results do not depend on it.

    Returns
    -------
    Allocation

    Raises
    ------
    AllocationError
        If an argument is out of range; names it, the index and the value.
    InfeasibleError
        If bounds conflict; names them, and by how much.

    Notes
    -----
    U(C) = C·min(η(C), 1). Capital is 0 or in [L, H], H = min(upper, max_share·total, limit, end of the stretch),
    L = max(lower, min_ticket, begin of the stretch); only the latter where `lower` is positive. In the bounds H is also
    at most what the L of the forced instruments leave of the money T = total·(1 − reserve).

    For every λ ≥ 0 (any λ if all must be spent) D(λ) = λT + Σ max(w·U(C) − (hurdle + λ)·C), the maxima over each
    instrument's own bounds, is at least the value of every feasible allocation (weak Lagrangian duality). The λ used is
    the one that minimises it. What is left between it and the best allocation, because utilities may be convex in
    parts and tickets are all or nothing, is closed by branch and bound, up to `tolerance` and `max_nodes`. With a
    second solve each of the two is optimal in its turn; the better of that and of the same after a greedy first solve
    is returned. All of this is about the curves as they are fitted, not about what the market will do.

    References
    ----------
    Everett (1963), Generalized Lagrange multiplier method for solving problems of optimum allocation of resources.
    Falk and Soland (1969), An algorithm for separable nonconvex programming problems.

    Examples
    --------
    >>> curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-2e-6, 1.0]])
    >>> found = allocate(curves, 300_000.0)
    >>> found.to_dict()
    {'A': 200000.0, 'B': 100000.0}
    >>> print(f"{found.shadow_price:.4f}")
    0.6000
    """
    request = Request.checked(
        curves, total, params,
        {
            "min_efficiency": min_efficiency, "lower": lower, "upper": upper,
            "min_ticket": min_ticket, "max_share": max_share, "priority": priority,
        },
        {"reserve": reserve, "hurdle": hurdle, "tolerance": tolerance, "max_nodes": max_nodes},
        {"spend": spend, "remainder": remainder, "method": method},
        step,
    )  # fmt: skip
    return _solved(request, parallel.checked_threads(threads, AllocationError))


@dataclass(frozen=True, eq=False)
class Request:
    """The arguments of an allocation, checked: P problems over n instruments."""

    curves: CurveSet
    total: Floats
    shape: tuple[int, ...]
    params: Floats  # (draws·n, 3)
    settings: Floats  # (6, n)
    controls: dict[str, float]
    exactly: bool
    distribute: bool
    greedy: bool
    step: float  # of the greedy method; 0: a part of the total

    @classmethod
    def checked(
        cls,
        curves: CurveSet,
        total: FloatLike,
        params: FloatLike | None,
        settings: dict[str, FloatLike],
        controls: dict[str, Any],
        choices: dict[str, str],
        step: float | None,
    ) -> Request:
        """Check everything, and name the argument, the index and the value of what is wrong."""
        if not isinstance(curves, CurveSet):
            raise AllocationError(f"curves must be a CurveSet, not {type(curves).__name__}", arguments=("curves",))
        n = len(curves)
        totals = to_floats("total", total, AllocationError)
        check_interval("total", totals, _FINITE_FROM_ZERO, AllocationError)
        rows = np.empty((len(_SETTINGS), n))
        for row, (name, interval) in zip(rows, _SETTINGS.items(), strict=True):
            row[:] = _setting(name, settings[name], n, interval)
        given = None if params is None else _drawn(curves, params)
        draws = 1 if given is None else given.shape[0]
        tolerance = min(_TOLERANCE * n * n, _MOST_TOLERANCE)
        if controls["tolerance"] is not None:
            tolerance = one_number("tolerance", controls["tolerance"], _FRACTION, AllocationError)
        return cls(
            curves=curves,
            total=totals,
            shape=totals.shape if given is None else (draws, *totals.shape),
            params=np.ascontiguousarray(curves.params) if given is None else given.reshape(draws * n, 3),
            settings=rows,
            controls={
                "reserve": one_number("reserve", controls["reserve"], _RESERVE, AllocationError),
                "hurdle": one_number("hurdle", controls["hurdle"], _FINITE_FROM_ZERO, AllocationError),
                "tolerance": tolerance,
                "max_nodes": _count("max_nodes", controls["max_nodes"]),
            },
            exactly=_choice("spend", choices["spend"], ("at_most", "exactly")) == "exactly",
            distribute=_choice("remainder", choices["remainder"], ("distribute", "hold")) == "distribute",
            greedy=_choice("method", choices["method"], ("exact", "greedy")) == "greedy",
            step=0.0 if step is None else _step(step, totals),
        )

    @property
    def problems(self) -> int:
        """Count the problems."""
        return int(np.prod(self.shape, dtype=np.int64))

    @functools.cached_property
    def money(self) -> Floats:
        """Money of each problem, flat."""
        whole = np.broadcast_to(self.total, self.shape).reshape(-1)
        return whole * (1.0 - self.controls["reserve"])

    def evaluate(self, wanted: str, amounts: Floats) -> Floats:
        """Evaluate every problem's curves at its amounts."""
        from escala.kernels import curves as kernels

        n = len(self.curves)
        if amounts.size == 0:
            return np.empty(amounts.shape)
        draws = self.params.shape[0] // n
        levels = amounts.reshape(draws, -1, n)
        rows = np.ascontiguousarray(levels.transpose(0, 2, 1)).reshape(draws * n, -1)
        out = np.empty_like(rows)
        if rows.size:
            family, _, origin = self.curves._arrays()
            bad = np.zeros(1, dtype=np.int64)
            kernels.evaluate(
                getattr(kernels, wanted), np.tile(family, draws), self.params, np.tile(origin, draws), rows, out, bad,
                0, rows.size,
            )  # fmt: skip
        values: Floats = out.reshape(draws, n, -1).transpose(0, 2, 1).reshape(amounts.shape)
        return values


@dataclass(frozen=True, eq=False)
class Answers:
    """What the kernels say about some problems: one row each."""

    amounts: Floats
    binding: npt.NDArray[np.int8]
    facts: Floats

    def column(self, name: str) -> Floats:
        """Give one figure of every problem."""
        from escala.kernels.search import FACTS

        return self.facts[:, FACTS.index(name)]

    @property
    def status(self) -> npt.NDArray[np.int64]:
        """Say how every problem ended."""
        return self.column("status").astype(np.int64)

    def taken(self, where: npt.NDArray[Any]) -> Answers:
        """Take some rows, as a copy."""
        return Answers(self.amounts[where], self.binding[where], self.facts[where])

    def put(self, where: npt.NDArray[Any], other: Answers) -> None:
        """Replace some rows."""
        self.amounts[where], self.binding[where], self.facts[where] = other.amounts, other.binding, other.facts

    def copy(self) -> Answers:
        """Copy all rows."""
        return Answers(self.amounts.copy(), self.binding.copy(), self.facts.copy())


def _solved(request: Request, threads: int) -> Allocation:
    """Solve once, or once more where the threshold left money over."""
    everything = np.arange(request.problems, dtype=np.int64)
    if not (request.distribute and request.settings[_MIN_EFFICIENCY].any()):
        answers = _run(request, everything, request.exactly, request.greedy, None, threads)
        infeasible.raise_infeasible(request, everything, answers)
        return _named(request, answers, None)
    first = _first_phase(request, everything, threads)
    left = request.money - first.amounts.sum(axis=1)
    again = np.flatnonzero(left > _NOTHING * request.money)
    if again.size == 0:
        return _named(request, first, None)
    answers = first.copy()
    begun = first.taken(again)
    answers.put(again, _distributed(request, again, begun, threads))
    first.put(again, begun)
    return _named(request, answers, _named(request, first, None))


def _first_phase(request: Request, problems: npt.NDArray[np.int64], threads: int) -> Answers:
    """Solve under the threshold; where that cannot take all the money, the second phase places the rest."""
    from escala.kernels.search import NO_COMBINATION, NOT_FOUND, TOO_LITTLE_ROOM

    answers = _run(request, problems, request.exactly, request.greedy, None, threads)
    if request.exactly:
        short = np.flatnonzero(np.isin(answers.status, (TOO_LITTLE_ROOM, NO_COMBINATION, NOT_FOUND)))
        if short.size:
            answers.put(short, _run(request, problems[short], False, request.greedy, None, threads))
    infeasible.raise_infeasible(request, problems, answers)
    return answers


def _distributed(request: Request, problems: npt.NDArray[np.int64], first: Answers, threads: int) -> Answers:
    """Place what `first` left over, without the threshold; `first` becomes the phase that the answers are built on."""
    from escala.kernels.search import NO_ROOM

    settings = request.settings.copy()
    settings[_MIN_EFFICIENCY] = 0.0
    free = replace(request, settings=settings)
    answers = _second_phase(free, problems, first, request.greedy, threads)
    if not request.greedy:
        # neither order wins always: the same after a greedy first phase may be better
        start = _run(request, problems, False, True, None, threads)
        other = _second_phase(free, problems, start, False, threads)
        lost = answers.status >= NO_ROOM
        sound = (start.status < NO_ROOM) & (other.status < NO_ROOM)
        better = np.flatnonzero(sound & (lost | (other.column("utility") > answers.column("utility"))))
        answers.put(better, other.taken(better))
        first.put(better, start.taken(better))
    stuck = np.flatnonzero(answers.status >= NO_ROOM)
    if stuck.size:  # the first amounts stand in the way of spending all: begin anew without the threshold
        answers.put(stuck, _run(free, problems[stuck], request.exactly, request.greedy, None, threads))
        infeasible.raise_infeasible(free, problems, answers)
    return answers


def _second_phase(
    free: Request, problems: npt.NDArray[np.int64], first: Answers, greedy: bool, threads: int
) -> Answers:
    """Solve without the threshold, the first amounts as lower bounds; gap and status are the worse of both."""
    from escala.kernels.allocation import AT_LOWER
    from escala.kernels.search import NO_ROOM

    sound = np.flatnonzero(first.status < NO_ROOM)
    second = first.copy()
    second.put(sound, _run(free, problems[sound], free.exactly, greedy, first.amounts[sound], threads))
    kept = (second.binding == AT_LOWER) & (first.amounts > 0.0)
    second.binding[kept] = first.binding[kept]
    for name in ("gap", "status"):
        column = second.column(name)
        column[:] = np.maximum(column, first.column(name))
    return second


def _run(
    request: Request,
    problems: npt.NDArray[np.int64],
    exactly: bool,
    greedy: bool,
    floors: Floats | None,
    threads: int,
) -> Answers:
    """Run the kernels over some problems."""
    from escala.kernels import allocation as kernels
    from escala.kernels import search

    n, m = len(request.curves), problems.size
    answers = Answers(np.empty((m, n)), np.empty((m, n), dtype=np.int8), np.empty((m, len(search.FACTS))))
    family, _, origin = request.curves._arrays()
    limit = request.curves._limits()
    most = 0 if greedy else int(request.controls["max_nodes"])
    control = request.controls
    controls = np.array(
        [control["reserve"], control["hurdle"], float(exactly), control["tolerance"], most, request.step]
    )
    totals = request.total.reshape(-1)
    lowest = np.empty(0) if floors is None else floors.reshape(-1)

    def make_part() -> parallel.Part:
        work = aligned(kernels.work_size(n))
        integers = np.empty(kernels.ints_size(n, most), dtype=np.int64)
        nodes = np.empty((most + 2, search.NODE_INTEGERS), dtype=np.int64)
        bounds = np.empty((most + 2, search.NODE_FLOATS))

        def part(start: int, stop: int) -> Iterator[None]:
            for begin in range(start, stop, kernels.WARM):
                given = (
                    family, request.params, origin, limit, request.settings, totals, lowest, controls, problems,
                    answers.amounts, answers.binding, answers.facts, work, integers,
                )  # fmt: skip
                end = min(begin + kernels.WARM, stop)
                if greedy:
                    kernels.greedy(*given, begin, end)
                else:
                    kernels.allocate(*given, nodes, bounds, begin, end)
                yield

        return part

    parallel.run(
        make_part, m, chunk=parallel.chunk_size(m, threads, largest=_CHUNK, multiple=kernels.WARM), threads=threads
    )
    return answers


def _named(request: Request, answers: Answers, first: Allocation | None) -> Allocation:
    """Give the kernels' answers their names and shapes."""
    shape = request.shape
    for array in (answers.amounts, answers.binding):  # the figures belong to these amounts
        array.flags.writeable = False

    def fact(name: str) -> Any:
        return answers.column(name).reshape(shape)[()]

    return Allocation(
        symbols=request.curves.symbols,
        total=np.broadcast_to(request.total, shape)[()],
        amounts=answers.amounts.reshape(*shape, len(request.curves)),
        utility=fact("utility"),
        upper_bound=fact("upper_bound"),
        gap=fact("gap"),
        dual_price=fact("dual_price"),
        dual_bound=fact("dual_bound"),
        shadow_price=fact("shadow_price"),
        binding=answers.binding.reshape(*shape, len(request.curves)),
        status=answers.status.astype(np.int8).reshape(shape)[()],
        nodes=answers.column("nodes").astype(np.int64).reshape(shape)[()],
        first=first,
        _request=request,
    )


def _setting(name: str, value: FloatLike, n: int, interval: Interval) -> FloatLike:
    """Check one value for all instruments, or one for each."""
    if type(value) is float and interval.has(value):
        return value
    return per_item(name, value, n, interval, AllocationError)


def _step(step: Any, totals: Floats) -> float:
    """Check the increment of the greedy method, and that there are not too many of them."""
    value = one_number("step", step, _POSITIVE, AllocationError)
    most = float(totals.max(initial=0.0)) / value
    if most > _MOST_INCREMENTS:
        message = f"step must make at most {_MOST_INCREMENTS:,} increments, but step = {value!r} makes {most:.2g}"
        raise AllocationError(message, arguments=("step",))
    return value


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) <= _MOST_NODES:
        raise AllocationError(f"{name} must be an integer in [0, {_MOST_NODES:,}], not {value!r}", arguments=(name,))
    return int(value)


def _choice(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        known = " or ".join(repr(one) for one in allowed)
        raise AllocationError(f"{name} must be {known}, not {value!r}", arguments=(name,))
    return str(value)


def _drawn(curves: CurveSet, params: FloatLike) -> Floats:
    """Check coefficients of many sets of curves."""
    given = to_floats("params", params, AllocationError)
    n = len(curves)
    if given.ndim != 3 or given.shape[1:] != (n, 3):
        message = f"params of shape {given.shape} must be of shape (draws, {n}, 3)"
        raise AllocationError(message, arguments=("params",))
    decays = curves.family == Family.EXPONENTIAL
    unknown = np.isnan(given)
    wrong = np.isinf(given) | (unknown & ~unknown.all(axis=-1, keepdims=True))
    wrong[..., 1] |= decays & (given[..., 1] <= 0.0)
    if wrong.any():
        place = tuple(int(k) for k in np.argwhere(wrong)[0])
        allowed = "must be finite, or all three NaN where there is no curve; b of an exponential must be positive"
        message = f"params {allowed}, but params{list(place)} = {float(given[place])!r}"
        raise AllocationError(message, arguments=("params",), indexes=(place,), requirement=allowed)
    return given
