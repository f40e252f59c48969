"""The columns of a design against each other, and against what the model of the scenarios allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from escala.design import ranges as design_ranges
from escala.design.ranges import Column, Relative
from escala.errors import DesignError, did_you_mean
from escala.model import Model


def read(ranges: Any, model: Model, *, grid: bool, free: bool) -> dict[str, Column]:
    """Read what a caller or a file says of all columns.

    Parameters
    ----------
    ranges : mapping
        For each column what :func:`escala.design.ranges.read` takes.
    model : Model
        What scenarios are of.
    grid : bool
        Whether all combinations are to be made.
    free : bool
        Allow any names, and check no values.

    Raises
    ------
    DesignError
        If a column is none, or some row would break a rule; names the column.
    """
    if not isinstance(ranges, Mapping) or not ranges:
        message = f"ranges must be a mapping of column names to what they hold, not {ranges!r}"
        raise DesignError(message, arguments=("ranges",))
    allowed = dict.fromkeys(ranges, design_ranges.ANY) if free else model.allowed
    columns: dict[str, Column] = {}
    for name, given in ranges.items():
        if not isinstance(name, str) or not name:
            raise DesignError(f"ranges must be named by text, not {name!r}", arguments=("ranges",))
        if name not in allowed:
            problem = f"is no argument of {model.function} and no field of {model.settings_type}"
            problem += did_you_mean(name, allowed, ", and the design is not free")
            raise design_ranges.fault(name, problem)
        columns[name] = design_ranges.read(name, given, allowed[name], grid=grid)
    found = bounds(columns)
    for name in found:
        if isinstance(columns[name], Relative):
            design_ranges.check_bounds(name, found[name], allowed[name])
    if not free:
        _check_ordered(columns, found, model)
    return columns


def bounds(columns: Mapping[str, Column]) -> dict[str, tuple[float, float]]:
    """Find the smallest and the largest value of each column."""
    found: dict[str, tuple[float, float]] = {}
    for name in in_order(columns):
        column = columns[name]
        found[name] = column.bounds_given(found[column.of]) if isinstance(column, Relative) else column.bounds
    return found


def in_order(columns: Mapping[str, Column]) -> list[str]:
    """Order the columns so that each follows the one it is a multiple of.

    Raises
    ------
    DesignError
        If there is no such order; names a column.
    """
    done: dict[str, None] = {}
    for name in columns:
        chain: list[str] = []
        step: str | None = name
        while step is not None and step not in done:
            if step in chain:
                circle = " of ".join([*chain[chain.index(step) :], step])
                raise design_ranges.fault(step, f"depends on itself: {circle}")
            chain.append(step)
            column = columns[step]
            following = column.of if isinstance(column, Relative) else None
            if following is not None and following not in columns:
                hint = did_you_mean(following, columns, f"; there are {', '.join(columns)}")
                problem = f"is a multiple of {following}, which is no column{hint}"
                raise design_ranges.fault(step, problem)
            step = following
        done.update(dict.fromkeys(reversed(chain)))
    return list(done)


def _check_ordered(columns: Mapping[str, Column], found: Mapping[str, tuple[float, float]], model: Model) -> None:
    """Refuse columns of which some rows would break an order that the model's numbers must keep."""
    for low, high in model.ordered:
        if (low not in columns and high not in columns) or _is_part_of(low, high, columns):
            continue
        largest = found[low][1] if low in columns else model.defaults.get(low, -math.inf)
        smallest = found[high][0] if high in columns else model.defaults.get(high, math.inf)
        if largest > smallest:
            message = (
                f"{low} must not exceed {high} in any row, but {low} goes up to {largest!r} and {high} down to "
                f"{smallest!r}; {low} may be a multiple of {high}"
            )
            raise DesignError(message, arguments=(low, high))


def _is_part_of(name: str, whole: str, columns: Mapping[str, Column]) -> bool:
    """Tell whether a column is another one times factors of at most one."""
    while name != whole:
        column = columns.get(name)
        if not isinstance(column, Relative) or column.factor.bounds[1] > 1.0:
            return False
        name = column.of
    return True
