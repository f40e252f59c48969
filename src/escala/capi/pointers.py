"""The scalar functions of the kernels for other compiled Python code: inside ``@njit`` functions, and as C pointers.

=================  ==========================================================  ===================================
function           called from ``@njit`` code                                   pointed to by :func:`address`
=================  ==========================================================  ===================================
efficiency         ``efficiency(numbers, capital)``                             ``double f(double capital, void *)``
utility            ``utility(numbers, capital)``                                the same
marginal           ``marginal(numbers, capital)``                               the same
exp, expm1, log    ``exp(x)``                                                   ``double f(double x)``
lambert_w0         ``lambert_w0(x)``                                            the same
=================  ==========================================================  ===================================

`numbers` are the six numbers of a curve, ``family, a, b, c, d, origin``, that :func:`curve` gives; the ``void *``
points at them. Results are those of :meth:`escala.CurveSet.efficiency` and its neighbours, to the bit. Capital is not
checked: it must be finite and at least 0.

Examples
--------
The mean efficiency between two capitals, by an integral that never comes back to Python:

>>> from scipy.integrate import quad
>>> from escala import CurveSet
>>> from escala.capi import pointers
>>> curves = CurveSet.from_params(["A"], "linear", [[-1e-6, 1.0]])
>>> area, _ = quad(pointers.low_level("efficiency", curves), 0.0, 100_000.0)
>>> round(area / 100_000.0, 9)
0.95
"""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import carray, cfunc, types

from escala.curves.curveset import CurveSet
from escala.errors import InputError
from escala.kernels.compiler import OPTIONS
from escala.kernels.curves import evaluate as kernels
from escala.kernels.families import dispatch
from escala.kernels.families.params import of_row
from escala.kernels.jit import Floats, helper
from escala.kernels.layout import families, ladder_step, rows
from escala.kernels.special import exp, expm1, lambert_w0, log
from escala.tables import COEFFICIENTS

if TYPE_CHECKING:
    import scipy

__all__ = [
    "NAMES",
    "address",
    "curve",
    "efficiency",
    "exp",
    "expm1",
    "lambert_w0",
    "log",
    "low_level",
    "marginal",
    "utility",
]

_OF_A_CURVE: Final = ("efficiency", "utility", "marginal")
_OF_A_NUMBER: Final = {"exp": exp, "expm1": expm1, "log": log, "lambert_w0": lambert_w0}
#: What :func:`address` knows.
NAMES: Final = (*_OF_A_CURVE, *_OF_A_NUMBER)
#: The numbers of a curve.
_n = rows("family", *COEFFICIENTS, "origin")
_NUMBERS: Final = _n.END
_ROWS: Final = ladder_step.END
_LADDER: Final = float(families.LADDER)


@helper
def _value(numbers: Floats, capital: float) -> float:
    return dispatch.value(int(numbers[_n.FAMILY]), of_row(numbers[_n.A :]), numbers[_n.ORIGIN], numbers, capital)


@helper
def efficiency(numbers: Floats, capital: float) -> float:
    """Give η(capital), a fraction; NaN where there is no curve."""
    eta = _value(numbers, capital)
    return kernels.clipped_to(kernels.EFFICIENCY, capital, eta, eta)


@helper
def utility(numbers: Floats, capital: float) -> float:
    """Give capital·η(capital)."""
    eta = _value(numbers, capital)
    return kernels.clipped_to(kernels.UTILITY, capital, eta, eta)


@helper
def marginal(numbers: Floats, capital: float) -> float:
    """Give d(capital·η)/dcapital: 1 where η is above 1, 0 where it is below 0."""
    eta = _value(numbers, capital)
    slope = dispatch.marginal(int(numbers[_n.FAMILY]), of_row(numbers[_n.A :]), numbers[_n.ORIGIN], numbers, capital)
    return kernels.clipped_to(kernels.MARGINAL, capital, eta, slope)


def curve(curves: CurveSet, place: int = 0) -> Floats:
    """Give the six numbers of one curve: family, a, b, c, d, origin; behind them the steps of a ladder.

    Parameters
    ----------
    curves : CurveSet
        n curves.
    place : int
        Which of them, from 0.

    Returns
    -------
    (6,) float64, or longer for a ladder
        Keep it as long as a pointer to it is in use.

    Raises
    ------
    InputError
        If there is no such curve.
    """
    if not 0 <= place < len(curves):
        raise InputError(f"place must be in [0, {len(curves) - 1}], not {place!r}", arguments=("place",))
    steps = curves._steps.row(place)
    numbers = np.array([curves.family[place], *curves.params[place], curves.origin[place], *steps], dtype=np.float64)
    if steps.size:
        numbers[_n.D] = _NUMBERS
    return numbers


def address(name: str) -> int:
    """Give the address of a compiled function, for C code: see the table above. It stays valid.

    Raises
    ------
    InputError
        If there is no such function.
    """
    return int(_pointer(name).address)


def low_level(name: str, curves: CurveSet | None = None, place: int = 0) -> scipy.LowLevelCallable:
    """Give a function to SciPy's integrators and filters, which then call it without Python.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    curves, place
        The curve of efficiency, utility or marginal.

    Raises
    ------
    InputError
        If there is no such function or curve.
    """
    from scipy import LowLevelCallable

    function = _pointer(name).ctypes
    if name in _OF_A_NUMBER:
        return LowLevelCallable(function)
    if curves is None:
        raise InputError(f"{name} needs curves", arguments=("curves",))
    # the pointer keeps the numbers, and the callable keeps the pointer
    return LowLevelCallable(function, curve(curves, place).ctypes.data_as(ctypes.c_void_p))


@functools.cache
def _pointer(name: str) -> Any:
    """Compile a function for C."""
    if name not in NAMES:
        raise InputError(f"name must be one of {', '.join(NAMES)}, not {name!r}", arguments=("name",))
    options = {option: value for option, value in OPTIONS.items() if option != "_nrt"}
    if name in _OF_A_NUMBER:
        dispatcher: Any = _OF_A_NUMBER[name]
        return cfunc(types.float64(types.float64), **options)(dispatcher.py_func)
    of_curve = {"efficiency": efficiency, "utility": utility, "marginal": marginal}[name]

    def at(capital, numbers):
        given = carray(numbers, _NUMBERS, np.float64)
        steps = int(given[_n.C]) * _ROWS if given[_n.FAMILY] == _LADDER and given[_n.A] >= 0.0 else 0
        return of_curve(carray(numbers, _NUMBERS + steps, np.float64), capital)

    return cfunc(types.float64(types.float64, types.voidptr), **options)(at)
