"""Records at a glance: whether they are within bounds, and the most that one of them returned."""

from __future__ import annotations

import math

from escala.kernels.jit import Floats, Integers, floats_in, floats_out, integer, integers_in, integers_out, kernel
from escala.kernels.layout import rows

#: What records may be: both ends belong to it.
bound = rows("least_capital", "most_capital", "least_efficiency", "most_efficiency")


@kernel(integers_in, floats_in, floats_in, floats_in, floats_in, floats_out, integers_out, integer, integer)
def survey(
    offsets: Integers,
    capital: Floats,
    efficiency: Floats,
    weight: Floats,
    bounds: Floats,
    returned: Floats,
    outside: Integers,
    start: int,
    stop: int,
) -> None:
    """Look through the records of the instruments ``start <= i < stop``.

    Parameters
    ----------
    offsets : (n + 1,) int64
        Where the records of each begin.
    capital, efficiency : (records,) float64
    weight : (records,) or (0,) float64
        A record without weight counts as one that returned nothing; empty means 1 for all.
    bounds : (bound.END,) float64
        What capital and efficiency may be.
    returned : (n,) float64
        Output: the most that a record returned, capital · efficiency; NaN without records.
    outside : (n,) int64
        Output: records that are not within the bounds; NaN is not.
    """
    least, most = bounds[bound.LEAST_CAPITAL], bounds[bound.MOST_CAPITAL]
    low, high = bounds[bound.LEAST_EFFICIENCY], bounds[bound.MOST_EFFICIENCY]
    for i in range(start, stop):
        begin, end = offsets[i], offsets[i + 1]
        best = -math.inf if end > begin else math.nan
        wrong = 0
        for k in range(begin, end):
            c, y = capital[k], efficiency[k]
            wrong += 0 if (c >= least) & (c <= most) & (y >= low) & (y <= high) else 1
            utility = c * y if weight.size == 0 or weight[k] > 0.0 else 0.0
            best = utility if utility > best else best
        returned[i] = best
        outside[i] = wrong
