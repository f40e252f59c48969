"""Allocation of money over instruments by marginal utility, at the global optimum, with an upper bound as proof."""

from __future__ import annotations

from typing import Any

import numpy as np

from escala import parallel
from escala.allocation import infeasible, targets
from escala.allocation.aggregate import allocate_for_draws
from escala.allocation.groups import GroupsLike
from escala.allocation.problem import FIGURES, Answers, Request, rates
from escala.allocation.result import Allocation
from escala.allocation.run import run
from escala.arrays import FloatLike
from escala.curves.curveset import CurveSet
from escala.errors import AllocationError
from escala.keyed import PerSymbol
from escala.made import made


def allocate(
    curves: CurveSet,
    total: FloatLike | None = None,
    *,
    min_efficiency: PerSymbol = 0.0,
    lower: PerSymbol = 0.0,
    upper: PerSymbol = np.inf,
    min_ticket: PerSymbol = 0.0,
    max_share: PerSymbol = 1.0,
    priority: PerSymbol = 1.0,
    current: PerSymbol = 0.0,
    trade_cost: PerSymbol | tuple[PerSymbol, PerSymbol] = 0.0,
    fixed_cost: PerSymbol = 0.0,
    lots: PerSymbol = 0.0,
    max_count: int | None = None,
    min_count: int = 0,
    groups: GroupsLike = None,
    group_upper: PerSymbol = np.inf,
    group_lower: PerSymbol = 0.0,
    group_share: PerSymbol = 1.0,
    reserve: float = 0.0,
    spend: str = "at_most",
    hurdle: float = 0.0,
    remainder: str = "distribute",
    method: str = "exact",
    step: float | None = None,
    max_nodes: int = 2000,
    tolerance: float | None = None,
    target_utility: FloatLike | None = None,
    target_efficiency: FloatLike | None = None,
    target_marginal: FloatLike | None = None,
    params: PerSymbol | None = None,
    aggregate: str | tuple[str, float] | None = None,
    threads: int | None = None,
) -> Allocation:
    """Allocate a total over instruments so that Σ w·U(C) − hurdle·ΣC − costs is highest, and prove it by a bound.

    Parameters
    ----------
    curves : CurveSet
        n curves. What is one value an instrument, (n,), may be a mapping or an indexed Series of symbol → value; the
        symbols must be those of the curves. Arrays and lists are in the order of the curves.
    total : float or array
        Money, at least 0; an array gives one problem an element (a budget path). With a target the most that there is,
        by default all that the instruments may hold.
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
    current : float or (n,)
        Capital held before; nothing of a symbol that a mapping does not name.
    trade_cost : float or (n,), or a tuple of two of them
        What a unit of capital costs to buy or sell, in [0, 1]: 0.001 is 10 basis points of what is traded. A tuple
        gives what buying costs, then what selling does.
    fixed_cost : float or (n,)
        What it costs to trade an instrument at all.
    lots : float or (n,)
        Where it is positive, amounts are whole multiples of it: an amount is lot·k, rounded once. A bound that is a
        multiple but for rounding is one, and lots fit that exceed the money by no more than 1e-12 of it.
    max_count, min_count : int
        Most and least instruments that hold anything, the least number no larger than the other; by default any number.
        With a least number every instrument must have a least amount: `lower`, `min_ticket` or `lots` above 0.
    groups : sequence or mapping, optional
        A label for each instrument (or None; in a Series what is missing), or a tuple of labels, a path from the
        outermost group inwards: ``("binance", "spot")`` is in the groups ``binance`` and ``binance/spot``, and the
        label ``"binance/spot"`` is refused beside it. By symbol too. Or group → list of its symbols; then groups may
        overlap, so that an instrument is in an exchange and in a token.
    group_upper, group_lower : float or (g,), or group → float
        Most and least capital of a group: one number for all, one for each in the order of the groups, or by name for
        some.
    group_share : float or (g,), or group → float
        Most capital of a group as a share of `total`, in [0, 1]; 1 is no bound.
    reserve : float
        Share of `total` that stays out, in [0, 1).
    spend : {"at_most", "exactly"}
        Whether money that would return less than the hurdle stays unallocated, or all of it must be placed.
    hurdle : float
        What money returns elsewhere, at least 0.
    remainder : {"distribute", "hold"}
        Whether money that `min_efficiency` leaves over is placed in a second solve, without that threshold but with the
        first amounts as lower bounds and within all other bounds; what then lies below is in ``below_threshold``. Where
        all must be spent and the first amounts stand in the way of that, they are let go: all is placed anew, without
        the threshold.
    method : {"exact", "greedy"}
        The optimum with its proof, or increments of `step`, each to the instrument of highest marginal utility. The
        greedy method knows neither costs of trading nor groups, lots and counts.
    step : float, optional
        Increment of the greedy method, and of no other; by default a thousandth of the total.
    max_nodes : int
        Where the search ends at the latest; then `status` is GAP_OPEN. 0 bounds without search.
    tolerance : float, optional
        Gap at which the search ends, by default 1e-9·n², at most 1e-4.
    target_utility : float or array, optional
        Instead of what a total returns: the least money that returns this utility.
    target_efficiency : float or array, optional
        The most money whose whole, ΣC·η/ΣC, keeps this efficiency.
    target_marginal : float or array, optional
        The money at which the next unit returns this, at least the hurdle.
    params : (draws, n, 4) float64 or symbol → (draws, 4), optional
        Coefficients instead of ``curves.params``, one problem (or path) a draw: see :meth:`CurveSet.draw_params`.
        Without those of the last columns that no curve uses, if you like.
    aggregate : "mean", ("mean-sd", k) or ("cvar", level), optional
        One allocation for all draws, instead of one each: for the mean of Σ w·U over the draws, for that mean less k
        standard deviations, or for the mean of the worst 1 − level of the draws (level in [0, 1)). Draws count alike.
        The answer is an :class:`AggregateAllocation`. Not with `min_efficiency`, costs of trading, groups, targets,
        lots, counts or the greedy method.
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
        If bounds conflict, or no total meets the target; names them, by how much, and the nearest target.

    Notes
    -----
    U(C) = C·min(η(C), 1). Capital is 0 or in [L, H], H = min(upper, max_share·total, trusted_to, end of the stretch),
    L = max(lower, min_ticket, begin of the stretch); only the latter where `lower` is positive. Where its records
    contradict a curve (`CurveSet.marked`) H is also at most what `lower` demands, or where U comes to more than any of
    them returned. In the bounds H is also at most what the L of the forced instruments leave of the money
    T = total·(1 − reserve).

    For every λ ≥ 0 (any λ if all must be spent) D(λ) = λT + Σ max(w·U(C) − (hurdle + λ)·C), the maxima over each
    instrument's own bounds, is at least the value of every feasible allocation (weak Lagrangian duality). The λ used is
    the one that minimises it. What is left between it and the best allocation, because utilities may be convex in
    parts and tickets are all or nothing, is closed by branch and bound, up to `tolerance` and `max_nodes`. With a
    second solve each of the two is optimal in its turn; the better of that and of the same after a greedy first solve
    is returned. All of this is about the curves as they are fitted, not about what the market will do.

    Where trading costs something, V is Σ w·U(C) − hurdle·ΣC − cost, with cost = buy·(C − current)⁺ + sell·(current −
    C)⁺ + fixed where C ≠ current, summed over the instruments. Costs are taken from the value: the money T is what is
    placed afterwards. The marginal value of an instrument then jumps at what is held, by buy + sell, and around it
    nothing is traded. A fixed cost puts a chord into its envelope on both sides; the search splits it there, into the
    allocations that trade the instrument and those that do not.

    Groups have prices: an instrument answers to that of the innermost group around it, which is the price of what lies
    around that group, unless the group is full (then it is higher) or at its least (lower). Where utilities bend
    downwards groups are filled from the innermost outwards, each on its own, and the gap closes; elsewhere D with such
    prices is the bound, the search closes what it can, and the prices that are given are those of its amounts: what one
    more unit returns where what is kept out as a whole stays out.

    Where groups overlap an instrument answers to the price of money and of all its groups added up, each 0 unless the
    group is full (above 0) or at its least (below). D is convex in these prices; Newton's method on the limits that
    count brings it to its minimum. Where answers jump (ladders, chords) amounts are found by the proximal point method
    within the same prices. The amounts keep to all limits; limits that leave none together are refused with the proof
    of it.

    With a limit of how many instruments hold anything the bound at a price is λT + Σ v(0) + the sum of the k largest
    gains max v(C) − v(0), v(C) = w·U(C) − cost − (hurdle + λ)·C, k being the number of gains above 0 but within the
    limits; with `lots` the maxima are over multiples, and T is what whole lots can take where all are multiples of the
    smallest. `dual_bound` is the lowest of these, `dual_price` its λ. The search splits on who holds something, and on
    an amount between two lots. Lots like those of a subset sum, where hardly any combination fits, stay hard: the
    search ends at `max_nodes`, and the gap is stated. Where all amounts are whole `shadow_price` is the dual price. A
    second solve holds within the same limits. Neither targets nor groups that overlap go with lots and counts.

    A target is met to 1e-12 of its size: the total is sought by Newton's method inside a bracket, along the best
    utility of a total, whose slope is the shadow price (where shares of the total bind, more than it). The efficiency
    of the whole only falls with the total where all weights are alike, utilities bend downwards, nothing costs anything
    to trade and nothing must be held; elsewhere it may come back to a target, and the last total that keeps it is
    looked for by trying totals from the ceiling downwards, eight an octave over ten octaves, then one: where the target
    is kept on less than a twelfth of a total it may be missed, but what is found keeps it always.

    Where `max_share` or `group_share` limit anything, and all that is worth placing keeps the efficiency, the total is
    the least that has room for it. What a unit returns falls with the total where utilities bend downwards, trades have
    no fixed costs, and there are neither tickets nor shares of the total; elsewhere a total that returns a marginal
    utility is looked for among as many totals as above if no other is found, and what is returned on less than a
    twelfth of a total may be missed. The C library tries no totals for that, and cuts shares with the total.

    A problem depends on no other but those before it in its own block of 64 (they begin at multiples of 64), from whose
    price its search begins: parts of a path that begin there give the same bits as the whole.

    References
    ----------
    Everett (1963), Generalized Lagrange multiplier method for solving problems of optimum allocation of resources.
    Falk and Soland (1969), An algorithm for separable nonconvex programming problems.
    Rockafellar (1976), Monotone operators and the proximal point algorithm.
    Qi and Sun (1993), A nonsmooth version of Newton's method.
    Bretthauer and Shetty (1995), The nonlinear resource allocation problem.

    Examples
    --------
    >>> curves = CurveSet.from_params(["A", "B"], "linear", [[-1e-6, 1.0], [-2e-6, 1.0]])
    >>> found = allocate(curves, 300_000.0)
    >>> found.to_dict()
    {'A': 200000.0, 'B': 100000.0}
    >>> print(f"{found.shadow_price:.4f}")
    0.6000
    """
    sought = None
    if not (target_utility is None and target_efficiency is None and target_marginal is None):
        sought = {
            "target_utility": target_utility, "target_efficiency": target_efficiency,
            "target_marginal": target_marginal,
        }  # fmt: skip
    request = Request.checked(
        curves, total, params if aggregate is None else None,
        {
            "min_efficiency": min_efficiency, "lower": lower, "upper": upper,
            "min_ticket": min_ticket, "max_share": max_share, "priority": priority,
            "current": current, "fixed_cost": fixed_cost, "lots": lots, **rates(trade_cost, curves),
        },
        {
            "reserve": reserve, "hurdle": hurdle, "tolerance": tolerance, "step": step, "max_nodes": max_nodes,
            "max_count": max_count, "min_count": min_count,
        },
        {"spend": spend, "remainder": remainder, "method": method},
        groups, {"group_upper": group_upper, "group_lower": group_lower, "group_share": group_share},
        sought,
    )  # fmt: skip
    if aggregate is not None and (sought is not None or len(request.groups)):
        message = "aggregate knows neither groups nor targets"
        raise AllocationError(message, arguments=("aggregate", "groups" if sought is None else "target_utility"))
    if aggregate is not None and request.whole:
        message = f"aggregate knows no {request.whole[0]}: leave one of them out"
        raise AllocationError(message, arguments=("aggregate", request.whole[0]))
    crew = None if threads is None else parallel.checked_threads(threads, AllocationError)
    answers, first = run(request, crew)
    said = targets.settle(request, (answers, first)) if sought is not None else {}
    infeasible.raise_infeasible(request, answers, said)
    again = bool(first.solution.size) and bool((answers.column("phases") > 1.0).any())
    found = _named(request, answers, _named(request, first, None) if again else None)
    return found if aggregate is None else allocate_for_draws(found, params, aggregate, crew)


def _named(request: Request, answers: Answers, first: Allocation | None) -> Allocation:
    """Give the kernel's answers their names and shapes."""
    shape = request.shape
    amounts, binding, prices = answers.amounts, answers.binding, answers.group_prices
    for array in (amounts, binding):  # the figures belong to these amounts
        array.setflags(False)  # type: ignore[call-arg] # half the time
    figures = answers.figures(shape)
    return made(
        Allocation,
        {
            "symbols": request.curves.symbols,
            "total": figures[FIGURES["total"]] if request.controls.values["goal"] else _totals(request),
            "amounts": amounts.reshape(*shape, amounts.shape[1]) if shape else amounts[0],
            "utility": figures[FIGURES["utility"]],
            "upper_bound": figures[FIGURES["upper_bound"]],
            "gap": figures[FIGURES["gap"]],
            "dual_price": figures[FIGURES["dual_price"]],
            "dual_bound": figures[FIGURES["dual_bound"]],
            "shadow_price": figures[FIGURES["shadow_price"]],
            "binding": binding.reshape(*shape, binding.shape[1]) if shape else binding[0],
            "status": _of_type(np.int8, figures[FIGURES["status"]]),
            "nodes": _of_type(np.int64, figures[FIGURES["nodes"]]),
            "group_prices": prices.reshape(*shape, len(request.groups)) if shape else prices[0],
            "first": first,
            "_request": request,
        },
    )


def _totals(request: Request) -> Any:
    """Give the total of every problem, as given."""
    same = request.total.shape == request.shape
    return (request.total if same else np.broadcast_to(request.total, request.shape))[()]


def _of_type(kind: Any, figure: Any) -> Any:
    """Bring a number, or an array, to integers of a type."""
    return figure.astype(kind) if isinstance(figure, np.ndarray) else kind(int(figure))  # by Python's in half the time
