"""Allocation of money over instruments by marginal utility, at the global optimum, with an upper bound as proof."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import parallel
from escala.allocation import infeasible
from escala.allocation.problem import MIN_EFFICIENCY, NOTHING, Answers, Request
from escala.allocation.result import Allocation
from escala.arrays import FloatLike, Floats, aligned
from escala.curves.curveset import CurveSet
from escala.errors import AllocationError
from escala.keyed import PerSymbol

_CHUNK: Final = 4096


def allocate(
    curves: CurveSet,
    total: FloatLike,
    *,
    min_efficiency: PerSymbol = 0.0,
    lower: PerSymbol = 0.0,
    upper: PerSymbol = np.inf,
    min_ticket: PerSymbol = 0.0,
    max_share: PerSymbol = 1.0,
    priority: PerSymbol = 1.0,
    reserve: float = 0.0,
    spend: str = "at_most",
    hurdle: float = 0.0,
    remainder: str = "distribute",
    method: str = "exact",
    step: float | None = None,
    max_nodes: int = 2000,
    tolerance: float | None = None,
    params: PerSymbol | None = None,
    threads: int | None = None,
) -> Allocation:
    """Allocate a total over instruments so that Σ w·U(C) − hurdle·ΣC is highest, and prove it by an upper bound.

    Parameters
    ----------
    curves : CurveSet
        n curves. What is one value an instrument, (n,), may be a mapping or an indexed Series of symbol → value; the
        symbols must be those of the curves. Arrays and lists are in the order of the curves.
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
    params : (draws, n, 4) float64 or symbol → (draws, 4), optional
        Coefficients instead of ``curves.params``, one problem (or path) a draw: see :meth:`CurveSet.draw_params`.
        Without those of the last columns that no curve uses, if you like.
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


def _solved(request: Request, threads: int) -> Allocation:
    """Solve once, or once more where the threshold left money over."""
    everything = np.arange(request.problems, dtype=np.int64)
    if not (request.distribute and request.settings[MIN_EFFICIENCY].any()):
        answers = _run(request, everything, request.exactly, request.greedy, None, threads)
        infeasible.raise_infeasible(request, everything, answers)
        return _named(request, answers, None)
    first = _first_phase(request, everything, threads)
    left = request.money - first.amounts.sum(axis=1)
    again = np.flatnonzero(left > NOTHING * request.money)
    if again.size == 0:
        return _named(request, first, None)
    answers = first.copy()
    begun = first.taken(again)
    answers.put(again, _distributed(request, again, begun, threads))
    first.put(again, begun)
    return _named(request, answers, _named(request, first, None))


def _first_phase(request: Request, problems: npt.NDArray[np.int64], threads: int) -> Answers:
    """Solve under the threshold; where that cannot take all the money, the second phase places the rest."""
    from escala.kernels.allocation.search import NO_COMBINATION, NOT_FOUND, TOO_LITTLE_ROOM

    answers = _run(request, problems, request.exactly, request.greedy, None, threads)
    if request.exactly:
        short = np.flatnonzero(np.isin(answers.status, (TOO_LITTLE_ROOM, NO_COMBINATION, NOT_FOUND)))
        if short.size:
            answers.put(short, _run(request, problems[short], False, request.greedy, None, threads))
    infeasible.raise_infeasible(request, problems, answers)
    return answers


def _distributed(request: Request, problems: npt.NDArray[np.int64], first: Answers, threads: int) -> Answers:
    """Place what `first` left over, without the threshold; `first` becomes the phase that the answers are built on."""
    from escala.kernels.allocation.search import NO_ROOM

    settings = request.settings.copy()
    settings[MIN_EFFICIENCY] = 0.0
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
    from escala.kernels.allocation.search import NO_ROOM
    from escala.kernels.allocation.solve import AT_LOWER

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
    from escala.kernels.allocation import search
    from escala.kernels.allocation import solve as kernels

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
