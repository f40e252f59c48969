"""What a fit hands over of one instrument."""

from __future__ import annotations

import math

from escala.kernels.families import dispatch, ladder
from escala.kernels.fitting.choose import aicc, rounding_floor
from escala.kernels.fitting.moments import inverse_root
from escala.kernels.fitting.residuals import write_residuals
from escala.kernels.fitting.rows import head
from escala.kernels.jit import Codes, Floats, Integers, helper
from escala.kernels.layout import families
from escala.kernels.layout import fit_stats as f
from escala.kernels.layout import fit_status as st
from escala.kernels.layout import root as r


@helper
def _fill(out: Floats, value: float) -> None:
    for j in range(out.size):
        out[j] = value


@helper
def write(
    work: Floats,
    lane: int,
    i: int,
    family: Codes,
    status: Codes,
    n_points: Integers,
    n_steps: Integers,
    params: Floats,
    origin: Floats,
    root: Floats,
    covariance: Floats,
    stats: Floats,
) -> None:
    """Write the chosen curve, how sure it is and how well it fits; NaN where there is none."""
    chosen = int(work[head.FAMILY + lane])
    result = dispatch.status(chosen, work, lane)
    if result == st.OK and not dispatch.is_determined(chosen, work, lane):
        result = st.DEGENERATE
    family[i] = chosen
    status[i] = result
    n_points[i] = int(work[head.N + lane])
    n_steps[i] = 0
    n = work[head.WEIGHT + lane]
    df_resid = n - dispatch.count(chosen, work, lane)
    if result not in (st.OK, st.CONSTANT):
        _fill(params, math.nan)
        _fill(root, math.nan)
        _fill(covariance, math.nan)
        _fill(stats, math.nan)
        origin[0] = 0.0
        stats[f.DF_RESID] = 0.0
        if n > 0.0:
            stats[f.SMALLEST], stats[f.LARGEST] = work[head.SMALLEST + lane], work[head.LARGEST + lane]
        return
    stats[f.SMALLEST], stats[f.LARGEST] = work[head.SMALLEST + lane], work[head.LARGEST + lane]
    _fill(params, 0.0)
    _fill(root, 0.0)
    _fill(covariance, 0.0)
    origin[0] = 0.0
    root[r.I0] = inverse_root(dispatch.norms(chosen, work, lane)[0])
    n_steps[i] = ladder.count_steps(work, lane) if chosen == families.LADDER else 0
    stats[f.TRUSTED_TO] = dispatch.write(chosen, work, lane, params, origin, root)
    error = dispatch.squared_error(chosen, work, lane)
    determined = df_resid > 0.0
    stats[f.RESIDUAL_SD] = math.sqrt(error / df_resid) if determined else math.nan
    stats[f.DF_RESID] = df_resid if determined else 0.0
    stats[f.R_SQUARED] = 1.0 - error / work[head.SYY + lane] if result == st.OK else 0.0
    stats[f.RMSE] = math.sqrt(error / n)
    stats[f.AICC] = aicc(work, lane, chosen)
    dispatch.write_covariance(chosen, params, root, stats[f.RESIDUAL_SD] * stats[f.RESIDUAL_SD], covariance)
    if result == st.CONSTANT:
        stats[f.MEAN_ERROR] = stats[f.MAX_ERROR] = 0.0
        stats[f.NEUMANN] = stats[f.NEUMANN_MEAN] = stats[f.NEUMANN_VARIANCE] = math.nan
    elif chosen == families.LADDER:
        ladder.write_residuals(work, lane, rounding_floor(work, lane), stats)
    else:
        write_residuals(work, lane, stats)
