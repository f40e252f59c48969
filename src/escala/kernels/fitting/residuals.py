"""Residuals in order of capital: their size, and whether they follow a pattern."""

from __future__ import annotations

import math

from escala.kernels.families import dispatch
from escala.kernels.fitting.choose import rounding_floor
from escala.kernels.fitting.moments import inverse_root
from escala.kernels.fitting.rows import LANE_BITS, LANES, POINT, head, pt
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import fit_stats as f


@helper
def prepare_residuals(work: Floats, lane: int, family: int) -> None:
    """Put what residuals need of the chosen fit into rows."""
    c1, c2 = dispatch.solution(family, work, lane)
    norm0, norm1, norm2 = dispatch.norms(family, work, lane)
    work[head.FAMILY + lane] = family
    work[head.SHIFT + lane], work[head.C0 + lane] = dispatch.level(family, work, lane)
    work[head.C1 + lane], work[head.C2 + lane] = c1, c2
    work[head.I0 + lane] = inverse_root(norm0)
    work[head.I1 + lane], work[head.I2 + lane] = inverse_root(norm1), inverse_root(norm2)


@helper
def _follow(work: Floats, points: Floats, at: int, lane: int, constant: bool) -> None:
    """Take one point, in order of capital, into the sums over residuals and over neighbouring residuals.

    Points of one capital count by their mean: a group is closed when the capital changes. A point of weight 0 closes
    the last one. All is selected, nothing branches, so that lanes run side by side.
    """
    w, y = points[at + pt.W], points[at + pt.Y]
    x = points[at + pt.X] if w > 0.0 else 2.0
    zeroth, first, second = dispatch.basis_at(work[head.FAMILY + lane], constant, work, points, at, lane)
    r = y if constant else y - work[head.SHIFT + lane] - work[head.C0 + lane] * zeroth
    r = r - work[head.C1 + lane] * first - work[head.C2 + lane] * second
    absolute = w * abs(r)
    absolute = absolute if w > 0.0 else 0.0
    distance = abs(r) if w > 0.0 else 0.0
    work[head.ABSOLUTE + lane] += absolute
    worst = work[head.WORST + lane]
    work[head.WORST + lane] = distance if distance > worst else worst

    group_w, group_r, group_x = work[head.GROUP_W + lane], work[head.GROUP_R + lane], work[head.GROUP_X + lane]
    groups = work[head.GROUPS + lane]
    changes = x != group_x
    closes = changes & (group_x >= 0.0)
    inner = closes & (groups > 0.0)
    scale = math.sqrt(group_w)
    z, e0, e1, e2 = work[head.Z + lane], work[head.E0 + lane], work[head.E1 + lane], work[head.E2 + lane]
    p0, p1, p2 = work[head.P0 + lane], work[head.P1 + lane], work[head.P2 + lane]
    new_z = group_r / scale
    new_0 = (scale if constant else scale * work[head.GROUP_0 + lane]) * work[head.I0 + lane]
    new_1 = scale * work[head.GROUP_1 + lane] * work[head.I1 + lane]
    new_2 = scale * work[head.GROUP_2 + lane] * work[head.I2 + lane]
    dz, t0, t1, t2 = new_z - z, new_0 - e0, new_1 - e1, new_2 - e2
    turn = (p0 - t0) * (p0 - t0) + (p1 - t1) * (p1 - t1) + (p2 - t2) * (p2 - t2)
    work[head.SQUARES + lane] += new_z * new_z if closes else 0.0
    work[head.DIFFERENCES + lane] += dz * dz if inner else 0.0
    work[head.SECONDS + lane] += turn if inner else 0.0
    work[head.D00 + lane] += t0 * t0 if inner else 0.0
    work[head.D01 + lane] += t0 * t1 if inner else 0.0
    work[head.D02 + lane] += t0 * t2 if inner else 0.0
    work[head.D11 + lane] += t1 * t1 if inner else 0.0
    work[head.D12 + lane] += t1 * t2 if inner else 0.0
    work[head.D22 + lane] += t2 * t2 if inner else 0.0
    work[head.P0 + lane] = t0 if inner else p0
    work[head.P1 + lane] = t1 if inner else p1
    work[head.P2 + lane] = t2 if inner else p2
    work[head.Z + lane] = new_z if closes else z
    work[head.E0 + lane] = new_0 if closes else e0
    work[head.E1 + lane] = new_1 if closes else e1
    work[head.E2 + lane] = new_2 if closes else e2
    work[head.GROUPS + lane] = groups + 1.0 if closes else groups
    work[head.GROUP_X + lane] = x
    work[head.GROUP_W + lane] = w if changes else group_w + w
    work[head.GROUP_R + lane] = w * r if changes else group_r + w * r
    if not constant:
        work[head.GROUP_0 + lane] = zeroth
    work[head.GROUP_1 + lane] = first
    work[head.GROUP_2 + lane] = second


@helper
def _follow_points(work: Floats, points: Floats, rows: int, folded: bool, constant: bool) -> None:
    if folded:
        first = 0
        for i in range(int(work[head.N]) + 1):
            _follow(work, points, (i >> LANE_BITS) * POINT + (i & (LANES - 1)), first, constant)
    else:
        for i in range(rows + 1):
            for lane in range(LANES):
                _follow(work, points, i * POINT + lane, lane, constant)


@routine
def follow_all(work: Floats, points: Floats, rows: int, folded: bool, constant: bool) -> None:
    """Take all points into the sums over residuals; `constant` as :func:`dispatch.has_constant` says."""
    for k in range(head.GROUP_X, head.END):
        work[k] = 0.0
    for lane in range(LANES):
        work[head.GROUP_X + lane] = -1.0
    if constant:  # decided when this is compiled, not at every point
        _follow_points(work, points, rows, folded, True)
    else:
        _follow_points(work, points, rows, folded, False)


@helper
def write_residuals(work: Floats, lane: int, stats: Floats) -> None:
    """Mean and largest absolute residual, and the von Neumann ratio of the residuals in order of capital.

    The ratio, squared differences of neighbours over squares, is small where residuals follow a pattern. Its mean and
    variance for independent errors are exact (Durbin and Watson).
    """
    groups = work[head.GROUPS + lane]
    p = 0.0  # coefficients that no bound holds: those take a direction from the residuals
    for row in (head.I0, head.I1, head.I2):
        p += 1.0 if work[row + lane] > 0.0 else 0.0
    p0, p1, p2 = work[head.P0 + lane], work[head.P1 + lane], work[head.P2 + lane]
    d00, d11, d22 = work[head.D00 + lane], work[head.D11 + lane], work[head.D22 + lane]
    d01, d02, d12 = work[head.D01 + lane], work[head.D02 + lane], work[head.D12 + lane]
    seconds = work[head.SECONDS + lane] + (p0 * p0 + p1 * p1 + p2 * p2)
    stats[f.MEAN_ERROR] = work[head.ABSOLUTE + lane] / work[head.WEIGHT + lane]
    stats[f.MAX_ERROR] = work[head.WORST + lane]
    stats[f.NEUMANN] = stats[f.NEUMANN_MEAN] = stats[f.NEUMANN_VARIANCE] = math.nan
    df_resid = groups - p
    if df_resid >= 2.0:
        trace = 2.0 * (groups - 1.0) - (d00 + d11 + d22)
        cross = d00 * d00 + d11 * d11 + d22 * d22 + 2.0 * (d01 * d01 + d02 * d02 + d12 * d12)
        trace_2 = (6.0 * groups - 8.0) - 2.0 * seconds + cross
        rounding = work[head.SQUARES + lane] <= 64.0 * rounding_floor(work, lane)
        stats[f.NEUMANN] = math.inf if rounding else work[head.DIFFERENCES + lane] / work[head.SQUARES + lane]
        stats[f.NEUMANN_MEAN] = trace / df_resid
        stats[f.NEUMANN_VARIANCE] = (
            2.0 * (df_resid * trace_2 - trace * trace) / (df_resid * df_resid * (df_resid + 2.0))
        )
