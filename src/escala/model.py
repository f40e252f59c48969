"""A model: what a design, a sweep, tuning, pictures and commands take; the lending loop is one.

A model says which columns a scenario has, what it gives, how it ends, and how many scenarios are worked through. What
takes a model knows no more of it than this, so another one needs no change there.
"""

from __future__ import annotations

import abc
import functools
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from escala.arrays import FloatLike, Floats, check_interval, check_order
from escala.errors import InputError, ScenarioError, did_you_mean
from escala.tables import Code, Codes, Interval, Table, intervals, names

__all__ = ["DEFAULT", "Model", "Slices", "default", "named"]

#: The model that is meant where none is named: what was kept before there were others says nothing of it.
DEFAULT: Final = "lending"
#: Where models are that can be named in files: loaded when they are asked for.
_MODULES: Final[Mapping[str, str]] = {DEFAULT: "escala.lending.model"}


class Slices(Protocol):
    """Scenarios in slices, in memory that is used again: one thread's alone."""

    def run(self, columns: Mapping[str, Floats], n: int) -> Iterator[None]:
        """Work through a slice of n scenarios, in steps of some milliseconds."""

    def result(self, columns: Mapping[str, Floats], n: int) -> Any:
        """Give what became of the slice, until the next one: an attribute (n,) an output, and ``stop``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Model(abc.ABC):
    """A model of scenarios, each of them a row of numbers; a class of its own says how they are worked through.

    Parameters
    ----------
    name : str
        By which files know it.
    function, settings_type : str
        The public function that runs it and the class of its settings, as messages name them.
    arguments : table
        Columns that every design must have.
    fields : table
        Numbers that are a column, or one for all scenarios: the settings'. Those with a default may be left out.
    outputs : table
        What it gives of each scenario; whole numbers are known by their interval.
    kept : tuple of str
        Outputs that a sweep keeps when nobody says.
    ordered : tuple of pairs of str, optional
        Arguments and fields of which the first must not exceed the second.
    stops : codes, optional
        How a scenario may end, numbered from 0; ``doc`` is how a summary says it. None where scenarios do not end, but
        are, say, statistics over many paths.
    goal : code, optional
        The end that tuning lets no fewer scenarios come to; ``doc`` is what those do. None where there is no such end.
    tuned : mapping of str to (low, high), optional
        Fields that are tuned when nobody says.
    misleading : mapping of str to (str, str), optional
        Outputs that mislead alone: which one must be beside them, and what is said where it is not.
    error : type, optional
        Of a scenario that is not allowed.
    """

    name: str
    function: str
    settings_type: str
    arguments: Table
    fields: Table
    outputs: Table
    kept: tuple[str, ...]
    ordered: tuple[tuple[str, str], ...] = ()
    stops: Codes = ()
    goal: Code | None = None
    tuned: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    misleading: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    error: type[InputError] = ScenarioError

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickle a model that can be named by its name."""
        if _MODULES.get(self.name) is not None and named(self.name) is self:
            return named, (self.name,)
        return super().__reduce__()

    @functools.cached_property
    def argument_names(self) -> tuple[str, ...]:
        """Columns that every design must have."""
        return names(self.arguments)

    @functools.cached_property
    def field_names(self) -> tuple[str, ...]:
        """Numbers that may be a column."""
        return names(self.fields)

    @functools.cached_property
    def output_names(self) -> tuple[str, ...]:
        """Everything that it gives of a scenario, but for how it ends."""
        return names(self.outputs)

    @functools.cached_property
    def allowed(self) -> Mapping[str, Interval]:
        """What arguments and fields may be."""
        return intervals((*self.arguments, *self.fields))

    @functools.cached_property
    def defaults(self) -> Mapping[str, float]:
        """Fields that may be left out, and what they are then."""
        return {row.name: row.default for row in self.fields if row.default is not None}

    @functools.cached_property
    def whole(self) -> frozenset[str]:
        """Outputs that are whole numbers."""
        return frozenset(row.name for row in self.outputs if row.values.integer)

    @abc.abstractmethod
    def settings(self, given: Any) -> Any:
        """Check what a caller gave as settings: what all scenarios of a call share.

        Parameters
        ----------
        given : object
            None for the default.

        Raises
        ------
        InputError
            If these are no settings of this model, or there is no default.
        """

    @abc.abstractmethod
    def numbers(self, settings: Any) -> Mapping[str, Floats]:
        """Give the fields of settings: arrays of any shape, in the order of `fields`."""

    @abc.abstractmethod
    def replaced(self, settings: Any, changes: Mapping[str, FloatLike]) -> Any:
        """Give settings with other values for some fields.

        Raises
        ------
        InputError
            If a value is not allowed.
        """

    def described(self, settings: Any) -> dict[str, Any]:
        """Give settings of one number a field as JSON knows them: all that results depend on beside the columns."""
        return {name: float(array) for name, array in self.numbers(settings).items()}

    def check(self, columns: Mapping[str, Floats], settings: Any) -> None:
        """Check columns, alone and against each other and the settings.

        Raises
        ------
        InputError
            The class `error`; names arguments, indexes in the columns and values.
        """
        fixed = self.numbers(settings)
        for name, column in columns.items():
            check_interval(name, column, self.allowed[name], self.error)
        for low, high in self.ordered:
            if low in columns or high in columns:
                check_order(low, columns.get(low, fixed[low]), high, columns.get(high, fixed[high]), self.error)

    @abc.abstractmethod
    def slices(self, varied: Sequence[str], settings: Any, rows: int) -> Slices:
        """Give what works through slices of at most so many rows, for one thread.

        Parameters
        ----------
        varied : sequence of str
            What each slice brings as columns that were checked: all arguments, and some fields.
        settings : object
            The other fields, one number each.
        rows : int
            Most rows of a slice.
        """

    @abc.abstractmethod
    def evaluate(self, columns: Mapping[str, Floats], settings: Any, threads: int) -> Any:
        """Work through scenarios that are there as arrays; the bits are those of :meth:`slices`.

        Parameters
        ----------
        columns : mapping of str to array
            All arguments, and some fields; they broadcast.
        settings : object
            The other fields, one number each.
        threads : int
            Threads to use.

        Returns
        -------
        object
            Its attributes are outputs, and ``stop`` if scenarios end: arrays of the common shape.

        Raises
        ------
        InputError
            If a value is not allowed.
        """


def named(name: str) -> Model:
    """Load the model of a name.

    Raises
    ------
    InputError
        If there is none.
    """
    if not isinstance(name, str) or name not in _MODULES:
        hint = did_you_mean(name, _MODULES, f"; there are {', '.join(_MODULES)}")
        raise InputError(f"model {name!r} is not known{hint}", arguments=("model",))
    model: Model = importlib.import_module(_MODULES[name]).MODEL
    return model


def default() -> Model:
    """Load the model that is meant where none is named."""
    return named(DEFAULT)
