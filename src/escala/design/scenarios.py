"""Whether the rows of a design are scenarios of a model."""

from __future__ import annotations

from typing import Any

from escala.design.design import Design
from escala.errors import ScenarioError, did_you_mean
from escala.model import Model, chosen


def model_of(design: Any, model: Any) -> Model:
    """Find what the rows of a design are scenarios of; only a free design leaves a choice.

    Parameters
    ----------
    design : Design
        Given by a caller.
    model : Model or str, optional
        Given by a caller; by default what the design was made for.

    Raises
    ------
    ScenarioError
        If there is no design or no such model, or the design was checked for another one.
    """
    if not isinstance(design, Design):
        raise ScenarioError(f"design must be a Design, not {design!r}", arguments=("design",))
    if model is None:
        return design.model
    found = chosen(model, ScenarioError)
    if found.name != design.model.name and not design.free:
        message = f"the design is one of the model {design.model.name}: make it with that of {found.name}, or free"
        raise ScenarioError(message, arguments=("design", "model"))
    return found


def check_columns(design: Design, model: Model) -> None:
    """Check that all arguments of a model are columns, and that all columns are arguments or fields.

    Raises
    ------
    ScenarioError
        If not; names the column.
    """
    for name in design.names:
        if name not in model.allowed:
            hint = did_you_mean(name, model.allowed, f": columns are arguments of {model.function} or strategy fields")
            raise ScenarioError(f"the design has an unknown column {name!r}{hint}", arguments=("design",))
    missing = [name for name in model.argument_names if name not in design.names]
    if missing:
        raise ScenarioError(f"the design has no column {' and no '.join(missing)}", arguments=("design",))
