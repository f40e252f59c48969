"""Tuning: the strategy fields that do best over a set of scenarios, found by differential evolution on the model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from escala import parallel
from escala.arrays import check_flag, to_floats, whole_number
from escala.design.design import Design
from escala.design.scenarios import check_columns, model_of
from escala.errors import ScenarioError
from escala.model import Model
from escala.tuning.result import Tuning
from escala.tuning.scenarios import two_sets
from escala.tuning.search import LEAST_CROWD, Objective, Search


def tune(
    objective: Objective,
    design: Design,
    fields: Mapping[str, tuple[float, float]] | None = None,
    *,
    model: Model | None = None,
    strategy: Any = None,
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
        borrowed and reinvested, or those that another model names.
    model : Model, optional
        What the rows are scenarios of; by default what the design was made for, which is the lending loop unless it
        was told otherwise.
    strategy : LendingStrategy, optional
        Where to start, and the fields that stay; one number each. Of another model, its settings.
    scenarios : int, default 1024
        Rows to tune on, fewer if the design has less than twice as many. As many rows again as are left, at most
        16,384, are kept back.
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
    chosen = _checked_model(design, model)
    bounds = _checked_fields(fields, design, chosen)
    search = Search(
        objective, chosen, _scalar(strategy, chosen), bounds, design,
        reach=check_flag("reach", reach, ScenarioError), threads=parallel.checked_threads(threads, ScenarioError),
    )  # fmt: skip
    whole_number("scenarios", scenarios, 1)
    whole_number("evaluations", evaluations, LEAST_CROWD)
    whole_number("seed", seed, 0)
    tuned_on, kept_back = two_sets(design, scenarios, seed)
    began = time.perf_counter()
    found, tried = search.run(tuned_on, evaluations, seed)
    seconds = time.perf_counter() - began
    both = np.stack([search.start, found], axis=1)
    values, _ = search.measure(both, tuned_on)
    held_out, reached = search.measure(both, kept_back)
    named = {name: float(value[1]) for name, value in search.repaired(both).items()}
    return Tuning(
        strategy=chosen.replaced(search.strategy, named),
        fields=named,
        value=float(values[1]),
        start_value=float(values[0]),
        held_out_value=float(held_out[1]),
        held_out_start_value=float(held_out[0]),
        reached=float(reached[1]),
        start_reached=float(reached[0]),
        scenarios=next(iter(tuned_on.values())).size,
        held_out=next(iter(kept_back.values())).size,
        evaluations=tried,
        seconds=seconds,
        goal="" if chosen.goal is None else chosen.goal.doc,
    )


def _checked_fields(
    fields: Mapping[str, tuple[float, float]] | None, design: Design, model: Model
) -> Mapping[str, tuple[float, float]]:
    if fields is None:
        fields = {name: bounds for name, bounds in model.tuned.items() if name not in design.names}
    if not isinstance(fields, Mapping):
        message = f"fields must be a mapping of strategy fields to (low, high), not {fields!r}"
        raise ScenarioError(message, arguments=("fields",))
    if not fields:
        raise ScenarioError("fields must name at least one strategy field", arguments=("fields",))
    for name, bounds in fields.items():
        if name not in model.field_names:
            raise ScenarioError(f"fields: {name!r} is no strategy field", arguments=("fields",))
        if name in design.names:
            raise ScenarioError(f"fields: {name} is a column of the design already", arguments=("fields",))
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


def _checked_model(design: Design, model: Model | None) -> Model:
    """Find the model, and check the design against it."""
    chosen = model_of(design, model)
    check_columns(design, chosen)
    if len(design) < 2:
        raise ScenarioError(
            "the design must have at least 2 rows: one to tune on, one to keep back", arguments=("design",)
        )
    return chosen
