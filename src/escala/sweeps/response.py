"""How an output depends on one input: means over bins of it, in rows of a sweep that were kept whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats

BINS: Final = 32  # of an input


@dataclass(frozen=True)
class Response:
    """Means of an output over bins of an input.

    Attributes
    ----------
    centre : (b,) float
        Mean of the input in each bin.
    mean : (b,) float
        Mean of the output there.
    count : (b,) int
        Rows of the sample there.
    index : float
        First-order sensitivity index: the share of the output's variance that the input alone explains.
    """

    centre: Floats
    mean: Floats
    count: npt.NDArray[np.int64]
    index: float


@dataclass(frozen=True)
class Binned:
    """An input of the sample, and the bin of each of its values."""

    values: Floats
    place: npt.NDArray[np.intp]


def binned(x: Floats) -> Binned:
    """Find bins of an input: one a value while there are few, else bins of equal numbers."""
    in_order = np.sort(x)
    first = np.concatenate([[True], in_order[1:] != in_order[:-1]])
    if np.count_nonzero(first) <= BINS:
        return Binned(x, np.searchsorted(in_order[first], x))
    cuts = np.unique(in_order[np.arange(1, BINS) * x.size // BINS])
    return Binned(x, np.searchsorted(cuts, x, side="right"))


def response(x: Binned, y: Floats) -> Response:
    """Give the means of an output over the bins of an input; rows in which it is not finite are left out."""
    finite = np.isfinite(y)
    place, values, y = x.place[finite], x.values[finite], y[finite]
    if y.size == 0:
        nothing = np.empty(0)
        return Response(nothing, nothing, np.empty(0, dtype=np.int64), math.nan)
    count = np.bincount(place)
    used = count > 0
    count = count[used]
    # Differences from the mean, so that sums of squares lose nothing to cancellation; by way of one of the values, so
    # that they are exactly zero where all of them are equal.
    rest = y - y[0]
    shift = rest.mean()
    rest -= shift
    sums = np.bincount(place, rest)[used]
    whole = float((rest * rest).sum())  # not by BLAS, whose order of summation is its own
    between = float((sums * sums / count).sum())
    degrees = y.size - count.size
    chance = (count.size - 1) * max(0.0, whole - between) / degrees if degrees > 0 else 0.0
    index = max(0.0, between - chance) / whole if whole > 0.0 else math.nan
    return Response(np.bincount(place, values)[used] / count, y[0] + (shift + sums / count), count, index)
