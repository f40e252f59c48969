"""Coefficients of one curve as a tuple of scalars: the only place that spells how many there are."""

from __future__ import annotations

from typing import TypeAlias

from escala.kernels.jit import Floats, helper
from escala.kernels.layout import coefficients as k

#: a, b, c, d.
Params: TypeAlias = tuple[float, float, float, float]


@helper
def of_row(row: Floats) -> Params:
    """Take the coefficients of a row of an array of them."""
    return row[k.A], row[k.B], row[k.C], row[k.D]


@helper
def of_rows(work: Floats, first: int, lanes: int) -> Params:
    """Take the coefficients of a lane that has its first one at `first`."""
    return work[first + k.A * lanes], work[first + k.B * lanes], work[first + k.C * lanes], work[first + k.D * lanes]


@helper
def put_rows(work: Floats, first: int, lanes: int, p: Params) -> None:
    """Store coefficients where :func:`of_rows` finds them."""
    work[first + k.A * lanes], work[first + k.B * lanes] = p[k.A], p[k.B]
    work[first + k.C * lanes], work[first + k.D * lanes] = p[k.C], p[k.D]


@helper
def without_params() -> Params:
    """Give the coefficients of a place that no curve has: they divide by no zero."""
    return 0.0, 1.0, 0.0, 0.0
