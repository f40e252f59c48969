"""Names for the rows of packed arrays and workspaces, made from :mod:`escala.tables`: no position is a bare number.

Each set of rows is a namespace of integers, ``r.NAME``; to the compiler they are constants, as literals are.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any, Final

from escala import tables


def rows(*names: str, first: int = 0, lanes: int = 1) -> Any:
    """Name consecutive rows, of `lanes` elements each, from `first` on.

    Parameters
    ----------
    names : str
        In the order of the rows; their upper-case forms are the attributes.
    first, lanes : int
        Where the first row begins, and how many elements a row has.

    Returns
    -------
    module
        An integer for each name, and ``END``: where the rows end, which no row may be called.
    """
    made = ModuleType("rows")
    for place, name in enumerate(names):
        attribute = name.upper()
        if attribute == "END" or hasattr(made, attribute):
            raise ValueError(f"a row cannot be called {name!r}: there is one already")
        setattr(made, attribute, first + place * lanes)
    made.END = first + len(names) * lanes  # type: ignore[attr-defined]
    return made


def of(table: Iterable[Any], *, first: int = 0, lanes: int = 1) -> Any:
    """Name the rows that a table of :mod:`escala.tables` has."""
    return rows(*(row.name for row in table), first=first, lanes=lanes)


def codes(table: Iterable[Any]) -> Any:
    """Name the codes of a table: upper-case names are the attributes."""
    made = ModuleType("codes")
    for row in table:
        setattr(made, row.name.upper(), row.value)
    return made


#: Coefficients of a curve, and squared: the widths of arrays of them and of their covariance.
PARAMS: Final = tables.PARAMS
COVARIANCE: Final = PARAMS * PARAMS
#: Places of a curve's coefficients.
coefficients = of(tables.Quantity(name, "") for name in tables.COEFFICIENTS)

families = codes((*tables.FAMILIES, *tables.WISHES))
#: One more than the largest code of a family.
FAMILIES: Final = 1 + max(row.value for row in tables.FAMILIES)
#: How many coefficients the family of each code has; 0 for a code that none has.
COUNTS: Final = tuple(
    float(sum(len(row.coefficients) for row in tables.FAMILIES if row.value == code)) for code in range(FAMILIES)
)
#: The families that ``auto`` chooses from: of two that are as good, the first.
CHOICES: Final = tuple(
    row.value for row in sorted(tables.FAMILIES, key=lambda row: (len(row.coefficients), row.value)) if row.auto
)

fit_status = codes(tables.FIT_STATUS)
fit_stats = of(tables.FIT_STATS)
FIT_STATS: Final = len(tables.FIT_STATS)
limits = of(tables.LIMITS)
#: Columns of the inverse root of a fit's normal matrix: see :mod:`escala.kernels.curves.basis`.
root = rows("i0", "m1", "i1", "m2", "k", "i2")
ROOT: Final = root.END
#: Columns of the covariance of a curve's coefficients.
covariance = rows(*(first + second for first in tables.COEFFICIENTS for second in tables.COEFFICIENTS))
#: The kind of a curve in an allocation is its family, but exponentials that rise with capital are apart.
RISING: Final = FAMILIES
KINDS: Final = FAMILIES + 1
