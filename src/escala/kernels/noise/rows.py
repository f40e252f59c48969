"""Rows of what is kept of the noise of a curve, and of the workspace of scores."""

from __future__ import annotations

from typing import Final

from escala.kernels.fitting.ladder_rows import MOST_COLUMNS, MOST_KNOTS, ladder_work_size
from escala.kernels.layout import ROOT, ladder_step, rows
from escala.kernels.noise.weights import NODES as PLACES

#: Parts of the points that refits leave out, one after the other.
FOLDS: Final = 5
#: Points a bin, and bins at most.
POINTS_PER_BIN, MOST_BINS = 16, 24
#: Bins and both ends of the data, in ln C and in ln c²: the width of an array of them.
BINS: Final = 2 * (MOST_BINS + 2)
#: Neighbours by rank whose scores make a window, and how many windows there are where there are more points than that.
WINDOW, WINDOWS = 100, 8
#: Rounds of least squares for level and depth noise.
ROUNDS: Final = 4
#: Variance below which noise is not told from rounding.
FLOOR: Final = 1e-10
#: Most of a point's leverage that counts.
MOST_LEVERAGE: Final = 1.0 - 1e-9

#: A block that no record is in.
NEVER: Final = 1 << 62

#: Numbers a curve.
noise = rows("level", "depth")
#: How many numbers of each kind a curve has.
kept = rows("scores", "bins", "windows", "forward")

#: The workspace: variance along capital, bins, the inverse root that refits use, what says that a ladder has no knots
#: given, its steps and those of its refit, and what its fit needs.
NODES: Final = 0
BIN: Final = NODES + PLACES
SCRATCH_ROOT: Final = BIN + BINS
NO_KNOTS: Final = SCRATCH_ROOT + ROOT
STEPS: Final = NO_KNOTS + 1
REFIT_PLACE: Final = ladder_step.END * MOST_KNOTS
LADDER: Final = STEPS + 2 * REFIT_PLACE
WORK_SIZE: Final = LADDER + ladder_work_size(MOST_COLUMNS)
#: Rows of one number a point: of all points, then of those alone that a curve is fitted to; the first four of what is
#: computed hold sums of groups before.
point = rows(
    "user", "x", "weight", "eta", "leverage", "left_out", "part_weight",
    "part_x", "part_y", "part_user", "residual", "slope", "variance",
)  # fmt: skip
#: Integers of each point: where its record lies, its group (−1 where there are none), its block in time, and its fold;
#: −1 for one that a curve is not fitted to.
tag = rows("place", "group", "block", "fold")
