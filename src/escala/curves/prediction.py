"""What curves say at given capitals, and where they saturate."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.files import table as table_file
from escala.tables import LIMITS, names
from escala.text import html
from escala.text.numerals import capital, counted
from escala.text.visible import in_line

if TYPE_CHECKING:
    import pandas

_SHOWN: Final = 3  # symbols that a note lists
_ROUNDING: Final = 1e-12
_PREDICTED: Final = ("efficiency", "low", "high", "confidence", "marginal", "marginal_low", "marginal_high")


@dataclass(frozen=True, eq=False, repr=False)
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
    symbols : (n,) object array of str
        The instrument of each curve.
    capital : float64
        As asked for, in the shape of `efficiency`.
    method : (n,) object array of str
        How the interval of each curve came about: ``"conformal"`` or ``"forward"`` by scores of points that were left
        out, ``"student"`` by the residual standard deviation, ``"none"``: nothing is known.
    enough : (n,) bool
        Whether what is known is enough for the level; where not, the interval is [0, 1].
    points : (n,) int64
        Scores that the interval of each curve goes by.
    """

    efficiency: Floats
    low: Floats
    high: Floats
    confidence: Floats
    extrapolated: npt.NDArray[np.bool_]
    level: float
    tolerance: Floats
    symbols: npt.NDArray[np.object_]
    capital: Floats
    method: npt.NDArray[np.object_]
    enough: npt.NDArray[np.bool_]
    points: npt.NDArray[np.int64]
    _marginals: Callable[[], tuple[Floats, Floats, Floats]]

    def __len__(self) -> int:
        return int(self.efficiency.size)

    @property
    def marginal(self) -> Floats:
        """What the next unit of capital returns, U′ (float64)."""
        return self._marginal_and_ends[0]

    @property
    def marginal_low(self) -> Floats:
        """Low end of the interval of U′ by the curve's own error, in [0, 1] (float64); of ladders too narrow."""
        return self._marginal_and_ends[1]

    @property
    def marginal_high(self) -> Floats:
        """High end of the interval of U′ (float64)."""
        return self._marginal_and_ends[2]

    @functools.cached_property
    def _marginal_and_ends(self) -> tuple[Floats, Floats, Floats]:
        return self._marginals()

    @property
    def note(self) -> str:
        """Say which curves' scores are too few for the level, so that their interval is [0, 1]; else nothing.

        Examples
        --------
        >>> import numpy as np
        >>> from escala import fit
        >>> capital = np.geomspace(1e3, 1e6, 60)
        >>> curves = fit(["A"], [capital], [0.99 - 1e-8 * capital + 1e-3 * np.sin(capital)], family="depth")
        >>> curves.predict(1e5, level=0.99).note
        'an interval of level 0.99 needs 99 scores, and A has 60: theirs is [0, 1]'
        """
        short = np.flatnonzero((self.points > 0) & ~self.enough)
        if short.size == 0:
            return ""
        names = [f"{in_line(self.symbols[i])} has {self.points[i]:,}" for i in short[:_SHOWN]]
        more = f" and {short.size - _SHOWN:,} more have fewer" if short.size > _SHOWN else ""
        least = math.ceil(self.level / (1.0 - self.level) * (1.0 - _ROUNDING))
        needs = f"an interval of level {self.level:g} needs {least:,} scores"
        return f"{needs}, and {', '.join(names)}{more}: theirs is [0, 1]"

    def __repr__(self) -> str:
        """Say in a line what was predicted."""
        many = counted(len(self), "point")
        if len(self) == 1:
            shown = [float(column.reshape(-1)[0]) for column in (self.capital, self.efficiency, self.low, self.high)]
            at, efficiency, low, high = shown
            note = f"; {self.note}" if self.note else ""
            shown_ends = f"{efficiency:.4f}, {low:.4f} to {high:.4f}"
            return f"<Prediction of {in_line(self.symbols[0])} at {capital(at)}: {shown_ends}{note}>"
        outside = int(self.extrapolated.sum())
        beyond = f", {outside:,} extrapolated" if outside else ""
        note = f"; {self.note}" if self.note else ""
        return f"<Prediction of {many} of {counted(self.symbols.size, 'curve')}{beyond}{note}>"

    def _repr_html_(self) -> str:
        """Show the first points as a table in a notebook."""
        return html.table(self.to_dict(), repr(self))

    def to_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Give every column by name, one entry a point: all of the first curve, then those of the next."""
        points = len(self) // max(self.symbols.size, 1)
        columns: dict[str, npt.NDArray[Any]] = {"symbol": np.repeat(self.symbols, points)}
        columns["capital"] = self.capital.reshape(-1)
        return columns | {name: getattr(self, name).reshape(-1) for name in (*_PREDICTED, "extrapolated")}

    def to_dataframe(self) -> pandas.DataFrame:
        """Give one row a point, one column a number.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return table_file.dataframe(self.to_dict())


@dataclass(frozen=True, eq=False, repr=False)
class Saturation:
    """Where curves have lost efficiency and where more capital returns no more; arrays of shape (n,).

    Attributes
    ----------
    peak : float64
        Smallest capital in [0, trusted_to] with the highest efficiency.
    saturation : float64
        Smallest capital from there on with an efficiency of at most (1 − drop) times the highest.
    capacity : float64
        Capital in [0, trusted_to] at which capital × efficiency has its first peak.
    ceiling : float64
        What capital × efficiency rises to before it first falls: its value at `capacity`, or what it tends to without
        ever falling (depth: a·D; ladder: at its last knot, if nothing comes behind it); inf where nothing bounds it.
        Exponentials and quadratics, which are only fitted by name, may rise above it again behind their first peak.
    saturation_low, saturation_high, capacity_low, capacity_high : float64
        Confidence intervals of level 0.90. NaN for curves without data; 0 and inf where no degree of freedom is left.
    drop : float64
        As asked for.
    symbols : object array of str
        The instrument of each curve.

    Notes
    -----
    inf always means "not within the limit": nothing is clamped. NaN means that there is no curve. The intervals hold
    every capital that the data cannot tell from the saturation or capacity (Fieller's method): they are not symmetric,
    and one that ends with inf says that the data bound it on one side only. Those of ladders are too narrow: they know
    nothing of where a fit has its steps, and hold 55 to 80 % of true saturations.
    """

    peak: Floats
    saturation: Floats
    saturation_low: Floats
    saturation_high: Floats
    capacity: Floats
    capacity_low: Floats
    capacity_high: Floats
    ceiling: Floats
    drop: Floats
    symbols: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return int(self.symbols.size)

    def __repr__(self) -> str:
        """Say in a line where the curves saturate, or how many do."""
        if len(self) == 1:
            ends = f"saturation {capital(float(self.saturation[0]))}, capacity {capital(float(self.capacity[0]))}"
            return f"<Saturation of {in_line(self.symbols[0])}: {ends}>"
        ends = f"{int(np.isfinite(self.saturation).sum()):,} saturate within their limit"
        return f"<Saturation of {counted(len(self), 'curve')}: {ends}>"

    def _repr_html_(self) -> str:
        """Show the first curves as a table in a notebook."""
        return html.table(self.to_dict(), repr(self))

    def to_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Give every column by name, one entry a curve."""
        return {"symbol": self.symbols} | {name: getattr(self, name) for name in (*names(LIMITS), "drop")}

    def to_dataframe(self) -> pandas.DataFrame:
        """Give one row a curve, one column a number.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        return table_file.dataframe(self.to_dict())
