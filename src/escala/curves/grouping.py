"""Which records belong together: symbols of any form become numbers, without a look at each by Python.

Symbols that are coded already (a Categorical, a dictionary of Arrow, ``(codes, names)``) keep their codes. Of texts
those are looked at that differ from the one before: records mostly come instrument by instrument.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import no_symbol
from escala.curves.records import check_lengths, check_names, coded, listed, with_length
from escala.errors import RecordError

_FEW: Final = 3  # records a run from which on it pays to look at runs

Names = npt.NDArray[np.object_]
Codes = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Records by instrument.

    Parameters
    ----------
    names : (n,) object
        The instruments, in order of first appearance.
    offsets : (n + 1,) int64
        Where the records of each begin.
    order : int64 or None
        Which record stands where; None if they stand together already.
    """

    names: Names
    offsets: Places
    order: Places | None


@dataclass(frozen=True)
class _Coded:
    """Symbols that are coded: −1 for one that is missing, the names of some records, and whether no two are equal."""

    codes: npt.NDArray[Any]
    names: Callable[[Places], Names]
    distinct: bool = False


def grouped(symbols: Any, columns: Mapping[str, npt.NDArray[Any]]) -> Groups:
    """Group records by symbol.

    Raises
    ------
    RecordError
        Names the column that has not one value a symbol, or the first symbol that is no text, or an empty one.
    """
    there = _coded(symbols)
    if there is not None:
        check_lengths(there.codes, columns)
        return _by_code(there)
    symbols = with_length(symbols)
    check_lengths(symbols, columns)
    return _by_text(symbols)


def is_pair(symbols: Any) -> bool:
    """Tell ``(codes, names)`` from two symbols."""
    if not isinstance(symbols, tuple) or len(symbols) != 2 or isinstance(symbols[0], str):
        return False
    return getattr(getattr(symbols[0], "dtype", None), "kind", "") in ("i", "u")


def _coded(symbols: Any) -> _Coded | None:
    """Find the codes of symbols that are coded; nothing is imported to find out."""
    if is_pair(symbols):
        return _pair(*symbols)
    categorical = getattr(symbols, "array", symbols)  # of a Series of pandas
    if hasattr(categorical, "categories") and hasattr(categorical, "codes"):
        table = categorical.categories.to_numpy(dtype=object)
        codes = np.asarray(categorical.codes)
        return _Coded(codes, lambda firsts: table[codes[firsts]], distinct=True)
    if _is_polars(symbols, "Categorical", "Enum"):
        codes = _codes_of_polars(symbols)
        return _Coded(codes, lambda firsts: symbols.gather(firsts).to_numpy(), distinct=True)
    return _dictionary(symbols)


def _codes_of_polars(symbols: Any) -> npt.NDArray[Any]:
    from polars import Int64

    physical = symbols.to_physical()
    if symbols.null_count():
        physical = physical.cast(Int64).fill_null(-1)
    codes: npt.NDArray[Any] = physical.to_numpy()
    return codes


def _pair(codes: Any, names: Any) -> _Coded:
    given, table = np.asarray(codes), _objects(listed(names))
    if given.ndim != 1:
        raise RecordError(f"codes of symbols of shape {given.shape} must be in a row", arguments=("symbols",))
    if given.size and (given.min() < 0 or given.max() >= len(table)):
        bad = np.flatnonzero((given < 0) | (given >= len(table)))
        shown = f"symbols[0][{bad[0]}] = {given[bad[0]]}"
        message = f"codes of symbols must be places among {len(table):,} names, but {shown}"
        raise RecordError(message, arguments=("symbols",), indexes=((int(bad[0]),),))
    return _Coded(given, lambda firsts: table[given[firsts]])


def _dictionary(symbols: Any) -> _Coded | None:
    if not _is_arrow(symbols):
        return None
    arrow = sys.modules["pyarrow"]
    if not arrow.types.is_dictionary(symbols.type):
        return None
    if isinstance(symbols, arrow.ChunkedArray):
        symbols = symbols.unify_dictionaries().combine_chunks()
        if isinstance(symbols, arrow.ChunkedArray):  # without a chunk
            return None
    indices = symbols.indices
    if indices.null_count:
        indices = indices.cast(arrow.int64()).fill_null(-1)
    codes, table = indices.to_numpy(), symbols.dictionary.to_numpy(zero_copy_only=False)
    return _Coded(codes, lambda firsts: table[codes[firsts]])


def _by_code(there: _Coded) -> Groups:
    codes = there.codes.astype(np.int64) if there.codes.dtype == np.uint64 else there.codes
    if codes.size and codes.min() < 0:
        raise no_symbol(int(np.argmax(codes < 0)), None, RecordError)
    starts = _changes(codes[1:] != codes[:-1], codes.size)
    firsts, numbers = starts, None
    if np.bincount(codes[starts]).max(initial=0) > 1:
        firsts, numbers = _ranked(codes)
    names = there.names(firsts)
    texts = names.tolist()
    if not there.distinct and not _all_differ(texts):
        joined, places = coded(texts)
        own = np.repeat(np.arange(starts.size), _lengths(starts, codes.size)) if numbers is None else numbers
        return _in_order(_objects(joined), places[own])
    check_names(texts, lambda symbol: int(firsts[texts.index(symbol)]))
    if numbers is None:
        return Groups(names, np.append(starts, codes.size), None)
    return _in_order(names, numbers)


def _all_differ(names: list[Any]) -> bool:
    try:
        return len(set(names)) == len(names)
    except TypeError:
        return False


def _ranked(codes: npt.NDArray[Any]) -> tuple[Places, Codes]:
    """Number codes anew, in order of first appearance, and find the first record of each."""
    from escala.kernels import grouping as kernels

    keys = np.ascontiguousarray(codes, dtype=np.int64)
    numbers = np.empty(keys.size, dtype=np.int32)
    places = np.full(int(keys.max()) + 1, -1, dtype=np.int64)
    firsts = np.empty(min(places.size, keys.size), dtype=np.int64)
    kernels.rank(keys, places, numbers, firsts)
    return firsts[: np.count_nonzero(places >= 0)], numbers


def _by_text(symbols: Any) -> Groups:
    """Look at the symbols where one differs from the one before it; at all of them where nearly every one does."""
    found = _runs(symbols)
    if found is None:
        return _by_each(symbols)
    starts, names_at = found
    n = len(symbols)
    if starts.size > n // _FEW:
        there = _encoded(symbols)
        return _by_each(symbols) if there is None else _by_code(there)
    names = names_at(starts)
    texts = names.tolist()
    if set(map(type, texts)) <= {str} and all(texts):
        if _all_differ(texts):
            return Groups(names, np.append(starts, n), None)
        different, codes = coded(texts)
        return _in_order(_objects(different), np.repeat(codes, _lengths(starts, n)))
    return _by_each(symbols)


def _by_each(symbols: Any) -> Groups:
    names, codes = coded(symbols)
    return _in_order(_objects(names), codes)


def _runs(symbols: Any) -> tuple[Places, Callable[[Places], Names]] | None:
    """Find where symbols differ from the one before them, and how to take some; None where it cannot be told fast."""
    n = len(symbols)
    if _is_polars(symbols, "String"):
        return _changes(np.diff(symbols.rle_id().to_numpy()) != 0, n), lambda at: _objects(symbols.gather(at).to_list())
    arrow = _arrow_text(symbols)
    if arrow is not None:
        return _arrow_runs(arrow)
    given = symbols.to_numpy(dtype=object) if hasattr(symbols, "iloc") else symbols
    if isinstance(given, list | tuple):
        given = np.fromiter(given, dtype=object, count=n)
    if not isinstance(given, np.ndarray) or given.ndim != 1 or given.dtype.kind not in "OU":
        return None
    keys = _Addresses(given) if given.dtype.kind == "O" else given
    column = np.asarray(keys)
    return _changes(column[1:] != column[:-1], n), lambda at: _objects(given[at].tolist())


class _Addresses:
    """Where the objects of an array lie, as numbers: two of one address are one object."""

    def __init__(self, objects: npt.NDArray[np.object_]) -> None:
        self.kept = objects
        self.__array_interface__ = {**objects.__array_interface__, "typestr": np.dtype(np.intp).str, "descr": []}


def _arrow_text(symbols: Any) -> Any:
    """Give texts that Arrow holds, alone or in pandas; None of others."""
    dtype = getattr(symbols, "dtype", None)
    if getattr(dtype, "storage", "") == "pyarrow" or hasattr(dtype, "pyarrow_dtype"):
        symbols = symbols.array.__arrow_array__()
    return symbols if _is_arrow(symbols) else None


def _is_arrow(symbols: Any) -> bool:
    """Tell whether Arrow holds it, of which then all is loaded; while another thread imports it, it may lack names."""
    arrow = sys.modules.get("pyarrow")
    kinds = getattr(arrow, "Array", None), getattr(arrow, "ChunkedArray", None)
    return None not in kinds and isinstance(symbols, kinds)  # type: ignore[arg-type]


def _arrow_runs(column: Any) -> tuple[Places, Callable[[Places], Names]] | None:
    import pyarrow
    from pyarrow import compute

    n = len(column)
    if column.null_count or n == 0:
        return None
    change = compute.not_equal(column.slice(1), column.slice(0, n - 1))
    return _changes(np.asarray(change), n), lambda at: _objects(column.take(pyarrow.array(at)).to_pylist())


def _encoded(symbols: Any) -> _Coded | None:
    """Let the library that holds texts code them; None where none does."""
    if _is_polars(symbols, "String"):
        from polars import Categorical

        return _coded(symbols.cast(Categorical))
    arrow = _arrow_text(symbols)
    return None if arrow is None else _dictionary(arrow.dictionary_encode())


def _is_polars(symbols: Any, *types: str) -> bool:
    return hasattr(symbols, "to_physical") and str(getattr(symbols, "dtype", "")).startswith(types)


def _changes(differs: npt.NDArray[np.bool_], n: int) -> Places:
    """Give the first of every run, from where records differ from the one before them."""
    return np.concatenate([np.zeros(min(n, 1), dtype=np.int64), np.flatnonzero(differs) + 1])


def _lengths(starts: Places, n: int) -> Places:
    return np.diff(starts, append=n)


def _in_order(names: Names, codes: Codes) -> Groups:
    """Count records of each number, and sort them if need be."""
    from escala.kernels import grouping as kernels

    offsets = np.zeros(names.size + 1, dtype=np.int64)
    np.cumsum(np.bincount(codes, minlength=names.size), out=offsets[1:])
    if np.all(codes[1:] >= codes[:-1]):
        return Groups(names, offsets, None)
    places = np.empty(codes.size, dtype=np.int64)
    kernels.order(codes, offsets[:-1].copy(), places)
    return Groups(names, offsets, places)


def _objects(names: list[Any]) -> Names:
    return np.fromiter(names, dtype=object, count=len(names))
