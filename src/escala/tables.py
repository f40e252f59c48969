"""Every named quantity of the package, once: its name, what it may be, its default, its unit and what it says.

Fields of a strategy, arguments, outputs, statistics of fits, limits of allocations, and the codes of families, statuses
and reasons are rows here. The border checks what they may be, kernels have a row of an array for each (by
:mod:`escala.kernels.layout`), results, files, the store, the C header and the documentation their names. Dataclasses
write their fields out, for readers and type checkers; a test holds them against these tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Interval:
    """The values an argument may take."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False
    integer: bool = False
    or_zero: bool = False

    def has(self, value: float) -> bool:
        """Tell quickly that a single number is allowed; False may also mean that this cannot tell."""
        inside = self.low < value < self.high
        edge = (value == self.low and not self.low_open) or (value == self.high and not self.high_open)
        return not self.integer and (inside or edge)

    def contains(self, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Tell for each value whether it is allowed; NaN never is."""
        above = values > self.low if self.low_open else values >= self.low
        below = values < self.high if self.high_open else values <= self.high
        inside = above & below
        if self.integer:
            inside &= np.equal(values, np.floor(values))
        if self.or_zero:
            inside |= values == 0.0
        return inside

    def holds_all(self, values: npt.NDArray[Any]) -> bool:
        """Tell quickly, by the extremes, that all values are allowed; False may also mean that this cannot tell."""
        if self.integer or values.size == 0:
            return False
        extremes = np.array([values.min(), values.max()])  # NaN if there is one
        return bool(self.contains(extremes).all()) and (extremes[0] > 0.0 or not self.or_zero)

    def __str__(self) -> str:
        shown = int if self.integer else float
        low, high = (f"{shown(bound):g}" if abs(bound) < 1e6 else repr(shown(bound)) for bound in (self.low, self.high))
        interval = f"{'(' if self.low_open else '['}{low}, {high}{')' if self.high_open else ']'}"
        return f"{'an integer ' if self.integer else ''}{'0 or ' if self.or_zero else ''}in {interval}"


@dataclass(frozen=True)
class Quantity:
    """One named number: a field, an argument, an output or a statistic.

    Parameters
    ----------
    name : str
        As people write it.
    doc : str
        What it says, in a line.
    unit : str
        ``amount`` (the unit of account), ``fraction``, ``ratio``, ``count``, ``seconds``, … or nothing.
    values : Interval
        What it may be; of an output, what it can be.
    default : float, optional
        None where one must be given, and for outputs.
    """

    name: str
    doc: str
    unit: str = ""
    values: Interval = Interval(-math.inf, math.inf)
    default: float | None = None

    @property
    def c_type(self) -> str:
        """Type in C: whole numbers that are computed are integers, everything that is given is a double."""
        return "int64_t" if self.values.integer and self.default is None else "double"


@dataclass(frozen=True)
class Code:
    """One named integer: a family, a status, a reason. The numbers are kept in files and in C: they never change."""

    name: str
    value: int
    doc: str


@dataclass(frozen=True)
class Form(Code):
    """A family of curves: the form that efficiency takes over capital.

    Parameters
    ----------
    coefficients : tuple of Quantity
        What its coefficients are and may be, in their order: a, b, c, … of a curve.
    aliases : tuple of str
        Other names that people may write.
    auto : bool
        Whether ``auto`` considers it.
    anchored : bool
        Whether it counts capital from the curve's origin; the others have the origin 0.
    """

    coefficients: tuple[Quantity, ...] = ()
    aliases: tuple[str, ...] = ()
    auto: bool = False
    anchored: bool = False

    @property
    def least_capitals(self) -> int:
        """Distinct capitals that a fit needs: as many as there are coefficients."""
        return len(self.coefficients)

    @property
    def least_points(self) -> int:
        """Points (of equal weight) from which on ``auto`` considers it: those that its AICc is defined for."""
        return len(self.coefficients) + 2


Table = tuple[Quantity, ...]
Codes = tuple[Code, ...]


def names(rows: Iterable[Quantity | Code]) -> tuple[str, ...]:
    """Give the names of a table's rows, in their order."""
    return tuple(row.name for row in rows)


def intervals(rows: Iterable[Quantity]) -> dict[str, Interval]:
    """Give what each quantity of a table may be, by name."""
    return {row.name: row.values for row in rows}


FRACTION: Final = Interval(0.0, 1.0)
POSITIVE_FRACTION: Final = Interval(0.0, 1.0, low_open=True)
BELOW_ONE: Final = Interval(0.0, 1.0, high_open=True)
INSIDE_ONE: Final = Interval(0.0, 1.0, low_open=True, high_open=True)
FINITE: Final = Interval(-np.inf, np.inf, low_open=True, high_open=True)
FROM_ZERO: Final = Interval(0.0, np.inf)
FINITE_FROM_ZERO: Final = Interval(0.0, np.inf, high_open=True)
POSITIVE: Final = Interval(0.0, np.inf, low_open=True, high_open=True)

#: Coefficients that a curve has room for: the width of every array of them. Those that a family does not use are 0.
PARAMS: Final = 4
#: Names of the coefficients, whatever they mean in a family.
COEFFICIENTS: Final = tuple("abcd"[:PARAMS])

#: Families of curves. Codes have room: the next family takes the next number below those of the wishes.
FAMILIES: Final = (
    Form(
        "linear", 0, "a·C + b",
        (Quantity("a", "slope", values=FINITE), Quantity("b", "efficiency at 0", values=FINITE)),
        auto=True,
    ),
    Form(
        "quadratic", 1, "(a·d + b)·d + c, d = C − origin",
        (
            Quantity("a", "bend", values=FINITE),
            Quantity("b", "slope at the origin", values=FINITE),
            Quantity("c", "efficiency at the origin", values=FINITE),
        ),
        aliases=("polynomial",), auto=True, anchored=True,
    ),
    Form(
        "exponential", 2, "a·exp(−b·d) + c, d = C − origin, b > 0",
        (
            Quantity("a", "what decays, at the origin", values=FINITE),
            Quantity("b", "rate of decay a unit of capital", values=POSITIVE),
            Quantity("c", "efficiency far out", values=FINITE),
        ),
        auto=True, anchored=True,
    ),
    Form(
        "sqrt", 3, "a·√C + b",
        (Quantity("a", "slope over √C", values=FINITE), Quantity("b", "efficiency at 0", values=FINITE)),
        auto=True,
    ),
    Form(
        "hill", 4, "a·x^(s − 1)/(1 + x^s), x = C/K; b is K and c is s",
        (
            Quantity("a", "efficiency far below K where s is 1; at most what makes the highest efficiency 1",
                     values=Interval(0.0, 2.0)),
            Quantity("b", "K, the capital at which utility is half of what it can be", "amount", POSITIVE),
            Quantity("c", "s, how S-shaped utility is; 1: concave", values=Interval(1.0, 20.0)),
        ),
    ),
)  # fmt: skip

#: What may be asked for in place of a family; never the family of a curve.
WISHES: Final = (Code("auto", 64, "the family of lowest AICc"),)

#: How a fit may end.
FIT_STATUS: Final = (
    Code("ok", 0, "a curve"),
    Code("too_few_points", 1, "fewer distinct capitals than the family has coefficients; there is no curve"),
    Code("degenerate", 2, "the records do not determine the coefficients; there is no curve"),
    Code("constant", 3, "all efficiencies are equal: a horizontal line"),
)

#: What a fit says beside the curve: one number an instrument each, in this order in kernels and in C.
FIT_STATS: Final = (
    Quantity("smallest", "smallest capital seen", "amount", FROM_ZERO),
    Quantity("largest", "largest capital seen", "amount", FROM_ZERO),
    Quantity("limit", "where trust in the curve ends", "amount", FROM_ZERO),
    Quantity("residual_sd", "√(SSE/df_resid)", "fraction", FROM_ZERO),
    Quantity("df_resid", "degrees of freedom left: n_eff − coefficients; 0 where there is none", "count", FROM_ZERO),
    Quantity("r_squared", "1 − SSE/SST; 0 where all efficiencies are equal"),
    Quantity("mean_error", "(weighted) mean absolute residual", "fraction", FROM_ZERO),
    Quantity("max_error", "largest absolute residual", "fraction", FROM_ZERO),
    Quantity("rmse", "root of the mean squared residual", "fraction", FROM_ZERO),
    Quantity("aicc", "corrected Akaike criterion"),
    Quantity("neumann", "Von Neumann's ratio of the residuals in order of capital", "ratio", FROM_ZERO),
    Quantity("neumann_mean", "its mean by chance", "ratio", FROM_ZERO),
    Quantity("neumann_variance", "its variance by chance", "", FROM_ZERO),
)

#: Where a curve saturates: see :class:`escala.curves.prediction.Saturation`.
LIMITS: Final = (
    Quantity("peak", "smallest capital with the highest efficiency", "amount", FROM_ZERO),
    Quantity("saturation", "where the given share of the highest efficiency is lost", "amount", FROM_ZERO),
    Quantity("saturation_low", "lower end of its interval", "amount", FROM_ZERO),
    Quantity("saturation_high", "upper end of its interval", "amount", FROM_ZERO),
    Quantity("capacity", "where capital times efficiency is highest", "amount", FROM_ZERO),
    Quantity("capacity_low", "lower end of its interval", "amount", FROM_ZERO),
    Quantity("capacity_high", "upper end of its interval", "amount", FROM_ZERO),
)
