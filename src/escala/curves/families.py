"""The families of curves and how a fit may end, by name and code."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from escala.errors import CurveError
from escala.tables import COEFFICIENTS, FAMILIES, FINITE, PARAMS, POSITIVE, WISHES, Form


class Family(IntEnum):
    """Codes of the curve families, as in :attr:`CurveSet.family`."""

    LINEAR = 0
    QUADRATIC = 1
    EXPONENTIAL = 2
    SQRT = 3
    HILL = 4
    DEPTH = 5
    POWER = 6
    LADDER = 7


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


#: What each family is, by its code.
FORMS: Final[Mapping[int, Form]] = {form.value: form for form in FAMILIES}

#: The power of the unit of capital that each coefficient is in, by the code of the family.
_POWERS: Final = np.zeros((1 + max(FORMS), PARAMS))
for _code, _form in FORMS.items():
    _POWERS[_code, : len(_form.powers)] = _form.powers
_ALIASES: Final = {alias: form.name for form in FAMILIES for alias in form.aliases}
#: Share of 1 by which a highest efficiency may exceed it.
ROUNDING: Final = 1e-9
_CODES: Final = {family.name.lower(): int(family) for family in Family}
_WISHED: Final = _CODES | {wish.name: wish.value for wish in WISHES}


def family_code(name: str, *, wish: bool = False) -> int:
    """Translate a family's name into its code; a wish may also be one of those that end with a family, as ``auto``.

    Raises
    ------
    CurveError
        If there is no such family.
    """
    known = _WISHED if wish else _CODES
    code = known.get(_ALIASES.get(name, name)) if isinstance(name, str) else None
    if code is None:
        names = ", ".join([*known, *_ALIASES])
        raise CurveError(f"family must be one of {names}, not {name!r}", arguments=("family",))
    return code


def forbidden_coefficients(values: npt.NDArray[np.float64], family: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """Tell which coefficients, of shape (…, n, 4), their families of shape (n,) do not allow; NaN is none of them."""
    wrong = np.zeros(values.shape, dtype=np.bool_)
    for code, form in FORMS.items():
        of_form = family == code
        for place, coefficient in enumerate(form.coefficients):
            given = values[..., place]
            wrong[..., place] |= of_form & ~coefficient.values.contains(given) & ~np.isnan(given)
    too_high = values[..., 0] > most_amplitude(values[..., 2]) * (1.0 + ROUNDING)
    wrong[..., 0] |= (family == Family.HILL) & too_high & ~wrong[..., 2]
    return wrong


def most_amplitude(s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the largest a of a hill curve of each s, with which its highest efficiency is 1."""
    with np.errstate(invalid="ignore", divide="ignore"):
        most: npt.NDArray[np.float64] = s / np.power(np.maximum(s - 1.0, 0.0), (s - 1.0) / s)
    return most


def in_units(
    params: npt.NDArray[np.float64], family: npt.NDArray[np.int8], worth: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Give coefficients, (n, 4), where capital is counted in other units: one of the old is `worth`, (n,), new ones."""
    changed: npt.NDArray[np.float64] = params * np.power(worth[:, None], _POWERS[family])
    return changed


def coefficient_rule(code: int, place: int) -> str:
    """Say what a family allows a coefficient to be."""
    form = FORMS[code]
    allowed = form.coefficients[place].values
    article = "an" if form.name[0] in "aeiou" else "a"
    rule = "positive" if allowed == POSITIVE else str(allowed)
    if code in (Family.HILL, Family.LADDER) and place == 0:
        rule = "at least 0, with a highest efficiency of at most 1"
    if code == Family.LADDER and place == COEFFICIENTS.index("c"):
        rule = "the number of its steps"
    return f"{COEFFICIENTS[place]} of {article} {form.name} must be {rule}"


def coefficient_rules() -> str:
    """Say what all families together allow, beside finite numbers."""
    places = ((code, place) for code, form in FORMS.items() for place in range(len(form.coefficients)))
    return "; ".join(
        coefficient_rule(code, place) for code, place in places if FORMS[code].coefficients[place].values != FINITE
    )


def widest(family: npt.NDArray[np.int8]) -> int:
    """Count the coefficients of the family that has most."""
    return max((len(FORMS[int(code)].coefficients) for code in np.unique(family)), default=1)
