"""Curves as bytes that say themselves what they hold: every array by its name, type and shape.

Layout 2 is one line of ASCII, ``family:i1 params:f8[3] covariance:f8[3,3] …``, and after its end the values of these
arrays in that order, C-contiguous and little-endian. What curves have in different lengths stands last, and only where
there is anything. Whoever reads takes arrays by name. So a statistic that is new
changes neither the layout nor the schema:

* Names that are not known here are passed over.
* What is not there is NaN, or 0 where it is an integer; only `family`, `status` and `params` must be there.
* Arrays that were narrower are filled up with zeros (NaN where they hold nothing but NaN: there is no curve, or nothing
  is known); of wider ones all that lies beyond must be zeros or NaN.
* An array may have had another name, see :data:`FORMERLY`.

Layout 1, that of escala 0.1.0, had no such line; its arrays are named here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.curves.curveset import CurveSet
from escala.errors import StoreError
from escala.ragged import Ragged

#: Of what is written.
LAYOUT: Final = 2

#: Names that arrays of :class:`CurveSet` had in stores of before, by the names of today.
FORMERLY: Final = {"df_resid": "freedom", "trusted_to": "limit"}

_FIRST_LAYOUT: Final = np.dtype(
    [
        ("family", "i1"),
        ("status", "i1"),
        ("params", "<f8", (3,)),
        ("origin", "<f8"),
        ("observed", "<f8", (2,)),
        ("limit", "<f8"),
        ("n_points", "<i8"),
        ("covariance", "<f8", (3, 3)),
        ("residual_sd", "<f8"),
        ("freedom", "<f8"),
        ("r_squared", "<f8"),
        ("mean_error", "<f8"),
        ("max_error", "<f8"),
        ("rmse", "<f8"),
        ("aicc", "<f8"),
        ("clipped", "<i8"),
        ("_root", "<f8", (6,)),
        ("_neumann", "<f8", (3,)),
    ]
)
_NEEDED: Final = frozenset({"family", "status", "params"})
_ENTRY: Final = re.compile(r"(\w+):([iufb][1248])(?:\[(\d+(?:,\d+)*)\])?", re.ASCII)


@functools.cache
def no_curves() -> CurveSet:
    """Give a set of none, which tells the names, types and shapes of the arrays."""
    return CurveSet.from_params([], "linear", np.zeros((0, 2)))


def names() -> tuple[str, ...]:
    """Give the names of what is kept of every curve in one form: all but its symbol, which has a column of its own."""
    return tuple(name for name in _all_names() if not isinstance(getattr(no_curves(), name), Ragged))


def ragged_names() -> tuple[str, ...]:
    """Give the names of what curves have in different lengths, or not at all."""
    return tuple(name for name in _all_names() if isinstance(getattr(no_curves(), name), Ragged))


def _all_names() -> list[str]:
    return [field.name for field in fields(CurveSet) if field.name != "symbols"]


def pack(curves: CurveSet) -> list[bytes]:
    """Give the bytes of each curve, in the layout of now."""
    arrays = {name: getattr(curves, name) for name in names()}
    kind = np.dtype([(name, array.dtype.newbyteorder("<"), array.shape[1:]) for name, array in arrays.items()])
    rows = np.empty(len(curves), kind)
    for name, array in arrays.items():
        rows[name] = array
    line = " ".join(_entry(name, array.dtype, array.shape[1:]) for name, array in arrays.items())
    head = f"{line}\n".encode("ascii")
    packed = [head + row.tobytes() for row in rows]
    for name in ragged_names():
        ragged = getattr(curves, name)
        for place in np.flatnonzero(ragged.sizes).tolist():
            packed[place] = _lengthened(packed[place], name, ragged.row(place))
    return packed


def _lengthened(content: bytes, name: str, values: npt.NDArray[np.float64]) -> bytes:
    """Add an array to the bytes of a curve."""
    line, _, rest = content.partition(b"\n")
    entry = _entry(name, values.dtype, values.shape)
    return line + f" {entry}\n".encode("ascii") + rest + values.astype("<f8").tobytes()


def unpack(symbols: Sequence[str], layouts: Sequence[int], stored: Sequence[bytes], where: str) -> CurveSet:
    """Make curves of their bytes, each in its layout.

    Parameters
    ----------
    symbols, layouts, stored
        One a curve.
    where : str
        The store, for messages.

    Raises
    ------
    StoreError
        Names the first curve that cannot be read.
    """
    alike: dict[tuple[int, bytes], list[tuple[int, bytes]]] = {}
    for place, (symbol, layout, content) in enumerate(zip(symbols, layouts, stored, strict=True)):
        head = _head(layout, content)
        kind = _kind(layout, head)
        if kind is None or len(content) != len(head) + kind.itemsize:
            raise StoreError(f"the model of {symbol!r} in {where} cannot be read (layout {layout})")
        alike.setdefault((layout, head), []).append((place, content[len(head) :]))
    arrays = {name: _nothing(len(symbols), getattr(no_curves(), name)) for name in names()}
    lines: dict[str, list[npt.NDArray[np.float64]]] = {name: [np.empty(0)] * len(symbols) for name in ragged_names()}
    for (layout, head), rows in alike.items():
        places = [place for place, _ in rows]
        found = np.frombuffer(b"".join(values for _, values in rows), _kind(layout, head))
        for name, then in _names_in(found.dtype):
            bad = _misfit(found[then], arrays[name])
            if bad is not None:
                symbol = symbols[places[bad]]
                raise StoreError(f"the model of {symbol!r} in {where} cannot be read ({then} is of another form)")
            arrays[name][places] = _widened(found[then], arrays[name])
        for name in set(lines).intersection(found.dtype.names or ()):
            for place, line in zip(places, found[name].astype(np.float64), strict=True):
                lines[name][place] = np.atleast_1d(line)
    labels = np.empty(len(symbols), dtype=object)
    labels[:] = symbols
    made: dict[str, Any] = arrays | {name: Ragged.of(rows) for name, rows in lines.items()}
    return CurveSet(symbols=labels, **made)


def _head(layout: int, content: bytes) -> bytes:
    """Give what comes before the values."""
    return content[: content.find(b"\n") + 1] if layout == LAYOUT else b""


@functools.lru_cache(maxsize=64)
def _kind(layout: int, head: bytes) -> np.dtype[Any] | None:
    """Tell what the values are; None if that cannot be told."""
    if layout == 1:
        return _FIRST_LAYOUT
    line = head.removesuffix(b"\n")
    entries = [_ENTRY.fullmatch(entry) for entry in line.decode("ascii", "replace").split(" ")]
    if not all(entries):
        return None
    parts = [match.groups() for match in entries if match]
    if not _NEEDED <= {name for name, _, _ in parts}:
        return None
    try:
        return np.dtype(
            [(name, f"<{kind}", tuple(map(int, shape.split(","))) if shape else ()) for name, kind, shape in parts]
        )
    except ValueError:  # a name comes twice, or it is larger than any memory
        return None


def _names_in(kind: np.dtype[Any]) -> list[tuple[str, str]]:
    """Give the names of now of the arrays that are there, with those they have there."""
    there = frozenset(kind.names or ())
    called = [(name, name if name in there else FORMERLY.get(name, "")) for name in names()]
    return [(name, then) for name, then in called if then in there]


def _entry(name: str, kind: np.dtype[Any], shape: tuple[int, ...]) -> str:
    return f"{name}:{kind.kind}{kind.itemsize}" + (f"[{','.join(map(str, shape))}]" if shape else "")


def _nothing(n: int, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.full((n, *like.shape[1:]), np.nan if like.dtype.kind == "f" else 0, dtype=like.dtype)


def _misfit(found: npt.NDArray[Any], like: npt.NDArray[Any]) -> int | None:
    """Find the first of the values that an array of another form cannot take."""
    if found.ndim != like.ndim or not np.can_cast(found.dtype, like.dtype, "same_kind"):
        return 0
    if found.shape[1:] == like.shape[1:]:
        return None
    beyond = found.copy()
    beyond[_shared(found, like)] = 0
    lost = np.flatnonzero(((beyond != 0) & ~np.isnan(beyond)).reshape(len(found), -1).any(axis=1))
    return int(lost[0]) if lost.size else None


def _widened(found: npt.NDArray[Any], like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Bring values to the width of now."""
    if found.shape[1:] == like.shape[1:]:
        return found
    widened = np.zeros((len(found), *like.shape[1:]), dtype=like.dtype)
    if like.dtype.kind == "f":
        widened[np.isnan(found).reshape(len(found), -1).all(axis=1)] = np.nan
    widened[_shared(found, like)] = found[_shared(found, like)]
    return widened


def _shared(found: npt.NDArray[Any], like: npt.NDArray[Any]) -> tuple[slice, ...]:
    return (slice(None), *(slice(min(sizes)) for sizes in zip(found.shape[1:], like.shape[1:], strict=True)))
