"""One budget over periods the slow way: the money is followed period by period, and a linear programme, or all
combinations of a grid, find the best. Nothing is counted in money of another period."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from escala import CurveSet

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Budget:
    """Money over periods, and what limits its spending."""

    curves: list[CurveSet]
    arrived: Floats
    carry: Floats
    weight: Floats  # (T, n) of the utilities
    upper: Floats  # (T, n)
    lower: Floats
    period_upper: Floats
    period_lower: Floats
    symbol_upper: Floats
    hurdle: float = 0.0
    ticket: float = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.curves), len(self.curves[0])

    @property
    def scale(self) -> float:
        """Money there is in all, for what counts as a rounding error."""
        return float(self.arrived.sum()) * max(1.0, float(np.prod(np.maximum(self.carry, 1.0))))

    def most(self) -> Floats:
        trusted = np.stack([one.trusted_to for one in self.curves])
        return np.minimum(np.minimum(self.upper, trusted), self.scale)

    def become(self, t: int) -> float:
        """What a unit of money of a period is by the end, or by when nothing is carried."""
        unit = 1.0
        for share in self.carry[t:].tolist():
            if share == 0.0:
                break
            unit *= share
        return unit


def left(b: Budget, amounts: Floats) -> list[float]:
    """Follow the money: what each period leaves; below 0 where it spends what is not there."""
    found: list[float] = []
    money = 0.0
    for t in range(b.shape[0]):
        money = (money * float(b.carry[t - 1]) if t else 0.0) + float(b.arrived[t]) - math.fsum(amounts[t].tolist())
        found.append(money)
    return found


def is_feasible(b: Budget, amounts: Floats, slack: float) -> bool:
    spent = amounts.sum(axis=1)
    return bool(
        (amounts >= b.lower - slack).all()
        and (amounts <= b.most() + slack).all()
        and ((amounts <= slack) | (amounts >= b.ticket - slack)).all()
        and min(left(b, amounts)) >= -slack
        and (spent <= b.period_upper + slack).all()
        and (spent >= b.period_lower - slack).all()
        and (amounts.sum(axis=0) <= b.symbol_upper + slack).all()
    )


def value_of(b: Budget, amounts: Floats) -> float:
    total = 0.0
    for t, curves in enumerate(b.curves):
        earned = b.weight[t] * np.where(amounts[t] > 0.0, curves.utility(amounts[t]), 0.0)
        total += math.fsum(earned.tolist()) - b.hurdle * b.become(t) * math.fsum(amounts[t].tolist())
    return total


def best_of_pieces(b: Budget, knots: list[list[Floats]]) -> float:
    """Solve the linear programme in which utilities are straight between their knots: never above the best if concave.

    Its variables are what every piece holds, and what each period leaves.
    """
    periods, n = b.shape
    pieces = [(t, i, j) for t in range(periods) for i in range(n) for j in range(knots[t][i].size - 1)]
    count = len(pieces) + periods
    cost, bounds = np.zeros(count), []
    flow = np.zeros((periods, count))
    limits = np.zeros((2 * periods + n, count))
    for place, (t, i, j) in enumerate(pieces):
        begin, end = knots[t][i][j], knots[t][i][j + 1]
        row = np.zeros((n, 2))
        row[i] = begin, end
        earned = b.curves[t].utility(row)[i]
        cost[place] = b.hurdle * b.become(t) - b.weight[t, i] * (earned[1] - earned[0]) / (end - begin)
        bounds.append((0.0, end - begin))
        flow[t, place] = limits[t, place] = limits[2 * periods + i, place] = 1.0
        limits[periods + t, place] = -1.0
    for t in range(periods):
        flow[t, len(pieces) + t] = 1.0
        if t:
            flow[t, len(pieces) + t - 1] = -b.carry[t - 1]
        bounds.append((0.0, None))
    least = np.zeros((0, count))
    forced = [(t, i) for t in range(periods) for i in range(n) if b.lower[t, i] > 0.0]
    if forced:
        least = np.array([[-float(p[:2] == one) for p in pieces] + [0.0] * periods for one in forced])
    rows = np.concatenate([limits, least])
    most = np.concatenate([b.period_upper, -b.period_lower, b.symbol_upper, [-b.lower[one] for one in forced]])
    some = np.isfinite(most)
    found = linprog(
        cost, A_ub=rows[some], b_ub=most[some], A_eq=flow, b_eq=b.arrived, bounds=bounds, method="highs",
    )  # fmt: skip
    assert found.status == 0, found.message
    return -float(found.fun)


def even_knots(b: Budget, pieces: int) -> list[list[Floats]]:
    """Give equally spaced knots of every instrument, closer to each other where there is little."""
    most = b.most()
    return [[most[t, i] * np.linspace(0.0, 1.0, pieces + 1) ** 2 for i in range(b.shape[1])] for t in range(b.shape[0])]


def best_of_all(b: Budget, steps: int) -> float:
    """Try all combinations of a grid; −inf if none is feasible."""
    most = b.most()
    grids = []
    for t, i in np.ndindex(b.shape):
        grid = np.linspace(0.0, most[t, i], steps + 1)
        grids.append(np.unique(np.append(grid, [one for one in (b.ticket, b.lower[t, i]) if one <= most[t, i]])))
    best = -math.inf
    earned = []
    for (t, i), grid in zip(np.ndindex(b.shape), grids, strict=True):
        rows = np.zeros((b.shape[1], grid.size))
        rows[i] = grid
        gained = b.weight[t, i] * b.curves[t].utility(rows)[i] - b.hurdle * b.become(t) * grid
        gained[(grid < b.lower[t, i]) | ((grid > 0.0) & (grid < b.ticket))] = -math.inf
        earned.append(gained)
    # all but the last two instruments one by one, those two as a table
    *outer, one, other = range(len(grids))
    for chosen in itertools.product(*(range(grids[k].size) for k in outer)):
        fixed = [grids[k][j] for k, j in zip(outer, chosen, strict=True)]
        table = [*(np.full((grids[one].size, grids[other].size), x) for x in fixed),
                 np.broadcast_to(grids[one][:, None], (grids[one].size, grids[other].size)),
                 np.broadcast_to(grids[other][None, :], (grids[one].size, grids[other].size))]  # fmt: skip
        amounts = np.array(table).reshape(*b.shape, grids[one].size, grids[other].size)
        good = np.ones(amounts.shape[2:], dtype=bool)
        slack = 1e-9 * b.scale
        money = np.zeros(good.shape)
        for t in range(b.shape[0]):
            spent = amounts[t].sum(axis=0)
            money = (money * b.carry[t - 1] if t else 0.0) + b.arrived[t] - spent
            good &= (money >= -slack) & (spent <= b.period_upper[t] + slack) & (spent >= b.period_lower[t] - slack)
        good &= (amounts.sum(axis=0) <= b.symbol_upper[:, None, None] + slack).all(axis=0)
        value = sum(earned[k][j] for k, j in zip(outer, chosen, strict=True)) + earned[one][:, None] + earned[other]
        best = max(best, float(np.where(good, value, -math.inf).max()))
    return best
