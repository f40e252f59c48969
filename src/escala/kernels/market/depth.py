"""What a trade keeps of its value: a flat cost, a pool of constant product, or a fitted curve."""

from __future__ import annotations

from escala.kernels.families import dispatch
from escala.kernels.jit import Floats, helper, routine
from escala.kernels.layout import depths
from escala.kernels.layout import market_position as p

#: What describes a depth, in places after its form.
_A = p.DEPTH_A - p.DEPTH_FORM
_B = p.DEPTH_B - p.DEPTH_FORM
_C = p.DEPTH_C - p.DEPTH_FORM
_D = p.DEPTH_D - p.DEPTH_FORM
_ORIGIN = p.DEPTH_ORIGIN - p.DEPTH_FORM


@routine
def _share(form: int, a: float, b: float, c: float, d: float, origin: float, steps: Floats, v: float) -> float:
    """Give what a curve keeps; numbers, not rows: an array takes seven registers of a call."""
    return dispatch.value(form, (a, b, c, d), origin, steps, v)


@helper
def kept(position: Floats, first: int, steps: Floats, v: float) -> float:
    """Give the share of `v` that trading it keeps, of the depth whose form is at `first`; `steps` are of ladders."""
    form = int(position[first])
    a = position[first + _A]
    if form == depths.FLAT:
        eta = 1.0 - a
    elif form == depths.CONSTANT_PRODUCT:
        eta = a / (a + v)
    else:
        b, c, d = position[first + _B], position[first + _C], position[first + _D]
        eta = _share(form, a, b, c, d, position[first + _ORIGIN], steps, v)
    eta = 0.0 if eta < 0.0 else eta
    return 1.0 if eta > 1.0 else eta
