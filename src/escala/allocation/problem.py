"""The arguments of an allocation, checked, and what the kernels answer."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.arrays import FloatLike, Floats, check_interval, one_number, to_floats
from escala.curves.curveset import CurveSet
from escala.curves.families import coefficient_rules, forbidden_coefficients, widest
from escala.errors import AllocationError
from escala.keyed import PerSymbol
from escala.tables import PARAMS, Interval

_FRACTION: Final = Interval(0.0, 1.0)

_FROM_ZERO: Final = Interval(0.0, np.inf)

_FINITE_FROM_ZERO: Final = Interval(0.0, np.inf, high_open=True)

_RESERVE: Final = Interval(0.0, 1.0, high_open=True)

_POSITIVE: Final = Interval(0.0, np.inf, low_open=True, high_open=True)

#: What a setting may be; in the order of the kernels' rows.
SETTINGS: Final = {
    "min_efficiency": _FRACTION,
    "lower": _FINITE_FROM_ZERO,
    "upper": _FROM_ZERO,
    "min_ticket": _FINITE_FROM_ZERO,
    "max_share": _FRACTION,
    "priority": _FINITE_FROM_ZERO,
}

MIN_EFFICIENCY, PRIORITY = 0, 5

#: Gap at which the search stops: this times n², at most the second.
_TOLERANCE: Final = 1e-9

_MOST_TOLERANCE: Final = 1e-4

_MOST_NODES: Final = 10_000_000

_MOST_INCREMENTS: Final = 100_000_000

#: Relative: money that is not there.
NOTHING: Final = 1e-12


@dataclass(frozen=True, eq=False)
class Request:
    """The arguments of an allocation, checked: P problems over n instruments."""

    curves: CurveSet
    total: Floats
    shape: tuple[int, ...]
    params: Floats  # (draws·n, 3)
    settings: Floats  # (6, n)
    controls: dict[str, float]
    exactly: bool
    distribute: bool
    greedy: bool
    step: float  # of the greedy method; 0: a part of the total

    @classmethod
    def checked(
        cls,
        curves: CurveSet,
        total: FloatLike,
        params: PerSymbol | None,
        settings: dict[str, PerSymbol],
        controls: dict[str, Any],
        choices: dict[str, str],
        step: float | None,
    ) -> Request:
        """Check everything, and name the argument, the index and the value of what is wrong."""
        if not isinstance(curves, CurveSet):
            raise AllocationError(f"curves must be a CurveSet, not {type(curves).__name__}", arguments=("curves",))
        n = len(curves)
        totals = to_floats("total", total, AllocationError)
        check_interval("total", totals, _FINITE_FROM_ZERO, AllocationError)
        rows = np.empty((len(SETTINGS), n))
        for row, (name, interval) in zip(rows, SETTINGS.items(), strict=True):
            row[:] = _setting(name, settings[name], curves, interval)
        given = None if params is None else _drawn(curves, params)
        draws = 1 if given is None else given.shape[0]
        tolerance = min(_TOLERANCE * n * n, _MOST_TOLERANCE)
        if controls["tolerance"] is not None:
            tolerance = one_number("tolerance", controls["tolerance"], _FRACTION, AllocationError)
        return cls(
            curves=curves,
            total=totals,
            shape=totals.shape if given is None else (draws, *totals.shape),
            params=np.ascontiguousarray(curves.params) if given is None else given.reshape(draws * n, PARAMS),
            settings=rows,
            controls={
                "reserve": one_number("reserve", controls["reserve"], _RESERVE, AllocationError),
                "hurdle": one_number("hurdle", controls["hurdle"], _FINITE_FROM_ZERO, AllocationError),
                "tolerance": tolerance,
                "max_nodes": checked_count("max_nodes", controls["max_nodes"]),
            },
            exactly=_choice("spend", choices["spend"], ("at_most", "exactly")) == "exactly",
            distribute=_choice("remainder", choices["remainder"], ("distribute", "hold")) == "distribute",
            greedy=_choice("method", choices["method"], ("exact", "greedy")) == "greedy",
            step=0.0 if step is None else _step(step, totals),
        )

    @property
    def problems(self) -> int:
        """Count the problems."""
        return int(np.prod(self.shape, dtype=np.int64))

    @functools.cached_property
    def money(self) -> Floats:
        """Money of each problem, flat."""
        whole = np.broadcast_to(self.total, self.shape).reshape(-1)
        return whole * (1.0 - self.controls["reserve"])

    def evaluate(self, wanted: str, amounts: Floats) -> Floats:
        """Evaluate every problem's curves at its amounts."""
        from escala.kernels.curves import evaluate as kernels

        n = len(self.curves)
        if amounts.size == 0:
            return np.empty(amounts.shape)
        draws = self.params.shape[0] // n
        levels = amounts.reshape(draws, -1, n)
        rows = np.ascontiguousarray(levels.transpose(0, 2, 1)).reshape(draws * n, -1)
        out = np.empty_like(rows)
        if rows.size:
            family, _, origin = self.curves._arrays()
            bad = np.zeros(1, dtype=np.int64)
            kernels.evaluate(
                getattr(kernels, wanted), np.tile(family, draws), self.params, np.tile(origin, draws), rows, out, bad,
                0, rows.size,
            )  # fmt: skip
        values: Floats = out.reshape(draws, n, -1).transpose(0, 2, 1).reshape(amounts.shape)
        return values


@dataclass(frozen=True, eq=False)
class Answers:
    """What the kernels say about some problems: one row each."""

    amounts: Floats
    binding: npt.NDArray[np.int8]
    facts: Floats

    def column(self, name: str) -> Floats:
        """Give one figure of every problem."""
        from escala.kernels.allocation.search import FACTS

        return self.facts[:, FACTS.index(name)]

    @property
    def status(self) -> npt.NDArray[np.int64]:
        """Say how every problem ended."""
        return self.column("status").astype(np.int64)

    def taken(self, where: npt.NDArray[Any]) -> Answers:
        """Take some rows, as a copy."""
        return Answers(self.amounts[where], self.binding[where], self.facts[where])

    def put(self, where: npt.NDArray[Any], other: Answers) -> None:
        """Replace some rows."""
        self.amounts[where], self.binding[where], self.facts[where] = other.amounts, other.binding, other.facts

    def copy(self) -> Answers:
        """Copy all rows."""
        return Answers(self.amounts.copy(), self.binding.copy(), self.facts.copy())


def _setting(name: str, value: PerSymbol, curves: CurveSet, interval: Interval) -> FloatLike:
    """Check one value for all instruments, or one for each."""
    if type(value) is float and interval.has(value):
        return value
    return keyed.per_symbol(name, value, curves.symbols, interval, AllocationError)


def _step(step: Any, totals: Floats) -> float:
    """Check the increment of the greedy method, and that there are not too many of them."""
    value = one_number("step", step, _POSITIVE, AllocationError)
    most = float(totals.max(initial=0.0)) / value
    if most > _MOST_INCREMENTS:
        message = f"step must make at most {_MOST_INCREMENTS:,} increments, but step = {value!r} makes {most:.2g}"
        raise AllocationError(message, arguments=("step",))
    return value


def checked_count(name: str, value: Any) -> int:
    """Check a number of nodes or rows."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) <= _MOST_NODES:
        raise AllocationError(f"{name} must be an integer in [0, {_MOST_NODES:,}], not {value!r}", arguments=(name,))
    return int(value)


def _choice(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        known = " or ".join(repr(one) for one in allowed)
        raise AllocationError(f"{name} must be {known}, not {value!r}", arguments=(name,))
    return str(value)


def _drawn(curves: CurveSet, params: PerSymbol) -> Floats:
    """Check coefficients of many sets of curves."""
    matched = keyed.by_symbol("params", params, curves.symbols, AllocationError, axis=1)
    given = to_floats("params", matched, AllocationError)
    n = len(curves)
    if given.ndim == 3 and given.shape[1] == n and widest(curves.family) <= given.shape[2] < PARAMS:
        spare = np.where(np.isnan(given[..., :1]), np.nan, np.zeros(PARAMS - given.shape[2]))
        given = np.concatenate([given, spare], axis=-1)
    if given.ndim != 3 or given.shape[1:] != (n, PARAMS):
        message = f"params of shape {given.shape} must be of shape (draws, {n}, {PARAMS})"
        raise AllocationError(message, arguments=("params",))
    unknown = np.isnan(given)
    wrong = np.isinf(given) | (unknown & ~unknown.all(axis=-1, keepdims=True))
    wrong |= forbidden_coefficients(given, curves.family)
    if wrong.any():
        place = tuple(int(k) for k in np.argwhere(wrong)[0])
        allowed = f"must be finite, or all NaN where there is no curve; {coefficient_rules()}"
        message = f"params {allowed}, but params{list(place)} = {float(given[place])!r}"
        raise AllocationError(message, arguments=("params",), indexes=(place,), requirement=allowed)
    return given
