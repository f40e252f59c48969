"""Rows of the workspace of a depth's fit, and the bounds of its search."""

from __future__ import annotations

import math

from escala.kernels.fitting.rows import LANES, SHARED, own_rows
from escala.kernels.layout import families, rows

SOFTEST, SHARPEST = 1.0 / 20.0, 200.0  # of h
LOG_SOFTEST, LOG_SHARPEST = math.log(SOFTEST), math.log(SHARPEST)
#: ln D, C in smallest capitals, is searched between these; the second is added to the logarithm of the largest.
LOWEST, HIGHEST_BEYOND = -60.0, 14.0
FAR_OUT = 12.0  # beyond the largest capital, in ln D: there is no depth in the records

own = own_rows(
    families.DEPTH,
    "top", "yy", "try_d", "try_h", "try_a", "free_a", "h", "inverse", "held",
    "head_w", "head_y", "tail_rr", "tail_ry", "low_error", "low_d", "step", "knee_error", "knee_d",
    "log_d", "log_h", "error", "kept_a", "g_d", "g_h", "h_dd", "h_dh", "h_hh", "plain_dd", "plain_dh", "plain_hh",
    "damping", "moved", "steps", "turns", "starts", "start_error", "start", "again", "active", "looks", "left",
    "best_d", "best_h", "best_error", "best_held",
    "n0", "n1", "n2", "m1", "m2", "r_dd", "r_dh", "r_hh", "ratio", "sse", "status",
)  # fmt: skip

#: Sharpnesses of which the lowest error is found: from 1/12 on, each twice the one before.
SHARPNESSES = 11
SOFTEST_SCANNED = 1.0 / 12.0
LN_2 = math.log(2.0)
LOG_SOFTEST_SCANNED = math.log(SOFTEST_SCANNED)
#: Lowest error of a sharpness, and the ln D that has it.
profile = rows("error", "d", first=SHARED, lanes=LANES)
PROFILE = profile.END - SHARED
