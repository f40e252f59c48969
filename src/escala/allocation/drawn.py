"""Drawn curves of n instruments: sums of their utilities, and concave functions that no such sum exceeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import parallel
from escala.allocation.problem import Request
from escala.arrays import Floats
from escala.curves.curveset import CurveSet
from escala.errors import AllocationError
from escala.tables import PARAMS

#: A stretch between two capitals, and two lines above the utility there.
_Stretch = tuple[float, float, Floats]

_HALVINGS: Final = 15  # of the largest capital, that the first capitals of an envelope lie at
_CLOSE: Final = 1e-9  # relative to the largest capital: no other capital is looked at so near to one


@dataclass(frozen=True, eq=False)
class Drawn:
    """Drawn curves as kernels take them.

    Parameters
    ----------
    family, origin, steps
        Of the curves.
    params : (n·D, PARAMS) float64
        The D draws of each instrument, one after the other.
    has_curve : (n,) bool
        Which instruments have curves.
    priority : (n,) float64
        Weights of their utilities.
    draws, threads : int
        D, and how many threads may run.
    """

    family: npt.NDArray[np.int8]
    origin: Floats
    steps: Floats
    params: Floats
    has_curve: npt.NDArray[np.bool_]
    priority: Floats
    draws: int
    threads: int

    @classmethod
    def of(cls, request: Request, threads: int | None) -> Drawn:
        """Take the draws of a request.

        Raises
        ------
        AllocationError
            If an instrument has a curve in some draws only.
        """
        n = len(request.curves)
        each = request.params.reshape(-1, n, PARAMS).transpose(1, 0, 2)
        known: npt.NDArray[np.bool_] = np.isfinite(each[..., 0])
        has_curve = np.asarray(known.all(axis=1))
        some = known.any(axis=1) & ~has_curve
        if some.any():
            i = int(np.flatnonzero(some)[0])
            d = int(np.flatnonzero(~known[i])[0])
            symbol = request.curves.symbols[i]
            message = f"params must give {symbol!r} a curve in all draws or in none, but there is none in draw {d}"
            raise AllocationError(message, arguments=("params",), indexes=((d, i),))
        family, _, origin, steps = request.curves._arrays()
        return cls(
            family, origin, steps, np.ascontiguousarray(each).reshape(-1, PARAMS), has_curve,
            request.setting("priority"), each.shape[1], parallel.checked_threads(threads, AllocationError),
        )  # fmt: skip

    def lines(self, which: npt.NDArray[np.int64], nodes: Floats, weights: Floats) -> tuple[Floats, Floats]:
        """Add up utilities along rows of capitals: (m, k − 1, 4) lines above, (m, k, 2) utility and marginal."""
        from escala.kernels import layout
        from escala.kernels.allocation import draws as kernels

        m, k = nodes.shape
        out = np.empty((m, (k - 1) * layout.drawn_line.END))
        at = np.empty((m, k * layout.drawn_node.END))
        given = (which, self.family, self.params, self.origin, self.steps, weights, nodes)
        self._run(lambda start, stop: kernels.lines(*given, out, at, start, stop), m, 1)
        return out.reshape(m, k - 1, layout.drawn_line.END), at.reshape(m, k, layout.drawn_node.END)

    def totals(self, amounts: Floats) -> Floats:
        """Give what amounts return in each draw, Σ w·C·η."""
        from escala.kernels.allocation import draws as kernels

        out = np.empty(self.draws)
        held = np.where(self.has_curve, amounts, 0.0)
        given = (self.family, self.params, self.origin, self.steps, self.priority, held)
        self._run(lambda start, stop: kernels.totals(*given, out, start, stop), self.draws, 256)
        return out

    def means(self, amounts: Floats, weights: Floats) -> tuple[Floats, Floats]:
        """Give weighted means of efficiency and marginal utility of each instrument, NaN without a curve."""
        which = np.flatnonzero(self.has_curve)
        held = amounts[which]
        # at 0 efficiency is what the smallest capital would have
        nodes = np.where(held > 0.0, held, np.finfo(np.float64).tiny)[:, None]
        efficiency, marginal = np.full(amounts.size, np.nan), np.full(amounts.size, np.nan)
        _, at = self.lines(which, nodes, weights)
        efficiency[which], marginal[which] = at[:, 0, 0] / nodes[:, 0], at[:, 0, 1]
        return efficiency, marginal

    def _run(self, part: Any, count: int, multiple: int) -> None:
        def make_part() -> parallel.Part:
            def work(start: int, stop: int) -> Iterator[None]:
                part(start, stop)
                yield

            return work

        chunk = parallel.chunk_size(count, self.threads, largest=max(count, 1), multiple=multiple)
        parallel.run(make_part, count, chunk=chunk, threads=self.threads)


@dataclass(frozen=True, eq=False)
class Ladders:
    """Concave functions as ladders, whose slopes are in [0, 1]: utilities with the cost of money taken off elsewhere.

    Parameters
    ----------
    curves : CurveSet
        (function + lift·C/priority)/scale, up to the largest capital of each.
    priority : (n,) float64
        Weights that belong to them: 1 in place of 0.
    lift : float
        Costs of a unit of money that make up for what was added, before the scale.
    scale : float
        What utilities were divided by.
    """

    curves: CurveSet
    priority: Floats
    lift: float
    scale: float


class Envelopes:
    """Concave functions above weighted sums of drawn utilities, one an instrument, that touch them at some capitals.

    Parameters
    ----------
    drawn : Drawn
        The curves.
    weights : (D,) float64
        Of the draws.
    largest : (n,) float64
        Most capital of each instrument; 0 or less: none.
    near : (n,) float64, optional
        Capitals about which the functions are wanted close.
    """

    def __init__(self, drawn: Drawn, weights: Floats, largest: Floats, near: Floats | None = None) -> None:
        self.drawn, self.weights, self.largest = drawn, weights, largest
        self.which = np.flatnonzero(drawn.has_curve & (largest > 0.0) & (drawn.priority > 0.0))
        most = largest[self.which, None]
        nodes = np.concatenate([np.zeros_like(most), most * 2.0 ** np.arange(-_HALVINGS, 1)], axis=1)
        if near is not None:
            about = np.clip(near[self.which, None] * np.array([0.98, 0.999, 1.0, 1.001, 1.02]), 0.0, most)
            nodes = np.sort(np.concatenate([nodes, about], axis=1), axis=1)
        lines, at = drawn.lines(self.which, nodes, weights)
        #: Of each instrument, its stretches in order.
        self.stretches: list[list[_Stretch]] = [
            [(row[k], row[k + 1], of[k]) for k in range(len(row) - 1) if row[k] < row[k + 1]]
            for row, of in zip(nodes.tolist(), lines, strict=True)
        ]
        values = zip(nodes.tolist(), at[..., 0].tolist(), strict=True)
        #: And its sums at the capitals that were looked at.
        self.known = [dict(zip(row, of, strict=True)) for row, of in values]

    def ladders(self, symbols: npt.NDArray[np.object_], trusted_to: Floats, *, falling: bool) -> Ladders:
        """Give the functions as ladders; `falling` wants them also behind their peaks."""
        n = self.largest.size
        knots: list[Any] = [[0.0]] * n
        slopes: list[Any] = [np.zeros(1)] * n
        for place, i in enumerate(self.which.tolist()):
            knots[i], slopes[i] = _hull(self.stretches[place], falling=falling)
        self.knots = knots
        priority = np.where(self.drawn.priority > 0.0, self.drawn.priority, 1.0)
        lift = max([0.0, *(-w * row[-1] for w, row in zip(priority.tolist(), slopes, strict=True))])
        lifted = [np.maximum(row + lift / w, 0.0) for w, row in zip(priority.tolist(), slopes, strict=True)]
        scale = max([1.0, *(float(row[0]) for row in lifted)])
        for i, row in enumerate(lifted):
            knots[i] = [*knots[i], max(2.0 * self.largest[i], 1.0)] if lift else knots[i]
            lifted[i] = np.append(row, 0.0) / scale if lift else row / scale
        ends = np.where(self.drawn.has_curve, trusted_to, 1.0)
        made = CurveSet.from_ladders(symbols.tolist(), knots, lifted, trusted_to=ends)
        return Ladders(made, priority, lift, scale)

    def utility(self, amounts: Floats) -> Floats:
        """Give the sums at amounts that were looked at, (n,)."""
        found = np.zeros(amounts.size)
        for place, i in enumerate(self.which.tolist()):
            found[i] = self.known[place].get(float(amounts[i]), np.nan)
        return found

    def look_about(self, amounts: Floats) -> bool:
        """Have the functions touch the sums at their corners about some amounts too; tells whether any was new."""
        before, behind = amounts.copy(), amounts.copy()
        for i in self.which.tolist():
            corners = np.asarray(self.knots[i])
            x = amounts[i]
            before[i] = corners[max(int(np.searchsorted(corners, x)) - 1, 0)]
            behind[i] = min(
                corners[min(int(np.searchsorted(corners, x, side="right")), corners.size - 1)], self.largest[i]
            )
        first = self.look_at(before)
        return self.look_at(behind) or first

    def look_at(self, amounts: Floats) -> bool:
        """Have the functions touch the sums at some amounts too; tells whether any was new."""
        rows, places = [], []
        for place, i in enumerate(self.which.tolist()):
            x = float(amounts[i])
            if x in self.known[place]:
                continue
            k = next(k for k, (_, end, _) in enumerate(self.stretches[place]) if x < end)
            begin, end, _ = self.stretches[place][k]
            rows.append((begin, x, end))
            places.append((place, k))
        if not rows:
            return False
        nodes = np.array(rows)
        lines, at = self.drawn.lines(self.which[[place for place, _ in places]], nodes, self.weights)
        is_new = False
        for row, (place, k) in enumerate(places):
            begin, x, end = rows[row]
            self.known[place][x] = float(at[row, 1, 0])
            if min(x - begin, end - x) > _CLOSE * self.largest[self.which[place]]:
                self.stretches[place][k : k + 1] = [(begin, x, lines[row, 0]), (x, end, lines[row, 1])]
                is_new = True
        return is_new


def _hull(stretches: list[_Stretch], *, falling: bool) -> tuple[list[float], Floats]:
    """Give knots and falling slopes of the smallest concave function from 0 above lines; else as far as it rises."""
    corners = [(0.0, 0.0)]
    for begin, end, (left, left_slope, right, right_slope) in stretches:
        width = end - begin
        points = [(begin, min(left, right - right_slope * width)), (end, min(right, left + left_slope * width))]
        if left_slope > right_slope:
            x = (right - right_slope * width - left) / (left_slope - right_slope)
            if 0.0 < x < width:
                points.insert(1, (begin + x, left + left_slope * x))
        for point in points:
            _add(corners, point)
    x, y = np.array(corners).T
    slopes = np.diff(y) / np.diff(x)
    if falling:
        return x[:-1].tolist(), slopes
    rising = int(np.count_nonzero(slopes > 0.0))
    return x[: rising + 1].tolist(), np.append(slopes[:rising], 0.0)


def _add(corners: list[tuple[float, float]], point: tuple[float, float]) -> None:
    """Add a point behind the corners of a concave function, and take out what then lies below it."""
    x, y = point
    if x <= corners[-1][0]:
        if y <= corners[-1][1] or len(corners) == 1:
            return
        x = corners.pop()[0]
    while len(corners) > 1:
        (x0, y0), (x1, y1) = corners[-2:]
        if (y1 - y0) * (x - x1) > (y - y1) * (x1 - x0):
            break
        corners.pop()
    corners.append((x, y))
