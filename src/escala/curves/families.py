"""The families of curves and how a fit may end, by name and code."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from escala.errors import CurveError

if TYPE_CHECKING:
    pass


class Family(IntEnum):
    """Codes of the curve families, as in :attr:`CurveSet.family`."""

    LINEAR = 0
    QUADRATIC = 1
    EXPONENTIAL = 2
    SQRT = 3


class FitStatus(IntEnum):
    """Codes in :attr:`CurveSet.status`."""

    #: A curve.
    OK = 0
    #: Fewer distinct capitals than the family has coefficients; there is no curve.
    TOO_FEW_POINTS = 1
    #: The records do not determine the coefficients (an exponential whose best rate lies on the border of the search,
    #: capitals that cannot be told apart); there is no curve.
    DEGENERATE = 2
    #: All efficiencies are equal: a horizontal line.
    CONSTANT = 3


COEFFICIENTS: Final = {Family.LINEAR: 2, Family.QUADRATIC: 3, Family.EXPONENTIAL: 3, Family.SQRT: 2}

_ALIASES: Final = {"polynomial": "quadratic"}


def family_code(name: str, *, also: Mapping[str, int] | None = None) -> int:
    """Translate a family's name into its code.

    Raises
    ------
    CurveError
        If there is no such family.
    """
    known = {family.name.lower(): int(family) for family in Family} | dict(also or {})
    code = known.get(_ALIASES.get(name, name)) if isinstance(name, str) else None
    if code is None:
        names = ", ".join([*known, *_ALIASES])
        raise CurveError(f"family must be one of {names}, not {name!r}", arguments=("family",))
    return code
