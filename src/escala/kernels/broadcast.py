"""Slices of a broadcast array, without making the whole of it."""

from __future__ import annotations

from escala.kernels.jit import Floats, Integers, floats_in, floats_out, integer, integers_in, kernel


@kernel(floats_in, integers_in, integers_in, floats_out, integer, integer)
def take(source: Floats, shape: Integers, strides: Integers, out: Floats, start: int, stop: int) -> None:
    """Write elements ``start <= i < stop`` (in C order) of a broadcast view to ``out[0 : stop - start]``.

    Parameters
    ----------
    source : (size,) float64
        The elements that the view repeats.
    shape, strides : (ndim,) int64
        Of the view; strides count elements and are 0 along repeated axes. At least one axis.
    out : (at least stop − start,) float64
        Output.
    """
    last = shape.size - 1
    length, step = shape[last], strides[last]
    i = start
    while i < stop:
        rest = i // length
        inner = i - rest * length
        offset = inner * step
        for axis in range(last - 1, -1, -1):
            following = rest // shape[axis]
            offset += (rest - following * shape[axis]) * strides[axis]
            rest = following
        run = min(length - inner, stop - i)
        piece = out[i - start : i - start + run]
        for k in range(run):
            piece[k] = source[offset + k * step]
        i += run
