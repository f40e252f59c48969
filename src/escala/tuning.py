"""Tuning: the strategy fields that do best over a set of scenarios, found by differential evolution on the kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala import parallel
from escala.arrays import Floats, to_floats, whole_number
from escala.design.design import Design
from escala.errors import ScenarioError
from escala.lending.result import RESULT_NAMES, LendingResult, StopReason
from escala.lending.simulate import simulate
from escala.lending.strategy import ALLOWED, ARGUMENT_NAMES, ORDERED_FIELDS, STRATEGY_FIELDS, LendingStrategy
from escala.text import numerals

__all__ = ["Objective", "Tuning", "tune"]

#: The name of an output, or a function of a result of shape (candidates, scenarios).
Objective = str | Callable[[LendingResult], npt.ArrayLike]

#: What is tuned when nobody says: how much is repaid, borrowed and reinvested.
DEFAULT_FIELDS: Final[Mapping[str, tuple[float, float]]] = {
    "repay": (0.03, 0.3),
    "repay_stalling": (0.03, 0.2),
    "repay_stalled": (0.03, 0.1),
    "target_ltv": (0.5, 0.73),
    "draw_fraction": (0.3, 1.0),
    "wallet_fraction": (0.1, 1.0),
    "reinvest_far": (0.0, 1.0),
    "reinvest_mid": (0.0, 1.0),
    "reinvest_near": (0.0, 1.0),
}
_MOST_HELD_OUT: Final = 16_384
_AT_ONCE: Final = 1 << 19  # scenarios simulated together: memory does not grow with the candidates
_CROWD: Final = 12  # candidates a field in one generation
_LEAST_CROWD: Final = 5  # that differential evolution can do with
_GENERATIONS: Final = 10  # at least, where few evaluations are allowed
_REFUSED: Final = 1e30  # cost of what misses the condition, beyond any honest cost; a miss by more costs more


@dataclass(frozen=True, eq=False)
class Tuning:
    """The best strategy that was found, and what it is worth on scenarios that it was not tuned on.

    Attributes
    ----------
    strategy : LendingStrategy
        With the fields found.
    fields : dict of str to float
        Those fields alone.
    value, start_value : float
        Objective on the scenarios it was tuned on: found, and of the strategy begun with.
    held_out_value, held_out_start_value : float
        The same on scenarios that were kept back.
    reached, start_reached : float
        Share of those scenarios, kept back, that reach the target.
    scenarios, held_out : int
        How many of both.
    evaluations : int
        Strategies tried, each on all scenarios.
    seconds : float
        What that took.
    """

    strategy: LendingStrategy
    fields: Mapping[str, float]
    value: float
    start_value: float
    held_out_value: float
    held_out_start_value: float
    reached: float
    start_reached: float
    scenarios: int
    held_out: int
    evaluations: int
    seconds: float

    @property
    def evaluations_per_second(self) -> float:
        """Strategies tried a second."""
        return self.evaluations / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """Give everything but the strategy by name."""
        names = [name for name in self.__dataclass_fields__ if name not in {"strategy", "fields"}]
        values = {name: getattr(self, name) for name in names}
        return {"fields": dict(self.fields), **values, "evaluations_per_second": self.evaluations_per_second}

    def summary(self) -> str:
        """Say in words what was found and what it is worth."""
        n, m = self.scenarios, self.held_out
        lines = [
            f"{self.evaluations:,} strategies on {n:,} scenarios each, {self.evaluations_per_second:,.0f} a second",
            "",
            *(f"  {name:<24}{numerals.ratio(value):>14}" for name, value in self.fields.items()),
            "",
            f"  {'objective':<38}{'start':>14}{'found':>14}",
            f"  {'on the scenarios it was tuned on':<38}{self.start_value:>14.6g}{self.value:>14.6g}",
            f"  {f'on {m:,} others':<38}{self.held_out_start_value:>14.6g}{self.held_out_value:>14.6g}",
            f"  {'  of which reach the target':<38}{self.start_reached:>14.2%}{self.reached:>14.2%}",
        ]
        if self.held_out_value < self.held_out_start_value:
            lines.append("  warning: on scenarios it was not tuned on, what was found does worse than the start")
        return "\n".join(lines)


def tune(
    objective: Objective,
    design: Design,
    fields: Mapping[str, tuple[float, float]] | None = None,
    *,
    strategy: LendingStrategy | None = None,
    scenarios: int = 1024,
    evaluations: int = 2000,
    reach: bool = True,
    seed: int = 0,
    threads: int | None = None,
) -> Tuning:
    """Find strategy fields that maximise an objective over a set of scenarios.

    Parameters
    ----------
    objective : str or callable
        What to maximise. A name is an attribute of :class:`escala.LendingResult`, averaged over the scenarios. A
        function is given a result of shape (candidates, scenarios) and gives a value for each of these, which is
        averaged, or for each candidate.
    design : Design
        Where scenarios come from: rows drawn without replacement, some to tune on, some that are kept back.
    fields : mapping of str to (low, high), optional
        Strategy fields to tune, none of them a column of the design; by default nine that say how much is repaid,
        borrowed and reinvested.
    strategy : LendingStrategy, optional
        Where to start, and the fields that stay; one number each.
    scenarios : int, default 1024
        Rows to tune on, fewer if the design has less than twice as many. As many rows again as are left, at most
        16,384, are kept back.
    evaluations : int, default 2000
        Most strategies to try, at least 5.
    reach : bool, default True
        Find only strategies that reach the target in at least as many scenarios as the start does.
    seed : int, default 0
        Of the choice of rows and of the search: the same seed finds the same fields.
    threads : int, optional
        As in :func:`escala.simulate`; the result does not depend on it.

    Returns
    -------
    Tuning
        Never worse than the start on the scenarios that it was tuned on.

    Raises
    ------
    ScenarioError
        If an argument is bad; names it.

    Notes
    -----
    Differential evolution (:func:`scipy.optimize.differential_evolution`); a generation is one call of the kernel.
    Where a field must not exceed another (``target_ltv`` and ``ltv_ceiling``, …), a candidate's is lowered to it.
    Equity only falls in this model, so the net equity change alone is best served by doing nothing: keep `reach`.

    Examples
    --------
    >>> ranges = {"supply": (500.0, 2e3), "borrow": ("supply", 0.4, 0.6), "target": ("supply", 1.3), "wallet": 100.0}
    >>> design = Design.sobol(ranges, 512, 1)
    >>> found = tune("net_equity_change", design, {"repay": (0.0, 0.3)}, scenarios=128, evaluations=60)
    >>> found.held_out_value > found.held_out_start_value
    True
    """
    _check_design(design)
    search = _Search(objective, strategy, _checked_fields(fields, design), design, reach, threads)
    whole_number("scenarios", scenarios, 1)
    whole_number("evaluations", evaluations, _LEAST_CROWD)
    whole_number("seed", seed, 0)
    tuned_on, kept_back = _two_sets(design, scenarios, seed)
    began = time.perf_counter()
    found, tried = search.run(tuned_on, evaluations, seed)
    seconds = time.perf_counter() - began
    both = np.stack([search.start, found], axis=1)
    values, _ = search.measure(both, tuned_on)
    held_out, reached = search.measure(both, kept_back)
    chosen = {name: float(value[1]) for name, value in search.repaired(both).items()}
    return Tuning(
        search.strategy.replace(**chosen),
        chosen,
        float(values[1]),
        float(values[0]),
        float(held_out[1]),
        float(held_out[0]),
        float(reached[1]),
        float(reached[0]),
        tuned_on["supply"].size,
        kept_back["supply"].size,
        tried,
        seconds,
    )


class _Search:
    """Candidates, columns of x one field a row, and what they are worth."""

    def __init__(
        self,
        objective: Objective,
        strategy: LendingStrategy | None,
        fields: Mapping[str, tuple[float, float]],
        design: Design,
        reach: bool,
        threads: int | None,
    ) -> None:
        if isinstance(objective, str) and objective not in RESULT_NAMES:
            raise ScenarioError(f"objective {objective!r} is no output of a simulation", arguments=("objective",))
        if not isinstance(objective, str) and not callable(objective):
            message = f"objective must be the name of an output or a function, not {objective!r}"
            raise ScenarioError(message, arguments=("objective",))
        self.strategy = _scalar(strategy)
        self._objective = objective
        self._fields = fields
        self._reach = reach
        self._threads = parallel.checked_threads(threads, ScenarioError)
        self._whole = [ALLOWED[name].integer for name in fields]
        own = {name: float(value) for name, value in self.strategy.arrays().items()}
        #: Smallest and largest value of every field that stays, in any row.
        self._stays = {name: design.bounds.get(name, (value, value)) for name, value in own.items()}
        low, high = np.array(list(fields.values()), dtype=np.float64).T
        self._bounds = list(zip(low, high, strict=True))
        #: The strategy begun with, as near as the ranges allow.
        self.start: Floats = np.clip([own[name] for name in fields], low, high)

    def run(self, rows: Mapping[str, Floats], evaluations: int, seed: int) -> tuple[Floats, int]:
        """Give the best candidate found, and how many were tried."""
        from scipy.optimize import differential_evolution

        values, reached = self.measure(self.start[:, None], rows)
        wanted = float(reached[0]) if self._reach else 0.0
        if not np.isfinite(values[0]):
            raise ScenarioError("the objective of the strategy begun with is not finite", arguments=("objective",))

        tried = 0
        failure: Exception | None = None

        def cost(x: Floats) -> Floats:
            nonlocal tried, failure
            tried += x.size // len(self.start)  # scipy counts calls, each of which is a generation
            try:
                values, reached = self.measure(x.reshape(len(self.start), -1), rows)
            except Exception as error:  # scipy would make of it an error that speaks of its own insides
                failure = error
                raise
            finite = np.where(np.isfinite(values), -values, 2.0 * _REFUSED)
            return np.where(reached < wanted, _REFUSED * (1.0 + wanted - reached), finite)

        crowd = max(_LEAST_CROWD, min(_CROWD * len(self.start), evaluations // _GENERATIONS))
        drawn = np.random.default_rng(seed).random((crowd, len(self.start)))
        low, high = np.array(self._bounds).T
        first = low + drawn * (high - low)
        first[0] = self.start
        try:
            found = differential_evolution(
                cost, self._bounds, init=first, maxiter=evaluations // crowd - 1, tol=0.0, atol=0.0, polish=False,
                vectorized=True, updating="deferred", integrality=self._whole, rng=np.random.default_rng([seed, 1]),
            )  # fmt: skip
        except RuntimeError:
            if failure is None:
                raise
            raise failure from None
        return np.asarray(found.x, dtype=np.float64), tried

    def measure(self, x: Floats, rows: Mapping[str, Floats]) -> tuple[Floats, Floats]:
        """Give the objective of each candidate, and the share of scenarios in which it reaches the target."""
        n = rows["supply"].size
        step = max(1, _AT_ONCE // n)
        parts = [self._measure(x[:, k : k + step], rows) for k in range(0, x.shape[1], step)]
        return np.concatenate([values for values, _ in parts]), np.concatenate([reached for _, reached in parts])

    def _measure(self, x: Floats, rows: Mapping[str, Floats]) -> tuple[Floats, Floats]:
        candidates = {name: values[:, None] for name, values in self.repaired(x).items()}
        columns = {name: column for name, column in rows.items() if name not in ARGUMENT_NAMES}
        strategy = self.strategy.replace(**columns, **candidates)
        result = simulate(
            rows["supply"], rows["borrow"], rows["target"], rows["wallet"], strategy=strategy, threads=self._threads
        )
        values = self._values(result)
        return values, (result.stop == StopReason.TARGET_REACHED).mean(axis=1)

    def _values(self, result: LendingResult) -> Floats:
        if isinstance(self._objective, str):
            given = np.asarray(getattr(result, self._objective), dtype=np.float64)
        else:
            given = np.asarray(self._objective(result), dtype=np.float64)
        if given.shape == result.shape:
            return np.asarray(given.mean(axis=1))
        if given.shape != result.shape[:1]:
            message = f"objective must give values of shape {result.shape} or {result.shape[:1]}, not {given.shape}"
            raise ScenarioError(message, arguments=("objective",))
        return given

    def repaired(self, x: Floats) -> dict[str, Floats]:
        """Name the fields, whole where they must be, and none above the one it must not exceed."""
        fields = {
            name: np.round(values) if whole else values
            for name, values, whole in zip(self._fields, x, self._whole, strict=True)
        }
        for low, high in ORDERED_FIELDS:
            if low in fields:
                fields[low] = np.minimum(fields[low], fields.get(high, self._stays[high][0]))
            elif high in fields:
                fields[high] = np.maximum(fields[high], self._stays[low][1])
        return fields


def _checked_fields(
    fields: Mapping[str, tuple[float, float]] | None, design: Design
) -> Mapping[str, tuple[float, float]]:
    if fields is None:
        fields = {name: bounds for name, bounds in DEFAULT_FIELDS.items() if name not in design.names}
    if not isinstance(fields, Mapping):
        message = f"fields must be a mapping of strategy fields to (low, high), not {fields!r}"
        raise ScenarioError(message, arguments=("fields",))
    if not fields:
        raise ScenarioError("fields must name at least one strategy field", arguments=("fields",))
    for name, bounds in fields.items():
        if name not in STRATEGY_FIELDS:
            raise ScenarioError(f"fields: {name!r} is no strategy field", arguments=("fields",))
        if name in design.names:
            raise ScenarioError(f"fields: {name} is a column of the design already", arguments=("fields",))
        pair = to_floats(f"fields: {name}", bounds)
        if pair.shape != (2,) or not ALLOWED[name].contains(pair).all() or not pair[0] < pair[1]:
            message = f"fields: {name} must be (low, high) with low < high {ALLOWED[name]}, not {bounds!r}"
            raise ScenarioError(message, arguments=(name,))
    return fields


def _scalar(strategy: LendingStrategy | None) -> LendingStrategy:
    strategy = LendingStrategy() if strategy is None else strategy
    if not isinstance(strategy, LendingStrategy):
        raise ScenarioError(f"strategy must be a LendingStrategy, not {strategy!r}", arguments=("strategy",))
    for name, array in strategy.arrays().items():
        if array.ndim:
            raise ScenarioError(
                f"{name} must be one number to start from, not of shape {array.shape}", arguments=(name,)
            )
    return strategy


def _check_design(design: Design) -> None:
    if not isinstance(design, Design):
        raise ScenarioError(f"design must be a Design, not {design!r}", arguments=("design",))
    unknown = [name for name in design.names if name not in ALLOWED]
    if unknown:
        raise ScenarioError(f"the design has an unknown column {unknown[0]!r}", arguments=("design",))
    missing = [name for name in ARGUMENT_NAMES if name not in design.names]
    if missing:
        raise ScenarioError(f"the design has no column {' and no '.join(missing)}", arguments=("design",))
    if len(design) < 2:
        raise ScenarioError(
            "the design must have at least 2 rows: one to tune on, one to keep back", arguments=("design",)
        )


def _two_sets(design: Design, scenarios: int, seed: int) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Draw rows to tune on and rows to keep back."""
    n = len(design)
    count = min(scenarios, n // 2)
    drawn = np.sort(_distinct(n, min(n, count + _MOST_HELD_OUT), seed))
    mixed = np.random.default_rng([seed, 2]).permutation(drawn.size)
    return _rows(design, np.sort(drawn[mixed[:count]])), _rows(design, np.sort(drawn[mixed[count:]]))


def _distinct(n: int, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw distinct numbers below n, without room for all of them."""
    generator = np.random.default_rng([seed, 3])
    if n <= 4 * count:
        return generator.permutation(n)[:count]
    drawn = np.unique(generator.integers(0, n, 2 * count))
    return generator.permutation(drawn)[:count]


def _rows(design: Design, places: npt.NDArray[np.int64]) -> dict[str, Floats]:
    """Make rows of a design: slices where they lie close together, one by one where they do not."""
    if places.size * 64 >= len(design):
        rows = design.rows()
        return {name: column[places] for name, column in rows.items()}
    made = [design.rows(int(i), int(i) + 1) for i in places]
    return {name: np.concatenate([row[name] for row in made]) for name in design.names}
