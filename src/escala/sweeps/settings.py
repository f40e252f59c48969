"""A sweep described by a TOML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Final

from escala.design.design import Design, design_in
from escala.errors import DesignError, ScenarioError, did_you_mean
from escala.files import toml
from escala.sweeps import plan as plans

_KEYS: Final = ("outputs", "chunk", "best")
_TABLES: Final = ("design", "strategy", "sweep")


@dataclass(frozen=True, eq=False)
class SweepSettings:
    """What a file asks for: ``sweep(settings.design, **settings.options)``.

    Attributes
    ----------
    design : Design
        Its rows are the scenarios.
    strategy : object
        The model's settings: of the lending loop a LendingStrategy with the fields that are no columns.
    options : dict
        Further keywords of :func:`escala.sweep`: `strategy` and what ``[sweep]`` says.
    """

    design: Design
    strategy: Any
    options: dict[str, Any]


def from_toml(path: str | PathLike[str]) -> SweepSettings:
    """Read a sweep from a TOML file.

    Parameters
    ----------
    path : path
        ``[design]`` as in :meth:`escala.Design.from_toml`; ``[strategy]`` with numbers for fields, ``[sweep]`` with
        ``outputs`` (a list of names, or ``"all"``), ``chunk`` and ``best``, both tables optional.

    Raises
    ------
    DesignError
        If it is no TOML file, or its design is bad; names the file and the key.
    ScenarioError
        If another table, key or value is not known or not allowed; names the file and the key.
    OSError
        If it cannot be read.
    """
    content = toml.read(path, DesignError)
    design = design_in(content, path)
    try:
        _known(content, _TABLES, "table")
        chosen = _table(content, "sweep", _KEYS)
        model = design.model
        strategy = model.replaced(model.settings(None), _table(content, "strategy", model.field_names))
        if "outputs" in chosen and not _is_names(chosen["outputs"]):
            message = f'sweep: outputs must be "all" or a list of names, not {chosen["outputs"]!r}'
            raise ScenarioError(message, arguments=("outputs",))
        options = {"strategy": strategy, **chosen}
        plans.make(design, **options)
    except ScenarioError as error:
        message = f"{path}: {error}"
        raise ScenarioError(message, arguments=error.arguments, indexes=error.indexes) from None
    return SweepSettings(design, strategy, options)


def _is_names(given: object) -> bool:
    return isinstance(given, str) or (isinstance(given, list) and all(isinstance(name, str) for name in given))


def _table(content: Mapping[str, Any], name: str, keys: Sequence[str]) -> dict[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise ScenarioError(f"{name} must be a table, not {table!r}", arguments=(name,))
    _known(table, keys, f"key of [{name}]")
    return table


def _known(given: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for key in given:
        if key not in known:
            hint = did_you_mean(key, known, f"; there are {', '.join(known)}")
            raise ScenarioError(f"{key!r} is no {what}{hint}", arguments=(key,))
