"""Utilities of drawn curves, added up: lines that no mean of them exceeds, and what each draw returns in all.

Between two capitals every drawn utility lies below two lines: from its left end with the highest slope that it has
between them, and from its right end with the lowest (where it is concave these are its tangents), or below its chord
where it is convex. Weighted sums of the left and of the right lines are two lines again, and the weighted sum of the
utilities lies below both, and touches them at the ends. Where a weight is negative both change places: the utility
lies above the lines with the lowest slope from the left and the highest from the right, or above its chord where it is
concave.
"""

from __future__ import annotations

from escala.kernels.families import dispatch
from escala.kernels.families.params import Params, of_row
from escala.kernels.families.shapes import CONCAVE, CONVEX, CONVEX_FIRST, RISING_AGAIN
from escala.kernels.jit import (
    Codes,
    Floats,
    Integers,
    codes_in,
    float_rows_in,
    float_rows_out,
    floats_in,
    floats_out,
    helper,
    integer,
    integers_in,
    kernel,
)
from escala.kernels.layout import drawn_line as line
from escala.kernels.layout import drawn_node as of_node


@helper
def _unit(eta: float) -> float:
    """Efficiency as it counts."""
    value = eta if eta > 0.0 else 0.0
    return value if value < 1.0 else 1.0


@helper
def _slope(eta: float, marginal: float) -> float:
    """Marginal utility as it counts."""
    value = marginal if eta > 0.0 else 0.0
    return value if eta <= 1.0 else 1.0


@helper
def _is_concave(shape: int, turn: float, x0: float, x1: float) -> bool:
    if shape == CONCAVE:
        return True
    if shape == CONVEX:
        return False
    return x0 >= turn if shape == CONVEX_FIRST else x1 <= turn


@helper
def _is_convex(shape: int, turn: float, x0: float, x1: float) -> bool:
    if shape == CONVEX:
        return True
    if shape == CONCAVE:
        return False
    return x1 <= turn if shape == CONVEX_FIRST else x0 >= turn


@helper
def _least_and_most(
    concave: bool, bends: bool, dips: bool, inner: float, top: float, e0: float, e1: float, m0: float, m1: float
) -> tuple[float, float]:
    """The range of the slopes of a utility between two capitals; `inner` is that at its inflection, if it bends there.

    Slopes are between those of both ends and of the inflection, and 0 and 1 where efficiency counts as such. Behind an
    end with an efficiency of 1 or more no slope is above 1 but for those that follow, before one none is below 1 but
    for those that come before.
    """
    first = 1.0 if e0 >= 1.0 else m0
    last = 1.0 if e1 >= 1.0 else m1
    most, least = first, last
    if not concave:
        most = m1 if m1 > most else most
        least = m0 if m0 < least else least
    if bends:
        least = inner if inner < least else least
        most = inner if inner > most else most
    if (e0 <= 0.0) | (e1 <= 0.0) | (bends & dips):
        least = least if least < 0.0 else 0.0
        most = most if most > 0.0 else 0.0
    if (e0 >= 1.0) | (e1 >= 1.0) | (top >= 1.0):
        least = least if least < 1.0 else 1.0
        most = most if most > 1.0 else 1.0
    return least, most


@helper
def _is_straight(
    weight: float, concave: bool, convex: bool, dips: bool, top: float, e0: float, e1: float
) -> bool:  # fmt: skip
    """Whether the chord of a utility will do: it lies above where the weight is positive, else below."""
    if (e0 >= 1.0) & (e1 >= 1.0) & (not dips):
        return True
    if (e0 <= 0.0) & (e1 <= 0.0) & (top <= 0.0):
        return True
    if weight < 0.0:
        return concave & (e0 > 0.0) & (e1 > 0.0)
    return convex & (e0 <= 1.0) & (e1 <= 1.0)


@helper
def _row(
    family: int, params: Floats, origin: float, steps: Floats, weights: Floats, first: int, nodes: Floats, out: Floats,
    at_nodes: Floats,
) -> None:  # fmt: skip
    """All draws of one instrument along its nodes."""
    for j in range(out.size):
        out[j] = 0.0
    for j in range(at_nodes.size):
        at_nodes[j] = 0.0
    for d in range(weights.size):
        p = of_row(params[first + d])
        weight = weights[d]
        shape, turn, peak = _bends(family, p, origin)
        x0 = nodes[0]
        e0, m0 = dispatch.value_and_marginal(family, p, origin, steps, x0)
        at_nodes[of_node.UTILITY] += weight * (x0 * _unit(e0))
        at_nodes[of_node.MARGINAL] += weight * _slope(e0, m0)
        for j in range(1, nodes.size):
            x1 = nodes[j]
            if x1 > x0:
                e1, m1 = dispatch.value_and_marginal(family, p, origin, steps, x1)
                u0, u1 = x0 * _unit(e0), x1 * _unit(e1)
                concave = _is_concave(shape, turn, x0, x1)
                convex = _is_convex(shape, turn, x0, x1)
                bends = not (concave | convex)
                inner = dispatch.marginal(family, p, origin, steps, turn) if bends else m0
                top = dispatch.value(family, p, origin, steps, peak) if (x0 < peak) & (peak < x1) else e0
                dips = shape == RISING_AGAIN
                least, most = _least_and_most(concave, bends, dips, inner, top, e0, e1, m0, m1)
                if weight < 0.0:
                    least, most = most, least
                straight = _is_straight(weight, concave, convex, dips, top, e0, e1)
                if straight:
                    least = most = (u1 - u0) / (x1 - x0)
                at = (j - 1) * line.END
                out[at + line.LEFT] += weight * u0
                out[at + line.LEFT_SLOPE] += weight * most
                out[at + line.RIGHT] += weight * u1
                out[at + line.RIGHT_SLOPE] += weight * least
                x0, e0, m0 = x1, e1, m1
            at_nodes[j * of_node.END + of_node.UTILITY] += weight * (x0 * _unit(e0))
            at_nodes[j * of_node.END + of_node.MARGINAL] += weight * _slope(e0, m0)


@helper
def _bends(family: int, p: Params, origin: float) -> tuple[int, float, float]:
    return dispatch.shape(family, p), dispatch.inflection(family, p, origin), dispatch.peak(family, p, origin)


@kernel(
    integers_in,
    codes_in,
    float_rows_in,
    floats_in,
    floats_in,
    floats_in,
    float_rows_in,
    float_rows_out,
    float_rows_out,
    integer,
    integer,
)
def lines(
    which: Integers,
    family: Codes,
    params: Floats,
    origin: Floats,
    steps: Floats,
    weights: Floats,
    nodes: Floats,
    out: Floats,
    at_nodes: Floats,
    start: int,
    stop: int,
) -> None:
    """Add up drawn utilities of rows of capitals: lines above them between two, utility and marginal at each.

    Parameters
    ----------
    which : (m,) int64
        The instrument of each row.
    family, origin : (n,)
    params : (n·D, PARAMS) float64
        The D draws of each instrument, one after the other.
    steps : float64
        Of ladders, at their places.
    weights : (D,) float64
        Of the draws.
    nodes : (m, k) float64
        Capitals that do not fall; where one comes again there is no line.
    out : (m, (k − 1)·drawn_line.END) float64
        Output: of each stretch the left line's value at its left end and slope, the right line's at its right end.
    at_nodes : (m, k·drawn_node.END) float64
        Output: the weighted sums themselves.
    start, stop : int
        Range of rows.
    """
    draws = weights.size
    for row in range(start, stop):
        i = which[row]
        _row(family[i], params, origin[i], steps, weights, i * draws, nodes[row], out[row], at_nodes[row])


@kernel(
    codes_in,
    float_rows_in,
    floats_in,
    floats_in,
    floats_in,
    floats_in,
    floats_out,
    integer,
    integer,
)
def totals(
    family: Codes,
    params: Floats,
    origin: Floats,
    steps: Floats,
    priority: Floats,
    amounts: Floats,
    out: Floats,
    start: int,
    stop: int,
) -> None:
    """Add up what amounts return in each draw: Σ w·C·η, over the instruments in their order.

    Parameters
    ----------
    family, params, origin, steps
        As in :func:`lines`.
    priority, amounts : (n,) float64
    out : (D,) float64
        Output.
    start, stop : int
        Range of draws.
    """
    draws = out.size
    for d in range(start, stop):
        out[d] = 0.0
    for i in range(amounts.size):
        x = amounts[i]
        if (x > 0.0) & (priority[i] > 0.0):
            for d in range(start, stop):
                p = of_row(params[i * draws + d])
                eta = dispatch.value(family[i], p, origin[i], steps, x)
                out[d] += priority[i] * (x * _unit(eta))
