"""Covariance that counts groups of records, not records: those of one sweep, order or day are not independent.

V = f·(XᵀWX)⁻¹·(Σ_g s_g·s_gᵀ)·(XᵀWX)⁻¹ with s_g = Σ_{i in g} w_i·r_i·x_i and f = G/(G − 1)·(n − 1)/(n − p). It is
written back as an inverse root of three orthogonal functions, a form that any covariance of three coefficients has:
with U the old root, V = U·M·Uᵀ, and M = LLᵀ with L upper triangular makes U·L one of the same form.

References
----------
Liang, K.-Y. and Zeger, S. L. (1986), Biometrika 73, 13–22. Cameron, A. C. and Miller, D. L. (2015), A practitioner's
guide to cluster-robust inference, Journal of Human Resources 50, 317–372.
"""

from __future__ import annotations

import math

from escala.kernels.families import dispatch
from escala.kernels.families.params import Params
from escala.kernels.jit import Floats, Integers, helper, routine
from escala.kernels.layout import fit_stats as f
from escala.kernels.layout import root as r
from escala.kernels.noise.refit import coordinates

#: Rows of numbers of a group.
PULLS = 4

Six = tuple[float, float, float, float, float, float]


@helper
def _over(x: float, y: float) -> float:
    return x / y if y > 0.0 else 0.0


@routine
def _upper_factor(m: Six) -> Six:
    """Factor a symmetric matrix (00, 01, 02, 11, 12, 22) as L·Lᵀ, L upper triangular."""
    m00, m01, m02, m11, m12, m22 = m
    l22 = math.sqrt(max(m22, 0.0))
    l12, l02 = _over(m12, l22), _over(m02, l22)
    l11 = math.sqrt(max(m11 - l12 * l12, 0.0))
    l01 = _over(m01 - l02 * l12, l11)
    l00 = math.sqrt(max(m00 - l01 * l01 - l02 * l02, 0.0))
    return l00, l01, l02, l11, l12, l22


@routine
def _multiply(root: Floats, factor: Six) -> None:
    """Multiply an inverse root by an upper triangular matrix, in place."""
    l00, l01, l02, l11, l12, l22 = factor
    i0, i1, i2 = root[r.I0], root[r.I1], root[r.I2]
    u01, u02, u12 = -i1 * root[r.M1], i2 * (root[r.K] * root[r.M1] - root[r.M2]), -i2 * root[r.K]
    v01 = i0 * l01 + u01 * l11
    v02 = i0 * l02 + u01 * l12 + u02 * l22
    v11, v12, v22 = i1 * l11, i1 * l12 + u12 * l22, i2 * l22
    root[r.I0], root[r.I1], root[r.I2] = i0 * l00, v11, v22
    root[r.M1] = -v01 / v11 if v11 > 0.0 else 0.0
    root[r.K] = -v12 / v22 if v22 > 0.0 else 0.0
    root[r.M2] = root[r.K] * root[r.M1] - (v02 / v22 if v22 > 0.0 else 0.0)


@routine
def _spread(
    family: int,
    p: Params,
    origin: float,
    steps: Floats,
    root: Floats,
    points: Floats,
    groups: Integers,
    residual_sd: float,
    df_resid: float,
    pulls: Floats,
) -> int:
    """Make an inverse root that of a covariance over groups; returns how many groups there are.

    Nothing changes where there is one group, or no residual.
    """
    for g in range(pulls.shape[1]):
        pulls[0, g] = pulls[1, g] = pulls[2, g] = pulls[3, g] = 0.0
    a0 = a1 = a2 = total = 0.0
    for i in range(groups.size):
        c, y, w = points[3 * i], points[3 * i + 1], points[3 * i + 2]
        pull = w * (y - dispatch.value(family, p, origin, steps, c))
        f0, f1, f2 = dispatch.basis(family, p, origin, steps, c)
        e0, e1, e2 = coordinates(root, False, f0, f1, f2)
        g = groups[i]
        pulls[0, g] += pull * e0
        pulls[1, g] += pull * e1
        pulls[2, g] += pull * e2
        pulls[3, g] += 1.0
        total += w
        a0 += w * e0 * e0
        a1 += w * e1 * e1
        a2 += w * e2 * e2
    count = 0
    m00 = m01 = m02 = m11 = m12 = m22 = 0.0
    for g in range(pulls.shape[1]):
        if pulls[3, g] > 0.0:
            count += 1
            s0, s1, s2 = pulls[0, g], pulls[1, g], pulls[2, g]
            m00 += s0 * s0
            m01 += s0 * s1
            m02 += s0 * s2
            m11 += s1 * s1
            m12 += s1 * s2
            m22 += s2 * s2
    if count < 2 or not (residual_sd > 0.0 and df_resid > 0.0):
        return count
    # Lengths differ from 1 where a root stands for more coefficients than it has functions.
    z0, z1, z2 = math.sqrt(a0), math.sqrt(a1), math.sqrt(a2)
    small = count / (count - 1.0) * ((total - 1.0) / df_resid) / (residual_sd * residual_sd)
    factor = _upper_factor((
        small * _over(m00, a0), small * _over(m01, z0 * z1), small * _over(m02, z0 * z2),
        small * _over(m11, a1), small * _over(m12, z1 * z2), small * _over(m22, a2),
    ))  # fmt: skip
    _multiply(root, factor)
    return count


@routine
def widen(
    family: int,
    p: Params,
    origin: float,
    steps: Floats,
    points: Floats,
    groups: Integers,
    params: Floats,
    root: Floats,
    covariance: Floats,
    stats: Floats,
    pulls: Floats,
) -> None:
    """Make the errors of a fit those of its groups: its inverse root, its covariance and its degrees of freedom.

    Parameters
    ----------
    points : (3·n,) float64
        Capital, efficiency and weight of each point, the weights those of the fit.
    groups : (n,) int64
        At least 0 and below m.
    params, root, covariance, stats
        What the fit wrote of this curve; all but the first change.
    pulls : (PULLS, m) float64
        Work: what a group's points pull at the coefficients with, and how many they are.
    """
    residual_sd = stats[f.RESIDUAL_SD]
    count = _spread(family, p, origin, steps, root, points, groups, residual_sd, stats[f.DF_RESID], pulls)
    stats[f.DF_RESID] = min(stats[f.DF_RESID], count - 1.0)
    if count < 2:  # one group says nothing of how groups differ
        for k in range(covariance.size):
            covariance[k] = math.nan
        return
    dispatch.write_covariance(family, params, root, residual_sd * residual_sd, covariance)
