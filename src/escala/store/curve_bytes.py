"""Curves as bytes that say themselves what they hold: every array by its name, type and shape.

Layout 2 is one line of ASCII, ``family:i1 params:f8[3] covariance:f8[3,3] …``, and after its end the values of these
arrays in that order, C-contiguous and little-endian. Rows that have their own length in each curve, such as the steps
of ladders, stand last, ``… _steps:f8[42]``, and only where there are any. Whoever reads takes arrays by name. So a
statistic that is new changes neither the layout nor the schema:

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
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.curves.curveset import CurveSet
from escala.curves.families import Family
from escala.errors import StoreError
from escala.ragged import Ragged
from escala.tables import COEFFICIENTS, LADDER_STEP

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
#: The last entry of a line, if it is one of a row of numbers.
_ROW: Final = re.compile(rb" (\w+):f8\[(\d{1,15})\]\Z", re.ASCII)
_WIDTH: Final = 8


@functools.cache
def no_curves() -> CurveSet:
    """Give a set of none, which tells the names, types and shapes of the arrays."""
    return CurveSet.from_params([], "linear", np.zeros((0, 2)))


@functools.cache
def names() -> tuple[str, ...]:
    """Give the names of what is kept of every curve in one form: all but its symbol, which has a column of its own."""
    return tuple(name for name in _all_names() if not isinstance(getattr(no_curves(), name), Ragged))


@functools.cache
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
    line = " ".join(_entry(name, array.dtype, array.shape[1:]) for name, array in arrays.items()).encode("ascii")
    content = rows.tobytes()
    size = kind.itemsize
    packed = [line + b"\n" + content[at : at + size] for at in range(0, len(content), size)]
    for place, (entries, values) in _tails(curves).items():
        begin = place * size
        packed[place] = b"%b%b\n%b%b" % (line, entries, content[begin : begin + size], values)
    return packed


def _tails(curves: CurveSet) -> dict[int, tuple[bytes, bytes]]:
    """Give what stands behind the entries and the values of one form, by the place of the curve."""
    tails: dict[int, tuple[bytes, bytes]] = {}
    for name in ragged_names():
        ragged = getattr(curves, name)
        content = ragged.values.astype("<f8").tobytes()
        bounds = ragged.offsets.tolist()
        for place in np.flatnonzero(ragged.sizes).tolist():
            begin, end = bounds[place], bounds[place + 1]
            entries, values = tails.get(place, (b"", b""))
            entry = f" {name}:f8[{end - begin}]".encode("ascii")
            tails[place] = entries + entry, values + content[_WIDTH * begin : _WIDTH * end]
    return tails


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
    n = len(symbols)
    forms: dict[tuple[int, bytes], _Form | None] = {}
    alike: dict[tuple[int, bytes], tuple[list[int], list[bytes]]] = {}
    lines: dict[str, dict[int, bytes]] = {name: {} for name in ragged_names()}
    for place, (layout, content) in enumerate(zip(layouts, stored, strict=True)):
        key = layout, _head(layout, content)
        if key not in forms:
            forms[key] = _form(*key)
        form = forms[key]
        if form is None or len(content) != form.size:
            raise StoreError(f"the model of {symbols[place]!r} in {where} cannot be read (layout {layout})")
        places, rows = alike.setdefault(form.line, ([], []))
        places.append(place)
        rows.append(content[form.begin : form.middle])
        for name, begin, end in form.tail:
            lines[name][place] = content[begin:end]
    arrays = {name: _nothing(n, getattr(no_curves(), name)) for name in names()}
    for line, (places, rows) in alike.items():
        found = np.frombuffer(b"".join(rows), _kind(*line))
        chosen: Any = slice(None) if len(places) == n else places
        for name, then in _names_in(found.dtype):
            bad = _misfit(found[then], arrays[name])
            if bad is not None:
                symbol = symbols[places[bad]]
                raise StoreError(f"the model of {symbol!r} in {where} cannot be read ({then} is of another form)")
            arrays[name][chosen] = _widened(found[then], arrays[name])
    labels = np.empty(n, dtype=object)
    labels[:] = symbols
    made: dict[str, Any] = arrays | {name: _ragged(n, there) for name, there in lines.items()}
    curves = CurveSet(symbols=labels, **made)
    astray = np.flatnonzero(curves._steps.sizes != _numbers_of_steps(curves))
    if astray.size:
        symbol = symbols[int(astray[0])]
        raise StoreError(f"the model of {symbol!r} in {where} cannot be read (_steps is of another form)")
    return curves


def _numbers_of_steps(curves: CurveSet) -> npt.NDArray[np.float64]:
    """Count what the steps of each curve must be made of: kernels go by its coefficients."""
    of_steps = (curves.family == Family.LADDER) & ~np.isnan(curves.params[:, 0])
    return np.where(of_steps, len(LADDER_STEP) * curves.params[:, COEFFICIENTS.index("c")], 0.0)


def _ragged(n: int, rows: dict[int, bytes]) -> Ragged:
    """Put rows, by their places, one after the other."""
    sizes = np.zeros(n, dtype=np.int64)
    sizes[list(rows)] = [len(row) // _WIDTH for row in rows.values()]
    return Ragged.sized(np.frombuffer(b"".join(rows.values()), "<f8").astype(np.float64), sizes)


@dataclass(frozen=True)
class _Form:
    """Where values lie in the bytes of a curve: those that every curve has, and behind them rows of its own length."""

    line: tuple[int, bytes]  # the layout, and what says of which kind the values are that every curve has
    begin: int
    middle: int
    tail: tuple[tuple[str, int, int], ...]  # name, begin and end

    @property
    def size(self) -> int:
        return self.tail[-1][2] if self.tail else self.middle


def _head(layout: int, content: bytes) -> bytes:
    """Give what comes before the values."""
    return content[: content.find(b"\n") + 1] if layout == LAYOUT else b""


def _form(layout: int, head: bytes) -> _Form | None:
    """Tell where values lie; None if that cannot be told."""
    line = head.removesuffix(b"\n")
    sizes: list[tuple[str, int]] = []
    while (last := _ROW.search(line)) and last[1].decode("ascii") in ragged_names():
        sizes.append((last[1].decode("ascii"), int(last[2])))
        line = line[: last.start()]
    kind = _kind(layout, line)
    if kind is None or not set(ragged_names()).isdisjoint(kind.names or ()):
        return None
    end = middle = len(head) + kind.itemsize
    tail = []
    for name, size in reversed(sizes):
        tail.append((name, end, end + _WIDTH * size))
        end += _WIDTH * size
    return _Form((layout, line), len(head), middle, tuple(tail)) if len(dict(sizes)) == len(sizes) else None


@functools.lru_cache(maxsize=64)
def _kind(layout: int, line: bytes) -> np.dtype[Any] | None:
    """Tell what the values are that every curve has; None if that cannot be told."""
    if layout == 1:
        return _FIRST_LAYOUT
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
