"""A sweep described by a TOML file."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any, Final

from escala.design.design import Design, design_in
from escala.errors import DesignError, InputError, ScenarioError
from escala.files import toml
from escala.model import check_keys, table_of
from escala.sweeps import plan as plans

_KEYS: Final = ("outputs", "chunk", "best")


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
        ``[design]`` as in :meth:`escala.Design.from_toml`; ``[sweep]`` with ``outputs`` (a list of names, or
        ``"all"``), ``chunk`` and ``best``, and ``[strategy]`` with numbers for fields, both optional. The market has
        other tables for its settings: ``[market]``, ``[protocol]``, ``[policy]``, ``[position]`` and ``[paths]``, see
        :meth:`escala.MarketSettings.from_dict`.

    Raises
    ------
    DesignError
        If it is no TOML file, or its design is bad; names the file and the key.
    ScenarioError, MarketError
        If another table, key or value is not known or not allowed; names the file, the table and the key.
    OSError
        If it cannot be read.
    """
    content = toml.read(path, DesignError)
    design = design_in(content, path)
    model = design.model
    try:
        check_keys(content, ("design", *model.sections, "sweep"), "table", ScenarioError)
        chosen = table_of(content, "sweep", _KEYS, ScenarioError)
        strategy = model.read(content)
        if "outputs" in chosen and not _is_names(chosen["outputs"]):
            message = f'sweep: outputs must be "all" or a list of names, not {chosen["outputs"]!r}'
            raise ScenarioError(message, arguments=("outputs",))
        options = {"strategy": strategy, **chosen}
        plans.make(design, **options)
    except InputError as error:
        message = f"{path}: {error}"
        raise type(error)(message, arguments=error.arguments, indexes=error.indexes) from None
    return SweepSettings(design, strategy, options)


def _is_names(given: object) -> bool:
    return isinstance(given, str) or (isinstance(given, list) and all(isinstance(name, str) for name in given))
