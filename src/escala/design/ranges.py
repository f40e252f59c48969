"""What a column of a design may hold: a range, choices, a distribution, a constant, or a multiple of another column."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final, TypeAlias

import numpy as np

from escala.arrays import Floats, check_interval, to_floats
from escala.errors import DesignError
from escala.tables import Interval

#: Any finite number: what a column may hold whose meaning is not known.
ANY: Final = Interval(-1.7976931348623157e308, 1.7976931348623157e308)

_LEAST: Final = 2.0**-53  # of the uniforms of a random design; 1 less this is the largest double below 1
_FIRST_CELL: Final = 2.0**-31  # middle of the first of the 2³⁰ cells that Sobol points can tell apart
_MOST_STEPS: Final = 10_000_000  # values of one column of a grid, all of which are held in memory


@dataclass(frozen=True)
class Uniform:
    """Real numbers from `low` up to `high`, evenly."""

    low: float
    high: float

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.low, self.high

    def fill(self, values: Floats) -> None:
        """Turn numbers u in [0, 1] into low + u·(high − low), not beyond high."""
        values *= self.high - self.low
        values += self.low
        np.minimum(values, self.high, out=values)

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON and TOML have it."""
        return {"low": self.low, "high": self.high}


@dataclass(frozen=True)
class Whole:
    """Integers from `low` to `high`, both included, evenly."""

    low: float
    high: float

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.low, self.high

    def fill(self, values: Floats) -> None:
        """Turn numbers u in [0, 1] into ⌊low + u·(high + 1 − low)⌋, not beyond high."""
        values *= self.high + 1.0 - self.low
        values += self.low
        np.floor(values, out=values)
        np.minimum(values, self.high, out=values)

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON and TOML have it."""
        return {"low": self.low, "high": self.high}


@dataclass(frozen=True)
class Choices:
    """Some values, each as likely as the others."""

    values: tuple[float, ...]

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return min(self.values), max(self.values)

    def fill(self, values: Floats) -> None:
        """Turn numbers u in [0, 1] into the value of index ⌊u·k⌋ of k."""
        place = (values * len(self.values)).astype(np.int64)
        np.minimum(place, len(self.values) - 1, out=place)
        np.take(_array(self.values), place, out=values, mode="clip")

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON and TOML have it."""
        return {"choices": list(self.values)}


@dataclass(frozen=True)
class Steps:
    """`count` values from `low` to `high`, both included, at equal distances: for grids."""

    low: float
    high: float
    count: int

    @property
    def values(self) -> tuple[float, ...]:
        """The values."""
        return tuple(np.linspace(self.low, self.high, self.count).tolist())

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.low, self.high

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON and TOML have it."""
        return {"low": self.low, "high": self.high, "count": self.count}


@dataclass(frozen=True)
class Constant:
    """One value."""

    value: float

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.value, self.value

    def fill(self, values: Floats) -> None:
        """Write the value."""
        values[:] = self.value

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON and TOML have it."""
        return {"constant": self.value}


@dataclass(frozen=True)
class Distribution:
    """A distribution of :mod:`scipy.stats`, by name and with all its parameters."""

    name: str
    parameters: tuple[tuple[str, float], ...]

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value that a uniform in [2⁻⁵³, 1 − 2⁻⁵³] gives."""
        low, high = _frozen(self.name, self.parameters).ppf([_LEAST, 1.0 - _LEAST])
        return float(low), float(high)

    def fill(self, values: Floats) -> None:
        """Turn numbers u in [0, 1] into quantiles; u = 0 counts as 2⁻³¹ and u = 1 as 1 − 2⁻⁵³."""
        values[values == 0.0] = _FIRST_CELL
        np.minimum(values, 1.0 - _LEAST, out=values)
        values[:] = _frozen(self.name, self.parameters).ppf(values)

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON and TOML have it."""
        return {"distribution": self.name, **dict(self.parameters)}


#: What needs no other column.
Range: TypeAlias = Uniform | Whole | Choices | Steps | Constant | Distribution


@dataclass(frozen=True)
class Relative:
    """A multiple of another column: `factor` times the value of the column `of`."""

    of: str
    factor: Range

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON and TOML have it."""
        if isinstance(self.factor, Constant):
            return {"of": self.of, "factor": self.factor.value}
        return {"of": self.of, **self.factor.to_dict()}

    def bounds_given(self, of: tuple[float, float]) -> tuple[float, float]:
        """Smallest and largest value, given those of the other column."""
        products = [a * b for a in self.factor.bounds for b in of]
        return min(products), max(products)


Column: TypeAlias = Range | Relative


def factor(column: Column) -> Range:
    """Give what a column draws itself: its range, or that of its factor."""
    return column.factor if isinstance(column, Relative) else column


@functools.lru_cache(maxsize=64)
def _array(values: tuple[float, ...]) -> Floats:
    return np.array(values, dtype=np.float64)


@functools.lru_cache(maxsize=64)
def _frozen(name: str, parameters: tuple[tuple[str, float], ...]) -> Any:
    from scipy import stats

    return getattr(stats, name)(**dict(parameters))


def read(name: str, given: Any, interval: Interval, *, grid: bool) -> Column:
    """Read what a caller or a file says of a column.

    Parameters
    ----------
    name : str
        The column.
    given : object
        ``(low, high)``, ``(low, high, count)`` in a grid, a list of choices, a number, a frozen distribution of
        :mod:`scipy.stats`, ``(column, …)`` for a multiple of another column, or the table that
        ``to_dict`` makes of one of these.
    interval : Interval
        What its values may be; if these are integers, so are those of its range.
    grid : bool
        Whether the column is one of a grid.

    Raises
    ------
    DesignError
        If it is none of these, or a value is not allowed; names the column and the value.
    """
    of, own = _of_another(name, given)
    if of is not None:
        if interval.integer:
            raise fault(name, f"takes integers, so it cannot be a multiple of {of}")
        return Relative(of, _range(name, own, ANY, grid=grid))
    return _range(name, own, interval, grid=grid)


def fault(name: str, problem: str) -> DesignError:
    """Give the error of a column."""
    return DesignError(f"{name} {problem}", arguments=(name,))


def check_bounds(name: str, bounds: tuple[float, float], interval: Interval, hint: str = "") -> None:
    """Check the smallest and the largest value of a column.

    Raises
    ------
    DesignError
        If one of them is not allowed.
    """
    if not interval.contains(np.array(bounds)).all():
        low, high = bounds
        raise fault(name, f"must be {interval}, but its values go from {low!r} to {high!r}{hint}")


def _of_another(name: str, given: Any) -> tuple[str | None, Any]:
    """Split the form of a multiple into the other column and the factor."""
    if isinstance(given, Relative):
        return given.of, given.factor
    if isinstance(given, Mapping) and "of" in given:
        rest = {key: value for key, value in given.items() if key != "of"}
        if not isinstance(given["of"], str):
            raise fault(name, f"must name another column in 'of', not {given['of']!r}")
        return given["of"], rest.get("factor") if rest.keys() == {"factor"} else rest
    if isinstance(given, tuple) and given and isinstance(given[0], str):
        rest_of_it = given[1:]
        return given[0], rest_of_it[0] if len(rest_of_it) == 1 else rest_of_it
    return None, given


def _range(name: str, given: Any, interval: Interval, *, grid: bool) -> Range:
    found = _recognised(name, given, interval)
    if grid and isinstance(found, Uniform | Whole):
        raise fault(name, "is a column of a grid, which needs (low, high, count) or a list of values")
    if grid and isinstance(found, Distribution):
        raise fault(name, f"is a column of a grid, which takes no distribution: {found.name}")
    if not grid and isinstance(found, Steps):
        raise fault(name, "has a count, which only a grid takes: use (low, high), or a list of choices")
    if isinstance(found, Choices | Steps):
        check_interval(name, np.array(found.values), interval, DesignError)
    else:
        cut = "; a truncated distribution stays inside" if isinstance(found, Distribution) else ""
        check_bounds(name, found.bounds, interval, cut)
    return found


def _recognised(name: str, given: Any, interval: Interval) -> Range:
    if isinstance(given, Uniform | Whole | Choices | Steps | Constant | Distribution):
        return _recognised(name, given.to_dict(), interval)
    if isinstance(given, Mapping):
        return _from_table(name, given, interval)
    if isinstance(given, tuple):
        return _from_tuple(name, given, interval)
    if isinstance(given, Real) and not isinstance(given, bool):
        return Constant(_number(name, "value", given))
    if hasattr(given, "dist") and hasattr(given, "ppf"):
        return _from_frozen(name, given, interval)
    if hasattr(given, "__array__") or (isinstance(given, Sequence) and not isinstance(given, str | bytes)):
        return _choices(name, given)
    raise fault(name, f"must be (low, high), a list of choices, a number or a distribution, not {given!r}")


def _choices(name: str, given: Any) -> Choices:
    values = to_floats(name, given, DesignError)
    if values.ndim != 1 or values.size == 0:
        raise fault(name, f"needs a list of at least one choice, not one of shape {values.shape}")
    check_interval(name, values, ANY, DesignError)
    return Choices(tuple(values.tolist()))


def _number(name: str, key: str, given: Any) -> float:
    if isinstance(given, Real) and not isinstance(given, bool):
        with contextlib.suppress(OverflowError):  # an integer beyond all doubles
            if math.isfinite(given):
                return float(given)
    raise fault(name, f"must be made of finite numbers, but its {key} is {given!r}")


def _from_tuple(name: str, given: tuple[Any, ...], interval: Interval) -> Range:
    if len(given) not in (2, 3):
        raise fault(name, f"must be (low, high), or a list if these are choices, not {given!r}")
    return _from_table(name, dict(zip(("low", "high", "count"), given, strict=False)), interval)


def _from_table(name: str, table: Mapping[str, Any], interval: Interval) -> Range:
    if "distribution" in table:
        parameters = {key: value for key, value in table.items() if key != "distribution"}
        return _distribution(name, table["distribution"], parameters, interval)
    if table.keys() == {"choices"}:
        return _recognised_choices(name, table["choices"])
    if table.keys() == {"constant"}:
        return Constant(_number(name, "constant", table["constant"]))
    if table.keys() not in ({"low", "high"}, {"low", "high", "count"}):
        keys = ", ".join(map(str, table)) or "none"
        known = "low and high (and count in a grid), choices, constant, or distribution"
        raise fault(name, f"has keys that do not go together: {keys}; it takes {known}, with of for a multiple")
    low, high = (_number(name, key, table[key]) for key in ("low", "high"))
    if not low < high:
        raise fault(name, f"must have low < high, but low = {low!r} and high = {high!r}")
    if not math.isfinite(high - low):
        raise fault(name, f"must be narrower than the largest double, but low = {low!r} and high = {high!r}")
    if "count" in table:
        count = table["count"]
        if isinstance(count, bool) or count != int(_number(name, "count", count)) or not 2 <= count <= _MOST_STEPS:
            raise fault(name, f"needs a count that is an integer in [2, {_MOST_STEPS}], not {count!r}")
        return Steps(low, high, int(count))
    return Whole(low, high) if interval.integer else Uniform(low, high)


def _recognised_choices(name: str, given: Any) -> Choices:
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise fault(name, f"needs a list of choices, not {given!r}")
    return _choices(name, given)


def _from_frozen(name: str, given: Any, interval: Interval) -> Distribution:
    shapes = given.dist.shapes.split(", ") if given.dist.shapes else []
    parameters = dict(zip([*shapes, "loc", "scale"], given.args, strict=False)) | dict(given.kwds)
    parameters = {key: value.item() if isinstance(value, np.generic) else value for key, value in parameters.items()}
    return _distribution(name, given.dist.name, parameters, interval, given.dist)


def _distribution(
    name: str, distribution: Any, given: Mapping[str, Any], interval: Interval, its_class: Any = None
) -> Distribution:
    """Check a distribution of :mod:`scipy.stats` and its parameters, and give all of them values."""
    from scipy import stats

    found: Any = getattr(stats, distribution, None) if isinstance(distribution, str) else None
    continuous = isinstance(found, stats.rv_continuous)
    if not continuous and not isinstance(found, stats.rv_discrete):
        raise fault(name, f"needs the name of a distribution of scipy.stats, not {distribution!r}")
    if its_class is not None and type(found) is not type(its_class):
        raise fault(name, f"needs a distribution of scipy.stats, not another of the name {distribution}")
    if interval.integer and continuous:
        raise fault(name, f"takes integers, and {distribution} is continuous")
    shapes = found.shapes.split(", ") if found.shapes else []
    known = [*shapes, "loc", *(["scale"] if continuous else [])]
    for key in given:
        if key not in known:
            raise fault(name, f"has no parameter {key!r}: {distribution} takes {', '.join(known)}")
    for key in shapes:
        if key not in given:
            raise fault(name, f"lacks parameter {key!r} of {distribution}")
    values = {"loc": 0.0, "scale": 1.0, **given}
    parameters = tuple((key, _number(name, key, values[key])) for key in known)
    if math.isnan(float(_frozen(distribution, parameters).ppf(0.5))):
        shown = ", ".join(f"{key} = {value!r}" for key, value in parameters)
        raise fault(name, f"has parameters that {distribution} does not allow: {shown}")
    return Distribution(distribution, parameters)
