"""One allocation for many draws of the curves: for their mean, less for what they vary by, or for the worst of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.allocation import infeasible
from escala.allocation.drawn import Drawn, Envelopes, Ladders
from escala.allocation.problem import Answers, Request
from escala.allocation.result import Allocation, Binding
from escala.allocation.run import run
from escala.arrays import Floats, one_number
from escala.errors import AllocationError
from escala.keyed import PerSymbol
from escala.made import made
from escala.tables import FINITE_FROM_ZERO, Interval
from escala.text.numerals import amount as written

_LEVEL: Final = Interval(0.0, 1.0, high_open=True)
_LOOKS: Final = 60  # at the utilities, in one solve for a weighted mean
_ROUNDS: Final = 40  # of new weights
_SLOW: Final = 1.02  # a gap that shrinks by less in a look, or a round,
_PATIENCE: Final = 8  # so many times one after the other, has stopped shrinking
_SHARE: Final = 0.25  # of the tolerance, that a solve for a weighted mean may leave
_STALLED: Final = 1e-13  # relative: what a mixture of columns gains less than has converged


@dataclass(frozen=True)
class Aggregate:
    """How utilities of draws become one number.

    Parameters
    ----------
    name : {"mean", "mean-sd", "cvar"}
    number : float
        How many standard deviations count, or the level; 0 for the mean.
    """

    name: str
    number: float = 0.0

    @classmethod
    def of(cls, said: Any) -> Aggregate:
        """Check what a caller says.

        Raises
        ------
        AllocationError
            Names it.
        """
        if isinstance(said, str) and said == "mean":
            return cls("mean")
        if isinstance(said, tuple) and len(said) == 2 and said[0] in ("mean-sd", "cvar"):
            allowed, what = (FINITE_FROM_ZERO, "k") if said[0] == "mean-sd" else (_LEVEL, "level")
            return cls(said[0], one_number(f"aggregate's {what}", said[1], allowed, AllocationError))
        message = f"aggregate must be 'mean', ('mean-sd', k) or ('cvar', level), not {said!r}"
        raise AllocationError(message, arguments=("aggregate",))

    @property
    def said(self) -> str:
        """Write it in words."""
        if self.name == "mean":
            return "mean"
        if self.name == "mean-sd":
            return f"mean less {self.number:g} standard deviations"
        return f"mean of the worst {1.0 - self.number:.4g}"

    def value(self, totals: Floats) -> float:
        """Give the one number."""
        if self.name == "mean":
            return float(totals.mean())
        if self.name == "mean-sd":
            return float(totals.mean() - self.number * totals.std())
        return float((self.weights(totals) * totals).sum())  # not by a library whose order depends on threads

    def weights(self, totals: Floats) -> Floats:
        """Give weights of the draws with which the mean of these is the number, and of no others is less."""
        even = np.full(totals.size, 1.0 / totals.size)
        if self.name == "mean":
            return even
        if self.name == "mean-sd":
            spread = totals.std()
            return even if spread == 0.0 else even * (1.0 - self.number * ((totals - totals.mean()) / spread))
        order = np.argsort(totals, kind="stable")
        most = self._most(totals.size)
        before = most * np.arange(totals.size)
        weights = np.empty(totals.size)
        weights[order] = np.clip(1.0 - before, 0.0, most)
        return weights

    def _most(self, draws: int) -> float:
        """Give the most that one draw may weigh."""
        return min(1.0, 1.0 / ((1.0 - self.number) * draws))

    def mixed(self, columns: Floats) -> tuple[Floats, Floats]:
        """Mix columns of totals, (D, J), so that the number is highest: the shares, and weights that prove it."""
        if columns.shape[1] == 1 or self.name == "mean":
            shares = np.zeros(columns.shape[1])
            shares[0] = 1.0
            return shares, self.weights(columns[:, 0])
        return _of_spread(self, columns) if self.name == "mean-sd" else _of_worst(self, columns)


def _of_spread(aggregate: Aggregate, columns: Floats) -> tuple[Floats, Floats]:
    from scipy.optimize import minimize

    draws, count = columns.shape
    mean = columns.mean(axis=0)
    centred = columns - mean
    covariance = np.einsum("di,dj->ij", centred, centred) / draws
    scale = max(float(np.abs(mean).max()), math.sqrt(float(covariance.diagonal().max())), 1e-300)

    def negative(shares: Floats) -> tuple[float, Floats]:
        along = covariance @ shares
        spread = math.sqrt(max(float(shares @ along), 0.0))
        slope = mean - aggregate.number * along / spread if spread > 0.0 else mean
        return -(float(mean @ shares) - aggregate.number * spread) / scale, -slope / scale

    start = np.zeros(count)
    start[int(np.argmax([-negative(row)[0] for row in np.eye(count)]))] = 1.0
    found = minimize(
        negative, start, jac=True, method="SLSQP", bounds=[(0.0, 1.0)] * count, options={"ftol": 1e-15, "maxiter": 200},
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1.0, "jac": np.ones_like},
    )  # fmt: skip
    shares = np.clip(found.x, 0.0, 1.0)
    shares = shares / shares.sum()
    if negative(shares)[0] > negative(start)[0]:
        shares = start
    return shares, aggregate.weights(np.einsum("dj,j->d", columns, shares))


def _of_worst(aggregate: Aggregate, columns: Floats) -> tuple[Floats, Floats]:
    """By linear programming: max t − Σ y/((1 − level)·D) with y at least t less each total of the mixture."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, eye_array, hstack

    draws, count = columns.shape
    most = aggregate._most(draws)
    scale = max(float(np.abs(columns).max()), 1e-300)
    cost = np.concatenate([np.zeros(count), [-1.0], np.full(draws, most)])
    rows = hstack([csr_array(-columns / scale), csr_array(np.ones((draws, 1))), -eye_array(draws)], format="csr")
    whole = np.concatenate([np.ones(count), np.zeros(draws + 1)])[None, :]
    found = linprog(
        cost, A_ub=rows, b_ub=np.zeros(draws), A_eq=whole, b_eq=[1.0], method="highs-ds",
        bounds=[(0.0, 1.0)] * count + [(None, None)] + [(0.0, None)] * draws,
    )  # fmt: skip
    if found.status != 0:
        shares = np.zeros(count)
        shares[int(np.argmax([aggregate.value(column) for column in columns.T]))] = 1.0
        return shares, aggregate.weights(np.einsum("dj,j->d", columns, shares))
    shares = np.clip(found.x[:count], 0.0, 1.0)
    weights = np.clip(-found.ineqlin.marginals, 0.0, most)
    short = 1.0 - weights.sum()
    room = most - weights
    weights = weights + short * room / room.sum() if short > 0.0 < room.sum() else weights / weights.sum()
    return shares / shares.sum(), weights


@dataclass(frozen=True, eq=False, repr=False)
class AggregateAllocation(Allocation):
    """One allocation for many draws of the curves, and how much of what the curves claim was luck.

    Everything is as in :class:`Allocation`, of the aggregate of the drawn utilities: `utility` is that of
    Σ w·U − hurdle·ΣC over the draws, `efficiency` and `marginal` are means over the draws, and `shadow_price`
    is the mean w·U′ of what nothing binds, over the draws as the aggregate weighs them.

    Attributes
    ----------
    aggregate : str
        What was asked for, in words.
    drawn_utility : P + (D,) float64
        What the amounts return in each draw, Σ w·U − hurdle·ΣC.
    plain : Allocation
        The allocation by the curves' own coefficients, under the same limits.
    realised : P float64
        The aggregate over the draws of what the amounts of `plain` return.
    """

    aggregate: str
    drawn_utility: Floats
    plain: Allocation
    realised: Any
    _means: tuple[Floats, Floats]

    @functools.cached_property
    def efficiency(self) -> Floats:
        """Mean efficiency of each instrument at its capital over the draws, P + (n,); NaN without a curve."""
        return self._means[0]

    @functools.cached_property
    def marginal(self) -> Floats:
        """Mean marginal utility of each instrument over the draws, without its priority, P + (n,)."""
        return self._means[1]

    @property
    def claimed(self) -> Any:
        """What the curves' own coefficients claim that `plain` returns, P."""
        return self.plain.utility

    @property
    def winners_curse(self) -> Any:
        """What `plain` claims above what its amounts return over the draws, P: the best of estimates is too good."""
        return self.claimed - self.realised

    def summary(self, *, rows: int = 60) -> str:
        """Describe the allocation as :meth:`Allocation.summary` does, and the winner's curse beside it.

        Raises
        ------
        AllocationError
            If `rows` is no such number.
        """
        text = super().summary(rows=rows)
        draws = self.drawn_utility.shape[-1]
        lines = [f"utility is the {self.aggregate} of {draws:,} draws of the curves"]
        if np.ndim(self.utility) == 0:
            gain = float(self.utility - self.realised)
            lines.append(
                f"by the curves' own coefficients {written(float(self.claimed))} is claimed and "
                f"{written(float(self.realised))} returned: a winner's curse of {written(float(self.winners_curse))}; "
                f"allocating for the draws returns {written(gain)} more"
            )
        return "\n".join([text, *lines])


@dataclass(frozen=True, eq=False)
class _Column:
    """A feasible allocation, what it returns in each draw, and what proves it."""

    amounts: Floats
    totals: Floats
    answers: Answers
    scale: float
    lift: float
    bound: float

    def figure(self, name: str) -> float:
        """Give a figure of the answer over ladders."""
        return float(self.answers.column(name)[0])


@dataclass(frozen=True, eq=False)
class _Solver:
    """One total, and the draws that are allocated for."""

    request: Request
    drawn: Drawn
    aggregate: Aggregate
    largest: Floats

    @property
    def tolerance(self) -> float:
        """Gap at which the search ends."""
        return self.request.controls["tolerance"]

    @property
    def falls(self) -> bool:
        """Whether an instrument may have to hold more than returns most."""
        return bool(self.request.setting("lower").any()) or self.request.controls["exactly"] != 0.0

    @property
    def mixes(self) -> bool:
        """Whether what lies between two allocations is one."""
        return not self.request.setting("min_ticket").any()

    def best(self) -> tuple[_Column, float, Floats]:
        """Find the best allocation found, its value and what it returns in each draw; `bound` is the lowest found."""
        weights = np.full(self.drawn.draws, 1.0 / self.drawn.draws)
        columns: list[_Column] = []
        value, bound, patience = -math.inf, math.inf, 0
        chosen, totals = np.empty(0), np.empty(0)
        for _ in range(_ROUNDS):
            last = self.for_weights(weights, chosen if columns else None)
            columns.append(last)
            before = bound - value
            if last.bound < bound:
                bound, proof = last.bound, last
            shares, weights = self.aggregate.mixed(np.stack([one.totals for one in columns], axis=1))
            for amounts, returned in self.candidates(columns, shares):
                found = self.aggregate.value(returned)
                if found > value:
                    value, totals, chosen = found, returned, amounts
            patience = patience + 1 if before <= _SLOW * (bound - value) else 0
            enough = bound - value <= self.tolerance * abs(bound)
            if self.aggregate.name == "mean" or enough or patience > _PATIENCE:
                break
        return replace(proof, amounts=chosen, bound=max(bound, value)), value, totals

    def candidates(self, columns: Sequence[_Column], shares: Floats) -> list[tuple[Floats, Floats]]:
        """Give the last allocation, and a mixture of all, with what they return in each draw."""
        last = columns[-1]
        found = [(last.amounts, last.totals)]
        if len(columns) > 1 and self.mixes:
            amounts = np.einsum("j,ji->i", shares, np.stack([one.amounts for one in columns]))
            found.append((amounts, self.returned(amounts)))
        return found

    def returned(self, amounts: Floats) -> Floats:
        """Give what amounts return in each draw, net of what the money costs."""
        return self.drawn.totals(amounts) - self.request.controls["hurdle"] * float(amounts.sum())

    def for_weights(self, weights: Floats, near: Floats | None) -> _Column:
        """Allocate for a weighted mean of the draws."""
        envelopes = Envelopes(self.drawn, weights, self.largest, near)
        best: _Column | None = None
        most, bound, patience = -math.inf, math.inf, 0
        for _ in range(_LOOKS):
            ladders = envelopes.ladders(self.request.curves.symbols, self.request.limits, falling=self.falls)
            asked = self.asked(ladders)
            answers, _ = run(asked, 1)
            infeasible.raise_infeasible(asked, answers, {})
            amounts, scale = answers.amounts[0], ladders.scale
            known = not envelopes.look_at(amounts) and not envelopes.look_about(amounts)
            returned = float((self.drawn.priority * envelopes.utility(amounts)).sum()) - self.request.controls[
                "hurdle"
            ] * float(amounts.sum())
            lowest = scale * float(answers.column("upper_bound")[0])
            before = bound - most
            bound = min(bound, lowest)
            if returned > most or best is None:
                most = returned
                best = _Column(amounts, np.empty(0), answers, scale, ladders.lift, bound)
            gap = bound - most
            patience = patience + 1 if before <= _SLOW * gap else 0
            if known or patience > _PATIENCE or gap <= _SHARE * self.tolerance * abs(bound):
                break
        assert best is not None
        return replace(best, totals=self.returned(best.amounts), bound=bound)

    def asked(self, ladders: Ladders) -> Request:
        """Ask for the same over ladders."""
        hurdle = (self.request.controls["hurdle"] + ladders.lift) / ladders.scale
        given = replace(
            self.request,
            curves=ladders.curves,
            params=ladders.curves._arrays()[1],
            controls=self.request.controls.but(hurdle=hurdle),
        )
        return given.with_setting("priority", ladders.priority)


def allocate_for_draws(plain: Allocation, params: PerSymbol | None, aggregate: Any, threads: int | None) -> Allocation:
    """Allocate once for many draws of the curves, as `plain` was for the curves themselves.

    Raises
    ------
    AllocationError, InfeasibleError
        As :func:`escala.allocate`.
    """
    chosen, own = Aggregate.of(aggregate), plain._request
    if params is None:
        raise AllocationError("aggregate is of draws, which params must hold", arguments=("aggregate", "params"))
    if own.greedy:
        raise AllocationError("aggregate needs method='exact'", arguments=("aggregate", "method"))
    if own.setting("min_efficiency").any():
        message = "aggregate takes no min_efficiency: efficiency differs from draw to draw; hurdle and upper are bounds"
        raise AllocationError(message, arguments=("aggregate", "min_efficiency"))
    if own.traded:
        message = "aggregate takes no trade_cost and no fixed_cost: what trading costs is not in its bound"
        raise AllocationError(message, arguments=("aggregate", "trade_cost", "fixed_cost"))
    drawn = Drawn.of(own.with_draws(params), threads)
    if not drawn.draws:
        raise AllocationError("aggregate needs at least one draw in params", arguments=("aggregate", "params"))
    amounts = plain.amounts.reshape(own.problems, -1)
    return _named(plain, chosen, drawn, [_solved(own, drawn, chosen, k, amounts[k]) for k in range(own.problems)])


@dataclass(frozen=True, eq=False)
class _Solved:
    column: _Column
    value: float
    totals: Floats
    realised: float


def _solved(own: Request, drawn: Drawn, aggregate: Aggregate, problem: int, plain: Floats) -> _Solved:
    """Solve one total."""
    total = own.total.reshape(-1)[problem : problem + 1].reshape(())
    one = replace(own, total=total, shape=())
    largest = np.minimum(one.setting("upper"), one.setting("max_share") * float(total))
    largest = np.minimum(np.minimum(largest, np.where(drawn.has_curve, one.limits, 0.0)), float(one.money[0]))
    solver = _Solver(one, drawn, aggregate, largest)
    column, value, totals = solver.best()
    realised = aggregate.value(solver.returned(plain))
    return _Solved(column, value, totals, realised)


def _named(plain: Allocation, aggregate: Aggregate, drawn: Drawn, solved: list[_Solved]) -> AggregateAllocation:
    """Give the answers their names and shapes."""
    own = plain._request
    shape, n = own.shape, len(own.curves)

    def whole(values: list[Any]) -> Any:
        return np.array(values, dtype=np.float64).reshape(shape)[()]

    amounts = np.array([one.column.amounts for one in solved]).reshape(*shape, n)
    bounds = np.array([one.column.bound for one in solved])
    values = np.array([one.value for one in solved])
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = np.where(bounds == values, 0.0, (bounds - values) / np.abs(bounds))
    even = np.full(drawn.draws, 1.0 / drawn.draws)
    means = [drawn.means(one.column.amounts, even) for one in solved]
    binding = np.array([_binding(one.column, drawn) for one in solved], dtype=np.int8)
    prices = [_shadow_price(one, row, drawn, aggregate) for one, row in zip(solved, binding, strict=True)]
    return made(
        AggregateAllocation,
        {
            "symbols": own.curves.symbols,
            "total": np.broadcast_to(own.total, shape)[()],
            "amounts": amounts,
            "utility": whole(values.tolist()),
            "upper_bound": whole(bounds.tolist()),
            "gap": whole(gaps.tolist()),
            "dual_price": whole([one.column.scale * one.column.figure("dual_price") for one in solved]),
            "dual_bound": whole([one.column.scale * one.column.figure("dual_bound") for one in solved]),
            "shadow_price": whole(prices),
            "binding": binding.reshape(*shape, n),
            "status": (gaps > own.controls["tolerance"]).astype(np.int8).reshape(shape)[()],
            "nodes": np.array([one.column.figure("nodes") for one in solved], dtype=np.int64).reshape(shape)[()],
            "group_prices": np.empty((*shape, 0)),
            "first": None,
            "_request": own,
            "aggregate": aggregate.said,
            "drawn_utility": np.array([one.totals for one in solved]).reshape(*shape, drawn.draws),
            "plain": plain,
            "realised": whole([one.realised for one in solved]),
            "_means": tuple(np.array([one[k] for one in means]).reshape(*shape, n) for k in range(2)),
        },
    )


def _shadow_price(solved: _Solved, binding: npt.NDArray[np.int8], drawn: Drawn, aggregate: Aggregate) -> float:
    """Give w·U′ of the draws as the aggregate weighs them, of what nothing binds; else that of the ladders."""
    free = (binding == Binding.NONE) & (drawn.priority > 0.0)
    if not free.any():
        return solved.column.scale * solved.column.figure("shadow_price") - solved.column.lift
    _, marginal = drawn.means(solved.column.amounts, aggregate.weights(solved.totals))
    return float((drawn.priority * marginal)[free].mean())


def _binding(column: _Column, drawn: Drawn) -> npt.NDArray[np.int8]:
    """Tell what binds: inside a step of an envelope nothing does, though its next step returns less."""
    binding = column.answers.binding[0].copy()
    inside = (column.amounts > 0.0) & (binding == Binding.PRICE)
    binding[inside] = Binding.NONE
    binding[~drawn.has_curve] = Binding.NO_CURVE
    found: npt.NDArray[np.int8] = binding
    return found
