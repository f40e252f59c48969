"""Differential evolution over the fields of a model: candidates, and what they are worth over some scenarios."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.design.design import Design
from escala.errors import ScenarioError
from escala.model import Model

#: The name of an output, or a function of a result of shape (candidates, scenarios).
Objective = str | Callable[[Any], npt.ArrayLike]

LEAST_CROWD: Final = 5  # that differential evolution can do with
_CROWD: Final = 12  # candidates a field in one generation
_GENERATIONS: Final = 10  # at least, where few evaluations are allowed
_AT_ONCE: Final = 1 << 19  # scenarios worked through together: memory does not grow with the candidates
_REFUSED: Final = 1e30  # cost of what misses the condition, beyond any honest cost; a miss by more costs more


class Search:
    """Candidates, columns of x one field a row, and what they are worth.

    Parameters
    ----------
    objective : str or callable
        What to maximise.
    model : Model
        What scenarios are of.
    strategy : object
        The model's settings to begin with, one number each.
    fields : mapping of str to (low, high)
        What is tuned.
    design : Design
        Where scenarios come from.
    reach : bool
        Whether no candidate may end as the model's goal less often than the start.
    threads : int
        Threads to use.

    Raises
    ------
    ScenarioError
        If the objective is none.
    """

    def __init__(
        self,
        objective: Objective,
        model: Model,
        strategy: Any,
        fields: Mapping[str, tuple[float, float]],
        design: Design,
        *,
        reach: bool,
        threads: int,
    ) -> None:
        _check_objective(objective, model)
        self.strategy = strategy
        self._model = model
        self._objective = objective
        self._fields = fields
        self._reach = reach
        self._threads = threads
        self._whole = [model.allowed[name].integer for name in fields]
        own = {name: float(value) for name, value in model.numbers(strategy).items()}
        #: Smallest and largest value of everything that stays, in any row.
        self._stays = {**{name: (value, value) for name, value in own.items()}, **design.bounds}
        low, high = np.array(list(fields.values()), dtype=np.float64).T
        self._bounds = list(zip(low, high, strict=True))
        #: The strategy begun with, as near as the ranges allow.
        self.start: Floats = np.clip([own[name] for name in fields], low, high)

    def run(self, rows: Mapping[str, Floats], evaluations: int, seed: int) -> tuple[Floats, int]:
        """Give the best candidate found, and how many were tried."""
        from scipy.optimize import differential_evolution

        values, reached = self.measure(self.start[:, None], rows)
        wanted = float(reached[0]) if self._reach and self._model.goal is not None else 0.0
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

        crowd = max(LEAST_CROWD, min(_CROWD * len(self.start), evaluations // _GENERATIONS))
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
        """Give the objective of each candidate, and the share of scenarios that end as wanted, NaN without a goal."""
        n = next(iter(rows.values())).size
        step = max(1, _AT_ONCE // n)
        parts = [self._measure(x[:, k : k + step], rows) for k in range(0, x.shape[1], step)]
        return np.concatenate([values for values, _ in parts]), np.concatenate([reached for _, reached in parts])

    def _measure(self, x: Floats, rows: Mapping[str, Floats]) -> tuple[Floats, Floats]:
        candidates = {name: values[:, None] for name, values in self.repaired(x).items()}
        result = self._model.evaluate({**rows, **candidates}, self.strategy, self._threads)
        shape = (x.shape[1], next(iter(rows.values())).size)
        goal = self._model.goal
        reached = np.full(shape[0], np.nan) if goal is None else (result.stop == goal.value).mean(axis=1)
        return self._values(result, shape), reached

    def _values(self, result: Any, shape: tuple[int, int]) -> Floats:
        if isinstance(self._objective, str):
            given = np.asarray(getattr(result, self._objective), dtype=np.float64)
        else:
            given = np.asarray(self._objective(result), dtype=np.float64)
        if given.shape == shape:
            return np.asarray(given.mean(axis=1))
        if given.shape != shape[:1]:
            message = f"objective must give values of shape {shape} or {shape[:1]}, not {given.shape}"
            raise ScenarioError(message, arguments=("objective",))
        return given

    def repaired(self, x: Floats) -> dict[str, Floats]:
        """Name the fields, whole where they must be, and none above the one it must not exceed."""
        fields = {
            name: np.round(values) if whole else values
            for name, values, whole in zip(self._fields, x, self._whole, strict=True)
        }
        for low, high in self._model.ordered:
            if low in fields:
                fields[low] = np.minimum(fields[low], fields.get(high, self._stays[high][0]))
            elif high in fields:
                fields[high] = np.maximum(fields[high], self._stays[low][1])
        return fields


def _check_objective(objective: Any, model: Model) -> None:
    if not isinstance(objective, str):
        if not callable(objective):
            message = f"objective must be the name of an output or a function, not {objective!r}"
            raise ScenarioError(message, arguments=("objective",))
        return
    if objective == "stop" and model.stops:
        end = model.stops[0] if model.goal is None else model.goal
        message = (
            "objective 'stop' is the number of the way in which a scenario ends, of which more is not better; give a "
            f"function of the result, such as lambda result: result.stop == {int(end.value)}, the share that ends as "
            f"{end.name}"
        )
        raise ScenarioError(message, arguments=("objective",))
    if objective in model.argument_names:
        message = f"objective {objective!r} is a column of the design, which no field changes; name an output"
        raise ScenarioError(message, arguments=("objective",))
    if objective not in model.output_names:
        raise ScenarioError(f"objective {objective!r} is no output of a simulation", arguments=("objective",))
