"""The family of lowest AICc."""

from __future__ import annotations

import math

from escala.kernels.families import dispatch, linear, sqrt
from escala.kernels.fitting.rows import EPSILON, NARROW, head
from escala.kernels.jit import Floats, helper
from escala.kernels.layout import CHOICES, LEAST_FOR_AUTO, families
from escala.kernels.layout import fit_status as st
from escala.kernels.special import log

TIE = 1e-9  # differences of AICc that count as none
#: What a ladder's AICc counts less in the choice: its slopes cannot follow noise as free coefficients could.
LADDER_LESS = 10.0


@helper
def rounding_floor(work: Floats, lane: int) -> float:
    """Squared error that rounding alone may leave: of the efficiencies and, on narrow ranges, of the capitals."""
    n = work[head.WEIGHT + lane]
    mean = work[head.MEAN_Y + lane]
    squares = work[head.SYY + lane] + n * mean * mean
    narrow = work[head.LARGEST + lane] / work[head.SPAN + lane]
    if narrow > NARROW:
        squares += work[head.SYY + lane] * narrow * narrow
    return n * EPSILON * EPSILON * squares


@helper
def aicc(work: Floats, lane: int, family: int) -> float:
    """Corrected Akaike criterion; NaN where too few points leave it undefined."""
    n = work[head.WEIGHT + lane]
    p = dispatch.count(family, work, lane)
    if n - p - 1.0 <= 0.0:
        return math.nan
    error = max(dispatch.squared_error(family, work, lane), rounding_floor(work, lane))
    if not error > 0.0:
        return -math.inf
    return n * log(error / n) + 2.0 * p + 2.0 * p * (p + 1.0) / (n - p - 1.0)


@helper
def choose(work: Floats, lane: int) -> int:
    """Lowest AICc among the families that may be chosen; of two that are as good, the first."""
    chosen = -1
    best = math.inf
    for family in CHOICES:
        if work[head.DISTINCT + lane] < LEAST_FOR_AUTO[family] or dispatch.status(family, work, lane) != st.OK:
            continue
        if work[head.WEIGHT + lane] < dispatch.count(family, work, lane) + 2.0:
            continue
        criterion = aicc(work, lane, family) - (LADDER_LESS if family == families.LADDER else 0.0)
        if chosen < 0 or criterion < best - TIE:
            chosen = family
            best = criterion
    if chosen >= 0:
        return chosen
    noise = 64.0 * rounding_floor(work, lane)
    line = max(linear.squared_error(work, lane), noise)
    root = max(sqrt.squared_error(work, lane), noise)
    better = work[head.FLAT + lane] == 0.0 and root < line * (1.0 - TIE)
    return families.SQRT if better and sqrt.status(work, lane) == st.OK else families.LINEAR
