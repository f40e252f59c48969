"""How much of its value a trade keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from escala import tables
from escala.arrays import FloatLike, Floats, check_interval, to_floats
from escala.curves.curveset import CurveSet
from escala.curves.families import FitStatus
from escala.errors import MarketError
from escala.tables import COEFFICIENTS, FRACTION, Interval

_FORMS: Final = tables.code_values((*tables.DEPTHS, *tables.FAMILIES))
_RESERVE: Final = Interval(1e-30, 1e30)


@dataclass(frozen=True, eq=False)
class Depth:
    """What trading a value v keeps of it: η(v), clipped to [0, 1]. Made by its class methods.

    Attributes
    ----------
    form : array of int
        Codes of ``flat``, ``constant_product`` or a family of curves.
    a, b, c, d, origin : array
        What describes it: cost, reserve, or the coefficients of the curve and where it counts from.
    steps : (s,) float64
        What ladders consist of; each says where its own lie.

    Examples
    --------
    >>> Depth.flat(0.003)
    <Depth: flat, a = 0.003>
    """

    form: Floats
    a: Floats
    b: Floats
    c: Floats
    d: Floats
    origin: Floats
    steps: Floats

    def __repr__(self) -> str:
        """Name the form and its first coefficient, or how many there are."""
        if self.form.size > 1:
            return f"<Depth of {self.form.size} parameter sets>"
        name = next(name for name, code in _FORMS.items() if code == int(self.form.reshape(())))
        return f"<Depth: {name}, a = {float(self.a.reshape(-1)[0]):g}>" if self.a.size == 1 else f"<Depth: {name}>"

    @classmethod
    def _of(cls, form: str, a: Floats) -> Depth:
        zero = np.zeros(())
        return cls(np.asarray(float(_FORMS[form])), a, zero, zero, zero, zero, np.zeros(0))

    @classmethod
    def flat(cls, cost: FloatLike) -> Depth:
        """Keep 1 − cost of any value.

        Parameters
        ----------
        cost : array_like
            Share that is lost, in [0, 1].

        Raises
        ------
        MarketError
            If it is out of range.
        """
        array = to_floats("cost", cost, MarketError)
        check_interval("cost", array, FRACTION, MarketError)
        return cls._of("flat", array)

    @classmethod
    def constant_product(cls, reserve: FloatLike) -> Depth:
        """Keep R/(R + v): a pool with a reserve R of the debt asset.

        Parameters
        ----------
        reserve : array_like
            R, unit of account, in [1e-30, 1e30].

        Raises
        ------
        MarketError
            If it is out of range.
        """
        array = to_floats("reserve", reserve, MarketError)
        check_interval("reserve", array, _RESERVE, MarketError)
        return cls._of("constant_product", array)

    @classmethod
    def curve(cls, curves: CurveSet) -> Depth:
        """Keep what a fitted curve says, one for all parameter sets or one for each.

        Parameters
        ----------
        curves : CurveSet
            As :func:`escala.fit` gives; capital is the value that is traded.

        Raises
        ------
        MarketError
            If it is no CurveSet, or has an instrument without a curve.
        """
        if not isinstance(curves, CurveSet):
            raise MarketError(f"curves must be a CurveSet, not {curves!r}", arguments=("curves",))
        bad = np.flatnonzero(~np.isfinite(curves.params).all(axis=1))
        if bad.size:
            first = int(bad[0])
            status = FitStatus(int(curves.status[first])).name
            message = f"curves must all be there, but {str(curves.symbols[first])!r} has none: {status}"
            raise MarketError(message, arguments=("curves",), indexes=((first,),))
        family, params, origin, steps = curves._arrays()
        columns = {name: params[:, k].copy() for k, name in enumerate(COEFFICIENTS)}
        parts = {"form": family.astype(np.float64), **columns, "origin": origin.copy()}
        if len(curves.symbols) == 1:
            parts = {name: column.reshape(()) for name, column in parts.items()}
        return cls(**parts, steps=steps.copy())

    @property
    def name(self) -> str | None:
        """Name of the form of a depth that one number describes; None of curves, and of several forms."""
        return next((form for form in FORMS if self.form.ndim == 0 and int(self.form) == _FORMS[form]), None)

    def numbers(self, behind: int = 0) -> dict[str, Floats]:
        """Give form, coefficients and origin by name, for steps that lie behind so many of another depth's."""
        found = {"form": self.form, **{name: getattr(self, name) for name in COEFFICIENTS}, "origin": self.origin}
        return {**found, "d": np.where(self.form == _FORMS["ladder"], self.d + behind, self.d)}


#: Depths that one number describes: its name, and what makes one of it.
FORMS: Final[Mapping[str, tuple[str, Callable[[FloatLike], Depth]]]] = {
    "flat": ("cost", Depth.flat),
    "constant_product": ("reserve", Depth.constant_product),
}


def checked_depth(name: str, value: object) -> Depth:
    """Check an argument that is a depth; None is a flat one without cost.

    Raises
    ------
    MarketError
        If it is something else.
    """
    if value is None:
        return Depth.flat(0.0)
    if not isinstance(value, Depth):
        raise MarketError(f"{name} must be a Depth, not {value!r}", arguments=(name,))
    return value
