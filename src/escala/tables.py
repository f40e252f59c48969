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

#: Settings of a whole system, as a store keeps them; beside them stands the family of curves.
SYSTEM_SETTINGS: Final[Table] = (
    Quantity("min_efficiency", "least efficiency of capital", "fraction", FRACTION, 0.5),
    Quantity("rebalance_threshold", "drift from which on trading is worth it", "fraction", FINITE_FROM_ZERO, 0.1),
    Quantity("update_interval", "time between two trainings", "seconds", POSITIVE, 86400.0),
    Quantity("reserve", "share of the total that stays out", "fraction", BELOW_ONE, 0.05),
    Quantity("min_ticket", "least capital of an instrument that holds any", "amount", FINITE_FROM_ZERO, 0.0),
    Quantity("max_share", "most capital of an instrument as a share of the total", "fraction", FRACTION, 0.5),
)

#: Settings of one symbol, as a store keeps them; None leaves them to those of the system.
SYMBOL_SETTINGS: Final[Table] = (
    Quantity("lower", "least capital", "amount", FINITE_FROM_ZERO),
    Quantity("upper", "most capital", "amount", FROM_ZERO),
    Quantity("min_ticket", "least capital, if it holds any", "amount", FINITE_FROM_ZERO),
    Quantity("max_share", "most capital as a share of the total", "fraction", FRACTION),
    Quantity("priority", "weight of its utility", "ratio", FINITE_FROM_ZERO),
)

#: How an engine works.
ENGINE_SETTINGS: Final[Table] = (
    Quantity("level", "share of new observations in a prediction's interval", "fraction", INSIDE_ONE, 0.95),
    Quantity("tolerance", "distance that a prediction's confidence is of", "fraction", FINITE_FROM_ZERO, 0.05),
    Quantity("drop", "share of the peak efficiency that is lost at saturation", "fraction", POSITIVE_FRACTION, 0.10),
    Quantity("half_life", "age at which a record counts half; without it all count alike", "seconds", POSITIVE),
    Quantity("refresh_interval", "time after which other processes are seen", "seconds", FINITE_FROM_ZERO, 5.0),
    Quantity("cache_size", "predictions that are remembered", "count", Interval(0, 2.0**53, integer=True), 100_000),
)
