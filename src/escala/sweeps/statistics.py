"""What is known of one output over all scenarios of a sweep."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class OutputStatistics:
    """One output over all scenarios of a sweep.

    Attributes
    ----------
    finite : int
        Scenarios in which it is a finite number.
    mean, standard_deviation : float
        Over those, the latter with n − 1; NaN where there are none, or one.
    lowest, highest : float
        Extremes, infinities included.
    """

    finite: int
    mean: float
    standard_deviation: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, finite: float, mean: float, squares: float, lowest: float, highest: float) -> OutputStatistics:
        """Make them of a count, a mean, a sum of squared deviations, and extremes."""
        spread = math.sqrt(squares / (finite - 1.0)) if finite > 1.0 else math.nan
        return cls(int(finite), mean if finite else math.nan, spread, lowest, highest)
