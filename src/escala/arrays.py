"""The border: what callers pass becomes C-contiguous float64, checked; every message names the argument."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence, Set
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from escala.errors import InputError, ScenarioError
from escala.tables import Interval

Floats: TypeAlias = npt.NDArray[np.float64]
#: A number or an array of them.
FloatLike: TypeAlias = npt.ArrayLike
_SHOWN = 3  # bad elements that a message lists
_MOST_AXES = 32  # what NumPy broadcasts
_BLOCK = 65536  # elements that a check looks at together: memory does not grow with the input


def to_floats(name: str, value: Any, error: type[InputError] = ScenarioError) -> Floats:
    """Convert an argument to C-contiguous float64 of its own shape; never a copy of what already is that.

    Raises
    ------
    InputError
        The class given, if it is not made of real numbers.
    """
    if type(value) is float:
        return np.array(value)
    if type(value) is np.ndarray and value.dtype == np.float64 and value.flags.carray and value.ndim <= _MOST_AXES:
        return value
    try:
        given = np.asarray(value)
        _refuse_what_is_no_number(value, given)
        return np.require(given, np.float64, ["C", "A"])
    except (TypeError, ValueError, OverflowError) as reason:
        raise error(f"{name} must be real numbers, not {_brief(value)}: {reason}", arguments=(name,)) from None


def _refuse_what_is_no_number(value: Any, given: npt.NDArray[Any]) -> None:
    """Raise TypeError for what NumPy would silently make numbers of: text, masked elements, dates, complex numbers."""
    if given.dtype == object and given.ndim == 0 and isinstance(value, Mapping | Set):
        raise TypeError("its values have no order")
    if given.dtype.kind not in "fiubO":
        raise TypeError(f"it has dtype {given.dtype}")
    if given.dtype.kind == "O":
        for each in given.flat:
            if isinstance(each, str | bytes | None):
                raise TypeError("it holds text or None")
            if isinstance(each, complex | np.complexfloating | np.timedelta64 | np.datetime64):
                raise TypeError(f"it holds a {type(each).__name__}")
    if _has_masked(value):
        raise TypeError("it has masked elements")
    if given.ndim > _MOST_AXES:
        raise TypeError(f"it has {given.ndim} axes")


def _has_masked(value: Any) -> bool:
    """Tell whether elements of an array are masked, by what it says itself: `numpy.ma` need not be loaded to ask it.

    It may not be asked either while another thread is still importing it.
    """
    mask = getattr(value, "_mask", None)
    return isinstance(mask, np.ndarray) and bool(mask.any())


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def no_symbol(place: int, symbol: object, error: type[InputError]) -> InputError:
    """Give the error of a symbol that is no text, or an empty one."""
    message = f"symbols must be text that is not empty, but symbols[{place}] = {symbol!r}"
    return error(message, arguments=("symbols",), indexes=((place,),))


def broadcast_shape(arrays: Mapping[str, npt.NDArray[Any]], error: type[InputError] = ScenarioError) -> tuple[int, ...]:
    """Find the common shape of named arrays.

    Raises
    ------
    InputError
        The class given, if there is none; names the two arguments that disagree first.
    """
    shape: tuple[int, ...] = ()
    widest: dict[int, str] = {}  # axis counted from the end -> argument that gave it its length
    for name, array in arrays.items():
        try:
            shape = np.broadcast_shapes(shape, array.shape)
        except ValueError:
            axis = next(
                a
                for a in range(1, 1 + array.ndim)
                if a in widest and array.shape[-a] not in (1, arrays[widest[a]].shape[-a])
            )
            other = widest[axis]
            message = f"{other} of shape {arrays[other].shape} and {name} of shape {array.shape} do not broadcast"
            raise error(message, arguments=(other, name)) from None
        for axis in range(1, 1 + array.ndim):
            if array.shape[-axis] != 1:
                widest.setdefault(axis, name)
    return shape


def check_interval(name: str, values: Floats, interval: Interval, error: type[InputError] = ScenarioError) -> None:
    """Check every element of one argument.

    Raises
    ------
    InputError
        The class given; names the first elements that are not allowed.
    """
    if not interval.holds_all(values):
        _check((name,), (values,), interval.contains, f"{name} must be {interval}", error)


def one_number(name: str, value: Any, interval: Interval, error: type[InputError] = ScenarioError) -> float:
    """Check an argument that is a single number.

    Raises
    ------
    InputError
        The class given, naming the argument and its value.
    """
    if type(value) is float and interval.has(value):
        return value
    given = to_floats(name, value, error)
    if given.ndim:
        raise error(f"{name} must be one number, not of shape {given.shape}", arguments=(name,))
    check_interval(name, given, interval, error)
    return float(given)


def plain_number(value: Any, interval: Interval) -> float | None:
    """Give a plain number that is allowed, or None: then :func:`to_floats` and :func:`check_interval` know more."""
    kind = type(value)
    return float(value) if (kind is float or kind is int or kind is np.float64) and interval.has(value) else None


def is_integer(value: object) -> bool:
    """Tell an integer of any type; NumPy calls a span of time one too."""
    return isinstance(value, Integral) and not isinstance(value, bool | np.timedelta64)


def known_word(value: object, allowed: Container[Any]) -> bool:
    """Tell a word, or None, that is allowed; whatever else it is, an array or a list, is none."""
    return (value is None or isinstance(value, str)) and value in allowed


def check_flag(name: str, value: object, error: type[InputError]) -> bool:
    """Check an argument that is yes or no: other things that count as true may be meant otherwise.

    Raises
    ------
    InputError
        The class given, if it is neither.
    """
    if value is True or value is False:
        return value
    if not isinstance(value, np.bool_):
        raise error(f"{name} must be True or False, not {_brief(value)}", arguments=(name,))
    return bool(value)


def whole_number(
    name: str, value: object, low: int, high: int | None = None, error: type[InputError] = ScenarioError
) -> int:
    """Check an argument that is a single integer of any integer type.

    Raises
    ------
    InputError
        The class given, naming the argument and its value.
    """
    if not is_integer(value) or not low <= int(value) or (high is not None and int(value) > high):  # type: ignore[call-overload]
        allowed = f"of at least {low}" if high is None else f"in [{low}, {high}]"
        raise error(f"{name} must be an integer {allowed}, not {_brief(value)}", arguments=(name,))
    return int(value)  # type: ignore[call-overload, no-any-return]


def per_item(name: str, value: Any, n: int, interval: Interval, error: type[InputError] = ScenarioError) -> Floats:
    """Check an argument that is one number or one for each of n items, and bring it to shape (n,).

    Raises
    ------
    InputError
        The class given, naming the argument, and the index and value of what is outside the interval.
    """
    given = to_floats(name, value, error)
    if given.ndim > 1 or given.size not in (1, n):
        raise error(f"{name} of shape {given.shape} must be a number or of shape ({n},)", arguments=(name,))
    check_interval(name, given, interval, error)
    return np.ascontiguousarray(np.broadcast_to(given, (n,)))


def check_order(
    low_name: str, low: Floats, high_name: str, high: Floats, error: type[InputError] = ScenarioError
) -> None:
    """Check ``low <= high`` element by element, over the broadcast shape of the two.

    Raises
    ------
    InputError
        The class given; names both arguments and their values where the first exceeds the second.
    """
    _check((low_name, high_name), (low, high), np.less_equal, f"{low_name} must not exceed {high_name}", error)


def check_together(
    arrays: Mapping[str, Floats],
    allowed: Callable[..., npt.NDArray[np.bool_]],
    requirement: str,
    error: type[InputError] = ScenarioError,
) -> None:
    """Check a condition between arguments element by element, over their broadcast shape.

    Parameters
    ----------
    arrays : mapping of str to array
        The arguments by name.
    allowed : callable
        Given a block of each, tells where the condition holds.
    requirement : str
        What is asked, with the arguments' names.

    Raises
    ------
    InputError
        The class given; names all arguments and their values where the condition does not hold.
    """
    _check(tuple(arrays), tuple(arrays.values()), allowed, requirement, error)


def _check(
    names: tuple[str, ...],
    arrays: Sequence[Floats],
    allowed: Callable[..., npt.NDArray[np.bool_]],
    requirement: str,
    error: type[InputError],
) -> None:
    bad = 0
    first: list[int] = []
    position = 0
    for block in _blocks(arrays):
        wrong = np.flatnonzero(~allowed(*block))
        bad += wrong.size
        first.extend(position + int(k) for k in wrong[: _SHOWN - len(first)])
        position += block[0].size
    if not bad:
        return
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    indexes = tuple(tuple(int(i) for i in np.unravel_index(k, shape)) for k in first)
    views = [np.broadcast_to(array, shape) for array in arrays]
    shown = "; ".join(
        " and ".join(
            f"{name}{_subscript(index)} = {float(view[index])!r}" for name, view in zip(names, views, strict=True)
        )
        for index in indexes
    )
    more = f" and {bad - len(first):,} more" if bad > len(first) else ""
    raise error(f"{requirement}, but {shown}{more}", arguments=names, indexes=indexes, requirement=requirement)


def _subscript(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""


def _blocks(arrays: Sequence[Floats]) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    """Walk the broadcast arrays in C order, some elements at a time."""
    if any(array.size == 0 for array in arrays):
        return
    walk = np.nditer(
        list(arrays),
        flags=["external_loop", "buffered"],
        op_flags=[["readonly"]] * len(arrays),
        order="C",
        buffersize=min(_BLOCK, max(array.size for array in arrays)),  # it is allocated whole
    )
    with walk:
        for block in walk:
            yield block if isinstance(block, tuple) else (block,)


def aligned(size: int) -> Floats:
    """Give memory that begins with a cache line: a vector across two of them is read twice."""
    room = np.empty(size + 8)
    start = -room.ctypes.data // room.itemsize % 8
    return room[start : start + size]


class Rows:
    """Slices of broadcast arguments as the rows of one buffer, made chunk by chunk: memory does not grow with them.

    Parameters
    ----------
    arrays : sequence of float64 arrays
        One a row; each broadcasts to `shape`.
    shape : tuple of int
        The common shape; element i of a row is element i of the broadcast array in C order.
    chunk : int
        Most elements that :meth:`fill` will be asked for.
    """

    def __init__(self, arrays: Sequence[Floats], shape: tuple[int, ...], chunk: int) -> None:
        size = int(np.prod(shape, dtype=np.int64))
        # Rows that lie a power of two apart would all compete for the same cache lines.
        self.buffer = np.empty((len(arrays), chunk + 8), dtype=np.float64)
        self._copied: list[tuple[int, Floats]] = []
        self._taken: list[tuple[int, Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
        for row, array in enumerate(arrays):
            if array.size == 1:
                self.buffer[row] = array.reshape(())
            elif array.size == size:
                self._copied.append((row, array.reshape(-1)))
            else:
                view = np.broadcast_to(array, shape)
                strides = np.array(view.strides, dtype=np.int64) // array.itemsize
                self._taken.append((row, array.reshape(-1), np.array(shape, dtype=np.int64), strides))

    def fill(self, start: int, stop: int) -> Floats:
        """Put elements ``start <= i < stop`` of every row at the front of the buffer."""
        for row, flat in self._copied:
            self.buffer[row, : stop - start] = flat[start:stop]
        if self._taken:
            from escala.kernels.broadcast import take

            for row, flat, shape, strides in self._taken:
                take(flat, shape, strides, self.buffer[row], start, stop)
        return self.buffer
