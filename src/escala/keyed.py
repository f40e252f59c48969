"""Symbols are keys: what comes with its symbols is matched by them, and only plain arrays and lists by their place.

A mapping, a pandas Series or a data frame says itself to which instrument each of its values belongs. It is brought to
the order of the instruments here, or refused: never read by position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats, per_item, to_floats
from escala.errors import InputError, did_you_mean
from escala.tables import Interval

#: A number, one an instrument in order, or whatever says itself which value belongs to which symbol.
PerSymbol: TypeAlias = npt.ArrayLike | Mapping[str, Any]

#: What has no keys: looked for before anything else, so that small calls stay as fast as they are.
PLAIN: Final = frozenset({float, int, np.float64, np.ndarray, list, tuple, type(None), str})

_SHOWN: Final = 3  # symbols that a message lists


def by_symbol(name: str, value: Any, symbols: Iterable[str], error: type[InputError], *, axis: int = 0) -> Any:
    """Bring an argument with one value, or row, an instrument to the order of the instruments.

    Parameters
    ----------
    name : str
        The argument.
    value
        Numbers and plain arrays come back as they are. A mapping of symbols to values, a Series with symbols as its
        index, and a data frame with symbols as its columns or its index are matched. A Series without an index of its
        own (0, 1, 2, …) is taken by position.
    symbols : iterable of str
        The instruments, in order; one may come more than once.
    error : type
        What is raised.
    axis : int, default 0
        Where instruments lie in the result, if a mapping holds arrays.

    Raises
    ------
    InputError
        The class given; names the symbols that are missing and those that nobody knows.
    """
    if type(value) in PLAIN:
        return value
    if isinstance(value, Mapping):
        return _of_mapping(name, value, list(symbols), error, axis)
    if is_frame(value):
        return _of_frame(name, value, list(symbols), error)
    if is_series(value):
        return _of_series(name, value, list(symbols), error)
    return value


def per_symbol(
    name: str, value: Any, symbols: Sequence[str] | Any, interval: Interval, error: type[InputError]
) -> Floats:
    """Check one number for all instruments or one for each, matched by symbol, and bring it to shape (n,).

    Raises
    ------
    InputError
        The class given, as in :func:`by_symbol` and :func:`escala.arrays.per_item`.
    """
    if type(value) is float and interval.has(value):
        return np.full(len(symbols), value)
    matched = by_symbol(name, value, symbols, error)
    if matched is not value:  # it came with its symbols
        given = to_floats(name, matched, error)
        if given.shape == (len(symbols),):
            check_each(name, given, symbols, interval, error)
    return per_item(name, matched, len(symbols), interval, error)


def check_each(
    name: str, values: Floats, symbols: Sequence[str] | Any, interval: Interval, error: type[InputError]
) -> None:
    """Check one value for each symbol.

    Raises
    ------
    InputError
        The class given; names the first symbol whose value is not allowed.
    """
    if interval.holds_all(values):
        return
    wrong = np.flatnonzero(~interval.contains(values))
    if not wrong.size:
        return
    place = int(wrong[0])
    requirement = f"{name} must be {interval}"
    message = f"{requirement}, but {name}[{str(symbols[place])!r}] = {float(values[place])!r}"
    raise error(message, arguments=(name,), indexes=((place,),), requirement=requirement)


def mapping(name: str, value: Any, error: type[InputError]) -> Mapping[Any, Any] | None:
    """Give the values of a mapping or an indexed Series by symbol, some symbols perhaps missing; None of what is plain.

    Raises
    ------
    InputError
        The class given, if a Series names a symbol twice or has an index that is not made of symbols.
    """
    if type(value) in PLAIN:
        return None
    if isinstance(value, Mapping):
        return value
    if not is_series(value) or _is_counted(value.index):
        return None
    keys = value.index.tolist()
    _refuse_other_keys(name, keys, error)
    _refuse_twins(name, keys, error)
    return dict(zip(keys, value.tolist(), strict=True))


def of_some(name: str, value: Any, symbols: Iterable[str], otherwise: Any, error: type[InputError]) -> Any:
    """Bring an argument that names some of the instruments to their order, and give the others what they have then.

    What has no keys comes back as it is.

    Raises
    ------
    InputError
        The class given, as in :func:`mapping`, or if a symbol is named that is none of these.
    """
    some = mapping(name, value, error)
    if some is None:
        return value
    known = list(symbols)
    refuse_strangers(name, some, known, error)
    return [some.get(symbol, otherwise) for symbol in known]


def refuse_strangers(
    name: str, given: Iterable[Any], known: Sequence[str], error: type[InputError], *, of: str = "symbols"
) -> None:
    """Refuse keys that nobody knows, with a suggestion.

    Raises
    ------
    InputError
        The class given; names the first.
    """
    among = set(known)
    for key in given:
        if key not in among:
            hint = did_you_mean(key, known)
            raise error(f"{name} names {key!r}, which is not among the {of}{hint}", arguments=(name,))


def check_aligned(arguments: Mapping[str, Any], error: type[InputError]) -> None:
    """Refuse Series of one length whose indexes contradict each other: their values are not of the same things.

    An index that only counts (0, 1, 2, …) contradicts other integers, but no dates and no text.

    Raises
    ------
    InputError
        The class given; names the first two, the place and what each has there.
    """
    seen: list[tuple[str, Any]] = []
    for name, value in arguments.items():
        if type(value) in PLAIN or not is_series(value):
            continue
        index = value.index
        for other_name, other in seen:
            if _contradict(other, index):
                raise _contradiction(other_name, other, name, index, error)
        if not any(index is other for _, other in seen):
            seen.append((name, index))


def is_series(value: Any) -> bool:
    """Tell a column with an index from an array; no library is loaded for it."""
    return hasattr(value, "iloc") and hasattr(value, "index") and not hasattr(value, "columns")


def is_frame(value: Any) -> bool:
    """Tell a data frame or an Arrow table."""
    return hasattr(value, "columns") and not isinstance(value, Mapping)


def _is_counted(index: Any) -> bool:
    """Tell an index that nobody made: numbers that only count."""
    return hasattr(index, "step") and hasattr(index, "start") and index.step > 0


def _contradict(one: Any, other: Any) -> bool:
    if one is other or len(one) != len(other) or one.equals(other):
        return False
    if _is_counted(one) != _is_counted(other):
        labels = other if _is_counted(one) else one
        return getattr(labels, "dtype", np.dtype(object)).kind in "iu"
    return True


def _contradiction(name: str, index: Any, other_name: str, other: Any, error: type[InputError]) -> InputError:
    place = next(k for k, (a, b) in enumerate(zip(index, other, strict=True)) if a != b)
    message = (
        f"the indexes of {name} and {other_name} contradict each other: at place {place} {name} has "
        f"{_plainly(index[place])}, {other_name} {_plainly(other[place])}; bring both to one index, or pass "
        "to_numpy() of each if the order is right"
    )
    return error(message, arguments=(name, other_name), indexes=((place,),))


def _plainly(label: Any) -> str:
    """Write a label without the name of NumPy's type."""
    return repr(label.item() if isinstance(label, np.generic) else label)


def _of_mapping(name: str, value: Mapping[Any, Any], symbols: list[str], error: type[InputError], axis: int) -> Any:
    _match(name, list(value), symbols, error)
    rows = [value[symbol] for symbol in symbols]
    if axis == 0 or not rows:
        return rows
    shapes = {symbol: np.shape(row) for symbol, row in zip(symbols, rows, strict=True)}
    for symbol, shape in shapes.items():
        first = shapes[symbols[0]]
        if len(shape) < axis:
            raise error(f"{name}[{symbol!r}] must be an array, not {value[symbol]!r}", arguments=(name,))
        if shape != first:
            message = f"{name}[{symbol!r}] of shape {shape} does not go with {name}[{symbols[0]!r}] of shape {first}"
            raise error(message, arguments=(name,))
    return np.stack([np.asarray(row) for row in rows], axis=axis)


def _of_series(name: str, value: Any, symbols: list[str], error: type[InputError]) -> Any:
    index = value.index
    if _is_counted(index):
        return value.to_numpy()
    keys = index.tolist()
    if len(symbols) == 1 and not any(isinstance(key, str) for key in keys):
        return value.to_numpy()  # all of them belong to the one instrument
    _refuse_other_keys(name, keys, error)
    return value.to_numpy()[_match(name, keys, symbols, error)]


def _of_frame(name: str, value: Any, symbols: list[str], error: type[InputError]) -> Any:
    columns = list(value.column_names if hasattr(value, "column_names") else value.columns)
    index = getattr(value, "index", None)
    rows = [] if index is None or _is_counted(index) else index.tolist()
    known = set(symbols)
    as_columns, as_rows = not known.isdisjoint(columns), not known.isdisjoint(rows)
    if as_columns and as_rows:
        raise error(f"{name} has symbols both as columns and as its index: which is meant?", arguments=(name,))
    if as_rows:
        return value.to_numpy()[_match(name, rows, symbols, error)]
    if as_columns or rows or any(isinstance(column, str) for column in columns):
        places = _match(f"{name} (a data frame)", columns, symbols, error, argument=name)
        return np.stack([np.asarray(value[columns[place]]) for place in places])
    return value.to_numpy()


def _match(name: str, keys: list[Any], symbols: list[str], error: type[InputError], *, argument: str = "") -> list[int]:
    """Find the place of every symbol among the keys."""
    if keys == symbols:
        return list(range(len(keys)))
    places = {key: place for place, key in enumerate(keys)}
    _refuse_twins(name, keys, error)
    known = set(symbols)
    missing = [symbol for symbol in dict.fromkeys(symbols) if symbol not in places]
    unknown = [key for key in keys if key not in known]
    if missing or unknown:
        said = [f"has none of {_listed(missing)}"] * bool(missing)
        said += [f"has {_listed(unknown)}, which {_verb(unknown)} not among them"] * bool(unknown)
        hint = did_you_mean(unknown[0], missing or symbols) if unknown else ""
        message = f"{name} must have one value for each symbol, but {' and '.join(said)}{hint}"
        raise error(message, arguments=(argument or name,))
    return [places[symbol] for symbol in symbols]


def _refuse_twins(name: str, keys: list[Any], error: type[InputError]) -> None:
    seen: dict[Any, int] = {}
    for place, key in enumerate(keys):
        if seen.setdefault(key, place) != place:
            raise error(f"{name} has {key!r} twice, at {seen[key]} and {place}", arguments=(name,), indexes=((place,),))


def _refuse_other_keys(name: str, keys: list[Any], error: type[InputError]) -> None:
    if keys and not any(isinstance(key, str) for key in keys):
        message = (
            f"{name} is indexed by {_listed(keys)}, which are no symbols: index it by symbol, or pass "
            f"{name}.to_numpy() if its values are in the order of the symbols"
        )
        raise error(message, arguments=(name,))


def _verb(names: list[Any]) -> str:
    return "is" if len(names) == 1 else "are"


def _listed(names: list[Any]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(map(_plainly, names[:_SHOWN])) + more


def parts_of(columns: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Walk columns that hold a Series an instrument, so that each instrument's can be compared.

    Yields
    ------
    dict of str to Series
        By argument and place.
    """
    ragged = {
        name: column
        for name, column in columns.items()
        if isinstance(column, list | tuple) and len(column) and type(column[0]) not in PLAIN and is_series(column[0])
    }
    for place in range(min(map(len, ragged.values()), default=0)):
        yield {f"{name}[{place}]": column[place] for name, column in ragged.items()}
