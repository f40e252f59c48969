"""The arguments of an allocation, checked, and what the kernels answer."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from escala import keyed
from escala.allocation.groups import Groups, GroupsLike
from escala.allocation.groups import checked as checked_groups
from escala.arrays import (
    FloatLike,
    Floats,
    check_interval,
    check_together,
    is_integer,
    known_word,
    one_number,
    to_floats,
)
from escala.curves.curveset import CurveSet
from escala.curves.families import coefficient_rules, widest
from escala.errors import AllocationError
from escala.keyed import PerSymbol
from escala.made import made
from escala.tables import (
    ALLOCATION_CHOICES,
    ALLOCATION_CONTROLS,
    ALLOCATION_GROUPS,
    ALLOCATION_SETTINGS,
    ALLOCATION_SOLUTION,
    ALLOCATION_TARGETS,
    ALLOCATION_USUAL,
    FINITE,
    FINITE_FROM_ZERO,
    FRACTION,
    MOST_INCREMENTS,
    MOST_USUAL_GAP,
    PARAMS,
    USUAL_GAP,
    Quantity,
    intervals,
    names,
)

SETTING = {name: place for place, name in enumerate(names(ALLOCATION_SETTINGS))}
_ALLOWED = intervals(ALLOCATION_SETTINGS)
_FEW = 1024  # instruments whose settings are remembered
_FLOAT = frozenset({float})
_PLAIN = frozenset({float, int, str, type(None)})
_CONTROLS = {row.name: row for row in ALLOCATION_CONTROLS}
_GOALS = {row.name: row.value for row in ALLOCATION_TARGETS}
_TARGET_VALUES = {
    "target_utility": FINITE,
    "target_efficiency": FRACTION,
    "target_marginal": FINITE_FROM_ZERO,
}
_NO_TARGETS = np.full(1, np.nan)
#: Where the figures of a problem stand, by name.
FIGURES = {name: place for place, name in enumerate(names(ALLOCATION_SOLUTION))}
_NO_LIMITS = {row.name: float(row.default or 0.0) for row in ALLOCATION_GROUPS}
_CODE = np.dtype(np.int8)


@dataclass(frozen=True, eq=False)
class Controls:
    """What holds for all problems: controls and switches in the order of their tables."""

    values: dict[str, float]
    packed: Floats  # as kernels take them

    @classmethod
    def of(cls, values: dict[str, float]) -> Controls:
        """Pack values; nobody writes into them afterwards."""
        packed = np.array(list(values.values()))
        packed.setflags(write=False)
        return cls(values, packed)

    def __getitem__(self, name: str) -> float:
        return self.values[name]

    def but(self, **others: float) -> Controls:
        """Give the same with other values of some."""
        return Controls.of({**self.values, **others})


@dataclass(frozen=True, eq=False)
class Request:
    """The arguments of an allocation, checked: P problems over n instruments."""

    curves: CurveSet
    total: Floats
    shape: tuple[int, ...]
    params: Floats  # (draws·n, PARAMS)
    settings: Floats  # (len(ALLOCATION_SETTINGS), n)
    controls: Controls
    groups: Groups
    targets: Floats  # one a total, where one is sought
    threshold: bool  # whether there is a least efficiency
    traded: bool  # whether trading costs anything; otherwise what is held makes no difference
    lots: bool  # whether amounts of any are whole lots

    @classmethod
    def checked(
        cls,
        curves: CurveSet,
        total: FloatLike | None,
        params: PerSymbol | None,
        settings: dict[str, PerSymbol],
        controls: dict[str, Any],
        choices: dict[str, str],
        groups: GroupsLike,
        group_limits: dict[str, PerSymbol],
        targets: dict[str, FloatLike | None] | None = None,
    ) -> Request:
        """Check everything, and name the argument, the index and the value of what is wrong."""
        if not isinstance(curves, CurveSet):
            raise AllocationError(f"curves must be a CurveSet, not {type(curves).__name__}", arguments=("curves",))
        n = len(curves)
        goal, wanted = ("none", _NO_TARGETS) if targets is None else _target(targets)
        if goal == "none":
            if total is None:
                raise AllocationError("total must be given, or a target", arguments=("total",))
            totals = to_floats("total", total, AllocationError)
            rows, held, facts = _checked_settings(n, totals, curves, settings, controls, choices)
        else:
            controls = {**controls, "goal": _GOALS[goal]}
            rows, held, facts = _checked_settings(n, np.empty(0), curves, settings, controls, choices)
            if goal == "marginal":
                _check_worth(wanted, held["hurdle"])
            totals, wanted = _beside(
                to_floats("total", _ceiling(curves, total, rows, held), AllocationError), wanted, goal
            )
        check_interval("total", totals, FINITE_FROM_ZERO, AllocationError)
        given = None if params is None else _drawn(curves, params)
        draws = 1 if given is None else given.shape[0]
        request = made(
            cls,
            {
                "curves": curves,
                "total": totals,
                "shape": totals.shape if given is None else (draws, *totals.shape),
                "params": curves._arrays()[1] if given is None else curves._placed(given).reshape(draws * n, PARAMS),
                "settings": rows,
                "controls": held,
                **facts,
                "targets": wanted,
                "groups": _groups(curves, groups, group_limits),
            },
        )
        if goal != "none" or held.values["greedy"] or held.values["step"] or request.whole:
            request._refuse_contradictions(goal)
        return request

    def _refuse_contradictions(self, goal: str) -> None:
        """Refuse what a method does not know, and what targets do not go with."""
        if self.controls["step"] and not self.greedy:
            message = f"step = {self.controls['step']!r} is an increment of method='greedy'; method='exact' has none"
            raise AllocationError(message, arguments=("step", "method"))
        if self.greedy and len(self.groups):
            raise AllocationError("method='greedy' knows no groups", arguments=("method", "groups"))
        if goal != "none" and (self.greedy or self.controls["exactly"]):
            word = "method='greedy'" if self.greedy else "spend='exactly'"
            raise AllocationError(f"{word} knows no targets", arguments=("method", "spend", f"target_{goal}"))
        if self.greedy and self.traded:
            message = "method='greedy' knows no costs of trading: leave out trade_cost and fixed_cost"
            raise AllocationError(message, arguments=("method", "trade_cost", "fixed_cost"))
        if self.whole:
            _check_whole(self, goal)

    @property
    def packed(self) -> tuple[npt.NDArray[np.int8], Floats, Floats]:
        """Give what kernels take of curves beside their coefficients: families, origins and the steps of ladders."""
        family, _, origin, steps = self.curves._arrays()
        return family, origin, steps

    def setting(self, name: str) -> Floats:
        """Give one setting of every instrument."""
        row: Floats = self.settings[SETTING[name]]
        return row

    def with_draws(self, params: PerSymbol) -> Request:
        """Give the same for draws of the curves, one problem (or path) a draw; checks them."""
        given = _drawn(self.curves, params)
        draws = given.shape[0]
        placed = self.curves._placed(given).reshape(draws * len(self.curves), PARAMS)
        return replace(self, params=placed, shape=(draws, *self.total.shape))

    def with_setting(self, name: str, values: Floats | float) -> Request:
        """Give the same with other values of a setting."""
        settings = self.settings.copy()
        settings[SETTING[name]] = values
        return replace(self, settings=settings, **_facts(settings))

    def without_threshold(self) -> Request:
        """Give the same without a least efficiency."""
        return self.with_setting("min_efficiency", 0.0)

    @property
    def greedy(self) -> bool:
        """Tell whether increments are handed out."""
        return self.controls["greedy"] != 0.0

    @property
    def whole(self) -> tuple[str, ...]:
        """Name what makes amounts, or how many instruments hold any, a matter of whole numbers: arguments."""
        if not self.lots and self.controls["max_count"] >= len(self.curves) and not self.controls["min_count"]:
            return ()
        counts = ("max_count",) * (self.controls["max_count"] < len(self.curves))
        return counts + ("min_count",) * (self.controls["min_count"] > 0.0) + ("lots",) * self.lots

    @property
    def solves(self) -> int:
        """Count the solves that a problem may need: 2 where what a threshold leaves over is placed."""
        return 2 if self.threshold and self.controls["distribute"] else 1

    @property
    def sought(self) -> Floats:
        """Give what totals are sought for, one a total; NaN where they are given."""
        return self.targets if self.controls["goal"] else _nothing_sought(self.total.size)

    def costs(self, amounts: Floats) -> Floats:
        """Give what trading each instrument costs, (…, n)."""
        trades = amounts - self.setting("current")
        bought, sold = np.maximum(trades, 0.0), np.maximum(-trades, 0.0)
        traded = np.where(trades != 0.0, self.setting("fixed_cost"), 0.0)
        costs: Floats = self.setting("buy_cost") * bought + self.setting("sell_cost") * sold + traded
        return costs

    @property
    def parts(self) -> int:
        """Count the parts of a workspace."""
        return self.solves * (2 if self.traded else 1)

    @property
    def problems(self) -> int:
        """Count the problems."""
        return math.prod(self.shape)

    @property
    def limits(self) -> Floats:
        """Most capital that records stand for; what is forced in stays possible as far as curves are trusted."""
        supported = self.curves._supported
        if supported is None:
            return self.curves._limits
        most: Floats = np.minimum(self.curves._limits, np.maximum(supported, self.setting("lower")))
        return most

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
            family, _, origin, steps = self.curves._arrays()
            bad = np.zeros(1, dtype=np.int64)
            kernels.evaluate(
                getattr(kernels, wanted), np.tile(family, draws), self.params, np.tile(origin, draws), steps,
                rows, out, bad, 0, rows.size,
            )  # fmt: skip
        values: Floats = out.reshape(draws, n, -1).transpose(0, 2, 1).reshape(amounts.shape)
        return values


@dataclass(frozen=True, eq=False)
class Answers:
    """What the kernel says about some problems: one row each."""

    amounts: Floats
    binding: npt.NDArray[np.int8]
    solution: Floats
    group_prices: Floats

    @classmethod
    def empty(cls, problems: int, n: int, groups: int) -> Answers:
        """Make room for answers."""
        return made(
            cls,
            {
                "amounts": np.empty((problems, n)),
                "binding": np.empty((problems, n), _CODE),
                "solution": np.empty((problems, len(FIGURES))),
                "group_prices": np.empty((problems, groups)),
            },
        )

    def column(self, name: str) -> Floats:
        """Give one figure of every problem."""
        return self.solution[:, FIGURES[name]]

    def figures(self, shape: tuple[int, ...]) -> Floats:
        """Give the figures, one a row in the order of `FIGURES`, of every problem in their shape."""
        return self.solution.T.reshape(len(FIGURES), *shape) if shape else self.solution[0]

    @property
    def worst_status(self) -> float:
        """Say how the problem ended that ended worst."""
        if self.solution.shape[0] == 1:  # not worth a search
            return self.solution.item(FIGURES["status"])
        return float(self.column("status").max(initial=0.0))

    @property
    def status(self) -> npt.NDArray[np.int64]:
        """Say how every problem ended."""
        return self.column("status").astype(np.int64)


@functools.lru_cache(maxsize=64)
def _no_groups(n: int) -> Groups:
    return checked_groups(None, [""] * n, _NO_LIMITS)


def _groups(curves: CurveSet, groups: GroupsLike, limits: dict[str, PerSymbol]) -> Groups:
    """Check groups; where there are none, nothing is made anew."""
    if groups is None and _FLOAT.issuperset(map(type, limits.values())) and limits == _NO_LIMITS:
        return _no_groups(len(curves))
    return checked_groups(groups, curves.symbols.tolist(), limits)


@functools.lru_cache(maxsize=64)
def _nothing_sought(totals: int) -> Floats:
    """Give NaN for each total, which nobody writes into."""
    return np.full(totals, np.nan)


def _target(targets: dict[str, FloatLike | None]) -> tuple[str, Floats]:
    """Find the one target that is given: its name, and its values."""
    asked = [name for name, value in targets.items() if value is not None]
    if not asked:
        return "none", _NO_TARGETS
    if len(asked) > 1:
        message = f"{asked[0]} and {asked[1]} are two questions: ask one"
        raise AllocationError(message, arguments=tuple(asked[:2]))
    values = to_floats(asked[0], targets[asked[0]], AllocationError)
    check_interval(asked[0], values, _TARGET_VALUES[asked[0]], AllocationError)
    return asked[0].removeprefix("target_"), values


def _check_worth(wanted: Floats, hurdle: float) -> None:
    """Refuse a marginal utility below what money returns elsewhere: no unit returns less."""
    said = f"target_marginal must be at least hurdle = {hurdle!r}, which any unit returns elsewhere"
    check_together({"target_marginal": wanted}, lambda target: target >= hurdle, said, AllocationError)


def _ceiling(curves: CurveSet, total: FloatLike | None, rows: Floats, controls: Controls) -> FloatLike:
    """Give the most money that there is: as given, else all that the instruments may hold."""
    if total is not None:
        return total
    most = np.minimum(rows[SETTING["upper"]], np.nan_to_num(curves._limits, nan=0.0, posinf=np.inf))
    open_ended = np.flatnonzero(np.isinf(most))
    if open_ended.size:
        symbol = curves.symbols[open_ended[0]]
        message = f"total must say how much there is at most: {symbol!r} has neither `upper` nor `trusted_to`"
        raise AllocationError(message, arguments=("total",))
    shares = rows[SETTING["max_share"]]
    least_share = float(shares[shares > 0.0].min(initial=1.0))
    return float(most.sum()) / (1.0 - controls["reserve"]) / least_share


def _beside(totals: Floats, wanted: Floats, goal: str) -> tuple[Floats, Floats]:
    """Bring totals and targets to one shape."""
    try:
        shape = np.broadcast_shapes(totals.shape, wanted.shape)
    except ValueError:
        message = f"target_{goal} of shape {wanted.shape} does not go with total of shape {totals.shape}"
        raise AllocationError(message, arguments=("total", f"target_{goal}")) from None
    return np.array(np.broadcast_to(totals, shape)), np.array(np.broadcast_to(wanted, shape)).reshape(-1)


def rates(trade_cost: Any, curves: CurveSet) -> dict[str, PerSymbol]:
    """Give what buying and selling a unit costs: one rate for both, or a tuple of two.

    Raises
    ------
    AllocationError
        Names the argument, the place and the value.
    """
    if type(trade_cost) is float and trade_cost == 0.0:
        return {"buy_cost": 0.0, "sell_cost": 0.0}
    both = isinstance(trade_cost, tuple)
    if both and len(trade_cost) != 2:
        message = f"trade_cost must be one rate or a tuple (buy, sell), not a tuple of {len(trade_cost)}"
        raise AllocationError(message, arguments=("trade_cost",))
    sides = trade_cost if both else (trade_cost,)
    if not isinstance(curves, CurveSet):
        return {"buy_cost": 0.0, "sell_cost": 0.0}  # that is refused later
    given = [
        keyed.per_symbol(
            f"trade_cost[{side}]" if both else "trade_cost", rate, curves.symbols, _ALLOWED["buy_cost"], AllocationError
        )
        for side, rate in enumerate(sides)
    ]
    return {"buy_cost": given[0], "sell_cost": given[-1]}


def _checked_settings(
    n: int,
    totals: Floats,
    curves: CurveSet,
    settings: dict[str, PerSymbol],
    controls: dict[str, Any],
    choices: dict[str, Any],
) -> tuple[Floats, Controls, dict[str, Any]]:
    """Check what is said of the instruments and what holds for all problems; tell which of them matter.

    Plain numbers and words that were asked for before, and that do not depend on the totals, are remembered.
    """
    values = (*settings.values(), *controls.values(), *choices.values())
    kinds = tuple(map(type, values))
    if n <= _FEW and controls["step"] is None and _PLAIN.issuperset(kinds):
        return _plain_settings(n, (*settings, *controls, *choices), values, kinds)
    held = keyed.of_some("current", settings["current"], curves.symbols, 0.0, AllocationError)
    if held is not settings["current"]:
        held = dict(zip(curves.symbols.tolist(), held, strict=True))  # errors name the symbol
    settings = {**settings, "current": held}
    rows = np.empty((len(_ALLOWED), n))
    for row, (name, interval) in zip(rows, _ALLOWED.items(), strict=True):
        row[:] = keyed.per_symbol(name, settings[name], curves.symbols, interval, AllocationError)
    return rows, checked_controls(n, totals, controls, choices), _facts(rows)


def _facts(rows: Floats) -> dict[str, Any]:
    """Tell whether there is a least efficiency, whether trading costs anything, and whether any lots are whole."""
    costs = [SETTING[name] for name in ("buy_cost", "sell_cost", "fixed_cost")]
    return {
        "threshold": bool(rows[SETTING["min_efficiency"]].any()),
        "traded": bool(rows[costs].any()),
        "lots": bool(rows[SETTING["lots"]].any()),
    }


def _check_whole(request: Request, goal: str) -> None:
    """Refuse what does not go with whole lots and counts, and a least number of what has no least amount."""
    first = request.whole[0]
    for other, there in (("method='greedy'", request.greedy), (f"target_{goal}", goal != "none")):
        if there:
            argument = "method" if request.greedy else other
            raise AllocationError(f"{other} knows no {first}: leave one of them out", arguments=(argument, first))
    fewest, most = int(request.controls["min_count"]), int(request.controls["max_count"])
    if fewest > most:
        message = f"min_count must not exceed max_count, but min_count = {fewest} and max_count = {most}"
        raise AllocationError(message, arguments=("min_count", "max_count"))
    if request.groups.overlap:
        message = f"groups that overlap know no {first}: leave one of them out, or let groups lie in one another"
        raise AllocationError(message, arguments=("groups", first))
    if request.controls["min_count"]:
        least = [request.setting(name) for name in ("lower", "min_ticket", "lots")]
        vague = np.flatnonzero((np.max(least, axis=0) == 0.0) & (request.setting("upper") > 0.0))
        if vague.size:
            i = int(vague[0])
            message = (
                f"min_count counts what holds a least amount: {request.curves.symbols[i]!r} (index {i}) has neither "
                "lower nor min_ticket nor lots above 0"
            )
            raise AllocationError(message, arguments=("min_count",), indexes=((i,),))


@functools.lru_cache(maxsize=256)
def _plain_settings(
    n: int, names: tuple[str, ...], values: tuple[Any, ...], _kinds: tuple[type, ...]
) -> tuple[Floats, Controls, dict[str, Any]]:
    """Check plain settings of n instruments, whatever their totals; nobody writes into what comes back.

    `_kinds` are only remembered: 1 and 1.0 are one value, but not where an integer is asked for.
    """
    given = dict(zip(names, values, strict=True))
    rows = np.empty((len(_ALLOWED), n))
    for row, (name, interval) in zip(rows, _ALLOWED.items(), strict=True):
        row[:] = one_number(name, given[name], interval, AllocationError)
    rows.setflags(write=False)
    return rows, checked_controls(n, np.empty(0), given, given), _facts(rows)


def checked_controls(n: int, totals: Floats, controls: dict[str, Any], choices: dict[str, Any]) -> Controls:
    """Check what holds for all problems over n instruments."""
    return Controls.of(
        {
            **{name: _control(row, controls[name], n, totals) for name, row in _CONTROLS.items()},
            **{name: _choice(word, choices[word], known) for name, (word, known) in ALLOCATION_CHOICES.items()},
            "goal": float(controls.get("goal", 0)),
        }
    )


def _control(row: Quantity, value: Any, n: int, totals: Floats) -> float:
    """Check what holds for all problems; None stands for what is usual."""
    if row.values.integer and not (value is None and row.default is None):
        return checked_count(row.name, value)
    if value is None and row.default is None:
        return min(USUAL_GAP * n * n, MOST_USUAL_GAP) if row.name == "tolerance" else ALLOCATION_USUAL[row.name]
    given = one_number(row.name, value, row.values, AllocationError)
    most = float(totals.max(initial=0.0)) / given if row.name == "step" else 0.0
    if most > MOST_INCREMENTS:
        message = f"step must make at most {MOST_INCREMENTS:,} increments, but step = {given!r} makes {most:.2g}"
        raise AllocationError(message, arguments=("step",))
    return given


def checked_count(name: str, value: Any) -> int:
    """Check a number of nodes, instruments or rows."""
    allowed = _CONTROLS.get(name, _CONTROLS["max_nodes"]).values
    if not is_integer(value) or not allowed.low <= int(value) <= allowed.high:
        most = int(allowed.high)
        raise AllocationError(f"{name} must be an integer in [0, {most:,}], not {value!r}", arguments=(name,))
    return int(value)


def _choice(name: str, value: Any, allowed: dict[str, int]) -> float:
    """Give the number of a word."""
    if not known_word(value, allowed):
        known = " or ".join(repr(one) for one in allowed)
        raise AllocationError(f"{name} must be {known}, not {value!r}", arguments=(name,))
    return float(allowed[value])


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
    wrong |= curves._forbidden(given)
    if wrong.any():
        place = tuple(int(k) for k in np.argwhere(wrong)[0])
        allowed = f"must be finite, or all NaN where there is no curve; {coefficient_rules()}"
        message = f"params {allowed}, but params{list(place)} = {float(given[place])!r}"
        raise AllocationError(message, arguments=("params",), indexes=(place,), requirement=allowed)
    return given
