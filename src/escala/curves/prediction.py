"""What curves say at given capitals, and where they saturate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    pass
from escala.arrays import Floats


@dataclass(frozen=True, eq=False)
class Prediction:
    """What new observations at some capital will be; arrays of the shape that :meth:`CurveSet.efficiency` gives.

    Attributes
    ----------
    efficiency : float64
        The curve, clipped to [0, 1]; NaN without a curve.
    low, high : float64
        Prediction interval for one new observation, clipped to [0, 1]; 0 and 1 where nothing is known.
    confidence : float64
        Probability that a new observation lies within ± `tolerance` of `efficiency`; 0 where nothing is known.
    extrapolated : bool
        Whether the capital lies outside the observed ones.
    level : float
        As asked for.
    tolerance : (n,) float64
        As asked for.
    """

    efficiency: Floats
    low: Floats
    high: Floats
    confidence: Floats
    extrapolated: npt.NDArray[np.bool_]
    level: float
    tolerance: Floats


@dataclass(frozen=True, eq=False)
class Saturation:
    """Where curves have lost efficiency and where more capital returns no more; arrays of shape (n,).

    Attributes
    ----------
    peak : float64
        Smallest capital in [0, limit] with the highest efficiency.
    saturation : float64
        Smallest capital from there on with an efficiency of at most (1 − drop) times the highest.
    capacity : float64
        Capital in [0, limit] at which capital × efficiency is highest.
    saturation_low, saturation_high, capacity_low, capacity_high : float64
        Confidence intervals of level 0.90. NaN for curves without data; 0 and inf where no degree of freedom is left.
    drop : float64
        As asked for.

    Notes
    -----
    inf always means "not within the limit": nothing is clamped. NaN means that there is no curve. The intervals hold
    every capital that the data cannot tell from the saturation or capacity (Fieller's method): they are not symmetric,
    and one that ends with inf says that the data bound it on one side only.
    """

    peak: Floats
    saturation: Floats
    saturation_low: Floats
    saturation_high: Floats
    capacity: Floats
    capacity_low: Floats
    capacity_high: Floats
    drop: Floats
