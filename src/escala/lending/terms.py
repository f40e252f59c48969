"""What a plan is given, checked: the position, its target, the limits that each step keeps, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import keyed, parallel, tables
from escala.arrays import (
    FloatLike,
    Floats,
    Rows,
    broadcast_shape,
    check_interval,
    check_order,
    check_together,
    to_floats,
)
from escala.curves.curveset import CurveSet
from escala.errors import ScenarioError
from escala.kernels import layout
from escala.kernels.lending.target import condition
from escala.tables import Interval

_LARGEST_CHUNK: Final = 2048  # plans: inputs and lanes of a chunk fit a second-level cache
_RANGES: Final[Mapping[str, Interval]] = tables.intervals(
    (*tables.PLAN_POSITION, *tables.PLAN_LIMITS, *tables.PLAN_COSTS)
)
_INPUTS: Final = tables.names(tables.PLAN_INPUTS)
#: The target that each argument gives, and what a plan without one has.
_KINDS: Final[Mapping[str, str]] = {
    "leverage": "leverage",
    "ltv": "ltv",
    "to_supply": "supply",
    "to_leverage": "leverage",
    "to_ltv": "ltv",
    "repay": "repay",
    "rounds": "rounds",
    "close": "close",
}
_TARGETS: Final = {row.name: row for row in tables.PLAN_TARGETS}
#: What each argument that gives a target may be.
TARGETS: Final[Mapping[str, Interval]] = {
    name: values for name, kind in _KINDS.items() if (values := _TARGETS[kind].values) is not None
}


@dataclass(frozen=True, eq=False)
class Terms:
    """What a plan was given.

    Attributes
    ----------
    kind : str
        The argument that gave the target, ``rounds`` where all rounds are made, ``close`` where all debt is repaid.
    target : array
        Its value; of ``rounds`` inf, of ``close`` 0.
    numbers : mapping of str to array
        All other arguments by name, each of its own shape.
    shape : tuple of int
        Common shape.
    depth : CurveSet or None
        Curves that say what trades keep.
    """

    kind: str
    target: Floats
    numbers: Mapping[str, Floats]
    shape: tuple[int, ...]
    depth: CurveSet | None

    def number(self, name: str) -> Floats:
        """Give an argument in the common shape."""
        return np.broadcast_to(self.numbers[name], self.shape)

    def of_one(self, index: tuple[int, ...]) -> dict[str, Floats]:
        """Give what a kernel reads of one plan."""
        return {name: np.array(self.number(name)[index], dtype=np.float64) for name in _INPUTS}


def checked_terms(
    targets: Mapping[str, FloatLike | None],
    given: Mapping[str, FloatLike],
    depth: FloatLike | CurveSet | None,
    kind: str,
) -> Terms:
    """Check what a plan is given.

    Parameters
    ----------
    targets : mapping of str to array_like or None
        The arguments that may give a target: at most one of them does.
    given : mapping of str to array_like
        All others but `depth`.
    depth : array_like, CurveSet or None
    kind : str
        What the plan is without a target.

    Raises
    ------
    ScenarioError
        If something is out of range or contradicts something else; nothing was computed.
    """
    curves = depth if isinstance(depth, CurveSet) else None
    chosen = {name: value for name, value in targets.items() if value is not None}
    if len(chosen) > 1:
        first, second = list(chosen)[:2]
        raise ScenarioError(f"{first} and {second} are two targets: give one", arguments=(first, second))
    named = {**given, **chosen}
    if depth is not None and not isinstance(depth, CurveSet):
        named["depth"] = depth
    arrays = _arrays(named, curves)
    for name, array in arrays.items():
        check_interval(name, array, {**_RANGES, **TARGETS, "depth": tables.BELOW_ONE}[name])
    arrays.setdefault("equity", np.array(0.0))
    arrays.setdefault("max_ltv", arrays["liquidation_threshold"])  # where only the health factor counts
    market = _market(curves, arrays.pop("depth", np.array(0.0)))
    shape = broadcast_shape({**arrays, "depth": market["keep"]})
    _check_between(arrays, market["keep"])
    if "equity" in given:
        check_together(
            {"equity": arrays["equity"], "supply": arrays["supply"]},
            lambda equity, supply: equity + supply > 0.0,
            "equity and supply must not both be 0",
        )
    kind = next(iter(chosen), kind)
    target = arrays.pop(kind) if chosen else np.array(np.inf if kind == "rounds" else 0.0)
    numbers = {**arrays, **market, **_condition(kind, target, arrays["borrow"])}
    return Terms(kind, target, numbers, shape, curves)


def _arrays(named: Mapping[str, FloatLike], curves: CurveSet | None) -> dict[str, Floats]:
    if curves is None:
        keyed.check_aligned(named, ScenarioError)
        return {name: to_floats(name, value) for name, value in named.items()}
    matched = {name: keyed.by_symbol(name, value, curves.symbols, ScenarioError) for name, value in named.items()}
    return {name: to_floats(name, value) for name, value in matched.items()}


def _check_between(arrays: Mapping[str, Floats], keep: Floats) -> None:
    check_order("max_ltv", arrays["max_ltv"], "liquidation_threshold", arrays["liquidation_threshold"])
    check_together(
        {"swap_fee": arrays["swap_fee"], "what depth keeps": keep}, np.less, "swap_fee must be below what depth keeps"
    )
    if "repay" in arrays:
        check_order("repay", arrays["repay"], "borrow", arrays["borrow"])


def _market(curves: CurveSet | None, share: Floats) -> dict[str, Floats]:
    """Give what trades keep, the largest of them, and the place of the curve that says so."""
    if curves is None:
        return {"keep": 1.0 - share, "most": np.array(np.inf), "curve": np.array(-1.0)}
    for place in np.flatnonzero(~curves.has_curve):
        raise ScenarioError(
            f"depth must have a curve for each instrument, but {curves.symbols[place]!r} has none", arguments=("depth",)
        )
    from escala.kernels.curves.limits import trades

    best, most = np.empty(len(curves)), np.empty(len(curves))
    trades(*curves._arrays(), curves._limits, best, most, 0, len(curves))
    places = np.arange(len(curves), dtype=np.float64)
    if len(curves) == 1:
        return {"keep": best[0], "most": most[0], "curve": places[0]}
    return {"keep": best, "most": most, "curve": places}


def _condition(kind: str, target: Floats, borrow: Floats) -> dict[str, Floats]:
    """Write the target as aim + per_supply·supply − per_borrow·borrow = 0."""
    terms = condition(_TARGETS[_KINDS[kind]].value, target, borrow)
    names = ("aim", "per_supply", "per_borrow", "close")
    return {name: np.asarray(value, dtype=np.float64) for name, value in zip(names, terms, strict=True)}


Kernel = Callable[..., None]


def run(
    kernel: Kernel, terms: Terms, rows: int, integers: int, threads: int | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Plan all positions: gives what the kernel writes, a row each."""
    crew = parallel.checked_threads(threads, ScenarioError)
    n = int(np.prod(terms.shape, dtype=np.int64))
    # Rows a power of two apart would all compete for the same cache lines: eight elements more keep them apart.
    values, counts = np.empty((rows, n + 8)), np.empty((integers, n + 8), dtype=np.int64)
    columns = [np.asarray(terms.numbers[name], dtype=np.float64) for name in _INPUTS]
    chunk = parallel.chunk_size(n, crew, largest=_LARGEST_CHUNK, multiple=layout.PLAN_LANES)
    curves, table = _curves(terms.depth), np.empty((layout.plan_operation.END, 0))

    def make_part() -> parallel.Part:
        buffer = Rows(columns, terms.shape, chunk)
        work = np.empty(layout.PLAN_WORK_SIZE)

        def part(start: int, stop: int) -> Iterator[None]:
            kernel(buffer.fill(start, stop), *curves, table, values, counts, work, start, stop)
            yield

        return part

    parallel.run(make_part, n, chunk=chunk, threads=crew)
    return values[:, :n], counts[:, :n]


def traced(kernel: Kernel, terms: Terms, index: tuple[int, ...], rows: int, integers: int, operations: int) -> Floats:
    """Plan one position again, and give its operations: a row for each of the layout's ``plan_operation``."""
    inputs = terms.of_one(index)
    buffer = Rows([inputs[name] for name in _INPUTS], (), 1).fill(0, 1)
    # the kernel takes a plan alone where it has room to say what it does
    table = np.empty((layout.plan_operation.END, max(operations, 1)))
    values, counts = np.empty((rows, 1)), np.empty((integers, 1), dtype=np.int64)
    kernel(buffer, *_curves(terms.depth), table, values, counts, np.empty(layout.PLAN_WORK_SIZE), 0, 1)
    return table[:, :operations]


def _curves(curves: CurveSet | None) -> tuple[Any, ...]:
    if curves is None:
        return np.zeros(1, dtype=np.int8), np.zeros((1, layout.PARAMS)), np.zeros(1), np.zeros(0)
    return curves._arrays()
