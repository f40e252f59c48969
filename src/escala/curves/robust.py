"""Weights of Student's t loss: records far off their curve, by what their neighbours are off, hardly count.

Least squares of weights w·(ν + 1)/(ν + t²), t = r/s with r the residual and s the scale of residuals at that capital,
repeated, maximise the likelihood of errors of Student's distribution with ν degrees of freedom. Each time the global
optimum of the weighted squares is found anew, so no step depends on where the one before ended but by its weights.

References
----------
Lange, K. L., Little, R. J. A. and Taylor, J. M. G. (1989), Robust statistical modeling using the t distribution,
Journal of the American Statistical Association 84, 881–896.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats

Integers = npt.NDArray[np.int64]

#: Degrees of freedom of the errors.
NU: Final = 4.0
#: Fits after the first.
ROUNDS: Final = 3
#: Neighbours by rank of capital whose residuals give the scale at it, and the fewest records that have one.
NEIGHBOURS: Final = 21
FEWEST: Final = 8
#: The median of sizes is this share of a normal standard deviation; a smaller scale is not told from rounding.
_MEDIAN: Final = 0.6744897501960817
_FLOOR: Final = 1e-5


def factors(offsets: Integers, capital: Floats, efficiency: Floats, weights: Floats, residual: Floats) -> Floats:
    """Give what each record's weight is multiplied by: at most (ν + 1)/ν; 1 for instruments without a curve or scale.

    Parameters
    ----------
    offsets : (n + 1,) int64
        Where each instrument's records begin.
    capital, efficiency, residual : (records,) float64
        `residual` is NaN without a curve.
    weights : (records,) or (0,) float64
        Those of 0 give no scale.
    """
    out = np.ones(residual.size)
    for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        there = np.arange(start, stop)
        if weights.size:
            there = there[weights[start:stop] > 0.0]
        if there.size < FEWEST or not np.isfinite(residual[there]).all():
            continue
        there = there[np.lexsort((efficiency[there], capital[there]))]
        t = residual[there] / _scale(np.abs(residual[there]))
        out[there] = (NU + 1.0) / (NU + t * t)
    return out


def _scale(sizes: Floats) -> Floats:
    """Give the median of sizes among neighbours, as a standard deviation; near the ends, of the same neighbours."""
    width = min(NEIGHBOURS, sizes.size)
    medians = np.median(np.lib.stride_tricks.sliding_window_view(sizes, width), axis=1)
    starts = np.clip(np.arange(sizes.size) - width // 2, 0, sizes.size - width)
    scale: Floats = np.maximum(medians[starts] / _MEDIAN, _FLOOR)
    return scale
