"""Sums over points, the line over capital, and what makes its square orthogonal to it."""

from __future__ import annotations

import math

from escala.kernels.fitting.rows import LANES, POINT, SUMS, head, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import fit_status
from escala.kernels.special import log


@helper
def zero(work: Floats) -> None:
    """Begin sums."""
    for k in range(SUMS):
        work[k] = 0.0


@helper
def share(work: Floats) -> None:
    """Give every lane the sum over all lanes: they hold one instrument's partial sums."""
    for row in range(0, SUMS, LANES):
        total = work[row]
        for lane in range(1, LANES):
            total += work[row + lane]
        for lane in range(LANES):
            work[row + lane] = total


@helper
def prepare_logarithms(work: Floats, points: Floats, rows: int) -> None:
    """Take the logarithms of capitals over the smallest: a power of two in the currency changes no bit."""
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            at[pt.LOG + lane] = log(at[pt.X + lane] / work[head.SMALLEST + lane])


@routine
def fit_lines(work: Floats, points: Floats, rows: int, folded: bool) -> None:
    """Centre the efficiencies; the line over x, and what makes x² orthogonal to x and 1."""
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w = at[pt.W + lane]
            work[head.T0 + lane] += w * at[pt.Y + lane]
            work[head.T1 + lane] += w * at[pt.X + lane]
    if folded:
        share(work)
    for lane in range(LANES):
        weight = work[head.WEIGHT + lane]
        constant = work[head.MEAN_Y + lane]
        mean = work[head.T0 + lane] / weight
        work[head.MEAN_Y + lane] = constant if work[head.FLAT + lane] > 0.0 else mean
        work[head.MEAN_X + lane] = work[head.T1 + lane] / weight
    # Efficiencies that hardly differ lose digits to the rounding of their mean; their centred mean has them.
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            y = at[pt.Y + lane] - work[head.MEAN_Y + lane]
            at[pt.Y + lane] = y
            work[head.T0 + lane] += at[pt.W + lane] * y
    if folded:
        share(work)
    for lane in range(LANES):
        rest = work[head.T0 + lane] / work[head.WEIGHT + lane]
        work[head.REST_Y + lane] = rest
        work[head.MEAN_Y + lane] += rest
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w = at[pt.W + lane]
            y = at[pt.Y + lane] - work[head.REST_Y + lane]
            dx = at[pt.X + lane] - work[head.MEAN_X + lane]
            at[pt.Y + lane] = y
            wdx = w * dx
            work[head.T0 + lane] += w * y * y
            work[head.T1 + lane] += wdx * dx
            work[head.T2 + lane] += wdx * y
            work[head.T3 + lane] += wdx * dx * dx
    if folded:
        share(work)
    for lane in range(LANES):
        work[head.SYY + lane] = work[head.T0 + lane]
        work[head.SXX + lane] = work[head.T1 + lane]
        work[head.SLOPE_X + lane] = work[head.T2 + lane] / work[head.T1 + lane]
        work[head.M2 + lane] = work[head.T1 + lane] / work[head.WEIGHT + lane]
        work[head.K2 + lane] = work[head.T3 + lane] / work[head.T1 + lane]
    zero(work)
    for i in range(rows):
        at = points[i * POINT : (i + 1) * POINT]
        for lane in range(LANES):
            w = at[pt.W + lane]
            y = at[pt.Y + lane]
            dx = at[pt.X + lane] - work[head.MEAN_X + lane]
            q = dx * dx - work[head.M2 + lane] - work[head.K2 + lane] * dx
            wq = w * q
            r = y - work[head.SLOPE_X + lane] * dx
            work[head.T0 + lane] += wq * q
            work[head.T1 + lane] += wq * y
            work[head.T2 + lane] += w * r * r
    if folded:
        share(work)
    for lane in range(LANES):
        work[head.SQQ + lane] = work[head.T0 + lane]
        work[head.SLOPE_Q + lane] = work[head.T1 + lane] / work[head.T0 + lane]
        work[head.SSE_X + lane] = work[head.T2 + lane]


@helper
def inverse_root(squared: float) -> float:
    """Give 1/√squared, 0 for what is not there."""
    return 1.0 / math.sqrt(squared) if squared > 0.0 else 0.0


@helper
def line_status(work: Floats, lane: int) -> int:
    """Status of a fit that has a solution: that of a horizontal line is apart."""
    return fit_status.CONSTANT if work[head.FLAT + lane] > 0.0 else fit_status.OK
