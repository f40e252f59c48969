"""Rows of the workspace of fits: sixteen instruments side by side, so each row has sixteen values."""

from __future__ import annotations

import math
from typing import Any

from escala.kernels.fitting.ladder_rows import MOST_COLUMNS, ladder_work_size
from escala.kernels.layout import FAMILIES, rows

LANES = 16  # of eight, the compiler unrolls the loops over lanes before it could vectorise them
LANE_BITS = 4
#: Instruments of more points are dealt out over all lanes.
FOLD = 128
#: Points are padded to a multiple of this.
QUAD = 4
EDGE = 1e-9  # share of the range in which a minimum counts as lying on its end
EPSILON = 2.0**-52
NARROW = 16.0  # a quadratic is anchored where the smallest capital exceeds this many spans: its terms would cancel
ROOT_2 = math.sqrt(2.0)
LN_2 = math.log(2.0)
#: What holds a line or a root that must not leave [0, 1]: nothing, efficiency is 1 at 0, or it must not rise.
FREE, THROUGH_ONE, FALLING = 0.0, 1.0, 2.0

#: One point of each instrument: capital, weight, efficiency, then what families keep at each point.
pt = rows(
    "x", "w", "y", "s", "h", "u", "log", "g", "g_k", "g_s", "d", "d_d", "d_h", "p", "p_b", lanes=LANES
)  # fmt: skip
POINT = pt.END

#: The head of the workspace, sums first; `bounded` is 1 where efficiency must stay a fraction, as ``auto`` wants it.
head = rows(
    "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9",
    "n", "distinct", "flat", "bounded", "smallest", "largest", "span", "root0", "root_span", "weight",
    "mean_y", "rest_y", "mean_x", "syy", "sxx", "slope_x", "m2", "k2", "sqq", "slope_q", "sse_x",
    "family", "shift", "c0", "c1", "c2", "i0", "i1", "i2",
    "group_x", "group_w", "group_r", "group_0", "group_1", "group_2", "groups",
    "z", "e0", "e1", "e2", "p0", "p1", "p2",
    "squares", "differences", "seconds", "d00", "d01", "d02", "d11", "d12", "d22", "absolute", "worst",
    lanes=LANES,
)  # fmt: skip
#: Elements of the sums at the beginning of the head.
SUMS = head.N
#: Rows that each family may call its own, behind the head.
OWN_ROWS = 72
#: Rows behind them, which every family may use while it is being fitted.
SHARED = head.END + FAMILIES * OWN_ROWS * LANES
SHARED_ROWS = 372
#: Behind those the workspace of a ladder's fit, of one instrument at a time.
LADDER = SHARED + SHARED_ROWS * LANES
#: Behind that all rows once more, and points behind them: of one of the instruments, dealt out over all lanes.
ALONE = LADDER + -(-ladder_work_size(MOST_COLUMNS) // LANES) * LANES
HEAD = ALONE + LADDER + FOLD // LANES * POINT


def own_rows(family: int, *names: str) -> Any:
    """Name the rows that belong to a family; what is behind the last of them, ``END``, is the family's as well."""
    made = rows(*names, first=head.END + family * OWN_ROWS * LANES, lanes=LANES)
    if len(names) > OWN_ROWS:
        raise ValueError(f"a family has {OWN_ROWS} rows of its own, not {len(names)}")
    return made


def work_size(most_points: int) -> int:
    """Count the float64 elements of `work` for instruments of at most so many points."""
    rows = most_points if most_points <= FOLD else max(FOLD, -(-most_points // LANES))
    return HEAD + (rows + QUAD) * POINT
