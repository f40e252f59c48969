"""Tuning: the strategy fields that do best over a set of scenarios, found by differential evolution on the model."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from escala import parallel
from escala.arrays import Floats, check_flag, to_floats, whole_number
from escala.design.design import Design
from escala.design.scenarios import check_columns, model_of
from escala.errors import ScenarioError, did_you_mean
from escala.model import Model
from escala.tuning.result import Tuning, TuningLimit
from escala.tuning.scenarios import two_sets
from escala.tuning.search import LEAST_CROWD, Objective, Search, Worth


def tune(
    objective: Objective,
    design: Design,
    fields: Mapping[str, tuple[float, float]] | None = None,
    *,
    model: Model | str | None = None,
    strategy: Any = None,
    subject_to: Mapping[str, tuple[float | None, float | None]] | None = None,
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
        What to maximise. A name is an attribute of :class:`escala.LendingResult`, or an output of another model,
        averaged over the scenarios; with a minus before it, as in ``"-cvar"``, its least is looked for. A function is
        given a result of shape (candidates, scenarios) and gives a value for each of these, which is averaged, or for
        each candidate.
    design : Design
        Where scenarios come from: rows drawn without replacement, some to tune on, some that are kept back.
    fields : mapping of str to (low, high), optional
        Strategy fields to tune, none of them a column of the design; by default nine that say how much is repaid,
        borrowed and reinvested, or those that another model names.
    model : Model, optional
        What the rows are scenarios of; by default what the design was made for, which is the lending loop unless it
        was told otherwise.
    strategy : LendingStrategy, optional
        Where to start, and the fields that stay; one number each. Of another model, its settings.
    subject_to : mapping of str to (low, high), optional
        Between what the means of other outputs over the scenarios have to be; None for no bound:
        ``{"liquidation_probability": (None, 0.01)}``. Where nothing that is tried keeps to that, what comes nearest
        is given, and :attr:`Tuning.limits` and the summary say so.
    scenarios : int, default 1024
        Rows to tune on, fewer if the design has less than twice as many. As many rows again as are left, at most
        16,384, are kept back. Of the market a design of no more rows is tuned on whole, on the paths of its seed, and
        judged on paths of another seed.
    evaluations : int, default 2000
        Most strategies to try, at least 5.
    reach : bool, default True
        Find only strategies that reach the target in at least as many scenarios as the start does; of another model,
        that end as it names it, where it does.
    seed : int, default 0
        Of the choice of rows and of the search: the same seed finds the same fields.
    threads : int, optional
        As in :func:`escala.simulate`; the result does not depend on it.

    Returns
    -------
    Tuning
        Never worse than the start on the scenarios that it was tuned on, unless the start misses `subject_to`.

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
    chosen = _checked_model(design, model)
    settings = _scalar(strategy, chosen)
    bounds = _checked_fields(fields, design, chosen, settings)
    limits = _checked_limits(subject_to, chosen)
    search = Search(
        objective, chosen, settings, bounds, design, limits=limits,
        reach=check_flag("reach", reach, ScenarioError), threads=parallel.checked_threads(threads, ScenarioError),
    )  # fmt: skip
    whole_number("scenarios", scenarios, 1)
    whole_number("evaluations", evaluations, LEAST_CROWD)
    whole_number("seed", seed, 0)
    seen, unseen = chosen.halves(settings) or (settings, settings)
    tuned_on, kept_back = _rows(design, scenarios, seed, whole=bool(chosen.unseen))
    began = time.perf_counter()
    found, tried = search.run(tuned_on, seen, evaluations, seed)
    seconds = time.perf_counter() - began
    both = np.stack([search.start, found], axis=1)
    worth, held_out = search.measure(both, tuned_on, seen), search.measure(both, kept_back, unseen)
    named = {name: float(value[1]) for name, value in search.repaired(both).items()}
    return Tuning(
        strategy=chosen.replaced(settings, named),
        fields=named,
        value=float(worth.values[1]),
        start_value=float(worth.values[0]),
        held_out_value=float(held_out.values[1]),
        held_out_start_value=float(held_out.values[0]),
        reached=float(held_out.reached[1]),
        start_reached=float(held_out.reached[0]),
        scenarios=next(iter(tuned_on.values())).size,
        held_out=next(iter(kept_back.values())).size,
        evaluations=tried,
        seconds=seconds,
        goal="" if chosen.goal is None else chosen.goal.doc,
        error=float(worth.errors[1]),
        start_error=float(worth.errors[0]),
        held_out_error=float(held_out.errors[1]),
        held_out_start_error=float(held_out.errors[0]),
        limits=_told(limits, worth, held_out),
        unseen=chosen.unseen,
    )


def _rows(design: Design, scenarios: int, seed: int, *, whole: bool) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Give rows to tune on and rows to judge by: the same ones where something else is kept back, if all are taken."""
    if whole and len(design) <= scenarios:
        rows = design.rows()
        return rows, rows
    return two_sets(design, scenarios, seed)


def _told(limits: Mapping[str, tuple[float, float]], worth: Worth, held_out: Worth) -> dict[str, TuningLimit]:
    return {
        name: TuningLimit(
            low=low,
            high=high,
            value=float(worth.limited[k, 1]),
            start_value=float(worth.limited[k, 0]),
            held_out_value=float(held_out.limited[k, 1]),
            error=float(worth.limited_errors[k, 1]),
            held_out_error=float(held_out.limited_errors[k, 1]),
        )
        for k, (name, (low, high)) in enumerate(limits.items())
    }


def _checked_limits(given: Any, model: Model) -> dict[str, tuple[float, float]]:
    """Check what is asked of other outputs: pairs of numbers, infinite where there is no bound."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        message = f"subject_to must be a mapping of outputs to (low, high), not {given!r}"
        raise ScenarioError(message, arguments=("subject_to",))
    for name in given:
        if name not in model.output_names:
            hint = did_you_mean(name, model.output_names, f": there are {', '.join(model.output_names)}")
            raise ScenarioError(f"subject_to: {name!r} is no output{hint}", arguments=("subject_to",))
    return {name: _checked_bounds(name, pair) for name, pair in given.items()}


def _checked_bounds(name: str, given: Any) -> tuple[float, float]:
    problem = f"subject_to: {name} must be (low, high) with low at most high, None for no bound, not {given!r}"
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise ScenarioError(problem, arguments=("subject_to",))
    pair = [none if bound is None else bound for bound, none in zip(given, (-math.inf, math.inf), strict=True)]
    low, high = (to_floats(f"subject_to: {name}", bound) for bound in pair)
    if low.ndim or high.ndim or not low <= high or (np.isinf(low) and np.isinf(high)):
        raise ScenarioError(problem, arguments=("subject_to",))
    return float(low), float(high)


def _checked_fields(
    fields: Mapping[str, tuple[float, float]] | None, design: Design, model: Model, settings: Any
) -> Mapping[str, tuple[float, float]]:
    if fields is None:
        tuned = model.tuned_with(settings)
        fields = {name: bounds for name, bounds in tuned.items() if name not in design.names}
    if not isinstance(fields, Mapping):
        message = f"fields must be a mapping of strategy fields to (low, high), not {fields!r}"
        raise ScenarioError(message, arguments=("fields",))
    if not fields:
        raise ScenarioError("fields must name at least one strategy field", arguments=("fields",))
    model.check_names(design.names, settings)
    own = model.numbers(settings)
    for name, bounds in fields.items():
        if name not in model.field_names:
            hint = did_you_mean(name, own)
            raise ScenarioError(f"fields: {name!r} is no strategy field{hint}", arguments=("fields",))
        if name in design.names:
            raise ScenarioError(f"fields: {name} is a column of the design already", arguments=("fields",))
        if name not in own:
            message = f"fields: {name} has no value to start from: give the settings one"
            raise ScenarioError(message, arguments=(name,))
        pair = to_floats(f"fields: {name}", bounds)
        if pair.shape != (2,) or not model.allowed[name].contains(pair).all() or not pair[0] < pair[1]:
            message = f"fields: {name} must be (low, high) with low < high {model.allowed[name]}, not {bounds!r}"
            raise ScenarioError(message, arguments=(name,))
    return fields


def _scalar(given: Any, model: Model) -> Any:
    settings = model.settings(given)
    for name, array in model.numbers(settings).items():
        if array.ndim:
            raise ScenarioError(
                f"{name} must be one number to start from, not of shape {array.shape}", arguments=(name,)
            )
    return settings


def _checked_model(design: Design, model: Model | str | None) -> Model:
    """Find the model, and check the design against it."""
    chosen = model_of(design, model)
    check_columns(design, chosen)
    if len(design) < 2 and not chosen.unseen:
        raise ScenarioError(
            "the design must have at least 2 rows: one to tune on, one to keep back", arguments=("design",)
        )
    return chosen
