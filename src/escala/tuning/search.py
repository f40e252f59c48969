"""Differential evolution over the fields of a model: candidates, and what they are worth over some scenarios."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from escala.arrays import Floats
from escala.design.design import Design
from escala.errors import ScenarioError, did_you_mean
from escala.model import Model

#: The name of an output, with a minus before it for its least, or a function of a result (candidates, scenarios).
Objective = str | Callable[[Any], npt.ArrayLike]

LEAST_CROWD: Final = 5  # that differential evolution can do with
_CROWD: Final = 12  # candidates a field in one generation
_GENERATIONS: Final = 10  # at least, where few evaluations are allowed
_AT_ONCE: Final = 1 << 19  # scenarios worked through together: memory does not grow with the candidates
_WORST: Final = 1e100  # by which a condition can be missed
_LEAST_SCALE: Final = 1e-300  # of a limit
_REFUSED: Final = 1e30  # cost of what misses the condition, beyond any honest cost; a miss by more costs more


@dataclass(frozen=True)
class Worth:
    """What candidates are worth over some scenarios: one number a candidate, and a row a limit.

    Attributes
    ----------
    values, errors : (k,) float64
        The objective, and its standard error or NaN.
    reached : (k,) float64
        Share of scenarios that end as wanted, NaN without a goal.
    limited, limited_errors : (limits, k) float64
        Outputs that have limits, and their standard errors or NaN.
    """

    values: Floats
    errors: Floats
    reached: Floats
    limited: Floats
    limited_errors: Floats

    @classmethod
    def joined(cls, parts: Sequence[Worth]) -> Worth:
        """Put candidates one after the other."""
        names = (field.name for field in dataclasses.fields(cls))
        return cls(*(np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in names))


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
    limits : mapping of str to (low, high)
        Between what means of outputs have to be.
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
        limits: Mapping[str, tuple[float, float]],
        reach: bool,
        threads: int,
    ) -> None:
        _check_objective(objective, model)
        self._model = model
        self._objective = objective
        self._limits = limits
        self._outputs = _needed(objective, model, limits)
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

    def run(self, rows: Mapping[str, Floats], strategy: Any, evaluations: int, seed: int) -> tuple[Floats, int]:
        """Give the best candidate found over rows, with the other fields of a strategy, and how many were tried."""
        from scipy.optimize import differential_evolution

        begun = self.measure(self.start[:, None], rows, strategy)
        wanted = float(begun.reached[0]) if self._reach and self._model.goal is not None else 0.0
        if not np.isfinite(begun.values[0]):
            raise ScenarioError("the objective of the strategy begun with is not finite", arguments=("objective",))

        tried = 0
        failure: Exception | None = None

        def cost(x: Floats) -> Floats:
            nonlocal tried, failure
            tried += x.size // len(self.start)  # scipy counts calls, each of which is a generation
            try:
                worth = self.measure(x.reshape(len(self.start), -1), rows, strategy)
            except Exception as error:  # scipy would make of it an error that speaks of its own insides
                failure = error
                raise
            return self._cost(worth, wanted)

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

    def _cost(self, worth: Worth, wanted: float) -> Floats:
        """Give what is minimised: what misses a condition costs more than anything else, and more by how much."""
        missed = np.where(worth.reached < wanted, wanted - worth.reached, 0.0)
        for (low, high), means in zip(self._limits.values(), worth.limited, strict=True):
            scale = max(_LEAST_SCALE, *(abs(bound) for bound in (low, high) if np.isfinite(bound)))
            beyond = np.maximum(np.maximum(low - means, means - high), 0.0) / scale
            missed = missed + np.where(np.isnan(beyond), np.inf, beyond)
        missed = np.minimum(missed, _WORST)
        finite = np.where(np.isfinite(worth.values), -worth.values, 2.0 * _REFUSED)
        return np.where(missed > 0.0, _REFUSED * (1.0 + missed), finite)

    def measure(self, x: Floats, rows: Mapping[str, Floats], strategy: Any) -> Worth:
        """Tell what each candidate is worth, over rows and with the other fields of a strategy."""
        n = next(iter(rows.values())).size
        step = max(1, _AT_ONCE // n)
        return Worth.joined([self._measure(x[:, k : k + step], rows, strategy) for k in range(0, x.shape[1], step)])

    def _measure(self, x: Floats, rows: Mapping[str, Floats], strategy: Any) -> Worth:
        candidates = {name: values[:, None] for name, values in self.repaired(x).items()}
        result = self._model.evaluate({**rows, **candidates}, strategy, self._threads, self._outputs)
        shape = (x.shape[1], next(iter(rows.values())).size)
        goal = self._model.goal
        reached = np.full(shape[0], np.nan) if goal is None else (result.stop == goal.value).mean(axis=1)
        values, errors = self._values(result, shape)
        limited, limited_errors = np.empty((2, len(self._limits), shape[0]))
        for k, name in enumerate(self._limits):
            limited[k], limited_errors[k] = self._mean(result, name, shape), self._error(result, name, shape)
        return Worth(values, errors, reached, limited, limited_errors)

    def _values(self, result: Any, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        if isinstance(self._objective, str):
            sign, name = _signed(self._objective)
            return sign * self._mean(result, name, shape), self._error(result, name, shape)
        given = np.asarray(self._objective(result), dtype=np.float64)
        unknown = np.full(shape[0], np.nan)
        if given.shape == shape:
            return np.asarray(given.mean(axis=1)), unknown
        if given.shape != shape[:1]:
            message = f"objective must give values of shape {shape} or {shape[:1]}, not {given.shape}"
            raise ScenarioError(message, arguments=("objective",))
        return given, unknown

    def _mean(self, result: Any, name: str, shape: tuple[int, int]) -> Floats:
        given = np.broadcast_to(np.asarray(getattr(result, name), dtype=np.float64), shape)
        return np.asarray(given.mean(axis=1))

    def _error(self, result: Any, name: str, shape: tuple[int, int]) -> Floats:
        """Give the mean of the errors of scenarios: those that share paths err together, at most by as much."""
        known = self._model.errors.get(name)
        return np.full(shape[0], np.nan) if known is None else self._mean(result, known, shape)

    def repaired(self, x: Floats) -> dict[str, Floats]:
        """Name the fields, whole where they must be, and none above the one it must not exceed."""
        fields = {
            name: np.round(values) if whole else values
            for name, values, whole in zip(self._fields, x, self._whole, strict=True)
        }
        for low, high in self._model.ordered:
            strict = (low, high) in self._model.strict
            if low in fields and (high in fields or high in self._stays):
                most: Any = fields[high] if high in fields else self._stays[high][0]
                fields[low] = np.minimum(fields[low], np.nextafter(most, -np.inf) if strict else most)
            elif high in fields and low in self._stays:
                least = self._stays[low][1]
                fields[high] = np.maximum(fields[high], np.nextafter(least, np.inf) if strict else least)
        return fields


def _signed(objective: str) -> tuple[float, str]:
    """Split the name of what is maximised from the sign before it: ``"-cvar"`` is the least cvar."""
    return (-1.0, objective[1:]) if objective.startswith("-") else (1.0, objective)


def _needed(objective: Objective, model: Model, limits: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Give the outputs that are looked at; None for all of them, which a function may."""
    if not isinstance(objective, str):
        return None
    wanted = (_signed(objective)[1], *limits)
    return tuple(dict.fromkeys((*wanted, *(model.errors[name] for name in wanted if name in model.errors))))


def _check_objective(objective: Any, model: Model) -> None:
    if not isinstance(objective, str):
        if not callable(objective):
            message = f"objective must be the name of an output or a function, not {objective!r}"
            raise ScenarioError(message, arguments=("objective",))
        return
    objective = _signed(objective)[1]
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
        hint = did_you_mean(objective, model.output_names)
        raise ScenarioError(f"objective {objective!r} is no output of a simulation{hint}", arguments=("objective",))
