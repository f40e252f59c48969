"""The scalar functions of the kernels for other compiled Python code: inside ``@njit`` functions, and as C pointers.

=================  ==========================================================  ===================================
function           called from ``@njit`` code                                   pointed to by :func:`address`
=================  ==========================================================  ===================================
efficiency         ``efficiency(family, a, b, c, origin, capital)``             ``double f(double capital, void *)``
utility            ``utility(family, a, b, c, origin, capital)``                the same
marginal           ``marginal(family, a, b, c, origin, capital)``               the same
exp, expm1, log    ``exp(x)``                                                   ``double f(double x)``
lambert_w0         ``lambert_w0(x)``                                            the same
=================  ==========================================================  ===================================

The ``void *`` points at the five numbers of a curve, ``family, a, b, c, origin``, that :func:`curve` gives. Results are
those of :meth:`escala.CurveSet.efficiency` and its neighbours, to the bit. Capital is not checked: it must be finite
and at least 0.

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
from escala.kernels.curves import evaluate as kernels
from escala.kernels.jit import OPTIONS, Floats, helper
from escala.kernels.special import exp, expm1, lambert_w0, log

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
_NUMBERS: Final = 5  # of a curve


@helper
def efficiency(family: int, a: float, b: float, c: float, origin: float, capital: float) -> float:
    """Give η(capital), a fraction; NaN where there is no curve."""
    eta = kernels.raw(family, a, b, c, origin, capital)
    return kernels._value(kernels.EFFICIENCY, capital, eta, eta)


@helper
def utility(family: int, a: float, b: float, c: float, origin: float, capital: float) -> float:
    """Give capital·η(capital)."""
    eta = kernels.raw(family, a, b, c, origin, capital)
    return kernels._value(kernels.UTILITY, capital, eta, eta)


@helper
def marginal(family: int, a: float, b: float, c: float, origin: float, capital: float) -> float:
    """Give d(capital·η)/dcapital: 1 where η is above 1, 0 where it is below 0."""
    eta = kernels.raw(family, a, b, c, origin, capital)
    slope = kernels.raw_marginal(family, a, b, c, origin, capital)
    return kernels._value(kernels.MARGINAL, capital, eta, slope)


def curve(curves: CurveSet, place: int = 0) -> Floats:
    """Give the five numbers of one curve: family, a, b, c, origin.

    Parameters
    ----------
    curves : CurveSet
        n curves.
    place : int
        Which of them, from 0.

    Returns
    -------
    (5,) float64
        Keep it as long as a pointer to it is in use.

    Raises
    ------
    InputError
        If there is no such curve.
    """
    if not 0 <= place < len(curves):
        raise InputError(f"place must be in [0, {len(curves) - 1}], not {place!r}", arguments=("place",))
    return np.array([curves.family[place], *curves.params[place], curves.origin[place]], dtype=np.float64)


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
        n = carray(numbers, _NUMBERS, np.float64)
        return of_curve(int(n[0]), n[1], n[2], n[3], n[4], capital)

    return cfunc(types.float64(types.float64, types.voidptr), **options)(at)
